// SPDX-License-Identifier: GPL-2.0
/*
 * What a context tells about itself: its state and the reasons of failures in
 * fdinfo, and the tracepoints. docs/fdinfo.md is the contract.
 *
 * Three fixtures. `numbers` holds the figures against what was done, without,
 * with one and with two page tables. `reasons` makes calls fail in every way that
 * has a text and compares the whole of it. `fdinfo` is the rest: limits of the
 * output, readers while others change everything or sleep, tracepoints.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "kselftest_harness.h"
#include "mock_utils.h"
#include "slow_memory.h"

#define NR_PAGES	16UL
#define LENGTH		(NR_PAGES * PAGE)
#define TEXT_MAX	(4U << 20)

/* Not to stdout: a test that fails does not flush it. */
#define note(...)	fprintf(stderr, "# " __VA_ARGS__)

/*
 * Reading fdinfo.
 */

/* The whole text, to be freed; or NULL. */
static char *fdinfo(int fd)
{
	char path[64], *text = malloc(TEXT_MAX);
	ssize_t got = 1, length = 0;
	int file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	file = open(path, O_RDONLY | O_CLOEXEC);
	while (text && file >= 0 && got > 0 && length < TEXT_MAX - 1) {
		got = read(file, text + length, TEXT_MAX - 1 - length);
		length += got > 0 ? got : 0;
	}
	if (file >= 0)
		close(file);
	if (text)
		text[length] = 0;
	return text;
}

/* Does the line have this pair, or value, as a whole word? */
static bool line_has(const char *line, const char *word)
{
	const char *end = strchrnul(line, '\n'), *at = line;
	size_t length = strlen(word);

	while ((at = strstr(at, word)) && at < end) {
		if ((at[-1] == ' ' || at[-1] == '\t') &&
		    (at[length] == ' ' || at[length] == '\n'))
			return true;
		at++;
	}
	return false;
}

/* The first line "key:<tab>..." with that word, if not NULL; or NULL. */
static const char *find_line(const char *text, const char *key, const char *word)
{
	size_t length = strlen(key);
	const char *line;

	for (line = text; line && *line; line = strchr(line, '\n'), line += !!line)
		if (!strncmp(line, key, length) && line[length] == ':' &&
		    line[length + 1] == '\t' && (!word || line_has(line, word)))
			return line;
	return NULL;
}

static unsigned int count_lines(const char *text, const char *key)
{
	unsigned int nr = 0;

	while ((text = find_line(text, key, NULL))) {
		text += strlen(key);
		nr++;
	}
	return nr;
}

/* Is there "key: ..." with all of these words? */
static bool has_line(int fd, const char *key, const char *words)
{
	char *text = fdinfo(fd), *copy, *word, *rest;
	const char *line = text;
	bool has = false;

	while (text && !has && (line = find_line(line, key, NULL))) {
		copy = strdup(words);
		has = true;
		for (word = strtok_r(copy, " ", &rest); word;
		     word = strtok_r(NULL, " ", &rest))
			has &= line_has(line, word);
		free(copy);
		line += strlen(key);
	}
	if (text && !has)
		note("no '%s' with '%s' in:\n%s", key, words, text);
	free(text);
	return has;
}

static bool __attribute__((format(printf, 3, 4)))
has(int fd, const char *key, const char *fmt, ...)
{
	char words[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(words, sizeof(words), fmt, args);
	va_end(args);
	return has_line(fd, key, words);
}

/* "key:<tab>NUMBER" */
static long long value(int fd, const char *key)
{
	char *text = fdinfo(fd);
	const char *line = text ? find_line(text, key, NULL) : NULL;
	long long v = line ? atoll(line + strlen(key) + 2) : -1;

	free(text);
	return v;
}

/* A kernel without CONFIG_SYMBOLIC_ERRNAME shows the number. */
static bool errno_is(const char *at, int rc)
{
	static const struct {
		int rc;
		const char *name;
	} names[] = {
		{ -ENOENT, "-ENOENT" }, { -EINVAL, "-EINVAL" },
		{ -E2BIG, "-E2BIG" }, { -ENOTTY, "-ENOTTY" },
		{ -EOPNOTSUPP, "-EOPNOTSUPP" }, { -EOVERFLOW, "-EOVERFLOW" },
		{ -EEXIST, "-EEXIST" }, { -ENOSPC, "-ENOSPC" },
		{ -EFAULT, "-EFAULT" }, { -EBUSY, "-EBUSY" },
		{ -EPERM, "-EPERM" }, { -ENOMEM, "-ENOMEM" },
		{ -EBADF, "-EBADF" }, { -EACCES, "-EACCES" },
		{ -EMSGSIZE, "-EMSGSIZE" }, { -ENODEV, "-ENODEV" },
		{ -EADDRINUSE, "-EADDRINUSE" },
	};
	char number[16];
	unsigned int i;

	snprintf(number, sizeof(number), "%d ", rc);
	if (!strncmp(at, number, strlen(number)))
		return true;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (names[i].rc == rc)
			return !strncmp(at, names[i].name,
					strlen(names[i].name));
	return false;
}

/* Is this the latest failure, word for word? */
static bool __attribute__((format(printf, 4, 5)))
failed(int fd, const char *op, int rc, const char *fmt, ...)
{
	char want[256], head[64], *text = fdinfo(fd);
	const char *line, *at, *reason;
	bool ok = false;
	va_list args;

	va_start(args, fmt);
	vsnprintf(want, sizeof(want), fmt, args);
	va_end(args);
	snprintf(head, sizeof(head), " op=%s errno=", op);
	line = text ? find_line(text, "failure", NULL) : NULL;
	if (line) {
		*strchrnul(line, '\n') = 0;
		at = strstr(line, head);
		reason = strstr(line, " reason=");
		ok = at && reason && errno_is(at + strlen(head), rc) &&
		     !strcmp(reason + 8, want);
	}
	if (!ok)
		note("want op=%s rc=%d '%s'\n# have %s\n", op, rc,
			       want, line ?: "nothing");
	free(text);
	return ok;
}

static bool attach_failed(int fd, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static bool attach_failed(int fd, int rc, const char *fmt, ...)
{
	char want[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(want, sizeof(want), fmt, args);
	va_end(args);
	return failed(fd, "device-attach", rc, "%s", want);
}

/* The IOMMU group of a device, by its line. */
static int group_of(int fd, uint32_t idev)
{
	char *text = fdinfo(fd), id[32];
	const char *line;
	int group = -1;

	snprintf(id, sizeof(id), "id=%u", idev);
	line = text ? find_line(text, "device", id) : NULL;
	if (line && strstr(line, " group="))
		sscanf(strstr(line, " group="), " group=%d", &group);
	free(text);
	return group;
}

/*
 * Figures
 */

FIXTURE(numbers)
{
	int fd;
	uint32_t ioas;
	uint8_t *buf;
	struct stdev devs[2];
};

FIXTURE_VARIANT(numbers)
{
	unsigned int tables;
};

FIXTURE_VARIANT_ADD(numbers, no_table) { .tables = 0 };
FIXTURE_VARIANT_ADD(numbers, one_table) { .tables = 1 };
FIXTURE_VARIANT_ADD(numbers, two_tables) { .tables = 2 };

FIXTURE_SETUP(numbers)
{
	unsigned int i;

	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->buf = pages_alloc(LENGTH);
	ASSERT_NE(NULL, self->buf);
	for (i = 0; i < variant->tables; i++)
		ASSERT_EQ(0, stdev_add_to_unit(self->fd, self->ioas,
					       i ? MOCK_UNIT_TWIN : MOCK_UNIT_ABI,
					       &self->devs[i]));
}

FIXTURE_TEARDOWN(numbers)
{
	close(self->fd);
	EXPECT_EQ(0, unpinned(self->buf, LENGTH));
}

TEST_F(numbers, are_those_of_what_is_mapped)
{
	unsigned long pinned = variant->tables ? LENGTH : 0;

	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mappings=0 mapped=0 pinned=0 hwpts=%u accesses=0 align=%u huge-pages=1",
			self->ioas, variant->tables, variant->tables ? 2048 : 1));
	EXPECT_EQ(0, value(self->fd, "charged"));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RD, self->buf, LENGTH,
				    BASE));
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mappings=1 mapped=%lu pinned=%lu",
			self->ioas, LENGTH, pinned));
	EXPECT_TRUE(has(self->fd, "mapping", "ioas=%u start=0x%lx last=0x%lx prot=r- user-va=0x%lx state=ready pins=0",
			self->ioas, BASE, BASE + LENGTH - 1,
			(unsigned long)self->buf));
	EXPECT_EQ(pinned, value(self->fd, "charged"));
	/* A part of two pages is mapped in bytes and pinned in pages. */
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf + HALF,
				    PAGE, BASE + MiB));
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mappings=2 mapped=%lu pinned=%lu",
			self->ioas, LENGTH + PAGE,
			pinned ? LENGTH + 2 * PAGE : 0));
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, LENGTH, NULL));
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mappings=1 mapped=%lu pinned=%lu",
			self->ioas, PAGE, pinned ? 2 * PAGE : 0));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mappings=0 mapped=0 pinned=0",
			self->ioas));
	EXPECT_EQ(0, value(self->fd, "charged"));
	EXPECT_EQ(0, value(self->fd, "failures"));
}

