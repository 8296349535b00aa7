// SPDX-License-Identifier: GPL-2.0
/*
 * Devices with emulated IOMMU, through their device files: the sample vcopy, an
 * mdev. Most tests run on both of its types: "pin" pins what it copies and is told
 * when memory goes away, "rw" asks the core to copy. No IOMMU is needed; a page
 * table to refuse comes from the mock device or from QEMU's edu.
 *
 * Memory that the device reaches is compared by content. Pinned pages are counted
 * for the whole system, which has to be quiet meanwhile, and for the process
 * (VmPin). Each test ends with both back where they were.
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "mock_utils.h"
#include "slow_memory.h"
#include "vcopy_utils.h"
#include "kselftest_harness.h"

#define OTHER		0x7fff12345000UL
#define NR_PAGES	40UL
#define LEN		(NR_PAGES * PAGE)	/* more than one chunk of the device */
#define SOON_MS		5000		/* under emulation, with others at work */
#define RACE_MS		2000

static void fill(void *p, size_t length, uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;
	uint8_t *bytes = p;

	while (length--) {
		state = state * 1664525 + 1013904223;
		*bytes++ = state >> 24;
	}
}

static bool is_filled(const void *p, size_t length, uint32_t seed)
{
	void *want = malloc(length);
	bool same;

	fill(want, length, seed);
	same = !memcmp(p, want, length);
	free(want);
	return same;
}

static long vm_pin_pages(void)
{
	FILE *f = fopen("/proc/self/status", "r");
	char line[128];
	long kb = -1;

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmPin: %ld", &kb);
	if (f)
		fclose(f);
	return kb / 4;
}

static long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

static bool fires(int eventfd, int ms)
{
	struct pollfd fd = { .fd = eventfd, .events = POLLIN };
	uint64_t count;

	return poll(&fd, 1, ms) == 1 &&
	       read(eventfd, &count, sizeof(count)) == sizeof(count);
}

/* Something done by a thread, which may take its time. */
struct task {
	pthread_t thread;
	int (*what)(struct task *task);
	int fd, rc;
	uint32_t id;
	uint64_t iova, length;
	const char *uuid;
	bool over;
};

static void *task_main(void *arg)
{
	struct task *task = arg;
	int rc = task->what(task);

	task->rc = rc;
	__atomic_store_n(&task->over, true, __ATOMIC_RELEASE);
	return NULL;
}

static int task_start(struct task *task, int (*what)(struct task *task))
{
	task->what = what;
	task->over = false;
	return -pthread_create(&task->thread, NULL, task_main, task);
}

static bool task_ends(struct task *task, int ms)
{
	long long end = now_ms() + ms;

	while (!__atomic_load_n(&task->over, __ATOMIC_ACQUIRE)) {
		if (now_ms() > end)
			return false;
		usleep(1000);
	}
	pthread_join(task->thread, NULL);
	return true;
}

static int do_unmap(struct task *task)
{
	return ioas_unmap(task->fd, task->id, task->iova, task->length, NULL);
}

static int do_detach(struct task *task)
{
	return vfio_detach(task->fd);
}

static int do_reset(struct task *task)
{
	return ioctl_rc(task->fd, VFIO_DEVICE_RESET, NULL);
}

static int do_close(struct task *task)
{
	return close(task->fd) ? -errno : 0;
}

static int do_remove(struct task *task)
{
	return vcopy_remove(task->uuid);
}

/* ---- bound, not attached ---- */

FIXTURE(bound)
{
	char uuid[UUID_LEN + 1];
	int dev;
	int iommufd;
	uint32_t devid, ioas;
	uint8_t *buf;			/* LEN bytes, mapped at BASE */
	long pinned;
};

FIXTURE_VARIANT(bound)
{
	const char *type;
};

FIXTURE_VARIANT_ADD(bound, pin) { .type = "pin" };
FIXTURE_VARIANT_ADD(bound, rw) { .type = "rw" };

FIXTURE_SETUP(bound)
{
	self->pinned = pinned_now();
	ASSERT_LE(0, self->pinned);
	ASSERT_EQ(0, vcopy_create(variant->type, self->uuid));
	self->dev = vcopy_open(self->uuid);
	ASSERT_LE(0, self->dev);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	self->buf = pages_alloc(LEN);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, self->buf, LEN, BASE));
	ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, &self->devid));
	ASSERT_EQ(0, vcopy_bus_master(self->dev, true));
}

FIXTURE_TEARDOWN(bound)
{
	close(self->dev);
	close(self->iommufd);
	EXPECT_EQ(0, vcopy_remove(self->uuid));
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(0, vm_pin_pages());
	munmap(self->buf, LEN);
}

TEST_F(bound, the_id_is_that_of_no_physical_device)
{
	struct iommu_hw_info info = { .size = sizeof(info), .dev_id = self->devid };
	uint32_t id;

	EXPECT_NE(0, self->devid);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->devid));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->iommufd, self->devid, self->ioas, &id));
	EXPECT_EQ(-ENOENT, ioctl_rc(self->iommufd, IOMMU_GET_HW_INFO, &info));
}

TEST_F(bound, another_file_is_ebusy)
{
	int other = vcopy_open(self->uuid);

	ASSERT_LE(0, other);
	EXPECT_EQ(-EINVAL, vfio_get_info(other));
	EXPECT_EQ(-EBUSY, vfio_bind(other, self->iommufd, NULL));
	EXPECT_EQ(0, close(self->dev));
	EXPECT_EQ(0, vfio_bind(other, self->iommufd, NULL));
	self->dev = other;
}

TEST_F(bound, a_token_is_einval)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
		.iommufd = self->iommufd,
	};
	char token[16] = "";

	cmd.token_uuid_ptr = (uintptr_t)token;
	close(self->dev);
	self->dev = vcopy_open(self->uuid);
	ASSERT_LE(0, self->dev);
	EXPECT_EQ(-EINVAL, ioctl_rc(self->dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd));
	EXPECT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
}

TEST_F(bound, nothing_is_reached_before_attach)
{
	fill(self->buf, LEN, 1);
	EXPECT_EQ(VCOPY_ERROR_ADDRESS,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE + 2 * PAGE, PAGE));
	EXPECT_TRUE(is_filled(self->buf, LEN, 1));
	EXPECT_EQ(0, vcopy_get64(self->dev, VCOPY_MOVED));
	EXPECT_EQ(-EINVAL, vfio_detach(self->dev));
}

TEST_F(bound, attach_takes_an_address_space_and_leaves_its_id)
{
	uint32_t pt;

	EXPECT_EQ(-ENOENT, vfio_attach(self->dev, UNUSED_ID, NULL));
	EXPECT_EQ(-ENOENT, vfio_attach(self->dev, 0, NULL));
	EXPECT_EQ(-EINVAL, vfio_attach(self->dev, self->devid, NULL));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
	EXPECT_EQ(-ENOENT, vfio_attach(self->dev, self->ioas, NULL));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	EXPECT_EQ(0, vfio_attach(self->dev, self->ioas, &pt));
	EXPECT_EQ(self->ioas, pt);
	/* again is no change; and what fails changes nothing */
	EXPECT_EQ(0, vfio_attach(self->dev, self->ioas, &pt));
	EXPECT_EQ(self->ioas, pt);
	EXPECT_EQ(-ENOENT, vfio_attach(self->dev, UNUSED_ID, NULL));
	EXPECT_EQ(-EINVAL, vfio_attach(self->dev, self->devid, NULL));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->ioas));
	EXPECT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(-EINVAL, vfio_detach(self->dev));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
}

