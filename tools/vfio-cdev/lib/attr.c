// SPDX-License-Identifier: GPL-2.0
/*
 * Small files and links of sysfs, procfs and the like. Every path is made here,
 * so that a host with another root is just another prefix.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"

void vcdev_path(const struct vcdev_host *host, struct vcdev_path *path,
		const char *fmt, ...)
{
	const char *root = host && host->root ? host->root : "";
	size_t length = strlen(root);
	va_list ap;
	int rest;

	path->s[0] = '\0';
	if (length >= sizeof(path->s))
		return;
	memcpy(path->s, root, length);
	va_start(ap, fmt);
	rest = vsnprintf(path->s + length, sizeof(path->s) - length, fmt, ap);
	va_end(ap);
	if (rest < 0 || (size_t)rest >= sizeof(path->s) - length)
		path->s[0] = '\0';
}

bool vcdev_exists(const struct vcdev_path *path)
{
	return !access(path->s, F_OK);
}

ssize_t vcdev_attr_read(const struct vcdev_path *path, char *buf, size_t size)
{
	ssize_t got;
	int fd, rc;

	fd = open(path->s, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		got = read(fd, buf, size - 1);
	} while (got < 0 && errno == EINTR);
	rc = got < 0 ? -errno : 0;
	close(fd);
	if (rc)
		return rc;
	if (got && buf[got - 1] == '\n')
		got--;
	buf[got] = '\0';
	return got;
}

int vcdev_attr_u64(const struct vcdev_path *path, uint64_t *value)
{
	unsigned long long parsed;
	char text[64], *end;
	ssize_t length;

	length = vcdev_attr_read(path, text, sizeof(text));
	if (length < 0)
		return length;
	errno = 0;
	parsed = strtoull(text, &end, 0);
	if (errno || end == text || *end)
		return -EINVAL;
	*value = parsed;
	return 0;
}

int vcdev_attr_write(const struct vcdev_path *path, const char *text)
{
	size_t length = strlen(text);
	ssize_t done;
	int fd, rc;

	fd = open(path->s, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* One attribute, one write: sysfs has no notion of the rest. */
	done = write(fd, text, length);
	rc = done < 0 ? -errno : (size_t)done != length ? -EIO : 0;
	close(fd);
	return rc;
}

int vcdev_link_name(const struct vcdev_path *path, char *buf, size_t size)
{
	char target[PATH_MAX];
	const char *name;
	ssize_t length;

	length = readlink(path->s, target, sizeof(target) - 1);
	if (length < 0)
		return -errno;
	target[length] = '\0';
	name = strrchr(target, '/');
	name = name ? name + 1 : target;
	if (strlen(name) >= size)
		return -ENAMETOOLONG;
	strcpy(buf, name);
	return 0;
}
