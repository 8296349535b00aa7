// SPDX-License-Identifier: GPL-2.0
/*
 * Everything that can be done to a context against everything else, in pairs:
 * each ioctl, what drivers do through the in-kernel API (by the fake devices of
 * test modules), what happens to the memory underneath, and the end of
 * descriptors and processes. race.h tells how a pair is run.
 *
 * The world of a pair: a context with two address spaces, a page table made by
 * hand on each, three fake devices of which two share a group, and two in-kernel
 * users, one that pins. These stay, though devices and users move. Besides there
 * are a loose address space, table and device, which come and go: IDs are few and
 * are given out again at once, so that actions meet objects of any kind behind
 * an ID. That is why ENOENT (gone, or another kind) and, where IDs of several
 * kinds are taken, EINVAL are right in many places.
 *
 * Memory: a buffer with a stamp in every word, which nobody changes; memory that is
 * unmapped, moved, discarded and protected while it is mapped; a file that is
 * cut short; and memory that a thread provides late, so that whoever pins it
 * sleeps in the kernel for a while. IOVA is divided into windows, and the buffer
 * is mapped at its own offset in each: what a read finds must be the stamp
 * of that page, or nothing.
 *
 * In the quiet after a round: an IOVA that an in-kernel user can read leads to
 * the same page through the page table, and one that it cannot leads nowhere;
 * every object can be destroyed at the first attempt; every ID is free; nothing is
 * pinned, charged to the process or charged to the user; what worked at first
 * works again.
 */
#include <sys/syscall.h>

#include <linux/capability.h>
#include <linux/falloc.h>

#include "mock_utils.h"
#include "race.h"
#include "slow_memory.h"

#define NR_PAGES	16UL
#define LENGTH		(NR_PAGES * PAGE)
#define SLOT_PAGES	4UL
#define SLOW_PAGES	2UL

/* Windows, 1 MiB each. Three of the last two kinds, one for each thread. */
enum {
	W_BASE,		/* the whole buffer, always in both address spaces */
	W_SAME,		/* parts of the buffer, all threads in the same place */
	W_COPY,		/* copies of W_BASE */
	W_FILE,
	W_SHAKY,
	W_OWN = 8,
	W_KID = 12,
	W_SLOW = 16,
};

#define WINDOW(w)	(BASE + (w) * MiB)
#define AUTO_FIRST	(BASE + 64 * MiB)
#define AUTO_LENGTH	(32 * MiB)
#define RESERVED	(BASE + 128 * MiB)

struct ids {
	uint32_t ioas[2];
	uint32_t hwpt[2];
	struct stdev dev[3];	/* 0 and 1 are a group */
};

struct context {
	int fd;
	int access[2];		/* the first one pins */
	struct ids ids;
};

struct world {
	/* Descriptors and IDs stay the same, see close_everything(). */
	struct context ctx;
	atomic_uint loose_ioas, loose_hwpt, loose_dev;
	/* Of the device that attached last, which may have gone since. */
	atomic_uint auto_hwpt, last_idev;
	atomic_uint max_id;
	uint8_t *buf;
	uint8_t *shaky, *aside;
	int memfd;
	/* Another context, where nothing but the file is ever mapped. */
	int files;
	uint32_t files_ioas;
	bool charge_process;

	uint8_t *slow[RACE_THREADS];
	int uffd;
	pthread_t provider;
	int stop[2];		/* a pipe: closed, it ends the provider */
};

/*
 * Stamps
 */

static uint64_t stamp(unsigned long page, unsigned int word)
{
	return 0x5afe000000000000 | page << 16 | word;
}

static void stamp_all(uint8_t *buf, unsigned long nr_pages)
{
	unsigned long page;
	unsigned int i;

	for (page = 0; page < nr_pages; page++)
		for (i = 0; i < PAGE / 8; i++)
			((uint64_t *)(buf + page * PAGE))[i] = stamp(page, i);
}

/* Are these the bytes that belong at @offset of the buffer? */
static bool stamped(const uint8_t *data, unsigned long offset,
		    unsigned long length)
{
	unsigned long i;

	for (i = 0; i < length; i++, offset++) {
		uint64_t word = stamp(offset / PAGE, offset % PAGE / 8);

		if (data[i] != (uint8_t)(word >> offset % 8 * 8))
			return false;
	}
	return true;
}

/*
 * What is charged
 */

static long status_kb(const char *field)
{
	char line[128];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			kb = strtol(line + strlen(field), NULL, 10);
	if (f)
		fclose(f);
	return kb;
}

static void set_memlock(unsigned long bytes)
{
	struct rlimit limit = { bytes, bytes };

	setrlimit(RLIMIT_MEMLOCK, &limit);
}

/*
 * The kernel shows what is charged to a process, not what is charged to a user.
 * With a limit of four pages, four can be pinned and five cannot.
 */
static bool user_charge_is_zero(char *why, size_t size)
{
	static uint8_t *buf;
	uint32_t ioas, id;
	int fd, access, five, four;

	if (!buf)
		buf = pages_alloc(5 * PAGE);
	set_memlock(4 * PAGE);
	fd = iommufd_open();
	if (ioas_alloc(fd, &ioas) ||
	    ioas_map_fixed(fd, ioas, RW, buf, 5 * PAGE, BASE)) {
		snprintf(why, size, "no context to test the charge with");
		return false;
	}
	access = access_open(fd, ioas, MOCK_ACCESS_PINS);
	five = access_pin(fd, access, 0, BASE, 5 * PAGE, buf, &id);
	four = access_pin(fd, access, 0, BASE, 4 * PAGE, buf, &id);
	close(access);
	close(fd);
	set_memlock(1024 * MiB);
	snprintf(why, size,
		 "pinning 4 and 5 pages with a limit of 4 gives %d and %d: pages are charged to the user",
		 four, five);
	return !four && five == -ENOMEM;
}

/* In the process that waits, which has nothing itself. */
static bool nothing_is_left(char *why, size_t size)
{
	static long pins = -1;
	long now = pinned_now();

	if (pins < 0)
		pins = now;
	if (now != pins) {
		snprintf(why, size, "%ld pages stay pinned", now - pins);
		pins = now;
		return false;
	}
	return user_charge_is_zero(why, size);
}

/* The limit is to apply to us: it does not to who may lock anything. */
static int drop_ipc_lock(void)
{
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &header, data))
		return -errno;
	data[0].effective &= ~(1U << CAP_IPC_LOCK);
	data[0].permitted &= ~(1U << CAP_IPC_LOCK);
	data[0].inheritable &= ~(1U << CAP_IPC_LOCK);
	return syscall(SYS_capset, &header, data) ? -errno : 0;
}

/*
 * The world
 */

static void note_id(struct world *w, uint32_t id)
{
	unsigned int old = atomic_load(&w->max_id);

	while (old < id &&
	       !atomic_compare_exchange_weak(&w->max_id, &old, id))
		;
}

