/* SPDX-License-Identifier: GPL-2.0 */
/*
 * iova.c against plain lists of ranges.
 *
 * The lists are searched from end to end, in 128 bits, so that nothing can
 * wrap. Room for a new area can only begin at the lowest aligned place of the
 * window or at the lowest aligned place behind a range that is in the way: the
 * oracle tries each of these.
 *
 * Ranges are drawn from a few dense neighbourhoods: at 0, at 4 GiB, at the
 * middle and at the top of the 64-bit space, so that they meet.
 */
#ifndef TESTS_HOST_IOVA_MODEL_H
#define TESTS_HOST_IOVA_MODEL_H

#include <string.h>

#include "../../drivers/iommufd/iova.c"
#include "host.h"

typedef unsigned __int128 wide;

#define NR_AREAS	24
#define NR_RESERVED	10
#define NR_ALLOWED	6

struct list {
	unsigned int nr;
	struct {
		unsigned long start;
		unsigned long last;
	} at[NR_AREAS];
};

struct model {
	struct iova_space space;
	struct list areas, reserved, allowed;

	struct iova_node node[NR_AREAS];
	bool node_used[NR_AREAS];
	struct iova_range reserved_range[NR_RESERVED];
	bool reserved_used[NR_RESERVED];
	struct iova_range allowed_range[2][NR_ALLOWED];
	unsigned int allowed_now;
	unsigned long unit;
};

static bool list_meets(const struct list *list, unsigned long start,
		       unsigned long last)
{
	unsigned int i;

	for (i = 0; i < list->nr; i++)
		if (list->at[i].start <= last && start <= list->at[i].last)
			return true;
	return false;
}

static void list_add(struct list *list, unsigned long start,
		     unsigned long last)
{
	list->at[list->nr].start = start;
	list->at[list->nr++].last = last;
}

static void list_remove(struct list *list, unsigned int i)
{
	list->at[i] = list->at[--list->nr];
}

/* Oracle: the lowest place in [start, last] that meets neither list. */
static bool oracle_find(const struct list *a, const struct list *b,
			unsigned long start, unsigned long last,
			unsigned long length, unsigned long align,
			unsigned long *iova)
{
	wide best = (wide)1 << 100, place, from;
	unsigned int i, nr_a = a->nr, nr_b = b ? b->nr : 0;

	for (i = 0; i <= nr_a + nr_b; i++) {
		if (i == nr_a + nr_b)
			from = start;
		else if (i < nr_a)
			from = (wide)a->at[i].last + 1;
		else
			from = (wide)b->at[i - nr_a].last + 1;
		if (from < start)
			continue;
		place = (from + align - 1) / align * align;
		if (place + length - 1 > last || place >= best)
			continue;
		if (list_meets(a, place, place + length - 1) ||
		    (b && list_meets(b, place, place + length - 1)))
			continue;
		best = place;
	}
	*iova = best;
	return best < (wide)1 << 64;
}

/* Oracle: the same, in whatever windows the allowed ranges make. */
static bool oracle_space_find(const struct model *m, unsigned long length,
			      unsigned long align, unsigned long *iova)
{
	unsigned long found, best = 0;
	bool any = false;
	unsigned int i, k;

	if (!m->allowed.nr)
		return oracle_find(&m->areas, &m->reserved, 0, ULONG_MAX,
				   length, align, iova);
	for (i = 0; i < m->allowed.nr; i++) {
		unsigned long last = m->allowed.at[i].last;

		/* Ranges that touch make one window. */
		for (k = 0; k < m->allowed.nr; k++) {
			if (last != ULONG_MAX &&
			    m->allowed.at[k].start == last + 1) {
				last = m->allowed.at[k].last;
				k = -1;
			}
		}
		if (oracle_find(&m->areas, &m->reserved,
				m->allowed.at[i].start, last, length, align,
				&found) && (!any || found < best)) {
			any = true;
			best = found;
		}
	}
	*iova = best;
	return any;
}

