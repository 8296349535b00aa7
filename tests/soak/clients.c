// SPDX-License-Identifier: GPL-2.0
/*
 * Those that are killed. Each is a process of an ordinary user that opens the device of
 * its slot by one of the ways, maps memory of one of the kinds, and has the device move
 * bytes whose arrival it looks at, until it is killed.
 *
 * Between transfers it maps and unmaps, replaces the IOAS, splits the huge pages
 * that are mapped, resets. What fails is a failure unless somebody else took the device
 * away meanwhile (slot->disturbed).
 */
#include <grp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "nvme.h"
#include "soak.h"

#define X	0x10000000UL	/* IOVA of the window */
#define EXTRA	0x40000000UL	/* of what comes and goes */

const uint8_t soak_token[16] = "\x50\x4f\x41\x4b\x9a\xbc\x4d\xef"
			       "\x80\x01\x02\x03\x04\x05\x06\x07";

struct use {
	struct slot *slot;
	struct chance *chance;
	unsigned int disturbed;		/* at the beginning */
	enum way way;
	int context, group, dev;
	uint32_t ioas;
	char *window;			/* mapped at X */
	size_t size;
	int file;			/* behind it, or -1 */
	bool by_file;			/* mapped by MAP_FILE */
	unsigned int left;		/* mappings left for the end */
};

/* ---- ends ---- */

static void __attribute__((noreturn)) leave(struct use *use)
{
	atomic_fetch_add(&use->slot->gone, 1);
	_exit(0);
}

/* A step that failed. Whose fault is it? */
static void __attribute__((noreturn)) failed(struct use *use, int rc, const char *what)
{
	struct slot *slot = use->slot;

	if (rc == -ENOMEM) {
		atomic_fetch_add(&slot->without_memory, 1);
		_exit(0);
	}
	if (use->disturbed % 2 || slot->disturbed != use->disturbed)
		leave(use);
	report("%s %s, way %d, client %u: %s: %s", kind_names[slot->kind],
	       slot->name, use->way, slot->serial, what,
	       rc ? strerror(-rc) : "wrong data");
	_exit(1);
}

static void must(struct use *use, int rc, const char *what)
{
	if (rc < 0)
		failed(use, rc, what);
}

/* ---- opening ---- */

/* The node of a slot's device or group, once it is there. */
int slot_path(const struct slot *slot, bool group, char path[static 64])
{
	char device[128], dir[160];
	struct dirent *entry;
	int rc = -ENODEV;
	DIR *d;

	snprintf(device, sizeof(device), "%s/%s",
		 slot->kind == VCOPY ? MDEV_DEVICES : "/sys/bus/pci/devices",
		 slot->name);
	if (group)
		return group_path_of(device, "", path);
	if (slot->kind != VCOPY)
		return vfio_cdev_path(slot->name, path);
	snprintf(dir, sizeof(dir), "%s/vfio-dev", device);
	d = opendir(dir);
	if (!d)
		return -errno;
	while (rc && (entry = readdir(d)))
		if (!strncmp(entry->d_name, "vfio", 4)) {
			snprintf(path, 64, "/dev/vfio/devices/%.40s", entry->d_name);
			rc = 0;
		}
	closedir(d);
	return rc;
}

/* What root does for the user: the driver, and a node that he may open. */
static int hand_over(const struct slot *slot, const char *bdf, bool group)
{
	char path[64];
	int i, rc = 0;

	if (slot->kind != VCOPY)
		rc = pci_bind_vfio(bdf);
	rc = rc ?: slot_path(slot, group, path);
	if (rc)
		return rc;
	for (i = 0; chmod(path, 0666) && i < 2000; i++)
		usleep(5000);
	return i < 2000 ? 0 : -ENOENT;
}

