// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of drivers/iommufd/runs.c. Those that do not depend on sizes are also
 * run with chunks of 6 entries and runs of at most 5 pages (see the Makefile).
 */
#include <stdio.h>

#include "runs_model.h"

#define SMALL	(RUNS_CHUNK_BYTES < 4096)

static struct runs runs;

/* What the drop callback was called with. */
static struct run dropped[64];
static unsigned int nr_dropped;
static unsigned long pages_dropped;

static void note_drop(void *arg, const struct run *run, unsigned int nr)
{
	expect(arg == &runs);
	expect(nr);
	for (; nr; nr--, run++) {
		if (nr_dropped < 64)
			dropped[nr_dropped] = *run;
		nr_dropped++;
		pages_dropped += run->nr;
	}
}

static void drop(unsigned long first, unsigned long last)
{
	nr_dropped = 0;
	pages_dropped = 0;
	host_memory.forbidden = true;
	runs_drop(&runs, first, last, note_drop, &runs);
	host_memory.forbidden = false;
}

static void drop_all(void)
{
	unsigned long nr_pages = runs.nr_pages, nr_runs = count_runs(&runs);

	drop(0, ULONG_MAX);
	expect_eq(pages_dropped, nr_pages);
	expect_eq(nr_dropped, nr_runs);
	expect_eq(runs.nr_pages, 0);
	expect_eq(count_runs(&runs), 0);
	expect(RB_EMPTY_ROOT(&runs.chunks));
	expect_eq(runs.solo.nr, 0);
	expect_eq(host_memory.live, 0);
}

static void add(unsigned long index, u64 pfn, unsigned int nr, bool merge)
{
	struct run run = { .pfn = pfn, .nr = nr };

	expect_eq(runs_add(&runs, index, &run, 1, 0, merge), 1);
}

static void expect_at(unsigned long index, u64 want)
{
	unsigned long pfn = ~0ul;

	if (want == NOT_PINNED) {
		expect(!runs_lookup(&runs, index, &pfn));
		return;
	}
	expect(runs_lookup(&runs, index, &pfn));
	expect_eq(pfn, want);
}

static void expect_hole(unsigned long first, unsigned long last,
			unsigned long want_first, unsigned long want_last)
{
	unsigned long f = ~0ul, l = ~0ul;

	expect(runs_next_hole(&runs, first, last, &f, &l));
	expect_eq(f, want_first);
	expect_eq(l, want_last);
}

static void expect_no_hole(unsigned long first, unsigned long last)
{
	unsigned long f, l;

	expect(!runs_next_hole(&runs, first, last, &f, &l));
}

static void nothing_is_pinned_at_first(void)
{
	struct run out;

	runs_init(&runs);
	expect_at(0, NOT_PINNED);
	expect_at(ULONG_MAX, NOT_PINNED);
	expect_hole(3, 9, 3, 9);
	expect_eq(runs_read(&runs, 3, 9, &out, 1), 0);
	expect_eq(runs_cut(&runs, 3), 0);
	runs_join(&runs, 3);
	drop_all();
}

static void one_run_needs_no_memory(void)
{
	struct runs taken;

	runs_init(&runs);
	host_memory.forbidden = true;
	add(0, 0x123, 2, false);
	expect_at(0, 0x123);
	expect_at(1, 0x124);
	expect_at(2, NOT_PINNED);
	expect_hole(0, 9, 2, 9);
	drop_all();
	add(0, 0x456, 1, false);
	add(1, 0x457, 1, true);
	expect_eq(count_runs(&runs), 1);
	expect_eq(runs_cut(&runs, 0), 0);
	expect_eq(runs_cut(&runs, 2), 0);
	host_memory.forbidden = false;

	/* What goes on elsewhere, or a cut, needs a chunk. */
	add(2, 0x789, 1, true);
	expect_eq(host_memory.live, 1);
	expect_eq(host_memory.bytes, 64);
	expect_at(1, 0x457);
	expect_at(2, 0x789);
	drop_all();
	add(0, 0x456, 4, false);
	expect_eq(runs_cut(&runs, 1), 0);
	expect_eq(host_memory.live, 1);
	expect_at(0, 0x456);
	expect_at(3, 0x459);
	drop_all();

	/* All can be had elsewhere, with and without chunks. */
	add(0, 0x456, 4, false);
	runs_move(&taken, &runs);
	expect_hole(0, 9, 0, 9);
	add(0, 0x789, 1, false);
	add(1, 0x78b, 1, false);
	swap(taken, runs);
	expect_at(3, 0x459);
	drop(0, 3);
	runs_move(&runs, &taken);
	expect_eq(taken.nr_pages, 0);
	expect_at(1, 0x78b);
	drop_all();
}

