// SPDX-License-Identifier: GPL-2.0
/*
 * Fault sweeps: every ioctl again and again, with the n-th allocation or user
 * copy made to fail, for each n until none is left. For kernels that were built
 * with fault injection, and with the modules made for tests.
 *
 * A scenario is a call and its undoing. What can be seen of the world (struct
 * state: IDs that come next, usable IOVA, what is mapped and translated, pins,
 * devices) is noted before and after a call that nothing disturbs. Then after
 * each disturbed call that failed, the state must be the old one to the last
 * value, the call's argument untouched, and the same call, repeated, succeed;
 * after one that succeeded it must be the new one; and the undoing leads back.
 * At the end of a test every counter is where it was before it.
 *
 * Each sweep goes over user copies alone first, and then over allocations of
 * objects as well. A copy that fails is EFAULT, an allocation ENOMEM: so the
 * first has no other error than EFAULT, and the second as many EFAULTs as the
 * first; except where devices are made or memory is faulted in, for which the
 * kernel needs now more, now less. Where memory is faulted in, or pages are allocated for other
 * ends, a third goes over pages too; the slab's hunger for pages makes it count
 * differently from round to round. And where a single fault is got over, by
 * trying again or with less, memory ends for good, at several points.
 *
 * What is left out, and why:
 * - making and freeing real devices' groups: 6.1's core warns when giving a
 *   group back fails for want of memory, so this is done with fake devices;
 * - opening a real device: evaluating ACPI's _PRT with failing allocations is
 *   not sound in 6.1. BIND is swept over user copies only.
 *
 * FAULT_STACKS=1 in the environment shows in the kernel's log what failed.
 */
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

/* Every ioctl of this program: one that fails must not touch its argument. */
static int watched_ioctl(int fd, unsigned long cmd, void *arg);
#define ioctl(fd, cmd, arg) watched_ioctl(fd, cmd, arg)

#include "fault_utils.h"
#include "kselftest_harness.h"
#include "mock_utils.h"
#include "vfio_utils.h"

#undef ioctl

#include "group_utils.h"	/* of its calls those through ioctl_rc() are watched */

static bool touched;

static int watched_ioctl(int fd, unsigned long cmd, void *arg)
{
	char before[256];
	uint32_t size;
	int rc;

	if (!arg)
		return ioctl(fd, cmd, arg);
	memcpy(&size, arg, sizeof(size));
	memcpy(before, arg, size);
	rc = ioctl(fd, cmd, arg);
	if (rc < 0 && errno != EMSGSIZE && memcmp(before, arg, size))
		touched = true;
	return rc;
}

/* More points than this in one call, and other suites cannot sweep it. */
#define MAX_POINTS	400
#define SWEEP_TIMEOUT	300

#define NR_PAGES	64UL
#define LENGTH		(NR_PAGES * PAGE)
#define BASE2		(BASE + 4 * MiB)
#define BASE3		(BASE + 8 * MiB)

/*
 * The world of a test: a context, two address spaces with an in-kernel user
 * each, that looks into them, devices, and memory.
 */

#define NR_IOAS		2
#define MAX_DEVICES	3
#define MAX_PIECES	4

/* Memory that is or may be mapped, and where. */
struct piece {
	unsigned int ioas;
	uint64_t iova;
	uint64_t length;
	void *va;
};

struct world {
	int nth;		/* fail-nth of this thread */
	int starve;		/* make-it-fail of this thread */
	int fd;
	uint32_t ioas[NR_IOAS];
	int probe[NR_IOAS];
	uint32_t extra;		/* an address space without one, or 0 */
	struct stdev dev[MAX_DEVICES];
	unsigned int nr_devices;
	struct piece piece[MAX_PIECES];
	unsigned int nr_pieces;
	void *buf;
	bool blind;		/* no look at what takes a device of the mock */
	bool watch_devices;	/* they come and go */

	/* What calls leave behind for their undoing */
	int access;
	int file;
	int group;
	uint32_t id;
	uint32_t pin;
	uint32_t flags;
	uint64_t value;
	char data[2 * PAGE];
};

/* For all tests of a run together. */
static struct totals {
	unsigned int sweeps;
	unsigned int points;
	unsigned int swallowed;
	unsigned int rounds;
	unsigned int starved;
} *totals;

