// SPDX-License-Identifier: GPL-2.0
/*
 * Pinning, counting and unpinning. pinned.h has the model.
 *
 * Pages of a file: 6.1 exports no way to pin them by their offset. So the piece
 * of the file is mapped into the caller's address space for a moment and pinned
 * there. Another thread could put something else in its place meanwhile: every
 * page is checked to be the file's.
 *
 * Page indexes are unsigned long and at most 2^52, so index + 1 never wraps.
 * A page is charged from before it is pinned until after it is unpinned.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/hash.h>
#include <linux/highmem.h>
#include <linux/hugetlb.h>
#include <linux/magic.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/scatterlist.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/wait_bit.h>

#include "mock.h"
#include "object.h"
#include "pinned.h"
#include "reason.h"
#include "trace.h"

/* A process that pages are charged to. */
struct pin_process {
	bool exempt;			/* had CAP_IPC_LOCK */
	bool limited;			/* by its own limit, not by the user's */
	const struct cred *cred;	/* with which it was found exempt, or not */
	struct mm_struct *mm;		/* mmgrab: mmget only to pin */
	struct user_struct *user;
	struct task_struct *task;	/* its limit applies */
};

static void process_get_current(struct pin_process *process,
				struct iommufd_ctx *ictx)
{
	process->exempt = capable(CAP_IPC_LOCK);
	process->cred = get_current_cred();
	process->limited = READ_ONCE(ictx->charge_process);
	process->mm = current->mm;
	mmgrab(process->mm);
	process->user = get_uid(current_user());
	process->task = get_task_struct(current->group_leader);
}

static void process_put(struct pin_process *process)
{
	put_task_struct(process->task);
	free_uid(process->user);
	mmdrop(process->mm);
	put_cred(process->cred);
}

/*
 * Who is charged. Spans that one process maps share one; pinning by somebody
 * else (who attaches a device later) is charged to it all the same. Memory stays
 * with the process it belongs to. Files can be handed on to another process:
 * what is charged for them is counted here, and charged and changed under
 * ictx->owner_lock.
 */
struct pin_owner {
	atomic_long_t nr_users;		/* spans, and a context that remembers it */
	bool file;			/* of spans of files, and of no others */
	struct iommufd_ctx *ictx;
	struct list_head link;		/* ictx.owners; ictx.owner_lock */
	/* Memory: constant. Files: changes under owner_lock and spans.lock. */
	struct pin_process process;
	unsigned long nr_charged;	/* files: owner_lock; pages */
};

static noinline void pin_owner_put_last(struct pin_owner *owner)
{
	struct iommufd_ctx *ictx = owner->ictx;

	mutex_lock(&ictx->owner_lock);
	if (!atomic_long_dec_and_test(&owner->nr_users)) {
		mutex_unlock(&ictx->owner_lock);
		return;
	}
	WARN_ON(owner->nr_charged);
	list_del(&owner->link);
	mutex_unlock(&ictx->owner_lock);
	process_put(&owner->process);
	kfree(owner);
}

/* The last one goes under owner_lock: who has that may look at all owners. */
static inline void pin_owner_put(struct pin_owner *owner)
{
	if (!atomic_long_add_unless(&owner->nr_users, -1, 1))
		pin_owner_put_last(owner);
}

/* Credentials never change: who has the same ones is exempt or not, as before. */
static bool process_is_current(const struct pin_process *process, bool limited)
{
	return process->mm == current->mm &&
	       process->task == current->group_leader &&
	       process->limited == limited &&
	       (process->cred == current_cred() ||
		(process->user == current_user() &&
		 process->exempt == capable(CAP_IPC_LOCK)));
}

/* A new one of the caller's, to be shared with the next spans. NULL: no memory. */
static noinline
struct pin_owner *pin_owner_new(struct iommufd_ctx *ictx, bool file)
{
	struct pin_owner *owner, *old;

	owner = kmalloc(sizeof(*owner), GFP_KERNEL_ACCOUNT);
	if (!owner)
		return NULL;
	/* One is put by the next owner, or by pinned_context_uninit(). */
	atomic_long_set(&owner->nr_users, 2);
	owner->file = file;
	owner->ictx = ictx;
	owner->nr_charged = 0;
	process_get_current(&owner->process, ictx);

	mutex_lock(&ictx->owner_lock);
	list_add_tail(&owner->link, &ictx->owners);
	spin_lock(&ictx->spans.lock);
	old = ictx->last_owner[file];
	ictx->last_owner[file] = owner;
	spin_unlock(&ictx->spans.lock);
	mutex_unlock(&ictx->owner_lock);
	if (old)
		pin_owner_put(old);
	return owner;
}

/* The caller's previous one where nothing has changed, or NULL. */
static __always_inline
struct pin_owner *pin_owner_find(struct iommufd_ctx *ictx, bool file)
{
	bool limited = READ_ONCE(ictx->charge_process);
	struct pin_owner *owner = ictx->last_owner[file];

	lockdep_assert_held(&ictx->spans.lock);
	WRITE_ONCE(ictx->last_is_file, file);
	if (!owner || !process_is_current(&owner->process, limited))
		return NULL;
	/* The context itself is a user. */
	atomic_long_inc(&owner->nr_users);
	return owner;
}

void pinned_context_init(struct iommufd_ctx *ictx, size_t room)
{
	unsigned int i;

	mutex_init(&ictx->owner_lock);
	INIT_LIST_HEAD(&ictx->owners);
	for (i = 0; i < ARRAY_SIZE(ictx->span_locks); i++)
		mutex_init(&ictx->span_locks[i]);
	pool_init(&ictx->spans, sizeof(struct pinned) + room);
}

