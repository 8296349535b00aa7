// SPDX-License-Identifier: GPL-2.0
/* The options that several subcommands have. */
#include <getopt.h>
#include <stdio.h>

#include "tool.h"
#include "options.h"

int parse_options(const struct command *command, int argc, char **argv, bool *json)
{
	static const struct option options[] = {
		{ "help", no_argument, NULL, 'h' },
		{ "json", no_argument, NULL, 'j' },
		{ 0 }
	};
	int option, at;

	for (;;) {
		at = optind ? optind : 1;
		option = getopt_long(argc, argv, json ? "hj" : "h", options, NULL);
		switch (option) {
		case -1:
			return optind;
		case 'h':
			printf("usage: vfio-cdev %s %s\n\n%s.\n", command->name, command->args,
			       command->summary);
			if (command->details)
				printf("\n%s", command->details);
			return -1 - EXIT_OK;
		case 'j':
			if (json) {
				*json = true;
				break;
			}
			/* fall through */
		default:
			return -1 - report_usage(command->name, "there is no option '%s'",
						 argv[at]);
		}
	}
}
