// SPDX-License-Identifier: GPL-2.0
/*
 * The only file of vfio.ko that calls iommufd.
 *
 * A physical device is bound as an iommufd device, whose DMA an IOMMU translates.
 * An emulated one has no DMA of its own. Its driver asks for memory by IOVA, and
 * it is bound as an iommufd access, which can only be attached to an address
 * space. Two kinds of access: a driver with dma_unmap() may pin pages and is told
 * when they go away; one without may only read and write.
 *
 * Pins are counted by page, as the stock core does: kvmgt pins a large page of
 * the guest one by one and unpins it at once, vfio-ap unpins what it may not have.
 */
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/module.h>

#include "vfio.h"

/**
 * vfio_iommufd_get_ctx - find the context a user wants
 * @handle: handle
 * @fd: file descriptor of the calling process
 *
 * Return: 0 and handle->ictx is set; -EBADF when @fd is not open; -EBADFD when
 * it is no iommufd.
 */
int vfio_iommufd_get_ctx(struct vfio_handle *handle, int fd)
{
	struct iommufd_ctx *ictx;

	ictx = iommufd_ctx_from_fd(fd);
	if (IS_ERR(ictx))
		return PTR_ERR(ictx);

	handle->ictx = ictx;
	return 0;
}

/**
 * vfio_iommufd_put_ctx - end of vfio_iommufd_get_ctx()
 * @handle: handle that is not bound in iommufd. No lock is held: this can be
 *	the end of the context
 */
void vfio_iommufd_put_ctx(struct vfio_handle *handle)
{
	iommufd_ctx_put(handle->ictx);
	handle->ictx = NULL;
}

static void emulated_unmap(void *data, unsigned long iova, unsigned long length)
{
	struct vfio_device *vdev = data;

	vdev->ops->dma_unmap(vdev, iova, length);
}

static const struct iommufd_access_ops emulated_pinning_ops = {
	.needs_pin_pages = true,
	.unpins_parts = true,
	.unmap = emulated_unmap,
};

static const struct iommufd_access_ops emulated_ops = {
};

static int emulated_bind(struct vfio_handle *handle)
{
	struct vfio_device *vdev = handle->vdev;
	const struct iommufd_access_ops *ops;
	struct iommufd_access *access;
	u32 devid;

	ops = vdev->ops->dma_unmap ? &emulated_pinning_ops : &emulated_ops;
	access = iommufd_access_create(handle->ictx, ops, vdev, &devid);
	if (IS_ERR(access))
		return PTR_ERR(access);

	handle->node->access = access;
	handle->devid = devid;
	return 0;
}

static int physical_bind(struct vfio_handle *handle)
{
	struct iommufd_device *idev;
	u32 devid;

	idev = iommufd_device_bind(handle->ictx, handle->vdev->dev, &devid);
	if (IS_ERR(idev))
		return PTR_ERR(idev);

	handle->idev = idev;
	handle->devid = devid;
	return 0;
}

/**
 * vfio_iommufd_bind - make the device one of the context
 * @handle: handle with vdev and ictx; dev_set->lock is held
 *
 * Hands a physical device's DMA over.
 *
 * Return: 0, and devid is set, and idev or node->access; or as
 * iommufd_device_bind() or iommufd_access_create().
 */
int vfio_iommufd_bind(struct vfio_handle *handle)
{
	lockdep_assert_held(&handle->vdev->dev_set->lock);

	if (handle->node->emulated)
		return emulated_bind(handle);
	return physical_bind(handle);
}

/**
 * vfio_iommufd_unbind - end of vfio_iommufd_bind()
 * @handle: bound, not attached
 */
void vfio_iommufd_unbind(struct vfio_handle *handle)
{
	struct vfio_node *node = handle->node;

	if (node->emulated) {
		iommufd_access_destroy(node->access);
		node->access = NULL;
	} else {
		iommufd_device_unbind(handle->idev);
		handle->idev = NULL;
	}
}

/**
 * vfio_iommufd_attach - let the device reach memory
 * @handle: bound, not attached; its lock is held
 * @pt_id: IOAS or HWPT; set to the HWPT in use. Of an emulated device: IOAS only,
 *	and left alone
 *
 * Return: as iommufd_device_attach() or iommufd_access_attach().
 */
int vfio_iommufd_attach(struct vfio_handle *handle, u32 *pt_id)
{
	int rc;

	lockdep_assert_held(&handle->lock);

	if (handle->node->emulated)
		rc = iommufd_access_attach(handle->node->access, *pt_id);
	else
		rc = iommufd_device_attach(handle->idev, pt_id);
	if (rc)
		return rc;

	handle->attached = true;
	return 0;
}

/**
 * vfio_iommufd_replace - move the device to another page table
 * @handle: attached; its lock is held
 * @pt_id: as for vfio_iommufd_attach()
 *
 * Return: as iommufd_device_replace() or iommufd_access_replace(). The device is
 * attached in any case.
 */
