// SPDX-License-Identifier: GPL-2.0
/* Tests of drivers/iommufd/iova.c. */
#include "iova_model.h"

#define PAGE	4096ul
#define TOP	ULONG_MAX

/* A space for one test. */
static struct iova_space space;
static struct iova_node nodes[8192];
static struct iova_range ranges[16];
static unsigned int nr_nodes, nr_ranges;

static void fresh(void)
{
	iova_space_init(&space);
	memset(nodes, 0, nr_nodes * sizeof(nodes[0]));
	memset(ranges, 0, nr_ranges * sizeof(ranges[0]));
	nr_nodes = 0;
	nr_ranges = 0;
}

static struct iova_node *take(unsigned long start, unsigned long last)
{
	struct iova_node *node = &nodes[nr_nodes++];

	node->start = start;
	node->last = last;
	expect_eq(iova_map_insert(&space.areas, node), 0);
	return node;
}

static struct iova_range *range(unsigned long start, unsigned long last)
{
	struct iova_range *r = &ranges[nr_ranges++];

	r->node.start = start;
	r->node.last = last;
	return r;
}

static void expect_free(unsigned long start, unsigned long last,
			unsigned long length, unsigned long align,
			unsigned long want)
{
	unsigned long iova = ~want;

	expect_eq(iova_map_find_free(&space.areas, start, last, length, align,
				     &iova), 0);
	expect_eq(iova, want);
}

static void expect_full(unsigned long start, unsigned long last,
			unsigned long length, unsigned long align)
{
	unsigned long iova;

	expect_eq(iova_map_find_free(&space.areas, start, last, length, align,
				     &iova), -ENOSPC);
}

static void empty_map_gives_the_lowest_aligned(void)
{
	fresh();
	expect_free(0, TOP, PAGE, PAGE, 0);
	expect_free(1, TOP, PAGE, PAGE, PAGE);
	expect_free(PAGE, TOP, PAGE, 1ul << 63, 1ul << 63);
	expect_free(0, TOP, TOP, 1, 0);
	expect_free(1, TOP, TOP, 1, 1);
	expect_full(2, TOP, TOP, 1);
}

static void last_page_of_the_space_can_be_taken(void)
{
	struct iova_node *node;

	fresh();
	expect_eq(iova_space_check(&space, 0 - PAGE, PAGE, PAGE), 0);
	node = take(0 - PAGE, TOP);
	expect_eq(iova_space_check(&space, 0 - PAGE, PAGE, PAGE), -EEXIST);
	expect_full(0 - PAGE, TOP, 1, 1);
	expect(iova_map_first(&space.areas, TOP, TOP) == node);
	expect(!iova_map_next(node, TOP));
	iova_map_remove(&space.areas, node);
	expect_free(0 - PAGE, TOP, PAGE, PAGE, 0 - PAGE);
}

static void whole_space_can_be_taken_but_for_one(void)
{
	fresh();
	take(0, TOP - 1);
	expect_free(0, TOP, 1, 1, TOP);
	expect_full(0, TOP, 2, 1);
	take(TOP, TOP);
	expect_full(0, TOP, 1, 1);
}

static void aligning_does_not_wrap_to_zero(void)
{
	fresh();
	take(0, TOP - PAGE);
	/* Rounding TOP - PAGE + 1 up to 2 MiB would be 0. */
	expect_full(0, TOP, 1, 1ul << 21);
	expect_full(TOP, TOP, 1, 2);
	expect_full(0 - PAGE + 1, TOP, 1, 1ul << 63);
}

static void length_does_not_wrap_past_the_top(void)
{
	fresh();
	take(0, 1ul << 63);
	expect_full(0, TOP, 1ul << 63, 1);
	expect_free(0, TOP, (1ul << 63) - 1, 1, (1ul << 63) + 1);
	expect_full(0 - PAGE, TOP, TOP, 1);
	expect_full(0 - PAGE, TOP, 0 - PAGE, 1);
}

