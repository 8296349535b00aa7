// SPDX-License-Identifier: GPL-2.0
/*
 * File descriptors that whoever started the process has opened for it, by the
 * convention of systemd's socket activation:
 *
 *	LISTEN_PID	for whom they are
 *	LISTEN_FDS	how many, from 3 on
 *	LISTEN_FDNAMES	their names, divided by colons
 *
 * A context is called "iommufd", a device "vfio-" and its address with dashes for
 * the colons, which a name may not have: "vfio-0000-01-00.0".
 *
 * A file is handed out once: it belongs to the object that was opened with it, and
 * after its end its number may be anything. That is all the state here, a bit for
 * each number; bits are only ever set, atomically.
 *
 * A name is a claim. What the file is, is checked against sysfs, so that a
 * program does not drive a device that it did not ask for.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "device.h"

#define FIRST_FD	3
#define MAX_FDS		256
#define CTX_NAME	"iommufd"
#define DEV_PREFIX	"vfio-"

static unsigned char taken[MAX_FDS];

/* A decimal number and nothing else, or -1. */
static long env_number(const char *name)
{
	const char *text = getenv(name);
	char *end;
	long value;

	if (!text || *text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtol(text, &end, 10);
	return errno || *end || value < 0 ? -1 : value;
}

/* How many files there are for this process, and the names of all */
static long passed_count(const char **names)
{
	long nr;

	*names = getenv("LISTEN_FDNAMES");
	if (!*names || env_number("LISTEN_PID") != getpid())
		return 0;
	nr = env_number("LISTEN_FDS");
	return nr < 0 ? 0 : nr > MAX_FDS ? MAX_FDS : nr;
}

/* The next name in *@names and its length, or false at the end */
static bool next_name(const char **names, const char **name, size_t *length)
{
	if (!*names)
		return false;
	*name = *names;
	*length = strcspn(*names, ":");
	*names = (*names)[*length] ? *names + *length + 1 : NULL;
	return true;
}

int vcdev_passed_name(const char *bdf, char name[VCDEV_NAME_LEN])
{
	char full[VCDEV_BDF_LEN], *c;
	int rc;

	rc = vcdev_bdf_parse(bdf, full);
	if (rc)
		return rc;
	for (c = full; *c; c++)
		if (*c == ':')
			*c = '-';
	snprintf(name, VCDEV_NAME_LEN, DEV_PREFIX "%s", full);
	return 0;
}

/* The address in a name of @length, if it is that of a device */
static bool parse_name(const char *name, size_t length, char bdf[VCDEV_BDF_LEN])
{
	char text[VCDEV_BDF_LEN], *c;

	if (length <= strlen(DEV_PREFIX) || strncmp(name, DEV_PREFIX, strlen(DEV_PREFIX)))
		return false;
	name += strlen(DEV_PREFIX);
	length -= strlen(DEV_PREFIX);
	if (length >= sizeof(text))
		return false;
	memcpy(text, name, length);
	text[length] = '\0';
	for (c = text; *c; c++)
		if (*c == '-')
			*c = ':';
	return !vcdev_bdf_parse(text, bdf);
}

ssize_t vcdev_passed_devices(char (**bdfs)[VCDEV_BDF_LEN], struct vcdev_error *err)
{
	char (*list)[VCDEV_BDF_LEN];
	const char *names, *name;
	long nr = passed_count(&names), i;
	ssize_t found = 0;
	size_t length;

	list = calloc(nr ? nr : 1, sizeof(*list));
	if (!list)
		return vcdev_fail(err, -ENOMEM, "out of memory");
	for (i = 0; i < nr && next_name(&names, &name, &length); i++)
		if (parse_name(name, length, list[found]))
			found++;
	*bdfs = list;
	return found;
}

/* Is @fd the character device whose numbers are in @attr ("10:123")? */
static bool is_device(const struct vcdev_path *attr, int fd, bool must_know)
{
	unsigned int major_nr, minor_nr;
	struct stat stat;
	char text[32];

	if (fstat(fd, &stat) || !S_ISCHR(stat.st_mode))
		return false;
	if (vcdev_attr_read(attr, text, sizeof(text)) < 0 ||
	    sscanf(text, "%u:%u", &major_nr, &minor_nr) != 2)
		return !must_know;
	return stat.st_rdev == makedev(major_nr, minor_nr);
}

/* The first file called @want that was not taken yet is now: its number, or -1 */
static int take(const char *want)
{
	const char *names, *name;
	long nr = passed_count(&names), i;
	size_t length;

	for (i = 0; i < nr && next_name(&names, &name, &length); i++) {
		if (length != strlen(want) || strncmp(name, want, length))
			continue;
		if (!__atomic_exchange_n(&taken[i], 1, __ATOMIC_ACQ_REL))
			return FIRST_FD + i;
	}
	return -1;
}

static int check(int fd, const char *name, const char *what, bool good,
		 struct vcdev_error *err)
{
	int flags = fcntl(fd, F_GETFD);
	int rc = flags < 0 ? -errno : good ? 0 : -EINVAL;

	if (!rc && fcntl(fd, F_SETFD, flags | FD_CLOEXEC) < 0)
		rc = -errno;
	if (!rc)
		return fd;
	vcdev_fail(err, rc, "file descriptor %d, which this process was started with as %s, "
		   "is not %s", fd, name, what);
	vcdev_hint(err, "look at what starts it; it passes LISTEN_FDS and LISTEN_FDNAMES");
	return rc;
}

int vcdev_passed_ctx(const struct vcdev_host *host, struct vcdev_error *err)
{
	struct vcdev_path attr;
	int fd = take(CTX_NAME);

	if (fd < 0)
		return -ENOENT;
	vcdev_path(host, &attr, "/sys/class/misc/iommu/dev");
	return check(fd, CTX_NAME, "/dev/iommu", is_device(&attr, fd, false), err);
}

int vcdev_passed_dev(const struct vcdev_host *host, const struct vcdev_pci *pci,
		     struct vcdev_error *err)
{
	char name[VCDEV_NAME_LEN];
	struct vcdev_path attr;
	int fd;

	if (vcdev_passed_name(pci->bdf, name))
		return -ENOENT;
	fd = take(name);
	if (fd < 0)
		return -ENOENT;
	vcdev_path(host, &attr, "/sys/class/vfio-dev/%s/dev", pci->cdev);
	return check(fd, name, pci->cdev, is_device(&attr, fd, true), err);
}
