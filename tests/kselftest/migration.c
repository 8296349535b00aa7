// SPDX-License-Identifier: GPL-2.0
/*
 * VFIO_DEVICE_FEATURE, migration and DMA logging, on the sample vcopy, which is the
 * only device of a test machine that has them. The type "pin" has RUNNING_P2P, "rw"
 * has not.
 *
 * What arrives is compared by content: memory, registers, configuration space; a
 * dirty bitmap bit by bit with what the copies were told to write.
 */
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "mock_utils.h"
#include "slow_memory.h"
#include "vcopy_utils.h"
#include "kselftest_harness.h"

#define GET		VFIO_DEVICE_FEATURE_GET
#define SET		VFIO_DEVICE_FEATURE_SET
#define PROBE		VFIO_DEVICE_FEATURE_PROBE
#define MIGRATION	VFIO_DEVICE_FEATURE_MIGRATION
#define STATE		VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE
#define START		VFIO_DEVICE_FEATURE_DMA_LOGGING_START
#define STOP		VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP
#define REPORT		VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT

#define AT_ERROR	VFIO_DEVICE_STATE_ERROR
#define AT_STOP		VFIO_DEVICE_STATE_STOP
#define AT_RUNNING	VFIO_DEVICE_STATE_RUNNING
#define AT_STOP_COPY	VFIO_DEVICE_STATE_STOP_COPY
#define AT_RESUMING	VFIO_DEVICE_STATE_RESUMING
#define AT_P2P		VFIO_DEVICE_STATE_RUNNING_P2P

#define CHUNK		65536UL		/* of the device */
#define NR_PAGES	256UL
#define LEN		(NR_PAGES * PAGE)
#define GiB		(1UL << 30)

/* The stream, see struct vcopy_image of the driver. */
#define IMAGE_LEN	(96 + 256 + VCOPY_BUFFER_SIZE)
#define IMAGE_VERSION	4
#define IMAGE_CAPS	8
#define IMAGE_CRC	12
#define IMAGE_JOB_LEN	64
#define IMAGE_JOB_DONE	72
#define IMAGE_ERROR	84
#define IMAGE_FLAGS	92

/* ---- features as functions ---- */

static int feature(int dev, uint32_t flags, void *data, size_t size)
{
	struct vfio_device_feature *arg = malloc(sizeof(*arg) + size);
	int rc;

	arg->argsz = sizeof(*arg) + size;
	arg->flags = flags;
	memcpy(arg->data, data, size);
	rc = ioctl_rc(dev, VFIO_DEVICE_FEATURE, arg);
	memcpy(data, arg->data, size);
	free(arg);
	return rc;
}

/* Returns a descriptor, or 0 when there is none, or -errno. */
static int mig_set(int dev, uint32_t state)
{
	struct vfio_device_feature_mig_state arg = { .device_state = state, .data_fd = 77 };
	int rc = feature(dev, STATE | SET, &arg, sizeof(arg));

	if (rc)
		return arg.data_fd == -1 ? rc : -ERANGE;
	return arg.data_fd == -1 ? 0 : arg.data_fd;
}

static int mig_get(int dev)
{
	struct vfio_device_feature_mig_state arg = { .device_state = 99, .data_fd = 77 };
	int rc = feature(dev, STATE | GET, &arg, sizeof(arg));

	return rc ?: arg.data_fd == -1 ? (int)arg.device_state : -ERANGE;
}

static int write_all(int fd, const uint8_t *data, size_t size, size_t at_once)
{
	ssize_t rc;

	for (; size; data += rc, size -= rc) {
		rc = write(fd, data, size < at_once ? size : at_once);
		if (rc <= 0)
			return rc ? -errno : -EIO;
	}
	return 0;
}

/* Up to the end of the stream. Returns its length. */
static ssize_t read_all(int fd, uint8_t *data, size_t room, size_t at_once)
{
	size_t done = 0;
	ssize_t rc;

	do {
		rc = read(fd, data + done, room - done < at_once ? room - done : at_once);
		if (rc < 0)
			return -errno;
		done += rc;
	} while (rc);
	return done;
}

/* The device as it is now; it goes back to STOP. */
static int image_get(int dev, uint8_t image[static IMAGE_LEN])
{
	uint8_t more;
	ssize_t rc;
	int fd = mig_set(dev, AT_STOP_COPY);

	if (fd <= 0)
		return fd ?: -ENOENT;
	rc = read_all(fd, image, IMAGE_LEN, IMAGE_LEN);
	if (rc == IMAGE_LEN)
		rc = read(fd, &more, 1) ? -E2BIG : 0;
	else if (rc >= 0)
		rc = -ENODATA;
	close(fd);
	return rc ?: mig_set(dev, AT_STOP);
}

/* Returns what leaving the state does. */
static int image_put(int dev, const uint8_t *image, size_t length, uint32_t state)
{
	int rc, fd = mig_set(dev, AT_RESUMING);

	if (fd <= 0)
		return fd ?: -ENOENT;
	rc = write_all(fd, image, length, length);
	close(fd);
	return rc ?: mig_set(dev, state);
}

static int log_start(int dev, uint64_t *page_size,
		     const struct vfio_device_feature_dma_logging_range *ranges, uint32_t nr)
{
	struct vfio_device_feature_dma_logging_control arg = {
		.page_size = *page_size,
		.num_ranges = nr,
		.ranges = (uintptr_t)ranges,
	};
	int rc = feature(dev, START | SET, &arg, sizeof(arg));

	*page_size = arg.page_size;
	return rc;
}

static int log_start_one(int dev, uint64_t page_size, uint64_t iova, uint64_t length)
{
	struct vfio_device_feature_dma_logging_range range = { iova, length };
	uint64_t got = page_size;
	int rc = log_start(dev, &got, &range, 1);

	return rc ?: got == page_size ? 0 : -ERANGE;
}

static int log_stop(int dev)
{
	return feature(dev, STOP | SET, NULL, 0);
}

static int log_report(int dev, uint64_t page_size, uint64_t iova, uint64_t length,
		      void *bitmap)
{
	struct vfio_device_feature_dma_logging_report arg = {
		.iova = iova,
		.length = length,
		.page_size = page_size,
		.bitmap = (uintptr_t)bitmap,
	};

	return feature(dev, REPORT | GET, &arg, sizeof(arg));
}

/* ---- a device ---- */

static void fill(void *p, size_t length, uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;
	uint8_t *bytes = p;

	while (length--) {
		state = state * 1664525 + 1013904223;
		*bytes++ = state >> 24;
	}
}