static void __attribute__((constructor)) totals_alloc(void)
{
	totals = mmap(NULL, sizeof(*totals), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
}

/*
 * State
 */

#define MAX_VALUES	160

struct state {
	unsigned int nr;
	struct {
		char name[28];
		long value;
	} v[MAX_VALUES];
};

static void __attribute__((format(printf, 3, 4)))
note(struct state *state, long value, const char *format, ...)
{
	va_list args;

	if (state->nr == MAX_VALUES)
		abort();
	va_start(args, format);
	vsnprintf(state->v[state->nr].name, sizeof(state->v[0].name), format,
		  args);
	va_end(args);
	state->v[state->nr++].value = value;
}

static bool state_same(const struct state *a, const struct state *b)
{
	unsigned int i;

	if (a->nr != b->nr)
		return false;
	for (i = 0; i < a->nr; i++)
		if (a->v[i].value != b->v[i].value)
			return false;
	return true;
}

static void state_diff(const struct state *expected, const struct state *seen)
{
	unsigned int i;

	if (expected->nr != seen->nr)
		printf("# %u values, expected %u\n", seen->nr, expected->nr);
	for (i = 0; i < expected->nr && i < seen->nr; i++)
		if (expected->v[i].value != seen->v[i].value)
			printf("# %s: %#lx, expected %#lx\n", seen->v[i].name,
			       seen->v[i].value, expected->v[i].value);
	fflush(stdout);
}

/* The number behind "key:" in a file; with key "", the one it begins with. */
static long number_in(const char *path, const char *key)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[2048], *p;
	ssize_t length;

	if (fd < 0)
		return -errno;
	length = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (length < 0)
		return -errno;
	text[length] = '\0';
	p = strstr(text, key);
	return p ? atol(p + strlen(key)) : -ENOENT;
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

/* The descriptor that comes next. */
static long next_fd(void)
{
	int fd = dup(0);

	close(fd);
	return fd;
}

/* What outlives a context, and must not. */
static void state_global(struct state *state)
{
	note(state, number_in("/proc/self/status", "VmPin:"), "VmPin");
	note(state, number_in("/sys/module/iommufd/refcnt", ""),
	     "module references");
	note(state, next_fd(), "next descriptor");
}

#define MOCK_DEVICES	"/sys/bus/iommufd_mock/devices"
#define NR_IDS		4
#define NR_RANGES	8

static void state_ids(struct state *state, const struct world *w)
{
	uint32_t id[NR_IDS] = {};
	unsigned int i;

	for (i = 0; i < NR_IDS; i++)
		note(state, ioas_alloc(w->fd, &id[i]) ?: id[i], "next ID %u",
		     i);
	for (i = 0; i < NR_IDS; i++)
		iommufd_destroy(w->fd, id[i]);
}

static void state_ioas(struct state *state, const struct world *w,
		       unsigned int nr, uint32_t id)
{
	struct iommu_iova_range ranges[NR_RANGES] = {};
	uint64_t align = 0, value = 0, iova = 0;
	uint32_t nr_ranges = NR_RANGES;
	unsigned int i;

	note(state, ioas_iova_ranges(w->fd, id, ranges, &nr_ranges,
				     &align), "IOAS %u ranges", nr);
	note(state, nr_ranges, "IOAS %u nr of ranges", nr);
	for (i = 0; i < NR_RANGES; i++) {
		note(state, ranges[i].start, "IOAS %u range %u start", nr, i);
		note(state, ranges[i].last, "IOAS %u range %u last", nr, i);
	}
	note(state, align, "IOAS %u align", nr);
	note(state, iommufd_option(w->fd, IOMMU_OPTION_HUGE_PAGES,
				   IOMMU_OPTION_OP_GET, id, &value) ?:
	     value, "IOAS %u large pages", nr);
	/* Where the next one goes: what is in the way, mapped or not? */
	note(state, ioas_map(w->fd, id, RW, w->buf, PAGE, &iova) ?:
	     iova, "IOAS %u next IOVA", nr);
	ioas_unmap(w->fd, id, iova, PAGE, NULL);
}

/* Large pieces are looked at in the middle and at both ends, others whole. */
static void state_translates(struct state *state, const struct world *w,
			     const struct piece *p, unsigned int nr,
			     unsigned int device)
{
	uint64_t middle = p->length / 2, end = p->length - HALF;
	uint64_t length = p->length > LENGTH ? PAGE : p->length;
	uint32_t hwpt = w->dev[device].hwpt;

	note(state, check_map(w->fd, hwpt, p->iova, HALF, p->va),
	     "piece %u first, device %u", nr, device);
	note(state, check_map(w->fd, hwpt, p->iova + middle, HALF,
			      p->va + middle), "piece %u mid, device %u", nr,
	     device);
	note(state, check_map(w->fd, hwpt, p->iova + end, HALF, p->va + end),
	     "piece %u last, device %u", nr, device);
	note(state, check_map(w->fd, hwpt, p->iova, length, p->va),
	     "piece %u, device %u", nr, device);
}

static void state_piece(struct state *state, const struct world *w,
			unsigned int nr)
{
	const struct piece *p = &w->piece[nr];
	uint64_t length = p->length > LENGTH ? LENGTH : p->length;
	int probe = w->probe[p->ioas];
	char byte = 0;
	unsigned int i;

	note(state, access_rw(w->fd, probe, 0, p->iova, &byte, 1) ?: byte,
	     "piece %u first", nr);
	note(state, access_rw(w->fd, probe, 0, p->iova + p->length - 1, &byte,
			      1) ?: byte, "piece %u last", nr);
	for (i = 0; !w->blind && i < w->nr_devices; i++)
		state_translates(state, w, p, nr, i);
	note(state, check_refs(w->fd, p->va, length, 0), "piece %u 0 pins", nr);
	note(state, check_refs(w->fd, p->va, length, 1), "piece %u 1 pin", nr);
}

static void state_read(struct state *state, const struct world *w)
{
	uint64_t value = 0;
	uint32_t id = 0;
	unsigned int i;

	memset(state, 0, sizeof(*state));
	state_global(state);
	if (w->watch_devices)
		note(state, nr_entries(MOCK_DEVICES), "fake devices");
	state_ids(state, w);
	note(state, iommufd_option(w->fd, IOMMU_OPTION_RLIMIT_MODE,
				   IOMMU_OPTION_OP_GET, 0, &value) ?: value,
	     "rlimit mode");
	note(state, iommufd_vfio_ioas(w->fd, IOMMU_VFIO_IOAS_GET, &id) ?: id,
	     "compat IOAS");
	for (i = 0; i < w->nr_devices; i++)
		note(state, w->dev[i].hwpt, "table of device %u", i);
	if (w->group >= 0)
		note(state, group_status(w->group), "group");
	for (i = 0; i < NR_IOAS; i++)
		state_ioas(state, w, i, w->ioas[i]);
	if (w->extra)
		state_ioas(state, w, NR_IOAS, w->extra);
	for (i = 0; i < w->nr_pieces; i++)
		state_piece(state, w, i);
}

/*
 * Sweeps
 */

struct scenario {
	const char *name;
	int (*call)(struct world *w);	/* 0 or -errno, nothing kept then */
	int (*undo)(struct world *w);
	/* If it cannot be reported it is done, and may be repeated. */
	bool reports_late;
	bool only_copies;		/* see the top */
	bool no_copies;			/* get_user(), of which 6.1 fails none */
	bool pages;			/* the same */
	bool starve;			/* the same */
	bool irregular;			/* not the same number each time */
};

struct tally {
	unsigned int points;
	unsigned int swallowed;
	unsigned int efault;
	unsigned int enomem;
};

static void expect_state(struct __test_metadata *_metadata,
			 const struct world *w, const struct state *expected,
			 const struct scenario *s, unsigned int n,
			 const char *when)
{
	struct state seen;

	state_read(&seen, w);
	if (!state_same(expected, &seen))
		state_diff(expected, &seen);
	ASSERT_TRUE(state_same(expected, &seen)) {
		TH_LOG("%s: point %u: %s", s->name, n, when);
	}
}

/* What is to be seen after a call, disturbed or not; and back. */
static void judge(struct __test_metadata *_metadata, struct world *w,
		  const struct scenario *s, unsigned int n, int rc, bool fired,
		  const struct state *old, const struct state *new)
{
	ASSERT_TRUE(rc == 0 || rc == -EFAULT || rc == -ENOMEM) {
		TH_LOG("%s: point %u: %s", s->name, n, strerror(-rc));
	}
	ASSERT_TRUE(rc == 0 || fired) {
		TH_LOG("%s: %s without a fault", s->name, strerror(-rc));
	}
	if (rc) {
		ASSERT_FALSE(touched) {
			TH_LOG("%s: point %u: %s, and the argument has changed",
			       s->name, n, strerror(-rc));
		}
		if (!s->reports_late || rc != -EFAULT)
			expect_state(_metadata, w, old, s, n, strerror(-rc));
		ASSERT_EQ(0, s->call(w)) {
			TH_LOG("%s: point %u: repeated", s->name, n);
		}
	}
	expect_state(_metadata, w, new, s, n, rc ? "repeated" : "succeeded");
	ASSERT_EQ(0, s->undo(w));
	expect_state(_metadata, w, old, s, n, "undone");
}

/* The n-th fails. False: there is none. */
static bool sweep_one(struct __test_metadata *_metadata, struct world *w,
		      const struct scenario *s, unsigned int n,
		      const struct state *old, const struct state *new,
		      struct tally *tally)
{
	int rc, fired;

	touched = false;
	ASSERT_EQ(0, fault_arm(w->nth, n));
	rc = s->call(w);
	fired = fault_disarm(w->nth);
	ASSERT_LE(0, fired);
	judge(_metadata, w, s, n, rc, fired, old, new);
	tally->points += fired;
	tally->swallowed += fired && rc == 0;
	tally->efault += rc == -EFAULT;
	tally->enomem += rc == -ENOMEM;
	return fired;
}

/*
 * Memory ends after some bytes, in so many steps from none to what the call
 * takes. Every error is ENOMEM then.
 */
#define STARVE_STEPS	16

static void starve(struct __test_metadata *_metadata, struct world *w,
		   const struct scenario *s, const struct state *old,
		   const struct state *new)
{
	unsigned int n = 0, failed = 0;
	long bytes, step, left, fired;
	int rc;

	ASSERT_EQ(0, fault_starve(w->starve, FAULT_PLENTY));
	rc = s->call(w);
	ASSERT_EQ(0, fault_feed(w->starve, &left));
	ASSERT_EQ(0, rc);
	ASSERT_EQ(0, s->undo(w));
	step = (FAULT_PLENTY - left) / STARVE_STEPS + 1;

	for (bytes = 0, fired = 1; fired; bytes += step) {
		ASSERT_GT(MAX_POINTS, ++n);
		touched = false;
		ASSERT_EQ(0, fault_starve(w->starve, bytes));
		rc = s->call(w);
		fired = fault_feed(w->starve, &left);
		ASSERT_LE(0, fired);
		ASSERT_NE(-EFAULT, rc);
		judge(_metadata, w, s, n, rc, fired, old, new);
		failed += rc != 0;
	}
	printf("# %s: no memory from %u points on: %u ENOMEM\n", s->name, n - 1,
	       failed);
	EXPECT_NE(0, failed);
	totals->starved += n - 1;
}

static void sweep(struct __test_metadata *_metadata, struct world *w,
		  const struct scenario *s)
{
	struct tally tally[FAULT_PAGES + 1] = {};
	struct tally *copies = &tally[FAULT_COPIES], *last = copies;
	enum fault_kinds kinds, end = FAULT_SLAB;
	struct state old, new;
	unsigned int n;

	/* Undisturbed, twice: the first time fills caches. */
	ASSERT_EQ(0, s->call(w));
	ASSERT_EQ(0, s->undo(w));
	state_read(&old, w);
	ASSERT_EQ(0, s->call(w));
	state_read(&new, w);
	ASSERT_EQ(0, s->undo(w));
	expect_state(_metadata, w, &old, s, 0, "undone");

	if (s->only_copies)
		end = FAULT_COPIES;
	else if (s->pages)
		end = FAULT_PAGES;
	for (kinds = FAULT_COPIES; kinds <= end; kinds++) {
		last = &tally[kinds];
		ASSERT_EQ(0, fault_choose(kinds));
		n = 1;
		while (sweep_one(_metadata, w, s, n, &old, &new, last))
			ASSERT_GT(MAX_POINTS, ++n);
		EXPECT_TRUE(last->points ||
			    (s->no_copies && kinds == FAULT_COPIES));
		totals->rounds += last->points;
	}
	EXPECT_EQ(0, copies->enomem);
	if (end >= FAULT_SLAB && !s->irregular)
		EXPECT_EQ(copies->efault, tally[FAULT_SLAB].efault);

	printf("# %s: %u points: %u EFAULT, %u ENOMEM, %u got over\n",
	       s->name, last->points, last->efault, last->enomem,
	       last->swallowed);
	fflush(stdout);
	if (s->starve)
		starve(_metadata, w, s, &old, &new);
	totals->sweeps++;
	totals->points += last->points;
	totals->swallowed += last->swallowed;
}

/*
 * Making worlds
 */

static void world_make(struct __test_metadata *_metadata, struct world *w)
{
	unsigned int i;

	memset(w, 0, sizeof(*w));
	ASSERT_EQ(0, fault_setup());
	ASSERT_EQ(0, fault_choose(FAULT_PAGES));
	/* Nothing of the program is to be read from disk under a fault. */
	ASSERT_EQ(0, mlockall(MCL_CURRENT));
	ASSERT_EQ(0, munlockall());
	w->nth = fault_open();
	ASSERT_LE(0, w->nth);
	w->starve = fault_starve_open();
	ASSERT_LE(0, w->starve);
	w->buf = pages_alloc(LENGTH);
	ASSERT_NE(NULL, w->buf);
	paint(w->buf, LENGTH, 1);
	w->access = -1;
	w->file = -1;
	w->group = -1;
	w->fd = iommufd_open();
	ASSERT_LE(0, w->fd);
	for (i = 0; i < NR_IOAS; i++) {
		ASSERT_EQ(0, ioas_alloc(w->fd, &w->ioas[i]));
		w->probe[i] = access_open(w->fd, w->ioas[i], 0);
		ASSERT_LE(0, w->probe[i]);
	}
}

static void world_end(struct __test_metadata *_metadata, struct world *w)
{
	unsigned int i;

	EXPECT_EQ(0, memory_limit(w->fd, NO_LIMIT));
	for (i = 0; i < NR_IOAS; i++)
		EXPECT_EQ(0, close(w->probe[i]));
	EXPECT_EQ(0, close(w->fd));
	EXPECT_EQ(0, close(w->nth));
	EXPECT_EQ(0, close(w->starve));
	EXPECT_EQ(0, unpinned(w->buf, LENGTH));
	munmap(w->buf, LENGTH);
}

static struct piece *add_piece(struct world *w, unsigned int ioas,
			       uint64_t iova, uint64_t length, void *va)
{
	struct piece *p = &w->piece[w->nr_pieces++];

	p->ioas = ioas;
	p->iova = iova;
	p->length = length;
	p->va = va;
	return p;
}

static int piece_map(struct world *w, const struct piece *p)
{
	return ioas_map_fixed(w->fd, w->ioas[p->ioas], RW, p->va, p->length,
			      p->iova);
}

static int piece_unmap(struct world *w, const struct piece *p)
{
	uint64_t length = 0;
	int rc = ioas_unmap(w->fd, w->ioas[p->ioas], p->iova, p->length,
			    &length);

	if (!rc && length != p->length)
		rc = -EIO;
	return rc;
}

/* Counters before a test, and after it. */
struct baseline {
	struct state state;
	long pinned;
	long locked;
	long devices;
};

static void baseline_read(struct baseline *b)
{
	memset(b, 0, sizeof(*b));
	state_global(&b->state);
	b->pinned = pinned_now();
	b->locked = number_in("/proc/self/status", "VmLck:");
	b->devices = nr_entries(MOCK_DEVICES);
}

static void baseline_expect(struct __test_metadata *_metadata,
			    const struct baseline *b)
{
	struct baseline now;

	baseline_read(&now);
	EXPECT_EQ(b->devices, now.devices);
	EXPECT_EQ(b->locked, now.locked);
	state_diff(&b->state, &now.state);
	EXPECT_TRUE(state_same(&b->state, &now.state));
	EXPECT_EQ(b->pinned, now.pinned);
}

/*
 * Calls and their undoings
 */

static int nothing(struct world *w)
{
	return 0;
}

static int call_ioas_alloc(struct world *w)
{
	return ioas_alloc(w->fd, &w->id);
}

static int undo_ioas_alloc(struct world *w)
{
	return iommufd_destroy(w->fd, w->id);
}

static int call_ioas_destroy(struct world *w)
{
	return iommufd_destroy(w->fd, w->extra);
}

static int undo_ioas_destroy(struct world *w)
{
	uint32_t id;

	return ioas_alloc(w->fd, &id) ?: id == w->extra ? 0 : -EIO;
}

static int call_iova_ranges(struct world *w)
{
	uint32_t nr = 16;

	return ioas_iova_ranges(w->fd, w->ioas[0], (void *)w->data, &nr, NULL);
}

static int call_allow(struct world *w)
{
	static const struct iommu_iova_range ranges[] = {
		{ BASE + 64 * MiB, BASE + 65 * MiB - 1 },
		{ BASE + 96 * MiB, BASE + 97 * MiB - 1 },
		{ BASE + 128 * MiB, BASE + 129 * MiB - 1 },
	};

	return ioas_allow(w->fd, w->ioas[0], ranges, 3);
}

static int undo_allow(struct world *w)
{
	return ioas_allow(w->fd, w->ioas[0], NULL, 0);
}

static int call_reserve(struct world *w)
{
	return add_reserved(w->fd, w->extra, 2 * MiB, MiB);
}

static int undo_reserve(struct world *w)
{
	return call_ioas_destroy(w) ?: undo_ioas_destroy(w);
}

static int call_small_pages(struct world *w)
{
	return set_huge_pages(w->fd, w->extra, 0);
}

static int undo_small_pages(struct world *w)
{
	return set_huge_pages(w->fd, w->extra, 1);
}

static int call_get_option(struct world *w)
{
	uint64_t value = 0;

	return iommufd_option(w->fd, IOMMU_OPTION_RLIMIT_MODE,
			      IOMMU_OPTION_OP_GET, 0, &value);
}

static int call_vfio_ioas_set(struct world *w)
{
	return iommufd_vfio_ioas(w->fd, IOMMU_VFIO_IOAS_SET, &w->ioas[0]);
}

static int call_vfio_ioas_get(struct world *w)
{
	uint32_t id = 0;

	return iommufd_vfio_ioas(w->fd, IOMMU_VFIO_IOAS_GET, &id);
}

static int call_vfio_ioas_clear(struct world *w)
{
	uint32_t id = 0;

	return iommufd_vfio_ioas(w->fd, IOMMU_VFIO_IOAS_CLEAR, &id);
}

static int call_map(struct world *w)
{
	return piece_map(w, &w->piece[0]);
}

static int undo_map(struct world *w)
{
	return piece_unmap(w, &w->piece[0]);
}

static int call_map_auto(struct world *w)
{
	struct piece *p = &w->piece[0];
	uint64_t iova = 0;
	int rc = ioas_map(w->fd, w->ioas[p->ioas], RW, p->va, p->length, &iova);

	if (!rc)
		p->iova = iova;
	return rc;
}

static int undo_map_untouched(struct world *w)
{
	struct piece *p = &w->piece[0];

	return piece_unmap(w, p) ?:
	       madvise(p->va, p->length, MADV_DONTNEED) ? -errno : 0;
}

static int call_map_readable(struct world *w)
{
	struct piece *p = &w->piece[0];

	return ioas_map_fixed(w->fd, w->ioas[p->ioas], RD, p->va, p->length,
			      p->iova);
}

static int call_map_file(struct world *w)
{
	struct piece *p = &w->piece[0];
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = RW | FIXED,
		.ioas_id = w->ioas[p->ioas],
		.fd = w->file,
		.length = p->length,
		.iova = p->iova,
	};

	return ioctl_rc(w->fd, IOMMU_IOAS_MAP_FILE, &cmd);
}

