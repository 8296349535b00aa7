/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Groups and the type1 container, for tests: the ioctls as functions that return
 * what the ioctl returned or -errno.
 */
#ifndef GROUP_UTILS_H
#define GROUP_UTILS_H

#include "vfio_utils.h"

#define DMA_RD	VFIO_DMA_MAP_FLAG_READ
#define DMA_WR	VFIO_DMA_MAP_FLAG_WRITE
#define DMA_RW	(DMA_RD | DMA_WR)

static inline int container_open(void)
{
	int fd = open("/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/*
 * The file of a device's group, once it is there. @device: its directory in sysfs;
 * @prefix: of the file's name, "noiommu-" or nothing.
 */
static inline int group_path_of(const char *device, const char *prefix,
				char path[static 64])
{
	char sysfs[PATH_MAX], link[PATH_MAX];
	struct stat st;
	ssize_t length;
	int i;

	snprintf(sysfs, sizeof(sysfs), "%s/iommu_group", device);
	length = readlink(sysfs, link, sizeof(link) - 1);
	if (length < 0)
		return -errno;
	link[length] = '\0';
	snprintf(path, 64, "/dev/vfio/%.16s%.32s", prefix,
		 strrchr(link, '/') + 1);
	for (i = 0; i < 200; i++) {
		if (!stat(path, &st))
			return 0;
		usleep(10000);
	}
	return -ENOENT;
}

static inline int pci_group_path(const char *bdf, char path[static 64])
{
	char device[64];

	snprintf(device, sizeof(device), "/sys/bus/pci/devices/%s", bdf);
	return group_path_of(device, "", path);
}

/* /dev/vfio/N of the nth edu device, which is given to vfio-pci if need be. */
static inline int edu_group_path(unsigned int nr, char bdf[static 16],
				 char path[static 64])
{
	int rc = pci_find("0x1234", "0x11e8", nr, bdf);

	rc = rc ?: pci_bind_vfio(bdf);
	return rc ?: pci_group_path(bdf, path);
}

static inline int group_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The flags, or -errno. */
static inline int group_status(int group)
{
	struct vfio_group_status cmd = { .argsz = sizeof(cmd) };
	int rc = ioctl_rc(group, VFIO_GROUP_GET_STATUS, &cmd);

	return rc ?: (int)cmd.flags;
}

static inline int group_set_container(int group, int container)
{
	return ioctl_rc(group, VFIO_GROUP_SET_CONTAINER, &container);
}

static inline int group_unset_container(int group)
{
	return ioctl_rc(group, VFIO_GROUP_UNSET_CONTAINER, NULL);
}

static inline int group_device(int group, const char *name)
{
	int fd = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, name);

	return fd < 0 ? -errno : fd;
}

static inline int container_set_iommu(int container, unsigned long type)
{
	return ioctl(container, VFIO_SET_IOMMU, type) < 0 ? -errno : 0;
}

static inline int container_extension(int container, unsigned long extension)
{
	int rc = ioctl(container, VFIO_CHECK_EXTENSION, extension);

	return rc < 0 ? -errno : rc;
}

static inline int dma_map(int container, uint32_t flags, const void *va,
			  uint64_t size, uint64_t iova)
{
	struct vfio_iommu_type1_dma_map cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.vaddr = (uintptr_t)va,
		.iova = iova,
		.size = size,
	};

	return ioctl_rc(container, VFIO_IOMMU_MAP_DMA, &cmd);
}

/* Bytes unmapped, or -errno. */
static inline int64_t dma_unmap(int container, uint32_t flags, uint64_t iova,
				uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap cmd = {
		.argsz = sizeof(cmd),
		.flags = flags,
		.iova = iova,
		.size = size,
	};
	int rc = ioctl_rc(container, VFIO_IOMMU_UNMAP_DMA, &cmd);

	return rc ?: (int64_t)cmd.size;
}

#endif
