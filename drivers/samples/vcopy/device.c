// SPDX-License-Identifier: GPL-2.0
/*
 * What vfio.ko asks the driver: open, close, regions, interrupts, reset. To a
 * program it is a PCI device. The region with index I begins at I << 32 in the
 * device file.
 */
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>

#include "vcopy.h"

#define REGION_SHIFT	32

static u64 region_size(u32 index)
{
	switch (index) {
	case VFIO_PCI_BAR0_REGION_INDEX + VCOPY_BAR_REGS:
		return VCOPY_REGS_SIZE;
	case VFIO_PCI_BAR0_REGION_INDEX + VCOPY_BAR_BUFFER:
		return VCOPY_BUFFER_SIZE;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		return PCI_CFG_SPACE_SIZE;
	default:
		return 0;
	}
}

static int vcopy_init(struct vfio_device *vdev)
{
	struct vcopy *vc = to_vcopy(vdev);

	mutex_init(&vc->config.lock);
	vcopy_config_reset(vc);
	vcopy_irqs_init(vc);
	vcopy_migration_init(vc);
	vcopy_log_init(vc);
	return vcopy_engine_init(vc);
}

static void vcopy_release(struct vfio_device *vdev)
{
	vcopy_engine_uninit(to_vcopy(vdev));
	vfio_free_device(vdev);
}

static int vcopy_open(struct vfio_device *vdev)
{
	struct vcopy *vc = to_vcopy(vdev);

	/* A driver that goes on needing the VM takes a reference to it here. */
	vc->for_vm = vdev->kvm;
	/* Nothing of the last user is left to the next. */
	vcopy_config_reset(vc);
	memset(vc->engine.buffer, 0, VCOPY_BUFFER_SIZE);
	return vcopy_engine_start(vc);
}

static void vcopy_close(struct vfio_device *vdev)
{
	struct vcopy *vc = to_vcopy(vdev);

	vcopy_engine_stop(vc);
	vcopy_migration_reset(vc);
	vcopy_log_clear(vc);
	vcopy_irqs_clear(vc);
}

static void vcopy_request(struct vfio_device *vdev, unsigned int count)
{
	bool told = vcopy_irq_request(to_vcopy(vdev));

	if (!count)
		dev_info(vdev->dev, "in use, %s\n",
			 told ? "its user is asked to close it" :
				"and its user does not listen");
}

/*
 * Regions
 */

/* Registers: one at a time, aligned. */
static ssize_t regs_rw(struct vcopy *vc, char __user *buf, u32 at, size_t count,
		       bool write)
{
	__le64 wide;
	__le32 word;

	if ((count != 4 && count != 8) || at % count)
		return -EINVAL;

	if (!write && count == 4) {
		word = cpu_to_le32(vcopy_reg_read(vc, at));
		if (copy_to_user(buf, &word, 4))
			return -EFAULT;
	} else if (!write) {
		wide = cpu_to_le64(vcopy_reg_read(vc, at));
		if (copy_to_user(buf, &wide, 8))
			return -EFAULT;
	} else if (count == 4) {
		if (copy_from_user(&word, buf, 4))
			return -EFAULT;
		vcopy_reg_write(vc, at, le32_to_cpu(word), false);
	} else {
		if (copy_from_user(&wide, buf, 8))
			return -EFAULT;
		vcopy_reg_write(vc, at, le64_to_cpu(wide), true);
	}
	return count;
}

static ssize_t buffer_rw(struct vcopy *vc, char __user *buf, u32 at, size_t count,
			 bool write)
{
	void *from = vc->engine.buffer + at;

	if (write ? copy_from_user(from, buf, count) :
		    copy_to_user(buf, from, count))
		return -EFAULT;
	return count;
}

static ssize_t config_rw(struct vcopy *vc, char __user *buf, u32 at, size_t count,
			 bool write)
{
	u8 bytes[PCI_CFG_SPACE_SIZE];

	if (write) {
		if (copy_from_user(bytes, buf, count))
			return -EFAULT;
		vcopy_config_write(vc, at, bytes, count);
	} else {
		vcopy_config_read(vc, at, bytes, count);
		if (copy_to_user(buf, bytes, count))
			return -EFAULT;
	}
	return count;
}

static ssize_t vcopy_rw(struct vcopy *vc, char __user *buf, size_t count,
			loff_t *pos, bool write)
{
	u64 index = (u64)*pos >> REGION_SHIFT;
	u64 at = *pos & ((1ULL << REGION_SHIFT) - 1), size;
	ssize_t rc;

	size = index < VFIO_PCI_NUM_REGIONS ? region_size(index) : 0;
	if (at >= size)
		return -EINVAL;
	count = min_t(u64, count, size - at);

	switch (index) {
	case VFIO_PCI_CONFIG_REGION_INDEX:
		rc = config_rw(vc, buf, at, count, write);
		break;
	case VFIO_PCI_BAR0_REGION_INDEX + VCOPY_BAR_BUFFER:
		rc = buffer_rw(vc, buf, at, count, write);
		break;
	default:
		rc = regs_rw(vc, buf, at, count, write);
	}
	if (rc > 0)
		*pos += rc;
	return rc;
}

