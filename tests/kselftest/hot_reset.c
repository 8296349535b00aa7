// SPDX-License-Identifier: GPL-2.0
/*
 * Hot reset: what INFO says, what RESET does, and whom it refuses.
 *
 * The machine has functions that share a reset in three ways:
 *
 *	bus	a, b, c: NVMe on the bus inside a switch. a has an IOMMU group of
 *		its own, b and c are two functions of one device and share one
 *	slot	two functions of one device in a hotplug slot; one group
 *	pci	two e1000 behind a bridge to conventional PCI; one group
 *
 * and a PF with VFs, and a device on the root bus, which cannot be reset so.
 *
 * Whether a device was reset is read off a register of its that forgets: each
 * test marks the devices that are open and looks at the marks afterwards.
 */
#include <dirent.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "fault_utils.h"
#include "group_utils.h"
#include "kselftest_harness.h"

#define SWITCH		"0x8232"	/* TI x3130, its upstream port */
#define ROOT_PORT	"0x000c"
#define PCI_BRIDGE	"0x000e"
#define NVME		"0x0010"
#define E1000		"0x100e"

#define COMMAND		4
#define MEMORY		2

#define DEV_ID		VFIO_PCI_HOT_RESET_FLAG_DEV_ID
#define ALL_OWNED	(DEV_ID | VFIO_PCI_HOT_RESET_FLAG_DEV_ID_OWNED)
#define NOT_OWNED	((uint32_t)VFIO_PCI_DEVID_NOT_OWNED)
#define MAX		8

/* ---- devices, and the mark that a reset takes away ---- */

struct device {
	char bdf[16];
	bool is_nvme;
	int fd;
	uint32_t id;
	uint64_t bar;
};

static void pci_attribute(const char *bdf, const char *name, char value[32])
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, name);
	sysfs_read(path, value, 32);
}

static bool pci_is(const char *bdf, const char *device)
{
	char id[32];

	pci_attribute(bdf, "device", id);
	return !strcmp(id, device);
}

/* The function of that kind at @slot ("02.1") of a bus behind that kind of bridge. */
static int find(const char *bridge, const char *slot, const char *kind,
		struct device *device)
{
	char path[PATH_MAX], real[PATH_MAX], *parent;
	struct dirent *entry;
	DIR *dir = opendir("/sys/bus/pci/devices");
	int rc = -ENODEV;

	if (!dir)
		return -errno;
	while (rc && (entry = readdir(dir))) {
		if (strlen(entry->d_name) != 12 ||
		    strcmp(entry->d_name + 8, slot) ||
		    !pci_is(entry->d_name, kind))
			continue;
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s",
			 entry->d_name);
		if (!realpath(path, real))
			continue;
		*strrchr(real, '/') = '\0';
		parent = strrchr(real, '/') + 1;
		if (bridge ? !pci_is(parent, bridge) : parent[0] != 'p')
			continue;
		memset(device, 0, sizeof(*device));
		snprintf(device->bdf, sizeof(device->bdf), "%s", entry->d_name);
		device->is_nvme = !strcmp(kind, NVME);
		device->fd = -1;
		rc = 0;
	}
	closedir(dir);
	return rc;
}

static int find_three(struct device *a, struct device *b, struct device *c)
{
	int rc;

	/* What the test of the kernel's driver left behind if it failed. */
	if (!access("/sys/module/nvme", F_OK) && system("modprobe -r nvme"))
		return -EBUSY;
	rc = find(SWITCH, "01.0", NVME, a);
	rc = rc ?: find(SWITCH, "02.0", NVME, b);
	rc = rc ?: find(SWITCH, "02.1", NVME, c);
	rc = rc ?: pci_bind_vfio(a->bdf);
	rc = rc ?: pci_bind_vfio(b->bdf);
	return rc ?: pci_bind_vfio(c->bdf);
}

/* Its own file, bound or not by @iommufd. */
static int device_open(struct device *device, int iommufd)
{
	char path[64];
	int rc;

	rc = pci_bind_vfio(device->bdf);
	rc = rc ?: vfio_cdev_path(device->bdf, path);
	if (rc)
		return rc;
	device->fd = open(path, O_RDWR | O_CLOEXEC);
	if (device->fd < 0)
		return -errno;
	rc = iommufd < 0 ? 0 : vfio_bind(device->fd, iommufd, &device->id);
	if (rc) {
		close(device->fd);
		device->fd = -1;
	}
	return rc;
}

static void device_close(struct device *device)
{
	if (device->fd >= 0)
		close(device->fd);
	device->fd = -1;
}

/* INTMS of NVMe, TDBAL of the e1000; 0 after a reset. */
static uint64_t mark_register(const struct device *device)
{
	return device->bar + (device->is_nvme ? 0x0c : 0x3800);
}

static int mark(struct device *device)
{
	struct vfio_region_info region;
	uint32_t value = 0x5a50;
	uint16_t command;
	int rc;

	rc = vfio_region_info(device->fd, VFIO_PCI_CONFIG_REGION_INDEX, &region);
	if (rc)
		return rc;
	if (pread(device->fd, &command, 2, region.offset + COMMAND) != 2)
		return -EIO;
	command |= MEMORY;
	if (pwrite(device->fd, &command, 2, region.offset + COMMAND) != 2)
		return -EIO;
	rc = vfio_region_info(device->fd, VFIO_PCI_BAR0_REGION_INDEX, &region);
	if (rc)
		return rc;
	device->bar = region.offset;
	return pwrite(device->fd, &value, 4, mark_register(device)) == 4 ?
	       0 : -EIO;
}

/* 1: as it was marked, 0: has been reset */
static int marked(struct device *device)
{
	uint32_t value;

	if (pread(device->fd, &value, 4, mark_register(device)) != 4)
		return -EIO;
	return value == 0x5a50 ? 1 : value ? -ERANGE : 0;
}

/* ---- the two calls ---- */

struct info {
	struct vfio_pci_hot_reset_info head;
	struct vfio_pci_dependent_device devices[MAX];
};

static int get_info(int fd, struct info *info)
{
	memset(info, 0, sizeof(*info));
	info->head.argsz = sizeof(*info);
	return ioctl_rc(fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info);
}

/* What INFO has in place of @device's ID. 0xdead: it is not mentioned. */
static uint32_t id_in(const struct info *info, const struct device *device)
{
	char bdf[16];
	unsigned int i;

	for (i = 0; i < info->head.count && i < MAX; i++) {
		snprintf(bdf, sizeof(bdf), "%04x:%02x:%02x.%x",
			 info->devices[i].segment, info->devices[i].bus,
			 info->devices[i].devfn >> 3,
			 info->devices[i].devfn & 7);
		if (!strcmp(bdf, device->bdf))
			return info->devices[i].devid;
	}
	return 0xdead;
}

struct request {
	struct vfio_pci_hot_reset head;
	int32_t fds[MAX];
};

static int reset_with(int fd, unsigned int count, const int *fds)
{
	struct request request = {
		.head.argsz = sizeof(request), .head.count = count,
	};

	if (count)
		memcpy(request.fds, fds, count * sizeof(*fds));
	return ioctl_rc(fd, VFIO_DEVICE_PCI_HOT_RESET, &request);
}

