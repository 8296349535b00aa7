// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of later kernels that need what no IOMMU driver of 6.1 offers:
 * dirty tracking, page faults, tables and queues of guests.
 *
 * A program that asks finds out in the order that all ioctls share: flags and
 * reserved fields, values, IDs, and only then that the hardware is not served
 * (EOPNOTSUPP). So it gets the errno for its own mistakes that a kernel with
 * such drivers would give, and nothing that a pointer in the struct leads to is
 * touched. Where an ID has to be that of a virtual IOMMU, of which there are
 * none, any ID in use counts as one.
 */
#include <linux/log2.h>
#include <uapi/linux/iommufd.h>

#include "ioctl.h"
#include "object.h"
#include "unsupported.h"

/* 0, or -ENOENT. Nothing is done with the object, so nothing holds it. */
static int check_id(struct iommufd_ucmd *ucmd, u32 id,
		    enum iommufd_object_type type)
{
	return iommufd_object_check(ucmd->ictx, id, type);
}

int unsupported_set_dirty_tracking(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_set_dirty_tracking *cmd = ucmd->cmd;

	if ((cmd->flags & ~IOMMU_HWPT_DIRTY_TRACKING_ENABLE) || cmd->__reserved)
		return -EOPNOTSUPP;
	return check_id(ucmd, cmd->hwpt_id, IOMMUFD_OBJECT_HWPT) ?:
	       -EOPNOTSUPP;
}

int unsupported_get_dirty_bitmap(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_get_dirty_bitmap *cmd = ucmd->cmd;

	if ((cmd->flags & ~IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR) ||
	    cmd->__reserved)
		return -EOPNOTSUPP;
	if (!cmd->length || !is_power_of_2(cmd->page_size))
		return -EINVAL;
	if (cmd->iova + (cmd->length - 1) < cmd->iova)
		return -EOVERFLOW;
	return check_id(ucmd, cmd->hwpt_id, IOMMUFD_OBJECT_HWPT) ?:
	       -EOPNOTSUPP;
}

int unsupported_invalidate(struct iommufd_ucmd *ucmd)
{
	struct iommu_hwpt_invalidate *cmd = ucmd->cmd;
	int rc;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	if (cmd->entry_num && (!cmd->data_uptr || !cmd->entry_len))
		rc = -EINVAL;
	else
		rc = check_id(ucmd, cmd->hwpt_id, IOMMUFD_OBJECT_HWPT) ?:
		     -EOPNOTSUPP;
	/* Whatever was wrong, the caller reads how many were carried out. */
	cmd->entry_num = 0;
	return iommufd_ucmd_respond(ucmd) ?: rc;
}

int unsupported_fault_queue(struct iommufd_ucmd *ucmd)
{
	return -EOPNOTSUPP;
}

int unsupported_viommu(struct iommufd_ucmd *ucmd)
{
	struct iommu_viommu_alloc *cmd = ucmd->cmd;

	if (cmd->flags || cmd->__reserved ||
	    cmd->type == IOMMU_VIOMMU_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	return check_id(ucmd, cmd->dev_id, IOMMUFD_OBJECT_DEVICE) ?:
	       check_id(ucmd, cmd->hwpt_id, IOMMUFD_OBJECT_HWPT) ?:
	       -EOPNOTSUPP;
}

int unsupported_vdevice(struct iommufd_ucmd *ucmd)
{
	struct iommu_vdevice_alloc *cmd = ucmd->cmd;

	if (cmd->virt_id > U32_MAX)
		return -EINVAL;
	return check_id(ucmd, cmd->viommu_id, IOMMUFD_OBJECT_ANY) ?:
	       check_id(ucmd, cmd->dev_id, IOMMUFD_OBJECT_DEVICE) ?:
	       -EOPNOTSUPP;
}

int unsupported_veventq(struct iommufd_ucmd *ucmd)
{
	struct iommu_veventq_alloc *cmd = ucmd->cmd;

	if (cmd->flags || cmd->__reserved ||
	    cmd->type == IOMMU_VEVENTQ_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->veventq_depth)
		return -EINVAL;
	return check_id(ucmd, cmd->viommu_id, IOMMUFD_OBJECT_ANY) ?:
	       -EOPNOTSUPP;
}

int unsupported_hw_queue(struct iommufd_ucmd *ucmd)
{
	struct iommu_hw_queue_alloc *cmd = ucmd->cmd;

	if (cmd->flags || cmd->type == IOMMU_HW_QUEUE_TYPE_DEFAULT)
		return -EOPNOTSUPP;
	if (!cmd->length)
		return -EINVAL;
	if (cmd->nesting_parent_iova + (cmd->length - 1) <
	    cmd->nesting_parent_iova)
		return -EOVERFLOW;
	return check_id(ucmd, cmd->viommu_id, IOMMUFD_OBJECT_ANY) ?:
	       -EOPNOTSUPP;
}
