// SPDX-License-Identifier: GPL-2.0
/*
 * A real device against everything that can happen below it, in pairs: bind,
 * attach, detach, reset and close of the device file against maps, page tables
 * and the close of the iommufd. race.h tells how a pair is run; iommufd_races.c
 * does the same, and more, with fake devices.
 *
 * The world: an edu device that is bound and attached, two address spaces with
 * the same buffer, and a loose address space and page table that come and go.
 * Both descriptors may be replaced by others at any time. Where a device file is
 * not bound (yet), everything is EINVAL; in an iommufd that the device is not
 * bound to, its ID is ENOENT.
 *
 * In the quiet: the device can be opened, bound and attached, mappings pin and
 * charge what they should and no more, everything can be destroyed and every ID
 * is free.
 */
#include "vfio_utils.h"
#include "race.h"

#define NR_PAGES	16UL
#define LENGTH		(NR_PAGES * PAGE)
#define SLOT_PAGES	4UL
#define BASE		(16 * MiB)
#define EDU_ID		0x010000edU

enum {
	W_BASE,		/* all of the buffer in both address spaces */
	W_SAME,
	W_COPY,
	W_OWN,
};

#define WINDOW(w)	(BASE + (w) * MiB)

struct world {
	int dev, iommufd;
	uint32_t devid, ioas[2];
	atomic_uint loose_ioas, loose_hwpt, max_id;
	uint8_t *buf;
};

static char path[64];		/* of the device file */

static int dev_open(void)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

static long vm_pin_kb(void)
{
	char line[128];
	long kb = -1;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		sscanf(line, "VmPin: %ld", &kb);
	if (f)
		fclose(f);
	return kb;
}

