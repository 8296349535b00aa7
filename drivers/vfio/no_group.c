// SPDX-License-Identifier: GPL-2.0
/*
 * Instead of group.c, for VFIO_GROUP=n: no files of groups, so nothing that excludes
 * them, and no no-IOMMU mode. The rest of the core asks the same questions.
 *
 * The function that drivers ask about a group's file stays: the stock module has it.
 */
#include <linux/iommu.h>
#include <linux/module.h>

#include "vfio.h"

/**
 * vfio_group_join - a device is about to be registered
 * @node: node of the device
 *
 * Return: 0; -EINVAL when the device has no IOMMU and needs one.
 */
int vfio_group_join(struct vfio_node *node)
{
	struct iommu_group *iommu_group;

	if (node->emulated)
		return 0;
	iommu_group = iommu_group_get(node->vdev->dev);
	if (!iommu_group)
		return -EINVAL;
	iommu_group_put(iommu_group);
	return 0;
}

/**
 * vfio_group_leave - end of vfio_group_join()
 * @node: node of a device that nobody uses
 */
void vfio_group_leave(struct vfio_node *node)
{
}

/**
 * vfio_group_enter_cdev - a device is about to be used through its own file
 * @node: registered
 *
 * Return: 0.
 */
int vfio_group_enter_cdev(struct vfio_node *node)
{
	return 0;
}

/**
 * vfio_group_leave_cdev - end of vfio_group_enter_cdev()
 * @node: registered
 */
void vfio_group_leave_cdev(struct vfio_node *node)
{
}

/**
 * vfio_group_from_file - the group behind a group file
 * @file: any file
 *
 * Return: NULL.
 */
struct vfio_group *vfio_group_from_file(struct file *file)
{
	return NULL;
}

/**
 * vfio_group_kvm - where the group keeps its VM
 * @group: there is none
 *
 * Return: NULL.
 */
struct vfio_kvm *vfio_group_kvm(struct vfio_group *group)
{
	return NULL;
}

/**
 * vfio_group_promise_coherency - from now on let DMA be coherent or be none
 * @group: there is none
 *
 * Return: false.
 */
bool vfio_group_promise_coherency(struct vfio_group *group)
{
	return false;
}

/**
 * vfio_file_iommu_group - the IOMMU group behind a group file
 * @file: any file
 *
 * Return: NULL.
 */
struct iommu_group *vfio_file_iommu_group(struct file *file)
{
	return NULL;
}
EXPORT_SYMBOL_GPL(vfio_file_iommu_group);

/**
 * vfio_group_init - get numbers for groups
 *
 * Return: 0.
 */
int __init vfio_group_init(void)
{
	return 0;
}

/**
 * vfio_group_exit - end of vfio_group_init()
 */
void vfio_group_exit(void)
{
}