static int reset(int fd)
{
	return reset_with(fd, 0, NULL);
}

/* Another may hold a lock of a device, for a moment. */
static int reset_insist(int fd)
{
	int i, rc = -EAGAIN;

	for (i = 0; (rc == -EAGAIN || rc == -EBUSY) && i < 1000; i++) {
		if (i)
			usleep(1000);
		rc = reset(fd);
	}
	return rc;
}

/* ---- a, b and c: three functions, two groups ---- */

FIXTURE(bus)
{
	struct device a, b, c;
	int iommufd;
	int other;
};

FIXTURE_SETUP(bus)
{
	ASSERT_EQ(0, find_three(&self->a, &self->b, &self->c));
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	self->other = iommufd_open();
	ASSERT_LE(0, self->other);
}

FIXTURE_TEARDOWN(bus)
{
	device_close(&self->a);
	device_close(&self->b);
	device_close(&self->c);
	close(self->iommufd);
	close(self->other);
}

static int open_all(FIXTURE_DATA(bus) *self)
{
	int rc = device_open(&self->a, self->iommufd);

	rc = rc ?: device_open(&self->b, self->iommufd);
	return rc ?: device_open(&self->c, self->iommufd);
}

static int mark_all(FIXTURE_DATA(bus) *self)
{
	return mark(&self->a) ?: mark(&self->b) ?: mark(&self->c);
}

TEST_F(bus, info_and_reset_before_bind_are_einval)
{
	struct info info;

	ASSERT_EQ(0, device_open(&self->a, -1));
	EXPECT_EQ(-EINVAL, get_info(self->a.fd, &info));
	EXPECT_EQ(-EINVAL, reset(self->a.fd));
}

TEST_F(bus, info_says_how_much_room_it_needs)
{
	struct info info;
	uint32_t argsz;

	ASSERT_EQ(0, open_all(self));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->a.fd,
				    VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, NULL));
	for (argsz = 0; argsz < 12 + 3 * 8; argsz++) {
		memset(&info, 0x77, sizeof(info));
		info.head.argsz = argsz;
		EXPECT_EQ(argsz < 12 ? -EINVAL : -ENOSPC,
			  ioctl_rc(self->a.fd,
				   VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info));
		EXPECT_EQ(argsz, info.head.argsz);
		EXPECT_EQ(argsz < 12 ? 0x77777777 : 0, info.head.flags);
		EXPECT_EQ(argsz < 12 ? 0x77777777 : 3, info.head.count);
		EXPECT_EQ(0x77777777, info.devices[0].devid);
	}
	/* Exactly enough, and nothing is written behind. */
	memset(&info, 0x77, sizeof(info));
	info.head.argsz = argsz;
	EXPECT_EQ(0, ioctl_rc(self->a.fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
			      &info));
	EXPECT_EQ(3, info.head.count);
	EXPECT_EQ(0x77777777, info.devices[3].devid);
	/* What a later version passes, or a careless program. */
	memset(&info, 0x77, sizeof(info));
	info.head.argsz = UINT32_MAX;
	EXPECT_EQ(0, ioctl_rc(self->a.fd, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO,
			      &info));
	EXPECT_EQ(3, info.head.count);
	EXPECT_EQ(0x77777777, info.devices[3].devid);
}

TEST_F(bus, info_that_cannot_be_written_is_efault)
{
	char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct vfio_pci_hot_reset_info *info;

	ASSERT_NE(MAP_FAILED, pages);
	ASSERT_EQ(0, munmap(pages + PAGE, PAGE));
	ASSERT_EQ(0, open_all(self));
	info = (void *)(pages + PAGE - 12);
	info->argsz = 12 + 3 * 8;
	EXPECT_EQ(-EFAULT, ioctl_rc(self->a.fd,
				    VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info));
	ASSERT_EQ(0, mprotect(pages, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->a.fd,
				    VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info));
	info = (void *)(pages + PAGE - 8);
	EXPECT_EQ(-EFAULT, ioctl_rc(self->a.fd,
				    VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, info));
	munmap(pages, PAGE);
}

TEST_F(bus, reset_checks_its_argument)
{
	struct request request = { .head.argsz = 11 };
	int fd;

	ASSERT_EQ(0, open_all(self));
	ASSERT_EQ(0, mark_all(self));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET,
				    NULL));
	EXPECT_EQ(-EINVAL, ioctl_rc(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET,
				    &request));
	request.head.argsz = sizeof(request);
	request.head.flags = 1;
	EXPECT_EQ(-EINVAL, ioctl_rc(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET,
				    &request));
	request.head.flags = 1U << 31;
	EXPECT_EQ(-EINVAL, ioctl_rc(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET,
				    &request));
	/* With an array, whatever is in it. */
	fd = self->a.fd;
	EXPECT_EQ(-EINVAL, reset_with(self->a.fd, 1, &fd));
	fd = self->iommufd;
	EXPECT_EQ(-EINVAL, reset_with(self->a.fd, 1, &fd));
	request.head.flags = 0;
	request.head.count = UINT32_MAX;
	EXPECT_EQ(-EINVAL, ioctl_rc(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET,
				    &request));
	EXPECT_EQ(1, marked(&self->a));
	EXPECT_EQ(1, marked(&self->b));
	EXPECT_EQ(1, marked(&self->c));

	/* The smallest that is right, and one of a later version. */
	request.head.count = 0;
	request.head.argsz = 12;
	EXPECT_EQ(0, ioctl_rc(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET, &request));
	EXPECT_EQ(0, marked(&self->a));
	request.head.argsz = UINT32_MAX;
	EXPECT_EQ(0, ioctl_rc(self->a.fd, VFIO_DEVICE_PCI_HOT_RESET, &request));
}

/* ---- the case table ---- */

TEST_F(bus, all_bound_to_the_caller)
{
	struct info info;

	ASSERT_EQ(0, open_all(self));
	ASSERT_EQ(0, get_info(self->b.fd, &info));
	EXPECT_EQ(ALL_OWNED, info.head.flags);
	EXPECT_EQ(3, info.head.count);
	EXPECT_EQ(self->a.id, id_in(&info, &self->a));
	EXPECT_EQ(self->b.id, id_in(&info, &self->b));
	EXPECT_EQ(self->c.id, id_in(&info, &self->c));

	ASSERT_EQ(0, mark_all(self));
	EXPECT_EQ(1, marked(&self->a));
	EXPECT_EQ(1, marked(&self->b));
	EXPECT_EQ(1, marked(&self->c));
	EXPECT_EQ(0, reset(self->b.fd));
	EXPECT_EQ(0, marked(&self->a));
	EXPECT_EQ(0, marked(&self->b));
	EXPECT_EQ(0, marked(&self->c));
	/* They are of use afterwards. */
	ASSERT_EQ(0, mark_all(self));
	EXPECT_EQ(1, marked(&self->a));
	EXPECT_EQ(0, reset(self->a.fd));
	EXPECT_EQ(0, marked(&self->a));
}

