// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/vfio/devices/vfioX, with QEMU's edu device under vfio-pci: the states
 * opened, bound and attached, each way in and out of them, and what an IOAS
 * promises once a device translates through it.
 *
 * Whether bytes arrive is not looked at here, ../dma/edu_dma.c does that; what
 * is counted here are pinned pages, for the whole system, which has to be
 * quiet meanwhile.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "vfio_utils.h"
#include "slow_memory.h"
#include "kselftest_harness.h"

#define UNUSED_ID	0x7ffffff0U
#define MSI_DOORBELL	0xfee00000UL
#define NOBODY		65534

/* ---- opened, not bound ---- */

FIXTURE(opened)
{
	int dev;
	int iommufd;
};

FIXTURE_SETUP(opened)
{
	self->dev = edu_open();
	ASSERT_LE(0, self->dev);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
}

FIXTURE_TEARDOWN(opened)
{
	close(self->dev);
	close(self->iommufd);
}

TEST_F(opened, every_ioctl_but_bind_is_einval)
{
	static const unsigned long known[] = {
		VFIO_DEVICE_GET_INFO, VFIO_DEVICE_GET_REGION_INFO,
		VFIO_DEVICE_GET_IRQ_INFO, VFIO_DEVICE_SET_IRQS,
		VFIO_DEVICE_RESET, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
		VFIO_DEVICE_PCI_HOT_RESET, VFIO_DEVICE_IOEVENTFD,
		VFIO_DEVICE_FEATURE, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
		VFIO_DEVICE_DETACH_IOMMUFD_PT, VFIO_GROUP_GET_STATUS,
		VFIO_GET_API_VERSION, IOMMU_IOAS_ALLOC, _IO(';', 0xff),
		_IO('x', 1),
	};
	uint32_t arg[16] = { sizeof(arg) };
	unsigned int i;

	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		EXPECT_EQ(-EINVAL, ioctl_rc(self->dev, known[i], arg))
			TH_LOG("ioctl %#lx", known[i]);
		EXPECT_EQ(-EINVAL, ioctl_rc(self->dev, known[i], NULL))
			TH_LOG("ioctl %#lx, null", known[i]);
	}
}

TEST_F(opened, read_and_write_are_einval)
{
	uint32_t word = 0;

	EXPECT_EQ(-1, pread(self->dev, &word, 4, 0));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, pwrite(self->dev, &word, 4, 0));
	EXPECT_EQ(EINVAL, errno);
	/* the configuration space of vfio-pci */
	EXPECT_EQ(-1, pread(self->dev, &word, 4, 7ULL << 40));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(opened, mmap_is_einval)
{
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				   MAP_SHARED, self->dev, 0));
	EXPECT_EQ(EINVAL, errno);
}

TEST_F(opened, any_number_can_be_open)
{
	int fds[50], i;

	for (i = 0; i < 50; i++) {
		fds[i] = edu_open();
		ASSERT_LE(0, fds[i]);
	}
	EXPECT_EQ(0, vfio_bind(fds[25], self->iommufd, NULL));
	for (i = 0; i < 50; i++) {
		EXPECT_EQ(0, close(fds[i]));
	}
}

TEST_F(opened, open_file_does_not_keep_the_driver)
{
	char bdf[16], path[64];
	int rc;

	ASSERT_EQ(0, pci_find("0x1234", "0x11e8", 0, bdf));
	EXPECT_EQ(0, pci_unbind_vfio(bdf));
	EXPECT_FALSE(pci_driver_is(bdf, "vfio-pci"));
	EXPECT_EQ(-ENODEV, vfio_bind(self->dev, self->iommufd, NULL));
	EXPECT_EQ(-EINVAL, vfio_get_info(self->dev));

	/* The file of a device that went away stays dead when it is back. */
	ASSERT_EQ(0, pci_bind_vfio(bdf));
	EXPECT_EQ(-ENODEV, vfio_bind(self->dev, self->iommufd, NULL));
	rc = vfio_cdev_path(bdf, path);
	ASSERT_EQ(0, rc);
	close(self->dev);
	self->dev = edu_open();
	ASSERT_LE(0, self->dev);
	EXPECT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
}

/* ---- BIND ---- */

TEST_F(opened, bind_gives_an_id)
{
	uint32_t devid = 0;

	ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, &devid));
	EXPECT_NE(0, devid);
	EXPECT_EQ(0, vfio_get_info(self->dev));
}

TEST_F(opened, bind_twice_is_einval)
{
	int other = iommufd_open();

	ASSERT_LE(0, other);
	ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
	EXPECT_EQ(-EINVAL, vfio_bind(self->dev, self->iommufd, NULL));
	EXPECT_EQ(-EINVAL, vfio_bind(self->dev, other, NULL));
	EXPECT_EQ(0, vfio_get_info(self->dev));
	close(other);
}

TEST_F(opened, bind_with_an_fd_that_is_not_open_is_ebadf)
{
	int closed = dup(self->iommufd);

	ASSERT_LE(0, closed);
	close(closed);
	EXPECT_EQ(-EBADF, vfio_bind(self->dev, closed, NULL));
	EXPECT_EQ(-EBADF, vfio_bind(self->dev, INT_MAX, NULL));
	EXPECT_EQ(-EINVAL, vfio_get_info(self->dev));
	EXPECT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
}

TEST_F(opened, bind_with_an_fd_that_is_no_iommufd_is_ebadfd)
{
	int null = open("/dev/null", O_RDWR), pipes[2], other = edu_open();

	ASSERT_LE(0, null);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, pipe(pipes));
	EXPECT_EQ(-EBADFD, vfio_bind(self->dev, null, NULL));
	EXPECT_EQ(-EBADFD, vfio_bind(self->dev, pipes[0], NULL));
	EXPECT_EQ(-EBADFD, vfio_bind(self->dev, self->dev, NULL));
	EXPECT_EQ(-EBADFD, vfio_bind(self->dev, other, NULL));
	EXPECT_EQ(-EINVAL, vfio_get_info(self->dev));
	EXPECT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
}

TEST_F(opened, bind_with_short_argsz_is_einval)
{
	struct vfio_device_bind_iommufd cmd = { .iommufd = self->iommufd };

	for (cmd.argsz = 0; cmd.argsz < 16; cmd.argsz++) {
		EXPECT_EQ(-EINVAL, ioctl_rc(self->dev, VFIO_DEVICE_BIND_IOMMUFD,
					    &cmd))
			TH_LOG("argsz %u", cmd.argsz);
	}
	EXPECT_EQ(-EINVAL, vfio_get_info(self->dev));
}

TEST_F(opened, bind_with_the_argsz_of_6_6_and_longer_succeeds)
{
	static const uint32_t sizes[] = { 16, 17, 20, 24, 32, 64 };
	struct {
		struct vfio_device_bind_iommufd cmd;
		char tail[64];
	} arg;
	unsigned int i;
	int dev;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		memset(&arg, 0, sizeof(arg));
		arg.cmd.argsz = sizes[i];
		arg.cmd.iommufd = self->iommufd;
		dev = edu_open();
		ASSERT_LE(0, dev);
		EXPECT_EQ(0, ioctl_rc(dev, VFIO_DEVICE_BIND_IOMMUFD, &arg))
			TH_LOG("argsz %u", sizes[i]);
		EXPECT_NE(0, arg.cmd.out_devid);
		EXPECT_EQ(0, close(dev));
	}
}

TEST_F(opened, bind_with_a_dirty_tail_is_e2big)
{
	uint32_t arg[10] = { 40, 0, self->iommufd, 0, 0, 0, 0, 0, 0, 1 };

	EXPECT_EQ(-E2BIG, ioctl_rc(self->dev, VFIO_DEVICE_BIND_IOMMUFD, arg));
	EXPECT_EQ(-EINVAL, vfio_get_info(self->dev));
	arg[0] = 36;
	EXPECT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_BIND_IOMMUFD, arg));
}

TEST_F(opened, bind_with_unknown_flag_is_einval)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.iommufd = self->iommufd,
	};
	unsigned int bit;

	for (bit = 1; bit < 32; bit++) {
		cmd.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, ioctl_rc(self->dev, VFIO_DEVICE_BIND_IOMMUFD,
					    &cmd))
			TH_LOG("bit %u", bit);
	}
	EXPECT_EQ(-EINVAL, vfio_get_info(self->dev));
}

TEST_F(opened, bind_judges_argsz_and_flags_before_the_fd)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = 15,
		.iommufd = INT_MAX,
	};

	EXPECT_EQ(-EINVAL, ioctl_rc(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd));
	cmd.argsz = sizeof(cmd);
	cmd.flags = 1U << 31;
	EXPECT_EQ(-EINVAL, ioctl_rc(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd));
}

