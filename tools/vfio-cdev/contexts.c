// SPDX-License-Identifier: GPL-2.0
/*
 * Reading contexts from fdinfo. A line is "key:", a tab, then "name=value" pairs with
 * one blank between; "reason=" comes last and runs to the end. Keys and names that
 * are not known are passed over: the format may grow.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "contexts.h"

/* The value of @name in a line of pairs, into @buf; false if it is not there. */
static bool pair(const char *line, const char *name, char *buf, size_t size)
{
	size_t length = strlen(name);
	const char *at = line;

	buf[0] = '\0';
	while (*at) {
		if (!strncmp(at, name, length) && at[length] == '=') {
			at += length + 1;
			length = strcmp(name, "reason") ? strcspn(at, " ") : strlen(at);
			snprintf(buf, size, "%.*s", (int)length, at);
			return true;
		}
		if (!strncmp(at, "reason=", 7))
			break;
		at += strcspn(at, " ");
		at += strspn(at, " ");
	}
	return false;
}

static uint64_t pair_number(const char *line, const char *name)
{
	char text[32];

	return pair(line, name, text, sizeof(text)) ? strtoull(text, NULL, 0) : 0;
}

/* Room for one more in an array of @nr; NULL without memory. */
static void *grow(void **array, size_t *nr, size_t size)
{
	char *grown;

	/* A power of two, and full: twice as much */
	if (!(*nr & (*nr - 1))) {
		grown = reallocarray(*array, *nr ? 2 * *nr : 1, size);
		if (!grown)
			return NULL;
		*array = grown;
	}
	grown = *array;
	memset(grown + *nr * size, 0, size);
	return grown + (*nr)++ * size;
}

