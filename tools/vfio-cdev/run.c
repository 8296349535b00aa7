// SPDX-License-Identifier: GPL-2.0
/*
 * vfio-cdev run: start a program that has its devices and a context open already,
 * as a user who could not open them.
 *
 * Order: look up everything, open everything, set limits, become the user, put the
 * files at 3 and above, execute. What can fail without the user's rights being gone
 * comes first, and nothing is executed with more rights than were asked for: after
 * the change of user it is verified that there is no way back.
 *
 * The files go by the convention of systemd's socket activation, LISTEN_FDS and
 * LISTEN_FDNAMES; libvfio-cdev takes them (lib/passed.c), and so can anything else.
 * The process stays the same, so that LISTEN_PID, signals and exit status are the
 * program's own.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tool.h"
#include "options.h"
#include "size.h"

#define FIRST_FD	3
#define MAX_DEVICES	64
#define MAX_GROUPS	1024

/* As shells have it: found but not executable, and not found */
enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NOT_FOUND = 127 };

/**
 * struct order - what was asked for
 * @names: devices
 * @nr: their number
 * @user: or NULL
 * @memlock: text, or NULL
 * @program: and its arguments
 */
struct order {
	char *names[MAX_DEVICES];
	int nr;
	const char *user, *memlock;
	char **program;
};

/**
 * struct identity - whom to become
 * @uid: user
 * @gid: his group
 * @groups: all his groups
 * @nr_groups: their number
 * @name: "" if he has none
 * @home: directory
 */
struct identity {
	uid_t uid;
	gid_t gid;
	gid_t groups[MAX_GROUPS];
	int nr_groups;
	char name[64], home[256];
};

/**
 * struct files - what is open for the program
 * @ctx: context
 * @devs: devices, NULL behind the last
 * @fds: of all; before they have been placed those of the objects
 */
struct files {
	struct vcdev_ctx *ctx;
	struct vcdev_dev *devs[MAX_DEVICES];
	int fds[1 + MAX_DEVICES];
};

static int fail(const char *device, const char *what, int error, const char *next)
{
	fprintf(stderr, "vfio-cdev: %s%srun: %s: %s\n", device ? device : "",
		device ? ": " : "", what, strerror(error));
	if (next)
		fprintf(stderr, "  next: %s\n", next);
	return EXIT_FAILED;
}

/* ----------------------------------------------------------- the command line */

static int add_devices(struct order *order, char *list)
{
	char *name;

	for (name = strtok(list, ","); name; name = strtok(NULL, ",")) {
		if (order->nr == MAX_DEVICES)
			return report_usage("run", "more than %d devices", MAX_DEVICES);
		order->names[order->nr++] = name;
	}
	return EXIT_OK;
}

/* Returns -1 to go on, or the exit status. */
static int parse(int argc, char **argv, struct order *order)
{
	static const struct option options[] = {
		{ "device", required_argument, NULL, 'd' },
		{ "user", required_argument, NULL, 'u' },
		{ "memlock", required_argument, NULL, 'm' },
		{ "help", no_argument, NULL, 'h' },
		{ "quiet", no_argument, NULL, 'q' },
		{ "verbose", no_argument, NULL, 'v' },
		{ 0 }
	};
	int option, at;

	for (;;) {
		at = optind ? optind : 1;
		/* "+": options after the program are the program's. */
		option = getopt_long(argc, argv, "+:d:u:m:hqv", options, NULL);
		if (option == -1)
			break;
		switch (option) {
		case 'd':
			if (add_devices(order, optarg))
				return EXIT_USAGE;
			break;
		case 'u':
			order->user = optarg;
			break;
		case 'm':
			order->memlock = optarg;
			break;
		case 'h':
			printf("usage: vfio-cdev %s %s\n\n%s.\n\n%s", command_run.name,
			       command_run.args, command_run.summary, command_run.details);
			return EXIT_OK;
		case 'q':
			tool_quiet = true;
			break;
		case 'v':
			tool_verbose = true;
			break;
		case ':':
			return report_usage("run", "'%s' needs a value", argv[at]);
		default:
			return report_usage("run", "there is no option '%s'", argv[at]);
		}
	}
	if (!order->nr)
		return report_usage("run", "which device?");
	if (optind == argc)
		return report_usage("run", "which program?");
	order->program = argv + optind;
	return -1;
}

static int parse_memlock(const char *text, rlim_t *limit)
{
	uint64_t bytes;

	*limit = RLIM_INFINITY;
	if (!strcmp(text, "unlimited"))
		return EXIT_OK;
	if (!size_parse(text, &bytes))
		return report_usage("run", "'%s' is no size of memory", text);
	*limit = bytes;
	return EXIT_OK;
}