TEST_F(opened, bind_of_unreadable_struct_is_efault)
{
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_BIND_IOMMUFD, NULL));
	EXPECT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
}

TEST_F(opened, bind_that_cannot_report_the_id_is_efault_and_not_done)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.iommufd = self->iommufd,
	};
	void *arg = readonly_copy(&cmd, sizeof(cmd));
	uint32_t id;

	ASSERT_NE(NULL, arg);
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_BIND_IOMMUFD, arg));
	EXPECT_EQ(-EINVAL, vfio_get_info(self->dev));
	for (id = 1; id < 100; id++) {
		EXPECT_EQ(-ENOENT, iommufd_destroy(self->iommufd, id));
	}
	EXPECT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
	EXPECT_EQ(0, vfio_get_info(self->dev));
}

TEST_F(opened, second_file_cannot_bind_while_the_first_is_bound)
{
	int second = edu_open(), other = iommufd_open();

	ASSERT_LE(0, second);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
	EXPECT_EQ(-EBUSY, vfio_bind(second, self->iommufd, NULL));
	EXPECT_EQ(-EBUSY, vfio_bind(second, other, NULL));
	EXPECT_EQ(-EINVAL, vfio_get_info(second));
	EXPECT_EQ(0, vfio_get_info(self->dev));

	/* Once the first is gone the second can. */
	close(self->dev);
	self->dev = second;
	EXPECT_EQ(0, vfio_bind(second, other, NULL));
	EXPECT_EQ(0, vfio_get_info(second));
	close(other);
}

/* ---- bound ---- */

FIXTURE(bound)
{
	int dev;
	int iommufd;
	uint32_t devid;
	uint32_t ioas;
	uint32_t other;		/* one more IOAS */
	long pins;
};

FIXTURE_SETUP(bound)
{
	self->pins = pinned_now();
	ASSERT_LE(0, self->pins);
	self->dev = edu_open();
	ASSERT_LE(0, self->dev);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, &self->devid));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->other));
}

FIXTURE_TEARDOWN(bound)
{
	close(self->dev);
	close(self->iommufd);
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(bound, device_answers)
{
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region;
	volatile uint32_t *bar;
	uint32_t id = 0;

	ASSERT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_TRUE(info.flags & VFIO_DEVICE_FLAGS_PCI);
	EXPECT_LE(VFIO_PCI_NUM_REGIONS, info.num_regions);

	ASSERT_EQ(0, vfio_region_info(self->dev, VFIO_PCI_CONFIG_REGION_INDEX,
				      &region));
	ASSERT_EQ(4, pread(self->dev, &id, 4, region.offset));
	EXPECT_EQ(0x11e81234, id);

	ASSERT_EQ(0, vfio_region_info(self->dev, VFIO_PCI_BAR0_REGION_INDEX,
				      &region));
	EXPECT_EQ(MiB, region.size);
	ASSERT_EQ(4, pread(self->dev, &id, 4, region.offset));
	EXPECT_EQ(0x010000ed, id);
	bar = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   self->dev, region.offset);
	ASSERT_NE(MAP_FAILED, (void *)bar);
	EXPECT_EQ(0x010000ed, bar[0]);
	bar[1] = 0x12345678;
	EXPECT_EQ(~0x12345678U, bar[1]);
	munmap((void *)bar, region.size);
}

TEST_F(bound, mapped_register_dies_with_nothing_worse_than_a_signal)
{
	struct vfio_region_info region;
	volatile uint32_t *bar;

	/* The mapping holds the file, so the device stays ours. */
	ASSERT_EQ(0, vfio_region_info(self->dev, VFIO_PCI_BAR0_REGION_INDEX,
				      &region));
	bar = mmap(NULL, region.size, PROT_READ | PROT_WRITE, MAP_SHARED,
		   self->dev, region.offset);
	ASSERT_NE(MAP_FAILED, (void *)bar);
	close(self->dev);
	EXPECT_EQ(0x010000ed, bar[0]);
	self->dev = edu_open();
	ASSERT_LE(0, self->dev);
	EXPECT_EQ(-EBUSY, vfio_bind(self->dev, self->iommufd, NULL));
	munmap((void *)bar, region.size);
	EXPECT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
}

TEST_F(bound, device_object_cannot_be_destroyed)
{
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->devid));
	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->devid));
	EXPECT_EQ(0, vfio_detach(self->dev));
}

TEST_F(bound, device_object_is_no_ioas)
{
	uint64_t iova = 0;
	uint32_t nr = 1;

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW,
				    pages_alloc(PAGE), PAGE, MiB));
	EXPECT_EQ(-ENOENT, ioas_map(self->iommufd, self->devid, RW,
				    pages_alloc(PAGE), PAGE, &iova));
	EXPECT_EQ(-ENOENT, ioas_unmap_all(self->iommufd, self->devid, NULL));
	EXPECT_EQ(-ENOENT, ioas_copy(self->iommufd, RW, self->devid, &iova,
				     self->ioas, MiB, PAGE));
	EXPECT_EQ(-ENOENT, ioas_copy(self->iommufd, RW, self->ioas, &iova,
				     self->devid, MiB, PAGE));
	EXPECT_EQ(-ENOENT, ioas_iova_ranges(self->iommufd, self->devid, NULL,
					    &nr, NULL));
	EXPECT_EQ(-ENOENT, ioas_allow(self->iommufd, self->devid, NULL, 0));
}

TEST_F(bound, close_takes_the_device_object_along)
{
	close(self->dev);
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->iommufd, self->devid));
	self->dev = edu_open();
	ASSERT_LE(0, self->dev);
	EXPECT_EQ(0, vfio_bind(self->dev, self->iommufd, &self->devid));
}

TEST_F(bound, device_lives_on_when_the_iommufd_is_closed_first)
{
	close(self->iommufd);
	EXPECT_EQ(0, vfio_get_info(self->dev));
	EXPECT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	self->iommufd = iommufd_open();
}

/* ---- ATTACH, DETACH ---- */

TEST_F(bound, attach_of_unknown_id_is_enoent)
{
	uint32_t gone;

	ASSERT_EQ(0, ioas_alloc(self->iommufd, &gone));
	ASSERT_EQ(0, iommufd_destroy(self->iommufd, gone));
	EXPECT_EQ(-ENOENT, vfio_attach(self->dev, 0, NULL));
	EXPECT_EQ(-ENOENT, vfio_attach(self->dev, UNUSED_ID, NULL));
	EXPECT_EQ(-ENOENT, vfio_attach(self->dev, UINT32_MAX, NULL));
	EXPECT_EQ(-ENOENT, vfio_attach(self->dev, gone, NULL));
	EXPECT_EQ(-EINVAL, vfio_detach(self->dev));
}

TEST_F(bound, attach_of_the_wrong_kind_of_object_is_einval)
{
	EXPECT_EQ(-EINVAL, vfio_attach(self->dev, self->devid, NULL));
	EXPECT_EQ(-EINVAL, vfio_detach(self->dev));
	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	/* and a failing replace leaves it attached */
	EXPECT_EQ(-EINVAL, vfio_attach(self->dev, self->devid, NULL));
	EXPECT_EQ(-ENOENT, vfio_attach(self->dev, UNUSED_ID, NULL));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->ioas));
	EXPECT_EQ(0, vfio_detach(self->dev));
}

TEST_F(bound, attach_with_short_argsz_or_unknown_flag_is_einval)
{
	struct vfio_device_attach_iommufd_pt cmd = { .pt_id = self->ioas };
	unsigned int bit;

	for (cmd.argsz = 0; cmd.argsz < 12; cmd.argsz++) {
		EXPECT_EQ(-EINVAL, ioctl_rc(self->dev,
					    VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd))
			TH_LOG("argsz %u", cmd.argsz);
	}
	cmd.argsz = sizeof(cmd);
	for (bit = 1; bit < 32; bit++) {
		cmd.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, ioctl_rc(self->dev,
					    VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd))
			TH_LOG("bit %u", bit);
	}
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				    NULL));
	EXPECT_EQ(-EINVAL, vfio_detach(self->dev));
}

TEST_F(bound, attach_and_detach_with_the_argsz_of_6_6_and_longer_succeed)
{
	static const uint32_t attach_sizes[] = { 12, 16, 24, 40 };
	static const uint32_t detach_sizes[] = { 8, 12, 16, 40 };
	uint32_t arg[10];
	unsigned int i;

	for (i = 0; i < 4; i++) {
		memset(arg, 0, sizeof(arg));
		arg[0] = attach_sizes[i];
		arg[2] = self->ioas;
		EXPECT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				      arg))
			TH_LOG("argsz %u", attach_sizes[i]);
		memset(arg, 0, sizeof(arg));
		arg[0] = detach_sizes[i];
		EXPECT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				      arg))
			TH_LOG("argsz %u", detach_sizes[i]);
	}
}

