// SPDX-License-Identifier: GPL-2.0
/*
 * The state of a context as text. docs/fdinfo.md is the contract: a line for
 * each thing, "key:<tab>", then name=value pairs.
 *
 * It may be read at any time, and a MAP that userspace holds up for ever must
 * not hold up the reader. So it takes no lock that is held over a pin: what an
 * object shows is read under the lock of the ID table, or under one of the short
 * locks (ioas.lock, access.lock, span locks) as a visitor of the object. A
 * HWPT takes no visitors, see iommufd_object_abandon(): it is copied.
 *
 * Nothing is counted for the sake of this on the way of a map: sums over the
 * mappings are made here, so many at a time that nobody waits long. What happens
 * meanwhile may be in the sums or not. Maps so far are those that are there and
 * those that were unmapped, which an unmap counts with the lock in its hands. What is listed one by one has a limit;
 * behind it a "more" line says that it was met.
 */
#include <linux/iommu.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <linux/string.h>

#include "access.h"
#include "device.h"
#include "fdinfo.h"
#include "hwpt.h"
#include "ioas.h"
#include "object.h"
#include "pinned.h"

#define FDINFO_FORMAT	1

#define OBJECTS_SHOWN	1024
#define RANGES_SHOWN	32	/* of each kind in an IOAS */
#define AREAS_AT_ONCE	128	/* looked at without letting others in */

/* An object, as it was under the lock of the ID table. */
struct view {
	enum iommufd_object_type type;
	unsigned int users;
	bool automatic, finished, broken;	/* HWPT */
	bool attached;				/* device */
	unsigned int nr_groups;
	struct core_limits limits;
	int group;
	u32 hwpt_id, ioas_id;
	struct ioas *ioas;			/* visited */
	struct iommufd_access *access;		/* visited */
	char name[64];
};

static void view_hwpt(struct view *view, const struct hwpt *hwpt)
{
	view->ioas_id = hwpt->ioas->obj.id;
	view->automatic = hwpt->automatic;
	view->finished = READ_ONCE(hwpt->finished);
	view->broken = READ_ONCE(hwpt->broken);
	view->nr_groups = READ_ONCE(hwpt->nr_groups);
	view->limits = hwpt->limits;
}

static void view_device(struct view *view, const struct iommufd_device *idev)
{
	const struct device_group *dgroup = idev->dgroup;

	strscpy(view->name, dev_name(idev->dev), sizeof(view->name));
	view->group = iommu_group_id(dgroup->group);
	view->attached = READ_ONCE(idev->attached);
	if (view->attached) {
		view->hwpt_id = READ_ONCE(dgroup->hwpt_id);
		view->ioas_id = READ_ONCE(dgroup->ioas_id);
	}
}

static void view_object(struct iommufd_object *obj, void *arg)
{
	struct view *view = arg;

	memset(view, 0, sizeof(*view));
	view->type = obj->type;
	view->users = refcount_read(&obj->users);
	switch (obj->type) {
	case IOMMUFD_OBJECT_IOAS:
		atomic_inc(&obj->visitors);
		view->ioas = container_of(obj, struct ioas, obj);
		break;
	case IOMMUFD_OBJECT_ACCESS:
		atomic_inc(&obj->visitors);
		view->access = container_of(obj, struct iommufd_access, obj);
		break;
	case IOMMUFD_OBJECT_HWPT:
		view_hwpt(view, container_of(obj, struct hwpt, obj));
		break;
	case IOMMUFD_OBJECT_DEVICE:
		view_device(view, container_of(obj, struct iommufd_device, obj));
		break;
	default:
		break;
	}
}

struct sums {
	unsigned long areas;
	unsigned long mapped;	/* bytes */
	unsigned long pinned;	/* pages */
	/* So far: of those that are there, and, by the last call, all that were. */
	unsigned long nr_maps, nr_unmaps;
	u64 maps_length, unmaps_length;
};

/*
 * Add up some areas from *from on. Those of a span that is pinned in part need a
 * closer look, without ioas.lock: each ends a call. True: there is more.
 */
