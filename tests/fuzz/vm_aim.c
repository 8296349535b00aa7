// SPDX-License-Identifier: GPL-2.0
/*
 * What the calls of a program made, and calls that use it.
 *
 * Bytes by chance meet what is there too rarely: most calls would fail in the first
 * lines of the ioctl. A call that is aimed (call.aim, not 0) has its arguments changed
 * here, just before it is made: IDs that are alive in this context, the range that was
 * mapped the (aim - 1)-th last, or a part of it; a place where nothing is for a new one;
 * lengths and flags that can be had. Its bytes still choose among these. With nothing
 * there to aim at it is not made. The others, a quarter, are made of their bytes alone,
 * and may be anything.
 *
 * What is there is learned from the results. A space is one of the two contexts or
 * what maps by one of the two containers. It is only believed: threads write at the
 * same time, children do what their parent does not see, tables keep the newest. What
 * turns out not to be there (ENOENT) is forgotten.
 */
#include <linux/vfio.h>

#include "../kselftest/mock_utils.h"
#include "vm.h"

#define NR_RANGES	128U
#define NR_SPACES	4U
#define FIXED		IOMMU_IOAS_MAP_FIXED_IOVA
#define WRITEABLE	IOMMU_IOAS_MAP_WRITEABLE
#define READABLE	IOMMU_IOAS_MAP_READABLE

/* of: what a table's address space is; space: of pinned pages, the user's place */
struct made {
	uint32_t id, of;
	unsigned char space;
	bool alive;
};

/* va: 0 if it is not known */
struct range {
	uint64_t iova, length, va;
	uint32_t ioas, flags;
};

struct space {
	unsigned int next;
	struct range ranges[NR_RANGES];		/* length 0: there is none */
};

/* A user of an address space, behind the descriptor of the same place */
static struct user {
	uint32_t ioas;
	unsigned char space;
	bool alive, pins;
} users[2];

static struct made made[NR_CLASSES][NR_IDS];
static unsigned int next_made[NR_CLASSES];
static struct space spaces[NR_SPACES];
static unsigned int bound_to[2];
static bool ready[2];	/* containers that can map */
static unsigned char scratch[16 * PAGE];
static const struct iommu_iova_range windows[] = {
	{ .start = BASE, .last = BASE + 32 * MiB - 1 },
	{ .start = BASE + 64 * MiB, .last = BASE + 96 * MiB - 1 },
	{ .start = BASE + 128 * MiB, .last = BASE + 160 * MiB - 1 },
};

#define NR_WINDOWS	(sizeof(windows) / sizeof(windows[0]))

void aim_reset(void)
{
	unsigned int i;

	memset(made, 0, sizeof(made));
	memset(next_made, 0, sizeof(next_made));
	memset(users, 0, sizeof(users));
	memset(bound_to, 0, sizeof(bound_to));
	memset(ready, 0, sizeof(ready));
	for (i = 0; i < NR_SPACES; i++)
		aim_closed(i < 2 ? IOMMU : CONTAINER, i & 1);
}

/* All that this file had is gone. */
void aim_closed(unsigned int slot, unsigned int second)
{
	unsigned int space = slot == CONTAINER ? 2 + second : second, class, i;

	switch (slot) {
	case CONTAINER:
		ready[second] = false;
		/* fallthrough */
	case IOMMU:
		if (spaces[space].next)
			memset(&spaces[space], 0, sizeof(spaces[space]));
		break;
	case ACCESS:
		users[second].alive = false;
		break;
	default:
		return;
	}
	for (class = IOAS; class < NR_CLASSES; class++)
		for (i = 0; i < NR_IDS; i++)
			if (made[class][i].space == space &&
			    (class == PINNED) == (slot == ACCESS))
				made[class][i].alive = false;
}

/* ---- IDs ---- */

static struct made *made_find(unsigned int class, unsigned int space, uint32_t id)
{
	unsigned int i;

	for (i = 0; i < NR_IDS; i++)
		if (made[class][i].alive && made[class][i].id == id &&
		    made[class][i].space == space)
			return &made[class][i];
	return NULL;
}

void made_add(unsigned int class, unsigned int space, uint32_t id, uint32_t of)
{
	struct made *m = class == PINNED ? NULL : made_find(class, space, id);

	if (!m)
		m = &made[class][__atomic_fetch_add(&next_made[class], 1,
						    __ATOMIC_RELAXED) % NR_IDS];
	m->id = id;
	m->of = of;
	m->space = space;
	m->alive = true;
}

