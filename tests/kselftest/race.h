/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pairwise races: a table of actions, and each unordered pair of them (each
 * action with itself, too) at the same time on the same objects.
 *
 * The program brings the table and a world: what the actions act on. A pair runs
 * in a process of its own, so that what it leaves behind can be told from what
 * others do. It has rounds. A round builds a world, lets threads loose on it
 * for a while, and then, in the quiet, asks the world whether it is in order and
 * takes it apart. In even rounds there are two threads that start each action
 * together; in odd ones there are three that do not wait for one another (the
 * third does what the second does) and go on until each has had its share. Delays of
 * random length shift the overlap.
 *
 * Every call of an action says which errors are right for it (CALL below).
 * Any other is a failure. So is a world that is not in order, a process that
 * dies, pages that stay pinned or charged, and a pair that hangs: that is found by
 * who waits for the process, and the stacks of its threads are shown.
 *
 * Overlap is measured: each call takes a number from one counter when it begins
 * and another when it ends, and two calls have met when the intervals intersect.
 * A pair prints how many calls it made, how many of them succeeded, how many
 * met one of another thread, and how many of those were both a success. A race
 * that never happened can be seen that way.
 *
 * Environment:
 *
 *	RACE_ITERATIONS	actions per thread and round (40)
 *	RACE_MS		a round ends after so long in any case (60), but not
 *			before each thread has done a few; five times as long
 *			when calls have hardly met yet
 *	RACE_ROUNDS	rounds of a pair (2)
 *	RACE_HANG	seconds until a pair counts as hung (90)
 *	RACE_SEED	of the random numbers (1)
 *	RACE_ONLY	"a": pairs with this action; "a|b": this pair
 *	RACE_PART	"i/n": of all pairs the i-th of n parts, i from 0
 *	RACE_VERBOSE	what each pair did
 */
#ifndef RACE_H
#define RACE_H

#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include <linux/futex.h>

#include "iommufd_utils.h"

struct world;		/* the program's */
struct race_actor;

struct race_action {
	const char *name;
	void (*run)(struct world *w, struct race_actor *a);
	bool disturbs;		/* even those who keep to their own part */
};

struct race_ops {
	const struct race_action *actions;
	unsigned int nr_actions;
	/* Make what actions act on. NULL, or what went wrong is in @why. */
	struct world *(*build)(char *why, size_t size);
	/* All is quiet: is it in order? Ends the world. False: see @why. */
	bool (*end)(struct world *w, char *why, size_t size);
	/* In the waiting process, after each pair. */
	bool (*after)(char *why, size_t size);
};

#define RACE_THREADS	3
#define RACE_CALLS	4096
#define RACE_FEW	3
#define RACE_MEET	10

struct race_call {
	unsigned int begin, end;
	bool ok;
};

struct race_actor {
	pthread_t thread;
	struct race *race;
	unsigned int nr;
	unsigned int seed;
	const struct race_action *action;
	bool strict;			/* the others do not disturb */
	unsigned int begin;		/* of the present call */
	unsigned int nr_calls;
	struct race_call calls[RACE_CALLS];
};

/* Shared by the process that races and the one that waits for it. */
struct race_result {
	unsigned long iterations, calls, ok, met, both_ok;
	unsigned long ms, all_ms;	/* spent racing, and with the worlds */
	atomic_int wrong;
	char why[512];
};

struct race {
	const struct race_ops *ops;
	struct race_result *result;
	struct world *world;
	struct race_actor actors[RACE_THREADS];
	unsigned int nr_actors;
	bool together;
	unsigned int iterations;
	unsigned long ms;
	struct timespec start;
	atomic_uint clock;
	atomic_uint arrived;		/* at the barrier */
	atomic_uint nr_few, nr_done;	/* threads that have done so much */
	atomic_uint inside, met;	/* calls: now; that found another */
	atomic_bool stop;
};

static inline unsigned int race_env(const char *name, unsigned int otherwise)
{
	const char *text = getenv(name);

	return text && *text ? strtoul(text, NULL, 0) : otherwise;
}

/* The first failure of a pair is what is told. */
__attribute__((format(printf, 2, 3)))
static inline void race_wrong(struct race_result *result, const char *format,
			      ...)
{
	va_list args;

	if (atomic_exchange(&result->wrong, 1))
		return;
	va_start(args, format);
	vsnprintf(result->why, sizeof(result->why), format, args);
	va_end(args);
}

/* A random number below @below. */
static inline unsigned int rnd(struct race_actor *a, unsigned int below)
{
	return rand_r(&a->seed) % below;
}

