// SPDX-License-Identifier: GPL-2.0
/* "doctor": the kernel, the IOMMU, interrupts, limits. */
#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "doctor.h"

/* "6.1.0-56-amd64" is 601 */
static int version_of(const char *release)
{
	unsigned int major, minor;

	if (sscanf(release, "%u.%u", &major, &minor) != 2)
		return 0;
	return major * 100 + minor;
}

static void check_kernel_version(struct doctor *doctor, struct doctor_finding *finding)
{
	int version = version_of(doctor->release);

	if (!version) {
		doctor_say(finding, DOCTOR_UNKNOWN, "/proc/sys/kernel/osrelease does not tell");
	} else if (version == 601) {
		doctor_say(finding, DOCTOR_OK, "Linux %s", doctor->release);
	} else if (host_exists("/dev/iommu") || host_exists("/sys/module/iommufd")) {
		doctor_say(finding, DOCTOR_OK, "Linux %s, which has an iommufd", doctor->release);
	} else {
		doctor_say(finding, DOCTOR_FAILED, "Linux %s: the modules are for Linux 6.1",
			   doctor->release);
		doctor_remedy(finding, "boot a kernel 6.1 of Debian 12, or one since 6.6 that is "
			      "built with CONFIG_IOMMUFD and CONFIG_VFIO_DEVICE_CDEV");
	}
}

static int count_groups(void)
{
	char path[4096];
	struct dirent *entry;
	int nr = 0;
	DIR *dir;

	host_path(path, sizeof(path), "/sys/kernel/iommu_groups");
	dir = opendir(path);
	if (!dir)
		return 0;
	while ((entry = readdir(dir)))
		nr += entry->d_name[0] != '.';
	closedir(dir);
	return nr;
}

/* The table by which the firmware reports an IOMMU, or NULL. */
static const char *firmware_table(void)
{
	static const char *const tables[] = { "DMAR", "IVRS", "VIOT" };
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		if (host_exists("/sys/firmware/acpi/tables/%s", tables[i]))
			return tables[i];
	return NULL;
}

static void check_iommu_firmware(struct doctor *doctor, struct doctor_finding *finding)
{
	const char *table = firmware_table();
	int nr = count_groups();

	(void)doctor;
	if (table) {
		doctor_say(finding, DOCTOR_OK, "the firmware has a table %s", table);
	} else if (nr) {
		doctor_say(finding, DOCTOR_OK, "there are %d IOMMU groups", nr);
	} else if (!host_exists("/sys/firmware/acpi/tables")) {
		doctor_say(finding, DOCTOR_UNKNOWN, "this system shows no ACPI tables");
	} else {
		doctor_say(finding, DOCTOR_FAILED,
			   "the firmware reports no IOMMU (no table DMAR, IVRS or VIOT)");
		doctor_remedy(finding, "switch it on in the firmware setup (VT-d, AMD-Vi, "
			      "IOMMU, SVM); in a virtual machine, add one (QEMU: -device "
			      "intel-iommu,intremap=on)");
	}
}

static void check_iommu_cmdline(struct doctor *doctor, struct doctor_finding *finding)
{
	static const char *const off[] = { "intel_iommu=off", "amd_iommu=off", "iommu=off" };
	char line[4096];
	size_t i;

	if (doctor_follows(doctor, "iommu-firmware", finding))
		return;
	if (host_line(line, sizeof(line), "/proc/cmdline") < 0) {
		doctor_say(finding, DOCTOR_UNKNOWN, "/proc/cmdline cannot be read");
		return;
	}
	for (i = 0; i < sizeof(off) / sizeof(off[0]); i++) {
		if (!has_word(line, off[i]))
			continue;
		doctor_say(finding, DOCTOR_FAILED, "the kernel command line has '%s'", off[i]);
		doctor_remedy(finding, "take '%s' out of GRUB_CMDLINE_LINUX in /etc/default/grub, "
			      "run update-grub and boot again", off[i]);
		return;
	}
	if (!count_groups() && host_exists("/sys/firmware/acpi/tables/DMAR") &&
	    !strstr(line, "intel_iommu=on")) {
		doctor_say(finding, DOCTOR_FAILED, "the kernel command line has no "
			   "'intel_iommu=on', without which this kernel does not use the IOMMU");
		doctor_remedy(finding, "add intel_iommu=on to GRUB_CMDLINE_LINUX in "
			      "/etc/default/grub, run update-grub and boot again");
		return;
	}
	doctor_say(finding, DOCTOR_OK, "nothing on the kernel command line switches it off");
}

static void check_iommu_active(struct doctor *doctor, struct doctor_finding *finding)
{
	int nr = count_groups();

	if (doctor_follows(doctor, "iommu-firmware", finding) ||
	    doctor_follows(doctor, "iommu-cmdline", finding))
		return;
	if (nr) {
		doctor_say(finding, DOCTOR_OK, "%d IOMMU groups", nr);
		return;
	}
	doctor_say(finding, DOCTOR_FAILED, "the kernel has made no IOMMU groups");
	doctor_remedy(finding, "'dmesg | grep -e DMAR -e AMD-Vi -e iommu' tells why the kernel "
		      "does not use it; often a newer firmware helps");
}