/* The structure of the tree, from scratch. Returns the largest gap. */
static unsigned long check_subtree(struct rb_node *rb)
{
	unsigned long max_gap, left, right;

	if (!rb)
		return 0;
	left = check_subtree(rb->rb_left);
	right = check_subtree(rb->rb_right);
	max_gap = max(node_of(rb)->gap, max(left, right));
	expect_eq(node_of(rb)->max_gap, max_gap);
	return max_gap;
}

static void check_map(const struct iova_map *map, const struct list *list)
{
	struct iova_node *node, *prev = NULL;
	unsigned int nr = 0, i;

	expect_eq(iova_map_empty(map), !list->nr);
	for (node = iova_map_first(map, 0, ULONG_MAX); node;
	     prev = node, node = iova_map_next(node, ULONG_MAX)) {
		expect(node->start <= node->last);
		expect_eq(node->gap, node->start - (prev ? prev->last + 1 : 0));
		if (prev)
			expect(prev->last < node->start);
		for (i = 0; i < list->nr; i++)
			if (list->at[i].start == node->start)
				break;
		expect(i < list->nr);
		expect_eq(list->at[i].last, node->last);
		nr++;
	}
	expect_eq(nr, list->nr);
	check_subtree(map->root.rb_node);
}

static unsigned long choose_iova(struct model *m, struct choices *choices)
{
	unsigned long offset = choose(choices, 32) * m->unit;

	switch (choose(choices, 5)) {
	case 0:
		return offset;
	case 1:
		return (1ul << 32) + offset;
	case 2:
		return (1ul << 63) - 16 * m->unit + offset;
	case 3:
		return 0 - 32 * m->unit + offset;
	default:
		return choose(choices, 2) ? 0 : 0 - m->unit;
	}
}

/* Mostly small, at times as much as there is or too much, or nothing. */
static unsigned long choose_length(struct model *m, struct choices *choices,
				   unsigned long start)
{
	switch (choose(choices, 12)) {
	case 0:
		return 0 - start;		/* ends at the very top */
	case 1:
		return 0 - start + m->unit;	/* wraps */
	case 2:
		return 0 - m->unit;
	case 3:
		return 1ul << 63;
	case 4:
		return 1ul << 32;
	default:
		return (1 + choose(choices, 16)) * m->unit;
	}
}

static unsigned long choose_align(struct model *m, struct choices *choices)
{
	static const unsigned int shifts[] = { 0, 1, 2, 3, 4, 20, 31, 51 };
	unsigned long align = m->unit << shifts[choose(choices, 8)];

	return choose(choices, 16) ? align : 1ul << 63;
}

static void area_insert(struct model *m, unsigned long start,
			unsigned long last)
{
	unsigned int i;

	for (i = 0; m->node_used[i]; i++)
		;
	m->node[i].start = start;
	m->node[i].last = last;
	expect_eq(iova_map_insert(&m->space.areas, &m->node[i]), 0);
	m->node_used[i] = true;
	list_add(&m->areas, start, last);
}

static void step_fixed(struct model *m, struct choices *choices)
{
	unsigned long iova = choose_iova(m, choices);
	unsigned long length = choose_length(m, choices, iova);
	unsigned long align = choose_align(m, choices);
	struct iova_node node = { };
	int want = 0;

	if (choose(choices, 4))
		align = m->unit;
	if (!choose(choices, 16))
		length = 0;
	if (!length || iova % align || length % align)
		want = -EINVAL;
	else if ((wide)iova + length - 1 > ULONG_MAX)
		want = -EOVERFLOW;
	else if (list_meets(&m->reserved, iova, iova + length - 1))
		want = -EINVAL;
	else if (list_meets(&m->areas, iova, iova + length - 1))
		want = -EEXIST;
	expect_eq(iova_space_check(&m->space, iova, length, align), want);

	node.start = iova;
	node.last = iova + length - 1;
	if (want == -EEXIST)
		expect_eq(iova_map_insert(&m->space.areas, &node), -EEXIST);
	if (want) {
		expect_eq(iova_space_insert(&m->space, &node, align), want);
	} else if (choose(choices, 2)) {
		/* In and out again: nothing has changed. */
		expect_eq(iova_space_insert(&m->space, &node, align), 0);
		iova_map_remove(&m->space.areas, &node);
	}
	if (!want && m->areas.nr < NR_AREAS)
		area_insert(m, iova, iova + length - 1);
}

