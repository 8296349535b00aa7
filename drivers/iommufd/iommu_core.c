// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's IOMMU layer as 6.1 has it. iommu_core.h has the contracts.
 *
 * Moving a group: 6.1 exports an attach that refuses any group which is not on
 * its default or blocking domain, and no replace. So the group is claimed, which
 * parks it on its blocking domain, and stays there in the core's books. The
 * driver's own attach_dev() then moves one device after the other, inside
 * iommu_group_for_each_dev(): that holds the group's mutex, on which the drivers
 * rely. A device that is plugged in meanwhile lands on the blocking domain.
 */
#include <linux/device.h>
#include <linux/irqdomain.h>
#include <linux/mm.h>
#include <linux/pci.h>
#include <linux/scatterlist.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "iommu_core.h"

/* How often to try again where giving up is worse than waiting. */
#define MOVE_TRIES	4
#define MAP_TRIES	3

/*
 * The drivers allocate page tables from the atomic reserves. Let reclaim fill
 * those up before an ENOMEM is believed.
 */
#define REFILL_ORDER	3

static void refill_reserves(void)
{
	unsigned long page;

	page = __get_free_pages(GFP_KERNEL | __GFP_NOWARN, REFILL_ORDER);
	if (page)
		free_pages(page, REFILL_ORDER);
}

int core_group_claim(struct iommu_group *group, void *owner)
{
	return iommu_group_claim_dma_owner(group, owner);
}

void core_group_release(struct iommu_group *group)
{
	iommu_group_release_dma_owner(group);
}

struct iommu_domain *core_parked(struct device *dev)
{
	return iommu_get_domain_for_dev(dev);
}

struct move {
	struct iommu_domain *to;
	unsigned int moved;	/* devices */
	unsigned int limit;	/* how many to move */
};

static int move_device(struct device *dev, void *data)
{
	struct move *move = data;
	int rc;

	if (move->moved == move->limit)
		return 0;
	rc = move->to->ops->attach_dev(move->to, dev);
	if (!rc)
		move->moved++;
	return rc;
}

/* Insist on moving the first @limit devices; drivers may want memory for it. */
static int move_insistently(struct iommu_group *group, struct iommu_domain *to,
			    unsigned int limit)
{
	unsigned int tries;
	int rc;

	for (tries = 0; tries < MOVE_TRIES; tries++) {
		struct move move = { .to = to, .limit = limit };

		rc = iommu_group_for_each_dev(group, &move, move_device);
		if (!rc)
			return 0;
		refill_reserves();
	}
	return rc;
}

int core_group_move(struct iommu_group *group, struct iommu_domain *to,
		    struct iommu_domain *back)
{
	struct move move = { .to = to, .limit = UINT_MAX };
	int rc;

	rc = iommu_group_for_each_dev(group, &move, move_device);
	if (!rc)
		return 0;
	/* The one that failed has lost its old table too: Intel drops it first. */
	if (move_insistently(group, back, move.moved + 1)) {
		pr_err("iommufd: IOMMU group %d could not go back to its page table, its DMA is blocked\n",
		       iommu_group_id(group));
		return -EIO;
	}
	return rc;
}

void core_group_park(struct iommu_group *group, struct iommu_domain *from,
		     struct iommu_domain *parked)
{
	/*
	 * A driver that fails here has dropped the old table, which is all that
	 * matters.
	 */
	if (move_insistently(group, parked, UINT_MAX))
		pr_err("iommufd: IOMMU group %d has no page table, its DMA is blocked\n",
		       iommu_group_id(group));
}

void core_read_limits(struct iommu_domain *domain, struct core_limits *limits)
{
	limits->iova_first = domain->geometry.aperture_start;
	limits->iova_last = domain->geometry.aperture_end;
	limits->pgsizes = domain->pgsize_bitmap;
}

struct iommu_domain *core_domain_alloc(struct bus_type *bus)
{
	return iommu_domain_alloc(bus);
}

void core_domain_free(struct iommu_domain *domain)
{
	iommu_domain_free(domain);
}

