// SPDX-License-Identifier: GPL-2.0
/*
 * Runs: where the pages of one span of user memory are while they are pinned.
 *
 * Nothing here pins, unpins or locks. This is range arithmetic over an index
 * space, built into the module and, unchanged, into the host tests and the
 * fuzzer, which hold it against one array element per page.
 *
 * Storage
 *
 *   runs.chunks        rbtree by first index
 *     runs_chunk       first..last, at most 4096 bytes
 *       run[]          pfn, nr: tiles first..last, in order, without a gap
 *
 * A span that is one run from page 0 on has no chunk: runs.solo is the run. Most
 * small mappings need no more, nor does memory that is physically contiguous. What
 * does not fit turns it into a chunk first; nothing turns it back.
 *
 * The index of an entry is not stored: it is the chunk's first index plus the
 * lengths before it. A lookup is a descent in the tree and a walk in one chunk,
 * from its nearer end; in a chunk of single pages it is a subtraction. Between
 * chunks nothing is pinned. Inside a chunk an unpinned stretch is an entry (or
 * several, when it is longer than RUN_NR_MAX) whose pfn is RUN_HOLE.
 *
 * Invariants
 *
 *   - Chunks are disjoint, and none is empty. Their first and their last entry
 *     are not holes, so a chunk without a run does not exist.
 *   - A boundary between two physically adjacent runs is there for a reason:
 *     a consumer begins or ends there, or a chunk does, or together they would
 *     be longer than RUN_NR_MAX. Hence
 *       runs <= physical runs + 2 * consumers + chunks + nr_pages / 2^23,
 *     where a physical run is as long as indexes and PFNs both go on.
 *   - A chunk that is made while adding has room for what is known to come; one
 *     that turns out more than half empty is copied into a smaller one when the
 *     adding is over. Cutting grows a chunk by half, and splits a full one. So
 *     as long as nothing is removed a chunk is about half full or 64 bytes in
 *     size, and a span that was pinned in one go takes 8.1 bytes a run.
 *   - Removing turns entries into holes and lets chunks shrink or go away. It
 *     needs no slot that was not there: the hole takes those of the runs. The
 *     price is that a chunk keeps its size until its last run goes.
 *
 * Overflow: spans have fewer than 2^52 pages, so that index + length does not
 * wrap. PFNs have 40 bits (52 bits of physical address, whose very last page is
 * taken to be nobody's), but arithmetic on a bit-field of 40 bits may be done in
 * 40 bits: read them through run_pfn().
 */
#include <linux/align.h>
#include <linux/bug.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/stddef.h>
#include <linux/string.h>

#include "runs.h"

/* The host tests make it smaller. */
#ifndef RUNS_CHUNK_BYTES
#define RUNS_CHUNK_BYTES	4096
#endif

struct runs_chunk {
	struct rb_node rb;
	unsigned long first;
	unsigned long last;
	u16 nr;		/* entries in use */
	u16 cap;	/* entries there is room for */
	u16 nr_holes;	/* entries in use that are holes */
	struct run run[];
};

#define CHUNK_CAP(bytes)						\
	(((bytes) - sizeof(struct runs_chunk)) / sizeof(struct run))
#define CHUNK_CAP_MAX	CHUNK_CAP(RUNS_CHUNK_BYTES)

static u64 run_pfn(const struct run *run)
{
	return run->pfn;
}

static unsigned long run_nr(const struct run *run)
{
	return run->nr;
}

static bool run_is_hole(const struct run *run)
{
	return run_pfn(run) == RUN_HOLE;
}

/* Can @nr pages from @pfn on become a part of the run before? A hole is none. */
static bool run_takes(const struct run *run, u64 pfn, unsigned long nr)
{
	return run_pfn(run) + run_nr(run) == pfn &&
	       run_nr(run) + nr <= RUN_NR_MAX;
}

static struct runs_chunk *chunk_of(struct rb_node *rb)
{
	return rb ? rb_entry(rb, struct runs_chunk, rb) : NULL;
}

static struct runs_chunk *chunk_next(const struct runs_chunk *chunk)
{
	return chunk_of(rb_next(&chunk->rb));
}

