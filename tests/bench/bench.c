// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to put user memory into a device's IOMMU page table, and to take
 * it out again. One program, four backends that do the same work on the same
 * buffers; tests/bench/run boots each in a machine of its own:
 *
 *   type1      /dev/vfio/vfio of the stock modules, VFIO_TYPE1v2_IOMMU
 *   container  the same program against our modules
 *   iommufd    an IOAS of /dev/iommu with the device's cdev attached to it
 *   floor      floor.ko, which pins and maps without remembering anything
 *
 * Time is CLOCK_MONOTONIC. With tests/vm/run --icount a nanosecond is one
 * instruction of the guest. Results are kept in memory and printed at the end, so
 * that no interrupt of a console falls into what is measured.
 *
 * Lines, with tabs between:
 *   R backend case op units unit per_unit total spread_percent
 *   M backend case kib_total kib_slab text
 *   # text
 *
 * Around some loops stand marks: instructions that do nothing, and that
 * tests/bench/profile.c, a plugin for QEMU, looks for.
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

#include "floor/floor_uapi.h"

#define KIB		1024ull
#define MIB		(1024 * KIB)
#define PG		4096ull
#define HUGE2M		(2 * MIB)
#define BASE		(4096 * MIB)	/* clear of the MSI window at 0xfee00000 */
#define STRIDE		(2 * PG)	/* small mappings never touch each other */
#define SLOTS		65536u
#define MANY		50000u
#define WINDOW		1000u

#ifndef MAP_HUGE_2MB
#define MAP_HUGE_2MB	(21 << 26)
#endif

static const char *bdf = "0000:02:00.0";
static const char *iommufd_path = "/dev/iommu";
static const char *cdev_path;
static const char *cases = "Aabcdefgh";
static int reps = 3;
static int want_mem = 1;
static int trace_windows;

/* ---- output ---------------------------------------------------------- */

static char *outbuf;
static size_t outlen;

static void out(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	outlen += vsnprintf(outbuf + outlen, (1 << 20) - outlen, fmt, ap);
	va_end(ap);
}

static void flush_out(void)
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

static void die(const char *fmt, ...)
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

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

/* A million turns of two instructions. Without --icount it shows here. */
static double ns_per_instruction(void)
{
	unsigned long turns = 1000000;
	uint64_t start = now();

	__asm__ volatile("1: dec %0; jnz 1b" : "+r"(turns));
	return (now() - start) / 2e6;
}

/*
 * nopl with an address that is found nowhere else: what is between these two is
 * counted by function, see profile.c.
 */
static inline __attribute__((always_inline)) void mark_begin(const int nr)
{
	__asm__ volatile("nopl 0x5eed0000+%c0(%%rax,%%rax,1)" : : "i"(nr));
}

static inline __attribute__((always_inline)) void mark_end(const int nr)
{
	__asm__ volatile("nopl 0x5eee0000+%c0(%%rax,%%rax,1)" : : "i"(nr));
}

enum { MARK_D, MARK_E_MAP, MARK_E_UNMAP, MARK_F, MARK_BIG_MAP, MARK_BIG_UNMAP };

/* ---- backends -------------------------------------------------------- */

struct backend {
	const char *name;
	void (*open)(void);
	void (*close)(void);
	int (*map)(uint64_t va, uint64_t iova, uint64_t len);
	int (*unmap)(uint64_t iova, uint64_t len);
	int (*unmap_all)(void);
	/* what only iommufd can do: cases g and h */
	void (*copies)(void);
	void (*tables)(void);
};

static int container = -1, vfio_group = -1, device = -1;

static int group_number(void)
{
	char path[128], link[256], *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		die("%s", path);
	link[n] = 0;
	slash = strrchr(link, '/');
	return atoi(slash ? slash + 1 : link);
}

