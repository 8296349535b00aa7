// SPDX-License-Identifier: GPL-2.0
/*
 * What an open device tells about itself in fdinfo; docs/fdinfo.md is the
 * contract. QEMU's edu as a physical device, the sample vcopy as an emulated one.
 */
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>

#include "../kselftest/group_utils.h"
#include "slow_memory.h"
#include "vcopy_utils.h"
#include "kselftest_harness.h"

/* The value of a key in the fdinfo of a file, or "" without one. */
static const char *value(int fd, const char *key)
{
	static char found[128];
	char path[64], line[256], *text;
	size_t length = strlen(key);
	FILE *f;

	found[0] = '\0';
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (strncmp(line, key, length) || strncmp(line + length, ":\t", 2))
			continue;
		text = line + length + 2;
		text[strcspn(text, "\n")] = '\0';
		/* Once. */
		snprintf(found, sizeof(found), "%.100s%s", text,
			 found[0] ? " and another" : "");
	}
	if (f)
		fclose(f);
	return found;
}

static bool __attribute__((format(printf, 3, 4)))
is(int fd, const char *key, const char *fmt, ...)
{
	const char *found = value(fd, key);
	char want[128];
	va_list args;

	va_start(args, fmt);
	vsnprintf(want, sizeof(want), fmt, args);
	va_end(args);
	if (strcmp(found, want))
		fprintf(stderr, "# %s: '%s', not '%s'\n", key, found, want);
	return !strcmp(found, want);
}

FIXTURE(fdinfo)
{
	char bdf[16];
	char path[64];
	int iommufd;
	uint32_t ioas;
};

FIXTURE_SETUP(fdinfo)
{
	ASSERT_EQ(0, edu_group_path(0, self->bdf, self->path));
	self->iommufd = iommufd_open();
	ASSERT_LE(0, self->iommufd);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &self->ioas));
}

FIXTURE_TEARDOWN(fdinfo)
{
	close(self->iommufd);
}

TEST_F(fdinfo, device_file_tells_how_far_it_has_come)
{
	char node[64], context[32];
	uint32_t id, hwpt;
	int dev = edu_open();

	ASSERT_LE(0, dev);
	ASSERT_EQ(0, vfio_cdev_path(self->bdf, node));
	EXPECT_TRUE(is(dev, "vfio-format", "1"));
	EXPECT_TRUE(is(dev, "device", "%s", self->bdf));
	EXPECT_TRUE(is(dev, "node", "%s", strrchr(node, '/') + 1));
	EXPECT_TRUE(is(dev, "kind", "physical"));
	EXPECT_TRUE(is(dev, "via", "cdev"));
	EXPECT_TRUE(is(dev, "state", "opened"));
	EXPECT_TRUE(is(dev, "iommufd", "%s", ""));
	EXPECT_TRUE(is(dev, "opens", "%s", ""));

	ASSERT_EQ(0, vfio_bind(dev, self->iommufd, &id));
	snprintf(context, sizeof(context), "%s", value(self->iommufd, "context"));
	EXPECT_NE('\0', context[0]);
	EXPECT_TRUE(is(dev, "state", "bound"));
	EXPECT_TRUE(is(dev, "driver", "vfio-pci"));
	EXPECT_TRUE(is(dev, "opens", "1"));
	EXPECT_TRUE(is(dev, "iommufd", "%s", context));
	EXPECT_TRUE(is(dev, "id", "%u", id));
	EXPECT_TRUE(is(dev, "hwpt", "0"));
	EXPECT_TRUE(is(dev, "ioas", "0"));

	ASSERT_EQ(0, vfio_attach(dev, self->ioas, &hwpt));
	EXPECT_TRUE(is(dev, "state", "attached"));
	EXPECT_TRUE(is(dev, "hwpt", "%u", hwpt));
	EXPECT_TRUE(is(dev, "ioas", "%u", self->ioas));

	ASSERT_EQ(0, vfio_detach(dev));
	EXPECT_TRUE(is(dev, "state", "bound"));
	EXPECT_TRUE(is(dev, "hwpt", "0"));
	EXPECT_TRUE(is(dev, "ioas", "0"));
	close(dev);
}

TEST_F(fdinfo, move_is_seen)
{
	uint32_t other, hwpt;
	int dev = edu_open();

	ASSERT_LE(0, dev);
	ASSERT_EQ(0, ioas_alloc(self->iommufd, &other));
	ASSERT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
	ASSERT_EQ(0, vfio_attach(dev, self->ioas, NULL));
	ASSERT_EQ(0, vfio_attach(dev, other, &hwpt));
	EXPECT_TRUE(is(dev, "hwpt", "%u", hwpt));
	EXPECT_TRUE(is(dev, "ioas", "%u", other));
	close(dev);
}

TEST_F(fdinfo, failed_bind_shows_nothing)
{
	int dev = edu_open();

	ASSERT_LE(0, dev);
	EXPECT_EQ(-EBADFD, vfio_bind(dev, dev, NULL));
	EXPECT_TRUE(is(dev, "state", "opened"));
	EXPECT_TRUE(is(dev, "id", "%s", ""));
	close(dev);
}

