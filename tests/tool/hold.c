// SPDX-License-Identifier: GPL-2.0
/*
 * hold BDF: open a device, bind it to a context, attach it, say "ready", and keep
 * it until stdin ends. For tests of what others see then.
 */
#include <stdio.h>
#include <unistd.h>

#include "vfio-cdev.h"

int main(int argc, char **argv)
{
	struct vcdev_error err;
	struct vcdev_ctx *ctx;
	struct vcdev_dev *dev;
	uint32_t ioas;
	char byte;

	if (argc != 2)
		return 2;
	if (vcdev_dev_open(NULL, argv[1], &dev, &err) || vcdev_ctx_open(NULL, &ctx, &err) ||
	    vcdev_dev_bind(dev, ctx, &err) || vcdev_ioas_alloc(ctx, &ioas, &err) ||
	    vcdev_dev_attach(dev, ioas, NULL, &err)) {
		fprintf(stderr, "hold: %s\n  next: %s\n", err.text, err.hint);
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	vcdev_dev_close(dev);
	vcdev_ctx_close(ctx);
	return 0;
}
