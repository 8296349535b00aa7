/* SPDX-License-Identifier: GPL-2.0 */
/*
 * How much memory a page table takes, and how much of it a user may have.
 *
 * 6.1's IOMMU drivers allocate page tables without charging anybody, and keep
 * what they have allocated when little or nothing is mapped any more, AMD's until
 * the table goes. So neither what is mapped nor what is pinned bounds it: one page
 * that is mapped here and there in turn could take all memory. What does is the
 * number of places of the IOVA space where something was ever mapped.
 */
#ifndef IOMMUFD_TABLE_ACCOUNT_H
#define IOMMUFD_TABLE_ACCOUNT_H

#include <linux/compiler.h>
#include <linux/mutex.h>
#include <linux/xarray.h>

struct iommufd_ctx;
struct table_user;

/* What one page of the lowest level translates: 512 entries of 4 KiB. */
#define TABLE_BLOCK_SHIFT	21
/* What is best counted at once. */
#define TABLE_WORD_SHIFT	(TABLE_BLOCK_SHIFT + 5)

struct table_account {
	struct table_user *user;	/* NULL: not limited */
	unsigned long last_block;	/* one that is counted; read without lock */
	struct mutex lock;		/* what follows */
	struct xarray blocks;		/* bits of those that are counted */
	unsigned long nr_tables;
};

/* For a new, empty table of the caller's; @ictx is told why not. 0 or -ENOMEM. */
int table_account_init(struct table_account *account, struct iommufd_ctx *ictx);

/* The table is gone, and its memory. */
void table_account_uninit(struct table_account *account);

int table_account_grow(struct table_account *account, struct iommufd_ctx *ictx,
		       unsigned long iova, unsigned long last);

/**
 * table_account_add - something is about to be mapped
 * @account: of the table
 * @ictx: context that is told why not
 * @iova: first byte
 * @last: last byte
 *
 * What is counted stays so, whatever is unmapped, until the table goes.
 *
 * Return: 0; -ENOMEM when the user would have more tables than allowed, or there
 * is no memory to note it.
 */
static inline int table_account_add(struct table_account *account,
				    struct iommufd_ctx *ictx,
				    unsigned long iova, unsigned long last)
{
	unsigned long block = iova >> TABLE_BLOCK_SHIFT;

	if (!account->user || (block == last >> TABLE_BLOCK_SHIFT &&
			       block == READ_ONCE(account->last_block)))
		return 0;
	return table_account_grow(account, ictx, iova, last);
}

#endif
