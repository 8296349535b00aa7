// SPDX-License-Identifier: GPL-2.0
/*
 * What has gone wrong in other implementations of this interface (docs/defects.md
 * has the list), as far as it is not tested elsewhere; and what happens when
 * something is short: memory, IDs, descriptors, the limit of locked memory, life.
 *
 * With fake devices, in modules made for tests. After each test nothing is
 * pinned, as it was before.
 *
 * Short of memory is a memory cgroup whose killer is switched off: what does not
 * fit fails. A process in it must not touch new memory by itself, that would wait
 * for ever.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "mock_utils.h"
#include "slow_memory.h"
#include "kselftest_harness.h"

#define LENGTH		(64 * PAGE)
#define NOBODY		65534

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

/* Wait for a child: its exit status, or 1000 + the signal. -1: it hangs. */
static int reap(pid_t pid, int seconds)
{
	int status, i;

	for (i = 0; i < seconds * 20; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) :
						     WEXITSTATUS(status);
		usleep(50000);
	}
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	return -1;
}

FIXTURE(defect)
{
	int fd;
	uint32_t ioas;		/* with a device */
	uint32_t other;		/* without */
	struct stdev s;
	void *buf;
	long pins;
};

FIXTURE_SETUP(defect)
{
	self->pins = pinned_now();
	ASSERT_LE(0, self->pins);
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->other));
	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &self->s));
	self->buf = pages_alloc(LENGTH);
	ASSERT_NE(NULL, self->buf);
	paint(self->buf, LENGTH, 1);
}

FIXTURE_TEARDOWN(defect)
{
	EXPECT_EQ(0, fail_attach(self->fd, 0, 0));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(self->pins, pinned_now());
	munmap(self->buf, LENGTH);
}

/*
 * Objects
 */

struct destroyer {
	pthread_t thread;
	pthread_barrier_t *barrier;
	int fd;
	volatile uint32_t *id;
	int rc;
};

static void *destroy_often(void *arg)
{
	struct destroyer *d = arg;

	for (;;) {
		pthread_barrier_wait(d->barrier);
		if (!*d->id)
			return NULL;
		d->rc = iommufd_destroy(d->fd, *d->id);
		pthread_barrier_wait(d->barrier);
	}
}

/* One has it, the other finds nothing: it is never busy. */
TEST_F_TIMEOUT(defect, destroy_by_two_threads_succeeds_once, 300)
{
	pthread_barrier_t barrier;
	volatile uint32_t id = 0;
	struct destroyer d[2];
	uint32_t fresh;
	int i, round;

	ASSERT_EQ(0, pthread_barrier_init(&barrier, NULL, 3));
	for (i = 0; i < 2; i++) {
		d[i].barrier = &barrier;
		d[i].fd = self->fd;
		d[i].id = &id;
		ASSERT_EQ(0, pthread_create(&d[i].thread, NULL, destroy_often,
					    &d[i]));
	}
	for (round = 0; round < 500; round++) {
		ASSERT_EQ(0, ioas_alloc(self->fd, &fresh));
		ASSERT_EQ(0, ioas_map_fixed(self->fd, fresh, RW, self->buf,
					    LENGTH, BASE));
		id = fresh;
		pthread_barrier_wait(&barrier);
		pthread_barrier_wait(&barrier);
		ASSERT_EQ(-ENOENT, d[0].rc + d[1].rc)
			TH_LOG("%d and %d", d[0].rc, d[1].rc);
	}
	id = 0;
	pthread_barrier_wait(&barrier);
	for (i = 0; i < 2; i++)
		pthread_join(d[i].thread, NULL);
}

TEST_F(defect, access_without_a_descriptor_left_is_emfile)
{
	struct rlimit limit, none;
	int access;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = 3;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	EXPECT_EQ(-EMFILE, access_open(self->fd, self->other, 0));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	/* It left no object that would keep the address space. */
	access = access_open(self->fd, self->other, MOCK_ACCESS_PINS);
	EXPECT_LE(0, access);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->other));
	EXPECT_EQ(0, close(access));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->other));
}

TEST_F(defect, access_stays_when_the_other_ioas_has_what_it_cannot_pin)
{
	uint32_t id = 0;
	int access;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, LENGTH,
				    BASE));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, self->buf + 1,
				    100, 3));
	access = access_open(self->fd, self->ioas, MOCK_ACCESS_PINS);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, access_pin(self->fd, access, 0, BASE, PAGE, self->buf,
				&id));
	EXPECT_EQ(-EADDRINUSE, access_replace(self->fd, access, self->other));
	/* Neither was it moved, nor does the other know of it. */
	EXPECT_EQ(0, access_unpin(self->fd, access, id));
	EXPECT_EQ(0, access_pin(self->fd, access, 0, BASE + PAGE, PAGE,
				self->buf + PAGE, &id));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->other));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->ioas));
	EXPECT_EQ(0, close(access));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 1));
}

/* Is the range of a device in this address space left out? */
static bool leaves_out(int fd, uint32_t ioas, uint64_t at)
{
	struct iommu_iova_range ranges[8];
	uint32_t nr = 8, i;

	if (ioas_iova_ranges(fd, ioas, ranges, &nr, NULL))
		return false;
	for (i = 0; i < nr; i++)
		if (ranges[i].start <= at && at <= ranges[i].last)
			return false;
	return true;
}

/* Two devices of one group, one with a reserved range; both attached. */
TEST_F(defect, replace_that_fails_takes_back_what_it_reserved)
{
	uint64_t at = BASE + 64 * MiB;
	struct stdev s, t;
	unsigned int nr;
	uint32_t from;
	int rc = -1;

	ASSERT_EQ(0, ioas_alloc(self->fd, &from));
	ASSERT_EQ(0, stdev_add_local(self->fd, from, MOCK_UNIT_ABI, 0,
				     MOCK_RESERVED_PLAIN, at, &s));
	ASSERT_EQ(0, stdev_join(self->fd, from, &s, &t));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, from, RW, self->buf, LENGTH,
				    BASE));
	ASSERT_TRUE(leaves_out(self->fd, from, at));

	for (nr = 1; rc && nr < 16; nr++) {
		ASSERT_EQ(0, fail_attach(self->fd, nr, 1));
		rc = stdev_move(self->fd, &t, self->other);
		ASSERT_EQ(0, fail_attach(self->fd, 0, 0));
		EXPECT_EQ(!rc, leaves_out(self->fd, self->other, at))
			TH_LOG("attach %u, %d", nr, rc);
		EXPECT_EQ(!!rc, leaves_out(self->fd, from, at))
			TH_LOG("attach %u, %d", nr, rc);
	}
	EXPECT_EQ(0, rc);
	EXPECT_LT(2, nr);
	/* A mapping in the way is found before anything is touched. */
	ASSERT_EQ(0, ioas_map_fixed(self->fd, from, RW, self->buf, PAGE, at));
	EXPECT_EQ(-EADDRINUSE, stdev_move(self->fd, &t, from));
	EXPECT_TRUE(leaves_out(self->fd, self->other, at));
	EXPECT_FALSE(leaves_out(self->fd, from, at));
}

