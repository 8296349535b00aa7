// SPDX-License-Identifier: GPL-2.0
/*
 * I/O address spaces: mapping, copying, unmapping, and the page tables below.
 * ioas.h has the model and the locks.
 *
 * IOVA ranges are [start, last], so that the last byte of the 64-bit space is
 * like any other. A length comes from userspace and is checked before it is
 * turned into a last.
 */
#include <linux/file.h>
#include <linux/iommufd.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <uapi/linux/iommufd.h>

#include "access.h"
#include "hwpt.h"
#include "ioas.h"
#include "ioctl.h"
#include "pinned.h"
#include "trace.h"

/* More allowed ranges than this are a mistake. */
#define ALLOWED_RANGES_MAX	65536

static struct kmem_cache *area_cache, *area_part_cache;

struct ioas *ioas_use(struct iommufd_ctx *ictx, u32 id)
{
	struct iommufd_object *obj;

	obj = iommufd_object_use(ictx, id, IOMMUFD_OBJECT_IOAS);
	if (IS_ERR(obj))
		return ERR_CAST(obj);
	return container_of(obj, struct ioas, obj);
}

void ioas_unuse(struct ioas *ioas)
{
	iommufd_object_unuse(ioas->ictx, &ioas->obj);
}

/*
 * Areas
 */

static struct area *area_of(struct iova_node *node)
{
	return node ? container_of(node, struct area, iova) : NULL;
}

struct area *area_first(struct ioas *ioas, unsigned long start,
			       unsigned long last)
{
	return area_of(iova_map_first(&ioas->space.areas, start, last));
}

struct area *area_next(struct area *area, unsigned long last)
{
	return area_of(iova_map_next(&area->iova, last));
}

/*
 * Describe @length bytes from byte @offset of a span on. The reference to the
 * span moves into the area.
 */
static void area_init(struct area *area, struct pinned *pinned,
		      unsigned long offset, unsigned long length, int prot,
		      bool is_part)
{
	area->iova.start = 0;		/* until it has a place, its length */
	area->iova.last = length - 1;
	area->pinned = pinned;
	area->next = NULL;
	area->page_offset = offset_in_page(offset);
	area->is_part = is_part;
	area->unused = 0;
	area->prot = prot;
	area->state = AREA_FILLING;
	area->nr_pins = 0;
}

/* One more area for a span, of which it takes a reference. NULL: no memory. */
static struct area *area_alloc(struct pinned *pinned, unsigned long offset,
			       unsigned long length, int prot)
{
	unsigned long first = offset >> PAGE_SHIFT;
	unsigned long last = (offset + length - 1) >> PAGE_SHIFT;
	struct area_part *part;
	struct area *area;

	if (!first && last == pinned->nr_pages - 1) {
		area = kmem_cache_alloc(area_cache, GFP_KERNEL_ACCOUNT);
		if (area)
			area_init(area, pinned_get(pinned), offset, length,
				  prot, false);
		return area;
	}
	part = kmem_cache_alloc(area_part_cache, GFP_KERNEL_ACCOUNT);
	if (!part)
		return NULL;
	part->pages.start = first;
	part->pages.last = last;
	area_init(&part->area, pinned_get(pinned), offset, length, prot, true);
	return &part->area;
}

/* The area that is made with its span is behind it, and its memory stays. */
static void area_free(struct area *area)
{
	struct pinned *pinned = area->pinned;

	if (area->is_part)
		kmem_cache_free(area_part_cache,
				container_of(area, struct area_part, area));
	else if (area != pinned_room(pinned))
		kmem_cache_free(area_cache, area);
	pinned_put(pinned);
}

/*
 * An area that has left the address space goes, as a consumer if it was one. Most
 * have the span to themselves.
 */
static void area_end(struct area *area, bool is_pinned)
{
	struct pinned *pinned = area->pinned;

	if (area == pinned_room(pinned) && pinned_is_sole(pinned)) {
		pinned_end(pinned);
		return;
	}
	if (is_pinned)
		pinned_remove(pinned, area_part(area));
	area_free(area);
}

/*
 * Filling page tables with an area. All tables are kept at the same number of
 * bytes, so that one number says what there is to undo.
 */
struct fill {
	struct pinned_sink sink;
	struct ioas *ioas;
	struct area *area;
	struct hwpt *only;	/* one table, or NULL for all */
	unsigned long done;	/* bytes mapped */
	unsigned long counted;	/* bytes that the tables know will be mapped */
};

static struct hwpt *fill_first(const struct fill *fill)
{
	if (fill->only)
		return fill->only;
	return list_first_entry(&fill->ioas->hwpts, struct hwpt, link);
}

static struct hwpt *fill_next(const struct fill *fill, struct hwpt *hwpt)
{
	if (fill->only || list_is_last(&hwpt->link, &fill->ioas->hwpts))
		return NULL;
	return list_next_entry(hwpt, link);
}

/* Tell the tables what they grow by: this, and what follows near it. */
static int fill_count(struct fill *fill, unsigned long iova,
		      unsigned long length)
{
	unsigned long last = (iova + (length - 1)) |
			     ((1UL << TABLE_WORD_SHIFT) - 1);
	struct hwpt *hwpt;
	int rc;

	last = min(last, fill->area->iova.last);
	for (hwpt = fill_first(fill); hwpt; hwpt = fill_next(fill, hwpt)) {
		rc = table_account_add(&hwpt->table->account,
				       fill->ioas->ictx, iova, last);
		if (rc)
			return rc;
	}
	fill->counted = last - fill->area->iova.start + 1;
	return 0;
}

static noinline __cold
int explain_map(struct ioas *ioas, const struct hwpt *hwpt, unsigned long iova,
		unsigned long length, int rc)
{
	return reason_set(ioas->ictx, rc,
			  "HWPT %u did not take IOVAs 0x%lx-0x%lx",
			  hwpt->obj.id, iova, iova + (length - 1));
}

static int fill_take(struct pinned_sink *sink, unsigned long index,
		     const struct run *runs, unsigned int nr,
		     struct pin_batch *scratch)
{
	struct fill *fill = container_of(sink, struct fill, sink);
	struct area *area = fill->area;
	unsigned long iova = area->iova.start + fill->done;
	unsigned long skip = index == area_first_page(area) ? area->page_offset : 0;
	unsigned long length = 0;
	struct hwpt *hwpt, *bad;
	unsigned int i;
	int rc;

	for (i = 0; i < nr; i++)
		length += run_bytes(&runs[i]);
	length = min(length - skip, area_length(area) - fill->done);

	if (fill->done + length > fill->counted) {
		rc = fill_count(fill, iova, length);
		if (rc)
			return rc;
	}
	for (hwpt = fill_first(fill); hwpt; hwpt = fill_next(fill, hwpt)) {
		rc = hwpt_map(hwpt, iova, runs, nr, skip, length, area->prot,
			      scratch);
		if (rc) {
			explain_map(fill->ioas, hwpt, iova, length, rc);
			goto err_unmap;
		}
	}
	fill->done += length;
	return 0;

err_unmap:
	bad = hwpt;
	for (hwpt = fill_first(fill); hwpt != bad; hwpt = fill_next(fill, hwpt))
		hwpt_unmap(hwpt, iova, length);
	return rc;
}

