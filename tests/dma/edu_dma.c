// SPDX-License-Identifier: GPL-2.0
/*
 * What a device reaches, and what it does not, by content: QEMU's edu moves
 * bytes through the IOMMU for real.
 *
 * The device's buffer is filled from, and looked at through, one page that is
 * always mapped, the stage. So "the device reads X" means: the buffer holds
 * poison, the device copies from X, the buffer is copied to the stage and
 * compared. "Cannot" is always shown beside a "can" of the same transfer:
 * otherwise a device that does nothing at all would pass.
 *
 * Needs a kernel log that may have DMA faults in it.
 */
#include <signal.h>
#include <sys/wait.h>

#include "edu.h"
#include "kselftest_harness.h"

#define STAGE	0x10000UL	/* IOVA of the stage */
#define X	0x200000UL	/* IOVAs for what is tested */
#define Y	0x600000UL
#define LENGTH	EDU_MAX

/* Bytes that tell where they come from. */
static void paint(void *p, size_t length, uint32_t seed)
{
	unsigned char *bytes = p;
	size_t i;

	seed = seed * 2654435761U + 1;
	for (i = 0; i < length; i++) {
		seed = seed * 1103515245 + 12345;
		bytes[i] = seed >> 16;
	}
}

/* 0 when they are as painted, else 1 + the offset of the first that is not. */
static size_t painted(const void *p, size_t length, uint32_t seed)
{
	static unsigned char want[4 * PAGE];
	const unsigned char *bytes = p;
	size_t i;

	paint(want, length, seed);
	for (i = 0; i < length; i++)
		if (bytes[i] != want[i])
			return i + 1;
	return 0;
}

FIXTURE(dma)
{
	int dev;
	int iommufd;
	uint32_t devid;
	uint32_t ioas;
	uint32_t other;		/* one more, with the stage in it as well */
	struct edu edu;
	void *stage;
	long pins;
};

FIXTURE_SETUP(dma)
{
	self->pins = pinned_now();
	ASSERT_LE(0, self->pins);
	self->dev = edu_open();
	ASSERT_LE(0, self->dev);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, &self->devid));
	ASSERT_EQ(0, edu_init(&self->edu, self->dev));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->other));
	self->stage = pages_alloc(PAGE);
	ASSERT_NE(NULL, self->stage);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, self->stage,
				    PAGE, STAGE));
	ASSERT_EQ(0, ioas_copy_fixed(self->iommufd, RW, self->other, STAGE,
				     self->ioas, STAGE, PAGE));
	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
}

FIXTURE_TEARDOWN(dma)
{
	edu_uninit(&self->edu);
	close(self->dev);
	close(self->iommufd);
	EXPECT_EQ(self->pins, pinned_now());
}

/* Put painted bytes into the device's buffer. */
static int load(FIXTURE_DATA(dma) *self, uint32_t seed)
{
	paint(self->stage, LENGTH, seed);
	return edu_dma(&self->edu, false, STAGE, LENGTH);
}

/* Let the device write painted bytes to @iova. */
static int device_writes(FIXTURE_DATA(dma) *self, uint64_t iova, uint32_t seed)
{
	int rc = load(self, seed);

	return rc ?: edu_dma(&self->edu, true, iova, LENGTH);
}

/*
 * Let the device read at @iova: 1 if it saw these painted bytes, 0 if it saw
 * something else, or -errno.
 */
static int device_reads(FIXTURE_DATA(dma) *self, uint64_t iova, uint32_t seed)
{
	int rc = load(self, 0xdead);

	if (!rc)
		rc = edu_dma(&self->edu, false, iova, LENGTH);
	memset(self->stage, 0, PAGE);
	if (!rc)
		rc = edu_dma(&self->edu, true, STAGE, LENGTH);
	return rc ?: !painted(self->stage, LENGTH, seed);
}

/* A file in memory, mapped: what one mapping loses another still shows. */
static int memfd(size_t length, void **p)
{
	int fd = memfd_create("dma", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, length))
		return -errno;
	*p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (*p == MAP_FAILED)
		return -errno;
	memset(*p, 0, length);
	return fd;
}

/* ---- both directions ---- */

