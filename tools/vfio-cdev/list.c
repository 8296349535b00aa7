// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev list: PCI functions and mediated devices, and who uses them.
 *
 * Everything is read once: functions, mediated devices, open files of all
 * processes. Then rows are chosen by name and by filters, which all have to fit.
 * In a tree the bridges and PFs above a chosen row are shown, too.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "list.h"
#include "options.h"

/* What the command line asks for; NULL and false are no filter. */
struct filter {
	const char *driver, *group, *id, *class_code, *numa, *pf;
	bool vfio, used;
};

static bool is_made_of(const char *text, const char *digits, size_t most)
{
	return text[0] && strlen(text) <= most && strspn(text, digits) == strlen(text);
}

/* Filters that nothing can ever fit. Returns an exit status. */
static int check_filter(struct filter *filter, char pf[VCDEV_BDF_LEN])
{
	static const char decimal[] = "0123456789", hex[] = "0123456789abcdefABCDEF";
	const char *id = filter->id;

	if (filter->group && !is_made_of(filter->group, decimal, 9))
		return report_usage("list", "'%s' is no IOMMU group", filter->group);
	if (filter->numa && !is_made_of(filter->numa, decimal, 9))
		return report_usage("list", "'%s' is no NUMA node", filter->numa);
	if (filter->class_code && !is_made_of(filter->class_code, hex, 6))
		return report_usage("list", "'%s' is no class, nor its first digits",
				    filter->class_code);
	if (id && (strspn(id, hex) != 4 || (id[4] && (id[4] != ':' || strlen(id) != 9 ||
						      strspn(id + 5, hex) != 4))))
		return report_usage("list", "'%s' is no vendor, nor vendor:device", id);
	if (filter->pf) {
		if (vcdev_bdf_parse(filter->pf, pf))
			return report_usage("list", "'%s' is no PCI address", filter->pf);
		filter->pf = pf;
	}
	return EXIT_OK;
}

static bool number_fits(const char *wanted, int value)
{
	return atoi(wanted) == value;
}

/* "1b36" or "1b36:0010" */
static bool id_fits(const char *wanted, const struct vcdev_pci *pci)
{
	char id[16];

	if (!pci)
		return false;
	snprintf(id, sizeof(id), "%04x:%04x", pci->vendor, pci->device);
	return !strcasecmp(wanted, id) || (strlen(wanted) == 4 && !strncasecmp(wanted, id, 4));
}

/* The first digits: "01" is all storage, "0108" NVM controllers. */
static bool class_fits(const char *wanted, const struct vcdev_pci *pci)
{
	char text[8];

	if (!pci)
		return false;
	snprintf(text, sizeof(text), "%06" PRIx32, pci->class_code);
	return strlen(wanted) && !strncasecmp(wanted, text, strlen(wanted));
}

static bool is_used(const struct listing *listing, const struct list_row *row)
{
	size_t i;

	for (i = 0; i < listing->nr_files; i++)
		if (list_is_holder(row, &listing->files[i]))
			return true;
	return false;
}

static bool fits(const struct listing *listing, const struct list_row *row,
		 const struct filter *filter)
{
	const struct vcdev_pci *pci = row->pci;
	const char *driver = pci ? pci->driver : row->mdev->driver;
	const char *cdev = pci ? pci->cdev : row->mdev->cdev;

	if (filter->driver &&
	    strcmp(driver, strcmp(filter->driver, "none") ? filter->driver : ""))
		return false;
	if (filter->group &&
	    !number_fits(filter->group, pci ? pci->group : row->mdev->group))
		return false;
	if (filter->numa &&
	    !number_fits(filter->numa, pci ? pci->numa_node : row->mdev->numa_node))
		return false;
	if (filter->id && !id_fits(filter->id, pci))
		return false;
	if (filter->class_code && !class_fits(filter->class_code, pci))
		return false;
	if (filter->pf && (!pci || (strcmp(pci->pf, filter->pf) && strcmp(pci->bdf, filter->pf))))
		return false;
	if (filter->vfio && !cdev[0] && !strstr(driver, "vfio"))
		return false;
	return !filter->used || is_used(listing, row);
}