/* What the process of a child had, or whoever: it is ours then. */
static int call_change_process(struct world *w)
{
	return ioas_change_process(w->fd);
}

static int undo_change_process(struct world *w)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (!pid)
		_exit(ioas_change_process(w->fd) ? 1 : 0);
	if (waitpid(pid, &status, 0) != pid || status)
		return -ECHILD;
	return 0;
}

/* Piece 1 is a part of piece 0, mapped once more. */
static int call_copy(struct world *w)
{
	struct piece *from = &w->piece[0], *to = &w->piece[1];

	return ioas_copy_fixed(w->fd, RW, w->ioas[to->ioas], to->iova,
			       w->ioas[from->ioas],
			       from->iova + (to->va - from->va), to->length);
}

static int undo_copy(struct world *w)
{
	return piece_unmap(w, &w->piece[1]);
}

/* The source anew, too: what its memory was cut into for the copy is forgotten. */
static int undo_copy_and_map(struct world *w)
{
	return undo_copy(w) ?: undo_map(w) ?: call_map(w);
}

static int call_unmap_range(struct world *w)
{
	uint64_t length = 0;
	int rc = ioas_unmap(w->fd, w->ioas[0], BASE, BASE3 + LENGTH - BASE,
			    &length);

	return rc ?: length ? 0 : -EIO;
}

