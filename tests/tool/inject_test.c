// SPDX-License-Identifier: GPL-2.0
/*
 * Each call that the library makes of the C library fails once, for every n the
 * nth call of a scenario. Then: a negative errno with a reason, no file and no
 * memory left over, and the same again without a failure succeeds.
 *
 *   inject_test ROOT	  on a made-up system as for lib_test; ioctls are answered here
 *   inject_test --real BDF	on this machine; BDF is bound to vfio-pci
 *
 * The linker puts the __wrap_ functions below between the library and libc. "ok NAME"
 * or "not ok NAME" a line. Under AddressSanitizer leaks that were missed here fail the
 * program at its end.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <linux/iommufd.h>
#include <linux/vfio.h>

#include "vfio-cdev.h"

/* ------------------------------------------------------------ the injection */

static struct {
	bool is_on;
	long calls, at;		/* so many were made; this one fails, 0 is none */
	int error;
	const char *failed;	/* the name of what failed */
	long memory;		/* allocated and not freed */
} inject;

/* Is it this call's turn? Then errno is set. */
static bool turn(const char *name)
{
	if (!inject.is_on || ++inject.calls != inject.at)
		return false;
	inject.failed = name;
	errno = inject.error;
	return true;
}

static bool memory_turn(const char *name)
{
	bool is_it = turn(name);

	if (is_it)
		errno = ENOMEM;
	return is_it;
}

#define WRAP(type, name, params, args, failure)				\
	type __real_##name params;					\
	type __wrap_##name params;					\
	type __wrap_##name params					\
	{								\
		return turn(#name) ? failure : __real_##name args;	\
	}

WRAP(ssize_t, read, (int fd, void *buf, size_t n), (fd, buf, n), -1)
WRAP(ssize_t, write, (int fd, const void *buf, size_t n), (fd, buf, n), -1)
WRAP(FILE *, fopen, (const char *path, const char *mode), (path, mode), NULL)
WRAP(DIR *, opendir, (const char *path), (path), NULL)
WRAP(struct dirent *, readdir, (DIR *dir), (dir), NULL)
WRAP(ssize_t, readlink, (const char *path, char *buf, size_t n), (path, buf, n), -1)
WRAP(char *, realpath, (const char *path, char *buf), (path, buf), NULL)
WRAP(int, access, (const char *path, int mode), (path, mode), -1)
WRAP(int, stat, (const char *path, struct stat *st), (path, st), -1)
WRAP(int, fstat, (int fd, struct stat *st), (fd, st), -1)
WRAP(int, flock, (int fd, int op), (fd, op), -1)
WRAP(int, mkdir, (const char *path, mode_t mode), (path, mode), -1)
WRAP(int, rename, (const char *from, const char *to), (from, to), -1)
WRAP(int, unlink, (const char *path), (path), -1)
WRAP(void *, mmap, (void *at, size_t n, int prot, int flags, int fd, off_t off),
     (at, n, prot, flags, fd, off), MAP_FAILED)

#define WRAP_MEMORY(name, params, args, gain)				\
	void *__real_##name params;					\
	void *__wrap_##name params;					\
	void *__wrap_##name params					\
	{								\
		void *got = memory_turn(#name) ? NULL : __real_##name args; \
									\
		if (inject.is_on && got)				\
			inject.memory += gain;				\
		return got;						\
	}

WRAP_MEMORY(malloc, (size_t n), (n), 1)
WRAP_MEMORY(calloc, (size_t nr, size_t n), (nr, n), 1)
WRAP_MEMORY(realloc, (void *p, size_t n), (p, n), !p)
WRAP_MEMORY(reallocarray, (void *p, size_t nr, size_t n), (p, nr, n), !p)

void __real_free(void *p);
void __wrap_free(void *p);
void __wrap_free(void *p)
{
	if (inject.is_on && p)
		inject.memory--;
	__real_free(p);
}

/* getline(), as gcc compiles it with optimization, and without */
ssize_t __real___getdelim(char **line, size_t *n, int end, FILE *file);
ssize_t __wrap___getdelim(char **line, size_t *n, int end, FILE *file);
ssize_t __wrap___getdelim(char **line, size_t *n, int end, FILE *file)
{
	bool had = *line;
	ssize_t got;

	if (turn("getline"))
		return -1;
	got = __real___getdelim(line, n, end, file);
	if (inject.is_on && !had && *line)
		inject.memory++;
	return got;
}

ssize_t __wrap_getline(char **line, size_t *n, FILE *file);
ssize_t __wrap_getline(char **line, size_t *n, FILE *file)
{
	return __wrap___getdelim(line, n, '\n', file);
}

int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return turn("open") ? -1 : __real_open(path, flags, mode);
}

/* ------------------------------------------------------- a kernel of our own */

static bool is_real;
static char device_file[4096];

static ssize_t answer_pread(void *buf, size_t n)
{
	memset(buf, 0, n);
	return n;
}

ssize_t __real_pread(int fd, void *buf, size_t n, off_t off);
ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t off);
ssize_t __wrap_pread(int fd, void *buf, size_t n, off_t off)
{
	if (turn("pread"))
		return -1;
	return is_real ? __real_pread(fd, buf, n, off) : answer_pread(buf, n);
}