TEST_F(bound, attach_and_detach_with_a_dirty_tail_are_e2big_and_not_done)
{
	uint32_t arg[10] = { 40, 0, self->ioas, 0, 0, 0, 0, 0, 0, 1 };

	EXPECT_EQ(-E2BIG, ioctl_rc(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, arg));
	EXPECT_EQ(-EINVAL, vfio_detach(self->dev));
	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(-E2BIG, ioctl_rc(self->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, arg));
	EXPECT_EQ(0, vfio_detach(self->dev));
}

TEST_F(bound, pasid_is_eopnotsupp_and_ignored_without_its_flag)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_ATTACH_PASID,
		.pt_id = self->ioas,
		.pasid = 1,
	};
	struct vfio_device_detach_iommufd_pt detach = {
		.argsz = sizeof(detach),
		.flags = VFIO_DEVICE_DETACH_PASID,
		.pasid = 1,
	};

	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
					&cmd));
	cmd.flags = 0;
	EXPECT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &cmd));
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(self->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT,
					&detach));
	detach.flags = 0;
	EXPECT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
}

TEST_F(bound, detach_when_not_attached_is_einval)
{
	EXPECT_EQ(-EINVAL, vfio_detach(self->dev));
	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(-EINVAL, vfio_detach(self->dev));
}

TEST_F(bound, detach_with_short_argsz_or_unknown_flag_is_einval)
{
	struct vfio_device_detach_iommufd_pt cmd = {};
	unsigned int bit;

	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	for (cmd.argsz = 0; cmd.argsz < 8; cmd.argsz++) {
		EXPECT_EQ(-EINVAL, ioctl_rc(self->dev,
					    VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd))
			TH_LOG("argsz %u", cmd.argsz);
	}
	cmd.argsz = sizeof(cmd);
	for (bit = 1; bit < 32; bit++) {
		cmd.flags = 1U << bit;
		EXPECT_EQ(-EINVAL, ioctl_rc(self->dev,
					    VFIO_DEVICE_DETACH_IOMMUFD_PT, &cmd))
			TH_LOG("bit %u", bit);
	}
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT,
				    NULL));
	/* none of that detached it */
	EXPECT_EQ(0, vfio_detach(self->dev));
}

TEST_F(bound, attach_reports_a_hwpt_that_can_be_attached_itself)
{
	uint32_t hwpt = 0, again = 0;

	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, &hwpt));
	EXPECT_NE(0, hwpt);
	EXPECT_NE(self->ioas, hwpt);
	EXPECT_NE(self->devid, hwpt);
	/* once more the same: nothing changes */
	EXPECT_EQ(0, vfio_attach(self->dev, self->ioas, &again));
	EXPECT_EQ(hwpt, again);
	EXPECT_EQ(0, vfio_attach(self->dev, hwpt, &again));
	EXPECT_EQ(hwpt, again);
	EXPECT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(-ENOENT, vfio_attach(self->dev, hwpt, NULL));
}

TEST_F(bound, objects_in_use_are_ebusy)
{
	uint32_t hwpt;

	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, &hwpt));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->ioas));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, hwpt));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->devid));
	/* with mappings too */
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW,
				    pages_alloc(PAGE), PAGE, MiB));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->ioas));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, hwpt));
	/* and the one that is not in use is not */
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->other));
	ASSERT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->iommufd, hwpt));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
}

TEST_F(bound, replace_moves_the_users)
{
	uint32_t first, second;

	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, &first));
	ASSERT_EQ(0, vfio_attach(self->dev, self->other, &second));
	EXPECT_NE(first, second);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->other));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->iommufd, first));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
	EXPECT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->other));
}

TEST_F(bound, attach_replace_and_detach_can_go_on_for_ever)
{
	int i;

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW,
				    pages_alloc(16 * PAGE), 16 * PAGE, MiB));
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
		ASSERT_EQ(self->pins + 16, pinned_now());
		ASSERT_EQ(0, vfio_attach(self->dev, self->other, NULL));
		ASSERT_EQ(self->pins, pinned_now());
		ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
		ASSERT_EQ(0, vfio_detach(self->dev));
		ASSERT_EQ(self->pins, pinned_now());
	}
}

TEST_F(bound, attach_that_cannot_report_is_efault_and_not_done)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = self->ioas,
	};
	void *arg = readonly_copy(&cmd, sizeof(cmd));

	ASSERT_NE(NULL, arg);
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				    arg));
	EXPECT_EQ(-EINVAL, vfio_detach(self->dev));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
}

TEST_F(bound, replace_that_cannot_report_is_efault_and_undone)
{
	struct vfio_device_attach_iommufd_pt cmd = {
		.argsz = sizeof(cmd),
		.pt_id = self->other,
	};
	void *arg = readonly_copy(&cmd, sizeof(cmd));

	ASSERT_NE(NULL, arg);
	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				    arg));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->ioas));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->other));
	EXPECT_EQ(0, vfio_detach(self->dev));
}

TEST_F(bound, attach_to_a_mapping_without_memory_is_efault_and_not_done)
{
	void *page = pages_alloc(PAGE), *hole = pages_alloc(4 * PAGE);

	ASSERT_NE(NULL, page);
	ASSERT_NE(NULL, hole);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, page, PAGE,
				    MiB));
	munmap(hole + 3 * PAGE, PAGE);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, hole,
				    4 * PAGE, 2 * MiB));
	EXPECT_EQ(-EFAULT, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(-EINVAL, vfio_detach(self->dev));

	/* The same as a replace, which leaves the device where it was. */
	ASSERT_EQ(0, vfio_attach(self->dev, self->other, NULL));
	EXPECT_EQ(-EFAULT, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->other));
	EXPECT_EQ(0, vfio_detach(self->dev));

	/* The cause removed, the same call succeeds. */
	ASSERT_EQ(0, ioas_unmap(self->iommufd, self->ioas, 2 * MiB, 4 * PAGE,
				NULL));
	EXPECT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(self->pins + 1, pinned_now());
}

TEST_F(bound, attach_to_mappings_the_device_cannot_have_is_eaddrinuse)
{
	void *page = pages_alloc(2 * PAGE);
	struct { const void *va; uint64_t iova, length; } cases[] = {
		{ page, MSI_DOORBELL, PAGE },		/* reserved */
		{ page, MSI_DOORBELL - PAGE, 2 * PAGE },
		{ page, 0x1800, PAGE },			/* misaligned */
		{ page, 0x1000, 100 },
		{ page + 8, 0x1000, PAGE },
	};
	unsigned int i;

	ASSERT_NE(NULL, page);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW,
					    cases[i].va, cases[i].length,
					    cases[i].iova))
			TH_LOG("case %u", i);
		EXPECT_EQ(-EADDRINUSE, vfio_attach(self->dev, self->ioas, NULL))
			TH_LOG("case %u", i);
		ASSERT_EQ(0, ioas_unmap_all(self->iommufd, self->ioas, NULL));
		EXPECT_EQ(self->pins, pinned_now());
	}
	EXPECT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
}

TEST_F(bound, attach_to_a_mapping_above_what_it_can_address_is_eaddrinuse)
{
	struct iommu_iova_range ranges[16];
	void *page = pages_alloc(PAGE);
	uint32_t nr = 16;
	uint64_t end;

	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	ASSERT_EQ(0, ioas_iova_ranges(self->iommufd, self->ioas, ranges, &nr,
				      NULL));
	end = ranges[nr - 1].last + 1;
	if (!end) {		/* AMD's tables reach up to the top */
		EXPECT_EQ(0, access("/sys/class/iommu/ivhd0", F_OK));
		return;
	}
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->iommufd, self->ioas, RW, page,
					  PAGE, end));
	ASSERT_EQ(0, vfio_detach(self->dev));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, page, PAGE,
				    end));
	EXPECT_EQ(-EADDRINUSE, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(bound, attach_against_an_allowed_range_is_eaddrinuse)
{
	struct iommu_iova_range allowed = {
		MSI_DOORBELL - MiB, MSI_DOORBELL,
	};

	ASSERT_EQ(0, ioas_allow(self->iommufd, self->ioas, &allowed, 1));
	EXPECT_EQ(-EADDRINUSE, vfio_attach(self->dev, self->ioas, NULL));
	allowed.last = MSI_DOORBELL - 1;
	ASSERT_EQ(0, ioas_allow(self->iommufd, self->ioas, &allowed, 1));
	EXPECT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
}

/* ---- page tables made by hand ---- */

TEST_F(bound, hwpt_made_by_hand_stays_until_destroyed)
{
	uint32_t hwpt = 0, other = 0, out = 0;

	ASSERT_EQ(0, hwpt_alloc(self->iommufd, self->devid, self->ioas, &hwpt));
	ASSERT_EQ(0, hwpt_alloc(self->iommufd, self->devid, self->ioas, &other));
	EXPECT_NE(0, hwpt);
	EXPECT_NE(hwpt, other);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->ioas));
	ASSERT_EQ(0, vfio_attach(self->dev, hwpt, &out));
	EXPECT_EQ(hwpt, out);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, hwpt));
	/* from one to the other, to an automatic one, and back */
	ASSERT_EQ(0, vfio_attach(self->dev, other, &out));
	EXPECT_EQ(other, out);
	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, &out));
	EXPECT_NE(hwpt, out);
	EXPECT_NE(other, out);
	ASSERT_EQ(0, vfio_attach(self->dev, hwpt, NULL));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->iommufd, out));
	ASSERT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, hwpt));
	EXPECT_EQ(-ENOENT, vfio_attach(self->dev, hwpt, NULL));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, other));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
}