/* The last chunk that begins at or before @index. */
static struct runs_chunk *chunk_before(const struct runs *runs,
				       unsigned long index)
{
	struct rb_node *rb = runs->chunks.rb_node;
	struct runs_chunk *best = NULL;

	while (rb) {
		struct runs_chunk *chunk = chunk_of(rb);

		if (chunk->first <= index) {
			best = chunk;
			rb = rb->rb_right;
		} else {
			rb = rb->rb_left;
		}
	}
	return best;
}

/* The chunk that has an entry, run or hole, for @index. */
static struct runs_chunk *chunk_at(const struct runs *runs, unsigned long index)
{
	struct runs_chunk *chunk = chunk_before(runs, index);

	return chunk && index <= chunk->last ? chunk : NULL;
}

/* The entry that has @index, which is in the chunk, and where it begins. */
static unsigned int chunk_find(const struct runs_chunk *chunk,
			       unsigned long index, unsigned long *entry_first)
{
	unsigned long first = chunk->first;
	unsigned int i = 0;

	if (chunk->last - first == chunk->nr - 1UL) {
		*entry_first = index;
		return index - first;
	}
	if (index - first <= chunk->last - index) {
		while (index - first >= run_nr(&chunk->run[i]))
			first += run_nr(&chunk->run[i++]);
	} else {
		first = chunk->last + 1;
		i = chunk->nr;
		do {
			first -= run_nr(&chunk->run[--i]);
		} while (first > index);
	}
	*entry_first = first;
	return i;
}

/*
 * A chunk for @want entries, or for as many as one can hold. What the slab
 * allocator would add to the size unused (its sizes are multiples of 32) is
 * made room for entries.
 */
static struct runs_chunk *chunk_alloc(unsigned long want)
{
	struct runs_chunk *chunk;
	size_t bytes;

	want = min_t(unsigned long, want, CHUNK_CAP_MAX);
	bytes = ALIGN(struct_size(chunk, run, want), 32);
	chunk = kmalloc(bytes, GFP_KERNEL_ACCOUNT);
	if (!chunk)
		return NULL;
	chunk->nr = 0;
	chunk->nr_holes = 0;
	chunk->cap = min_t(size_t, CHUNK_CAP_MAX, CHUNK_CAP(bytes));
	return chunk;
}

static void chunk_link(struct runs *runs, struct runs_chunk *chunk)
{
	struct rb_node **link = &runs->chunks.rb_node;
	struct rb_node *parent = NULL;

	while (*link) {
		parent = *link;
		if (chunk->first < chunk_of(parent)->first)
			link = &parent->rb_left;
		else
			link = &parent->rb_right;
	}
	rb_link_node(&chunk->rb, parent, link);
	rb_insert_color(&chunk->rb, &runs->chunks);
}

/* Move a chunk's entries into one of another size. NULL: no memory. */
static struct runs_chunk *chunk_resize(struct runs *runs,
				       struct runs_chunk *chunk,
				       unsigned long want)
{
	struct runs_chunk *new = chunk_alloc(want);

	if (!new)
		return NULL;
	new->first = chunk->first;
	new->last = chunk->last;
	new->nr = chunk->nr;
	new->nr_holes = chunk->nr_holes;
	memcpy(new->run, chunk->run, chunk->nr * sizeof(chunk->run[0]));
	rb_replace_node(&chunk->rb, &new->rb, &runs->chunks);
	kfree(chunk);
	return new;
}

/* Give back room that was expected to be needed and is not; if not, no harm. */
static void chunk_trim(struct runs *runs, struct runs_chunk *chunk)
{
	if (chunk->cap > 8 && chunk->cap / 2 > chunk->nr)
		chunk_resize(runs, chunk, chunk->nr);
}

/*
 * Split a chunk before entry @i, not its first one, which begins at @index. A
 * hole at the split goes away. There is room for @spare entries in the new one.
 */
static int chunk_split(struct runs *runs, struct runs_chunk *chunk,
		       unsigned int i, unsigned long index, unsigned int spare)
{
	unsigned long end = index;
	unsigned int nr_left = i;
	struct runs_chunk *new;
	unsigned int k;

	while (run_is_hole(&chunk->run[nr_left - 1]))
		end -= run_nr(&chunk->run[--nr_left]);
	while (run_is_hole(&chunk->run[i]))
		index += run_nr(&chunk->run[i++]);

	new = chunk_alloc(chunk->nr - i + spare);
	if (!new)
		return -ENOMEM;
	new->first = index;
	new->last = chunk->last;
	new->nr = chunk->nr - i;
	memcpy(new->run, &chunk->run[i], new->nr * sizeof(new->run[0]));
	if (chunk->nr_holes) {
		for (k = 0; k < new->nr; k++)
			new->nr_holes += run_is_hole(&new->run[k]);
		chunk->nr_holes -= new->nr_holes + (i - nr_left);
	}
	chunk->nr = nr_left;
	chunk->last = end - 1;
	chunk_link(runs, new);
	return 0;
}