#define GROW(context, what)	\
	grow((void **)&(context)->what, &(context)->nr_##what, sizeof(*(context)->what))

static int add_range(struct context *context, enum range_kind kind, const char *line)
{
	struct range *range = GROW(context, ranges);
	char value[32];

	if (!range)
		return -ENOMEM;
	range->kind = kind;
	range->ioas = pair_number(line, "ioas");
	range->start = pair_number(line, "start");
	range->last = pair_number(line, "last");
	pair(line, kind == RANGE_MAPPING ? "prot" : "kind", range->text, sizeof(range->text));
	pair(line, "state", range->state, sizeof(range->state));
	if (pair(line, "user-va", value, sizeof(value)))
		snprintf(range->where, sizeof(range->where), "user-va=%s", value);
	else if (pair(line, "file-offset", value, sizeof(value)))
		snprintf(range->where, sizeof(range->where), "file-offset=%s", value);
	else if (pair(line, "group", value, sizeof(value)))
		snprintf(range->where, sizeof(range->where), "group=%s", value);
	else if (pair(line, "hwpt", value, sizeof(value)))
		snprintf(range->where, sizeof(range->where), "hwpt=%s", value);
	return 0;
}

static int add_ioas(struct context *context, const char *line)
{
	struct ioas *ioas = GROW(context, ioas);
	char maps[32];

	if (!ioas)
		return -ENOMEM;
	ioas->id = pair_number(line, "id");
	ioas->mapped = pair_number(line, "mapped");
	ioas->pinned = pair_number(line, "pinned");
	ioas->align = pair_number(line, "align");
	ioas->mappings = pair_number(line, "mappings");
	ioas->hwpts = pair_number(line, "hwpts");
	ioas->accesses = pair_number(line, "accesses");
	ioas->is_counted = pair(line, "maps", maps, sizeof(maps));
	ioas->maps = pair_number(line, "maps");
	ioas->unmaps = pair_number(line, "unmaps");
	ioas->map_bytes = pair_number(line, "map-bytes");
	ioas->unmap_bytes = pair_number(line, "unmap-bytes");
	return 0;
}

static int add_hwpt(struct context *context, const char *line)
{
	struct hwpt *hwpt = GROW(context, hwpts);

	if (!hwpt)
		return -ENOMEM;
	hwpt->id = pair_number(line, "id");
	hwpt->ioas = pair_number(line, "ioas");
	hwpt->groups = pair_number(line, "groups");
	hwpt->first = pair_number(line, "first");
	hwpt->last = pair_number(line, "last");
	hwpt->pgsizes = pair_number(line, "pgsizes");
	hwpt->coherent = pair_number(line, "coherent");
	hwpt->broken = pair_number(line, "broken");
	pair(line, "kind", hwpt->kind, sizeof(hwpt->kind));
	return 0;
}

static int add_device(struct context *context, const char *line, bool is_access)
{
	struct device *device = GROW(context, devices);
	char group[16];

	if (!device)
		return -ENOMEM;
	device->id = pair_number(line, "id");
	device->ioas = pair_number(line, "ioas");
	device->hwpt = pair_number(line, "hwpt");
	device->group = pair(line, "group", group, sizeof(group)) ? atoi(group) : -1;
	pair(line, "name", device->name, sizeof(device->name));
	device->is_access = is_access;
	return 0;
}

static void add_failure(struct context *context, const char *line)
{
	struct failure *failure = &context->last[context->nr_last];

	if (context->nr_last == MAX_FAILURES)
		return;
	context->nr_last++;
	failure->n = pair_number(line, "n");
	failure->tid = pair_number(line, "tid");
	pair(line, "time", failure->time, sizeof(failure->time));
	pair(line, "op", failure->op, sizeof(failure->op));
	pair(line, "errno", failure->error, sizeof(failure->error));
	pair(line, "reason", failure->reason, sizeof(failure->reason));
}

static void set_memlock(struct context *context, const char *line)
{
	char limit[32];

	pair(line, "of", context->limit_of, sizeof(context->limit_of));
	context->used = pair_number(line, "used");
	if (pair(line, "limit", limit, sizeof(limit)) && strcmp(limit, "none"))
		context->limit = strtoull(limit, NULL, 0);
}

/* What the ranges of an IOAS are not all: "more-mappings: ioas=1 from=..." */
static void mark_cut(struct context *context, const char *line)
{
	uint32_t id = pair_number(line, "ioas");
	size_t i;

	for (i = 0; i < context->nr_ioas; i++)
		if (context->ioas[i].id == id)
			context->ioas[i].is_cut = true;
}

static int add_line(struct context *context, const char *key, const char *value)
{
	if (!strcmp(key, "context"))
		context->is_told = true;
	else if (!strcmp(key, "charged"))
		context->charged = strtoull(value, NULL, 0);
	else if (!strcmp(key, "memlock"))
		set_memlock(context, value);
	else if (!strcmp(key, "failures"))
		context->failures = strtoull(value, NULL, 0);
	else if (!strcmp(key, "failure"))
		add_failure(context, value);
	else if (!strcmp(key, "ioas"))
		return add_ioas(context, value);
	else if (!strcmp(key, "mapping"))
		return add_range(context, RANGE_MAPPING, value);
	else if (!strcmp(key, "reserved"))
		return add_range(context, RANGE_RESERVED, value);
	else if (!strcmp(key, "allowed"))
		return add_range(context, RANGE_ALLOWED, value);
	else if (!strcmp(key, "hwpt"))
		return add_hwpt(context, value);
	else if (!strcmp(key, "device") || !strcmp(key, "access"))
		return add_device(context, value, key[0] == 'a');
	else if (!strncmp(key, "more-", 5))
		mark_cut(context, value);
	return 0;
}

/* A context that is gone meanwhile has nothing to tell; that is no failure. */
static int read_context(struct context *context)
{
	char path[4096], *line = NULL, *value;
	size_t size = 0;
	FILE *file;
	int rc = 0;

	context->limit = UINT64_MAX;
	context->nr_holders = 1;
	snprintf(path, sizeof(path), "%s/proc/%d/fdinfo/%d", tool_host->root,
		 (int)context->file.pid, context->file.fd);
	file = fopen(path, "re");
	if (!file)
		return 0;
	while (!rc && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		value = strchr(line, ':');
		if (!value)
			continue;
		*value++ = '\0';
		rc = add_line(context, line, value + strspn(value, " \t"));
	}
	free(line);
	fclose(file);
	return rc;
}

static void uninit(struct context *context)
{
	free(context->ioas);
	free(context->ranges);
	free(context->hwpts);
	free(context->devices);
}

void contexts_free(struct context *list, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		uninit(&list[i]);
	free(list);
}

/* Has it been seen in another file? One without a number is always itself. */
static bool is_known(struct context *list, size_t nr, const struct vcdev_file *file)
{
	size_t i;

	for (i = 0; i < nr && file->context; i++) {
		if (list[i].file.context == file->context) {
			list[i].nr_holders++;
			return true;
		}
	}
	return false;
}

ssize_t contexts_read(pid_t pid, struct context **list, size_t *nr_hidden,
		      struct vcdev_error *err)
{
	struct context *contexts;
	struct vcdev_file *files;
	ssize_t nr_files, i;
	size_t nr = 0;
	int rc = 0;

	nr_files = vcdev_files(tool_host, pid, &files, nr_hidden, err);
	if (nr_files < 0)
		return nr_files;
	contexts = calloc(nr_files ? nr_files : 1, sizeof(*contexts));
	for (i = 0; i < nr_files && contexts && !rc; i++) {
		if (files[i].kind != VCDEV_FILE_CONTEXT &&
		    (files[i].kind != VCDEV_FILE_CONTAINER || !files[i].context))
			continue;
		if (is_known(contexts, nr, &files[i]))
			continue;
		contexts[nr].file = files[i];
		rc = read_context(&contexts[nr++]);
	}
	free(files);
	if (!contexts || rc) {
		if (contexts)
			contexts_free(contexts, nr);
		err->code = -ENOMEM;
		strcpy(err->text, "out of memory");
		err->hint[0] = '\0';
		return -ENOMEM;
	}
	*list = contexts;
	return nr;
}
