// SPDX-License-Identifier: GPL-2.0
/*
 * A user who may open the device files, and nothing else, against the machine.
 *
 * Each attack runs in a process of its own: user 1000, no capabilities, memory
 * cgroup (v2) with a limit, RLIMIT_MEMLOCK of 1 MiB, some with a device. It takes
 * what it can get until it is refused or killed. Then root looks: the limits held
 * at every moment, nobody outside of the cgroup lost memory or was killed, and
 * what was taken is there again. docs/security.md has the promises.
 *
 * A process that the kernel kills for its cgroup's limit leaves a trace in the
 * kernel's log: tests/vm/run wants --oom-kills.
 *
 *	tests/vm/run --edu --edu --oom-kills --tap -- attacker
 */
#include <ctype.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "group_utils.h"

#include "kselftest_harness.h"

#define BASE		(4096 * MiB)	/* above the MSI window */
#define ATTACKER	1000
#define MEMLOCK		MiB
#define MEMLOCK_PAGES	(MEMLOCK / PAGE)
#define CGROUP_MAX	(48 * MiB / share)
#define TABLE_LIMIT	"16"		/* MiB */
#define POISON		0xa5
/* Free memory that comes and goes by itself. */
#define NOISE		(24 * MiB)

/* ATTACKER_SHARE=N in the environment: the cgroup and what else takes long, a Nth. */
static unsigned int share = 1;

static __attribute__((constructor)) void read_share(void)
{
	const char *text = getenv("ATTACKER_SHARE");

	if (text)
		share = atoi(text);
}

/* What an attack tells root, who may have killed it. */
struct report {
	uint64_t count;
	int rc;			/* that ended it; 0: it did not end */
	int failed;		/* line of the first check that failed */
	uint64_t value;
	char text[256];
};

/* ---- root's side ---- */

/* The number behind @key; without one, that of the first line. -1: none. */
static long number_in(const char *path, const char *key)
{
	char line[256], name[128];
	long value = -1, found = -1;
	FILE *f = fopen(path, "r");

	if (!f)
		return -1;
	while (found < 0 && fgets(line, sizeof(line), f)) {
		if (!key)
			found = atol(line);
		else if (sscanf(line, "%127s %ld", name, &value) == 2 &&
			 !strcmp(name, key))
			found = value;
	}
	fclose(f);
	return found;
}

/* All free memory, what waits in per-CPU lists too. */
static long free_bytes(void)
{
	char line[256], *at;
	long value, sum = 0;
	FILE *f;

	sysfs_write("/proc/sys/vm/stat_refresh", "1");
	f = fopen("/proc/zoneinfo", "r");
	while (f && fgets(line, sizeof(line), f)) {
		at = line + strspn(line, " ");
		if (sscanf(at, "nr_free_pages %ld", &value) == 1 ||
		    sscanf(at, "count: %ld", &value) == 1)
			sum += value;
	}
	if (f)
		fclose(f);
	return sum * PAGE;
}

FIXTURE(attack) {
	char root[64];			/* cgroup2 */
	char group[96];
	char device[2][64];
	char group_file[64], bdf[16];
	struct report *report;
	long pins, free, oom;
};

static int cgroup_make(char *root, char *group)
{
	char path[192], text[24];

	strcpy(root, "/tmp/attacker.XXXXXX");
	if (!mkdtemp(root) || mount("none", root, "cgroup2", 0, NULL))
		return -errno;
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root);
	if (sysfs_write(path, "+memory"))
		return -errno;
	snprintf(group, 96, "%s/attacker", root);
	if (mkdir(group, 0755))
		return -errno;
	snprintf(path, sizeof(path), "%s/memory.max", group);
	snprintf(text, sizeof(text), "%lu", CGROUP_MAX);
	return sysfs_write(path, text);
}

static long cgroup_number(const char *group, const char *file, const char *key)
{
	char path[192];

	snprintf(path, sizeof(path), "%s/%s", group, file);
	return number_in(path, key);
}

FIXTURE_SETUP(attack)
{
	int i;

	self->report = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->report);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, edu_path(i, self->device[i]));
		ASSERT_EQ(0, chown(self->device[i], ATTACKER, -1));
	}
	ASSERT_EQ(0, edu_group_path(0, self->bdf, self->group_file));
	ASSERT_EQ(0, chown(self->group_file, ATTACKER, -1));
	ASSERT_EQ(0, chown("/dev/iommu", ATTACKER, -1));
	ASSERT_EQ(0, chmod("/dev/vfio/vfio", 0666));
	ASSERT_EQ(0, sysfs_write("/sys/module/iommufd/parameters/table_limit",
				 TABLE_LIMIT));
	ASSERT_EQ(0, cgroup_make(self->root, self->group));
	self->pins = pinned_now();
	self->free = free_bytes();
}

