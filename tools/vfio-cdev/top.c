// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev top: contexts, live, from fdinfo. A look costs reading /proc once; nothing
 * is traced and no process is stopped.
 *
 * Rates are differences between two looks at what the kernel counts: no map, unmap or
 * failure is missed. Where it does not count (before maps= in fdinfo) what is mapped is
 * compared, and what came and went between two looks is not seen.
 *
 * On a terminal the screen is redrawn and keys are read; anywhere else, or with
 * --batch, tables are printed below each other.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "contexts.h"
#include "options.h"
#include "size.h"

/**
 * struct row - a context, as it is shown
 * @context: number of it
 * @is_told: the kernel shows what is in it; else there are names only
 * @pid: who has it open first
 * @comm: his name
 * @user: and user
 * @devices: bound to it
 * @spaces: address spaces
 * @mappings: in all of them
 * @mapped: bytes
 * @locked: bytes, each page once
 * @failures: calls that failed
 * @is_counted: the kernel counts maps and unmaps
 * @maps: so far, in the address spaces that are there
 * @unmaps: likewise
 * @map_bytes: mapped by @maps
 * @rates: per second since the look before, in that order; @failures last
 */
struct row {
	uint32_t context;
	bool is_told, is_counted;
	pid_t pid;
	char comm[32], user[32];
	size_t devices, spaces;
	uint64_t mappings, mapped, locked, failures;
	uint64_t maps, unmaps, map_bytes;
	struct {
		double maps, unmaps, map_bytes, failures;
	} rates;
};

struct look {
	struct row *rows;
	size_t nr, hidden;
	double time;
};

static volatile sig_atomic_t is_over;

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}

/* ------------------------------------------------------------------------- looking */

static void fill_row(struct row *row, const struct context *context)
{
	struct passwd *user = getpwuid(context->file.uid);
	size_t i;

	row->context = context->file.context;
	row->is_told = context->is_told;
	row->pid = context->file.pid;
	snprintf(row->comm, sizeof(row->comm), "%s", context->file.comm);
	if (user)
		snprintf(row->user, sizeof(row->user), "%s", user->pw_name);
	else
		snprintf(row->user, sizeof(row->user), "%u", (unsigned int)context->file.uid);
	row->devices = context->nr_devices;
	row->spaces = context->nr_ioas;
	row->is_counted = true;
	for (i = 0; i < context->nr_ioas; i++) {
		row->is_counted &= context->ioas[i].is_counted;
		row->maps += context->ioas[i].maps;
		row->unmaps += context->ioas[i].unmaps;
		row->map_bytes += context->ioas[i].map_bytes;
		row->mappings += context->ioas[i].mappings;
		row->mapped += context->ioas[i].mapped;
	}
	row->locked = context->charged;
	row->failures = context->failures;
}

/* How much more there is; an address space that went takes its counts along. */
static double rise(uint64_t now_is, uint64_t was, double seconds)
{
	return now_is > was ? (now_is - was) / seconds : 0;
}

static void set_rates(struct row *row, const struct look *before, double seconds)
{
	size_t i;

	for (i = 0; i < before->nr; i++) {
		const struct row *old = &before->rows[i];

		if (old->context != row->context || old->pid != row->pid || seconds <= 0)
			continue;
		row->rates.failures = rise(row->failures, old->failures, seconds);
		if (row->is_counted && old->is_counted) {
			row->rates.maps = rise(row->maps, old->maps, seconds);
			row->rates.unmaps = rise(row->unmaps, old->unmaps, seconds);
			row->rates.map_bytes = rise(row->map_bytes, old->map_bytes, seconds);
		} else {
			row->rates.maps = rise(row->mappings, old->mappings, seconds);
			row->rates.unmaps = rise(old->mappings, row->mappings, seconds);
			row->rates.map_bytes = rise(row->mapped, old->mapped, seconds);
		}
		return;
	}
}

/* A new look in place of *@look. Returns 0 or a negative errno. */
static int look_again(struct look *look, struct vcdev_error *err)
{
	struct look before = *look;
	struct context *contexts;
	struct row *rows;
	ssize_t nr, i;

	nr = contexts_read(0, &contexts, &look->hidden, err);
	if (nr < 0)
		return nr;
	rows = calloc(nr ? nr : 1, sizeof(*rows));
	if (!rows) {
		contexts_free(contexts, nr);
		err->code = -ENOMEM;
		strcpy(err->text, "out of memory");
		err->hint[0] = '\0';
		return -ENOMEM;
	}
	look->time = now();
	for (i = 0; i < nr; i++) {
		fill_row(&rows[i], &contexts[i]);
		set_rates(&rows[i], &before, look->time - before.time);
	}
	contexts_free(contexts, nr);
	free(before.rows);
	look->rows = rows;
	look->nr = nr;
	return 0;
}

