// SPDX-License-Identifier: GPL-2.0
/*
 * Page tables that userspace makes (IOMMU_HWPT_ALLOC), what an IOMMU says of
 * itself (IOMMU_GET_HW_INFO), settings (IOMMU_OPTION) and the choice of the
 * legacy container's IOAS (IOMMU_VFIO_IOAS), with QEMU's edu device.
 *
 * Which table a device is on is told by content: its DMA has to arrive in the
 * memory that the table shows, and nowhere else.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <linux/capability.h>

#include "../dma/stage.h"
#include "kselftest_harness.h"
#include "slow_memory.h"

#define X		0x200000UL	/* IOVAs for what is tested */
#define Y		0x600000UL
#define UNUSED_ID	0x7ffffff0U
#define MSI_DOORBELL	0xfee00000UL
#define NOBODY		65534

/* How much longer struct iommu_hwpt_alloc is in later kernels. */
#define LATER		24

FIXTURE(table)
{
	struct stage s;
};

FIXTURE_SETUP(table)
{
	ASSERT_EQ(0, stage_open(&self->s));
}

FIXTURE_TEARDOWN(table)
{
	stage_close(&self->s);
	EXPECT_EQ(self->s.pins, pinned_now());
}

/* A struct with room behind it. */
struct long_alloc {
	struct iommu_hwpt_alloc cmd;
	uint8_t tail[1000];
};

static struct long_alloc alloc_arg(struct stage *s)
{
	struct long_alloc arg = {
		.cmd = {
			.size = sizeof(arg.cmd),
			.dev_id = s->devid,
			.pt_id = s->ioas,
		},
	};

	return arg;
}

static int map(struct stage *s, uint32_t ioas, void *p, size_t length,
	       uint64_t iova)
{
	return ioas_map_fixed(s->iommufd, ioas, RW, p, length, iova);
}

static int new_table(struct stage *s, uint32_t ioas, uint32_t *id)
{
	return hwpt_alloc(s->iommufd, s->devid, ioas, id);
}

/* ---- HWPT_ALLOC: arguments ---- */

TEST_F(table, struct_may_be_longer_but_not_shorter)
{
	static const uint32_t tails[] = { 0, 1, 4, 8, 24, 25, 32, 1000 };
	struct long_alloc arg;
	uint32_t size;
	unsigned int i;

	for (size = 0; size < 24; size++) {
		arg = alloc_arg(&self->s);
		arg.cmd.size = size;
		EXPECT_EQ(-EINVAL, ioctl_rc(self->s.iommufd, IOMMU_HWPT_ALLOC,
					    &arg))
			TH_LOG("size %u", size);
	}
	for (i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		arg = alloc_arg(&self->s);
		arg.cmd.size += tails[i];
		EXPECT_EQ(0, ioctl_rc(self->s.iommufd, IOMMU_HWPT_ALLOC, &arg))
			TH_LOG("tail %u", tails[i]);
		EXPECT_EQ(0, all_zero(arg.tail, sizeof(arg.tail)));
		EXPECT_EQ(0, iommufd_destroy(self->s.iommufd,
					     arg.cmd.out_hwpt_id));
		if (tails[i] <= LATER)
			continue;
		arg = alloc_arg(&self->s);
		arg.cmd.size += tails[i];
		arg.tail[tails[i] - 1] = 1;
		/* before anything else that is wrong */
		arg.cmd.flags = 1U << 31;
		arg.cmd.dev_id = UNUSED_ID;
		EXPECT_EQ(-E2BIG, ioctl_rc(self->s.iommufd, IOMMU_HWPT_ALLOC,
					   &arg))
			TH_LOG("tail %u", tails[i]);
	}
	EXPECT_EQ(0, stage_pins(&self->s));
}

TEST_F(table, flags_and_reserved_are_eopnotsupp_before_ids)
{
	struct long_alloc arg;
	int bit, ids;

	for (ids = 0; ids < 2; ids++) {
		for (bit = 0; bit < 32; bit++) {
			arg = alloc_arg(&self->s);
			arg.cmd.flags = 1U << bit;
			if (ids)
				arg.cmd.pt_id = UNUSED_ID;
			EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(self->s.iommufd,
							IOMMU_HWPT_ALLOC, &arg))
				TH_LOG("flag %d", bit);
			arg.cmd.flags = 0;
			arg.cmd.__reserved = 1U << bit;
			EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(self->s.iommufd,
							IOMMU_HWPT_ALLOC, &arg))
				TH_LOG("reserved bit %d", bit);
		}
	}
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->s.ioas));
	EXPECT_EQ(0, stage_pins(&self->s));
}

TEST_F(table, data_for_a_kind_of_hardware_is_not_supported)
{
	struct long_alloc arg = alloc_arg(&self->s);
	struct later {
		uint32_t data_type, data_len;
		uint64_t data_uptr;
		uint32_t fault_id, reserved;
	} *later = (struct later *)arg.tail;
	int fd = self->s.iommufd;
	int bit;

	arg.cmd.size += LATER;
	for (bit = 0; bit < 32; bit++) {
		later->data_type = 1U << bit;
		EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_HWPT_ALLOC, &arg));
	}
	/* ... and with data, at an address that is never read. */
	later->data_len = 16;
	later->data_uptr = 8;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_HWPT_ALLOC, &arg));
	later->data_type = 0;
	EXPECT_EQ(-EINVAL, ioctl_rc(fd, IOMMU_HWPT_ALLOC, &arg));
	arg.cmd.dev_id = UNUSED_ID;
	EXPECT_EQ(-EINVAL, ioctl_rc(fd, IOMMU_HWPT_ALLOC, &arg));
	arg.cmd.flags = IOMMU_HWPT_FAULT_ID_VALID;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_HWPT_ALLOC, &arg));
	arg.cmd.flags = 0;
	later->data_len = 0;
	EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_HWPT_ALLOC, &arg));
	arg.cmd.dev_id = self->s.devid;
	for (bit = 0; bit < 32; bit++) {
		later->reserved = 1U << bit;
		EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_HWPT_ALLOC, &arg));
	}
	later->reserved = 0;
	/* Nobody asked for these to be looked at. */
	later->fault_id = UNUSED_ID;
	EXPECT_EQ(0, ioctl_rc(fd, IOMMU_HWPT_ALLOC, &arg));
	EXPECT_EQ(0, iommufd_destroy(fd, arg.cmd.out_hwpt_id));
}

TEST_F(table, what_later_kernels_have_is_not_supported)
{
	struct iommu_hwpt_set_dirty_tracking tracking = {
		.size = sizeof(tracking),
	};
	struct iommu_hwpt_get_dirty_bitmap bitmap = {
		.size = sizeof(bitmap), .iova = X, .length = PAGE,
		.page_size = PAGE, .data = 8,
	};
	struct iommu_hwpt_invalidate invalidate = {
		.size = sizeof(invalidate), .data_uptr = 8, .data_type = 1,
		.entry_len = 16, .entry_num = 2,
	};
	struct iommu_fault_alloc fault = { .size = sizeof(fault) };
	struct iommu_viommu_alloc viommu = {
		.size = sizeof(viommu), .type = 1, .dev_id = self->s.devid,
		.data_len = 64, .data_uptr = 8,
	};
	struct iommu_vdevice_alloc vdevice = {
		.size = sizeof(vdevice), .dev_id = self->s.devid, .virt_id = 1,
	};
	struct iommu_veventq_alloc veventq = {
		.size = sizeof(veventq), .type = 1, .veventq_depth = 16,
	};
	struct iommu_hw_queue_alloc queue = {
		.size = sizeof(queue), .type = 1, .length = PAGE,
	};
	int fd = self->s.iommufd;
	uint32_t hwpt, wrong[3];
	unsigned int i;

	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
	tracking.hwpt_id = bitmap.hwpt_id = invalidate.hwpt_id = hwpt;
	viommu.hwpt_id = hwpt;
	vdevice.viommu_id = veventq.viommu_id = queue.viommu_id = hwpt;

	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_HWPT_SET_DIRTY_TRACKING,
					&tracking));
	tracking.flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_HWPT_SET_DIRTY_TRACKING,
					&tracking));
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_HWPT_GET_DIRTY_BITMAP,
					&bitmap));
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_HWPT_INVALIDATE,
					&invalidate));
	EXPECT_EQ(0, invalidate.entry_num);
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_FAULT_QUEUE_ALLOC, &fault));
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_VIOMMU_ALLOC, &viommu));
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_VDEVICE_ALLOC, &vdevice));
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_VEVENTQ_ALLOC, &veventq));
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_HW_QUEUE_ALLOC, &queue));
	EXPECT_EQ(0, fault.out_fault_id | viommu.out_viommu_id |
		     vdevice.out_vdevice_id | veventq.out_veventq_id |
		     queue.out_hw_queue_id);

	/* Tables are not devices, nor the reverse. */
	wrong[0] = UNUSED_ID;
	wrong[1] = self->s.ioas;
	wrong[2] = self->s.devid;
	for (i = 0; i < 3; i++) {
		tracking.hwpt_id = bitmap.hwpt_id = invalidate.hwpt_id = wrong[i];
		viommu.hwpt_id = wrong[i];
		vdevice.dev_id = wrong[i] == self->s.devid ? hwpt : wrong[i];
		EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_HWPT_SET_DIRTY_TRACKING,
					    &tracking));
		EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_HWPT_GET_DIRTY_BITMAP,
					    &bitmap));
		EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_HWPT_INVALIDATE,
					    &invalidate));
		EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_VIOMMU_ALLOC, &viommu));
		EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_VDEVICE_ALLOC, &vdevice));
	}
	EXPECT_EQ(0, iommufd_destroy(fd, hwpt));
}

