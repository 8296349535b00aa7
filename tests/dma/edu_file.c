// SPDX-License-Identifier: GPL-2.0
/*
 * IOMMU_IOAS_MAP_FILE: what a device reaches when a file is mapped, not memory
 * of a process. With QEMU's edu device, by content; each test for memfds, files
 * of a tmpfs and memfds of huge pages.
 *
 * The file is looked at through read() and write(), or a mapping, that have
 * nothing to do with the pages that were pinned but the file they are of.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "stage.h"
#include "kselftest_harness.h"

#define X	0x800000UL	/* IOVAs for what is tested */
#define Y	0x1000000UL
#define SIZE	(4 * MiB)	/* of a file: two huge pages */
#define NR	(SIZE / PAGE)
#define NOBODY	65534
#define HUGE_PAGES "16"
#define HUGE_2MB (21U << 26)	/* MFD_HUGE_2MB of linux/memfd.h */

/* What /proc/self/maps says, then and now. Nothing is allocated on the way. */
static char vmas_then[64 << 10], vmas_now[64 << 10];

static void vmas_read(char text[static 64 << 10])
{
	size_t length = 0;
	ssize_t more;
	int fd = open("/proc/self/maps", O_RDONLY);

	while ((more = read(fd, text + length, (64 << 10) - 1 - length)) > 0)
		length += more;
	close(fd);
	text[length] = '\0';
}

static void remember_vmas(void)
{
	vmas_read(vmas_then);
}

/* Did a mapping come or go since? */
static bool vmas_changed(void)
{
	vmas_read(vmas_now);
	return !vmas_then[0] || strcmp(vmas_then, vmas_now);
}

enum kind { MEMFD, TMPFS, HUGETLB };

FIXTURE(file)
{
	struct stage s;
	int fd;
	char dir[64];		/* where a tmpfs is mounted */
	long free_huge;
};

FIXTURE_VARIANT(file)
{
	enum kind kind;
};

FIXTURE_VARIANT_ADD(file, memfd) { .kind = MEMFD };
FIXTURE_VARIANT_ADD(file, tmpfs) { .kind = TMPFS };
FIXTURE_VARIANT_ADD(file, hugetlb) { .kind = HUGETLB };

static long huge_pages_in_pool(const char *name)
{
	char line[128];
	long value = -1;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, name, strlen(name)))
			value = atol(line + strlen(name));
	if (f)
		fclose(f);
	return value;
}

/* An empty file of a kind that has @size bytes. */
static int file_new(enum kind kind, const char *dir, uint64_t size)
{
	char path[PATH_MAX];
	int fd;

	switch (kind) {
	case MEMFD:
		fd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING);
		break;
	case HUGETLB:
		fd = memfd_create("file", MFD_CLOEXEC | MFD_ALLOW_SEALING |
				  MFD_HUGETLB | HUGE_2MB);
		break;
	default:
		snprintf(path, sizeof(path), "%s/file", dir);
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
		break;
	}
	if (fd >= 0 && ftruncate(fd, size)) {
		close(fd);
		fd = -1;
	}
	return fd < 0 ? -errno : fd;
}

/* The same file with other rights. */
static int file_reopen(int fd, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void *file_mmap(int fd, size_t length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

static int64_t file_size(int fd)
{
	struct stat st;

	return fstat(fd, &st) ? -1 : st.st_size;
}

FIXTURE_SETUP(file)
{
	if (variant->kind == HUGETLB) {
		ASSERT_EQ(0, sysfs_write("/proc/sys/vm/nr_hugepages",
					 HUGE_PAGES));
	}
	self->free_huge = huge_pages_in_pool("HugePages_Free:");
	if (variant->kind == TMPFS) {
		strcpy(self->dir, "/tmp/edu_file.XXXXXX");
		ASSERT_NE(NULL, mkdtemp(self->dir));
		ASSERT_EQ(0, mount("none", self->dir, "tmpfs", 0, NULL));
	}
	ASSERT_EQ(0, stage_open(&self->s));
	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.ioas, NULL));
	self->fd = file_new(variant->kind, self->dir, SIZE);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(file)
{
	if (self->fd >= 0)
		close(self->fd);
	stage_close(&self->s);
	EXPECT_EQ(self->s.pins, pinned_now());
	if (variant->kind == TMPFS) {
		/* EBUSY if a reference to the file was lost */
		EXPECT_EQ(0, umount(self->dir));
		EXPECT_EQ(0, rmdir(self->dir));
	}
	EXPECT_EQ(self->free_huge, huge_pages_in_pool("HugePages_Free:"));
	EXPECT_EQ(0, huge_pages_in_pool("HugePages_Rsvd:"));
	if (variant->kind == HUGETLB) {
		EXPECT_EQ(0, sysfs_write("/proc/sys/vm/nr_hugepages", "0"));
	}
}

/* ---- what is reached ---- */

TEST_F_TIMEOUT(file, device_and_cpu_see_the_same_in_both_directions, 120)
{
	static const uint64_t offsets[] = {
		0, PAGE + 8, MiB - LENGTH / 2, 2 * MiB - LENGTH / 2,
		SIZE - LENGTH,
	};
	char *p = file_mmap(self->fd, SIZE);
	unsigned int i;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas, RW, self->fd,
				    0, SIZE, X));
	EXPECT_EQ(1 + NR, stage_pins(&self->s));
	for (i = 0; i < 5; i++) {
		paint(p + offsets[i], LENGTH, i);
		EXPECT_EQ(1, device_reads(&self->s, X + offsets[i], i))
			TH_LOG("offset %#lx", offsets[i]);
		EXPECT_EQ(0, device_writes(&self->s, X + offsets[i], i + 100));
		EXPECT_EQ(0, painted(p + offsets[i], LENGTH, i + 100))
			TH_LOG("offset %#lx", offsets[i]);
	}
	/* Nothing but those places was written. */
	for (i = 0; i < 5; i++) {
		memset(p + offsets[i], 0, LENGTH);
	}
	EXPECT_EQ(0, all_zero(p, SIZE));

	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, X, SIZE, NULL));
	EXPECT_EQ(1, stage_pins(&self->s));
	EXPECT_EQ(0, device_writes(&self->s, X, 1));
	EXPECT_EQ(0, all_zero(p, SIZE));
	munmap(p, SIZE);
}

