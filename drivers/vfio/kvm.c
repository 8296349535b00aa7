// SPDX-License-Identifier: GPL-2.0
/*
 * KVM: which VM a file's devices belong to, and what KVM asks about files.
 *
 * KVM names a VM for a file (a group's, or a device's own) and takes the name
 * back before the VM goes. While a device is being opened we hold a reference to
 * the VM, so that the driver finds it alive in vdev->kvm and can take one of its
 * own; afterwards it is the driver's matter. A reference for as long as the device
 * is open would be a circle where KVM in turn holds the device's file.
 *
 * The name has a lock of its own, under which nothing else happens: KVM calls with
 * its locks held, and drivers call KVM from open_device() and close_device().
 *
 * kvm.ko is not a dependency: its functions are looked up when there is a VM, for
 * then it is loaded.
 */
#include <linux/kvm_host.h>
#include <linux/module.h>

#include "vfio.h"

/**
 * vfio_kvm_init - no VM yet
 * @name: where a file keeps its VM
 */
void vfio_kvm_init(struct vfio_kvm *name)
{
	spin_lock_init(&name->lock);
	name->kvm = NULL;
}

/**
 * vfio_kvm_get - hold the VM of a file while a device is opened
 * @name: of the file
 *
 * Return: the VM, to be given to vfio_kvm_put(), or NULL when there is none or it
 * is ending.
 */
struct kvm *vfio_kvm_get(struct vfio_kvm *name)
{
	struct kvm *kvm = NULL;
#if IS_ENABLED(CONFIG_KVM)
	bool (*get)(struct kvm *kvm);

	spin_lock(&name->lock);
	if (name->kvm) {
		get = symbol_get(kvm_get_kvm_safe);
		/* The reference to kvm.ko stays until the put. */
		if (get && get(name->kvm))
			kvm = name->kvm;
		else if (get)
			symbol_put(kvm_get_kvm_safe);
	}
	spin_unlock(&name->lock);
#endif
	return kvm;
}

/**
 * vfio_kvm_put - end of vfio_kvm_get()
 * @kvm: VM or NULL. No lock is held: this can be the end of the VM
 */
void vfio_kvm_put(struct kvm *kvm)
{
#if IS_ENABLED(CONFIG_KVM)
	void (*put)(struct kvm *kvm);

	if (!kvm)
		return;
	put = symbol_get(kvm_put_kvm);
	if (!WARN_ON(!put)) {
		put(kvm);
		symbol_put(kvm_put_kvm);
	}
	symbol_put(kvm_get_kvm_safe);
#endif
}

static struct vfio_kvm *file_kvm(struct file *file)
{
	struct vfio_handle *handle = vfio_handle_from_cdev(file);
	struct vfio_group *group = vfio_group_from_file(file);

	if (handle)
		return &handle->kvm;
	return group ? vfio_group_kvm(group) : NULL;
}

/**
 * vfio_file_is_group - may KVM or a hot reset take this file?
 * @file: any file
 *
 * A device's own file is welcome to KVM as a group's is. A hot reset is choosier;
 * it asks for each device, too, by vfio_file_has_dev().
 *
 * Return: whether devices stand behind it, and the caller may have them so.
 */
bool vfio_file_is_group(struct file *file)
{
	struct vfio_handle *resetting = vfio_hot_reset_handle();

	if (resetting)
		return vfio_hot_reset_takes(resetting, file);
	return file_kvm(file);
}
EXPORT_SYMBOL_GPL(vfio_file_is_group);

/**
 * vfio_file_set_kvm - tell the devices behind a file about their VM
 * @file: any file
 * @kvm: VM, or NULL to forget it
 *
 * A device learns of it when it is opened the next time.
 */
void vfio_file_set_kvm(struct file *file, struct kvm *kvm)
{
	struct vfio_kvm *name = file_kvm(file);

	if (!name)
		return;
	spin_lock(&name->lock);
	name->kvm = kvm;
	spin_unlock(&name->lock);
}
EXPORT_SYMBOL_GPL(vfio_file_set_kvm);

/**
 * vfio_file_enforced_coherent - is DMA coherent whatever the device asks for?
 * @file: any file
 *
 * KVM asks once, when the file is added; it lets the guest flush caches if not. So
 * a yes is a promise: page tables that cannot keep it are refused from then on.
 *
 * Return: true when the IOMMU can make it so, or nothing of ours is behind @file.
 */
bool vfio_file_enforced_coherent(struct file *file)
{
	struct vfio_handle *handle = vfio_handle_from_cdev(file);
	struct vfio_group *group = vfio_group_from_file(file);

	if (group)
		return vfio_group_promise_coherency(group);
	return !handle || vfio_handle_promise_coherency(handle);
}
EXPORT_SYMBOL_GPL(vfio_file_enforced_coherent);