/* ------------------------------------------------------------------------- sorting */

#define COMPARE(a, b) (((a) < (b)) - ((a) > (b)))	/* the most first */

static int by_locked(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return COMPARE(left->locked, right->locked);
}

static int by_mapped(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return COMPARE(left->mapped, right->mapped);
}

static int by_rate(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return COMPARE(left->rates.maps + left->rates.unmaps,
		       right->rates.maps + right->rates.unmaps);
}

static int by_failures(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return COMPARE(left->failures, right->failures);
}

static int by_pid(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return COMPARE(right->pid, left->pid);
}

static const struct order {
	char key;
	const char *name;
	int (*compare)(const void *a, const void *b);
} orders[] = {
	{ 'l', "locked", by_locked },
	{ 'm', "mapped", by_mapped },
	{ 'r', "rate", by_rate },
	{ 'f', "failures", by_failures },
	{ 'p', "pid", by_pid },
};

#define NR_ORDERS (sizeof(orders) / sizeof(orders[0]))

/* ------------------------------------------------------------------------- showing */

#define LINE	256

/* What matters is in the first 80 columns, and who it is in the first 40. */
static void head_text(char line[LINE])
{
	snprintf(line, LINE, "%7s %-12s %4s %3s %8s %8s %6s %8s %8s %6s %6s %8s %4s  %s", "PID",
		 "COMMAND", "CTX", "DEV", "LOCKED", "MAPPED", "MAPS/S", "UNMAPS/S", "MAPPED/S",
		 "FAIL/S", "FAIL", "MAPPINGS", "IOAS", "USER");
}

static void row_text(const struct row *row, char line[LINE])
{
	char mapped[SIZE_TEXT], locked[SIZE_TEXT], rate[SIZE_TEXT];

	if (!row->is_told) {
		snprintf(line, LINE, "%7d %-12.12s %4s %3s %8s %8s %6s %8s %8s %6s %6s %8s %4s  %s",
			 (int)row->pid, row->comm, "-", "-", "-", "-", "-", "-", "-", "-", "-",
			 "-", "-", row->user);
		return;
	}
	snprintf(line, LINE, "%7d %-12.12s %4u %3zu %8s %8s %6.0f %8.0f %8s %6.0f %6" PRIu64
		 " %8" PRIu64 " %4zu  %s", (int)row->pid, row->comm, row->context, row->devices,
		 size_text(row->locked, locked), size_text(row->mapped, mapped), row->rates.maps,
		 row->rates.unmaps, size_text(row->rates.map_bytes, rate), row->rates.failures,
		 row->failures, row->mappings, row->spaces, row->user);
}

/* At most @most rows, each no longer than @width columns; 0 is without a limit. */
static void show(struct look *look, const struct order *order, size_t most, int width)
{
	char line[LINE];
	size_t i;

	if (look->nr)
		qsort(look->rows, look->nr, sizeof(*look->rows), order->compare);
	if (!width || width > LINE - 1)
		width = LINE - 1;
	head_text(line);
	printf("%.*s\n", width, line);
	for (i = 0; i < look->nr && (!most || i < most); i++) {
		row_text(&look->rows[i], line);
		printf("%.*s\n", width, line);
	}
}

/* ------------------------------------------------------------------------ terminal */

static struct termios saved;

static void end(int signal_nr)
{
	(void)signal_nr;
	is_over = 1;
}

static void terminal_init(void)
{
	struct sigaction action = { .sa_handler = end };
	struct termios raw;

	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
	if (tcgetattr(0, &saved))
		return;
	raw = saved;
	raw.c_lflag &= ~(ICANON | ECHO);
	tcsetattr(0, TCSANOW, &raw);
	fputs("\033[?1049h\033[?25l", stdout);
}

static void terminal_uninit(void)
{
	fputs("\033[?25h\033[?1049l", stdout);
	fflush(stdout);
	tcsetattr(0, TCSANOW, &saved);
}

/* Wait for a key or the next look. Returns false to end. */
static bool wait_key(double until, const struct order **order)
{
	struct pollfd poll_fd = { .fd = 0, .events = POLLIN };
	double left = until - now();
	size_t i;
	char key;

	if (left < 0)
		left = 0;
	if (poll(&poll_fd, 1, left * 1000) <= 0)
		return !is_over;
	if (read(0, &key, 1) != 1 || key == 'q')
		return false;
	for (i = 0; i < NR_ORDERS; i++)
		if (orders[i].key == key)
			*order = &orders[i];
	return !is_over;
}

