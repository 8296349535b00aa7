// SPDX-License-Identifier: GPL-2.0
/* vfio-cdev sriov: set the number of VFs of a PF. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

static int parse_number(const char *text, unsigned int *number)
{
	unsigned long value;
	char *end;

	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (errno || *end || value > 65535)
		return -EINVAL;
	*number = value;
	return 0;
}

static int print_vfs(const char *bdf)
{
	struct vcdev_error err;
	struct vcdev_pci *vfs;
	ssize_t nr, i;

	nr = vcdev_pci_vfs(tool_host, bdf, &vfs, &err);
	if (nr < 0)
		return report(bdf, "sriov", &err);
	printf("%s: %zd VF%s%s", bdf, nr, nr == 1 ? "" : "s", nr ? ":" : "");
	for (i = 0; i < nr; i++)
		printf(" %s", vfs[i].bdf);
	putchar('\n');
	free(vfs);
	return EXIT_OK;
}

static int run_sriov(int argc, char **argv)
{
	unsigned int nr_vfs;
	struct vcdev_pci *pci;
	struct vcdev_error err;
	int first, lock, status;

	first = parse_options(&command_sriov, argc, argv, NULL);
	if (first < 0)
		return -1 - first;
	if (argc - first != 2)
		return report_usage("sriov", "needs a function and a number");
	if (parse_number(argv[first + 1], &nr_vfs))
		return report_usage("sriov", "'%s' is no number of VFs", argv[first + 1]);
	status = look_at_all("sriov", 1, argv + first, &pci);
	if (status)
		return status;
	lock = vcdev_driver_lock(tool_host, &err);
	if (lock < 0) {
		status = report(pci->bdf, "sriov", &err);
		goto out_free;
	}
	if (vcdev_sriov_set(tool_host, pci->bdf, nr_vfs, &err))
		status = report(pci->bdf, "sriov", &err);
	else
		status = print_vfs(pci->bdf);
	vcdev_driver_unlock(lock);
out_free:
	free(pci);
	return status;
}

const struct command command_sriov = {
	.name = "sriov",
	.args = "BDF N",
	.summary = "set the number of VFs of a PF",
	.details =
		"VFs are made by the driver of the PF. Going from one number to another\n"
		"destroys the VFs that exist; that is refused while one of them is open.\n",
	.run = run_sriov,
};
