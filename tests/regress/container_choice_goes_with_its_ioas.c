// SPDX-License-Identifier: GPL-2.0
/*
 * A group that joins a context without an IOAS gets one made, as the choice for the
 * legacy ioctls (IOMMU_VFIO_IOAS). The IOAS could be found before it was noted, so
 * that who guessed its ID destroyed it in between: the note was made after the end
 * had forgotten it, and the choice was the ID of nothing, or later of another IOAS, in
 * which a program that knew of none then mapped. Found by review.
 *
 * The moment is some instructions long: with a delay of 1 ms between the two steps
 * this fails in the first rounds, without it hardly ever.
 *
 * Mended by: iommufd: note the IOAS of a container before it can be found
 */
#include <pthread.h>

#include "group_utils.h"

#include "kselftest_harness.h"

#define ROUNDS		200
#define FIRST_ID	1	/* what an empty context gives out */

static int context;
static bool calm, is_calm, over;

/* Destroys all the time what is not there yet, unless it is to be calm. */
static void *destroyer(void *arg)
{
	while (!__atomic_load_n(&over, __ATOMIC_ACQUIRE)) {
		if (__atomic_load_n(&calm, __ATOMIC_ACQUIRE)) {
			__atomic_store_n(&is_calm, true, __ATOMIC_RELEASE);
			sched_yield();
			continue;
		}
		__atomic_store_n(&is_calm, false, __ATOMIC_RELEASE);
		iommufd_destroy(context, FIRST_ID);
	}
	return NULL;
}

static void become(bool want)
{
	__atomic_store_n(&calm, want, __ATOMIC_RELEASE);
	while (__atomic_load_n(&is_calm, __ATOMIC_ACQUIRE) != want)
		sched_yield();
}

/* Returns 1 when the choice is of nothing, or -errno. */
static int one_round(int group)
{
	struct iommu_iova_range range;
	uint32_t id = 0, nr = 1;
	int rc, joined, stale;

	become(false);
	joined = group_set_container(group, context);
	become(true);
	rc = iommufd_vfio_ioas(context, IOMMU_VFIO_IOAS_GET, &id);
	stale = !rc && ioas_iova_ranges(context, id, &range, &nr, NULL) == -ENOENT;
	rc = joined ? 0 : group_unset_container(group);
	iommufd_vfio_ioas(context, IOMMU_VFIO_IOAS_CLEAR, &id);
	iommufd_destroy(context, FIRST_ID);
	return rc ?: stale;
}

TEST(choice_goes_with_its_ioas)
{
	char bdf[16], path[64];
	pthread_t thread;
	int group, i;

	ASSERT_EQ(0, edu_group_path(0, bdf, path));
	group = group_open(path);
	ASSERT_LE(0, group);
	context = iommufd_open();
	ASSERT_LE(0, context);
	ASSERT_EQ(0, pthread_create(&thread, NULL, destroyer, NULL));

	for (i = 0; i < ROUNDS; i++)
		ASSERT_EQ(0, one_round(group));
	__atomic_store_n(&over, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	close(group);
	close(context);
}

TEST_HARNESS_MAIN