/* The ranges are asked for once, and used again and again. */
TEST_F(defect, reserved_ranges_go_there_and_back_with_the_group)
{
	uint64_t at = BASE + 64 * MiB, also = BASE + 128 * MiB;
	uint32_t ioas[2], hwpt[2];
	struct stdev s, t;
	unsigned int i;

	ioas[0] = self->other;
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas[1]));
	ASSERT_EQ(0, stdev_add_local(self->fd, ioas[0], MOCK_UNIT_ABI, 0,
				     MOCK_RESERVED_PLAIN, at, &s));
	ASSERT_EQ(0, stdev_add_local(self->fd, ioas[0], MOCK_UNIT_ABI, s.id,
				     MOCK_RESERVED_PLAIN, also, &t));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, hwpt_alloc(self->fd, s.idev, ioas[i], &hwpt[i]));
	for (i = 0; i < 12; i++) {
		uint32_t to = ioas[!(i & 1)], from = ioas[i & 1];

		/* Where it is it stays while it cannot move. */
		ASSERT_EQ(0, ioas_map_fixed(self->fd, to, RW, self->buf, PAGE,
					    at));
		EXPECT_EQ(-EADDRINUSE, stdev_move(self->fd, &s, to));
		EXPECT_EQ(-EADDRINUSE, stdev_move(self->fd, &s, hwpt[!(i & 1)]));
		EXPECT_TRUE(leaves_out(self->fd, from, at));
		EXPECT_FALSE(leaves_out(self->fd, to, at));
		EXPECT_FALSE(leaves_out(self->fd, to, also));
		ASSERT_EQ(0, ioas_unmap(self->fd, to, at, PAGE, NULL));
		ASSERT_EQ(0, fail_attach(self->fd, 1, 1));
		EXPECT_NE(0, stdev_move(self->fd, &s, to));
		ASSERT_EQ(0, fail_attach(self->fd, 0, 0));
		EXPECT_TRUE(leaves_out(self->fd, from, at));
		EXPECT_FALSE(leaves_out(self->fd, to, at));
		/* An automatic table, and one that stays. */
		ASSERT_EQ(0, stdev_move(self->fd, &s,
					i % 4 < 2 ? to : hwpt[!(i & 1)]));
		EXPECT_TRUE(leaves_out(self->fd, to, at));
		EXPECT_TRUE(leaves_out(self->fd, to, also));
		EXPECT_FALSE(leaves_out(self->fd, from, at));
		EXPECT_FALSE(leaves_out(self->fd, from, also));
		EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, to, RW, self->buf,
						  PAGE, at));
		ASSERT_EQ(0, ioas_map_fixed(self->fd, from, RW, self->buf, PAGE,
					    at));
		ASSERT_EQ(0, ioas_unmap(self->fd, from, at, PAGE, NULL));
		/* within one address space */
		if (i % 3)
			continue;
		ASSERT_EQ(0, stdev_move(self->fd, &s, hwpt[!(i & 1)]));
		EXPECT_TRUE(leaves_out(self->fd, to, at));
	}
	EXPECT_EQ(0, iommufd_destroy(self->fd, t.id));
	EXPECT_EQ(0, iommufd_destroy(self->fd, s.id));
	for (i = 0; i < 2; i++) {
		EXPECT_FALSE(leaves_out(self->fd, ioas[i], at));
		EXPECT_FALSE(leaves_out(self->fd, ioas[i], also));
	}
	EXPECT_EQ(0, iommufd_destroy(self->fd, hwpt[0]));
	EXPECT_EQ(0, iommufd_destroy(self->fd, hwpt[1]));
	EXPECT_EQ(0, iommufd_destroy(self->fd, ioas[1]));
}

/* As if plugged in: its range was not there when the group was asked. */
TEST_F(defect, reserved_range_of_a_device_that_joins_late_is_kept_free)
{
	uint64_t at = BASE + 64 * MiB;
	struct stdev t;

	/* There and back, so that the group has what it takes to go. */
	ASSERT_EQ(0, stdev_move(self->fd, &self->s, self->other));
	ASSERT_EQ(0, stdev_move(self->fd, &self->s, self->ioas));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, PAGE,
				    at));
	EXPECT_EQ(-EADDRINUSE, stdev_add_local(self->fd, self->ioas,
					       MOCK_UNIT_ABI, self->s.id,
					       MOCK_RESERVED_PLAIN, at, &t));
	EXPECT_FALSE(leaves_out(self->fd, self->ioas, at));
	EXPECT_EQ(0, check_map(self->fd, self->s.hwpt, at, PAGE, self->buf));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, at, PAGE, NULL));
	ASSERT_EQ(0, fail_attach(self->fd, 1, 1));
	EXPECT_NE(0, stdev_add_local(self->fd, self->ioas, MOCK_UNIT_ABI,
				     self->s.id, MOCK_RESERVED_PLAIN, at, &t));
	ASSERT_EQ(0, fail_attach(self->fd, 0, 0));
	EXPECT_FALSE(leaves_out(self->fd, self->ioas, at));

	ASSERT_EQ(0, stdev_add_local(self->fd, self->ioas, MOCK_UNIT_ABI,
				     self->s.id, MOCK_RESERVED_PLAIN, at, &t));
	EXPECT_TRUE(leaves_out(self->fd, self->ioas, at));
	ASSERT_EQ(0, stdev_move(self->fd, &self->s, self->other));
	EXPECT_FALSE(leaves_out(self->fd, self->ioas, at));
	EXPECT_TRUE(leaves_out(self->fd, self->other, at));
	/* It leaves; the next move knows. */
	EXPECT_EQ(0, iommufd_destroy(self->fd, t.id));
	ASSERT_EQ(0, stdev_move(self->fd, &self->s, self->ioas));
	EXPECT_FALSE(leaves_out(self->fd, self->ioas, at));
	EXPECT_FALSE(leaves_out(self->fd, self->other, at));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, PAGE,
				    at));
}

/*
 * Addresses
 */

