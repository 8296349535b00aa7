// SPDX-License-Identifier: GPL-2.0
/*
 * Devices: bind, attach, replace, detach, unbind. The contracts are in
 * <linux/iommufd.h>, the model in device.h.
 *
 * DMA belongs to IOMMU groups, so everything is done to the group: its first
 * bound device claims it, its first attached device moves it to a page table,
 * and the last ones undo that.
 */
#include <linux/iommufd.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "device.h"
#include "hwpt.h"
#include "ioas.h"
#include "trace.h"

static bool allow_unsafe_interrupts;
module_param(allow_unsafe_interrupts, bool, 0644);
MODULE_PARM_DESC(allow_unsafe_interrupts,
		 "Accept devices whose interrupts are not remapped: whoever has such a device can raise any interrupt of the machine (default: off)");

/* Firmware that does DMA by itself cannot be moved to another table. */
static int check_region(void *arg, const struct iommu_resv_region *region)
{
	struct device_group *dgroup = arg;

	if (region->type == IOMMU_RESV_DIRECT)
		return reason_set(dgroup->ictx, -EPERM,
				  "firmware does DMA with IOMMU group %d to 0x%llx-0x%llx: it cannot be given to userspace",
				  iommu_group_id(dgroup->group), region->start,
				  region->start + (region->length - 1));
	if (region->type == IOMMU_RESV_SW_MSI) {
		if (dgroup->has_sw_msi && dgroup->sw_msi != region->start)
			return reason_set(dgroup->ictx, -EINVAL,
					  "IOMMU group %d has two MSI windows, at 0x%llx and 0x%llx",
					  iommu_group_id(dgroup->group),
					  dgroup->sw_msi, region->start);
		dgroup->has_sw_msi = true;
		dgroup->sw_msi = region->start;
	}
	return 0;
}

/*
 * The same for what a device brings that joined a claimed group: its tables are
 * made for one software MSI window, or for none.
 */
static int check_joining_region(void *arg,
				const struct iommu_resv_region *region)
{
	struct device_group *dgroup = arg;

	if (region->type == IOMMU_RESV_SW_MSI &&
	    (!dgroup->has_sw_msi || dgroup->sw_msi != region->start))
		return reason_set(dgroup->ictx, -EINVAL,
				  "IOMMU group %d has another MSI window than 0x%llx",
				  iommu_group_id(dgroup->group), region->start);
	return region->type == IOMMU_RESV_DIRECT ?
	       check_region(arg, region) : 0;
}

static struct device_group *dgroup_find(struct iommufd_ctx *ictx,
					struct iommu_group *group)
{
	struct device_group *dgroup;

	lockdep_assert_held(&ictx->groups_lock);
	list_for_each_entry(dgroup, &ictx->groups, link)
		if (dgroup->group == group)
			return dgroup;
	return NULL;
}

static noinline __cold
void explain_claim(struct device_group *dgroup, int rc)
{
	int id = iommu_group_id(dgroup->group);
	char name[48];

	if (rc == -EBUSY && core_group_user(dgroup->group, name, sizeof(name)))
		reason_set(dgroup->ictx, rc,
			   "IOMMU group %d has %s, which a kernel driver uses",
			   id, name);
	else if (rc == -EPERM || rc == -EBUSY)
		reason_set(dgroup->ictx, rc,
			   "IOMMU group %d belongs to somebody else: another iommufd, or a legacy container",
			   id);
}

/* Claim a group for the context. The reference to it moves in on success. */
static struct device_group *dgroup_create(struct iommufd_ctx *ictx,
					  struct iommu_group *group,
					  struct iommufd_device *idev)
{
	struct device_group *dgroup;
	int rc;

	lockdep_assert_held(&ictx->groups_lock);
	dgroup = kzalloc(sizeof(*dgroup), GFP_KERNEL_ACCOUNT);
	if (!dgroup)
		return ERR_PTR(-ENOMEM);
	dgroup->ictx = ictx;
	dgroup->group = group;
	dgroup->bus = idev->dev->bus;
	dgroup->unit = core_unit(idev->dev);
	dgroup->dma_coherent = core_dma_coherent(idev->dev);
	INIT_LIST_HEAD(&dgroup->devices);
	dgroup->nr_changes = 1;
	mutex_init(&dgroup->lock);

