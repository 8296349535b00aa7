/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pinned memory: a span of a process's memory, who needs which of its pages,
 * and where those pages are.
 *
 * A page is pinned while at least one consumer covers it, exactly once, however
 * many address spaces and page tables it is in. Where the pages are is kept as
 * physical runs (runs.h), so that nothing has ever to be read back from a page
 * table.
 *
 * Most consumers need the whole span: those are only counted. Others bring a node
 * with their range of pages.
 *
 * Adding a consumer pins what nobody has pinned yet. It may sleep on user memory
 * for as long as userspace likes; one at a time does so for one span
 * (pinned.filling, waited for killably). Removing a consumer unpins what nobody
 * else covers; it never allocates, never fails and never waits for an addition:
 * the new consumer is in the tree before its first page is looked at, so what it
 * counts on stays.
 */
#ifndef IOMMUFD_PINNED_H
#define IOMMUFD_PINNED_H

#include <linux/interval_tree.h>
#include <linux/mutex.h>
#include <linux/refcount.h>

#include "runs.h"

struct iommufd_ctx;
struct mm_struct;
struct pin_owner;
struct seq_file;

struct pinned {
	refcount_t users;		/* one for each area */
	bool writable;			/* by devices */
	u8 filling;			/* somebody adds a consumer */
	/* These under a lock of the context, see span_lock(). */
	unsigned int nr_whole;		/* consumers of the whole span */
	struct rb_root_cached parts;	/* the others; page indexes */
	struct runs runs;

	struct pin_owner *owner;	/* whose memory, and who is charged */
	struct file *file;		/* a reference; NULL: memory of owner */
	unsigned long uptr;		/* of page 0, or offset in the file */
	unsigned long nr_pages;
};

/*
 * Gets the pages of a consumer, in order and run by run, to map them.
 *
 * take: the pages from @index on are @runs, @nr entries without a hole. Called
 *	without locks of the span. An errno ends the walk.
 * undo: the walk failed, by take() or otherwise, and what take() got is about
 *	to be unpinned. Also called when take() never was.
 */
struct pin_batch;
struct pinned_sink {
	int (*take)(struct pinned_sink *sink, unsigned long index,
		    const struct run *runs, unsigned int nr,
		    struct pin_batch *scratch);
	void (*undo)(struct pinned_sink *sink);
};

/* Both of these: @file or, without one, memory. */
struct pinned *pinned_alloc_from(struct iommufd_ctx *ictx, struct file *file,
				 unsigned long start, unsigned long length,
				 bool writable);

/**
 * pinned_alloc - describe a span of the caller's memory; pins nothing
 * @ictx: context
 * @uptr: user address, any alignment
 * @length: bytes, not 0
 * @writable: will devices write?
 *
 * Return: the span with one reference, or ERR_PTR() of -EOVERFLOW, -ENOMEM.
 */
static inline struct pinned *
pinned_alloc(struct iommufd_ctx *ictx, unsigned long uptr, unsigned long length,
	     bool writable)
{
	return pinned_alloc_from(ictx, NULL, uptr, length, writable);
}

/**
 * pinned_alloc_file - describe a span of a file; pins nothing
 * @ictx: context
 * @file: a memfd, or any file of tmpfs or hugetlbfs; a reference is taken
 * @start: byte in the file, any alignment
 * @length: bytes, not 0
 * @writable: will devices write?
 *
 * The file is the source, whoever pins: the pages are the file's at that time.
 *
 * Return: as pinned_alloc(), and -EINVAL for another file, -EACCES when it is
 * not open for what devices will do.
 */
struct pinned *pinned_alloc_file(struct iommufd_ctx *ictx, struct file *file,
				 unsigned long start, unsigned long length,
				 bool writable);

static inline struct pinned *pinned_get(struct pinned *pinned)
{
	refcount_inc(&pinned->users);
	return pinned;
}

void pinned_put(struct pinned *pinned);

/*
 * Memory behind the span for whoever made it, as much as pinned_context_init() was
 * told. It goes with the span: what is used together is one allocation.
 */
static inline void *pinned_room(struct pinned *pinned)
{
	return pinned + 1;
}

