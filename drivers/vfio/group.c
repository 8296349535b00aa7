// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/vfio/N: the devices of an IOMMU group, for programs that were written for
 * groups and containers.
 *
 * The path is the one of the device files: a context of iommufd (the container),
 * a device bound to it and attached to an address space, a handle. Only who does
 * it differs. SET_CONTAINER binds and attaches every physical device of the group
 * at once, so that what is mapped from then on is pinned, and refused, when it is
 * mapped; GET_DEVICE_FD opens one. A device with emulated IOMMU has nothing to be
 * mapped for: it is bound and attached while it is open.
 *
 * Three kinds of group:
 *
 *	physical	the IOMMU's
 *	emulated	made for one device that does no DMA; a means to be found
 *	no-IOMMU	made for one device behind no IOMMU, where the
 *			administrator allowed it: DMA goes anywhere
 *
 * One file at a time has a group open, and none while a device of it is in use
 * through its own file; and the other way round. Open device files hold the group
 * file, so the container is set as long as a device is open.
 *
 * A group exists while it has registered devices. Its memory lives on while its
 * file is open; such a file answers ENODEV.
 *
 * group.lock comes after nothing of ours, and dev_set->lock is not taken under it.
 * iommufd's locks are: joining a container with mappings pins memory, which lasts for
 * as long as the owner of the memory likes. So all that programs ask for waits
 * killably. The ways that cannot fail wait in any case: they are in order only
 * when the program's own calls are over, but for a device that is closed while
 * GET_DEVICE_FD attaches another, and for drivers that take a device back.
 */
#include <linux/anon_inodes.h>
#include <linux/capability.h>
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/idr.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vfio.h"

enum vfio_group_kind {
	VFIO_GROUP_PHYSICAL,
	VFIO_GROUP_EMULATED,
	VFIO_GROUP_NOIOMMU,
};

/**
 * struct vfio_group - what stands behind /dev/vfio/N
 * @dev: its place in sysfs; the reference count of the group
 * @cdev: the file
 * @iommu_group: a reference
 * @kind: constant
 * @link: in vfio_groups; by vfio_groups_lock, as @nr_devices
 * @nr_devices: registered, or about to be, or about to be no more
 * @lock: protects what follows
 * @nodes: of registered devices
 * @file: who has the group open, or NULL
 * @nr_cdev: devices that are in use through their own files
 * @ictx: the container, a reference; NULL: not set
 * @ioas_id: what devices are attached to
 * @nr_opens: open device files that came through the group
 * @coherent: KVM was promised that DMA is coherent, to the end of @file
 * @kvm: the VM that the devices belong to; has a lock of its own
 */
struct vfio_group {
	struct device dev;
	struct cdev cdev;
	struct iommu_group *iommu_group;
	enum vfio_group_kind kind;
	struct list_head link;
	unsigned int nr_devices;

	struct mutex lock;
	struct list_head nodes;
	struct file *file;
	unsigned int nr_cdev;
	struct iommufd_ctx *ictx;
	u32 ioas_id;
	unsigned int nr_opens;
	bool coherent;
	struct vfio_kvm kvm;
};

static DEFINE_MUTEX(vfio_groups_lock);
static LIST_HEAD(vfio_groups);
static DEFINE_IDA(vfio_group_minors);
static struct class *vfio_group_class;
static dev_t vfio_group_base;
static const struct file_operations vfio_group_fops;

/*
 * The way in and out for devices
 */

static void group_release(struct device *dev)
{
	struct vfio_group *group = container_of(dev, struct vfio_group, dev);

	ida_free(&vfio_group_minors, MINOR(dev->devt));
	iommu_group_put(group->iommu_group);
	mutex_destroy(&group->lock);
	kfree(group);
}

/* Make a group and its file. The reference to the IOMMU group moves in. */
static struct vfio_group *group_create(struct iommu_group *iommu_group,
				       enum vfio_group_kind kind)
{
	struct vfio_group *group;
	int minor, rc;

