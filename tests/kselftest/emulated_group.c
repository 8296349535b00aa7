// SPDX-License-Identifier: GPL-2.0
/*
 * Devices with emulated IOMMU through groups: the sample vcopy, both of its types,
 * in a container. VFIO_CONTAINER=/dev/iommu has that for a container; otherwise the
 * program runs on the stock modules as well, which say what is right. Needs
 * kvm_amd or kvm_intel.
 */
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <linux/kvm.h>

#include "group_utils.h"
#include "vcopy_utils.h"
#include "kselftest_harness.h"

#define X		0x10000000UL
#define LEN		(5 * PAGE)

static int any_container(void)
{
	const char *path = getenv("VFIO_CONTAINER");
	int fd = open(path ?: "/dev/vfio/vfio", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* /dev/vfio/N of a mediated device. */
static int mdev_group_path(const char *uuid, char path[static 64])
{
	char device[128];

	snprintf(device, sizeof(device), MDEV_DEVICES "/%s", uuid);
	return group_path_of(device, "", path);
}

FIXTURE(emulated)
{
	char uuid[UUID_LEN + 1];
	char path[64];
	int container, group, dev;
	uint8_t *memory;
	long pins;
};

FIXTURE_VARIANT(emulated)
{
	const char *type;
	bool pins;
};

FIXTURE_VARIANT_ADD(emulated, pin) { .type = "pin", .pins = true };
FIXTURE_VARIANT_ADD(emulated, rw) { .type = "rw" };

FIXTURE_SETUP(emulated)
{
	self->pins = pinned_now();
	ASSERT_EQ(0, vcopy_create(variant->type, self->uuid));
	ASSERT_EQ(0, mdev_group_path(self->uuid, self->path));
	self->container = any_container();
	ASSERT_LE(0, self->container);
	self->group = group_open(self->path);
	ASSERT_LE(0, self->group);
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	self->dev = group_device(self->group, self->uuid);
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, vcopy_bus_master(self->dev, true));
	self->memory = pages_alloc(2 * LEN);
	ASSERT_NE(NULL, self->memory);
}

FIXTURE_TEARDOWN(emulated)
{
	close(self->dev);
	close(self->group);
	close(self->container);
	EXPECT_EQ(0, vcopy_remove(self->uuid));
	munmap(self->memory, 2 * LEN);
	EXPECT_EQ(self->pins, pinned_now());
}

static void fill(uint8_t *p, size_t length, unsigned int seed)
{
	size_t i;

	for (i = 0; i < length; i++)
		p[i] = seed + i * 7 + i / 251;
}

/* Copy the first half of @memory to the second, and look. 0, ERROR or -errno. */
static int prove(int dev, uint8_t *memory, unsigned int seed)
{
	int rc;

	fill(memory, LEN, seed);
	memset(memory + LEN, 0, LEN);
	rc = vcopy_run(dev, VCOPY_CMD_COPY, X, X + LEN, LEN);
	return rc ?: memcmp(memory, memory + LEN, LEN) ? -EIO : 0;
}

TEST_F(emulated, device_copies_what_is_mapped)
{
	EXPECT_EQ(VCOPY_ERROR_ADDRESS, prove(self->dev, self->memory, 1));
	ASSERT_EQ(0, dma_map(self->container, DMA_RW, self->memory, 2 * LEN, X));
	EXPECT_EQ(0, prove(self->dev, self->memory, 2));
	/* Between commands nothing is pinned: there is no page table to fill. */
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(2 * LEN, dma_unmap(self->container, 0, X, 2 * LEN));
	EXPECT_EQ(VCOPY_ERROR_ADDRESS, prove(self->dev, self->memory, 3));
}

TEST_F(emulated, permissions_are_kept)
{
	ASSERT_EQ(0, dma_map(self->container, DMA_RW, self->memory, LEN, X));
	ASSERT_EQ(0, dma_map(self->container, DMA_RD, self->memory + LEN, LEN,
			     X + LEN));
	EXPECT_EQ(VCOPY_ERROR_PERMISSION, prove(self->dev, self->memory, 4));
	EXPECT_EQ(0, vcopy_run(self->dev, VCOPY_CMD_LOAD, X + LEN, 0, LEN));
	EXPECT_EQ(2 * LEN, dma_unmap(self->container, 0, X, 2 * LEN));
}

TEST_F(emulated, unmap_takes_held_memory_away)
{
	if (!variant->pins)
		return;
	ASSERT_EQ(0, dma_map(self->container, DMA_RW, self->memory, 2 * LEN, X));
	ASSERT_EQ(0, vcopy_run(self->dev, VCOPY_CMD_HOLD, X, 0, LEN));
	EXPECT_EQ(LEN / PAGE, vcopy_get(self->dev, VCOPY_HELD));
	EXPECT_EQ(self->pins + LEN / PAGE, pinned_now());
	EXPECT_EQ(2 * LEN, dma_unmap(self->container, 0, X, 2 * LEN));
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(0, vcopy_get(self->dev, VCOPY_HELD));
	EXPECT_TRUE(vcopy_get(self->dev, VCOPY_STATUS) & VCOPY_LOST);
}

TEST_F(emulated, device_works_when_group_and_container_are_closed)
{
	ASSERT_EQ(0, dma_map(self->container, DMA_RW, self->memory, 2 * LEN, X));
	close(self->group);
	close(self->container);
	self->group = self->container = -1;
	EXPECT_EQ(0, prove(self->dev, self->memory, 5));
	EXPECT_EQ(-EBUSY, group_open(self->path));
}

TEST_F(emulated, device_opens_twice_and_both_files_work)
{
	int two = group_device(self->group, self->uuid);

	ASSERT_LE(0, two);
	ASSERT_EQ(0, dma_map(self->container, DMA_RW, self->memory, 2 * LEN, X));
	EXPECT_EQ(0, prove(two, self->memory, 6));
	close(self->dev);
	EXPECT_EQ(0, prove(two, self->memory, 7));
	EXPECT_EQ(-EBUSY, group_unset_container(self->group));
	self->dev = two;
}

TEST_F(emulated, device_of_another_name_is_enodev)
{
	EXPECT_EQ(-ENODEV, group_device(self->group,
					"00000000-0000-0000-0000-000000000000"));
}

TEST_F(emulated, next_user_finds_nothing_of_the_last)
{
	uint8_t byte = 0x55;

	EXPECT_EQ(0, vcopy_write(self->dev, VCOPY_BAR_BUFFER, 100, &byte, 1));
	close(self->dev);
	ASSERT_EQ(0, group_unset_container(self->group));
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	container_set_iommu(self->container, VFIO_TYPE1v2_IOMMU);
	self->dev = group_device(self->group, self->uuid);
	ASSERT_LE(0, self->dev);
	EXPECT_EQ(0, vcopy_read(self->dev, VCOPY_BAR_BUFFER, 100, &byte, 1));
	EXPECT_EQ(0, byte);
}

/* A process of its own, ready when it has written to the pipe. */
TEST_F(emulated, killed_process_leaves_nothing)
{
	int pipes[2], status;
	char byte;
	pid_t pid;

	close(self->dev);
	close(self->group);
	close(self->container);
	self->dev = self->group = self->container = -1;
	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int container = any_container(), group = group_open(self->path);
		int dev;

		group_set_container(group, container);
		container_set_iommu(container, VFIO_TYPE1v2_IOMMU);
		dev = group_device(group, self->uuid);
		if (dma_map(container, DMA_RW, self->memory, 2 * LEN, X) ||
		    vcopy_bus_master(dev, true))
			_exit(1);
		if (variant->pins)
			vcopy_run(dev, VCOPY_CMD_HOLD, X, 0, LEN);
		if (vcopy_start(dev, VCOPY_CMD_COPY | VCOPY_CMD_REPEAT, X, X + LEN,
				LEN))
			_exit(1);
		if (write(pipes[1], "", 1) != 1)
			_exit(1);
		pause();
	}
	close(pipes[1]);
	ASSERT_EQ(1, read(pipes[0], &byte, 1));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(SIGKILL, status);
	close(pipes[0]);
	self->group = group_open(self->path);
	EXPECT_LE(0, self->group);
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(emulated, removal_asks_and_waits_for_the_close)
{
	int event = eventfd(0, EFD_CLOEXEC), status;
	struct pollfd fd = { .fd = event, .events = POLLIN };
	struct stat st;
	pid_t pid;

	ASSERT_LE(0, event);
	ASSERT_EQ(0, vfio_set_irq(self->dev, VFIO_PCI_REQ_IRQ_INDEX, event));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(self->dev);
		close(self->group);
		close(self->container);
		_exit(vcopy_remove(self->uuid) ? 1 : 0);
	}
	EXPECT_EQ(1, poll(&fd, 1, 15000));
	EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
	EXPECT_EQ(VCOPY_MAGIC, vcopy_get(self->dev, VCOPY_ID));
	close(self->dev);
	self->dev = -1;
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-1, stat(self->path, &st));
	EXPECT_EQ(-ENODEV, group_device(self->group, self->uuid));
	close(event);
	ASSERT_EQ(0, vcopy_create(variant->type, self->uuid));
}

TEST_F(emulated, driver_is_told_of_the_vm)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	struct kvm_device_attr attr = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = KVM_DEV_VFIO_GROUP_ADD,
		.addr = (uintptr_t)&self->group,
	};
	int vm, kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	EXPECT_EQ(0, vcopy_get(self->dev, VCOPY_VM));
	ASSERT_LE(0, kvm);
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	close(kvm);
	ASSERT_LE(0, vm);
	ASSERT_EQ(0, ioctl_rc(vm, KVM_CREATE_DEVICE, &create));
	ASSERT_EQ(0, ioctl_rc(create.fd, KVM_SET_DEVICE_ATTR, &attr));
	EXPECT_EQ(0, vcopy_get(self->dev, VCOPY_VM));
	close(self->dev);
	self->dev = group_device(self->group, self->uuid);
	ASSERT_LE(0, self->dev);
	EXPECT_EQ(1, vcopy_get(self->dev, VCOPY_VM));
	close(create.fd);
	close(vm);
}

TEST_HARNESS_MAIN