TEST_F(table, ids_have_to_be_of_a_device_and_an_ioas)
{
	uint32_t hwpt = 0, other;

	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->s.iommufd, 0, self->s.ioas, &other));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->s.iommufd, UNUSED_ID, self->s.ioas,
				      &other));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->s.iommufd, self->s.ioas,
				      self->s.ioas, &other));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->s.iommufd, hwpt, self->s.ioas,
				      &other));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->s.iommufd, self->s.devid, 0, &other));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->s.iommufd, self->s.devid, UNUSED_ID,
				      &other));
	EXPECT_EQ(-EINVAL, hwpt_alloc(self->s.iommufd, self->s.devid,
				      self->s.devid, &other));
	EXPECT_EQ(-EINVAL, hwpt_alloc(self->s.iommufd, self->s.devid, hwpt,
				      &other));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, hwpt));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->s.iommufd, self->s.devid, hwpt,
				      &other));
}

TEST_F(table, id_that_cannot_be_copied_out_leaves_nothing)
{
	struct long_alloc arg = alloc_arg(&self->s);
	void *readonly = readonly_copy(&arg.cmd, sizeof(arg.cmd));
	uint32_t hwpt = 0;

	ASSERT_NE(NULL, readonly);
	ASSERT_EQ(0, map(&self->s, self->s.ioas, pages_alloc(8 * PAGE),
			 8 * PAGE, X));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->s.iommufd, IOMMU_HWPT_ALLOC, readonly));
	EXPECT_EQ(0, stage_pins(&self->s));
	EXPECT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
	EXPECT_EQ(1 + 8, stage_pins(&self->s));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, hwpt));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->s.ioas));
}

TEST_F(table, memory_that_is_not_there_is_efault_and_pins_nothing)
{
	void *p = pages_alloc(8 * PAGE);
	uint32_t hwpt = 0;

	ASSERT_EQ(0, map(&self->s, self->s.ioas, p, 8 * PAGE, X));
	ASSERT_EQ(0, munmap(p + 7 * PAGE, PAGE));
	EXPECT_EQ(-EFAULT, new_table(&self->s, self->s.ioas, &hwpt));
	EXPECT_EQ(0, stage_pins(&self->s));
	ASSERT_EQ(p + 7 * PAGE, mmap(p + 7 * PAGE, PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				     -1, 0));
	EXPECT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
	EXPECT_EQ(1 + 8, stage_pins(&self->s));
}

/* As nobody, with one page too few. 0, or the step that went wrong. */
static int pay(struct stage *s)
{
	struct rlimit limit = { 8 * PAGE, 8 * PAGE };
	uint32_t ioas, hwpt, second;
	void *p = pages_alloc(9 * PAGE);

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setresuid(NOBODY, NOBODY, NOBODY))
		return 1;
	if (ioas_alloc(s->iommufd, &ioas) ||
	    ioas_map_fixed(s->iommufd, ioas, RW, p, 9 * PAGE, X))
		return 2;
	if (new_table(s, ioas, &hwpt) != -ENOMEM)
		return 3;
	if (ioas_unmap(s->iommufd, ioas, X, 9 * PAGE, NULL) ||
	    ioas_map_fixed(s->iommufd, ioas, RW, p, 8 * PAGE, X))
		return 4;
	/* Two tables pay once, and give it back. */
	if (new_table(s, ioas, &hwpt) || new_table(s, ioas, &second))
		return 5;
	if (ioas_map_fixed(s->iommufd, ioas, RW, p, PAGE, Y) != -ENOMEM)
		return 6;
	if (iommufd_destroy(s->iommufd, hwpt) ||
	    ioas_map_fixed(s->iommufd, ioas, RW, p, PAGE, Y) != -ENOMEM)
		return 7;
	if (iommufd_destroy(s->iommufd, second) || new_table(s, ioas, &hwpt))
		return 8;
	return 0;
}

TEST_F(table, pages_in_a_table_count_towards_the_limit_once)
{
	int status = -1;
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(pay(&self->s));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, WEXITSTATUS(status));
	EXPECT_EQ(8, stage_pins(&self->s));
}

/* ---- what a table is without a device ---- */

TEST_F(table, table_keeps_its_ioas_and_narrows_it)
{
	struct iommu_iova_range ranges[16];
	uint32_t nr = 16, hwpt;
	uint64_t align = 0;

	ASSERT_EQ(0, ioas_iova_ranges(self->s.iommufd, self->s.ioas, ranges,
				      &nr, &align));
	EXPECT_EQ(1, align);
	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, self->s.ioas));
	nr = 16;
	ASSERT_EQ(0, ioas_iova_ranges(self->s.iommufd, self->s.ioas, ranges,
				      &nr, &align));
	EXPECT_EQ(PAGE, align);
	/* what it cannot translate is refused as with a device */
	EXPECT_GT(UINT64_MAX, ranges[nr - 1].last);
	EXPECT_EQ(-EINVAL, map(&self->s, self->s.ioas, pages_alloc(PAGE), PAGE,
			       ranges[nr - 1].last + 1));
	EXPECT_EQ(-EINVAL, map(&self->s, self->s.ioas, pages_alloc(PAGE), PAGE,
			       X + 512));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, hwpt));
	nr = 16;
	ASSERT_EQ(0, ioas_iova_ranges(self->s.iommufd, self->s.ioas, ranges,
				      &nr, &align));
	EXPECT_EQ(1, nr);
	EXPECT_EQ(1, align);
	EXPECT_EQ(UINT64_MAX, ranges[0].last);
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->s.ioas));
}

TEST_F(table, mapping_that_a_table_cannot_hold_is_eaddrinuse)
{
	uint32_t hwpt = 0;
	void *p = pages_alloc(2 * PAGE);

	ASSERT_EQ(0, map(&self->s, self->s.ioas, p, PAGE, X + 512));
	EXPECT_EQ(-EADDRINUSE, new_table(&self->s, self->s.ioas, &hwpt));
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, X + 512, PAGE,
				NULL));
	ASSERT_EQ(0, map(&self->s, self->s.ioas, p, PAGE, -PAGE));
	EXPECT_EQ(-EADDRINUSE, new_table(&self->s, self->s.ioas, &hwpt));
	EXPECT_EQ(0, stage_pins(&self->s));
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, -PAGE, PAGE, NULL));
	EXPECT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
}

/* ---- the memory that tables take ---- */

#define GiB		(1UL << 30)
#define LIMIT_FILE	"/sys/module/iommufd/parameters/table_limit"