	group = kzalloc(sizeof(*group), GFP_KERNEL);
	if (!group)
		return ERR_PTR(-ENOMEM);
	minor = ida_alloc_max(&vfio_group_minors, MINORMASK, GFP_KERNEL);
	if (minor < 0) {
		kfree(group);
		return ERR_PTR(minor);
	}
	group->kind = kind;
	group->iommu_group = iommu_group;
	INIT_LIST_HEAD(&group->nodes);
	mutex_init(&group->lock);
	vfio_kvm_init(&group->kvm);

	device_initialize(&group->dev);
	group->dev.devt = MKDEV(MAJOR(vfio_group_base), minor);
	group->dev.class = vfio_group_class;
	group->dev.release = group_release;
	cdev_init(&group->cdev, &vfio_group_fops);
	group->cdev.owner = THIS_MODULE;

	rc = dev_set_name(&group->dev, "%s%d",
			  kind == VFIO_GROUP_NOIOMMU ? "noiommu-" : "",
			  iommu_group_id(iommu_group));
	if (!rc)
		rc = cdev_device_add(&group->cdev, &group->dev);
	if (rc) {
		/* The caller still has the reference when we fail. */
		iommu_group_ref_get(iommu_group);
		put_device(&group->dev);
		return ERR_PTR(rc);
	}
	return group;
}

/* The group for one more device. The reference moves in. */
static struct vfio_group *group_get(struct iommu_group *iommu_group,
				    enum vfio_group_kind kind)
{
	struct vfio_group *group;

	mutex_lock(&vfio_groups_lock);
	list_for_each_entry(group, &vfio_groups, link) {
		if (group->iommu_group == iommu_group) {
			iommu_group_put(iommu_group);
			goto out_count;
		}
	}
	group = group_create(iommu_group, kind);
	if (IS_ERR(group))
		goto out_unlock;
	list_add_tail(&group->link, &vfio_groups);
out_count:
	group->nr_devices++;
out_unlock:
	mutex_unlock(&vfio_groups_lock);
	return group;
}

/* The file's name must be free before a group of that number can come again. */
static void group_put(struct vfio_group *group)
{
	bool last;

	mutex_lock(&vfio_groups_lock);
	last = !--group->nr_devices;
	if (last) {
		list_del(&group->link);
		cdev_device_del(&group->cdev, &group->dev);
	}
	mutex_unlock(&vfio_groups_lock);
	if (last)
		put_device(&group->dev);
}

/* An IOMMU group that stands for a device without one. */
static struct iommu_group *fake_iommu_group(struct device *dev, const char *name)
{
	struct iommu_group *iommu_group;
	int rc;

	iommu_group = iommu_group_alloc();
	if (IS_ERR(iommu_group))
		return iommu_group;
	rc = name ? iommu_group_set_name(iommu_group, name) : 0;
	if (!rc)
		rc = iommu_group_add_device(iommu_group, dev);
	if (rc) {
		iommu_group_put(iommu_group);
		return ERR_PTR(rc);
	}
	return iommu_group;
}

static bool noiommu_mode;

static int set_noiommu_mode(const char *val, const struct kernel_param *kp)
{
	int rc = param_set_bool(val, kp);

	if (!rc)
		iommufd_container_allow_noiommu(noiommu_mode);
	return rc;
}

static const struct kernel_param_ops noiommu_mode_ops = {
	.set = set_noiommu_mode,
	.get = param_get_bool,
};
module_param_cb(enable_unsafe_noiommu_mode, &noiommu_mode_ops, &noiommu_mode,
		0644);
MODULE_PARM_DESC(enable_unsafe_noiommu_mode,
		 "Offer devices without an IOMMU through groups: their users can do DMA to any memory. Taints the kernel (default: off)");

/**
 * vfio_group_join - a device is about to be registered
 * @node: node of the device
 *
 * Return: 0; -EINVAL when the device has no IOMMU and may not be without; or a
 * negative errno.
 */