/* Everything is back; per-CPU stocks of the cgroup's charges aside. */
FIXTURE_TEARDOWN(attack)
{
	long used = 0, lost = 0;
	int i;

	for (i = 0; i < 200; i++) {
		used = cgroup_number(self->group, "memory.current", NULL);
		lost = self->free - free_bytes();
		if (used <= (long)MiB && lost <= (long)NOISE)
			break;
		usleep(50000);
	}
	EXPECT_GE((long)MiB, used);
	EXPECT_GE((long)NOISE, lost);
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_GE((long)(CGROUP_MAX + 64 * PAGE),
		  cgroup_number(self->group, "memory.peak", NULL));
	for (i = 0; i < 200 && rmdir(self->group); i++)
		usleep(50000);
	umount(self->root);
	rmdir(self->root);
	sysfs_write("/sys/module/iommufd/parameters/table_limit", "0");
	munmap(self->report, PAGE);
}

/* ---- the attacker's side ---- */

static struct report *report;

#define CHECK(ok) do {							\
	if (!(ok) && !report->failed)					\
		report->failed = __LINE__;				\
} while (0)

/* Become somebody who may open some device files. */
static int become_attacker(const char *group)
{
	const struct rlimit memlock = { MEMLOCK, MEMLOCK };
	const struct rlimit files = { 4096 / share, 4096 / share };
	char path[192];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	if (sysfs_write(path, "0") || setrlimit(RLIMIT_MEMLOCK, &memlock) ||
	    setrlimit(RLIMIT_NOFILE, &files) || setgroups(0, NULL) ||
	    setresgid(ATTACKER, ATTACKER, ATTACKER) ||
	    setresuid(ATTACKER, ATTACKER, ATTACKER))
		return -errno;
	/* /proc/self is root's otherwise, and fdinfo can't be read. */
	return prctl(PR_SET_DUMPABLE, 1);
}

/* How much the user has locked, as a context of his tells. */
static long memlock_used(int iommufd)
{
	char path[64], line[256], *at;
	long value = -1;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", iommufd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		at = strstr(line, "used=");
		if (!strncmp(line, "memlock:", 8) && at)
			value = atol(at + 5);
	}
	if (f)
		fclose(f);
	return value;
}

struct attached {
	int iommufd, dev;
	uint32_t ioas, devid;
};

static int attach_device(const char *path, struct attached *a)
{
	int rc;

	a->iommufd = iommufd_open();
	if (a->iommufd < 0)
		return a->iommufd;
	a->dev = open(path, O_RDWR | O_CLOEXEC);
	if (a->dev < 0)
		return -errno;
	rc = vfio_bind(a->dev, a->iommufd, &a->devid);
	rc = rc ?: ioas_alloc(a->iommufd, &a->ioas);
	return rc ?: vfio_attach(a->dev, a->ioas, NULL);
}

/* Run an attack; how it ended, and whether others noticed. */
static void run_attack(struct __test_metadata *_metadata, FIXTURE_DATA(attack) *self,
		       void (*attack)(FIXTURE_DATA(attack) *self), bool may_die)
{
	long before = free_bytes(), lowest = before, kills;
	int status = 0;
	pid_t pid;

	fflush(stdout);
	memset(self->report, 0, sizeof(*self->report));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		report = self->report;
		report->rc = become_attacker(self->group);
		if (!report->rc)
			attack(self);
		_exit(0);
	}
	/* What it takes at any time, kernel memory and page tables as well. */
	while (!waitpid(pid, &status, WNOHANG)) {
		long now = free_bytes();

		lowest = now < lowest ? now : lowest;
		usleep(20000);
	}
	kills = cgroup_number(self->group, "memory.events", "oom_kill");
	TH_LOG("%lu times, then %d%s; peak %ld kB, %ld kB of the machine; %s",
	       self->report->count, self->report->rc,
	       WIFSIGNALED(status) ? " and killed" : "",
	       cgroup_number(self->group, "memory.peak", NULL) / 1024,
	       (before - lowest) / 1024, self->report->text);
	EXPECT_EQ(0, self->report->failed);
	if (WIFSIGNALED(status)) {
		EXPECT_TRUE(may_die);
		EXPECT_EQ(SIGKILL, WTERMSIG(status));
		EXPECT_LE(1, kills);	/* by its cgroup, not by the machine */
	}
	/* The cgroup's limit, I/O page tables, and what comes and goes. */
	EXPECT_GE((long)(CGROUP_MAX + 16 * MiB + NOISE), before - lowest);
}

/* ---- bombs ---- */

static void bomb_ioas(FIXTURE_DATA(attack) *self)
{
	int fd = iommufd_open();
	uint32_t id;

	CHECK(fd >= 0);
	while (!(report->rc = ioas_alloc(fd, &id)))
		report->count++;
}

TEST_F_TIMEOUT(attack, ids_end_with_the_cgroup, 300)
{
	run_attack(_metadata, self, bomb_ioas, true);
	EXPECT_LE(10000 / share, self->report->count);
}

static void bomb_contexts(FIXTURE_DATA(attack) *self)
{
	uint32_t id;
	int fd;

	while ((fd = iommufd_open()) >= 0 && !ioas_alloc(fd, &id))
		report->count++;
	report->rc = fd < 0 ? fd : -ENOMEM;
}

