/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Contexts as their fdinfo shows them (docs/fdinfo.md): a copy at one moment.
 *
 * Lists of mappings, reserved and allowed ranges are as long as the kernel shows them
 * (32 for each IOAS); the sums of an IOAS count all.
 */
#ifndef VFIO_CDEV_CONTEXTS_H
#define VFIO_CDEV_CONTEXTS_H

#include "tool.h"

/* A line "mapping", "reserved" or "allowed": @last is inclusive. */
enum range_kind { RANGE_MAPPING, RANGE_RESERVED, RANGE_ALLOWED };

/**
 * struct range - some IOVAs of an IOAS
 * @kind: what they are
 * @ioas: ID of the IOAS
 * @start: first
 * @last: last, inclusive
 * @text: of a mapping "rw", else the kind of a reserved range ("msi")
 * @state: of a mapping: "ready", "filling", "leaving"
 * @where: of a mapping: "user-va=0x..." or "file-offset=..."; of a reserved range
 *	whose it is: "group=7"
 */
struct range {
	enum range_kind kind;
	uint32_t ioas;
	uint64_t start, last;
	char text[16], state[16], where[48];
};

/**
 * struct ioas - an address space
 * @id: its ID
 * @mapped: bytes
 * @pinned: bytes
 * @align: bytes
 * @mappings: number of all
 * @hwpts: number of page tables
 * @accesses: number of in-kernel users
 * @is_cut: there is more than the ranges that are listed
 * @is_counted: the kernel counts maps and unmaps, the four below
 * @maps: that were done so far
 * @unmaps: mappings that were unmapped so far
 * @map_bytes: of @maps
 * @unmap_bytes: of @unmaps
 */
struct ioas {
	uint32_t id;
	uint64_t mapped, pinned, align, mappings;
	uint32_t hwpts, accesses;
	bool is_cut, is_counted;
	uint64_t maps, unmaps, map_bytes, unmap_bytes;
};

/**
 * struct hwpt - a page table
 * @id: its ID
 * @ioas: the IOAS that fills it
 * @groups: on it
 * @kind: "automatic", "manual"
 * @first: of its aperture
 * @last: of its aperture, inclusive
 * @pgsizes: a bit for each size of a page
 * @coherent: snooping is enforced
 * @broken: had not what it should
 */
struct hwpt {
	uint32_t id, ioas, groups;
	char kind[16];
	uint64_t first, last, pgsizes;
	bool coherent, broken;
};

/**
 * struct device - a bound device, or an in-kernel user of an IOAS (@is_access)
 * @id: its ID
 * @ioas: attached to; 0 for none
 * @hwpt: likewise
 * @group: IOMMU group, -1 if unknown
 * @name: its name on its bus, "" if unknown
 * @is_access: an emulated device
 */
struct device {
	uint32_t id, ioas, hwpt;
	int group;
	char name[VCDEV_NAME_LEN];
	bool is_access;
};

struct failure {
	uint64_t n;
	int tid;
	char time[32], op[40], error[24], reason[512];
};

#define MAX_FAILURES 8

/**
 * struct context - one open /dev/iommu
 * @file: who has it open, the first of them
 * @nr_holders: how many files are this context (a fork inherits it)
 * @is_told: the kernel shows it in fdinfo; if not, all below is empty
 * @charged: bytes of pinned memory
 * @used: bytes of locked memory, of all that the limit counts
 * @limit: in bytes; UINT64_MAX for none
 * @limit_of: "user", "process" or ""
 * @failures: so many calls failed
 * @last: the last of them, latest first
 * @nr_last: their number
 */
struct context {
	struct vcdev_file file;
	unsigned int nr_holders;
	bool is_told;
	uint64_t charged, used, limit, failures;
	char limit_of[16];
	struct failure last[MAX_FAILURES];
	size_t nr_last;
	struct ioas *ioas;
	struct range *ranges;
	struct hwpt *hwpts;
	struct device *devices;
	size_t nr_ioas, nr_ranges, nr_hwpts, nr_devices;
};

/*
 * Read the contexts of @pid, 0 for all processes. @list is for contexts_free().
 * *@nr_hidden: so many processes may not be looked into. Returns their number, or a
 * negative errno with @err filled in.
 */
ssize_t contexts_read(pid_t pid, struct context **list, size_t *nr_hidden,
		      struct vcdev_error *err);
void contexts_free(struct context *list, size_t nr);

#endif
