// SPDX-License-Identifier: GPL-2.0
/*
 * Large memory, as for the RAM of a virtual machine. To map memory that was never
 * touched is to clear it page by page in one thread; vcdev_populate() does it in
 * several ahead of the map, tells how far it is, and can be stopped.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "memory.h"

#define PAGE	4096
#define HUGE2M	(2ull << 20)
#define BAR	24

static volatile sig_atomic_t interrupted;

struct progress {
	const char *who;
	bool bar, lines;
	unsigned int percent;	/* shown last */
};

bool memory_size(const char *text, uint64_t *length)
{
	static const char units[] = "KMGT";
	const char *unit;
	char *end;

	errno = 0;
	*length = strtoull(text, &end, 0);
	if (errno || *text < '0' || *text > '9')
		return false;
	if (*end) {
		unit = strchr(units, *end);
		if (!unit || end[1])
			return false;
		if (*length > UINT64_MAX >> 10 * (unit - units + 1))
			return false;
		*length <<= 10 * (unit - units + 1);
	}
	return *length && !(*length % PAGE) && *length <= UINT64_MAX / 4;
}

static void on_interrupt(int signal)
{
	(void)signal;
	interrupted = 1;
}

static void show_bar(unsigned int percent)
{
	unsigned int i;

	fputs("\r[", stderr);
	for (i = 0; i < BAR; i++)
		fputc(i < percent * BAR / 100 ? '#' : '.', stderr);
	fprintf(stderr, "] memory %3u%%", percent);
	fflush(stderr);
}

/* Called by the library in this thread. */
static bool on_progress(uint64_t done, uint64_t total, void *arg)
{
	struct progress *progress = arg;
	unsigned int percent = done / (total / 100 + 1);

	if (done == total)
		percent = 100;
	if (percent != progress->percent) {
		progress->percent = percent;
		if (progress->bar)
			show_bar(percent);
		if (progress->lines) {
			printf("%s: %u%%\n", progress->who, percent);
			fflush(stdout);
		}
	}
	return !interrupted;
}

void *memory_get(const char *who, uint64_t length, bool percent)
{
	struct progress progress = { who, isatty(2), percent, 0 };
	struct sigaction act = { .sa_handler = on_interrupt }, old;
	struct vcdev_error err;
	char *room, *memory;
	int rc;

	/* At a multiple of 2 MiB, for large pages of the processor and of the IOMMU. */
	room = mmap(NULL, length + HUGE2M, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED) {
		fprintf(stderr, "%s: memory: %s\n", who, strerror(errno));
		return NULL;
	}
	memory = (char *)(((uintptr_t)room + HUGE2M - 1) & ~(uintptr_t)(HUGE2M - 1));
	if (memory != room)
		munmap(room, memory - room);
	if (room + HUGE2M != memory)
		munmap(memory + length, room + HUGE2M - memory);
	madvise(memory, length, MADV_HUGEPAGE);		/* if there are such */

	interrupted = 0;
	sigaction(SIGINT, &act, &old);
	rc = vcdev_populate(memory, length, 0, on_progress, &progress, &err);
	sigaction(SIGINT, &old, NULL);
	if (progress.bar)
		fputs("\r\033[K", stderr);
	if (!rc)
		return memory;
	fprintf(stderr, "%s: memory: %s\n", who, err.text);
	if (err.hint[0])
		fprintf(stderr, "%s: try: %s\n", who, err.hint);
	munmap(memory, length);
	return NULL;
}

void memory_free(void *memory, uint64_t length)
{
	if (memory)
		munmap(memory, length);
}
