// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/iommu without a device: the contract that all ioctls share, and what
 * the ones on address spaces promise (include/uapi/linux/iommufd.h).
 *
 * The shared contract is tested from one table of commands. With no device an
 * IOAS has alignment 1 and pins nothing, so that user addresses need not
 * exist; what needs a device is in vfio_cdev.c.
 */
#include <pthread.h>
#include <sys/wait.h>

#include "iommufd_utils.h"
#include "kselftest_harness.h"

#define NO_OFFSET	0xff
#define UNUSED_ID	0x7ffffff0U

/* An address that is never looked at, as long as there is no device. */
#define VA		((void *)0x100000000UL)

/* What the commands of the table refer to. */
struct scene {
	int fd;
	uint32_t ioas;		/* [0x10000, 0x10fff] is mapped */
	uint32_t spare;		/* empty */
	int file;		/* a page of a memfd */
	struct iommu_iova_range ranges[4];
};

static void fill_destroy(struct scene *s, void *arg)
{
	struct iommu_destroy *cmd = arg;

	cmd->id = s->spare;
}

static void fill_alloc(struct scene *s, void *arg)
{
}

static void fill_iova_ranges(struct scene *s, void *arg)
{
	struct iommu_ioas_iova_ranges *cmd = arg;

	cmd->ioas_id = s->ioas;
	cmd->num_iovas = 4;
	cmd->allowed_iovas = (uintptr_t)s->ranges;
}

static void fill_allow_iovas(struct scene *s, void *arg)
{
	struct iommu_ioas_allow_iovas *cmd = arg;

	s->ranges[0].start = 0x100000;
	s->ranges[0].last = 0x1fffff;
	cmd->ioas_id = s->ioas;
	cmd->num_iovas = 1;
	cmd->allowed_iovas = (uintptr_t)s->ranges;
}

static void fill_map(struct scene *s, void *arg)
{
	struct iommu_ioas_map *cmd = arg;

	cmd->flags = FIXED | RW;
	cmd->ioas_id = s->ioas;
	cmd->user_va = (uintptr_t)VA;
	cmd->length = PAGE;
	cmd->iova = 0x20000;
}

static void fill_map_file(struct scene *s, void *arg)
{
	struct iommu_ioas_map_file *cmd = arg;

	cmd->flags = FIXED | RW;
	cmd->ioas_id = s->ioas;
	cmd->fd = s->file;
	cmd->length = PAGE;
	cmd->iova = 0x20000;
}

static void fill_copy(struct scene *s, void *arg)
{
	struct iommu_ioas_copy *cmd = arg;

	cmd->flags = FIXED | RD;
	cmd->dst_ioas_id = s->spare;
	cmd->src_ioas_id = s->ioas;
	cmd->length = PAGE;
	cmd->dst_iova = 0x30000;
	cmd->src_iova = 0x10000;
}

static void fill_unmap(struct scene *s, void *arg)
{
	struct iommu_ioas_unmap *cmd = arg;

	cmd->ioas_id = s->ioas;
	cmd->iova = 0x10000;
	cmd->length = PAGE;
}

/* (Only files may be mapped then.) */
static void fill_change_process(struct scene *s, void *arg)
{
	ioas_unmap_all(s->fd, s->ioas, NULL);
}

static void fill_option(struct scene *s, void *arg)
{
	struct iommu_option *cmd = arg;

	cmd->option_id = IOMMU_OPTION_HUGE_PAGES;
	cmd->op = IOMMU_OPTION_OP_GET;
	cmd->object_id = s->ioas;
}

static void fill_vfio_ioas(struct scene *s, void *arg)
{
	struct iommu_vfio_ioas *cmd = arg;

	cmd->op = IOMMU_VFIO_IOAS_SET;
	cmd->ioas_id = s->ioas;
}

/* There is no device here: the most that these get is ENOENT. */
static void fill_hwpt_alloc(struct scene *s, void *arg)
{
	struct iommu_hwpt_alloc *cmd = arg;

	cmd->dev_id = UNUSED_ID;
	cmd->pt_id = s->ioas;
}

static void fill_hw_info(struct scene *s, void *arg)
{
	struct iommu_hw_info *cmd = arg;

	cmd->dev_id = UNUSED_ID;
}

static void fill_set_dirty_tracking(struct scene *s, void *arg)
{
	struct iommu_hwpt_set_dirty_tracking *cmd = arg;

	cmd->flags = IOMMU_HWPT_DIRTY_TRACKING_ENABLE;
	cmd->hwpt_id = UNUSED_ID;
}

static void fill_get_dirty_bitmap(struct scene *s, void *arg)
{
	struct iommu_hwpt_get_dirty_bitmap *cmd = arg;

	cmd->flags = IOMMU_HWPT_GET_DIRTY_BITMAP_NO_CLEAR;
	cmd->hwpt_id = UNUSED_ID;
	cmd->length = PAGE;
	cmd->page_size = PAGE;
	cmd->data = 8;		/* never looked at */
}

static void fill_invalidate(struct scene *s, void *arg)
{
	struct iommu_hwpt_invalidate *cmd = arg;

	cmd->hwpt_id = UNUSED_ID;
	cmd->data_uptr = 8;
	cmd->entry_len = UINT32_MAX;
	cmd->entry_num = UINT32_MAX;
}

static void fill_fault_queue(struct scene *s, void *arg)
{
}

static void fill_viommu(struct scene *s, void *arg)
{
	struct iommu_viommu_alloc *cmd = arg;

	cmd->type = 1;
	cmd->dev_id = UNUSED_ID;
	cmd->hwpt_id = s->ioas;
	cmd->data_uptr = 8;
	cmd->data_len = UINT32_MAX;
}

static void fill_vdevice(struct scene *s, void *arg)
{
	struct iommu_vdevice_alloc *cmd = arg;

	cmd->viommu_id = s->ioas;
	cmd->dev_id = UNUSED_ID;
}

static void fill_veventq(struct scene *s, void *arg)
{
	struct iommu_veventq_alloc *cmd = arg;

	cmd->viommu_id = s->ioas;
	cmd->type = 1;
	cmd->veventq_depth = UINT32_MAX;
}

static void fill_hw_queue(struct scene *s, void *arg)
{
	struct iommu_hw_queue_alloc *cmd = arg;

	cmd->viommu_id = s->ioas;
	cmd->type = 1;
	cmd->nesting_parent_iova = 0x10000;
	cmd->length = PAGE;
}

/* Where to find things in the struct: byte offsets, NO_OFFSET for none. */
static const struct command {
	const char *name;
	unsigned long nr;
	uint32_t size;
	void (*fill)(struct scene *s, void *arg);
	uint8_t id, id2, flags, reserved, length;
	uint32_t known_flags;
	int best;		/* what a valid argument gets */
	uint32_t known_size;	/* if the kernel knows more than size */
} commands[] = {
	{ "DESTROY", IOMMU_DESTROY, 8, fill_destroy,
	  4, NO_OFFSET, NO_OFFSET, NO_OFFSET, NO_OFFSET },
	{ "IOAS_ALLOC", IOMMU_IOAS_ALLOC, 12, fill_alloc,
	  NO_OFFSET, NO_OFFSET, 4, NO_OFFSET, NO_OFFSET, 0 },
	{ "IOAS_IOVA_RANGES", IOMMU_IOAS_IOVA_RANGES, 32, fill_iova_ranges,
	  4, NO_OFFSET, NO_OFFSET, 12, NO_OFFSET },
	{ "IOAS_ALLOW_IOVAS", IOMMU_IOAS_ALLOW_IOVAS, 24, fill_allow_iovas,
	  4, NO_OFFSET, NO_OFFSET, 12, NO_OFFSET },
	{ "IOAS_MAP", IOMMU_IOAS_MAP, 40, fill_map,
	  8, NO_OFFSET, 4, 12, 24, FIXED | RW },
	{ "IOAS_MAP_FILE", IOMMU_IOAS_MAP_FILE, 40, fill_map_file,
	  8, NO_OFFSET, 4, NO_OFFSET, 24, FIXED | RW },
	{ "IOAS_COPY", IOMMU_IOAS_COPY, 40, fill_copy,
	  8, 12, 4, NO_OFFSET, 16, FIXED | RW },
	{ "IOAS_UNMAP", IOMMU_IOAS_UNMAP, 24, fill_unmap,
	  4, NO_OFFSET, NO_OFFSET, NO_OFFSET, 16 },
	{ "OPTION", IOMMU_OPTION, 24, fill_option,
	  12, NO_OFFSET, NO_OFFSET, 10, NO_OFFSET },
	{ "VFIO_IOAS", IOMMU_VFIO_IOAS, 12, fill_vfio_ioas,
	  4, NO_OFFSET, NO_OFFSET, 10, NO_OFFSET },
	{ "HWPT_ALLOC", IOMMU_HWPT_ALLOC, 24, fill_hwpt_alloc,
	  8, 12, 4, 20, NO_OFFSET, 0, -ENOENT, 48 },
	{ "GET_HW_INFO", IOMMU_GET_HW_INFO, 32, fill_hw_info,
	  8, NO_OFFSET, 4, 28, NO_OFFSET, 0, -ENOENT },
	{ "HWPT_SET_DIRTY_TRACKING", IOMMU_HWPT_SET_DIRTY_TRACKING, 16,
	  fill_set_dirty_tracking,
	  8, NO_OFFSET, 4, 12, NO_OFFSET, 1, -ENOENT },
	{ "HWPT_GET_DIRTY_BITMAP", IOMMU_HWPT_GET_DIRTY_BITMAP, 48,
	  fill_get_dirty_bitmap,
	  4, NO_OFFSET, 8, 12, 24, 1, -ENOENT },
	{ "HWPT_INVALIDATE", IOMMU_HWPT_INVALIDATE, 32, fill_invalidate,
	  4, NO_OFFSET, NO_OFFSET, 28, NO_OFFSET, 0, -ENOENT },
	{ "FAULT_QUEUE_ALLOC", IOMMU_FAULT_QUEUE_ALLOC, 16, fill_fault_queue,
	  NO_OFFSET, NO_OFFSET, 4, NO_OFFSET, NO_OFFSET, 0, -EOPNOTSUPP },
	{ "VIOMMU_ALLOC", IOMMU_VIOMMU_ALLOC, 40, fill_viommu,
	  12, 16, 4, 28, NO_OFFSET, 0, -ENOENT },
	{ "VDEVICE_ALLOC", IOMMU_VDEVICE_ALLOC, 24, fill_vdevice,
	  4, 8, NO_OFFSET, NO_OFFSET, NO_OFFSET, 0, -ENOENT },
	{ "VEVENTQ_ALLOC", IOMMU_VEVENTQ_ALLOC, 32, fill_veventq,
	  8, NO_OFFSET, 4, 28, NO_OFFSET, 0, -EOPNOTSUPP },
	{ "HW_QUEUE_ALLOC", IOMMU_HW_QUEUE_ALLOC, 40, fill_hw_queue,
	  8, NO_OFFSET, 4, NO_OFFSET, 32, 0, -EOPNOTSUPP },
	{ "IOAS_CHANGE_PROCESS", IOMMU_IOAS_CHANGE_PROCESS, 8,
	  fill_change_process,
	  NO_OFFSET, NO_OFFSET, NO_OFFSET, 4, NO_OFFSET },
};