static int call_unmap_all(struct world *w)
{
	return ioas_unmap_all(w->fd, w->ioas[0], NULL);
}

static int undo_unmap_all(struct world *w)
{
	unsigned int i;
	int rc = 0;

	for (i = 0; !rc && i < w->nr_pieces; i++)
		rc = piece_map(w, &w->piece[i]);
	return rc;
}

static int call_access_open(struct world *w)
{
	int rc = access_open(w->fd, w->ioas[0], w->flags);

	if (rc < 0)
		return rc;
	w->access = rc;
	return 0;
}

static int undo_access_open(struct world *w)
{
	return close(w->access) ? -errno : 0;
}

#define PIN_OFFSET	(2 * PAGE)
#define PIN_LENGTH	(16 * PAGE)

static int call_pin(struct world *w)
{
	struct piece *p = &w->piece[0];

	return access_pin(w->fd, w->access, MOCK_PAGES_WRITE,
			  p->iova + PIN_OFFSET, PIN_LENGTH,
			  p->va + PIN_OFFSET, &w->pin);
}

static int undo_pin(struct world *w)
{
	return access_unpin(w->fd, w->access, w->pin);
}

static int call_unpin(struct world *w)
{
	return undo_pin(w);
}

static int call_rw(struct world *w)
{
	return access_rw(w->fd, w->probe[0], w->flags,
			 w->piece[0].iova + PAGE / 2, w->data,
			 sizeof(w->data));
}

static int undo_unmap_pinned(struct world *w)
{
	return call_map(w) ?: call_pin(w);
}

static int call_access_replace(struct world *w)
{
	return access_replace(w->fd, w->access, w->ioas[1]);
}

static int undo_access_replace(struct world *w)
{
	return access_replace(w->fd, w->access, w->ioas[0]) ?: call_pin(w);
}

/* The ioctls of the type1 container, which /dev/iommu has as well. */
static int call_dma_map(struct world *w)
{
	const struct piece *p = &w->piece[0];

	return dma_map(w->fd, DMA_RW, p->va, p->length, p->iova);
}

static int call_dma_unmap(struct world *w)
{
	int64_t length = dma_unmap(w->fd, 0, BASE, LENGTH);

	return length < 0 ? length : 0;
}

static int call_dma_unmap_all(struct world *w)
{
	int64_t length = dma_unmap(w->fd, VFIO_DMA_UNMAP_FLAG_ALL, 0, 0);

	return length < 0 ? length : 0;
}

static int call_type1_info(struct world *w)
{
	struct {
		struct vfio_iommu_type1_info info;
		char caps[128];
	} cmd = { .info.argsz = sizeof(cmd) };
	int rc = ioctl(w->fd, VFIO_IOMMU_GET_INFO, &cmd) ? -errno : 0;

	/* The capabilities go first, the struct that tells of them last. */
	if (rc)
		touched = false;
	return rc;
}

/*
 * What is done in an address space, with none, one and two page tables under it
 */

FIXTURE(space)
{
	struct baseline baseline;
	struct world w;
};

FIXTURE_VARIANT(space)
{
	unsigned int tables;
	uint32_t limit;
};

FIXTURE_VARIANT_ADD(space, no_table) { .tables = 0, .limit = NO_LIMIT };
FIXTURE_VARIANT_ADD(space, one_table) { .tables = 1, .limit = NO_LIMIT };
FIXTURE_VARIANT_ADD(space, two_tables_limit_32) { .tables = 2, .limit = 32 };

FIXTURE_SETUP(space)
{
	struct world *w = &self->w;
	unsigned int i;

	if (fault_none())
		SKIP(return, "no fault injection in this kernel");
	baseline_read(&self->baseline);
	world_make(_metadata, w);
	ASSERT_EQ(0, memory_limit(w->fd, variant->limit));
	for (i = 0; i < variant->tables; i++)
		ASSERT_EQ(0, stdev_add_to_unit(w->fd, w->ioas[0],
					       i ? MOCK_UNIT_TWIN :
						   MOCK_UNIT_ABI, &w->dev[i]));
	w->nr_devices = variant->tables;
}

FIXTURE_TEARDOWN(space)
{
	world_end(_metadata, &self->w);
	baseline_expect(_metadata, &self->baseline);
}

TEST_F_TIMEOUT(space, map_small_pages, SWEEP_TIMEOUT)
{
	add_piece(&self->w, 0, BASE, LENGTH, self->w.buf);
	sweep(_metadata, &self->w, &(struct scenario){
		"MAP", call_map, undo_map,
		.starve = true });
	sweep(_metadata, &self->w, &(struct scenario){
		"MAP, IOVA chosen", call_map_auto, undo_map });
}

TEST_F_TIMEOUT(space, map_untouched_memory, SWEEP_TIMEOUT)
{
	void *va = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	ASSERT_NE(MAP_FAILED, va);
	ASSERT_EQ(0, madvise(va, 4 * PAGE, MADV_NOHUGEPAGE));
	add_piece(&self->w, 0, BASE, 4 * PAGE, va);
	sweep(_metadata, &self->w, &(struct scenario){
		"MAP of untouched memory", call_map, undo_map_untouched,
		.pages = true, .irregular = true });
	sweep(_metadata, &self->w, &(struct scenario){
		"MAP of untouched memory, to read", call_map_readable,
		undo_map_untouched, .pages = true, .irregular = true });
}