static void fill_undo(struct pinned_sink *sink)
{
	struct fill *fill = container_of(sink, struct fill, sink);
	struct hwpt *hwpt;

	if (!fill->done)
		return;
	for (hwpt = fill_first(fill); hwpt; hwpt = fill_next(fill, hwpt))
		hwpt_unmap(hwpt, fill->area->iova.start, fill->done);
}

/* The short way for a page: no batch, nothing to count, nothing to resume. */
static int area_fill_page(struct ioas *ioas, struct area *area)
{
	unsigned long iova = area->iova.start, length = area_length(area);
	struct hwpt *hwpt;
	phys_addr_t phys;
	long pfn;
	int rc;

	pfn = pinned_add_page(area->pinned);
	if (unlikely(pfn < 0))
		return pfn;
	phys = PFN_PHYS(pfn) + area->page_offset;
	list_for_each_entry(hwpt, &ioas->hwpts, link) {
		rc = table_account_add(&hwpt->table->account, ioas->ictx, iova,
				       area->iova.last);
		if (unlikely(rc))
			goto err_unmap;
		rc = hwpt_map_page(hwpt, iova, phys, length, area->prot);
		if (unlikely(rc)) {
			explain_map(ioas, hwpt, iova, length, rc);
			goto err_unmap;
		}
	}
	return 0;

err_unmap:
	list_for_each_entry_continue_reverse(hwpt, &ioas->hwpts, link)
		hwpt_unmap(hwpt, iova, length);
	pinned_remove(area->pinned, NULL);
	return rc;
}

/* Pin an area and put it into all page tables there are. */
static int area_fill(struct ioas *ioas, struct area *area)
{
	struct fill fill = {
		.sink = { .take = fill_take, .undo = fill_undo },
		.ioas = ioas,
		.area = area,
	};

	/* Nobody else finds the span before its first area is ready. */
	if (area == pinned_room(area->pinned))
		return pinned_add_new(area->pinned, &fill.sink);
	return pinned_add(area->pinned, area_part(area), &fill.sink);
}

/* Put an area into one more page table; @first: it is not pinned yet. */
static int area_fill_table(struct ioas *ioas, struct area *area,
			   struct hwpt *hwpt, bool first)
{
	struct fill fill = {
		.sink = { .take = fill_take, .undo = fill_undo },
		.ioas = ioas,
		.area = area,
		.only = hwpt,
	};

	if (first)
		return pinned_add(area->pinned, area_part(area), &fill.sink);
	return pinned_walk(area->pinned, area_part(area), &fill.sink);
}

/* Take a chain of areas out of all page tables. False: something went wrong. */
static bool chain_unmap(struct ioas *ioas, struct area *chain)
{
	struct hwpt *hwpt;
	bool ok = true;

	list_for_each_entry(hwpt, &ioas->hwpts, link)
		ok &= chain->next ? hwpt_unmap_areas(hwpt, chain) :
				    hwpt_unmap(hwpt, chain->iova.start,
					       area_length(chain));
	return ok;
}

/* How many areas are taken out while the lock is held. */
#define ERASE_BURST	64

/*
 * Take a chain of @nr areas, @length bytes, out of the tree; all that there are, at
 * once. They are counted as unmapped, but for areas that never were ready, which
 * come with @nr and @length 0.
 */
static void chain_erase(struct ioas *ioas, struct area *chain, unsigned long nr,
			u64 length)
{
	unsigned long nr_erased = 0;
	struct area *area;

	mutex_lock(&ioas->lock);
	if (nr > 1 && nr == ioas->space.areas.nr) {
		iova_map_clear(&ioas->space.areas);
		ioas->nr_unmaps += nr;
		ioas->unmapped += length;
		chain = NULL;
	}
	for (area = chain; area; area = area->next) {
		iova_map_remove(&ioas->space.areas, &area->iova);
		if (length) {
			ioas->nr_unmaps++;
			ioas->unmapped += area_length(area);
		}
		if (++nr_erased % ERASE_BURST || !area->next)
			continue;
		mutex_unlock(&ioas->lock);
		cond_resched();
		mutex_lock(&ioas->lock);
	}
	mutex_unlock(&ioas->lock);
}

/* What an unmap takes away. */
struct leaving {
	struct area *chain;
	unsigned long nr;
	u64 length;
};

/*
 * Unmap a chain of areas that are marked as leaving, and forget them. Only
 * when every page table has been flushed are the pages let go of. Should a table
 * not have had what was in it, devices may still reach the pages: the areas stay
 * as they are, leaving for ever, until the table is gone.
 */
static int chain_remove(struct ioas *ioas, const struct leaving *leaving)
{
	bool is_pinned = !list_empty(&ioas->hwpts);
	struct area *area, *chain = leaving->chain;

	if (!chain_unmap(ioas, chain))
		return reason_set(ioas->ictx, -EIO,
				  "a page table had not what was mapped: the memory stays pinned, see the kernel's log");
	chain_erase(ioas, chain, leaving->nr, leaving->length);
	while ((area = chain)) {
		chain = area->next;
		area_end(area, is_pinned);
		if (chain)
			cond_resched();
	}
	return 0;
}

/* A chain can be as long as userspace makes it. */
static struct area *chain_next(const struct area *area)
{
	if (area->next)
		cond_resched();
	return area->next;
}

static noinline __cold
int explain_align(struct ioas *ioas, const struct area *area)
{
	return reason_set(ioas->ictx, -EINVAL,
			  "0x%lx bytes from byte 0x%x of a page on: IOAS %u needs multiples of 0x%lx",
			  area_length(area), area->page_offset, ioas->obj.id,
			  ioas->align);
}

/* 0 or -EINVAL */
static int chain_check_align(struct ioas *ioas, const struct area *chain)
{
	const struct area *area;

	for (area = chain; area; area = chain_next(area))
		if ((area_offset(area) | area_length(area)) & (ioas->align - 1))
			return explain_align(ioas, area);
	return 0;
}

static struct iova_range *first_range(struct rb_root_cached *root,
				      unsigned long start, unsigned long last)
{
	struct interval_tree_node *node;

	node = interval_tree_iter_first(root, start, last);
	return node ? container_of(node, struct iova_range, node) : NULL;
}

/* Why iova_space_check() said @rc. Under ioas.lock. */
static noinline __cold
int explain_check(struct ioas *ioas, unsigned long iova, unsigned long length,
		  int rc)
{
	unsigned long last = iova + (length - 1);
	struct iova_range *range;
	struct area *area;

	if ((iova | length) & (ioas->align - 1))
		return reason_set(ioas->ictx, rc,
				  "0x%lx bytes at IOVA 0x%lx: IOAS %u needs multiples of 0x%lx",
				  length, iova, ioas->obj.id, ioas->align);
	range = first_range(&ioas->space.reserved, iova, last);
	if (range)
		return reason_set(ioas->ictx, rc,
				  "IOVAs 0x%lx-0x%lx meet the reserved range 0x%lx-0x%lx (%s of %s %u)",
				  iova, last, range->node.start, range->node.last,
				  range->purpose.kind, range->purpose.of,
				  range->purpose.id);
	area = area_first(ioas, iova, last);
	if (area)
		return reason_set(ioas->ictx, rc,
				  "IOVAs 0x%lx-0x%lx meet the mapping 0x%lx-0x%lx",
				  iova, last, area->iova.start, area->iova.last);
	return rc;
}