static void adjacent_entries_of_a_batch_merge(void)
{
	static const struct run batch[] = {
		{ 10, 1 }, { 11, 2 }, { 13, 1 },	/* go on */
		{ 20, 1 },
		{ 20, 1 },				/* the same page again */
		{ 19, 1 },				/* the one before */
	};

	runs_init(&runs);
	expect_eq(runs_add(&runs, 0, batch, 6, 0, false), 6);
	expect_eq(count_runs(&runs), 4);
	expect_eq(runs.nr_pages, 7);
	expect_at(3, 13);
	expect_at(4, 20);
	expect_at(5, 20);
	expect_at(6, 19);
	drop_all();
}

static void batches_merge_only_if_asked(void)
{
	runs_init(&runs);
	add(0, 10, 1, true);
	add(1, 11, 1, false);
	expect_eq(count_runs(&runs), 2);
	add(2, 12, 1, true);
	expect_eq(count_runs(&runs), 2);
	/* Physically adjacent is not enough, the index must go on too. */
	add(4, 13, 1, true);
	expect_eq(count_runs(&runs), 3);
	/* Never with what is behind. */
	add(3, 12, 1, false);
	expect_eq(count_runs(&runs), 4);
	drop_all();
}

static void no_run_exceeds_the_longest(void)
{
	runs_init(&runs);
	add(0, 0x1000, RUN_NR_MAX, false);
	add(RUN_NR_MAX, 0x1000 + RUN_NR_MAX, 1, true);
	expect_eq(count_runs(&runs), 2);
	runs_join(&runs, RUN_NR_MAX);
	expect_eq(count_runs(&runs), 2);
	expect_eq(runs_cut(&runs, 1), 0);
	runs_join(&runs, RUN_NR_MAX);
	expect_at(RUN_NR_MAX, 0x1000 + RUN_NR_MAX);
	drop_all();
}

/* Arithmetic in 40 bits would make the page behind RUN_HOLE page 0. */
static void hole_does_not_go_on_at_page_zero(void)
{
	runs_init(&runs);
	add(0, 5, 1, false);
	add(2, 0, 1, true);
	expect_eq(count_runs(&runs), 2);
	runs_join(&runs, 2);
	runs_join(&runs, 1);
	expect_eq(count_runs(&runs), 2);
	expect_at(1, NOT_PINNED);
	expect_at(2, 0);
	/* Nor does the highest page go on with a hole. */
	add(10, RUN_HOLE - 1, 1, false);
	add(12, 3, 1, false);
	runs_join(&runs, 11);
	expect_at(11, NOT_PINNED);
	drop_all();
}

static void cut_and_join_are_inverse(void)
{
	struct run out[4];
	unsigned int i;

	runs_init(&runs);
	add(100, 0x40, 5, false);
	for (i = 101; i < 105; i++) {
		expect_eq(runs_cut(&runs, i), 0);
		expect_eq(count_runs(&runs), i - 99);
		expect_eq(runs_cut(&runs, i), 0);
		expect_eq(count_runs(&runs), i - 99);
	}
	expect_eq(runs_cut(&runs, 100), 0);
	expect_eq(runs_cut(&runs, 105), 0);
	expect_eq(count_runs(&runs), 5);
	for (i = 0; i < 5; i++)
		expect_at(100 + i, 0x40 + i);
	host_memory.forbidden = true;
	for (i = 100; i < 106; i++)
		runs_join(&runs, i);
	host_memory.forbidden = false;
	expect_eq(count_runs(&runs), 1);
	expect_eq(runs_read(&runs, 100, 104, out, 4), 1);
	expect(out[0].pfn == 0x40 && out[0].nr == 5);
	drop_all();
}