static ssize_t vcopy_read(struct vfio_device *vdev, char __user *buf,
			  size_t count, loff_t *pos)
{
	return vcopy_rw(to_vcopy(vdev), buf, count, pos, false);
}

static ssize_t vcopy_write(struct vfio_device *vdev, const char __user *buf,
			   size_t count, loff_t *pos)
{
	return vcopy_rw(to_vcopy(vdev), (char __user *)buf, count, pos, true);
}

static int vcopy_mmap(struct vfio_device *vdev, struct vm_area_struct *vma)
{
	const unsigned long shift = REGION_SHIFT - PAGE_SHIFT;
	unsigned long first = vma->vm_pgoff & ((1UL << shift) - 1);

	if (vma->vm_pgoff >> shift !=
	    VFIO_PCI_BAR0_REGION_INDEX + VCOPY_BAR_BUFFER)
		return -EINVAL;
	if (!(vma->vm_flags & VM_SHARED))
		return -EINVAL;
	/* Checks that the buffer is as long as that. */
	return remap_vmalloc_range(vma, to_vcopy(vdev)->engine.buffer, first);
}

/*
 * ioctls. Each takes what it knows of the argument, by argsz.
 */

static long get_info(void __user *uarg)
{
	const size_t minsz = offsetofend(struct vfio_device_info, num_irqs);
	struct vfio_device_info info;

	if (copy_from_user(&info, uarg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	info.flags = VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET;
	info.num_regions = VFIO_PCI_NUM_REGIONS;
	info.num_irqs = VFIO_PCI_NUM_IRQS;
	return copy_to_user(uarg, &info, minsz) ? -EFAULT : 0;
}

static long get_region_info(void __user *uarg)
{
	const size_t minsz = offsetofend(struct vfio_region_info, offset);
	struct vfio_region_info info;

	if (copy_from_user(&info, uarg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= VFIO_PCI_NUM_REGIONS)
		return -EINVAL;
	info.size = region_size(info.index);
	info.offset = (u64)info.index << REGION_SHIFT;
	info.flags = 0;
	info.cap_offset = 0;
	if (info.size)
		info.flags = VFIO_REGION_INFO_FLAG_READ |
			     VFIO_REGION_INFO_FLAG_WRITE;
	if (info.index == VFIO_PCI_BAR0_REGION_INDEX + VCOPY_BAR_BUFFER)
		info.flags |= VFIO_REGION_INFO_FLAG_MMAP;
	return copy_to_user(uarg, &info, minsz) ? -EFAULT : 0;
}

static long get_irq_info(void __user *uarg)
{
	const size_t minsz = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, uarg, minsz))
		return -EFAULT;
	if (info.argsz < minsz || info.index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	info.count = vcopy_irq_count(info.index);
	info.flags = info.count ? VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE :
				  0;
	return copy_to_user(uarg, &info, minsz) ? -EFAULT : 0;
}

static long set_irqs(struct vcopy *vc, void __user *uarg)
{
	const size_t minsz = offsetofend(struct vfio_irq_set, count);
	struct vfio_irq_set set;
	void *data = NULL;
	size_t size;
	long rc;

	if (copy_from_user(&set, uarg, minsz))
		return -EFAULT;
	rc = vfio_set_irqs_validate_and_prepare(&set, vcopy_irq_count(set.index),
						VFIO_PCI_NUM_IRQS, &size);
	if (rc)
		return rc;
	if (size) {
		data = memdup_user(uarg + minsz, size);
		if (IS_ERR(data))
			return PTR_ERR(data);
	}
	rc = vcopy_irq_set(vc, &set, data);
	kfree(data);
	return rc;
}

static long vcopy_ioctl(struct vfio_device *vdev, unsigned int cmd,
			unsigned long arg)
{
	struct vcopy *vc = to_vcopy(vdev);
	void __user *uarg = (void __user *)arg;

	switch (cmd) {
	case VFIO_DEVICE_GET_INFO:
		return get_info(uarg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region_info(uarg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return get_irq_info(uarg);
	case VFIO_DEVICE_SET_IRQS:
		return set_irqs(vc, uarg);
	case VFIO_DEVICE_RESET:
		vcopy_migration_reset(vc);
		return 0;
	default:
		return -ENOTTY;
	}
}

#define VCOPY_OPS				\
	.init = vcopy_init,			\
	.release = vcopy_release,		\
	.open_device = vcopy_open,		\
	.close_device = vcopy_close,		\
	.read = vcopy_read,			\
	.write = vcopy_write,			\
	.mmap = vcopy_mmap,			\
	.ioctl = vcopy_ioctl,			\
	.request = vcopy_request

const struct vfio_device_ops vcopy_pin_ops = {
	.name = "vcopy-pin",
	VCOPY_OPS,
	.dma_unmap = vcopy_engine_dma_unmap,
};

const struct vfio_device_ops vcopy_rw_ops = {
	.name = "vcopy-rw",
	VCOPY_OPS,
};