static uint32_t some(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

struct device {
	char uuid[UUID_LEN + 1];
	int dev, iommufd;
	uint32_t ioas;
	uint8_t *buf;			/* LEN bytes, mapped at BASE */
};

static int device_open(struct device *d)
{
	int rc;

	d->dev = vcopy_open(d->uuid);
	if (d->dev < 0)
		return d->dev;
	rc = vfio_bind(d->dev, d->iommufd, NULL);
	rc = rc ?: vfio_attach(d->dev, d->ioas, NULL);
	return rc ?: vcopy_bus_master(d->dev, true);
}

static int device_make(struct device *d, const char *type)
{
	int rc;

	d->dev = -1;
	d->buf = pages_alloc(LEN);
	d->iommufd = iommufd_open();
	rc = d->iommufd < 0 ? d->iommufd : ioas_alloc(d->iommufd, &d->ioas);
	rc = rc ?: ioas_map_fixed(d->iommufd, d->ioas, RW, d->buf, LEN, BASE);
	rc = rc ?: vcopy_create(type, d->uuid);
	return rc ?: device_open(d);
}

static int device_end(struct device *d)
{
	if (d->dev >= 0)
		close(d->dev);
	close(d->iommufd);
	munmap(d->buf, LEN);
	return vcopy_remove(d->uuid);
}

FIXTURE(device)
{
	struct device d;
	int dev;
	uint8_t *buf;
	uint8_t image[IMAGE_LEN];
	long pinned;
};

FIXTURE_VARIANT(device)
{
	const char *type, *other;
	bool pins;			/* and has P2P */
};

FIXTURE_VARIANT_ADD(device, pin) { .type = "pin", .other = "rw", .pins = true };
FIXTURE_VARIANT_ADD(device, rw) { .type = "rw", .other = "pin" };

FIXTURE_SETUP(device)
{
	self->pinned = pinned_now();
	ASSERT_LE(0, self->pinned);
	ASSERT_EQ(0, device_make(&self->d, variant->type));
	self->dev = self->d.dev;
	self->buf = self->d.buf;
}

FIXTURE_TEARDOWN(device)
{
	EXPECT_EQ(0, device_end(&self->d));
	EXPECT_EQ(self->pinned, pinned_now());
}

/* ---- the ioctl ---- */

static const struct {
	uint32_t number, ops;
	size_t size;
} features[] = {
	{ MIGRATION, GET, 8 }, { STATE, GET | SET, 8 }, { START, SET, 24 },
	{ STOP, SET, 0 }, { REPORT, GET, 32 },
};

TEST_F(device, each_feature_has_its_directions)
{
	uint8_t data[64] = "";
	uint32_t flags, ops;
	unsigned int i;
	int want;

	for (i = 0; i < 5; i++)
		for (flags = 0; flags <= (GET | SET | PROBE); flags += GET) {
			ops = flags & (GET | SET);
			want = flags & PROBE ? 0 : 1;
			if (ops & ~features[i].ops || flags == (GET | SET) || !flags)
				want = -EINVAL;
			/* a probe needs no data; what is done is for other tests */
			if (want <= 0)
				EXPECT_EQ(want, feature(self->dev, features[i].number | flags,
							data, want ? sizeof(data) : 0))
					TH_LOG("feature %u flags %x", features[i].number, flags);
		}
}

TEST_F(device, too_few_bytes_are_einval)
{
	uint32_t op;
	unsigned int i;
	uint8_t data[64] = "";
	size_t size;

	for (i = 0; i < 5; i++)
		for (op = GET; op <= SET; op <<= 1)
			for (size = 0; op & features[i].ops && size < features[i].size; size++)
				EXPECT_EQ(-EINVAL, feature(self->dev, features[i].number | op,
							   data, size));
	EXPECT_EQ(AT_RUNNING, mig_get(self->dev));
}

TEST_F(device, what_there_is_not_is_enotty)
{
	static const uint32_t numbers[] = { 0, 3, 4, 5, 9, 10, 11, 0xffff };
	uint8_t data[64] = "";
	unsigned int i;

	for (i = 0; i < 8; i++) {
		EXPECT_EQ(-ENOTTY, feature(self->dev, numbers[i] | GET, data, 64));
		EXPECT_EQ(-ENOTTY, feature(self->dev, numbers[i] | SET, data, 64));
		EXPECT_EQ(-ENOTTY, feature(self->dev, numbers[i] | PROBE, data, 64));
		EXPECT_EQ(-ENOTTY, feature(self->dev, numbers[i] | PROBE | GET | SET, data, 0));
		EXPECT_EQ(-ENOTTY, feature(self->dev, numbers[i], data, 0));
		/* first of all the flags are looked at */
		EXPECT_EQ(-EINVAL, feature(self->dev, numbers[i] | GET | SET, data, 64));
		EXPECT_EQ(-EINVAL, feature(self->dev, numbers[i] | PROBE | 1U << 19, data, 64));
		EXPECT_EQ(-EINVAL, feature(self->dev, numbers[i] | GET | 1U << 31, data, 64));
	}
}

TEST_F(device, the_argument_is_looked_at_first)
{
	uint8_t *pages = pages_alloc(2 * PAGE);
	struct vfio_device_feature *arg;

	arg = (void *)(pages + PAGE - sizeof(*arg));
	arg->flags = 0xffff | PROBE;
	for (arg->argsz = 0; arg->argsz < sizeof(*arg); arg->argsz++)
		EXPECT_EQ(-EINVAL, ioctl_rc(self->dev, VFIO_DEVICE_FEATURE, arg));
	EXPECT_EQ(-ENOTTY, ioctl_rc(self->dev, VFIO_DEVICE_FEATURE, arg));

	/* the data is not there, or only read */
	ASSERT_EQ(0, mprotect(pages + PAGE, PAGE, PROT_NONE));
	arg->argsz = sizeof(*arg) + 32;
	arg->flags = MIGRATION | GET | PROBE;
	EXPECT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_FEATURE, arg));
	arg->flags = MIGRATION | GET;
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_FEATURE, arg));
	arg->flags = STATE | GET;
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_FEATURE, arg));
	arg->flags = STATE | SET;
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_FEATURE, arg));
	arg->flags = START | SET;
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_FEATURE, arg));
	arg->flags = REPORT | GET;
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_FEATURE, arg));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_FEATURE, pages + PAGE));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_FEATURE, NULL));
	EXPECT_EQ(AT_RUNNING, mig_get(self->dev));
	munmap(pages, 2 * PAGE);
}

TEST_F(device, nothing_before_bind)
{
	uint8_t data[64] = "";

	close(self->d.dev);
	self->d.dev = vcopy_open(self->d.uuid);
	ASSERT_LE(0, self->d.dev);
	EXPECT_EQ(-EINVAL, feature(self->d.dev, MIGRATION | GET, data, 8));
	EXPECT_EQ(-EINVAL, feature(self->d.dev, 0xffff | GET, data, 8));
}

/* ---- states ---- */

TEST_F(device, it_says_what_it_can)
{
	struct vfio_device_feature_migration arg = { ~0ULL };

	EXPECT_EQ(0, feature(self->dev, MIGRATION | GET, &arg, sizeof(arg)));
	EXPECT_EQ(VFIO_MIGRATION_STOP_COPY | (variant->pins ? VFIO_MIGRATION_P2P : 0),
		  arg.flags);
	EXPECT_EQ(AT_RUNNING, mig_get(self->dev));
}

/* Come to @state from wherever it is. */
static int mig_enter(int dev, uint32_t state, const uint8_t *image)
{
	int fd, rc = ioctl_rc(dev, VFIO_DEVICE_RESET, NULL);

	if (rc)
		return rc;
	if (state == AT_ERROR) {
		rc = image_put(dev, image, 5, AT_STOP);
		return rc == -ENODATA ? 0 : rc ?: -ERANGE;
	}
	fd = mig_set(dev, state);
	if (fd < 0)
		return fd;
	if (state == AT_RESUMING)
		rc = write_all(fd, image, IMAGE_LEN, IMAGE_LEN);
	if (fd)
		close(fd);
	return rc;
}

/* All pairs, one state beyond those that there are. */
TEST_F(device, every_arc)
{
	uint32_t from, to;
	int want, rc;

	ASSERT_EQ(0, image_get(self->dev, self->image));
	for (from = AT_ERROR; from <= AT_P2P; from++) {
		if (from == AT_P2P && !variant->pins)
			continue;
		for (to = AT_ERROR; to <= VFIO_DEVICE_STATE_NR; to++) {
			ASSERT_EQ(0, mig_enter(self->dev, from, self->image));
			ASSERT_EQ(from, mig_get(self->dev));
			rc = mig_set(self->dev, to);
			want = 0;
			if (from != to && (from == AT_ERROR || to == AT_ERROR || to > AT_P2P ||
					   (to == AT_P2P && !variant->pins)))
				want = -EINVAL;
			if (!want && from != to && (to == AT_STOP_COPY || to == AT_RESUMING)) {
				EXPECT_LT(0, rc) TH_LOG("%u to %u", from, to);
				close(rc);
			} else {
				EXPECT_EQ(want, rc) TH_LOG("%u to %u", from, to);
			}
			EXPECT_EQ(want ? from : to, mig_get(self->dev))
				TH_LOG("%u to %u", from, to);
		}
	}
	EXPECT_EQ(-EINVAL, mig_set(self->dev, UINT32_MAX));
	EXPECT_EQ(-EINVAL, mig_set(self->dev, 0x80000000 | AT_STOP));
}

TEST_F(device, reset_and_close_lead_to_running)
{
	uint32_t state;

	ASSERT_EQ(0, image_get(self->dev, self->image));
	for (state = AT_ERROR; state <= AT_RESUMING; state++) {
		ASSERT_EQ(0, mig_enter(self->dev, state, self->image));
		ASSERT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_RESET, NULL));
		EXPECT_EQ(AT_RUNNING, mig_get(self->dev));
		ASSERT_EQ(0, mig_enter(self->dev, state, self->image));
		close(self->d.dev);
		ASSERT_EQ(0, device_open(&self->d));
		ASSERT_EQ(self->dev, self->d.dev);
		EXPECT_EQ(AT_RUNNING, mig_get(self->dev));
		EXPECT_EQ(VCOPY_ERROR_NONE,
			  vcopy_run(self->dev, VCOPY_CMD_LOAD, BASE, 0, PAGE));
	}
}

TEST_F(device, what_is_written_while_stopped_is_done_later)
{
	const uint32_t state[] = { AT_STOP, AT_STOP_COPY, AT_P2P };
	unsigned int i;
	int fd;

	for (i = 0; i < (variant->pins ? 3 : 2); i++) {
		memset(self->buf, i + 1, PAGE);
		fd = mig_set(self->dev, state[i]);
		ASSERT_LE(0, fd);
		ASSERT_EQ(0, vcopy_start(self->dev, VCOPY_CMD_COPY, BASE, BASE + PAGE, PAGE));
		usleep(50000);
		EXPECT_EQ(VCOPY_BUSY, vcopy_get(self->dev, VCOPY_STATUS));
		EXPECT_EQ(i, self->buf[PAGE]);
		ASSERT_EQ(0, mig_set(self->dev, AT_RUNNING));
		EXPECT_EQ(VCOPY_ERROR_NONE, vcopy_wait(self->dev));
		EXPECT_EQ(0, memcmp(self->buf, self->buf + PAGE, PAGE));
		if (fd)
			close(fd);
	}
}

