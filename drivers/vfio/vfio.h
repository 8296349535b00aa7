/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of vfio.ko know of each other.
 *
 * Three objects:
 *
 * struct vfio_device	the driver's, laid out by the kernel's <linux/vfio.h>.
 *			Freed in the driver's remove(), by code of the driver's
 *			module, so nothing that userspace can keep open may
 *			refer to it unless the driver is being held, too.
 * struct vfio_node	ours, one for each vfio_device: what stands behind
 *			/dev/vfio/devices/vfioX. Holds the registration count.
 *			Outlives the vfio_device while device files are open.
 * struct vfio_handle	ours, one for each open device file: a user of the
 *			device. Made by cdev.c and by group.c.
 *
 * References:
 *
 *	handle   -> node	by kref, from open to release
 *	handle   -> vdev	by registration (node->users), from BIND to release
 *	vdev     -> node	by kref, from init to the end of the vdev
 *	node     -> vdev	none: valid while the caller has a registration
 *
 * So a file that was never bound keeps its node alive, and nothing of
 * the driver's: it blocks neither the driver's unbind nor its rmmod.
 *
 * Locks, outermost first:
 *
 *	vfio_groups_lock	which groups there are
 *	group->lock		container and devices of one group. Not held to
 *				open a device: dev_set->lock is not taken under it.
 *				Held to pin memory (SET_CONTAINER), so who is asked
 *				by a program waits for it killably
 *	dev_set->lock		open_device() and close_device(), open_count,
 *				the set's list. All devices that share a reset
 *				share it. Never held across access to user
 *				memory by us.
 *	handle->lock		attach, replace and detach of one handle
 *	iommufd's own locks
 *
 * The stock drivers take their own locks, and mmap_lock, inside dev_set->lock.
 * vfio_device_sets_lock and the spinlocks of the node table and of the hot resets
 * are leaves.
 */
#ifndef DRIVERS_VFIO_VFIO_H
#define DRIVERS_VFIO_VFIO_H

#include <linux/atomic.h>
#include <linux/cdev.h>
#include <linux/completion.h>
#include <linux/kref.h>
#include <linux/lockdep.h>
#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/vfio.h>

#ifndef VFIO_DEVICE_BIND_IOMMUFD
#error "the kernel's <uapi/linux/vfio.h> was found before ours: see Kbuild"
#endif

struct iommufd_access;
struct iommufd_ctx;
struct iommufd_device;
struct iommufd_place;
struct kvm;
struct seq_file;
struct vfio_group;
struct vfio_iommu_driver_ops;

/**
 * struct vfio_kvm - the VM that the devices behind a file belong to
 * @lock: protects @kvm; nothing is done under it
 * @kvm: a name, without a reference: KVM takes it back in time
 */
struct vfio_kvm {
	spinlock_t lock;
	struct kvm *kvm;
};

/**
 * struct vfio_node - what stands behind /dev/vfio/devices/vfioX
 * @ref: one for the vfio_device, one for each open file
 * @index: the X; also the minor number
 * @name: the device's, from when it is registered
 * @emulated: the driver reaches user memory through the core, not by DMA.
 *	Set before the node is published, constant afterwards
 * @in_use: somebody has the device, or is not yet done with giving it back;
 *	protected by dev_set->lock
 * @leaving: the driver wants the device back: nobody new may have it
 * @users: registration count: one for the driver until it unregisters, one
 *	for each bound handle. Zero before and after
 * @idle: completed by the last of @users
 * @vdev: the device. To be followed with a registration only
 * @noiommu: there is no IOMMU, and the administrator accepted that; as @emulated
 * @group: the device's group, from before it is published until after it was
 *	withdrawn
 * @group_link: in the group's list
 * @idev: iommufd's idea of a physical device, while it is bound. Like the three
 *	below it belongs to whoever has the device: the bound device file, under
 *	handle->lock once BIND is through; or the group while its container is set,
 *	under its lock; or for an emulated device the first open of the group
 * @access: the same of an @emulated device. Set from before open_device() until
 *	after close_device(), which is when the driver may ask for memory
 * @devid: iommufd's ID of the device
 * @attached: it reaches memory
 */
struct vfio_node {
	struct kref ref;
	u32 index;
	const char *name;
	bool emulated;
	bool noiommu;
	bool in_use;
	bool leaving;
	refcount_t users;
	struct completion idle;
	struct vfio_device *vdev;
	struct vfio_group *group;
	struct list_head group_link;
	struct iommufd_device *idev;
	struct iommufd_access *access;
	u32 devid;
	bool attached;
};

/**
 * enum vfio_handle_state - how far a device file has come
 * @VFIO_HANDLE_OPENED: answers BIND only
 * @VFIO_HANDLE_BINDING: one BIND is at work, and answers to nothing yet
 * @VFIO_HANDLE_BOUND: the device is open, everything passes
 */
enum vfio_handle_state {
	VFIO_HANDLE_OPENED,
	VFIO_HANDLE_BINDING,
	VFIO_HANDLE_BOUND,
};

/**
 * struct vfio_handle - one user of a device
 * @node: the device's node
 * @state: enum vfio_handle_state. The release that sets BOUND in
 *	vfio_handle_publish() pairs with the acquire in vfio_handle_is_bound()
 * @vdev: the device; set by the winner of BINDING, constant while BOUND
 * @ictx: the context, as @vdev
 * @group: the group through which the user came, or NULL; constant
 * @ioas_id: what a device is attached to that @group does not attach by itself
 * @kvm: of the device's own file
 * @coherent: KVM was promised that DMA is coherent; under @kvm's lock until BINDING
 * @lock: of the device's own file: protects @node's idev and what goes with it
 */
