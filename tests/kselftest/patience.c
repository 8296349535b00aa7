// SPDX-License-Identifier: GPL-2.0
/*
 * Time limits of tests on a machine that is slower than usual.
 *
 * The harness gives each test 30 seconds, or what TEST_F_TIMEOUT() says, by
 * alarm(). A debug kernel in an emulator needs several times as long, so the
 * programs are linked with --wrap=alarm and TEST_PATIENCE in the environment
 * is a factor for every such limit. tests/vm/guest sets it.
 */
#include <stdlib.h>

unsigned int __real_alarm(unsigned int seconds);
unsigned int __wrap_alarm(unsigned int seconds);

unsigned int __wrap_alarm(unsigned int seconds)
{
	const char *factor = getenv("TEST_PATIENCE");
	int patience = factor ? atoi(factor) : 1;

	return __real_alarm(patience > 1 ? seconds * patience : seconds);
}
