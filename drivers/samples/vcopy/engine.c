// SPDX-License-Identifier: GPL-2.0
/*
 * The engine: registers, and a thread that does what is written to CMD.
 *
 * The thread reaches memory in one of two ways. A device of type vcopy-rw asks
 * vfio_dma_rw() and is done. One of type vcopy-pin pins the pages of a chunk, copies
 * and unpins them at once, and keeps only what it was told to hold. Such a driver
 * is called back when memory goes away, and has to have unpinned it when it
 * returns. Hence engine.mem, which the thread has from before it pins until it has
 * unpinned, and which dma_unmap() takes.
 *
 * But pinning can take as long as a user likes: the page may be one that a program
 * has yet to provide, maybe the very program that now waits for its unmap, its
 * close or its end. Therefore the thread can be interrupted: whoever wants
 * something of it sends it SIGKILL, on which the kernel gives up waiting for a page,
 * and vfio_pin_pages() and vfio_dma_rw() return -EINTR. The thread does not end of
 * that. It sees what is wanted, lets it happen, and tries again (after a dma_unmap()),
 * goes to the end of its command (STOP, reset, close), or puts it aside (migration).
 *
 * A command is a job: what the registers said when CMD was written, and how much of
 * it is done. It is put aside between two chunks, so the job says all there is to
 * know of it, and any engine of the same kind can go on with it.
 */
#include <linux/highmem.h>
#include <linux/iommu.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "vcopy.h"

#define HOLD_PIECE	16U	/* pages */

int vcopy_engine_init(struct vcopy *vc)
{
	struct vcopy_engine *e = &vc->engine;

	mutex_init(&e->regs);
	mutex_init(&e->mem);
	spin_lock_init(&e->thread_lock);
	init_waitqueue_head(&e->wait);
	atomic_set(&e->takers, 0);

	e->held = kcalloc(VCOPY_HOLD_MAX, sizeof(*e->held), GFP_KERNEL);
	if (!e->held)
		return -ENOMEM;
	e->chunk = kvmalloc(VCOPY_CHUNK, GFP_KERNEL);
	if (!e->chunk)
		goto err_held;
	e->buffer = vmalloc_user(VCOPY_BUFFER_SIZE);
	if (!e->buffer)
		goto err_chunk;
	return 0;

err_chunk:
	kvfree(e->chunk);
err_held:
	kfree(e->held);
	return -ENOMEM;
}

void vcopy_engine_uninit(struct vcopy *vc)
{
	vfree(vc->engine.buffer);
	kvfree(vc->engine.chunk);
	kfree(vc->engine.held);
}

/* Make the thread come back from wherever it waits for memory. */
static void thread_interrupt(struct vcopy_engine *e)
{
	spin_lock(&e->thread_lock);
	if (e->thread)
		send_sig(SIGKILL, e->thread, 1);
	spin_unlock(&e->thread_lock);
}

/*
 * Memory
 */

/* The thread's way to mem: who takes memory away goes first. */
static void mem_lock(struct vcopy_engine *e)
{
	for (;;) {
		wait_event_idle(e->wait, !atomic_read(&e->takers));
		mutex_lock(&e->mem);
		/*
		 * A taker who comes after this look interrupts the thread, so that
		 * it does not keep mem for long.
		 */
		if (!atomic_read(&e->takers))
			return;
		mutex_unlock(&e->mem);
	}
}

static void mem_unlock(struct vcopy_engine *e)
{
	mutex_unlock(&e->mem);
}

/* Everybody else's. */
static void mem_take(struct vcopy_engine *e)
{
	atomic_inc(&e->takers);
	thread_interrupt(e);
	mutex_lock(&e->mem);
}

static void mem_untake(struct vcopy_engine *e)
{
	mutex_unlock(&e->mem);
	atomic_dec(&e->takers);
	wake_up_all(&e->wait);
}

/* Is the command to end, or to be put aside? */
static bool thread_wanted_back(struct vcopy_engine *e)
{
	return READ_ONCE(e->stop) || READ_ONCE(e->frozen);
}

