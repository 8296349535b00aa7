/* SPDX-License-Identifier: GPL-2.0 */
/* The insides of contexts and devices, shared by the files on them. */
#ifndef VFIO_CDEV_DEVICE_H
#define VFIO_CDEV_DEVICE_H

#include "internal.h"

/* @fd: of /dev/iommu or /dev/vfio/vfio, owned; does not change */
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
 * @fd: of the cdev or from the group, owned
 * @group_fd: of the group that it came from, owned; -1 if it did not
 * @pci: sysfs at the time of open
 * @host: system
 * @id: in its context, from vcdev_dev_bind() on
 * @info: from vcdev_dev_init() on
 * @places: one for each region from vcdev_dev_init() on, NULL before
 */
struct vcdev_dev {
	int fd, group_fd;
	struct vcdev_pci pci;
	struct vcdev_host host;
	uint32_t id;
	struct vcdev_dev_info info;
	struct vcdev_place *places;
};

/* ioctl() that returns a negative errno and survives signals. */
int vcdev_ioctl(int fd, unsigned long request, void *arg);
/*
 * passed.c: a file of the context or the device that this process was started with.
 * Its number, -ENOENT if there is none (left), or another negative errno.
 */
int vcdev_passed_ctx(const struct vcdev_host *host, struct vcdev_error *err);
int vcdev_passed_dev(const struct vcdev_host *host, const struct vcdev_pci *pci,
		     struct vcdev_error *err);
/* Open @file as a context. */
int vcdev_ctx_open_file(const struct vcdev_host *host, const char *file,
			struct vcdev_ctx **ctx, struct vcdev_error *err);
/* What a device says about itself once it is bound. */
int vcdev_dev_init(struct vcdev_dev *dev, struct vcdev_error *err);
int vcdev_places_init(struct vcdev_dev *dev, struct vcdev_error *err);

#endif
