// SPDX-License-Identifier: GPL-2.0
/*
 * A fake IOMMU with fake devices, and the ioctl by which tests drive them. Test
 * builds only. test_uapi.h has the ABI.
 *
 * 6.1 lets one IOMMU driver register, and that is the real one. But an IOMMU is
 * found by the bus (bus_type.iommu_ops) and by the device (dev->iommu), so a bus
 * type of our own, whose devices bring their struct dev_iommu along, is served
 * by us without any registration. The devices have no driver and no default
 * domain: giving the group back detaches them.
 *
 * There are several units. Like Intel's driver, and to keep the core honest about
 * it, a domain learns which unit it is for, and with that its page sizes and
 * aperture, when the first device is attached. Attaching drops the old domain
 * first, and a map call that fails leaves entries behind.
 *
 * The page table is two xarrays of what would be leaf entries, by page size. An
 * entry says where its map call began and ended. Unmapping does not erase it but
 * marks it as stale, as if a TLB still had it, and the flush does. So the contract
 * that a driver may count on is checked:
 *
 * - no map over a page that is mapped, or was and is not flushed;
 * - no unmap of what is not mapped, nor of part of a page; it begins and ends
 *   where map calls did;
 * - everything inside the aperture;
 * - nothing in a table that devices could use without snooping the caches;
 * - pages are still pinned when they are flushed;
 * - nothing walks a table while devices move to or from it;
 * - no device is on a table that is freed, and nothing is in it.
 *
 * A breach is a WARN.
 *
 * Fake devices and the context: whoever binds a device holds the context's file.
 * Here it is the context that holds the device, as an object of type SELFTEST.
 * Would the binding hold the file, a context with a fake device could never be
 * closed. So the reference that bind took is given back at once, and instead of
 * iommufd_device_unbind(), which would give it back, the end is
 * iommufd_object_destroy_owned(), which is the rest of unbind. That this object is
 * destroyed before its device and page tables is certain: only it is without
 * other users then.
 */
#include <linux/anon_inodes.h>
#include <linux/device.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iommu.h>
#include <linux/iommufd.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/xarray.h>
#include <uapi/linux/iommufd.h>

#include "access.h"
#include "device.h"
#include "hwpt.h"
#include "ioas.h"
#include "ioctl.h"
#include "mock.h"
#include "object.h"

static_assert(sizeof(struct iommu_test_cmd) == 56);
static_assert(offsetof(struct iommu_test_cmd, last) == 48);
static_assert(MOCK_PAGE_SIZE == PAGE_SIZE / 2);

/*
 * The IOMMU
 */

struct mock_unit {
	struct iommu_device iommu;
	unsigned long iova_first, iova_last;
	unsigned long small, large;	/* page sizes */
	bool incoherent;		/* cannot enforce snooping */
};

static const struct iommu_ops mock_ops;

static struct mock_unit mock_units[MOCK_NR_UNITS] = {
	[MOCK_UNIT_ABI] = {
		.iommu.ops = &mock_ops,
		.iova_first = MOCK_APERTURE_START,
		.iova_last = MOCK_APERTURE_LAST,
		.small = MOCK_PAGE_SIZE,
		.large = SZ_1M,
	},
	[MOCK_UNIT_LARGE] = {
		.iommu.ops = &mock_ops,
		.iova_first = 0,
		.iova_last = (1UL << 39) - 1,
		.small = SZ_4K,
		.large = SZ_2M,
	},
	[MOCK_UNIT_INCOHERENT] = {
		.iommu.ops = &mock_ops,
		.iova_first = 0,
		.iova_last = (1UL << 39) - 1,
		.small = SZ_4K,
		.large = SZ_2M,
		.incoherent = true,
	},
	[MOCK_UNIT_TWIN] = {
		.iommu.ops = &mock_ops,
		.iova_first = MOCK_APERTURE_START,
		.iova_last = MOCK_APERTURE_LAST,
		.small = MOCK_PAGE_SIZE,
		.large = SZ_1M,
	},
};

struct mock_domain {
	struct iommu_domain domain;
	struct mock_unit *unit;		/* NULL: never attached */
	struct xarray small;		/* IOVA / MOCK_PAGE_SIZE to entry */
	struct xarray large;		/* IOVA / unit->large to entry */
	atomic_t nr_devices;
	atomic_t walkers;		/* who map, unmap or flush */
	atomic_t movers;		/* who attach or detach */
	bool coherent;			/* snooping was enforced */
};

struct mock_device {
	struct device dev;
	struct dev_iommu iommu;
	struct mock_domain *domain;	/* the group's mutex */
	bool leaving;			/* the same: no table any more */
	u32 reserved_type;
	phys_addr_t reserved_start;
};

static struct mock_domain *to_mock_domain(struct iommu_domain *domain)
{
	return container_of(domain, struct mock_domain, domain);
}

static struct mock_device *to_mock_device(struct device *dev)
{
	return container_of(dev, struct mock_device, dev);
}

static struct mock_unit *mock_device_unit(const struct mock_device *mdev)
{
	return container_of(mdev->iommu.iommu_dev, struct mock_unit, iommu);
}

/*
 * An entry: address and flags. What is smaller than the address's alignment is
 * free for these.
 */
#define ENTRY_FIRST	BIT(0)		/* its map call began here */
#define ENTRY_LAST	BIT(1)		/* and ended with this one */
#define ENTRY_STALE	BIT(2)		/* unmapped, not flushed */

static phys_addr_t entry_phys(void *entry)
{
	return (xa_to_value(entry) >> 3) * MOCK_PAGE_SIZE;
}

static unsigned long entry_flags(void *entry)
{
	return xa_to_value(entry) & (ENTRY_FIRST | ENTRY_LAST | ENTRY_STALE);
}

static void *mk_entry(phys_addr_t phys, unsigned long flags)
{
	return xa_mk_value((phys / MOCK_PAGE_SIZE) << 3 | flags);
}

static void walk_begin(struct mock_domain *mock)
{
	atomic_inc(&mock->walkers);
	smp_mb__after_atomic();		/* pairs with the one in move_begin() */
	WARN_ON(atomic_read(&mock->movers));
}

