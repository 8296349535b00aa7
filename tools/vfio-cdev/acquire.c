// SPDX-License-Identifier: GPL-2.0
/* A function for a moment: opened, with a context of its own, and bound to it. */
#include "tool.h"

int acquire(const char *bdf, struct acquired *acquired, struct vcdev_error *err)
{
	int rc;

	*acquired = (struct acquired){ 0 };
	rc = vcdev_dev_open(tool_host, bdf, &acquired->dev, err);
	if (!rc)
		rc = vcdev_ctx_open(tool_host, &acquired->ctx, err);
	if (!rc)
		rc = vcdev_dev_bind(acquired->dev, acquired->ctx, err);
	if (rc)
		release(acquired);
	return rc;
}

void release(struct acquired *acquired)
{
	/* The device first: it hangs on the context. */
	vcdev_dev_close(acquired->dev);
	vcdev_ctx_close(acquired->ctx);
	*acquired = (struct acquired){ 0 };
}
