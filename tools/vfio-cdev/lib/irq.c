// SPDX-License-Identifier: GPL-2.0
/* Interrupts of a device, signalled on eventfds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/vfio.h>

#include "device.h"

static const char *irq_name(uint32_t index)
{
	static const char *const names[] = { "INTx", "MSI", "MSI-X", "error", "request" };

	return index < ARRAY_SIZE(names) ? names[index] : "device-specific";
}

int vcdev_irq_get(struct vcdev_dev *dev, uint32_t index, struct vcdev_irq *irq,
		  struct vcdev_error *err)
{
	struct vfio_irq_info info = { .argsz = sizeof(info), .index = index };
	int rc;

	if (!dev->places)
		return vcdev_fail(err, -EINVAL, "%s is not bound to a context", dev->pci.cdev);
	if (index >= dev->info.nr_irqs)
		return vcdev_fail(err, -EINVAL, "%s has no interrupt index %u", dev->pci.cdev,
				  index);
	memset(irq, 0, sizeof(*irq));
	rc = vcdev_ioctl(dev->fd, VFIO_DEVICE_GET_IRQ_INFO, &info);
	/* EINVAL: counted, but not there, such as errors of a conventional device. */
	if (rc == -EINVAL)
		return 0;
	if (rc)
		return vcdev_fail(err, rc, "cannot read about the %s interrupts of %s: %s",
				  irq_name(index), dev->pci.cdev, strerror(-rc));
	irq->flags = info.flags;
	irq->count = info.count;
	return 0;
}

static int irq_set(struct vcdev_dev *dev, uint32_t index, uint32_t flags, uint32_t start,
		   const int *eventfds, size_t count, const char *what,
		   struct vcdev_error *err)
{
	size_t data = eventfds ? count * sizeof(*eventfds) : 0;
	struct vfio_irq_set *set;
	int rc;

	if (count > UINT16_MAX)
		return vcdev_fail(err, -EINVAL, "%zu vectors are too many", count);
	set = calloc(1, sizeof(*set) + data);
	if (!set)
		return vcdev_fail(err, -ENOMEM, "out of memory");
	set->argsz = sizeof(*set) + data;
	set->flags = flags;
	set->index = index;
	set->start = start;
	set->count = count;
	if (data)
		memcpy(set->data, eventfds, data);
	rc = vcdev_ioctl(dev->fd, VFIO_DEVICE_SET_IRQS, set);
	free(set);
	if (rc < 0)
		return vcdev_fail(err, rc, "cannot %s %s interrupts of %s: %s", what,
				  irq_name(index), dev->pci.cdev, strerror(-rc));
	/* Fewer vectors than asked for: 6.1 says how many there could be. */
	if (rc > 0) {
		vcdev_fail(err, -ENOSPC, "cannot %s %zu %s interrupts of %s: the system has %d",
			   what, count, irq_name(index), dev->pci.cdev, rc);
		return -ENOSPC;
	}
	return 0;
}

int vcdev_irq_enable(struct vcdev_dev *dev, uint32_t index, const int *eventfds,
		     size_t nr_eventfds, struct vcdev_error *err)
{
	if (!nr_eventfds)
		return vcdev_fail(err, -EINVAL, "no eventfd given");
	return irq_set(dev, index, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, 0,
		       eventfds, nr_eventfds, "enable", err);
}

int vcdev_irq_disable(struct vcdev_dev *dev, uint32_t index, struct vcdev_error *err)
{
	return irq_set(dev, index, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0,
		       NULL, 0, "disable", err);
}

int vcdev_irq_unmask(struct vcdev_dev *dev, uint32_t index, struct vcdev_error *err)
{
	return irq_set(dev, index, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0,
		       NULL, 1, "unmask", err);
}

int vcdev_irq_trigger(struct vcdev_dev *dev, uint32_t index, uint32_t vector,
		      struct vcdev_error *err)
{
	return irq_set(dev, index, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, vector,
		       NULL, 1, "trigger", err);
}