static void walk_end(struct mock_domain *mock)
{
	atomic_dec(&mock->walkers);
}

static void move_begin(struct mock_domain *mock)
{
	atomic_inc(&mock->movers);
	smp_mb__after_atomic();		/* pairs with the one in walk_begin() */
	WARN_ON(atomic_read(&mock->walkers));
}

static void move_end(struct mock_domain *mock)
{
	atomic_dec(&mock->movers);
}

/* A table that no unit has been found for yet has small pages only. */
static bool has_large(const struct mock_domain *mock)
{
	return mock->unit;
}

/* The entry of a large page around @iova. */
static void *load_large(struct mock_domain *mock, unsigned long iova)
{
	if (!has_large(mock))
		return NULL;
	return xa_load(&mock->large, iova / mock->unit->large);
}

/* What is stored at @iova, and how large it is. */
static void *load_entry(struct mock_domain *mock, unsigned long iova,
			struct xarray **xa, size_t *size)
{
	void *entry = xa_load(&mock->small, iova / MOCK_PAGE_SIZE);

	*xa = &mock->small;
	*size = MOCK_PAGE_SIZE;
	if (entry)
		return entry;
	*xa = &mock->large;
	if (has_large(mock))
		*size = mock->unit->large;
	return load_large(mock, iova);
}

static bool in_aperture(const struct mock_domain *mock, unsigned long start,
			unsigned long last)
{
	return start >= mock->domain.geometry.aperture_start &&
	       last <= mock->domain.geometry.aperture_end && start <= last;
}

static bool is_free(struct mock_domain *mock, unsigned long start,
		    unsigned long last)
{
	unsigned long index = start / MOCK_PAGE_SIZE;

	return !xa_find(&mock->small, &index, last / MOCK_PAGE_SIZE,
			XA_PRESENT) &&
	       !load_large(mock, start) && !load_large(mock, last);
}

static int store_large(struct mock_domain *mock, unsigned long iova,
		       phys_addr_t phys, unsigned long flags, gfp_t gfp)
{
	return xa_err(xa_store(&mock->large, iova / mock->unit->large,
			       mk_entry(phys, flags), gfp));
}

/* Small entries, as many as asked for or as there is memory for. */
static int store_small(struct mock_domain *mock, unsigned long iova,
		       phys_addr_t phys, size_t length, unsigned long flags,
		       gfp_t gfp)
{
	unsigned long index = iova / MOCK_PAGE_SIZE, i, nr, keep;
	int rc = 0;

	nr = length / MOCK_PAGE_SIZE;
	for (i = 0; !rc && i < nr; i++) {
		keep = (i == 0 ? flags & ENTRY_FIRST : 0) |
		       (i == nr - 1 ? flags & ENTRY_LAST : 0);
		rc = xa_err(xa_store(&mock->small, index + i,
				     mk_entry(phys + i * MOCK_PAGE_SIZE, keep),
				     gfp));
	}
	return rc;
}

/*
 * A map call from @start on has failed, before @end. What it has stored ends where
 * it ends, for whoever cleans up.
 */
static void mark_end(struct mock_domain *mock, unsigned long start,
		     unsigned long end)
{
	struct xarray *xa;
	void *entry;
	size_t size;

	while (end > start) {
		end -= MOCK_PAGE_SIZE;
		entry = load_entry(mock, end, &xa, &size);
		if (!entry || entry_flags(entry) & ENTRY_STALE)
			continue;
		xa_store(xa, end / size, mk_entry(entry_phys(entry),
						  entry_flags(entry) | ENTRY_LAST),
			 GFP_NOWAIT);
		break;
	}
}

static int mock_map_pages(struct iommu_domain *domain, unsigned long iova,
			  phys_addr_t phys, size_t pgsize, size_t pgcount,
			  int prot, gfp_t gfp, size_t *mapped)
{
	struct mock_domain *mock = to_mock_domain(domain);
	size_t length = pgsize * pgcount, done;
	unsigned long flags;
	int rc = 0;

	if (WARN_ON(!in_aperture(mock, iova, iova + length - 1)) ||
	    WARN_ON(!(prot & (IOMMU_READ | IOMMU_WRITE))) ||
	    WARN_ON(mock->unit && !mock->coherent && !mock->unit->incoherent) ||
	    WARN_ON(!(pgsize & domain->pgsize_bitmap)))
		return -EINVAL;

	walk_begin(mock);
	for (done = 0; !rc && done < length; done += pgsize) {
		if (WARN_ON(!is_free(mock, iova + done,
				     iova + done + pgsize - 1))) {
			rc = -EADDRINUSE;
			break;
		}
		flags = (done ? 0 : ENTRY_FIRST) |
			(done + pgsize < length ? 0 : ENTRY_LAST);
		if (has_large(mock) && pgsize == mock->unit->large)
			rc = store_large(mock, iova + done, phys + done, flags,
					 gfp);
		else
			rc = store_small(mock, iova + done, phys + done, pgsize,
					 flags, gfp);
	}
	if (rc == -ENOMEM)
		mark_end(mock, iova, iova + min(done, length));
	walk_end(mock);
	/* Not a word of what was stored before it failed: so does Intel's. */
	if (!rc)
		*mapped = length;
	return rc;
}

/* Is this a place where a single unmap call may be cut in two? */
static bool is_cut(const struct mock_domain *mock, unsigned long iova)
{
	return has_large(mock) && IS_ALIGNED(iova, mock->unit->large);
}

