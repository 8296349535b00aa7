// SPDX-License-Identifier: GPL-2.0
/*
 * Contexts: /dev/iommu, its address spaces and their mappings. All state is the
 * kernel's; a context here is just its file descriptor.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/iommufd.h>

#include "device.h"

int vcdev_ioctl(int fd, unsigned long request, void *arg)
{
	int rc;

	do {
		rc = ioctl(fd, request, arg);
	} while (rc < 0 && errno == EINTR);
	return rc < 0 ? -errno : rc;
}

int vcdev_ctx_open_file(const struct vcdev_host *host, const char *file,
			struct vcdev_ctx **ctx, struct vcdev_error *err)
{
	struct vcdev_ctx *new_ctx;
	struct vcdev_path path;
	int rc;

	new_ctx = calloc(1, sizeof(*new_ctx));
	if (!new_ctx)
		return vcdev_fail(err, -ENOMEM, "out of memory");
	vcdev_path(host, &path, "%s", file);
	new_ctx->fd = open(path.s, O_RDWR | O_CLOEXEC);
	if (new_ctx->fd < 0) {
		rc = -errno;
		free(new_ctx);
		vcdev_fail(err, rc, "cannot open %s: %s", path.s, strerror(-rc));
		if (rc == -ENOENT || rc == -ENODEV || rc == -ENXIO)
			vcdev_hint(err, "the module iommufd is not loaded: modprobe iommufd");
		else if (rc == -EACCES || rc == -EPERM)
			vcdev_hint(err, "run this as root, or give yourself rights on %s",
				   path.s);
		return rc;
	}
	*ctx = new_ctx;
	return 0;
}

int vcdev_ctx_open(const struct vcdev_host *host, struct vcdev_ctx **ctx,
		   struct vcdev_error *err)
{
	struct vcdev_ctx *new_ctx;
	int fd;

	fd = vcdev_passed_ctx(host, err);
	if (fd == -ENOENT)
		return vcdev_ctx_open_file(host, "/dev/iommu", ctx, err);
	if (fd < 0)
		return fd;
	new_ctx = calloc(1, sizeof(*new_ctx));
	if (!new_ctx) {
		close(fd);
		return vcdev_fail(err, -ENOMEM, "out of memory");
	}
	new_ctx->fd = fd;
	*ctx = new_ctx;
	return 0;
}

void vcdev_ctx_close(struct vcdev_ctx *ctx)
{
	if (!ctx)
		return;
	close(ctx->fd);
	free(ctx);
}

int vcdev_ctx_fd(const struct vcdev_ctx *ctx)
{
	return ctx->fd;
}

int vcdev_ioas_alloc(struct vcdev_ctx *ctx, uint32_t *ioas_id, struct vcdev_error *err)
{
	struct iommu_ioas_alloc arg = { .size = sizeof(arg) };
	int rc;

	rc = vcdev_ioctl(ctx->fd, IOMMU_IOAS_ALLOC, &arg);
	if (rc)
		return vcdev_fail(err, rc, "cannot make an IOAS: %s", strerror(-rc));
	*ioas_id = arg.out_ioas_id;
	return 0;
}

int vcdev_destroy(struct vcdev_ctx *ctx, uint32_t id, struct vcdev_error *err)
{
	struct iommu_destroy arg = { .size = sizeof(arg), .id = id };
	int rc;

	rc = vcdev_ioctl(ctx->fd, IOMMU_DESTROY, &arg);
	if (!rc)
		return 0;
	vcdev_fail(err, rc, "cannot destroy object %u: %s", id, strerror(-rc));
	if (rc == -EBUSY)
		vcdev_hint(err, "detach its devices first");
	return rc;
}

static uint32_t map_flags(unsigned int access)
{
	uint32_t flags = 0;

	if (access & VCDEV_MAP_READ)
		flags |= IOMMU_IOAS_MAP_READABLE;
	if (access & VCDEV_MAP_WRITE)
		flags |= IOMMU_IOAS_MAP_WRITEABLE;
	return flags;
}

static int fail_map(struct vcdev_error *err, int rc, const char *what,
		    uint64_t length, uint64_t iova)
{
	vcdev_fail(err, rc, "cannot %s 0x%" PRIx64 " bytes at IOVA 0x%" PRIx64 ": %s",
		   what, length, iova, strerror(-rc));
	switch (rc) {
	case -EEXIST:
		vcdev_hint(err, "something is mapped there: unmap it first");
		break;
	case -ENOMEM:
		vcdev_hint(err, "is it the limit of locked memory? 'ulimit -l' shows it");
		break;
	case -EFAULT:
		vcdev_hint(err, "the memory has to be mapped in the process, and writable if "
			   "the device is to write");
		break;
	case -EINVAL:
		vcdev_hint(err, "address, IOVA and length have to be whole pages, outside of "
			   "reserved regions");
		break;
	}
	return rc;
}

int vcdev_map(struct vcdev_ctx *ctx, uint32_t ioas_id, void *va, uint64_t length,
	      uint64_t iova, unsigned int access, struct vcdev_error *err)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | map_flags(access),
		.ioas_id = ioas_id,
		.user_va = (uintptr_t)va,
		.length = length,
		.iova = iova,
	};
	int rc;

	rc = vcdev_ioctl(ctx->fd, IOMMU_IOAS_MAP, &arg);
	return rc ? fail_map(err, rc, "map", length, iova) : 0;
}

int vcdev_map_any(struct vcdev_ctx *ctx, uint32_t ioas_id, void *va,
		  uint64_t length, unsigned int access, uint64_t *iova,
		  struct vcdev_error *err)
{
	struct iommu_ioas_map arg = {
		.size = sizeof(arg),
		.flags = map_flags(access),
		.ioas_id = ioas_id,
		.user_va = (uintptr_t)va,
		.length = length,
	};
	int rc;

	rc = vcdev_ioctl(ctx->fd, IOMMU_IOAS_MAP, &arg);
	if (rc)
		return vcdev_fail(err, rc, "cannot map 0x%" PRIx64 " bytes at an IOVA of the "
				  "kernel's choice: %s", length, strerror(-rc));
	*iova = arg.iova;
	return 0;
}

int vcdev_unmap(struct vcdev_ctx *ctx, uint32_t ioas_id, uint64_t iova,
		uint64_t length, uint64_t *unmapped, struct vcdev_error *err)
{
	struct iommu_ioas_unmap arg = {
		.size = sizeof(arg),
		.ioas_id = ioas_id,
		.iova = iova,
		.length = length,
	};
	int rc;

	rc = vcdev_ioctl(ctx->fd, IOMMU_IOAS_UNMAP, &arg);
	if (rc)
		return fail_map(err, rc, "unmap", length, iova);
	if (unmapped)
		*unmapped = arg.length;
	return 0;
}

int vcdev_copy(struct vcdev_ctx *ctx, uint32_t dst_ioas, uint64_t dst_iova,
	       uint32_t src_ioas, uint64_t src_iova, uint64_t length,
	       unsigned int access, struct vcdev_error *err)
{
	struct iommu_ioas_copy arg = {
		.size = sizeof(arg),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | map_flags(access),
		.dst_ioas_id = dst_ioas,
		.src_ioas_id = src_ioas,
		.length = length,
		.dst_iova = dst_iova,
		.src_iova = src_iova,
	};
	int rc;

	rc = vcdev_ioctl(ctx->fd, IOMMU_IOAS_COPY, &arg);
	return rc ? fail_map(err, rc, "copy", length, dst_iova) : 0;
}

ssize_t vcdev_iova_ranges(struct vcdev_ctx *ctx, uint32_t ioas_id,
			  struct vcdev_iova_range **ranges, uint64_t *alignment,
			  struct vcdev_error *err)
{
	struct iommu_ioas_iova_ranges arg;
	struct iommu_iova_range *room = NULL, *grown;
	struct vcdev_iova_range *result;
	uint32_t i, nr = 16;
	int rc;

	/* EMSGSIZE: the kernel says how many there are, until it fits. */
	do {
		grown = reallocarray(room, nr, sizeof(*room));
		if (!grown) {
			rc = -ENOMEM;
			goto err_free_room;
		}
		room = grown;
		memset(&arg, 0, sizeof(arg));
		arg.size = sizeof(arg);
		arg.ioas_id = ioas_id;
		arg.num_iovas = nr;
		arg.allowed_iovas = (uintptr_t)room;
		rc = vcdev_ioctl(ctx->fd, IOMMU_IOAS_IOVA_RANGES, &arg);
		if (rc == -EMSGSIZE && arg.num_iovas <= nr)
			rc = -EPROTO;
		if (rc == -EMSGSIZE)
			nr = arg.num_iovas;
	} while (rc == -EMSGSIZE);
	if (rc)
		goto err_free_room;
	if (arg.num_iovas > nr) {
		rc = -EPROTO;
		goto err_free_room;
	}
	nr = arg.num_iovas;
	result = calloc(nr ? nr : 1, sizeof(*result));
	if (!result) {
		rc = -ENOMEM;
		goto err_free_room;
	}
	for (i = 0; i < nr; i++)
		result[i] = (struct vcdev_iova_range){ room[i].start, room[i].last };
	free(room);
	if (alignment)
		*alignment = arg.out_iova_alignment;
	*ranges = result;
	return nr;

