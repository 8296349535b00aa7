// SPDX-License-Identifier: GPL-2.0
/*
 * Containers: contexts whose devices come through groups.
 *
 * A container is a context. Opened as /dev/vfio/vfio (a node) it begins without
 * an address space, gets one with its first group and loses it, and all that is
 * mapped in it, with its last one. A program may as well hand an open /dev/iommu to
 * its groups: then IOMMU_VFIO_IOAS tells which address space is meant, and nothing
 * goes by itself.
 *
 * The ioctls of type1, on either kind of file, are in type1.c.
 */
#include <linux/err.h>
#include <linux/export.h>
#include <linux/iommufd.h>

#include "container.h"
#include "ioas.h"
#include "object.h"

static bool noiommu_allowed;

void container_init(struct iommufd_ctx *ictx, bool node)
{
	mutex_init(&ictx->container.lock);
	ictx->container.node = node;
	if (node)
		ictx->charge_process = true;
}

/* A node has lost its last group: back to where it began. */
static void container_reset(struct iommufd_ctx *ictx)
{
	struct container *container = &ictx->container;
	struct ioas *ioas = container->ioas;

	WRITE_ONCE(container->noiommu, false);
	WRITE_ONCE(container->type, 0);
	container->ioas = NULL;
	if (ioas) {
		cmpxchg(&ictx->vfio_ioas_id, ioas->obj.id, 0);
		iommufd_object_let_go(ictx, &ioas->obj);
	}
}

void container_exit(struct iommufd_ctx *ictx)
{
	WARN_ON(ictx->container.nr_groups);
	container_reset(ictx);
}

void iommufd_container_allow_noiommu(bool allow)
{
	WRITE_ONCE(noiommu_allowed, allow);
}
EXPORT_SYMBOL_GPL(iommufd_container_allow_noiommu);

/* See to it that there is an address space. */
static int container_get_ioas(struct iommufd_ctx *ictx, u32 *ioas_id)
{
	struct container *container = &ictx->container;
	struct ioas *ioas;

	*ioas_id = READ_ONCE(ictx->vfio_ioas_id);
	if (*ioas_id)
		return 0;
	ioas = ioas_create(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	*ioas_id = ioas->obj.id;
	/* Once it is published anybody may destroy it, and that forgets the choice. */
	WRITE_ONCE(ictx->vfio_ioas_id, *ioas_id);
	if (container->node) {
		container->ioas = ioas;
		iommufd_object_publish_owned(ictx, &ioas->obj);
	} else {
		iommufd_object_publish(ictx, &ioas->obj);
	}
	return 0;
}

int iommufd_container_join(struct iommufd_ctx *ictx, bool noiommu, u32 *ioas_id)
{
	struct container *container = &ictx->container;
	int rc = 0;

	mutex_lock(&container->lock);
	*ioas_id = 0;
	if (noiommu && !container->node)
		rc = -EINVAL;
	else if (container->nr_groups && container->noiommu != noiommu)
		rc = -EPERM;
	else if (!noiommu)
		rc = container_get_ioas(ictx, ioas_id);
	if (!rc) {
		WRITE_ONCE(container->noiommu, noiommu);
		WRITE_ONCE(container->nr_groups, container->nr_groups + 1);
	}
	mutex_unlock(&container->lock);
	return rc;
}
EXPORT_SYMBOL_GPL(iommufd_container_join);

void iommufd_container_leave(struct iommufd_ctx *ictx)
{
	struct container *container = &ictx->container;

	mutex_lock(&container->lock);
	WRITE_ONCE(container->nr_groups, container->nr_groups - 1);
	if (!container->nr_groups && container->node)
		container_reset(ictx);
	mutex_unlock(&container->lock);
}
EXPORT_SYMBOL_GPL(iommufd_container_leave);

bool iommufd_container_is_set_up(struct iommufd_ctx *ictx)
{
	return !ictx->container.node || READ_ONCE(ictx->container.type);
}
EXPORT_SYMBOL_GPL(iommufd_container_is_set_up);

bool container_allows_noiommu(void)
{
	return READ_ONCE(noiommu_allowed);
}
