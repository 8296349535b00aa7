// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/iommu with fake devices, in modules made for tests: what page tables
 * hold, which pages are pinned and how often, what in-kernel users reach. The
 * fake IOMMU (drivers/iommufd/mock.c) checks what the core owes to a driver and
 * warns, which fails the run.
 *
 * Three fixtures. `op` is about the test ioctl itself: each of its rules, so
 * that a wrong answer elsewhere is not the test's own. `ioas` runs the same
 * tests for address spaces with no, one and two page tables, with an in-kernel
 * user, with large pages forbidden, and with batches so small that everything
 * takes many steps. `dev` is about devices, tables and groups.
 *
 * At the end of every test all of the buffer's pages must be unpinned, as soon
 * as close() has returned.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "mock_utils.h"

#define NR_PAGES	64UL
#define LENGTH		(NR_PAGES * PAGE)

/*
 * The operations of the test ioctl
 */

FIXTURE(op)
{
	int fd;
	uint32_t ioas;
	void *buf;
};

FIXTURE_SETUP(op)
{
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->buf = pages_alloc(LENGTH);
	ASSERT_NE(NULL, self->buf);
	paint(self->buf, LENGTH, 1);
}

FIXTURE_TEARDOWN(op)
{
	EXPECT_EQ(0, memory_limit(self->fd, NO_LIMIT));
	EXPECT_EQ(0, fail_attach(self->fd, 0, 0));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, unpinned(self->buf, LENGTH));
	munmap(self->buf, LENGTH);
}

TEST_F(op, number_and_layout_are_those_of_the_abi)
{
	EXPECT_EQ(0x3ba0, IOMMU_TEST_CMD);
	EXPECT_EQ(56, sizeof(struct iommu_test_cmd));
	EXPECT_EQ(48, offsetof(struct iommu_test_cmd, last));
	EXPECT_EQ(16, offsetof(struct iommu_test_cmd, mock_domain.out_stdev_id));
	EXPECT_EQ(20, offsetof(struct iommu_test_cmd, mock_domain.out_hwpt_id));
	EXPECT_EQ(24, offsetof(struct iommu_test_cmd, mock_domain.out_idev_id));
	EXPECT_EQ(32, offsetof(struct iommu_test_cmd, check_map.uptr));
	EXPECT_EQ(24, offsetof(struct iommu_test_cmd, check_refs.uptr));
	EXPECT_EQ(32, offsetof(struct iommu_test_cmd, check_refs.refs));
	EXPECT_EQ(20, offsetof(struct iommu_test_cmd, create_access.flags));
	EXPECT_EQ(20, offsetof(struct iommu_test_cmd, access_pages.out_pages_id));
	EXPECT_EQ(24, offsetof(struct iommu_test_cmd, access_pages.iova));
	EXPECT_EQ(40, offsetof(struct iommu_test_cmd, access_pages.uptr));
	EXPECT_EQ(32, offsetof(struct iommu_test_cmd, access_rw.uptr));
	EXPECT_EQ(40, offsetof(struct iommu_test_cmd, access_rw.flags));
}

TEST_F(op, sizes_are_checked_first)
{
	struct {
		struct iommu_test_cmd cmd;
		uint8_t more[16];
	} arg = { .cmd.op = IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT,
		  .cmd.memory_limit.limit = NO_LIMIT };

	arg.cmd.size = 51;
	EXPECT_EQ(-EINVAL, ioctl_rc(self->fd, IOMMU_TEST_CMD, &arg));
	arg.cmd.size = 52;
	EXPECT_EQ(0, ioctl_rc(self->fd, IOMMU_TEST_CMD, &arg));
	arg.cmd.size = 56;
	EXPECT_EQ(0, ioctl_rc(self->fd, IOMMU_TEST_CMD, &arg));
	arg.cmd.size = 72;
	EXPECT_EQ(0, ioctl_rc(self->fd, IOMMU_TEST_CMD, &arg));
	arg.more[15] = 1;
	EXPECT_EQ(-E2BIG, ioctl_rc(self->fd, IOMMU_TEST_CMD, &arg));
	arg.cmd.op = 99;
	EXPECT_EQ(-E2BIG, ioctl_rc(self->fd, IOMMU_TEST_CMD, &arg));
	arg.more[15] = 0;
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(self->fd, IOMMU_TEST_CMD, &arg));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->fd, IOMMU_TEST_CMD, NULL));
}

TEST_F(op, unknown_operations_are_not_supported)
{
	uint32_t ops[] = { 0, 12, 23, 0xffff, 0x10002, 0xffffffff };
	struct iommu_test_cmd cmd = {};
	unsigned int i;

	for (i = 0; i < 6; i++)
		EXPECT_EQ(-EOPNOTSUPP, test_cmd(self->fd, &cmd, ops[i]));
}

TEST_F(op, a_device_takes_an_ioas_or_a_hwpt)
{
	struct stdev a, b;

	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &a));
	EXPECT_NE(0, a.id);
	EXPECT_NE(0, a.hwpt);
	EXPECT_NE(0, a.idev);
	EXPECT_NE(a.id, a.idev);
	ASSERT_EQ(0, stdev_add(self->fd, a.hwpt, &b));
	EXPECT_EQ(a.hwpt, b.hwpt);
	EXPECT_NE(a.idev, b.idev);
	EXPECT_EQ(-ENOENT, stdev_add(self->fd, 0, &b));
	EXPECT_EQ(-ENOENT, stdev_add(self->fd, UNUSED_ID, &b));
	EXPECT_EQ(-EINVAL, stdev_add(self->fd, a.idev, &b));
	EXPECT_EQ(-EINVAL, stdev_add(self->fd, a.id, &b));
}

TEST_F(op, ids_are_not_told_where_they_cannot_be_written)
{
	struct iommu_test_cmd cmd = {
		.size = sizeof(cmd),
		.op = IOMMU_TEST_OP_MOCK_DOMAIN,
		.id = self->ioas,
	};
	void *ro = readonly_copy(&cmd, sizeof(cmd));

	ASSERT_NE(NULL, ro);
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, PAGE,
				    BASE));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->fd, IOMMU_TEST_CMD, ro));
	/* Nothing was made: there is nothing in the way of its end. */
	EXPECT_EQ(0, check_refs(self->fd, self->buf, PAGE, 0));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas));
}

TEST_F(op, check_map_finds_what_is_wrong)
{
	struct stdev s;
	uint8_t *buf = self->buf;

	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &s));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, buf, 4 * PAGE,
				    BASE));
	EXPECT_EQ(0, check_map(self->fd, s.hwpt, BASE, 4 * PAGE, buf));
	EXPECT_EQ(0, check_map(self->fd, s.hwpt, BASE + HALF, 3 * PAGE,
			       buf + HALF));
	EXPECT_EQ(0, check_map(self->fd, s.hwpt, BASE, 0, buf));
	/* beyond the end, before the start, other pages, other halves */
	EXPECT_EQ(-EIO, check_map(self->fd, s.hwpt, BASE, 4 * PAGE + HALF, buf));
	EXPECT_EQ(-EIO, check_map(self->fd, s.hwpt, BASE - HALF, PAGE, buf));
	EXPECT_EQ(-EIO, check_map(self->fd, s.hwpt, BASE, PAGE, buf + PAGE));
	EXPECT_EQ(-EIO, check_map(self->fd, s.hwpt, BASE, HALF, buf + HALF));
	EXPECT_EQ(-EINVAL, check_map(self->fd, s.hwpt, BASE + 1, HALF, buf));
	EXPECT_EQ(-EINVAL, check_map(self->fd, s.hwpt, BASE, HALF + 1, buf));
	EXPECT_EQ(-EINVAL, check_map(self->fd, s.hwpt, BASE, HALF, buf + 1));
	EXPECT_EQ(-ENOENT, check_map(self->fd, self->ioas, BASE, PAGE, buf));
	EXPECT_EQ(-ENOENT, check_map(self->fd, UNUSED_ID, BASE, PAGE, buf));
	EXPECT_EQ(-EFAULT, check_map(self->fd, s.hwpt, BASE, PAGE, (void *)PAGE));
	/* It is no answer from memory: it looks. */
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, 4 * PAGE, NULL));
	EXPECT_EQ(-EIO, check_map(self->fd, s.hwpt, BASE, HALF, buf));
}

TEST_F(op, check_refs_counts_pins)
{
	struct stdev s;
	void *huge;

	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
	EXPECT_EQ(-EIO, check_refs(self->fd, self->buf, LENGTH, 1));
	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &s));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, PAGE,
				    BASE));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, PAGE, 1));
	EXPECT_EQ(-EIO, check_refs(self->fd, self->buf, PAGE, 0));
	EXPECT_EQ(-EIO, check_refs(self->fd, self->buf, 2 * PAGE, 1));
	/* The same page in another mapping has another pin. */
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, PAGE,
				    BASE + PAGE));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, PAGE, 2));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, 0, 77));
	EXPECT_EQ(-EINVAL, check_refs(self->fd, self->buf + 1, PAGE, 2));
	EXPECT_EQ(-EINVAL, check_refs(self->fd, self->buf, HALF, 2));
	EXPECT_EQ(-EFAULT, check_refs(self->fd, (void *)PAGE, PAGE, 0));
	huge = huge_alloc(HUGE);
	ASSERT_NE(NULL, huge);
	EXPECT_EQ(0, check_refs(self->fd, huge, HUGE, 0));
	EXPECT_EQ(0, check_refs(self->fd, huge, HUGE, 1));
	munmap(huge, HUGE);
}

TEST_F(op, check_refs_needs_no_objects)
{
	EXPECT_EQ(0, unpinned(self->buf, LENGTH));
}

TEST_F(op, a_reserved_range_is_kept_free)
{
	struct iommu_iova_range ranges[4] = {}, allowed;
	uint64_t iova = 0, align;
	uint32_t nr = 4;

	ASSERT_EQ(0, add_reserved(self->fd, self->ioas, PAGE, PAGE));
	ASSERT_EQ(0, ioas_iova_ranges(self->fd, self->ioas, ranges, &nr, &align));
	ASSERT_EQ(2, nr);
	EXPECT_EQ(0, ranges[0].start);
	EXPECT_EQ(PAGE - 1, ranges[0].last);
	EXPECT_EQ(2 * PAGE, ranges[1].start);
	EXPECT_EQ(UINT64_MAX, ranges[1].last);
	EXPECT_EQ(1, align);

	ASSERT_EQ(0, add_reserved(self->fd, self->ioas, 0, PAGE));
	ASSERT_EQ(0, ioas_map(self->fd, self->ioas, RW, self->buf, PAGE, &iova));
	EXPECT_LE(2 * PAGE, iova);
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  PAGE, PAGE));
	/* over a mapping, over an allowed range, allowed over reserved */
	EXPECT_EQ(-EADDRINUSE, add_reserved(self->fd, self->ioas, iova, 1));
	allowed.start = 16 * PAGE;
	allowed.last = 17 * PAGE - 1;
	ASSERT_EQ(0, ioas_allow(self->fd, self->ioas, &allowed, 1));
	EXPECT_EQ(-EADDRINUSE, add_reserved(self->fd, self->ioas, 17 * PAGE - 1,
					    PAGE));
	EXPECT_EQ(0, add_reserved(self->fd, self->ioas, 17 * PAGE, PAGE));
	allowed.last++;
	EXPECT_EQ(-EADDRINUSE, ioas_allow(self->fd, self->ioas, &allowed, 1));

	EXPECT_EQ(-EINVAL, add_reserved(self->fd, self->ioas, 0, 0));
	EXPECT_EQ(-EOVERFLOW, add_reserved(self->fd, self->ioas, UINT64_MAX, 2));
	EXPECT_EQ(-ENOENT, add_reserved(self->fd, UNUSED_ID, 0, PAGE));
	/* It is in nobody's way. */
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas));
}