/* Was that -EINTR nobody's wish to have the thread back? Then it is to be done again. */
static bool interrupted_only(struct vcopy_engine *e, int rc)
{
	if (rc != -EINTR || thread_wanted_back(e))
		return false;
	flush_signals(current);
	/* It may have been set, and the signal sent, in between. */
	return !thread_wanted_back(e);
}

static void held_release(struct vcopy *vc)
{
	struct vcopy_engine *e = &vc->engine;

	lockdep_assert_held(&e->mem);
	if (e->nr_held)
		vfio_unpin_pages(&vc->vdev, e->held_iova, e->nr_held);
	e->nr_held = 0;
}

/* Some of [iova, iova + length) may be held. There need not be a thread any more. */
void vcopy_engine_dma_unmap(struct vfio_device *vdev, u64 iova, u64 length)
{
	struct vcopy *vc = to_vcopy(vdev);
	struct vcopy_engine *e = &vc->engine;
	u64 held_last;

	mem_take(e);
	held_last = e->held_iova + (u64)e->nr_held * PAGE_SIZE - 1;
	if (e->nr_held && e->held_iova <= iova + (length - 1) &&
	    iova <= held_last) {
		held_release(vc);
		e->lost = true;
	}
	mem_untake(e);
}

/* The pages of a chunk, if they are held anyway. */
static struct page **held_find(struct vcopy_engine *e, u64 iova, unsigned int nr)
{
	u64 from = iova & PAGE_MASK;
	u64 index = (from - e->held_iova) >> PAGE_SHIFT;

	lockdep_assert_held(&e->mem);
	if (from < e->held_iova || index >= e->nr_held || e->nr_held - index < nr)
		return NULL;
	return e->held + index;
}

static void copy_pages(struct page **pages, unsigned int offset, void *data,
		       unsigned int length, bool write)
{
	unsigned int part;

	for (; length; length -= part, data += part, offset = 0, pages++) {
		part = min_t(unsigned int, length, PAGE_SIZE - offset);
		if (write)
			memcpy_to_page(*pages, offset, data, part);
		else
			memcpy_from_page(data, *pages, offset, part);
	}
}

/* @length: at most a chunk */
static int mem_rw_pinned(struct vcopy *vc, u64 iova, void *data,
			 unsigned int length, bool write)
{
	struct vcopy_engine *e = &vc->engine;
	unsigned int offset = offset_in_page(iova);
	unsigned int nr = DIV_ROUND_UP(offset + length, PAGE_SIZE);
	struct page **pages;
	int rc;

	mem_lock(e);
	pages = held_find(e, iova, nr);
	if (pages) {
		copy_pages(pages, offset, data, length, write);
		mem_unlock(e);
		return 0;
	}
	rc = vfio_pin_pages(&vc->vdev, iova, nr,
			    write ? IOMMU_WRITE : IOMMU_READ, e->pages);
	if (rc > 0) {
		copy_pages(e->pages, offset, data, length, write);
		vfio_unpin_pages(&vc->vdev, iova, nr);
	}
	mem_unlock(e);
	return min(rc, 0);
}

static int mem_rw(struct vcopy *vc, u64 iova, void *data, unsigned int length,
		  bool write)
{
	int rc;

	do {
		if (vcopy_pins(vc))
			rc = mem_rw_pinned(vc, iova, data, length, write);
		else
			rc = vfio_dma_rw(&vc->vdev, iova, data, length, write);
	} while (interrupted_only(&vc->engine, rc));
	/* After the write, see logging.c. A part of it may have been done anyway. */
	if (write)
		vcopy_log_mark(vc, iova, length);
	return rc;
}

/*
 * The new range is held, or nothing is. It is pinned in pieces and let go of at
 * once: pins are counted by page.
 */