/* One of the last IDs by chance, whatever became of it */
uint32_t made_any(unsigned int class, unsigned int i, bool given)
{
	unsigned int nr = __atomic_load_n(&next_made[class], __ATOMIC_RELAXED);

	/* Rather one of those that were given than none */
	i %= NR_IDS;
	return made[class][i < nr || !nr || !given ? i : i % nr].id;
}

static void made_gone(unsigned int class, unsigned int space, uint32_t id)
{
	struct made *m = made_find(class, space, id);

	if (m)
		m->alive = false;
}

/* One that is alive, @of this one unless that is 0; 0: none */
static uint32_t made_pick(unsigned int class, unsigned int space, unsigned int n,
			  uint32_t of)
{
	unsigned int i;

	for (i = 0; i < NR_IDS; i++) {
		const struct made *m = &made[class][(n + i) % NR_IDS];

		if (m->alive && m->space == space && (!of || m->of == of))
			return m->id;
	}
	return 0;
}

/* The address space behind an address space, or a table */
static uint32_t ioas_of(unsigned int space, uint32_t pt)
{
	const struct made *m = made_find(HWPT, space, pt);

	return m ? m->of : pt;
}

/* ---- ranges ---- */

static void range_add(unsigned int space, uint32_t ioas, uint64_t iova, uint64_t length,
		      uint64_t va, uint32_t flags)
{
	struct space *s = &spaces[space];
	unsigned int i = __atomic_fetch_add(&s->next, 1, __ATOMIC_RELAXED) % NR_RANGES;

	s->ranges[i] = (struct range){
		.ioas = ioas, .iova = iova, .length = length, .va = va, .flags = flags,
	};
}

/* What lies in there as a whole */
static void ranges_gone(unsigned int space, uint32_t ioas, uint64_t iova, uint64_t length)
{
	uint64_t last = length ? iova + (length - 1) : UINT64_MAX;
	unsigned int i;

	for (i = 0; i < NR_RANGES; i++) {
		struct range *r = &spaces[space].ranges[i];

		if (r->length && r->ioas == ioas && r->iova >= iova &&
		    r->iova + (r->length - 1) <= last)
			r->length = 0;
	}
}

/* The n-th last that there is, of this address space unless that is 0 */
static const struct range *range_pick(unsigned int space, unsigned int n, uint32_t ioas)
{
	const struct space *s = &spaces[space];
	const struct range *r, *found = NULL;
	unsigned int i;

	for (i = 1; i <= NR_RANGES && i <= s->next; i++) {
		r = &s->ranges[(s->next - i) % NR_RANGES];
		if (!r->length || (ioas && r->ioas != ioas))
			continue;
		found = r;
		if (!n--)
			break;
	}
	return found;
}

/* Where nothing is, at the first place behind @iova */
static uint64_t range_free(unsigned int space, uint32_t ioas, uint64_t iova, uint64_t length)
{
	unsigned int i = 0, tries = 0;

	while (i < NR_RANGES && i < spaces[space].next) {
		const struct range *r = &spaces[space].ranges[i++];
		uint64_t end = r->iova + r->length;

		if (!r->length || r->ioas != ioas || iova >= end ||
		    r->iova >= iova + length || tries == NR_RANGES)
			continue;
		iova = (end + PAGE - 1) & -PAGE;
		tries++;
		i = 0;
	}
	return iova;
}

static uint64_t somewhere(unsigned char arg)
{
	return BASE + arg % 8 * 16 * PAGE + arg / 64 * PAGE;
}

/* ---- aiming ---- */

/* A part of a range, by page */
static void part_of(const struct range *r, unsigned char arg, uint64_t *offset,
		    uint64_t *length)
{
	uint64_t pages = r->length / PAGE;

	*offset = 0;
	*length = r->length;
	if (pages > 1 && arg % 4 == 3) {
		*offset = arg / 4 % pages * PAGE;
		*length -= *offset;
	}
}

static uint64_t whole_pages(unsigned char arg)
{
	static const unsigned char pages[] = { 1, 2, 4, 3, 1, 7, 8, 16 };

	return pages[arg % 8] * PAGE;
}

/*
 * Without a device, the kernel chooses places that the fake IOMMU does not translate,
 * and no device can come any more.
 */