/* Maps and unmaps so far: each that was done, none that failed. */
TEST_F(numbers, maps_and_unmaps_are_counted)
{
	uint8_t *none = pages_alloc(PAGE);
	unsigned long iova;
	unsigned int i;

	ASSERT_NE(NULL, none);
	ASSERT_EQ(0, munmap(none, PAGE));
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u maps=0 unmaps=0 map-bytes=0 unmap-bytes=0",
			self->ioas));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RD, self->buf,
					    LENGTH, BASE));
		EXPECT_EQ(-EEXIST, ioas_map_fixed(self->fd, self->ioas, RD, self->buf,
						  LENGTH, BASE));
		/* (without a table nobody looks at the memory) */
		if (variant->tables)
			EXPECT_EQ(-EFAULT, ioas_map_fixed(self->fd, self->ioas, RW, none,
							  PAGE, BASE + MiB));
		EXPECT_TRUE(has(self->fd, "ioas", "id=%u maps=%u unmaps=%u map-bytes=%lu unmap-bytes=%lu",
				self->ioas, i + 1, i, (i + 1) * LENGTH, i * LENGTH));
		ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, LENGTH, NULL));
	}
	/* Some of many, more than are erased at once; then all. */
	for (i = 0; i < 200; i++) {
		iova = BASE + i * 2 * PAGE;
		ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RD, self->buf, PAGE, iova));
	}
	ASSERT_EQ(0, ioas_unmap(self->fd, self->ioas, BASE, 150 * 2 * PAGE, NULL));
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mappings=50 maps=203 unmaps=153 map-bytes=%lu unmap-bytes=%lu",
			self->ioas, 3 * LENGTH + 200 * PAGE, 3 * LENGTH + 150 * PAGE));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mappings=0 maps=203 unmaps=203 map-bytes=%lu unmap-bytes=%lu",
			self->ioas, 3 * LENGTH + 200 * PAGE, 3 * LENGTH + 200 * PAGE));
}

TEST_F(numbers, devices_and_tables_are_where_they_are)
{
	unsigned int i;

	for (i = 0; i < variant->tables; i++) {
		EXPECT_TRUE(has(self->fd, "device", "id=%u hwpt=%u ioas=%u attached=1",
				self->devs[i].idev, self->devs[i].hwpt,
				self->ioas));
		EXPECT_LE(0, group_of(self->fd, self->devs[i].idev));
		EXPECT_TRUE(has(self->fd, "hwpt", "id=%u ioas=%u kind=automatic groups=1 first=0x%lx last=0x%lx pgsizes=0x100800 finished=1 broken=0",
				self->devs[i].hwpt, self->ioas,
				MOCK_APERTURE_START, MOCK_APERTURE_LAST));
		EXPECT_TRUE(has(self->fd, "reserved", "ioas=%u start=0x0 last=0x%lx kind=aperture hwpt=%u",
				self->ioas, MOCK_APERTURE_START - 1,
				self->devs[i].hwpt));
		ASSERT_EQ(0, iommufd_destroy(self->fd, self->devs[i].id));
	}
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u users=0 hwpts=0", self->ioas));
	if (!variant->tables)
		return;
	EXPECT_EQ(-1, value(self->fd, "device"));
	EXPECT_EQ(-1, value(self->fd, "hwpt"));
	EXPECT_EQ(-1, value(self->fd, "reserved"));
}

TEST_F(numbers, an_access_pins_what_it_pins)
{
	unsigned long more = variant->tables ? LENGTH : 3 * PAGE;
	int access;
	uint32_t id;

	access = access_open(self->fd, self->ioas, MOCK_ACCESS_PINS);
	ASSERT_LE(0, access);
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, LENGTH,
				    BASE));
	EXPECT_TRUE(has(self->fd, "access", "ioas=%u pins=0 pinned=0", self->ioas));
	ASSERT_EQ(0, access_pin(self->fd, access, 0, BASE + PAGE, 3 * PAGE,
				self->buf + PAGE, &id));
	EXPECT_TRUE(has(self->fd, "access", "ioas=%u pins=1 pinned=%lu",
			self->ioas, 3 * PAGE));
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u accesses=1 mappings=1 mapped=%lu pinned=%lu align=4096",
			self->ioas, LENGTH, more));
	EXPECT_TRUE(has(self->fd, "mapping", "ioas=%u start=0x%lx pins=1",
			self->ioas, BASE));
	EXPECT_EQ(more, value(self->fd, "charged"));
	ASSERT_EQ(0, access_unpin(self->fd, access, id));
	EXPECT_TRUE(has(self->fd, "access", "ioas=%u pins=0 pinned=0", self->ioas));
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mapped=%lu pinned=%lu",
			self->ioas, LENGTH, variant->tables ? LENGTH : 0));
	EXPECT_EQ(variant->tables ? LENGTH : 0, value(self->fd, "charged"));
	close(access);
	EXPECT_EQ(-1, value(self->fd, "access"));
}

TEST_F(numbers, a_copy_shares_what_is_pinned)
{
	unsigned long half = LENGTH / 2;
	uint32_t other;
	struct stdev dev;

	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, stdev_add(self->fd, other, &dev));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, LENGTH,
				    BASE));
	ASSERT_EQ(0, ioas_copy_fixed(self->fd, RW, other, BASE, self->ioas,
				     BASE + PAGE, half));
	/* Half of the span is pinned, by the copy, where nobody else did. */
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mapped=%lu pinned=%lu", other,
			half, half));
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mapped=%lu pinned=%lu",
			self->ioas, LENGTH, variant->tables ? LENGTH : half));
	EXPECT_EQ(variant->tables ? LENGTH : half, value(self->fd, "charged"));
	EXPECT_TRUE(has(self->fd, "mapping", "ioas=%u start=0x%lx user-va=0x%lx",
			other, BASE, (unsigned long)self->buf + PAGE));
}