void pinned_context_uninit(struct iommufd_ctx *ictx)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(ictx->last_owner); i++) {
		if (ictx->last_owner[i])
			pin_owner_put(ictx->last_owner[i]);
		ictx->last_owner[i] = NULL;
	}
	WARN_ON(!list_empty(&ictx->owners));
	pool_uninit(&ictx->spans);
}

#define PAGES_TO_KB(nr)	((nr) << (PAGE_SHIFT - 10))

static noinline __cold
int explain_limit(struct iommufd_ctx *ictx, bool limited, unsigned long used,
		  unsigned long nr_pages, unsigned long limit)
{
	return reason_set(ictx, -ENOMEM,
			  "RLIMIT_MEMLOCK of the %s is %lu kB, %lu kB of it are in use, %lu kB were asked for: %lu kB too many",
			  limited ? "process" : "user",
			  PAGES_TO_KB(limit), PAGES_TO_KB(used),
			  PAGES_TO_KB(nr_pages),
			  PAGES_TO_KB(used + nr_pages - limit));
}

void pin_owner_show(struct iommufd_ctx *ictx, struct seq_file *m)
{
	const struct pin_process *process;
	const struct pin_owner *owner;
	unsigned long limit, used;

	mutex_lock(&ictx->owner_lock);
	owner = ictx->last_owner[READ_ONCE(ictx->last_is_file)];
	if (!owner)
		goto out_unlock;
	process = &owner->process;
	limit = task_rlimit(process->task, RLIMIT_MEMLOCK);
	used = process->limited ? atomic64_read(&process->mm->pinned_vm) :
				  atomic_long_read(&process->user->locked_vm);
	seq_printf(m, "memlock:\tof=%s used=%lu limit=",
		   process->limited ? "process" : "user", used << PAGE_SHIFT);
	if (process->exempt || limit == RLIM_INFINITY)
		seq_puts(m, "none\n");
	else
		seq_printf(m, "%lu\n", limit);
out_unlock:
	mutex_unlock(&ictx->owner_lock);
}

/*
 * Count pages where there is a limit: in locked_vm of the user, or in pinned_vm
 * of the process, which needs no lock that a fault may hold.
 */
static noinline
int charge_limited(struct iommufd_ctx *ictx,
		   const struct pin_process *process, unsigned long nr_pages)
{
	unsigned long limit = task_rlimit(process->task, RLIMIT_MEMLOCK) >>
			      PAGE_SHIFT;
	atomic_long_t *counter = process->limited ? &process->mm->pinned_vm :
						    &process->user->locked_vm;
	unsigned long old = atomic_long_read(counter);

	do {
		if (nr_pages > limit || old > limit - nr_pages)
			return explain_limit(ictx, process->limited, old,
					     nr_pages, limit);
	} while (!atomic_long_try_cmpxchg(counter, (long *)&old,
					  old + nr_pages));
	return 0;
}

/* Do its pages count against the limit of its user? */
static bool counts_for_user(const struct pin_process *process)
{
	return !process->exempt && !process->limited;
}

/* What is not limited is counted in pinned_vm for information. */
static __always_inline
int process_charge(struct iommufd_ctx *ictx, const struct pin_process *process,
		   unsigned long nr_pages)
{
	int rc;

	if (!process->exempt) {
		rc = charge_limited(ictx, process, nr_pages);
		if (rc)
			return rc;
	}
	if (process->exempt || !process->limited)
		atomic64_add(nr_pages, &process->mm->pinned_vm);
	atomic_long_add(nr_pages, &ictx->nr_charged);
	return 0;
}

static __always_inline
void process_uncharge(struct iommufd_ctx *ictx,
		      const struct pin_process *process, unsigned long nr_pages)
{
	if (counts_for_user(process))
		atomic_long_sub(nr_pages, &process->user->locked_vm);
	atomic64_sub(nr_pages, &process->mm->pinned_vm);
	atomic_long_sub(nr_pages, &ictx->nr_charged);
}

static noinline int charge_file(struct pin_owner *owner, unsigned long nr_pages)
{
	int rc;

	mutex_lock(&owner->ictx->owner_lock);
	rc = process_charge(owner->ictx, &owner->process, nr_pages);
	if (!rc)
		owner->nr_charged += nr_pages;
	mutex_unlock(&owner->ictx->owner_lock);
	return rc;
}

static noinline
void uncharge_file(struct pin_owner *owner, unsigned long nr_pages)
{
	mutex_lock(&owner->ictx->owner_lock);
	process_uncharge(owner->ictx, &owner->process, nr_pages);
	owner->nr_charged -= nr_pages;
	mutex_unlock(&owner->ictx->owner_lock);
}

static inline int charge(struct pin_owner *owner, unsigned long nr_pages)
{
	if (unlikely(owner->file))
		return charge_file(owner, nr_pages);
	return process_charge(owner->ictx, &owner->process, nr_pages);
}

static inline void uncharge(struct pin_owner *owner, unsigned long nr_pages)
{
	if (unlikely(owner->file))
		uncharge_file(owner, nr_pages);
	else
		process_uncharge(owner->ictx, &owner->process, nr_pages);
}

/*
 * Handing files on. What a process had to do with a page and the next one has,
 * too, is neither counted twice meanwhile nor held against it again.
 */

static bool is_same_process(const struct pin_process *a,
			    const struct pin_process *b)
{
	return a->mm == b->mm && a->user == b->user;
}

static bool is_counted_for_same_user(const struct pin_process *a,
				     const struct pin_process *b)
{
	return counts_for_user(a) && counts_for_user(b) && a->user == b->user;
}

