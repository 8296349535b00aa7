// SPDX-License-Identifier: GPL-2.0
/*
 * Those that take devices and memory away from the clients: a process each, until
 * shared->stop. They leave everything as they found it. What takes a device away waits for
 * the client that has it, who is killed by and by.
 *
 * While something hurts a client, the slot's "disturbed" is odd: who fails meanwhile is
 * excused, and who comes later is not.
 */
#include "soak.h"

static void pause_ms(struct chance *chance, unsigned int ms)
{
	uint64_t end = now_ms() + 1 + below(chance, ms * shared->patience);

	while (!shared->stop && now_ms() < end)
		usleep(20000);
}

static bool present(const char *bdf)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s", bdf);
	return !access(path, F_OK);
}

/* @slot: a file to be told about a device that is not seen, or NULL */
static int wait_for(const char *bdf, bool there, const char *slot)
{
	uint64_t begin = now_ms(), asked = begin;

	while (present(bdf) != there) {
		if (now_ms() - begin > (slot ? 30000 : 240000) * shared->patience)
			return -ETIMEDOUT;
		/*
		 * A device that comes while the slot is being powered down is
		 * overlooked by the kernel's hotplug driver, until it is asked.
		 */
		if (slot && now_ms() - asked > 8000) {
			sysfs_write(slot, "1");
			asked = now_ms();
		}
		usleep(50000);
	}
	return 0;
}

/* ---- hot-unplug ---- */

/*
 * How QEMU makes the device of a slot again. The order is that of the slots. (share-rw: the
 * controller before may keep its disk for a while.)
 */
static const char *const plugged[] = {
	"{\"driver\":\"edu\",\"id\":\"edu-a\",\"bus\":\"port-a\",\"dma_mask\":4294967295}",
	"{\"driver\":\"edu\",\"id\":\"edu-b\",\"bus\":\"port-b\",\"dma_mask\":4294967295}",
	"{\"driver\":\"nvme\",\"id\":\"nvme-c\",\"bus\":\"port-c\",\"serial\":\"c\",\"drive\":\"disk1\",\"share-rw\":true,\"max_ioqpairs\":2,\"msix_qsize\":3}",
};
static const char *const plugged_ids[] = { "edu-a", "edu-b", "nvme-c" };
static const char *const plugged_slots[] = {
	"/sys/bus/pci/slots/20/power", "/sys/bus/pci/slots/21/power",
	"/sys/bus/pci/slots/23/power",
};

/*
 * The guest has let go of it some time before the machine has. Not one refused device_add
 * that need not be: each makes QEMU wait for all its threads, and it can wait for ever.
 */
static int plug(int monitor, int nr)
{
	int i, rc = -EPERM;

	for (i = 0; qmp_has(monitor, plugged_ids[nr]) && i < 300; i++)
		usleep(200000);
	/*
	 * The driver of the slot has the removal to deal with. It would take the
	 * new device's coming for a part of that, and switch it off.
	 */
	usleep(2500000 * shared->patience);
	for (i = 0; rc == -EPERM && i < 10; i++) {
		if (i)
			sleep(3);
		rc = qmp(monitor, "device_add", "%s", plugged[nr]);
	}
	return rc;
}

/*
 * A device that is plugged in shows itself some time before it has a group and BARs, and may
 * be given a driver: on a busy machine more than a second. Whoever binds it first, the
 * driver is there to be seen before the device file is.
 */
static int wait_for_driver(const char *bdf)
{
	uint64_t begin = now_ms();
	char path[64];
	int rc;

	do {
		rc = pci_bind_vfio(bdf);
		rc = rc ?: vfio_cdev_path(bdf, path);
		if (!rc)
			return 0;
		usleep(50000);
	} while (now_ms() - begin < 30000 * shared->patience);
	return rc;
}

