// SPDX-License-Identifier: GPL-2.0
/*
 * Fault sweeps over what is no ioctl of a context: loading the modules, making a
 * device, opening it. As in iommufd_faults the n-th allocation or user copy is made
 * to fail, for each n until none is left; see fault_utils.h.
 *
 * A call that failed must have left nothing: the same call succeeds when it is
 * repeated, and at the end of a sweep the counters are the old ones. What is
 * lost, kmemleak finds when the machine ends.
 *
 * The device is the sample vcopy, which needs no hardware: what the core does when
 * a real one is registered is the same, but for what happens below it (see the
 * top of iommufd_faults.c). Of the loading of a module only its own part is
 * swept, from where the kernel says that it has loaded it: the kernel's part has
 * hundreds of points. About a cache and about vmalloc() it complains with a stack,
 * which tests/vm/run knows.
 */
#include <sys/syscall.h>
#include <sys/utsname.h>

#include "fault_utils.h"
#include "group_utils.h"
#include "kselftest_harness.h"
#include "vcopy_utils.h"

#define MAX_POINTS	400
#define SWEEP_TIMEOUT	300
#define PLENTY		1000000
#define MAX_STARVED	1000
#define MAX_EACH	150

#define min(a, b)	((a) < (b) ? (a) : (b))

/*
 * Sweeps
 */

struct scenario {
	const char *name;
	int (*call)(void *arg);		/* 0 or -errno, nothing kept then */
	int (*undo)(void *arg);
	void *arg;
};

static int call_under_fault(int nth, const struct scenario *s, unsigned int n,
			    int *fired)
{
	int rc, armed = fault_arm(nth, n);

	if (armed)
		return armed;
	rc = s->call(s->arg);
	*fired = fault_disarm(nth);
	return rc;
}

static void sweep(struct __test_metadata *_metadata, const struct scenario *s)
{
	unsigned int n, failed = 0;
	int nth = fault_open(), rc, fired = 1;

	ASSERT_LE(0, nth);
	ASSERT_EQ(0, s->call(s->arg));	/* fills caches */
	ASSERT_EQ(0, s->undo(s->arg));
	for (n = 1; fired; n++) {
		ASSERT_GT(MAX_POINTS, n);
		rc = call_under_fault(nth, s, n, &fired);
		ASSERT_LE(0, fired);
		ASSERT_TRUE(rc == 0 || rc == -ENOMEM || rc == -EFAULT) {
			TH_LOG("%s: point %u: %s", s->name, n, strerror(-rc));
		}
		ASSERT_TRUE(rc == 0 || fired);
		if (rc) {
			failed++;
			ASSERT_EQ(0, s->call(s->arg)) {
				TH_LOG("%s: point %u: repeated", s->name, n);
			}
		}
		ASSERT_EQ(0, s->undo(s->arg)) {
			TH_LOG("%s: point %u: undone", s->name, n);
		}
	}
	printf("# %s: %u points, %u failed\n", s->name, n - 2, failed);
	fflush(stdout);
	EXPECT_NE(0, failed);
	close(nth);
}

/*
 * Where a single fault is got over, by trying again: memory ends after some bytes,
 * so many more each time.
 */
#define STARVE_STEP	192

static void starve(struct __test_metadata *_metadata, const struct scenario *s)
{
	unsigned int nr = 0, failed = 0;
	long bytes, left, fired = 1;
	int rc, fd = fault_starve_open();

	ASSERT_LE(0, fd);
	for (bytes = 0; fired; bytes += STARVE_STEP) {
		ASSERT_GT(MAX_STARVED, ++nr);
		ASSERT_EQ(0, fault_starve(fd, bytes));
		rc = s->call(s->arg);
		fired = fault_feed(fd, &left);
		ASSERT_LE(0, fired);
		ASSERT_TRUE(rc == 0 || (fired && rc == -ENOMEM)) {
			TH_LOG("%s: %ld bytes: %s", s->name, bytes, strerror(-rc));
		}
		failed += rc != 0;
		if (!rc)
			ASSERT_EQ(0, s->undo(s->arg));
	}
	printf("# %s: no memory from %u points on, %u failed\n", s->name, nr - 1,
	       failed);
	fflush(stdout);
	EXPECT_NE(0, failed);
	close(fd);
}

