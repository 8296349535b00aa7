// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev plan: what locked memory and pages a VM or process with devices will need,
 * against the limits that are in force.
 *
 * What is counted. All memory of a VM with an assigned device is pinned, once: the
 * devices of one address space share it, and how many there are does not matter. A
 * program with several of them that have all memory, as QEMU has with a virtual IOMMU
 * and containers, pins it once for each, and each counts: --spaces. On top comes what QEMU maps besides RAM
 * (video memory, firmware, ROMs): --extra. I/O page tables are not pinned memory and
 * do not count against RLIMIT_MEMLOCK, but they are memory: 8 bytes a page, at the
 * size of pages that the IOMMU and the memory both have.
 *
 * The limits are those of a process (--pid), or of who runs this: limits are
 * inherited. Everything is read; nothing is changed.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contexts.h"
#include "json.h"
#include "options.h"
#include "size.h"

#define PAGE		4096ull
#define TABLE_ENTRIES	512

/**
 * struct plan - what is needed, and what there is
 * @memory: of the VM, bytes
 * @extra: mapped besides, bytes
 * @spaces: how often it is pinned
 * @page: size of the pages that the memory has
 * @pid: whose limits; 0: those of this process
 * @pinned: bytes that will be locked
 * @tables: bytes of I/O page tables
 * @is_exempt: CAP_IPC_LOCK: the limit does not count
 * @limit: RLIMIT_MEMLOCK, bytes; UINT64_MAX for none
 * @hard: the same, hard
 * @used: bytes that contexts of the same user have locked
 * @huge_total: huge pages of @page
 * @huge_free: those that are free
 * @cgroup_limit: memory.max, bytes; UINT64_MAX for none
 * @cgroup_used: memory.current
 * @available: MemAvailable, bytes
 */
struct plan {
	uint64_t memory, extra, spaces, page;
	pid_t pid;
	uint64_t pinned, tables;
	bool is_exempt;
	uint64_t limit, hard, used;
	uint64_t huge_total, huge_free;
	uint64_t cgroup_limit, cgroup_used;
	uint64_t available;
};

/* ------------------------------------------------------------------ small files */