TEST_F(device, a_command_that_is_put_aside_can_be_ended)
{
	int i;

	for (i = 0; i < 4; i++) {
		if (i % 2)
			ASSERT_EQ(0, vcopy_start(self->dev, VCOPY_CMD_COPY | VCOPY_CMD_REPEAT,
						 BASE, BASE + LEN / 2, LEN / 2));
		ASSERT_EQ(0, mig_set(self->dev, AT_STOP));
		if (!(i % 2))
			ASSERT_EQ(0, vcopy_start(self->dev, VCOPY_CMD_COPY | VCOPY_CMD_REPEAT,
						 BASE, BASE + LEN / 2, LEN / 2));
		EXPECT_EQ(VCOPY_BUSY, vcopy_get(self->dev, VCOPY_STATUS));
		if (i < 2) {
			ASSERT_EQ(0, vcopy_set(self->dev, VCOPY_CMD, VCOPY_CMD_STOP));
			EXPECT_EQ(VCOPY_ERROR_STOPPED, vcopy_wait(self->dev));
			ASSERT_EQ(0, mig_set(self->dev, AT_RUNNING));
		} else {
			ASSERT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_RESET, NULL));
			EXPECT_EQ(0, vcopy_get(self->dev, VCOPY_STATUS));
			ASSERT_EQ(0, vcopy_bus_master(self->dev, true));
		}
		EXPECT_EQ(VCOPY_ERROR_NONE,
			  vcopy_run(self->dev, VCOPY_CMD_LOAD, BASE, 0, PAGE));
	}
	/* and closed */
	ASSERT_EQ(0, mig_set(self->dev, AT_STOP));
	ASSERT_EQ(0, vcopy_start(self->dev, VCOPY_CMD_LOAD, BASE, 0, PAGE));
}

/* The descriptor is lost, the state is not. */
TEST_F(device, no_descriptor_left)
{
	struct vfio_device_feature *arg = (void *)pages_alloc(PAGE);
	struct vfio_device_feature_mig_state *state = (void *)arg->data;
	struct vfio_device_feature_mig_state want = { AT_STOP_COPY, 77 };
	struct rlimit limit, none;
	int rc;

	ASSERT_EQ(0, getrlimit(RLIMIT_NOFILE, &limit));
	none = limit;
	none.rlim_cur = 0;
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &none));
	rc = feature(self->dev, STATE | SET, &want, sizeof(want));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &limit));
	EXPECT_EQ(-EMFILE, rc);
	EXPECT_EQ(AT_STOP_COPY, mig_get(self->dev));
	EXPECT_EQ(0, mig_set(self->dev, AT_RUNNING));

	/* an argument that cannot be written to */
	arg->argsz = sizeof(*arg) + sizeof(*state);
	arg->flags = STATE | SET;
	state->device_state = AT_STOP_COPY;
	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_FEATURE, arg));
	EXPECT_EQ(AT_STOP_COPY, mig_get(self->dev));
	/* there is no second stream of the same state */
	EXPECT_EQ(-ENOENT, image_get(self->dev, self->image));
	EXPECT_EQ(0, mig_set(self->dev, AT_STOP));
	EXPECT_EQ(0, image_get(self->dev, self->image));
	munmap(arg, PAGE);
}

/* ---- streams ---- */

TEST_F(device, read_in_pieces)
{
	static const size_t sizes[] = { 1, 7, 97, 4095, 4097, 65537 };
	uint8_t image[IMAGE_LEN + 1];
	uint32_t crc;
	unsigned int i;
	int fd;

	fill(self->buf, LEN, 3);
	ASSERT_EQ(VCOPY_ERROR_NONE, vcopy_run(self->dev, VCOPY_CMD_LOAD, BASE, 0, CHUNK));
	ASSERT_EQ(0, image_get(self->dev, self->image));
	EXPECT_EQ(0, memcmp(self->image + IMAGE_LEN - CHUNK, self->buf, CHUNK));
	memcpy(&crc, self->image + IMAGE_CRC, 4);
	EXPECT_NE(0, crc);
	for (i = 0; i < 6; i++) {
		memset(image, 0, sizeof(image));
		fd = mig_set(self->dev, AT_STOP_COPY);
		ASSERT_LT(0, fd);
		EXPECT_EQ(0, read(fd, image, 0));
		ASSERT_EQ(IMAGE_LEN, read_all(fd, image, sizeof(image), sizes[i]));
		EXPECT_EQ(0, memcmp(image, self->image, IMAGE_LEN));
		EXPECT_EQ(0, read(fd, image, 1));
		EXPECT_EQ(0, read(fd, image, 1));
		close(fd);
		ASSERT_EQ(0, mig_set(self->dev, AT_STOP));
	}
}

TEST_F(device, a_fault_loses_nothing)
{
	uint8_t *pages = pages_alloc(2 * PAGE);
	int fd = mig_set(self->dev, AT_STOP_COPY);

	ASSERT_LT(0, fd);
	ASSERT_EQ(0, munmap(pages + PAGE, PAGE));
	EXPECT_EQ(-1, read(fd, pages + 1, PAGE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(IMAGE_LEN, read_all(fd, self->image, IMAGE_LEN, 1000));
	close(fd);
	fd = mig_set(self->dev, AT_RESUMING);
	ASSERT_LT(0, fd);
	EXPECT_EQ(-1, write(fd, pages + 1, PAGE));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(0, write(fd, pages, 0));
	EXPECT_EQ(0, write_all(fd, self->image, IMAGE_LEN, 1000));
	EXPECT_EQ(0, mig_set(self->dev, AT_RUNNING));
	close(fd);
	munmap(pages, PAGE);
}

TEST_F(device, a_stream_has_one_direction_and_no_position)
{
	uint8_t byte = 0;
	int fd;

	fd = mig_set(self->dev, AT_STOP_COPY);
	ASSERT_LT(0, fd);
	EXPECT_EQ(-1, write(fd, &byte, 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, pread(fd, &byte, 1, 0));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	close(fd);

	fd = mig_set(self->dev, AT_RESUMING);
	ASSERT_LT(0, fd);
	EXPECT_EQ(-1, read(fd, &byte, 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, pwrite(fd, &byte, 1, 0));
	EXPECT_EQ(ESPIPE, errno);
	close(fd);
}

/* Whatever ends it: the state is left, the device is reset, closed, removed. */
TEST_F(device, the_stream_ends_with_its_state)
{
	const uint32_t state[] = { AT_STOP_COPY, AT_RESUMING };
	uint8_t byte = 0;
	int i, fd;

	ASSERT_EQ(0, image_get(self->dev, self->image));
	for (i = 0; i < 8; i++) {
		fd = mig_set(self->dev, state[i % 2]);
		ASSERT_LT(0, fd);
		ASSERT_EQ(1, i % 2 ? write(fd, self->image, 1) : read(fd, &byte, 1));
		switch (i / 2) {
		case 0:
			EXPECT_EQ(i % 2 ? -ENODATA : 0, mig_set(self->dev, AT_STOP));
			ASSERT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_RESET, NULL));
			break;
		case 1:
			ASSERT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_RESET, NULL));
			break;
		case 2:
			close(self->d.dev);
			break;
		case 3:
			close(self->d.dev);
			ASSERT_EQ(0, vcopy_remove(self->d.uuid));
			break;
		}
		EXPECT_EQ(-1, i % 2 ? write(fd, &byte, 1) : read(fd, &byte, 1));
		EXPECT_EQ(ENODEV, errno);
		if (i / 2 == 3)
			ASSERT_EQ(0, vcopy_create(variant->type, self->d.uuid));
		if (i / 2 >= 2) {
			ASSERT_EQ(0, device_open(&self->d));
			self->dev = self->d.dev;
		}
		EXPECT_EQ(-1, i % 2 ? write(fd, &byte, 1) : read(fd, &byte, 1));
		EXPECT_EQ(ENODEV, errno);
		close(fd);
	}
}

/* A file that is closed early takes nothing along. */
TEST_F(device, close_early)
{
	int fd;

	fd = mig_set(self->dev, AT_STOP_COPY);
	ASSERT_LT(0, fd);
	close(fd);
	EXPECT_EQ(AT_STOP_COPY, mig_get(self->dev));
	EXPECT_EQ(0, mig_set(self->dev, AT_STOP_COPY));
	ASSERT_EQ(0, mig_set(self->dev, AT_RUNNING));
	ASSERT_EQ(0, image_get(self->dev, self->image));
	fd = mig_set(self->dev, AT_RESUMING);
	ASSERT_LT(0, fd);
	ASSERT_EQ(0, write_all(fd, self->image, IMAGE_LEN, 333));
	close(fd);
	EXPECT_EQ(0, mig_set(self->dev, AT_RUNNING));
}