/* Move the entries from @from on to @to, changing how many there are. */
static void chunk_shift(struct runs_chunk *chunk, unsigned int from,
			unsigned int to)
{
	memmove(&chunk->run[to], &chunk->run[from],
		(chunk->nr - from) * sizeof(chunk->run[0]));
	chunk->nr += to - from;
}

void runs_move(struct runs *to, struct runs *from)
{
	guard_assert(&from->guard);
	*to = *from;
	guard_by(&to->guard, NULL);
	from->chunks = RB_ROOT;
	from->nr_pages = 0;
	from->solo.nr = 0;
}

/* Record without a chunk, if that is possible. */
static bool solo_add(struct runs *runs, unsigned long index,
		     const struct run *add, unsigned int n, bool merge)
{
	unsigned long nr = run_nr(add);

	if (n != 1)
		return false;
	if (!runs->nr_pages && !index) {
		runs->solo = *add;
	} else if (merge && runs_is_solo(runs) && index == run_nr(&runs->solo) &&
		   run_takes(&runs->solo, run_pfn(add), nr)) {
		runs->solo.nr += nr;
	} else {
		return false;
	}
	runs->nr_pages += nr;
	return true;
}

/* From now on with a chunk, of room for @spare more entries. 0 or -ENOMEM. */
static int solo_end(struct runs *runs, unsigned long spare)
{
	struct runs_chunk *chunk = chunk_alloc(1 + spare);

	if (!chunk)
		return -ENOMEM;
	chunk->first = 0;
	chunk->last = run_nr(&runs->solo) - 1;
	chunk->run[0] = runs->solo;
	chunk->nr = 1;
	chunk_link(runs, chunk);
	runs->solo.nr = 0;
	return 0;
}

/*
 * Write @n runs as entries @i and following of a chunk that has the room, the
 * first one into entry @i - 1 if @merge and if it fits. Returns the number of
 * entries that this took, and in @pages the pages of all runs.
 */
static unsigned int chunk_write(struct runs_chunk *chunk, unsigned int i,
				const struct run *add, unsigned int n,
				bool merge, unsigned long *pages)
{
	const struct run *end = add + n;
	struct run *begin = &chunk->run[i];
	struct run *next = begin;
	unsigned long sum = 0;
	u64 goes_on = ~0ULL;	/* no PFN */

	if (merge)
		goes_on = run_pfn(next - 1) + run_nr(next - 1);
	for (; add != end; add++) {
		unsigned long nr = run_nr(add);
		u64 pfn = run_pfn(add);

		if (pfn == goes_on && run_nr(next - 1) + nr <= RUN_NR_MAX)
			next[-1].nr += nr;
		else
			*next++ = *add;
		goes_on = pfn + nr;
		sum += nr;
	}
	*pages = sum;
	return next - begin;
}

static unsigned long pages_of(const struct run *add, unsigned int n)
{
	unsigned long pages = 0;

	while (n--)
		pages += run_nr(add++);
	return pages;
}

/* Put runs into entry @i of a chunk that has the room: the hole they are in. */
static void hole_fill(struct runs *runs, struct runs_chunk *chunk,
		      unsigned int i, unsigned long before,
		      const struct run *add, unsigned int n,
		      unsigned long pages, bool merge)
{
	unsigned long behind = run_nr(&chunk->run[i]) - before - pages;
	unsigned int reserved = i + !!before + n + !!behind;
	unsigned int written;

	chunk_shift(chunk, i + 1, reserved);
	chunk->nr_holes--;
	if (before) {
		chunk->run[i].pfn = RUN_HOLE;
		chunk->run[i++].nr = before;
		chunk->nr_holes++;
	}
	/* With a hole before it nothing merges: no run goes on where it ends. */
	written = chunk_write(chunk, i, add, n, merge, &pages);
	i += written;
	if (behind) {
		chunk->run[i].pfn = RUN_HOLE;
		chunk->run[i++].nr = behind;
		chunk->nr_holes++;
	}
	if (i != reserved)
		chunk_shift(chunk, reserved, i);
	runs->nr_pages += pages;
}