/* Charge the new process with what all owners have to pass to it. */
static int change_charge(struct iommufd_ctx *ictx, const struct pin_process *to)
{
	unsigned long user_pages = 0, mm_pages = 0, limited;
	struct pin_owner *owner;
	int rc;

	lockdep_assert_held(&ictx->owner_lock);
	list_for_each_entry(owner, &ictx->owners, link) {
		if (!owner->file || is_same_process(&owner->process, to))
			continue;
		if (!is_counted_for_same_user(&owner->process, to))
			user_pages += owner->nr_charged;
		if (owner->process.mm != to->mm)
			mm_pages += owner->nr_charged;
		cond_resched();
	}
	limited = to->limited ? mm_pages : user_pages;
	if (!to->exempt && limited) {
		rc = charge_limited(ictx, to, limited);
		if (rc)
			return rc;
	}
	if (to->exempt || !to->limited)
		atomic64_add(mm_pages, &to->mm->pinned_vm);
	return 0;
}

static void owner_change(struct pin_owner *owner, const struct pin_process *to)
{
	struct pin_process from = owner->process;

	if (counts_for_user(&from) && !is_counted_for_same_user(&from, to))
		atomic_long_sub(owner->nr_charged, &from.user->locked_vm);
	if (from.mm != to->mm)
		atomic64_sub(owner->nr_charged, &from.mm->pinned_vm);
	spin_lock(&owner->ictx->spans.lock);
	owner->process = *to;
	spin_unlock(&owner->ictx->spans.lock);
	get_cred(to->cred);
	mmgrab(to->mm);
	get_uid(to->user);
	get_task_struct(to->task);
	process_put(&from);
}

/* Is memory mapped that belongs to a process? */
static bool has_memory(struct iommufd_ctx *ictx)
{
	struct pin_owner *owner;

	lockdep_assert_held(&ictx->owner_lock);
	list_for_each_entry(owner, &ictx->owners, link) {
		/* The context itself remembers the last one. */
		if (!owner->file && atomic_long_read(&owner->nr_users) >
				    (owner == ictx->last_owner[false]))
			return true;
		cond_resched();
	}
	return false;
}

int pin_owner_change_process(struct iommufd_ctx *ictx)
{
	struct pin_owner *owner;
	struct pin_process to;
	int rc;

	process_get_current(&to, ictx);
	mutex_lock(&ictx->owner_lock);
	if (has_memory(ictx)) {
		rc = reason_set(ictx, -EINVAL,
				"memory of a process is mapped, not only files");
		goto out_unlock;
	}
	rc = change_charge(ictx, &to);
	if (rc)
		goto out_unlock;
	list_for_each_entry(owner, &ictx->owners, link) {
		if (owner->file && !is_same_process(&owner->process, &to))
			owner_change(owner, &to);
		cond_resched();
	}
out_unlock:
	mutex_unlock(&ictx->owner_lock);
	process_put(&to);
	return rc;
}

/* Spans are many, and seldom locked: some locks of the context do for all. */
static struct mutex *span_lock(const struct pinned *pinned)
{
	return &pinned->owner->ictx->span_locks[hash_ptr(pinned,
							 SPAN_LOCKS_SHIFT)];
}

struct pinned *pinned_alloc_from(struct iommufd_ctx *ictx, struct file *file,
				 unsigned long start, unsigned long length,
				 bool writable)
{
	struct pin_owner *owner;
	struct pinned *pinned;
	unsigned long last;

	if (unlikely(check_add_overflow(start, length - 1, &last)))
		return ERR_PTR(reason_set(ictx, -EOVERFLOW,
					  "0x%lx bytes from user address or offset 0x%lx on go beyond 2^64",
					  length, start));

	spin_lock(&ictx->spans.lock);
	owner = pin_owner_find(ictx, file);
	pinned = likely(owner) ? pool_take(&ictx->spans) : NULL;
	spin_unlock(&ictx->spans.lock);
	if (unlikely(!owner)) {
		owner = pin_owner_new(ictx, file);
		if (!owner)
			return ERR_PTR(-ENOMEM);
	}
	if (unlikely(!pinned)) {
		pinned = pool_alloc(&ictx->spans);
		if (!pinned) {
			pin_owner_put(owner);
			return ERR_PTR(-ENOMEM);
		}
	}
	refcount_set(&pinned->users, 1);
	pinned->writable = writable;
	pinned->filling = 0;
	pinned->nr_whole = 0;
	pinned->owner = owner;
	pinned->file = file ? get_file(file) : NULL;
	pinned->uptr = start & PAGE_MASK;
	pinned->nr_pages = (last >> PAGE_SHIFT) - (start >> PAGE_SHIFT) + 1;
	pinned->parts = RB_ROOT_CACHED;
	runs_init(&pinned->runs);
	guard_by(&pinned->runs.guard, span_lock(pinned));
	return pinned;
}

struct pinned *pinned_alloc_file(struct iommufd_ctx *ictx, struct file *file,
				 unsigned long start, unsigned long length,
				 bool writable)
{
	unsigned long magic = file_inode(file)->i_sb->s_magic;

	if ((magic != TMPFS_MAGIC && magic != HUGETLBFS_MAGIC) ||
	    !S_ISREG(file_inode(file)->i_mode))
		return ERR_PTR(reason_set(ictx, -EINVAL,
					  "the file is no memfd, and not of tmpfs or hugetlbfs"));
	if (!(file->f_mode & FMODE_READ) ||
	    (writable && !(file->f_mode & FMODE_WRITE)))
		return ERR_PTR(reason_set(ictx, -EACCES,
					  "the file is not open for %s",
					  file->f_mode & FMODE_READ ?
					  "writing" : "reading"));
	return pinned_alloc_from(ictx, file, start, length, writable);
}

