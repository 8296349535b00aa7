// SPDX-License-Identifier: GPL-2.0
/* vfio-cdev list: PCI functions, as a table or as JSON. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libsmartcols/libsmartcols.h>

#include "tool.h"
#include "options.h"

/**
 * struct column - one column
 * @name: head of the table, in lower case the key in JSON
 * @json: type of the value in JSON; an empty value is null there
 * @in_table: is in the table for people, too
 * @flags: of libsmartcols
 * @value: writes the value of a function
 */
struct column {
	const char *name;
	int json;
	bool in_table;
	int flags;
	void (*value)(struct names *names, const struct vcdev_pci *pci, char *buf, size_t size);
};

static void value_bdf(struct names *names, const struct vcdev_pci *pci, char *buf, size_t size)
{
	(void)names;
	snprintf(buf, size, "%s", pci->bdf);
}

static void value_driver(struct names *names, const struct vcdev_pci *pci, char *buf,
			 size_t size)
{
	(void)names;
	snprintf(buf, size, "%s", pci->driver);
}

static void value_group(struct names *names, const struct vcdev_pci *pci, char *buf,
			size_t size)
{
	(void)names;
	if (pci->group >= 0)
		snprintf(buf, size, "%d", pci->group);
}

static void value_cdev(struct names *names, const struct vcdev_pci *pci, char *buf, size_t size)
{
	(void)names;
	snprintf(buf, size, "%s", pci->cdev);
}

/* "PF 2/7" is a PF with 2 of its 7 VFs. */
static void value_sriov(struct names *names, const struct vcdev_pci *pci, char *buf,
			size_t size)
{
	(void)names;
	if (pci->pf[0])
		snprintf(buf, size, "VF of %s", pci->pf);
	else if (pci->total_vfs)
		snprintf(buf, size, "PF %u/%u", pci->nr_vfs, pci->total_vfs);
}

static void value_name(struct names *names, const struct vcdev_pci *pci, char *buf, size_t size)
{
	char vendor[128], device[128];

	names_vendor(names, pci, vendor, sizeof(vendor));
	names_device(names, pci, device, sizeof(device));
	snprintf(buf, size, "%s %s", vendor, device);
}

static void value_vendor(struct names *names, const struct vcdev_pci *pci, char *buf,
			 size_t size)
{
	(void)names;
	snprintf(buf, size, "%04x", pci->vendor);
}

static void value_device(struct names *names, const struct vcdev_pci *pci, char *buf,
			 size_t size)
{
	(void)names;
	snprintf(buf, size, "%04x", pci->device);
}

static void value_class(struct names *names, const struct vcdev_pci *pci, char *buf,
			size_t size)
{
	(void)names;
	snprintf(buf, size, "%06" PRIx32, pci->class_code);
}

static void value_pf(struct names *names, const struct vcdev_pci *pci, char *buf, size_t size)
{
	(void)names;
	snprintf(buf, size, "%s", pci->pf);
}

static void value_nr_vfs(struct names *names, const struct vcdev_pci *pci, char *buf,
			 size_t size)
{
	(void)names;
	if (pci->total_vfs)
		snprintf(buf, size, "%u", pci->nr_vfs);
}

static void value_total_vfs(struct names *names, const struct vcdev_pci *pci, char *buf,
			    size_t size)
{
	(void)names;
	if (pci->total_vfs)
		snprintf(buf, size, "%u", pci->total_vfs);
}

static void value_numa(struct names *names, const struct vcdev_pci *pci, char *buf, size_t size)
{
	(void)names;
	if (pci->numa_node >= 0)
		snprintf(buf, size, "%d", pci->numa_node);
}

