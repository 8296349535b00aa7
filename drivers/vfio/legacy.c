// SPDX-License-Identifier: GPL-2.0
/*
 * The part of the stock interface that stands on groups and containers, or on
 * a driver that reaches user memory through the core. There is no such thing
 * yet, and these say so.
 *
 * Nobody depends on a yes: KVM and the hot reset of vfio-pci ask first whether
 * a file is a group and give EINVAL to their user when it is not; the three
 * that a device with emulated IOMMU calls are out of reach, as BIND refuses
 * such a device.
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
 * vfio_pin_pages - pin user memory for a device with emulated IOMMU
 * @vdev: device
 * @iova: where, in the device's I/O address space
 * @npage: how many pages
 * @prot: IOMMU_READ, IOMMU_WRITE
 * @pages: where to store the pages
 *
 * Return: -EOPNOTSUPP.
 */
int vfio_pin_pages(struct vfio_device *vdev, dma_addr_t iova, int npage,
		   int prot, struct page **pages)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL(vfio_pin_pages);

/**
 * vfio_unpin_pages - end of vfio_pin_pages(), which never succeeds
 * @vdev: device
 * @iova: as for vfio_pin_pages()
 * @npage: as for vfio_pin_pages()
 */
void vfio_unpin_pages(struct vfio_device *vdev, dma_addr_t iova, int npage)
{
}
EXPORT_SYMBOL(vfio_unpin_pages);

/**
 * vfio_dma_rw - access user memory for a device with emulated IOMMU
 * @vdev: device
 * @iova: where, in the device's I/O address space
 * @data: the driver's buffer
 * @len: how many bytes
 * @write: from @data to user memory
 *
 * Return: -EOPNOTSUPP.
 */
int vfio_dma_rw(struct vfio_device *vdev, dma_addr_t iova, void *data,
		size_t len, bool write)
{
	return -EOPNOTSUPP;
}
EXPORT_SYMBOL(vfio_dma_rw);

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