/* Remapped interrupts have chips of their own in /proc/interrupts: IR-PCI-MSI. */
static bool interrupts_are_remapped(bool *readable)
{
	char path[4096], *line = NULL;
	bool found = false;
	size_t room = 0;
	FILE *file;

	host_path(path, sizeof(path), "/proc/interrupts");
	file = fopen(path, "re");
	*readable = file;
	if (!file)
		return false;
	while (!found && getline(&line, &room, file) > 0)
		found = strstr(line, " IR-") != NULL;
	free(line);
	fclose(file);
	return found;
}

static void check_interrupt_remapping(struct doctor *doctor, struct doctor_finding *finding)
{
	static const char *const off[] = { "intremap=off", "nointremap" };
	char line[4096], unsafe[8];
	const char *word = NULL;
	bool readable;
	size_t i;

	if (doctor_follows(doctor, "iommu-firmware", finding) ||
	    doctor_follows(doctor, "iommu-cmdline", finding) ||
	    doctor_follows(doctor, "iommu-active", finding))
		return;
	if (interrupts_are_remapped(&readable)) {
		doctor_say(finding, DOCTOR_OK, "interrupts are remapped (IR- in /proc/interrupts)");
		return;
	}
	if (!readable) {
		doctor_say(finding, DOCTOR_UNKNOWN, "/proc/interrupts cannot be read");
		return;
	}
	host_line(line, sizeof(line), "/proc/cmdline");
	for (i = 0; i < sizeof(off) / sizeof(off[0]) && !word; i++)
		if (has_word(line, off[i]))
			word = off[i];
	host_line(unsafe, sizeof(unsafe), "/sys/module/iommufd/parameters/allow_unsafe_interrupts");
	if (unsafe[0] == 'Y') {
		doctor_say(finding, DOCTOR_WARNING, "interrupts are not remapped, and "
			   "iommufd.allow_unsafe_interrupts=1 lets devices be used nevertheless: "
			   "one could send interrupts that are not its own");
		doctor_remedy(finding, "only for devices and users that you trust");
		return;
	}
	if (word)
		doctor_say(finding, DOCTOR_FAILED, "interrupts are not remapped: the kernel "
			   "command line has '%s'", word);
	else
		doctor_say(finding, DOCTOR_FAILED, "interrupts are not remapped (no IR- in "
			   "/proc/interrupts), so that a device could send any interrupt");
	doctor_remedy(finding, "%s%s%s; or, if you trust the devices: echo 1 > "
		      "/sys/module/iommufd/parameters/allow_unsafe_interrupts",
		      word ? "take '" : "switch interrupt remapping (x2APIC) on in the firmware "
		      "setup; in QEMU: -device intel-iommu,intremap=on with "
		      "-M q35,kernel-irqchip=split", word ? word : "",
		      word ? "' off the kernel command line" : "");
}

/* CAP_IPC_LOCK exempts from the limit. */
static bool may_lock(void)
{
	unsigned long long caps = 0;
	char line[256];
	FILE *file = fopen("/proc/self/status", "re");

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "CapEff: %llx", &caps) == 1)
			break;
	if (file)
		fclose(file);
	return caps >> 14 & 1;
}

static void check_memlock(struct doctor *doctor, struct doctor_finding *finding)
{
	/* Less than this is too little for any virtual machine. */
	const uint64_t small = 1ull << 30;
	uint64_t need = doctor->memory ? doctor->memory : small;
	struct rlimit limit;

	if (may_lock()) {
		doctor_say(finding, DOCTOR_OK, "CAP_IPC_LOCK: no limit for this user");
		return;
	}
	if (getrlimit(RLIMIT_MEMLOCK, &limit)) {
		doctor_say(finding, DOCTOR_UNKNOWN, "getrlimit: %s", strerror(errno));
		return;
	}
	if (limit.rlim_cur == RLIM_INFINITY) {
		doctor_say(finding, DOCTOR_OK, "no limit on locked memory");
		return;
	}
	doctor_say(finding, limit.rlim_cur >= need ? DOCTOR_OK : doctor->memory ? DOCTOR_FAILED :
		   DOCTOR_WARNING, "this user may lock %" PRIu64 " MiB, all its processes "
		   "together (ulimit -l %" PRIu64 ")", (uint64_t)limit.rlim_cur >> 20,
		   (uint64_t)limit.rlim_cur >> 10);
	doctor_remedy(finding, "%s: in /etc/security/limits.d/vfio.conf '@vfio - memlock %" PRIu64
		      "' (KiB), for a service LimitMEMLOCK=; what is mapped counts, for a "
		      "virtual machine all of its memory",
		      doctor->memory ? "raise the limit" : "raise the limit if more is to be mapped",
		      ((doctor->memory ? doctor->memory : 8 * small) >> 10) + 65536);
}

const struct doctor_check doctor_host_checks[] = {
	{ "kernel-version", "the modules are for this kernel", check_kernel_version },
	{ "iommu-firmware", "the firmware reports an IOMMU", check_iommu_firmware },
	{ "iommu-cmdline", "the kernel command line lets it be used", check_iommu_cmdline },
	{ "iommu-active", "the kernel uses the IOMMU", check_iommu_active },
	{ "interrupt-remapping", "interrupts are isolated", check_interrupt_remapping },
	{ "memlock", "enough memory can be locked", check_memlock },
	{ 0 }
};
