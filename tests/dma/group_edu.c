// SPDX-License-Identifier: GPL-2.0
/*
 * Groups and the type1 container as programs of today use them, with an edu device
 * that does DMA. Nothing here knows of iommufd: the same program runs against the
 * stock vfio.ko with vfio_iommu_type1, and what it says there is what is right.
 *
 * What only this project has is in group_iommufd.c.
 */
#include <sched.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "../kselftest/group_utils.h"
#include "stage.h"
#include "kselftest_harness.h"

#define X	0x200000UL	/* somewhere to map */
#define MSI	0xfee00000UL
#define NOBODY	65534

FIXTURE(group)
{
	char bdf[16];
	char path[64];
	int container;
	int group;
	int dev;
	struct edu edu;
	char *page;		/* mapped at STAGE when the device is open */
	char *memory;		/* 16 pages, not mapped */
	long pins;
};

FIXTURE_SETUP(group)
{
	self->dev = -1;
	self->pins = pinned_now();
	ASSERT_LE(0, self->pins);
	ASSERT_EQ(0, edu_group_path(0, self->bdf, self->path));
	self->container = container_open();
	ASSERT_LE(0, self->container);
	self->group = group_open(self->path);
	ASSERT_LE(0, self->group);
	self->page = pages_alloc(PAGE);
	ASSERT_NE(NULL, self->page);
	self->memory = pages_alloc(16 * PAGE);
	ASSERT_NE(NULL, self->memory);
}

FIXTURE_TEARDOWN(group)
{
	if (self->dev >= 0) {
		edu_uninit(&self->edu);
		close(self->dev);
	}
	close(self->group);
	close(self->container);
	munmap(self->page, PAGE);
	munmap(self->memory, 16 * PAGE);
	EXPECT_EQ(self->pins, pinned_now());
}

/* The way every client goes. */
static int set_up(FIXTURE_DATA(group) *self, unsigned long type)
{
	int rc = group_set_container(self->group, self->container);

	return rc ?: container_set_iommu(self->container, type);
}

static int open_device(FIXTURE_DATA(group) *self)
{
	int rc;

	self->dev = group_device(self->group, self->bdf);
	if (self->dev < 0)
		return self->dev;
	rc = dma_map(self->container, DMA_RW, self->page, PAGE, STAGE);
	return rc ?: edu_init(&self->edu, self->dev);
}

/* What does the device read at @iova? Its buffer is loaded with poison before. */
static int reads(FIXTURE_DATA(group) *self, uint64_t iova)
{
	int rc;

	memset(self->page, 0x5a, LENGTH);
	rc = edu_dma(&self->edu, false, STAGE, LENGTH);
	if (!rc)
		rc = edu_dma(&self->edu, false, iova, LENGTH);
	memset(self->page, 0xa5, LENGTH);
	return rc ?: edu_dma(&self->edu, true, STAGE, LENGTH);
}

static int stores(FIXTURE_DATA(group) *self, uint64_t iova, uint32_t seed)
{
	int rc;

	paint(self->page, LENGTH, seed);
	rc = edu_dma(&self->edu, false, STAGE, LENGTH);
	return rc ?: edu_dma(&self->edu, true, iova, LENGTH);
}

