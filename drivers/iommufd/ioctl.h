/* SPDX-License-Identifier: GPL-2.0 */
/* One ioctl on its way through a handler. */
#ifndef IOMMUFD_IOCTL_H
#define IOMMUFD_IOCTL_H

#include <linux/types.h>

struct iommufd_ctx;

struct iommufd_ucmd {
	struct iommufd_ctx *ictx;
	void __user *ubuffer;
	u32 user_size;		/* as userspace knows the structure */
	u32 size;		/* as we do */
	void *cmd;		/* the structure, complete */
};

/* Copy the structure back, as much of it as userspace knows. 0 or -EFAULT. */
int iommufd_ucmd_respond(struct iommufd_ucmd *ucmd);

#endif