ssize_t __real_pwrite(int fd, const void *buf, size_t n, off_t off);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t off);
ssize_t __wrap_pwrite(int fd, const void *buf, size_t n, off_t off)
{
	if (turn("pwrite"))
		return -1;
	return is_real ? __real_pwrite(fd, buf, n, off) : (ssize_t)n;
}

/* BAR 0 with a list of what can be mapped, which the first call has no room for */
static int answer_region(struct vfio_region_info *info)
{
	struct {
		struct vfio_region_info_cap_sparse_mmap sparse;
		struct vfio_region_sparse_mmap_area area;
	} cap = { .sparse = { .nr_areas = 1 }, .area = { .size = 4096 } };

	if (info->index > 1 && info->index != VFIO_PCI_CONFIG_REGION_INDEX) {
		errno = EINVAL;
		return -1;
	}
	info->size = 16384;
	info->offset = 0;
	info->flags = VFIO_REGION_INFO_FLAG_READ;
	if (info->index)
		return 0;
	info->flags |= VFIO_REGION_INFO_FLAG_CAPS;
	cap.sparse.header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
	if (info->argsz >= sizeof(*info) + sizeof(cap)) {
		info->cap_offset = sizeof(*info);
		memcpy(info + 1, &cap, sizeof(cap));
	}
	info->argsz = sizeof(*info) + sizeof(cap);
	return 0;
}

static int answer_ranges(struct iommu_ioas_iova_ranges *cmd)
{
	struct iommu_iova_range *ranges = (void *)(uintptr_t)cmd->allowed_iovas;
	uint32_t i, room = cmd->num_iovas;

	cmd->num_iovas = 20;
	cmd->out_iova_alignment = 4096;
	if (room < 20) {
		errno = EMSGSIZE;
		return -1;
	}
	for (i = 0; i < 20; i++)
		ranges[i] = (struct iommu_iova_range){ i << 24, (i << 24) + 0xfffff };
	return 0;
}

/* More functions than the first call has room for */
static int answer_reset_set(struct vfio_pci_hot_reset_info *info)
{
	info->count = 9;
	info->flags = VFIO_PCI_HOT_RESET_FLAG_DEV_ID;
	if (info->argsz >= sizeof(*info) + 9 * sizeof(info->devices[0]))
		return 0;
	errno = ENOSPC;
	return -1;
}

static int answer(unsigned long request, void *arg)
{
	switch (request) {
	case VFIO_DEVICE_GET_INFO:
		((struct vfio_device_info *)arg)->num_regions = VFIO_PCI_NUM_REGIONS;
		((struct vfio_device_info *)arg)->num_irqs = VFIO_PCI_NUM_IRQS;
		return 0;
	case VFIO_DEVICE_GET_REGION_INFO:
		return answer_region(arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		((struct vfio_irq_info *)arg)->count = 1;
		return 0;
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return answer_reset_set(arg);
	case VFIO_GROUP_GET_STATUS:
		((struct vfio_group_status *)arg)->flags = VFIO_GROUP_FLAGS_VIABLE;
		return 0;
	case VFIO_GROUP_GET_DEVICE_FD:
		return __real_open(device_file, O_RDWR | O_CLOEXEC);
	case IOMMU_IOAS_ALLOC:
		((struct iommu_ioas_alloc *)arg)->out_ioas_id = 1;
		return 0;
	case IOMMU_IOAS_IOVA_RANGES:
		return answer_ranges(arg);
	}
	return 0;
}

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	if (turn("ioctl"))
		return -1;
	return is_real ? __real_ioctl(fd, request, arg) : answer(request, arg);
}

/* ------------------------------------------------------------------ scenarios */

