// SPDX-License-Identifier: GPL-2.0
/*
 * A device is pulled out and plugged in again while it is in use: QEMU's edu, by
 * QEMU's monitor (tests/vm/run --qmp). Whatever its file has come to, the user is
 * asked by the request interrupt, goes on until it closes, and then nothing is left;
 * a file that is not bound is in nobody's way.
 */
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "../dma/edu.h"
#include "group_utils.h"
#include "qmp.h"
#include "kselftest_harness.h"

#define X	0x200000UL

enum state { NONE, OPENED, BOUND, ATTACHED, DMA, GROUP };

static bool exists(const char *path)
{
	struct stat st;

	return !stat(path, &st);
}

static bool comes(const char *path, bool wanted)
{
	int i;

	for (i = 0; i < 1200; i++) {
		if (exists(path) == wanted)
			return true;
		usleep(50000);
	}
	return false;
}

static bool fires(int event, int ms)
{
	struct pollfd fd = { .fd = event, .events = POLLIN };

	return poll(&fd, 1, ms) == 1;
}

FIXTURE(hotplug)
{
	char bdf[16];
	char sysfs[64];
	char group_path[64];
	char node[64];
	int monitor;
	int iommufd;
	uint32_t ioas;
	char *memory;
	long pins;
};

FIXTURE_VARIANT(hotplug)
{
	enum state state;
	bool killed;		/* instead of being closed */
};

FIXTURE_VARIANT_ADD(hotplug, opened) { .state = OPENED };
FIXTURE_VARIANT_ADD(hotplug, bound) { .state = BOUND };
FIXTURE_VARIANT_ADD(hotplug, attached) { .state = ATTACHED };
FIXTURE_VARIANT_ADD(hotplug, dma) { .state = DMA };
FIXTURE_VARIANT_ADD(hotplug, group) { .state = GROUP };
FIXTURE_VARIANT_ADD(hotplug, killed) { .state = DMA, .killed = true };

FIXTURE_SETUP(hotplug)
{
	ASSERT_EQ(0, edu_group_path(0, self->bdf, self->group_path));
	snprintf(self->sysfs, sizeof(self->sysfs), "/sys/bus/pci/devices/%s",
		 self->bdf);
	ASSERT_EQ(0, vfio_cdev_path(self->bdf, self->node));
	self->monitor = qmp_open();
	ASSERT_LE(0, self->monitor);
	/* Only the first one of the machine's life is expected. */
	qmp(self->monitor, "qmp_capabilities", "{}");
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	self->memory = pages_alloc(2 * PAGE);
	ASSERT_NE(NULL, self->memory);
	self->pins = pinned_now();
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, self->memory,
				    2 * PAGE, X));
}

FIXTURE_TEARDOWN(hotplug)
{
	close(self->iommufd);
	close(self->monitor);
	EXPECT_EQ(self->pins, pinned_now());
}

/* The device file, brought to a state; and its request interrupt. */
static int bring(enum state state, int iommufd, uint32_t ioas,
		 const char *group_path, const char *bdf, struct edu *edu,
		 int *event)
{
	int rc = 0, dev, group;

	*event = -1;
	if (state == GROUP) {
		group = group_open(group_path);
		rc = iommufd_vfio_ioas(iommufd, IOMMU_VFIO_IOAS_SET, &ioas);
		rc = rc ?: group_set_container(group, iommufd);
		dev = rc ?: group_device(group, bdf);
		close(group);
	} else {
		dev = edu_open();
	}
	if (dev < 0 || state == OPENED)
		return dev;
	if (state != GROUP)
		rc = vfio_bind(dev, iommufd, NULL);
	if (state == ATTACHED || state == DMA)
		rc = rc ?: vfio_attach(dev, ioas, NULL);
	rc = rc ?: edu_init(edu, dev);
	if (!rc)
		*event = vfio_request_event(dev);
	if (state == DMA && !rc)
		edu_start(edu, false, X, EDU_MAX);
	return rc ?: *event < 0 ? -EIO : dev;
}

