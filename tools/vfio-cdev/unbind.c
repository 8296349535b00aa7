// SPDX-License-Identifier: GPL-2.0
/* vfio-cdev unbind: give functions back to their former drivers, all or none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "persist.h"

static bool is_persistent, is_dry_run;

/* The last one is that which failed: as a rule it has its driver, and is silent. */
static void undo(const struct vcdev_pci *pcis, int nr)
{
	struct vcdev_error err;
	int rc;

	while (nr-- > 0) {
		if (!pcis[nr].driver[0])
			continue;
		rc = vcdev_driver_bind(tool_host, pcis[nr].bdf, pcis[nr].driver, &err);
		if (rc < 0)
			report(pcis[nr].bdf, "undo unbind", &err);
		else if (rc)
			fprintf(stderr, "vfio-cdev: %s: undo unbind: given back to %s\n",
				pcis[nr].bdf, pcis[nr].driver);
	}
}

/* A record that is left has the last word at the next boot. */
static void remark_records(const struct vcdev_pci *pcis, int nr)
{
	struct persist record;
	int i;

	for (i = 0; i < nr; i++) {
		persist_get(pcis[i].bdf, &record);
		if (record.is_there && !tool_quiet)
			fprintf(stderr, "vfio-cdev: %s: gets %s again at the next boot, by %s\n"
				"  next: vfio-cdev unbind --persist %s\n", pcis[i].bdf,
				record.driver, persist_path(pcis[i].bdf), pcis[i].bdf);
	}
}

static int unbind_all(const struct vcdev_pci *pcis, int nr)
{
	char (*drivers)[VCDEV_NAME_LEN];
	struct vcdev_error err;
	int i;

	drivers = calloc(nr, sizeof(*drivers));
	if (!drivers) {
		fprintf(stderr, "vfio-cdev: unbind: out of memory\n");
		return EXIT_FAILED;
	}
	for (i = 0; i < nr; i++)
		if (vcdev_driver_restore(tool_host, pcis[i].bdf, drivers[i], &err)) {
			report(pcis[i].bdf, "unbind", &err);
			undo(pcis, i + 1);
			free(drivers);
			return EXIT_FAILED;
		}
	for (i = 0; i < nr; i++)
		if (drivers[i][0])
			printf("%s: given back to %s\n", pcis[i].bdf, drivers[i]);
		else
			printf("%s: without a driver\n", pcis[i].bdf);
	free(drivers);
	return EXIT_OK;
}

/* vfio-pci, or one for a vendor's devices, like mlx5-vfio-pci */
static bool is_on_vfio(const struct vcdev_pci *pci)
{
	return strstr(pci->driver, "vfio");
}

/* With --persist a record is enough to do: the function may have its driver back. */
static bool is_record_only(const struct vcdev_pci *pci)
{
	struct persist record;

	persist_get(pci->bdf, &record);
	return is_persistent && record.is_there && !is_on_vfio(pci);
}

static int run_locked(struct vcdev_pci *pcis, int nr)
{
	const struct persist none = { .is_there = false };
	int i, nr_bound = 0, status;

	for (i = 0; i < nr && is_persistent; i++) {
		struct vcdev_pci pci = pcis[i];

		if (!is_record_only(&pci)) {
			pcis[i] = pcis[nr_bound];
			pcis[nr_bound++] = pci;
		}
	}
	if (!is_persistent)
		nr_bound = nr;
	status = nr_bound > 0 ? unbind_all(pcis, nr_bound) : EXIT_OK;
	if (status)
		return status;
	if (!is_persistent) {
		remark_records(pcis, nr);
		return EXIT_OK;
	}
	status = persist_set_all("unbind", pcis, nr, &none);
	for (i = 0; i < nr && !status; i++)
		printf("%s: at the next boot the kernel chooses\n", pcis[i].bdf);
	return status;
}

/* What would be done, and what is in the way. Returns the exit status of the real thing. */
static int describe(const struct vcdev_pci *pcis, int nr)
{
	char former[VCDEV_NAME_LEN];
	int i, rc, status = EXIT_OK;
	struct vcdev_error err;

	for (i = 0; i < nr; i++) {
		if (!is_record_only(&pcis[i])) {
			rc = vcdev_driver_may_restore(tool_host, &pcis[i], former, &err);
			if (rc < 0) {
				status = report(pcis[i].bdf, "unbind", &err);
				continue;
			}
			printf("%s: ", pcis[i].bdf);
			if (pcis[i].driver[0])
				printf("would be taken from %s, ", pcis[i].driver);
			if (!rc)
				printf("the kernel would choose its driver\n");
			else if (former[0])
				printf("would be given back to %s\n", former);
			else
				printf("would be without a driver\n");
		}
		if (is_persistent)
			printf("%s: would have no record in %s\n", pcis[i].bdf,
			       persist_path(pcis[i].bdf));
	}
	return status;
}

static int run_unbind(int argc, char **argv)
{
	const struct option_of table[] = {
		{ "persist", 'p', &is_persistent, NULL },
		{ "dry-run", 'n', &is_dry_run, NULL },
		{ 0 }
	};
	struct vcdev_pci *pcis;
	struct vcdev_error err;
	int first, nr, lock, status;

	first = parse_option_table(&command_unbind, argc, argv, table);
	if (first < 0)
		return -1 - first;
	nr = argc - first;
	if (nr < 1)
		return report_usage("unbind", "which function?");
	status = look_at_all("unbind", nr, argv + first, &pcis);
	if (status)
		return status;
	if (is_dry_run)
		status = describe(pcis, nr);
	free(pcis);
	if (is_dry_run)
		return status;
	lock = vcdev_driver_lock(tool_host, &err);
	if (lock < 0)
		return report(NULL, "unbind", &err);
	status = look_at_all("unbind", nr, argv + first, &pcis);
	if (!status) {
		status = run_locked(pcis, nr);
		free(pcis);
	}
	vcdev_driver_unlock(lock);
	return status;
}

const struct command command_unbind = {
	.name = "unbind",
	.args = "[OPTION...] BDF...",
	.summary = "give functions back to their former drivers, all or none",
	.details =
		"  -p, --persist   and for good: remove what 'bind --persist' or driverctl set\n"
		"  -n, --dry-run   check, and say what would be done\n"
		"\n"
		"The former driver is the one that 'vfio-cdev bind' remembered; without a\n"
		"record the kernel chooses. A function that is in use is left alone, and one\n"
		"of whose group another is in use if a kernel driver should have it.\n",
	.run = run_unbind,
};