TEST_F_TIMEOUT(space, map_large_pages, SWEEP_TIMEOUT)
{
	void *va = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *huge = huge_alloc(HUGE);
	struct piece *p;

	ASSERT_NE(NULL, huge);
	ASSERT_NE(MAP_FAILED, va);
	va = (void *)(((uintptr_t)va + HUGE - 1) & ~(HUGE - 1));
	madvise(va, HUGE, MADV_HUGEPAGE);
	paint(va, HUGE, 3);
	paint(huge, HUGE, 4);
	p = add_piece(&self->w, 0, BASE, HUGE, va);
	sweep(_metadata, &self->w, &(struct scenario){
		"MAP of a transparent huge page", call_map, undo_map,
		.pages = true,
		.starve = true });
	p->va = huge;
	sweep(_metadata, &self->w, &(struct scenario){
		"MAP of a hugetlb page", call_map, undo_map });
	sweep(_metadata, &self->w, &(struct scenario){
		"MAP of a hugetlb page, to read", call_map_readable,
		undo_map });
	munmap(huge, HUGE);
}

TEST_F_TIMEOUT(space, map_file, SWEEP_TIMEOUT)
{
	void *va;

	self->w.file = memfd_create("faults", MFD_CLOEXEC);
	ASSERT_LE(0, self->w.file);
	ASSERT_EQ(0, ftruncate(self->w.file, 16 * PAGE));
	va = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
		  self->w.file, 0);
	ASSERT_NE(MAP_FAILED, va);
	paint(va, 16 * PAGE, 5);
	add_piece(&self->w, 0, BASE, 16 * PAGE, va);
	sweep(_metadata, &self->w, &(struct scenario){
		"MAP_FILE", call_map_file, undo_map,
		.pages = true,
		.starve = true });
	ASSERT_EQ(0, call_map_file(&self->w));
	sweep(_metadata, &self->w, &(struct scenario){
		"CHANGE_PROCESS", call_change_process, undo_change_process });
	ASSERT_EQ(0, undo_map(&self->w));
	munmap(va, 16 * PAGE);
	close(self->w.file);
}

TEST_F_TIMEOUT(space, copy, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;
	struct piece *from, *to;

	from = add_piece(w, 0, BASE, LENGTH, w->buf);
	to = add_piece(w, 0, BASE2, LENGTH / 2, w->buf + 4 * PAGE);
	ASSERT_EQ(0, call_map(w));
	sweep(_metadata, w, &(struct scenario){
		"COPY within", call_copy, undo_copy,
		.pages = true });
	to->ioas = 1;
	sweep(_metadata, w, &(struct scenario){
		"COPY to another IOAS", call_copy, undo_copy });
	ASSERT_EQ(0, piece_unmap(w, from));
	from->ioas = 1;
	to->ioas = 0;
	ASSERT_EQ(0, call_map(w));
	sweep(_metadata, w, &(struct scenario){
		"COPY from another IOAS", call_copy, undo_copy,
		.starve = true });
	ASSERT_EQ(0, piece_unmap(w, from));
}

/*
 * Memory in one piece is one run, without a list. A copy of its middle makes the
 * list for the one end, and a longer one for the other.
 */
TEST_F_TIMEOUT(space, copy_of_the_middle_of_a_large_page, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;
	void *huge = huge_alloc(HUGE);

	ASSERT_NE(NULL, huge);
	paint(huge, HUGE, 6);
	add_piece(w, 0, BASE, HUGE, huge);
	add_piece(w, 0, BASE2, LENGTH, huge + HUGE / 2);
	ASSERT_EQ(0, call_map(w));
	sweep(_metadata, w, &(struct scenario){
		"COPY of the middle of a large page", call_copy,
		undo_copy_and_map });
	ASSERT_EQ(0, undo_map(w));
	munmap(huge, HUGE);
}

/* The source is two mappings: the copy is a chain. */
TEST_F_TIMEOUT(space, copy_of_two_mappings, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;
	struct piece halves[2];

	add_piece(w, 0, BASE, LENGTH, w->buf);
	add_piece(w, 0, BASE2, LENGTH - 8 * PAGE, w->buf + 4 * PAGE);
	halves[0] = w->piece[0];
	halves[0].length /= 2;
	halves[1] = halves[0];
	halves[1].iova += LENGTH / 2;
	halves[1].va += LENGTH / 2;
	ASSERT_EQ(0, piece_map(w, &halves[0]));
	ASSERT_EQ(0, piece_map(w, &halves[1]));
	sweep(_metadata, w, &(struct scenario){
		"COPY of two mappings", call_copy, undo_copy });
}

TEST_F_TIMEOUT(space, unmap, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;

	add_piece(w, 0, BASE, LENGTH / 4, w->buf);
	ASSERT_EQ(0, call_map(w));
	sweep(_metadata, w, &(struct scenario){
		"UNMAP of one mapping", undo_map, call_map });
	add_piece(w, 0, BASE2, LENGTH / 4, w->buf + LENGTH / 4);
	add_piece(w, 0, BASE3, LENGTH / 2, w->buf + LENGTH / 2);
	ASSERT_EQ(0, piece_map(w, &w->piece[1]));
	ASSERT_EQ(0, piece_map(w, &w->piece[2]));
	sweep(_metadata, w, &(struct scenario){
		"UNMAP of several", call_unmap_range, undo_unmap_all });
	sweep(_metadata, w, &(struct scenario){
		"UNMAP of all", call_unmap_all, undo_unmap_all });
}

TEST_F_TIMEOUT(space, container, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;

	ASSERT_EQ(0, iommufd_vfio_ioas(w->fd, IOMMU_VFIO_IOAS_SET,
				       &w->ioas[0]));
	ASSERT_EQ(0, container_set_iommu(w->fd, VFIO_TYPE1v2_IOMMU));
	add_piece(w, 0, BASE, LENGTH, w->buf);
	sweep(_metadata, w, &(struct scenario){
		"VFIO_IOMMU_MAP_DMA", call_dma_map, call_dma_unmap,
		.pages = true,
		.starve = true });
	sweep(_metadata, w, &(struct scenario){
		"VFIO_IOMMU_GET_INFO", call_type1_info, nothing });
	ASSERT_EQ(0, call_dma_map(w));
	sweep(_metadata, w, &(struct scenario){
		"VFIO_IOMMU_UNMAP_DMA", call_dma_unmap, call_dma_map,
		.reports_late = true });
	sweep(_metadata, w, &(struct scenario){
		"VFIO_IOMMU_UNMAP_DMA of all", call_dma_unmap_all,
		call_dma_map, .reports_late = true });
	ASSERT_EQ(0, call_dma_unmap(w));
}

/*
 * MAP, COPY and UNMAP write back a single value, with put_user(), where 6.1 has
 * no injection: memory that cannot be written does it.
 */
static void expect_untold(struct __test_metadata *_metadata, struct world *w,
			  unsigned long cmd, const char *name, const void *arg,
			  size_t size)
{
	void *readonly = readonly_copy(arg, size);
	struct state old;

	ASSERT_NE(NULL, readonly);
	state_read(&old, w);
	EXPECT_EQ(-EFAULT, ioctl_rc(w->fd, cmd, readonly));
	expect_state(_metadata, w, &old, &(struct scenario){ name }, 0,
		     "read-only");
	munmap(readonly, PAGE);
}

