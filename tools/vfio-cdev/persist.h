/* SPDX-License-Identifier: GPL-2.0 */
/* Records of the driver that functions get at each boot. See persist.c. */
#ifndef VFIO_CDEV_PERSIST_H
#define VFIO_CDEV_PERSIST_H

#include "tool.h"

/**
 * struct persist - the record of a function
 * @is_there: there is one
 * @driver: the driver that it names
 */
struct persist {
	bool is_there;
	char driver[VCDEV_NAME_LEN];
};

/* The file, for messages; valid until the next call. */
const char *persist_path(const char *bdf);
void persist_get(const char *bdf, struct persist *record);
/* Write or, if not @record->is_there, remove it. Returns 0 or a negative errno. */
int persist_set(const char *bdf, const struct persist *record, struct vcdev_error *err);
/*
 * The same for @nr functions, or those of before if one fails. Errors are printed as
 * those of @command. Returns an exit status.
 */
int persist_set_all(const char *command, const struct vcdev_pci *pcis, int nr,
		    const struct persist *record);

#endif