static uint32_t map_flags(unsigned int space, uint32_t ioas, unsigned char arg)
{
	static const unsigned char flags[] = {
		FIXED | READABLE | WRITEABLE, FIXED | READABLE, FIXED | READABLE | WRITEABLE,
		READABLE | WRITEABLE,
	};

	return flags[arg % 4] | (made_pick(HWPT, space, 0, ioas) ? 0 : FIXED);
}

static uint64_t memory(unsigned char arg, __u64 *length)
{
	unsigned int page = arg % NR_ARENA;

	if (*length > (NR_ARENA - page) * PAGE)
		*length = (NR_ARENA - page) * PAGE;
	return ARENA_ADDRESS + page * PAGE;
}

static bool aim_map(struct iommu_ioas_map *map, unsigned int space, unsigned int n,
		    const unsigned char *args)
{
	uint32_t ioas = made_pick(IOAS, space, args[1], 0);

	if (!ioas)
		return false;
	map->flags = map_flags(space, ioas, args[0]);
	map->ioas_id = ioas;
	if (map->user_va >= BIG_ADDRESS) {
		map->length = HUGE;
		map->user_va = BIG_ADDRESS;
	} else {
		map->length = whole_pages(args[3]);
		map->user_va = memory(args[2], &map->length);
	}
	map->iova = range_free(space, ioas, somewhere(args[4]), map->length);
	return true;
}

static bool aim_map_file(struct iommu_ioas_map_file *map, unsigned int space,
			 unsigned int n, const unsigned char *args)
{
	uint32_t ioas = made_pick(IOAS, space, args[1], 0);
	unsigned int start = args[5] % NR_FILE;

	if (!ioas)
		return false;
	map->flags = map_flags(space, ioas, args[0]);
	map->ioas_id = ioas;
	map->start = start * PAGE;
	map->length = whole_pages(args[3]);
	if (map->length > (NR_FILE - start) * PAGE)
		map->length = (NR_FILE - start) * PAGE;
	map->iova = range_free(space, ioas, somewhere(args[4]), map->length);
	return true;
}

static bool aim_copy(struct iommu_ioas_copy *copy, unsigned int space, unsigned int n,
		     const unsigned char *args)
{
	const struct range *r = range_pick(space, n, 0);
	uint32_t ioas = made_pick(IOAS, space, args[1], 0);
	uint64_t offset, length;

	if (!r || !ioas)
		return false;
	part_of(r, args[3], &offset, &length);
	copy->flags = map_flags(space, ioas, args[0]) & (r->flags | FIXED);
	copy->src_ioas_id = r->ioas;
	copy->src_iova = r->iova + offset;
	copy->length = length;
	copy->dst_ioas_id = ioas;
	copy->dst_iova = range_free(space, ioas, somewhere(args[4]), length);
	return true;
}

static bool aim_unmap(struct iommu_ioas_unmap *unmap, unsigned int space, unsigned int n,
		      const unsigned char *args)
{
	const struct range *r = range_pick(space, n, 0), *to;

	if (!r)
		return false;
	unmap->ioas_id = r->ioas;
	unmap->iova = r->iova;
	unmap->length = r->length;
	/* With all that lies between this one and another one */
	to = args[2] % 4 ? NULL : range_pick(space, n + args[2] / 4 % 4, r->ioas);
	if (to && to->iova > r->iova)
		unmap->length = to->iova + to->length - r->iova;
	return true;
}

/* Not the last address space: little could be done without */
static bool aim_destroy(struct iommu_destroy *destroy, unsigned int space, unsigned int n,
			const unsigned char *args)
{
	unsigned int i, class;
	uint32_t id;

	for (i = 0; i < PINNED - IOAS; i++) {
		class = IOAS + (n + i) % (PINNED - IOAS);
		id = made_pick(class, space, args[0], 0);
		if (!id || (class == IOAS && id == made_pick(class, space, args[0] + 1, 0)))
			continue;
		destroy->id = id;
		return true;
	}
	return false;
}

static uint32_t table_pick(unsigned int space, unsigned char arg)
{
	uint32_t id = arg & 4 ? made_pick(HWPT, space, arg, 0) : 0;

	return id ? id : made_pick(IOAS, space, arg, 0);
}

