// SPDX-License-Identifier: GPL-2.0
/*
 * What must be as before when all clients are dead: pages pinned, memory and objects of
 * the kernel, references to modules, device files and IOMMU groups; what a user may
 * lock and how many I/O page tables he may have; and a driver of the kernel's takes an
 * NVMe controller and reads a block.
 */
#include <glob.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "soak.h"

static void add(struct counters *counters, long value, long margin, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void add(struct counters *counters, long value, long margin, const char *fmt, ...)
{
	struct counter *counter = &counters->counters[counters->nr];
	va_list args;

	if (counters->nr == MAX_COUNTERS)
		return;
	va_start(args, fmt);
	vsnprintf(counter->name, sizeof(counter->name), fmt, args);
	va_end(args);
	counter->value = value;
	counter->margin = margin;
	counters->nr++;
}

static long files(const char *pattern)
{
	glob_t found;
	long nr = 0;

	if (!glob(pattern, GLOB_NOSORT, NULL, &found)) {
		nr = found.gl_pathc;
		globfree(&found);
	}
	return nr;
}

static long number(const char *path)
{
	char line[32];

	sysfs_read(path, line, sizeof(line));
	return line[0] ? atol(line) : -1;
}

/* "name value ..." of a file, or -1 */
static long field(const char *path, const char *name)
{
	char line[256], word[64];
	long value = -1, v;
	FILE *f = fopen(path, "r");

	while (f && value < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %ld", word, &v) == 2 && !strcmp(word, name))
			value = v;
	if (f)
		fclose(f);
	return value;
}

/* Free pages that processors keep at hand, which MemFree does not count; KiB. */
static long kept_by_processors(void)
{
	char line[256];
	long sum = 0, value;
	FILE *f = fopen("/proc/zoneinfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, " count: %ld", &value) == 1)
			sum += value * (PAGE >> 10);
	if (f)
		fclose(f);
	return sum;
}

/* Let everything be freed that can be. */
static void settle(void)
{
	glob_t found;
	size_t i;
	int round;

	for (round = 0; round < 2; round++) {
		sysfs_write("/proc/sys/vm/drop_caches", "3");
		sysfs_write("/proc/sys/vm/compact_memory", "1");
		sleep(1);
		if (glob("/sys/kernel/slab/*/shrink", GLOB_NOSORT, NULL, &found))
			continue;
		for (i = 0; i < found.gl_pathc; i++)
			sysfs_write(found.gl_pathv[i], "1");
		globfree(&found);
	}
	sysfs_write("/proc/sys/vm/stat_refresh", "1");
}

static void slabs(struct counters *counters)
{
	/*
	 * Ours exactly. Others come and go by themselves, but not as many as there were
	 * clients: what is lost with each of them would show.
	 */
	static const struct {
		const char *name;
		long margin;
	} caches[] = {
		{ "area", 0 }, { "area_part", 0 },
		{ "iommu_iova", 200 }, { "mm_struct", 60 }, { "task_struct", 60 },
		{ "files_cache", 60 }, { "filp", 400 }, { "pid", 200 },
		{ "user_namespace", 0 }, { "eventpoll_epi", 50 },
		{ "kmalloc-8k", 20 }, { "kmalloc-4k", 100 }, { "kmalloc-2k", 150 },
		{ "kmalloc-1k", 250 }, { "kmalloc-512", 300 }, { "kmalloc-256", 600 },
		{ "kmalloc-192", 600 }, { "kmalloc-128", 600 }, { "kmalloc-96", 800 },
		{ "kmalloc-64", 1000 },
		{ "kmalloc-cg-4k", 100 }, { "kmalloc-cg-2k", 100 }, { "kmalloc-cg-1k", 100 },
		{ "kmalloc-cg-512", 100 }, { "kmalloc-cg-256", 100 },
		{ "kmalloc-cg-192", 100 }, { "kmalloc-cg-128", 100 },
		{ "kmalloc-cg-96", 100 }, { "kmalloc-cg-64", 100 }, { "kmalloc-cg-32", 200 },
	};
	unsigned int i;
	long value;

	for (i = 0; i < sizeof(caches) / sizeof(*caches); i++) {
		value = field("/proc/slabinfo", caches[i].name);
		if (value >= 0)
			add(counters, value, caches[i].margin, "slab %s", caches[i].name);
	}
}

void counters_take(struct counters *counters)
{
	static const char *const modules[] = { "iommufd", "vfio", "vfio_pci", "mdev", "vcopy" };
	char path[64];
	unsigned int i;
	long tables;

	counters->nr = 0;
	tables = user_tables();
	settle();
	add(counters, pinned_now(), 0, "pinned pages");
	for (i = 0; i < 5; i++) {
		snprintf(path, sizeof(path), "/sys/module/%s/refcnt", modules[i]);
		if (number(path) >= 0)
			add(counters, number(path), 0, "references to %s", modules[i]);
	}
	add(counters, files("/dev/vfio/devices/*"), 0, "device files");
	add(counters, files("/dev/vfio/[0-9]*"), 0, "group files");
	add(counters, files("/sys/kernel/iommu_groups/*"), 0, "IOMMU groups");
	add(counters, files("/sys/class/vfio-dev/*"), 0, "VFIO devices");
	add(counters, tables, 0, "page tables that a user can have");
	/* Memory is the coarse net, for what has no counter (page tables). */
	add(counters, field("/proc/meminfo", "MemFree:") + kept_by_processors() +
		      field("/proc/meminfo", "Cached:") +
		      field("/proc/meminfo", "SReclaimable:"), 24 << 10,
	    "free memory and caches, KiB");
	add(counters, field("/proc/meminfo", "HugePages_Total:"), 0, "pages of hugetlb");
	add(counters, field("/proc/meminfo", "SUnreclaim:"), 6 << 10, "SUnreclaim, KiB");
	add(counters, field("/proc/meminfo", "AnonPages:"), 2 << 10, "AnonPages, KiB");
	add(counters, field("/proc/meminfo", "Shmem:"), 1 << 10, "Shmem, KiB");
	add(counters, field("/proc/meminfo", "PageTables:"), 512, "PageTables, KiB");
	slabs(counters);
}

/* Prints the table. How many are off. */
int counters_compare(const struct counters *before, const struct counters *after)
{
	const struct counter *b, *a;
	int i, off = 0;
	long by;

	printf("# %-34s %10s %10s %8s  %s\n", "counter", "before", "after", "by", "margin");
	for (i = 0; i < before->nr; i++) {
		b = &before->counters[i];
		a = &after->counters[i];
		by = a->value - b->value;
		/* More free memory than before is no leak, and fewer objects neither. */
		if (strstr(b->name, "free memory") ? by < -b->margin :
		    b->margin ? by > b->margin : by) {
			off++;
			printf("# OFF: ");
		} else {
			printf("# ");
		}
		printf("%-34s %10ld %10ld %8ld  %ld\n", b->name, b->value, a->value, by,
		       b->margin);
	}
	return off;
}

/* ---- what a user may have ---- */

/* A context of the user's with the first edu in it. The IOAS, or -errno. */
static int attach_as_user(int *iommufd)
{
	struct slot *slot = &shared->slots[0];
	struct rlimit limit = { LIMIT, LIMIT };
	uint32_t ioas;
	char path[64];
	int rc, dev;

	rc = pci_bind_vfio(slot->name);
	rc = rc ?: slot_path(slot, false, path);
	dev = rc ?: open(path, O_RDWR | O_CLOEXEC);
	*iommufd = iommufd_open();
	if (dev < 0 || *iommufd < 0)
		return -ENODEV;
	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setresuid(USER, USER, USER))
		return -EPERM;
	rc = ioas_alloc(*iommufd, &ioas);
	rc = rc ?: vfio_bind(dev, *iommufd, NULL);
	rc = rc ?: vfio_attach(dev, ioas, NULL);
	return rc ?: (int)ioas;
}

static int child_result(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* The user whose clients were killed can lock his limit to the last page, and no more. */
int user_locks_all_again(void)
{
	int iommufd, ioas;
	char *p;
	pid_t pid = fork();

	if (pid)
		return child_result(pid);
	ioas = attach_as_user(&iommufd);
	if (ioas < 0)
		_exit(1);
	p = mmap(NULL, LIMIT + PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		_exit(2);
	if (ioas_map_fixed(iommufd, ioas, RW, p, LIMIT, 64 * MiB))
		_exit(3);
	_exit(ioas_map_fixed(iommufd, ioas, RW, p + LIMIT, PAGE, 16 * MiB) == -ENOMEM ?
	      0 : 4);
}

/*
 * How many pages, each far from all others, a user can map before the limit of page
 * tables. Fewer when tables of before still count.
 */
long user_tables(void)
{
	char limit[32];
	int iommufd, ioas, pipes[2];
	uint64_t iova;
	long nr = 0;
	char *p;
	pid_t pid;

	sysfs_read("/sys/module/iommufd/parameters/table_limit", limit, sizeof(limit));
	if (sysfs_write("/sys/module/iommufd/parameters/table_limit", "2") || pipe(pipes))
		return -1;
	pid = fork();
	if (!pid) {
		ioas = attach_as_user(&iommufd);
		p = pages_alloc(PAGE);
		for (iova = 1UL << 30; ioas > 0 && nr < 100000; nr++, iova += 1UL << 30)
			if (ioas_map_fixed(iommufd, ioas, RW, p, PAGE, iova))
				break;
		_exit(write(pipes[1], &nr, sizeof(nr)) != sizeof(nr));
	}
	close(pipes[1]);
	if (read(pipes[0], &nr, sizeof(nr)) != sizeof(nr))
		nr = -1;
	close(pipes[0]);
	child_result(pid);
	sysfs_write("/sys/module/iommufd/parameters/table_limit", limit);
	return nr;
}

/* ---- the kernel's own driver ---- */

int kernel_driver_takes(const char *bdf)
{
	char path[128], pattern[128];
	int fd, i, rc = -ENODEV;
	static char block[PAGE];
	glob_t found;

	if (system("modprobe nvme"))
		return -ENOENT;
	rc = pci_unbind_vfio(bdf);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", bdf);
	rc = rc ?: sysfs_write(path, "nvme");
	rc = rc ?: sysfs_write("/sys/bus/pci/drivers_probe", bdf);
	if (rc)
		return rc;
	snprintf(pattern, sizeof(pattern), "/sys/bus/pci/devices/%s/nvme/nvme*/nvme*n1", bdf);
	rc = -ENODEV;
	for (i = 0; i < 600 * (int)shared->patience && rc; i++) {
		usleep(100000);
		if (glob(pattern, GLOB_NOSORT, NULL, &found))
			continue;
		snprintf(path, sizeof(path), "/dev%.100s", strrchr(found.gl_pathv[0], '/'));
		globfree(&found);
		fd = open(path, O_RDONLY);
		if (fd < 0)
			continue;
		rc = read(fd, block, sizeof(block)) == sizeof(block) ? 0 : -EIO;
		close(fd);
	}
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override", bdf);
	sysfs_write(path, "\n");
	i = sysfs_write("/sys/bus/pci/drivers/nvme/unbind", bdf);
	return rc ?: i;
}
