// SPDX-License-Identifier: GPL-2.0
/* "doctor": one function, its group and who has them. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "doctor.h"

static bool is_vfio(const struct vcdev_pci *pci)
{
	return strstr(pci->driver, "vfio") != NULL;
}

static void check_device_type(struct doctor *doctor, struct doctor_finding *finding)
{
	if (doctor_follows(doctor, "power", finding))
		return;
	if (!doctor->pci->is_bridge) {
		doctor_say(finding, DOCTOR_OK, "is a function, not a bridge");
		return;
	}
	doctor_say(finding, DOCTOR_FAILED, "is a bridge, and vfio-pci takes no bridges");
	doctor_remedy(finding, "use the functions behind it: vfio-cdev list --tree");
}

static void check_power(struct doctor *doctor, struct doctor_finding *finding)
{
	/* All of what everybody may read: the ID of a VF is ff by its specification. */
	unsigned char header[64];
	char path[4096], state[32];
	size_t got = 0, i;
	FILE *file;

	host_line(state, sizeof(state), "/sys/bus/pci/devices/%s/power_state", doctor->pci->bdf);
	host_path(path, sizeof(path), "/sys/bus/pci/devices/%s/config", doctor->pci->bdf);
	file = fopen(path, "re");
	if (file) {
		got = fread(header, 1, sizeof(header), file);
		fclose(file);
	}
	for (i = 0; i < got && header[i] == 0xff; i++)
		;
	if (got < 4) {
		doctor_say(finding, DOCTOR_UNKNOWN, "configuration space cannot be read");
	} else if (i == got) {
		doctor_say(finding, DOCTOR_FAILED, "does not answer%s%s (configuration space reads "
			   "as ff)", state[0] ? ", power state " : "", state);
		doctor_remedy(finding, "echo on > /sys/bus/pci/devices/%s/power/control; if that "
			      "does not help: echo 1 to its 'remove' and to /sys/bus/pci/rescan, or "
			      "switch the machine off and on", doctor->pci->bdf);
	} else {
		doctor_say(finding, DOCTOR_OK, "answers%s%s",
			   state[0] && strcmp(state, "unknown") ? ", power state " : "",
			   strcmp(state, "unknown") ? state : "");
	}
}

static void check_iommu_group(struct doctor *doctor, struct doctor_finding *finding)
{
	if (doctor_follows(doctor, "iommu-firmware", finding) ||
	    doctor_follows(doctor, "iommu-cmdline", finding) ||
	    doctor_follows(doctor, "iommu-active", finding))
		return;
	if (doctor->pci->group >= 0) {
		doctor_say(finding, DOCTOR_OK, "IOMMU group %d", doctor->pci->group);
		return;
	}
	doctor_say(finding, DOCTOR_FAILED, "is in no IOMMU group: no IOMMU translates for it");
	doctor_remedy(finding, "use a slot behind the IOMMU; 'vfio-cdev list' shows the groups");
}

static void check_reserved_regions(struct doctor *doctor, struct doctor_finding *finding)
{
	char path[4096], type[32];
	uint64_t start, last;
	int nr = 0;
	FILE *file;

	if (doctor->pci->group < 0) {
		doctor_say(finding, DOCTOR_SKIPPED, "follows from iommu-group");
		return;
	}
	host_path(path, sizeof(path), "/sys/kernel/iommu_groups/%d/reserved_regions",
		  doctor->pci->group);
	file = fopen(path, "re");
	if (!file) {
		doctor_say(finding, DOCTOR_UNKNOWN, "%s cannot be read", path);
		return;
	}
	doctor_say(finding, DOCTOR_OK, "firmware uses no memory through the group");
	while (fscanf(file, "%" SCNx64 " %" SCNx64 " %31s", &start, &last, type) == 3) {
		nr++;
		/* "direct-relaxable" is for the boot only (graphics, USB). */
		if (strcmp(type, "direct"))
			continue;
		doctor_say(finding, DOCTOR_FAILED, "firmware uses memory at 0x%" PRIx64 " to 0x%"
			   PRIx64 " through a device of group %d (RMRR), and would lose it", start,
			   last, doctor->pci->group);
		doctor_remedy(finding, "switch what the firmware does with the device off (its "
			      "setup: shared memory or health reports of the card, HPE: RMRR), or "
			      "use another slot; no software can lift this");
	}
	fclose(file);
	if (finding->result == DOCTOR_OK && nr)
		doctor_say(finding, DOCTOR_OK, "%d reserved region%s, none used by firmware", nr,
			   nr > 1 ? "s" : "");
}