static void type1_open(void)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };
	char path[64];

	container = open("/dev/vfio/vfio", O_RDWR);
	if (container < 0)
		die("/dev/vfio/vfio");
	snprintf(path, sizeof(path), "/dev/vfio/%d", group_number());
	vfio_group = open(path, O_RDWR);
	if (vfio_group < 0)
		die("%s", path);
	if (ioctl(vfio_group, VFIO_GROUP_GET_STATUS, &st) ||
	    !(st.flags & VFIO_GROUP_FLAGS_VIABLE))
		die("group is not viable");
	if (ioctl(vfio_group, VFIO_GROUP_SET_CONTAINER, &container))
		die("VFIO_GROUP_SET_CONTAINER");
	if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		die("VFIO_SET_IOMMU");
	device = ioctl(vfio_group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	if (device < 0)
		die("VFIO_GROUP_GET_DEVICE_FD %s", bdf);
}

static void close_all(int *fds[], int n)
{
	int i;

	for (i = 0; i < n; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static void type1_close(void)
{
	int *fds[] = { &device, &vfio_group, &container };

	close_all(fds, 3);
}

static int type1_map(uint64_t va, uint64_t iova, uint64_t len)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = va, .iova = iova, .size = len,
	};

	return ioctl(container, VFIO_IOMMU_MAP_DMA, &m);
}

static int type1_unmap(uint64_t iova, uint64_t len)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .iova = iova, .size = len,
	};

	if (ioctl(container, VFIO_IOMMU_UNMAP_DMA, &u))
		return -1;
	return u.size == len ? 0 : (errno = ERANGE, -1);
}

static int type1_unmap_all(void)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .flags = VFIO_DMA_UNMAP_FLAG_ALL,
	};

	return ioctl(container, VFIO_IOMMU_UNMAP_DMA, &u);
}

static const struct backend type1_backend = {
	"type1", type1_open, type1_close, type1_map, type1_unmap, type1_unmap_all,
	NULL, NULL,
};

static const struct backend container_backend = {
	"container", type1_open, type1_close, type1_map, type1_unmap,
	type1_unmap_all, NULL, NULL,
};

static int ifd = -1;
static uint32_t ioas, src_ioas, devid;

static uint32_t new_ioas(void)
{
	struct iommu_ioas_alloc a = { .size = sizeof(a) };

	if (ioctl(ifd, IOMMU_IOAS_ALLOC, &a))
		die("IOMMU_IOAS_ALLOC");
	return a.out_ioas_id;
}

/* A page table of its own for this IOAS: filled at once, attached to nothing. */
static uint32_t new_table(uint32_t id)
{
	struct iommu_hwpt_alloc h = {
		.size = sizeof(h), .dev_id = devid, .pt_id = id,
	};

	if (ioctl(ifd, IOMMU_HWPT_ALLOC, &h))
		die("IOMMU_HWPT_ALLOC");
	return h.out_hwpt_id;
}

static void destroy(uint32_t id)
{
	struct iommu_destroy d = { .size = sizeof(d), .id = id };

	if (ioctl(ifd, IOMMU_DESTROY, &d))
		die("IOMMU_DESTROY");
}

/* Attach the device, or move it there if it is attached already. */
static void attach(uint32_t id)
{
	struct vfio_device_attach_iommufd_pt at = {
		.argsz = sizeof(at), .pt_id = id,
	};

	if (ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at))
		die("VFIO_DEVICE_ATTACH_IOMMUFD_PT");
}

static void iommufd_open(void)
{
	struct vfio_device_bind_iommufd b = { .argsz = sizeof(b) };
	char dir[128], path[PATH_MAX];
	struct dirent *d;
	DIR *dp;

	if (!cdev_path) {
		snprintf(dir, sizeof(dir), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
		dp = opendir(dir);
		if (!dp)
			die("%s", dir);
		while ((d = readdir(dp)))
			if (!strncmp(d->d_name, "vfio", 4)) {
				snprintf(path, sizeof(path),
					 "/dev/vfio/devices/%s", d->d_name);
				cdev_path = strdup(path);
			}
		closedir(dp);
		if (!cdev_path)
			die("no cdev below %s", dir);
	}
	ifd = open(iommufd_path, O_RDWR);
	if (ifd < 0)
		die("%s", iommufd_path);
	device = open(cdev_path, O_RDWR);
	if (device < 0)
		die("%s", cdev_path);
	b.iommufd = ifd;
	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &b))
		die("VFIO_DEVICE_BIND_IOMMUFD");
	devid = b.out_devid;
	ioas = new_ioas();
	src_ioas = new_ioas();
	attach(ioas);
}