/*
 * Make the entry of the chunk that has @index, a hole, ready for runs_add().
 * Either the runs go into it at once (returns 1), or nothing is left of it and
 * @index is between chunks (returns 0), or there is no memory.
 */
static int add_into_chunk(struct runs *runs, struct runs_chunk *chunk,
			  unsigned long index, const struct run *add,
			  unsigned int n, unsigned long more, bool merge)
{
	unsigned long pages = pages_of(add, n);
	unsigned long before, first;
	unsigned int i, need;

	i = chunk_find(chunk, index, &first);
	if (WARN_ON_ONCE(!run_is_hole(&chunk->run[i])))
		return -EEXIST;
	before = index - first;
	need = chunk->nr + n + 1;
	if (more || need > CHUNK_CAP_MAX ||
	    pages > run_nr(&chunk->run[i]) - before)
		return chunk_split(runs, chunk, i, first, 0);

	if (need > chunk->cap) {
		chunk = chunk_resize(runs, chunk, need + chunk->nr / 2);
		if (!chunk)
			return -ENOMEM;
	}
	hole_fill(runs, chunk, i, before, add, n, pages, merge);
	chunk_trim(runs, chunk);
	return 1;
}

/* How many entries the rest of a hole will take, if it goes on as @add does. */
static unsigned long expect(const struct run *add, unsigned int n,
			    unsigned long more)
{
	unsigned long per_run;

	if (!more)
		return 0;
	per_run = pages_of(add, n) / n;
	return (more + per_run - 1) / per_run;
}

/*
 * Find room for add[0] at @index, behind @chunk (if any) and before the next
 * one: in @chunk itself, grown if little is to come, or in a new one. What lies
 * between becomes a hole.
 */
static struct runs_chunk *chunk_to_append(struct runs *runs,
					  struct runs_chunk *chunk,
					  unsigned long index,
					  const struct run *add, unsigned int n,
					  unsigned long more)
{
	unsigned long gap = chunk ? index - chunk->last - 1 : 0;
	unsigned long want;

	if (!chunk || gap > RUN_NR_MAX || chunk->nr + !!gap >= chunk->cap) {
		want = n + expect(add, n, more);
		if (!chunk || gap > RUN_NR_MAX || want > chunk->nr ||
		    chunk->nr + !!gap + want > CHUNK_CAP_MAX) {
			chunk = chunk_alloc(want);
			if (!chunk)
				return NULL;
			chunk->first = index;
			chunk->last = index - 1;
			chunk_link(runs, chunk);
			return chunk;
		}
		chunk = chunk_resize(runs, chunk, chunk->nr + !!gap + want +
					   chunk->nr / 2);
		if (!chunk)
			return NULL;
	}
	if (gap) {
		chunk->run[chunk->nr].pfn = RUN_HOLE;
		chunk->run[chunk->nr++].nr = gap;
		chunk->nr_holes++;
		chunk->last = index - 1;
	}
	return chunk;
}

unsigned int runs_add(struct runs *runs, unsigned long index,
		      const struct run *add, unsigned int n,
		      unsigned long more, bool merge)
{
	struct runs_chunk *chunk;
	unsigned int done = 0;

	guard_assert(&runs->guard);
	if (!n)
		return 0;
	if (solo_add(runs, index, add, n, merge))
		return n;
	if (runs_is_solo(runs) && solo_end(runs, n + expect(add, n, more)))
		return 0;

	chunk = chunk_before(runs, index);
	if (chunk && index <= chunk->last) {
		int rc = add_into_chunk(runs, chunk, index, add, n, more,
					merge);

		if (rc)
			return rc < 0 ? 0 : n;
	}
	merge = merge && chunk && chunk->last == index - 1;

	while (done < n) {
		unsigned int fit, written;
		unsigned long pages;

		/* What begins with a merge may need no room at all. */
		if (merge && run_takes(&chunk->run[chunk->nr - 1],
				       run_pfn(&add[done]),
				       run_nr(&add[done]))) {
			fit = 1;
		} else {
			chunk = chunk_to_append(runs, chunk, index, &add[done],
						n - done, more);
			if (!chunk)
				return done;
			fit = min_t(unsigned int, n - done,
				    chunk->cap - chunk->nr);
			merge = merge && chunk->nr;
		}
		written = chunk_write(chunk, chunk->nr, &add[done], fit, merge,
				      &pages);
		chunk->nr += written;
		chunk->last += pages;
		index += pages;
		runs->nr_pages += pages;
		done += fit;
		merge = true;
	}

	if (!more)
		chunk_trim(runs, chunk);
	return done;
}