TEST_F(defect, memory_that_wraps_around_is_refused_with_a_table)
{
	static const uint64_t lengths[] = {
		PAGE, 2 * PAGE, 1UL << 32, 1UL << 63, -PAGE, -HALF,
	};
	unsigned int i, top;
	uint64_t start;
	int rc, want;

	for (top = 1; top <= 3; top++) {
		start = 0 - top * PAGE;
		for (i = 0; i < 6; i++) {
			rc = ioas_map_fixed(self->fd, self->ioas, RW,
					    (void *)start, lengths[i], BASE);
			if (lengths[i] - 1 > UINT64_MAX - start)
				want = -EOVERFLOW;
			else if (lengths[i] > MOCK_APERTURE_LAST - BASE)
				want = -EINVAL;	/* there is no such IOVA */
			else
				want = -EFAULT;
			EXPECT_EQ(want, rc)
				TH_LOG("%#lx bytes", lengths[i]);
		}
	}
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, LENGTH,
				    BASE));
}

/*
 * The core unmaps in steps of 16 GiB. That no step ends inside a large page is
 * what the fake IOMMU checks; here is what such a step is.
 */
TEST_F(defect, unmap_in_steps_ends_where_no_large_page_goes_on)
{
	uint64_t seam = 64UL << 30, iovas[] = { seam - HUGE, seam - MiB,
						seam - PAGE, seam };
	uint8_t *huge = huge_alloc(2 * HUGE);
	struct stdev t;
	unsigned int i;

	ASSERT_NE(NULL, huge);
	ASSERT_EQ(0, stdev_add_to_unit(self->fd, self->other, MOCK_UNIT_LARGE,
				       &t));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, huge,
					    2 * HUGE, iovas[i]));
		EXPECT_EQ(0, check_map(self->fd, t.hwpt, iovas[i], 2 * HUGE,
				       huge));
		/* A whole number of steps, in one call, with more around. */
		ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW,
					    self->buf, PAGE, 3 * seam));
		ASSERT_EQ(0, ioas_unmap(self->fd, self->other, PAGE, 4 * seam,
					NULL));
		EXPECT_EQ(-EIO, check_map(self->fd, t.hwpt, iovas[i], PAGE,
					  huge));
	}
	munmap(huge, 2 * HUGE);
}

/* The ioctls of the test module are entered with anything, too. */
TEST_F_TIMEOUT(defect, operations_of_the_mock_take_any_numbers, 300)
{
	static const uint64_t numbers[] = {
		0, 1, HALF, PAGE, BASE, MOCK_APERTURE_LAST, 1UL << 31,
		1UL << 32, 1UL << 63, UINT64_MAX, -HALF, -PAGE, -2 * PAGE,
	};
	struct iommu_test_cmd cmd;
	unsigned int seed = 5, i;
	uint64_t words[7];
	uint32_t ids[4];
	int access, rc;

	access = access_open(self->fd, self->ioas, MOCK_ACCESS_PINS);
	ASSERT_LE(0, access);
	ids[0] = self->ioas;
	ids[1] = self->s.hwpt;
	ids[2] = access;
	ids[3] = self->s.id;
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, LENGTH,
				    BASE));
	for (i = 0; i < 20000; i++) {
		unsigned int k;

		for (k = 0; k < 7; k++)
			words[k] = rand_r(&seed) % 3 ?
				numbers[rand_r(&seed) % 13] :
				(uintptr_t)self->buf + rand_r(&seed) % 8 * HALF;
		memcpy(&cmd, words, sizeof(cmd));
		cmd.id = rand_r(&seed) % 8 ? ids[rand_r(&seed) % 4] :
					     rand_r(&seed) % 8;
		switch (rand_r(&seed) % 7) {
		case 0:
			rc = test_cmd(self->fd, &cmd, IOMMU_TEST_OP_ADD_RESERVED);
			break;
		case 1:
			rc = test_cmd(self->fd, &cmd, IOMMU_TEST_OP_MD_CHECK_MAP);
			break;
		case 2:
			/* At most what is mapped: it looks at every page. */
			cmd.check_refs.length %= 2 * LENGTH;
			rc = test_cmd(self->fd, &cmd, IOMMU_TEST_OP_MD_CHECK_REFS);
			break;
		case 3:
			rc = test_cmd(self->fd, &cmd, IOMMU_TEST_OP_ACCESS_PAGES);
			break;
		case 4:
			rc = test_cmd(self->fd, &cmd, IOMMU_TEST_OP_ACCESS_RW);
			break;
		case 5:
			rc = test_cmd(self->fd, &cmd,
				      IOMMU_TEST_OP_DESTROY_ACCESS_PAGES);
			break;
		default:
			rc = test_cmd(self->fd, &cmd,
				      IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE);
		}
		ASSERT_TRUE(rc == 0 || rc == -EINVAL || rc == -EOVERFLOW ||
			    rc == -ENOENT || rc == -EADDRINUSE || rc == -EIO ||
			    rc == -EFAULT || rc == -ENOMEM || rc == -EPERM ||
			    rc == -EBADF || rc == -EBADFD ||
			    rc == -EOPNOTSUPP)
			TH_LOG("%d from operation %u", rc, cmd.op);
	}
	EXPECT_EQ(0, close(access));
}

/*
 * Reserved ranges and MSI windows
 */

TEST_F(defect, mapping_in_a_software_msi_window_is_refused)
{
	uint64_t at = BASE + 16 * MiB;
	struct stdev t;

	ASSERT_EQ(0, stdev_add_local(self->fd, self->other, MOCK_UNIT_ABI, 0,
				     MOCK_RESERVED_SW_MSI, at, &t));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, self->other, RW, self->buf,
					  PAGE, at));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, self->other, RW, self->buf,
					  2 * PAGE, at - PAGE));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, self->other, RW, self->buf,
					  PAGE, at + MOCK_RESERVED_SIZE - PAGE));
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, self->buf, PAGE,
				    at + MOCK_RESERVED_SIZE));
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, self->buf, PAGE,
				    at - PAGE));
	/* It goes with the device. */
	EXPECT_EQ(0, iommufd_destroy(self->fd, t.id));
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, self->buf, PAGE,
				    at));
}

/*
 * The fake devices of a group come one after the other, as if plugged in: the
 * group is claimed, and has a table, when the second one brings its range.
 */