static void search_stays_in_its_window(void)
{
	fresh();
	take(4 * PAGE, 5 * PAGE - 1);
	expect_free(2 * PAGE, 9 * PAGE - 1, 2 * PAGE, PAGE, 2 * PAGE);
	expect_free(3 * PAGE, 9 * PAGE - 1, 2 * PAGE, PAGE, 5 * PAGE);
	expect_full(3 * PAGE, 7 * PAGE - 2, 2 * PAGE, PAGE);
	expect_full(4 * PAGE, 5 * PAGE - 1, 1, 1);
	/* A gap that begins below the window counts from the window on. */
	expect_full(PAGE, 4 * PAGE - 1, 4 * PAGE, 1);
}

static void insert_refuses_any_overlap(void)
{
	static const unsigned long bad[][2] = {
		{ 100, 199 }, { 99, 100 }, { 199, 200 }, { 150, 150 },
		{ 0, TOP }, { 100, 100 }, { 199, 199 }, { 50, 250 },
	};
	unsigned int i;

	fresh();
	take(100, 199);
	take(99, 99);
	take(200, 200);
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct iova_node node = {
			.start = bad[i][0], .last = bad[i][1],
		};

		expect_eq(iova_map_insert(&space.areas, &node), -EEXIST);
	}
}

static void first_and_next_walk_what_meets_the_range(void)
{
	struct iova_node *a, *b, *c;

	fresh();
	b = take(20, 29);
	a = take(10, 19);
	c = take(40, 49);
	expect(iova_map_first(&space.areas, 0, 9) == NULL);
	expect(iova_map_first(&space.areas, 0, 10) == a);
	expect(iova_map_first(&space.areas, 19, 40) == a);
	expect(iova_map_next(a, 40) == b);
	expect(iova_map_next(b, 40) == c);
	expect(iova_map_next(b, 39) == NULL);
	expect(iova_map_first(&space.areas, 30, 39) == NULL);
	expect(iova_map_first(&space.areas, 50, TOP) == NULL);
}

/* How much of the tree a search sees cannot be seen; that it is right can. */
static void search_finds_the_one_hole_among_thousands(void)
{
	unsigned int i, hole;

	fresh();
	for (i = 0; i < 8192; i++)
		take(i * 2 * PAGE, i * 2 * PAGE + PAGE - 1);
	expect_free(0, TOP, PAGE, PAGE, PAGE);
	expect_free(0, TOP, 2 * PAGE, PAGE, (8192 * 2 - 1) * PAGE);
	for (hole = 1; hole < 8192; hole += 1171) {
		iova_map_remove(&space.areas, &nodes[hole]);
		expect_free(0, TOP, 3 * PAGE, PAGE, (hole * 2 - 1) * PAGE);
		expect_eq(iova_map_insert(&space.areas, &nodes[hole]), 0);
	}
}

static void check_answers_in_order(void)
{
	fresh();
	take(8 * PAGE, 12 * PAGE - 1);
	expect_eq(iova_space_reserve(&space, range(4 * PAGE, 8 * PAGE - 1)), 0);
	/* Each bad thing hides those after it. */
	expect_eq(iova_space_check(&space, 4 * PAGE, 0, PAGE), -EINVAL);
	expect_eq(iova_space_check(&space, 4 * PAGE + 1, PAGE, PAGE), -EINVAL);
	expect_eq(iova_space_check(&space, 4 * PAGE, PAGE + 1, PAGE), -EINVAL);
	expect_eq(iova_space_check(&space, 0 - PAGE + 1, PAGE, PAGE), -EINVAL);
	expect_eq(iova_space_check(&space, 0 - PAGE, 2 * PAGE, PAGE),
		  -EOVERFLOW);
	expect_eq(iova_space_check(&space, 4 * PAGE, 0 - 4 * PAGE + PAGE, PAGE),
		  -EOVERFLOW);
	expect_eq(iova_space_check(&space, 4 * PAGE, 0 - 4 * PAGE, PAGE),
		  -EINVAL);
	expect_eq(iova_space_check(&space, 7 * PAGE, 2 * PAGE, PAGE), -EINVAL);
	expect_eq(iova_space_check(&space, 8 * PAGE, 2 * PAGE, PAGE), -EEXIST);
	expect_eq(iova_space_check(&space, 11 * PAGE, 2 * PAGE, PAGE), -EEXIST);
	expect_eq(iova_space_check(&space, 12 * PAGE, 2 * PAGE, PAGE), 0);
}

