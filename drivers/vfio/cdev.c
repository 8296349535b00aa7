// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/vfio/devices/vfioX, and the three ioctls that join it to an iommufd.
 *
 * A file goes from opened to bound, once; bound, it can be attached, moved and
 * detached any number of times. Until it is bound it answers BIND only:
 * any other ioctl, read, write and mmap give EINVAL.
 *
 * One character device covers all minor numbers; a file finds its node by
 * table. With a struct cdev in each device the open file would hold the
 * driver's vfio_device, and with it code of a module that may be unloaded.
 *
 * Arguments grow with the versions of the interface. A program passes the
 * size it knows (argsz): not less than v6.6's; what it leaves out is zero;
 * what it passes beyond what we know must be zero (E2BIG otherwise). The
 * fields that a flag announces are looked at with that flag only.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/uuid.h>

#include "vfio.h"

/* What v6.6 passes: argsz and flags, then what this is the end of. */
#define BIND_MINSZ	offsetofend(struct vfio_device_bind_iommufd, out_devid)
#define ATTACH_MINSZ	offsetofend(struct vfio_device_attach_iommufd_pt, pt_id)
#define DETACH_MINSZ	offsetofend(struct vfio_device_detach_iommufd_pt, flags)

static dev_t vfio_cdev_base;
static struct cdev *vfio_cdev;

/**
 * vfio_cdev_devt - the device number of a node
 * @index: the node's index
 *
 * Return: our major, and the index as minor.
 */
dev_t vfio_cdev_devt(unsigned int index)
{
	return MKDEV(MAJOR(vfio_cdev_base), index);
}

