/* SPDX-License-Identifier: GPL-2.0 */
/* Not errno.h, which includes this one. */
#include <asm/errno.h>
