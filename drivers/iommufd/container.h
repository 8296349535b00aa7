/* SPDX-License-Identifier: GPL-2.0 */
/* The legacy container: groups in a context, and the ioctls of type1. */
#ifndef IOMMUFD_CONTAINER_H
#define IOMMUFD_CONTAINER_H

#include <linux/errno.h>
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

bool container_allows_noiommu(void);

/* The ioctls of /dev/vfio/vfio; -ENOTTY for others. */
#ifdef CONFIG_IOMMUFD_VFIO_CONTAINER
long container_ioctl(struct iommufd_ctx *ictx, unsigned int cmd,
		     unsigned long arg);
#else
static inline long container_ioctl(struct iommufd_ctx *ictx, unsigned int cmd,
				   unsigned long arg)
{
	return -ENOTTY;
}
#endif

#endif