TEST_F_TIMEOUT(space, is_as_it_was_if_that_cannot_be_told, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;
	struct iommu_ioas_map map = {
		.size = sizeof(map),
		.flags = RW | FIXED,
		.ioas_id = w->ioas[0],
		.user_va = (uintptr_t)w->buf,
		.length = LENGTH,
		.iova = BASE,
	};
	struct iommu_ioas_copy copy = {
		.size = sizeof(copy),
		.flags = RW | FIXED,
		.dst_ioas_id = w->ioas[0],
		.src_ioas_id = w->ioas[0],
		.length = LENGTH / 2,
		.dst_iova = BASE2,
		.src_iova = BASE,
	};
	struct iommu_ioas_unmap unmap = {
		.size = sizeof(unmap),
		.ioas_id = w->ioas[0],
		.iova = BASE,
		.length = LENGTH,
	};

	add_piece(w, 0, BASE, LENGTH, w->buf);
	add_piece(w, 0, BASE2, LENGTH / 2, w->buf);
	expect_untold(_metadata, w, IOMMU_IOAS_MAP, "MAP", &map, sizeof(map));
	ASSERT_EQ(0, call_map(w));
	expect_untold(_metadata, w, IOMMU_IOAS_COPY, "COPY", &copy,
		      sizeof(copy));
	expect_untold(_metadata, w, IOMMU_IOAS_UNMAP, "UNMAP", &unmap,
		      sizeof(unmap));
	EXPECT_EQ(0, undo_map(w));
}

TEST_F_TIMEOUT(space, access, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;

	add_piece(w, 0, BASE, LENGTH, w->buf);
	ASSERT_EQ(0, call_map(w));
	sweep(_metadata, w, &(struct scenario){
		"read by an access", call_rw, nothing });
	w->flags = MOCK_RW_WRITE;
	memcpy(w->data, w->buf + PAGE / 2, sizeof(w->data));
	sweep(_metadata, w, &(struct scenario){
		"write by an access", call_rw, nothing });
	w->flags = 0;
	/* A file of its own, whose parts the kernel may have kept from the last. */
	sweep(_metadata, w, &(struct scenario){
		"making an access", call_access_open, undo_access_open,
		.starve = true,
		.irregular = true });
	w->flags = MOCK_ACCESS_PINS;
	sweep(_metadata, w, &(struct scenario){
		"making a pinning access", call_access_open,
		undo_access_open,
		.irregular = true });
	ASSERT_EQ(0, call_access_open(w));
	sweep(_metadata, w, &(struct scenario){
		"pinning", call_pin, undo_pin,
		.starve = true });
	ASSERT_EQ(0, call_pin(w));
	sweep(_metadata, w, &(struct scenario){
		"unpinning", call_unpin, call_pin });
	sweep(_metadata, w, &(struct scenario){
		"UNMAP of what is pinned", undo_map, undo_unmap_pinned });
	sweep(_metadata, w, &(struct scenario){
		"moving an access", call_access_replace,
		undo_access_replace });
	ASSERT_EQ(0, undo_access_open(w));
}

/*
 * Devices
 */

static int device_add(struct world *w, uint32_t pt, uint32_t unit,
		      uint32_t group, uint32_t reserved)
{
	int rc = stdev_add_local(w->fd, pt, unit, group, reserved,
				 BASE + 32 * MiB, &w->dev[w->nr_devices]);

	if (!rc)
		w->nr_devices++;
	return rc;
}

static int undo_device(struct world *w)
{
	int rc = iommufd_destroy(w->fd, w->dev[w->nr_devices - 1].id);

	if (!rc)
		w->nr_devices--;
	return rc;
}

static int call_device(struct world *w)
{
	int rc = stdev_add(w->fd, w->ioas[0], &w->dev[w->nr_devices]);

	if (!rc)
		w->nr_devices++;
	return rc;
}

static int call_device_reserved(struct world *w)
{
	return device_add(w, w->ioas[0], MOCK_UNIT_ABI, 0, MOCK_RESERVED_PLAIN);
}

static int call_device_sw_msi(struct world *w)
{
	return device_add(w, w->ioas[0], MOCK_UNIT_ABI, 0,
			  MOCK_RESERVED_SW_MSI);
}

static int call_device_twin(struct world *w)
{
	return device_add(w, w->ioas[0], MOCK_UNIT_TWIN, 0, MOCK_RESERVED_NONE);
}

static int call_device_join(struct world *w)
{
	return device_add(w, w->ioas[0], MOCK_UNIT_ABI, w->dev[0].id,
			  MOCK_RESERVED_NONE);
}

/* On the table that w->id is. */
static int call_device_on_hwpt(struct world *w)
{
	return device_add(w, w->id, MOCK_UNIT_ABI, 0, MOCK_RESERVED_NONE);
}

static int call_hwpt_alloc(struct world *w)
{
	return hwpt_alloc(w->fd, w->dev[0].idev, w->ioas[0], &w->id);
}

static int undo_hwpt_alloc(struct world *w)
{
	return iommufd_destroy(w->fd, w->id);
}

static int call_hw_info(struct world *w)
{
	uint32_t length = 16, type;

	return hw_info(w->fd, w->dev[0].idev, w->data, &length, &type);
}

/* All devices are of one group: where one goes, all are. */
static int devices_move(struct world *w, uint32_t pt)
{
	unsigned int i;
	int rc = stdev_move(w->fd, &w->dev[0], pt);

	for (i = 1; !rc && i < w->nr_devices; i++)
		w->dev[i].hwpt = w->dev[0].hwpt;
	return rc;
}

static int call_replace(struct world *w)
{
	return devices_move(w, w->ioas[1]);
}

static int undo_replace(struct world *w)
{
	return devices_move(w, w->ioas[0]);
}

static int call_replace_hwpt(struct world *w)
{
	return devices_move(w, w->id);
}

static int call_replace_nowhere(struct world *w)
{
	return devices_move(w, w->dev[0].hwpt);
}

FIXTURE(context)
{
	struct baseline baseline;
	struct world w;
};

/* Two mappings in one address space, one in the other. */
FIXTURE_SETUP(context)
{
	struct world *w = &self->w;

	if (fault_none())
		SKIP(return, "no fault injection in this kernel");
	baseline_read(&self->baseline);
	world_make(_metadata, w);
	w->watch_devices = true;
	add_piece(w, 0, BASE, LENGTH / 2, w->buf);
	add_piece(w, 0, BASE2, LENGTH / 4, w->buf + LENGTH / 2);
	add_piece(w, 1, BASE3, LENGTH / 4, w->buf + LENGTH / 4 * 3);
	ASSERT_EQ(0, undo_unmap_all(w));
}

FIXTURE_TEARDOWN(context)
{
	world_end(_metadata, &self->w);
	baseline_expect(_metadata, &self->baseline);
}

TEST_F_TIMEOUT(context, has_objects_and_settings, SWEEP_TIMEOUT)
{
	static const struct scenario scenarios[] = {
		{ "IOAS_ALLOC", call_ioas_alloc, undo_ioas_alloc },
		{ "DESTROY of an IOAS", call_ioas_destroy, undo_ioas_destroy },
		{ "IOVA_RANGES", call_iova_ranges, nothing },
		{ "ALLOW_IOVAS", call_allow, undo_allow },
		{ "ALLOW_IOVAS of none", undo_allow, nothing },
		{ "OPTION get", call_get_option, nothing },
		{ "OPTION set", call_small_pages, undo_small_pages },
		{ "VFIO_IOAS set", call_vfio_ioas_set, call_vfio_ioas_clear },
		{ "ADD_RESERVED", call_reserve, undo_reserve },
	};
	static const struct scenario compat[] = {
		{ "VFIO_IOAS get", call_vfio_ioas_get, nothing },
		{ "VFIO_IOAS clear", call_vfio_ioas_clear, call_vfio_ioas_set },
	};
	struct world *w = &self->w;
	unsigned int i;

	ASSERT_EQ(0, ioas_alloc(w->fd, &w->extra));
	for (i = 0; i < ARRAY_SIZE(scenarios); i++)
		sweep(_metadata, w, &scenarios[i]);
	ASSERT_EQ(0, call_vfio_ioas_set(w));
	for (i = 0; i < ARRAY_SIZE(compat); i++)
		sweep(_metadata, w, &compat[i]);
}

