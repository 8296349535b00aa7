// SPDX-License-Identifier: GPL-2.0
/*
 * Devices with emulated IOMMU, through their device files: the sample vcopy, an
 * mdev. No IOMMU is needed. Each test runs on both of its types: one that pins
 * what it copies, and one that asks the core to copy.
 *
 * Memory that the device reaches is compared by content; pinned pages are counted
 * for the whole system, which has to be quiet meanwhile, and for the process
 * (VmPin).
 */
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "vcopy_utils.h"
#include "slow_memory.h"
#include "kselftest_harness.h"

#define UNUSED_ID	0x7ffffff0U
#define BASE		0x10000000UL
#define OTHER		0x7fff12345000UL
#define LEN		(16 * PAGE)

static void fill(void *p, size_t length, uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;
	uint8_t *bytes = p;

	while (length--) {
		state = state * 1664525 + 1013904223;
		*bytes++ = state >> 24;
	}
}

static inline bool is_filled(const void *p, size_t length, uint32_t seed)
{
	void *want = malloc(length);
	bool same;

	fill(want, length, seed);
	same = !memcmp(p, want, length);
	free(want);
	return same;
}

static long vm_pin_kb(void)
{
	char line[128];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmPin: %ld", &kb);
	if (f)
		fclose(f);
	return kb;
}

FIXTURE(emulated)
{
	char uuid[UUID_LEN + 1];
	int dev;
	int iommufd;
	uint32_t devid, ioas;
	uint8_t *buf;		/* LEN bytes, mapped at BASE */
	long pinned;
};

FIXTURE_VARIANT(emulated)
{
	const char *type;
	bool pins;
};

FIXTURE_VARIANT_ADD(emulated, pin) { .type = "pin", .pins = true };
FIXTURE_VARIANT_ADD(emulated, rw) { .type = "rw" };

FIXTURE_SETUP(emulated)
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
	ASSERT_EQ(0, vfio_attach(self->dev, self->ioas, NULL));
	ASSERT_EQ(0, vcopy_bus_master(self->dev, true));
}

FIXTURE_TEARDOWN(emulated)
{
	close(self->dev);
	close(self->iommufd);
	vcopy_remove(self->uuid);
	EXPECT_EQ(self->pinned, pinned_now());
	EXPECT_EQ(0, vm_pin_kb());
	munmap(self->buf, LEN);
}

TEST_F(emulated, copy_arrives_and_nothing_else_changes)
{
	fill(self->buf, LEN, 1);
	ASSERT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE + 17,
			    BASE + 8 * PAGE + 5, 3 * PAGE + 1));
	EXPECT_EQ(VCOPY_DONE, vcopy_get(self->dev, VCOPY_STATUS));
	EXPECT_EQ(3 * PAGE + 1, vcopy_get64(self->dev, VCOPY_MOVED));
	EXPECT_EQ(0, memcmp(self->buf + 17, self->buf + 8 * PAGE + 5, 3 * PAGE + 1));
	/* all but that is as it was */
	memcpy(self->buf + 8 * PAGE + 5, self->buf, 0);
	{
		uint8_t *want = malloc(LEN);

		fill(want, LEN, 1);
		memcpy(want + 8 * PAGE + 5, want + 17, 3 * PAGE + 1);
		EXPECT_EQ(0, memcmp(want, self->buf, LEN));
		free(want);
	}
}

TEST_HARNESS_MAIN
