/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What "list" shows: functions and mediated devices, each with the open files that
 * hold it. Gathered by list.c, printed by list-print.c.
 */
#ifndef VFIO_CDEV_LIST_H
#define VFIO_CDEV_LIST_H

#include "tool.h"

/**
 * struct list_row - one device
 * @pci: the function, NULL for a mediated device
 * @mdev: the mediated device, NULL for a function
 * @is_shown: passed the filters
 * @above: the row that it hangs below in a tree, -1 for none
 */
struct list_row {
	const struct vcdev_pci *pci;
	const struct vcdev_mdev *mdev;
	bool is_shown;
	ssize_t above;
};

/**
 * struct listing - all of it
 * @names: for names of functions
 * @rows: functions in order of address, then mediated devices
 * @files: all open files
 * @nr_hidden: processes that could not be looked into
 */
struct listing {
	struct names names;
	struct vcdev_pci *pcis;
	struct vcdev_mdev *mdevs;
	struct list_row *rows;
	size_t nr_rows;
	struct vcdev_file *files;
	size_t nr_files, nr_hidden;
};

/* Is @file one that holds the device? */
bool list_is_holder(const struct list_row *row, const struct vcdev_file *file);

#define LIST_MAX_COLUMNS 32

/*
 * Which columns: @text is names divided by commas, "+" in front for those beside the
 * usual ones, or "all"; NULL is all for @json and the usual ones without. Returns
 * their number, or -1 with the wrong name in @wrong.
 */
int list_columns(const char *text, bool json, unsigned int chosen[LIST_MAX_COLUMNS],
		 char wrong[32]);
/* Names of all columns, for the help. */
void list_print_columns(void);
/* Both return 0 or a negative errno. */
int list_print_table(struct listing *listing, const unsigned int *chosen, int nr, bool tree);
int list_print_json(struct listing *listing, const unsigned int *chosen, int nr, bool tree);

#endif