static int hold_pin(struct vcopy *vc, u64 iova, unsigned int nr)
{
	struct vcopy_engine *e = &vc->engine;
	int rc;

	lockdep_assert_held(&e->mem);
	held_release(vc);
	e->lost = false;
	e->held_iova = iova;
	while (e->nr_held < nr) {
		rc = vfio_pin_pages(&vc->vdev,
				    iova + (u64)e->nr_held * PAGE_SIZE,
				    min(nr - e->nr_held, HOLD_PIECE),
				    IOMMU_READ | IOMMU_WRITE,
				    e->held + e->nr_held);
		if (rc < 0) {
			held_release(vc);
			return rc;
		}
		e->nr_held += rc;
	}
	return 0;
}

static int mem_hold(struct vcopy *vc, u64 iova, u64 length)
{
	struct vcopy_engine *e = &vc->engine;
	unsigned int nr;
	int rc;

	nr = DIV_ROUND_UP(offset_in_page(iova) + length, PAGE_SIZE);
	do {
		mem_lock(e);
		rc = hold_pin(vc, iova & PAGE_MASK, nr);
		mem_unlock(e);
	} while (interrupted_only(e, rc));
	return rc;
}

/*
 * Commands
 */

struct command {
	u32 code;
	bool irq, repeat;
	struct vcopy_job job;
};

static u32 command_check(struct vcopy *vc, const struct command *c)
{
	u64 at, room = VCOPY_LEN_MAX;

	switch (c->code) {
	case VCOPY_CMD_COPY:
		break;
	case VCOPY_CMD_LOAD:
	case VCOPY_CMD_STORE:
		at = c->code == VCOPY_CMD_LOAD ? c->job.dst : c->job.src;
		room = at < VCOPY_BUFFER_SIZE ? VCOPY_BUFFER_SIZE - at : 0;
		break;
	case VCOPY_CMD_HOLD:
		if (!vcopy_pins(vc))
			return VCOPY_ERROR_COMMAND;
		room = VCOPY_HOLD_MAX * PAGE_SIZE - offset_in_page(c->job.src);
		break;
	case VCOPY_CMD_RELEASE:
		return vcopy_pins(vc) ? VCOPY_ERROR_NONE : VCOPY_ERROR_COMMAND;
	default:
		return VCOPY_ERROR_COMMAND;
	}
	if (!c->job.len || c->job.len > room)
		return VCOPY_ERROR_COMMAND;
	if (!vcopy_config_is_master(vc))
		return VCOPY_ERROR_MASTER;
	return VCOPY_ERROR_NONE;
}

static int copy_chunk(struct vcopy *vc, const struct command *c,
		      unsigned int length)
{
	struct vcopy_engine *e = &vc->engine;
	u64 src = c->job.src + c->job.done, dst = c->job.dst + c->job.done;
	int rc;

	switch (c->code) {
	case VCOPY_CMD_LOAD:
		return mem_rw(vc, src, e->buffer + dst, length, false);
	case VCOPY_CMD_STORE:
		return mem_rw(vc, dst, e->buffer + src, length, true);
	default:
		rc = mem_rw(vc, src, e->chunk, length, false);
		return rc ?: mem_rw(vc, dst, e->chunk, length, true);
	}
}

static int copy(struct vcopy *vc, struct command *c)
{
	struct vcopy_engine *e = &vc->engine;
	unsigned int length;
	int rc;

	while (c->job.done < c->job.len) {
		if (thread_wanted_back(e))
			return -EINTR;
		length = min_t(u64, c->job.len - c->job.done, VCOPY_CHUNK);
		rc = copy_chunk(vc, c, length);
		if (rc)
			return rc;
		c->job.done += length;
		mutex_lock(&e->regs);
		e->job.done = c->job.done;
		e->moved += length;
		mutex_unlock(&e->regs);
		cond_resched();
	}
	return 0;
}

static int command_run_once(struct vcopy *vc, struct command *c)
{
	struct vcopy_engine *e = &vc->engine;

	if (thread_wanted_back(e))
		return -EINTR;

	switch (c->code) {
	case VCOPY_CMD_HOLD:
		return mem_hold(vc, c->job.src, c->job.len);
	case VCOPY_CMD_RELEASE:
		mem_lock(e);
		held_release(vc);
		mem_unlock(e);
		return 0;
	default:
		return copy(vc, c);
	}
}