static bool sum_some(struct ioas *ioas, unsigned long *from, struct sums *sums)
{
	struct pinned *partly = NULL;
	unsigned long first = 0, last = 0;
	unsigned int nr = 0;
	struct area *area;

	mutex_lock(&ioas->lock);
	for (area = area_first(ioas, *from, ULONG_MAX);
	     area && !partly && nr < AREAS_AT_ONCE;
	     area = area_next(area, ULONG_MAX), nr++) {
		sums->areas++;
		sums->mapped += area_length(area);
		/* A map that fills may fail; it counts when it is done. */
		if (area_is_ready(area) || area->state == AREA_LEAVING) {
			sums->nr_maps++;
			sums->maps_length += area_length(area);
		}
		first = area_first_page(area);
		last = (area_offset(area) + area_length(area) - 1) >> PAGE_SHIFT;
		switch (pinned_extent(area->pinned)) {
		case PINNED_NOTHING:
			break;
		case PINNED_ALL:
			sums->pinned += last - first + 1;
			break;
		case PINNED_PART:
			partly = pinned_get(area->pinned);
			break;
		}
	}
	if (area)
		*from = area->iova.start;
	sums->nr_unmaps = ioas->nr_unmaps;
	sums->unmaps_length = ioas->unmapped;
	mutex_unlock(&ioas->lock);

	if (partly) {
		sums->pinned += pinned_count(partly, first, last);
		pinned_put(partly);
	}
	cond_resched();
	return area;
}

static const char *const state_names[] = {
	[AREA_FILLING] = "filling",
	[AREA_READY] = "ready",
	[AREA_LEAVING] = "leaving",
};

/* Under ioas.lock. */
static void show_areas(struct seq_file *m, struct ioas *ioas)
{
	unsigned int nr = 0;
	struct area *area;

	for (area = area_first(ioas, 0, ULONG_MAX); area;
	     area = area_next(area, ULONG_MAX)) {
		if (nr++ == RANGES_SHOWN) {
			seq_printf(m, "more-mappings:\tioas=%u from=0x%lx\n",
				   ioas->obj.id, area->iova.start);
			return;
		}
		seq_printf(m, "mapping:\tioas=%u start=0x%lx last=0x%lx prot=%s%s %s=0x%lx state=%s pins=%u\n",
			   ioas->obj.id, area->iova.start, area->iova.last,
			   area->prot & IOMMU_READ ? "r" : "-",
			   area->prot & IOMMU_WRITE ? "w" : "-",
			   area->pinned->file ? "file-offset" : "user-va",
			   area->pinned->uptr + area_offset(area),
			   state_names[area->state], area->nr_pins);
	}
}

/* Under ioas.lock. */
static void show_ranges(struct seq_file *m, const struct ioas *ioas,
			struct rb_root_cached *root, const char *key)
{
	const struct iova_range *range;
	unsigned int nr = 0;
	struct rb_node *rb;

	for (rb = rb_first_cached(root); rb; rb = rb_next(rb)) {
		range = container_of(rb_entry(rb, struct interval_tree_node, rb),
				     struct iova_range, node);
		if (nr++ == RANGES_SHOWN) {
			seq_printf(m, "more-%s:\tioas=%u from=0x%lx\n", key,
				   ioas->obj.id, range->node.start);
			return;
		}
		seq_printf(m, "%s:\tioas=%u start=0x%lx last=0x%lx", key,
			   ioas->obj.id, range->node.start, range->node.last);
		if (range->purpose.kind)
			seq_printf(m, " kind=%s %s=%u", range->purpose.kind,
				   range->purpose.of, range->purpose.id);
		seq_putc(m, '\n');
	}
}

