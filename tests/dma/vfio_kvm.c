// SPDX-License-Identifier: GPL-2.0
/*
 * What KVM is told: whether DMA is coherent, when it is asked before and after a
 * device is bound, of a device's own file and a group's; and what drivers are told
 * about the VM. Needs kvm_amd or kvm_intel, QEMU's edu, the sample vcopy, and probes
 * in tracefs: KVM shows nobody what it was answered, so its calls are counted.
 */
#include <linux/kvm.h>

#include "../kselftest/group_utils.h"
#include "stage.h"
#include "vcopy_utils.h"
#include "kselftest_harness.h"

#define TRACING		"/sys/kernel/tracing"

/* KVM found a device that is not coherent, or had lost the last one. */
#define REGISTER	"kvm_arch_register_noncoherent_dma"
#define UNREGISTER	"kvm_arch_unregister_noncoherent_dma"
#define REQUIRE		"iommufd_device_require_coherency"

static int probe(const char *module, const char *function)
{
	char line[160];
	int rc, fd = open(TRACING "/kprobe_events", O_WRONLY | O_APPEND);

	if (fd < 0)
		return -errno;
	snprintf(line, sizeof(line), "p:tests/%s %s:%s\n", function, module,
		 function);
	rc = write(fd, line, strlen(line)) < 0 ? -errno : 0;
	close(fd);
	if (rc)
		return rc;
	snprintf(line, sizeof(line), TRACING "/events/tests/%s/enable", function);
	return sysfs_write(line, "1");
}

/* How often it was called, or -1. */
static long hits(const char *function)
{
	FILE *f = fopen(TRACING "/kprobe_profile", "r");
	char line[160], name[80];
	long nr, found = -1;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " %79s %ld", name, &nr) == 2 &&
		    !strcmp(name, function))
			found = nr;
	if (f)
		fclose(f);
	return found;
}

/* By the registers of the unit: AMD's always snoop, Intel's with bit 7. */
static int unit_snoops(const char *bdf)
{
	char path[PATH_MAX], line[32];
	struct stat st;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu/amd-iommu", bdf);
	if (!stat(path, &st))
		return true;
	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/iommu/intel-iommu/ecap", bdf);
	sysfs_read(path, line, sizeof(line));
	return line[0] ? !!(strtoull(line, NULL, 16) & (1 << 7)) : -1;
}

FIXTURE(kvm)
{
	char bdf[16];
	char path[64];
	bool snoops;
	int iommufd;
	uint32_t ioas;
	int vm;
	int device;		/* KVM_DEV_TYPE_VFIO */
	long pins;
};

static int kvm_file(int device, uint64_t attr, int fd)
{
	struct kvm_device_attr cmd = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = attr,
		.addr = (uintptr_t)&fd,
	};

	return ioctl_rc(device, KVM_SET_DEVICE_ATTR, &cmd);
}

FIXTURE_SETUP(kvm)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	int fd, snoops;

	ASSERT_EQ(0, edu_group_path(0, self->bdf, self->path));
	snoops = unit_snoops(self->bdf);
	ASSERT_LE(0, snoops);
	self->snoops = snoops;
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	self->vm = ioctl(fd, KVM_CREATE_VM, 0);
	ASSERT_LE(0, self->vm);
	close(fd);
	ASSERT_EQ(0, ioctl_rc(self->vm, KVM_CREATE_DEVICE, &create));
	self->device = create.fd;
	if (hits(REGISTER) < 0) {
		ASSERT_EQ(0, probe("kvm", REGISTER));
		ASSERT_EQ(0, probe("kvm", UNREGISTER));
		ASSERT_EQ(0, probe("iommufd", REQUIRE));
	}
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	self->pins = pinned_now();
}

FIXTURE_TEARDOWN(kvm)
{
	close(self->iommufd);
	close(self->device);
	close(self->vm);
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(kvm, device_file_that_is_not_bound_is_answered_by_its_unit)
{
	long wild = hits(REGISTER), required = hits(REQUIRE);
	int dev = edu_open();

	ASSERT_LE(0, dev);
	ASSERT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_GROUP_ADD, dev));
	EXPECT_EQ(!self->snoops, hits(REGISTER) - wild);
	EXPECT_EQ(required, hits(REQUIRE));
	/* A yes is kept: page tables that break it are refused from BIND on. */
	ASSERT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
	EXPECT_EQ(self->snoops, hits(REQUIRE) - required);
	EXPECT_EQ(0, vfio_attach(dev, self->ioas, NULL));
	close(dev);
}

TEST_F(kvm, device_file_that_is_bound_is_answered_the_same)
{
	long wild = hits(REGISTER), required = hits(REQUIRE);
	int dev = edu_open();

	ASSERT_LE(0, dev);
	ASSERT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
	ASSERT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_GROUP_ADD, dev));
	EXPECT_EQ(!self->snoops, hits(REGISTER) - wild);
	EXPECT_EQ(self->snoops, hits(REQUIRE) - required);
	EXPECT_EQ(0, vfio_attach(dev, self->ioas, NULL));
	close(dev);
}

TEST_F(kvm, promise_outlives_a_bind_that_fails)
{
	long required = hits(REQUIRE);
	int dev = edu_open();

	ASSERT_LE(0, dev);
	ASSERT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_GROUP_ADD, dev));
	EXPECT_EQ(-EBADFD, vfio_bind(dev, dev, NULL));
	EXPECT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
	EXPECT_EQ(self->snoops, hits(REQUIRE) - required);
	close(dev);
}

TEST_F(kvm, whoever_is_not_asked_about_promises_nothing)
{
	long required = hits(REQUIRE);
	int dev = edu_open();

	ASSERT_LE(0, dev);
	EXPECT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
	EXPECT_EQ(0, vfio_attach(dev, self->ioas, NULL));
	EXPECT_EQ(required, hits(REQUIRE));
	close(dev);
}

