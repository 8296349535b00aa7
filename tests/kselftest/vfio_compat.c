// SPDX-License-Identifier: GPL-2.0
/*
 * 32-bit callers. A 64-bit program may call the kernel by interrupt 0x80, and is then
 * what a 32-bit one is: numbers of its own, registers of 32 bits, and each file's
 * compat_ioctl(). So this is an ordinary program, whose arguments lie below 4 GiB.
 * That the structures are laid out alike is looked at elsewhere: tests/host/test_layout.sh.
 *
 * Each test goes the way of a real program, from open to data; wherever it can be told,
 * the 64-bit interface is asked whether it really happened. Registers have rubbish
 * in their upper halves where the kernel should not look.
 */
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

#include "group_utils.h"
#include "kselftest_harness.h"
#include "vfio_utils.h"

#define NR_IOCTL	54
#define NR_GETPID	20
#define RUBBISH		0xdeadbeef00000000UL

static long call32(unsigned int nr, unsigned long a, unsigned long b,
		   unsigned long c)
{
	long rc;

	asm volatile("int $0x80"
		     : "=a" (rc)
		     : "a" ((unsigned long)nr), "b" (a | RUBBISH),
		       "c" (b | RUBBISH), "d" (c | RUBBISH)
		     : "memory", "cc", "r8", "r9", "r10", "r11");
	return rc;
}

static sigjmp_buf no_such_call;

static void no_call32(int sig)
{
	siglongjmp(no_such_call, 1);
}

/* Not on a kernel that was built without 32-bit programs. */
static bool has_call32(void)
{
	struct sigaction action = { .sa_handler = no_call32 }, old;
	volatile bool has = false;

	sigaction(SIGSEGV, &action, &old);
	if (!sigsetjmp(no_such_call, 1))
		has = call32(NR_GETPID, 0, 0, 0) == getpid();
	sigaction(SIGSEGV, &old, NULL);
	return has;
}

/* A page for arguments, where 32 bits reach. */
static char *low;

static char *low_alloc(size_t size)
{
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT | MAP_POPULATE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static long ioctl32_value(int fd, unsigned int cmd, unsigned int value)
{
	return call32(NR_IOCTL, fd, cmd, value);
}

static long ioctl32(int fd, unsigned int cmd, void *arg, size_t size)
{
	long rc;

	memcpy(low, arg, size);
	rc = ioctl32_value(fd, cmd, (uintptr_t)low);
	memcpy(arg, low, size);
	return rc;
}

#define IOCTL32(fd, cmd, arg) ioctl32(fd, cmd, arg, sizeof(*(arg)))

static bool setup(void)
{
	low = low_alloc(PAGE);
	return low;
}

/*
 * A context
 */

FIXTURE(context)
{
	int fd;
	char *memory;
};

FIXTURE_SETUP(context)
{
	if (!has_call32())
		SKIP(return, "no 32-bit calls in this kernel");
	ASSERT_TRUE(setup());
	self->memory = low_alloc(4 * PAGE);
	ASSERT_NE(NULL, self->memory);
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(context)
{
	close(self->fd);
}

TEST_F(context, maps_and_unmaps)
{
	struct iommu_iova_range *ranges = (void *)(low + 1024);
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_READABLE | IOMMU_IOAS_MAP_WRITEABLE |
			 IOMMU_IOAS_MAP_FIXED_IOVA,
		.user_va = (uintptr_t)self->memory,
		.length = 2 * PAGE,
		.iova = 0x123456000000,
	};
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = IOMMU_IOAS_MAP_READABLE,
		.length = PAGE,
		.src_iova = map.iova + PAGE,
	};
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.iova = map.iova,
		.length = map.length,
	};
	struct iommu_ioas_iova_ranges iovas = {
		.size = sizeof(iovas),
		.num_iovas = 4,
		.allowed_iovas = (uintptr_t)ranges,
	};
	struct iommu_destroy destroy = { .size = sizeof(destroy) };
	uint64_t length = 0;

	ASSERT_EQ(0, IOCTL32(self->fd, IOMMU_IOAS_ALLOC, &alloc));
	map.ioas_id = copy.dst_ioas_id = copy.src_ioas_id = alloc.out_ioas_id;
	unmap.ioas_id = iovas.ioas_id = destroy.id = alloc.out_ioas_id;
	ASSERT_EQ(0, IOCTL32(self->fd, IOMMU_IOAS_MAP, &map));
	EXPECT_EQ(0x123456000000, map.iova);
	ASSERT_EQ(0, IOCTL32(self->fd, IOMMU_IOAS_COPY, &copy));
	EXPECT_EQ(0, IOCTL32(self->fd, IOMMU_IOAS_IOVA_RANGES, &iovas));
	EXPECT_EQ(1, iovas.num_iovas);
	EXPECT_EQ(0, ranges[0].start);
	EXPECT_EQ(UINT64_MAX, ranges[0].last);
	ASSERT_EQ(0, IOCTL32(self->fd, IOMMU_IOAS_UNMAP, &unmap));
	EXPECT_EQ(2 * PAGE, unmap.length);
	/* The copy is there, the other is not. */
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, alloc.out_ioas_id, map.iova, PAGE,
				      &length));
	EXPECT_EQ(0, ioas_unmap(self->fd, alloc.out_ioas_id, copy.dst_iova, PAGE,
				&length));
	EXPECT_EQ(0, IOCTL32(self->fd, IOMMU_DESTROY, &destroy));
	EXPECT_EQ(-ENOENT, IOCTL32(self->fd, IOMMU_DESTROY, &destroy));
}