TEST_F(file, part_of_a_file_is_just_that_part)
{
	char *p = file_mmap(self->fd, SIZE);

	ASSERT_NE(NULL, p);
	memset(p, 0x55, SIZE);
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas, RW, self->fd,
				    3 * PAGE, 5 * PAGE, X));
	EXPECT_EQ(1 + 5, stage_pins(&self->s));
	EXPECT_EQ(0, device_writes(&self->s, X + PAGE, 1));
	EXPECT_EQ(0, painted(p + 4 * PAGE, LENGTH, 1));
	EXPECT_EQ(0, device_writes(&self->s, X - PAGE, 2));
	EXPECT_EQ(0, device_writes(&self->s, X + 5 * PAGE, 2));
	memset(p + 4 * PAGE, 0x55, LENGTH);
	EXPECT_EQ(0, memcmp(p, p + PAGE, SIZE - PAGE));

	/* and one over the border of the huge pages */
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas, RW, self->fd,
				    2 * MiB - PAGE, 2 * PAGE, Y));
	EXPECT_EQ(1 + 5 + 2, stage_pins(&self->s));
	EXPECT_EQ(0, device_writes(&self->s, Y + PAGE - LENGTH / 2, 3));
	EXPECT_EQ(0, painted(p + 2 * MiB - LENGTH / 2, LENGTH, 3));
	munmap(p, SIZE);
}

TEST_F(file, pages_stay_when_mappings_and_the_file_are_closed)
{
	char *p = file_mmap(self->fd, SIZE);

	ASSERT_NE(NULL, p);
	paint(p, PAGE, 1);
	paint(p + SIZE - PAGE, PAGE, 2);
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas, RW, self->fd,
				    0, SIZE, X));
	ASSERT_EQ(0, munmap(p, SIZE));
	ASSERT_EQ(0, close(self->fd));
	self->fd = -1;
	EXPECT_EQ(1 + NR, stage_pins(&self->s));
	EXPECT_EQ(1, device_reads(&self->s, X, 1));
	EXPECT_EQ(1, device_reads(&self->s, X + SIZE - PAGE, 2));
	EXPECT_EQ(0, device_writes(&self->s, X + PAGE, 3));
	EXPECT_EQ(1, device_reads(&self->s, X + PAGE, 3));
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, X, SIZE, NULL));
	EXPECT_EQ(1, stage_pins(&self->s));
	EXPECT_EQ(self->free_huge, huge_pages_in_pool("HugePages_Free:"));
}

/* Nobody but the IOAS has the file when its pages are asked for. */
TEST_F(file, attach_finds_the_pages_of_a_file_that_was_closed)
{
	char *p = file_mmap(self->fd, SIZE);

	ASSERT_NE(NULL, p);
	paint(p + SIZE - PAGE, PAGE, 2);
	munmap(p, SIZE);
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.other, RW,
				    self->fd, 0, SIZE, X));
	ASSERT_EQ(0, close(self->fd));
	self->fd = -1;
	EXPECT_EQ(1, stage_pins(&self->s));
	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.other, NULL));
	EXPECT_EQ(1 + NR, stage_pins(&self->s));
	EXPECT_EQ(1, device_reads(&self->s, X + SIZE - PAGE, 2));
	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.ioas, NULL));
	EXPECT_EQ(1, stage_pins(&self->s));
}

TEST_F(file, holes_are_zero_and_get_their_page_for_good)
{
	char *p;

	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas, RD, self->fd,
				    0, SIZE, X));
	EXPECT_EQ(0, device_fetches(&self->s, X + 7 * PAGE));
	EXPECT_EQ(0, all_zero(self->s.page, LENGTH));
	EXPECT_EQ(0, device_fetches(&self->s, X + SIZE - LENGTH));
	EXPECT_EQ(0, all_zero(self->s.page, LENGTH));
	/* What the CPU writes, through a mapping made later, is seen. */
	p = file_mmap(self->fd, SIZE);
	ASSERT_NE(NULL, p);
	paint(p + 7 * PAGE, PAGE, 1);
	EXPECT_EQ(1, device_reads(&self->s, X + 7 * PAGE, 1));
	/* read only it is */
	EXPECT_EQ(0, device_writes(&self->s, X + 7 * PAGE, 2));
	EXPECT_EQ(0, painted(p + 7 * PAGE, PAGE, 1));
	munmap(p, SIZE);
}

