// SPDX-License-Identifier: GPL-2.0
/*
 * The driver that a function gets at each boot, and whenever it appears.
 *
 * A record is that of driverctl(8): the file /etc/driverctl.d/pci-BDF, with the name
 * of the driver. One place for both, so that either shows and removes what the other
 * has set, and a function never has two answers. Where driverctl is installed its
 * udev rule and service act on it; our rule (tools/udev/60-vfio-cdev.rules) does where
 * it is not: it names the driver in driver_override before modules are loaded for the
 * function.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "persist.h"

#define RECORDS "/etc/driverctl.d"

static int fail(struct vcdev_error *err, int rc, const char *verb, const char *path)
{
	const char *hint = "";

	if (rc == -EACCES || rc == -EPERM)
		hint = "run this as root";
	else if (rc == -EROFS)
		hint = "/etc is read-only here: leave --persist out, or make it writable";
	snprintf(err->text, sizeof(err->text), "cannot %s %s: %s", verb, path, strerror(-rc));
	snprintf(err->hint, sizeof(err->hint), "%s", hint);
	return rc;
}

const char *persist_path(const char *bdf)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s" RECORDS "/pci-%s", tool_host->root, bdf);
	return path;
}

void persist_get(const char *bdf, struct persist *record)
{
	FILE *file = fopen(persist_path(bdf), "re");

	memset(record, 0, sizeof(*record));
	if (!file)
		return;
	record->is_there = true;
	if (fgets(record->driver, sizeof(record->driver), file))
		record->driver[strcspn(record->driver, "\n")] = '\0';
	fclose(file);
}

static int record_write(FILE *file, const char *driver)
{
	int rc = 0;

	if (fprintf(file, "%s\n", driver) < 0 || fflush(file) || fsync(fileno(file)))
		rc = -errno;
	if (fclose(file) && !rc)
		rc = -errno;
	return rc;
}

int persist_set(const char *bdf, const struct persist *record, struct vcdev_error *err)
{
	const char *path = persist_path(bdf);
	char dir[PATH_MAX], temp[PATH_MAX + 4];
	FILE *file;
	int rc;

	if (!record->is_there) {
		if (unlink(path) && errno != ENOENT)
			return fail(err, -errno, "remove", path);
		return 0;
	}
	snprintf(dir, sizeof(dir), "%s" RECORDS, tool_host->root);
	if (mkdir(dir, 0755) && errno != EEXIST)
		return fail(err, -errno, "create", dir);
	/* Whole or not at all. The name fits no device, so that nobody reads it. */
	snprintf(temp, sizeof(temp), "%s.new", path);
	file = fopen(temp, "we");
	if (!file)
		return fail(err, -errno, "write", temp);
	rc = record_write(file, record->driver);
	if (!rc && rename(temp, path))
		rc = -errno;
	if (rc) {
		unlink(temp);
		return fail(err, rc, "write", path);
	}
	return 0;
}

int persist_set_all(const char *command, const struct vcdev_pci *pcis, int nr,
		    const struct persist *record)
{
	struct persist *before = calloc(nr, sizeof(*before));
	struct vcdev_error err;
	int i, status = EXIT_OK;
	char action[64];

	if (!before) {
		fprintf(stderr, "vfio-cdev: %s: out of memory\n", command);
		return EXIT_FAILED;
	}
	for (i = 0; i < nr; i++) {
		persist_get(pcis[i].bdf, &before[i]);
		if (!persist_set(pcis[i].bdf, record, &err))
			continue;
		snprintf(action, sizeof(action), "%s --persist", command);
		status = report(pcis[i].bdf, action, &err);
		snprintf(action, sizeof(action), "undo %s --persist", command);
		while (i-- > 0)
			if (persist_set(pcis[i].bdf, &before[i], &err))
				report(pcis[i].bdf, action, &err);
		break;
	}
	free(before);
	return status;
}