static void show_ioas(struct seq_file *m, struct ioas *ioas, unsigned int users)
{
	struct sums sums = {};
	unsigned long from = 0;

	while (sum_some(ioas, &from, &sums))
		if (fatal_signal_pending(current))
			return;
	seq_printf(m, "ioas:\tid=%u users=%u mappings=%lu mapped=%lu pinned=%lu align=%lu huge-pages=%d hwpts=%u accesses=%u maps=%lu unmaps=%lu map-bytes=%llu unmap-bytes=%llu\n",
		   ioas->obj.id, users - 1, sums.areas, sums.mapped,
		   sums.pinned << PAGE_SHIFT, READ_ONCE(ioas->align),
		   !READ_ONCE(ioas->small_pages), READ_ONCE(ioas->nr_hwpts),
		   READ_ONCE(ioas->nr_accesses), sums.nr_maps + sums.nr_unmaps,
		   sums.nr_unmaps, sums.maps_length + sums.unmaps_length,
		   sums.unmaps_length);

	mutex_lock(&ioas->lock);
	show_ranges(m, ioas, &ioas->space.reserved, "reserved");
	show_ranges(m, ioas, &ioas->space.allowed, "allowed");
	show_areas(m, ioas);
	mutex_unlock(&ioas->lock);
}

static void show_access(struct seq_file *m, struct iommufd_access *access)
{
	unsigned long nr_pins, nr_pages;
	u32 ioas_id;

	mutex_lock(&access->lock);
	ioas_id = access->ioas ? access->ioas->obj.id : 0;
	nr_pins = access->nr_pins;
	nr_pages = access->nr_pages;
	mutex_unlock(&access->lock);
	seq_printf(m, "access:\tid=%u ioas=%u pins=%lu pinned=%lu\n",
		   access->obj.id, ioas_id, nr_pins, nr_pages << PAGE_SHIFT);
}

static void view_leave(struct iommufd_ctx *ictx, struct view *view)
{
	if (view->ioas)
		iommufd_object_leave(ictx, &view->ioas->obj);
	if (view->access)
		iommufd_object_leave(ictx, &view->access->obj);
}

static void show_object(struct seq_file *m, u32 id, const struct view *view)
{
	switch (view->type) {
	case IOMMUFD_OBJECT_IOAS:
		show_ioas(m, view->ioas, view->users);
		break;
	case IOMMUFD_OBJECT_ACCESS:
		show_access(m, view->access);
		break;
	case IOMMUFD_OBJECT_HWPT:
		seq_printf(m, "hwpt:\tid=%u ioas=%u kind=%s groups=%u first=0x%lx last=0x%lx pgsizes=0x%lx coherent=%d finished=%d broken=%d\n",
			   id, view->ioas_id,
			   view->automatic ? "automatic" : "manual",
			   view->nr_groups, view->limits.iova_first,
			   view->limits.iova_last, view->limits.pgsizes,
			   view->limits.coherent, view->finished, view->broken);
		break;
	case IOMMUFD_OBJECT_DEVICE:
		seq_printf(m, "device:\tid=%u name=%s group=%d attached=%d hwpt=%u ioas=%u\n",
			   id, view->name, view->group, view->attached,
			   view->hwpt_id, view->ioas_id);
		break;
	default:
		seq_printf(m, "object:\tid=%u\n", id);
		break;
	}
}

static void show_objects(struct iommufd_ctx *ictx, struct seq_file *m)
{
	unsigned int nr = 0;
	struct view view;
	unsigned long id;

	for (id = 0; iommufd_object_peek(ictx, &id, view_object, &view); id++) {
		if (nr < OBJECTS_SHOWN)
			show_object(m, id, &view);
		view_leave(ictx, &view);
		if (nr++ == OBJECTS_SHOWN) {
			seq_printf(m, "more-objects:\tfrom=%lu\n", id);
			return;
		}
		/* After an overflow we are asked again, with more room. */
		if (seq_has_overflowed(m) || fatal_signal_pending(current))
			return;
		cond_resched();
	}
}

void fdinfo_show(struct iommufd_ctx *ictx, struct seq_file *m)
{
	seq_printf(m, "iommufd-format:\t%u\n", FDINFO_FORMAT);
	seq_printf(m, "context:\t%llu\n", ictx->number);
	seq_printf(m, "rlimit-mode:\t%s\n",
		   READ_ONCE(ictx->charge_process) ? "process" : "user");
	seq_printf(m, "charged:\t%lu\n",
		   atomic_long_read(&ictx->nr_charged) << PAGE_SHIFT);
	pin_owner_show(ictx, m);
	seq_printf(m, "vfio-ioas:\t%u\n", READ_ONCE(ictx->vfio_ioas_id));
	reasons_show(ictx, m);
	show_objects(ictx, m);
}
