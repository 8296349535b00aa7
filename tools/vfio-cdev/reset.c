// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev reset: bring one function, or all on its slot or bus, into the state
 * after power-on.
 *
 * Function reset. On a VFIO driver it goes through the device file, so nobody else
 * may have it. On a kernel driver, or without one, the kernel does it (sysfs) and
 * tells the driver before and after; what the driver has under way may be lost, so
 * that is asked about first.
 *
 * Hot reset. All functions that it takes along have to be in the hands of one
 * context: every one is opened and bound for the purpose. Which these are the kernel
 * says, once the named one is bound; before that, and where that cannot be done, they
 * are what sysfs shows below the bridge.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libsmartcols/libsmartcols.h>

#include "json.h"
#include "options.h"

/**
 * struct member - a function that is reset along
 * @pci: what sysfs says about it
 * @holder: who has it, "" for nobody
 * @why_not: why it is in the way, "" if it is not
 */
struct member {
	struct vcdev_pci pci;
	char holder[128], why_not[192];
};

struct reset_set {
	struct member *members;
	size_t nr, nr_hidden;
	bool is_kernels;	/* the kernel said which they are */
	bool is_allowed;
};

static bool is_vfio(const struct vcdev_pci *pci)
{
	return strstr(pci->driver, "vfio") != NULL;
}

