// SPDX-License-Identifier: GPL-2.0
/*
 * Hardware page tables: made for a group's IOMMU, put under an address space.
 *
 * A table is finished by its first attach (core_domain_finish()), and filled
 * after that. While the group is parked nothing uses the attach, so a table can
 * be finished at will. For a live group there is a spare, made when the group
 * was claimed and again from each automatic table that the group leaves as its
 * last user. Without one, the table is filled unfinished: correct, but with
 * 4 KiB entries on Intel. Its first attach may change the root of the table:
 * another reason for move_sem.
 */
#include <linux/slab.h>
#include <uapi/linux/iommufd.h>

#include "device.h"
#include "hwpt.h"
#include "ioas.h"
#include "ioctl.h"
#include "pinned.h"

static void table_free(struct hwpt_table *table)
{
	core_domain_free(table->domain);
	table_account_uninit(&table->account);
	kfree(table);
}

static struct hwpt_table *table_alloc(struct device_group *dgroup)
{
	struct hwpt_table *table;
	int rc;

	table = kmalloc(sizeof(*table), GFP_KERNEL_ACCOUNT);
	if (!table)
		return ERR_PTR(-ENOMEM);
	rc = table_account_init(&table->account, dgroup->ictx);
	if (rc)
		goto err_free;
	table->domain = core_domain_alloc(dgroup->bus);
	if (!table->domain) {
		rc = -ENOMEM;
		goto err_uninit;
	}
	if (!dgroup->has_sw_msi)
		return table;
	rc = core_domain_msi_window(table->domain, dgroup->sw_msi);
	if (rc)
		goto err_domain;
	return table;

err_domain:
	core_domain_free(table->domain);
err_uninit:
	table_account_uninit(&table->account);
err_free:
	kfree(table);
	return ERR_PTR(rc);
}

/* A finished table for a parked group. */
static struct hwpt_table *finish_new(struct device_group *dgroup)
{
	struct hwpt_table *table = table_alloc(dgroup);
	int rc;

	if (IS_ERR(table))
		return table;
	rc = core_domain_finish(table->domain, dgroup->group, dgroup->parked,
				&dgroup->limits);
	if (rc) {
		reason_set(dgroup->ictx, rc,
			   "the IOMMU driver did not move IOMMU group %d to a new page table",
			   iommu_group_id(dgroup->group));
		table_free(table);
		return ERR_PTR(rc);
	}
	return table;
}

/* A table for a group whose DMA goes on. */
static struct hwpt_table *presume_new(struct device_group *dgroup)
{
	struct hwpt_table *table = table_alloc(dgroup);
	int rc;

	if (IS_ERR(table))
		return table;
	rc = core_domain_presume(table->domain, &dgroup->limits);
	if (rc) {
		reason_set(dgroup->ictx, rc,
			   "a new page table for IOMMU group %d, whose DMA goes on, does not enforce cache coherency",
			   iommu_group_id(dgroup->group));
		table_free(table);
		return ERR_PTR(rc);
	}
	return table;
}

int hwpt_make_spare(struct device_group *dgroup)
{
	struct hwpt_table *table;

	table = finish_new(dgroup);
	if (IS_ERR(table))
		return PTR_ERR(table);
	dgroup->spare = table;
	return 0;
}

void hwpt_free_spare(struct device_group *dgroup)
{
	if (dgroup->spare)
		table_free(dgroup->spare);
	dgroup->spare = NULL;
}

static struct hwpt_table *take_table(struct device_group *dgroup,
				     bool *finished)
{
	struct hwpt_table *table;

	lockdep_assert_held(&dgroup->lock);
	*finished = true;
	if (!dgroup->hwpt)
		return finish_new(dgroup);
	table = dgroup->spare;
	if (table) {
		dgroup->spare = NULL;
		return table;
	}
	*finished = false;
	return presume_new(dgroup);
}

static void give_table(struct device_group *dgroup, struct hwpt_table *table,
		       bool finished)
{
	lockdep_assert_held(&dgroup->lock);
	if (finished && !dgroup->spare)
		dgroup->spare = table;
	else
		table_free(table);
}

/*
 * A table of the group's kind that belongs to no address space yet. It does not
 * need the group any more.
 */