static void pinned_free(struct pinned *pinned)
{
	struct iommufd_ctx *ictx = pinned->owner->ictx;

	WARN_ON(!RB_EMPTY_ROOT(&pinned->parts.rb_root));
	if (unlikely(pinned->file))
		fput(pinned->file);
	pin_owner_put(pinned->owner);
	pool_free(&ictx->spans, pinned);
}

void pinned_put(struct pinned *pinned)
{
	if (!refcount_dec_and_test(&pinned->users))
		return;
	WARN_ON(pinned->runs.nr_pages);
	WARN_ON(pinned->nr_whole);
	pinned_free(pinned);
}

/*
 * Room for a batch of pages on their way. A few fit on the stack, so that small
 * mappings allocate nothing here; large ones get three pages, and do with what
 * is on the stack when there is no memory. What is on the stack is not zeroed:
 * for one page that would cost as much as the rest.
 */
#define BATCH_SMALL	8
#define BATCH_SG	(PAGE_SIZE / sizeof(struct scatterlist))
#define BATCH_PAGES	(PAGE_SIZE / sizeof(struct page *))
static_assert(sizeof(struct run) <= sizeof(struct page *));

struct pin_batch {
	unsigned int max;
	unsigned int max_sg;
	struct page **pages;
	struct run *runs;
	struct scatterlist *sg;
	struct page *small_pages[BATCH_SMALL];
	struct run small_runs[BATCH_SMALL];
	struct scatterlist small_sg[BATCH_SMALL];
};

static void batch_init_small(struct pin_batch *batch)
{
	batch->max = mock_batch_max(BATCH_SMALL);
	batch->max_sg = mock_batch_max(BATCH_SMALL);
	batch->pages = batch->small_pages;
	batch->runs = batch->small_runs;
	batch->sg = batch->small_sg;
}

static void batch_init(struct pin_batch *batch, unsigned long nr_pages)
{
	const gfp_t gfp = GFP_KERNEL_ACCOUNT | __GFP_NOWARN;

	if (nr_pages <= BATCH_SMALL)
		goto small;
	batch->max = mock_batch_max(BATCH_PAGES);
	batch->max_sg = mock_batch_max(BATCH_SG);
	batch->pages = kmalloc(PAGE_SIZE, gfp);
	batch->runs = kmalloc(PAGE_SIZE, gfp);
	batch->sg = kmalloc(PAGE_SIZE, gfp);
	if (batch->pages && batch->runs && batch->sg)
		return;
	kfree(batch->sg);
	kfree(batch->runs);
	kfree(batch->pages);
small:
	batch_init_small(batch);
}

static void batch_uninit(struct pin_batch *batch)
{
	if (batch->pages == batch->small_pages)
		return;
	kfree(batch->sg);
	kfree(batch->runs);
	kfree(batch->pages);
}

struct scatterlist *pin_batch_sg(struct pin_batch *batch, unsigned int *nr)
{
	*nr = batch->max_sg;
	return batch->sg;
}

/* Physically adjacent pages become one run. */
static unsigned int coalesce(struct page **pages, unsigned int nr_pages,
			     struct run *runs)
{
	unsigned int i = 0, nr = 0;

	while (i < nr_pages) {
		struct page *first = pages[i], *next = first + 1;
		unsigned int start = i++;

		while (i + 4 <= nr_pages && pages[i] == next &&
		       pages[i + 1] == next + 1 && pages[i + 2] == next + 2 &&
		       pages[i + 3] == next + 3) {
			next += 4;
			i += 4;
		}
		for (; i < nr_pages && pages[i] == next; next++)
			i++;
		run_set(&runs[nr++], page_to_pfn(first), i - start);
	}
	return nr;
}

/*
 * Flags for memory that devices only read. 6.1: a long-term pin for reading
 * unshares anonymous pages only. In a private mapping it would pin the zero page
 * or a page of the file, which the next CPU write replaces by a copy that the
 * device never sees. So such mappings are pinned for writing, forced where the
 * process itself may not write; the kernel refuses to force hugetlb.
 */
static int read_only_flags(struct vm_area_struct *vma)
{
	if (!is_cow_mapping(vma->vm_flags) || !(vma->vm_flags & VM_READ))
		return 0;
	if (vma->vm_flags & VM_WRITE)
		return FOLL_WRITE;
	return is_vm_hugetlb_page(vma) ? 0 : FOLL_WRITE | FOLL_FORCE;
}

/* With mmap_lock held. Stays within one VMA where flags depend on it. */
static long pin_locked(const struct pinned *pinned, unsigned long uptr,
		       unsigned long nr, struct page **pages)
{
	struct mm_struct *mm = pinned->owner->process.mm;
	struct vm_area_struct *vma;
	int flags = FOLL_WRITE;

	mmap_assert_locked(mm);
	if (!pinned->writable) {
		vma = find_vma(mm, uptr);
		if (!vma || vma->vm_start > uptr)
			return -EFAULT;
		nr = min(nr, (vma->vm_end - uptr) >> PAGE_SHIFT);
		flags = read_only_flags(vma);
	}
	flags |= FOLL_LONGTERM;
	if (mm == current->mm)
		return pin_user_pages(uptr, nr, flags, pages, NULL);
	return pin_user_pages_remote(mm, uptr, nr, flags, pages, NULL, NULL);
}

/* Is this the page of the file at that page offset? */
static bool page_is_of_file(struct page *page, const struct file *file,
			    pgoff_t offset)
{
	struct page *head = compound_head(page);
	pgoff_t first = head->index;

	if (PageHuge(head))		/* counts in huge pages */
		first <<= compound_order(head);
	return READ_ONCE(head->mapping) == file->f_mapping &&
	       first + (page - head) == offset;
}

