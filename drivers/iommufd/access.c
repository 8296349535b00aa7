// SPDX-License-Identifier: GPL-2.0
/*
 * Access: pinning, reading and writing memory by IOVA for drivers.
 *
 * A pin is one record for each area that its range touches. The record is a
 * consumer of the area's pages and holds the area (area.nr_pins): an unmap marks
 * the area as leaving, tells every access, and waits for the count. A record is
 * entered into access->pins, where unpin finds it, only when all of its pages
 * are pinned and the area is still ready and the access still attached; so what
 * unmap() was told about is all that can be there.
 *
 * Nothing here takes ioas.tables_sem but attach and detach: an unmap holds it
 * while it calls the driver, which may wait for a lock under which it pins.
 *
 * Reading and writing hold the area, too. A page that is found slowly is copied
 * under access->lock, and only if the access still has this address space: after
 * a detach nothing arrives any more.
 */
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/slab.h>

#include "access.h"
#include "ioas.h"
#include "pinned.h"
#include "reason.h"
#include "trace.h"

/* A driver that was told to let go, and does not for so long, has a bug. */
#define UNPIN_TIMEOUT	(30 * HZ)

struct access_pin {
	struct interval_tree_node iova;		/* access.lock, once entered */
	struct interval_tree_node pages;	/* consumer of area->pinned */
	struct ioas *ioas;			/* a user of it */
	struct area *area;			/* held by nr_pins */
	struct access_pin *next;		/* private to pin, unpin */
};

/* The address space, used, or NULL. */
static struct ioas *access_ioas_use(struct iommufd_access *access)
{
	struct ioas *ioas;

	mutex_lock(&access->lock);
	ioas = access->ioas;
	if (ioas)
		iommufd_object_share(&ioas->obj);
	mutex_unlock(&access->lock);
	return ioas;
}

static void area_let_go(struct ioas *ioas, struct area *area)
{
	mutex_lock(&ioas->lock);
	/* Pairs with the acquire in area_is_unpinned(): the area may be gone. */
	smp_store_release(&area->nr_pins, area->nr_pins - 1);
	wake_up_all(&ioas->unpinned);
	mutex_unlock(&ioas->lock);
}

/*
 * The area at @iova, held, if it is ready and may be used like this; the byte
 * @offset of its span is at @iova.
 */
static struct area *area_hold(struct ioas *ioas, unsigned long iova, bool write,
			      unsigned long *offset)
{
	struct area *area;

	mutex_lock(&ioas->lock);
	area = area_first(ioas, iova, iova);
	if (!area || !area_is_ready(area)) {
		area = ERR_PTR(reason_set(ioas->ictx, -ENOENT,
					  "nothing is mapped at IOVA 0x%lx of IOAS %u",
					  iova, ioas->obj.id));
	} else if (!(area->prot & (write ? IOMMU_WRITE : IOMMU_READ))) {
		area = ERR_PTR(reason_set(ioas->ictx, -EPERM,
					  "the mapping 0x%lx-0x%lx may not be %s",
					  area->iova.start, area->iova.last,
					  write ? "written" : "read"));
	} else {
		*offset = area_offset(area) + (iova - area->iova.start);
		area->nr_pins++;
	}
	mutex_unlock(&ioas->lock);
	return area;
}

/* Collects struct pages. */
struct collect {
	struct pinned_sink sink;
	struct page **pages;		/* or NULL */
};

static int collect_take(struct pinned_sink *sink, unsigned long index,
			const struct run *runs, unsigned int nr,
			struct pin_batch *scratch)
{
	struct collect *collect = container_of(sink, struct collect, sink);
	unsigned int i, j;

	if (!collect->pages)
		return 0;
	for (i = 0; i < nr; i++)
		for (j = 0; j < runs[i].nr; j++)
			*collect->pages++ = pfn_to_page(runs[i].pfn + j);
	return 0;
}

static void collect_undo(struct pinned_sink *sink)
{
	/* What was collected is the caller's to forget. */
}

/* Pin as much of [iova, last] as lies in one area. */
static struct access_pin *pin_area(struct ioas *ioas, unsigned long iova,
				   unsigned long last, unsigned int flags,
				   struct collect *collect)
{
	struct access_pin *pin;
	unsigned long offset;
	int rc;

