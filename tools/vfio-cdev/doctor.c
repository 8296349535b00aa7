// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev doctor: is this host, is this function ready for userspace, and if not,
 * what is in the way. doctor.h has the model; this file runs the checks and prints.
 * Nothing is changed, unless --try asks to open the device.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "doctor.h"
#include "json.h"
#include "options.h"
#include "size.h"

/* ------------------------------------------------------- for all the checks */

void doctor_say(struct doctor_finding *finding, enum doctor_result result,
		const char *fmt, ...)
{
	va_list ap;

	finding->result = result;
	va_start(ap, fmt);
	vsnprintf(finding->evidence, sizeof(finding->evidence), fmt, ap);
	va_end(ap);
}

void doctor_remedy(struct doctor_finding *finding, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(finding->remedy, sizeof(finding->remedy), fmt, ap);
	va_end(ap);
}

enum doctor_result doctor_result_of(const struct doctor *doctor, const char *id)
{
	int i;

	for (i = 0; i < doctor->nr; i++)
		if (!strcmp(doctor->checks[i]->id, id))
			return doctor->findings[i].result;
	return DOCTOR_SKIPPED;
}

bool doctor_follows(const struct doctor *doctor, const char *id,
		    struct doctor_finding *finding)
{
	if (doctor_result_of(doctor, id) != DOCTOR_FAILED)
		return false;
	doctor_say(finding, DOCTOR_SKIPPED, "follows from %s", id);
	return true;
}

static void host_vpath(char *buf, size_t size, const char *fmt, va_list ap)
{
	int length = snprintf(buf, size, "%s", tool_host->root);

	if (length < 0 || (size_t)length >= size ||
	    vsnprintf(buf + length, size - length, fmt, ap) >= (int)(size - length))
		buf[0] = '\0';
}

void host_path(char *buf, size_t size, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	host_vpath(buf, size, fmt, ap);
	va_end(ap);
}

bool host_exists(const char *fmt, ...)
{
	char path[4096];
	va_list ap;

	va_start(ap, fmt);
	host_vpath(path, sizeof(path), fmt, ap);
	va_end(ap);
	return !access(path, F_OK);
}

ssize_t host_line(char *buf, size_t size, const char *fmt, ...)
{
	char path[4096];
	ssize_t got;
	va_list ap;
	int fd;

	buf[0] = '\0';
	va_start(ap, fmt);
	host_vpath(path, sizeof(path), fmt, ap);
	va_end(ap);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	got = read(fd, buf, size - 1);
	if (got < 0)
		got = -errno;
	close(fd);
	buf[got < 0 ? 0 : got] = '\0';
	buf[strcspn(buf, "\n")] = '\0';
	return got < 0 ? got : (ssize_t)strlen(buf);
}

bool has_word(const char *line, const char *word)
{
	size_t length = strlen(word);
	const char *at;

	for (at = strstr(line, word); at; at = strstr(at + 1, word))
		if ((at == line || strchr(" ,=", at[-1])) && strchr(" ,\n", at[length]))
			return true;
	return false;
}

void doctor_node(const char *path, const char *missing, struct doctor_finding *finding)
{
	struct passwd *user;
	struct group *group;
	char real[4096];
	struct stat st;

	host_path(real, sizeof(real), "%s", path);
	if (stat(real, &st)) {
		doctor_say(finding, DOCTOR_FAILED, "%s: %s", path, strerror(errno));
		doctor_remedy(finding, "%s", missing);
		return;
	}
	user = getpwuid(st.st_uid);
	doctor_say(finding, DOCTOR_OK, "%s is of %s", path, user ? user->pw_name : "nobody known");
	group = getgrgid(st.st_gid);
	snprintf(finding->evidence + strlen(finding->evidence),
		 sizeof(finding->evidence) - strlen(finding->evidence), ":%s, mode %04o",
		 group ? group->gr_name : "?", (unsigned int)st.st_mode & 07777);
	if (!access(real, R_OK | W_OK))
		return;
	finding->result = DOCTOR_FAILED;
	if (group && st.st_gid && (st.st_mode & 0060) == 0060)
		doctor_remedy(finding, "become a member of the group '%s' and log in again: "
			      "adduser USER %s", group->gr_name, group->gr_name);
	else
		doctor_remedy(finding, "run as root, or let a group have the nodes by a udev "
			      "rule: this project's has group vfio, mode 0660");
}

/* ------------------------------------------------------------------- output */

static const char *const result_names[] = { "ok", "warning", "failed", "unknown", "skipped" };

static void run_checks(struct doctor *doctor, const struct doctor_check *checks)
{
	for (; checks->id && doctor->nr < DOCTOR_MAX_CHECKS; checks++) {
		checks->run(doctor, &doctor->findings[doctor->nr]);
		doctor->checks[doctor->nr++] = checks;
	}
}

static int count(const struct doctor *doctor, enum doctor_result result)
{
	int i, nr = 0;

	for (i = 0; i < doctor->nr; i++)
		nr += doctor->findings[i].result == result;
	return nr;
}

static void print_finding(const struct doctor_check *check,
			  const struct doctor_finding *finding, bool colour)
{
	static const char *const colours[] = { "\033[32m", "\033[33m", "\033[31m", "\033[33m", "" };

	printf("  %s%-8s%s %-20s %s\n", colour ? colours[finding->result] : "",
	       result_names[finding->result], colour ? "\033[0m" : "", check->id,
	       finding->evidence[0] ? finding->evidence : check->title);
	if (finding->remedy[0] && finding->result != DOCTOR_OK)
		printf("  %-8s next: %s\n", "", finding->remedy);
}

