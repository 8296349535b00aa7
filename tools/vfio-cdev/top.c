// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev top: contexts, live, from fdinfo. A look costs reading /proc once; nothing
 * is traced and no process is stopped.
 *
 * Rates are differences between two looks: what was mapped and unmapped again between
 * them is not seen, a failure always is (the kernel counts these). "iommufd_map" and
 * "iommufd_unmap" of the tracepoints have every call.
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
 * @pid: who has it open first
 * @comm: his name
 * @user: and user
 * @devices: bound to it
 * @spaces: address spaces
 * @mappings: in all of them
 * @mapped: bytes
 * @locked: bytes, each page once
 * @failures: calls that failed
 * @mappings_rate: more of them per second than at the look before; negative if less
 * @mapped_rate: bytes, likewise
 * @failures_rate: per second
 */
struct row {
	uint32_t context;
	pid_t pid;
	char comm[32], user[32];
	size_t devices, spaces;
	uint64_t mappings, mapped, locked, failures;
	double mappings_rate, mapped_rate, failures_rate;
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
	row->pid = context->file.pid;
	snprintf(row->comm, sizeof(row->comm), "%s", context->file.comm);
	if (user)
		snprintf(row->user, sizeof(row->user), "%s", user->pw_name);
	else
		snprintf(row->user, sizeof(row->user), "%u", (unsigned int)context->file.uid);
	row->devices = context->nr_devices;
	row->spaces = context->nr_ioas;
	for (i = 0; i < context->nr_ioas; i++) {
		row->mappings += context->ioas[i].mappings;
		row->mapped += context->ioas[i].mapped;
	}
	row->locked = context->charged;
	row->failures = context->failures;
}

static void set_rates(struct row *row, const struct look *before, double seconds)
{
	size_t i;

	for (i = 0; i < before->nr; i++) {
		const struct row *old = &before->rows[i];

		if (old->context != row->context || old->pid != row->pid || seconds <= 0)
			continue;
		row->mappings_rate = ((double)row->mappings - (double)old->mappings) / seconds;
		row->mapped_rate = ((double)row->mapped - (double)old->mapped) / seconds;
		row->failures_rate = ((double)row->failures - (double)old->failures) / seconds;
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

static double absolute(double value)
{
	return value < 0 ? -value : value;
}

static int by_rate(const void *a, const void *b)
{
	const struct row *left = a, *right = b;

	return COMPARE(absolute(left->mapped_rate), absolute(right->mapped_rate));
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

static const char *rate_text(double rate, char buf[SIZE_TEXT + 2])
{
	char size[SIZE_TEXT];

	if (absolute(rate) < 1) {
		strcpy(buf, "0");
		return buf;
	}
	snprintf(buf, SIZE_TEXT + 2, "%c%s", rate < 0 ? '-' : '+',
		 size_text(absolute(rate), size));
	return buf;
}

/* At most @most rows, each no longer than @width columns; 0 is without a limit. */
static void show(struct look *look, const struct order *order, size_t most, int width)
{
	char mapped[SIZE_TEXT], locked[SIZE_TEXT], rate[SIZE_TEXT + 2], line[256];
	size_t i;

	if (look->nr)
		qsort(look->rows, look->nr, sizeof(*look->rows), order->compare);
	if (!width || width > (int)sizeof(line) - 1)
		width = sizeof(line) - 1;
	snprintf(line, sizeof(line), "%7s %-8s %5s %3s %4s %8s %9s %9s %9s %11s %5s %6s  %s", "PID",
		 "USER", "CTX", "DEV", "IOAS", "MAPPINGS", "MAPPED", "LOCKED", "MAPS/S",
		 "MAPPED/S", "FAIL", "FAIL/S", "COMMAND");
	printf("%.*s\n", width, line);
	for (i = 0; i < look->nr && (!most || i < most); i++) {
		const struct row *row = &look->rows[i];

		snprintf(line, sizeof(line), "%7d %-8.8s %5u %3zu %4zu %8" PRIu64 " %9s %9s %+9.0f"
			 " %11s %5" PRIu64 " %6.0f  %s", (int)row->pid, row->user, row->context,
			 row->devices, row->spaces, row->mappings, size_text(row->mapped, mapped),
			 size_text(row->locked, locked), row->mappings_rate,
			 rate_text(row->mapped_rate, rate), row->failures, row->failures_rate,
			 row->comm);
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
	size_t rows, i;

	if (ioctl(1, TIOCGWINSZ, &size) || size.ws_row < 4)
		size = (struct winsize){ .ws_row = 24, .ws_col = 80 };
	rows = size.ws_row - 3;
	fputs("\033[H\033[2J", stdout);
	printf("%zu contexts, every %.1f s, by %s; keys:", look->nr, seconds, order->name);
	for (i = 0; i < NR_ORDERS; i++)
		printf(" %c %s", orders[i].key, orders[i].name);
	fputs(" q quit\n", stdout);
	show(look, order, rows, size.ws_col);
	if (look->hidden)
		printf("%zu processes of others are not shown\n", look->hidden);
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
	if (look.hidden && !rc && !tool_quiet)
		fprintf(stderr, "vfio-cdev: top: %zu processes of others are not shown\n"
			"  next: run this as root\n", look.hidden);
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
		"Rates are differences between two looks: what was mapped and unmapped again\n"
		"between them is not seen. LOCKED counts each page once.\n",
	.run = run_top,
};