TEST_F(bus, unopened_with_its_group_owned)
{
	struct info info;

	ASSERT_EQ(0, device_open(&self->a, self->iommufd));
	ASSERT_EQ(0, device_open(&self->b, self->iommufd));
	ASSERT_EQ(0, get_info(self->a.fd, &info));
	EXPECT_EQ(ALL_OWNED, info.head.flags);
	EXPECT_EQ(self->a.id, id_in(&info, &self->a));
	EXPECT_EQ(self->b.id, id_in(&info, &self->b));
	EXPECT_EQ(VFIO_PCI_DEVID_OWNED, id_in(&info, &self->c));

	ASSERT_EQ(0, mark(&self->a));
	ASSERT_EQ(0, mark(&self->b));
	EXPECT_EQ(0, reset(self->a.fd));
	EXPECT_EQ(0, marked(&self->a));
	EXPECT_EQ(0, marked(&self->b));
	/* Open, and not bound: as unopened. */
	ASSERT_EQ(0, device_open(&self->c, -1));
	ASSERT_EQ(0, mark(&self->b));
	EXPECT_EQ(0, reset(self->b.fd));
	EXPECT_EQ(0, marked(&self->b));
	/* And it can be opened afterwards. */
	EXPECT_EQ(0, vfio_bind(self->c.fd, self->iommufd, NULL));
}

TEST_F(bus, unopened_with_its_group_not_owned)
{
	struct info info;

	ASSERT_EQ(0, device_open(&self->b, self->iommufd));
	ASSERT_EQ(0, device_open(&self->c, self->iommufd));
	ASSERT_EQ(0, get_info(self->c.fd, &info));
	EXPECT_EQ(DEV_ID, info.head.flags);
	EXPECT_EQ(3, info.head.count);
	EXPECT_EQ(NOT_OWNED, id_in(&info, &self->a));
	EXPECT_EQ(self->b.id, id_in(&info, &self->b));
	EXPECT_EQ(self->c.id, id_in(&info, &self->c));

	ASSERT_EQ(0, mark(&self->b));
	ASSERT_EQ(0, mark(&self->c));
	EXPECT_EQ(-EINVAL, reset(self->c.fd));
	EXPECT_EQ(1, marked(&self->b));
	EXPECT_EQ(1, marked(&self->c));
	ASSERT_EQ(0, device_open(&self->a, -1));
	EXPECT_EQ(-EINVAL, reset(self->c.fd));
	EXPECT_EQ(1, marked(&self->b));
	/* It comes in. */
	ASSERT_EQ(0, vfio_bind(self->a.fd, self->iommufd, NULL));
	EXPECT_EQ(0, reset(self->c.fd));
	EXPECT_EQ(0, marked(&self->b));
	/* And goes. */
	device_close(&self->a);
	ASSERT_EQ(0, mark(&self->b));
	EXPECT_EQ(-EINVAL, reset(self->c.fd));
	EXPECT_EQ(1, marked(&self->b));
}

TEST_F(bus, bound_to_another_context)
{
	struct info info;

	ASSERT_EQ(0, device_open(&self->a, self->other));
	ASSERT_EQ(0, device_open(&self->b, self->iommufd));
	ASSERT_EQ(0, device_open(&self->c, self->iommufd));
	ASSERT_EQ(0, get_info(self->b.fd, &info));
	EXPECT_EQ(DEV_ID, info.head.flags);
	EXPECT_EQ(NOT_OWNED, id_in(&info, &self->a));
	EXPECT_EQ(self->b.id, id_in(&info, &self->b));
	/* Seen from the other side. */
	ASSERT_EQ(0, get_info(self->a.fd, &info));
	EXPECT_EQ(DEV_ID, info.head.flags);
	EXPECT_EQ(self->a.id, id_in(&info, &self->a));
	EXPECT_EQ(NOT_OWNED, id_in(&info, &self->b));
	EXPECT_EQ(NOT_OWNED, id_in(&info, &self->c));

	ASSERT_EQ(0, mark_all(self));
	EXPECT_EQ(-EINVAL, reset(self->a.fd));
	EXPECT_EQ(-EINVAL, reset(self->b.fd));
	EXPECT_EQ(-EINVAL, reset(self->c.fd));
	EXPECT_EQ(1, marked(&self->a));
	EXPECT_EQ(1, marked(&self->b));
	EXPECT_EQ(1, marked(&self->c));
	/* An iommufd that is closed is a context still. */
	close(self->other);
	self->other = iommufd_open();
	EXPECT_EQ(-EINVAL, reset(self->b.fd));
	EXPECT_EQ(1, marked(&self->a));
}

TEST_F(bus, without_a_driver)
{
	struct info info;

	ASSERT_EQ(0, device_open(&self->a, self->iommufd));
	ASSERT_EQ(0, device_open(&self->b, self->iommufd));
	ASSERT_EQ(0, pci_unbind_vfio(self->c.bdf));
	ASSERT_EQ(0, get_info(self->a.fd, &info));
	EXPECT_EQ(DEV_ID, info.head.flags);
	EXPECT_EQ(3, info.head.count);
	/* Though the group is ours: a kernel driver could come any time. */
	EXPECT_EQ(NOT_OWNED, id_in(&info, &self->c));
	ASSERT_EQ(0, mark(&self->a));
	ASSERT_EQ(0, mark(&self->b));
	EXPECT_EQ(-EINVAL, reset(self->a.fd));
	EXPECT_EQ(1, marked(&self->a));
	EXPECT_EQ(1, marked(&self->b));

	ASSERT_EQ(0, pci_bind_vfio(self->c.bdf));
	ASSERT_EQ(0, get_info(self->a.fd, &info));
	EXPECT_EQ(ALL_OWNED, info.head.flags);
	EXPECT_EQ(0, reset_insist(self->a.fd));
	EXPECT_EQ(0, marked(&self->a));
}

static int driver_bind(const char *bdf, const char *driver)
{
	char path[PATH_MAX];
	int rc;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override",
		 bdf);
	rc = sysfs_write(path, driver);
	return rc ?: sysfs_write("/sys/bus/pci/drivers_probe", bdf);
}

/* "live", as long as nobody resets it under the driver. */
static void nvme_state(const char *bdf, char state[32])
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *dir;

	state[0] = '\0';
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/nvme", bdf);
	dir = opendir(path);
	while (dir && (entry = readdir(dir)))
		if (!strncmp(entry->d_name, "nvme", 4)) {
			snprintf(path, sizeof(path),
				 "/sys/class/nvme/%.30s/state", entry->d_name);
			sysfs_read(path, state, 32);
		}
	if (dir)
		closedir(dir);
}

