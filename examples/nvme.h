/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small NVMe driver for userspace: registers and commands of NVM Express 1.4
 * as far as they are used, and the interface of nvme-driver.c.
 *
 * Model: a controller has queue pairs. Pair 0 takes admin commands, pair 1 reads
 * and writes. All memory that the controller sees, queues and data, lies in one
 * block that is mapped at one IOVA; the address that a command carries is this
 * IOVA plus the offset in the block. So another IOAS can be put under the
 * controller, with other memory at the same IOVA (nvme_replace_ioas()).
 *
 * One thread. Functions return 0 or a negative errno and leave the reason in
 * nvme->reason; nothing here prints.
 */
#ifndef EXAMPLES_NVME_H
#define EXAMPLES_NVME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vfio-cdev.h"

/* ---------------------------------------------------------------- registers */

#define NVME_CAP	0x00	/* 64 bits */
#define NVME_VS		0x08
#define NVME_CC		0x14
#define NVME_CSTS	0x1c
#define NVME_AQA	0x24
#define NVME_ASQ	0x28	/* 64 bits */
#define NVME_ACQ	0x30	/* 64 bits */
#define NVME_DOORBELLS	0x1000

#define NVME_CAP_MQES(cap)	((uint32_t)(cap) & 0xffff)		/* from 0 */
#define NVME_CAP_TO(cap)	((uint32_t)((cap) >> 24) & 0xff)	/* 500 ms */
#define NVME_CAP_DSTRD(cap)	((uint32_t)((cap) >> 32) & 0xf)
#define NVME_CAP_CSS_NVM(cap)	((uint32_t)((cap) >> 37) & 1)
#define NVME_CAP_MPSMIN(cap)	((uint32_t)((cap) >> 48) & 0xf)

#define NVME_CC_EN		(1 << 0)
#define NVME_CC_IOSQES(log2)	((log2) << 16)
#define NVME_CC_IOCQES(log2)	((log2) << 20)

#define NVME_CSTS_RDY		(1 << 0)
#define NVME_CSTS_CFS		(1 << 1)

/* ----------------------------------------------------------------- commands */

enum {
	NVME_ADMIN_DELETE_SQ = 0x00,
	NVME_ADMIN_CREATE_SQ = 0x01,
	NVME_ADMIN_DELETE_CQ = 0x04,
	NVME_ADMIN_CREATE_CQ = 0x05,
	NVME_ADMIN_IDENTIFY = 0x06,
	NVME_ADMIN_SET_FEATURES = 0x09,
};

enum {
	NVME_FLUSH = 0x00,
	NVME_WRITE = 0x01,
	NVME_READ = 0x02,
};

enum {
	NVME_IDENTIFY_NS = 0x00,
	NVME_IDENTIFY_CTRL = 0x01,
};

#define NVME_FEATURE_NR_QUEUES	0x07

/* Status type and code, as nvme_status() gives them. */
#define NVME_SC_INVALID_VECTOR	0x108

/* A submission queue entry. Fields are little endian, as on x86. */
struct nvme_command {
	uint8_t opcode;
	uint8_t flags;
	uint16_t cid;
	uint32_t nsid;
	uint64_t reserved;
	uint64_t metadata;
	uint64_t prp1, prp2;
	uint32_t cdw10, cdw11, cdw12, cdw13, cdw14, cdw15;
};

/* A completion queue entry. Bit 0 of @status is the phase. */
struct nvme_completion {
	uint32_t result;
	uint32_t reserved;
	uint16_t sq_head;
	uint16_t sq_id;
	uint16_t cid;
	uint16_t status;
};

/* -------------------------------------------------------------- the driver */

#define NVME_PAGE		4096
#define NVME_MAX_DEPTH		64	/* both queues of a pair fit in a page each */
#define NVME_DATA_SIZE		(1u << 20)

/**
 * struct nvme_queue - a submission queue and its completion queue
 * @id: of both
 * @depth: number of entries, 2 or more; depth - 1 commands can be under way
 * @sq: submission queue
 * @cq: completion queue
 * @sq_iova: IOVA of @sq
 * @cq_iova: IOVA of @cq
 * @sq_tail: next entry to fill
 * @cq_head: next entry to look at
 * @phase: value of the phase bit in a new entry at @cq_head
 * @in_flight: number of commands under way
 * @vector: interrupt vector of @cq
 */
struct nvme_queue {
	uint16_t id, depth;
	volatile struct nvme_command *sq;
	volatile struct nvme_completion *cq;
	uint64_t sq_iova, cq_iova;
	uint16_t sq_tail, cq_head, phase, in_flight;
	unsigned int vector;
};

#define NVME_MAX_VECTORS 2

struct nvme {
	struct vcdev_ctx *ctx;
	struct vcdev_dev *dev;
	uint32_t ioas;
	volatile char *bar;
	uint64_t bar_size;
	uint64_t cap;
	int irq_index;			/* MSI-X, MSI or INTx of VFIO; -1 before */
	unsigned int nr_vectors;
	int eventfds[NVME_MAX_VECTORS];
	uint64_t interrupts;		/* events that eventfds have signalled */
	char *mem;			/* queues, then data */
	uint64_t iova;			/* of mem */
	struct nvme_queue admin, io;
	uint32_t nsid;
	uint64_t nr_blocks;
	uint32_t block_size;
	uint32_t max_transfer;		/* bytes in one command */
	char model[41], serial[21], firmware[9];
	int timeout_ms;			/* for a command */
	char reason[640];
};

/* Where the data buffer is, in memory and for the controller. */
void *nvme_data(const struct nvme *nvme);
uint64_t nvme_data_iova(const struct nvme *nvme);

/* The ways to a device: its own file, or its group with one of two containers */
enum nvme_way {
	NVME_BY_CDEV,
	NVME_BY_GROUP,		/* /dev/iommu is the container */
	NVME_BY_CONTAINER,	/* /dev/vfio/vfio is */
};

/*
 * Open the controller @name, bring it up, and make an I/O queue pair of @depth
 * (at most NVME_MAX_DEPTH, less if the controller has less). All memory is
 * mapped at @iova. On failure give it to nvme_close(), too, after having looked
 * at the reason.
 */
int nvme_open(struct nvme *nvme, const char *name, enum nvme_way way, uint32_t nsid,
	      uint64_t iova, unsigned int depth);
void nvme_close(struct nvme *nvme);

/*
 * Move @nr blocks from @lba on between the namespace and the data buffer at
 * @offset (whole pages). Cut into commands of nvme->max_transfer bytes, as many
 * at a time as the queue takes.
 */
int nvme_read(struct nvme *nvme, uint64_t lba, uint32_t nr, size_t offset);
int nvme_write(struct nvme *nvme, uint64_t lba, uint32_t nr, size_t offset);
int nvme_flush(struct nvme *nvme);

/*
 * Have the controller write one block to @iova, wherever that is. A status is no
 * failure here: *@status has it, 0 if the controller was content.
 */
int nvme_read_to(struct nvme *nvme, uint64_t lba, uint64_t iova, int *status);

/* See to it that nvme->interrupts is not 0, and wait for one if need be. */
int nvme_expect_interrupt(struct nvme *nvme);

/*
 * Put another IOAS, with other memory at the same IOVA, under the controller
 * between two commands. The queues are copied, the data buffer is not: the new
 * one is empty. *@old_mem is the old memory, which the caller looks at and then
 * gives to nvme_free_mem().
 */
int nvme_replace_ioas(struct nvme *nvme, char **old_mem);
void nvme_free_mem(char *mem);

#endif