TEST_F(dma, device_reads_what_the_cpu_wrote)
{
	void *p = pages_alloc(PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, PAGE, X));
	paint(p, PAGE, 1);
	EXPECT_EQ(1, device_reads(self, X, 1));
	EXPECT_EQ(0, painted(p, PAGE, 1));
	/* and what it wrote since */
	paint(p, PAGE, 2);
	EXPECT_EQ(1, device_reads(self, X, 2));
	EXPECT_EQ(0, device_reads(self, X, 1));
}

TEST_F(dma, cpu_reads_what_the_device_wrote)
{
	void *p = pages_alloc(PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, PAGE, X));
	paint(p, PAGE, 1);
	EXPECT_EQ(0, device_writes(self, X, 2));
	EXPECT_EQ(0, painted(p, LENGTH, 2));
	/* exactly that much: what is behind was painted before, differently */
	EXPECT_NE(0, painted(p, PAGE, 2));
	EXPECT_NE(0, painted(p, PAGE, 1));
}

TEST_F(dma, odd_offset_and_count_touch_no_neighbour)
{
	unsigned char *p = pages_alloc(3 * PAGE);
	size_t i;

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, 3 * PAGE,
				    X));
	memset(p, 0xaa, 3 * PAGE);
	ASSERT_EQ(0, load(self, 7));
	/* 13 bytes over the end of the first page */
	ASSERT_EQ(0, edu_dma(&self->edu, true, X + PAGE - 5, 13));
	EXPECT_EQ(0, painted(p + PAGE - 5, 13, 7));
	for (i = 0; i < 3 * PAGE; i++) {
		if (i < PAGE - 5 || i >= PAGE + 8) {
			ASSERT_EQ(0xaa, p[i]) TH_LOG("offset %zu", i);
		}
	}
}

TEST_F(dma, mapping_made_before_the_attach_is_reached)
{
	void *p = pages_alloc(PAGE);

	ASSERT_EQ(0, vfio_detach(self->dev));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, PAGE, X));
	paint(p, PAGE, 1);
	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(1, device_reads(self, X, 1));
	EXPECT_EQ(0, device_writes(self, X, 2));
	EXPECT_EQ(0, painted(p, LENGTH, 2));
}

TEST_F(dma, iova_next_to_the_interrupt_doorbell_works)
{
	static const uint64_t iovas[] = { 0xfedff000, 0xfef00000, 0xfffff000 };
	void *p = pages_alloc(PAGE);
	unsigned int i;

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p,
					    PAGE, iovas[i]));
		EXPECT_EQ(0, device_writes(self, iovas[i], i));
		EXPECT_EQ(0, painted(p, LENGTH, i));
	}
}

/* ---- what is not to be reached ---- */

TEST_F(dma, unmapped_iova_can_be_neither_written_nor_read)
{
	void *p = pages_alloc(PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, PAGE, X));
	ASSERT_EQ(0, device_writes(self, X, 1));
	ASSERT_EQ(0, painted(p, LENGTH, 1));
	ASSERT_EQ(1, device_reads(self, X, 1));

	ASSERT_EQ(0, ioas_unmap(self->iommufd, self->ioas, X, PAGE, NULL));
	EXPECT_EQ(0, device_writes(self, X, 2));
	EXPECT_EQ(0, painted(p, LENGTH, 1));
	EXPECT_EQ(0, device_reads(self, X, 1));
}

TEST_F(dma, neighbour_of_a_mapping_is_not_reached)
{
	unsigned char *p = pages_alloc(4 * PAGE);

	/* Virtually and perhaps physically next to it: not its business. */
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p + PAGE,
				    2 * PAGE, X + PAGE));
	paint(p, 4 * PAGE, 1);
	EXPECT_EQ(0, device_writes(self, X, 2));
	EXPECT_EQ(0, device_writes(self, X + 3 * PAGE, 2));
	EXPECT_EQ(0, painted(p, 4 * PAGE, 1));
	EXPECT_EQ(0, device_writes(self, X + 2 * PAGE, 2));
	EXPECT_EQ(0, painted(p + 2 * PAGE, LENGTH, 2));
}

TEST_F(dma, mapping_for_reading_cannot_be_written)
{
	void *p = pages_alloc(PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RD, p, PAGE, X));
	paint(p, PAGE, 1);
	EXPECT_EQ(0, device_writes(self, X, 2));
	EXPECT_EQ(0, painted(p, PAGE, 1));
	EXPECT_EQ(1, device_reads(self, X, 1));
}