static int set_table_limit(const char *mib)
{
	int fd = open(LIMIT_FILE, O_WRONLY);
	int rc = fd >= 0 && write(fd, mib, 1) == 1 ? 0 : -EIO;

	close(fd);
	return rc;
}

/* Show the page at X at as many places as possible; *rc says why no more. */
static long scatter(struct stage *s, uint64_t from, uint64_t step, long max,
		    bool unmap, int *rc)
{
	uint64_t iova = from;
	long i;

	*rc = 0;
	for (i = 0; i < max; i++, iova += step) {
		*rc = ioas_copy_fixed(s->iommufd, RD, s->ioas, iova, s->ioas, X,
				      PAGE);
		if (*rc)
			break;
		if (unmap && ioas_unmap(s->iommufd, s->ioas, iova, PAGE, NULL))
			break;
	}
	return i;
}

/*
 * With 1 MiB for tables, 256 pages, of which what is mapped at the beginning
 * takes no more than 8. 0, or the line that went wrong.
 */
#define CHECK(true_)	do { if (!(true_)) return __LINE__; } while (0)

static int live_in_one_mib(struct stage *s)
{
	struct rlimit limit = { 8 * PAGE, 8 * PAGE };
	uint32_t hwpt;
	uint64_t all;
	long nr;
	int rc;

	CHECK(!setrlimit(RLIMIT_MEMLOCK, &limit));
	CHECK(!setresuid(NOBODY, NOBODY, NOBODY));
	CHECK(!new_table(s, s->ioas, &hwpt));
	CHECK(!map(s, s->ioas, pages_alloc(PAGE), PAGE, X));

	/* Far apart, each place takes two pages. */
	nr = scatter(s, GiB, GiB, 500, false, &rc);
	CHECK(rc == -ENOMEM && nr >= 124 && nr <= 127);
	/* There is room where there are tables already. */
	CHECK(scatter(s, GiB + PAGE, PAGE, 511, false, &rc) == 511);
	/* What was taken is not given back by an unmap ... */
	CHECK(!ioas_unmap(s->iommufd, s->ioas, GiB, 500 * GiB, &all));
	CHECK(all == (nr + 511) * PAGE);
	CHECK(scatter(s, 300 * GiB, GiB, 2, true, &rc) <= 1 && rc == -ENOMEM);
	CHECK(scatter(s, GiB, GiB, nr, true, &rc) == nr);
	/* ... but when the table goes. */
	CHECK(!iommufd_destroy(s->iommufd, hwpt));
	CHECK(!new_table(s, s->ioas, &hwpt));
	nr = scatter(s, 200 * GiB, GiB, 200, true, &rc);
	CHECK(rc == -ENOMEM && nr >= 124 && nr <= 127);
	CHECK(!iommufd_destroy(s->iommufd, hwpt));

	/* Two tables share what their user has; neighbours take one page. */
	CHECK(!new_table(s, s->ioas, &hwpt));
	CHECK(!new_table(s, s->ioas, &hwpt));
	nr = scatter(s, GiB, 2 * MiB, 200, false, &rc);
	CHECK(rc == -ENOMEM && nr >= 118 && nr <= 126);
	return 0;
}

TEST_F(table, memory_for_tables_is_limited)
{
	pid_t pid;
	int status, rc;

	ASSERT_EQ(0, set_table_limit("1"));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		rc = live_in_one_mib(&self->s);
		if (rc)
			fprintf(stderr, "# went wrong in line %d\n", rc);
		_exit(!!rc);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	/* Not for the privileged: their tables, whoever maps. */
	ASSERT_EQ(0, ioas_unmap_all(self->s.iommufd, self->s.ioas, NULL));
	ASSERT_EQ(0, ioas_map_fixed(self->s.iommufd, self->s.other, RW,
				    pages_alloc(PAGE), PAGE, X));
	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.other, NULL));
	self->s.ioas = self->s.other;
	EXPECT_EQ(400, scatter(&self->s, GiB, GiB, 400, false, &rc));
	EXPECT_EQ(0, set_table_limit("0"));
}

/* The doorbell is the device's business, not the table's. */
TEST_F(table, attach_to_a_table_respects_what_the_device_has_reserved)
{
	uint32_t hwpt = 0;

	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
	ASSERT_EQ(0, map(&self->s, self->s.ioas, pages_alloc(PAGE), PAGE,
			 MSI_DOORBELL));
	EXPECT_EQ(-EADDRINUSE, vfio_attach(self->s.dev, hwpt, NULL));
	EXPECT_EQ(-EADDRINUSE, vfio_attach(self->s.dev, self->s.ioas, NULL));
	/* also when it comes from elsewhere */
	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.other, NULL));
	EXPECT_EQ(-EADDRINUSE, vfio_attach(self->s.dev, hwpt, NULL));
	EXPECT_EQ(1, device_reads(&self->s, STAGE, 0xdead));
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, MSI_DOORBELL,
				PAGE, NULL));
	EXPECT_EQ(0, vfio_attach(self->s.dev, hwpt, NULL));
	EXPECT_EQ(-EINVAL, map(&self->s, self->s.ioas, pages_alloc(PAGE), PAGE,
			       MSI_DOORBELL));
}

/*
 * A flush of that much is more than one: on AMD, where a table ends at 256 TiB. The
 * device has used the low page, so that the IOTLB knows it.
 */
TEST_F(table, one_unmap_from_end_to_end_reaches_the_device)
{
	void *low = pages_alloc(PAGE), *high = pages_alloc(PAGE);
	struct iommu_iova_range ranges[16];
	uint32_t nr = 16;
	uint64_t length;

	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.ioas, NULL));
	ASSERT_EQ(0, ioas_iova_ranges(self->s.iommufd, self->s.ioas, ranges,
				      &nr, NULL));
	ASSERT_EQ(0, map(&self->s, self->s.ioas, low, PAGE, X));
	ASSERT_EQ(0, map(&self->s, self->s.ioas, high, PAGE,
			 ranges[nr - 1].last + 1 - PAGE));
	EXPECT_EQ(0, device_writes(&self->s, X, 5));
	EXPECT_EQ(0, painted(low, LENGTH, 5));
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, X,
				ranges[nr - 1].last - X + 1, &length));
	EXPECT_EQ(2 * PAGE, length);
	memset(low, 0, PAGE);
	EXPECT_EQ(0, device_writes(&self->s, X, 6));
	EXPECT_EQ(0, all_zero(low, PAGE));
	EXPECT_EQ(1, stage_pins(&self->s));
}

TEST_F(table, last_table_to_go_unpins)
{
	enum { NR = 40 };
	uint32_t hwpt[NR];
	int i, j;

	ASSERT_EQ(0, map(&self->s, self->s.ioas, pages_alloc(8 * PAGE),
			 8 * PAGE, X));
	for (i = 0; i < NR; i++) {
		ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt[i]));
		for (j = 0; j < i; j++) {
			ASSERT_NE(hwpt[j], hwpt[i]);
		}
	}
	EXPECT_EQ(1 + 8, stage_pins(&self->s));
	for (i = 0; i < NR; i++) {
		EXPECT_EQ(1 + 8, stage_pins(&self->s));
		/* from the middle, up and down */
		j = NR / 2 + (i % 2 ? -(i + 1) / 2 : i / 2);
		ASSERT_EQ(0, iommufd_destroy(self->s.iommufd, hwpt[j]));
		EXPECT_EQ(-ENOENT, iommufd_destroy(self->s.iommufd, hwpt[j]));
	}
	EXPECT_EQ(0, stage_pins(&self->s));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->s.ioas));
}