static uint32_t known_size(const struct command *c)
{
	return c->known_size ?: c->size;
}

#define for_each_command(c) \
	for (c = commands; c < commands + sizeof(commands) / sizeof(*c); c++)

static void put32(void *arg, uint8_t offset, uint32_t value)
{
	memcpy((char *)arg + offset, &value, sizeof(value));
}

/* Reserved fields are of several widths. */
static void put8(void *arg, uint8_t offset, uint8_t value)
{
	((uint8_t *)arg)[offset] = value;
}

FIXTURE(contract)
{
	struct scene s;
	void *arg;		/* a page, and behind it one that cannot be read */
};

/* A context of its own for each command: one that succeeds changes it. */
static int scene_open(struct scene *s)
{
	int rc;

	s->fd = iommufd_open();
	if (s->fd < 0)
		return s->fd;
	rc = ioas_alloc(s->fd, &s->ioas);
	if (!rc)
		rc = ioas_alloc(s->fd, &s->spare);
	if (!rc)
		rc = ioas_map_fixed(s->fd, s->ioas, RW, VA, PAGE, 0x10000);
	s->file = memfd_create("scene", MFD_CLOEXEC);
	return s->file < 0 ? -errno : rc;
}

static void scene_close(struct scene *s)
{
	close(s->file);
	close(s->fd);
}

/* A whole, valid argument in a page that is zero otherwise. */
static void fill(const struct command *c, struct scene *s, void *arg)
{
	memset(arg, 0, PAGE);
	put32(arg, 0, c->size);
	c->fill(s, arg);
}

FIXTURE_SETUP(contract)
{
	self->arg = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, self->arg);
	ASSERT_EQ(0, mprotect(self->arg + PAGE, PAGE, PROT_NONE));
	ASSERT_EQ(0, scene_open(&self->s));
}

FIXTURE_TEARDOWN(contract)
{
	scene_close(&self->s);
	munmap(self->arg, 2 * PAGE);
}

TEST_F(contract, struct_sizes_are_those_of_the_abi)
{
	EXPECT_EQ(8, sizeof(struct iommu_destroy));
	EXPECT_EQ(12, sizeof(struct iommu_ioas_alloc));
	EXPECT_EQ(32, sizeof(struct iommu_ioas_iova_ranges));
	EXPECT_EQ(24, sizeof(struct iommu_ioas_allow_iovas));
	EXPECT_EQ(40, sizeof(struct iommu_ioas_map));
	EXPECT_EQ(40, sizeof(struct iommu_ioas_map_file));
	EXPECT_EQ(40, sizeof(struct iommu_ioas_copy));
	EXPECT_EQ(24, sizeof(struct iommu_ioas_unmap));
	EXPECT_EQ(24, sizeof(struct iommu_option));
	EXPECT_EQ(12, sizeof(struct iommu_vfio_ioas));
	EXPECT_EQ(24, sizeof(struct iommu_hwpt_alloc));
	EXPECT_EQ(32, sizeof(struct iommu_hw_info));
	EXPECT_EQ(16, sizeof(struct iommu_hwpt_set_dirty_tracking));
	EXPECT_EQ(48, sizeof(struct iommu_hwpt_get_dirty_bitmap));
	EXPECT_EQ(32, sizeof(struct iommu_hwpt_invalidate));
	EXPECT_EQ(16, sizeof(struct iommu_fault_alloc));
	EXPECT_EQ(40, sizeof(struct iommu_viommu_alloc));
	EXPECT_EQ(24, sizeof(struct iommu_vdevice_alloc));
	EXPECT_EQ(32, sizeof(struct iommu_veventq_alloc));
	EXPECT_EQ(40, sizeof(struct iommu_hw_queue_alloc));
	EXPECT_EQ(8, sizeof(struct iommu_ioas_change_process));
}

TEST_F(contract, table_has_every_number_of_the_abi)
{
	const struct command *c;
	unsigned int nr;

	for (nr = IOMMUFD_CMD_BASE; nr <= IOMMUFD_CMD_HW_QUEUE_ALLOC; nr++) {
		for_each_command(c)
			if (c->nr == _IO(IOMMUFD_TYPE, nr))
				break;
		EXPECT_NE(commands + sizeof(commands) / sizeof(*c), c)
			TH_LOG("number %#x", nr);
	}
}

TEST_F(contract, exact_size_succeeds)
{
	const struct command *c;
	struct scene s;

	for_each_command(c) {
		ASSERT_EQ(0, scene_open(&s));
		fill(c, &s, self->arg);
		EXPECT_EQ(c->best, ioctl_rc(s.fd, c->nr, self->arg))
			TH_LOG("%s", c->name);
		scene_close(&s);
	}
}

TEST_F(contract, short_size_is_einval)
{
	const struct command *c;
	uint32_t size;

	for_each_command(c) {
		for (size = 0; size < c->size; size++) {
			fill(c, &self->s, self->arg);
			put32(self->arg, 0, size);
			EXPECT_EQ(-EINVAL, ioctl_rc(self->s.fd, c->nr, self->arg))
				TH_LOG("%s with size %u", c->name, size);
		}
	}
}

TEST_F(contract, zero_tail_is_as_good_as_exact)
{
	static const uint32_t tails[] = { 1, 4, 8, 1000 };
	const struct command *c;
	struct scene s;
	unsigned int i;

	for_each_command(c) {
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(0, scene_open(&s));
			fill(c, &s, self->arg);
			put32(self->arg, 0, c->size + tails[i]);
			EXPECT_EQ(c->best, ioctl_rc(s.fd, c->nr, self->arg))
				TH_LOG("%s with a tail of %u", c->name, tails[i]);
			scene_close(&s);
		}
	}
}

TEST_F(contract, zero_tail_gives_the_errno_of_exact)
{
	const struct command *c;

	for_each_command(c) {
		if (c->id == NO_OFFSET)
			continue;
		fill(c, &self->s, self->arg);
		put32(self->arg, c->id, UNUSED_ID);
		put32(self->arg, 0, c->size + 8);
		EXPECT_EQ(-ENOENT, ioctl_rc(self->s.fd, c->nr, self->arg))
			TH_LOG("%s", c->name);
	}
}

TEST_F(contract, dirty_tail_is_e2big)
{
	static const uint32_t tails[] = { 1, 4, 8, 1000 };
	const struct command *c;
	unsigned int i;

	for_each_command(c) {
		for (i = 0; i < 4; i++) {
			fill(c, &self->s, self->arg);
			put32(self->arg, 0, known_size(c) + tails[i]);
			((char *)self->arg)[known_size(c) + tails[i] - 1] = 1;
			EXPECT_EQ(-E2BIG, ioctl_rc(self->s.fd, c->nr, self->arg))
				TH_LOG("%s with a tail of %u", c->name, tails[i]);
		}
	}
}

TEST_F(contract, byte_behind_the_size_is_not_looked_at)
{
	const struct command *c;
	struct scene s;

	for_each_command(c) {
		ASSERT_EQ(0, scene_open(&s));
		fill(c, &s, self->arg);
		((char *)self->arg)[c->size] = 0x55;
		EXPECT_EQ(c->best, ioctl_rc(s.fd, c->nr, self->arg))
			TH_LOG("%s", c->name);
		EXPECT_EQ(0x55, ((char *)self->arg)[c->size])
			TH_LOG("%s", c->name);
		scene_close(&s);
	}
}

TEST_F(contract, null_pointer_is_efault)
{
	const struct command *c;

	for_each_command(c) {
		EXPECT_EQ(-EFAULT, ioctl_rc(self->s.fd, c->nr, NULL))
			TH_LOG("%s", c->name);
	}
}