TEST(container_answers_before_it_has_groups)
{
	int container = container_open();

	ASSERT_LE(0, container);
	EXPECT_EQ(VFIO_API_VERSION, ioctl(container, VFIO_GET_API_VERSION));
	EXPECT_EQ(1, container_extension(container, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(1, container_extension(container, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(1, container_extension(container, VFIO_UNMAP_ALL));
	EXPECT_EQ(0, container_extension(container, VFIO_SPAPR_TCE_IOMMU));
	EXPECT_EQ(0, container_extension(container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(0, container_extension(container, VFIO_DMA_CC_IOMMU));
	EXPECT_EQ(0, container_extension(container, 12345));
	close(container);
}

TEST(container_does_nothing_before_it_has_groups)
{
	int container = container_open();
	char *p = pages_alloc(PAGE);

	ASSERT_LE(0, container);
	ASSERT_NE(NULL, p);
	EXPECT_EQ(-EINVAL, container_set_iommu(container, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, dma_map(container, DMA_RW, p, PAGE, X));
	EXPECT_EQ(-EINVAL, dma_unmap(container, 0, X, PAGE));
	EXPECT_EQ(-EINVAL, ioctl_rc(container, VFIO_IOMMU_GET_INFO, p));
	EXPECT_EQ(-EINVAL, ioctl_rc(container, VFIO_IOMMU_SPAPR_TCE_CREATE, p));
	close(container);
	munmap(p, PAGE);
}

TEST_F(group, is_open_once)
{
	EXPECT_EQ(-EBUSY, group_open(self->path));
	close(self->group);
	self->group = group_open(self->path);
	EXPECT_LE(0, self->group);
}

TEST_F(group, status_tells_of_the_container)
{
	struct vfio_group_status small = { .argsz = 7 };

	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_status(self->group));
	EXPECT_EQ(-EINVAL, ioctl_rc(self->group, VFIO_GROUP_GET_STATUS, &small));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->group, VFIO_GROUP_GET_STATUS, (void *)8));
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET,
		  group_status(self->group));
	ASSERT_EQ(0, group_unset_container(self->group));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_status(self->group));
}

TEST_F(group, takes_only_a_container_and_only_one)
{
	int other = container_open();

	ASSERT_LE(0, other);
	EXPECT_EQ(-EBADF, group_set_container(self->group, -1));
	EXPECT_EQ(-EINVAL, group_set_container(self->group, self->group));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->group, VFIO_GROUP_SET_CONTAINER, NULL));
	EXPECT_EQ(-EINVAL, group_unset_container(self->group));
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	EXPECT_EQ(-EINVAL, group_set_container(self->group, self->container));
	EXPECT_EQ(-EINVAL, group_set_container(self->group, other));
	close(other);
}

TEST_F(group, iommu_is_set_once_and_of_a_known_kind)
{
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	EXPECT_EQ(-ENODEV, container_set_iommu(self->container, 0));
	EXPECT_EQ(-ENODEV, container_set_iommu(self->container, 99));
	EXPECT_EQ(-ENODEV, container_set_iommu(self->container,
					       VFIO_SPAPR_TCE_IOMMU));
	EXPECT_EQ(-ENODEV, container_set_iommu(self->container,
					       VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(-EINVAL, container_set_iommu(self->container,
					       VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-ENOTTY, ioctl_rc(self->container,
				    VFIO_IOMMU_SPAPR_TCE_CREATE, self->memory));
}

TEST_F(group, gives_devices_when_the_iommu_is_set)
{
	char function[24];

	EXPECT_EQ(-EINVAL, group_device(self->group, self->bdf));
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	EXPECT_EQ(-EINVAL, group_device(self->group, self->bdf));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-ENODEV, group_device(self->group, "0000:ff:1f.7"));
	EXPECT_EQ(-ENODEV, group_device(self->group, ""));
	snprintf(function, sizeof(function), "%s0", self->bdf);
	EXPECT_EQ(-ENODEV, group_device(self->group, function));
	EXPECT_EQ(-EFAULT, group_device(self->group, (char *)8));
	ASSERT_EQ(0, open_device(self));
	EXPECT_EQ(0, vfio_get_info(self->dev));
	EXPECT_EQ(FD_CLOEXEC, fcntl(self->dev, F_GETFD));
}

TEST_F(group, container_stays_while_a_device_is_open)
{
	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, open_device(self));
	EXPECT_EQ(-EBUSY, group_unset_container(self->group));
	edu_uninit(&self->edu);
	close(self->dev);
	self->dev = -1;
	EXPECT_EQ(0, group_unset_container(self->group));
}

TEST_F(group, container_without_groups_begins_anew)
{
	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, dma_map(self->container, DMA_RW, self->memory, PAGE, X));
	EXPECT_EQ(self->pins + 1, pinned_now());
	ASSERT_EQ(0, group_unset_container(self->group));
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(-EINVAL, dma_map(self->container, DMA_RW, self->memory, PAGE, X));
	ASSERT_EQ(0, set_up(self, VFIO_TYPE1_IOMMU));
	/* What was mapped is gone. */
	EXPECT_EQ(0, dma_map(self->container, DMA_RW, self->memory, PAGE, X));
}