void hotplug(struct chance *chance, int arg)
{
	struct slot *slots[3], *slot;
	int i, nr = 0, which, rc, monitor = qmp_open();

	for (i = 0; i < shared->nr_slots; i++)
		if (shared->slots[i].kind == EDU_PLUGGED ||
		    shared->slots[i].kind == NVME_PLUGGED)
			slots[nr++] = &shared->slots[i];
	if (monitor < 0 || nr != 3) {
		report("hotplug: no monitor");
		return;
	}
	/* (The first one of the machine's life is expected, others are refused.) */
	qmp(monitor, "qmp_capabilities", "{}");
	while (!shared->stop) {
		which = below(chance, 3);
		slot = slots[which];
		atomic_fetch_add(&slot->disturbed, 1);
		rc = qmp(monitor, "device_del", "{\"id\":\"%s\"}", plugged_ids[which]);
		rc = rc ?: wait_for(slot->name, false, NULL);
		if (!rc)
			atomic_fetch_add(&shared->churn[UNPLUGS], 1);
		else
			report("unplug %s: %s", slot->name, strerror(-rc));
		pause_ms(chance, 500);
		rc = plug(monitor, which);
		rc = rc ?: wait_for(slot->name, true, plugged_slots[which]);
		/* Still not: pull it out of the slot that is off, and once more. */
		for (i = 0; rc == -ETIMEDOUT && i < 3; i++) {
			if (qmp_has(monitor, plugged_ids[which]))
				qmp(monitor, "device_del", "{\"id\":\"%s\"}",
				    plugged_ids[which]);
			sleep(6);
			rc = plug(monitor, which);
			rc = rc ?: wait_for(slot->name, true, plugged_slots[which]);
		}
		rc = rc ?: wait_for_driver(slot->name);
		if (!rc)
			atomic_fetch_add(&shared->churn[PLUGS], 1);
		else
			report("plug %s: %s", slot->name, strerror(-rc));
		atomic_fetch_add(&slot->disturbed, 1);
		pause_ms(chance, 2000);
	}
	close(monitor);
}

/* ---- VFs come and go under an owner of the PF ---- */

static int set_vfs(const char *number)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs", shared->pf);
	return sysfs_write(path, number);
}

static int token_set(int dev)
{
	struct {
		struct vfio_device_feature head;
		uint8_t uuid[16];
	} arg = {
		.head.argsz = sizeof(arg),
		.head.flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
	};

	memcpy(arg.uuid, soak_token, 16);
	return ioctl_rc(dev, VFIO_DEVICE_FEATURE, &arg);
}

static void disturb_vfs(void)
{
	int i;

	for (i = 0; i < shared->nr_slots; i++)
		if (shared->slots[i].kind == VF)
			atomic_fetch_add(&shared->slots[i].disturbed, 1);
}

/* The names of VFs, for those who want them. */
static void name_vfs(bool there)
{
	char path[128], link[256];
	struct slot *slot;
	ssize_t length;
	int i;

	for (i = 0; i < shared->nr_slots; i++) {
		slot = &shared->slots[i];
		if (slot->kind != VF)
			continue;
		slot->name[0] = '\0';
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/virtfn%d",
			 shared->pf, slot->number);
		length = there ? readlink(path, link, sizeof(link) - 1) : -1;
		if (length > 0) {
			link[length] = '\0';
			snprintf(slot->name, 16, "%.15s", strrchr(link, '/') + 1);
		}
	}
}

/*
 * (The PF is not let go of while there are VFs: that resets it, QEMU's VFs are dead then,
 * and the kernel waits for each of them for a minute.)
 */
void sriov(struct chance *chance, int arg)
{
	int iommufd, dev, rc;
	char path[64];

	disturb_vfs();
	while (!shared->stop) {
		iommufd = iommufd_open();
		rc = pci_bind_vfio(shared->pf);
		rc = rc ?: vfio_cdev_path(shared->pf, path);
		dev = rc ?: open(path, O_RDWR | O_CLOEXEC);
		if (!rc && dev < 0)
			rc = -errno;
		rc = rc ?: vfio_bind(dev, iommufd, NULL);
		rc = rc ?: token_set(dev);
		rc = rc ?: set_vfs("2");
		if (rc) {
			report("VFs: %s", strerror(-rc));
			return;
		}
		atomic_fetch_add(&shared->churn[VFS_MADE], 2);
		name_vfs(true);
		disturb_vfs();
		pause_ms(chance, 6000);
		disturb_vfs();
		name_vfs(false);
		rc = set_vfs("0");
		if (rc)
			report("no VFs: %s", strerror(-rc));
		atomic_fetch_add(&shared->churn[VFS_REMOVED], 2);
		close(dev);
		close(iommufd);
		pause_ms(chance, 300);
	}
	disturb_vfs();
}

/* ---- a vcopy goes, and another one comes ---- */

void mdevs(struct chance *chance, int nr)
{
	struct slot *slot = &shared->slots[nr];
	char uuid[UUID_LEN + 1];
	int rc;

	while (!shared->stop) {
		pause_ms(chance, 2000);
		atomic_fetch_add(&slot->disturbed, 1);
		rc = vcopy_remove(slot->name);
		rc = rc ?: vcopy_create(slot->type, uuid);
		if (rc) {
			report("mdev %s: %s", slot->name, strerror(-rc));
			return;
		}
		memcpy(slot->name, uuid, sizeof(uuid));
		atomic_fetch_add(&shared->churn[MDEVS_REMOVED], 1);
		atomic_fetch_add(&slot->disturbed, 1);
	}
}