TEST_F(contract, struct_that_ends_in_unreadable_memory_is_efault)
{
	const struct command *c;
	char *end = self->arg + PAGE;
	char buffer[PAGE];
	uint32_t part;

	for_each_command(c) {
		fill(c, &self->s, buffer);
		for (part = 4; part < c->size; part += 4) {
			memcpy(end - part, buffer, part);
			EXPECT_EQ(-EFAULT,
				  ioctl_rc(self->s.fd, c->nr, end - part))
				TH_LOG("%s, %u bytes readable", c->name, part);
		}
	}
}

TEST_F(contract, tail_in_unreadable_memory_is_efault)
{
	const struct command *c;
	char *end = self->arg + PAGE;
	char buffer[PAGE];

	for_each_command(c) {
		fill(c, &self->s, buffer);
		put32(buffer, 0, c->size + 8);
		memcpy(end - c->size, buffer, c->size);
		EXPECT_EQ(-EFAULT, ioctl_rc(self->s.fd, c->nr, end - c->size))
			TH_LOG("%s", c->name);
	}
}

TEST_F(contract, unknown_number_is_enotty)
{
	const struct command *c;
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };

	EXPECT_EQ(-ENOTTY, ioctl_rc(self->s.fd, _IO(IOMMUFD_TYPE, 0x7f), &cmd));
	EXPECT_EQ(-ENOTTY, ioctl_rc(self->s.fd, _IO(IOMMUFD_TYPE, 0x95), &cmd));
	EXPECT_EQ(-ENOTTY, ioctl_rc(self->s.fd, _IO(IOMMUFD_TYPE, 0xff), &cmd));
	EXPECT_EQ(-ENOTTY, ioctl_rc(self->s.fd, _IO('x', 0x81), &cmd));
	/* Direction and size are part of the number. */
	for_each_command(c) {
		EXPECT_EQ(-ENOTTY, ioctl_rc(self->s.fd,
					    c->nr | _IOC(_IOC_WRITE, 0, 0, 0), &cmd))
			TH_LOG("%s", c->name);
		EXPECT_EQ(-ENOTTY, ioctl_rc(self->s.fd,
					    c->nr | _IOC(0, 0, 0, 8), &cmd))
			TH_LOG("%s", c->name);
	}
}

TEST_F(contract, unknown_number_is_enotty_whatever_the_pointer)
{
	EXPECT_EQ(-ENOTTY, ioctl_rc(self->s.fd, _IO(IOMMUFD_TYPE, 0x7f), NULL));
	EXPECT_EQ(-ENOTTY, ioctl_rc(self->s.fd, _IO(IOMMUFD_TYPE, 0xff), NULL));
}

TEST_F(contract, unknown_flag_is_eopnotsupp)
{
	const struct command *c;
	unsigned int bit;
	uint32_t flags;

	for_each_command(c) {
		if (c->flags == NO_OFFSET)
			continue;
		for (bit = 0; bit < 32; bit++) {
			if (c->known_flags & 1U << bit)
				continue;
			fill(c, &self->s, self->arg);
			memcpy(&flags, self->arg + c->flags, 4);
			put32(self->arg, c->flags, flags | 1U << bit);
			EXPECT_EQ(-EOPNOTSUPP,
				  ioctl_rc(self->s.fd, c->nr, self->arg))
				TH_LOG("%s, bit %u", c->name, bit);
		}
	}
}

TEST_F(contract, reserved_field_is_eopnotsupp)
{
	const struct command *c;

	for_each_command(c) {
		if (c->reserved == NO_OFFSET)
			continue;
		fill(c, &self->s, self->arg);
		put8(self->arg, c->reserved, 1);
		EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(self->s.fd, c->nr, self->arg))
			TH_LOG("%s", c->name);
	}
}

TEST_F(contract, unknown_id_is_enoent)
{
	const struct command *c;
	uint32_t gone, ids[4];
	unsigned int i;

	ASSERT_EQ(0, ioas_alloc(self->s.fd, &gone));
	ASSERT_EQ(0, iommufd_destroy(self->s.fd, gone));
	ids[0] = 0;
	ids[1] = UNUSED_ID;
	ids[2] = UINT32_MAX;
	ids[3] = gone;
	for_each_command(c) {
		for (i = 0; i < 4; i++) {
			if (c->id != NO_OFFSET) {
				fill(c, &self->s, self->arg);
				put32(self->arg, c->id, ids[i]);
				EXPECT_EQ(-ENOENT, ioctl_rc(self->s.fd, c->nr,
							    self->arg))
					TH_LOG("%s, ID %u", c->name, ids[i]);
			}
			if (c->id2 != NO_OFFSET) {
				fill(c, &self->s, self->arg);
				put32(self->arg, c->id2, ids[i]);
				EXPECT_EQ(-ENOENT, ioctl_rc(self->s.fd, c->nr,
							    self->arg))
					TH_LOG("%s, second ID %u", c->name, ids[i]);
			}
		}
	}
}

TEST_F(contract, id_of_another_context_is_enoent)
{
	const struct command *c;
	struct scene other;
	uint32_t far = 0;
	int i;

	/* Make sure that the number is not in use here by chance. */
	ASSERT_EQ(0, scene_open(&other));
	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, ioas_alloc(other.fd, &far));
	}
	ASSERT_NE(far, self->s.ioas);
	ASSERT_NE(far, self->s.spare);
	for_each_command(c) {
		if (c->id == NO_OFFSET)
			continue;
		fill(c, &self->s, self->arg);
		put32(self->arg, c->id, far);
		EXPECT_EQ(-ENOENT, ioctl_rc(self->s.fd, c->nr, self->arg))
			TH_LOG("%s", c->name);
	}
	scene_close(&other);
}

TEST_F(contract, size_is_judged_before_everything)
{
	const struct command *c;

	for_each_command(c) {
		fill(c, &self->s, self->arg);
		if (c->flags != NO_OFFSET)
			put32(self->arg, c->flags, UINT32_MAX);
		if (c->reserved != NO_OFFSET)
			put8(self->arg, c->reserved, 1);
		if (c->id != NO_OFFSET)
			put32(self->arg, c->id, UNUSED_ID);
		put32(self->arg, 0, c->size - 1);
		EXPECT_EQ(-EINVAL, ioctl_rc(self->s.fd, c->nr, self->arg))
			TH_LOG("%s, short", c->name);
		put32(self->arg, 0, known_size(c) + 8);
		((char *)self->arg)[known_size(c)] = 1;
		EXPECT_EQ(-E2BIG, ioctl_rc(self->s.fd, c->nr, self->arg))
			TH_LOG("%s, dirty tail", c->name);
	}
}

TEST_F(contract, flags_and_reserved_are_judged_before_values_and_ids)
{
	const struct command *c;

	for_each_command(c) {
		if (c->flags != NO_OFFSET) {
			fill(c, &self->s, self->arg);
			put32(self->arg, c->flags, 1U << 31);
			if (c->id != NO_OFFSET)
				put32(self->arg, c->id, UNUSED_ID);
			if (c->length != NO_OFFSET)
				memset(self->arg + c->length, 0, 8);
			EXPECT_EQ(-EOPNOTSUPP,
				  ioctl_rc(self->s.fd, c->nr, self->arg))
				TH_LOG("%s, flags", c->name);
		}
		if (c->reserved != NO_OFFSET) {
			fill(c, &self->s, self->arg);
			put8(self->arg, c->reserved, 1);
			if (c->id != NO_OFFSET)
				put32(self->arg, c->id, UNUSED_ID);
			if (c->length != NO_OFFSET)
				memset(self->arg + c->length, 0, 8);
			EXPECT_EQ(-EOPNOTSUPP,
				  ioctl_rc(self->s.fd, c->nr, self->arg))
				TH_LOG("%s, reserved", c->name);
		}
	}
}

TEST_F(contract, length_zero_is_judged_before_ids)
{
	const struct command *c;

	for_each_command(c) {
		if (c->length == NO_OFFSET)
			continue;
		fill(c, &self->s, self->arg);
		put32(self->arg, c->id, UNUSED_ID);
		memset(self->arg + c->length, 0, 8);
		EXPECT_EQ(-EINVAL, ioctl_rc(self->s.fd, c->nr, self->arg))
			TH_LOG("%s", c->name);
	}
}

/* ---- what later kernels have ---- */

TEST_F(contract, values_for_absent_hardware_are_judged_before_ids)
{
	struct iommu_hwpt_get_dirty_bitmap bitmap = {
		.size = sizeof(bitmap), .length = PAGE, .hwpt_id = UNUSED_ID,
	};
	struct iommu_vdevice_alloc vdevice = {
		.size = sizeof(vdevice), .virt_id = 1UL << 32,
	};
	struct iommu_veventq_alloc veventq = {
		.size = sizeof(veventq), .type = 1,
	};
	struct iommu_hw_queue_alloc queue = {
		.size = sizeof(queue), .type = 1, .length = 2,
		.nesting_parent_iova = UINT64_MAX,
	};
	static const uint64_t bad[] = { 0, 3, PAGE + 1, UINT64_MAX };
	int fd = self->s.fd;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		bitmap.page_size = bad[i];
		EXPECT_EQ(-EINVAL, ioctl_rc(fd, IOMMU_HWPT_GET_DIRTY_BITMAP,
					    &bitmap))
			TH_LOG("page size %lu", bad[i]);
	}
	for (i = 0; i < 64; i++) {
		bitmap.page_size = 1UL << i;
		EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_HWPT_GET_DIRTY_BITMAP,
					    &bitmap));
	}
	bitmap.iova = UINT64_MAX - PAGE + 1;
	EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_HWPT_GET_DIRTY_BITMAP, &bitmap));
	bitmap.iova++;
	EXPECT_EQ(-EOVERFLOW, ioctl_rc(fd, IOMMU_HWPT_GET_DIRTY_BITMAP,
				       &bitmap));
	EXPECT_EQ(-EINVAL, ioctl_rc(fd, IOMMU_VDEVICE_ALLOC, &vdevice));
	vdevice.virt_id--;
	EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_VDEVICE_ALLOC, &vdevice));
	EXPECT_EQ(-EINVAL, ioctl_rc(fd, IOMMU_VEVENTQ_ALLOC, &veventq));
	veventq.veventq_depth = 1;
	EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_VEVENTQ_ALLOC, &veventq));
	EXPECT_EQ(-EOVERFLOW, ioctl_rc(fd, IOMMU_HW_QUEUE_ALLOC, &queue));
	queue.length = 1;
	EXPECT_EQ(-ENOENT, ioctl_rc(fd, IOMMU_HW_QUEUE_ALLOC, &queue));
}