TEST_F(group, device_opens_twice_and_each_file_works)
{
	int second;

	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, open_device(self));
	second = group_device(self->group, self->bdf);
	ASSERT_LE(0, second);
	EXPECT_EQ(0, vfio_get_info(second));
	edu_uninit(&self->edu);
	close(self->dev);
	self->dev = second;
	EXPECT_EQ(0, vfio_get_info(second));
	ASSERT_EQ(0, edu_init(&self->edu, second));
	EXPECT_EQ(-EBUSY, group_unset_container(self->group));
	ASSERT_EQ(0, dma_map(self->container, DMA_RW, self->memory, PAGE, X));
	EXPECT_EQ(0, stores(self, X, 3));
	EXPECT_EQ(0, painted(self->memory, LENGTH, 3));
}

TEST_F(group, device_reads_and_writes_what_is_mapped)
{
	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, open_device(self));
	ASSERT_EQ(0, dma_map(self->container, DMA_RW, self->memory, 4 * PAGE, X));
	paint(self->memory + PAGE, LENGTH, 7);
	ASSERT_EQ(0, reads(self, X + PAGE));
	EXPECT_EQ(0, painted(self->page, LENGTH, 7));
	ASSERT_EQ(0, stores(self, X + 2 * PAGE, 8));
	EXPECT_EQ(0, painted(self->memory + 2 * PAGE, LENGTH, 8));

	ASSERT_EQ(4 * PAGE, dma_unmap(self->container, 0, X, 4 * PAGE));
	paint(self->memory + 2 * PAGE, LENGTH, 9);
	ASSERT_EQ(0, stores(self, X + 2 * PAGE, 10));
	EXPECT_EQ(0, painted(self->memory + 2 * PAGE, LENGTH, 9));
}

TEST_F(group, read_only_memory_is_not_written)
{
	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, open_device(self));
	ASSERT_EQ(0, dma_map(self->container, DMA_RD, self->memory, PAGE, X));
	paint(self->memory, LENGTH, 11);
	ASSERT_EQ(0, reads(self, X));
	EXPECT_EQ(0, painted(self->page, LENGTH, 11));
	ASSERT_EQ(0, stores(self, X, 12));
	EXPECT_EQ(0, painted(self->memory, LENGTH, 11));
}

TEST_F(group, device_works_when_the_container_is_closed)
{
	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, open_device(self));
	ASSERT_EQ(0, dma_map(self->container, DMA_RW, self->memory, PAGE, X));
	close(self->container);
	self->container = -1;
	ASSERT_EQ(0, stores(self, X, 13));
	EXPECT_EQ(0, painted(self->memory, LENGTH, 13));
}

TEST_F(group, device_works_when_the_group_is_closed)
{
	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, open_device(self));
	close(self->group);
	self->group = -1;
	EXPECT_EQ(-EBUSY, group_open(self->path));
	ASSERT_EQ(0, dma_map(self->container, DMA_RW, self->memory, PAGE, X));
	ASSERT_EQ(0, stores(self, X, 14));
	EXPECT_EQ(0, painted(self->memory, LENGTH, 14));
}

