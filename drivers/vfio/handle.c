// SPDX-License-Identifier: GPL-2.0
/*
 * A handle: one user's hold on a device, whichever way the user came in.
 *
 * vfio_handle_open() takes what the user needs, in this order, and
 * vfio_handle_close() gives it back in the reverse one:
 *
 *	the driver's module
 *	DMA ownership, by iommufd	detached before, if attached
 *	one in vdev->open_count
 *	open_device()			close_device()
 *
 * close_device() is what stops the device's DMA, so it comes before anything
 * is done to the translation. A detach may wait for a map in the same address
 * space, and that for memory which a program provides, so it is done without
 * dev_set->lock: other devices of the set, maybe other people's, do not wait
 * along. node->in_use keeps the next user out until all is given back.
 *
 * The caller holds the registration and the
 * iommufd context around all of it: dropping the last reference on a context
 * tears the context down, which must not happen under dev_set->lock.
 *
 * The stock drivers count on this: open_device() and close_device() are called
 * under dev_set->lock and with open_count at 1.
 */
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/pm_runtime.h>
#include <linux/slab.h>

#include "vfio.h"

/**
 * vfio_handle_alloc - a handle in state OPENED
 * @node: node; the caller's reference goes over to the handle
 *
 * Return: the handle, or ERR_PTR(-ENOMEM) and @node is still the caller's.
 */
struct vfio_handle *vfio_handle_alloc(struct vfio_node *node)
{
	struct vfio_handle *handle;

	handle = kzalloc(sizeof(*handle), GFP_KERNEL_ACCOUNT);
	if (!handle)
		return ERR_PTR(-ENOMEM);

	handle->node = node;
	mutex_init(&handle->lock);
	vfio_kvm_init(&handle->kvm);
	atomic_set(&handle->state, VFIO_HANDLE_OPENED);
	return handle;
}

/**
 * vfio_handle_free - end of vfio_handle_alloc()
 * @handle: handle in state OPENED, or closed
 *
 * Puts the node, too.
 */
void vfio_handle_free(struct vfio_handle *handle)
{
	vfio_node_put(handle->node);
	mutex_destroy(&handle->lock);
	kfree(handle);
}

/* A group binds its physical devices by itself, for longer than they are open. */
static bool handle_has_binding(const struct vfio_handle *handle)
{
	return !handle->group || handle->node->emulated;
}

/* The device is to reach memory as the handle's way in wants it, while it is open. */
static int handle_bind(struct vfio_handle *handle)
{
	struct vfio_node *node = handle->node;
	u32 pt_id = handle->ioas_id;
	int rc;

	if (!handle_has_binding(handle))
		return 0;
	rc = vfio_iommufd_bind(node, handle->ictx);
	if (rc)
		return rc;
	if (handle->group)
		rc = vfio_iommufd_attach(node, &pt_id);
	else if (handle->coherent)	/* see promise_before_bind() */
		rc = vfio_iommufd_require_coherency(node);
	if (rc)
		vfio_iommufd_unbind(node);
	return rc;
}

static void handle_unbind(struct vfio_handle *handle)
{
	if (!handle_has_binding(handle))
		return;
	mutex_lock(&handle->lock);
	vfio_iommufd_detach(handle->node);
	mutex_unlock(&handle->lock);
	vfio_iommufd_unbind(handle->node);
}

/**
 * vfio_handle_open - open the device for a handle
 * @handle: handle with vdev and ictx set, registered; dev_set->lock is held
 * @kvm: VM that the driver shall know of while it opens the device, or NULL
 *
 * The files of one group share a device that is open: only the first opens it.
 *
 * Return: 0; -EBUSY when the device is in use, or not yet given back; -ENODEV
 * when its driver is being unloaded; or what iommufd or the driver answered.
 */
int vfio_handle_open(struct vfio_handle *handle, struct kvm *kvm)
{
	struct vfio_device *vdev = handle->vdev;
	int rc;

	lockdep_assert_held(&vdev->dev_set->lock);

	if (handle->node->in_use && !(handle->group && vdev->open_count))
		return -EBUSY;

	if (!try_module_get(vdev->dev->driver->owner))
		return -ENODEV;

	if (vdev->open_count) {
		WRITE_ONCE(vdev->open_count, vdev->open_count + 1);
		return 0;
	}

	rc = handle_bind(handle);
	if (rc)
		goto err_module;

	WRITE_ONCE(vdev->open_count, 1);
	vdev->kvm = kvm;
	if (vdev->ops->open_device) {
		rc = vdev->ops->open_device(vdev);
		if (rc)
			goto err_open_count;
	}
	handle->node->in_use = true;
	return 0;

err_open_count:
	vdev->kvm = NULL;
	WRITE_ONCE(vdev->open_count, 0);
	handle_unbind(handle);
err_module:
	module_put(vdev->dev->driver->owner);
	return rc;
}

/**
 * vfio_handle_close - end of vfio_handle_open()
 * @handle: open handle, attached or not; no lock is held
 */
void vfio_handle_close(struct vfio_handle *handle)
{
	struct vfio_device *vdev = handle->vdev;
	bool last;

	mutex_lock(&vdev->dev_set->lock);
	last = vdev->open_count == 1;
	if (last && vdev->ops->close_device)
		vdev->ops->close_device(vdev);
	WRITE_ONCE(vdev->open_count, vdev->open_count - 1);
	if (last)
		vdev->kvm = NULL;
	mutex_unlock(&vdev->dev_set->lock);

	if (last)
		handle_unbind(handle);
	module_put(vdev->dev->driver->owner);
	if (!last)
		return;

	mutex_lock(&vdev->dev_set->lock);
	handle->node->in_use = false;
	mutex_unlock(&vdev->dev_set->lock);
}

