// SPDX-License-Identifier: GPL-2.0
/*
 * The ways to put memory into the page table of the device: those that bench.c
 * tells about. What only iommufd has is at the end of its part.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "bench.h"

const char *bdf = "0000:02:00.0";
const char *iommufd_path = "/dev/iommu";
const char *cdev_path;
const struct backend *be;

int container = -1;
static int vfio_group = -1, device = -1;

static int group_number(void)
{
	char path[128], link[256], *slash;
	ssize_t n;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", bdf);
	n = readlink(path, link, sizeof(link) - 1);
	if (n < 0)
		die("%s", path);
	link[n] = 0;
	slash = strrchr(link, '/');
	return atoi(slash ? slash + 1 : link);
}

static void type1_open(void)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };
	char path[64];

	container = open("/dev/vfio/vfio", O_RDWR);
	if (container < 0)
		die("/dev/vfio/vfio");
	snprintf(path, sizeof(path), "/dev/vfio/%d", group_number());
	vfio_group = open(path, O_RDWR);
	if (vfio_group < 0)
		die("%s", path);
	if (ioctl(vfio_group, VFIO_GROUP_GET_STATUS, &st) ||
	    !(st.flags & VFIO_GROUP_FLAGS_VIABLE))
		die("group is not viable");
	if (ioctl(vfio_group, VFIO_GROUP_SET_CONTAINER, &container))
		die("VFIO_GROUP_SET_CONTAINER");
	if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU))
		die("VFIO_SET_IOMMU");
	device = ioctl(vfio_group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	if (device < 0)
		die("VFIO_GROUP_GET_DEVICE_FD %s", bdf);
}

static void close_all(int *fds[], int n)
{
	int i;

	for (i = 0; i < n; i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

static void type1_close(void)
{
	int *fds[] = { &device, &vfio_group, &container };

	close_all(fds, 3);
}

static int type1_map(uint64_t va, uint64_t iova, uint64_t len)
{
	struct vfio_iommu_type1_dma_map m = {
		.argsz = sizeof(m),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = va, .iova = iova, .size = len,
	};

	return ioctl(container, VFIO_IOMMU_MAP_DMA, &m);
}

static int type1_unmap(uint64_t iova, uint64_t len)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .iova = iova, .size = len,
	};

	if (ioctl(container, VFIO_IOMMU_UNMAP_DMA, &u))
		return -1;
	return u.size == len ? 0 : (errno = ERANGE, -1);
}

static int type1_unmap_all(void)
{
	struct vfio_iommu_type1_dma_unmap u = {
		.argsz = sizeof(u), .flags = VFIO_DMA_UNMAP_FLAG_ALL,
	};

	return ioctl(container, VFIO_IOMMU_UNMAP_DMA, &u);
}

const struct backend type1_backend = {
	"type1", type1_open, type1_close, type1_map, type1_unmap, type1_unmap_all,
};

const struct backend container_backend = {
	"container", type1_open, type1_close, type1_map, type1_unmap,
	type1_unmap_all,
};

int ifd = -1;
uint32_t ioas, src_ioas;
static uint32_t devid;

uint32_t new_ioas(void)
{
	struct iommu_ioas_alloc a = { .size = sizeof(a) };

	if (ioctl(ifd, IOMMU_IOAS_ALLOC, &a))
		die("IOMMU_IOAS_ALLOC");
	return a.out_ioas_id;
}

/* A page table of its own for this IOAS: filled at once, attached to nothing. */
uint32_t new_table(uint32_t id)
{
	struct iommu_hwpt_alloc h = {
		.size = sizeof(h), .dev_id = devid, .pt_id = id,
	};

	if (ioctl(ifd, IOMMU_HWPT_ALLOC, &h))
		die("IOMMU_HWPT_ALLOC");
	return h.out_hwpt_id;
}

void destroy(uint32_t id)
{
	struct iommu_destroy d = { .size = sizeof(d), .id = id };

	if (ioctl(ifd, IOMMU_DESTROY, &d))
		die("IOMMU_DESTROY");
}

/* Attach the device, or move it there if it is attached already. */
void attach(uint32_t id)
{
	struct vfio_device_attach_iommufd_pt at = {
		.argsz = sizeof(at), .pt_id = id,
	};

	if (ioctl(device, VFIO_DEVICE_ATTACH_IOMMUFD_PT, &at))
		die("VFIO_DEVICE_ATTACH_IOMMUFD_PT");
}