TEST_F_TIMEOUT(attack, contexts_end_with_the_files, 300)
{
	run_attack(_metadata, self, bomb_contexts, true);
	EXPECT_LE(1000 / share, self->report->count);
}

/* Some processes, each with as many contexts as it may have. */
static void bomb_processes(FIXTURE_DATA(attack) *self)
{
	struct pollfd never = { .fd = -1 };
	int i;

	for (i = 0; i < 8; i++) {
		if (fork())
			continue;
		bomb_contexts(self);
		poll(&never, 1, 3000);
		_exit(0);
	}
	while (wait(NULL) > 0)
		;
}

TEST_F_TIMEOUT(attack, contexts_of_many_processes_end_with_the_cgroup, 300)
{
	run_attack(_metadata, self, bomb_processes, true);
	EXPECT_LE(4096 / share, self->report->count);
}

/* One page, mapped again and again: nothing is pinned without a device. */
static void bomb_mappings(FIXTURE_DATA(attack) *self)
{
	uint64_t iova = BASE;
	int fd = iommufd_open();
	char *p = pages_alloc(PAGE);
	uint32_t ioas = 0;

	CHECK(fd >= 0 && p && !ioas_alloc(fd, &ioas));
	while (!(report->rc = ioas_map_fixed(fd, ioas, RW, p, PAGE, iova))) {
		report->count++;
		iova += PAGE;
	}
}

TEST_F_TIMEOUT(attack, mappings_end_with_the_cgroup, 300)
{
	run_attack(_metadata, self, bomb_mappings, true);
	EXPECT_LE(100000 / share, self->report->count);
}

/* A page that is pinned counts once, however often it is copied. */
static void bomb_copies(FIXTURE_DATA(attack) *self)
{
	char *p = pages_alloc(PAGE);
	uint64_t iova = BASE;
	struct attached a;

	CHECK(p && !attach_device(self->device[0], &a));
	CHECK(!ioas_map_fixed(a.iommufd, a.ioas, RW, p, PAGE, iova));
	CHECK(memlock_used(a.iommufd) == PAGE);
	do {
		iova += PAGE;
		report->rc = ioas_copy(a.iommufd, RW | FIXED, a.ioas, &iova,
				       a.ioas, BASE, PAGE);
		report->count++;
		if (!(report->count % 8192))
			CHECK(memlock_used(a.iommufd) == PAGE);
	} while (!report->rc);
}

TEST_F_TIMEOUT(attack, copies_end_with_the_cgroup, 300)
{
	run_attack(_metadata, self, bomb_copies, true);
	EXPECT_LE(100000 / share, self->report->count);
}

static void bomb_allowed(FIXTURE_DATA(attack) *self)
{
	const unsigned int nr = 65536 / share;
	struct iommu_iova_range *ranges = calloc(nr, sizeof(*ranges));
	int fd = iommufd_open();
	unsigned int i;
	uint32_t ioas;

	for (i = 0; i < nr; i++)
		ranges[i].start = ranges[i].last = i * 2UL;
	while (!ioas_alloc(fd, &ioas)) {
		report->rc = ioas_allow(fd, ioas, ranges, nr);
		if (report->rc)
			break;
		report->count++;
	}
}

TEST_F_TIMEOUT(attack, allowed_ranges_end_with_the_cgroup, 300)
{
	run_attack(_metadata, self, bomb_allowed, true);
	EXPECT_LE(2, self->report->count);
}

/* Pages far apart, each in page tables of its own; the memory is one page. */
static void bomb_page_tables(FIXTURE_DATA(attack) *self)
{
	char *p = pages_alloc(PAGE);
	struct attached a;
	uint64_t iova;

	CHECK(p && !attach_device(self->device[0], &a));
	CHECK(!ioas_map_fixed(a.iommufd, a.ioas, RW, p, PAGE, BASE));
	for (;;) {
		/* unmapped again: the tables stay */
		report->count++;
		iova = BASE + report->count * 1024 * MiB % (1UL << 38) +
		       report->count / 192 * 2 * MiB;
		report->rc = ioas_copy(a.iommufd, RW | FIXED, a.ioas, &iova,
				       a.ioas, BASE, PAGE);
		if (report->rc)
			break;
		CHECK(!ioas_unmap(a.iommufd, a.ioas, iova, PAGE, NULL));
		if (report->count > 100000)
			return;
	}
	/* Nor can a page be mapped there that is not pinned yet: it is let go of. */
	CHECK(ioas_map_fixed(a.iommufd, a.ioas, RW, pages_alloc(PAGE), PAGE,
			     iova) == -ENOMEM);
	/* Another address space or table does not help; what is there goes on. */
	CHECK(ioas_unmap(a.iommufd, a.ioas, BASE, PAGE, NULL) == 0);
	CHECK(ioas_map_fixed(a.iommufd, a.ioas, RW, p, PAGE, BASE) == 0);
}

