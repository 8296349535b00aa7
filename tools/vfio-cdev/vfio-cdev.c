// SPDX-License-Identifier: GPL-2.0
/* vfio-cdev: look at and prepare PCI devices for userspace. The command line. */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

#ifndef VERSION
#define VERSION "unknown"
#endif

static const struct command *const commands[] = {
	&command_list,
	&command_who,
	&command_info,
	&command_doctor,
	&command_bind,
	&command_unbind,
	&command_sriov,
	&command_reset,
	&command_run,
	&command_ioas,
	&command_plan,
	&command_cdi,
	&command_top,
	&command_test,
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static struct vcdev_host host = { .root = "" };
const struct vcdev_host *tool_host = &host;

int report(const char *device, const char *action, const struct vcdev_error *err)
{
	fprintf(stderr, "vfio-cdev: %s%s%s: %s\n", device ? device : "", device ? ": " : "",
		action, err->text);
	if (err->hint[0])
		fprintf(stderr, "  next: %s\n", err->hint);
	return EXIT_FAILED;
}

int report_usage(const char *command, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "vfio-cdev: %s%s", command ? command : "", command ? ": " : "");
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n  next: vfio-cdev help%s%s\n", command ? " " : "",
		command ? command : "");
	return EXIT_USAGE;
}

int look_at_all(const char *action, int nr, char **argv, struct vcdev_pci **pcis)
{
	struct vcdev_error err;
	int i, rc;

	*pcis = calloc(nr ? nr : 1, sizeof(**pcis));
	if (!*pcis) {
		fprintf(stderr, "vfio-cdev: %s: out of memory\n", action);
		return EXIT_FAILED;
	}
	for (i = 0; i < nr; i++) {
		rc = vcdev_pci_find(tool_host, argv[i], &(*pcis)[i], &err);
		if (rc) {
			report(argv[i], action, &err);
			free(*pcis);
			return rc == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
		}
	}
	return EXIT_OK;
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(commands[i]->name, name))
			return commands[i];
	return NULL;
}

static void print_help(FILE *out)
{
	size_t i;

	fputs("usage: vfio-cdev COMMAND [ARGUMENT...]\n"
	      "\n"
	      "Prepares PCI devices for userspace drivers and hypervisors that use\n"
	      "/dev/vfio/devices/vfioX and /dev/iommu.\n"
	      "\n", out);
	for (i = 0; i < NR_COMMANDS; i++)
		fprintf(out, strlen(commands[i]->args) > 20 ? "  %-6s %s\n%30s%s\n" :
			"  %-6s %-20s %.0s%s\n", commands[i]->name, commands[i]->args, "",
			commands[i]->summary);
	fputs("  help   [COMMAND]            this text, or that of a command\n"
	      "\n"
	      "  --version                   print the version\n"
	      "  --sysroot DIR               look at DIR/sys, DIR/proc, ... (for tests)\n"
	      "\n"
	      "BDF is the address of a PCI function, 0000:01:00.0 or 01:00.0, or its cdev.\n"
	      "Exit status: 0 success, 1 failure, 2 wrong command line. See vfio-cdev(8).\n",
	      out);
}

static int help(int argc, char **argv)
{
	const struct command *command;

	if (argc < 2) {
		print_help(stdout);
		return EXIT_OK;
	}
	command = find_command(argv[1]);
	if (!command)
		return report_usage(NULL, "there is no command '%s'", argv[1]);
	printf("usage: vfio-cdev %s %s\n\n%s.\n", command->name, command->args,
	       command->summary);
	if (command->details)
		printf("\n%s", command->details);
	return EXIT_OK;
}

/* Output that nobody got (a full disk, a closed pipe) is no success. */
static int finish(int status)
{
	if ((fflush(stdout) || ferror(stdout)) && status == EXIT_OK) {
		fprintf(stderr, "vfio-cdev: output: %s\n", strerror(errno));
		return EXIT_FAILED;
	}
	return status;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ "sysroot", required_argument, NULL, 's' },
		{ 0 }
	};
	const struct command *command;
	int option;

	opterr = 0;
	/* "+": options after the command are the command's. */
	while ((option = getopt_long(argc, argv, "+:hV", options, NULL)) != -1) {
		switch (option) {
		case 'h':
			print_help(stdout);
			return finish(EXIT_OK);
		case 'V':
			printf("vfio-cdev %s\n", VERSION);
			return finish(EXIT_OK);
		case 's':
			host.root = optarg;
			break;
		case ':':
			return report_usage(NULL, "'%s' needs a value", argv[optind - 1]);
		default:
			return report_usage(NULL, "there is no option '%s'", argv[optind - 1]);
		}
	}
	if (optind == argc) {
		print_help(stderr);
		return EXIT_USAGE;
	}
	argc -= optind;
	argv += optind;
	optind = 0;	/* GNU: start anew, for the command's own options */
	if (!strcmp(argv[0], "help"))
		return finish(help(argc, argv));
	command = find_command(argv[0]);
	if (!command)
		return report_usage(NULL, "there is no command '%s'", argv[0]);
	return finish(command->run(argc, argv));
}