int vfio_group_join(struct vfio_node *node)
{
	struct device *dev = node->vdev->dev;
	enum vfio_group_kind kind = VFIO_GROUP_PHYSICAL;
	struct iommu_group *iommu_group;
	struct vfio_group *group;

	if (node->emulated) {
		kind = VFIO_GROUP_EMULATED;
		iommu_group = fake_iommu_group(dev, NULL);
	} else {
		iommu_group = iommu_group_get(dev);
		if (!iommu_group && noiommu_mode) {
			kind = VFIO_GROUP_NOIOMMU;
			iommu_group = fake_iommu_group(dev, "vfio-noiommu");
		}
	}
	if (!iommu_group)
		return -EINVAL;
	if (IS_ERR(iommu_group))
		return PTR_ERR(iommu_group);

	group = group_get(iommu_group, kind);
	if (IS_ERR(group)) {
		if (kind != VFIO_GROUP_PHYSICAL)
			iommu_group_remove_device(dev);
		iommu_group_put(iommu_group);
		return PTR_ERR(group);
	}
	if (kind == VFIO_GROUP_NOIOMMU) {
		add_taint(TAINT_USER, LOCKDEP_STILL_OK);
		dev_warn(dev, "offered without an IOMMU: its user can do DMA to any memory\n");
	}

	node->group = group;
	node->noiommu = kind == VFIO_GROUP_NOIOMMU;
	mutex_lock(&group->lock);
	list_add_tail(&node->group_link, &group->nodes);
	mutex_unlock(&group->lock);
	return 0;
}

static void node_release_dma(struct vfio_node *node)
{
	if (!vfio_iommufd_is_bound(node))
		return;
	vfio_iommufd_detach(node);
	vfio_iommufd_unbind(node);
}

/* Back to no container. The reference that was in @ictx is the caller's. */
static struct iommufd_ctx *group_unset_container(struct vfio_group *group)
{
	struct iommufd_ctx *ictx = group->ictx;
	struct vfio_node *node;

	lockdep_assert_held(&group->lock);
	if (!ictx)
		return NULL;
	WARN_ON(group->nr_opens);
	list_for_each_entry(node, &group->nodes, group_link)
		node_release_dma(node);
	iommufd_container_leave(ictx);
	group->ictx = NULL;
	return ictx;
}

static void put_container(struct iommufd_ctx *ictx)
{
	if (ictx)
		iommufd_ctx_put(ictx);
}

/**
 * vfio_group_leave - end of vfio_group_join()
 * @node: node of a device that nobody uses
 */
void vfio_group_leave(struct vfio_node *node)
{
	struct vfio_group *group = node->group;
	struct iommufd_ctx *ictx = NULL;

	mutex_lock(&group->lock);
	if (group->kind == VFIO_GROUP_PHYSICAL)
		node_release_dma(node);
	list_del(&node->group_link);
	if (list_empty(&group->nodes))
		ictx = group_unset_container(group);
	mutex_unlock(&group->lock);
	put_container(ictx);

	if (group->kind != VFIO_GROUP_PHYSICAL)
		iommu_group_remove_device(node->vdev->dev);
	node->group = NULL;
	group_put(group);
}

/**
 * vfio_group_enter_cdev - a device is about to be used through its own file
 * @node: registered
 *
 * Return: 0; -EBUSY when its group is open; -ENODEV when it has no IOMMU, which
 * device files are not for; -EINTR.
 */
int vfio_group_enter_cdev(struct vfio_node *node)
{
	struct vfio_group *group = node->group;
	int rc = 0;

	if (node->noiommu)
		return -ENODEV;
	if (mutex_lock_killable(&group->lock))
		return -EINTR;
	if (group->file)
		rc = -EBUSY;
	else
		group->nr_cdev++;
	mutex_unlock(&group->lock);
	return rc;
}

/**
 * vfio_group_leave_cdev - end of vfio_group_enter_cdev()
 * @node: registered
 */
