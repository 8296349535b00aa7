// SPDX-License-Identifier: GPL-2.0
/*
 * Who has devices, groups and contexts open. Read only, and the only place that
 * looks through /proc.
 *
 * A file is recognized by what /proc/PID/fd/N points to. The path is that of the
 * process's own mount namespace, and a container may have the nodes elsewhere than
 * below /dev: only the end of it counts. What the file is bound to stands in its
 * fdinfo, if the modules show it (docs/fdinfo.md): one that does not, as the
 * distribution's, leaves the fields empty. Processes and files come and go
 * meanwhile; what has gone is left out.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

struct file_list {
	struct vcdev_file *list;
	size_t nr, room;
};

static int files_add(struct file_list *files, const struct vcdev_file *file)
{
	struct vcdev_file *grown;

	if (files->nr == files->room) {
		size_t room = files->room ? 2 * files->room : 8;

		grown = reallocarray(files->list, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		files->list = grown;
		files->room = room;
	}
	files->list[files->nr++] = *file;
	return 0;
}

static bool is_number(const char *text)
{
	return text[0] && strspn(text, "0123456789") == strlen(text);
}

/* What follows the last @part of @path, or NULL. */
static const char *after(const char *path, const char *part)
{
	const char *found = NULL, *at;

	for (at = strstr(path, part); at; at = strstr(at + 1, part))
		found = at + strlen(part);
	return found;
}

/* Is it one of ours, by where the link points? A node that was removed is, too. */
static bool recognize(char *target, struct vcdev_file *file)
{
	static const char deleted[] = " (deleted)";
	size_t length = strlen(target), tail = sizeof(deleted) - 1;
	const char *cdev = after(target, "/vfio/devices/");
	const char *node = after(target, "/vfio/");

	if (length > tail && !strcmp(target + length - tail, deleted))
		target[length - tail] = '\0';
	file->group = -1;
	file->node[0] = '\0';
	if (!strcmp(target, "anon_inode:[vfio-device]")) {
		file->kind = VCDEV_FILE_DEVICE;
		return true;
	}
	if (cdev && !strncmp(cdev, "vfio", 4) && is_number(cdev + 4)) {
		file->kind = VCDEV_FILE_CDEV;
		node = cdev;
	} else if (node && !strcmp(node, "vfio")) {
		file->kind = VCDEV_FILE_CONTAINER;
	} else if (node && (is_number(node) ||
			    (!strncmp(node, "noiommu-", 8) && is_number(node + 8)))) {
		file->kind = VCDEV_FILE_GROUP;
		file->group = atoi(node + (node[0] == 'n' ? 8 : 0));
	} else if (!strcmp(target, "/dev/iommu")) {
		file->kind = VCDEV_FILE_CONTEXT;
		node = "iommu";
	} else {
		return false;
	}
	if (strlen(node) >= sizeof(file->node))
		return false;
	strcpy(file->node, node);
	return true;
}

/* Is @line "key:<tab>value" of fdinfo with that key? Then @value is the value. */
static bool is_line(char *line, const char *key, const char **value)
{
	size_t length = strlen(key);

	if (strncmp(line, key, length) || line[length] != ':')
		return false;
	line[strcspn(line, "\n")] = '\0';
	*value = line + length + 1 + strspn(line + length + 1, " \t");
	return true;
}

/* fdinfo of a context may be long: it is read up to the number, which comes first. */
static void read_fdinfo(const struct vcdev_host *host, const char *pid, const char *fd,
			struct vcdev_file *file)
{
	struct vcdev_path path;
	char line[512];
	const char *value;
	FILE *fdinfo;

	file->device[0] = '\0';
	file->state[0] = '\0';
	file->context = 0;
	file->ioas = 0;
	if (file->kind == VCDEV_FILE_GROUP)
		return;
	vcdev_path(host, &path, "/proc/%s/fdinfo/%s", pid, fd);
	fdinfo = fopen(path.s, "re");
	if (!fdinfo)
		return;
	while (fgets(line, sizeof(line), fdinfo)) {
		if (is_line(line, "context", &value)) {
			file->context = strtoul(value, NULL, 10);
			break;
		}
		if (is_line(line, "device", &value))
			snprintf(file->device, sizeof(file->device), "%s", value);
		else if (is_line(line, "state", &value))
			snprintf(file->state, sizeof(file->state), "%s", value);
		else if (is_line(line, "iommufd", &value))
			file->context = strtoul(value, NULL, 10);
		else if (is_line(line, "ioas", &value))
			file->ioas = strtoul(value, NULL, 10);
	}
	fclose(fdinfo);
}