/* 6.1: Intel's driver lets a device read whatever it may write. */
static bool write_implies_read(void)
{
	return !access("/sys/class/iommu/dmar0", F_OK);
}

TEST_F(dma, mapping_for_writing_cannot_be_read_unless_the_driver_cannot_tell)
{
	void *p = pages_alloc(PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, WR, p, PAGE, X));
	paint(p, PAGE, 1);
	EXPECT_EQ(write_implies_read(), device_reads(self, X, 1));
	EXPECT_EQ(0, device_writes(self, X, 2));
	EXPECT_EQ(0, painted(p, LENGTH, 2));
}

TEST_F(dma, copy_for_reading_of_a_writeable_mapping_cannot_be_written)
{
	void *p = pages_alloc(PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, PAGE, X));
	ASSERT_EQ(0, ioas_copy_fixed(self->iommufd, RD, self->ioas, Y,
				     self->ioas, X, PAGE));
	paint(p, PAGE, 1);
	EXPECT_EQ(1, device_reads(self, Y, 1));
	EXPECT_EQ(0, device_writes(self, Y, 2));
	EXPECT_EQ(0, painted(p, PAGE, 1));
	EXPECT_EQ(0, device_writes(self, X, 2));
	EXPECT_EQ(0, painted(p, LENGTH, 2));
}

TEST_F(dma, detached_device_reaches_nothing)
{
	void *p = pages_alloc(PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, PAGE, X));
	paint(p, PAGE, 1);
	ASSERT_EQ(0, load(self, 2));
	ASSERT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(0, edu_dma(&self->edu, true, X, LENGTH));
	EXPECT_EQ(0, painted(p, PAGE, 1));
	EXPECT_EQ(0, edu_dma(&self->edu, false, X, LENGTH));

	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	memset(self->stage, 0, PAGE);
	ASSERT_EQ(0, edu_dma(&self->edu, true, STAGE, LENGTH));
	EXPECT_NE(0, painted(self->stage, LENGTH, 1));
	EXPECT_EQ(0, device_writes(self, X, 3));
	EXPECT_EQ(0, painted(p, LENGTH, 3));
}

/* A table made by hand stays full: only the device's way to it is cut. */
TEST_F(dma, detached_device_does_not_reach_a_table_that_is_still_there)
{
	void *p = pages_alloc(PAGE);
	uint32_t hwpt;

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, PAGE, X));
	ASSERT_EQ(0, hwpt_alloc(self->iommufd, self->devid, self->ioas, &hwpt));
	ASSERT_EQ(0, vfio_attach(self->dev, hwpt, NULL));
	EXPECT_EQ(0, device_writes(self, X, 1));
	EXPECT_EQ(0, painted(p, LENGTH, 1));

	ASSERT_EQ(0, load(self, 2));
	ASSERT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(0, edu_dma(&self->edu, true, X, LENGTH));
	EXPECT_EQ(0, painted(p, LENGTH, 1));

	ASSERT_EQ(0, vfio_attach(self->dev, hwpt, NULL));
	EXPECT_EQ(0, edu_dma(&self->edu, true, X, LENGTH));
	EXPECT_EQ(0, painted(p, LENGTH, 2));
}

/* Where a page is in memory; root may know. */
static uint64_t physical(void *p)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0 || pread(fd, &entry, 8, (uintptr_t)p / PAGE * 8) != 8)
		entry = 0;
	close(fd);
	return (entry & ((1UL << 55) - 1)) * PAGE;
}

TEST_F(dma, physical_addresses_reach_nothing_attached_or_not)
{
	void *p = pages_alloc(PAGE);
	uint64_t phys = physical(p);

	ASSERT_NE(0, phys);
	ASSERT_GT(1UL << 32, phys);
	paint(p, PAGE, 1);
	EXPECT_EQ(0, device_writes(self, phys, 2));
	EXPECT_EQ(0, painted(p, PAGE, 1));
	ASSERT_EQ(0, vfio_detach(self->dev));
	EXPECT_EQ(0, edu_dma(&self->edu, true, phys, LENGTH));
	EXPECT_EQ(0, painted(p, PAGE, 1));
	/* It is there, though: mapped one to one it is hit. */
	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, PAGE,
				    phys));
	EXPECT_EQ(0, device_writes(self, phys, 2));
	EXPECT_EQ(0, painted(p, LENGTH, 2));
}