int vfio_iommufd_replace(struct vfio_handle *handle, u32 *pt_id)
{
	lockdep_assert_held(&handle->lock);

	if (handle->node->emulated)
		return iommufd_access_replace(handle->node->access, *pt_id);
	return iommufd_device_replace(handle->idev, pt_id);
}

/**
 * vfio_iommufd_detach - end of vfio_iommufd_attach()
 * @handle: attached; its lock is held
 */
void vfio_iommufd_detach(struct vfio_handle *handle)
{
	lockdep_assert_held(&handle->lock);

	if (handle->node->emulated)
		iommufd_access_detach(handle->node->access);
	else
		iommufd_device_detach(handle->idev);
	handle->attached = false;
}

/*
 * What follows is asked by drivers, between open_device() and close_device().
 */

/* The access, or NULL with a warning to the author of the driver. */
static struct iommufd_access *open_access(struct vfio_device *vdev)
{
	struct iommufd_access *access = vfio_node_of(vdev)->access;

	if (WARN_ON_ONCE(!READ_ONCE(vdev->open_count) || !access))
		return NULL;
	return access;
}

/* The stock core has one answer for all places where nothing is mapped. */
static int stock_errno(int rc)
{
	return rc == -ENOENT || rc == -EOVERFLOW ? -EINVAL : rc;
}

/**
 * vfio_pin_pages - pin user memory for a device with emulated IOMMU
 * @vdev: device, open, with ops->dma_unmap()
 * @iova: where; the offset in the first page is ignored
 * @npage: how many pages, up to VFIO_PIN_PAGES_MAX_ENTRIES
 * @prot: IOMMU_READ, IOMMU_WRITE
 * @pages: where to store the pages
 *
 * A page can be pinned repeatedly.
 *
 * Return: @npage, or with nothing pinned: -E2BIG; -EINVAL for wrong arguments, or
 * where not everything is mapped or the device is not attached; -EPERM where it
 * may not be written; -EFAULT, -ENOMEM, -EINTR.
 */
int vfio_pin_pages(struct vfio_device *vdev, dma_addr_t iova, int npage,
		   int prot, struct page **pages)
{
	struct iommufd_access *access;
	int rc;

	if (!pages || !npage || !vdev->ops->dma_unmap)
		return -EINVAL;
	access = open_access(vdev);
	if (!access)
		return -EINVAL;
	if (npage < 0 || npage > VFIO_PIN_PAGES_MAX_ENTRIES)
		return -E2BIG;

	rc = iommufd_access_pin_pages(access, iova & PAGE_MASK,
				      (unsigned long)npage << PAGE_SHIFT, pages,
				      prot & IOMMU_WRITE ?
				      IOMMUFD_ACCESS_WRITE : 0);
	return rc ? stock_errno(rc) : npage;
}
EXPORT_SYMBOL(vfio_pin_pages);

/**
 * vfio_unpin_pages - end of vfio_pin_pages()
 * @vdev: device, open
 * @iova: where; the offset in the first page is ignored
 * @npage: how many pages, up to VFIO_PIN_PAGES_MAX_ENTRIES
 *
 * The pages need not have been pinned by one call. A page that is not pinned is
 * passed over.
 */
void vfio_unpin_pages(struct vfio_device *vdev, dma_addr_t iova, int npage)
{
	struct iommufd_access *access;

	if (WARN_ON(npage <= 0 || npage > VFIO_PIN_PAGES_MAX_ENTRIES))
		return;
	access = open_access(vdev);
	if (!access)
		return;
	iommufd_access_unpin_pages(access, iova & PAGE_MASK,
				   (unsigned long)npage << PAGE_SHIFT);
}
EXPORT_SYMBOL(vfio_unpin_pages);

/**
 * vfio_dma_rw - access user memory for a device with emulated IOMMU
 * @vdev: device, open
 * @iova: where, to the byte
 * @data: the driver's buffer
 * @len: how many bytes
 * @write: from @data to user memory
 *
 * Return: 0; -EINVAL for wrong arguments, or where not everything is mapped or the
 * device is not attached; -EPERM where it may not be read or written; -EFAULT,
 * -ENOMEM, -EINTR. On error a part may have been copied.
 */
int vfio_dma_rw(struct vfio_device *vdev, dma_addr_t iova, void *data,
		size_t len, bool write)
{
	struct iommufd_access *access;

	if (!data || !len)
		return -EINVAL;
	access = open_access(vdev);
	if (!access)
		return -EINVAL;
	return stock_errno(iommufd_access_rw(access, iova, data, len,
					     write ? IOMMUFD_ACCESS_WRITE : 0));
}
EXPORT_SYMBOL(vfio_dma_rw);