static long nr_entries(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	long nr = 0;

	while (dir && (entry = readdir(dir)))
		nr += entry->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return nr;
}

static long references(const char *module)
{
	char path[128], line[32];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module);
	sysfs_read(path, line, sizeof(line));
	return line[0] ? atol(line) : -1;
}

/* Counters before a test, and after it. */
struct baseline {
	long vfio, iommufd, vcopy;
	long devices, groups, mdevs;
};

static void baseline_read(struct baseline *b)
{
	b->vfio = references("vfio");
	b->iommufd = references("iommufd");
	b->vcopy = references("vcopy");
	b->devices = nr_entries("/sys/class/vfio-dev");
	b->groups = nr_entries("/sys/class/vfio");
	b->mdevs = nr_entries(MDEV_DEVICES);
}

static void baseline_expect(struct __test_metadata *_metadata,
			    const struct baseline *b)
{
	struct baseline now;

	baseline_read(&now);
	EXPECT_EQ(b->vfio, now.vfio);
	EXPECT_EQ(b->iommufd, now.iommufd);
	EXPECT_EQ(b->vcopy, now.vcopy);
	EXPECT_EQ(b->devices, now.devices);
	EXPECT_EQ(b->groups, now.groups);
	EXPECT_EQ(b->mdevs, now.mdevs);
}

/*
 * Making a device
 */

FIXTURE(device)
{
	struct baseline baseline;
};

FIXTURE_SETUP(device)
{
	if (fault_none())
		SKIP(return, "no fault injection in this kernel");
	if (access(VCOPY_TYPES, F_OK))
		SKIP(return, "no vcopy here");
	ASSERT_EQ(0, fault_setup());
	ASSERT_EQ(0, fault_choose(FAULT_SLAB));
	baseline_read(&self->baseline);
}

FIXTURE_TEARDOWN(device)
{
	baseline_expect(_metadata, &self->baseline);
}

/* The file is open and the name known before: only the write is disturbed. */
struct making {
	int fd;
	char uuid[UUID_LEN + 1];
};

static int call_make(void *arg)
{
	struct making *making = arg;

	return pwrite(making->fd, making->uuid, UUID_LEN, 0) == UUID_LEN ?
	       0 : -errno;
}

static int undo_make(void *arg)
{
	struct making *making = arg;

	return vcopy_remove(making->uuid);
}

static void sweep_making(struct __test_metadata *_metadata, const char *type)
{
	struct making making;
	struct scenario s;
	char path[128];

	snprintf(path, sizeof(path), VCOPY_TYPES "/vcopy-%s/create", type);
	making.fd = open(path, O_WRONLY | O_CLOEXEC);
	ASSERT_LE(0, making.fd);
	sysfs_read("/proc/sys/kernel/random/uuid", making.uuid,
		   sizeof(making.uuid));
	s = (struct scenario){ "making a device", call_make, undo_make, &making };
	sweep(_metadata, &s);
	starve(_metadata, &s);
	close(making.fd);
}

TEST_F_TIMEOUT(device, is_registered_or_leaves_nothing, SWEEP_TIMEOUT)
{
	sweep_making(_metadata, "pin");
}

/*
 * Using one
 */

FIXTURE(made)
{
	struct baseline baseline;
	char uuid[UUID_LEN + 1];
	char group_path[64];
	int iommufd;
	int group;
	int dev;
	uint32_t ioas;
	uint32_t id;
	void *bitmap;
};

FIXTURE_SETUP(made)
{
	char device[128];

	if (fault_none())
		SKIP(return, "no fault injection in this kernel");
	if (access(VCOPY_TYPES, F_OK))
		SKIP(return, "no vcopy here");
	ASSERT_EQ(0, fault_setup());
	ASSERT_EQ(0, fault_choose(FAULT_SLAB));
	baseline_read(&self->baseline);
	self->group = self->dev = -1;
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	self->bitmap = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->bitmap);
	ASSERT_EQ(0, vcopy_create("pin", self->uuid));
	snprintf(device, sizeof(device), MDEV_DEVICES "/%s", self->uuid);
	ASSERT_EQ(0, group_path_of(device, "", self->group_path));
}

FIXTURE_TEARDOWN(made)
{
	if (self->dev >= 0)
		close(self->dev);
	if (self->group >= 0)
		close(self->group);
	close(self->iommufd);
	EXPECT_EQ(0, vcopy_remove(self->uuid));
	baseline_expect(_metadata, &self->baseline);
}