static void note_dev(struct world *w, const struct stdev *dev)
{
	note_id(w, dev->id);
	note_id(w, dev->idev);
	note_id(w, dev->hwpt);
	atomic_store(&w->auto_hwpt, dev->hwpt);
	atomic_store(&w->last_idev, dev->idev);
}

#define STEP(call)							\
do {									\
	int __rc = (call);						\
									\
	if (__rc < 0) {							\
		snprintf(why, size, "%s: %s", #call, strerror(-__rc));	\
		goto err;						\
	}								\
} while (0)

/* The two halves of where the kernel chooses. */
static int allow(int fd, uint32_t ioas, bool upper)
{
	struct iommu_iova_range range = {
		AUTO_FIRST + (upper ? AUTO_LENGTH / 2 : 0),
	};

	range.last = range.start + AUTO_LENGTH / 2 - 1;
	return ioas_allow(fd, ioas, &range, 1);
}

static int context_open(struct context *ctx, const struct world *w, char *why,
			size_t size)
{
	uint64_t mode = w->charge_process;
	struct ids *ids = &ctx->ids;
	unsigned int i;

	ctx->fd = -1;
	ctx->access[0] = -1;
	ctx->access[1] = -1;
	STEP(ctx->fd = iommufd_open());
	STEP(iommufd_option(ctx->fd, IOMMU_OPTION_RLIMIT_MODE,
			    IOMMU_OPTION_OP_SET, 0, &mode));
	for (i = 0; i < 2; i++) {
		STEP(ioas_alloc(ctx->fd, &ids->ioas[i]));
		STEP(allow(ctx->fd, ids->ioas[i], false));
	}
	STEP(ioas_map_fixed(ctx->fd, ids->ioas[0], RW, w->buf, LENGTH,
			    WINDOW(W_BASE)));
	STEP(ioas_copy_fixed(ctx->fd, RW, ids->ioas[1], WINDOW(W_BASE),
			     ids->ioas[0], WINDOW(W_BASE), LENGTH));
	STEP(stdev_add(ctx->fd, ids->ioas[0], &ids->dev[0]));
	STEP(stdev_join(ctx->fd, ids->ioas[0], &ids->dev[0], &ids->dev[1]));
	STEP(stdev_add(ctx->fd, ids->ioas[1], &ids->dev[2]));
	for (i = 0; i < 2; i++)
		STEP(hwpt_alloc(ctx->fd, ids->dev[0].idev, ids->ioas[i],
				&ids->hwpt[i]));
	for (i = 0; i < 2; i++)
		STEP(ctx->access[i] = access_open(ctx->fd, ids->ioas[i],
						  i ? 0 : MOCK_ACCESS_PINS));
	return 0;

err:
	close(ctx->access[1]);
	close(ctx->access[0]);
	close(ctx->fd);
	return -1;
}

/* Provides the slow memory, late. */
static void *provide(void *arg)
{
	struct world *w = arg;
	struct pollfd fds[2] = {
		{ .fd = w->uffd, .events = POLLIN },
		{ .fd = w->stop[0] },
	};
	unsigned int seed = 1;
	struct uffd_msg msg;

	while (poll(fds, 2, -1) >= 0 && !fds[1].revents) {
		struct uffdio_zeropage zero = { .range.len = PAGE };

		if (read(w->uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		usleep(rand_r(&seed) % 500);
		zero.range.start = msg.arg.pagefault.address & -PAGE;
		ioctl(w->uffd, UFFDIO_ZEROPAGE, &zero);
	}
	return NULL;
}

static int slow_start(struct world *w)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range.len = SLOW_PAGES * PAGE,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	unsigned int i;

	w->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (w->uffd < 0 || ioctl(w->uffd, UFFDIO_API, &api))
		return -errno;
	for (i = 0; i < RACE_THREADS; i++) {
		w->slow[i] = mmap(NULL, SLOW_PAGES * PAGE,
				  PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (w->slow[i] == MAP_FAILED)
			return -errno;
		madvise(w->slow[i], SLOW_PAGES * PAGE, MADV_NOHUGEPAGE);
		reg.range.start = (uintptr_t)w->slow[i];
		if (ioctl(w->uffd, UFFDIO_REGISTER, &reg))
			return -errno;
	}
	if (pipe2(w->stop, O_CLOEXEC))
		return -errno;
	return -pthread_create(&w->provider, NULL, provide, w);
}

static void slow_stop(struct world *w)
{
	unsigned int i;

	close(w->stop[1]);
	pthread_join(w->provider, NULL);
	close(w->stop[0]);
	close(w->uffd);
	for (i = 0; i < RACE_THREADS; i++)
		munmap(w->slow[i], SLOW_PAGES * PAGE);
}

static struct world *build(char *why, size_t size)
{
	static unsigned int nr_worlds;
	struct world *w = calloc(1, sizeof(*w));
	struct stdev dev;
	uint32_t id;

	w->charge_process = nr_worlds++ % 2;
	w->buf = pages_alloc(LENGTH);
	w->shaky = pages_alloc(LENGTH);
	w->aside = mmap(NULL, LENGTH, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			-1, 0);
	stamp_all(w->buf, NR_PAGES);
	STEP(w->memfd = memfd_create("races", MFD_CLOEXEC));
	STEP(ftruncate(w->memfd, LENGTH));
	STEP(slow_start(w));
	STEP(w->files = iommufd_open());
	STEP(ioas_alloc(w->files, &w->files_ioas));
	STEP(stdev_add(w->files, w->files_ioas, &dev));
	if (context_open(&w->ctx, w, why, size))
		goto err;
	STEP(ioas_alloc(w->ctx.fd, &id));
	atomic_store(&w->loose_ioas, id);
	STEP(hwpt_alloc(w->ctx.fd, w->ctx.ids.dev[0].idev, w->ctx.ids.ioas[0],
			&id));
	atomic_store(&w->loose_hwpt, id);
	STEP(stdev_add(w->ctx.fd, w->ctx.ids.ioas[1], &dev));
	atomic_store(&w->loose_dev, dev.id);
	note_dev(w, &dev);
	return w;

err:
	return NULL;	/* and the process ends */
}

/* Usable ranges rise, are apart and leave room for the windows. */
static bool ranges_are_sound(struct world *w, unsigned int which)
{
	struct iommu_iova_range ranges[16];
	uint32_t nr = 16, i;
	uint64_t align;

	if (ioas_iova_ranges(w->ctx.fd, w->ctx.ids.ioas[which], ranges, &nr,
			     &align))
		return false;
	if (!align || align & (align - 1) || align > PAGE)
		return false;
	for (i = 0; i < nr; i++) {
		if (ranges[i].start > ranges[i].last)
			return false;
		if (i && ranges[i].start <= ranges[i - 1].last)
			return false;
	}
	return nr && ranges[0].start <= BASE && ranges[0].last >= RESERVED;
}

/*
 * What an in-kernel user sees is what devices see, and the right memory. What
 * is not all there or all missing is looked at page by page.
 */
static bool pages_are_sound(struct world *w, unsigned int which, int access,
			    unsigned int window, unsigned long page,
			    unsigned long nr, char *why, size_t size)
{
	uint64_t iova = WINDOW(window) + page * PAGE;
	static uint8_t data[LENGTH];
	unsigned long i;
	int rc, seen;

	rc = access_rw(w->ctx.fd, access, 0, iova, data, nr * PAGE);
	seen = check_map(w->ctx.fd, w->ctx.ids.hwpt[which], iova, nr * PAGE,
			 w->buf + page * PAGE);
	if (!rc && !seen && !memcmp(data, w->buf + page * PAGE, nr * PAGE))
		return true;
	if (rc == -ENOENT && seen == -EIO && nr == 1)
		return true;
	if (rc != -ENOENT || seen != -EIO) {
		snprintf(why, size,
			 "IOAS %u window %u, %lu pages from %lu on: read gives %d, the table %d, first byte %02x",
			 which, window, nr, page, rc, seen, data[0]);
		return false;
	}
	for (i = 0; i < nr; i++)
		if (!pages_are_sound(w, which, access, window, page + i, 1, why,
				     size))
			return false;
	return true;
}

static bool mappings_are_sound(struct world *w, char *why, size_t size)
{
	unsigned int i, window;
	unsigned long page;
	int access;

	for (i = 0; i < 2; i++) {
		STEP(access = access_open(w->ctx.fd, w->ctx.ids.ioas[i], 0));
		for (window = W_BASE; window <= W_COPY; window++)
			for (page = 0; page < NR_PAGES; page += SLOT_PAGES)
				if (!pages_are_sound(w, i, access, window, page,
						     SLOT_PAGES, why, size))
					return false;
		close(access);
		if (!ranges_are_sound(w, i)) {
			snprintf(why, size, "IOVA ranges of IOAS %u", i);
			return false;
		}
	}
	return true;

err:
	return false;
}

/*
 * Of the world itself. (Its automatic tables are not: IDs as low as theirs are
 * given to others when the devices have moved.)
 */
static bool is_core(const struct ids *ids, uint32_t id)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		if (id == ids->ioas[i] || id == ids->hwpt[i])
			return true;
	for (i = 0; i < 3; i++)
		if (id == ids->dev[i].id || id == ids->dev[i].idev)
			return true;
	return false;
}

/* Destroy what was made on the way, in whatever order it takes. */
static bool destroy_loose(struct world *w, char *why, size_t size)
{
	uint32_t id, busy;
	bool progress;
	int rc;

	do {
		progress = false;
		busy = 0;
		for (id = 1; id <= w->max_id + 8; id++) {
			if (is_core(&w->ctx.ids, id))
				continue;
			rc = iommufd_destroy(w->ctx.fd, id);
			if (!rc)
				progress = true;
			else if (rc == -EBUSY)
				busy = id;
		}
	} while (busy && progress);
	if (busy)
		snprintf(why, size, "object %u can never be destroyed", busy);
	return !busy;
}

static bool nothing_is_pinned(struct world *w, char *why, size_t size)
{
	long vm_pin = status_kb("VmPin:"), vm_lck = status_kb("VmLck:");

	if (check_refs(w->ctx.fd, w->buf, LENGTH, 0)) {
		snprintf(why, size, "pages of the buffer are pinned");
		return false;
	}
	if (vm_pin || vm_lck) {
		snprintf(why, size, "VmPin %ld, VmLck %ld", vm_pin, vm_lck);
		return false;
	}
	return true;
}

/* One mapping in both tables, one pin, and no more of either afterwards. */
static bool works_again(struct world *w, char *why, size_t size)
{
	const struct ids *ids = &w->ctx.ids;
	int fd = w->ctx.fd;
	long vm_pin;

	STEP(ioas_map_fixed(fd, ids->ioas[0], RW, w->buf, LENGTH,
			    WINDOW(W_SAME)));
	STEP(ioas_copy_fixed(fd, RW, ids->ioas[1], WINDOW(W_COPY), ids->ioas[0],
			     WINDOW(W_SAME), LENGTH));
	STEP(check_map(fd, ids->hwpt[0], WINDOW(W_SAME), LENGTH, w->buf));
	STEP(check_map(fd, ids->hwpt[1], WINDOW(W_COPY), LENGTH, w->buf));
	STEP(check_refs(fd, w->buf, LENGTH, 1));
	vm_pin = status_kb("VmPin:");
	if (vm_pin != (long)LENGTH / 1024) {
		snprintf(why, size, "VmPin is %ld with %lu pages pinned",
			 vm_pin, NR_PAGES);
		return false;
	}
	STEP(ioas_unmap(fd, ids->ioas[0], WINDOW(W_SAME), LENGTH, NULL));
	STEP(ioas_unmap(fd, ids->ioas[1], WINDOW(W_COPY), LENGTH, NULL));
	return nothing_is_pinned(w, why, size);

err:
	return false;
}

/* Each object of the world goes at the first attempt, and its ID is free. */
static bool destroy_all(struct world *w, char *why, size_t size)
{
	const struct ids *ids = &w->ctx.ids;
	int fd = w->ctx.fd;
	uint32_t id, got = 0;
	unsigned int i;

	for (i = 0; i < 3; i++)
		STEP(iommufd_destroy(fd, ids->dev[i].id));
	for (i = 0; i < 2; i++)
		STEP(iommufd_destroy(fd, ids->hwpt[i]));
	for (i = 0; i < 2; i++)
		STEP(iommufd_destroy(fd, ids->ioas[i]));
	for (id = 1; id <= w->max_id; id++) {
		STEP(ioas_alloc(fd, &got));
		if (got != id) {
			snprintf(why, size, "ID %u is lost", id);
			return false;
		}
	}
	return true;

err:
	return false;
}

/* Charged to us it goes to the last page. */
static bool files_are_sound(struct world *w, char *why, size_t size)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };

	STEP(ioctl_rc(w->files, IOMMU_IOAS_CHANGE_PROCESS, &cmd));
	STEP(ioas_unmap_all(w->files, w->files_ioas, NULL));
	return true;

err:
	return false;
}

