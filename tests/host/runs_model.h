/* SPDX-License-Identifier: GPL-2.0 */
/*
 * runs.c against one array element per page.
 *
 * Two interpreters turn a string of choices into calls. contract_model() does
 * what the owner of a span does, adding and removing consumers, with pins and
 * allocations that fail. raw_model() calls the functions in any order that
 * their headers permit. After each step everything that can be seen, and the
 * structure beneath, is compared with the arrays (less often in the fuzzer).
 *
 * This file includes the source it tests, to see inside. RUNS_CHUNK_BYTES and
 * RUN_NR_MAX may be defined small, so that few pages reach every limit.
 */
#ifndef TESTS_HOST_RUNS_MODEL_H
#define TESTS_HOST_RUNS_MODEL_H

#include "../../drivers/iommufd/runs.c"
#include "host.h"

#define NR_PAGES	192
#define NR_CONSUMERS	12
#define NOT_PINNED	(~0ull)

/* The naive model, and the thing itself. */
struct span {
	struct runs runs;
	unsigned long base;		/* index of page 0 of the arrays */
	u64 pfn[NR_PAGES];		/* NOT_PINNED or where */
	bool cut[NR_PAGES + 1];		/* raw: must be a boundary */
	bool removed;			/* chunks may have room left over */
	unsigned int overtaken;		/* removals while a consumer was added */

	struct rb_root_cached consumers;
	struct interval_tree_node consumer[NR_CONSUMERS];
	bool used[NR_CONSUMERS];

	u64 next_pfn;			/* where the next pin goes on */
	unsigned long dropping;		/* next page that runs_drop() may drop */
	unsigned long drop_last;
};

static unsigned long count_runs(const struct runs *runs)
{
	const struct runs_chunk *chunk;
	unsigned long nr = !!runs->solo.nr;

	for (chunk = chunk_of(rb_first(&runs->chunks)); chunk;
	     chunk = chunk_next(chunk))
		nr += chunk->nr - chunk->nr_holes;
	return nr;
}

static void span_init(struct span *span, unsigned long base)
{
	unsigned int i;

	memset(span, 0, sizeof(*span));
	runs_init(&span->runs);
	span->consumers = RB_ROOT_CACHED;
	span->base = base;
	for (i = 0; i < NR_PAGES; i++)
		span->pfn[i] = NOT_PINNED;
	span->next_pfn = 0x1000;
}

/* Structure: what runs.c says of itself at its top. */
static void span_check_structure(const struct span *span)
{
	unsigned long nr_runs = 0, nr_pages = 0, bytes = 0, nr_chunks = 0;
	const struct runs_chunk *chunk, *prev = NULL;
	unsigned int i;

	if (span->runs.solo.nr) {
		expect(RB_EMPTY_ROOT(&span->runs.chunks));
		expect(span->runs.solo.nr <= RUN_NR_MAX);
		nr_runs = 1;
		nr_pages = span->runs.solo.nr;
	}

	for (chunk = chunk_of(rb_first(&span->runs.chunks)); chunk;
	     prev = chunk, chunk = chunk_next(chunk)) {
		unsigned long index = chunk->first;
		unsigned int nr_holes = 0;

		expect(chunk->nr > 0);
		expect(chunk->nr <= chunk->cap);
		expect(chunk->cap <= CHUNK_CAP_MAX);
		if (prev)
			expect(prev->last < chunk->first);
		for (i = 0; i < chunk->nr; i++) {
			const struct run *run = &chunk->run[i];

			expect(run->nr > 0 && run->nr <= RUN_NR_MAX);
			if (run->pfn == RUN_HOLE) {
				expect(i != 0 && i != chunk->nr - 1u);
				nr_holes++;
			} else {
				nr_runs++;
				nr_pages += run->nr;
			}
			index += run->nr;
		}
		expect_eq(chunk->last, index - 1);
		expect_eq(chunk->nr_holes, nr_holes);
		if (!span->removed)
			expect(chunk->cap <= max(10, 2 * chunk->nr + 4));
		nr_chunks++;
		bytes += ALIGN(sizeof(*chunk) + chunk->cap * sizeof(struct run),
			       8);
	}
	expect_eq(count_runs(&span->runs), nr_runs);
	expect_eq(span->runs.nr_pages, nr_pages);
	expect_eq(host_memory.live, nr_chunks);
	expect(nr_chunks <= nr_runs);
	expect(host_memory.bytes <= bytes + 32 * nr_chunks);
}