static void note_id(struct world *w, uint32_t id)
{
	unsigned int old = atomic_load(&w->max_id);

	while (old < id &&
	       !atomic_compare_exchange_weak(&w->max_id, &old, id))
		;
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

/* A context with the two address spaces, which are IDs 1 and 2. */
static int context_open(const struct world *w, uint32_t *ioas, char *why,
			size_t size)
{
	int fd;

	STEP(fd = iommufd_open());
	STEP(ioas_alloc(fd, &ioas[0]));
	STEP(ioas_alloc(fd, &ioas[1]));
	STEP(ioas_map_fixed(fd, ioas[0], RW, w->buf, LENGTH, WINDOW(W_BASE)));
	STEP(ioas_copy_fixed(fd, RW, ioas[1], WINDOW(W_BASE), ioas[0],
			     WINDOW(W_BASE), LENGTH));
	return fd;

err:
	return -1;
}

static struct world *build(char *why, size_t size)
{
	struct world *w = calloc(1, sizeof(*w));
	uint32_t id;

	w->buf = pages_alloc(LENGTH);
	w->iommufd = context_open(w, w->ioas, why, size);
	if (w->iommufd < 0)
		goto err;
	STEP(w->dev = dev_open());
	STEP(vfio_bind(w->dev, w->iommufd, &w->devid));
	STEP(vfio_attach(w->dev, w->ioas[0], NULL));
	STEP(ioas_alloc(w->iommufd, &id));
	atomic_store(&w->loose_ioas, id);
	STEP(hwpt_alloc(w->iommufd, w->devid, w->ioas[0], &id));
	atomic_store(&w->loose_hwpt, id);
	note_id(w, id);
	return w;

err:
	return NULL;
}

/* No device is bound. */
static bool destroy_all(struct world *w, char *why, size_t size)
{
	uint32_t id, got = 0;
	bool progress;

	do {
		progress = false;
		for (id = 1; id <= w->max_id + 8; id++)
			progress |= !iommufd_destroy(w->iommufd, id);
	} while (progress);
	for (id = 1; id <= w->max_id; id++) {
		STEP(ioas_alloc(w->iommufd, &got));
		if (got != id) {
			snprintf(why, size, "ID %u is lost or in use", id);
			return false;
		}
	}
	return true;

err:
	return false;
}

static bool pins_are(long nr_pages, char *why, size_t size)
{
	long kb = vm_pin_kb();

	if (kb == nr_pages * 4)
		return true;
	snprintf(why, size, "VmPin is %ld, with %ld pages pinned", kb,
		 nr_pages);
	return false;
}

static bool is_in_order(struct world *w, char *why, size_t size)
{
	int fd = w->iommufd;

	close(w->dev);
	STEP(w->dev = dev_open());
	STEP(vfio_bind(w->dev, fd, &w->devid));
	note_id(w, w->devid);
	STEP(vfio_attach(w->dev, w->ioas[0], NULL));
	STEP(ioas_unmap_all(fd, w->ioas[0], NULL));
	STEP(ioas_unmap_all(fd, w->ioas[1], NULL));
	STEP(ioas_map_fixed(fd, w->ioas[0], RW, w->buf, LENGTH, BASE));
	STEP(ioas_copy_fixed(fd, RW, w->ioas[1], BASE, w->ioas[0], BASE,
			     LENGTH));
	STEP(vfio_attach(w->dev, w->ioas[1], NULL));
	STEP(vfio_detach(w->dev));
	close(w->dev);
	return destroy_all(w, why, size) && pins_are(0, why, size);

err:
	return false;
}

static bool end(struct world *w, char *why, size_t size)
{
	bool ok = is_in_order(w, why, size);

	close(w->iommufd);
	munmap(w->buf, LENGTH);
	free(w);
	return ok && pins_are(0, why, size);
}

static bool nothing_is_left(char *why, size_t size)
{
	static long pins = -1;
	long now = pinned_now(), leaked;

	if (pins < 0)
		pins = now;
	leaked = now - pins;
	pins = now;
	if (leaked)
		snprintf(why, size, "%ld pages stay pinned", leaked);
	return !leaked;
}

/*
 * Actions
 */

static uint32_t some_ioas(struct world *w, struct race_actor *a)
{
	switch (rnd(a, 4)) {
	case 0:
		return w->ioas[1];
	case 1:
		return atomic_load(&w->loose_ioas);
	default:
		return w->ioas[0];
	}
}

static uint32_t some_pt(struct world *w, struct race_actor *a)
{
	return rnd(a, 4) ? some_ioas(w, a) : atomic_load(&w->loose_hwpt);
}

static void map_same(struct world *w, struct race_actor *a)
{
	unsigned long page = rnd(a, 4) * SLOT_PAGES, nr = 1 + rnd(a, SLOT_PAGES);
	uint64_t iova = WINDOW(W_SAME) + page * PAGE;
	uint32_t ioas = some_ioas(w, a);

	CALL(a, ioas_map_fixed(w->iommufd, ioas, RW, w->buf + page * PAGE,
			       nr * PAGE, iova), ENOENT, EEXIST);
	if (rnd(a, 2))
		CALL(a, ioas_unmap(w->iommufd, ioas, iova, SLOT_PAGES * PAGE,
				   NULL), ENOENT, EBUSY);
}

static void map_own(struct world *w, struct race_actor *a)
{
	unsigned long page = rnd(a, 8), nr = 1 + rnd(a, 8);
	uint64_t iova = WINDOW(W_OWN + a->nr) + rnd(a, 64) * PAGE;
	uint32_t ioas = w->ioas[rnd(a, 2)];

	OWN_CALL(a, ioas_map_fixed(w->iommufd, ioas, RW, w->buf + page * PAGE,
				   nr * PAGE, iova));
	OWN_CALL(a, ioas_unmap(w->iommufd, ioas, iova, nr * PAGE, NULL),
		 ENOENT, EBUSY);
}

static void copy(struct world *w, struct race_actor *a)
{
	unsigned long page = rnd(a, NR_PAGES), nr = 1 + rnd(a, NR_PAGES - page);
	uint64_t from = WINDOW(rnd(a, 2) ? W_BASE : W_SAME) + page * PAGE;
	uint64_t iova = WINDOW(W_COPY) + page * PAGE;
	uint32_t src = some_ioas(w, a), dst = some_ioas(w, a);

	CALL(a, ioas_copy_fixed(w->iommufd, RW, dst, iova, src, from,
				nr * PAGE), ENOENT, EEXIST);
	if (rnd(a, 4))
		CALL(a, ioas_unmap(w->iommufd, dst, iova, nr * PAGE, NULL),
		     ENOENT, EBUSY);
}

static void unmap_same(struct world *w, struct race_actor *a)
{
	unsigned long page = rnd(a, 4) * SLOT_PAGES;

	CALL(a, ioas_unmap(w->iommufd, some_ioas(w, a),
			   WINDOW(rnd(a, 2) ? W_SAME : W_COPY) + page * PAGE,
			   (1 + rnd(a, NR_PAGES - page)) * PAGE, NULL),
	     ENOENT, EBUSY);
}

static void unmap_all(struct world *w, struct race_actor *a)
{
	uint32_t ioas = some_ioas(w, a);

	CALL(a, ioas_unmap_all(w->iommufd, ioas, NULL), ENOENT, EBUSY);
	CALL(a, ioas_map_fixed(w->iommufd, ioas, RW, w->buf, LENGTH,
			       WINDOW(W_BASE)), ENOENT, EEXIST);
}

static void destroy_ioas(struct world *w, struct race_actor *a)
{
	uint32_t id = atomic_load(&w->loose_ioas);

	if (CALL(a, iommufd_destroy(w->iommufd, id), ENOENT, EBUSY) == -EBUSY)
		return;
	if (CALL(a, ioas_alloc(w->iommufd, &id)))
		return;
	note_id(w, id);
	atomic_store(&w->loose_ioas, id);
}

static void alloc_hwpt(struct world *w, struct race_actor *a)
{
	uint32_t id;

	if (CALL(a, hwpt_alloc(w->iommufd, w->devid, some_ioas(w, a), &id),
		 ENOENT, EINVAL))
		return;
	note_id(w, id);
	id = atomic_exchange(&w->loose_hwpt, id);
	/* It may be a device's ID now, or that of somebody's table. */
	CALL(a, iommufd_destroy(w->iommufd, id), ENOENT, EBUSY);
}

static void ask_hw_info(struct world *w, struct race_actor *a)
{
	struct iommu_hw_info_vtd data;
	struct iommu_hw_info cmd = {
		.size = sizeof(cmd),
		.dev_id = w->devid,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
	};

	CALL(a, ioctl_rc(w->iommufd, IOMMU_GET_HW_INFO, &cmd), ENOENT);
}

static void iova_ranges(struct world *w, struct race_actor *a)
{
	struct iommu_iova_range ranges[8];
	uint32_t nr = 8;

	CALL(a, ioas_iova_ranges(w->iommufd, some_ioas(w, a), ranges, &nr,
				 NULL), ENOENT);
}

/* Attaches, or moves. Where it says it is, others may have moved it from. */
static void attach(struct world *w, struct race_actor *a)
{
	uint32_t hwpt;

	if (!CALL(a, vfio_attach(w->dev, some_pt(w, a), &hwpt), ENOENT, EINVAL,
		  EADDRINUSE))
		note_id(w, hwpt);
}

static void detach(struct world *w, struct race_actor *a)
{
	CALL(a, vfio_detach(w->dev), EINVAL);
	CALL(a, vfio_attach(w->dev, w->ioas[rnd(a, 2)], NULL), EINVAL, ENOENT);
}

/* Another file cannot have the device. But for a moment it may. */
static void bind_second(struct world *w, struct race_actor *a)
{
	int fd = CALL(a, dev_open());
	uint32_t id;

	if (!CALL(a, vfio_bind(fd, w->iommufd, &id), EBUSY))
		note_id(w, id);
	CALL(a, close(fd));
}

/* The device file is closed, with everybody inside, and another one is bound. */
static void reopen(struct world *w, struct race_actor *a)
{
	int fd = CALL(a, dev_open());
	uint32_t id;

	CALL(a, dup3(fd, w->dev, O_CLOEXEC));
	close(fd);
	/* EBUSY: the old one is still in use. EINVAL: others have bound it. */
	if (CALL(a, vfio_bind(w->dev, w->iommufd, &id), EBUSY, EINVAL))
		return;
	note_id(w, id);
	w->devid = id;
	CALL(a, vfio_attach(w->dev, w->ioas[0], NULL), EINVAL, ENOENT);
}

static void get_info(struct world *w, struct race_actor *a)
{
	CALL(a, vfio_get_info(w->dev), EINVAL);
}

static int read_id(int dev)
{
	struct vfio_region_info info;
	uint32_t value = 0;
	int rc;

	rc = vfio_region_info(dev, VFIO_PCI_BAR0_REGION_INDEX, &info);
	if (rc)
		return rc;
	if (pread(dev, &value, 4, info.offset) != 4)
		return -errno;
	/* All ones while it is being reset. */
	return value == EDU_ID || value == UINT32_MAX ? 0 : -EBADMSG;
}

/*
 * EIO: memory is disabled, as it is during a reset. EBUSY: of two first users of
 * a BAR, by read or by mmap, the stock driver claims it for one.
 */
static void read_register(struct world *w, struct race_actor *a)
{
	CALL(a, read_id(w->dev), EINVAL, EIO, EBUSY);
}

static void map_register(struct world *w, struct race_actor *a)
{
	void *p;

	CALL(a, (p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, w->dev, 0)) ==
	     MAP_FAILED ? -errno : 0, EINVAL, EBUSY);
	if (p != MAP_FAILED)
		CALL(a, munmap(p, PAGE));
}