/* The same in a process of its own, which waits to be killed. */
static pid_t bring_elsewhere(enum state state, int iommufd, uint32_t ioas,
			     const char *group_path, const char *bdf)
{
	int pipes[2], event;
	char byte = 1;
	pid_t pid;

	if (pipe(pipes))
		return -1;
	pid = fork();
	if (!pid) {
		struct edu edu;

		byte = bring(state, iommufd, ioas, group_path, bdf, &edu,
			     &event) < 0;
		if (write(pipes[1], &byte, 1) != 1 || byte)
			_exit(1);
		for (;;)
			edu_dma(&edu, false, X, EDU_MAX);
	}
	close(pipes[1]);
	if (read(pipes[0], &byte, 1) != 1 || byte)
		pid = -1;
	close(pipes[0]);
	return pid;
}

static int use_again(int iommufd, uint32_t ioas, char *memory)
{
	int dev, rc, tries = 0;
	struct edu edu;

	/* Its directory is there before drivers can have it. */
	do {
		if (tries)
			usleep(100000);
		dev = edu_open();
	} while ((dev == -ENODEV || dev == -ENOENT) && ++tries < 50);
	if (dev < 0)
		return dev;
	rc = vfio_bind(dev, iommufd, NULL);
	rc = rc ?: vfio_attach(dev, ioas, NULL);
	rc = rc ?: edu_init(&edu, dev);
	if (!rc) {
		memset(memory, 0x5a, EDU_MAX);
		rc = edu_dma(&edu, false, X, EDU_MAX);
		rc = rc ?: edu_dma(&edu, true, X + PAGE, EDU_MAX);
		rc = rc ?: memcmp(memory, memory + PAGE, EDU_MAX) ? -EIO : 0;
		edu_uninit(&edu);
	}
	close(dev);
	return rc;
}

/* The guest has let go of the device some time before the machine has. */
static int plug(int monitor)
{
	int i, rc = -EPERM;

	for (i = 0; rc == -EPERM && i < 100; i++) {
		if (i)
			usleep(200000);
		rc = qmp(monitor, "device_add",
			 "{\"driver\":\"edu\",\"id\":\"edu0\",\"bus\":\"rp-edu0\",\"dma_mask\":4294967295}");
	}
	return rc;
}

TEST_F_TIMEOUT(hotplug, device_is_unplugged_and_comes_back, 180)
{
	struct edu edu = {};
	int dev = -1, event, late;
	pid_t pid = -1;

	if (variant->killed) {
		pid = bring_elsewhere(variant->state, self->iommufd, self->ioas,
				      self->group_path, self->bdf);
		ASSERT_LT(0, pid);
	} else {
		dev = bring(variant->state, self->iommufd, self->ioas,
			    self->group_path, self->bdf, &edu, &event);
		ASSERT_LE(0, dev);
	}
	ASSERT_EQ(0, qmp(self->monitor, "device_del", "{\"id\":\"edu0\"}"));
	if (variant->killed) {
		/* The device stays while it is in use. */
		sleep(8);
		EXPECT_TRUE(exists(self->sysfs));
		kill(pid, SIGKILL);
		EXPECT_EQ(pid, waitpid(pid, NULL, 0));
	} else if (variant->state != OPENED) {
		EXPECT_TRUE(fires(event, 60000));
		/* Asked, not forced. */
		EXPECT_EQ(0, vfio_get_info(dev));
		EXPECT_TRUE(exists(self->sysfs));
		/* (edu_open() would wait for the device's lock.) */
		late = open(self->node, O_RDWR | O_CLOEXEC);
		EXPECT_EQ(-1, late);
		EXPECT_EQ(ENODEV, errno);
		if (variant->state != BOUND)
			EXPECT_EQ(0, edu_dma(&edu, false, X, EDU_MAX));
		edu_uninit(&edu);
		close(dev);
		close(event);
	}
	EXPECT_TRUE(comes(self->sysfs, false));
	EXPECT_TRUE(comes(self->group_path, false));
	if (variant->state == OPENED) {
		EXPECT_EQ(-ENODEV, vfio_bind(dev, self->iommufd, NULL));
		close(dev);
	}
	EXPECT_EQ(self->pins, pinned_now());

	ASSERT_EQ(0, plug(self->monitor));
	ASSERT_TRUE(comes(self->sysfs, true));
	EXPECT_EQ(0, use_again(self->iommufd, self->ioas, self->memory));
}

TEST_HARNESS_MAIN
