/* SPDX-License-Identifier: GPL-2.0 */
/* There is one thread. A test that cares brings the two functions. */
#ifndef HOST_LINUX_SPINLOCK_H
#define HOST_LINUX_SPINLOCK_H

#include <stdbool.h>

typedef struct {
	bool held;
} spinlock_t;

void spin_lock(spinlock_t *lock);
void spin_unlock(spinlock_t *lock);

static inline void spin_lock_init(spinlock_t *lock)
{
	lock->held = false;
}

#endif