/* Fetch an argument whose first member is argsz. */
static int cdev_copy_arg(void *arg, size_t size, size_t minsz,
			 const void __user *uarg)
{
	u32 argsz;

	if (get_user(argsz, (const u32 __user *)uarg))
		return -EFAULT;
	if (argsz < minsz)
		return -EINVAL;
	/* No version will ever be that long. Bounds the search for non-zero. */
	if (argsz > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(arg, size, uarg, argsz);
}

/*
 * Ask the driver by name, under dev_set->lock, as a group's GET_DEVICE_FD does: this is where
 * vfio-pci insists on, or refuses, the token of an SR-IOV PF.
 */
static int cdev_match(struct vfio_device *vdev, const uuid_t *token)
{
	const char *name = dev_name(vdev->dev);
	char *buf;
	int rc;

	/* Without match() a name is all that there can be. */
	if (!vdev->ops->match)
		return token ? -EINVAL : 0;

	if (token)
		buf = kasprintf(GFP_KERNEL_ACCOUNT, "%s vf_token=%pUb", name, token);
	else
		buf = kstrdup(name, GFP_KERNEL_ACCOUNT);
	if (!buf)
		return -ENOMEM;

	rc = vdev->ops->match(vdev, buf);
	kfree(buf);
	if (rc < 0)
		return rc;
	return rc ? 0 : -ENODEV;
}

/* With the state BINDING, which makes us the only one who writes to it. */
static int cdev_bind(struct vfio_handle *handle,
		     struct vfio_device_bind_iommufd __user *uarg, int fd,
		     const uuid_t *token)
{
	struct vfio_node *node = handle->node;
	struct vfio_device *vdev;
	struct kvm *kvm;
	int rc;

	rc = vfio_iommufd_get_ctx(handle, fd);
	if (rc)
		return rc;

	vdev = vfio_node_get_registration(node);
	if (!vdev) {
		rc = -ENODEV;
		goto err_ctx;
	}

	rc = vfio_group_enter_cdev(node);
	if (rc)
		goto err_registration;

	handle->vdev = vdev;
	kvm = vfio_kvm_get(&handle->kvm);
	mutex_lock(&vdev->dev_set->lock);
	/* Not asked for a device in use: vfio-pci would take over its token. */
	rc = node->in_use ? -EBUSY : cdev_match(vdev, token);
	if (!rc)
		rc = vfio_handle_open(handle, kvm);
	mutex_unlock(&vdev->dev_set->lock);
	vfio_kvm_put(kvm);
	if (rc)
		goto err_vdev;

	/* Not under a lock: the page may be one that userspace provides. */
	if (put_user(node->devid, &uarg->out_devid)) {
		rc = -EFAULT;
		goto err_open;
	}

	vfio_handle_publish(handle);
	return 0;

err_open:
	vfio_handle_close(handle);
err_vdev:
	handle->vdev = NULL;
	vfio_group_leave_cdev(node);
err_registration:
	vfio_node_put_registration(node);
err_ctx:
	vfio_iommufd_put_ctx(handle);
	return rc;
}

static int cdev_ioctl_bind(struct vfio_handle *handle,
			   struct vfio_device_bind_iommufd __user *uarg)
{
	struct vfio_device_bind_iommufd arg;
	bool has_token;
	uuid_t token;
	int rc;

	rc = cdev_copy_arg(&arg, sizeof(arg), BIND_MINSZ, uarg);
	if (rc)
		return rc;
	if (arg.flags & ~VFIO_DEVICE_BIND_FLAG_TOKEN)
		return -EINVAL;

	has_token = arg.flags & VFIO_DEVICE_BIND_FLAG_TOKEN;
	if (has_token) {
		if (arg.argsz < offsetofend(struct vfio_device_bind_iommufd,
					    token_uuid_ptr))
			return -EINVAL;
		if (copy_from_user(&token, u64_to_user_ptr(arg.token_uuid_ptr),
				   sizeof(token)))
			return -EFAULT;
	}

	if (atomic_cmpxchg(&handle->state, VFIO_HANDLE_OPENED,
			   VFIO_HANDLE_BINDING) != VFIO_HANDLE_OPENED)
		return -EINVAL;

	rc = cdev_bind(handle, uarg, arg.iommufd, has_token ? &token : NULL);
	if (rc)
		/* Pairs with the cmpxchg above, in the next try. */
		atomic_set_release(&handle->state, VFIO_HANDLE_OPENED);
	return rc;
}

static int cdev_attach(struct vfio_handle *handle, u32 pt_id, u32 __user *uptr)
{
	int rc;

	lockdep_assert_held(&handle->lock);

	if (handle->node->attached)
		rc = vfio_iommufd_replace(handle->node, &pt_id);
	else
		rc = vfio_iommufd_attach(handle->node, &pt_id);
	if (rc)
		return rc;

	return put_user(pt_id, uptr);
}

/*
 * The old table of a replace may be gone with its last device, so there is no
 * sure way back when the ID cannot be copied out at the end. Try the memory
 * before anything is moved: it then fails only for a program that unmaps it
 * meanwhile, which finds the device on the new table. A first attach is
 * always undone.
 *
 * The lock is taken so that a kill gets through: an attach can wait for memory
 * that another process provides.
 */
static int cdev_ioctl_attach(struct vfio_handle *handle,
			     struct vfio_device_attach_iommufd_pt __user *uarg)
{
	struct vfio_device_attach_iommufd_pt arg;
	bool was_attached;
	int rc;

	rc = cdev_copy_arg(&arg, sizeof(arg), ATTACH_MINSZ, uarg);
	if (rc)
		return rc;
	if (arg.flags & ~VFIO_DEVICE_ATTACH_PASID)
		return -EINVAL;
	if (arg.flags & VFIO_DEVICE_ATTACH_PASID)
		return -EOPNOTSUPP;
	if (put_user(arg.pt_id, &uarg->pt_id))
		return -EFAULT;

	if (mutex_lock_killable(&handle->lock))
		return -EINTR;
	was_attached = handle->node->attached;
	rc = cdev_attach(handle, arg.pt_id, &uarg->pt_id);
	if (rc && !was_attached)
		vfio_iommufd_detach(handle->node);
	mutex_unlock(&handle->lock);
	return rc;
}

static int cdev_ioctl_detach(struct vfio_handle *handle,
			     struct vfio_device_detach_iommufd_pt __user *uarg)
{
	struct vfio_device_detach_iommufd_pt arg;
	int rc;

	rc = cdev_copy_arg(&arg, sizeof(arg), DETACH_MINSZ, uarg);
	if (rc)
		return rc;
	if (arg.flags & ~VFIO_DEVICE_DETACH_PASID)
		return -EINVAL;
	if (arg.flags & VFIO_DEVICE_DETACH_PASID)
		return -EOPNOTSUPP;

	if (mutex_lock_killable(&handle->lock))
		return -EINTR;
	if (handle->node->attached)
		vfio_iommufd_detach(handle->node);
	else
		rc = -EINVAL;
	mutex_unlock(&handle->lock);
	return rc;
}

static long vfio_cdev_ioctl(struct file *file, unsigned int cmd,
			    unsigned long arg)
{
	struct vfio_handle *handle = file->private_data;
	void __user *uarg = (void __user *)arg;
	long rc;

	if (cmd == VFIO_DEVICE_BIND_IOMMUFD)
		return cdev_ioctl_bind(handle, uarg);
	if (!vfio_handle_is_bound(handle))
		return -EINVAL;

	rc = vfio_handle_pm_get(handle);
	if (rc)
		return rc;

	switch (cmd) {
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		rc = cdev_ioctl_attach(handle, uarg);
		break;
	case VFIO_DEVICE_DETACH_IOMMUFD_PT:
		rc = cdev_ioctl_detach(handle, uarg);
		break;
	default:
		rc = vfio_handle_ioctl(handle, cmd, arg);
	}

	vfio_handle_pm_put(handle);
	return rc;
}

static ssize_t vfio_cdev_read(struct file *file, char __user *buf,
			      size_t count, loff_t *pos)
{
	struct vfio_handle *handle = file->private_data;

	if (!vfio_handle_is_bound(handle))
		return -EINVAL;
	return vfio_handle_read(handle, buf, count, pos);
}

static ssize_t vfio_cdev_write(struct file *file, const char __user *buf,
			       size_t count, loff_t *pos)
{
	struct vfio_handle *handle = file->private_data;

	if (!vfio_handle_is_bound(handle))
		return -EINVAL;
	return vfio_handle_write(handle, buf, count, pos);
}

static int vfio_cdev_mmap(struct file *file, struct vm_area_struct *vma)
{
	struct vfio_handle *handle = file->private_data;

	if (!vfio_handle_is_bound(handle))
		return -EINVAL;
	return vfio_handle_mmap(handle, vma);
}

static void vfio_cdev_show_fdinfo(struct seq_file *m, struct file *file)
{
	vfio_fdinfo_show(m, file->private_data);
}

static int vfio_cdev_open(struct inode *inode, struct file *file)
{
	struct vfio_handle *handle;
	struct vfio_node *node;

	node = vfio_node_get_by_index(iminor(inode));
	if (!node)
		return -ENODEV;

	handle = vfio_handle_alloc(node);
	if (IS_ERR(handle)) {
		vfio_node_put(node);
		return PTR_ERR(handle);
	}

	file->private_data = handle;
	return 0;
}

/* No ioctl is under way any more: the state is OPENED or BOUND. */
static int vfio_cdev_release(struct inode *inode, struct file *file)
{
	struct vfio_handle *handle = file->private_data;

	if (vfio_handle_is_bound(handle)) {
		vfio_handle_close(handle);
		vfio_group_leave_cdev(handle->node);
		vfio_node_put_registration(handle->node);
		vfio_iommufd_put_ctx(handle);
	}
	vfio_handle_free(handle);
	return 0;
}

static const struct file_operations vfio_cdev_fops = {
	.owner		= THIS_MODULE,
	.open		= vfio_cdev_open,
	.release	= vfio_cdev_release,
	.read		= vfio_cdev_read,
	.write		= vfio_cdev_write,
	.mmap		= vfio_cdev_mmap,
	.unlocked_ioctl	= vfio_cdev_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= vfio_cdev_show_fdinfo,
};

/**
 * vfio_handle_from_cdev - the handle behind a device's own file
 * @file: any file
 *
 * Return: the handle, for as long as the caller has @file, or NULL.
 */
struct vfio_handle *vfio_handle_from_cdev(struct file *file)
{
	return file->f_op == &vfio_cdev_fops ? file->private_data : NULL;
}

/**
 * vfio_cdev_init - get a major number and answer to it
 *
 * Return: 0 or a negative errno.
 */
int __init vfio_cdev_init(void)
{
	int rc;

	rc = alloc_chrdev_region(&vfio_cdev_base, 0, MINORMASK + 1, "vfio-dev");
	if (rc)
		return rc;

	vfio_cdev = cdev_alloc();
	if (!vfio_cdev) {
		rc = -ENOMEM;
		goto err_region;
	}
	vfio_cdev->ops = &vfio_cdev_fops;
	vfio_cdev->owner = THIS_MODULE;

	rc = cdev_add(vfio_cdev, vfio_cdev_base, MINORMASK + 1);
	if (rc)
		goto err_cdev;
	return 0;

err_cdev:
	kobject_put(&vfio_cdev->kobj);
err_region:
	unregister_chrdev_region(vfio_cdev_base, MINORMASK + 1);
	return rc;
}

/**
 * vfio_cdev_exit - end of vfio_cdev_init()
 */
void vfio_cdev_exit(void)
{
	cdev_del(vfio_cdev);
	unregister_chrdev_region(vfio_cdev_base, MINORMASK + 1);
}
