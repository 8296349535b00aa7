// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev cdi: a Container Device Interface description of functions, so that a
 * container engine hands them to a container by name:
 *
 *	podman run --device vfio-cdev.local/pci=0000:01:00.0 ...
 *
 * A device of the description is one cdev; /dev/iommu stands in the part that any of
 * them brings. Version 0.5.0 is the first in which a name may begin with a digit.
 * Numbers, owner and mode of the nodes are left out: the engine takes them from the
 * host's. The path is that of the node itself, since an engine does not follow links;
 * vfioX changes with each boot, so the place for the file is /run/cdi.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "json.h"
#include "options.h"

#define VERSION_OF_CDI "0.5.0"
#define KIND "vfio-cdev.local/pci"

static void add_node(struct json_object *object, const char *path, int *rc)
{
	struct json_object *edits = *rc ? NULL : json_object_new_object();
	struct json_object *nodes, *node;

	if (!*rc && !edits)
		*rc = -ENOMEM;
	json_add(object, "containerEdits", edits, rc);
	if (*rc)
		return;
	nodes = json_add_array(edits, "deviceNodes", rc);
	node = json_add_element(nodes, rc);
	json_add_string(node, "path", path, rc);
	json_add_string(node, "type", "c", rc);
	json_add_string(node, "permissions", "rw", rc);
}

static struct json_object *describe(const struct vcdev_pci *pcis, ssize_t nr, int *rc)
{
	struct json_object *root = json_object_new_object(), *devices, *device;
	char path[64 + VCDEV_NAME_LEN];
	ssize_t i;

	*rc = root ? 0 : -ENOMEM;
	json_add_string(root, "cdiVersion", VERSION_OF_CDI, rc);
	json_add_string(root, "kind", KIND, rc);
	devices = json_add_array(root, "devices", rc);
	for (i = 0; i < nr; i++) {
		device = json_add_element(devices, rc);
		json_add_string(device, "name", pcis[i].bdf, rc);
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s", pcis[i].cdev);
		add_node(device, path, rc);
	}
	add_node(root, "/dev/iommu", rc);
	return root;
}

/* Whole or not at all: an engine reads the directory whenever it likes. */
static int write_file(struct json_object *root, const char *path)
{
	char temp[PATH_MAX];
	int rc = 0;

	/* Engines read *.json and *.yaml only. */
	if (snprintf(temp, sizeof(temp), "%s.new", path) >= (int)sizeof(temp))
		return -ENAMETOOLONG;
	errno = 0;
	if (json_object_to_file_ext(temp, root, JSON_C_TO_STRING_PRETTY |
				    JSON_C_TO_STRING_NOSLASHESCAPE) || rename(temp, path)) {
		rc = errno ? -errno : -EIO;
		unlink(temp);
	}
	return rc;
}

static int all_bound(struct vcdev_pci **pcis, int *nr_bound)
{
	struct vcdev_error err;
	ssize_t nr, i;

	nr = vcdev_pci_list(tool_host, pcis, &err);
	if (nr < 0)
		return report(NULL, "cdi", &err);
	*nr_bound = 0;
	for (i = 0; i < nr; i++)
		if ((*pcis)[i].cdev[0])
			(*pcis)[(*nr_bound)++] = (*pcis)[i];
	if (*nr_bound)
		return EXIT_OK;
	free(*pcis);
	fprintf(stderr, "vfio-cdev: cdi: no function is bound to vfio-pci\n"
		"  next: vfio-cdev bind BDF\n");
	return EXIT_FAILED;
}

static int all_named(int argc, char **argv, struct vcdev_pci **pcis)
{
	struct vcdev_error err;
	int i, k, status;

	status = look_at_all("cdi", argc, argv, pcis);
	for (i = 0; i < argc && !status; i++) {
		if (!(*pcis)[i].cdev[0]) {
			vcdev_pci_why_no_cdev(tool_host, &(*pcis)[i], &err);
			status = report((*pcis)[i].bdf, "cdi", &err);
			free(*pcis);
		}
		/* A name may stand there once only. */
		for (k = 0; k < i && !status; k++) {
			if (!strcmp((*pcis)[i].bdf, (*pcis)[k].bdf)) {
				status = report_usage("cdi", "%s is named twice", argv[i]);
				free(*pcis);
			}
		}
	}
	return status;
}

static int run_cdi(int argc, char **argv)
{
	const char *output = NULL;
	const struct option_of table[] = {
		{ "output", 'o', NULL, &output },
		{ 0 }
	};
	struct json_object *root;
	struct vcdev_pci *pcis;
	int first, nr, rc, status;

	first = parse_option_table(&command_cdi, argc, argv, table);
	if (first < 0)
		return -1 - first;
	nr = argc - first;
	status = nr ? all_named(nr, argv + first, &pcis) : all_bound(&pcis, &nr);
	if (status)
		return status;
	root = describe(pcis, nr, &rc);
	free(pcis);
	if (rc || !output) {
		rc = json_print(root, rc);
	} else {
		rc = write_file(root, output);
		json_object_put(root);
	}
	if (!rc)
		return EXIT_OK;
	fprintf(stderr, "vfio-cdev: cdi: %s%s%s\n", output ? output : "", output ? ": " : "",
		strerror(-rc));
	if (rc == -ENOENT)
		fprintf(stderr, "  next: make its directory first: mkdir -p /run/cdi\n");
	return EXIT_FAILED;
}

const struct command command_cdi = {
	.name = "cdi",
	.args = "[-o FILE] [BDF...]",
	.summary = "describe functions for container engines",
	.details =
		"  -o, --output FILE   write it there, whole or not at all (/run/cdi/vfio-cdev.json)\n"
		"\n"
		"Without BDF all that are bound. A description of the Container Device Interface,\n"
		"by which a container gets one as device " KIND "=0000:01:00.0.\n"
		"It is for this boot: numbers change.\n",
	.run = run_cdi,
};
