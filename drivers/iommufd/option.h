/* SPDX-License-Identifier: GPL-2.0 */
/* Settings. */
#ifndef IOMMUFD_OPTION_H
#define IOMMUFD_OPTION_H

struct iommufd_ucmd;

int option_ioctl(struct iommufd_ucmd *ucmd);
int vfio_ioas_ioctl(struct iommufd_ucmd *ucmd);

#endif