TEST_F(file, pages_stay_when_the_file_is_cut)
{
	char *p = file_mmap(self->fd, SIZE);

	ASSERT_NE(NULL, p);
	paint(p, PAGE, 1);
	munmap(p, SIZE);
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas, RW, self->fd,
				    0, SIZE, X));
	ASSERT_EQ(0, ftruncate(self->fd, 0));
	EXPECT_EQ(1, device_reads(&self->s, X, 1));
	/* Fresh pages in the same place are others. */
	ASSERT_EQ(0, ftruncate(self->fd, SIZE));
	p = file_mmap(self->fd, SIZE);
	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, device_writes(&self->s, X, 2));
	EXPECT_EQ(0, all_zero(p, PAGE));
	munmap(p, SIZE);
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, X, SIZE, NULL));
	EXPECT_EQ(1, stage_pins(&self->s));
}

/* VmPin of a process in pages. */
static long charged(pid_t pid)
{
	char path[64], line[128];
	long kb = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmPin: %ld kB", &kb);
	if (f)
		fclose(f);
	return kb < 0 ? -1 : kb * 1024 / (long)PAGE;
}

/* The stage's page becomes one of a file, so that files are all there is. */
static int stage_of_file(struct stage *s, int file)
{
	int rc;

	rc = ioas_unmap(s->iommufd, s->ioas, STAGE, PAGE, NULL);
	if (!rc)
		rc = ioas_unmap(s->iommufd, s->other, STAGE, PAGE, NULL);
	if (!rc && (ftruncate(file, PAGE) ||
		    mmap(s->page, PAGE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_FIXED, file, 0) == MAP_FAILED))
		rc = -errno;
	return rc ?: map_file_fixed(s->iommufd, s->ioas, RW, file, 0, PAGE,
				    STAGE);
}

TEST_F_TIMEOUT(file, dma_goes_on_while_another_process_takes_the_pages, 120)
{
	char *p = file_mmap(self->fd, SIZE);
	int memfd = memfd_create("stage", MFD_CLOEXEC);
	int stop[2], i, status;
	char byte;
	pid_t pid;

	ASSERT_NE(NULL, p);
	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, stage_of_file(&self->s, memfd));
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas, RW, self->fd,
				    0, SIZE, X));
	EXPECT_EQ(1 + NR, charged(getpid()));
	ASSERT_EQ(0, pipe2(stop, O_NONBLOCK));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* The heir: asks again and again, and goes when told. */
		close(stop[1]);
		do {
			if (ioas_change_process(self->s.iommufd))
				_exit(1);
			usleep(1000);
		} while (read(stop[0], &byte, 1) < 0 && errno == EAGAIN);
		_exit(0);
	}
	for (i = 0; i < 10; i++) {
		paint(p, LENGTH, i);
		EXPECT_EQ(1, device_reads(&self->s, X, i));
		EXPECT_EQ(0, device_writes(&self->s, X + PAGE, i + 100));
		EXPECT_EQ(0, painted(p + PAGE, LENGTH, i + 100));
		/* Every other time this one asks, too. */
		if (i % 2) {
			EXPECT_EQ(0, ioas_change_process(self->s.iommufd));
		}
	}
	while (charged(pid) != 1 + NR)
		usleep(1000);
	EXPECT_EQ(0, charged(getpid()));
	EXPECT_EQ(1 + NR, stage_pins(&self->s));
	close(stop[0]);
	close(stop[1]);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);

	/* The heir is dead: nothing changes for the device. */
	EXPECT_EQ(1 + NR, stage_pins(&self->s));
	EXPECT_EQ(1, device_reads(&self->s, X + PAGE, 9 + 100));
	EXPECT_EQ(0, ioas_change_process(self->s.iommufd));
	EXPECT_EQ(1 + NR, charged(getpid()));
	ASSERT_EQ(0, ioas_unmap_all(self->s.iommufd, self->s.ioas, NULL));
	EXPECT_EQ(0, charged(getpid()));
	close(memfd);
	munmap(p, SIZE);
}

TEST_F(file, copies_lead_to_the_same_pages)
{
	char *p = file_mmap(self->fd, SIZE);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas, RW, self->fd,
				    0, SIZE, X));
	ASSERT_EQ(0, ioas_copy_fixed(self->s.iommufd, RW, self->s.other, Y,
				     self->s.ioas, X + PAGE, 9 * PAGE));
	ASSERT_EQ(0, ioas_copy_fixed(self->s.iommufd, RD, self->s.ioas, Y,
				     self->s.ioas, X, SIZE));
	EXPECT_EQ(1 + NR, stage_pins(&self->s));
	EXPECT_EQ(0, device_writes(&self->s, X + PAGE, 1));
	EXPECT_EQ(1, device_reads(&self->s, Y + PAGE, 1));
	EXPECT_EQ(0, device_writes(&self->s, Y + PAGE, 2));
	EXPECT_EQ(0, painted(p + PAGE, LENGTH, 1));
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, X, SIZE, NULL));
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, Y, SIZE, NULL));
	EXPECT_EQ(1, stage_pins(&self->s));
	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.other, NULL));
	EXPECT_EQ(1 + 9, stage_pins(&self->s));
	EXPECT_EQ(1, device_reads(&self->s, Y, 1));
	EXPECT_EQ(0, device_writes(&self->s, Y + 8 * PAGE, 3));
	EXPECT_EQ(0, painted(p + 9 * PAGE, LENGTH, 3));
	munmap(p, SIZE);
}

