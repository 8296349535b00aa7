// SPDX-License-Identifier: GPL-2.0
/*
 * Giving functions to drivers and taking them back, and making VFs.
 *
 * Changing a driver is: remember the former one in a file under /run, name the
 * new one in driver_override, unbind, have the bus probe, and look whether the
 * link "driver" says what we want, because the kernel's answer to the probe does
 * not tell. The override stays, so that a later probe finds the same driver.
 * Each step that worked is undone when a later one fails.
 *
 * The record /run/vfio-cdev/BDF is two lines, the former driver and the former
 * override, either one possibly empty. It lives until the function is in that
 * state again: where the way back fails, it is what the next try needs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "internal.h"

#define RUN_DIR "/run/vfio-cdev"

struct former {
	char driver[VCDEV_NAME_LEN];
	char override[VCDEV_NAME_LEN];
};

static int hint_rights(struct vcdev_error *err, int rc)
{
	if (rc == -EACCES || rc == -EPERM)
		vcdev_hint(err, "run this as root");
	else if (rc == -EROFS)
		vcdev_hint(err, "sysfs is read-only here (a container?): run this on the host");
	return rc;
}

/* @dir is "devices" or "drivers", @name one of them. */
static int write_attr(const struct vcdev_host *host, struct vcdev_error *err,
		      const char *text, const char *dir, const char *name, const char *attr)
{
	struct vcdev_path path;
	int rc;

	vcdev_path(host, &path, "/sys/bus/pci/%s/%s/%s", dir, name, attr);
	rc = vcdev_attr_write(&path, text);
	if (!rc)
		return 0;
	vcdev_fail(err, rc, "cannot write '%.*s' to %s: %s", (int)strcspn(text, "\n"), text,
		   path.s, strerror(-rc));
	return hint_rights(err, rc);
}

/* ------------------------------------------------------------------- lock */

int vcdev_driver_lock(const struct vcdev_host *host, struct vcdev_error *err)
{
	struct vcdev_path path;
	int fd, rc;

	vcdev_path(host, &path, RUN_DIR);
	if (mkdir(path.s, 0755) && errno != EEXIST) {
		rc = -errno;
		vcdev_fail(err, rc, "cannot create %s: %s", path.s, strerror(-rc));
		return hint_rights(err, rc);
	}
	vcdev_path(host, &path, RUN_DIR "/lock");
	fd = open(path.s, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0) {
		rc = -errno;
		vcdev_fail(err, rc, "cannot open %s: %s", path.s, strerror(-rc));
		return hint_rights(err, rc);
	}
	do {
		rc = flock(fd, LOCK_EX) ? -errno : 0;
	} while (rc == -EINTR);
	if (rc) {
		close(fd);
		return vcdev_fail(err, rc, "cannot lock %s: %s", path.s, strerror(-rc));
	}
	return fd;
}

void vcdev_driver_unlock(int lock)
{
	close(lock);
}

/* ----------------------------------------------------------------- record */

static int record_write(const struct vcdev_host *host, const struct vcdev_pci *pci,
			struct vcdev_error *err)
{
	struct vcdev_path path, temp;
	FILE *file;
	int rc;

	vcdev_path(host, &path, RUN_DIR);
	if (mkdir(path.s, 0755) && errno != EEXIST)
		goto err_report;
	vcdev_path(host, &path, RUN_DIR "/%s", pci->bdf);
	vcdev_path(host, &temp, RUN_DIR "/%s.new", pci->bdf);
	file = fopen(temp.s, "we");
	if (!file)
		goto err_report;
	fprintf(file, "%s\n%s\n", pci->driver, pci->override);
	/* Whole or not at all: written beside it, then renamed. */
	if (ferror(file)) {
		fclose(file);
		errno = EIO;
		goto err_remove_temp;
	}
	if (fclose(file) || rename(temp.s, path.s))
		goto err_remove_temp;
	return 0;

err_remove_temp:
	rc = -errno;
	unlink(temp.s);
	errno = -rc;
err_report:
	rc = -errno;
	vcdev_fail(err, rc, "cannot remember the former driver in %s: %s", path.s,
		   strerror(-rc));
	return hint_rights(err, rc);
}

static bool record_read(const struct vcdev_host *host, const char *bdf,
			struct former *former)
{
	char text[2 * VCDEV_NAME_LEN + 2], *second, *end;
	struct vcdev_path path;

