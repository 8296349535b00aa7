// SPDX-License-Identifier: GPL-2.0
/*
 * The driver of nvme.h: bring a controller up, submit commands, wait for their
 * completions by interrupt.
 *
 * The block of memory, from its start (NVME_PAGE each):
 *	admin SQ, admin CQ, I/O SQ, I/O CQ, identify data,
 *	NVME_MAX_DEPTH PRP lists, one for each command of the I/O queue,
 *	NVME_DATA_SIZE bytes of data
 *
 * A command's ID is the number of a slot, which also names its PRP list; a slot
 * is free again when its completion has been seen. At most depth - 1 commands
 * are under way, so neither queue of a pair can overflow: the completion queue
 * has as many entries as the submission queue.
 *
 * The controller writes completion entries in order, and changes the phase bit
 * last. So: read the phase, then (acquire) the rest. In the other direction:
 * write the entry, then (release) ring the doorbell. x86 keeps both orders for
 * ordinary memory and uncached registers; the fences hold the compiler and say so.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <linux/vfio.h>

#include "nvme.h"

#define OFFSET_ADMIN_SQ	(0 * NVME_PAGE)
#define OFFSET_ADMIN_CQ	(1 * NVME_PAGE)
#define OFFSET_IO_SQ	(2 * NVME_PAGE)
#define OFFSET_IO_CQ	(3 * NVME_PAGE)
#define OFFSET_IDENTIFY	(4 * NVME_PAGE)
#define OFFSET_PRP	(5 * NVME_PAGE)
#define OFFSET_DATA	(OFFSET_PRP + NVME_MAX_DEPTH * NVME_PAGE)
#define MEM_SIZE	((size_t)OFFSET_DATA + NVME_DATA_SIZE)

#define ADMIN_DEPTH	8

/* Small enough that a long transfer is several commands at a time. */
#define MAX_TRANSFER	(64u << 10)

/* An emulated controller on a busy machine is slower than its CAP.TO says. */
#define MIN_READY_MS	10000
#define COMMAND_MS	30000

