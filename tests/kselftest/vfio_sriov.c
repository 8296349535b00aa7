// SPDX-License-Identifier: GPL-2.0
/*
 * VFs of a PF that userspace has, too: who has the PF sets a token, and who wants a
 * VF must know it. QEMU's NVMe with two VFs, all under vfio-pci. Through device files;
 * with VFIO_WAY=group through groups, and then on the stock modules as well, which
 * say what is right. In the end VFs are taken away while they are open.
 */
#include <poll.h>
#include <stddef.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include "group_utils.h"
#include "kselftest_harness.h"

static const uint8_t token[16] = "\x12\x34\x56\x78\x9a\xbc\x4d\xef"
				 "\x80\x01\x02\x03\x04\x05\x06\x07";
#define TOKEN_TEXT	"12345678-9abc-4def-8001-020304050607"
static const uint8_t wrong[16] = "\x12\x34\x56\x78\x9a\xbc\x4d\xef"
				 "\x80\x01\x02\x03\x04\x05\x06\x08";
#define WRONG_TEXT	"12345678-9abc-4def-8001-020304050608"

static bool by_group(void)
{
	const char *way = getenv("VFIO_WAY");

	return way && !strcmp(way, "group");
}

/* A function in use, by either way. */
struct user {
	int dev, group, context;
};

static void user_close(struct user *user)
{
	close(user->dev);
	close(user->group);
	close(user->context);
}

static int bind_token(int dev, int iommufd, const void *uuid)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = sizeof(cmd),
		.flags = uuid ? VFIO_DEVICE_BIND_FLAG_TOKEN : 0,
		.iommufd = iommufd,
		.token_uuid_ptr = (uintptr_t)uuid,
	};

	return ioctl_rc(dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd);
}

static int user_open(struct user *user, const char *bdf, const uint8_t *uuid)
{
	char path[64], name[128];
	int rc;

	user->dev = user->group = user->context = -1;
	if (!by_group()) {
		rc = vfio_cdev_path(bdf, path);
		if (rc)
			return rc;
		user->context = iommufd_open();
		user->dev = open(path, O_RDWR | O_CLOEXEC);
		if (user->dev < 0)
			rc = -errno;
		rc = rc ?: bind_token(user->dev, user->context, uuid);
	} else {
		rc = pci_group_path(bdf, path);
		user->context = container_open();
		user->group = rc ?: group_open(path);
		rc = user->group < 0 ? user->group : 0;
		rc = rc ?: group_set_container(user->group, user->context);
		rc = rc ?: container_set_iommu(user->context, VFIO_TYPE1v2_IOMMU);
		snprintf(name, sizeof(name), uuid ? "%s vf_token=%s" : "%s", bdf,
			 uuid == token ? TOKEN_TEXT : WRONG_TEXT);
		if (!rc) {
			user->dev = group_device(user->group, name);
			rc = user->dev < 0 ? user->dev : 0;
		}
	}
	if (rc)
		user_close(user);
	return rc;
}

static int set_token(int dev, const uint8_t *uuid)
{
	struct {
		struct vfio_device_feature head;
		uint8_t uuid[16];
	} arg = {
		.head = {
			.argsz = sizeof(arg),
			.flags = VFIO_DEVICE_FEATURE_SET |
				 VFIO_DEVICE_FEATURE_PCI_VF_TOKEN,
		},
	};

	memcpy(arg.uuid, uuid, 16);
	return ioctl_rc(dev, VFIO_DEVICE_FEATURE, &arg);
}

static int set_vfs(const char *bdf, const char *number)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs", bdf);
	return sysfs_write(path, number);
}

static int vf_bdf(const char *pf, int nr, char bdf[static 16])
{
	char path[PATH_MAX], link[PATH_MAX];
	ssize_t length;
	int i;

	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/virtfn%d", pf, nr);
	length = readlink(path, link, sizeof(link) - 1);
	if (length < 0)
		return -errno;
	link[length] = '\0';
	snprintf(bdf, 16, "%.15s", strrchr(link, '/') + 1);
	for (i = 0; i < 200 && !pci_driver_is(bdf, "vfio-pci"); i++)
		usleep(10000);
	return i < 200 ? 0 : -ENODEV;
}

