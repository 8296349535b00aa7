// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev sriov: set the number of VFs of a PF.
 *
 * The kernel goes from one number to another through 0, so that VFs that there are
 * vanish. Those who have one open are all named first, and then nothing is done: no
 * option changes that, because the kernel would wait for them. VFs that kernel drivers
 * have are asked about.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* Write sriov_drivers_autoprobe; what was there goes to @former, if it is not NULL. */
static void set_autoprobe(const char *bdf, char value, char *former)
{
	char path[4096];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/sriov_drivers_autoprobe",
		 tool_host->root, bdf);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	if (former && read(fd, former, 1) != 1)
		*former = '1';
	got = pwrite(fd, &value, 1, 0);
	(void)got;	/* then drivers probe, which is what happens without this */
	close(fd);
}

/* Name everybody who has one of the VFs. Returns whether there is somebody. */
static bool name_holders(const char *bdf, const struct vcdev_pci *vfs, ssize_t nr_vfs)
{
	struct vcdev_error err = { .code = -EBUSY };
	struct vcdev_file *files;
	bool found = false;
	ssize_t nr, i, j;

	nr = vcdev_files(tool_host, 0, &files, NULL, NULL);
	for (i = 0; i < nr_vfs; i++)
		for (j = 0; j < nr; j++) {
			if (!vcdev_file_is_of(&files[j], &vfs[i]) ||
			    (j && files[j - 1].pid == files[j].pid &&
			     vcdev_file_is_of(&files[j - 1], &vfs[i])))
				continue;
			if (found)
				report(bdf, "sriov", &err);
			found = true;
			snprintf(err.text, sizeof(err.text), "its VF %s is in use by process %d (%s)",
				 vfs[i].bdf, (int)files[j].pid, files[j].comm);
		}
	if (found) {
		strcpy(err.hint, "end that process first");
		report(bdf, "sriov", &err);
	}
	if (nr > 0)
		free(files);
	return found;
}

/* What would be lost: nothing, or what the user agrees to. */
static bool may_change(const struct vcdev_pci *pci, bool yes)
{
	struct vcdev_error err;
	struct vcdev_pci *vfs;
	char names[160] = "";
	ssize_t nr, i;
	size_t used = 0;
	bool may = true;

	nr = vcdev_pci_vfs(tool_host, pci->bdf, &vfs, &err);
	if (nr < 0) {
		report(pci->bdf, "sriov", &err);
		return false;
	}
	if (name_holders(pci->bdf, vfs, nr))
		may = false;
	for (i = 0; i < nr && may; i++)
		if (vfs[i].driver[0] && !strstr(vfs[i].driver, "vfio") && used < sizeof(names))
			used += snprintf(names + used, sizeof(names) - used, "%s%s (%s)",
					 used ? ", " : "", vfs[i].bdf, vfs[i].driver);
	if (used)
		may = confirm("sriov", yes, "destroy VFs that kernel drivers have, %s", names);
	if (nr > 0)
		free(vfs);
	return may;
}

static int print_vfs(const char *bdf)
{
	struct vcdev_error err;
	struct vcdev_pci *vfs;
	ssize_t nr, i;

	nr = vcdev_pci_vfs(tool_host, bdf, &vfs, &err);
	if (nr < 0)
		return report(bdf, "sriov", &err);
	if (!tool_quiet) {
		printf("%s: %zd VF%s%s", bdf, nr, nr == 1 ? "" : "s", nr ? ":" : "");
		for (i = 0; i < nr; i++)
			printf(" %s", vfs[i].bdf);
		putchar('\n');
	}
	if (nr > 0)
		free(vfs);
	return EXIT_OK;
}