TEST_F(op, a_reserved_range_outside_the_aperture_does_not_show)
{
	struct iommu_iova_range range;
	struct stdev s;
	uint32_t nr = 1;

	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &s));
	ASSERT_EQ(0, add_reserved(self->fd, self->ioas, 0, PAGE));
	ASSERT_EQ(0, ioas_iova_ranges(self->fd, self->ioas, &range, &nr, NULL));
	EXPECT_EQ(1, nr);
	EXPECT_EQ(MOCK_APERTURE_START, range.start);
	EXPECT_EQ(MOCK_APERTURE_LAST, range.last);
}

TEST_F(op, an_access_outlives_the_context_s_descriptor)
{
	int fd = iommufd_open(), access, other;
	uint32_t ioas, id;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, ioas_map_fixed(fd, ioas, RW, self->buf, PAGE, BASE));
	access = access_open(fd, ioas, MOCK_ACCESS_PINS);
	ASSERT_LE(0, access);
	EXPECT_EQ(-EBUSY, iommufd_destroy(fd, ioas));
	ASSERT_EQ(0, access_pin(fd, access, 0, BASE, PAGE, self->buf, &id));
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, PAGE, 1));
	/* Another context's ioctl can still be used to reach it. */
	other = access_pin(self->fd, access, 0, BASE, PAGE, self->buf, &id);
	EXPECT_EQ(0, other);
	EXPECT_EQ(0, check_refs(self->fd, self->buf, PAGE, 1));
	EXPECT_EQ(0, close(access));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, PAGE, 0));
}

TEST_F(op, access_operations_say_what_is_wrong)
{
	uint32_t id = 0;
	char data[16];
	int plain, pins;

	EXPECT_EQ(-ENOENT, access_open(self->fd, UNUSED_ID, 0));
	EXPECT_EQ(-ENOENT, access_open(self->fd, 0, MOCK_ACCESS_PINS));
	EXPECT_EQ(-EOPNOTSUPP, access_open(self->fd, self->ioas, 2));
	plain = access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, plain);
	pins = access_open(self->fd, self->ioas, MOCK_ACCESS_PINS);
	ASSERT_LE(0, pins);
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RD, self->buf,
				    2 * PAGE, BASE));

	EXPECT_EQ(-EOPNOTSUPP, access_pin(self->fd, plain, 0, BASE, PAGE,
					  self->buf, &id));
	EXPECT_EQ(-EOPNOTSUPP, access_pin(self->fd, pins, 2, BASE, PAGE,
					  self->buf, &id));
	EXPECT_EQ(-EINVAL, access_pin(self->fd, pins, 0, BASE, 0, self->buf,
				      &id));
	EXPECT_EQ(-ENOENT, access_pin(self->fd, pins, 0, BASE, 3 * PAGE,
				      self->buf, &id));
	EXPECT_EQ(-ENOENT, access_pin(self->fd, pins, 0, BASE - PAGE, 2 * PAGE,
				      self->buf, &id));
	EXPECT_EQ(-EOVERFLOW, access_pin(self->fd, pins, 0, -PAGE, 2 * PAGE,
					 self->buf, &id));
	EXPECT_EQ(-EPERM, access_pin(self->fd, pins, MOCK_PAGES_WRITE, BASE,
				     PAGE, self->buf, &id));
	/* The right pages are asked for. */
	EXPECT_EQ(-EIO, access_pin(self->fd, pins, 0, BASE, PAGE,
				   self->buf + PAGE, &id));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
	EXPECT_EQ(0, access_pin(self->fd, pins, MOCK_PAGES_UNVERIFIED, BASE,
				PAGE, NULL, &id));
	EXPECT_NE(0, id);

	EXPECT_EQ(-ENOENT, access_unpin(self->fd, pins, id + 1));
	EXPECT_EQ(-ENOENT, access_unpin(self->fd, pins, 0));
	EXPECT_EQ(0, access_unpin(self->fd, pins, id));
	EXPECT_EQ(-ENOENT, access_unpin(self->fd, pins, id));

	EXPECT_EQ(-EOPNOTSUPP, access_rw(self->fd, plain, 2, BASE, data, 16));
	EXPECT_EQ(-ENOENT, access_rw(self->fd, plain, 0, 0, data, 16));
	EXPECT_EQ(-ENOENT, access_rw(self->fd, plain, 0, BASE + 2 * PAGE - 8,
				     data, 16));
	EXPECT_EQ(-EPERM, access_rw(self->fd, plain, MOCK_RW_WRITE, BASE, data,
				    16));
	EXPECT_EQ(-EFAULT, access_rw(self->fd, plain, 0, BASE, (void *)PAGE,
				     16));
	EXPECT_EQ(0, access_rw(self->fd, plain, 0, BASE, data, 16));

	EXPECT_EQ(-ENOENT, access_replace(self->fd, plain, UNUSED_ID));
	/* Descriptors of something else, and none at all. */
	EXPECT_EQ(-EBADFD, access_unpin(self->fd, self->fd, 1));
	EXPECT_EQ(-EBADFD, access_rw(self->fd, self->fd, 0, BASE, data, 16));
	EXPECT_EQ(-EBADF, access_replace(self->fd, 12345, self->ioas));
	EXPECT_EQ(0, close(plain));
	EXPECT_EQ(0, close(pins));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas));
}

/*
 * Thousands of runs of single pages, pinned piece by piece
 */

#define SCATTERED	2048UL
#define PIECES		48

struct piece {
	uint32_t id;		/* of the pinned pages, 0: none */
	unsigned long first, nr;
};

/* Touched in a random order, so that no page lies behind its neighbour. */
static void *scattered_alloc(unsigned int *seed)
{
	void *p = mmap(NULL, SCATTERED * PAGE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned long order[SCATTERED], i, j;

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, SCATTERED * PAGE, MADV_NOHUGEPAGE);
	for (i = 0; i < SCATTERED; i++) {
		j = rand_r(seed) % (i + 1);
		order[i] = order[j];
		order[j] = i;
	}
	for (i = 0; i < SCATTERED; i++)
		memset(p + order[i] * PAGE, order[i], PAGE);
	return p;
}

/* Each page is pinned once if a piece has it, and not otherwise. */
static bool pins_are_those_of(int fd, void *buf, const struct piece *pieces,
			      bool all)
{
	unsigned char wanted[SCATTERED];
	unsigned long i, from;

	memset(wanted, all, sizeof(wanted));
	for (i = 0; i < PIECES; i++)
		if (pieces[i].id)
			memset(&wanted[pieces[i].first], 1, pieces[i].nr);
	for (i = 0; i < SCATTERED; i = from) {
		for (from = i; from < SCATTERED && wanted[from] == wanted[i];)
			from++;
		if (check_refs(fd, buf + i * PAGE, (from - i) * PAGE,
			       wanted[i]))
			return false;
	}
	return true;
}

TEST_F_TIMEOUT(op, scattered_memory_is_pinned_where_somebody_needs_it, 120)
{
	struct piece pieces[PIECES] = {};
	unsigned int step, seed = 2026;
	struct stdev stdev;
	bool attached = false;
	struct piece *p;
	uint32_t ioas;
	int access;
	void *buf;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	buf = scattered_alloc(&seed);
	ASSERT_NE(NULL, buf);
	ASSERT_EQ(0, ioas_map_fixed(self->fd, ioas, RW, buf, SCATTERED * PAGE,
				    BASE));
	access = access_open(self->fd, ioas, MOCK_ACCESS_PINS);
	ASSERT_LE(0, access);
	for (step = 0; step < 1500; step++) {
		p = &pieces[rand_r(&seed) % PIECES];
		if (rand_r(&seed) % 256 == 0) {
			attached = !attached;
			ASSERT_EQ(0, attached ?
				     stdev_add(self->fd, ioas, &stdev) :
				     iommufd_destroy(self->fd, stdev.id));
			ASSERT_EQ(0, attached ?
				     check_map(self->fd, stdev.hwpt, BASE,
					       SCATTERED * PAGE, buf) : 0);
		} else if (p->id) {
			ASSERT_EQ(0, access_unpin(self->fd, access, p->id));
			p->id = 0;
		} else {
			/* Many short ones, some that go over most of it. */
			p->first = rand_r(&seed) % SCATTERED;
			p->nr = 1 + rand_r(&seed) %
				(rand_r(&seed) % 4 ? 12 : SCATTERED);
			if (p->nr > SCATTERED - p->first)
				p->nr = SCATTERED - p->first;
			ASSERT_EQ(0, access_pin(self->fd, access, 0,
						BASE + p->first * PAGE,
						p->nr * PAGE,
						buf + p->first * PAGE, &p->id));
		}
		ASSERT_TRUE(step % 32 ||
			    pins_are_those_of(self->fd, buf, pieces,
					      attached)) {
			TH_LOG("step %u", step);
		}
	}
	EXPECT_EQ(0, attached ? iommufd_destroy(self->fd, stdev.id) : 0);
	for (p = pieces; p < pieces + PIECES; p++)
		EXPECT_EQ(0, p->id ? access_unpin(self->fd, access, p->id) : 0);
	EXPECT_EQ(0, check_refs(self->fd, buf, SCATTERED * PAGE, 0));
	EXPECT_EQ(0, close(access));
	EXPECT_EQ(0, iommufd_destroy(self->fd, ioas));
	munmap(buf, SCATTERED * PAGE);
}