/**
 * vfio_handle_publish - let the user in
 * @handle: open handle in state BINDING
 *
 * Nothing that can fail may follow.
 */
void vfio_handle_publish(struct vfio_handle *handle)
{
	atomic_set_release(&handle->state, VFIO_HANDLE_BOUND);
}

/**
 * vfio_handle_is_bound - may the user in?
 * @handle: handle
 *
 * Return: true when BIND is through: all of the handle that it has set can be
 * seen, and stays.
 */
bool vfio_handle_is_bound(struct vfio_handle *handle)
{
	return atomic_read_acquire(&handle->state) == VFIO_HANDLE_BOUND;
}

/*
 * BIND looks at what we write here after it has made the state BINDING and then
 * had the lock (for the VM's sake), so it cannot miss what we say while OPENED.
 */
static bool promise_before_bind(struct vfio_handle *handle)
{
	struct vfio_kvm *name = &handle->kvm;
	bool opened;

	spin_lock(&name->lock);
	opened = atomic_read(&handle->state) == VFIO_HANDLE_OPENED;
	if (opened)
		handle->coherent = true;
	spin_unlock(&name->lock);
	return opened;
}

/**
 * vfio_handle_promise_coherency - from now on let DMA be coherent or be none
 * @handle: handle of a device's own file, in any state
 *
 * Return: whether that can be promised. A file whose BIND is at work gets no
 * promise, nor does one whose device is gone.
 */
bool vfio_handle_promise_coherency(struct vfio_handle *handle)
{
	struct vfio_node *node = handle->node;
	bool can;

	if (!vfio_node_get_registration(node))
		return false;
	can = vfio_iommufd_will_be_coherent(node);
	if (can && vfio_handle_is_bound(handle))
		can = !vfio_iommufd_require_coherency(node);
	else if (can)
		can = promise_before_bind(handle);
	vfio_node_put_registration(node);
	return can;
}

/* Only for drivers with runtime power management of their own. */
static bool handle_has_pm(struct vfio_handle *handle)
{
	struct device_driver *driver = handle->vdev->dev->driver;

	return driver && driver->pm;
}

/**
 * vfio_handle_pm_get - wake the device up for an ioctl
 * @handle: bound handle
 *
 * Return: 0, or -EIO.
 */
int vfio_handle_pm_get(struct vfio_handle *handle)
{
	struct device *dev = handle->vdev->dev;
	int rc;

	if (!handle_has_pm(handle))
		return 0;

	rc = pm_runtime_resume_and_get(dev);
	if (rc) {
		dev_dbg(dev, "runtime resume: %d\n", rc);
		return -EIO;
	}
	return 0;
}

/**
 * vfio_handle_pm_put - end of vfio_handle_pm_get()
 * @handle: bound handle
 */
void vfio_handle_pm_put(struct vfio_handle *handle)
{
	if (handle_has_pm(handle))
		pm_runtime_put(handle->vdev->dev);
}

/**
 * vfio_handle_ask_driver - pass an ioctl on to the driver
 * @handle: bound handle; the device is awake
 * @cmd: number
 * @arg: argument
 *
 * Return: as the driver; -EINVAL when it knows no ioctl.
 */
long vfio_handle_ask_driver(struct vfio_handle *handle, unsigned int cmd,
			    unsigned long arg)
{
	struct vfio_device *vdev = handle->vdev;

	if (!vdev->ops->ioctl)
		return -EINVAL;
	return vdev->ops->ioctl(vdev, cmd, arg);
}

/**
 * vfio_handle_ioctl - an ioctl that is the same for all ways in
 * @handle: bound handle; the device is awake
 * @cmd: number
 * @arg: argument
 *
 * Return: as whoever answers it.
 */
long vfio_handle_ioctl(struct vfio_handle *handle, unsigned int cmd,
		       unsigned long arg)
{
	switch (cmd) {
	case VFIO_DEVICE_FEATURE:
		return vfio_feature_ioctl(handle->vdev, (void __user *)arg);
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return vfio_hot_reset_info(handle, arg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return vfio_hot_reset(handle, arg);
	default:
		return vfio_handle_ask_driver(handle, cmd, arg);
	}
}

/**
 * vfio_handle_read - read from a region of the device
 * @handle: bound handle
 * @buf: to where
 * @count: how many bytes
 * @pos: where in the device file
 *
 * Return: as the driver; -EINVAL when it cannot be read.
 */
ssize_t vfio_handle_read(struct vfio_handle *handle, char __user *buf,
			 size_t count, loff_t *pos)
{
	struct vfio_device *vdev = handle->vdev;

	return vdev->ops->read ? vdev->ops->read(vdev, buf, count, pos) : -EINVAL;
}

/**
 * vfio_handle_write - write to a region of the device
 * @handle: bound handle
 * @buf: from where
 * @count: how many bytes
 * @pos: where in the device file
 *
 * Return: as the driver; -EINVAL when it cannot be written.
 */
ssize_t vfio_handle_write(struct vfio_handle *handle, const char __user *buf,
			  size_t count, loff_t *pos)
{
	struct vfio_device *vdev = handle->vdev;

	return vdev->ops->write ? vdev->ops->write(vdev, buf, count, pos) : -EINVAL;
}

/**
 * vfio_handle_mmap - map a region of the device
 * @handle: bound handle
 * @vma: where
 *
 * Return: as the driver; -EINVAL when it cannot be mapped.
 */
int vfio_handle_mmap(struct vfio_handle *handle, struct vm_area_struct *vma)
{
	struct vfio_device *vdev = handle->vdev;

	return vdev->ops->mmap ? vdev->ops->mmap(vdev, vma) : -EINVAL;
}