TEST_F(device, more_than_a_stream_is_efbig)
{
	uint8_t image[IMAGE_LEN + 1] = "";
	int fd;

	ASSERT_EQ(0, image_get(self->dev, image));
	fd = mig_set(self->dev, AT_RESUMING);
	ASSERT_LT(0, fd);
	EXPECT_EQ(IMAGE_LEN, write(fd, image, IMAGE_LEN + 1));
	EXPECT_EQ(-1, write(fd, image, 1));
	EXPECT_EQ(EFBIG, errno);
	EXPECT_EQ(0, mig_set(self->dev, AT_RUNNING));
	close(fd);
}

static uint32_t crc32_of(const uint8_t *data, size_t length)
{
	uint32_t crc = ~0U;
	int i;

	while (length--) {
		crc ^= *data++;
		for (i = 0; i < 8; i++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return crc;
}

static void image_seal(uint8_t *image)
{
	uint32_t crc = crc32_of(image + IMAGE_CRC + 4, IMAGE_LEN - IMAGE_CRC - 4);

	memcpy(image + IMAGE_CRC, &crc, 4);
}

TEST_F(device, a_bad_stream_is_refused)
{
	static const struct {
		size_t length, at;
		bool seal;
		int rc;
	} cases[] = {
		{ 0, 0, false, -ENODATA }, { 15, IMAGE_LEN - 1, false, -ENODATA },
		{ 16, IMAGE_LEN - 1, false, -ENODATA },
		{ IMAGE_LEN - 1, IMAGE_LEN - 1, false, -ENODATA },
		{ IMAGE_LEN, 0, false, -EINVAL }, { IMAGE_LEN, 3, false, -EINVAL },
		{ 16, 1, false, -EINVAL },
		{ IMAGE_LEN, IMAGE_VERSION, false, -EPROTONOSUPPORT },
		{ IMAGE_LEN, IMAGE_CAPS, false, -EXDEV },
		{ IMAGE_LEN, IMAGE_CRC, false, -EBADMSG },
		{ IMAGE_LEN, IMAGE_CRC + 4, false, -EBADMSG },
		{ IMAGE_LEN, IMAGE_LEN - 1, false, -EBADMSG },
		{ IMAGE_LEN, 200, false, -EBADMSG },
		/* whose checksum is right */
		{ IMAGE_LEN, IMAGE_FLAGS + 1, true, -EBADMSG },
		{ IMAGE_LEN, IMAGE_ERROR, true, -EBADMSG },
		{ IMAGE_LEN, IMAGE_JOB_DONE + 7, true, -EBADMSG },
		{ IMAGE_LEN, IMAGE_LEN - 1, true, 0 },
	};
	uint8_t bad[IMAGE_LEN];
	unsigned int i;

	ASSERT_EQ(0, vcopy_set64(self->dev, VCOPY_SRC, 0x123));
	ASSERT_EQ(0, image_get(self->dev, self->image));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ASSERT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_RESET, NULL));
		ASSERT_EQ(0, vcopy_set64(self->dev, VCOPY_SRC, 0x456));
		memcpy(bad, self->image, IMAGE_LEN);
		bad[cases[i].at] ^= 0xff;
		if (cases[i].seal)
			image_seal(bad);
		EXPECT_EQ(cases[i].rc, image_put(self->dev, bad, cases[i].length, AT_STOP))
			TH_LOG("case %u", i);
		EXPECT_EQ(cases[i].rc ? AT_ERROR : AT_STOP, mig_get(self->dev));
		/* nothing of it was taken */
		EXPECT_EQ(cases[i].rc ? 0x456 : 0x123, vcopy_get64(self->dev, VCOPY_SRC));
	}
}

/* A stream that says so itself makes no command that a program could not write. */
TEST_F(device, a_wild_command_is_refused_by_the_engine)
{
	uint64_t wild = ~0ULL;
	uint32_t busy = 1;

	fill(self->buf, LEN, 5);
	ASSERT_EQ(VCOPY_ERROR_NONE, vcopy_run(self->dev, VCOPY_CMD_STORE, 0, BASE, PAGE));
	ASSERT_EQ(0, image_get(self->dev, self->image));
	memcpy(self->image + IMAGE_JOB_LEN, &wild, 8);
	memcpy(self->image + IMAGE_FLAGS, &busy, 4);
	image_seal(self->image);
	EXPECT_EQ(0, image_put(self->dev, self->image, IMAGE_LEN, AT_RUNNING));
	EXPECT_EQ(VCOPY_ERROR_COMMAND, vcopy_wait(self->dev));
}

TEST_F(device, a_stream_of_the_other_type_is_exdev)
{
	struct device other;

	ASSERT_EQ(0, device_make(&other, variant->other));
	ASSERT_EQ(0, image_get(other.dev, self->image));
	EXPECT_EQ(-EXDEV, image_put(self->dev, self->image, IMAGE_LEN, AT_STOP));
	EXPECT_EQ(0, device_end(&other));
}

/* ---- from one device to another ---- */

static bool fired(int eventfd)
{
	struct pollfd fd = { .fd = eventfd, .events = POLLIN };

	return poll(&fd, 1, 0) == 1;
}

/*
 * The third chunk of what is copied does not come. The device is migrated in the
 * middle of this command, and the other one goes on where it was: it has the same
 * memory, so far as it was copied, at the same IOVAs.
 */
TEST_F(device, a_command_is_finished_by_another_device)
{
	const uint64_t src = BASE, dst = BASE + LEN / 2, slow = BASE + 2 * CHUNK;
	struct slow_memory gate;
	struct device other;
	int here, there, fd;
	char name[] = "/tmp/vcopy-image-XXXXXX";
	uint8_t *image = self->image;

	here = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	there = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	fill(self->buf, LEN / 2, 1);
	ASSERT_EQ(0, slow_memory_make(&gate, CHUNK));
	ASSERT_EQ(0, ioas_unmap(self->d.iommufd, self->d.ioas, BASE, LEN, NULL));
	ASSERT_EQ(0, ioas_map_fixed(self->d.iommufd, self->d.ioas, RW, self->buf, 2 * CHUNK,
				    BASE));
	ASSERT_EQ(0, ioas_map_fixed(self->d.iommufd, self->d.ioas, RW, gate.p, CHUNK, slow));
	ASSERT_EQ(0, ioas_map_fixed(self->d.iommufd, self->d.ioas, RW,
				    self->buf + 3 * CHUNK, LEN - 3 * CHUNK, slow + CHUNK));
	ASSERT_EQ(0, vfio_set_irq(self->dev, VFIO_PCI_MSI_IRQ_INDEX, here));
	ASSERT_EQ(0, vcopy_write(self->dev, VCOPY_BAR_BUFFER, 0, self->buf + 99, CHUNK));
	ASSERT_EQ(0, vcopy_start(self->dev, VCOPY_CMD_COPY | VCOPY_CMD_IRQ, src, dst, LEN / 2));
	ASSERT_EQ(0, slow_memory_wait(&gate));
	/* for the next command */
	ASSERT_EQ(0, vcopy_set64(self->dev, VCOPY_SRC, 0x1122334455667788));

	/* Nobody waits for that memory. */
	fd = mig_set(self->dev, AT_STOP_COPY);
	ASSERT_LT(0, fd);
	EXPECT_EQ(VCOPY_BUSY, vcopy_get(self->dev, VCOPY_STATUS));
	EXPECT_EQ(2 * CHUNK, vcopy_get64(self->dev, VCOPY_MOVED));
	ASSERT_EQ(IMAGE_LEN, read_all(fd, image, IMAGE_LEN, 10000));
	close(fd);
	EXPECT_EQ(0, memcmp(self->buf, self->buf + LEN / 2, 2 * CHUNK));
	/* by way of a file */
	fd = mkstemp(name);
	ASSERT_LE(0, fd);
	unlink(name);
	ASSERT_EQ(0, write_all(fd, image, IMAGE_LEN, IMAGE_LEN));
	memset(image, 0, IMAGE_LEN);
	ASSERT_EQ(IMAGE_LEN, pread(fd, image, IMAGE_LEN, 0));
	close(fd);

	ASSERT_EQ(0, device_make(&other, variant->type));
	memcpy(other.buf, self->buf, LEN);
	fill(other.buf, LEN / 2, 1);
	ASSERT_EQ(0, vcopy_bus_master(other.dev, false));
	fd = mig_set(other.dev, AT_RESUMING);
	ASSERT_LT(0, fd);
	ASSERT_EQ(0, write_all(fd, image, IMAGE_LEN, 7777));
	close(fd);
	ASSERT_EQ(0, mig_set(other.dev, AT_STOP));
	EXPECT_EQ(VCOPY_BUSY, vcopy_get(other.dev, VCOPY_STATUS));
	EXPECT_EQ(2 * CHUNK, vcopy_get64(other.dev, VCOPY_MOVED));
	ASSERT_EQ(0, vfio_set_irq(other.dev, VFIO_PCI_MSI_IRQ_INDEX, there));
	ASSERT_EQ(0, mig_set(other.dev, AT_RUNNING));
	/* bus master came along, or it would have failed */
	EXPECT_EQ(VCOPY_ERROR_NONE, vcopy_wait(other.dev));
	EXPECT_EQ(VCOPY_DONE, vcopy_get(other.dev, VCOPY_STATUS));
	EXPECT_EQ(LEN / 2, vcopy_get64(other.dev, VCOPY_MOVED));
	EXPECT_EQ(1, vcopy_get(other.dev, VCOPY_ROUNDS));
	EXPECT_EQ(0x1122334455667788, vcopy_get64(other.dev, VCOPY_SRC));
	EXPECT_EQ(dst, vcopy_get64(other.dev, VCOPY_DST));
	EXPECT_EQ(LEN / 2, vcopy_get64(other.dev, VCOPY_LEN));
	EXPECT_EQ(0, memcmp(other.buf, other.buf + LEN / 2, LEN / 2));
	ASSERT_EQ(0, vcopy_read(other.dev, VCOPY_BAR_BUFFER, 0, image, CHUNK));
	EXPECT_EQ(0, memcmp(image, self->buf + 99, CHUNK));
	/* the interrupt is sent after the status is there */
	ASSERT_EQ(0, mig_set(other.dev, AT_STOP));
	EXPECT_TRUE(fired(there));

	/* what was left behind did not go on */
	EXPECT_FALSE(fired(here));
	EXPECT_EQ(VCOPY_BUSY, vcopy_get(self->dev, VCOPY_STATUS));
	EXPECT_EQ(0, self->buf[LEN / 2 + 3 * CHUNK]);
	/* but can: the migration was called off */
	ASSERT_EQ(0, slow_memory_let_in(&gate));
	ASSERT_EQ(0, mig_set(self->dev, AT_RUNNING));
	EXPECT_EQ(VCOPY_ERROR_NONE, vcopy_wait(self->dev));
	EXPECT_EQ(LEN / 2, vcopy_get64(self->dev, VCOPY_MOVED));
	EXPECT_EQ(0, memcmp(self->buf + 3 * CHUNK, self->buf + LEN / 2 + 3 * CHUNK,
			    LEN / 2 - 3 * CHUNK));
	EXPECT_EQ(0, memcmp(gate.p, self->buf + LEN / 2 + 2 * CHUNK, CHUNK));
	ASSERT_EQ(0, mig_set(self->dev, AT_STOP));
	EXPECT_TRUE(fired(here));

	EXPECT_EQ(0, device_end(&other));
	ASSERT_EQ(0, ioas_unmap(self->d.iommufd, self->d.ioas, slow, CHUNK, NULL));
	munmap(gate.p, CHUNK);
	close(gate.uffd);
	close(here);
	close(there);
}

