// SPDX-License-Identifier: GPL-2.0
/*
 * A picture of an IOVA space. Sizes in one space differ by a factor of 10^15, so it is
 * not to scale: a piece is as wide as the logarithm of its size, and all are there.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "picture.h"
#include "size.h"

static int compare_ranges(const void *a, const void *b)
{
	const struct range *left = a, *right = b;

	if (left->start != right->start)
		return left->start < right->start ? -1 : 1;
	return (left->last > right->last) - (left->last < right->last);
}

static void add(struct piece *pieces, size_t *nr, uint64_t start, uint64_t last, char sign)
{
	if (*nr && pieces[*nr - 1].sign == sign && pieces[*nr - 1].last + 1 == start) {
		pieces[*nr - 1].last = last;
		return;
	}
	pieces[(*nr)++] = (struct piece){ start, last, sign };
}

size_t picture_cut(const struct context *context, uint32_t ioas, struct piece **pieces)
{
	struct range *ranges = calloc(context->nr_ranges + 1, sizeof(*ranges));
	size_t nr_ranges = 0, nr = 0, i;
	uint64_t at = 0;
	bool over = false;

	*pieces = calloc(2 * context->nr_ranges + 1, sizeof(**pieces));
	if (!*pieces || !ranges) {
		free(*pieces);
		free(ranges);
		*pieces = NULL;
		return 0;
	}
	for (i = 0; i < context->nr_ranges; i++)
		if (context->ranges[i].ioas == ioas && context->ranges[i].kind != RANGE_ALLOWED)
			ranges[nr_ranges++] = context->ranges[i];
	qsort(ranges, nr_ranges, sizeof(*ranges), compare_ranges);
	for (i = 0; i < nr_ranges && !over; i++) {
		/* Reserved ranges of several groups may overlap. */
		if (ranges[i].last < at)
			continue;
		if (ranges[i].start > at)
			add(*pieces, &nr, at, ranges[i].start - 1, '.');
		else
			ranges[i].start = at;
		add(*pieces, &nr, ranges[i].start, ranges[i].last,
		    ranges[i].kind == RANGE_MAPPING ? '#' : 'x');
		over = ranges[i].last == UINT64_MAX;
		at = ranges[i].last + 1;
	}
	if (!over)
		add(*pieces, &nr, at, UINT64_MAX, '.');
	free(ranges);
	return nr;
}

static unsigned int log2_of(uint64_t value)
{
	return value ? 63 - __builtin_clzll(value) : 0;
}

/* From 1 to some 10 for what is a page to all there is */
static unsigned int weight(const struct piece *piece)
{
	unsigned int log = log2_of(piece->last - piece->start);

	return log < 15 ? 1 : 1 + (log - 12) / 3;
}

void picture_print(const struct piece *pieces, size_t nr, unsigned int width)
{
	unsigned int total = 0, cells, done = 0, column = 0;
	size_t i;

	if (width < 20)
		width = 20;
	for (i = 0; i < nr; i++)
		total += weight(&pieces[i]);
	fputs("    ", stdout);
	for (i = 0; i < nr; i++) {
		done += weight(&pieces[i]);
		/* One cell at least; what does not fit into a line goes on in the next. */
		cells = total <= width ? weight(&pieces[i]) :
			(uint64_t)done * width / total > column ?
			(uint64_t)done * width / total - column : 1;
		for (; cells; cells--, column++) {
			if (column && !(column % width))
				fputs("\n    ", stdout);
			putchar(pieces[i].sign);
		}
	}
	fputs("\n    # mapped   x reserved   . free   (not to scale)\n", stdout);
}

/* -------------------------------------------------------------------- documents */

#define SVG_WIDTH	960
#define SVG_ROW		64

/* Text of others goes through here: a name may have anything in it. */
static void print_escaped(FILE *out, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '&':
			fputs("&amp;", out);
			break;
		default:
			/* Control characters have no place in XML. */
			fputc((unsigned char)*text < ' ' ? '?' : *text, out);
		}
	}
}

static const char *colour(char sign)
{
	return sign == '#' ? "#2f6f9f" : sign == 'x' ? "#b04a3a" : "#e8e8e8";
}

static const char *word(char sign)
{
	return sign == '#' ? "mapped" : sign == 'x' ? "reserved" : "free";
}

static void svg_strip(FILE *out, const struct piece *pieces, size_t nr, unsigned int y)
{
	char size[SIZE_TEXT];
	double x = 0, wide, total = 0;
	size_t i;

	for (i = 0; i < nr; i++)
		total += weight(&pieces[i]);
	for (i = 0; i < nr; i++) {
		wide = weight(&pieces[i]) * SVG_WIDTH / total;
		if (pieces[i].last - pieces[i].start == UINT64_MAX)
			strcpy(size, "16.0 EiB");
		else
			size_text(pieces[i].last - pieces[i].start + 1, size);
		fprintf(out, "<rect x=\"%.1f\" y=\"%u\" width=\"%.1f\" height=\"24\" fill=\"%s\">"
			"<title>0x%" PRIx64 " to 0x%" PRIx64 ", %s %s</title></rect>\n", x, y,
			wide > 1 ? wide - 0.5 : wide, colour(pieces[i].sign), pieces[i].start,
			pieces[i].last, size, word(pieces[i].sign));
		if (pieces[i].start && wide > 24)
			fprintf(out, "<text x=\"%.1f\" y=\"%u\" font-size=\"8\">%" PRIx64
				"</text>\n", x, y + 34, pieces[i].start);
		x += wide;
	}
}

int picture_svg(FILE *out, const struct context *contexts, size_t nr)
{
	unsigned int y = 20, height = SVG_ROW;
	struct piece *pieces;
	size_t i, j, cut;

	for (i = 0; i < nr; i++)
		height += contexts[i].nr_ioas * SVG_ROW;
	fprintf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%u\" "
		"viewBox=\"-10 0 %d %u\" font-family=\"monospace\" font-size=\"12\">\n",
		SVG_WIDTH + 20, height, SVG_WIDTH + 20, height);
	for (i = 0; i < nr; i++) {
		for (j = 0; j < contexts[i].nr_ioas; j++, y += SVG_ROW) {
			char mapped[SIZE_TEXT];

			cut = picture_cut(&contexts[i], contexts[i].ioas[j].id, &pieces);
			if (!cut)
				return -ENOMEM;
			fprintf(out, "<text x=\"0\" y=\"%u\">", y);
			print_escaped(out, contexts[i].file.comm);
			fprintf(out, " (process %d), IOAS %u: %s mapped</text>\n",
				(int)contexts[i].file.pid, contexts[i].ioas[j].id,
				size_text(contexts[i].ioas[j].mapped, mapped));
			svg_strip(out, pieces, cut, y + 6);
			free(pieces);
		}
	}
	fprintf(out, "<text x=\"0\" y=\"%u\" font-size=\"10\">blue: mapped, red: reserved, grey: "
		"free; not to scale</text>\n</svg>\n", y);
	return 0;
}
