// SPDX-License-Identifier: GPL-2.0
/*
 * What mappings cost, in instructions and in bytes, against limits. Figures and
 * limits are in docs/cost.md. To be run in a machine that counts instructions:
 *
 *	tests/vm/run --icount --edu --mem 4G --append hugepages=256 -- iommufd_cost
 *
 * With --icount a tick of the TSC is one instruction of the guest, so that the
 * figures are the same on any host, idle or not. They include the way into the
 * kernel and back. QEMU's edu device is attached: there is one page table, of
 * the IOMMU driver as it is.
 *
 * Bytes come from two places. In a memory cgroup of our own, memory.stat says
 * to the byte what slab objects were charged to us, the cgroup's own slots
 * included. Outside of it, free pages tell what is really gone: with the rest of
 * slabs, and with I/O page tables, which nobody charges.
 *
 * Each buffer is mapped twice before it is measured: I/O page tables, slabs and
 * the per-CPU lists are filled by then.
 */
#include <stdarg.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "vfio_utils.h"

#define BASE		(4096 * MiB)	/* above the MSI window */
#define HUGE2M		(2 * MiB)
#define NR_MAPPINGS	32768U		/* a power of two: see strewn() */
#define STRIDE		(2 * PAGE)	/* mappings do not touch each other */

static int iommufd, dev;
static uint32_t attached, bare;		/* IOASes with and without page table */
static unsigned int nr_results, nr_failed;

/* ---- TAP ---- */

static void diag(const char *fmt, ...)
{
	va_list args;

	printf("# ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

static void __attribute__((noreturn)) bail(const char *what, int rc)
{
	printf("Bail out! %s: %s\n", what, strerror(-rc));
	exit(1);
}

static void must(const char *what, int rc)
{
	if (rc < 0)
		bail(what, rc);
}

static void result(bool ok, const char *name)
{
	nr_failed += !ok;
	printf("%sok %u %s\n", ok ? "" : "not ", ++nr_results, name);
	fflush(stdout);
}

static void at_most(const char *name, const char *unit, double figure,
		    double limit)
{
	diag("%s: %.2f %s, limit %.2f", name, figure, unit, limit);
	result(figure <= limit, name);
}

/* ---- instructions ---- */

static uint64_t now(void)
{
	uint32_t low, high;

	__asm__ volatile("lfence; rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* A million turns of two instructions. A clock of another kind shows here. */
static double ticks_per_instruction(void)
{
	unsigned long turns = 1000000;
	uint64_t start = now();

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(turns));
	return (now() - start) / 2e6;
}

/* ---- bytes ---- */

static char group[64];		/* directory of our memory cgroup */

static uint64_t number_in(const char *path, const char *key)
{
	char line[256], name[128];
	uint64_t value, sum = 0;
	FILE *f = fopen(path, "r");

	if (!f)
		bail(path, -errno);
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%127s %lu", name, &value) == 2 &&
		    !strcmp(name, key))
			sum += value;
	fclose(f);
	return sum;
}

/* All free memory, what waits in per-CPU lists too. */
static int64_t free_bytes(void)
{
	must("stat_refresh", sysfs_write("/proc/sys/vm/stat_refresh", "1"));
	return PAGE * (number_in("/proc/zoneinfo", "nr_free_pages") +
		       number_in("/proc/zoneinfo", "count:"));
}

/* Slab memory that is charged to us. */
static int64_t charged_bytes(void)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/memory.stat", group);
	return number_in(path, "slab_unreclaimable");
}

/* From here on what is allocated for us is charged to a cgroup of our own. */
static void enter_cgroup(void)
{
	char root[] = "/tmp/iommufd_cost.XXXXXX", path[128];

	if (!mkdtemp(root))
		bail(root, -errno);
	if (mount("none", root, "cgroup2", 0, NULL))
		bail("mount of cgroup2", -errno);
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root);
	must(path, sysfs_write(path, "+memory"));
	snprintf(group, sizeof(group), "%s/cost", root);
	if (mkdir(group, 0700))
		bail(group, -errno);
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	must(path, sysfs_write(path, "0"));
}

static void leave_cgroup(void)
{
	char path[128];

	*strrchr(group, '/') = '\0';
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	must(path, sysfs_write(path, "0"));
	snprintf(path, sizeof(path), "%s/cost", group);
	if (rmdir(path) || umount(group) || rmdir(group))
		bail("leaving the cgroup", -errno);
}

/* ---- memory to map ---- */

