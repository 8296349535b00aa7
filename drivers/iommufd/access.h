/* SPDX-License-Identifier: GPL-2.0 */
/* In-kernel users of an address space. The API is in <linux/iommufd.h>. */
#ifndef IOMMUFD_ACCESS_H
#define IOMMUFD_ACCESS_H

#include <linux/iommufd.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/rbtree.h>

#include "object.h"

struct ioas;

struct iommufd_access {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;	/* a reference */
	const struct iommufd_access_ops *ops;
	void *data;
	struct access_link *link;	/* change_lock; to ioas */

	struct mutex change_lock;	/* attach, replace, detach */
	struct mutex lock;		/* a leaf; protects what follows */
	struct ioas *ioas;		/* a user of it; NULL: detached */
	struct rb_root_cached pins;	/* struct access_pin.iova */
	unsigned long nr_pins;		/* in there */
	unsigned long nr_pages;		/* of them; one pinned twice counts twice */

	wait_queue_head_t unpinned;	/* something left pins */
};

/* An access on the list of an address space; during a replace it is on two. */
struct access_link {
	struct list_head link;		/* ioas.accesses; ioas.tables_sem */
	struct iommufd_access *access;
	struct ioas *ioas;		/* a user of it */
};

static inline unsigned long access_align(const struct iommufd_access *access)
{
	return access->ops->needs_pin_pages ? PAGE_SIZE : 1;
}

/* The IOVA range is leaving. */
static inline void access_unmapped(struct iommufd_access *access,
				   unsigned long iova, unsigned long length)
{
	if (access->ops->unmap)
		access->ops->unmap(access->data, iova, length);
}

void access_destroy(struct iommufd_object *obj);

#endif