TEST_F(bound, attach_to_a_page_table_is_einval)
{
	uint32_t hwpt, ioas;
	struct stdev mock;
	int edu = -1;

	ASSERT_EQ(0, ioas_alloc(self->iommufd, &ioas));
	if (!stdev_add(self->iommufd, ioas, &mock)) {
		hwpt = mock.hwpt;
	} else {
		edu = edu_open();
		ASSERT_LE(0, edu) TH_LOG("needs test modules, or an edu device");
		ASSERT_EQ(0, vfio_bind(edu, self->iommufd, NULL));
		ASSERT_EQ(0, vfio_attach(edu, ioas, &hwpt));
	}
	EXPECT_EQ(-EINVAL, vfio_attach(self->dev, hwpt, NULL));
	EXPECT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(-EINVAL, vfio_attach(self->dev, hwpt, NULL));
	EXPECT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE + PAGE, PAGE));
	if (edu >= 0)
		close(edu);
}

TEST_F(bound, attach_wants_page_alignment_only_for_pins)
{
	uint32_t ioas;

	ASSERT_EQ(0, ioas_alloc(self->iommufd, &ioas));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, ioas, RW, self->buf + 3, 100, BASE + 5));
	if (!strcmp(variant->type, "pin")) {
		EXPECT_EQ(-EADDRINUSE, vfio_attach(self->dev, ioas, NULL));
		EXPECT_EQ(-EINVAL, vfio_detach(self->dev));
		return;
	}
	fill(self->buf, LEN, 1);
	EXPECT_EQ(0, vfio_attach(self->dev, ioas, NULL));
	EXPECT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_LOAD, BASE + 5, 0, 100));
	EXPECT_EQ(VCOPY_ERROR_ADDRESS,
		  vcopy_run(self->dev, VCOPY_CMD_LOAD, BASE + 5, 0, 101));
}

TEST_F(bound, the_module_stays)
{
	EXPECT_EQ(-1, syscall(SYS_delete_module, "vcopy", O_NONBLOCK));
	EXPECT_EQ(EAGAIN, errno);
}

/* ---- what it is: a PCI device ---- */

TEST_F(bound, configuration_space)
{
	const int config = VFIO_PCI_CONFIG_REGION_INDEX;
	uint32_t word = 0, ones = UINT32_MAX;

	EXPECT_EQ(0, vcopy_read(self->dev, config, 0, &word, 4));
	EXPECT_EQ(VCOPY_VENDOR | (uint32_t)VCOPY_DEVICE << 16, word);
	EXPECT_EQ(0, vcopy_write(self->dev, config, 0, &ones, 4));
	EXPECT_EQ(0, vcopy_read(self->dev, config, 0, &word, 4));
	EXPECT_EQ(VCOPY_VENDOR | (uint32_t)VCOPY_DEVICE << 16, word);
	/* the size of a BAR */
	EXPECT_EQ(0, vcopy_write(self->dev, config, 0x10, &ones, 4));
	EXPECT_EQ(0, vcopy_read(self->dev, config, 0x10, &word, 4));
	EXPECT_EQ(-VCOPY_REGS_SIZE, word);
	EXPECT_EQ(0, vcopy_write(self->dev, config, 0x14, &ones, 4));
	EXPECT_EQ(0, vcopy_read(self->dev, config, 0x14, &word, 4));
	EXPECT_EQ(0, word);
	EXPECT_EQ(-EINVAL, vcopy_read(self->dev, config, 256, &word, 4));
	EXPECT_EQ(-EIO, vcopy_read(self->dev, config, 254, &word, 4));
}

TEST_F(bound, regions_and_interrupts)
{
	struct vfio_region_info region;
	struct vfio_irq_info irq = { .argsz = sizeof(irq) };
	uint32_t word;

	EXPECT_EQ(0, vfio_region_info(self->dev, 0, &region));
	EXPECT_EQ(VCOPY_REGS_SIZE, region.size);
	EXPECT_EQ(0, region.flags & VFIO_REGION_INFO_FLAG_MMAP);
	EXPECT_EQ(0, vfio_region_info(self->dev, 2, &region));
	EXPECT_EQ(VCOPY_BUFFER_SIZE, region.size);
	EXPECT_EQ(VFIO_REGION_INFO_FLAG_MMAP, region.flags & VFIO_REGION_INFO_FLAG_MMAP);
	EXPECT_EQ(-EINVAL, vfio_region_info(self->dev, VFIO_PCI_NUM_REGIONS, &region));
	irq.index = VFIO_PCI_MSI_IRQ_INDEX;
	EXPECT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	EXPECT_EQ(1, irq.count);
	irq.index = VFIO_PCI_INTX_IRQ_INDEX;
	EXPECT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_GET_IRQ_INFO, &irq));
	EXPECT_EQ(0, irq.count);
	EXPECT_EQ(-EINVAL, vfio_set_irq(self->dev, VFIO_PCI_INTX_IRQ_INDEX, -1));
	/* registers are read and written one by one */
	EXPECT_EQ(VCOPY_MAGIC, vcopy_get(self->dev, VCOPY_ID));
	EXPECT_EQ(-EINVAL, vcopy_read(self->dev, 0, VCOPY_ID + 2, &word, 4));
	EXPECT_EQ(-EINVAL, vcopy_read(self->dev, 0, VCOPY_ID, &word, 2));
	EXPECT_EQ(0, vcopy_set(self->dev, VCOPY_SRC, 1));
	EXPECT_EQ(0, vcopy_set(self->dev, VCOPY_SRC + 4, 2));
	EXPECT_EQ(0x200000001, vcopy_get64(self->dev, VCOPY_SRC));
	EXPECT_EQ(2, vcopy_get(self->dev, VCOPY_SRC + 4));
	EXPECT_EQ(-ENOTTY, ioctl_rc(self->dev, VFIO_DEVICE_IOEVENTFD, NULL));
}

/* ---- attached ---- */

FIXTURE(attached)
{
	char uuid[UUID_LEN + 1];
	int dev;
	int iommufd;
	uint32_t ioas;
	uint8_t *buf;			/* LEN bytes, mapped at BASE */
	long pinned;
};

FIXTURE_VARIANT(attached)
{
	const char *type;
	bool pins;
};

FIXTURE_VARIANT_ADD(attached, pin) { .type = "pin", .pins = true };
FIXTURE_VARIANT_ADD(attached, rw) { .type = "rw" };

FIXTURE_SETUP(attached)
{
	self->pinned = pinned_now();
	ASSERT_LE(0, self->pinned);
	ASSERT_EQ(0, vcopy_create(variant->type, self->uuid));
	self->dev = vcopy_open(self->uuid);
	ASSERT_LE(0, self->dev);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	self->buf = pages_alloc(LEN);
	ASSERT_NE(NULL, self->buf);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, self->buf, LEN, BASE));
	ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	ASSERT_EQ(0, vcopy_bus_master(self->dev, true));
}

FIXTURE_TEARDOWN(attached)
{
	close(self->dev);
	close(self->iommufd);
	EXPECT_EQ(0, vcopy_remove(self->uuid));
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(0, vm_pin_pages());
	munmap(self->buf, LEN);
}

