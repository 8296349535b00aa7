/* SPDX-License-Identifier: GPL-2.0 */
/* A picture of an IOVA space, for the terminal and for documents. */
#ifndef VFIO_CDEV_PICTURE_H
#define VFIO_CDEV_PICTURE_H

#include <stdio.h>

#include "contexts.h"

/**
 * struct piece - a stretch of an IOVA space of one kind
 * @start: first
 * @last: last, inclusive
 * @sign: '#' mapped, 'x' reserved, '.' free
 */
struct piece {
	uint64_t start, last;
	char sign;
};

/*
 * Cut the whole space into pieces by the ranges of @ioas; neighbours of one kind are
 * one piece. An array for free(), or NULL without memory. Returns their number.
 */
size_t picture_cut(const struct context *context, uint32_t ioas, struct piece **pieces);

/* Below each other: the strip, and the IOVAs at its joints. @width: columns */
void picture_print(const struct piece *pieces, size_t nr, unsigned int width);
/* All address spaces of @contexts, one below the other. Returns 0 or -ENOMEM. */
int picture_svg(FILE *out, const struct context *contexts, size_t nr);

#endif
