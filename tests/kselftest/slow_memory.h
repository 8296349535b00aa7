/* SPDX-License-Identifier: GPL-2.0 */
/* A map that sleeps inside the kernel for as long as the test likes. */
#ifndef SLOW_MEMORY_H
#define SLOW_MEMORY_H

#include <poll.h>
#include <pthread.h>
#include <sys/syscall.h>

#include <linux/userfaultfd.h>

#include "iommufd_utils.h"

/*
 * Memory whose first touch waits: whoever pins it sleeps inside the kernel
 * until the test lets it in.
 */
struct slow_memory {
	void *p;
	size_t length;
	int uffd;
};

static inline int slow_memory_make(struct slow_memory *m, size_t length)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	m->length = length;
	m->p = mmap(NULL, length, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	m->uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (m->p == MAP_FAILED || m->uffd < 0 || ioctl(m->uffd, UFFDIO_API, &api))
		return -errno;
	reg.range.start = (uintptr_t)m->p;
	reg.range.len = length;
	return ioctl_rc(m->uffd, UFFDIO_REGISTER, &reg);
}

/* Sleep until somebody has touched it. */
static inline int slow_memory_wait(struct slow_memory *m)
{
	struct pollfd fd = { .fd = m->uffd, .events = POLLIN };
	struct uffd_msg msg;

	if (poll(&fd, 1, 5000) != 1)
		return -ETIMEDOUT;
	return read(m->uffd, &msg, sizeof(msg)) == sizeof(msg) ? 0 : -errno;
}

/* Let everybody in. */
static inline int slow_memory_let_in(struct slow_memory *m)
{
	struct uffdio_zeropage zero = {
		.range = { (uintptr_t)m->p, m->length },
	};

	return ioctl_rc(m->uffd, UFFDIO_ZEROPAGE, &zero);
}

struct mapper {
	pthread_t thread;
	int iommufd;
	uint32_t ioas;
	struct slow_memory *memory;
	int rc;
};

static inline void *map_slowly(void *arg)
{
	struct mapper *m = arg;

	m->rc = ioas_map_fixed(m->iommufd, m->ioas, RW, m->memory->p,
			       m->memory->length, MiB);
	return NULL;
}

#endif
