/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Objects of one size of which a context may have very many, and which come and
 * go with every mapping: in pages of the context's own. To take one is to unlink it
 * from the list of a page, to give it back is to link it. The slab allocator zeroes,
 * charges, counts and guards each object for itself, which costs more than all else
 * that is done to it here.
 *
 * A page is charged to the memory cgroup of whoever needed it. It goes with the last
 * of its objects, but for one page, which stays for the next object, and with the
 * pool. Any context; what pool_alloc() takes from the kernel may sleep.
 *
 * KASAN sees an access to what is free in the slab allocator only. So with KASAN each
 * object is an allocation of its own, and no page ever has room.
 */
#ifndef IOMMUFD_POOL_H
#define IOMMUFD_POOL_H

#include <linux/compiler.h>
#include <linux/list.h>
#include <linux/lockdep.h>
#include <linux/spinlock.h>
#include <linux/types.h>

struct pool {
	size_t size;			/* of an object: a multiple of 8 */
	spinlock_t lock;		/* the pages, and what is free in them */
	struct list_head pages;		/* those with room */
};

void pool_init(struct pool *pool, size_t size);

/* All objects are back. */
void pool_uninit(struct pool *pool);

/* An object, with anything in it; NULL: no memory. */
void *pool_alloc(struct pool *pool);
void pool_free(struct pool *pool, void *object);

/* For pool_take(): the head of a page. */
struct pool_page {
	struct list_head link;		/* pool.pages, while there is room */
	void **free;			/* the first object that is free */
	unsigned int nr_taken;
};

/* With the lock, which the caller may have for more than this. NULL: no room. */
static __always_inline void *pool_take(struct pool *pool)
{
	struct pool_page *page;
	void **object;

	lockdep_assert_held(&pool->lock);
	page = list_first_entry_or_null(&pool->pages, struct pool_page, link);
	if (unlikely(!page))
		return NULL;
	object = page->free;
	page->free = *object;
	page->nr_taken++;
	if (unlikely(!page->free))
		list_del(&page->link);
	return object;
}

#endif
