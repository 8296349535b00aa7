/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOST_LINUX_BITMAP_H
#define HOST_LINUX_BITMAP_H

static inline void bitmap_set(unsigned long *words, unsigned int bit,
			      unsigned int nr)
{
	for (; nr--; bit++)
		words[bit / 64] |= 1ul << bit % 64;
}

#endif