TEST_F(kvm, device_whose_driver_took_it_back_gets_no_promise)
{
	long wild = hits(REGISTER);
	int dev = edu_open();

	ASSERT_LE(0, dev);
	ASSERT_EQ(0, pci_unbind_vfio(self->bdf));
	EXPECT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_GROUP_ADD, dev));
	EXPECT_EQ(1, hits(REGISTER) - wild);
	close(dev);
	ASSERT_EQ(0, pci_bind_vfio(self->bdf));
}

TEST_F(kvm, group_is_answered_before_and_after_it_has_a_container)
{
	int group, container, dev, round;
	long wild, required;

	for (round = 0; round < 2; round++) {
		wild = hits(REGISTER);
		required = hits(REQUIRE);
		group = group_open(self->path);
		ASSERT_LE(0, group);
		container = container_open();
		ASSERT_LE(0, container);
		if (!round) {
			ASSERT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_GROUP_ADD,
					      group));
		}
		ASSERT_EQ(0, group_set_container(group, container));
		ASSERT_EQ(0, container_set_iommu(container, VFIO_TYPE1v2_IOMMU));
		if (round) {
			ASSERT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_GROUP_ADD,
					      group));
		}
		EXPECT_EQ(!self->snoops, hits(REGISTER) - wild);
		EXPECT_EQ(self->snoops, hits(REQUIRE) - required);
		dev = group_device(group, self->bdf);
		EXPECT_LE(0, dev);
		close(dev);
		ASSERT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_GROUP_DEL, group));
		close(group);
		close(container);
	}
	/* The promise was the file's: the next one is not bound by it. */
	required = hits(REQUIRE);
	group = group_open(self->path);
	ASSERT_LE(0, group);
	container = container_open();
	EXPECT_EQ(0, group_set_container(group, container));
	EXPECT_EQ(required, hits(REQUIRE));
	close(group);
	close(container);
}

TEST_F(kvm, answers_are_taken_back_in_both_orders_of_closing)
{
	long wild, tame;
	int dev, first;

	for (first = 0; first < 2; first++) {
		wild = hits(REGISTER);
		tame = hits(UNREGISTER);
		dev = edu_open();
		ASSERT_LE(0, dev);
		ASSERT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_GROUP_ADD, dev));
		ASSERT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
		ASSERT_EQ(0, vfio_attach(dev, self->ioas, NULL));
		EXPECT_EQ(!self->snoops, hits(REGISTER) - wild);
		if (first) {	/* KVM has a reference to the file, as to a group's */
			close(dev);
			EXPECT_EQ(0, hits(UNREGISTER) - tame);
			dev = edu_open();
			ASSERT_LE(0, dev);
			EXPECT_EQ(-EBUSY, vfio_bind(dev, self->iommufd, NULL));
			close(self->device);
			EXPECT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
		} else {
			ASSERT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_GROUP_DEL,
					      dev));
		}
		EXPECT_EQ(!self->snoops, hits(UNREGISTER) - tame);
		close(dev);
	}
}

/* 1, 0: what the sample was told when it was opened; or -errno. */
static int told(const char *uuid, int iommufd, int device, int when)
{
	int rc, dev = vcopy_open(uuid);

	if (dev < 0)
		return dev;
	rc = when ? 0 : kvm_file(device, KVM_DEV_VFIO_GROUP_ADD, dev);
	rc = rc ?: vfio_bind(dev, iommufd, NULL);
	if (when == 1)
		rc = rc ?: kvm_file(device, KVM_DEV_VFIO_GROUP_ADD, dev);
	rc = rc ?: (int)vcopy_get(dev, VCOPY_VM);
	if (when < 2)
		kvm_file(device, KVM_DEV_VFIO_GROUP_DEL, dev);
	close(dev);
	return rc;
}

TEST_F(kvm, driver_is_told_of_the_vm_when_it_opens_the_device)
{
	char uuid[UUID_LEN + 1];

	ASSERT_EQ(0, vcopy_create("pin", uuid));
	EXPECT_EQ(1, told(uuid, self->iommufd, self->device, 0));
	/* Later is too late, without is without, and nothing is left behind. */
	EXPECT_EQ(0, told(uuid, self->iommufd, self->device, 1));
	EXPECT_EQ(0, told(uuid, self->iommufd, self->device, 2));
	EXPECT_EQ(1, told(uuid, self->iommufd, self->device, 0));
	ASSERT_EQ(0, vcopy_remove(uuid));
}

TEST_F(kvm, vm_that_is_gone_is_not_handed_to_the_driver)
{
	char uuid[UUID_LEN + 1];
	int dev;

	ASSERT_EQ(0, vcopy_create("pin", uuid));
	dev = vcopy_open(uuid);
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_GROUP_ADD, dev));
	close(self->device);
	close(self->vm);
	EXPECT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
	EXPECT_EQ(0, vcopy_get(dev, VCOPY_VM));
	close(dev);
	ASSERT_EQ(0, vcopy_remove(uuid));
}

TEST_F(kvm, device_without_dma_is_coherent)
{
	long wild = hits(REGISTER);
	char uuid[UUID_LEN + 1];
	int dev;

	ASSERT_EQ(0, vcopy_create("rw", uuid));
	dev = vcopy_open(uuid);
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_GROUP_ADD, dev));
	EXPECT_EQ(wild, hits(REGISTER));
	EXPECT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
	EXPECT_EQ(0, kvm_file(self->device, KVM_DEV_VFIO_GROUP_DEL, dev));
	close(dev);
	ASSERT_EQ(0, vcopy_remove(uuid));
}

TEST_HARNESS_MAIN