TEST_F(contract, default_types_of_absent_hardware_are_eopnotsupp)
{
	struct iommu_viommu_alloc viommu = { .size = sizeof(viommu) };
	struct iommu_veventq_alloc veventq = { .size = sizeof(veventq) };
	struct iommu_hw_queue_alloc queue = { .size = sizeof(queue) };

	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(self->s.fd, IOMMU_VIOMMU_ALLOC, &viommu));
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(self->s.fd, IOMMU_VEVENTQ_ALLOC,
					&veventq));
	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(self->s.fd, IOMMU_HW_QUEUE_ALLOC,
					&queue));
}

TEST_F(contract, failed_invalidation_has_carried_out_nothing)
{
	struct iommu_hwpt_invalidate cmd = {
		.size = sizeof(cmd), .entry_num = 3, .hwpt_id = UNUSED_ID,
	};

	EXPECT_EQ(-EINVAL, ioctl_rc(self->s.fd, IOMMU_HWPT_INVALIDATE, &cmd));
	EXPECT_EQ(0, cmd.entry_num);
	cmd.entry_num = 3;
	cmd.entry_len = 16;
	EXPECT_EQ(-EINVAL, ioctl_rc(self->s.fd, IOMMU_HWPT_INVALIDATE, &cmd));
	EXPECT_EQ(0, cmd.entry_num);
	cmd.entry_num = 3;
	cmd.data_uptr = 8;
	EXPECT_EQ(-ENOENT, ioctl_rc(self->s.fd, IOMMU_HWPT_INVALIDATE, &cmd));
	EXPECT_EQ(0, cmd.entry_num);
}

/* ---- one IOAS ---- */

FIXTURE(ioas)
{
	int fd;
	uint32_t id;
	uint32_t other;
};

FIXTURE_SETUP(ioas)
{
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->id));
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->other));
}

FIXTURE_TEARDOWN(ioas)
{
	EXPECT_EQ(0, close(self->fd));
}

TEST_F(ioas, ids_are_not_zero_and_differ)
{
	EXPECT_NE(0, self->id);
	EXPECT_NE(0, self->other);
	EXPECT_NE(self->id, self->other);
}

TEST_F(ioas, destroy_twice_is_enoent)
{
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->id));
	EXPECT_EQ(-ENOENT, iommufd_destroy(self->fd, self->id));
}

TEST_F(ioas, destroy_with_mappings_succeeds)
{
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, 0));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->id));
}

TEST_F(ioas, alloc_and_destroy_can_go_on_for_ever)
{
	uint32_t id, highest = 0;
	int i;

	for (i = 0; i < 20000; i++) {
		ASSERT_EQ(0, ioas_alloc(self->fd, &id));
		if (id > highest)
			highest = id;
		ASSERT_EQ(0, iommufd_destroy(self->fd, id));
	}
	/* The IDs of others were not touched. */
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->id));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->other));
}

TEST_F(ioas, live_ids_are_unique)
{
	enum { NR = 300 };
	uint32_t ids[NR];
	int i, j;

	for (i = 0; i < NR; i++) {
		ASSERT_EQ(0, ioas_alloc(self->fd, &ids[i]));
		for (j = 0; j < i; j++) {
			ASSERT_NE(ids[j], ids[i]);
		}
		/* Make holes, so that IDs could be given out again. */
		if (i % 3 == 2) {
			ASSERT_EQ(0, iommufd_destroy(self->fd, ids[i - 1]));
			ids[i - 1] = 0;
		}
	}
}

TEST_F(ioas, alloc_that_cannot_report_the_id_leaves_nothing_behind)
{
	struct iommu_ioas_alloc cmd = { .size = sizeof(cmd) };
	void *arg = readonly_copy(&cmd, sizeof(cmd));
	uint32_t id;

	ASSERT_NE(NULL, arg);
	EXPECT_EQ(-EFAULT, ioctl_rc(self->fd, IOMMU_IOAS_ALLOC, arg));
	for (id = 1; id < 1000; id++) {
		if (id == self->id || id == self->other)
			continue;
		ASSERT_EQ(-ENOENT, iommufd_destroy(self->fd, id));
	}
}

TEST_F(ioas, map_that_cannot_report_the_iova_leaves_nothing_behind)
{
	struct iommu_ioas_map cmd = {
		.size = sizeof(cmd),
		.flags = FIXED | RW,
		.ioas_id = self->id,
		.user_va = (uintptr_t)VA,
		.length = PAGE,
		.iova = MiB,
	};
	void *arg = readonly_copy(&cmd, sizeof(cmd));
	uint64_t unmapped = 1;

	ASSERT_NE(NULL, arg);
	EXPECT_EQ(-EFAULT, ioctl_rc(self->fd, IOMMU_IOAS_MAP, arg));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->id, &unmapped));
	EXPECT_EQ(0, unmapped);
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
}

TEST_F(ioas, copy_that_cannot_report_the_iova_leaves_nothing_behind)
{
	struct iommu_ioas_copy cmd = {
		.size = sizeof(cmd),
		.flags = FIXED | RW,
		.dst_ioas_id = self->other,
		.src_ioas_id = self->id,
		.length = PAGE,
		.dst_iova = MiB,
		.src_iova = 0,
	};
	void *arg = readonly_copy(&cmd, sizeof(cmd));
	uint64_t unmapped = 1;

	ASSERT_NE(NULL, arg);
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, 0));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->fd, IOMMU_IOAS_COPY, arg));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->other, &unmapped));
	EXPECT_EQ(0, unmapped);
}

/* ---- IOVA_RANGES ---- */

TEST_F(ioas, iova_ranges_is_all_of_the_space_without_a_device)
{
	struct iommu_iova_range ranges[3];
	uint32_t nr = 3;
	uint64_t align = 0;

	memset(ranges, 0x55, sizeof(ranges));
	ASSERT_EQ(0, ioas_iova_ranges(self->fd, self->id, ranges, &nr, &align));
	EXPECT_EQ(1, nr);
	EXPECT_EQ(1, align);
	EXPECT_EQ(0, ranges[0].start);
	EXPECT_EQ(UINT64_MAX, ranges[0].last);
	/* and nothing behind it was written */
	EXPECT_EQ(0x5555555555555555, ranges[1].start);
	EXPECT_EQ(0x5555555555555555, ranges[1].last);
}

TEST_F(ioas, iova_ranges_without_room_is_emsgsize_and_says_how_much)
{
	struct iommu_iova_range range = { 0x55, 0x55 };
	uint32_t nr = 0;
	uint64_t align = 0;

	EXPECT_EQ(-EMSGSIZE,
		  ioas_iova_ranges(self->fd, self->id, &range, &nr, &align));
	EXPECT_EQ(1, nr);
	EXPECT_EQ(1, align);
	EXPECT_EQ(0x55, range.start);
	EXPECT_EQ(0x55, range.last);

	/* The array is not touched: it need not be there. */
	nr = 0;
	EXPECT_EQ(-EMSGSIZE,
		  ioas_iova_ranges(self->fd, self->id, NULL, &nr, &align));
	EXPECT_EQ(1, nr);
}

TEST_F(ioas, iova_ranges_into_no_memory_is_efault)
{
	uint32_t nr = 4;

	EXPECT_EQ(-EFAULT,
		  ioas_iova_ranges(self->fd, self->id, NULL, &nr, NULL));
}

TEST_F(ioas, iova_ranges_depends_on_no_mapping_and_no_allowed_range)
{
	struct iommu_iova_range allowed = { MiB, 2 * MiB - 1 }, range;
	uint32_t nr = 1;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	ASSERT_EQ(0, ioas_allow(self->fd, self->id, &allowed, 1));
	ASSERT_EQ(0, ioas_iova_ranges(self->fd, self->id, &range, &nr, NULL));
	EXPECT_EQ(1, nr);
	EXPECT_EQ(0, range.start);
	EXPECT_EQ(UINT64_MAX, range.last);
}

/* ---- ALLOW_IOVAS ---- */

