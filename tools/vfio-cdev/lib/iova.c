// SPDX-License-Identifier: GPL-2.0
/*
 * Choosing IOVAs in userspace. The kernel chooses well (vcdev_map_any()), but knows
 * nothing of a device that drives fewer address bits than its IOMMU, nor of a
 * program that wants an IOVA before it has the memory.
 *
 * Model: the free ranges, in order, disjoint, none next to another. All are inside
 * of what the address space could map when the object was made. The lowest IOVA
 * that fits is given. Overflow: ranges are inclusive, so the end of all IOVAs is
 * no special case, and a length is checked before it is added.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "internal.h"

struct vcdev_iovas {
	struct vcdev_iova_range *all, *free;
	size_t nr_all, nr_free, room;
	uint64_t alignment;
};

/* So that one range can become two. */
static int make_room(struct vcdev_iovas *iovas)
{
	struct vcdev_iova_range *grown;
	size_t room;

	if (iovas->nr_free < iovas->room)
		return 0;
	room = iovas->room * 2 + 8;
	grown = reallocarray(iovas->free, room, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	iovas->free = grown;
	iovas->room = room;
	return 0;
}

int vcdev_iovas_new(struct vcdev_ctx *ctx, uint32_t ioas_id, struct vcdev_iovas **iovas,
		    struct vcdev_error *err)
{
	struct vcdev_iovas *made;
	ssize_t nr;

	made = calloc(1, sizeof(*made));
	if (!made)
		return vcdev_fail(err, -ENOMEM, "out of memory");
	nr = vcdev_iova_ranges(ctx, ioas_id, &made->all, &made->alignment, err);
	if (nr < 0) {
		free(made);
		return nr;
	}
	made->nr_all = nr;
	made->nr_free = nr;
	made->room = nr;
	made->free = calloc(nr ? nr : 1, sizeof(*made->free));
	if (!made->free) {
		free(made->all);
		free(made);
		return vcdev_fail(err, -ENOMEM, "out of memory");
	}
	memcpy(made->free, made->all, nr * sizeof(*made->free));
	if (!made->alignment)
		made->alignment = 1;
	*iovas = made;
	return 0;
}

void vcdev_iovas_delete(struct vcdev_iovas *iovas)
{
	if (!iovas)
		return;
	free(iovas->all);
	free(iovas->free);
	free(iovas);
}

/* Take @start to @last out of free range @i, which contains it; there is room. */
static void cut(struct vcdev_iovas *iovas, size_t i, uint64_t start, uint64_t last)
{
	struct vcdev_iova_range old = iovas->free[i];
	struct vcdev_iova_range *at = &iovas->free[i];

	if (old.start < start && last < old.last) {
		memmove(at + 1, at, (iovas->nr_free - i) * sizeof(*at));
		iovas->nr_free++;
		at[0].last = start - 1;
		at[1].start = last + 1;
	} else if (old.start < start) {
		at->last = start - 1;
	} else if (last < old.last) {
		at->start = last + 1;
	} else {
		memmove(at, at + 1, (iovas->nr_free - i - 1) * sizeof(*at));
		iovas->nr_free--;
	}
}

int vcdev_iovas_alloc(struct vcdev_iovas *iovas, uint64_t length, uint64_t alignment,
		      uint64_t limit, uint64_t *iova, struct vcdev_error *err)
{
	uint64_t start, last;
	size_t i;
	int rc;

	if (!alignment)
		alignment = iovas->alignment;
	if (!length || length % iovas->alignment || alignment & (alignment - 1) ||
	    alignment < iovas->alignment)
		return vcdev_fail(err, -EINVAL, "a length of 0x%" PRIx64 " or an alignment of 0x%"
				  PRIx64 " is no multiple of 0x%" PRIx64, length, alignment,
				  iovas->alignment);
	rc = make_room(iovas);
	if (rc)
		return vcdev_fail(err, rc, "out of memory");
	for (i = 0; i < iovas->nr_free; i++) {
		start = (iovas->free[i].start + alignment - 1) & ~(alignment - 1);
		last = start + (length - 1);
		if (start < iovas->free[i].start || last < start)
			continue;	/* overflow */
		if (last > limit)
			break;
		if (last > iovas->free[i].last)
			continue;
		cut(iovas, i, start, last);
		*iova = start;
		return 0;
	}
	return vcdev_fail(err, -ENOSPC, "no 0x%" PRIx64 " bytes of IOVAs are free up to 0x%" PRIx64,
			  length, limit);
}

int vcdev_iovas_reserve(struct vcdev_iovas *iovas, uint64_t iova, uint64_t length,
			struct vcdev_error *err)
{
	uint64_t last = iova + (length - 1);
	size_t i;
	int rc;

	if (!length || last < iova)
		return vcdev_fail(err, -EINVAL, "0x%" PRIx64 " bytes at IOVA 0x%" PRIx64
				  " are no range", length, iova);
	rc = make_room(iovas);
	if (rc)
		return vcdev_fail(err, rc, "out of memory");
	for (i = 0; i < iovas->nr_free; i++) {
		if (iovas->free[i].start <= iova && last <= iovas->free[i].last) {
			cut(iovas, i, iova, last);
			return 0;
		}
	}
	return vcdev_fail(err, -EEXIST, "IOVAs 0x%" PRIx64 "-0x%" PRIx64
			  " are not all free", iova, last);
}

static bool was_usable(const struct vcdev_iovas *iovas, uint64_t start, uint64_t last)
{
	size_t i;

	for (i = 0; i < iovas->nr_all; i++)
		if (iovas->all[i].start <= start && last <= iovas->all[i].last)
			return true;
	return false;
}

int vcdev_iovas_release(struct vcdev_iovas *iovas, uint64_t iova, uint64_t length,
			struct vcdev_error *err)
{
	uint64_t last = iova + (length - 1);
	struct vcdev_iova_range *at;
	bool joins_left, joins_right;
	size_t i;
	int rc;

	if (!length || last < iova || !was_usable(iovas, iova, last))
		return vcdev_fail(err, -EINVAL, "0x%" PRIx64 " bytes at IOVA 0x%" PRIx64
				  " are not of this address space", length, iova);
	rc = make_room(iovas);
	if (rc)
		return vcdev_fail(err, rc, "out of memory");
	/* @i: the first free range that does not lie wholly before */
	for (i = 0; i < iovas->nr_free && iovas->free[i].last < iova; i++)
		;
	if (i < iovas->nr_free && iovas->free[i].start <= last)
		return vcdev_fail(err, -EINVAL, "IOVAs 0x%" PRIx64 "-0x%" PRIx64 " are free "
				  "already", iova, last);
	at = &iovas->free[i];
	joins_left = i > 0 && at[-1].last + 1 == iova;
	joins_right = i < iovas->nr_free && last + 1 == at->start;
	if (joins_left && joins_right) {
		at[-1].last = at->last;
		memmove(at, at + 1, (iovas->nr_free - i - 1) * sizeof(*at));
		iovas->nr_free--;
	} else if (joins_left) {
		at[-1].last = last;
	} else if (joins_right) {
		at->start = iova;
	} else {
		memmove(at + 1, at, (iovas->nr_free - i) * sizeof(*at));
		*at = (struct vcdev_iova_range){ iova, last };
		iovas->nr_free++;
	}
	return 0;
}