/*
 * To look for a hole goes through all that are large enough but lie wrong, of
 * which there can be as many as there are mappings. A text is not worth that
 * many times over.
 */
#define AREAS_SEARCHED	4096

/* The largest length there is room for at a multiple of @align, below @limit. */
static unsigned long largest_room(struct ioas *ioas, unsigned long limit,
				  unsigned long align)
{
	unsigned long fits = 0, fits_not = limit, middle, iova;

	while (fits_not - fits > 1) {
		middle = fits + (fits_not - fits) / 2;
		if (iova_space_find(&ioas->space, middle, align, &iova))
			fits_not = middle;
		else
			fits = middle;
	}
	return fits & ~(align - 1);
}

/* Why iova_space_find() found nothing. Under ioas.lock. */
static noinline __cold
int explain_find(struct ioas *ioas, unsigned long length, unsigned long align,
		 int rc)
{
	const char *where = RB_EMPTY_ROOT(&ioas->space.allowed.rb_root) ?
			    "" : " within the allowed ranges";
	unsigned long iova;

	if (ioas->space.areas.nr + ioas->nr_allowed > AREAS_SEARCHED)
		return reason_set(ioas->ictx, rc,
				  "no room%s for 0x%lx bytes at a multiple of 0x%lx",
				  where, length, align);
	if (!iova_space_find(&ioas->space, length, ioas->align, &iova))
		return reason_set(ioas->ictx, rc,
				  "no room%s for 0x%lx bytes at a multiple of 0x%lx; there is some at 0x%lx, to be asked for with FIXED_IOVA",
				  where, length, align, iova);
	return reason_set(ioas->ictx, rc,
			  "no room%s for 0x%lx bytes, the largest hole has 0x%lx",
			  where, length, largest_room(ioas, length, ioas->align));
}

/* A single new area at a fixed IOVA, or why not. */
static inline int insert_at(struct ioas *ioas, struct area *area,
			    unsigned long iova, unsigned long length)
{
	int rc;

	mutex_lock(&ioas->lock);
	area->iova.start = iova;
	area->iova.last = iova + (length - 1);
	rc = iova_space_insert(&ioas->space, &area->iova, ioas->align);
	if (unlikely(rc))
		explain_check(ioas, iova, length, rc);
	mutex_unlock(&ioas->lock);
	return rc;
}

/*
 * Give a chain of new areas IOVAs one behind the other, from *iova on, or from
 * where there is room when @automatic.
 */
static int chain_insert(struct ioas *ioas, struct area *chain,
			unsigned long *iova, unsigned long length,
			unsigned long align, bool automatic)
{
	unsigned long start, size;
	struct area *area;
	int rc;

	mutex_lock(&ioas->lock);
	if (automatic)
		rc = iova_space_find(&ioas->space, length, align, iova);
	else
		rc = iova_space_check(&ioas->space, *iova, length, ioas->align);
	if (unlikely(rc)) {
		rc = automatic ? explain_find(ioas, length, align, rc) :
				 explain_check(ioas, *iova, length, rc);
		goto out_unlock;
	}

	start = *iova;
	for (area = chain; area; area = chain_next(area)) {
		size = area_length(area);
		area->iova.start = start;
		area->iova.last = start + (size - 1);
		WARN_ON(iova_map_insert(&ioas->space.areas, &area->iova));
		start += size;
	}
out_unlock:
	mutex_unlock(&ioas->lock);
	return rc;
}

/*
 * A single area needs no lock: whoever sees it ready, under the lock, sees all
 * that was written before. From then on it may go at any time.
 */
static void area_ready(struct area *area)
{
	/* Pairs with the acquire in area_is_ready(). */
	smp_store_release(&area->state, AREA_READY);
}

/* The areas of a longer chain become ready together. */
static void chain_ready(struct ioas *ioas, struct area *chain)
{
	struct area *area;

	if (!chain->next) {
		area_ready(chain);
		return;
	}
	mutex_lock(&ioas->lock);
	for (area = chain; area; area = chain_next(area))
		area->state = AREA_READY;
	mutex_unlock(&ioas->lock);
}

static void chain_free(struct area *chain)
{
	struct area *area;

	while ((area = chain)) {
		chain = area->next;
		area_free(area);
		cond_resched();
	}
}

/* Filled areas up to, not including, @end go back to not being pinned. */
static void chain_empty(struct ioas *ioas, struct area *chain,
			struct area *end)
{
	struct hwpt *hwpt;
	struct area *area;

	for (area = chain; area != end; area = area->next) {
		list_for_each_entry(hwpt, &ioas->hwpts, link)
			hwpt_unmap(hwpt, area->iova.start, area_length(area));
		if (!list_empty(&ioas->hwpts))
			pinned_remove(area->pinned, area_part(area));
		cond_resched();
	}
}

/*
 * How an automatic IOVA is aligned: to the largest power of two that divides the
 * length, so that equal buffers tile. Memory that could use the IOMMU's large
 * pages gets an IOVA that can as well.
 */
static unsigned long auto_align(const struct ioas *ioas, unsigned long offset,
				unsigned long length)
{
	unsigned long align = max(ioas->align, 1UL << __ffs(length));

	if (length >= SZ_2M && IS_ALIGNED(offset, SZ_2M))
		align = max_t(unsigned long, align, SZ_2M);
	if (length >= SZ_1G && IS_ALIGNED(offset, SZ_1G))
		align = max_t(unsigned long, align, SZ_1G);
	return align;
}

/* A single new area where there is room, or why not. */
static noinline int insert_anywhere(struct ioas *ioas, struct area *area,
				    unsigned long offset, unsigned long length)
{
	unsigned long iova = 0;

	return chain_insert(ioas, area, &iova, length,
			    auto_align(ioas, offset, length), true);
}

/*
 * Make a new area of a whole span a mapping, as chain_map() does with a chain, of
 * which this is the first alone.
 */
static inline int area_map(struct ioas *ioas, struct area *area,
			   unsigned long offset, unsigned long length,
			   unsigned long *iova, bool automatic,
			   __u64 __user *out)
{
	int rc;

	if (down_read_killable(&ioas->tables_sem)) {
		rc = -EINTR;
		goto err_free;
	}
	if (unlikely((offset_in_page(offset) | length) & (ioas->align - 1))) {
		rc = explain_align(ioas, area);
		goto err_unlock;
	}
	if (automatic)
		rc = insert_anywhere(ioas, area, offset, length);
	else
		rc = insert_at(ioas, area, *iova, length);
	if (unlikely(rc))
		goto err_unlock;
	*iova = area->iova.start;
	if (!list_empty(&ioas->hwpts)) {
		if (area->pinned->nr_pages == 1)
			rc = area_fill_page(ioas, area);
		else
			rc = area_fill(ioas, area);
		if (unlikely(rc))
			goto err_erase;
	}
	rc = out ? put_user(*iova, out) : 0;
	if (unlikely(rc))
		goto err_empty;
	area_ready(area);
	up_read(&ioas->tables_sem);
	return 0;

err_empty:
	chain_empty(ioas, area, NULL);
err_erase:
	chain_erase(ioas, area, 0, 0);
err_unlock:
	up_read(&ioas->tables_sem);
err_free:
	area_free(area);
	return rc;
}

