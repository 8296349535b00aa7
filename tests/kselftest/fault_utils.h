/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Failing the n-th allocation or user copy of this thread, on kernels built
 * with fault injection.
 *
 * The kernel counts down a number that belongs to the thread, at each
 * allocation and each user copy of whatever the thread does in the kernel, and
 * fails the one that takes it to zero. User copies cannot be left out of that;
 * allocations can, by filters that nothing passes. Which objects there will be
 * is always the same; when the slab needs another page is not.
 *
 * Reading and writing the number are system calls that copy, too.
 */
#ifndef FAULT_UTILS_H
#define FAULT_UTILS_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define FAULT_DEBUGFS	"/sys/kernel/debug/"

static inline int fault_knob(const char *name, const char *value)
{
	char path[128];
	int fd, rc;

	snprintf(path, sizeof(path), FAULT_DEBUGFS "%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = write(fd, value, strlen(value)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* Neither allocations nor user copies can fail: a kernel without all this. */
static inline bool fault_none(void)
{
	return access(FAULT_DEBUGFS "failslab", F_OK) &&
	       access(FAULT_DEBUGFS "fail_page_alloc", F_OK) &&
	       access(FAULT_DEBUGFS "fail_usercopy", F_OK) &&
	       access("/proc/thread-self/fail-nth", F_OK);
}

/*
 * Allocations count though they may sleep. FAULT_STACKS in the environment
 * makes the kernel log where each fault fires.
 */
static inline int fault_setup(void)
{
	const char *verbose = getenv("FAULT_STACKS") ? "2" : "0";
	const char *const knobs[][2] = {
		{ "failslab/ignore-gfp-wait", "N" },
		{ "failslab/verbose", verbose },
		{ "fail_page_alloc/ignore-gfp-wait", "N" },
		{ "fail_page_alloc/ignore-gfp-highmem", "N" },
		{ "fail_page_alloc/verbose", verbose },
		{ "fail_usercopy/verbose", verbose },
	};
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < sizeof(knobs) / sizeof(knobs[0]); i++)
		rc = fault_knob(knobs[i][0], knobs[i][1]);
	return rc;
}

/* What counts, user copies apart. */
enum fault_kinds {
	FAULT_COPIES,		/* nothing else */
	FAULT_SLAB,		/* and allocations of objects */
	FAULT_PAGES,		/* and those of pages, the slab's own too */
};

static inline int fault_choose(enum fault_kinds kinds)
{
	int rc;

	/* No cache is marked as one whose allocations fail. */
	rc = fault_knob("failslab/cache-filter",
			kinds == FAULT_COPIES ? "Y" : "N");
	return rc ?: fault_knob("fail_page_alloc/min-order",
				kinds == FAULT_PAGES ? "0" : "64");
}

/* The number of this thread, as a descriptor. */
static inline int fault_open(void)
{
	int fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int fault_arm(int fd, unsigned int n)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", n);

	return pwrite(fd, text, length, 0) == length ? 0 : -errno;
}

/* Returns whether a fault fired since it was armed, or -errno. */
static inline int fault_disarm(int fd)
{
	char text[16] = "";
	bool fired;

	/*
	 * The number is looked at before it is copied out. If this copy is
	 * what failed, nothing did before.
	 */
	if (pread(fd, text, sizeof(text) - 1, 0) >= 0)
		fired = atoi(text) == 0;
	else if (errno == EFAULT)
		fired = false;
	else
		return -errno;
	while (pwrite(fd, "0", 1, 0) != 1)
		if (errno != EFAULT)
			return -errno;
	return fired;
}

/*
 * The other way: memory ends. The thread gets so many bytes of objects more,
 * and then none until it is fed again. What tries again, or does with less,
 * gets over a fault; not over this.
 */
static inline int fault_knob_read(const char *name, long *value)
{
	char path[128], text[32] = "";
	int fd, rc;

	snprintf(path, sizeof(path), FAULT_DEBUGFS "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	rc = read(fd, text, sizeof(text) - 1) < 0 ? -errno : 0;
	close(fd);
	*value = atol(text);
	return rc;
}

#define FAULT_TIMES	1000000L
#define FAULT_PLENTY	(1L << 30)

/* Descriptor of the switch: nothing can be opened while there is no memory. */
static inline int fault_starve_open(void)
{
	int fd = open("/proc/thread-self/make-it-fail", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int fault_starve(int fd, long bytes)
{
	char space[32], times[32];
	int rc;

	snprintf(space, sizeof(space), "%ld", bytes);
	snprintf(times, sizeof(times), "%ld", FAULT_TIMES);
	rc = fault_knob("failslab/task-filter", "Y");
	rc = rc ?: fault_knob("failslab/cache-filter", "N");
	rc = rc ?: fault_knob("failslab/interval", "1");
	rc = rc ?: fault_knob("failslab/times", times);
	rc = rc ?: fault_knob("failslab/space", space);
	rc = rc ?: fault_knob("failslab/probability", "100");
	if (rc)
		return rc;
	return pwrite(fd, "1", 1, 0) == 1 ? 0 : -errno;
}

/* @left: how many bytes were not used. Returns how many faults fired. */
static inline long fault_feed(int fd, long *left)
{
	long times = 0;
	int rc;

	if (pwrite(fd, "0", 1, 0) != 1)
		return -errno;
	rc = fault_knob("failslab/probability", "0");
	rc = rc ?: fault_knob_read("failslab/times", &times);
	rc = rc ?: fault_knob_read("failslab/space", left);
	return rc ?: FAULT_TIMES - times;
}

#endif