static ssize_t row_of(const struct listing *listing, const char *bdf)
{
	size_t i;

	for (i = 0; i < listing->nr_rows; i++)
		if (listing->rows[i].pci && !strcmp(listing->rows[i].pci->bdf, bdf))
			return i;
	return -1;
}

/* A VF hangs below its PF, another function below its bridge. */
static void find_above(struct listing *listing, struct list_row *row)
{
	char above[VCDEV_BDF_LEN] = "";

	if (row->mdev)
		row->above = row_of(listing, row->mdev->parent);
	else if (row->pci->pf[0])
		row->above = row_of(listing, row->pci->pf);
	else if (!vcdev_pci_upstream(tool_host, row->pci->bdf, above))
		row->above = row_of(listing, above);
	else
		row->above = -1;
}

static int gather(struct listing *listing)
{
	struct vcdev_error err;
	ssize_t nr, nr_mdevs, nr_files, i;

	nr = vcdev_pci_list(tool_host, &listing->pcis, &err);
	if (nr < 0)
		return report(NULL, "list", &err);
	nr_mdevs = vcdev_mdev_list(tool_host, &listing->mdevs, &err);
	if (nr_mdevs < 0)
		return report(NULL, "list", &err);
	nr_files = vcdev_files(tool_host, 0, &listing->files, &listing->nr_hidden, &err);
	if (nr_files < 0) {
		listing->nr_hidden = 1;
		report(NULL, "list", &err);
	} else {
		listing->nr_files = nr_files;
	}
	listing->rows = calloc(nr + nr_mdevs + 1, sizeof(*listing->rows));
	if (!listing->rows) {
		fprintf(stderr, "vfio-cdev: list: out of memory\n");
		return EXIT_FAILED;
	}
	listing->nr_rows = nr + nr_mdevs;
	for (i = 0; i < nr; i++)
		listing->rows[i].pci = &listing->pcis[i];
	for (i = 0; i < nr_mdevs; i++)
		listing->rows[nr + i].mdev = &listing->mdevs[i];
	for (i = 0; i < nr + nr_mdevs; i++)
		find_above(listing, &listing->rows[i]);
	return EXIT_OK;
}

static struct list_row *mdev_row(struct listing *listing, const char *name)
{
	const char *last = strrchr(name, '/');
	size_t i;

	last = last ? last + 1 : name;
	for (i = 0; i < listing->nr_rows; i++) {
		const struct vcdev_mdev *mdev = listing->rows[i].mdev;

		if (mdev && (!strcasecmp(mdev->uuid, name) ||
			     (mdev->cdev[0] && !strcmp(mdev->cdev, last))))
			return &listing->rows[i];
	}
	return NULL;
}

/* Those that the command line names; all if it names none. */
static int choose(struct listing *listing, int nr, char **names)
{
	struct vcdev_error err;
	struct vcdev_pci pci;
	struct list_row *row;
	size_t at;
	ssize_t found;
	int i, rc;

	for (at = 0; !nr && at < listing->nr_rows; at++)
		listing->rows[at].is_shown = true;
	for (i = 0; i < nr; i++) {
		row = mdev_row(listing, names[i]);
		if (row) {
			row->is_shown = true;
			continue;
		}
		rc = vcdev_pci_find(tool_host, names[i], &pci, &err);
		if (rc) {
			report(names[i], "list", &err);
			return rc == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
		}
		found = row_of(listing, pci.bdf);
		if (found >= 0)
			listing->rows[found].is_shown = true;
	}
	return EXIT_OK;
}

static void show_above(struct listing *listing)
{
	ssize_t at;
	size_t i;

	for (i = 0; i < listing->nr_rows; i++)
		for (at = listing->rows[i].is_shown ? listing->rows[i].above : -1; at >= 0;
		     at = listing->rows[at].above)
			listing->rows[at].is_shown = true;
}

static void remark(const struct listing *listing)
{
	struct vcdev_error err;
	bool has_group = false, has_vfio = false;
	size_t i, nr_pcis = 0;

	for (i = 0; i < listing->nr_rows; i++) {
		const struct vcdev_pci *pci = listing->rows[i].pci;

		nr_pcis += !!pci;
		has_group |= pci && pci->group >= 0;
		has_vfio |= !pci || strstr(pci->driver, "vfio");
	}
	/* Say why nothing here can be assigned; it is no failure of the list. */
	if (nr_pcis && !has_group && vcdev_iommu_present(tool_host, &err))
		report(NULL, "list", &err);
	if (has_vfio)
		remark_hidden("list", listing->nr_hidden);
}

