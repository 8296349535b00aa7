// SPDX-License-Identifier: GPL-2.0
/*
 * A device belongs to who has its file, and to nobody when the last one is gone: files
 * that are passed on, and processes that are killed anywhere on the way from open to
 * close, with DMA running, through a device's own file and a group. QEMU's edu. (fork,
 * exec and dup are in vfio_cdev.)
 */
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "../kselftest/group_utils.h"
#include "edu.h"
#include "slow_memory.h"
#include "kselftest_harness.h"

#define X	0x200000UL

FIXTURE(process)
{
	char bdf[16];
	char path[64];
	char *memory;		/* shared, 4 pages */
	long pins;
};

FIXTURE_VARIANT(process)
{
	bool group;
};

FIXTURE_VARIANT_ADD(process, cdev) { };
FIXTURE_VARIANT_ADD(process, group) { .group = true };

FIXTURE_SETUP(process)
{
	ASSERT_EQ(0, edu_group_path(0, self->bdf, self->path));
	self->memory = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	ASSERT_NE(MAP_FAILED, self->memory);
	self->pins = pinned_now();
}

FIXTURE_TEARDOWN(process)
{
	munmap(self->memory, 4 * PAGE);
	EXPECT_EQ(self->pins, pinned_now());
}

/* The device, on the path to memory. @iommufd: made here */
static int device_open(bool group, const char *path, const char *bdf, int *iommufd,
		       uint32_t *ioas)
{
	int dev, fd, rc;

	*iommufd = iommufd_open();
	rc = ioas_alloc(*iommufd, ioas);
	if (!group) {
		dev = edu_open();
		rc = rc ?: vfio_bind(dev, *iommufd, NULL);
		rc = rc ?: vfio_attach(dev, *ioas, NULL);
	} else {
		rc = rc ?: iommufd_vfio_ioas(*iommufd, IOMMU_VFIO_IOAS_SET, ioas);
		fd = group_open(path);
		rc = rc ?: fd < 0 ? fd : group_set_container(fd, *iommufd);
		dev = rc ?: group_device(fd, bdf);
		close(fd);
	}
	return rc ?: dev;
}

/* May somebody else have the device, and is it as new? 0 or -errno. */
static int is_free(bool group, const char *path, const char *bdf)
{
	int iommufd, dev = device_open(group, path, bdf, &iommufd, &(uint32_t){ 0 });
	struct vfio_region_info region;
	uint16_t command = 0xffff;
	int rc;

	rc = dev < 0 ? dev : vfio_region_info(dev, VFIO_PCI_CONFIG_REGION_INDEX,
					      &region);
	if (!rc && pread(dev, &command, 2, region.offset + PCI_COMMAND) != 2)
		rc = -EIO;
	if (!rc && command & PCI_COMMAND_MASTER)
		rc = -EUCLEAN;
	close(dev);
	close(iommufd);
	return rc;
}

static int send_files(int socket, const int *fds, unsigned int nr)
{
	char control[CMSG_SPACE(2 * sizeof(int))] = {}, byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(nr * sizeof(int)),
	};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(nr * sizeof(int));
	memcpy(CMSG_DATA(head), fds, nr * sizeof(int));
	return sendmsg(socket, &msg, 0) == 1 ? 0 : -errno;
}

static int receive_files(int socket, int *fds, unsigned int nr)
{
	char control[CMSG_SPACE(2 * sizeof(int))] = {}, byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(nr * sizeof(int)),
	};

	if (recvmsg(socket, &msg, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&msg))
		return -EIO;
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&msg)), nr * sizeof(int));
	return 0;
}

TEST_F(process, device_goes_along_with_its_file)
{
	int sockets[2], fds[2], status;
	struct edu edu;
	uint32_t ioas;
	char byte = 0;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	/* Before there is anything to be inherited. */
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(sockets[0]);
		if (read(sockets[1], &byte, 1) != 1 ||
		    receive_files(sockets[1], fds, 2) || edu_init(&edu, fds[0]) ||
		    edu_dma(&edu, false, X, EDU_MAX) ||
		    edu_dma(&edu, true, X + PAGE, EDU_MAX))
			_exit(1);
		/* And it is no guest: all that the file can do. */
		if (!variant->group && (vfio_detach(fds[0]) ||
					vfio_get_info(fds[0])))
			_exit(2);
		_exit(0);
	}
	close(sockets[1]);
	fds[0] = device_open(variant->group, self->path, self->bdf, &fds[1], &ioas);
	ASSERT_LE(0, fds[0]);
	ASSERT_EQ(0, ioas_map_fixed(fds[1], ioas, RW, self->memory, 4 * PAGE, X));
	memset(self->memory, 0x3c, EDU_MAX);
	memset(self->memory + PAGE, 0, EDU_MAX);
	ASSERT_EQ(1, write(sockets[0], &byte, 1));
	ASSERT_EQ(0, send_files(sockets[0], fds, 2));
	close(fds[0]);
	close(fds[1]);
	/* In the socket or with the other process: it is not free. */
	EXPECT_EQ(-EBUSY, variant->group ? group_open(self->path) :
		  is_free(false, self->path, self->bdf));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, memcmp(self->memory, self->memory + PAGE, EDU_MAX));
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(0, is_free(variant->group, self->path, self->bdf));
	close(sockets[0]);
}

