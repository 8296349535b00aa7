/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The ioctl of test builds: fake devices behind a fake IOMMU, looks into page
 * tables and pin counts, and a user of the in-kernel access API. Shared with
 * the tests; nothing here is an interface for anybody else.
 *
 * The first eleven operations are the ABI that test programs of the v6.6
 * generation are written for: numbers, offsets and constants are given. Those
 * from IOMMU_TEST_OP_LOCAL on are ours.
 */
#ifndef IOMMUFD_TEST_UAPI_H
#define IOMMUFD_TEST_UAPI_H

#include <linux/types.h>

/* The fake IOMMU: where it translates, and half a CPU page as its page. */
#define MOCK_APERTURE_START	(1UL << 24)
#define MOCK_APERTURE_LAST	((1UL << 31) - 1)
#define MOCK_PAGE_SIZE		2048UL

/* Type and content of what GET_HW_INFO tells of a fake device. */
#define MOCK_HW_INFO_TYPE	0xfeedbeefU
#define MOCK_HW_INFO_REGISTER	0xdeadbeefU

enum iommu_test_op {
	IOMMU_TEST_OP_ADD_RESERVED = 1,
	IOMMU_TEST_OP_MOCK_DOMAIN = 2,
	IOMMU_TEST_OP_MD_CHECK_MAP = 3,
	IOMMU_TEST_OP_MD_CHECK_REFS = 4,
	IOMMU_TEST_OP_CREATE_ACCESS = 5,
	IOMMU_TEST_OP_DESTROY_ACCESS_PAGES = 6,
	IOMMU_TEST_OP_ACCESS_PAGES = 7,
	IOMMU_TEST_OP_ACCESS_RW = 8,
	IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT = 9,
	IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE = 10,
	IOMMU_TEST_OP_ACCESS_REPLACE_IOAS = 11,

	IOMMU_TEST_OP_LOCAL = 0x10000,
	/* As MOCK_DOMAIN, with a choice of unit, group and reserved range. */
	IOMMU_TEST_OP_LOCAL_DEVICE = IOMMU_TEST_OP_LOCAL,
	/* The driver's n-th attach from now fails, and those after it. */
	IOMMU_TEST_OP_LOCAL_FAIL_ATTACH,
};

/* create_access.flags */
#define MOCK_ACCESS_PINS	(1U << 0)
/* access_pages.flags */
#define MOCK_PAGES_WRITE	(1U << 0)
#define MOCK_PAGES_UNVERIFIED	(1U << 16)
/* access_rw.flags */
#define MOCK_RW_WRITE		(1U << 0)
#define MOCK_RW_SLOW		(1U << 2)

/* local_device.unit */
#define MOCK_UNIT_ABI		0	/* 2 KiB and 1 MiB pages, see above */
#define MOCK_UNIT_LARGE		1	/* 4 KiB and 2 MiB pages, 39 bits */
#define MOCK_UNIT_TWIN		2	/* like the first, but another one */
#define MOCK_UNIT_INCOHERENT	3	/* like the second, cannot enforce snooping */
#define MOCK_NR_UNITS		4
#define MOCK_UNIT_REQUIRE	(1U << 31)	/* flag: attach coherently only */

/* local_device.reserved_type */
#define MOCK_RESERVED_NONE	0
#define MOCK_RESERVED_PLAIN	1
#define MOCK_RESERVED_DIRECT	2	/* firmware does DMA with the device */
#define MOCK_RESERVED_RELAXABLE	3
#define MOCK_RESERVED_SW_MSI	4
#define MOCK_RESERVED_SIZE	0x10000UL

/**
 * struct iommu_test_cmd - for IOMMU_TEST_CMD
 * @size: bytes passed
 * @op: of &enum iommu_test_op
 * @id: an object, or the descriptor of an access, see the operation
 * @__reserved: 0
 * @last: where the smallest acceptable structure ends
 */
struct iommu_test_cmd {
	__u32 size;
	__u32 op;
	__u32 id;
	__u32 __reserved;
	union {
		struct {
			__aligned_u64 start;
			__aligned_u64 length;
		} add_reserved;
		struct {
			__u32 out_stdev_id;
			__u32 out_hwpt_id;
			__u32 out_idev_id;
		} mock_domain;
		struct {
			__u32 out_stdev_id;
			__u32 out_hwpt_id;
			__u32 out_idev_id;
			__u32 unit;
			__u32 group_stdev_id;	/* 0: a group of its own */
			__u32 reserved_type;
			__aligned_u64 reserved_start;
		} local_device;
		struct {
			__u32 nr;	/* 0: never */
			__u32 times;
		} local_fail_attach;
		struct {
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
		} check_map;
		struct {
			__aligned_u64 length;
			__aligned_u64 uptr;
			__u32 refs;
		} check_refs;
		struct {
			__u32 out_fd;
			__u32 flags;
		} create_access;
		struct {
			__u32 pages_id;
		} destroy_access_pages;
		struct {
			__u32 flags;
			__u32 out_pages_id;
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
		} access_pages;
		struct {
			__aligned_u64 iova;
			__aligned_u64 length;
			__aligned_u64 uptr;
			__u32 flags;
		} access_rw;
		struct {
			__u32 limit;
		} memory_limit;
		struct {
			__u32 pt_id;
		} mock_domain_replace;
		struct {
			__u32 ioas_id;
		} access_replace_ioas;
	};
	__u32 last;
};

/* (The number is that of the ABI, not next to the others.) */
#define IOMMU_TEST_CMD		_IO(';', 0xa0)

/* What GET_HW_INFO writes for a fake device. */
struct iommu_test_hw_info {
	__u32 flags;
	__u32 test_reg;
};

#endif