void vfio_group_leave_cdev(struct vfio_node *node)
{
	mutex_lock(&node->group->lock);
	node->group->nr_cdev--;
	mutex_unlock(&node->group->lock);
}

/*
 * Devices that were opened through a group
 */

/*
 * What a handle holds besides the open device: a count and the file of its
 * group, and the registration. The count first: once the registration is back
 * the driver may take the device out of the group.
 */
static void group_device_end(struct vfio_handle *handle)
{
	struct vfio_group *group = handle->group;
	struct file *file = group->file;

	mutex_lock(&group->lock);
	group->nr_opens--;
	mutex_unlock(&group->lock);
	vfio_node_put_registration(handle->node);
	vfio_handle_free(handle);
	fput(file);
}

static long group_device_ioctl(struct file *file, unsigned int cmd,
			       unsigned long arg)
{
	struct vfio_handle *handle = file->private_data;
	long rc;

	rc = vfio_handle_pm_get(handle);
	if (rc)
		return rc;
	rc = vfio_handle_ioctl(handle, cmd, arg);
	vfio_handle_pm_put(handle);
	return rc;
}

static ssize_t group_device_read(struct file *file, char __user *buf,
				 size_t count, loff_t *pos)
{
	return vfio_handle_read(file->private_data, buf, count, pos);
}

static ssize_t group_device_write(struct file *file, const char __user *buf,
				  size_t count, loff_t *pos)
{
	return vfio_handle_write(file->private_data, buf, count, pos);
}

static int group_device_mmap(struct file *file, struct vm_area_struct *vma)
{
	return vfio_handle_mmap(file->private_data, vma);
}

static void group_device_show_fdinfo(struct seq_file *m, struct file *file)
{
	vfio_fdinfo_show(m, file->private_data);
}

static int group_device_release(struct inode *inode, struct file *file)
{
	struct vfio_handle *handle = file->private_data;

	vfio_handle_close(handle);
	group_device_end(handle);
	return 0;
}

static const struct file_operations vfio_group_device_fops = {
	.owner		= THIS_MODULE,
	.release	= group_device_release,
	.read		= group_device_read,
	.write		= group_device_write,
	.mmap		= group_device_mmap,
	.unlocked_ioctl	= group_device_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
	.show_fdinfo	= group_device_show_fdinfo,
};

/* Find a device by what userspace calls it. Returns with a registration. */
static struct vfio_node *group_find(struct vfio_group *group, char *name)
{
	struct vfio_device *vdev;
	struct vfio_node *node;
	int rc;

	lockdep_assert_held(&group->lock);
	list_for_each_entry(node, &group->nodes, group_link) {
		vdev = node->vdev;
		if (vdev->ops->match) {
			rc = vdev->ops->match(vdev, name);
			if (rc < 0)
				return ERR_PTR(rc);
		} else {
			rc = !strcmp(dev_name(vdev->dev), name);
		}
		if (rc && vfio_node_get_registration(node))
			return node;
	}
	return ERR_PTR(-ENODEV);
}

/* Bind and attach a physical device, if that is not done yet. */
static int node_acquire_dma(struct vfio_node *node)
{
	struct vfio_group *group = node->group;
	u32 pt_id = group->ioas_id;
	int rc;

	lockdep_assert_held(&group->lock);
	if (vfio_iommufd_is_bound(node))
		return 0;
	rc = vfio_iommufd_bind(node, group->ictx);
	if (rc)
		return rc;
	if (group->coherent)
		rc = vfio_iommufd_require_coherency(node);
	if (!rc)
		rc = vfio_iommufd_attach(node, &pt_id);
	if (rc)
		vfio_iommufd_unbind(node);
	return rc;
}