TEST_F(attached, copy_arrives_and_nothing_else_changes)
{
	static const struct { size_t src, dst, len; } cases[] = {
		{ 0, PAGE, PAGE }, { 17, 8 * PAGE + 5, 3 * PAGE + 1 },
		{ 1, PAGE - 1, 1 }, { PAGE - 1, 3 * PAGE + 1, 2 },
		{ 3, LEN / 2 + 11, LEN / 2 - 11 },
		{ LEN - 1, 0, 1 }, { 0, LEN - 1, 1 },
	};
	uint8_t *want = malloc(LEN);
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fill(self->buf, LEN, i);
		fill(want, LEN, i);
		memmove(want + cases[i].dst, want + cases[i].src, cases[i].len);
		ASSERT_EQ(VCOPY_ERROR_NONE,
			  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE + cases[i].src,
				    BASE + cases[i].dst, cases[i].len));
		EXPECT_EQ(VCOPY_DONE, vcopy_get(self->dev, VCOPY_STATUS));
		EXPECT_EQ(cases[i].len, vcopy_get64(self->dev, VCOPY_MOVED));
		EXPECT_EQ(0, memcmp(want, self->buf, LEN)) TH_LOG("case %u", i);
	}
	free(want);
	EXPECT_EQ(i, vcopy_get(self->dev, VCOPY_ROUNDS));
}

TEST_F(attached, nothing_is_pinned_between_copies)
{
	ASSERT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE + LEN / 2, LEN / 2));
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(0, vm_pin_pages());
}

TEST_F(attached, a_copy_crosses_mappings)
{
	uint8_t *far = pages_alloc(2 * PAGE);

	/* other memory behind the first mapping, and the first mapping's behind that */
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, far, 2 * PAGE,
				    BASE + LEN));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, self->buf, PAGE,
				    BASE + LEN + 2 * PAGE));
	fill(self->buf, LEN, 1);
	fill(far, 2 * PAGE, 2);
	ASSERT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_LOAD, BASE + LEN - 100, 0,
			    2 * PAGE + 200));
	ASSERT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_STORE, 0, BASE + PAGE, 2 * PAGE + 200));
	EXPECT_EQ(0, memcmp(self->buf + PAGE, self->buf + LEN - 100, 100));
	EXPECT_EQ(0, memcmp(self->buf + PAGE + 100, far, 2 * PAGE));
	EXPECT_EQ(0, memcmp(self->buf + 3 * PAGE + 100, self->buf, 100));
	munmap(far, 2 * PAGE);
}

TEST_F(attached, the_buffer_can_be_mapped)
{
	uint8_t *bar, *middle;
	uint32_t word = 0;

	bar = mmap(NULL, VCOPY_BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
		   self->dev, VCOPY_REGION(VCOPY_BAR_BUFFER));
	ASSERT_NE(MAP_FAILED, bar);
	middle = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->dev,
		      VCOPY_REGION(VCOPY_BAR_BUFFER) + 5 * PAGE);
	ASSERT_NE(MAP_FAILED, middle);
	fill(self->buf, LEN, 1);
	fill(bar, VCOPY_BUFFER_SIZE, 2);
	ASSERT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_STORE, 5, BASE + 7, 3 * PAGE));
	EXPECT_EQ(0, memcmp(self->buf + 7, bar + 5, 3 * PAGE));
	ASSERT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_LOAD, BASE, 5 * PAGE, PAGE));
	EXPECT_EQ(0, memcmp(self->buf, middle, PAGE));
	EXPECT_EQ(0, vcopy_read(self->dev, VCOPY_BAR_BUFFER, 5 * PAGE, &word, 4));
	EXPECT_EQ(0, memcmp(self->buf, &word, 4));

	/* not the registers, not beyond, not privately */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->dev, 0));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_SHARED, self->dev,
				   VCOPY_REGION(2) + VCOPY_BUFFER_SIZE));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, VCOPY_BUFFER_SIZE, PROT_READ, MAP_SHARED,
				   self->dev, VCOPY_REGION(2) + PAGE));
	EXPECT_EQ(MAP_FAILED, mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, self->dev,
				   VCOPY_REGION(2)));
	munmap(bar, VCOPY_BUFFER_SIZE);
	munmap(middle, PAGE);
}

TEST_F(attached, the_next_user_does_not_find_the_buffer_of_the_last)
{
	uint8_t bytes[64] = "";

	fill(self->buf, LEN, 1);
	ASSERT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_LOAD, BASE, 0, PAGE));
	close(self->dev);
	self->dev = vcopy_open(self->uuid);
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
	ASSERT_EQ(0, vcopy_read(self->dev, VCOPY_BAR_BUFFER, 0, bytes, sizeof(bytes)));
	EXPECT_EQ(0, memchr(bytes, bytes[0], sizeof(bytes)) ? bytes[0] : 1);
	EXPECT_EQ(0, bytes[17] | bytes[40]);
	EXPECT_EQ(0, vcopy_get64(self->dev, VCOPY_SRC));
	EXPECT_EQ(0, vcopy_get64(self->dev, VCOPY_LEN));
	EXPECT_EQ(0, vcopy_get(self->dev, VCOPY_STATUS));
}

TEST_F(attached, what_is_not_mapped_is_an_error)
{
	fill(self->buf, LEN, 1);
	EXPECT_EQ(VCOPY_ERROR_ADDRESS,
		  vcopy_run(self->dev, VCOPY_CMD_LOAD, BASE - 1, 0, 1));
	EXPECT_EQ(VCOPY_FAILED, vcopy_get(self->dev, VCOPY_STATUS));
	EXPECT_EQ(VCOPY_ERROR_ADDRESS,
		  vcopy_run(self->dev, VCOPY_CMD_STORE, 0, BASE + LEN, 1));
	EXPECT_EQ(VCOPY_ERROR_ADDRESS, vcopy_run(self->dev, VCOPY_CMD_STORE, 0, 0, 1));
	EXPECT_EQ(VCOPY_ERROR_ADDRESS,
		  vcopy_run(self->dev, VCOPY_CMD_LOAD, UINT64_MAX, 0, 1));
	EXPECT_EQ(VCOPY_ERROR_ADDRESS,
		  vcopy_run(self->dev, VCOPY_CMD_LOAD, UINT64_MAX, 0, 2));
	EXPECT_EQ(VCOPY_ERROR_ADDRESS,
		  vcopy_run(self->dev, VCOPY_CMD_LOAD, -PAGE, 0, 2 * PAGE));
	EXPECT_TRUE(is_filled(self->buf, LEN, 1));
	/* the chunk that is all there was copied */
	EXPECT_EQ(VCOPY_ERROR_ADDRESS,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE + LEN / 2, LEN));
	EXPECT_EQ(0x10000, vcopy_get64(self->dev, VCOPY_MOVED));
	EXPECT_EQ(0, memcmp(self->buf, self->buf + LEN / 2, 0x10000));
}

