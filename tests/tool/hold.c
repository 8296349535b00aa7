// SPDX-License-Identifier: GPL-2.0
/*
 * hold BDF [BYTES...]: open a device, bind it to a context, attach it, map so much
 * memory, say "ready", and keep all that until stdin ends. For tests of what others
 * see then.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vfio-cdev.h"

/* Memory that is the same every time: no huge pages */
static int map(struct vcdev_ctx *ctx, uint32_t ioas, uint64_t bytes, struct vcdev_error *err)
{
	uint64_t iova;
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("hold: mmap");
		exit(1);
	}
	madvise(memory, bytes, MADV_NOHUGEPAGE);
	return vcdev_map_any(ctx, ioas, memory, bytes, VCDEV_MAP_READ | VCDEV_MAP_WRITE, &iova,
			     err);
}

int main(int argc, char **argv)
{
	struct vcdev_error err;
	struct vcdev_ctx *ctx;
	struct vcdev_dev *dev;
	uint32_t ioas;
	char byte;
	int i, rc;

	if (argc < 2)
		return 2;
	if (vcdev_dev_open(NULL, argv[1], &dev, &err) || vcdev_ctx_open(NULL, &ctx, &err) ||
	    vcdev_dev_bind(dev, ctx, &err) || vcdev_ioas_alloc(ctx, &ioas, &err) ||
	    vcdev_dev_attach(dev, ioas, NULL, &err))
		goto err_tell;
	for (i = 2; i < argc; i++) {
		rc = map(ctx, ioas, strtoull(argv[i], NULL, 0), &err);
		if (rc)
			goto err_tell;
	}
	puts("ready");
	fflush(stdout);
	while (read(0, &byte, 1) > 0)
		;
	vcdev_dev_close(dev);
	vcdev_ctx_close(ctx);
	return 0;

err_tell:
	fprintf(stderr, "hold: %s\n  next: %s\n", err.text, err.hint);
	return 1;
}
