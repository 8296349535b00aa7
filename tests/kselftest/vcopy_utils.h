/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The sample device vcopy, for tests: making and removing one, its file, its
 * registers. Functions return 0 or what they are asked for, or -errno.
 */
#ifndef VCOPY_UTILS_H
#define VCOPY_UTILS_H

#include <linux/vfio.h>

#include "vcopy-regs.h"
#include "vfio_utils.h"

#define VCOPY_TYPES	"/sys/devices/platform/vcopy/mdev_supported_types"
#define MDEV_DEVICES	"/sys/bus/mdev/devices"
#define UUID_LEN	36
#define VCOPY_REGION(index) ((uint64_t)(index) << 32)

/* @type: "pin", "rw" */
static inline int vcopy_create(const char *type, char uuid[static UUID_LEN + 1])
{
	char path[128];
	int rc;

	sysfs_read("/proc/sys/kernel/random/uuid", uuid, UUID_LEN + 1);
	snprintf(path, sizeof(path), VCOPY_TYPES "/vcopy-%s/create", type);
	rc = sysfs_write(path, uuid);
	return rc;
}

static inline int vcopy_remove(const char *uuid)
{
	char path[128];

	snprintf(path, sizeof(path), MDEV_DEVICES "/%s/remove", uuid);
	return sysfs_write(path, "1");
}

static inline int vcopy_open(const char *uuid)
{
	char dir[128], path[64];
	struct dirent *entry;
	int fd, i, rc = -ENODEV;
	DIR *d;

	snprintf(dir, sizeof(dir), MDEV_DEVICES "/%s/vfio-dev", uuid);
	d = opendir(dir);
	if (!d)
		return -errno;
	while (rc && (entry = readdir(d))) {
		if (strncmp(entry->d_name, "vfio", 4))
			continue;
		snprintf(path, sizeof(path), "/dev/vfio/devices/%.40s", entry->d_name);
		rc = 0;
	}
	closedir(d);
	if (rc)
		return rc;
	/* The node follows the device, a moment later. */
	for (i = 0; i < 200; i++) {
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 || errno != ENOENT)
			break;
		usleep(10000);
	}
	return fd < 0 ? -errno : fd;
}

static inline int vcopy_read(int dev, int index, uint64_t at, void *data, size_t size)
{
	ssize_t rc = pread(dev, data, size, VCOPY_REGION(index) + at);

	return rc < 0 ? -errno : rc == (ssize_t)size ? 0 : -EIO;
}

static inline int vcopy_write(int dev, int index, uint64_t at, const void *data,
			      size_t size)
{
	ssize_t rc = pwrite(dev, data, size, VCOPY_REGION(index) + at);

	return rc < 0 ? -errno : rc == (ssize_t)size ? 0 : -EIO;
}

/* All ones when it cannot be read. */
static inline uint32_t vcopy_get(int dev, uint32_t reg)
{
	uint32_t value;

	return vcopy_read(dev, VCOPY_BAR_REGS, reg, &value, 4) ? UINT32_MAX : value;
}

static inline uint64_t vcopy_get64(int dev, uint32_t reg)
{
	uint64_t value;

	return vcopy_read(dev, VCOPY_BAR_REGS, reg, &value, 8) ? UINT64_MAX : value;
}

static inline int vcopy_set(int dev, uint32_t reg, uint32_t value)
{
	return vcopy_write(dev, VCOPY_BAR_REGS, reg, &value, 4);
}

static inline int vcopy_set64(int dev, uint32_t reg, uint64_t value)
{
	return vcopy_write(dev, VCOPY_BAR_REGS, reg, &value, 8);
}

static inline int vcopy_bus_master(int dev, bool on)
{
	uint16_t command = on ? 0x6 : 0x2;

	return vcopy_write(dev, VFIO_PCI_CONFIG_REGION_INDEX, 4, &command, 2);
}

static inline int vcopy_start(int dev, uint32_t cmd, uint64_t src, uint64_t dst,
			      uint64_t len)
{
	int rc = vcopy_set64(dev, VCOPY_SRC, src);

	rc = rc ?: vcopy_set64(dev, VCOPY_DST, dst);
	rc = rc ?: vcopy_set64(dev, VCOPY_LEN, len);
	return rc ?: vcopy_set(dev, VCOPY_CMD, cmd);
}

/* Wait for the end of a command. Returns ERROR, or -ETIMEDOUT. */
static inline int vcopy_wait(int dev)
{
	uint32_t status;
	int i;

	for (i = 0; i < 30000; i++) {
		status = vcopy_get(dev, VCOPY_STATUS);
		if (!(status & VCOPY_BUSY))
			return vcopy_get(dev, VCOPY_ERROR);
		usleep(i < 100 ? 10 : 1000);
	}
	return -ETIMEDOUT;
}

static inline int vcopy_run(int dev, uint32_t cmd, uint64_t src, uint64_t dst,
			    uint64_t len)
{
	int rc = vcopy_start(dev, cmd, src, dst, len);

	return rc ?: vcopy_wait(dev);
}

#endif
