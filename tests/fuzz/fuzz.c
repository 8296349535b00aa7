// SPDX-License-Identifier: GPL-2.0
/*
 * One fuzz target: the bytes that libFuzzer makes up are the choices of a model
 * of tests/host. Which one, the Makefile says.
 *
 * FUZZ_OPERATIONS in the environment is how many steps of the model to do. The
 * target prints their number and ends then. Whoever finds something before does
 * not get that far.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include MODEL_HEADER

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long goal = ULONG_MAX;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *text = getenv("FUZZ_OPERATIONS");

	if (text)
		goal = strtoul(text, NULL, 0);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices choices = { data, size };

	MODEL(&choices);
	if (host_operations >= goal) {
		printf("%lu\n", host_operations);
		fflush(stdout);
		goal = ULONG_MAX;
		raise(SIGUSR1);		/* the fuzzer ends after this input */
	}
	return 0;
}

#pragma clang attribute pop