static bool is_in_order(struct world *w, char *why, size_t size)
{
	const struct ids *ids = &w->ctx.ids;
	int fd = w->ctx.fd;
	uint32_t pt;
	unsigned int i;

	STEP(memory_limit(fd, NO_LIMIT));
	if (!mappings_are_sound(w, why, size) || !files_are_sound(w, why, size))
		return false;
	close(w->ctx.access[0]);
	close(w->ctx.access[1]);
	pt = ids->hwpt[0];
	STEP(stdev_replace(fd, ids->dev[0].id, &pt));
	pt = ids->hwpt[1];
	STEP(stdev_replace(fd, ids->dev[2].id, &pt));
	if (!destroy_loose(w, why, size))
		return false;
	for (i = 0; i < 2; i++)
		STEP(ioas_unmap_all(fd, ids->ioas[i], NULL));
	if (!nothing_is_pinned(w, why, size) || !works_again(w, why, size) ||
	    !destroy_all(w, why, size))
		return false;
	return true;

err:
	return false;
}

static bool end(struct world *w, char *why, size_t size)
{
	bool ok = is_in_order(w, why, size);

	close(w->ctx.fd);
	close(w->files);
	slow_stop(w);
	close(w->memfd);
	munmap(w->aside, LENGTH);
	munmap(w->shaky, LENGTH);
	munmap(w->buf, LENGTH);
	if (ok && status_kb("VmPin:")) {
		snprintf(why, size, "VmPin %ld after the close",
			 status_kb("VmPin:"));
		ok = false;
	}
	free(w);
	return ok;
}