/* A range with a table that it is in */
static bool aim_check_map(struct iommu_test_cmd *cmd, unsigned int space, unsigned int n)
{
	const struct range *r;
	unsigned int tries;
	uint32_t hwpt;

	for (tries = 0; tries < 4; tries++, n++) {
		r = range_pick(space, n, 0);
		hwpt = r && r->va ? made_pick(HWPT, space, n, r->ioas) : 0;
		if (!hwpt)
			continue;
		cmd->id = hwpt;
		cmd->check_map.iova = r->iova;
		cmd->check_map.length = r->length;
		cmd->check_map.uptr = r->va;
		return true;
	}
	return false;
}

static bool aim_access(struct iommu_test_cmd *cmd, unsigned int n,
		       const unsigned char *args)
{
	bool pages = cmd->op == IOMMU_TEST_OP_ACCESS_PAGES;
	unsigned int i = n & 1;
	const struct range *r;
	uint64_t offset, length;

	if (!users[i].alive || (pages && !users[i].pins))
		i ^= 1;
	cmd->id = get_fd(ACCESS, i);
	r = range_pick(users[i].space, n / 2, users[i].ioas);
	if (!users[i].alive || !r)
		return false;
	part_of(r, args[2], &offset, &length);
	if (pages) {
		cmd->access_pages.flags = r->va && args[1] % 4 ? 0 : MOCK_PAGES_UNVERIFIED;
		if (r->flags & WRITEABLE && args[1] & 4)
			cmd->access_pages.flags |= MOCK_PAGES_WRITE;
		cmd->access_pages.iova = r->iova + offset;
		cmd->access_pages.length = length;
		cmd->access_pages.uptr = r->va + offset;
		return true;
	}
	if (length > sizeof(scratch))
		length = sizeof(scratch);
	if (args[2] & 32 && length > 100)
		length -= args[2];
	cmd->access_rw.flags = args[4] & 1 && r->flags & WRITEABLE ? MOCK_RW_WRITE : 0;
	cmd->access_rw.flags |= args[4] & 64 ? MOCK_RW_SLOW : 0;
	cmd->access_rw.iova = r->iova + offset;
	cmd->access_rw.length = length;
	/* Where there may be no memory in every fourth */
	if (args[3] % 4)
		cmd->access_rw.uptr = (uintptr_t)scratch;
	return true;
}

static bool aim_mock(struct iommu_test_cmd *cmd, unsigned int space, unsigned int n,
		     const unsigned char *args)
{
	unsigned int user = users[n & 1].alive ? n & 1 : ~n & 1;
	const struct range *r;
	uint32_t id;

	switch (cmd->op) {
	case IOMMU_TEST_OP_ADD_RESERVED:
		cmd->id = made_pick(IOAS, space, args[0], 0);
		return cmd->id;
	case IOMMU_TEST_OP_LOCAL_DEVICE:
		if (args[3] % 8)
			cmd->local_device.group_stdev_id = 0;
		if (args[4] % 4)
			cmd->local_device.reserved_type = MOCK_RESERVED_NONE;
		/* fallthrough */
	case IOMMU_TEST_OP_MOCK_DOMAIN:
		/* The newest: in an older one there is more that may be in the way. */
		cmd->id = args[0] & 4 ? made_pick(HWPT, space, args[0], 0) : 0;
		if (!cmd->id)
			cmd->id = made_pick(IOAS, space, next_made[IOAS] - 1, 0);
		return cmd->id;
	case IOMMU_TEST_OP_MD_CHECK_MAP:
		return aim_check_map(cmd, space, n);
	case IOMMU_TEST_OP_MD_CHECK_REFS:
		r = range_pick(space, n, 0);
		if (!r || !r->va)
			return false;
		cmd->check_refs.uptr = r->va;
		cmd->check_refs.length = r->length;
		cmd->check_refs.refs = !!made_pick(HWPT, space, 0, r->ioas);
		return true;
	case IOMMU_TEST_OP_CREATE_ACCESS:
		cmd->id = made_pick(IOAS, space, args[0], 0);
		cmd->create_access.flags = args[1] % 4 ? MOCK_ACCESS_PINS : 0;
		return cmd->id;
	case IOMMU_TEST_OP_ACCESS_PAGES:
	case IOMMU_TEST_OP_ACCESS_RW:
		return aim_access(cmd, n, args);
	case IOMMU_TEST_OP_DESTROY_ACCESS_PAGES:
		user = n & 1;
		id = made_pick(PINNED, user, args[1], 0);
		if (!id) {
			user ^= 1;
			id = made_pick(PINNED, user, args[1], 0);
		}
		cmd->id = get_fd(ACCESS, user);
		cmd->destroy_access_pages.pages_id = id;
		return id;
	case IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE:
		cmd->id = made_pick(STDEV, space, args[0], 0);
		id = table_pick(space, args[1]);
		cmd->mock_domain_replace.pt_id = id;
		return cmd->id && id;
	case IOMMU_TEST_OP_ACCESS_REPLACE_IOAS:
		id = made_pick(IOAS, users[user].space, args[1], 0);
		cmd->id = get_fd(ACCESS, user);
		cmd->access_replace_ioas.ioas_id = id;
		return users[user].alive && id;
	}
	return true;
}

