// SPDX-License-Identifier: GPL-2.0
/*
 * Read and write blocks of an NVMe namespace from userspace, through
 * /dev/vfio/devices/vfioX and /dev/iommu. The driver is nvme-driver.c; here is
 * what a user can ask of it.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "memory.h"
#include "nvme.h"

#define DEFAULT_IOVA	0x10000000
#define STRAY_OFFSET	0x1000000	/* from the IOVA of all memory; far behind it */

/* The data buffer in two halves: one to write from, one to read into. */
#define HALF		(NVME_DATA_SIZE / 2)

struct options {
	const char *device, *write_file, *read_file;
	uint64_t lba, count, iova, memory;
	uint32_t nsid;
	unsigned int depth;
	bool verify, selftest, replace, stray, percent;
	enum nvme_way way;
};

static int fail(const char *what)
{
	fprintf(stderr, "nvme: %s: FAILED\n", what);
	return -EIO;
}

static int fail_driver(const struct nvme *nvme, const char *what, int rc)
{
	fprintf(stderr, "nvme: %s: %s\n", what, nvme->reason);
	return rc;
}

static int fail_file(const char *path, int rc)
{
	fprintf(stderr, "nvme: %s: %s\n", path, strerror(-rc));
	return rc;
}

static void ok(const char *what)
{
	printf("nvme: %s: ok\n", what);
	fflush(stdout);
}

/* ------------------------------------------------------------------- files */