TEST_F(dma, closed_device_reaches_nothing_although_told_to)
{
	void *p = pages_alloc(PAGE);
	int round;

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, PAGE, X));
	for (round = 0; round < 2; round++) {
		paint(p, PAGE, 1);
		ASSERT_EQ(0, load(self, 2));
		edu_start(&self->edu, true, X, LENGTH);
		if (round) {
			/* It has begun; a mapped register holds the file. */
			edu_uninit(&self->edu);
			ASSERT_EQ(0, close(self->dev));
			usleep(500000);
			EXPECT_EQ(0, painted(p, PAGE, 1));
		} else {
			/* the same without the close arrives */
			usleep(500000);
			EXPECT_EQ(0, painted(p, LENGTH, 2));
		}
	}
	self->dev = edu_open();
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
	ASSERT_EQ(0, edu_init(&self->edu, self->dev));
	usleep(200000);
	EXPECT_EQ(0, painted(p, PAGE, 1));
}

TEST_F(dma, device_of_a_killed_process_reaches_nothing)
{
	int pipes[2], status, fd;
	void *p;
	char byte;
	pid_t pid;

	/* Give the device up for a child to take. */
	edu_uninit(&self->edu);
	close(self->dev);
	fd = memfd(PAGE, &p);
	ASSERT_LE(0, fd);
	paint(p, PAGE, 1);
	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		self->iommufd = iommufd_open();
		self->dev = edu_open();
		if (vfio_bind(self->dev, self->iommufd, NULL) ||
		    edu_init(&self->edu, self->dev) ||
		    ioas_alloc(self->iommufd, &self->ioas) ||
		    ioas_map_fixed(self->iommufd, self->ioas, RW, self->stage,
				   PAGE, STAGE) ||
		    ioas_map_fixed(self->iommufd, self->ioas, RW, p, PAGE, X) ||
		    vfio_attach(self->dev, self->ioas, NULL) || load(self, 2))
			_exit(1);
		edu_start(&self->edu, true, X, LENGTH);
		if (write(pipes[1], "x", 1) != 1)
			_exit(1);
		pause();
	}
	close(pipes[1]);
	ASSERT_EQ(1, read(pipes[0], &byte, 1));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	usleep(500000);
	EXPECT_EQ(0, painted(p, PAGE, 1));

	self->dev = edu_open();
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, vfio_bind(self->dev, self->iommufd, NULL));
	ASSERT_EQ(0, edu_init(&self->edu, self->dev));
}

/* ---- replace ---- */

TEST_F(dma, replace_leads_to_the_new_memory_and_back)
{
	void *a = pages_alloc(PAGE), *b = pages_alloc(PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, a, PAGE, X));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->other, RW, b, PAGE, X));
	paint(a, PAGE, 1);
	paint(b, PAGE, 2);
	EXPECT_EQ(1, device_reads(self, X, 1));

	ASSERT_EQ(0, vfio_attach(self->dev, self->other, NULL));
	EXPECT_EQ(1, device_reads(self, X, 2));
	EXPECT_EQ(0, device_writes(self, X, 3));
	EXPECT_EQ(0, painted(b, LENGTH, 3));
	EXPECT_EQ(0, painted(a, PAGE, 1));

	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	EXPECT_EQ(1, device_reads(self, X, 1));
	EXPECT_EQ(0, device_writes(self, X, 4));
	EXPECT_EQ(0, painted(a, LENGTH, 4));
	EXPECT_EQ(0, painted(b, LENGTH, 3));
}

TEST_F(dma, replace_leaves_the_old_memory_out_of_reach)
{
	void *p = pages_alloc(PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, PAGE, X));
	ASSERT_EQ(0, device_writes(self, X, 1));
	ASSERT_EQ(0, painted(p, LENGTH, 1));
	ASSERT_EQ(0, vfio_attach(self->dev, self->other, NULL));
	EXPECT_EQ(0, device_writes(self, X, 2));
	EXPECT_EQ(0, painted(p, LENGTH, 1));
	EXPECT_EQ(0, device_reads(self, X, 1));
}

