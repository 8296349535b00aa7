// SPDX-License-Identifier: GPL-2.0
/* Sizes in bytes, as people write and read them. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "size.h"

static const char units[] = "KMGTPE";

bool size_parse(const char *text, uint64_t *bytes)
{
	unsigned long long whole;
	uint64_t scale = 1, part = 0, digit = 1;
	const char *unit;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	whole = strtoull(text, &end, 10);
	if (errno)
		return false;
	if (*end == '.')
		for (end++; *end >= '0' && *end <= '9' && digit < 1000000; end++) {
			part = part * 10 + (*end - '0');
			digit *= 10;
		}
	if (*end) {
		unit = strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end);
		if (!unit)
			return false;
		scale = 1ull << 10 * (unit - units + 1);
		end++;
		if (*end && strcasecmp(end, "B") && strcasecmp(end, "iB"))
			return false;
	}
	if (whole > UINT64_MAX / scale || (part && scale == 1))
		return false;
	*bytes = whole * scale;
	if (__builtin_add_overflow(*bytes, (uint64_t)((double)part / digit * scale), bytes))
		return false;
	return true;
}

const char *size_text(uint64_t bytes, char buf[SIZE_TEXT])
{
	double value = bytes;
	int unit = -1;

	while (value >= 1023.5 && unit < 5) {
		value /= 1024;
		unit++;
	}
	if (unit < 0)
		snprintf(buf, SIZE_TEXT, "%u B", (unsigned int)bytes);
	else
		snprintf(buf, SIZE_TEXT, "%.*f %ciB", value < 9.995 ? 2 : value < 99.95 ? 1 : 0,
			 value, units[unit]);
	return buf;
}
