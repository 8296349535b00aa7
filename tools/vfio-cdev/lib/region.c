// SPDX-License-Identifier: GPL-2.0
/*
 * Regions of a device: BARs, ROM, configuration space and those of its driver.
 *
 * A description comes with a chain of capabilities behind it, each at an offset
 * that the kernel names. Nothing of that is taken on trust: an offset beyond the
 * buffer, or a chain that does not end, is -EPROTO.
 */
#include <endian.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "device.h"

static int fail_index(struct vcdev_dev *dev, uint32_t index, struct vcdev_error *err)
{
	if (!dev->places)
		return vcdev_fail(err, -EINVAL, "%s is not bound to a context", dev->pci.cdev);
	return vcdev_fail(err, -EINVAL, "%s has no region %u", dev->pci.cdev, index);
}

int vcdev_places_init(struct vcdev_dev *dev, struct vcdev_error *err)
{
	struct vcdev_place *places;
	uint32_t i;
	int rc;

	places = calloc(dev->info.nr_regions ? dev->info.nr_regions : 1, sizeof(*places));
	if (!places)
		return vcdev_fail(err, -ENOMEM, "out of memory");
	for (i = 0; i < dev->info.nr_regions; i++) {
		struct vfio_region_info info = { .argsz = sizeof(info), .index = i };

		rc = vcdev_ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, &info);
		/* EINVAL: counted, but not there, such as VGA of most devices. */
		if (rc == -EINVAL)
			continue;
		if (rc) {
			free(places);
			return vcdev_fail(err, rc, "cannot read about region %u of %s: %s", i,
					  dev->pci.cdev, strerror(-rc));
		}
		places[i].size = info.size;
		places[i].offset = info.offset;
	}
	dev->places = places;
	return 0;
}

/* -------------------------------------------------------------- describing */

static int read_sparse(const char *cap, size_t room, struct vcdev_region *region)
{
	struct vfio_region_info_cap_sparse_mmap sparse;
	struct vfio_region_sparse_mmap_area area;
	size_t i;

	if (room < sizeof(sparse))
		return -EPROTO;
	memcpy(&sparse, cap, sizeof(sparse));
	if (region->areas || sparse.nr_areas > (room - sizeof(sparse)) / sizeof(area))
		return -EPROTO;
	region->areas = calloc(sparse.nr_areas ? sparse.nr_areas : 1, sizeof(*region->areas));
	if (!region->areas)
		return -ENOMEM;
	region->is_sparse = true;
	region->nr_areas = sparse.nr_areas;
	for (i = 0; i < region->nr_areas; i++) {
		memcpy(&area, cap + sizeof(sparse) + i * sizeof(area), sizeof(area));
		region->areas[i] = (struct vcdev_area){ area.offset, area.size };
	}
	return 0;
}

static int read_cap(const char *cap, size_t room, uint16_t id, struct vcdev_region *region)
{
	struct vfio_region_info_cap_type type;

	switch (id) {
	case VFIO_REGION_INFO_CAP_SPARSE_MMAP:
		return read_sparse(cap, room, region);
	case VFIO_REGION_INFO_CAP_TYPE:
		if (room < sizeof(type))
			return -EPROTO;
		memcpy(&type, cap, sizeof(type));
		region->type = type.type;
		region->subtype = type.subtype;
		return 0;
	case VFIO_REGION_INFO_CAP_MSIX_MAPPABLE:
		region->msix_mappable = true;
		return 0;
	}
	return 0;	/* unknown: not ours to judge */
}

static int read_caps(const char *info, size_t size, uint32_t first,
		     struct vcdev_region *region)
{
	struct vfio_info_cap_header header;
	size_t at, steps = 0;
	int rc;

	for (at = first; at; at = header.next) {
		if (at < sizeof(struct vfio_region_info) || at > size ||
		    size - at < sizeof(header) || steps++ > size / sizeof(header))
			return -EPROTO;
		memcpy(&header, info + at, sizeof(header));
		rc = read_cap(info + at, size - at, header.id, region);
		if (rc)
			return rc;
	}
	return 0;
}

int vcdev_region_get(struct vcdev_dev *dev, uint32_t index,
		     struct vcdev_region *region, struct vcdev_error *err)
{
	struct vfio_region_info *info, *grown;
	uint32_t size = sizeof(*info);
	int rc;

	memset(region, 0, sizeof(*region));
	if (!dev->places || index >= dev->info.nr_regions)
		return fail_index(dev, index, err);
	info = calloc(1, size);
	if (!info)
		return vcdev_fail(err, -ENOMEM, "out of memory");
	for (;;) {
		info->argsz = size;
		info->index = index;
		rc = vcdev_ioctl(dev->fd, VFIO_DEVICE_GET_REGION_INFO, info);
		if (rc || info->argsz <= size)
			break;
		/* The kernel names the size that it needs for the capabilities. */
		size = info->argsz;
		grown = realloc(info, size);
		if (!grown) {
			rc = -ENOMEM;
			break;
		}
		info = grown;
		memset(info, 0, size);
	}
	if (rc == -EINVAL) {
		free(info);
		return 0;	/* not there: size 0 */
	}
	if (rc)
		goto err_free_info;
	region->flags = info->flags;
	region->size = info->size;
	region->offset = info->offset;
	if (info->flags & VFIO_REGION_INFO_FLAG_CAPS)
		rc = read_caps((const char *)info, size, info->cap_offset, region);
	if (rc)
		goto err_free_region;
	free(info);
	return 0;

err_free_region:
	vcdev_region_free(region);
err_free_info:
	free(info);
	return vcdev_fail(err, rc, "cannot read about region %u of %s: %s", index,
			  dev->pci.cdev, strerror(-rc));
}