	memset(former, 0, sizeof(*former));
	vcdev_path(host, &path, RUN_DIR "/%s", bdf);
	if (vcdev_attr_read(&path, text, sizeof(text)) < 0)
		return false;
	second = strchr(text, '\n');
	if (!second)
		return false;
	*second++ = '\0';
	end = strchr(second, '\n');
	if (end)
		*end = '\0';
	if (strlen(text) >= VCDEV_NAME_LEN || strlen(second) >= VCDEV_NAME_LEN ||
	    strchr(text, '/') || strchr(second, '/'))
		return false;
	strcpy(former->driver, text);
	strcpy(former->override, second);
	return true;
}

static void record_remove(const struct vcdev_host *host, const char *bdf)
{
	struct vcdev_path path;

	vcdev_path(host, &path, RUN_DIR "/%s", bdf);
	unlink(path.s);
}

/* ------------------------------------------------------------------- bind */

static bool is_named(const char *bdf, const char (*with)[VCDEV_BDF_LEN], size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++)
		if (!strcmp(bdf, with[i]))
			return true;
	return false;
}

/* Drivers that leave DMA ownership of their group to userspace (6.1). */
static bool shares_group(const char *driver)
{
	return !driver[0] || !strcmp(driver, "pcieport") || !strcmp(driver, "pci-stub") ||
		vcdev_is_vfio_driver(driver);
}

static int group_is_free(const struct vcdev_host *host, const struct vcdev_pci *pci,
			 const char (*with)[VCDEV_BDF_LEN], size_t nr_with,
			 struct vcdev_error *err)
{
	char names[256] = "", bdfs[256] = "";
	size_t used = 0, used_bdfs = 0;
	struct vcdev_pci *members;
	ssize_t nr, i;

	nr = vcdev_pci_group(host, pci->group, &members, err);
	if (nr < 0)
		return nr;
	for (i = 0; i < nr; i++) {
		const struct vcdev_pci *member = &members[i];

		if (!strcmp(member->bdf, pci->bdf) || shares_group(member->driver) ||
		    is_named(member->bdf, with, nr_with))
			continue;
		if (used < sizeof(names))
			used += snprintf(names + used, sizeof(names) - used, "%s%s (%s)",
					 used ? ", " : "", member->bdf, member->driver);
		if (used_bdfs < sizeof(bdfs))
			used_bdfs += snprintf(bdfs + used_bdfs, sizeof(bdfs) - used_bdfs,
					      " %s", member->bdf);
	}
	free(members);
	if (!used)
		return 0;
	vcdev_fail(err, -EBUSY, "other members of IOMMU group %d are in use by kernel "
		   "drivers: %s", pci->group, names);
	vcdev_hint(err, "a group goes to userspace as a whole: vfio-cdev bind %s%s", pci->bdf,
		   bdfs);
	return -EBUSY;
}

static int is_unmounted(const struct vcdev_host *host, const struct vcdev_pci *pci,
			struct vcdev_error *err)
{
	char where[256];

	if (!vcdev_find_mount(host, pci->bdf, where))
		return 0;
	vcdev_fail(err, -EBUSY, "a file system on its disk is mounted at %s", where);
	vcdev_hint(err, "umount %s", where);
	return -EBUSY;
}

int vcdev_driver_may_bind(const struct vcdev_host *host,
			  const struct vcdev_pci *pci,
			  const char (*with)[VCDEV_BDF_LEN], size_t nr_with,
			  struct vcdev_error *err)
{
	int rc;

	if (pci->is_bridge) {
		vcdev_fail(err, -EINVAL, "is a bridge, and vfio-pci takes no bridges");
		vcdev_hint(err, "bind the functions behind it");
		return -EINVAL;
	}
	if (pci->group < 0) {
		rc = vcdev_iommu_present(host, err);
		if (rc)
			return rc;
		vcdev_fail(err, -ENODEV, "has no IOMMU group: no IOMMU translates for it");
		vcdev_hint(err, "use a slot behind the IOMMU; 'vfio-cdev list' shows the groups");
		return -ENODEV;
	}
	if (pci->nr_vfs && !vcdev_is_vfio_driver(pci->driver)) {
		vcdev_fail(err, -EBUSY, "is a PF with %u VFs, which would vanish with its driver %s",
			   pci->nr_vfs, pci->driver);
		vcdev_hint(err, "bind a VF instead, or first: vfio-cdev sriov %s 0", pci->bdf);
		return -EBUSY;
	}
	if (!vcdev_is_vfio_driver(pci->driver)) {
		rc = is_unmounted(host, pci, err);
		if (rc)
			return rc;
	}
	return group_is_free(host, pci, with, nr_with, err);
}

