// SPDX-License-Identifier: GPL-2.0
/*
 * Groups where this project has more than the stock core: device files beside
 * them, /dev/iommu as a container, and KVM, which takes both kinds of file (needs
 * kvm_amd or kvm_intel).
 */
#include <stddef.h>
#include <signal.h>
#include <sys/wait.h>

#include <linux/kvm.h>

#include "../kselftest/group_utils.h"
#include "slow_memory.h"
#include "stage.h"
#include "kselftest_harness.h"

#define X	0x200000UL

FIXTURE(both)
{
	char bdf[16];
	char path[64];
	int iommufd;
	uint32_t ioas;
	char *memory;		/* 4 pages */
	long pins;
};

FIXTURE_SETUP(both)
{
	self->pins = pinned_now();
	ASSERT_EQ(0, edu_group_path(0, self->bdf, self->path));
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
	self->memory = pages_alloc(4 * PAGE);
	ASSERT_NE(NULL, self->memory);
}

FIXTURE_TEARDOWN(both)
{
	close(self->iommufd);
	munmap(self->memory, 4 * PAGE);
	EXPECT_EQ(self->pins, pinned_now());
}

TEST_F(both, group_stays_shut_while_a_device_file_is_bound)
{
	int group, dev = edu_open();

	ASSERT_LE(0, dev);
	/* Open and not bound, it is in nobody's way. */
	group = group_open(self->path);
	ASSERT_LE(0, group);
	close(group);

	ASSERT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
	EXPECT_EQ(-EBUSY, group_open(self->path));
	close(dev);
	group = group_open(self->path);
	EXPECT_LE(0, group);
	close(group);
}

TEST_F(both, device_file_does_not_bind_while_the_group_is_open)
{
	int group = group_open(self->path), dev = edu_open();

	ASSERT_LE(0, group);
	ASSERT_LE(0, dev);
	EXPECT_EQ(-EBUSY, vfio_bind(dev, self->iommufd, NULL));
	close(group);
	EXPECT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
	close(dev);
}

TEST_F(both, failed_bind_does_not_shut_the_group)
{
	int group, dev = edu_open();

	ASSERT_LE(0, dev);
	EXPECT_EQ(-EFAULT, ioctl_rc(dev, VFIO_DEVICE_BIND_IOMMUFD,
				    readonly_copy(&(struct vfio_device_bind_iommufd) {
					.argsz = sizeof(struct vfio_device_bind_iommufd),
					.iommufd = self->iommufd,
				    }, sizeof(struct vfio_device_bind_iommufd))));
	group = group_open(self->path);
	EXPECT_LE(0, group);
	close(group);
	close(dev);
}

/* One transfer each way at X, through an open device. */
static int prove(int dev, char *memory, uint32_t seed)
{
	struct edu edu;
	int rc;

	rc = edu_init(&edu, dev);
	if (rc)
		return rc;
	paint(memory, LENGTH, seed);
	rc = edu_dma(&edu, false, X, LENGTH);
	memset(memory, 0, LENGTH);
	rc = rc ?: edu_dma(&edu, true, X, LENGTH);
	edu_uninit(&edu);
	return rc ?: painted(memory, LENGTH, seed) ? -EIO : 0;
}

TEST_F(both, iommufd_is_a_container_with_the_address_space_of_choice)
{
	uint32_t ioas = self->ioas;
	int group, dev;

	ASSERT_EQ(0, iommufd_vfio_ioas(self->iommufd, IOMMU_VFIO_IOAS_SET, &ioas));
	group = group_open(self->path);
	ASSERT_LE(0, group);
	ASSERT_EQ(0, group_set_container(group, self->iommufd));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->iommufd, self->ioas));
	dev = group_device(group, self->bdf);
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, self->memory,
				    PAGE, X));
	EXPECT_EQ(0, prove(dev, self->memory, 1));

	/* The same address space by the ioctls of type1. */
	EXPECT_EQ(PAGE, dma_unmap(self->iommufd, 0, X, PAGE));
	EXPECT_EQ(0, dma_map(self->iommufd, DMA_RW, self->memory + PAGE, PAGE, X));
	EXPECT_EQ(0, prove(dev, self->memory + PAGE, 2));

	EXPECT_EQ(-ENOTTY, vfio_attach(dev, self->ioas, NULL));
	EXPECT_EQ(-ENOTTY, vfio_detach(dev));
	EXPECT_EQ(-ENOTTY, vfio_bind(dev, self->iommufd, NULL));
	close(dev);
	close(group);
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, self->ioas));
}