/**
 * pinned_add - pin the pages of one more consumer
 * @pinned: span
 * @part: start and last are page indexes; in the tree on success. NULL: all
 * @sink: gets every page of the range, as soon as it is pinned
 *
 * Return: 0; or, with nothing changed, -EFAULT (no such memory, or not to be
 * written), -ENOMEM (no memory, or over the limit), -EINTR (killed), what else
 * the pin says, or what the sink said.
 */
int pinned_add(struct pinned *pinned, struct interval_tree_node *part,
	       struct pinned_sink *sink);

/*
 * The same for the first consumer, of all, of a span of which nobody else can add
 * one yet: there is nothing to look at.
 */
int pinned_add_new(struct pinned *pinned, struct pinned_sink *sink);

/*
 * The same for a span of one page, without a sink: its PFN, or an errno as of
 * pinned_add(). pinned_remove() takes it back.
 */
long pinned_add_page(struct pinned *pinned);

/* Hand the pages of a consumer, all there, to one more sink. */
int pinned_walk(struct pinned *pinned, struct interval_tree_node *part,
		struct pinned_sink *sink);

/* The consumer leaves, and with it the pages that nobody else needs. */
void pinned_remove(struct pinned *pinned, struct interval_tree_node *part);

/*
 * Has an area that has left its address space the span to itself? Then nobody can
 * get at the span any more, and no lock is needed.
 */
static inline bool pinned_is_sole(const struct pinned *pinned)
{
	/* Pairs with the release in the refcount_dec_and_test() of the others. */
	return smp_load_acquire(&pinned->users.refs.counter) == 1;
}

/* The only consumer, if there is one, and the only reference, go. */
void pinned_end(struct pinned *pinned);

/**
 * pinned_borrow - a page of the span, to copy to or from
 * @pinned: span
 * @index: page in the span
 * @write: it will be written
 * @is_pinned: for pinned_return()
 *
 * The page that is pinned already, also when the process is gone; else it is
 * looked up in its memory and pinned until pinned_return().
 *
 * Return: the page, or ERR_PTR() of -EFAULT, -EPERM, -EINTR, -ENOMEM.
 */
struct page *pinned_borrow(struct pinned *pinned, unsigned long index,
			   bool write, bool *is_pinned);

/* @dirty: it was written. */
void pinned_return(struct page *page, bool is_pinned, bool dirty);

/* How much of the span is pinned: as it was just now. */
enum pinned_extent {
	PINNED_NOTHING,
	PINNED_PART,
	PINNED_ALL,
};

static inline enum pinned_extent pinned_extent(const struct pinned *pinned)
{
	/* For fdinfo. It changes under the span's lock, by plain stores, in runs.c. */
	unsigned long nr_pages = data_race(READ_ONCE(pinned->runs.nr_pages));

	return !nr_pages ? PINNED_NOTHING :
	       nr_pages == pinned->nr_pages ? PINNED_ALL : PINNED_PART;
}

/* Pages among [@first, @last] that are pinned now. Takes time. */
unsigned long pinned_count(struct pinned *pinned, unsigned long first,
			   unsigned long last);

/* "memlock:", of whoever mapped last. */
void pin_owner_show(struct iommufd_ctx *ictx, struct seq_file *m);

/**
 * pin_owner_change_process - charge the caller for what is pinned from files
 * @ictx: context
 *
 * Spans of files are charged to the calling process and its user from now on,
 * with what is pinned of them.
 *
 * Return: 0; or, with nothing changed, -EINVAL when there is a span that is not
 * of a file, or -ENOMEM when the caller's limit does not allow so much.
 */
int pin_owner_change_process(struct iommufd_ctx *ictx);

/* Scatterlist room of a batch, at least one entry. */
struct scatterlist *pin_batch_sg(struct pin_batch *batch, unsigned int *nr);

/* A new context, zeroed; its spans have @room bytes behind them. */
void pinned_context_init(struct iommufd_ctx *ictx, size_t room);

/* The context is closing, and there are no spans any more. */
void pinned_context_uninit(struct iommufd_ctx *ictx);

#endif