TEST_F(defect, device_that_joins_a_group_late_is_judged_like_the_first)
{
	uint64_t at = BASE + 16 * MiB;
	struct stdev t, u;

	EXPECT_EQ(-EPERM, stdev_add_local(self->fd, self->other, MOCK_UNIT_ABI,
					  0, MOCK_RESERVED_DIRECT, at, &t));
	EXPECT_EQ(-EPERM, stdev_add_local(self->fd, self->ioas, MOCK_UNIT_ABI,
					  self->s.id, MOCK_RESERVED_DIRECT, at,
					  &t));
	/* One MSI window is what the group's tables are made for, or none. */
	EXPECT_EQ(-EINVAL, stdev_add_local(self->fd, self->ioas, MOCK_UNIT_ABI,
					   self->s.id, MOCK_RESERVED_SW_MSI, at,
					   &t));
	ASSERT_EQ(0, stdev_add_local(self->fd, self->other, MOCK_UNIT_ABI, 0,
				     MOCK_RESERVED_SW_MSI, at, &t));
	EXPECT_EQ(-EINVAL, stdev_add_local(self->fd, self->other, MOCK_UNIT_ABI,
					   t.id, MOCK_RESERVED_SW_MSI,
					   at + 2 * MOCK_RESERVED_SIZE, &u));
	EXPECT_EQ(0, stdev_add_local(self->fd, self->other, MOCK_UNIT_ABI, t.id,
				     MOCK_RESERVED_SW_MSI, at, &u));
	/* Those who were refused left nothing in the group. */
	EXPECT_EQ(0, stdev_join(self->fd, self->ioas, &self->s, &t));
}

/*
 * Counts
 */

TEST_F_TIMEOUT(defect, more_allowed_ranges_than_anybody_needs_are_einval, 300)
{
	uint32_t most = 65536, i;
	struct iommu_iova_range *ranges;

	ranges = calloc(most, sizeof(*ranges));
	ASSERT_NE(NULL, ranges);
	for (i = 0; i < most; i++)
		ranges[i].start = ranges[i].last = BASE + i * 2 * PAGE;
	/* (Nothing is read of an array that is too long.) */
	EXPECT_EQ(-EINVAL, ioas_allow(self->fd, self->other, NULL, most + 1));
	EXPECT_EQ(-EINVAL, ioas_allow(self->fd, self->other, NULL, UINT32_MAX));
	EXPECT_EQ(0, ioas_allow(self->fd, self->other, ranges, most));
	EXPECT_EQ(0, ioas_allow(self->fd, self->other, NULL, 0));
	free(ranges);
}

/*
 * What reaches userspace
 */

struct out_field {
	uint8_t from, end;
};

/*
 * The bytes that an ioctl may change; all others are to be as they were passed,
 * and so are those behind the struct.
 */
static int changed_elsewhere(int fd, unsigned long nr, void *arg, uint32_t size,
			     struct out_field a, struct out_field b)
{
	uint8_t before[256], *bytes = arg;
	unsigned int i;
	int rc;

	memset(bytes + size, 0xa5, sizeof(before) - size);
	memcpy(before, bytes, sizeof(before));
	rc = ioctl_rc(fd, nr, arg);
	if (rc)
		return rc;
	for (i = 0; i < sizeof(before); i++)
		if ((i < a.from || i >= a.end) && (i < b.from || i >= b.end) &&
		    bytes[i] != before[i])
			return 1000 + i;
	return 0;
}

#define OUT(_type, _field) \
	((struct out_field){ offsetof(_type, _field), \
			     offsetof(_type, _field) + \
			     sizeof(((_type *)0)->_field) })
#define NO_OUT	((struct out_field){ })

#define CHANGED_ELSEWHERE(_nr, _type, _a, _b, ...) ({			\
	union {								\
		_type cmd;						\
		uint8_t bytes[256];					\
	} arg = { .cmd = { .size = sizeof(_type), __VA_ARGS__ } };	\
									\
	changed_elsewhere(self->fd, _nr, &arg, sizeof(_type), _a, _b);	\
})

TEST_F(defect, results_and_nothing_else_are_written)
{
	struct iommu_iova_range ranges[3];
	uint8_t data[64], *p;
	unsigned int i;
	int file;

	file = memfd_create("defects", MFD_CLOEXEC);
	ASSERT_LE(0, file);
	ASSERT_EQ(0, ftruncate(file, PAGE));
	memset(ranges, 0xa5, sizeof(ranges));
	EXPECT_EQ(0, CHANGED_ELSEWHERE(IOMMU_IOAS_ALLOC,
		  struct iommu_ioas_alloc,
		  OUT(struct iommu_ioas_alloc, out_ioas_id), NO_OUT));
	EXPECT_EQ(0, CHANGED_ELSEWHERE(IOMMU_IOAS_IOVA_RANGES,
		  struct iommu_ioas_iova_ranges,
		  OUT(struct iommu_ioas_iova_ranges, num_iovas),
		  OUT(struct iommu_ioas_iova_ranges, out_iova_alignment),
		  .ioas_id = self->ioas, .num_iovas = 3,
		  .allowed_iovas = (uintptr_t)ranges));
	/* The one range, and not a byte of the second. */
	p = (void *)&ranges[1];
	for (i = 0; i < 2 * sizeof(ranges[0]); i++)
		EXPECT_EQ(0xa5, p[i]);
	EXPECT_EQ(0, CHANGED_ELSEWHERE(IOMMU_IOAS_MAP, struct iommu_ioas_map,
		  OUT(struct iommu_ioas_map, iova), NO_OUT,
		  .ioas_id = self->ioas, .flags = RW, .length = PAGE,
		  .user_va = (uintptr_t)self->buf));
	EXPECT_EQ(0, CHANGED_ELSEWHERE(IOMMU_IOAS_MAP, struct iommu_ioas_map,
		  NO_OUT, NO_OUT, .ioas_id = self->ioas, .flags = RW | FIXED,
		  .length = PAGE, .user_va = (uintptr_t)self->buf,
		  .iova = BASE + MiB));
	EXPECT_EQ(0, CHANGED_ELSEWHERE(IOMMU_IOAS_MAP_FILE,
		  struct iommu_ioas_map_file,
		  OUT(struct iommu_ioas_map_file, iova), NO_OUT,
		  .ioas_id = self->ioas, .flags = RW, .length = PAGE,
		  .fd = file));
	EXPECT_EQ(0, CHANGED_ELSEWHERE(IOMMU_IOAS_COPY, struct iommu_ioas_copy,
		  OUT(struct iommu_ioas_copy, dst_iova), NO_OUT,
		  .flags = RW, .dst_ioas_id = self->ioas,
		  .src_ioas_id = self->ioas, .length = PAGE,
		  .src_iova = BASE + MiB));
	EXPECT_EQ(0, CHANGED_ELSEWHERE(IOMMU_IOAS_UNMAP,
		  struct iommu_ioas_unmap, OUT(struct iommu_ioas_unmap, length),
		  NO_OUT, .ioas_id = self->ioas, .length = UINT64_MAX));
	EXPECT_EQ(0, CHANGED_ELSEWHERE(IOMMU_OPTION, struct iommu_option,
		  OUT(struct iommu_option, val64), NO_OUT,
		  .option_id = IOMMU_OPTION_HUGE_PAGES,
		  .op = IOMMU_OPTION_OP_GET, .object_id = self->ioas));
	EXPECT_EQ(0, CHANGED_ELSEWHERE(IOMMU_VFIO_IOAS, struct iommu_vfio_ioas,
		  NO_OUT, NO_OUT, .op = IOMMU_VFIO_IOAS_SET,
		  .ioas_id = self->ioas));
	EXPECT_EQ(0, CHANGED_ELSEWHERE(IOMMU_VFIO_IOAS, struct iommu_vfio_ioas,
		  OUT(struct iommu_vfio_ioas, ioas_id), NO_OUT,
		  .op = IOMMU_VFIO_IOAS_GET));
	EXPECT_EQ(0, CHANGED_ELSEWHERE(IOMMU_HWPT_ALLOC,
		  struct iommu_hwpt_alloc,
		  OUT(struct iommu_hwpt_alloc, out_hwpt_id), NO_OUT,
		  .dev_id = self->s.idev, .pt_id = self->ioas));

	memset(data, 0xa5, sizeof(data));
	EXPECT_EQ(0, CHANGED_ELSEWHERE(IOMMU_GET_HW_INFO, struct iommu_hw_info,
		  OUT(struct iommu_hw_info, data_len),
		  OUT(struct iommu_hw_info, out_data_type),
		  .dev_id = self->s.idev, .data_len = 32,
		  .data_uptr = (uintptr_t)data));
	/* What is there, zeros as far as was asked for, nothing behind. */
	EXPECT_EQ(0, data[0]);
	for (i = 8; i < 64; i++)
		EXPECT_EQ(i < 32 ? 0 : 0xa5, data[i])
			TH_LOG("byte %u", i);
	close(file);
}