static u32 error_of(int rc)
{
	switch (rc) {
	case 0:
		return VCOPY_ERROR_NONE;
	case -EINVAL:
		return VCOPY_ERROR_ADDRESS;
	case -EPERM:
		return VCOPY_ERROR_PERMISSION;
	case -EINTR:
		return VCOPY_ERROR_STOPPED;
	default:
		return VCOPY_ERROR_MEMORY;
	}
}

/* Until it is over or, which is no end, to be put aside. */
static void command_run(struct vcopy *vc)
{
	struct vcopy_engine *e = &vc->engine;
	bool again, aside;
	struct command c;
	u32 error;
	int rc;

	mutex_lock(&e->regs);
	c = (struct command) {
		.code = e->cmd & VCOPY_CMD_MASK,
		.irq = e->cmd & VCOPY_CMD_IRQ,
		.repeat = e->cmd & VCOPY_CMD_REPEAT,
		.job = e->job,
	};
	mutex_unlock(&e->regs);

	do {
		rc = 0;
		error = command_check(vc, &c);
		if (!error) {
			rc = command_run_once(vc, &c);
			error = error_of(rc);
		}

		mutex_lock(&e->regs);
		aside = rc == -EINTR && !e->stop;
		if (!error)
			e->rounds++;
		if (!error && c.repeat && e->stop)
			error = VCOPY_ERROR_STOPPED;
		again = !error && c.repeat;
		if (again) {
			c.job.done = 0;
			e->job.done = 0;
		} else {
			/* With regs held: no stop for this one comes after it. */
			flush_signals(current);
		}
		if (!again && !aside) {
			e->stop = false;
			e->error = error;
			e->done = !error;
			e->busy = false;
			e->nr_ended++;
		}
		mutex_unlock(&e->regs);
		cond_resched();
	} while (again);

	wake_up_all(&e->wait);
	if (c.irq && !aside)
		vcopy_irq_fire(vc);
}

/* An engine that is frozen still ends its command, which takes no memory. */
static bool thread_has_command(struct vcopy_engine *e)
{
	return READ_ONCE(e->busy) && (READ_ONCE(e->stop) || !READ_ONCE(e->frozen));
}

static int vcopy_thread(void *data)
{
	struct vcopy *vc = data;
	struct vcopy_engine *e = &vc->engine;
	bool active;

	allow_signal(SIGKILL);
	for (;;) {
		wait_event_idle(e->wait,
				thread_has_command(e) || kthread_should_stop());
		mutex_lock(&e->regs);
		active = thread_has_command(e);
		e->active = active;
		mutex_unlock(&e->regs);
		if (active)
			command_run(vc);
		else if (kthread_should_stop())
			return 0;

		WRITE_ONCE(e->active, false);
		wake_up_all(&e->wait);
	}
}

int vcopy_engine_start(struct vcopy *vc)
{
	struct vcopy_engine *e = &vc->engine;
	struct task_struct *thread;

	e->frozen = false;
	thread = kthread_create(vcopy_thread, vc, "vcopy-%s",
				dev_name(&vc->vdev.device));
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	spin_lock(&e->thread_lock);
	e->thread = thread;
	spin_unlock(&e->thread_lock);
	wake_up_process(thread);
	return 0;
}

static void command_stop(struct vcopy_engine *e)
{
	lockdep_assert_held(&e->regs);
	if (!e->busy)
		return;
	WRITE_ONCE(e->stop, true);
	thread_interrupt(e);
	wake_up_all(&e->wait);
}

/*
 * End the command at work, if there is one, and wait until it is over. Another may
 * have been started meanwhile.
 */
static void engine_quiesce(struct vcopy_engine *e)
{
	unsigned int nr_ended;

	mutex_lock(&e->regs);
	nr_ended = e->nr_ended;
	command_stop(e);
	mutex_unlock(&e->regs);
	wait_event(e->wait, !READ_ONCE(e->busy) ||
			    READ_ONCE(e->nr_ended) != nr_ended);
}