/*
 * Make a chain of new areas a mapping of @length bytes. @offset tells how the
 * memory is aligned, see auto_align(). On success the chain belongs to the address space
 * and *iova is set, for userspace also in @out, if there is one: the last step that
 * can fail. On failure the chain is freed.
 */
static int chain_map(struct ioas *ioas, struct area *chain, unsigned long offset,
		     unsigned long length, unsigned long *iova, bool automatic,
		     __u64 __user *out)
{
	struct area *area;
	int rc;

	if (down_read_killable(&ioas->tables_sem)) {
		rc = -EINTR;
		goto err_free;
	}
	rc = chain_check_align(ioas, chain);
	if (rc)
		goto err_unlock;
	rc = chain_insert(ioas, chain, iova, length,
			  automatic ? auto_align(ioas, offset, length) : 0,
			  automatic);
	if (rc)
		goto err_unlock;
	for (area = chain; area; area = chain_next(area)) {
		if (fatal_signal_pending(current))
			rc = -EINTR;
		else if (!list_empty(&ioas->hwpts))
			rc = area_fill(ioas, area);
		if (rc)
			goto err_empty;
	}
	rc = out ? put_user(*iova, out) : 0;
	if (rc)
		goto err_empty;
	chain_ready(ioas, chain);
	up_read(&ioas->tables_sem);
	return 0;

err_empty:
	chain_empty(ioas, chain, area);
	chain_erase(ioas, chain, 0, 0);
err_unlock:
	up_read(&ioas->tables_sem);
err_free:
	chain_free(chain);
	return rc;
}

/*
 * Page tables below
 */

/* Why iova_space_reserve() said no. Under ioas.lock. */
static noinline __cold
int explain_reserve(struct ioas *ioas, const struct iova_range *range, int rc)
{
	unsigned long start = range->node.start, last = range->node.last;
	struct area *area = area_first(ioas, start, last);
	struct iova_range *allowed = first_range(&ioas->space.allowed, start, last);

	return reason_set(ioas->ictx, rc,
			  "IOVAs 0x%lx-0x%lx must be kept free (%s of %s %u), and IOAS %u has the %s 0x%lx-0x%lx",
			  start, last, range->purpose.kind, range->purpose.of,
			  range->purpose.id, ioas->obj.id,
			  area ? "mapping" : "allowed range",
			  area ? area->iova.start : allowed->node.start,
			  area ? area->iova.last : allowed->node.last);
}

/* The ranges of @chain up to, not including, @end. */
static void unreserve_some(struct ioas *ioas, struct iova_range *chain,
			   const struct iova_range *end)
{
	lockdep_assert_held(&ioas->lock);
	for (; chain != end; chain = chain->next)
		iova_space_unreserve(&ioas->space, chain);
}

static int reserve_locked(struct ioas *ioas, struct iova_range *chain)
{
	struct iova_range *range;
	int rc = 0;

	lockdep_assert_held_write(&ioas->tables_sem);
	mutex_lock(&ioas->lock);
	for (range = chain; range; range = range->next) {
		rc = iova_space_reserve(&ioas->space, range);
		if (unlikely(rc)) {
			explain_reserve(ioas, range, rc);
			unreserve_some(ioas, chain, range);
			break;
		}
	}
	mutex_unlock(&ioas->lock);
	return rc;
}

static void unreserve_locked(struct ioas *ioas, struct iova_range *chain)
{
	lockdep_assert_held_write(&ioas->tables_sem);
	mutex_lock(&ioas->lock);
	unreserve_some(ioas, chain, NULL);
	mutex_unlock(&ioas->lock);
}

int ioas_reserve(struct ioas *ioas, struct iova_range *chain)
{
	int rc;

	if (down_write_killable(&ioas->tables_sem))
		return -EINTR;
	rc = reserve_locked(ioas, chain);
	up_write(&ioas->tables_sem);
	return rc;
}

void ioas_unreserve(struct ioas *ioas, struct iova_range *chain)
{
	down_write(&ioas->tables_sem);
	unreserve_locked(ioas, chain);
	up_write(&ioas->tables_sem);
}

static void add_beyond(struct hwpt *hwpt, struct iova_range *range,
		       unsigned long start, unsigned long last)
{
	range->node.start = start;
	range->node.last = last;
	range->purpose = (struct iova_purpose){ "aperture", "hwpt", hwpt->obj.id };
	range->next = hwpt->reserved;
	hwpt->reserved = range;
}

/* Keep areas out of where the table cannot translate. */
static int reserve_beyond(struct ioas *ioas, struct hwpt *hwpt)
{
	const struct core_limits *limits = &hwpt->limits;

	if (limits->iova_last != ULONG_MAX)
		add_beyond(hwpt, &hwpt->beyond[0], limits->iova_last + 1,
			   ULONG_MAX);
	if (limits->iova_first)
		add_beyond(hwpt, &hwpt->beyond[1], 0, limits->iova_first - 1);
	return reserve_locked(ioas, hwpt->reserved);
}

static unsigned long table_align(const struct hwpt *hwpt)
{
	return 1UL << __ffs(hwpt->limits.pgsizes);
}

/*
 * Can all areas do with that alignment? 0 or -EADDRINUSE. With tables_sem held
 * for writing they are ready, and stay.
 */
static int areas_check_align(struct ioas *ioas, unsigned long align,
			     const char *who)
{
	struct area *area;

	for (area = area_first(ioas, 0, ULONG_MAX); area;
	     area = area_next(area, ULONG_MAX)) {
		if ((area->iova.start | area_offset(area) |
		     area_length(area)) & (align - 1))
			return reason_set(ioas->ictx, -EADDRINUSE,
					  "%s needs multiples of 0x%lx, and IOAS %u has the mapping 0x%lx-0x%lx of memory from byte 0x%x of a page on",
					  who, align, ioas->obj.id,
					  area->iova.start, area->iova.last,
					  area->page_offset);
		cond_resched();
	}
	return 0;
}

static void ioas_update_align(struct ioas *ioas)
{
	struct access_link *link;
	unsigned long align = ioas->small_pages ? PAGE_SIZE : 1;
	struct hwpt *hwpt;

	list_for_each_entry(hwpt, &ioas->hwpts, link)
		align = max(align, table_align(hwpt));
	list_for_each_entry(link, &ioas->accesses, link)
		align = max(align, access_align(link->access));
	WRITE_ONCE(ioas->align, align);
}

int ioas_add_access(struct ioas *ioas, struct access_link *link)
{
	int rc;

	if (down_write_killable(&ioas->tables_sem))
		return -EINTR;
	rc = areas_check_align(ioas, access_align(link->access), "the access");
	if (!rc) {
		list_add_tail(&link->link, &ioas->accesses);
		WRITE_ONCE(ioas->nr_accesses, ioas->nr_accesses + 1);
		ioas_update_align(ioas);
	}
	up_write(&ioas->tables_sem);
	return rc;
}

void ioas_remove_access(struct ioas *ioas, struct access_link *link)
{
	down_write(&ioas->tables_sem);
	list_del(&link->link);
	WRITE_ONCE(ioas->nr_accesses, ioas->nr_accesses - 1);
	ioas_update_align(ioas);
	up_write(&ioas->tables_sem);
}

