/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the pages of one span of user memory are while they are pinned, and
 * which ranges of the span have somebody who needs them.
 *
 * Pages have indexes 0..n-1 within the span. What is pinned is kept as runs:
 * so many physically adjacent pages from such a PFN, 8 bytes each. All ranges
 * here are inclusive, [first, last]. Nothing here locks: the owner of the span
 * serialises its calls. The model and its bounds are described in runs.c.
 *
 * How it is meant to be used:
 *
 * To add a consumer of [f, l]: runs_cut() at f and at l + 1, put the consumer
 * into the tree, then for every hole that runs_next_hole() finds in [f, l] pin
 * its pages batch by batch and runs_add() them, with @merge for each batch but
 * the hole's first. When a step fails, remove the consumer.
 *
 * To remove it: take it out of the tree; runs_drop() every stretch of [f, l]
 * that consumers_next_uncovered() finds; then runs_join() at f and at l + 1,
 * each unless consumers_end_at() says that somebody else ends there. None of
 * this allocates or fails.
 */
#ifndef IOMMUFD_RUNS_H
#define IOMMUFD_RUNS_H

#include <linux/interval_tree.h>
#include <linux/rbtree.h>
#include <linux/string.h>
#include <linux/types.h>

#include "guard.h"

/* @nr pages, at least one, from physical page @pfn on. */
struct run {
	u64 pfn:40;
	u64 nr:24;
};

/* Both at once: assigned to memory, gcc would read and write it for each. */
static inline void run_set(struct run *run, u64 pfn, u64 nr)
{
	const struct run new = { .pfn = pfn, .nr = nr };

	memcpy(run, &new, sizeof(*run));
}

/* The @pfn of an entry that stands for pages which are not pinned. */
#define RUN_HOLE	((1ULL << 40) - 1)

/* The longest run that one entry can hold (the host tests make it shorter). */
#ifndef RUN_NR_MAX
#define RUN_NR_MAX	((1U << 24) - 1)
#endif

struct runs {
	struct rb_root chunks;
	unsigned long nr_pages;	/* pinned */
	struct run solo;	/* all of it, from page 0 on, if its nr is not 0 */
	struct guard guard;
};

/* Is what is pinned one run, from page 0 on, without a chunk? */
static inline bool runs_is_solo(const struct runs *runs)
{
	return runs->solo.nr;
}

/* Start with nothing pinned. There is nothing to undo while that is so. */
static inline void runs_init(struct runs *runs)
{
	runs->chunks = RB_ROOT;
	runs->nr_pages = 0;
	runs->solo = (struct run){};
	guard_by(&runs->guard, NULL);
}

/* Take all runs over into an uninitialised structure; in @from nothing is left. */
void runs_move(struct runs *to, struct runs *from);

/**
 * runs_add() - Record where freshly pinned pages are
 * @runs: the span's runs
 * @index: index of the first page
 * @add: the runs: the pages from @index on, without a gap, none of them pinned
 * @n: entries in @add
 * @more: how many further pages of the same hole the caller is going to record
 *	right behind these (a hint for sizes; 0 lets them be exact)
 * @merge: whether the first page may join the run that ends before @index
 *
 * Physically adjacent entries of @add are merged in any case.
 *
 * Return: how many entries of @add were recorded. Fewer than @n means that
 * there was no memory for the others; those recorded stay.
 */
unsigned int runs_add(struct runs *runs, unsigned long index,
		      const struct run *add, unsigned int n,
		      unsigned long more, bool merge);

/* The same for the first run, and the only one, of a span that nobody knows yet. */
static inline void runs_begin(struct runs *runs, unsigned long pfn,
			      unsigned long nr)
{
	run_set(&runs->solo, pfn, nr);
	runs->nr_pages = nr;
}

/**
 * runs_cut() - Make @index a boundary: no run goes on from @index - 1 to @index
 * @runs: the span's runs
 * @index: where
 *
 * Return: 0, or -ENOMEM with nothing changed.
 */
int runs_cut(struct runs *runs, unsigned long index);

/* Take a boundary away again where pages and storage allow. Cannot fail. */
void runs_join(struct runs *runs, unsigned long index);

typedef void (*runs_drop_fn)(void *arg, const struct run *runs, unsigned int nr);

/**
 * runs_drop() - Forget every run in a range
 * @runs: the span's runs
 * @first: a boundary, or not pinned
 * @last: the same holds for @last + 1
 * @drop: called with the runs, in order, one or more at a time; it must not use
 *	@runs
 * @arg: passed to @drop
 *
 * Never allocates, never fails.
 */
void runs_drop(struct runs *runs, unsigned long first, unsigned long last,
	       runs_drop_fn drop, void *arg);

/* Find the first stretch of [@first, @last] that is not pinned, whole. */
bool runs_next_hole(const struct runs *runs, unsigned long first,
		    unsigned long last, unsigned long *hole_first,
		    unsigned long *hole_last);

/**
 * runs_read() - Copy out runs
 * @runs: the span's runs
 * @index: the first entry is clipped to begin here
 * @last: the last one is clipped to end here
 * @out: receives them; they follow one another without a gap
 * @max: room in @out
 *
 * Return: how many entries were copied, fewer than @max when a hole or @last
 * was reached. To go on, advance @index by their lengths. The next call may
 * begin with an entry that continues the last one physically.
 */
unsigned int runs_read(const struct runs *runs, unsigned long index,
		       unsigned long last, struct run *out, unsigned int max);

/* False when the page is not pinned, else @pfn is where it is. */
bool runs_lookup(const struct runs *runs, unsigned long index,
		 unsigned long *pfn);

/* Find the first stretch of [@first, @last] that no consumer covers, whole. */
bool consumers_next_uncovered(struct rb_root_cached *consumers,
			      unsigned long first, unsigned long last,
			      unsigned long *ufirst, unsigned long *ulast);

/* Does a consumer begin at @index, or end right before it? */
bool consumers_end_at(struct rb_root_cached *consumers, unsigned long index);

#endif
