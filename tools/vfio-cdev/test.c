// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev test: does a device do what this is all about: DMA in both directions,
 * interrupts, and nothing beyond what is mapped.
 *
 * The drivers are those of examples/, built into this program under other names for
 * their main(). One runs in a child of its own, so that a crash or a device that
 * hangs is a result and not the end; what it prints are the steps:
 *
 *	edu: CLAIM: ok			a step that was verified
 *	edu: CLAIM: FAILED		one that was not
 *	edu: 12%			how far a long step is
 *	edu: anything else		a remark, or why it could not go on
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "examples.h"
#include "json.h"
#include "options.h"
#include "size.h"

/**
 * struct kind - a kind of device that can be tested
 * @name: first word of what its driver prints
 * @run: its driver
 * @arguments: of it, before the device
 * @steps: so many claims it makes when all is well; for the progress bar
 */
struct kind {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *arguments[4];
	unsigned int steps;
};

static const struct kind kind_edu = { "edu", example_edu, { "--all" }, 11 };
static const struct kind kind_nvme = { "nvme", example_nvme,
	{ "--read", "/dev/null", "--stray" }, 3 };
static const struct kind kind_nvme_write = { "nvme", example_nvme,
	{ "--selftest", "--replace", "--stray" }, 5 };
static const struct kind kind_vcopy = { "copy", example_copy, { NULL }, 3 };

/**
 * struct test - one that is running
 * @kind: of which kind
 * @device: what the user called it
<<<<<<< HEAD
 * @memory: size of large memory to try, or NULL
=======
 * @name: what its driver is told, the same or the cdev of a mediated device
>>>>>>> 4919b45 (tools: take mediated devices, show true rates, check a dry unbind)
 * @steps: claims that were made
 * @failed: those that were not kept
 * @json: array of results, or NULL for text
 * @rc: of building JSON
 * @bar: a progress bar stands on the terminal
 */
struct test {
	const struct kind *kind;
	const char *device, *memory;
	char name[PATH_MAX];
	unsigned int steps, failed;
	struct json_object *json;
	int rc;
	bool bar;
};

/* ------------------------------------------------------------------------ progress */

#define BAR 24

static void bar_show(struct test *test, const char *text)
{
	unsigned int all = test->kind->steps + !!test->memory;
	unsigned int done = all ? test->steps * BAR / all : 0, i;

	if (!isatty(2) || tool_quiet)
		return;
	fputs("\r\033[K[", stderr);
	for (i = 0; i < BAR; i++)
		fputc(i < done ? '#' : '.', stderr);
	fprintf(stderr, "] %u/%u %s", test->steps, all, text);
	fflush(stderr);
	test->bar = true;
}

static void bar_clear(struct test *test)
{
	if (test->bar)
		fputs("\r\033[K", stderr);
	test->bar = false;
}

/* ------------------------------------------------------------------------- results */

static bool ends_with(char *text, const char *end)
{
	size_t length = strlen(text), tail = strlen(end);

	if (length <= tail || strcmp(text + length - tail, end))
		return false;
	text[length - tail] = '\0';
	return true;
}

static void result(struct test *test, const char *claim, bool good)
{
	struct json_object *element;

	test->steps++;
	if (!good)
		test->failed++;
	if (test->json) {
		element = json_add_element(test->json, &test->rc);
		json_add_string(element, "claim", claim, &test->rc);
		json_add_bool(element, "ok", good, &test->rc);
		return;
	}
	bar_clear(test);
	printf("%-6s  %s\n", good ? "ok" : "FAILED", claim);
	fflush(stdout);
}

/* "12%", of memory that is brought in */
static bool is_percent(const char *text)
{
	size_t digits = strspn(text, "0123456789");

	return digits && !strcmp(text + digits, "%");
}

static void line(struct test *test, char *text)
{
	char memory[32];

	size_t length = strlen(test->kind->name);

	if (!strncmp(text, test->kind->name, length) && !strncmp(text + length, ": ", 2))
		text += length + 2;
	if (!strcmp(text, "all ok"))
		return;
	if (is_percent(text)) {
		snprintf(memory, sizeof(memory), "memory %.8s", text);
		bar_show(test, memory);
		return;
	}
	if (ends_with(text, ": ok")) {
		result(test, text, true);
	} else if (ends_with(text, ": FAILED")) {
		result(test, text, false);
	} else {
		/* Why it went wrong, or what the device is: not a result */
		bar_clear(test);
		if (!tool_quiet)
			fprintf(stderr, "vfio-cdev: %s: test: %s\n", test->device, text);
	}
	bar_show(test, "...");
}

