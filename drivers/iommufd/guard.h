/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Which lock protects a structure whose own code knows of no locks: runs.c and
 * iova.c run in userspace too. Kernels with lockdep check it wherever the structure
 * is changed; elsewhere a guard takes no room and no time.
 */
#ifndef IOMMUFD_GUARD_H
#define IOMMUFD_GUARD_H

#ifdef CONFIG_LOCKDEP

#include <linux/mutex.h>

struct guard {
	struct mutex *lock;	/* NULL: nobody else knows the structure */
};

static inline void guard_by(struct guard *guard, struct mutex *lock)
{
	guard->lock = lock;
}

static inline void guard_assert(const struct guard *guard)
{
	if (guard->lock)
		lockdep_assert_held(guard->lock);
}

#else

struct guard {
};

#define guard_by(guard, lock)	do { } while (0)
#define guard_assert(guard)	do { } while (0)

#endif

#endif