TEST_F(context, answers_what_is_wrong)
{
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc) };

	EXPECT_EQ(-ENOTTY, ioctl32_value(self->fd, 0x3b7f, 0));
	EXPECT_EQ(-EFAULT, ioctl32_value(self->fd, IOMMU_IOAS_ALLOC, 0));
	/* An address that has nothing but its upper half wrong is right. */
	EXPECT_EQ(0, IOCTL32(self->fd, IOMMU_IOAS_ALLOC, &alloc));
	alloc.size = 8;
	EXPECT_EQ(-EINVAL, IOCTL32(self->fd, IOMMU_IOAS_ALLOC, &alloc));
}

/*
 * A device, through its own file
 */

FIXTURE(device)
{
	char bdf[16];
	int fd;
	int dev;
	char *memory;
};

FIXTURE_SETUP(device)
{
	if (!has_call32())
		SKIP(return, "no 32-bit calls in this kernel");
	ASSERT_TRUE(setup());
	self->memory = low_alloc(4 * PAGE);
	ASSERT_NE(NULL, self->memory);
	ASSERT_EQ(0, pci_find("0x1234", "0x11e8", 0, self->bdf));
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	self->dev = edu_open();
	ASSERT_LE(0, self->dev);
}

FIXTURE_TEARDOWN(device)
{
	close(self->dev);
	close(self->fd);
}

