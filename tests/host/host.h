/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the host tests and the fuzzer stand on: an allocator that counts and
 * fails to order, expectations, and a source of decisions.
 */
#ifndef TESTS_HOST_H
#define TESTS_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Memory that the code under test has. */
struct host_memory {
	unsigned long calls;	/* allocations asked for, so far */
	unsigned long live;	/* objects not yet freed */
	unsigned long bytes;	/* in them */
	long fail_in;		/* > 0: the nth call from now on fails, once */
	bool forbidden;		/* asking for memory is a failure of the test */
};

extern struct host_memory host_memory;
extern unsigned long host_warnings;

/* Forget failures to come, bans and warnings; memory must be free by now. */
void host_reset(void);

/* Tell what is wrong and give the running test (or the fuzzer) up. */
_Noreturn void host_fail(const char *file, int line, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#define expect(cond) do {						\
	if (!(cond))							\
		host_fail(__FILE__, __LINE__, "not so: %s", #cond);	\
} while (0)

#define expect_eq(got, want) do {					\
	unsigned long long got_ = (got), want_ = (want);		\
	if (got_ != want_)						\
		host_fail(__FILE__, __LINE__,				\
			  "%s is 0x%llx (%lld), not 0x%llx (%lld)",	\
			  #got, got_, got_, want_, want_);		\
} while (0)

/* Bytes that decide what happens. At their end all answers are 0. */
struct choices {
	const uint8_t *data;
	size_t size;
};

unsigned int choose(struct choices *choices, unsigned int n);

static inline bool choices_left(const struct choices *choices)
{
	return choices->size;
}

/*
 * Steps of the models so far: each changes or asks something and is compared. A
 * model looks at everything every HOST_LOOK_EVERY steps and after the last one,
 * and at what a step was about after each. A fuzzer gains speed by looking less
 * often and loses little: what is wrong stays wrong.
 */
extern unsigned long host_operations;

#ifdef HOST_FUZZ
#define HOST_LOOK_EVERY	32
#else
#define HOST_LOOK_EVERY	1
#endif

/* One step is done. Is it time to look at everything? */
static inline bool host_step(const struct choices *choices)
{
	return !(++host_operations % HOST_LOOK_EVERY) || !choices_left(choices);
}

/* Fill a buffer from a generator with a fixed law, so that seeds reproduce. */
void host_random(uint64_t *state, uint8_t *data, size_t size);

/* TAP. */
struct host_test {
	const char *name;
	void (*fn)(void);
};

int host_main(int argc, char **argv, const struct host_test *tests, size_t n);

/* Longer random tests: "--seconds N" of the command line, shared out. */
extern double host_seconds;

/*
 * Run @model on random inputs, as long as @share of host_seconds, and at least
 * 200 of them. Prints how many there were.
 */
void host_random_runs(void (*model)(struct choices *choices), uint64_t seed,
		      double share);

/*
 * A fuzzer is to look for ways through what is tested, not through the models:
 * those come after this header, the source they test before it.
 */
#ifdef HOST_FUZZ
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), \
			     apply_to = function)
#endif

#endif