/* Contents: every page, by lookup and by reading it all. */
static void span_check_contents(const struct span *span)
{
	unsigned long i = 0, pfn, nr_pages = 0;
	struct run out[7];

	for (i = 0; i < NR_PAGES; i++) {
		bool pinned = runs_lookup(&span->runs, span->base + i, &pfn);

		expect_eq(pinned, span->pfn[i] != NOT_PINNED);
		if (pinned)
			expect_eq(pfn, span->pfn[i]);
		nr_pages += pinned;
	}
	expect_eq(span->runs.nr_pages, nr_pages);

	for (i = 0; i < NR_PAGES;) {
		unsigned int n = runs_read(&span->runs, span->base + i,
					   span->base + NR_PAGES - 1, out, 7);
		unsigned int k, page;

		if (!n) {
			expect(span->pfn[i] == NOT_PINNED);
			i++;
		}
		for (k = 0; k < n; k++)
			for (page = 0; page < out[k].nr; page++, i++) {
				expect(i < NR_PAGES);
				expect_eq(out[k].pfn + page, span->pfn[i]);
			}
	}
}

/* Holes, against the arrays. */
static void span_check_hole(const struct span *span, unsigned int first,
			    unsigned int last)
{
	unsigned long hole_first, hole_last;
	unsigned int f = first, l;
	bool found;

	while (f <= last && span->pfn[f] != NOT_PINNED)
		f++;
	for (l = f; l < last && span->pfn[l + 1] == NOT_PINNED; l++)
		;
	found = runs_next_hole(&span->runs, span->base + first,
			       span->base + last, &hole_first, &hole_last);
	expect_eq(found, f <= last);
	if (found) {
		expect_eq(hole_first, span->base + f);
		expect_eq(hole_last, span->base + l);
	}
}

/* The pages at both ends of a range and beside it. */
static void span_check_ends(const struct span *span, unsigned int first,
			    unsigned int last)
{
	unsigned int at[] = { first, last, first - 1, last + 1 }, i;
	unsigned long pfn;

	for (i = 0; i < 4; i++) {
		if (at[i] >= NR_PAGES)
			continue;
		if (!runs_lookup(&span->runs, span->base + at[i], &pfn))
			expect(span->pfn[at[i]] == NOT_PINNED);
		else
			expect_eq(pfn, span->pfn[at[i]]);
	}
}

/* A slice, with room for @room entries. */
static void span_check_read(const struct span *span, unsigned int first,
			    unsigned int last, unsigned int room)
{
	struct run out[8];
	unsigned int n, k, page = first;

	n = runs_read(&span->runs, span->base + first, span->base + last, out,
		      room);
	expect(n <= room);
	for (k = 0; k < n; k++) {
		unsigned int i;

		expect(out[k].nr > 0);
		for (i = 0; i < out[k].nr; i++, page++) {
			expect(page <= last);
			expect_eq(out[k].pfn + i, span->pfn[page]);
		}
	}
	if (n < room)
		expect(page > last || span->pfn[page] == NOT_PINNED);
}

/* Consumers, against a look at each of them. */
static bool span_covered(const struct span *span, unsigned int page)
{
	unsigned int c;

	for (c = 0; c < NR_CONSUMERS; c++)
		if (span->used[c] &&
		    span->consumer[c].start <= span->base + page &&
		    span->base + page <= span->consumer[c].last)
			return true;
	return false;
}

static bool span_end_at(const struct span *span, unsigned int page)
{
	unsigned int c;

	for (c = 0; c < NR_CONSUMERS; c++)
		if (span->used[c] &&
		    (span->consumer[c].start == span->base + page ||
		     span->consumer[c].last + 1 == span->base + page))
			return true;
	return false;
}

static void span_check_consumers(struct span *span, unsigned int first,
				 unsigned int last)
{
	unsigned long ufirst, ulast;
	unsigned int f = first, l;
	bool found;

	while (f <= last && span_covered(span, f))
		f++;
	for (l = f; l < last && !span_covered(span, l + 1); l++)
		;
	found = consumers_next_uncovered(&span->consumers, span->base + first,
					 span->base + last, &ufirst, &ulast);
	expect_eq(found, f <= last);
	if (found) {
		expect_eq(ufirst, span->base + f);
		expect_eq(ulast, span->base + l);
	}
	expect_eq(consumers_end_at(&span->consumers, span->base + first),
		  span_end_at(span, first));
}

/*
 * The bound: a boundary between pages that physically go on is one of a
 * consumer, of a chunk, or due to the longest run.
 */