static void check_group_members(struct doctor *doctor, struct doctor_finding *finding)
{
	const struct vcdev_pci *pci = doctor->pci;
	char names[300] = "", bdfs[300] = "";
	size_t used = 0, used_bdfs = 0;
	struct vcdev_pci *members;
	struct vcdev_error err;
	ssize_t nr, i;
	int others = 0;

	if (pci->group < 0) {
		doctor_say(finding, DOCTOR_SKIPPED, "follows from iommu-group");
		return;
	}
	nr = vcdev_pci_group(tool_host, pci->group, &members, &err);
	if (nr < 0) {
		doctor_say(finding, DOCTOR_UNKNOWN, "%s", err.text);
		return;
	}
	for (i = 0; i < nr; i++) {
		if (members[i].is_bridge || !strcmp(members[i].bdf, pci->bdf))
			continue;
		others++;
		if (!members[i].driver[0] || is_vfio(&members[i]) || used >= sizeof(names) ||
		    used_bdfs >= sizeof(bdfs))
			continue;
		used += snprintf(names + used, sizeof(names) - used, "%s%s (%s)",
				 used ? ", " : "", members[i].bdf, members[i].driver);
		used_bdfs += snprintf(bdfs + used_bdfs, sizeof(bdfs) - used_bdfs, " %s",
				      members[i].bdf);
	}
	if (nr > 0)
		free(members);
	if (used) {
		doctor_say(finding, DOCTOR_FAILED, "kernel drivers have other members of group %d: "
			   "%s", pci->group, names);
		doctor_remedy(finding, "a group goes to userspace as a whole: vfio-cdev bind %s%s",
			      pci->bdf, bdfs);
	} else if (others) {
		doctor_say(finding, DOCTOR_OK, "%d other member%s of group %d, none with a kernel "
			   "driver", others, others > 1 ? "s" : "", pci->group);
	} else {
		doctor_say(finding, DOCTOR_OK, "alone in group %d", pci->group);
	}
}

/* What else the library refuses to bind for: VFs that would vanish, mounted disks. */
static void check_bind_safe(struct doctor *doctor, struct doctor_finding *finding)
{
	const struct vcdev_pci *pci = doctor->pci;
	char (*with)[VCDEV_BDF_LEN] = NULL;
	struct vcdev_pci *members = NULL;
	struct vcdev_error err;
	ssize_t nr = 0, i;

	if (is_vfio(pci)) {
		doctor_say(finding, DOCTOR_SKIPPED, "is bound already");
		return;
	}
	if (doctor_follows(doctor, "device-type", finding))
		return;
	if (pci->group < 0) {
		doctor_say(finding, DOCTOR_SKIPPED, "follows from iommu-group");
		return;
	}
	nr = vcdev_pci_group(tool_host, pci->group, &members, NULL);
	if (nr > 0)
		with = calloc(nr, sizeof(*with));
	if (!with) {
		doctor_say(finding, DOCTOR_UNKNOWN, "the group cannot be read");
		goto out_free;
	}
	/* The members are group-members' business. */
	for (i = 0; i < nr; i++)
		memcpy(with[i], members[i].bdf, sizeof(with[i]));
	if (vcdev_driver_may_bind(tool_host, pci, (const char (*)[VCDEV_BDF_LEN])with, nr, &err)) {
		doctor_say(finding, DOCTOR_FAILED, "%s", err.text);
		doctor_remedy(finding, "%s", err.hint);
	} else {
		doctor_say(finding, DOCTOR_OK, "no VFs and no mounted file system would be lost");
	}
out_free:
	free(with);
	if (nr > 0)
		free(members);
}