err_free_room:
	free(room);
	return vcdev_fail(err, rc, "cannot read the IOVA ranges of IOAS %u: %s", ioas_id,
			  strerror(-rc));
}

int vcdev_allow_iovas(struct vcdev_ctx *ctx, uint32_t ioas_id,
		      const struct vcdev_iova_range *ranges, size_t nr_ranges,
		      struct vcdev_error *err)
{
	struct iommu_ioas_allow_iovas arg = {
		.size = sizeof(arg),
		.ioas_id = ioas_id,
		.num_iovas = nr_ranges,
	};
	struct iommu_iova_range *copy;
	size_t i;
	int rc;

	if (nr_ranges != arg.num_iovas)
		return vcdev_fail(err, -EOVERFLOW, "too many IOVA ranges");
	copy = calloc(nr_ranges ? nr_ranges : 1, sizeof(*copy));
	if (!copy)
		return vcdev_fail(err, -ENOMEM, "out of memory");
	for (i = 0; i < nr_ranges; i++) {
		copy[i].start = ranges[i].start;
		copy[i].last = ranges[i].last;
	}
	arg.allowed_iovas = (uintptr_t)copy;
	rc = vcdev_ioctl(ctx->fd, IOMMU_IOAS_ALLOW_IOVAS, &arg);
	free(copy);
	if (rc)
		return vcdev_fail(err, rc, "cannot keep IOVA ranges of IOAS %u usable: %s",
				  ioas_id, strerror(-rc));
	return 0;
}