TEST_F(file, copy_gets_no_right_that_the_mapping_does_not_have)
{
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.other, RD,
				    self->fd, 0, SIZE, X));
	EXPECT_EQ(-EPERM, ioas_copy_fixed(self->s.iommufd, RW, self->s.ioas, X,
					  self->s.other, X, SIZE));
	EXPECT_EQ(0, ioas_copy_fixed(self->s.iommufd, RD, self->s.ioas, X,
				     self->s.other, X, SIZE));
	EXPECT_EQ(1 + NR, stage_pins(&self->s));
}

TEST_F(file, file_and_memory_are_apart_in_one_address_space)
{
	char *p = file_mmap(self->fd, SIZE), *q = pages_alloc(PAGE);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas, RW, self->fd,
				    0, SIZE, X));
	/* the same pages by address, and other pages */
	ASSERT_EQ(0, ioas_map_fixed(self->s.iommufd, self->s.ioas, RW, p, PAGE,
				    X - PAGE));
	ASSERT_EQ(0, ioas_map_fixed(self->s.iommufd, self->s.ioas, RW, q, PAGE,
				    X + SIZE));
	EXPECT_EQ(1 + NR + 2, stage_pins(&self->s));
	EXPECT_EQ(0, device_writes(&self->s, X - PAGE, 1));
	EXPECT_EQ(1, device_reads(&self->s, X, 1));
	EXPECT_EQ(0, device_writes(&self->s, X + SIZE, 2));
	EXPECT_EQ(0, painted(q, LENGTH, 2));
	EXPECT_EQ(0, painted(p, LENGTH, 1));
	munmap(p, SIZE);
}

/* ---- other processes ---- */

static int child_status(pid_t pid)
{
	int status = -1;

	if (waitpid(pid, &status, 0) != pid)
		return -errno;
	return status;
}

TEST_F(file, attach_by_another_process_pins_the_pages_of_the_file)
{
	char *p = file_mmap(self->fd, SIZE);
	pid_t pid;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.other, RW,
				    self->fd, 0, SIZE, X));
	paint(p + PAGE, PAGE, 1);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* It has neither a mapping nor a descriptor of the file. */
		munmap(p, SIZE);
		close(self->fd);
		remember_vmas();
		if (vfio_attach(self->s.dev, self->s.other, NULL))
			_exit(1);
		_exit(vmas_changed() ? 2 : 0);
	}
	EXPECT_EQ(0, child_status(pid));
	EXPECT_EQ(1 + NR, stage_pins(&self->s));
	EXPECT_EQ(1, device_reads(&self->s, X + PAGE, 1));
	EXPECT_EQ(0, device_writes(&self->s, X + SIZE - LENGTH, 2));
	EXPECT_EQ(0, painted(p + SIZE - LENGTH, LENGTH, 2));
	munmap(p, SIZE);
}

TEST_F(file, file_mapped_by_a_process_that_is_gone_can_be_pinned)
{
	char *p = file_mmap(self->fd, SIZE);
	pid_t pid;

	ASSERT_NE(NULL, p);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		_exit(map_file_fixed(self->s.iommufd, self->s.other, RW,
				     self->fd, 0, SIZE, X) ? 1 : 0);
	}
	ASSERT_EQ(0, child_status(pid));
	EXPECT_EQ(1, stage_pins(&self->s));
	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.other, NULL));
	EXPECT_EQ(1 + NR, stage_pins(&self->s));
	EXPECT_EQ(0, device_writes(&self->s, X + MiB, 1));
	EXPECT_EQ(0, painted(p + MiB, LENGTH, 1));
	ASSERT_EQ(0, vfio_attach(self->s.dev, self->s.ioas, NULL));
	EXPECT_EQ(1, stage_pins(&self->s));
	munmap(p, SIZE);
}

/* ---- nothing is left in the caller ---- */

TEST_F(file, address_space_of_the_caller_is_as_before)
{
	int bad = file_new(variant->kind, self->dir, SIZE);
	int round;

	ASSERT_LE(0, bad);
	/* (what stdio allocates, it has by now) */
	stage_pins(&self->s);
	remember_vmas();
	for (round = 0; round < 4; round++) {
		EXPECT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas,
					    round % 2 ? RW : RD, self->fd, 0,
					    SIZE, X));
		EXPECT_EQ(0, vmas_changed());
		/* partly there, and not there at all */
		EXPECT_EQ(-EFAULT, map_file_fixed(self->s.iommufd, self->s.ioas,
						  RW, bad, SIZE - PAGE,
						  2 * PAGE, Y));
		EXPECT_EQ(-EFAULT, map_file_fixed(self->s.iommufd, self->s.ioas,
						  RD, bad, SIZE + 2 * MiB,
						  PAGE, Y));
		EXPECT_EQ(0, vmas_changed());
		EXPECT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, X, SIZE,
					NULL));
		EXPECT_EQ(0, vmas_changed());
	}
	close(bad);
}