static const struct vcdev_host *host;
static const char *bdf;
static struct vcdev_error err;
static bool has_reason = true;

/* Every failure of the library has to be told. */
static bool bad(long rc)
{
	if (rc >= 0)
		return false;
	has_reason = has_reason && err.code == rc && err.text[0] &&
		memchr(err.text, '\0', sizeof(err.text));
	memset(&err, 0, sizeof(err));
	return true;
}

/* fake_inject of tests/tool/fake-sysfs.sh makes these. */
#define MDEV	"83b8f4f2-509f-382f-3c1e-e6bfe0fa1001"
#define PF	"0000:00:1f.2"

static int look(void)
{
	struct vcdev_pci pci, *list = NULL;
	struct vcdev_holder *holders = NULL;
	struct vcdev_mdev mdev, *mdevs = NULL;
	struct vcdev_file *files = NULL;
	char above[VCDEV_BDF_LEN];
	size_t nr_hidden;
	char (*passed)[VCDEV_BDF_LEN] = NULL;
	int rc = -1;

	if (bad(vcdev_pci_get(host, bdf, &pci, &err)))
		return -1;
	if (bad(vcdev_pci_list(host, &list, &err)))
		return -1;
	free(list);
	list = NULL;
	if (bad(vcdev_pci_group(host, pci.group, &list, &err)))
		return -1;
	free(list);
	if (bad(vcdev_pci_find(host, pci.cdev, &pci, &err)))
		return -1;
	if (bad(vcdev_pci_holders(host, &pci, &holders, &err)))
		return -1;
	free(holders);
	if (bad(vcdev_passed_devices(&passed, &err)))
		return -1;
	free(passed);
	list = NULL;
	if (bad(vcdev_pci_vfs(host, bdf, &list, &err)))
		return -1;
	free(list);
	if (bad(vcdev_files(host, 0, &files, &nr_hidden, &err)))
		return -1;
	free(files);
	/* (no call of it has an error for @err) */
	if (!vcdev_pci_upstream(host, bdf, above) && above[0] != '0')
		return -1;
	if (bad(vcdev_iommu_present(host, &err)))
		return -1;
	/* A machine of the tests has none. */
	if (!is_real && bad(vcdev_mdev_find(host, MDEV, &mdev, &err)))
		return -1;
	if (!bad(vcdev_mdev_list(host, &mdevs, &err)))
		rc = 0;
	free(mdevs);
	return rc;
}

static int memory(void)
{
	const struct vcdev_iova_range wanted = { 0x1000000, 0x10fffff };
	struct vcdev_iova_range *ranges = NULL;
	struct vcdev_iovas *iovas = NULL;
	struct vcdev_ctx *ctx;
	uint64_t iova, alignment;
	static char page[8192] __attribute__((aligned(4096)));
	uint32_t ioas;
	int rc = -1;

	if (bad(vcdev_ctx_open(host, &ctx, &err)))
		return -1;
	if (bad(vcdev_ioas_alloc(ctx, &ioas, &err)) ||
	    bad(vcdev_allow_iovas(ctx, ioas, &wanted, 1, &err)) ||
	    bad(vcdev_iova_ranges(ctx, ioas, &ranges, &alignment, &err)) ||
	    bad(vcdev_iovas_new(ctx, ioas, &iovas, &err)))
		goto out;
	/* Three that lie apart, so that the account has to grow */
	if (bad(vcdev_iovas_reserve(iovas, 0x1003000, 4096, &err)) ||
	    bad(vcdev_iovas_reserve(iovas, 0x1005000, 4096, &err)) ||
	    bad(vcdev_iovas_reserve(iovas, 0x1007000, 4096, &err)) ||
	    bad(vcdev_iovas_alloc(iovas, 4096, 0, UINT64_MAX, &iova, &err)) ||
	    bad(vcdev_iovas_release(iovas, 0x1005000, 4096, &err)))
		goto out;
	if (bad(vcdev_map(ctx, ioas, page, 4096, 0x1003000, VCDEV_MAP_RW, &err)) ||
	    bad(vcdev_map_any(ctx, ioas, page + 4096, 4096, VCDEV_MAP_RW, &iova, &err)) ||
	    bad(vcdev_copy(ctx, ioas, 0x1008000, ioas, 0x1003000, 4096, VCDEV_MAP_RW, &err)) ||
	    bad(vcdev_populate(page, 8192, 1, NULL, NULL, &err)) ||
	    bad(vcdev_unmap(ctx, ioas, 0x1003000, 4096, NULL, &err)) ||
	    bad(vcdev_destroy(ctx, ioas, &err)))
		goto out;
	rc = 0;
out:
	vcdev_iovas_delete(iovas);
	free(ranges);
	vcdev_ctx_close(ctx);
	return rc;
}

