// SPDX-License-Identifier: GPL-2.0
/* Filling in struct vcdev_error. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "internal.h"

int vcdev_fail(struct vcdev_error *err, int rc, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return rc;
	err->code = rc;
	err->hint[0] = '\0';
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return rc;
}

void vcdev_hint(struct vcdev_error *err, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return;
	va_start(ap, fmt);
	vsnprintf(err->hint, sizeof(err->hint), fmt, ap);
	va_end(ap);
}

void vcdev_prefix(struct vcdev_error *err, const char *fmt, ...)
{
	char text[sizeof(err->text)];
	size_t length;
	va_list ap;

	if (!err)
		return;
	memcpy(text, err->text, sizeof(text));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	length = strlen(err->text);
	snprintf(err->text + length, sizeof(err->text) - length, "%s", text);
}
