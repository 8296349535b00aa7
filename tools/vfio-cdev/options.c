// SPDX-License-Identifier: GPL-2.0
/* The options of subcommands. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "options.h"

#define MAX_OPTIONS 24
#define FIRST_VALUE 256		/* options of the table are numbered from here on */

bool tool_quiet, tool_verbose;

static int usage(const struct command *command)
{
	printf("usage: vfio-cdev %s %s\n\n%s.\n", command->name, command->args,
	       command->summary);
	if (command->details)
		printf("\n%s", command->details);
	return -1 - EXIT_OK;
}

int parse_option_table(const struct command *command, int argc, char **argv,
		       const struct option_of *table)
{
	struct option options[MAX_OPTIONS + 4] = {
		{ "help", no_argument, NULL, 'h' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "verbose", no_argument, NULL, 'v' },
	};
	char letters[2 * MAX_OPTIONS + 8] = ":hqv";
	int option, at, i, nr = 0;

	for (; table && table[nr].name && nr < MAX_OPTIONS; nr++) {
		options[3 + nr].name = table[nr].name;
		options[3 + nr].has_arg = table[nr].flag ? no_argument : required_argument;
		options[3 + nr].val = FIRST_VALUE + nr;
		if (table[nr].letter)
			snprintf(letters + strlen(letters), sizeof(letters) - strlen(letters),
				 "%c%s", table[nr].letter, table[nr].flag ? "" : ":");
	}
	for (;;) {
		at = optind ? optind : 1;
		option = getopt_long(argc, argv, letters, options, NULL);
		switch (option) {
		case -1:
			return optind;
		case 'h':
			return usage(command);
		case 'q':
			tool_quiet = true;
			continue;
		case 'v':
			tool_verbose = true;
			continue;
		case ':':
			return -1 - report_usage(command->name, "'%s' needs a value", argv[at]);
		default:
			break;
		}
		for (i = 0; i < nr; i++)
			if (option == FIRST_VALUE + i || (option && option == table[i].letter))
				break;
		if (i == nr)
			return -1 - report_usage(command->name, "there is no option '%s'",
						 argv[at]);
		if (table[i].flag)
			*table[i].flag = true;
		else
			*table[i].value = optarg;
	}
}

int parse_options(const struct command *command, int argc, char **argv, bool *json)
{
	const struct option_of table[] = { { "json", 'j', json, NULL }, { 0 } };

	return parse_option_table(command, argc, argv, json ? table : NULL);
}