TEST_F_TIMEOUT(attack, page_tables_end_with_table_limit, 300)
{
	run_attack(_metadata, self, bomb_page_tables, false);
	EXPECT_EQ(-ENOMEM, self->report->rc);
	/* 16 MiB; a page of the lowest level each, a few of the others */
	EXPECT_LE(3000, self->report->count);
	EXPECT_GE(4096, self->report->count);
}

/* Tables with nothing in them. */
static void bomb_hwpts(FIXTURE_DATA(attack) *self)
{
	struct attached a;
	uint32_t hwpt;

	CHECK(!attach_device(self->device[0], &a));
	while (!(report->rc = hwpt_alloc(a.iommufd, a.devid, a.ioas, &hwpt)))
		report->count++;
}

TEST_F_TIMEOUT(attack, empty_tables_end_with_table_limit, 300)
{
	run_attack(_metadata, self, bomb_hwpts, false);
	EXPECT_EQ(-ENOMEM, self->report->rc);
	EXPECT_LE(1024, self->report->count);
	EXPECT_GE(2048, self->report->count);
}

/* ---- locked memory ---- */

static char *pages(unsigned int nr)
{
	return pages_alloc(nr * PAGE);
}

static void beyond_memlock(FIXTURE_DATA(attack) *self)
{
	char *p = pages(2 * MEMLOCK_PAGES);
	uint64_t mode = 1;
	struct attached a;

	CHECK(p && !attach_device(self->device[0], &a));
	/* All at once, to the byte, and one more. */
	CHECK(ioas_map_fixed(a.iommufd, a.ioas, RW, p, MEMLOCK + PAGE, BASE) == -ENOMEM);
	CHECK(memlock_used(a.iommufd) == 0);
	CHECK(!ioas_map_fixed(a.iommufd, a.ioas, RW, p, MEMLOCK, BASE));
	CHECK(memlock_used(a.iommufd) == MEMLOCK);
	CHECK(ioas_map_fixed(a.iommufd, a.ioas, RW, p + MEMLOCK, PAGE,
			     2 * BASE) == -ENOMEM);
	CHECK(ioas_map_fixed(a.iommufd, a.ioas, RD, p, 1, 2 * BASE) == -ENOMEM ||
	      ioas_map_fixed(a.iommufd, a.ioas, RD, p, 1, 2 * BASE) == -EINVAL);
	/* The same page twice is two. */
	CHECK(ioas_map_fixed(a.iommufd, a.ioas, RW, p, PAGE, 2 * BASE) == -ENOMEM);
	/* Nor by saying that the limit of the process counts, */
	CHECK(iommufd_option(a.iommufd, IOMMU_OPTION_RLIMIT_MODE,
			     IOMMU_OPTION_OP_SET, 0, &mode) == -EPERM);
	/* nor by raising it. */
	CHECK(setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ 2 * MEMLOCK, 2 * MEMLOCK }) &&
	      errno == EPERM);
	CHECK(!ioas_unmap(a.iommufd, a.ioas, BASE, MEMLOCK, NULL));
	CHECK(memlock_used(a.iommufd) == 0);
	report->count = 1;
}

TEST_F_TIMEOUT(attack, memlock_holds_to_the_page, 60)
{
	run_attack(_metadata, self, beyond_memlock, false);
	EXPECT_EQ(1, self->report->count);
}