/*
 * Accounts
 */

/* The program again, after exec, with a mapping of its former self. */
static int after_exec(int fd, uint32_t ioas, bool process)
{
	void *p = pages_alloc(9 * PAGE);

	if (vm_pin() != 0)
		return 11;
	/* The user's limit is used up; the process is another one now. */
	if (ioas_map_fixed(fd, ioas, RW, p, PAGE, BASE + MiB) !=
	    (process ? 0 : -ENOMEM))
		return 12;
	if (process && ioas_unmap(fd, ioas, BASE + MiB, PAGE, NULL))
		return 13;
	if (ioas_unmap(fd, ioas, BASE, 8 * PAGE, NULL))
		return 14;
	if (vm_pin() != 0)
		return 15;
	if (ioas_map_fixed(fd, ioas, RW, p, 9 * PAGE, BASE) != -ENOMEM)
		return 16;
	if (ioas_map_fixed(fd, ioas, RW, p, 8 * PAGE, BASE) || vm_pin() != 32)
		return 17;
	if (ioas_unmap(fd, ioas, BASE, 8 * PAGE, NULL) || vm_pin() != 0)
		return 18;
	return 0;
}

/* (glibc passes main's arguments to constructors, too.) */
static void __attribute__((constructor)) maybe_after_exec(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "--after-exec"))
		_exit(after_exec(atoi(argv[2]), atoi(argv[3]), atoi(argv[4])));
}

static int before_exec(int fd, uint32_t ioas, bool process)
{
	struct rlimit limit = { 8 * PAGE, 8 * PAGE };
	void *p = pages_alloc(8 * PAGE);
	char text[3][16];

	if (setrlimit(RLIMIT_MEMLOCK, &limit) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return 1;
	if (ioas_map_fixed(fd, ioas, RW, p, 8 * PAGE, BASE) || vm_pin() != 32)
		return 2;
	if (fcntl(fd, F_SETFD, 0))
		return 3;
	sprintf(text[0], "%d", fd);
	sprintf(text[1], "%u", ioas);
	sprintf(text[2], "%d", process);
	execl("/proc/self/exe", "iommufd_defects", "--after-exec", text[0],
	      text[1], text[2], NULL);
	return 4;
}

TEST(exec_neither_loses_nor_doubles_a_charge)
{
	uint64_t process;
	struct stdev s;
	uint32_t ioas;
	pid_t pid;
	int fd;

	for (process = 0; process < 2; process++) {
		fd = iommufd_open();
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, iommufd_option(fd, IOMMU_OPTION_RLIMIT_MODE,
					    IOMMU_OPTION_OP_SET, 0, &process));
		ASSERT_EQ(0, ioas_alloc(fd, &ioas));
		ASSERT_EQ(0, stdev_add(fd, ioas, &s));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(before_exec(fd, ioas, process));
		EXPECT_EQ(0, reap(pid, 30)) TH_LOG("mode %d", (int)process);
		EXPECT_EQ(0, close(fd));
	}
}

/*
 * Short of everything
 */

static int memlock_zero(int fd, uint32_t ioas, uint32_t empty, int access)
{
	struct rlimit limit = { 0, 8 * PAGE };
	void *p = pages_alloc(8 * PAGE);
	struct stdev t;
	uint32_t id;

	if (setrlimit(RLIMIT_MEMLOCK, &limit) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		return 1;
	if (ioas_map_fixed(fd, ioas, RW, p, PAGE, BASE) != -ENOMEM)
		return 2;
	if (ioas_unmap(fd, ioas, BASE, PAGE, NULL) != -ENOENT)
		return 3;
	/* Nothing is counted where nothing is pinned; whoever pins fails. */
	if (ioas_map_fixed(fd, empty, RW, p, 8 * PAGE, BASE))
		return 4;
	if (access_pin(fd, access, 0, BASE, PAGE, p, &id) != -ENOMEM)
		return 5;
	if (stdev_add(fd, empty, &t) != -ENOMEM)
		return 6;
	if (ioas_copy_fixed(fd, RW, ioas, BASE, empty, BASE, PAGE) != -ENOMEM)
		return 7;
	if (vm_pin() != 0)
		return 8;
	/* With a limit all of it can be had: nothing was kept. */
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_MEMLOCK, &limit))
		return 9;
	if (stdev_add(fd, empty, &t) || vm_pin() != 32)
		return 10;
	if (access_pin(fd, access, 0, BASE, 8 * PAGE, p, &id))
		return 11;
	if (ioas_copy_fixed(fd, RW, ioas, BASE, empty, BASE, 8 * PAGE) ||
	    vm_pin() != 32)
		return 12;
	if (ioas_unmap(fd, ioas, BASE, 8 * PAGE, NULL) ||
	    ioas_unmap(fd, empty, BASE, 8 * PAGE, NULL) || vm_pin() != 0)
		return 13;
	return 0;
}

