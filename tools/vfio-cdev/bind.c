// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev bind: give functions to vfio-pci, all of them or none.
 *
 * Everything that can be known beforehand is checked for all functions before
 * the first one is touched. What fails later is undone for all that were changed,
 * records for the next boot (--persist) with it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "persist.h"

#define DRIVER "vfio-pci"

static bool is_persistent, is_dry_run, with_group;

static void undo(const struct vcdev_pci *pcis, const bool *is_changed, int nr)
{
	char driver[VCDEV_NAME_LEN];
	struct vcdev_error err;

	while (nr-- > 0) {
		if (!is_changed[nr])
			continue;
		if (vcdev_driver_restore(tool_host, pcis[nr].bdf, driver, &err))
			report(pcis[nr].bdf, "undo bind", &err);
		else
			fprintf(stderr, "vfio-cdev: %s: undo bind: given back to %s\n",
				pcis[nr].bdf, driver[0] ? driver : "no driver");
	}
}

static int bind_one(const struct vcdev_pci *pci, struct vcdev_pci *now, bool *is_changed)
{
	struct vcdev_error err;
	int rc;

	rc = vcdev_driver_bind(tool_host, pci->bdf, DRIVER, &err);
	if (rc < 0)
		return report(pci->bdf, "bind", &err);
	*is_changed = rc;
	if (vcdev_pci_get(tool_host, pci->bdf, now, &err))
		return report(pci->bdf, "bind", &err);
	if (!now->cdev[0]) {
		vcdev_pci_why_no_cdev(tool_host, now, &err);
		return report(pci->bdf, "bind", &err);
	}
	return EXIT_OK;
}

static int bind_all(const struct vcdev_pci *pcis, int nr)
{
	const struct persist want = { .is_there = true, .driver = DRIVER };
	bool *is_changed = calloc(nr, sizeof(*is_changed));
	struct vcdev_pci *now = calloc(nr, sizeof(*now));
	int i, status = EXIT_OK;

	if (!is_changed || !now) {
		fprintf(stderr, "vfio-cdev: bind: out of memory\n");
		status = EXIT_FAILED;
		goto out_free;
	}
	for (i = 0; i < nr && !status; i++)
		status = bind_one(&pcis[i], &now[i], &is_changed[i]);
	if (!status && is_persistent)
		status = persist_set_all("bind", pcis, nr, &want);
	if (status) {
		undo(pcis, is_changed, i);
		goto out_free;
	}
	for (i = 0; i < nr; i++) {
		printf("%s: ", pcis[i].bdf);
		if (is_changed[i])
			printf("bound to " DRIVER " (was %s)",
			       pcis[i].driver[0] ? pcis[i].driver : "without a driver");
		else
			printf("is bound to " DRIVER " already");
		printf(", /dev/vfio/devices/%s\n", now[i].cdev);
		if (is_persistent)
			printf("%s: and at each boot, by %s\n", pcis[i].bdf,
			       persist_path(pcis[i].bdf));
	}
out_free:
	free(is_changed);
	free(now);
	return status;
}

static int check_all(const struct vcdev_pci *pcis, int nr)
{
	char (*with)[VCDEV_BDF_LEN];
	struct vcdev_error err;
	int i, status = EXIT_OK;

	with = calloc(nr, sizeof(*with));
	if (!with) {
		fprintf(stderr, "vfio-cdev: bind: out of memory\n");
		return EXIT_FAILED;
	}
	for (i = 0; i < nr; i++)
		memcpy(with[i], pcis[i].bdf, sizeof(with[i]));
	for (i = 0; i < nr && !status; i++)
		if (vcdev_driver_may_bind(tool_host, &pcis[i],
					  (const char (*)[VCDEV_BDF_LEN])with, nr, &err))
			status = report(pcis[i].bdf, "bind", &err);
	free(with);
	return status;
}