	rc = core_for_each_reserved(group, check_region, dgroup);
	if (rc)
		goto err_free;
	rc = core_group_claim(group, ictx);
	if (rc) {
		explain_claim(dgroup, rc);
		goto err_free;
	}
	dgroup->parked = core_parked(idev->dev);

	rc = hwpt_make_spare(dgroup);
	if (rc)
		goto err_release;
	list_add(&idev->link, &dgroup->devices);
	list_add_tail(&dgroup->link, &ictx->groups);
	return dgroup;

err_release:
	core_group_release(group);
err_free:
	kfree(dgroup);
	return ERR_PTR(rc);
}

static void ranges_free(struct group_ranges *ranges)
{
	struct iova_range *range;

	while ((range = ranges->chain)) {
		ranges->chain = range->next;
		kfree(range);
	}
	ranges->nr_changes = 0;
}

static void dgroup_destroy(struct device_group *dgroup)
{
	lockdep_assert_held(&dgroup->ictx->groups_lock);
	WARN_ON(dgroup->hwpt);
	list_del(&dgroup->link);
	hwpt_free_spare(dgroup);
	ranges_free(&dgroup->here);
	ranges_free(&dgroup->next);
	core_group_release(dgroup->group);
	iommu_group_put(dgroup->group);
	kfree(dgroup);
}

/* What the group's devices have reserved may be something else from now on. */
static void dgroup_changes(struct device_group *dgroup)
{
	lockdep_assert_held(&dgroup->ictx->groups_lock);
	/* Pairs with the acquire in ranges_read(). */
	smp_store_release(&dgroup->nr_changes, dgroup->nr_changes + 1);
}

/* Put a device into its group, which is claimed for it if it is the first. */
static int dgroup_add(struct iommufd_ctx *ictx, struct iommufd_device *idev)
{
	struct iommu_group *group = iommu_group_get(idev->dev);
	struct iommufd_device *other;
	struct device_group *dgroup;
	int rc = 0;

	if (!group)
		return -ENODEV;
	mutex_lock(&ictx->groups_lock);
	dgroup = dgroup_find(ictx, group);
	if (!dgroup) {
		dgroup = dgroup_create(ictx, group, idev);
		if (IS_ERR(dgroup)) {
			rc = PTR_ERR(dgroup);
			goto err_put;
		}
		goto out_unlock;	/* the group has the reference */
	}
	list_for_each_entry(other, &dgroup->devices, link) {
		if (other->dev == idev->dev) {
			rc = reason_set(ictx, -EEXIST,
					"%s is bound already, as device %u",
					dev_name(idev->dev), other->obj.id);
			goto err_put;
		}
	}
	/* It may have been plugged in after the group was claimed. */
	rc = core_for_each_reserved(group, check_joining_region, dgroup);
	if (rc)
		goto err_put;
	list_add_tail(&idev->link, &dgroup->devices);
	dgroup_changes(dgroup);
	iommu_group_put(group);
out_unlock:
	idev->dgroup = dgroup;
	mutex_unlock(&ictx->groups_lock);
	return 0;

err_put:
	mutex_unlock(&ictx->groups_lock);
	iommu_group_put(group);
	return rc;
}

static struct iommufd_device *idev_bind(struct iommufd_ctx *ictx,
					  struct device *dev, u32 *id)
{
	struct iommufd_device *idev;
	int rc;

	if (!dev->iommu_group || !core_unit(dev))
		return ERR_PTR(reason_set(ictx, -ENODEV, "%s has no IOMMU",
					  dev_name(dev)));
	if (!core_interrupts_isolated(dev)) {
		if (!allow_unsafe_interrupts) {
			dev_warn_ratelimited(dev, "interrupts are not remapped: not given to userspace (iommufd.allow_unsafe_interrupts)\n");
			return ERR_PTR(reason_set(ictx, -EPERM,
						  "interrupts of %s are not remapped: see iommufd.allow_unsafe_interrupts",
						  dev_name(dev)));
		}
		dev_warn_ratelimited(dev, "given to userspace with unsafe interrupts\n");
	}