typedef FIXTURE_DATA(made) made_t;

static int call_device_fd(void *arg)
{
	made_t *m = arg;
	int fd = group_device(m->group, m->uuid);

	if (fd < 0)
		return fd;
	m->dev = fd;
	return 0;
}

static int undo_device_fd(void *arg)
{
	made_t *m = arg;
	int rc = close(m->dev) ? -errno : 0;

	m->dev = -1;
	return rc;
}

TEST_F_TIMEOUT(made, device_is_opened_through_its_group, SWEEP_TIMEOUT)
{
	self->group = group_open(self->group_path);
	ASSERT_LE(0, self->group);
	ASSERT_EQ(0, group_set_container(self->group, self->iommufd));
	sweep(_metadata, &(struct scenario){
		"GROUP_GET_DEVICE_FD", call_device_fd, undo_device_fd, self });
	/* The last one that failed holds nothing: the container can go. */
	EXPECT_EQ(0, group_unset_container(self->group));
}

static int call_group_open(void *arg)
{
	made_t *m = arg;
	int fd = group_open(m->group_path);

	if (fd < 0)
		return fd;
	m->group = fd;
	return 0;
}

static int undo_group_open(void *arg)
{
	made_t *m = arg;
	int rc = close(m->group) ? -errno : 0;

	m->group = -1;
	return rc;
}

TEST_F_TIMEOUT(made, group_is_opened, SWEEP_TIMEOUT)
{
	sweep(_metadata, &(struct scenario){
		"open of a group", call_group_open, undo_group_open, self });
}

/* BIND cannot be taken back but by close(). */
static int call_bind(void *arg)
{
	made_t *m = arg;

	return vfio_bind(m->dev, m->iommufd, &m->id);
}

static int undo_bind(void *arg)
{
	made_t *m = arg;

	if (close(m->dev))
		return -errno;
	m->dev = vcopy_open(m->uuid);
	return m->dev < 0 ? m->dev : 0;
}

TEST_F_TIMEOUT(made, device_is_bound_and_attached, SWEEP_TIMEOUT)
{
	self->dev = vcopy_open(self->uuid);
	ASSERT_LE(0, self->dev);
	sweep(_metadata, &(struct scenario){
		"BIND", call_bind, undo_bind, self });
}

static int call_cdev_open(void *arg)
{
	made_t *m = arg;
	int fd = open(m->group_path, O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	m->dev = fd;
	return 0;
}

TEST_F_TIMEOUT(made, file_is_opened, SWEEP_TIMEOUT)
{
	/* By its path, which the sweep must not look for. */
	int fd = vcopy_open(self->uuid);
	char link[64];
	ssize_t length;

	ASSERT_LE(0, fd);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, self->group_path, sizeof(self->group_path) - 1);
	ASSERT_LT(0, length);
	self->group_path[length] = '\0';
	close(fd);
	sweep(_metadata, &(struct scenario){
		"open of a device file", call_cdev_open, undo_device_fd, self });
}

/* Stop the log that was asked for. */
struct logging {
	struct vfio_device_feature head;
	union {
		struct vfio_device_feature_dma_logging_control control;
		struct vfio_device_feature_dma_logging_report report;
	};
};

static int logging(made_t *m, uint32_t feature, struct logging *arg, size_t size)
{
	arg->head.argsz = sizeof(arg->head) + size;
	arg->head.flags = feature;
	return ioctl_rc(m->dev, VFIO_DEVICE_FEATURE, arg);
}

static int call_log_start(void *arg)
{
	struct vfio_device_feature_dma_logging_range range = {
		.iova = 0,
		.length = 64 * PAGE,
	};
	struct logging log = {
		.control = {
			.page_size = PAGE,
			.num_ranges = 1,
			.ranges = (uintptr_t)&range,
		},
	};

	return logging(arg, VFIO_DEVICE_FEATURE_DMA_LOGGING_START |
			    VFIO_DEVICE_FEATURE_SET, &log, sizeof(log.control));
}

static int undo_log_start(void *arg)
{
	struct logging log = {};

	return logging(arg, VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP |
			    VFIO_DEVICE_FEATURE_SET, &log, 0);
}