static struct hwpt *hwpt_alloc(struct ioas *ioas, struct device_group *dgroup)
{
	struct hwpt *hwpt;
	int rc;

	hwpt = iommufd_object_alloc(ioas->ictx, sizeof(*hwpt),
				    IOMMUFD_OBJECT_HWPT);
	if (IS_ERR(hwpt))
		return hwpt;
	hwpt->table = take_table(dgroup, &hwpt->finished);
	if (IS_ERR(hwpt->table)) {
		rc = PTR_ERR(hwpt->table);
		iommufd_object_abort(ioas->ictx, &hwpt->obj);
		return ERR_PTR(rc);
	}
	hwpt->domain = hwpt->table->domain;
	init_rwsem(&hwpt->move_sem);
	hwpt->ioas = ioas;
	hwpt->unit = dgroup->unit;
	hwpt->limits = dgroup->limits;
	hwpt->cache_prot = dgroup->dma_coherent ? IOMMU_CACHE : 0;
	return hwpt;
}

static struct hwpt *hwpt_alloc_auto(struct ioas *ioas,
				    struct device_group *dgroup)
{
	struct hwpt *hwpt;
	int rc;

	hwpt = hwpt_alloc(ioas, dgroup);
	if (IS_ERR(hwpt))
		return hwpt;
	hwpt->automatic = true;
	hwpt->nr_groups = 1;
	rc = ioas_add_table(ioas, hwpt);
	if (rc)
		goto err_give;
	iommufd_object_share(&ioas->obj);
	iommufd_object_publish_owned(ioas->ictx, &hwpt->obj);
	iommufd_object_share(&hwpt->obj);	/* the group's use */
	return hwpt;

err_give:
	give_table(dgroup, hwpt->table, hwpt->finished);
	iommufd_object_abort(ioas->ictx, &hwpt->obj);
	return ERR_PTR(rc);
}

/* A table on behalf of userspace, by a device that shows the kind. */
static struct hwpt *hwpt_alloc_for(struct iommufd_ctx *ictx, struct ioas *ioas,
				   u32 dev_id)
{
	struct iommufd_object *obj;
	struct device_group *dgroup;
	struct hwpt *hwpt;

	obj = iommufd_object_visit(ictx, dev_id, IOMMUFD_OBJECT_DEVICE);
	if (IS_ERR(obj))
		return ERR_CAST(obj);
	dgroup = container_of(obj, struct iommufd_device, obj)->dgroup;
	if (mutex_lock_killable(&dgroup->lock)) {
		hwpt = ERR_PTR(-EINTR);
	} else {
		hwpt = hwpt_alloc(ioas, dgroup);
		mutex_unlock(&dgroup->lock);
	}
	/* The table is filled without the device: unbind need not wait. */
	iommufd_object_leave(ictx, obj);
	return hwpt;
}

int hwpt_ioctl_alloc(struct iommufd_ucmd *ucmd)
{
	struct hwpt_alloc_arg *arg = ucmd->cmd;
	struct iommu_hwpt_alloc *cmd = &arg->cmd;
	struct iommufd_ctx *ictx = ucmd->ictx;
	struct iommufd_object *obj;
	struct hwpt *hwpt;
	struct ioas *ioas;
	int rc;

	if (cmd->flags)
		return reason_flags(ictx, "flags", cmd->flags);
	if (cmd->__reserved)
		return reason_flags(ictx, "__reserved", cmd->__reserved);
	if (arg->__reserved2)
		return reason_flags(ictx, "__reserved2", arg->__reserved2);
	if (arg->data_type != IOMMU_HWPT_DATA_NONE)
		return reason_set(ictx, -EOPNOTSUPP,
				  "data_type is %u: no IOMMU here takes data",
				  arg->data_type);
	if (arg->data_len)
		return reason_set(ictx, -EINVAL,
				  "data_len is %u for a data_type without data",
				  arg->data_len);
	obj = iommufd_object_use(ictx, cmd->pt_id, IOMMUFD_OBJECT_ANY);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	if (obj->type != IOMMUFD_OBJECT_IOAS) {
		/* a table on a table needs nesting */
		rc = reason_set(ictx, -EINVAL, "object %u is %s, not an IOAS",
				cmd->pt_id, iommufd_object_noun(obj->type));
		goto out_unuse;
	}
	ioas = container_of(obj, struct ioas, obj);
	hwpt = hwpt_alloc_for(ictx, ioas, cmd->dev_id);
	if (IS_ERR(hwpt)) {
		rc = PTR_ERR(hwpt);
		goto out_unuse;
	}

	if (mutex_lock_killable(&ioas->attach_lock)) {
		rc = -EINTR;
		goto err_free;
	}
	rc = ioas_add_table(ioas, hwpt);
	mutex_unlock(&ioas->attach_lock);
	if (rc)
		goto err_free;
	cmd->out_hwpt_id = hwpt->obj.id;
	rc = iommufd_ucmd_respond(ucmd);
	if (rc)
		goto err_remove;
	/* Our use of the address space moves into the table. */
	iommufd_object_publish(ictx, &hwpt->obj);
	return 0;

err_remove:
	mutex_lock(&ioas->attach_lock);
	ioas_remove_table(ioas, hwpt);
	mutex_unlock(&ioas->attach_lock);
err_free:
	table_free(hwpt->table);
	iommufd_object_abort(ictx, &hwpt->obj);
out_unuse:
	iommufd_object_unuse(ictx, obj);
	return rc;
}