TEST_F(ioas, allowed_ranges_are_where_the_kernel_chooses)
{
	struct iommu_iova_range allowed[] = {
		{ 0x10000000, 0x10001fff },
		{ 0x20000000, 0x20000fff },
	};
	uint64_t iova;
	int i, low = 0, high = 0;

	ASSERT_EQ(0, ioas_allow(self->fd, self->id, allowed, 2));
	for (i = 0; i < 3; i++) {
		iova = 0;
		ASSERT_EQ(0, ioas_map(self->fd, self->id, RW, VA, PAGE, &iova));
		low += iova == 0x10000000 || iova == 0x10001000;
		high += iova == 0x20000000;
	}
	EXPECT_EQ(2, low);
	EXPECT_EQ(1, high);
	EXPECT_EQ(-ENOSPC, ioas_map(self->fd, self->id, RW, VA, PAGE, &iova));
	EXPECT_EQ(-ENOSPC, ioas_map(self->fd, self->id, RW, VA, 1, &iova));
}

TEST_F(ioas, allowed_ranges_that_touch_are_not_crossed_or_are_as_one)
{
	struct iommu_iova_range allowed[] = {
		{ 0x10000000, 0x10000fff },
		{ 0x10001000, 0x10001fff },
	};
	uint64_t iova = 0;
	int rc;

	/* Either reading is fine, as long as nothing lands elsewhere. */
	ASSERT_EQ(0, ioas_allow(self->fd, self->id, allowed, 2));
	rc = ioas_map(self->fd, self->id, RW, VA, 2 * PAGE, &iova);
	if (rc) {
		EXPECT_EQ(-ENOSPC, rc);
	} else {
		EXPECT_EQ(0x10000000, iova);
	}
}

TEST_F(ioas, allowed_ranges_do_not_bind_a_fixed_map)
{
	struct iommu_iova_range allowed = { MiB, 2 * MiB - 1 };

	ASSERT_EQ(0, ioas_allow(self->fd, self->id, &allowed, 1));
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, 0));
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, 2 * MiB));
}

TEST_F(ioas, allow_replaces_what_an_earlier_call_said)
{
	struct iommu_iova_range first = { 0x10000000, 0x1000ffff };
	struct iommu_iova_range second = { 0x20000000, 0x2000ffff };
	uint64_t iova = 0;

	ASSERT_EQ(0, ioas_allow(self->fd, self->id, &first, 1));
	ASSERT_EQ(0, ioas_allow(self->fd, self->id, &second, 1));
	ASSERT_EQ(0, ioas_map(self->fd, self->id, RW, VA, PAGE, &iova));
	EXPECT_LE(0x20000000, iova);
	EXPECT_GE(0x2000f000, iova);
}

TEST_F(ioas, allow_with_count_zero_lifts_the_restriction)
{
	struct iommu_iova_range allowed = { 0x10000000, 0x10000fff };
	uint64_t iova = 0;

	ASSERT_EQ(0, ioas_allow(self->fd, self->id, &allowed, 1));
	EXPECT_EQ(-ENOSPC, ioas_map(self->fd, self->id, RW, VA, MiB, &iova));
	ASSERT_EQ(0, ioas_allow(self->fd, self->id, NULL, 0));
	EXPECT_EQ(0, ioas_map(self->fd, self->id, RW, VA, MiB, &iova));
}

TEST_F(ioas, allow_that_fails_keeps_what_was_allowed)
{
	struct iommu_iova_range allowed = { 0x10000000, 0x10000fff };
	struct iommu_iova_range backwards = { 2 * MiB, MiB };
	struct iommu_iova_range overlap[] = {
		{ 0x1000, 0x2fff }, { 0x2000, 0x3fff },
	};
	uint64_t iova = 0;

	ASSERT_EQ(0, ioas_allow(self->fd, self->id, &allowed, 1));
	EXPECT_EQ(-EINVAL, ioas_allow(self->fd, self->id, &backwards, 1));
	EXPECT_EQ(-EINVAL, ioas_allow(self->fd, self->id, overlap, 2));
	EXPECT_EQ(-EFAULT, ioas_allow(self->fd, self->id, NULL, 1));
	ASSERT_EQ(0, ioas_map(self->fd, self->id, RW, VA, PAGE, &iova));
	EXPECT_EQ(0x10000000, iova);
}

TEST_F(ioas, allow_of_the_last_byte_of_the_space_works)
{
	struct iommu_iova_range allowed = { UINT64_MAX - 4095, UINT64_MAX };
	uint64_t iova = 0;

	ASSERT_EQ(0, ioas_allow(self->fd, self->id, &allowed, 1));
	ASSERT_EQ(0, ioas_map(self->fd, self->id, RW, VA, PAGE, &iova));
	EXPECT_EQ(UINT64_MAX - 4095, iova);
}

/* ---- MAP ---- */

TEST_F(ioas, map_without_permission_is_einval)
{
	uint64_t iova = 0;

	EXPECT_EQ(-EINVAL, ioas_map(self->fd, self->id, 0, VA, PAGE, &iova));
	EXPECT_EQ(-EINVAL, ioas_map(self->fd, self->id, FIXED, VA, PAGE, &iova));
}

TEST_F(ioas, map_with_either_permission_succeeds)
{
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, RD, VA, PAGE, 0));
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, WR, VA, PAGE, PAGE));
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, 2 * PAGE));
}

TEST_F(ioas, map_of_length_zero_is_einval)
{
	uint64_t iova = MiB;

	EXPECT_EQ(-EINVAL, ioas_map(self->fd, self->id, RW, VA, 0, &iova));
	EXPECT_EQ(-EINVAL, ioas_map(self->fd, self->id, RW | FIXED, VA, 0, &iova));
}

TEST_F(ioas, map_past_the_end_of_the_space_is_eoverflow)
{
	EXPECT_EQ(-EOVERFLOW, ioas_map_fixed(self->fd, self->id, RW, VA,
					     2 * PAGE, UINT64_MAX - 4095));
	EXPECT_EQ(-EOVERFLOW, ioas_map_fixed(self->fd, self->id, RW, VA,
					     PAGE + 1, UINT64_MAX - 4095));
	EXPECT_EQ(-EOVERFLOW, ioas_map_fixed(self->fd, self->id, RW, VA,
					     UINT64_MAX & ~4095UL, 2 * PAGE));
}

TEST_F(ioas, map_at_the_very_top_succeeds)
{
	uint64_t unmapped;

	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE,
				    UINT64_MAX - 4095));
	EXPECT_EQ(-EEXIST, ioas_map_fixed(self->fd, self->id, RW, VA, 1,
					  UINT64_MAX));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->id, UINT64_MAX - 4095, PAGE,
				&unmapped));
	EXPECT_EQ(PAGE, unmapped);
}

TEST_F(ioas, map_of_user_memory_past_the_end_is_eoverflow)
{
	void *top = (void *)(UINT64_MAX - 4095);
	uint64_t iova = 0;

	EXPECT_EQ(-EOVERFLOW, ioas_map_fixed(self->fd, self->id, RW, top,
					     2 * PAGE, MiB));
	EXPECT_EQ(-EOVERFLOW, ioas_map(self->fd, self->id, RW, top, 2 * PAGE,
				       &iova));
}

TEST_F(ioas, map_over_any_part_of_a_mapping_is_eexist)
{
	static const struct { uint64_t iova, length; } cases[] = {
		{ MiB, PAGE },			/* the same */
		{ MiB + PAGE, PAGE },		/* inside */
		{ MiB - PAGE, 2 * PAGE },	/* over the start */
		{ MiB + 3 * PAGE, 2 * PAGE },	/* over the end */
		{ MiB - PAGE, 6 * PAGE },	/* all of it and more */
		{ MiB - 1, 2 },			/* one byte */
		{ MiB + 4 * PAGE - 1, 2 },	/* one byte */
		{ 0, 1UL << 63 },
	};
	unsigned int i;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, 4 * PAGE, MiB));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EXPECT_EQ(-EEXIST, ioas_map_fixed(self->fd, self->id, RW, VA,
						  cases[i].length, cases[i].iova))
			TH_LOG("case %u", i);
	}
}

TEST_F(ioas, map_next_to_a_mapping_succeeds)
{
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB - PAGE));
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB + PAGE));
}

TEST_F(ioas, same_memory_can_be_mapped_many_times)
{
	uint64_t iova;
	int i;

	for (i = 0; i < 100; i++) {
		iova = 0;
		ASSERT_EQ(0, ioas_map(self->fd, self->id, RW, VA, PAGE, &iova));
	}
}

TEST_F(ioas, odd_lengths_and_iovas_are_fine_without_a_device)
{
	uint64_t unmapped;

	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA + 5, 123, 77));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->id, 77, 123, &unmapped));
	EXPECT_EQ(123, unmapped);
}

TEST_F(ioas, chosen_iova_is_aligned_to_the_lowest_bit_of_the_length)
{
	static const uint64_t lengths[] = {
		1, 2, 3, 7, 8, 4096, 4097, 12288, 65536, 0x18000, 2 * MiB,
		6 * MiB, 1UL << 30, (1UL << 30) + PAGE,
	};
	uint64_t iova, low;
	unsigned int i, round;

	/* The odd ones get in the way of the later ones. */
	for (round = 0; round < 3; round++) {
		for (i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
			iova = 0;
			ASSERT_EQ(0, ioas_map(self->fd, self->id, RW, VA,
					      lengths[i], &iova));
			low = lengths[i] & -lengths[i];
			EXPECT_EQ(0, iova & (low - 1))
				TH_LOG("length %#lx at %#lx", lengths[i], iova);
		}
	}
}

