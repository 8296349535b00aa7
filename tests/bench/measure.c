// SPDX-License-Identifier: GPL-2.0
/*
 * Clock, memory in use, buffers of a known make, and results. bench.c tells what
 * is printed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "bench.h"

#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB	(21 << 26)
#endif

/* ---- output ---------------------------------------------------------- */

static char outbuf[1 << 20];
static size_t outlen;

void out(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	outlen += vsnprintf(outbuf + outlen, sizeof(outbuf) - outlen, fmt, ap);
	va_end(ap);
	if (outlen >= sizeof(outbuf))
		outlen = sizeof(outbuf) - 1;
}

void flush_out(void)
{
	size_t off = 0;

	while (off < outlen) {
		ssize_t n = write(1, outbuf + off, outlen - off);

		if (n <= 0)
			break;
		off += n;
	}
	outlen = 0;
}

void die(const char *fmt, ...)
{
	va_list ap;
	int e = errno;

	flush_out();
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerror(e));
	exit(1);
}

/* ---- clocks ---------------------------------------------------------- */

uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* A million turns of two instructions. Without --icount it shows here. */
double ns_per_instruction(void)
{
	unsigned long turns = 1000000;
	uint64_t start = now();

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(turns));
	return (now() - start) / 2e6;
}

/* ---- memory accounting ----------------------------------------------- */

#define MAX_CACHES 400
struct cache {
	char name[48];
	uint64_t objs, size;
};

static struct mem mem_now(void)
{
	struct mem m = { 0 };
	char line[256];
	uint64_t v;
	FILE *f;

	f = fopen("/proc/sys/vm/stat_refresh", "w");
	if (f) {
		fputs("1\n", f);
		fclose(f);
	}
	f = fopen("/proc/zoneinfo", "r");
	if (!f)
		die("/proc/zoneinfo");
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, " nr_free_pages %lu", &v) == 1 ||
		    sscanf(line, " count: %lu", &v) == 1)
			m.free_kib += v * 4;
	fclose(f);
	f = fopen("/proc/meminfo", "r");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Slab: %lu", &v) == 1)
			m.slab_kib = v;
	if (f)
		fclose(f);
	return m;
}

static int caches_now(struct cache *c)
{
	char line[512];
	int n = 0;
	FILE *f = fopen("/proc/slabinfo", "r");

	if (!f)
		return 0;
	while (n < MAX_CACHES && fgets(line, sizeof(line), f)) {
		uint64_t act;

		if (sscanf(line, "%47s %lu %lu %lu", c[n].name, &act,
			   &c[n].objs, &c[n].size) == 4)
			n++;
	}
	fclose(f);
	return n;
}

static struct cache cache0[MAX_CACHES], cache1[MAX_CACHES];
static int ncache0, ncache1;

struct mem mem_before(void)
{
	mem_now();	/* the first look takes memory itself */
	ncache0 = caches_now(cache0);
	return mem_now();
}

struct mem mem_after(void)
{
	struct mem m = mem_now();

	ncache1 = caches_now(cache1);
	return m;
}

/* ---- buffers ---------------------------------------------------------- */

uint64_t perm(uint64_t i)	/* a permutation of [0, 65536) */
{
	return (i * 40503 + 12345) & (SLOTS - 1);
}

unsigned long count_runs(char *p, size_t len)
{
	int fd = open("/proc/self/pagemap", O_RDONLY);
	unsigned long runs = 0;
	uint64_t prev = 0, e[512];
	size_t i, k;

	for (i = 0; fd >= 0 && i < len / PG; i += 512) {
		if (pread(fd, e, sizeof(e), ((uintptr_t)p / PG + i) * 8) !=
		    sizeof(e))
			break;
		for (k = 0; k < 512; k++) {
			uint64_t pfn = e[k] & ((1ull << 55) - 1);

			if (pfn != prev + 1)
				runs++;
			prev = pfn;
		}
	}
	if (fd >= 0)
		close(fd);
	return runs;
}

/* Memory that is not there yet. */
char *get_room(enum kind kind, size_t len)
{
	char *raw, *p;

	if (kind == HUGETLB) {
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			 MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
		if (p == MAP_FAILED)
			die("%zu MiB of hugetlb", len >> 20);
		return p;
	}
	raw = mmap(NULL, len + HUGE2M, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (raw == MAP_FAILED)
		die("mmap");
	p = (char *)(((uintptr_t)raw + HUGE2M - 1) & ~(HUGE2M - 1));
	/* trimmed, so that munmap() needs no second pointer */
	if (p != raw)
		munmap(raw, p - raw);
	munmap(p + len, raw + HUGE2M - p);
	if (madvise(p, len, kind == THP ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		die("madvise");
	return p;
}

char *get_buffer(enum kind kind, size_t len)
{
	char *p = get_room(kind, len);
	size_t i, slots = len / PG < SLOTS ? len / PG : SLOTS;

	/* The order of first touch decides how scattered the frames are. */
	for (i = 0; i < len / PG; i++) {
		size_t pg = kind == SCATTERED ?
			(perm(i) & (slots - 1)) + (i & ~(slots - 1)) : i;

		*(volatile char *)(p + pg * PG) = (char)i | 1;
	}
	return p;
}

/* ---- results ---------------------------------------------------------- */

void result(const char *name, const char *op, uint64_t units,
	    const char *unit, uint64_t total, double percent)
{
	out("R\t%s\t%s\t%s\t%lu\t%s\t%.1f\t%lu\t%.2f\n", be->name, name, op,
	    units, unit, (double)total / units, total, percent);
}

void mem_result(const char *name, struct mem a, struct mem b,
		uint64_t mapped, uint64_t nmaps)
{
	double kib = (double)a.free_kib - b.free_kib;
	double slab = (double)b.slab_kib - a.slab_kib;
	int i, j;

	if (nmaps > 1)
		out("M\t%s\t%s\t%.0f\t%.0f\t%.1f bytes/mapping (slab %.1f)\n",
		    be->name, name, kib, slab, kib * 1024 / nmaps,
		    slab * 1024 / nmaps);
	else
		out("M\t%s\t%s\t%.0f\t%.0f\t%.0f KiB/GiB (slab %.0f)\n",
		    be->name, name, kib, slab, kib * 1024 * MIB / mapped,
		    slab * 1024 * MIB / mapped);
	for (i = 0; i < ncache1; i++)
		for (j = 0; j < ncache0; j++) {
			long d;

			if (strcmp(cache1[i].name, cache0[j].name))
				continue;
			d = (long)(cache1[i].objs - cache0[j].objs);
			if (labs(d) * (long)cache1[i].size >= 64 * 1024)
				out("#\t%s\t%s\tslab %s: %+ld objects of %lu\n",
				    be->name, name, cache1[i].name, d,
				    cache1[i].size);
		}
}

void add(struct series *s, uint64_t v)
{
	if (!s->n || v < s->min)
		s->min = v;
	if (!s->n || v > s->max)
		s->max = v;
	s->sum += v;
	s->n++;
}

double spread(const struct series *s)
{
	return s->min ? 100.0 * (s->max - s->min) / s->min : 0;
}


void report(const char *name, const char *op, uint64_t units, const char *unit,
	    const struct series *s)
{
	result(name, op, units, unit, s->sum / s->n, spread(s));
}