static void span_check_bound(const struct span *span)
{
	unsigned long physical = 0, nr_chunks = 0, nr_consumers = 0;
	struct rb_node *rb;
	unsigned int i;

	for (i = 0; i < NR_PAGES; i++) {
		if (span->pfn[i] == NOT_PINNED)
			continue;
		if (!i || span->pfn[i - 1] == NOT_PINNED ||
		    span->pfn[i - 1] + 1 != span->pfn[i])
			physical++;
	}
	for (i = 0; i < NR_CONSUMERS; i++)
		nr_consumers += span->used[i];
	for (rb = rb_first(&span->runs.chunks); rb; rb = rb_next(rb))
		nr_chunks++;
	/*
	 * One more for a removal in the middle of an add: the boundary at the
	 * hole that is being filled may have been somebody's who is gone.
	 */
	expect(count_runs(&span->runs) <= physical + 2 * nr_consumers + nr_chunks +
	       2 * span->runs.nr_pages / (RUN_NR_MAX + 1ul) + span->overtaken);
	expect(count_runs(&span->runs) <= span->runs.nr_pages);
}

static void span_drop_runs(void *arg, const struct run *run, unsigned int n)
{
	struct span *span = arg;
	unsigned long pfn, nr;

	expect(n > 0);
	for (; n; n--, run++) {
		expect(run->nr > 0);
		/* In order, each pinned page of the range once, nothing else. */
		while (span->dropping <= span->drop_last &&
		       span->pfn[span->dropping] == NOT_PINNED)
			span->dropping++;
		for (pfn = run->pfn, nr = run->nr; nr;
		     nr--, pfn++, span->dropping++) {
			expect(span->dropping <= span->drop_last);
			expect_eq(pfn, span->pfn[span->dropping]);
			span->pfn[span->dropping] = NOT_PINNED;
		}
	}
}

static void span_drop(struct span *span, unsigned int first, unsigned int last)
{
	unsigned int i;

	span->dropping = first;
	span->drop_last = last;
	span->removed = true;
	host_memory.forbidden = true;
	runs_drop(&span->runs, span->base + first, span->base + last,
		  span_drop_runs, span);
	host_memory.forbidden = false;
	for (i = first; i <= last; i++)
		expect(span->pfn[i] == NOT_PINNED);
}

/*
 * "Pin" pages: up to @n runs for the @nr_pages from @first on. Returns how many
 * entries were made and by @nr_pages how many pages those have.
 */
static unsigned int span_pin(struct span *span, struct choices *choices,
			     struct run *add, unsigned int n,
			     unsigned int *nr_pages)
{
	unsigned int left = *nr_pages, k;

	for (k = 0; k < n && left; k++) {
		unsigned int nr = min(left, 1 + choose(choices, 4) *
					    choose(choices, 12));

		nr = min_t(unsigned int, nr, RUN_NR_MAX);
		switch (choose(choices, 8)) {
		case 0:		/* somewhere else */
			span->next_pfn += 1 + choose(choices, 256);
			break;
		case 1:		/* the page before it again */
			span->next_pfn--;
			break;
		case 2:		/* as high as a PFN gets */
			span->next_pfn = RUN_HOLE - nr;
			break;
		case 3:
			span->next_pfn = 0;
			break;
		}		/* or right behind */
		if (span->next_pfn + nr > RUN_HOLE)
			span->next_pfn = 7;
		add[k].pfn = span->next_pfn;
		add[k].nr = nr;
		span->next_pfn += nr;
		left -= nr;
	}
	*nr_pages -= left;
	return k;
}

/* Enter what runs_add() says that it recorded. Returns the pages. */
static unsigned int span_record(struct span *span, unsigned int first,
				const struct run *add, unsigned int done)
{
	unsigned int k, i, page = first;

	for (k = 0; k < done; k++)
		for (i = 0; i < add[k].nr; i++, page++) {
			expect(span->pfn[page] == NOT_PINNED);
			span->pfn[page] = add[k].pfn + i;
		}
	return page - first;
}

static void consumer_remove(struct span *span, unsigned int c)
{
	struct interval_tree_node *node = &span->consumer[c];
	unsigned long first = node->start, ufirst, ulast;

	host_memory.forbidden = true;
	interval_tree_remove(node, &span->consumers);
	span->used[c] = false;
	while (consumers_next_uncovered(&span->consumers, first, node->last,
					&ufirst, &ulast)) {
		span_drop(span, ufirst - span->base, ulast - span->base);
		if (ulast == node->last)
			break;
		first = ulast + 1;
	}
	host_memory.forbidden = true;
	if (!consumers_end_at(&span->consumers, node->start))
		runs_join(&span->runs, node->start);
	if (!consumers_end_at(&span->consumers, node->last + 1))
		runs_join(&span->runs, node->last + 1);
	host_memory.forbidden = false;
}