static bool enforce_coherency(struct iommu_domain *domain)
{
	return domain->ops->enforce_cache_coherency &&
	       domain->ops->enforce_cache_coherency(domain);
}

int core_domain_finish(struct iommu_domain *domain, struct iommu_group *group,
		       struct iommu_domain *parked, struct core_limits *limits)
{
	int rc;

	rc = core_group_move(group, domain, parked);
	if (rc)
		return rc;
	/* Intel answers for the units that are attached: now is the time. */
	limits->coherent = enforce_coherency(domain);
	core_read_limits(domain, limits);
	core_group_park(group, domain, parked);
	return 0;
}

int core_domain_presume(struct iommu_domain *domain,
			const struct core_limits *limits)
{
	/* Before it is filled, and only if the attach will not fail for it. */
	if (limits->coherent && !enforce_coherency(domain))
		return -EINVAL;
	return 0;
}

int core_domain_msi_window(struct iommu_domain *domain, phys_addr_t base)
{
	return iommu_get_msi_cookie(domain, base);
}

const void *core_unit(struct device *dev)
{
	return dev->iommu->iommu_dev;
}

bool core_interrupts_isolated(struct device *dev)
{
	return irq_domain_check_msi_remap() ||
	       device_iommu_capable(dev, IOMMU_CAP_INTR_REMAP);
}

bool core_dma_coherent(struct device *dev)
{
	return device_iommu_capable(dev, IOMMU_CAP_CACHE_COHERENCY);
}

/*
 * The registers of an Intel unit are private to its driver, which shows them in
 * sysfs: find the attribute and read it like everybody.
 */
static int read_unit_attribute(struct device *unit, const char *group,
			       const char *name, u64 *value)
{
	const struct attribute_group **groups = unit->groups;
	struct device_attribute *attr;
	unsigned int i;
	char *page;
	int rc;

	for (; groups && *groups; groups++)
		if ((*groups)->name && !strcmp((*groups)->name, group))
			break;
	if (!groups || !*groups)
		return -ENOENT;
	for (i = 0; (*groups)->attrs[i]; i++)
		if (!strcmp((*groups)->attrs[i]->name, name))
			break;
	if (!(*groups)->attrs[i])
		return -ENOENT;
	attr = container_of((*groups)->attrs[i], struct device_attribute, attr);

	page = (char *)get_zeroed_page(GFP_KERNEL);
	if (!page)
		return -ENOMEM;
	rc = attr->show(unit, attr, page);
	if (rc >= 0)
		rc = kstrtou64(strim(page), 16, value);
	free_page((unsigned long)page);
	return rc;
}

void core_hw_info(struct device *dev, struct core_hw_info *info)
{
	struct device *unit = dev->iommu->iommu_dev->dev;
	u64 cap, ecap;

	memset(info, 0, sizeof(*info));
	if (!unit || read_unit_attribute(unit, "intel-iommu", "cap", &cap) ||
	    read_unit_attribute(unit, "intel-iommu", "ecap", &ecap))
		return;
	info->type = IOMMU_HW_INFO_TYPE_INTEL_VTD;
	info->length = sizeof(info->data.vtd);
	info->data.vtd.cap_reg = cap;
	info->data.vtd.ecap_reg = ecap;
}

/* Long runs do not gain from a scatterlist, whose entries end at 4 GiB. */
#define SG_RUN_MAX	(SZ_2M >> PAGE_SHIFT)

static int map_one(struct iommu_domain *domain, unsigned long iova,
		   phys_addr_t phys, size_t length, int prot)
{
	unsigned int tries = 0;
	int rc;

	for (;;) {
		rc = iommu_map(domain, iova, phys, length, prot);
		if (rc != -ENOMEM || tries++ == MAP_TRIES)
			return rc;
		refill_reserves();
	}
}

