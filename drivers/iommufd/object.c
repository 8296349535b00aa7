// SPDX-License-Identifier: GPL-2.0
/*
 * IDs, references, birth and death. object.h has the model.
 *
 * The ID table is an allocating xarray. An ID that is reserved and has no object
 * (being born, or being destroyed) reads as NULL and is given to nobody else.
 * The lock is the table's own spinlock: it orders look-up against removal and is
 * innermost.
 */
#include <linux/err.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "access.h"
#include "device.h"
#include "hwpt.h"
#include "ioas.h"
#include "mock.h"
#include "object.h"

/* An object as its destroyer finds it: its own count, and its maker's. */
#define USERS_PLAIN	1
#define USERS_OWNED	2

static void (*const destroy_ops[IOMMUFD_OBJECT_NR_TYPES])
	(struct iommufd_object *obj) = {
	[IOMMUFD_OBJECT_IOAS] = ioas_destroy,
	[IOMMUFD_OBJECT_HWPT] = hwpt_destroy,
	[IOMMUFD_OBJECT_DEVICE] = iommufd_device_destroy,
	[IOMMUFD_OBJECT_ACCESS] = access_destroy,
	[IOMMUFD_OBJECT_SELFTEST] = mock_stdev_destroy,
};

static const char *const nouns[IOMMUFD_OBJECT_NR_TYPES] = {
	[IOMMUFD_OBJECT_ANY] = "nothing",
	[IOMMUFD_OBJECT_IOAS] = "an IOAS",
	[IOMMUFD_OBJECT_HWPT] = "a HWPT",
	[IOMMUFD_OBJECT_DEVICE] = "a device",
	[IOMMUFD_OBJECT_ACCESS] = "an access",
	[IOMMUFD_OBJECT_SELFTEST] = "a test object",
};

const char *iommufd_object_noun(enum iommufd_object_type type)
{
	return nouns[type];
}

void *iommufd_object_alloc(struct iommufd_ctx *ictx, size_t size,
			   enum iommufd_object_type type)
{
	struct iommufd_object *obj;
	int rc;

	obj = kzalloc(size, GFP_KERNEL_ACCOUNT);
	if (!obj)
		return ERR_PTR(-ENOMEM);
	obj->type = type;
	refcount_set(&obj->users, USERS_PLAIN);

	/* ID 0 is never given out: xa_limit and the table's flags see to it. */
	rc = xa_alloc(&ictx->objects, &obj->id, NULL, xa_limit_31b,
		      GFP_KERNEL_ACCOUNT);
	if (rc) {
		kfree(obj);
		return ERR_PTR(rc);
	}
	return obj;
}

void iommufd_object_abort(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	xa_erase(&ictx->objects, obj->id);
	kfree(obj);
}

void iommufd_object_publish(struct iommufd_ctx *ictx,
			    struct iommufd_object *obj)
{
	/* The slot is there since the ID was reserved: no memory is needed. */
	WARN_ON(xa_store(&ictx->objects, obj->id, obj, GFP_NOWAIT));
}

void iommufd_object_publish_owned(struct iommufd_ctx *ictx,
				  struct iommufd_object *obj)
{
	refcount_set(&obj->users, USERS_OWNED);
	iommufd_object_publish(ictx, obj);
}

/* Nobody finds the object any more; its ID stays reserved. */
static void hide_locked(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	lockdep_assert_held(&ictx->objects.xa_lock);
	WARN_ON(__xa_store(&ictx->objects, obj->id, NULL, GFP_NOWAIT) != obj);
	if (ictx->recent == obj)
		ictx->recent = NULL;
}

static void hide(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	xa_lock(&ictx->objects);
	hide_locked(ictx, obj);
	xa_unlock(&ictx->objects);
}

static noinline __cold
int explain_id(struct iommufd_ctx *ictx, u32 id,
	       const struct iommufd_object *obj,
	       enum iommufd_object_type wanted)
{
	if (!obj)
		return reason_set(ictx, -ENOENT, "there is no object %u", id);
	return reason_set(ictx, -ENOENT, "object %u is %s, not %s", id,
			  nouns[obj->type], nouns[wanted]);
}