/*
 * Pin and record what is missing. False when a pin or an allocation failed.
 * The owner does not lock while it pins: others may be removed meanwhile.
 */
static bool consumer_fill(struct span *span, struct choices *choices,
			  const struct interval_tree_node *node,
			  unsigned int batch, unsigned int pins)
{
	unsigned long hole_first, hole_last;
	struct run add[NR_PAGES];

	while (runs_next_hole(&span->runs, node->start, node->last, &hole_first,
			      &hole_last)) {
		bool merge = false;

		while (hole_first <= hole_last) {
			unsigned int first = hole_first - span->base;
			unsigned int pages = hole_last - hole_first + 1, n;
			unsigned int done;

			if (!pins--)
				return false;
			if (!choose(choices, 16)) {
				unsigned int c = choose(choices, NR_CONSUMERS);

				if (span->used[c] &&
				    node != &span->consumer[c]) {
					consumer_remove(span, c);
					span->overtaken++;
				}
			}
			n = span_pin(span, choices, add, batch, &pages);
			hole_first += pages;
			done = runs_add(&span->runs, span->base + first, add, n,
					hole_last + 1 - hole_first, merge);
			expect(done <= n);
			span_record(span, first, add, done);
			if (done < n)
				return false;
			merge = true;
		}
	}
	return true;
}

static void consumer_add(struct span *span, struct choices *choices,
			 unsigned int c, unsigned int first, unsigned int last)
{
	struct interval_tree_node *node = &span->consumer[c];
	unsigned int batch = 1 + choose(choices, choose(choices, 2) ? 4 : 64);
	unsigned int pins = choose(choices, 8) ? NR_PAGES : choose(choices, 5);
	unsigned long nr_runs = count_runs(&span->runs);
	unsigned int overtaken = span->overtaken;
	u64 before[NR_PAGES];
	bool ok;

	if (!choose(choices, 3)) {
		host_memory.fail_in = 1 + choose(choices, 12);
		span->removed = true;
	}
	memset(node, 0, sizeof(*node));
	node->start = span->base + first;
	node->last = span->base + last;
	memcpy(before, span->pfn, sizeof(before));

	if (runs_cut(&span->runs, node->start)) {
		expect_eq(count_runs(&span->runs), nr_runs);
		host_memory.fail_in = 0;
		return;
	}
	/* A chunk may have been split there; that boundary would stay. */
	if (runs_cut(&span->runs, node->last + 1)) {
		if (!consumers_end_at(&span->consumers, node->start))
			runs_join(&span->runs, node->start);
		host_memory.fail_in = 0;
		return;
	}
	interval_tree_insert(node, &span->consumers);
	span->used[c] = true;
	ok = consumer_fill(span, choices, node, batch, pins);
	host_memory.fail_in = 0;
	if (ok)
		return;

	/* Failed half-way: consistent as it is, and wholly old when removed. */
	span->removed = true;
	span_check_structure(span);
	span_check_contents(span);
	span_check_bound(span);
	consumer_remove(span, c);
	if (overtaken == span->overtaken)
		expect(!memcmp(before, span->pfn, sizeof(before)));
}

static unsigned long choose_base(struct choices *choices)
{
	switch (choose(choices, 3)) {
	case 0:
		return 0;
	case 1:
		return 1;
	default:
		return (1ul << 52) - NR_PAGES - 1;
	}
}

/* What the owner of a span does. */
static void contract_model(struct choices *choices)
{
	struct span span;
	unsigned int i, c;

	host_reset();
	span_init(&span, choose_base(choices));
	while (choices_left(choices)) {
		unsigned int first, last;

		first = choose(choices, NR_PAGES);
		last = first + choose(choices, choose(choices, 3) ?
					       NR_PAGES : 8);
		last = min_t(unsigned int, last, NR_PAGES - 1);
		c = choose(choices, NR_CONSUMERS);
		if (span.used[c])
			consumer_remove(&span, c);
		else
			consumer_add(&span, choices, c, first, last);

		span_check_ends(&span, first, last);
		span_check_hole(&span, first, last);
		span_check_read(&span, first, last, choose(choices, 9));
		span_check_consumers(&span, first, last);
		if (!host_step(choices))
			continue;
		span_check_structure(&span);
		span_check_contents(&span);
		span_check_bound(&span);
		for (i = 0; i < NR_PAGES; i++)
			expect_eq(span.pfn[i] != NOT_PINNED,
				  span_covered(&span, i));
	}
	for (c = 0; c < NR_CONSUMERS; c++)
		if (span.used[c])
			consumer_remove(&span, c);
	expect_eq(count_runs(&span.runs), 0);
	expect_eq(span.runs.nr_pages, 0);
	expect(RB_EMPTY_ROOT(&span.runs.chunks));
	expect_eq(span.runs.solo.nr, 0);
	expect_eq(host_memory.live, 0);
	expect_eq(host_warnings, 0);
}

