// SPDX-License-Identifier: GPL-2.0
/*
 * IOMMU_OPTION: settings of a context and of an IOAS; and IOMMU_VFIO_IOAS, the
 * choice of the IOAS that the legacy container's ioctls act on.
 */
#include <linux/capability.h>
#include <linux/err.h>
#include <uapi/linux/iommufd.h>

#include "ioas.h"
#include "ioctl.h"
#include "object.h"
#include "option.h"

/*
 * Whose limit counts: 0, of the user; 1, of the process. Spans remember what
 * they were charged to, so it can only change while the context is empty.
 */
static int option_rlimit_mode(struct iommufd_ctx *ictx,
			      struct iommu_option *cmd)
{
	int rc = 0;

	if (cmd->object_id)
		return reason_flags(ictx, "object_id", cmd->object_id);
	if (cmd->op == IOMMU_OPTION_OP_GET) {
		cmd->val64 = READ_ONCE(ictx->charge_process);
		return 0;
	}
	if (cmd->val64 > 1)
		return reason_set(ictx, -EINVAL, "val64 is %llu, not 0 or 1",
				  cmd->val64);
	if (!capable(CAP_SYS_RESOURCE))
		return reason_set(ictx, -EPERM, "needs CAP_SYS_RESOURCE");
	xa_lock(&ictx->objects);
	if (xa_empty(&ictx->objects))
		WRITE_ONCE(ictx->charge_process, cmd->val64);
	else
		rc = reason_set(ictx, -EBUSY,
				"the context has objects: set the mode first");
	xa_unlock(&ictx->objects);
	return rc;
}

static int option_huge_pages(struct iommufd_ctx *ictx, struct iommu_option *cmd)
{
	struct iommufd_object *obj;
	struct ioas *ioas;
	int rc;

	if (cmd->op == IOMMU_OPTION_OP_SET && cmd->val64 > 1)
		return reason_set(ictx, -EINVAL, "val64 is %llu, not 0 or 1",
				  cmd->val64);
	obj = iommufd_object_use(ictx, cmd->object_id, IOMMUFD_OBJECT_IOAS);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	ioas = container_of(obj, struct ioas, obj);
	if (cmd->op == IOMMU_OPTION_OP_GET) {
		cmd->val64 = !READ_ONCE(ioas->small_pages);
		rc = 0;
	} else {
		rc = ioas_set_small_pages(ioas, !cmd->val64);
	}
	iommufd_object_unuse(ictx, obj);
	return rc;
}

int option_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_option *cmd = ucmd->cmd;
	int rc;

	if (cmd->__reserved)
		return reason_flags(ucmd->ictx, "__reserved", cmd->__reserved);
	if (cmd->op != IOMMU_OPTION_OP_GET && cmd->op != IOMMU_OPTION_OP_SET)
		return reason_flags(ucmd->ictx, "op", cmd->op);
	switch (cmd->option_id) {
	case IOMMU_OPTION_RLIMIT_MODE:
		rc = option_rlimit_mode(ucmd->ictx, cmd);
		break;
	case IOMMU_OPTION_HUGE_PAGES:
		rc = option_huge_pages(ucmd->ictx, cmd);
		break;
	default:
		return reason_flags(ucmd->ictx, "option_id", cmd->option_id);
	}
	if (!rc && cmd->op == IOMMU_OPTION_OP_GET)
		rc = iommufd_ucmd_respond(ucmd);
	return rc;
}

/* The choice goes when its IOAS does, see ioas_destroy(). */
int vfio_ioas_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_vfio_ioas *cmd = ucmd->cmd;
	struct iommufd_ctx *ictx = ucmd->ictx;
	struct iommufd_object *obj;

	if (cmd->__reserved)
		return reason_flags(ictx, "__reserved", cmd->__reserved);
	switch (cmd->op) {
	case IOMMU_VFIO_IOAS_GET:
		cmd->ioas_id = READ_ONCE(ictx->vfio_ioas_id);
		if (!cmd->ioas_id)
			return reason_set(ictx, -ENODEV,
					  "no IOAS was chosen for the legacy ioctls");
		return iommufd_ucmd_respond(ucmd);
	case IOMMU_VFIO_IOAS_SET:
		/* Used until it is noted, so that its end cannot be missed. */
		obj = iommufd_object_use(ictx, cmd->ioas_id,
					 IOMMUFD_OBJECT_IOAS);
		if (IS_ERR(obj))
			return PTR_ERR(obj);
		WRITE_ONCE(ictx->vfio_ioas_id, cmd->ioas_id);
		iommufd_object_unuse(ictx, obj);
		return 0;
	case IOMMU_VFIO_IOAS_CLEAR:
		WRITE_ONCE(ictx->vfio_ioas_id, 0);
		return 0;
	default:
		return reason_flags(ictx, "op", cmd->op);
	}
}