/* Another context, another device, a child, other memory: it is one user. */
static void memlock_of_others(FIXTURE_DATA(attack) *self)
{
	char *p = pages(MEMLOCK_PAGES);
	struct attached a, b;
	int status;
	pid_t pid;

	CHECK(p && !attach_device(self->device[0], &a));
	CHECK(!ioas_map_fixed(a.iommufd, a.ioas, RW, p, MEMLOCK, BASE));
	pid = fork();
	if (!pid) {
		char *q = pages(1);

		CHECK(q && !attach_device(self->device[1], &b));
		CHECK(ioas_map_fixed(b.iommufd, b.ioas, RW, q, PAGE, BASE) == -ENOMEM);
		/* in the parent's context */
		CHECK(ioas_map_fixed(a.iommufd, a.ioas, RW, q, PAGE,
				     2 * BASE) == -ENOMEM);
		/* a child that takes memory along as it goes */
		CHECK(!ioas_unmap(a.iommufd, a.ioas, BASE, MEMLOCK, NULL));
		CHECK(!ioas_map_fixed(a.iommufd, a.ioas, RW, q, PAGE, BASE));
		CHECK(!ioas_map_fixed(b.iommufd, b.ioas, RW, q, PAGE, BASE));
		CHECK(memlock_used(b.iommufd) == 2 * PAGE);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	/* The child is gone, what it mapped in the parent's context is not. */
	CHECK(ioas_map_fixed(a.iommufd, a.ioas, RW, p, MEMLOCK, 2 * BASE) == -ENOMEM);
	CHECK(!ioas_map_fixed(a.iommufd, a.ioas, RW, p, MEMLOCK - PAGE, 2 * BASE));
	CHECK(memlock_used(a.iommufd) == MEMLOCK);
	report->count = 1;
}

TEST_F_TIMEOUT(attack, memlock_is_of_the_user_whoever_maps, 60)
{
	run_attack(_metadata, self, memlock_of_others, false);
	EXPECT_EQ(1, self->report->count);
}

/* Files that go from process to process are charged somewhere at any time. */
static void memlock_handed_on(FIXTURE_DATA(attack) *self)
{
	int file = memfd_create("attacker", 0), status, i;
	uint64_t iova = BASE;
	struct attached a;
	pid_t pid;

	CHECK(!attach_device(self->device[0], &a));
	CHECK(!ftruncate(file, 4 * MEMLOCK));
	CHECK(!ioas_map_file(a.iommufd, a.ioas, RW | FIXED, file, 0, MEMLOCK, &iova));
	for (i = 0; i < 16; i++) {
		pid = fork();
		if (!pid) {
			uint64_t at = 2 * BASE;

			CHECK(!ioas_change_process(a.iommufd));
			CHECK(ioas_map_file(a.iommufd, a.ioas, RW | FIXED, file,
					    MEMLOCK, PAGE, &at) == -ENOMEM);
			_exit(0);
		}
		CHECK(waitpid(pid, &status, 0) == pid && !status);
		iova = 2 * BASE;
		CHECK(ioas_map_file(a.iommufd, a.ioas, RW | FIXED, file, MEMLOCK,
				    PAGE, &iova) == -ENOMEM);
		CHECK(memlock_used(a.iommufd) == MEMLOCK);
	}
	/* One with a lower limit cannot take it, and nothing changes. */
	pid = fork();
	if (!pid) {
		CHECK(!setrlimit(RLIMIT_MEMLOCK, &(struct rlimit){ PAGE, PAGE }));
		ioas_change_process(a.iommufd);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && !status);
	CHECK(memlock_used(a.iommufd) == MEMLOCK);
	report->count = 1;
}

TEST_F_TIMEOUT(attack, memlock_of_files_holds_from_process_to_process, 60)
{
	run_attack(_metadata, self, memlock_handed_on, false);
	EXPECT_EQ(1, self->report->count);
}

/* An attach pins what was mapped before, and counts it. */
static void memlock_at_attach(FIXTURE_DATA(attack) *self)
{
	char *p = pages(2 * MEMLOCK_PAGES);
	struct attached a;
	uint32_t ioas = 0;
	int i;

	CHECK(p && !attach_device(self->device[0], &a));
	CHECK(!ioas_alloc(a.iommufd, &ioas));
	for (i = 0; i < 2 * MEMLOCK_PAGES; i++)
		CHECK(!ioas_map_fixed(a.iommufd, ioas, RW, p + i * PAGE, PAGE,
				      BASE + i * PAGE));
	for (i = 0; i < 50; i++)
		CHECK(vfio_attach(a.dev, ioas, NULL) == -ENOMEM);
	CHECK(memlock_used(a.iommufd) == 0);
	CHECK(!ioas_unmap(a.iommufd, ioas, BASE, MEMLOCK, NULL));
	CHECK(!vfio_attach(a.dev, ioas, NULL));
	CHECK(memlock_used(a.iommufd) == MEMLOCK);
	report->count = 1;
}

TEST_F_TIMEOUT(attack, memlock_holds_at_attach, 60)
{
	run_attack(_metadata, self, memlock_at_attach, false);
	EXPECT_EQ(1, self->report->count);
}

/* ---- groups and containers ---- */

struct contained {
	int container, group, dev;
};

static int enter_container(FIXTURE_DATA(attack) *self, struct contained *c)
{
	int rc;

	c->container = container_open();
	c->group = group_open(self->group_file);
	if (c->container < 0 || c->group < 0)
		return -EACCES;
	rc = group_set_container(c->group, c->container);
	rc = rc ?: container_set_iommu(c->container, VFIO_TYPE1v2_IOMMU);
	if (rc)
		return rc;
	c->dev = group_device(c->group, self->bdf);
	return c->dev < 0 ? c->dev : 0;
}

static void container_memlock(FIXTURE_DATA(attack) *self)
{
	char *p = pages(2 * MEMLOCK_PAGES);
	struct contained c;
	unsigned int i;

	CHECK(p && !enter_container(self, &c));
	CHECK(dma_map(c.container, DMA_RW, p, MEMLOCK + PAGE, BASE) == -ENOMEM);
	for (i = 0; !(report->rc = dma_map(c.container, DMA_RW, p + i * PAGE,
					   PAGE, BASE + i * PAGE)); i++)
		report->count++;
	CHECK(memlock_used(c.container) == MEMLOCK);
	CHECK(dma_unmap(c.container, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0) == MEMLOCK);
	CHECK(memlock_used(c.container) == 0);
}

TEST_F_TIMEOUT(attack, memlock_holds_in_a_container, 60)
{
	run_attack(_metadata, self, container_memlock, false);
	EXPECT_EQ(-ENOMEM, self->report->rc);
	EXPECT_EQ(MEMLOCK_PAGES, self->report->count);
}

static void bomb_containers(FIXTURE_DATA(attack) *self)
{
	int fd;

	while ((fd = container_open()) >= 0)
		report->count++;
	report->rc = fd;
}

TEST_F_TIMEOUT(attack, containers_end_with_the_files, 60)
{
	run_attack(_metadata, self, bomb_containers, true);
	EXPECT_LE(1000 / share, self->report->count);
}

/* ---- what is told ---- */

/* The lowest address of a kernel with five levels of page tables. */
#define KERNEL_START	0xff00000000000000UL

/* An address of the kernel in a text: in hex, or in decimal. */
static bool has_kernel_address(const char *text, char *what, size_t size)
{
	const char *p = text;
	char *next;

	while (*p) {
		unsigned long value;
		bool hex = p[0] == '0' && p[1] == 'x';

		if (!isxdigit(*p) || (p > text && isxdigit(p[-1]))) {
			p++;
			continue;
		}
		value = strtoul(p, &next, hex ? 16 : 10);
		if (value < KERNEL_START)
			value = strtoul(p, &next, 16);
		/* the last byte of the space is none */
		if (value >= KERNEL_START && value != ULONG_MAX &&
		    value < 0xfffffffffffff000UL && next - p >= 16) {
			snprintf(what, size, "%.60s", p);
			return true;
		}
		p = next > p ? next : p + 1;
	}
	return false;
}

static char *read_file(const char *path)
{
	size_t room = 4 * MiB, length = 0;
	char *text = malloc(room);
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	ssize_t rc;

	while (fd >= 0 && length < room - 8192) {
		rc = read(fd, text + length, 8191);
		if (rc < 0 && errno == EPIPE)
			continue;
		if (rc <= 0)
			break;
		length += rc;
	}
	close(fd);
	text[length] = '\0';
	return text;
}

/* Something of everything, and everything that fails. */
static void talk(FIXTURE_DATA(attack) *self)
{
	char *p = pages(4), path[64], *text;
	uint64_t iova = BASE, value = 0;
	struct iommu_iova_range range = { 0, UINT64_MAX };
	struct attached a;
	uint32_t hwpt;
	int i;

	CHECK(p && !attach_device(self->device[0], &a));
	CHECK(!hwpt_alloc(a.iommufd, a.devid, a.ioas, &hwpt));
	for (i = 0; i < 2; i++) {
		ioas_map_fixed(a.iommufd, a.ioas, RW, p, 4 * PAGE, BASE);
		iova = 2 * BASE;
		ioas_copy(a.iommufd, RW | FIXED, a.ioas, &iova, a.ioas, BASE, PAGE);
		ioas_map_fixed(a.iommufd, a.ioas, RW, p, 4 * PAGE, 0xfee00000);
		ioas_map_fixed(a.iommufd, a.ioas, RW, (void *)MiB, PAGE, 3 * BASE);
		ioas_map_fixed(a.iommufd, a.ioas, RW, (void *)-PAGE, PAGE, 3 * BASE);
		ioas_map_fixed(a.iommufd, a.ioas, RW, p, 2 * MEMLOCK, 3 * BASE);
		ioas_unmap(a.iommufd, a.ioas, BASE + PAGE, PAGE, NULL);
		ioas_allow(a.iommufd, a.ioas, &range, 1);
		iommufd_option(a.iommufd, 77, IOMMU_OPTION_OP_GET, 0, &value);
		iommufd_destroy(a.iommufd, a.ioas);
		iommufd_destroy(a.iommufd, a.devid);
		ioas_change_process(a.iommufd);
		vfio_attach(a.dev, 12345, NULL);
	}
	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", i ? a.dev : a.iommufd);
		text = read_file(path);
		CHECK(strlen(text) > 40);
		CHECK(i || strstr(text, "failure:"));
		CHECK(!has_kernel_address(text, report->text, sizeof(report->text)));
		free(text);
	}
	report->count = 1;
}