/* The device is being closed: nobody writes to registers any more. */
void vcopy_engine_stop(struct vcopy *vc)
{
	struct vcopy_engine *e = &vc->engine;
	struct task_struct *thread = e->thread;

	engine_quiesce(e);
	spin_lock(&e->thread_lock);
	e->thread = NULL;
	spin_unlock(&e->thread_lock);
	kthread_stop(thread);
	vcopy_engine_reset(vc);
}

void vcopy_engine_reset(struct vcopy *vc)
{
	struct vcopy_engine *e = &vc->engine;

	engine_quiesce(e);
	mem_take(e);
	held_release(vc);
	e->lost = false;
	mem_untake(e);

	mutex_lock(&e->regs);
	e->src = 0;
	e->dst = 0;
	e->len = 0;
	e->moved = 0;
	e->rounds = 0;
	/* Somebody may have been quick and started the next one. */
	if (!e->busy) {
		e->cmd = 0;
		e->error = VCOPY_ERROR_NONE;
		e->done = false;
	}
	mutex_unlock(&e->regs);
}

/*
 * Migration
 */

/*
 * When it returns, the thread has put its command aside or ended it, told the user
 * of that, and begins nothing. Commands may still be written.
 */
void vcopy_engine_freeze(struct vcopy *vc)
{
	struct vcopy_engine *e = &vc->engine;

	mutex_lock(&e->regs);
	WRITE_ONCE(e->frozen, true);
	if (e->active)
		thread_interrupt(e);
	mutex_unlock(&e->regs);
	wait_event(e->wait, !READ_ONCE(e->active));
}

void vcopy_engine_thaw(struct vcopy *vc)
{
	WRITE_ONCE(vc->engine.frozen, false);
	wake_up_all(&vc->engine.wait);
}

/* The engine is frozen. Held memory belongs to this machine: it is lost on the way. */
void vcopy_engine_save(struct vcopy *vc, struct vcopy_image *image)
{
	struct vcopy_engine *e = &vc->engine;
	u32 flags = 0;

	mutex_lock(&e->regs);
	image->src = cpu_to_le64(e->src);
	image->dst = cpu_to_le64(e->dst);
	image->len = cpu_to_le64(e->len);
	image->moved = cpu_to_le64(e->moved);
	image->job_src = cpu_to_le64(e->job.src);
	image->job_dst = cpu_to_le64(e->job.dst);
	image->job_len = cpu_to_le64(e->job.len);
	image->job_done = cpu_to_le64(e->job.done);
	image->cmd = cpu_to_le32(e->cmd);
	image->error = cpu_to_le32(e->error);
	image->rounds = cpu_to_le32(e->rounds);
	if (e->busy)
		flags |= VCOPY_IMAGE_BUSY;
	if (e->busy && e->stop)
		flags |= VCOPY_IMAGE_STOP;
	if (e->done)
		flags |= VCOPY_IMAGE_DONE;
	if (READ_ONCE(e->lost) || READ_ONCE(e->nr_held))
		flags |= VCOPY_IMAGE_LOST;
	image->flags = cpu_to_le32(flags);
	memcpy(image->buffer, e->buffer, VCOPY_BUFFER_SIZE);
	mutex_unlock(&e->regs);
}

/* The engine is frozen; @image has been looked at by vcopy_image_check(). */
void vcopy_engine_load(struct vcopy *vc, const struct vcopy_image *image)
{
	struct vcopy_engine *e = &vc->engine;
	u32 flags = le32_to_cpu(image->flags);

	vcopy_engine_reset(vc);
	mutex_lock(&e->mem);
	e->lost = flags & VCOPY_IMAGE_LOST;
	mutex_unlock(&e->mem);

	mutex_lock(&e->regs);
	e->src = le64_to_cpu(image->src);
	e->dst = le64_to_cpu(image->dst);
	e->len = le64_to_cpu(image->len);
	e->moved = le64_to_cpu(image->moved);
	e->job.src = le64_to_cpu(image->job_src);
	e->job.dst = le64_to_cpu(image->job_dst);
	e->job.len = le64_to_cpu(image->job_len);
	e->job.done = le64_to_cpu(image->job_done);
	e->cmd = le32_to_cpu(image->cmd);
	e->error = le32_to_cpu(image->error);
	e->rounds = le32_to_cpu(image->rounds);
	e->done = flags & VCOPY_IMAGE_DONE;
	e->stop = flags & VCOPY_IMAGE_STOP;
	memcpy(e->buffer, image->buffer, VCOPY_BUFFER_SIZE);
	WRITE_ONCE(e->busy, flags & VCOPY_IMAGE_BUSY);
	mutex_unlock(&e->regs);
	wake_up_all(&e->wait);
}

