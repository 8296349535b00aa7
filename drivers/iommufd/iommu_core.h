/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The boundary to the kernel's IOMMU layer: every call into it, and every fact
 * about 6.1 that the rest should not know. docs/kernel-6.1.md explains them.
 */
#ifndef IOMMUFD_IOMMU_CORE_H
#define IOMMUFD_IOMMU_CORE_H

#include <linux/iommu.h>
#include <linux/mm.h>
#include <linux/types.h>
#include <uapi/linux/iommufd.h>

#include "runs.h"

/* Not by a shift of the bit-field, which is an int. */
static inline unsigned long run_bytes(const struct run *run)
{
	return PAGE_SIZE * run->nr;
}

struct bus_type;
struct device;
struct scatterlist;

/* What the unit that serves a group can do, read while a table is attached. */
struct core_limits {
	unsigned long iova_first, iova_last;	/* aperture */
	unsigned long pgsizes;
	bool coherent;		/* snooping can be enforced */
};

/**
 * core_group_claim - take the DMA of a group away from the kernel
 * @group: group
 * @owner: any pointer of the caller's, not NULL
 *
 * Afterwards the group is parked: on a table that translates nothing. It stays
 * there as far as the IOMMU core knows, until core_group_release().
 *
 * Return: 0, -EPERM when another owner has it or its devices may not leave the
 * kernel, -EBUSY when a kernel driver uses one of them, -ENOMEM.
 */
int core_group_claim(struct iommu_group *group, void *owner);
void core_group_release(struct iommu_group *group);

/* The name of a device of the group that a kernel driver does DMA with. */
bool core_group_user(struct iommu_group *group, char *name, size_t size);

/* The table that a claimed group is parked on. */
struct iommu_domain *core_parked(struct device *dev);

/**
 * core_group_move - make all devices of a group translate through a table
 * @group: claimed group
 * @to: the table
 * @back: where the group is, to go back to when a device cannot move
 *
 * Nobody may map, unmap or flush in either table meanwhile: 6.1's drivers change
 * what those walk.
 *
 * Return: 0; or an errno with no device on @to, and all on @back. One that could
 * not even go back is on no table: its DMA is blocked, and that is logged.
 */
int core_group_move(struct iommu_group *group, struct iommu_domain *to,
		    struct iommu_domain *back);

/* The same for one device that the group got after it had moved. */
int core_device_move(struct iommu_group *group, struct device *dev,
		     struct iommu_domain *to, struct iommu_domain *back);

/* Leave a table for the parked one, or for none at all, which is logged. */
void core_group_park(struct iommu_group *group, struct iommu_domain *parked);

/* Where the device's unit can translate, off the table it is parked on. */
void core_read_limits(struct iommu_domain *domain, struct core_limits *limits);

struct iommu_domain *core_domain_alloc(struct bus_type *bus);
void core_domain_free(struct iommu_domain *domain);

/*
 * Finish a table for a parked group: 6.1's Intel driver learns the unit's page
 * sizes, width and coherency when a device is attached, and uses them for what
 * is mapped afterwards. So attach once, ask for coherency, and go back.
 */
int core_domain_finish(struct iommu_domain *domain, struct iommu_group *group,
		       struct iommu_domain *parked, struct core_limits *limits);

/* The same without an attach, for a group that cannot be interrupted. */
int core_domain_presume(struct iommu_domain *domain,
			const struct core_limits *limits);

/* Software-managed MSI window at @base, where the platform has one. */
int core_domain_msi_window(struct iommu_domain *domain, phys_addr_t base);

/*
 * The IOMMU that serves a device, to compare: one table suits one unit. NULL when
 * there is none.
 */
const void *core_unit(struct device *dev);

/* Can the device's interrupts reach only what they were set up for? */
bool core_interrupts_isolated(struct device *dev);

/* Does every table of the device's unit enforce coherency? False: not known. */
bool core_enforces_coherency(struct device *dev);

/* Is DMA of the device coherent with the CPU's caches? */
bool core_dma_coherent(struct device *dev);

/* In the words of struct iommu_hw_info; type NONE where nothing is known. */
struct core_hw_info {
	u32 type;
	u32 length;
	union {
		struct iommu_hw_info_vtd vtd;
		u32 words[2];	/* of a fake device */
	} data;
};

void core_hw_info(struct device *dev, struct core_hw_info *info);

/**
 * core_map - map physical runs at consecutive IOVAs
 * @domain: table
 * @iova: of the first byte
 * @runs: pages, @nr entries
 * @offset: bytes of the first page to skip
 * @length: bytes to map; at most what @runs has behind @offset
 * @prot: IOMMU_READ, IOMMU_WRITE, ...
 * @granule: largest piece to map at once: ULONG_MAX, or a page size where
 *	large pages are not wanted
 * @sg: scratch, @nr_sg entries
 *
 * Return: 0; or -ENOMEM, ... with nothing mapped.
 */
int core_map(struct iommu_domain *domain, unsigned long iova,
	     const struct run *runs, unsigned int nr, unsigned long offset,
	     unsigned long length, int prot, unsigned long granule,
	     struct scatterlist *sg, unsigned int nr_sg);

/* The same for one run, and without scratch. */
int core_map_one(struct iommu_domain *domain, unsigned long iova,
		 phys_addr_t phys, size_t length, int prot);

/*
 * Unmapping: begin, any number of ranges, end. The pages must not be let go of
 * before end has flushed, and not at all when it answers false: a range was not
 * mapped as it should have been (this warns).
 */
struct core_unmap {
	struct iommu_domain *domain;
	struct iommu_iotlb_gather gather;
	unsigned long start, last;	/* of what is not flushed yet */
	unsigned long length;		/* of it, without the gaps */
	bool ok;
};

void core_unmap_begin(struct core_unmap *unmap, struct iommu_domain *domain);
void core_unmap_range(struct core_unmap *unmap, unsigned long iova,
		      unsigned long length);
bool core_unmap_end(struct core_unmap *unmap);

/* All three for one range. */
bool core_unmap(struct iommu_domain *domain, unsigned long iova,
		unsigned long length);

/* Calls @fn for each reserved region of the group; stops on an errno. */
int core_for_each_reserved(struct iommu_group *group,
			   int (*fn)(void *arg,
				     const struct iommu_resv_region *region),
			   void *arg);

#endif
