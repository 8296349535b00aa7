// SPDX-License-Identifier: GPL-2.0
/*
 * The ioctls of type1, as 6.1's own vfio_iommu_type1 answers them, turned into
 * operations on the address space of a container. Not built with
 * IOMMUFD_VFIO_CONTAINER=n.
 *
 * What differs from type1, and is meant to:
 * - groups are attached when they join, not at SET_IOMMU: that only settles how
 *   UNMAP treats parts of mappings;
 * - there is no limit on the number of mappings, so DMA_AVAIL is always what
 *   type1 begins with;
 * - memory of devices (another device's BAR) cannot be mapped: -EFAULT;
 * - no dirty tracking, no update of user addresses, no nesting: CHECK_EXTENSION
 *   and GET_INFO say so.
 */
#include <linux/err.h>
#include <linux/export.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/limits.h>
#include <linux/overflow.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <uapi/linux/iommufd.h>
#include <uapi/linux/vfio.h>

#include "container.h"
#include "ioas.h"
#include "object.h"

/* With how many mappings a type1 container begins. */
#define DMA_AVAIL	65535

/* The address space that the ioctls are about, used. */
static struct ioas *container_ioas_use(struct iommufd_ctx *ictx)
{
	u32 id = READ_ONCE(ictx->vfio_ioas_id);

	return id ? ioas_use(ictx, id) : ERR_PTR(-ENODEV);
}

static int enforces_coherency(struct iommufd_ctx *ictx)
{
	unsigned long pgsizes;
	struct ioas *ioas;
	bool coherent;
	int rc;

	if (!READ_ONCE(ictx->container.type))
		return 0;
	ioas = container_ioas_use(ictx);
	if (IS_ERR(ioas))
		return 0;
	rc = ioas_sum_tables(ioas, &pgsizes, &coherent);
	ioas_unuse(ioas);
	return rc ?: coherent;
}

static int check_extension(struct iommufd_ctx *ictx, unsigned long extension)
{
	const struct container *container = &ictx->container;
	bool noiommu = READ_ONCE(container->noiommu);

	if (extension == VFIO_NOIOMMU_IOMMU)
		return container_allows_noiommu() && container->node &&
		       (noiommu || !READ_ONCE(container->nr_groups));
	if (noiommu)
		return 0;
	switch (extension) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_TYPE1v2_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_DMA_CC_IOMMU:
		return enforces_coherency(ictx);
	default:
		return 0;
	}
}

static int set_iommu(struct iommufd_ctx *ictx, unsigned long type)
{
	struct container *container = &ictx->container;
	int rc = 0;

	mutex_lock(&container->lock);
	if (container->type || (container->node && !container->nr_groups))
		rc = -EINVAL;
	else if (container->noiommu ? type != VFIO_NOIOMMU_IOMMU :
		 type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU)
		rc = -ENODEV;
	else if (!container->noiommu && !READ_ONCE(ictx->vfio_ioas_id))
		rc = -ENODEV;
	else
		WRITE_ONCE(container->type, type);
	mutex_unlock(&container->lock);
	return rc;
}

/* The capabilities of GET_INFO, one behind the other. */
struct info_caps {
	struct vfio_iommu_type1_info_dma_avail avail;
	struct vfio_iommu_type1_info_cap_iova_range iovas;
};

static struct info_caps *make_caps(struct ioas *ioas, size_t *size)
{
	struct iommu_iova_range *ranges;
	struct info_caps *caps;
	unsigned long align;
	u32 nr, i;

	ranges = ioas_list_usable(ioas, U32_MAX, &nr, &align);
	if (IS_ERR(ranges))
		return ERR_CAST(ranges);
	*size = struct_size(caps, iovas.iova_ranges, nr);
	caps = kvzalloc(*size, GFP_KERNEL_ACCOUNT);
	if (!caps) {
		kvfree(ranges);
		return ERR_PTR(-ENOMEM);
	}
	caps->avail.header.id = VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL;
	caps->avail.header.version = 1;
	caps->avail.header.next = sizeof(struct vfio_iommu_type1_info) +
				  offsetof(struct info_caps, iovas);
	caps->avail.avail = DMA_AVAIL;
	caps->iovas.header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	caps->iovas.header.version = 1;
	caps->iovas.nr_iovas = nr;
	for (i = 0; i < nr; i++) {
		caps->iovas.iova_ranges[i].start = ranges[i].start;
		caps->iovas.iova_ranges[i].end = ranges[i].last;
	}
	kvfree(ranges);
	return caps;
}