static int find_user(const char *text, struct identity *identity)
{
	struct passwd *user = getpwnam(text);
	unsigned long number;
	char *end;

	memset(identity, 0, sizeof(*identity));
	if (!user) {
		errno = 0;
		number = strtoul(text, &end, 10);
		if (*text < '0' || *text > '9' || *end || errno || number >= (uid_t)-1) {
			fprintf(stderr, "vfio-cdev: run: there is no user '%s'\n"
				"  next: 'getent passwd' lists them\n", text);
			return EXIT_FAILED;
		}
		user = getpwuid(number);
		/* A number without a name is as good: containers have such users. */
		identity->uid = identity->gid = number;
	}
	if (user) {
		identity->uid = user->pw_uid;
		identity->gid = user->pw_gid;
		snprintf(identity->name, sizeof(identity->name), "%s", user->pw_name);
		snprintf(identity->home, sizeof(identity->home), "%s", user->pw_dir);
		identity->nr_groups = MAX_GROUPS;
		if (getgrouplist(user->pw_name, user->pw_gid, identity->groups,
				 &identity->nr_groups) < 0)
			return fail(NULL, "groups of the user", E2BIG, NULL);
	}
	if (!identity->uid) {
		fprintf(stderr, "vfio-cdev: run: '%s' is root\n"
			"  next: name another user, or leave --user out\n", text);
		return EXIT_FAILED;
	}
	return EXIT_OK;
}

/* --------------------------------------------------------------- rights, limits */

static int set_memlock(rlim_t limit)
{
	struct rlimit memlock;

	if (getrlimit(RLIMIT_MEMLOCK, &memlock))
		return fail(NULL, "limit of locked memory", errno, NULL);
	memlock.rlim_cur = limit;
	/* The hard limit is raised if need be, never lowered. */
	if (memlock.rlim_max != RLIM_INFINITY &&
	    (limit == RLIM_INFINITY || limit > memlock.rlim_max))
		memlock.rlim_max = limit;
	if (setrlimit(RLIMIT_MEMLOCK, &memlock))
		return fail(NULL, "raise the limit of locked memory", errno,
			    "run this as root, or raise it in /etc/security/limits.conf");
	return EXIT_OK;
}

static bool has_no_capability(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = { 0 };

	return !syscall(SYS_capget, &header, data) && !data[0].effective &&
		!data[0].permitted && !data[1].effective && !data[1].permitted &&
		!data[0].inheritable && !data[1].inheritable;
}

static bool is_become(const struct identity *identity)
{
	static gid_t groups[MAX_GROUPS];
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;
	int nr, i, j;

	if (getresuid(&ruid, &euid, &suid) || getresgid(&rgid, &egid, &sgid))
		return false;
	if (ruid != identity->uid || euid != identity->uid || suid != identity->uid ||
	    rgid != identity->gid || egid != identity->gid || sgid != identity->gid)
		return false;
	nr = getgroups(MAX_GROUPS, groups);
	if (nr < 0)
		return false;
	for (i = 0; i < nr; i++) {
		for (j = 0; j < identity->nr_groups; j++)
			if (groups[i] == identity->groups[j])
				break;
		if (j == identity->nr_groups)
			return false;
	}
	/* There is no way back. */
	return setuid(0) && setgid(identity->gid ? 0 : 1) && has_no_capability() &&
		prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

static int become(const struct identity *identity)
{
	static const char next[] = "only root can start a program as somebody else";
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	/* Bits by which a change of user would leave capabilities behind */
	if (prctl(PR_SET_SECUREBITS, 0, 0, 0, 0) && prctl(PR_GET_SECUREBITS, 0, 0, 0, 0))
		return fail(NULL, "secure bits", EPERM, next);
	if (setgroups(identity->nr_groups, identity->groups))
		return fail(NULL, "set the groups", errno, next);
	if (setresgid(identity->gid, identity->gid, identity->gid))
		return fail(NULL, "set the group", errno, next);
	if (setresuid(identity->uid, identity->uid, identity->uid))
		return fail(NULL, "set the user", errno, next);
	if (syscall(SYS_capset, &header, none))
		return fail(NULL, "drop capabilities", errno, NULL);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return fail(NULL, "no_new_privs", errno, NULL);
	if (!is_become(identity))
		return fail(NULL, "rights are left after the change of user", EPERM, NULL);
	if (identity->name[0] && (setenv("USER", identity->name, 1) ||
				  setenv("LOGNAME", identity->name, 1) ||
				  setenv("HOME", identity->home, 1)))
		return fail(NULL, "environment", errno, NULL);
	return EXIT_OK;
}

/* ------------------------------------------------------------------------ files */

/* Numbers 0 to 2 are for stdin and the like, even if they were closed. */
static int keep_standard_files(void)
{
	int fd;

	do {
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
		if (fd < 0)
			return fail(NULL, "/dev/null", errno, NULL);
		if (fd < FIRST_FD && fcntl(fd, F_SETFD, 0))
			return fail(NULL, "/dev/null", errno, NULL);
	} while (fd < FIRST_FD);
	close(fd);
	return EXIT_OK;
}

static int open_files(const struct order *order, const struct vcdev_pci *pcis,
		      struct files *files)
{
	struct vcdev_error err;
	int i;

	if (vcdev_ctx_open(tool_host, &files->ctx, &err))
		return report(NULL, "run", &err);
	files->fds[0] = vcdev_ctx_fd(files->ctx);
	for (i = 0; i < order->nr; i++) {
		if (vcdev_dev_open(tool_host, pcis[i].bdf, &files->devs[i], &err))
			return report(pcis[i].bdf, "run", &err);
		files->fds[1 + i] = vcdev_dev_fd(files->devs[i]);
	}
	return EXIT_OK;
}

/* After a failure; the program, once it is executed, has copies. */
static void close_files(struct files *files)
{
	int i;

	for (i = 0; i < MAX_DEVICES; i++)
		vcdev_dev_close(files->devs[i]);
	vcdev_ctx_close(files->ctx);
}

/* Bring them to 3 and up, open across the execution, and nothing else with them. */
static int place_files(int *fds, int nr)
{
	int i;

	for (i = 0; i < nr; i++) {
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_FD + nr);
		if (fds[i] < 0)
			return fail(NULL, "place the files", errno, "is 'ulimit -n' too low?");
	}
	for (i = 0; i < nr; i++)
		if (dup2(fds[i], FIRST_FD + i) < 0)
			return fail(NULL, "place the files", errno, NULL);
	/* CLOSE_RANGE_CLOEXEC; what others left open is not for the program. */
	if (syscall(SYS_close_range, FIRST_FD + nr, ~0u, 1u << 2))
		return fail(NULL, "close all other files", errno, NULL);
	return EXIT_OK;
}