TEST_F_TIMEOUT(bus, with_a_kernel_driver, 120)
{
	char state[32];
	struct info info;
	int i;

	ASSERT_EQ(0, system("modprobe nvme"));
	ASSERT_EQ(0, pci_unbind_vfio(self->a.bdf));
	ASSERT_EQ(0, driver_bind(self->a.bdf, "nvme"));
	for (i = 0; i < 3000; i++) {
		nvme_state(self->a.bdf, state);
		if (!strcmp(state, "live"))
			break;
		usleep(10000);
	}
	ASSERT_STREQ("live", state);
	ASSERT_EQ(0, device_open(&self->b, self->iommufd));
	ASSERT_EQ(0, device_open(&self->c, self->iommufd));
	ASSERT_EQ(0, get_info(self->b.fd, &info));
	EXPECT_EQ(DEV_ID, info.head.flags);
	EXPECT_EQ(3, info.head.count);
	EXPECT_EQ(NOT_OWNED, id_in(&info, &self->a));
	ASSERT_EQ(0, mark(&self->b));
	EXPECT_EQ(-EINVAL, reset(self->b.fd));
	EXPECT_EQ(1, marked(&self->b));
	nvme_state(self->a.bdf, state);
	EXPECT_STREQ("live", state);

	EXPECT_EQ(0, system("modprobe -r nvme"));
	EXPECT_EQ(0, pci_bind_vfio(self->a.bdf));
}

/* ---- whose task, whose file ---- */

static int in_child(int (*fn)(void *arg), void *arg)
{
	int status;
	pid_t pid = fork();

	if (!pid)
		_exit(-fn(arg));
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -ECHILD;
	return -WEXITSTATUS(status);
}

static int child_resets(void *arg)
{
	return reset(*(int *)arg);
}

TEST_F(bus, a_child_resets_with_the_file_of_its_parent)
{
	ASSERT_EQ(0, open_all(self));
	ASSERT_EQ(0, mark_all(self));
	EXPECT_EQ(0, in_child(child_resets, &self->b.fd));
	EXPECT_EQ(0, marked(&self->a));
	EXPECT_EQ(0, marked(&self->c));
	device_close(&self->a);
	ASSERT_EQ(0, device_open(&self->a, self->other));
	ASSERT_EQ(0, mark_all(self));
	EXPECT_EQ(-EINVAL, in_child(child_resets, &self->b.fd));
	EXPECT_EQ(1, marked(&self->a));
	EXPECT_EQ(1, marked(&self->b));
}

static int send_fd(int socket, int fd)
{
	char control[CMSG_SPACE(sizeof(int))] = "", byte = 0;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(socket, &msg, 0) == 1 ? 0 : -errno;
}

static int receive_fd(int socket)
{
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (recvmsg(socket, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return -EIO;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	return fd;
}

static int stranger_resets(void *arg)
{
	int fd = receive_fd(*(int *)arg);

	return fd < 0 ? fd : reset(fd);
}

/* Ownership goes with the file, whatever its number and whoever has it. */
TEST_F(bus, a_file_that_was_passed_resets)
{
	int pair[2], status;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	pid = fork();
	if (!pid)
		_exit(-stranger_resets(&pair[1]));
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, open_all(self));
	ASSERT_EQ(0, mark_all(self));
	ASSERT_EQ(0, send_fd(pair[0], self->a.fd));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, marked(&self->a));
	EXPECT_EQ(0, marked(&self->b));
	close(pair[0]);
	close(pair[1]);
}

TEST_F(bus, any_number_of_the_file_will_do)
{
	int high;

	ASSERT_EQ(0, open_all(self));
	high = fcntl(self->a.fd, F_DUPFD_CLOEXEC, 900);
	ASSERT_LE(900, high);
	ASSERT_EQ(0, mark_all(self));
	EXPECT_EQ(0, reset(high));
	EXPECT_EQ(0, marked(&self->a));
	close(self->a.fd);
	self->a.fd = high;
	ASSERT_EQ(0, mark_all(self));
	EXPECT_EQ(0, reset(high));
	EXPECT_EQ(0, marked(&self->a));
}

static int reset_within(int resource, rlim_t limit, int fd)
{
	struct rlimit old, new = { limit, RLIM_INFINITY };
	int rc;

	if (getrlimit(resource, &old))
		return -EIO;
	new.rlim_max = old.rlim_max;
	if (setrlimit(resource, &new))
		return -EIO;
	rc = reset(fd);
	return setrlimit(resource, &old) ? -EIO : rc;
}

TEST_F(bus, no_room_for_a_page_is_enomem_and_no_more_files_is_nothing)
{
	ASSERT_EQ(0, open_all(self));
	ASSERT_EQ(0, mark_all(self));
	EXPECT_EQ(-ENOMEM, reset_within(RLIMIT_AS, PAGE, self->a.fd));
	EXPECT_EQ(1, marked(&self->a));
	EXPECT_EQ(1, marked(&self->c));
	EXPECT_EQ(0, reset_within(RLIMIT_NOFILE, 0, self->a.fd));
	EXPECT_EQ(0, marked(&self->a));
	EXPECT_EQ(0, marked(&self->c));
}

/* How much is mapped, in pages. */
static long mapped_now(void)
{
	long pages = -1;
	FILE *f = fopen("/proc/self/statm", "r");

	if (!f)
		return -1;
	if (fscanf(f, "%ld", &pages) != 1)
		pages = -1;
	fclose(f);
	return pages;
}

static int fds_now(void)
{
	int nr = 0;
	DIR *dir = opendir("/proc/self/fd");

	while (dir && readdir(dir))
		nr++;
	if (dir)
		closedir(dir);
	return nr;
}

TEST_F(bus, nothing_is_left_behind)
{
	long mapped;
	int i, fds;

	ASSERT_EQ(0, device_open(&self->a, self->iommufd));
	ASSERT_EQ(0, device_open(&self->b, self->iommufd));
	EXPECT_EQ(0, reset(self->a.fd));
	mapped_now();
	mapped = mapped_now();
	fds = fds_now();
	EXPECT_EQ(0, reset(self->a.fd));
	device_close(&self->b);
	for (i = 0; i < 100; i++) {
		EXPECT_EQ(-EINVAL, reset(self->a.fd));
	}
	EXPECT_EQ(mapped, mapped_now());
	EXPECT_EQ(fds - 1, fds_now());
}

TEST_F_TIMEOUT(bus, a_mapped_register_is_there_again_after_reset, 60)
{
	struct vfio_region_info region;
	volatile uint32_t *bar;

	ASSERT_EQ(0, open_all(self));
	ASSERT_EQ(0, mark_all(self));
	ASSERT_EQ(0, vfio_region_info(self->a.fd, VFIO_PCI_BAR0_REGION_INDEX,
				      &region));
	bar = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, self->a.fd,
		   region.offset);
	ASSERT_NE(MAP_FAILED, (void *)bar);
	EXPECT_EQ(0x5a50, bar[3]);
	EXPECT_EQ(0, reset(self->b.fd));
	EXPECT_EQ(0, bar[3]);
	bar[3] = 0x10;
	EXPECT_EQ(0x10, bar[3]);
	munmap((void *)bar, PAGE);
}

/* ---- through groups: as ever, and never a mix ---- */

struct group {
	int file;
	char path[64];
};

static int group_of(const struct device *device, struct group *group)
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t length;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group",
		 device->bdf);
	length = readlink(path, link, sizeof(link) - 1);
	if (length < 0)
		return -errno;
	link[length] = '\0';
	snprintf(group->path, sizeof(group->path), "/dev/vfio%.32s",
		 strrchr(link, '/'));
	group->file = group_open(group->path);
	return group->file < 0 ? group->file : 0;
}