static long pin_file(const struct pinned *pinned, unsigned long start,
		     unsigned long nr, struct page **pages)
{
	struct super_block *sb = file_inode(pinned->file)->i_sb;
	unsigned long from = round_down(start, sb->s_blocksize);
	unsigned long length = round_up(start + (nr << PAGE_SHIFT),
					sb->s_blocksize) - from;
	unsigned long prot = PROT_READ | (pinned->writable ? PROT_WRITE : 0);
	unsigned long va;
	long i, rc;

	/* 6.1: a writable mapping of a hugetlb file makes the file longer. */
	if ((start >> PAGE_SHIFT) + nr >
	    DIV_ROUND_UP_ULL(i_size_read(file_inode(pinned->file)), PAGE_SIZE))
		return -EFAULT;
	va = vm_mmap(pinned->file, 0, length, prot, MAP_SHARED, from);
	if (IS_ERR_VALUE(va))	/* EAGAIN: over the limit, of mlockall() */
		return va == -EAGAIN ? -ENOMEM : va;
	rc = pin_user_pages_fast(va + (start - from), nr,
				 (pinned->writable ? FOLL_WRITE : 0) |
				 FOLL_LONGTERM, pages);
	vm_munmap(va, length);
	for (i = 0; i < rc; i++) {
		if (!page_is_of_file(pages[i], pinned->file,
				     (start >> PAGE_SHIFT) + i)) {
			unpin_user_pages(pages, rc);
			return -EFAULT;
		}
	}
	return rc;
}

/* A kernel thread, of a driver, has no memory to map into but the owner's. */
static long pin_file_here(const struct pinned *pinned, unsigned long start,
			  unsigned long nr, struct page **pages)
{
	struct pin_owner *owner = pinned->owner;
	struct mm_struct *mm;
	long rc;

	if (current->mm)
		return pin_file(pinned, start, nr, pages);
	if (!(current->flags & PF_KTHREAD))
		return -EFAULT;
	/* It may be handed on at any time. */
	mutex_lock(&owner->ictx->owner_lock);
	mm = owner->process.mm;
	if (!mmget_not_zero(mm))
		mm = NULL;
	mutex_unlock(&owner->ictx->owner_lock);
	if (!mm)
		return -EFAULT;
	kthread_use_mm(mm);
	rc = pin_file(pinned, start, nr, pages);
	kthread_unuse_mm(mm);
	mmput(mm);
	return rc;
}

static long pin_once(const struct pinned *pinned, unsigned long uptr,
		     unsigned long nr, struct page **pages)
{
	struct mm_struct *mm = pinned->owner->process.mm;
	long rc;

	if (pinned->writable && mm == current->mm)
		return pin_user_pages_fast(uptr, nr, FOLL_WRITE | FOLL_LONGTERM,
					   pages);
	rc = mmap_read_lock_killable(mm);
	if (rc)
		return rc;
	rc = pin_locked(pinned, uptr, nr, pages);
	mmap_read_unlock(mm);
	return rc;
}

/*
 * 6.1: a long-term pin never lets go of mmap_lock, so a page that userspace
 * must provide first (userfaultfd) reads as EFAULT. Wait for it here, killably.
 */
static int fault_in(const struct pinned *pinned, unsigned long uptr)
{
	struct mm_struct *mm = pinned->owner->process.mm;
	bool unlocked = false;
	int rc;

	rc = mmap_read_lock_killable(mm);
	if (rc)
		return rc;
	rc = fixup_user_fault(mm, uptr,
			      FAULT_FLAG_KILLABLE |
			      (pinned->writable ? FAULT_FLAG_WRITE : 0),
			      &unlocked);
	mmap_read_unlock(mm);
	return rc;
}

static long pin_memory(const struct pinned *pinned, unsigned long uptr,
		       unsigned long nr, struct page **pages)
{
	struct mm_struct *mm = pinned->owner->process.mm;
	long rc;

	if (mm != current->mm && !mmget_not_zero(mm))
		return -EFAULT;	/* the process is gone, and its memory */
	rc = pin_once(pinned, uptr, nr, pages);
	if (unlikely(rc == -EFAULT) && !fault_in(pinned, uptr))
		rc = pin_once(pinned, uptr, nr, pages);
	if (mm != current->mm)
		mmput(mm);
	return rc;
}

/* What stands in the way of pinning there, as far as can be seen afterwards. */
static noinline __cold
const char *explain_address(const struct pinned *pinned, unsigned long uptr)
{
	struct mm_struct *mm = pinned->owner->process.mm;
	const char *why = "the kernel refuses to pin what is there";
	struct vm_area_struct *vma;

	if (!mmget_not_zero(mm))
		return "the process that mapped it is gone";
	if (mmap_read_lock_killable(mm))
		goto out_put;
	vma = find_vma(mm, uptr);
	if (!vma || vma->vm_start > uptr)
		why = "no memory is mapped there";
	else if (vma->vm_flags & (VM_IO | VM_PFNMAP))
		why = "it is a mapping of a device, not memory";
	else if (pinned->writable && !(vma->vm_flags & VM_WRITE))
		why = "it is mapped without PROT_WRITE";
	else if (!(vma->vm_flags & (VM_READ | VM_WRITE)))
		why = "it is mapped without PROT_READ";
	mmap_read_unlock(mm);
out_put:
	mmput(mm);
	return why;
}

