// SPDX-License-Identifier: GPL-2.0
/*
 * The IOVAs of an address space.
 *
 * Nothing here calls the kernel beyond its trees, allocates or locks. The same
 * file is built into the host tests and the fuzzer, which hold it against one
 * array element per IOVA, at both ends of the 64-bit space.
 *
 * Three sets of ranges:
 *
 *   areas      iova_map: taken by mappings. Disjoint.
 *   reserved   interval tree: nobody may map there. May overlap one another.
 *   allowed    interval tree: where the kernel may choose an IOVA itself.
 *              Disjoint; no range at all means everywhere. A fixed mapping is
 *              not bound by it.
 *
 * Neither an area nor an allowed range ever meets a reserved one: whoever comes
 * second is refused.
 *
 * The map is a red-black tree in order of start. Each node carries the number
 * of free IOVAs between its predecessor (or 0) and itself, and the maximum of
 * that over its subtree, so that a search for room skips what is too small.
 * What is above the last node belongs to no node and is looked at last. Lookups
 * and searches are logarithmic; only alignment can make a search look at more:
 * at each gap that is long enough and yet has no aligned place.
 *
 * Overflow: a range is [start, last] and last may be ULONG_MAX, so "last + 1"
 * is computed only after a test that it is not. A gap is at most ULONG_MAX long:
 * all 2^64 IOVAs free means that there is no node. Lengths are not 0, so
 * length - 1 is the distance from start to last.
 */
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/overflow.h>
#include <linux/rbtree_augmented.h>
#include <linux/sched/signal.h>

#include "iova.h"
#include "runs.h"

static struct iova_node *node_of(struct rb_node *rb)
{
	return rb ? rb_entry(rb, struct iova_node, rb) : NULL;
}

static unsigned long node_gap(const struct iova_node *node)
{
	return node->gap;
}

RB_DECLARE_CALLBACKS_MAX(static, gap_callbacks, struct iova_node, rb,
			 unsigned long, max_gap, node_gap)

void iova_map_init(struct iova_map *map)
{
	map->root = RB_ROOT;
	map->nr = 0;
	guard_by(&map->guard, NULL);
}

void iova_map_clear(struct iova_map *map)
{
	guard_assert(&map->guard);
	map->root = RB_ROOT;
	map->nr = 0;
}

int iova_map_insert(struct iova_map *map, struct iova_node *node)
{
	const unsigned long start = node->start, last = node->last;
	struct iova_node *prev = NULL, *next = NULL;
	struct rb_node **link = &map->root.rb_node;
	bool below_prev;

	guard_assert(&map->guard);
	while (*link) {
		struct iova_node *here = node_of(*link);

		if (start < here->start) {
			next = here;
			link = &here->rb.rb_left;
		} else {
			prev = here;
			link = &here->rb.rb_right;
		}
	}
	/* Those of the map are disjoint: no other one can meet it. */
	if ((prev && prev->last >= start) || (next && next->start <= last))
		return -EEXIST;

	map->nr++;
	node->gap = prev ? start - prev->last - 1 : start;
	node->max_gap = node->gap;
	if (next)
		next->gap = next->start - last - 1;
	below_prev = prev && link == &prev->rb.rb_right;
	rb_link_node(&node->rb, below_prev ? &prev->rb : next ? &next->rb : NULL,
		     link);
	/*
	 * The first walk ends where nothing changes any more, which may be
	 * below the next node: its own gap became smaller all the same.
	 */
	if (below_prev)
		gap_callbacks_propagate(&prev->rb, NULL);
	if (next)
		gap_callbacks_propagate(&next->rb, NULL);
	rb_insert_augmented(&node->rb, &map->root, &gap_callbacks);
	return 0;
}

void iova_map_remove(struct iova_map *map, struct iova_node *node)
{
	struct iova_node *next = node_of(rb_next(&node->rb));

	guard_assert(&map->guard);
	map->nr--;
	if (next) {
		next->gap = next->start - (node->start - node->gap);
		gap_callbacks_propagate(&next->rb, NULL);
	}
	rb_erase_augmented(&node->rb, &map->root, &gap_callbacks);
}

