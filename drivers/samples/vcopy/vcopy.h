/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vcopy, a sample driver of mediated devices: what its files know of each other.
 *
 *	main.c		the parent device, the two types, create and remove
 *	device.c	what vfio.ko asks: open, regions, ioctls
 *	engine.c	the registers, the thread that copies, user memory
 *	config.c	PCI configuration space
 *	irq.c		eventfds
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
 * @nr_ended: commands that are over, however they ended
 * @wait: @busy, @takers and the end of the thread changed
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
	bool busy, done, stop;
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

struct vcopy {
	struct vfio_device vdev;	/* first */
	struct vcopy_engine engine;
	struct vcopy_irqs irqs;
	struct vcopy_config config;
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

#endif