/* Returns the number of bytes, less than @length at the end only. */
static ssize_t read_full(int fd, char *buf, size_t length)
{
	size_t done = 0;
	ssize_t got;

	while (done < length) {
		got = read(fd, buf + done, length - done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (!got)
			break;
		done += got;
	}
	return done;
}

static int write_full(int fd, const char *buf, size_t length)
{
	ssize_t done;

	while (length) {
		done = write(fd, buf, length);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		buf += done;
		length -= done;
	}
	return 0;
}

/* One piece of a file: into the first half, to the disk, back into the second. */
static int write_piece(struct nvme *nvme, uint64_t lba, uint32_t nr, bool verify)
{
	size_t length = (size_t)nr * nvme->block_size;
	char *data = nvme_data(nvme);
	int rc;

	rc = nvme_write(nvme, lba, nr, 0);
	if (rc)
		return fail_driver(nvme, "write", rc);
	if (!verify)
		return 0;
	memset(data + HALF, 0xa5, length);
	rc = nvme_read(nvme, lba, nr, HALF);
	if (rc)
		return fail_driver(nvme, "read back", rc);
	return memcmp(data, data + HALF, length) ? fail("read back and compare") : 0;
}

static int write_file(struct nvme *nvme, const struct options *options)
{
	uint64_t lba = options->lba, bytes = 0;
	char *data = nvme_data(nvme);
	ssize_t got = 0;
	uint32_t nr;
	int fd, rc = 0;

	fd = open(options->write_file, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return fail_file(options->write_file, -errno);
	while (!rc) {
		got = read_full(fd, data, HALF);
		if (got <= 0)
			break;
		nr = (got + nvme->block_size - 1) / nvme->block_size;
		/* The last block is filled up with zeros. */
		memset(data + got, 0, (size_t)nr * nvme->block_size - got);
		rc = write_piece(nvme, lba, nr, options->verify);
		lba += nr;
		bytes += got;
	}
	close(fd);
	if (got < 0)
		return fail_file(options->write_file, got);
	if (rc)
		return rc;
	rc = nvme_flush(nvme);
	if (rc)
		return fail_driver(nvme, "flush", rc);
	printf("nvme: wrote %" PRIu64 " bytes at block %" PRIu64 ", flushed%s: ok\n", bytes,
	       options->lba, options->verify ? ", read back and compared" : "");
	return 0;
}

static int read_file(struct nvme *nvme, const struct options *options)
{
	uint64_t lba = options->lba, left = options->count;
	uint32_t nr;
	int fd, rc = 0;

	fd = open(options->read_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (fd < 0)
		return fail_file(options->read_file, -errno);
	while (left && !rc) {
		nr = left < NVME_DATA_SIZE / nvme->block_size ? left :
			NVME_DATA_SIZE / nvme->block_size;
		rc = nvme_read(nvme, lba, nr, 0);
		if (rc) {
			fail_driver(nvme, "read", rc);
			break;
		}
		rc = write_full(fd, nvme_data(nvme), (size_t)nr * nvme->block_size);
		if (rc)
			fail_file(options->read_file, rc);
		lba += nr;
		left -= nr;
	}
	if (close(fd) && !rc)
		rc = fail_file(options->read_file, -errno);
	if (!rc)
		printf("nvme: read %" PRIu64 " blocks at block %" PRIu64 ": ok\n", options->count,
		       options->lba);
	return rc;
}

/* ------------------------------------------------------------------- tests */

static int fill_random(void *buf, size_t length)
{
	char *bytes = buf;
	ssize_t got;

	while (length) {
		got = getrandom(bytes, length, 0);
		if (got < 0 && errno != EINTR)
			return fail("random numbers");
		if (got > 0) {
			bytes += got;
			length -= got;
		}
	}
	return 0;
}

/* Random data: written, flushed, read into other memory, compared. */
static int check_blocks(struct nvme *nvme, uint64_t lba, uint32_t nr)
{
	size_t length = (size_t)nr * nvme->block_size;
	char *data = nvme_data(nvme);
	int rc;

	rc = fill_random(data, length);
	if (rc)
		return rc;
	rc = nvme_write(nvme, lba, nr, 0);
	if (rc)
		return fail_driver(nvme, "write", rc);
	rc = nvme_flush(nvme);
	if (rc)
		return fail_driver(nvme, "flush", rc);
	memset(data + HALF, 0x5a, HALF);
	rc = nvme_read(nvme, lba, nr, HALF);
	if (rc)
		return fail_driver(nvme, "read", rc);
	if (memcmp(data, data + HALF, length))
		return fail("write, flush, read, compare");
	/* Not a byte more than was asked for. */
	for (; length < HALF; length++)
		if (data[HALF + length] != 0x5a)
			return fail("memory behind the data is left alone");
	return 0;
}

static int check_sizes(struct nvme *nvme, uint64_t lba)
{
	uint32_t page = NVME_PAGE / nvme->block_size;
	uint32_t most = HALF / nvme->block_size;
	/* One PRP, two, a list, a list with a part of a page, many commands. */
	const uint32_t sizes[] = { 1, page, page + 1, 2 * page, 2 * page + 1, 7 * page, most };
	char text[96];
	size_t i;
	int rc;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		rc = check_blocks(nvme, lba, sizes[i]);
		if (rc)
			return rc;
	}
	if (nvme_expect_interrupt(nvme))
		return fail("completions came by interrupt");
	snprintf(text, sizeof(text), "write, flush, read, compare, 1 to %u blocks, queue depth %u",
		 most, nvme->io.depth);
	ok(text);
	printf("nvme: %" PRIu64 " interrupts on %u vector%s (%s): ok\n", nvme->interrupts,
	       nvme->io.vector + 1, nvme->io.vector ? "s" : "",
	       nvme->irq_index == VFIO_PCI_MSIX_IRQ_INDEX ? "MSI-X" :
	       nvme->irq_index == VFIO_PCI_MSI_IRQ_INDEX ? "MSI" : "INTx");
	return 0;
}

/*
 * Data is written from the old memory, the IOAS replaced, and the data read back
 * at the same IOVA: it has to be in the new memory and not in the old.
 */
static int check_replace(struct nvme *nvme, uint64_t lba)
{
	uint32_t nr = 16 * NVME_PAGE / nvme->block_size;
	size_t length = (size_t)nr * nvme->block_size, i;
	char *want, *old_mem = NULL, *old_data;
	int rc;

	want = malloc(length);
	if (!want)
		return fail("memory");
	rc = fill_random(nvme_data(nvme), length);
	if (rc)
		goto out_free;
	memcpy(want, nvme_data(nvme), length);
	rc = nvme_write(nvme, lba, nr, 0);
	if (rc) {
		fail_driver(nvme, "write", rc);
		goto out_free;
	}
	old_data = nvme_data(nvme);
	memset(old_data, 0x11, length);
	rc = nvme_replace_ioas(nvme, &old_mem);
	if (rc) {
		fail_driver(nvme, "replace the IOAS", rc);
		goto out_free;
	}
	memset(nvme_data(nvme), 0x22, length);
	rc = nvme_read(nvme, lba, nr, 0);
	if (rc) {
		fail_driver(nvme, "read after the replacement", rc);
		goto out_free;
	}
	if (memcmp(nvme_data(nvme), want, length)) {
		rc = fail("after the replacement data arrives in the new memory");
		goto out_free;
	}
	for (i = 0; i < length && !rc; i++)
		if (old_data[i] != 0x11)
			rc = fail("after the replacement the old memory is left alone");
	/* And in the other direction. */
	if (!rc)
		rc = check_blocks(nvme, lba, nr);
	if (!rc)
		ok("IOAS replaced, data arrives in the new memory and not in the old");
out_free:
	nvme_free_mem(old_mem);
	free(want);
	return rc;
}

/* A page beside all other memory: data arrives while it is mapped, and never else. */
static int check_stray(struct nvme *nvme, uint64_t lba)
{
	uint64_t iova = nvme->iova + STRAY_OFFSET;
	struct vcdev_error err;
	char *page, untouched[NVME_PAGE], want[NVME_PAGE];
	int rc, status;

	page = mmap(NULL, NVME_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return fail("memory");
	memset(untouched, 0x33, NVME_PAGE);
	memcpy(page, untouched, NVME_PAGE);
	rc = nvme_read(nvme, lba, 1, 0);
	if (rc) {
		fail_driver(nvme, "read", rc);
		goto out_free;
	}
	memcpy(want, untouched, NVME_PAGE);
	memcpy(want, nvme_data(nvme), nvme->block_size);
	if (vcdev_map(nvme->ctx, nvme->ioas, page, NVME_PAGE, iova, VCDEV_MAP_RW, &err)) {
		fprintf(stderr, "nvme: map: %s\n", err.text);
		rc = err.code;
		goto out_free;
	}
	rc = nvme_read_to(nvme, lba, iova, &status);
	if (rc || status || memcmp(page, want, NVME_PAGE))
		rc = fail("DMA to mapped memory arrives");
	if (vcdev_unmap(nvme->ctx, nvme->ioas, iova, NVME_PAGE, NULL, &err) && !rc)
		rc = fail("unmap");
	if (rc)
		goto out_free;
	memcpy(page, untouched, NVME_PAGE);
	rc = nvme_read_to(nvme, lba, iova, &status);
	if (rc)
		fail_driver(nvme, "read to where nothing is mapped", rc);
	else if (memcmp(page, untouched, NVME_PAGE))
		rc = fail("DMA to an unmapped IOVA is stopped");
	else
		ok("DMA to an unmapped IOVA is stopped, memory unchanged");
	/* It has to go on as if nothing had happened. */
	if (!rc) {
		rc = nvme_read(nvme, lba, 1, 0);
		if (rc)
			fail_driver(nvme, "read after that", rc);
		else if (memcmp(nvme_data(nvme), want, nvme->block_size))
			rc = fail("the next command works");
		else
			ok("the next command works");
	}
out_free:
	munmap(page, NVME_PAGE);
	return rc;
}

/* Memory as large as that of a virtual machine, in one map; a block arrives at both ends. */
static int check_memory(struct nvme *nvme, uint64_t lba, uint64_t length, bool percent)
{
	char *memory, *last, what[96];
	struct vcdev_error err;
	uint64_t iova;
	int rc, status;

	rc = nvme_read(nvme, lba, 1, 0);
	if (rc) {
		fail_driver(nvme, "read", rc);
		return rc;
	}
	memory = memory_get("nvme", length, percent);
	if (!memory)
		return -ENOMEM;
	last = memory + length - nvme->block_size;
	/* Anywhere: it may well be too large for what is free below the MSI window. */
	if (vcdev_map_any(nvme->ctx, nvme->ioas, memory, length, VCDEV_MAP_RW, &iova, &err)) {
		fprintf(stderr, "nvme: map large memory: %s\n", err.text);
		rc = err.code;
		goto out_free;
	}
	memset(memory, 0x5a, nvme->block_size);
	memset(last, 0x5a, nvme->block_size);
	snprintf(what, sizeof(what), "0x%" PRIx64 " bytes in one map, DMA to both ends", length);
	rc = nvme_read_to(nvme, lba, iova, &status);
	if (!rc && !status)
		rc = nvme_read_to(nvme, lba, iova + length - nvme->block_size, &status);
	if (rc || status || memcmp(memory, nvme_data(nvme), nvme->block_size) ||
	    memcmp(last, nvme_data(nvme), nvme->block_size))
		rc = fail(what);
	else
		ok(what);
	if (vcdev_unmap(nvme->ctx, nvme->ioas, iova, length, NULL, &err) && !rc)
		rc = fail("unmap");
out_free:
	memory_free(memory, length);
	return rc;
}

/* The blocks that are tried are saved before and put back after. */
static int run_tests(struct nvme *nvme, const struct options *options)
{
	uint32_t nr = HALF / nvme->block_size;
	char *saved;
	int rc, after;

	saved = malloc(HALF);
	if (!saved)
		return fail("memory");
	rc = nvme_read(nvme, options->lba, nr, 0);
	if (rc) {
		fail_driver(nvme, "save the old blocks", rc);
		goto out_free;
	}
	memcpy(saved, nvme_data(nvme), HALF);
	if (options->selftest)
		rc = check_sizes(nvme, options->lba);
	if (!rc && options->replace)
		rc = check_replace(nvme, options->lba);

	memcpy(nvme_data(nvme), saved, HALF);
	after = write_piece(nvme, options->lba, nr, true);
	if (!after) {
		after = nvme_flush(nvme);
		if (after)
			fail_driver(nvme, "flush", after);
	}
	if (after)
		fprintf(stderr, "nvme: the old blocks %" PRIu64 " to %" PRIu64
			" could not be put back\n", options->lba, options->lba + nr - 1);
	if (!rc)
		rc = after;
out_free:
	free(saved);
	return rc;
}

/* ------------------------------------------------------------ command line */

static void usage(FILE *out)
{
	fputs("usage: nvme [options] BDF\n"
	      "\n"
	      "Drives an NVMe controller (PF or VF) that is bound to vfio-pci. Without an\n"
	      "action it is brought up and identified.\n"
	      "\n"
	      "  --write FILE   write FILE, from block --lba on, and flush\n"
	      "  --read FILE    read --count blocks from --lba on into FILE (after --write)\n"
	      "  --verify       read back what --write wrote, and compare\n"
	      "  --selftest     random data written, flushed, read, compared; the old blocks\n"
	      "                 are put back\n"
	      "  --replace      the same with the IOAS replaced between the commands\n"
	      "  --stray        DMA to where nothing is mapped, which must be stopped\n"
	      "  --memory N     map so much (64M, 2G), brought in by all processors ahead of\n"
	      "                 the map, and read to both ends of it\n"
	      "  --percent      tell how far that is in lines, not by a bar\n"
	      "  --group        open it by its IOMMU group, with /dev/iommu as the container\n"
	      "  --container    the same with /dev/vfio/vfio; neither with --replace\n"
	      "\n"
	      "  --lba N        first block (0)\n"
	      "  --count N      number of blocks (1)\n"
	      "  --nsid N       namespace (1)\n"
	      "  --depth N      depth of the I/O queue, 2 to 64 (16)\n"
	      "  --iova N       IOVA of all memory, a multiple of 4096 (0x10000000)\n"
	      "\n"
	      "Exit status: 0 if all was done and verified, 1 if not, 2 for wrong usage.\n", out);
}

static bool parse_u64(const char *text, uint64_t *value)
{
	char *end;

	errno = 0;
	*value = strtoull(text, &end, 0);
	return !errno && text[0] != '-' && end != text && !*end;
}

enum {
	OPT_WRITE = 256, OPT_READ, OPT_VERIFY, OPT_SELFTEST, OPT_REPLACE, OPT_LBA, OPT_COUNT,
	OPT_NSID, OPT_DEPTH, OPT_IOVA, OPT_GROUP, OPT_CONTAINER, OPT_STRAY, OPT_MEMORY,
	OPT_PERCENT,
};

/* Returns 0, 2 for a wrong command line, or 3 if all is said and done. */
static int parse(int argc, char **argv, struct options *options)
{
	static const struct option longs[] = {
		{ "group", no_argument, NULL, OPT_GROUP },
		{ "container", no_argument, NULL, OPT_CONTAINER },
		{ "write", required_argument, NULL, OPT_WRITE },
		{ "read", required_argument, NULL, OPT_READ },
		{ "verify", no_argument, NULL, OPT_VERIFY },
		{ "selftest", no_argument, NULL, OPT_SELFTEST },
		{ "replace", no_argument, NULL, OPT_REPLACE },
		{ "stray", no_argument, NULL, OPT_STRAY },
		{ "memory", required_argument, NULL, OPT_MEMORY },
		{ "percent", no_argument, NULL, OPT_PERCENT },
		{ "lba", required_argument, NULL, OPT_LBA },
		{ "count", required_argument, NULL, OPT_COUNT },
		{ "nsid", required_argument, NULL, OPT_NSID },
		{ "depth", required_argument, NULL, OPT_DEPTH },
		{ "iova", required_argument, NULL, OPT_IOVA },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	bool good = true;
	uint64_t number;
	int option;

	*options = (struct options){ .count = 1, .iova = DEFAULT_IOVA, .nsid = 1, .depth = 16 };
	while (good && (option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		switch (option) {
		case OPT_GROUP:
			options->way = NVME_BY_GROUP;
			break;
		case OPT_CONTAINER:
			options->way = NVME_BY_CONTAINER;
			break;
		case OPT_WRITE:
			options->write_file = optarg;
			break;
		case OPT_READ:
			options->read_file = optarg;
			break;
		case OPT_VERIFY:
			options->verify = true;
			break;
		case OPT_SELFTEST:
			options->selftest = true;
			break;
		case OPT_REPLACE:
			options->replace = true;
			break;
		case OPT_STRAY:
			options->stray = true;
			break;
		case OPT_MEMORY:
			good = memory_size(optarg, &options->memory);
			break;
		case OPT_PERCENT:
			options->percent = true;
			break;
		case OPT_LBA:
			good = parse_u64(optarg, &options->lba);
			break;
		case OPT_COUNT:
			good = parse_u64(optarg, &options->count) && options->count;
			break;
		case OPT_NSID:
			good = parse_u64(optarg, &number) && number && number < UINT32_MAX;
			options->nsid = number;
			break;
		case OPT_DEPTH:
			good = parse_u64(optarg, &number) && number >= 2 &&
				number <= NVME_MAX_DEPTH;
			options->depth = number;
			break;
		case OPT_IOVA:
			good = parse_u64(optarg, &options->iova) && !(options->iova % NVME_PAGE);
			break;
		case 'h':
			usage(stdout);
			return 3;
		default:
			good = false;
		}
	}
	if (options->replace && options->way != NVME_BY_CDEV)
		good = false;
	if (!good || optind + 1 != argc) {
		usage(stderr);
		return 2;
	}
	options->device = argv[optind];
	return 0;
}

int main(int argc, char **argv)
{
	struct options options;
	struct nvme nvme;
	int rc;

	rc = parse(argc, argv, &options);
	if (rc)
		return rc == 3 ? 0 : rc;
	rc = nvme_open(&nvme, options.device, options.way, options.nsid, options.iova, options.depth);
	if (rc) {
		fail_driver(&nvme, options.device, rc);
		goto out_close;
	}
	printf("nvme: %s (%s, serial %s), namespace %u, %" PRIu64 " blocks of %u bytes\n",
	       nvme.model, vcdev_dev_pci(nvme.dev)->pf[0] ? "VF" : "PF", nvme.serial, nvme.nsid,
	       nvme.nr_blocks, nvme.block_size);
	fflush(stdout);
	if (options.write_file)
		rc = write_file(&nvme, &options);
	if (!rc && options.read_file)
		rc = read_file(&nvme, &options);
	if (!rc && (options.selftest || options.replace))
		rc = run_tests(&nvme, &options);
	if (!rc && options.stray)
		rc = check_stray(&nvme, options.lba);
	if (!rc && options.memory)
		rc = check_memory(&nvme, options.lba, options.memory, options.percent);
out_close:
	nvme_close(&nvme);
	return rc ? 1 : 0;
}
