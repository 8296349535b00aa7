// SPDX-License-Identifier: GPL-2.0
/* Loading a kernel module with the system's modprobe, and hearing why not. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "internal.h"

/*
 * Run modprobe with its stderr on a pipe. What it says first goes to @words,
 * one line; the rest is read and dropped, or it would block.
 */
static int modprobe_run(const char *module, char *words, size_t size)
{
	char *const argv[] = { "modprobe", "--", (char *)module, NULL };
	char *const envp[] = { "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", NULL };
	posix_spawn_file_actions_t actions;
	char drop[256];
	size_t used = 0;
	int fds[2], status, rc;
	ssize_t got;
	pid_t pid;

	words[0] = '\0';
	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	rc = -posix_spawn_file_actions_init(&actions);
	if (rc)
		goto err_close_pipe;
	rc = -posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
	if (!rc)
		rc = -posix_spawn(&pid, "/sbin/modprobe", &actions, NULL, argv, envp);
	posix_spawn_file_actions_destroy(&actions);
	if (rc)
		goto err_close_pipe;

	close(fds[1]);
	for (;;) {
		bool keep = used < size - 1;

		got = read(fds[0], keep ? words + used : drop,
			   keep ? size - 1 - used : sizeof(drop));
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			break;
		if (keep)
			used += got;
	}
	close(fds[0]);
	words[used] = '\0';
	words[strcspn(words, "\n")] = '\0';
	while (waitpid(pid, &status, 0) < 0) {
		if (errno == EINTR)
			continue;
		/* Our caller ignores SIGCHLD: nobody knows, the driver will tell. */
		return errno == ECHILD ? 0 : -errno;
	}
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -ENOENT;

err_close_pipe:
	close(fds[0]);
	close(fds[1]);
	return rc;
}

int vcdev_modprobe(const struct vcdev_host *host, const char *module,
		   struct vcdev_error *err)
{
	char words[256];
	int rc;

	if (host && (host->no_modprobe || (host->root && host->root[0])))
		return vcdev_fail(err, -ENOENT, "module %s is not loaded", module);
	rc = modprobe_run(module, words, sizeof(words));
	if (!rc)
		return 0;
	if (words[0])
		return vcdev_fail(err, rc, "module %s cannot be loaded: %s", module, words);
	return vcdev_fail(err, rc, "module %s cannot be loaded: %s", module,
			  rc == -ENOENT ? "modprobe failed" : strerror(-rc));
}
