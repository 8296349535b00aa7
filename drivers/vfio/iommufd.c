// SPDX-License-Identifier: GPL-2.0
/*
 * The only file of vfio.ko that calls iommufd.
 *
 * A physical device is bound as an iommufd device. An emulated one has no DMA
 * to be translated and would need an iommufd access: not there yet, so it is
 * refused here, where the difference will be made.
 */
#include <linux/iommufd.h>

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

/**
 * vfio_iommufd_bind - hand the device's DMA over to the context
 * @handle: handle with vdev and ictx; dev_set->lock is held
 *
 * Return: 0, and idev and devid are set; -EOPNOTSUPP for an emulated device;
 * or as iommufd_device_bind().
 */
int vfio_iommufd_bind(struct vfio_handle *handle)
{
	struct iommufd_device *idev;
	u32 devid;

	lockdep_assert_held(&handle->vdev->dev_set->lock);

	if (handle->node->emulated)
		return -EOPNOTSUPP;

	idev = iommufd_device_bind(handle->ictx, handle->vdev->dev, &devid);
	if (IS_ERR(idev))
		return PTR_ERR(idev);

	handle->idev = idev;
	handle->devid = devid;
	return 0;
}

/**
 * vfio_iommufd_unbind - end of vfio_iommufd_bind()
 * @handle: bound, not attached
 */
void vfio_iommufd_unbind(struct vfio_handle *handle)
{
	iommufd_device_unbind(handle->idev);
	handle->idev = NULL;
}

/**
 * vfio_iommufd_attach - let the device translate
 * @handle: bound, not attached; its lock is held
 * @pt_id: IOAS or HWPT; set to the HWPT in use
 *
 * Return: as iommufd_device_attach().
 */
int vfio_iommufd_attach(struct vfio_handle *handle, u32 *pt_id)
{
	int rc;

	lockdep_assert_held(&handle->lock);

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
 * Return: as iommufd_device_replace(). The device is attached in any case.
 */
int vfio_iommufd_replace(struct vfio_handle *handle, u32 *pt_id)
{
	lockdep_assert_held(&handle->lock);

	return iommufd_device_replace(handle->idev, pt_id);
}

/**
 * vfio_iommufd_detach - end of vfio_iommufd_attach()
 * @handle: attached; its lock is held
 */
void vfio_iommufd_detach(struct vfio_handle *handle)
{
	lockdep_assert_held(&handle->lock);

	iommufd_device_detach(handle->idev);
	handle->attached = false;
}