/* There and back while it repeats a command: each round is counted once. */
TEST_F(device, a_repeated_command_goes_there_and_back)
{
	struct device other, *at = &self->d, *next = &other, *t;
	uint32_t rounds = 0, now, seed = 6;
	int i;

	ASSERT_EQ(0, device_make(&other, variant->type));
	fill(self->buf, LEN, 2);
	fill(other.buf, LEN, 2);
	ASSERT_EQ(0, vcopy_start(at->dev, VCOPY_CMD_COPY | VCOPY_CMD_REPEAT, BASE,
				 BASE + LEN / 2, LEN / 2));
	for (i = 0; i < 6; i++) {
		/* so that each of them copied all of it */
		while (vcopy_get(at->dev, VCOPY_ROUNDS) < rounds + 2)
			usleep(1000);
		usleep(some(&seed) % 3000);
		ASSERT_EQ(0, image_get(at->dev, self->image));
		now = vcopy_get(at->dev, VCOPY_ROUNDS);
		EXPECT_LE(rounds, now);
		rounds = now;
		EXPECT_EQ(now, vcopy_get64(at->dev, VCOPY_MOVED) / (LEN / 2));
		ASSERT_EQ(0, image_put(next->dev, self->image, IMAGE_LEN, AT_STOP));
		EXPECT_EQ(rounds, vcopy_get(next->dev, VCOPY_ROUNDS));
		ASSERT_EQ(0, mig_set(next->dev, AT_RUNNING));
		t = at;
		at = next;
		next = t;
	}
	while (vcopy_get(at->dev, VCOPY_ROUNDS) < rounds + 2)
		usleep(1000);
	ASSERT_EQ(0, vcopy_set(at->dev, VCOPY_CMD, VCOPY_CMD_STOP));
	EXPECT_EQ(VCOPY_ERROR_STOPPED, vcopy_wait(at->dev));
	EXPECT_EQ(0, memcmp(self->buf, self->buf + LEN / 2, LEN / 2));
	EXPECT_EQ(0, memcmp(other.buf, other.buf + LEN / 2, LEN / 2));
	EXPECT_EQ(0, device_end(&other));
}

TEST_F(device, what_is_held_is_lost)
{
	struct device other;

	if (!variant->pins) {
		EXPECT_EQ(VCOPY_ERROR_COMMAND,
			  vcopy_run(self->dev, VCOPY_CMD_HOLD, BASE, 0, PAGE));
		return;
	}
	ASSERT_EQ(0, device_make(&other, variant->type));
	ASSERT_EQ(VCOPY_ERROR_NONE, vcopy_run(self->dev, VCOPY_CMD_HOLD, BASE, 0, 3 * PAGE));
	ASSERT_EQ(VCOPY_ERROR_NONE, vcopy_run(other.dev, VCOPY_CMD_HOLD, BASE, 0, 2 * PAGE));
	EXPECT_EQ(self->pinned + 5, pinned_now());
	ASSERT_EQ(0, image_get(self->dev, self->image));
	EXPECT_EQ(3, vcopy_get(self->dev, VCOPY_HELD));
	ASSERT_EQ(0, image_put(other.dev, self->image, IMAGE_LEN, AT_RUNNING));
	EXPECT_EQ(0, vcopy_get(other.dev, VCOPY_HELD));
	EXPECT_EQ(VCOPY_DONE | VCOPY_LOST, vcopy_get(other.dev, VCOPY_STATUS));
	EXPECT_EQ(self->pinned + 3, pinned_now());
	EXPECT_EQ(0, device_end(&other));
}

/* Several threads at once, on one device, and with its streams. */
struct crowd {
	int dev;
	volatile bool stop;
	uint8_t *image;
};

static void *crowd_migrates(void *arg)
{
	static const uint32_t states[] = { AT_STOP_COPY, AT_RUNNING, AT_RESUMING, AT_STOP, AT_P2P };
	struct crowd *crowd = arg;
	uint8_t image[IMAGE_LEN];
	unsigned int i;
	int fd;

	for (i = 0; !crowd->stop; i++) {
		fd = mig_set(crowd->dev, states[i % 5]);
		if (fd <= 0)
			continue;
		if (read(fd, image, sizeof(image)) < 0)
			write_all(fd, crowd->image, IMAGE_LEN, 30000);
		close(fd);
	}
	return NULL;
}

static void *crowd_copies(void *arg)
{
	struct crowd *crowd = arg;
	unsigned int i;

	for (i = 0; !crowd->stop; i++) {
		vcopy_start(crowd->dev, i % 2 ? VCOPY_CMD_COPY | VCOPY_CMD_REPEAT : VCOPY_CMD_HOLD,
			    BASE, BASE + LEN / 2, LEN / 2);
		usleep(i % 7 * 100);
		if (i % 3)
			vcopy_set(crowd->dev, VCOPY_CMD, VCOPY_CMD_STOP);
	}
	return NULL;
}

static void *crowd_resets(void *arg)
{
	struct crowd *crowd = arg;

	while (!crowd->stop) {
		ioctl_rc(crowd->dev, VFIO_DEVICE_RESET, NULL);
		vcopy_bus_master(crowd->dev, true);
		usleep(2000);
	}
	return NULL;
}