/* A boundary that must be there shows as a run that ends. */
static void raw_check_cuts(const struct span *span)
{
	struct run out[2];
	unsigned int i;

	for (i = 1; i < NR_PAGES; i++) {
		if (!span->cut[i] || span->pfn[i - 1] == NOT_PINNED ||
		    span->pfn[i] == NOT_PINNED)
			continue;
		expect_eq(runs_read(&span->runs, span->base + i - 1,
				    span->base + i, out, 2), 2);
	}
}

static void raw_add(struct span *span, struct choices *choices,
		    unsigned int first, unsigned int last)
{
	unsigned int pages, n, done, limit = 0;
	struct run add[NR_PAGES];
	unsigned long more;
	bool merge;

	while (first < NR_PAGES && span->pfn[first] != NOT_PINNED)
		first++;
	if (first == NR_PAGES)
		return;
	last = max(last, first);
	while (first + limit < NR_PAGES && first + limit <= last &&
	       span->pfn[first + limit] == NOT_PINNED)
		limit++;
	pages = limit;
	n = span_pin(span, choices, add, 1 + choose(choices, NR_PAGES - 1),
		     &pages);
	/* A hint, and nobody has to believe it. */
	more = choose(choices, 3) ? 0 : limit - pages;
	merge = choose(choices, 2);
	if (!choose(choices, 4)) {
		host_memory.fail_in = 1 + choose(choices, 3);
		span->removed = true;
	}
	done = runs_add(&span->runs, span->base + first, add, n, more, merge);
	expect(done <= n);
	if (done < n)
		expect_eq(host_memory.fail_in, 0);
	host_memory.fail_in = 0;
	if (done)
		span->cut[first] = !merge;
	/* Room for what was expected may be left over. */
	span->removed |= more;
	limit = span_record(span, first, add, done);
	/* What is behind is never merged with, what is within always. */
	if (done)
		span->cut[first + limit] = true;
	while (limit-- > 1)
		span->cut[first + limit] = false;
}

/* Any order of calls that the header permits. */
static void raw_model(struct choices *choices)
{
	struct span span;

	host_reset();
	span_init(&span, choose_base(choices));
	while (choices_left(choices)) {
		unsigned int first, last;
		unsigned long calls;
		int rc;

		first = choose(choices, NR_PAGES);
		last = first + choose(choices, choose(choices, 2) ?
					       NR_PAGES : 5);
		last = min_t(unsigned int, last, NR_PAGES - 1);
		switch (choose(choices, 5)) {
		case 0:
		case 1:
			raw_add(&span, choices, first, last);
			break;
		case 2:
			if (!choose(choices, 4))
				host_memory.fail_in = 1;
			calls = host_memory.calls;
			rc = runs_cut(&span.runs, span.base + first);
			expect(!rc || rc == -ENOMEM);
			if (rc)
				expect(host_memory.calls == calls + 1 &&
				       !host_memory.fail_in);
			else
				span.cut[first] = true;
			host_memory.fail_in = 0;
			break;
		case 3:
			host_memory.forbidden = true;
			runs_join(&span.runs, span.base + first);
			host_memory.forbidden = false;
			span.cut[first] = false;
			span.removed = true;
			break;
		default:
			if (runs_cut(&span.runs, span.base + first) ||
			    runs_cut(&span.runs, span.base + last + 1))
				break;
			span_drop(&span, first, last);
			break;
		}
		span_check_ends(&span, first, last);
		span_check_hole(&span, first, last);
		span_check_read(&span, first, last, choose(choices, 9));
		if (!host_step(choices))
			continue;
		span_check_structure(&span);
		span_check_contents(&span);
		raw_check_cuts(&span);
	}
	span_drop(&span, 0, NR_PAGES - 1);
	expect_eq(count_runs(&span.runs), 0);
	expect_eq(host_memory.live, 0);
	expect_eq(host_warnings, 0);
}

#endif