static int nvme_fail(struct nvme *nvme, int rc, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int nvme_fail(struct nvme *nvme, int rc, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(nvme->reason, sizeof(nvme->reason), fmt, ap);
	va_end(ap);
	return rc;
}

static int nvme_fail_lib(struct nvme *nvme, const struct vcdev_error *err)
{
	return nvme_fail(nvme, err->code, "%s%s%s", err->text, err->hint[0] ? "; next: " : "",
			 err->hint);
}

/* ---------------------------------------------------------------- registers */

static uint32_t read32(struct nvme *nvme, uint32_t reg)
{
	return *(volatile uint32_t *)(nvme->bar + reg);
}

static void write32(struct nvme *nvme, uint32_t reg, uint32_t value)
{
	*(volatile uint32_t *)(nvme->bar + reg) = value;
}

/* In halves, the lower one first: every controller takes that. */
static uint64_t read64(struct nvme *nvme, uint32_t reg)
{
	uint64_t low = read32(nvme, reg);

	return low | (uint64_t)read32(nvme, reg + 4) << 32;
}

static void write64(struct nvme *nvme, uint32_t reg, uint64_t value)
{
	write32(nvme, reg, value);
	write32(nvme, reg + 4, value >> 32);
}

static void ring(struct nvme *nvme, const struct nvme_queue *queue, bool completion,
		 uint16_t value)
{
	uint32_t stride = 4u << NVME_CAP_DSTRD(nvme->cap);

	/* Partner: the controller, which reads an entry after its doorbell. */
	__atomic_thread_fence(__ATOMIC_RELEASE);
	write32(nvme, NVME_DOORBELLS + (2 * queue->id + completion) * stride, value);
}

static int wait_ready(struct nvme *nvme, bool ready)
{
	struct timespec pause = { .tv_nsec = 2000000 };
	int limit = NVME_CAP_TO(nvme->cap) * 500, waited;
	uint32_t csts;

	if (limit < MIN_READY_MS)
		limit = MIN_READY_MS;
	for (waited = 0; waited <= limit; waited += 2) {
		csts = read32(nvme, NVME_CSTS);
		if (csts == UINT32_MAX)
			return nvme_fail(nvme, -ENODEV, "the controller does not answer");
		if (csts & NVME_CSTS_CFS && ready)
			return nvme_fail(nvme, -EIO, "the controller reports a fatal status");
		if (!!(csts & NVME_CSTS_RDY) == ready)
			return 0;
		nanosleep(&pause, NULL);
	}
	return nvme_fail(nvme, -ETIMEDOUT, "the controller is not %s after %d ms",
			 ready ? "ready" : "disabled", limit);
}

/* ------------------------------------------------------------------- queues */

static void queue_init(struct nvme *nvme, struct nvme_queue *queue, uint16_t id,
		       uint16_t depth, size_t sq_offset, size_t cq_offset)
{
	memset(queue, 0, sizeof(*queue));
	queue->id = id;
	queue->depth = depth;
	queue->phase = 1;
	queue->sq = (void *)(nvme->mem + sq_offset);
	queue->cq = (void *)(nvme->mem + cq_offset);
	queue->sq_iova = nvme->iova + sq_offset;
	queue->cq_iova = nvme->iova + cq_offset;
	memset(nvme->mem + sq_offset, 0, NVME_PAGE);
	memset(nvme->mem + cq_offset, 0, NVME_PAGE);
}

static void submit(struct nvme *nvme, struct nvme_queue *queue,
		   const struct nvme_command *command)
{
	queue->sq[queue->sq_tail] = *command;
	queue->sq_tail = (queue->sq_tail + 1) % queue->depth;
	queue->in_flight++;
	ring(nvme, queue, false, queue->sq_tail);
}

/* Takes one completion if there is one. */
static bool reap(struct nvme *nvme, struct nvme_queue *queue, struct nvme_completion *completion)
{
	volatile struct nvme_completion *entry = &queue->cq[queue->cq_head];

	if ((entry->status & 1) != queue->phase)
		return false;
	/* Partner: the controller, which writes the phase last. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	*completion = *entry;
	if (++queue->cq_head == queue->depth) {
		queue->cq_head = 0;
		queue->phase ^= 1;
	}
	queue->in_flight--;
	ring(nvme, queue, true, queue->cq_head);
	return true;
}

/*
 * Wait for one completion, asleep on the queue's eventfd. An event may be left
 * over from a completion that was taken before its interrupt came: look again.
 */
static int wait_completion(struct nvme *nvme, struct nvme_queue *queue,
			   struct nvme_completion *completion)
{
	struct pollfd poll_fd = { .fd = nvme->eventfds[queue->vector], .events = POLLIN };
	struct vcdev_error err;
	uint64_t events;
	int rc;

	while (!reap(nvme, queue, completion)) {
		rc = poll(&poll_fd, 1, nvme->timeout_ms);
		if (rc < 0 && errno == EINTR)
			continue;
		if (rc < 0)
			return nvme_fail(nvme, -errno, "poll: %s", strerror(errno));
		if (!rc && reap(nvme, queue, completion))
			return nvme_fail(nvme, -EIO, "queue %u: a completion came without its "
					 "interrupt", queue->id);
		if (!rc)
			return nvme_fail(nvme, -ETIMEDOUT, "queue %u: no completion after %d ms "
					 "(CSTS 0x%x)", queue->id, nvme->timeout_ms,
					 read32(nvme, NVME_CSTS));
		if (read(poll_fd.fd, &events, sizeof(events)) != sizeof(events))
			return nvme_fail(nvme, -errno, "eventfd: %s", strerror(errno));
		nvme->interrupts += events;
		if (nvme->irq_index == VFIO_PCI_INTX_IRQ_INDEX &&
		    vcdev_irq_unmask(nvme->dev, nvme->irq_index, &err))
			return nvme_fail_lib(nvme, &err);
	}
	return 0;
}

/* On a busy machine each completion may have been seen before its interrupt. */
int nvme_expect_interrupt(struct nvme *nvme)
{
	struct pollfd poll_fd = { .fd = nvme->eventfds[nvme->io.vector], .events = POLLIN };
	uint64_t events;

	if (nvme->interrupts)
		return 0;
	if (poll(&poll_fd, 1, nvme->timeout_ms) != 1 ||
	    read(poll_fd.fd, &events, sizeof(events)) != sizeof(events))
		return nvme_fail(nvme, -EIO, "no interrupt came with any completion");
	nvme->interrupts += events;
	return 0;
}

/* Status type and code without the "do not retry" and "more" bits; 0 is good. */
static unsigned int nvme_status(const struct nvme_completion *completion)
{
	return completion->status >> 1 & 0x7ff;
}

/* ----------------------------------------------------------- admin commands */

/* Returns the status, or a negative errno. */
static int admin(struct nvme *nvme, struct nvme_command *command)
{
	struct nvme_completion completion;
	int rc;

	command->cid = nvme->admin.sq_tail;
	submit(nvme, &nvme->admin, command);
	rc = wait_completion(nvme, &nvme->admin, &completion);
	if (rc)
		return rc;
	if (completion.cid != command->cid)
		return nvme_fail(nvme, -EPROTO, "completion of command %u, not of %u",
				 completion.cid, command->cid);
	return nvme_status(&completion);
}

static int admin_or_fail(struct nvme *nvme, struct nvme_command *command, const char *what)
{
	int rc = admin(nvme, command);

	if (rc > 0)
		return nvme_fail(nvme, -EIO, "%s: status 0x%x", what, rc);
	return rc;
}

static int identify(struct nvme *nvme, unsigned int what, uint32_t nsid, const uint8_t **data)
{
	struct nvme_command command = {
		.opcode = NVME_ADMIN_IDENTIFY,
		.nsid = nsid,
		.prp1 = nvme->iova + OFFSET_IDENTIFY,
		.cdw10 = what,
	};

	memset(nvme->mem + OFFSET_IDENTIFY, 0, NVME_PAGE);
	*data = (const uint8_t *)nvme->mem + OFFSET_IDENTIFY;
	return admin_or_fail(nvme, &command, "identify");
}

/* Text fields are padded by blanks and have no end. */
static void copy_text(char *to, const uint8_t *from, size_t length)
{
	while (length && from[length - 1] == ' ')
		length--;
	memcpy(to, from, length);
	to[length] = '\0';
}

static int identify_controller(struct nvme *nvme)
{
	const uint8_t *data;
	unsigned int mdts;
	int rc;

	rc = identify(nvme, NVME_IDENTIFY_CTRL, 0, &data);
	if (rc)
		return rc;
	copy_text(nvme->serial, data + 4, 20);
	copy_text(nvme->model, data + 24, 40);
	copy_text(nvme->firmware, data + 64, 8);
	mdts = data[77];	/* power of two of pages; 0 is "no limit" */
	nvme->max_transfer = MAX_TRANSFER;
	if (mdts && mdts < 16 && ((uint32_t)NVME_PAGE << mdts) < MAX_TRANSFER)
		nvme->max_transfer = (uint32_t)NVME_PAGE << mdts;
	return 0;
}

static int identify_namespace(struct nvme *nvme, uint32_t nsid)
{
	const uint8_t *data;
	unsigned int format;
	uint32_t lbaf;
	int rc;

	rc = identify(nvme, NVME_IDENTIFY_NS, nsid, &data);
	if (rc)
		return rc;
	memcpy(&nvme->nr_blocks, data, sizeof(nvme->nr_blocks));
	if (!nvme->nr_blocks)
		return nvme_fail(nvme, -ENODEV, "namespace %u is not there or not attached to "
				 "this controller; next: 'nvme attach-ns' through the PF", nsid);
	format = data[26] & 0xf;
	memcpy(&lbaf, data + 128 + 4 * format, sizeof(lbaf));
	if (lbaf & 0xffff)
		return nvme_fail(nvme, -ENOTSUP, "namespace %u has metadata", nsid);
	nvme->block_size = 1u << (lbaf >> 16 & 0xff);
	if (nvme->block_size < 512 || nvme->block_size > NVME_PAGE)
		return nvme_fail(nvme, -ENOTSUP, "namespace %u has blocks of %u bytes", nsid,
				 nvme->block_size);
	nvme->nsid = nsid;
	return 0;
}

static int create_io_queue(struct nvme *nvme, unsigned int depth)
{
	struct nvme_queue *io = &nvme->io;
	struct nvme_command features = {
		.opcode = NVME_ADMIN_SET_FEATURES,
		.cdw10 = NVME_FEATURE_NR_QUEUES,
		.cdw11 = 0,	/* one of each, counted from 0 */
	};
	struct nvme_command create_cq, create_sq;
	int rc;

	if (depth > NVME_MAX_DEPTH)
		depth = NVME_MAX_DEPTH;
	if (depth > NVME_CAP_MQES(nvme->cap) + 1)
		depth = NVME_CAP_MQES(nvme->cap) + 1;
	if (depth < 2)
		depth = 2;
	rc = admin_or_fail(nvme, &features, "set the number of queues");
	if (rc)
		return rc;
	queue_init(nvme, io, 1, depth, OFFSET_IO_SQ, OFFSET_IO_CQ);

	/*
	 * A vector of its own if there is one. A VF may have a larger MSI-X table
	 * than interrupts that its PF gave it: then it shares that of admin.
	 */
	for (io->vector = nvme->nr_vectors - 1; ; io->vector--) {
		create_cq = (struct nvme_command){
			.opcode = NVME_ADMIN_CREATE_CQ,
			.prp1 = io->cq_iova,
			.cdw10 = (uint32_t)(depth - 1) << 16 | io->id,
			.cdw11 = io->vector << 16 | 1 << 1 | 1,	/* interrupts, contiguous */
		};
		rc = admin(nvme, &create_cq);
		if (rc != NVME_SC_INVALID_VECTOR || !io->vector)
			break;
	}
	if (rc > 0)
		return nvme_fail(nvme, -EIO, "create an I/O completion queue: status 0x%x; has "
				 "the VF been given a queue pair and an interrupt?", rc);
	if (rc)
		return rc;
	create_sq = (struct nvme_command){
		.opcode = NVME_ADMIN_CREATE_SQ,
		.prp1 = io->sq_iova,
		.cdw10 = (uint32_t)(depth - 1) << 16 | io->id,
		.cdw11 = (uint32_t)io->id << 16 | 1,	/* its completion queue, contiguous */
	};
	return admin_or_fail(nvme, &create_sq, "create an I/O submission queue");
}

/* ----------------------------------------------------------- open and close */

/* Bound and attached already: joining the container does that. */
static int open_by_group(struct nvme *nvme, const char *name, enum nvme_way way,
			 struct vcdev_error *err)
{
	int rc;

	if (way == NVME_BY_GROUP)
		rc = vcdev_ctx_open(NULL, &nvme->ctx, err);
	else
		rc = vcdev_ctx_open_container(NULL, &nvme->ctx, err);
	if (rc)
		return rc;
	return vcdev_dev_open_group(NULL, name, nvme->ctx, &nvme->dev, &nvme->ioas, err);
}

static int bind_cdev(struct nvme *nvme, struct vcdev_error *err)
{
	int rc;

	rc = vcdev_ctx_open(NULL, &nvme->ctx, err);
	if (!rc)
		rc = vcdev_dev_bind(nvme->dev, nvme->ctx, err);
	if (!rc)
		rc = vcdev_ioas_alloc(nvme->ctx, &nvme->ioas, err);
	if (!rc)
		rc = vcdev_dev_attach(nvme->dev, nvme->ioas, NULL, err);
	return rc;
}

static int open_device(struct nvme *nvme, const char *name, enum nvme_way way)
{
	struct vcdev_region bar;
	struct vcdev_error err;
	void *addr;
	int rc;

	if (way == NVME_BY_CDEV)
		rc = vcdev_dev_open(NULL, name, &nvme->dev, &err);
	else
		rc = open_by_group(nvme, name, way, &err);
	if (rc)
		return nvme_fail_lib(nvme, &err);
	if (vcdev_dev_pci(nvme->dev)->class_code != 0x010802)
		return nvme_fail(nvme, -ENODEV, "is not an NVMe controller");
	if ((way == NVME_BY_CDEV && bind_cdev(nvme, &err)) ||
	    vcdev_region_get(nvme->dev, VFIO_PCI_BAR0_REGION_INDEX, &bar, &err))
		return nvme_fail_lib(nvme, &err);
	nvme->bar_size = bar.size;
	vcdev_region_free(&bar);
	if (nvme->bar_size < NVME_DOORBELLS + 4 * 4)
		return nvme_fail(nvme, -ENODEV, "BAR 0 is too small");
	if (vcdev_region_map(nvme->dev, VFIO_PCI_BAR0_REGION_INDEX, 0, 0,
			     PROT_READ | PROT_WRITE, &addr, &err))
		return nvme_fail_lib(nvme, &err);
	nvme->bar = addr;
	return 0;
}

static int open_irqs(struct nvme *nvme)
{
	static const int kinds[] = {
		VFIO_PCI_MSIX_IRQ_INDEX, VFIO_PCI_MSI_IRQ_INDEX, VFIO_PCI_INTX_IRQ_INDEX,
	};
	struct vcdev_irq irq = { 0 };
	struct vcdev_error err;
	unsigned int i;

	for (i = 0; i < 3 && !irq.count; i++) {
		nvme->irq_index = kinds[i];
		if (vcdev_irq_get(nvme->dev, kinds[i], &irq, &err))
			return nvme_fail_lib(nvme, &err);
	}
	if (!irq.count)
		return nvme_fail(nvme, -ENODEV, "has no interrupts");
	nvme->nr_vectors = 1;
	if (nvme->irq_index == VFIO_PCI_MSIX_IRQ_INDEX && irq.count >= NVME_MAX_VECTORS)
		nvme->nr_vectors = NVME_MAX_VECTORS;
	for (i = 0; i < nvme->nr_vectors; i++) {
		nvme->eventfds[i] = eventfd(0, EFD_CLOEXEC);
		if (nvme->eventfds[i] < 0)
			return nvme_fail(nvme, -errno, "eventfd: %s", strerror(errno));
	}
	if (vcdev_irq_enable(nvme->dev, nvme->irq_index, nvme->eventfds, nvme->nr_vectors, &err))
		return nvme_fail_lib(nvme, &err);
	return 0;
}

static char *alloc_mem(void)
{
	char *mem = mmap(NULL, MEM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

void nvme_free_mem(char *mem)
{
	if (mem)
		munmap(mem, MEM_SIZE);
}

static int enable(struct nvme *nvme)
{
	struct vcdev_error err;
	int rc;

	nvme->cap = read64(nvme, NVME_CAP);
	/* QEMU's VFs read as 0 until their PF has brought them online. */
	if (!nvme->cap || nvme->cap == UINT64_MAX)
		return nvme_fail(nvme, -ENODEV, "the controller is offline; next: bring a VF "
				 "online through its PF (examples/nvme-vf-online.sh)");
	if (NVME_CAP_MPSMIN(nvme->cap) || !NVME_CAP_CSS_NVM(nvme->cap))
		return nvme_fail(nvme, -ENOTSUP, "the controller has no pages of 4 KiB or no "
				 "NVM command set (CAP 0x%" PRIx64 ")", nvme->cap);
	write32(nvme, NVME_CC, 0);
	rc = wait_ready(nvme, false);
	if (rc)
		return rc;
	if (vcdev_dev_enable(nvme->dev, true, &err))
		return nvme_fail_lib(nvme, &err);
	queue_init(nvme, &nvme->admin, 0, ADMIN_DEPTH, OFFSET_ADMIN_SQ, OFFSET_ADMIN_CQ);
	write32(nvme, NVME_AQA, (ADMIN_DEPTH - 1) << 16 | (ADMIN_DEPTH - 1));
	write64(nvme, NVME_ASQ, nvme->admin.sq_iova);
	write64(nvme, NVME_ACQ, nvme->admin.cq_iova);
	/* Entries of 2^6 and 2^4 bytes, pages of 4 KiB, NVM command set. */
	write32(nvme, NVME_CC, NVME_CC_IOSQES(6) | NVME_CC_IOCQES(4) | NVME_CC_EN);
	return wait_ready(nvme, true);
}

int nvme_open(struct nvme *nvme, const char *name, enum nvme_way way, uint32_t nsid,
	      uint64_t iova, unsigned int depth)
{
	struct vcdev_error err;
	int rc, i;

	memset(nvme, 0, sizeof(*nvme));
	nvme->irq_index = -1;
	nvme->timeout_ms = COMMAND_MS;
	nvme->iova = iova;
	for (i = 0; i < NVME_MAX_VECTORS; i++)
		nvme->eventfds[i] = -1;
	rc = open_device(nvme, name, way);
	if (rc)
		return rc;
	nvme->mem = alloc_mem();
	if (!nvme->mem)
		return nvme_fail(nvme, -ENOMEM, "out of memory");
	if (vcdev_map(nvme->ctx, nvme->ioas, nvme->mem, MEM_SIZE, iova, VCDEV_MAP_RW, &err))
		return nvme_fail_lib(nvme, &err);
	/* BARs answer only when memory is enabled; a VF's always do. */
	if (vcdev_dev_enable(nvme->dev, false, &err))
		return nvme_fail_lib(nvme, &err);
	rc = open_irqs(nvme);
	if (!rc)
		rc = enable(nvme);
	if (!rc)
		rc = identify_controller(nvme);
	if (!rc)
		rc = identify_namespace(nvme, nsid);
	if (!rc)
		rc = create_io_queue(nvme, depth);
	return rc;
}

void nvme_close(struct nvme *nvme)
{
	int i;

	if (nvme->bar) {
		/* Disabling deletes all queues; the device is reset at close as well. */
		if (nvme->cap && nvme->cap != UINT64_MAX) {
			write32(nvme, NVME_CC, 0);
			wait_ready(nvme, false);
		}
		vcdev_region_unmap((void *)nvme->bar, nvme->bar_size);
	}
	vcdev_dev_close(nvme->dev);
	vcdev_ctx_close(nvme->ctx);
	for (i = 0; i < NVME_MAX_VECTORS; i++)
		if (nvme->eventfds[i] >= 0)
			close(nvme->eventfds[i]);
	nvme_free_mem(nvme->mem);
	memset(nvme, 0, sizeof(*nvme));
}

void *nvme_data(const struct nvme *nvme)
{
	return nvme->mem + OFFSET_DATA;
}

uint64_t nvme_data_iova(const struct nvme *nvme)
{
	return nvme->iova + OFFSET_DATA;
}

/* --------------------------------------------------------------------- data */

/*
 * Name @length bytes at @iova, which starts a page: the first page in prp1, the
 * second in prp2, and if there are more, prp2 is a list of all but the first.
 */
static void set_prps(struct nvme *nvme, struct nvme_command *command, uint16_t slot,
		     uint64_t iova, uint32_t length)
{
	size_t offset = OFFSET_PRP + (size_t)slot * NVME_PAGE;
	uint64_t *list = (uint64_t *)(nvme->mem + offset);
	uint32_t pages = (length + NVME_PAGE - 1) / NVME_PAGE, i;

	command->prp1 = iova;
	if (pages == 2)
		command->prp2 = iova + NVME_PAGE;
	if (pages <= 2)
		return;
	for (i = 1; i < pages; i++)
		list[i - 1] = iova + (uint64_t)i * NVME_PAGE;
	command->prp2 = nvme->iova + offset;
}

/* Returns the status of a command, or a negative errno if nothing can be said. */
static int io_complete(struct nvme *nvme, uint64_t *busy)
{
	struct nvme_completion completion;
	int rc;

	rc = wait_completion(nvme, &nvme->io, &completion);
	if (rc)
		return rc;
	if (completion.cid >= NVME_MAX_DEPTH || !(*busy >> completion.cid & 1))
		return nvme_fail(nvme, -EPROTO, "completion of command %u, which was not given",
				 completion.cid);
	*busy &= ~(1ull << completion.cid);
	return nvme_status(&completion);
}

static int transfer(struct nvme *nvme, uint8_t opcode, uint64_t lba, uint32_t nr, size_t offset)
{
	uint32_t per_command = nvme->max_transfer / nvme->block_size;
	uint64_t iova = nvme_data_iova(nvme) + offset;
	uint64_t busy = 0;	/* a bit for each slot */
	int rc = 0, status = 0;

	if (!nr || lba >= nvme->nr_blocks || nr > nvme->nr_blocks - lba)
		return nvme_fail(nvme, -ERANGE, "%u blocks at %" PRIu64 " are not within the "
				 "%" PRIu64 " of the namespace", nr, lba, nvme->nr_blocks);
	if (offset % NVME_PAGE || offset > NVME_DATA_SIZE ||
	    nr > (NVME_DATA_SIZE - offset) / nvme->block_size)
		return nvme_fail(nvme, -EINVAL, "the data buffer is too small");
	while (nr && !status && rc >= 0) {
		uint32_t now = nr < per_command ? nr : per_command;
		uint16_t slot = __builtin_ctzll(~busy);
		struct nvme_command command = {
			.opcode = opcode,
			.cid = slot,
			.nsid = nvme->nsid,
			.cdw10 = (uint32_t)lba,
			.cdw11 = lba >> 32,
			.cdw12 = now - 1,	/* counted from 0 */
		};

		set_prps(nvme, &command, slot, iova, now * nvme->block_size);
		busy |= 1ull << slot;
		submit(nvme, &nvme->io, &command);
		lba += now;
		nr -= now;
		iova += (uint64_t)now * nvme->block_size;
		if (nvme->io.in_flight < nvme->io.depth - 1)
			continue;
		rc = io_complete(nvme, &busy);
		if (rc > 0)
			status = rc;
	}
	/* After a bad status, too: the buffer is the caller's when all is quiet. */
	while (busy && rc >= 0) {
		rc = io_complete(nvme, &busy);
		if (rc > 0)
			status = rc;
	}
	if (rc < 0)
		return rc;
	if (status)
		return nvme_fail(nvme, -EIO, "status 0x%x", status);
	return 0;
}

int nvme_read(struct nvme *nvme, uint64_t lba, uint32_t nr, size_t offset)
{
	return transfer(nvme, NVME_READ, lba, nr, offset);
}

int nvme_write(struct nvme *nvme, uint64_t lba, uint32_t nr, size_t offset)
{
	return transfer(nvme, NVME_WRITE, lba, nr, offset);
}

int nvme_read_to(struct nvme *nvme, uint64_t lba, uint64_t iova, int *status)
{
	struct nvme_command command = {
		.opcode = NVME_READ,
		.nsid = nvme->nsid,
		.prp1 = iova,
		.cdw10 = (uint32_t)lba,
		.cdw11 = lba >> 32,
	};
	uint64_t busy = 1;
	int rc;

	submit(nvme, &nvme->io, &command);
	rc = io_complete(nvme, &busy);
	*status = rc > 0 ? rc : 0;
	return rc < 0 ? rc : 0;
}

int nvme_flush(struct nvme *nvme)
{
	struct nvme_command command = { .opcode = NVME_FLUSH, .nsid = nvme->nsid };
	uint64_t busy = 1;
	int rc;

	submit(nvme, &nvme->io, &command);
	rc = io_complete(nvme, &busy);
	if (rc > 0)
		return nvme_fail(nvme, -EIO, "status 0x%x", rc);
	return rc;
}

/* ------------------------------------------------------------------ replace */

int nvme_replace_ioas(struct nvme *nvme, char **old_mem)
{
	struct vcdev_error err;
	uint32_t new_ioas, old_ioas = nvme->ioas;
	char *new_mem;
	int rc;

	if (nvme->admin.in_flight || nvme->io.in_flight)
		return nvme_fail(nvme, -EBUSY, "commands are under way");
	new_mem = alloc_mem();
	if (!new_mem)
		return nvme_fail(nvme, -ENOMEM, "out of memory");
	/* The controller goes on in the queues; their phase bits have to be there. */
	memcpy(new_mem, nvme->mem, OFFSET_IDENTIFY);
	if (vcdev_ioas_alloc(nvme->ctx, &new_ioas, &err)) {
		rc = nvme_fail_lib(nvme, &err);
		goto err_free_mem;
	}
	if (vcdev_map(nvme->ctx, new_ioas, new_mem, MEM_SIZE, nvme->iova, VCDEV_MAP_RW, &err) ||
	    vcdev_dev_attach(nvme->dev, new_ioas, NULL, &err)) {
		rc = nvme_fail_lib(nvme, &err);
		goto err_destroy_ioas;
	}
	*old_mem = nvme->mem;
	nvme->mem = new_mem;
	nvme->ioas = new_ioas;
	nvme->admin.sq = (void *)(new_mem + OFFSET_ADMIN_SQ);
	nvme->admin.cq = (void *)(new_mem + OFFSET_ADMIN_CQ);
	nvme->io.sq = (void *)(new_mem + OFFSET_IO_SQ);
	nvme->io.cq = (void *)(new_mem + OFFSET_IO_CQ);
	/* Nothing is attached to it any more; its mappings go with it. */
	if (vcdev_destroy(nvme->ctx, old_ioas, &err))
		return nvme_fail_lib(nvme, &err);
	return 0;

err_destroy_ioas:
	vcdev_destroy(nvme->ctx, new_ioas, NULL);
err_free_mem:
	nvme_free_mem(new_mem);
	return rc;
}