FIXTURE(sriov)
{
	char pf[16];
	char vf[2][16];
	struct user owner;
};

/*
 * The PF is opened first and stays open: vfio-pci resets what it opens and closes,
 * and QEMU's VFs do not survive a reset of their PF.
 */
FIXTURE_SETUP(sriov)
{
	int i;

	ASSERT_EQ(0, sysfs_write("/sys/module/vfio_pci/parameters/enable_sriov",
				 "1"));
	ASSERT_EQ(0, pci_find("0x1b36", "0x0010", 0, self->pf));
	ASSERT_EQ(0, pci_bind_vfio(self->pf));
	ASSERT_EQ(0, user_open(&self->owner, self->pf, NULL));
	ASSERT_EQ(0, set_token(self->owner.dev, token));
	ASSERT_EQ(0, set_vfs(self->pf, "2"));
	for (i = 0; i < 2; i++)
		ASSERT_EQ(0, vf_bdf(self->pf, i, self->vf[i]));
}

FIXTURE_TEARDOWN(sriov)
{
	user_close(&self->owner);
	EXPECT_EQ(0, set_vfs(self->pf, "0"));
	EXPECT_EQ(0, pci_unbind_vfio(self->pf));
}

TEST_F(sriov, vf_needs_the_token)
{
	struct user one, two;

	EXPECT_EQ(-EACCES, user_open(&one, self->vf[0], NULL));
	EXPECT_EQ(-EACCES, user_open(&one, self->vf[0], wrong));
	ASSERT_EQ(0, user_open(&one, self->vf[0], token));
	EXPECT_EQ(0, vfio_get_info(one.dev));
	ASSERT_EQ(0, user_open(&two, self->vf[1], token));
	EXPECT_EQ(0, vfio_get_info(two.dev));
	user_close(&two);
	user_close(&one);
	EXPECT_EQ(-EACCES, user_open(&one, self->vf[0], NULL));
}

TEST_F(sriov, token_of_later_is_the_one)
{
	struct user one;

	ASSERT_EQ(0, set_token(self->owner.dev, wrong));
	EXPECT_EQ(-EACCES, user_open(&one, self->vf[0], token));
	ASSERT_EQ(0, user_open(&one, self->vf[0], wrong));
	user_close(&one);
}

/* Who finds the PF in use must not set its token in passing. */
TEST_F(sriov, token_for_a_pf_in_use_changes_nothing)
{
	struct user one;

	if (by_group())
		return;	/* such a group is EBUSY already */
	EXPECT_EQ(-EBUSY, user_open(&one, self->pf, wrong));
	ASSERT_EQ(0, user_open(&one, self->vf[0], token));
	user_close(&one);
}

TEST_F(sriov, argument_of_the_token_is_judged_before_the_token)
{
	struct vfio_device_bind_iommufd cmd = {
		.argsz = offsetof(struct vfio_device_bind_iommufd, token_uuid_ptr),
		.flags = VFIO_DEVICE_BIND_FLAG_TOKEN,
	};
	uint8_t longer[64] = {};
	char path[64];
	void *hole;
	int dev;

	if (by_group())
		return;
	hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_EQ(0, vfio_cdev_path(self->vf[0], path));
	dev = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, dev);
	cmd.iommufd = iommufd_open();
	ASSERT_LE(0, cmd.iommufd);
	EXPECT_EQ(-EINVAL, ioctl_rc(dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd));
	EXPECT_EQ(-EFAULT, bind_token(dev, cmd.iommufd, hole));
	EXPECT_EQ(-EFAULT, bind_token(dev, cmd.iommufd, (char *)hole + PAGE - 8));
	EXPECT_EQ(-EFAULT, bind_token(dev, -1, hole));
	/* Without the flag the pointer does not count. */
	cmd.argsz = sizeof(cmd);
	cmd.flags = 0;
	cmd.token_uuid_ptr = (uintptr_t)hole;
	EXPECT_EQ(-EACCES, ioctl_rc(dev, VFIO_DEVICE_BIND_IOMMUFD, &cmd));
	/* Every length that has the field, up to those of later versions. */
	cmd.flags = VFIO_DEVICE_BIND_FLAG_TOKEN;
	cmd.token_uuid_ptr = (uintptr_t)token;
	cmd.argsz = sizeof(longer);
	memcpy(longer, &cmd, sizeof(cmd));
	longer[sizeof(cmd)] = 1;
	EXPECT_EQ(-E2BIG, ioctl_rc(dev, VFIO_DEVICE_BIND_IOMMUFD, longer));
	longer[sizeof(cmd)] = 0;
	EXPECT_EQ(0, ioctl_rc(dev, VFIO_DEVICE_BIND_IOMMUFD, longer));
	EXPECT_EQ(0, vfio_get_info(dev));
	close(cmd.iommufd);
	close(dev);
	munmap(hole, PAGE);
}

