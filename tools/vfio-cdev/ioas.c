// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev ioas: what contexts map, from their fdinfo. Nothing is opened and nothing
 * of the process is stopped; what changes meanwhile may be in the text or not.
 */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "contexts.h"
#include "json.h"
#include "options.h"
#include "picture.h"
#include "size.h"

static unsigned int terminal_width(void)
{
	const char *columns = getenv("COLUMNS");
	struct winsize size;

	if (isatty(1) && !ioctl(1, TIOCGWINSZ, &size) && size.ws_col)
		return size.ws_col;
	return columns && atoi(columns) > 0 ? atoi(columns) : 80;
}

static void print_sizes(uint64_t pgsizes)
{
	static const char units[] = "BKMGTPE";
	unsigned int bit;

	for (bit = 0; bit < 64; bit++)
		if (pgsizes >> bit & 1)
			printf(" %u%c", 1u << bit % 10, units[bit / 10]);
}

static uint64_t range_size(const struct range *range)
{
	/* 2^64 bytes have no number: one too few is what is shown. */
	return range->last - range->start == UINT64_MAX ? UINT64_MAX :
		range->last - range->start + 1;
}

static void print_ranges(const struct context *context, const struct ioas *ioas)
{
	static const char *const words[] = { "mapped", "reserved", "allowed" };
	char size[SIZE_TEXT];
	size_t i;

	for (i = 0; i < context->nr_ranges; i++) {
		const struct range *range = &context->ranges[i];

		if (range->ioas != ioas->id)
			continue;
		printf("    0x%016" PRIx64 " to 0x%016" PRIx64 " %9s  %s", range->start,
		       range->last, size_text(range_size(range), size), words[range->kind]);
		if (range->text[0])
			printf(" %s", range->text);
		if (range->state[0] && strcmp(range->state, "ready"))
			printf(" (%s)", range->state);
		if (range->where[0])
			printf(" %s", range->where);
		putchar('\n');
	}
	if (ioas->is_cut)
		puts("    and more, which the kernel does not list");
}

static int print_ioas(const struct context *context, const struct ioas *ioas)
{
	char mapped[SIZE_TEXT], pinned[SIZE_TEXT];
	struct piece *pieces;
	size_t i, nr;

	printf("  IOAS %u: %s mapped in %" PRIu64 " mapping%s, %s pinned\n", ioas->id,
	       size_text(ioas->mapped, mapped), ioas->mappings, ioas->mappings == 1 ? "" : "s",
	       size_text(ioas->pinned, pinned));
	if (ioas->is_counted)
		printf("    so far: %" PRIu64 " map%s, %s; %" PRIu64 " unmap%s, %s\n", ioas->maps,
		       ioas->maps == 1 ? "" : "s", size_text(ioas->map_bytes, mapped),
		       ioas->unmaps, ioas->unmaps == 1 ? "" : "s",
		       size_text(ioas->unmap_bytes, pinned));
	for (i = 0; i < context->nr_hwpts; i++) {
		const struct hwpt *hwpt = &context->hwpts[i];

		if (hwpt->ioas != ioas->id)
			continue;
		printf("    page table %u, %s, up to 0x%" PRIx64 ", pages of", hwpt->id,
		       hwpt->kind, hwpt->last);
		print_sizes(hwpt->pgsizes);
		printf("%s%s\n", hwpt->coherent ? ", coherent" : "",
		       hwpt->broken ? ", BROKEN: see dmesg" : "");
	}
	for (i = 0; i < context->nr_devices; i++) {
		const struct device *device = &context->devices[i];

		if (device->ioas != ioas->id)
			continue;
		if (device->is_access)
			printf("    emulated device %u\n", device->id);
		else
			printf("    device %s, group %d, page table %u\n", device->name,
			       device->group, device->hwpt);
	}
	print_ranges(context, ioas);
	nr = picture_cut(context, ioas->id, &pieces);
	if (!nr)
		return -ENOMEM;
	picture_print(pieces, nr, terminal_width() > 8 ? terminal_width() - 5 : 20);
	free(pieces);
	return 0;
}

static int print_context(const struct context *context)
{
	const struct vcdev_file *file = &context->file;
	struct passwd *user = getpwuid(file->uid);
	char charged[SIZE_TEXT], used[SIZE_TEXT], limit[SIZE_TEXT];
	size_t i;
	int rc = 0;

	printf("process %d (%s), user %s%.0d, fd %d", (int)file->pid, file->comm,
	       user ? user->pw_name : "", 0, file->fd);
	if (!user)
		printf(" (uid %u)", file->uid);
	if (!context->is_told) {
		puts(": this kernel does not tell what is in a context");
		return 0;
	}
	printf(": context %u\n", file->context);
	if (context->nr_holders > 1)
		printf("  open in %u files\n", context->nr_holders);
	printf("  locked memory: %s here", size_text(context->charged, charged));
	if (context->limit_of[0])
		printf(", %s of the %s, limit %s", size_text(context->used, used),
		       context->limit_of, context->limit == UINT64_MAX ? "none" :
		       size_text(context->limit, limit));
	putchar('\n');
	if (context->failures)
		printf("  failures: %" PRIu64 "\n", context->failures);
	for (i = 0; i < context->nr_last && (!i || tool_verbose); i++)
		printf("  last: %s %s, %s: %s\n", context->last[i].time, context->last[i].op,
		       context->last[i].error, context->last[i].reason);
	for (i = 0; i < context->nr_devices; i++)
		if (!context->devices[i].ioas)
			printf("  device %s, group %d, bound, not attached\n",
			       context->devices[i].name, context->devices[i].group);
	for (i = 0; i < context->nr_ioas && !rc; i++)
		rc = print_ioas(context, &context->ioas[i]);
	return rc;
}

