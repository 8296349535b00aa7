/* SPDX-License-Identifier: GPL-2.0 */
/*
 * QEMU's monitor, from within the guest: a port of tests/vm/run --qmp. Only as much
 * of QMP as tests need: a command, and whether it was accepted. Events are passed
 * over.
 */
#ifndef QMP_H
#define QMP_H

#include <poll.h>
#include <stdarg.h>

#include "vfio_utils.h"

static inline int qmp_open(void)
{
	char path[300], name[16];
	struct dirent *entry;
	DIR *dir = opendir("/sys/class/virtio-ports");
	int fd = -ENOENT;

	while (dir && (entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/sys/class/virtio-ports/%.200s/name",
			 entry->d_name);
		sysfs_read(path, name, sizeof(name));
		if (strcmp(name, "qmp"))
			continue;
		snprintf(path, sizeof(path), "/dev/%.200s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	if (dir)
		closedir(dir);
	return fd;
}

/* One line of what QEMU says, or -errno. */
static inline int qmp_line(int fd, char *line, size_t size)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	size_t length = 0;

	while (length < size - 1) {
		if (poll(&pollfd, 1, 20000) != 1)
			return -ETIMEDOUT;
		if (read(fd, line + length, 1) != 1)
			return -EIO;
		if (line[length] == '\n')
			break;
		length++;
	}
	line[length] = '\0';
	return 0;
}

/* @line: QEMU's answer. 0, -EPERM when it says no, or -errno. */
static inline int qmp_ask(int fd, const char *command, const char *text,
			  char line[static 4096])
{
	static unsigned int last_id;
	char id[32];
	int rc, length;

	/* Unique among the processes that have had the port. */
	snprintf(id, sizeof(id), "\"%d-%u\"", getpid(), ++last_id);
	length = snprintf(line, 4096,
			  "{\"execute\":\"%s\",\"id\":%s,\"arguments\":%s}\n",
			  command, id, text);
	if (write(fd, line, length) != length)
		return -EIO;
	do {
		rc = qmp_line(fd, line, 4096);
		if (rc)
			return rc;
	} while (!strstr(line, id));
	return strstr(line, "\"return\"") ? 0 : -EPERM;
}

/* @arguments: the JSON object. As qmp_ask(), and tells what QEMU said to refuse it. */
static inline int __attribute__((format(printf, 3, 4)))
qmp(int fd, const char *command, const char *arguments, ...)
{
	char line[4096], text[512];
	va_list args;
	int rc;

	va_start(args, arguments);
	vsnprintf(text, sizeof(text), arguments, args);
	va_end(args);
	rc = qmp_ask(fd, command, text, line);
	if (rc == -EPERM)
		fprintf(stderr, "# %s %s: %s\n", command, text, line);
	return rc;
}

/* Does the machine have the device @id? */
static inline bool qmp_has(int fd, const char *id)
{
	char line[4096], text[128];

	snprintf(text, sizeof(text),
		 "{\"path\":\"/machine/peripheral/%.60s\",\"property\":\"type\"}", id);
	return !qmp_ask(fd, "qom-get", text, line);
}

#endif