int runs_cut(struct runs *runs, unsigned long index)
{
	struct runs_chunk *chunk;
	unsigned long first;
	struct run *run;
	unsigned int i;
	int rc;

	guard_assert(&runs->guard);
	if (runs_is_solo(runs)) {
		if (!index || index >= run_nr(&runs->solo))
			return 0;
		rc = solo_end(runs, 1);
		if (rc)
			return rc;
	}
	for (;;) {
		chunk = chunk_at(runs, index);
		if (!chunk)
			return 0;
		i = chunk_find(chunk, index, &first);
		run = &chunk->run[i];
		if (first == index || run_is_hole(run))
			return 0;
		if (chunk->nr < chunk->cap)
			break;
		/* Both halves of a split have room: one more turn at most. */
		if (chunk->cap == CHUNK_CAP_MAX) {
			i = chunk->nr / 2;
			first = chunk->first + pages_of(chunk->run, i);
			rc = chunk_split(runs, chunk, i, first, i / 2 + 1);
			if (rc)
				return rc;
			continue;
		}
		chunk = chunk_resize(runs, chunk,
				     chunk->nr + 1UL + chunk->nr / 2);
		if (!chunk)
			return -ENOMEM;
		run = &chunk->run[i];
		break;
	}
	chunk_shift(chunk, i, i + 1);
	run[1].pfn = run_pfn(run) + (index - first);
	run[1].nr = run_nr(run) - (index - first);
	run->nr = index - first;
	return 0;
}

void runs_join(struct runs *runs, unsigned long index)
{
	struct runs_chunk *chunk = chunk_at(runs, index);
	unsigned long first;
	struct run *run;
	unsigned int i;

	guard_assert(&runs->guard);
	if (!chunk || index == chunk->first)
		return;
	i = chunk_find(chunk, index, &first);
	run = &chunk->run[i];
	if (first != index || run_is_hole(run) ||
	    !run_takes(run - 1, run_pfn(run), run_nr(run)))
		return;
	run[-1].nr += run->nr;
	chunk_shift(chunk, i + 1, i);
}

/* All of a chunk goes. */
static void drop_chunk(struct runs *runs, struct runs_chunk *chunk,
		       runs_drop_fn drop, void *arg)
{
	unsigned int i;

	rb_erase(&chunk->rb, &runs->chunks);
	if (!chunk->nr_holes) {
		runs->nr_pages -= chunk->last - chunk->first + 1;
		drop(arg, chunk->run, chunk->nr);
		goto out_free;
	}
	for (i = 0; i < chunk->nr; i++) {
		const struct run *run = &chunk->run[i];

		if (run_is_hole(run))
			continue;
		runs->nr_pages -= run_nr(run);
		drop(arg, run, 1);
	}
out_free:
	kfree(chunk);
}

/* [@first, @last] of a chunk goes, and something stays. */
static void drop_part(struct runs *runs, struct runs_chunk *chunk,
		      unsigned long first, unsigned long last,
		      runs_drop_fn drop, void *arg)
{
	unsigned int i, end, nr_holes = 0;
	unsigned long index, pages = 0;

	i = chunk_find(chunk, first, &index);
	/* A run that is not ours as a whole stays: a leak is the lesser evil. */
	if (WARN_ON_ONCE(index < first && !run_is_hole(&chunk->run[i])))
		index += run_nr(&chunk->run[i++]);

	for (end = i; end < chunk->nr && index <= last; end++) {
		const struct run *run = &chunk->run[end];

		index += run_nr(run);
		if (run_is_hole(run)) {
			nr_holes++;
		} else {
			if (WARN_ON_ONCE(index - 1 > last))
				break;
			runs->nr_pages -= run_nr(run);
			drop(arg, run, 1);
		}
		pages += run_nr(run);
	}
	if (i == end)
		return;

	/* With the holes beside it, entries i..end-1 become one stretch. */
	while (i && run_is_hole(&chunk->run[i - 1])) {
		pages += run_nr(&chunk->run[--i]);
		nr_holes++;
	}
	while (end < chunk->nr && run_is_hole(&chunk->run[end])) {
		pages += run_nr(&chunk->run[end++]);
		nr_holes++;
	}
	chunk->nr_holes -= nr_holes;
	if (!i) {
		chunk->first += pages;
	} else if (end == chunk->nr) {
		chunk->last -= pages;
	} else {
		for (; pages; i++) {
			unsigned long nr = min_t(unsigned long, pages,
						 RUN_NR_MAX);

			chunk->run[i].pfn = RUN_HOLE;
			chunk->run[i].nr = nr;
			chunk->nr_holes++;
			pages -= nr;
		}
	}
	chunk_shift(chunk, end, i);
}

