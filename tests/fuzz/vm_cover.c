// SPDX-License-Identifier: GPL-2.0
/*
 * Which edges of our modules were taken: by KCOV, which writes down each block
 * that a thread comes by. An edge is two blocks, one after the other. All
 * executors share one map; what a single run took is kept beside it, by number of
 * the run, so that nothing has to be cleared.
 *
 * Without KCOV there is a poor man's edge: a call, its errno, and the call before.
 */
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vm.h"

#define KCOV_INIT	_IOR('c', 1, unsigned long)
#define KCOV_ENABLE	_IO('c', 100)
#define KCOV_TRACE_PC	0
#define KCOV_PCS	(64 << 10)
#define MAX_NEW		256

struct cover *cover;

static unsigned long *traces[NR_THREADS];
static unsigned int before[NR_THREADS];
static uint32_t *taken, run;
static uint32_t fresh[MAX_NEW];
static unsigned int nr_fresh, last_fresh;

struct cover *cover_new(void)
{
	void *p = mmap(NULL, sizeof(*cover), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

bool cover_enable(unsigned int thread)
{
	int fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	void *p;

	traces[thread] = NULL;
	if (fd < 0)
		return false;
	if (ioctl(fd, KCOV_INIT, (unsigned long)KCOV_PCS))
		goto err_close;
	p = mmap(NULL, KCOV_PCS * sizeof(long), PROT_READ | PROT_WRITE,
		 MAP_SHARED, fd, 0);
	if (p == MAP_FAILED || ioctl(fd, KCOV_ENABLE, KCOV_TRACE_PC))
		goto err_close;
	traces[thread] = p;
	return true;
err_close:
	close(fd);
	return false;
}

void cover_run_begin(void)
{
	unsigned int i;

	/* Not private: each fork() would copy it. */
	if (!taken) {
		void *p = mmap(NULL, EDGES * sizeof(*taken), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			_exit(1);
		taken = p;
	}
	run++;
	nr_fresh = 0;
	last_fresh = 0;
	for (i = 0; i < NR_THREADS; i++)
		before[i] = 0;
}

static void take(uint32_t edge, unsigned int index)
{
	unsigned int i;

	taken[edge] = run;
	if (cover->edge[edge] ||
	    __atomic_exchange_n(&cover->edge[edge], 1, __ATOMIC_RELAXED))
		return;
	__atomic_fetch_add(&cover->edges, 1, __ATOMIC_RELAXED);
	i = __atomic_fetch_add(&nr_fresh, 1, __ATOMIC_RELAXED);
	if (i < MAX_NEW)
		fresh[i] = edge;
	if (last_fresh < index)
		last_fresh = index;
}

static void take_block(uint32_t pc)
{
	uint32_t at = pc * 2654435761U >> 15, old;

	while ((old = __atomic_load_n(&cover->pc[at % PCS], __ATOMIC_RELAXED)) != pc) {
		if (old) {
			at++;
			continue;
		}
		if (__atomic_compare_exchange_n(&cover->pc[at % PCS], &old, pc, false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			__atomic_fetch_add(&cover->blocks, 1, __ATOMIC_RELAXED);
			return;
		}
	}
}

void cover_start(unsigned int thread)
{
	if (traces[thread])
		__atomic_store_n(&traces[thread][0], 0, __ATOMIC_RELAXED);
}

void cover_stop(unsigned int thread, unsigned int index, unsigned int what, long rc)
{
	unsigned long *trace = traces[thread];
	uint32_t pc, last = 0, edge;
	unsigned long i, n;

	if (!trace) {
		if (shared->kcov)
			return;
		edge = (before[thread] * MAX_KINDS + what) * NR_ERRNO +
		       (rc < 0 ? -rc % NR_ERRNO : 0);
		before[thread] = what;
		return take(edge * 2654435761U % EDGES, index);
	}
	n = __atomic_load_n(&trace[0], __ATOMIC_RELAXED);
	for (i = 1; i <= n && i < KCOV_PCS; i++) {
		pc = trace[i];
		edge = (pc * 2654435761U ^ last * 0x9e3779b1U) >> 14;
		last = pc;
		if (taken[edge % EDGES] == run)
			continue;
		take(edge % EDGES, index);
		take_block(pc);
	}
}

unsigned int cover_run_new(const uint32_t **list, unsigned int *last)
{
	*list = fresh;
	*last = last_fresh;
	return nr_fresh < MAX_NEW ? nr_fresh : MAX_NEW;
}

bool cover_run_took(const uint32_t *list, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		if (taken[list[i]] != run)
			return false;
	return true;
}

unsigned int cover_run_again(uint32_t *list, unsigned int nr)
{
	unsigned int i, n = 0;

	for (i = 0; i < nr; i++)
		if (taken[list[i]] == run)
			list[n++] = list[i];
	return n;
}
