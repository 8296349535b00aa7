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
#include <trace/events/iommu.h>

#include "iommu_core.h"
#include "mock.h"

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

/*
 * Does a kernel driver do DMA with the device? No, when it is just being bound
 * or unbound: to wait for that could be to wait for ourselves.
 */
static int kernel_does_dma(struct device *dev, void *unused)
{
	int yes = 0;

	if (!dev_is_pci(dev) || !device_trylock(dev))
		return 0;
	if (dev->driver)
		yes = !to_pci_driver(dev->driver)->driver_managed_dma;
	device_unlock(dev);
	return yes;
}

int core_group_claim(struct iommu_group *group, void *owner)
{
	int rc = iommu_group_claim_dma_owner(group, owner);

	/* This is how the core says that it could not make a blocking domain. */
	if (rc == -EINVAL)
		rc = -ENOMEM;
	/* The core does not tell a driver from another owner. */
	if (rc == -EPERM &&
	    iommu_group_for_each_dev(group, NULL, kernel_does_dma))
		rc = -EBUSY;
	return rc;
}

struct user_name {
	char *name;
	size_t size;
};

static int note_user(struct device *dev, void *data)
{
	struct user_name *user = data;
	int yes = kernel_does_dma(dev, NULL);

	if (yes)
		strscpy(user->name, dev_name(dev), user->size);
	return yes;
}

bool core_group_user(struct iommu_group *group, char *name, size_t size)
{
	struct user_name user = { name, size };

	return iommu_group_for_each_dev(group, &user, note_user);
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
	struct device *only;	/* NULL: all */
	unsigned int moved;	/* devices */
	unsigned int limit;	/* go no further than this many */
	bool insist;		/* a device that fails does not stop the others */
	int rc;
};

static int move_device(struct device *dev, void *data)
{
	struct move *move = data;
	int rc;

	if (move->moved == move->limit || (move->only && move->only != dev))
		return 0;
	rc = move->to->ops->attach_dev(move->to, dev);
	if (rc)
		move->rc = rc;
	if (rc && !move->insist)
		return rc;
	move->moved++;
	return 0;
}

/*
 * Insist on moving the first @limit devices. A driver that fails has dropped the
 * device's old table all the same, so that none stays where it was; most often
 * it failed for want of memory, and another try helps.
 */
static void move_insistently(struct iommu_group *group, struct device *only,
			     struct iommu_domain *to, unsigned int limit)
{
	unsigned int tries;

	for (tries = 0; tries < MOVE_TRIES; tries++) {
		struct move move = {
			.to = to,
			.only = only,
			.limit = limit,
			.insist = true,
		};

		iommu_group_for_each_dev(group, &move, move_device);
		if (!move.rc)
			return;
		refill_reserves();
	}
	pr_err_ratelimited("iommufd: IOMMU group %d: a device has no page table, its DMA is blocked\n",
			   iommu_group_id(group));
}

static int move(struct iommu_group *group, struct device *only,
		struct iommu_domain *to, struct iommu_domain *back)
{
	struct move move = { .to = to, .only = only, .limit = UINT_MAX };
	int rc;

	rc = iommu_group_for_each_dev(group, &move, move_device);
	if (rc)
		move_insistently(group, only, back, move.moved + 1);
	return rc;
}

int core_group_move(struct iommu_group *group, struct iommu_domain *to,
		    struct iommu_domain *back)
{
	return move(group, NULL, to, back);
}

int core_device_move(struct iommu_group *group, struct device *dev,
		     struct iommu_domain *to, struct iommu_domain *back)
{
	return move(group, dev, to, back);
}

void core_group_park(struct iommu_group *group, struct iommu_domain *parked)
{
	move_insistently(group, NULL, parked, UINT_MAX);
}

/*
 * AMD: a table starts with few levels and grows when a higher IOVA is mapped,
 * while 6.1 lets others walk the old root with the new depth or the reverse. So
 * it grows once, here, before anybody sees it, and the aperture ends there.
 */
#define GROWN_LAST	((1UL << 48) - 1)