/* ---- the end of the file ---- */

TEST_F(file, beyond_the_end_is_efault_with_a_device)
{
	static const uint32_t perms[] = { RD, RW };
	static const struct {
		uint64_t start, length;
	} beyond[] = {
		{ SIZE, PAGE },
		{ SIZE - PAGE, 2 * PAGE },
		{ 0, SIZE + PAGE },
		{ SIZE, SIZE },
		{ SIZE + 2 * MiB, 2 * MiB },
		{ 1ULL << 40, PAGE },
		{ (1ULL << 63) - PAGE, PAGE },
		{ (1ULL << 63) - PAGE, 2 * PAGE },
		{ 1ULL << 63, PAGE },
		{ -2 * PAGE, PAGE },
		{ -PAGE, PAGE },
	};
	unsigned int i, j;
	int rc;

	for (j = 0; j < 2; j++) {
		for (i = 0; i < sizeof(beyond) / sizeof(beyond[0]); i++) {
			rc = map_file_fixed(self->s.iommufd, self->s.ioas,
					    perms[j], self->fd, beyond[i].start,
					    beyond[i].length, X);
			EXPECT_EQ(-EFAULT, rc)
				TH_LOG("start %#lx length %#lx perm %u",
				       beyond[i].start, beyond[i].length,
				       perms[j]);
			if (!rc) {
				ioas_unmap(self->s.iommufd, self->s.ioas, X,
					   beyond[i].length, NULL);
				ftruncate(self->fd, SIZE);
			}
			EXPECT_EQ(SIZE, file_size(self->fd));
			EXPECT_EQ(1, stage_pins(&self->s))
				TH_LOG("start %#lx", beyond[i].start);
		}
	}
	/* Up to the end it works, in the same place. */
	EXPECT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas, RW, self->fd,
				    SIZE - PAGE, PAGE, X));
}

TEST_F(file, end_of_the_file_is_judged_when_pages_are_pinned)
{
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.other, RW,
				    self->fd, 0, SIZE + 2 * MiB, X));
	EXPECT_EQ(-EFAULT, vfio_attach(self->s.dev, self->s.other, NULL));
	EXPECT_EQ(SIZE, file_size(self->fd));
	EXPECT_EQ(1, stage_pins(&self->s));
	ASSERT_EQ(0, ftruncate(self->fd, SIZE + 2 * MiB));
	EXPECT_EQ(0, vfio_attach(self->s.dev, self->s.other, NULL));
	EXPECT_EQ(1 + NR + 512, stage_pins(&self->s));
	EXPECT_EQ(0, device_writes(&self->s, X + SIZE, 1));
	EXPECT_EQ(1, device_reads(&self->s, X + SIZE, 1));
}

/* Of the page in which a file ends a device gets all. */
TEST_F(file, last_page_of_a_file_is_whole)
{
	uint64_t size = variant->kind == HUGETLB ? SIZE : SIZE - PAGE + 10;

	ASSERT_EQ(0, ftruncate(self->fd, size));
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas, RW, self->fd,
				    SIZE - 2 * PAGE, 2 * PAGE, X));
	EXPECT_EQ(0, device_writes(&self->s, X + PAGE, 1));
	EXPECT_EQ(1, device_reads(&self->s, X + PAGE, 1));
	EXPECT_EQ(size, file_size(self->fd));
}

TEST_F(file, past_the_end_of_64_bits_is_eoverflow)
{
	EXPECT_EQ(-EOVERFLOW, map_file_fixed(self->s.iommufd, self->s.ioas, RW,
					     self->fd, -PAGE, 2 * PAGE, X));
	EXPECT_EQ(-EOVERFLOW, map_file_fixed(self->s.iommufd, self->s.other, RW,
					     self->fd, -PAGE, 2 * PAGE, X));
	EXPECT_EQ(-EOVERFLOW, map_file_fixed(self->s.iommufd, self->s.ioas, RW,
					     self->fd, 0, 2 * PAGE, -PAGE));
}

/* ---- rights ---- */

TEST_F(file, file_open_for_reading_can_be_read_only)
{
	int fd = file_reopen(self->fd, O_RDONLY);
	char *p = file_mmap(self->fd, SIZE);

	ASSERT_LE(0, fd);
	ASSERT_NE(NULL, p);
	EXPECT_EQ(-EACCES, map_file_fixed(self->s.iommufd, self->s.ioas, RW, fd,
					  0, SIZE, X));
	EXPECT_EQ(-EACCES, map_file_fixed(self->s.iommufd, self->s.ioas, WR, fd,
					  0, SIZE, X));
	/* at once, not only when pages are pinned */
	EXPECT_EQ(-EACCES, map_file_fixed(self->s.iommufd, self->s.other, WR,
					  fd, 0, SIZE, X));
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas, RD, fd, 0,
				    SIZE, X));
	paint(p + PAGE, PAGE, 1);
	EXPECT_EQ(1, device_reads(&self->s, X + PAGE, 1));
	EXPECT_EQ(0, device_writes(&self->s, X + PAGE, 2));
	EXPECT_EQ(0, painted(p + PAGE, PAGE, 1));
	munmap(p, SIZE);
	close(fd);
}

