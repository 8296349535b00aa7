/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctl of test modules as functions: fake devices, looks into their page
 * tables, in-kernel users. Like those of iommufd_utils.h they return 0 (or a
 * descriptor) or -errno and assert nothing.
 */
#ifndef MOCK_UTILS_H
#define MOCK_UTILS_H

#include "iommufd_utils.h"
#include "../../drivers/iommufd/test_uapi.h"

#define BASE		MOCK_APERTURE_START
#define HALF		MOCK_PAGE_SIZE
#define UNUSED_ID	0x7ffffff0U
#define NO_LIMIT	65536U
#define HUGE		(2 * MiB)

static inline int test_cmd(int fd, struct iommu_test_cmd *cmd, uint32_t op)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	return ioctl_rc(fd, IOMMU_TEST_CMD, cmd);
}

struct stdev {
	uint32_t id;
	uint32_t hwpt;
	uint32_t idev;
};

static inline int stdev_add(int fd, uint32_t pt, struct stdev *stdev)
{
	struct iommu_test_cmd cmd = { .id = pt };
	int rc = test_cmd(fd, &cmd, IOMMU_TEST_OP_MOCK_DOMAIN);

	if (!rc) {
		stdev->id = cmd.mock_domain.out_stdev_id;
		stdev->hwpt = cmd.mock_domain.out_hwpt_id;
		stdev->idev = cmd.mock_domain.out_idev_id;
	}
	return rc;
}

static inline int stdev_add_local(int fd, uint32_t pt, uint32_t unit,
				  uint32_t group, uint32_t reserved_type,
				  uint64_t reserved, struct stdev *stdev)
{
	struct iommu_test_cmd cmd = {
		.id = pt,
		.local_device = {
			.unit = unit,
			.group_stdev_id = group,
			.reserved_type = reserved_type,
			.reserved_start = reserved,
		},
	};
	int rc = test_cmd(fd, &cmd, IOMMU_TEST_OP_LOCAL_DEVICE);

	if (!rc) {
		stdev->id = cmd.local_device.out_stdev_id;
		stdev->hwpt = cmd.local_device.out_hwpt_id;
		stdev->idev = cmd.local_device.out_idev_id;
	}
	return rc;
}

static inline int stdev_add_to_unit(int fd, uint32_t pt, uint32_t unit,
				    struct stdev *stdev)
{
	return stdev_add_local(fd, pt, unit, 0, MOCK_RESERVED_NONE, 0, stdev);
}

static inline int stdev_join(int fd, uint32_t pt, const struct stdev *other,
			     struct stdev *stdev)
{
	return stdev_add_local(fd, pt, MOCK_UNIT_ABI, other->id,
			       MOCK_RESERVED_NONE, 0, stdev);
}

/* @pt: in and out */
static inline int stdev_replace(int fd, uint32_t stdev, uint32_t *pt)
{
	struct iommu_test_cmd cmd = {
		.id = stdev,
		.mock_domain_replace.pt_id = *pt,
	};
	int rc = test_cmd(fd, &cmd, IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE);

	if (!rc)
		*pt = cmd.mock_domain_replace.pt_id;
	return rc;
}

static inline int stdev_move(int fd, struct stdev *stdev, uint32_t pt)
{
	int rc = stdev_replace(fd, stdev->id, &pt);

	if (!rc)
		stdev->hwpt = pt;
	return rc;
}

/* The @nr-th attach from now and the next @times - 1 fail. */
static inline int fail_attach(int fd, uint32_t nr, uint32_t times)
{
	struct iommu_test_cmd cmd = {
		.local_fail_attach = { .nr = nr, .times = times },
	};

	return test_cmd(fd, &cmd, IOMMU_TEST_OP_LOCAL_FAIL_ATTACH);
}

static inline int check_map(int fd, uint32_t hwpt, uint64_t iova,
			    uint64_t length, const void *va)
{
	struct iommu_test_cmd cmd = {
		.id = hwpt,
		.check_map = {
			.iova = iova,
			.length = length,
			.uptr = (uintptr_t)va,
		},
	};

	return test_cmd(fd, &cmd, IOMMU_TEST_OP_MD_CHECK_MAP);
}

static inline int check_refs(int fd, const void *va, uint64_t length,
			     uint32_t refs)
{
	struct iommu_test_cmd cmd = {
		.check_refs = {
			.length = length,
			.uptr = (uintptr_t)va,
			.refs = refs,
		},
	};

	return test_cmd(fd, &cmd, IOMMU_TEST_OP_MD_CHECK_REFS);
}