/*
 * Choosing
 */

static uint32_t some_ioas(struct world *w, struct race_actor *a)
{
	switch (rnd(a, 4)) {
	case 0:
		return w->ctx.ids.ioas[1];
	case 1:
		return atomic_load(&w->loose_ioas);
	default:
		return w->ctx.ids.ioas[0];
	}
}

/* What a device can be attached to. */
static uint32_t some_pt(struct world *w, struct race_actor *a)
{
	switch (rnd(a, 6)) {
	case 0:
		return w->ctx.ids.hwpt[0];
	case 1:
		return w->ctx.ids.hwpt[1];
	case 2:
		return atomic_load(&w->loose_hwpt);
	default:
		return some_ioas(w, a);
	}
}

static const struct stdev *some_dev(struct world *w, struct race_actor *a)
{
	return &w->ctx.ids.dev[rnd(a, 3)];
}

static uint32_t some_idev(struct world *w, struct race_actor *a)
{
	return rnd(a, 2) ? some_dev(w, a)->idev : atomic_load(&w->last_idev);
}

/* Attaching to whatever that ID is now, with whatever is mapped there. */
#define ATTACH_ERRORS	ENOENT, EINVAL, EADDRINUSE, EFAULT

/*
 * Mapping
 */

static void map_same(struct world *w, struct race_actor *a)
{
	unsigned long page = rnd(a, 4) * SLOT_PAGES, nr = 1 + rnd(a, SLOT_PAGES);
	uint64_t iova = WINDOW(W_SAME) + page * PAGE;
	uint32_t ioas = some_ioas(w, a);

	CALL(a, ioas_map_fixed(w->ctx.fd, ioas, RW, w->buf + page * PAGE,
			       nr * PAGE, iova), ENOENT, EEXIST);
	if (rnd(a, 2))
		CALL(a, ioas_unmap(w->ctx.fd, ioas, iova, SLOT_PAGES * PAGE,
				   NULL), ENOENT, EBUSY);
}

static void map_own(struct world *w, struct race_actor *a)
{
	unsigned long page = rnd(a, 8), nr = 1 + rnd(a, 8);
	uint64_t iova = WINDOW(W_OWN + a->nr) + rnd(a, 64) * PAGE;
	uint32_t ioas = w->ctx.ids.ioas[rnd(a, 2)];

	OWN_CALL(a, ioas_map_fixed(w->ctx.fd, ioas, RW, w->buf + page * PAGE,
				   nr * PAGE, iova));
	OWN_CALL(a, ioas_unmap(w->ctx.fd, ioas, iova, nr * PAGE, NULL), ENOENT,
		 EBUSY);
}

static void map_auto(struct world *w, struct race_actor *a)
{
	unsigned long page = rnd(a, 8), nr = 1 + rnd(a, 8);
	uint32_t ioas = w->ctx.ids.ioas[rnd(a, 2)];
	uint64_t iova = 0;
	int rc;

	rc = OWN_CALL(a, ioas_map(w->ctx.fd, ioas, RW, w->buf + page * PAGE,
				  nr * PAGE, &iova));
	if (rc)
		return;
	if (iova < AUTO_FIRST || iova >= AUTO_FIRST + AUTO_LENGTH)
		race_wrong(a->race->result, "map_auto: IOVA %lx is not allowed",
			   (unsigned long)iova);
	OWN_CALL(a, ioas_unmap(w->ctx.fd, ioas, iova, nr * PAGE, NULL), ENOENT,
		 EBUSY);
}

/* (A copy of what is being unmapped or filled finds nothing.) */
static void copy(struct world *w, struct race_actor *a)
{
	unsigned long page = rnd(a, NR_PAGES), nr = 1 + rnd(a, NR_PAGES - page);
	uint64_t from = WINDOW(rnd(a, 2) ? W_BASE : W_SAME) + page * PAGE;
	uint64_t iova = WINDOW(W_COPY) + page * PAGE;
	uint32_t src = some_ioas(w, a), dst = some_ioas(w, a);

	CALL(a, ioas_copy_fixed(w->ctx.fd, rnd(a, 2) ? RW : RD, dst, iova, src,
				from, nr * PAGE), ENOENT, EEXIST);
	if (rnd(a, 4))
		CALL(a, ioas_unmap(w->ctx.fd, dst, iova, nr * PAGE, NULL),
		     ENOENT, EBUSY);
}

static void copy_own(struct world *w, struct race_actor *a)
{
	unsigned long page = rnd(a, NR_PAGES), nr = 1 + rnd(a, NR_PAGES - page);
	uint64_t iova = WINDOW(W_OWN + a->nr) + (64 + rnd(a, 64)) * PAGE;
	uint32_t dst = w->ctx.ids.ioas[rnd(a, 2)];

	OWN_CALL(a, ioas_copy_fixed(w->ctx.fd, RW, dst, iova,
				    w->ctx.ids.ioas[rnd(a, 2)],
				    WINDOW(W_BASE) + page * PAGE, nr * PAGE),
		 ENOENT);
	OWN_CALL(a, ioas_unmap(w->ctx.fd, dst, iova, nr * PAGE, NULL), ENOENT,
		 EBUSY);
}

static int map_file(int fd, uint32_t ioas, int file, uint64_t start,
		    uint64_t length, uint64_t iova)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = RW | FIXED,
		.ioas_id = ioas,
		.fd = file,
		.start = start,
		.length = length,
		.iova = iova,
	};

	return ioctl_rc(fd, IOMMU_IOAS_MAP_FILE, &cmd);
}

static void map_a_file(struct world *w, struct race_actor *a)
{
	unsigned long page = rnd(a, 4) * SLOT_PAGES, nr = 1 + rnd(a, SLOT_PAGES);
	uint64_t iova = WINDOW(W_FILE) + page * PAGE;
	uint32_t ioas = some_ioas(w, a);
	int fd = w->ctx.fd;

	if (rnd(a, 2)) {
		fd = w->files;
		ioas = w->files_ioas;
	}
	CALL(a, map_file(fd, ioas, w->memfd, page * PAGE, nr * PAGE, iova),
	     ENOENT, EEXIST, EFAULT);
	if (rnd(a, 4))
		CALL(a, ioas_unmap(fd, ioas, iova, SLOT_PAGES * PAGE, NULL),
		     ENOENT, EBUSY);
}

