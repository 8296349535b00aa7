// SPDX-License-Identifier: GPL-2.0
/*
 * Device sets: the devices that are opened, closed and reset under one lock.
 *
 * The driver names a set by a pointer of its own (for PCI, the slot or bus).
 * A set exists as long as it has devices; a device joins once, at the latest
 * when it is registered, and leaves when it is released.
 */
#include <linux/slab.h>
#include <linux/xarray.h>

#include "vfio.h"

/* The sets by their name. Protects set->device_count, too. */
static DEFINE_MUTEX(vfio_device_sets_lock);
static DEFINE_XARRAY(vfio_device_sets);

/* Find or make the set, and count one more device in it. */
static struct vfio_device_set *device_set_get(void *set_id)
{
	unsigned long key = (unsigned long)set_id;
	struct vfio_device_set *set;
	int rc;

	mutex_lock(&vfio_device_sets_lock);
	set = xa_load(&vfio_device_sets, key);
	if (!set) {
		set = kzalloc(sizeof(*set), GFP_KERNEL);
		if (!set) {
			rc = -ENOMEM;
			goto err_lock;
		}
		mutex_init(&set->lock);
		INIT_LIST_HEAD(&set->device_list);
		set->set_id = set_id;

		rc = xa_insert(&vfio_device_sets, key, set, GFP_KERNEL);
		if (rc)
			goto err_set;
	}
	set->device_count++;
	mutex_unlock(&vfio_device_sets_lock);
	return set;

err_set:
	mutex_destroy(&set->lock);
	kfree(set);
err_lock:
	mutex_unlock(&vfio_device_sets_lock);
	return ERR_PTR(rc);
}

/* Opposite of device_set_get(). */
static void device_set_put(struct vfio_device_set *set)
{
	mutex_lock(&vfio_device_sets_lock);
	set->device_count--;
	if (!set->device_count) {
		xa_erase(&vfio_device_sets, (unsigned long)set->set_id);
		mutex_destroy(&set->lock);
		kfree(set);
	}
	mutex_unlock(&vfio_device_sets_lock);
}

/**
 * vfio_assign_device_set - let a device join a set
 * @vdev: device that is in no set yet
 * @set_id: name of the set: any pointer, the same for all of its devices
 *
 * Return: 0, -EINVAL for no name, or -ENOMEM.
 */
int vfio_assign_device_set(struct vfio_device *vdev, void *set_id)
{
	struct vfio_device_set *set;

	if (WARN_ON(!set_id))
		return -EINVAL;

	set = device_set_get(set_id);
	if (IS_ERR(set))
		return PTR_ERR(set);

	mutex_lock(&set->lock);
	vdev->dev_set = set;
	list_add_tail(&vdev->dev_set_list, &set->device_list);
	mutex_unlock(&set->lock);
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_assign_device_set);

/**
 * vfio_device_set_leave - take a device out of its set
 * @vdev: device that nobody uses any more; it may be in no set
 *
 * Opposite of vfio_assign_device_set().
 */
void vfio_device_set_leave(struct vfio_device *vdev)
{
	struct vfio_device_set *set = vdev->dev_set;

	if (!set)
		return;

	mutex_lock(&set->lock);
	list_del(&vdev->dev_set_list);
	vdev->dev_set = NULL;
	mutex_unlock(&set->lock);

	device_set_put(set);
}

/**
 * vfio_device_set_open_count - how many opens do the devices of a set have?
 * @set: set, locked by the caller
 *
 * A device counts from before its open_device() until after its
 * close_device(): a driver that finds 1 while closing is the last.
 *
 * Return: the sum over the set.
 */
unsigned int vfio_device_set_open_count(struct vfio_device_set *set)
{
	struct vfio_device *vdev;
	unsigned int nr_opens = 0;

	lockdep_assert_held(&set->lock);

	list_for_each_entry(vdev, &set->device_list, dev_set_list)
		nr_opens += vdev->open_count;
	return nr_opens;
}
EXPORT_SYMBOL_GPL(vfio_device_set_open_count);