TEST_F(file, file_open_for_writing_only_is_eacces)
{
	int fd = file_reopen(self->fd, O_WRONLY);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EACCES, map_file_fixed(self->s.iommufd, self->s.ioas, RD, fd,
					  0, SIZE, X));
	EXPECT_EQ(-EACCES, map_file_fixed(self->s.iommufd, self->s.ioas, WR, fd,
					  0, SIZE, X));
	close(fd);
}

TEST_F(file, path_descriptor_is_ebadf)
{
	int fd = file_reopen(self->fd, O_PATH);

	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBADF, map_file_fixed(self->s.iommufd, self->s.ioas, RD, fd,
					 0, SIZE, X));
	close(fd);
}

TEST_F(file, sealed_file_can_be_read_only)
{
	static const int seals[] = { F_SEAL_WRITE, F_SEAL_FUTURE_WRITE };
	unsigned int i;
	char *p;
	int fd;

	if (variant->kind == TMPFS)
		return;		/* has no seals */
	for (i = 0; i < 2; i++) {
		fd = file_new(variant->kind, self->dir, SIZE);
		ASSERT_LE(0, fd);
		p = file_mmap(fd, SIZE);
		ASSERT_NE(NULL, p);
		paint(p + PAGE, PAGE, i + 1);
		munmap(p, SIZE);
		ASSERT_EQ(0, fcntl(fd, F_ADD_SEALS, seals[i]));
		EXPECT_EQ(-EPERM, map_file_fixed(self->s.iommufd, self->s.ioas,
						 RW, fd, 0, SIZE, X))
			TH_LOG("seal %#x", seals[i]);
		EXPECT_EQ(1, stage_pins(&self->s));
		EXPECT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas, RD,
					    fd, 0, SIZE, X))
			TH_LOG("seal %#x", seals[i]);
		EXPECT_EQ(1, device_reads(&self->s, X + PAGE, i + 1));
		EXPECT_EQ(0, device_writes(&self->s, X + PAGE, 9));
		EXPECT_EQ(1, device_reads(&self->s, X + PAGE, i + 1));
		EXPECT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, X, SIZE,
					NULL));
		close(fd);
	}
}

/* A seal is a promise that nobody writes: not while a device may. */
TEST_F(file, file_that_a_device_writes_cannot_be_sealed)
{
	if (variant->kind == TMPFS)
		return;		/* has no seals */
	ASSERT_EQ(0, map_file_fixed(self->s.iommufd, self->s.ioas, RW, self->fd,
				    0, SIZE, X));
	EXPECT_EQ(-1, fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, ioas_unmap(self->s.iommufd, self->s.ioas, X, SIZE, NULL));
	EXPECT_EQ(0, fcntl(self->fd, F_ADD_SEALS, F_SEAL_WRITE));
}

/* ---- arguments ---- */

TEST_F(file, start_and_length_are_aligned_as_the_address_space_says)
{
	uint64_t iova = 0;

	EXPECT_EQ(-EINVAL, map_file_fixed(self->s.iommufd, self->s.ioas, RW,
					  self->fd, 100, PAGE, X));
	EXPECT_EQ(-EINVAL, map_file_fixed(self->s.iommufd, self->s.ioas, RW,
					  self->fd, 0, PAGE + 100, X));
	EXPECT_EQ(-EINVAL, map_file_fixed(self->s.iommufd, self->s.ioas, RW,
					  self->fd, 0, PAGE, X + 100));
	EXPECT_EQ(-EINVAL, ioas_map_file(self->s.iommufd, self->s.ioas, RW,
					 self->fd, 2048, PAGE, &iova));
	EXPECT_EQ(1, stage_pins(&self->s));
	/* Without a device a byte will do. */
	EXPECT_EQ(0, map_file_fixed(self->s.iommufd, self->s.other, RW,
				    self->fd, 100, 1, X + 17));
	EXPECT_EQ(0, ioas_unmap(self->s.iommufd, self->s.other, X + 17, 1, NULL));
	/* A device does not fit there, whatever the file. */
	EXPECT_EQ(0, map_file_fixed(self->s.iommufd, self->s.other, RW,
				    self->fd, 100, PAGE + 1, X + 100));
	EXPECT_EQ(-EADDRINUSE, vfio_attach(self->s.dev, self->s.other, NULL));
	EXPECT_EQ(1, stage_pins(&self->s));
}

TEST_F(file, chosen_iova_is_reported_and_aligned)
{
	uint64_t iova = 77;
	char *p = file_mmap(self->fd, SIZE);

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, ioas_map_file(self->s.iommufd, self->s.ioas, RW, self->fd,
				   0, SIZE, &iova));
	EXPECT_EQ(0, iova % SIZE);
	EXPECT_EQ(0, device_writes(&self->s, iova + PAGE, 1));
	EXPECT_EQ(0, painted(p + PAGE, LENGTH, 1));
	munmap(p, SIZE);
}

TEST_F(file, taken_iova_is_eexist_and_pins_nothing)
{
	EXPECT_EQ(-EEXIST, map_file_fixed(self->s.iommufd, self->s.ioas, RW,
					  self->fd, 0, SIZE,
					  0));
	EXPECT_EQ(-EINVAL, map_file_fixed(self->s.iommufd, self->s.ioas, RW,
					  self->fd, 0, SIZE, 0xfee00000));
	EXPECT_EQ(1, stage_pins(&self->s));
}

