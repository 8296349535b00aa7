// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev info of a mediated device: what sysfs tells, and who has it open. It is
 * never opened: what a vendor's driver does then is not known, and what it has is
 * what its type promises.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "info.h"
#include "json.h"

/**
 * struct mdev_info - all that is shown
 * @mdev: from sysfs
 * @type: attributes of its type, "" if it has none
 * @files: open files, those of the device first
 * @nr_files: so many are the device's
 * @nr_hidden: processes that could not be looked into
 */
struct mdev_info {
	const struct vcdev_mdev *mdev;
	struct {
		char description[512], api[64], available[32];
	} type;
	struct vcdev_file *files;
	size_t nr_files, nr_hidden;
};

/* All lines of an attribute as one, "" if it is not there. */
static void read_type(const struct vcdev_mdev *mdev, const char *name, char *buf, size_t size)
{
	char path[4096];
	size_t length;
	FILE *file;

	buf[0] = '\0';
	if (snprintf(path, sizeof(path), "%s/sys/bus/mdev/devices/%s/mdev_type/%s",
		     tool_host->root, mdev->uuid, name) >= (int)sizeof(path))
		return;
	file = fopen(path, "re");
	if (!file)
		return;
	length = fread(buf, 1, size - 1, file);
	fclose(file);
	while (length && buf[length - 1] == '\n')
		length--;
	buf[length] = '\0';
	while (length--)
		if (buf[length] == '\n')
			buf[length] = ' ';
}

static int gather(struct mdev_info *info)
{
	struct vcdev_error err;
	ssize_t nr, i;

	read_type(info->mdev, "description", info->type.description,
		  sizeof(info->type.description));
	read_type(info->mdev, "device_api", info->type.api, sizeof(info->type.api));
	read_type(info->mdev, "available_instances", info->type.available,
		  sizeof(info->type.available));
	nr = vcdev_files(tool_host, 0, &info->files, &info->nr_hidden, &err);
	if (nr < 0)
		return nr;
	for (i = 0; i < nr; i++)
		if (vcdev_file_is_of_mdev(&info->files[i], info->mdev))
			info->files[info->nr_files++] = info->files[i];
	return 0;
}

static void print_text(const struct mdev_info *info)
{
	const struct vcdev_mdev *mdev = info->mdev;
	size_t i;

	printf("%s mediated device of %s\n", mdev->uuid, mdev->parent[0] ? mdev->parent : "?");
	printf("  type       %s%s%s%s\n", mdev->type[0] ? mdev->type : "unknown",
	       mdev->type_name[0] ? " (" : "", mdev->type_name, mdev->type_name[0] ? ")" : "");
	if (info->type.description[0])
		printf("             %s\n", info->type.description);
	if (info->type.api[0])
		printf("  is like    %s\n", info->type.api);
	if (info->type.available[0])
		printf("  available  %s more of this type\n", info->type.available);
	printf("  driver     %s\n", mdev->driver[0] ? mdev->driver : "none");
	if (mdev->cdev[0])
		printf("  cdev       /dev/vfio/devices/%s\n", mdev->cdev);
	else
		printf("  cdev       none\n");
	for (i = 0; i < info->nr_files; i++)
		printf("  in use by  process %d (%s), fd %d\n", (int)info->files[i].pid,
		       info->files[i].comm, info->files[i].fd);
	if (mdev->group >= 0)
		printf("  group      %d\n", mdev->group);
	else
		printf("  group      none\n");
	if (mdev->numa_node >= 0)
		printf("  NUMA node  %d\n", mdev->numa_node);
}

static int print_json(const struct mdev_info *info)
{
	struct json_object *root = json_object_new_object(), *array, *object;
	const struct vcdev_mdev *mdev = info->mdev;
	int rc = root ? 0 : -ENOMEM;
	size_t i;

	json_add_string(root, "uuid", mdev->uuid, &rc);
	json_add_string(root, "parent", mdev->parent, &rc);
	json_add_string(root, "mdev_type", mdev->type, &rc);
	json_add_string(root, "mdev_name", mdev->type_name, &rc);
	json_add_string(root, "description", info->type.description, &rc);
	json_add_string(root, "device_api", info->type.api, &rc);
	if (info->type.available[0])
		json_add_number(root, "available_instances", atoll(info->type.available), &rc);
	else
		json_add(root, "available_instances", NULL, &rc);
	json_add_string(root, "driver", mdev->driver, &rc);
	json_add_string(root, "cdev", mdev->cdev, &rc);
	if (mdev->group >= 0)
		json_add_number(root, "group", mdev->group, &rc);
	else
		json_add(root, "group", NULL, &rc);
	if (mdev->numa_node >= 0)
		json_add_number(root, "numa_node", mdev->numa_node, &rc);
	else
		json_add(root, "numa_node", NULL, &rc);
	array = json_add_array(root, "holders", &rc);
	for (i = 0; i < info->nr_files; i++) {
		object = json_add_element(array, &rc);
		json_add_number(object, "pid", info->files[i].pid, &rc);
		json_add_number(object, "fd", info->files[i].fd, &rc);
		json_add_string(object, "comm", info->files[i].comm, &rc);
	}
	return json_print(root, rc);
}

int info_mdev(const struct vcdev_mdev *mdev, bool json)
{
	struct mdev_info info = { .mdev = mdev };
	int rc;

	rc = gather(&info);
	if (rc)
		return rc;
	if (json)
		rc = print_json(&info);
	else
		print_text(&info);
	free(info.files);
	if (!rc)
		remark_hidden("info", info.nr_hidden);
	return rc;
}