int ioas_set_small_pages(struct ioas *ioas, bool small)
{
	int rc = 0;

	if (down_write_killable(&ioas->tables_sem))
		return -EINTR;
	if (small == ioas->small_pages)
		goto out_unlock;
	if (!list_empty(&ioas->hwpts))
		rc = reason_set(ioas->ictx, -EINVAL,
				"IOAS %u has page tables, HWPT %u for one",
				ioas->obj.id,
				list_first_entry(&ioas->hwpts, struct hwpt,
						 link)->obj.id);
	else if (small)
		rc = areas_check_align(ioas, PAGE_SIZE, "doing without huge pages");
	if (rc)
		goto out_unlock;
	WRITE_ONCE(ioas->small_pages, small);
	ioas_update_align(ioas);
out_unlock:
	up_write(&ioas->tables_sem);
	return rc;
}

/*
 * Empty a table of the areas below @end, NULL for all, and, if it is the @only
 * one, unpin them.
 */
static void table_empty(struct ioas *ioas, struct hwpt *hwpt, struct area *end,
			bool only)
{
	struct area *area, *chain = NULL;

	for (area = area_first(ioas, 0, ULONG_MAX); area != end;
	     area = area_next(area, ULONG_MAX)) {
		area->next = chain;
		chain = area;
		cond_resched();
	}
	/*
	 * If it does not unmap what it should, no device is on it and it is
	 * freed: the pages are safe.
	 */
	hwpt_unmap_areas(hwpt, chain);
	for (area = chain; area && only; area = area->next) {
		pinned_remove(area->pinned, area_part(area));
		cond_resched();
	}
}

int ioas_add_table(struct ioas *ioas, struct hwpt *hwpt)
{
	unsigned long align = table_align(hwpt);
	struct area *area;
	bool first;
	int rc;

	if (down_write_killable(&ioas->tables_sem))
		return -EINTR;
	if (align > ioas->align) {
		rc = areas_check_align(ioas, align, "the page table");
		if (rc)
			goto err_unlock;
	}
	rc = reserve_beyond(ioas, hwpt);
	if (rc)
		goto err_unlock;

	first = list_empty(&ioas->hwpts);
	for (area = area_first(ioas, 0, ULONG_MAX); area;
	     area = area_next(area, ULONG_MAX)) {
		rc = area_fill_table(ioas, area, hwpt, first);
		if (rc)
			goto err_empty;
		cond_resched();
		if (fatal_signal_pending(current)) {
			rc = -EINTR;
			area = area_next(area, ULONG_MAX);
			goto err_empty;
		}
	}
	list_add_tail(&hwpt->link, &ioas->hwpts);
	WRITE_ONCE(ioas->nr_hwpts, ioas->nr_hwpts + 1);
	WRITE_ONCE(ioas->align, max(ioas->align, align));
	up_write(&ioas->tables_sem);
	return 0;

err_empty:
	table_empty(ioas, hwpt, area, first);
	unreserve_locked(ioas, hwpt->reserved);
err_unlock:
	up_write(&ioas->tables_sem);
	return rc;
}

void ioas_remove_table(struct ioas *ioas, struct hwpt *hwpt)
{
	down_write(&ioas->tables_sem);
	list_del(&hwpt->link);
	WRITE_ONCE(ioas->nr_hwpts, ioas->nr_hwpts - 1);
	table_empty(ioas, hwpt, NULL, list_empty(&ioas->hwpts));
	ioas_update_align(ioas);
	unreserve_locked(ioas, hwpt->reserved);
	up_write(&ioas->tables_sem);
}

/*
 * The ioctls
 */

struct ioas *ioas_create(struct iommufd_ctx *ictx)
{
	struct ioas *ioas;

	ioas = iommufd_object_alloc(ictx, sizeof(*ioas), IOMMUFD_OBJECT_IOAS);
	if (IS_ERR(ioas))
		return ioas;
	ioas->ictx = ictx;
	mutex_init(&ioas->attach_lock);
	init_rwsem(&ioas->tables_sem);
	INIT_LIST_HEAD(&ioas->hwpts);
	INIT_LIST_HEAD(&ioas->accesses);
	init_waitqueue_head(&ioas->unpinned);
	ioas->align = 1;
	mutex_init(&ioas->lock);
	iova_space_init(&ioas->space);
	guard_by(&ioas->space.areas.guard, &ioas->lock);
	return ioas;
}

int ioas_ioctl_alloc(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_alloc *cmd = ucmd->cmd;
	struct ioas *ioas;
	int rc;

	if (cmd->flags)
		return reason_flags(ucmd->ictx, "flags", cmd->flags);
	ioas = ioas_create(ucmd->ictx);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);

	cmd->out_ioas_id = ioas->obj.id;
	rc = iommufd_ucmd_respond(ucmd);
	if (rc) {
		iommufd_object_abort(ucmd->ictx, &ioas->obj);
		return rc;
	}
	iommufd_object_publish(ucmd->ictx, &ioas->obj);
	return 0;
}

static void free_ranges(struct rb_root_cached *root)
{
	struct interval_tree_node *node;

	while ((node = interval_tree_iter_first(root, 0, ULONG_MAX))) {
		interval_tree_remove(node, root);
		kfree(container_of(node, struct iova_range, node));
		cond_resched();
	}
}

/* Nobody uses it: there is no page table, and nothing is pinned. */
void ioas_destroy(struct iommufd_object *obj)
{
	struct ioas *ioas = container_of(obj, struct ioas, obj);
	struct area *area;

	WARN_ON(!list_empty(&ioas->hwpts));
	cmpxchg(&ioas->ictx->vfio_ioas_id, ioas->obj.id, 0);
	guard_by(&ioas->space.areas.guard, NULL);
	while ((area = area_first(ioas, 0, ULONG_MAX))) {
		iova_map_remove(&ioas->space.areas, &area->iova);
		area_free(area);
		cond_resched();
	}
	free_ranges(&ioas->space.allowed);
	WARN_ON(!RB_EMPTY_ROOT(&ioas->space.reserved.rb_root));
}

/*
 * Note as many usable ranges as there is room for, and count them all. The
 * reserved ranges hold still for whoever has tables_sem.
 */
static u32 note_usable(struct ioas *ioas, struct iommu_iova_range *ranges,
		       u32 room)
{
	unsigned long from = 0, start, last;
	u32 nr = 0;

	while (iova_space_next_usable(&ioas->space, from, &start, &last)) {
		if (nr < room) {
			ranges[nr].start = start;
			ranges[nr].last = last;
		}
		nr++;
		if (last == ULONG_MAX)
			break;
		from = last + 1;
	}
	return nr;
}

struct iommu_iova_range *ioas_list_usable(struct ioas *ioas, u32 max, u32 *nr,
					  unsigned long *align)
{
	struct iommu_iova_range *ranges;

	if (down_read_killable(&ioas->tables_sem))
		return ERR_PTR(-EINTR);
	max = min(max, note_usable(ioas, NULL, 0));
	ranges = kvcalloc(max, sizeof(*ranges), GFP_KERNEL_ACCOUNT);
	if (ranges) {
		*nr = note_usable(ioas, ranges, max);
		*align = ioas->align;
	} else {
		ranges = ERR_PTR(-ENOMEM);
	}
	up_read(&ioas->tables_sem);
	return ranges;
}