/* Without fdinfo the device of a node is what sysfs says. */
static void device_of_node(const struct vcdev_host *host, struct vcdev_file *file)
{
	struct vcdev_path path;

	if (file->kind != VCDEV_FILE_CDEV || file->device[0])
		return;
	vcdev_path(host, &path, "/sys/class/vfio-dev/%s/device", file->node);
	if (vcdev_link_name(&path, file->device, sizeof(file->device)))
		file->device[0] = '\0';
}

/* Returns 0 or a negative errno: -EACCES if the process may not be looked into. */
static int files_of_process(const struct vcdev_host *host, const char *pid,
			    struct file_list *files)
{
	struct vcdev_file file = { .pid = atoi(pid), .uid = (uid_t)-1 };
	struct vcdev_path path, link;
	char target[PATH_MAX];
	struct dirent *entry;
	struct stat st;
	ssize_t length;
	DIR *dir;
	int rc = 0;

	vcdev_path(host, &path, "/proc/%s/fd", pid);
	dir = opendir(path.s);
	if (!dir)
		return -errno;
	while (!rc && (entry = readdir(dir))) {
		if (!is_number(entry->d_name))
			continue;
		vcdev_path(host, &link, "/proc/%s/fd/%s", pid, entry->d_name);
		length = readlink(link.s, target, sizeof(target) - 1);
		if (length < 0)
			continue;
		target[length] = '\0';
		if (!recognize(target, &file))
			continue;
		file.fd = atoi(entry->d_name);
		read_fdinfo(host, pid, entry->d_name, &file);
		device_of_node(host, &file);
		vcdev_path(host, &path, "/proc/%s/comm", pid);
		if (vcdev_attr_read(&path, file.comm, sizeof(file.comm)) < 0)
			strcpy(file.comm, "?");
		vcdev_path(host, &path, "/proc/%s", pid);
		if (!stat(path.s, &st))
			file.uid = st.st_uid;
		rc = files_add(files, &file);
	}
	closedir(dir);
	return rc;
}

static int files_of_all(const struct vcdev_host *host, struct file_list *files,
			size_t *nr_hidden, struct vcdev_error *err)
{
	struct vcdev_path path;
	struct dirent *entry;
	DIR *dir;
	int rc = 0;

	vcdev_path(host, &path, "/proc");
	dir = opendir(path.s);
	if (!dir) {
		rc = -errno;
		return vcdev_fail(err, rc, "cannot read /proc: %s", strerror(-rc));
	}
	while (rc != -ENOMEM && (entry = readdir(dir))) {
		if (!is_number(entry->d_name))
			continue;
		rc = files_of_process(host, entry->d_name, files);
		if (rc == -EACCES)
			++*nr_hidden;
	}
	closedir(dir);
	return rc == -ENOMEM ? vcdev_fail(err, rc, "out of memory") : 0;
}

static int compare_files(const void *a, const void *b)
{
	const struct vcdev_file *left = a, *right = b;

	if (left->pid != right->pid)
		return left->pid < right->pid ? -1 : 1;
	return (left->fd > right->fd) - (left->fd < right->fd);
}

ssize_t vcdev_files(const struct vcdev_host *host, pid_t pid,
		    struct vcdev_file **list, size_t *nr_hidden,
		    struct vcdev_error *err)
{
	struct file_list files = { 0 };
	size_t hidden = 0;
	char text[16];
	int rc;

	if (pid) {
		snprintf(text, sizeof(text), "%d", (int)pid);
		rc = files_of_process(host, text, &files);
		if (rc == -ENOENT) {
			rc = vcdev_fail(err, -ESRCH, "there is no process %d", (int)pid);
		} else if (rc == -EACCES) {
			vcdev_fail(err, rc, "only root sees the files of process %d", (int)pid);
			vcdev_hint(err, "run this as root or as the user of that process");
		} else if (rc) {
			vcdev_fail(err, rc, "cannot read /proc/%d/fd: %s", (int)pid,
				   strerror(-rc));
		}
	} else {
		rc = files_of_all(host, &files, &hidden, err);
	}
	if (rc) {
		free(files.list);
		return rc;
	}
	if (files.nr)
		qsort(files.list, files.nr, sizeof(*files.list), compare_files);
	*list = files.list;
	if (nr_hidden)
		*nr_hidden = hidden;
	return files.nr;
}