/* From here on an ordinary user, whose locked memory is counted. */
static void become_user(void)
{
	struct rlimit limit = { LIMIT, LIMIT };

	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setgroups(0, NULL) ||
	    setresgid(USER, USER, USER) || setresuid(USER, USER, USER) ||
	    prctl(PR_SET_PDEATHSIG, SIGKILL))
		_exit(1);
}

static int bind_vf(int dev, int iommufd)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
		.iommufd = iommufd,
		.token_uuid_ptr = (uintptr_t)soak_token,
	};

	return ioctl_rc(dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd);
}

/* The device is bound, with groups attached as well. */
static int use_open(struct use *use)
{
	struct slot *slot = use->slot;
	char path[64];
	int rc;

	rc = slot_path(slot, use->way != BY_CDEV, path);
	if (rc)
		return rc;
	if (use->way == BY_CONTAINER) {
		use->context = container_open();
	} else {
		use->context = iommufd_open();
		rc = use->context < 0 ? 0 : ioas_alloc(use->context, &use->ioas);
	}
	if (use->context < 0)
		return use->context;
	if (rc)
		return rc;
	if (use->way == BY_CDEV) {
		use->dev = open(path, O_RDWR | O_CLOEXEC);
		if (use->dev < 0)
			return -errno;
		if (slot->kind == VF)
			return bind_vf(use->dev, use->context);
		return vfio_bind(use->dev, use->context, NULL);
	}
	use->group = group_open(path);
	if (use->group < 0)
		return use->group;
	if (use->way == BY_GROUP)
		rc = iommufd_vfio_ioas(use->context, IOMMU_VFIO_IOAS_SET, &use->ioas);
	rc = rc ?: group_set_container(use->group, use->context);
	if (use->way == BY_CONTAINER)
		rc = rc ?: container_set_iommu(use->context, VFIO_TYPE1v2_IOMMU);
	use->dev = rc ?: group_device(use->group, slot->name);
	return use->dev < 0 ? use->dev : 0;
}

/* May anybody have the device now? 0 or -errno. (By root, after the run.) */
int slot_usable(struct slot *slot, enum way way)
{
	struct use use = { .slot = slot, .way = way, .context = -1, .group = -1, .dev = -1 };
	int rc;

	rc = hand_over(slot, slot->name, way != BY_CDEV);
	rc = rc ?: use_open(&use);
	if (!rc && way == BY_CDEV)
		rc = vfio_attach(use.dev, use.ioas, NULL);
	close(use.dev);
	close(use.group);
	close(use.context);
	return rc;
}

/* ---- memory ---- */

static int map_at(struct use *use, char *va, size_t size, uint64_t iova)
{
	if (use->way == BY_CONTAINER)
		return dma_map(use->context, DMA_RW, va, size, iova);
	if (use->by_file && va == use->window)
		return map_file_fixed(use->context, use->ioas, RW, use->file, 0, size,
				      iova);
	return ioas_map_fixed(use->context, use->ioas, RW, va, size, iova);
}

static int unmap_at(struct use *use, uint64_t iova, size_t size)
{
	if (use->way == BY_CONTAINER)
		return dma_unmap(use->context, 0, iova, size) == (int64_t)size ?
		       0 : -EIO;
	return ioas_unmap(use->context, use->ioas, iova, size, NULL);
}

/* Memory of one kind or another. *@file: what is behind it, or -1 */
static char *memory(struct chance *chance, size_t size, int *file)
{
	unsigned int kind = below(chance, 10);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	char *p;

	*file = -1;
	if (kind < 3) {
		*file = memfd_create("soak", MFD_CLOEXEC);
		if (*file < 0 || ftruncate(*file, size))
			return NULL;
		p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, *file, 0);
	} else if (kind == 3) {
		/* (If the pool has nothing now: 4 KiB pages.) */
		p = mmap(NULL, 2 * MiB, PROT_READ | PROT_WRITE,
			 flags | MAP_HUGETLB | MAP_POPULATE, -1, 0);
		if (p == MAP_FAILED)
			p = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, -1, 0);
	} else {
		p = mmap(NULL, size + 2 * MiB, PROT_READ | PROT_WRITE, flags, -1, 0);
		if (p == MAP_FAILED)
			return NULL;
		p = (char *)(((uintptr_t)p + 2 * MiB - 1) & ~(2 * MiB - 1));
		madvise(p, size, kind < 8 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	}
	return p == MAP_FAILED ? NULL : p;
}

