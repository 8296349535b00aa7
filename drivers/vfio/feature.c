// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO_DEVICE_FEATURE: one ioctl for everything that is optional.
 *
 * Features that the core makes out of the driver's mig_ops and log_ops are in
 * a table here; every other one is the driver's, by ops->device_feature().
 */
#include <linux/uaccess.h>

#include "vfio.h"

typedef int (*feature_fn)(struct vfio_device *vdev, u32 flags,
			  void __user *uarg, size_t size);

static const struct {
	u32 number;
	feature_fn fn;
} core_features[] = {
	{ VFIO_DEVICE_FEATURE_MIGRATION,	  vfio_migration_feature },
	{ VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,	  vfio_migration_state_feature },
	{ VFIO_DEVICE_FEATURE_DMA_LOGGING_START,  vfio_logging_start },
	{ VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP,	  vfio_logging_stop },
	{ VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT, vfio_logging_report },
};

static feature_fn feature_find(struct vfio_device *vdev, u32 number)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(core_features); i++)
		if (core_features[i].number == number)
			return core_features[i].fn;
	return vdev->ops->device_feature;
}

/* PROBE goes with any of GET and SET, also with both; the others go alone. */
static bool feature_flags_valid(u32 flags)
{
	const u32 get_set = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;

	if (flags & ~(VFIO_DEVICE_FEATURE_MASK | get_set |
		      VFIO_DEVICE_FEATURE_PROBE))
		return false;
	if (flags & VFIO_DEVICE_FEATURE_PROBE)
		return true;
	return (flags & get_set) != get_set;
}

/**
 * vfio_feature_ioctl - VFIO_DEVICE_FEATURE
 * @vdev: device that the caller holds open
 * @uarg: the user's argument, data of the feature behind it
 *
 * Return: 0 or more; -EINVAL for a bad argument; -ENOTTY for a feature that
 * the device has not.
 */
int vfio_feature_ioctl(struct vfio_device *vdev,
		       struct vfio_device_feature __user *uarg)
{
	struct vfio_device_feature arg;
	feature_fn fn;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (arg.argsz < sizeof(arg) || !feature_flags_valid(arg.flags))
		return -EINVAL;

	fn = feature_find(vdev, arg.flags & VFIO_DEVICE_FEATURE_MASK);
	if (!fn)
		return -ENOTTY;
	return fn(vdev, arg.flags, uarg->data, arg.argsz - sizeof(arg));
}