int ioas_ioctl_iova_ranges(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_iova_ranges *cmd = ucmd->cmd;
	struct iommu_iova_range *ranges;
	u32 room = cmd->num_iovas;
	unsigned long align;
	struct ioas *ioas;
	int rc;

	if (cmd->__reserved)
		return reason_flags(ucmd->ictx, "__reserved", cmd->__reserved);
	ioas = ioas_use(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	ranges = ioas_list_usable(ioas, room, &cmd->num_iovas, &align);
	if (IS_ERR(ranges)) {
		rc = PTR_ERR(ranges);
		goto out_unuse;
	}
	cmd->out_iova_alignment = align;
	if (copy_to_user(u64_to_user_ptr(cmd->allowed_iovas), ranges,
			 min(room, cmd->num_iovas) * sizeof(*ranges)))
		rc = -EFAULT;
	else
		rc = iommufd_ucmd_respond(ucmd);
	if (!rc && cmd->num_iovas > room)
		rc = reason_set(ucmd->ictx, -EMSGSIZE,
				"there are %u ranges, and room for %u",
				cmd->num_iovas, room);
	kvfree(ranges);
out_unuse:
	ioas_unuse(ioas);
	return rc;
}

int ioas_sum_tables(struct ioas *ioas, unsigned long *pgsizes, bool *coherent)
{
	struct hwpt *hwpt;

	*pgsizes = ULONG_MAX;
	*coherent = true;
	if (down_read_killable(&ioas->tables_sem))
		return -EINTR;
	list_for_each_entry(hwpt, &ioas->hwpts, link) {
		*pgsizes &= hwpt->limits.pgsizes;
		*coherent &= hwpt->limits.coherent;
	}
	up_read(&ioas->tables_sem);
	return 0;
}

static int read_allowed(struct iommufd_ctx *ictx, struct rb_root_cached *root,
			struct iommu_iova_range __user *in, u32 nr)
{
	struct iommu_iova_range user;
	struct iova_range *range;
	u32 i;
	int rc;

	for (i = 0; i < nr; i++) {
		if (copy_from_user(&user, &in[i], sizeof(user)))
			return -EFAULT;
		if (user.start > user.last)
			return reason_set(ictx, -EINVAL,
					  "range %u starts at 0x%llx, behind its last 0x%llx",
					  i, user.start, user.last);
		range = kzalloc(sizeof(*range), GFP_KERNEL_ACCOUNT);
		if (!range)
			return -ENOMEM;
		range->node.start = user.start;
		range->node.last = user.last;
		rc = iova_allowed_insert(root, range);
		if (rc) {
			kfree(range);
			return reason_set(ictx, rc,
					  "range %u, 0x%llx-0x%llx, meets another one",
					  i, user.start, user.last);
		}
		cond_resched();
	}
	return 0;
}

/* Why iova_space_allow() said no. Under ioas.lock. */
static noinline __cold
int explain_allow(struct ioas *ioas, struct rb_root_cached *allowed, int rc)
{
	struct iova_range *reserved;
	struct rb_node *rb;

	for (rb = rb_first_cached(allowed); rb; rb = rb_next(rb)) {
		struct interval_tree_node *node =
			rb_entry(rb, struct interval_tree_node, rb);

		reserved = first_range(&ioas->space.reserved, node->start,
				       node->last);
		if (reserved)
			return reason_set(ioas->ictx, rc,
					  "range 0x%lx-0x%lx meets the reserved range 0x%lx-0x%lx (%s of %s %u)",
					  node->start, node->last,
					  reserved->node.start,
					  reserved->node.last,
					  reserved->purpose.kind,
					  reserved->purpose.of,
					  reserved->purpose.id);
		cond_resched();
	}
	return rc;
}

int ioas_ioctl_allow_iovas(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_allow_iovas *cmd = ucmd->cmd;
	struct rb_root_cached allowed = RB_ROOT_CACHED;
	struct ioas *ioas;
	int rc;

	if (cmd->__reserved)
		return reason_flags(ucmd->ictx, "__reserved", cmd->__reserved);
	ioas = ioas_use(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	if (cmd->num_iovas > ALLOWED_RANGES_MAX) {
		rc = reason_set(ucmd->ictx, -EINVAL,
				"%u ranges are more than %u", cmd->num_iovas,
				ALLOWED_RANGES_MAX);
		goto out_unuse;
	}
	rc = read_allowed(ucmd->ictx, &allowed,
			  u64_to_user_ptr(cmd->allowed_iovas), cmd->num_iovas);
	if (rc)
		goto out_free;
	if (down_write_killable(&ioas->tables_sem)) {
		rc = -EINTR;
		goto out_free;
	}
	mutex_lock(&ioas->lock);
	rc = iova_space_allow(&ioas->space, &allowed);
	if (rc)
		explain_allow(ioas, &allowed, rc);
	else
		ioas->nr_allowed = cmd->num_iovas;
	mutex_unlock(&ioas->lock);
	up_write(&ioas->tables_sem);
out_free:
	free_ranges(&allowed);		/* the old ones, or those refused */
out_unuse:
	ioas_unuse(ioas);
	return rc;
}

static int prot_of(u32 flags)
{
	return (flags & IOMMU_IOAS_MAP_READABLE ? IOMMU_READ : 0) |
	       (flags & IOMMU_IOAS_MAP_WRITEABLE ? IOMMU_WRITE : 0);
}

#define MAP_FLAGS (IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_WRITEABLE | \
		   IOMMU_IOAS_MAP_READABLE)

/*
 * Map @length bytes from @start on of a file or, without one, of the caller's
 * memory; @flags as of IOMMU_IOAS_MAP. @out, if there is one, is told the IOVA.
 */
static int map_span(struct ioas *ioas, struct file *file, unsigned long start,
		    unsigned long length, u32 flags, unsigned long iova,
		    __u64 __user *out)
{
	int prot = prot_of(flags), rc;
	struct pinned *pinned;
	struct area *area;

	if (file)
		pinned = pinned_alloc_file(ioas->ictx, file, start, length,
					   prot & IOMMU_WRITE);
	else
		pinned = pinned_alloc(ioas->ictx, start, length,
				      prot & IOMMU_WRITE);
	if (IS_ERR(pinned)) {
		rc = PTR_ERR(pinned);
		goto out_trace;
	}
	area = pinned_room(pinned);
	area_init(area, pinned, offset_in_page(start), length, prot, false);
	rc = area_map(ioas, area, start, length, &iova,
		      !(flags & IOMMU_IOAS_MAP_FIXED_IOVA), out);
out_trace:
	if (trace_iommufd_map_enabled())
		trace_iommufd_map(ioas, file ? "file-offset" : "user-va", start,
				  length, flags, iova, rc);
	return rc;
}

/* What MAP, MAP_FILE and COPY ask of a fixed IOVA. */
static int check_fixed(struct iommufd_ctx *ictx, u32 flags, unsigned long iova,
		       unsigned long length)
{
	if (!(flags & IOMMU_IOAS_MAP_FIXED_IOVA) || iova + (length - 1) >= iova)
		return 0;
	return reason_set(ictx, -EOVERFLOW,
			  "0x%lx bytes at IOVA 0x%lx go beyond 2^64", length, iova);
}

/* What MAP and MAP_FILE ask of flags, length and a fixed IOVA. */
static inline int check_map(struct iommufd_ctx *ictx, u32 flags, unsigned long iova,
		     unsigned long length)
{
	if (flags & ~MAP_FLAGS)
		return reason_flags(ictx, "flags", flags & ~MAP_FLAGS);
	if (!prot_of(flags))
		return reason_set(ictx, -EINVAL,
				  "flags name neither READABLE nor WRITEABLE");
	if (!length)
		return reason_set(ictx, -EINVAL, "length is 0");
	return check_fixed(ictx, flags, iova, length);
}

int ioas_ioctl_map(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map __user *user = ucmd->ubuffer;
	struct iommu_ioas_map *cmd = ucmd->cmd;
	struct ioas *ioas;
	int rc;

	if (cmd->__reserved)
		return reason_flags(ucmd->ictx, "__reserved", cmd->__reserved);
	rc = check_map(ucmd->ictx, cmd->flags, cmd->iova, cmd->length);
	if (rc)
		return rc;
	ioas = ioas_use(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = map_span(ioas, NULL, cmd->user_va, cmd->length, cmd->flags,
		      cmd->iova, &user->iova);
	ioas_unuse(ioas);
	return rc;
}

int ioas_ioctl_map_file(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_map_file __user *user = ucmd->ubuffer;
	struct iommu_ioas_map_file *cmd = ucmd->cmd;
	struct ioas *ioas;
	struct file *file;
	int rc;

	rc = check_map(ucmd->ictx, cmd->flags, cmd->iova, cmd->length);
	if (rc)
		return rc;
	ioas = ioas_use(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	file = fget(cmd->fd);
	if (!file) {
		rc = reason_set(ucmd->ictx, -EBADF,
				"no file is open at descriptor %d", cmd->fd);
		goto out_unuse;
	}
	rc = map_span(ioas, file, cmd->start, cmd->length, cmd->flags,
		      cmd->iova, &user->iova);
	fput(file);
out_unuse:
	ioas_unuse(ioas);
	return rc;
}

static u32 flags_of(int prot)
{
	return IOMMU_IOAS_MAP_FIXED_IOVA |
	       (prot & IOMMU_READ ? IOMMU_IOAS_MAP_READABLE : 0) |
	       (prot & IOMMU_WRITE ? IOMMU_IOAS_MAP_WRITEABLE : 0);
}

int ioas_map_user(struct ioas *ioas, unsigned long uptr, unsigned long iova,
		  unsigned long length, int prot)
{
	return map_span(ioas, NULL, uptr, length, flags_of(prot), iova, NULL);
}

/* The area at hand is not ready. */
static noinline __cold
int explain_state(struct ioas *ioas, const struct area *area, int rc)
{
	return reason_set(ioas->ictx, rc,
			  "the mapping 0x%lx-0x%lx is being %s by another ioctl",
			  area->iova.start, area->iova.last,
			  area->state == AREA_FILLING ? "made" : "unmapped");
}

/*
 * New areas for what is mapped at [start, last], which must be without a gap.
 * @prot: what devices may do, 0 for what they may do there.
 */
static int chain_copy(struct ioas *ioas, unsigned long start,
		      unsigned long last, int prot, struct area **chain)
{
	unsigned long from = start, to;
	struct area *area, *copy, **end = chain;
	int rc;

	*chain = NULL;
	mutex_lock(&ioas->lock);
	for (area = area_first(ioas, start, last); ;
	     area = area_next(area, last)) {
		if (!area || area->iova.start > from) {
			rc = reason_set(ioas->ictx, -ENOENT,
					"nothing is mapped at IOVA 0x%lx of IOAS %u",
					from, ioas->obj.id);
			goto err_free;
		}
		if (!area_is_ready(area)) {
			rc = explain_state(ioas, area, -ENOENT);
			goto err_free;
		}
		if ((prot & IOMMU_WRITE) && !area->pinned->writable) {
			rc = reason_set(ioas->ictx, -EPERM,
					"the memory of the mapping 0x%lx-0x%lx was given for reading only",
					area->iova.start, area->iova.last);
			goto err_free;
		}

		to = min(last, area->iova.last);
		rc = -ENOMEM;
		copy = area_alloc(area->pinned, area_offset(area) +
						(from - area->iova.start),
				  to - from + 1, prot ?: area->prot);
		if (!copy)
			goto err_free;
		*end = copy;
		end = &copy->next;
		if (to == last)
			break;
		from = to + 1;
		if (fatal_signal_pending(current)) {
			rc = -EINTR;
			goto err_free;
		}
		cond_resched();
	}
	mutex_unlock(&ioas->lock);
	return 0;

err_free:
	mutex_unlock(&ioas->lock);
	chain_free(*chain);
	return rc;
}

int ioas_ioctl_copy(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_copy __user *user = ucmd->ubuffer;
	struct iommu_ioas_copy *cmd = ucmd->cmd;
	unsigned long iova = cmd->dst_iova, src_last;
	struct area *chain;
	struct ioas *ioas;
	int rc;

	if (cmd->flags & ~MAP_FLAGS)
		return reason_flags(ucmd->ictx, "flags", cmd->flags & ~MAP_FLAGS);
	if (!cmd->length)
		return reason_set(ucmd->ictx, -EINVAL, "length is 0");
	if (check_add_overflow((unsigned long)cmd->src_iova,
			       (unsigned long)cmd->length - 1, &src_last))
		return reason_set(ucmd->ictx, -EOVERFLOW,
				  "0x%llx bytes at source IOVA 0x%llx go beyond 2^64",
				  cmd->length, cmd->src_iova);
	rc = check_fixed(ucmd->ictx, cmd->flags, iova, cmd->length);
	if (rc)
		return rc;

	ioas = ioas_use(ucmd->ictx, cmd->src_ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = chain_copy(ioas, cmd->src_iova, src_last, prot_of(cmd->flags),
			&chain);
	ioas_unuse(ioas);
	if (rc)
		return rc;

	ioas = ioas_use(ucmd->ictx, cmd->dst_ioas_id);
	if (IS_ERR(ioas)) {
		chain_free(chain);
		return PTR_ERR(ioas);
	}
	rc = chain_map(ioas, chain, chain->pinned->uptr + area_offset(chain),
		       cmd->length, &iova,
		       !(cmd->flags & IOMMU_IOAS_MAP_FIXED_IOVA),
		       &user->dst_iova);
	trace_iommufd_map(ioas, "src-iova", cmd->src_iova, cmd->length,
			  cmd->flags, iova, rc);
	ioas_unuse(ioas);
	return rc;
}

/* Mark what is mapped in [start, last] as leaving, and chain it; or nothing. */
static int chain_leave(struct ioas *ioas, unsigned long start,
		       unsigned long last, enum ioas_unmap_mode mode,
		       struct leaving *leaving)
{
	struct area *area, *next;
	int rc = 0;

	mutex_lock(&ioas->lock);
	area = area_first(ioas, start, last);
	if (mode == IOAS_UNMAP_STARTING && area && area->iova.start < start)
		goto out_unlock;
	for (; area; area = next) {
		if (mode == IOAS_UNMAP_WHOLE &&
		    (area->iova.start < start || area->iova.last > last))
			rc = reason_set(ioas->ictx, -ENOENT,
					"IOVAs 0x%lx-0x%lx cut the mapping 0x%lx-0x%lx",
					start, last, area->iova.start,
					area->iova.last);
		else if (!area_is_ready(area))
			rc = explain_state(ioas, area, -EBUSY);
		if (rc)
			goto err_stay;
		area->state = AREA_LEAVING;
		area->next = leaving->chain;
		leaving->chain = area;
		leaving->length += area_length(area);
		leaving->nr++;
		next = NULL;
		if (area->iova.last < last) {
			next = area_next(area, last);
			if (fatal_signal_pending(current)) {
				rc = -EINTR;
				goto err_stay;
			}
			cond_resched();
		}
	}
out_unlock:
	mutex_unlock(&ioas->lock);
	return rc;

err_stay:
	for (area = leaving->chain; area; area = chain_next(area))
		area->state = AREA_READY;
	mutex_unlock(&ioas->lock);
	return rc;
}

/* Of an area that is leaving: the count can only fall. */
static bool area_is_unpinned(struct area *area)
{
	/* Pairs with the release in area_let_go(), the last that it does to it. */
	return !smp_load_acquire(&area->nr_pins);
}

/*
 * Have accesses let go of areas that are leaving. Nobody can pin there any more;
 * a pin that is under way gives up by itself, but may wait for user memory. So
 * may one of an access that has left the address space meanwhile.
 */
static int chain_unpin(struct ioas *ioas, struct area *chain)
{
	struct access_link *link;
	struct area *area;
	int rc;

	for (area = chain; area; area = chain_next(area)) {
		if (area_is_unpinned(area))
			continue;
		list_for_each_entry(link, &ioas->accesses, link)
			access_unmapped(link->access, area->iova.start,
					area_length(area));
		rc = wait_event_killable(ioas->unpinned,
					 area_is_unpinned(area));
		if (rc)
			return -EINTR;
	}
	return 0;
}

/*
 * Between two looks at whether we are killed go so many areas: some milliseconds.
 * To begin with that has its price, as areas must then leave the tree one by one
 * though all are going: what ends within a tenth of a second is done at once.
 */
#define UNMAP_BURST	4096
#define UNMAP_AT_ONCE	65536	/* entered in one page table */

/* The first areas of what is left to be unmapped, of which there are more. */
static void leaving_cut(struct leaving *rest, struct leaving *burst)
{
	struct area *last = rest->chain;

	burst->chain = rest->chain;
	burst->length = area_length(last);
	for (burst->nr = 1; burst->nr < UNMAP_BURST; burst->nr++) {
		last = chain_next(last);
		burst->length += area_length(last);
	}
	rest->chain = last->next;
	rest->nr -= burst->nr;
	rest->length -= burst->length;
	last->next = NULL;
}

/* Unmap very many, and count the bytes. When killed, ready what is left. */
static noinline __cold
int leaving_remove(struct ioas *ioas, struct leaving *rest, u64 *length)
{
	struct leaving burst;
	int rc = 0, rc_burst;

	while (rest->nr > UNMAP_BURST) {
		leaving_cut(rest, &burst);
		rc_burst = chain_remove(ioas, &burst);
		if (rc_burst)
			rc = rc_burst;
		else
			*length += burst.length;
		if (fatal_signal_pending(current)) {
			chain_ready(ioas, rest->chain);
			return -EINTR;
		}
	}
	rc_burst = chain_remove(ioas, rest);
	if (rc_burst)
		return rc_burst;
	*length += rest->length;
	return rc;
}

/* Told first: to take away cannot fail, but nor can it be undone. */
int ioas_unmap(struct ioas *ioas, unsigned long start, unsigned long last,
	       enum ioas_unmap_mode mode, u64 *length, u64 __user *told)
{
	struct leaving leaving = { };
	int rc;

	if (down_read_killable(&ioas->tables_sem))
		return -EINTR;
	rc = chain_leave(ioas, start, last, mode, &leaving);
	if (rc || !leaving.chain)
		goto out_unlock;
	if (told)
		rc = put_user(leaving.length, told);
	if (!rc)
		rc = chain_unpin(ioas, leaving.chain);
	if (rc) {
		chain_ready(ioas, leaving.chain);
		goto out_unlock;
	}
	if (unlikely(leaving.nr > UNMAP_BURST &&
		     leaving.nr * max(ioas->nr_hwpts, 1U) > UNMAP_AT_ONCE)) {
		rc = leaving_remove(ioas, &leaving, length);
		goto out_unlock;
	}
	rc = chain_remove(ioas, &leaving);
	if (!rc)
		*length += leaving.length;
out_unlock:
	up_read(&ioas->tables_sem);
	return rc;
}

int ioas_settle(struct ioas *ioas)
{
	/* Whoever asks again and again has to end when it is killed. */
	if (fatal_signal_pending(current))
		return -EINTR;
	if (down_write_killable(&ioas->tables_sem))
		return -EINTR;
	up_write(&ioas->tables_sem);
	return 0;
}

int ioas_ioctl_unmap(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_unmap __user *user = ucmd->ubuffer;
	struct iommu_ioas_unmap *cmd = ucmd->cmd;
	unsigned long start = cmd->iova, last;
	u64 length = 0;
	struct ioas *ioas;
	int rc;

	/* The whole space is spelled 0 to 2^64 - 1, a byte short of itself. */
	if (!start && cmd->length == ULONG_MAX)
		last = ULONG_MAX;
	else if (!cmd->length)
		return reason_set(ucmd->ictx, -EINVAL, "length is 0");
	else if (check_add_overflow(start, (unsigned long)cmd->length - 1,
				    &last))
		return reason_set(ucmd->ictx, -EOVERFLOW,
				  "0x%llx bytes at IOVA 0x%lx go beyond 2^64",
				  cmd->length, start);

	ioas = ioas_use(ucmd->ictx, cmd->ioas_id);
	if (IS_ERR(ioas))
		return PTR_ERR(ioas);
	rc = ioas_unmap(ioas, start, last, IOAS_UNMAP_WHOLE, &length,
			&user->length);
	if (!rc && !length) {	/* nothing there, nothing told */
		if (start || last != ULONG_MAX)
			rc = reason_set(ioas->ictx, -ENOENT,
					"nothing is mapped in 0x%lx-0x%lx of IOAS %u",
					start, last, ioas->obj.id);
		else
			rc = put_user(length, &user->length);
	}
	trace_iommufd_unmap(ioas, start, last, length, rc);
	ioas_unuse(ioas);
	return rc;
}

int ioas_ioctl_change_process(struct iommufd_ucmd *ucmd)
{
	struct iommu_ioas_change_process *cmd = ucmd->cmd;

	if (cmd->__reserved)
		return -EOPNOTSUPP;
	return pin_owner_change_process(ucmd->ictx);
}

int ioas_init(void)
{
	area_cache = KMEM_CACHE(area, SLAB_ACCOUNT);
	if (!area_cache)
		return -ENOMEM;
	area_part_cache = KMEM_CACHE(area_part, SLAB_ACCOUNT);
	if (!area_part_cache)
		goto err_area_cache;
	return 0;

err_area_cache:
	kmem_cache_destroy(area_cache);
	return -ENOMEM;
}

void ioas_uninit(void)
{
	kmem_cache_destroy(area_part_cache);
	kmem_cache_destroy(area_cache);
}