static void reserved_ranges_overlap_and_go_one_by_one(void)
{
	struct iova_range *a, *b, *c;

	fresh();
	a = range(0, 99);
	b = range(50, 149);
	c = range(50, 149);
	expect_eq(iova_space_reserve(&space, a), 0);
	expect_eq(iova_space_reserve(&space, b), 0);
	expect_eq(iova_space_reserve(&space, c), 0);
	iova_space_unreserve(&space, a);
	expect_eq(iova_space_check(&space, 0, 50, 1), 0);
	expect_eq(iova_space_check(&space, 0, 51, 1), -EINVAL);
	iova_space_unreserve(&space, c);
	expect_eq(iova_space_check(&space, 0, 51, 1), -EINVAL);
	iova_space_unreserve(&space, b);
	expect_eq(iova_space_check(&space, 0, 51, 1), 0);
	/* as it is, once more */
	expect_eq(iova_space_reserve(&space, b), 0);
	expect_eq(iova_space_check(&space, 0, 51, 1), -EINVAL);
}

static void reserving_what_is_in_use_fails(void)
{
	struct rb_root_cached allowed = RB_ROOT_CACHED;

	fresh();
	take(100, 199);
	expect_eq(iova_allowed_insert(&allowed, range(1000, 1999)), 0);
	expect_eq(iova_space_allow(&space, &allowed), 0);
	expect_eq(iova_space_reserve(&space, range(199, 300)),
		  -EADDRINUSE);
	expect_eq(iova_space_reserve(&space, range(1999, 3000)),
		  -EADDRINUSE);
	expect_eq(iova_space_reserve(&space, range(200, 999)), 0);
	expect_eq(iova_space_reserve(&space, range(2000, TOP)), 0);
}

static void allowed_ranges_are_swapped_or_left(void)
{
	struct rb_root_cached one = RB_ROOT_CACHED, two = RB_ROOT_CACHED;
	struct rb_root_cached none = RB_ROOT_CACHED;
	struct iova_range *first, *second;
	unsigned long iova;

	fresh();
	first = range(0x1000, 0x1fff);
	expect_eq(iova_space_reserve(&space, range(0x5000, 0x5fff)), 0);
	expect_eq(iova_allowed_insert(&one, first), 0);
	expect_eq(iova_allowed_insert(&one, range(0x1fff, 0x2fff)),
		  -EINVAL);
	expect_eq(iova_space_allow(&space, &one), 0);
	expect(RB_EMPTY_ROOT(&one.rb_root));

	second = range(0x4000, 0x5000);
	expect_eq(iova_allowed_insert(&two, second), 0);
	expect_eq(iova_space_allow(&space, &two), -EADDRINUSE);
	expect(rb_first_cached(&two) == &second->node.rb);
	expect_eq(iova_space_find(&space, 0x1000, 0x1000, &iova), 0);
	expect_eq(iova, 0x1000);

	expect_eq(iova_space_allow(&space, &none), 0);
	expect(rb_first_cached(&none) == &first->node.rb);
	expect_eq(iova_space_find(&space, 0x1000, 0x1000, &iova), 0);
	expect_eq(iova, 0);
}

static void choice_avoids_reserved_taken_and_not_allowed(void)
{
	struct rb_root_cached allowed = RB_ROOT_CACHED;
	unsigned long iova;

	fresh();
	take(0x10000, 0x10fff);
	expect_eq(iova_space_reserve(&space, range(0, 0xffff)), 0);
	expect_eq(iova_space_reserve(&space, range(0x11000, 0x12fff)), 0);
	expect_eq(iova_space_find(&space, 0x1000, 0x1000, &iova), 0);
	expect_eq(iova, 0x13000);

	/* Two that touch are one; a fixed address need not be allowed. */
	expect_eq(iova_allowed_insert(&allowed, range(0x20000, 0x20fff)),
		  0);
	expect_eq(iova_allowed_insert(&allowed, range(0x30000, 0x30fff)),
		  0);
	expect_eq(iova_allowed_insert(&allowed, range(0x31000, 0x31fff)),
		  0);
	expect_eq(iova_space_allow(&space, &allowed), 0);
	expect_eq(iova_space_find(&space, 0x1000, 0x1000, &iova), 0);
	expect_eq(iova, 0x20000);
	expect_eq(iova_space_find(&space, 0x2000, 0x1000, &iova), 0);
	expect_eq(iova, 0x30000);
	expect_eq(iova_space_find(&space, 0x3000, 0x1000, &iova), -ENOSPC);
	expect_eq(iova_space_check(&space, 0x40000, 0x1000, 0x1000), 0);
}