static void map_shaky(struct world *w, struct race_actor *a)
{
	unsigned long page = rnd(a, 4) * SLOT_PAGES, nr = 1 + rnd(a, SLOT_PAGES);
	uint64_t iova = WINDOW(W_SHAKY) + page * PAGE;
	uint32_t ioas = some_ioas(w, a);

	CALL(a, ioas_map_fixed(w->ctx.fd, ioas, rnd(a, 2) ? RW : RD,
			       w->shaky + page * PAGE, nr * PAGE, iova),
	     ENOENT, EEXIST, EFAULT);
	if (rnd(a, 4))
		CALL(a, ioas_unmap(w->ctx.fd, ioas, iova, SLOT_PAGES * PAGE,
				   NULL), ENOENT, EBUSY);
}

/* Sleeps inside until provide() has had its way. */
static void map_slow(struct world *w, struct race_actor *a)
{
	uint32_t ioas = w->ctx.ids.ioas[rnd(a, 2)];
	uint64_t iova = WINDOW(W_SLOW + a->nr);

	OWN_CALL(a, ioas_map_fixed(w->ctx.fd, ioas, RW, w->slow[a->nr],
				   SLOW_PAGES * PAGE, iova));
	OWN_CALL(a, ioas_unmap(w->ctx.fd, ioas, iova, SLOW_PAGES * PAGE, NULL),
		 ENOENT, EBUSY);
	madvise(w->slow[a->nr], SLOW_PAGES * PAGE, MADV_DONTNEED);
}

static void unmap_same(struct world *w, struct race_actor *a)
{
	unsigned int window = rnd(a, 3);
	uint64_t iova = WINDOW(window == 0 ? W_SAME :
			       window == 1 ? W_COPY : W_SHAKY);
	unsigned long page = rnd(a, 4) * SLOT_PAGES;

	CALL(a, ioas_unmap(w->ctx.fd, some_ioas(w, a), iova + page * PAGE,
			   (1 + rnd(a, NR_PAGES - page)) * PAGE, NULL),
	     ENOENT, EBUSY);
}

/* Everything, and then the base again for the others. */
static void unmap_all(struct world *w, struct race_actor *a)
{
	uint32_t ioas = some_ioas(w, a);

	CALL(a, ioas_unmap_all(w->ctx.fd, ioas, NULL), ENOENT, EBUSY);
	CALL(a, ioas_map_fixed(w->ctx.fd, ioas, RW, w->buf, LENGTH,
			       WINDOW(W_BASE)), ENOENT, EEXIST);
}

/*
 * Address spaces
 */

static void alloc_ioas(struct world *w, struct race_actor *a)
{
	uint32_t id;

	if (OWN_CALL(a, ioas_alloc(w->ctx.fd, &id)))
		return;
	note_id(w, id);
	/* The ID may be one that others know from before. */
	CALL(a, iommufd_destroy(w->ctx.fd, id), ENOENT, EBUSY);
}

static void destroy_ioas(struct world *w, struct race_actor *a)
{
	uint32_t id = atomic_load(&w->loose_ioas);

	if (CALL(a, iommufd_destroy(w->ctx.fd, id), ENOENT, EBUSY) == -EBUSY)
		return;
	if (CALL(a, ioas_alloc(w->ctx.fd, &id)))
		return;
	note_id(w, id);
	atomic_store(&w->loose_ioas, id);
}

static void iova_ranges(struct world *w, struct race_actor *a)
{
	struct iommu_iova_range ranges[4];
	uint32_t nr = rnd(a, 5), room = nr, i;
	uint64_t align = 0;
	int rc;

	rc = CALL(a, ioas_iova_ranges(w->ctx.fd, some_ioas(w, a), ranges, &nr,
				      &align), ENOENT, EMSGSIZE);
	if (rc && rc != -EMSGSIZE)
		return;
	if (!align || align & (align - 1) || (!rc && nr > room))
		race_wrong(a->race->result, "iova_ranges: alignment %lx, %u of %u",
			   (unsigned long)align, nr, room);
	for (i = 0; i < nr && i < room; i++)
		if (ranges[i].start > ranges[i].last ||
		    (i && ranges[i].start <= ranges[i - 1].last))
			race_wrong(a->race->result, "iova_ranges: range %u", i);
}

static void allow_iovas(struct world *w, struct race_actor *a)
{
	CALL(a, allow(w->ctx.fd, w->ctx.ids.ioas[rnd(a, 2)], rnd(a, 2)));
	CALL(a, allow(w->ctx.fd, atomic_load(&w->loose_ioas), rnd(a, 2)),
	     ENOENT, EADDRINUSE);
}

static void reserve(struct world *w, struct race_actor *a)
{
	CALL(a, add_reserved(w->ctx.fd, atomic_load(&w->loose_ioas),
			     RESERVED + rnd(a, 8) * PAGE,
			     (1 + rnd(a, 8)) * PAGE), ENOENT, EADDRINUSE);
}

static void option_huge_pages(struct world *w, struct race_actor *a)
{
	uint64_t value = 0;

	CALL(a, iommufd_option(w->ctx.fd, IOMMU_OPTION_HUGE_PAGES,
			       IOMMU_OPTION_OP_GET, some_ioas(w, a), &value),
	     ENOENT);
	value = rnd(a, 2);
	CALL(a, iommufd_option(w->ctx.fd, IOMMU_OPTION_HUGE_PAGES,
			       IOMMU_OPTION_OP_SET, some_ioas(w, a), &value),
	     ENOENT, EINVAL, EADDRINUSE);
}

static void option_rlimit(struct world *w, struct race_actor *a)
{
	uint64_t value = rnd(a, 2);

	CALL(a, iommufd_option(w->ctx.fd, IOMMU_OPTION_RLIMIT_MODE,
			       IOMMU_OPTION_OP_SET, 0, &value), EBUSY);
	CALL(a, iommufd_option(w->ctx.fd, IOMMU_OPTION_RLIMIT_MODE,
			       IOMMU_OPTION_OP_GET, 0, &value));
	if (value != w->charge_process)
		race_wrong(a->race->result, "option_rlimit: the mode is %lu",
			   (unsigned long)value);
}

static void vfio_ioas(struct world *w, struct race_actor *a)
{
	uint32_t id = some_ioas(w, a);

	CALL(a, iommufd_vfio_ioas(w->ctx.fd, IOMMU_VFIO_IOAS_SET, &id), ENOENT);
	CALL(a, iommufd_vfio_ioas(w->ctx.fd, IOMMU_VFIO_IOAS_GET, &id), ENODEV);
	if (!rnd(a, 4))
		CALL(a, iommufd_vfio_ioas(w->ctx.fd, IOMMU_VFIO_IOAS_CLEAR,
					  &id));
}

