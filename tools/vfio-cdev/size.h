/* SPDX-License-Identifier: GPL-2.0 */
/* Sizes in bytes, as people write and read them. */
#ifndef VFIO_CDEV_SIZE_H
#define VFIO_CDEV_SIZE_H

#include <stdbool.h>
#include <stdint.h>

#define SIZE_TEXT 32

/* "4096", "64K", "2M", "1.5G", "2GiB"; units are powers of 1024. False: no size. */
bool size_parse(const char *text, uint64_t *bytes);
/* At most three digits of meaning: "512 B", "1.50 MiB", "64.0 GiB" */
const char *size_text(uint64_t bytes, char buf[SIZE_TEXT]);

#endif
