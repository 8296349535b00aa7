// SPDX-License-Identifier: GPL-2.0
/* What the subcommands' output has in common. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tool.h"

bool tool_colour(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(STDOUT_FILENO) && !(no && no[0]) && term && strcmp(term, "dumb");
}

void remark_hidden(const char *action, size_t nr_hidden)
{
	if (!nr_hidden || tool_quiet)
		return;
	fprintf(stderr, "vfio-cdev: %s: processes of other users were not looked into\n"
		"  next: run this as root to see who uses what\n", action);
}