TEST_F(dma, replace_that_fails_leaves_the_device_where_it_was)
{
	void *p = pages_alloc(PAGE), *gone = pages_alloc(PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, PAGE, X));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->other, RW, gone, PAGE,
				    X));
	munmap(gone, PAGE);
	EXPECT_EQ(-EFAULT, vfio_attach(self->dev, self->other, NULL));
	EXPECT_EQ(-ENOENT, vfio_attach(self->dev, 0x7fffffff, NULL));
	EXPECT_EQ(0, device_writes(self, X, 1));
	EXPECT_EQ(0, painted(p, LENGTH, 1));
}

TEST_F(dma, mappings_made_after_a_replace_are_reached)
{
	void *p = pages_alloc(4 * PAGE);
	int round;

	for (round = 0; round < 3; round++) {
		ASSERT_EQ(0, vfio_attach(self->dev, self->other, NULL));
		ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->other, RW, p,
					    4 * PAGE, X));
		EXPECT_EQ(0, device_writes(self, X + 3 * PAGE, round));
		EXPECT_EQ(0, painted(p + 3 * PAGE, LENGTH, round));
		ASSERT_EQ(0, ioas_unmap(self->iommufd, self->other, X, 4 * PAGE,
					NULL));
		paint(p, 4 * PAGE, 99);
		EXPECT_EQ(0, device_writes(self, X, round));
		EXPECT_EQ(0, painted(p, 4 * PAGE, 99));
		ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	}
}

/* ---- copies ---- */

TEST_F(dma, copies_lead_to_the_same_memory)
{
	void *p = pages_alloc(4 * PAGE);

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, 4 * PAGE,
				    X));
	/* a part of it in the same address space, another in the other one */
	ASSERT_EQ(0, ioas_copy_fixed(self->iommufd, RW, self->ioas, Y,
				     self->ioas, X + PAGE, 2 * PAGE));
	ASSERT_EQ(0, ioas_copy_fixed(self->iommufd, RW, self->other, Y,
				     self->ioas, X + 2 * PAGE, 2 * PAGE));
	EXPECT_EQ(0, device_writes(self, Y, 1));
	EXPECT_EQ(0, painted(p + PAGE, LENGTH, 1));
	EXPECT_EQ(0, device_writes(self, Y + PAGE, 2));
	EXPECT_EQ(0, painted(p + 2 * PAGE, LENGTH, 2));

	/* The copies outlive what they were made of. */
	ASSERT_EQ(0, ioas_unmap(self->iommufd, self->ioas, X, 4 * PAGE, NULL));
	EXPECT_EQ(0, device_writes(self, Y, 3));
	EXPECT_EQ(0, painted(p + PAGE, LENGTH, 3));
	ASSERT_EQ(0, vfio_attach(self->dev, self->other, NULL));
	EXPECT_EQ(0, device_writes(self, Y + PAGE, 4));
	EXPECT_EQ(0, painted(p + 3 * PAGE, LENGTH, 4));
	EXPECT_EQ(1, device_reads(self, Y, 2));
}

/* ---- which page is the page ---- */

TEST_F(dma, untouched_memory_mapped_for_reading_shows_later_writes)
{
	void *p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RD, p, 4 * PAGE,
				    X));
	paint(p, PAGE, 1);
	paint(p + 3 * PAGE, PAGE, 2);
	EXPECT_EQ(1, device_reads(self, X, 1));
	EXPECT_EQ(1, device_reads(self, X + 3 * PAGE, 2));
}

TEST_F(dma, memory_read_but_never_written_shows_later_writes)
{
	volatile char *p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, (void *)p);
	EXPECT_EQ(0, p[0]);		/* now it is the zero page */
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RD, (void *)p,
				    PAGE, X));
	paint((void *)p, PAGE, 1);
	EXPECT_EQ(1, device_reads(self, X, 1));
}

static int file_with(uint32_t seed, size_t length)
{
	char *data = pages_alloc(length);
	FILE *f = tmpfile();
	int fd;

	if (!f || !data)
		return -1;
	fd = dup(fileno(f));
	fclose(f);
	paint(data, length, seed);
	if (write(fd, data, length) != length)
		return -1;
	munmap(data, length);
	return fd;
}

