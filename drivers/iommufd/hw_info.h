/* SPDX-License-Identifier: GPL-2.0 */
/* What an IOMMU says of itself. */
#ifndef IOMMUFD_HW_INFO_H
#define IOMMUFD_HW_INFO_H

struct iommufd_ucmd;

int hw_info_ioctl(struct iommufd_ucmd *ucmd);

#endif
