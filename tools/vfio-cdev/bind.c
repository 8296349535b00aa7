// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev bind: give functions to vfio-pci, all of them or none.
 *
 * Everything that can be known beforehand is checked for all functions before
 * the first one is touched. What fails later is undone for all that were changed.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

#define DRIVER "vfio-pci"

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

static int run_bind(int argc, char **argv)
{
	struct vcdev_pci *pcis;
	struct vcdev_error err;
	int first, nr, lock, status;

	first = parse_options(&command_bind, argc, argv, NULL);
	if (first < 0)
		return -1 - first;
	nr = argc - first;
	if (!nr)
		return report_usage("bind", "which function?");
	/* Before the lock, so that a user without rights hears about a typo first. */
	status = look_at_all("bind", nr, argv + first, &pcis);
	if (status)
		return status;
	status = check_all(pcis, nr);
	free(pcis);
	if (status)
		return status;
	lock = vcdev_driver_lock(tool_host, &err);
	if (lock < 0)
		return report(NULL, "bind", &err);
	status = look_at_all("bind", nr, argv + first, &pcis);
	if (status)
		goto out_unlock;
	status = check_all(pcis, nr);
	if (!status)
		status = bind_all(pcis, nr);
	free(pcis);
out_unlock:
	vcdev_driver_unlock(lock);
	return status;
}

const struct command command_bind = {
	.name = "bind",
	.args = "BDF...",
	.summary = "give functions to vfio-pci, all of them or none",
	.details =
		"The former drivers are remembered for 'vfio-cdev unbind'. A group goes to\n"
		"userspace as a whole: name all its members that have a kernel driver.\n",
	.run = run_bind,
};