TEST_F(bound, hwpt_of_wrong_objects_is_refused)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = self->devid,
		.pt_id = self->ioas,
	};
	void *arg = readonly_copy(&cmd, sizeof(cmd));
	uint32_t hwpt;

	EXPECT_EQ(-ENOENT, hwpt_alloc(self->iommufd, self->devid, UNUSED_ID,
				      &hwpt));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->iommufd, UNUSED_ID, self->ioas,
				      &hwpt));
	EXPECT_EQ(-EINVAL, hwpt_alloc(self->iommufd, self->devid, self->devid,
				      &hwpt));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->iommufd, self->other, self->ioas,
				      &hwpt));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->iommufd, IOMMU_HWPT_ALLOC, arg));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
}

TEST_F(bound, hwpt_pins_while_no_device_is_attached)
{
	uint32_t hwpt;

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW,
				    pages_alloc(8 * PAGE), 8 * PAGE, MiB));
	ASSERT_EQ(0, hwpt_alloc(self->iommufd, self->devid, self->ioas, &hwpt));
	EXPECT_EQ(self->pins + 8, pinned_now());
	/* It lives longer than the device is open. */
	close(self->dev);
	EXPECT_EQ(self->pins + 8, pinned_now());
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW,
				    pages_alloc(PAGE), PAGE, 2 * MiB));
	EXPECT_EQ(self->pins + 9, pinned_now());
	self->dev = edu_open();
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
	EXPECT_EQ(0, vfio_attach(self->dev, hwpt, NULL));
	EXPECT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, hwpt));
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(bound, hwpt_left_behind_is_freed_with_the_context)
{
	uint32_t hwpt;

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW,
				    pages_alloc(8 * PAGE), 8 * PAGE, MiB));
	ASSERT_EQ(0, hwpt_alloc(self->iommufd, self->devid, self->ioas, &hwpt));
	ASSERT_EQ(0, vfio_attach(self->dev, hwpt, NULL));
	/* Tear-down closes both and counts. */
}

TEST_F(bound, hw_info_fills_as_much_as_there_is_room_for)
{
	unsigned char data[64], all[64];
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = self->devid,
	};
	bool intel = !access("/sys/class/iommu/dmar0", F_OK);
	uint32_t want = intel ? sizeof(struct iommu_hw_info_vtd) : 0, i;

	ASSERT_EQ(0, ioctl_rc(self->iommufd, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(want, cmd.data_len);
	EXPECT_EQ(intel ? IOMMU_HW_INFO_TYPE_INTEL_VTD : IOMMU_HW_INFO_TYPE_NONE,
		  cmd.out_data_type);

	memset(all, 0x55, sizeof(all));
	cmd.data_uptr = (uintptr_t)all;
	cmd.data_len = sizeof(all);
	ASSERT_EQ(0, ioctl_rc(self->iommufd, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(want, cmd.data_len);
	for (i = want; i < sizeof(all); i++) {
		EXPECT_EQ(0, all[i]);
	}
	if (intel) {
		EXPECT_NE(0, ((struct iommu_hw_info_vtd *)all)->cap_reg);
		EXPECT_NE(0, ((struct iommu_hw_info_vtd *)all)->ecap_reg);
	}

	memset(data, 0x55, sizeof(data));
	cmd.data_uptr = (uintptr_t)data;
	cmd.data_len = 12;
	ASSERT_EQ(0, ioctl_rc(self->iommufd, IOMMU_GET_HW_INFO, &cmd));
	EXPECT_EQ(want, cmd.data_len);
	EXPECT_EQ(0, memcmp(data, all, 12));
	EXPECT_EQ(0x55, data[12]);

	cmd.data_uptr = 0;
	cmd.data_len = 12;
	EXPECT_EQ(-EFAULT, ioctl_rc(self->iommufd, IOMMU_GET_HW_INFO, &cmd));
	cmd.dev_id = self->ioas;
	EXPECT_EQ(-ENOENT, ioctl_rc(self->iommufd, IOMMU_GET_HW_INFO, &cmd));
	cmd.dev_id = 0;
	EXPECT_EQ(-ENOENT, ioctl_rc(self->iommufd, IOMMU_GET_HW_INFO, &cmd));
}

/* ---- attached ---- */

FIXTURE(attached)
{
	int dev;
	int iommufd;
	uint32_t ioas;
	uint32_t other;		/* no device there */
	long pins;
};

FIXTURE_SETUP(attached)
{
	self->pins = pinned_now();
	ASSERT_LE(0, self->pins);
	self->dev = edu_open();
	ASSERT_LE(0, self->dev);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->other));
	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
}

FIXTURE_TEARDOWN(attached)
{
	close(self->dev);
	close(self->iommufd);
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(attached, iova_ranges_leave_out_what_the_device_cannot_have)
{
	struct iommu_iova_range ranges[16];
	uint32_t nr = 16, i;
	uint64_t align = 0, next;

	ASSERT_EQ(0, ioas_iova_ranges(self->iommufd, self->ioas, ranges, &nr,
				      &align));
	EXPECT_EQ(PAGE, align);
	ASSERT_LE(2, nr);
	ASSERT_GE(16, nr);
	for (i = 0; i < nr; i++) {
		TH_LOG("[%#llx, %#llx]", (unsigned long long)ranges[i].start,
		       (unsigned long long)ranges[i].last);
		EXPECT_LT(ranges[i].start, ranges[i].last);
		if (i) {
			EXPECT_GT(ranges[i].start, ranges[i - 1].last + 1);
		}
		EXPECT_TRUE(ranges[i].last < MSI_DOORBELL ||
			    ranges[i].start > MSI_DOORBELL + 0xfffff);
	}

	/* What is listed can be mapped, up to the edges; what is not cannot. */
	for (i = 0; i < nr; i++) {
		EXPECT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW,
					    pages_alloc(PAGE), PAGE,
					    ranges[i].start));
		EXPECT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW,
					    pages_alloc(PAGE), PAGE,
					    ranges[i].last + 1 - PAGE));
		/* AMD's tables reach up to the top. */
		if (ranges[i].last == UINT64_MAX)
			continue;
		EXPECT_EQ(-EINVAL, ioas_map_fixed(self->iommufd, self->ioas, RW,
						  pages_alloc(PAGE), PAGE,
						  ranges[i].last + 1));
		if (i + 1 < nr) {
			next = ranges[i + 1].start;
			EXPECT_EQ(-EINVAL,
				  ioas_map_fixed(self->iommufd, self->ioas, RW,
						 pages_alloc(PAGE), PAGE,
						 next - PAGE));
		}
	}

	/* Detached, the IOAS is free again. */
	ASSERT_EQ(0, vfio_detach(self->dev));
	nr = 16;
	ASSERT_EQ(0, ioas_iova_ranges(self->iommufd, self->ioas, ranges, &nr,
				      &align));
	EXPECT_EQ(1, nr);
	EXPECT_EQ(1, align);
	EXPECT_EQ(0, ranges[0].start);
	EXPECT_EQ(UINT64_MAX, ranges[0].last);
}