static int grow_table(struct iommu_domain *domain)
{
	unsigned long iova = (GROWN_LAST & PAGE_MASK), page;
	int rc;

	page = get_zeroed_page(GFP_KERNEL_ACCOUNT);
	if (!page)
		return -ENOMEM;
	rc = iommu_map(domain, iova, __pa(page), PAGE_SIZE, IOMMU_READ);
	if (!rc && iommu_unmap(domain, iova, PAGE_SIZE) != PAGE_SIZE)
		rc = -EIO;
	free_page(page);
	return rc;
}

static bool grows(const struct iommu_domain *domain)
{
	return domain->geometry.aperture_end == ~(dma_addr_t)0;
}

struct iommu_domain *core_domain_alloc(struct bus_type *bus)
{
	struct iommu_domain *domain = iommu_domain_alloc(bus);

	if (domain && grows(domain) && grow_table(domain)) {
		iommu_domain_free(domain);
		return NULL;
	}
	return domain;
}

void core_read_limits(struct iommu_domain *domain, struct core_limits *limits)
{
	limits->iova_first = domain->geometry.aperture_start;
	limits->iova_last = grows(domain) ? GROWN_LAST :
					    domain->geometry.aperture_end;
	limits->pgsizes = domain->pgsize_bitmap;
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
	core_group_park(group, parked);
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
	return dev->iommu ? dev->iommu->iommu_dev : NULL;
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

/* Snoop control, of an Intel unit's extended capabilities. */
#define ECAP_SNOOP	(1ULL << 7)

/* 6.1: AMD's driver says yes for every table, Intel's where all units snoop. */
bool core_enforces_coherency(struct device *dev)
{
	struct device *unit;
	bool enforces;
	u64 value;

	if (mock_coherency(dev, &enforces))
		return enforces;
	if (!core_unit(dev))
		return false;
	unit = dev->iommu->iommu_dev->dev;
	if (!unit)
		return false;
	if (!read_unit_attribute(unit, "intel-iommu", "ecap", &value))
		return value & ECAP_SNOOP;
	return !read_unit_attribute(unit, "amd-iommu", "cap", &value);
}

void core_hw_info(struct device *dev, struct core_hw_info *info)
{
	struct device *unit = dev->iommu->iommu_dev->dev;
	u64 cap, ecap;

	memset(info, 0, sizeof(*info));
	if (mock_hw_info(dev, info))
		return;
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

/*
 * A map call failed half-way. The core has undone what the driver told it of, but
 * Intel's leaves entries behind without telling. Find them in the table: to unmap
 * what is not there could take a neighbour away.
 */
static void clean_up(struct iommu_domain *domain, unsigned long iova,
		     size_t length)
{
	size_t step = 1UL << __ffs(domain->pgsize_bitmap);
	size_t done = 0, from;

	while (done < length) {
		for (from = done; done < length &&
		     iommu_iova_to_phys(domain, iova + done); done += step)
			;
		if (done > from)
			iommu_unmap(domain, iova + from, done - from);
		done += step;
		cond_resched();
	}
}

/*
 * Can it go to the driver straight away, as one page? To find that out takes the
 * core as long as the driver then needs. @addresses: IOVA, and what else must be
 * aligned.
 */
static __always_inline
bool is_page(const struct iommu_domain *domain, unsigned long addresses,
	     size_t length)
{
	return length == PAGE_SIZE && PAGE_ALIGNED(addresses) &&
	       (domain->pgsize_bitmap & PAGE_SIZE);
}

/* As iommu_map() does. */
static __always_inline
int map_page(struct iommu_domain *domain, unsigned long iova,
	     phys_addr_t phys, int prot)
{
	const struct iommu_domain_ops *ops = domain->ops;
	size_t mapped = 0;
	int rc;

	rc = ops->map_pages(domain, iova, phys, PAGE_SIZE, 1, prot, GFP_KERNEL,
			    &mapped);
	if (unlikely(rc))
		return rc;
	if (ops->iotlb_sync_map)
		ops->iotlb_sync_map(domain, iova, PAGE_SIZE);
	trace_map(iova, phys, PAGE_SIZE);
	return 0;
}

static __always_inline
int map_once(struct iommu_domain *domain, unsigned long iova, phys_addr_t phys,
	     size_t length, int prot)
{
	if (is_page(domain, iova | phys, length) && domain->ops->map_pages)
		return map_page(domain, iova, phys, prot);
	return iommu_map(domain, iova, phys, length, prot);
}

static noinline __cold
int map_again(struct iommu_domain *domain, unsigned long iova,
	      phys_addr_t phys, size_t length, int prot, int rc)
{
	unsigned int tries = 0;

	for (;;) {
		clean_up(domain, iova, length);
		if (rc != -ENOMEM || tries++ == MAP_TRIES)
			return rc;
		refill_reserves();
		rc = map_once(domain, iova, phys, length, prot);
		if (!rc)
			return 0;
	}
}

int core_map_one(struct iommu_domain *domain, unsigned long iova,
		 phys_addr_t phys, size_t length, int prot)
{
	int rc = map_once(domain, iova, phys, length, prot);

	return likely(!rc) ? 0 : map_again(domain, iova, phys, length, prot, rc);
}

/*
 * What one call maps: with small pages, where a unit has no others, that are
 * 262,144 entries. It ends where no large page goes on.
 */
#define MAP_STEP	(1UL * SZ_1G)

/* One piece after the other keeps the driver from using large pages. */
static int map_pieces(struct iommu_domain *domain, unsigned long iova,
		      phys_addr_t phys, size_t length, int prot,
		      unsigned long granule)
{
	size_t done = 0, piece;
	int rc;

	for (;;) {
		piece = min(granule, length - done);
		piece = min(piece, MAP_STEP - ((iova + done) & (MAP_STEP - 1)));
		rc = core_map_one(domain, iova + done, phys + done, piece, prot);
		if (rc)
			goto err_unmap;
		done += piece;
		if (done == length)
			return 0;
		cond_resched();
	}

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
		if (likely(done == length))
			return 0;
		clean_up(domain, iova, length);
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
		size = run_bytes(&runs[i]) - offset;
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
				unsigned long part =
					min(run_bytes(&runs[i]) - offset,
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
		if (mapped < length)
			cond_resched();
	}
	return 0;

err_unmap:
	if (mapped)
		iommu_unmap(domain, iova, mapped);
	return rc;
}

/*
 * What one call unmaps: it ends where no IOMMU page goes on. After as much there
 * is a flush, which frees the tables that nobody needs any more in one go.
 */
#define UNMAP_STEP	(16UL * SZ_1G)
/* What one flush of a range may cover: drivers count pages in 32 bits. */
#define FLUSH_STEP	(1024UL * SZ_1G)

/* As iommu_unmap_fast() does. */
static __always_inline
size_t unmap_some(struct iommu_domain *domain, unsigned long iova,
		  size_t length, struct iommu_iotlb_gather *gather)
{
	size_t unmapped;

	if (!is_page(domain, iova, length) || !domain->ops->unmap_pages)
		return iommu_unmap_fast(domain, iova, length, gather);
	unmapped = domain->ops->unmap_pages(domain, iova, PAGE_SIZE, 1, gather);
	trace_unmap(iova, PAGE_SIZE, unmapped);
	return unmapped;
}

static void unmap_nothing_yet(struct core_unmap *unmap)
{
	unmap->start = ULONG_MAX;
	unmap->last = 0;
	unmap->length = 0;
	iommu_iotlb_gather_init(&unmap->gather);
	/* To the drivers: do not flush range by range. */
	unmap->gather.queued = true;
}

/*
 * Flushing the whole table is no substitute for flushing a range: under a hypervisor
 * Intel's leaves out the devices' own TLBs. It comes first where the range is too
 * large for one call: those after it take care of the devices.
 */
static noinline __cold
void flush_far(struct iommu_domain *domain, struct iommu_iotlb_gather *gather,
	       unsigned long start, unsigned long last)
{
	LIST_HEAD(tables);

	list_splice_init(&gather->freelist, &tables);
	iommu_flush_iotlb_all(domain);
	for (;; start += FLUSH_STEP) {
		gather->start = start;
		gather->end = min(last, start + (FLUSH_STEP - 1));
		if (gather->end < start)
			gather->end = last;
		iommu_iotlb_sync(domain, gather);
		if (last - start < FLUSH_STEP)
			break;
	}
	put_pages_list(&tables);
}

/* One flush of the span of what was unmapped. */
static void unmap_flush(struct core_unmap *unmap)
{
	struct iommu_iotlb_gather *gather = &unmap->gather;
	unsigned long start = unmap->start, last = unmap->last;

	if (unlikely(start > last))
		return;
	gather->queued = false;
	if (unlikely(last - start >= FLUSH_STEP)) {
		flush_far(unmap->domain, gather, start, last);
		return;
	}
	gather->start = start;
	gather->end = last;
	iommu_iotlb_sync(unmap->domain, gather);
}

void core_unmap_begin(struct core_unmap *unmap, struct iommu_domain *domain)
{
	unmap->domain = domain;
	unmap->ok = true;
	unmap_nothing_yet(unmap);
}

void core_unmap_range(struct core_unmap *unmap, unsigned long iova,
		      unsigned long length)
{
	unsigned long last = iova + (length - 1), step_last;

	for (;; iova = step_last + 1) {
		step_last = min(last, iova | (UNMAP_STEP - 1));
		unmap->start = min(unmap->start, iova);
		unmap->last = max(unmap->last, step_last);
		if (unlikely(unmap_some(unmap->domain, iova, step_last - iova + 1,
					&unmap->gather) != step_last - iova + 1)) {
			WARN_ON_ONCE(1);
			unmap->ok = false;
		}
		unmap->length += step_last - iova + 1;
		if (unlikely(unmap->length >= UNMAP_STEP)) {
			unmap_flush(unmap);
			unmap_nothing_yet(unmap);
		}
		if (step_last == last)
			return;
		cond_resched();
	}
}

bool core_unmap_end(struct core_unmap *unmap)
{
	unmap_flush(unmap);
	return unmap->ok;
}

/* One page, with its flush. */
static __always_inline
bool unmap_page(struct iommu_domain *domain, unsigned long iova)
{
	struct iommu_iotlb_gather gather __uninitialized;
	bool ok;

	iommu_iotlb_gather_init(&gather);
	gather.queued = true;
	ok = unmap_some(domain, iova, PAGE_SIZE, &gather) == PAGE_SIZE;
	WARN_ON_ONCE(!ok);
	gather.queued = false;
	gather.start = iova;
	gather.end = iova + (PAGE_SIZE - 1);
	iommu_iotlb_sync(domain, &gather);
	return ok;
}

bool core_unmap(struct iommu_domain *domain, unsigned long iova,
		unsigned long length)
{
	struct core_unmap unmap __uninitialized;

	if (is_page(domain, iova, length))
		return unmap_page(domain, iova);
	core_unmap_begin(&unmap, domain);
	core_unmap_range(&unmap, iova, length);
	return core_unmap_end(&unmap);
}

static void free_reserved(struct list_head *regions)
{
	struct iommu_resv_region *region, *next;

	/*
	 * The core copies the list for a group: these are plain memory, whatever
	 * the driver's own regions need.
	 */
	list_for_each_entry_safe(region, next, regions, list)
		kfree(region);
}

/*
 * 6.1: a driver that has no memory for a region leaves it out and cannot say so.
 * So ask twice; a short answer gives itself away by the number of bytes.
 */
static int get_reserved(struct iommu_group *group, struct list_head *regions)
{
	struct iommu_resv_region *region;
	LIST_HEAD(again);
	u64 bytes = 0;
	int rc;

	rc = iommu_get_group_resv_regions(group, regions);
	if (!rc)
		rc = iommu_get_group_resv_regions(group, &again);
	list_for_each_entry(region, regions, list)
		bytes += region->length;
	list_for_each_entry(region, &again, list)
		bytes -= region->length;
	free_reserved(&again);
	if (!rc && bytes)
		rc = -ENOMEM;
	return rc;
}

int core_for_each_reserved(struct iommu_group *group,
			   int (*fn)(void *arg,
				     const struct iommu_resv_region *region),
			   void *arg)
{
	struct iommu_resv_region *region;
	LIST_HEAD(regions);
	int rc;

	rc = get_reserved(group, &regions);
	list_for_each_entry(region, &regions, list) {
		if (rc)
			break;
		rc = fn(arg, region);
	}
	free_reserved(&regions);
	return rc;
}