/* ---- functions are reset under their users ---- */

/*
 * Not while the device is being opened or closed: vfio-pci resets it then as well, and
 * puts its configuration back without a lock against a reset by sysfs, which
 * saves and restores in the same place. The device may be left without BARs.
 */
static bool at_work(struct slot *slot)
{
	unsigned int ios = slot->ios;
	int i;

	for (i = 0; i < 100 && slot->ios == ios && !shared->stop; i++)
		usleep(20000);
	return slot->ios != ios;
}

void resets(struct chance *chance, int nr)
{
	struct slot *slot = &shared->slots[nr];
	char path[128];
	int rc;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", slot->name);
	while (!shared->stop) {
		pause_ms(chance, 3000);
		slot->held = 1;
		if (at_work(slot) && !shared->stop) {
			atomic_fetch_add(&slot->disturbed, 1);
			rc = sysfs_write(path, "1");
			usleep(50000);
			atomic_fetch_add(&slot->disturbed, 1);
			if (rc)
				report("reset %s: %s", slot->name, strerror(-rc));
			atomic_fetch_add(&shared->churn[FUNCTION_RESETS], 1);
		}
		slot->held = 0;
	}
}

/* ---- memory ---- */

void huge_pages(struct chance *chance, int arg)
{
	size_t length = 8 * MiB, i;
	char *p, *q, number[8];

	while (!shared->stop) {
		p = mmap(NULL, length + 2 * MiB, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p == MAP_FAILED)
			continue;
		q = (char *)(((uintptr_t)p + 2 * MiB - 1) & ~(2 * MiB - 1));
		madvise(q, length, MADV_HUGEPAGE);
		for (i = 0; i < length; i += 64 * PAGE)
			q[i] = 1;
		for (i = 0; i < length; i += 2 * MiB)
			if (!madvise(q + i + PAGE * below(chance, 512), PAGE, MADV_DONTNEED))
				atomic_fetch_add(&shared->churn[THP_SPLITS], 1);
		if (!madvise(q, length, 25))		/* MADV_COLLAPSE */
			atomic_fetch_add(&shared->churn[THP_COLLAPSES], 1);
		munmap(p, length + 2 * MiB);
		if (percent(chance, 20)) {
			snprintf(number, sizeof(number), "%d", (int)below(chance, 8));
			sysfs_write("/proc/sys/vm/nr_hugepages", number);
			atomic_fetch_add(&shared->churn[HUGETLB], 1);
		}
		if (percent(chance, 20)) {
			sysfs_write("/proc/sys/vm/compact_memory", "1");
			atomic_fetch_add(&shared->churn[COMPACTIONS], 1);
		}
		pause_ms(chance, 400);
	}
	sysfs_write("/proc/sys/vm/nr_hugepages", "0");
}

static long available_mib(void)
{
	char line[128];
	long kib = 0;
	FILE *f = fopen("/proc/meminfo", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "MemAvailable: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib >> 10;
}

/*
 * Takes what there is but for some tens of MiB. The kernel must reclaim for the others, but not
 * give up: an OOM kill or a failed atomic allocation prints a trace, which is a failure.
 */
void pressure(struct chance *chance, int arg)
{
	unsigned int floor = shared->patience > 1 ? 300 : 120, nr;
	char *pieces[512];

	sysfs_write("/proc/self/oom_score_adj", "1000");
	while (!shared->stop) {
		pause_ms(chance, 8000);
		for (nr = 0; nr < 512 && !shared->stop && available_mib() > floor; nr++) {
			pieces[nr] = mmap(NULL, 4 * MiB, PROT_READ | PROT_WRITE,
					  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (pieces[nr] == MAP_FAILED)
				break;
			madvise(pieces[nr], 4 * MiB, MADV_HUGEPAGE);
			madvise(pieces[nr], 4 * MiB, MADV_POPULATE_WRITE);
		}
		atomic_fetch_add(&shared->churn[HOGS], 1);
		pause_ms(chance, 2000);
		while (nr)
			munmap(pieces[--nr], 4 * MiB);
		if (percent(chance, 30))
			sysfs_write("/proc/sys/vm/drop_caches", "3");
	}
}
