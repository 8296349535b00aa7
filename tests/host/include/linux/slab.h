/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOST_LINUX_SLAB_H
#define HOST_LINUX_SLAB_H

#include <stddef.h>

#define GFP_KERNEL		0
#define GFP_KERNEL_ACCOUNT	0

#define kmalloc(size, gfp)	((void)(gfp), host_alloc(size))
#define kzalloc(size, gfp)	kcalloc(1, size, gfp)
#define kcalloc(n, size, gfp)	((void)(gfp), host_calloc(n, size))
#define kfree(ptr)		host_free(ptr)

void *host_alloc(size_t size);
void *host_calloc(size_t n, size_t size);
void host_free(void *ptr);

#endif