static noinline __cold
int explain_pin(const struct pinned *pinned, unsigned long index, int rc)
{
	unsigned long uptr = pinned->uptr + (index << PAGE_SHIFT);

	if (!pinned->file)
		return reason_set(pinned->owner->ictx, rc,
				  "page at user address 0x%lx (index %lu of %lu) cannot be pinned: %s",
				  uptr, index, pinned->nr_pages,
				  explain_address(pinned, uptr));
	return reason_set(pinned->owner->ictx, rc,
			  "page at byte 0x%lx of the file (index %lu of %lu) cannot be pinned: the file has 0x%llx bytes",
			  uptr, index, pinned->nr_pages,
			  i_size_read(file_inode(pinned->file)));
}

static noinline
long pin_unusual(const struct pinned *pinned, unsigned long index,
		 unsigned long nr, struct page **pages)
{
	unsigned long uptr = pinned->uptr + (index << PAGE_SHIFT);
	long rc;

	if (pinned->file)
		rc = pin_file_here(pinned, uptr, nr, pages);
	else
		rc = pin_memory(pinned, uptr, nr, pages);
	if (likely(rc > 0))
		return rc;
	if (fatal_signal_pending(current))
		return -EINTR;
	return explain_pin(pinned, index, rc ?: -EFAULT);
}

/*
 * Pin pages from index on. Returns how many, at least one, or an errno. Most
 * often it is the caller's own memory, present or not, that devices may write.
 */
static inline long pin(const struct pinned *pinned, unsigned long index,
		       unsigned long nr, struct page **pages)
{
	long rc;

	if (pinned->writable && !pinned->file &&
	    pinned->owner->process.mm == current->mm) {
		rc = pin_user_pages_fast(pinned->uptr + (index << PAGE_SHIFT),
					 nr, FOLL_WRITE | FOLL_LONGTERM, pages);
		if (likely(rc > 0))
			return rc;
	}
	return pin_unusual(pinned, index, nr, pages);
}

/* About so many runs between two looks at whether somebody else should run. */
#define UNPIN_BURST	64
/* Pages of a long run that are let go of between two looks. */
#define UNPIN_PAGES	4096UL

static inline void unpin_run(unsigned long pfn, unsigned long nr, bool dirty)
{
	struct page *page = pfn_to_page(pfn);

	/* A page that is dirty, as most are: there is nothing to look up or lock. */
	if (nr == 1 && (!dirty || PageDirty(page))) {
		unpin_user_page(page);
		return;
	}
	/* Small pages in a row can be as many as there are. */
	for (; nr > UNPIN_PAGES; nr -= UNPIN_PAGES, page += UNPIN_PAGES) {
		unpin_user_page_range_dirty_lock(page, UNPIN_PAGES, dirty);
		cond_resched();
	}
	unpin_user_page_range_dirty_lock(page, nr, dirty);
}

struct unpin {
	bool dirty;
	unsigned int nr_runs;
};

static void unpin(void *arg, const struct run *run, unsigned int nr)
{
	struct unpin *unpin = arg;
	bool dirty = unpin->dirty;

	for (; nr; nr--, run++) {
		unpin_run(run->pfn, run->nr, dirty);
		if (run->nr >= UNPIN_BURST || !(++unpin->nr_runs % UNPIN_BURST))
			cond_resched();
	}
}

/*
 * Pin a piece of a hole, charged already, and record it. @more: pages of the
 * hole, the piece included. @merge: the piece goes on where another of the same
 * hole ended; a hole itself begins and ends where some consumer does, and runs
 * must keep their boundaries there. @pages is set to what was recorded, on
 * failure too: that goes with the consumer.
 */
static int pin_piece(struct pinned *pinned, unsigned long index,
		     unsigned long more, bool merge, struct pin_batch *batch,
		     unsigned int *nr_runs, unsigned long *pages)
{
	struct mutex *lock = span_lock(pinned);
	unsigned int recorded, i;
	long got;

	*pages = 0;
	got = pin(pinned, index, min_t(unsigned long, more, batch->max),
		  batch->pages);
	if (got < 0)
		return got;
	*nr_runs = coalesce(batch->pages, got, batch->runs);

	mutex_lock(lock);
	recorded = runs_add(&pinned->runs, index, batch->runs, *nr_runs,
			    more - got, merge);
	mutex_unlock(lock);

	*pages = got;
	if (recorded == *nr_runs)
		return 0;
	for (i = recorded; i < *nr_runs; i++) {
		*pages -= batch->runs[i].nr;
		unpin_run(batch->runs[i].pfn, batch->runs[i].nr, false);
	}
	return -ENOMEM;
}

static const char *source_name(const struct pinned *pinned)
{
	return pinned->file ? "file-offset" : "user-va";
}

/* [first, last] was to be pinned, and is up to @end. */
static inline void trace_pin(const struct pinned *pinned, unsigned long first,
		      unsigned long last, unsigned long end, int rc)
{
	if (trace_iommufd_pin_enabled())
		trace_iommufd_pin(pinned->owner->ictx, source_name(pinned),
				  pinned->uptr + (first << PAGE_SHIFT),
				  last - first + 1, end - first, rc);
}

static inline void trace_unpin(const struct pinned *pinned, unsigned long first,
			unsigned long last, unsigned long unpinned)
{
	if (trace_iommufd_unpin_enabled())
		trace_iommufd_unpin(pinned->owner->ictx, source_name(pinned),
				    pinned->uptr + (first << PAGE_SHIFT),
				    last - first + 1, unpinned);
}

/* Pin the hole [first, last] and hand it to the sink. */
static int fill_hole(struct pinned *pinned, unsigned long first,
		     unsigned long last, struct pin_batch *batch,
		     struct pinned_sink *sink)
{
	unsigned long index = first, pages;
	unsigned int nr_runs;
	int rc;