static size_t some_size(struct chance *chance)
{
	return percent(chance, 30) ? 2 * MiB : PAGE * (2 + below(chance, 60));
}

/* A new window in use->ioas, in place of whatever was there before. */
static void new_window(struct use *use)
{
	use->size = some_size(use->chance);
	use->window = memory(use->chance, use->size, &use->file);
	if (!use->window)
		failed(use, -ENOMEM, "memory");
	use->by_file = use->file >= 0 && use->way != BY_CONTAINER &&
		       percent(use->chance, 50);
	must(use, map_at(use, use->window, use->size, X), "map the window");
}

static void paint(char *p, size_t length, uint64_t seed)
{
	struct chance chance = { seed };
	uint64_t word;
	size_t i;

	for (i = 0; i < length; i += 8) {
		word = next(&chance);
		memcpy(p + i, &word, length - i < 8 ? length - i : 8);
	}
}

/* ---- what anybody does between transfers ---- */

static void map_and_unmap(struct use *use)
{
	bool leave_it = use->left < 4 && percent(use->chance, 20);
	uint64_t iova = leave_it ? EXTRA - 4 * MiB * (2 + use->left++) :
				   EXTRA + 4 * MiB * below(use->chance, 64);
	size_t size = some_size(use->chance);
	int file, rc;
	char *p;

	p = memory(use->chance, size, &file);
	if (!p)
		failed(use, -ENOMEM, "more memory");
	must(use, map_at(use, p, size, iova), "map");
	if (use->way != BY_CONTAINER && percent(use->chance, 40)) {
		rc = ioas_copy_fixed(use->context, RW, use->ioas, EXTRA - 4 * MiB,
				     use->ioas, iova, PAGE);
		must(use, rc, "copy");
		must(use, unmap_at(use, EXTRA - 4 * MiB, PAGE), "unmap the copy");
	}
	/*
	 * Some memory goes before its mapping (and so cannot be attached again), and
	 * some mappings with the process.
	 */
	if (!leave_it && percent(use->chance, 50))
		munmap(p, size);
	if (!leave_it) {
		must(use, unmap_at(use, iova, size), "unmap");
		munmap(p, size);
	}
	if (file >= 0)
		close(file);
}

/* Huge pages under the window fall apart and come together; they do not move. */
static void split(struct use *use)
{
	char *p = use->window + (below(use->chance, use->size / PAGE) * PAGE);

	mprotect(p, PAGE, PROT_READ);
	mprotect(p, PAGE, PROT_READ | PROT_WRITE);
	if (percent(use->chance, 30))
		madvise(use->window, use->size, 25);	/* MADV_COLLAPSE */
}

/* Another IOAS with other memory at the same IOVA. Groups cannot. */
static void replace(struct use *use)
{
	uint32_t old = use->ioas;
	char *window = use->window;
	size_t size = use->size;

	if (use->way != BY_CDEV)
		return;
	must(use, ioas_alloc(use->context, &use->ioas), "another IOAS");
	if (use->file >= 0)
		close(use->file);
	use->left = 0;
	new_window(use);
	must(use, vfio_attach(use->dev, use->ioas, NULL), "replace");
	must(use, iommufd_destroy(use->context, old), "destroy the old IOAS");
	munmap(window, size);
	atomic_fetch_add(&use->slot->replaces, 1);
}

