// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev who: which process has which device, group and context.
 *
 * A function has to do with: its own files, its group's, and the contexts that
 * these are bound to, which may be in another process than the one with the device.
 */
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsmartcols/libsmartcols.h>

#include "json.h"
#include "options.h"

#define NR_COLUMNS 9

static bool is_number(const char *text)
{
	return text[0] && strlen(text) < 10 && strspn(text, "0123456789") == strlen(text);
}

static const char *kind_name(enum vcdev_file_kind kind)
{
	static const char *const names[] = { "cdev", "device", "group", "context", "container" };

	return names[kind];
}

/* The node's path, or what it is of if it has none. */
static void file_name(const struct vcdev_file *file, char *buf, size_t size)
{
	switch (file->kind) {
	case VCDEV_FILE_CDEV:
		snprintf(buf, size, "/dev/vfio/devices/%s", file->node);
		break;
	case VCDEV_FILE_DEVICE:
		snprintf(buf, size, "device from its group");
		break;
	case VCDEV_FILE_CONTEXT:
		snprintf(buf, size, "/dev/iommu");
		break;
	default:
		snprintf(buf, size, "/dev/vfio/%s", file->node);
	}
}

static void user_name(uid_t uid, char *buf, size_t size)
{
	struct passwd *user = uid == (uid_t)-1 ? NULL : getpwuid(uid);

	if (user)
		snprintf(buf, size, "%s", user->pw_name);
	else if (uid == (uid_t)-1)
		snprintf(buf, size, "-");
	else
		snprintf(buf, size, "%u", (unsigned int)uid);
}

/* A group's file has no one device: its members stand for it. */
static void members(int group, char *buf, size_t size)
{
	struct vcdev_pci *pcis;
	size_t used = 0;
	ssize_t nr, i;

	buf[0] = '\0';
	nr = vcdev_pci_group(tool_host, group, &pcis, NULL);
	if (nr <= 0)
		return;
	for (i = 0; i < nr && used < size; i++)
		if (!pcis[i].is_bridge)
			used += snprintf(buf + used, size - used, "%s%s", used ? " " : "",
					 pcis[i].bdf);
	free(pcis);
}

static void number_or_dash(uint32_t number, char *buf, size_t size)
{
	if (number)
		snprintf(buf, size, "%" PRIu32, number);
	else
		snprintf(buf, size, "-");
}

static int add_line(struct libscols_table *table, const struct vcdev_file *file)
{
	struct libscols_line *line = scols_table_new_line(table, NULL);
	char text[NR_COLUMNS][256];
	int i, rc = line ? 0 : -ENOMEM;

	snprintf(text[0], sizeof(text[0]), "%d", (int)file->pid);
	user_name(file->uid, text[1], sizeof(text[1]));
	snprintf(text[2], sizeof(text[2]), "%s", file->comm);
	snprintf(text[3], sizeof(text[3]), "%d", file->fd);
	file_name(file, text[4], sizeof(text[4]));
	if (file->kind == VCDEV_FILE_GROUP)
		members(file->group, text[5], sizeof(text[5]));
	else
		snprintf(text[5], sizeof(text[5]), "%s", file->device);
	snprintf(text[6], sizeof(text[6]), "%s", file->state);
	number_or_dash(file->context, text[7], sizeof(text[7]));
	number_or_dash(file->ioas, text[8], sizeof(text[8]));
	for (i = 0; i < NR_COLUMNS && !rc; i++)
		rc = scols_line_set_data(line, i, text[i][0] ? text[i] : "-");
	return rc;
}

static int print_table(const struct vcdev_file *files, size_t nr)
{
	static const struct {
		const char *name;
		int flags;
	} columns[NR_COLUMNS] = {
		{ "PID", SCOLS_FL_RIGHT }, { "USER", 0 }, { "COMMAND", 0 },
		{ "FD", SCOLS_FL_RIGHT }, { "FILE", 0 }, { "DEVICE", 0 }, { "STATE", 0 },
		{ "CONTEXT", SCOLS_FL_RIGHT }, { "IOAS", SCOLS_FL_RIGHT },
	};
	struct libscols_table *table = scols_new_table();
	int rc = table ? 0 : -ENOMEM;
	size_t i;

	for (i = 0; i < NR_COLUMNS && !rc; i++)
		if (!scols_table_new_column(table, columns[i].name, 0, columns[i].flags))
			rc = -ENOMEM;
	for (i = 0; i < nr && !rc; i++)
		rc = add_line(table, &files[i]);
	if (!rc)
		rc = scols_print_table(table);
	scols_unref_table(table);
	return rc;
}

