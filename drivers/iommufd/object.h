/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Objects of a context: everything that userspace names by an ID.
 *
 * An object carries two counts.
 *
 * - users (long-term): 1 for existing, and 1 for everything that needs it:
 *   an ioctl that may fault on or pin user memory, a device attached to a page
 *   table, a page table on its IOAS. IOMMU_DESTROY answers EBUSY while there
 *   are any. An object that the kernel made on its own account (a bound device,
 *   an automatic page table) has one more, so that userspace never destroys it.
 * - visitors (short-term): ioctls in flight that wait for nothing userspace
 *   controls. Whoever destroys an object waits for them to leave.
 *
 * Both are taken when the ID is looked up, under the lock of the ID table, and
 * an object is taken out of that table under the same lock: afterwards neither
 * count can rise, but by somebody who is a user already. A visitor never
 * turns into a user.
 */
#ifndef IOMMUFD_OBJECT_H
#define IOMMUFD_OBJECT_H

#include <linux/mutex.h>
#include <linux/refcount.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/xarray.h>

#include "container.h"
#include "pool.h"
#include "reason.h"

struct file;
struct pin_owner;

enum iommufd_object_type {
	IOMMUFD_OBJECT_ANY,
	IOMMUFD_OBJECT_IOAS,
	IOMMUFD_OBJECT_HWPT,
	IOMMUFD_OBJECT_DEVICE,
	IOMMUFD_OBJECT_ACCESS,
	IOMMUFD_OBJECT_SELFTEST,	/* test builds: a fake device */
	IOMMUFD_OBJECT_NR_TYPES,
};

struct iommufd_object {
	u32 id;
	enum iommufd_object_type type;
	refcount_t users;
	atomic_t visitors;
};

/*
 * A context is one open file of /dev/iommu and lives exactly as long: in-kernel
 * references are references to the file.
 */
#define SPAN_LOCKS_SHIFT	4

struct iommufd_ctx {
	struct file *file;
	u64 number;			/* for people: not used twice */
	struct xarray objects;		/* ID to object; reserved: being born */
	struct iommufd_object *recent;	/* found last; the table's lock */
	wait_queue_head_t leaving;	/* users and visitors that go away */

	struct mutex groups_lock;	/* outermost lock of iommufd */
	struct list_head groups;	/* struct device_group.link */

	bool charge_process;		/* rlimit mode; changes while empty */
	u32 vfio_ioas_id;		/* of the legacy ioctls; 0: none */
	struct container container;

	struct mutex owner_lock;	/* owners, charges of files */
	struct list_head owners;	/* struct pin_owner.link */
	struct pool spans;		/* struct pinned; its lock is innermost */
	/*
	 * Of the last MAP, and of the last MAP_FILE, to be shared. They change under
	 * owner_lock and spans.lock.
	 */
	struct pin_owner *last_owner[2];
	bool last_is_file;		/* of these two, which is the latest */
	atomic_long_t nr_charged;	/* pages that are pinned, or about to be */
	struct mutex span_locks[1 << SPAN_LOCKS_SHIFT];	/* see pinned.c */

	struct reasons reasons;		/* what has failed, and why */
};

/**
 * iommufd_object_alloc - begin the birth of an object
 * @ictx: context
 * @size: of the structure whose first member is the object
 * @type: what it is
 *
 * Reserves an ID; nothing finds the object before iommufd_object_publish().
 *
 * Return: zeroed memory or ERR_PTR(-ENOMEM), ERR_PTR(-EBUSY) when all IDs are
 * taken.
 */
void *iommufd_object_alloc(struct iommufd_ctx *ictx, size_t size,
			   enum iommufd_object_type type);

/* The birth failed: the ID and the memory go back. */
void iommufd_object_abort(struct iommufd_ctx *ictx, struct iommufd_object *obj);

/*
 * The published object with the lowest ID from *id on; *id becomes its ID. @peek
 * looks at it under the lock of the ID table, and may make the caller a visitor.
 * False: there is none.
 */
bool iommufd_object_peek(struct iommufd_ctx *ictx, unsigned long *id,
			 void (*peek)(struct iommufd_object *obj, void *arg),
			 void *arg);

/* The last step of a birth. Cannot fail, and cannot be taken back. */
void iommufd_object_publish(struct iommufd_ctx *ictx,
			    struct iommufd_object *obj);

/* Like publish, for an object that userspace must not destroy. */
void iommufd_object_publish_owned(struct iommufd_ctx *ictx,
				  struct iommufd_object *obj);

/*
 * Look up by ID: ERR_PTR(-ENOENT) when there is none or (but for ANY) it is of
 * another type. use pairs with unuse, visit with leave. A HWPT is not visited:
 * see iommufd_object_abandon().
 */
struct iommufd_object *iommufd_object_use(struct iommufd_ctx *ictx, u32 id,
					  enum iommufd_object_type type);
void iommufd_object_unuse(struct iommufd_ctx *ictx, struct iommufd_object *obj);
struct iommufd_object *iommufd_object_visit(struct iommufd_ctx *ictx, u32 id,
					    enum iommufd_object_type type);
void iommufd_object_leave(struct iommufd_ctx *ictx, struct iommufd_object *obj);

/* Is there one now? 0 or -ENOENT; holds nothing. */
int iommufd_object_check(struct iommufd_ctx *ictx, u32 id,
			 enum iommufd_object_type type);

/* One more user, by somebody who knows of a user that stays meanwhile. */
static inline void iommufd_object_share(struct iommufd_object *obj)
{
	refcount_inc(&obj->users);
}

/* "an IOAS", for texts. */
const char *iommufd_object_noun(enum iommufd_object_type type);

/* For userspace: -ENOENT, -EBUSY when it has users, or 0 and it is gone. */
int iommufd_object_destroy(struct iommufd_ctx *ictx, u32 id);

/*
 * For the maker of an owned object: nobody finds it any more, and its last user
 * frees it. Needs that it is never visited. Does not wait.
 */
void iommufd_object_abandon(struct iommufd_ctx *ictx,
			    struct iommufd_object *obj);

/*
 * For the maker of an owned object: it is userspace's from now on. Nobody could
 * know that it is there, so it is destroyed at once; unless it has users, which
 * may take as long as userspace likes. Then it ends with the context.
 */
void iommufd_object_let_go(struct iommufd_ctx *ictx,
			   struct iommufd_object *obj);

/* For the maker of an owned object. Waits for what is in flight. */
void iommufd_object_destroy_owned(struct iommufd_ctx *ictx,
				  struct iommufd_object *obj);

/* Everything goes, leaves first. Nothing may be in flight. */
void iommufd_object_destroy_all(struct iommufd_ctx *ictx);

#endif
