// SPDX-License-Identifier: GPL-2.0
/*
 * MAP_FILE beyond the end of a hugetlb file made the file longer: the piece is
 * mapped into the caller for a moment, and a writable mapping of hugetlb
 * beyond the end extends it. Anybody with the file could so take huge pages
 * that nobody had allotted to it. Found by review.
 *
 * Mended by: iommufd: do not make files longer, judge values before IDs
 */
#include <sys/stat.h>

#include "mock_utils.h"

#include "kselftest_harness.h"

static off_t length_of(int file)
{
	struct stat st;

	return fstat(file, &st) ? -1 : st.st_size;
}

TEST(mapped_file_keeps_its_length)
{
	struct stdev stdev;
	uint32_t ioas;
	int fd, file;

	fd = iommufd_open();
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, stdev_add(fd, ioas, &stdev));
	file = memfd_create("regress", MFD_HUGETLB | 21U << 26 /* of 2 MiB */);
	ASSERT_GE(file, 0);
	ASSERT_EQ(0, ftruncate(file, HUGE));

	EXPECT_EQ(-EFAULT, map_file_fixed(fd, ioas, RW, file, 0, 2 * HUGE, BASE));
	EXPECT_EQ(HUGE, length_of(file));
	EXPECT_EQ(-EFAULT, map_file_fixed(fd, ioas, RW, file, HUGE, HUGE, BASE));
	EXPECT_EQ(HUGE, length_of(file));

	/* What there is can be mapped. */
	EXPECT_EQ(0, map_file_fixed(fd, ioas, RW, file, 0, HUGE, BASE));
	EXPECT_EQ(HUGE, length_of(file));
	close(fd);
	close(file);
}

TEST_HARNESS_MAIN