/* Ioctls whose objects no hardware of 6.1 can serve. */
static void unsupported(struct world *w, struct race_actor *a)
{
	static const struct {
		unsigned long cmd;
		uint32_t size;
	} ops[] = {
		{ IOMMU_HWPT_SET_DIRTY_TRACKING,
		  sizeof(struct iommu_hwpt_set_dirty_tracking) },
		{ IOMMU_HWPT_GET_DIRTY_BITMAP,
		  sizeof(struct iommu_hwpt_get_dirty_bitmap) },
		{ IOMMU_HWPT_INVALIDATE, sizeof(struct iommu_hwpt_invalidate) },
		{ IOMMU_FAULT_QUEUE_ALLOC, sizeof(struct iommu_fault_alloc) },
		{ IOMMU_VIOMMU_ALLOC, sizeof(struct iommu_viommu_alloc) },
		{ IOMMU_VDEVICE_ALLOC, sizeof(struct iommu_vdevice_alloc) },
		{ IOMMU_VEVENTQ_ALLOC, sizeof(struct iommu_veventq_alloc) },
		{ IOMMU_HW_QUEUE_ALLOC, sizeof(struct iommu_hw_queue_alloc) },
	};
	unsigned int i = rnd(a, 2) ? rnd(a, sizeof(ops) / sizeof(ops[0])) : 0;
	uint32_t cmd[32] = { ops[i].size };

	/* Where the first one has the ID of a table. */
	cmd[2] = atomic_load(rnd(a, 2) ? &w->auto_hwpt : &w->loose_hwpt);
	CALL(a, ioctl_rc(w->ctx.fd, ops[i].cmd, cmd), EOPNOTSUPP, ENOENT,
	     EINVAL);
}

/*
 * Page tables and devices
 */

static void alloc_hwpt(struct world *w, struct race_actor *a)
{
	uint32_t id;

	if (CALL(a, hwpt_alloc(w->ctx.fd, some_idev(w, a), some_ioas(w, a),
			       &id),
		 ENOENT, EINVAL, EADDRINUSE, EFAULT))
		return;
	note_id(w, id);
	id = atomic_exchange(&w->loose_hwpt, id);
	CALL(a, iommufd_destroy(w->ctx.fd, id), ENOENT, EBUSY);
}

static void destroy_hwpt(struct world *w, struct race_actor *a)
{
	uint32_t id = atomic_load(&w->loose_hwpt);

	if (CALL(a, iommufd_destroy(w->ctx.fd, id), ENOENT, EBUSY) == -EBUSY)
		return;
	if (CALL(a, hwpt_alloc(w->ctx.fd, some_dev(w, a)->idev,
			       w->ctx.ids.ioas[rnd(a, 2)], &id)))
		return;
	note_id(w, id);
	atomic_store(&w->loose_hwpt, id);
}

static void get_hw_info(struct world *w, struct race_actor *a)
{
	uint64_t data;
	uint32_t length = sizeof(data), type;

	CALL(a, hw_info(w->ctx.fd, some_idev(w, a), &data, &length, &type),
	     ENOENT);
}

/* A device comes, attaches, and goes. */
static void come_and_go(struct world *w, struct race_actor *a)
{
	struct stdev dev;

	if (CALL(a, stdev_add(w->ctx.fd, some_pt(w, a), &dev), ATTACH_ERRORS))
		return;
	note_dev(w, &dev);
	CALL(a, iommufd_destroy(w->ctx.fd, dev.id), ENOENT, EBUSY);
}

/* One more in the group of the first two, where that is now. */
static void join_and_leave(struct world *w, struct race_actor *a)
{
	struct stdev dev;

	if (CALL(a, stdev_join(w->ctx.fd, some_pt(w, a), &w->ctx.ids.dev[0],
			       &dev), ATTACH_ERRORS))
		return;
	note_dev(w, &dev);
	CALL(a, iommufd_destroy(w->ctx.fd, dev.id), ENOENT, EBUSY);
}

static void destroy_dev(struct world *w, struct race_actor *a)
{
	uint32_t id = atomic_load(&w->loose_dev);
	struct stdev dev;

	if (CALL(a, iommufd_destroy(w->ctx.fd, id), ENOENT, EBUSY) == -EBUSY)
		return;
	if (CALL(a, stdev_add(w->ctx.fd, w->ctx.ids.ioas[rnd(a, 2)], &dev)))
		return;
	note_dev(w, &dev);
	atomic_store(&w->loose_dev, dev.id);
}

static void replace(struct world *w, struct race_actor *a)
{
	uint32_t pt = some_pt(w, a);
	uint32_t dev = rnd(a, 4) ? some_dev(w, a)->id :
				   atomic_load(&w->loose_dev);

	CALL(a, stdev_replace(w->ctx.fd, dev, &pt), ATTACH_ERRORS);
}

/* What it finds depends on the others; that it can be asked does not. */
static void look_into_table(struct world *w, struct race_actor *a)
{
	unsigned long page = rnd(a, NR_PAGES);

	CALL(a, check_map(w->ctx.fd, rnd(a, 2) ? w->ctx.ids.hwpt[rnd(a, 2)] :
			  atomic_load(&w->loose_hwpt),
			  WINDOW(rnd(a, 3)) + page * PAGE, PAGE,
			  w->buf + page * PAGE), ENOENT, EIO);
}

/*
 * In-kernel users
 */

static void open_access(struct world *w, struct race_actor *a)
{
	uint32_t id;
	int access;

	/* The loose ID may be of something else by now. */
	access = CALL(a, access_open(w->ctx.fd, some_ioas(w, a),
				     MOCK_ACCESS_PINS), ENOENT, EINVAL,
		      EADDRINUSE);
	if (access < 0)
		return;
	CALL(a, access_pin(w->ctx.fd, access, 0, WINDOW(W_BASE), 3 * PAGE,
			   w->buf, &id), ENOENT);
	CALL(a, close(access));
}

/* Another one takes the place of one that is in use, and so ends it. */
static void reopen_access(struct world *w, struct race_actor *a)
{
	unsigned int which = rnd(a, 2);
	int access;

	access = CALL(a, access_open(w->ctx.fd, w->ctx.ids.ioas[rnd(a, 2)],
				     which ? 0 : MOCK_ACCESS_PINS));
	if (access < 0)
		return;
	CALL(a, dup3(access, w->ctx.access[which], O_CLOEXEC));
	close(access);
}

static void pin(struct world *w, struct race_actor *a)
{
	unsigned long page = rnd(a, NR_PAGES), nr = 1 + rnd(a, NR_PAGES - page);
	uint64_t iova = WINDOW(rnd(a, 3)) + page * PAGE;
	uint32_t id;

	/* Never EIO: the pages are the right ones. EPERM: a copy to read. */
	if (CALL(a, access_pin(w->ctx.fd, w->ctx.access[0],
			       rnd(a, 2) ? MOCK_PAGES_WRITE : 0, iova,
			       nr * PAGE, w->buf + page * PAGE, &id),
		 ENOENT, EPERM))
		return;
	if (rnd(a, 4))
		CALL(a, access_unpin(w->ctx.fd, w->ctx.access[0], id), ENOENT);
}