/* @name on its bus, @cdev and @group as in struct vcdev_pci */
static bool is_of(const struct vcdev_file *file, const char *name, const char *cdev, int group)
{
	switch (file->kind) {
	case VCDEV_FILE_CDEV:
		return cdev[0] && !strcmp(file->node, cdev);
	case VCDEV_FILE_DEVICE:
		return !strcmp(file->device, name);
	case VCDEV_FILE_GROUP:
		return group >= 0 && file->group == group;
	default:
		return false;
	}
}

bool vcdev_file_is_of(const struct vcdev_file *file, const struct vcdev_pci *pci)
{
	return is_of(file, pci->bdf, pci->cdev, pci->group);
}

bool vcdev_file_is_of_mdev(const struct vcdev_file *file, const struct vcdev_mdev *mdev)
{
	return is_of(file, mdev->uuid, mdev->cdev, mdev->group);
}

ssize_t vcdev_pci_holders(const struct vcdev_host *host,
			  const struct vcdev_pci *pci,
			  struct vcdev_holder **list, struct vcdev_error *err)
{
	struct vcdev_holder *holders;
	struct vcdev_file *files;
	ssize_t nr_files, i;
	size_t nr = 0;

	nr_files = vcdev_files(host, 0, &files, NULL, err);
	if (nr_files < 0)
		return nr_files;
	holders = calloc(nr_files ? nr_files : 1, sizeof(*holders));
	if (!holders) {
		free(files);
		return vcdev_fail(err, -ENOMEM, "out of memory");
	}
	for (i = 0; i < nr_files; i++) {
		if (!vcdev_file_is_of(&files[i], pci))
			continue;
		holders[nr].pid = files[i].pid;
		holders[nr].fd = files[i].fd;
		memcpy(holders[nr++].comm, files[i].comm, sizeof(holders->comm));
	}
	free(files);
	/* None: nothing to free, as for all lists. */
	if (!nr) {
		free(holders);
		holders = NULL;
	}
	*list = holders;
	return nr;
}

/* @except: a process that does not count, or 0 */
static bool name_holders(const struct vcdev_host *host, const struct vcdev_pci *pci,
			 pid_t except, char *buf, size_t size)
{
	struct vcdev_holder *list;
	size_t used = 0;
	ssize_t nr, i;
	pid_t last = 0;

	buf[0] = '\0';
	nr = vcdev_pci_holders(host, pci, &list, NULL);
	if (nr <= 0)
		return false;
	for (i = 0; i < nr && used < size; i++) {
		if (list[i].pid == last || list[i].pid == except)
			continue;
		last = list[i].pid;
		used += snprintf(buf + used, size - used, "%sprocess %d (%s)",
				 used ? ", " : "", (int)list[i].pid, list[i].comm);
	}
	free(list);
	return used;
}

bool vcdev_name_holders(const struct vcdev_host *host,
			const struct vcdev_pci *pci, char *buf, size_t size)
{
	return name_holders(host, pci, 0, buf, size);
}

bool vcdev_name_sibling_holders(const struct vcdev_host *host,
				const struct vcdev_pci *pci, pid_t except,
				char sibling[VCDEV_BDF_LEN], char *buf, size_t size)
{
	struct vcdev_pci *members;
	bool has = false;
	ssize_t nr, i;

	if (pci->group < 0)
		return false;
	nr = vcdev_pci_group(host, pci->group, &members, NULL);
	if (nr < 0)
		return false;
	for (i = 0; i < nr && !has; i++) {
		if (!strcmp(members[i].bdf, pci->bdf) || !members[i].cdev[0])
			continue;
		has = name_holders(host, &members[i], except, buf, size);
		if (has)
			memcpy(sibling, members[i].bdf, VCDEV_BDF_LEN);
	}
	free(members);
	return has;
}