TEST_F(table, table_stays_when_its_device_leaves)
{
	void *p = pages_alloc(PAGE), *q = pages_alloc(PAGE);
	uint32_t hwpt = 0;

	ASSERT_EQ(0, map(&self->s, self->s.ioas, p, PAGE, X));
	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
	ASSERT_EQ(0, vfio_attach(self->s.dev, hwpt, NULL));
	EXPECT_EQ(0, device_writes(&self->s, X, 1));
	EXPECT_EQ(0, painted(p, LENGTH, 1));
	stage_unbind(&self->s);

	EXPECT_EQ(2, stage_pins(&self->s));
	ASSERT_EQ(0, map(&self->s, self->s.ioas, q, PAGE, Y));
	EXPECT_EQ(3, stage_pins(&self->s));
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, X, PAGE, NULL));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, self->s.ioas));

	ASSERT_EQ(0, stage_bind(&self->s));
	ASSERT_EQ(0, vfio_attach(self->s.dev, hwpt, NULL));
	EXPECT_EQ(0, device_writes(&self->s, Y, 2));
	EXPECT_EQ(0, painted(q, LENGTH, 2));
	EXPECT_EQ(0, device_writes(&self->s, X, 3));
	EXPECT_EQ(0, painted(p, LENGTH, 1));
}

/* ---- attach ---- */

TEST_F(table, destroy_is_ebusy_while_a_device_is_attached)
{
	uint32_t hwpt, out = 0;

	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
	ASSERT_EQ(0, vfio_attach(self->s.dev, hwpt, &out));
	EXPECT_EQ(hwpt, out);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, hwpt));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, self->s.ioas));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, self->s.devid));
	/* again to where it is */
	EXPECT_EQ(0, vfio_attach(self->s.dev, hwpt, &out));
	EXPECT_EQ(hwpt, out);
	EXPECT_EQ(1, device_reads(&self->s, STAGE, 0xdead));
	ASSERT_EQ(0, vfio_detach(self->s.dev));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, self->s.ioas));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, hwpt));
	EXPECT_EQ(-ENOENT, vfio_attach(self->s.dev, hwpt, NULL));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->s.ioas));
}

TEST_F(table, attach_to_the_ioas_does_not_take_a_table_made_by_hand)
{
	uint32_t hwpt, automatic = 0;

	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.ioas, &automatic));
	EXPECT_NE(hwpt, automatic);
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, hwpt));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, automatic));
	EXPECT_EQ(1, device_reads(&self->s, STAGE, 0xdead));
	ASSERT_EQ(0, vfio_detach(self->s.dev));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->s.iommufd, automatic));
}

TEST_F(table, table_of_another_context_is_enoent)
{
	uint32_t ioas = 0, i;
	int other = iommufd_open();

	ASSERT_LE(0, other);
	/* IDs of its own, beyond those that are in use here */
	for (i = 0; i < 100; i++) {
		ASSERT_EQ(0, ioas_alloc(other, &ioas));
	}
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->s.iommufd, self->s.devid, ioas, &i));
	EXPECT_EQ(-ENOENT, hwpt_alloc(other, ioas + 1, ioas, &i));
	EXPECT_EQ(-ENOENT, vfio_attach(self->s.dev, ioas, NULL));
	close(other);
}

/* ---- which memory is reached ---- */

TEST_F_TIMEOUT(table, device_moves_between_two_tables_of_one_ioas, 60)
{
	void *p = pages_alloc(2 * PAGE);
	uint32_t hwpt[2];
	int i;

	ASSERT_EQ(0, map(&self->s, self->s.ioas, p, PAGE, X));
	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt[0]));
	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt[1]));
	ASSERT_EQ(0, map(&self->s, self->s.ioas, p + PAGE, PAGE, Y));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, vfio_attach(self->s.dev, hwpt[i % 2], NULL));
		EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, hwpt[i % 2]));
		EXPECT_EQ(0, device_writes(&self->s, X, i));
		EXPECT_EQ(0, painted(p, LENGTH, i));
		EXPECT_EQ(0, device_writes(&self->s, Y, i + 10));
		EXPECT_EQ(0, painted(p + PAGE, LENGTH, i + 10));
	}
	ASSERT_EQ(0, iommufd_destroy(self->s.iommufd, hwpt[0]));
	EXPECT_EQ(0, device_writes(&self->s, X, 20));
	EXPECT_EQ(0, painted(p, LENGTH, 20));
	/* An unmap takes it from the table in use and from the one that is not. */
	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt[0]));
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, X, PAGE, NULL));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, vfio_attach(self->s.dev, hwpt[i], NULL));
		EXPECT_EQ(0, device_writes(&self->s, X, 30));
		EXPECT_EQ(0, painted(p, LENGTH, 20));
		EXPECT_EQ(0, device_writes(&self->s, Y, 31 + i));
		EXPECT_EQ(0, painted(p + PAGE, LENGTH, 31 + i));
	}
}

TEST_F_TIMEOUT(table, device_moves_between_tables_of_two_ioases, 60)
{
	void *p = pages_alloc(2 * PAGE);
	uint32_t hwpt[2];
	int i;

	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt[0]));
	ASSERT_EQ(0, new_table(&self->s, self->s.other, &hwpt[1]));
	ASSERT_EQ(0, map(&self->s, self->s.ioas, p, PAGE, X));
	ASSERT_EQ(0, map(&self->s, self->s.other, p + PAGE, PAGE, X));
	EXPECT_EQ(3, stage_pins(&self->s));
	for (i = 0; i < 4; i++) {
		paint(p, 2 * PAGE, 99);
		ASSERT_EQ(0, vfio_attach(self->s.dev, hwpt[i % 2], NULL));
		EXPECT_EQ(0, device_writes(&self->s, X, i));
		EXPECT_EQ(0, painted(p + i % 2 * PAGE, LENGTH, i));
		if (i % 2) {
			EXPECT_EQ(0, painted(p, PAGE, 99));
		}
	}
	/* Its other table can go, its IOAS too. */
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, hwpt[0]));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->s.ioas));
	EXPECT_EQ(2, stage_pins(&self->s));
	EXPECT_EQ(1, device_reads(&self->s, STAGE, 0xdead));
}

TEST_F_TIMEOUT(table, table_made_while_the_device_is_at_work_shows_all, 60)
{
	void *before = pages_alloc(PAGE), *after = pages_alloc(PAGE), *huge;
	uint32_t hwpt[3];
	int i;

	huge = mmap(NULL, 4 * MiB, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, huge);
	huge = (void *)(((uintptr_t)huge + 2 * MiB - 1) & ~(2 * MiB - 1));
	ASSERT_EQ(0, want_huge_pages(huge, 2 * MiB));
	memset(huge, 0, 2 * MiB);

	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.ioas, NULL));
	ASSERT_EQ(0, map(&self->s, self->s.ioas, before, PAGE, X));
	ASSERT_EQ(0, map(&self->s, self->s.ioas, huge, 2 * MiB, 16 * MiB));
	/* the second and the third without a table kept ready */
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt[i]));
	}
	EXPECT_EQ(0, device_writes(&self->s, X, 1));
	EXPECT_EQ(0, painted(before, LENGTH, 1));
	ASSERT_EQ(0, map(&self->s, self->s.ioas, after, PAGE, Y));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, vfio_attach(self->s.dev, hwpt[i], NULL));
		EXPECT_EQ(0, device_writes(&self->s, X, i + 10));
		EXPECT_EQ(0, painted(before, LENGTH, i + 10));
		EXPECT_EQ(0, device_writes(&self->s, Y, i + 20));
		EXPECT_EQ(0, painted(after, LENGTH, i + 20));
		EXPECT_EQ(0, device_writes(&self->s, 17 * MiB - 8, i + 30));
		EXPECT_EQ(0, painted(huge + MiB - 8, LENGTH, i + 30));
	}
	/* and nothing of what has been unmapped */
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, 16 * MiB, 2 * MiB,
				NULL));
	memset(huge, 0x77, 2 * MiB);
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, vfio_attach(self->s.dev, hwpt[i], NULL));
		EXPECT_EQ(0, device_writes(&self->s, 17 * MiB, i));
		EXPECT_EQ(0x77, *(unsigned char *)(huge + MiB));
		EXPECT_EQ(0, device_writes(&self->s, X, i + 40));
		EXPECT_EQ(0, painted(before, LENGTH, i + 40));
	}
	EXPECT_EQ(0, memcmp(huge, huge + 1, 2 * MiB - 1));
}

