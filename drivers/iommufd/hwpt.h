/* SPDX-License-Identifier: GPL-2.0 */
/* A hardware page table: one iommu_domain under an address space. */
#ifndef IOMMUFD_HWPT_H
#define IOMMUFD_HWPT_H

#include <linux/list.h>

#include "iommu_core.h"
#include "object.h"

struct area;
struct device_group;
struct ioas;
struct iommufd_ucmd;

struct hwpt {
	struct iommufd_object obj;
	struct ioas *ioas;		/* a user of it */
	struct list_head link;		/* ioas.hwpts; ioas.tables_sem */
	struct iommu_domain *domain;
	const void *unit;		/* that it was made for */
	struct core_limits limits;
	int cache_prot;			/* IOMMU_CACHE where DMA is coherent */
	bool automatic;			/* goes with its last group */
	bool finished;			/* has been attached once */
	bool dead;			/* ioas.attach_lock: found too late */
	unsigned int nr_groups;		/* ioas.attach_lock */
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

/* The group has left the table. An automatic one goes with its last group. */
void hwpt_put(struct hwpt *hwpt, struct device_group *dgroup);

/* Have a finished table at hand; the group is parked. 0 or an errno. */
int hwpt_make_spare(struct device_group *dgroup);

int hwpt_ioctl_alloc(struct iommufd_ucmd *ucmd);
void hwpt_destroy(struct iommufd_object *obj);

#endif