static int add_member(struct reset_set *set, const struct vcdev_pci *pci)
{
	struct member *grown;

	grown = reallocarray(set->members, set->nr + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	set->members = grown;
	memset(&set->members[set->nr], 0, sizeof(*grown));
	set->members[set->nr++].pci = *pci;
	return 0;
}

/* All that hangs below the bridge @above, bridges and what is behind them included. */
static int set_from_sysfs(struct reset_set *set, const char *bdf, struct vcdev_error *err)
{
	char above[VCDEV_BDF_LEN], up[VCDEV_BDF_LEN], at[VCDEV_BDF_LEN];
	struct vcdev_pci *list;
	ssize_t nr, i;
	int rc = 0;

	memset(err, 0, sizeof(*err));
	if (vcdev_pci_upstream(tool_host, bdf, above)) {
		err->code = -ENODEV;
		strcpy(err->text, "is on a root bus, which cannot be reset");
		snprintf(err->hint, sizeof(err->hint), "vfio-cdev reset %s resets it alone, if it "
			 "can", bdf);
		return -ENODEV;
	}
	nr = vcdev_pci_list(tool_host, &list, err);
	if (nr < 0)
		return nr;
	for (i = 0; i < nr && !rc; i++) {
		memcpy(at, list[i].bdf, sizeof(at));
		while (strcmp(at, above) && !vcdev_pci_upstream(tool_host, at, up))
			memcpy(at, up, sizeof(at));
		if (!strcmp(at, above) && strcmp(list[i].bdf, above))
			rc = add_member(set, &list[i]);
	}
	if (nr > 0)
		free(list);
	if (rc)
		strcpy(err->text, "out of memory");
	return rc;
}

/* Ask the kernel, if the function can be had for a moment. */
static int set_from_kernel(struct reset_set *set, const struct vcdev_pci *pci,
			   struct vcdev_error *err)
{
	struct vcdev_reset_function *functions = NULL;
	struct acquired acquired;
	struct vcdev_pci other;
	bool is_owned;
	ssize_t nr, i;
	int rc;

	rc = acquire(pci->bdf, &acquired, err);
	if (rc)
		return rc;
	nr = vcdev_dev_reset_set(acquired.dev, &functions, &is_owned, err);
	if (nr < 0)
		rc = nr;
	for (i = 0; i < nr && !rc; i++) {
		rc = vcdev_pci_get(tool_host, functions[i].bdf, &other, err);
		if (!rc && add_member(set, &other)) {
			rc = -ENOMEM;
			strcpy(err->text, "out of memory");
		}
	}
	if (nr > 0)
		free(functions);
	set->is_kernels = !rc;
	release(&acquired);
	return rc;
}

/* Who has what, and what is in the way. */
static int judge(struct reset_set *set, struct vcdev_error *err)
{
	struct vcdev_file *files;
	ssize_t nr, j;
	size_t i;

	nr = vcdev_files(tool_host, 0, &files, &set->nr_hidden, err);
	if (nr < 0)
		return nr;
	set->is_allowed = true;
	for (i = 0; i < set->nr; i++) {
		struct member *member = &set->members[i];
		const struct vcdev_pci *pci = &member->pci;

		for (j = 0; j < nr && !member->holder[0]; j++)
			if (vcdev_file_is_of(&files[j], pci))
				snprintf(member->holder, sizeof(member->holder), "%s[%d]:%d",
					 files[j].comm, (int)files[j].pid, files[j].fd);
		if (pci->is_bridge)
			continue;
		if (member->holder[0])
			snprintf(member->why_not, sizeof(member->why_not), "is open in a process");
		else if (!pci->driver[0])
			snprintf(member->why_not, sizeof(member->why_not), "has no driver");
		else if (!is_vfio(pci))
			snprintf(member->why_not, sizeof(member->why_not),
				 "the kernel driver %s has it", pci->driver);
		else if (pci->pf[0])
			snprintf(member->why_not, sizeof(member->why_not),
				 "is a VF, and VFs are not reset along");
		else if (pci->nr_vfs)
			snprintf(member->why_not, sizeof(member->why_not),
				 "has VFs, which are not reset along");
		else if (!pci->cdev[0])
			snprintf(member->why_not, sizeof(member->why_not), "has no cdev");
		if (member->why_not[0])
			set->is_allowed = false;
	}
	if (nr > 0)
		free(files);
	return 0;
}

/* ------------------------------------------------------------------- output */

static int print_set(const struct reset_set *set, FILE *out)
{
	static const char *const names[] = { "BDF", "DRIVER", "GROUP", "HOLDER", "IN THE WAY" };
	struct libscols_table *table = scols_new_table();
	struct libscols_line *line;
	char group[16];
	size_t i;
	int rc = table ? 0 : -ENOMEM;

	for (i = 0; i < sizeof(names) / sizeof(names[0]) && !rc; i++)
		if (!scols_table_new_column(table, names[i], 0, i == 2 ? SCOLS_FL_RIGHT : 0))
			rc = -ENOMEM;
	if (!rc)
		scols_table_set_stream(table, out);
	for (i = 0; i < set->nr && !rc; i++) {
		const struct member *member = &set->members[i];

		line = scols_table_new_line(table, NULL);
		if (!line) {
			rc = -ENOMEM;
			break;
		}
		snprintf(group, sizeof(group), "%d", member->pci.group);
		rc |= scols_line_set_data(line, 0, member->pci.bdf);
		rc |= scols_line_set_data(line, 1, member->pci.driver[0] ? member->pci.driver : "-");
		rc |= scols_line_set_data(line, 2, member->pci.group < 0 ? "-" : group);
		rc |= scols_line_set_data(line, 3, member->holder[0] ? member->holder :
					  set->nr_hidden && member->pci.cdev[0] ? "?" : "-");
		rc |= scols_line_set_data(line, 4, member->why_not[0] ? member->why_not : "-");
	}
	if (!rc)
		rc = scols_print_table(table);
	scols_unref_table(table);
	return rc ? -ENOMEM : 0;
}

static int print_json(const struct vcdev_pci *pci, const struct reset_set *set)
{
	struct json_object *root = json_object_new_object(), *array, *object;
	int rc = root ? 0 : -ENOMEM;
	size_t i;

	json_add_string(root, "bdf", pci->bdf, &rc);
	json_add_string(root, "source", set->is_kernels ? "kernel" : "sysfs", &rc);
	json_add_bool(root, "allowed", set->is_allowed, &rc);
	array = json_add_array(root, "functions", &rc);
	for (i = 0; i < set->nr; i++) {
		object = json_add_element(array, &rc);
		json_add_string(object, "bdf", set->members[i].pci.bdf, &rc);
		json_add_string(object, "driver", set->members[i].pci.driver, &rc);
		if (set->members[i].pci.group >= 0)
			json_add_number(object, "group", set->members[i].pci.group, &rc);
		else
			json_add(object, "group", NULL, &rc);
		json_add_string(object, "holder", set->members[i].holder, &rc);
		json_add_string(object, "in_the_way", set->members[i].why_not, &rc);
	}
	return json_print(root, rc);
}

/* ---------------------------------------------------------------- hot reset */

static int do_hot_reset(const struct vcdev_pci *pci, const struct reset_set *set,
			struct vcdev_error *err)
{
	struct vcdev_dev **devs = calloc(set->nr, sizeof(*devs)), *first = NULL;
	struct vcdev_ctx *ctx = NULL;
	size_t i;
	int rc;

	memset(err, 0, sizeof(*err));
	strcpy(err->text, "out of memory");
	if (!devs)
		return -ENOMEM;
	rc = vcdev_ctx_open(tool_host, &ctx, err);
	for (i = 0; i < set->nr && !rc; i++) {
		if (set->members[i].pci.is_bridge)
			continue;
		rc = vcdev_dev_open(tool_host, set->members[i].pci.bdf, &devs[i], err);
		if (!rc)
			rc = vcdev_dev_bind(devs[i], ctx, err);
		if (!strcmp(set->members[i].pci.bdf, pci->bdf))
			first = devs[i];
	}
	if (!rc && first)
		rc = vcdev_dev_reset_hot(first, err);
	for (i = 0; i < set->nr; i++)
		vcdev_dev_close(devs[i]);
	vcdev_ctx_close(ctx);
	free(devs);
	return rc;
}

static int hot_reset(const struct vcdev_pci *pci, bool dry_run, bool json, bool yes)
{
	struct reset_set set = { 0 };
	struct vcdev_error err;
	int rc, status = EXIT_FAILED;
	size_t i, nr = 0;

	rc = pci->cdev[0] ? set_from_kernel(&set, pci, &err) : -ENXIO;
	if (rc == -ENODEV)
		goto out_report;
	if (rc) {
		free(set.members);
		set.members = NULL;
		set.nr = 0;
		rc = set_from_sysfs(&set, pci->bdf, &err);
	}
	if (!rc)
		rc = judge(&set, &err);
	if (rc)
		goto out_report;
	for (i = 0; i < set.nr; i++)
		nr += !set.members[i].pci.is_bridge;
	if (json)
		rc = print_json(pci, &set);
	else if (!tool_quiet || !set.is_allowed)
		rc = print_set(&set, set.is_allowed || dry_run ? stdout : stderr);
	if (rc) {
		memset(&err, 0, sizeof(err));
		strcpy(err.text, "out of memory");
		goto out_report;
	}
	remark_hidden("reset", set.nr_hidden);
	if (!set.is_allowed) {
		memset(&err, 0, sizeof(err));
		strcpy(err.text, "the reset would not be allowed: not all that it takes along can be had");
		strcpy(err.hint, "bind the others to vfio-pci ('vfio-cdev bind') and end the processes "
		       "that have them");
		goto out_report;
	}
	if (dry_run) {
		if (!json && !tool_quiet)
			printf("%s: a reset would be allowed and take %zu function%s along\n", pci->bdf,
			       nr, nr == 1 ? "" : "s");
		status = EXIT_OK;
		goto out_free;
	}
	if (!confirm("reset", yes, "reset %zu function%s", nr, nr == 1 ? "" : "s"))
		goto out_free;
	rc = do_hot_reset(pci, &set, &err);
	if (rc)
		goto out_report;
	if (!tool_quiet && !json)
		printf("%s: reset, with all on its bus: %zu function%s\n", pci->bdf, nr,
		       nr == 1 ? "" : "s");
	status = EXIT_OK;
	goto out_free;

out_report:
	report(pci->bdf, "reset", &err);
out_free:
	free(set.members);
	return status;
}

/* ----------------------------------------------------------- function reset */

static int reset_by_file(const struct vcdev_pci *pci, struct vcdev_error *err)
{
	struct acquired acquired;
	int rc;

	rc = acquire(pci->bdf, &acquired, err);
	if (rc)
		return rc;
	rc = vcdev_dev_reset(acquired.dev, err);
	release(&acquired);
	return rc;
}

static int reset_by_sysfs(const struct vcdev_pci *pci, struct vcdev_error *err)
{
	char path[4096];
	int fd, rc = 0;

	memset(err, 0, sizeof(*err));
	snprintf(path, sizeof(path), "%s/sys/bus/pci/devices/%s/reset", tool_host->root, pci->bdf);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "1", 1) != 1)
		rc = -errno;
	if (fd >= 0)
		close(fd);
	if (!rc)
		return 0;
	err->code = rc;
	if (rc == -ENOENT) {
		strcpy(err->text, "cannot be reset alone");
		snprintf(err->hint, sizeof(err->hint), "vfio-cdev reset --hot --dry-run %s tells "
			 "whether its bus can be", pci->bdf);
	} else {
		snprintf(err->text, sizeof(err->text), "the kernel does not reset it: %s",
			 strerror(-rc));
		if (rc == -EACCES || rc == -EPERM)
			strcpy(err->hint, "run this as root");
		else
			strcpy(err->hint, "'dmesg' tells more");
	}
	return rc;
}

