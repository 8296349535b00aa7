// SPDX-License-Identifier: GPL-2.0
/*
 * A userspace driver for "vcopy", the sample device of drivers/samples, and with it
 * the shortest way to see this project at work: no hardware and no IOMMU is needed.
 *
 *	modprobe -a vfio mdev; insmod build/<release>/samples/vcopy.ko
 *	cd /sys/devices/platform/vcopy/mdev_supported_types/vcopy-pin
 *	uuidgen > create; ls devices/UUID/vfio-dev
 *	copy vfio0
 *
 * It has the whole path in plain ioctls: open /dev/iommu and the device, BIND, an
 * address space, ATTACH, MAP; then the device is told, by IOVA, to copy one half
 * of the memory to the other, and says so by an interrupt. The copy is compared
 * byte by byte, and so is what must not have changed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "vcopy-regs.h"

#define MEMORY		(1024 * 1024)
#define HALF		(MEMORY / 2)
#define IOVA		0x100000000ULL		/* any address will do */
#define TIMEOUT_MS	30000

/**
 * struct copy - one open device
 * @iommufd: /dev/iommu
 * @dev: the device's file
 * @ioas: ID of the address space
 * @regs: where the registers begin in the file
 * @config: where the configuration space begins
 * @eventfd: the interrupt
 */
struct copy {
	int iommufd, dev;
	uint32_t ioas;
	uint64_t regs, config;
	int eventfd;
};

/* ------------------------------------------------------------- small things */

static int fail(const char *what)
{
	fprintf(stderr, "copy: %s: FAILED\n", what);
	return -EIO;
}

static int fail_errno(const char *what)
{
	int rc = -errno;

	fprintf(stderr, "copy: %s: %s\n", what, strerror(-rc));
	return rc;
}

static void ok(const char *what)
{
	printf("copy: %s: ok\n", what);
	fflush(stdout);
}

static void fill(uint8_t *bytes, size_t length, uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;

	while (length--) {
		state = state * 1664525 + 1013904223;
		*bytes++ = state >> 24;
	}
}

static bool is_filled(const uint8_t *bytes, size_t length, uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;

	for (; length--; bytes++) {
		state = state * 1664525 + 1013904223;
		if (*bytes != (uint8_t)(state >> 24))
			return false;
	}
	return true;
}

/* ---------------------------------------------------------------- registers */

static int read_reg(const struct copy *copy, uint32_t reg, uint32_t *value)
{
	if (pread(copy->dev, value, 4, copy->regs + reg) != 4)
		return fail_errno("read a register");
	return 0;
}

static int write_reg(const struct copy *copy, uint32_t reg, const void *value, size_t size)
{
	if (pwrite(copy->dev, value, size, copy->regs + reg) != (ssize_t)size)
		return fail_errno("write a register");
	return 0;
}

static int find_region(const struct copy *copy, uint32_t index, uint64_t *offset)
{
	struct vfio_region_info info = { .argsz = sizeof(info), .index = index };

	if (ioctl(copy->dev, VFIO_DEVICE_GET_REGION_INFO, &info) || !info.size)
		return fail_errno("find a region");
	*offset = info.offset;
	return 0;
}

/* ------------------------------------------------------------ open, get ready */

static int open_files(struct copy *copy, const char *name)
{
	struct vfio_device_bind_iommufd bind = { .argsz = sizeof(bind) };
	char path[256];

	copy->iommufd = open("/dev/iommu", O_RDWR | O_CLOEXEC);
	if (copy->iommufd < 0)
		return fail_errno("/dev/iommu");
	snprintf(path, sizeof(path), "%s%s", strchr(name, '/') ? "" : "/dev/vfio/devices/", name);
	copy->dev = open(path, O_RDWR | O_CLOEXEC);
	if (copy->dev < 0)
		return fail_errno(path);
	bind.iommufd = copy->iommufd;
	if (ioctl(copy->dev, VFIO_DEVICE_BIND_IOMMUFD, &bind))
		return fail_errno("bind");
	return 0;
}

static int check_device(struct copy *copy)
{
	uint32_t ids, magic = 0, caps = 0;
	uint16_t command = 0x6;		/* answer to accesses; may copy: a bus master */
	int rc;

	rc = find_region(copy, VFIO_PCI_CONFIG_REGION_INDEX, &copy->config);
	if (rc)
		return rc;
	if (pread(copy->dev, &ids, 4, copy->config) != 4)
		return fail_errno("read the configuration space");
	if (ids != (VCOPY_VENDOR | (uint32_t)VCOPY_DEVICE << 16)) {
		fprintf(stderr, "copy: it is %04x:%04x, not a vcopy device\n", ids & 0xffff,
			ids >> 16);
		return -ENODEV;
	}
	rc = find_region(copy, VFIO_PCI_BAR0_REGION_INDEX + VCOPY_BAR_REGS, &copy->regs);
	if (!rc)
		rc = read_reg(copy, VCOPY_ID, &magic);
	if (!rc)
		rc = read_reg(copy, VCOPY_CAPS, &caps);
	if (rc)
		return rc;
	if (magic != VCOPY_MAGIC)
		return fail("registers answer");
	if (pwrite(copy->dev, &command, 2, copy->config + 4) != 2)
		return fail_errno("make it a bus master");
	ok(caps & VCOPY_CAP_PINS ? "bound, a device that pins" :
				   "bound, a device that does not pin");
	return 0;
}