TEST_F(attached, permissions_are_kept)
{
	uint8_t *read_only = pages_alloc(PAGE), *write_only = pages_alloc(PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RD, read_only, PAGE, OTHER));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, WR, write_only, PAGE,
				    OTHER + PAGE));
	fill(self->buf, LEN, 1);
	fill(read_only, PAGE, 2);
	fill(write_only, PAGE, 3);
	EXPECT_EQ(VCOPY_ERROR_PERMISSION,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, OTHER, 64));
	EXPECT_TRUE(is_filled(read_only, PAGE, 2));
	EXPECT_EQ(VCOPY_ERROR_PERMISSION,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, OTHER + PAGE, BASE, 64));
	EXPECT_TRUE(is_filled(self->buf, LEN, 1));
	EXPECT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, OTHER, OTHER + PAGE, PAGE));
	EXPECT_TRUE(is_filled(write_only, PAGE, 2));
	if (variant->pins)
		EXPECT_EQ(VCOPY_ERROR_PERMISSION,
			  vcopy_run(self->dev, VCOPY_CMD_HOLD, OTHER, 0, PAGE));
	munmap(read_only, PAGE);
	munmap(write_only, PAGE);
}

TEST_F(attached, memory_that_is_gone_is_an_error)
{
	uint8_t *gone = pages_alloc(PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, gone, PAGE, OTHER));
	munmap(gone, PAGE);
	EXPECT_EQ(VCOPY_ERROR_MEMORY,
		  vcopy_run(self->dev, VCOPY_CMD_LOAD, OTHER, 0, 1));
}

TEST_F(attached, a_file_s_memory_is_copied)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = RW | FIXED,
		.ioas_id = self->ioas,
		.start = PAGE,
		.length = 2 * PAGE,
		.iova = OTHER,
	};
	int fd = memfd_create("emulated", MFD_CLOEXEC);
	uint8_t *file;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ftruncate(fd, 3 * PAGE));
	file = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, file);
	cmd.fd = fd;
	ASSERT_EQ(0, ioctl_rc(self->iommufd, IOMMU_IOAS_MAP_FILE, &cmd));
	fill(file, 3 * PAGE, 1);
	ASSERT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, OTHER + 9, BASE, PAGE));
	EXPECT_EQ(0, memcmp(file + PAGE + 9, self->buf, PAGE));
	fill(self->buf, LEN, 2);
	ASSERT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, OTHER + PAGE, PAGE));
	EXPECT_TRUE(is_filled(file + 2 * PAGE, PAGE, 2));
	munmap(file, 3 * PAGE);
	close(fd);
}

TEST_F(attached, it_is_the_memory_of_who_mapped_it)
{
	int status;
	pid_t pid;

	fill(self->buf, LEN, 1);
	pid = fork();
	if (!pid) {
		/* The child's copy of the memory is its own. */
		fill(self->buf, LEN, 2);
		_exit(vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE + LEN / 2, PAGE) ||
		      !is_filled(self->buf, LEN, 2));
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, memcmp(self->buf, self->buf + LEN / 2, PAGE));
	EXPECT_FALSE(is_filled(self->buf, LEN, 1));
}

TEST_F(attached, wrong_commands_are_refused)
{
	EXPECT_EQ(VCOPY_ERROR_COMMAND, vcopy_run(self->dev, 0x55, BASE, BASE, 1));
	EXPECT_EQ(VCOPY_ERROR_COMMAND,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE, 0));
	EXPECT_EQ(VCOPY_ERROR_COMMAND,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE, VCOPY_LEN_MAX + 1ULL));
	EXPECT_EQ(VCOPY_ERROR_COMMAND,
		  vcopy_run(self->dev, VCOPY_CMD_LOAD, BASE, VCOPY_BUFFER_SIZE, 1));
	EXPECT_EQ(VCOPY_ERROR_COMMAND,
		  vcopy_run(self->dev, VCOPY_CMD_STORE, VCOPY_BUFFER_SIZE - 1, BASE, 2));
	EXPECT_EQ(VCOPY_ERROR_COMMAND,
		  vcopy_run(self->dev, VCOPY_CMD_STORE, UINT64_MAX, BASE, 1));
	EXPECT_EQ(VCOPY_ERROR_COMMAND,
		  vcopy_run(self->dev, VCOPY_CMD_HOLD, BASE, 0, VCOPY_HOLD_MAX * PAGE + 1));
	EXPECT_EQ(0, vcopy_bus_master(self->dev, false));
	EXPECT_EQ(VCOPY_ERROR_MASTER,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE + PAGE, 1));
	EXPECT_EQ(VCOPY_FAILED, vcopy_get(self->dev, VCOPY_STATUS));
}

TEST_F(attached, the_interrupt_comes_after_the_copy)
{
	int fd = eventfd(0, EFD_CLOEXEC);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, vfio_set_irq(self->dev, VFIO_PCI_MSI_IRQ_INDEX, fd));
	fill(self->buf, LEN, 1);
	ASSERT_EQ(0, vcopy_start(self->dev, VCOPY_CMD_COPY | VCOPY_CMD_IRQ, BASE,
				 BASE + LEN / 2, LEN / 2));
	EXPECT_TRUE(fires(fd, SOON_MS));
	EXPECT_EQ(VCOPY_DONE, vcopy_get(self->dev, VCOPY_STATUS));
	EXPECT_EQ(0, memcmp(self->buf, self->buf + LEN / 2, LEN / 2));
	EXPECT_FALSE(fires(fd, 20));
	/* an error, too; without the bit nothing; switched off nothing */
	ASSERT_EQ(0, vcopy_start(self->dev, VCOPY_CMD_COPY | VCOPY_CMD_IRQ, 0, BASE, 1));
	EXPECT_TRUE(fires(fd, SOON_MS));
	EXPECT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE + PAGE, 1));
	EXPECT_FALSE(fires(fd, 20));
	ASSERT_EQ(0, vfio_set_irq(self->dev, VFIO_PCI_MSI_IRQ_INDEX, -1));
	EXPECT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_COPY | VCOPY_CMD_IRQ, BASE, BASE + PAGE, 1));
	EXPECT_FALSE(fires(fd, 20));
	close(fd);
}

TEST_F(attached, stop_and_reset_end_a_repeated_copy)
{
	uint32_t rounds;

	ASSERT_EQ(0, vcopy_start(self->dev, VCOPY_CMD_COPY | VCOPY_CMD_REPEAT, BASE,
				 BASE + LEN / 2, LEN / 2));
	while (vcopy_get(self->dev, VCOPY_ROUNDS) < 3)
		;
	EXPECT_EQ(VCOPY_BUSY, vcopy_get(self->dev, VCOPY_STATUS));
	EXPECT_EQ(0, vcopy_set(self->dev, VCOPY_CMD, VCOPY_CMD_STOP));
	EXPECT_EQ(VCOPY_ERROR_STOPPED, vcopy_wait(self->dev));
	rounds = vcopy_get(self->dev, VCOPY_ROUNDS);
	usleep(20000);
	EXPECT_EQ(rounds, vcopy_get(self->dev, VCOPY_ROUNDS));

	ASSERT_EQ(0, vcopy_set(self->dev, VCOPY_CMD, VCOPY_CMD_COPY | VCOPY_CMD_REPEAT));
	while (vcopy_get(self->dev, VCOPY_ROUNDS) == rounds)
		;
	EXPECT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, vcopy_get(self->dev, VCOPY_STATUS));
	EXPECT_EQ(0, vcopy_get(self->dev, VCOPY_ROUNDS));
	EXPECT_EQ(0, vcopy_get64(self->dev, VCOPY_SRC));
	EXPECT_EQ(VCOPY_ERROR_MASTER,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE + PAGE, 1));
	EXPECT_EQ(0, vcopy_bus_master(self->dev, true));
	EXPECT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE + PAGE, 1));
}

