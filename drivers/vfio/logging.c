// SPDX-License-Identifier: GPL-2.0
/*
 * DMA logging: features by which a device reports which memory it wrote to.
 * The log is the driver's, log_ops; here are the checks of what the user
 * passes and its transformation into what the driver takes: ranges as an
 * interval tree, the bitmap as an iova_bitmap.
 *
 * Ranges are given as start and length, in 64 bits; their end is computed
 * with overflow checked, and must not be beyond the last IOVA.
 */
#include <linux/interval_tree.h>
#include <linux/iova_bitmap.h>
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vfio.h"

/* The user's array of ranges is not more than a page. */
#define LOGGING_MAX_RANGES	\
	(PAGE_SIZE / sizeof(struct vfio_device_feature_dma_logging_range))

static int logging_get_range(struct interval_tree_node *node, u64 page_size,
			     struct vfio_device_feature_dma_logging_range __user *urange)
{
	struct vfio_device_feature_dma_logging_range range;
	u64 end;

	if (copy_from_user(&range, urange, sizeof(range)))
		return -EFAULT;
	if (!range.length || !IS_ALIGNED(range.iova | range.length, page_size))
		return -EINVAL;
	if (check_add_overflow(range.iova, range.length, &end))
		return -EOVERFLOW;

	node->start = range.iova;
	node->last = end - 1;
	return 0;
}

static int logging_get_ranges(struct interval_tree_node *nodes,
			      struct rb_root_cached *root,
			      const struct vfio_device_feature_dma_logging_control *arg)
{
	struct vfio_device_feature_dma_logging_range __user *uranges =
		u64_to_user_ptr(arg->ranges);
	u32 i;
	int rc;

	for (i = 0; i < arg->num_ranges; i++) {
		struct interval_tree_node *node = &nodes[i];

		rc = logging_get_range(node, arg->page_size, &uranges[i]);
		if (rc)
			return rc;
		if (interval_tree_iter_first(root, node->start, node->last))
			return -EINVAL;
		interval_tree_insert(node, root);
	}
	return 0;
}

/**
 * vfio_logging_start - VFIO_DEVICE_FEATURE_DMA_LOGGING_START
 * @vdev: device
 * @flags: of the ioctl
 * @uarg: the feature's data
 * @size: of @uarg
 *
 * Return: 0; -ENOTTY when the device keeps no log; -EINVAL, -E2BIG, -EOVERFLOW
 * for ranges that make no sense, too many of them, or beyond the last IOVA;
 * -EFAULT; -ENOMEM; or as the driver.
 */
int vfio_logging_start(struct vfio_device *vdev, u32 flags, void __user *uarg,
		       size_t size)
{
	struct vfio_device_feature_dma_logging_control arg;
	struct rb_root_cached root = RB_ROOT_CACHED;
	struct interval_tree_node *nodes;
	int rc;

	if (!vdev->log_ops)
		return -ENOTTY;

	rc = vfio_check_feature(flags, size, VFIO_DEVICE_FEATURE_SET,
				sizeof(arg));
	if (rc != 1)
		return rc;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (!arg.num_ranges || !is_power_of_2(arg.page_size))
		return -EINVAL;
	if (arg.num_ranges > LOGGING_MAX_RANGES)
		return -E2BIG;

	nodes = kcalloc(arg.num_ranges, sizeof(*nodes), GFP_KERNEL_ACCOUNT);
	if (!nodes)
		return -ENOMEM;

	rc = logging_get_ranges(nodes, &root, &arg);
	if (rc)
		goto out_nodes;

	/* The driver may choose another page size. */
	rc = vdev->log_ops->log_start(vdev, &root, arg.num_ranges,
				      &arg.page_size);
	if (rc)
		goto out_nodes;

	if (copy_to_user(uarg, &arg, sizeof(arg))) {
		vdev->log_ops->log_stop(vdev);
		rc = -EFAULT;
	}

out_nodes:
	kfree(nodes);
	return rc;
}

/**
 * vfio_logging_stop - VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP
 * @vdev: device
 * @flags: of the ioctl
 * @uarg: not used
 * @size: of @uarg
 *
 * Return: 0; -ENOTTY when the device keeps no log; -EINVAL; or as the driver.
 */
int vfio_logging_stop(struct vfio_device *vdev, u32 flags, void __user *uarg,
		      size_t size)
{
	int rc;

	if (!vdev->log_ops)
		return -ENOTTY;

	rc = vfio_check_feature(flags, size, VFIO_DEVICE_FEATURE_SET, 0);
	if (rc != 1)
		return rc;

	return vdev->log_ops->log_stop(vdev);
}

static int logging_report_window(struct iova_bitmap *bitmap, unsigned long iova,
				 size_t length, void *opaque)
{
	struct vfio_device *vdev = opaque;

	return vdev->log_ops->log_read_and_clear(vdev, iova, length, bitmap);
}

/**
 * vfio_logging_report - VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT
 * @vdev: device
 * @flags: of the ioctl
 * @uarg: the feature's data
 * @size: of @uarg
 *
 * Return: 0; -ENOTTY when the device keeps no log; -EINVAL, -EOVERFLOW for a
 * range that makes no sense or is beyond the last IOVA; -EFAULT; -ENOMEM;
 * -EINTR; or as the driver.
 */
int vfio_logging_report(struct vfio_device *vdev, u32 flags, void __user *uarg,
			size_t size)
{
	struct vfio_device_feature_dma_logging_report arg;
	struct iova_bitmap *bitmap;
	u64 end;
	int rc;

	if (!vdev->log_ops)
		return -ENOTTY;

	rc = vfio_check_feature(flags, size, VFIO_DEVICE_FEATURE_GET,
				sizeof(arg));
	if (rc != 1)
		return rc;

	if (copy_from_user(&arg, uarg, sizeof(arg)))
		return -EFAULT;
	if (!arg.length || arg.page_size < SZ_4K ||
	    !is_power_of_2(arg.page_size))
		return -EINVAL;
	if (check_add_overflow(arg.iova, arg.length, &end))
		return -EOVERFLOW;

	bitmap = iova_bitmap_alloc(arg.iova, arg.length, arg.page_size,
				   u64_to_user_ptr(arg.bitmap));
	if (IS_ERR(bitmap))
		return PTR_ERR(bitmap);

	rc = iova_bitmap_for_each(bitmap, vdev, logging_report_window);
	iova_bitmap_free(bitmap);
	return rc;
}