	pin = kmalloc(sizeof(*pin), GFP_KERNEL_ACCOUNT);
	if (!pin)
		return ERR_PTR(-ENOMEM);
	pin->ioas = ioas;
	iommufd_object_share(&ioas->obj);
	pin->area = area_hold(ioas, iova, flags & IOMMUFD_ACCESS_WRITE,
			      &offset);
	if (IS_ERR(pin->area)) {
		rc = PTR_ERR(pin->area);
		goto err_unuse;
	}
	pin->iova.start = iova;
	pin->iova.last = min(last, pin->area->iova.last);
	if (!PAGE_ALIGNED(offset) || !PAGE_ALIGNED(pin->iova.last + 1)) {
		rc = reason_set(ioas->ictx, -EINVAL,
				"IOVA 0x%lx is byte 0x%lx of a page of memory: pages cannot be pinned there",
				iova, offset_in_page(offset));
		goto err_let_go;
	}
	pin->pages.start = offset >> PAGE_SHIFT;
	pin->pages.last = pin->pages.start +
			  ((pin->iova.last - iova) >> PAGE_SHIFT);
	rc = pinned_add(pin->area->pinned, &pin->pages, &collect->sink);
	if (rc)
		goto err_let_go;
	return pin;

err_let_go:
	area_let_go(ioas, pin->area);
err_unuse:
	ioas_unuse(ioas);
	kfree(pin);
	return ERR_PTR(rc);
}

static void unpin_areas(struct access_pin *pins)
{
	struct access_pin *pin;

	while ((pin = pins)) {
		pins = pin->next;
		pinned_remove(pin->area->pinned, &pin->pages);
		area_let_go(pin->ioas, pin->area);
		ioas_unuse(pin->ioas);
		kfree(pin);
	}
}

/* Let unpin and unmap see the pins, if there is still a point in it. */
static int pins_enter(struct iommufd_access *access, struct ioas *ioas,
		      struct access_pin *pins)
{
	struct access_pin *pin;
	int rc = 0;

	mutex_lock(&ioas->lock);
	mutex_lock(&access->lock);
	if (access->ioas != ioas)
		rc = -ENOENT;
	for (pin = pins; !rc && pin; pin = pin->next)
		if (!area_is_ready(pin->area))
			rc = -ENOENT;
	for (pin = pins; !rc && pin; pin = pin->next) {
		interval_tree_insert(&pin->iova, &access->pins);
		access->nr_pins++;
		access->nr_pages += pin->pages.last - pin->pages.start + 1;
	}
	mutex_unlock(&access->lock);
	mutex_unlock(&ioas->lock);
	return rc;
}

static int access_pin_pages(struct iommufd_access *access, unsigned long iova,
			    unsigned long length, struct page **out_pages,
			    unsigned int flags)
{
	struct collect collect = {
		.sink = { .take = collect_take, .undo = collect_undo },
		.pages = out_pages,
	};
	struct access_pin *pins = NULL, *pin;
	unsigned long last, part;
	struct ioas *ioas;
	int rc;

	if (WARN_ON(!access->ops->needs_pin_pages))
		return -EINVAL;
	if (!length || !PAGE_ALIGNED(iova) || !PAGE_ALIGNED(length))
		return -EINVAL;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	ioas = access_ioas_use(access);
	if (!ioas)
		return -ENOENT;
	for (;;) {
		part = access->ops->unpins_parts ? iova + (PAGE_SIZE - 1) : last;
		pin = pin_area(ioas, iova, part, flags, &collect);
		if (IS_ERR(pin)) {
			rc = PTR_ERR(pin);
			goto err_unpin;
		}
		pin->next = pins;
		pins = pin;
		if (pin->iova.last == last)
			break;
		iova = pin->iova.last + 1;
	}
	rc = pins_enter(access, ioas, pins);
	if (rc)
		goto err_unpin;
	iommufd_object_unuse(access->ictx, &ioas->obj);
	return 0;

err_unpin:
	unpin_areas(pins);
	iommufd_object_unuse(access->ictx, &ioas->obj);
	return rc;
}

