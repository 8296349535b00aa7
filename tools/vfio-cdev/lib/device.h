/* SPDX-License-Identifier: GPL-2.0 */
/* The insides of contexts and devices, shared by the files on them. */
#ifndef VFIO_CDEV_DEVICE_H
#define VFIO_CDEV_DEVICE_H

#include "internal.h"

/* @fd: of /dev/iommu, owned; does not change */
struct vcdev_ctx {
	int fd;
};

/**
 * struct vcdev_place - where a region is in the device file; never changes
 * @size: bytes, 0 for none
 * @offset: in the file
 */
struct vcdev_place {
	uint64_t size, offset;
};

/**
 * struct vcdev_dev - an open device
 * @fd: of the cdev, owned
 * @pci: sysfs at the time of open
 * @host: system
 * @info: from vcdev_dev_bind() on
 * @places: one for each region from vcdev_dev_bind() on, NULL before
 */
struct vcdev_dev {
	int fd;
	struct vcdev_pci pci;
	struct vcdev_host host;
	struct vcdev_dev_info info;
	struct vcdev_place *places;
};

/* ioctl() that returns a negative errno and survives signals. */
int vcdev_ioctl(int fd, unsigned long request, void *arg);
int vcdev_places_init(struct vcdev_dev *dev, struct vcdev_error *err);

#endif
