// SPDX-License-Identifier: GPL-2.0
/*
 * Hot reset: VFIO_DEVICE_GET_PCI_HOT_RESET_INFO and VFIO_DEVICE_PCI_HOT_RESET.
 *
 * Such a reset takes every function of a slot or bus along, so whoever asks has
 * to own them all. Through a group the owner shows the files of all groups, and
 * both ioctls are the driver's alone. Through a device's own file it is by
 * context: the iommufd to which the device is bound must own each device's IOMMU
 * group. The array of files is empty then.
 *
 * INFO by context is answered here. RESET by context is the stock driver's, who
 * knows how to quiesce its devices, but not what a context is: it wants an array
 * of files in user memory, and has two questions about each file, which are ours
 * to answer:
 *
 *	vfio_file_is_group()	is that one of those files?
 *	vfio_file_has_dev()	does its holder own this device? Under
 *				dev_set->lock, for every device of the set
 *
 * So the driver gets an array of one file, the one that the program has called,
 * in a page that is mapped for the purpose. It is a token and proves nothing.
 * What counts is that the task which asks is inside vfio_hot_reset(): it has left
 * a record, on its stack, of the file it came through. With a record,
 *
 *	of a device's own file	that file is one, and has the devices that the
 *				context owns at that moment. No other file is
 *	of a group's device	the files of groups are. A device's own is not,
 *				though KVM is told that it is
 *	without one		(KVM) both are
 *
 * A program has many ways to meddle, from other threads: rewrite, unmap or remap
 * the page, close the file or put another in its place. All it can reach is that
 * the driver reads nonsense, as it could from any program, and refuses: files
 * that are not the one in the record are of no use, and the answer for that one
 * depends neither on the page nor on its number. For the same reason groups and
 * contexts cannot be mixed in one reset. fork() between map and unmap leaves the
 * child a page that it does not know of.
 *
 * The number of the file is looked up, as an ioctl is not told. A new one would
 * not do: it could not be had at the limit of open files, all threads would see
 * it, and if one of them closed it and opened something else, we would close
 * that. Two things can be missing: the file has been closed meanwhile (EBADF), or
 * there is no room for a page (ENOMEM: RLIMIT_AS, the number of mappings; EAGAIN:
 * mlockall() and RLIMIT_MEMLOCK).
 *
 * A device that is bound to the context is in a group that the context owns, so
 * the group is all that needs to be asked. If another context or container gets
 * it right after the answer, nobody is disturbed: opening the device waits for
 * dev_set->lock, which is held until the reset is over.
 *
 * VFs are in sets of their own and not reset along with others by the driver:
 * where the bus has one it refuses. It does not see those that have a bus number
 * other than the PF's, so a PF with VFs is refused here as well.
 */
#include <linux/fdtable.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "vfio.h"

#define INFO_MINSZ	offsetofend(struct vfio_pci_hot_reset_info, count)
#define RESET_MINSZ	offsetofend(struct vfio_pci_hot_reset, count)

/**
 * struct hot_reset - a task is inside vfio_hot_reset()
 * @link: in hot_resets
 * @task: the task, whose stack this is on
 * @handle: through which file
 */
struct hot_reset {
	struct list_head link;
	struct task_struct *task;
	struct vfio_handle *handle;
};

/* There are as many as tasks that reset right now. The lock is a leaf. */
static DEFINE_SPINLOCK(hot_resets_lock);
static LIST_HEAD(hot_resets);

static void hot_reset_begin(struct hot_reset *reset, struct vfio_handle *handle)
{
	reset->task = current;
	reset->handle = handle;
	spin_lock(&hot_resets_lock);
	list_add(&reset->link, &hot_resets);
	spin_unlock(&hot_resets_lock);
}

static void hot_reset_end(struct hot_reset *reset)
{
	spin_lock(&hot_resets_lock);
	list_del(&reset->link);
	spin_unlock(&hot_resets_lock);
}

/**
 * vfio_hot_reset_handle - is the calling task inside a hot reset?
 *
 * Return: the handle through which it resets, which stays until it is through; or
 * NULL.
 */
struct vfio_handle *vfio_hot_reset_handle(void)
{
	struct vfio_handle *handle = NULL;
	struct hot_reset *reset;

	spin_lock(&hot_resets_lock);
	list_for_each_entry(reset, &hot_resets, link) {
		if (reset->task == current) {
			handle = reset->handle;
			break;
		}
	}
	spin_unlock(&hot_resets_lock);
	return handle;
}

/**
 * vfio_hot_reset_takes - may this file be in the array of a reset?
 * @handle: of vfio_hot_reset_handle()
 * @file: any file
 *
 * Return: true for the file of @handle itself; or, where that is a group's device,
 * for all files of groups.
 */
bool vfio_hot_reset_takes(const struct vfio_handle *handle, struct file *file)
{
	if (handle->group)
		return vfio_group_from_file(file);
	return vfio_handle_from_cdev(file) == handle;
}