int iommufd_access_pin_pages(struct iommufd_access *access, unsigned long iova,
			     unsigned long length, struct page **out_pages,
			     unsigned int flags)
{
	unsigned long since = reason_begin(access->ictx);
	int rc = access_pin_pages(access, iova, length, out_pages, flags);

	trace_iommufd_access_pin(access, iova, length, flags, rc);
	return reason_end(access->ictx, since, "access-pin", rc);
}
EXPORT_SYMBOL_GPL(iommufd_access_pin_pages);

/* The pin that begins at iova and is the longest not beyond last. */
static struct access_pin *pins_find(struct iommufd_access *access,
				    unsigned long iova, unsigned long last)
{
	struct interval_tree_node *node;
	struct access_pin *pin, *best = NULL;

	lockdep_assert_held(&access->lock);
	for (node = interval_tree_iter_first(&access->pins, iova, iova); node;
	     node = interval_tree_iter_next(node, iova, iova)) {
		if (node->start != iova || node->last > last)
			continue;
		pin = container_of(node, struct access_pin, iova);
		/* One that ends early does so where its area ends. */
		if (node->last == last || node->last == pin->area->iova.last)
			if (!best || node->last > best->iova.last)
				best = pin;
	}
	return best;
}

static void pin_remove(struct iommufd_access *access, struct access_pin *pin)
{
	lockdep_assert_held(&access->lock);
	interval_tree_remove(&pin->iova, &access->pins);
	access->nr_pins--;
	access->nr_pages -= pin->pages.last - pin->pages.start + 1;
}

void iommufd_access_unpin_pages(struct iommufd_access *access,
				unsigned long iova, unsigned long length)
{
	unsigned long last = iova + (length - 1), part = last;
	struct access_pin *pins = NULL, *pin;

	mutex_lock(&access->lock);
	for (;;) {
		if (access->ops->unpins_parts)
			part = iova + (PAGE_SIZE - 1);
		pin = pins_find(access, iova, part);
		if (pin) {
			pin_remove(access, pin);
			pin->next = pins;
			pins = pin;
			part = pin->iova.last;
		} else if (WARN_ON(!access->ops->unpins_parts)) {
			break;
		}
		if (part == last)
			break;
		iova = part + 1;
		part = last;
	}
	mutex_unlock(&access->lock);
	wake_up_all(&access->unpinned);
	unpin_areas(pins);
}
EXPORT_SYMBOL_GPL(iommufd_access_unpin_pages);

/* Copy within one page, if the access may still do that. */
static int copy_page_part(struct iommufd_access *access, struct ioas *ioas,
			  struct page *page, unsigned long in_page, void *data,
			  unsigned long length, bool write)
{
	int rc = 0;

	mutex_lock(&access->lock);
	if (access->ioas != ioas)
		rc = -ENOENT;
	else if (write)
		memcpy_to_page(page, in_page, data, length);
	else
		memcpy_from_page(data, page, in_page, length);
	mutex_unlock(&access->lock);
	return rc;
}

/* @offset, @length: in the span of the area, which is held. */
static int rw_area(struct iommufd_access *access, struct ioas *ioas,
		   struct area *area, unsigned long offset, void *data,
		   unsigned long length, bool write)
{
	unsigned long in_page, part;
	struct page *page;
	bool is_pinned;
	int rc = 0;

	for (; !rc && length; length -= part, offset += part, data += part) {
		in_page = offset_in_page(offset);
		part = min(length, PAGE_SIZE - in_page);
		page = pinned_borrow(area->pinned, offset >> PAGE_SHIFT, write,
				     &is_pinned);
		if (IS_ERR(page))
			return PTR_ERR(page);
		rc = copy_page_part(access, ioas, page, in_page, data, part,
				    write);
		pinned_return(page, is_pinned, write && !rc);
		cond_resched();
	}
	return rc;
}