/*
 * Reasons
 */

FIXTURE(reasons)
{
	int fd;
	uint32_t ioas;
	uint8_t *buf;
};

FIXTURE_SETUP(reasons)
{
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
	self->buf = pages_alloc(LENGTH);
	ASSERT_NE(NULL, self->buf);
}

FIXTURE_TEARDOWN(reasons)
{
	close(self->fd);
	EXPECT_EQ(0, unpinned(self->buf, LENGTH));
}

#define MAP	"IOMMU_IOAS_MAP"
#define UNMAP	"IOMMU_IOAS_UNMAP"
#define COPY	"IOMMU_IOAS_COPY"

TEST_F(reasons, of_the_structure)
{
	struct {
		struct iommu_ioas_alloc cmd;
		uint32_t more[4];
	} big = { .cmd.size = sizeof(big), .more = { 0, 0, 7 << 16 } };
	struct iommu_ioas_map map = { .size = 8 };

	EXPECT_EQ(-E2BIG, ioctl_rc(self->fd, IOMMU_IOAS_ALLOC, &big));
	EXPECT_TRUE(failed(self->fd, "IOMMU_IOAS_ALLOC", -E2BIG,
			   "size is 28, and byte 22, which means nothing here, is not 0: 12 bytes are known"));
	EXPECT_EQ(-EINVAL, ioctl_rc(self->fd, IOMMU_IOAS_MAP, &map));
	EXPECT_TRUE(failed(self->fd, MAP, -EINVAL,
			   "size is 8, the structure has at least 40 bytes"));
	map.size = 5000;
	EXPECT_EQ(-E2BIG, ioctl_rc(self->fd, IOMMU_IOAS_MAP, &map));
	EXPECT_TRUE(failed(self->fd, MAP, -E2BIG, "size is 5000, over 4096"));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->fd, IOMMU_IOAS_MAP, (void *)8));
	EXPECT_TRUE(failed(self->fd, MAP, -EFAULT,
			   "the argument, or memory that it names, cannot be read or written"));
	EXPECT_EQ(-ENOTTY, ioctl_rc(self->fd, _IO(';', 0x9e), &map));
	EXPECT_TRUE(failed(self->fd, "ioctl", -ENOTTY, "no ioctl is 0x3b9e"));
	/* What is asked of any file is no failure of ours. */
	EXPECT_EQ(-ENOTTY, ioctl_rc(self->fd, 0x5401, &map));
	EXPECT_EQ(5, value(self->fd, "failures"));
}

TEST_F(reasons, of_arguments)
{
	uint64_t iova = 0, one = 1, two = 2;
	struct iommu_ioas_alloc alloc = { .size = sizeof(alloc), .flags = 4 };

	EXPECT_EQ(-EOPNOTSUPP, ioctl_rc(self->fd, IOMMU_IOAS_ALLOC, &alloc));
	EXPECT_TRUE(failed(self->fd, "IOMMU_IOAS_ALLOC", -EOPNOTSUPP,
			   "0x4 in flags is not supported"));
	EXPECT_EQ(-EOPNOTSUPP, ioas_map(self->fd, self->ioas, RW | 0x20,
					self->buf, PAGE, &iova));
	EXPECT_TRUE(failed(self->fd, MAP, -EOPNOTSUPP,
			   "0x20 in flags is not supported"));
	EXPECT_EQ(-EINVAL, ioas_map(self->fd, self->ioas, 0, self->buf, PAGE,
				    &iova));
	EXPECT_TRUE(failed(self->fd, MAP, -EINVAL,
			   "flags name neither READABLE nor WRITEABLE"));
	EXPECT_EQ(-EINVAL, ioas_map(self->fd, self->ioas, RW, self->buf, 0,
				    &iova));
	EXPECT_TRUE(failed(self->fd, MAP, -EINVAL, "length is 0"));
	EXPECT_EQ(-EOVERFLOW, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					     2 * PAGE, -PAGE));
	EXPECT_TRUE(failed(self->fd, MAP, -EOVERFLOW,
			   "0x2000 bytes at IOVA 0xfffffffffffff000 go beyond 2^64"));
	EXPECT_EQ(-EINVAL, iommufd_option(self->fd, IOMMU_OPTION_HUGE_PAGES,
					  IOMMU_OPTION_OP_SET, self->ioas, &two));
	EXPECT_TRUE(failed(self->fd, "IOMMU_OPTION", -EINVAL,
			   "val64 is 2, not 0 or 1"));
	EXPECT_EQ(-EBUSY, iommufd_option(self->fd, IOMMU_OPTION_RLIMIT_MODE,
					 IOMMU_OPTION_OP_SET, 0, &one));
	EXPECT_TRUE(failed(self->fd, "IOMMU_OPTION", -EBUSY,
			   "the context has objects: set the mode first"));
	EXPECT_EQ(-EOPNOTSUPP, iommufd_option(self->fd, 77,
					      IOMMU_OPTION_OP_SET, 0, &one));
	EXPECT_TRUE(failed(self->fd, "IOMMU_OPTION", -EOPNOTSUPP,
			   "0x4d in option_id is not supported"));
}

TEST_F(reasons, of_ids_and_use)
{
	struct stdev dev;
	uint32_t hwpt, id;
	int access;

	EXPECT_EQ(-ENOENT, iommufd_destroy(self->fd, 12345));
	EXPECT_TRUE(failed(self->fd, "IOMMU_DESTROY", -ENOENT,
			   "there is no object 12345"));
	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &dev));
	EXPECT_EQ(-ENOENT, ioas_map_fixed(self->fd, dev.idev, RW, self->buf, PAGE,
					  BASE));
	EXPECT_TRUE(failed(self->fd, MAP, -ENOENT,
			   "object %u is a device, not an IOAS", dev.idev));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, dev.idev));
	EXPECT_TRUE(failed(self->fd, "IOMMU_DESTROY", -EBUSY,
			   "object %u is a device: it goes when its driver gives it back",
			   dev.idev));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, dev.hwpt));
	EXPECT_TRUE(failed(self->fd, "IOMMU_DESTROY", -EBUSY,
			   "HWPT %u was made by an attach: it goes with its last device",
			   dev.hwpt));
	ASSERT_EQ(0, hwpt_alloc(self->fd, dev.idev, self->ioas, &hwpt));
	access = access_open(self->fd, self->ioas, 0);
	ASSERT_LE(0, access);
	for (id = hwpt + 1; !has(self->fd, "access", "id=%u", id); id++)
		ASSERT_GT(hwpt + 9, id);
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->ioas));
	EXPECT_TRUE(failed(self->fd, "IOMMU_DESTROY", -EBUSY,
			   "object %u is used by a HWPT %u, a HWPT %u, an access %u",
			   self->ioas, dev.hwpt, hwpt, id));
	ASSERT_EQ(0, stdev_move(self->fd, &dev, hwpt));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, hwpt));
	EXPECT_TRUE(failed(self->fd, "IOMMU_DESTROY", -EBUSY,
			   "object %u is used by a device %u", hwpt, dev.idev));
	EXPECT_EQ(-EINVAL, hwpt_alloc(self->fd, dev.idev, hwpt, &id));
	EXPECT_TRUE(failed(self->fd, "IOMMU_HWPT_ALLOC", -EINVAL,
			   "object %u is a HWPT, not an IOAS", hwpt));
	close(access);
}

