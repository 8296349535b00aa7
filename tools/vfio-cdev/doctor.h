/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The checks of "doctor". Each is one question with an id, which
 * docs/troubleshooting.md has a section on, and one finding. Checks of the host come
 * first, those of a device after them, each in the order in which things have to be
 * right: a check whose answer follows from that of an earlier one is skipped, so that
 * one cause gives one failure.
 */
#ifndef VFIO_CDEV_DOCTOR_H
#define VFIO_CDEV_DOCTOR_H

#include "tool.h"

/**
 * enum doctor_result - answer to a check
 * @DOCTOR_OK: as it should be
 * @DOCTOR_WARNING: works, but not as somebody may expect
 * @DOCTOR_FAILED: in the way
 * @DOCTOR_UNKNOWN: cannot be known, mostly for want of rights
 * @DOCTOR_SKIPPED: does not apply, or follows from an earlier check
 */
enum doctor_result {
	DOCTOR_OK,
	DOCTOR_WARNING,
	DOCTOR_FAILED,
	DOCTOR_UNKNOWN,
	DOCTOR_SKIPPED,
};

/**
 * struct doctor_finding - what a check found
 * @result: the answer
 * @evidence: what it goes by, one clause
 * @remedy: what to do about it, or ""
 */
struct doctor_finding {
	enum doctor_result result;
	char evidence[512], remedy[512];
};

struct doctor;

/**
 * struct doctor_check - one check
 * @id: its name, the same for ever
 * @title: the question, answered "ok" by a yes
 * @run: writes the finding, which comes as DOCTOR_OK without words
 */
struct doctor_check {
	const char *id, *title;
	void (*run)(struct doctor *doctor, struct doctor_finding *finding);
};

#define DOCTOR_MAX_CHECKS 40

/**
 * struct doctor - one examination
 * @pci: the function; NULL if only the host is looked at
 * @files: all open files of VFIO and iommufd
 * @nr_hidden: processes that could not be looked into
 * @release: of the running kernel
 * @memory: bytes that are to be mapped, 0 if not said
 * @try_it: open the device and map memory
 * @checks, @findings: those that were made, @nr of them
 */
struct doctor {
	const struct vcdev_pci *pci;
	struct vcdev_file *files;
	size_t nr_files, nr_hidden;
	char release[VCDEV_NAME_LEN];
	uint64_t memory;
	bool try_it;
	const struct doctor_check *checks[DOCTOR_MAX_CHECKS];
	struct doctor_finding findings[DOCTOR_MAX_CHECKS];
	int nr;
};

/* doctor-host.c, doctor-modules.c, doctor-device.c: ends with an empty one */
extern const struct doctor_check doctor_host_checks[], doctor_module_checks[],
	doctor_device_checks[];

/* Write a finding. */
void doctor_say(struct doctor_finding *finding, enum doctor_result result,
		const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void doctor_remedy(struct doctor_finding *finding, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* What an earlier check found; DOCTOR_SKIPPED if it was not made. */
enum doctor_result doctor_result_of(const struct doctor *doctor, const char *id);
/* Skip this check, because it follows from @id, if that one failed. */
bool doctor_follows(const struct doctor *doctor, const char *id,
		    struct doctor_finding *finding);

/* Small files of the host. */
bool host_exists(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Up to the first newline, "" if it cannot be read. Returns length or a negative errno. */
ssize_t host_line(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* The path below the root of the host. */
void host_path(char *buf, size_t size, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Is @word one of those of @line, divided by blanks and commas? */
bool has_word(const char *line, const char *word);
/* May the caller read and write a node? Else the finding says why not. */
void doctor_node(const char *path, const char *missing, struct doctor_finding *finding);

#endif