static int get_info(struct ioas *ioas, void __user *uarg)
{
	struct vfio_iommu_type1_info info;
	size_t size, minsz = offsetofend(typeof(info), iova_pgsizes);
	unsigned long pgsizes;
	struct info_caps *caps;
	bool coherent;
	int rc;

	if (copy_from_user(&info, uarg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	if (info.argsz >= offsetofend(typeof(info), cap_offset))
		minsz = offsetofend(typeof(info), cap_offset);

	rc = ioas_sum_tables(ioas, &pgsizes, &coherent);
	if (rc)
		return rc;
	caps = make_caps(ioas, &size);
	if (IS_ERR(caps))
		return PTR_ERR(caps);

	/* Smaller IOMMU pages than the CPU's are of no use to type1. */
	info.iova_pgsizes = pgsizes & PAGE_MASK;
	if (pgsizes & ~PAGE_MASK)
		info.iova_pgsizes |= PAGE_SIZE;
	info.flags = VFIO_IOMMU_INFO_PGSIZES | VFIO_IOMMU_INFO_CAPS;
	info.cap_offset = 0;
	if (info.argsz < sizeof(info) + size) {
		info.argsz = sizeof(info) + size;
	} else {
		info.cap_offset = sizeof(info);
		if (copy_to_user(uarg + sizeof(info), caps, size))
			rc = -EFAULT;
	}
	kvfree(caps);
	if (!rc && copy_to_user(uarg, &info, minsz))
		rc = -EFAULT;
	return rc;
}

static int map_dma(struct iommufd_ctx *ictx, struct ioas *ioas,
		   const void __user *uarg)
{
	const u32 known = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	struct vfio_iommu_type1_dma_map map;
	const size_t minsz = offsetofend(typeof(map), size);
	int prot = 0;

	if (copy_from_user(&map, uarg, minsz))
		return -EFAULT;
	if (map.argsz < minsz || map.flags & ~known)
		return -EINVAL;
	if (map.flags & VFIO_DMA_MAP_FLAG_READ)
		prot |= IOMMU_READ;
	if (map.flags & VFIO_DMA_MAP_FLAG_WRITE)
		prot |= IOMMU_WRITE;
	if (!prot || !map.size)
		return -EINVAL;
	if (!PAGE_ALIGNED(map.size | map.iova | map.vaddr))
		return -EINVAL;
	if (map.iova + (map.size - 1) < map.iova ||
	    map.vaddr + (map.size - 1) < map.vaddr)
		return -EINVAL;
	return ioas_map_user(ioas, map.vaddr, map.iova, map.size, prot);
}

/*
 * v1 never cuts a mapping either: a range that begins within one unmaps nothing,
 * and a range that ends within one takes all of it. v2 refuses both.
 */
static int unmap_dma(struct iommufd_ctx *ictx, struct ioas *ioas,
		     void __user *uarg)
{
	struct vfio_iommu_type1_dma_unmap unmap;
	const size_t minsz = offsetofend(typeof(unmap), size);
	enum ioas_unmap_mode mode = IOAS_UNMAP_WHOLE;
	u64 last, length = 0;
	int rc;

	if (copy_from_user(&unmap, uarg, minsz))
		return -EFAULT;
	if (unmap.argsz < minsz || unmap.flags & ~VFIO_DMA_UNMAP_FLAG_ALL)
		return -EINVAL;
	if (!PAGE_ALIGNED(unmap.iova | unmap.size))
		return -EINVAL;
	if (unmap.flags & VFIO_DMA_UNMAP_FLAG_ALL) {
		if (unmap.iova || unmap.size)
			return -EINVAL;
		last = ULONG_MAX;
	} else if (!unmap.size || check_add_overflow(unmap.iova, unmap.size - 1,
						     &last)) {
		return -EINVAL;
	}
	if (READ_ONCE(ictx->container.type) == VFIO_TYPE1_IOMMU)
		mode = IOAS_UNMAP_STARTING;

	/* type1 does one thing after the other: wait for maps that are under way. */
	do {
		rc = ioas_unmap(ioas, unmap.iova, last, mode, &length, NULL);
	} while (rc == -EBUSY && !(rc = ioas_settle(ioas)));
	if (rc == -ENOENT)
		rc = -EINVAL;
	unmap.size = length;
	if (!rc && copy_to_user(uarg, &unmap, minsz))
		rc = -EFAULT;
	return rc;
}

static long ioas_container_ioctl(struct iommufd_ctx *ictx, unsigned int cmd,
				 void __user *uarg)
{
	struct ioas *ioas;
	long rc;

	ioas = container_ioas_use(ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	switch (cmd) {
	case VFIO_IOMMU_GET_INFO:
		rc = get_info(ioas, uarg);
		break;
	case VFIO_IOMMU_MAP_DMA:
		rc = map_dma(ictx, ioas, uarg);
		break;
	case VFIO_IOMMU_UNMAP_DMA:
		rc = unmap_dma(ictx, ioas, uarg);
		break;
	default:
		rc = -ENOTTY;
	}
	ioas_unuse(ioas);
	return rc;
}

long container_ioctl(struct iommufd_ctx *ictx, unsigned int cmd,
		     unsigned long arg)
{
	struct container *container = &ictx->container;

	switch (cmd) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return check_extension(ictx, arg);
	case VFIO_SET_IOMMU:
		return set_iommu(ictx, arg);
	case VFIO_IOMMU_GET_INFO:
	case VFIO_IOMMU_MAP_DMA:
	case VFIO_IOMMU_UNMAP_DMA:
		break;
	default:
		/* As the stock node says before it has an IOMMU driver. */
		return iommufd_container_is_set_up(ictx) ? -ENOTTY : -EINVAL;
	}
	if (!iommufd_container_is_set_up(ictx))
		return -EINVAL;
	if (READ_ONCE(container->noiommu))
		return -ENOTTY;
	return ioas_container_ioctl(ictx, cmd, (void __user *)arg);
}
