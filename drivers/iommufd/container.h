/* SPDX-License-Identifier: GPL-2.0 */
/* The legacy container: type1's ioctls on an address space of a context. */
#ifndef IOMMUFD_CONTAINER_H
#define IOMMUFD_CONTAINER_H

#include <linux/mutex.h>
#include <linux/types.h>

struct ioas;
struct iommufd_ctx;

struct container {
	bool node;			/* opened as /dev/vfio/vfio; constant */
	struct mutex lock;		/* protects the rest */
	bool noiommu;			/* has a group without an IOMMU */
	unsigned int nr_groups;
	unsigned long type;		/* of SET_IOMMU; 0: not yet */
	struct ioas *ioas;		/* made for a node, goes with its groups */
};

void container_init(struct iommufd_ctx *ictx, bool node);

/* The context is closing. */
void container_exit(struct iommufd_ctx *ictx);

/* The ioctls of /dev/vfio/vfio; -ENOTTY for others. */
long container_ioctl(struct iommufd_ctx *ictx, unsigned int cmd,
		     unsigned long arg);

#endif