TEST(memlock_limit_zero_is_enomem_and_counts_nothing)
{
	uint32_t ioas, empty;
	uint64_t process;
	struct stdev s;
	int fd, access;
	pid_t pid;

	for (process = 0; process < 2; process++) {
		fd = iommufd_open();
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, iommufd_option(fd, IOMMU_OPTION_RLIMIT_MODE,
					    IOMMU_OPTION_OP_SET, 0, &process));
		ASSERT_EQ(0, ioas_alloc(fd, &ioas));
		ASSERT_EQ(0, ioas_alloc(fd, &empty));
		ASSERT_EQ(0, stdev_add(fd, ioas, &s));
		access = access_open(fd, empty, MOCK_ACCESS_PINS);
		ASSERT_LE(0, access);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(memlock_zero(fd, ioas, empty, access));
		EXPECT_EQ(0, reap(pid, 30)) TH_LOG("mode %d", (int)process);
		EXPECT_EQ(0, close(access));
		EXPECT_EQ(0, close(fd));
	}
}

/* A memory cgroup. All that is charged to who enters it fails beyond a limit. */
#define CGROUPS	"/tmp/iommufd_defects"

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), rc;

	if (fd < 0)
		return -errno;
	rc = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return rc;
}

static int read_number(const char *path, long *value)
{
	FILE *f = fopen(path, "r");
	int n;

	if (!f)
		return -errno;
	n = fscanf(f, "%ld", value);
	fclose(f);
	return n == 1 ? 0 : -EIO;
}

static int cgroup_make(const char *limit)
{
	int rc;

	mkdir(CGROUPS, 0755);
	if (mount("none", CGROUPS, "cgroup", 0, "memory") && errno != EBUSY)
		return -errno;
	if (mkdir(CGROUPS "/small", 0755) && errno != EEXIST)
		return -errno;
	rc = write_file(CGROUPS "/small/memory.limit_in_bytes", limit);
	return rc ?: write_file(CGROUPS "/small/memory.oom_control", "1");
}

static int cgroup_enter(void)
{
	return write_file(CGROUPS "/small/tasks", "0");
}

static long cgroup_usage(void)
{
	long value = -1;

	read_number(CGROUPS "/small/memory.usage_in_bytes", &value);
	return value;
}

static void cgroup_remove(void)
{
	int i;

	/* Its last process has just gone. */
	for (i = 0; i < 100 && rmdir(CGROUPS "/small"); i++)
		usleep(20000);
	umount(CGROUPS);
	rmdir(CGROUPS);
}

FIXTURE(scarce)
{
	int fd;
	uint32_t ioas;
	struct stdev s;
	long pins;
};

FIXTURE_SETUP(scarce)
{
	self->pins = pinned_now();
	ASSERT_LE(0, self->pins);
	ASSERT_EQ(0, cgroup_make("24M"));
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &self->s));
}

FIXTURE_TEARDOWN(scarce)
{
	EXPECT_EQ(0, close(self->fd));
	cgroup_remove();
	EXPECT_EQ(self->pins, pinned_now());
}

/* More memory than there is: found out page by page while it is pinned. */
static int map_too_much(int fd, uint32_t ioas, uint32_t hwpt, long pins)
{
	void *p = mmap(NULL, 64 * MiB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *q = pages_alloc(PAGE);
	int rc;

	if (p == MAP_FAILED || !q || cgroup_enter())
		return 1;
	madvise(p, 64 * MiB, MADV_NOHUGEPAGE);
	rc = ioas_map_fixed(fd, ioas, RW, p, 64 * MiB, BASE);
	if (rc != -ENOMEM)
		return rc ? 2 : 3;
	/* What was touched is there; without it reading files takes memory. */
	if (munmap(p, 64 * MiB))
		return 4;
	if (pinned_now() != pins)
		return 5;
	if (check_map(fd, hwpt, BASE, PAGE, q) != -EIO)
		return 6;
	if (ioas_unmap(fd, ioas, BASE, 64 * MiB, NULL) != -ENOENT)
		return 7;
	if (ioas_map_fixed(fd, ioas, RW, q, PAGE, BASE))
		return 8;
	if (check_map(fd, hwpt, BASE, PAGE, q))
		return 9;
	if (pinned_now() != pins + 1)
		return 10;
	return ioas_unmap(fd, ioas, BASE, PAGE, NULL) ? 11 : 0;
}

TEST_F_TIMEOUT(scarce, map_of_more_than_there_is_memory_is_enomem, 300)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(map_too_much(self->fd, self->ioas, self->s.hwpt,
				   self->pins));
	EXPECT_EQ(0, reap(pid, 250));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
}