static void step_find(struct model *m, struct choices *choices)
{
	unsigned long length = choose_length(m, choices, 0);
	unsigned long align = choose_align(m, choices);
	unsigned long want, iova = 0;
	bool found;
	int rc;

	if (!length)
		length = ULONG_MAX;
	found = oracle_space_find(m, length, align, &want);
	rc = iova_space_find(&m->space, length, align, &iova);
	expect_eq(rc, found ? 0 : -ENOSPC);
	if (!found)
		return;
	expect_eq(iova, want);
	if (choose(choices, 4) && m->areas.nr < NR_AREAS)
		area_insert(m, iova, iova + (length - 1));
}

static void step_find_free(struct model *m, struct choices *choices)
{
	unsigned long a = choose_iova(m, choices);
	unsigned long b = choose_iova(m, choices);
	unsigned long length = choose_length(m, choices, 0);
	unsigned long align = choose_align(m, choices);
	unsigned long want, iova = 0;
	bool found;
	int rc;

	if (!length)
		length = 1;
	if (a > b)
		swap(a, b);
	if (!choose(choices, 4))
		b = ULONG_MAX;
	found = oracle_find(&m->areas, NULL, a, b, length, align, &want);
	rc = iova_map_find_free(&m->space.areas, a, b, length, align, &iova);
	expect_eq(rc, found ? 0 : -ENOSPC);
	if (found)
		expect_eq(iova, want);
}

static void step_remove(struct model *m, struct choices *choices)
{
	unsigned int i = choose(choices, NR_AREAS), k;

	for (k = 0; !m->node_used[i] && k < NR_AREAS; k++)
		i = (i + 1) % NR_AREAS;
	if (!m->node_used[i])
		return;
	for (k = 0; m->areas.at[k].start != m->node[i].start; k++)
		;
	iova_map_remove(&m->space.areas, &m->node[i]);
	m->node_used[i] = false;
	list_remove(&m->areas, k);
}

static void step_reserve(struct model *m, struct choices *choices)
{
	unsigned long start = choose_iova(m, choices), last;
	unsigned long length = choose_length(m, choices, start);
	struct iova_range *r;
	unsigned int i;
	int want = 0;

	if (!length)
		length = 1;
	last = (wide)start + length - 1 > ULONG_MAX ? ULONG_MAX :
						      start + length - 1;
	for (i = 0; i < NR_RESERVED && m->reserved_used[i]; i++)
		;
	if (i == NR_RESERVED)
		return;
	r = &m->reserved_range[i];
	memset(r, 0, sizeof(*r));
	r->node.start = start;
	r->node.last = last;
	if (list_meets(&m->areas, start, last) ||
	    list_meets(&m->allowed, start, last))
		want = -EADDRINUSE;
	expect_eq(iova_space_reserve(&m->space, r), want);
	if (want)
		return;
	m->reserved_used[i] = true;
	list_add(&m->reserved, start, last);
}

/* One of those that are reserved goes. */
static void unreserve(struct model *m, unsigned int k)
{
	struct iova_range *r = &m->reserved_range[k];
	unsigned int i;

	iova_space_unreserve(&m->space, r);
	m->reserved_used[k] = false;
	for (i = 0; i < m->reserved.nr; i++)
		if (m->reserved.at[i].start == r->node.start &&
		    m->reserved.at[i].last == r->node.last)
			break;
	expect(i < m->reserved.nr);
	list_remove(&m->reserved, i);
	memset(r, 0xff, sizeof(*r));
}

static void step_unreserve(struct model *m, struct choices *choices)
{
	unsigned int k = choose(choices, NR_RESERVED);

	if (m->reserved_used[k])
		unreserve(m, k);
}