static void drop_solo(struct runs *runs, unsigned long first,
		      unsigned long last,
		      runs_drop_fn drop, void *arg)
{
	struct run solo = runs->solo;

	if (first >= run_nr(&solo))
		return;
	/* Not ours as a whole: see drop_part(). */
	if (WARN_ON_ONCE(first || last < run_nr(&solo) - 1))
		return;
	runs->nr_pages = 0;
	runs->solo.nr = 0;
	drop(arg, &solo, 1);
}

void runs_drop(struct runs *runs, unsigned long first, unsigned long last,
	       runs_drop_fn drop, void *arg)
{
	struct runs_chunk *chunk, *next;

	guard_assert(&runs->guard);
	if (runs_is_solo(runs)) {
		drop_solo(runs, first, last, drop, arg);
		return;
	}
	chunk = chunk_before(runs, first);
	if (!chunk)
		chunk = chunk_of(rb_first(&runs->chunks));
	else if (chunk->last < first)
		chunk = chunk_next(chunk);

	for (; chunk && chunk->first <= last; chunk = next) {
		next = chunk_next(chunk);
		if (first <= chunk->first && chunk->last <= last)
			drop_chunk(runs, chunk, drop, arg);
		else
			drop_part(runs, chunk, max(first, chunk->first),
				  min(last, chunk->last), drop, arg);
	}
}

/* Find the first hole entry of a chunk at or behind @first; clip it. */
static bool chunk_next_hole(const struct runs_chunk *chunk, unsigned long first,
			    unsigned long last, unsigned long *hole_first,
			    unsigned long *hole_last)
{
	unsigned long index;
	unsigned int i;

	if (!chunk->nr_holes)
		return false;
	i = chunk_find(chunk, first, &index);
	while (!run_is_hole(&chunk->run[i])) {
		index += run_nr(&chunk->run[i++]);
		if (i == chunk->nr || index > last)
			return false;
	}
	*hole_first = max(first, index);
	/* The last entry is none, so that this ends. */
	while (run_is_hole(&chunk->run[i]))
		index += run_nr(&chunk->run[i++]);
	*hole_last = min(last, index - 1);
	return true;
}

bool runs_next_hole(const struct runs *runs, unsigned long first,
		    unsigned long last, unsigned long *hole_first,
		    unsigned long *hole_last)
{
	const struct runs_chunk *chunk, *next = NULL;

	if (runs_is_solo(runs)) {
		*hole_first = max_t(unsigned long, first, run_nr(&runs->solo));
		*hole_last = last;
		return *hole_first <= last;
	}
	chunk = chunk_before(runs, first);
	if (!chunk)
		next = chunk_of(rb_first(&runs->chunks));
	for (; chunk; chunk = next) {
		if (first <= chunk->last) {
			if (chunk_next_hole(chunk, first, last, hole_first,
					    hole_last))
				return true;
			if (last <= chunk->last)
				return false;
			first = chunk->last + 1;
		}
		next = chunk_next(chunk);
		if (!next || next->first != first)
			break;
	}
	*hole_first = first;
	*hole_last = next ? min(last, next->first - 1) : last;
	return true;
}

static unsigned int solo_read(const struct run *solo, unsigned long index,
			      unsigned long last, struct run *out,
			      unsigned int max)
{
	last = min(last, run_nr(solo) - 1);
	if (index > last || !max)
		return 0;
	out->pfn = run_pfn(solo) + index;
	out->nr = last - index + 1;
	return 1;
}