static int call_log_report(void *arg)
{
	made_t *m = arg;
	struct logging log = {
		.report = {
			.iova = 0,
			.length = 64 * PAGE,
			.page_size = PAGE,
			.bitmap = (uintptr_t)m->bitmap,
		},
	};

	return logging(m, VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT |
			  VFIO_DEVICE_FEATURE_GET, &log, sizeof(log.report));
}

static int nothing(void *arg)
{
	return 0;
}

TEST_F_TIMEOUT(made, log_is_kept, SWEEP_TIMEOUT)
{
	self->dev = vcopy_open(self->uuid);
	ASSERT_LE(0, self->dev);
	ASSERT_EQ(0, call_bind(self));
	sweep(_metadata, &(struct scenario){
		"DMA_LOGGING_START", call_log_start, undo_log_start, self });
	ASSERT_EQ(0, call_log_start(self));
	sweep(_metadata, &(struct scenario){
		"DMA_LOGGING_REPORT", call_log_report, nothing, self });
	ASSERT_EQ(0, undo_log_start(self));
}

/*
 * Loading modules
 */

#define TRACING		"/sys/kernel/tracing/"

#define MAX_MODULES	12

FIXTURE(modules)
{
	char unloaded[MAX_MODULES][32];	/* the first one first */
	unsigned int nr;
	int nth;
};

static bool is_loaded(const char *module)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	return !access(path, F_OK);
}

static int module_delete(const char *module)
{
	return syscall(SYS_delete_module, module, O_NONBLOCK) ? -errno : 0;
}

/* With all that needs it. */
static int unload(FIXTURE_DATA(modules) *self, const char *module)
{
	char path[128], name[32];
	struct dirent *entry;
	int rc = 0;
	DIR *dir;

	if (!is_loaded(module))
		return 0;
	snprintf(path, sizeof(path), "/sys/module/%s/holders", module);
	while (!rc && (dir = opendir(path))) {
		do
			entry = readdir(dir);
		while (entry && entry->d_name[0] == '.');
		if (entry)
			snprintf(name, sizeof(name), "%.31s", entry->d_name);
		closedir(dir);
		if (!entry)
			break;
		rc = unload(self, name);
	}
	rc = rc ?: module_delete(module);
	if (rc)
		printf("# %s: %s\n", module, strerror(-rc));
	else if (self->nr < MAX_MODULES)
		snprintf(self->unloaded[self->nr++], sizeof(self->unloaded[0]),
			 "%s", module);
	return rc;
}

static int load(const char *module)
{
	char command[128];

	snprintf(command, sizeof(command), "modprobe %s", module);
	return system(command) ? -ENODEV : 0;
}