static void check_driver(struct doctor *doctor, struct doctor_finding *finding)
{
	const struct vcdev_pci *pci = doctor->pci;

	if (is_vfio(pci)) {
		doctor_say(finding, DOCTOR_OK, "driver %s", pci->driver);
		return;
	}
	if (doctor_follows(doctor, "device-type", finding) ||
	    doctor_follows(doctor, "iommu-firmware", finding) ||
	    doctor_follows(doctor, "iommu-cmdline", finding) ||
	    doctor_follows(doctor, "iommu-active", finding) ||
	    doctor_follows(doctor, "iommu-group", finding))
		return;
	if (pci->driver[0])
		doctor_say(finding, DOCTOR_FAILED, "the kernel driver %s has it", pci->driver);
	else
		doctor_say(finding, DOCTOR_FAILED, "has no driver");
	if (pci->override[0] && !strstr(pci->override, "vfio"))
		doctor_remedy(finding, "vfio-cdev bind %s; its driver_override is %s, which "
			      "something else on this host may have set", pci->bdf, pci->override);
	else
		doctor_remedy(finding, "vfio-cdev bind %s", pci->bdf);
}

static void check_cdev(struct doctor *doctor, struct doctor_finding *finding)
{
	const struct vcdev_pci *pci = doctor->pci;
	struct vcdev_error err;
	char path[128];

	if (!is_vfio(pci)) {
		doctor_say(finding, DOCTOR_SKIPPED, "follows from driver");
	} else if (pci->cdev[0]) {
		snprintf(path, sizeof(path), "/dev/vfio/devices/%s", pci->cdev);
		doctor_node(path, "the kernel has the device, so that udev or devtmpfs should have "
			    "made its node; in a container, hand it in", finding);
	} else if (!doctor_follows(doctor, "module-vfio", finding)) {
		vcdev_pci_why_no_cdev(tool_host, pci, &err);
		doctor_say(finding, DOCTOR_FAILED, "%s", err.text);
		doctor_remedy(finding, "%s", err.hint);
	}
}

/* -------------------------------------------------------- who has what */

static void check_holder(struct doctor *doctor, struct doctor_finding *finding)
{
	const struct vcdev_file *holder = NULL;
	size_t i;

	if (!is_vfio(doctor->pci)) {
		doctor_say(finding, DOCTOR_SKIPPED, "follows from driver");
		return;
	}
	for (i = 0; i < doctor->nr_files && !holder; i++)
		if (vcdev_file_is_of(&doctor->files[i], doctor->pci))
			holder = &doctor->files[i];
	if (holder) {
		doctor_say(finding, DOCTOR_FAILED, "process %d (%s) has it open, fd %d%s%s",
			   (int)holder->pid, holder->comm, holder->fd, holder->state[0] ? ", " : "",
			   holder->state);
		doctor_remedy(finding, "end that process first, or let it use the device; "
			      "vfio-cdev who %s", doctor->pci->bdf);
	} else if (doctor->nr_hidden) {
		doctor_say(finding, DOCTOR_UNKNOWN, "only root may look into all processes");
		doctor_remedy(finding, "run this as root");
	} else {
		doctor_say(finding, DOCTOR_OK, "nobody has it open");
	}
}

/* The group belongs to one context: that of whoever has another member. */
static void check_dma_owner(struct doctor *doctor, struct doctor_finding *finding)
{
	const struct vcdev_pci *pci = doctor->pci;
	const struct vcdev_file *owner = NULL;
	struct vcdev_pci *members;
	char bdf[VCDEV_BDF_LEN] = "";
	ssize_t nr, i;
	size_t j;

	if (pci->group < 0) {
		doctor_say(finding, DOCTOR_SKIPPED, "follows from iommu-group");
		return;
	}
	if (doctor_follows(doctor, "group-members", finding) ||
	    doctor_follows(doctor, "driver", finding))
		return;
	nr = vcdev_pci_group(tool_host, pci->group, &members, NULL);
	for (i = 0; i < nr; i++)
		for (j = 0; j < doctor->nr_files; j++)
			if (doctor->files[j].kind != VCDEV_FILE_GROUP &&
			    strcmp(members[i].bdf, pci->bdf) &&
			    vcdev_file_is_of(&doctor->files[j], &members[i])) {
				owner = &doctor->files[j];
				memcpy(bdf, members[i].bdf, sizeof(bdf));
			}
	if (nr > 0)
		free(members);
	if (owner && owner->context)
		doctor_say(finding, DOCTOR_FAILED, "context %u of process %d (%s) owns group %d by "
			   "%s", (unsigned int)owner->context, (int)owner->pid, owner->comm,
			   pci->group, bdf);
	else if (owner)
		doctor_say(finding, DOCTOR_FAILED, "process %d (%s) has %s of group %d open",
			   (int)owner->pid, owner->comm, bdf, pci->group);
	else if (doctor->nr_hidden)
		doctor_say(finding, DOCTOR_UNKNOWN, "only root may look into all processes");
	else
		doctor_say(finding, DOCTOR_OK, "no context owns group %d", pci->group);
	if (owner)
		doctor_remedy(finding, "all members of a group go to one context: use the device "
			      "in that process, or end it first");
}