TEST_F(dma, private_file_mapped_for_reading_shows_later_writes)
{
	int fd = file_with(1, PAGE);
	char content[PAGE];
	void *p;

	ASSERT_LE(0, fd);
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RD, p, PAGE, X));
	EXPECT_EQ(1, device_reads(self, X, 1));
	paint(p, PAGE, 2);
	EXPECT_EQ(1, device_reads(self, X, 2));
	/* and the file is as it was */
	ASSERT_EQ(PAGE, pread(fd, content, PAGE, 0));
	EXPECT_EQ(0, painted(content, PAGE, 1));
}

TEST_F(dma, private_file_that_becomes_writeable_later_shows_later_writes)
{
	int fd = file_with(1, PAGE);
	char content[PAGE];
	void *p;

	ASSERT_LE(0, fd);
	p = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	ASSERT_NE(MAP_FAILED, p);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RD, p, PAGE, X));
	EXPECT_EQ(1, device_reads(self, X, 1));
	ASSERT_EQ(0, mprotect(p, PAGE, PROT_READ | PROT_WRITE));
	paint(p, PAGE, 2);
	EXPECT_EQ(1, device_reads(self, X, 2));
	ASSERT_EQ(PAGE, pread(fd, content, PAGE, 0));
	EXPECT_EQ(0, painted(content, PAGE, 1));
}

TEST_F(dma, memory_shared_with_a_child_stays_the_parents)
{
	void *p = pages_alloc(PAGE);
	int status;
	pid_t pid;

	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, PAGE, X));
	paint(p, PAGE, 1);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		usleep(300000);
		_exit(painted(p, PAGE, 1) ? 1 : 0);
	}
	/* Copy on write must not move the parent away from the device. */
	paint(p, PAGE, 2);
	EXPECT_EQ(1, device_reads(self, X, 2));
	EXPECT_EQ(0, device_writes(self, X, 3));
	EXPECT_EQ(0, painted(p, LENGTH, 3));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

TEST_F(dma, memory_that_the_process_unmapped_is_still_reached)
{
	void *seen, *mapped;
	int fd = memfd(2 * PAGE, &seen);

	ASSERT_LE(0, fd);
	mapped = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, mapped);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, mapped,
				    2 * PAGE, X));
	ASSERT_EQ(0, munmap(mapped, 2 * PAGE));
	EXPECT_EQ(0, device_writes(self, X + PAGE, 1));
	EXPECT_EQ(0, painted(seen + PAGE, LENGTH, 1));
	paint(seen, PAGE, 2);
	EXPECT_EQ(1, device_reads(self, X, 2));
}

TEST_F(dma, memory_of_a_process_that_is_gone_is_still_reached)
{
	int status, fd;
	void *seen;
	pid_t pid;

	fd = memfd(PAGE, &seen);
	ASSERT_LE(0, fd);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		_exit(ioas_map_fixed(self->iommufd, self->ioas, RW, seen, PAGE,
				     X) ? 1 : 0);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, status);
	EXPECT_EQ(0, device_writes(self, X, 1));
	EXPECT_EQ(0, painted(seen, LENGTH, 1));
}

/* ---- many pages, large pages ---- */

TEST_F(dma, scattered_pages_are_each_where_they_should_be)
{
	enum { NR = 600 };
	unsigned int order[NR], i, j, swap, seed = 4711;
	void *seen, *mapped;
	int fd = memfd(NR * PAGE, &seen);

	ASSERT_LE(0, fd);
	for (i = 0; i < NR; i++)
		order[i] = i;
	for (i = NR - 1; i > 0; i--) {
		j = rand_r(&seed) % (i + 1);
		swap = order[i];
		order[i] = order[j];
		order[j] = swap;
	}
	/* The pages of the file in another order, one by one */
	mapped = mmap(NULL, NR * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	ASSERT_NE(MAP_FAILED, mapped);
	for (i = 0; i < NR; i++) {
		ASSERT_EQ(mapped + i * PAGE,
			  mmap(mapped + i * PAGE, PAGE, PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_FIXED, fd, order[i] * PAGE));
	}
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, mapped,
				    NR * PAGE, X));
	EXPECT_EQ(self->pins + 1 + NR, pinned_now());
	for (i = 0; i < NR; i += 67) {
		EXPECT_EQ(0, device_writes(self, X + i * PAGE + 100, i));
		EXPECT_EQ(0, painted(seen + order[i] * PAGE + 100, LENGTH, i))
			TH_LOG("page %u is file page %u", i, order[i]);
	}
	/* across a page boundary: half here, half there */
	ASSERT_EQ(0, load(self, 5));
	ASSERT_EQ(0, edu_dma(&self->edu, true, X + 300 * PAGE - 1024, 2048));
	EXPECT_EQ(0, painted(mapped + 300 * PAGE - 1024, 2048, 5));
}

