/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages so small that few bytes take many of them. A struct page is the page
 * itself; a test that pins brings the two functions.
 */
#ifndef HOST_LINUX_MM_H
#define HOST_LINUX_MM_H

#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/slab.h>
#include <linux/types.h>

#define __user
#define PAGE_SIZE		64ul
#define PAGE_MASK		(~(PAGE_SIZE - 1))
#define BITS_PER_BYTE		8
#define FOLL_WRITE		1
#define offset_in_page(addr)	((unsigned long)(addr) & ~PAGE_MASK)
#define DIV_ROUND_UP_ULL(n, d)	(((n) + (d) - 1) / (d))
#define __ffs(word)		((unsigned int)__builtin_ctzl(word))
#define ERR_PTR(rc)		((void *)(long)(rc))
#define __get_free_page(gfp)	((unsigned long)kmalloc(PAGE_SIZE, gfp))
#define free_page(addr)		kfree((void *)(addr))

struct page {
	unsigned long words[PAGE_SIZE / sizeof(unsigned long)];
};

int pin_user_pages_fast(unsigned long addr, int nr, unsigned int flags,
			struct page **pages);
void unpin_user_pages_dirty_lock(struct page **pages, unsigned long nr,
				 bool dirty);

#endif