static const struct vcdev_file *holder_of(const struct doctor *doctor,
					  const struct vcdev_pci *pci)
{
	size_t i;

	for (i = 0; i < doctor->nr_files; i++)
		if (vcdev_file_is_of(&doctor->files[i], pci))
			return &doctor->files[i];
	return NULL;
}

/* A VF whose PF is in userspace, too, is opened only with the token of the PF. */
static void check_vf_token(struct doctor *doctor, struct doctor_finding *finding)
{
	const struct vcdev_pci *pci = doctor->pci;
	const struct vcdev_file *holder = NULL;
	struct vcdev_pci pf, *vfs;
	ssize_t nr, i;

	if (pci->pf[0]) {
		if (vcdev_pci_get(tool_host, pci->pf, &pf, NULL) || !is_vfio(&pf)) {
			doctor_say(finding, DOCTOR_OK, "its PF %s is not in userspace", pci->pf);
			return;
		}
		holder = holder_of(doctor, &pf);
		if (holder)
			doctor_say(finding, DOCTOR_FAILED, "its PF %s is on %s and process %d (%s) "
				   "has it open: only with that one's VF token the VF can be opened",
				   pf.bdf, pf.driver, (int)holder->pid, holder->comm);
		else
			doctor_say(finding, DOCTOR_FAILED, "its PF %s is on %s: only with the PF's "
				   "VF token the VF can be opened", pf.bdf, pf.driver);
		doctor_remedy(finding, "give the PF to a kernel driver (vfio-cdev unbind %s), or "
			      "hand the token to whoever opens the VF (QEMU, DPDK: vf-token; "
			      "VFIO_DEVICE_BIND_FLAG_TOKEN)", pf.bdf);
		return;
	}
	if (!pci->nr_vfs || !is_vfio(pci)) {
		doctor_say(finding, DOCTOR_SKIPPED, "is no VF, and no PF with VFs on vfio-pci");
		return;
	}
	nr = vcdev_pci_vfs(tool_host, pci->bdf, &vfs, NULL);
	for (i = 0; i < nr && !holder; i++)
		holder = holder_of(doctor, &vfs[i]);
	if (nr > 0)
		free(vfs);
	if (!holder) {
		doctor_say(finding, DOCTOR_OK, "none of its VFs is open");
		return;
	}
	doctor_say(finding, DOCTOR_FAILED, "process %d (%s) has one of its VFs open: only with the "
		   "VF token the PF can be opened", (int)holder->pid, holder->comm);
	doctor_remedy(finding, "use the token that was set when the PF was opened before, or end "
		      "that process first");
}

static void check_reset(struct doctor *doctor, struct doctor_finding *finding)
{
	char methods[128];

	if (doctor->pci->is_bridge) {
		doctor_say(finding, DOCTOR_SKIPPED, "follows from device-type");
		return;
	}
	if (host_line(methods, sizeof(methods), "/sys/bus/pci/devices/%s/reset_method",
		      doctor->pci->bdf) > 0) {
		doctor_say(finding, DOCTOR_OK, "can be reset alone: %s", methods);
		return;
	}
	doctor_say(finding, DOCTOR_WARNING, "cannot be reset alone: it comes to its next user as "
		   "the last one left it");
	doctor_remedy(finding, "vfio-cdev reset --hot --dry-run %s tells whether its bus can be "
		      "reset", doctor->pci->bdf);
}