TEST_F(reasons, of_places)
{
	struct iommu_iova_range window = { 8 * MiB, 9 * MiB - 1 };
	struct iommu_iova_range bad[2] = { { 5, 4 }, { 0, 9 } };
	uint32_t nr = 0;
	uint64_t iova;

	ASSERT_EQ(0, add_reserved(self->fd, self->ioas, 4 * MiB, MiB));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  2 * PAGE, 4 * MiB - PAGE));
	EXPECT_TRUE(failed(self->fd, MAP, -EINVAL,
			   "IOVAs 0x3ff000-0x400fff meet the reserved range 0x400000-0x4fffff (test of context 0)"));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, LENGTH,
				    2 * MiB));
	EXPECT_EQ(-EEXIST, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  PAGE, 2 * MiB + LENGTH - 1));
	EXPECT_TRUE(failed(self->fd, MAP, -EEXIST,
			   "IOVAs 0x20ffff-0x210ffe meet the mapping 0x200000-0x20ffff"));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->ioas, 2 * MiB, PAGE, NULL));
	EXPECT_TRUE(failed(self->fd, UNMAP, -ENOENT,
			   "IOVAs 0x200000-0x200fff cut the mapping 0x200000-0x20ffff"));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->ioas, 6 * MiB, MiB, NULL));
	EXPECT_TRUE(failed(self->fd, UNMAP, -ENOENT,
			   "nothing is mapped in 0x600000-0x6fffff of IOAS %u",
			   self->ioas));
	ASSERT_EQ(0, ioas_allow(self->fd, self->ioas, &window, 1));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, PAGE,
				    8 * MiB + 16 * PAGE));
	iova = 0;
	EXPECT_EQ(-ENOSPC, ioas_map(self->fd, self->ioas, RW, self->buf, MiB,
				    &iova));
	EXPECT_TRUE(failed(self->fd, MAP, -ENOSPC,
			   "no room within the allowed ranges for 0x100000 bytes, the largest hole has 0xef000"));
	EXPECT_EQ(-EADDRINUSE, add_reserved(self->fd, self->ioas, 9 * MiB - 1, 1));
	EXPECT_TRUE(failed(self->fd, "IOMMU_TEST_CMD", -EADDRINUSE,
			   "IOVAs 0x8fffff-0x8fffff must be kept free (test of context 0), and IOAS %u has the allowed range 0x800000-0x8fffff",
			   self->ioas));
	window.start = window.last = 4 * MiB;
	EXPECT_EQ(-EADDRINUSE, ioas_allow(self->fd, self->ioas, &window, 1));
	EXPECT_TRUE(failed(self->fd, "IOMMU_IOAS_ALLOW_IOVAS", -EADDRINUSE,
			   "range 0x400000-0x400000 meets the reserved range 0x400000-0x4fffff (test of context 0)"));
	EXPECT_EQ(-EINVAL, ioas_allow(self->fd, self->ioas, bad, 2));
	EXPECT_TRUE(failed(self->fd, "IOMMU_IOAS_ALLOW_IOVAS", -EINVAL,
			   "range 0 starts at 0x5, behind its last 0x4"));
	bad[0].start = 0;
	EXPECT_EQ(-EINVAL, ioas_allow(self->fd, self->ioas, bad, 2));
	EXPECT_TRUE(failed(self->fd, "IOMMU_IOAS_ALLOW_IOVAS", -EINVAL,
			   "range 1, 0x0-0x9, meets another one"));
	EXPECT_EQ(-EMSGSIZE, ioas_iova_ranges(self->fd, self->ioas, NULL, &nr,
					      NULL));
	EXPECT_TRUE(failed(self->fd, "IOMMU_IOAS_IOVA_RANGES", -EMSGSIZE,
			   "there are 2 ranges, and room for 0"));
	EXPECT_TRUE(has(self->fd, "allowed", "ioas=%u start=0x800000 last=0x8fffff",
			self->ioas));
	EXPECT_TRUE(has(self->fd, "reserved", "ioas=%u start=0x400000 last=0x4fffff kind=test",
			self->ioas));
}

TEST_F(reasons, of_alignment)
{
	struct iommu_iova_range window = {
		BASE + HALF, BASE + HALF + LENGTH - 1
	};
	uint64_t iova = 0;
	struct stdev dev;

	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, 100,
				    BASE + 3));
	EXPECT_EQ(-EADDRINUSE, stdev_add(self->fd, self->ioas, &dev));
	EXPECT_TRUE(attach_failed(self->fd, -EADDRINUSE,
				  "the page table needs multiples of 0x800, and IOAS %u has the mapping 0x%lx-0x%lx of memory from byte 0x0 of a page on",
				  self->ioas, BASE + 3, BASE + 102));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, self->ioas, NULL));
	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &dev));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, self->ioas, RW, self->buf,
					  PAGE, BASE + 5));
	EXPECT_TRUE(failed(self->fd, MAP, -EINVAL,
			   "0x1000 bytes at IOVA 0x%lx: IOAS %u needs multiples of 0x800",
			   BASE + 5, self->ioas));
	EXPECT_EQ(-EINVAL, ioas_map_fixed(self->fd, self->ioas, RW,
					  self->buf + 1, HALF, BASE));
	EXPECT_TRUE(failed(self->fd, MAP, -EINVAL,
			   "0x800 bytes from byte 0x1 of a page on: IOAS %u needs multiples of 0x800",
			   self->ioas));
	/* There is room, but not at a multiple of the length. */
	ASSERT_EQ(0, ioas_allow(self->fd, self->ioas, &window, 1));
	EXPECT_EQ(-ENOSPC, ioas_map(self->fd, self->ioas, RW, self->buf, LENGTH,
				    &iova));
	EXPECT_TRUE(failed(self->fd, MAP, -ENOSPC,
			   "no room within the allowed ranges for 0x10000 bytes at a multiple of 0x10000; there is some at 0x%lx, to be asked for with FIXED_IOVA",
			   BASE + HALF));
	EXPECT_EQ(-EINVAL, set_huge_pages(self->fd, self->ioas, 0));
	EXPECT_TRUE(failed(self->fd, "IOMMU_OPTION", -EINVAL,
			   "IOAS %u has page tables, HWPT %u for one",
			   self->ioas, dev.hwpt));
}

TEST_F(reasons, of_memory)
{
	struct stdev dev;
	uint8_t *p = self->buf;

	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &dev));
	ASSERT_EQ(0, mprotect(p + 5 * PAGE, PAGE, PROT_READ));
	EXPECT_EQ(-EFAULT, ioas_map_fixed(self->fd, self->ioas, RW, p + HALF,
					  8 * PAGE, BASE));
	EXPECT_TRUE(failed(self->fd, MAP, -EFAULT,
			   "page at user address 0x%lx (index 5 of 9) cannot be pinned: it is mapped without PROT_WRITE",
			   (unsigned long)p + 5 * PAGE));
	ASSERT_EQ(0, munmap(p + 5 * PAGE, PAGE));
	EXPECT_EQ(-EFAULT, ioas_map_fixed(self->fd, self->ioas, RD, p,
					  LENGTH, BASE));
	EXPECT_TRUE(failed(self->fd, MAP, -EFAULT,
			   "page at user address 0x%lx (index 5 of 16) cannot be pinned: no memory is mapped there",
			   (unsigned long)p + 5 * PAGE));
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mappings=0 pinned=0",
			self->ioas));
	EXPECT_EQ(0, value(self->fd, "charged"));
	/* For the teardown, which looks at all of it. */
	ASSERT_EQ(p + 5 * PAGE, mmap(p + 5 * PAGE, PAGE, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED |
				     MAP_POPULATE, -1, 0));
}