static inline int add_reserved(int fd, uint32_t ioas, uint64_t start,
			       uint64_t length)
{
	struct iommu_test_cmd cmd = {
		.id = ioas,
		.add_reserved = { .start = start, .length = length },
	};

	return test_cmd(fd, &cmd, IOMMU_TEST_OP_ADD_RESERVED);
}

static inline int memory_limit(int fd, uint32_t limit)
{
	struct iommu_test_cmd cmd = { .memory_limit.limit = limit };

	return test_cmd(fd, &cmd, IOMMU_TEST_OP_SET_TEMP_MEMORY_LIMIT);
}

/* Returns the descriptor. */
static inline int access_open(int fd, uint32_t ioas, uint32_t flags)
{
	struct iommu_test_cmd cmd = {
		.id = ioas,
		.create_access.flags = flags,
	};
	int rc = test_cmd(fd, &cmd, IOMMU_TEST_OP_CREATE_ACCESS);

	return rc ?: (int)cmd.create_access.out_fd;
}

static inline int access_pin(int fd, int access, uint32_t flags, uint64_t iova,
			     uint64_t length, const void *va, uint32_t *id)
{
	struct iommu_test_cmd cmd = {
		.id = access,
		.access_pages = {
			.flags = flags,
			.iova = iova,
			.length = length,
			.uptr = (uintptr_t)va,
		},
	};
	int rc = test_cmd(fd, &cmd, IOMMU_TEST_OP_ACCESS_PAGES);

	if (!rc)
		*id = cmd.access_pages.out_pages_id;
	return rc;
}

static inline int access_unpin(int fd, int access, uint32_t id)
{
	struct iommu_test_cmd cmd = {
		.id = access,
		.destroy_access_pages.pages_id = id,
	};

	return test_cmd(fd, &cmd, IOMMU_TEST_OP_DESTROY_ACCESS_PAGES);
}

static inline int access_rw(int fd, int access, uint32_t flags, uint64_t iova,
			    void *data, uint64_t length)
{
	struct iommu_test_cmd cmd = {
		.id = access,
		.access_rw = {
			.iova = iova,
			.length = length,
			.uptr = (uintptr_t)data,
			.flags = flags,
		},
	};

	return test_cmd(fd, &cmd, IOMMU_TEST_OP_ACCESS_RW);
}

static inline int access_replace(int fd, int access, uint32_t ioas)
{
	struct iommu_test_cmd cmd = {
		.id = access,
		.access_replace_ioas.ioas_id = ioas,
	};

	return test_cmd(fd, &cmd, IOMMU_TEST_OP_ACCESS_REPLACE_IOAS);
}

static inline int hw_info(int fd, uint32_t idev, void *data, uint32_t *length,
			  uint32_t *type)
{
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = idev,
		.data_len = *length,
		.data_uptr = (uintptr_t)data,
	};
	int rc = ioctl_rc(fd, IOMMU_GET_HW_INFO, &cmd);

	if (!rc) {
		*length = cmd.data_len;
		*type = cmd.out_data_type;
	}
	return rc;
}

static inline int set_huge_pages(int fd, uint32_t ioas, uint64_t value)
{
	return iommufd_option(fd, IOMMU_OPTION_HUGE_PAGES, IOMMU_OPTION_OP_SET,
			      ioas, &value);
}

static inline int get_align(int fd, uint32_t ioas, uint64_t *align)
{
	struct iommu_iova_range ranges[16];
	uint32_t nr = 16;

	return ioas_iova_ranges(fd, ioas, ranges, &nr, align);
}

/* A pattern in which every byte tells where it is, more or less. */
static inline void paint(void *buf, size_t length, unsigned int seed)
{
	uint8_t *p = buf;
	size_t i;

	for (i = 0; i < length; i++)
		p[i] = i * 7 + i / 251 * 13 + seed;
}

/* Are the pages free of pins, from the view of a context of its own? */
static inline int unpinned(const void *buf, size_t length)
{
	int fd = iommufd_open(), rc;

	if (fd < 0)
		return fd;
	rc = check_refs(fd, buf, length, 0);
	close(fd);
	return rc;
}

static inline void *huge_alloc(size_t length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_POPULATE,
		       -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/* The huge pages that the tests want, for the whole run. */
static void __attribute__((constructor)) reserve_huge_pages(void)
{
	FILE *f = fopen("/proc/sys/vm/nr_hugepages", "w");

	if (!f)
		return;
	fprintf(f, "16\n");
	fclose(f);
}

#endif
