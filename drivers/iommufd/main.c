// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/iommu: one file is one context, and the ioctl table.
 *
 * Every ioctl passes a structure whose first member is its size as userspace
 * knows it, so that both sides may grow. What that means is settled here, once:
 * a size below the first published one is EINVAL, bytes that this kernel does
 * not know must be zero (E2BIG), bytes that userspace does not know read as
 * zero. A handler sees a complete structure in kernel memory.
 *
 * Lock order of the module, outermost first:
 *
 *	container.lock			the groups of a container; held while its
 *					address space goes
 *	iommufd_ctx.groups_lock		which groups the context has
 *	device_group.lock		where a group is attached
 *	iommufd_access.change_lock	which address space an access is on
 *	ioas.attach_lock		birth and death of automatic page tables
 *	ioas.tables_sem			write: page tables come and go;
 *					read: map, unmap, copy
 *	pinned.filling			one at a time pins into a span
 *	mmap_lock, by faulting and pinning
 *	hwpt.move_sem			read: map, unmap; write: move devices;
 *					never held to pin or to fault
 *	ioas.lock, ictx.span_locks	short, never held to pin or to fault
 *	iommufd_access.lock		inside ioas.lock
 *	ictx.owner_lock, lock of the ID table
 *	ictx.spans.lock
 *	ictx.reasons.lock		a leaf, for anybody
 *
 * The IOMMU core's group->mutex is taken inside iommu_core.c only, and nothing
 * of ours is taken under it. A driver's unmap() is called with tables_sem held
 * for reading, or with change_lock; what it may do takes neither. vfio's locks
 * (dev_set->lock, a group's) come before all of these.
 */
#include <linux/fault-inject-usercopy.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommufd.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/nospec.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <uapi/linux/iommufd.h>

#include "device.h"
#include "fdinfo.h"
#include "hw_info.h"
#include "hwpt.h"
#include "ioas.h"
#include "ioctl.h"
#include "mock.h"
#include "object.h"
#include "option.h"
#include "pinned.h"
#include "reason.h"
#include "unsupported.h"

static int iommufd_destroy(struct iommufd_ucmd *ucmd)
{
	struct iommu_destroy *cmd = ucmd->cmd;

	return iommufd_object_destroy(ucmd->ictx, cmd->id);
}

/* Room for the largest structure of the table. */
union ioctl_buffer {
	MOCK_IOCTL_BUFFER
	struct iommu_destroy destroy;
	struct hwpt_alloc_arg hwpt_alloc;
	struct iommu_hw_info hw_info;
	struct iommu_option option;
	struct iommu_vfio_ioas vfio_ioas;
	struct iommu_ioas_alloc alloc;
	struct iommu_ioas_iova_ranges iova_ranges;
	struct iommu_ioas_allow_iovas allow_iovas;
	struct iommu_ioas_map map;
	struct iommu_ioas_map_file map_file;
	struct iommu_ioas_copy copy;
	struct iommu_ioas_unmap unmap;
	struct iommu_ioas_change_process change_process;
	struct iommu_hwpt_set_dirty_tracking set_dirty_tracking;
	struct iommu_hwpt_get_dirty_bitmap get_dirty_bitmap;
	struct iommu_hwpt_invalidate invalidate;
	struct iommu_fault_alloc fault;
	struct iommu_viommu_alloc viommu;
	struct iommu_vdevice_alloc vdevice;
	struct iommu_veventq_alloc veventq;
	struct iommu_hw_queue_alloc hw_queue;
};

struct ioctl_op {
	unsigned int cmd;
	unsigned int size;
	unsigned int min_size;
	const char *name;
	int (*execute)(struct iommufd_ucmd *ucmd);
};

#define IOCTL_OP(_cmd, _fn, _struct, _last)				\
	[_IOC_NR(_cmd) - IOMMUFD_CMD_BASE] = {				\
		.cmd = _cmd,						\
		.size = sizeof(_struct) +				\
			BUILD_BUG_ON_ZERO(sizeof(union ioctl_buffer) <	\
					  sizeof(_struct)),		\
		.min_size = offsetofend(_struct, _last),		\
		.name = #_cmd,						\
		.execute = _fn,						\
	}

/* By number. */
static const struct ioctl_op ioctl_ops[] = {
	IOCTL_OP(IOMMU_DESTROY, iommufd_destroy, struct iommu_destroy, id),
	IOCTL_OP(IOMMU_IOAS_ALLOC, ioas_ioctl_alloc,
		 struct iommu_ioas_alloc, out_ioas_id),
	IOCTL_OP(IOMMU_IOAS_ALLOW_IOVAS, ioas_ioctl_allow_iovas,
		 struct iommu_ioas_allow_iovas, allowed_iovas),
	IOCTL_OP(IOMMU_IOAS_COPY, ioas_ioctl_copy,
		 struct iommu_ioas_copy, src_iova),
	IOCTL_OP(IOMMU_IOAS_IOVA_RANGES, ioas_ioctl_iova_ranges,
		 struct iommu_ioas_iova_ranges, out_iova_alignment),
	IOCTL_OP(IOMMU_IOAS_MAP, ioas_ioctl_map, struct iommu_ioas_map, iova),
	IOCTL_OP(IOMMU_IOAS_MAP_FILE, ioas_ioctl_map_file,
		 struct iommu_ioas_map_file, iova),
	IOCTL_OP(IOMMU_IOAS_UNMAP, ioas_ioctl_unmap,
		 struct iommu_ioas_unmap, length),
	IOCTL_OP(IOMMU_IOAS_CHANGE_PROCESS, ioas_ioctl_change_process,
		 struct iommu_ioas_change_process, __reserved),
	IOCTL_OP(IOMMU_OPTION, option_ioctl, struct iommu_option, val64),
	IOCTL_OP(IOMMU_VFIO_IOAS, vfio_ioas_ioctl,
		 struct iommu_vfio_ioas, __reserved),
	IOCTL_OP(IOMMU_HWPT_ALLOC, hwpt_ioctl_alloc,
		 struct hwpt_alloc_arg, cmd.__reserved),
	IOCTL_OP(IOMMU_GET_HW_INFO, hw_info_ioctl,
		 struct iommu_hw_info, __reserved),
	IOCTL_OP(IOMMU_HWPT_SET_DIRTY_TRACKING, unsupported_set_dirty_tracking,
		 struct iommu_hwpt_set_dirty_tracking, __reserved),
	IOCTL_OP(IOMMU_HWPT_GET_DIRTY_BITMAP, unsupported_get_dirty_bitmap,
		 struct iommu_hwpt_get_dirty_bitmap, data),
	IOCTL_OP(IOMMU_HWPT_INVALIDATE, unsupported_invalidate,
		 struct iommu_hwpt_invalidate, __reserved),
	IOCTL_OP(IOMMU_FAULT_QUEUE_ALLOC, unsupported_fault_queue,
		 struct iommu_fault_alloc, out_fault_fd),
	IOCTL_OP(IOMMU_VIOMMU_ALLOC, unsupported_viommu,
		 struct iommu_viommu_alloc, data_uptr),
	IOCTL_OP(IOMMU_VDEVICE_ALLOC, unsupported_vdevice,
		 struct iommu_vdevice_alloc, virt_id),
	IOCTL_OP(IOMMU_VEVENTQ_ALLOC, unsupported_veventq,
		 struct iommu_veventq_alloc, __reserved),
	IOCTL_OP(IOMMU_HW_QUEUE_ALLOC, unsupported_hw_queue,
		 struct iommu_hw_queue_alloc, length),
	MOCK_IOCTL_OP
};

/* Where is the byte that must be 0? Userspace may have changed it meanwhile. */
static noinline __cold
int explain_tail(const struct iommufd_ucmd *ucmd, unsigned int size)
{
	unsigned int at;
	u8 byte;

	for (at = size; at < ucmd->user_size; at++)
		if (get_user(byte, (u8 __user *)ucmd->ubuffer + at) || byte)
			break;
	return reason_set(ucmd->ictx, -E2BIG,
			  "size is %u, and byte %u, which means nothing here, is not 0: %u bytes are known",
			  ucmd->user_size, at, size);
}

/*
 * A structure that is as long as the compiler knows, in words. Otherwise the kernel
 * looks at how long it may be, which takes longer than the copy. False: there is
 * something about it that takes a closer look.
 */
static __always_inline bool copy_words(void *to, const void __user *from,
				       const size_t size)
{
	const u64 __user *user = from;
	u64 *words = to;
	unsigned int i;

	BUILD_BUG_ON(size % sizeof(*words));
	/* (an injected failure, as copy_from_user() has it) */
	if (should_fail_usercopy() || !user_access_begin(user, size))
		return false;
#pragma GCC unroll 8
	for (i = 0; i < size / sizeof(*words); i++)
		unsafe_get_user(words[i], &user[i], err_access);
	user_access_end();
	return *(u32 *)to == size;

err_access:
	user_access_end();
	return false;
}

static noinline
int copy_in(const struct ioctl_op *op, struct iommufd_ucmd *ucmd,
	    union ioctl_buffer *buffer)
{
	struct iommufd_ctx *ictx = ucmd->ictx;
	int rc;

	rc = get_user(ucmd->user_size, (u32 __user *)ucmd->ubuffer);
	if (rc)
		return rc;
	if (ucmd->user_size < op->min_size)
		return reason_set(ictx, -EINVAL,
				  "size is %u, the structure has at least %u bytes",
				  ucmd->user_size, op->min_size);
	/* No structure ever; bounds the look at the tail. */
	if (ucmd->user_size > PAGE_SIZE)
		return reason_set(ictx, -E2BIG, "size is %u, over %lu",
				  ucmd->user_size, PAGE_SIZE);

	rc = copy_struct_from_user(buffer, op->size, ucmd->ubuffer,
				   ucmd->user_size);
	return rc == -E2BIG ? explain_tail(ucmd, op->size) : rc;
}

static noinline
int execute(const struct ioctl_op *op, struct iommufd_ctx *ictx,
	    void __user *ubuffer)
{
	union ioctl_buffer buffer __uninitialized;
	struct iommufd_ucmd ucmd = {
		.ictx = ictx,
		.ubuffer = ubuffer,
		.size = op->size,
		.cmd = &buffer,
	};
	int rc;

	rc = copy_in(op, &ucmd, &buffer);
	return rc ?: op->execute(&ucmd);
}

/*
 * The two of which there are many, where nothing about the structure takes a closer
 * look. False: not executed.
 */
static __always_inline
bool execute_usual(unsigned int cmd, struct iommufd_ctx *ictx,
		   void __user *ubuffer, int *rc)
{
	union {
		struct iommu_ioas_map map;
		struct iommu_ioas_unmap unmap;
	} buffer __uninitialized;
	struct iommufd_ucmd ucmd __uninitialized;

	ucmd.ictx = ictx;
	ucmd.ubuffer = ubuffer;
	ucmd.cmd = &buffer;
	if (cmd == IOMMU_IOAS_MAP) {
		if (!copy_words(&buffer, ubuffer, sizeof(buffer.map)))
			return false;
		ucmd.user_size = ucmd.size = sizeof(buffer.map);
		*rc = ioas_ioctl_map(&ucmd);
		return true;
	}
	if (cmd == IOMMU_IOAS_UNMAP) {
		if (!copy_words(&buffer, ubuffer, sizeof(buffer.unmap)))
			return false;
		ucmd.user_size = ucmd.size = sizeof(buffer.unmap);
		*rc = ioas_ioctl_unmap(&ucmd);
		return true;
	}
	return false;
}

static long iommufd_ioctl(struct file *file, unsigned int cmd,
			  unsigned long arg)
{
	struct iommufd_ctx *ictx = file->private_data;
	unsigned int nr = _IOC_NR(cmd) - IOMMUFD_CMD_BASE;
	unsigned long since = reason_begin(ictx);
	void __user *ubuffer = (void __user *)arg;
	const struct ioctl_op *op;
	int rc;

	if (execute_usual(cmd, ictx, ubuffer, &rc))
		return reason_end(ictx, since, cmd == IOMMU_IOAS_MAP ?
				  "IOMMU_IOAS_MAP" : "IOMMU_IOAS_UNMAP", rc);
	op = nr < ARRAY_SIZE(ioctl_ops) ?
	     &ioctl_ops[array_index_nospec(nr, ARRAY_SIZE(ioctl_ops))] : NULL;
	if (op && op->cmd == cmd)
		return reason_end(ictx, since, op->name,
				  execute(op, ictx, ubuffer));
	/* Others are asked of any file: what kind is this? */
	if (_IOC_TYPE(cmd) != IOMMUFD_TYPE)
		return -ENOTTY;
	if (_IOC_NR(cmd) < IOMMUFD_CMD_BASE)
		return reason_end(ictx, since, "type1",
				  container_ioctl(ictx, cmd, arg));
	return reason_end(ictx, since, "ioctl",
			  reason_set(ictx, -ENOTTY, "no ioctl is 0x%x", cmd));
}

int iommufd_ucmd_respond(struct iommufd_ucmd *ucmd)
{
	if (copy_to_user(ucmd->ubuffer, ucmd->cmd,
			 min(ucmd->user_size, ucmd->size)))
		return -EFAULT;
	return 0;
}

static atomic64_t nr_contexts = ATOMIC64_INIT(0);

static int open_context(struct file *file, bool container)
{
	struct iommufd_ctx *ictx;

	ictx = kzalloc(sizeof(*ictx), GFP_KERNEL_ACCOUNT);
	if (!ictx)
		return -ENOMEM;
	xa_init_flags(&ictx->objects, XA_FLAGS_ALLOC1 | XA_FLAGS_ACCOUNT);
	init_waitqueue_head(&ictx->leaving);
	mutex_init(&ictx->groups_lock);
	INIT_LIST_HEAD(&ictx->groups);
	pinned_context_init(ictx, sizeof(struct area));
	reasons_init(&ictx->reasons);
	container_init(ictx, container);
	ictx->file = file;
	ictx->number = atomic64_inc_return(&nr_contexts);
	file->private_data = ictx;
	return 0;
}

static int iommufd_open(struct inode *inode, struct file *file)
{
	return open_context(file, false);
}

static int container_open(struct inode *inode, struct file *file)
{
	return open_context(file, true);
}

/* No ioctl is in flight and no device is bound: both hold the file. */
static int iommufd_release(struct inode *inode, struct file *file)
{
	struct iommufd_ctx *ictx = file->private_data;

	container_exit(ictx);
	iommufd_object_destroy_all(ictx);
	WARN_ON(!list_empty(&ictx->groups));
	pinned_context_uninit(ictx);
	xa_destroy(&ictx->objects);
	kfree(ictx);
	return 0;
}

static void iommufd_show_fdinfo(struct seq_file *m, struct file *file)
{
	fdinfo_show(file->private_data, m);
}

static const struct file_operations iommufd_fops = {
	.owner = THIS_MODULE,
	.open = iommufd_open,
	.release = iommufd_release,
	.show_fdinfo = iommufd_show_fdinfo,
	.unlocked_ioctl = iommufd_ioctl,
	/* All structures have one layout: no translation is needed. */
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

const struct file_operations iommufd_container_fops = {
	.owner = THIS_MODULE,
	.open = container_open,
	.release = iommufd_release,
	.show_fdinfo = iommufd_show_fdinfo,
	.unlocked_ioctl = iommufd_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};
EXPORT_SYMBOL_GPL(iommufd_container_fops);

static bool is_context(const struct file *file)
{
	return file->f_op == &iommufd_fops ||
	       file->f_op == &iommufd_container_fops;
}

struct iommufd_ctx *iommufd_ctx_from_file(struct file *file)
{
	struct iommufd_ctx *ictx;

	if (!is_context(file))
		return ERR_PTR(-EBADFD);
	ictx = file->private_data;
	iommufd_ctx_get(ictx);
	return ictx;
}
EXPORT_SYMBOL_GPL(iommufd_ctx_from_file);

struct iommufd_ctx *iommufd_ctx_from_fd(int fd)
{
	struct file *file = fget(fd);

	if (!file)
		return ERR_PTR(-EBADF);
	if (!is_context(file)) {
		fput(file);
		return ERR_PTR(-EBADFD);
	}
	/* The reference to the file moves into the context's. */
	return file->private_data;
}
EXPORT_SYMBOL_GPL(iommufd_ctx_from_fd);

void iommufd_ctx_get(struct iommufd_ctx *ictx)
{
	get_file(ictx->file);
}
EXPORT_SYMBOL_GPL(iommufd_ctx_get);

void iommufd_ctx_put(struct iommufd_ctx *ictx)
{
	fput(ictx->file);
}
EXPORT_SYMBOL_GPL(iommufd_ctx_put);

static struct miscdevice iommufd_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "iommu",
	.nodename = "iommu",
	.mode = 0660,
	.fops = &iommufd_fops,
};

/*
 * Our vfio depends on this module and comes after it: one that is there already
 * is the distribution's. The kernel refuses a second module of its name with no
 * more than EEXIST, modprobe does not even try, so say it here.
 */
static void __init tell_of_another_vfio(void)
{
	if (!__symbol_get("vfio_register_group_dev"))
		return;
	__symbol_put("vfio_register_group_dev");
	pr_notice("iommufd: another vfio.ko is loaded: no /dev/vfio/devices until it gives way\n");
	pr_notice("iommufd: end the programs that use /dev/vfio, unbind its devices, then\n");
	pr_notice("iommufd: modprobe -r vfio_pci vfio_iommu_type1 vfio && modprobe vfio-pci\n");
}

static int __init iommufd_init(void)
{
	int rc;

	rc = ioas_init();
	if (rc)
		return rc;
	rc = mock_init();
	if (rc)
		goto err_ioas;
	rc = misc_register(&iommufd_misc);
	if (rc)
		goto err_mock;
	tell_of_another_vfio();
	return 0;

err_mock:
	mock_exit();
err_ioas:
	ioas_uninit();
	return rc;
}

static void __exit iommufd_exit(void)
{
	misc_deregister(&iommufd_misc);
	mock_exit();
	ioas_uninit();
}

module_init(iommufd_init);
module_exit(iommufd_exit);

MODULE_DESCRIPTION("I/O page tables for userspace: /dev/iommu");
MODULE_LICENSE("GPL");