TEST_F(fdinfo, group_s_devices_tell_how_often_they_are_open)
{
	int group, container = container_open(), one, two;

	ASSERT_LE(0, container);
	group = group_open(self->path);
	ASSERT_LE(0, group);
	ASSERT_EQ(0, group_set_container(group, container));
	ASSERT_EQ(0, container_set_iommu(container, VFIO_TYPE1v2_IOMMU));
	one = group_device(group, self->bdf);
	ASSERT_LE(0, one);
	EXPECT_TRUE(is(one, "device", "%s", self->bdf));
	EXPECT_TRUE(is(one, "via", "group"));
	EXPECT_TRUE(is(one, "state", "attached"));
	EXPECT_TRUE(is(one, "opens", "1"));
	EXPECT_STRNE("", value(one, "iommufd"));
	EXPECT_STRNE("", value(one, "hwpt"));
	EXPECT_STRNE("0", value(one, "hwpt"));
	two = group_device(group, self->bdf);
	ASSERT_LE(0, two);
	EXPECT_TRUE(is(one, "opens", "2"));
	EXPECT_TRUE(is(two, "opens", "2"));
	close(one);
	EXPECT_TRUE(is(two, "opens", "1"));
	close(two);
	close(group);
	close(container);
}

TEST_F(fdinfo, emulated_device_has_an_address_space_and_no_page_table)
{
	char uuid[UUID_LEN + 1];
	uint32_t id;
	int dev;

	ASSERT_EQ(0, vcopy_create("pin", uuid));
	dev = vcopy_open(uuid);
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, vfio_bind(dev, self->iommufd, &id));
	EXPECT_TRUE(is(dev, "kind", "emulated"));
	EXPECT_TRUE(is(dev, "device", "%s", uuid));
	EXPECT_TRUE(is(dev, "id", "%u", id));
	EXPECT_TRUE(is(dev, "ioas", "0"));
	ASSERT_EQ(0, vfio_attach(dev, self->ioas, NULL));
	EXPECT_TRUE(is(dev, "state", "attached"));
	EXPECT_TRUE(is(dev, "ioas", "%u", self->ioas));
	EXPECT_TRUE(is(dev, "hwpt", "0"));
	close(dev);
	ASSERT_EQ(0, vcopy_remove(uuid));
}

TEST_F(fdinfo, file_of_a_device_that_is_gone_still_has_its_name)
{
	char uuid[UUID_LEN + 1];
	int dev;

	ASSERT_EQ(0, vcopy_create("pin", uuid));
	dev = vcopy_open(uuid);
	ASSERT_LE(0, dev);
	ASSERT_EQ(0, vcopy_remove(uuid));
	EXPECT_TRUE(is(dev, "device", "%s", uuid));
	EXPECT_TRUE(is(dev, "state", "opened"));
	EXPECT_EQ(-ENODEV, vfio_bind(dev, self->iommufd, NULL));
	close(dev);
}

struct attach {
	pthread_t thread;
	int dev, rc;
	uint32_t ioas;
};

static void *attach_main(void *arg)
{
	struct attach *attach = arg;

	attach->rc = vfio_attach(attach->dev, attach->ioas, NULL);
	return NULL;
}

TEST_F(fdinfo, reader_does_not_wait_for_an_attach_that_waits_for_memory)
{
	struct attach attach = { .ioas = self->ioas };
	struct slow_memory slow;

	ASSERT_EQ(0, slow_memory_make(&slow, PAGE));
	ASSERT_EQ(0, ioas_map_fixed(self->iommufd, self->ioas, RW, slow.p, PAGE,
				    PAGE));
	attach.dev = edu_open();
	ASSERT_LE(0, attach.dev);
	ASSERT_EQ(0, vfio_bind(attach.dev, self->iommufd, NULL));
	ASSERT_EQ(0, pthread_create(&attach.thread, NULL, attach_main, &attach));
	ASSERT_EQ(0, slow_memory_wait(&slow));
	EXPECT_TRUE(is(attach.dev, "state", "bound"));
	EXPECT_TRUE(is(attach.dev, "ioas", "0"));
	ASSERT_EQ(0, slow_memory_let_in(&slow));
	pthread_join(attach.thread, NULL);
	EXPECT_EQ(0, attach.rc);
	EXPECT_TRUE(is(attach.dev, "state", "attached"));
	close(attach.dev);
	close(slow.uffd);
}

/* One process binds, attaches and closes, the other reads. */
TEST_F(fdinfo, readers_and_everything_else_at_once)
{
	int i, dev, status;
	char path[64], text[1024];
	pid_t reader;

	for (i = 0; i < 20; i++) {
		dev = edu_open();
		ASSERT_LE(0, dev);
		reader = fork();
		ASSERT_LE(0, reader);
		if (!reader) {
			int fd, n;

			snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d",
				 getppid(), dev);
			close(dev);
			for (n = 0; n < 200; n++) {
				fd = open(path, O_RDONLY);
				while (fd >= 0 && read(fd, text, sizeof(text)) > 0)
					;
				close(fd);
			}
			_exit(0);
		}
		EXPECT_EQ(0, vfio_bind(dev, self->iommufd, NULL));
		EXPECT_EQ(0, vfio_attach(dev, self->ioas, NULL));
		EXPECT_EQ(0, vfio_detach(dev));
		close(dev);
		ASSERT_EQ(reader, waitpid(reader, &status, 0));
		EXPECT_EQ(0, status);
	}
}

TEST_HARNESS_MAIN