/* The file that modprobe would take, open. */
static int module_open(const char *module)
{
	char command[128], path[PATH_MAX] = "";
	FILE *p;

	snprintf(command, sizeof(command), "modinfo -n %s", module);
	p = popen(command, "r");
	if (!p)
		return -errno;
	if (fgets(path, sizeof(path), p))
		path[strcspn(path, "\n")] = '\0';
	pclose(p);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int module_insert(int fd)
{
	return syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
}

/*
 * How many allocations were there since the kernel announced that it has loaded a
 * module, which is where the module's own part begins? A few more or less than
 * there are points.
 */
static unsigned int nr_allocations_since(const char *module)
{
	FILE *f = fopen(TRACING "trace", "r");
	char line[512], announced[64];
	unsigned int nr = 0;
	bool found = false;

	snprintf(announced, sizeof(announced), ": module_load: %s ", module);
	while (f && fgets(line, sizeof(line), f)) {
		if (strstr(line, announced))
			found = true;
		else if (found && strstr(line, "module_faults") &&
			 (strstr(line, ": kmalloc") ||
			  strstr(line, ": kmem_cache_alloc")))
			nr++;
	}
	if (f)
		fclose(f);
	return nr;
}

static int trace_events(const char *on)
{
	int rc = sysfs_write(TRACING "events/module/module_load/enable", on);

	rc = rc ?: sysfs_write(TRACING "events/kmem/kmalloc/enable", on);
	return rc ?: sysfs_write(TRACING "events/kmem/kmem_cache_alloc/enable",
				 on);
}

static void forget_trace(void)
{
	close(open(TRACING "trace", O_WRONLY | O_TRUNC | O_CLOEXEC));
}

FIXTURE_SETUP(modules)
{
	if (fault_none())
		SKIP(return, "no fault injection in this kernel");
	if (!is_loaded("vfio") || !is_loaded("iommufd"))
		SKIP(return, "the modules are not loaded");
	ASSERT_EQ(0, fault_setup());
	ASSERT_EQ(0, fault_choose(FAULT_SLAB));
	self->nr = 0;
	self->nth = fault_open();
	ASSERT_LE(0, self->nth);
	ASSERT_EQ(0, unload(self, "vfio"));
	ASSERT_EQ(0, unload(self, "iommufd"));
}

FIXTURE_TEARDOWN(modules)
{
	while (self->nr)
		EXPECT_EQ(0, load(self->unloaded[--self->nr]));
	trace_events("0");
	forget_trace();
	close(self->nth);
}

/* How many points are there? What is left of a large number tells. */
static int count_points(struct __test_metadata *_metadata, int nth, int fd,
			const char *module, unsigned int *nr_own)
{
	char text[16] = "";

	forget_trace();
	EXPECT_EQ(0, trace_events("1"));
	EXPECT_EQ(0, fault_arm(nth, PLENTY));
	EXPECT_EQ(0, module_insert(fd));
	EXPECT_LT(0, pread(nth, text, sizeof(text) - 1, 0));
	EXPECT_EQ(0, fault_disarm(nth));
	EXPECT_EQ(0, trace_events("0"));
	*nr_own = nr_allocations_since(module);
	return PLENTY - atoi(text);
}

/* How many of the files in sysfs that come with a module are there? */
static unsigned int nr_traces(const char *const *traces)
{
	unsigned int nr = 0;

	for (; *traces; traces++)
		nr += !access(*traces, F_OK);
	return nr;
}

/*
 * From the last point backwards, as far as they are the module's; where caches have
 * dozens of them, not each. (A file in sysfs takes four allocations: a step of four
 * would meet always the same one.)
 */
static void sweep_loading(struct __test_metadata *_metadata, int nth,
			  const char *module, const char *const *traces)
{
	unsigned int n, all, nr_own, first, step = 1, points = 0, failed = 0;
	int rc, fired, fd = module_open(module);

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, nr_traces(traces));
	ASSERT_EQ(0, module_insert(fd));	/* fills caches */
	all = nr_traces(traces);
	EXPECT_NE(0, all);
	ASSERT_EQ(0, module_delete(module));
	n = count_points(_metadata, nth, fd, module, &nr_own);
	ASSERT_EQ(0, module_delete(module));
	ASSERT_LT(0, nr_own);
	ASSERT_GT(MAX_POINTS, nr_own);
	ASSERT_LT(nr_own, n);
	for (first = n - nr_own; n > first; n -= min(step, n - first)) {
		if (n - first + MAX_EACH < nr_own)
			step = 3;
		ASSERT_EQ(0, fault_arm(nth, n));
		rc = module_insert(fd);
		fired = fault_disarm(nth);
		ASSERT_LE(0, fired);
		ASSERT_TRUE(rc == 0 || (fired && rc == -ENOMEM)) {
			TH_LOG("%s: point %u: %s", module, n, strerror(-rc));
		}
		points += fired;
		failed += rc != 0;
		if (!rc)
			ASSERT_EQ(0, module_delete(module));
		ASSERT_FALSE(is_loaded(module));
		ASSERT_EQ(0, nr_traces(traces)) {
			TH_LOG("%s: point %u left something", module, n);
		}
	}
	printf("# %s: %u allocations, %u points, %u failed\n", module, nr_own,
	       points, failed);
	fflush(stdout);
	EXPECT_LT(1, failed);
	ASSERT_EQ(0, module_insert(fd));
	EXPECT_EQ(all, nr_traces(traces));
	close(fd);
}

TEST_F_TIMEOUT(modules, are_loaded_or_leave_nothing, SWEEP_TIMEOUT)
{
	static const char *const of_iommufd[] = {
		"/sys/class/misc/iommu",
		NULL
	};
	static const char *const of_vfio[] = {
		"/sys/class/vfio-dev",
		"/sys/class/vfio",
		"/sys/class/misc/vfio",
		NULL
	};

	sweep_loading(_metadata, self->nth, "iommufd", of_iommufd);
	sweep_loading(_metadata, self->nth, "vfio", of_vfio);
}

TEST_HARNESS_MAIN