TEST_F(op, closing_takes_everything_down_in_any_state)
{
	struct stdev s[3];
	uint32_t ioas, hwpt, id;
	int state, fd, access;

	for (state = 0; state < 16; state++) {
		fd = iommufd_open();
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, ioas_alloc(fd, &ioas));
		if (state & 1)
			ASSERT_EQ(0, ioas_map_fixed(fd, ioas, RW, self->buf,
						    LENGTH, BASE));
		ASSERT_EQ(0, stdev_add(fd, ioas, &s[0]));
		if (state & 2) {
			ASSERT_EQ(0, stdev_add(fd, ioas, &s[1]));
			ASSERT_EQ(0, hwpt_alloc(fd, s[0].idev, ioas, &hwpt));
			ASSERT_EQ(0, stdev_add(fd, hwpt, &s[2]));
		}
		access = -1;
		if (state & 4) {
			access = access_open(fd, ioas, MOCK_ACCESS_PINS);
			ASSERT_LE(0, access);
			if (state & 1)
				ASSERT_EQ(0, access_pin(fd, access, 0,
							BASE + PAGE, PAGE,
							self->buf + PAGE, &id));
		}
		if (state & 8)
			ASSERT_EQ(0, iommufd_destroy(fd, s[0].id));
		EXPECT_EQ(0, close(fd));
		if (access >= 0)
			EXPECT_EQ(0, close(access));
		EXPECT_EQ(0, unpinned(self->buf, LENGTH))
			TH_LOG("state %d", state);
	}
}

/*
 * Address spaces, with and without page tables
 */

FIXTURE(ioas)
{
	int fd;
	uint32_t ioas;
	int nr_tables;
	struct stdev s[2];
	int access;		/* or -1 */
	uint64_t align;
	bool pinned;		/* what is mapped is pinned */
	uint8_t *buf;		/* and behind it a page that is not there */
};

FIXTURE_VARIANT(ioas)
{
	int tables;
	uint32_t limit;
	bool small_pages;
	bool access;
};

FIXTURE_VARIANT_ADD(ioas, no_table) { .tables = 0, .limit = NO_LIMIT };
FIXTURE_VARIANT_ADD(ioas, one_table) { .tables = 1, .limit = NO_LIMIT };
FIXTURE_VARIANT_ADD(ioas, two_tables) { .tables = 2, .limit = NO_LIMIT };
FIXTURE_VARIANT_ADD(ioas, one_table_limit_16) { .tables = 1, .limit = 16 };
FIXTURE_VARIANT_ADD(ioas, two_tables_limit_32) { .tables = 2, .limit = 32 };
FIXTURE_VARIANT_ADD(ioas, one_table_small_pages) {
	.tables = 1, .limit = NO_LIMIT, .small_pages = true };
FIXTURE_VARIANT_ADD(ioas, two_tables_small_pages_limit_16) {
	.tables = 2, .limit = 16, .small_pages = true };
FIXTURE_VARIANT_ADD(ioas, access_alone_limit_16) {
	.tables = 0, .limit = 16, .access = true };
FIXTURE_VARIANT_ADD(ioas, one_table_with_access) {
	.tables = 1, .limit = NO_LIMIT, .access = true };
FIXTURE_VARIANT_ADD(ioas, two_tables_with_access_limit_32) {
	.tables = 2, .limit = 32, .access = true };

FIXTURE_SETUP(ioas)
{
	self->access = -1;
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, memory_limit(self->fd, variant->limit));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	if (variant->small_pages)
		ASSERT_EQ(0, set_huge_pages(self->fd, self->ioas, 0));
	/* Two devices of one kind would share one table. */
	if (variant->tables > 0)
		ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &self->s[0]));
	if (variant->tables > 1) {
		ASSERT_EQ(0, stdev_add_to_unit(self->fd, self->ioas,
					       MOCK_UNIT_TWIN, &self->s[1]));
		ASSERT_NE(self->s[0].hwpt, self->s[1].hwpt);
	}
	if (variant->access) {
		self->access = access_open(self->fd, self->ioas,
					   MOCK_ACCESS_PINS);
		ASSERT_LE(0, self->access);
	}
	self->nr_tables = variant->tables;
	self->pinned = variant->tables;
	self->align = variant->tables ? HALF : 1;
	if (variant->small_pages || variant->access)
		self->align = PAGE;

	self->buf = mmap(NULL, LENGTH + PAGE, PROT_NONE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->buf);
	ASSERT_EQ(0, mprotect(self->buf, LENGTH, PROT_READ | PROT_WRITE));
	madvise(self->buf, LENGTH, MADV_NOHUGEPAGE);
	paint(self->buf, LENGTH, 3);
}

FIXTURE_TEARDOWN(ioas)
{
	EXPECT_EQ(0, memory_limit(self->fd, NO_LIMIT));
	EXPECT_EQ(0, fail_attach(self->fd, 0, 0));
	if (self->access >= 0)
		EXPECT_EQ(0, close(self->access));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, unpinned(self->buf, LENGTH));
	munmap(self->buf, LENGTH + PAGE);
}

typedef FIXTURE_DATA(ioas) ioas_data;

/* All tables lead from there to this memory. */
static int all_lead(const ioas_data *self, uint64_t iova, const void *va,
		    uint64_t length)
{
	int i, rc = 0;

	for (i = 0; !rc && i < self->nr_tables; i++)
		rc = check_map(self->fd, self->s[i].hwpt, iova, length, va);
	return rc;
}

/* No table has anything there. */
static bool none_leads(const ioas_data *self, uint64_t iova, const void *va,
		       uint64_t length)
{
	uint64_t at;
	int i;

	for (i = 0; i < self->nr_tables; i++)
		for (at = 0; at < length; at += HALF)
			if (check_map(self->fd, self->s[i].hwpt, iova + at,
				      HALF, va + at) != -EIO)
				return false;
	return true;
}

/* An in-kernel user that pins, where the variant does not have one already. */
static int need_access(ioas_data *self)
{
	if (self->access < 0)
		self->access = access_open(self->fd, self->ioas,
					   MOCK_ACCESS_PINS);
	return self->access < 0 ? self->access : 0;
}

TEST_F(ioas, ranges_and_alignment_are_those_of_the_tables)
{
	struct iommu_iova_range ranges[2] = { {}, { 7, 7 } };
	uint32_t nr = 1;
	uint64_t align;

	ASSERT_EQ(0, ioas_iova_ranges(self->fd, self->ioas, ranges, &nr, &align));
	EXPECT_EQ(1, nr);
	EXPECT_EQ(self->align, align);
	EXPECT_EQ(self->nr_tables ? MOCK_APERTURE_START : 0, ranges[0].start);
	EXPECT_EQ(self->nr_tables ? MOCK_APERTURE_LAST : UINT64_MAX,
		  ranges[0].last);
	nr = 0;
	EXPECT_EQ(-EMSGSIZE, ioas_iova_ranges(self->fd, self->ioas, NULL, &nr,
					      &align));
	EXPECT_EQ(1, nr);

	/* One more than there is room for: what fits is written. */
	ASSERT_EQ(0, add_reserved(self->fd, self->ioas, BASE + PAGE, PAGE));
	nr = 1;
	EXPECT_EQ(-EMSGSIZE, ioas_iova_ranges(self->fd, self->ioas, ranges, &nr,
					      NULL));
	EXPECT_EQ(2, nr);
	EXPECT_EQ(BASE + PAGE - 1, ranges[0].last);
	EXPECT_EQ(7, ranges[1].start);
}

TEST_F(ioas, a_mapping_is_in_all_tables_and_pinned_once)
{
	uint64_t unmapped;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, LENGTH,
				    BASE));
	EXPECT_EQ(0, all_lead(self, BASE, self->buf, LENGTH));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, self->pinned));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, LENGTH, &unmapped));
	EXPECT_EQ(LENGTH, unmapped);
	EXPECT_TRUE(none_leads(self, BASE, self->buf, LENGTH));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
}

TEST_F(ioas, any_offset_and_length_the_alignment_allows_maps_right)
{
	uint64_t step = self->align < HALF ? HALF : self->align;
	uint64_t start, end, iova;

	/* All pieces of four pages, at an IOVA with another page offset. */
	for (start = 0; start < 4 * PAGE; start += step) {
		for (end = start + step; end <= 4 * PAGE; end += step) {
			iova = BASE + 5 * step;
			ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW,
						    self->buf + start,
						    end - start, iova));
			ASSERT_EQ(0, all_lead(self, iova, self->buf + start,
					      end - start));
			ASSERT_TRUE(none_leads(self, iova - step,
					       self->buf + start, step));
			ASSERT_TRUE(none_leads(self, iova + end - start,
					       self->buf + end, step));
			ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
			ASSERT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
		}
	}
}

TEST_F(ioas, less_than_the_alignment_is_refused)
{
	uint64_t part = self->align / 2;
	uint64_t iova = BASE;

	if (self->align == 1) {
		/* Everything goes, memory that is not there too. */
		EXPECT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW,
					    self->buf + 1, 7, BASE + 3));
		EXPECT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW,
					    self->buf + LENGTH, PAGE, 0));
		return;
	}
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  PAGE, BASE + part));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  PAGE + part, BASE));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, self->ioas, RW,
					  self->buf + part, PAGE, BASE));
	EXPECT_EQ(-EINVAL, ioas_map(self->fd, self->ioas, RW, self->buf + part,
				    PAGE, &iova));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
}

TEST_F(ioas, chosen_iovas_are_aligned_to_the_lowest_bit_of_the_length)
{
	uint64_t lengths[] = { PAGE, 2 * PAGE, 3 * PAGE, 8 * PAGE, 12 * PAGE };
	uint64_t iovas[5];
	unsigned int i;

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, ioas_map(self->fd, self->ioas, RW, self->buf,
				      lengths[i], &iovas[i]));
		EXPECT_EQ(0, iovas[i] % (lengths[i] & -lengths[i]));
		EXPECT_EQ(0, all_lead(self, iovas[i], self->buf, lengths[i]));
	}
	for (i = 0; i < 5; i++)
		EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, iovas[i],
					lengths[i], NULL));
}

TEST_F(ioas, a_taken_iova_is_not_given_again)
{
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
				    4 * PAGE, BASE + 4 * PAGE));
	EXPECT_EQ(-EEXIST, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  PAGE, BASE + 4 * PAGE));
	EXPECT_EQ(-EEXIST, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  PAGE, BASE + 7 * PAGE));
	EXPECT_EQ(-EEXIST, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  12 * PAGE, BASE));
	EXPECT_EQ(-EEXIST, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  4 * PAGE + self->align, BASE));
	EXPECT_EQ(0, all_lead(self, BASE + 4 * PAGE, self->buf, 4 * PAGE));
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
				    4 * PAGE, BASE));
}