TEST_F_TIMEOUT(attack, no_kernel_address_is_told, 60)
{
	char what[128] = "", *text;

	EXPECT_TRUE(has_kernel_address("x=0xffff888012345678 ", what, sizeof(what)));
	EXPECT_TRUE(has_kernel_address("0xff11888012345678 ", what, sizeof(what)));
	EXPECT_TRUE(has_kernel_address("ffffffffc0123456", what, sizeof(what)));
	EXPECT_TRUE(has_kernel_address("n=18446612687123456789\n", what, sizeof(what)));
	EXPECT_FALSE(has_kernel_address("0x7fff12345678 0xffffffffffffffff", what,
					sizeof(what)));

	mount("none", "/sys/kernel/tracing", "tracefs", 0, NULL);
	ASSERT_EQ(0, sysfs_write("/sys/kernel/tracing/events/iommufd/enable", "1"));
	run_attack(_metadata, self, talk, false);
	EXPECT_EQ(1, self->report->count);
	sysfs_write("/sys/kernel/tracing/events/iommufd/enable", "0");
	text = read_file("/sys/kernel/tracing/trace");
	EXPECT_NE(NULL, strstr(text, "iommufd_map:"));
	EXPECT_NE(NULL, strstr(text, "iommufd_failure:"));
	what[0] = '\0';
	EXPECT_FALSE(has_kernel_address(text, what, sizeof(what)));
	if (what[0])
		TH_LOG("trace: %s", what);
	free(text);
}