TEST_F(table, failed_attach_to_a_table_leaves_the_device_where_it_was)
{
	void *p = pages_alloc(PAGE);
	uint32_t hwpt, gone;

	ASSERT_EQ(0, map(&self->s, self->s.ioas, p, PAGE, X));
	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
	ASSERT_EQ(0, new_table(&self->s, self->s.other, &gone));
	ASSERT_EQ(0, vfio_attach(self->s.dev, hwpt, NULL));
	ASSERT_EQ(0, iommufd_destroy(self->s.iommufd, gone));
	EXPECT_EQ(-ENOENT, vfio_attach(self->s.dev, gone, NULL));
	EXPECT_EQ(-EINVAL, vfio_attach(self->s.dev, self->s.devid, NULL));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, hwpt));
	EXPECT_EQ(0, device_writes(&self->s, X, 1));
	EXPECT_EQ(0, painted(p, LENGTH, 1));
}

/* ---- at the same time ---- */

struct worker {
	struct stage *s;
	atomic_int stop;
	uint64_t iova;
	unsigned int done;
	int rc;
};

static void *make_tables(void *arg)
{
	struct worker *w = arg;
	uint32_t hwpt[2];

	while (!w->rc && !atomic_load(&w->stop)) {
		w->rc = new_table(w->s, w->s->ioas, &hwpt[0]) ?:
			new_table(w->s, w->s->ioas, &hwpt[1]) ?:
			iommufd_destroy(w->s->iommufd, hwpt[0]) ?:
			iommufd_destroy(w->s->iommufd, hwpt[1]);
		w->done++;
	}
	return NULL;
}

static void *make_mappings(void *arg)
{
	struct worker *w = arg;
	void *p = pages_alloc(16 * PAGE);

	while (!w->rc && !atomic_load(&w->stop)) {
		w->rc = map(w->s, w->s->ioas, p, 16 * PAGE, w->iova) ?:
			ioas_unmap(w->s->iommufd, w->s->ioas, w->iova,
				   16 * PAGE, NULL);
		w->done++;
	}
	return NULL;
}

TEST_F_TIMEOUT(table, tables_mappings_and_devices_come_and_go_together, 60)
{
	static void *(*const work[])(void *) = {
		make_tables, make_tables, make_mappings, make_mappings,
	};
	struct worker workers[4];
	pthread_t threads[4];
	uint32_t mine;
	int i, round;

	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &mine));
	for (i = 0; i < 4; i++) {
		workers[i] = (struct worker){
			.s = &self->s, .iova = X + i * MiB,
		};
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, work[i],
					    &workers[i]));
	}
	for (round = 0; round < 60; round++) {
		EXPECT_EQ(0, vfio_attach(self->s.dev, self->s.ioas, NULL));
		usleep(10000);
		EXPECT_EQ(0, vfio_attach(self->s.dev, mine, NULL));
		usleep(10000);
		EXPECT_EQ(0, vfio_attach(self->s.dev, self->s.other, NULL));
		if (round % 2) {
			EXPECT_EQ(0, vfio_detach(self->s.dev));
		}
	}
	for (i = 0; i < 4; i++)
		atomic_store(&workers[i].stop, 1);
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, workers[i].rc) TH_LOG("thread %d", i);
		EXPECT_LT(10, workers[i].done) TH_LOG("thread %d", i);
	}
	ASSERT_EQ(0, vfio_attach(self->s.dev, mine, NULL));
	EXPECT_EQ(1, device_reads(&self->s, STAGE, 0xdead));
	EXPECT_EQ(1, stage_pins(&self->s));
}

/* ---- GET_HW_INFO ---- */

/* The register as the IOMMU's own driver shows it; 0 if there is none. */
static uint64_t intel_register(const char *name)
{
	char bdf[16], path[PATH_MAX], line[64];

	if (pci_find("0x1234", "0x11e8", 0, bdf))
		return 0;
	snprintf(path, sizeof(path),
		 "/sys/bus/pci/devices/%s/iommu/intel-iommu/%s", bdf, name);
	sysfs_read(path, line, sizeof(line));
	return strtoull(line, NULL, 16);
}

static bool on_intel(void)
{
	return intel_register("cap") != 0;
}

static int hw_info(struct stage *s, struct iommu_hw_info *cmd, void *data,
		   uint32_t length)
{
	*cmd = (struct iommu_hw_info){
		.size = sizeof(*cmd),
		.dev_id = s->devid,
		.data_len = length,
		.data_uptr = (uintptr_t)data,
		.out_data_type = 77,
	};
	return ioctl_rc(s->iommufd, IOMMU_GET_HW_INFO, cmd);
}

TEST_F(table, hw_info_has_the_registers_of_the_unit)
{
	struct iommu_hw_info_vtd vtd;
	struct iommu_hw_info cmd;

	memset(&vtd, 0x55, sizeof(vtd));
	EXPECT_EQ(24, sizeof(vtd));
	ASSERT_EQ(0, hw_info(&self->s, &cmd, &vtd, sizeof(vtd)));
	if (!on_intel()) {
		EXPECT_EQ(IOMMU_HW_INFO_TYPE_NONE, cmd.out_data_type);
		EXPECT_EQ(0, cmd.data_len);
		EXPECT_EQ(0, all_zero(&vtd, sizeof(vtd)));
		return;
	}
	EXPECT_EQ(IOMMU_HW_INFO_TYPE_INTEL_VTD, cmd.out_data_type);
	EXPECT_EQ(24, cmd.data_len);
	EXPECT_EQ(0, vtd.flags);
	EXPECT_EQ(0, vtd.__reserved);
	EXPECT_EQ(intel_register("cap"), vtd.cap_reg);
	EXPECT_EQ(intel_register("ecap"), vtd.ecap_reg);
	/* the same while a device is attached, and after */
	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.ioas, NULL));
	memset(&vtd, 0x55, sizeof(vtd));
	ASSERT_EQ(0, hw_info(&self->s, &cmd, &vtd, sizeof(vtd)));
	EXPECT_EQ(intel_register("cap"), vtd.cap_reg);
	EXPECT_EQ(intel_register("ecap"), vtd.ecap_reg);
}

TEST_F(table, hw_info_fills_any_length)
{
	static const uint32_t lengths[] = {
		0, 1, 4, 8, 12, 23, 24, 25, 32, 100, 4096, 4097, 8192,
	};
	uint32_t want = on_intel() ? 24 : 0, length, copied;
	struct iommu_hw_info cmd;
	unsigned char all[24];
	unsigned int i;
	unsigned char *data = pages_alloc(4 * PAGE);

	ASSERT_NE(NULL, data);
	ASSERT_EQ(0, hw_info(&self->s, &cmd, all, 24));
	/* no buffer at all, for who wants only the type */
	EXPECT_EQ(0, hw_info(&self->s, &cmd, NULL, 0));
	EXPECT_EQ(want, cmd.data_len);
	for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		length = lengths[i];
		memset(data, 0x55, 4 * PAGE);
		EXPECT_EQ(0, hw_info(&self->s, &cmd, data, length))
			TH_LOG("length %u", length);
		EXPECT_EQ(want, cmd.data_len) TH_LOG("length %u", length);
		EXPECT_EQ(want ? 1 : 0, cmd.out_data_type);
		copied = length < want ? length : want;
		EXPECT_EQ(0, memcmp(all, data, copied))
			TH_LOG("length %u", length);
		EXPECT_EQ(0, all_zero(data + copied, length - copied))
			TH_LOG("length %u", length);
		EXPECT_EQ(0x55, data[length]) TH_LOG("length %u", length);
	}
}

TEST_F(table, hw_info_that_cannot_be_copied_out_is_efault)
{
	char *data = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iommu_hw_info cmd;
	void *readonly;

	ASSERT_NE(MAP_FAILED, (void *)data);
	ASSERT_EQ(0, mprotect(data + PAGE, PAGE, PROT_NONE));
	EXPECT_EQ(-EFAULT, hw_info(&self->s, &cmd, NULL, 24));
	EXPECT_EQ(-EFAULT, hw_info(&self->s, &cmd, data + PAGE - 8, 24));
	/* the registers fit, the zeroes behind them do not */
	EXPECT_EQ(-EFAULT, hw_info(&self->s, &cmd, data + PAGE - 24, 25));
	EXPECT_EQ(0, hw_info(&self->s, &cmd, data + PAGE - 24, 24));
	EXPECT_EQ(-EFAULT, hw_info(&self->s, &cmd, (void *)-PAGE, 24));
	cmd.data_len = 0;
	readonly = readonly_copy(&cmd, sizeof(cmd));
	ASSERT_NE(NULL, readonly);
	EXPECT_EQ(-EFAULT, ioctl_rc(self->s.iommufd, IOMMU_GET_HW_INFO,
				    readonly));
}

