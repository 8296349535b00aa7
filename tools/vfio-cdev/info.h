/* SPDX-License-Identifier: GPL-2.0 */
/*
 * All that "info" knows about a function. Gathered by info.c, printed by
 * info-text.c or info-json.c. What could not be read is a gap with its reason;
 * the part that it concerns is empty then.
 */
#ifndef VFIO_CDEV_INFO_H
#define VFIO_CDEV_INFO_H

#include "tool.h"

/* BARs and ROM in sysfs; VFIO's regions are in front of all others, too. */
#define NR_RESOURCES 7

/**
 * struct info_region - a region
 * @index: VFIO's index
 * @region: VFIO's description; without VFIO only @size and @flags 0
 * @is_io: port space (sysfs)
 * @is_64bit: 64-bit BAR (sysfs)
 * @is_prefetchable: prefetchable BAR (sysfs)
 */
struct info_region {
	uint32_t index;
	struct vcdev_region region;
	bool is_io, is_64bit, is_prefetchable;
};

struct info_irq {
	uint32_t index;
	struct vcdev_irq irq;
};

struct info_reserved {
	uint64_t start, last;
	char type[32];
};

/**
 * struct info_gap - something that could not be read
 * @what: which part
 * @err: why, and what to do
 */
struct info_gap {
	const char *what;
	struct vcdev_error err;
};

#define MAX_GAPS 8

struct info {
	struct vcdev_pci pci;
	char vendor[128], device[128], class_name[128];
	struct vcdev_pci *members;		/* of the group, this one too */
	size_t nr_members;
	struct vcdev_holder *holders;
	size_t nr_holders;
	struct pci_layout layout;
	bool has_vfio;				/* regions and irqs are VFIO's */
	struct vcdev_dev_info dev_info;		/* if has_vfio */
	struct info_region *regions;
	size_t nr_regions;
	struct info_irq *irqs;
	size_t nr_irqs;
	char reset_methods[128];		/* as sysfs has them, "" for none */
	char iommu[64];				/* name of the unit, "" if unknown */
	bool has_iommu;				/* the two below */
	struct vcdev_hw_info hw_info;
	uint64_t pgsizes;			/* bits, 0 if the kernel does not say */
	bool has_features;
	uint64_t features;			/* bit N for VFIO's feature N */
	struct vcdev_reset_function *reset_set;	/* what a hot reset takes along */
	size_t nr_reset_set;
	struct vcdev_iova_range *iovas;
	size_t nr_iovas;
	uint64_t iova_alignment;		/* bytes */
	struct info_reserved *reserved;
	size_t nr_reserved;
	struct info_gap gaps[MAX_GAPS];
	size_t nr_gaps;
};

const char *info_region_name(uint32_t index, char buf[16]);
const char *info_irq_name(uint32_t index, char buf[16]);
/* Name of a feature in the field's words, or NULL for one without. */
const char *info_feature_name(unsigned int feature);

int info_print_text(const struct info *info);
int info_print_json(const struct info *info);

/* info-mdev.c: the same of a mediated device. Returns 0 or a negative errno. */
int info_mdev(const struct vcdev_mdev *mdev, bool json);

#endif