	idev = iommufd_object_alloc(ictx, sizeof(*idev), IOMMUFD_OBJECT_DEVICE);
	if (IS_ERR(idev))
		return idev;
	idev->ictx = ictx;
	idev->dev = dev;
	rc = dgroup_add(ictx, idev);
	if (rc) {
		iommufd_object_abort(ictx, &idev->obj);
		return ERR_PTR(rc);
	}
	iommufd_ctx_get(ictx);		/* put by unbind */
	*id = idev->obj.id;
	iommufd_object_publish_owned(ictx, &idev->obj);
	return idev;
}

struct iommufd_device *iommufd_device_bind(struct iommufd_ctx *ictx,
					   struct device *dev, u32 *id)
{
	unsigned long since = reason_begin(ictx);
	struct iommufd_device *idev = idev_bind(ictx, dev, id);

	reason_end(ictx, since, "device-bind", PTR_ERR_OR_ZERO(idev));
	return idev;
}
EXPORT_SYMBOL_GPL(iommufd_device_bind);

void iommufd_device_destroy(struct iommufd_object *obj)
{
	struct iommufd_device *idev =
		container_of(obj, struct iommufd_device, obj);
	struct device_group *dgroup = idev->dgroup;

	WARN_ON(idev->attached);
	mutex_lock(&idev->ictx->groups_lock);
	if (idev->coherent)
		atomic_dec(&dgroup->nr_coherent);
	list_del(&idev->link);
	dgroup_changes(dgroup);
	if (list_empty(&dgroup->devices))
		dgroup_destroy(dgroup);
	mutex_unlock(&idev->ictx->groups_lock);
}

void iommufd_device_unbind(struct iommufd_device *idev)
{
	struct iommufd_ctx *ictx = idev->ictx;

	iommufd_object_destroy_owned(ictx, &idev->obj);
	iommufd_ctx_put(ictx);
}
EXPORT_SYMBOL_GPL(iommufd_device_unbind);

bool iommufd_enforces_coherency(struct device *dev)
{
	return core_enforces_coherency(dev);
}
EXPORT_SYMBOL_GPL(iommufd_enforces_coherency);

int iommufd_device_require_coherency(struct iommufd_device *idev)
{
	struct device_group *dgroup = idev->dgroup;
	int rc = 0;

	if (mutex_lock_killable(&dgroup->lock))
		return -EINTR;
	if (dgroup->hwpt && !dgroup->hwpt->limits.coherent) {
		rc = -EINVAL;
	} else if (!idev->coherent) {
		idev->coherent = true;
		atomic_inc(&dgroup->nr_coherent);
	}
	mutex_unlock(&dgroup->lock);
	return rc;
}
EXPORT_SYMBOL_GPL(iommufd_device_require_coherency);

static int dgroup_device_id(const struct device_group *dgroup,
			    const struct device *dev)
{
	struct iommufd_device *idev;

	list_for_each_entry(idev, &dgroup->devices, link)
		if (idev->dev == dev)
			return idev->obj.id;
	return 0;
}

int iommufd_ctx_device_id(struct iommufd_ctx *ictx, struct device *dev)
{
	struct iommu_group *group = iommu_group_get(dev);
	struct device_group *dgroup;
	int id = -ENOENT;

	mutex_lock(&ictx->groups_lock);
	dgroup = group ? dgroup_find(ictx, group) : NULL;
	if (dgroup)
		id = dgroup_device_id(dgroup, dev);
	mutex_unlock(&ictx->groups_lock);
	iommu_group_put(group);
	return id;
}
EXPORT_SYMBOL_GPL(iommufd_ctx_device_id);

/*
 * Keeping address spaces clear of what the group must not translate
 */

static int add_region(void *arg, const struct iommu_resv_region *region)
{
	struct device_group *dgroup = arg;
	struct iova_range *range;

	/* Relaxable: legacy firmware uses, over once a driver runs. */
	if (region->type == IOMMU_RESV_DIRECT_RELAXABLE || !region->length)
		return 0;
	range = kzalloc(sizeof(*range), GFP_KERNEL_ACCOUNT);
	if (!range)
		return -ENOMEM;
	range->node.start = region->start;
	range->node.last = region->start + (region->length - 1);
	range->purpose.kind = region->type == IOMMU_RESV_MSI ? "msi" :
			      region->type == IOMMU_RESV_SW_MSI ? "sw-msi" :
								  "region";
	range->purpose.of = "group";
	range->purpose.id = iommu_group_id(dgroup->group);
	range->next = dgroup->next.chain;
	dgroup->next.chain = range;
	return 0;
}