TEST_F(sriov, words_after_the_name_are_judged)
{
	char path[64], name[128];
	int group, container;

	if (!by_group())
		return;
	ASSERT_EQ(0, pci_group_path(self->vf[0], path));
	group = group_open(path);
	ASSERT_LE(0, group);
	container = container_open();
	ASSERT_EQ(0, group_set_container(group, container));
	ASSERT_EQ(0, container_set_iommu(container, VFIO_TYPE1v2_IOMMU));
	snprintf(name, sizeof(name), "%s vf_token=", self->vf[0]);
	EXPECT_EQ(-EINVAL, group_device(group, name));
	snprintf(name, sizeof(name), "%s nonsense", self->vf[0]);
	EXPECT_EQ(-EINVAL, group_device(group, name));
	snprintf(name, sizeof(name), "%sx", self->vf[0]);
	EXPECT_EQ(-ENODEV, group_device(group, name));
	close(group);
	close(container);
}

TEST_F_TIMEOUT(sriov, vfs_that_are_open_go_when_they_are_closed, 120)
{
	char path[PATH_MAX], number[8];
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLIN } };
	struct user users[2], one, late;
	int status, i;
	struct stat st;
	pid_t pid;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, user_open(&users[i], self->vf[i], token));
		fds[i].fd = vfio_request_event(users[i].dev);
		ASSERT_LE(0, fds[i].fd);
	}
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		user_close(&self->owner);
		user_close(&users[0]);
		user_close(&users[1]);
		_exit(set_vfs(self->pf, "0") ? 1 : 0);
	}
	/* One after the other, each when its user lets it go. */
	for (i = 0; i < 2; i++) {
		EXPECT_EQ(1, poll(&fds[i], 1, 60000));
		EXPECT_EQ(0, waitpid(pid, &status, WNOHANG));
		EXPECT_EQ(0, vfio_get_info(users[i].dev));
		/* Nobody new gets in meanwhile. */
		if (!by_group()) {
			EXPECT_EQ(-ENODEV, user_open(&late, self->vf[i], token));
		}
		user_close(&users[i]);
		close(fds[i].fd);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s",
			 self->vf[i]);
		EXPECT_EQ(-1, stat(path, &st));
	}
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/sriov_numvfs",
		 self->pf);
	sysfs_read(path, number, sizeof(number));
	EXPECT_STREQ("0", number);
	/* And again: numbers of groups and files are free. */
	ASSERT_EQ(0, set_vfs(self->pf, "2"));
	ASSERT_EQ(0, vf_bdf(self->pf, 0, self->vf[0]));
	ASSERT_EQ(0, user_open(&one, self->vf[0], token));
	EXPECT_EQ(0, vfio_get_info(one.dev));
	user_close(&one);
}

/*
 * With VFs in use the next owner of the PF must know the token. The last test, as
 * it resets the PF.
 */
TEST_F_TIMEOUT(sriov, pf_needs_the_token_while_vfs_are_open, 120)
{
	struct user one;

	ASSERT_EQ(0, user_open(&one, self->vf[0], token));
	user_close(&self->owner);
	EXPECT_EQ(-EACCES, user_open(&self->owner, self->pf, NULL));
	EXPECT_EQ(-EACCES, user_open(&self->owner, self->pf, wrong));
	EXPECT_EQ(0, user_open(&self->owner, self->pf, token));
	user_close(&one);
}

TEST_HARNESS_MAIN