TEST_F(attached, replace_changes_what_is_reached)
{
	uint8_t *new_buf = pages_alloc(LEN);
	uint32_t ioas, pt;

	ASSERT_EQ(0, ioas_alloc(self->iommufd, &ioas));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, ioas, RW, new_buf, LEN, BASE));
	fill(self->buf, LEN, 1);
	fill(new_buf, LEN, 2);
	EXPECT_EQ(0, vfio_attach(self->dev, ioas, &pt));
	EXPECT_EQ(ioas, pt);
	EXPECT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE + LEN / 2, LEN / 2));
	EXPECT_TRUE(is_filled(self->buf, LEN, 1));
	EXPECT_EQ(0, memcmp(new_buf, new_buf + LEN / 2, LEN / 2));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, ioas));
	munmap(new_buf, LEN);
}

TEST_F(attached, nothing_is_reached_after_detach)
{
	fill(self->buf, LEN, 1);
	EXPECT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(VCOPY_ERROR_ADDRESS,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE + PAGE, PAGE));
	EXPECT_TRUE(is_filled(self->buf, LEN, 1));
	EXPECT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE + PAGE, PAGE));
}

TEST_F(attached, the_context_lives_until_the_device_is_closed)
{
	EXPECT_EQ(0, close(self->iommufd));
	self->iommufd = -1;
	fill(self->buf, LEN, 1);
	EXPECT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE + PAGE, PAGE));
	EXPECT_EQ(0, memcmp(self->buf, self->buf + PAGE, PAGE));
	if (variant->pins)
		EXPECT_EQ(VCOPY_ERROR_NONE,
			  vcopy_run(self->dev, VCOPY_CMD_HOLD, BASE, 0, LEN));
}

TEST_F(attached, the_address_space_outlives_the_device)
{
	if (variant->pins)
		ASSERT_EQ(VCOPY_ERROR_NONE,
			  vcopy_run(self->dev, VCOPY_CMD_HOLD, BASE, 0, LEN));
	EXPECT_EQ(0, close(self->dev));
	self->dev = -1;
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, BASE, LEN, NULL));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
}

TEST_F(attached, devices_share_a_context)
{
	char uuids[4][UUID_LEN + 1];
	int devs[4], i, closed = 0;
	long held = 0;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, vcopy_create(i % 2 ? "pin" : "rw", uuids[i]));
		devs[i] = vcopy_open(uuids[i]);
		ASSERT_LE(0, devs[i]);
		ASSERT_EQ(0, vfio_bind(devs[i], self->iommufd, NULL));
		ASSERT_EQ(0, vfio_attach(devs[i], self->ioas, NULL));
		ASSERT_EQ(0, vcopy_bus_master(devs[i], true));
	}
	fill(self->buf, LEN, 1);
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(VCOPY_ERROR_NONE,
			  vcopy_run(devs[i], VCOPY_CMD_COPY, BASE,
				    BASE + (i + 1) * PAGE, PAGE));
		EXPECT_TRUE(is_filled(self->buf + (i + 1) * PAGE, PAGE, 1));
		if (i % 2) {
			EXPECT_EQ(VCOPY_ERROR_NONE,
				  vcopy_run(devs[i], VCOPY_CMD_HOLD, BASE + i * PAGE, 0,
					    2 * PAGE));
			held = i == 1 ? 2 : 4;
			EXPECT_EQ(self->pinned + held, pinned_now());
		}
	}
	/* One more that holds what others hold: a page is pinned once. */
	if (variant->pins) {
		EXPECT_EQ(VCOPY_ERROR_NONE,
			  vcopy_run(self->dev, VCOPY_CMD_HOLD, BASE, 0, 5 * PAGE));
		EXPECT_EQ(self->pinned + 5, pinned_now());
		EXPECT_EQ(5, vm_pin_pages());
	}
	EXPECT_EQ(0, close(devs[1]));
	closed = 1;
	EXPECT_EQ(self->pinned + (variant->pins ? 5 : 2), pinned_now());
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, BASE, LEN, NULL));
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(VCOPY_LOST, vcopy_get(devs[3], VCOPY_STATUS) & VCOPY_LOST);
	for (i = 0; i < 4; i++) {
		if (i != closed)
			EXPECT_EQ(0, close(devs[i]));
		EXPECT_EQ(0, vcopy_remove(uuids[i]));
	}
}

/* ---- taken away while in use ---- */

TEST_F(attached, removal_asks_the_user_and_waits)
{
	struct task task = { .uuid = self->uuid };
	int fd = eventfd(0, EFD_CLOEXEC), other = vcopy_open(self->uuid);

	ASSERT_LE(0, other);
	ASSERT_EQ(0, vfio_set_irq(self->dev, VFIO_PCI_REQ_IRQ_INDEX, fd));
	ASSERT_EQ(0, vcopy_start(self->dev, VCOPY_CMD_COPY | VCOPY_CMD_REPEAT, BASE,
				 BASE + LEN / 2, LEN / 2));
	ASSERT_EQ(0, task_start(&task, do_remove));
	EXPECT_TRUE(fires(fd, SOON_MS));
	EXPECT_FALSE(task_ends(&task, 200));
	/* It still works, for this user; nobody new gets it. */
	EXPECT_EQ(VCOPY_BUSY, vcopy_get(self->dev, VCOPY_STATUS));
	EXPECT_EQ(-ENODEV, vfio_bind(other, self->iommufd, NULL));
	EXPECT_EQ(0, close(self->dev));
	self->dev = other;
	EXPECT_TRUE(task_ends(&task, SOON_MS));
	EXPECT_EQ(0, task.rc);
	EXPECT_EQ(-ENODEV, vfio_bind(other, self->iommufd, NULL));
	/* for the teardown */
	ASSERT_EQ(0, vcopy_create(variant->type, self->uuid));
	close(fd);
}

/* ---- memory that a program has yet to provide ---- */

/*
 * Slow memory at OTHER; the device is made to copy from there and waits. @to is
 * what must not change unless the memory comes: 0xee.
 */
struct waiting {
	struct slow_memory slow;
	uint8_t *to;
};

static int wait_for_memory(int dev, int iommufd, uint32_t ioas, uint8_t *buf,
			   struct waiting *w)
{
	int rc = slow_memory_make(&w->slow, PAGE);

	w->to = buf;
	memset(buf, 0xee, PAGE);
	rc = rc ?: ioas_map_fixed(iommufd, ioas, RW, w->slow.p, PAGE, OTHER);
	rc = rc ?: vcopy_start(dev, VCOPY_CMD_COPY, OTHER, BASE, PAGE);
	return rc ?: slow_memory_wait(&w->slow);
}

static bool nothing_came(const struct waiting *w)
{
	unsigned int i;

	for (i = 0; i < PAGE; i++)
		if (w->to[i] != 0xee)
			return false;
	return true;
}

static void waiting_end(struct waiting *w)
{
	close(w->slow.uffd);
	munmap(w->slow.p, w->slow.length);
}

TEST_F(attached, slow_memory_is_waited_for)
{
	struct waiting w;

	ASSERT_EQ(0, wait_for_memory(self->dev, self->iommufd, self->ioas, self->buf, &w));
	usleep(50000);
	EXPECT_EQ(VCOPY_BUSY, vcopy_get(self->dev, VCOPY_STATUS));
	EXPECT_EQ(0, slow_memory_let_in(&w.slow));
	EXPECT_EQ(VCOPY_ERROR_NONE, vcopy_wait(self->dev));
	EXPECT_FALSE(nothing_came(&w));
	waiting_end(&w);
}