FIXTURE(groups)
{
	struct device a, b, c;
	struct group ga, gb;
	int container;
	int iommufd;
};

FIXTURE_SETUP(groups)
{
	ASSERT_EQ(0, find_three(&self->a, &self->b, &self->c));
	self->ga.file = -1;
	self->gb.file = -1;
	self->container = container_open();
	ASSERT_LE(0, self->container);
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
}

FIXTURE_TEARDOWN(groups)
{
	device_close(&self->a);
	device_close(&self->b);
	device_close(&self->c);
	if (self->ga.file >= 0)
		close(self->ga.file);
	if (self->gb.file >= 0)
		close(self->gb.file);
	close(self->container);
	close(self->iommufd);
}

/* Group and a device of it, the old way. */
static int open_by_group(struct group *group, int container,
			 struct device *device)
{
	int rc = group_of(device, group);

	rc = rc ?: group_set_container(group->file, container);
	if (!rc)
		container_set_iommu(container, VFIO_TYPE1v2_IOMMU);
	if (rc)
		return rc;
	device->fd = group_device(group->file, device->bdf);
	return device->fd < 0 ? device->fd : 0;
}

TEST_F(groups, info_is_of_groups)
{
	struct info info;
	char *number;

	ASSERT_EQ(0, open_by_group(&self->ga, self->container, &self->a));
	ASSERT_EQ(0, open_by_group(&self->gb, self->container, &self->b));
	ASSERT_EQ(0, get_info(self->a.fd, &info));
	EXPECT_EQ(0, info.head.flags);
	EXPECT_EQ(3, info.head.count);
	number = strrchr(self->ga.path, '/') + 1;
	EXPECT_EQ(atoi(number), id_in(&info, &self->a));
	number = strrchr(self->gb.path, '/') + 1;
	EXPECT_EQ(atoi(number), id_in(&info, &self->b));
	EXPECT_EQ(atoi(number), id_in(&info, &self->c));
	info.head.argsz = 12;
	EXPECT_EQ(-ENOSPC, ioctl_rc(self->a.fd,
				    VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info));
	EXPECT_EQ(3, info.head.count);
	info.head.argsz = 11;
	EXPECT_EQ(-EINVAL, ioctl_rc(self->a.fd,
				    VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &info));
}

TEST_F(groups, reset_wants_the_files_of_all_groups)
{
	int both[2], fd;

	ASSERT_EQ(0, open_by_group(&self->ga, self->container, &self->a));
	ASSERT_EQ(0, open_by_group(&self->gb, self->container, &self->b));
	ASSERT_EQ(0, mark(&self->a));
	ASSERT_EQ(0, mark(&self->b));
	both[0] = self->ga.file;
	both[1] = self->gb.file;
	EXPECT_EQ(-EINVAL, reset(self->a.fd));
	EXPECT_EQ(-EINVAL, reset_with(self->a.fd, 1, &both[0]));
	EXPECT_EQ(-EINVAL, reset_with(self->a.fd, 1, &both[1]));
	fd = 999;
	EXPECT_EQ(-EBADF, reset_with(self->a.fd, 1, &fd));
	EXPECT_EQ(-EINVAL, reset_with(self->a.fd, 1, &self->container));
	EXPECT_EQ(-EINVAL, reset_with(self->a.fd, 1, &self->a.fd));
	EXPECT_EQ(1, marked(&self->a));
	EXPECT_EQ(1, marked(&self->b));
	EXPECT_EQ(0, reset_with(self->a.fd, 2, both));
	EXPECT_EQ(0, marked(&self->a));
	EXPECT_EQ(0, marked(&self->b));
}

/* KVM takes such a file for a group's; a reset must not. */
TEST_F(groups, a_device_file_among_groups_is_einval)
{
	int fds[3];

	ASSERT_EQ(0, open_by_group(&self->ga, self->container, &self->a));
	ASSERT_EQ(0, open_by_group(&self->gb, self->container, &self->b));
	ASSERT_EQ(0, device_open(&self->c, -1));
	ASSERT_EQ(0, mark(&self->a));
	ASSERT_EQ(0, mark(&self->b));
	fds[0] = self->ga.file;
	fds[1] = self->gb.file;
	fds[2] = self->c.fd;
	EXPECT_EQ(-EINVAL, reset_with(self->a.fd, 3, fds));
	fds[0] = self->c.fd;
	fds[2] = self->ga.file;
	EXPECT_EQ(-EINVAL, reset_with(self->a.fd, 3, fds));
	EXPECT_EQ(1, marked(&self->a));
	EXPECT_EQ(1, marked(&self->b));
}

TEST_F(groups, a_device_file_for_its_group_is_einval)
{
	int fds[2];

	ASSERT_EQ(0, device_open(&self->a, self->iommufd));
	ASSERT_EQ(0, open_by_group(&self->gb, self->container, &self->b));
	ASSERT_EQ(0, mark(&self->a));
	ASSERT_EQ(0, mark(&self->b));
	fds[0] = self->gb.file;
	fds[1] = self->a.fd;
	EXPECT_EQ(-EINVAL, reset_with(self->b.fd, 2, fds));
	EXPECT_EQ(-EINVAL, reset_with(self->b.fd, 1, fds));
	EXPECT_EQ(-EINVAL, reset_with(self->a.fd, 2, fds));
	EXPECT_EQ(-EINVAL, reset_with(self->a.fd, 1, fds));
	EXPECT_EQ(-EINVAL, reset(self->a.fd));
	EXPECT_EQ(-EINVAL, reset(self->b.fd));
	EXPECT_EQ(1, marked(&self->a));
	EXPECT_EQ(1, marked(&self->b));
}

TEST_F(groups, a_device_in_a_container_is_another_context_s)
{
	struct info info;

	ASSERT_EQ(0, device_open(&self->a, self->iommufd));
	ASSERT_EQ(0, open_by_group(&self->gb, self->container, &self->b));
	ASSERT_EQ(0, get_info(self->a.fd, &info));
	EXPECT_EQ(DEV_ID, info.head.flags);
	EXPECT_EQ(NOT_OWNED, id_in(&info, &self->b));
	EXPECT_EQ(NOT_OWNED, id_in(&info, &self->c));
	EXPECT_EQ(-EINVAL, reset(self->a.fd));
}

/* One context by both ways is one owner. */
TEST_F(groups, a_group_with_the_same_iommufd_is_the_context_s)
{
	struct info info;
	uint32_t ioas;

	ASSERT_EQ(0, ioas_alloc(self->iommufd, &ioas));
	ASSERT_EQ(0, device_open(&self->a, self->iommufd));
	ASSERT_EQ(0, open_by_group(&self->gb, self->iommufd, &self->b));
	ASSERT_EQ(0, get_info(self->a.fd, &info));
	EXPECT_EQ(ALL_OWNED, info.head.flags);
	EXPECT_EQ(self->a.id, id_in(&info, &self->a));
	EXPECT_LT(0, (int)id_in(&info, &self->b));
	ASSERT_EQ(0, mark(&self->a));
	ASSERT_EQ(0, mark(&self->b));
	EXPECT_EQ(0, reset(self->a.fd));
	EXPECT_EQ(0, marked(&self->a));
	EXPECT_EQ(0, marked(&self->b));
	/* The group's device is not reset by context, it has a group. */
	EXPECT_EQ(-EINVAL, reset(self->b.fd));
}

