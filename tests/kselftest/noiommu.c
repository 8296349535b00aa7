// SPDX-License-Identifier: GPL-2.0
/*
 * Devices without an IOMMU: through groups, for the privileged, when the administrator
 * accepted it, and the kernel is tainted. QEMU's edu in a machine without IOMMU.
 * (Debian's own vfio is built without this mode, so there is no control.) The tests
 * build on each other: the first ones switch the mode on, the last one off.
 */
#include <linux/capability.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../dma/edu.h"
#include "group_utils.h"
#include "kselftest_harness.h"

#define MODE	"/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
#define TAINT_USER	(1 << 6)

static long tainted(void)
{
	char line[32];

	sysfs_read("/proc/sys/kernel/tainted", line, sizeof(line));
	return strtol(line, NULL, 10);
}

/* /dev/vfio/noiommu-N of the edu device. */
static int noiommu_path(const char *bdf, char path[static 64])
{
	char device[64];

	snprintf(device, sizeof(device), "/sys/bus/pci/devices/%s", bdf);
	return group_path_of(device, "noiommu-", path);
}

/* Without CAP_SYS_RAWIO from now on. */
static int drop_rawio(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	if (syscall(SYS_capget, &head, data))
		return -errno;
	data[0].effective &= ~(1 << CAP_SYS_RAWIO);
	return syscall(SYS_capset, &head, data) ? -errno : 0;
}

TEST(device_is_refused_unless_the_mode_is_on)
{
	char bdf[16], line[8];

	sysfs_read(MODE, line, sizeof(line));
	ASSERT_STREQ("N", line);
	ASSERT_EQ(0, pci_find("0x1234", "0x11e8", 0, bdf));
	EXPECT_EQ(-ENODEV, pci_bind_vfio(bdf));
	EXPECT_EQ(0, tainted() & TAINT_USER);
}

TEST(container_has_the_extension_when_the_mode_is_on)
{
	int container = container_open();

	ASSERT_LE(0, container);
	EXPECT_EQ(0, container_extension(container, VFIO_NOIOMMU_IOMMU));
	ASSERT_EQ(0, sysfs_write(MODE, "1"));
	EXPECT_EQ(1, container_extension(container, VFIO_NOIOMMU_IOMMU));
	ASSERT_EQ(0, sysfs_write(MODE, "0"));
	EXPECT_EQ(0, container_extension(container, VFIO_NOIOMMU_IOMMU));
	ASSERT_EQ(0, sysfs_write(MODE, "1"));
	close(container);
}

TEST(device_is_accepted_with_a_taint_when_the_mode_is_on)
{
	char bdf[16], path[64];

	ASSERT_EQ(0, pci_find("0x1234", "0x11e8", 0, bdf));
	ASSERT_EQ(0, pci_bind_vfio(bdf));
	ASSERT_EQ(0, noiommu_path(bdf, path));
	EXPECT_NE(0, tainted() & TAINT_USER);
}

FIXTURE(noiommu)
{
	char bdf[16];
	char path[64];
	int container, group;
};

FIXTURE_SETUP(noiommu)
{
	ASSERT_EQ(0, pci_find("0x1234", "0x11e8", 0, self->bdf));
	ASSERT_EQ(0, noiommu_path(self->bdf, self->path));
	self->container = container_open();
	ASSERT_LE(0, self->container);
	self->group = group_open(self->path);
	ASSERT_LE(0, self->group);
}

FIXTURE_TEARDOWN(noiommu)
{
	close(self->group);
	close(self->container);
}