/*
 * Who is told of the unmap gives up waiting; a copy by the core cannot be told, so
 * that the unmap waits for it.
 */
TEST_F(attached, unmap_of_slow_memory)
{
	struct task task = {
		.fd = self->iommufd, .id = self->ioas, .iova = OTHER, .length = PAGE,
	};
	struct waiting w;

	ASSERT_EQ(0, wait_for_memory(self->dev, self->iommufd, self->ioas, self->buf, &w));
	ASSERT_EQ(0, task_start(&task, do_unmap));
	if (!variant->pins) {
		EXPECT_FALSE(task_ends(&task, 200));
		EXPECT_EQ(0, slow_memory_let_in(&w.slow));
	}
	EXPECT_TRUE(task_ends(&task, SOON_MS));
	EXPECT_EQ(0, task.rc);
	EXPECT_EQ(variant->pins ? VCOPY_ERROR_ADDRESS : VCOPY_ERROR_NONE,
		  vcopy_wait(self->dev));
	EXPECT_EQ(variant->pins, nothing_came(&w));
	waiting_end(&w);
}

TEST_F(attached, unmap_of_other_memory_does_not_disturb_a_slow_copy)
{
	uint8_t *third = pages_alloc(PAGE);
	struct waiting w;

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, third, PAGE,
				    OTHER + MiB));
	ASSERT_EQ(0, wait_for_memory(self->dev, self->iommufd, self->ioas, self->buf, &w));
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, OTHER + MiB, PAGE, NULL));
	EXPECT_EQ(VCOPY_BUSY, vcopy_get(self->dev, VCOPY_STATUS));
	EXPECT_EQ(0, slow_memory_let_in(&w.slow));
	EXPECT_EQ(VCOPY_ERROR_NONE, vcopy_wait(self->dev));
	waiting_end(&w);
	munmap(third, PAGE);
}

TEST_F(attached, detach_during_a_slow_copy)
{
	struct task task = { .fd = self->dev };
	struct waiting w;

	ASSERT_EQ(0, wait_for_memory(self->dev, self->iommufd, self->ioas, self->buf, &w));
	ASSERT_EQ(0, task_start(&task, do_detach));
	ASSERT_TRUE(task_ends(&task, SOON_MS));
	EXPECT_EQ(0, task.rc);
	EXPECT_EQ(VCOPY_BUSY, vcopy_get(self->dev, VCOPY_STATUS));
	/* The memory comes, and is of no use any more. */
	EXPECT_EQ(0, slow_memory_let_in(&w.slow));
	EXPECT_EQ(VCOPY_ERROR_ADDRESS, vcopy_wait(self->dev));
	EXPECT_TRUE(nothing_came(&w));
	waiting_end(&w);
}

/* The page was being looked up when the device left: it must not be written now. */
TEST_F(attached, detach_during_a_slow_store)
{
	uint8_t bytes[64], *at;
	struct waiting w;

	memset(bytes, 0x5a, sizeof(bytes));
	ASSERT_EQ(0, slow_memory_make(&w.slow, PAGE));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, w.slow.p, PAGE, OTHER));
	ASSERT_EQ(0, vcopy_write(self->dev, VCOPY_BAR_BUFFER, 0, bytes, sizeof(bytes)));
	ASSERT_EQ(0, vcopy_start(self->dev, VCOPY_CMD_STORE, 0, OTHER, sizeof(bytes)));
	ASSERT_EQ(0, slow_memory_wait(&w.slow));
	EXPECT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(0, slow_memory_let_in(&w.slow));
	EXPECT_EQ(VCOPY_ERROR_ADDRESS, vcopy_wait(self->dev));
	at = w.slow.p;
	EXPECT_EQ(0, at[0] | at[sizeof(bytes) - 1]);
	waiting_end(&w);
}

/* The mapping must not go under the copy, though the device has left. */
TEST_F(attached, unmap_after_detach_waits_for_the_slow_copy)
{
	struct task task = {
		.fd = self->iommufd, .id = self->ioas, .iova = OTHER, .length = PAGE,
	};
	struct waiting w;

	ASSERT_EQ(0, wait_for_memory(self->dev, self->iommufd, self->ioas, self->buf, &w));
	ASSERT_EQ(0, vfio_detach(self->dev));
	ASSERT_EQ(0, task_start(&task, do_unmap));
	EXPECT_FALSE(task_ends(&task, 200));
	EXPECT_EQ(0, vcopy_set(self->dev, VCOPY_CMD, VCOPY_CMD_STOP));
	EXPECT_TRUE(task_ends(&task, SOON_MS));
	EXPECT_EQ(0, task.rc);
	EXPECT_EQ(VCOPY_ERROR_STOPPED, vcopy_wait(self->dev));
	EXPECT_TRUE(nothing_came(&w));
	waiting_end(&w);
}

TEST_F(attached, reset_and_close_do_not_wait_for_slow_memory)
{
	struct task task = { .fd = self->dev };
	struct waiting w;

	ASSERT_EQ(0, wait_for_memory(self->dev, self->iommufd, self->ioas, self->buf, &w));
	ASSERT_EQ(0, task_start(&task, do_reset));
	EXPECT_TRUE(task_ends(&task, SOON_MS));
	EXPECT_EQ(0, task.rc);
	ASSERT_EQ(0, vcopy_bus_master(self->dev, true));
	ASSERT_EQ(0, vcopy_start(self->dev, VCOPY_CMD_COPY, OTHER, BASE, PAGE));
	ASSERT_EQ(0, slow_memory_wait(&w.slow));
	ASSERT_EQ(0, task_start(&task, do_close));
	EXPECT_TRUE(task_ends(&task, SOON_MS));
	self->dev = -1;
	EXPECT_TRUE(nothing_came(&w));
	waiting_end(&w);
}

/* The files are closed in the order of their numbers: the device's comes first. */
TEST_F(attached, a_killed_process_leaves_nothing)
{
	struct waiting w;
	int status, i;
	pid_t pid;

	close(self->dev);
	for (i = 0; i < 4; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			uint8_t *buf = pages_alloc(LEN);
			int dev = vcopy_open(self->uuid), iommufd = iommufd_open();
			uint32_t ioas;

			if (ioas_alloc(iommufd, &ioas) ||
			    ioas_map_fixed(iommufd, ioas, RW, buf, LEN, BASE) ||
			    vfio_bind(dev, iommufd, NULL) || vfio_attach(dev, ioas, NULL) ||
			    vcopy_bus_master(dev, true))
				_exit(1);
			if (variant->pins && vcopy_run(dev, VCOPY_CMD_HOLD, BASE, 0, LEN))
				_exit(2);
			if (i % 2) {
				if (wait_for_memory(dev, iommufd, ioas, buf, &w))
					_exit(3);
			} else if (vcopy_start(dev, VCOPY_CMD_COPY | VCOPY_CMD_REPEAT,
					       BASE, BASE + LEN / 2, LEN / 2)) {
				_exit(4);
			}
			if (i >= 2)
				close(iommufd);
			raise(SIGKILL);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status)) TH_LOG("exit %d", WEXITSTATUS(status));
		EXPECT_EQ(self->pinned, pinned_now());
		self->dev = vcopy_open(self->uuid);
		ASSERT_LE(0, self->dev);
		EXPECT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
		close(self->dev);
	}
	self->dev = -1;
}