TEST_F(file, arguments_are_judged_in_order)
{
	/* All of it is wrong, and put right bit by bit. */
	struct {
		struct iommu_ioas_map_file cmd;
		uint8_t tail[8];
	} longer = {
		.cmd = {
			.flags = 1U << 31,
			.ioas_id = 0,
			.fd = -1,
			.iova = -PAGE,
		},
		.tail[7] = 1,
	};
	int iommufd = self->s.iommufd;
	uint32_t size;
	int bit;

	EXPECT_EQ(40, sizeof(longer.cmd));
	for (size = 0; size < 40; size++) {
		longer.cmd.size = size;
		EXPECT_EQ(-EINVAL, ioctl_rc(iommufd, IOMMU_IOAS_MAP_FILE,
					    &longer));
	}
	longer.cmd.size = sizeof(longer);
	EXPECT_EQ(-E2BIG, ioctl_rc(iommufd, IOMMU_IOAS_MAP_FILE, &longer));
	longer.tail[7] = 0;
	for (bit = 3; bit < 32; bit++) {
		longer.cmd.flags = 1U << bit | RW;
		EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(iommufd, IOMMU_IOAS_MAP_FILE,
						&longer));
	}
	longer.cmd.flags = 0;
	longer.cmd.length = PAGE;
	EXPECT_EQ(-EINVAL, ioctl_rc(iommufd, IOMMU_IOAS_MAP_FILE, &longer));
	longer.cmd.flags = FIXED | RW;
	longer.cmd.length = 0;
	EXPECT_EQ(-EINVAL, ioctl_rc(iommufd, IOMMU_IOAS_MAP_FILE, &longer));
	longer.cmd.length = 2 * PAGE;
	EXPECT_EQ(-EOVERFLOW, ioctl_rc(iommufd, IOMMU_IOAS_MAP_FILE, &longer));
	longer.cmd.length = PAGE;
	longer.cmd.iova = X;
	longer.cmd.fd = self->fd;
	EXPECT_EQ(-ENOENT, ioctl_rc(iommufd, IOMMU_IOAS_MAP_FILE, &longer));
	longer.cmd.ioas_id = self->s.devid;
	EXPECT_EQ(-ENOENT, ioctl_rc(iommufd, IOMMU_IOAS_MAP_FILE, &longer));
	longer.cmd.ioas_id = self->s.ioas;
	longer.cmd.fd = -1;
	EXPECT_EQ(-EBADF, ioctl_rc(iommufd, IOMMU_IOAS_MAP_FILE, &longer));
	longer.cmd.fd = 1000000;
	EXPECT_EQ(-EBADF, ioctl_rc(iommufd, IOMMU_IOAS_MAP_FILE, &longer));
	EXPECT_EQ(1, stage_pins(&self->s));
	longer.cmd.fd = self->fd;
	EXPECT_EQ(0, ioctl_rc(iommufd, IOMMU_IOAS_MAP_FILE, &longer));
	EXPECT_EQ(2, stage_pins(&self->s));
}

TEST_F(file, result_that_cannot_be_copied_out_leaves_nothing)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = FIXED | RW,
		.ioas_id = self->s.ioas,
		.fd = self->fd,
		.length = SIZE,
		.iova = X,
	};
	void *arg = readonly_copy(&cmd, sizeof(cmd));

	ASSERT_NE(NULL, arg);
	EXPECT_EQ(-EFAULT, ioctl_rc(self->s.iommufd, IOMMU_IOAS_MAP_FILE, arg));
	EXPECT_EQ(1, stage_pins(&self->s));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->s.iommufd, self->s.ioas, X, SIZE,
				      NULL));
	EXPECT_EQ(0, ioctl_rc(self->s.iommufd, IOMMU_IOAS_MAP_FILE, &cmd));
	EXPECT_EQ(1 + NR, stage_pins(&self->s));
}

TEST_F(file, what_is_no_such_file_is_einval)
{
	static const char *const paths[] = {
		"/dev/null", "/dev/zero", "/etc/passwd", "/proc/self/maps", "/",
	};
	int pipes[2], fd;
	unsigned int i;

	for (i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		fd = open(paths[i], O_RDONLY | O_CLOEXEC);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EINVAL, map_file_fixed(self->s.iommufd, self->s.ioas,
						  RD, fd, 0, PAGE, X))
			TH_LOG("%s", paths[i]);
		EXPECT_EQ(-EINVAL, map_file_fixed(self->s.iommufd,
						  self->s.other, RD, fd, 0,
						  PAGE, X))
			TH_LOG("%s", paths[i]);
		close(fd);
	}
	if (variant->kind == TMPFS) {
		fd = open(self->dir, O_RDONLY | O_CLOEXEC);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-EINVAL, map_file_fixed(self->s.iommufd, self->s.ioas,
						  RD, fd, 0, PAGE, X));
		close(fd);
	}
	ASSERT_EQ(0, pipe(pipes));
	EXPECT_EQ(-EINVAL, map_file_fixed(self->s.iommufd, self->s.ioas, RD,
					  pipes[0], 0, PAGE, X));
	EXPECT_EQ(-EINVAL, map_file_fixed(self->s.iommufd, self->s.ioas, RD,
					  self->s.iommufd, 0, PAGE, X));
	EXPECT_EQ(-EINVAL, map_file_fixed(self->s.iommufd, self->s.ioas, RD,
					  self->s.dev, 0, PAGE, X));
	close(pipes[0]);
	close(pipes[1]);
	EXPECT_EQ(1, stage_pins(&self->s));
}