static bool aim_map_dma(struct vfio_iommu_type1_dma_map *map, unsigned int space,
			const unsigned char *args)
{
	if (!ready[space - 2])
		return false;
	map->flags = args[0] % 4 ? VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE :
				   VFIO_DMA_MAP_FLAG_READ;
	map->size = whole_pages(args[3]);
	map->vaddr = memory(args[1], &map->size);
	map->iova = range_free(space, 0, somewhere(args[2]), map->size);
	return true;
}

static void aim_option(struct iommu_option *option, unsigned int space,
		       const unsigned char *args)
{
	bool ask = option->op == IOMMU_OPTION_OP_GET;

	if (option->option_id == IOMMU_OPTION_RLIMIT_MODE)
		option->object_id = 0;
	else
		option->object_id = made_pick(IOAS, space, args[2], 0);
	option->val64 = ask ? 0 : option->val64;
}

/* Which of the two contexts: one without address spaces is good for nothing else. */
unsigned int aim_second(unsigned long cmd, unsigned int second)
{
	return cmd == IOMMU_IOAS_ALLOC || made_pick(IOAS, second, 0, 0) ||
	       !made_pick(IOAS, second ^ 1, 0, 0) ? second : second ^ 1;
}

/*
 * Change the call in @buffer, of @second's file, so that it meets what is there. False:
 * there is nothing.
 */
bool aim(unsigned long cmd, void *buffer, unsigned int second, unsigned int n,
	 const unsigned char *args)
{
	struct iommu_ioas_iova_ranges *ranges = buffer;
	struct iommu_ioas_allow_iovas *allow = buffer;
	struct iommu_hwpt_alloc *alloc = buffer;
	struct iommu_hw_info *info = buffer;
	struct vfio_device_bind_iommufd *bind = buffer;
	struct vfio_device_attach_iommufd_pt *attach = buffer;
	struct vfio_iommu_type1_dma_unmap *unmap_dma = buffer;
	const struct range *r;

	switch (cmd) {
	case IOMMU_DESTROY:
		return aim_destroy(buffer, second, n, args);
	case IOMMU_IOAS_MAP:
		return aim_map(buffer, second, n, args);
	case IOMMU_IOAS_MAP_FILE:
		return aim_map_file(buffer, second, n, args);
	case IOMMU_IOAS_COPY:
		return aim_copy(buffer, second, n, args);
	case IOMMU_IOAS_UNMAP:
		return aim_unmap(buffer, second, n, args);
	case IOMMU_IOAS_ALLOW_IOVAS:
		allow->ioas_id = made_pick(IOAS, second, args[0], 0);
		allow->num_iovas = args[1] % (NR_WINDOWS + 1);
		allow->allowed_iovas = (uintptr_t)windows;
		return allow->ioas_id;
	case IOMMU_IOAS_IOVA_RANGES:
		ranges->ioas_id = made_pick(IOAS, second, args[0], 0);
		return ranges->ioas_id;
	case IOMMU_OPTION:
		aim_option(buffer, second, args);
		return true;
	case IOMMU_HWPT_ALLOC:
		alloc->dev_id = made_pick(DEV, second, args[0], 0);
		alloc->pt_id = made_pick(IOAS, second, args[1], 0);
		alloc->flags = 0;
		return alloc->dev_id && alloc->pt_id;
	case IOMMU_GET_HW_INFO:
		info->dev_id = made_pick(DEV, second, args[0], 0);
		info->data_uptr = (uintptr_t)scratch;
		info->flags = 0;
		return info->dev_id;
	case IOMMU_TEST_CMD:
		return aim_mock(buffer, second, n, args);
	case VFIO_DEVICE_BIND_IOMMUFD:
		bind->iommufd = get_fd(IOMMU, get_fd(IOMMU, args[0]) < 0 ? 0 : args[0]);
		bind->flags = 0;
		return true;
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		attach->pt_id = table_pick(bound_to[second], args[0]);
		return attach->pt_id;
	case VFIO_IOMMU_MAP_DMA:
		return aim_map_dma(buffer, 2 + second, args);
	case VFIO_IOMMU_UNMAP_DMA:
		r = range_pick(2 + second, n, 0);
		if (!r)
			return false;
		unmap_dma->flags = 0;
		unmap_dma->iova = r->iova;
		unmap_dma->size = r->length;
		return true;
	}
	return true;
}

