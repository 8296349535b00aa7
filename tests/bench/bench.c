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

#include "bench.h"

#define MANY		50000u
#define WINDOW		1000u

static const char *cases = "Aabcdefgh";
static int reps = 3;
static int want_mem = 1;
static int trace_windows;

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
	if (want_mem)
		m0 = mem_before();
	t = now();
	if (be->map((uintptr_t)buf, BASE, len))
		die("%s: map", name);
	t = now() - t;
	if (want_mem) {
		m1 = mem_after();
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
	if (want_mem)
		m0 = mem_before();
	fill(buf, 0, MANY);
	if (want_mem) {
		m1 = mem_after();
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
			if (i == -2)
				m0 = mem_before();
			v[2] = now();
			t2 = new_table(src_ioas);
			v[3] = now();
			if (i == -2) {
				m1 = mem_after();
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
	mark_begin(MARK_H0_ATTACH);
	for (o = 0; o < n; o++)
		destroy(new_table(other));
	mark_end(MARK_H0_ATTACH);
	result("h0", "attach+destroy", n, "op", now() - t, 0);
	for (o = 0; o < 10; o++)
		attach(o & 1 ? ioas : other);
	t = now();
	mark_begin(MARK_H0_REPLACE);
	for (o = 0; o < n; o++)
		attach(o & 1 ? ioas : other);
	mark_end(MARK_H0_REPLACE);
	result("h0", "replace", n, "op", now() - t, 0);
	t1 = new_table(ioas);
	t2 = new_table(other);
	t = now();
	mark_begin(MARK_H0_SWAP);
	for (o = 0; o < n; o++)
		attach(o & 1 ? t2 : t1);
	mark_end(MARK_H0_SWAP);
	result("h0", "swap", n, "op", now() - t, 0);
	/* both below one address space, which knows the group already */
	t2 = new_table(ioas);
	attach(t1);
	attach(t2);
	t = now();
	for (o = 0; o < n; o++)
		attach(o & 1 ? t2 : t1);
	result("h0", "swap-within", n, "op", now() - t, 0);
	for (o = 0; o < 10; o++)
		destroy(new_ioas());
	t = now();
	mark_begin(MARK_H0_IOAS);
	for (o = 0; o < n; o++)
		destroy(new_ioas());
	mark_end(MARK_H0_IOAS);
	result("h0", "ioas+destroy", n, "op", now() - t, 0);
	be->close();
}

/* The same move of the device, as bare as it can be: attach_dev() and no more. */
static void floor_tables(void)
{
	const unsigned int n = 1000;
	unsigned int o;
	uint64_t t;

	be->open();
	for (o = 0; o < 10; o++)
		floor_swap();
	t = now();
	for (o = 0; o < n; o++)
		floor_swap();
	t = now() - t;
	be->close();
	/* What is in the tables makes no difference to it. */
	result("h4k", "swap", n, "op", t, 0);
	result("h2m", "swap", n, "op", t, 0);
	result("h0", "swap", n, "op", t, 0);
	result("h0", "swap-within", n, "op", t, 0);
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
"         p memory that is not there, and that was brought in ahead,\n"
"         iommufd only: g IOAS_COPY of A,a,b,c; h more page tables, replace\n"
"         scale: m up to a million mappings; iommufd only: t up to 64 page tables,\n"
"         n up to 1000 contexts\n"
"         for locks.c: l mappings of 4 KiB to 512 MiB; o two threads\n"
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
	if (strchr(cases, 'p'))
		populated();
	if (be == &iommufd_backend && strchr(cases, 'g'))
		iommufd_copies();
	if (be == &iommufd_backend && strchr(cases, 'h'))
		iommufd_tables();
	if (be == &floor_backend && strchr(cases, 'h'))
		floor_tables();
	if (strchr(cases, 'm'))
		one(scale_mappings);
	if (be == &iommufd_backend && strchr(cases, 't'))
		one(scale_tables);
	if (be == &iommufd_backend && strchr(cases, 'n'))
		one(scale_contexts);
	if (strchr(cases, 'l'))
		one(hold_times);
	if (strchr(cases, 'o'))
		one(overlap);
	out("#\t%s\tclock\t%.4f ns an instruction\n", be->name,
	    ns_per_instruction());
	flush_out();
	return 0;
}