static void idle_work(struct use *use)
{
	unsigned int what = below(use->chance, 100);

	if (what < 40)
		map_and_unmap(use);
	else if (what < 60)
		split(use);
	else if (what < 85)
		replace(use);
	else if (what < 95 && use->way == BY_CDEV) {
		must(use, vfio_detach(use->dev), "detach");
		must(use, vfio_attach(use->dev, use->ioas, NULL), "attach again");
	}
}

/* Attached, with a window; in one order or the other. */
static void ready(struct use *use)
{
	bool attach_first = percent(use->chance, 50);

	must(use, use_open(use), "open");
	atomic_fetch_add(&use->slot->opens, 1);
	if (use->way == BY_CDEV && attach_first)
		must(use, vfio_attach(use->dev, use->ioas, NULL), "attach");
	new_window(use);
	if (use->way == BY_CDEV && !attach_first)
		must(use, vfio_attach(use->dev, use->ioas, NULL), "attach");
}

/* ---- edu ---- */

static void edu_io(struct use *use, struct edu *edu)
{
	static char want[EDU_MAX];
	size_t room = use->size - EDU_MAX;
	size_t from = below(use->chance, room), to = below(use->chance, room);
	uint64_t seed = next(use->chance);

	paint(want, EDU_MAX, seed);
	memcpy(use->window + from, want, EDU_MAX);
	must(use, edu_dma(edu, false, X + from, EDU_MAX), "edu reads");
	memset(use->window + to, 0, EDU_MAX);
	must(use, edu_dma(edu, true, X + to, EDU_MAX), "edu writes");
	if (memcmp(use->window + to, want, EDU_MAX))
		failed(use, 0, "edu's data");
	atomic_fetch_add(&use->slot->ios, 2);
}

static void edu_client(struct use *use)
{
	struct edu edu = {};
	int rc;

	ready(use);
	must(use, edu_init(&edu, use->dev), "edu's registers");
	/*
	 * What the one before had under way: the device on the root bus cannot be reset,
	 * and takes no orders until that is over.
	 */
	while (edu_busy(&edu))
		usleep(2000);
	for (;;) {
		edu_io(use, &edu);
		if (percent(use->chance, 50))
			idle_work(use);
		if (use->slot->kind == EDU_PLUGGED && percent(use->chance, 5)) {
			rc = ioctl_rc(use->dev, VFIO_DEVICE_RESET, NULL);
			if (rc != -EAGAIN)
				must(use, rc, "VFIO_DEVICE_RESET");
			atomic_fetch_add(&use->slot->resets, 1);
			must(use, edu_init(&edu, use->dev), "edu after a reset");
		}
		/* What is under way when the process ends. */
		if (percent(use->chance, 10))
			edu_start(&edu, percent(use->chance, 50), X, EDU_MAX);
		while (edu_busy(&edu))
			usleep(2000);
	}
}

/* ---- vcopy ---- */

static void vcopy_io(struct use *use)
{
	size_t half = use->size / 2 & ~7UL, length, from, to;
	static char want[64 << 10];
	int rc;

	length = 1 + below(use->chance, half < sizeof(want) ? half : sizeof(want));
	from = below(use->chance, half - length + 1);
	to = half + below(use->chance, half - length + 1);
	paint(want, length, next(use->chance));
	memcpy(use->window + from, want, length);
	memset(use->window + to, 0, length);
	rc = vcopy_run(use->dev, VCOPY_CMD_COPY, X + from, X + to, length);
	must(use, rc, "vcopy");
	if (rc == VCOPY_ERROR_MEMORY)
		failed(use, -ENOMEM, "vcopy's memory");
	if (rc || memcmp(use->window + to, want, length))
		failed(use, 0, "vcopy's data");
	atomic_fetch_add(&use->slot->ios, 1);
}

