// SPDX-License-Identifier: GPL-2.0
/*
 * vfio.ko: a drop-in for the distribution's module of that name.
 *
 * Here: how drivers bring devices to the core and take them away again.
 *
 *	_vfio_alloc_device(), vfio_init_device()	put_device()
 *	vfio_register_group_dev() or			vfio_unregister_group_dev()
 *	  vfio_register_emulated_iommu_dev()
 *
 * The interface and struct vfio_device are the kernel's, in <linux/vfio.h>.
 * What we need beyond that is in struct vfio_node, which hangs on the driver
 * data of vdev->device, a device that belongs to the core. The members
 * refcount, comp, group and the two list heads after them are the stock
 * core's own and stay unused: no driver above looks at them.
 *
 * The node table maps minor numbers to nodes. A device's place in it is
 * reserved (holds NULL) from init to release and filled while registered.
 *
 * The stock core gives out a registration by a count in the vfio_device. Ours
 * is in the node: files that are open but not bound refer to the node only,
 * and ask it for a registration when the device may be long gone.
 */
#include <linux/device.h>
#include <linux/iommu.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/xarray.h>

#include "vfio.h"

/* How long to wait for users between two calls of ops->request() */
#define VFIO_REQUEST_INTERVAL	(10 * HZ)

static struct class *vfio_device_class;
static DEFINE_XARRAY_ALLOC(vfio_nodes);

static struct vfio_node *vfio_node_alloc(struct vfio_device *vdev)
{
	struct vfio_node *node;
	int rc;

	node = kzalloc(sizeof(*node), GFP_KERNEL);
	if (!node)
		return ERR_PTR(-ENOMEM);

	rc = xa_alloc(&vfio_nodes, &node->index, NULL,
		      XA_LIMIT(0, MINORMASK), GFP_KERNEL);
	if (rc) {
		kfree(node);
		return ERR_PTR(rc);
	}

	kref_init(&node->ref);
	refcount_set(&node->users, 0);
	init_completion(&node->idle);
	node->vdev = vdev;
	return node;
}

static void node_release(struct kref *ref)
{
	struct vfio_node *node = container_of(ref, struct vfio_node, ref);

	kfree(node->name);
	kfree(node);
}

/**
 * vfio_node_get - take one more reference
 * @node: node
 */
void vfio_node_get(struct vfio_node *node)
{
	kref_get(&node->ref);
}

/**
 * vfio_node_put - give a reference back
 * @node: node
 */
void vfio_node_put(struct vfio_node *node)
{
	kref_put(&node->ref, node_release);
}

/* The vfio_device's part of the node ends, with the device. */
static void vfio_node_abandon(struct vfio_node *node)
{
	xa_erase(&vfio_nodes, node->index);
	node->vdev = NULL;
	vfio_node_put(node);
}

/**
 * vfio_node_get_by_index - find the node of a registered device
 * @index: minor number
 *
 * Return: the node with a reference taken, or NULL.
 */
struct vfio_node *vfio_node_get_by_index(unsigned int index)
{
	struct vfio_node *node;

	xa_lock(&vfio_nodes);
	node = xa_load(&vfio_nodes, index);
	if (node)
		kref_get(&node->ref);
	xa_unlock(&vfio_nodes);
	return node;
}

/**
 * vfio_node_get_registration - become a user of the device behind a node
 * @node: node
 *
 * The driver does not get through vfio_unregister_group_dev() before
 * vfio_node_put_registration().
 *
 * Return: the device, or NULL when its driver has taken it away or is about
 * to: otherwise two users who take turns could keep it for ever.
 */
struct vfio_device *vfio_node_get_registration(struct vfio_node *node)
{
	if (READ_ONCE(node->leaving))
		return NULL;
	if (!refcount_inc_not_zero(&node->users))
		return NULL;
	return node->vdev;
}

/**
 * vfio_node_put_registration - end of vfio_node_get_registration()
 * @node: node
 */
void vfio_node_put_registration(struct vfio_node *node)
{
	if (refcount_dec_and_test(&node->users))
		complete(&node->idle);
}

static void vfio_node_publish(struct vfio_node *node)
{
	/* The device may have been registered before, and given up. */
	reinit_completion(&node->idle);
	WRITE_ONCE(node->leaving, false);
	refcount_set(&node->users, 1);
	/* The entry is reserved, so this cannot fail. */
	xa_store(&vfio_nodes, node->index, node, GFP_KERNEL);
}