/* Unmap the page at @iova, within [start, last]. The size of it, or 0. */
static size_t unmap_page(struct mock_domain *mock, unsigned long iova,
			 unsigned long start, unsigned long last)
{
	unsigned long flags;
	struct xarray *xa;
	void *entry;
	size_t size;

	entry = load_entry(mock, iova, &xa, &size);
	if (WARN_ON(!entry || entry_flags(entry) & ENTRY_STALE))
		return 0;		/* nothing there */
	if (WARN_ON(!IS_ALIGNED(iova, size) || last - iova < size - 1))
		return 0;		/* part of a page */
	flags = entry_flags(entry);
	WARN_ON(iova == start && !(flags & ENTRY_FIRST) && !is_cut(mock, iova));
	WARN_ON(iova + size - 1 == last && !(flags & ENTRY_LAST) &&
		!is_cut(mock, last + 1));
	/* Nothing is allocated to replace an entry. */
	xa_store(xa, iova / size, mk_entry(entry_phys(entry),
					   flags | ENTRY_STALE), GFP_NOWAIT);
	return size;
}

static size_t mock_unmap_pages(struct iommu_domain *domain, unsigned long iova,
			       size_t pgsize, size_t pgcount,
			       struct iommu_iotlb_gather *gather)
{
	struct mock_domain *mock = to_mock_domain(domain);
	unsigned long last = iova + pgsize * pgcount - 1, at = iova;
	size_t size;

	walk_begin(mock);
	while (at <= last) {
		size = unmap_page(mock, at, iova, last);
		if (!size)
			break;
		at += size;
	}
	walk_end(mock);
	if (!iommu_iotlb_gather_queued(gather) && at > iova)
		iommu_iotlb_gather_add_range(gather, iova, at - iova);
	return at - iova;
}

static void check_pinned(phys_addr_t phys)
{
	unsigned long pfn = PHYS_PFN(phys);

	WARN_ON(pfn_valid(pfn) && !page_maybe_dma_pinned(pfn_to_page(pfn)));
}

static void flush_entries(struct xarray *xa, unsigned long first,
			  unsigned long last, size_t size)
{
	unsigned long index;
	void *entry;

	xa_for_each_range(xa, index, entry, first, last) {
		if (!(entry_flags(entry) & ENTRY_STALE))
			continue;
		check_pinned(entry_phys(entry));
		check_pinned(entry_phys(entry) + size - 1);
		xa_erase(xa, index);
	}
}

static void flush(struct mock_domain *mock, unsigned long start,
		  unsigned long last)
{
	walk_begin(mock);
	flush_entries(&mock->small, start / MOCK_PAGE_SIZE,
		      last / MOCK_PAGE_SIZE, MOCK_PAGE_SIZE);
	if (has_large(mock))
		flush_entries(&mock->large, start / mock->unit->large,
			      last / mock->unit->large, mock->unit->large);
	walk_end(mock);
}

static void mock_iotlb_sync(struct iommu_domain *domain,
			    struct iommu_iotlb_gather *gather)
{
	if (gather->start <= gather->end)
		flush(to_mock_domain(domain), gather->start, gather->end);
}

static void mock_flush_iotlb_all(struct iommu_domain *domain)
{
	flush(to_mock_domain(domain), 0, ULONG_MAX);
}

static phys_addr_t mock_iova_to_phys(struct iommu_domain *domain,
				     dma_addr_t iova)
{
	struct mock_domain *mock = to_mock_domain(domain);
	struct xarray *xa;
	void *entry;
	size_t size;

	entry = load_entry(mock, iova, &xa, &size);
	if (!entry || entry_flags(entry) & ENTRY_STALE)
		return 0;
	return entry_phys(entry) + (iova & (size - 1));
}

/* How many more attaches succeed, and how many fail after those. */
static DEFINE_SPINLOCK(fail_attach_lock);
static u32 fail_attach_nr, fail_attach_times;

static bool attach_fails(void)
{
	bool fails = false;

	spin_lock(&fail_attach_lock);
	if (fail_attach_nr > 1) {
		fail_attach_nr--;
	} else if (fail_attach_nr == 1 && fail_attach_times) {
		fails = true;
		fail_attach_times--;
	}
	spin_unlock(&fail_attach_lock);
	return fails;
}

static void mock_forget_domain(struct mock_device *mdev)
{
	WARN_ON(atomic_dec_return(&mdev->domain->nr_devices) < 0);
	mdev->domain = NULL;
}

/* The device's table goes. With the group's mutex. */
static void mock_leave(struct mock_device *mdev)
{
	struct mock_domain *mock = mdev->domain;

	if (!mock)
		return;
	move_begin(mock);
	mock_forget_domain(mdev);
	move_end(mock);
}

/* xa_empty() sees the nodes of a store that ran out of memory, too. */
static bool has_entries(struct xarray *xa)
{
	unsigned long index = 0;

	return xa_find(xa, &index, ULONG_MAX, XA_PRESENT);
}

/* A domain belongs to a unit from its first attach on. */
static int mock_learn(struct mock_domain *mock, struct mock_unit *unit)
{
	struct iommu_domain *domain = &mock->domain;

	if (mock->unit)
		return mock->unit == unit ? 0 : -EINVAL;
	/* Filled before: that it snoops cannot be enforced any more. */
	WARN_ON(!unit->incoherent && !mock->coherent &&
		(has_entries(&mock->small) || has_entries(&mock->large)));
	domain->pgsize_bitmap = unit->small | unit->large;
	domain->geometry.aperture_start = unit->iova_first;
	domain->geometry.aperture_end = unit->iova_last;
	mock->unit = unit;
	return 0;
}

static int mock_attach_dev(struct iommu_domain *domain, struct device *dev)
{
	struct mock_domain *mock = to_mock_domain(domain);
	struct mock_device *mdev = to_mock_device(dev);
	int rc = 0;

	if (mdev->leaving)
		return 0;
	mock_leave(mdev);
	if (attach_fails())
		return -ENOMEM;
	move_begin(mock);
	if (domain->type == IOMMU_DOMAIN_UNMANAGED)
		rc = mock_learn(mock, mock_device_unit(mdev));
	if (!rc) {
		atomic_inc(&mock->nr_devices);
		mdev->domain = mock;
	}
	move_end(mock);
	return rc;
}

static void mock_detach_dev(struct iommu_domain *domain, struct device *dev)
{
	mock_leave(to_mock_device(dev));
}