static int set_environment(const struct order *order, const struct vcdev_pci *pcis)
{
	char names[(MAX_DEVICES + 1) * VCDEV_NAME_LEN] = "iommufd", name[VCDEV_NAME_LEN];
	char text[16];
	int i;

	for (i = 0; i < order->nr; i++) {
		vcdev_passed_name(pcis[i].bdf, name);
		strcat(names, ":");
		strcat(names, name);
	}
	snprintf(text, sizeof(text), "%d", (int)getpid());
	if (setenv("LISTEN_PID", text, 1))
		return fail(NULL, "environment", errno, NULL);
	snprintf(text, sizeof(text), "%d", 1 + order->nr);
	if (setenv("LISTEN_FDS", text, 1) || setenv("LISTEN_FDNAMES", names, 1))
		return fail(NULL, "environment", errno, NULL);
	if (tool_verbose)
		fprintf(stderr, "vfio-cdev: run: LISTEN_FDS=%s LISTEN_FDNAMES=%s\n", text, names);
	return EXIT_OK;
}

static int check_devices(const struct order *order, const struct vcdev_pci *pcis)
{
	struct vcdev_error err;
	int i, j;

	for (i = 0; i < order->nr; i++) {
		if (!pcis[i].cdev[0]) {
			vcdev_pci_why_no_cdev(tool_host, &pcis[i], &err);
			return report(pcis[i].bdf, "run", &err);
		}
		for (j = 0; j < i; j++)
			if (!strcmp(pcis[i].bdf, pcis[j].bdf))
				return report_usage("run", "%s is named twice", pcis[i].bdf);
	}
	return EXIT_OK;
}

static int run_run(int argc, char **argv)
{
	static struct identity identity;
	struct order order = { 0 };
	struct files files = { 0 };
	struct vcdev_pci *pcis;
	rlim_t memlock = 0;
	int status;

	status = parse(argc, argv, &order);
	if (status >= 0)
		return status;
	if (order.memlock) {
		status = parse_memlock(order.memlock, &memlock);
		if (status)
			return status;
	}
	if (order.user) {
		status = find_user(order.user, &identity);
		if (status)
			return status;
	}
	status = look_at_all("run", order.nr, order.names, &pcis);
	if (status)
		return status;
	status = check_devices(&order, pcis);
	if (!status)
		status = keep_standard_files();
	if (!status)
		status = open_files(&order, pcis, &files);
	if (!status && order.memlock)
		status = set_memlock(memlock);
	if (!status && order.user)
		status = become(&identity);
	if (!status)
		status = set_environment(&order, pcis);
	if (!status)
		status = place_files(files.fds, 1 + order.nr);
	free(pcis);
	if (status)
		goto out_close;
	execvp(order.program[0], order.program);
	status = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
	fail(NULL, order.program[0], errno, NULL);
out_close:
	close_files(&files);
	return status;
}

const struct command command_run = {
	.name = "run",
	.args = "-d BDF... [-u USER] [-m SIZE] -- PROGRAM...",
	.summary = "start a program that has devices and a context open",
	.details =
		"  -d, --device BDF    a device; several times, or several with commas between\n"
		"  -u, --user USER     become this user for good: his groups, no capability,\n"
		"                      no_new_privs\n"
		"  -m, --memlock SIZE  limit of locked memory (64M, 2G, unlimited)\n"
		"\n"
		"The program finds the files at 3 and up, LISTEN_FDS and LISTEN_FDNAMES in its\n"
		"environment: 'iommufd', then 'vfio-0000-01-00.0' for each device.\n"
		"libvfio-cdev takes them by itself. The exit status is the program's; 127 if\n"
		"there is no such program, 126 if it cannot be executed.\n",
	.run = run_run,
};