/* A handle for a device of the group, which may be opened now. */
static struct vfio_handle *group_device_begin(struct vfio_group *group,
					      char *name)
{
	struct vfio_handle *handle;
	struct vfio_node *node;
	int rc = 0;

	if (mutex_lock_killable(&group->lock))
		return ERR_PTR(-EINTR);
	node = group_find(group, name);
	if (IS_ERR(node)) {
		rc = PTR_ERR(node);
		goto err_unlock;
	}
	if (!group->ictx || !iommufd_container_is_set_up(group->ictx))
		rc = -EINVAL;
	else if (group->kind == VFIO_GROUP_NOIOMMU && !capable(CAP_SYS_RAWIO))
		rc = -EPERM;
	else if (group->kind == VFIO_GROUP_PHYSICAL)
		rc = node_acquire_dma(node);
	if (rc)
		goto err_registration;
	handle = vfio_handle_alloc(node);
	if (IS_ERR(handle)) {
		rc = PTR_ERR(handle);
		goto err_registration;
	}
	vfio_node_get(node);		/* the handle's */
	handle->vdev = node->vdev;
	handle->ictx = group->ictx;	/* as long as nr_opens is not 0 */
	handle->group = group;
	handle->ioas_id = group->ioas_id;
	group->nr_opens++;
	get_file(group->file);
	mutex_unlock(&group->lock);
	return handle;

err_registration:
	vfio_node_put_registration(node);
err_unlock:
	mutex_unlock(&group->lock);
	return ERR_PTR(rc);
}

/* Open a device of the group, as a file. */
static struct file *group_open_device(struct vfio_group *group, char *name)
{
	struct vfio_handle *handle;
	struct vfio_device *vdev;
	struct file *file;
	struct kvm *kvm;
	int rc;

	handle = group_device_begin(group, name);
	if (IS_ERR(handle))
		return ERR_CAST(handle);
	vdev = handle->vdev;
	kvm = vfio_kvm_get(&group->kvm);
	mutex_lock(&vdev->dev_set->lock);
	rc = vfio_handle_open(handle, kvm);
	mutex_unlock(&vdev->dev_set->lock);
	vfio_kvm_put(kvm);
	if (rc)
		goto err_begin;

	file = anon_inode_getfile("[vfio-device]", &vfio_group_device_fops,
				  handle, O_RDWR);
	if (IS_ERR(file)) {
		rc = PTR_ERR(file);
		goto err_open;
	}
	/* A region is read at its offset, which such a file is not made for. */
	file->f_mode |= FMODE_PREAD | FMODE_PWRITE;
	vfio_handle_publish(handle);
	if (group->kind == VFIO_GROUP_NOIOMMU)
		dev_warn(vdev->dev, "opened without an IOMMU by %s (%d)\n",
			 current->comm, task_pid_nr(current));
	return file;

err_open:
	vfio_handle_close(handle);
err_begin:
	group_device_end(handle);
	return ERR_PTR(rc);
}

/*
 * The ioctls of a group file
 */

static int group_ioctl_get_device_fd(struct vfio_group *group,
				     const char __user *uarg)
{
	struct file *file;
	char *name;
	int fd;

	name = strndup_user(uarg, PAGE_SIZE);
	if (IS_ERR(name))
		return PTR_ERR(name);
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		goto out_free;
	file = group_open_device(group, name);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		fd = PTR_ERR(file);
		goto out_free;
	}
	fd_install(fd, file);
out_free:
	kfree(name);
	return fd;
}

static int group_ioctl_get_status(struct vfio_group *group,
				  struct vfio_group_status __user *uarg)
{
	const size_t minsz = offsetofend(struct vfio_group_status, flags);
	struct vfio_group_status status;
	int rc = 0;

	if (copy_from_user(&status, uarg, minsz))
		return -EFAULT;
	if (status.argsz < minsz)
		return -EINVAL;
	status.flags = 0;
	if (mutex_lock_killable(&group->lock))
		return -EINTR;
	if (list_empty(&group->nodes))
		rc = -ENODEV;
	else if (group->ictx)
		status.flags = VFIO_GROUP_FLAGS_CONTAINER_SET |
			       VFIO_GROUP_FLAGS_VIABLE;
	else if (!iommu_group_dma_owner_claimed(group->iommu_group))
		status.flags = VFIO_GROUP_FLAGS_VIABLE;
	mutex_unlock(&group->lock);
	if (!rc && copy_to_user(uarg, &status, minsz))
		rc = -EFAULT;
	return rc;
}