TEST_F(device, all_at_once)
{
	void *(*what[])(void *) = { crowd_migrates, crowd_copies, crowd_resets, crowd_migrates };
	struct crowd crowd = { .dev = self->dev, .image = self->image };
	pthread_t threads[4];
	int i;

	ASSERT_EQ(0, image_get(self->dev, self->image));
	for (i = 0; i < 4; i++)
		ASSERT_EQ(0, pthread_create(&threads[i], NULL, what[i], &crowd));
	sleep(4);
	crowd.stop = true;
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	ASSERT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_RESET, NULL));
	ASSERT_EQ(0, vcopy_bus_master(self->dev, true));
	EXPECT_EQ(AT_RUNNING, mig_get(self->dev));
	fill(self->buf, LEN, 9);
	EXPECT_EQ(VCOPY_ERROR_NONE,
		  vcopy_run(self->dev, VCOPY_CMD_COPY, BASE, BASE + LEN / 2, LEN / 2));
	EXPECT_EQ(0, memcmp(self->buf, self->buf + LEN / 2, LEN / 2));
}

/* ---- logging ---- */

/*
 * Bitmaps are compared with what the copies were told to write: a byte for each
 * page of 4 KiB. Returns the number of the first bit that is wrong, or -1.
 */
static long bits_wrong(const uint8_t *bitmap, const uint8_t *pages, size_t nr_pages,
		       size_t pages_of_bit)
{
	size_t page, bit, nr_bits = (nr_pages + pages_of_bit - 1) / pages_of_bit;
	bool want;

	for (bit = 0; bit < (nr_bits + 7) / 8 * 8; bit++) {
		want = false;
		for (page = bit * pages_of_bit;
		     page < (bit + 1) * pages_of_bit && page < nr_pages; page++)
			want |= pages[page];
		if (want != (bitmap[bit / 8] >> bit % 8 & 1))
			return bit;
	}
	return -1;
}

static long bits_set(const uint8_t *bitmap, size_t length)
{
	long nr = 0;

	while (length--)
		nr += __builtin_popcount(*bitmap++);
	return nr;
}

/* Write to [BASE + at, + length), and note it. */
static int dirty(int dev, uint64_t at, uint64_t length, uint8_t *pages)
{
	uint64_t page;

	for (page = at / PAGE; pages && page <= (at + length - 1) / PAGE; page++)
		pages[page] = 1;
	return vcopy_run(dev, VCOPY_CMD_STORE, 0, BASE + at, length);
}

static int dirty_some(int dev, uint32_t *seed, uint8_t *pages)
{
	uint64_t at, length;
	int i, rc = 0;

	for (i = 0; i < 12 && !rc; i++) {
		length = 1 + some(seed) % (i % 3 ? 3 * PAGE : 10 * PAGE);
		at = some(seed) % (LEN - length);
		rc = dirty(dev, at, length, pages);
	}
	return rc;
}

TEST_F(device, start_looks_at_its_argument)
{
	const uint64_t high = -4 * PAGE;
	const struct {
		uint64_t page_size;
		uint32_t nr;
		struct vfio_device_feature_dma_logging_range ranges[3];
		int rc;
	} cases[] = {
		{ PAGE, 0, {}, -EINVAL },
		{ 0, 1, { { BASE, PAGE } }, -EINVAL },
		{ 3 * PAGE, 1, { { 0, 3 * PAGE } }, -EINVAL },
		{ PAGE, 1, { { BASE + 1, PAGE } }, -EINVAL },
		{ PAGE, 1, { { BASE, PAGE + 1 } }, -EINVAL },
		{ PAGE, 1, { { BASE, 0 } }, -EINVAL },
		{ 2 * PAGE, 1, { { BASE + PAGE, 2 * PAGE } }, -EINVAL },
		{ 2 * PAGE, 1, { { BASE, 3 * PAGE } }, -EINVAL },
		{ PAGE, 2, { { BASE, 2 * PAGE }, { BASE + PAGE, PAGE } }, -EINVAL },
		{ PAGE, 2, { { BASE, PAGE }, { BASE, PAGE } }, -EINVAL },
		{ PAGE, 3, { { BASE + 2 * PAGE, PAGE }, { BASE, PAGE },
			     { BASE + PAGE, 2 * PAGE } }, -EINVAL },
		{ PAGE, 1, { { high, 4 * PAGE } }, -EOVERFLOW },
		{ PAGE, 1, { { high, 5 * PAGE } }, -EOVERFLOW },
		{ PAGE, 2, { { BASE, PAGE }, { high, -PAGE } }, -EOVERFLOW },
		{ PAGE, 1, { { high, 3 * PAGE } }, 0 },
		{ PAGE, 3, { { BASE + PAGE, PAGE }, { BASE, PAGE },
			     { BASE + 2 * PAGE, PAGE } }, 0 },
		{ 1UL << 63, 1, { { 0, 1UL << 63 } }, 0 },
	};
	struct vfio_device_feature_dma_logging_range *many;
	uint64_t page_size;
	unsigned int i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		page_size = cases[i].page_size;
		EXPECT_EQ(cases[i].rc, log_start(self->dev, &page_size, cases[i].ranges,
						 cases[i].nr)) TH_LOG("case %u", i);
		EXPECT_EQ(cases[i].page_size, page_size);
		EXPECT_EQ(cases[i].rc ? -EINVAL : 0, log_stop(self->dev));
	}

	/* not more than a page of them */
	many = calloc(257, sizeof(*many));
	for (i = 0; i < 257; i++) {
		many[i].iova = BASE + (i * 7 % 257) * PAGE;
		many[i].length = PAGE;
	}
	page_size = PAGE;
	EXPECT_EQ(-E2BIG, log_start(self->dev, &page_size, many, 257));
	EXPECT_EQ(-E2BIG, log_start(self->dev, &page_size, NULL, UINT32_MAX));
	EXPECT_EQ(0, log_start(self->dev, &page_size, many, 256));
	EXPECT_EQ(0, log_stop(self->dev));
	free(many);
	/* that are not there, or only the first */
	EXPECT_EQ(-EFAULT, log_start(self->dev, &page_size, NULL, 1));
	many = (void *)(pages_alloc(2 * PAGE) + PAGE - sizeof(*many));
	*many = (struct vfio_device_feature_dma_logging_range) { BASE, PAGE };
	ASSERT_EQ(0, munmap(many + 1, PAGE));
	EXPECT_EQ(-EFAULT, log_start(self->dev, &page_size, many, 2));
	EXPECT_EQ(0, log_start(self->dev, &page_size, many, 1));
	munmap((uint8_t *)(many + 1) - PAGE, PAGE);
}

TEST_F(device, one_log_at_a_time)
{
	uint64_t bits = 0;

	EXPECT_EQ(-EINVAL, log_stop(self->dev));
	EXPECT_EQ(-EINVAL, log_report(self->dev, PAGE, BASE, PAGE, &bits));
	ASSERT_EQ(0, log_start_one(self->dev, PAGE, BASE, LEN));
	EXPECT_EQ(-EINVAL, log_start_one(self->dev, PAGE, BASE, LEN));
	ASSERT_EQ(VCOPY_ERROR_NONE, dirty(self->dev, PAGE, 1, NULL));
	EXPECT_EQ(-EINVAL, log_start_one(self->dev, PAGE, BASE + LEN, LEN));
	/* the first one is as it was */
	EXPECT_EQ(0, log_report(self->dev, PAGE, BASE, 64 * PAGE, &bits));
	EXPECT_EQ(2, bits);
	EXPECT_EQ(0, log_stop(self->dev));
	EXPECT_EQ(-EINVAL, log_stop(self->dev));
	EXPECT_EQ(-EINVAL, log_report(self->dev, PAGE, BASE, PAGE, &bits));
	/* a new one is clean */
	ASSERT_EQ(VCOPY_ERROR_NONE, dirty(self->dev, PAGE, 1, NULL));
	ASSERT_EQ(0, log_start_one(self->dev, PAGE, BASE, LEN));
	bits = 0;
	EXPECT_EQ(0, log_report(self->dev, PAGE, BASE, 64 * PAGE, &bits));
	EXPECT_EQ(0, bits);
	/* a reset leaves it, close does not */
	ASSERT_EQ(VCOPY_ERROR_NONE, dirty(self->dev, 3 * PAGE, 1, NULL));
	ASSERT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_RESET, NULL));
	EXPECT_EQ(0, log_report(self->dev, PAGE, BASE, 64 * PAGE, &bits));
	EXPECT_EQ(8, bits);
	close(self->d.dev);
	ASSERT_EQ(0, device_open(&self->d));
	EXPECT_EQ(-EINVAL, log_stop(self->d.dev));
}

/* What cannot be told of is not left running. */
TEST_F(device, start_that_cannot_answer_is_stopped)
{
	struct vfio_device_feature_dma_logging_range range = { BASE, LEN };
	struct vfio_device_feature_dma_logging_control *control;
	struct vfio_device_feature *arg = (void *)pages_alloc(PAGE);

	control = (void *)arg->data;
	arg->argsz = sizeof(*arg) + sizeof(*control);
	arg->flags = START | SET;
	control->page_size = PAGE;
	control->num_ranges = 1;
	control->ranges = (uintptr_t)&range;
	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->dev, VFIO_DEVICE_FEATURE, arg));
	EXPECT_EQ(-EINVAL, log_stop(self->dev));
	ASSERT_EQ(0, mprotect(arg, PAGE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, ioctl_rc(self->dev, VFIO_DEVICE_FEATURE, arg));
	munmap(arg, PAGE);
}