/* ---- learning ---- */

static void learn_mock(const struct iommu_test_cmd *cmd, unsigned int space, uint32_t pt)
{
	unsigned int i;

	switch (cmd->op) {
	case IOMMU_TEST_OP_MOCK_DOMAIN:
	case IOMMU_TEST_OP_LOCAL_DEVICE:
		made_add(STDEV, space, cmd->mock_domain.out_stdev_id, 0);
		made_add(HWPT, space, cmd->mock_domain.out_hwpt_id, ioas_of(space, pt));
		made_add(DEV, space, cmd->mock_domain.out_idev_id, 0);
		break;
	case IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE:
		made_add(HWPT, space, cmd->mock_domain_replace.pt_id, ioas_of(space, pt));
		break;
	case IOMMU_TEST_OP_CREATE_ACCESS:
		/* Its descriptor took this place. */
		i = get_fd(ACCESS, 1) == (int)cmd->create_access.out_fd;
		users[i] = (struct user){
			.ioas = cmd->id, .space = space, .alive = true,
			.pins = cmd->create_access.flags & MOCK_ACCESS_PINS,
		};
		break;
	case IOMMU_TEST_OP_ACCESS_REPLACE_IOAS:
		i = get_fd(ACCESS, 1) == (int)cmd->id;
		users[i].ioas = cmd->access_replace_ioas.ioas_id;
		break;
	case IOMMU_TEST_OP_ACCESS_PAGES:
		i = get_fd(ACCESS, 1) == (int)cmd->id;
		made_add(PINNED, i, cmd->access_pages.out_pages_id, 0);
		break;
	case IOMMU_TEST_OP_DESTROY_ACCESS_PAGES:
		i = get_fd(ACCESS, 1) == (int)cmd->id;
		made_gone(PINNED, i, cmd->destroy_access_pages.pages_id);
		break;
	}
}

static void learn_copy(const struct iommu_ioas_copy *copy, unsigned int space)
{
	uint64_t va = 0;
	unsigned int i;

	for (i = 0; i < NR_RANGES; i++) {
		const struct range *r = &spaces[space].ranges[i];

		if (r->va && r->ioas == copy->src_ioas_id && r->iova <= copy->src_iova &&
		    copy->src_iova - r->iova < r->length)
			va = r->va + (copy->src_iova - r->iova);
	}
	range_add(space, copy->dst_ioas_id, copy->dst_iova, copy->length, va, copy->flags);
}

/* What it attaches to, which an answer takes the place of */
uint32_t aim_pt(unsigned long cmd, const void *buffer)
{
	const struct vfio_device_attach_iommufd_pt *attach = buffer;
	const struct iommu_test_cmd *test = buffer;

	if (cmd == VFIO_DEVICE_ATTACH_IOMMUFD_PT)
		return attach->pt_id;
	return test->op == IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE ?
	       test->mock_domain_replace.pt_id : test->id;
}