static int refuse(const struct vcdev_pci *pci, const struct vcdev_holder *holder)
{
	struct vcdev_error err = { .code = -EBUSY };

	snprintf(err.text, sizeof(err.text), "is in use by process %d (%s)", (int)holder->pid,
		 holder->comm);
	strcpy(err.hint, "end that process first, or let it reset the device");
	return report(pci->bdf, "reset", &err);
}

static int function_reset(const struct vcdev_pci *pci, bool dry_run, bool yes)
{
	struct vcdev_holder *holders;
	struct vcdev_error err;
	ssize_t nr;
	int rc;

	nr = vcdev_pci_holders(tool_host, pci, &holders, &err);
	if (nr > 0) {
		refuse(pci, &holders[0]);
		free(holders);
		return EXIT_FAILED;
	}
	if (dry_run) {
		printf("%s: would be reset, %s\n", pci->bdf, pci->cdev[0] ? "nobody has it" :
		       pci->driver[0] ? "under its kernel driver" : "it has no driver");
		return EXIT_OK;
	}
	if (pci->driver[0] && !is_vfio(pci) &&
	    !confirm("reset", yes, "reset %s under its driver %s, which may lose what is under way",
		     pci->bdf, pci->driver))
		return EXIT_FAILED;
	rc = pci->cdev[0] ? reset_by_file(pci, &err) : reset_by_sysfs(pci, &err);
	if (rc)
		return report(pci->bdf, "reset", &err);
	if (!tool_quiet)
		printf("%s: reset\n", pci->bdf);
	return EXIT_OK;
}

