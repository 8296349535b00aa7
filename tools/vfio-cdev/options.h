/* SPDX-License-Identifier: GPL-2.0 */
/* The options that several subcommands have. */
#ifndef VFIO_CDEV_OPTIONS_H
#define VFIO_CDEV_OPTIONS_H

#include <stdbool.h>

/*
 * Parse --json (if @json is not NULL) and --help. Returns the index of the first
 * argument, or -1 - status if the command is over.
 */
int parse_options(const struct command *command, int argc, char **argv, bool *json);

#endif