/* A permutation of the numbers below a power of two. */
static unsigned int strewn(unsigned int i, unsigned int nr)
{
	return (i * 40503U + 12345U) & (nr - 1);
}

enum kind { SCATTERED, THP, HUGETLB };

static char *buffer(enum kind kind, size_t length)
{
	unsigned int i, nr = length / PAGE;
	char *raw, *p;

	raw = mmap(NULL, length + HUGE2M, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (raw == MAP_FAILED)
		bail("memory", -errno);
	p = (char *)(((uintptr_t)raw + HUGE2M - 1) & ~(HUGE2M - 1));
	if (kind == HUGETLB) {
		p = mmap(p, length, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			 MAP_ANONYMOUS | MAP_HUGETLB | MAP_FIXED, -1, 0);
		if (p == MAP_FAILED)
			bail("hugetlb memory", -errno);
	} else if (madvise(p, length, kind == THP ? MADV_HUGEPAGE :
						    MADV_NOHUGEPAGE)) {
		bail("madvise", -errno);
	}
	/* Neighbours that are touched far apart are not adjacent physically. */
	for (i = 0; i < nr; i++)
		p[(kind == SCATTERED ? strewn(i, nr) : i) * PAGE] = 1;
	return p;
}

/* @length: a multiple of 2 MiB */
static unsigned int count_runs(const char *p, size_t length)
{
	uint64_t entries[512], pfn, next = 0;
	unsigned int nr = 0, k;
	size_t i;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	for (i = 0; i < length / PAGE; i += 512) {
		if (pread(fd, entries, sizeof(entries),
			  ((uintptr_t)p / PAGE + i) * 8) != sizeof(entries))
			bail("pagemap", -errno);
		for (k = 0; k < 512; k++) {
			pfn = entries[k] & ((1ULL << 55) - 1);
			nr += pfn != next;
			next = pfn + 1;
		}
	}
	close(fd);
	return nr;
}

static void map(uint32_t ioas, const char *p, size_t length, uint64_t iova)
{
	must("IOAS_MAP", ioas_map_fixed(iommufd, ioas, RW, p, length, iova));
}

static void unmap(uint32_t ioas, uint64_t iova, size_t length)
{
	must("IOAS_UNMAP", ioas_unmap(iommufd, ioas, iova, length, NULL));
}

/* ---- what is measured ---- */

static void huge_memory_is_mapped_by_huge_pages(void)
{
	const size_t length = 512 * MiB, nr = length / PAGE;
	uint64_t mapped = 0, unmapped = 0;
	char *p = buffer(THP, length);
	int i;

	diag("512 MiB of THP: %u physical runs", count_runs(p, length));
	for (i = -2; i < 3; i++) {
		uint64_t start = now(), middle;

		map(attached, p, length, BASE);
		middle = now();
		unmap(attached, BASE, length);
		if (i < 0)
			continue;
		mapped += middle - start;
		unmapped += now() - middle;
	}
	at_most("map_of_512_mib_of_thp", "instructions a page",
		mapped / 3.0 / nr, 20);
	at_most("unmap_of_512_mib_of_thp", "instructions a page",
		unmapped / 3.0 / nr, 1);
	munmap(p, length);
}

static void one_page(void)
{
	const unsigned int nr = 4000;
	uint64_t mapped = 0, pair;
	char *p = buffer(SCATTERED, PAGE);
	unsigned int i;

	for (i = 0; i < 200; i++) {
		map(attached, p, PAGE, BASE);
		unmap(attached, BASE, PAGE);
	}
	pair = now();
	for (i = 0; i < nr; i++) {
		map(attached, p, PAGE, BASE);
		unmap(attached, BASE, PAGE);
	}
	pair = now() - pair;
	for (i = 0; i < nr; i++) {
		uint64_t start = now();

		map(attached, p, PAGE, BASE);
		mapped += now() - start;
		unmap(attached, BASE, PAGE);
	}
	diag("of these the map, clock included: %.1f", (double)mapped / nr);
	at_most("map_and_unmap_of_one_page", "instructions", (double)pair / nr,
		7000);
	munmap(p, PAGE);
}

static uint64_t slot(unsigned int i)
{
	return BASE + strewn(i, NR_MAPPINGS) * STRIDE;
}

static void map_pages(uint32_t ioas, const char *p, size_t length)
{
	unsigned int i;

	for (i = 0; i < NR_MAPPINGS; i++)
		map(ioas, p + i * PAGE, length, slot(i));
}

static void unmap_pages(uint32_t ioas)
{
	must("IOAS_UNMAP", ioas_unmap_all(iommufd, ioas, NULL));
}

/* In the root cgroup: slabs, their unused rest, and I/O page tables. */
static void mapping_in_pages_of_memory(const char *p)
{
	int64_t before, taken;

	before = free_bytes();	/* the first takes what it needs itself */
	before = free_bytes();
	map_pages(attached, p, PAGE);
	taken = before - free_bytes();
	unmap_pages(attached);
	at_most("mapping_of_one_page_with_page_tables", "bytes",
		(double)taken / NR_MAPPINGS, 192);
}

static void mapping_in_charged_bytes(const char *p)
{
	int64_t before = charged_bytes(), with, without, after;

	map_pages(attached, p, PAGE);
	with = charged_bytes() - before;
	unmap_pages(attached);
	map_pages(bare, p, PAGE);
	without = charged_bytes() - before;
	unmap_pages(bare);
	after = charged_bytes() - before;

	at_most("mapping_of_one_page_charged", "bytes",
		(double)with / NR_MAPPINGS, 176.5);
	at_most("mapping_without_consumer_charged", "bytes",
		(double)without / NR_MAPPINGS, 176.5);
	/* Less than a byte for each: what the kernel counts ahead. */
	at_most("mappings_give_everything_back", "bytes",
		(double)after / NR_MAPPINGS, 0.5);
}

/* One page or 64 GiB of nothing: the same, while nobody needs it. */
static void mapping_without_consumer_costs_a_constant(const char *p)
{
	const size_t length = 16 * 4096 * MiB;
	const unsigned int nr = 512;
	int64_t before, small, large;
	unsigned int i;

	before = charged_bytes();
	for (i = 0; i < nr; i++)
		map(bare, p, PAGE, i * length);
	small = charged_bytes() - before;
	unmap_pages(bare);
	before = charged_bytes();
	for (i = 0; i < nr; i++)
		map(bare, p, length, i * length);
	large = charged_bytes() - before;
	unmap_pages(bare);
	diag("%u mappings of a page: %ld bytes; of 64 GiB: %ld", nr,
	     (long)small, (long)large);
	/* The kernel counts ahead by up to a page, which is 8 a mapping. */
	result(labs(large - small) <= 2 * (long)PAGE && small > 0,
	       "mapping_without_consumer_costs_a_constant");
}

/* What one mapping of @length takes, the mapping itself included. */
static void pinned_memory(const char *name, enum kind kind, size_t length,
			  size_t unit, double limit)
{
	char *p = buffer(kind, length);
	int64_t before, taken;

	diag("%s: %u physical runs", name, count_runs(p, length));
	before = charged_bytes();
	map(attached, p, length, BASE);
	taken = charged_bytes() - before;
	unmap(attached, BASE, length);
	at_most(name, "bytes", (double)taken / (length / unit), limit);
	munmap(p, length);
}

int main(void)
{
	double ticks = ticks_per_instruction();
	char *p;

	printf("TAP version 13\n1..10\n");
	diag("%.4f ticks an instruction", ticks);
	if (ticks < 0.999 || ticks > 1.001) {
		printf("Bail out! the TSC does not count instructions: use --icount\n");
		return 1;
	}

	iommufd = iommufd_open();
	must("/dev/iommu", iommufd);
	dev = edu_open();
	must("edu device", dev);
	must("bind", vfio_bind(dev, iommufd, NULL));
	must("IOAS_ALLOC", ioas_alloc(iommufd, &attached));
	must("IOAS_ALLOC", ioas_alloc(iommufd, &bare));
	must("attach", vfio_attach(dev, attached, NULL));

	huge_memory_is_mapped_by_huge_pages();
	one_page();

	p = buffer(SCATTERED, NR_MAPPINGS * PAGE);
	mapping_in_pages_of_memory(p);
	enter_cgroup();
	mapping_in_charged_bytes(p);
	mapping_without_consumer_costs_a_constant(p);
	munmap(p, NR_MAPPINGS * PAGE);
	pinned_memory("pinned_memory_per_scattered_page", SCATTERED, 256 * MiB,
		      PAGE, 8.25);
	pinned_memory("pinned_memory_per_2_mib_page", HUGETLB, 512 * MiB,
		      HUGE2M, 64);

	close(dev);
	close(iommufd);
	leave_cgroup();
	return nr_failed ? 1 : 0;
}