static void cut_without_memory_changes_nothing(void)
{
	unsigned long index, refused = 0;

	runs_init(&runs);
	for (index = 0; index < 200; index += 5)
		add(index, 0x1000 + index, 5, false);
	for (index = 1; index < 200; index++) {
		unsigned long nr_runs = count_runs(&runs);

		host_memory.fail_in = 1;
		if (runs_cut(&runs, index)) {
			refused++;
			expect_eq(count_runs(&runs), nr_runs);
			expect_eq(runs_cut(&runs, index), 0);
			expect_eq(count_runs(&runs), nr_runs + 1);
		}
		host_memory.fail_in = 0;
		expect_at(index, 0x1000 + index);
		expect_at(index - 1, 0x1000 + index - 1);
	}
	expect(refused > 3);
	expect_eq(runs.nr_pages, 200);
	drop_all();
}

static void drop_is_called_once_for_each_run_in_order(void)
{
	static const struct run batch[] = { { 10, 2 }, { 20, 3 }, { 30, 1 } };

	runs_init(&runs);
	expect_eq(runs_add(&runs, 50, batch, 3, 0, false), 3);
	add(60, 70, 2, false);
	drop(40, 70);
	expect_eq(nr_dropped, 4);
	expect(dropped[0].pfn == 10 && dropped[0].nr == 2);
	expect(dropped[1].pfn == 20 && dropped[1].nr == 3);
	expect(dropped[2].pfn == 30 && dropped[2].nr == 1);
	expect(dropped[3].pfn == 70 && dropped[3].nr == 2);
	drop(0, ULONG_MAX);
	expect_eq(nr_dropped, 0);
	expect_eq(host_memory.live, 0);
}

/* Front, back, middle, beside a hole, and the last one. */
static void drop_of_parts_leaves_the_others(void)
{
	static const struct run batch[] = {
		{ 10, 2 }, { 20, 2 }, { 30, 2 }, { 40, 2 }, { 50, 2 },
		{ 60, 2 },
	};
	unsigned int i;

	runs_init(&runs);
	expect_eq(runs_add(&runs, 0, batch, 6, 0, false), 6);
	drop(4, 5);
	expect_hole(0, 11, 4, 5);
	drop(0, 1);
	expect_hole(0, 11, 0, 1);
	expect_hole(2, 11, 4, 5);
	drop(10, 11);
	expect_hole(6, 11, 10, 11);
	drop(5, 7);		/* begins in a hole */
	expect_hole(2, 11, 4, 7);
	expect_eq(nr_dropped, 1);
	expect_at(3, 21);
	expect_at(8, 50);
	drop(4, 9);		/* the hole becomes the chunk's edge */
	expect_hole(2, 11, 4, 11);
	expect_eq(count_runs(&runs), 1);
	drop(2, 3);
	expect_eq(host_memory.live, 0);
	for (i = 0; i < 12; i++)
		expect_at(i, NOT_PINNED);
}

static void drop_of_half_a_run_warns_and_keeps_it(void)
{
	runs_init(&runs);
	add(0, 0x10, 1, false);
	add(1, 0x20, 4, false);
	add(5, 0x30, 1, false);
	drop(0, 2);
	expect_eq(nr_dropped, 1);
	drop(3, 5);
	expect_eq(nr_dropped, 1);
	expect_eq(host_warnings, 2);
	host_warnings = 0;
	expect_eq(runs.nr_pages, 4);
	drop_all();
}

static void adding_what_is_pinned_warns_and_does_nothing(void)
{
	struct run run = { .pfn = 9, .nr = 1 };

	runs_init(&runs);
	add(0, 0x10, 4, false);
	expect_eq(runs_add(&runs, 2, &run, 1, 0, false), 0);
	expect_eq(host_warnings, 1);
	host_warnings = 0;
	expect_eq(runs.nr_pages, 4);
	expect_at(2, 0x12);
	drop_all();
}