/* ---- held memory ---- */

FIXTURE(holding)
{
	char uuid[UUID_LEN + 1];
	int dev;
	int iommufd;
	uint32_t ioas;
	uint8_t *buf;			/* LEN bytes, in two mappings from BASE on */
	long pinned;
};

FIXTURE_SETUP(holding)
{
	self->pinned = pinned_now();
	ASSERT_LE(0, self->pinned);
	ASSERT_EQ(0, vcopy_create("pin", self->uuid));
	self->dev = vcopy_open(self->uuid);
	ASSERT_LE(0, self->dev);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	self->buf = pages_alloc(LEN);
	ASSERT_NE(NULL, self->buf);
	fill(self->buf, LEN, 1);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, self->buf, LEN / 2, BASE));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, self->buf + LEN / 2,
				    LEN / 2, BASE + LEN / 2));
	ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	ASSERT_EQ(0, vcopy_bus_master(self->dev, true));
	ASSERT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_HOLD, BASE + PAGE, 0, LEN - 2 * PAGE));
	ASSERT_EQ(NR_PAGES - 2, vcopy_get(self->dev, VCOPY_HELD));
	ASSERT_EQ(self->pinned + NR_PAGES - 2, pinned_now());
	ASSERT_EQ(NR_PAGES - 2, vm_pin_pages());
}

FIXTURE_TEARDOWN(holding)
{
	close(self->dev);
	close(self->iommufd);
	EXPECT_EQ(0, vcopy_remove(self->uuid));
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(0, vm_pin_pages());
	munmap(self->buf, LEN);
}

TEST_F(holding, unmap_returns_when_it_was_let_go_of)
{
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, BASE, LEN / 2, NULL));
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(0, vm_pin_pages());
	EXPECT_EQ(0, vcopy_get(self->dev, VCOPY_HELD));
	EXPECT_EQ(VCOPY_DONE | VCOPY_LOST, vcopy_get(self->dev, VCOPY_STATUS));
	EXPECT_TRUE(is_filled(self->buf, LEN, 1));
	/* what is still mapped can be held again */
	EXPECT_EQ(VCOPY_ERROR_ADDRESS,
		  vcopy_run(self->dev, VCOPY_CMD_HOLD, BASE + LEN / 2 - PAGE, 0, 2 * PAGE));
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_HOLD, BASE + LEN / 2, 0, PAGE + 1));
	EXPECT_EQ(VCOPY_DONE, vcopy_get(self->dev, VCOPY_STATUS));
	EXPECT_EQ(self->pinned + 2, pinned_now());
}

TEST_F(holding, unmap_of_all_lets_go_of_all)
{
	EXPECT_EQ(0, ioas_unmap_all(self->iommufd, self->ioas, NULL));
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(0, vcopy_get(self->dev, VCOPY_HELD));
}

TEST_F(holding, unmap_of_what_is_not_held_takes_nothing)
{
	uint8_t *third = pages_alloc(PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, third, PAGE, OTHER));
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, OTHER, PAGE, NULL));
	EXPECT_EQ(NR_PAGES - 2, vcopy_get(self->dev, VCOPY_HELD));
	EXPECT_EQ(VCOPY_DONE, vcopy_get(self->dev, VCOPY_STATUS));
	munmap(third, PAGE);
}

TEST_F(holding, held_memory_is_copied_through_the_pins)
{
	uint8_t *old = mmap(NULL, LEN, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE + PAGE + 3, BASE + 5 * PAGE,
			    2 * PAGE));
	EXPECT_EQ(0, memcmp(self->buf + PAGE + 3, self->buf + 5 * PAGE, 2 * PAGE));
	/* the process's memory is replaced: held pages stay, and are not seen any more */
	ASSERT_EQ(self->buf, mremap(old, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, self->buf));
	EXPECT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_LOAD, BASE + PAGE, 0, PAGE));
	EXPECT_NE(0, vcopy_get(self->dev, VCOPY_HELD));
	EXPECT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_RELEASE, 0, 0, 0));
	EXPECT_EQ(self->pinned, pinned_now());
}

TEST_F(holding, release_and_hold_balance)
{
	int i;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(VCOPY_ERROR_NONE,
			  vcopy_run(self->dev, VCOPY_CMD_HOLD, BASE + i * PAGE, 0,
				    (i + 1) * PAGE));
		ASSERT_EQ(self->pinned + i + 1, pinned_now());
	}
	ASSERT_EQ(VCOPY_ERROR_NONE, vcopy_run(self->dev, VCOPY_CMD_RELEASE, 0, 0, 0));
	EXPECT_EQ(0, vcopy_get(self->dev, VCOPY_HELD));
	EXPECT_EQ(self->pinned, pinned_now());
	ASSERT_EQ(VCOPY_ERROR_NONE, vcopy_run(self->dev, VCOPY_CMD_RELEASE, 0, 0, 0));
}

TEST_F(holding, replace_lets_go)
{
	uint32_t ioas;

	ASSERT_EQ(0, ioas_alloc(self->iommufd, &ioas));
	EXPECT_EQ(-ENOENT, vfio_attach(self->dev, UNUSED_ID, NULL));
	EXPECT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(NR_PAGES - 2, vcopy_get(self->dev, VCOPY_HELD));
	EXPECT_EQ(0, vfio_attach(self->dev, ioas, NULL));
	EXPECT_EQ(0, vcopy_get(self->dev, VCOPY_HELD));
	EXPECT_EQ(VCOPY_DONE | VCOPY_LOST, vcopy_get(self->dev, VCOPY_STATUS));
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
}

TEST_F(holding, detach_lets_go)
{
	EXPECT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(0, vcopy_get(self->dev, VCOPY_HELD));
	EXPECT_EQ(VCOPY_DONE | VCOPY_LOST, vcopy_get(self->dev, VCOPY_STATUS));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
}

TEST_F(holding, reset_lets_go)
{
	EXPECT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(0, vcopy_get(self->dev, VCOPY_STATUS));
}

TEST_F(holding, close_lets_go)
{
	EXPECT_EQ(0, close(self->dev));
	self->dev = -1;
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(0, vm_pin_pages());
}

TEST_F(holding, close_of_the_context_first_lets_go_with_the_device)
{
	EXPECT_EQ(0, close(self->iommufd));
	self->iommufd = -1;
	EXPECT_EQ(self->pinned + NR_PAGES - 2, pinned_now());
	EXPECT_EQ(0, close(self->dev));
	self->dev = -1;
	EXPECT_EQ(self->pinned, pinned_now());
}

/* ---- races ---- */

FIXTURE(race)
{
	char uuid[UUID_LEN + 1];
	int dev;
	int iommufd;
	uint32_t ioas[2];
	uint8_t *buf[2];		/* LEN bytes each, mapped at BASE */
	long pinned;
	volatile bool stop;
};

FIXTURE_VARIANT(race)
{
	const char *type;
	bool pins;
};

FIXTURE_VARIANT_ADD(race, pin) { .type = "pin", .pins = true };
FIXTURE_VARIANT_ADD(race, rw) { .type = "rw" };

