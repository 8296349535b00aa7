/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vcopy, a sample driver of mediated devices: what its files know of each other.
 *
 *	main.c		the parent device, the two types, create and remove
 *	device.c	what vfio.ko asks: open, regions, ioctls
 *	engine.c	the registers, the thread that copies, user memory
 *	config.c	PCI configuration space
 *	irq.c		eventfds
 *	migration.c	the states, and the device as a stream of bytes
 *	logging.c	which memory it has written to
 *
 * Only the interface of the stock <linux/vfio.h> and <linux/mdev.h> is used: the
 * module also runs on the distribution's vfio.ko.
 */
#ifndef VCOPY_H
#define VCOPY_H

#include <linux/atomic.h>
#include <linux/eventfd.h>
#include <linux/mdev.h>
#include <linux/mutex.h>
#include <linux/pci_regs.h>
#include <linux/sizes.h>
#include <linux/spinlock.h>
#include <linux/vfio.h>
#include <linux/wait.h>

#include "vcopy-regs.h"

/* A command looks at so much memory at a time. */
#define VCOPY_CHUNK		SZ_64K
#define VCOPY_CHUNK_PAGES	(VCOPY_CHUNK / PAGE_SIZE + 1)

/**
 * struct vcopy_job - the command at work
 * @src: as the register was when it began
 * @dst: the same
 * @len: the same
 * @done: bytes of this round
 */
struct vcopy_job {
	u64 src, dst, len, done;
};

/**
 * struct vcopy_engine - the registers, and who acts on them
 * @regs: protects what follows, up to @wait. Never held while memory is touched
 * @src: register
 * @dst: register
 * @len: register
 * @moved: register
 * @cmd: register; the command at work
 * @error: register
 * @rounds: register
 * @busy: a command is at work
 * @done: the last one ended well
 * @stop: it is to end
 * @frozen: it is to be put aside, and no other is begun
 * @active: the thread is at a command. Cleared without @regs
 * @job: what @cmd is about
 * @nr_ended: commands that are over, however they ended
 * @wait: @busy, @active, @takers and the end of the thread changed
 * @thread_lock: @thread
 * @thread: acts on commands, from open_device() to close_device()
 * @mem: held from before memory is pinned until it is let go of, or is on record
 *	as held. Protects what follows
 * @takers: who waits for @mem to take memory away
 * @held_iova: page
 * @nr_held: pages
 * @held: VCOPY_HOLD_MAX pages
 * @lost: held memory was taken away
 * @pages: pages of a chunk; the thread's own
 * @chunk: VCOPY_CHUNK bytes; the thread's own
 * @buffer: BAR 2
 */
struct vcopy_engine {
	struct mutex regs;	/* see above */
	u64 src, dst, len, moved;
	u32 cmd, error, rounds;
	bool busy, done, stop, frozen, active;
	struct vcopy_job job;
	unsigned int nr_ended;

	wait_queue_head_t wait;
	spinlock_t thread_lock;	/* thread */
	struct task_struct *thread;

	struct mutex mem;	/* memory that is pinned */
	atomic_t takers;
	u64 held_iova;
	unsigned int nr_held;
	struct page **held;
	bool lost;

	struct page *pages[VCOPY_CHUNK_PAGES];
	void *chunk;
	void *buffer;
};

/**
 * struct vcopy_irqs - where interrupts go
 * @lock: protects the others
 * @msi: the engine's, or NULL
 * @request: tells the user that the device is wanted back, or NULL
 */
struct vcopy_irqs {
	struct mutex lock;	/* see above */
	struct eventfd_ctx *msi;
	struct eventfd_ctx *request;
};

/**
 * struct vcopy_config - configuration space
 * @lock: protects @bytes
 * @bytes: contents, little endian
 */
struct vcopy_config {
	struct mutex lock;	/* see above */
	u8 bytes[PCI_CFG_SPACE_SIZE];
};

/**
 * struct vcopy_image - the device as a stream of bytes, little endian
 * @magic: VCOPY_IMAGE_MAGIC
 * @version: VCOPY_IMAGE_VERSION
 * @caps: of the device, a register: another one cannot go on with it
 * @crc: of all that follows
 * @src: register, and so on: see struct vcopy_engine
 * @flags: VCOPY_IMAGE_*
 * @config: configuration space
 * @buffer: BAR 2
 */