TEST_F(ioas, unmap_takes_whole_mappings_or_nothing)
{
	uint64_t unmapped = 0;
	unsigned int i;

	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW,
					    self->buf + i * 4 * PAGE, 2 * PAGE,
					    BASE + i * 4 * PAGE));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->ioas, BASE + PAGE, PAGE,
				      NULL));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->ioas, BASE + 2 * PAGE,
				      2 * PAGE, NULL));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->ioas, BASE, 5 * PAGE,
				      NULL));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->ioas, BASE + PAGE,
				      5 * PAGE, NULL));
	for (i = 0; i < 4; i++)
		EXPECT_EQ(0, all_lead(self, BASE + i * 4 * PAGE,
				      self->buf + i * 4 * PAGE, 2 * PAGE));
	/* Two with the gap between them, and some around. */
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE + 3 * PAGE, 8 * PAGE,
				&unmapped));
	EXPECT_EQ(4 * PAGE, unmapped);
	EXPECT_EQ(0, all_lead(self, BASE, self->buf, 2 * PAGE));
	EXPECT_TRUE(none_leads(self, BASE + 4 * PAGE, self->buf + 4 * PAGE,
			       2 * PAGE));
	EXPECT_EQ(0, check_refs(self->fd, self->buf + 4 * PAGE, 8 * PAGE, 0));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, 2 * PAGE, self->pinned));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, &unmapped));
	EXPECT_EQ(4 * PAGE, unmapped);
}

/* One mapping, and a chain of two: filled, and then its IOVA cannot be told. */
TEST_F(ioas, what_cannot_be_told_is_undone)
{
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = RW | FIXED,
		.ioas_id = self->ioas,
		.user_va = (uintptr_t)self->buf,
		.length = LENGTH / 2,
		.iova = BASE,
	};
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = RW | FIXED,
		.dst_ioas_id = self->ioas,
		.src_ioas_id = self->ioas,
		.length = LENGTH,
		.dst_iova = BASE + 4 * MiB,
		.src_iova = BASE,
	};
	void *untold = readonly_copy(&map, sizeof(map));

	ASSERT_NE(NULL, untold);
	EXPECT_EQ(-EFAULT, ioctl_rc(self->fd, IOMMU_IOAS_MAP, untold));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
	EXPECT_TRUE(none_leads(self, BASE, self->buf, LENGTH));

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
				    LENGTH / 2, BASE));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW,
				    self->buf + LENGTH / 2, LENGTH / 2,
				    BASE + LENGTH / 2));
	munmap(untold, PAGE);
	untold = readonly_copy(&copy, sizeof(copy));
	ASSERT_NE(NULL, untold);
	EXPECT_EQ(-EFAULT, ioctl_rc(self->fd, IOMMU_IOAS_COPY, untold));
	EXPECT_TRUE(none_leads(self, copy.dst_iova, self->buf, LENGTH));
	EXPECT_EQ(0, all_lead(self, BASE, self->buf, LENGTH));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
	munmap(untold, PAGE);
}

TEST_F(ioas, memory_that_is_not_there_fails_and_leaves_nothing)
{
	uint64_t missing = LENGTH / 2;

	struct stdev s;

	if (!self->nr_tables) {
		/* Nobody looks, until somebody must. */
		ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					    LENGTH + PAGE, BASE));
		EXPECT_EQ(-EFAULT, stdev_add(self->fd, self->ioas, &s));
		EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
		ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
		ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &s));
	}
	EXPECT_EQ(-EFAULT, ioas_map_fixed(self->fd, self->ioas, RW,
					  self->buf + LENGTH, PAGE, BASE));
	EXPECT_EQ(-EFAULT, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  LENGTH + PAGE, BASE));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
	ASSERT_EQ(0, mprotect(self->buf + missing, PAGE, PROT_NONE));
	EXPECT_EQ(-EFAULT, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  LENGTH, BASE));
	ASSERT_EQ(0, mprotect(self->buf + missing, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  LENGTH, BASE));
	ASSERT_EQ(0, mprotect(self->buf + missing, PAGE,
			      PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
	EXPECT_TRUE(none_leads(self, BASE, self->buf, LENGTH));
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, LENGTH,
				    BASE));
}

TEST_F(ioas, copies_share_the_pins)
{
	uint64_t iova = 0;
	uint32_t other;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
				    8 * PAGE, BASE));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW,
				    self->buf + 8 * PAGE, 8 * PAGE,
				    BASE + 8 * PAGE));
	/* Within, over the seam, to a chosen IOVA, without any permission. */
	ASSERT_EQ(0, ioas_copy_fixed(self->fd, RD, self->ioas, BASE + MiB,
				     self->ioas, BASE + 6 * PAGE, 4 * PAGE));
	EXPECT_EQ(0, all_lead(self, BASE + MiB, self->buf + 6 * PAGE, 4 * PAGE));
	ASSERT_EQ(0, ioas_copy(self->fd, RW, self->ioas, &iova, self->ioas,
			       BASE + PAGE, 2 * PAGE));
	EXPECT_EQ(0, all_lead(self, iova, self->buf + PAGE, 2 * PAGE));
	ASSERT_EQ(0, ioas_copy_fixed(self->fd, 0, self->ioas, BASE + 2 * MiB,
				     self->ioas, BASE, PAGE));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, 16 * PAGE, self->pinned));

	/* The source may go. */
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, 16 * PAGE, NULL));
	EXPECT_EQ(0, all_lead(self, BASE + MiB, self->buf + 6 * PAGE, 4 * PAGE));
	EXPECT_EQ(0, check_refs(self->fd, self->buf + 6 * PAGE, 4 * PAGE,
				self->pinned));
	EXPECT_EQ(0, check_refs(self->fd, self->buf + 10 * PAGE, 6 * PAGE, 0));
	EXPECT_EQ(0, check_refs(self->fd, self->buf + 4 * PAGE, 2 * PAGE, 0));

	/* Elsewhere, at any byte: nothing translates there. */
	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	EXPECT_EQ(0, ioas_copy_fixed(self->fd, RW, other, 1, self->ioas,
				     BASE + MiB + 3, PAGE + 5));
	EXPECT_EQ(-EEXIST, ioas_copy_fixed(self->fd, RW, other, PAGE,
					   self->ioas, BASE + MiB, PAGE));
	EXPECT_EQ(-ENOENT, ioas_copy_fixed(self->fd, RW, other, 4 * PAGE,
					   self->ioas, BASE + MiB - PAGE,
					   2 * PAGE));
	EXPECT_EQ(-ENOENT, ioas_copy_fixed(self->fd, RW, other, 4 * PAGE,
					   self->ioas, BASE + MiB + 3 * PAGE,
					   2 * PAGE));
	EXPECT_EQ(0, iommufd_destroy(self->fd, other));
}

TEST_F(ioas, what_is_not_known_to_be_aligned_is_not_copied_in)
{
	int expected = self->align == 1 ? 0 : -EINVAL;
	uint32_t other;

	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, other, RW, self->buf, LENGTH,
				    PAGE));
	EXPECT_EQ(expected, ioas_copy_fixed(self->fd, RW, self->ioas, BASE + MiB,
					    other, PAGE + 1, PAGE));
	EXPECT_EQ(expected, ioas_copy_fixed(self->fd, RW, self->ioas,
					    BASE + 2 * MiB, other, PAGE,
					    PAGE + 1));
	EXPECT_EQ(expected, ioas_copy_fixed(self->fd, RW, self->ioas,
					    BASE + 3 * MiB + 1, other, PAGE,
					    PAGE));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
	EXPECT_EQ(0, ioas_copy_fixed(self->fd, RW, self->ioas, BASE, other,
				     3 * PAGE, 2 * PAGE));
	EXPECT_EQ(0, all_lead(self, BASE, self->buf + 2 * PAGE, 2 * PAGE));
	EXPECT_EQ(0, check_refs(self->fd, self->buf + 2 * PAGE, 2 * PAGE,
				self->pinned));
}

TEST_F(ioas, one_more_device_finds_what_is_mapped)
{
	struct stdev s, t;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
				    8 * PAGE, BASE));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RD,
				    self->buf + 8 * PAGE, LENGTH - 8 * PAGE,
				    BASE + MiB));
	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &s));
	if (self->nr_tables)
		EXPECT_EQ(self->s[0].hwpt, s.hwpt);
	ASSERT_EQ(0, stdev_add_to_unit(self->fd, self->ioas, MOCK_UNIT_TWIN, &t));
	EXPECT_NE(s.hwpt, t.hwpt);
	EXPECT_EQ(0, check_map(self->fd, s.hwpt, BASE, 8 * PAGE, self->buf));
	EXPECT_EQ(0, check_map(self->fd, t.hwpt, BASE, 8 * PAGE, self->buf));
	EXPECT_EQ(0, check_map(self->fd, s.hwpt, BASE + MiB, LENGTH - 8 * PAGE,
			       self->buf + 8 * PAGE));
	EXPECT_EQ(0, check_map(self->fd, t.hwpt, BASE + MiB, LENGTH - 8 * PAGE,
			       self->buf + 8 * PAGE));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 1));
	EXPECT_EQ(0, iommufd_destroy(self->fd, s.id));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 1));
	EXPECT_EQ(0, iommufd_destroy(self->fd, t.id));
	EXPECT_EQ(0, all_lead(self, BASE, self->buf, 8 * PAGE));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, self->pinned));
}

TEST_F(ioas, huge_memory_maps_at_any_offset)
{
	uint64_t offsets[] = { 0, PAGE, HUGE - PAGE, MiB };
	uint64_t lengths[] = { HUGE, PAGE, 3 * PAGE + MiB, HUGE + PAGE };
	uint64_t iovas[] = { BASE, BASE + PAGE, BASE + HUGE - PAGE };
	uint8_t *huge = huge_alloc(2 * HUGE);
	unsigned int i, j, k;

	ASSERT_NE(NULL, huge);
	for (i = 0; i < 4; i++)
		for (j = 0; j < 4; j++)
			for (k = 0; k < 3; k++) {
				if (offsets[i] + lengths[j] > 2 * HUGE)
					continue;
				ASSERT_EQ(0, ioas_map_fixed(self->fd,
					self->ioas, RW, huge + offsets[i],
					lengths[j], iovas[k]));
				ASSERT_EQ(0, all_lead(self, iovas[k],
						      huge + offsets[i],
						      lengths[j]));
				ASSERT_EQ(0, ioas_unmap_all(self->fd,
							    self->ioas, NULL));
			}
	munmap(huge, 2 * HUGE);
}

TEST_F(ioas, a_private_file_page_stays_the_same_for_cpu_and_device)
{
	char path[] = "/tmp/iommufd_mock.XXXXXX";
	uint8_t *map;
	int file, rc;

	file = mkstemp(path);
	ASSERT_LE(0, file);
	unlink(path);
	ASSERT_EQ(PAGE, write(file, self->buf, PAGE));
	map = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	ASSERT_NE(MAP_FAILED, map);
	close(file);
	/* Read once, so that the page of the file is there. */
	rc = *(volatile uint8_t *)map;
	(void)rc;
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RD, map, PAGE, BASE));
	EXPECT_EQ(0, all_lead(self, BASE, map, PAGE));
	map[17] ^= 0xff;
	EXPECT_EQ(0, all_lead(self, BASE, map, PAGE));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	munmap(map, PAGE);
}

