/* SPDX-License-Identifier: GPL-2.0 */
/*
 * An I/O address space: which IOVAs lead to which memory, whatever page tables
 * put that into effect.
 */
#ifndef IOMMUFD_IOAS_H
#define IOMMUFD_IOAS_H

#include <linux/interval_tree.h>
#include <linux/mutex.h>
#include <linux/rwsem.h>

#include "iova.h"
#include "object.h"

struct hwpt;
struct access_link;
struct iommu_iova_range;
struct iommufd_ucmd;
struct pinned;

/*
 * A mapping. It is in the tree from the moment its IOVA is chosen, so that
 * nobody else takes that, but only a ready one can be unmapped or copied. It is
 * a consumer of its pages while the address space has a page table: of all pages
 * of the span, unless it is a part of struct area_part.
 */
struct area {
	struct iova_node iova;			/* ioas.lock */
	struct pinned *pinned;			/* one reference */
	struct area *next;			/* private to who maps, unmaps */
	/* Constant. */
	unsigned short page_offset : 12;	/* of byte 0 in its page */
	unsigned short is_part : 1;
	unsigned short unused : 3;		/* so that three are one store */
	u8 prot;				/* IOMMU_READ, IOMMU_WRITE */
	u8 state;				/* ioas.lock, see chain_ready() */
	unsigned int nr_pins;			/* ioas.lock; by accesses */
};

/* Of some pages of the span, as IOMMU_IOAS_COPY makes it. */
struct area_part {
	struct area area;
	struct interval_tree_node pages;	/* constant start, last */
};

/* NULL: the area has all pages of its span. */
static inline struct interval_tree_node *area_part(struct area *area)
{
	return area->is_part ?
	       &container_of(area, struct area_part, area)->pages : NULL;
}

/* Page of the span where the area begins. */
static inline unsigned long area_first_page(const struct area *area)
{
	return area->is_part ?
	       container_of(area, struct area_part, area)->pages.start : 0;
}

/* Byte of the span where the area begins. */
static inline unsigned long area_offset(const struct area *area)
{
	return (area_first_page(area) << PAGE_SHIFT) + area->page_offset;
}

enum area_state {
	AREA_FILLING,
	AREA_READY,
	AREA_LEAVING,
};

/* Under ioas.lock. */
static inline bool area_is_ready(const struct area *area)
{
	/* Pairs with the release in chain_ready(). */
	return smp_load_acquire(&area->state) == AREA_READY;
}

static inline unsigned long area_length(const struct area *area)
{
	return area->iova.last - area->iova.start + 1;
}

struct ioas {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;

	/*
	 * Page tables come, are shared and go under this one. Protects
	 * hwpt.nr_groups and, together with tables_sem for writing, hwpts.
	 */
	struct mutex attach_lock;

	/*
	 * Held for reading by whatever changes areas, from before their IOVA is
	 * taken until they are ready or gone. Held for writing to change
	 * hwpts, align, and the reserved and allowed ranges: there are only
	 * ready areas then.
	 */
	struct rw_semaphore tables_sem;
	struct list_head hwpts;
	struct list_head accesses;	/* struct access_link.link */
	unsigned int nr_hwpts, nr_accesses;	/* read without lock, to show */
	unsigned long align;		/* of IOVA, length, user address */
	bool small_pages;		/* no large pages in the tables */
	u32 nr_allowed;			/* ranges */

	struct mutex lock;		/* short: the trees in space, unmap counts */
	struct iova_space space;
	unsigned long nr_unmaps;	/* areas that were, to show */
	u64 unmapped;			/* their bytes; may wrap */
	wait_queue_head_t unpinned;	/* some area's nr_pins became 0 */
};

/* Areas in order, under ioas.lock or with tables_sem for writing. */
struct area *area_first(struct ioas *ioas, unsigned long start,
			unsigned long last);
struct area *area_next(struct area *area, unsigned long last);

/* A new one, empty, to be published. ERR_PTR() as iommufd_object_alloc(). */
struct ioas *ioas_create(struct iommufd_ctx *ictx);

struct ioas *ioas_use(struct iommufd_ctx *ictx, u32 id);
void ioas_unuse(struct ioas *ioas);

/*
 * Somebody looks into the address space without a page table. 0; -EADDRINUSE
 * when the access needs pages and a mapping does not consist of such; -EINTR.
 */
