/* SPDX-License-Identifier: GPL-2.0 */
/* A hardware page table: one iommu_domain under an address space. */
#ifndef IOMMUFD_HWPT_H
#define IOMMUFD_HWPT_H

#include <linux/list.h>
#include <linux/rwsem.h>
#include <uapi/linux/iommufd.h>

#include "iommu_core.h"
#include "iova.h"
#include "object.h"
#include "table_account.h"

struct area;
struct device_group;
struct ioas;
struct iommufd_ucmd;
struct pin_batch;

/* A domain and what it takes, whatever address space it is under, or none. */
struct hwpt_table {
	struct iommu_domain *domain;
	struct table_account account;
};

struct hwpt {
	struct iommufd_object obj;
	struct ioas *ioas;		/* a user of it */
	struct list_head link;		/* ioas.hwpts; ioas.tables_sem */
	struct hwpt_table *table;
	struct iommu_domain *domain;	/* of the table */
	/*
	 * Read to map, unmap, flush; write to move a group to or from the table,
	 * during which drivers change what the others walk. Never held to pin.
	 */
	struct rw_semaphore move_sem;
	const void *unit;		/* that it was made for */
	struct core_limits limits;
	int cache_prot;			/* IOMMU_CACHE where DMA is coherent */
	bool automatic;			/* goes with its last group */
	bool finished;			/* attached once; set by hwpt_move() */
	bool broken;			/* holds what it should not: never again */
	bool dead;			/* ioas.attach_lock: found too late */
	unsigned int nr_groups;		/* ioas.attach_lock; each is a user */
	/* Where it cannot translate, kept free in ioas. */
	struct iova_range *reserved;	/* a chain of these */
	struct iova_range beyond[2];
};

/**
 * hwpt_get_auto - the page table of an address space for a group
 * @ioas: used by the caller
 * @dgroup: locked
 *
 * Return: a table that suits, shared or new, to be given back by hwpt_put(); or
 * ERR_PTR().
 */
struct hwpt *hwpt_get_auto(struct ioas *ioas, struct device_group *dgroup);

/* A table by itself. -ENOENT when it has just gone, -EINVAL when unsuitable. */
int hwpt_get(struct hwpt *hwpt, struct device_group *dgroup);

/* Move the group to a table it got, from where it is. As core_group_move(). */
int hwpt_move(struct hwpt *hwpt, struct device_group *dgroup);

/* Park the group, which is on the table. Cannot fail. */
void hwpt_park(struct hwpt *hwpt, struct device_group *dgroup);

/* Bring one device of the group to the table that the group is on already. */
int hwpt_move_device(struct hwpt *hwpt, struct device_group *dgroup,
		     struct device *dev);

/* core_map() into the table. */
int hwpt_map(struct hwpt *hwpt, unsigned long iova, const struct run *runs,
	     unsigned int nr, unsigned long skip, unsigned long length,
	     int prot, struct pin_batch *scratch);

/* core_map_one() into the table, of a page or a part of one. */
int hwpt_map_page(struct hwpt *hwpt, unsigned long iova, phys_addr_t phys,
		  unsigned long length, int prot);

/*
 * Unmap a chain of areas, or the first @length bytes at @iova. False: it was not
 * all there.
 */
bool hwpt_unmap_areas(struct hwpt *hwpt, struct area *chain);
bool hwpt_unmap(struct hwpt *hwpt, unsigned long iova, unsigned long length);

/* The group has left the table. An automatic one goes with its last group. */
void hwpt_put(struct hwpt *hwpt, struct device_group *dgroup);

/*
 * Have a finished table at hand, and learn what the unit can do. The group is
 * parked and nobody else knows it. 0 or an errno.
 */
int hwpt_make_spare(struct device_group *dgroup);
void hwpt_free_spare(struct device_group *dgroup);

/*
 * What IOMMU_HWPT_ALLOC takes: the struct as later kernels have it, which passes
 * data of the hardware's kind.
 */
struct hwpt_alloc_arg {
	struct iommu_hwpt_alloc cmd;
	__u32 data_type;
	__u32 data_len;
	__aligned_u64 data_uptr;
	__u32 fault_id;
	__u32 __reserved2;
};

int hwpt_ioctl_alloc(struct iommufd_ucmd *ucmd);
void hwpt_destroy(struct iommufd_object *obj);

#endif