static void reading_clips_both_ends_and_stops_at_holes(void)
{
	static const struct run batch[] = { { 10, 4 }, { 20, 4 }, { 30, 4 } };
	struct run out[4];

	runs_init(&runs);
	expect_eq(runs_add(&runs, 100, batch, 3, 0, false), 3);
	add(113, 50, 1, false);

	expect_eq(runs_read(&runs, 102, 108, out, 4), 3);
	expect(out[0].pfn == 12 && out[0].nr == 2);
	expect(out[1].pfn == 20 && out[1].nr == 4);
	expect(out[2].pfn == 30 && out[2].nr == 1);
	expect_eq(runs_read(&runs, 105, 106, out, 4), 1);
	expect(out[0].pfn == 21 && out[0].nr == 2);
	expect_eq(runs_read(&runs, 102, 113, out, 2), 2);
	expect_eq(runs_read(&runs, 108, 113, out, 4), 1);
	expect(out[0].pfn == 30 && out[0].nr == 4);
	expect_eq(runs_read(&runs, 112, 113, out, 4), 0);
	expect_eq(runs_read(&runs, 99, 113, out, 4), 0);
	expect_eq(runs_read(&runs, 113, 113, out, 4), 1);
	expect_eq(runs_read(&runs, 113, 113, out, 0), 0);
	expect_eq(runs_read(&runs, 114, 120, out, 4), 0);
	drop_all();
}

/* More single pages than any chunk holds: read and looked up across chunks. */
static void chunks_are_invisible(void)
{
	static struct run out[2048], batch[2048];
	unsigned int i, n = SMALL ? 100 : 2048;

	for (i = 0; i < n; i++) {
		batch[i].pfn = 0x100000 - 3 * i;
		batch[i].nr = 1;
	}
	runs_init(&runs);
	expect_eq(runs_add(&runs, 5, batch, n, 0, false), n);
	expect(host_memory.live > 3);
	expect_eq(runs_read(&runs, 5, 4 + n, out, 2048), n);
	expect(!memcmp(out, batch, n * sizeof(out[0])));
	for (i = 0; i < n; i++)
		expect_at(5 + i, batch[i].pfn);
	expect_no_hole(5, 4 + n);
	expect_hole(5, 9 + n, 5 + n, 9 + n);
	expect_hole(0, n, 0, 4);
	drop_all();
}

/* One hole, filled as a whole or piecewise, from either side or the middle. */
static void hole_in_a_chunk_can_be_filled_in_any_order(void)
{
	static const unsigned int orders[][3] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 },
		{ 2, 0, 1 }, { 2, 1, 0 },
	};
	unsigned int o, k, i;

	for (o = 0; o < 6; o++) {
		runs_init(&runs);
		add(0, 0x1000, 1, false);
		add(1, 0x2000, 3, false);
		add(4, 0x3000, 1, false);
		drop(1, 3);
		expect_hole(0, 4, 1, 3);
		for (k = 0; k < 3; k++)
			add(1 + orders[o][k], 0x4000 + 2 * orders[o][k], 1,
			    false);
		expect_no_hole(0, 4);
		for (i = 0; i < 3; i++)
			expect_at(1 + i, 0x4000 + 2 * i);
		expect_at(0, 0x1000);
		expect_at(4, 0x3000);
		drop_all();
	}
}

static void hole_goes_on_between_chunks(void)
{
	static struct run batch[2000];
	unsigned int i, n = SMALL ? 40 : 2000;

	for (i = 0; i < n; i++) {
		batch[i].pfn = 2 * i;
		batch[i].nr = 1;
	}
	runs_init(&runs);
	expect_eq(runs_add(&runs, 0, batch, n, 0, false), n);
	/* The end of one chunk, some whole ones, the beginning of another. */
	drop(3, n - 3);
	expect_hole(0, n - 1, 3, n - 3);
	expect_hole(n / 2, n - 1, n / 2, n - 3);
	expect_eq(count_runs(&runs), 5);
	expect_eq(runs_add(&runs, 3, &batch[3], n - 5, 0, false), n - 5);
	expect_no_hole(0, n - 1);
	for (i = 0; i < n; i++)
		expect_at(i, 2 * i);
	drop_all();
}

