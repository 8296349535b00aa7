// SPDX-License-Identifier: GPL-2.0
/*
 * A table that is made while the DMA of its group goes on is filled before its
 * first attach. Behind a unit that cannot enforce coherency nothing was enforced for
 * it, and rightly so: who does it anyway has the attach refused. The mock took that for a
 * breach of contract, warned and refused the mapping. Found by vm_fuzz.
 *
 * Mended by: iommufd: let the mock fill a table of the incoherent unit before its attach
 */
#include "mock_utils.h"

#include "kselftest_harness.h"

TEST(incoherent_table_is_filled_before_its_attach)
{
	int fd = iommufd_open();
	uint32_t ioas, table[2];
	struct stdev stdev;
	void *p;

	p = pages_alloc(4 * PAGE);
	ASSERT_LE(0, fd);
	ASSERT_NE(NULL, p);
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	ASSERT_EQ(0, stdev_add_to_unit(fd, ioas, MOCK_UNIT_INCOHERENT, &stdev));
	/* The first is the spare, which was attached once; the second never was. */
	ASSERT_EQ(0, hwpt_alloc(fd, stdev.idev, ioas, &table[0]));
	ASSERT_EQ(0, hwpt_alloc(fd, stdev.idev, ioas, &table[1]));
	ASSERT_EQ(0, ioas_map_fixed(fd, ioas, RW, p, 4 * PAGE, BASE));
	ASSERT_EQ(0, stdev_move(fd, &stdev, table[1]));
	ASSERT_EQ(0, check_map(fd, table[1], BASE, 4 * PAGE, p));
	close(fd);
}

TEST_HARNESS_MAIN
