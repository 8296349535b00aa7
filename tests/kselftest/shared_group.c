// SPDX-License-Identifier: GPL-2.0
/*
 * Two devices that the IOMMU cannot tell apart: two edu behind a bridge to
 * conventional PCI are one IOMMU group. They belong to one context, are on one
 * page table, and move together.
 *
 * Needs -device pcie-pci-bridge,id=b -device edu,bus=b -device edu,bus=b.
 */
#include "../dma/edu.h"
#include "slow_memory.h"
#include "kselftest_harness.h"

#define X	0x200000UL

FIXTURE(pair)
{
	int dev[2];
	int iommufd;
	uint32_t devid[2];
	uint32_t ioas;
	uint32_t other;
	long pins;
};

static void group_of(unsigned int nr, char link[static 128])
{
	char bdf[16], path[128];
	ssize_t length = -1;

	if (!pci_find("0x1234", "0x11e8", nr, bdf)) {
		snprintf(path, sizeof(path),
			 "/sys/bus/pci/devices/%s/iommu_group", bdf);
		length = readlink(path, link, 127);
	}
	link[length < 0 ? 0 : length] = '\0';
}

FIXTURE_SETUP(pair)
{
	char groups[2][128];

	group_of(0, groups[0]);
	group_of(1, groups[1]);
	ASSERT_STRNE("", groups[0]);
	ASSERT_STREQ(groups[0], groups[1]);
	self->pins = pinned_now();
	/* Nobody can be bound while a neighbour has no driver that is safe. */
	self->dev[0] = edu_open_nth(0);
	ASSERT_LE(0, self->dev[0]);
	self->dev[1] = edu_open_nth(1);
	ASSERT_LE(0, self->dev[1]);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->other));
}

FIXTURE_TEARDOWN(pair)
{
	close(self->dev[0]);
	close(self->dev[1]);
	close(self->iommufd);
	EXPECT_EQ(self->pins, pinned_now());
}

static int bind_both(FIXTURE_DATA(pair) *self)
{
	int rc = vfio_bind(self->dev[0], self->iommufd, &self->devid[0]);

	return rc ?: vfio_bind(self->dev[1], self->iommufd, &self->devid[1]);
}

TEST_F(pair, both_bind_to_one_context)
{
	ASSERT_EQ(0, bind_both(self));
	EXPECT_NE(self->devid[0], self->devid[1]);
	EXPECT_EQ(0, vfio_get_info(self->dev[0]));
	EXPECT_EQ(0, vfio_get_info(self->dev[1]));
}

TEST_F(pair, second_context_is_eperm_until_the_first_let_go)
{
	int other = iommufd_open();

	ASSERT_LE(0, other);
	ASSERT_EQ(0, vfio_bind(self->dev[0], self->iommufd, NULL));
	EXPECT_EQ(-EPERM, vfio_bind(self->dev[1], other, NULL));
	EXPECT_EQ(-EINVAL, vfio_get_info(self->dev[1]));
	/* The first keeps the group as long as one of its devices is bound. */
	ASSERT_EQ(0, vfio_bind(self->dev[1], self->iommufd, NULL));
	close(self->dev[0]);
	self->dev[0] = edu_open_nth(0);
	EXPECT_EQ(-EPERM, vfio_bind(self->dev[0], other, NULL));
	close(self->dev[1]);
	self->dev[1] = edu_open_nth(1);
	EXPECT_EQ(0, vfio_bind(self->dev[0], other, NULL));
	EXPECT_EQ(0, vfio_bind(self->dev[1], other, NULL));
	close(other);
}

TEST_F(pair, second_device_is_einval_elsewhere_and_joins_at_the_same_table)
{
	uint32_t first, second;

	ASSERT_EQ(0, bind_both(self));
	ASSERT_EQ(0, vfio_attach(self->dev[0], self->ioas, &first));
	EXPECT_EQ(-EINVAL, vfio_attach(self->dev[1], self->other, NULL));
	EXPECT_EQ(-EINVAL, vfio_detach(self->dev[1]));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->other));
	ASSERT_EQ(0, vfio_attach(self->dev[1], self->ioas, &second));
	EXPECT_EQ(first, second);

	/* The table stays until the last of them leaves. */
	ASSERT_EQ(0, vfio_detach(self->dev[0]));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->ioas));
	ASSERT_EQ(0, vfio_detach(self->dev[1]));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
}

TEST_F(pair, replace_moves_both)
{
	uint32_t hwpt, again;

	ASSERT_EQ(0, bind_both(self));
	ASSERT_EQ(0, vfio_attach(self->dev[0], self->ioas, NULL));
	ASSERT_EQ(0, vfio_attach(self->dev[1], self->ioas, NULL));
	ASSERT_EQ(0, vfio_attach(self->dev[0], self->other, &hwpt));
	/* for the second that is where it is already */
	ASSERT_EQ(0, vfio_attach(self->dev[1], self->other, &again));
	EXPECT_EQ(hwpt, again);
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->other));
}