struct vcopy_image {
	__le32 magic, version, caps, crc;
	__le64 src, dst, len, moved;
	__le64 job_src, job_dst, job_len, job_done;
	__le32 cmd, error, rounds, flags;
	u8 config[PCI_CFG_SPACE_SIZE];
	u8 buffer[VCOPY_BUFFER_SIZE];
};

#define VCOPY_IMAGE_MAGIC	0x474d4956	/* "VIMG" */
#define VCOPY_IMAGE_VERSION	1
#define VCOPY_IMAGE_BUSY	(1 << 0)
#define VCOPY_IMAGE_STOP	(1 << 1)
#define VCOPY_IMAGE_DONE	(1 << 2)
#define VCOPY_IMAGE_LOST	(1 << 3)

/**
 * struct vcopy_migration - which state the device is in
 * @lock: protects the others. Taken before all other locks of the device
 * @state: of VFIO
 * @file: the data stream of this state, or NULL; a reference
 */
struct vcopy_migration {
	struct mutex lock;	/* see above */
	enum vfio_device_mig_state state;
	struct file *file;
};

/**
 * struct vcopy_log - which memory was written to
 * @lock: protects the others. Taken after all other locks of the device
 * @shift: log2 of the size of a page of the log
 * @nr_ranges: 0: nothing is logged
 * @ranges: what is looked at
 */
struct vcopy_log {
	struct mutex lock;	/* see above */
	unsigned int shift;
	unsigned int nr_ranges;
	struct vcopy_log_range *ranges;
};

struct vcopy {
	struct vfio_device vdev;	/* first */
	struct vcopy_engine engine;
	struct vcopy_irqs irqs;
	struct vcopy_config config;
	struct vcopy_migration migration;
	struct vcopy_log log;
	bool for_vm;			/* since open */
};

static inline struct vcopy *to_vcopy(struct vfio_device *vdev)
{
	return container_of(vdev, struct vcopy, vdev);
}

/* A device that pins is told when memory goes away; the other copies in and out. */
static inline bool vcopy_pins(const struct vcopy *vc)
{
	return vc->vdev.ops->dma_unmap;
}

/* device.c */
extern const struct vfio_device_ops vcopy_pin_ops, vcopy_rw_ops;

/* engine.c */
int vcopy_engine_init(struct vcopy *vc);
void vcopy_engine_uninit(struct vcopy *vc);
int vcopy_engine_start(struct vcopy *vc);
void vcopy_engine_stop(struct vcopy *vc);
void vcopy_engine_reset(struct vcopy *vc);
void vcopy_engine_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length);
void vcopy_engine_freeze(struct vcopy *vc);
void vcopy_engine_thaw(struct vcopy *vc);
void vcopy_engine_save(struct vcopy *vc, struct vcopy_image *image);
void vcopy_engine_load(struct vcopy *vc, const struct vcopy_image *image);
u64 vcopy_reg_read(struct vcopy *vc, u32 reg);
void vcopy_reg_write(struct vcopy *vc, u32 reg, u64 value, bool is_wide);

/* config.c */
void vcopy_config_reset(struct vcopy *vc);
void vcopy_config_read(struct vcopy *vc, u32 at, void *data, u32 count);
void vcopy_config_write(struct vcopy *vc, u32 at, const void *data, u32 count);
bool vcopy_config_is_master(struct vcopy *vc);

/* irq.c */
void vcopy_irqs_init(struct vcopy *vc);
void vcopy_irqs_clear(struct vcopy *vc);
void vcopy_irq_fire(struct vcopy *vc);
bool vcopy_irq_request(struct vcopy *vc);
u32 vcopy_irq_count(u32 index);
long vcopy_irq_set(struct vcopy *vc, const struct vfio_irq_set *set,
		   const void *data);

/* migration.c */
void vcopy_migration_init(struct vcopy *vc);
void vcopy_migration_reset(struct vcopy *vc);

/* logging.c */
void vcopy_log_init(struct vcopy *vc);
void vcopy_log_clear(struct vcopy *vc);
void vcopy_log_mark(struct vcopy *vc, u64 iova, u64 length);

#endif