static const struct column columns[] = {
	{ "BDF",	SCOLS_JSON_STRING, true,  0,		      value_bdf },
	{ "DRIVER",	SCOLS_JSON_STRING, true,  0,		      value_driver },
	{ "GROUP",	SCOLS_JSON_NUMBER, true,  SCOLS_FL_RIGHT,     value_group },
	{ "CDEV",	SCOLS_JSON_STRING, true,  0,		      value_cdev },
	{ "SRIOV",	SCOLS_JSON_STRING, true,  0,		      value_sriov },
	{ "NAME",	SCOLS_JSON_STRING, true,  SCOLS_FL_TRUNC,     value_name },
	{ "VENDOR_ID",	SCOLS_JSON_STRING, false, 0,		      value_vendor },
	{ "DEVICE_ID",	SCOLS_JSON_STRING, false, 0,		      value_device },
	{ "CLASS",	SCOLS_JSON_STRING, false, 0,		      value_class },
	{ "PF",		SCOLS_JSON_STRING, false, 0,		      value_pf },
	{ "NR_VFS",	SCOLS_JSON_NUMBER, false, 0,		      value_nr_vfs },
	{ "TOTAL_VFS",	SCOLS_JSON_NUMBER, false, 0,		      value_total_vfs },
	{ "NUMA_NODE",	SCOLS_JSON_NUMBER, false, 0,		      value_numa },
};

#define NR_COLUMNS (sizeof(columns) / sizeof(columns[0]))

static int fill_line(struct libscols_table *table, struct names *names,
		     const struct vcdev_pci *pci, bool json)
{
	struct libscols_line *line;
	char value[512];
	size_t i, at = 0;
	int rc;

	line = scols_table_new_line(table, NULL);
	if (!line)
		return -ENOMEM;
	for (i = 0; i < NR_COLUMNS; i++) {
		if (!json && !columns[i].in_table)
			continue;
		value[0] = '\0';
		columns[i].value(names, pci, value, sizeof(value));
		if (!json && !value[0])
			strcpy(value, "-");
		rc = scols_line_set_data(line, at++, value);
		if (rc)
			return rc;
	}
	return 0;
}

static int print_table(struct names *names, const struct vcdev_pci *pcis, size_t nr, bool json)
{
	struct libscols_table *table;
	size_t i;
	int rc = 0;

	table = scols_new_table();
	if (!table)
		return -ENOMEM;
	scols_table_enable_json(table, json);
	scols_table_set_name(table, "devices");
	for (i = 0; i < NR_COLUMNS; i++) {
		struct libscols_column *column;

		if (!json && !columns[i].in_table)
			continue;
		column = scols_table_new_column(table, columns[i].name, 0, columns[i].flags);
		if (!column) {
			rc = -ENOMEM;
			goto out_unref_table;
		}
		scols_column_set_json_type(column, columns[i].json);
	}
	for (i = 0; i < nr && !rc; i++)
		rc = fill_line(table, names, &pcis[i], json);
	/* An empty table prints nothing at all: not what JSON readers expect. */
	if (!rc && json && !nr)
		fputs("{\n   \"devices\": []\n}\n", stdout);
	else if (!rc)
		rc = scols_print_table(table);
out_unref_table:
	scols_unref_table(table);
	return rc;
}

static int run_list(int argc, char **argv)
{
	struct vcdev_pci *pcis = NULL;
	struct vcdev_error err;
	bool json = false;
	struct names names;
	ssize_t nr, i;
	int first, rc;

	first = parse_options(&command_list, argc, argv, &json);
	if (first < 0)
		return -1 - first;
	if (first < argc) {
		nr = argc - first;
		rc = look_at_all("list", nr, argv + first, &pcis);
		if (rc)
			return rc;
	} else {
		nr = vcdev_pci_list(tool_host, &pcis, &err);
		if (nr < 0)
			return report(NULL, "list", &err);
	}
	names_init(&names);
	rc = print_table(&names, pcis, nr, json);
	names_uninit(&names);
	if (rc) {
		fprintf(stderr, "vfio-cdev: list: %s\n", strerror(-rc));
		free(pcis);
		return EXIT_FAILED;
	}
	/* Say why nothing here can be assigned; it is no failure of the list. */
	for (i = 0; i < nr && pcis[i].group < 0; i++)
		;
	if (nr && i == nr && vcdev_iommu_present(tool_host, &err))
		report(NULL, "list", &err);
	free(pcis);
	return EXIT_OK;
}

const struct command command_list = {
	.name = "list",
	.args = "[--json] [BDF...]",
	.summary = "show PCI functions, their drivers, groups and cdevs",
	.details =
		"  --json   machine-readable, with more fields\n"
		"\n"
		"SRIOV: 'PF 2/7' is a PF with 2 of its 7 VFs.\n",
	.run = run_list,
};
