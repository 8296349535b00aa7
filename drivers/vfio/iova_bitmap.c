// SPDX-License-Identifier: GPL-2.0
/*
 * A bitmap in user memory with one bit for each page of an IOVA range, into
 * which a driver writes what its device has dirtied.
 *
 * Bit n stands for the IOVAs from base + (n << shift) on, and is bit n % 8 of
 * byte n / 8 of the user's memory: little-endian, whatever the length of a
 * word. The bitmap can be of any size, so a window of it is pinned at a time,
 * and the driver is called for each window. It starts at a whole byte.
 *
 * All bit numbers are 64 bits wide and inclusive ("last"), so that a range
 * that ends with the last IOVA needs no care; a page shift can be up to 63.
 */
#include <linux/bitmap.h>
#include <linux/highmem.h>
#include <linux/iova_bitmap.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "vfio.h"

#define WINDOW_PAGES	(PAGE_SIZE / sizeof(struct page *))
#define BITS_IN_PAGE	((u64)PAGE_SIZE * BITS_PER_BYTE)

/**
 * struct iova_bitmap - one bitmap, one window of it
 * @base: first IOVA
 * @last: last IOVA
 * @shift: log2 of the page size
 * @ubits: the user's memory
 * @last_bit: of the whole bitmap
 * @first_bit: of the window
 * @skip: bits of the first page in front of @first_bit
 * @carry_end: bits below this, of the windows to come, are dirty
 * @nr_bits: in the window; what is beyond is not pinned
 * @nr_pages: that are pinned
 * @pages: room for WINDOW_PAGES
 */
struct iova_bitmap {
	u64 base;
	u64 last;
	unsigned int shift;
	u8 __user *ubits;
	u64 last_bit;

	u64 first_bit;
	u64 skip;
	u64 carry_end;
	u64 nr_bits;
	unsigned int nr_pages;
	struct page **pages;
};

/* Pin as much as there is room for, from first_bit on. */
static int window_pin(struct iova_bitmap *bitmap)
{
	unsigned long addr = (unsigned long)bitmap->ubits +
			     bitmap->first_bit / BITS_PER_BYTE;
	u64 left = bitmap->last_bit - bitmap->first_bit + 1;
	u64 want;
	int nr;

	bitmap->skip = offset_in_page(addr) * BITS_PER_BYTE;
	want = min_t(u64, DIV_ROUND_UP_ULL(bitmap->skip + left, BITS_IN_PAGE),
		     WINDOW_PAGES);

	nr = pin_user_pages_fast(addr & PAGE_MASK, want, FOLL_WRITE,
				 bitmap->pages);
	if (nr <= 0)
		return -EFAULT;

	bitmap->nr_pages = nr;
	bitmap->nr_bits = min(left, nr * BITS_IN_PAGE - bitmap->skip);
	return 0;
}

static void window_unpin(struct iova_bitmap *bitmap)
{
	unpin_user_pages_dirty_lock(bitmap->pages, bitmap->nr_pages, true);
	bitmap->nr_pages = 0;
}

/**
 * iova_bitmap_alloc - begin to fill a bitmap
 * @iova: first IOVA
 * @length: in bytes, not 0; the range does not wrap
 * @page_size: that a bit stands for: a power of two
 * @data: the user's memory
 *
 * Return: the bitmap, or ERR_PTR() of -EINVAL or -ENOMEM.
 */
struct iova_bitmap *iova_bitmap_alloc(unsigned long iova, size_t length,
				      unsigned long page_size,
				      u64 __user *data)
{
	struct iova_bitmap *bitmap;

	if (!length || !page_size || iova + (length - 1) < iova)
		return ERR_PTR(-EINVAL);

	bitmap = kzalloc(sizeof(*bitmap), GFP_KERNEL_ACCOUNT);
	if (!bitmap)
		return ERR_PTR(-ENOMEM);

	bitmap->pages = kcalloc(WINDOW_PAGES, sizeof(*bitmap->pages),
				GFP_KERNEL_ACCOUNT);
	if (!bitmap->pages) {
		kfree(bitmap);
		return ERR_PTR(-ENOMEM);
	}

	bitmap->base = iova;
	bitmap->last = iova + (length - 1);
	bitmap->shift = __ffs(page_size);
	bitmap->ubits = (u8 __user *)data;
	bitmap->last_bit = (length - 1) >> bitmap->shift;
	return bitmap;
}

