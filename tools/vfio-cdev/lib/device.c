// SPDX-License-Identifier: GPL-2.0
/*
 * Devices: the cdev, its binding to a context and its attachment.
 *
 * The kernel keeps the state (opened, bound, attached) and refuses what does not
 * fit it. A dev copies only what never changes once it is bound: how many
 * regions and interrupts there are, and where the regions lie in its file.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "device.h"

static int open_node(const struct vcdev_dev *dev, struct vcdev_error *err)
{
	struct vcdev_path path;
	char holders[256];
	int fd, rc;

	vcdev_path(&dev->host, &path, "/dev/vfio/devices/%s", dev->pci.cdev);
	fd = open(path.s, O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	rc = -errno;
	vcdev_fail(err, rc, "cannot open %s: %s", path.s, strerror(-rc));
	if (rc == -EACCES || rc == -EPERM)
		vcdev_hint(err, "run this as root, or give yourself rights on %s", path.s);
	else if (rc == -EBUSY &&
		 vcdev_name_holders(&dev->host, &dev->pci, holders, sizeof(holders)))
		vcdev_hint(err, "it is in use by %s", holders);
	else if (rc == -ENOENT)
		vcdev_hint(err, "the kernel has the device, but its node is missing "
			   "here: is this a container, or udev not done?");
	return rc;
}

int vcdev_dev_open(const struct vcdev_host *host, const char *name,
		   struct vcdev_dev **dev, struct vcdev_error *err)
{
	struct vcdev_dev *new_dev;
	int rc;

	new_dev = calloc(1, sizeof(*new_dev));
	if (!new_dev)
		return vcdev_fail(err, -ENOMEM, "out of memory");
	new_dev->group_fd = -1;
	if (host)
		new_dev->host = *host;
	rc = vcdev_pci_find(host, name, &new_dev->pci, err);
	if (rc)
		goto err_free_dev;
	if (!new_dev->pci.cdev[0]) {
		rc = vcdev_pci_why_no_cdev(host, &new_dev->pci, err);
		goto err_free_dev;
	}
	rc = vcdev_passed_dev(host, &new_dev->pci, err);
	if (rc == -ENOENT)
		rc = open_node(new_dev, err);
	if (rc < 0)
		goto err_free_dev;
	new_dev->fd = rc;
	*dev = new_dev;
	return 0;

err_free_dev:
	free(new_dev);
	return rc;
}

void vcdev_dev_close(struct vcdev_dev *dev)
{
	if (!dev)
		return;
	close(dev->fd);
	if (dev->group_fd >= 0)
		close(dev->group_fd);
	free(dev->places);
	free(dev);
}

int vcdev_dev_fd(const struct vcdev_dev *dev)
{
	return dev->fd;
}

const struct vcdev_pci *vcdev_dev_pci(const struct vcdev_dev *dev)
{
	return &dev->pci;
}

/* Is it open in another file than ours? Then @err names by whom. */
static bool is_open_elsewhere(const struct vcdev_dev *dev, int rc, struct vcdev_error *err)
{
	char holders[256], sibling[VCDEV_BDF_LEN];
	struct vcdev_holder *list;
	bool others = false;
	ssize_t nr, i;

	nr = vcdev_pci_holders(&dev->host, &dev->pci, &list, NULL);
	for (i = 0; i < nr; i++)
		others |= list[i].pid != getpid() || list[i].fd != dev->fd;
	if (nr >= 0)
		free(list);
	if (others && vcdev_name_holders(&dev->host, &dev->pci, holders, sizeof(holders)))
		vcdev_fail(err, rc, "%s or its group is in use by %s", dev->pci.cdev, holders);
	else if (vcdev_name_sibling_holders(&dev->host, &dev->pci, getpid(), sibling, holders,
					    sizeof(holders)))
		vcdev_fail(err, rc, "%s of the same IOMMU group is in use by %s", sibling,
			   holders);
	else
		return false;
	vcdev_hint(err, "end that process first");
	return true;
}