TEST_F(reasons, of_files)
{
	struct iommu_ioas_map_file cmd = {
		.size = sizeof(cmd),
		.flags = RW | FIXED,
		.ioas_id = self->ioas,
		.fd = 9999,
		.start = PAGE,
		.length = 3 * PAGE,
		.iova = BASE,
	};
	const char *op = "IOMMU_IOAS_MAP_FILE";
	struct stdev dev;
	char path[64];
	int memfd;

	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &dev));
	EXPECT_EQ(-EBADF, ioctl_rc(self->fd, IOMMU_IOAS_MAP_FILE, &cmd));
	EXPECT_TRUE(failed(self->fd, op, -EBADF,
			   "no file is open at descriptor 9999"));
	cmd.fd = self->fd;
	EXPECT_EQ(-EINVAL, ioctl_rc(self->fd, IOMMU_IOAS_MAP_FILE, &cmd));
	EXPECT_TRUE(failed(self->fd, op, -EINVAL,
			   "the file is no memfd, and not of tmpfs or hugetlbfs"));
	memfd = memfd_create("short", 0);
	ASSERT_LE(0, memfd);
	ASSERT_EQ(0, ftruncate(memfd, 2 * PAGE + 1));
	cmd.fd = memfd;
	EXPECT_EQ(-EFAULT, ioctl_rc(self->fd, IOMMU_IOAS_MAP_FILE, &cmd));
	EXPECT_TRUE(failed(self->fd, op, -EFAULT,
			   "page at byte 0x1000 of the file (index 0 of 3) cannot be pinned: the file has 0x2001 bytes"));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	cmd.fd = open(path, O_RDONLY);
	ASSERT_LE(0, cmd.fd);
	EXPECT_EQ(-EACCES, ioctl_rc(self->fd, IOMMU_IOAS_MAP_FILE, &cmd));
	EXPECT_TRUE(failed(self->fd, op, -EACCES,
			   "the file is not open for writing"));
	close(cmd.fd);
	close(memfd);
}

TEST_F(reasons, of_copies)
{
	uint64_t iova = 0;
	uint32_t other;

	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RD, self->buf, PAGE,
				    BASE));
	EXPECT_EQ(-ENOENT, ioas_copy(self->fd, RD, other, &iova, self->ioas, BASE,
				     2 * PAGE));
	EXPECT_TRUE(failed(self->fd, COPY, -ENOENT,
			   "nothing is mapped at IOVA 0x%lx of IOAS %u",
			   BASE + PAGE, self->ioas));
	EXPECT_EQ(-EPERM, ioas_copy(self->fd, RW, other, &iova, self->ioas, BASE,
				    PAGE));
	EXPECT_TRUE(failed(self->fd, COPY, -EPERM,
			   "the memory of the mapping 0x%lx-0x%lx was given for reading only",
			   BASE, BASE + PAGE - 1));
}

/* As somebody who has a limit. */
static int map_limited(int fd, uint32_t ioas, void *buf, rlim_t limit)
{
	struct rlimit rlimit = { limit, limit };
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (setrlimit(RLIMIT_MEMLOCK, &rlimit) ||
		    setresgid(4321, 4321, 4321) || setresuid(4321, 4321, 4321))
			_exit(1);
		_exit(-ioas_map_fixed(fd, ioas, RW, buf, LENGTH, BASE));
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -EINVAL;
	return -WEXITSTATUS(status);
}

TEST_F(reasons, of_limits)
{
	struct stdev dev;

	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &dev));
	EXPECT_EQ(-ENOMEM, map_limited(self->fd, self->ioas, self->buf,
				       5 * PAGE + 17));
	EXPECT_TRUE(failed(self->fd, MAP, -ENOMEM,
			   "RLIMIT_MEMLOCK of the user is 20 kB, 0 kB of it are in use, 64 kB were asked for: 44 kB too many"));
	EXPECT_TRUE(has(self->fd, "memlock", "of=user used=0 limit=%lu",
			5 * PAGE + 17));
	EXPECT_EQ(0, map_limited(self->fd, self->ioas, self->buf, LENGTH));
	EXPECT_TRUE(has(self->fd, "memlock", "of=user used=%lu limit=%lu",
			LENGTH, LENGTH));
}

TEST_F(reasons, of_accesses)
{
	uint32_t id;
	int access;

	access = access_open(self->fd, self->ioas, MOCK_ACCESS_PINS);
	ASSERT_LE(0, access);
	EXPECT_EQ(-ENOENT, access_pin(self->fd, access, 0, BASE, PAGE, self->buf,
				      &id));
	EXPECT_TRUE(failed(self->fd, "access-pin", -ENOENT,
			   "nothing is mapped at IOVA 0x%lx of IOAS %u", BASE,
			   self->ioas));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RD, self->buf, PAGE,
				    BASE));
	EXPECT_EQ(-EPERM, access_pin(self->fd, access, MOCK_PAGES_WRITE, BASE,
				     PAGE, self->buf, &id));
	EXPECT_TRUE(failed(self->fd, "access-pin", -EPERM,
			   "the mapping 0x%lx-0x%lx may not be written", BASE,
			   BASE + PAGE - 1));
	EXPECT_EQ(-EPERM, access_rw(self->fd, access, MOCK_RW_WRITE, BASE,
				    self->buf, 1));
	EXPECT_TRUE(failed(self->fd, "access-rw", -EPERM,
			   "the mapping 0x%lx-0x%lx may not be written", BASE,
			   BASE + PAGE - 1));
	/* One failure each: not one more of the ioctl that passed it on. */
	EXPECT_EQ(3, value(self->fd, "failures"));
	close(access);
}

