/* SPDX-License-Identifier: GPL-2.0 */
#include <stddef.h>
#include <stdbool.h>

#define sizeof_field(type, member)	sizeof(((type *)0)->member)
