// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel says against a program, or its count of pinned pages; which
 * program it was, and shortening it.
 *
 * All that the executors ran last is tried alone, some times over, until the
 * kernel complains again; then halves, quarters, ... single calls are left out as
 * long as it still does. That needs a kernel that complains more than once: boot
 * with kasan_multi_shot; WARN_ON_ONCE() is wound up again through debugfs. What
 * lockdep says it says once: shorten-vm starts a machine for each attempt.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../kselftest/iommufd_utils.h"
#include "vm.h"

#define TIMES	40

static int kmsg = -1;
static long pins;	/* when nobody runs */

void complaints_begin(void)
{
	kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg >= 0)
		lseek(kmsg, 0, SEEK_END);
	pins = pinned_now();
}

/* When nobody runs: what is pinned now will be for good. What is dying takes a moment. */
const char *complaint_of_pages(unsigned int seconds)
{
	static char text[64];
	long now = pinned_now();
	unsigned int i;

	for (i = 0; now != pins && i < seconds * 50; i++) {
		usleep(20000);
		now = pinned_now();
	}
	if (now == pins)
		return NULL;
	snprintf(text, sizeof(text), now > pins ? "%ld pages are left pinned" :
		 "%ld pages were unpinned once too often", labs(now - pins));
	pins = now;
	return text;
}

const char *complaint(void)
{
	static const char *const signs[] = {
		"WARNING: ", "BUG: ", "UBSAN: ", "Oops", "general protection",
		"refcount_t: ", "blocked for more than", "list_add corruption",
		"list_del corruption", "self-detected stall",
	};
	static char found[256];
	char line[2048];
	bool any = false;
	unsigned int i;
	ssize_t got;

	for (;;) {
		got = read(kmsg, line, sizeof(line) - 1);
		if (got < 0 && errno == EPIPE)
			continue;	/* some were overwritten */
		if (got <= 0)
			break;
		line[got] = '\0';
		for (i = 0; !any && i < sizeof(signs) / sizeof(signs[0]); i++) {
			char *text = strchr(line, ';');

			if (!text || !strstr(text, signs[i]))
				continue;
			text[1 + strcspn(text + 1, "\n")] = '\0';
			snprintf(found, sizeof(found), "%.250s", text + 1);
			any = true;
		}
	}
	return any ? found : NULL;
}

static void wind_up(void)
{
	int fd = open("/sys/kernel/debug/clear_warn_once", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		perror("clear_warn_once");
	close(fd);
}

static bool fails(const struct program *program)
{
	/* As many calls for a long one as for a short one, about */
	unsigned int times = program->nr > 400 ? TIMES / 8 : TIMES;

	wind_up();
	if (!program_try(program, times))
		return true;
	/* Freed memory of a quarantine, and the log, come a moment later. */
	usleep(20000);
	return complaint() || complaint_of_pages(2);
}

/* Nothing of it may be needed for chance's sake: seconds, not minutes. */
static void shorten(struct program *program, time_t end)
{
	static struct program try;
	unsigned int chunk, at, i;

	for (chunk = (program->nr + 1) / 2; chunk; chunk /= 2) {
		for (at = 0; at < program->nr && program->nr > 1 && time(NULL) < end;) {
			program_copy(&try, program);
			program_cut(&try, at, chunk);
			if (try.nr && fails(&try))
				program_copy(program, &try);
			else
				at += chunk;
		}
	}
	for (i = 0; i < program->nr && time(NULL) < end; i++) {
		program_copy(&try, program);
		try.calls[i].fault = 0;
		try.calls[i].thread = 0;
		try.calls[i].second = 0;
		if (memcmp(&try.calls[i], &program->calls[i], sizeof(try.calls[i])) &&
		    fails(&try))
			program_copy(program, &try);
	}
}

static void save(const char *dir, const char *name, unsigned int nr, const char *said,
		 const struct program *program)
{
	char path[4096];
	FILE *f;

	printf("# %s:\n", name);
	program_write(stdout, "#   ", program);
	if (!dir)
		return;
	snprintf(path, sizeof(path), "%s/%s-%u.txt", dir, name, nr);
	f = fopen(path, "w");
	if (!f) {
		perror(path);
		return;
	}
	fprintf(f, "# %s\n", said);
	program_write(f, "", program);
	fclose(f);
}

void crash_report(const char *dir, const char *said)
{
	time_t start = time(NULL);
	static struct program program;
	unsigned int i, back, nr = 0;
	char first[256];

	snprintf(first, sizeof(first), "%s", said);
	printf("# the kernel says: %s\n", first);
	/* What was left by now is none of the next program's doing. */
	complaint();
	complaint_of_pages(2);
	for (back = 1; back <= NR_RECENT; back++) {
		for (i = 0; i < MAX_EXECUTORS && time(NULL) < start + 300; i++) {
			struct executor *e = &shared->executors[i];

			if (e->nr_recent < back)
				continue;
			program_copy(&program,
				     &e->recent[(e->nr_recent - back) % NR_RECENT]);
			if (!fails(&program))
				continue;
			save(dir, "crash-long", getpid(), first, &program);
			shorten(&program, time(NULL) + 300);
			save(dir, "crash", getpid(), first, &program);
			printf("# shortened to %u calls in %ld s\n", program.nr,
			       (long)(time(NULL) - start));
			return;
		}
	}
	printf("# none of these does it alone:\n");
	for (i = 0; i < MAX_EXECUTORS; i++)
		for (back = 1; back <= NR_RECENT; back++) {
			struct executor *e = &shared->executors[i];

			if (e->nr_recent >= back)
				save(dir, "suspect", nr++, first,
				     &e->recent[(e->nr_recent - back) % NR_RECENT]);
		}
}