TEST_F(ioas, no_room_left_is_enospc)
{
	uint64_t iova = 0;

	/* Two halves, less one page each, leave no room for a third. */
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, NULL,
				    (1UL << 63) - PAGE, 0));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, NULL,
				    (1UL << 63) - PAGE, 1UL << 63));
	EXPECT_EQ(-ENOSPC, ioas_map(self->fd, self->id, RW, VA, MiB, &iova));
	EXPECT_EQ(0, ioas_map(self->fd, self->id, RW, VA, PAGE, &iova));
	EXPECT_EQ(0, ioas_map(self->fd, self->id, RW, VA, PAGE, &iova));
	EXPECT_EQ(-ENOSPC, ioas_map(self->fd, self->id, RW, VA, PAGE, &iova));
	EXPECT_EQ(-ENOSPC, ioas_map(self->fd, self->id, RW, VA, 1, &iova));
}

TEST_F(ioas, two_ioas_do_not_share_iova)
{
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, VA, PAGE, MiB));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->id, MiB, PAGE, NULL));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->other, MiB, PAGE, NULL));
}

TEST_F(ioas, map_does_not_look_at_the_memory_without_a_device)
{
	long before = pinned_now();
	void *p = pages_alloc(16 * PAGE);
	uint64_t iova = 0;

	ASSERT_NE(NULL, p);
	ASSERT_LE(0, before);
	EXPECT_EQ(0, ioas_map(self->fd, self->id, RW, p, 16 * PAGE, &iova));
	EXPECT_EQ(before, pinned_now());
	munmap(p, 16 * PAGE);
	EXPECT_EQ(0, ioas_map(self->fd, self->id, RW, p, 16 * PAGE, &iova));
}

/* ---- UNMAP ---- */

TEST_F(ioas, unmap_of_nothing_is_enoent)
{
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->id, 0, PAGE, NULL));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->id, 0, MiB, NULL));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->id, MiB + PAGE, PAGE, NULL));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->id, UINT64_MAX, 1, NULL));
}

TEST_F(ioas, unmap_twice_is_enoent)
{
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->id, MiB, PAGE, NULL));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->id, MiB, PAGE, NULL));
}

TEST_F(ioas, unmap_of_length_zero_is_einval)
{
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	EXPECT_EQ(-EINVAL, ioas_unmap(self->fd, self->id, MiB, 0, NULL));
}

TEST_F(ioas, unmap_past_the_end_of_the_space_is_eoverflow)
{
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE,
				    UINT64_MAX - 4095));
	EXPECT_EQ(-EOVERFLOW, ioas_unmap(self->fd, self->id, UINT64_MAX - 4095,
					 PAGE + 1, NULL));
	EXPECT_EQ(-EOVERFLOW, ioas_unmap(self->fd, self->id, 2, UINT64_MAX, NULL));
	EXPECT_EQ(-EEXIST, ioas_map_fixed(self->fd, self->id, RW, VA, 1,
					  UINT64_MAX));
}

TEST_F(ioas, unmap_of_a_part_is_enoent_and_removes_nothing)
{
	static const struct { uint64_t iova, length; } cases[] = {
		{ MiB, PAGE },			/* the first page */
		{ MiB + PAGE, PAGE },		/* one inside */
		{ MiB + 3 * PAGE, PAGE },	/* the last page */
		{ MiB - PAGE, 2 * PAGE },	/* and something before */
		{ MiB + 3 * PAGE, 8 * PAGE },	/* and something behind */
		{ MiB + 1, 4 * PAGE - 1 },	/* but the first byte */
		{ MiB, 4 * PAGE - 1 },		/* but the last byte */
		{ 0, MiB + 1 },
		{ MiB + 1, UINT64_MAX - MiB - 1 },
	};
	uint64_t unmapped = 0;
	unsigned int i;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, 4 * PAGE, MiB));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->id, cases[i].iova,
					      cases[i].length, NULL))
			TH_LOG("case %u", i);
		EXPECT_EQ(-EEXIST, ioas_map_fixed(self->fd, self->id, RW, VA,
						  4 * PAGE, MiB))
			TH_LOG("case %u", i);
	}
	EXPECT_EQ(0, ioas_unmap(self->fd, self->id, MiB, 4 * PAGE, &unmapped));
	EXPECT_EQ(4 * PAGE, unmapped);
}

TEST_F(ioas, unmap_that_cuts_the_last_of_several_removes_none)
{
	uint64_t unmapped = 0;
	int i;

	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA,
					    2 * PAGE, MiB + i * 2 * PAGE));
	}
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->id, MiB, 7 * PAGE, NULL));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->id, MiB + PAGE, 7 * PAGE,
				      NULL));
	for (i = 0; i < 4; i++) {
		EXPECT_EQ(-EEXIST, ioas_map_fixed(self->fd, self->id, RW, VA,
						  2 * PAGE, MiB + i * 2 * PAGE));
	}
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->id, &unmapped));
	EXPECT_EQ(8 * PAGE, unmapped);
}

TEST_F(ioas, unmap_of_several_with_gaps_counts_what_was_mapped)
{
	uint64_t unmapped = 0;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, 3 * PAGE, 2 * MiB));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, 8 * MiB));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->id, PAGE, 4 * MiB, &unmapped));
	EXPECT_EQ(4 * PAGE, unmapped);
	/* the third is still there */
	EXPECT_EQ(0, ioas_unmap(self->fd, self->id, 8 * MiB, PAGE, &unmapped));
	EXPECT_EQ(PAGE, unmapped);
}

TEST_F(ioas, unmap_all_takes_everything_up_to_the_last_byte)
{
	uint64_t unmapped = 0;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, 0));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE,
				    UINT64_MAX - 4095));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->id, &unmapped));
	EXPECT_EQ(3 * PAGE, unmapped);
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, 0));
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE,
				    UINT64_MAX - 4095));
}

TEST_F(ioas, unmap_all_of_an_empty_space_succeeds)
{
	uint64_t unmapped = 1;

	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->id, &unmapped));
	EXPECT_EQ(0, unmapped);
}

/* ---- COPY ---- */

TEST_F(ioas, copy_into_another_ioas_succeeds)
{
	uint64_t unmapped, iova = 0;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, 4 * PAGE, MiB));
	EXPECT_EQ(0, ioas_copy_fixed(self->fd, RW, self->other, 8 * MiB,
				     self->id, MiB, 4 * PAGE));
	EXPECT_EQ(0, ioas_copy(self->fd, RW, self->other, &iova, self->id, MiB,
			       4 * PAGE));
	/* The copies live without the original. */
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->id));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->other, 8 * MiB, 4 * PAGE,
				&unmapped));
	EXPECT_EQ(4 * PAGE, unmapped);
	EXPECT_EQ(0, ioas_unmap(self->fd, self->other, iova, 4 * PAGE, &unmapped));
	EXPECT_EQ(4 * PAGE, unmapped);
}

TEST_F(ioas, copy_within_one_ioas_succeeds)
{
	uint64_t iova = 0;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	EXPECT_EQ(0, ioas_copy(self->fd, RD, self->id, &iova, self->id, MiB, PAGE));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->id, MiB, PAGE, NULL));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->id, iova, PAGE, NULL));
}

TEST_F(ioas, copy_of_an_odd_part_succeeds)
{
	uint64_t unmapped;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, 4 * PAGE, MiB));
	EXPECT_EQ(0, ioas_copy_fixed(self->fd, RW, self->other, 333, self->id,
				     MiB + 77, 5000));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->other, 333, 5000, &unmapped));
	EXPECT_EQ(5000, unmapped);
}

TEST_F(ioas, copy_across_mappings_that_touch_succeeds)
{
	uint64_t unmapped;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA + MiB, PAGE,
				    MiB + PAGE));
	EXPECT_EQ(0, ioas_copy_fixed(self->fd, RW, self->other, 0, self->id,
				     MiB, 2 * PAGE));
	EXPECT_EQ(0, ioas_unmap(self->fd, self->other, 0, 2 * PAGE, &unmapped));
	EXPECT_EQ(2 * PAGE, unmapped);
}

TEST_F(ioas, copy_of_what_is_not_all_mapped_is_enoent)
{
	static const struct { uint64_t iova, length; } cases[] = {
		{ 0, PAGE },			/* nothing */
		{ MiB - PAGE, 2 * PAGE },	/* begins before */
		{ MiB - 1, 2 },
		{ MiB + PAGE, 2 * PAGE },	/* ends in the gap */
		{ MiB + 2 * PAGE, PAGE },	/* is the gap */
		{ MiB, 5 * PAGE },		/* has the gap in it */
		{ MiB + 3 * PAGE, 3 * PAGE },	/* ends behind */
	};
	uint64_t unmapped = 1, iova = 0;
	unsigned int i;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, 2 * PAGE, MiB));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, 2 * PAGE,
				    MiB + 3 * PAGE));
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EXPECT_EQ(-ENOENT, ioas_copy(self->fd, RW, self->other, &iova,
					     self->id, cases[i].iova,
					     cases[i].length))
			TH_LOG("case %u", i);
		EXPECT_EQ(-ENOENT, ioas_copy_fixed(self->fd, RW, self->other,
						   MiB, self->id, cases[i].iova,
						   cases[i].length))
			TH_LOG("case %u", i);
	}
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->other, &unmapped));
	EXPECT_EQ(0, unmapped);
}

TEST_F(ioas, copy_onto_a_mapping_is_eexist_and_changes_nothing)
{
	uint64_t unmapped = 0;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, 4 * PAGE, MiB));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, VA, PAGE, MiB));
	EXPECT_EQ(-EEXIST, ioas_copy_fixed(self->fd, RW, self->other,
					   MiB - 2 * PAGE, self->id, MiB,
					   4 * PAGE));
	EXPECT_EQ(-EEXIST, ioas_copy_fixed(self->fd, RW, self->id, MiB + PAGE,
					   self->id, MiB, PAGE));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->other, &unmapped));
	EXPECT_EQ(PAGE, unmapped);
}

