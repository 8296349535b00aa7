// SPDX-License-Identifier: GPL-2.0
/*
 * Is a file system mounted from a disk of a PCI function? Taking the driver away
 * would take the disk from under it.
 *
 * A mount has a device number, and sysfs says where that device hangs: below the
 * function, as a rule. A namespace of an NVMe subsystem (multipath) hangs below
 * the subsystem instead, which links to its controllers. File systems with a
 * number of their own (btrfs) are found by the source that they were mounted from.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "internal.h"

static bool names_function(const char *path, const char *bdf)
{
	char part[VCDEV_BDF_LEN + 2];

	snprintf(part, sizeof(part), "/%s/", bdf);
	return strstr(path, part) != NULL;
}

/* @path is in a subsystem's directory: does one of its controllers hang there? */
static bool subsystem_has_function(const char *path, const char *bdf)
{
	static const char class_dir[] = "/nvme-subsystem/";
	char dir_path[PATH_MAX], target[PATH_MAX];
	struct vcdev_path link;
	struct dirent *entry;
	const char *end;
	bool has = false;
	DIR *dir;

	end = strstr(path, class_dir);
	if (!end)
		return false;
	end += strlen(class_dir);
	end += strcspn(end, "/");
	snprintf(dir_path, sizeof(dir_path), "%.*s", (int)(end - path), path);
	dir = opendir(dir_path);
	if (!dir)
		return false;
	while (!has && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "nvme", 4) ||
		    snprintf(link.s, sizeof(link.s), "%s/%s", dir_path, entry->d_name) >=
		    (int)sizeof(link.s) || !realpath(link.s, target))
			continue;
		has = names_function(target, bdf);
	}
	closedir(dir);
	return has;
}

static bool is_disk_of(const struct vcdev_host *host, unsigned int major_nr,
		       unsigned int minor_nr, const char *bdf)
{
	char target[PATH_MAX];
	struct vcdev_path path;

	vcdev_path(host, &path, "/sys/dev/block/%u:%u", major_nr, minor_nr);
	if (!realpath(path.s, target))
		return false;
	return names_function(target, bdf) || subsystem_has_function(target, bdf);
}

static bool line_is_of(const struct vcdev_host *host, const char *line, const char *bdf,
		       char where[256])
{
	unsigned int major_nr, minor_nr;
	struct vcdev_path path;
	const char *separator;
	char source[256];
	struct stat st;

	if (sscanf(line, "%*d %*d %u:%u %*s %255s", &major_nr, &minor_nr, where) != 3)
		return false;
	if (is_disk_of(host, major_nr, minor_nr, bdf))
		return true;
	separator = strstr(line, " - ");
	if (!separator || sscanf(separator, " - %*s %255s", source) != 1 || source[0] != '/')
		return false;
	vcdev_path(host, &path, "%s", source);
	return !stat(path.s, &st) && S_ISBLK(st.st_mode) &&
		is_disk_of(host, major(st.st_rdev), minor(st.st_rdev), bdf);
}

bool vcdev_find_mount(const struct vcdev_host *host, const char *bdf, char where[256])
{
	struct vcdev_path path;
	bool found = false;
	char *line = NULL;
	size_t size = 0;
	FILE *file;

	vcdev_path(host, &path, "/proc/self/mountinfo");
	file = fopen(path.s, "re");
	if (!file)
		return false;
	while (!found && getline(&line, &size, file) > 0)
		found = line_is_of(host, line, bdf, where);
	free(line);
	fclose(file);
	return found;
}