/* The context owns the device, and nobody has a part of it. */
static bool context_may_reset(struct iommufd_ctx *ictx,
			      struct vfio_device *vdev)
{
	return vfio_iommufd_id_in(vdev, ictx) >= 0 &&
	       !(dev_is_pci(vdev->dev) && pci_num_vf(to_pci_dev(vdev->dev)));
}

/**
 * vfio_file_has_dev - does the holder of a file own a device?
 * @file: any file
 * @vdev: device; its set's lock is held
 *
 * Only hot resets ask.
 *
 * Return: true for the file of the device's group; or, in a reset through a
 * device's own file, for that file when its context owns the device.
 */
bool vfio_file_has_dev(struct file *file, struct vfio_device *vdev)
{
	struct vfio_handle *handle = vfio_hot_reset_handle();
	struct vfio_group *group;

	if (handle && !handle->group)
		return vfio_hot_reset_takes(handle, file) &&
		       context_may_reset(handle->ictx, vdev);
	group = vfio_group_from_file(file);
	return group && vfio_node_of(vdev)->group == group;
}
EXPORT_SYMBOL_GPL(vfio_file_has_dev);

/*
 * What is reset along with a device
 */

/**
 * struct affected - the functions that share a reset
 * @slot: those below it, or NULL: all of the bus
 * @bus: where they are
 * @nr: how many
 * @max: how many there is room for in @devices
 * @devices: references
 */
struct affected {
	struct pci_slot *slot;
	struct pci_bus *bus;
	unsigned int nr;
	unsigned int max;
	struct pci_dev **devices;
};

static bool is_below(const struct pci_dev *pdev, const struct pci_slot *slot)
{
	while (pdev && pdev->bus != slot->bus)
		pdev = pdev->bus->self;
	return pdev && pdev->slot == slot;
}

static int affected_add(struct pci_dev *pdev, void *data)
{
	struct affected *set = data;

	if (set->slot && !is_below(pdev, set->slot))
		return 0;
	if (set->nr < set->max)
		set->devices[set->nr] = pci_dev_get(pdev);
	set->nr++;
	return 0;
}

static void affected_walk(struct affected *set)
{
	set->nr = 0;
	pci_walk_bus(set->bus, affected_add, set);
}

/* Which reset there is, and for how many. */
static int affected_init(struct affected *set, struct pci_dev *pdev)
{
	memset(set, 0, sizeof(*set));
	set->bus = pdev->bus;
	if (!pci_probe_reset_slot(pdev->slot))
		set->slot = pdev->slot;
	else if (pci_probe_reset_bus(pdev->bus))
		return -ENODEV;
	affected_walk(set);
	return 0;
}

static void affected_uninit(struct affected *set)
{
	unsigned int i;

	for (i = 0; i < min(set->nr, set->max); i++)
		pci_dev_put(set->devices[i]);
	kfree(set->devices);
}

/* -EAGAIN: there are more than there were. */
static int affected_fill(struct affected *set)
{
	set->devices = kcalloc(set->nr, sizeof(*set->devices),
			       GFP_KERNEL_ACCOUNT);
	if (!set->devices)
		return -ENOMEM;
	set->max = set->nr;
	affected_walk(set);
	return set->nr > set->max ? -EAGAIN : 0;
}

static struct vfio_device *find_in_set(struct vfio_device_set *dev_set,
				       struct pci_dev *pdev)
{
	struct vfio_device *vdev;

	lockdep_assert_held(&dev_set->lock);
	list_for_each_entry(vdev, &dev_set->device_list, dev_set_list)
		if (vdev->dev == &pdev->dev)
			return vdev;
	return NULL;
}

/* Describe one function. Returns whether a reset by context may take it along. */
static bool fill_one(struct vfio_handle *handle, struct pci_dev *pdev,
		     struct vfio_pci_dependent_device *entry)
{
	struct vfio_device *vdev = find_in_set(handle->vdev->dev_set, pdev);
	int id = -ENOENT;

	/* Another driver's, or nobody's, is not ours though its group may be. */
	if (vdev)
		id = vfio_iommufd_id_in(vdev, handle->ictx);
	if (id > 0)
		entry->devid = id;
	else
		entry->devid = id ? VFIO_PCI_DEVID_NOT_OWNED :
				    VFIO_PCI_DEVID_OWNED;
	entry->segment = pci_domain_nr(pdev->bus);
	entry->bus = pdev->bus->number;
	entry->devfn = pdev->devfn;
	return vdev && context_may_reset(handle->ictx, vdev);
}

/* Returns whether all may be. */
static bool fill_all(struct vfio_handle *handle, const struct affected *set,
		     struct vfio_pci_dependent_device *entries)
{
	struct mutex *lock = &handle->vdev->dev_set->lock;
	bool all = true;
	unsigned int i;

	/* One answer for one moment: nobody opens or closes any of them. */
	mutex_lock(lock);
	for (i = 0; i < set->nr; i++)
		all &= fill_one(handle, set->devices[i], &entries[i]);
	mutex_unlock(lock);
	return all;
}