TEST_F(ioas, untouched_memory_mapped_read_only_stays_the_same)
{
	uint8_t *map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int rc;

	ASSERT_NE(MAP_FAILED, map);
	rc = *(volatile uint8_t *)map;	/* the zero page; the second is not there */
	(void)rc;
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RD, map, 2 * PAGE,
				    BASE));
	memset(map, 0x55, 2 * PAGE);
	EXPECT_EQ(0, all_lead(self, BASE, map, 2 * PAGE));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	munmap(map, 2 * PAGE);
}

/* A child maps @length bytes of its own at BASE and says so on the pipe. */
static pid_t child_maps(int fd, uint32_t ioas, uint64_t length, int *go,
			int *ready)
{
	int a[2], b[2];
	pid_t pid;
	char c;

	if (pipe(a) || pipe(b))
		return -1;
	pid = fork();
	if (!pid) {
		void *own = mmap(NULL, length, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		close(a[1]);	/* the end of which it waits for */
		close(b[0]);
		madvise(own, length, MADV_NOHUGEPAGE);
		paint(own, length, 99);
		c = ioas_map_fixed(fd, ioas, RW, own, length, BASE) ? 1 : 0;
		if (write(b[1], &c, 1) != 1 || read(a[0], &c, 1) < 0)
			_exit(1);
		_exit(0);
	}
	close(a[0]);
	close(b[1]);
	*go = a[1];
	*ready = b[0];
	return pid;
}

TEST_F(ioas, memory_is_that_of_the_process_that_mapped)
{
	int plain, go, ready, status;
	uint8_t expected[4 * PAGE], data[4 * PAGE];
	struct stdev s;
	char failed = 1;
	pid_t pid;

	plain = access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, plain);
	pid = child_maps(self->fd, self->ioas, sizeof(data), &go, &ready);
	ASSERT_LT(0, pid);
	ASSERT_EQ(1, read(ready, &failed, 1));
	ASSERT_EQ(0, failed);
	paint(expected, sizeof(expected), 99);

	/* While it lives its memory is at hand, by ourselves too. */
	memset(data, 0, sizeof(data));
	EXPECT_EQ(0, access_rw(self->fd, plain, 0, BASE, data, sizeof(data)));
	EXPECT_EQ(0, memcmp(expected, data, sizeof(data)));
	ASSERT_EQ(0, stdev_add_to_unit(self->fd, self->ioas, MOCK_UNIT_TWIN, &s));
	EXPECT_EQ(0, iommufd_destroy(self->fd, s.id));

	close(go);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);

	memset(data, 0, sizeof(data));
	if (self->nr_tables) {
		/* What is pinned stays, and is enough for one more. */
		EXPECT_EQ(0, access_rw(self->fd, plain, 0, BASE, data,
				       sizeof(data)));
		EXPECT_EQ(0, memcmp(expected, data, sizeof(data)));
		EXPECT_EQ(0, access_rw(self->fd, plain, MOCK_RW_SLOW, BASE + 1,
				       data, 2 * PAGE));
		EXPECT_EQ(0, memcmp(expected + 1, data, 2 * PAGE));
		EXPECT_EQ(0, stdev_add_to_unit(self->fd, self->ioas,
					       MOCK_UNIT_TWIN, &s));
	} else {
		EXPECT_EQ(-EFAULT, access_rw(self->fd, plain, 0, BASE, data,
					     sizeof(data)));
		EXPECT_EQ(-EFAULT, stdev_add(self->fd, self->ioas, &s));
		/* Nothing stayed behind: without that mapping it goes. */
		ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
		EXPECT_EQ(0, stdev_add(self->fd, self->ioas, &s));
	}
	close(ready);
	EXPECT_EQ(0, close(plain));
}

TEST_F(ioas, rw_moves_the_right_bytes)
{
	/* Areas that begin and end anywhere the alignment lets them. */
	uint64_t part = self->align < HALF ? 1000 : self->align;
	uint64_t first = 3 * part, second = 9 * PAGE - 4 * part;
	uint32_t slow[] = { 0, MOCK_RW_SLOW };
	static uint8_t data[16 * PAGE], model[16 * PAGE];
	uint64_t length, offset;
	unsigned int i, seed = 5;
	int plain;

	plain = access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, plain);
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf + part,
				    first, BASE));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW,
				    self->buf + 16 * PAGE, second,
				    BASE + first));
	memcpy(model, self->buf + part, first);
	memcpy(model + first, self->buf + 16 * PAGE, second);

	for (i = 0; i < 400; i++) {
		offset = rand_r(&seed) % (first + second);
		length = 1 + rand_r(&seed) % (first + second - offset);
		if (i % 3) {
			ASSERT_EQ(0, access_rw(self->fd, plain, slow[i % 2],
					       BASE + offset, data, length));
			ASSERT_EQ(0, memcmp(model + offset, data, length));
			continue;
		}
		paint(data, length, i);
		memcpy(model + offset, data, length);
		ASSERT_EQ(0, access_rw(self->fd, plain,
				       MOCK_RW_WRITE | slow[i % 2],
				       BASE + offset, data, length));
	}
	EXPECT_EQ(0, memcmp(model, self->buf + part, first));
	EXPECT_EQ(0, memcmp(model + first, self->buf + 16 * PAGE, second));
	/* Neighbours are as they were. */
	paint(data, 16 * PAGE, 3);
	EXPECT_EQ(0, memcmp(data, self->buf, part));
	EXPECT_EQ(0, memcmp(data + part + first, self->buf + part + first, PAGE));
	EXPECT_EQ(0, check_refs(self->fd, self->buf + 8 * PAGE, 8 * PAGE, 0));
	EXPECT_EQ(0, check_refs(self->fd, self->buf + 16 * PAGE, PAGE,
				self->pinned));
	EXPECT_EQ(0, close(plain));
}

TEST_F(ioas, a_pinning_access_pins_once_and_lets_go)
{
	uint32_t id[NR_PAGES], more;
	unsigned int i;

	ASSERT_EQ(0, need_access(self));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, LENGTH,
				    BASE));
	/* All prefixes, which lie one over the other. */
	for (i = 0; i < NR_PAGES; i++) {
		ASSERT_EQ(0, access_pin(self->fd, self->access,
					MOCK_PAGES_WRITE, BASE, (i + 1) * PAGE,
					self->buf, &id[i]));
		if (i)
			EXPECT_NE(id[i - 1], id[i]);
		EXPECT_EQ(0, check_refs(self->fd, self->buf, (i + 1) * PAGE, 1));
	}
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 1));
	/* In an order of its own. */
	for (i = 0; i < NR_PAGES; i += 2)
		EXPECT_EQ(0, access_unpin(self->fd, self->access, id[i]));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 1));
	for (i = NR_PAGES - 1; i != -1U; i -= 2)
		EXPECT_EQ(0, access_unpin(self->fd, self->access, id[i]));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, self->pinned));

	/* Part of a page counts as the page. */
	ASSERT_EQ(0, access_pin(self->fd, self->access, 0, BASE + PAGE + 5, 1,
				self->buf + PAGE + 5, &more));
	EXPECT_EQ(0, check_refs(self->fd, self->buf + PAGE, PAGE, 1));
	/* An unmap takes the pins along. */
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, LENGTH, NULL));
	EXPECT_EQ(-ENOENT, access_unpin(self->fd, self->access, more));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
}

TEST_F(ioas, an_unmap_lets_go_of_what_overlaps_only)
{
	uint32_t a, b, seam;

	ASSERT_EQ(0, need_access(self));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
				    4 * PAGE, BASE));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW,
				    self->buf + 4 * PAGE, 4 * PAGE,
				    BASE + 4 * PAGE));
	ASSERT_EQ(0, access_pin(self->fd, self->access, 0, BASE, PAGE,
				self->buf, &a));
	ASSERT_EQ(0, access_pin(self->fd, self->access, 0, BASE + 6 * PAGE,
				PAGE, self->buf + 6 * PAGE, &b));
	ASSERT_EQ(0, access_pin(self->fd, self->access, 0, BASE + 3 * PAGE,
				2 * PAGE, self->buf + 3 * PAGE, &seam));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, 4 * PAGE, NULL));
	EXPECT_EQ(-ENOENT, access_unpin(self->fd, self->access, a));
	EXPECT_EQ(-ENOENT, access_unpin(self->fd, self->access, seam));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, 4 * PAGE, 0));
	EXPECT_EQ(0, check_refs(self->fd, self->buf + 6 * PAGE, PAGE, 1));
	EXPECT_EQ(0, check_refs(self->fd, self->buf + 4 * PAGE, PAGE,
				self->pinned));
	EXPECT_EQ(0, access_unpin(self->fd, self->access, b));
}

TEST_F(ioas, an_access_that_moves_lets_go_and_takes_the_other)
{
	uint32_t other, id, id2;

	ASSERT_EQ(0, need_access(self));
	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
				    4 * PAGE, BASE));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, other, RW, self->buf + 8 * PAGE,
				    4 * PAGE, BASE));
	ASSERT_EQ(0, access_pin(self->fd, self->access, 0, BASE, 4 * PAGE,
				self->buf, &id));
	EXPECT_EQ(-ENOENT, access_replace(self->fd, self->access, UNUSED_ID));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, 4 * PAGE, 1));
	ASSERT_EQ(0, access_replace(self->fd, self->access, other));
	EXPECT_EQ(-ENOENT, access_unpin(self->fd, self->access, id));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, 4 * PAGE, self->pinned));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, other));
	ASSERT_EQ(0, access_pin(self->fd, self->access, 0, BASE, 4 * PAGE,
				self->buf + 8 * PAGE, &id2));
	EXPECT_EQ(0, check_refs(self->fd, self->buf + 8 * PAGE, 4 * PAGE, 1));
	/* To where it is: nothing happens. */
	EXPECT_EQ(0, access_replace(self->fd, self->access, other));
	EXPECT_EQ(0, access_unpin(self->fd, self->access, id2));
	EXPECT_EQ(self->nr_tables ? -EBUSY : 0,
		  iommufd_destroy(self->fd, self->ioas));
}

TEST_F(ioas, a_device_may_go_while_an_access_pins)
{
	uint8_t *huge = huge_alloc(HUGE);
	uint32_t id;
	int i;

	ASSERT_EQ(0, need_access(self));
	ASSERT_NE(NULL, huge);
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, huge, HUGE, BASE));
	ASSERT_EQ(0, access_pin(self->fd, self->access, 0, BASE + PAGE, PAGE,
				huge + PAGE, &id));
	for (i = 0; i < self->nr_tables; i++)
		ASSERT_EQ(0, iommufd_destroy(self->fd, self->s[i].id));
	self->nr_tables = 0;
	EXPECT_EQ(0, access_unpin(self->fd, self->access, id));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	munmap(huge, HUGE);
}