static bool driver_exists(const struct vcdev_host *host, const char *driver)
{
	struct vcdev_path path;

	vcdev_path(host, &path, "/sys/bus/pci/drivers/%s", driver);
	return vcdev_exists(&path);
}

static int driver_need(const struct vcdev_host *host, const char *driver,
		       struct vcdev_error *err)
{
	int rc;

	if (driver_exists(host, driver))
		return 0;
	rc = vcdev_modprobe(host, driver, err);
	if (rc) {
		vcdev_hint(err, "'modprobe %s' and 'dmesg' tell more; for vfio-pci the kernel "
			   "package has the module, and this project's iommufd and vfio have "
			   "to be installed ('make install')", driver);
		return rc;
	}
	if (driver_exists(host, driver))
		return 0;
	vcdev_fail(err, -ENOENT, "there is no PCI driver %s, although modprobe did not fail",
		   driver);
	vcdev_hint(err, "'dmesg' tells more");
	return -ENOENT;
}

/* Have the bus find a driver, and see which. Its answer is not the outcome. */
static void probe(const struct vcdev_host *host, struct vcdev_pci *pci)
{
	struct vcdev_path path;

	vcdev_path(host, &path, "/sys/bus/pci/drivers_probe");
	vcdev_attr_write(&path, pci->bdf);
	vcdev_pci_get(host, pci->bdf, pci, NULL);
}

static int set_override(const struct vcdev_host *host, const char *bdf,
			const char *override, struct vcdev_error *err)
{
	char line[VCDEV_NAME_LEN + 1];

	/* The newline clears it when @override is empty. */
	snprintf(line, sizeof(line), "%s\n", override);
	return write_attr(host, err, line, "devices", bdf, "driver_override");
}

static int unbind_driver(const struct vcdev_host *host, const struct vcdev_pci *pci,
			 struct vcdev_error *err)
{
	if (!pci->driver[0])
		return 0;
	return write_attr(host, err, pci->bdf, "drivers", pci->driver, "unbind");
}

/*
 * Back to an earlier state as well as it goes; failures leave no driver. @now is
 * what came of it; true if it is the driver of before.
 */
static bool put_back(const struct vcdev_host *host, const struct vcdev_pci *before,
		     struct vcdev_pci *now)
{
	memset(now, 0, sizeof(*now));
	if (vcdev_pci_get(host, before->bdf, now, NULL))
		return false;
	if (now->driver[0] && strcmp(now->driver, before->driver))
		unbind_driver(host, now, NULL);
	set_override(host, before->bdf, before->override, NULL);
	if (before->driver[0] && strcmp(now->driver, before->driver))
		write_attr(host, NULL, before->bdf, "drivers", before->driver, "bind");
	memset(now, 0, sizeof(*now));
	return !vcdev_pci_get(host, before->bdf, now, NULL) &&
		!strcmp(now->driver, before->driver);
}

/*
 * Returns 1, or a negative errno. Then @is_back tells whether the old driver has
 * it as before.
 */
static int change_driver(const struct vcdev_host *host, const struct vcdev_pci *before,
			 const char *driver, bool *is_back, struct vcdev_error *err)
{
	const char *former = before->driver[0] ? before->driver : "no driver";
	struct vcdev_pci now = *before;
	int rc;

	*is_back = true;

	rc = set_override(host, before->bdf, driver, err);
	if (rc)
		return rc;
	rc = unbind_driver(host, before, err);
	if (rc)
		goto err_put_back;
	now.driver[0] = '\0';
	probe(host, &now);
	if (!strcmp(now.driver, driver))
		return 1;
	rc = vcdev_fail(err, -ENODEV, "driver %s did not take it", driver);
	vcdev_hint(err, "'dmesg' tells why; it has been given back to %s", former);

err_put_back:
	*is_back = put_back(host, before, &now);
	if (!*is_back)
		vcdev_hint(err, "'dmesg' tells why; %s has not taken it back, it has %s: "
			   "vfio-cdev unbind %s tries again", former,
			   now.driver[0] ? now.driver : "no driver now", before->bdf);
	return rc;
}

static int is_unused(const struct vcdev_host *host, const struct vcdev_pci *pci,
		     struct vcdev_error *err)
{
	char holders[256];

