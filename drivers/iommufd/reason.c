// SPDX-License-Identifier: GPL-2.0
/*
 * Why operations failed. reason.h has the model.
 *
 * The texts are entries of a small array. An entry that reason_set() wrote is of
 * no failure until its operation ends with the errno that it explains; should
 * the operation succeed by another way, the task uses the entry again.
 * Entries belong to tasks, so that operations which fail at the same time do not
 * take each other's. Which operation of its task an entry is of is told by a
 * number, which grows with each change of any.
 */
#include <linux/compiler.h>
#include <linux/err.h>
#include <linux/kernel.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/stdarg.h>
#include <linux/string.h>
#include <linux/timekeeping.h>

#include "object.h"
#include "reason.h"
#include "trace.h"

void reasons_init(struct reasons *reasons)
{
	spin_lock_init(&reasons->lock);
}

/* The caller's entry that is of no failure yet, or the one to give up. */
static struct reason *take_entry(struct reasons *reasons)
{
	struct reason *reason, *best = NULL;
	unsigned int i;

	lockdep_assert_held(&reasons->lock);
	for (i = 0; i < REASONS_KEPT; i++) {
		reason = &reasons->kept[i];
		if (!reason->number && reason->task == current)
			return reason;
		if (!best || reason->seq < best->seq)
			best = reason;
	}
	return best;
}

static void fill_entry(struct reasons *reasons, struct reason *reason, int rc)
{
	lockdep_assert_held(&reasons->lock);
	reason->number = 0;
	reason->task = current;
	reason->rc = rc;
	WRITE_ONCE(reasons->seq, reasons->seq + 1);
	reason->seq = reasons->seq;
}

int reason_set(struct iommufd_ctx *ictx, int rc, const char *fmt, ...)
{
	struct reasons *reasons = &ictx->reasons;
	struct reason *reason;
	va_list args;

	spin_lock(&reasons->lock);
	reason = take_entry(reasons);
	fill_entry(reasons, reason, rc);
	va_start(args, fmt);
	vscnprintf(reason->text, sizeof(reason->text), fmt, args);
	va_end(args);
	spin_unlock(&reasons->lock);
	return rc;
}

int reason_flags(struct iommufd_ctx *ictx, const char *field, u64 value)
{
	return reason_set(ictx, -EOPNOTSUPP, "0x%llx in %s is not supported",
			  value, field);
}

/* The caller's last entry since then. */
static struct reason *find_entry(struct reasons *reasons, unsigned long since)
{
	struct reason *reason, *best = NULL;
	unsigned int i;

	lockdep_assert_held(&reasons->lock);
	for (i = 0; i < REASONS_KEPT; i++) {
		reason = &reasons->kept[i];
		if (reason->task == current && reason->seq > since &&
		    (!best || reason->seq > best->seq))
			best = reason;
	}
	return best;
}

static const char *general_reason(int rc)
{
	switch (rc) {
	case -ENOMEM:
		return "the kernel has no memory, or the memory cgroup is at its limit";
	case -EFAULT:
		return "the argument, or memory that it names, cannot be read or written";
	case -EINTR:
		return "killed while it waited";
	case -EOPNOTSUPP:
		return "not supported on 6.1, or not by this hardware";
	default:
		return "nothing more is known";
	}
}

void reason_fail(struct iommufd_ctx *ictx, unsigned long since, const char *op,
		 int rc)
{
	struct reasons *reasons = &ictx->reasons;
	struct reason *reason;

	spin_lock(&reasons->lock);
	reason = find_entry(reasons, since);
	/* A failure already: of an operation inside this one, which passes it on. */
	if (reason && reason->number && reason->rc == rc)
		goto out_unlock;
	if (!reason || reason->number || reason->rc != rc) {
		reason = take_entry(reasons);
		fill_entry(reasons, reason, rc);
		strscpy(reason->text, general_reason(rc), sizeof(reason->text));
	}
	reason->op = op;
	reason->number = ++reasons->nr_failures;
	reason->tid = task_pid_vnr(current);
	reason->time = ktime_get_real_seconds();
	trace_iommufd_failure(ictx, reason);
out_unlock:
	spin_unlock(&reasons->lock);
}

/* Copy the last failure before that number. False: it is not kept. */
static bool copy_entry(struct reasons *reasons, unsigned long before,
		       struct reason *copy, unsigned long *total)
{
	struct reason *reason, *best = NULL;
	unsigned int i;

	spin_lock(&reasons->lock);
	*total = reasons->nr_failures;
	for (i = 0; i < REASONS_KEPT; i++) {
		reason = &reasons->kept[i];
		if (reason->number && reason->number < before &&
		    (!best || reason->number > best->number))
			best = reason;
	}
	if (best)
		*copy = *best;
	spin_unlock(&reasons->lock);
	return best;
}

void reasons_show(struct iommufd_ctx *ictx, struct seq_file *m)
{
	unsigned long before = ULONG_MAX, total;
	struct reason copy;
	bool more;

	more = copy_entry(&ictx->reasons, before, &copy, &total);
	seq_printf(m, "failures:\t%lu\n", total);
	while (more) {
		seq_printf(m, "failure:\tn=%lu time=%ptT%c tid=%d op=%s errno=%pe reason=%s\n",
			   copy.number, &copy.time, 'Z', copy.tid, copy.op,
			   ERR_PTR(copy.rc), copy.text);
		before = copy.number;
		more = copy_entry(&ictx->reasons, before, &copy, &total);
	}
}