static void draw(struct look *look, const struct order *order, double seconds)
{
	struct winsize size = { 0 };
	size_t rows, length, i;
	char line[LINE];

	if (ioctl(1, TIOCGWINSZ, &size))
		size = (struct winsize){ 0 };
	if (!size.ws_col)
		size.ws_col = 80;
	if (!size.ws_row)
		size.ws_row = 24;
	/* The line above, the head, and one below */
	rows = size.ws_row > 4 ? size.ws_row - 3 : 1;
	fputs("\033[H\033[2J", stdout);
	length = snprintf(line, sizeof(line), "%zu context%s, every %.1f s, by %s; keys:", look->nr,
			  look->nr == 1 ? "" : "s", seconds, order->name);
	for (i = 0; i < NR_ORDERS; i++)
		length += snprintf(line + length, sizeof(line) - length, " %c %s", orders[i].key,
				   orders[i].name);
	snprintf(line + length, sizeof(line) - length, " q quit");
	printf("%.*s\n", size.ws_col, line);
	show(look, order, rows, size.ws_col);
	if (look->hidden)
		printf("%zu process%s of others not shown\n", look->hidden,
		       look->hidden == 1 ? "" : "es");
	fflush(stdout);
}

static int run_live(const struct order *order, double seconds, long count)
{
	struct look look = { 0 };
	struct vcdev_error err;
	int rc = 0;
	long nr;

	terminal_init();
	for (nr = 0; !is_over && (!count || nr < count); nr++) {
		rc = look_again(&look, &err);
		if (rc)
			break;
		/* A key redraws what is there and waits for the rest. */
		do {
			draw(&look, order, seconds);
			if (!wait_key(look.time + seconds, &order))
				is_over = 1;
		} while (!is_over && now() < look.time + seconds - 0.01);
	}
	terminal_uninit();
	free(look.rows);
	return rc ? report(NULL, "top", &err) : EXIT_OK;
}

static int run_plain(const struct order *order, double seconds, long count)
{
	struct look look = { 0 };
	struct vcdev_error err;
	struct timespec pause = { .tv_sec = seconds,
		.tv_nsec = (seconds - (long)seconds) * 1e9 };
	int rc = 0;
	long nr;

	for (nr = 0; !count || nr < count; nr++) {
		if (nr) {
			nanosleep(&pause, NULL);
			putchar('\n');
		}
		rc = look_again(&look, &err);
		if (rc)
			break;
		show(&look, order, 0, 0);
		if (fflush(stdout))
			break;	/* nobody listens any more; main() tells */
	}
	if (!rc)
		remark_hidden("top", look.hidden);
	free(look.rows);
	return rc ? report(NULL, "top", &err) : EXIT_OK;
}

static int run_top(int argc, char **argv)
{
	const char *interval = NULL, *iterations = NULL, *sort = NULL;
	const struct order *order = &orders[0];
	bool batch = false;
	const struct option_of table[] = {
		{ "batch", 'b', &batch, NULL },
		{ "iterations", 'n', NULL, &iterations },
		{ "delay", 'd', NULL, &interval },
		{ "sort", 's', NULL, &sort },
		{ 0 }
	};
	double seconds = 2;
	long count = 0;
	char *rest;
	size_t i;
	int first;

	first = parse_option_table(&command_top, argc, argv, table);
	if (first < 0)
		return -1 - first;
	if (first < argc)
		return report_usage("top", "needs no argument");
	if (interval) {
		seconds = strtod(interval, &rest);
		if (*interval < '0' || *interval > '9' || *rest || seconds < 0.1 || seconds > 3600)
			return report_usage("top", "'%s' is no number of seconds", interval);
	}
	if (iterations) {
		count = strtol(iterations, &rest, 10);
		if (*rest || count < 1)
			return report_usage("top", "'%s' is no number of times", iterations);
	}
	if (sort) {
		for (i = 0; i < NR_ORDERS && strcmp(orders[i].name, sort); i++)
			;
		if (i == NR_ORDERS)
			return report_usage("top", "cannot sort by '%s'", sort);
		order = &orders[i];
	}
	if (!batch && isatty(0) && isatty(1))
		return run_live(order, seconds, count);
	/* One table, unless it is said otherwise: for a pipe and a file. */
	return run_plain(order, seconds, count || batch ? count : 1);
}

const struct command command_top = {
	.name = "top",
	.args = "[-b] [-n N] [-d SECONDS] [-s KEY]",
	.summary = "show contexts, live: locked and mapped memory, failures",
	.details =
		"  -b, --batch         tables below each other, also on a terminal\n"
		"  -n, --iterations N  end after so many; without a terminal 1, with -b no end\n"
		"  -d, --delay S       seconds between two looks (2)\n"
		"  -s, --sort KEY      locked, mapped, rate, failures or pid; on a terminal the\n"
		"                      first letter as well, and q to end\n"
		"\n"
		"Rates are those since the look before, so the first look has none. LOCKED counts\n"
		"each page once. A kernel that does not tell what is in a context has '-' there.\n",
	.run = run_top,
};