/* Ask for those of the next address space. */
static int ranges_read(struct device_group *dgroup)
{
	/* Pairs with the release in dgroup_changes(). */
	unsigned long nr_changes = smp_load_acquire(&dgroup->nr_changes);
	int rc;

	ranges_free(&dgroup->next);
	rc = core_for_each_reserved(dgroup->group, add_region, dgroup);
	if (rc)
		ranges_free(&dgroup->next);
	else
		dgroup->next.nr_changes = nr_changes;
	return rc;
}

static bool ranges_are_old(const struct device_group *dgroup,
			   const struct group_ranges *ranges)
{
	return ranges->nr_changes != READ_ONCE(dgroup->nr_changes);
}

/* The group is about to move. One of the two that follow ends this. */
static int dgroup_reserve(struct device_group *dgroup, struct ioas *ioas)
{
	int rc;

	lockdep_assert_held(&dgroup->lock);
	if (ranges_are_old(dgroup, &dgroup->next)) {
		rc = ranges_read(dgroup);
		if (rc)
			return rc;
	}
	return ioas_reserve(ioas, dgroup->next.chain);
}

/* It has not moved. */
static void dgroup_unreserve(struct device_group *dgroup, struct ioas *ioas)
{
	lockdep_assert_held(&dgroup->lock);
	ioas_unreserve(ioas, dgroup->next.chain);
}

/* It has; @from is where it was, or NULL. */
static void dgroup_reserved(struct device_group *dgroup, struct ioas *from)
{
	lockdep_assert_held(&dgroup->lock);
	swap(dgroup->here, dgroup->next);
	if (from)
		ioas_unreserve(from, dgroup->next.chain);
}

/* Where the user wants to go: an IOAS, or one HWPT of it. */
struct target {
	struct iommufd_object *obj;	/* used */
	struct ioas *ioas;
	struct hwpt *hwpt;		/* NULL: any of the IOAS */
};

static int target_get(struct iommufd_ctx *ictx, u32 id, struct target *target)
{
	target->obj = iommufd_object_use(ictx, id, IOMMUFD_OBJECT_ANY);
	if (IS_ERR(target->obj))
		return PTR_ERR(target->obj);
	switch (target->obj->type) {
	case IOMMUFD_OBJECT_IOAS:
		target->hwpt = NULL;
		target->ioas = container_of(target->obj, struct ioas, obj);
		return 0;
	case IOMMUFD_OBJECT_HWPT:
		target->hwpt = container_of(target->obj, struct hwpt, obj);
		target->ioas = target->hwpt->ioas;
		return 0;
	default:
		reason_set(ictx, -EINVAL,
			   "object %u is %s, neither an IOAS nor a HWPT", id,
			   iommufd_object_noun(target->obj->type));
		iommufd_object_unuse(ictx, target->obj);
		return -EINVAL;
	}
}

static void target_put(struct iommufd_ctx *ictx, struct target *target)
{
	iommufd_object_unuse(ictx, target->obj);
}

/* A table for the group at the target; given back by hwpt_put(). */
static struct hwpt *target_table(const struct target *target,
				 struct device_group *dgroup)
{
	struct hwpt *hwpt;
	int rc;

	if (target->hwpt) {
		rc = hwpt_get(target->hwpt, dgroup);
		hwpt = rc ? ERR_PTR(rc) : target->hwpt;
	} else {
		hwpt = hwpt_get_auto(target->ioas, dgroup);
	}
	if (IS_ERR(hwpt) || !atomic_read(&dgroup->nr_coherent) || hwpt->limits.coherent)
		return hwpt;
	hwpt_put(hwpt, dgroup);
	return ERR_PTR(reason_set(dgroup->ictx, -EINVAL,
				  "the IOMMU of IOMMU group %d cannot enforce cache coherency, which a driver requires",
				  iommu_group_id(dgroup->group)));
}

/* Does the group's present table satisfy the target? */
static bool target_is_here(const struct target *target,
			   const struct device_group *dgroup)
{
	if (target->hwpt)
		return dgroup->hwpt == target->hwpt;
	return dgroup->hwpt->ioas == target->ioas && dgroup->hwpt->automatic;
}