	if (!vcdev_name_holders(host, pci, holders, sizeof(holders)))
		return 0;
	vcdev_fail(err, -EBUSY, "%s is in use by %s", pci->bdf, holders);
	vcdev_hint(err, "end that process first");
	return -EBUSY;
}

/* A kernel driver gets a function only while userspace has none of its group. */
static int siblings_are_unused(const struct vcdev_host *host, const struct vcdev_pci *pci,
			       struct vcdev_error *err)
{
	char holders[256], sibling[VCDEV_BDF_LEN];

	if (!vcdev_name_sibling_holders(host, pci, 0, sibling, holders, sizeof(holders)))
		return 0;
	vcdev_fail(err, -EBUSY, "%s of the same IOMMU group is in use by %s, and no kernel "
		   "driver could have %s meanwhile", sibling, holders, pci->bdf);
	vcdev_hint(err, "end that process first");
	return -EBUSY;
}

int vcdev_driver_bind(const struct vcdev_host *host, const char *bdf,
		      const char *driver, struct vcdev_error *err)
{
	struct vcdev_pci before;
	struct former former;
	bool is_back;
	int rc;

	if (strlen(driver) >= VCDEV_NAME_LEN || strchr(driver, '/'))
		return vcdev_fail(err, -EINVAL, "'%s' is no name of a driver", driver);
	rc = vcdev_pci_get(host, bdf, &before, err);
	if (rc)
		return rc;
	if (!strcmp(before.driver, driver))
		return 0;
	/* The kernel would wait for the user of the one, and not for that of the other. */
	if (vcdev_is_vfio_driver(before.driver))
		rc = is_unused(host, &before, err);
	else
		rc = is_unmounted(host, &before, err);
	if (rc)
		return rc;
	rc = driver_need(host, driver, err);
	if (rc)
		return rc;
	/*
	 * From one VFIO driver to another, or from none that an earlier failure
	 * left: the first record stays the true one.
	 */
	if ((!before.driver[0] || vcdev_is_vfio_driver(before.driver)) &&
	    record_read(host, before.bdf, &former))
		return change_driver(host, &before, driver, &is_back, err);
	rc = record_write(host, &before, err);
	if (rc)
		return rc;
	rc = change_driver(host, &before, driver, &is_back, err);
	if (rc < 0 && is_back)
		record_remove(host, before.bdf);
	return rc;
}

/* What vcdev_driver_restore() checks. True in *@had_record: @former is known. */
static int may_restore(const struct vcdev_host *host, const struct vcdev_pci *pci,
		       struct former *former, bool *had_record, struct vcdev_error *err)
{
	int rc;

	*had_record = record_read(host, pci->bdf, former);
	if (!vcdev_is_vfio_driver(pci->driver) && !(*had_record && !pci->driver[0])) {
		vcdev_fail(err, -EINVAL, "not bound to vfio-pci (%s%s)",
			   pci->driver[0] ? "driver " : "no driver", pci->driver);
		vcdev_hint(err, "there is nothing to undo");
		return -EINVAL;
	}
	rc = is_unused(host, pci, err);
	if (!rc && !(*had_record && shares_group(former->driver)))
		rc = siblings_are_unused(host, pci, err);
	return rc;
}

int vcdev_driver_may_restore(const struct vcdev_host *host, const struct vcdev_pci *pci,
			     char driver[VCDEV_NAME_LEN], struct vcdev_error *err)
{
	struct former former;
	bool had_record;
	int rc;

	rc = may_restore(host, pci, &former, &had_record, err);
	if (rc)
		return rc;
	memcpy(driver, former.driver, VCDEV_NAME_LEN);
	return had_record;
}

int vcdev_driver_restore(const struct vcdev_host *host, const char *bdf,
			 char driver[VCDEV_NAME_LEN], struct vcdev_error *err)
{
	struct vcdev_pci before, now;
	struct former former;
	bool had_record;
	int rc;

	rc = vcdev_pci_get(host, bdf, &before, err);
	if (rc)
		return rc;
	rc = may_restore(host, &before, &former, &had_record, err);
	if (rc)
		return rc;
	rc = set_override(host, before.bdf, former.override, err);
	if (rc)
		return rc;
	rc = unbind_driver(host, &before, err);
	if (rc) {
		set_override(host, before.bdf, before.override, NULL);
		return rc;
	}
	now = before;
	now.driver[0] = '\0';
	if (had_record && former.driver[0]) {
		/* Gone meanwhile? Loading it probes, and the probe may be ours. */
		if (!driver_exists(host, former.driver))
			vcdev_modprobe(host, former.driver, NULL);
		write_attr(host, NULL, before.bdf, "drivers", former.driver, "bind");
		vcdev_pci_get(host, before.bdf, &now, NULL);
	} else if (!had_record) {
		probe(host, &now);
	}
	if (had_record && strcmp(now.driver, former.driver)) {
		put_back(host, &before, &now);
		memcpy(driver, now.driver, VCDEV_NAME_LEN);
		vcdev_fail(err, -ENODEV, "its former driver %s did not take it back; it has %s",
			   former.driver, now.driver[0] ? now.driver : "no driver now");
		vcdev_hint(err, "'dmesg' tells why; to let the kernel choose a driver: "
			   "rm " RUN_DIR "/%s, and once more", before.bdf);
		return -ENODEV;
	}
	record_remove(host, before.bdf);
	memcpy(driver, now.driver, VCDEV_NAME_LEN);
	return 0;
}

