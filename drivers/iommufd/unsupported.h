/* SPDX-License-Identifier: GPL-2.0 */
/* The ioctls of later kernels for which 6.1's IOMMU drivers have nothing. */
#ifndef IOMMUFD_UNSUPPORTED_H
#define IOMMUFD_UNSUPPORTED_H

struct iommufd_ucmd;

int unsupported_set_dirty_tracking(struct iommufd_ucmd *ucmd);
int unsupported_get_dirty_bitmap(struct iommufd_ucmd *ucmd);
int unsupported_invalidate(struct iommufd_ucmd *ucmd);
int unsupported_fault_queue(struct iommufd_ucmd *ucmd);
int unsupported_viommu(struct iommufd_ucmd *ucmd);
int unsupported_vdevice(struct iommufd_ucmd *ucmd);
int unsupported_veventq(struct iommufd_ucmd *ucmd);
int unsupported_hw_queue(struct iommufd_ucmd *ucmd);

#endif