TEST_F(process, file_that_nobody_receives_goes_with_the_socket)
{
	int sockets[2], fds[2];
	uint32_t ioas;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets));
	fds[0] = device_open(variant->group, self->path, self->bdf, &fds[1], &ioas);
	ASSERT_LE(0, fds[0]);
	ASSERT_EQ(0, ioas_map_fixed(fds[1], ioas, RW, self->memory, PAGE, X));
	ASSERT_EQ(0, send_files(sockets[0], fds, 2));
	close(fds[0]);
	close(fds[1]);
	EXPECT_EQ(self->pins + 1, pinned_now());
	EXPECT_EQ(-EBUSY, is_free(variant->group, self->path, self->bdf));
	close(sockets[0]);
	close(sockets[1]);
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(0, is_free(variant->group, self->path, self->bdf));
}

/* A transfer takes QEMU a tenth of a second: it is killed in the middle. */
TEST_F(process, dma_of_a_killed_process_stops)
{
	int pipes[2], status, i;
	char byte = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct edu edu;
		uint32_t ioas;
		int iommufd, dev;

		dev = device_open(variant->group, self->path, self->bdf, &iommufd,
				  &ioas);
		if (dev < 0 || edu_init(&edu, dev) ||
		    ioas_map_fixed(iommufd, ioas, RW, self->memory, PAGE, X))
			_exit(1);
		memset(self->memory, 0x77, EDU_MAX);
		if (edu_dma(&edu, false, X, EDU_MAX))
			_exit(2);
		memset(self->memory, 0, EDU_MAX);
		edu_start(&edu, true, X, EDU_MAX);
		if (write(pipes[1], &byte, 1) != 1)
			_exit(3);
		pause();
	}
	close(pipes[1]);
	ASSERT_EQ(1, read(pipes[0], &byte, 1));
	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(SIGKILL, status);
	EXPECT_EQ(self->pins, pinned_now());
	/* The memory may belong to anybody now. */
	memset(self->memory, 0x11, EDU_MAX);
	usleep(300000);
	for (i = 0; i < EDU_MAX && self->memory[i] == 0x11; i++)
		;
	EXPECT_EQ(EDU_MAX, i);
	EXPECT_EQ(0, is_free(variant->group, self->path, self->bdf));
	close(pipes[0]);
}

/* All of the way, again and again. */
static void live(bool group, const char *path, const char *bdf, char *memory)
{
	int iommufd, dev, i;
	uint32_t ioas, other;
	struct edu edu;

	for (;;) {
		dev = device_open(group, path, bdf, &iommufd, &ioas);
		if (dev < 0 || edu_init(&edu, dev))
			_exit(1);
		for (i = 0; i < 3; i++) {
			if (ioas_map_fixed(iommufd, ioas, RW, memory, 4 * PAGE, X))
				_exit(2);
			edu_start(&edu, i & 1, X, EDU_MAX);
			if (!group && (ioas_alloc(iommufd, &other) ||
				       vfio_attach(dev, other, NULL) ||
				       vfio_attach(dev, ioas, NULL)))
				_exit(3);
			if (ioas_unmap(iommufd, ioas, X, 4 * PAGE, NULL))
				_exit(4);
		}
		if (!group && vfio_detach(dev))
			_exit(5);
		edu_uninit(&edu);
		close(dev);
		close(iommufd);
	}
}

TEST_F_TIMEOUT(process, killed_anywhere_a_process_leaves_nothing, 120)
{
	unsigned int seed = 1;
	int status, i;
	pid_t pid;

	for (i = 0; i < 30; i++) {
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			live(variant->group, self->path, self->bdf, self->memory);
		usleep(rand_r(&seed) % 60000);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(SIGKILL, status);
		ASSERT_EQ(self->pins, pinned_now());
		ASSERT_EQ(0, is_free(variant->group, self->path, self->bdf));
	}
}

static void *attach_or_join(void *arg)
{
	int *fds = arg;

	/* fds: iommufd, device or -1, group or -1, IOAS */
	if (fds[1] >= 0)
		vfio_attach(fds[1], fds[3], NULL);
	else
		group_set_container(fds[2], fds[0]);
	return NULL;
}

TEST_F(process, killed_while_an_attach_waits_for_memory)
{
	int pipes[2], status, i, rc = 0;
	char byte = 0;
	pid_t pid;

	ASSERT_EQ(0, pipe(pipes));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		int fds[4] = { iommufd_open(), -1, -1, 0 };
		struct slow_memory slow;
		pthread_t thread;
		uint32_t ioas;

		if (slow_memory_make(&slow, PAGE) || ioas_alloc(fds[0], &ioas) ||
		    iommufd_vfio_ioas(fds[0], IOMMU_VFIO_IOAS_SET, &ioas) ||
		    ioas_map_fixed(fds[0], ioas, RW, slow.p, PAGE, X))
			_exit(1);
		fds[3] = ioas;
		if (variant->group) {
			fds[2] = group_open(self->path);
		} else {
			fds[1] = edu_open();
			if (vfio_bind(fds[1], fds[0], NULL))
				_exit(2);
		}
		if (pthread_create(&thread, NULL, attach_or_join, fds) ||
		    slow_memory_wait(&slow) || write(pipes[1], &byte, 1) != 1)
			_exit(3);
		pause();
	}
	close(pipes[1]);
	ASSERT_EQ(1, read(pipes[0], &byte, 1));
	kill(pid, SIGKILL);
	for (i = 0; i < 500 && !rc; i++) {
		rc = waitpid(pid, &status, WNOHANG);
		usleep(10000);
	}
	ASSERT_EQ(pid, rc);
	EXPECT_EQ(SIGKILL, status);
	EXPECT_EQ(self->pins, pinned_now());
	EXPECT_EQ(0, is_free(variant->group, self->path, self->bdf));
	close(pipes[0]);
}

TEST_HARNESS_MAIN
