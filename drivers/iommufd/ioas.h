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
struct iommufd_ucmd;
struct pinned;

/*
 * A mapping. It is in the tree from the moment its IOVA is chosen, so that
 * nobody else takes that, but only a ready one can be unmapped or copied. It is
 * a consumer of its pages while the address space has a page table.
 */
struct area {
	struct iova_node iova;			/* ioas.lock */
	struct interval_tree_node pages;	/* constant start, last */
	struct pinned *pinned;			/* one reference */
	struct area *next;			/* private to who maps, unmaps */
	unsigned short page_offset;		/* of byte 0 in its page */
	u8 prot;				/* IOMMU_READ, IOMMU_WRITE */
	u8 state;				/* ioas.lock */
	unsigned int nr_pins;			/* ioas.lock; by accesses */
};

/* Byte of the span where the area begins. */
static inline unsigned long area_offset(const struct area *area)
{
	return (area->pages.start << PAGE_SHIFT) + area->page_offset;
}

enum area_state {
	AREA_FILLING,
	AREA_READY,
	AREA_LEAVING,
};

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

	struct mutex lock;		/* short: the trees in space */
	struct iova_space space;
	wait_queue_head_t unpinned;	/* some area's nr_pins became 0 */
};

/* Areas in order, under ioas.lock or with tables_sem for writing. */
struct area *area_first(struct ioas *ioas, unsigned long start,
			unsigned long last);
struct area *area_next(struct area *area, unsigned long last);

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
 * Keep a range out of the address space on behalf of @owner; unreserve takes
 * back all of an owner's. @purpose is for texts. 0, -EADDRINUSE, -ENOMEM, -EINTR.
 */
int ioas_reserve(struct ioas *ioas, unsigned long start, unsigned long last,
		 const void *owner, const struct iova_purpose *purpose);
void ioas_unreserve(struct ioas *ioas, const void *owner);

#endif
