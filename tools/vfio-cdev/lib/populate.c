// SPDX-License-Identifier: GPL-2.0
/*
 * Bringing memory in ahead of a map. A map of memory that is not there yet is bound by
 * clearing pages, in one thread; the kernel could use workers, but these have neither
 * the memory policy nor the cpuset of the caller. Threads of ours have both: they
 * inherit them.
 *
 * Model: the memory is cut into chunks, and a counter says which is next. The caller
 * is one of the threads, and the one that reports progress. Whoever fails, or is told
 * to stop, sets the end; the others see it at their next chunk. Nothing is undone:
 * memory that is there does no harm.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif

/* Some milliseconds of clearing; a multiple of 2 MiB, and a part of a 1 GiB page. */
#define CHUNK		(16ull << 20)
#define MAX_THREADS	256

/**
 * struct populate - one call
 * @start: of the memory
 * @length: bytes
 * @next: first chunk that nobody has taken; atomic
 * @done: bytes that are there; atomic
 * @rc: first failure, or 0; atomic, and set once
 */
struct populate {
	char *start;
	uint64_t length;
	uint64_t next, done;
	int rc;
};

static void set_end(struct populate *populate, int rc)
{
	int none = 0;

	__atomic_compare_exchange_n(&populate->rc, &none, rc, false, __ATOMIC_RELAXED,
				    __ATOMIC_RELAXED);
}

/* One chunk; false if there is none left, or it is over. */
static bool one_chunk(struct populate *populate)
{
	uint64_t offset, length;
	int rc;

	if (__atomic_load_n(&populate->rc, __ATOMIC_RELAXED))
		return false;
	offset = __atomic_fetch_add(&populate->next, 1, __ATOMIC_RELAXED) * CHUNK;
	if (offset >= populate->length)
		return false;
	length = populate->length - offset < CHUNK ? populate->length - offset : CHUNK;
	do {
		rc = madvise(populate->start + offset, length, MADV_POPULATE_WRITE);
	} while (rc && (errno == EINTR || errno == EAGAIN) &&
		 !__atomic_load_n(&populate->rc, __ATOMIC_RELAXED));
	if (rc) {
		set_end(populate, -errno);
		return false;
	}
	__atomic_fetch_add(&populate->done, length, __ATOMIC_RELAXED);
	return true;
}

static void *worker(void *arg)
{
	while (one_chunk(arg))
		;
	return NULL;
}

/* How many processors may this thread run on? */
static unsigned int nr_processors(void)
{
	cpu_set_t set;
	long online;

	if (!sched_getaffinity(0, sizeof(set), &set))
		return CPU_COUNT(&set);
	/* More than a set of this size has: then the limit below counts anyway. */
	online = sysconf(_SC_NPROCESSORS_ONLN);
	return online < 1 ? 1 : online;
}

static int fail(struct vcdev_error *err, int rc, const struct populate *populate)
{
	if (rc == -ECANCELED)
		return vcdev_fail(err, rc, "stopped while memory was brought in");
	vcdev_fail(err, rc, "cannot bring in 0x%llx bytes at %p: %s",
		   (unsigned long long)populate->length, (void *)populate->start, strerror(-rc));
	if (rc == -ENOMEM)
		vcdev_hint(err, "is all of it mapped in the process, and does its cgroup allow "
			   "that much? 'vfio-cdev plan' tells");
	else if (rc == -EFAULT || rc == -EINVAL)
		vcdev_hint(err, "the memory has to be whole pages, mapped and writable, and for huge "
			   "pages there must be enough of them");
	return rc;
}

int vcdev_populate(void *va, uint64_t length, unsigned int nr_threads,
		   vcdev_progress_fn progress, void *arg, struct vcdev_error *err)
{
	struct populate populate = { .start = va, .length = length };
	uint64_t chunks = length / CHUNK + !!(length % CHUNK);
	unsigned int nr = 0, i;
	pthread_t *threads;

	if (!nr_threads)
		nr_threads = nr_processors();
	if (nr_threads > MAX_THREADS)
		nr_threads = MAX_THREADS;
	if (nr_threads > chunks)
		nr_threads = chunks ? chunks : 1;
	threads = calloc(nr_threads, sizeof(*threads));
	if (!threads)
		return vcdev_fail(err, -ENOMEM, "out of memory");
	/* The caller is the last of them. Fewer than wanted do as well. */
	while (nr + 1 < nr_threads && !pthread_create(&threads[nr], NULL, worker, &populate))
		nr++;
	while (one_chunk(&populate))
		if (progress && !progress(__atomic_load_n(&populate.done, __ATOMIC_RELAXED),
					  length, arg))
			set_end(&populate, -ECANCELED);
	for (i = 0; i < nr; i++)
		pthread_join(threads[i], NULL);
	free(threads);
	if (populate.rc)
		return fail(err, populate.rc, &populate);
	if (progress)
		progress(length, length, arg);
	return 0;
}