/* ---- attacks on the page that the driver reads, and on the file ---- */

struct attack {
	pthread_t thread;
	atomic_bool stop;
	atomic_ulong page;
	struct request texts[4];
	unsigned long nr_hits;
};

/* Where the next mapping of one page will be. */
static unsigned long next_page(void)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	munmap(page, PAGE);
	return (unsigned long)page;
}

static void *rewrite(void *arg)
{
	struct attack *attack = arg;
	int mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	unsigned int i;

	/* Where nothing is mapped a write fails, and no more. */
	for (i = 0; !atomic_load(&attack->stop); i++)
		if (pwrite(mem, &attack->texts[i % 4], sizeof(attack->texts[0]),
			   attack->page) > 0)
			attack->nr_hits++;
	close(mem);
	return NULL;
}

static void attack_text(struct attack *attack, unsigned int i,
			unsigned int count, int fd0, int fd1, int fd2)
{
	attack->texts[i] = (struct request){
		.head.argsz = sizeof(struct request), .head.count = count,
		.fds = { fd0, fd1, fd2 },
	};
}

static unsigned int now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Resets under attack. How many succeeded, or an errno that should not be. */
static int reset_under(struct attack *attack, int fd, unsigned int ms)
{
	unsigned int until;
	int rc = 0, nr_done = 0;
	unsigned long nr = 0;

	atomic_init(&attack->stop, false);
	attack->nr_hits = 0;
	attack->page = 0;
	if (pthread_create(&attack->thread, NULL, rewrite, attack))
		return -EIO;
	/* A thread has a stack and an arena: let them be mapped before. */
	usleep(100000);
	attack->page = next_page();
	until = now_ms() + ms;
	/* It takes a while until both run at once. */
	while (now_ms() < until || (!attack->nr_hits && now_ms() < until + 30000)) {
		rc = reset(fd);
		nr++;
		if (!rc)
			nr_done++;
		else if (rc != -EINVAL && rc != -EBADF && rc != -EFAULT &&
			 rc != -EAGAIN && rc != -EBUSY)
			break;
		rc = 0;
	}
	atomic_store(&attack->stop, true);
	pthread_join(attack->thread, NULL);
	fprintf(stderr, "# %lu resets, %d done, %lu rewrites\n", nr, nr_done,
	       attack->nr_hits);
	return rc ?: nr_done;
}

TEST_F_TIMEOUT(bus, rewriting_the_page_does_not_reset_what_is_another_s, 120)
{
	struct attack attack;

	ASSERT_EQ(0, device_open(&self->a, self->other));
	ASSERT_EQ(0, device_open(&self->b, self->iommufd));
	ASSERT_EQ(0, device_open(&self->c, self->iommufd));
	ASSERT_EQ(0, mark_all(self));
	/* The victim's own file, were it passed around. */
	attack_text(&attack, 0, 1, self->a.fd, 0, 0);
	attack_text(&attack, 1, 2, self->a.fd, self->b.fd, 0);
	attack_text(&attack, 2, 2, self->b.fd, self->a.fd, 0);
	attack_text(&attack, 3, 3, self->c.fd, self->a.fd, self->b.fd);
	EXPECT_EQ(0, reset_under(&attack, self->b.fd, 3000));
	EXPECT_LT(0, attack.nr_hits);
	EXPECT_EQ(1, marked(&self->a));
	EXPECT_EQ(1, marked(&self->b));
	EXPECT_EQ(1, marked(&self->c));
}

TEST_F_TIMEOUT(groups, rewriting_the_page_does_not_mix_group_and_context, 120)
{
	struct attack attack;

	ASSERT_EQ(0, device_open(&self->a, self->iommufd));
	ASSERT_EQ(0, open_by_group(&self->gb, self->container, &self->b));
	ASSERT_EQ(0, mark(&self->a));
	ASSERT_EQ(0, mark(&self->b));
	attack_text(&attack, 0, 2, self->a.fd, self->gb.file, 0);
	attack_text(&attack, 1, 2, self->gb.file, self->a.fd, 0);
	attack_text(&attack, 2, 1, self->gb.file, 0, 0);
	attack_text(&attack, 3, 3, self->a.fd, self->gb.file, self->a.fd);
	EXPECT_EQ(0, reset_under(&attack, self->a.fd, 3000));
	EXPECT_LT(0, attack.nr_hits);
	EXPECT_EQ(1, marked(&self->a));
	EXPECT_EQ(1, marked(&self->b));
}

/* Whoever owns everything can spoil his own resets, no more. */
TEST_F_TIMEOUT(bus, rewriting_the_page_spoils_one_s_own_reset, 120)
{
	struct attack attack;

	ASSERT_EQ(0, open_all(self));
	ASSERT_EQ(0, mark_all(self));
	attack_text(&attack, 0, 1, self->a.fd, 0, 0);
	attack_text(&attack, 1, 0, 0, 0, 0);
	attack_text(&attack, 2, UINT32_MAX, 0, 0, 0);
	attack_text(&attack, 3, 1, 999, 0, 0);
	EXPECT_LE(0, reset_under(&attack, self->b.fd, 3000));
	EXPECT_EQ(0, reset(self->b.fd));
	EXPECT_EQ(0, marked(&self->a));
}

struct swapper {
	atomic_bool stop;
	int number;
	int good;
	int bad;
};

static void *swap_files(void *arg)
{
	struct swapper *swapper = arg;

	while (!atomic_load(&swapper->stop)) {
		dup2(swapper->bad, swapper->number);
		sched_yield();
		dup2(swapper->good, swapper->number);
		sched_yield();
	}
	return NULL;
}

/* The number comes to mean the victim's file, and back. */
TEST_F_TIMEOUT(bus, another_file_under_the_number_resets_nothing, 120)
{
	struct swapper swapper;
	pthread_t thread;
	unsigned int until;
	int rc, nr_done = 0;

	ASSERT_EQ(0, device_open(&self->a, self->other));
	ASSERT_EQ(0, device_open(&self->b, self->iommufd));
	ASSERT_EQ(0, device_open(&self->c, self->iommufd));
	ASSERT_EQ(0, mark_all(self));
	swapper.good = self->b.fd;
	swapper.bad = self->a.fd;
	swapper.number = dup(self->b.fd);
	ASSERT_LE(0, swapper.number);
	atomic_init(&swapper.stop, false);
	ASSERT_EQ(0, pthread_create(&thread, NULL, swap_files, &swapper));
	for (until = now_ms() + 3000; now_ms() < until;) {
		rc = reset(swapper.number);
		nr_done += !rc;
		EXPECT_NE(-EIO, rc);
	}
	atomic_store(&swapper.stop, true);
	pthread_join(thread, NULL);
	close(swapper.number);
	EXPECT_EQ(0, nr_done);
	EXPECT_EQ(1, marked(&self->a));
	EXPECT_EQ(1, marked(&self->b));
}

