/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOST_LINUX_BUG_H
#define HOST_LINUX_BUG_H

#include <stdbool.h>

/* Every hit counts here: a test that does not expect one fails. */
bool host_warn(bool cond, const char *text, const char *file, int line);

#define WARN_ON(cond)	host_warn(cond, #cond, __FILE__, __LINE__)
#define WARN_ON_ONCE(cond)	host_warn(cond, #cond, __FILE__, __LINE__)

#endif