static struct interval_tree_node *consumer(struct rb_root_cached *root,
					   struct interval_tree_node *node,
					   unsigned long start,
					   unsigned long last)
{
	memset(node, 0, sizeof(*node));
	node->start = start;
	node->last = last;
	interval_tree_insert(node, root);
	return node;
}

static void expect_uncovered(struct rb_root_cached *root, unsigned long first,
			     unsigned long last, unsigned long want_first,
			     unsigned long want_last)
{
	unsigned long f = ~0ul, l = ~0ul;

	expect(consumers_next_uncovered(root, first, last, &f, &l));
	expect_eq(f, want_first);
	expect_eq(l, want_last);
}

static void uncovered_is_what_no_consumer_has(void)
{
	struct rb_root_cached root = RB_ROOT_CACHED;
	struct interval_tree_node nodes[5];
	unsigned long f, l;

	expect_uncovered(&root, 0, ULONG_MAX, 0, ULONG_MAX);
	consumer(&root, &nodes[0], 10, 19);
	consumer(&root, &nodes[1], 15, 29);	/* overlaps */
	consumer(&root, &nodes[2], 30, 39);	/* touches */
	consumer(&root, &nodes[3], 12, 13);	/* lies within */
	consumer(&root, &nodes[4], 50, ULONG_MAX);
	expect_uncovered(&root, 0, 60, 0, 9);
	expect_uncovered(&root, 10, 60, 40, 49);
	expect_uncovered(&root, 10, 45, 40, 45);
	expect_uncovered(&root, 41, 60, 41, 49);
	expect(!consumers_next_uncovered(&root, 10, 39, &f, &l));
	expect(!consumers_next_uncovered(&root, 50, ULONG_MAX, &f, &l));
	interval_tree_remove(&nodes[1], &root);
	expect_uncovered(&root, 10, 60, 20, 29);
}

static void consumers_end_where_one_begins_or_has_ended(void)
{
	struct rb_root_cached root = RB_ROOT_CACHED;
	struct interval_tree_node nodes[3];
	unsigned int i;

	consumer(&root, &nodes[0], 0, 99);
	consumer(&root, &nodes[1], 10, 19);
	consumer(&root, &nodes[2], 10, 29);
	for (i = 0; i < 110; i++)
		expect_eq(consumers_end_at(&root, i), i == 0 || i == 10 ||
			  i == 20 || i == 30 || i == 100);
}

/* What the owner of a span does, with each of its allocations failing once. */
static void each_failed_allocation_leaves_it_wholly_old(void)
{
	unsigned int fail, failures = 0;
	static struct span span;

	for (fail = 1;; fail++) {
		struct run batch[NR_PAGES];
		unsigned int i, done = 0, first;
		unsigned long nr_runs;
		bool failed;

		span_init(&span, 0);
		runs_init(&runs);
		/* Runs of 3, in a chunk without room; every second 12 gone. */
		for (i = 0; i < NR_PAGES / 3; i++) {
			batch[i].pfn = 0x1000 + 4 * i;
			batch[i].nr = 3;
		}
		expect_eq(runs_add(&runs, 0, batch, NR_PAGES / 3, 0, false),
			  NR_PAGES / 3);
		for (i = 12; i < NR_PAGES - 12; i += 24)
			drop(i, i + 11);
		nr_runs = count_runs(&runs);

		/* Cut, and fill the holes with single pages. */
		host_memory.fail_in = fail;
		failed = runs_cut(&runs, 1) ||
			 runs_cut(&runs, NR_PAGES - 1);
		for (i = 0; i < 12; i++) {
			batch[i].pfn = 0x5000 + 2 * i;
			batch[i].nr = 1;
		}
		for (first = 12; !failed && first < NR_PAGES - 12;
		     first += 24) {
			done = runs_add(&runs, first, batch, 12, 0, false);
			failed = done < 12;
			if (failed)
				break;
		}
		host_memory.fail_in = 0;
		if (!failed) {
			expect_no_hole(0, NR_PAGES - 1);
			drop_all();
			break;
		}
		failures++;
		/* The recorded part is there, the rest is not. */
		if (first > 12 || done) {
			for (i = 0; i < done; i++)
				expect_at(first + i, 0x5000 + 2 * i);
			if (done < 12)
				expect_at(first + done, NOT_PINNED);
		}
		for (i = 12; i < NR_PAGES - 12; i += 24)
			drop(i, i + 11);
		runs_join(&runs, 1);
		runs_join(&runs, NR_PAGES - 1);
		expect(count_runs(&runs) <= nr_runs + 2);
		/* The same again succeeds. */
		expect_eq(runs_cut(&runs, 1), 0);
		expect_eq(runs_add(&runs, 12, batch, 12, 0, false), 12);
		drop_all();
	}
	printf("# %u allocations failed, one at a time\n", failures);
	expect(failures >= (SMALL ? 8 : 2));
}