	rc = charge(pinned->owner, last - first + 1);
	if (rc)
		return rc;
	while (index <= last) {
		rc = pin_piece(pinned, index, last - index + 1, index != first,
			       batch, &nr_runs, &pages);
		if (!rc)
			rc = sink->take(sink, index, batch->runs, nr_runs, batch);
		index += pages;
		if (!rc && index <= last && fatal_signal_pending(current))
			rc = -EINTR;
		if (rc)
			goto err_uncharge;
		if (index <= last)
			cond_resched();
	}
	trace_pin(pinned, first, last, index, 0);
	return 0;

err_uncharge:
	/* What is recorded stays charged until the consumer is removed. */
	uncharge(pinned->owner, last - index + 1);
	trace_pin(pinned, first, last, index, rc);
	return rc;
}

static unsigned long pages_of(const struct run *runs, unsigned int nr)
{
	unsigned long pages = 0;

	while (nr--)
		pages += runs[nr].nr;
	return pages;
}

/* The pages of a consumer: of the whole span, without a part of it. */
static unsigned long first_page(const struct interval_tree_node *part)
{
	return part ? part->start : 0;
}

static unsigned long last_page(const struct pinned *pinned,
			       const struct interval_tree_node *part)
{
	return part ? part->last : pinned->nr_pages - 1;
}

/*
 * Hand a consumer's pages to the sink in order, and pin those that are not
 * there. The consumer is known: what is read here stays pinned.
 */
static int stream(struct pinned *pinned, struct interval_tree_node *part,
		  struct pin_batch *batch, struct pinned_sink *sink)
{
	unsigned long index = first_page(part), end = last_page(pinned, part);
	unsigned long first, last;
	unsigned int nr;
	bool hole;
	int rc;

	while (index <= end) {
		mutex_lock(span_lock(pinned));
		nr = runs_read(&pinned->runs, index, end, batch->runs,
			       batch->max);
		hole = !nr && runs_next_hole(&pinned->runs, index, end, &first,
					     &last);
		mutex_unlock(span_lock(pinned));

		if (hole) {
			rc = fill_hole(pinned, index, last, batch, sink);
			index = last + 1;
		} else {
			rc = sink->take(sink, index, batch->runs, nr, batch);
			index += pages_of(batch->runs, nr);
			cond_resched();
		}
		if (rc)
			return rc;
	}
	return 0;
}

/*
 * Note a consumer: one of the whole span is only counted, since no run goes
 * beyond; one of a part comes into the tree, with boundaries at its ends.
 */
static int consumer_insert(struct pinned *pinned,
			   struct interval_tree_node *part)
{
	int rc = 0;

	mutex_lock(span_lock(pinned));
	if (!part) {
		pinned->nr_whole++;
		goto out_unlock;
	}
	rc = runs_cut(&pinned->runs, part->start);
	if (rc)
		goto out_unlock;
	rc = runs_cut(&pinned->runs, part->last + 1);
	if (rc)
		goto err_join;
	interval_tree_insert(part, &pinned->parts);
	mutex_unlock(span_lock(pinned));
	return 0;

err_join:
	if (!consumers_end_at(&pinned->parts, part->start))
		runs_join(&pinned->runs, part->start);
out_unlock:
	mutex_unlock(span_lock(pinned));
	return rc;
}

/* Only killed while it waits for somebody else. */
static int filling_begin(struct pinned *pinned)
{
	if (wait_var_event_killable(&pinned->filling,
				    !xchg(&pinned->filling, 1)))
		return -EINTR;
	return 0;
}

static void filling_end(struct pinned *pinned)
{
	/* A full barrier, too: pairs with the waiter's prepare. */
	xchg(&pinned->filling, 0);
	wake_up_var(&pinned->filling);
}

int pinned_add(struct pinned *pinned, struct interval_tree_node *part,
	       struct pinned_sink *sink)
{
	struct pin_batch batch __uninitialized;
	int rc;

	rc = filling_begin(pinned);
	if (rc)
		return rc;
	rc = consumer_insert(pinned, part);
	if (rc)
		goto out_unlock;

	batch_init(&batch, last_page(pinned, part) - first_page(part) + 1);
	rc = stream(pinned, part, &batch, sink);
	batch_uninit(&batch);
	if (rc) {
		sink->undo(sink);
		pinned_remove(pinned, part);
	}
out_unlock:
	filling_end(pinned);
	return rc;
}

int pinned_add_new(struct pinned *pinned, struct pinned_sink *sink)
{
	struct pin_batch batch __uninitialized;
	int rc;

	pinned->nr_whole = 1;
	batch_init(&batch, pinned->nr_pages);
	rc = fill_hole(pinned, 0, pinned->nr_pages - 1, &batch, sink);
	batch_uninit(&batch);
	if (rc) {
		sink->undo(sink);
		pinned_remove(pinned, NULL);
	}
	return rc;
}

long pinned_add_page(struct pinned *pinned)
{
	struct page *page __uninitialized;
	unsigned long pfn;
	long rc;

	rc = charge(pinned->owner, 1);
	if (unlikely(rc))
		return rc;
	rc = pin(pinned, 0, 1, &page);
	if (unlikely(rc < 0)) {
		uncharge(pinned->owner, 1);
		trace_pin(pinned, 0, 0, 0, rc);
		return rc;
	}
	pfn = page_to_pfn(page);
	runs_begin(&pinned->runs, pfn, 1);
	pinned->nr_whole = 1;
	trace_pin(pinned, 0, 0, 1, 0);
	return pfn;
}

