// SPDX-License-Identifier: GPL-2.0
/* Reset of all that is on a slot or bus, by the context that owns it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/vfio.h>

#include "device.h"

static int fail_reset(const struct vcdev_dev *dev, int rc, struct vcdev_error *err)
{
	switch (rc) {
	case -ENODEV:
		vcdev_fail(err, rc, "neither the slot nor the bus of %s can be reset", dev->pci.bdf);
		vcdev_hint(err, "a function on the root bus has none; 'vfio-cdev reset %s' resets "
			   "it alone, if it can", dev->pci.bdf);
		return rc;
	case -ENOTTY:
		vcdev_fail(err, rc, "reset, but the link of %s did not come up again", dev->pci.bdf);
		vcdev_hint(err, "remove it and rescan its bus, or switch the machine off and on");
		return rc;
	case -EINVAL:
		vcdev_fail(err, rc, "the context does not own all that a reset of %s takes along",
			   dev->pci.bdf);
		vcdev_hint(err, "vfio-cdev reset --hot --dry-run %s shows what that is",
			   dev->pci.bdf);
		return rc;
	case -EAGAIN:
	case -EBUSY:
		vcdev_fail(err, rc, "cannot reset what is on the bus of %s: a device is in use "
			   "at this moment", dev->pci.bdf);
		vcdev_hint(err, "try again");
		return rc;
	default:
		return vcdev_fail(err, rc, "cannot reset what is on the bus of %s: %s",
				  dev->pci.bdf, strerror(-rc));
	}
}

ssize_t vcdev_dev_reset_set(struct vcdev_dev *dev, struct vcdev_reset_function **list,
			    bool *is_owned, struct vcdev_error *err)
{
	struct vfio_pci_hot_reset_info *info, *grown;
	struct vcdev_reset_function *found;
	uint32_t room = 8, i;
	int rc;

	info = NULL;
	/* How many there are may change between two calls. */
	for (;;) {
		size_t size = sizeof(*info) + room * sizeof(info->devices[0]);

		grown = realloc(info, size);
		if (!grown) {
			free(info);
			return vcdev_fail(err, -ENOMEM, "out of memory");
		}
		info = grown;
		memset(info, 0, size);
		info->argsz = size;
		rc = vcdev_ioctl(dev->fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
		if (rc != -ENOSPC || info->count <= room || info->count > 4096)
			break;
		room = info->count;
	}
	if (rc) {
		free(info);
		return fail_reset(dev, rc, err);
	}
	found = calloc(info->count ? info->count : 1, sizeof(*found));
	if (!found) {
		free(info);
		return vcdev_fail(err, -ENOMEM, "out of memory");
	}
	for (i = 0; i < info->count; i++) {
		const struct vfio_pci_dependent_device *entry = &info->devices[i];
		bool has_id = info->flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID;

		snprintf(found[i].bdf, sizeof(found[i].bdf), "%04x:%02x:%02x.%x", entry->segment,
			 entry->bus, entry->devfn >> 3, entry->devfn & 7);
		found[i].is_owned = has_id && entry->devid != (uint32_t)VFIO_PCI_DEVID_NOT_OWNED;
		found[i].id = found[i].is_owned ? entry->devid : 0;
	}
	*is_owned = info->flags & VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	i = info->count;
	free(info);
	if (!i) {
		free(found);
		found = NULL;
	}
	*list = found;
	return i;
}

int vcdev_dev_reset_hot(struct vcdev_dev *dev, struct vcdev_error *err)
{
	struct vfio_pci_hot_reset arg = { .argsz = sizeof(arg) };
	int rc, tries;

	/* A device's lock that somebody holds for a moment is no reason to give up. */
	for (tries = 0; tries < 5; tries++) {
		rc = vcdev_ioctl(dev->fd, VFIO_DEVICE_PCI_HOT_RESET, &arg);
		if (rc != -EAGAIN && rc != -EBUSY)
			break;
	}
	return rc ? fail_reset(dev, rc, err) : 0;
}
