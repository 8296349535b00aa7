// SPDX-License-Identifier: GPL-2.0
/*
 * Capability chains: what an INFO ioctl returns behind its fixed part.
 *
 * A chain is built in one buffer that grows. Each capability starts with a
 * header whose "next" is the offset of the following one, 0 in the last. While
 * the chain is built, offsets count from the buffer's start; before it is
 * copied out they are moved by the size of what will stand in front of it.
 * A capability takes a multiple of eight bytes, so that 64-bit members of the
 * next one are aligned for the user, too.
 */
#include <linux/align.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "vfio.h"

static struct vfio_info_cap_header *cap_at(struct vfio_info_cap *caps,
					   size_t offset)
{
	return (void *)caps->buf + offset;
}

/**
 * vfio_info_cap_add - put one more capability at the end of a chain
 * @caps: chain
 * @size: size of the capability, with its header
 * @id: which capability
 * @version: of its layout
 *
 * Pointers to former capabilities of the chain are void afterwards.
 *
 * Return: the capability, zeroed after its header, or ERR_PTR(-ENOMEM), and
 * the whole chain is freed.
 */
struct vfio_info_cap_header *vfio_info_cap_add(struct vfio_info_cap *caps,
					       size_t size, u16 id, u16 version)
{
	size_t offset = caps->size, last = 0;
	struct vfio_info_cap_header *cap;
	void *grown;

	size = ALIGN(size, sizeof(u64));
	grown = krealloc(caps->buf, offset + size, GFP_KERNEL);
	if (!grown) {
		kfree(caps->buf);
		caps->buf = NULL;
		caps->size = 0;
		return ERR_PTR(-ENOMEM);
	}
	caps->buf = grown;
	caps->size = offset + size;

	cap = cap_at(caps, offset);
	memset(cap, 0, size);
	cap->id = id;
	cap->version = version;

	if (offset) {
		while (cap_at(caps, last)->next)
			last = cap_at(caps, last)->next;
		cap_at(caps, last)->next = offset;
	}
	return cap;
}
EXPORT_SYMBOL_GPL(vfio_info_cap_add);

/**
 * vfio_info_cap_shift - make room in front of a chain, in its offsets
 * @caps: chain with at least one capability
 * @offset: how many bytes will stand in front of the buffer
 */
void vfio_info_cap_shift(struct vfio_info_cap *caps, size_t offset)
{
	size_t at = 0, next;

	while ((next = cap_at(caps, at)->next)) {
		cap_at(caps, at)->next = next + offset;
		at = next;
	}
}
EXPORT_SYMBOL(vfio_info_cap_shift);

/**
 * vfio_info_add_capability - put a copy of a capability at the end of a chain
 * @caps: chain
 * @cap: what to copy
 * @size: its size, with the header
 *
 * Return: 0 or -ENOMEM, and the whole chain is freed.
 */
int vfio_info_add_capability(struct vfio_info_cap *caps,
			     struct vfio_info_cap_header *cap, size_t size)
{
	struct vfio_info_cap_header *copy;

	copy = vfio_info_cap_add(caps, size, cap->id, cap->version);
	if (IS_ERR(copy))
		return PTR_ERR(copy);

	memcpy(&copy[1], &cap[1], size - sizeof(*cap));
	return 0;
}
EXPORT_SYMBOL(vfio_info_add_capability);