/* The group is on another table now, or on none. */
static void dgroup_set_hwpt(struct device_group *dgroup, struct hwpt *hwpt)
{
	lockdep_assert_held(&dgroup->lock);
	dgroup->hwpt = hwpt;
	WRITE_ONCE(dgroup->hwpt_id, hwpt ? hwpt->obj.id : 0);
	WRITE_ONCE(dgroup->ioas_id, hwpt ? hwpt->ioas->obj.id : 0);
}

static noinline __cold
void explain_move(struct device_group *dgroup, struct hwpt *hwpt, int rc)
{
	reason_set(dgroup->ictx, rc,
		   "the IOMMU driver did not move IOMMU group %d to HWPT %u",
		   iommu_group_id(dgroup->group), hwpt->obj.id);
}

/* Move a parked group to its first table. */
static int dgroup_attach(struct device_group *dgroup,
			 const struct target *target)
{
	struct hwpt *hwpt;
	int rc;

	lockdep_assert_held(&dgroup->lock);
	rc = dgroup_reserve(dgroup, target->ioas);
	if (rc)
		return rc;
	hwpt = target_table(target, dgroup);
	if (IS_ERR(hwpt)) {
		rc = PTR_ERR(hwpt);
		goto err_unreserve;
	}
	rc = hwpt_move(hwpt, dgroup);
	if (rc) {
		explain_move(dgroup, hwpt, rc);
		goto err_put;
	}
	dgroup_set_hwpt(dgroup, hwpt);
	dgroup_reserved(dgroup, NULL);
	return 0;

err_put:
	hwpt_put(hwpt, dgroup);
err_unreserve:
	dgroup_unreserve(dgroup, target->ioas);
	return rc;
}

/*
 * A device of a group that is on its table already. It may have been plugged in
 * after the group had moved.
 */
static int dgroup_attach_other(struct device_group *dgroup, struct device *dev)
{
	struct ioas *ioas = dgroup->hwpt->ioas;
	bool reserve;
	int rc;

	lockdep_assert_held(&dgroup->lock);
	reserve = ranges_are_old(dgroup, &dgroup->here);
	if (reserve) {
		rc = dgroup_reserve(dgroup, ioas);
		if (rc)
			return rc;
	}
	rc = hwpt_move_device(dgroup->hwpt, dgroup, dev);
	if (reserve && rc)
		dgroup_unreserve(dgroup, ioas);
	else if (reserve)
		dgroup_reserved(dgroup, ioas);
	return rc;
}

static void dgroup_detach(struct device_group *dgroup)
{
	struct hwpt *hwpt = dgroup->hwpt;
	struct ioas *ioas = hwpt->ioas;

	lockdep_assert_held(&dgroup->lock);
	hwpt_park(hwpt, dgroup);
	dgroup_set_hwpt(dgroup, NULL);
	ioas_unreserve(ioas, dgroup->here.chain);
	hwpt_put(hwpt, dgroup);
}

static noinline __cold
int explain_group(struct device_group *dgroup)
{
	return reason_set(dgroup->ictx, -EINVAL,
			  "other devices of IOMMU group %d are on HWPT %u of IOAS %u, and all must be on one",
			  iommu_group_id(dgroup->group), dgroup->hwpt->obj.id,
			  dgroup->hwpt->ioas->obj.id);
}

static int idev_attach(struct iommufd_device *idev, const struct target *target)
{
	struct device_group *dgroup = idev->dgroup;
	int rc;

	if (idev->attached)
		rc = reason_set(idev->ictx, -EBUSY,
				"device %u is attached already, to HWPT %u",
				idev->obj.id, dgroup->hwpt->obj.id);
	else if (!dgroup->nr_attached)
		rc = dgroup_attach(dgroup, target);
	else if (!target_is_here(target, dgroup))
		rc = explain_group(dgroup);
	else
		rc = dgroup_attach_other(dgroup, idev->dev);
	if (!rc) {
		WRITE_ONCE(idev->attached, true);
		dgroup->nr_attached++;
	}
	return rc;
}