/* Can devices of the group use a table that was made for others? */
static bool hwpt_suits(const struct hwpt *hwpt, struct device_group *dgroup)
{
	return hwpt->unit == dgroup->unit;
}

struct hwpt *hwpt_get_auto(struct ioas *ioas, struct device_group *dgroup)
{
	struct hwpt *hwpt;

	if (mutex_lock_killable(&ioas->attach_lock))
		return ERR_PTR(-EINTR);
	list_for_each_entry(hwpt, &ioas->hwpts, link) {
		if (hwpt->automatic && hwpt_suits(hwpt, dgroup)) {
			WRITE_ONCE(hwpt->nr_groups, hwpt->nr_groups + 1);
			iommufd_object_share(&hwpt->obj);
			goto out_unlock;
		}
	}
	hwpt = hwpt_alloc_auto(ioas, dgroup);
out_unlock:
	mutex_unlock(&ioas->attach_lock);
	return hwpt;
}

int hwpt_get(struct hwpt *hwpt, struct device_group *dgroup)
{
	int rc = 0;

	if (!hwpt_suits(hwpt, dgroup))
		return reason_set(dgroup->ictx, -EINVAL,
				  "HWPT %u was made for another IOMMU unit than that of IOMMU group %d",
				  hwpt->obj.id, iommu_group_id(dgroup->group));
	if (mutex_lock_killable(&hwpt->ioas->attach_lock))
		return -EINTR;
	if (hwpt->dead) {
		rc = reason_set(dgroup->ictx, -ENOENT,
				"HWPT %u has just lost its last device",
				hwpt->obj.id);
	} else {
		WRITE_ONCE(hwpt->nr_groups, hwpt->nr_groups + 1);
		iommufd_object_share(&hwpt->obj);
	}
	mutex_unlock(&hwpt->ioas->attach_lock);
	return rc;
}

/* Keep everybody out of a table, and of the one that the group comes from. */
static void moves_begin(struct hwpt *a, struct hwpt *b)
{
	if (b && a > b)
		swap(a, b);
	down_write(&a->move_sem);
	if (b)
		down_write_nested(&b->move_sem, SINGLE_DEPTH_NESTING);
}

static void moves_end(struct hwpt *a, struct hwpt *b)
{
	if (b)
		up_write(&b->move_sem);
	up_write(&a->move_sem);
}

int hwpt_move(struct hwpt *hwpt, struct device_group *dgroup)
{
	struct hwpt *from = dgroup->hwpt;
	int rc;

	lockdep_assert_held(&dgroup->lock);
	moves_begin(hwpt, from);
	rc = core_group_move(dgroup->group, hwpt->domain,
			     from ? from->domain : dgroup->parked);
	if (!rc)
		WRITE_ONCE(hwpt->finished, true);
	moves_end(hwpt, from);
	return rc;
}