TEST_F(ioas, one_pin_serves_all_who_copy_what_was_registered)
{
	struct stdev s;
	uint32_t other, id;

	ASSERT_EQ(0, need_access(self));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, LENGTH,
				    BASE));
	ASSERT_EQ(0, access_pin(self->fd, self->access, 0, BASE, LENGTH,
				self->buf, &id));
	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, stdev_add(self->fd, other, &s));
	ASSERT_EQ(0, ioas_copy_fixed(self->fd, RW, other, BASE + MiB,
				     self->ioas, BASE, LENGTH));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 1));
	EXPECT_EQ(0, check_map(self->fd, s.hwpt, BASE + MiB, LENGTH, self->buf));
	EXPECT_EQ(0, access_unpin(self->fd, self->access, id));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 1));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, other, NULL));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, self->pinned));
}

/*
 * Random maps, copies, unmaps, pins and devices, against a model: for each slot
 * of IOVA space the page of the buffer that should be there.
 */
#define SLOTS	64
#define MAX_AREAS	24

struct model_area {
	unsigned int slot, page, nr;
	bool used;
};

struct model {
	struct model_area areas[MAX_AREAS];
};

static struct model_area *model_room(struct model *m, unsigned int slot,
				     unsigned int nr, bool *meets)
{
	struct model_area *a, *room = NULL;

	*meets = false;
	for (a = m->areas; a < m->areas + MAX_AREAS; a++) {
		if (!a->used)
			room = a;
		else if (a->slot < slot + nr && slot < a->slot + a->nr)
			*meets = true;
	}
	return room;
}

/* What IOMMU_IOAS_UNMAP must say, and do, of slots. */
static int model_unmap(struct model *m, unsigned int slot, unsigned int nr)
{
	struct model_area *a;
	bool any = false;

	for (a = m->areas; a < m->areas + MAX_AREAS; a++) {
		if (!a->used || a->slot >= slot + nr || slot >= a->slot + a->nr)
			continue;
		if (a->slot < slot || a->slot + a->nr > slot + nr)
			return -ENOENT;
		any = true;
	}
	for (a = m->areas; a < m->areas + MAX_AREAS; a++)
		if (a->used && a->slot >= slot && a->slot < slot + nr)
			a->used = false;
	return any ? 0 : -ENOENT;
}

TEST_F(ioas, random_changes_agree_with_a_model)
{
	struct model m = {};
	struct model_area *a, *room;
	unsigned int seed = 11 + self->nr_tables, step, slot, nr, page, i;
	unsigned int nr_pins = 0;
	struct stdev extra;
	bool has_extra = false, meets;
	uint32_t pin;
	int rc;

	for (step = 0; step < 600; step++) {
		slot = rand_r(&seed) % SLOTS;
		nr = 1 + rand_r(&seed) % 6;
		page = rand_r(&seed) % (NR_PAGES - nr);
		switch (rand_r(&seed) % 8) {
		case 0 ... 2:
			room = model_room(&m, slot, nr, &meets);
			if (!room && !meets)
				break;
			rc = ioas_map_fixed(self->fd, self->ioas, RW,
					    self->buf + page * PAGE, nr * PAGE,
					    BASE + slot * PAGE);
			ASSERT_EQ(meets ? -EEXIST : 0, rc);
			if (!meets)
				*room = (struct model_area){ slot, page, nr,
							     true };
			break;
		case 3: {
			struct model_area *src = &m.areas[rand_r(&seed) %
							  MAX_AREAS];
			unsigned int skip;

			if (!src->used)
				break;
			skip = rand_r(&seed) % src->nr;
			nr = 1 + rand_r(&seed) % (src->nr - skip);
			room = model_room(&m, slot, nr, &meets);
			if (!room && !meets)
				break;
			rc = ioas_copy_fixed(self->fd, RW, self->ioas,
					     BASE + slot * PAGE, self->ioas,
					     BASE + (src->slot + skip) * PAGE,
					     nr * PAGE);
			ASSERT_EQ(meets ? -EEXIST : 0, rc);
			if (!meets)
				*room = (struct model_area){ slot,
					src->page + skip, nr, true };
			break;
		}
		case 4 ... 5:
			nr *= 2;
			rc = ioas_unmap(self->fd, self->ioas,
					BASE + slot * PAGE, nr * PAGE, NULL);
			ASSERT_EQ(model_unmap(&m, slot, nr), rc);
			break;
		case 6:
			rc = has_extra ? iommufd_destroy(self->fd, extra.id) :
					 stdev_add_to_unit(self->fd, self->ioas,
							   MOCK_UNIT_LARGE,
							   &extra);
			ASSERT_EQ(0, rc);
			has_extra = !has_extra;
			break;
		case 7:
			a = &m.areas[rand_r(&seed) % MAX_AREAS];
			ASSERT_EQ(0, need_access(self));
			if (!a->used)
				break;
			ASSERT_EQ(0, access_pin(self->fd, self->access, 0,
						BASE + a->slot * PAGE,
						a->nr * PAGE,
						self->buf + a->page * PAGE,
						&pin));
			nr_pins++;
			if (rand_r(&seed) % 2)
				ASSERT_EQ(0, access_unpin(self->fd,
							  self->access, pin));
			break;
		}
		if (step % 20)
			continue;
		for (i = 0; i < MAX_AREAS; i++) {
			a = &m.areas[i];
			if (!a->used)
				continue;
			ASSERT_EQ(0, all_lead(self, BASE + a->slot * PAGE,
					      self->buf + a->page * PAGE,
					      a->nr * PAGE));
			if (has_extra)
				ASSERT_EQ(0, check_map(self->fd, extra.hwpt,
					BASE + a->slot * PAGE, a->nr * PAGE,
					self->buf + a->page * PAGE));
		}
	}
	EXPECT_LT(0, nr_pins);
	rc = ioas_unmap_all(self->fd, self->ioas, NULL);
	EXPECT_EQ(0, rc);
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
}

/*
 * Devices, tables, groups
 */

FIXTURE(dev)
{
	int fd;
	uint32_t ioas, other;
	struct stdev s;
	uint8_t *buf;
};

FIXTURE_SETUP(dev)
{
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->other));
	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &self->s));
	self->buf = pages_alloc(LENGTH);
	ASSERT_NE(NULL, self->buf);
	paint(self->buf, LENGTH, 5);
}

FIXTURE_TEARDOWN(dev)
{
	EXPECT_EQ(0, fail_attach(self->fd, 0, 0));
	EXPECT_EQ(0, close(self->fd));
	EXPECT_EQ(0, unpinned(self->buf, LENGTH));
	munmap(self->buf, LENGTH);
}

TEST_F(dev, an_ioas_with_a_device_is_busy)
{
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->ioas));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->s.hwpt));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, PAGE,
				    BASE));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->ioas));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->s.idev));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->s.id));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->fd, self->s.id));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->fd, self->s.hwpt));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->fd, self->s.idev));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, PAGE, 0));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas));
}

TEST_F(dev, an_automatic_table_goes_with_its_last_device)
{
	uint32_t old = self->s.hwpt;
	struct stdev t;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, self->buf, PAGE,
				    BASE));
	ASSERT_EQ(0, stdev_move(self->fd, &self->s, self->other));
	EXPECT_NE(old, self->s.hwpt);
	EXPECT_EQ(0, check_map(self->fd, self->s.hwpt, BASE, PAGE, self->buf));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->fd, old));
	EXPECT_EQ(-ENOENT, stdev_add(self->fd, old, &t));
	EXPECT_EQ(-ENOENT, stdev_move(self->fd, &self->s, old));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->other));
	/* The failures moved nothing. */
	EXPECT_EQ(0, check_map(self->fd, self->s.hwpt, BASE, PAGE, self->buf));
}

TEST_F(dev, a_table_with_two_devices_can_be_left_and_returned_to)
{
	uint32_t old = self->s.hwpt;
	struct stdev t;

	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &t));
	EXPECT_EQ(old, t.hwpt);
	ASSERT_EQ(0, stdev_move(self->fd, &self->s, self->other));
	EXPECT_NE(old, self->s.hwpt);
	ASSERT_EQ(0, stdev_move(self->fd, &self->s, old));
	EXPECT_EQ(old, self->s.hwpt);
	ASSERT_EQ(0, stdev_move(self->fd, &self->s, self->other));
	ASSERT_EQ(0, stdev_move(self->fd, &self->s, self->ioas));
	EXPECT_EQ(old, self->s.hwpt);
	/* To where it is, by either name. */
	ASSERT_EQ(0, stdev_move(self->fd, &self->s, self->ioas));
	ASSERT_EQ(0, stdev_move(self->fd, &self->s, old));
	EXPECT_EQ(old, self->s.hwpt);
	EXPECT_EQ(-ENOENT, stdev_move(self->fd, &self->s, 0));
	EXPECT_EQ(-ENOENT, stdev_move(self->fd, &self->s, UNUSED_ID));
	EXPECT_EQ(-EINVAL, stdev_move(self->fd, &self->s, t.idev));
	EXPECT_EQ(-ENOENT, stdev_move(self->fd, &(struct stdev){ .id = old },
				      self->ioas));
}

TEST_F(dev, a_table_made_by_hand_stays)
{
	uint32_t hwpt, second;
	struct stdev t;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, LENGTH,
				    BASE));
	ASSERT_EQ(0, hwpt_alloc(self->fd, self->s.idev, self->ioas, &hwpt));
	EXPECT_NE(self->s.hwpt, hwpt);
	EXPECT_EQ(0, check_map(self->fd, hwpt, BASE, LENGTH, self->buf));
	ASSERT_EQ(0, stdev_add(self->fd, hwpt, &t));
	EXPECT_EQ(hwpt, t.hwpt);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, hwpt));
	ASSERT_EQ(0, stdev_move(self->fd, &self->s, hwpt));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 1));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->s.id));
	EXPECT_EQ(0, iommufd_destroy(self->fd, t.id));
	EXPECT_EQ(0, check_map(self->fd, hwpt, BASE, LENGTH, self->buf));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 1));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->ioas));
	/* Made before the device came, in a context that has no other. */
	ASSERT_EQ(0, stdev_add(self->fd, hwpt, &t));
	EXPECT_EQ(-EINVAL, hwpt_alloc(self->fd, t.idev, hwpt, &second));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->fd, UNUSED_ID, self->ioas, &second));
	EXPECT_EQ(-ENOENT, hwpt_alloc(self->fd, t.idev, UNUSED_ID, &second));
	EXPECT_EQ(0, iommufd_destroy(self->fd, t.id));
	EXPECT_EQ(0, iommufd_destroy(self->fd, hwpt));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas));
}