/* The last complaint of the kernel that names the function. */
static void check_kernel_log(struct doctor *doctor, struct doctor_finding *finding)
{
	char path[4096], record[8192], last[300] = "";
	unsigned int priority;
	char *text;
	ssize_t got;
	int fd;

	host_path(path, sizeof(path), "/dev/kmsg");
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		doctor_say(finding, DOCTOR_UNKNOWN, "the kernel's log cannot be read: %s",
			   strerror(errno));
		doctor_remedy(finding, "run this as root");
		return;
	}
	/* One record each; EPIPE says that some were overwritten meanwhile. */
	while ((got = read(fd, record, sizeof(record) - 1)) > 0 || (got < 0 && errno == EPIPE)) {
		if (got < 0)
			continue;
		record[got] = '\0';
		record[strcspn(record, "\n")] = '\0';
		text = strchr(record, ';');
		/* Warnings and worse. */
		priority = strtoul(record, NULL, 10);
		if (!text || (priority & 7) > 4)
			continue;
		if (strstr(text, doctor->pci->bdf) || strstr(text, doctor->pci->bdf + 5))
			snprintf(last, sizeof(last), "%s", text + 1);
	}
	close(fd);
	if (last[0]) {
		doctor_say(finding, DOCTOR_WARNING, "the kernel said: %s", last);
		doctor_remedy(finding, "'dmesg | grep %s' has all of it; it may be old",
			      doctor->pci->bdf + 5);
	} else {
		doctor_say(finding, DOCTOR_OK, "the kernel has not complained about it");
	}
}

/* --------------------------------------------------------------- trying it */

static int try_device(const struct vcdev_pci *pci, const char **step, struct vcdev_error *err)
{
	struct vcdev_ctx *ctx = NULL;
	struct vcdev_dev *dev = NULL;
	const size_t size = sysconf(_SC_PAGESIZE);
	uint64_t iova;
	uint32_t ioas;
	void *page;
	int rc;

	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED) {
		memset(err, 0, sizeof(*err));
		strcpy(err->text, "out of memory");
		return -ENOMEM;
	}
	*step = "open";
	rc = vcdev_dev_open(tool_host, pci->bdf, &dev, err);
	if (!rc)
		rc = vcdev_ctx_open(tool_host, &ctx, err);
	*step = rc ? *step : "bind";
	if (!rc)
		rc = vcdev_dev_bind(dev, ctx, err);
	*step = rc ? *step : "attach";
	if (!rc)
		rc = vcdev_ioas_alloc(ctx, &ioas, err);
	if (!rc)
		rc = vcdev_dev_attach(dev, ioas, NULL, err);
	*step = rc ? *step : "map";
	if (!rc)
		rc = vcdev_map_any(ctx, ioas, page, size, VCDEV_MAP_RW, &iova, err);
	/* The device first: it hangs on the context. */
	vcdev_dev_close(dev);
	vcdev_ctx_close(ctx);
	munmap(page, size);
	return rc;
}

static void check_trial(struct doctor *doctor, struct doctor_finding *finding)
{
	const char *step = "open";
	struct vcdev_error err;
	int i;

	if (!doctor->try_it) {
		doctor_say(finding, DOCTOR_SKIPPED, "not asked for (--try)");
		return;
	}
	for (i = 0; i < doctor->nr; i++)
		if (doctor_follows(doctor, doctor->checks[i]->id, finding))
			return;
	if (!try_device(doctor->pci, &step, &err)) {
		doctor_say(finding, DOCTOR_OK, "opened, bound, attached, a page mapped");
		return;
	}
	doctor_say(finding, DOCTOR_FAILED, "%s: %.*s", step, (int)sizeof(finding->evidence) - 32,
		   err.text);
	doctor_remedy(finding, "%s", err.hint);
}

const struct doctor_check doctor_device_checks[] = {
	{ "power", "the device answers", check_power },
	{ "device-type", "is a function that vfio-pci takes", check_device_type },
	{ "iommu-group", "an IOMMU translates for it", check_iommu_group },
	{ "reserved-regions", "firmware uses no memory through it", check_reserved_regions },
	{ "group-members", "no kernel driver has a member of its group", check_group_members },
	{ "bind-safe", "nothing is lost by binding it", check_bind_safe },
	{ "driver", "a VFIO driver has it", check_driver },
	{ "node-cdev", "its cdev can be opened", check_cdev },
	{ "holder", "nobody has it open", check_holder },
	{ "dma-owner", "no other context owns its group", check_dma_owner },
	{ "vf-token", "it can be opened without a VF token", check_vf_token },
	{ "reset", "it can be reset alone", check_reset },
	{ "kernel-log", "the kernel has not complained about it", check_kernel_log },
	{ "trial", "it can be opened, bound, attached and mapped for", check_trial },
	{ 0 }
};