TEST_F(device, the_device_chooses_the_page_size)
{
	struct vfio_device_feature_dma_logging_range range;
	uint64_t page_size;

	for (page_size = 1; page_size <= PAGE; page_size *= 2) {
		uint64_t got = page_size;

		range.iova = BASE;
		range.length = PAGE;
		EXPECT_EQ(0, log_start(self->dev, &got, &range, 1));
		EXPECT_EQ(PAGE, got);
		EXPECT_EQ(0, log_stop(self->dev));
	}
	/* so many bits it has: one is too many */
	range = (struct vfio_device_feature_dma_logging_range) { 0, 128 * GiB };
	page_size = PAGE;
	EXPECT_EQ(0, log_start(self->dev, &page_size, &range, 1));
	EXPECT_EQ(PAGE, page_size);
	EXPECT_EQ(0, log_stop(self->dev));
	range.length += PAGE;
	EXPECT_EQ(0, log_start(self->dev, &page_size, &range, 1));
	EXPECT_EQ(2 * PAGE, page_size);
	EXPECT_EQ(0, log_stop(self->dev));
	page_size = PAGE;
	range.length = -PAGE;
	EXPECT_EQ(0, log_start(self->dev, &page_size, &range, 1));
	EXPECT_EQ(1UL << (64 - 25), page_size);
	EXPECT_EQ(0, log_stop(self->dev));
}

TEST_F(device, report_looks_at_its_argument)
{
	static const struct {
		uint64_t page_size, iova, length;
		int rc;
	} cases[] = {
		{ 0, BASE, PAGE, -EINVAL }, { 2048, BASE, PAGE, -EINVAL },
		{ 3 * PAGE, BASE, 3 * PAGE, -EINVAL }, { PAGE + 1, BASE, PAGE, -EINVAL },
		{ PAGE, BASE, 0, -EINVAL },
		{ PAGE, -PAGE, PAGE, -EOVERFLOW }, { PAGE, -PAGE, 2 * PAGE, -EOVERFLOW },
		{ PAGE, BASE, -BASE, -EOVERFLOW },
		{ PAGE, -2 * PAGE, PAGE, 0 }, { PAGE, BASE + LEN, PAGE, 0 },
		{ 1UL << 63, 0, -1UL, 0 }, { 1UL << 40, BASE, 1, 0 },
	};
	uint64_t bits = 0;
	unsigned int i;

	ASSERT_EQ(0, log_start_one(self->dev, PAGE, BASE, LEN));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		EXPECT_EQ(cases[i].rc, log_report(self->dev, cases[i].page_size, cases[i].iova,
						  cases[i].length, &bits)) TH_LOG("case %u", i);
	EXPECT_EQ(0, bits);
}

TEST_F(device, what_is_written_is_reported_once)
{
	static const size_t pages_of_bit[] = { 1, 2, 4, 16, 64, 256, 1UL << 20 };
	uint8_t bitmap[NR_PAGES / 8], pages[NR_PAGES];
	uint32_t seed = 1;
	unsigned int i;

	ASSERT_EQ(0, log_start_one(self->dev, PAGE, BASE, LEN));
	for (i = 0; i < 21; i++) {
		memset(pages, 0, sizeof(pages));
		memset(bitmap, 0, sizeof(bitmap));
		ASSERT_EQ(VCOPY_ERROR_NONE, dirty_some(self->dev, &seed, pages));
		/* reads are none */
		ASSERT_EQ(VCOPY_ERROR_NONE, vcopy_run(self->dev, VCOPY_CMD_LOAD, BASE, 0, CHUNK));
		ASSERT_EQ(0, log_report(self->dev, pages_of_bit[i % 7] * PAGE, BASE, LEN, bitmap));
		EXPECT_EQ(-1, bits_wrong(bitmap, pages, NR_PAGES, pages_of_bit[i % 7]))
			TH_LOG("%zu pages", pages_of_bit[i % 7]);
		memset(bitmap, 0, sizeof(bitmap));
		ASSERT_EQ(0, log_report(self->dev, PAGE, BASE, LEN, bitmap));
		EXPECT_EQ(0, bits_set(bitmap, sizeof(bitmap)));
	}
}

/* Bits of the user's are set, none is cleared. Nothing around them is touched. */
TEST_F(device, the_bitmap_begins_at_any_byte_and_ends_at_any_bit)
{
	uint8_t *memory = pages_alloc(4 * PAGE), *bitmap, pages[NR_PAGES];
	size_t offset, nr, nr_asked, first, i, length;
	uint32_t seed = 2;

	ASSERT_EQ(0, log_start_one(self->dev, PAGE, BASE, LEN));
	for (i = 0; i < 60; i++) {
		/* around the end of the first page, in most cases */
		offset = i % 4 ? PAGE - some(&seed) % 33 : some(&seed) % (2 * PAGE);
		first = some(&seed) % NR_PAGES;
		nr = 1 + some(&seed) % (NR_PAGES - first);
		nr_asked = nr;
		length = (nr + 7) / 8;
		bitmap = memory + offset;
		memset(memory, 0xa5, 4 * PAGE);
		memset(bitmap, 0, length);
		memset(pages, 0, sizeof(pages));
		ASSERT_EQ(VCOPY_ERROR_NONE, dirty_some(self->dev, &seed, pages));
		ASSERT_EQ(0, log_report(self->dev, PAGE, BASE + first * PAGE, nr * PAGE, bitmap));
		ASSERT_EQ(-1, bits_wrong(bitmap, pages + first, nr, 1))
			TH_LOG("bitmap at %zu, %zu pages from %zu", offset, nr, first);
		memset(bitmap, 0xa5, length);
		for (nr = 0; nr < 4 * PAGE && memory[nr] == 0xa5; nr++)
			;
		ASSERT_EQ(4 * PAGE, nr) TH_LOG("byte %zu", nr);
		/* what was not asked for is still there */
		for (; nr_asked; nr_asked--)
			pages[first + nr_asked - 1] = 0;
		memset(memory, 0, PAGE);
		ASSERT_EQ(0, log_report(self->dev, PAGE, BASE, LEN, memory));
		ASSERT_EQ(-1, bits_wrong(memory, pages, NR_PAGES, 1));
	}
	munmap(memory, 4 * PAGE);
}

TEST_F(device, bits_of_the_user_stay)
{
	uint8_t bitmap[NR_PAGES / 8];

	ASSERT_EQ(0, log_start_one(self->dev, PAGE, BASE, LEN));
	ASSERT_EQ(VCOPY_ERROR_NONE, dirty(self->dev, 9 * PAGE, 2 * PAGE, NULL));
	memset(bitmap, 0x81, sizeof(bitmap));
	ASSERT_EQ(0, log_report(self->dev, PAGE, BASE, LEN, bitmap));
	EXPECT_EQ(0x87, bitmap[1]);
	EXPECT_EQ(NR_PAGES / 8 * 2 + 2, bits_set(bitmap, sizeof(bitmap)));
}

/* Several ranges, and what is beside them. */
TEST_F(device, only_what_is_in_a_range)
{
	struct vfio_device_feature_dma_logging_range ranges[] = {
		{ BASE + 100 * PAGE, 3 * PAGE }, { BASE + 8 * PAGE, PAGE },
		{ BASE + 103 * PAGE, 70 * PAGE }, { BASE + 200 * PAGE, 1000 * PAGE },
	};
	uint8_t bitmap[NR_PAGES / 8], pages[NR_PAGES];
	uint64_t page_size = PAGE;
	uint32_t seed = 3;
	size_t page, i, n;

	ASSERT_EQ(0, log_start(self->dev, &page_size, ranges, 4));
	for (i = 0; i < 20; i++) {
		memset(bitmap, 0, sizeof(bitmap));
		memset(pages, 0, sizeof(pages));
		ASSERT_EQ(VCOPY_ERROR_NONE, dirty_some(self->dev, &seed, pages));
		for (page = 0; page < NR_PAGES; page++) {
			for (n = 0; n < 4; n++)
				if (BASE + page * PAGE - ranges[n].iova < ranges[n].length)
					break;
			if (n == 4)
				pages[page] = 0;
		}
		ASSERT_EQ(0, log_report(self->dev, PAGE, BASE, LEN, bitmap));
		EXPECT_EQ(-1, bits_wrong(bitmap, pages, NR_PAGES, 1));
	}
}