/* ------------------------------------------------------------------ SR-IOV */

static int write_numvfs(const struct vcdev_host *host, const char *bdf,
			unsigned int nr_vfs, struct vcdev_error *err)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", nr_vfs);
	return write_attr(host, err, text, "devices", bdf, "sriov_numvfs");
}

static int vfs_are_unused(const struct vcdev_host *host, const char *bdf,
			  struct vcdev_error *err)
{
	struct vcdev_pci *vfs;
	ssize_t nr, i;
	int rc = 0;

	nr = vcdev_pci_vfs(host, bdf, &vfs, err);
	if (nr < 0)
		return nr;
	for (i = 0; i < nr && !rc; i++) {
		rc = is_unused(host, &vfs[i], err);
		if (rc)
			vcdev_prefix(err, "its VF ");
	}
	free(vfs);
	return rc;
}

int vcdev_sriov_set(const struct vcdev_host *host, const char *bdf,
		    unsigned int nr_vfs, struct vcdev_error *err)
{
	struct vcdev_pci pci, now;
	int rc;

	rc = vcdev_pci_get(host, bdf, &pci, err);
	if (rc)
		return rc;
	if (pci.pf[0]) {
		vcdev_fail(err, -EINVAL, "is a VF itself");
		vcdev_hint(err, "name its PF: vfio-cdev sriov %s %u", pci.pf, nr_vfs);
		return -EINVAL;
	}
	if (!pci.total_vfs) {
		vcdev_fail(err, -EINVAL, "is not capable of SR-IOV");
		vcdev_hint(err, "if the data sheet says otherwise, look into the firmware setup "
			   "for SR-IOV and ARI");
		return -EINVAL;
	}
	if (nr_vfs > pci.total_vfs) {
		vcdev_fail(err, -ERANGE, "can have %u VFs at most", pci.total_vfs);
		vcdev_hint(err, "vfio-cdev sriov %s %u", pci.bdf, pci.total_vfs);
		return -ERANGE;
	}
	if (nr_vfs == pci.nr_vfs)
		return 0;
	if (!pci.driver[0]) {
		vcdev_fail(err, -ENOENT, "has no driver, and VFs are made by the driver of the PF");
		vcdev_hint(err, "bind its driver: echo %s > /sys/bus/pci/drivers_probe", pci.bdf);
		return -ENOENT;
	}
	if (pci.nr_vfs) {
		rc = vfs_are_unused(host, pci.bdf, err);
		if (rc)
			return rc;
		rc = write_numvfs(host, pci.bdf, 0, err);
		if (rc)
			return rc;
	}
	if (!nr_vfs)
		return 0;
	rc = write_numvfs(host, pci.bdf, nr_vfs, err);
	if (rc == -ENOENT) {
		vcdev_fail(err, rc, "its driver %s cannot make VFs", pci.driver);
		vcdev_hint(err, "vfio-pci can, if it is loaded with enable_sriov=1");
	}
	if (rc)
		goto err_old_number;
	rc = vcdev_pci_get(host, pci.bdf, &now, err);
	if (rc)
		goto err_old_number;
	if (now.nr_vfs != nr_vfs) {
		rc = vcdev_fail(err, -EIO, "the driver %s made %u VFs, not %u", pci.driver,
				now.nr_vfs, nr_vfs);
		goto err_zero;
	}
	return 0;

err_zero:
	write_numvfs(host, pci.bdf, 0, NULL);
err_old_number:
	/* Zero over zero is no change. */
	write_numvfs(host, pci.bdf, pci.nr_vfs, NULL);
	return rc;
}