TEST_F(table, hw_info_arguments_are_judged_in_order)
{
	struct {
		struct iommu_hw_info cmd;
		uint8_t tail[8];
	} arg = {
		.cmd = {
			.flags = 1U << 31,
			.dev_id = UNUSED_ID,
			.data_uptr = 0,
			.data_len = 8,
			.__reserved = 1,
		},
		.tail[0] = 1,
	};
	int fd = self->s.iommufd;
	uint32_t size;
	int bit;

	for (size = 0; size < 32; size++) {
		arg.cmd.size = size;
		EXPECT_EQ(-EINVAL, ioctl_rc(fd, IOMMU_GET_HW_INFO, &arg));
	}
	/* Later kernels have a field there: not this one. */
	for (size = 33; size <= 40; size++) {
		arg.cmd.size = size;
		EXPECT_EQ(-E2BIG, ioctl_rc(fd, IOMMU_GET_HW_INFO, &arg));
	}
	arg.tail[0] = 0;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_GET_HW_INFO, &arg));
	arg.cmd.__reserved = 0;
	for (bit = 0; bit < 32; bit++) {
		arg.cmd.flags = 1U << bit;
		EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_GET_HW_INFO, &arg))
			TH_LOG("flag %d", bit);
	}
	arg.cmd.flags = 0;
	EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_GET_HW_INFO, &arg));
	arg.cmd.dev_id = 0;
	EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_GET_HW_INFO, &arg));
	arg.cmd.dev_id = self->s.ioas;
	EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_GET_HW_INFO, &arg));
	arg.cmd.dev_id = self->s.devid;
	EXPECT_EQ(-EFAULT, ioctl_rc(fd, IOMMU_GET_HW_INFO, &arg));
	arg.cmd.data_len = 0;
	EXPECT_EQ(0, ioctl_rc(fd, IOMMU_GET_HW_INFO, &arg));
	/* Who has left has no IOMMU any more. */
	stage_unbind(&self->s);
	EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_GET_HW_INFO, &arg));
	ASSERT_EQ(0, stage_bind(&self->s));
}

/* ---- OPTION: huge pages ---- */

static int huge_pages(struct stage *s, uint32_t ioas, uint64_t value)
{
	return iommufd_option(s->iommufd, IOMMU_OPTION_HUGE_PAGES,
			      IOMMU_OPTION_OP_SET, ioas, &value);
}

static int huge_pages_now(struct stage *s, uint32_t ioas)
{
	uint64_t value = 77;
	int rc = iommufd_option(s->iommufd, IOMMU_OPTION_HUGE_PAGES,
				IOMMU_OPTION_OP_GET, ioas, &value);

	return rc ?: value;
}

TEST_F(table, huge_pages_are_of_an_ioas)
{
	EXPECT_EQ(1, huge_pages_now(&self->s, self->s.ioas));
	EXPECT_EQ(-ENOENT, huge_pages_now(&self->s, 0));
	EXPECT_EQ(-ENOENT, huge_pages_now(&self->s, UNUSED_ID));
	EXPECT_EQ(-ENOENT, huge_pages_now(&self->s, self->s.devid));
	EXPECT_EQ(-ENOENT, huge_pages(&self->s, 0, 0));
	EXPECT_EQ(-ENOENT, huge_pages(&self->s, UNUSED_ID, 1));
	EXPECT_EQ(-EINVAL, huge_pages(&self->s, self->s.ioas, 2));
	EXPECT_EQ(-EINVAL, huge_pages(&self->s, self->s.ioas, 1ULL << 32));
	EXPECT_EQ(0, huge_pages(&self->s, self->s.ioas, 0));
	EXPECT_EQ(0, huge_pages(&self->s, self->s.ioas, 0));
	EXPECT_EQ(0, huge_pages_now(&self->s, self->s.ioas));
	EXPECT_EQ(1, huge_pages_now(&self->s, self->s.other));
	EXPECT_EQ(0, huge_pages(&self->s, self->s.ioas, 1));
	EXPECT_EQ(1, huge_pages_now(&self->s, self->s.ioas));
}

TEST_F(table, huge_pages_cannot_change_while_there_is_a_table)
{
	uint32_t hwpt = 0;

	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.ioas, NULL));
	EXPECT_EQ(-EINVAL, huge_pages(&self->s, self->s.ioas, 0));
	EXPECT_EQ(1, huge_pages_now(&self->s, self->s.ioas));
	/* What it is already it can be. */
	EXPECT_EQ(0, huge_pages(&self->s, self->s.ioas, 1));
	ASSERT_EQ(0, vfio_detach(self->s.dev));
	EXPECT_EQ(0, huge_pages(&self->s, self->s.ioas, 0));
	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
	EXPECT_EQ(-EINVAL, huge_pages(&self->s, self->s.ioas, 1));
	EXPECT_EQ(0, huge_pages_now(&self->s, self->s.ioas));
	ASSERT_EQ(0, iommufd_destroy(self->s.iommufd, hwpt));
	EXPECT_EQ(0, huge_pages(&self->s, self->s.ioas, 1));
}

TEST_F_TIMEOUT(table, without_huge_pages_dma_is_as_right, 60)
{
	static const uint64_t offsets[] = {
		0, PAGE - 8, MiB, 2 * MiB - 8, 4 * MiB - LENGTH,
	};
	size_t length = 4 * MiB;
	uint64_t unmapped = 0;
	unsigned int i;
	char *p;

	p = mmap(NULL, length + 2 * MiB, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)p);
	p = (void *)(((uintptr_t)p + 2 * MiB - 1) & ~(2 * MiB - 1));
	ASSERT_EQ(0, want_huge_pages(p, length));
	memset(p, 0, length);

	ASSERT_EQ(0, huge_pages(&self->s, self->s.ioas, 0));
	/* half before the attach, half after */
	ASSERT_EQ(0, map(&self->s, self->s.ioas, p, 2 * MiB, 16 * MiB));
	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.ioas, NULL));
	ASSERT_EQ(0, map(&self->s, self->s.ioas, p + 2 * MiB, 2 * MiB,
			 18 * MiB));
	EXPECT_EQ(1 + 1024, stage_pins(&self->s));
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, device_writes(&self->s, 16 * MiB + offsets[i], i));
		EXPECT_EQ(0, painted(p + offsets[i], LENGTH, i))
			TH_LOG("offset %#lx", offsets[i]);
	}
	EXPECT_EQ(-ENOENT, ioas_unmap(self->s.iommufd, self->s.ioas, 16 * MiB,
				      MiB, NULL));
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, 16 * MiB, length,
				&unmapped));
	EXPECT_EQ(length, unmapped);
	EXPECT_EQ(1, stage_pins(&self->s));
	memset(p, 0x77, length);
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, device_writes(&self->s, 16 * MiB + offsets[i], i));
	}
	EXPECT_EQ(0, memcmp(p, p + 1, length - 1));
	EXPECT_EQ(0x77, p[0]);
}

/* ---- OPTION: whose limit counts ---- */

static int rlimit_mode(int fd, uint64_t value)
{
	return iommufd_option(fd, IOMMU_OPTION_RLIMIT_MODE, IOMMU_OPTION_OP_SET,
			      0, &value);
}

static int rlimit_mode_now(int fd)
{
	uint64_t value = 77;
	int rc = iommufd_option(fd, IOMMU_OPTION_RLIMIT_MODE,
				IOMMU_OPTION_OP_GET, 0, &value);

	return rc ?: value;
}

