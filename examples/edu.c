// SPDX-License-Identifier: GPL-2.0
/*
 * A userspace driver for QEMU's teaching device "edu" (1234:11e8), and with it a
 * test of real DMA through /dev/vfio/devices/vfioX and /dev/iommu.
 *
 * The device has one BAR of registers, a buffer of 4 KiB of its own, and an
 * engine that copies between this buffer and RAM, one copy at a time, a tenth of
 * a second after it was asked to. When done it raises an interrupt if told so.
 * Registers below 0x80 take accesses of 4 bytes, the others also of 8; the
 * engine's addresses need 8.
 *
 * Each step fills both sides with different patterns, has the device copy, and
 * compares every byte on the side that should have changed and on the ones that
 * should not. "edu: ... ok" is printed only after that.
 */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "memory.h"
#include "vfio-cdev.h"

#define EDU_VENDOR	0x1234
#define EDU_DEVICE	0x11e8

#define EDU_ID		0x00	/* 0xMMmm00ed: version and 0xed */
#define EDU_LIVENESS	0x04	/* reads as the inverse of what was written */
#define EDU_IRQ_STATUS	0x24
#define EDU_IRQ_RAISE	0x60
#define EDU_IRQ_ACK	0x64
#define EDU_DMA_SRC	0x80
#define EDU_DMA_DST	0x88
#define EDU_DMA_COUNT	0x90
#define EDU_DMA_CMD	0x98

#define EDU_DMA_RUN	(1 << 0)	/* reads as 1 until the copy is done */
#define EDU_DMA_TO_RAM	(1 << 1)
#define EDU_DMA_IRQ	(1 << 2)

#define EDU_IRQ_DMA	0x100		/* EDU_IRQ_STATUS after a copy */
#define EDU_IRQ_TEST	0x1		/* any other bit is ours to raise */

#define EDU_BUF		0x40000		/* the device's name for its buffer */
/* Of 4096 bytes. QEMU 7.2 aborts on a copy that reaches the last one. */
#define COPY		4095

#define EDU_TIMEOUT_MS	10000		/* 100 ms, under emulation much more */

/* An IOVA that the device reaches with its default mask of 28 bits. */
#define DEFAULT_IOVA	0x100000
#define PAGE		4096

struct edu {
	struct vcdev_ctx *ctx;
	struct vcdev_dev *dev;
	uint32_t ioas;
	void *bar;
	uint64_t bar_size;
	uint32_t irq_index;	/* INTx or MSI */
	int eventfd;
};

static struct vcdev_error err;

/* ------------------------------------------------------------- small things */

static int fail(const char *what)
{
	fprintf(stderr, "edu: %s: FAILED\n", what);
	return -EIO;
}

/* A failure that the library has described. */
static int fail_lib(const char *action)
{
	fprintf(stderr, "edu: %s: %s\n", action, err.text);
	if (err.hint[0])
		fprintf(stderr, "edu: try: %s\n", err.hint);
	return err.code;
}

static void ok(const char *what)
{
	printf("edu: %s: ok\n", what);
	fflush(stdout);
}

/* A different byte sequence for each @seed, without a period of 256. */
static void fill(void *buf, size_t length, uint32_t seed)
{
	uint32_t state = seed * 2654435761u + 1;
	uint8_t *bytes = buf;
	size_t i;

	for (i = 0; i < length; i++) {
		state = state * 1664525 + 1013904223;
		bytes[i] = state >> 24;
	}
}

static bool is_filled(const void *buf, size_t length, uint32_t seed)
{
	uint8_t want[PAGE];

	fill(want, length, seed);
	return !memcmp(buf, want, length);
}

static void *alloc_page(void)
{
	void *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return page == MAP_FAILED ? NULL : page;
}

static void free_page(void *page)
{
	if (page)
		munmap(page, PAGE);
}

static void sleep_ms(long ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (nanosleep(&time, &time) && errno == EINTR)
		;
}

/* ---------------------------------------------------------------- registers */

static uint32_t read32(const struct edu *edu, uint32_t reg)
{
	return *(volatile uint32_t *)((char *)edu->bar + reg);
}

static void write32(struct edu *edu, uint32_t reg, uint32_t value)
{
	*(volatile uint32_t *)((char *)edu->bar + reg) = value;
}

static void write64(struct edu *edu, uint32_t reg, uint64_t value)
{
	*(volatile uint64_t *)((char *)edu->bar + reg) = value;
}