TEST_F(ioas, copy_of_two_areas_onto_a_mapping_leaves_neither)
{
	uint64_t unmapped = 0;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB + PAGE));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->other, RW, VA, PAGE, PAGE));
	EXPECT_EQ(-EEXIST, ioas_copy_fixed(self->fd, RW, self->other, 0,
					   self->id, MiB, 2 * PAGE));
	EXPECT_EQ(0, ioas_unmap_all(self->fd, self->other, &unmapped));
	EXPECT_EQ(PAGE, unmapped);
}

TEST_F(ioas, copy_may_not_add_write_permission)
{
	uint64_t iova = 0;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RD, VA, PAGE, MiB));
	EXPECT_EQ(-EPERM, ioas_copy(self->fd, RW, self->other, &iova, self->id,
				    MiB, PAGE));
	EXPECT_EQ(-EPERM, ioas_copy(self->fd, WR, self->other, &iova, self->id,
				    MiB, PAGE));
	EXPECT_EQ(0, ioas_copy(self->fd, RD, self->other, &iova, self->id, MiB,
			       PAGE));
}

TEST_F(ioas, copy_without_permission_bits_succeeds)
{
	uint64_t iova = 0;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	EXPECT_EQ(0, ioas_copy(self->fd, 0, self->other, &iova, self->id, MiB,
			       PAGE));
	EXPECT_EQ(0, ioas_copy_fixed(self->fd, 0, self->other, 8 * MiB, self->id,
				     MiB, PAGE));
}

TEST_F(ioas, copy_of_length_zero_is_einval)
{
	uint64_t iova = 0;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	EXPECT_EQ(-EINVAL, ioas_copy(self->fd, RW, self->other, &iova, self->id,
				     MiB, 0));
}

TEST_F(ioas, copy_past_the_end_of_the_space_is_eoverflow)
{
	uint64_t iova = 0;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, 2 * PAGE, MiB));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE,
				    UINT64_MAX - 4095));
	EXPECT_EQ(-EOVERFLOW, ioas_copy(self->fd, RW, self->other, &iova,
					self->id, UINT64_MAX - 4095, 2 * PAGE));
	EXPECT_EQ(-EOVERFLOW, ioas_copy_fixed(self->fd, RW, self->other,
					      UINT64_MAX - 4095, self->id, MiB,
					      2 * PAGE));
}

/* ---- OPTION, VFIO_IOAS ---- */

TEST(rlimit_mode_can_be_set_while_the_context_is_empty)
{
	uint64_t value = 77;
	uint32_t ioas;
	int fd = iommufd_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(0, iommufd_option(fd, IOMMU_OPTION_RLIMIT_MODE,
				    IOMMU_OPTION_OP_GET, 0, &value));
	EXPECT_EQ(0, value);
	value = 1;
	EXPECT_EQ(0, iommufd_option(fd, IOMMU_OPTION_RLIMIT_MODE,
				    IOMMU_OPTION_OP_SET, 0, &value));
	value = 77;
	EXPECT_EQ(0, iommufd_option(fd, IOMMU_OPTION_RLIMIT_MODE,
				    IOMMU_OPTION_OP_GET, 0, &value));
	EXPECT_EQ(1, value);
	value = 2;
	EXPECT_EQ(-EINVAL, iommufd_option(fd, IOMMU_OPTION_RLIMIT_MODE,
					  IOMMU_OPTION_OP_SET, 0, &value));
	ASSERT_EQ(0, ioas_alloc(fd, &ioas));
	value = 0;
	EXPECT_EQ(-EBUSY, iommufd_option(fd, IOMMU_OPTION_RLIMIT_MODE,
					 IOMMU_OPTION_OP_SET, 0, &value));
	ASSERT_EQ(0, iommufd_destroy(fd, ioas));
	EXPECT_EQ(0, iommufd_option(fd, IOMMU_OPTION_RLIMIT_MODE,
				    IOMMU_OPTION_OP_SET, 0, &value));
	close(fd);
}

TEST(rlimit_mode_takes_privilege_to_set)
{
	uint64_t value = 1;
	int fd = iommufd_open();

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, setuid(65534));
	EXPECT_EQ(-EPERM, iommufd_option(fd, IOMMU_OPTION_RLIMIT_MODE,
					 IOMMU_OPTION_OP_SET, 0, &value));
	EXPECT_EQ(0, iommufd_option(fd, IOMMU_OPTION_RLIMIT_MODE,
				    IOMMU_OPTION_OP_GET, 0, &value));
	EXPECT_EQ(0, value);
	close(fd);
}

TEST_F(ioas, huge_pages_can_be_switched_off_when_all_is_aligned)
{
	uint64_t value = 77;

	EXPECT_EQ(0, iommufd_option(self->fd, IOMMU_OPTION_HUGE_PAGES,
				    IOMMU_OPTION_OP_GET, self->id, &value));
	EXPECT_EQ(1, value);
	value = 2;
	EXPECT_EQ(-EINVAL, iommufd_option(self->fd, IOMMU_OPTION_HUGE_PAGES,
					  IOMMU_OPTION_OP_SET, self->id, &value));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, 2048));
	value = 0;
	EXPECT_EQ(-EADDRINUSE, iommufd_option(self->fd, IOMMU_OPTION_HUGE_PAGES,
					      IOMMU_OPTION_OP_SET, self->id,
					      &value));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->id, 2048, PAGE, NULL));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
	EXPECT_EQ(0, iommufd_option(self->fd, IOMMU_OPTION_HUGE_PAGES,
				    IOMMU_OPTION_OP_SET, self->id, &value));
	value = 77;
	EXPECT_EQ(0, iommufd_option(self->fd, IOMMU_OPTION_HUGE_PAGES,
				    IOMMU_OPTION_OP_GET, self->id, &value));
	EXPECT_EQ(0, value);
	/* From now on the page size rules. */
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, 2048));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, self->id, RW, VA, 2048, 0));
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, 0));
}

TEST_F(ioas, unknown_option_or_operation_is_eopnotsupp)
{
	uint64_t value = 0;

	EXPECT_EQ(-EOPNOTSUPP, iommufd_option(self->fd, 2, IOMMU_OPTION_OP_GET,
					      self->id, &value));
	EXPECT_EQ(-EOPNOTSUPP, iommufd_option(self->fd, IOMMU_OPTION_HUGE_PAGES,
					      2, self->id, &value));
	EXPECT_EQ(-EOPNOTSUPP, iommufd_option(self->fd, IOMMU_OPTION_RLIMIT_MODE,
					      IOMMU_OPTION_OP_GET, self->id,
					      &value));
	EXPECT_EQ(-EOPNOTSUPP, iommufd_vfio_ioas(self->fd, 3, &self->id));
}