static int dgroup_replace(struct device_group *dgroup,
			  const struct target *target)
{
	struct hwpt *old = dgroup->hwpt, *new;
	struct ioas *old_ioas = old->ioas;
	bool reserve;
	int rc;

	lockdep_assert_held(&dgroup->lock);
	if (target_is_here(target, dgroup))
		return 0;
	reserve = target->ioas != old_ioas ||
		  ranges_are_old(dgroup, &dgroup->here);
	if (reserve) {
		rc = dgroup_reserve(dgroup, target->ioas);
		if (rc)
			return rc;
	}
	new = target_table(target, dgroup);
	if (IS_ERR(new)) {
		rc = PTR_ERR(new);
		goto err_unreserve;
	}
	/* Everything is ready: only this is done while DMA may be aborted. */
	rc = hwpt_move(new, dgroup);
	if (rc) {
		explain_move(dgroup, new, rc);
		goto err_put;
	}
	dgroup_set_hwpt(dgroup, new);
	if (reserve)
		dgroup_reserved(dgroup, old_ioas);
	hwpt_put(old, dgroup);
	return 0;

err_put:
	hwpt_put(new, dgroup);
err_unreserve:
	if (reserve)
		dgroup_unreserve(dgroup, target->ioas);
	return rc;
}

static int idev_replace(struct iommufd_device *idev, const struct target *target)
{
	if (!idev->attached)
		return reason_set(idev->ictx, -EINVAL, "device %u is not attached",
				  idev->obj.id);
	return dgroup_replace(idev->dgroup, target);
}

typedef int (*idev_change_fn)(struct iommufd_device *idev,
			      const struct target *target);

/* @pt_id: a HWPT or an IOAS, then the HWPT */
static int idev_change(struct iommufd_device *idev, u32 *pt_id,
		       idev_change_fn change)
{
	struct device_group *dgroup = idev->dgroup;
	struct target target;
	int rc;

	rc = target_get(idev->ictx, *pt_id, &target);
	if (rc)
		return rc;
	if (mutex_lock_killable(&dgroup->lock)) {
		rc = -EINTR;
		goto out_put;
	}
	rc = change(idev, &target);
	if (!rc)
		*pt_id = dgroup->hwpt->obj.id;
	mutex_unlock(&dgroup->lock);
out_put:
	target_put(idev->ictx, &target);
	return rc;
}

int iommufd_device_attach(struct iommufd_device *idev, u32 *pt_id)
{
	unsigned long since = reason_begin(idev->ictx);
	u32 asked = *pt_id;
	int rc = idev_change(idev, pt_id, idev_attach);

	trace_iommufd_attach(idev, asked, rc);
	return reason_end(idev->ictx, since, "device-attach", rc);
}
EXPORT_SYMBOL_GPL(iommufd_device_attach);

int iommufd_device_replace(struct iommufd_device *idev, u32 *pt_id)
{
	unsigned long since = reason_begin(idev->ictx);
	u32 asked = *pt_id;
	int rc = idev_change(idev, pt_id, idev_replace);

	trace_iommufd_replace(idev, asked, rc);
	return reason_end(idev->ictx, since, "device-replace", rc);
}
EXPORT_SYMBOL_GPL(iommufd_device_replace);

void iommufd_device_detach(struct iommufd_device *idev)
{
	struct device_group *dgroup = idev->dgroup;

	mutex_lock(&dgroup->lock);
	if (!WARN_ON(!idev->attached)) {
		WRITE_ONCE(idev->attached, false);
		if (!--dgroup->nr_attached)
			dgroup_detach(dgroup);
	}
	mutex_unlock(&dgroup->lock);
	trace_iommufd_detach(idev, 0, 0);
}
EXPORT_SYMBOL_GPL(iommufd_device_detach);

struct iommufd_ctx *iommufd_device_to_ictx(struct iommufd_device *idev)
{
	return idev->ictx;
}
EXPORT_SYMBOL_GPL(iommufd_device_to_ictx);

u32 iommufd_device_to_id(struct iommufd_device *idev)
{
	return idev->obj.id;
}
EXPORT_SYMBOL_GPL(iommufd_device_to_id);

void iommufd_device_place(struct iommufd_device *idev,
			  struct iommufd_place *place)
{
	const struct device_group *dgroup = idev->dgroup;
	bool attached = READ_ONCE(idev->attached);

	place->context = idev->ictx->number;
	place->hwpt_id = attached ? READ_ONCE(dgroup->hwpt_id) : 0;
	place->ioas_id = attached ? READ_ONCE(dgroup->ioas_id) : 0;
}
EXPORT_SYMBOL_GPL(iommufd_device_place);
