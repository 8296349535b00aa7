/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A QEMU edu device (1234:11e8) under vfio-pci, for tests: finding its file,
 * and the ioctls as functions that return what the ioctl returned or -errno.
 *
 * Raw uapi on purpose, no library of ours in between: these tests are about
 * the interface. Linux 6.1 has its own <linux/vfio.h>; the Makefile puts ours
 * in front.
 */
#ifndef VFIO_UTILS_H
#define VFIO_UTILS_H

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <sys/eventfd.h>
#include <sys/stat.h>

#include <linux/vfio.h>

#include "iommufd_utils.h"

/* First line of a sysfs attribute without its newline; "" if there is none. */
static inline void sysfs_read(const char *path, char *line, size_t size)
{
	FILE *f = fopen(path, "r");

	line[0] = '\0';
	if (!f)
		return;
	if (fgets(line, size, f))
		line[strcspn(line, "\n")] = '\0';
	fclose(f);
}

static inline int sysfs_write(const char *path, const char *text)
{
	int rc, fd = open(path, O_WRONLY);

	if (fd < 0)
		return -errno;
	rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

/* A PCI function with these IDs, as "0000:02:00.0"; pass over @skip of them. */
static inline int pci_find(const char *vendor, const char *device,
			   unsigned int skip, char bdf[static 16])
{
	char path[PATH_MAX], line[32];
	struct dirent *entry;
	DIR *dir = opendir("/sys/bus/pci/devices");
	int rc = -ENODEV;

	if (!dir)
		return -errno;
	while (rc && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/vendor",
			 entry->d_name);
		sysfs_read(path, line, sizeof(line));
		if (strcmp(line, vendor))
			continue;
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/device",
			 entry->d_name);
		sysfs_read(path, line, sizeof(line));
		if (strcmp(line, device) || skip--)
			continue;
		snprintf(bdf, 16, "%.15s", entry->d_name);
		rc = 0;
	}
	closedir(dir);
	return rc;
}

static inline bool pci_driver_is(const char *bdf, const char *driver)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", bdf);
	length = readlink(path, link, sizeof(link) - 1);
	if (length < 0)
		return false;
	link[length] = '\0';
	return !strcmp(strrchr(link, '/') + 1, driver);
}

/* Hand a function that no driver has to vfio-pci. */
static inline int pci_bind_vfio(const char *bdf)
{
	char path[PATH_MAX];
	int rc;

	if (pci_driver_is(bdf, "vfio-pci"))
		return 0;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override",
		 bdf);
	rc = sysfs_write(path, "vfio-pci");
	if (!rc)
		rc = sysfs_write("/sys/bus/pci/drivers_probe", bdf);
	if (!rc && !pci_driver_is(bdf, "vfio-pci"))
		rc = -ENODEV;
	return rc;
}

static inline int pci_unbind_vfio(const char *bdf)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override",
		 bdf);
	sysfs_write(path, "\n");
	return sysfs_write("/sys/bus/pci/drivers/vfio-pci/unbind", bdf);
}

/* The device file of a function: /dev/vfio/devices/vfioX. */
static inline int vfio_cdev_path(const char *bdf, char path[static 64])
{
	char sysfs[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	DIR *dir;
	int i, rc = -ENODEV;

	snprintf(sysfs, sizeof(sysfs), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
	dir = opendir(sysfs);
	if (!dir)
		return -errno;
	while (rc && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(path, 64, "/dev/vfio/devices/%.40s", entry->d_name);
		rc = 0;
	}
	closedir(dir);
	/* The node follows the device, a moment later. */
	for (i = 0; !rc && stat(path, &st) && i < 200; i++)
		usleep(10000);
	return rc;
}

/*
 * The device file of an edu device, given to vfio-pci if need be. VFIO_EDU names
 * another file for the first one.
 */
static inline int edu_path(unsigned int nr, char path[static 64])
{
	char bdf[16];
	int rc;

	if (!nr && getenv("VFIO_EDU")) {
		snprintf(path, 64, "%s", getenv("VFIO_EDU"));
		return 0;
	}
	rc = pci_find("0x1234", "0x11e8", nr, bdf);
	if (!rc)
		rc = pci_bind_vfio(bdf);
	if (!rc)
		rc = vfio_cdev_path(bdf, path);
	return rc;
}

static inline int edu_open_nth(unsigned int nr)
{
	char path[64];
	int fd, rc = edu_path(nr, path);

	if (rc)
		return rc;
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static inline int edu_open(void)
{
	return edu_open_nth(0);
}

static inline int vfio_bind(int dev, int iommufd, uint32_t *devid)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.iommufd = iommufd,
	};
	int rc = ioctl_rc(dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	if (!rc && devid)
		*devid = cmd.out_devid;
	return rc;
}

/* @hwpt: out, may be NULL */
static inline int vfio_attach(int dev, uint32_t pt_id, uint32_t *hwpt)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = pt_id,
	};
	int rc = ioctl_rc(dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd);

	if (!rc && hwpt)
		*hwpt = cmd.pt_id;
	return rc;
}

static inline int vfio_detach(int dev)
{
	struct vfio_device_detach_iommufd_pt cmd = { .argsz = sizeof(cmd) };

	return ioctl_rc(dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd);
}

static inline int vfio_get_info(int dev)
{
	struct vfio_device_info cmd = { .argsz = sizeof(cmd) };

	return ioctl_rc(dev, VFIO_DEVICE_GET_INFO, &cmd);
}

/* In the caller's @info. */
static inline int vfio_region_info(int dev, uint32_t index,
				   struct vfio_region_info *info)
{
	memset(info, 0, sizeof(*info));
	info->argsz = sizeof(*info);
	info->index = index;
	return ioctl_rc(dev, VFIO_DEVICE_GET_REGION_INFO, info);
}

/* One interrupt of a device signals @fd; -1: nothing. */
static inline int vfio_set_irq(int dev, uint32_t index, int fd)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} arg = {
		.set = {
			.argsz = sizeof(arg),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD |
				 VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = index,
			.count = 1,
		},
		.fd = fd,
	};

	return ioctl_rc(dev, VFIO_DEVICE_SET_IRQS, &arg);
}

/* An eventfd that is signalled when the device is asked back, or -errno. */
static inline int vfio_request_event(int dev)
{
	int fd = eventfd(0, EFD_CLOEXEC);
	int rc = vfio_set_irq(dev, VFIO_PCI_REQ_IRQ_INDEX, fd);

	return rc ?: fd;
}

#endif
