/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the subcommands share: how to speak to the user, and names of devices.
 *
 * Errors have one form, on stderr:
 *	vfio-cdev: <device>: <action>: <reason>
 *	  next: <what to do>
 */
#ifndef VFIO_CDEV_TOOL_H
#define VFIO_CDEV_TOOL_H

#include "vfio-cdev.h"

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

/* The system to look at; set by main() before a subcommand runs. */
extern const struct vcdev_host *tool_host;

/* --quiet: results and errors, no remarks. --verbose: what was tried, and more of it. */
extern bool tool_quiet, tool_verbose;

/**
 * struct command - one subcommand
 * @name: what the user types
 * @args: its arguments, for the help
 * @summary: one line
 * @details: more lines for "help <name>", or NULL
 * @run: gets its name as argv[0]; returns the exit status
 */
struct command {
	const char *name, *args, *summary, *details;
	int (*run)(int argc, char **argv);
};

extern const struct command command_list, command_info, command_bind,
	command_unbind, command_sriov,
	command_who, command_doctor, command_reset;
/* those that live on contexts */
extern const struct command command_run, command_ioas, command_plan, command_test,
	command_top;
extern const struct command command_cdi;

/* Print an error; @device may be NULL. Returns the exit status that fits. */
int report(const char *device, const char *action, const struct vcdev_error *err);
/* The command line is wrong. Returns EXIT_USAGE. */
int report_usage(const char *command, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* output.c */

/* Is standard output a terminal that wants colour (NO_COLOR is unset)? */
bool tool_colour(void);
/*
 * Ask "Shall I ...?" before something that takes away: true if @yes, or if a user at a
 * terminal says so. Else says what to do and returns false.
 */
bool confirm(const char *action, bool yes, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Say that holders may be missing, if processes could not be looked into. */
void remark_hidden(const char *action, size_t nr_hidden);

/*
 * Look at the functions that @argv names. Errors are printed. The caller gives
 * *@pcis to free(). Returns an exit status.
 */
int look_at_all(const char *action, int nr, char **argv, struct vcdev_pci **pcis);

/* acquire.c */

/**
 * struct acquired - a device that this process has for a moment
 * @dev: open, and bound to @ctx
 * @ctx: a context of its own
 */
struct acquired {
	struct vcdev_dev *dev;
	struct vcdev_ctx *ctx;
};

/* Open and bind a function. Returns 0, or a negative errno with nothing open. */
int acquire(const char *bdf, struct acquired *acquired, struct vcdev_error *err);
/* For none (all 0), too. */
void release(struct acquired *acquired);

/* names.c: pci.ids and capabilities, through libpci */

/**
 * struct names - access to libpci
 * @access: libpci's, or NULL
 */
struct names {
	struct pci_access *access;
};

void names_init(struct names *names);
void names_uninit(struct names *names);
/* "Vendor" and "Device" as in pci.ids, or "Vendor 1234" if unknown to it. */
void names_vendor(struct names *names, const struct vcdev_pci *pci, char *buf, size_t size);
void names_device(struct names *names, const struct vcdev_pci *pci, char *buf, size_t size);
void names_class(struct names *names, const struct vcdev_pci *pci, char *buf, size_t size);

/**
 * struct pci_capability - one capability in configuration space
 * @id: its number
 * @is_extended: of PCI Express configuration space
 * @offset: where it is
 * @name: its name, or "" if this program does not know it
 */
struct pci_capability {
	uint16_t id;
	bool is_extended;
	uint16_t offset;
	const char *name;
};

/**
 * struct pci_layout - what configuration space tells
 * @caps: array, for free()
 * @nr_caps: its length
 * @intx: number of INTx lines, 0 or 1
 * @msi: most vectors that MSI can have, 0 without MSI
 * @msix: number of MSI-X vectors, 0 without MSI-X
 * @is_complete: false if the kernel showed only the first 64 bytes
 */
struct pci_layout {
	struct pci_capability *caps;
	size_t nr_caps;
	unsigned int intx, msi, msix;
	bool is_complete;
};

/* Returns 0 or a negative errno. */
int names_layout(struct names *names, const struct vcdev_pci *pci, struct pci_layout *layout);

#endif