TEST_F(both, iommufd_without_a_choice_gets_an_address_space_that_stays)
{
	uint32_t ioas = 0;
	int group;

	EXPECT_EQ(-ENODEV, dma_map(self->iommufd, DMA_RW, self->memory, PAGE, X));
	EXPECT_EQ(VFIO_API_VERSION, ioctl(self->iommufd, VFIO_GET_API_VERSION));
	EXPECT_EQ(1, container_extension(self->iommufd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(-ENODEV, container_set_iommu(self->iommufd, VFIO_TYPE1_IOMMU));
	group = group_open(self->path);
	ASSERT_LE(0, group);
	ASSERT_EQ(0, group_set_container(group, self->iommufd));
	EXPECT_EQ(0, iommufd_vfio_ioas(self->iommufd, IOMMU_VFIO_IOAS_GET, &ioas));
	EXPECT_NE(0, ioas);
	EXPECT_NE(self->ioas, ioas);
	EXPECT_EQ(0, container_set_iommu(self->iommufd, VFIO_TYPE1v2_IOMMU));
	EXPECT_EQ(0, dma_map(self->iommufd, DMA_RW, self->memory, PAGE, X));
	EXPECT_EQ(self->pins + 1, pinned_now());
	ASSERT_EQ(0, group_unset_container(group));
	EXPECT_EQ(self->pins, pinned_now());
	/* The mapping is there, without a device that needs it. */
	EXPECT_EQ(-EEXIST, dma_map(self->iommufd, DMA_RW, self->memory, PAGE, X));
	EXPECT_EQ(0, iommufd_destroy(self->iommufd, ioas));
	close(group);
}

TEST_F(both, address_space_of_the_node_goes_with_its_groups)
{
	int group, container = container_open();
	uint32_t ioas = 0;

	ASSERT_LE(0, container);
	EXPECT_EQ(-ENODEV, iommufd_vfio_ioas(container, IOMMU_VFIO_IOAS_GET, &ioas));
	group = group_open(self->path);
	ASSERT_LE(0, group);
	ASSERT_EQ(0, group_set_container(group, container));
	ASSERT_EQ(0, container_set_iommu(container, VFIO_TYPE1v2_IOMMU));
	ASSERT_EQ(0, iommufd_vfio_ioas(container, IOMMU_VFIO_IOAS_GET, &ioas));
	EXPECT_EQ(-EBUSY, iommufd_destroy(container, ioas));
	EXPECT_EQ(0, ioas_map_fixed(container, ioas, RW, self->memory, PAGE, X));
	EXPECT_EQ(-EEXIST, dma_map(container, DMA_RW, self->memory, PAGE, X));
	EXPECT_EQ(1, container_extension(container, VFIO_TYPE1_IOMMU));
	ASSERT_EQ(0, group_unset_container(group));
	EXPECT_EQ(-ENODEV, iommufd_vfio_ioas(container, IOMMU_VFIO_IOAS_GET, &ioas));
	EXPECT_EQ(-ENOENT, iommufd_destroy(container, ioas));
	EXPECT_EQ(self->pins, pinned_now());
	close(group);
	close(container);
}

TEST_F(both, container_of_another_kind_is_refused)
{
	int group = group_open(self->path), dev = edu_open();

	ASSERT_LE(0, group);
	ASSERT_LE(0, dev);
	EXPECT_EQ(-EINVAL, group_set_container(group, dev));
	EXPECT_EQ(-EINVAL, group_unset_container(group));
	close(dev);
	close(group);
}

/* A VM with its device for files, or -errno. */
static int kvm_vfio(int *vm)
{
	struct kvm_create_device create = { .type = KVM_DEV_TYPE_VFIO };
	int rc, kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0)
		return -errno;
	*vm = ioctl(kvm, KVM_CREATE_VM, 0);
	rc = *vm < 0 ? -errno : ioctl_rc(*vm, KVM_CREATE_DEVICE, &create);
	close(kvm);
	return rc ?: (int)create.fd;
}

static int kvm_file(int device, uint64_t attr, int fd)
{
	struct kvm_device_attr cmd = {
		.group = KVM_DEV_VFIO_GROUP,
		.attr = attr,
		.addr = (uintptr_t)&fd,
	};

	return ioctl_rc(device, KVM_SET_DEVICE_ATTR, &cmd);
}

TEST_F(both, kvm_takes_groups_and_device_files)
{
	int vm, device = kvm_vfio(&vm), group, dev;

	ASSERT_LE(0, device);
	group = group_open(self->path);
	ASSERT_LE(0, group);
	EXPECT_EQ(-EINVAL, kvm_file(device, KVM_DEV_VFIO_GROUP_ADD, self->iommufd));
	EXPECT_EQ(0, kvm_file(device, KVM_DEV_VFIO_GROUP_ADD, group));
	EXPECT_EQ(-EEXIST, kvm_file(device, KVM_DEV_VFIO_GROUP_ADD, group));
	EXPECT_EQ(0, kvm_file(device, KVM_DEV_VFIO_GROUP_DEL, group));
	EXPECT_EQ(-ENOENT, kvm_file(device, KVM_DEV_VFIO_GROUP_DEL, group));
	close(group);

	dev = edu_open();
	ASSERT_LE(0, dev);
	EXPECT_EQ(0, kvm_file(device, KVM_DEV_VFIO_GROUP_ADD, dev));
	EXPECT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
	EXPECT_EQ(0, vfio_attach(dev, self->ioas, NULL));
	EXPECT_EQ(0, vfio_get_info(dev));
	/* Which of the three is closed first must not matter. */
	close(vm);
	close(dev);
	close(device);
	dev = edu_open();
	ASSERT_LE(0, dev);
	EXPECT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
	close(dev);
}

TEST_F(both, kvm_goes_before_or_after_the_group)
{
	int vm, device, group, dev, container, round;

	for (round = 0; round < 2; round++) {
		device = kvm_vfio(&vm);
		ASSERT_LE(0, device);
		group = group_open(self->path);
		container = container_open();
		ASSERT_EQ(0, group_set_container(group, container));
		ASSERT_EQ(0, container_set_iommu(container, VFIO_TYPE1v2_IOMMU));
		ASSERT_EQ(0, kvm_file(device, KVM_DEV_VFIO_GROUP_ADD, group));
		dev = group_device(group, self->bdf);
		ASSERT_LE(0, dev);
		ASSERT_EQ(0, dma_map(container, DMA_RW, self->memory, PAGE, X));
		EXPECT_EQ(0, prove(dev, self->memory, 20 + round));
		if (round) {
			close(device);
			close(vm);
		}
		close(dev);
		close(group);
		close(container);
		if (!round) {
			close(device);
			close(vm);
		}
	}
	group = group_open(self->path);
	EXPECT_LE(0, group);
	close(group);
}

/* What others ask of a group while it waits for memory. */
enum ask { STATUS, SET, UNSET, DEVICE, OPEN, BIND, KVM, NR_ASKS };

struct joining {
	pthread_t thread;
	int group, iommufd, rc;
};

static void *join_container(void *arg)
{
	struct joining *joining = arg;

	joining->rc = group_set_container(joining->group, joining->iommufd);
	return NULL;
}

static void ask_group(enum ask ask, int group, const char *path, const char *bdf,
		      int iommufd, int dev)
{
	int vm;

	switch (ask) {
	case STATUS:
		group_status(group);
		break;
	case SET:
		group_set_container(group, iommufd);
		break;
	case UNSET:
		group_unset_container(group);
		break;
	case DEVICE:
		group_device(group, bdf);
		break;
	case OPEN:
		group_open(path);
		break;
	case BIND:
		vfio_bind(dev, iommufd, NULL);
		break;
	default:
		/* Only the process that made it may use a VM. */
		kvm_file(kvm_vfio(&vm), KVM_DEV_VFIO_GROUP_ADD, group);
	}
	_exit(0);
}

/* Within the time that a killed process may take; the status or -1. */
static int reap(pid_t pid)
{
	int i, status;

	for (i = 0; i < 500; i++) {
		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		usleep(10000);
	}
	return -1;
}

TEST_F(both, who_waits_for_a_group_that_waits_for_memory_can_be_killed)
{
	struct joining joining = { .iommufd = self->iommufd };
	int dev, status;
	uint32_t ioas = self->ioas;
	struct slow_memory slow;
	enum ask ask;
	pid_t pid;

	ASSERT_EQ(0, slow_memory_make(&slow, PAGE));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, ioas, RW, slow.p, PAGE, X));
	ASSERT_EQ(0, iommufd_vfio_ioas(self->iommufd, IOMMU_VFIO_IOAS_SET, &ioas));
	dev = edu_open();
	ASSERT_LE(0, dev);
	joining.group = group_open(self->path);
	ASSERT_LE(0, joining.group);
	ASSERT_EQ(0, pthread_create(&joining.thread, NULL, join_container,
				    &joining));
	ASSERT_EQ(0, slow_memory_wait(&slow));

	for (ask = 0; ask < NR_ASKS; ask++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			ask_group(ask, joining.group, self->path, self->bdf,
				  self->iommufd, dev);
		usleep(200000);
		EXPECT_EQ(0, waitpid(pid, &status, WNOHANG)) {
			TH_LOG("question %d did not wait", ask);
		}
		kill(pid, SIGKILL);
		EXPECT_EQ(SIGKILL, reap(pid)) {
			TH_LOG("question %d cannot be killed", ask);
		}
	}

	ASSERT_EQ(0, slow_memory_let_in(&slow));
	pthread_join(joining.thread, NULL);
	EXPECT_EQ(0, joining.rc);
	EXPECT_EQ(VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET,
		  group_status(joining.group));
	close(joining.group);
	EXPECT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
	close(dev);
	EXPECT_EQ(0, ioas_unmap(self->iommufd, ioas, X, PAGE, NULL));
	close(slow.uffd);
	munmap(slow.p, slow.length);
}

TEST_HARNESS_MAIN
