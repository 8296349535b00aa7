// SPDX-License-Identifier: GPL-2.0
/* "list": the columns, as a table, a tree or JSON. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <libsmartcols/libsmartcols.h>

#include "list.h"
#include "json.h"

typedef void (*value_fn)(struct listing *listing, const struct list_row *row, char *buf,
			 size_t size);

/**
 * struct column - one column
 * @name: head of the table, in lower case the key in JSON
 * @is_number: a number in JSON; an empty value is null there
 * @is_usual: is shown if no columns are asked for
 * @flags: of libsmartcols
 * @value: writes the value of a row, "" for none
 * @help: what it is
 */
struct column {
	const char *name;
	bool is_number, is_usual;
	int flags;
	value_fn value;
	const char *help;
};

static void value_bdf(struct listing *listing, const struct list_row *row, char *buf,
		      size_t size)
{
	(void)listing;
	snprintf(buf, size, "%s", row->pci ? row->pci->bdf : row->mdev->uuid);
}

static void value_kind(struct listing *listing, const struct list_row *row, char *buf,
		       size_t size)
{
	const struct vcdev_pci *pci = row->pci;

	(void)listing;
	snprintf(buf, size, "%s", !pci ? "mdev" : pci->is_bridge ? "bridge" :
		 pci->pf[0] ? "vf" : pci->total_vfs ? "pf" : "function");
}

static void value_driver(struct listing *listing, const struct list_row *row, char *buf,
			 size_t size)
{
	(void)listing;
	snprintf(buf, size, "%s", row->pci ? row->pci->driver : row->mdev->driver);
}

static void value_override(struct listing *listing, const struct list_row *row, char *buf,
			   size_t size)
{
	(void)listing;
	if (row->pci)
		snprintf(buf, size, "%s", row->pci->override);
}

static void value_group(struct listing *listing, const struct list_row *row, char *buf,
			size_t size)
{
	int group = row->pci ? row->pci->group : row->mdev->group;

	(void)listing;
	if (group >= 0)
		snprintf(buf, size, "%d", group);
}

static void value_cdev(struct listing *listing, const struct list_row *row, char *buf,
		       size_t size)
{
	(void)listing;
	snprintf(buf, size, "%s", row->pci ? row->pci->cdev : row->mdev->cdev);
}

/* "PF 2/7" is a PF with 2 of its 7 VFs. */
static void value_sriov(struct listing *listing, const struct list_row *row, char *buf,
			size_t size)
{
	const struct vcdev_pci *pci = row->pci;

	(void)listing;
	if (pci && pci->pf[0])
		snprintf(buf, size, "VF of %s", pci->pf);
	else if (pci && pci->total_vfs)
		snprintf(buf, size, "PF %u/%u", pci->nr_vfs, pci->total_vfs);
	else if (!pci)
		snprintf(buf, size, "mdev of %s", row->mdev->parent);
}

bool list_is_holder(const struct list_row *row, const struct vcdev_file *file)
{
	return row->pci ? vcdev_file_is_of(file, row->pci) :
		vcdev_file_is_of_mdev(file, row->mdev);
}

static const struct vcdev_file *next_holder(const struct listing *listing,
					    const struct list_row *row, size_t *at)
{
	while (*at < listing->nr_files)
		if (list_is_holder(row, &listing->files[(*at)++]))
			return &listing->files[*at - 1];
	return NULL;
}

/* "?" where somebody could have it whom we may not look into. */
static void value_holder(struct listing *listing, const struct list_row *row, char *buf,
			 size_t size)
{
	const struct vcdev_file *file;
	size_t used = 0, at = 0;

	while ((file = next_holder(listing, row, &at)) && used < size)
		used += snprintf(buf + used, size - used, "%s%s[%d]:%d", used ? ", " : "",
				 file->comm, (int)file->pid, file->fd);
	if (!used && listing->nr_hidden &&
	    (row->mdev || row->pci->cdev[0] || strstr(row->pci->driver, "vfio")))
		snprintf(buf, size, "?");
}

/* Of the file of the device that says most. */
static const struct vcdev_file *bound_file(const struct listing *listing,
					   const struct list_row *row)
{
	const struct vcdev_file *file, *best = NULL;
	size_t at = 0;

	while ((file = next_holder(listing, row, &at)))
		if (file->state[0] && (!best || file->ioas || (file->context && !best->ioas)))
			best = file;
	return best;
}