struct iova_node *iova_map_first(const struct iova_map *map,
				 unsigned long start, unsigned long last)
{
	struct rb_node *rb = map->root.rb_node;
	struct iova_node *best = NULL;

	while (rb) {
		struct iova_node *node = node_of(rb);

		if (node->last < start) {
			rb = rb->rb_right;
			continue;
		}
		best = node;
		/* Nodes are disjoint: nothing lower reaches @start. */
		if (node->start <= start)
			break;
		rb = rb->rb_left;
	}
	return best && best->start <= last ? best : NULL;
}

struct iova_node *iova_map_next(const struct iova_node *node,
				unsigned long last)
{
	struct iova_node *next = node_of(rb_next(&node->rb));

	return next && next->start <= last ? next : NULL;
}

/* The lowest node of a subtree with a gap of at least @length; there is one. */
static struct iova_node *lowest_gap(struct rb_node *rb, unsigned long length)
{
	for (;;) {
		struct iova_node *node = node_of(rb);

		if (rb->rb_left && node_of(rb->rb_left)->max_gap >= length)
			rb = rb->rb_left;
		else if (node->gap >= length)
			return node;
		else
			rb = rb->rb_right;
	}
}

/* The next node, in order, with a gap of at least @length before it. */
static struct iova_node *next_gap(struct iova_node *node, unsigned long length)
{
	struct rb_node *rb = &node->rb, *parent;

	for (;;) {
		if (rb->rb_right && node_of(rb->rb_right)->max_gap >= length)
			return lowest_gap(rb->rb_right, length);
		while ((parent = rb_parent(rb)) && parent->rb_right == rb)
			rb = parent;
		if (!parent)
			return NULL;
		rb = parent;
		if (node_of(rb)->gap >= length)
			return node_of(rb);
	}
}

/* Does [@start, @last] have room for @length at a multiple of @align? */
static bool range_fits(unsigned long start, unsigned long last,
		       unsigned long length, unsigned long align,
		       unsigned long *iova)
{
	unsigned long aligned;

	if (check_add_overflow(start, align - 1, &aligned))
		return false;
	aligned &= ~(align - 1);
	if (aligned > last || last - aligned < length - 1)
		return false;
	*iova = aligned;
	return true;
}

int iova_map_find_free(const struct iova_map *map, unsigned long start,
		       unsigned long last, unsigned long length,
		       unsigned long align, unsigned long *iova)
{
	struct iova_node *node = iova_map_first(map, start, ULONG_MAX);
	struct rb_node *rb;

	/* The first node's gap may begin below @start, later ones do not. */
	for (; node; node = next_gap(node, length)) {
		unsigned long gap_start = node->start - node->gap;

		if (gap_start > last)
			return -ENOSPC;
		if (node->start <= start)
			continue;
		if (range_fits(max(start, gap_start),
			       min(last, node->start - 1), length, align, iova))
			return 0;
		cond_resched();	/* there may be many that lie wrong */
	}

	rb = rb_last(&map->root);
	if (rb) {
		unsigned long top = node_of(rb)->last;

		if (top >= last)
			return -ENOSPC;
		start = max(start, top + 1);
	}
	return range_fits(start, last, length, align, iova) ? 0 : -ENOSPC;
}

static struct interval_tree_node *range_of(struct rb_node *rb)
{
	return rb ? rb_entry(rb, struct interval_tree_node, rb) : NULL;
}

void iova_space_init(struct iova_space *space)
{
	iova_map_init(&space->areas);
	space->reserved = RB_ROOT_CACHED;
	space->allowed = RB_ROOT_CACHED;
	space->usable_start = ULONG_MAX;
	space->usable_last = 0;
}

int iova_space_reserve(struct iova_space *space, struct iova_range *r)
{
	unsigned long start = r->node.start, last = r->node.last;

	if (iova_map_first(&space->areas, start, last) ||
	    interval_tree_iter_first(&space->allowed, start, last))
		return -EADDRINUSE;
	interval_tree_insert(&r->node, &space->reserved);
	space->usable_start = ULONG_MAX;
	space->usable_last = 0;
	return 0;
}

