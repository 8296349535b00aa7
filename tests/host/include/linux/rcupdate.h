/* SPDX-License-Identifier: GPL-2.0 */
/* One thread, no readers beside it. */
#ifndef HOST_LINUX_RCUPDATE_H
#define HOST_LINUX_RCUPDATE_H

#include <linux/compiler.h>

#define __rcu
#define rcu_assign_pointer(p, v)	((p) = (v))

#endif
