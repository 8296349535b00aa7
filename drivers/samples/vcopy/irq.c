// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts. One vector (MSI) that says that a command is over, and the one by
 * which VFIO asks a user to give the device back. Both are eventfds of the user.
 */
#include <linux/err.h>

#include "vcopy.h"

void vcopy_irqs_init(struct vcopy *vc)
{
	mutex_init(&vc->irqs.lock);
	vc->irqs.msi = NULL;
	vc->irqs.request = NULL;
}

static void slot_set(struct eventfd_ctx **slot, struct eventfd_ctx *ctx)
{
	if (*slot)
		eventfd_ctx_put(*slot);
	*slot = ctx;
}

void vcopy_irqs_clear(struct vcopy *vc)
{
	mutex_lock(&vc->irqs.lock);
	slot_set(&vc->irqs.msi, NULL);
	slot_set(&vc->irqs.request, NULL);
	mutex_unlock(&vc->irqs.lock);
}

static bool slot_fire(struct vcopy *vc, struct eventfd_ctx **slot)
{
	bool is_set;

	mutex_lock(&vc->irqs.lock);
	is_set = *slot;
	if (is_set)
		eventfd_signal(*slot, 1);
	mutex_unlock(&vc->irqs.lock);
	return is_set;
}

void vcopy_irq_fire(struct vcopy *vc)
{
	slot_fire(vc, &vc->irqs.msi);
}

/* Ask the user to close the device. False: there is nobody who listens. */
bool vcopy_irq_request(struct vcopy *vc)
{
	return slot_fire(vc, &vc->irqs.request);
}

u32 vcopy_irq_count(u32 index)
{
	return index == VFIO_PCI_MSI_IRQ_INDEX ||
	       index == VFIO_PCI_REQ_IRQ_INDEX;
}

/*
 * VFIO_DEVICE_SET_IRQS. The core has checked @set: index and range exist, one type
 * of data is chosen, and @data is as long as that needs.
 */
long vcopy_irq_set(struct vcopy *vc, const struct vfio_irq_set *set,
		   const void *data)
{
	struct eventfd_ctx **slot, *ctx = NULL;
	s32 fd;

	slot = set->index == VFIO_PCI_MSI_IRQ_INDEX ? &vc->irqs.msi :
						      &vc->irqs.request;
	if ((set->flags & VFIO_IRQ_SET_ACTION_TYPE_MASK) !=
	    VFIO_IRQ_SET_ACTION_TRIGGER)
		return -ENOTTY;		/* neither can be masked */

	switch (set->flags & VFIO_IRQ_SET_DATA_TYPE_MASK) {
	case VFIO_IRQ_SET_DATA_NONE:
		if (!set->count)
			break;		/* switch it off */
		slot_fire(vc, slot);
		return 0;
	case VFIO_IRQ_SET_DATA_BOOL:
		if (!set->count)
			return -EINVAL;
		if (*(const u8 *)data)
			slot_fire(vc, slot);
		return 0;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		if (!set->count)
			return -EINVAL;
		fd = *(const s32 *)data;
		if (fd < 0)
			break;
		ctx = eventfd_ctx_fdget(fd);
		if (IS_ERR(ctx))
			return PTR_ERR(ctx);
		break;
	}
	mutex_lock(&vc->irqs.lock);
	slot_set(slot, ctx);
	mutex_unlock(&vc->irqs.lock);
	return 0;
}