/* Pin @pages from 0 on as runs of @len, in batches of 512 pages. */
static unsigned long pin_all(unsigned long pages, unsigned int len,
			     unsigned int stride)
{
	static struct run batch[512];
	unsigned long index, calls = host_memory.calls;
	unsigned int n, i;

	for (index = 0; index < pages; index += 512) {
		n = len < 512 ? 512 / len : 1;
		for (i = 0; i < n; i++) {
			unsigned long page = index + (unsigned long)i * len;

			batch[i].pfn = 0x100000 + page / len * stride +
				       page % len;
			batch[i].nr = min(len, 512u);
		}
		expect_eq(runs_add(&runs, index, batch, n, pages - index - 512,
				   index != 0), n);
	}
	return host_memory.calls - calls;
}

static void figure(const char *what, unsigned long pages, unsigned long calls)
{
	printf("# %s: %lu runs, %lu chunks, %lu bytes, %.3f a page, %.2f a run, %lu allocations\n",
	       what, count_runs(&runs), host_memory.live, host_memory.bytes,
	       (double)host_memory.bytes / pages,
	       (double)host_memory.bytes / count_runs(&runs), calls);
}

#define GIB	262144ul

static void scattered_gib_takes_8_1_bytes_a_page(void)
{
	unsigned long calls;

	runs_init(&runs);
	calls = pin_all(GIB, 1, 2);
	figure("1 GiB of scattered pages", GIB, calls);
	expect_eq(count_runs(&runs), GIB);
	expect(host_memory.bytes <= GIB * 81 / 10);
	drop_all();
}

static void huge_pages_take_a_run_each(void)
{
	unsigned long calls;

	runs_init(&runs);
	calls = pin_all(GIB, 512, 1024);
	figure("1 GiB of scattered 2 MiB pages", GIB, calls);
	expect_eq(count_runs(&runs), 512);
	expect(host_memory.bytes <= 512 * 17 / 2);
	drop_all();
}

static void contiguous_gib_is_one_run(void)
{
	unsigned long calls;

	runs_init(&runs);
	calls = pin_all(GIB, GIB, GIB);
	figure("1 GiB in one piece", GIB, calls);
	expect_eq(count_runs(&runs), 1);
	expect_eq(host_memory.live, 0);
	drop_all();
}

static void batches_of_two_runs_stay_small(void)
{
	unsigned long calls;

	runs_init(&runs);
	calls = pin_all(2048, 64, 100);
	figure("8 MiB in pieces of 256 KiB", 2048, calls);
	expect_eq(count_runs(&runs), 32);
	expect(host_memory.bytes <= 320);
	drop_all();
}

static void slices_of_huge_memory_take_16_bytes_each(void)
{
	unsigned long index;

	runs_init(&runs);
	pin_all(GIB, 512, 1024);
	for (index = 5; index < GIB; index += 5)
		expect_eq(runs_cut(&runs, index), 0);
	figure("1 GiB of 2 MiB pages in slices of 20 KiB", GIB,
	       host_memory.calls);
	expect_eq(count_runs(&runs), GIB / 5 + 512 - 102);
	expect(host_memory.bytes <= count_runs(&runs) * 17);
	host_memory.forbidden = true;
	for (index = 5; index < GIB; index += 5)
		runs_join(&runs, index);
	host_memory.forbidden = false;
	/* What is left beyond the physical runs is at edges of chunks. */
	expect(count_runs(&runs) <= 512 + host_memory.live);
	drop_all();
}

