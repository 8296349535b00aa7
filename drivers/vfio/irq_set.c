// SPDX-License-Identifier: GPL-2.0
/*
 * The part of VFIO_DEVICE_SET_IRQS that is the same for all devices: does the
 * argument make sense, and how much data follows it?
 */
#include <linux/overflow.h>

#include "vfio.h"

/* Bytes for one interrupt, or negative for no or several kinds of data. */
static int irq_set_data_width(u32 flags)
{
	switch (flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL:
		return sizeof(u8);
	case VFIO_IRQ_SET_DATA_EVENTFD:
		return sizeof(s32);
	}
	return -EINVAL;
}

/**
 * vfio_set_irqs_validate_and_prepare - check a struct vfio_irq_set
 * @hdr: fixed part of the argument, as the user gave it
 * @num_irqs: how many interrupts hdr->index has
 * @max_irq_type: how many values hdr->index has
 * @data_size: set to the number of bytes to fetch after the fixed part. May
 *	be NULL for an index that takes no data
 *
 * Return: 0 or -EINVAL.
 */
int vfio_set_irqs_validate_and_prepare(struct vfio_irq_set *hdr, int num_irqs,
				       int max_irq_type, size_t *data_size)
{
	const u32 known = VFIO_IRQ_SET_DATA_TYPE_MASK |
			  VFIO_IRQ_SET_ACTION_TYPE_MASK;
	const size_t minsz = offsetofend(struct vfio_irq_set, count);
	size_t size;
	u32 end;
	int width;

	if (data_size)
		*data_size = 0;

	if (hdr->argsz < minsz || hdr->flags & ~known)
		return -EINVAL;
	if (max_irq_type < 0 || hdr->index >= (u32)max_irq_type)
		return -EINVAL;

	/* count may be 0, but even then start names an interrupt. */
	if (num_irqs < 0 || hdr->start >= (u32)num_irqs)
		return -EINVAL;
	if (check_add_overflow(hdr->start, hdr->count, &end) ||
	    end > (u32)num_irqs)
		return -EINVAL;

	width = irq_set_data_width(hdr->flags);
	if (width < 0)
		return width;
	if (!width)
		return 0;

	size = array_size(hdr->count, width);
	if (!data_size || hdr->argsz - minsz < size)
		return -EINVAL;

	*data_size = size;
	return 0;
}
EXPORT_SYMBOL(vfio_set_irqs_validate_and_prepare);
