/* SPDX-License-Identifier: GPL-2.0 */
/* What the files of the library share. Nothing here is for its users. */
#ifndef VFIO_CDEV_INTERNAL_H
#define VFIO_CDEV_INTERNAL_H

#include <limits.h>

#include "vfio-cdev.h"

#define __printf(fmt, first) __attribute__((format(printf, fmt, first)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

/* error.c */

/*
 * Describe a failure and hand its code through: "return vcdev_fail(err, -EBUSY,
 * ...)". Takes the code as an argument, so it cannot be spoilt by what ran since.
 */
int vcdev_fail(struct vcdev_error *err, int rc, const char *fmt, ...) __printf(3, 4);
void vcdev_hint(struct vcdev_error *err, const char *fmt, ...) __printf(2, 3);
/* Put @fmt before the text of an error. */
void vcdev_prefix(struct vcdev_error *err, const char *fmt, ...) __printf(2, 3);

/* attr.c: small files and links under the root of a host */

struct vcdev_path {
	char s[PATH_MAX];
};

/* "" if the path would be too long: opening that is -ENOENT, which is true. */
void vcdev_path(const struct vcdev_host *host, struct vcdev_path *path,
		const char *fmt, ...) __printf(3, 4);
bool vcdev_exists(const struct vcdev_path *path);
/* The text without its last newline. Returns its length or a negative errno. */
ssize_t vcdev_attr_read(const struct vcdev_path *path, char *buf, size_t size);
int vcdev_attr_u64(const struct vcdev_path *path, uint64_t *value);
int vcdev_attr_write(const struct vcdev_path *path, const char *text);
/* The last part of what a link points to. */
int vcdev_link_name(const struct vcdev_path *path, char *buf, size_t size);

/* pci.c */
int vcdev_no_function(const struct vcdev_host *host, const char *bdf,
		      struct vcdev_error *err);
bool vcdev_is_vfio_driver(const char *driver);

/* holder.c */

/* "PID 12 (qemu)" and the like into @buf; false if nobody is to be seen. */
bool vcdev_name_holders(const struct vcdev_host *host,
			const struct vcdev_pci *pci, char *buf, size_t size);
/*
 * The same of another member of its group, named in @sibling; the process
 * @except does not count.
 */
bool vcdev_name_sibling_holders(const struct vcdev_host *host,
				const struct vcdev_pci *pci, pid_t except,
				char sibling[VCDEV_BDF_LEN], char *buf, size_t size);

/* mounts.c: where a file system from a disk of the function is mounted, if one is */
bool vcdev_find_mount(const struct vcdev_host *host, const char *bdf, char where[256]);

/* modprobe.c: 0, or a negative errno with modprobe's words in @err */
int vcdev_modprobe(const struct vcdev_host *host, const char *module,
		   struct vcdev_error *err);

#endif
