/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which IOVAs of an address space are taken, which must not be used, and which
 * the kernel may choose from.
 *
 * All ranges are inclusive, [start, last], and may reach ULONG_MAX. Nothing
 * here locks or allocates: the owner of the address space serialises its calls
 * and brings the memory for every node. The model is described in iova.c.
 */
#ifndef IOMMUFD_IOVA_H
#define IOMMUFD_IOVA_H

#include <linux/interval_tree.h>
#include <linux/rbtree.h>
#include <linux/types.h>

#include "guard.h"

/*
 * A range that is taken, to be embedded. Set @start and @last before
 * iova_map_insert() and leave them alone until iova_map_remove(). The other
 * two are the map's own: free IOVAs between this node and the one before, and
 * the largest such number in this node's subtree.
 */
struct iova_node {
	struct rb_node rb;
	unsigned long start;
	unsigned long last;
	unsigned long gap;
	unsigned long max_gap;
};

/* Disjoint ranges, in order. */
struct iova_map {
	struct rb_root root;
	unsigned long nr;	/* nodes */
	struct guard guard;
};

void iova_map_init(struct iova_map *map);

/* -EEXIST when the node meets another one. */
int iova_map_insert(struct iova_map *map, struct iova_node *node);

void iova_map_remove(struct iova_map *map, struct iova_node *node);

/* Forget all nodes, of which the caller knows some other way. */
void iova_map_clear(struct iova_map *map);

/* The lowest node that meets [@start, @last], or NULL. */
struct iova_node *iova_map_first(const struct iova_map *map,
				 unsigned long start, unsigned long last);

/* The node after @node if it meets [.., @last], or NULL. */
struct iova_node *iova_map_next(const struct iova_node *node,
				unsigned long last);

static inline bool iova_map_empty(const struct iova_map *map)
{
	return RB_EMPTY_ROOT(&map->root);
}

/**
 * iova_map_find_free() - Find room for @length IOVAs
 * @map: the map
 * @start: where the room may begin at the lowest
 * @last: where it must have ended
 * @length: how much, not 0
 * @align: what the result must be a multiple of, a power of two
 * @iova: the result: the lowest that fits
 *
 * Return: 0 or -ENOSPC.
 */
int iova_map_find_free(const struct iova_map *map, unsigned long start,
		       unsigned long last, unsigned long length,
		       unsigned long align, unsigned long *iova);

/* What a range is reserved for, for people: the "msi" window of "group" 3. */
struct iova_purpose {
	const char *kind;
	const char *of;
	unsigned int id;
};

/*
 * A reserved or an allowed range. The caller brings it, zeroed, sets node.start
 * and node.last, and takes it away.
 */
struct iova_range {
	struct interval_tree_node node;
	struct iova_range *next;	/* the caller's */
	struct iova_purpose purpose;	/* of a reserved one */
};

struct iova_space {
	struct iova_map areas;
	struct rb_root_cached reserved;	/* struct iova_range, may overlap */
	struct rb_root_cached allowed;	/* the same, disjoint; none = all */
	/* A stretch that has nothing reserved, the one seen last; or an empty one. */
	unsigned long usable_start, usable_last;
};

void iova_space_init(struct iova_space *space);

/* -EADDRINUSE when @r meets an area or an allowed range, else 0: inserted. */
int iova_space_reserve(struct iova_space *space, struct iova_range *r);

/* The range, which is reserved, no longer is. */
void iova_space_unreserve(struct iova_space *space, struct iova_range *r);

/* Build a tree for iova_space_allow(): -EINVAL when @r meets one in it. */
int iova_allowed_insert(struct rb_root_cached *root, struct iova_range *r);

/*
 * Make @new_allowed the allowed ranges; @new_allowed then holds the former
 * ones for the caller to free. -EADDRINUSE, and nothing changed, when one of
 * the new ones meets a reserved range.
 */
int iova_space_allow(struct iova_space *space,
		     struct rb_root_cached *new_allowed);

/*
 * May [@iova, @iova + @length - 1] become an area? In this order: -EINVAL for
 * no length or a misaligned range, -EOVERFLOW when its end wraps, -EINVAL when
 * it meets a reserved range, -EEXIST when it meets an area.
 */
int iova_space_check(struct iova_space *space, unsigned long iova,
		     unsigned long length, unsigned long align);

/*
 * The same question about @node, and if it may, it becomes an area: a descent in
 * the tree less.
 */
int iova_space_insert(struct iova_space *space, struct iova_node *node,
		      unsigned long align);

/*
 * Choose an IOVA for a new area: the lowest that is aligned, reserved for
 * nobody, taken by nobody, and allowed if there are allowed ranges at all.
 * -ENOSPC when there is none. @length is not 0.
 */
int iova_space_find(struct iova_space *space, unsigned long length,
		    unsigned long align, unsigned long *iova);

/* The first stretch at or above @from that is not reserved, whole. */
bool iova_space_next_usable(struct iova_space *space, unsigned long from,
			    unsigned long *start, unsigned long *last);

#endif
