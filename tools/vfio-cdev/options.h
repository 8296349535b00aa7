/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The options of subcommands. --help, --quiet and --verbose are there for all; a
 * subcommand has a table of its others.
 */
#ifndef VFIO_CDEV_OPTIONS_H
#define VFIO_CDEV_OPTIONS_H

#include <stdbool.h>

#include "tool.h"

/**
 * struct option_of - one option of a subcommand; the last of a table is empty
 * @name: what stands behind "--"
 * @letter: its short form, or 0
 * @flag: set to true where the option stands; NULL if it has a value
 * @value: set to its value; the last one counts
 */
struct option_of {
	const char *name;
	char letter;
	bool *flag;
	const char **value;
};

/*
 * Parse the options of @command in @table, NULL for none. Returns the index of the
 * first argument, or -1 - status if the command is over.
 */
int parse_option_table(const struct command *command, int argc, char **argv,
		       const struct option_of *table);
/* The same where --json (if @json is not NULL) is all there is. */
int parse_options(const struct command *command, int argc, char **argv, bool *json);

#endif
