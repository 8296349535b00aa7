/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOST_LINUX_COMPILER_H
#define HOST_LINUX_COMPILER_H

#include <sys/cdefs.h>
#define likely(cond)	(cond)
#define unlikely(cond)	(cond)
#define noinline

#define READ_ONCE(var)		(*(volatile __typeof__(var) *)&(var))
#define WRITE_ONCE(var, val)	\
	((void)(*(volatile __typeof__(var) *)&(var) = (val)))

#endif
