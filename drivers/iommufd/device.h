/* SPDX-License-Identifier: GPL-2.0 */
/* Devices that were handed to a context, and their IOMMU groups. */
#ifndef IOMMUFD_DEVICE_H
#define IOMMUFD_DEVICE_H

#include <linux/list.h>
#include <linux/mutex.h>

#include "iommu_core.h"
#include "object.h"

struct hwpt;
struct hwpt_table;
struct iova_range;

/* What an address space must keep free for a group, as the driver told it. */
struct group_ranges {
	struct iova_range *chain;
	unsigned long nr_changes;	/* of the group, when it was asked; 0: not yet */
};

/*
 * An IOMMU group whose DMA the context owns. All its devices translate through
 * one table: the attached one, or the parked one, which translates nothing.
 */
struct device_group {
	struct iommufd_ctx *ictx;
	struct list_head link;		/* ictx.groups; ictx.groups_lock */
	struct list_head devices;	/* ictx.groups_lock */
	unsigned long nr_changes;	/* of devices; read with group_ranges */
	struct iommu_group *group;
	struct bus_type *bus;
	const void *unit;		/* the IOMMU that serves it */
	bool dma_coherent;
	struct iommu_domain *parked;
	bool has_sw_msi;
	phys_addr_t sw_msi;

	atomic_t nr_coherent;		/* devices that require coherency */

	struct mutex lock;		/* everything below */
	struct hwpt *hwpt;		/* NULL: parked */
	u32 hwpt_id, ioas_id;		/* of it, or 0; read without lock */
	unsigned int nr_attached;	/* devices */
	struct core_limits limits;	/* of the unit */
	struct hwpt_table *spare;	/* finished, empty; or NULL */
	/*
	 * To ask takes as long as to move. So they are kept: those that the address
	 * space of hwpt has, and others for the one that comes next, which has to
	 * have them before the group comes.
	 */
	struct group_ranges here, next;
};

struct iommufd_device {
	struct iommufd_object obj;
	struct iommufd_ctx *ictx;	/* a reference */
	struct device_group *dgroup;
	struct list_head link;		/* device_group.devices */
	struct device *dev;
	bool attached;			/* device_group.lock */
	bool coherent;			/* must be enforced; counts in nr_coherent */
};

void iommufd_device_destroy(struct iommufd_object *obj);

#endif