TEST_F(attached, iova_ranges_too_long_for_the_array_is_emsgsize)
{
	struct iommu_iova_range all[16], some[16];
	uint32_t nr = 16, room, i;

	ASSERT_EQ(0, ioas_iova_ranges(self->iommufd, self->ioas, all, &nr, NULL));
	ASSERT_LE(2, nr);
	memset(some, 0x55, sizeof(some));
	room = nr - 1;
	EXPECT_EQ(-EMSGSIZE, ioas_iova_ranges(self->iommufd, self->ioas, some,
					      &room, NULL));
	EXPECT_EQ(nr, room);
	for (i = 0; i < nr - 1; i++) {
		EXPECT_EQ(all[i].start, some[i].start);
		EXPECT_EQ(all[i].last, some[i].last);
	}
	EXPECT_EQ(0x5555555555555555, some[nr - 1].start);
}

TEST_F(attached, map_of_reserved_iova_is_einval)
{
	void *page = pages_alloc(4 * PAGE);

	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->iommufd, self->ioas, RW, page,
					  PAGE, MSI_DOORBELL));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->iommufd, self->ioas, RW, page,
					  2 * PAGE, MSI_DOORBELL - PAGE));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->iommufd, self->ioas, RW, page,
					  2 * PAGE, MSI_DOORBELL + 0xff000));
	EXPECT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, page, PAGE,
				    MSI_DOORBELL - PAGE));
	EXPECT_EQ(self->pins + 1, pinned_now());
}

TEST_F(attached, allow_of_reserved_iova_is_eaddrinuse)
{
	struct iommu_iova_range range = { MSI_DOORBELL, MSI_DOORBELL + 0xfff };

	EXPECT_EQ(-EADDRINUSE, ioas_allow(self->iommufd, self->ioas, &range, 1));
	range.start -= MiB;
	EXPECT_EQ(-EADDRINUSE, ioas_allow(self->iommufd, self->ioas, &range, 1));
	range.last = MSI_DOORBELL - 1;
	EXPECT_EQ(0, ioas_allow(self->iommufd, self->ioas, &range, 1));
}

TEST_F(attached, misaligned_map_is_einval)
{
	void *page = pages_alloc(4 * PAGE);
	uint64_t iova = 0;

	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->iommufd, self->ioas, RW, page,
					  PAGE, MiB + 1));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->iommufd, self->ioas, RW, page,
					  PAGE, MiB + 2048));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->iommufd, self->ioas, RW, page,
					  PAGE - 1, MiB));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->iommufd, self->ioas, RW, page,
					  1, MiB));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->iommufd, self->ioas, RW,
					  page + 512, PAGE, MiB));
	EXPECT_EQ(-EINVAL, ioas_map(self->iommufd, self->ioas, RW, page + 512,
				    PAGE, &iova));
	EXPECT_EQ(-EINVAL, ioas_map(self->iommufd, self->ioas, RW, page,
				    PAGE + 512, &iova));
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(attached, chosen_iova_is_aligned_and_outside_what_is_reserved)
{
	uint64_t iova;
	int i;

	for (i = 0; i < 64; i++) {
		iova = 0;
		ASSERT_EQ(0, ioas_map(self->iommufd, self->ioas, RW,
				      pages_alloc(4 * PAGE), 4 * PAGE, &iova));
		EXPECT_TRUE(iova + 4 * PAGE <= MSI_DOORBELL ||
			    iova >= MSI_DOORBELL + 0x100000);
		EXPECT_EQ(0, iova % (4 * PAGE));
	}
	EXPECT_EQ(self->pins + 256, pinned_now());
}

TEST_F(attached, map_pins_and_unmap_unpins)
{
	void *p = pages_alloc(100 * PAGE);
	uint64_t iova = 0, unmapped = 0;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, ioas_map(self->iommufd, self->ioas, RW, p, 100 * PAGE, &iova));
	EXPECT_EQ(self->pins + 100, pinned_now());
	ASSERT_EQ(0, ioas_unmap(self->iommufd, self->ioas, iova, 100 * PAGE,
				&unmapped));
	EXPECT_EQ(100 * PAGE, unmapped);
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(attached, unmap_of_a_part_unpins_nothing)
{
	void *p = pages_alloc(8 * PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, 8 * PAGE,
				    MiB));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->iommufd, self->ioas, MiB, 4 * PAGE,
				      NULL));
	EXPECT_EQ(self->pins + 8, pinned_now());
}

TEST_F(attached, copies_share_their_pins)
{
	void *p = pages_alloc(16 * PAGE);
	uint64_t iova = 0;

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, 16 * PAGE,
				    MiB));
	ASSERT_EQ(0, ioas_copy(self->iommufd, RW, self->ioas, &iova, self->ioas,
			       MiB, 16 * PAGE));
	EXPECT_EQ(self->pins + 16, pinned_now());
	ASSERT_EQ(0, ioas_unmap(self->iommufd, self->ioas, MiB, 16 * PAGE, NULL));
	EXPECT_EQ(self->pins + 16, pinned_now());
	ASSERT_EQ(0, ioas_unmap(self->iommufd, self->ioas, iova, 16 * PAGE, NULL));
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(attached, copy_of_a_part_keeps_only_that_part_pinned)
{
	void *p = pages_alloc(16 * PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, 16 * PAGE,
				    MiB));
	ASSERT_EQ(0, ioas_copy_fixed(self->iommufd, RW, self->ioas, 8 * MiB,
				     self->ioas, MiB + 4 * PAGE, 3 * PAGE));
	EXPECT_EQ(self->pins + 16, pinned_now());
	ASSERT_EQ(0, ioas_unmap(self->iommufd, self->ioas, MiB, 16 * PAGE, NULL));
	EXPECT_EQ(self->pins + 3, pinned_now());
}

TEST_F(attached, copy_from_an_ioas_without_device_pins_what_it_needs)
{
	void *p = pages_alloc(16 * PAGE);
	uint64_t iova = 0;

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->other, RW, p,
				    16 * PAGE, 0));
	EXPECT_EQ(self->pins, pinned_now());
	ASSERT_EQ(0, ioas_copy(self->iommufd, RW, self->ioas, &iova, self->other,
			       4 * PAGE, 8 * PAGE));
	EXPECT_EQ(self->pins + 8, pinned_now());
	/* no alignment that the device could work with */
	EXPECT_EQ(-EINVAL, ioas_copy(self->iommufd, RW, self->ioas, &iova,
				     self->other, 100, PAGE));
	EXPECT_EQ(-EINVAL, ioas_copy_fixed(self->iommufd, RW, self->ioas,
					   MSI_DOORBELL, self->other, 0, PAGE));
	EXPECT_EQ(self->pins + 8, pinned_now());
}

TEST_F(attached, overlap_is_eexist_and_pins_nothing)
{
	void *p = pages_alloc(8 * PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, 4 * PAGE,
				    MiB));
	EXPECT_EQ(-EEXIST, ioas_map_fixed(self->iommufd, self->ioas, RW, p,
					  8 * PAGE, MiB - 4 * PAGE + PAGE));
	EXPECT_EQ(self->pins + 4, pinned_now());
}

TEST_F(attached, memory_that_is_not_there_is_efault)
{
	void *p = pages_alloc(16 * PAGE);
	uint64_t iova = 0, unmapped = 1;

	/* Nothing below allocates memory, so the hole stays one. */
	ASSERT_NE(NULL, p);
	munmap(p + 8 * PAGE, PAGE);
	/* from the first page on, in the middle, at the last page */
	EXPECT_EQ(-EFAULT, ioas_map(self->iommufd, self->ioas, RW, p + 8 * PAGE,
				    2 * PAGE, &iova));
	EXPECT_EQ(-EFAULT, ioas_map(self->iommufd, self->ioas, RW, p, 16 * PAGE,
				    &iova));
	EXPECT_EQ(-EFAULT, ioas_map(self->iommufd, self->ioas, RD, p, 9 * PAGE,
				    &iova));
	EXPECT_EQ(-EFAULT, ioas_map(self->iommufd, self->ioas, RW, NULL, PAGE,
				    &iova));
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(0, ioas_unmap_all(self->iommufd, self->ioas, &unmapped));
	EXPECT_EQ(0, unmapped);
	EXPECT_EQ(0, ioas_map(self->iommufd, self->ioas, RW, p, 8 * PAGE, &iova));
}