static int print_json(const struct vcdev_file *files, size_t nr, size_t nr_hidden)
{
	struct json_object *root = json_object_new_object(), *array, *object;
	int rc = root ? 0 : -ENOMEM;
	char path[128];
	size_t i;

	array = json_add_array(root, "files", &rc);
	for (i = 0; i < nr; i++) {
		const struct vcdev_file *file = &files[i];

		object = json_add_element(array, &rc);
		json_add_number(object, "pid", file->pid, &rc);
		if (file->uid == (uid_t)-1)
			json_add(object, "uid", NULL, &rc);
		else
			json_add_number(object, "uid", file->uid, &rc);
		json_add_string(object, "command", file->comm, &rc);
		json_add_number(object, "fd", file->fd, &rc);
		json_add_string(object, "kind", kind_name(file->kind), &rc);
		file_name(file, path, sizeof(path));
		json_add_string(object, "path", path[0] == '/' ? path : "", &rc);
		json_add_string(object, "device", file->device, &rc);
		if (file->group >= 0)
			json_add_number(object, "group", file->group, &rc);
		else
			json_add(object, "group", NULL, &rc);
		json_add_string(object, "state", file->state, &rc);
		if (file->context)
			json_add_number(object, "context", file->context, &rc);
		else
			json_add(object, "context", NULL, &rc);
		if (file->ioas)
			json_add_number(object, "ioas", file->ioas, &rc);
		else
			json_add(object, "ioas", NULL, &rc);
	}
	json_add_bool(root, "complete", !nr_hidden, &rc);
	return json_print(root, rc);
}

static bool is_context(const struct vcdev_file *file)
{
	return file->kind == VCDEV_FILE_CONTEXT || file->kind == VCDEV_FILE_CONTAINER;
}

/* Keep those of one device and of the contexts that it is bound to. */
static size_t keep_device(struct vcdev_file *files, size_t nr, const struct vcdev_pci *pci,
			  const struct vcdev_mdev *mdev)
{
	bool *keep = calloc(nr ? nr : 1, sizeof(*keep));
	size_t i, j, kept = 0;

	if (!keep)
		return 0;
	for (i = 0; i < nr; i++)
		keep[i] = pci ? vcdev_file_is_of(&files[i], pci) :
			vcdev_file_is_of_mdev(&files[i], mdev);
	for (i = 0; i < nr; i++)
		for (j = 0; j < nr && is_context(&files[i]); j++)
			if (keep[j] && !is_context(&files[j]) && files[i].context &&
			    files[j].context == files[i].context)
				keep[i] = true;
	for (i = 0; i < nr; i++)
		if (keep[i])
			files[kept++] = files[i];
	free(keep);
	return kept;
}

static int run_who(int argc, char **argv)
{
	struct vcdev_mdev mdev, *mediated = NULL;
	struct vcdev_pci pci, *function = NULL;
	const char *name = NULL;
	struct vcdev_file *files;
	struct vcdev_error err;
	size_t nr_hidden = 0;
	bool json = false;
	pid_t pid = 0;
	int first, rc;
	ssize_t nr;

	first = parse_options(&command_who, argc, argv, &json);
	if (first < 0)
		return -1 - first;
	if (argc - first > 1)
		return report_usage("who", "one function or process at a time");
	if (first < argc)
		name = argv[first];
	if (name && is_number(name)) {
		pid = atoi(name);
		if (!pid)
			return report_usage("who", "there is no process 0");
	} else if (name && !vcdev_mdev_find(tool_host, name, &mdev, NULL)) {
		mediated = &mdev;
	} else if (name) {
		rc = vcdev_pci_find(tool_host, name, &pci, &err);
		if (rc) {
			report(name, "who", &err);
			return rc == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
		}
		function = &pci;
	}
	nr = vcdev_files(tool_host, pid, &files, &nr_hidden, &err);
	if (nr < 0)
		return report(name, "who", &err);
	if (function || mediated)
		nr = keep_device(files, nr, function, mediated);
	rc = json ? print_json(files, nr, nr_hidden) : print_table(files, nr);
	if (!rc && !nr && !json && !tool_quiet)
		printf("%s%s\n", name ? name : "nobody has a device, group or context open",
		       !name ? "" : pid ? ": no device, group or context is open" :
		       ": nobody has it open");
	free(files);
	if (rc) {
		fprintf(stderr, "vfio-cdev: who: %s\n", strerror(-rc));
		return EXIT_FAILED;
	}
	remark_hidden("who", nr_hidden);
	return EXIT_OK;
}

const struct command command_who = {
	.name = "who",
	.args = "[--json] [BDF|UUID|PID]",
	.summary = "show who has devices, groups and contexts open",
	.details =
		"  --json   machine-readable\n"
		"\n"
		"Of a function (or the UUID of a mediated device): who has it or its group, and\n"
		"the context that it is bound to. Of a process: all that it has. Without an\n"
		"argument: everybody. STATE is opened, bound or attached; CONTEXT and IOAS tell\n"
		"to what; they need modules that show it in fdinfo.\n",
	.run = run_who,
};
