// SPDX-License-Identifier: GPL-2.0
/* What the subcommands' output has in common. */
#include <stdarg.h>
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

bool confirm(const char *action, bool yes, const char *fmt, ...)
{
	char answer[16] = "", what[256];
	va_list ap;

	if (yes)
		return true;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		fprintf(stderr, "vfio-cdev: %s: would %s, and nobody is there to agree\n"
			"  next: say --yes if that is what you want\n", action, what);
		return false;
	}
	fflush(stdout);
	fprintf(stderr, "Shall I %s? [y/N] ", what);
	if (fgets(answer, sizeof(answer), stdin) && (answer[0] == 'y' || answer[0] == 'Y'))
		return true;
	fprintf(stderr, "vfio-cdev: %s: nothing was done\n", action);
	return false;
}

void remark_hidden(const char *action, size_t nr_hidden)
{
	if (!nr_hidden || tool_quiet)
		return;
	fprintf(stderr, "vfio-cdev: %s: processes of other users were not looked into\n"
		"  next: run this as root to see who uses what\n", action);
}