TEST_F_TIMEOUT(context, gets_a_device, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;

	sweep(_metadata, w, &(struct scenario){
		"making a device", call_device, undo_device,
		.pages = true,
		.starve = true,
		.irregular = true });
	ASSERT_EQ(0, call_device(w));
	sweep(_metadata, w, &(struct scenario){
		"DESTROY of a device", undo_device, call_device });
}

TEST_F_TIMEOUT(context, gets_a_device_with_reserved_iova, SWEEP_TIMEOUT)
{
	sweep(_metadata, &self->w, &(struct scenario){
		"making a device with reserved IOVA", call_device_reserved,
		undo_device,
		.starve = true,
		.irregular = true });
	sweep(_metadata, &self->w, &(struct scenario){
		"making a device with an MSI window", call_device_sw_msi,
		undo_device,
		.irregular = true });
}

TEST_F_TIMEOUT(context, gets_a_second_device, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;

	ASSERT_EQ(0, call_device(w));
	sweep(_metadata, w, &(struct scenario){
		"making a second device", call_device, undo_device,
		.irregular = true });
	sweep(_metadata, w, &(struct scenario){
		"making a device of the same group", call_device_join,
		undo_device,
		.irregular = true });
	sweep(_metadata, w, &(struct scenario){
		"making a device behind another unit", call_device_twin,
		undo_device,
		.irregular = true });
}

TEST_F_TIMEOUT(context, gets_a_table, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;

	ASSERT_EQ(0, call_device(w));
	sweep(_metadata, w, &(struct scenario){
		"GET_HW_INFO", call_hw_info, nothing });
	sweep(_metadata, w, &(struct scenario){
		"HWPT_ALLOC", call_hwpt_alloc, undo_hwpt_alloc,
		.starve = true });
	ASSERT_EQ(0, call_hwpt_alloc(w));
	sweep(_metadata, w, &(struct scenario){
		"DESTROY of a HWPT", undo_hwpt_alloc, call_hwpt_alloc });
	sweep(_metadata, w, &(struct scenario){
		"making a device on a HWPT", call_device_on_hwpt,
		undo_device,
		.irregular = true });
	sweep(_metadata, w, &(struct scenario){
		"replace by a HWPT of the same IOAS", call_replace_hwpt,
		undo_replace, .reports_late = true });
}

TEST_F_TIMEOUT(context, replaces, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;

	ASSERT_EQ(0, call_device(w));
	sweep(_metadata, w, &(struct scenario){
		"replace", call_replace, undo_replace, .reports_late = true,
		.starve = true });
	sweep(_metadata, w, &(struct scenario){
		"replace by the table in use", call_replace_nowhere, nothing,
		.reports_late = true });
}

TEST_F_TIMEOUT(context, replaces_for_a_group, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;

	ASSERT_EQ(0, call_device_reserved(w));
	ASSERT_EQ(0, call_device_join(w));
	sweep(_metadata, w, &(struct scenario){
		"replace of a group with reserved IOVA", call_replace,
		undo_replace, .reports_late = true });
}

/* A neighbour has a table there already. */
TEST_F_TIMEOUT(context, replaces_by_a_shared_table, SWEEP_TIMEOUT)
{
	struct stdev neighbour;
	struct world *w = &self->w;

	ASSERT_EQ(0, call_device(w));
	ASSERT_EQ(0, stdev_add(w->fd, w->ioas[1], &neighbour));
	sweep(_metadata, w, &(struct scenario){
		"replace by a shared table", call_replace, undo_replace,
		.reports_late = true });
}

/*
 * Contexts
 */

static int call_open(struct world *w)
{
	int rc = iommufd_open();

	if (rc < 0)
		return rc;
	w->file = rc;
	return 0;
}

static int undo_open(struct world *w)
{
	return close(w->file) ? -errno : 0;
}

static int call_rlimit_mode(struct world *w)
{
	uint64_t value = 1;

	return iommufd_option(w->file, IOMMU_OPTION_RLIMIT_MODE,
			      IOMMU_OPTION_OP_SET, 0, &value);
}

static int undo_rlimit_mode(struct world *w)
{
	uint64_t value = 1;
	int rc;

	rc = iommufd_option(w->file, IOMMU_OPTION_RLIMIT_MODE,
			    IOMMU_OPTION_OP_GET, 0, &value);
	if (rc || value != 1)
		return rc ?: -EIO;
	value = 0;
	return iommufd_option(w->file, IOMMU_OPTION_RLIMIT_MODE,
			      IOMMU_OPTION_OP_SET, 0, &value);
}

TEST_F_TIMEOUT(context, opens, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;

	sweep(_metadata, w, &(struct scenario){
		"open", call_open, undo_open,
		.pages = true });
	ASSERT_EQ(0, call_open(w));
	sweep(_metadata, w, &(struct scenario){
		"OPTION set, of the context", call_rlimit_mode,
		undo_rlimit_mode });
	ASSERT_EQ(0, undo_open(w));
}

/*
 * close() of a context that has everything; it cannot fail. What is not on the
 * way of every sweep's end.
 */
TEST_F_TIMEOUT(context, closes, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;
	struct piece *p = &w->piece[0];
	struct baseline before;
	uint32_t ioas, hwpt, pin;
	struct stdev dev[2];
	unsigned int n = 0;
	int fd, access, fired;

	baseline_read(&before);
	do {
		ASSERT_GT(MAX_POINTS, n);
		fd = iommufd_open();
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, ioas_alloc(fd, &ioas));
		ASSERT_EQ(0, ioas_map_fixed(fd, ioas, RW, p->va, p->length,
					    p->iova));
		ASSERT_EQ(0, stdev_add(fd, ioas, &dev[0]));
		ASSERT_EQ(0, stdev_add_to_unit(fd, ioas, MOCK_UNIT_TWIN,
					       &dev[1]));
		ASSERT_EQ(0, hwpt_alloc(fd, dev[0].idev, ioas, &hwpt));
		access = access_open(fd, ioas, MOCK_ACCESS_PINS);
		ASSERT_LE(0, access);
		ASSERT_EQ(0, access_pin(fd, access, 0, p->iova, PAGE, p->va,
					&pin));
		ASSERT_EQ(0, close(fd));	/* the access holds it */
		ASSERT_EQ(0, fault_arm(w->nth, ++n));
		EXPECT_EQ(0, close(access));
		fired = fault_disarm(w->nth);
		ASSERT_LE(0, fired);
		EXPECT_EQ(0, unpinned(p->va, p->length));
		baseline_expect(_metadata, &before);
	} while (fired && _metadata->passed);
	printf("# close: %u points\n", n - 1);
	fflush(stdout);
	EXPECT_LT(1, n);
	totals->sweeps++;
	totals->points += n - 1;
	totals->swallowed += n - 1;
	totals->rounds += n - 1;
}

/*
 * A real device: attach, replace, map and unmap with the tables of the
 * machine's IOMMU driver. What the device translates is not looked into, but
 * everything else is.
 */

static int call_attach(struct world *w)
{
	return vfio_attach(w->file, w->ioas[0], &w->dev[0].hwpt);
}

static int undo_attach(struct world *w)
{
	w->dev[0].hwpt = 0;
	return vfio_detach(w->file);
}

static int call_detach(struct world *w)
{
	return vfio_detach(w->file);
}

static int call_attach_other(struct world *w)
{
	return vfio_attach(w->file, w->ioas[1], &w->dev[0].hwpt);
}