/* With group->ictx set. All devices, or none. */
static int group_acquire_dma(struct vfio_group *group)
{
	struct vfio_node *node;
	int rc;

	lockdep_assert_held(&group->lock);
	if (group->kind != VFIO_GROUP_PHYSICAL)
		return 0;
	list_for_each_entry(node, &group->nodes, group_link) {
		rc = node_acquire_dma(node);
		if (rc)
			goto err_release;
	}
	return 0;

err_release:
	list_for_each_entry_continue_reverse(node, &group->nodes, group_link)
		node_release_dma(node);
	return rc;
}

static int group_set_container(struct vfio_group *group,
			       struct iommufd_ctx *ictx)
{
	int rc;

	lockdep_assert_held(&group->lock);
	if (group->ictx)
		return -EINVAL;
	if (list_empty(&group->nodes))
		return -ENODEV;
	if (group->kind == VFIO_GROUP_NOIOMMU && !capable(CAP_SYS_RAWIO))
		return -EPERM;
	rc = iommufd_container_join(ictx, group->kind == VFIO_GROUP_NOIOMMU,
				    &group->ioas_id);
	if (rc)
		return rc;
	group->ictx = ictx;
	rc = group_acquire_dma(group);
	if (rc) {
		group->ictx = NULL;
		iommufd_container_leave(ictx);
	}
	return rc;
}

static int group_ioctl_set_container(struct vfio_group *group,
				     const int __user *uarg)
{
	struct iommufd_ctx *ictx;
	int fd, rc;

	if (get_user(fd, uarg))
		return -EFAULT;
	ictx = iommufd_ctx_from_fd(fd);
	if (IS_ERR(ictx))
		return PTR_ERR(ictx) == -EBADFD ? -EINVAL : PTR_ERR(ictx);
	rc = mutex_lock_killable(&group->lock);
	if (rc)
		goto err_ictx;
	rc = group_set_container(group, ictx);
	mutex_unlock(&group->lock);
	if (rc)
		goto err_ictx;
	return 0;

err_ictx:
	iommufd_ctx_put(ictx);
	return rc;
}

static int group_ioctl_unset_container(struct vfio_group *group)
{
	struct iommufd_ctx *ictx = NULL;
	int rc = 0;

	if (mutex_lock_killable(&group->lock))
		return -EINTR;
	if (!group->ictx)
		rc = -EINVAL;
	else if (group->nr_opens)
		rc = -EBUSY;
	else
		ictx = group_unset_container(group);
	mutex_unlock(&group->lock);
	put_container(ictx);
	return rc;
}

static long group_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vfio_group *group = file->private_data;
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_GROUP_GET_DEVICE_FD:
		return group_ioctl_get_device_fd(group, uarg);
	case VFIO_GROUP_GET_STATUS:
		return group_ioctl_get_status(group, uarg);
	case VFIO_GROUP_SET_CONTAINER:
		return group_ioctl_set_container(group, uarg);
	case VFIO_GROUP_UNSET_CONTAINER:
		return group_ioctl_unset_container(group);
	default:
		return -ENOTTY;
	}
}

static int group_open(struct inode *inode, struct file *file)
{
	struct vfio_group *group = container_of(inode->i_cdev,
						struct vfio_group, cdev);
	int rc = 0;

	if (mutex_lock_killable(&group->lock))
		return -EINTR;
	if (list_empty(&group->nodes))
		rc = -ENODEV;
	else if (group->kind == VFIO_GROUP_NOIOMMU && !capable(CAP_SYS_RAWIO))
		rc = -EPERM;
	else if (group->file || group->nr_cdev)
		rc = -EBUSY;
	else
		group->file = file;
	mutex_unlock(&group->lock);
	file->private_data = group;
	return rc;
}