/* What would be done, for those that passed the checks. */
static void describe(const struct vcdev_pci *pcis, int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		printf("%s: ", pcis[i].bdf);
		if (strcmp(pcis[i].driver, DRIVER))
			printf("would be bound to " DRIVER " (is %s)\n",
			       pcis[i].driver[0] ? pcis[i].driver : "without a driver");
		else
			printf("is bound to " DRIVER " already\n");
		if (is_persistent)
			printf("%s: and at each boot, by %s\n", pcis[i].bdf,
			       persist_path(pcis[i].bdf));
	}
}

static bool is_listed(const struct vcdev_pci *pcis, int nr, const char *bdf)
{
	while (nr-- > 0)
		if (!strcmp(pcis[nr].bdf, bdf))
			return true;
	return false;
}

/* --group: add the members of their groups that a kernel driver has. */
static int add_members(struct vcdev_pci **pcis, int *nr)
{
	struct vcdev_pci *members, *more;
	struct vcdev_error err;
	int i, nr_named = *nr;
	ssize_t nr_members, k;

	for (i = 0; i < nr_named; i++) {
		if ((*pcis)[i].group < 0)
			continue;
		nr_members = vcdev_pci_group(tool_host, (*pcis)[i].group, &members, &err);
		if (nr_members < 0)
			return report((*pcis)[i].bdf, "bind", &err);
		more = realloc(*pcis, (*nr + nr_members) * sizeof(*more));
		if (!more) {
			free(members);
			fprintf(stderr, "vfio-cdev: bind: out of memory\n");
			return EXIT_FAILED;
		}
		*pcis = more;
		for (k = 0; k < nr_members; k++)
			if (members[k].driver[0] && !members[k].is_bridge &&
			    !is_listed(*pcis, *nr, members[k].bdf))
				(*pcis)[(*nr)++] = members[k];
		free(members);
	}
	return EXIT_OK;
}

/* Look at what is named, and at what else it takes. Sets @pcis, for free(), and @nr. */
static int look(int argc, char **argv, struct vcdev_pci **pcis, int *nr)
{
	int status;

	*nr = argc;
	status = look_at_all("bind", argc, argv, pcis);
	if (status)
		return status;
	if (with_group)
		status = add_members(pcis, nr);
	if (!status)
		status = check_all(*pcis, *nr);
	if (status)
		free(*pcis);
	return status;
}

static int run_bind(int argc, char **argv)
{
	const struct option_of table[] = {
		{ "persist", 'p', &is_persistent, NULL },
		{ "group", 'g', &with_group, NULL },
		{ "dry-run", 'n', &is_dry_run, NULL },
		{ 0 }
	};
	struct vcdev_pci *pcis;
	struct vcdev_error err;
	int first, nr, lock, status;

	first = parse_option_table(&command_bind, argc, argv, table);
	if (first < 0)
		return -1 - first;
	if (first == argc)
		return report_usage("bind", "which function?");
	/* Before the lock, so that a user without rights hears about a typo first. */
	status = look(argc - first, argv + first, &pcis, &nr);
	if (status)
		return status;
	if (is_dry_run)
		describe(pcis, nr);
	free(pcis);
	if (is_dry_run)
		return EXIT_OK;
	lock = vcdev_driver_lock(tool_host, &err);
	if (lock < 0)
		return report(NULL, "bind", &err);
	status = look(argc - first, argv + first, &pcis, &nr);
	if (!status) {
		status = bind_all(pcis, nr);
		free(pcis);
	}
	vcdev_driver_unlock(lock);
	return status;
}

const struct command command_bind = {
	.name = "bind",
	.args = "[OPTION...] BDF...",
	.summary = "give functions to vfio-pci, all of them or none",
	.details =
		"  -p, --persist   and at each boot (a record of driverctl, in /etc/driverctl.d)\n"
		"  -g, --group     and the members of their IOMMU groups that have a driver\n"
		"  -n, --dry-run   check, and say what would be done\n"
		"\n"
		"The former drivers are remembered for 'vfio-cdev unbind'. A group goes to\n"
		"userspace as a whole: name all its members that have a kernel driver.\n",
	.run = run_bind,
};
