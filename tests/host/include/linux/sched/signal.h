/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOST_LINUX_SCHED_SIGNAL_H
#define HOST_LINUX_SCHED_SIGNAL_H

#include <stdbool.h>

extern bool host_killed;

#define current				NULL
#define fatal_signal_pending(task)	((void)(task), host_killed)
#define cond_resched()			((void)0)

#endif