TEST_F(group, map_refuses_what_type1_refuses)
{
	int container = self->container;
	struct vfio_iommu_type1_dma_map small = { .argsz = sizeof(small) - 1 };

	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, ioctl_rc(container, VFIO_IOMMU_MAP_DMA, &small));
	EXPECT_EQ(-EFAULT, ioctl_rc(container, VFIO_IOMMU_MAP_DMA, (void *)8));
	EXPECT_EQ(-EINVAL, dma_map(container, 0, self->memory, PAGE, X));
	EXPECT_EQ(-EINVAL, dma_map(container, 1U << 9, self->memory, PAGE, X));
	EXPECT_EQ(-EINVAL, dma_map(container, DMA_RW | 1U << 9, self->memory,
				   PAGE, X));
	EXPECT_EQ(-EINVAL, dma_map(container, DMA_RW, self->memory, 0, X));
	EXPECT_EQ(-EINVAL, dma_map(container, DMA_RW, self->memory, 2048, X));
	EXPECT_EQ(-EINVAL, dma_map(container, DMA_RW, self->memory + 8, PAGE, X));
	EXPECT_EQ(-EINVAL, dma_map(container, DMA_RW, self->memory, PAGE, X + 8));
	EXPECT_EQ(-EINVAL, dma_map(container, DMA_RW, self->memory, 2 * PAGE,
				   -PAGE));
	EXPECT_EQ(-EINVAL, dma_map(container, DMA_RW, (void *)-PAGE, 2 * PAGE, X));
	/* No device translates there. */
	EXPECT_EQ(-EINVAL, dma_map(container, DMA_RW, self->memory, PAGE, -PAGE));
	EXPECT_EQ(-EINVAL, dma_map(container, DMA_RW, self->memory, PAGE, MSI));
	EXPECT_EQ(-EFAULT, dma_map(container, DMA_RW, NULL, PAGE, X));
	EXPECT_EQ(self->pins, pinned_now());

	EXPECT_EQ(0, dma_map(container, DMA_RW, self->memory, 4 * PAGE, X));
	EXPECT_EQ(self->pins + 4, pinned_now());
	EXPECT_EQ(-EEXIST, dma_map(container, DMA_RW, self->memory, PAGE,
				   X + PAGE));
	EXPECT_EQ(-EEXIST, dma_map(container, DMA_RW, self->memory, 2 * PAGE,
				   X - PAGE));
	EXPECT_EQ(0, dma_map(container, DMA_RW, self->memory, PAGE, X - PAGE));
	EXPECT_EQ(self->pins + 5, pinned_now());
}

TEST_F(group, failed_map_leaves_nothing)
{
	char *hole = pages_alloc(8 * PAGE);

	ASSERT_NE(NULL, hole);
	ASSERT_EQ(0, munmap(hole + 5 * PAGE, PAGE));
	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EFAULT, dma_map(self->container, DMA_RW, hole, 8 * PAGE, X));
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(0, dma_map(self->container, DMA_RW, hole, 5 * PAGE, X));
	EXPECT_EQ(5 * PAGE, dma_unmap(self->container, 0, X, 5 * PAGE));
	munmap(hole, 8 * PAGE);
}

TEST_F(group, v2_unmaps_whole_mappings)
{
	struct vfio_iommu_type1_dma_unmap small = { .argsz = sizeof(small) - 1 };
	int container = self->container;

	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, dma_map(container, DMA_RW, self->memory, 4 * PAGE, X));
	ASSERT_EQ(0, dma_map(container, DMA_RW, self->memory, 4 * PAGE,
			     X + 8 * PAGE));

	EXPECT_EQ(-EINVAL, ioctl_rc(container, VFIO_IOMMU_UNMAP_DMA, &small));
	EXPECT_EQ(-EINVAL, dma_unmap(container, 1U << 9, X, 4 * PAGE));
	EXPECT_EQ(-EINVAL, dma_unmap(container, 0, X, 0));
	EXPECT_EQ(-EINVAL, dma_unmap(container, 0, X + 8, 4 * PAGE));
	EXPECT_EQ(-EINVAL, dma_unmap(container, 0, X, 4 * PAGE + 8));
	EXPECT_EQ(-EINVAL, dma_unmap(container, 0, -PAGE, 2 * PAGE));
	EXPECT_EQ(-EINVAL, dma_unmap(container, VFIO_DMA_UNMAP_FLAG_ALL, X, 0));
	EXPECT_EQ(-EINVAL, dma_unmap(container, VFIO_DMA_UNMAP_FLAG_ALL, 0, PAGE));

	EXPECT_EQ(-EINVAL, dma_unmap(container, 0, X, PAGE));
	EXPECT_EQ(-EINVAL, dma_unmap(container, 0, X + PAGE, 3 * PAGE));
	EXPECT_EQ(-EINVAL, dma_unmap(container, 0, X, 9 * PAGE));
	EXPECT_EQ(self->pins + 8, pinned_now());
	EXPECT_EQ(0, dma_unmap(container, 0, X + 4 * PAGE, 4 * PAGE));
	EXPECT_EQ(0, dma_unmap(container, 0, -PAGE, PAGE));
	EXPECT_EQ(8 * PAGE, dma_unmap(container, 0, X - PAGE, 16 * PAGE));
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(0, dma_unmap(container, 0, X, 4 * PAGE));
}