static void probe_large(struct __test_metadata *_metadata,
			FIXTURE_DATA(dma) *self, void *p, size_t length)
{
	const size_t offsets[] = {
		0, PAGE + 8, MiB - LENGTH / 2, length / 2 - LENGTH / 2,
		length - LENGTH,
	};
	unsigned int i;

	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, device_writes(self, X + offsets[i], i + 1));
		EXPECT_EQ(0, painted(p + offsets[i], LENGTH, i + 1))
			TH_LOG("offset %#zx", offsets[i]);
		paint(p + offsets[i], LENGTH, i + 100);
		EXPECT_EQ(1, device_reads(self, X + offsets[i], i + 100))
			TH_LOG("offset %#zx", offsets[i]);
	}
	EXPECT_EQ(0, ioas_unmap(self->iommufd, self->ioas, X, length, NULL));
	paint(p, PAGE, 1);
	paint(p + length - PAGE, PAGE, 1);
	EXPECT_EQ(0, device_writes(self, X, 2));
	EXPECT_EQ(0, device_writes(self, X + length - LENGTH, 2));
	EXPECT_EQ(0, painted(p, PAGE, 1));
	EXPECT_EQ(0, painted(p + length - PAGE, PAGE, 1));
}

TEST_F_TIMEOUT(dma, transparent_huge_pages_work_at_every_offset, 60)
{
	size_t length = 4 * MiB;
	void *p = mmap(NULL, length + 2 * MiB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	p = (void *)(((uintptr_t)p + 2 * MiB - 1) & ~(2 * MiB - 1));
	ASSERT_EQ(0, want_huge_pages(p, length));
	memset(p, 0, length);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, length, X));
	probe_large(_metadata, self, p, length);
}

TEST_F_TIMEOUT(dma, hugetlb_pages_work_at_every_offset, 60)
{
	size_t length = 4 * MiB;
	void *p;

	ASSERT_EQ(0, sysfs_write("/proc/sys/vm/nr_hugepages", "4"));
	p = mmap(NULL, length, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	ASSERT_NE(MAP_FAILED, p);
	memset(p, 0, length);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, p, length, X));
	probe_large(_metadata, self, p, length);
	munmap(p, length);
	ASSERT_EQ(0, sysfs_write("/proc/sys/vm/nr_hugepages", "0"));
}

TEST_F_TIMEOUT(dma, part_of_a_huge_page_is_just_that_part, 60)
{
	void *p = mmap(NULL, 4 * MiB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, p);
	p = (void *)(((uintptr_t)p + 2 * MiB - 1) & ~(2 * MiB - 1));
	ASSERT_EQ(0, want_huge_pages(p, 2 * MiB));
	memset(p, 0x55, 2 * MiB);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW,
				    p + 17 * PAGE, 3 * PAGE, X + 17 * PAGE));
	paint(p + 16 * PAGE, PAGE, 1);
	paint(p + 20 * PAGE, PAGE, 1);
	EXPECT_EQ(0, device_writes(self, X + 16 * PAGE, 2));
	EXPECT_EQ(0, device_writes(self, X + 20 * PAGE, 2));
	EXPECT_EQ(0, painted(p + 16 * PAGE, PAGE, 1));
	EXPECT_EQ(0, painted(p + 20 * PAGE, PAGE, 1));
	EXPECT_EQ(0, device_writes(self, X + 18 * PAGE, 3));
	EXPECT_EQ(0, painted(p + 18 * PAGE, LENGTH, 3));
}

TEST_HARNESS_MAIN
