/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Why operations on a context failed, as text that fdinfo shows.
 *
 * An operation is an ioctl or a call of <linux/iommufd.h>. What fails inside it
 * says so by reason_set(), where the cause and its numbers are known; where the
 * operation ends with that errno it becomes a failure, of which a context keeps
 * the last few. An errno that nobody explained gets a text as well, so that a
 * text never belongs to another failure:
 *
 *	unsigned long since = reason_begin(ictx);
 *	...
 *			rc = reason_set(ictx, -EINVAL, "object %u is no IOAS", id);
 *	...
 *	return reason_end(ictx, since, "IOMMU_DESTROY", rc);
 *
 * An operation that succeeds pays one load and one test; what only explains is
 * __cold, and noinline where it is more than the call. Nothing allocates. The
 * lock is innermost. A text has no kernel address and nothing that userspace
 * worded; numbers that userspace gave are all right.
 */
#ifndef IOMMUFD_REASON_H
#define IOMMUFD_REASON_H

#include <linux/compiler.h>
#include <linux/spinlock.h>
#include <linux/time64.h>
#include <linux/types.h>

struct iommufd_ctx;
struct seq_file;
struct task_struct;

#define REASONS_KEPT	8
#define REASON_TEXT	184

struct reason {
	unsigned long seq;		/* of the last change; 0: empty */
	unsigned long number;		/* of the failure; 0: none yet */
	const struct task_struct *task;	/* only to be compared */
	const char *op;
	time64_t time;
	pid_t tid;			/* in the eyes of the task */
	int rc;
	char text[REASON_TEXT];
};

struct reasons {
	spinlock_t lock;		/* everything below */
	unsigned long seq;		/* last given out; read without lock */
	unsigned long nr_failures;
	struct reason kept[REASONS_KEPT];
};

void reasons_init(struct reasons *reasons);

/* In place of an errno: "return reason_set(ictx, -EINVAL, ...)". */
__printf(3, 4) __cold
int reason_set(struct iommufd_ctx *ictx, int rc, const char *fmt, ...);

/* -EOPNOTSUPP: a field, or bits of it, that must be 0. */
__cold
int reason_flags(struct iommufd_ctx *ictx, const char *field, u64 value);

__cold
void reason_fail(struct iommufd_ctx *ictx, unsigned long since, const char *op,
		 int rc);

/* "failures:" and a line for each that is kept, the latest first. */
void reasons_show(struct iommufd_ctx *ictx, struct seq_file *m);

#define reason_begin(ictx)	READ_ONCE((ictx)->reasons.seq)

/* @op: a literal, one word */
static inline int reason_end(struct iommufd_ctx *ictx, unsigned long since,
			     const char *op, int rc)
{
	if (unlikely(rc < 0))
		reason_fail(ictx, since, op, rc);
	return rc;
}

#endif