TEST_F(attached, memory_that_has_no_page_behind_it_is_efault)
{
	uint64_t iova = 0;
	FILE *f = tmpfile();
	void *p;

	/* a file shorter than its mapping */
	ASSERT_NE(NULL, f);
	ASSERT_EQ(0, ftruncate(fileno(f), PAGE));
	p = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(f),
		 0);
	ASSERT_NE(MAP_FAILED, p);
	EXPECT_EQ(-EFAULT, ioas_map(self->iommufd, self->ioas, RD, p, 2 * PAGE,
				    &iova));
	/* the kernel's half */
	EXPECT_EQ(-EFAULT, ioas_map(self->iommufd, self->ioas, RD,
				    (void *)0xffff888000000000, PAGE, &iova));
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(attached, readonly_memory_is_efault_for_writing)
{
	void *p = pages_alloc(4 * PAGE);
	uint64_t iova = 0;

	ASSERT_EQ(0, mprotect(p + 2 * PAGE, 2 * PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, ioas_map(self->iommufd, self->ioas, RW, p, 4 * PAGE,
				    &iova));
	EXPECT_EQ(-EFAULT, ioas_map(self->iommufd, self->ioas, WR, p + 2 * PAGE,
				    PAGE, &iova));
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(0, ioas_map(self->iommufd, self->ioas, RD, p, 4 * PAGE, &iova));
	EXPECT_EQ(self->pins + 4, pinned_now());
}

TEST_F(attached, failing_map_can_be_repeated_and_leaves_the_iova_free)
{
	void *p = pages_alloc(4 * PAGE);

	munmap(p + 3 * PAGE, PAGE);
	EXPECT_EQ(-EFAULT, ioas_map_fixed(self->iommufd, self->ioas, RW, p,
					  4 * PAGE, MiB));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->iommufd, self->ioas, MiB, 4 * PAGE,
				      NULL));
	ASSERT_EQ(p + 3 * PAGE, mmap(p + 3 * PAGE, PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				     -1, 0));
	EXPECT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, 4 * PAGE,
				    MiB));
	EXPECT_EQ(self->pins + 4, pinned_now());
}

TEST_F(attached, map_and_copy_that_cannot_report_unpin)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = RW | FIXED,
		.ioas_id = self->ioas,
		.user_va = (uintptr_t)pages_alloc(8 * PAGE),
		.length = 8 * PAGE,
		.iova = MiB,
	};
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = RW | FIXED,
		.dst_ioas_id = self->ioas,
		.src_ioas_id = self->other,
		.length = 8 * PAGE,
		.dst_iova = MiB,
	};
	void *arg = readonly_copy(&map, sizeof(map));
	uint64_t unmapped = 1;

	EXPECT_EQ(-EFAULT, ioctl_rc(self->iommufd, IOMMU_IOAS_MAP, arg));
	EXPECT_EQ(self->pins, pinned_now());
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->other, RW,
				    pages_alloc(8 * PAGE), 8 * PAGE, 0));
	arg = readonly_copy(&copy, sizeof(copy));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->iommufd, IOMMU_IOAS_COPY, arg));
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(0, ioas_unmap_all(self->iommufd, self->ioas, &unmapped));
	EXPECT_EQ(0, unmapped);
	/* the page table has forgotten them too */
	EXPECT_EQ(0, ioctl_rc(self->iommufd, IOMMU_IOAS_MAP, &map));
	EXPECT_EQ(self->pins + 8, pinned_now());
}

/* As a user without privilege, in a process of its own; exits with the step. */
static int memlock_steps(int dev, int iommufd, uint32_t ioas, uint32_t other)
{
	struct rlimit limit = { 64 * PAGE, 64 * PAGE };
	void *p = pages_alloc(128 * PAGE), *q = pages_alloc(128 * PAGE);
	uint64_t a = 0, b = 0;

	if (!p || !q || setrlimit(RLIMIT_MEMLOCK, &limit) ||
	    setgid(NOBODY) || setuid(NOBODY))
		return 1;
	if (ioas_map(iommufd, ioas, RW, p, 65 * PAGE, &a) != -ENOMEM)
		return 2;
	if (ioas_map(iommufd, ioas, RW, p, 64 * PAGE, &a))
		return 3;
	if (ioas_map(iommufd, ioas, RW, q, PAGE, &b) != -ENOMEM)
		return 4;
	/* what is shared is counted once */
	if (ioas_copy(iommufd, RW, ioas, &b, ioas, a, 64 * PAGE))
		return 5;
	if (ioas_unmap(iommufd, ioas, a, 64 * PAGE, NULL))
		return 6;
	if (ioas_map(iommufd, ioas, RW, q, PAGE, &a) != -ENOMEM)
		return 7;
	/* what is unpinned is given back */
	if (ioas_unmap(iommufd, ioas, b, 64 * PAGE, NULL))
		return 8;
	if (ioas_map(iommufd, ioas, RW, q, 64 * PAGE, &a))
		return 9;
	if (ioas_unmap(iommufd, ioas, a, 64 * PAGE, NULL))
		return 10;
	/* without a device nothing is counted, the attach is what fails */
	if (ioas_map(iommufd, other, RW, p, 65 * PAGE, &a))
		return 11;
	if (vfio_attach(dev, other, NULL) != -ENOMEM)
		return 12;
	if (ioas_unmap_all(iommufd, other, NULL))
		return 13;
	if (vfio_attach(dev, other, NULL))
		return 14;
	if (ioas_map(iommufd, other, RW, p, 64 * PAGE, &a))
		return 15;
	return 0;
}

TEST_F(attached, memlock_limit_is_enomem_for_a_plain_user)
{
	int status = -1;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		_exit(memlock_steps(self->dev, self->iommufd, self->ioas,
				    self->other));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(0, WEXITSTATUS(status)) TH_LOG("number of the step");
}

/* As one more process of nobody: pin up to the limit. What is pinned stays. */
static int pin_as_nobody(int iommufd, uint32_t ioas)
{
	struct rlimit limit = { 64 * PAGE, 64 * PAGE };
	uint64_t iova = 0;
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		if (setrlimit(RLIMIT_MEMLOCK, &limit) || setgid(NOBODY) ||
		    setuid(NOBODY))
			_exit(1);
		_exit(-ioas_map(iommufd, ioas, RW, pages_alloc(64 * PAGE),
				64 * PAGE, &iova));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

TEST(memlock_limit_is_of_the_user_or_of_the_process_as_chosen)
{
	uint64_t mode;
	uint32_t ioas;
	int dev, iommufd;

	for (mode = 0; mode < 2; mode++) {
		dev = edu_open();
		ASSERT_LE(0, dev);
		iommufd = iommufd_open();
		ASSERT_LE(0, iommufd);
		ASSERT_EQ(0, iommufd_option(iommufd, IOMMU_OPTION_RLIMIT_MODE,
					    IOMMU_OPTION_OP_SET, 0, &mode));
		ASSERT_EQ(0, vfio_bind(dev, iommufd, NULL));
		ASSERT_EQ(0, ioas_alloc(iommufd, &ioas));
		ASSERT_EQ(0, vfio_attach(dev, ioas, NULL));
		EXPECT_EQ(0, pin_as_nobody(iommufd, ioas));
		EXPECT_EQ(mode ? 0 : -ENOMEM, pin_as_nobody(iommufd, ioas));
		/* and all is given back */
		ASSERT_EQ(0, ioas_unmap_all(iommufd, ioas, NULL));
		EXPECT_EQ(0, pin_as_nobody(iommufd, ioas));
		close(dev);
		close(iommufd);
	}
}

TEST_F(attached, memlock_limit_does_not_bind_the_privileged)
{
	struct rlimit limit = { PAGE, PAGE };
	uint64_t iova = 0;

	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &limit));
	EXPECT_EQ(0, ioas_map(self->iommufd, self->ioas, RW,
			      pages_alloc(64 * PAGE), 64 * PAGE, &iova));
}