/* Caller holds the table's lock. Most look-ups are for the one of the last. */
static __always_inline struct iommufd_object *
find_locked(struct iommufd_ctx *ictx, u32 id, enum iommufd_object_type type)
{
	struct iommufd_object *obj = ictx->recent;

	lockdep_assert_held(&ictx->objects.xa_lock);
	if (!obj || obj->id != id) {
		obj = xa_load(&ictx->objects, id);
		if (obj)
			ictx->recent = obj;
	}
	if (unlikely(!obj || (type != IOMMUFD_OBJECT_ANY && obj->type != type)))
		return ERR_PTR(explain_id(ictx, id, obj, type));
	return obj;
}

/* Where an object is found, before anybody can take it out of the table. */
static __always_inline void add_user(struct iommufd_ctx *ictx,
				     struct iommufd_object *obj)
{
	lockdep_assert_held(&ictx->objects.xa_lock);
	refcount_inc(&obj->users);
}

static __always_inline void add_visitor(struct iommufd_ctx *ictx,
					struct iommufd_object *obj)
{
	lockdep_assert_held(&ictx->objects.xa_lock);
	/* Nobody would wait, see iommufd_object_abandon(). */
	WARN_ON(obj->type == IOMMUFD_OBJECT_HWPT);
	atomic_inc(&obj->visitors);
}

struct iommufd_object *iommufd_object_use(struct iommufd_ctx *ictx, u32 id,
					  enum iommufd_object_type type)
{
	struct iommufd_object *obj;

	xa_lock(&ictx->objects);
	obj = find_locked(ictx, id, type);
	if (!IS_ERR(obj))
		add_user(ictx, obj);
	xa_unlock(&ictx->objects);
	return obj;
}

struct iommufd_object *iommufd_object_visit(struct iommufd_ctx *ictx, u32 id,
					    enum iommufd_object_type type)
{
	struct iommufd_object *obj;

	xa_lock(&ictx->objects);
	obj = find_locked(ictx, id, type);
	if (!IS_ERR(obj))
		add_visitor(ictx, obj);
	xa_unlock(&ictx->objects);
	return obj;
}

int iommufd_object_check(struct iommufd_ctx *ictx, u32 id,
			 enum iommufd_object_type type)
{
	struct iommufd_object *obj;

	xa_lock(&ictx->objects);
	obj = find_locked(ictx, id, type);
	xa_unlock(&ictx->objects);
	return PTR_ERR_OR_ZERO(obj);
}

bool iommufd_object_peek(struct iommufd_ctx *ictx, unsigned long *id,
			 void (*peek)(struct iommufd_object *obj, void *arg),
			 void *arg)
{
	struct iommufd_object *obj;

	xa_lock(&ictx->objects);
	obj = xa_find(&ictx->objects, id, ULONG_MAX, XA_PRESENT);
	if (obj)
		peek(obj, arg);
	xa_unlock(&ictx->objects);
	return obj;
}

/*
 * After its count was lowered the object may be gone at any time: only the
 * context, which the caller's file holds, is touched. The barrier in
 * wq_has_sleeper() pairs with the one in the destroyer's wait_event().
 */
static void tell_destroyer(struct iommufd_ctx *ictx)
{
	if (wq_has_sleeper(&ictx->leaving))
		wake_up_all(&ictx->leaving);
}

static noinline
void free_object(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	u32 id = obj->id;

	mock_object_ends(obj);
	destroy_ops[obj->type](obj);
	kfree(obj);
	xa_erase(&ictx->objects, id);
}

void iommufd_object_unuse(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	/* Only an abandoned object can have lost its own count. */
	if (refcount_dec_and_test(&obj->users))
		free_object(ictx, obj);
	else
		tell_destroyer(ictx);
}

void iommufd_object_abandon(struct iommufd_ctx *ictx,
			    struct iommufd_object *obj)
{
	hide(ictx, obj);
	if (refcount_sub_and_test(USERS_OWNED, &obj->users))
		free_object(ictx, obj);
}

void iommufd_object_leave(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	atomic_dec(&obj->visitors);
	tell_destroyer(ictx);
}

/* The object is out of the table; its ID is still reserved. */
static void finish_destroy(struct iommufd_ctx *ictx, struct iommufd_object *obj,
			   unsigned int users)
{
	wait_event(ictx->leaving, refcount_read(&obj->users) == users &&
				  !atomic_read(&obj->visitors));
	free_object(ictx, obj);
}

/*
 * Does an object of the table use another one? Only what the table's lock keeps
 * alive is looked into: it is for a text.
 */