/* For one interval. As wait_for_completion_timeout(), or -ERESTARTSYS. */
static long wait_idle(struct completion *idle, bool interruptible)
{
	const unsigned long limit = VFIO_REQUEST_INTERVAL;

	if (!interruptible)
		return wait_for_completion_timeout(idle, limit);
	return wait_for_completion_interruptible_timeout(idle, limit);
}

/*
 * Opposite of vfio_node_publish(): let no new user in, and see the present one
 * out. The wait has no limit, as the driver cannot go on without the device;
 * it asks again and again, and says who is waiting.
 */
static void vfio_node_withdraw(struct vfio_node *node)
{
	struct vfio_device *vdev = node->vdev;
	bool interruptible = true;
	unsigned int nr_asked = 0;
	long rc;

	xa_store(&vfio_nodes, node->index, NULL, GFP_KERNEL);
	WRITE_ONCE(node->leaving, true);
	vfio_node_put_registration(node);

	if (try_wait_for_completion(&node->idle))
		return;

	do {
		if (vdev->ops->request)
			vdev->ops->request(vdev, nr_asked);

		if (nr_asked++ == 1)
			dev_warn(vdev->dev,
				 "in use: %s (%d) waits until the device is released\n",
				 current->comm, task_pid_nr(current));

		rc = wait_idle(&node->idle, interruptible);
		/* A signal cannot end the wait: do not be woken by it again. */
		if (rc < 0)
			interruptible = false;
	} while (rc <= 0);
}

/**
 * vfio_node_of - our part of a device
 * @vdev: initialised device
 *
 * Return: its node, which it holds.
 */
struct vfio_node *vfio_node_of(struct vfio_device *vdev)
{
	return dev_get_drvdata(&vdev->device);
}

/* Last reference on vdev->device: it was registered once, or was not. */
static void vfio_device_release(struct device *dev)
{
	struct vfio_device *vdev = container_of(dev, struct vfio_device, device);

	vfio_device_set_leave(vdev);
	vfio_node_abandon(vfio_node_of(vdev));
	/* Frees vdev, by vfio_free_device(). */
	vdev->ops->release(vdev);
}

/**
 * vfio_init_device - make a vfio_device of zeroed memory
 * @vdev: memory
 * @dev: the device that the driver is bound to
 * @ops: the driver's operations; init() is called from here
 *
 * On success the way back is put_device(&vdev->device), which ends in
 * ops->release().
 *
 * Return: 0, or a negative errno, with everything as before.
 */
int vfio_init_device(struct vfio_device *vdev, struct device *dev,
		     const struct vfio_device_ops *ops)
{
	struct vfio_node *node;
	int rc;

	node = vfio_node_alloc(vdev);
	if (IS_ERR(node))
		return PTR_ERR(node);

	dev_set_drvdata(&vdev->device, node);
	vdev->index = node->index;
	vdev->dev = dev;
	vdev->ops = ops;

	if (ops->init) {
		rc = ops->init(vdev);
		if (rc)
			goto err_node;
	}

	device_initialize(&vdev->device);
	vdev->device.class = vfio_device_class;
	vdev->device.devt = vfio_cdev_devt(node->index);
	vdev->device.parent = dev;
	vdev->device.release = vfio_device_release;
	return 0;

err_node:
	/* init() may have joined a set before it failed. */
	vfio_device_set_leave(vdev);
	dev_set_drvdata(&vdev->device, NULL);
	vfio_node_abandon(node);
	return rc;
}
EXPORT_SYMBOL_GPL(vfio_init_device);

/**
 * _vfio_alloc_device - allocate a driver's structure, vfio_device first
 * @size: size of the driver's structure
 * @dev: as for vfio_init_device()
 * @ops: as for vfio_init_device()
 *
 * To be called by way of vfio_alloc_device().
 *
 * Return: the vfio_device, or ERR_PTR().
 */
struct vfio_device *_vfio_alloc_device(size_t size, struct device *dev,
				       const struct vfio_device_ops *ops)
{
	struct vfio_device *vdev;
	int rc;

	if (WARN_ON(size < sizeof(*vdev)))
		return ERR_PTR(-EINVAL);

	vdev = kvzalloc(size, GFP_KERNEL);
	if (!vdev)
		return ERR_PTR(-ENOMEM);

	rc = vfio_init_device(vdev, dev, ops);
	if (rc) {
		kvfree(vdev);
		return ERR_PTR(rc);
	}
	return vdev;
}
EXPORT_SYMBOL_GPL(_vfio_alloc_device);