/* The first line of a file below the root that is looked at; false if there is none. */
static bool read_line(char *buf, size_t size, const char *fmt, const char *name)
{
	char path[4096];
	bool good;
	FILE *file;
	int length;

	length = snprintf(path, sizeof(path), "%s", tool_host->root);
	snprintf(path + length, sizeof(path) - length, fmt, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	good = fgets(buf, size, file);
	fclose(file);
	if (good)
		buf[strcspn(buf, "\n")] = '\0';
	return good;
}

static const char *pid_text(pid_t pid)
{
	static char text[16];

	if (!pid)
		return "self";
	snprintf(text, sizeof(text), "%d", (int)pid);
	return text;
}

/* The line of a file of a process, or of all, that begins with @key */
static bool find_line(const char *file, const char *key, char *buf, size_t size)
{
	char path[4096];
	FILE *in;
	bool found = false;

	snprintf(path, sizeof(path), "%s/proc/%s", tool_host->root, file);
	in = fopen(path, "re");
	if (!in)
		return false;
	while (!found && fgets(buf, size, in))
		found = !strncmp(buf, key, strlen(key));
	fclose(in);
	if (found)
		memmove(buf, buf + strlen(key), strlen(buf + strlen(key)) + 1);
	return found;
}

/* ------------------------------------------------------------ what there is */

static uint64_t limit_number(const char *text)
{
	return !strncmp(text, "unlimited", 9) || !strncmp(text, "max", 3) ? UINT64_MAX :
		strtoull(text, NULL, 10);
}

static int read_limits(struct plan *plan)
{
	char file[64], line[256], soft[32], hard[32];

	snprintf(file, sizeof(file), "%s/limits", pid_text(plan->pid));
	if (!find_line(file, "Max locked memory", line, sizeof(line)) ||
	    sscanf(line, "%31s %31s", soft, hard) != 2)
		return -ESRCH;
	plan->limit = limit_number(soft);
	plan->hard = limit_number(hard);
	snprintf(file, sizeof(file), "%s/status", pid_text(plan->pid));
	if (find_line(file, "CapEff:", line, sizeof(line)))
		plan->is_exempt = strtoull(line, NULL, 16) >> 14 & 1;
	return 0;
}

/* What contexts of the same user have locked already. */
static void read_used(struct plan *plan)
{
	char file[64], line[256];
	struct context *contexts;
	struct vcdev_error err;
	unsigned int uid;
	ssize_t nr, i;

	snprintf(file, sizeof(file), "%s/status", pid_text(plan->pid));
	if (!find_line(file, "Uid:", line, sizeof(line)))
		return;
	uid = strtoul(line, NULL, 10);
	nr = contexts_read(0, &contexts, NULL, &err);
	if (nr < 0)
		return;
	for (i = 0; i < nr; i++)
		if (contexts[i].file.uid == uid)
			plan->used += contexts[i].charged;
	contexts_free(contexts, nr);
}

static void read_huge_pages(struct plan *plan)
{
	char kib[32], line[64];

	if (plan->page == PAGE)
		return;
	snprintf(kib, sizeof(kib), "%" PRIu64, plan->page / 1024);
	if (read_line(line, sizeof(line), "/sys/kernel/mm/hugepages/hugepages-%skB/nr_hugepages",
		      kib))
		plan->huge_total = strtoull(line, NULL, 10);
	if (read_line(line, sizeof(line), "/sys/kernel/mm/hugepages/hugepages-%skB/free_hugepages",
		      kib))
		plan->huge_free = strtoull(line, NULL, 10);
}

/* Version 2: the tightest limit from the process's cgroup up to the root. */
static void read_cgroup(struct plan *plan)
{
	char file[64], path[2048], line[64], *slash;
	uint64_t limit, used;

	plan->cgroup_limit = UINT64_MAX;
	snprintf(file, sizeof(file), "%s/cgroup", pid_text(plan->pid));
	if (!find_line(file, "0::", path, sizeof(path)))
		return;
	path[strcspn(path, "\n")] = '\0';
	while (path[0] && (slash = strrchr(path, '/'))) {
		if (read_line(line, sizeof(line), "/sys/fs/cgroup%s/memory.max", path)) {
			limit = limit_number(line);
			used = 0;
			if (read_line(line, sizeof(line), "/sys/fs/cgroup%s/memory.current",
				      path))
				used = strtoull(line, NULL, 10);
			if (limit < plan->cgroup_limit) {
				plan->cgroup_limit = limit;
				plan->cgroup_used = used;
			}
		}
		*slash = '\0';
	}
}

static void read_memory(struct plan *plan)
{
	char line[256];

	if (find_line("meminfo", "MemAvailable:", line, sizeof(line)))
		plan->available = strtoull(line, NULL, 10) * 1024;
}

/* ------------------------------------------------------------- what is needed */

/* Four levels for pages of 4 KiB, one less for 2 MiB, two for 1 GiB */
static uint64_t tables_for(uint64_t bytes, uint64_t page)
{
	unsigned int level, levels = page == PAGE ? 4 : page == 2 << 20 ? 3 : 2;
	uint64_t entries = (bytes + page - 1) / page, tables = 0;

	for (level = 0; level < levels; level++) {
		entries = (entries + TABLE_ENTRIES - 1) / TABLE_ENTRIES;
		tables += entries;
	}
	return tables * PAGE;
}

static void compute(struct plan *plan)
{
	plan->pinned = (plan->memory + plan->extra) * plan->spaces;
	plan->tables = (tables_for(plan->memory, plan->page) +
			tables_for(plan->extra, PAGE)) * plan->spaces;
}

/* ------------------------------------------------------------------ checks */

/**
 * struct check - one limit
 * @id: does not change between versions
 * @is_good: there is enough
 * @text: what is needed and what there is
 * @next: what to do if not
 */
struct check {
	const char *id;
	bool is_good;
	char text[256], next[256];
};

#define MAX_CHECKS 8

static void check_memlock(const struct plan *plan, struct check *check)
{
	char needed[SIZE_TEXT], used[SIZE_TEXT], limit[SIZE_TEXT];

	check->id = "memlock";
	size_text(plan->pinned, needed);
	if (plan->is_exempt || plan->limit == UINT64_MAX) {
		check->is_good = true;
		snprintf(check->text, sizeof(check->text), "%s to lock, %s", needed,
			 plan->is_exempt ? "exempt from limits (CAP_IPC_LOCK)" : "no limit");
		return;
	}
	check->is_good = plan->used <= plan->limit && plan->pinned <= plan->limit - plan->used;
	snprintf(check->text, sizeof(check->text), "%s to lock, %s in use, limit %s", needed,
		 size_text(plan->used, used), size_text(plan->limit, limit));
	if (plan->used + plan->pinned <= plan->hard)
		snprintf(check->next, sizeof(check->next), "ulimit -l %" PRIu64 ", or for a "
			 "service LimitMEMLOCK=%" PRIu64, (plan->used + plan->pinned + 1023) / 1024,
			 plan->used + plan->pinned);
	else
		snprintf(check->next, sizeof(check->next), "raise the hard limit: 'memlock %"
			 PRIu64 "' in /etc/security/limits.conf, for a service LimitMEMLOCK=%"
			 PRIu64, (plan->used + plan->pinned + 1023) / 1024,
			 plan->used + plan->pinned);
}

static void check_huge(const struct plan *plan, struct check *check)
{
	uint64_t needed = (plan->memory + plan->page - 1) / plan->page;
	char page[SIZE_TEXT];

	check->id = "hugepages";
	check->is_good = needed <= plan->huge_free;
	snprintf(check->text, sizeof(check->text), "%" PRIu64 " pages of %s, %" PRIu64
		 " of %" PRIu64 " are free", needed, size_text(plan->page, page), plan->huge_free,
		 plan->huge_total);
	snprintf(check->next, sizeof(check->next), "echo %" PRIu64
		 " > /sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages",
		 plan->huge_total + needed - (needed < plan->huge_free ? needed : plan->huge_free),
		 plan->page / 1024);
}

static void check_cgroup(const struct plan *plan, struct check *check)
{
	/* Huge pages are counted by another controller. */
	uint64_t needed = plan->extra + plan->tables + (plan->page == PAGE ? plan->memory : 0);
	char text[SIZE_TEXT], used[SIZE_TEXT], limit[SIZE_TEXT];

	check->id = "cgroup";
	size_text(needed, text);
	if (plan->cgroup_limit == UINT64_MAX) {
		check->is_good = true;
		snprintf(check->text, sizeof(check->text), "%s of memory, no limit", text);
		return;
	}
	check->is_good = plan->cgroup_used <= plan->cgroup_limit &&
		needed <= plan->cgroup_limit - plan->cgroup_used;
	snprintf(check->text, sizeof(check->text), "%s of memory, %s in use, memory.max %s", text,
		 size_text(plan->cgroup_used, used), size_text(plan->cgroup_limit, limit));
	snprintf(check->next, sizeof(check->next), "raise memory.max of its cgroup to %" PRIu64
		 ", for a service MemoryMax=", plan->cgroup_used + needed);
}

static void check_memory(const struct plan *plan, struct check *check)
{
	uint64_t needed = plan->extra + plan->tables + (plan->page == PAGE ? plan->memory : 0);
	char text[SIZE_TEXT], available[SIZE_TEXT];

	check->id = "memory";
	check->is_good = needed <= plan->available;
	snprintf(check->text, sizeof(check->text), "%s at once, %s available: pinned memory is not "
		 "swapped", size_text(needed, text), size_text(plan->available, available));
	snprintf(check->next, sizeof(check->next), "give it less memory, or end something else");
}

static size_t check_all(const struct plan *plan, struct check *checks)
{
	size_t nr = 0;

	check_memlock(plan, &checks[nr++]);
	if (plan->page != PAGE)
		check_huge(plan, &checks[nr++]);
	check_cgroup(plan, &checks[nr++]);
	if (plan->available)
		check_memory(plan, &checks[nr++]);
	return nr;
}

/* ---------------------------------------------------------------------- output */

static void print_text(const struct plan *plan, const struct check *checks, size_t nr)
{
	char text[SIZE_TEXT], other[SIZE_TEXT], page[SIZE_TEXT];
	size_t i;

	printf("to map        %s and %s besides, in %" PRIu64 " address space%s\n",
	       size_text(plan->memory, text), size_text(plan->extra, other), plan->spaces,
	       plan->spaces == 1 ? "" : "s");
	printf("locked        %s\n", size_text(plan->pinned, text));
	printf("page tables   %s with pages of %s\n", size_text(plan->tables, text),
	       size_text(plan->page, page));
	for (i = 0; i < nr; i++) {
		printf("%-12s  %s: %s\n", checks[i].id, checks[i].is_good ? "enough" : "TOO LITTLE",
		       checks[i].text);
		if (!checks[i].is_good)
			printf("  next: %s\n", checks[i].next);
	}
}

static int print_json(const struct plan *plan, const struct check *checks, size_t nr)
{
	struct json_object *root = json_object_new_object(), *array, *element;
	int rc = root ? 0 : -ENOMEM;
	size_t i;

	json_add_number(root, "memory", plan->memory, &rc);
	json_add_number(root, "extra", plan->extra, &rc);
	json_add_number(root, "address_spaces", plan->spaces, &rc);
	json_add_number(root, "page_size", plan->page, &rc);
	json_add_number(root, "locked", plan->pinned, &rc);
	json_add_number(root, "page_tables", plan->tables, &rc);
	array = json_add_array(root, "checks", &rc);
	for (i = 0; i < nr; i++) {
		element = json_add_element(array, &rc);
		json_add_string(element, "id", checks[i].id, &rc);
		json_add_bool(element, "enough", checks[i].is_good, &rc);
		json_add_string(element, "text", checks[i].text, &rc);
		json_add_string(element, "next", checks[i].is_good ? "" : checks[i].next, &rc);
	}
	return json_print(root, rc);
}

/* --------------------------------------------------------------------- command line */

static int parse_amount(const char *option, const char *text, uint64_t *bytes)
{
	if (!text)
		return EXIT_OK;
	/* 2^56 is more than any machine has, and small enough to multiply. */
	if (!size_parse(text, bytes) || *bytes > 1ull << 56)
		return report_usage("plan", "'%s' is no size for %s", text, option);
	return EXIT_OK;
}

static int parse_count(const char *option, const char *text, uint64_t *number, uint64_t most)
{
	char *end;

	if (!text)
		return EXIT_OK;
	errno = 0;
	*number = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end || errno || !*number || *number > most)
		return report_usage("plan", "'%s' is no number for %s", text, option);
	return EXIT_OK;
}

