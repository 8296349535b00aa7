// SPDX-License-Identifier: GPL-2.0
/*
 * An executor: a process that runs one program after the other, with threads
 * that stay. Between programs all files are closed and all memory is new, which
 * takes less than a new process; on a kernel without KCOV programs are long, so that
 * it is not what takes the time. It is killed from outside now and then, in the
 * middle of whatever it does; the next one takes its place.
 *
 * A program that takes a new edge is shortened to what is needed for its edges
 * and joins the corpus, which all executors share.
 *
 * Every other executor has no right to lock memory beyond its limit, so that the
 * accounts are at work.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm.h"

#define MAX_TRIES	60	/* to shorten one */
#define MAX_KEPT_CALLS	400	/* of a program, where none is shortened */
#define MAX_KEPT	192	/* edges that a shortened program must take again */

struct program *seeds;
unsigned int nr_seeds;

static struct fuzz_device devices[MAX_EXECUTORS + 1];
static unsigned int nr_devices;
static const struct program *current;
static uint32_t generation, done;
static int fault_fd[NR_THREADS];

void executor_devices(const struct fuzz_device *list, unsigned int n)
{
	memcpy(devices, list, n * sizeof(*list));
	nr_devices = n;
}

/* ---- threads ---- */

static void wait_while(uint32_t *word, uint32_t value)
{
	while (__atomic_load_n(word, __ATOMIC_ACQUIRE) == value)
		syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
}

static void fault(unsigned int thread, unsigned int nth)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", nth);

	if (fault_fd[thread] < 0)
		return;
	/* Writing it copies, too. */
	while (pwrite(fault_fd[thread], text, length, 0) < 0 && errno == EFAULT)
		;
}

static void calls_of(const struct program *program, unsigned int thread)
{
	unsigned int i;

	for (i = 0; i < program->nr; i++) {
		const struct call *call = &program->calls[i];
		long rc;

		if (call->thread != thread)
			continue;
		cover_start(thread);
		if (call->fault)
			fault(thread, call->fault);
		rc = call_run(call, program, i);
		if (call->fault)
			fault(thread, 0);
		cover_stop(thread, i, call->what, rc);
	}
}

static void thread_begin(unsigned int thread)
{
	cover_enable(thread);
	fault_fd[thread] = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
}

static void *thread_main(void *arg)
{
	unsigned int thread = (uintptr_t)arg;
	uint32_t seen = 0;

	thread_begin(thread);
	__atomic_fetch_add(&done, 1, __ATOMIC_RELEASE);
	for (;;) {
		wait_while(&generation, seen);
		seen = __atomic_load_n(&generation, __ATOMIC_ACQUIRE);
		calls_of(current, thread);
		if (__atomic_add_fetch(&done, 1, __ATOMIC_RELEASE) == NR_THREADS - 1)
			syscall(SYS_futex, &done, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	}
	return NULL;
}

static void run(const struct program *program)
{
	bool alone = true;
	unsigned int i;
	uint32_t n;

	for (i = 0; i < program->nr; i++)
		alone &= !program->calls[i].thread;
	cover_run_begin();
	if (!alone) {
		current = program;
		__atomic_store_n(&done, 0, __ATOMIC_RELAXED);
		__atomic_fetch_add(&generation, 1, __ATOMIC_RELEASE);
		syscall(SYS_futex, &generation, FUTEX_WAKE_PRIVATE, NR_THREADS, NULL,
			NULL, 0);
	}
	calls_of(program, 0);
	while (!alone && (n = __atomic_load_n(&done, __ATOMIC_ACQUIRE)) < NR_THREADS - 1)
		wait_while(&done, n);
	/* Closing is a call of the program, too. */
	cover_start(0);
	calls_reset();
	cover_stop(0, program->nr, 0, 0);
}

static void begin(unsigned int nr)
{
	const struct rlimit limit = { 1 << 20, 1 << 20 };
	struct __user_cap_header_struct header = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];
	pthread_t thread;
	uintptr_t i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (nr & 1) {
		setrlimit(RLIMIT_MEMLOCK, &limit);
		if (!syscall(SYS_capget, &header, data)) {
			data[0].effective &= ~(1U << CAP_IPC_LOCK);
			syscall(SYS_capset, &header, data);
		}
	}
	calls_begin(&devices[nr % nr_devices], &devices[nr_devices - 1]);
	thread_begin(0);
	for (i = 1; i < NR_THREADS; i++)
		if (pthread_create(&thread, NULL, thread_main, (void *)i))
			_exit(1);
	while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < NR_THREADS - 1)
		usleep(1000);
}