/* ------------------------------------------------------------------------- JSON */

static void json_ranges(struct json_object *object, const struct context *context,
			uint32_t ioas, enum range_kind kind, const char *key, int *rc)
{
	struct json_object *array = json_add_array(object, key, rc), *element;
	size_t i;

	for (i = 0; i < context->nr_ranges; i++) {
		const struct range *range = &context->ranges[i];

		if (range->ioas != ioas || range->kind != kind)
			continue;
		element = json_add_element(array, rc);
		json_add_format(element, "start", rc, "0x%" PRIx64, range->start);
		json_add_format(element, "last", rc, "0x%" PRIx64, range->last);
		if (kind == RANGE_MAPPING) {
			json_add_string(element, "prot", range->text, rc);
			json_add_string(element, "state", range->state, rc);
		} else if (kind == RANGE_RESERVED) {
			json_add_string(element, "kind", range->text, rc);
		}
		json_add_string(element, "of", range->where, rc);
	}
}

static void json_ioas(struct json_object *array, const struct context *context,
		      const struct ioas *ioas, int *rc)
{
	struct json_object *object = json_add_element(array, rc), *list, *element;
	size_t i;

	json_add_number(object, "id", ioas->id, rc);
	json_add_number(object, "mappings_total", ioas->mappings, rc);
	json_add_number(object, "mapped", ioas->mapped, rc);
	json_add_number(object, "pinned", ioas->pinned, rc);
	json_add_number(object, "alignment", ioas->align, rc);
	json_add_bool(object, "lists_are_cut", ioas->is_cut, rc);
	if (ioas->is_counted) {
		json_add_number(object, "maps", ioas->maps, rc);
		json_add_number(object, "map_bytes", ioas->map_bytes, rc);
		json_add_number(object, "unmaps", ioas->unmaps, rc);
		json_add_number(object, "unmap_bytes", ioas->unmap_bytes, rc);
	}
	list = json_add_array(object, "page_tables", rc);
	for (i = 0; i < context->nr_hwpts; i++) {
		const struct hwpt *hwpt = &context->hwpts[i];

		if (hwpt->ioas != ioas->id)
			continue;
		element = json_add_element(list, rc);
		json_add_number(element, "id", hwpt->id, rc);
		json_add_string(element, "kind", hwpt->kind, rc);
		json_add_number(element, "groups", hwpt->groups, rc);
		json_add_format(element, "first", rc, "0x%" PRIx64, hwpt->first);
		json_add_format(element, "last", rc, "0x%" PRIx64, hwpt->last);
		json_add_format(element, "page_sizes", rc, "0x%" PRIx64, hwpt->pgsizes);
		json_add_bool(element, "coherent", hwpt->coherent, rc);
		json_add_bool(element, "broken", hwpt->broken, rc);
	}
	json_ranges(object, context, ioas->id, RANGE_MAPPING, "mappings", rc);
	json_ranges(object, context, ioas->id, RANGE_RESERVED, "reserved", rc);
	json_ranges(object, context, ioas->id, RANGE_ALLOWED, "allowed", rc);
}