/* ---- who pays ---- */

/* 0, or the number of the step that went wrong; runs as nobody. */
static int pay(FIXTURE_DATA(file) *self)
{
	struct rlimit limit = { 8 * PAGE, 8 * PAGE };
	int iommufd = self->s.iommufd;
	uint32_t ioas = self->s.ioas;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setresuid(NOBODY, NOBODY, NOBODY))
		return 1;
	remember_vmas();
	if (map_file_fixed(iommufd, ioas, RW, self->fd, 0, 9 * PAGE, X) != -ENOMEM)
		return 2;
	if (map_file_fixed(iommufd, ioas, RW, self->fd, 0, 8 * PAGE, X))
		return 3;
	if (map_file_fixed(iommufd, ioas, RW, self->fd, 0, PAGE, Y) != -ENOMEM)
		return 4;
	/* A copy shares the charge. */
	if (ioas_copy_fixed(iommufd, RW, ioas, Y, ioas, X, 8 * PAGE))
		return 5;
	if (ioas_unmap(iommufd, ioas, X, 8 * PAGE, NULL))
		return 6;
	if (map_file_fixed(iommufd, ioas, RW, self->fd, 0, PAGE, X) != -ENOMEM)
		return 7;
	if (ioas_unmap(iommufd, ioas, Y, 8 * PAGE, NULL))
		return 8;
	/* All is given back, twice. */
	if (map_file_fixed(iommufd, ioas, RW, self->fd, 0, 8 * PAGE, X) ||
	    ioas_unmap(iommufd, ioas, X, 8 * PAGE, NULL) ||
	    map_file_fixed(iommufd, ioas, RW, self->fd, 0, 8 * PAGE, X))
		return 9;
	return vmas_changed() ? 10 : 0;
}

TEST_F(file, pages_count_towards_the_limit_of_who_mapped)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(pay(self));
	EXPECT_EQ(0, WEXITSTATUS(child_status(pid)));
	EXPECT_EQ(1 + 8, stage_pins(&self->s));
}

/* ---- at the same time ---- */

struct mover {
	FIXTURE_DATA(file) *self;
	atomic_int stop;
	uint64_t iova;
	unsigned int done;
	int rc;
};

static void *map_and_unmap(void *arg)
{
	struct mover *m = arg;
	struct stage *s = &m->self->s;

	while (!m->rc && !atomic_load(&m->stop)) {
		m->rc = map_file_fixed(s->iommufd, s->ioas, RW, m->self->fd, 0,
				       16 * PAGE, m->iova);
		if (m->rc == -EFAULT) {
			m->rc = 0;	/* the squatter was there */
			continue;
		}
		if (!m->rc)
			m->rc = ioas_unmap(s->iommufd, s->ioas, m->iova,
					   16 * PAGE, NULL);
		m->done++;
	}
	return NULL;
}

/*
 * Memory comes and goes where a moment's mapping of the file may be. Whatever
 * it hits: MAP_FILE gets the file's pages or EFAULT, and loses none.
 */
static void *squat(void *arg)
{
	struct mover *m = arg;
	void *p;

	while (!atomic_load(&m->stop)) {
		p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (p == MAP_FAILED)
			continue;
		munmap(p, 16 * PAGE);
		mmap(p, 16 * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
		munmap(p, 16 * PAGE);
		m->done++;
	}
	return NULL;
}

TEST_F_TIMEOUT(file, threads_map_and_unmap_and_move_the_device, 60)
{
	struct mover movers[3];
	pthread_t threads[3];
	int i, rc, round;

	for (i = 0; i < 3; i++) {
		movers[i] = (struct mover){ .self = self, .iova = X + i * MiB };
		ASSERT_EQ(0, pthread_create(&threads[i], NULL,
					    i < 2 ? map_and_unmap : squat,
					    &movers[i]));
	}
	for (round = 0; round < 40; round++) {
		/* An attach pins as well: the squatter may have been there. */
		rc = vfio_attach(self->s.dev, round % 2 ? self->s.ioas :
				 self->s.other, NULL);
		EXPECT_TRUE(!rc || rc == -EFAULT) TH_LOG("attach %d", rc);
		usleep(20000);
	}
	for (i = 0; i < 3; i++)
		atomic_store(&movers[i].stop, 1);
	for (i = 0; i < 3; i++) {
		pthread_join(threads[i], NULL);
		EXPECT_EQ(0, movers[i].rc) TH_LOG("thread %d", i);
		EXPECT_LT(10, movers[i].done) TH_LOG("thread %d", i);
	}
	EXPECT_EQ(0, vfio_attach(self->s.dev, self->s.ioas, NULL));
	EXPECT_EQ(1, device_reads(&self->s, STAGE, 0xdead));
	EXPECT_EQ(1, stage_pins(&self->s));
}

TEST_HARNESS_MAIN
