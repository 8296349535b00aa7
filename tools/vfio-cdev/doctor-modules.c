// SPDX-License-Identifier: GPL-2.0
/*
 * "doctor": the modules. Are they there for the running kernel, may the kernel load
 * them, and which ones did it load?
 *
 * Two modules are called vfio: the distribution's, which knows groups only, and this
 * project's, which needs iommufd. The latter is told by the module iommufd having it
 * as a holder; on a kernel that has the device cdev itself (since 6.6) it is the same.
 */
#include <errno.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doctor.h"

/*
 * Where depmod found a module of the running kernel, below its directory:
 * "updates/vfio.ko". "" if there is none. Returns false if there is no index.
 */
static bool find_module(const struct doctor *doctor, const char *name, char *buf, size_t size)
{
	char path[4096], *line = NULL;
	size_t room = 0, length = strlen(name);
	const char *at;
	FILE *file;

	buf[0] = '\0';
	host_path(path, sizeof(path), "/lib/modules/%s/modules.dep", doctor->release);
	file = fopen(path, "re");
	if (!file)
		return false;
	while (!buf[0] && getline(&line, &room, file) > 0) {
		line[strcspn(line, ":\n")] = '\0';
		at = strrchr(line, '/');
		at = at ? at + 1 : line;
		if (!strncmp(at, name, length) && !strncmp(at + length, ".ko", 3) &&
		    strlen(line) < size)
			strcpy(buf, line);
	}
	free(line);
	fclose(file);
	return true;
}

static bool is_loaded(const char *module)
{
	return host_exists("/sys/module/%s", module);
}

/* Which other kernels have iommufd.ko? */
static void other_kernels(const struct doctor *doctor, char *buf, size_t size)
{
	static const char *const places[] = { "updates", "updates/dkms", "extra" };
	char pattern[4096], *name;
	size_t used = 0, i, j;
	glob_t found;

	buf[0] = '\0';
	for (i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		host_path(pattern, sizeof(pattern), "/lib/modules/*/%s/iommufd.ko*", places[i]);
		if (glob(pattern, 0, NULL, &found))
			continue;
		for (j = 0; j < found.gl_pathc && used < size; j++) {
			name = strstr(found.gl_pathv[j], "/lib/modules/");
			name += strlen("/lib/modules/");
			*strchr(name, '/') = '\0';
			if (strcmp(name, doctor->release))
				used += snprintf(buf + used, size - used, "%s%s", used ? ", " : "",
						 name);
		}
		globfree(&found);
	}
}

static void check_module_built(struct doctor *doctor, struct doctor_finding *finding)
{
	char iommufd[512], vfio[512], others[256];

	if (doctor_follows(doctor, "kernel-version", finding))
		return;
	if (!find_module(doctor, "iommufd", iommufd, sizeof(iommufd))) {
		doctor_say(finding, DOCTOR_UNKNOWN, "there is no /lib/modules/%s/modules.dep",
			   doctor->release);
		doctor_remedy(finding, "depmod; in a container, ask on the host");
		return;
	}
	find_module(doctor, "vfio", vfio, sizeof(vfio));
	if (!iommufd[0] && is_loaded("iommufd")) {
		doctor_say(finding, DOCTOR_WARNING, "iommufd is loaded, but not installed for "
			   "Linux %s: after the next boot it is gone", doctor->release);
	} else if (!iommufd[0]) {
		other_kernels(doctor, others, sizeof(others));
		doctor_say(finding, DOCTOR_FAILED, "there is no module iommufd for Linux %s%s%s",
			   doctor->release, others[0] ? ", but for " : "", others);
	} else if (!strncmp(vfio, "kernel/", 7) && strncmp(iommufd, "kernel/", 7)) {
		doctor_say(finding, DOCTOR_FAILED, "modprobe would load the distribution's vfio "
			   "(%s), not the one that belongs to %s", vfio, iommufd);
	} else {
		doctor_say(finding, DOCTOR_OK, "%s and %s", iommufd, vfio[0] ? vfio : "a built-in vfio");
		return;
	}
	doctor_remedy(finding, "install linux-headers-%s, then: dkms autoinstall -k %s (package) "
		      "or make modules install (sources)", doctor->release, doctor->release);
}

/* Returns 1 if the module's file ends in a signature, 0 if not, or a negative errno. */
static int is_signed(const struct doctor *doctor, const char *module)
{
	static const char magic[] = "~Module signature appended~\n";
	char path[4096], end[sizeof(magic)] = "";
	FILE *file;
	size_t got = 0;

	host_path(path, sizeof(path), "/lib/modules/%s/%s", doctor->release, module);
	if (strcmp(path + strlen(path) - 3, ".ko"))
		return -EINVAL;		/* compressed */
	file = fopen(path, "re");
	if (!file)
		return -errno;
	if (!fseek(file, -(long)(sizeof(magic) - 1), SEEK_END))
		got = fread(end, 1, sizeof(magic) - 1, file);
	fclose(file);
	return got == sizeof(magic) - 1 && !memcmp(end, magic, sizeof(magic) - 1);
}