/* -------------------------------------------------------------------- the child */

static void be_child(const struct test *test, int out)
{
	const char *argv[12] = { test->kind->name };
	char pid[16];
	int argc;

	for (argc = 1; argc < 5 && test->kind->arguments[argc - 1]; argc++)
		argv[argc] = test->kind->arguments[argc - 1];
	if (test->memory) {
		argv[argc++] = "--memory";
		argv[argc++] = test->memory;
		argv[argc++] = "--percent";
	}
	argv[argc++] = test->name;
	if (dup2(out, 1) < 0 || dup2(out, 2) < 0)
		_exit(EXIT_FAILED);
	/* What this process was started with is the driver's. */
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	if (getenv("LISTEN_PID") && setenv("LISTEN_PID", pid, 1))
		_exit(EXIT_FAILED);
	optind = 0;
	exit(test->kind->run(argc, (char **)argv));
}

/* The same in the parent: what is to be closed in the child must not stay open here. */
static void let_go_of_files(int keep)
{
	const char *pid = getenv("LISTEN_PID"), *nr = getenv("LISTEN_FDS");
	int fd, end;

	if (!pid || !nr || atoi(pid) != getpid())
		return;
	end = 3 + (atoi(nr) < 256 ? atoi(nr) : 256);
	for (fd = 3; fd < end; fd++)
		if (fd != keep)
			close(fd);
}