TEST_F(dev, hw_info_is_that_of_the_fake)
{
	struct iommu_test_hw_info info;
	uint8_t big[16];
	uint32_t length = 0, type = 0, word = 7;
	int i;

	EXPECT_EQ(-ENOENT, hw_info(self->fd, 0, NULL, &length, &type));
	EXPECT_EQ(-ENOENT, hw_info(self->fd, UNUSED_ID, NULL, &length, &type));
	EXPECT_EQ(-ENOENT, hw_info(self->fd, self->s.id, NULL, &length, &type));
	ASSERT_EQ(0, hw_info(self->fd, self->s.idev, NULL, &length, &type));
	EXPECT_EQ(8, length);
	EXPECT_EQ(MOCK_HW_INFO_TYPE, type);

	memset(&info, 0xff, sizeof(info));
	length = sizeof(info);
	ASSERT_EQ(0, hw_info(self->fd, self->s.idev, &info, &length, &type));
	EXPECT_EQ(8, length);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(MOCK_HW_INFO_REGISTER, info.test_reg);

	memset(big, 0xff, sizeof(big));
	length = sizeof(big);
	ASSERT_EQ(0, hw_info(self->fd, self->s.idev, big, &length, &type));
	EXPECT_EQ(8, length);
	EXPECT_EQ(0, memcmp(big, &info, 8));
	for (i = 8; i < 16; i++)
		EXPECT_EQ(0, big[i]);

	length = 4;
	ASSERT_EQ(0, hw_info(self->fd, self->s.idev, &word, &length, &type));
	EXPECT_EQ(8, length);
	EXPECT_EQ(0, word);
}

TEST_F(dev, a_device_that_does_not_fit_stays_out)
{
	struct iommu_iova_range allowed = { MiB, 2 * MiB - 1 };
	struct stdev t = {};

	/* not aligned to its pages, outside of its aperture, allowed outside */
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, self->buf,
				    HALF / 2, BASE));
	EXPECT_EQ(-EADDRINUSE, stdev_add(self->fd, self->other, &t));
	EXPECT_EQ(-EADDRINUSE, stdev_move(self->fd, &self->s, self->other));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->other, NULL));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, self->buf, PAGE,
				    MOCK_APERTURE_START - PAGE));
	EXPECT_EQ(-EADDRINUSE, stdev_add(self->fd, self->other, &t));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->other, NULL));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, self->buf, PAGE,
				    MOCK_APERTURE_LAST + 1));
	EXPECT_EQ(-EADDRINUSE, stdev_add(self->fd, self->other, &t));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->other, NULL));
	ASSERT_EQ(0, ioas_allow(self->fd, self->other, &allowed, 1));
	EXPECT_EQ(-EADDRINUSE, stdev_add(self->fd, self->other, &t));
	EXPECT_EQ(0, ioas_allow(self->fd, self->other, NULL, 0));
	/* The last byte is still in it. */
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, self->buf, PAGE,
				    MOCK_APERTURE_LAST + 1 - PAGE));
	EXPECT_EQ(0, stdev_add(self->fd, self->other, &t));
	EXPECT_EQ(0, check_map(self->fd, t.hwpt, MOCK_APERTURE_LAST + 1 - PAGE,
			       PAGE, self->buf));
}

TEST_F(dev, units_of_different_pages_share_an_address_space)
{
	uint64_t align;
	struct stdev t;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, PAGE,
				    BASE));
	ASSERT_EQ(0, stdev_add_to_unit(self->fd, self->ioas, MOCK_UNIT_LARGE,
				       &t));
	EXPECT_NE(self->s.hwpt, t.hwpt);
	ASSERT_EQ(0, get_align(self->fd, self->ioas, &align));
	EXPECT_EQ(PAGE, align);
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  HALF, BASE + PAGE));
	EXPECT_EQ(0, check_map(self->fd, self->s.hwpt, BASE, PAGE, self->buf));
	EXPECT_EQ(0, check_map(self->fd, t.hwpt, BASE, PAGE, self->buf));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, PAGE, 1));
	/* A table of the one is no table for the other. */
	EXPECT_EQ(-EINVAL, stdev_move(self->fd, &t, self->s.hwpt));
	EXPECT_EQ(-EINVAL, stdev_move(self->fd, &self->s, t.hwpt));
	EXPECT_EQ(0, iommufd_destroy(self->fd, t.id));
	ASSERT_EQ(0, get_align(self->fd, self->ioas, &align));
	EXPECT_EQ(HALF, align);
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, HALF,
				    BASE + PAGE));
	EXPECT_EQ(-EADDRINUSE, stdev_add_to_unit(self->fd, self->ioas,
						 MOCK_UNIT_LARGE, &t));
}

TEST_F(dev, large_pages_of_both_kinds_are_used_and_taken_down)
{
	uint8_t *huge = huge_alloc(2 * HUGE);
	struct stdev t;

	ASSERT_NE(NULL, huge);
	ASSERT_EQ(0, stdev_add_to_unit(self->fd, self->ioas, MOCK_UNIT_LARGE,
				       &t));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, huge, 2 * HUGE,
				    BASE));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, huge + PAGE,
				    2 * HUGE - PAGE, BASE + 16 * MiB + PAGE));
	EXPECT_EQ(0, check_map(self->fd, self->s.hwpt, BASE, 2 * HUGE, huge));
	EXPECT_EQ(0, check_map(self->fd, t.hwpt, BASE, 2 * HUGE, huge));
	EXPECT_EQ(0, check_map(self->fd, t.hwpt, BASE + 16 * MiB + PAGE,
			       2 * HUGE - PAGE, huge + PAGE));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, 2 * HUGE, NULL));
	EXPECT_EQ(0, check_map(self->fd, self->s.hwpt, BASE + 16 * MiB + PAGE,
			       2 * HUGE - PAGE, huge + PAGE));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	munmap(huge, 2 * HUGE);
}

TEST_F(dev, reserved_ranges_of_a_device_come_and_go_with_it)
{
	struct iommu_iova_range ranges[3];
	uint64_t at = BASE + 16 * MiB;
	struct stdev t;
	uint32_t nr = 3;

	ASSERT_EQ(0, stdev_add_local(self->fd, self->ioas, MOCK_UNIT_ABI, 0,
				     MOCK_RESERVED_PLAIN, at, &t));
	ASSERT_EQ(0, ioas_iova_ranges(self->fd, self->ioas, ranges, &nr, NULL));
	ASSERT_EQ(2, nr);
	EXPECT_EQ(at - 1, ranges[0].last);
	EXPECT_EQ(at + MOCK_RESERVED_SIZE, ranges[1].start);
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  PAGE, at));
	EXPECT_EQ(0, iommufd_destroy(self->fd, t.id));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, PAGE,
				    at));
	EXPECT_EQ(-EADDRINUSE, stdev_add_local(self->fd, self->ioas,
					       MOCK_UNIT_ABI, 0,
					       MOCK_RESERVED_PLAIN, at, &t));
	nr = 3;
	ASSERT_EQ(0, ioas_iova_ranges(self->fd, self->ioas, ranges, &nr, NULL));
	EXPECT_EQ(1, nr);
	/* One that the firmware only might use does not count. */
	EXPECT_EQ(0, stdev_add_local(self->fd, self->ioas, MOCK_UNIT_ABI, 0,
				     MOCK_RESERVED_RELAXABLE, at, &t));
	/* One that it does use cannot be had. */
	EXPECT_EQ(-EPERM, stdev_add_local(self->fd, self->other, MOCK_UNIT_ABI,
					  0, MOCK_RESERVED_DIRECT, at, &t));
}

/* Found by tests/fuzz/vm_fuzz: the mock took this for a mistake of the core. */
TEST_F(dev, memory_is_there_for_a_unit_that_cannot_enforce_coherency)
{
	void *p = pages_alloc(PAGE);
	struct stdev lax = {};
	uint32_t ioas;

	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, ioas, RW, p, PAGE, BASE));
	ASSERT_EQ(0, stdev_add_to_unit(self->fd, ioas, MOCK_UNIT_INCOHERENT,
				       &lax));
	EXPECT_EQ(0, check_map(self->fd, lax.hwpt, BASE, PAGE, p));
	EXPECT_EQ(0, iommufd_destroy(self->fd, lax.id));
	EXPECT_EQ(0, iommufd_destroy(self->fd, ioas));
}

TEST_F(dev, coherency_that_is_required_is_enforced_or_nothing_is_attached)
{
	struct stdev strict = {}, lax = {}, other;
	uint32_t ioas, hwpt;

	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas));
	EXPECT_EQ(0, stdev_add_to_unit(self->fd, ioas,
				       MOCK_UNIT_LARGE | MOCK_UNIT_REQUIRE,
				       &strict));
	EXPECT_EQ(0, stdev_add_to_unit(self->fd, ioas, MOCK_UNIT_INCOHERENT,
				       &lax));
	EXPECT_EQ(-EINVAL, stdev_add_to_unit(self->fd, ioas,
					     MOCK_UNIT_INCOHERENT |
					     MOCK_UNIT_REQUIRE, &other));
	/* by a table made for it, too */
	ASSERT_EQ(0, hwpt_alloc(self->fd, lax.idev, ioas, &hwpt));
	EXPECT_EQ(-EINVAL, stdev_add_to_unit(self->fd, hwpt,
					     MOCK_UNIT_INCOHERENT |
					     MOCK_UNIT_REQUIRE, &other));
	/* in a group that goes without already */
	EXPECT_EQ(-EINVAL, stdev_add_local(self->fd, lax.hwpt,
					   MOCK_UNIT_INCOHERENT |
					   MOCK_UNIT_REQUIRE, lax.id,
					   MOCK_RESERVED_NONE, 0, &other));
	/* Nothing is left of those that were refused. */
	EXPECT_EQ(0, stdev_move(self->fd, &lax, hwpt));
	EXPECT_EQ(0, stdev_move(self->fd, &lax, ioas));
	EXPECT_EQ(0, iommufd_destroy(self->fd, hwpt));
	EXPECT_EQ(0, iommufd_destroy(self->fd, lax.id));
	EXPECT_EQ(0, iommufd_destroy(self->fd, strict.id));
	EXPECT_EQ(0, iommufd_destroy(self->fd, ioas));
}

TEST_F(dev, a_software_msi_window_is_kept_free)
{
	struct iommu_iova_range ranges[3];
	uint64_t at = BASE + 16 * MiB;
	uint32_t nr = 3;
	struct stdev t;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, self->buf, PAGE,
				    BASE));
	ASSERT_EQ(0, stdev_add_local(self->fd, self->other, MOCK_UNIT_ABI, 0,
				     MOCK_RESERVED_SW_MSI, at, &t));
	ASSERT_EQ(0, ioas_iova_ranges(self->fd, self->other, ranges, &nr, NULL));
	EXPECT_EQ(2, nr);
	EXPECT_EQ(at - 1, ranges[0].last);
	EXPECT_EQ(0, check_map(self->fd, t.hwpt, BASE, PAGE, self->buf));
}