static void iommufd_close(void)
{
	int *fds[] = { &device, &ifd };

	close_all(fds, 2);
}

#define IOAS_RW (IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | \
		 IOMMU_IOAS_MAP_WRITEABLE)

static int ioas_map(uint32_t id, uint64_t va, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_map m = {
		.size = sizeof(m), .flags = IOAS_RW, .ioas_id = id,
		.user_va = va, .length = len, .iova = iova,
	};

	return ioctl(ifd, IOMMU_IOAS_MAP, &m);
}

static int ioas_unmap(uint32_t id, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_unmap u = {
		.size = sizeof(u), .ioas_id = id, .iova = iova, .length = len,
	};

	return ioctl(ifd, IOMMU_IOAS_UNMAP, &u);
}

static int iommufd_map(uint64_t va, uint64_t iova, uint64_t len)
{
	return ioas_map(ioas, va, iova, len);
}

static int iommufd_unmap(uint64_t iova, uint64_t len)
{
	return ioas_unmap(ioas, iova, len);
}

static int iommufd_unmap_all(void)
{
	return ioas_unmap(ioas, 0, UINT64_MAX);
}

static int ioas_copy(uint32_t to, uint32_t from, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_copy c = {
		.size = sizeof(c), .flags = IOAS_RW, .dst_ioas_id = to,
		.src_ioas_id = from, .length = len, .dst_iova = iova,
		.src_iova = iova,
	};

	return ioctl(ifd, IOMMU_IOAS_COPY, &c);
}

static void iommufd_copies(void);
static void iommufd_tables(void);

static const struct backend iommufd_backend = {
	"iommufd", iommufd_open, iommufd_close, iommufd_map, iommufd_unmap, iommufd_unmap_all,
	iommufd_copies, iommufd_tables,
};

static int floor_fd = -1;
static struct floor_knobs knobs = {
	.batch = 512, .use_sg = 0, .remember = 1, .folio_step = 0,
};

static void floor_open(void)
{
	floor_fd = open("/dev/iommu_floor", O_RDWR);
	if (floor_fd < 0)
		die("/dev/iommu_floor");
	if (ioctl(floor_fd, FLOOR_KNOBS, &knobs))
		die("FLOOR_KNOBS");
}

static void floor_close(void)
{
	close(floor_fd);
}

static int floor_map(uint64_t va, uint64_t iova, uint64_t len)
{
	struct floor_range r = { .va = va, .iova = iova, .len = len };

	return ioctl(floor_fd, FLOOR_MAP, &r);
}

static int floor_unmap(uint64_t iova, uint64_t len)
{
	struct floor_range r = { .iova = iova, .len = len };

	return ioctl(floor_fd, FLOOR_UNMAP, &r);
}

static int floor_unmap_all(void)
{
	struct floor_range r = {
		.iova = BASE, .len = PG, .stride = STRIDE, .count = SLOTS,
	};

	return ioctl(floor_fd, FLOOR_UNMAP_MANY, &r);
}

static const struct backend floor_backend = {
	"floor", floor_open, floor_close, floor_map, floor_unmap, floor_unmap_all,
	NULL, NULL,
};

static const struct backend *be;

/* ---- memory accounting ----------------------------------------------- */

struct mem {
	uint64_t free_kib;	/* buddy plus per-cpu lists, so exact */
	uint64_t slab_kib;
};

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

/* ---- buffers ---------------------------------------------------------- */

static uint64_t perm(uint64_t i)	/* a permutation of [0, 65536) */
{
	return (i * 40503 + 12345) & (SLOTS - 1);
}

static unsigned long count_runs(char *p, size_t len)
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

enum kind { SCATTERED, LINEAR, THP, HUGETLB };

