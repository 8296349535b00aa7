// SPDX-License-Identifier: GPL-2.0
/* IOMMU_GET_HW_INFO: what the IOMMU that serves a device says of itself. */
#include <linux/err.h>
#include <linux/minmax.h>
#include <linux/sched/signal.h>
#include <linux/uaccess.h>
#include <uapi/linux/iommufd.h>

#include "device.h"
#include "hw_info.h"
#include "ioctl.h"
#include "iommu_core.h"
#include "object.h"

/* The caller's buffer may be of any size. */
static int clear_rest(void __user *ubuffer, u32 length)
{
	u32 part;

	for (; length; length -= part, ubuffer += part) {
		part = min_t(u32, length, PAGE_SIZE);
		if (clear_user(ubuffer, part))
			return -EFAULT;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

int hw_info_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_hw_info *cmd = ucmd->cmd;
	void __user *ubuffer = u64_to_user_ptr(cmd->data_uptr);
	struct core_hw_info info = {};
	struct iommufd_object *obj;
	u32 length;
	int rc;

	if (cmd->flags)
		return reason_flags(ucmd->ictx, "flags", cmd->flags);
	if (cmd->__reserved)
		return reason_flags(ucmd->ictx, "__reserved", cmd->__reserved);
	obj = iommufd_object_visit(ucmd->ictx, cmd->dev_id,
				   IOMMUFD_OBJECT_DEVICE);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	core_hw_info(container_of(obj, struct iommufd_device, obj)->dev, &info);
	iommufd_object_leave(ucmd->ictx, obj);

	length = min(cmd->data_len, info.length);
	if (copy_to_user(ubuffer, &info.data, length))
		return -EFAULT;
	rc = clear_rest(ubuffer + length, cmd->data_len - length);
	if (rc)
		return rc;
	cmd->data_len = info.length;
	cmd->out_data_type = info.type;
	return iommufd_ucmd_respond(ucmd);
}