/* Once and for all, so it must hold for what is mapped already. */
static bool mock_enforce_cache_coherency(struct iommu_domain *domain)
{
	struct mock_domain *mock = to_mock_domain(domain);

	if (mock->unit && mock->unit->incoherent)
		return false;
	mock->coherent = !WARN_ON(has_entries(&mock->small) ||
				  has_entries(&mock->large));
	return mock->coherent;
}

static void mock_domain_free(struct iommu_domain *domain)
{
	struct mock_domain *mock = to_mock_domain(domain);

	WARN_ON(atomic_read(&mock->nr_devices));
	WARN_ON(atomic_read(&mock->walkers) || atomic_read(&mock->movers));
	WARN_ON(has_entries(&mock->small) || has_entries(&mock->large));
	xa_destroy(&mock->small);
	xa_destroy(&mock->large);
	kfree(mock);
}

static const struct iommu_domain_ops mock_domain_ops = {
	.attach_dev = mock_attach_dev,
	.detach_dev = mock_detach_dev,
	.map_pages = mock_map_pages,
	.unmap_pages = mock_unmap_pages,
	.flush_iotlb_all = mock_flush_iotlb_all,
	.iotlb_sync = mock_iotlb_sync,
	.iova_to_phys = mock_iova_to_phys,
	.enforce_cache_coherency = mock_enforce_cache_coherency,
	.free = mock_domain_free,
};

static const struct iommu_domain_ops mock_blocked_ops = {
	.attach_dev = mock_attach_dev,
	.detach_dev = mock_detach_dev,
	.free = mock_domain_free,
};

static struct iommu_domain *mock_domain_alloc(unsigned int type)
{
	struct mock_domain *mock;

	if (type != IOMMU_DOMAIN_BLOCKED && type != IOMMU_DOMAIN_UNMANAGED)
		return NULL;
	mock = kzalloc(sizeof(*mock), GFP_KERNEL);
	if (!mock)
		return NULL;
	xa_init(&mock->small);
	xa_init(&mock->large);
	/* What all units have in common, until it is known better. */
	mock->domain.pgsize_bitmap = MOCK_PAGE_SIZE;
	mock->domain.geometry.aperture_end = (1UL << 39) - 1;
	mock->domain.geometry.force_aperture = true;
	if (type == IOMMU_DOMAIN_BLOCKED)
		mock->domain.ops = &mock_blocked_ops;
	return &mock->domain;
}

static bool mock_capable(struct device *dev, enum iommu_cap cap)
{
	return cap == IOMMU_CAP_CACHE_COHERENCY || cap == IOMMU_CAP_INTR_REMAP;
}

static void mock_get_resv_regions(struct device *dev, struct list_head *list)
{
	static const enum iommu_resv_type types[] = {
		[MOCK_RESERVED_PLAIN] = IOMMU_RESV_RESERVED,
		[MOCK_RESERVED_DIRECT] = IOMMU_RESV_DIRECT,
		[MOCK_RESERVED_RELAXABLE] = IOMMU_RESV_DIRECT_RELAXABLE,
		[MOCK_RESERVED_SW_MSI] = IOMMU_RESV_SW_MSI,
	};
	struct mock_device *mdev = to_mock_device(dev);
	struct iommu_resv_region *region;

	if (mdev->reserved_type == MOCK_RESERVED_NONE)
		return;
	region = iommu_alloc_resv_region(mdev->reserved_start,
					 MOCK_RESERVED_SIZE, 0,
					 types[mdev->reserved_type],
					 GFP_KERNEL);
	if (region)
		list_add_tail(&region->list, list);
}

static const struct iommu_ops mock_ops = {
	.capable = mock_capable,
	.domain_alloc = mock_domain_alloc,
	.get_resv_regions = mock_get_resv_regions,
	.pgsize_bitmap = MOCK_PAGE_SIZE,
	.default_domain_ops = &mock_domain_ops,
	.owner = THIS_MODULE,
};

/*
 * Devices
 */

static struct bus_type mock_bus = {
	.name = "iommufd_mock",
	.iommu_ops = &mock_ops,
};

static atomic_t next_device = ATOMIC_INIT(0);

static void mock_device_release(struct device *dev)
{
	kfree(to_mock_device(dev));
}

/* In the group of another device, which is there to stay, or in a new one. */
static int mock_device_join(struct mock_device *mdev, struct device *other)
{
	struct iommu_group *group;
	int rc;

	group = other ? iommu_group_get(other) : iommu_group_alloc();
	if (IS_ERR(group))
		return PTR_ERR(group);
	rc = iommu_group_add_device(group, &mdev->dev);
	/* The device holds the group. */
	iommu_group_put(group);
	return rc;
}

static struct mock_device *mock_device_create(struct device *other, u32 unit,
					      u32 reserved_type,
					      u64 reserved_start)
{
	struct mock_device *mdev;
	int rc;

	mdev = kzalloc(sizeof(*mdev), GFP_KERNEL_ACCOUNT);
	if (!mdev)
		return ERR_PTR(-ENOMEM);
	mutex_init(&mdev->iommu.lock);
	mdev->iommu.iommu_dev = &mock_units[unit].iommu;
	mdev->reserved_type = reserved_type;
	mdev->reserved_start = reserved_start;
	mdev->dev.bus = &mock_bus;
	mdev->dev.release = mock_device_release;
	mdev->dev.iommu = &mdev->iommu;
	device_initialize(&mdev->dev);
	rc = dev_set_name(&mdev->dev, "iommufd_mock%u",
			  (u32)atomic_inc_return(&next_device));
	if (rc)
		goto err_put;
	rc = device_add(&mdev->dev);
	if (rc)
		goto err_put;
	rc = mock_device_join(mdev, other);
	if (rc)
		goto err_del;
	return mdev;

err_del:
	device_del(&mdev->dev);
err_put:
	put_device(&mdev->dev);
	return ERR_PTR(rc);
}

/*
 * Unplugged, by the bus. The group may be on a table for the sake of its other
 * devices, in which others map and unmap: nobody asks them to wait, and the
 * drivers of 6.1 change nothing that a walk sees while such a device is there.
 */