TEST(rlimit_mode_takes_cap_sys_resource_and_no_other)
{
	int fd = iommufd_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, rlimit_mode_now(fd));
	EXPECT_EQ(0, rlimit_mode(fd, 1));
	ASSERT_EQ(0, drop_cap(CAP_SYS_RESOURCE));
	EXPECT_EQ(-EPERM, rlimit_mode(fd, 0));
	EXPECT_EQ(-EPERM, rlimit_mode(fd, 1));
	EXPECT_EQ(-EINVAL, rlimit_mode(fd, 2));
	EXPECT_EQ(-EINVAL, rlimit_mode(fd, UINT64_MAX));
	EXPECT_EQ(1, rlimit_mode_now(fd));
	close(fd);
}

TEST_F(table, rlimit_mode_is_ebusy_with_any_object)
{
	uint32_t id = 0;
	int fd = iommufd_open();

	ASSERT_LE(0, fd);
	/* This one has a device as well. */
	EXPECT_EQ(-EBUSY, rlimit_mode(self->s.iommufd, 1));
	EXPECT_EQ(0, rlimit_mode_now(self->s.iommufd));
	ASSERT_EQ(0, iommufd_destroy(self->s.iommufd, self->s.ioas));
	ASSERT_EQ(0, iommufd_destroy(self->s.iommufd, self->s.other));
	EXPECT_EQ(-EBUSY, rlimit_mode(self->s.iommufd, 1));
	stage_unbind(&self->s);
	EXPECT_EQ(0, rlimit_mode(self->s.iommufd, 1));
	ASSERT_EQ(0, stage_bind(&self->s));
	EXPECT_EQ(1, rlimit_mode_now(self->s.iommufd));
	EXPECT_EQ(-EBUSY, rlimit_mode(self->s.iommufd, 0));

	EXPECT_EQ(0, rlimit_mode_now(fd));
	ASSERT_EQ(0, ioas_alloc(fd, &id));
	EXPECT_EQ(-EBUSY, rlimit_mode(fd, 1));
	EXPECT_EQ(-EINVAL, rlimit_mode(fd, 2));
	ASSERT_EQ(0, iommufd_destroy(fd, id));
	EXPECT_EQ(0, rlimit_mode(fd, 1));
	close(fd);
}

TEST_F(table, option_that_cannot_be_copied_out_is_efault)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_GET,
		.object_id = self->s.ioas,
	};
	void *readonly = readonly_copy(&cmd, sizeof(cmd));

	ASSERT_NE(NULL, readonly);
	EXPECT_EQ(-EFAULT, ioctl_rc(self->s.iommufd, IOMMU_OPTION, readonly));
	/* What is set need not be written back. */
	cmd.op = IOMMU_OPTION_OP_SET;
	readonly = readonly_copy(&cmd, sizeof(cmd));
	ASSERT_NE(NULL, readonly);
	EXPECT_EQ(0, ioctl_rc(self->s.iommufd, IOMMU_OPTION, readonly));
	EXPECT_EQ(0, huge_pages_now(&self->s, self->s.ioas));
}

TEST_F(table, option_arguments_are_judged_in_order)
{
	struct {
		struct iommu_option cmd;
		uint8_t tail[8];
	} arg = {
		.cmd = {
			.option_id = IOMMU_OPTION_HUGE_PAGES,
			.op = 2,
			.__reserved = 1,
			.object_id = UNUSED_ID,
			.val64 = 2,
		},
		.tail[7] = 1,
	};
	int fd = self->s.iommufd;
	uint32_t size;

	for (size = 0; size < 24; size++) {
		arg.cmd.size = size;
		EXPECT_EQ(-EINVAL, ioctl_rc(fd, IOMMU_OPTION, &arg));
	}
	arg.cmd.size = sizeof(arg);
	EXPECT_EQ(-E2BIG, ioctl_rc(fd, IOMMU_OPTION, &arg));
	arg.tail[7] = 0;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_OPTION, &arg));
	arg.cmd.__reserved = 0;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_OPTION, &arg));
	arg.cmd.__reserved = 1;
	arg.cmd.op = IOMMU_OPTION_OP_SET;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_OPTION, &arg));
	arg.cmd.__reserved = 0;
	arg.cmd.option_id = 2;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_OPTION, &arg));
	arg.cmd.option_id = IOMMU_OPTION_HUGE_PAGES;
	EXPECT_EQ(-EINVAL, ioctl_rc(fd, IOMMU_OPTION, &arg));
	arg.cmd.val64 = 0;
	EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_OPTION, &arg));
	arg.cmd.object_id = self->s.ioas;
	EXPECT_EQ(0, ioctl_rc(fd, IOMMU_OPTION, &arg));
}

/* ---- VFIO_IOAS ---- */

static int chosen(struct stage *s)
{
	uint32_t id = 77;
	int rc = iommufd_vfio_ioas(s->iommufd, IOMMU_VFIO_IOAS_GET, &id);

	return rc ?: id;
}

static int choose(struct stage *s, uint32_t id)
{
	return iommufd_vfio_ioas(s->iommufd, IOMMU_VFIO_IOAS_SET, &id);
}

TEST_F(table, vfio_ioas_is_set_and_cleared)
{
	uint32_t ignored = UNUSED_ID, hwpt;

	EXPECT_EQ(-ENODEV, chosen(&self->s));
	/* There is nothing to clear, and that is fine. */
	EXPECT_EQ(0, iommufd_vfio_ioas(self->s.iommufd, IOMMU_VFIO_IOAS_CLEAR,
				       &ignored));
	EXPECT_EQ(0, choose(&self->s, self->s.ioas));
	EXPECT_EQ(self->s.ioas, chosen(&self->s));
	EXPECT_EQ(0, choose(&self->s, self->s.other));
	EXPECT_EQ(self->s.other, chosen(&self->s));
	/* Only an IOAS will do. */
	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
	EXPECT_EQ(-ENOENT, choose(&self->s, 0));
	EXPECT_EQ(-ENOENT, choose(&self->s, UNUSED_ID));
	EXPECT_EQ(-ENOENT, choose(&self->s, hwpt));
	EXPECT_EQ(-ENOENT, choose(&self->s, self->s.devid));
	EXPECT_EQ(self->s.other, chosen(&self->s));
	EXPECT_EQ(0, iommufd_vfio_ioas(self->s.iommufd, IOMMU_VFIO_IOAS_CLEAR,
				       &ignored));
	EXPECT_EQ(-ENODEV, chosen(&self->s));
}

TEST_F(table, vfio_ioas_goes_with_its_ioas)
{
	uint32_t id;

	ASSERT_EQ(0, choose(&self->s, self->s.ioas));
	/* Another one that goes is of no interest. */
	ASSERT_EQ(0, ioas_alloc(self->s.iommufd, &id));
	ASSERT_EQ(0, iommufd_destroy(self->s.iommufd, id));
	EXPECT_EQ(self->s.ioas, chosen(&self->s));
	/* One that cannot go stays chosen. */
	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.ioas, NULL));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, self->s.ioas));
	EXPECT_EQ(self->s.ioas, chosen(&self->s));
	ASSERT_EQ(0, vfio_detach(self->s.dev));
	EXPECT_EQ(0, iommufd_destroy(self->s.iommufd, self->s.ioas));
	EXPECT_EQ(-ENODEV, chosen(&self->s));
	/* Whoever gets the number next is not chosen with it. */
	ASSERT_EQ(0, ioas_alloc(self->s.iommufd, &id));
	EXPECT_EQ(-ENODEV, chosen(&self->s));
	EXPECT_EQ(0, choose(&self->s, id));
	EXPECT_EQ(id, chosen(&self->s));
}