static void json_context(struct json_object *array, const struct context *context, int *rc)
{
	struct json_object *object = json_add_element(array, rc), *list, *element;
	size_t i;

	json_add_number(object, "pid", context->file.pid, rc);
	json_add_string(object, "comm", context->file.comm, rc);
	json_add_number(object, "uid", context->file.uid, rc);
	json_add_number(object, "fd", context->file.fd, rc);
	json_add_number(object, "context", context->file.context, rc);
	json_add_bool(object, "is_told", context->is_told, rc);
	if (!context->is_told)
		return;
	json_add_number(object, "charged", context->charged, rc);
	json_add_number(object, "memlock_used", context->used, rc);
	json_add_string(object, "memlock_of", context->limit_of, rc);
	if (context->limit == UINT64_MAX)
		json_add(object, "memlock_limit", NULL, rc);
	else
		json_add_number(object, "memlock_limit", context->limit, rc);
	json_add_number(object, "failures_total", context->failures, rc);
	list = json_add_array(object, "failures", rc);
	for (i = 0; i < context->nr_last; i++) {
		element = json_add_element(list, rc);
		json_add_number(element, "n", context->last[i].n, rc);
		json_add_string(element, "time", context->last[i].time, rc);
		json_add_number(element, "tid", context->last[i].tid, rc);
		json_add_string(element, "op", context->last[i].op, rc);
		json_add_string(element, "errno", context->last[i].error, rc);
		json_add_string(element, "reason", context->last[i].reason, rc);
	}
	list = json_add_array(object, "devices", rc);
	for (i = 0; i < context->nr_devices; i++) {
		const struct device *device = &context->devices[i];

		element = json_add_element(list, rc);
		json_add_number(element, "id", device->id, rc);
		json_add_string(element, "name", device->name, rc);
		json_add_bool(element, "emulated", device->is_access, rc);
		json_add_number(element, "group", device->group, rc);
		json_add_number(element, "ioas", device->ioas, rc);
		json_add_number(element, "hwpt", device->hwpt, rc);
	}
	list = json_add_array(object, "ioas", rc);
	for (i = 0; i < context->nr_ioas; i++)
		json_ioas(list, context, &context->ioas[i], rc);
}

static int print_json(const struct context *contexts, size_t nr, size_t nr_hidden)
{
	struct json_object *root = json_object_new_object(), *array;
	int rc = root ? 0 : -ENOMEM;
	size_t i;

	array = json_add_array(root, "contexts", &rc);
	for (i = 0; i < nr; i++)
		json_context(array, &contexts[i], &rc);
	json_add_bool(root, "complete", !nr_hidden, &rc);
	return json_print(root, rc);
}

/* ---------------------------------------------------------------------------------- */

static int write_svg(const char *path, const struct context *contexts, size_t nr)
{
	FILE *out = fopen(path, "we");
	int rc;

	if (!out) {
		fprintf(stderr, "vfio-cdev: ioas: %s: %s\n", path, strerror(errno));
		return EXIT_FAILED;
	}
	rc = picture_svg(out, contexts, nr);
	if (!rc && (fflush(out) || ferror(out)))
		rc = -errno;
	if (fclose(out) && !rc)
		rc = -errno;
	if (!rc)
		return EXIT_OK;
	fprintf(stderr, "vfio-cdev: ioas: %s: %s\n", path, strerror(-rc));
	return EXIT_FAILED;
}

static int show(const struct context *contexts, size_t nr, size_t nr_hidden, bool json,
		const char *svg)
{
	size_t i;
	int rc = 0;

	if (svg)
		return write_svg(svg, contexts, nr);
	if (json)
		rc = print_json(contexts, nr, nr_hidden);
	for (i = 0; i < nr && !json && !rc; i++) {
		if (i)
			putchar('\n');
		rc = print_context(&contexts[i]);
	}
	if (!rc)
		return EXIT_OK;
	fprintf(stderr, "vfio-cdev: ioas: %s\n", strerror(-rc));
	return EXIT_FAILED;
}

static int run_ioas(int argc, char **argv)
{
	const char *svg = NULL;
	bool json = false;
	const struct option_of table[] = {
		{ "json", 'j', &json, NULL },
		{ "svg", 0, NULL, &svg },
		{ 0 }
	};
	struct context *contexts;
	struct vcdev_error err;
	size_t nr_hidden = 0;
	long pid = 0;
	ssize_t nr;
	char *end;
	int first, status;

	first = parse_option_table(&command_ioas, argc, argv, table);
	if (first < 0)
		return -1 - first;
	if (argc - first > 1)
		return report_usage("ioas", "one process, or none for all");
	if (first < argc) {
		pid = strtol(argv[first], &end, 10);
		if (*end || pid < 1 || pid > INT32_MAX)
			return report_usage("ioas", "'%s' is no process", argv[first]);
	}
	nr = contexts_read(pid, &contexts, &nr_hidden, &err);
	if (nr < 0)
		return report(NULL, "ioas", &err);
	status = show(contexts, nr, nr_hidden, json, svg);
	contexts_free(contexts, nr);
	if (!nr && !tool_quiet)
		fprintf(stderr, pid ? "vfio-cdev: ioas: process %ld has no context\n" :
			"vfio-cdev: ioas: no process has a context\n", pid);
	remark_hidden("ioas", nr_hidden);
	return status ? status : !nr && pid ? EXIT_FAILED : EXIT_OK;
}

const struct command command_ioas = {
	.name = "ioas",
	.args = "[--json] [--svg FILE] [PID]",
	.summary = "show what contexts map, for which devices, and why calls failed",
	.details =
		"  -j, --json     machine-readable\n"
		"      --svg FILE a picture of the IOVA spaces instead\n"
		"  -v, --verbose  the last eight failures, not only the last\n"
		"\n"
		"Without PID: of all processes. The kernel lists 32 mappings of an IOAS; the\n"
		"sums are of all.\n",
	.run = run_ioas,
};