/* The same when a device comes to what is mapped already. */
static int attach_too_much(int fd, long pins)
{
	void *p = mmap(NULL, 64 * MiB, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct stdev t;
	uint32_t ioas;
	uint64_t iova;
	int i;

	if (p == MAP_FAILED || ioas_alloc(fd, &ioas) || cgroup_enter())
		return 1;
	madvise(p, 64 * MiB, MADV_NOHUGEPAGE);
	for (i = 0; i < 64; i++) {
		iova = BASE + i * 2 * MiB;
		if (ioas_map_fixed(fd, ioas, RW, p + i * MiB, MiB, iova))
			return 2;
	}
	if (stdev_add(fd, ioas, &t) != -ENOMEM)
		return 3;
	if (munmap(p + 8 * MiB, 56 * MiB))
		return 4;
	if (pinned_now() != pins)
		return 5;
	/* What is left fits. */
	if (ioas_unmap(fd, ioas, BASE + 16 * MiB, 112 * MiB, NULL))
		return 9;
	if (stdev_add(fd, ioas, &t))
		return 6;
	if (pinned_now() != pins + 8 * MiB / PAGE)
		return 7;
	return iommufd_destroy(fd, t.id) || iommufd_destroy(fd, ioas) ? 8 : 0;
}

TEST_F_TIMEOUT(scarce, attach_to_more_than_there_is_memory_is_enomem, 300)
{
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(attach_too_much(self->fd, self->pins));
	EXPECT_EQ(0, reap(pid, 250));
}

/* IDs have no other end than memory. */
static int fill_the_table(uint32_t *nr_ids)
{
	uint32_t id = 0, first = 0, last = 0, nr = 0, i;
	int fd, rc;
	void *q;

	q = pages_alloc(PAGE);
	fd = iommufd_open();
	if (fd < 0 || cgroup_enter())
		return 1;
	while (!(rc = ioas_alloc(fd, &id))) {
		if (nr && id <= last)
			return 2;	/* given twice */
		if (!nr++)
			first = id;
		last = id;
	}
	*nr_ids = nr;
	if (rc != -ENOMEM)
		return 3;
	if (nr < 1000)
		return 4;
	/* All are there and can be used. */
	for (i = 0; i < nr; i += nr / 100)
		if (ioas_unmap_all(fd, first + i, NULL))
			return 5;
	for (i = 0; i < 100; i++)
		if (iommufd_destroy(fd, last - i))
			return 6;
	if (ioas_map_fixed(fd, first, RW, q, PAGE, BASE))
		return 7;
	for (i = 0; i < 10; i++)
		if (ioas_alloc(fd, &id))
			return 8;
	if (iommufd_destroy(fd, id) || close(fd))
		return 9;
	return 0;
}

TEST_F_TIMEOUT(scarce, full_table_of_ids_is_enomem_and_all_stay_usable, 300)
{
	uint32_t *nr = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	long before = cgroup_usage();
	pid_t pid;

	ASSERT_NE(MAP_FAILED, nr);
	*nr = 0;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(fill_the_table(nr));
	EXPECT_EQ(0, reap(pid, 250));
	TH_LOG("%u IOASes in 24 MiB", *nr);
	/* Everything was given back (per-CPU stocks aside). */
	EXPECT_GT(before + 2 * MiB, cgroup_usage());
	munmap(nr, PAGE);
}

/* Mappings, too; to take them away needs no memory. */
static int fill_with_mappings(int fd, uint32_t *nr_mappings, bool pinned)
{
	uint64_t unmapped = 0, iova = BASE;
	struct stdev s;
	uint32_t ioas;
	void *q;
	int rc;

	q = pages_alloc(PAGE);
	if (ioas_alloc(fd, &ioas) || (pinned && stdev_add(fd, ioas, &s)) ||
	    cgroup_enter())
		return 1;
	while (!(rc = ioas_map_fixed(fd, ioas, RW, q, PAGE, iova)))
		iova += PAGE;
	*nr_mappings = (iova - BASE) / PAGE;
	if (rc != -ENOMEM)
		return 2;
	if (*nr_mappings < 1000)
		return 3;
	if (ioas_unmap(fd, ioas, BASE, 64 * PAGE, &unmapped) ||
	    unmapped != 64 * PAGE)
		return 4;
	if (ioas_map_fixed(fd, ioas, RW, q, PAGE, BASE))
		return 5;
	if (ioas_unmap_all(fd, ioas, &unmapped) ||
	    unmapped != iova - BASE - 63 * PAGE)
		return 6;
	if (ioas_map_fixed(fd, ioas, RW, q, PAGE, BASE))
		return 7;
	return ioas_unmap_all(fd, ioas, NULL) ? 8 : 0;
}

TEST_F_TIMEOUT(scarce, mappings_until_memory_ends_can_all_be_unmapped, 300)
{
	uint32_t *nr = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int pinned;
	pid_t pid;

	ASSERT_NE(MAP_FAILED, nr);
	for (pinned = 0; pinned < 2; pinned++) {
		*nr = 0;		/* the page is there from now on */
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(fill_with_mappings(self->fd, nr, pinned));
		EXPECT_EQ(0, reap(pid, 250)) TH_LOG("%s", pinned ? "pinned" : "");
		TH_LOG("%u mappings in 24 MiB%s", *nr,
		       pinned ? ", each pinned" : "");
	}
	munmap(nr, PAGE);
}

/*
 * A dying process
 */

/* Pages that were ever pinned; kept per CPU and gathered when asked for. */
static long pinned_ever(void)
{
	long acquired = -1;
	char line[128];
	FILE *f;

	if (pinned_now() < 0)
		return -1;
	f = fopen("/proc/vmstat", "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f))
		sscanf(line, "nr_foll_pin_acquired %ld", &acquired);
	fclose(f);
	return acquired;
}

/* So many bytes, or this part of the machine's memory if that is less; whole MiB */
static size_t memory_share(size_t most, unsigned int part)
{
	size_t share = sysconf(_SC_PHYS_PAGES) * PAGE / part & -MiB;

	return share < most ? share : most;
}

/*
 * Memory that is there is pinned without a look at signals, the other is faulted
 * in, which does look: both end before their time.
 */
TEST_F_TIMEOUT(defect, process_killed_in_a_long_map_leaves_nothing, 300)
{
	/* Takes long, and leaves a small machine the rest of its memory. */
	size_t length = memory_share(512 * MiB, 4);
	long before;
	pid_t pid;
	void *p;
	int i, there;

	for (there = 0; there < 2; there++) {
		p = mmap(NULL, length, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS |
			 (there ? MAP_POPULATE : 0), -1, 0);
		ASSERT_NE(MAP_FAILED, p);
		before = pinned_ever();
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			/* (A fork does not take along the table of these.) */
			if (there)
				madvise(p, length, MADV_POPULATE_WRITE);
			ioas_map_fixed(self->fd, self->ioas, RW, p, length,
				       BASE);
			_exit(1);	/* it got through: not the test */
		}
		for (i = 0; i < 30000 && pinned_now() < self->pins + 2000; i++)
			usleep(1000);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(1000 + SIGKILL, reap(pid, 20));
		EXPECT_GT(before + length / PAGE, pinned_ever());
		EXPECT_EQ(self->pins, pinned_now());
		EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->ioas, BASE, length,
					      NULL));
		ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					    LENGTH, BASE));
		EXPECT_EQ(0, check_map(self->fd, self->s.hwpt, BASE, LENGTH,
				       self->buf));
		EXPECT_EQ(-EIO, check_map(self->fd, self->s.hwpt, BASE + LENGTH,
					  PAGE, self->buf));
		ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
		munmap(p, length);
	}
}

#define NR_MANY		32768UL		/* in three page tables: not at once */

struct many {
	int fd;
	uint32_t ioas, other, hwpts[3];
	const void *va;
};

static int map_many(const struct many *m)
{
	uint64_t i;
	int rc = 0;

	for (i = 0; i < NR_MANY; i++)
		rc |= ioas_map_fixed(m->fd, m->ioas, RW, (void *)m->va, PAGE,
				     BASE + i * PAGE);
	return rc;
}