static int access_copy(struct iommufd_access *access, unsigned long iova,
		       void *data, size_t length, unsigned int flags)
{
	bool write = flags & IOMMUFD_ACCESS_WRITE;
	unsigned long last, offset, part;
	struct area *area;
	struct ioas *ioas;
	int rc = 0;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(iova, (unsigned long)length - 1, &last))
		return -EOVERFLOW;
	ioas = access_ioas_use(access);
	if (!ioas)
		return -ENOENT;
	while (length) {
		area = area_hold(ioas, iova, write, &offset);
		if (IS_ERR(area)) {
			rc = PTR_ERR(area);
			break;
		}
		part = min(last, area->iova.last) - iova + 1;
		rc = rw_area(access, ioas, area, offset, data, part, write);
		area_let_go(ioas, area);
		if (rc)
			break;
		length -= part;
		data += part;
		iova += part;
	}
	iommufd_object_unuse(access->ictx, &ioas->obj);
	return rc;
}

int iommufd_access_rw(struct iommufd_access *access, unsigned long iova,
		      void *data, size_t length, unsigned int flags)
{
	unsigned long since = reason_begin(access->ictx);

	return reason_end(access->ictx, since, "access-rw",
			  access_copy(access, iova, data, length, flags));
}
EXPORT_SYMBOL_GPL(iommufd_access_rw);

static struct access_link *access_link_alloc(struct iommufd_access *access,
					     u32 ioas_id)
{
	struct iommufd_object *obj;
	struct access_link *link;
	int rc;

	link = kmalloc(sizeof(*link), GFP_KERNEL_ACCOUNT);
	if (!link)
		return ERR_PTR(-ENOMEM);
	obj = iommufd_object_use(access->ictx, ioas_id, IOMMUFD_OBJECT_ANY);
	if (IS_ERR(obj)) {
		rc = PTR_ERR(obj);
		goto err_free;
	}
	if (obj->type != IOMMUFD_OBJECT_IOAS) {
		rc = -EINVAL;
		goto err_unuse;
	}
	link->access = access;
	link->ioas = container_of(obj, struct ioas, obj);
	rc = ioas_add_access(link->ioas, link);
	if (rc)
		goto err_unuse;
	return link;

err_unuse:
	iommufd_object_unuse(access->ictx, obj);
err_free:
	kfree(link);
	return ERR_PTR(rc);
}

static void access_link_free(struct access_link *link)
{
	ioas_remove_access(link->ioas, link);
	ioas_unuse(link->ioas);
	kfree(link);
}

static void access_set_ioas(struct iommufd_access *access, struct ioas *ioas)
{
	mutex_lock(&access->lock);
	WRITE_ONCE(access->ioas, ioas);
	mutex_unlock(&access->lock);
}

/* Pins that one call to a driver is about, if there are so many. */
#define PINS_TOLD	1024

/* The first range that is pinned without a gap, if any is, or a part of it. */
static bool pins_first_range(struct iommufd_access *access, unsigned long *start,
			     unsigned long *last)
{
	struct interval_tree_node *node;
	unsigned int nr = 0;
	bool found;

	mutex_lock(&access->lock);
	node = interval_tree_iter_first(&access->pins, 0, ULONG_MAX);
	found = node;
	if (node) {
		*start = node->start;
		*last = node->last;
		while (*last != ULONG_MAX && nr++ < PINS_TOLD &&
		       (node = interval_tree_iter_next(node, 0, *last + 1)))
			*last = max(*last, node->last);
	}
	mutex_unlock(&access->lock);
	return found;
}

static bool pins_are_gone(struct iommufd_access *access, unsigned long start,
			  unsigned long last)
{
	bool gone;

	mutex_lock(&access->lock);
	gone = !interval_tree_iter_first(&access->pins, start, last);
	mutex_unlock(&access->lock);
	return gone;
}

/*
 * Have the user let go of all that it has pinned; more cannot be. Told by range,
 * as an unmap would: drivers go through a range page by page. Who pins while we
 * are here will learn that it is for nothing, or has just been told of success
 * and not seen yet that it has to let go: the wait is for this one.
 */
static void access_unpin_all(struct iommufd_access *access)
{
	unsigned long start, last;

	while (pins_first_range(access, &start, &last)) {
		access_unmapped(access, start, last - start + 1);
		if (WARN_ON(!wait_event_timeout(access->unpinned,
						pins_are_gone(access, start,
							      last),
						UNPIN_TIMEOUT)))
			break;
	}
}

/*
 * Go from the present address space to another one, or with NULL to none. In
 * between there is none, so that the pins of the two never mix: when the user
 * is told to let go, nothing can be pinned.
 */
