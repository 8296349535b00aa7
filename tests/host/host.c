// SPDX-License-Identifier: GPL-2.0
/*
 * The part of the host tests that knows nothing of what is tested.
 *
 * A failed expectation ends the running test, not the program: it jumps back
 * into host_main(), which prints "not ok" and goes on. Built into a fuzzer
 * (HOST_FUZZ), it aborts instead, which is what a fuzzer looks for.
 */
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/bug.h>
#include <linux/slab.h>

#include "host.h"

struct host_memory host_memory;
unsigned long host_warnings;
unsigned long host_operations;
double host_seconds = 4;

#ifndef HOST_FUZZ
static jmp_buf host_back;
#endif

_Noreturn void host_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fflush(stdout);
	printf("# %s:%d: ", file, line);
	vprintf(fmt, args);
	printf("\n");
	fflush(stdout);
	va_end(args);
#ifdef HOST_FUZZ
	abort();
#else
	longjmp(host_back, 1);
#endif
}

bool host_warn(bool cond, const char *text, const char *file, int line)
{
	if (cond) {
		host_warnings++;
		printf("# warning: %s:%d: %s\n", file, line, text);
	}
	return cond;
}

void *host_alloc(size_t size)
{
	void *ptr;

	host_memory.calls++;
	if (host_memory.forbidden)
		host_fail(__FILE__, __LINE__, "memory asked for: %zu bytes",
			  size);
	if (host_memory.fail_in > 0 && !--host_memory.fail_in)
		return NULL;
	/* As kmalloc() does. */
	ptr = size & (size - 1) ? malloc(size) : aligned_alloc(size, size);
	if (!ptr)
		abort();
	memset(ptr, 0xa5, size);
	host_memory.live++;
	host_memory.bytes += malloc_usable_size(ptr);
	return ptr;
}

void *host_calloc(size_t n, size_t size)
{
	void *ptr = host_alloc(n * size);

	if (ptr)
		memset(ptr, 0, n * size);
	return ptr;
}

void host_free(void *ptr)
{
	if (!ptr)
		return;
	host_memory.live--;
	host_memory.bytes -= malloc_usable_size(ptr);
	free(ptr);
}

void host_reset(void)
{
	memset(&host_memory, 0, sizeof(host_memory));
	host_warnings = 0;
}

unsigned int choose(struct choices *choices, unsigned int n)
{
	unsigned int value;

	if (!choices->size || n < 2)
		return 0;
	choices->size--;
	value = *choices->data++;
	if (n > 256 && choices->size) {
		choices->size--;
		value = value << 8 | *choices->data++;
	}
	return value % n;
}

void host_random(uint64_t *state, uint8_t *data, size_t size)
{
	/* A Weyl sequence, each member stirred twice. */
	while (size--) {
		uint64_t word = *state += 0x9e3779b97f4a7c15ull;

		word = (word ^ word >> 32) * 0xd6e8feb86659fd93ull;
		word = (word ^ word >> 29) * 0xd6e8feb86659fd93ull;
		*data++ = word >> 56;
	}
}

#ifndef HOST_FUZZ
static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

void host_random_runs(void (*model)(struct choices *choices), uint64_t seed,
		      double share)
{
	double end = now() + host_seconds * share;
	unsigned long done = 0, operations = host_operations;

	do {
		uint64_t state = seed + done * 0x10001;
		static uint8_t data[4096];
		struct choices choices = { data, 0 };
		size_t size;

		host_random(&state, data, sizeof(data));
		/* Mostly short ones: what is wrong shows early. */
		size = done % 8 ? 64 + state % 448 : sizeof(data);
		choices.size = size;
		model(&choices);
		done++;
	} while (done < 200 || now() < end);
	printf("# %lu inputs, %lu operations\n", done,
	       host_operations - operations);
}

/* A broken tree can have a circle in it. */
static void host_hangs(int sig)
{
	static const char text[] = "Bail out! the test hangs\n";

	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

int host_main(int argc, char **argv, const struct host_test *tests, size_t n)
{
	volatile size_t i, nr_failed = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && !strcmp(argv[1], "--seconds"))
		host_seconds = atof(argv[2]);
	signal(SIGALRM, host_hangs);
	printf("TAP version 13\n1..%zu\n", n);
	for (i = 0; i < n; i++) {
		bool ok = false;

		host_reset();
		alarm(60 + 2 * host_seconds);
		if (!setjmp(host_back)) {
			tests[i].fn();
			host_memory.forbidden = false;
			expect_eq(host_warnings, 0);
			expect_eq(host_memory.live, 0);
			ok = true;
		}
		nr_failed += !ok;
		printf("%s %zu - %s\n", ok ? "ok" : "not ok", i + 1,
		       tests[i].name);
	}
	printf("# %zu of %zu failed\n", nr_failed, n);
	return nr_failed ? 1 : 0;
}
#endif

#ifdef HOST_FUZZ
#pragma clang attribute pop
#endif