static void step_allow(struct model *m, struct choices *choices)
{
	unsigned int other = !m->allowed_now, n = choose(choices, NR_ALLOWED);
	struct rb_root_cached root = RB_ROOT_CACHED;
	struct list list = { };
	unsigned int i, nr;
	struct rb_node *rb;
	int want = 0;

	memset(m->allowed_range[other], 0, sizeof(m->allowed_range[other]));
	for (i = 0; i < n; i++) {
		struct iova_range *r = &m->allowed_range[other][i];
		unsigned long start = choose_iova(m, choices), length;
		bool meets;

		length = choose_length(m, choices, start);
		if (!length || (wide)start + length - 1 > ULONG_MAX)
			length = m->unit;
		if ((wide)start + length - 1 > ULONG_MAX)
			continue;
		r->node.start = start;
		r->node.last = start + length - 1;
		meets = list_meets(&list, start, r->node.last);
		expect_eq(iova_allowed_insert(&root, r), meets ? -EINVAL : 0);
		if (!meets)
			list_add(&list, start, r->node.last);
		if (!meets && list_meets(&m->reserved, start, r->node.last))
			want = -EADDRINUSE;
	}
	expect_eq(iova_space_allow(&m->space, &root), want);
	if (want)
		return;
	/* What comes back is what was there before. */
	for (nr = 0, rb = rb_first_cached(&root); rb; rb = rb_next(rb), nr++)
		expect(list_meets(&m->allowed, range_of(rb)->start,
				  range_of(rb)->last));
	expect_eq(nr, m->allowed.nr);
	m->allowed = list;
	m->allowed_now = other;
}

static void step_ask(struct model *m, struct choices *choices)
{
	unsigned long from = choose_iova(m, choices), start, last, best = 0;
	unsigned long to = choose_iova(m, choices);
	struct iova_node *node;
	bool any = false;
	unsigned int i;
	wide f = from;

	/* The lowest area of a range. */
	if (to < from)
		swap(from, to);
	for (i = 0; i < m->areas.nr; i++)
		if (m->areas.at[i].start <= to && m->areas.at[i].last >= from &&
		    (!any || m->areas.at[i].start < best)) {
			any = true;
			best = m->areas.at[i].start;
		}
	node = iova_map_first(&m->space.areas, from, to);
	expect_eq(!!node, any);
	if (node)
		expect_eq(node->start, best);

	/* The next usable stretch. */
	f = from;
	for (i = 0; i < m->reserved.nr; i++)
		if (m->reserved.at[i].start <= f && f <= m->reserved.at[i].last) {
			f = (wide)m->reserved.at[i].last + 1;
			i = -1;
		}
	any = iova_space_next_usable(&m->space, from, &start, &last);
	expect_eq(any, f <= ULONG_MAX);
	if (!any)
		return;
	expect_eq(start, (unsigned long)f);
	best = ULONG_MAX;
	for (i = 0; i < m->reserved.nr; i++)
		if (m->reserved.at[i].start > f)
			best = min(best, m->reserved.at[i].start - 1);
	expect_eq(last, best);
}

static void iova_model(struct choices *choices)
{
	struct model m;
	unsigned int i, k;

	host_reset();
	host_memory.forbidden = true;
	memset(&m, 0, sizeof(m));
	iova_space_init(&m.space);
	m.unit = choose(choices, 2) ? 4096 : 1;
	while (choices_left(choices)) {
		switch (choose(choices, 16)) {
		case 0 ... 3:
			step_fixed(&m, choices);
			break;
		case 4 ... 6:
			step_find(&m, choices);
			break;
		case 7 ... 8:
			step_find_free(&m, choices);
			break;
		case 9 ... 11:
			step_remove(&m, choices);
			break;
		case 12:
			step_reserve(&m, choices);
			break;
		case 13:
			step_unreserve(&m, choices);
			break;
		case 14:
			step_allow(&m, choices);
			break;
		default:
			step_ask(&m, choices);
			break;
		}
		if (!host_step(choices))
			continue;
		check_map(&m.space.areas, &m.areas);
		/* Nothing that must not meet does. */
		for (i = 0; i < m.reserved.nr; i++) {
			unsigned long start = m.reserved.at[i].start;
			unsigned long last = m.reserved.at[i].last;

			expect(!list_meets(&m.areas, start, last));
			expect(!list_meets(&m.allowed, start, last));
		}
	}
	for (k = 0; k < NR_RESERVED; k++)
		if (m.reserved_used[k])
			unreserve(&m, k);
	expect_eq(m.reserved.nr, 0);
	host_memory.forbidden = false;
}

#endif