/*
 * Registers. One of 8 bytes can be read and written by halves.
 */

static u32 status_read(struct vcopy_engine *e)
{
	u32 status = 0;

	if (e->busy)
		status |= VCOPY_BUSY;
	else if (e->done)
		status |= VCOPY_DONE;
	else if (e->error)
		status |= VCOPY_FAILED;
	/* Of mem, which may be held for long; a look is enough. */
	if (READ_ONCE(e->lost))
		status |= VCOPY_LOST;
	return status;
}

/* The aligned 8 bytes at @reg. */
static u64 wide_read(struct vcopy *vc, u32 reg)
{
	struct vcopy_engine *e = &vc->engine;

	lockdep_assert_held(&e->regs);
	switch (reg) {
	case VCOPY_ID:
		return VCOPY_MAGIC |
		       (u64)(vcopy_pins(vc) ? VCOPY_CAP_PINS : 0) << 32;
	case VCOPY_STATUS:
		return status_read(e) | (u64)e->error << 32;
	case VCOPY_SRC:
		return e->src;
	case VCOPY_DST:
		return e->dst;
	case VCOPY_LEN:
		return e->len;
	case VCOPY_CMD:
		return e->cmd | (u64)e->rounds << 32;
	case VCOPY_MOVED:
		return e->moved;
	case VCOPY_HELD:
		return READ_ONCE(e->nr_held) | (u64)vc->for_vm << 32;
	default:
		return 0;
	}
}

/* @reg is a multiple of 4 (or, for both halves at once, of 8). */
u64 vcopy_reg_read(struct vcopy *vc, u32 reg)
{
	u64 value;

	mutex_lock(&vc->engine.regs);
	value = wide_read(vc, round_down(reg, 8));
	mutex_unlock(&vc->engine.regs);
	return reg % 8 ? value >> 32 : value;
}

static void command_write(struct vcopy_engine *e, u32 cmd)
{
	lockdep_assert_held(&e->regs);
	if ((cmd & VCOPY_CMD_MASK) == VCOPY_CMD_STOP) {
		command_stop(e);
		return;
	}
	if (e->busy)
		return;
	e->cmd = cmd;
	e->job = (struct vcopy_job) { .src = e->src, .dst = e->dst, .len = e->len };
	e->moved = 0;
	e->error = VCOPY_ERROR_NONE;
	e->done = false;
	e->stop = false;
	WRITE_ONCE(e->busy, true);
	wake_up_all(&e->wait);
}

static void half_write(u64 *reg, bool high, u32 value)
{
	if (high)
		*reg = (*reg & 0xffffffff) | (u64)value << 32;
	else
		*reg = (*reg & ~0xffffffffULL) | value;
}

void vcopy_reg_write(struct vcopy *vc, u32 reg, u64 value, bool is_wide)
{
	struct vcopy_engine *e = &vc->engine;
	u64 *wide = NULL;

	mutex_lock(&e->regs);
	switch (round_down(reg, 8)) {
	case VCOPY_SRC:
		wide = &e->src;
		break;
	case VCOPY_DST:
		wide = &e->dst;
		break;
	case VCOPY_LEN:
		wide = &e->len;
		break;
	case VCOPY_CMD:
		if (reg == VCOPY_CMD)
			command_write(e, value);
		break;
	}
	if (wide && is_wide)
		*wide = value;
	else if (wide)
		half_write(wide, reg % 8, value);
	mutex_unlock(&e->regs);
}
