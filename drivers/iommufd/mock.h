/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the rest of the module sees of the mock: in test builds mock.c, and
 * nothing at all in the others.
 */
#ifndef IOMMUFD_MOCK_H
#define IOMMUFD_MOCK_H

#include <linux/minmax.h>
#include <linux/types.h>

struct core_hw_info;
struct device;
struct iommufd_object;
struct iommufd_ucmd;

#ifdef CONFIG_IOMMUFD_TEST

#include "test_uapi.h"

int mock_init(void);
void mock_exit(void);
int mock_ioctl(struct iommufd_ucmd *ucmd);

/* For the destroy_ops: a fake device, as userspace holds it. */
void mock_stdev_destroy(struct iommufd_object *obj);

/* Any object is about to be destroyed. */
void mock_object_ends(struct iommufd_object *obj);

/* True when it is a fake device, which has told all. */
bool mock_hw_info(struct device *dev, struct core_hw_info *info);

/* True when it is a fake device: does its unit enforce coherency? */
bool mock_coherency(struct device *dev, bool *enforces);

/* How many entries a batch may have that could have @max. */
unsigned int mock_batch_max(unsigned int max);

#define MOCK_IOCTL_OP	\
	IOCTL_OP(IOMMU_TEST_CMD, mock_ioctl, struct iommu_test_cmd, last),
#define MOCK_IOCTL_BUFFER	struct iommu_test_cmd test;

#else

static inline int mock_init(void)
{
	return 0;
}

static inline void mock_exit(void)
{
}

static inline void mock_stdev_destroy(struct iommufd_object *obj)
{
}

static inline void mock_object_ends(struct iommufd_object *obj)
{
}

static inline bool mock_hw_info(struct device *dev, struct core_hw_info *info)
{
	return false;
}

static inline bool mock_coherency(struct device *dev, bool *enforces)
{
	return false;
}

static inline unsigned int mock_batch_max(unsigned int max)
{
	return max;
}

#define MOCK_IOCTL_OP
#define MOCK_IOCTL_BUFFER

#endif

#endif