static void value_state(struct listing *listing, const struct list_row *row, char *buf,
			size_t size)
{
	const struct vcdev_file *file = bound_file(listing, row);

	if (file)
		snprintf(buf, size, "%s", file->state);
}

static void value_context(struct listing *listing, const struct list_row *row, char *buf,
			  size_t size)
{
	const struct vcdev_file *file = bound_file(listing, row);

	if (file && file->context)
		snprintf(buf, size, "%" PRIu32, file->context);
}

static void value_ioas(struct listing *listing, const struct list_row *row, char *buf,
		       size_t size)
{
	const struct vcdev_file *file = bound_file(listing, row);

	if (file && file->ioas)
		snprintf(buf, size, "%" PRIu32, file->ioas);
}

static void value_vendor(struct listing *listing, const struct list_row *row, char *buf,
			 size_t size)
{
	if (row->pci)
		names_vendor(&listing->names, row->pci, buf, size);
}

static void value_device(struct listing *listing, const struct list_row *row, char *buf,
			 size_t size)
{
	if (row->pci)
		names_device(&listing->names, row->pci, buf, size);
	else
		snprintf(buf, size, "%s",
			 row->mdev->type_name[0] ? row->mdev->type_name : row->mdev->type);
}

static void value_name(struct listing *listing, const struct list_row *row, char *buf,
		       size_t size)
{
	char vendor[128] = "", device[128] = "";

	value_vendor(listing, row, vendor, sizeof(vendor));
	value_device(listing, row, device, sizeof(device));
	snprintf(buf, size, "%s%s%s", vendor, vendor[0] ? " " : "", device);
}

static void value_vendor_id(struct listing *listing, const struct list_row *row, char *buf,
			    size_t size)
{
	(void)listing;
	if (row->pci)
		snprintf(buf, size, "%04x", row->pci->vendor);
}

static void value_device_id(struct listing *listing, const struct list_row *row, char *buf,
			    size_t size)
{
	(void)listing;
	if (row->pci)
		snprintf(buf, size, "%04x", row->pci->device);
}

static void value_class(struct listing *listing, const struct list_row *row, char *buf,
			size_t size)
{
	(void)listing;
	if (row->pci)
		snprintf(buf, size, "%06" PRIx32, row->pci->class_code);
}

static void value_type(struct listing *listing, const struct list_row *row, char *buf,
		       size_t size)
{
	(void)listing;
	if (row->mdev)
		snprintf(buf, size, "%s", row->mdev->type);
}

static void value_pf(struct listing *listing, const struct list_row *row, char *buf, size_t size)
{
	(void)listing;
	if (row->pci)
		snprintf(buf, size, "%s", row->pci->pf);
}

static void value_parent(struct listing *listing, const struct list_row *row, char *buf,
			 size_t size)
{
	if (row->mdev)
		snprintf(buf, size, "%s", row->mdev->parent);
	else if (row->above >= 0)
		snprintf(buf, size, "%s", listing->rows[row->above].pci->bdf);
}

static void value_nr_vfs(struct listing *listing, const struct list_row *row, char *buf,
			 size_t size)
{
	(void)listing;
	if (row->pci && row->pci->total_vfs)
		snprintf(buf, size, "%u", row->pci->nr_vfs);
}

static void value_total_vfs(struct listing *listing, const struct list_row *row, char *buf,
			    size_t size)
{
	(void)listing;
	if (row->pci && row->pci->total_vfs)
		snprintf(buf, size, "%u", row->pci->total_vfs);
}

static void value_numa(struct listing *listing, const struct list_row *row, char *buf,
		       size_t size)
{
	int node = row->pci ? row->pci->numa_node : row->mdev->numa_node;

	(void)listing;
	if (node >= 0)
		snprintf(buf, size, "%d", node);
}

#define RIGHT SCOLS_FL_RIGHT
#define TRUNC SCOLS_FL_TRUNC

