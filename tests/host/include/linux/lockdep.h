/* SPDX-License-Identifier: GPL-2.0 */
#ifndef HOST_LINUX_LOCKDEP_H
#define HOST_LINUX_LOCKDEP_H

#include "../../host.h"

#define lockdep_assert_held(lock)	expect((lock)->held)

#endif