/* ---- at the same time ---- */

struct resetter {
	pthread_t thread;
	atomic_bool *stop;
	int fd;
	int nr_done;
	int nr_refused;
	int nr_busy;
	int rc;
};

static void *reset_in_loop(void *arg)
{
	struct resetter *r = arg;
	int rc;

	while (!atomic_load(r->stop) && !r->rc) {
		rc = reset(r->fd);
		switch (rc) {
		case 0:
			r->nr_done++;
			break;
		case -EINVAL:
			r->nr_refused++;
			break;
		case -EBUSY:
		case -EAGAIN:
			r->nr_busy++;
			break;
		default:
			r->rc = rc;
		}
	}
	return NULL;
}

static int resetter_start(struct resetter *r, atomic_bool *stop, int fd)
{
	*r = (struct resetter){ .stop = stop, .fd = fd };
	return -pthread_create(&r->thread, NULL, reset_in_loop, r);
}

static void resetter_join(struct resetter *r)
{
	pthread_join(r->thread, NULL);
	fprintf(stderr, "# %d resets, %d refused, %d busy\n", r->nr_done, r->nr_refused,
	       r->nr_busy);
}

TEST_F_TIMEOUT(bus, resets_of_several_threads_and_files_take_turns, 120)
{
	struct resetter r[3];
	atomic_bool stop;
	int i;

	ASSERT_EQ(0, open_all(self));
	atomic_init(&stop, false);
	ASSERT_EQ(0, resetter_start(&r[0], &stop, self->a.fd));
	ASSERT_EQ(0, resetter_start(&r[1], &stop, self->a.fd));
	ASSERT_EQ(0, resetter_start(&r[2], &stop, self->b.fd));
	sleep(8);
	atomic_store(&stop, true);
	for (i = 0; i < 3; i++) {
		resetter_join(&r[i]);
		EXPECT_EQ(0, r[i].rc);
		EXPECT_EQ(0, r[i].nr_refused);
		EXPECT_LT(0, r[i].nr_done);
	}
	ASSERT_EQ(0, mark_all(self));
	EXPECT_EQ(0, reset_insist(self->c.fd));
	EXPECT_EQ(0, marked(&self->a));
}

TEST_F_TIMEOUT(bus, the_driver_leaves_and_comes_back_meanwhile, 240)
{
	struct resetter r;
	struct info info;
	atomic_bool stop;
	int i;

	ASSERT_EQ(0, device_open(&self->a, self->iommufd));
	ASSERT_EQ(0, device_open(&self->b, self->iommufd));
	atomic_init(&stop, false);
	ASSERT_EQ(0, resetter_start(&r, &stop, self->a.fd));
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(0, pci_unbind_vfio(self->c.bdf));
		EXPECT_EQ(0, get_info(self->a.fd, &info));
		EXPECT_EQ(DEV_ID, info.head.flags);
		usleep(50000);
		EXPECT_EQ(0, pci_bind_vfio(self->c.bdf));
		EXPECT_EQ(0, get_info(self->a.fd, &info));
		EXPECT_EQ(ALL_OWNED, info.head.flags);
		usleep(300000);
	}
	atomic_store(&stop, true);
	resetter_join(&r);
	EXPECT_EQ(0, r.rc);
	EXPECT_LT(0, r.nr_done);
	EXPECT_LT(0, r.nr_refused);
	EXPECT_EQ(0, reset_insist(self->a.fd));
}

/* From BIND to close of another context nobody resets its device. */
TEST_F_TIMEOUT(bus, another_context_comes_and_goes_meanwhile, 240)
{
	struct resetter r;
	atomic_bool stop;
	int i, rc, nr_mine = 0;

	ASSERT_EQ(0, device_open(&self->b, self->iommufd));
	atomic_init(&stop, false);
	ASSERT_EQ(0, resetter_start(&r, &stop, self->b.fd));
	for (i = 0; i < 40; i++) {
		/* Now the one context, now the other. */
		rc = device_open(&self->a, i & 1 ? self->other : self->iommufd);
		if (rc) {
			/* vfio-pci cannot have the lock during a reset */
			EXPECT_EQ(-EAGAIN, rc);
			continue;
		}
		if (i & 1) {
			EXPECT_EQ(0, mark(&self->a));
			usleep(30000);
			EXPECT_EQ(1, marked(&self->a));
			nr_mine++;
		} else {
			usleep(200000);
		}
		device_close(&self->a);
	}
	atomic_store(&stop, true);
	resetter_join(&r);
	EXPECT_EQ(0, r.rc);
	EXPECT_LT(0, nr_mine);
	EXPECT_LT(0, r.nr_done);
	EXPECT_LT(0, r.nr_refused);
}

TEST_F_TIMEOUT(bus, killed_in_the_middle, 120)
{
	int i, status;
	pid_t pid;

	ASSERT_EQ(0, open_all(self));
	for (i = 0; i < 8; i++) {
		pid = fork();
		if (!pid) {
			for (;;)
				reset(self->a.fd);
		}
		ASSERT_LT(0, pid);
		usleep(50000 + 17000 * i);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
	}
	ASSERT_EQ(0, mark_all(self));
	EXPECT_EQ(0, reset_insist(self->a.fd));
	EXPECT_EQ(0, marked(&self->c));
}

/* ---- the other ways to share a reset ---- */

TEST_F_TIMEOUT(bus, slot_of_two_functions, 60)
{
	struct device first, second;
	struct info info;

	ASSERT_EQ(0, find(ROOT_PORT, "00.1", NVME, &second));
	first = second;
	first.bdf[11] = '0';
	ASSERT_EQ(0, pci_bind_vfio(second.bdf));
	ASSERT_EQ(0, device_open(&first, self->iommufd));
	ASSERT_EQ(0, get_info(first.fd, &info));
	EXPECT_EQ(ALL_OWNED, info.head.flags);
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(first.id, id_in(&info, &first));
	EXPECT_EQ(VFIO_PCI_DEVID_OWNED, id_in(&info, &second));
	ASSERT_EQ(0, mark(&first));
	EXPECT_EQ(0, reset(first.fd));
	EXPECT_EQ(0, marked(&first));

	ASSERT_EQ(0, device_open(&second, self->iommufd));
	ASSERT_EQ(0, mark(&first));
	ASSERT_EQ(0, mark(&second));
	EXPECT_EQ(0, reset(second.fd));
	EXPECT_EQ(0, marked(&first));
	EXPECT_EQ(0, marked(&second));
	device_close(&second);
	ASSERT_EQ(0, pci_unbind_vfio(second.bdf));
	ASSERT_EQ(0, mark(&first));
	EXPECT_EQ(-EINVAL, reset(first.fd));
	EXPECT_EQ(1, marked(&first));
	device_close(&first);
	EXPECT_EQ(0, pci_bind_vfio(second.bdf));
}