/* The kernel's log since the last call, lines that are not the kernel's own. */
static unsigned int log_lines(int kmsg, bool show)
{
	unsigned int nr = 0;
	char line[2048];
	ssize_t length;

	for (;;) {
		length = read(kmsg, line, sizeof(line) - 1);
		if (length < 0 && errno == EPIPE)
			continue;
		if (length <= 0)
			return nr;
		line[length] = '\0';
		if (!strstr(line, "iommufd") && !strstr(line, "vfio:") &&
		    !strstr(line, "vfio-dev"))
			continue;
		nr++;
		if (show)
			printf("# log: %.200s\n", line);
	}
}

/* Whatever fails, many times. */
static void provoke(FIXTURE_DATA(attack) *self)
{
	char *p = pages(1), garbage[256];
	struct attached a;
	uint64_t iova;
	unsigned int i, nr;

	CHECK(p && !attach_device(self->device[0], &a));
	for (i = 0; i < 600 / share; i++) {
		memset(garbage, i, sizeof(garbage));
		for (nr = 0x80; nr < 0xa0; nr++) {
			*(uint32_t *)garbage = 16 + i % 64;
			ioctl(a.iommufd, _IO(';', nr), garbage);
			report->count++;
		}
		for (nr = 100; nr < 125; nr++) {
			*(uint32_t *)garbage = 16 + i % 64;
			/* not those that park or release the device */
			if (nr != 119 && nr != 120)
				ioctl(a.dev, _IO(';', nr), garbage);
			report->count++;
		}
		ioas_map_fixed(a.iommufd, a.ioas, RW, (void *)MiB, PAGE, BASE);
		ioas_map_fixed(a.iommufd, a.ioas, RW, p, 2 * MEMLOCK, BASE);
		iova = i;
		ioas_copy(a.iommufd, RW | FIXED, a.ioas, &iova, a.ioas, i, PAGE);
		iommufd_destroy(a.iommufd, a.ioas);
		vfio_attach(a.dev, 4711, NULL);
		vfio_bind(a.dev, a.iommufd, NULL);
		vfio_bind(a.dev, -1, NULL);
	}
	close(a.dev);
	close(a.iommufd);
	for (i = 0; i < 50; i++) {	/* one after the other, also in groups */
		int container = container_open(), group = group_open(self->group_file);

		group_device(group, self->bdf);
		group_set_container(group, group);
		group_device(group, "nobody");
		container_set_iommu(container, 99);
		dma_map(container, DMA_RW, p, PAGE, 0);
		close(group);
		close(container);
		report->count += 5;
	}
}

TEST_F_TIMEOUT(attack, log_cannot_be_flooded, 120)
{
	int kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	unsigned int lines;

	ASSERT_LE(0, kmsg);
	lseek(kmsg, 0, SEEK_END);
	run_attack(_metadata, self, provoke, false);
	EXPECT_LE(10000 / share, self->report->count);
	lines = log_lines(kmsg, true);
	TH_LOG("%lu provocations, %u lines of iommufd and vfio in the log",
	       self->report->count, lines);
	EXPECT_GE(12, lines);
	close(kmsg);
}

/* ---- what ioctls write ---- */

struct extent {
	uint16_t from, end;
};

/*
 * The bytes that a call may write: those of up to two extents if it succeeds
 * (or ends with @also), none if it fails. What is behind its size stays.
 */
static int written_elsewhere(int fd, unsigned long cmd, const void *arg, size_t size,
			     struct extent a, struct extent b, int also)
{
	uint8_t now[512], before[512];
	unsigned int i;
	bool ok;
	int rc;

	memset(now, POISON, sizeof(now));
	memcpy(now, arg, size);
	memcpy(before, now, sizeof(now));
	rc = ioctl_rc(fd, cmd, now);
	ok = rc >= 0 || rc == also;
	for (i = 0; i < sizeof(now); i++) {
		if (ok && ((i >= a.from && i < a.end) || (i >= b.from && i < b.end)))
			continue;
		if (now[i] != before[i]) {
			snprintf(report->text, sizeof(report->text),
				 "ioctl 0x%lx rc %d wrote byte %u: 0x%x",
				 cmd, rc, i, now[i]);
			return 1000 + i;
		}
	}
	return rc;
}

#define EXTENT(type, first, last)					\
	((struct extent){ offsetof(type, first),			\
			  offsetof(type, last) + sizeof(((type *)0)->last) })
#define NOTHING		((struct extent){ 0, 0 })
#define WRITTEN(fd, nr, type, a, b, also, ...) ({			\
	type _arg = { __VA_ARGS__ };					\
	int _rc = written_elsewhere(fd, nr, &_arg, sizeof(_arg), a, b, also); \
									\
	CHECK(_rc < 1000);						\
	_rc;								\
})

