/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOST_LINUX_HIGHMEM_H
#define HOST_LINUX_HIGHMEM_H

#include <linux/mm.h>

#define kmap_local_page(page)	((void *)(page))
#define kunmap_local(addr)	((void)(addr))

#endif