static int run_plan(int argc, char **argv)
{
	struct plan plan = { .spaces = 1, .page = PAGE, .extra = 64 << 20 };
	const char *memory = NULL, *extra = NULL, *spaces = NULL, *page = NULL, *pid = NULL;
	struct check checks[MAX_CHECKS] = { 0 };
	bool json = false, ordinary = false;
	const struct option_of table[] = {
		{ "json", 'j', &json, NULL },
		{ "unprivileged", 'u', &ordinary, NULL },
		{ "memory", 'm', NULL, &memory },
		{ "extra", 0, NULL, &extra },
		{ "spaces", 0, NULL, &spaces },
		{ "pages", 0, NULL, &page },
		{ "pid", 'p', NULL, &pid },
		{ 0 }
	};
	uint64_t number = 0;
	struct vcdev_pci *pcis;
	size_t nr, i;
	int first, status;

	first = parse_option_table(&command_plan, argc, argv, table);
	if (first < 0)
		return -1 - first;
	if (!memory)
		return report_usage("plan", "how much memory? (-m 8G)");
	if (parse_amount("--memory", memory, &plan.memory) ||
	    parse_amount("--extra", extra, &plan.extra) ||
	    parse_amount("--pages", page, &plan.page) ||
	    parse_count("--spaces", spaces, &plan.spaces, 256) ||
	    parse_count("--pid", pid, &number, INT32_MAX))
		return EXIT_USAGE;
	if (plan.page != PAGE && plan.page != 2 << 20 && plan.page != 1 << 30)
		return report_usage("plan", "pages are 4K, 2M or 1G");
	plan.pid = number;
	/* Devices do not change the sum; that they exist is worth knowing. */
	status = look_at_all("plan", argc - first, argv + first, &pcis);
	if (status)
		return status;
	free(pcis);
	if (read_limits(&plan)) {
		fprintf(stderr, "vfio-cdev: plan: cannot read the limits of process %s\n",
			pid_text(plan.pid));
		return EXIT_FAILED;
	}
	if (ordinary)
		plan.is_exempt = false;
	read_used(&plan);
	read_huge_pages(&plan);
	read_cgroup(&plan);
	read_memory(&plan);
	compute(&plan);
	nr = check_all(&plan, checks);
	if (!json) {
		print_text(&plan, checks, nr);
	} else if (print_json(&plan, checks, nr)) {
		fprintf(stderr, "vfio-cdev: plan: out of memory\n");
		return EXIT_FAILED;
	}
	for (i = 0; i < nr; i++)
		if (!checks[i].is_good)
			return EXIT_FAILED;
	return EXIT_OK;
}

const struct command command_plan = {
	.name = "plan",
	.args = "-m SIZE [OPTION...] [BDF...]",
	.summary = "say what locked memory a VM or process will need, and if the limits allow it",
	.details =
		"  -m, --memory SIZE  memory of the VM or process that devices reach\n"
		"      --extra SIZE   mapped besides: video memory, firmware (64M)\n"
		"      --spaces N     address spaces that have all of it (1); QEMU with a virtual\n"
		"                     IOMMU and containers: one for each device\n"
		"      --pages SIZE   pages of the memory: 4K (default), 2M or 1G\n"
		"  -p, --pid PID      against the limits of this process, not of this shell\n"
		"  -u, --unprivileged as if it had no CAP_IPC_LOCK, which root has\n"
		"  -j, --json         machine-readable\n"
		"\n"
		"Devices of one address space share what is pinned, so their number does not\n"
		"matter; they are looked at all the same. Exit status 1: too little of something.\n",
	.run = run_plan,
};