unsigned int runs_read(const struct runs *runs, unsigned long index,
		       unsigned long last, struct run *out, unsigned int max)
{
	struct run *next = out, *end = out + max;
	unsigned long first, left, skip;
	const struct runs_chunk *chunk;
	unsigned int i;

	if (runs_is_solo(runs))
		return solo_read(&runs->solo, index, last, out, max);
	chunk = chunk_at(runs, index);
	if (!chunk || last < index)
		return 0;
	i = chunk_find(chunk, index, &first);
	skip = index - first;
	left = last - first + 1;
	while (next != end && left) {
		const struct run *run = &chunk->run[i];
		unsigned long nr = run_nr(run);

		if (run_is_hole(run))
			break;
		*next = *run;
		if (nr > left)
			next->nr = nr = left;
		left -= nr;
		next++;
		if (++i == chunk->nr) {
			first = chunk->last + 1;
			chunk = chunk_next(chunk);
			if (!chunk || chunk->first != first)
				break;
			i = 0;
		}
	}
	if (skip && next != out) {
		out->pfn = run_pfn(out) + skip;
		out->nr = run_nr(out) - skip;
	}
	return next - out;
}

bool runs_lookup(const struct runs *runs, unsigned long index,
		 unsigned long *pfn)
{
	const struct runs_chunk *chunk;
	unsigned long first;
	unsigned int i;

	if (runs_is_solo(runs)) {
		*pfn = run_pfn(&runs->solo) + index;
		return index < run_nr(&runs->solo);
	}
	chunk = chunk_at(runs, index);
	if (!chunk)
		return false;
	i = chunk_find(chunk, index, &first);
	if (run_is_hole(&chunk->run[i]))
		return false;
	*pfn = run_pfn(&chunk->run[i]) + (index - first);
	return true;
}

static struct interval_tree_node *consumer_of(struct rb_node *rb)
{
	return rb ? rb_entry(rb, struct interval_tree_node, rb) : NULL;
}

/*
 * The highest last index among the consumers that begin at or before @index.
 * False when there are none. One descent: what is left of such a consumer
 * begins there too, and the tree knows the maximum of each subtree.
 */
static bool consumers_reach(const struct rb_root_cached *consumers,
			    unsigned long index, unsigned long *reach)
{
	struct rb_node *rb = consumers->rb_root.rb_node;
	bool found = false;

	*reach = 0;
	while (rb) {
		const struct interval_tree_node *node = consumer_of(rb);

		if (node->start > index) {
			rb = rb->rb_left;
			continue;
		}
		found = true;
		*reach = max(*reach, node->last);
		if (rb->rb_left)
			*reach = max(*reach,
				     consumer_of(rb->rb_left)->__subtree_last);
		rb = rb->rb_right;
	}
	return found;
}

/* The first consumer that begins at or behind @index. */
static struct interval_tree_node *
consumers_from(const struct rb_root_cached *consumers, unsigned long index)
{
	struct rb_node *rb = consumers->rb_root.rb_node;
	struct interval_tree_node *best = NULL;

	while (rb) {
		struct interval_tree_node *node = consumer_of(rb);

		if (node->start >= index) {
			best = node;
			rb = rb->rb_left;
		} else {
			rb = rb->rb_right;
		}
	}
	return best;
}

/*
 * Goes by the consumer that reaches furthest, not from each to the next: many
 * that cover the same pages cost no more than one.
 */
bool consumers_next_uncovered(struct rb_root_cached *consumers,
			      unsigned long first, unsigned long last,
			      unsigned long *ufirst, unsigned long *ulast)
{
	const struct interval_tree_node *next;
	unsigned long reach;

	while (consumers_reach(consumers, first, &reach) && reach >= first) {
		if (reach >= last)
			return false;
		first = reach + 1;
	}
	next = consumers_from(consumers, first);
	*ufirst = first;
	*ulast = next ? min(last, next->start - 1) : last;
	return true;
}

/*
 * Beginning is a lookup. Ending takes a look at those that cover the page
 * before @index: many only if many cover it and yet none of them ends there.
 */
bool consumers_end_at(struct rb_root_cached *consumers, unsigned long index)
{
	struct interval_tree_node *node = consumers_from(consumers, index);

	if (node && node->start == index)
		return true;
	if (!index)
		return false;
	for (node = interval_tree_iter_first(consumers, index - 1, index - 1);
	     node;
	     node = interval_tree_iter_next(node, index - 1, index - 1))
		if (node->last == index - 1)
			return true;
	return false;
}
