// SPDX-License-Identifier: GPL-2.0
/*
 * What grows with what: one-page mappings up to a million, page tables below one
 * address space, contexts. What memory costs that is not there yet. And two cases
 * for locks.c: mappings of all sizes, and two threads at a time.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <linux/iommufd.h>
#include <vfio-cdev.h>

#include "bench.h"

#define MILLION_SLOTS	(1u << 20)
#define WINDOW		1000u
#define SHARED		64u	/* pages that all of the mappings are of */

/* A permutation: neighbours in time are far apart. */
static uint64_t scattered_iova(unsigned int i)
{
	return BASE + ((i * 40503ull + 12345) & (MILLION_SLOTS - 1)) * STRIDE;
}

static void map_some(char *pages, unsigned int from, unsigned int to)
{
	for (; from < to; from++)
		if (be->map((uintptr_t)pages + from % SHARED * PG, scattered_iova(from), PG))
			die("mapping %u", from);
}

static void unmap_some(unsigned int from, unsigned int to)
{
	for (; from < to; from++)
		if (be->unmap(scattered_iova(from), PG))
			die("mapping %u, unmap", from);
}

/* @name is for @nr of them: "m@1000". */
static void at_result(const char *what, unsigned int nr, const char *op, uint64_t units,
		      const char *unit, uint64_t total)
{
	char name[32];

	snprintf(name, sizeof(name), "%s@%u", what, nr);
	result(name, op, units, unit, total, 0);
}

/* Case m: the last thousand of so many mappings made, and the first taken away. */
void scale_mappings(void)
{
	static const unsigned int at[] = { 1000, 3000, 10000, 30000, 100000, 300000, 1000000 };
	const unsigned int nr = sizeof(at) / sizeof(at[0]);
	char *pages = get_buffer(LINEAR, HUGE2M);
	unsigned int i, pos;
	struct mem before;
	uint64_t iova, t;

	/* One in each leaf of the page table, which stays: not what is measured. */
	for (iova = BASE; iova < BASE + MILLION_SLOTS * STRIDE; iova += HUGE2M)
		if (be->map((uintptr_t)pages, iova, PG) || be->unmap(iova, PG))
			die("first mappings");
	before = mem_before();
	for (i = 0, pos = 0; i < nr; i++) {
		map_some(pages, pos, at[i] - WINDOW);
		t = now();
		map_some(pages, at[i] - WINDOW, at[i]);
		at_result("m", at[i], "map", WINDOW, "op", now() - t);
		pos = at[i];
	}
	if (be != &floor_backend)
		mem_result("m", before, mem_after(), pos * PG, pos);
	for (i = nr, pos = 0; i-- > 0;) {
		unsigned int start = at[nr - 1] - at[i];

		unmap_some(pos, start);
		t = now();
		unmap_some(start, start + WINDOW);
		at_result("m", at[i], "unmap", WINDOW, "op", now() - t);
		pos = start + WINDOW;
	}
	munmap(pages, HUGE2M);
}

/*
 * Case t: page tables below the address space that the device is attached to.
 * Those without a device are filled like the others.
 */
void scale_tables(void)
{
	char *page = get_buffer(LINEAR, HUGE2M), *large = get_buffer(THP, HUGE2M);
	const unsigned int most = 64, small_ops = 500, large_ops = 50;
	uint32_t tables[64];
	unsigned int nr, have = 1, i;
	uint64_t t, map, unmap;

	for (nr = 1; nr <= most; nr *= 2) {
		while (have < nr)
			tables[have++] = new_table(ioas);
		/* once each: leaf tables */
		if (be->map((uintptr_t)page, BASE, PG) || be->unmap(BASE, PG) ||
		    be->map((uintptr_t)large, BASE + HUGE2M, HUGE2M) ||
		    be->unmap(BASE + HUGE2M, HUGE2M))
			die("%u tables", nr);
		for (i = 0, map = 0, unmap = 0; i < small_ops; i++) {
			t = now();
			if (be->map((uintptr_t)page, BASE, PG))
				die("%u tables", nr);
			map += now() - t;
			t = now();
			if (be->unmap(BASE, PG))
				die("%u tables", nr);
			unmap += now() - t;
		}
		at_result("t", nr, "map", small_ops, "op", map);
		at_result("t", nr, "unmap", small_ops, "op", unmap);
		for (i = 0, map = 0, unmap = 0; i < large_ops; i++) {
			t = now();
			if (be->map((uintptr_t)large, BASE + HUGE2M, HUGE2M))
				die("%u tables", nr);
			map += now() - t;
			t = now();
			if (be->unmap(BASE + HUGE2M, HUGE2M))
				die("%u tables", nr);
			unmap += now() - t;
		}
		at_result("t", nr, "map-2M", large_ops, "op", map);
		at_result("t", nr, "unmap-2M", large_ops, "op", unmap);
	}
	while (have > 1)
		destroy(tables[--have]);
	munmap(page, HUGE2M);
	munmap(large, HUGE2M);
}