static int mock_device_leaves(struct device *dev, void *data)
{
	struct mock_device *mdev = data;

	if (dev == &mdev->dev) {
		if (mdev->domain)
			mock_forget_domain(mdev);
		mdev->leaving = true;
	}
	return 0;
}

/* Others of its group may be attached and on the move. */
static void mock_device_free(struct mock_device *mdev)
{
	iommu_group_for_each_dev(mdev->dev.iommu_group, mdev,
				 mock_device_leaves);
	iommu_group_remove_device(&mdev->dev);
	device_unregister(&mdev->dev);
}

bool mock_hw_info(struct device *dev, struct core_hw_info *info)
{
	static_assert(sizeof(struct iommu_test_hw_info) ==
		      sizeof(info->data.words));

	if (dev->bus != &mock_bus)
		return false;
	info->type = MOCK_HW_INFO_TYPE;
	info->length = sizeof(info->data.words);
	info->data.words[0] = 0;
	info->data.words[1] = MOCK_HW_INFO_REGISTER;
	return true;
}

bool mock_coherency(struct device *dev, bool *enforces)
{
	if (dev->bus != &mock_bus)
		return false;
	*enforces = !mock_device_unit(to_mock_device(dev))->incoherent;
	return true;
}

/* A fake device that is bound and attached, as an object of the context. */
struct mock_stdev {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;
	struct mock_device *mdev;
	struct iommufd_device *idev;
	struct mutex lock;		/* one call at a time on idev */
};

/* iommufd_device_unbind(), but for the reference to the file. */
static void mock_unbind(struct mock_stdev *stdev)
{
	iommufd_object_destroy_owned(stdev->ictx, &stdev->idev->obj);
}

void mock_stdev_destroy(struct iommufd_object *obj)
{
	struct mock_stdev *stdev = container_of(obj, struct mock_stdev, obj);

	iommufd_device_detach(stdev->idev);
	mock_unbind(stdev);
	mock_device_free(stdev->mdev);
}

static struct mock_stdev *stdev_use(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj;

	obj = iommufd_object_use(ictx, id, IOMMUFD_OBJECT_SELFTEST);
	if (IS_ERR(obj))
		return ERR_CAST(obj);
	return container_of(obj, struct mock_stdev, obj);
}

/* The device of which to join the group, held as its stdev is used. */
static struct mock_device *create_beside(struct iommufd_ctx *ictx,
					 const struct iommu_test_cmd *cmd)
{
	u32 unit = cmd->local_device.unit & ~MOCK_UNIT_REQUIRE;
	u32 group_id = cmd->local_device.group_stdev_id;
	struct mock_stdev *other = NULL;
	struct mock_device *mdev;

	if (unit >= MOCK_NR_UNITS ||
	    cmd->local_device.reserved_type > MOCK_RESERVED_SW_MSI)
		return ERR_PTR(-EINVAL);
	if (group_id) {
		other = stdev_use(ictx, group_id);
		if (IS_ERR(other))
			return ERR_CAST(other);
	}
	mdev = mock_device_create(other ? &other->mdev->dev : NULL,
				  unit,
				  cmd->local_device.reserved_type,
				  cmd->local_device.reserved_start);
	if (other)
		iommufd_object_unuse(ictx, &other->obj);
	return mdev;
}

static struct mock_device *create_for(struct iommufd_ctx *ictx,
				      const struct iommu_test_cmd *cmd)
{
	if (cmd->op == IOMMU_TEST_OP_LOCAL_DEVICE)
		return create_beside(ictx, cmd);
	return mock_device_create(NULL, MOCK_UNIT_ABI, MOCK_RESERVED_NONE, 0);
}

static int require(struct mock_stdev *stdev, const struct iommu_test_cmd *cmd)
{
	if (cmd->op != IOMMU_TEST_OP_LOCAL_DEVICE ||
	    !(cmd->local_device.unit & MOCK_UNIT_REQUIRE))
		return 0;
	return iommufd_device_require_coherency(stdev->idev);
}

static int op_mock_domain(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct iommufd_ctx *ictx = ucmd->ictx;
	struct mock_stdev *stdev;
	u32 pt_id = cmd->id, idev_id;
	int rc;

	stdev = iommufd_object_alloc(ictx, sizeof(*stdev),
				     IOMMUFD_OBJECT_SELFTEST);
	if (IS_ERR(stdev))
		return PTR_ERR(stdev);
	stdev->ictx = ictx;
	mutex_init(&stdev->lock);
	stdev->mdev = create_for(ictx, cmd);
	if (IS_ERR(stdev->mdev)) {
		rc = PTR_ERR(stdev->mdev);
		goto err_abort;
	}
	stdev->idev = iommufd_device_bind(ictx, &stdev->mdev->dev, &idev_id);
	if (IS_ERR(stdev->idev)) {
		rc = PTR_ERR(stdev->idev);
		goto err_free;
	}
	/* See the top. This ioctl holds the file: it is not the last one. */
	iommufd_ctx_put(ictx);
	rc = require(stdev, cmd);
	if (rc)
		goto err_unbind;
	rc = iommufd_device_attach(stdev->idev, &pt_id);
	if (rc)
		goto err_unbind;

	/* The same place in both variants. */
	cmd->mock_domain.out_stdev_id = stdev->obj.id;
	cmd->mock_domain.out_hwpt_id = pt_id;
	cmd->mock_domain.out_idev_id = idev_id;
	rc = iommufd_ucmd_respond(ucmd);
	if (rc)
		goto err_detach;
	iommufd_object_publish(ictx, &stdev->obj);
	return 0;

err_detach:
	iommufd_device_detach(stdev->idev);
err_unbind:
	mock_unbind(stdev);
err_free:
	mock_device_free(stdev->mdev);
err_abort:
	iommufd_object_abort(ictx, &stdev->obj);
	return rc;
}

