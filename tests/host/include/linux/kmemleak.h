/* SPDX-License-Identifier: GPL-2.0 */
/* The sanitizer does it here. */
#ifndef HOST_LINUX_KMEMLEAK_H
#define HOST_LINUX_KMEMLEAK_H

#define kmemleak_alloc(ptr, size, min_count, gfp)	((void)(ptr))
#define kmemleak_free(ptr)				((void)(ptr))

#endif