/* A context with an address space and a mapping in it. */
static int new_context(char *page)
{
	struct iommu_ioas_alloc a = { .size = sizeof(a) };
	int fd = open(iommufd_path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		die("%s", iommufd_path);
	if (ioctl(fd, IOMMU_IOAS_ALLOC, &a))
		die("IOMMU_IOAS_ALLOC");
	if (ioas_map_by(fd, a.out_ioas_id, (uintptr_t)page, BASE, PG))
		die("a context's mapping");
	return fd;
}

/* Case n: contexts, with the device in the first one. */
void scale_contexts(void)
{
	static const unsigned int at[] = { 1, 10, 100, 1000 };
	struct rlimit files = { .rlim_cur = 4096, .rlim_max = 4096 };
	char *page = get_buffer(LINEAR, HUGE2M);
	static int fds[1024];
	unsigned int have = 1, i, k;
	const unsigned int ops = 1000, opens = 100;
	uint64_t t, start, end, opening, closing;

	if (setrlimit(RLIMIT_NOFILE, &files))
		die("RLIMIT_NOFILE");
	for (k = 0; k < 4; k++) {
		while (have < at[k])
			fds[have++] = new_context(page);
		for (i = 0; i < 10; i++) {
			if (be->map((uintptr_t)page, BASE, PG) || be->unmap(BASE, PG))
				die("%u contexts", have);
			close(new_context(page));
		}
		t = now();
		for (i = 0; i < ops; i++)
			if (be->map((uintptr_t)page, BASE, PG) || be->unmap(BASE, PG))
				die("%u contexts", have);
		at_result("n", have, "map+unmap", ops, "pair", now() - t);
		for (i = 0, opening = 0, closing = 0; i < opens; i++) {
			int fd;

			start = now();
			fd = new_context(page);
			end = now();
			opening += end - start;
			close(fd);
			closing += now() - end;
		}
		at_result("n", have, "open", opens, "context", opening);
		at_result("n", have, "close", opens, "context", closing);
	}
	while (have > 1)
		close(fds[--have]);
	munmap(page, HUGE2M);
}

/*
 * Case p: the first map of memory that is not there, and of memory that
 * vcdev_populate() brought in, from two threads. To be held against "map-first",
 * as the page table is empty, too.
 */
static void populated_once(const char *name, enum kind kind, size_t len, bool ahead)
{
	char *p = get_room(kind, len);
	uint64_t pages = len / PG, t;
	struct vcdev_error err;

	be->open();
	if (ahead) {
		t = now();
		if (vcdev_populate(p, len, 2, NULL, NULL, &err))
			die("%s: %s", name, err.text);
		result(name, "populate", pages, "page", now() - t, 0);
		out("#\t%s\t%s populated\t%lu pages in %lu physically contiguous runs\n",
		    be->name, name, pages, count_runs(p, len));
	}
	t = now();
	if (be->map((uintptr_t)p, BASE, len))
		die("%s: map", name);
	result(name, ahead ? "map-populated" : "map-absent", pages, "page", now() - t, 0);
	if (be->unmap(BASE, len))
		die("%s: unmap", name);
	be->close();
	munmap(p, len);
}

void populated(void)
{
	populated_once("A", LINEAR, 256 * MIB, false);
	populated_once("A", LINEAR, 256 * MIB, true);
	populated_once("b", THP, 512 * MIB, false);
	populated_once("b", THP, 512 * MIB, true);
}

/* Case l: between marks, one map or unmap; a line tells which. */
void hold_times(void)
{
	static const struct {
		const char *name;
		enum kind kind;
		size_t len;
	} sizes[] = {
		{ "4-KiB", LINEAR, PG },
		{ "2-MiB", THP, HUGE2M },
		{ "64-MiB", THP, 64 * MIB },
		{ "512-MiB", THP, 512 * MIB },
		{ "16-MiB-scattered", SCATTERED, 16 * MIB },
		{ "256-MiB-scattered", SCATTERED, 256 * MIB },
	};
	unsigned int i, round;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t len = sizes[i].len;
		char *p = get_buffer(sizes[i].kind, len < HUGE2M ? HUGE2M : len);

		/* the first round is warm-up */
		for (round = 0; round < 2; round++) {
			if (round)
				mark_begin(MARK_TRACE);
			if (be->map((uintptr_t)p, BASE, len))
				die("%s: map", sizes[i].name);
			if (round) {
				mark_end(MARK_TRACE);
				mark_begin(MARK_TRACE);
			}
			if (be->unmap(BASE, len))
				die("%s: unmap", sizes[i].name);
			if (round)
				mark_end(MARK_TRACE);
		}
		out("L\tmap\t%s\nL\tunmap\t%s\n", sizes[i].name, sizes[i].name);
		munmap(p, len < HUGE2M ? HUGE2M : len);
	}
}

/* Case o: two threads map at the same time, as far as one processor lets them. */
struct mapper {
	pthread_t thread;
	uint64_t iova;
	char *p;
};

#define OVERLAP_LENGTH	(128 * MIB)

static pthread_barrier_t both;

static void *map_one(void *arg)
{
	const struct mapper *mapper = arg;

	pthread_barrier_wait(&both);
	if (be->map((uintptr_t)mapper->p, mapper->iova, OVERLAP_LENGTH))
		die("map by two threads");
	return NULL;
}

void overlap(void)
{
	struct mapper mappers[2];
	unsigned int i, round;

	pthread_barrier_init(&both, NULL, 2);
	for (i = 0; i < 2; i++) {
		mappers[i].iova = BASE + i * OVERLAP_LENGTH;
		mappers[i].p = get_buffer(SCATTERED, OVERLAP_LENGTH);
	}
	/* the first round is warm-up */
	for (round = 0; round < 2; round++) {
		if (round)
			mark_begin(MARK_TRACE);
		for (i = 0; i < 2; i++)
			if (pthread_create(&mappers[i].thread, NULL, map_one, &mappers[i]))
				die("thread");
		for (i = 0; i < 2; i++)
			pthread_join(mappers[i].thread, NULL);
		if (round)
			mark_end(MARK_TRACE);
		for (i = 0; i < 2; i++)
			if (be->unmap(mappers[i].iova, OVERLAP_LENGTH))
				die("unmap");
	}
	out("L\toverlap\t2x%llu-MiB\n", OVERLAP_LENGTH / MIB);
	for (i = 0; i < 2; i++)
		munmap(mappers[i].p, OVERLAP_LENGTH);
	pthread_barrier_destroy(&both);
}
