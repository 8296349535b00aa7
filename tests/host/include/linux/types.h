/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The headers in this directory give files of pure logic, in userspace, the few
 * kernel facilities that they may use. The trees are not imitated: the Makefile
 * takes them out of the distribution's kernel source.
 */
#ifndef HOST_LINUX_TYPES_H
#define HOST_LINUX_TYPES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
/* As in the kernel, unsigned long long on every architecture. */
typedef unsigned long long u64;

#endif