FIXTURE_SETUP(race)
{
	int i;

	self->pinned = pinned_now();
	ASSERT_EQ(0, vcopy_create(variant->type, self->uuid));
	self->dev = vcopy_open(self->uuid);
	ASSERT_LE(0, self->dev);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas[i]));
		self->buf[i] = pages_alloc(LEN);
		ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas[i], RW,
					    self->buf[i], LEN, BASE));
	}
	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas[0], NULL));
	ASSERT_EQ(0, vcopy_bus_master(self->dev, true));
	self->stop = false;
}

FIXTURE_TEARDOWN(race)
{
	close(self->dev);
	close(self->iommufd);
	EXPECT_EQ(0, vcopy_remove(self->uuid));
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(0, vm_pin_pages());
	munmap(self->buf[0], LEN);
	munmap(self->buf[1], LEN);
}

/* Copy and hold without end, whatever comes of it. */
static void *keep_busy(void *arg)
{
	FIXTURE_DATA(race) *self = arg;
	unsigned int i;

	for (i = 0; !self->stop; i++) {
		if (i % 3)
			vcopy_start(self->dev, VCOPY_CMD_COPY | VCOPY_CMD_REPEAT, BASE,
				    BASE + LEN / 2, LEN / 2);
		else
			vcopy_start(self->dev, VCOPY_CMD_HOLD, BASE, 0, LEN);
		usleep(i % 7 * 100);
		if (i % 5 == 0)
			vcopy_set(self->dev, VCOPY_CMD, VCOPY_CMD_STOP);
	}
	return NULL;
}

TEST_F(race, copies_and_unmap)
{
	long long end = now_ms() + RACE_MS;
	unsigned int n = 0;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, keep_busy, self));
	while (now_ms() < end) {
		ASSERT_EQ(0, ioas_unmap(self->iommufd, self->ioas[0], BASE, LEN, NULL));
		/* Nothing reaches it any more, and nothing is pinned. */
		memset(self->buf[0], n, LEN / 2);
		memset(self->buf[0] + LEN / 2, 0xee, LEN / 2);
		ASSERT_EQ(0, vm_pin_pages());
		usleep(200);
		ASSERT_EQ(self->buf[0] + LEN, memchr(self->buf[0] + LEN / 2, n & 0x7f,
						     LEN / 2) ?: self->buf[0] + LEN);
		ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas[0], RW,
					    self->buf[0], LEN, BASE));
		usleep(n % 10 * 100);
		n = (n + 1) & 0x7f;
	}
	self->stop = true;
	pthread_join(thread, NULL);
}

TEST_F(race, copies_and_replace)
{
	long long end = now_ms() + RACE_MS;
	unsigned int n = 0, at;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, keep_busy, self));
	while (now_ms() < end) {
		n++;
		ASSERT_EQ(0, vfio_attach(self->dev, self->ioas[n % 2], NULL));
		/* The address space that was left is left. */
		memset(self->buf[!(n % 2)], n, LEN / 2);
		memset(self->buf[!(n % 2)] + LEN / 2, ~n, LEN / 2);
		usleep(200);
		for (at = LEN / 2; at < LEN; at++)
			if (self->buf[!(n % 2)][at] != (uint8_t)~n)
				break;
		ASSERT_EQ(LEN, at);
	}
	self->stop = true;
	pthread_join(thread, NULL);
}

/* A pin that is under way sees that it is for nothing when it is done. */
static bool nothing_stays_pinned(void)
{
	long long end = now_ms() + SOON_MS;

	while (vm_pin_pages())
		if (now_ms() > end)
			return false;
	return true;
}

TEST_F(race, copies_and_detach)
{
	long long end = now_ms() + RACE_MS;
	unsigned int n = 0, at;
	pthread_t thread;

	ASSERT_EQ(0, pthread_create(&thread, NULL, keep_busy, self));
	while (now_ms() < end) {
		n++;
		ASSERT_EQ(0, vfio_detach(self->dev));
		ASSERT_TRUE(nothing_stays_pinned());
		memset(self->buf[0], n, LEN / 2);
		memset(self->buf[0] + LEN / 2, ~n, LEN / 2);
		usleep(200);
		for (at = LEN / 2; at < LEN; at++)
			if (self->buf[0][at] != (uint8_t)~n)
				break;
		ASSERT_EQ(LEN, at);
		ASSERT_EQ(0, vfio_attach(self->dev, self->ioas[0], NULL));
		usleep(n % 10 * 100);
	}
	self->stop = true;
	pthread_join(thread, NULL);
}

/* The device is closed in the middle of what it does, and opened again. */
TEST_F(race, copies_and_close)
{
	long long end = now_ms() + RACE_MS;
	unsigned int n = 0;

	while (now_ms() < end) {
		n++;
		if (variant->pins)
			ASSERT_EQ(VCOPY_ERROR_NONE,
				  vcopy_run(self->dev, VCOPY_CMD_HOLD, BASE, 0, LEN));
		ASSERT_EQ(0, vcopy_start(self->dev, VCOPY_CMD_COPY | VCOPY_CMD_REPEAT,
					 BASE, BASE + LEN / 2, LEN / 2));
		usleep(n % 10 * 100);
		if (n % 3 == 0)
			ASSERT_EQ(0, ioas_unmap(self->iommufd, self->ioas[0], BASE, LEN,
						NULL));
		ASSERT_EQ(0, close(self->dev));
		memset(self->buf[0], n, LEN / 2);
		memset(self->buf[0] + LEN / 2, 0xee, LEN / 2);
		ASSERT_EQ(0, vm_pin_pages());
		self->dev = vcopy_open(self->uuid);
		ASSERT_LE(0, self->dev);
		ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
		ASSERT_EQ(0, vcopy_bus_master(self->dev, true));
		if (n % 3 == 0)
			ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas[0], RW,
						    self->buf[0], LEN, BASE));
		ASSERT_EQ(0xee, self->buf[0][LEN - 1]);
		ASSERT_EQ(0, vfio_attach(self->dev, self->ioas[0], NULL));
	}
}

/* Everything at once: two who change, one who copies, one who resets. */
static void *keep_mapping(void *arg)
{
	FIXTURE_DATA(race) *self = arg;
	unsigned int n;

	for (n = 0; !self->stop; n++) {
		ioas_unmap(self->iommufd, self->ioas[n % 2], BASE, LEN, NULL);
		ioas_map_fixed(self->iommufd, self->ioas[n % 2], RW, self->buf[n % 2], LEN,
			       BASE);
	}
	return NULL;
}

static void *keep_resetting(void *arg)
{
	FIXTURE_DATA(race) *self = arg;

	while (!self->stop) {
		ioctl_rc(self->dev, VFIO_DEVICE_RESET, NULL);
		vcopy_bus_master(self->dev, true);
		usleep(3000);
	}
	return NULL;
}

static void *keep_moving(void *arg)
{
	FIXTURE_DATA(race) *self = arg;
	unsigned int n;

	for (n = 0; !self->stop; n++) {
		if (n % 4 == 3)
			vfio_detach(self->dev);
		else
			vfio_attach(self->dev, self->ioas[n % 2], NULL);
	}
	return NULL;
}

TEST_F(race, all_at_once)
{
	void *(*what[])(void *) = { keep_busy, keep_mapping, keep_resetting, keep_moving };
	pthread_t threads[4];
	int i;

	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, what[i], self));
	usleep(2 * RACE_MS * 1000);
	self->stop = true;
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
}

TEST_HARNESS_MAIN