static bool object_uses(const struct iommufd_object *user,
			const struct iommufd_object *obj)
{
	const struct iommufd_device *idev;
	const struct iommufd_access *access;

	switch (user->type) {
	case IOMMUFD_OBJECT_HWPT:
		return &container_of(user, struct hwpt, obj)->ioas->obj == obj;
	case IOMMUFD_OBJECT_DEVICE:
		idev = container_of(user, struct iommufd_device, obj);
		return READ_ONCE(idev->dgroup->hwpt_id) == obj->id &&
		       READ_ONCE(idev->attached);
	case IOMMUFD_OBJECT_ACCESS:
		access = container_of(user, struct iommufd_access, obj);
		return obj->type == IOMMUFD_OBJECT_IOAS &&
		       READ_ONCE(access->ioas) ==
			       container_of(obj, struct ioas, obj);
	default:
		return false;
	}
}

/* As far as a text goes, and a walk under a spinlock. */
#define USERS_NAMED	4
#define USERS_SEARCHED	1024

/* Why an object cannot be destroyed. Caller holds the table's lock. */
static noinline __cold
int explain_users(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	unsigned int named = 0, searched = 0;
	struct iommufd_object *user;
	char names[80];
	unsigned long id;
	int length = 0;

	lockdep_assert_held(&ictx->objects.xa_lock);
	if (obj->type == IOMMUFD_OBJECT_DEVICE ||
	    obj->type == IOMMUFD_OBJECT_ACCESS)
		return reason_set(ictx, -EBUSY,
				  "object %u is %s: it goes when its driver gives it back",
				  obj->id, nouns[obj->type]);
	if (obj->type == IOMMUFD_OBJECT_HWPT &&
	    container_of(obj, struct hwpt, obj)->automatic)
		return reason_set(ictx, -EBUSY,
				  "HWPT %u was made by an attach: it goes with its last device",
				  obj->id);
	xa_for_each(&ictx->objects, id, user) {
		if (named == USERS_NAMED || searched++ == USERS_SEARCHED)
			break;
		if (!object_uses(user, obj))
			continue;
		length += scnprintf(names + length, sizeof(names) - length,
				    "%s%s %u", named ? ", " : "",
				    nouns[user->type], user->id);
		named++;
	}
	if (!named)
		strscpy(names, "an ioctl that is under way", sizeof(names));
	return reason_set(ictx, -EBUSY, "object %u is used by %s", obj->id,
			  names);
}

static int try_destroy(struct iommufd_ctx *ictx, u32 id, bool explain)
{
	struct iommufd_object *obj;
	int rc = -EBUSY;

	xa_lock(&ictx->objects);
	obj = find_locked(ictx, id, IOMMUFD_OBJECT_ANY);
	if (IS_ERR(obj)) {
		xa_unlock(&ictx->objects);
		return PTR_ERR(obj);
	}
	if (refcount_read(&obj->users) != USERS_PLAIN) {
		if (explain)
			rc = explain_users(ictx, obj);
		xa_unlock(&ictx->objects);
		return rc;
	}
	hide_locked(ictx, obj);
	xa_unlock(&ictx->objects);

	finish_destroy(ictx, obj, USERS_PLAIN);
	return 0;
}

int iommufd_object_destroy(struct iommufd_ctx *ictx, u32 id)
{
	return try_destroy(ictx, id, true);
}

void iommufd_object_let_go(struct iommufd_ctx *ictx, struct iommufd_object *obj)
{
	bool last;

	xa_lock(&ictx->objects);
	last = refcount_read(&obj->users) == USERS_OWNED;
	refcount_dec(&obj->users);
	if (last)
		hide_locked(ictx, obj);
	xa_unlock(&ictx->objects);
	if (last)
		finish_destroy(ictx, obj, USERS_PLAIN);
}

void iommufd_object_destroy_owned(struct iommufd_ctx *ictx,
				  struct iommufd_object *obj)
{
	hide(ictx, obj);
	finish_destroy(ictx, obj, USERS_OWNED);
}

void iommufd_object_destroy_all(struct iommufd_ctx *ictx)
{
	struct iommufd_object *obj;
	unsigned long id;
	bool progress;

	do {
		progress = false;
		xa_for_each(&ictx->objects, id, obj) {
			cond_resched();
			if (try_destroy(ictx, id, false))
				continue;
			progress = true;
		}
	} while (progress);

	/* What is left has users, and nobody is there who could be one. */
	WARN_ON(!xa_empty(&ictx->objects));
}