/* One piece after the other keeps the driver from using large pages. */
static int map_pieces(struct iommu_domain *domain, unsigned long iova,
		      phys_addr_t phys, size_t length, int prot,
		      unsigned long granule)
{
	size_t done = 0, piece;
	int rc;

	do {
		piece = min(granule, length - done);
		rc = map_one(domain, iova + done, phys + done, piece, prot);
		if (rc)
			goto err_unmap;
		done += piece;
	} while (done < length);
	return 0;

err_unmap:
	if (done)
		iommu_unmap(domain, iova, done);
	return rc;
}

static int map_sg(struct iommu_domain *domain, unsigned long iova,
		  struct scatterlist *sg, unsigned int nr, size_t length,
		  int prot)
{
	unsigned int tries = 0;
	ssize_t done;

	for (;;) {
		done = iommu_map_sg(domain, iova, sg, nr, prot);
		if (done == length)
			return 0;
		if (WARN_ON(done >= 0))
			return -EIO;
		if (done != -ENOMEM || tries++ == MAP_TRIES)
			return done;
		refill_reserves();
	}
}

int core_map(struct iommu_domain *domain, unsigned long iova,
	     const struct run *runs, unsigned int nr, unsigned long offset,
	     unsigned long length, int prot, unsigned long granule,
	     struct scatterlist *sg, unsigned int nr_sg)
{
	unsigned long mapped = 0, size;
	unsigned int i = 0, n;
	int rc;

	while (mapped < length) {
		size = (runs[i].nr << PAGE_SHIFT) - offset;
		if (runs[i].nr >= SG_RUN_MAX || i + 1 == nr ||
		    granule != ULONG_MAX) {
			size = min(size, length - mapped);
			rc = map_pieces(domain, iova + mapped,
					PFN_PHYS(runs[i].pfn) + offset, size,
					prot, granule);
			i++;
		} else {
			/* As many short ones as the scatterlist has room for. */
			sg_init_table(sg, nr_sg);
			size = 0;
			for (n = 0; n < nr_sg && i < nr &&
				    runs[i].nr < SG_RUN_MAX &&
				    mapped + size < length; n++, i++) {
				unsigned long part = min((runs[i].nr << PAGE_SHIFT) - offset,
							 length - mapped - size);

				sg_set_page(&sg[n], pfn_to_page(runs[i].pfn),
					    part, offset);
				size += part;
				offset = 0;
			}
			rc = map_sg(domain, iova + mapped, sg, n, size, prot);
		}
		if (rc)
			goto err_unmap;
		mapped += size;
		offset = 0;
	}
	return 0;

err_unmap:
	if (mapped)
		iommu_unmap(domain, iova, mapped);
	return rc;
}

void core_unmap_begin(struct core_unmap *unmap, struct iommu_domain *domain,
		      bool many)
{
	unmap->domain = domain;
	iommu_iotlb_gather_init(&unmap->gather);
	/* To the drivers: the caller flushes the whole table. */
	unmap->gather.queued = many;
}

bool core_unmap_range(struct core_unmap *unmap, unsigned long iova,
		      unsigned long length)
{
	return !WARN_ON(iommu_unmap_fast(unmap->domain, iova, length,
					 &unmap->gather) != length);
}

void core_unmap_end(struct core_unmap *unmap)
{
	if (!unmap->gather.queued) {
		iommu_iotlb_sync(unmap->domain, &unmap->gather);
		return;
	}
	iommu_flush_iotlb_all(unmap->domain);
	put_pages_list(&unmap->gather.freelist);
}

int core_for_each_reserved(struct iommu_group *group,
			   int (*fn)(void *arg,
				     const struct iommu_resv_region *region),
			   void *arg)
{
	struct iommu_resv_region *region, *next;
	LIST_HEAD(regions);
	int rc;

	rc = iommu_get_group_resv_regions(group, &regions);
	list_for_each_entry_safe(region, next, &regions, list) {
		if (!rc)
			rc = fn(arg, region);
		/*
		 * The core copies the list for a group: these are plain memory,
		 * whatever the driver's own regions need.
		 */
		list_del(&region->list);
		kfree(region);
	}
	return rc;
}