void hwpt_park(struct hwpt *hwpt, struct device_group *dgroup)
{
	lockdep_assert_held(&dgroup->lock);
	moves_begin(hwpt, NULL);
	core_group_park(dgroup->group, dgroup->parked);
	moves_end(hwpt, NULL);
}

int hwpt_move_device(struct hwpt *hwpt, struct device_group *dgroup,
		     struct device *dev)
{
	int rc;

	lockdep_assert_held(&dgroup->lock);
	moves_begin(hwpt, NULL);
	rc = core_device_move(dgroup->group, dev, hwpt->domain, dgroup->parked);
	moves_end(hwpt, NULL);
	return rc;
}

int hwpt_map(struct hwpt *hwpt, unsigned long iova, const struct run *runs,
	     unsigned int nr, unsigned long skip, unsigned long length,
	     int prot, struct pin_batch *scratch)
{
	unsigned long granule = hwpt->ioas->small_pages ? PAGE_SIZE : ULONG_MAX;
	struct scatterlist *sg;
	unsigned int nr_sg;
	int rc;

	sg = pin_batch_sg(scratch, &nr_sg);
	down_read(&hwpt->move_sem);
	rc = core_map(hwpt->domain, iova, runs, nr, skip, length,
		      prot | hwpt->cache_prot, granule, sg, nr_sg);
	up_read(&hwpt->move_sem);
	return rc;
}

int hwpt_map_page(struct hwpt *hwpt, unsigned long iova, phys_addr_t phys,
		  unsigned long length, int prot)
{
	int rc;

	down_read(&hwpt->move_sem);
	rc = core_map_one(hwpt->domain, iova, phys, length,
			  prot | hwpt->cache_prot);
	up_read(&hwpt->move_sem);
	return rc;
}

bool hwpt_unmap_areas(struct hwpt *hwpt, struct area *chain)
{
	struct core_unmap unmap __uninitialized;
	struct area *area;
	bool ok;

	down_read(&hwpt->move_sem);
	core_unmap_begin(&unmap, hwpt->domain);
	for (area = chain; area; area = area->next) {
		core_unmap_range(&unmap, area->iova.start, area_length(area));
		if (area->next)
			cond_resched();
	}
	ok = core_unmap_end(&unmap);
	if (!ok)
		WRITE_ONCE(hwpt->broken, true);
	up_read(&hwpt->move_sem);
	return ok;
}

bool hwpt_unmap(struct hwpt *hwpt, unsigned long iova, unsigned long length)
{
	bool ok;

	down_read(&hwpt->move_sem);
	ok = core_unmap(hwpt->domain, iova, length);
	if (unlikely(!ok))
		WRITE_ONCE(hwpt->broken, true);
	up_read(&hwpt->move_sem);
	return ok;
}

void hwpt_put(struct hwpt *hwpt, struct device_group *dgroup)
{
	struct ioas *ioas = hwpt->ioas;
	struct iommufd_ctx *ictx = ioas->ictx;

	lockdep_assert_held(&dgroup->lock);
	mutex_lock(&ioas->attach_lock);
	WRITE_ONCE(hwpt->nr_groups, hwpt->nr_groups - 1);
	hwpt->dead = hwpt->automatic && !hwpt->nr_groups;
	if (hwpt->dead)
		ioas_remove_table(ioas, hwpt);
	mutex_unlock(&ioas->attach_lock);

	/*
	 * Whoever has looked the ID up meanwhile finds the table dead, and frees
	 * it. It is empty: it can be the group's next one.
	 */
	if (hwpt->dead) {
		give_table(dgroup, hwpt->table,
			   hwpt->finished && !hwpt->broken);
		hwpt->table = NULL;
		hwpt->domain = NULL;
		iommufd_object_abandon(ictx, &hwpt->obj);
	}
	iommufd_object_unuse(ictx, &hwpt->obj);
}

void hwpt_destroy(struct iommufd_object *obj)
{
	struct hwpt *hwpt = container_of(obj, struct hwpt, obj);
	struct ioas *ioas = hwpt->ioas;

	if (hwpt->table) {
		mutex_lock(&ioas->attach_lock);
		ioas_remove_table(ioas, hwpt);
		mutex_unlock(&ioas->attach_lock);
		table_free(hwpt->table);
	}
	iommufd_object_unuse(ioas->ictx, &ioas->obj);
}