static const struct column columns[] = {
	{ "BDF",	false, true,  0,     value_bdf,	 "address; of a mediated device its UUID" },
	{ "DRIVER",	false, true,  0,     value_driver, "driver that has it" },
	{ "GROUP",	true,  true,  RIGHT, value_group, "IOMMU group" },
	{ "CDEV",	false, true,  0,     value_cdev, "name below /dev/vfio/devices" },
	{ "SRIOV",	false, true,  0,     value_sriov, "PF with VFs/most, or whose VF or part" },
	{ "HOLDER",	false, true,  0,     value_holder, "command[process]:fd that has it open" },
	{ "NAME",	false, true,  TRUNC, value_name, "vendor and device" },
	{ "KIND",	false, false, 0,     value_kind, "function, pf, vf, bridge or mdev" },
	{ "VENDOR",	false, false, TRUNC, value_vendor, "vendor's name" },
	{ "DEVICE",	false, false, TRUNC, value_device, "device's name, or mdev type" },
	{ "VENDOR_ID",	false, false, 0,     value_vendor_id, "number of the vendor" },
	{ "DEVICE_ID",	false, false, 0,     value_device_id, "number of the device" },
	{ "CLASS",	false, false, 0,     value_class, "class, subclass, interface" },
	{ "MDEV_TYPE",	false, false, 0,     value_type, "type of a mediated device" },
	{ "PARENT",	false, false, 0,     value_parent, "PF, bridge or device above it" },
	{ "PF",		false, false, 0,     value_pf, "PF of a VF" },
	{ "NR_VFS",	true,  false, RIGHT, value_nr_vfs, "VFs that it has" },
	{ "TOTAL_VFS",	true,  false, RIGHT, value_total_vfs, "VFs that it can have" },
	{ "NUMA_NODE",	true,  false, RIGHT, value_numa, "NUMA node" },
	{ "OVERRIDE",	false, false, 0,     value_override, "driver_override" },
	{ "STATE",	false, false, 0,     value_state, "opened, bound or attached" },
	{ "CONTEXT",	true,  false, RIGHT, value_context, "iommufd context that has it" },
	{ "IOAS",	true,  false, RIGHT, value_ioas, "address space that it is attached to" },
};

#define NR_COLUMNS (sizeof(columns) / sizeof(columns[0]))

_Static_assert(NR_COLUMNS <= LIST_MAX_COLUMNS, "room for all columns");

int list_columns(const char *text, bool json, unsigned int chosen[LIST_MAX_COLUMNS],
		 char wrong[32])
{
	bool all = text ? !strcasecmp(text, "all") : json;
	size_t length;
	unsigned int i;
	int nr = 0;

	if (!text || all || text[0] == '+')
		for (i = 0; i < NR_COLUMNS; i++)
			if (all || columns[i].is_usual)
				chosen[nr++] = i;
	if (!text || all)
		return nr;
	text += text[0] == '+';
	for (;; text += length + 1) {
		length = strcspn(text, ",");
		for (i = 0; i < NR_COLUMNS; i++)
			if (strlen(columns[i].name) == length &&
			    !strncasecmp(columns[i].name, text, length))
				break;
		if (i == NR_COLUMNS || nr == LIST_MAX_COLUMNS) {
			snprintf(wrong, 32, "%.*s", (int)length, text);
			return -1;
		}
		chosen[nr++] = i;
		if (!text[length])
			return nr;
	}
}

void list_print_columns(void)
{
	unsigned int i;

	for (i = 0; i < NR_COLUMNS; i++)
		printf("  %-10s %s\n", columns[i].name, columns[i].help);
}

/* ------------------------------------------------------------------ table */

struct table {
	struct listing *listing;
	const unsigned int *chosen;
	int nr_chosen;
	struct libscols_table *table;
};

static int add_line(struct table *table, const struct list_row *row,
		    struct libscols_line *above, struct libscols_line **line)
{
	char value[1024];
	int i, rc;

	*line = scols_table_new_line(table->table, above);
	if (!*line)
		return -ENOMEM;
	for (i = 0; i < table->nr_chosen; i++) {
		const struct column *column = &columns[table->chosen[i]];

		value[0] = '\0';
		column->value(table->listing, row, value, sizeof(value));
		rc = scols_line_set_data(*line, i, value[0] ? value : "-");
		if (rc)
			return rc;
		if (value[0] && column->value == value_cdev)
			scols_cell_set_color(scols_line_get_cell(*line, i), "green");
		else if (value[0] && column->value == value_holder)
			scols_cell_set_color(scols_line_get_cell(*line, i), "brown");
	}
	return 0;
}