TEST_F(reasons, of_attaching)
{
	struct stdev dev, other;
	uint32_t ioas2, pt;
	int group;

	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &dev));
	group = group_of(self->fd, dev.idev);
	ASSERT_LE(0, group);

	pt = dev.id;
	EXPECT_EQ(-EINVAL, stdev_replace(self->fd, dev.id, &pt));
	EXPECT_TRUE(failed(self->fd, "device-replace", -EINVAL,
			   "object %u is a test object, neither an IOAS nor a HWPT",
			   dev.id));
	ASSERT_EQ(0, ioas_alloc(self->fd, &ioas2));
	EXPECT_EQ(-EINVAL, stdev_join(self->fd, ioas2, &dev, &other));
	EXPECT_TRUE(attach_failed(self->fd, -EINVAL,
				  "other devices of IOMMU group %d are on HWPT %u of IOAS %u, and all must be on one",
				  group, dev.hwpt, self->ioas));
	EXPECT_EQ(-EINVAL, stdev_add_to_unit(self->fd, dev.hwpt, MOCK_UNIT_TWIN,
					     &other));
	EXPECT_TRUE(attach_failed(self->fd, -EINVAL,
				  "HWPT %u was made for another IOMMU unit than that of IOMMU group %d",
				  dev.hwpt, group + 1));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, self->buf, PAGE,
				    BASE + MiB));
	EXPECT_EQ(-EADDRINUSE, stdev_add_local(self->fd, self->ioas,
					       MOCK_UNIT_ABI, 0,
					       MOCK_RESERVED_PLAIN, BASE + MiB,
					       &other));
	EXPECT_TRUE(attach_failed(self->fd, -EADDRINUSE,
				  "IOVAs 0x%lx-0x%lx must be kept free (region of group %d), and IOAS %u has the mapping 0x%lx-0x%lx",
				  BASE + MiB, BASE + MiB + MOCK_RESERVED_SIZE - 1,
				  group + 1, self->ioas, BASE + MiB,
				  BASE + MiB + PAGE - 1));
	EXPECT_EQ(-EPERM, stdev_add_local(self->fd, self->ioas, MOCK_UNIT_ABI, 0,
					  MOCK_RESERVED_DIRECT, 0x10000, &other));
	EXPECT_TRUE(failed(self->fd, "device-bind", -EPERM,
			   "firmware does DMA with IOMMU group %d to 0x10000-0x1ffff: it cannot be given to userspace",
			   group + 1));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, ioas2, RW, self->buf, PAGE, PAGE));
	pt = ioas2;
	EXPECT_EQ(-EADDRINUSE, stdev_replace(self->fd, dev.id, &pt));
	EXPECT_TRUE(has(self->fd, "device", "id=%u hwpt=%u ioas=%u", dev.idev,
			dev.hwpt, self->ioas));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, ioas2, NULL));
	ASSERT_EQ(0, fail_attach(self->fd, 1, 1));
	EXPECT_EQ(-ENOMEM, stdev_replace(self->fd, dev.id, &pt));
	ASSERT_EQ(0, fail_attach(self->fd, 0, 0));
	EXPECT_EQ(value(self->fd, "failures"), 7);
}

/* The latest comes first, eight are kept, and no text is anybody else's. */
TEST_F(reasons, are_of_their_failure)
{
	char *text;
	const char *line;
	unsigned int i;

	EXPECT_EQ(-ENOENT, iommufd_destroy(self->fd, 777));
	EXPECT_EQ(-EFAULT, ioctl_rc(self->fd, IOMMU_DESTROY, NULL));
	EXPECT_TRUE(failed(self->fd, "IOMMU_DESTROY", -EFAULT,
			   "the argument, or memory that it names, cannot be read or written"));
	/* The same errno again, with nothing to say, is one more. */
	EXPECT_EQ(-EFAULT, ioctl_rc(self->fd, IOMMU_DESTROY, NULL));
	ASSERT_EQ(0, ioas_alloc(self->fd, &i));
	EXPECT_EQ(3, value(self->fd, "failures"));
	for (i = 1000; i < 1010; i++)
		EXPECT_EQ(-ENOENT, iommufd_destroy(self->fd, i));
	text = fdinfo(self->fd);
	ASSERT_NE(NULL, text);
	EXPECT_EQ(8, count_lines(text, "failure"));
	EXPECT_EQ(13, value(self->fd, "failures"));
	for (i = 1009, line = text; i > 1001; i--) {
		char want[64];

		line = find_line(line, "failure", NULL);
		ASSERT_NE(NULL, line);
		snprintf(want, sizeof(want), "reason=there is no object %u\n", i);
		EXPECT_NE(NULL, strstr(line, want));
		EXPECT_EQ(i - 1009 + 13, atoi(strstr(line, "n=") + 2));
		line = strchr(line, '\n');
	}
	EXPECT_EQ(NULL, strstr(text, "object 777"));
	free(text);
}

#define LOSERS	4

struct loser {
	pthread_t thread;
	int fd;
	volatile bool *stop;
	uint32_t base;
	pid_t tid;
};

static void *fail_on(void *arg)
{
	struct loser *f = arg;
	uint32_t i = 0;

	f->tid = syscall(SYS_gettid);
	while (!*f->stop) {
		iommufd_destroy(f->fd, f->base + i++ % 1000);
		ioctl_rc(f->fd, IOMMU_DESTROY, NULL);	/* nothing to say */
	}
	return NULL;
}

/* Lines of which the thread, the operation and the text do not fit. */
static unsigned int bad_failures(const char *text, const struct loser *losers)
{
	unsigned int bad = 0, id, i;
	char op[32];
	const char *line, *reason;
	int tid;

	for (line = find_line(text, "failure", NULL); line;
	     line = find_line(strchr(line, '\n'), "failure", NULL)) {
		reason = strstr(line, " reason=");
		if (sscanf(line, "failure:\tn=%*u time=%*s tid=%d op=%31s errno=",
			   &tid, op) != 2 || !reason) {
			bad++;
			continue;
		}
		bad += !!strcmp(op, "IOMMU_DESTROY");
		for (i = 0; i < LOSERS && losers[i].tid != tid; i++)
			;
		if (i == LOSERS)
			bad++;
		else if (errno_is(strstr(line, " errno=") + 7, -EFAULT))
			bad += !strstr(reason, "cannot be read");
		else if (sscanf(reason, " reason=there is no object %u\n", &id) == 1)
			bad += id / 1000 != losers[i].base / 1000;
		else	/* its text had to give way: many fail at once */
			bad += !strstr(reason, "nothing more is known");
	}
	return bad;
}

TEST_F(reasons, of_threads_do_not_mix)
{
	struct loser losers[LOSERS];
	volatile bool stop = false;
	time_t end = time(NULL) + 3;
	unsigned int i, bad = 0, seen = 0;
	char *text;

	for (i = 0; i < LOSERS; i++) {
		losers[i] = (struct loser) {
			.fd = self->fd,
			.stop = &stop,
			.base = 1000 * (1000 + i),
		};
		ASSERT_EQ(0, pthread_create(&losers[i].thread, NULL, fail_on,
					    &losers[i]));
	}
	while (time(NULL) < end && !bad) {
		text = fdinfo(self->fd);
		ASSERT_NE(NULL, text);
		seen += count_lines(text, "failure");
		bad = bad_failures(text, losers);
		if (bad)
			note("%s", text);
		free(text);
	}
	stop = true;
	for (i = 0; i < LOSERS; i++)
		pthread_join(losers[i].thread, NULL);
	EXPECT_EQ(0, bad);
	EXPECT_LT(100, seen);
}

/*
 * The rest
 */

FIXTURE(fdinfo)
{
	int fd;
	uint32_t ioas;
};

FIXTURE_SETUP(fdinfo)
{
	self->fd = iommufd_open();
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, ioas_alloc(self->fd, &self->ioas));
}

FIXTURE_TEARDOWN(fdinfo)
{
	close(self->fd);
}

TEST_F(fdinfo, says_what_it_is)
{
	int fd = iommufd_open();

	ASSERT_LE(0, fd);
	EXPECT_EQ(1, value(fd, "iommufd-format"));
	EXPECT_EQ(value(self->fd, "context") + 1, value(fd, "context"));
	EXPECT_TRUE(has(fd, "rlimit-mode", "user"));
	EXPECT_EQ(0, value(fd, "charged"));
	EXPECT_EQ(0, value(fd, "vfio-ioas"));
	EXPECT_EQ(0, value(fd, "failures"));
	EXPECT_EQ(-1, value(fd, "failure"));
	EXPECT_EQ(-1, value(fd, "ioas"));
	close(fd);
}