TEST_F(attached, memory_of_a_process_that_is_gone_stays_pinned)
{
	int status = -1;
	uint64_t iova = MiB;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		_exit(ioas_map(self->iommufd, self->ioas, RW | FIXED,
			       pages_alloc(16 * PAGE), 16 * PAGE, &iova) ? 1 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_EQ(self->pins + 16, pinned_now());
	/* A copy shares it; pages that were not pinned are gone for good. */
	EXPECT_EQ(0, ioas_copy_fixed(self->iommufd, RW, self->ioas, 8 * MiB,
				     self->ioas, MiB, 16 * PAGE));
	EXPECT_EQ(self->pins + 16, pinned_now());
	EXPECT_EQ(0, ioas_unmap_all(self->iommufd, self->ioas, NULL));
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(attached, attach_to_memory_of_a_process_that_is_gone_is_efault)
{
	int status = -1;
	uint64_t iova = MiB;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid) {
		_exit(ioas_map(self->iommufd, self->other, RW | FIXED,
			       pages_alloc(16 * PAGE), 16 * PAGE, &iova) ? 1 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_EQ(-EFAULT, vfio_attach(self->dev, self->other, NULL));
	EXPECT_EQ(-EFAULT, ioas_copy_fixed(self->iommufd, RW, self->ioas,
					   8 * MiB, self->other, MiB, PAGE));
	EXPECT_EQ(self->pins, pinned_now());
}

/* ---- who holds the file holds the device ---- */

TEST_F(attached, dup_keeps_the_device)
{
	int copy = dup(self->dev), second = edu_open();

	ASSERT_LE(0, copy);
	ASSERT_LE(0, second);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW,
				    pages_alloc(PAGE), PAGE, MiB));
	close(self->dev);
	self->dev = copy;
	EXPECT_EQ(0, vfio_get_info(copy));
	EXPECT_EQ(-EBUSY, vfio_bind(second, self->iommufd, NULL));
	EXPECT_EQ(self->pins + 1, pinned_now());
	EXPECT_EQ(0, vfio_detach(copy));
	close(second);
}

TEST_F(attached, forked_child_keeps_the_device)
{
	int pipes[2], status = -1, second = edu_open();
	char byte = 0;
	pid_t pid;

	ASSERT_LE(0, second);
	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW,
				    pages_alloc(PAGE), PAGE, MiB));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(pipes[1]);
		if (read(pipes[0], &byte, 1) != 1 || vfio_get_info(self->dev) ||
		    vfio_detach(self->dev) ||
		    vfio_attach(self->dev, self->ioas, NULL))
			_exit(1);
		_exit(0);
	}
	close(self->dev);
	EXPECT_EQ(-EBUSY, vfio_bind(second, self->iommufd, NULL));
	EXPECT_EQ(1, write(pipes[1], &byte, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	/* The last holder went: pins too, and the device is to be had. */
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(0, vfio_bind(second, self->iommufd, NULL));
	self->dev = second;
}

TEST_F(attached, exec_keeps_the_device_unless_close_on_exec)
{
	int second = edu_open(), inherit, out[2], in[2], status = -1;
	char byte = 'x';
	pid_t pid;

	ASSERT_LE(0, second);
	ASSERT_EQ(0, pipe(in));
	ASSERT_EQ(0, pipe(out));
	inherit = dup(self->dev);	/* without FD_CLOEXEC */
	ASSERT_LE(0, inherit);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		execl("/bin/cat", "cat", NULL);
		_exit(127);
	}
	close(in[0]);
	/* It echoes, so it is past exec. */
	ASSERT_EQ(1, write(in[1], &byte, 1));
	ASSERT_EQ(1, read(out[0], &byte, 1));
	close(inherit);
	close(self->dev);
	EXPECT_EQ(-EBUSY, vfio_bind(second, self->iommufd, NULL));
	close(in[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, vfio_bind(second, self->iommufd, NULL));
	self->dev = second;
}

TEST(close_in_every_state_gives_everything_back)
{
	enum { OPENED, BOUND, ATTACHED, MAPPED, REPLACED, DETACHED, NR };
	long pins = pinned_now();
	uint32_t a, b;
	uint64_t iova = 0;
	void *p = pages_alloc(16 * PAGE);
	int i, state, dev, iommufd;

	ASSERT_LE(0, pins);
	ASSERT_NE(NULL, p);
	for (i = 0; i < 10 * NR * 2; i++) {
		state = i / 2 % NR;
		dev = edu_open();
		ASSERT_LE(0, dev);
		iommufd = iommufd_open();
		ASSERT_LE(0, iommufd);
		if (state >= BOUND) {
			ASSERT_EQ(0, vfio_bind(dev, iommufd, NULL));
		}
		ASSERT_EQ(0, ioas_alloc(iommufd, &a));
		ASSERT_EQ(0, ioas_alloc(iommufd, &b));
		if (state >= ATTACHED) {
			ASSERT_EQ(0, vfio_attach(dev, a, NULL));
		}
		if (state >= MAPPED) {
			ASSERT_EQ(0, ioas_map(iommufd, a, RW, p, 16 * PAGE,
					      &iova));
			ASSERT_EQ(0, ioas_copy(iommufd, RD, b, &iova, a, iova,
					       4 * PAGE));
			ASSERT_EQ(pins + 16, pinned_now());
		}
		if (state >= REPLACED) {
			ASSERT_EQ(0, vfio_attach(dev, b, NULL));
			ASSERT_EQ(pins + 4, pinned_now());
		}
		if (state >= DETACHED) {
			ASSERT_EQ(0, vfio_detach(dev));
			ASSERT_EQ(pins, pinned_now());
		}
		/* either one may go first */
		ASSERT_EQ(0, close(i % 2 ? dev : iommufd));
		ASSERT_EQ(0, close(i % 2 ? iommufd : dev));
		ASSERT_EQ(pins, pinned_now())
			TH_LOG("state %d, %s first", state,
			       i % 2 ? "device" : "iommufd");
	}
}

TEST(killed_process_gives_everything_back)
{
	long pins = pinned_now();
	int pipes[2], status, i;
	char byte;
	pid_t pid;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, pipe(pipes));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			uint64_t iova = 0;
			uint32_t ioas;
			int dev = edu_open(), iommufd = iommufd_open();

			if (vfio_bind(dev, iommufd, NULL) ||
			    ioas_alloc(iommufd, &ioas) ||
			    vfio_attach(dev, ioas, NULL) ||
			    ioas_map(iommufd, ioas, RW, pages_alloc(64 * PAGE),
				     64 * PAGE, &iova) ||
			    write(pipes[1], "x", 1) != 1)
				_exit(1);
			pause();
		}
		close(pipes[1]);
		ASSERT_EQ(1, read(pipes[0], &byte, 1));
		EXPECT_EQ(pins + 64, pinned_now());
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(pins, pinned_now());
		close(pipes[0]);
	}
}

/* ---- somebody is inside an ioctl ---- */

TEST_F(attached, while_a_map_waits_for_memory_others_get_sensible_answers)
{
	struct slow_memory slow;
	struct mapper m = {
		.iommufd = self->iommufd, .ioas = self->ioas, .memory = &slow,
	};
	uint64_t iova = 0;

	ASSERT_EQ(0, slow_memory_make(&slow, 4 * PAGE));
	ASSERT_EQ(0, pthread_create(&m.thread, NULL, map_slowly, &m));
	ASSERT_EQ(0, slow_memory_wait(&slow));

	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->ioas));
	EXPECT_EQ(-EBUSY, ioas_unmap(self->iommufd, self->ioas, MiB, 4 * PAGE,
				     NULL));
	EXPECT_EQ(-EEXIST, ioas_map_fixed(self->iommufd, self->ioas, RW,
					  pages_alloc(PAGE), PAGE, MiB));
	EXPECT_EQ(-ENOENT, ioas_copy(self->iommufd, RW, self->other, &iova,
				     self->ioas, MiB, PAGE));
	/* elsewhere work goes on */
	EXPECT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW,
				    pages_alloc(PAGE), PAGE, 8 * MiB));
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, 8 * MiB, PAGE, NULL));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->other));

	ASSERT_EQ(0, slow_memory_let_in(&slow));
	pthread_join(m.thread, NULL);
	EXPECT_EQ(0, m.rc);
	EXPECT_EQ(self->pins + 4, pinned_now());
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, MiB, 4 * PAGE, NULL));
	close(slow.uffd);
}

TEST_F(attached, iommufd_closed_while_a_map_is_inside)
{
	struct slow_memory slow;
	struct mapper m = {
		.iommufd = self->iommufd, .ioas = self->ioas, .memory = &slow,
	};

	ASSERT_EQ(0, slow_memory_make(&slow, 4 * PAGE));
	ASSERT_EQ(0, pthread_create(&m.thread, NULL, map_slowly, &m));
	ASSERT_EQ(0, slow_memory_wait(&slow));
	EXPECT_EQ(0, close(self->iommufd));
	EXPECT_EQ(0, vfio_get_info(self->dev));
	ASSERT_EQ(0, slow_memory_let_in(&slow));
	pthread_join(m.thread, NULL);
	EXPECT_EQ(0, m.rc);
	EXPECT_EQ(self->pins + 4, pinned_now());
	EXPECT_EQ(0, close(self->dev));
	EXPECT_EQ(self->pins, pinned_now());
	self->dev = edu_open();
	self->iommufd = iommufd_open();
	close(slow.uffd);
}

static void *let_in_later(void *arg)
{
	usleep(500000);
	slow_memory_let_in(arg);
	return NULL;
}