static int run_list(int argc, char **argv)
{
	bool json = false, tree = false;
	const char *output = NULL;
	struct filter filter = { 0 };
	const struct option_of options[] = {
		{ "json", 'j', &json, NULL },
		{ "output", 'o', NULL, &output },
		{ "tree", 't', &tree, NULL },
		{ "driver", 0, NULL, &filter.driver },
		{ "group", 0, NULL, &filter.group },
		{ "id", 0, NULL, &filter.id },
		{ "class", 0, NULL, &filter.class_code },
		{ "numa-node", 0, NULL, &filter.numa },
		{ "pf", 0, NULL, &filter.pf },
		{ "vfio", 0, &filter.vfio, NULL },
		{ "used", 0, &filter.used, NULL },
		{ 0 }
	};
	unsigned int chosen[LIST_MAX_COLUMNS];
	char pf[VCDEV_BDF_LEN], wrong[32];
	struct listing listing = { 0 };
	int first, nr, rc, status;
	size_t i, nr_shown = 0;

	first = parse_option_table(&command_list, argc, argv, options);
	if (first < 0)
		return -1 - first;
	if (output && !strcmp(output, "help")) {
		list_print_columns();
		return EXIT_OK;
	}
	nr = list_columns(output, json, chosen, wrong);
	if (nr < 0)
		return report_usage("list", "there is no column '%s'; '-o help' names them",
				    wrong);
	status = check_filter(&filter, pf);
	if (status)
		return status;
	status = gather(&listing);
	if (!status)
		status = choose(&listing, argc - first, argv + first);
	if (status)
		goto out_free;
	for (i = 0; i < listing.nr_rows; i++) {
		listing.rows[i].is_shown &= fits(&listing, &listing.rows[i], &filter);
		nr_shown += listing.rows[i].is_shown;
	}
	if (tree)
		show_above(&listing);
	names_init(&listing.names);
	if (json)
		rc = list_print_json(&listing, chosen, nr, tree);
	else
		rc = list_print_table(&listing, chosen, nr, tree);
	names_uninit(&listing.names);
	if (rc) {
		fprintf(stderr, "vfio-cdev: list: %s\n", strerror(-rc));
		status = EXIT_FAILED;
	} else if (!tool_quiet) {
		if (!nr_shown)
			fprintf(stderr, listing.nr_rows ?
				"vfio-cdev: list: nothing here fits what was asked for\n"
				"  next: vfio-cdev list, without filters, shows all\n" :
				"vfio-cdev: list: there is no PCI function here\n");
		remark(&listing);
	}
out_free:
	free(listing.rows);
	free(listing.files);
	free(listing.mdevs);
	free(listing.pcis);
	return status;
}

const struct command command_list = {
	.name = "list",
	.args = "[OPTION...] [BDF...]",
	.summary = "show functions, their drivers, groups, cdevs and holders",
	.details =
		"  --json           machine-readable, with all columns\n"
		"  -o, --output C   columns, divided by commas; +C beside the usual ones; all;\n"
		"                   help names them\n"
		"  --tree           below the bridges and PFs that they belong to\n"
		"\n"
		"Filters, which all have to fit:\n"
		"  --vfio           on a VFIO driver\n"
		"  --used           open in a process\n"
		"  --driver NAME    'none' for those without\n"
		"  --group N        of an IOMMU group\n"
		"  --id VVVV[:DDDD] vendor, or vendor and device\n"
		"  --class CC...    first digits of the class: 01 storage, 02 network, 03 display\n"
		"  --numa-node N    on a NUMA node\n"
		"  --pf BDF         a PF and its VFs\n"
		"That nothing fits is said on standard error; it is no failure.\n"
		"\n"
		"SRIOV: 'PF 2/7' is a PF with 2 of its 7 VFs. HOLDER: command[process]:fd; '?' if\n"
		"it may be open in a process that only root may look into.\n",
	.run = run_list,
};