static int use_device(struct vcdev_dev *dev)
{
	struct vcdev_dev_info info;
	struct vcdev_region region;
	struct vcdev_irq irq;
	void *bar = NULL;
	uint32_t word;
	int fd;

	if (bad(vcdev_dev_info(dev, &info, &err)) ||
	    bad(vcdev_dev_enable(dev, false, &err)) ||
	    bad(vcdev_region_get(dev, VFIO_PCI_BAR0_REGION_INDEX, &region, &err)))
		return -1;
	vcdev_region_free(&region);
	if (bad(vcdev_region_map(dev, 0, 0, 4096, PROT_READ, &bar, &err)))
		return -1;
	vcdev_region_unmap(bar, 4096);
	if (bad(vcdev_region_read(dev, 0, 0, &word, 4, &err)) ||
	    bad(vcdev_region_write(dev, 0, 4, &word, 4, &err)) ||
	    bad(vcdev_config_read(dev, 4, &word, 4, &err)) ||
	    bad(vcdev_config_write(dev, 4, &word, 4, &err)) ||
	    (!is_real && bad(vcdev_dev_reset(dev, &err))))
		return -1;
	fd = eventfd(0, EFD_CLOEXEC);
	if (bad(vcdev_irq_get(dev, VFIO_PCI_MSI_IRQ_INDEX, &irq, &err)) ||
	    bad(vcdev_irq_enable(dev, VFIO_PCI_MSI_IRQ_INDEX, &fd, 1, &err)) ||
	    bad(vcdev_irq_trigger(dev, VFIO_PCI_MSI_IRQ_INDEX, 0, &err)) ||
	    (!is_real && bad(vcdev_irq_unmask(dev, VFIO_PCI_INTX_IRQ_INDEX, &err))) ||
	    bad(vcdev_irq_disable(dev, VFIO_PCI_MSI_IRQ_INDEX, &err))) {
		close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

static int device(void)
{
	struct vcdev_ctx *ctx = NULL;
	struct vcdev_reset_function *set = NULL;
	struct vcdev_hw_info hw_info;
	struct vcdev_dev *dev;
	uint32_t ioas, hwpt;
	uint64_t features;
	bool is_owned;
	int rc = -1;

	if (bad(vcdev_dev_open(host, bdf, &dev, &err)))
		return -1;
	if (bad(vcdev_ctx_open(host, &ctx, &err)) ||
	    bad(vcdev_dev_bind(dev, ctx, &err)) ||
	    bad(vcdev_ioas_alloc(ctx, &ioas, &err)) ||
	    bad(vcdev_dev_attach(dev, ioas, &hwpt, &err)) || use_device(dev) ||
	    (!is_real && bad(vcdev_dev_features(dev, &features, &err))) ||
	    (!is_real && bad(vcdev_dev_hw_info(dev, ctx, &hw_info, &err))) ||
	    (!is_real && bad(vcdev_dev_reset_set(dev, &set, &is_owned, &err))) ||
	    (!is_real && bad(vcdev_dev_reset_hot(dev, &err))) ||
	    bad(vcdev_dev_detach(dev, &err)))
		goto out;
	rc = 0;
out:
	free(set);
	vcdev_dev_close(dev);
	vcdev_ctx_close(ctx);
	return rc;
}

static int group(void)
{
	struct vcdev_ctx *ctx = NULL;
	struct vcdev_dev *dev = NULL;
	uint32_t ioas;
	int rc = -1;

	if (bad(vcdev_ctx_open_container(host, &ctx, &err)))
		return -1;
	if (!bad(vcdev_dev_open_group(host, bdf, ctx, &dev, &ioas, &err)))
		rc = use_device(dev);
	vcdev_dev_close(dev);
	vcdev_ctx_close(ctx);
	return rc;
}

/* On a made-up system drivers do nothing: whether it works says nothing there. */
static int drivers(void)
{
	char former[VCDEV_NAME_LEN];
	struct vcdev_pci pci;
	int lock, rc = -1;

	lock = vcdev_driver_lock(host, &err);
	if (bad(lock))
		return -1;
	if (bad(vcdev_pci_get(host, bdf, &pci, &err)))
		goto out;
	bad(vcdev_driver_may_bind(host, &pci, NULL, 0, &err));
	bad(vcdev_driver_may_restore(host, &pci, former, &err));
	if (bad(vcdev_sriov_set(host, PF, 1, &err)) | bad(vcdev_sriov_set(host, PF, 0, &err)))
		goto out;
	if (bad(vcdev_driver_restore(host, bdf, former, &err)) |
	    bad(vcdev_driver_bind(host, bdf, "vfio-pci", &err)))
		goto out;
	rc = 0;
out:
	vcdev_driver_unlock(lock);
	return rc;
}

/* --------------------------------------------------------------------- running */

static int failed;

static void check(const char *name, const char *what, bool good)
{
	printf("%s %s: %s\n", good ? "ok" : "not ok", name, what);
	if (!good)
		failed = 1;
}

static int count_fds(void)
{
	struct dirent *entry;
	int nr = 0;
	DIR *dir;

	dir = opendir("/proc/self/fd");
	while (dir && (entry = readdir(dir)))
		nr++;
	if (dir)
		closedir(dir);
	return nr;
}

/* Run it with call number @at failing. Sets *@calls to how many there were. */
static int run(int (*scenario)(void), long at, int error, long *calls)
{
	int rc;

	inject.calls = 0;
	inject.at = at;
	inject.error = error;
	inject.failed = NULL;
	inject.is_on = true;
	rc = scenario();
	inject.is_on = false;
	*calls = inject.calls;
	return rc;
}

/* Without these nothing works: a failure that has no effect was not noticed. */
static bool must_matter(const char *call)
{
	return !strcmp(call, "ioctl") || strstr(call, "alloc") || !strcmp(call, "pread") ||
		!strcmp(call, "pwrite") || !strcmp(call, "mmap");
}

static bool is_retried(const char *call)
{
	return !strcmp(call, "ioctl") || !strcmp(call, "pread") || !strcmp(call, "pwrite") ||
		!strcmp(call, "read");
}

/* @succeeds: without a failure; if not, only leaks and reasons are looked at. */
static void sweep(const char *name, int (*scenario)(void), bool succeeds)
{
	long at, calls, total, step, unnoticed = 0, leaks = 0, fds_lost = 0, stuck = 0, signals = 0;
	int fds, rc;

	has_reason = true;
	inject.memory = 0;
	rc = run(scenario, 0, 0, &total);
	check(name, "goes through without a failure", !rc || !succeeds);
	check(name, "has calls that can fail", total > 10);
	fds = count_fds();
	/* A real machine is slow, and its /proc long: some sixty of the calls there. */
	step = is_real && total > 60 ? total / 60 : 1;
	for (at = 1; at <= total; at += step) {
		rc = run(scenario, at, EIO, &calls);
		if (!rc && succeeds && inject.failed && must_matter(inject.failed)) {
			printf("# %s: call %ld, %s, failed and nobody noticed\n", name, at,
			       inject.failed);
			unnoticed++;
		}
		if (inject.memory) {
			printf("# %s: call %ld, %s: %ld pieces of memory\n", name, at,
			       inject.failed, inject.memory);
			leaks++;
			inject.memory = 0;
		}
		if (count_fds() != fds) {
			printf("# %s: call %ld, %s: from %d files to %d\n", name, at,
			       inject.failed, fds, count_fds());
			fds_lost++;
			fds = count_fds();
		}
		if (!has_reason)
			printf("# %s: call %ld, %s: a failure without a reason\n", name, at,
			       inject.failed);
		if (run(scenario, 0, 0, &calls) && succeeds) {
			printf("# %s: after call %ld, %s, it does not work any more\n", name, at,
			       inject.failed);
			stuck++;
		}
		rc = run(scenario, at, EINTR, &calls);
		if (rc && succeeds && inject.failed && is_retried(inject.failed)) {
			printf("# %s: call %ld, %s, was not made again after a signal\n", name,
			       at, inject.failed);
			signals++;
		}
		inject.memory = 0;
	}
	printf("# %s: %ld of %ld calls failed one after the other\n", name,
	       (total + step - 1) / step, total);
	check(name, "each failure has a reason", has_reason);
	check(name, "no failure goes unnoticed", !unnoticed);
	check(name, "no memory leaks", !leaks);
	check(name, "no file leaks", !fds_lost);
	check(name, "the same succeeds afterwards", !stuck);
	check(name, "a signal is no failure", !signals);
}

/* The kernel above has 20 ranges of 1 MiB, 16 MiB apart: all of a MiB, then by page. */
static void test_iovas(void)
{
	static uint64_t pages[20 * 256];
	struct vcdev_iovas *iovas = NULL;
	struct vcdev_ctx *ctx = NULL;
	uint64_t iova = 1, nr = 0, i;
	bool good = true;

	check("iovas", "made", !vcdev_ctx_open(host, &ctx, &err) &&
	      !vcdev_iovas_new(ctx, 1, &iovas, &err));
	if (!iovas)
		return;
	check("iovas", "the lowest is given",
	      !vcdev_iovas_alloc(iovas, 4096, 0, UINT64_MAX, &iova, &err) && !iova);
	check("iovas", "aligned as asked",
	      !vcdev_iovas_alloc(iovas, 8192, 8192, UINT64_MAX, &iova, &err) && iova == 8192);
	check("iovas", "up to a limit", !vcdev_iovas_alloc(iovas, 4096, 0, 8191, &iova, &err) &&
	      iova == 4096);
	check("iovas", "beyond it is ENOSPC",
	      vcdev_iovas_alloc(iovas, 4096, 0, 8191, &iova, &err) == -ENOSPC);
	check("iovas", "more than any range is ENOSPC",
	      vcdev_iovas_alloc(iovas, 1 << 21, 0, UINT64_MAX, &iova, &err) == -ENOSPC);
	check("iovas", "all there is and more is ENOSPC",
	      vcdev_iovas_alloc(iovas, UINT64_MAX & ~4095ull, 0, UINT64_MAX, &iova, &err) ==
	      -ENOSPC);
	check("iovas", "half a page is EINVAL",
	      vcdev_iovas_alloc(iovas, 2048, 0, UINT64_MAX, &iova, &err) == -EINVAL);
	check("iovas", "an alignment of three pages is EINVAL",
	      vcdev_iovas_alloc(iovas, 4096, 12288, UINT64_MAX, &iova, &err) == -EINVAL);
	check("iovas", "reserve what is taken is EEXIST",
	      vcdev_iovas_reserve(iovas, 0, 4096, &err) == -EEXIST);
	check("iovas", "release what is free is EINVAL",
	      vcdev_iovas_release(iovas, 3 << 24, 4096, &err) == -EINVAL);
	check("iovas", "release what was never there is EINVAL",
	      vcdev_iovas_release(iovas, 1 << 23, 4096, &err) == -EINVAL);
	check("iovas", "release", !vcdev_iovas_release(iovas, 0, 16384, &err));
	check("iovas", "release again is EINVAL",
	      vcdev_iovas_release(iovas, 0, 4096, &err) == -EINVAL);
	while (nr < 20 * 256 && !vcdev_iovas_alloc(iovas, 4096, 0, UINT64_MAX, &pages[nr], &err))
		nr++;
	check("iovas", "every page is given once", nr == 20 * 256 &&
	      vcdev_iovas_alloc(iovas, 4096, 0, UINT64_MAX, &iova, &err) == -ENOSPC);
	/* 2049 and 5120 have no common factor: every page, in a wild order */
	for (i = 0; i < nr; i++)
		good = good && !vcdev_iovas_release(iovas, pages[i * 2049 % nr], 4096, &err);
	check("iovas", "and taken back in any order", good);
	for (i = 0; i < 20; i++)
		good = good && !vcdev_iovas_alloc(iovas, 1 << 20, 0, UINT64_MAX, &iova, &err) &&
			iova == i << 24;
	check("iovas", "so that the ranges are whole again", good);
	vcdev_iovas_delete(iovas);
	vcdev_ctx_close(ctx);
}

int main(int argc, char **argv)
{
	static struct vcdev_host made_up = { .no_modprobe = true };

	if (argc == 3 && !strcmp(argv[1], "--real")) {
		is_real = true;
		bdf = argv[2];
	} else if (argc == 2) {
		made_up.root = argv[1];
		host = &made_up;
		bdf = "0000:01:00.0";
		snprintf(device_file, sizeof(device_file), "%s/dev/vfio/devices/vfio3", argv[1]);
	} else {
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	sweep("look", look, true);
	sweep("memory", memory, true);
	sweep("device", device, true);
	sweep("group", group, true);
	if (!is_real)
		test_iovas();
	/* Drivers are changed for real in tests/tool/vm; here it would take minutes. */
	if (!is_real)
		sweep("drivers", drivers, false);
	return failed;
}