/* Pages one at a time, as emulated devices pin them. */
static void single_pins_take_less_than_a_small_chunk_each(void)
{
	unsigned long i;

	runs_init(&runs);
	for (i = 0; i < 50000; i++)
		add(i, 2 * i, 1, false);
	figure("50,000 single pins, upwards", 50000, host_memory.calls);
	expect(host_memory.bytes <= 50000 * 17);
	drop_all();

	for (i = 0; i < 50000; i++)
		add(i * 7919 % 65536 * 2, 2 * i, 1, false);
	figure("50,000 single pins, strewn", 50000, host_memory.calls);
	expect(host_memory.bytes <= 50000 * 40);
	drop_all();

	for (i = 50000; i--;)
		add(i, 2 * i, 1, false);
	figure("50,000 single pins, downwards", 50000, host_memory.calls);
	expect(host_memory.bytes <= 50000 * 64);
	drop_all();
}

static void hole_longer_than_an_entry_can_say_is_kept(void)
{
	unsigned long far = 3ul * RUN_NR_MAX;
	unsigned long i;

	/* Adding leaves it between chunks. */
	runs_init(&runs);
	add(0, 1, 1, false);
	add(far, 9, 1, false);
	expect_hole(0, far, 1, far - 1);
	drop_all();

	/* Dropping leaves it inside one. */
	add(0, 1, 1, false);
	for (i = 0; i < 3; i++)
		add(1 + i * RUN_NR_MAX, 0x10 + i * 0x10000000ul, RUN_NR_MAX,
		    false);
	add(1 + 3ul * RUN_NR_MAX, 7, 1, false);
	expect_no_hole(0, far + 1);
	drop(1, far);
	expect_eq(nr_dropped, 3);
	expect_hole(0, far + 1, 1, far);
	add(1 + RUN_NR_MAX / 2, 0x77, RUN_NR_MAX, false);
	expect_hole(0, far + 1, 1, RUN_NR_MAX / 2);
	expect_hole(2 + RUN_NR_MAX / 2, far + 1, 1 + RUN_NR_MAX / 2 +
		    RUN_NR_MAX, far);
	drop_all();
}

static void random_consumers(void)
{
	host_random_runs(contract_model, 1, 0.5);
}

static void random_calls(void)
{
	host_random_runs(raw_model, 2, 0.5);
}

#define T(name)	{ #name, name }

static const struct host_test tests[] = {
	T(nothing_is_pinned_at_first),
	T(one_run_needs_no_memory),
	T(adjacent_entries_of_a_batch_merge),
	T(batches_merge_only_if_asked),
	T(no_run_exceeds_the_longest),
	T(hole_does_not_go_on_at_page_zero),
	T(cut_and_join_are_inverse),
	T(cut_without_memory_changes_nothing),
	T(drop_is_called_once_for_each_run_in_order),
	T(drop_of_parts_leaves_the_others),
	T(drop_of_half_a_run_warns_and_keeps_it),
	T(adding_what_is_pinned_warns_and_does_nothing),
	T(reading_clips_both_ends_and_stops_at_holes),
	T(chunks_are_invisible),
	T(hole_in_a_chunk_can_be_filled_in_any_order),
	T(hole_goes_on_between_chunks),
	T(hole_longer_than_an_entry_can_say_is_kept),
	T(uncovered_is_what_no_consumer_has),
	T(consumers_end_where_one_begins_or_has_ended),
	T(each_failed_allocation_leaves_it_wholly_old),
#if !SMALL
	T(scattered_gib_takes_8_1_bytes_a_page),
	T(huge_pages_take_a_run_each),
	T(contiguous_gib_is_one_run),
	T(batches_of_two_runs_stay_small),
	T(slices_of_huge_memory_take_16_bytes_each),
	T(single_pins_take_less_than_a_small_chunk_each),
#endif
	{ "random_consumers_agree_with_an_array", random_consumers },
	{ "random_calls_agree_with_an_array", random_calls },
};

int main(int argc, char **argv)
{
	return host_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