struct vfio_handle {
	struct vfio_node *node;
	atomic_t state;
	struct vfio_device *vdev;
	struct iommufd_ctx *ictx;
	struct vfio_group *group;
	u32 ioas_id;
	struct vfio_kvm kvm;
	bool coherent;
	struct mutex lock;
};

/* main.c */
struct vfio_node *vfio_node_get_by_index(unsigned int index);
void vfio_node_get(struct vfio_node *node);
void vfio_node_put(struct vfio_node *node);
struct vfio_node *vfio_node_of(struct vfio_device *vdev);
struct vfio_device *vfio_node_get_registration(struct vfio_node *node);
void vfio_node_put_registration(struct vfio_node *node);

/* device_set.c */
void vfio_device_set_leave(struct vfio_device *vdev);

/* cdev.c */
int vfio_cdev_init(void);
void vfio_cdev_exit(void);
dev_t vfio_cdev_devt(unsigned int index);
struct vfio_handle *vfio_handle_from_cdev(struct file *file);

/* group.c */
int vfio_group_init(void);
void vfio_group_exit(void);
int vfio_group_join(struct vfio_node *node);
void vfio_group_leave(struct vfio_node *node);
int vfio_group_enter_cdev(struct vfio_node *node);
void vfio_group_leave_cdev(struct vfio_node *node);
struct vfio_group *vfio_group_from_file(struct file *file);
struct vfio_kvm *vfio_group_kvm(struct vfio_group *group);
bool vfio_group_promise_coherency(struct vfio_group *group);

/* container_node.c */
#ifdef CONFIG_IOMMUFD_VFIO_CONTAINER
int vfio_container_init(void);
void vfio_container_exit(void);
#else
static inline int vfio_container_init(void)
{
	return 0;
}

static inline void vfio_container_exit(void)
{
}
#endif

/* kvm.c */
void vfio_kvm_init(struct vfio_kvm *name);
struct kvm *vfio_kvm_get(struct vfio_kvm *name);
void vfio_kvm_put(struct kvm *kvm);

/* handle.c */
struct vfio_handle *vfio_handle_alloc(struct vfio_node *node);
void vfio_handle_free(struct vfio_handle *handle);
int vfio_handle_open(struct vfio_handle *handle, struct kvm *kvm);
void vfio_handle_close(struct vfio_handle *handle);
void vfio_handle_publish(struct vfio_handle *handle);
bool vfio_handle_is_bound(struct vfio_handle *handle);
bool vfio_handle_promise_coherency(struct vfio_handle *handle);
int vfio_handle_pm_get(struct vfio_handle *handle);
void vfio_handle_pm_put(struct vfio_handle *handle);
long vfio_handle_ask_driver(struct vfio_handle *handle, unsigned int cmd,
			    unsigned long arg);
long vfio_handle_ioctl(struct vfio_handle *handle, unsigned int cmd,
		       unsigned long arg);
ssize_t vfio_handle_read(struct vfio_handle *handle, char __user *buf,
			 size_t count, loff_t *pos);
ssize_t vfio_handle_write(struct vfio_handle *handle, const char __user *buf,
			  size_t count, loff_t *pos);
int vfio_handle_mmap(struct vfio_handle *handle, struct vm_area_struct *vma);

/* hot_reset.c */
struct vfio_handle *vfio_hot_reset_handle(void);
bool vfio_hot_reset_takes(const struct vfio_handle *handle, struct file *file);
long vfio_hot_reset_info(struct vfio_handle *handle, unsigned long arg);
long vfio_hot_reset(struct vfio_handle *handle, unsigned long arg);

/* iommufd.c */
int vfio_iommufd_get_ctx(struct vfio_handle *handle, int fd);
void vfio_iommufd_put_ctx(struct vfio_handle *handle);
int vfio_iommufd_bind(struct vfio_node *node, struct iommufd_ctx *ictx);
bool vfio_iommufd_is_bound(const struct vfio_node *node);
void vfio_iommufd_unbind(struct vfio_node *node);
int vfio_iommufd_id_in(struct vfio_device *vdev, struct iommufd_ctx *ictx);
int vfio_iommufd_attach(struct vfio_node *node, u32 *pt_id);
int vfio_iommufd_replace(struct vfio_node *node, u32 *pt_id);
void vfio_iommufd_detach(struct vfio_node *node);
bool vfio_iommufd_will_be_coherent(const struct vfio_node *node);
int vfio_iommufd_require_coherency(struct vfio_node *node);
void vfio_iommufd_place(struct vfio_node *node, struct iommufd_place *place);

/* fdinfo.c */
void vfio_fdinfo_show(struct seq_file *m, struct vfio_handle *handle);

/* feature.c */
int vfio_feature_ioctl(struct vfio_device *vdev,
		       struct vfio_device_feature __user *uarg);

/* logging.c */
int vfio_logging_start(struct vfio_device *vdev, u32 flags, void __user *uarg,
		       size_t size);
int vfio_logging_stop(struct vfio_device *vdev, u32 flags, void __user *uarg,
		      size_t size);
int vfio_logging_report(struct vfio_device *vdev, u32 flags, void __user *uarg,
			size_t size);

/* migration.c */
int vfio_migration_feature(struct vfio_device *vdev, u32 flags,
			   void __user *uarg, size_t size);
int vfio_migration_state_feature(struct vfio_device *vdev, u32 flags,
				 void __user *uarg, size_t size);

/* legacy.c: the stock core declares these two in a header of its own */
int vfio_register_iommu_driver(const struct vfio_iommu_driver_ops *ops);
void vfio_unregister_iommu_driver(const struct vfio_iommu_driver_ops *ops);

#endif