TEST_F(ioas, vfio_ioas_is_what_was_set_last)
{
	uint32_t id = 0;

	EXPECT_EQ(-ENODEV, iommufd_vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
	EXPECT_EQ(0, iommufd_vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &self->id));
	EXPECT_EQ(0, iommufd_vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
	EXPECT_EQ(self->id, id);
	id = UNUSED_ID;
	EXPECT_EQ(-ENOENT, iommufd_vfio_ioas(self->fd, IOMMU_VFIO_IOAS_SET, &id));
	EXPECT_EQ(0, iommufd_vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
	EXPECT_EQ(self->id, id);
	EXPECT_EQ(0, iommufd_vfio_ioas(self->fd, IOMMU_VFIO_IOAS_CLEAR, &id));
	EXPECT_EQ(-ENODEV, iommufd_vfio_ioas(self->fd, IOMMU_VFIO_IOAS_GET, &id));
}

/* ---- against a model ---- */

/*
 * A window of so few IOVAs that everything meets everything, and beside it the
 * simplest thing that could be right: for each IOVA the number of its mapping.
 */
#define WINDOW_START	0x10000UL
#define WINDOW		256

struct model {
	uint32_t ioas;
	uint32_t owner[WINDOW];	/* 0 = free */
};

static uint32_t random_state;

static uint32_t rnd(uint32_t below)
{
	random_state = random_state * 1103515245 + 12345;
	return (random_state >> 8) % below;
}

static bool model_free(const struct model *m, int start, int length)
{
	int i;

	for (i = start; i < start + length; i++)
		if (m->owner[i])
			return false;
	return true;
}

static void model_set(struct model *m, int start, int length, uint32_t owner)
{
	int i;

	for (i = start; i < start + length; i++)
		m->owner[i] = owner;
}

/* Is there an aligned hole? */
static bool model_has_room(const struct model *m, int length)
{
	int align = length & -length, start;

	for (start = 0; start + length <= WINDOW; start += align)
		if (model_free(m, start, length))
			return true;
	return false;
}

/* What UNMAP has to answer: bytes, or -ENOENT. */
static int model_unmap(struct model *m, int start, int length)
{
	int i, bytes = 0, end = start + length;

	if (start && m->owner[start] && m->owner[start - 1] == m->owner[start])
		return -ENOENT;
	if (end < WINDOW && m->owner[end] && m->owner[end - 1] == m->owner[end])
		return -ENOENT;
	for (i = start; i < end; i++)
		bytes += !!m->owner[i];
	if (!bytes)
		return -ENOENT;
	model_set(m, start, length, 0);
	return bytes;
}

TEST_F_TIMEOUT(ioas, random_maps_copies_and_unmaps_agree_with_a_model, 120)
{
	struct iommu_iova_range allowed = {
		WINDOW_START, WINDOW_START + WINDOW - 1,
	};
	struct model models[2], *m, *from;
	uint64_t iova, unmapped;
	uint32_t owner = 0;
	int i, rc, want, start, length, src, hits[4] = {};

	memset(models, 0, sizeof(models));
	models[0].ioas = self->id;
	models[1].ioas = self->other;
	ASSERT_EQ(0, ioas_allow(self->fd, self->id, &allowed, 1));
	ASSERT_EQ(0, ioas_allow(self->fd, self->other, &allowed, 1));
	random_state = getenv("SEED") ? atoi(getenv("SEED")) : 1;

	for (i = 0; i < 30000; i++) {
		m = &models[rnd(2)];
		length = 1 + rnd(rnd(4) ? 12 : 64);
		start = rnd(WINDOW - length + 1);
		iova = WINDOW_START + start;
		switch (rnd(5)) {
		case 0:		/* fixed map */
			want = model_free(m, start, length) ? 0 : -EEXIST;
			rc = ioas_map_fixed(self->fd, m->ioas, RW, VA + rnd(9999),
					    length, iova);
			ASSERT_EQ(want, rc)
				TH_LOG("step %d: map %d at %d", i, length, start);
			if (!rc)
				model_set(m, start, length, ++owner);
			hits[0] += !rc;
			break;
		case 1:		/* map where the kernel likes */
			want = model_has_room(m, length) ? 0 : -ENOSPC;
			rc = ioas_map(self->fd, m->ioas, RW, VA, length, &iova);
			ASSERT_EQ(want, rc)
				TH_LOG("step %d: map of %d", i, length);
			if (rc)
				break;
			ASSERT_LE(WINDOW_START, iova);
			ASSERT_GE(WINDOW_START + WINDOW, iova + length);
			ASSERT_EQ(0, iova & ((length & -length) - 1));
			ASSERT_TRUE(model_free(m, iova - WINDOW_START, length))
				TH_LOG("step %d: %d at %#lx", i, length, iova);
			model_set(m, iova - WINDOW_START, length, ++owner);
			hits[1]++;
			break;
		case 2:		/* copy part of one mapping, fixed */
			from = &models[rnd(2)];
			src = rnd(WINDOW - length + 1);
			if (model_free(from, src, 1))
				break;
			while (length > 1 &&
			       from->owner[src + length - 1] != from->owner[src])
				length--;
			want = model_free(m, start, length) ? 0 : -EEXIST;
			rc = ioas_copy_fixed(self->fd, RD, m->ioas, iova,
					     from->ioas, WINDOW_START + src,
					     length);
			ASSERT_EQ(want, rc)
				TH_LOG("step %d: copy %d from %d to %d", i,
				       length, src, start);
			if (!rc)
				model_set(m, start, length, ++owner);
			hits[2] += !rc;
			break;
		default:	/* unmap a range, half the time what is there */
			if (m->owner[start] && rnd(2)) {
				while (start &&
				       m->owner[start - 1] == m->owner[start])
					start--;
				for (length = 1; start + length < WINDOW &&
				     m->owner[start + length] == m->owner[start];)
					length++;
				iova = WINDOW_START + start;
			}
			want = model_unmap(m, start, length);
			rc = ioas_unmap(self->fd, m->ioas, iova, length,
					&unmapped);
			ASSERT_EQ(want < 0 ? want : 0, rc)
				TH_LOG("step %d: unmap %d at %d", i, length, start);
			if (!rc) {
				ASSERT_EQ(want, unmapped);
			}
			hits[3] += !rc;
			break;
		}
	}
	/* Each kind of call has succeeded often enough to mean something. */
	for (i = 0; i < 4; i++) {
		EXPECT_LT(100, hits[i])
			TH_LOG("kind %d", i);
	}

	for (m = models; m < models + 2; m++) {
		for (want = 0, i = 0; i < WINDOW; i++)
			want += !!m->owner[i];
		ASSERT_EQ(0, ioas_unmap_all(self->fd, m->ioas, &unmapped));
		EXPECT_EQ(want, unmapped);
	}
}

/* ---- files, processes, threads ---- */

TEST_F(ioas, context_follows_the_open_file)
{
	int fd = dup(self->fd), status = -1;
	pid_t pid;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, close(self->fd));
	self->fd = fd;
	ASSERT_EQ(0, ioas_map_fixed(fd, self->id, RW, VA, PAGE, MiB));

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		_exit(ioas_unmap(fd, self->id, MiB, PAGE, NULL) ||
		      ioas_map_fixed(fd, self->id, RW, VA, PAGE, 2 * MiB));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(-ENOENT, ioas_unmap(fd, self->id, MiB, PAGE, NULL));
	EXPECT_EQ(0, ioas_unmap(fd, self->id, 2 * MiB, PAGE, NULL));
}

TEST_F(ioas, two_opens_know_nothing_of_each_other)
{
	int fd = iommufd_open();
	uint32_t id;

	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOENT, iommufd_destroy(fd, self->id));
	ASSERT_EQ(0, ioas_alloc(fd, &id));
	ASSERT_EQ(0, ioas_map_fixed(fd, id, RW, VA, PAGE, MiB));
	close(fd);
	EXPECT_EQ(0, ioas_map_fixed(self->fd, self->id, RW, VA, PAGE, MiB));
}

TEST(close_with_objects_of_every_kind_can_go_on_for_ever)
{
	uint32_t a, b;
	uint64_t iova;
	int fd, i, j;

	for (i = 0; i < 500; i++) {
		fd = iommufd_open();
		ASSERT_LE(0, fd);
		if (i % 5 > 0) {
			ASSERT_EQ(0, ioas_alloc(fd, &a));
		}
		if (i % 5 > 1)
			for (j = 0; j < 10; j++) {
				ASSERT_EQ(0, ioas_map(fd, a, RW, VA, PAGE, &iova));
			}
		if (i % 5 > 2) {
			ASSERT_EQ(0, ioas_alloc(fd, &b));
			ASSERT_EQ(0, ioas_copy(fd, RD, b, &iova, a, iova, PAGE));
		}
		if (i % 5 > 3) {
			ASSERT_EQ(0, iommufd_destroy(fd, a));
		}
		ASSERT_EQ(0, close(fd));
	}
}

struct racer {
	pthread_t thread;
	int fd;
	unsigned int seed;
	volatile bool *stop;
	long calls;
	int wrong_call, wrong_rc;
};

/* Only these answers make sense, whatever the others do meanwhile. */
static bool race_answer_ok(int call, int rc)
{
	switch (rc) {
	case 0:
	case -EBADF:
	case -ENOENT:
		return true;
	case -EEXIST:
		return call == 2 || call == 4;
	case -EBUSY:
		return call == 1 || call == 3;
	default:
		return false;
	}
}

static void *race(void *arg)
{
	struct racer *r = arg;
	struct iommu_iova_range ranges[2];
	uint32_t a, b, nr;
	uint64_t iova;
	int call, rc;

	while (!*r->stop) {
		a = 1 + rand_r(&r->seed) % 6;
		b = 1 + rand_r(&r->seed) % 6;
		iova = PAGE * (rand_r(&r->seed) % 8);
		call = rand_r(&r->seed) % 6;
		switch (call) {
		case 0:
			rc = ioas_alloc(r->fd, &a);
			if (!rc && a > 6)
				iommufd_destroy(r->fd, a);
			break;
		case 1:
			rc = iommufd_destroy(r->fd, a);
			break;
		case 2:
			rc = ioas_map_fixed(r->fd, a, RW, VA, 2 * PAGE, iova);
			break;
		case 3:
			rc = ioas_unmap(r->fd, a, iova, 4 * PAGE, NULL);
			break;
		case 4:
			rc = ioas_copy_fixed(r->fd, RD, b, iova + 4 * PAGE, a,
					     iova, PAGE);
			break;
		default:
			nr = 2;
			rc = ioas_iova_ranges(r->fd, a, ranges, &nr, NULL);
			break;
		}
		r->calls++;
		if (!race_answer_ok(call, rc)) {
			r->wrong_call = call;
			r->wrong_rc = rc;
			break;
		}
	}
	return NULL;
}

TEST(threads_on_few_objects_get_sensible_answers_and_close_meanwhile_is_safe)
{
	enum { NR = 4 };
	struct racer racers[NR];
	volatile bool stop = false;
	long calls = 0;
	int fd, i, round;

	for (round = 0; round < 10; round++) {
		memset(racers, 0, sizeof(racers));
		stop = false;
		fd = iommufd_open();
		ASSERT_LE(0, fd);
		for (i = 0; i < NR; i++) {
			racers[i].fd = fd;
			racers[i].seed = round * NR + i;
			racers[i].stop = &stop;
			ASSERT_EQ(0, pthread_create(&racers[i].thread, NULL, race,
						    &racers[i]));
		}
		usleep(200000);
		/* They are inside an ioctl now, or about to be. */
		EXPECT_EQ(0, close(fd));
		usleep(20000);
		stop = true;
		for (i = 0; i < NR; i++) {
			pthread_join(racers[i].thread, NULL);
			EXPECT_EQ(0, racers[i].wrong_rc)
				TH_LOG("call %d", racers[i].wrong_call);
			calls += racers[i].calls;
		}
	}
	EXPECT_LT(1000, calls);
}

TEST_HARNESS_MAIN
