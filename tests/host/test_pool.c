// SPDX-License-Identifier: GPL-2.0
/*
 * Tests of drivers/iommufd/pool.c: objects in pages of a pool.
 *
 * Pages are of 64 bytes here, with room for four objects of 8 bytes behind the
 * head. The model is an array of the objects that are taken, each filled with a
 * number of its own: who gives memory out twice, or writes into what is taken, is
 * found by the number.
 */
#include <string.h>

#include "../../drivers/iommufd/pool.c"
#include "host.h"

#define SIZE		8u
#define PER_PAGE	((PAGE_SIZE - sizeof(struct pool_page)) / SIZE)
#define MAX_OBJECTS	64u

static struct {
	struct pool pool;
	u64 *object[MAX_OBJECTS];
	u64 number[MAX_OBJECTS];
	unsigned int nr;
	u64 last_number;
} t;

/* Nothing is allocated or freed meanwhile: that may sleep, and takes its time. */
void spin_lock(spinlock_t *lock)
{
	expect(!lock->held);
	lock->held = true;
	host_memory.forbidden = true;
}

void spin_unlock(spinlock_t *lock)
{
	expect(lock->held);
	lock->held = false;
	host_memory.forbidden = false;
}

static void begin(void)
{
	host_reset();
	memset(&t, 0, sizeof(t));
	pool_init(&t.pool, SIZE);
}

static bool take(void)
{
	u64 *object = pool_alloc(&t.pool);

	if (!object)
		return false;
	expect(!((uintptr_t)object % sizeof(*object)));
	t.object[t.nr] = object;
	t.number[t.nr] = ++t.last_number;
	*object = t.last_number;
	t.nr++;
	return true;
}

static void give(unsigned int i)
{
	expect_eq(*t.object[i], t.number[i]);
	pool_free(&t.pool, t.object[i]);
	t.nr--;
	t.object[i] = t.object[t.nr];
	t.number[i] = t.number[t.nr];
}

/* Pages that have an object that is taken. */
static unsigned int nr_pages(void)
{
	unsigned int i, j, nr = 0;

	for (i = 0; i < t.nr; i++) {
		for (j = 0; j < i; j++)
			if (((uintptr_t)t.object[i] & PAGE_MASK) ==
			    ((uintptr_t)t.object[j] & PAGE_MASK))
				break;
		nr += j == i;
	}
	return nr;
}

static void expect_as_wanted(void)
{
	unsigned int i;

	for (i = 0; i < t.nr; i++)
		expect_eq(*t.object[i], t.number[i]);
	expect(host_memory.live >= nr_pages());
	expect(host_memory.live <= nr_pages() + 1);
	expect_eq(host_warnings, 0);
}

static void end(void)
{
	while (t.nr)
		give(t.nr - 1);
	expect_as_wanted();
	pool_uninit(&t.pool);
	expect_eq(host_memory.live, 0);
	expect_eq(host_warnings, 0);
}

static void page_is_used_up_before_the_next(void)
{
	unsigned int i;

	begin();
	for (i = 0; i < 3 * PER_PAGE; i++) {
		expect(take());
		expect_eq(host_memory.live, i / PER_PAGE + 1);
	}
	end();
}

static void one_object_that_comes_and_goes_takes_one_page(void)
{
	unsigned int i;

	begin();
	for (i = 0; i < 2 * PER_PAGE; i++) {
		expect(take());
		give(0);
	}
	expect_eq(host_memory.calls, 1);
	/* The same where all other pages are full. */
	for (i = 0; i < PER_PAGE; i++)
		expect(take());
	for (i = 0; i < 2 * PER_PAGE; i++) {
		expect(take());
		give(PER_PAGE);
	}
	expect_eq(host_memory.calls, 2);
	end();
}

static void empty_pages_go_but_for_one(void)
{
	unsigned int i;

	begin();
	for (i = 0; i < 5 * PER_PAGE; i++)
		expect(take());
	while (t.nr)
		give(0);
	expect_eq(host_memory.live, 1);
	end();
}

static void no_memory_is_null_and_changes_nothing(void)
{
	unsigned int i;

	begin();
	for (i = 0; i < PER_PAGE; i++)
		expect(take());
	host_memory.fail_in = 1;
	expect(!take());
	expect_as_wanted();
	expect(take());
	end();
}

static void object_that_is_not_back_is_told(void)
{
	struct pool_page *page;

	begin();
	expect(take());
	pool_uninit(&t.pool);
	expect_eq(host_warnings, 1);
	host_warnings = 0;
	expect_eq(host_memory.live, 1);
	page = (void *)((uintptr_t)t.object[0] & PAGE_MASK);
	kfree(page);
}

static void pool_model(struct choices *choices)
{
	begin();
	while (choices_left(choices)) {
		if (choose(choices, 16) == 0)
			host_memory.fail_in = 1;
		/* It grows for a while, then shrinks for a while. */
		if (t.nr < MAX_OBJECTS &&
		    choose(choices, 8) < (t.last_number & 64 ? 2 : 6))
			take();
		else if (t.nr)
			give(choose(choices, t.nr));
		host_memory.fail_in = 0;
		host_step(choices);
		expect_as_wanted();
	}
	end();
}

static void random_orders(void)
{
	host_random_runs(pool_model, 5, 0.5);
}

#define T(name)	{ #name, name }

static const struct host_test tests[] = {
	T(page_is_used_up_before_the_next),
	T(one_object_that_comes_and_goes_takes_one_page),
	T(empty_pages_go_but_for_one),
	T(no_memory_is_null_and_changes_nothing),
	T(object_that_is_not_back_is_told),
	{ "random_orders_agree_with_an_array", random_orders },
};

int main(int argc, char **argv)
{
	return host_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