static void access_change(struct iommufd_access *access,
			  struct access_link *to)
{
	struct access_link *from = access->link;

	lockdep_assert_held(&access->change_lock);
	access->link = to;
	if (from) {
		access_set_ioas(access, NULL);
		access_unpin_all(access);
		access_link_free(from);
	}
	if (to)
		access_set_ioas(access, to->ioas);
}

static int access_link(struct iommufd_access *access, u32 ioas_id)
{
	struct access_link *link = access_link_alloc(access, ioas_id);

	if (IS_ERR(link))
		return PTR_ERR(link);
	access_change(access, link);
	return 0;
}

static int access_attach(struct iommufd_access *access, u32 ioas_id)
{
	int rc;

	mutex_lock(&access->change_lock);
	if (access->link)
		rc = reason_set(access->ictx, -EBUSY,
				"access %u is attached already, to IOAS %u",
				access->obj.id, access->link->ioas->obj.id);
	else
		rc = access_link(access, ioas_id);
	mutex_unlock(&access->change_lock);
	return rc;
}

int iommufd_access_attach(struct iommufd_access *access, u32 ioas_id)
{
	unsigned long since = reason_begin(access->ictx);

	return reason_end(access->ictx, since, "access-attach",
			  access_attach(access, ioas_id));
}
EXPORT_SYMBOL_GPL(iommufd_access_attach);

static int access_replace(struct iommufd_access *access, u32 ioas_id)
{
	int rc = 0;

	mutex_lock(&access->change_lock);
	if (!access->link)
		rc = reason_set(access->ictx, -ENOENT,
				"access %u is attached to nothing",
				access->obj.id);
	else if (access->link->ioas->obj.id != ioas_id)
		rc = access_link(access, ioas_id);
	mutex_unlock(&access->change_lock);
	return rc;
}

int iommufd_access_replace(struct iommufd_access *access, u32 ioas_id)
{
	unsigned long since = reason_begin(access->ictx);

	return reason_end(access->ictx, since, "access-replace",
			  access_replace(access, ioas_id));
}
EXPORT_SYMBOL_GPL(iommufd_access_replace);

void iommufd_access_detach(struct iommufd_access *access)
{
	mutex_lock(&access->change_lock);
	access_change(access, NULL);
	mutex_unlock(&access->change_lock);
}
EXPORT_SYMBOL_GPL(iommufd_access_detach);

struct iommufd_access *
iommufd_access_create(struct iommufd_ctx *ictx,
		      const struct iommufd_access_ops *ops, void *data, u32 *id)
{
	struct iommufd_access *access;

	access = iommufd_object_alloc(ictx, sizeof(*access),
				      IOMMUFD_OBJECT_ACCESS);
	if (IS_ERR(access))
		return access;
	access->ictx = ictx;
	access->ops = ops;
	access->data = data;
	mutex_init(&access->change_lock);
	mutex_init(&access->lock);
	init_waitqueue_head(&access->unpinned);
	access->pins = RB_ROOT_CACHED;
	iommufd_ctx_get(ictx);		/* put by destroy */
	*id = access->obj.id;
	iommufd_object_publish_owned(ictx, &access->obj);
	return access;
}
EXPORT_SYMBOL_GPL(iommufd_access_create);

/* The object is gone from the table: nothing is left to do but to free it. */
void access_destroy(struct iommufd_object *obj)
{
	struct iommufd_access *access =
		container_of(obj, struct iommufd_access, obj);

	WARN_ON(access->link);
}

void iommufd_access_destroy(struct iommufd_access *access)
{
	struct iommufd_ctx *ictx = access->ictx;

	iommufd_access_detach(access);
	iommufd_object_destroy_owned(ictx, &access->obj);
	iommufd_ctx_put(ictx);
}
EXPORT_SYMBOL_GPL(iommufd_access_destroy);

void iommufd_access_place(struct iommufd_access *access,
			  struct iommufd_place *place)
{
	place->context = access->ictx->number;
	place->hwpt_id = 0;
	mutex_lock(&access->lock);
	place->ioas_id = access->ioas ? access->ioas->obj.id : 0;
	mutex_unlock(&access->lock);
}
EXPORT_SYMBOL_GPL(iommufd_access_place);