static int op_mock_domain_replace(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct mock_stdev *stdev;
	u32 pt_id = cmd->mock_domain_replace.pt_id;
	int rc;

	stdev = stdev_use(ucmd->ictx, cmd->id);
	if (IS_ERR(stdev))
		return PTR_ERR(stdev);
	rc = mutex_lock_killable(&stdev->lock);
	if (!rc) {
		rc = iommufd_device_replace(stdev->idev, &pt_id);
		mutex_unlock(&stdev->lock);
	}
	if (!rc) {
		cmd->mock_domain_replace.pt_id = pt_id;
		rc = iommufd_ucmd_respond(ucmd);
	}
	iommufd_object_unuse(ucmd->ictx, &stdev->obj);
	return rc;
}

static int op_fail_attach(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;

	spin_lock(&fail_attach_lock);
	fail_attach_nr = cmd->local_fail_attach.nr;
	fail_attach_times = cmd->local_fail_attach.times;
	spin_unlock(&fail_attach_lock);
	return 0;
}

/*
 * Reserved ranges: on nobody's behalf, for the life of the address space.
 */

static const struct iova_purpose reserved_purpose = { "test", "context", 0 };

static int op_add_reserved(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long start = cmd->add_reserved.start;
	unsigned long length = cmd->add_reserved.length, last;
	struct iova_range *range;
	struct ioas *ioas;
	int rc;

	if (!length)
		return -EINVAL;
	if (check_add_overflow(start, length - 1, &last))
		return -EOVERFLOW;
	ioas = ioas_use(ucmd->ictx, cmd->id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	range = kzalloc(sizeof(*range), GFP_KERNEL_ACCOUNT);
	if (range) {
		range->node.start = start;
		range->node.last = last;
		range->purpose = reserved_purpose;
		rc = ioas_reserve(ioas, range);
		if (rc)
			kfree(range);
	} else {
		rc = -ENOMEM;
	}
	ioas_unuse(ioas);
	return rc;
}

/* Nobody uses the address space: what others had reserved there is gone. */
void mock_object_ends(struct iommufd_object *obj)
{
	struct iova_range *range;
	struct rb_node *rb, *next;
	struct ioas *ioas;

	if (obj->type != IOMMUFD_OBJECT_IOAS)
		return;
	ioas = container_of(obj, struct ioas, obj);
	for (rb = rb_first_cached(&ioas->space.reserved); rb; rb = next) {
		next = rb_next(rb);
		range = rb_entry(rb, struct iova_range, node.rb);
		if (range->purpose.kind != reserved_purpose.kind)
			continue;
		ioas_unreserve(ioas, range);
		kfree(range);
	}
}

/*
 * Looks into tables and pages
 */

/* Does the table lead to this byte of the caller's memory? */
static int check_one(struct mock_domain *mock, unsigned long iova,
		     unsigned long uptr)
{
	phys_addr_t phys;
	struct page *page;
	long nr;

	nr = get_user_pages_fast(uptr, 1, 0, &page);
	if (nr != 1)
		return nr < 0 ? nr : -EFAULT;
	phys = page_to_phys(page) + offset_in_page(uptr);
	put_page(page);
	return mock_iova_to_phys(&mock->domain, iova) == phys ? 0 : -EIO;
}

static int check_map(struct hwpt *hwpt, unsigned long iova,
		     unsigned long length, unsigned long uptr)
{
	unsigned long done;
	int rc = 0;

	if (hwpt->domain->ops != &mock_domain_ops)
		return -EINVAL;
	for (done = 0; !rc && done < length; done += MOCK_PAGE_SIZE) {
		rc = check_one(to_mock_domain(hwpt->domain), iova + done,
			       uptr + done);
		if (fatal_signal_pending(current))
			rc = -EINTR;
		cond_resched();
	}
	return rc;
}

static int op_check_map(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long iova = cmd->check_map.iova, uptr = cmd->check_map.uptr;
	unsigned long length = cmd->check_map.length, end;
	struct iommufd_object *obj;
	struct hwpt *hwpt;
	int rc;

	if ((iova | uptr | length) & (MOCK_PAGE_SIZE - 1) ||
	    check_add_overflow(iova, length, &end) ||
	    check_add_overflow(uptr, length, &end))
		return -EINVAL;
	obj = iommufd_object_use(ucmd->ictx, cmd->id, IOMMUFD_OBJECT_HWPT);
	if (IS_ERR(obj))
		return PTR_ERR(obj);
	hwpt = container_of(obj, struct hwpt, obj);
	/* An automatic table may lose its domain, but not under this lock. */
	rc = mutex_lock_killable(&hwpt->ioas->attach_lock);
	if (rc)
		goto out_unuse;
	rc = hwpt->dead ? -ENOENT : check_map(hwpt, iova, length, uptr);
	mutex_unlock(&hwpt->ioas->attach_lock);
out_unuse:
	iommufd_object_unuse(ucmd->ictx, obj);
	return rc;
}

/*
 * A pin of a small page is a great many references; those of a compound page are
 * counted elsewhere, and not by page.
 */
static int op_check_refs(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long uptr = cmd->check_refs.uptr;
	unsigned long length = cmd->check_refs.length, end;
	struct page *page;
	bool ok;
	long nr;

	if (!PAGE_ALIGNED(uptr | length) ||
	    check_add_overflow(uptr, length, &end))
		return -EINVAL;
	for (; uptr < end; uptr += PAGE_SIZE) {
		nr = get_user_pages_fast(uptr, 1, 0, &page);
		if (nr != 1)
			return nr < 0 ? nr : -EFAULT;
		ok = PageCompound(page) ||
		     page_ref_count(page) / GUP_PIN_COUNTING_BIAS ==
		     cmd->check_refs.refs;
		put_page(page);
		if (!ok)
			return -EIO;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/*
 * How many entries a batch of pinning may have. What an entry takes: a page
 * pointer and a run.
 */
#define BATCH_ENTRY	16
#define BATCH_LIMIT	65536

static unsigned int batch_limit = BATCH_LIMIT;

unsigned int mock_batch_max(unsigned int max)
{
	return clamp(READ_ONCE(batch_limit) / BATCH_ENTRY, 1U, max);
}

static int op_memory_limit(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;

	WRITE_ONCE(batch_limit, cmd->memory_limit.limit);
	return 0;
}

/*
 * A user of an address space, behind a descriptor
 */

struct mock_access {
	struct iommufd_access *access;
	bool pins;
	/*
	 * Held from before the pages are pinned until they are on the list, so
	 * that an unmap meanwhile finds them there.
	 */
	struct mutex lock;
	struct list_head pages;		/* struct mock_pages.link; lock */
	u32 next_id;			/* lock */
};

struct mock_pages {
	struct list_head link;
	u32 id;
	unsigned long iova, length;	/* whole pages */
};

static void pages_unpin(struct mock_access *ma, struct mock_pages *pages)
{
	lockdep_assert_held(&ma->lock);
	iommufd_access_unpin_pages(ma->access, pages->iova, pages->length);
	list_del(&pages->link);
	kfree(pages);
}

static void mock_access_unmap(void *data, unsigned long iova,
			      unsigned long length)
{
	unsigned long last = iova + (length - 1);
	struct mock_access *ma = data;
	struct mock_pages *pages, *next;

	mutex_lock(&ma->lock);
	list_for_each_entry_safe(pages, next, &ma->pages, link)
		if (pages->iova <= last &&
		    pages->iova + (pages->length - 1) >= iova)
			pages_unpin(ma, pages);
	mutex_unlock(&ma->lock);
}

static const struct iommufd_access_ops mock_pinning_ops = {
	.needs_pin_pages = true,
	.unmap = mock_access_unmap,
};

static const struct iommufd_access_ops mock_plain_ops = {
	.unmap = mock_access_unmap,
};

static int mock_access_release(struct inode *inode, struct file *file)
{
	struct mock_access *ma = file->private_data;

	if (ma->access)
		iommufd_access_destroy(ma->access);
	WARN_ON(!list_empty(&ma->pages));
	kfree(ma);
	return 0;
}

static const struct file_operations mock_access_fops = {
	.owner = THIS_MODULE,
	.release = mock_access_release,
};

/* The access behind a descriptor; its file is held. */
static struct mock_access *mock_access_get(u32 fd, struct file **file)
{
	*file = fget(fd);
	if (!*file)
		return ERR_PTR(-EBADF);
	if ((*file)->f_op != &mock_access_fops) {
		fput(*file);
		return ERR_PTR(-EBADFD);
	}
	return (*file)->private_data;
}

static struct file *mock_access_file(bool pins)
{
	struct mock_access *ma;
	struct file *file;

	ma = kzalloc(sizeof(*ma), GFP_KERNEL_ACCOUNT);
	if (!ma)
		return ERR_PTR(-ENOMEM);
	ma->pins = pins;
	mutex_init(&ma->lock);
	INIT_LIST_HEAD(&ma->pages);
	file = anon_inode_getfile("[iommufd-mock-access]", &mock_access_fops,
				  ma, O_RDWR | O_CLOEXEC);
	if (IS_ERR(file))
		kfree(ma);
	return file;
}

static int op_create_access(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	bool pins = cmd->create_access.flags & MOCK_ACCESS_PINS;
	struct iommufd_access *access;
	struct mock_access *ma;
	struct file *file;
	int fd, rc;
	u32 id;

	if (cmd->create_access.flags & ~MOCK_ACCESS_PINS)
		return -EOPNOTSUPP;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = mock_access_file(pins);
	if (IS_ERR(file)) {
		rc = PTR_ERR(file);
		goto err_put_fd;
	}
	ma = file->private_data;
	access = iommufd_access_create(ucmd->ictx, pins ? &mock_pinning_ops :
							  &mock_plain_ops,
				       ma, &id);
	if (IS_ERR(access)) {
		rc = PTR_ERR(access);
		goto err_fput;
	}
	ma->access = access;		/* the file's from now on */
	rc = iommufd_access_attach(access, cmd->id);
	if (rc)
		goto err_fput;
	cmd->create_access.out_fd = fd;
	rc = iommufd_ucmd_respond(ucmd);
	if (rc)
		goto err_fput;
	fd_install(fd, file);
	return 0;

err_fput:
	fput(file);
err_put_fd:
	put_unused_fd(fd);
	return rc;
}

/* Are these the pages behind the caller's addresses? */
static int check_pages(struct page **pages, unsigned long nr,
		       unsigned long uptr)
{
	struct page *page;
	unsigned long i;
	long got;

	for (i = 0; i < nr; i++, uptr += PAGE_SIZE) {
		got = get_user_pages_fast(uptr, 1, 0, &page);
		if (got != 1)
			return got < 0 ? got : -EFAULT;
		put_page(page);
		if (page != pages[i])
			return -EIO;
	}
	return 0;
}

#define MAX_BYTES	SZ_16M

static int access_pages(struct mock_access *ma, struct iommufd_ucmd *ucmd,
			struct mock_pages *rec, struct page **pages)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	u32 flags = cmd->access_pages.flags;
	int rc;

	mutex_lock(&ma->lock);
	rc = iommufd_access_pin_pages(ma->access, rec->iova, rec->length, pages,
				      flags & MOCK_PAGES_WRITE ?
				      IOMMUFD_ACCESS_WRITE : 0);
	if (rc)
		goto out_unlock;
	if (!(flags & MOCK_PAGES_UNVERIFIED))
		rc = check_pages(pages, rec->length >> PAGE_SHIFT,
				 cmd->access_pages.uptr -
				 offset_in_page(cmd->access_pages.iova));
	if (rc)
		goto err_unpin;
	rec->id = ++ma->next_id;
	cmd->access_pages.out_pages_id = rec->id;
	rc = iommufd_ucmd_respond(ucmd);
	if (rc)
		goto err_unpin;
	list_add_tail(&rec->link, &ma->pages);
	mutex_unlock(&ma->lock);
	return 0;

err_unpin:
	iommufd_access_unpin_pages(ma->access, rec->iova, rec->length);
out_unlock:
	mutex_unlock(&ma->lock);
	return rc;
}

static int op_access_pages(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	unsigned long iova = cmd->access_pages.iova, last;
	unsigned long length = cmd->access_pages.length;
	struct mock_access *ma;
	struct mock_pages *rec;
	struct page **pages;
	struct file *file;
	int rc;

	if (cmd->access_pages.flags & ~(MOCK_PAGES_WRITE | MOCK_PAGES_UNVERIFIED))
		return -EOPNOTSUPP;
	if (!length)
		return -EINVAL;
	if (length > MAX_BYTES)
		return -ENOMEM;
	if (check_add_overflow(iova, length - 1, &last))
		return -EOVERFLOW;
	ma = mock_access_get(cmd->id, &file);
	if (IS_ERR(ma))
		return PTR_ERR(ma);
	rc = -EOPNOTSUPP;
	if (!ma->pins)
		goto out_fput;

	rc = -ENOMEM;
	rec = kmalloc(sizeof(*rec), GFP_KERNEL_ACCOUNT);
	if (!rec)
		goto out_fput;
	rec->iova = iova & PAGE_MASK;
	rec->length = (last | ~PAGE_MASK) - rec->iova + 1;
	pages = kvcalloc(rec->length >> PAGE_SHIFT, sizeof(*pages),
			 GFP_KERNEL_ACCOUNT);
	if (pages)
		rc = access_pages(ma, ucmd, rec, pages);
	kvfree(pages);
	if (rc)
		kfree(rec);
out_fput:
	fput(file);
	return rc;
}

static int op_destroy_access_pages(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct mock_access *ma;
	struct mock_pages *pages;
	struct file *file;
	int rc = -ENOENT;

	ma = mock_access_get(cmd->id, &file);
	if (IS_ERR(ma))
		return PTR_ERR(ma);
	mutex_lock(&ma->lock);
	list_for_each_entry(pages, &ma->pages, link) {
		if (pages->id == cmd->destroy_access_pages.pages_id) {
			pages_unpin(ma, pages);
			rc = 0;
			break;
		}
	}
	mutex_unlock(&ma->lock);
	fput(file);
	return rc;
}

/* The slow path is many small copies, of a size that fits nothing. */
#define SLOW_STEP	509UL

static int access_rw(struct mock_access *ma, unsigned long iova, void *data,
		     unsigned long length, u32 mock_flags)
{
	unsigned int flags = mock_flags & MOCK_RW_WRITE ?
			     IOMMUFD_ACCESS_WRITE : 0;
	unsigned long part;
	int rc = 0;

	if (!(mock_flags & MOCK_RW_SLOW))
		return iommufd_access_rw(ma->access, iova, data, length, flags);
	for (; !rc && length; length -= part, iova += part, data += part) {
		part = min(length, SLOW_STEP);
		rc = iommufd_access_rw(ma->access, iova, data, part, flags);
	}
	return rc;
}

static int op_access_rw(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	void __user *uptr = u64_to_user_ptr(cmd->access_rw.uptr);
	unsigned long length = cmd->access_rw.length;
	u32 flags = cmd->access_rw.flags;
	struct mock_access *ma;
	struct file *file;
	void *data;
	int rc;

	if (flags & ~(MOCK_RW_WRITE | MOCK_RW_SLOW))
		return -EOPNOTSUPP;
	if (!length)
		return -EINVAL;
	if (length > MAX_BYTES)
		return -ENOMEM;
	ma = mock_access_get(cmd->id, &file);
	if (IS_ERR(ma))
		return PTR_ERR(ma);
	data = kvzalloc(length, GFP_KERNEL_ACCOUNT);
	if (!data) {
		rc = -ENOMEM;
		goto out_fput;
	}
	rc = 0;
	if (flags & MOCK_RW_WRITE && copy_from_user(data, uptr, length))
		rc = -EFAULT;
	if (!rc)
		rc = access_rw(ma, cmd->access_rw.iova, data, length, flags);
	if (!rc && !(flags & MOCK_RW_WRITE) && copy_to_user(uptr, data, length))
		rc = -EFAULT;
	kvfree(data);
out_fput:
	fput(file);
	return rc;
}

static int op_access_replace_ioas(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;
	struct mock_access *ma;
	struct file *file;
	int rc;

	ma = mock_access_get(cmd->id, &file);
	if (IS_ERR(ma))
		return PTR_ERR(ma);
	rc = iommufd_access_replace(ma->access,
				    cmd->access_replace_ioas.ioas_id);
	fput(file);
	return rc;
}

int mock_ioctl(struct iommufd_ucmd *ucmd)
{
	struct iommu_test_cmd *cmd = ucmd->cmd;

	switch (cmd->op) {
	case IOMMU_TEST_OP_ADD_RESERVED:
		return op_add_reserved(ucmd);
	case IOMMU_TEST_OP_MOCK_DOMAIN:
	case IOMMU_TEST_OP_LOCAL_DEVICE:
		return op_mock_domain(ucmd);
	case IOMMU_TEST_OP_MD_CHECK_MAP:
		return op_check_map(ucmd);
	case IOMMU_TEST_OP_MD_CHECK_REFS:
		return op_check_refs(ucmd);
	case IOMMU_TEST_OP_CREATE_ACCESS:
		return op_create_access(ucmd);
	case IOMMU_TEST_OP_DESTROY_ACCESS_PAGES:
		return op_destroy_access_pages(ucmd);
	case IOMMU_TEST_OP_ACCESS_PAGES:
		return op_access_pages(ucmd);
	case IOMMU_TEST_OP_ACCESS_RW:
		return op_access_rw(ucmd);
	case IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT:
		return op_memory_limit(ucmd);
	case IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE:
		return op_mock_domain_replace(ucmd);
	case IOMMU_TEST_OP_ACCESS_REPLACE_IOAS:
		return op_access_replace_ioas(ucmd);
	case IOMMU_TEST_OP_LOCAL_FAIL_ATTACH:
		return op_fail_attach(ucmd);
	default:
		return -EOPNOTSUPP;
	}
}

int __init mock_init(void)
{
	return bus_register(&mock_bus);
}

void mock_exit(void)
{
	bus_unregister(&mock_bus);
}
