// SPDX-License-Identifier: GPL-2.0
/*
 * What the stock interface has and we have no use for.
 */
#include <linux/module.h>

#include "vfio.h"

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