static int call_bind(struct world *w)
{
	return vfio_bind(w->file, w->fd, &w->dev[0].idev);
}

static int undo_bind(struct world *w)
{
	if (close(w->file))
		return -errno;
	w->file = edu_open();
	return w->file < 0 ? w->file : 0;
}

FIXTURE(real)
{
	struct baseline baseline;
	struct world w;
};

FIXTURE_SETUP(real)
{
	struct world *w = &self->w;

	if (fault_none())
		SKIP(return, "no fault injection in this kernel");
	baseline_read(&self->baseline);
	world_make(_metadata, w);
	add_piece(w, 0, BASE, LENGTH / 2, w->buf);
	add_piece(w, 0, BASE2, LENGTH / 4, w->buf + LENGTH / 2);
	add_piece(w, 1, BASE3, LENGTH / 4, w->buf + LENGTH / 4 * 3);
	ASSERT_EQ(0, undo_unmap_all(w));
	w->file = edu_open();
	ASSERT_LE(0, w->file);
	w->nr_devices = 1;
	w->blind = true;
	ASSERT_EQ(0, call_bind(w));
}

FIXTURE_TEARDOWN(real)
{
	close(self->w.file);
	world_end(_metadata, &self->w);
	baseline_expect(_metadata, &self->baseline);
}

TEST_F_TIMEOUT(real, device_binds, SWEEP_TIMEOUT)
{
	ASSERT_EQ(0, undo_bind(&self->w));
	sweep(_metadata, &self->w, &(struct scenario){
		"BIND", call_bind, undo_bind, .only_copies = true });
}

TEST_F_TIMEOUT(real, device_attaches_and_moves, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;

	sweep(_metadata, w, &(struct scenario){
		"ATTACH", call_attach, undo_attach,
		.pages = true,
		.starve = true });
	ASSERT_EQ(0, call_attach(w));
	sweep(_metadata, w, &(struct scenario){
		"ATTACH elsewhere", call_attach_other, call_attach,
		.pages = true });
	sweep(_metadata, w, &(struct scenario){
		"DETACH", call_detach, call_attach });
}

/* put_user() of 6.1 knows no faults: a page that cannot be written does. */
TEST_F(real, device_stays_where_it_was_if_that_cannot_be_told)
{
	struct vfio_device_attach_iommufd_pt attach = {
		.argsz = sizeof(attach),
	};
	struct world *w = &self->w;
	struct state old;
	void *readonly;

	state_read(&old, w);
	attach.pt_id = w->ioas[0];
	readonly = readonly_copy(&attach, sizeof(attach));
	ASSERT_NE(NULL, readonly);
	EXPECT_EQ(-EFAULT, ioctl_rc(w->file, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				    readonly));
	expect_state(_metadata, w, &old, &(struct scenario){ "ATTACH" }, 0,
		     "read-only");
	ASSERT_EQ(0, call_attach(w));
	state_read(&old, w);
	attach.pt_id = w->ioas[1];
	readonly = readonly_copy(&attach, sizeof(attach));
	ASSERT_NE(NULL, readonly);
	EXPECT_EQ(-EFAULT, ioctl_rc(w->file, VFIO_DEVICE_ATTACH_IOMMUFD_PT,
				    readonly));
	expect_state(_metadata, w, &old,
		     &(struct scenario){ "ATTACH elsewhere" }, 0, "read-only");
	EXPECT_EQ(0, undo_attach(w));
}

TEST_F_TIMEOUT(real, device_has_a_table, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;

	sweep(_metadata, w, &(struct scenario){
		"GET_HW_INFO of a real device", call_hw_info, nothing,
		.pages = true });
	sweep(_metadata, w, &(struct scenario){
		"HWPT_ALLOC for a real device", call_hwpt_alloc,
		undo_hwpt_alloc });
}

TEST_F_TIMEOUT(real, device_is_there_while_memory_comes_and_goes, SWEEP_TIMEOUT)
{
	void *va = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct world *w = &self->w;

	ASSERT_NE(MAP_FAILED, va);
	va = (void *)(((uintptr_t)va + HUGE - 1) & ~(HUGE - 1));
	madvise(va, HUGE, MADV_HUGEPAGE);
	paint(va, HUGE, 3);
	ASSERT_EQ(0, call_attach(w));
	sweep(_metadata, w, &(struct scenario){
		"UNMAP with a real device", undo_map, call_map });
	ASSERT_EQ(0, undo_map(w));
	sweep(_metadata, w, &(struct scenario){
		"MAP with a real device", call_map, undo_map,
		.pages = true,
		.starve = true });
	w->piece[0].length = HUGE;
	w->piece[0].va = va;
	sweep(_metadata, w, &(struct scenario){
		"MAP of a huge page with a real device", call_map, undo_map });
	ASSERT_EQ(0, undo_attach(w));
}

/*
 * A real group. Leaving a container gives the group back, see the top: only
 * joining is swept.
 */

static int call_set_container(struct world *w)
{
	return group_set_container(w->group, w->file >= 0 ? w->file : w->fd);
}

static int undo_set_container(struct world *w)
{
	return group_unset_container(w->group);
}

static int call_group_open(struct world *w)
{
	w->group = group_open(w->data);
	return w->group < 0 ? w->group : 0;
}

static int undo_group_open(struct world *w)
{
	int rc = close(w->group) ? -errno : 0;

	w->group = -1;
	return rc;
}

FIXTURE(group)
{
	struct baseline baseline;
	struct world w;
};

FIXTURE_SETUP(group)
{
	struct world *w = &self->w;
	char bdf[16];

	if (fault_none())
		SKIP(return, "no fault injection in this kernel");
	baseline_read(&self->baseline);
	world_make(_metadata, w);
	w->blind = true;
	add_piece(w, 0, BASE, LENGTH, w->buf);
	ASSERT_EQ(0, call_map(w));
	ASSERT_EQ(0, iommufd_vfio_ioas(w->fd, IOMMU_VFIO_IOAS_SET,
				       &w->ioas[0]));
	ASSERT_EQ(0, edu_group_path(0, bdf, w->data));
}

FIXTURE_TEARDOWN(group)
{
	world_end(_metadata, &self->w);
	baseline_expect(_metadata, &self->baseline);
}

TEST_F_TIMEOUT(group, joins_a_container, SWEEP_TIMEOUT)
{
	struct world *w = &self->w;

	ASSERT_EQ(0, call_group_open(w));
	sweep(_metadata, w, &(struct scenario){
		"GROUP_SET_CONTAINER to /dev/iommu with a mapping",
		call_set_container, undo_set_container,
		.no_copies = true });
	w->file = container_open();
	ASSERT_LE(0, w->file);
	sweep(_metadata, w, &(struct scenario){
		"GROUP_SET_CONTAINER to the node",
		call_set_container, undo_set_container,
		.no_copies = true });
	ASSERT_EQ(0, close(w->file));
	ASSERT_EQ(0, undo_group_open(w));
}

TEST_F_TIMEOUT(group, opens, SWEEP_TIMEOUT)
{
	sweep(_metadata, &self->w, &(struct scenario){
		"open of a group", call_group_open, undo_group_open });
}

/*
 * The end
 */

FIXTURE(all)
{
};

FIXTURE_SETUP(all)
{
	if (fault_none())
		SKIP(return, "no fault injection in this kernel");
}

FIXTURE_TEARDOWN(all)
{
}

TEST_F(all, sweeps_together_met_many_points)
{
	printf("# total: %u sweeps, %u points (%u got over), %u rounds\n",
	       totals->sweeps, totals->points, totals->swallowed,
	       totals->rounds);
	printf("# total: memory ended %u times\n", totals->starved);
	fflush(stdout);
	EXPECT_NE(0, totals->points);
}

TEST_HARNESS_MAIN