TEST_F(device, is_bound_attached_and_used)
{
	struct vfio_device_bind_iommufd bind = {
		.argsz = sizeof(bind),
		.iommufd = self->fd,
	};
	struct vfio_device_attach_iommufd_pt attach = { .argsz = sizeof(attach) };
	struct vfio_device_detach_iommufd_pt detach = { .argsz = sizeof(detach) };
	struct vfio_device_info info = { .argsz = sizeof(info) };
	struct vfio_region_info region = {
		.argsz = sizeof(region),
		.index = VFIO_PCI_CONFIG_REGION_INDEX,
	};
	struct vfio_device_feature feature = {
		.argsz = sizeof(feature),
		.flags = VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
			 VFIO_DEVICE_FEATURE_MIGRATION,
	};
	struct vfio_pci_hot_reset_info reset = { .argsz = sizeof(reset) };
	struct iommu_hw_info hw = { .size = sizeof(hw) };
	uint32_t ioas;
	long rc;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	EXPECT_EQ(-EINVAL, IOCTL32(self->dev, VFIO_DEVICE_GET_INFO, &info));
	ASSERT_EQ(0, IOCTL32(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &bind));
	EXPECT_NE(0, bind.out_devid);
	attach.pt_id = ioas;
	ASSERT_EQ(0, IOCTL32(self->dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &attach));
	EXPECT_NE(ioas, attach.pt_id);
	EXPECT_EQ(0, IOCTL32(self->dev, VFIO_DEVICE_GET_INFO, &info));
	EXPECT_LE(VFIO_PCI_NUM_REGIONS, info.num_regions);
	EXPECT_EQ(0, IOCTL32(self->dev, VFIO_DEVICE_GET_REGION_INFO, &region));
	EXPECT_LE(256, region.size);
	EXPECT_EQ(-ENOTTY, IOCTL32(self->dev, VFIO_DEVICE_FEATURE, &feature));
	rc = IOCTL32(self->dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &reset);
	EXPECT_TRUE(rc == -ENOSPC || rc == -ENODEV);
	hw.dev_id = bind.out_devid;
	EXPECT_EQ(0, IOCTL32(self->fd, IOMMU_GET_HW_INFO, &hw));
	EXPECT_EQ(0, IOCTL32(self->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
	EXPECT_EQ(-EINVAL, IOCTL32(self->dev, VFIO_DEVICE_DETACH_IOMMUFD_PT, &detach));
}

/* A hot reset makes a page for the driver: it must lie where 32 bits reach. */
TEST_F(device, is_reset_with_its_bus)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };
	long rc;

	ASSERT_EQ(0, vfio_bind(self->dev, self->fd, NULL));
	/* As the same call by a 64-bit program. */
	rc = ioctl_rc(self->dev, VFIO_DEVICE_PCI_HOT_RESET, &reset);
	EXPECT_EQ(rc, IOCTL32(self->dev, VFIO_DEVICE_PCI_HOT_RESET, &reset));
}

/*
 * A device, through its group and a container
 */

TEST_F(device, is_used_through_a_container)
{
	struct vfio_iommu_type1_info info = {
		.argsz = offsetof(struct vfio_iommu_type1_info, cap_offset) + 4,
	};
	struct vfio_group_status status = { .argsz = sizeof(status) };
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = DMA_RW,
		.vaddr = (uintptr_t)self->memory,
		.iova = 0x500000000,
		.size = 4 * PAGE,
	};
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = map.iova,
		.size = map.size,
	};
	int container = container_open(), group, dev;
	char path[64];

	ASSERT_LE(0, container);
	ASSERT_EQ(0, pci_group_path(self->bdf, path));
	group = group_open(path);
	ASSERT_LE(0, group);
	EXPECT_EQ(VFIO_API_VERSION, ioctl32_value(container, VFIO_GET_API_VERSION, 0));
	EXPECT_EQ(1, ioctl32_value(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, IOCTL32(group, VFIO_GROUP_GET_STATUS, &status));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, status.flags);
	ASSERT_EQ(0, IOCTL32(group, VFIO_GROUP_SET_CONTAINER, &container));
	ASSERT_EQ(0, ioctl32_value(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU));

	/* Not aligned, the struct has four bytes less: nothing is written behind. */
	memset(low, 0x5a, PAGE);
	ASSERT_EQ(0, ioctl32(container, VFIO_IOMMU_GET_INFO, &info, info.argsz));
	EXPECT_EQ(PAGE, info.iova_pgsizes & -info.iova_pgsizes);
	EXPECT_EQ(0x5a, low[offsetof(struct vfio_iommu_type1_info, cap_offset) + 4]);
	ASSERT_EQ(0, IOCTL32(container, VFIO_IOMMU_MAP_DMA, &map));
	EXPECT_EQ(-EEXIST, IOCTL32(container, VFIO_IOMMU_MAP_DMA, &map));

	strcpy(low, self->bdf);
	dev = ioctl32_value(group, VFIO_GROUP_GET_DEVICE_FD, (uintptr_t)low);
	ASSERT_LE(0, dev);
	EXPECT_EQ(-EBUSY, ioctl32_value(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	EXPECT_EQ(0, close(dev));
	ASSERT_EQ(0, IOCTL32(container, VFIO_IOMMU_UNMAP_DMA, &unmap));
	EXPECT_EQ(4 * PAGE, unmap.size);
	EXPECT_EQ(0, ioctl32_value(group, VFIO_GROUP_UNSET_CONTAINER, 0));
	close(group);
	close(container);
}

TEST_HARNESS_MAIN