static long now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Lines of the child until it ends, or the time. Returns false in the latter case. */
static bool listen_to(struct test *test, int in, long end)
{
	struct pollfd poll_fd = { .fd = in, .events = POLLIN };
	char text[1024], *newline;
	size_t used = 0;
	ssize_t got;
	long left;

	for (;;) {
		left = end - now_ms();
		if (left <= 0)
			return false;
		if (poll(&poll_fd, 1, left < 1000 ? left : 1000) <= 0)
			continue;
		got = read(in, text + used, sizeof(text) - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		used += got;
		text[used] = '\0';
		while ((newline = strchr(text, '\n'))) {
			*newline = '\0';
			line(test, text);
			used -= newline + 1 - text;
			memmove(text, newline + 1, used + 1);
		}
		if (used == sizeof(text) - 1)
			used = 0;	/* no line is that long */
	}
	if (used)
		line(test, text);
	return true;
}

static int fail(const struct test *test, const char *what, int error)
{
	fprintf(stderr, "vfio-cdev: %s: test: %s: %s\n", test->device, what, strerror(error));
	return EXIT_FAILED;
}

/* Returns the exit status. */
static int run_driver(struct test *test, unsigned int seconds)
{
	int pipes[2], status;
	bool in_time;
	pid_t pid;

	if (pipe2(pipes, O_CLOEXEC))
		return fail(test, "pipe", errno);
	fflush(stdout);
	fflush(stderr);
	pid = fork();
	if (pid < 0) {
		status = errno;
		close(pipes[0]);
		close(pipes[1]);
		return fail(test, "fork", status);
	}
	if (!pid)
		be_child(test, pipes[1]);
	let_go_of_files(pipes[0]);
	close(pipes[1]);
	bar_show(test, "...");
	in_time = listen_to(test, pipes[0], now_ms() + seconds * 1000L);
	if (!in_time)
		kill(pid, SIGKILL);
	close(pipes[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	bar_clear(test);
	if (!in_time) {
		fprintf(stderr, "vfio-cdev: %s: test: it did not end in %u seconds\n"
			"  next: --timeout gives it more; else 'dmesg' may tell\n", test->device,
			seconds);
		return EXIT_FAILED;
	}
	if (WIFSIGNALED(status)) {
		fprintf(stderr, "vfio-cdev: %s: test: the driver was ended by %s\n", test->device,
			strsignal(WTERMSIG(status)));
		return EXIT_FAILED;
	}
	return WEXITSTATUS(status) || test->failed ? EXIT_FAILED : EXIT_OK;
}

/* ------------------------------------------------------------------- which driver */

/* NULL for none, with the reason. Sets @test->name, too. */
static const struct kind *kind_of(struct test *test, bool may_write, struct vcdev_error *err)
{
	struct vcdev_mdev mdev;
	struct vcdev_pci pci;

	snprintf(test->name, sizeof(test->name), "%s", test->device);
	if (!vcdev_mdev_find(tool_host, test->device, &mdev, NULL)) {
		/* Its driver says if it is not a vcopy device. */
		snprintf(test->name, sizeof(test->name), "%s", mdev.cdev);
		if (mdev.cdev[0])
			return &kind_vcopy;
		memset(err, 0, sizeof(*err));
		err->code = -ENXIO;
		strcpy(err->text, "has no cdev");
		snprintf(err->hint, sizeof(err->hint), "vfio-cdev info %s", mdev.uuid);
		return NULL;
	}
	if (vcdev_pci_find(tool_host, test->device, &pci, err))
		return NULL;
	if (!pci.cdev[0]) {
		vcdev_pci_why_no_cdev(tool_host, &pci, err);
		return NULL;
	}
	if (pci.vendor == 0x1234 && pci.device == 0x11e8)
		return &kind_edu;
	if (pci.class_code == 0x010802)
		return may_write ? &kind_nvme_write : &kind_nvme;
	memset(err, 0, sizeof(*err));
	err->code = -ENOTSUP;
	snprintf(err->text, sizeof(err->text), "%04x:%04x is no kind of device that there is a test for",
		 pci.vendor, pci.device);
	strcpy(err->hint, "there are tests for QEMU's edu, NVMe, and the sample device vcopy");
	return NULL;
}

static int run_test(int argc, char **argv)
{
	const char *timeout = NULL, *memory = NULL;
	bool json = false, may_write = false;
	const struct option_of table[] = {
		{ "json", 'j', &json, NULL },
		{ "yes", 'y', &may_write, NULL },
		{ "timeout", 't', NULL, &timeout },
		{ "memory", 'm', NULL, &memory },
		{ 0 }
	};
	struct json_object *root = NULL;
	struct test test = { 0 };
	struct vcdev_error err;
	char *end, bytes[32];
	long seconds = 120;
	uint64_t size;
	int first, status;

	first = parse_option_table(&command_test, argc, argv, table);
	if (first < 0)
		return -1 - first;
	if (first + 1 != argc)
		return report_usage("test", "needs one device");
	if (timeout) {
		seconds = strtol(timeout, &end, 10);
		if (*timeout < '0' || *timeout > '9' || *end || seconds < 1 || seconds > 86400)
			return report_usage("test", "'%s' is no number of seconds", timeout);
	}
	if (memory && (!size_parse(memory, &size) || !size || size % 4096))
		return report_usage("test", "'%s' is no size in whole pages", memory);
	test.device = argv[first];
	test.kind = kind_of(&test, may_write, &err);
	if (!test.kind)
		return report(test.device, "test", &err);
	if (memory && test.kind == &kind_vcopy)
		return report_usage("test", "--memory is not for the sample device");
	if (memory) {
		snprintf(bytes, sizeof(bytes), "%" PRIu64, size);
		test.memory = bytes;
	}
	if (test.kind == &kind_nvme && !tool_quiet)
		fprintf(stderr, "vfio-cdev: %s: test: it is only read from\n"
			"  next: --yes writes its first blocks, too, and puts them back\n",
			test.device);
	if (json) {
		root = json_object_new_object();
		test.rc = root ? 0 : -ENOMEM;
		json_add_string(root, "device", test.device, &test.rc);
		json_add_string(root, "kind", test.kind->name, &test.rc);
		test.json = json_add_array(root, "steps", &test.rc);
	}
	status = run_driver(&test, seconds);
	if (json) {
		json_add_bool(root, "ok", status == EXIT_OK, &test.rc);
		if (json_print(root, test.rc))
			return fail(&test, "output", ENOMEM);
	}
	return status;
}

const struct command command_test = {
	.name = "test",
	.args = "[--yes] [--memory SIZE] [--json] DEVICE",
	.summary = "try DMA both ways, interrupts and the stop at the boundary",
	.details =
		"  -y, --yes        write to an NVMe namespace, too: its first blocks are saved,\n"
		"                   written with random data, read, and put back\n"
		"  -m, --memory SIZE  also map so much memory at once (4G), as for a virtual\n"
		"                   machine, brought in by all processors ahead of the map, and\n"
		"                   have the device write to both ends of it\n"
		"  -t, --timeout N  give up after so many seconds (120)\n"
		"  -j, --json       machine-readable\n"
		"\n"
		"DEVICE is bound to vfio-pci and not in use: QEMU's edu device or an NVMe\n"
		"controller; or it is a vcopy device of drivers/samples, by its cdev or UUID. Exit\n"
		"status 0 only if every step was verified.\n",
	.run = run_test,
};
