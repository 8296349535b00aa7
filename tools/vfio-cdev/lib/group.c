// SPDX-License-Identifier: GPL-2.0
/*
 * The way in that programs have had for long: a device by its IOMMU group, and a
 * container for what the device may reach. With vfio.ko of this project a container is
 * a context, whichever of its two files was opened, so a device that came this
 * way has everything of vfio-cdev.h except bind, attach and detach: joining the
 * container has done that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "device.h"

int vcdev_ctx_open_container(const struct vcdev_host *host, struct vcdev_ctx **ctx,
			     struct vcdev_error *err)
{
	return vcdev_ctx_open_file(host, "/dev/vfio/vfio", ctx, err);
}

static int open_group(const struct vcdev_dev *dev, int *fd, struct vcdev_error *err)
{
	const struct vcdev_pci *pci = &dev->pci;
	struct vcdev_path path;
	char holders[256];
	int rc;

	if (pci->group < 0 || !vcdev_is_vfio_driver(pci->driver)) {
		vcdev_fail(err, -ENXIO, pci->group < 0 ? "%s is in no IOMMU group" :
			   "%s is not bound to vfio-pci", pci->bdf);
		if (pci->group >= 0)
			vcdev_hint(err, "vfio-cdev bind %s", pci->bdf);
		return -ENXIO;
	}
	vcdev_path(&dev->host, &path, "/dev/vfio/%d", pci->group);
	*fd = open(path.s, O_RDWR | O_CLOEXEC);
	if (*fd >= 0)
		return 0;
	rc = -errno;
	vcdev_fail(err, rc, "cannot open %s: %s", path.s, strerror(-rc));
	if (rc == -EBUSY && vcdev_name_holders(&dev->host, pci, holders, sizeof(holders)))
		vcdev_hint(err, "it is in use by %s", holders);
	else if (rc == -EACCES || rc == -EPERM)
		vcdev_hint(err, "run this as root, or give yourself rights on %s", path.s);
	return rc;
}

/* Put the group into the container; which address space do its devices have? */
static int join(const struct vcdev_dev *dev, struct vcdev_ctx *ctx, uint32_t *ioas_id,
		struct vcdev_error *err)
{
	struct iommu_vfio_ioas arg = { .size = sizeof(arg), .op = IOMMU_VFIO_IOAS_GET };
	struct vfio_group_status status = { .argsz = sizeof(status) };
	int rc;

	rc = vcdev_ioctl(dev->group_fd, VFIO_GROUP_GET_STATUS, &status);
	if (rc)
		return vcdev_fail(err, rc, "cannot look at IOMMU group %d: %s", dev->pci.group,
				  strerror(-rc));
	if (!(status.flags & VFIO_GROUP_FLAGS_VIABLE)) {
		vcdev_fail(err, -EBUSY, "a kernel driver runs a device of IOMMU group %d",
			   dev->pci.group);
		vcdev_hint(err, "see which: vfio-cdev info %s", dev->pci.bdf);
		return -EBUSY;
	}
	rc = vcdev_ioctl(dev->group_fd, VFIO_GROUP_SET_CONTAINER, &ctx->fd);
	if (rc)
		return vcdev_fail(err, rc, "cannot put IOMMU group %d into the container: %s",
				  dev->pci.group, strerror(-rc));
	/* The type is the file's, not the group's: it stays, a second time is no error. */
	rc = vcdev_ioctl(ctx->fd, VFIO_SET_IOMMU, (void *)VFIO_TYPE1v2_IOMMU);
	if (rc && rc != -EINVAL)
		return vcdev_fail(err, rc, "cannot set the container's type: %s",
				  strerror(-rc));
	rc = vcdev_ioctl(ctx->fd, IOMMU_VFIO_IOAS, &arg);
	if (rc) {
		vcdev_fail(err, rc, "the container has no IOAS: %s", strerror(-rc));
		if (rc == -ENOTTY)
			vcdev_hint(err, "the distribution's vfio is loaded, not this project's");
		return rc;
	}
	*ioas_id = arg.ioas_id;
	return 0;
}

int vcdev_dev_open_group(const struct vcdev_host *host, const char *name,
			 struct vcdev_ctx *ctx, struct vcdev_dev **dev, uint32_t *ioas_id,
			 struct vcdev_error *err)
{
	struct vcdev_dev *new_dev;
	int rc;

	new_dev = calloc(1, sizeof(*new_dev));
	if (!new_dev)
		return vcdev_fail(err, -ENOMEM, "out of memory");
	if (host)
		new_dev->host = *host;
	rc = vcdev_pci_find(host, name, &new_dev->pci, err);
	if (rc)
		goto err_free_dev;
	rc = open_group(new_dev, &new_dev->group_fd, err);
	if (rc)
		goto err_free_dev;
	rc = join(new_dev, ctx, ioas_id, err);
	if (rc)
		goto err_close_group;
	rc = vcdev_ioctl(new_dev->group_fd, VFIO_GROUP_GET_DEVICE_FD, new_dev->pci.bdf);
	if (rc < 0) {
		vcdev_fail(err, rc, "cannot open %s through its group: %s", new_dev->pci.bdf,
			   strerror(-rc));
		goto err_close_group;
	}
	new_dev->fd = rc;
	rc = vcdev_dev_init(new_dev, err);
	if (rc)
		goto err_close_dev;
	*dev = new_dev;
	return 0;

err_close_dev:
	close(new_dev->fd);
err_close_group:
	close(new_dev->group_fd);
err_free_dev:
	free(new_dev);
	return rc;
}