int pinned_walk(struct pinned *pinned, struct interval_tree_node *part,
		struct pinned_sink *sink)
{
	unsigned long index = first_page(part), last = last_page(pinned, part);
	struct pin_batch batch __uninitialized;
	unsigned int nr;
	int rc = 0;

	batch_init(&batch, last - index + 1);
	while (!rc && index <= last) {
		mutex_lock(span_lock(pinned));
		nr = runs_read(&pinned->runs, index, last, batch.runs,
			       batch.max);
		mutex_unlock(span_lock(pinned));
		if (WARN_ON(!nr)) {
			rc = -EIO;
			break;
		}
		rc = sink->take(sink, index, batch.runs, nr, &batch);
		index += pages_of(batch.runs, nr);
		cond_resched();
	}
	batch_uninit(&batch);
	if (rc)
		sink->undo(sink);
	return rc;
}

/* What consumers of parts do not cover goes. Under the span's lock. */
static void drop_uncovered(struct pinned *pinned, unsigned long first,
			   unsigned long last)
{
	struct unpin arg = { .dirty = pinned->writable };
	unsigned long before = pinned->runs.nr_pages;
	unsigned long ufirst, ulast;

	lockdep_assert_held(span_lock(pinned));
	while (first <= last &&
	       consumers_next_uncovered(&pinned->parts, first, last, &ufirst,
					&ulast)) {
		runs_drop(&pinned->runs, ufirst, ulast, unpin, &arg);
		first = ulast + 1;
	}
	uncharge(pinned->owner, before - pinned->runs.nr_pages);
}

static void remove_part(struct pinned *pinned, struct interval_tree_node *part)
{
	unsigned long first = part->start, last = part->last, before;

	mutex_lock(span_lock(pinned));
	before = pinned->runs.nr_pages;
	interval_tree_remove(part, &pinned->parts);
	if (!pinned->nr_whole)
		drop_uncovered(pinned, first, last);
	if (!consumers_end_at(&pinned->parts, first))
		runs_join(&pinned->runs, first);
	if (!consumers_end_at(&pinned->parts, last + 1))
		runs_join(&pinned->runs, last + 1);
	trace_unpin(pinned, first, last, before - pinned->runs.nr_pages);
	mutex_unlock(span_lock(pinned));
}

/*
 * The last consumer takes all runs out, and unpins without the lock, so that the
 * time that this is held does not grow with what is mapped.
 */
static void remove_whole(struct pinned *pinned)
{
	struct unpin arg = { .dirty = pinned->writable };
	struct mutex *lock = span_lock(pinned);
	unsigned long nr_pages, before;
	struct runs runs;

	mutex_lock(lock);
	if (--pinned->nr_whole || !RB_EMPTY_ROOT(&pinned->parts.rb_root)) {
		before = pinned->runs.nr_pages;
		if (!pinned->nr_whole)
			drop_uncovered(pinned, 0, pinned->nr_pages - 1);
		nr_pages = before - pinned->runs.nr_pages;
		mutex_unlock(lock);
	} else {
		runs_move(&runs, &pinned->runs);
		mutex_unlock(lock);
		nr_pages = runs.nr_pages;
		runs_drop(&runs, 0, pinned->nr_pages - 1, unpin, &arg);
		uncharge(pinned->owner, nr_pages);
	}
	trace_unpin(pinned, 0, pinned->nr_pages - 1, nr_pages);
}

void pinned_remove(struct pinned *pinned, struct interval_tree_node *part)
{
	if (part)
		remove_part(pinned, part);
	else
		remove_whole(pinned);
}

void pinned_end(struct pinned *pinned)
{
	struct unpin arg = { .dirty = pinned->writable };
	struct runs *runs = &pinned->runs;
	unsigned long nr_pages = runs->nr_pages;

	if (!nr_pages)
		goto out_free;
	guard_by(&runs->guard, NULL);
	if (runs_is_solo(runs))
		unpin_run(runs->solo.pfn, runs->solo.nr, arg.dirty);
	else
		runs_drop(runs, 0, pinned->nr_pages - 1, unpin, &arg);
	uncharge(pinned->owner, nr_pages);
	trace_unpin(pinned, 0, pinned->nr_pages - 1, nr_pages);
out_free:
	pinned_free(pinned);
}

unsigned long pinned_count(struct pinned *pinned, unsigned long first,
			   unsigned long last)
{
	unsigned long count = last - first + 1, hole_first, hole_last;

	mutex_lock(span_lock(pinned));
	while (first <= last && runs_next_hole(&pinned->runs, first, last,
					       &hole_first, &hole_last)) {
		count -= hole_last - hole_first + 1;
		first = hole_last + 1;
	}
	mutex_unlock(span_lock(pinned));
	return count;
}

struct page *pinned_borrow(struct pinned *pinned, unsigned long index,
			   bool write, bool *is_pinned)
{
	struct page *page = NULL;
	unsigned long pfn;
	long rc;

	if (write && !pinned->writable)
		return ERR_PTR(-EPERM);
	mutex_lock(span_lock(pinned));
	*is_pinned = runs_lookup(&pinned->runs, index, &pfn);
	if (*is_pinned) {
		page = pfn_to_page(pfn);
		get_page(page);		/* outlives the lock, not the pin */
	}
	mutex_unlock(span_lock(pinned));
	if (page)
		return page;
	rc = pin(pinned, index, 1, &page);
	return rc < 0 ? ERR_PTR(rc) : page;
}

void pinned_return(struct page *page, bool is_pinned, bool dirty)
{
	if (!is_pinned) {
		unpin_user_pages_dirty_lock(&page, 1, dirty);
		return;
	}
	if (dirty)
		set_page_dirty_lock(page);
	put_page(page);
}