static void print_text(const struct doctor *doctor, struct names *names)
{
	char vendor[128], device[128];
	bool colour = tool_colour(), any = false;
	int i, failed = count(doctor, DOCTOR_FAILED);

	if (doctor->pci && !tool_quiet) {
		names_vendor(names, doctor->pci, vendor, sizeof(vendor));
		names_device(names, doctor->pci, device, sizeof(device));
		printf("%s %s %s\n", doctor->pci->bdf, vendor, device);
	} else if (!tool_quiet) {
		printf("host, Linux %s\n", doctor->release);
	}
	for (i = 0; i < doctor->nr; i++) {
		enum doctor_result result = doctor->findings[i].result;

		if (result == DOCTOR_SKIPPED && !tool_verbose)
			continue;
		if (tool_quiet && result != DOCTOR_FAILED)
			continue;
		print_finding(doctor->checks[i], &doctor->findings[i], colour);
	}
	if (tool_quiet)
		return;
	printf("%s is %s", doctor->pci ? doctor->pci->bdf : "this host",
	       failed ? "not ready: " : "ready");
	for (i = 0; i < doctor->nr; i++)
		if (doctor->findings[i].result == DOCTOR_FAILED) {
			printf("%s%s", any ? ", " : "", doctor->checks[i]->id);
			any = true;
		}
	putchar('\n');
}

static int print_json(const struct doctor *doctor)
{
	struct json_object *root = json_object_new_object(), *array, *object;
	int i, rc = root ? 0 : -ENOMEM;

	json_add_string(root, "device", doctor->pci ? doctor->pci->bdf : "", &rc);
	json_add_string(root, "kernel", doctor->release, &rc);
	json_add_bool(root, "ready", !count(doctor, DOCTOR_FAILED), &rc);
	array = json_add_array(root, "checks", &rc);
	for (i = 0; i < doctor->nr; i++) {
		const struct doctor_finding *finding = &doctor->findings[i];

		object = json_add_element(array, &rc);
		json_add_string(object, "id", doctor->checks[i]->id, &rc);
		json_add_string(object, "title", doctor->checks[i]->title, &rc);
		json_add_string(object, "result", result_names[finding->result], &rc);
		json_add_string(object, "evidence", finding->evidence, &rc);
		json_add_string(object, "next",
				finding->result == DOCTOR_OK ? "" : finding->remedy, &rc);
	}
	return json_print(root, rc);
}

/* ------------------------------------------------------------------ command */

static void print_checks(void)
{
	static const struct doctor_check *const tables[] = {
		doctor_host_checks, doctor_module_checks, doctor_device_checks,
	};
	const struct doctor_check *check;
	size_t i;

	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
		for (check = tables[i]; check->id; check++)
			printf("%-20s %s\n", check->id, check->title);
}

static int run_doctor(int argc, char **argv)
{
	bool json = false, list = false, try_it = false;
	const char *memory = NULL;
	const struct option_of options[] = {
		{ "json", 'j', &json, NULL },
		{ "list", 0, &list, NULL },
		{ "memory", 'm', NULL, &memory },
		{ "try", 0, &try_it, NULL },
		{ 0 }
	};
	struct vcdev_pci *pci = NULL;
	struct doctor *doctor;
	struct names names;
	ssize_t nr;
	int first, rc = 0, status;
	uint64_t bytes = 0;

	first = parse_option_table(&command_doctor, argc, argv, options);
	if (first < 0)
		return -1 - first;
	if (list) {
		print_checks();
		return EXIT_OK;
	}
	if (argc - first > 1)
		return report_usage("doctor", "one function at a time");
	if (try_it && first == argc)
		return report_usage("doctor", "--try needs a function");
	if (memory && (!size_parse(memory, &bytes) || !bytes))
		return report_usage("doctor", "'%s' is no size; write it like 512M or 8G", memory);
	if (first < argc) {
		status = look_at_all("doctor", 1, argv + first, &pci);
		if (status)
			return status;
	}
	doctor = calloc(1, sizeof(*doctor));
	if (!doctor) {
		fprintf(stderr, "vfio-cdev: doctor: out of memory\n");
		free(pci);
		return EXIT_FAILED;
	}
	doctor->pci = pci;
	doctor->memory = bytes;
	doctor->try_it = try_it;
	host_line(doctor->release, sizeof(doctor->release), "/proc/sys/kernel/osrelease");
	nr = vcdev_files(tool_host, 0, &doctor->files, &doctor->nr_hidden, NULL);
	if (nr < 0)
		doctor->nr_hidden = 1;
	else
		doctor->nr_files = nr;
	run_checks(doctor, doctor_host_checks);
	run_checks(doctor, doctor_module_checks);
	if (pci)
		run_checks(doctor, doctor_device_checks);
	if (json) {
		rc = print_json(doctor);
		if (rc)
			fprintf(stderr, "vfio-cdev: doctor: %s\n", strerror(-rc));
	} else {
		names_init(&names);
		print_text(doctor, &names);
		names_uninit(&names);
	}
	status = rc || count(doctor, DOCTOR_FAILED) ? EXIT_FAILED : EXIT_OK;
	free(doctor->files);
	free(doctor);
	free(pci);
	return status;
}

const struct command command_doctor = {
	.name = "doctor",
	.args = "[OPTION...] [BDF]",
	.summary = "say what is in the way of using a function, and what to do",
	.details =
		"  --json          machine-readable\n"
		"  --list          name the checks\n"
		"  -m, --memory N  is so much memory within the limit? 512M, 8G\n"
		"  --try           open the function, which may reset it, and map a page\n"
		"\n"
		"Without a function the host is looked at. Exit status: 0 ready, 1 not ready (a\n"
		"check failed). --verbose shows the checks that do not apply, too; --quiet only\n"
		"those that failed. docs/troubleshooting.md has a section on each check.\n",
	.run = run_doctor,
};