static int attach(struct copy *copy)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };

	if (ioctl(copy->iommufd, IOMMU_IOAS_ALLOC, &alloc))
		return fail_errno("make an address space");
	copy->ioas = alloc.out_ioas_id;
	attach.pt_id = copy->ioas;
	if (ioctl(copy->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach))
		return fail_errno("attach");
	return 0;
}

static int enable_interrupt(struct copy *copy)
{
	struct {
		struct vfio_irq_set set;
		int fd;
	} arg = {
		.set = {
			.argsz = sizeof(arg),
			.flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
			.index = VFIO_PCI_MSI_IRQ_INDEX,
			.count = 1,
		},
	};

	copy->eventfd = eventfd(0, EFD_CLOEXEC);
	if (copy->eventfd < 0)
		return fail_errno("eventfd");
	arg.fd = copy->eventfd;
	if (ioctl(copy->dev, VFIO_DEVICE_SET_IRQS, &arg))
		return fail_errno("enable the interrupt");
	return 0;
}

/* -------------------------------------------------------------------- copying */

static int map(struct copy *copy, void *memory)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.ioas_id = copy->ioas,
		.user_va = (uintptr_t)memory,
		.length = MEMORY,
		.iova = IOVA,
	};

	if (ioctl(copy->iommufd, IOMMU_IOAS_MAP, &cmd))
		return fail_errno("map");
	return 0;
}

static int unmap(struct copy *copy)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = copy->ioas,
		.iova = IOVA,
		.length = MEMORY,
	};

	if (ioctl(copy->iommufd, IOMMU_IOAS_UNMAP, &cmd))
		return fail_errno("unmap");
	return 0;
}

/* Order a copy and wait for the interrupt. @error: the device's opinion. */
static int run(struct copy *copy, uint64_t src, uint64_t dst, uint64_t length,
	       uint32_t *error)
{
	struct pollfd poll_fd = { .fd = copy->eventfd, .events = POLLIN };
	uint32_t cmd = VCOPY_CMD_COPY | VCOPY_CMD_IRQ, status = 0;
	uint64_t count;
	int rc;

	rc = write_reg(copy, VCOPY_SRC, &src, 8);
	if (!rc)
		rc = write_reg(copy, VCOPY_DST, &dst, 8);
	if (!rc)
		rc = write_reg(copy, VCOPY_LEN, &length, 8);
	if (!rc)
		rc = write_reg(copy, VCOPY_CMD, &cmd, 4);
	if (rc)
		return rc;
	if (poll(&poll_fd, 1, TIMEOUT_MS) != 1 ||
	    read(copy->eventfd, &count, sizeof(count)) != sizeof(count) || count != 1)
		return fail("one interrupt");
	rc = read_reg(copy, VCOPY_STATUS, &status);
	if (!rc && status & VCOPY_BUSY)
		rc = fail("the interrupt comes after the copy");
	return rc ? rc : read_reg(copy, VCOPY_ERROR, error);
}

static int test_copy(struct copy *copy, uint8_t *memory)
{
	uint32_t error;
	int rc;

	/* All but the first and the last byte of the second half. */
	fill(memory, HALF, 1);
	fill(memory + HALF, HALF, 2);
	rc = run(copy, IOVA, IOVA + HALF + 1, HALF - 2, &error);
	if (rc)
		return rc;
	if (error || !is_filled(memory, HALF, 1) ||
	    memcmp(memory, memory + HALF + 1, HALF - 2))
		return fail("the device copies memory by IOVA");
	fill(memory + HALF + 1, HALF - 2, 3);
	fill(memory, HALF, 2);
	if (memory[HALF] != memory[0] || memory[MEMORY - 1] != memory[HALF - 1])
		return fail("nothing else changes");
	ok("memory copied by IOVA, interrupt, compared by content");
	return 0;
}

static int test_unmapped(struct copy *copy, uint8_t *memory)
{
	uint32_t error;
	int rc;

	fill(memory, MEMORY, 4);
	rc = unmap(copy);
	if (!rc)
		rc = run(copy, IOVA, IOVA + HALF, HALF, &error);
	if (rc)
		return rc;
	if (error != VCOPY_ERROR_ADDRESS || !is_filled(memory, MEMORY, 4))
		return fail("what is not mapped any more is out of reach");
	ok("what is not mapped any more is out of reach");
	return 0;
}

int main(int argc, char **argv)
{
	struct copy copy = { .iommufd = -1, .dev = -1, .eventfd = -1 };
	uint8_t *memory;
	int rc;

	if (argc != 2 || argv[1][0] == '-') {
		fputs("usage: copy vfioX\n\n"
		      "Has a vcopy device (drivers/samples) copy memory of this program.\n", stderr);
		return 2;
	}
	memory = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED) {
		fail_errno("memory");
		return 1;
	}
	rc = open_files(&copy, argv[1]);
	if (!rc)
		rc = check_device(&copy);
	if (!rc)
		rc = attach(&copy);
	if (!rc)
		rc = enable_interrupt(&copy);
	if (!rc)
		rc = map(&copy, memory);
	if (!rc)
		rc = test_copy(&copy, memory);
	if (!rc)
		rc = test_unmapped(&copy, memory);
	if (!rc)
		printf("copy: all ok\n");
	/* Closing gives everything back, in any order. */
	return rc ? 1 : 0;
}
