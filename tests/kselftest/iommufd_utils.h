/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The ioctls of /dev/iommu as functions, for tests.
 *
 * Each returns what the ioctl returned, or -errno: a test compares with the
 * exact value. Nothing here asserts. Output fields reach the caller only on
 * success, except where a function says so.
 */
#ifndef IOMMUFD_UTILS_H
#define IOMMUFD_UTILS_H

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>
#include <linux/iommufd.h>

#define PAGE	4096UL
#define MiB	(1UL << 20)

#define FIXED	IOMMU_IOAS_MAP_FIXED_IOVA
#define RD	IOMMU_IOAS_MAP_READABLE
#define WR	IOMMU_IOAS_MAP_WRITEABLE
#define RW	(RD | WR)

static inline int ioctl_rc(int fd, unsigned long cmd, void *arg)
{
	int rc = ioctl(fd, cmd, arg);

	return rc < 0 ? -errno : rc;
}

static inline int iommufd_open(void)
{
	int fd = open("/dev/iommu", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static inline int iommufd_destroy(int fd, uint32_t id)
{
	struct iommu_destroy cmd = { .size = sizeof(cmd), .id = id };

	return ioctl_rc(fd, IOMMU_DESTROY, &cmd);
}

static inline int ioas_alloc(int fd, uint32_t *id)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	int rc = ioctl_rc(fd, IOMMU_IOAS_ALLOC, &cmd);

	if (!rc)
		*id = cmd.out_ioas_id;
	return rc;
}

/* @iova: in for FIXED, out on success always. */
static inline int ioas_map(int fd, uint32_t ioas, uint32_t flags,
			   const void *va, uint64_t length, uint64_t *iova)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = *iova,
	};
	int rc = ioctl_rc(fd, IOMMU_IOAS_MAP, &cmd);

	if (!rc)
		*iova = cmd.iova;
	return rc;
}

static inline int ioas_map_fixed(int fd, uint32_t ioas, uint32_t perm,
				 const void *va, uint64_t length, uint64_t iova)
{
	return ioas_map(fd, ioas, perm | FIXED, va, length, &iova);
}

/* @iova: in for FIXED, out on success always. */
static inline int ioas_map_file(int fd, uint32_t ioas, uint32_t flags, int file,
				uint64_t start, uint64_t length, uint64_t *iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.ioas_id = ioas,
		.fd = file,
		.start = start,
		.length = length,
		.iova = *iova,
	};
	int rc = ioctl_rc(fd, IOMMU_IOAS_MAP_FILE, &cmd);

	if (!rc)
		*iova = cmd.iova;
	return rc;
}

static inline int map_file_fixed(int fd, uint32_t ioas, uint32_t perm,
				 int file, uint64_t start, uint64_t length, uint64_t iova)
{
	return ioas_map_file(fd, ioas, perm | FIXED, file, start, length, &iova);
}

/* @dst_iova: in for FIXED, out on success always. */
static inline int ioas_copy(int fd, uint32_t flags, uint32_t dst,
			    uint64_t *dst_iova, uint32_t src, uint64_t src_iova,
			    uint64_t length)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = flags,
		.dst_ioas_id = dst,
		.src_ioas_id = src,
		.length = length,
		.dst_iova = *dst_iova,
		.src_iova = src_iova,
	};
	int rc = ioctl_rc(fd, IOMMU_IOAS_COPY, &cmd);

	if (!rc)
		*dst_iova = cmd.dst_iova;
	return rc;
}

static inline int ioas_copy_fixed(int fd, uint32_t perm, uint32_t dst,
				  uint64_t dst_iova, uint32_t src,
				  uint64_t src_iova, uint64_t length)
{
	return ioas_copy(fd, perm | FIXED, dst, &dst_iova, src, src_iova, length);
}

/* @unmapped may be NULL. */
static inline int ioas_unmap(int fd, uint32_t ioas, uint64_t iova,
			     uint64_t length, uint64_t *unmapped)
{
	struct iommu_ioas_unmap cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.iova = iova,
		.length = length,
	};
	int rc = ioctl_rc(fd, IOMMU_IOAS_UNMAP, &cmd);

	if (!rc && unmapped)
		*unmapped = cmd.length;
	return rc;
}

static inline int ioas_unmap_all(int fd, uint32_t ioas, uint64_t *unmapped)
{
	return ioas_unmap(fd, ioas, 0, UINT64_MAX, unmapped);
}