static inline void race_delay(struct race_actor *a)
{
	unsigned int kind = rnd(a, 16);
	volatile unsigned int i;

	if (!kind)
		sched_yield();
	for (i = kind < 12 ? rnd(a, 64) : rnd(a, 4096); i; i--)
		;
}

static inline void race_begin(struct race_actor *a)
{
	race_delay(a);
	a->begin = atomic_fetch_add(&a->race->clock, 1);
	if (atomic_fetch_add(&a->race->inside, 1))
		atomic_fetch_add(&a->race->met, 1);
}

static inline void race_end(struct race_actor *a, int rc, const char *call,
			    const int *may)
{
	unsigned int end = atomic_fetch_add(&a->race->clock, 1);

	atomic_fetch_sub(&a->race->inside, 1);
	if (a->nr_calls < RACE_CALLS) {
		a->calls[a->nr_calls++] = (struct race_call){
			.begin = a->begin, .end = end, .ok = rc >= 0,
		};
	}
	if (rc >= 0)
		return;
	for (; *may; may++)
		if (rc == -*may)
			return;
	race_wrong(a->race->result, "%s: %s: %s", a->action->name, call,
		   strerror(-rc));
}

/*
 * A call that gives a number from 0 up, or -errno; the errnos that are right
 * for it follow. OWN_CALL: none is right while nobody disturbs.
 */