/* Why the kernel wants signed modules, or NULL. */
static const char *wants_signatures(void)
{
	char text[128];
	ssize_t got;

	got = host_line(text, sizeof(text), "/sys/kernel/security/lockdown");
	if (got > 0 && !strstr(text, "[none]"))
		return strstr(text, "[integrity]") ? "the kernel is locked down (integrity)" :
			"the kernel is locked down (confidentiality)";
	host_line(text, sizeof(text), "/sys/module/module/parameters/sig_enforce");
	if (text[0] == 'Y')
		return "the kernel enforces module signatures (module.sig_enforce)";
	return NULL;
}

static bool is_secure_boot(void)
{
	unsigned char bytes[8];
	char path[4096];
	FILE *file;
	size_t got;

	host_path(path, sizeof(path), "/sys/firmware/efi/efivars/"
		  "SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c");
	file = fopen(path, "re");
	if (!file)
		return false;
	/* Four bytes of attributes, then the value. */
	got = fread(bytes, 1, sizeof(bytes), file);
	fclose(file);
	return got >= 5 && bytes[4] == 1;
}

static void check_module_signature(struct doctor *doctor, struct doctor_finding *finding)
{
	static const char *const names[] = { "iommufd", "vfio" };
	const char *why = wants_signatures();
	char file[512];
	size_t i;
	int rc;

	if (!why) {
		doctor_say(finding, DOCTOR_OK, "the kernel loads unsigned modules%s",
			   is_secure_boot() ? " (Secure Boot is on, but no lockdown)" : "");
		return;
	}
	if (doctor_follows(doctor, "module-built", finding))
		return;
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (is_loaded(names[i]))
			continue;
		find_module(doctor, names[i], file, sizeof(file));
		rc = file[0] ? is_signed(doctor, file) : 0;
		if (rc > 0)
			continue;
		doctor_say(finding, rc < 0 ? DOCTOR_UNKNOWN : DOCTOR_FAILED,
			   "%s%s, and %s %s", why, is_secure_boot() ? ", Secure Boot is on" : "",
			   file[0] ? file : names[i], rc < 0 ? "cannot be looked at" :
			   "has no signature");
		doctor_remedy(finding, "sign the modules with a key that the machine knows: DKMS "
			      "does with /var/lib/dkms/mok.key, enrolled by 'mokutil --import "
			      "/var/lib/dkms/mok.pub' and a reboot; or switch Secure Boot off");
		return;
	}
	doctor_say(finding, DOCTOR_OK, "%s; the modules are signed or loaded", why);
}

static void check_module_iommufd(struct doctor *doctor, struct doctor_finding *finding)
{
	if (is_loaded("iommufd")) {
		doctor_say(finding, DOCTOR_OK, "iommufd is loaded");
		return;
	}
	if (host_exists("/dev/iommu")) {
		doctor_say(finding, DOCTOR_OK, "iommufd is built in");
		return;
	}
	if (doctor_follows(doctor, "kernel-version", finding) ||
	    doctor_follows(doctor, "module-built", finding) ||
	    doctor_follows(doctor, "module-signature", finding))
		return;
	doctor_say(finding, DOCTOR_WARNING, "iommufd is not loaded");
	doctor_remedy(finding, "'vfio-cdev bind' loads it, and so does modprobe vfio-pci");
}

static bool has_cdev_class(void)
{
	char pattern[4096];
	glob_t found;
	bool any;

	host_path(pattern, sizeof(pattern), "/sys/class/vfio-dev/*/dev");
	any = !glob(pattern, 0, NULL, &found);
	if (any)
		globfree(&found);
	return any;
}

static void check_module_vfio(struct doctor *doctor, struct doctor_finding *finding)
{
	if (!is_loaded("vfio")) {
		doctor_say(finding, DOCTOR_SKIPPED, "vfio is not loaded");
		return;
	}
	if (host_exists("/sys/module/iommufd/holders/vfio") || has_cdev_class()) {
		doctor_say(finding, DOCTOR_OK, "the loaded vfio has the device cdev");
		return;
	}
	doctor_say(finding, DOCTOR_FAILED, "the loaded vfio is the distribution's, which has no "
		   "/dev/vfio/devices");
	if (doctor_result_of(doctor, "module-built") == DOCTOR_FAILED)
		doctor_remedy(finding, "install this project's modules first (module-built)");
	else
		doctor_remedy(finding, "unbind all devices from vfio-pci, then: modprobe -r "
			      "vfio-pci vfio_iommu_type1 vfio; modprobe vfio-pci; if it comes back "
			      "at boot, the initramfs has it: update-initramfs -u");
}

