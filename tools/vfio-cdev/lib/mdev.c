// SPDX-License-Identifier: GPL-2.0
/*
 * What sysfs says about mediated devices: parts of a device that its kernel driver
 * shares out. They are named by a UUID and hang below the device that they are of.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "internal.h"

static void read_name(const struct vcdev_host *host, const char *uuid, const char *attr,
		      char *buf, size_t size)
{
	struct vcdev_path path;

	vcdev_path(host, &path, "/sys/bus/mdev/devices/%s/%s", uuid, attr);
	if (vcdev_link_name(&path, buf, size))
		buf[0] = '\0';
}

/* The directory above that of the device is the one it is of. */
static void read_parent(const struct vcdev_host *host, struct vcdev_mdev *mdev)
{
	struct vcdev_path path;
	char real[PATH_MAX];
	char *slash;

	vcdev_path(host, &path, "/sys/bus/mdev/devices/%s", mdev->uuid);
	if (!realpath(path.s, real))
		return;
	slash = strrchr(real, '/');
	*slash = '\0';
	slash = strrchr(real, '/');
	if (slash && strlen(slash + 1) < sizeof(mdev->parent))
		strcpy(mdev->parent, slash + 1);
}

static void read_cdev(const struct vcdev_host *host, struct vcdev_mdev *mdev)
{
	struct vcdev_path path;
	struct dirent *entry;
	DIR *dir;

	vcdev_path(host, &path, "/sys/bus/mdev/devices/%s/vfio-dev", mdev->uuid);
	dir = opendir(path.s);
	if (!dir)
		return;
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= sizeof(mdev->cdev))
			continue;
		vcdev_path(host, &path, "/sys/bus/mdev/devices/%s/vfio-dev/%s/dev", mdev->uuid,
			   entry->d_name);
		if (vcdev_exists(&path))
			strcpy(mdev->cdev, entry->d_name);
	}
	closedir(dir);
}

static int compare_mdevs(const void *a, const void *b)
{
	const struct vcdev_mdev *left = a, *right = b;

	return strcmp(left->uuid, right->uuid);
}

static void mdev_fill(const struct vcdev_host *host, const char *uuid, struct vcdev_mdev *mdev)
{
	char group[VCDEV_NAME_LEN];
	struct vcdev_path path;
	uint64_t node;

	memset(mdev, 0, sizeof(*mdev));
	strcpy(mdev->uuid, uuid);
	read_parent(host, mdev);
	read_name(host, uuid, "mdev_type", mdev->type, sizeof(mdev->type));
	read_name(host, uuid, "driver", mdev->driver, sizeof(mdev->driver));
	read_name(host, uuid, "iommu_group", group, sizeof(group));
	mdev->group = group[0] ? atoi(group) : -1;
	read_cdev(host, mdev);
	vcdev_path(host, &path, "/sys/bus/mdev/devices/%s/mdev_type/name", uuid);
	if (vcdev_attr_read(&path, mdev->type_name, sizeof(mdev->type_name)) < 0)
		mdev->type_name[0] = '\0';
	mdev->numa_node = -1;
	vcdev_path(host, &path, "/sys/bus/pci/devices/%s/numa_node", mdev->parent);
	if (!vcdev_attr_u64(&path, &node) && node < 4096)
		mdev->numa_node = node;
}

ssize_t vcdev_mdev_list(const struct vcdev_host *host, struct vcdev_mdev **list,
			struct vcdev_error *err)
{
	struct vcdev_mdev *found = NULL, *grown;
	struct vcdev_path path;
	struct dirent *entry;
	size_t nr = 0;
	DIR *dir;
	int rc;

	*list = NULL;
	vcdev_path(host, &path, "/sys/bus/mdev/devices");
	dir = opendir(path.s);
	if (!dir) {
		rc = -errno;
		/* The module mdev is not loaded: there are none. */
		if (rc == -ENOENT)
			return 0;
		return vcdev_fail(err, rc, "cannot read %s: %s", path.s, strerror(-rc));
	}
	while ((entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || strlen(entry->d_name) >= VCDEV_UUID_LEN)
			continue;
		grown = reallocarray(found, nr + 1, sizeof(*found));
		if (!grown) {
			free(found);
			closedir(dir);
			return vcdev_fail(err, -ENOMEM, "out of memory");
		}
		found = grown;
		mdev_fill(host, entry->d_name, &found[nr++]);
	}
	closedir(dir);
	if (nr)
		qsort(found, nr, sizeof(*found), compare_mdevs);
	*list = found;
	return nr;
}

int vcdev_mdev_find(const struct vcdev_host *host, const char *name,
		    struct vcdev_mdev *mdev, struct vcdev_error *err)
{
	const char *last = strrchr(name, '/');
	struct vcdev_mdev *list;
	bool found = false;
	ssize_t nr, i;

	last = last ? last + 1 : name;
	nr = vcdev_mdev_list(host, &list, err);
	if (nr < 0)
		return nr;
	for (i = 0; i < nr && !found; i++) {
		found = !strcasecmp(list[i].uuid, name) ||
			(list[i].cdev[0] && !strcmp(list[i].cdev, last));
		if (found)
			*mdev = list[i];
	}
	free(list);
	if (found)
		return 0;
	vcdev_fail(err, -ENODEV, "there is no mediated device %s", name);
	vcdev_hint(err, "'vfio-cdev list' shows all");
	return -ENODEV;
}