static void choice_at_the_top_never_overlaps(void)
{
	struct rb_root_cached allowed = RB_ROOT_CACHED;
	unsigned long iova, i;

	fresh();
	expect_eq(iova_space_reserve(&space, range(0 - 4 * PAGE,
						   0 - 3 * PAGE - 1)), 0);
	expect_eq(iova_allowed_insert(&allowed, range(0 - 3 * PAGE, TOP)),
		  0);
	expect_eq(iova_space_allow(&space, &allowed), 0);
	expect_eq(iova_space_find(&space, PAGE, 1ul << 30, &iova), -ENOSPC);
	expect_eq(iova_space_find(&space, 4 * PAGE, PAGE, &iova), -ENOSPC);
	expect_eq(iova_space_find(&space, TOP, 1, &iova), -ENOSPC);
	for (i = 3; i; i--) {
		expect_eq(iova_space_find(&space, PAGE, PAGE, &iova), 0);
		expect_eq(iova, 0 - i * PAGE);
		take(iova, iova + (PAGE - 1));
	}
	expect_eq(iova_space_find(&space, PAGE, PAGE, &iova), -ENOSPC);
	expect_eq(iova_space_find(&space, 1, 1, &iova), -ENOSPC);
}

static void usable_stretches_are_what_is_not_reserved(void)
{
	unsigned long start, last;

	fresh();
	expect(iova_space_next_usable(&space, 0, &start, &last));
	expect(start == 0 && last == TOP);

	expect_eq(iova_space_reserve(&space, range(0, 0xfff)), 0);
	expect_eq(iova_space_reserve(&space, range(0xfee00000, 0xfeefffff)), 0);
	expect_eq(iova_space_reserve(&space, range(0xfee80000, 0xfeffffff)), 0);
	expect_eq(iova_space_reserve(&space, range(1ul << 48, TOP)), 0);
	expect(iova_space_next_usable(&space, 0, &start, &last));
	expect(start == 0x1000 && last == 0xfedfffff);
	expect(iova_space_next_usable(&space, last + 1, &start, &last));
	expect(start == 0xff000000 && last == (1ul << 48) - 1);
	expect(!iova_space_next_usable(&space, last + 1, &start, &last));
	expect(!iova_space_next_usable(&space, TOP, &start, &last));
}

/*
 * Every arrangement of what is taken among the first and among the last SLOTS
 * places of the 64-bit space, every window, length and alignment: held against
 * a look at each place, in numbers that do not wrap.
 */
#define SLOTS	9u

static bool place_fits(unsigned int taken, unsigned int at, unsigned int length,
		       unsigned int window_last)
{
	unsigned int i;

	if (at + length - 1 > window_last)
		return false;
	for (i = at; i < at + length; i++)
		if (taken & 1u << i)
			return false;
	return true;
}

/* Place i is base + i. What search finds in [first, last] of these. */
static void one_search(unsigned long base, unsigned int taken,
		       unsigned int first, unsigned int last,
		       unsigned int length, unsigned int align)
{
	bool whole = !first && last == SLOTS - 1;
	unsigned long iova;
	unsigned int at;

	for (at = first; at <= last; at++)
		if ((base + at) % align == 0 &&
		    place_fits(taken, at, length, last))
			break;
	if (at <= last) {
		expect_free(base + first, base + last, length, align,
			    base + at);
		if (!whole)
			return;
		expect_eq(iova_space_find(&space, length, align, &iova), 0);
		expect_eq(iova, base + at);
	} else {
		expect_full(base + first, base + last, length, align);
		if (whole)
			expect_eq(iova_space_find(&space, length, align, &iova),
				  -ENOSPC);
	}
}

static void every_search(unsigned long base, unsigned int taken)
{
	unsigned int first, last, length, align;

	for (first = 0; first < SLOTS; first++)
		for (last = first; last < SLOTS; last++)
			for (length = 1; length <= SLOTS + 1; length++)
				for (align = 1; align <= 8; align *= 2)
					one_search(base, taken, first, last,
						   length, align);
}

