// SPDX-License-Identifier: GPL-2.0
/*
 * Bounding the memory of page tables, for each user. table_account.h says why.
 *
 * The formats of all x86 IOMMUs have 512 entries a page and levels that translate
 * 2 MiB, 1 GiB, 512 GiB and 256 TiB. A block of 2 MiB in which something has
 * been mapped counts as one page, and so does each range of a higher level in
 * which a block counts: at least what the driver has allocated, and for memory
 * without gaps hardly more than 1/512 of it. (Large IOMMU pages save the page
 * that is counted; nobody knows before whether they can be used.) What a table
 * has from the beginning counts as two pages, or empty ones were without limit.
 *
 * The bits of 32 blocks, 64 MiB, are one value of an xarray.
 */
#include <linux/bitops.h>
#include <linux/capability.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/list.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/user.h>
#include <linux/sizes.h>
#include <linux/slab.h>

#include "reason.h"
#include "table_account.h"

static unsigned int table_limit;
module_param(table_limit, uint, 0644);
MODULE_PARM_DESC(table_limit,
		 "Memory in MiB that the I/O page tables of a user without CAP_IPC_LOCK may take (default: 0, a sixteenth of all memory)");

#define DEFAULT_PART	16	/* of all memory */
#define WORD_BLOCKS	(1U << (TABLE_WORD_SHIFT - TABLE_BLOCK_SHIFT))
#define LEVEL_BITS	9
#define TOP_SHIFT	48	/* what a table below the root translates */
#define NEW_TABLES	2	/* of a new one: the root, and what goes with it */

/* Users that have tables. They are few. */
struct table_user {
	struct list_head link;		/* users; users_lock */
	unsigned int nr_accounts;	/* users_lock */
	struct user_struct *user;
	atomic_long_t nr_tables;
};

static DEFINE_MUTEX(users_lock);
static LIST_HEAD(users);

static struct table_user *user_find(struct user_struct *user)
{
	struct table_user *tuser;

	lockdep_assert_held(&users_lock);
	list_for_each_entry(tuser, &users, link)
		if (tuser->user == user)
			return tuser;
	return NULL;
}

static struct table_user *user_get(struct user_struct *user)
{
	struct table_user *tuser;

	mutex_lock(&users_lock);
	tuser = user_find(user);
	if (!tuser) {
		tuser = kzalloc(sizeof(*tuser), GFP_KERNEL_ACCOUNT);
		if (!tuser)
			goto out_unlock;
		tuser->user = get_uid(user);
		list_add(&tuser->link, &users);
	}
	tuser->nr_accounts++;
out_unlock:
	mutex_unlock(&users_lock);
	return tuser;
}

static void user_put(struct table_user *tuser)
{
	mutex_lock(&users_lock);
	if (!--tuser->nr_accounts) {
		WARN_ON(atomic_long_read(&tuser->nr_tables));
		list_del(&tuser->link);
		free_uid(tuser->user);
		kfree(tuser);
	}
	mutex_unlock(&users_lock);
}

/* In pages. */
static unsigned long limit(void)
{
	unsigned long mib = READ_ONCE(table_limit);

	return mib ? mib << (20 - PAGE_SHIFT) : totalram_pages() / DEFAULT_PART;
}

static int user_charge(struct table_user *tuser, struct iommufd_ctx *ictx,
		       unsigned long nr_tables)
{
	unsigned long max = limit();
	unsigned long old = atomic_long_read(&tuser->nr_tables);

	do {
		if (nr_tables > max || old > max - nr_tables)
			return reason_set(ictx, -ENOMEM,
					  "I/O page tables of the user may take %lu kB (iommufd.table_limit), %lu kB of it are in use: mappings are too scattered, or were",
					  max << (PAGE_SHIFT - 10),
					  old << (PAGE_SHIFT - 10));
	} while (!atomic_long_try_cmpxchg(&tuser->nr_tables, (long *)&old,
					  old + nr_tables));
	return 0;
}

int table_account_init(struct table_account *account, struct iommufd_ctx *ictx)
{
	int rc;

	account->user = NULL;
	account->last_block = ULONG_MAX;
	account->nr_tables = 0;
	mutex_init(&account->lock);
	xa_init_flags(&account->blocks, XA_FLAGS_ACCOUNT);
	if (capable(CAP_IPC_LOCK))
		return 0;
	account->user = user_get(current_user());
	if (!account->user)
		return -ENOMEM;
	rc = user_charge(account->user, ictx, NEW_TABLES);
	if (rc) {
		user_put(account->user);
		return rc;
	}
	account->nr_tables = NEW_TABLES;
	return 0;
}

void table_account_uninit(struct table_account *account)
{
	if (!account->user)
		return;
	xa_destroy(&account->blocks);
	atomic_long_sub(account->nr_tables, &account->user->nr_tables);
	user_put(account->user);
}

/* Levels above the lowest that have nothing yet where a word is. */
static unsigned int upper_tables(struct table_account *account,
				 unsigned long index)
{
	unsigned long first, last, mask;
	unsigned int shift, nr = 0;

	lockdep_assert_held(&account->lock);
	for (shift = TABLE_BLOCK_SHIFT + LEVEL_BITS; shift <= TOP_SHIFT;
	     shift += LEVEL_BITS) {
		mask = (1UL << (shift - TABLE_WORD_SHIFT)) - 1;
		first = index & ~mask;
		last = index | mask;
		if (xa_find(&account->blocks, &first, last, XA_PRESENT))
			break;
		nr++;
	}
	return nr;
}

static int grow_word(struct table_account *account, struct iommufd_ctx *ictx,
		     unsigned long index, u32 mask)
{
	void *entry = xa_load(&account->blocks, index);
	unsigned long bits = entry ? xa_to_value(entry) : 0;
	unsigned long nr_tables = hweight32(mask & ~bits);
	int rc;

	if (!nr_tables)
		return 0;
	if (!bits)
		nr_tables += upper_tables(account, index);
	rc = user_charge(account->user, ictx, nr_tables);
	if (rc)
		return rc;
	rc = xa_err(xa_store(&account->blocks, index, xa_mk_value(bits | mask),
			     GFP_KERNEL_ACCOUNT));
	if (rc) {
		atomic_long_sub(nr_tables, &account->user->nr_tables);
		return rc;
	}
	account->nr_tables += nr_tables;
	return 0;
}

int table_account_grow(struct table_account *account, struct iommufd_ctx *ictx,
		       unsigned long iova, unsigned long last)
{
	unsigned long block = iova >> TABLE_BLOCK_SHIFT;
	unsigned long last_block = last >> TABLE_BLOCK_SHIFT, end;
	int rc = 0;

	mutex_lock(&account->lock);
	for (; block <= last_block; block = end + 1) {
		end = min(last_block, block | (WORD_BLOCKS - 1));
		rc = grow_word(account, ictx, block / WORD_BLOCKS,
			       GENMASK(end % WORD_BLOCKS, block % WORD_BLOCKS));
		if (rc)
			goto out_unlock;
		cond_resched();
	}
	WRITE_ONCE(account->last_block, last_block);
out_unlock:
	mutex_unlock(&account->lock);
	return rc;
}