static char *get_buffer(enum kind kind, size_t len)
{
	char *raw, *p;
	size_t i;

	if (kind == HUGETLB) {
		p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE |
			 MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);
		if (p == MAP_FAILED)
			die("%zu MiB of hugetlb", len >> 20);
		raw = p;
	} else {
		raw = mmap(NULL, len + HUGE2M, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (raw == MAP_FAILED)
			die("mmap");
		p = (char *)(((uintptr_t)raw + HUGE2M - 1) & ~(HUGE2M - 1));
		/* trim, so that release() needs no second pointer */
		if (p != raw)
			munmap(raw, p - raw);
		munmap(p + len, raw + HUGE2M - p);
		if (madvise(p, len, kind == THP ? MADV_HUGEPAGE :
			    MADV_NOHUGEPAGE))
			die("madvise");
	}
	/* The order of first touch decides how scattered the frames are. */
	for (i = 0; i < len / PG; i++) {
		size_t pg = kind == SCATTERED ?
			perm(i) + (i & ~(SLOTS - 1ul)) : i;

		*(volatile char *)(p + pg * PG) = (char)i | 1;
	}
	return p;
}

/* ---- cases ------------------------------------------------------------ */

static void result(const char *name, const char *op, uint64_t units,
		   const char *unit, uint64_t total, double spread)
{
	out("R\t%s\t%s\t%s\t%lu\t%s\t%.1f\t%lu\t%.2f\n", be->name, name, op,
	    units, unit, (double)total / units, total, spread);
}

