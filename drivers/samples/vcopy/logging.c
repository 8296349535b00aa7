// SPDX-License-Identifier: GPL-2.0
/*
 * DMA logging: a bit for each page of the ranges that the user wants to be looked
 * at. The engine sets it after it has written: who reads the log, and then the page,
 * either sees the new contents or finds the bit in the next log.
 *
 * The size of a page is what the user wishes, but at least that of the CPU, and so
 * large that all bits fit into LOG_MAX_BITS. Pages are counted from IOVA 0, so a
 * page can be larger than the part of it that is in a range, or that is asked for.
 * In the latter case its bit stays: the rest has not been told.
 *
 * A reset leaves the log as it is: what was written before it was written.
 */
#include <linux/bitmap.h>
#include <linux/interval_tree.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/slab.h>

#include "vcopy.h"

#define LOG_MAX_BITS	(1UL << 25)	/* 128 GiB in pages of 4 KiB, 4 MiB of bits */

/**
 * struct vcopy_log_range - a range, and its bits
 * @iova: first byte
 * @last: last byte
 * @first_page: where the bits begin
 * @nr_pages: how many there are
 * @bits: which were written to
 */
struct vcopy_log_range {
	u64 iova, last;
	u64 first_page;
	unsigned long nr_pages;
	unsigned long *bits;
};

static void log_free(struct vcopy_log_range *ranges, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		kvfree(ranges[i].bits);
	kfree(ranges);
}

/* Of all ranges together, in pages of 1 << @shift. */
static bool log_fits(struct rb_root_cached *root, unsigned int shift)
{
	struct interval_tree_node *node;
	u64 room = LOG_MAX_BITS, nr;

	for (node = interval_tree_iter_first(root, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		nr = (node->last >> shift) - (node->start >> shift) + 1;
		if (nr > room)
			return false;
		room -= nr;
	}
	return true;
}

static int vcopy_log_start(struct vfio_device *vdev, struct rb_root_cached *root,
			   u32 nr_ranges, u64 *page_size)
{
	struct vcopy_log *log = &to_vcopy(vdev)->log;
	struct vcopy_log_range *ranges, *range;
	struct interval_tree_node *node;
	unsigned int shift, nr = 0;
	int rc = -ENOMEM;

	if (!is_power_of_2(*page_size))
		return -EINVAL;
	shift = max_t(unsigned int, ilog2(*page_size), PAGE_SHIFT);
	while (!log_fits(root, shift))
		shift++;

	ranges = kcalloc(nr_ranges, sizeof(*ranges), GFP_KERNEL_ACCOUNT);
	if (!ranges)
		return -ENOMEM;
	for (node = interval_tree_iter_first(root, 0, ULONG_MAX); node;
	     node = interval_tree_iter_next(node, 0, ULONG_MAX)) {
		range = &ranges[nr];
		range->iova = node->start;
		range->last = node->last;
		range->first_page = node->start >> shift;
		range->nr_pages = (node->last >> shift) - range->first_page + 1;
		range->bits = kvcalloc(BITS_TO_LONGS(range->nr_pages),
				       sizeof(long), GFP_KERNEL_ACCOUNT);
		if (!range->bits)
			goto err_ranges;
		nr++;
	}

	mutex_lock(&log->lock);
	if (log->nr_ranges) {
		mutex_unlock(&log->lock);
		rc = -EINVAL;
		goto err_ranges;
	}
	log->shift = shift;
	log->ranges = ranges;
	log->nr_ranges = nr;
	mutex_unlock(&log->lock);

	*page_size = 1ULL << shift;
	return 0;

err_ranges:
	log_free(ranges, nr);
	return rc;
}

static int vcopy_log_stop(struct vfio_device *vdev)
{
	struct vcopy_log *log = &to_vcopy(vdev)->log;
	struct vcopy_log_range *ranges;
	unsigned int nr;

	mutex_lock(&log->lock);
	nr = log->nr_ranges;
	ranges = log->ranges;
	log->nr_ranges = 0;
	log->ranges = NULL;
	mutex_unlock(&log->lock);

	log_free(ranges, nr);
	return nr ? 0 : -EINVAL;
}

/* What @range has in [@iova, @last]. */
static void range_report(struct vcopy_log *log, struct vcopy_log_range *range,
			 u64 iova, u64 last, struct iova_bitmap *dirty)
{
	u64 page, page_last;
	unsigned long bit, nr;

	iova = max(iova, range->iova);
	last = min(last, range->last);
	if (iova > last)
		return;

	bit = (iova >> log->shift) - range->first_page;
	nr = (last >> log->shift) - range->first_page + 1;
	for_each_set_bit_from(bit, range->bits, nr) {
		page = (range->first_page + bit) << log->shift;
		page_last = page + (1ULL << log->shift) - 1;
		/* A part of the page that is not in the range does not count. */
		page = max(page, range->iova);
		page_last = min(page_last, range->last);
		if (iova <= page && page_last <= last)
			__clear_bit(bit, range->bits);
		page = max(page, iova);
		page_last = min(page_last, last);
		iova_bitmap_set(dirty, page, page_last - page + 1);
	}
}

static int vcopy_log_read_and_clear(struct vfio_device *vdev, unsigned long iova,
				    unsigned long length, struct iova_bitmap *dirty)
{
	struct vcopy_log *log = &to_vcopy(vdev)->log;
	unsigned int i;
	int rc = 0;

	mutex_lock(&log->lock);
	if (!log->nr_ranges)
		rc = -EINVAL;
	for (i = 0; i < log->nr_ranges; i++)
		range_report(log, &log->ranges[i], iova, iova + (length - 1), dirty);
	mutex_unlock(&log->lock);
	return rc;
}

static const struct vfio_log_ops vcopy_log_ops = {
	.log_start = vcopy_log_start,
	.log_stop = vcopy_log_stop,
	.log_read_and_clear = vcopy_log_read_and_clear,
};

/* [@iova, @iova + @length) was written to. Nothing can be where that wraps. */
void vcopy_log_mark(struct vcopy *vc, u64 iova, u64 length)
{
	struct vcopy_log *log = &vc->log;
	struct vcopy_log_range *range;
	unsigned int i;
	u64 first, last;

	mutex_lock(&log->lock);
	for (i = 0; i < log->nr_ranges; i++) {
		range = &log->ranges[i];
		first = max(iova, range->iova);
		last = min(iova + (length - 1), range->last);
		if (first > last)
			continue;
		first = (first >> log->shift) - range->first_page;
		last = (last >> log->shift) - range->first_page;
		bitmap_set(range->bits, first, last - first + 1);
	}
	mutex_unlock(&log->lock);
}

/* The device is closed. */
void vcopy_log_clear(struct vcopy *vc)
{
	vcopy_log_stop(&vc->vdev);
}

void vcopy_log_init(struct vcopy *vc)
{
	mutex_init(&vc->log.lock);
	vc->log.nr_ranges = 0;
	vc->log.ranges = NULL;
	vc->vdev.log_ops = &vcopy_log_ops;
}