static int wait_idle(struct edu *edu)
{
	int waited;

	for (waited = 0; read32(edu, EDU_DMA_CMD) & EDU_DMA_RUN; waited += 5) {
		if (waited >= EDU_TIMEOUT_MS) {
			fprintf(stderr, "edu: the copy does not end\n");
			return -ETIMEDOUT;
		}
		sleep_ms(5);
	}
	/* Partner: the device, which has written RAM before it became idle. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return 0;
}

static void start_dma(struct edu *edu, uint64_t iova, uint32_t length, uint32_t command)
{
	bool to_ram = command & EDU_DMA_TO_RAM;

	write64(edu, EDU_DMA_SRC, to_ram ? EDU_BUF : iova);
	write64(edu, EDU_DMA_DST, to_ram ? iova : EDU_BUF);
	write64(edu, EDU_DMA_COUNT, length);
	/* Partner: the device, which reads RAM after it was told to. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	write64(edu, EDU_DMA_CMD, EDU_DMA_RUN | command);
}

/* RAM at @iova to the device's buffer. */
static int dma_in(struct edu *edu, uint64_t iova, uint32_t length)
{
	start_dma(edu, iova, length, 0);
	return wait_idle(edu);
}

/* The device's buffer to RAM at @iova. */
static int dma_out(struct edu *edu, uint64_t iova, uint32_t length)
{
	start_dma(edu, iova, length, EDU_DMA_TO_RAM);
	return wait_idle(edu);
}

/* ----------------------------------------------------------- open and close */

static void edu_close(struct edu *edu)
{
	vcdev_region_unmap(edu->bar, edu->bar_size);
	vcdev_dev_close(edu->dev);
	vcdev_ctx_close(edu->ctx);
	if (edu->eventfd >= 0)
		close(edu->eventfd);
	memset(edu, 0, sizeof(*edu));
	edu->eventfd = -1;
}

/* The ways to a device: its own file, or its group with one of two containers */
enum way { WAY_CDEV, WAY_GROUP, WAY_CONTAINER };

/* Open, bind, attach: what the other ways do in one. */
static int open_by_group(struct edu *edu, const char *name, enum way way)
{
	int rc;

	if (way == WAY_GROUP)
		rc = vcdev_ctx_open(NULL, &edu->ctx, &err);
	else
		rc = vcdev_ctx_open_container(NULL, &edu->ctx, &err);
	if (rc)
		return fail_lib("open a container");
	if (vcdev_dev_open_group(NULL, name, edu->ctx, &edu->dev, &edu->ioas, &err))
		return fail_lib("open");
	return 0;
}

static int open_cdev(struct edu *edu, const char *name)
{
	if (vcdev_dev_open(NULL, name, &edu->dev, &err))
		return fail_lib("open");
	return 0;
}

static int bind_cdev(struct edu *edu)
{
	if (vcdev_ctx_open(NULL, &edu->ctx, &err))
		return fail_lib("open a context");
	if (vcdev_dev_bind(edu->dev, edu->ctx, &err))
		return fail_lib("bind");
	if (vcdev_ioas_alloc(edu->ctx, &edu->ioas, &err))
		return fail_lib("make an IOAS");
	if (vcdev_dev_attach(edu->dev, edu->ioas, NULL, &err))
		return fail_lib("attach");
	return 0;
}

static int edu_open(struct edu *edu, const char *name, enum way way)
{
	const struct vcdev_pci *pci;
	struct vcdev_region bar;
	uint32_t liveness;
	int rc;

	memset(edu, 0, sizeof(*edu));
	edu->eventfd = -1;
	rc = way == WAY_CDEV ? open_cdev(edu, name) : open_by_group(edu, name, way);
	if (rc)
		return rc;
	pci = vcdev_dev_pci(edu->dev);
	if (pci->vendor != EDU_VENDOR || pci->device != EDU_DEVICE) {
		fprintf(stderr, "edu: %s is %04x:%04x, not an edu device\n", pci->bdf,
			pci->vendor, pci->device);
		return -ENODEV;
	}
	if (way == WAY_CDEV) {
		rc = bind_cdev(edu);
		if (rc)
			return rc;
	}
	if (vcdev_dev_enable(edu->dev, true, &err))
		return fail_lib("enable DMA");
	if (vcdev_region_get(edu->dev, VFIO_PCI_BAR0_REGION_INDEX, &bar, &err))
		return fail_lib("look at BAR 0");
	edu->bar_size = bar.size;
	vcdev_region_free(&bar);
	if (vcdev_region_map(edu->dev, VFIO_PCI_BAR0_REGION_INDEX, 0, 0,
			     PROT_READ | PROT_WRITE, &edu->bar, &err))
		return fail_lib("map BAR 0");

	if ((read32(edu, EDU_ID) & 0xff) != 0xed)
		return fail("identification");
	write32(edu, EDU_LIVENESS, 0x12345678);
	liveness = read32(edu, EDU_LIVENESS);
	if (liveness != ~0x12345678u)
		return fail("liveness");
	/* The same register through read() on the file has to agree. */
	if (vcdev_region_read(edu->dev, VFIO_PCI_BAR0_REGION_INDEX, EDU_LIVENESS, &liveness,
			      sizeof(liveness), &err))
		return fail_lib("read a register");
	if (liveness != ~0x12345678u)
		return fail("liveness through read()");
	/* A copy that an earlier user left running would disturb us. */
	if (wait_idle(edu))
		return -ETIMEDOUT;
	ok("opened, registers answer");
	return 0;
}

/* -------------------------------------------------------------------- tests */

static int map_page(struct edu *edu, uint32_t ioas, void *page, uint64_t iova)
{
	if (vcdev_map(edu->ctx, ioas, page, PAGE, iova, VCDEV_MAP_RW, &err))
		return fail_lib("map");
	return 0;
}

/* Are the first @length bytes of pattern @seed and the others of @rest? */
static bool is_filled_partly(const uint8_t *page, size_t length, uint32_t seed, uint32_t rest)
{
	uint8_t want[PAGE];

	fill(want, PAGE, rest);
	fill(want, length, seed);
	return !memcmp(page, want, PAGE);
}

/* RAM to device, wipe RAM, device to RAM: what comes back is what was sent. */
static int check_dma(struct edu *edu, uint8_t *page, uint64_t iova)
{
	int rc;

	fill(page, PAGE, 1);
	rc = dma_in(edu, iova, COPY);
	if (rc)
		return rc;
	if (!is_filled(page, PAGE, 1))
		return fail("DMA from RAM leaves RAM alone");
	/* A part only: what is behind it must stay. */
	fill(page, PAGE, 2);
	rc = dma_out(edu, iova, 1000);
	if (rc)
		return rc;
	if (!is_filled_partly(page, 1000, 1, 2))
		return fail("DMA of 1000 bytes to RAM");
	rc = dma_out(edu, iova, COPY);
	if (rc)
		return rc;
	if (!is_filled_partly(page, COPY, 1, 2))
		return fail("DMA both ways, compared by content");
	ok("DMA both ways, compared by content");
	return 0;
}

static int test_dma(struct edu *edu, uint64_t iova)
{
	void *page = alloc_page();
	int rc;

	if (!page)
		return fail("memory");
	rc = map_page(edu, edu->ioas, page, iova);
	if (rc)
		goto out_free;
	rc = check_dma(edu, page, iova);
	if (vcdev_unmap(edu->ctx, edu->ioas, iova, PAGE, NULL, &err) && !rc)
		rc = fail_lib("unmap");
out_free:
	free_page(page);
	return rc;
}

/* Does the eventfd get exactly one interrupt, with this status? */
static int wait_irq(struct edu *edu, uint32_t status)
{
	struct pollfd poll_fd = { .fd = edu->eventfd, .events = POLLIN };
	uint64_t count;
	int rc;

	rc = poll(&poll_fd, 1, EDU_TIMEOUT_MS);
	if (rc <= 0) {
		fprintf(stderr, "edu: no interrupt came\n");
		return -ETIMEDOUT;
	}
	if (read(edu->eventfd, &count, sizeof(count)) != sizeof(count) || count != 1)
		return fail("one interrupt, one event");
	if (read32(edu, EDU_IRQ_STATUS) != status)
		return fail("interrupt status");
	write32(edu, EDU_IRQ_ACK, status);
	if (edu->irq_index == VFIO_PCI_INTX_IRQ_INDEX &&
	    vcdev_irq_unmask(edu->dev, edu->irq_index, &err))
		return fail_lib("unmask INTx");
	/* Acknowledged: it must not come again. */
	poll_fd.revents = 0;
	if (poll(&poll_fd, 1, 50) != 0)
		return fail("no interrupt after the acknowledge");
	return 0;
}

static int test_irq(struct edu *edu, uint64_t iova, bool want_intx)
{
	struct vcdev_irq irq = { 0 };
	char what[64];
	void *page;
	int rc;

	edu->irq_index = VFIO_PCI_MSI_IRQ_INDEX;
	if (!want_intx && vcdev_irq_get(edu->dev, edu->irq_index, &irq, &err))
		return fail_lib("look at MSI");
	if (!irq.count) {
		edu->irq_index = VFIO_PCI_INTX_IRQ_INDEX;
		if (vcdev_irq_get(edu->dev, edu->irq_index, &irq, &err))
			return fail_lib("look at INTx");
	}
	if (!irq.count)
		return fail("the device has an interrupt");
	edu->eventfd = eventfd(0, EFD_CLOEXEC);
	if (edu->eventfd < 0)
		return fail("eventfd");
	if (vcdev_irq_enable(edu->dev, edu->irq_index, &edu->eventfd, 1, &err))
		return fail_lib("enable the interrupt");

	write32(edu, EDU_IRQ_RAISE, EDU_IRQ_TEST);
	rc = wait_irq(edu, EDU_IRQ_TEST);
	if (rc)
		return rc;
	snprintf(what, sizeof(what), "interrupt through an eventfd (%s)",
		 edu->irq_index == VFIO_PCI_MSI_IRQ_INDEX ? "MSI" : "INTx");
	ok(what);

	page = alloc_page();
	if (!page)
		return fail("memory");
	fill(page, COPY, 3);
	rc = map_page(edu, edu->ioas, page, iova);
	if (rc)
		goto out_free;
	start_dma(edu, iova, COPY, EDU_DMA_IRQ);
	rc = wait_irq(edu, EDU_IRQ_DMA);
	if (!rc && read32(edu, EDU_DMA_CMD) & EDU_DMA_RUN)
		rc = fail("the interrupt comes after the copy");
	if (vcdev_unmap(edu->ctx, edu->ioas, iova, PAGE, NULL, &err) && !rc)
		rc = fail_lib("unmap");
	if (!rc && vcdev_irq_disable(edu->dev, edu->irq_index, &err))
		rc = fail_lib("disable the interrupt");
	if (!rc)
		ok("interrupt at the end of a DMA");
out_free:
	free_page(page);
	return rc;
}

/* Another IOAS with other memory at the same IOVA, put under the live device. */
static int test_replace(struct edu *edu, uint64_t iova)
{
	void *old_page = alloc_page(), *new_page = alloc_page();
	uint32_t new_ioas = 0;
	int rc = -ENOMEM;

	if (!old_page || !new_page) {
		fail("memory");
		goto out_free;
	}
	rc = map_page(edu, edu->ioas, old_page, iova);
	if (rc)
		goto out_free;
	if (vcdev_ioas_alloc(edu->ctx, &new_ioas, &err)) {
		rc = fail_lib("make a second IOAS");
		goto out_unmap;
	}
	rc = map_page(edu, new_ioas, new_page, iova);
	if (rc)
		goto out_destroy;

	fill(old_page, COPY, 4);
	fill(new_page, COPY, 5);
	rc = dma_in(edu, iova, COPY);		/* the device has pattern 4 */
	if (rc)
		goto out_destroy;
	if (vcdev_dev_attach(edu->dev, new_ioas, NULL, &err)) {
		rc = fail_lib("replace the IOAS");
		goto out_destroy;
	}
	fill(old_page, COPY, 6);
	rc = dma_out(edu, iova, COPY);
	if (rc)
		goto out_back;
	if (!is_filled(new_page, COPY, 4)) {
		rc = fail("after the replacement data arrives in the new memory");
		goto out_back;
	}
	if (!is_filled(old_page, COPY, 6)) {
		rc = fail("after the replacement the old memory is out of reach");
		goto out_back;
	}
	fill(new_page, COPY, 7);
	rc = dma_in(edu, iova, COPY);		/* from the new memory */
	if (rc)
		goto out_back;
	fill(new_page, COPY, 8);
	rc = dma_out(edu, iova, COPY);
	if (rc)
		goto out_back;
	if (!is_filled(new_page, COPY, 7)) {
		rc = fail("after the replacement data comes from the new memory");
		goto out_back;
	}
	ok("IOAS replaced, data arrives in the new memory and not in the old");

out_back:
	if (vcdev_dev_attach(edu->dev, edu->ioas, NULL, &err) && !rc)
		rc = fail_lib("go back to the first IOAS");
	if (!rc) {
		rc = dma_out(edu, iova, COPY);
		if (!rc && !is_filled(old_page, COPY, 7))
			rc = fail("back in the first IOAS data arrives in its memory");
		else if (!rc)
			ok("back in the first IOAS");
	}
out_destroy:
	if (vcdev_destroy(edu->ctx, new_ioas, &err) && !rc)
		rc = fail_lib("destroy the second IOAS");
out_unmap:
	if (vcdev_unmap(edu->ctx, edu->ioas, iova, PAGE, NULL, &err) && !rc)
		rc = fail_lib("unmap");
out_free:
	free_page(old_page);
	free_page(new_page);
	return rc;
}

/* The device has @secret and is told to write to, then read from @page at @iova. */
static int expect_blocked(struct edu *edu, void *page, uint64_t iova, uint32_t secret,
			  const char *what)
{
	int rc;

	fill(page, COPY, 20);
	rc = dma_out(edu, iova, COPY);
	if (rc)
		return rc;
	if (is_filled(page, COPY, secret) || !is_filled(page, COPY, 20))
		return fail(what);
	return 0;
}

/* DMA to what is not mapped must go nowhere: never, not any more, not now. */
static int test_stray(struct edu *edu, uint64_t iova)
{
	uint64_t good = iova + 16 * PAGE;
	void *page = alloc_page(), *good_page = alloc_page();
	int rc = -ENOMEM;

	if (!page || !good_page) {
		fail("memory");
		goto out_free;
	}
	rc = map_page(edu, edu->ioas, good_page, good);
	if (rc)
		goto out_free;
	rc = map_page(edu, edu->ioas, page, iova);
	if (rc)
		goto out_unmap_good;
	fill(good_page, COPY, 10);
	rc = dma_in(edu, good, COPY);		/* the device has pattern 10 */
	if (rc)
		goto out_unmap;
	/* Reachable while it is mapped, so that the next step can fail. */
	fill(page, COPY, 11);
	rc = dma_out(edu, iova, COPY);
	if (!rc && !is_filled(page, COPY, 10))
		rc = fail("DMA to mapped memory arrives");
	if (rc)
		goto out_unmap;
	if (vcdev_unmap(edu->ctx, edu->ioas, iova, PAGE, NULL, &err)) {
		rc = fail_lib("unmap");
		goto out_unmap_good;
	}
	rc = expect_blocked(edu, page, iova, 10, "DMA to an unmapped IOVA is stopped");
	if (rc)
		goto out_unmap_good;
	ok("DMA to an unmapped IOVA is stopped, memory unchanged");

	/* Reading it gives the device nothing of what the memory holds. */
	fill(page, COPY, 12);
	rc = dma_in(edu, iova, COPY);
	if (rc)
		goto out_unmap_good;
	fill(good_page, COPY, 13);
	rc = dma_out(edu, good, COPY);
	if (rc)
		goto out_unmap_good;
	if (is_filled(good_page, COPY, 12)) {
		rc = fail("DMA from an unmapped IOVA is stopped");
		goto out_unmap_good;
	}
	if (is_filled(good_page, COPY, 13)) {
		rc = fail("DMA to mapped memory works after a fault");
		goto out_unmap_good;
	}
	ok("DMA from an unmapped IOVA is stopped, nothing leaks");

	/* Read-only memory can be read and not written. */
	if (vcdev_map(edu->ctx, edu->ioas, page, PAGE, iova, VCDEV_MAP_READ, &err)) {
		rc = fail_lib("map read-only");
		goto out_unmap_good;
	}
	fill(page, COPY, 14);
	rc = dma_in(edu, iova, COPY);
	if (!rc)
		rc = dma_out(edu, good, COPY);
	if (!rc && !is_filled(good_page, COPY, 14))
		rc = fail("DMA from read-only memory works");
	if (!rc)
		rc = expect_blocked(edu, page, iova, 14, "DMA to read-only memory is stopped");
	if (!rc)
		ok("DMA to read-only memory is stopped");

out_unmap:
	if (vcdev_unmap(edu->ctx, edu->ioas, iova, PAGE, NULL, &err) && !rc)
		rc = fail_lib("unmap");
out_unmap_good:
	if (vcdev_unmap(edu->ctx, edu->ioas, good, PAGE, NULL, &err) && !rc)
		rc = fail_lib("unmap");
out_free:
	free_page(page);
	free_page(good_page);
	return rc;
}

/* A detached device reaches nothing, though everything stays mapped. */
static int test_detach(struct edu *edu, uint64_t iova)
{
	void *page = alloc_page();
	int rc = -ENOMEM;

	if (!page)
		return fail("memory");
	rc = map_page(edu, edu->ioas, page, iova);
	if (rc)
		goto out_free;
	fill(page, COPY, 15);
	rc = dma_in(edu, iova, COPY);
	if (rc)
		goto out_unmap;
	if (vcdev_dev_detach(edu->dev, &err)) {
		rc = fail_lib("detach");
		goto out_unmap;
	}
	rc = expect_blocked(edu, page, iova, 15, "DMA of a detached device is stopped");
	if (vcdev_dev_attach(edu->dev, edu->ioas, NULL, &err) && !rc)
		rc = fail_lib("attach again");
	if (rc)
		goto out_unmap;
	rc = dma_out(edu, iova, COPY);
	if (rc)
		goto out_unmap;
	if (!is_filled(page, COPY, 15)) {
		rc = fail("DMA works after attaching again");
		goto out_unmap;
	}
	ok("DMA of a detached device is stopped, and works after attaching again");

out_unmap:
	if (vcdev_unmap(edu->ctx, edu->ioas, iova, PAGE, NULL, &err) && !rc)
		rc = fail_lib("unmap");
out_free:
	free_page(page);
	return rc;
}

/* Memory as large as that of a virtual machine, in one map; the device uses both ends. */
static int test_memory(struct edu *edu, uint64_t iova, uint64_t length, bool percent)
{
	uint8_t *memory = memory_get("edu", length, percent), *last;
	char what[96];
	int rc;

	if (!memory)
		return -ENOMEM;
	last = memory + length - PAGE;
	if (vcdev_map(edu->ctx, edu->ioas, memory, length, iova, VCDEV_MAP_RW, &err)) {
		rc = fail_lib("map large memory");
		goto out_free;
	}
	fill(memory, COPY, 30);
	rc = dma_in(edu, iova, COPY);
	if (rc)
		goto out_unmap;
	fill(last, PAGE, 31);
	rc = dma_out(edu, iova + length - PAGE, COPY);
	if (rc)
		goto out_unmap;
	snprintf(what, sizeof(what), "0x%" PRIx64 " bytes in one map, DMA from end to end", length);
	if (is_filled_partly(last, COPY, 30, length == PAGE ? 30 : 31))
		ok(what);
	else
		rc = fail(what);
out_unmap:
	if (vcdev_unmap(edu->ctx, edu->ioas, iova, length, NULL, &err) && !rc)
		rc = fail_lib("unmap");
out_free:
	memory_free(memory, length);
	return rc;
}

/*
 * Close the device while a copy is under way (it starts 100 ms later): it must
 * not arrive. The context stays open, so the memory is still pinned and mapped.
 */
static int test_close(struct edu *edu, uint64_t iova)
{
	struct vcdev_ctx *ctx;
	void *page = alloc_page();
	int rc = -ENOMEM;

	if (!page)
		return fail("memory");
	rc = map_page(edu, edu->ioas, page, iova);
	if (rc)
		goto out_free;
	fill(page, COPY, 16);
	rc = dma_in(edu, iova, COPY);
	if (rc)
		goto out_free;
	fill(page, COPY, 17);
	start_dma(edu, iova, COPY, EDU_DMA_TO_RAM);
	ctx = edu->ctx;
	edu->ctx = NULL;
	edu_close(edu);
	sleep_ms(400);
	if (is_filled(page, COPY, 17))
		ok("DMA of a closed device is stopped");
	else
		rc = fail("DMA of a closed device is stopped");
	vcdev_ctx_close(ctx);
out_free:
	free_page(page);
	return rc;
}

static void usage(FILE *out)
{
	fputs("usage: edu [options] BDF\n"
	      "\n"
	      "DMA and interrupt of QEMU's edu device, bound to vfio-pci.\n"
	      "\n"
	      "  --iova N    IOVA to use, below 256 MiB unless the device has a wider\n"
	      "              dma_mask (0x100000)\n"
	      "  --intx      use INTx, not MSI\n"
	      "  --group     open it by its IOMMU group, with /dev/iommu as the container\n"
	      "  --container the same with /dev/vfio/vfio; neither with --replace, --detach\n"
	      "  --replace   replace the IOAS of the attached device\n"
	      "  --stray     DMA to unmapped and read-only IOVAs, which must be stopped\n"
	      "  --detach    DMA of the detached device, which must be stopped\n"
	      "  --close     DMA of the closed device, which must be stopped\n"
	      "  --memory N  map so much (64M, 2G), brought in by all processors ahead of\n"
	      "              the map, and use both ends of it. The device must reach them\n"
	      "  --percent   tell how far that is in lines, not by a bar\n"
	      "  --all       all of the above but --memory\n"
	      "\n"
	      "Exit status: 0 if every step was verified, 1 if not, 2 for wrong usage.\n",
	      out);
}

enum { OPT_IOVA = 256, OPT_INTX, OPT_REPLACE, OPT_STRAY, OPT_DETACH, OPT_CLOSE,
	OPT_ALL, OPT_GROUP, OPT_CONTAINER, OPT_MEMORY, OPT_PERCENT };

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "iova", required_argument, NULL, OPT_IOVA },
		{ "intx", no_argument, NULL, OPT_INTX },
		{ "group", no_argument, NULL, OPT_GROUP },
		{ "container", no_argument, NULL, OPT_CONTAINER },
		{ "replace", no_argument, NULL, OPT_REPLACE },
		{ "stray", no_argument, NULL, OPT_STRAY },
		{ "detach", no_argument, NULL, OPT_DETACH },
		{ "close", no_argument, NULL, OPT_CLOSE },
		{ "memory", required_argument, NULL, OPT_MEMORY },
		{ "percent", no_argument, NULL, OPT_PERCENT },
		{ "all", no_argument, NULL, OPT_ALL },
		{ "help", no_argument, NULL, 'h' },
		{ 0 }
	};
	bool intx = false, replace = false, stray = false, detach = false, closed = false;
	uint64_t iova = DEFAULT_IOVA, memory = 0;
	bool percent = false;
	enum way way = WAY_CDEV;
	struct edu edu;
	int option, rc;
	char *end;

	while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
		switch (option) {
		case OPT_IOVA:
			errno = 0;
			iova = strtoull(optarg, &end, 0);
			if (errno || *end || end == optarg || iova % PAGE) {
				fprintf(stderr, "edu: --iova needs a multiple of 4096\n");
				return 2;
			}
			break;
		case OPT_INTX:
			intx = true;
			break;
		case OPT_GROUP:
			way = WAY_GROUP;
			break;
		case OPT_CONTAINER:
			way = WAY_CONTAINER;
			break;
		case OPT_REPLACE:
			replace = true;
			break;
		case OPT_STRAY:
			stray = true;
			break;
		case OPT_DETACH:
			detach = true;
			break;
		case OPT_CLOSE:
			closed = true;
			break;
		case OPT_MEMORY:
			if (!memory_size(optarg, &memory)) {
				fprintf(stderr, "edu: --memory needs a size in whole pages\n");
				return 2;
			}
			break;
		case OPT_PERCENT:
			percent = true;
			break;
		case OPT_ALL:
			replace = stray = detach = closed = true;
			break;
		case 'h':
			usage(stdout);
			return 0;
		default:
			usage(stderr);
			return 2;
		}
	}
	if (optind + 1 != argc || (way != WAY_CDEV && (replace || detach))) {
		usage(stderr);
		return 2;
	}

	rc = edu_open(&edu, argv[optind], way);
	if (!rc)
		rc = test_dma(&edu, iova);
	if (!rc)
		rc = test_irq(&edu, iova, intx);
	if (!rc && memory)
		rc = test_memory(&edu, iova, memory, percent);
	if (!rc && replace)
		rc = test_replace(&edu, iova);
	if (!rc && stray)
		rc = test_stray(&edu, iova);
	if (!rc && detach)
		rc = test_detach(&edu, iova);
	if (!rc && closed)
		rc = test_close(&edu, iova);	/* closes: the last one */
	edu_close(&edu);
	if (!rc)
		printf("edu: all ok\n");
	return rc ? 1 : 0;
}