/* The kernel's numbers have several causes each: look for them. */
static int fail_bind(const struct vcdev_dev *dev, int rc, struct vcdev_error *err)
{
	static const char no_with[1][VCDEV_BDF_LEN];
	const struct vcdev_pci *pci = &dev->pci;

	if (rc == -EBUSY &&
	    vcdev_driver_may_bind(&dev->host, pci, no_with, 0, err) == -EBUSY)
		return rc;
	if ((rc == -EBUSY || rc == -EPERM) && is_open_elsewhere(dev, rc, err))
		return rc;
	switch (rc) {
	case -EBUSY:
		vcdev_fail(err, rc, "%s or its IOMMU group %d is in use", pci->cdev, pci->group);
		vcdev_hint(err, "look for the user, of its group too, as root: "
			   "vfio-cdev info %s", pci->bdf);
		break;
	case -EPERM:
		vcdev_fail(err, rc, "the kernel does not give %s to this context: another "
			   "context owns IOMMU group %d, or interrupts are not isolated, or "
			   "firmware uses memory of it", pci->cdev, pci->group);
		vcdev_hint(err, "'dmesg' tells which; if it is the interrupts: switch interrupt "
			   "remapping on, or, if you trust the device, "
			   "iommufd.allow_unsafe_interrupts=1");
		break;
	case -EACCES:
		vcdev_fail(err, rc, "cannot bind %s to the iommufd context: it needs a VF token",
			   pci->cdev);
		vcdev_hint(err, "give %s back to its kernel driver, or write a program that "
			   "gives the token (VFIO_DEVICE_BIND_FLAG_TOKEN)",
			   pci->pf[0] ? pci->pf : "its VFs");
		break;
	default:
		vcdev_fail(err, rc, "cannot bind %s to the iommufd context: %s", pci->cdev,
			   strerror(-rc));
	}
	return rc;
}

int vcdev_dev_init(struct vcdev_dev *dev, struct vcdev_error *err)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	int rc;

	rc = vcdev_ioctl(dev->fd, VFIO_DEVICE_GET_INFO, &info);
	if (rc)
		return vcdev_fail(err, rc, "cannot read the device information of %s: %s",
				  dev->pci.bdf, strerror(-rc));
	dev->info = (struct vcdev_dev_info){
		.flags = info.flags,
		.nr_regions = info.num_regions,
		.nr_irqs = info.num_irqs,
	};
	return vcdev_places_init(dev, err);
}

int vcdev_dev_bind(struct vcdev_dev *dev, struct vcdev_ctx *ctx, struct vcdev_error *err)
{
	/* The size of Linux 6.6, which every later kernel accepts: no token. */
	struct vfio_device_bind_iommufd arg = {
		.argsz = offsetof(struct vfio_device_bind_iommufd, token_uuid_ptr),
		.iommufd = ctx->fd,
	};
	int rc;

	rc = vcdev_ioctl(dev->fd, VFIO_DEVICE_BIND_IOMMUFD, &arg);
	if (rc)
		return fail_bind(dev, rc, err);
	dev->id = arg.out_devid;
	/* A failure of this leaves it bound: only closing the file undoes that. */
	return vcdev_dev_init(dev, err);
}

int vcdev_dev_attach(struct vcdev_dev *dev, uint32_t pt_id, uint32_t *hwpt_id,
		     struct vcdev_error *err)
{
	/* As in Linux 6.6: without a PASID. */
	struct vfio_device_attach_iommufd_pt arg = {
		.argsz = offsetof(struct vfio_device_attach_iommufd_pt, pasid),
		.pt_id = pt_id,
	};
	int rc;

	rc = vcdev_ioctl(dev->fd, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &arg);
	if (rc) {
		vcdev_fail(err, rc, "cannot attach %s to object %u: %s", dev->pci.cdev, pt_id,
			   strerror(-rc));
		if (rc == -EADDRINUSE)
			vcdev_hint(err, "memory is mapped in a reserved region of the device: "
				   "'vfio-cdev info %s' shows its IOVA ranges", dev->pci.bdf);
		return rc;
	}
	if (hwpt_id)
		*hwpt_id = arg.pt_id;
	return 0;
}

int vcdev_dev_detach(struct vcdev_dev *dev, struct vcdev_error *err)
{
	struct vfio_device_detach_iommufd_pt arg = {
		.argsz = offsetof(struct vfio_device_detach_iommufd_pt, pasid),
	};
	int rc;

	rc = vcdev_ioctl(dev->fd, VFIO_DEVICE_DETACH_IOMMUFD_PT, &arg);
	if (rc)
		return vcdev_fail(err, rc, "cannot detach %s: %s", dev->pci.cdev, strerror(-rc));
	return 0;
}

int vcdev_dev_info(struct vcdev_dev *dev, struct vcdev_dev_info *info,
		   struct vcdev_error *err)
{
	if (!dev->places)
		return vcdev_fail(err, -EINVAL, "%s is not bound to a context", dev->pci.cdev);
	*info = dev->info;
	return 0;
}

int vcdev_dev_reset(struct vcdev_dev *dev, struct vcdev_error *err)
{
	int rc;

	rc = vcdev_ioctl(dev->fd, VFIO_DEVICE_RESET, NULL);
	if (!rc)
		return 0;
	vcdev_fail(err, rc, "cannot reset %s: %s", dev->pci.cdev, strerror(-rc));
	if (rc == -ENOTTY)
		vcdev_hint(err, "it has no reset of its own, only one of its bus");
	return rc;
}