int ioas_add_access(struct ioas *ioas, struct access_link *link);
void ioas_remove_access(struct ioas *ioas, struct access_link *link);

/*
 * Use no large IOMMU pages, so that any page-aligned part of a mapping can be
 * unmapped (type1 v1). 0; -EADDRINUSE when something mapped is not page aligned;
 * -EINVAL when there are page tables; -EINTR.
 */
int ioas_set_small_pages(struct ioas *ioas, bool small);

/**
 * ioas_list_usable - the ranges that are not reserved, whole
 * @ioas: used by the caller
 * @max: how many to list
 * @nr: how many there are
 * @align: what a mapping must be aligned to
 *
 * Return: the first of them, to be given to kvfree(), or ERR_PTR() of -ENOMEM,
 * -EINTR.
 */
struct iommu_iova_range *ioas_list_usable(struct ioas *ioas, u32 max, u32 *nr,
					  unsigned long *align);

/*
 * What all page tables can do, and without any everything: page sizes, one bit
 * each; is coherency enforced? 0 or -EINTR.
 */
int ioas_sum_tables(struct ioas *ioas, unsigned long *pgsizes, bool *coherent);

/*
 * Map @length bytes of the caller's memory at @iova. What iova_space_check(),
 * pinned_alloc() and pinned_add() answer; -EINVAL for what is not aligned;
 * -EINTR.
 */
int ioas_map_user(struct ioas *ioas, unsigned long uptr, unsigned long iova,
		  unsigned long length, int prot);

/* Which areas that touch a range are unmapped, and always as a whole. */
enum ioas_unmap_mode {
	IOAS_UNMAP_WHOLE,	/* all; one not wholly in the range: -ENOENT */
	IOAS_UNMAP_STARTING,	/* all, but none if the first begins before it */
};

/*
 * Unmap, and add how many bytes to @length: none when nothing is mapped there.
 * -EBUSY when something there is being mapped or unmapped; -EINTR; -EIO. Nothing
 * has changed then, but when the caller is killed amid very many areas: some are
 * unmapped, the others are not, and @length tells. With @told userspace is told
 * before anything that is there is unmapped: -EFAULT.
 */
int ioas_unmap(struct ioas *ioas, unsigned long start, unsigned long last,
	       enum ioas_unmap_mode mode, u64 *length, u64 __user *told);

/* Wait until no map or unmap is under way that was when called. 0 or -EINTR. */
int ioas_settle(struct ioas *ioas);

int ioas_init(void);
void ioas_uninit(void);
void ioas_destroy(struct iommufd_object *obj);

int ioas_ioctl_alloc(struct iommufd_ucmd *ucmd);
int ioas_ioctl_iova_ranges(struct iommufd_ucmd *ucmd);
int ioas_ioctl_allow_iovas(struct iommufd_ucmd *ucmd);
int ioas_ioctl_map(struct iommufd_ucmd *ucmd);
int ioas_ioctl_map_file(struct iommufd_ucmd *ucmd);
int ioas_ioctl_copy(struct iommufd_ucmd *ucmd);
int ioas_ioctl_unmap(struct iommufd_ucmd *ucmd);
int ioas_ioctl_change_process(struct iommufd_ucmd *ucmd);

/**
 * ioas_add_table - put a page table under an address space
 * @ioas: used by the caller
 * @hwpt: finished, empty
 *
 * Narrows the address space to what the table can translate and fills the table
 * with what is mapped.
 *
 * Return: 0; -EADDRINUSE when a mapping or an allowed range does not fit; or why
 * the memory could not be pinned or mapped. Nothing has changed then.
 */
int ioas_add_table(struct ioas *ioas, struct hwpt *hwpt);

/* The opposite; the table is empty afterwards. Cannot fail. */
void ioas_remove_table(struct ioas *ioas, struct hwpt *hwpt);

/*
 * Keep a chain of ranges out of the address space: 0; or, with none of them
 * reserved, -EADDRINUSE, -EINTR. They belong to it until they are taken back, which
 * cannot fail.
 */
int ioas_reserve(struct ioas *ioas, struct iova_range *chain);
void ioas_unreserve(struct ioas *ioas, struct iova_range *chain);

#endif