/* Is it mapped? -1 when the address space and its page tables disagree. */
static int is_there(const struct many *m, uint64_t iova)
{
	int rc = ioas_copy_fixed(m->fd, RW, m->other, BASE, m->ioas, iova, PAGE);
	int i;

	if (rc && rc != -ENOENT)
		return -1;
	for (i = 0; i < 3; i++)
		if (check_map(m->fd, m->hwpts[i], iova, PAGE, m->va) !=
		    (rc ? -EIO : 0))
			return -1;
	if (!rc && ioas_unmap(m->fd, m->other, BASE, PAGE, NULL))
		return -1;
	return !rc;
}

/*
 * It unmaps some, and ends. Who has the file too finds each mapping whole or
 * gone: in the address space, in all page tables, in the counts of pins.
 */
TEST_F_TIMEOUT(defect, process_killed_in_a_long_unmap_leaves_whole_mappings, 600)
{
	struct many m = {
		.fd = self->fd,
		.ioas = self->ioas,
		.other = self->other,
		.hwpts[0] = self->s.hwpt,
		.va = self->buf,
	};
	const long all = NR_MANY, kb = vm_pin();
	long there = 0, left = 0, i;
	uint64_t unmapped = 0;
	int attempt, is, rc = 0;
	pid_t pid;

	for (i = 1; i < 3; i++)
		ASSERT_EQ(0, hwpt_alloc(self->fd, self->s.idev, self->ioas,
					&m.hwpts[i]));
	/* It may be through before it is killed. */
	for (attempt = 0; attempt < 20 && !left; attempt++) {
		ASSERT_EQ(0, map_many(&m));
		ASSERT_EQ(self->pins + all, pinned_now());
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(-ioas_unmap_all(self->fd, self->ioas, NULL));
		while (pinned_now() == self->pins + all)
			;
		ASSERT_EQ(0, kill(pid, SIGKILL));
		rc = reap(pid, 60);
		left = pinned_now() - self->pins;
	}
	TH_LOG("%ld of %ld mappings were left, attempt %d", left, all, attempt);
	ASSERT_LT(0, left);
	EXPECT_GT(all, left);
	EXPECT_EQ(1000 + SIGKILL, rc);
	EXPECT_EQ(kb + left * 4, vm_pin());
	for (i = 0; i < all; i++) {
		is = is_there(&m, BASE + i * PAGE);
		ASSERT_LE(0, is) TH_LOG("mapping %ld", i);
		there += is;
	}
	EXPECT_EQ(left, there);
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, &unmapped));
	EXPECT_EQ(left * PAGE, unmapped);
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(kb, vm_pin());
	/* The place is free. */
	ASSERT_EQ(0, map_many(&m));
	EXPECT_EQ(self->pins + all, pinned_now());
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	for (i = 1; i < 3; i++)
		ASSERT_EQ(0, iommufd_destroy(self->fd, m.hwpts[i]));
}

enum slow_call { SLOW_MAP, SLOW_COPY, SLOW_ATTACH, SLOW_ALLOC, SLOW_PIN,
		 NR_SLOW };

struct slow_caller {
	pthread_t thread;
	int fd, access;
	uint32_t ioas, other, idev;
	enum slow_call call;
	struct slow_memory *memory;
};

static void *call_slowly(void *arg)
{
	struct slow_caller *c = arg;
	struct stdev t;
	uint32_t id;

	switch (c->call) {
	case SLOW_MAP:
		ioas_map_fixed(c->fd, c->ioas, RW, c->memory->p,
			       c->memory->length, BASE);
		break;
	case SLOW_COPY:
		ioas_copy_fixed(c->fd, RW, c->ioas, BASE, c->other, BASE,
				c->memory->length);
		break;
	case SLOW_ATTACH:
		stdev_add(c->fd, c->other, &t);
		break;
	case SLOW_ALLOC:
		hwpt_alloc(c->fd, c->idev, c->other, &id);
		break;
	default:
		access_pin(c->fd, c->access, 0, BASE, c->memory->length,
			   c->memory->p, &id);
	}
	return NULL;
}

/* Sleep in the kernel on a page that never comes, and say so. */
static int wait_inside(int pipe, struct slow_caller *c)
{
	struct slow_memory slow;

	c->memory = &slow;
	if (slow_memory_make(&slow, 4 * PAGE))
		return 1;
	if (c->call != SLOW_MAP &&
	    ioas_map_fixed(c->fd, c->other, RW, slow.p, slow.length, BASE))
		return 2;
	if (pthread_create(&c->thread, NULL, call_slowly, c) ||
	    slow_memory_wait(&slow) || write(pipe, "x", 1) != 1)
		return 3;
	pause();
	return 4;
}

TEST_F_TIMEOUT(defect, whoever_waits_for_memory_can_be_killed, 300)
{
	struct slow_caller c = {
		.fd = self->fd, .ioas = self->ioas, .other = self->other,
		.idev = self->s.idev,
	};
	int pipes[2], i;
	struct stdev t;
	char byte;
	pid_t pid;

	c.access = access_open(self->fd, self->other, MOCK_ACCESS_PINS);
	ASSERT_LE(0, c.access);
	for (i = 0; i < NR_SLOW; i++) {
		c.call = i;
		ASSERT_EQ(0, pipe(pipes));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(wait_inside(pipes[1], &c));
		close(pipes[1]);
		ASSERT_EQ(1, read(pipes[0], &byte, 1)) TH_LOG("call %d", i);
		close(pipes[0]);
		ASSERT_EQ(0, kill(pid, SIGKILL));
		EXPECT_EQ(1000 + SIGKILL, reap(pid, 10)) TH_LOG("call %d", i);
		EXPECT_EQ(self->pins, pinned_now()) TH_LOG("call %d", i);
		/* The mapping of memory that is gone goes, or never was. */
		EXPECT_EQ(i == SLOW_MAP ? -ENOENT : 0,
			  ioas_unmap(self->fd, self->other, BASE, 4 * PAGE,
				     NULL)) TH_LOG("call %d", i);
		EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->ioas, BASE,
					      4 * PAGE, NULL));
		ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					    LENGTH, BASE));
		ASSERT_EQ(0, ioas_copy_fixed(self->fd, RW, self->other, BASE,
					     self->ioas, BASE, LENGTH));
		ASSERT_EQ(0, stdev_add(self->fd, self->other, &t));
		EXPECT_EQ(0, check_map(self->fd, t.hwpt, BASE, LENGTH,
				       self->buf));
		ASSERT_EQ(0, iommufd_destroy(self->fd, t.id));
		ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
		ASSERT_EQ(0, ioas_unmap_all(self->fd, self->other, NULL));
	}
	EXPECT_EQ(0, close(c.access));
}

TEST_HARNESS_MAIN