static void reset(struct world *w, struct race_actor *a)
{
	CALL(a, ioctl_rc(w->dev, VFIO_DEVICE_RESET, NULL), EINVAL, EAGAIN);
}

static void fork_exit(struct world *w, struct race_actor *a)
{
	pid_t pid = CALL(a, fork());

	if (!pid) {
		volatile uint8_t *p = w->buf;

		*p = *p;
		_exit(0);
	}
	CALL(a, waitpid(pid, NULL, 0) == pid ? 0 : -errno);
}

/* Another context, made alike. The device's lives on until that is closed. */
static void close_iommufd(struct world *w, struct race_actor *a)
{
	uint32_t ioas[2];
	char why[256];
	int fd;

	fd = context_open(w, ioas, why, sizeof(why));
	if (fd < 0 || ioas[0] != w->ioas[0] || ioas[1] != w->ioas[1]) {
		race_wrong(a->race->result, "close_iommufd: %s", why);
		return;
	}
	CALL(a, dup3(fd, w->iommufd, O_CLOEXEC));
	close(fd);
}

#define ACTION(fn)	{ #fn, fn, false }
#define DISTURBING(fn)	{ #fn, fn, true }

static const struct race_action actions[] = {
	ACTION(map_same),
	ACTION(map_own),
	ACTION(copy),
	ACTION(unmap_same),
	DISTURBING(unmap_all),
	ACTION(destroy_ioas),
	ACTION(alloc_hwpt),
	ACTION(ask_hw_info),
	ACTION(iova_ranges),
	ACTION(attach),
	ACTION(detach),
	ACTION(bind_second),
	ACTION(reopen),
	ACTION(get_info),
	ACTION(read_register),
	ACTION(map_register),
	ACTION(reset),
	ACTION(fork_exit),
	DISTURBING(close_iommufd),
};

static const struct race_ops ops = {
	.actions = actions,
	.nr_actions = sizeof(actions) / sizeof(actions[0]),
	.build = build,
	.end = end,
	.after = nothing_is_left,
};

int main(void)
{
	char why[400];

	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("TAP version 13\n1..%u\n", race_nr_pairs(&ops));
	if (edu_path(0, path)) {
		printf("Bail out! no edu device\n");
		return 1;
	}
	nothing_is_left(why, sizeof(why));
	return race_all(&ops, 1) ? 1 : 0;
}
