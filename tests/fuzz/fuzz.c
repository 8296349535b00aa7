// SPDX-License-Identifier: GPL-2.0
/*
 * One fuzz target: the bytes that libFuzzer makes up are the choices of a model
 * of tests/host. Which one, the Makefile says.
 */
#include MODEL_HEADER

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct choices choices = { data, size };

	MODEL(&choices);
	return 0;
}