static void check_module_vfio_pci(struct doctor *doctor, struct doctor_finding *finding)
{
	char file[512];

	if (host_exists("/sys/bus/pci/drivers/vfio-pci")) {
		doctor_say(finding, DOCTOR_OK, "vfio-pci is loaded");
	} else if (!find_module(doctor, "vfio-pci", file, sizeof(file))) {
		doctor_say(finding, DOCTOR_UNKNOWN, "there is no index of modules");
	} else if (!file[0]) {
		doctor_say(finding, DOCTOR_FAILED, "Linux %s has no module vfio-pci",
			   doctor->release);
		doctor_remedy(finding, "boot the distribution's standard kernel "
			      "(linux-image-amd64); the cloud kernel has none");
	} else {
		doctor_say(finding, DOCTOR_OK, "%s, loaded by 'vfio-cdev bind'", file);
	}
}

static void check_noiommu(struct doctor *doctor, struct doctor_finding *finding)
{
	char value[8];

	(void)doctor;
	host_line(value, sizeof(value), "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
	if (value[0] != 'Y' && value[0] != '1') {
		doctor_say(finding, DOCTOR_OK, "no device is given away without an IOMMU");
		return;
	}
	doctor_say(finding, DOCTOR_WARNING, "vfio.enable_unsafe_noiommu_mode=1: devices without "
		   "an IOMMU group can read and write all memory for whoever opens them");
	doctor_remedy(finding, "echo 0 > /sys/module/vfio/parameters/enable_unsafe_noiommu_mode");
}

static void check_node_iommu(struct doctor *doctor, struct doctor_finding *finding)
{
	if (!is_loaded("iommufd") && !host_exists("/dev/iommu")) {
		doctor_say(finding, DOCTOR_SKIPPED, "follows from module-iommufd");
		return;
	}
	(void)doctor;
	doctor_node("/dev/iommu", "the module is loaded, so that udev or devtmpfs should have made "
		    "it; in a container, hand /dev/iommu in", finding);
}

/* The latest failure of a context, as its fdinfo has it. */
static bool last_failure(const struct vcdev_file *file, char *buf, size_t size)
{
	char path[4096], line[1024];
	bool found = false;
	char *text;
	FILE *fdinfo;

	host_path(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)file->pid, file->fd);
	fdinfo = fopen(path, "re");
	if (!fdinfo)
		return false;
	while (!found && fgets(line, sizeof(line), fdinfo)) {
		if (strncmp(line, "failure:", 8))
			continue;
		line[strcspn(line, "\n")] = '\0';
		text = strstr(line, "op=");
		snprintf(buf, size, "%s", text ? text : line + 8 + strspn(line + 8, " \t"));
		found = true;
	}
	fclose(fdinfo);
	return found;
}

/* Of all contexts, or of those that a function is bound to. */
static bool is_context_of(const struct doctor *doctor, const struct vcdev_file *context)
{
	size_t i;

	if (context->kind != VCDEV_FILE_CONTEXT && context->kind != VCDEV_FILE_CONTAINER)
		return false;
	if (!doctor->pci)
		return true;
	for (i = 0; i < doctor->nr_files; i++)
		if (vcdev_file_is_of(&doctor->files[i], doctor->pci) &&
		    (doctor->files[i].context ? doctor->files[i].context == context->context :
		     doctor->files[i].pid == context->pid))
			return true;
	return false;
}

static void check_last_failure(struct doctor *doctor, struct doctor_finding *finding)
{
	int nr_contexts = 0, nr_failed = 0;
	char text[400];
	size_t i;

	for (i = 0; i < doctor->nr_files; i++) {
		const struct vcdev_file *file = &doctor->files[i];

		if (!is_context_of(doctor, file))
			continue;
		nr_contexts++;
		if (!last_failure(file, text, sizeof(text)))
			continue;
		nr_failed++;
		doctor_say(finding, DOCTOR_WARNING, "context %u of process %d (%s): %s",
			   (unsigned int)file->context, (int)file->pid, file->comm, text);
		doctor_remedy(finding, "the last call that failed; more in /proc/%d/fdinfo/%d",
			      (int)file->pid, file->fd);
	}
	if (nr_failed)
		return;
	if (nr_contexts)
		doctor_say(finding, DOCTOR_OK, "no call of %d context%s has failed", nr_contexts,
			   nr_contexts > 1 ? "s" : "");
	else
		doctor_say(finding, DOCTOR_SKIPPED, "no context is open%s",
			   doctor->nr_hidden ? " in a process that can be looked into" : "");
}

const struct doctor_check doctor_module_checks[] = {
	{ "module-built", "the modules are installed for the running kernel", check_module_built },
	{ "module-signature", "the kernel may load them", check_module_signature },
	{ "module-iommufd", "iommufd is loaded", check_module_iommufd },
	{ "module-vfio", "vfio is the one with the device cdev", check_module_vfio },
	{ "module-vfio-pci", "there is vfio-pci", check_module_vfio_pci },
	{ "noiommu", "no device is given away without an IOMMU", check_noiommu },
	{ "node-iommu", "/dev/iommu can be opened", check_node_iommu },
	{ "last-failure", "no call of a context has failed", check_last_failure },
	{ 0 }
};