void vcdev_region_free(struct vcdev_region *region)
{
	free(region->areas);
	memset(region, 0, sizeof(*region));
}

/* --------------------------------------------------------- read and write */

/* Is the range inside of the region? Overflow is "no". */
static int check_range(struct vcdev_dev *dev, uint32_t index, uint64_t offset,
		       uint64_t length, struct vcdev_error *err)
{
	const struct vcdev_place *place;

	if (!dev->places || index >= dev->info.nr_regions)
		return fail_index(dev, index, err);
	place = &dev->places[index];
	if (offset > place->size || length > place->size - offset)
		return vcdev_fail(err, -EINVAL, "0x%" PRIx64 " bytes at 0x%" PRIx64
				  " are beyond region %u of %s, which has 0x%" PRIx64
				  " bytes", length, offset, index, dev->pci.cdev, place->size);
	return 0;
}

static int fail_access(struct vcdev_dev *dev, int rc, const char *what, uint32_t index,
		       uint64_t offset, struct vcdev_error *err)
{
	return vcdev_fail(err, rc, "cannot %s region %u of %s at 0x%" PRIx64 ": %s", what,
			  index, dev->pci.cdev, offset, strerror(-rc));
}

int vcdev_region_read(struct vcdev_dev *dev, uint32_t index, uint64_t offset,
		      void *buf, size_t length, struct vcdev_error *err)
{
	ssize_t done;
	int rc;

	rc = check_range(dev, index, offset, length, err);
	if (rc)
		return rc;
	do {
		done = pread(dev->fd, buf, length, dev->places[index].offset + offset);
	} while (done < 0 && errno == EINTR);
	rc = done < 0 ? -errno : (size_t)done != length ? -EIO : 0;
	return rc ? fail_access(dev, rc, "read", index, offset, err) : 0;
}

int vcdev_region_write(struct vcdev_dev *dev, uint32_t index, uint64_t offset,
		       const void *buf, size_t length, struct vcdev_error *err)
{
	ssize_t done;
	int rc;

	rc = check_range(dev, index, offset, length, err);
	if (rc)
		return rc;
	do {
		done = pwrite(dev->fd, buf, length, dev->places[index].offset + offset);
	} while (done < 0 && errno == EINTR);
	rc = done < 0 ? -errno : (size_t)done != length ? -EIO : 0;
	return rc ? fail_access(dev, rc, "write", index, offset, err) : 0;
}

/* ------------------------------------------------------------------- mmap */

int vcdev_region_map(struct vcdev_dev *dev, uint32_t index, uint64_t offset,
		     uint64_t length, int prot, void **addr,
		     struct vcdev_error *err)
{
	void *mapped;
	int rc;

	rc = check_range(dev, index, offset, length, err);
	if (rc)
		return rc;
	if (!length)
		length = dev->places[index].size - offset;
	mapped = mmap(NULL, length, prot, MAP_SHARED, dev->fd,
		      dev->places[index].offset + offset);
	if (mapped == MAP_FAILED) {
		rc = -errno;
		fail_access(dev, rc, "map", index, offset, err);
		if (rc == -EINVAL)
			vcdev_hint(err, "'vfio-cdev info %s' shows which parts can be mapped",
				   dev->pci.bdf);
		return rc;
	}
	*addr = mapped;
	return 0;
}

void vcdev_region_unmap(void *addr, uint64_t length)
{
	if (addr)
		munmap(addr, length);
}

/* ----------------------------------------------------- configuration space */

int vcdev_config_read(struct vcdev_dev *dev, uint32_t offset, void *buf,
		      size_t length, struct vcdev_error *err)
{
	return vcdev_region_read(dev, VFIO_PCI_CONFIG_REGION_INDEX, offset, buf, length, err);
}

int vcdev_config_write(struct vcdev_dev *dev, uint32_t offset, const void *buf,
		       size_t length, struct vcdev_error *err)
{
	return vcdev_region_write(dev, VFIO_PCI_CONFIG_REGION_INDEX, offset, buf, length, err);
}

int vcdev_dev_enable(struct vcdev_dev *dev, bool bus_master, struct vcdev_error *err)
{
	uint16_t command;
	int rc;

	rc = vcdev_config_read(dev, PCI_COMMAND, &command, sizeof(command), err);
	if (rc)
		return rc;
	command = le16toh(command) | PCI_COMMAND_MEMORY;
	if (bus_master)
		command |= PCI_COMMAND_MASTER;
	else
		command &= ~PCI_COMMAND_MASTER;
	command = htole16(command);
	return vcdev_config_write(dev, PCI_COMMAND, &command, sizeof(command), err);
}