static void vcopy_client(struct use *use)
{
	bool pins = !strcmp(use->slot->type, "pin");

	ready(use);
	must(use, vcopy_bus_master(use->dev, true), "bus master");
	for (;;) {
		vcopy_io(use);
		if (percent(use->chance, 30))
			idle_work(use);
		if (pins && percent(use->chance, 20))
			must(use, vcopy_run(use->dev, VCOPY_CMD_HOLD, X, 0, use->size / 2),
			     "hold");
		if (percent(use->chance, 10)) {
			must(use, ioctl_rc(use->dev, VFIO_DEVICE_RESET, NULL),
			     "VFIO_DEVICE_RESET");
			atomic_fetch_add(&use->slot->resets, 1);
			must(use, vcopy_bus_master(use->dev, true), "bus master");
		}
		/* Again and again, also when the process is gone; for a while. */
		if (percent(use->chance, 10)) {
			vcopy_start(use->dev, VCOPY_CMD_COPY | VCOPY_CMD_REPEAT, X,
				    X + use->size / 2, use->size / 2);
			usleep(below(use->chance, 20000));
			must(use, vcopy_run(use->dev, VCOPY_CMD_STOP, 0, 0, 1), "stop");
		}
	}
}

/* ---- NVMe ---- */

static void nvme_client(struct use *use)
{
	static char want[NVME_DATA_SIZE / 2];
	struct nvme nvme;
	uint64_t lba;
	uint32_t nr;
	size_t length;
	char *old;
	int rc;

	rc = nvme_open(&nvme, use->slot->name, (enum nvme_way)use->way, 1, X, 16);
	if (rc)
		failed(use, rc, nvme.reason);
	atomic_fetch_add(&use->slot->opens, 1);
	for (;;) {
		nr = 1 + below(use->chance, 128);
		lba = below(use->chance, nvme.nr_blocks - nr);
		length = nr * nvme.block_size;
		if (length > sizeof(want))
			failed(use, -EINVAL, "block size");
		paint(want, length, next(use->chance));
		memcpy(nvme_data(&nvme), want, length);
		rc = nvme_write(&nvme, lba, nr, 0);
		if (rc)
			failed(use, rc, nvme.reason);
		if (use->way == BY_CDEV && percent(use->chance, 30)) {
			rc = nvme_replace_ioas(&nvme, &old);
			if (rc)
				failed(use, rc, nvme.reason);
			nvme_free_mem(old);
			atomic_fetch_add(&use->slot->replaces, 1);
		}
		memset((char *)nvme_data(&nvme) + NVME_DATA_SIZE / 2, 0, length);
		rc = nvme_read(&nvme, lba, nr, NVME_DATA_SIZE / 2);
		if (rc)
			failed(use, rc, nvme.reason);
		if (memcmp((char *)nvme_data(&nvme) + NVME_DATA_SIZE / 2, want, length))
			failed(use, 0, "NVMe's data");
		atomic_fetch_add(&use->slot->ios, 2);
		if (!percent(use->chance, 5))
			continue;
		/* Reset under way, or closed in good order. */
		if (percent(use->chance, 50)) {
			must(use, vcdev_dev_reset(nvme.dev, NULL), "VFIO_DEVICE_RESET");
			atomic_fetch_add(&use->slot->resets, 1);
		}
		while (use->slot->held)
			usleep(1000);
		nvme_close(&nvme);
		_exit(0);
	}
}

/* ---- VFs, which are offline: no queues, but memory to map and to attach ---- */

static void vf_client(struct use *use)
{
	int rc;

	ready(use);
	for (;;) {
		must(use, vfio_get_info(use->dev), "info");
		idle_work(use);
		atomic_fetch_add(&use->slot->ios, 1);
		if (percent(use->chance, 3)) {
			rc = ioctl_rc(use->dev, VFIO_DEVICE_RESET, NULL);
			if (rc != -EAGAIN)
				must(use, rc, "VFIO_DEVICE_RESET");
			atomic_fetch_add(&use->slot->resets, 1);
		}
		usleep(below(use->chance, 20000));
	}
}