TEST_F_TIMEOUT(bus, one_group_behind_a_conventional_bridge, 60)
{
	struct device first, second;
	struct info info;

	ASSERT_EQ(0, find(PCI_BRIDGE, "01.0", E1000, &first));
	ASSERT_EQ(0, find(PCI_BRIDGE, "02.0", E1000, &second));
	ASSERT_EQ(0, pci_bind_vfio(second.bdf));
	ASSERT_EQ(0, device_open(&first, self->iommufd));
	ASSERT_EQ(0, get_info(first.fd, &info));
	EXPECT_EQ(ALL_OWNED, info.head.flags);
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(VFIO_PCI_DEVID_OWNED, id_in(&info, &second));
	ASSERT_EQ(0, mark(&first));
	EXPECT_EQ(1, marked(&first));
	EXPECT_EQ(0, reset(first.fd));
	EXPECT_EQ(0, marked(&first));
	ASSERT_EQ(0, device_open(&second, self->iommufd));
	ASSERT_EQ(0, mark(&second));
	EXPECT_EQ(0, reset(first.fd));
	EXPECT_EQ(0, marked(&second));
	device_close(&first);
	device_close(&second);
}

TEST_F(bus, on_the_root_bus_is_enodev)
{
	struct device device;
	struct info info;

	ASSERT_EQ(0, find(NULL, "1d.0", NVME, &device));
	ASSERT_EQ(0, device_open(&device, self->iommufd));
	ASSERT_EQ(0, mark(&device));
	EXPECT_EQ(-ENODEV, get_info(device.fd, &info));
	EXPECT_EQ(-ENODEV, reset(device.fd));
	EXPECT_EQ(1, marked(&device));
	device_close(&device);
}

/* ---- a PF and its VFs ---- */

static int bind_with_token(struct device *device, int iommufd, char token[16])
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
		.iommufd = iommufd,
		.token_uuid_ptr = (uintptr_t)token,
	};
	int rc = ioctl_rc(device->fd, VFIO_DEVICE_BIND_IOMMUFD, &cmd);

	device->id = cmd.out_devid;
	return rc;
}

/* The PF, which is the only one with VFs to offer. */
static int find_pf(struct device *pf)
{
	char total[32], path[PATH_MAX];
	struct dirent *entry;
	DIR *dir = opendir("/sys/bus/pci/devices");

	memset(pf, 0, sizeof(*pf));
	while (dir && (entry = readdir(dir))) {
		pci_attribute(entry->d_name, "sriov_totalvfs", total);
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn",
			 entry->d_name);
		if (atoi(total) < 1 || !access(path, F_OK))
			continue;
		snprintf(pf->bdf, sizeof(pf->bdf), "%.15s", entry->d_name);
		pf->is_nvme = true;
		pf->fd = -1;
		closedir(dir);
		return 0;
	}
	if (dir)
		closedir(dir);
	return -ENODEV;
}

TEST_F_TIMEOUT(bus, a_pf_with_vfs_is_not_reset_and_a_vf_is_not, 120)
{
	char token[16] = "0123456789abcde", path[PATH_MAX], link[PATH_MAX];
	struct device pf, vf = { .fd = -1, .is_nvme = true };
	struct info info;
	ssize_t length;

	ASSERT_EQ(0, find_pf(&pf));
	ASSERT_EQ(0, sysfs_write("/sys/module/vfio_pci/parameters/enable_sriov",
				 "1"));
	ASSERT_EQ(0, device_open(&pf, -1));
	ASSERT_EQ(0, bind_with_token(&pf, self->iommufd, token));
	ASSERT_EQ(0, get_info(pf.fd, &info));
	EXPECT_EQ(ALL_OWNED, info.head.flags);
	EXPECT_EQ(1, info.head.count);
	ASSERT_EQ(0, mark(&pf));
	EXPECT_EQ(0, reset(pf.fd));
	EXPECT_EQ(0, marked(&pf));

	/* With VFs that nobody uses yet. */
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs",
		 pf.bdf);
	ASSERT_EQ(0, sysfs_write(path, "1"));
	ASSERT_EQ(0, mark(&pf));
	EXPECT_EQ(-EINVAL, reset(pf.fd));
	EXPECT_EQ(1, marked(&pf));

	/* And with one that the same context has. */
	snprintf(link, sizeof(link), "/sys/bus/pci/devices/%s/virtfn0", pf.bdf);
	length = readlink(link, path, sizeof(path) - 1);
	ASSERT_LT(0, length);
	path[length] = '\0';
	snprintf(vf.bdf, sizeof(vf.bdf), "%.15s", strrchr(path, '/') + 1);
	ASSERT_EQ(0, device_open(&vf, -1));
	ASSERT_EQ(0, bind_with_token(&vf, self->iommufd, token));
	ASSERT_EQ(0, get_info(pf.fd, &info));
	EXPECT_EQ(DEV_ID, info.head.flags);
	EXPECT_EQ(2, info.head.count);
	EXPECT_EQ(pf.id, id_in(&info, &pf));
	EXPECT_EQ(NOT_OWNED, id_in(&info, &vf));
	EXPECT_EQ(-EINVAL, reset(pf.fd));
	ASSERT_EQ(0, get_info(vf.fd, &info));
	EXPECT_EQ(DEV_ID, info.head.flags);
	EXPECT_EQ(NOT_OWNED, id_in(&info, &pf));
	EXPECT_EQ(vf.id, id_in(&info, &vf));
	EXPECT_EQ(-EINVAL, reset(vf.fd));
	EXPECT_EQ(1, marked(&pf));

	device_close(&vf);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs",
		 pf.bdf);
	ASSERT_EQ(0, sysfs_write(path, "0"));
	EXPECT_EQ(0, reset_insist(pf.fd));
	EXPECT_EQ(0, marked(&pf));
	device_close(&pf);
}

/* ---- every allocation and user copy fails once ---- */

static int sweep(struct device *device, int (*call)(int fd), bool reads_mark)
{
	int fd = fault_open(), n, rc, fired;

	for (n = 1; n < 400; n++) {
		if (reads_mark && mark(device))
			return -EIO;
		if (fault_arm(fd, n))
			return -EIO;
		rc = call(device->fd);
		fired = fault_disarm(fd);
		if (fired < 0)
			return -EIO;
		if (rc && rc != -ENOMEM && rc != -EFAULT)
			return rc;
		/* It was reset, if and only if the call says so. */
		if (reads_mark && marked(device) != !!rc)
			return -ERANGE;
		if (!fired) {
			close(fd);
			fprintf(stderr, "# %d points\n", n - 1);
			return rc;
		}
	}
	return -E2BIG;
}

static int call_info(int fd)
{
	struct info info;

	return get_info(fd, &info);
}

TEST_F_TIMEOUT(bus, a_fault_in_reset_leaves_all_as_it_was, 300)
{
	if (fault_none())
		SKIP(return, "no fault injection in this kernel");
	ASSERT_EQ(0, fault_setup());
	ASSERT_EQ(0, fault_choose(FAULT_SLAB));
	ASSERT_EQ(0, open_all(self));
	EXPECT_EQ(0, sweep(&self->a, call_info, false));
	EXPECT_EQ(0, sweep(&self->a, reset, true));
}

TEST_HARNESS_MAIN