#define MANY	3000

TEST_F(fdinfo, many_mappings_are_a_sum)
{
	uint8_t *buf = pages_alloc(PAGE);
	unsigned int i;
	char *text;

	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, buf, PAGE,
					    i * PAGE * 2));
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mappings=%u mapped=%lu pinned=0",
			self->ioas, MANY, MANY * PAGE));
	text = fdinfo(self->fd);
	ASSERT_NE(NULL, text);
	EXPECT_EQ(32, count_lines(text, "mapping"));
	EXPECT_NE(NULL, find_line(text, "more-mappings", "from=0x40000"));
	free(text);
}

TEST_F(fdinfo, many_objects_have_an_end)
{
	unsigned int i;
	uint32_t id;
	char *text;

	for (i = 1; i < 1024; i++)
		ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	EXPECT_EQ(-1, value(self->fd, "more-objects"));
	ASSERT_EQ(0, ioas_alloc(self->fd, &id));
	text = fdinfo(self->fd);
	ASSERT_NE(NULL, text);
	EXPECT_EQ(1024, count_lines(text, "ioas"));
	EXPECT_EQ(1, count_lines(text, "more-objects"));
	free(text);
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* A map that sleeps holds nobody up who looks. */
TEST_F(fdinfo, does_not_wait_for_user_memory)
{
	struct slow_memory slow;
	struct mapper mapper = {
		.iommufd = self->fd,
		.ioas = self->ioas,
		.memory = &slow,
	};
	struct stdev dev;
	double start;

	/* (unit LARGE has the IOVA that map_slowly() wants) */
	ASSERT_EQ(0, stdev_add_to_unit(self->fd, self->ioas, MOCK_UNIT_LARGE,
				       &dev));
	ASSERT_EQ(0, slow_memory_make(&slow, 4 * PAGE));
	ASSERT_EQ(0, pthread_create(&mapper.thread, NULL, map_slowly, &mapper));
	ASSERT_EQ(0, slow_memory_wait(&slow));
	start = now();
	EXPECT_TRUE(has(self->fd, "mapping", "ioas=%u start=0x100000 last=0x103fff state=filling",
			self->ioas));
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mappings=1 mapped=%lu pinned=0 users=2 maps=0",
			self->ioas, 4 * PAGE));
	EXPECT_EQ(4 * PAGE, value(self->fd, "charged"));
	EXPECT_EQ(-EBUSY, ioas_unmap(self->fd, self->ioas, MiB, 4 * PAGE, NULL));
	EXPECT_TRUE(failed(self->fd, UNMAP, -EBUSY,
			   "the mapping 0x100000-0x103fff is being made by another ioctl"));
	EXPECT_GT(5.0, now() - start);
	ASSERT_EQ(0, slow_memory_let_in(&slow));
	pthread_join(mapper.thread, NULL);
	EXPECT_EQ(0, mapper.rc);
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mapped=%lu pinned=%lu users=1",
			self->ioas, 4 * PAGE, 4 * PAGE));
}

struct attacher {
	pthread_t thread;
	int fd;
	uint32_t ioas;
	int rc;
};

static void *attach_slowly(void *arg)
{
	struct attacher *a = arg;
	struct stdev dev;

	a->rc = stdev_add_to_unit(a->fd, a->ioas, MOCK_UNIT_LARGE, &dev);
	return NULL;
}

/* So does an attach, with the locks of a group and of all page tables. */
TEST_F(fdinfo, does_not_wait_for_an_attach)
{
	struct attacher attacher = { .fd = self->fd, .ioas = self->ioas };
	struct slow_memory slow;
	double start;

	ASSERT_EQ(0, slow_memory_make(&slow, 4 * PAGE));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, slow.p,
				    slow.length, MiB));
	ASSERT_EQ(0, pthread_create(&attacher.thread, NULL, attach_slowly,
				    &attacher));
	ASSERT_EQ(0, slow_memory_wait(&slow));
	start = now();
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u mappings=1 pinned=0 hwpts=0",
			self->ioas));
	EXPECT_TRUE(has(self->fd, "device", "attached=0 hwpt=0 ioas=0"));
	EXPECT_EQ(-EBUSY, iommufd_destroy(self->fd, self->ioas));
	EXPECT_TRUE(failed(self->fd, "IOMMU_DESTROY", -EBUSY,
			   "object %u is used by an ioctl that is under way",
			   self->ioas));
	EXPECT_GT(5.0, now() - start);
	ASSERT_EQ(0, slow_memory_let_in(&slow));
	pthread_join(attacher.thread, NULL);
	EXPECT_EQ(0, attacher.rc);
	EXPECT_TRUE(has(self->fd, "device", "attached=1 ioas=%u", self->ioas));
}

struct changer {
	pthread_t thread;
	int fd;
	uint32_t ioas;
	uint8_t *buf;
	volatile bool *stop;
	unsigned int rounds;
};

static void *change_maps(void *arg)
{
	struct changer *c = arg;
	uint32_t other;
	uint64_t iova;

	while (!*c->stop) {
		iova = 0;
		ioas_map(c->fd, c->ioas, RW, c->buf, LENGTH, &iova);
		if (!ioas_alloc(c->fd, &other)) {
			uint64_t dst = 0;

			ioas_copy(c->fd, RW, other, &dst, c->ioas, iova, PAGE);
			iommufd_destroy(c->fd, c->ioas);	/* EBUSY, or again */
			iommufd_destroy(c->fd, other);
		}
		ioas_unmap(c->fd, c->ioas, iova, LENGTH, NULL);
		c->rounds++;
	}
	return NULL;
}

static void *change_devices(void *arg)
{
	struct changer *c = arg;
	struct stdev dev;
	uint32_t hwpt, pages;
	int access;

	while (!*c->stop) {
		if (stdev_add(c->fd, c->ioas, &dev))
			continue;
		access = access_open(c->fd, c->ioas, MOCK_ACCESS_PINS);
		access_pin(c->fd, access, MOCK_PAGES_UNVERIFIED, BASE, PAGE,
			   NULL, &pages);
		if (!hwpt_alloc(c->fd, dev.idev, c->ioas, &hwpt)) {
			uint32_t pt = hwpt;

			stdev_replace(c->fd, dev.id, &pt);
			iommufd_destroy(c->fd, dev.id);
			iommufd_destroy(c->fd, hwpt);
		} else {
			iommufd_destroy(c->fd, dev.id);
		}
		if (access >= 0)
			close(access);
		c->rounds++;
	}
	return NULL;
}