TEST_F(attached, device_closed_while_a_map_is_inside)
{
	struct slow_memory slow;
	struct mapper m = {
		.iommufd = self->iommufd, .ioas = self->ioas, .memory = &slow,
	};
	pthread_t later;

	ASSERT_EQ(0, slow_memory_make(&slow, 4 * PAGE));
	ASSERT_EQ(0, pthread_create(&m.thread, NULL, map_slowly, &m));
	ASSERT_EQ(0, slow_memory_wait(&slow));
	/* The close may have to wait for the map, so somebody else lets it in. */
	ASSERT_EQ(0, pthread_create(&later, NULL, let_in_later, &slow));
	EXPECT_EQ(0, close(self->dev));
	pthread_join(later, NULL);
	pthread_join(m.thread, NULL);
	EXPECT_EQ(0, m.rc);
	EXPECT_EQ(self->pins, pinned_now());
	self->dev = edu_open();
	ASSERT_LE(0, self->dev);
	EXPECT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
	EXPECT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(self->pins + 4, pinned_now());
	close(slow.uffd);
}

TEST_F(attached, map_that_waits_for_memory_can_be_killed)
{
	int pipes[2], status, i;
	char byte;
	pid_t pid, got = 0;

	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct slow_memory slow;
		struct mapper m = {
			.iommufd = self->iommufd, .ioas = self->ioas,
			.memory = &slow,
		};

		if (slow_memory_make(&slow, 4 * PAGE) ||
		    pthread_create(&m.thread, NULL, map_slowly, &m) ||
		    slow_memory_wait(&slow) || write(pipes[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	close(pipes[1]);
	ASSERT_EQ(1, read(pipes[0], &byte, 1));
	kill(pid, SIGKILL);
	for (i = 0; i < 100 && !got; i++) {
		got = waitpid(pid, &status, WNOHANG);
		usleep(100000);
	}
	ASSERT_EQ(pid, got);
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(-ENOENT, ioas_unmap(self->iommufd, self->ioas, MiB, 4 * PAGE,
				      NULL));
	EXPECT_EQ(0, vfio_detach(self->dev));
}

/* ---- threads ---- */

struct racer {
	pthread_t thread;
	int dev, iommufd;
	uint32_t ioas[2];
	unsigned int seed;
	void *memory;
	volatile bool *stop;
	long calls;
	int wrong_call, wrong_rc;
};

static bool race_answer_ok(int call, int rc)
{
	switch (rc) {
	case 0:
	case -EBADF:
		return true;
	case -EINVAL:		/* detach when not attached; call on a new fd */
		return call == 1 || call == 0;
	case -EEXIST:
		return call == 2;
	case -ENOENT:
	case -EBUSY:
		return call == 3 || call == 4;
	default:
		return false;
	}
}

static void *race(void *arg)
{
	struct racer *r = arg;
	uint64_t iova;
	uint32_t ioas;
	int call, rc;

	while (!*r->stop) {
		ioas = r->ioas[rand_r(&r->seed) % 2];
		iova = MiB + PAGE * (rand_r(&r->seed) % 16);
		call = rand_r(&r->seed) % 5;
		switch (call) {
		case 0:
			rc = vfio_attach(r->dev, ioas, NULL);
			break;
		case 1:
			rc = vfio_detach(r->dev);
			break;
		case 2:
			rc = ioas_map_fixed(r->iommufd, ioas, RW, r->memory,
					    4 * PAGE, iova);
			break;
		case 3:
			rc = ioas_unmap(r->iommufd, ioas, iova, 8 * PAGE, NULL);
			break;
		default:
			rc = iommufd_destroy(r->iommufd, 1 + rand_r(&r->seed) % 3);
			/* keep both alive: they are IDs below */
			if (rc == 0)
				rc = -EBUSY;
			break;
		}
		r->calls++;
		if (!race_answer_ok(call, rc)) {
			r->wrong_call = call;
			r->wrong_rc = rc;
			break;
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(bound, threads_attach_map_and_unmap_and_close_meanwhile_is_safe, 120)
{
	enum { NR = 4 };
	struct racer racers[NR];
	volatile bool stop;
	uint32_t ioas[2];
	long calls = 0;
	int dev, iommufd, i, round;

	close(self->dev);
	for (round = 0; round < 10; round++) {
		dev = edu_open();
		ASSERT_LE(0, dev);
		iommufd = iommufd_open();
		ASSERT_LE(0, iommufd);
		ASSERT_EQ(0, vfio_bind(dev, iommufd, NULL));
		/* IDs above those that are destroyed at random */
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(0, ioas_alloc(iommufd, &ioas[i % 2]));
		}
		memset(racers, 0, sizeof(racers));
		stop = false;
		for (i = 0; i < NR; i++) {
			racers[i].dev = dev;
			racers[i].iommufd = iommufd;
			memcpy(racers[i].ioas, ioas, sizeof(ioas));
			racers[i].seed = round * NR + i;
			racers[i].memory = pages_alloc(4 * PAGE);
			racers[i].stop = &stop;
			ASSERT_EQ(0, pthread_create(&racers[i].thread, NULL, race,
						    &racers[i]));
		}
		usleep(300000);
		EXPECT_EQ(0, close(round % 2 ? dev : iommufd));
		usleep(10000);
		EXPECT_EQ(0, close(round % 2 ? iommufd : dev));
		stop = true;
		for (i = 0; i < NR; i++) {
			pthread_join(racers[i].thread, NULL);
			EXPECT_EQ(0, racers[i].wrong_rc)
				TH_LOG("call %d", racers[i].wrong_call);
			calls += racers[i].calls;
		}
		EXPECT_EQ(self->pins, pinned_now());
	}
	EXPECT_LT(500, calls);
	self->dev = -1;
}

struct churner {
	pthread_t thread;
	int iommufd;
	uint32_t ioas;
	unsigned int lane;
	void *memory;
	volatile bool stop;
	int rc;
};

static void *map_and_unmap(void *arg)
{
	struct churner *c = arg;
	const uint64_t step = c->lane % 2 ? 2 * MiB : 2048 * MiB;
	uint64_t iova = (c->lane + 1) * 16384 * MiB, unmapped;
	int i;

	while (!c->stop && !c->rc) {
		/* Near each other, or so far apart that all is flushed */
		for (i = 0; i < 4 && !c->rc; i++)
			c->rc = ioas_map_fixed(c->iommufd, c->ioas, RW,
					       c->memory, 4 * PAGE,
					       iova + i * step);
		if (!c->rc)
			c->rc = ioas_unmap(c->iommufd, c->ioas, iova, 4 * step,
					   &unmapped);
		if (!c->rc && unmapped != 16 * PAGE)
			c->rc = -EIO;
	}
	return NULL;
}

/* A device comes to a page table and leaves it while others change it. */
TEST_F_TIMEOUT(bound, mappings_come_and_go_while_a_device_does, 120)
{
	enum { NR = 4 };
	struct churner churners[NR];
	int i, round;

	for (round = 0; round < 10; round++) {
		close(self->dev);
		self->dev = edu_open();
		ASSERT_LE(0, self->dev);
		ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
		ASSERT_EQ(0, vfio_attach(self->dev, self->other, NULL));

		memset(churners, 0, sizeof(churners));
		for (i = 0; i < NR; i++) {
			churners[i].iommufd = self->iommufd;
			churners[i].ioas = self->ioas;
			churners[i].lane = i;
			churners[i].memory = pages_alloc(4 * PAGE);
			ASSERT_EQ(0, pthread_create(&churners[i].thread, NULL,
						    map_and_unmap, &churners[i]));
		}
		usleep(2000);
		/* The first move into a table differs from later ones. */
		for (i = 0; i < 20; i++) {
			EXPECT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
			EXPECT_EQ(0, vfio_detach(self->dev));
			EXPECT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
			EXPECT_EQ(0, vfio_attach(self->dev, self->other, NULL));
		}
		for (i = 0; i < NR; i++) {
			churners[i].stop = true;
			pthread_join(churners[i].thread, NULL);
			EXPECT_EQ(0, churners[i].rc);
		}
		ASSERT_EQ(self->pins, pinned_now());
	}
}

TEST(driver_unbind_waits_for_the_file_and_then_succeeds)
{
	char bdf[16];
	int dev = edu_open(), iommufd = iommufd_open(), status = -1;
	pid_t pid, got;

	ASSERT_EQ(0, pci_find("0x1234", "0x11e8", 0, bdf));
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, vfio_bind(dev, iommufd, NULL));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(dev);
		close(iommufd);
		_exit(pci_unbind_vfio(bdf) ? 1 : 0);
	}
	usleep(500000);
	got = waitpid(pid, &status, WNOHANG);
	EXPECT_EQ(0, got);
	EXPECT_EQ(0, vfio_get_info(dev));
	close(dev);
	if (!got) {
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
	}
	EXPECT_EQ(0, status);
	EXPECT_FALSE(pci_driver_is(bdf, "vfio-pci"));
	EXPECT_EQ(0, pci_bind_vfio(bdf));
	close(iommufd);
}

TEST_HARNESS_MAIN
