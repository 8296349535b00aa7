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

static int emulated_bind(struct vfio_node *node, struct iommufd_ctx *ictx)
{
	struct vfio_device *vdev = node->vdev;
	const struct iommufd_access_ops *ops;
	struct iommufd_access *access;

	ops = vdev->ops->dma_unmap ? &emulated_pinning_ops : &emulated_ops;
	access = iommufd_access_create(ictx, ops, vdev, &node->devid);
	if (IS_ERR(access))
		return PTR_ERR(access);

	node->access = access;
	return 0;
}

static int physical_bind(struct vfio_node *node, struct iommufd_ctx *ictx)
{
	struct iommufd_device *idev;

	idev = iommufd_device_bind(ictx, node->vdev->dev, &node->devid);
	if (IS_ERR(idev))
		return PTR_ERR(idev);

	node->idev = idev;
	return 0;
}

/**
 * vfio_iommufd_bind - make a device one of a context
 * @node: not bound; whoever has the device calls: see struct vfio_node
 * @ictx: context; kept alive by the caller until vfio_iommufd_unbind()
 *
 * Hands a physical device's DMA over. A device without an IOMMU has nothing to
 * hand over.
 *
 * Return: 0, and devid is set, and idev or access; or as iommufd_device_bind() or
 * iommufd_access_create().
 */
int vfio_iommufd_bind(struct vfio_node *node, struct iommufd_ctx *ictx)
{
	if (node->noiommu)
		return 0;
	if (node->emulated)
		return emulated_bind(node, ictx);
	return physical_bind(node, ictx);
}

/**
 * vfio_iommufd_is_bound - the state of a device
 * @node: whoever has the device calls
 *
 * Return: between vfio_iommufd_bind() and vfio_iommufd_unbind()?
 */
bool vfio_iommufd_is_bound(const struct vfio_node *node)
{
	return node->idev || node->access;
}

/**
 * vfio_iommufd_id_in - what a context calls a device that anybody may have
 * @vdev: device
 * @ictx: context
 *
 * Return: as iommufd_ctx_device_id().
 */
int vfio_iommufd_id_in(struct vfio_device *vdev, struct iommufd_ctx *ictx)
{
	return iommufd_ctx_device_id(ictx, vdev->dev);
}

/**
 * vfio_iommufd_unbind - end of vfio_iommufd_bind()
 * @node: bound, not attached
 */
void vfio_iommufd_unbind(struct vfio_node *node)
{
	if (node->access) {
		iommufd_access_destroy(node->access);
		node->access = NULL;
	} else if (node->idev) {
		iommufd_device_unbind(node->idev);
		node->idev = NULL;
	}
}

/**
 * vfio_iommufd_attach - let the device reach memory
 * @node: bound, not attached
 * @pt_id: IOAS or HWPT; set to the HWPT in use. Of an emulated device: IOAS only,
 *	and left alone
 *
 * Return: as iommufd_device_attach() or iommufd_access_attach().
 */
int vfio_iommufd_attach(struct vfio_node *node, u32 *pt_id)
{
	int rc = 0;

	if (node->access)
		rc = iommufd_access_attach(node->access, *pt_id);
	else if (node->idev)
		rc = iommufd_device_attach(node->idev, pt_id);
	if (rc)
		return rc;

	WRITE_ONCE(node->attached, true);
	return 0;
}

/**
 * vfio_iommufd_replace - move the device to another page table
 * @node: attached
 * @pt_id: as for vfio_iommufd_attach()
 *
 * Return: as iommufd_device_replace() or iommufd_access_replace(). The device is
 * attached in any case.
 */
int vfio_iommufd_replace(struct vfio_node *node, u32 *pt_id)
{
	if (node->access)
		return iommufd_access_replace(node->access, *pt_id);
	return iommufd_device_replace(node->idev, pt_id);
}

/**
 * vfio_iommufd_detach - end of vfio_iommufd_attach()
 * @node: attached or not
 */
void vfio_iommufd_detach(struct vfio_node *node)
{
	if (!node->attached)
		return;
	if (node->access)
		iommufd_access_detach(node->access);
	else if (node->idev)
		iommufd_device_detach(node->idev);
	WRITE_ONCE(node->attached, false);
}

/**
 * vfio_iommufd_will_be_coherent - can DMA of a device be made coherent?
 * @node: bound or not; the caller has a registration, or the group's lock
 *
 * Return: true when the IOMMU can see to it, whatever the device asks for, or when
 * there is no DMA. Who relies on it calls vfio_iommufd_require_coherency().
 */
bool vfio_iommufd_will_be_coherent(const struct vfio_node *node)
{
	if (node->emulated)
		return true;
	return !node->noiommu && iommufd_enforces_coherency(node->vdev->dev);
}

/**
 * vfio_iommufd_require_coherency - let DMA of a device be coherent or be none
 * @node: bound; whoever has the device calls
 *
 * Until it is unbound, page tables that do not enforce it are refused.
 *
 * Return: 0; -EINVAL when it is on such a table now; -EINTR.
 */
int vfio_iommufd_require_coherency(struct vfio_node *node)
{
	return node->idev ? iommufd_device_require_coherency(node->idev) : 0;
}

/**
 * vfio_iommufd_place - where the device is now
 * @node: of a handle that is bound
 * @place: left alone when there is no IOMMU
 */
void vfio_iommufd_place(struct vfio_node *node, struct iommufd_place *place)
{
	if (node->access)
		iommufd_access_place(node->access, place);
	else if (node->idev)
		iommufd_device_place(node->idev, place);
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