/* A page of the log is reported in parts until it has been asked for as a whole. */
TEST_F(device, pages_of_the_log_that_are_larger_than_a_bit)
{
	uint8_t bitmap[NR_PAGES / 8] = "";
	uint64_t bits;
	int i;

	ASSERT_EQ(0, log_start_one(self->dev, CHUNK, BASE, LEN));
	ASSERT_EQ(VCOPY_ERROR_NONE, dirty(self->dev, CHUNK + 5, 1, NULL));
	for (i = 0; i < 2; i++) {
		bits = 0;
		ASSERT_EQ(0, log_report(self->dev, PAGE, BASE + 12 * PAGE, 8 * PAGE, &bits));
		EXPECT_EQ(0xf0, bits);
		bits = 0;
		ASSERT_EQ(0, log_report(self->dev, PAGE, BASE + 17 * PAGE, PAGE, &bits));
		EXPECT_EQ(1, bits);
		bits = 0;
		ASSERT_EQ(0, log_report(self->dev, PAGE, BASE + 30 * PAGE, 8 * PAGE, &bits));
		EXPECT_EQ(3, bits);
	}
	ASSERT_EQ(0, log_report(self->dev, PAGE, BASE, LEN, bitmap));
	EXPECT_EQ(16, bits_set(bitmap, sizeof(bitmap)));
	EXPECT_EQ(0xff, bitmap[2]);
	EXPECT_EQ(0xff, bitmap[3]);
	ASSERT_EQ(0, log_report(self->dev, PAGE, BASE + CHUNK, CHUNK, bitmap));
	EXPECT_EQ(16, bits_set(bitmap, sizeof(bitmap)));
}

/*
 * The core pins 512 pages of a bitmap at a time: 64 GiB, less by what is in front of
 * the bitmap in its first page. Memory is mapped, and written to, around that border
 * and at both ends.
 */
TEST_F(device, a_bitmap_of_many_pages)
{
	static const size_t offsets[] = { 0, 8, PAGE / 2, PAGE - 8, PAGE - 1 };
	const uint64_t length = 66 * GiB, bytes = length / PAGE / 8;
	uint8_t *memory, *bitmap;
	uint64_t at, border, page, want;
	unsigned int i;

	memory = mmap(NULL, bytes + 2 * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, memory);
	ASSERT_EQ(0, log_start_one(self->dev, PAGE, BASE, length));
	for (i = 0; i < 5; i++) {
		border = 64 * GiB - offsets[i] * 8 * PAGE;
		bitmap = memory + offsets[i];
		memset(memory, 0, bytes + 2 * PAGE);
		for (at = border - 12 * PAGE; at < border + 20 * PAGE; at += 16 * PAGE)
			ASSERT_EQ(0, ioas_map_fixed(self->d.iommufd, self->d.ioas, RW,
						    self->buf, 16 * PAGE, BASE + at));
		ASSERT_EQ(0, ioas_map_fixed(self->d.iommufd, self->d.ioas, RW, self->buf, PAGE,
					    BASE + length - PAGE));
		ASSERT_EQ(VCOPY_ERROR_NONE, dirty(self->dev, 0, 2 * PAGE, NULL));
		ASSERT_EQ(VCOPY_ERROR_NONE, dirty(self->dev, border - 3 * PAGE, 8 * PAGE, NULL));
		ASSERT_EQ(VCOPY_ERROR_NONE, dirty(self->dev, length - 1, 1, NULL));
		ASSERT_EQ(0, log_report(self->dev, PAGE, BASE, length, bitmap));
		EXPECT_EQ(11, bits_set(memory, bytes + 2 * PAGE));
		EXPECT_EQ(3, bitmap[0]);
		EXPECT_EQ(0x80, bitmap[bytes - 1]);
		for (page = border / PAGE - 8, want = 0; page < border / PAGE + 8; page++)
			want += bitmap[page / 8] >> page % 8 & 1;
		EXPECT_EQ(8, want);
		EXPECT_EQ(0xe0, bitmap[border / PAGE / 8 - 1]);
		EXPECT_EQ(0x1f, bitmap[border / PAGE / 8]);
		ASSERT_EQ(0, ioas_unmap(self->d.iommufd, self->d.ioas, BASE + border - 12 * PAGE,
					32 * PAGE, NULL));
		ASSERT_EQ(0, ioas_unmap(self->d.iommufd, self->d.ioas, BASE + length - PAGE, PAGE,
					NULL));
		memset(memory, 0, bytes + 2 * PAGE);
		ASSERT_EQ(0, log_report(self->dev, PAGE, BASE, length, bitmap));
		EXPECT_EQ(0, bits_set(memory, bytes + 2 * PAGE));
	}
	munmap(memory, bytes + 2 * PAGE);
}

/* A bit is in the bitmap, or will be in the next: it is not lost on the way. */
TEST_F(device, no_memory_for_the_bitmap_loses_no_bit)
{
	uint8_t *memory = pages_alloc(3 * PAGE), *bitmap, pages[NR_PAGES];
	uint32_t seed = 4;
	unsigned int i;

	ASSERT_EQ(0, log_start_one(self->dev, PAGE, BASE, LEN));
	memset(pages, 0, sizeof(pages));
	ASSERT_EQ(VCOPY_ERROR_NONE, dirty_some(self->dev, &seed, pages));
	ASSERT_EQ(0, mprotect(memory, PAGE, PROT_READ));
	ASSERT_EQ(0, mprotect(memory + 2 * PAGE, PAGE, PROT_NONE));
	EXPECT_EQ(-EFAULT, log_report(self->dev, PAGE, BASE, LEN, memory));
	EXPECT_EQ(-EFAULT, log_report(self->dev, PAGE, BASE, LEN, memory + 2 * PAGE));
	EXPECT_EQ(-EFAULT, log_report(self->dev, PAGE, BASE, LEN, NULL));
	EXPECT_EQ(-EFAULT, log_report(self->dev, PAGE, BASE, LEN, (void *)-PAGE));
	EXPECT_EQ(-EFAULT, log_report(self->dev, PAGE, BASE, LEN, (void *)(1UL << 63)));
	EXPECT_EQ(-EFAULT, log_report(self->dev, PAGE, BASE, LEN, memory + PAGE - 2));
	EXPECT_EQ(0, bits_set(memory, 2 * PAGE));

	/* A part of it is there: what the two calls tell is all there is. */
	for (i = 1; i < NR_PAGES / 8; i++) {
		bitmap = memory + 2 * PAGE - i;
		memset(memory + PAGE, 0, PAGE);
		EXPECT_EQ(-EFAULT, log_report(self->dev, PAGE, BASE, LEN, bitmap));
		EXPECT_EQ(-1, bits_wrong(bitmap, pages, i * 8, 1)) TH_LOG("%u bytes", i);
		memcpy(memory + PAGE + 100, bitmap, i);
		memset(memory + PAGE + 100 + i, 0, NR_PAGES / 8 - i);
		ASSERT_EQ(0, log_report(self->dev, PAGE, BASE, LEN, memory + PAGE + 100));
		EXPECT_EQ(-1, bits_wrong(memory + PAGE + 100, pages, NR_PAGES, 1))
			TH_LOG("%u bytes", i);
		memset(pages, 0, sizeof(pages));
		ASSERT_EQ(VCOPY_ERROR_NONE, dirty_some(self->dev, &seed, pages));
	}
	munmap(memory, 3 * PAGE);
}

/* It is read while it is written: every page is reported after it was written. */
struct writer {
	int dev, rc;
	volatile bool over;
};

static void *write_all_pages(void *arg)
{
	struct writer *w = arg;
	uint64_t i;

	for (i = 0; i < NR_PAGES && !w->rc; i++) {
		w->rc = vcopy_write(w->dev, VCOPY_BAR_BUFFER, 0, &i, 1);
		w->rc = w->rc ?: dirty(w->dev, (i * 37 % NR_PAGES) * PAGE, PAGE, NULL);
	}
	w->over = true;
	return NULL;
}

TEST_F(device, the_log_is_read_while_it_is_written)
{
	uint8_t bitmap[NR_PAGES / 8], *seen = malloc(LEN);
	struct writer w = { .dev = self->dev };
	pthread_t thread;
	size_t page;
	bool over;

	memset(self->buf, 0xee, LEN);
	memcpy(seen, self->buf, LEN);
	ASSERT_EQ(0, log_start_one(self->dev, PAGE, BASE, LEN));
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_all_pages, &w));
	do {
		over = w.over;
		memset(bitmap, 0, sizeof(bitmap));
		ASSERT_EQ(0, log_report(self->dev, PAGE, BASE, LEN, bitmap));
		for (page = 0; page < NR_PAGES; page++)
			if (bitmap[page / 8] >> page % 8 & 1)
				memcpy(seen + page * PAGE, self->buf + page * PAGE, PAGE);
	} while (!over);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, w.rc);
	EXPECT_EQ(0, memcmp(seen, self->buf, LEN));
	free(seen);
}

TEST_HARNESS_MAIN