TEST_F_TIMEOUT(pair, both_reach_the_table_in_use_and_no_other, 60)
{
	unsigned char *a = pages_alloc(PAGE), *b = pages_alloc(PAGE);
	struct edu edu[2];
	int i;

	ASSERT_EQ(0, bind_both(self));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, edu_init(&edu[i], self->dev[i]));
	}
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, a, PAGE, X));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->other, RW, b, PAGE, X));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, vfio_attach(self->dev[i], self->ioas, NULL));
	}
	/* What each of them carries: 16 bytes of 0xc0, of 0xc1. */
	for (i = 0; i < 2; i++) {
		memset(a, 0xc0 + i, 16);
		ASSERT_EQ(0, edu_dma(&edu[i], false, X, 16));
	}
	memset(a, 0, PAGE);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, edu_dma(&edu[i], true, X + 100 * i, 16));
		EXPECT_EQ(0xc0 + i, a[100 * i]);
	}

	/* One moves, both have moved. */
	memset(a, 0, PAGE);
	ASSERT_EQ(0, vfio_attach(self->dev[1], self->other, NULL));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, edu_dma(&edu[i], true, X + 100 * i, 16));
		EXPECT_EQ(0xc0 + i, b[100 * i]);
		EXPECT_EQ(0, a[100 * i]);
	}

	/* One is closed: the other goes on. */
	edu_uninit(&edu[0]);
	close(self->dev[0]);
	memset(b, 0, PAGE);
	ASSERT_EQ(0, edu_dma(&edu[1], true, X, 16));
	EXPECT_EQ(0xc1, b[0]);

	/* And nobody after the last detach. */
	ASSERT_EQ(0, vfio_detach(self->dev[1]));
	memset(b, 0, PAGE);
	ASSERT_EQ(0, edu_dma(&edu[1], true, X, 16));
	EXPECT_EQ(0, b[0]);
	edu_uninit(&edu[1]);
	self->dev[0] = edu_open_nth(0);
}

TEST_F(pair, either_may_be_closed_first_in_every_state)
{
	int i, state, first;

	for (i = 0; i < 40; i++) {
		state = i / 2 % 4;
		first = i % 2;
		if (state > 0) {
			ASSERT_EQ(0, vfio_bind(self->dev[first], self->iommufd,
					       NULL));
		}
		if (state > 1) {
			ASSERT_EQ(0, vfio_attach(self->dev[first], self->ioas,
						 NULL));
			ASSERT_EQ(0, vfio_bind(self->dev[!first], self->iommufd,
					       NULL));
		}
		if (state > 2) {
			ASSERT_EQ(0, vfio_attach(self->dev[!first], self->ioas,
						 NULL));
		}
		close(self->dev[0]);
		close(self->dev[1]);
		self->dev[0] = edu_open_nth(0);
		ASSERT_LE(0, self->dev[0]);
		self->dev[1] = edu_open_nth(1);
		ASSERT_LE(0, self->dev[1]);
	}
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
}

static void *close_device(void *arg)
{
	close(*(int *)arg);
	return NULL;
}

/* Both are in one set of devices that are reset together. */
TEST_F(pair, close_that_waits_for_a_map_does_not_hold_up_the_neighbour)
{
	struct slow_memory slow;
	struct mapper m = {
		.iommufd = self->iommufd, .ioas = self->ioas, .memory = &slow,
	};
	pthread_t closer;

	ASSERT_EQ(0, vfio_bind(self->dev[0], self->iommufd, NULL));
	ASSERT_EQ(0, vfio_attach(self->dev[0], self->ioas, NULL));
	ASSERT_EQ(0, slow_memory_make(&slow, 4 * PAGE));
	ASSERT_EQ(0, pthread_create(&m.thread, NULL, map_slowly, &m));
	ASSERT_EQ(0, slow_memory_wait(&slow));
	ASSERT_EQ(0, pthread_create(&closer, NULL, close_device, &self->dev[0]));
	usleep(500000);
	EXPECT_EQ(EBUSY, pthread_tryjoin_np(closer, NULL));

	EXPECT_EQ(0, vfio_bind(self->dev[1], self->iommufd, NULL));
	close(self->dev[1]);

	ASSERT_EQ(0, slow_memory_let_in(&slow));
	pthread_join(m.thread, NULL);
	pthread_join(closer, NULL);
	EXPECT_EQ(0, m.rc);
	EXPECT_EQ(self->pins, pinned_now());
	self->dev[0] = edu_open_nth(0);
	self->dev[1] = edu_open_nth(1);
	close(slow.uffd);
}

TEST_HARNESS_MAIN