TEST_F(dev, a_group_has_one_table)
{
	uint32_t old = self->s.hwpt;
	struct stdev t, u;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, PAGE,
				    BASE));
	/* A sibling must go where the group is. */
	EXPECT_EQ(-EINVAL, stdev_join(self->fd, self->other, &self->s, &t));
	ASSERT_EQ(0, stdev_join(self->fd, self->ioas, &self->s, &t));
	EXPECT_EQ(old, t.hwpt);
	ASSERT_EQ(0, stdev_join(self->fd, old, &t, &u));
	/* When one moves all do. */
	ASSERT_EQ(0, stdev_move(self->fd, &t, self->other));
	EXPECT_NE(old, t.hwpt);
	EXPECT_EQ(-ENOENT, check_map(self->fd, old, BASE, PAGE, self->buf));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas));
	/* They leave one by one; the table is there until the last. */
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->s.id));
	EXPECT_EQ(0, iommufd_destroy(self->fd, t.id));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, t.hwpt));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->other));
	EXPECT_EQ(0, iommufd_destroy(self->fd, u.id));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->other));
}

TEST_F(dev, a_group_belongs_to_one_context)
{
	struct iommu_test_cmd cmd = {};
	int fd = iommufd_open();
	uint32_t ioas;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	/* The group's other device is an object of the first context. */
	cmd.id = ioas;
	cmd.local_device.group_stdev_id = self->s.id;
	EXPECT_EQ(-ENOENT, test_cmd(fd, &cmd, IOMMU_TEST_OP_LOCAL_DEVICE));
	cmd.local_device.group_stdev_id = 0;
	cmd.local_device.unit = MOCK_NR_UNITS;
	EXPECT_EQ(-EINVAL, test_cmd(fd, &cmd, IOMMU_TEST_OP_LOCAL_DEVICE));
	close(fd);
}

TEST_F(dev, an_attach_that_fails_leaves_the_device_where_it_was)
{
	uint32_t old = self->s.hwpt;
	unsigned int nr;
	struct stdev t, u;
	int rc;

	ASSERT_EQ(0, stdev_join(self->fd, self->ioas, &self->s, &t));
	ASSERT_EQ(0, stdev_join(self->fd, self->ioas, &self->s, &u));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, LENGTH,
				    BASE));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, self->buf,
				    4 * PAGE, BASE + MiB));
	/* One of the three, each time another one; and while going back. */
	for (nr = 1; nr < 16; nr++) {
		ASSERT_EQ(0, fail_attach(self->fd, nr, 1 + nr % 2));
		rc = stdev_move(self->fd, &t, self->other);
		ASSERT_EQ(0, fail_attach(self->fd, 0, 0));
		if (!rc)
			break;
		ASSERT_EQ(-ENOMEM, rc);
		ASSERT_EQ(0, check_map(self->fd, old, BASE, LENGTH, self->buf));
		EXPECT_EQ(0, check_refs(self->fd, self->buf, 4 * PAGE, 1));
		EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->ioas));
	}
	EXPECT_LT(3, nr);
	EXPECT_GT(16, nr);
	EXPECT_EQ(0, check_map(self->fd, t.hwpt, BASE + MiB, 4 * PAGE,
			       self->buf));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas));
}

TEST_F(dev, a_first_attach_that_fails_leaves_nothing)
{
	unsigned int nr;
	struct stdev t;
	int rc = -1;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, self->buf, LENGTH,
				    BASE));
	/* Claiming, finishing and moving attach one after the other. */
	for (nr = 1; rc && nr < 16; nr++) {
		ASSERT_EQ(0, fail_attach(self->fd, nr, 1));
		rc = stdev_add(self->fd, self->other, &t);
		ASSERT_EQ(0, fail_attach(self->fd, 0, 0));
		if (!rc)
			break;
		EXPECT_EQ(-ENOMEM, rc);
		EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
	}
	EXPECT_LT(1, nr);
	EXPECT_EQ(0, rc);
	EXPECT_EQ(0, check_map(self->fd, t.hwpt, BASE, LENGTH, self->buf));
	EXPECT_EQ(0, iommufd_destroy(self->fd, t.id));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->other));
}

TEST_F(dev, huge_pages_are_an_option_of_an_empty_or_aligned_ioas)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = IOMMU_OPTION_HUGE_PAGES,
		.op = IOMMU_OPTION_OP_GET,
		.object_id = self->other,
	};

	ASSERT_EQ(0, ioctl_rc(self->fd, IOMMU_OPTION, &cmd));
	EXPECT_EQ(1, cmd.val64);
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, self->buf, PAGE,
				    BASE));
	EXPECT_EQ(0, set_huge_pages(self->fd, self->other, 0));
	ASSERT_EQ(0, ioctl_rc(self->fd, IOMMU_OPTION, &cmd));
	EXPECT_EQ(0, cmd.val64);
	EXPECT_EQ(0, set_huge_pages(self->fd, self->other, 1));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, self->buf, HALF,
				    BASE + PAGE));
	EXPECT_EQ(-EADDRINUSE, set_huge_pages(self->fd, self->other, 0));
	EXPECT_EQ(-EINVAL, set_huge_pages(self->fd, self->other, 2));
	EXPECT_EQ(-ENOENT, set_huge_pages(self->fd, 0, 0));
}

/* Threads that get into each other's way; what they do may fail. */
struct worker {
	int fd;
	uint32_t ioas, other;
	struct stdev s;
	uint8_t *buf;
	unsigned int seed;
	volatile bool *stop;
	unsigned long done;
};

/* Lets threads run, and until each has got something done: on a slow machine, later */
static void let_work(struct worker *w, unsigned int nr, unsigned int seconds)
{
	unsigned int i = 0, tries = 600;

	sleep(seconds);
	while (i < nr && tries--) {
		if (*(volatile typeof(w->done) *)&w[i].done)
			i++;
		else
			usleep(100000);
	}
}

static void *maps_and_unmaps(void *arg)
{
	struct worker *w = arg;

	while (!*w->stop) {
		uint64_t iova = BASE + rand_r(&w->seed) % 32 * PAGE;
		uint64_t length = (1 + rand_r(&w->seed) % 8) * PAGE;

		if (!ioas_map_fixed(w->fd, w->ioas, RW, w->buf, length, iova))
			w->done++;
		ioas_unmap(w->fd, w->ioas, iova, length, NULL);
	}
	return NULL;
}

static void *moves(void *arg)
{
	struct worker *w = arg;
	struct stdev t;

	while (!*w->stop) {
		uint32_t pt = rand_r(&w->seed) % 2 ? w->ioas : w->other;

		if (!stdev_replace(w->fd, w->s.id, &pt))
			w->done++;
		if (!stdev_add(w->fd, w->ioas, &t))
			iommufd_destroy(w->fd, t.id);
	}
	return NULL;
}

static void *pins(void *arg)
{
	struct worker *w = arg;
	int access = access_open(w->fd, w->ioas, MOCK_ACCESS_PINS);
	uint32_t id = 0;
	char data[64];

	while (!*w->stop && access >= 0) {
		uint64_t iova = BASE + rand_r(&w->seed) % 32 * PAGE;

		if (!access_pin(w->fd, access, MOCK_PAGES_UNVERIFIED, iova,
				(1 + rand_r(&w->seed) % 3) * PAGE, NULL, &id))
			w->done++;
		access_rw(w->fd, access, 0, iova + 5, data, sizeof(data));
		if (rand_r(&w->seed) % 2)
			access_unpin(w->fd, access, id);
		if (!(rand_r(&w->seed) % 16))
			access_replace(w->fd, access,
				       rand_r(&w->seed) % 2 ? w->ioas :
							      w->other);
	}
	if (access >= 0)
		close(access);
	return NULL;
}

TEST_F(dev, everything_at_once_ends_with_nothing_pinned)
{
	void *(*const fns[])(void *) = {
		maps_and_unmaps, maps_and_unmaps, moves, pins, pins,
	};
	struct worker w[5];
	pthread_t threads[5];
	volatile bool stop = false;
	unsigned int i;

	for (i = 0; i < 5; i++) {
		w[i] = (struct worker){
			.fd = self->fd,
			.ioas = self->ioas,
			.other = self->other,
			.s = self->s,
			.buf = self->buf,
			.seed = i + 1,
			.stop = &stop,
		};
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, fns[i], &w[i]));
	}
	let_work(w, 5, 5);
	stop = true;
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(0, pthread_join(threads[i], NULL));
		EXPECT_LT(0, w[i].done);
	}
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, LENGTH, 0));
}

/* One access, whose descriptor is in s.id, and two kinds of threads on it. */
static void *changes_its_ioas(void *arg)
{
	struct worker *w = arg;

	while (!*w->stop) {
		access_replace(w->fd, w->s.id, w->other);
		access_replace(w->fd, w->s.id, w->ioas);
		w->done++;
	}
	return NULL;
}

static void *pins_through_it(void *arg)
{
	struct worker *w = arg;
	uint32_t id;

	while (!*w->stop) {
		uint64_t iova = BASE + rand_r(&w->seed) % 4 * PAGE;

		if (access_pin(w->fd, w->s.id, MOCK_PAGES_UNVERIFIED, iova,
			       (1 + rand_r(&w->seed) % 4) * PAGE, NULL, &id))
			continue;
		w->done++;
		if (rand_r(&w->seed) % 2)
			access_unpin(w->fd, w->s.id, id);
	}
	return NULL;
}

TEST_F(dev, pins_balance_while_the_access_moves)
{
	void *(*const fns[])(void *) = {
		changes_its_ioas, pins_through_it, pins_through_it,
	};
	struct worker w[3];
	pthread_t threads[3];
	volatile bool stop = false;
	unsigned int i;
	int access;

	access = access_open(self->fd, self->ioas, MOCK_ACCESS_PINS);
	ASSERT_LE(0, access);
	/* The same IOVAs in areas that are cut in other places. */
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
				    8 * PAGE, BASE));
	for (i = 0; i < 8; i++)
		ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW,
					    self->buf + (16 + i) * PAGE, PAGE,
					    BASE + i * PAGE));
	for (i = 0; i < 3; i++) {
		w[i] = (struct worker){
			.fd = self->fd,
			.ioas = self->ioas,
			.other = self->other,
			.s.id = access,
			.seed = i + 1,
			.stop = &stop,
		};
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, fns[i], &w[i]));
	}
	let_work(w, 3, 3);
	stop = true;
	for (i = 0; i < 3; i++) {
		EXPECT_EQ(0, pthread_join(threads[i], NULL));
		EXPECT_LT(0, w[i].done);
	}
	EXPECT_EQ(0, close(access));
	EXPECT_EQ(0, check_refs(self->fd, self->buf, 8 * PAGE, 1));
	EXPECT_EQ(0, check_refs(self->fd, self->buf + 16 * PAGE, 8 * PAGE, 0));
}

TEST_HARNESS_MAIN