static int run_reset(int argc, char **argv)
{
	bool hot = false, dry_run = false, json = false, yes = false;
	const struct option_of options[] = {
		{ "hot", 0, &hot, NULL },
		{ "dry-run", 'n', &dry_run, NULL },
		{ "json", 'j', &json, NULL },
		{ "yes", 'y', &yes, NULL },
		{ 0 }
	};
	struct vcdev_pci *pci;
	int first, status;

	first = parse_option_table(&command_reset, argc, argv, options);
	if (first < 0)
		return -1 - first;
	if (argc - first != 1)
		return report_usage("reset", "needs one function");
	if (json && !(hot && dry_run))
		return report_usage("reset", "--json is for --hot --dry-run");
	status = look_at_all("reset", 1, argv + first, &pci);
	if (status)
		return status;
	status = hot ? hot_reset(pci, dry_run, json, yes) : function_reset(pci, dry_run, yes);
	free(pci);
	return status;
}

const struct command command_reset = {
	.name = "reset",
	.args = "[--hot] [OPTION...] BDF",
	.summary = "reset a function, or all on its slot or bus",
	.details =
		"  --hot          reset the slot or bus: everything there is reset along\n"
		"  -n, --dry-run  only show what would be reset, who has what of it, and whether\n"
		"                 that would be allowed\n"
		"  --json         machine-readable, with --hot --dry-run\n"
		"  -y, --yes      do not ask\n"
		"\n"
		"What is open in a process is not reset. A hot reset takes functions only that are\n"
		"bound to vfio-pci, all of them; a function reset works under a kernel driver, too,\n"
		"after a question.\n",
	.run = run_reset,
};