TEST_F(group, v1_unmaps_what_begins_in_the_range)
{
	int container = self->container;

	ASSERT_EQ(0, set_up(self, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, dma_map(container, DMA_RW, self->memory, 4 * PAGE, X));
	ASSERT_EQ(0, dma_map(container, DMA_RW, self->memory, 4 * PAGE,
			     X + 4 * PAGE));
	EXPECT_EQ(0, dma_unmap(container, 0, X + PAGE, PAGE));
	EXPECT_EQ(0, dma_unmap(container, 0, X + PAGE, 7 * PAGE));
	EXPECT_EQ(self->pins + 8, pinned_now());
	EXPECT_EQ(4 * PAGE, dma_unmap(container, 0, X, PAGE));
	EXPECT_EQ(self->pins + 4, pinned_now());
	EXPECT_EQ(4 * PAGE, dma_unmap(container, 0, X, 5 * PAGE));
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(group, unmap_all_takes_everything)
{
	int container = self->container;

	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, dma_unmap(container, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0));
	ASSERT_EQ(0, dma_map(container, DMA_RW, self->memory, 4 * PAGE, X));
	ASSERT_EQ(0, dma_map(container, DMA_RW, self->memory, 2 * PAGE, 0));
	EXPECT_EQ(6 * PAGE, dma_unmap(container, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0));
	EXPECT_EQ(self->pins, pinned_now());
}

/* The capability, or NULL. */
static const void *info_cap(const struct vfio_iommu_type1_info *info,
			    uint16_t id)
{
	const struct vfio_info_cap_header *header;
	uint32_t at = info->cap_offset;
	int i;

	for (i = 0; at && i < 16; i++, at = header->next) {
		header = (const void *)((const char *)info + at);
		if (header->id == id)
			return header;
	}
	return NULL;
}

TEST_F(group, info_has_page_sizes_ranges_and_room)
{
	const struct vfio_iommu_type1_info_cap_iova_range *ranges;
	const struct vfio_iommu_type1_info_dma_avail *avail;
	struct vfio_iommu_type1_info *info = (void *)self->memory;
	const uint32_t v0 = offsetof(typeof(*info), cap_offset);
	uint64_t end = 0;
	uint32_t i;

	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	info->argsz = v0 - 1;
	EXPECT_EQ(-EINVAL, ioctl_rc(self->container, VFIO_IOMMU_GET_INFO, info));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->container, VFIO_IOMMU_GET_INFO,
				    (void *)8));

	/* A program of before the capabilities gets what it knows. */
	memset(info, 0x5a, sizeof(*info));
	info->argsz = v0;
	ASSERT_EQ(0, ioctl_rc(self->container, VFIO_IOMMU_GET_INFO, info));
	EXPECT_TRUE(info->flags & VFIO_IOMMU_INFO_PGSIZES);
	EXPECT_TRUE(info->iova_pgsizes & PAGE);
	EXPECT_EQ(0, info->iova_pgsizes & (PAGE - 1));
	EXPECT_EQ(0x5a5a5a5a, info->cap_offset);

	/* A newer one is told how much room it needs. */
	info->argsz = sizeof(*info);
	ASSERT_EQ(0, ioctl_rc(self->container, VFIO_IOMMU_GET_INFO, info));
	EXPECT_TRUE(info->flags & VFIO_IOMMU_INFO_CAPS);
	EXPECT_EQ(0, info->cap_offset);
	ASSERT_LT(sizeof(*info), info->argsz);
	ASSERT_GT(16 * PAGE, info->argsz);
	ASSERT_EQ(0, ioctl_rc(self->container, VFIO_IOMMU_GET_INFO, info));
	ASSERT_NE(0, info->cap_offset);

	avail = info_cap(info, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL);
	ASSERT_NE(NULL, avail);
	EXPECT_EQ(1, avail->header.version);
	EXPECT_EQ(65535, avail->avail);
	ranges = info_cap(info, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE);
	ASSERT_NE(NULL, ranges);
	EXPECT_EQ(1, ranges->header.version);
	ASSERT_LE(2, ranges->nr_iovas);
	EXPECT_EQ(0, ranges->iova_ranges[0].start);
	EXPECT_EQ(MSI - 1, ranges->iova_ranges[0].end);
	for (i = 0; i < ranges->nr_iovas; i++) {
		EXPECT_LT(ranges->iova_ranges[i].start,
			  ranges->iova_ranges[i].end);
		if (i)
			EXPECT_LT(end, ranges->iova_ranges[i].start);
		end = ranges->iova_ranges[i].end;
	}
	EXPECT_EQ(-EINVAL, dma_map(self->container, DMA_RW, self->page, PAGE,
				   end + 1));
	EXPECT_EQ(0, dma_map(self->container, DMA_RW, self->page, PAGE,
			     end + 1 - PAGE));
}

