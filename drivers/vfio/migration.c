// SPDX-License-Identifier: GPL-2.0
/*
 * Migration: which state a device goes through next, and the two features by
 * which userspace sees and sets the state. The work is the driver's, mig_ops.
 *
 * The states that a 6.1 driver can have are a tree with STOP as its root:
 *
 *	STOP -+- STOP_COPY
 *	      +- RESUMING
 *	      +- RUNNING_P2P --- RUNNING
 *
 * Each edge is an arc in both directions. The way from one state to another is
 * the way in the tree: up until the target lies below, then down. A state that
 * the driver has not is passed over, as if its two neighbours were joined:
 * without P2P, RUNNING is joined to STOP. Each step comes nearer to the
 * target, so the walk ends. Nothing leads into or out of ERROR here. Later
 * kernels' states (pre-copy) are in our uapi header, but no 6.1 driver can
 * have set a flag for them.
 */
#include <linux/file.h>
#include <linux/nospec.h>
#include <linux/uaccess.h>

#include "vfio.h"

static const u8 parent_state[] = {
	[VFIO_DEVICE_STATE_STOP]	= VFIO_DEVICE_STATE_STOP,
	[VFIO_DEVICE_STATE_STOP_COPY]	= VFIO_DEVICE_STATE_STOP,
	[VFIO_DEVICE_STATE_RESUMING]	= VFIO_DEVICE_STATE_STOP,
	[VFIO_DEVICE_STATE_RUNNING_P2P]	= VFIO_DEVICE_STATE_STOP,
	[VFIO_DEVICE_STATE_RUNNING]	= VFIO_DEVICE_STATE_RUNNING_P2P,
};

static bool has_state(struct vfio_device *vdev, unsigned int state)
{
	u64 need = VFIO_MIGRATION_STOP_COPY;

	if (state == VFIO_DEVICE_STATE_ERROR || state >= ARRAY_SIZE(parent_state))
		return false;
	if (state == VFIO_DEVICE_STATE_RUNNING_P2P)
		need |= VFIO_MIGRATION_P2P;
	return (vdev->migration_flags & need) == need;
}

/* One edge of the tree, from @state towards @target. */
static unsigned int step_towards(unsigned int state, unsigned int target)
{
	unsigned int below = target;

	while (below != VFIO_DEVICE_STATE_STOP) {
		if (parent_state[below] == state)
			return below;
		below = parent_state[below];
	}
	return parent_state[state];
}

/**
 * vfio_mig_get_next_state - the next arc on the way to a state
 * @vdev: device
 * @cur_fsm: state that the device is in
 * @new_fsm: state that it shall come to, as the user gave it
 * @next_fsm: set to the state to go to now; @cur_fsm when it is there
 *
 * For a driver to call until it has arrived.
 *
 * Return: 0, or -EINVAL when there is no way or no such state.
 */
int vfio_mig_get_next_state(struct vfio_device *vdev,
			    enum vfio_device_mig_state cur_fsm,
			    enum vfio_device_mig_state new_fsm,
			    enum vfio_device_mig_state *next_fsm)
{
	unsigned int state = cur_fsm;

	if (!has_state(vdev, cur_fsm) || !has_state(vdev, new_fsm))
		return -EINVAL;

	/* The user's number, which only the check above has made one of a state. */
	new_fsm = array_index_nospec(new_fsm, ARRAY_SIZE(parent_state));
	if (cur_fsm != new_fsm)
		do
			state = step_towards(state, new_fsm);
		while (!has_state(vdev, state));

	*next_fsm = state;
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_mig_get_next_state);

/**
 * vfio_migration_feature - VFIO_DEVICE_FEATURE_MIGRATION
 * @vdev: device
 * @flags: of the ioctl
 * @uarg: the feature's data
 * @size: of @uarg
 *
 * Return: 0; -ENOTTY when the device cannot migrate; -EINVAL; -EFAULT.
 */
int vfio_migration_feature(struct vfio_device *vdev, u32 flags,
			   void __user *uarg, size_t size)
{
	struct vfio_device_feature_migration data = {};
	int rc;

	if (!vdev->mig_ops)
		return -ENOTTY;

	rc = vfio_check_feature(flags, size, VFIO_DEVICE_FEATURE_GET,
				sizeof(data));
	if (rc != 1)
		return rc;

	data.flags = vdev->migration_flags;
	return copy_to_user(uarg, &data, sizeof(data)) ? -EFAULT : 0;
}

static int migration_get_state(struct vfio_device *vdev,
			       struct vfio_device_feature_mig_state __user *uarg)
{
	struct vfio_device_feature_mig_state data = { .data_fd = -1 };
	enum vfio_device_mig_state state;
	int rc;

	rc = vdev->mig_ops->migration_get_state(vdev, &state);
	if (rc)
		return rc;

	data.device_state = state;
	return copy_to_user(uarg, &data, sizeof(data)) ? -EFAULT : 0;
}

/* Give a file to the user, by a descriptor that is known before it works. */
static int migration_install_file(struct file *file, s32 __user *ufd)
{
	int fd, rc;

	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0) {
		rc = fd;
		goto err_file;
	}
	if (put_user(fd, ufd)) {
		rc = -EFAULT;
		goto err_fd;
	}
	fd_install(fd, file);
	return 0;

err_fd:
	put_unused_fd(fd);
err_file:
	fput(file);
	return rc;
}

static int migration_set_state(struct vfio_device *vdev,
			       struct vfio_device_feature_mig_state __user *uarg)
{
	struct file *file;
	u32 state;
	int rc;

	if (get_user(state, &uarg->device_state))
		return -EFAULT;

	file = vdev->mig_ops->migration_set_state(vdev, state);
	if (!IS_ERR_OR_NULL(file))
		return migration_install_file(file, &uarg->data_fd);

	/* Also when the driver refused, as the stock core does. */
	rc = put_user(-1, &uarg->data_fd);
	return IS_ERR(file) ? PTR_ERR(file) : rc;
}

/**
 * vfio_migration_state_feature - VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE
 * @vdev: device
 * @flags: of the ioctl
 * @uarg: the feature's data
 * @size: of @uarg
 *
 * Return: 0; -ENOTTY when the device cannot migrate; -EINVAL; -EFAULT; -EMFILE
 * when there is no descriptor left; or as the driver.
 */
int vfio_migration_state_feature(struct vfio_device *vdev, u32 flags,
				 void __user *uarg, size_t size)
{
	int rc;

	if (!vdev->mig_ops)
		return -ENOTTY;

	rc = vfio_check_feature(flags, size,
				VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET,
				sizeof(struct vfio_device_feature_mig_state));
	if (rc != 1)
		return rc;

	if (flags & VFIO_DEVICE_FEATURE_GET)
		return migration_get_state(vdev, uarg);
	return migration_set_state(vdev, uarg);
}