static void iommufd_open(void)
{
	struct vfio_device_bind_iommufd b = { .argsz = sizeof(b) };
	char dir[128], path[PATH_MAX];
	struct dirent *d;
	DIR *dp;

	if (!cdev_path) {
		snprintf(dir, sizeof(dir), "/sys/bus/pci/devices/%s/vfio-dev", bdf);
		dp = opendir(dir);
		if (!dp)
			die("%s", dir);
		while ((d = readdir(dp)))
			if (!strncmp(d->d_name, "vfio", 4)) {
				snprintf(path, sizeof(path),
					 "/dev/vfio/devices/%s", d->d_name);
				cdev_path = strdup(path);
			}
		closedir(dp);
		if (!cdev_path)
			die("no cdev below %s", dir);
	}
	ifd = open(iommufd_path, O_RDWR);
	if (ifd < 0)
		die("%s", iommufd_path);
	device = open(cdev_path, O_RDWR);
	if (device < 0)
		die("%s", cdev_path);
	b.iommufd = ifd;
	if (ioctl(device, VFIO_DEVICE_BIND_IOMMUFD, &b))
		die("VFIO_DEVICE_BIND_IOMMUFD");
	devid = b.out_devid;
	ioas = new_ioas();
	src_ioas = new_ioas();
	attach(ioas);
}

static void iommufd_close(void)
{
	int *fds[] = { &device, &ifd };

	close_all(fds, 2);
}

#define IOAS_RW (IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE | \
		 IOMMU_IOAS_MAP_WRITEABLE)

int ioas_map_by(int fd, uint32_t id, uint64_t va, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_map m = {
		.size = sizeof(m), .flags = IOAS_RW, .ioas_id = id,
		.user_va = va, .length = len, .iova = iova,
	};

	return ioctl(fd, IOMMU_IOAS_MAP, &m);
}

int ioas_map(uint32_t id, uint64_t va, uint64_t iova, uint64_t len)
{
	return ioas_map_by(ifd, id, va, iova, len);
}

int ioas_unmap(uint32_t id, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_unmap u = {
		.size = sizeof(u), .ioas_id = id, .iova = iova, .length = len,
	};

	return ioctl(ifd, IOMMU_IOAS_UNMAP, &u);
}

static int iommufd_map(uint64_t va, uint64_t iova, uint64_t len)
{
	return ioas_map(ioas, va, iova, len);
}

static int iommufd_unmap(uint64_t iova, uint64_t len)
{
	return ioas_unmap(ioas, iova, len);
}

static int iommufd_unmap_all(void)
{
	return ioas_unmap(ioas, 0, UINT64_MAX);
}

int ioas_copy(uint32_t to, uint32_t from, uint64_t iova, uint64_t len)
{
	struct iommu_ioas_copy c = {
		.size = sizeof(c), .flags = IOAS_RW, .dst_ioas_id = to,
		.src_ioas_id = from, .length = len, .dst_iova = iova,
		.src_iova = iova,
	};

	return ioctl(ifd, IOMMU_IOAS_COPY, &c);
}

const struct backend iommufd_backend = {
	"iommufd", iommufd_open, iommufd_close, iommufd_map, iommufd_unmap, iommufd_unmap_all,
};

int floor_fd = -1;
struct floor_knobs knobs = {
	.batch = 512, .use_sg = 0, .remember = 1, .folio_step = 0,
};

static void floor_open(void)
{
	floor_fd = open("/dev/iommu_floor", O_RDWR);
	if (floor_fd < 0)
		die("/dev/iommu_floor");
	if (ioctl(floor_fd, FLOOR_KNOBS, &knobs))
		die("FLOOR_KNOBS");
}

/* The device to the other one of two tables, without anything around it. */
void floor_swap(void)
{
	if (ioctl(floor_fd, FLOOR_SWAP))
		die("FLOOR_SWAP");
}

static void floor_close(void)
{
	close(floor_fd);
}

static int floor_map(uint64_t va, uint64_t iova, uint64_t len)
{
	struct floor_range r = { .va = va, .iova = iova, .len = len };

	return ioctl(floor_fd, FLOOR_MAP, &r);
}

static int floor_unmap(uint64_t iova, uint64_t len)
{
	struct floor_range r = { .iova = iova, .len = len };

	return ioctl(floor_fd, FLOOR_UNMAP, &r);
}

static int floor_unmap_all(void)
{
	struct floor_range r = {
		.iova = BASE, .len = PG, .stride = STRIDE, .count = SLOTS,
	};

	return ioctl(floor_fd, FLOOR_UNMAP_MANY, &r);
}

const struct backend floor_backend = {
	"floor", floor_open, floor_close, floor_map, floor_unmap, floor_unmap_all,
};


void floor_detail(const char *name, uint64_t pages, int mapping)
{
	struct floor_split s;

	if (be != &floor_backend || ioctl(floor_fd, FLOOR_SPLIT, &s))
		return;
	if (mapping)
		out("S\t%s\tmap\tpin %.1f\tcoalesce+map %.1f\t%lu runs\n", name,
		    (double)s.pin / pages, (double)s.map / pages,
		    (unsigned long)s.runs);
	else
		out("S\t%s\tunmap\treadback %.1f\tunmap+flush %.1f\tunpin %.1f\n",
		    name, (double)s.readback / pages, (double)s.unmap / pages,
		    (double)s.unpin / pages);
}