static void unpin(struct world *w, struct race_actor *a)
{
	CALL(a, access_unpin(w->ctx.fd, w->ctx.access[0], 1 + rnd(a, 64)),
	     ENOENT);
}

static void pin_shaky(struct world *w, struct race_actor *a)
{
	uint64_t iova = WINDOW(W_SHAKY) + rnd(a, 16) * PAGE;
	uint32_t id;

	if (CALL(a, access_pin(w->ctx.fd, w->ctx.access[0],
			       MOCK_PAGES_UNVERIFIED, iova, PAGE, NULL, &id),
		 ENOENT, EPERM, EFAULT))
		return;
	CALL(a, access_unpin(w->ctx.fd, w->ctx.access[0], id), ENOENT);
}

static void read_or_write(struct world *w, struct race_actor *a, uint32_t flags)
{
	unsigned long offset = rnd(a, LENGTH - 600), length = 1 + rnd(a, 600);
	uint64_t iova = WINDOW(rnd(a, 3)) + offset;
	uint8_t data[600];

	if (flags & MOCK_RW_WRITE)
		memcpy(data, w->buf + offset, length);
	if (!rnd(a, 4))
		flags |= MOCK_RW_SLOW;
	if (CALL(a, access_rw(w->ctx.fd, w->ctx.access[rnd(a, 2)], flags, iova,
			      data, length), ENOENT, EPERM))
		return;
	if (!stamped(data, offset, length))
		race_wrong(a->race->result, "read: wrong data at IOVA %lx",
			   (unsigned long)iova);
}

static void read_iova(struct world *w, struct race_actor *a)
{
	read_or_write(w, a, 0);
}

/* (Writes what is there.) */
static void write_iova(struct world *w, struct race_actor *a)
{
	read_or_write(w, a, MOCK_RW_WRITE);
}

static void move_access(struct world *w, struct race_actor *a)
{
	CALL(a, access_replace(w->ctx.fd, w->ctx.access[rnd(a, 2)],
			       some_ioas(w, a)), ENOENT, EADDRINUSE);
}

static void limit_memory(struct world *w, struct race_actor *a)
{
	static const uint32_t limits[] = { 16, 32, 100, NO_LIMIT };

	CALL(a, memory_limit(w->ctx.fd, limits[rnd(a, 4)]));
}

static void count_pins(struct world *w, struct race_actor *a)
{
	CALL(a, check_refs(w->ctx.fd, w->buf, LENGTH, 1), EIO);
}

/*
 * Memory underneath
 */

static void unmap_memory(struct world *w, struct race_actor *a)
{
	uint8_t *p = w->shaky + rnd(a, 16) * PAGE;

	CALL(a, munmap(p, PAGE) ? -errno : 0);
	race_delay(a);
	CALL(a, mmap(p, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		     MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == MAP_FAILED ?
	     -errno : 0, EEXIST);
	madvise(p, PAGE, MADV_POPULATE_WRITE);
}

/* Something else appears at the address, and goes. */
static void replace_memory(struct world *w, struct race_actor *a)
{
	uint8_t *p = w->shaky + rnd(a, 16) * PAGE;
	bool file = rnd(a, 2);

	CALL(a, mmap(p, PAGE, PROT_READ | PROT_WRITE,
		     file ? MAP_SHARED | MAP_FIXED :
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		     file ? w->memfd : -1, 0) == MAP_FAILED ? -errno : 0);
}

/* The pages go elsewhere, and untouched memory takes their place. */
static void move_memory(struct world *w, struct race_actor *a)
{
	unsigned long offset = rnd(a, 12) * PAGE;

	CALL(a, mremap(w->shaky + offset, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE |
		       MREMAP_FIXED | MREMAP_DONTUNMAP, w->aside + offset) ==
	     MAP_FAILED ? -errno : 0, EFAULT, EINVAL, ENOMEM);
}

static void discard_memory(struct world *w, struct race_actor *a)
{
	CALL(a, madvise(w->shaky + rnd(a, 12) * PAGE, 4 * PAGE, MADV_DONTNEED) ?
	     -errno : 0, ENOMEM, EINVAL);
}

static void protect_memory(struct world *w, struct race_actor *a)
{
	uint8_t *p = w->shaky + rnd(a, 12) * PAGE;

	CALL(a, mprotect(p, 4 * PAGE, rnd(a, 2) ? PROT_READ : PROT_NONE) ?
	     -errno : 0, ENOMEM);
	race_delay(a);
	mprotect(p, 4 * PAGE, PROT_READ | PROT_WRITE);
}

static void cut_file(struct world *w, struct race_actor *a)
{
	if (rnd(a, 2)) {
		CALL(a, ftruncate(w->memfd, rnd(a, 4) * PAGE) ? -errno : 0);
		ftruncate(w->memfd, LENGTH);
	} else {
		CALL(a, fallocate(w->memfd, FALLOC_FL_PUNCH_HOLE |
				  FALLOC_FL_KEEP_SIZE, rnd(a, 16) * PAGE,
				  4 * PAGE) ? -errno : 0);
	}
}

/*
 * Processes. A child has an address space of its own and the same descriptors.
 * It does nothing but ioctls: its threads are gone, whatever locks they had.
 */

/* The errno that the child has for an exit status, negative. */
static int wait_for(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : 0;
}

static void unmap_kid(struct world *w, struct race_actor *a)
{
	CALL(a, ioas_unmap(w->ctx.fd, w->ctx.ids.ioas[0],
			   WINDOW(W_KID + a->nr), MiB, NULL), ENOENT, EBUSY);
}

static int kid_map(struct world *w, struct race_actor *a)
{
	return ioas_map_fixed(w->ctx.fd, w->ctx.ids.ioas[0], RW, w->buf,
			      4 * PAGE, WINDOW(W_KID + a->nr));
}

static pid_t fork_and_exit(struct world *w)
{
	pid_t pid = fork();

	if (!pid) {
		volatile uint8_t *p = w->buf + PAGE;

		*p = *p;	/* breaks the sharing */
		_exit(0);
	}
	return pid;
}

static void fork_exit(struct world *w, struct race_actor *a)
{
	CALL(a, wait_for(fork_and_exit(w)));
}

/* What it has mapped outlives it. */
static void kid_dies(struct world *w, struct race_actor *a)
{
	pid_t pid;

	pid = CALL(a, fork());
	if (!pid)
		_exit(-kid_map(w, a));
	CALL(a, wait_for(pid), EEXIST);
	unmap_kid(w, a);
}

/* Killed in the middle of whatever it does. */
static void kid_is_killed(struct world *w, struct race_actor *a)
{
	pid_t pid;

	pid = CALL(a, fork());
	while (!pid) {
		uint32_t pt = some_pt(w, a);

		kid_map(w, a);
		stdev_replace(w->ctx.fd, w->ctx.ids.dev[2].id, &pt);
		ioas_unmap(w->ctx.fd, w->ctx.ids.ioas[0],
			   WINDOW(W_KID + a->nr), MiB, NULL);
	}
	usleep(rnd(a, 3000));
	kill(pid, SIGKILL);
	CALL(a, wait_for(pid));
	unmap_kid(w, a);
}

static int take_over(int fd)
{
	struct iommu_ioas_change_process cmd = { .size = sizeof(cmd) };

	return ioctl_rc(fd, IOMMU_IOAS_CHANGE_PROCESS, &cmd);
}

/* What is pinned of the file is charged to the child, and back to us. */
static void change_process(struct world *w, struct race_actor *a)
{
	pid_t pid;

	CALL(a, take_over(w->ctx.fd), EINVAL);
	pid = CALL(a, fork());
	if (!pid)
		_exit(-take_over(w->files));
	CALL(a, take_over(w->files));
	CALL(a, wait_for(pid));
	CALL(a, take_over(w->files));
}

/* Maps, and unmaps when it has become another program. See run_as(). */
static void kid_execs(struct world *w, struct race_actor *a)
{
	char fd[16], ioas[16], iova[32];
	pid_t pid;

	snprintf(fd, sizeof(fd), "%d", w->ctx.fd);
	snprintf(ioas, sizeof(ioas), "%u", w->ctx.ids.ioas[0]);
	snprintf(iova, sizeof(iova), "%lu", WINDOW(W_KID + a->nr));
	pid = CALL(a, fork());
	if (!pid) {
		int rc = kid_map(w, a);

		fcntl(w->ctx.fd, F_SETFD, 0);
		if (!rc)
			execl("/proc/self/exe", "races", "--unmap", fd, ioas,
			      iova, NULL);
		_exit(rc ? -rc : errno);
	}
	CALL(a, wait_for(pid), EEXIST, ENOENT, EBUSY);
	unmap_kid(w, a);
}

static void fork_exec(struct world *w, struct race_actor *a)
{
	pid_t pid = CALL(a, fork());

	if (!pid) {
		execl("/proc/self/exe", "races", "--nothing", NULL);
		_exit(errno);
	}
	CALL(a, wait_for(pid));
}

/*
 * Descriptors
 */

static int read_all(const char *path)
{
	char buf[1024];
	int fd, rc;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do
		rc = read(fd, buf, sizeof(buf));
	while (rc > 0);
	if (rc < 0)
		rc = -errno;
	close(fd);
	return rc;
}

static void read_fdinfo(struct world *w, struct race_actor *a)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d",
		 rnd(a, 4) ? w->ctx.fd : w->ctx.access[0]);
	CALL(a, read_all(path));
}