TEST_F(table, vfio_ioas_arguments_are_judged_in_order)
{
	struct {
		struct iommu_vfio_ioas cmd;
		uint8_t tail[8];
	} arg = {
		.cmd = { .op = 3, .__reserved = 1, .ioas_id = UNUSED_ID },
		.tail[7] = 1,
	};
	struct iommu_vfio_ioas get = {
		.size = sizeof(get),
		.op = IOMMU_VFIO_IOAS_GET,
	};
	void *readonly = readonly_copy(&get, sizeof(get));
	int fd = self->s.iommufd;
	uint32_t size;

	ASSERT_NE(NULL, readonly);
	for (size = 0; size < 12; size++) {
		arg.cmd.size = size;
		EXPECT_EQ(-EINVAL, ioctl_rc(fd, IOMMU_VFIO_IOAS, &arg));
	}
	arg.cmd.size = sizeof(arg);
	EXPECT_EQ(-E2BIG, ioctl_rc(fd, IOMMU_VFIO_IOAS, &arg));
	arg.tail[7] = 0;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_VFIO_IOAS, &arg));
	arg.cmd.op = IOMMU_VFIO_IOAS_SET;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_VFIO_IOAS, &arg));
	arg.cmd.__reserved = 0;
	arg.cmd.op = 3;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(fd, IOMMU_VFIO_IOAS, &arg));
	arg.cmd.op = IOMMU_VFIO_IOAS_SET;
	EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_VFIO_IOAS, &arg));
	arg.cmd.ioas_id = self->s.ioas;
	EXPECT_EQ(0, ioctl_rc(fd, IOMMU_VFIO_IOAS, &arg));
	EXPECT_EQ(-EFAULT, ioctl_rc(fd, IOMMU_VFIO_IOAS, readonly));
	EXPECT_EQ(self->s.ioas, chosen(&self->s));
}

/* ---- what has gone wrong elsewhere: docs/defects.md ---- */

/* In kB; -1 when it cannot be read. */
static long vm_pin(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	long kb = -1;

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		sscanf(line, "VmPin: %ld", &kb);
	fclose(f);
	return kb;
}

/* Registers of a device are no pages: they cannot be pinned, nor are counted. */
TEST_F(table, registers_of_a_device_are_efault_and_not_counted)
{
	void *bar = (void *)self->s.edu.bar;
	uint32_t hwpt;
	long counted;

	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
	counted = vm_pin();
	ASSERT_LE(4, counted);		/* the stage */
	EXPECT_EQ(-EFAULT, ioas_map_fixed(self->s.iommufd, self->s.ioas, RW, bar,
					  self->s.edu.size, X));
	EXPECT_EQ(-EFAULT, ioas_map_fixed(self->s.iommufd, self->s.ioas, RD, bar,
					  PAGE, X));
	EXPECT_EQ(-EFAULT, ioas_map_fixed(self->s.iommufd, self->s.ioas, WR,
					  bar + PAGE, PAGE, X));
	EXPECT_EQ(counted, vm_pin());
	EXPECT_EQ(1, stage_pins(&self->s));
	/* Where there is no table the next one to come finds out. */
	ASSERT_EQ(0, ioas_map_fixed(self->s.iommufd, self->s.other, RW, bar,
				    self->s.edu.size, X));
	EXPECT_EQ(-EFAULT, new_table(&self->s, self->s.other, &hwpt));
	EXPECT_EQ(-EFAULT, vfio_attach(self->s.dev, self->s.other, NULL));
	EXPECT_EQ(counted, vm_pin());
	EXPECT_EQ(0, ioas_unmap(self->s.iommufd, self->s.other, X,
				self->s.edu.size, NULL));
	EXPECT_EQ(0, new_table(&self->s, self->s.other, &hwpt));
	EXPECT_EQ(1, stage_pins(&self->s));
}

struct at_an_end {
	pthread_t thread;
	pthread_barrier_t *barrier;
	struct stage *s;
	volatile uint32_t *ioas;	/* 0: that was all */
	void *p;
	uint64_t iova;
	int rc;
};

static void *map_at_an_end(void *arg)
{
	struct at_an_end *a = arg;
	uint64_t unmapped;
	int i;

	for (;;) {
		pthread_barrier_wait(a->barrier);
		if (!*a->ioas)
			return NULL;
		for (i = 0; i < 20 && !a->rc; i++) {
			a->rc = map(a->s, *a->ioas, a->p, 4 * PAGE, a->iova);
			if (a->rc)
				break;
			a->rc = ioas_unmap(a->s->iommufd, *a->ioas, a->iova,
					   4 * PAGE, &unmapped);
			if (!a->rc && unmapped != 4 * PAGE)
				a->rc = -EIO;
		}
		pthread_barrier_wait(a->barrier);
	}
}

/*
 * A table that grows when a high IOVA is mapped must not do so under the feet of
 * who maps and unmaps low ones: with a new table each time, both begin at once.
 * An unmap that finds less than it should is a warning of the kernel.
 */
TEST_F_TIMEOUT(table, both_ends_of_a_new_table_can_be_mapped_at_once, 120)
{
	struct iommu_iova_range ranges[16];
	volatile uint32_t ioas = 0;
	pthread_barrier_t barrier;
	struct at_an_end a[3];
	uint32_t nr = 16, hwpt, id;
	uint64_t last;
	int i, round;

	ASSERT_EQ(0, new_table(&self->s, self->s.ioas, &hwpt));
	ASSERT_EQ(0, ioas_iova_ranges(self->s.iommufd, self->s.ioas, ranges, &nr,
				      NULL));
	last = ranges[nr - 1].last;
	/* AMD's tables are grown once, to 48 bits, and do not go on. */
	EXPECT_GE((1UL << 48) - 1, last);
	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, 4));
	for (i = 0; i < 3; i++) {
		a[i] = (struct at_an_end){
			.barrier = &barrier, .s = &self->s, .ioas = &ioas,
			.p = pages_alloc(4 * PAGE),
			.iova = i == 0 ? X : i == 1 ? last + 1 - 4 * PAGE :
						      (last + 1) / 2,
		};
		ASSERT_EQ(0, pthread_create(&a[i].thread, NULL, map_at_an_end,
					    &a[i]));
	}
	for (round = 0; round < 40; round++) {
		ASSERT_EQ(0, ioas_alloc(self->s.iommufd, &id));
		ASSERT_EQ(0, new_table(&self->s, id, &hwpt));
		ioas = id;
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		ASSERT_EQ(0, iommufd_destroy(self->s.iommufd, hwpt));
		ASSERT_EQ(0, iommufd_destroy(self->s.iommufd, id));
	}
	ioas = 0;
	pthread_barrier_wait(&barrier);
	for (i = 0; i < 3; i++) {
		pthread_join(a[i].thread, NULL);
		EXPECT_EQ(0, a[i].rc) TH_LOG("at %#lx", a[i].iova);
	}
	EXPECT_EQ(1, stage_pins(&self->s));
}

struct filler {
	pthread_t thread;
	struct stage *s;
	uint32_t hwpt;
	int rc;
};

static void *fill_slowly(void *arg)
{
	struct filler *f = arg;

	f->rc = new_table(f->s, f->s->other, &f->hwpt);
	return NULL;
}

/* The ioctl needs the device for a moment only, and memory for as long as it takes. */
TEST_F_TIMEOUT(table, device_can_go_while_a_table_for_it_waits_for_memory, 60)
{
	struct filler f = { .s = &self->s };
	struct slow_memory slow;
	uint32_t was;

	ASSERT_EQ(0, slow_memory_make(&slow, 4 * PAGE));
	ASSERT_EQ(0, map(&self->s, self->s.other, slow.p, slow.length, X));
	ASSERT_EQ(0, pthread_create(&f.thread, NULL, fill_slowly, &f));
	ASSERT_EQ(0, slow_memory_wait(&slow));
	was = self->s.devid;
	stage_unbind(&self->s);
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->s.iommufd, was));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->s.iommufd, self->s.other));
	EXPECT_EQ(0, f.hwpt);
	ASSERT_EQ(0, stage_bind(&self->s));
	EXPECT_EQ(0, vfio_attach(self->s.dev, self->s.ioas, NULL));
	ASSERT_EQ(0, slow_memory_let_in(&slow));
	pthread_join(f.thread, NULL);
	EXPECT_EQ(0, f.rc);
	/* The table outlived the device it was made for, and serves it again. */
	ASSERT_EQ(0, vfio_attach(self->s.dev, f.hwpt, NULL));
	EXPECT_EQ(0, device_writes(&self->s, X, 3));
	EXPECT_EQ(0, painted(slow.p, LENGTH, 3));
	close(slow.uffd);
}

TEST_HARNESS_MAIN