/**
 * iova_bitmap_free - end of iova_bitmap_alloc()
 * @bitmap: bitmap
 */
void iova_bitmap_free(struct iova_bitmap *bitmap)
{
	kfree(bitmap->pages);
	kfree(bitmap);
}

/* Set bits, numbered in the whole bitmap, as far as the window has them. */
static void window_mark(struct iova_bitmap *bitmap, u64 bit, u64 last_bit)
{
	u64 end;

	last_bit = min(last_bit, bitmap->first_bit + bitmap->nr_bits - 1);
	bit += bitmap->skip - bitmap->first_bit;
	end = last_bit + bitmap->skip - bitmap->first_bit + 1;
	while (bit < end) {
		unsigned int offset = bit % BITS_IN_PAGE;
		unsigned int nr = min(end - bit, BITS_IN_PAGE - offset);
		unsigned long *words;

		words = kmap_local_page(bitmap->pages[bit / BITS_IN_PAGE]);
		bitmap_set(words, offset, nr);
		kunmap_local(words);
		bit += nr;
	}
}

/* Call @fn for what is pinned. */
static int window_visit(struct iova_bitmap *bitmap, void *opaque,
			iova_bitmap_fn_t fn)
{
	u64 last_bit = bitmap->first_bit + bitmap->nr_bits - 1;
	u64 first = bitmap->base + (bitmap->first_bit << bitmap->shift);
	u64 last = bitmap->last;

	if (last_bit != bitmap->last_bit)
		last = bitmap->base + ((last_bit + 1) << bitmap->shift) - 1;
	return fn(bitmap, first, last - first + 1, opaque);
}

/**
 * iova_bitmap_for_each - call a function for each window of a bitmap
 * @bitmap: bitmap
 * @opaque: for @fn
 * @fn: is given a part of the range, and may call iova_bitmap_set() for it
 *
 * Return: 0; -EFAULT when the user's memory is not there; -EINTR when the
 * caller was killed; or the first of @fn's that is not 0.
 */
int iova_bitmap_for_each(struct iova_bitmap *bitmap, void *opaque,
			 iova_bitmap_fn_t fn)
{
	u64 first_bit = 0;
	int rc;

	for (;;) {
		bitmap->first_bit = first_bit;
		rc = window_pin(bitmap);
		if (rc)
			return rc;
		if (bitmap->carry_end > first_bit)
			window_mark(bitmap, first_bit, bitmap->carry_end - 1);
		rc = window_visit(bitmap, opaque, fn);
		window_unpin(bitmap);
		if (rc)
			return rc;

		if (bitmap->last_bit - first_bit < bitmap->nr_bits)
			return 0;
		first_bit += bitmap->nr_bits;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
}

/**
 * iova_bitmap_set - mark IOVAs as dirty
 * @bitmap: bitmap, inside iova_bitmap_for_each()
 * @iova: first IOVA
 * @length: in bytes
 *
 * A device whose pages are larger than the bitmap's may report more than the
 * window that it was asked for. What is before the window has been told of; what
 * goes on behind it is noted for the windows to come, since the device will not
 * report it again.
 */
void iova_bitmap_set(struct iova_bitmap *bitmap, unsigned long iova,
		     size_t length)
{
	u64 first, last = iova + (length - 1), last_bit;
	u64 end = bitmap->first_bit + bitmap->nr_bits;

	first = bitmap->base + (bitmap->first_bit << bitmap->shift);
	if (!length || !bitmap->nr_pages || last < first)
		return;
	first = max_t(u64, first, iova);
	if ((first - bitmap->base) >> bitmap->shift >= end)
		return;

	last_bit = min((last - bitmap->base) >> bitmap->shift, bitmap->last_bit);
	bitmap->carry_end = max(bitmap->carry_end, last_bit + 1);
	window_mark(bitmap, (first - bitmap->base) >> bitmap->shift, last_bit);
}
EXPORT_SYMBOL_GPL(iova_bitmap_set);