TEST_F(noiommu, container_becomes_one_without_iommu)
{
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_status(self->group));
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	EXPECT_EQ(1, container_extension(self->container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(0, container_extension(self->container, VFIO_TYPE1_IOMMU));
	EXPECT_EQ(0, container_extension(self->container, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-EINVAL, group_device(self->group, self->bdf));
	EXPECT_EQ(-ENODEV, container_set_iommu(self->container,
					       VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-EINVAL, container_set_iommu(self->container,
					       VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(0, group_unset_container(self->group));
	/* Empty, it can become either again. */
	EXPECT_EQ(1, container_extension(self->container, VFIO_TYPE1v2_IOMMU));
}

TEST_F(noiommu, nothing_can_be_mapped)
{
	static char page[PAGE] __attribute__((aligned(PAGE)));

	ASSERT_EQ(0, group_set_container(self->group, self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-ENOTTY, dma_map(self->container, DMA_RW, page, PAGE, PAGE));
	EXPECT_EQ(-ENOTTY, dma_unmap(self->container, 0, PAGE, PAGE));
}

static uint64_t physical(const void *p)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (pread(fd, &entry, 8, (uintptr_t)p / PAGE * 8) != 8)
		entry = 0;
	close(fd);
	return (entry & ((1ULL << 55) - 1)) * PAGE;
}

/* That is the point of it, and the danger. */
TEST_F(noiommu, device_does_dma_to_physical_memory)
{
	uint8_t *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	struct edu edu;
	int dev, i;

	ASSERT_NE(MAP_FAILED, page);
	ASSERT_EQ(0, mlock(page, PAGE));
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_NOIOMMU_IOMMU));
	dev = group_device(self->group, self->bdf);
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, edu_init(&edu, dev));
	for (i = 0; i < 1024; i++)
		page[i] = i * 3 + i / 256;
	ASSERT_NE(0, physical(page));
	ASSERT_EQ(0, edu_dma(&edu, false, physical(page), 1024));
	ASSERT_EQ(0, edu_dma(&edu, true, physical(page) + 2048, 1024));
	EXPECT_EQ(0, memcmp(page, page + 2048, 1024));
	EXPECT_EQ(3, page[1]);
	edu_uninit(&edu);
	EXPECT_EQ(-EBUSY, group_unset_container(self->group));
	close(dev);
	EXPECT_EQ(0, group_unset_container(self->group));
}

/* Each step asks again: a file may have come from somebody else. */
TEST_F(noiommu, everything_needs_the_capability)
{
	int step, status;
	pid_t pid;

	for (step = 0; step < 3; step++) {
		if (step == 2) {
			ASSERT_EQ(0, group_set_container(self->group,
							 self->container));
			ASSERT_EQ(0, container_set_iommu(self->container,
							 VFIO_NOIOMMU_IOMMU));
		}
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			int rc = drop_rawio();

			if (rc)
				_exit(200);
			if (step == 0) {
				rc = group_open(self->path);
			} else if (step == 1) {
				rc = group_set_container(self->group,
							 self->container);
			} else {
				rc = group_device(self->group, self->bdf);
			}
			_exit(rc < 0 ? -rc : 0);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(EPERM, WEXITSTATUS(status)) {
			TH_LOG("step %d", step);
		}
	}
}

TEST_F(noiommu, group_is_open_once)
{
	EXPECT_EQ(-EBUSY, group_open(self->path));
}

TEST_F(noiommu, device_file_does_not_bind)
{
	char path[64];
	int dev, iommufd;

	close(self->group);
	self->group = -1;
	ASSERT_EQ(0, vfio_cdev_path(self->bdf, path));
	dev = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, dev);
	iommufd = iommufd_open();
	ASSERT_LE(0, iommufd);
	EXPECT_EQ(-ENODEV, vfio_bind(dev, iommufd, NULL));
	EXPECT_EQ(-EINVAL, vfio_get_info(dev));
	close(iommufd);
	close(dev);
}

TEST_F(noiommu, iommufd_is_no_container_for_it)
{
	int iommufd;

	iommufd = iommufd_open();
	ASSERT_LE(0, iommufd);
	EXPECT_EQ(0, container_extension(iommufd, VFIO_NOIOMMU_IOMMU));
	EXPECT_EQ(-EINVAL, group_set_container(self->group, iommufd));
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE, group_status(self->group));
	close(iommufd);
}

TEST_F(noiommu, kernel_log_names_the_device_and_who_opened_it)
{
	char line[1024];
	int dev, found = 0, kmsg = open("/dev/kmsg", O_RDONLY | O_NONBLOCK);
	ssize_t length;

	ASSERT_LE(0, kmsg);
	ASSERT_LE(0, lseek(kmsg, 0, SEEK_END));
	ASSERT_EQ(0, group_set_container(self->group, self->container));
	ASSERT_EQ(0, container_set_iommu(self->container, VFIO_NOIOMMU_IOMMU));
	dev = group_device(self->group, self->bdf);
	ASSERT_LE(0, dev);
	while ((length = read(kmsg, line, sizeof(line) - 1)) > 0) {
		line[length] = '\0';
		found += strstr(line, self->bdf) &&
			 strstr(line, "without an IOMMU by noiommu ");
	}
	EXPECT_EQ(1, found);
	close(dev);
	close(kmsg);
}

TEST_F(noiommu, group_goes_with_the_driver_and_the_mode_can_go_before)
{
	struct stat st;

	close(self->group);
	self->group = -1;
	ASSERT_EQ(0, sysfs_write(MODE, "0"));
	ASSERT_EQ(0, pci_unbind_vfio(self->bdf));
	EXPECT_EQ(-1, stat(self->path, &st));
	EXPECT_EQ(-ENODEV, pci_bind_vfio(self->bdf));
}

TEST_HARNESS_MAIN