/* Those below the row @above, -1 for those below none. */
static int add_branch(struct table *table, ssize_t above, struct libscols_line *above_line)
{
	struct listing *listing = table->listing;
	struct libscols_line *line;
	size_t i;
	int rc = 0;

	for (i = 0; i < listing->nr_rows && !rc; i++) {
		if (!listing->rows[i].is_shown || listing->rows[i].above != above)
			continue;
		rc = add_line(table, &listing->rows[i], above_line, &line);
		if (!rc)
			rc = add_branch(table, i, line);
	}
	return rc;
}

int list_print_table(struct listing *listing, const unsigned int *chosen, int nr, bool tree)
{
	struct table table = { .listing = listing, .chosen = chosen, .nr_chosen = nr };
	struct libscols_line *line;
	size_t row;
	int i, rc = 0;

	table.table = scols_new_table();
	if (!table.table)
		return -ENOMEM;
	scols_table_enable_colors(table.table, tool_colour());
	for (i = 0; i < nr && !rc; i++) {
		const struct column *column = &columns[chosen[i]];
		int flags = column->flags;

		if (tree && column->value == value_bdf)
			flags |= SCOLS_FL_TREE;
		if (!scols_table_new_column(table.table, column->name, 0, flags))
			rc = -ENOMEM;
	}
	if (!rc && tree)
		rc = add_branch(&table, -1, NULL);
	for (row = 0; row < listing->nr_rows && !rc && !tree; row++)
		if (listing->rows[row].is_shown)
			rc = add_line(&table, &listing->rows[row], NULL, &line);
	if (!rc)
		rc = scols_print_table(table.table);
	scols_unref_table(table.table);
	return rc;
}

/* ------------------------------------------------------------------- JSON */

static void add_holders(struct json_object *object, const struct listing *listing,
			const struct list_row *row, int *rc)
{
	static const char *const kinds[] = { "cdev", "device", "group", "context", "container" };
	struct json_object *array = json_add_array(object, "holders", rc), *element;
	const struct vcdev_file *file;
	size_t at = 0;

	while ((file = next_holder(listing, row, &at))) {
		element = json_add_element(array, rc);
		json_add_number(element, "pid", file->pid, rc);
		json_add_number(element, "fd", file->fd, rc);
		json_add_string(element, "command", file->comm, rc);
		json_add_string(element, "file", kinds[file->kind], rc);
	}
}

static struct json_object *add_object(struct listing *listing, const struct list_row *row,
				      const unsigned int *chosen, int nr,
				      struct json_object *array, int *rc)
{
	struct json_object *object = json_add_element(array, rc);
	char key[32], value[1024];
	size_t j;
	int i;

	for (i = 0; i < nr && !*rc; i++) {
		const struct column *column = &columns[chosen[i]];

		for (j = 0; column->name[j]; j++)
			key[j] = tolower((unsigned char)column->name[j]);
		key[j] = '\0';
		value[0] = '\0';
		column->value(listing, row, value, sizeof(value));
		if (column->is_number && value[0])
			json_add_number(object, key, strtoll(value, NULL, 10), rc);
		else
			json_add_string(object, key, value, rc);
		if (column->value == value_holder)
			add_holders(object, listing, row, rc);
	}
	return object;
}

static void add_objects(struct listing *listing, const unsigned int *chosen, int nr, bool tree,
			ssize_t above, struct json_object *array, int *rc)
{
	struct json_object *object;
	size_t i;

	for (i = 0; i < listing->nr_rows && !*rc; i++) {
		const struct list_row *row = &listing->rows[i];

		if (!row->is_shown || (tree && row->above != above))
			continue;
		object = add_object(listing, row, chosen, nr, array, rc);
		if (tree)
			add_objects(listing, chosen, nr, tree, i,
				    json_add_array(object, "children", rc), rc);
	}
}

int list_print_json(struct listing *listing, const unsigned int *chosen, int nr, bool tree)
{
	struct json_object *root = json_object_new_object();
	int rc = root ? 0 : -ENOMEM;

	add_objects(listing, chosen, nr, tree, -1, json_add_array(root, "devices", &rc), &rc);
	json_add_bool(root, "holders_complete", !listing->nr_hidden, &rc);
	return json_print(root, rc);
}