#define MAY(...)	((const int[]){ __VA_ARGS__ __VA_OPT__(,) 0 })
#define CALL(a, call, ...)						\
({									\
	int __rc;							\
									\
	race_begin(a);							\
	__rc = (call);							\
	race_end(a, __rc, #call, MAY(__VA_ARGS__));			\
	__rc;								\
})
#define OWN_CALL(a, call, ...)						\
({									\
	int __rc;							\
									\
	race_begin(a);							\
	__rc = (call);							\
	race_end(a, __rc, #call,					\
		 (a)->strict ? MAY() : MAY(__VA_ARGS__));		\
	__rc;								\
})

static inline unsigned long race_ms_since(const struct timespec *start)
{
	struct timespec now;

	/* The coarse one costs nothing; others may mean to ask a device. */
	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (now.tv_sec - start->tv_sec) * 1000 +
	       (now.tv_nsec - start->tv_nsec) / 1000000;
}

/* To be asked before iteration @i. */
static inline bool race_is_over(struct race *race, unsigned int i)
{
	bool met = atomic_load(&race->met) >= RACE_MEET;

	if (i == RACE_FEW)
		atomic_fetch_add(&race->nr_few, 1);
	if (i == race->iterations)
		atomic_fetch_add(&race->nr_done, 1);
	if (atomic_load(&race->nr_few) < race->nr_actors)
		return false;
	return (met && atomic_load(&race->nr_done) == race->nr_actors) ||
	       race_ms_since(&race->start) >= (met ? 1 : 5) * race->ms;
}

/*
 * Wait for the others, for the @round-th time: busily, but not for long. Who is
 * woken comes late, so a start together takes two: one to get up, one to start.
 */
static inline void race_meet(struct race *race, unsigned int round,
			     unsigned int busily)
{
	unsigned int all = (round + 1) * race->nr_actors, spins = 0, now;

	if (atomic_fetch_add(&race->arrived, 1) == all - 1) {
		syscall(SYS_futex, &race->arrived, FUTEX_WAKE_PRIVATE, INT_MAX,
			NULL, NULL, 0);
		return;
	}
	while ((now = atomic_load(&race->arrived)) < all)
		if (++spins > busily)
			syscall(SYS_futex, &race->arrived, FUTEX_WAIT_PRIVATE,
				now, NULL, NULL, 0);
}

static inline void *race_thread(void *arg)
{
	struct race_actor *a = arg;
	struct race *race = a->race;
	unsigned int i;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(a->nr % 2, &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);	/* if there are two */

	race_meet(race, 0, 1000);
	for (i = 0; ; i++) {
		if (race_is_over(race, i) ||
		    atomic_load(&race->result->wrong))
			atomic_store(&race->stop, true);
		if (race->together) {
			race_meet(race, 2 * i + 1, 1000);
			if (atomic_load(&race->stop))
				break;
			/* Nobody may change it before all have looked. */
			race_meet(race, 2 * i + 2, 100000);
		} else if (atomic_load(&race->stop)) {
			break;
		}
		a->action->run(race->world, a);
	}
	__atomic_fetch_add(&race->result->iterations, i, __ATOMIC_RELAXED);
	return NULL;
}

/* Which calls of a have met one of b: both lists are in order. */
static inline void race_count_met(const struct race_actor *a,
				  const struct race_actor *b,
				  struct race_result *result)
{
	unsigned int i, j, from = 0;
	bool met, both;

	for (i = 0; i < a->nr_calls; i++) {
		const struct race_call *x = &a->calls[i];

		while (from < b->nr_calls && b->calls[from].end < x->begin)
			from++;
		met = false;
		both = false;
		for (j = from; j < b->nr_calls; j++) {
			if (b->calls[j].begin > x->end)
				break;
			met = true;
			both |= x->ok && b->calls[j].ok;
		}
		result->met += met;
		result->both_ok += both;
	}
}

static inline void race_count(struct race *race)
{
	unsigned int i, j;

	for (i = 0; i < race->nr_actors; i++) {
		struct race_actor *a = &race->actors[i];

		race->result->calls += a->nr_calls;
		for (j = 0; j < a->nr_calls; j++)
			race->result->ok += a->calls[j].ok;
		for (j = i + 1; j < race->nr_actors; j++)
			race_count_met(a, &race->actors[j], race->result);
	}
}

static inline void race_round(struct race *race, unsigned int round,
			      const struct race_action *x,
			      const struct race_action *y)
{
	struct race_result *result = race->result;
	unsigned int i, seed = race_env("RACE_SEED", 1);
	struct timespec start;
	char why[400] = "";

	clock_gettime(CLOCK_MONOTONIC_COARSE, &start);
	race->world = race->ops->build(why, sizeof(why));
	if (!race->world) {
		race_wrong(result, "no world: %s", why);
		return;
	}
	race->together = round % 2 == 0;
	race->nr_actors = race->together ? 2 : 3;
	race->iterations = race_env("RACE_ITERATIONS", 40);
	race->ms = race_env("RACE_MS", 60);
	atomic_store(&race->clock, 0);
	atomic_store(&race->arrived, 0);
	atomic_store(&race->nr_few, 0);
	atomic_store(&race->nr_done, 0);
	atomic_store(&race->inside, 0);
	atomic_store(&race->met, 0);
	atomic_store(&race->stop, false);
	clock_gettime(CLOCK_MONOTONIC_COARSE, &race->start);
	for (i = 0; i < race->nr_actors; i++) {
		struct race_actor *a = &race->actors[i];

		a->race = race;
		a->nr = i;
		a->seed = (seed * 1000003U + round) * 31 + i +
			  (x - race->ops->actions) * 1009 +
			  (y - race->ops->actions) * 9176;
		a->action = i ? y : x;
		a->strict = !x->disturbs && !y->disturbs;
		a->nr_calls = 0;
		if (pthread_create(&a->thread, NULL, race_thread, a)) {
			race_wrong(result, "no thread");
			_exit(1);
		}
	}
	for (i = 0; i < race->nr_actors; i++)
		pthread_join(race->actors[i].thread, NULL);
	result->ms += race_ms_since(&race->start);
	race_count(race);
	if (!race->ops->end(race->world, why, sizeof(why)))
		race_wrong(result, "round %u, at the end: %s", round, why);
	result->all_ms += race_ms_since(&start);
}

/* The process of a pair. */
static inline void race_pair(const struct race_ops *ops, unsigned int x,
			     unsigned int y, struct race_result *result)
{
	static struct race race;
	unsigned int i, rounds = race_env("RACE_ROUNDS", 2);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	race.ops = ops;
	race.result = result;
	for (i = 0; i < rounds && !atomic_load(&result->wrong); i++)
		race_round(&race, i, &ops->actions[x], &ops->actions[y]);
	_exit(0);
}

static inline void race_show_file(const char *path)
{
	char line[256];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		printf("# %s", line);
	if (f)
		fclose(f);
}

/* Where the threads of a process hang. */
static inline void race_show_stacks(pid_t pid)
{
	char path[64];
	int tid;

	/* Thread IDs follow one another closely here. */
	for (tid = pid; tid < pid + 4096; tid++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d/stack", pid, tid);
		if (access(path, F_OK))
			continue;
		printf("# thread %d:\n", tid);
		race_show_file(path);
	}
	fflush(stdout);
}

/* Wait for the end of a process. */
static inline bool race_ends(pid_t pid, unsigned int seconds)
{
	struct pollfd fd = {
		.fd = syscall(SYS_pidfd_open, pid, 0),
		.events = POLLIN,
	};
	int nr = poll(&fd, 1, seconds * 1000);

	close(fd.fd);
	return nr == 1;
}

/* TEST_PATIENCE: how many times slower than usual the machine may be. */
static inline unsigned int race_hang(void)
{
	return race_env("RACE_HANG", 90) * race_env("TEST_PATIENCE", 1);
}

/* False: not even a kill ends it, and nothing more can be tested. */
static inline bool race_wait(pid_t pid, struct race_result *result)
{
	int status;

	if (!race_ends(pid, race_hang())) {
		race_wrong(result, "hangs");
		race_show_stacks(pid);
		kill(pid, SIGKILL);
		if (!race_ends(pid, 30))
			return false;
	}
	waitpid(pid, &status, 0);
	if (WIFSIGNALED(status))
		race_wrong(result, "died of signal %d", WTERMSIG(status));
	else if (WEXITSTATUS(status))
		race_wrong(result, "exit status %d", WEXITSTATUS(status));
	return true;
}

static inline bool race_selected(const struct race_ops *ops, unsigned int x,
				 unsigned int y, unsigned int nr)
{
	const char *only = getenv("RACE_ONLY"), *part = getenv("RACE_PART");
	const char *nx = ops->actions[x].name, *ny = ops->actions[y].name;
	unsigned int i, n;
	char pair[128];

	if (part && sscanf(part, "%u/%u", &i, &n) == 2 && n && nr % n != i)
		return false;
	if (!only || !*only)
		return true;
	if (!strchr(only, '|'))
		return !strcmp(only, nx) || !strcmp(only, ny);
	snprintf(pair, sizeof(pair), "%s|%s", nx, ny);
	if (!strcmp(only, pair))
		return true;
	snprintf(pair, sizeof(pair), "%s|%s", ny, nx);
	return !strcmp(only, pair);
}

static inline unsigned int race_nr_pairs(const struct race_ops *ops)
{
	unsigned int x, y, nr = 0, selected = 0;

	for (x = 0; x < ops->nr_actions; x++)
		for (y = x; y < ops->nr_actions; y++)
			selected += race_selected(ops, x, y, nr++);
	return selected;
}

/*
 * Run the pairs, as TAP from number @test on; race_nr_pairs() are planned.
 * Returns how many failed.
 */
static inline unsigned int race_all(const struct race_ops *ops,
				    unsigned int test)
{
	struct race_result *result, total = { 0 };
	unsigned int x, y, nr = 0, ran = 0, failed = 0, never = 0;
	char why[400];
	time_t start = time(NULL);
	pid_t pid;

	result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (result == MAP_FAILED) {
		printf("Bail out! no memory\n");
		return 1;
	}
	for (x = 0; x < ops->nr_actions; x++) {
		for (y = x; y < ops->nr_actions; y++) {
			if (!race_selected(ops, x, y, nr++))
				continue;
			memset(result, 0, sizeof(*result));
			fflush(stdout);
			pid = fork();
			if (!pid)
				race_pair(ops, x, y, result);
			if (pid < 0 || !race_wait(pid, result)) {
				printf("not ok %u - %s | %s\n", test,
				       ops->actions[x].name,
				       ops->actions[y].name);
				printf("Bail out! the pair cannot be ended\n");
				fflush(stdout);
				return failed + 1;
			}
			if (ops->after && !ops->after(why, sizeof(why)))
				race_wrong(result, "afterwards: %s", why);
			if (atomic_load(&result->wrong)) {
				printf("# %s\n", result->why);
				failed++;
			}
			if (atomic_load(&result->wrong) ||
			    getenv("RACE_VERBOSE"))
				printf("# iterations %lu calls %lu ok %lu met %lu both ok %lu, %lu of %lu ms\n",
				       result->iterations, result->calls,
				       result->ok, result->met,
				       result->both_ok, result->ms,
				       result->all_ms);
			printf("%s %u - %s | %s\n",
			       atomic_load(&result->wrong) ? "not ok" : "ok",
			       test++, ops->actions[x].name,
			       ops->actions[y].name);
			if (!result->met) {
				printf("# never met: %s | %s\n",
				       ops->actions[x].name,
				       ops->actions[y].name);
				never++;
			}
			ran++;
			total.iterations += result->iterations;
			total.calls += result->calls;
			total.ok += result->ok;
			total.met += result->met;
			total.both_ok += result->both_ok;
			total.ms += result->ms;
		}
	}
	printf("# %u pairs of %u actions in %ld s, %lu of them racing: %lu actions, %lu calls, %lu succeeded, %lu met another, %lu of them with success on both sides; %u pairs never met\n",
	       ran, ops->nr_actions, (long)(time(NULL) - start),
	       total.ms / 1000,
	       total.iterations, total.calls, total.ok, total.met,
	       total.both_ok, never);
	munmap(result, sizeof(*result));
	return failed;
}

#endif