/* Open devices hold the file: there are none. */
static int group_close(struct inode *inode, struct file *file)
{
	struct vfio_group *group = file->private_data;
	struct iommufd_ctx *ictx;

	mutex_lock(&group->lock);
	ictx = group_unset_container(group);
	group->coherent = false;
	group->file = NULL;
	mutex_unlock(&group->lock);
	put_container(ictx);
	return 0;
}

static const struct file_operations vfio_group_fops = {
	.owner		= THIS_MODULE,
	.open		= group_open,
	.release	= group_close,
	.unlocked_ioctl	= group_ioctl,
	.compat_ioctl	= compat_ptr_ioctl,
};

/*
 * What other modules ask about a file
 */

/**
 * vfio_group_from_file - the group behind a group file
 * @file: any file
 *
 * Return: the group, for as long as the caller has @file, or NULL.
 */
struct vfio_group *vfio_group_from_file(struct file *file)
{
	return file->f_op == &vfio_group_fops ? file->private_data : NULL;
}

/**
 * vfio_file_iommu_group - the IOMMU group behind a group file
 * @file: any file
 *
 * Return: the group, for as long as the caller has @file, or NULL. Only sPAPR
 * asks.
 */
struct iommu_group *vfio_file_iommu_group(struct file *file)
{
	struct vfio_group *group = vfio_group_from_file(file);

	return group ? group->iommu_group : NULL;
}
EXPORT_SYMBOL_GPL(vfio_file_iommu_group);

/**
 * vfio_group_kvm - where the group keeps its VM
 * @group: group
 *
 * Return: never NULL.
 */
struct vfio_kvm *vfio_group_kvm(struct vfio_group *group)
{
	return &group->kvm;
}

static bool group_promise_coherency(struct vfio_group *group)
{
	struct vfio_node *node;

	lockdep_assert_held(&group->lock);
	list_for_each_entry(node, &group->nodes, group_link)
		if (!vfio_iommufd_will_be_coherent(node))
			return false;
	list_for_each_entry(node, &group->nodes, group_link)
		if (vfio_iommufd_require_coherency(node))
			return false;
	group->coherent = true;
	return true;
}

/**
 * vfio_group_promise_coherency - from now on let DMA be coherent or be none
 * @group: group; it has a file. The promise ends with that
 *
 * Return: whether that can be promised: no device of the group will bypass the
 * CPU's caches, whatever it asks for.
 */
bool vfio_group_promise_coherency(struct vfio_group *group)
{
	bool promised;

	if (mutex_lock_killable(&group->lock))
		return false;
	promised = group_promise_coherency(group);
	mutex_unlock(&group->lock);
	return promised;
}

static char *group_devnode(struct device *dev, umode_t *mode)
{
	return kasprintf(GFP_KERNEL, "vfio/%s", dev_name(dev));
}

/**
 * vfio_group_init - get numbers for groups
 *
 * Return: 0 or a negative errno.
 */
int __init vfio_group_init(void)
{
	int rc;

	rc = alloc_chrdev_region(&vfio_group_base, 0, MINORMASK + 1, "vfio");
	if (rc)
		return rc;
	vfio_group_class = class_create(THIS_MODULE, "vfio");
	if (IS_ERR(vfio_group_class)) {
		rc = PTR_ERR(vfio_group_class);
		goto err_region;
	}
	vfio_group_class->devnode = group_devnode;
	return 0;

err_region:
	unregister_chrdev_region(vfio_group_base, MINORMASK + 1);
	return rc;
}

/**
 * vfio_group_exit - end of vfio_group_init()
 */
void vfio_group_exit(void)
{
	class_destroy(vfio_group_class);
	unregister_chrdev_region(vfio_group_base, MINORMASK + 1);
	ida_destroy(&vfio_group_minors);
}