void iova_space_unreserve(struct iova_space *space, struct iova_range *r)
{
	interval_tree_remove(&r->node, &space->reserved);
}

int iova_allowed_insert(struct rb_root_cached *root, struct iova_range *r)
{
	if (r->node.start > r->node.last ||
	    interval_tree_iter_first(root, r->node.start, r->node.last))
		return -EINVAL;
	interval_tree_insert(&r->node, root);
	return 0;
}

int iova_space_allow(struct iova_space *space,
		     struct rb_root_cached *new_allowed)
{
	struct rb_node *rb;

	for (rb = rb_first_cached(new_allowed); rb; rb = rb_next(rb)) {
		struct interval_tree_node *node = range_of(rb);

		if (interval_tree_iter_first(&space->reserved, node->start,
					     node->last))
			return -EADDRINUSE;
		cond_resched();
	}
	swap(space->allowed, *new_allowed);
	return 0;
}

/* Is there a reserved range? Where there is none, look how far that goes. */
static noinline bool meets_reserved(struct iova_space *space,
				    unsigned long start, unsigned long last)
{
	unsigned long usable_start, usable_last;

	if (!iova_space_next_usable(space, start, &usable_start, &usable_last) ||
	    usable_start != start || usable_last < last)
		return true;
	space->usable_start = start;
	space->usable_last = usable_last;
	return false;
}

/* All but the areas. */
static inline
int check_beside_areas(struct iova_space *space, unsigned long iova,
		       unsigned long length, unsigned long align)
{
	unsigned long last;

	if (unlikely(!length || ((iova | length) & (align - 1))))
		return -EINVAL;
	if (unlikely(check_add_overflow(iova, length - 1, &last)))
		return -EOVERFLOW;
	if (unlikely(iova < space->usable_start || last > space->usable_last) &&
	    meets_reserved(space, iova, last))
		return -EINVAL;
	return 0;
}

int iova_space_check(struct iova_space *space, unsigned long iova,
		     unsigned long length, unsigned long align)
{
	int rc = check_beside_areas(space, iova, length, align);

	if (!rc && iova_map_first(&space->areas, iova, iova + (length - 1)))
		return -EEXIST;
	return rc;
}

int iova_space_insert(struct iova_space *space, struct iova_node *node,
		      unsigned long align)
{
	int rc = check_beside_areas(space, node->start,
				    node->last - node->start + 1, align);

	return rc ?: iova_map_insert(&space->areas, node);
}

/* Choose from [@start, @last], which is allowed. */
static int window_find(struct iova_space *space, unsigned long start,
		       unsigned long last, unsigned long length,
		       unsigned long align, unsigned long *iova)
{
	for (;;) {
		struct interval_tree_node *node;
		int rc;

		rc = iova_map_find_free(&space->areas, start, last, length,
					align, iova);
		if (rc)
			return rc;
		node = interval_tree_iter_first(&space->reserved, *iova,
						*iova + (length - 1));
		if (!node)
			return 0;
		/* No place that begins in front of its end avoids this one. */
		if (node->last >= last)
			return -ENOSPC;
		start = node->last + 1;
	}
}

int iova_space_find(struct iova_space *space, unsigned long length,
		    unsigned long align, unsigned long *iova)
{
	struct rb_node *rb = rb_first_cached(&space->allowed);

	if (!rb)
		return window_find(space, 0, ULONG_MAX, length, align, iova);

	while (rb) {
		unsigned long start = range_of(rb)->start;
		unsigned long last = range_of(rb)->last;

		/* Neighbours without a gap are one window. */
		while ((rb = rb_next(rb)) && range_of(rb)->start == last + 1)
			last = range_of(rb)->last;
		if (!window_find(space, start, last, length, align, iova))
			return 0;
		cond_resched();
	}
	return -ENOSPC;
}

/* Reserved ranges cover IOVAs as consumers cover pages. */
bool iova_space_next_usable(struct iova_space *space, unsigned long from,
			    unsigned long *start, unsigned long *last)
{
	return consumers_next_uncovered(&space->reserved, from, ULONG_MAX,
					start, last);
}
