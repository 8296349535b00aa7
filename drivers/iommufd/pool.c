// SPDX-License-Identifier: GPL-2.0
/*
 * Objects in pages of their own. pool.h has the model.
 *
 * A page begins with a head; behind it are as many objects as fit. Those that are
 * free are a list through their first word. A page with room is one whose list is
 * not empty, and only such pages are in the list of the pool: the page of an object
 * is found by its address.
 *
 * A page that becomes empty goes unless it is the only one with room. So there is
 * never more than one empty page, and none is made and freed again for one object
 * that comes and goes.
 */
#include <linux/bug.h>
#include <linux/gfp.h>
#include <linux/kmemleak.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "pool.h"

void pool_init(struct pool *pool, size_t size)
{
	pool->size = size;
	spin_lock_init(&pool->lock);
	INIT_LIST_HEAD(&pool->pages);
}

#ifdef CONFIG_KASAN

void pool_uninit(struct pool *pool)
{
}

void *pool_alloc(struct pool *pool)
{
	return kmalloc(pool->size, GFP_KERNEL_ACCOUNT);
}

void pool_free(struct pool *pool, void *object)
{
	kfree(object);
}

#else

/* What the objects point to would seem lost if nobody looked into the page. */
static struct pool_page *page_alloc(const struct pool *pool)
{
	void *page = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	struct pool_page *head = page;
	void *object, *end;

	if (!page)
		return NULL;
	kmemleak_alloc(page, PAGE_SIZE, 1, GFP_KERNEL);
	head->free = NULL;
	head->nr_taken = 0;
	end = page + PAGE_SIZE - pool->size;
	for (object = head + 1; object <= end; object += pool->size) {
		*(void **)object = head->free;
		head->free = object;
	}
	return head;
}

static void page_free(struct pool_page *page)
{
	kmemleak_free(page);
	free_page((unsigned long)page);
}

void pool_uninit(struct pool *pool)
{
	struct pool_page *page, *next;

	list_for_each_entry_safe(page, next, &pool->pages, link)
		if (!WARN_ON(page->nr_taken))
			page_free(page);
}

/* From a page more. */
static noinline void *alloc_more(struct pool *pool)
{
	struct pool_page *page = page_alloc(pool);
	void *object;

	if (!page)
		return NULL;
	spin_lock(&pool->lock);
	list_add(&page->link, &pool->pages);
	object = pool_take(pool);
	spin_unlock(&pool->lock);
	return object;
}

void *pool_alloc(struct pool *pool)
{
	void *object;

	spin_lock(&pool->lock);
	object = pool_take(pool);
	spin_unlock(&pool->lock);
	return object ?: alloc_more(pool);
}

void pool_free(struct pool *pool, void *object)
{
	struct pool_page *page = (void *)((unsigned long)object & PAGE_MASK);
	bool is_last;

	spin_lock(&pool->lock);
	if (unlikely(!page->free))
		list_add(&page->link, &pool->pages);
	*(void **)object = page->free;
	page->free = object;
	page->nr_taken--;
	is_last = !page->nr_taken && !list_is_singular(&pool->pages);
	if (unlikely(is_last))
		list_del(&page->link);
	spin_unlock(&pool->lock);
	if (unlikely(is_last))
		page_free(page);
}

#endif