static void mem_result(const char *name, struct mem a, struct mem b,
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

static void floor_detail(const char *name, uint64_t pages, int mapping)
{
	struct floor_split s;

	if (be != &floor_backend || ioctl(floor_fd, FLOOR_SPLIT, &s))
		return;
	if (mapping)
		out("S\t%s\tmap\tpin %.1f\tcoalesce+map %.1f\t%lu runs\n", name,
		    (double)s.pin / pages, (double)s.map / pages,
		    (unsigned long)s.runs);
	else
		out("S\t%s\tunmap\treadback %.1f\tunmap+flush %.1f\tunpin %.1f\n",
		    name, (double)s.readback / pages, (double)s.unmap / pages,
		    (double)s.unpin / pages);
}

struct series {
	uint64_t min, max, sum;
	int n;
};

static void add(struct series *s, uint64_t v)
{
	if (!s->n || v < s->min)
		s->min = v;
	if (!s->n || v > s->max)
		s->max = v;
	s->sum += v;
	s->n++;
}

static double spread(const struct series *s)
{
	return s->min ? 100.0 * (s->max - s->min) / s->min : 0;
}

/* Cases a, A, b, c: one big buffer, one MAP, one UNMAP. */
static void big(const char *name, enum kind kind, size_t len)
{
	struct series m = { 0 }, u = { 0 };
	uint64_t pages = len / PG, t;
	struct mem m0, m1;
	char *buf = get_buffer(kind, len);
	int i;

	out("#\t%s\t%s\t%lu pages in %lu physically contiguous runs\n",
	    be->name, name, pages, count_runs(buf, len));

	/*
	 * The first pass is reported apart: it allocates I/O page tables and
	 * finds the pages unreferenced.  The second is thrown away: a backend
	 * that pins with FOLL_TOUCH (type1) activates every page on its second
	 * visit and never again, at some 700 instructions each.
	 */
	if (want_mem) {
		mem_now();
		ncache0 = caches_now(cache0);
		m0 = mem_now();
	}
	t = now();
	if (be->map((uintptr_t)buf, BASE, len))
		die("%s: map", name);
	t = now() - t;
	if (want_mem) {
		m1 = mem_now();
		ncache1 = caches_now(cache1);
		mem_result(name, m0, m1, len, 1);
	}
	result(name, "map-first", pages, "page", t, 0);
	if (be->unmap(BASE, len) || be->map((uintptr_t)buf, BASE, len) ||
	    be->unmap(BASE, len))
		die("%s: warm-up", name);

	for (i = 0; i < reps; i++) {
		t = now();
		mark_begin(MARK_BIG_MAP);
		if (be->map((uintptr_t)buf, BASE, len))
			die("%s: map", name);
		mark_end(MARK_BIG_MAP);
		add(&m, now() - t);
		if (i == reps - 1)
			floor_detail(name, pages, 1);
		t = now();
		mark_begin(MARK_BIG_UNMAP);
		if (be->unmap(BASE, len))
			die("%s: unmap", name);
		mark_end(MARK_BIG_UNMAP);
		add(&u, now() - t);
		if (i == reps - 1)
			floor_detail(name, pages, 0);
	}
	result(name, "map", pages, "page", m.sum / m.n, spread(&m));
	result(name, "unmap", pages, "page", u.sum / u.n, spread(&u));

	munmap(buf, len);
}

/* Case d: the same single page over and over. */
static void latency(void)
{
	const unsigned int n = 10000;
	char *buf = get_buffer(LINEAR, PG * 512);
	uint64_t t, tm = 0, tu = 0, pair;
	unsigned int i;

	for (i = 0; i < 200; i++)
		if (be->map((uintptr_t)buf, BASE, PG) || be->unmap(BASE, PG))
			die("d: warm-up");
	t = now();
	mark_begin(MARK_D);
	for (i = 0; i < n; i++)
		if (be->map((uintptr_t)buf, BASE, PG) || be->unmap(BASE, PG))
			die("d");
	mark_end(MARK_D);
	pair = now() - t;
	/* Once more with a clock read in between, only to split the pair. */
	for (i = 0; i < n; i++) {
		uint64_t t0 = now(), t1, t2;

		if (be->map((uintptr_t)buf, BASE, PG))
			die("d: map");
		t1 = now();
		if (be->unmap(BASE, PG))
			die("d: unmap");
		t2 = now();
		tm += t1 - t0;
		tu += t2 - t1;
	}
	result("d", "map+unmap", n, "pair", pair, 0);
	result("d", "map", n, "op", tm, 0);
	result("d", "unmap", n, "op", tu, 0);
	munmap(buf, PG * 512);
}

static uint64_t slot_iova(unsigned int i)
{
	return BASE + perm(i) * STRIDE;
}

static void fill(char *buf, unsigned int from, unsigned int to)
{
	for (; from < to; from++)
		if (be->map((uintptr_t)buf + from * PG, slot_iova(from), PG))
			die("map number %u", from);
}

static void drain(unsigned int from, unsigned int to)
{
	for (; from < to; from++)
		if (be->unmap(slot_iova(from), PG))
			die("unmap number %u", from);
}

/* Cases e and f: many one-page mappings alive at the same time. */
static void many(void)
{
	/* A window of 1000 operations that ends at each of these counts. */
	static const unsigned int at[] = { 1000, 10000, 50000 };
	uint64_t t, tmap[3], tun[3], t20 = 0, u20 = 0;
	char *buf = get_buffer(SCATTERED, SLOTS * PG);
	struct series all = { 0 };
	struct mem m0, m1;
	unsigned int i, pos;

	/*
	 * First round: memory, and it leaves the leaf page tables in place
	 * (single-page unmaps never free them), so the rounds below do not
	 * pay for them.
	 */
	if (want_mem) {
		mem_now();
		ncache0 = caches_now(cache0);
		m0 = mem_now();
	}
	fill(buf, 0, MANY);
	if (want_mem) {
		m1 = mem_now();
		ncache1 = caches_now(cache1);
		mem_result("e", m0, m1, MANY * PG, MANY);
	}
	drain(0, MANY);
	fill(buf, 0, MANY);	/* see big() for why a second round */
	drain(0, MANY);

	if (trace_windows)	/* to see what the named windows stand for */
		for (i = 0; i < MANY; i += WINDOW) {
			t = now();
			fill(buf, i, i + WINDOW);
			out("W\t%s\tmap\t%u\t%.1f\n", be->name, i + WINDOW,
			    (double)(now() - t) / WINDOW);
		}
	for (i = 0; trace_windows && i < MANY; i += WINDOW) {
		t = now();
		drain(i, i + WINDOW);
		out("W\t%s\tunmap\t%u\t%.1f\n", be->name, MANY - i,
		    (double)(now() - t) / WINDOW);
	}
	if (strchr(cases, 'e')) {
		/* 20,000 in, 20,000 out */
		t = now();
		fill(buf, 0, 20000);
		t20 = now() - t;
		t = now();
		drain(0, 20000);
		u20 = now() - t;

		for (i = 0, pos = 0; i < 3; i++) {
			fill(buf, pos, at[i] - WINDOW);
			t = now();
			mark_begin(MARK_E_MAP);
			fill(buf, at[i] - WINDOW, at[i]);
			mark_end(MARK_E_MAP);
			tmap[i] = now() - t;
			pos = at[i];
		}
		/* Oldest first, so the count falls from 50,000 to nothing. */
		for (i = 3, pos = 0; i-- > 0;) {
			unsigned int start = MANY - at[i];

			drain(pos, start);
			t = now();
			mark_begin(MARK_E_UNMAP);
			drain(start, start + WINDOW);
			mark_end(MARK_E_UNMAP);
			tun[i] = now() - t;
			pos = start + WINDOW;
		}
		result("e20k", "map", 20000, "op", t20, 0);
		result("e20k", "unmap", 20000, "op", u20, 0);
		for (i = 0; i < 3; i++) {
			char name[16];

			snprintf(name, sizeof(name), "e@%uk", at[i] / 1000);
			result(name, "map", WINDOW, "op", tmap[i], 0);
			result(name, "unmap", WINDOW, "op", tun[i], 0);
		}
	}
	if (strchr(cases, 'f')) {
		for (i = 0; i < (unsigned int)reps; i++) {
			fill(buf, 0, MANY);
			t = now();
			mark_begin(MARK_F);
			if (be->unmap_all())
				die("f: unmap all");
			mark_end(MARK_F);
			add(&all, now() - t);
		}
		result("f", "unmap-all", MANY, "mapping", all.sum / all.n,
		       spread(&all));
	}
	munmap(buf, SLOTS * PG);
}

static const struct {
	const char *name;
	enum kind kind;
	size_t len;
} bufs[] = {
	{ "A", LINEAR, 256 * MIB },
	{ "a", SCATTERED, 256 * MIB },
	{ "b", THP, 512 * MIB },
	{ "c", HUGETLB, 512 * MIB },
};

static void report(const char *name, const char *op, uint64_t units,
		   const char *unit, const struct series *s)
{
	result(name, op, units, unit, s->sum / s->n, spread(s));
}

/*
 * Case g: IOMMU_IOAS_COPY into the attached IOAS.  "copy": the source has no
 * page table, so nothing has pinned the pages yet and the copy must.
 * "copy-pinned": the source has one, so only the new page table is to be made.
 */
static void iommufd_copies(void)
{
	unsigned int k, pinned;
	int i;

	for (k = 0; k < sizeof(bufs) / sizeof(bufs[0]); k++) {
		uint64_t len = bufs[k].len, pages = len / PG;
		char *buf = get_buffer(bufs[k].kind, len);

		out("#\t%s\tg%s\t%lu pages in %lu physically contiguous runs\n",
		    be->name, bufs[k].name, pages, count_runs(buf, len));
		for (pinned = 0; pinned < 2; pinned++) {
			struct series c = { 0 }, u = { 0 };
			uint32_t table = 0;

			be->open();
			if (ioas_map(src_ioas, (uintptr_t)buf, BASE, len))
				die("g: map of the copy source");
			if (pinned)
				table = new_table(src_ioas);
			for (i = -2; i < reps; i++) {
				uint64_t t0 = now(), t1, t2;

				if (ioas_copy(ioas, src_ioas, BASE, len))
					die("g: copy");
				t1 = now();
				if (be->unmap(BASE, len))
					die("g: unmap of the copy");
				t2 = now();
				if (i < 0)
					continue;	/* warm-up */
				add(&c, t1 - t0);
				add(&u, t2 - t1);
			}
			report(bufs[k].name, pinned ? "copy-pinned" : "copy",
			       pages, "page", &c);
			report(bufs[k].name, pinned ? "copy-pinned-unmap" :
			       "copy-unmap", pages, "page", &u);
			if (pinned)
				destroy(table);
			be->close();
		}
		munmap(buf, len);
	}
}

/*
 * Case h: an IOAS that holds 512 MiB gets a page table while it has none
 * ("attach1": pins), then one more ("attach2": does not), and the device moves
 * from one such IOAS to another that shares the memory ("replace": builds a
 * page table and tears one down) or between two page tables that are there
 * already ("swap").
 */
static void iommufd_tables(void)
{
	static const struct { const char *name; enum kind kind; } h[] = {
		{ "h4k", SCATTERED }, { "h2m", HUGETLB },
	};
	const uint64_t len = 512 * MIB, pages = len / PG;
	const unsigned int n = 1000;
	struct series s[6] = { 0 };
	uint32_t t1, t2, other;
	struct mem m0, m1;
	uint64_t t;
	unsigned int k, o;
	int i;

	for (k = 0; k < 2; k++) {
		char *buf = get_buffer(h[k].kind, len);

		memset(s, 0, sizeof(s));
		be->open();
		out("#\t%s\t%s\t%lu pages in %lu physically contiguous runs\n",
		    be->name, h[k].name, pages, count_runs(buf, len));
		/* src_ioas is attached to nothing */
		if (ioas_map(src_ioas, (uintptr_t)buf, BASE, len))
			die("h: map");
		for (i = -2; i < reps; i++) {
			uint64_t v[5];

			v[0] = now();
			t1 = new_table(src_ioas);
			v[1] = now();
			if (i == -2) {
				mem_now();
				m0 = mem_now();
			}
			v[2] = now();
			t2 = new_table(src_ioas);
			v[3] = now();
			if (i == -2) {
				m1 = mem_now();
				mem_result(h[k].name, m0, m1, len, 1);
			}
			t = now();
			destroy(t2);
			v[4] = now() - t;
			t = now();
			destroy(t1);
			t = now() - t;
			if (i < 0)
				continue;
			add(&s[0], v[1] - v[0]);
			add(&s[1], v[3] - v[2]);
			add(&s[2], v[4]);
			add(&s[3], t);
		}
		report(h[k].name, "attach1", pages, "page", &s[0]);
		report(h[k].name, "attach2", pages, "page", &s[1]);
		report(h[k].name, "destroy2", pages, "page", &s[2]);
		report(h[k].name, "destroy1", pages, "page", &s[3]);

		/* the device is on ioas, which is to share what src_ioas has */
		if (ioas_copy(ioas, src_ioas, BASE, len))
			die("h: copy");
		for (i = -2; i < reps; i++) {
			t = now();
			attach(src_ioas);
			t = now() - t;
			attach(ioas);
			if (i >= 0)
				add(&s[4], t);
		}
		report(h[k].name, "replace", pages, "page", &s[4]);
		t1 = new_table(ioas);
		t2 = new_table(src_ioas);
		for (o = 0; o < 10; o++)
			attach(o & 1 ? t2 : t1);
		t = now();
		for (o = 0; o < n; o++)
			attach(o & 1 ? t2 : t1);
		result(h[k].name, "swap", n, "op", now() - t, 0);
		be->close();
		munmap(buf, len);
	}

	/* nothing mapped: what the objects and the move itself cost */
	be->open();
	other = new_ioas();
	for (o = 0; o < 10; o++)
		destroy(new_table(other));
	t = now();
	for (o = 0; o < n; o++)
		destroy(new_table(other));
	result("h0", "attach+destroy", n, "op", now() - t, 0);
	for (o = 0; o < 10; o++)
		attach(o & 1 ? ioas : other);
	t = now();
	for (o = 0; o < n; o++)
		attach(o & 1 ? ioas : other);
	result("h0", "replace", n, "op", now() - t, 0);
	t1 = new_table(ioas);
	t2 = new_table(other);
	t = now();
	for (o = 0; o < n; o++)
		attach(o & 1 ? t2 : t1);
	result("h0", "swap", n, "op", now() - t, 0);
	for (o = 0; o < 10; o++)
		destroy(new_ioas());
	t = now();
	for (o = 0; o < n; o++)
		destroy(new_ioas());
	result("h0", "ioas+destroy", n, "op", now() - t, 0);
	be->close();
}

/* What entering and leaving the kernel costs: an ioctl nobody knows. */
static void null_ioctl(void)
{
	const unsigned int n = 10000;
	unsigned int i;
	uint64_t t;
	int fd;

	be->open();
	fd = be == &floor_backend ? floor_fd :
	     be == &iommufd_backend ? ifd : container;
	t = now();
	for (i = 0; i < n; i++)
		ioctl(fd, _IO('?', 0xff), 0);
	result("null", "ioctl", n, "op", now() - t, 0);
	be->close();
}

static void big_a(void)
{
	big("a", SCATTERED, 256 * MIB);
}

static void big_A(void)
{
	big("A", LINEAR, 256 * MIB);
}

static void big_b(void)
{
	big("b", THP, 512 * MIB);
}

static void big_c(void)
{
	big("c", HUGETLB, 512 * MIB);
}

static void one(void (*fn)(void))
{
	be->open();
	fn();
	be->close();
}

static void usage(const char *me)
{
	fprintf(stderr,
"usage: %s [-b type1|container|iommufd|floor] [-d BDF] [-c CASES] [-r REPS] [-M] [-W]\n"
"          [-I /dev/iommu] [-C /dev/vfio/devices/vfioN] [-F batch,sg,remember,folio]\n"
"  CASES: a 256M scattered 4K, A 256M 4K in fault order, b 512M THP,\n"
"         c 512M hugetlb, d one page, e many mappings, f unmap all,\n"
"         iommufd only: g IOAS_COPY of A,a,b,c; h more page tables, replace\n"
"  -M  no memory accounting\n"
"  -W  print every window of 1000 mappings in case e\n",
		me);
	exit(2);
}

int main(int argc, char **argv)
{
	const char *b = "type1";
	int o;

	while ((o = getopt(argc, argv, "b:d:c:r:MWI:C:F:")) != -1)
		switch (o) {
		case 'b':
			b = optarg;
			break;
		case 'd':
			bdf = optarg;
			break;
		case 'c':
			cases = optarg;
			break;
		case 'r':
			reps = atoi(optarg);
			break;
		case 'M':
			want_mem = 0;
			break;
		case 'W':
			trace_windows = 1;
			break;
		case 'I':
			iommufd_path = optarg;
			break;
		case 'C':
			cdev_path = optarg;
			break;
		case 'F':
			if (sscanf(optarg, "%u,%u,%u,%u", &knobs.batch,
				   &knobs.use_sg, &knobs.remember,
				   &knobs.folio_step) != 4)
				usage(argv[0]);
			break;
		default:
			usage(argv[0]);
		}
	if (reps < 1)
		usage(argv[0]);
	if (!strcmp(b, "type1"))
		be = &type1_backend;
	else if (!strcmp(b, "floor"))
		be = &floor_backend;
	else if (!strcmp(b, "iommufd"))
		be = &iommufd_backend;
	else if (!strcmp(b, "container"))
		be = &container_backend;
	else
		usage(argv[0]);

	outbuf = calloc(1, 1 << 20);
	if (!outbuf)
		die("calloc");
	/*
	 * Each case gets a fresh address space: type1 leaves leaf page tables
	 * behind after unmapping scattered memory, which the next case would
	 * otherwise inherit.
	 */
	null_ioctl();
	if (strchr(cases, 'A'))		/* before a, whose frees fragment */
		one(big_A);
	if (strchr(cases, 'a'))
		one(big_a);
	if (strchr(cases, 'b'))
		one(big_b);
	if (strchr(cases, 'c'))
		one(big_c);
	if (strchr(cases, 'd'))
		one(latency);
	if (strchr(cases, 'e') || strchr(cases, 'f'))
		one(many);
	if (be->copies && strchr(cases, 'g'))
		be->copies();
	if (be->tables && strchr(cases, 'h'))
		be->tables();
	out("#\t%s\tclock\t%.4f ns an instruction\n", be->name,
	    ns_per_instruction());
	flush_out();
	return 0;
}