/* Give all VFs to vfio-pci; if one fails, those before it go back. */
static int bind_vfs(const char *bdf)
{
	char driver[VCDEV_NAME_LEN];
	struct vcdev_error err;
	struct vcdev_pci *vfs, now;
	int status = EXIT_OK;
	ssize_t nr, i;
	bool *changed;

	nr = vcdev_pci_vfs(tool_host, bdf, &vfs, &err);
	if (nr < 0)
		return report(bdf, "sriov", &err);
	changed = calloc(nr ? nr : 1, sizeof(*changed));
	if (!changed) {
		fprintf(stderr, "vfio-cdev: sriov: out of memory\n");
		status = EXIT_FAILED;
		nr = 0;
	}
	for (i = 0; i < nr && !status; i++) {
		int rc = vcdev_driver_bind(tool_host, vfs[i].bdf, "vfio-pci", &err);

		if (rc >= 0 && vcdev_pci_get(tool_host, vfs[i].bdf, &now, &err) == 0 &&
		    !now.cdev[0])
			rc = vcdev_pci_why_no_cdev(tool_host, &now, &err);
		changed[i] = rc == 1 || rc == -ENXIO;
		if (rc < 0)
			status = report(vfs[i].bdf, "sriov", &err);
	}
	while (status && i-- > 0)
		if (changed[i] && vcdev_driver_restore(tool_host, vfs[i].bdf, driver, &err))
			report(vfs[i].bdf, "undo sriov", &err);
	for (i = 0; i < nr && !status && !tool_quiet; i++)
		if (!vcdev_pci_get(tool_host, vfs[i].bdf, &now, NULL))
			printf("%s: %s to vfio-pci, /dev/vfio/devices/%s\n", now.bdf,
			       changed[i] ? "bound" : "is bound", now.cdev);
	free(changed);
	if (nr > 0)
		free(vfs);
	return status;
}

static int set_vfs(const struct vcdev_pci *pci, unsigned int nr_vfs, bool bind)
{
	char autoprobe = '1';
	struct vcdev_error err;
	int status;

	/* No kernel driver is to start with what goes to vfio-pci at once. */
	if (bind)
		set_autoprobe(pci->bdf, '0', &autoprobe);
	if (vcdev_sriov_set(tool_host, pci->bdf, nr_vfs, &err))
		status = report(pci->bdf, "sriov", &err);
	else
		status = print_vfs(pci->bdf);
	if (bind)
		set_autoprobe(pci->bdf, autoprobe, NULL);
	if (status || !bind)
		return status;
	status = bind_vfs(pci->bdf);
	/* All or nothing: the number that was there before. */
	if (status && pci->nr_vfs != nr_vfs) {
		if (vcdev_sriov_set(tool_host, pci->bdf, pci->nr_vfs, &err))
			report(pci->bdf, "undo sriov", &err);
		else
			fprintf(stderr, "vfio-cdev: %s: undo sriov: %u VFs as before\n", pci->bdf,
				pci->nr_vfs);
	}
	return status;
}

static int run_sriov(int argc, char **argv)
{
	bool bind = false, yes = false;
	const struct option_of options[] = {
		{ "bind", 'b', &bind, NULL },
		{ "yes", 'y', &yes, NULL },
		{ 0 }
	};
	struct vcdev_error err;
	struct vcdev_pci *pci;
	unsigned int nr_vfs;
	int first, lock, status;

	first = parse_option_table(&command_sriov, argc, argv, options);
	if (first < 0)
		return -1 - first;
	if (argc - first != 2)
		return report_usage("sriov", "needs a function and a number");
	if (parse_number(argv[first + 1], &nr_vfs))
		return report_usage("sriov", "'%s' is no number of VFs", argv[first + 1]);
	status = look_at_all("sriov", 1, argv + first, &pci);
	if (status)
		return status;
	/* Before the lock: it may wait for an answer. The library looks again. */
	if (pci->nr_vfs && pci->nr_vfs != nr_vfs && nr_vfs <= pci->total_vfs &&
	    !may_change(pci, yes)) {
		status = EXIT_FAILED;
		goto out_free;
	}
	lock = vcdev_driver_lock(tool_host, &err);
	if (lock < 0) {
		status = report(pci->bdf, "sriov", &err);
		goto out_free;
	}
	status = set_vfs(pci, nr_vfs, bind);
	vcdev_driver_unlock(lock);
out_free:
	free(pci);
	return status;
}

const struct command command_sriov = {
	.name = "sriov",
	.args = "[--bind] BDF N",
	.summary = "set the number of VFs of a PF",
	.details =
		"  -b, --bind   give the VFs to vfio-pci at once, before a kernel driver sees them\n"
		"  -y, --yes    do not ask about VFs that kernel drivers have\n"
		"\n"
		"VFs are made by the driver of the PF. Going from one number to another\n"
		"destroys the VFs that exist; that is refused while one of them is open.\n",
	.run = run_sriov,
};
