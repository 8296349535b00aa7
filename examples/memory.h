/* SPDX-License-Identifier: GPL-2.0 */
/* Large memory for the examples: brought in ahead of the map, with a progress bar. */
#ifndef EXAMPLE_MEMORY_H
#define EXAMPLE_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "vfio-cdev.h"

/* "4096", "64M", "2G": whole pages. False: no such size. */
bool memory_size(const char *text, uint64_t *length);

/*
 * @length bytes of memory that are there, brought in by as many threads as the caller may use
 * processors. On a terminal a bar shows how far it is; with @percent lines do, for whoever
 * reads them ("edu: 12%", where @who is "edu"). An interrupt (Ctrl-C) stops it: -ECANCELED.
 * NULL on failure, which is told.
 */
void *memory_get(const char *who, uint64_t length, bool percent);
void memory_free(void *memory, uint64_t length);

#endif
