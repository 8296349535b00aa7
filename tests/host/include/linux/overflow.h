/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOST_LINUX_OVERFLOW_H
#define HOST_LINUX_OVERFLOW_H

#define check_add_overflow(a, b, sum)	__builtin_add_overflow(a, b, sum)
#define struct_size(ptr, member, n)	\
	(sizeof(*(ptr)) + sizeof((ptr)->member[0]) * (n))

#endif