static void dup_and_close(struct world *w, struct race_actor *a)
{
	int fd = CALL(a, fcntl(w->ctx.fd, F_DUPFD_CLOEXEC, 0));

	CALL(a, close(fd));
}

/*
 * The last close, with everybody inside: another context, made alike so that
 * the IDs are the same, takes the place.
 */
static void close_everything(struct world *w, struct race_actor *a)
{
	struct context ctx;
	unsigned int i;
	char why[256];

	if (context_open(&ctx, w, why, sizeof(why))) {
		race_wrong(a->race->result, "close_everything: %s", why);
		return;
	}
	if (memcmp(&ctx.ids, &w->ctx.ids, sizeof(ctx.ids)))
		race_wrong(a->race->result, "close_everything: other IDs");
	CALL(a, dup3(ctx.fd, w->ctx.fd, O_CLOEXEC));
	for (i = 0; i < 2; i++) {
		CALL(a, dup3(ctx.access[i], w->ctx.access[i], O_CLOEXEC));
		close(ctx.access[i]);
	}
	close(ctx.fd);
}

#define ACTION(fn)	{ #fn, fn, false }
#define DISTURBING(fn)	{ #fn, fn, true }

static const struct race_action actions[] = {
	ACTION(map_same),
	ACTION(map_own),
	ACTION(map_auto),
	ACTION(map_a_file),
	ACTION(map_shaky),
	ACTION(map_slow),
	ACTION(copy),
	ACTION(copy_own),
	ACTION(unmap_same),
	DISTURBING(unmap_all),
	ACTION(alloc_ioas),
	ACTION(destroy_ioas),
	ACTION(iova_ranges),
	ACTION(allow_iovas),
	ACTION(reserve),
	ACTION(option_huge_pages),
	ACTION(option_rlimit),
	ACTION(vfio_ioas),
	ACTION(change_process),
	ACTION(unsupported),
	ACTION(alloc_hwpt),
	ACTION(destroy_hwpt),
	ACTION(get_hw_info),
	ACTION(come_and_go),
	ACTION(join_and_leave),
	ACTION(destroy_dev),
	ACTION(replace),
	ACTION(look_into_table),
	ACTION(open_access),
	ACTION(reopen_access),
	ACTION(pin),
	ACTION(unpin),
	ACTION(pin_shaky),
	ACTION(read_iova),
	ACTION(write_iova),
	ACTION(move_access),
	ACTION(limit_memory),
	ACTION(count_pins),
	ACTION(unmap_memory),
	ACTION(replace_memory),
	ACTION(move_memory),
	ACTION(discard_memory),
	ACTION(protect_memory),
	ACTION(cut_file),
	ACTION(fork_exit),
	ACTION(fork_exec),
	ACTION(kid_dies),
	ACTION(kid_is_killed),
	ACTION(kid_execs),
	ACTION(read_fdinfo),
	ACTION(dup_and_close),
	DISTURBING(close_everything),
};

static const struct race_ops ops = {
	.actions = actions,
	.nr_actions = sizeof(actions) / sizeof(actions[0]),
	.build = build,
	.end = end,
	.after = nothing_is_left,
};

/* The other program, before anything else of this one has begun. */
static void __attribute__((constructor(101))) run_as(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--nothing"))
		_exit(0);
	if (argc == 5 && !strcmp(argv[1], "--unmap"))
		_exit(-ioas_unmap(atoi(argv[2]), atoi(argv[3]),
				  strtoul(argv[4], NULL, 10), MiB, NULL));
}

int main(void)
{
	unsigned int failed;
	char why[400];
	bool ok;

	setvbuf(stdout, NULL, _IOLBF, 0);
	set_memlock(1024 * MiB);
	if (drop_ipc_lock()) {
		printf("Bail out! cannot give up CAP_IPC_LOCK\n");
		return 1;
	}
	printf("TAP version 13\n1..%u\n", race_nr_pairs(&ops) + 1);
	ok = nothing_is_left(why, sizeof(why));
	if (!ok)
		printf("# %s\n", why);
	printf("%s 1 - nothing is pinned or charged before\n", ok ? "ok" : "not ok");
	failed = race_all(&ops, 2);
	return ok && !failed ? 0 : 1;
}