/* ---- two functions of one group, which are reset with their bus ---- */

static int pair_register(int dev, bool set, uint32_t *value)
{
	struct vfio_region_info region;
	uint16_t command;
	uint64_t config;
	int rc;

	rc = vfio_region_info(dev, VFIO_PCI_CONFIG_REGION_INDEX, &region);
	config = region.offset;
	rc = rc ?: vfio_region_info(dev, VFIO_PCI_BAR0_REGION_INDEX, &region);
	if (rc)
		return rc;
	/* INTMS, which forgets. Memory must be enabled. */
	if (!set)
		return pread(dev, value, 4, region.offset + 0x0c) == 4 ? 0 : -EIO;
	if (pread(dev, &command, 2, config + PCI_COMMAND) != 2)
		return -EIO;
	command |= PCI_COMMAND_MEMORY;
	if (pwrite(dev, &command, 2, config + PCI_COMMAND) != 2)
		return -EIO;
	return pwrite(dev, value, 4, region.offset + 0x0c) == 4 ? 0 : -EIO;
}

static void pair_client(struct use *use)
{
	struct vfio_pci_hot_reset reset = { .argsz = sizeof(reset) };
	uint32_t mark, first, second;
	char path[64];
	int other, rc, tries;

	use->way = BY_CDEV;
	must(use, vfio_cdev_path(use->slot->other, path), "the other one");
	ready(use);
	other = open(path, O_RDWR | O_CLOEXEC);
	if (other < 0)
		failed(use, -errno, "open the other one");
	must(use, vfio_bind(other, use->context, NULL), "bind the other one");
	if (percent(use->chance, 50))
		must(use, vfio_attach(other, use->ioas, NULL), "attach the other one");
	for (;;) {
		mark = 0x5a50;
		must(use, pair_register(use->dev, true, &mark), "mark");
		must(use, pair_register(other, true, &mark), "mark the other one");
		tries = 0;
		do {
			rc = ioctl_rc(percent(use->chance, 50) ? use->dev : other,
				      VFIO_DEVICE_PCI_HOT_RESET, &reset);
			if (rc == -EAGAIN || rc == -EBUSY)
				usleep(1000);
		} while ((rc == -EAGAIN || rc == -EBUSY) && ++tries < 1000);
		must(use, rc, "hot reset");
		must(use, pair_register(use->dev, false, &first), "read");
		must(use, pair_register(other, false, &second), "read the other one");
		if (first || second)
			failed(use, 0, "a mark after the hot reset");
		atomic_fetch_add(&use->slot->resets, 1);
		if (percent(use->chance, 50))
			idle_work(use);
	}
}

/* ---- */

void client(struct slot *slot, struct chance *chance)
{
	struct use use = {
		.slot = slot, .chance = chance, .context = -1, .group = -1, .dev = -1,
		.file = -1, .disturbed = slot->disturbed,
	};
	int rc;

	/* Half of them by device file. */
	use.way = percent(chance, 50) ? BY_CDEV : BY_GROUP + below(chance, 2);
	if (slot->kind == VF || slot->kind == PAIR)
		use.way = BY_CDEV;
	if (!slot->name[0])
		leave(&use);
	rc = hand_over(slot, slot->name, use.way != BY_CDEV);
	if (!rc && slot->kind == PAIR) {
		struct slot second = { .kind = PAIR };

		memcpy(second.name, slot->other, sizeof(slot->other));
		rc = hand_over(&second, second.name, false);
	}
	must(&use, rc, "hand it over");
	become_user();
	switch (slot->kind) {
	case EDU:
	case EDU_PLUGGED:
		edu_client(&use);
		break;
	case NVME:
	case NVME_PLUGGED:
		nvme_client(&use);
		break;
	case VF:
		vf_client(&use);
		break;
	case PAIR:
		pair_client(&use);
		break;
	default:
		vcopy_client(&use);
	}
}