TEST_F(fdinfo, is_read_while_all_changes)
{
	volatile bool stop = false;
	struct changer maps = {
		.fd = self->fd,
		.ioas = self->ioas,
		.buf = pages_alloc(LENGTH),
		.stop = &stop,
	}, devices = maps;
	time_t end = time(NULL) + 5;
	unsigned int reads = 0;
	uint32_t keep;
	char *text;

	/* A user, or change_maps() would take its own address space away. */
	keep = access_open(self->fd, self->ioas, 0);
	ASSERT_EQ(0, pthread_create(&maps.thread, NULL, change_maps, &maps));
	ASSERT_EQ(0, pthread_create(&devices.thread, NULL, change_devices,
				    &devices));
	while (time(NULL) < end) {
		text = fdinfo(self->fd);
		ASSERT_NE(NULL, text);
		ASSERT_NE(NULL, find_line(text, "ioas", NULL));
		free(text);
		reads++;
	}
	stop = true;
	pthread_join(maps.thread, NULL);
	pthread_join(devices.thread, NULL);
	note("%u reads, %u rounds of maps, %u of devices\n", reads,
		       maps.rounds, devices.rounds);
	EXPECT_LT(20, reads);
	EXPECT_LT(20, maps.rounds);
	EXPECT_LT(0, devices.rounds);
	close(keep);
	EXPECT_TRUE(has(self->fd, "ioas", "id=%u users=0 mappings=0 mapped=0 pinned=0 hwpts=0 accesses=0",
			self->ioas));
	EXPECT_EQ(0, value(self->fd, "charged"));
	EXPECT_EQ(-1, value(self->fd, "device"));
	EXPECT_EQ(-1, value(self->fd, "hwpt"));
	EXPECT_EQ(0, iommufd_destroy(self->fd, self->ioas));
}

/*
 * Tracepoints
 */

#define TRACEFS	"/sys/kernel/tracing/"

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC), rc = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		rc = -errno;
	close(fd);
	return rc;
}

/* Is there an event of this context with all of that, in that order? */
static bool traced(int fd, const char *event, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
static bool traced(int fd, const char *event, const char *fmt, ...)
{
	char want[512], rest[400], line[1024];
	bool found = false;
	va_list args;
	FILE *f;

	va_start(args, fmt);
	vsnprintf(rest, sizeof(rest), fmt, args);
	va_end(args);
	snprintf(want, sizeof(want), ": iommufd_%s: ctx=%lld %s\n", event,
		 value(fd, "context"), rest);
	f = fopen(TRACEFS "trace", "r");
	while (f && fgets(line, sizeof(line), f))
		found |= !!strstr(line, want);
	if (!found) {
		note("not traced: %s", want);
		rewind(f);
		while (f && fgets(line, sizeof(line), f))
			if (strstr(line, "iommufd_"))
				note("  %s", line);
	}
	if (f)
		fclose(f);
	return found;
}

static void device_name(int fd, uint32_t idev, char *name)
{
	char *text = fdinfo(fd), id[32];
	const char *line;

	snprintf(id, sizeof(id), "id=%u", idev);
	line = text ? find_line(text, "device", id) : NULL;
	*name = 0;
	if (line)
		sscanf(strstr(line, " name="), " name=%63s", name);
	free(text);
}

TEST_F(fdinfo, tracepoints_tell_sizes_and_results)
{
	uint8_t *buf = pages_alloc(LENGTH);
	unsigned long va = (unsigned long)buf;
	uint32_t other, pt, id;
	uint64_t iova = 0;
	struct stdev dev;
	char name[64];
	int group, access;

	ASSERT_EQ(0, write_file(TRACEFS "trace", "\n"));
	ASSERT_EQ(0, write_file(TRACEFS "events/iommufd/enable", "1"));

	ASSERT_EQ(0, stdev_add(self->fd, self->ioas, &dev));
	group = group_of(self->fd, dev.idev);
	device_name(self->fd, dev.idev, name);
	EXPECT_TRUE(traced(self->fd, "attach", "device=%u name=%s group=%d pt=%u hwpt=%u ioas=%u rc=0",
			   dev.idev, name, group, self->ioas, dev.hwpt,
			   self->ioas));
	ASSERT_EQ(0, ioas_map_fixed(self->fd, self->ioas, RW, buf, LENGTH, BASE));
	EXPECT_TRUE(traced(self->fd, "map", "ioas=%u iova=0x%lx length=%lu flags=0x7 user-va=0x%lx rc=0",
			   self->ioas, BASE, LENGTH, va));
	EXPECT_TRUE(traced(self->fd, "pin", "user-va=0x%lx wanted=%lu pinned=%lu rc=0",
			   va, NR_PAGES, NR_PAGES));
	EXPECT_EQ(-EEXIST, ioas_map_fixed(self->fd, self->ioas, RW, buf, PAGE,
					  BASE));
	EXPECT_TRUE(traced(self->fd, "map", "ioas=%u iova=0x%lx length=%lu flags=0x7 user-va=0x%lx rc=%d",
			   self->ioas, BASE, PAGE, va, -EEXIST));
	EXPECT_TRUE(traced(self->fd, "failure", "op=IOMMU_IOAS_MAP rc=%d reason=IOVAs 0x%lx-0x%lx meet the mapping 0x%lx-0x%lx",
			   -EEXIST, BASE, BASE + PAGE - 1, BASE,
			   BASE + LENGTH - 1));

	ASSERT_EQ(0, ioas_alloc(self->fd, &other));
	ASSERT_EQ(0, ioas_copy(self->fd, RD, other, &iova, self->ioas,
			       BASE + PAGE, 2 * PAGE));
	EXPECT_TRUE(traced(self->fd, "map", "ioas=%u iova=0x%lx length=%lu flags=0x4 src-iova=0x%lx rc=0",
			   other, (unsigned long)iova, 2 * PAGE, BASE + PAGE));
	ASSERT_EQ(0, ioas_unmap_all(self->fd, other, NULL));
	EXPECT_TRUE(traced(self->fd, "unmap", "ioas=%u start=0x0 last=0xffffffffffffffff unmapped=%lu rc=0",
			   other, 2 * PAGE));

	pt = other;
	ASSERT_EQ(0, stdev_replace(self->fd, dev.id, &pt));
	EXPECT_TRUE(traced(self->fd, "replace", "device=%u name=%s group=%d pt=%u hwpt=%u ioas=%u rc=0",
			   dev.idev, name, group, other, pt, other));
	EXPECT_TRUE(traced(self->fd, "unpin", "user-va=0x%lx left=%lu unpinned=%lu",
			   va, NR_PAGES, NR_PAGES));

	access = access_open(self->fd, self->ioas, MOCK_ACCESS_PINS);
	ASSERT_LE(0, access);
	for (id = 1; !has(self->fd, "access", "id=%u", id); id++)
		ASSERT_GT(20, id);
	ASSERT_EQ(0, access_pin(self->fd, access, MOCK_PAGES_WRITE, BASE + PAGE,
				PAGE, buf + PAGE, &pt));
	EXPECT_TRUE(traced(self->fd, "access_pin", "access=%u iova=0x%lx length=%lu flags=0x1 rc=0",
			   id, BASE + PAGE, PAGE));
	EXPECT_TRUE(traced(self->fd, "pin", "user-va=0x%lx wanted=1 pinned=1 rc=0",
			   va + PAGE));
	ASSERT_EQ(0, access_unpin(self->fd, access, pt));
	close(access);

	ASSERT_EQ(0, iommufd_destroy(self->fd, dev.id));
	EXPECT_TRUE(traced(self->fd, "detach", "device=%u name=%s group=%d pt=0 hwpt=0 ioas=0 rc=0",
			   dev.idev, name, group));
	EXPECT_EQ(-ENOENT, ioas_unmap(self->fd, self->ioas, BASE, PAGE, NULL));
	EXPECT_TRUE(traced(self->fd, "unmap", "ioas=%u start=0x%lx last=0x%lx unmapped=0 rc=%d",
			   self->ioas, BASE, BASE + PAGE - 1, -ENOENT));
	EXPECT_EQ(0, write_file(TRACEFS "events/iommufd/enable", "0"));
}

TEST_HARNESS_MAIN