static void write_outside(FIXTURE_DATA(attack) *self)
{
	const struct extent device_info =
		EXTENT(struct vfio_device_info, argsz, cap_offset);
	const struct extent region_info =
		EXTENT(struct vfio_region_info, argsz, offset);
	const struct extent irq_info = EXTENT(struct vfio_irq_info, argsz, count);
	const struct extent reset_info =
		EXTENT(struct vfio_pci_hot_reset_info, argsz, count);
	struct attached a;
	struct contained c;
	unsigned int i, nr;
	uint32_t size;

	CHECK(!attach_device(self->device[0], &a));
	/* Sizes that are too small, odd or too large for what is there. */
	for (nr = 0x80; nr < 0xa0; nr++) {
		for (size = 0; size < 200; size++) {
			uint8_t arg[200];

			memset(arg, POISON, sizeof(arg));
			memcpy(arg, &size, 4);
			written_elsewhere(a.iommufd, _IO(';', nr), arg, 200,
					  NOTHING, NOTHING, 0);
			CHECK(!report->text[0]);
			report->count++;
		}
	}
	CHECK(!WRITTEN(a.dev, VFIO_DEVICE_GET_INFO, struct vfio_device_info,
		       device_info, NOTHING, 0,
		       .argsz = sizeof(struct vfio_device_info)));
	CHECK(WRITTEN(a.dev, VFIO_DEVICE_GET_INFO, struct vfio_device_info,
		      NOTHING, NOTHING, 0, .argsz = 3) == -EINVAL);
	for (i = 0; i < 12; i++) {
		WRITTEN(a.dev, VFIO_DEVICE_GET_REGION_INFO, struct vfio_region_info,
			region_info, NOTHING, 0, .index = i,
			.argsz = sizeof(struct vfio_region_info));
		WRITTEN(a.dev, VFIO_DEVICE_GET_IRQ_INFO, struct vfio_irq_info,
			irq_info, NOTHING, 0, .index = i,
			.argsz = sizeof(struct vfio_irq_info));
		report->count += 2;
	}
	CHECK(WRITTEN(a.dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
		      struct vfio_pci_hot_reset_info, reset_info, NOTHING, -ENOSPC,
		      .argsz = sizeof(struct vfio_pci_hot_reset_info)) <= 0);
	CHECK(WRITTEN(a.dev, VFIO_DEVICE_BIND_IOMMUFD,
		      struct vfio_device_bind_iommufd, NOTHING, NOTHING, 0,
		      .argsz = 24, .iommufd = a.iommufd) == -EINVAL);
	CHECK(!WRITTEN(a.dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
		       struct vfio_device_attach_iommufd_pt,
		       EXTENT(struct vfio_device_attach_iommufd_pt, pt_id, pt_id),
		       NOTHING, 0, .argsz = 12, .pt_id = a.ioas));
	CHECK(WRITTEN(a.dev, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
		      struct vfio_device_attach_iommufd_pt, NOTHING, NOTHING, 0,
		      .argsz = 12, .pt_id = 4711) == -ENOENT);
	CHECK(WRITTEN(a.iommufd, IOMMU_IOAS_IOVA_RANGES,
		      struct iommu_ioas_iova_ranges,
		      EXTENT(struct iommu_ioas_iova_ranges, num_iovas, num_iovas),
		      EXTENT(struct iommu_ioas_iova_ranges, out_iova_alignment,
			     out_iova_alignment), -EMSGSIZE,
		      .size = sizeof(struct iommu_ioas_iova_ranges),
		      .ioas_id = a.ioas) == -EMSGSIZE);
	close(a.dev);
	close(a.iommufd);

	CHECK(!enter_container(self, &c));
	for (size = 0; size < 120; size += 4) {
		struct {
			struct vfio_iommu_type1_info info;
			uint8_t rest[128];
		} arg = { .info.argsz = size };

		memset(arg.rest, POISON, sizeof(arg.rest));
		/* What it writes ends with argsz, and is all of it. */
		CHECK(written_elsewhere(c.container, VFIO_IOMMU_GET_INFO, &arg,
					sizeof(arg), (struct extent){ 0, size },
					NOTHING, 0) < 1000);
		report->count++;
	}
	CHECK(WRITTEN(c.container, VFIO_IOMMU_UNMAP_DMA,
		      struct vfio_iommu_type1_dma_unmap,
		      EXTENT(struct vfio_iommu_type1_dma_unmap, size, size), NOTHING,
		      0, .argsz = sizeof(struct vfio_iommu_type1_dma_unmap),
		      .size = PAGE) == 0);
	CHECK(WRITTEN(c.group, VFIO_GROUP_GET_STATUS, struct vfio_group_status,
		      EXTENT(struct vfio_group_status, flags, flags), NOTHING, 0,
		      .argsz = sizeof(struct vfio_group_status)) == 0);
}

TEST_F_TIMEOUT(attack, ioctls_write_results_and_nothing_else, 60)
{
	run_attack(_metadata, self, write_outside, false);
	EXPECT_LE(6000, self->report->count);
}

TEST_HARNESS_MAIN
