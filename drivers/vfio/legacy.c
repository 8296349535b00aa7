// SPDX-License-Identifier: GPL-2.0
/*
 * The part of the stock interface that stands on groups and containers. There
 * is no such thing yet, and these say so.
 *
 * Nobody depends on a yes: KVM and the hot reset of vfio-pci ask first whether
 * a file is a group and give EINVAL to their user when it is not.
 */
#include <linux/module.h>

#include "vfio.h"

/**
 * vfio_file_is_group - may KVM or a hot reset take this file?
 * @file: any file
 *
 * Return: false.
 */
bool vfio_file_is_group(struct file *file)
{
	return false;
}
EXPORT_SYMBOL_GPL(vfio_file_is_group);

/**
 * vfio_file_iommu_group - the IOMMU group behind a group file
 * @file: any file
 *
 * Return: NULL. Only sPAPR asks.
 */
struct iommu_group *vfio_file_iommu_group(struct file *file)
{
	return NULL;
}
EXPORT_SYMBOL_GPL(vfio_file_iommu_group);

/**
 * vfio_file_enforced_coherent - is DMA coherent whatever the device asks for?
 * @file: any file
 *
 * Return: false: no promise.
 */
bool vfio_file_enforced_coherent(struct file *file)
{
	return false;
}
EXPORT_SYMBOL_GPL(vfio_file_enforced_coherent);

/**
 * vfio_file_set_kvm - tell the devices behind a file about their VM
 * @file: any file
 * @kvm: VM, or NULL to forget it
 */
void vfio_file_set_kvm(struct file *file, struct kvm *kvm)
{
}
EXPORT_SYMBOL_GPL(vfio_file_set_kvm);

/**
 * vfio_file_has_dev - does the holder of a file own a device?
 * @file: any file
 * @vdev: device
 *
 * Return: false.
 */
bool vfio_file_has_dev(struct file *file, struct vfio_device *vdev)
{
	return false;
}
EXPORT_SYMBOL_GPL(vfio_file_has_dev);

/**
 * vfio_register_iommu_driver - vfio_iommu_type1 announces itself
 * @ops: its operations, of a type that is private to the stock core
 *
 * Accepted, so that the module loads where someone's configuration asks for
 * it, and ignored: page tables are iommufd's.
 *
 * Return: 0.
 */
int vfio_register_iommu_driver(const struct vfio_iommu_driver_ops *ops)
{
	pr_info("vfio: an IOMMU driver of the stock core was loaded and is not used\n");
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_register_iommu_driver);

/**
 * vfio_unregister_iommu_driver - end of vfio_register_iommu_driver()
 * @ops: as there
 */
void vfio_unregister_iommu_driver(const struct vfio_iommu_driver_ops *ops)
{
}
EXPORT_SYMBOL_GPL(vfio_unregister_iommu_driver);