/* The call in @buffer was made, and what it gave is in there. @pt: of aim_pt(), before */
void learn(unsigned long cmd, const void *buffer, unsigned int second, uint32_t pt)
{
	const struct iommu_destroy *destroy = buffer;
	const struct iommu_ioas_alloc *ioas = buffer;
	const struct iommu_ioas_map *map = buffer;
	const struct iommu_ioas_map_file *file = buffer;
	const struct iommu_ioas_unmap *unmap = buffer;
	const struct iommu_hwpt_alloc *hwpt = buffer;
	const struct vfio_device_bind_iommufd *bind = buffer;
	const struct vfio_device_attach_iommufd_pt *attach = buffer;
	const struct vfio_iommu_type1_dma_map *map_dma = buffer;
	const struct vfio_iommu_type1_dma_unmap *unmap_dma = buffer;
	unsigned int class;

	switch (cmd) {
	case IOMMU_DESTROY:
		for (class = IOAS; class < PINNED; class++)
			made_gone(class, second, destroy->id);
		ranges_gone(second, destroy->id, 0, 0);
		break;
	case IOMMU_IOAS_ALLOC:
		made_add(IOAS, second, ioas->out_ioas_id, 0);
		break;
	case IOMMU_IOAS_MAP:
		range_add(second, map->ioas_id, map->iova, map->length, map->user_va,
			  map->flags);
		break;
	case IOMMU_IOAS_MAP_FILE:
		range_add(second, file->ioas_id, file->iova, file->length, 0, file->flags);
		break;
	case IOMMU_IOAS_COPY:
		learn_copy(buffer, second);
		break;
	case IOMMU_IOAS_UNMAP:
		ranges_gone(second, unmap->ioas_id, unmap->iova, unmap->length);
		break;
	case IOMMU_HWPT_ALLOC:
		made_add(HWPT, second, hwpt->out_hwpt_id, ioas_of(second, hwpt->pt_id));
		break;
	case IOMMU_TEST_CMD:
		learn_mock(buffer, second, pt);
		break;
	case VFIO_DEVICE_BIND_IOMMUFD:
		bound_to[second] = bind->iommufd == get_fd(IOMMU, 1);
		made_add(DEV, bound_to[second], bind->out_devid, 0);
		break;
	case VFIO_DEVICE_ATTACH_IOMMUFD_PT:
		made_add(HWPT, bound_to[second], attach->pt_id,
			 ioas_of(bound_to[second], pt));
		break;
	case VFIO_SET_IOMMU:
		ready[second] = true;
		break;
	case VFIO_IOMMU_MAP_DMA:
		ready[second] = true;
		range_add(2 + second, 0, map_dma->iova, map_dma->size, map_dma->vaddr, 6);
		break;
	case VFIO_IOMMU_UNMAP_DMA:
		ranges_gone(2 + second, 0, unmap_dma->iova, unmap_dma->size);
		break;
	}
}

/* The same, and it was not there. */
void learn_absent(unsigned long cmd, const void *buffer, unsigned int second)
{
	const struct iommu_ioas_map *map = buffer;
	const struct iommu_ioas_copy *copy = buffer;
	const struct iommu_ioas_unmap *unmap = buffer;
	const struct iommu_test_cmd *test = buffer;
	const struct iommu_hwpt_alloc *hwpt = buffer;
	const struct vfio_iommu_type1_dma_unmap *unmap_dma = buffer;

	switch (cmd) {
	case IOMMU_IOAS_MAP:
	case IOMMU_IOAS_MAP_FILE:	/* the ID is at the same place */
		made_gone(IOAS, second, map->ioas_id);
		break;
	case IOMMU_IOAS_COPY:
		ranges_gone(second, copy->src_ioas_id, copy->src_iova, copy->length);
		break;
	case IOMMU_IOAS_UNMAP:
		ranges_gone(second, unmap->ioas_id, unmap->iova, unmap->length);
		break;
	case IOMMU_HWPT_ALLOC:
		made_gone(DEV, second, hwpt->dev_id);
		break;
	case VFIO_IOMMU_UNMAP_DMA:
		ranges_gone(2 + second, 0, unmap_dma->iova, unmap_dma->size);
		break;
	case IOMMU_TEST_CMD:
		switch (test->op) {
		case IOMMU_TEST_OP_MOCK_DOMAIN:
		case IOMMU_TEST_OP_LOCAL_DEVICE:
		case IOMMU_TEST_OP_MD_CHECK_MAP:
			made_gone(HWPT, second, test->id);
			break;
		case IOMMU_TEST_OP_MOCK_DOMAIN_REPLACE:
			made_gone(HWPT, second, test->mock_domain_replace.pt_id);
			break;
		case IOMMU_TEST_OP_DESTROY_ACCESS_PAGES:
			made_gone(PINNED, get_fd(ACCESS, 1) == (int)test->id,
				  test->destroy_access_pages.pages_id);
			break;
		}
		break;
	}
}
