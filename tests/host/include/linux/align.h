/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOST_LINUX_ALIGN_H
#define HOST_LINUX_ALIGN_H

#define ALIGN(x, a)	(((x) + (a) - 1) / (a) * (a))

#endif