/* Can the IOMMU make DMA coherent? Intel: bit 7 of the unit's ECAP; AMD: yes. */
static int iommu_snoops(void)
{
	char ecap[32];

	sysfs_read("/sys/class/iommu/dmar0/intel-iommu/ecap", ecap, sizeof(ecap));
	return ecap[0] ? strtoull(ecap, NULL, 16) >> 7 & 1 : 1;
}

TEST_F(group, coherency_is_known_when_the_iommu_is_set)
{
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	EXPECT_EQ(0, container_extension(self->container, VFIO_DMA_CC_IOMMU));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(iommu_snoops(),
		  container_extension(self->container, VFIO_DMA_CC_IOMMU));
	EXPECT_EQ(1, container_extension(self->container, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, container_extension(self->container, VFIO_NOIOMMU_IOMMU));
}

/* In a child that is nobody, with so many pages of RLIMIT_MEMLOCK. */
static int map_as_nobody(FIXTURE_DATA(group) *self, rlim_t nr_pages)
{
	struct rlimit limit = { nr_pages * PAGE, nr_pages * PAGE };
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (setrlimit(RLIMIT_MEMLOCK, &limit) ||
		    setresuid(NOBODY, NOBODY, NOBODY))
			_exit(255);
		_exit(-dma_map(self->container, DMA_RW, self->memory, 8 * PAGE,
			       X));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

TEST_F(group, locked_memory_is_limited_when_it_is_mapped)
{
	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-ENOMEM, map_as_nobody(self, 0));
	EXPECT_EQ(-ENOMEM, map_as_nobody(self, 7));
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(0, map_as_nobody(self, 64));
	/* Who mapped is gone, its memory is not. */
	EXPECT_EQ(self->pins + 8, pinned_now());
	EXPECT_EQ(8 * PAGE, dma_unmap(self->container, 0, X, 8 * PAGE));
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(group, killed_program_leaves_nothing)
{
	int status, i, rc;
	int ready[2];
	pid_t pid;
	char byte;

	close(self->group);
	close(self->container);
	self->group = -1;
	self->container = -1;
	ASSERT_EQ(0, pipe(ready));
	for (i = 0; i < 5; i++) {
		pid = fork();
		if (!pid) {
			self->container = container_open();
			self->group = group_open(self->path);
			rc = set_up(self, VFIO_TYPE1v2_IOMMU);
			rc = rc ?: open_device(self);
			rc = rc ?: dma_map(self->container, DMA_RW,
					   self->memory, 16 * PAGE, X);
			if (rc || write(ready[1], "", 1) != 1)
				_exit(1);
			for (;;)
				edu_dma(&self->edu, true, X, LENGTH);
		}
		ASSERT_EQ(1, read(ready[0], &byte, 1));
		usleep(20000);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		EXPECT_EQ(self->pins, pinned_now());
	}
	self->container = container_open();
	self->group = group_open(self->path);
	EXPECT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, open_device(self));
}

TEST_F(group, driver_gets_its_device_back_when_the_group_is_idle)
{
	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, dma_map(self->container, DMA_RW, self->memory, PAGE, X));
	/* Nobody has opened the device: its driver does not wait. */
	ASSERT_EQ(0, pci_unbind_vfio(self->bdf));
	EXPECT_EQ(-ENODEV, group_device(self->group, self->bdf));
	EXPECT_EQ(-ENODEV, group_status(self->group));
	EXPECT_EQ(self->pins, pinned_now());
	close(self->group);
	self->group = -1;
	ASSERT_EQ(0, edu_group_path(0, self->bdf, self->path));
	self->group = group_open(self->path);
	ASSERT_LE(0, self->group);
	ASSERT_EQ(0, set_up(self, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, open_device(self));
}

TEST_HARNESS_MAIN