static long info_copy_out(struct vfio_handle *handle, struct affected *set,
			  struct vfio_pci_hot_reset_info __user *uarg,
			  struct vfio_pci_hot_reset_info *info)
{
	struct vfio_pci_dependent_device *entries;
	long rc = 0;

	entries = kcalloc(set->nr, sizeof(*entries), GFP_KERNEL_ACCOUNT);
	if (!entries)
		return -ENOMEM;
	info->count = set->nr;
	info->flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID;
	if (fill_all(handle, set, entries))
		info->flags |= VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED;
	if (copy_to_user(uarg->devices, entries, set->nr * sizeof(*entries)) ||
	    copy_to_user(uarg, info, INFO_MINSZ))
		rc = -EFAULT;
	kfree(entries);
	return rc;
}

static long info_by_context(struct vfio_handle *handle,
			    struct vfio_pci_hot_reset_info __user *uarg)
{
	struct vfio_pci_hot_reset_info info;
	struct affected set;
	long rc;

	if (copy_from_user(&info, uarg, INFO_MINSZ))
		return -EFAULT;
	if (info.argsz < INFO_MINSZ)
		return -EINVAL;
	rc = affected_init(&set, to_pci_dev(handle->vdev->dev));
	if (rc)
		return rc;

	if (info.argsz < struct_size(&info, devices, set.nr)) {
		info.flags = 0;
		info.count = set.nr;
		return copy_to_user(uarg, &info, INFO_MINSZ) ? -EFAULT : -ENOSPC;
	}
	rc = affected_fill(&set);
	if (!rc)
		rc = info_copy_out(handle, &set, uarg, &info);
	affected_uninit(&set);
	return rc;
}

/*
 * The reset
 */

static int is_file_of(const void *handle, struct file *file, unsigned int fd)
{
	return vfio_handle_from_cdev(file) == handle ? fd + 1 : 0;
}

/* Under which number has the caller this file open? The lowest will do. */
static int handle_fd(struct vfio_handle *handle)
{
	return iterate_fd(current->files, 0, is_file_of, handle) - 1;
}

static long driver_reset(struct vfio_handle *handle, unsigned long arg)
{
	struct hot_reset reset;
	long rc;

	hot_reset_begin(&reset, handle);
	rc = vfio_handle_ask_driver(handle, VFIO_DEVICE_PCI_HOT_RESET, arg);
	hot_reset_end(&reset);
	return rc;
}

/* What the driver is shown: the file itself. */
struct token {
	__u32 argsz;
	__u32 flags;
	__u32 count;
	__s32 fd;
};
static_assert(offsetof(struct token, fd) ==
	      offsetof(struct vfio_pci_hot_reset, group_fds));

static long reset_by_context(struct vfio_handle *handle,
			     struct vfio_pci_hot_reset __user *uarg)
{
	struct token token = { .argsz = sizeof(token), .count = 1 };
	struct vfio_pci_hot_reset arg;
	unsigned long page;
	long rc;

	if (copy_from_user(&arg, uarg, RESET_MINSZ))
		return -EFAULT;
	if (arg.argsz < RESET_MINSZ || arg.flags || arg.count)
		return -EINVAL;
	token.fd = handle_fd(handle);
	if (token.fd < 0)
		return -EBADF;

	page = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, 0);
	if (IS_ERR_VALUE(page))
		return page;
	if (copy_to_user((void __user *)page, &token, sizeof(token)))
		rc = -EFAULT;
	else
		rc = driver_reset(handle, page);
	/* Fails for a task that is being killed: its memory goes anyway. */
	vm_munmap(page, PAGE_SIZE);
	return rc;
}

/* The devices for which there is such a reset, through their own files. */
static bool is_by_context(const struct vfio_handle *handle)
{
	return !handle->group && !handle->node->emulated &&
	       dev_is_pci(handle->vdev->dev);
}

/**
 * vfio_hot_reset_info - VFIO_DEVICE_GET_PCI_HOT_RESET_INFO
 * @handle: bound handle; the device is awake
 * @arg: argument
 *
 * Return: 0, or by context: -EFAULT; -EINVAL too short to hold anything; -ENODEV
 * nothing can be reset so; -ENOSPC no room for all; -ENOMEM; -EAGAIN functions
 * are being plugged in. Otherwise as the driver.
 */
long vfio_hot_reset_info(struct vfio_handle *handle, unsigned long arg)
{
	if (is_by_context(handle))
		return info_by_context(handle, (void __user *)arg);
	return vfio_handle_ask_driver(handle, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
				      arg);
}

/**
 * vfio_hot_reset - VFIO_DEVICE_PCI_HOT_RESET
 * @handle: bound handle; the device is awake
 * @arg: argument
 *
 * Return: as the driver; or by context, before it is asked: -EFAULT; -EINVAL too
 * short, flags, or an array that is not empty; -EBADF, -ENOMEM, -EAGAIN: see above.
 */
long vfio_hot_reset(struct vfio_handle *handle, unsigned long arg)
{
	if (is_by_context(handle))
		return reset_by_context(handle, (void __user *)arg);
	return driver_reset(handle, arg);
}
