// SPDX-License-Identifier: GPL-2.0
/* vfio-cdev unbind: give functions back to their former drivers, all or none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

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

static int run_unbind(int argc, char **argv)
{
	struct vcdev_pci *pcis;
	struct vcdev_error err;
	int first, nr, lock, status;

	first = parse_options(&command_unbind, argc, argv, NULL);
	if (first < 0)
		return -1 - first;
	nr = argc - first;
	if (!nr)
		return report_usage("unbind", "which function?");
	status = look_at_all("unbind", nr, argv + first, &pcis);
	if (status)
		return status;
	free(pcis);
	lock = vcdev_driver_lock(tool_host, &err);
	if (lock < 0)
		return report(NULL, "unbind", &err);
	status = look_at_all("unbind", nr, argv + first, &pcis);
	if (!status) {
		status = unbind_all(pcis, nr);
		free(pcis);
	}
	vcdev_driver_unlock(lock);
	return status;
}

const struct command command_unbind = {
	.name = "unbind",
	.args = "BDF...",
	.summary = "give functions back to their former drivers, all or none",
	.details =
		"The former driver is the one that 'vfio-cdev bind' remembered; without a\n"
		"record the kernel chooses. A function that is in use is left alone, and one\n"
		"of whose group another is in use if a kernel driver should have it.\n",
	.run = run_unbind,
};