/**
 * vfio_free_device - free what _vfio_alloc_device() allocated
 * @vdev: device
 *
 * For use in, or as, the driver's ops->release().
 */
void vfio_free_device(struct vfio_device *vdev)
{
	kvfree(vdev);
}
EXPORT_SYMBOL_GPL(vfio_free_device);

static int vfio_device_register(struct vfio_device *vdev, bool emulated)
{
	struct vfio_node *node = vfio_node_of(vdev);
	int rc;

	if (!vdev->dev_set) {
		rc = vfio_assign_device_set(vdev, vdev);
		if (rc)
			return rc;
	}

	rc = dev_set_name(&vdev->device, "vfio%u", node->index);
	if (rc)
		return rc;
	/* Kept for files that outlive the device, which may be registered again. */
	if (!node->name)
		node->name = kstrdup(dev_name(vdev->dev), GFP_KERNEL);
	if (!node->name)
		return -ENOMEM;

	node->emulated = emulated;
	rc = vfio_group_join(node);
	if (rc)
		return rc;
	if (!emulated && !node->noiommu &&
	    !device_iommu_capable(vdev->dev, IOMMU_CAP_CACHE_COHERENCY)) {
		rc = -EINVAL;
		goto err_join;
	}

	/* Who is told of the device by device_add() shall be able to open it. */
	vfio_node_publish(node);
	rc = device_add(&vdev->device);
	if (rc)
		goto err_publish;
	return 0;

err_publish:
	vfio_node_withdraw(node);
err_join:
	vfio_group_leave(node);
	return rc;
}

/**
 * vfio_register_group_dev - offer a device that does DMA through an IOMMU
 * @vdev: initialised device
 *
 * Return: 0, or a negative errno; -EINVAL when the device is in no IOMMU
 * group or its IOMMU cannot do cache-coherent DMA.
 */
int vfio_register_group_dev(struct vfio_device *vdev)
{
	return vfio_device_register(vdev, false);
}
EXPORT_SYMBOL_GPL(vfio_register_group_dev);

/**
 * vfio_register_emulated_iommu_dev - offer a device without DMA of its own
 * @vdev: initialised device
 *
 * Its driver reaches user memory through vfio_pin_pages() and vfio_dma_rw(),
 * by IOVA; no IOMMU is needed.
 *
 * Return: 0 or a negative errno.
 */
int vfio_register_emulated_iommu_dev(struct vfio_device *vdev)
{
	return vfio_device_register(vdev, true);
}
EXPORT_SYMBOL_GPL(vfio_register_emulated_iommu_dev);

/**
 * vfio_unregister_group_dev - take a device away
 * @vdev: registered device, of either kind
 *
 * Waits until its user, if there is one, has closed it.
 */
void vfio_unregister_group_dev(struct vfio_device *vdev)
{
	struct vfio_node *node = vfio_node_of(vdev);

	vfio_node_withdraw(node);
	device_del(&vdev->device);
	vfio_group_leave(node);
}
EXPORT_SYMBOL_GPL(vfio_unregister_group_dev);

static char *vfio_devnode(struct device *dev, umode_t *mode)
{
	return kasprintf(GFP_KERNEL, "vfio/devices/%s", dev_name(dev));
}

static int __init vfio_init(void)
{
	int rc;

	vfio_device_class = class_create(THIS_MODULE, "vfio-dev");
	if (IS_ERR(vfio_device_class))
		return PTR_ERR(vfio_device_class);
	vfio_device_class->devnode = vfio_devnode;

	rc = vfio_cdev_init();
	if (rc)
		goto err_class;
	rc = vfio_group_init();
	if (rc)
		goto err_cdev;
	rc = vfio_container_init();
	if (rc)
		goto err_group;

	pr_info("vfio: devices in /dev/vfio/devices, groups and containers in /dev/vfio, I/O page tables by iommufd\n");
	return 0;

err_group:
	vfio_group_exit();
err_cdev:
	vfio_cdev_exit();
err_class:
	class_destroy(vfio_device_class);
	return rc;
}

static void __exit vfio_exit(void)
{
	vfio_container_exit();
	vfio_group_exit();
	vfio_cdev_exit();
	class_destroy(vfio_device_class);
	WARN_ON(!xa_empty(&vfio_nodes));
}

module_init(vfio_init);
module_exit(vfio_exit);

MODULE_DESCRIPTION("VFIO core with device files, for the stock drivers of 6.1");
MODULE_LICENSE("GPL");