/* @nr: room, and out on success and EMSGSIZE; so is @align (may be NULL). */
static inline int ioas_iova_ranges(int fd, uint32_t ioas,
				   struct iommu_iova_range *ranges,
				   uint32_t *nr, uint64_t *align)
{
	struct iommu_ioas_iova_ranges cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = *nr,
		.allowed_iovas = (uintptr_t)ranges,
	};
	int rc = ioctl_rc(fd, IOMMU_IOAS_IOVA_RANGES, &cmd);

	if (!rc || rc == -EMSGSIZE) {
		*nr = cmd.num_iovas;
		if (align)
			*align = cmd.out_iova_alignment;
	}
	return rc;
}

static inline int ioas_allow(int fd, uint32_t ioas,
			     const struct iommu_iova_range *ranges, uint32_t nr)
{
	struct iommu_ioas_allow_iovas cmd = {
		.size = sizeof(cmd),
		.ioas_id = ioas,
		.num_iovas = nr,
		.allowed_iovas = (uintptr_t)ranges,
	};

	return ioctl_rc(fd, IOMMU_IOAS_ALLOW_IOVAS, &cmd);
}

/* @value: in for SET, out for GET. */
static inline int iommufd_option(int fd, uint32_t option, uint16_t op,
				 uint32_t object, uint64_t *value)
{
	struct iommu_option cmd = {
		.size = sizeof(cmd),
		.option_id = option,
		.op = op,
		.object_id = object,
		.val64 = *value,
	};
	int rc = ioctl_rc(fd, IOMMU_OPTION, &cmd);

	if (!rc && op == IOMMU_OPTION_OP_GET)
		*value = cmd.val64;
	return rc;
}

/* @ioas: in for SET, out for GET. */
static inline int iommufd_vfio_ioas(int fd, uint16_t op, uint32_t *ioas)
{
	struct iommu_vfio_ioas cmd = {
		.size = sizeof(cmd),
		.ioas_id = *ioas,
		.op = op,
	};
	int rc = ioctl_rc(fd, IOMMU_VFIO_IOAS, &cmd);

	if (!rc && op == IOMMU_VFIO_IOAS_GET)
		*ioas = cmd.ioas_id;
	return rc;
}

static inline int hwpt_alloc(int fd, uint32_t dev_id, uint32_t pt_id,
			     uint32_t *id)
{
	struct iommu_hwpt_alloc cmd = {
		.size = sizeof(cmd),
		.dev_id = dev_id,
		.pt_id = pt_id,
	};
	int rc = ioctl_rc(fd, IOMMU_HWPT_ALLOC, &cmd);

	if (!rc)
		*id = cmd.out_hwpt_id;
	return rc;
}

static inline int ioas_change_process(int fd)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };

	return ioctl_rc(fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
}

/* Private anonymous memory, touched, never a huge page; NULL on failure. */
static inline void *pages_alloc(size_t length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, length, MADV_NOHUGEPAGE);
	memset(p, 0, length);
	return p;
}

/* Huge pages if there are any: a kernel with PREEMPT_RT is built without, and EINVAL. */
static inline int want_huge_pages(void *va, size_t length)
{
	if (!madvise(va, length, MADV_HUGEPAGE))
		return 0;
	return access("/sys/kernel/mm/transparent_hugepage", F_OK) ? 0 : -errno;
}

/* A struct on a page of its own that can be read but not written. */
static inline void *readonly_copy(const void *data, size_t length)
{
	void *p = pages_alloc(PAGE);

	if (!p)
		return NULL;
	memcpy(p, data, length);
	if (mprotect(p, PAGE, PROT_READ))
		return NULL;
	return p;
}

/*
 * Pages that are pinned for devices now, in the whole system. The numbers are
 * kept per CPU and gathered when asked for. -1 when they cannot be read.
 */
static inline long pinned_now(void)
{
	long acquired = -1, released = -1;
	char line[128];
	FILE *f;
	int fd;

	fd = open("/proc/sys/vm/stat_refresh", O_WRONLY);
	if (fd < 0 || write(fd, "1", 1) != 1)
		return -1;
	close(fd);
	f = fopen("/proc/vmstat", "r");
	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		sscanf(line, "nr_foll_pin_acquired %ld", &acquired);
		sscanf(line, "nr_foll_pin_released %ld", &released);
	}
	fclose(f);
	return acquired < 0 || released < 0 ? -1 : acquired - released;
}

/* No longer may the calling thread do what needs @cap. */
static inline int drop_cap(int cap)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[cap / 32].effective &= ~(1U << cap % 32);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

#endif