/* ---- the corpus ---- */

/*
 * No lock: who is killed would keep it. It leaves an empty program instead; one that
 * is not finished yet is empty, too.
 */
static void corpus_add(const struct program *program)
{
	unsigned int i = __atomic_load_n(&shared->nr_corpus, __ATOMIC_RELAXED);

	do {
		if (i == MAX_CORPUS)
			return;
	} while (!__atomic_compare_exchange_n(&shared->nr_corpus, &i, i + 1, true,
					      __ATOMIC_ACQ_REL, __ATOMIC_RELAXED));
	program_copy(&shared->corpus[i], program);
}

static void keep(const struct program *program)
{
	uint32_t edges[MAX_KEPT];
	static struct program best, try;
	unsigned int nr, last, chunk, at, tries = 0;
	const uint32_t *list;

	nr = cover_run_new(&list, &last);
	nr = nr < MAX_KEPT ? nr : MAX_KEPT;
	program_copy(&best, program);
	if (last + 1 < best.nr)
		best.nr = last + 1;
	/* Without KCOV there is too much that is new to look at it closely. */
	if (!shared->kcov) {
		if (best.nr <= MAX_KEPT_CALLS)
			corpus_add(&best);
		return;
	}
	memcpy(edges, list, nr * sizeof(edges[0]));
	/* Once more: edges of chance, and those of other threads, do not come again. */
	run(&best);
	nr = cover_run_again(edges, nr);
	if (!nr)
		return;
	for (chunk = (best.nr + 1) / 2; chunk; chunk /= 2) {
		for (at = 0; at < best.nr && best.nr > 1 && tries < MAX_TRIES;) {
			program_copy(&try, &best);
			program_cut(&try, at, chunk);
			if (!try.nr)
				break;
			tries++;
			run(&try);
			if (cover_run_took(edges, nr))
				program_copy(&best, &try);
			else
				at += chunk;
		}
	}
	corpus_add(&best);
}

/* ---- executors ---- */

static void executor_main(unsigned int nr, uint64_t seed)
{
	struct executor *self = &shared->executors[nr];
	struct program *program;
	const uint32_t *list;
	unsigned int last, n;
	bool faults, seeded;

	random_seed(seed);
	begin(nr);
	while (!__atomic_load_n(&shared->stop, __ATOMIC_RELAXED)) {
		program = &self->recent[self->nr_recent % NR_RECENT];
		faults = !below(4);
		n = __atomic_fetch_add(&shared->next_seed, 1, __ATOMIC_RELAXED);
		seeded = n < nr_seeds;
		if (seeded) {
			program_copy(program, &seeds[n]);
		} else if (below(10) && shared->nr_corpus) {
			n = __atomic_load_n(&shared->nr_corpus, __ATOMIC_ACQUIRE);
			/* Half of them among the newest */
			n = below(2) ? below(n) : n - 1 - below(n < 64 ? n : 64);
			program_copy(program, &shared->corpus[n]);
		} else {
			program->nr = 0;
		}
		if (!seeded && program->nr)
			program_change(program, faults);
		else if (!seeded)
			program_random(program, faults);
		self->nr_recent++;
		run(program);
		self->programs++;
		if (!cover_run_new(&list, &last))
			continue;
		keep(program);
	}
	_exit(0);
}

pid_t executor_fork(unsigned int nr, uint64_t seed)
{
	pid_t pid = fork();

	if (!pid)
		executor_main(nr, seed);
	return pid;
}

bool ends(pid_t pid, int ms)
{
	struct pollfd fd = {
		.fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN,
	};
	int nr;

	if (fd.fd < 0)
		return true;
	nr = poll(&fd, 1, ms);
	close(fd.fd);
	if (nr == 1)
		waitpid(pid, NULL, 0);
	return nr == 1;
}

bool program_try(const struct program *program, unsigned int times)
{
	pid_t pid = fork();

	if (!pid) {
		begin(0);
		while (times--)
			run(program);
		_exit(0);
	}
	if (pid < 0 || ends(pid, 5000))
		return true;
	kill(pid, SIGKILL);
	return ends(pid, 120000);
}