static void every_check(unsigned long base, unsigned int taken)
{
	unsigned int at, length, align;
	int want;

	for (at = 0; at < SLOTS; at++)
		for (length = 0; length <= SLOTS + 1; length++)
			for (align = 1; align <= 8; align *= 2) {
				if (!length || ((base + at) | length) %
					       align)
					want = -EINVAL;
				else if ((wide)base + at + length - 1 > TOP)
					want = -EOVERFLOW;
				else if (at + length <= SLOTS &&
					 place_fits(taken, at, length,
						    SLOTS - 1))
					want = 0;
				else
					want = -EEXIST;
				expect_eq(iova_space_check(&space, base + at,
							   length, align),
					  want);
			}
}

static void every_arrangement(unsigned long base)
{
	unsigned int taken, i;

	for (taken = 0; taken < 1u << SLOTS; taken++) {
		fresh();
		if (base)
			take(0, base - 1);
		else
			take(SLOTS, TOP);
		for (i = 0; i < SLOTS; i++)
			if (taken & 1u << i)
				take(base + i, base + i);
		every_search(base, taken);
		every_check(base, taken);
	}
}

static void every_arrangement_of_the_last_places_agrees(void)
{
	every_arrangement(0 - (unsigned long)SLOTS);
}

static void every_arrangement_of_the_first_places_agrees(void)
{
	every_arrangement(0);
}

/* The stretches at or above each place of the last PLACES. */
#define PLACES	6u

static void every_stretch(unsigned int covered)
{
	unsigned long base = 0 - (unsigned long)PLACES, start, last;
	unsigned int from, f, l;

	for (from = 0; from < PLACES; from++) {
		for (f = from; f < PLACES && covered & 1u << f; f++)
			;
		expect_eq(iova_space_next_usable(&space, base + from, &start,
						 &last), f < PLACES);
		if (f == PLACES)
			continue;
		for (l = f; l + 1 < PLACES && !(covered & 2u << l); l++)
			;
		expect_eq(start, base + f);
		expect_eq(last, base + l);
	}
}

/* Three reserved ranges there, overlapping or not, in every way. */
static void every_usable_stretch_at_the_top_agrees(void)
{
	unsigned long base = 0 - (unsigned long)PLACES;
	unsigned int nr = PLACES * PLACES, pick, i, which, covered, f, l;

	for (pick = 0; pick < nr * nr * nr; pick++) {
		fresh();
		covered = 0;
		for (i = 0, which = pick; i < 3; i++, which /= nr) {
			f = which % nr / PLACES;
			l = which % PLACES;
			if (f > l)
				continue;
			expect_eq(iova_space_reserve(&space,
						     range(base + f, base + l)), 0);
			covered |= (2u << l) - (1u << f);
		}
		every_stretch(covered);
	}
}

static void random_calls(void)
{
	host_random_runs(iova_model, 3, 1);
}

#define T(name)	{ #name, name }

static const struct host_test tests[] = {
	T(empty_map_gives_the_lowest_aligned),
	T(last_page_of_the_space_can_be_taken),
	T(whole_space_can_be_taken_but_for_one),
	T(aligning_does_not_wrap_to_zero),
	T(length_does_not_wrap_past_the_top),
	T(search_stays_in_its_window),
	T(insert_refuses_any_overlap),
	T(first_and_next_walk_what_meets_the_range),
	T(search_finds_the_one_hole_among_thousands),
	T(check_answers_in_order),
	T(reserved_ranges_overlap_and_go_one_by_one),
	T(reserving_what_is_in_use_fails),
	T(allowed_ranges_are_swapped_or_left),
	T(choice_avoids_reserved_taken_and_not_allowed),
	T(choice_at_the_top_never_overlaps),
	T(usable_stretches_are_what_is_not_reserved),
	T(every_arrangement_of_the_last_places_agrees),
	T(every_arrangement_of_the_first_places_agrees),
	T(every_usable_stretch_at_the_top_agrees),
	{ "random_calls_agree_with_lists", random_calls },
};

int main(int argc, char **argv)
{
	return host_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
