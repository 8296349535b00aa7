// SPDX-License-Identifier: GPL-2.0
/* Building and printing JSON, as json.h says. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "json.h"

void json_add(struct json_object *object, const char *key, struct json_object *value,
		int *rc)
{
	if (*rc || !object || json_object_object_add(object, key, value)) {
		json_object_put(value);
		*rc = -ENOMEM;
	}
}

void json_add_string(struct json_object *object, const char *key, const char *value, int *rc)
{
	struct json_object *string;

	if (!value[0]) {
		json_add(object, key, NULL, rc);
		return;
	}
	string = json_object_new_string(value);
	if (!string)
		*rc = -ENOMEM;
	json_add(object, key, string, rc);
}

void json_add_format(struct json_object *object, const char *key, int *rc,
		       const char *fmt, ...)
{
	char text[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	json_add_string(object, key, text, rc);
}

void json_add_number(struct json_object *object, const char *key, int64_t value, int *rc)
{
	struct json_object *number = json_object_new_int64(value);

	if (!number)
		*rc = -ENOMEM;
	json_add(object, key, number, rc);
}

void json_add_bool(struct json_object *object, const char *key, bool value, int *rc)
{
	struct json_object *boolean = json_object_new_boolean(value);

	if (!boolean)
		*rc = -ENOMEM;
	json_add(object, key, boolean, rc);
}

struct json_object *json_add_array(struct json_object *object, const char *key, int *rc)
{
	struct json_object *array = json_object_new_array();

	if (!array)
		*rc = -ENOMEM;
	json_add(object, key, array, rc);
	return *rc ? NULL : array;
}

/* A new object at the end of @array. */
struct json_object *json_add_element(struct json_object *array, int *rc)
{
	struct json_object *object;

	if (*rc || !array)
		return NULL;
	object = json_object_new_object();
	if (!object || json_object_array_add(array, object)) {
		json_object_put(object);
		*rc = -ENOMEM;
		return NULL;
	}
	return object;
}

int json_print(struct json_object *root, int rc)
{
	const char *text = NULL;

	if (!rc) {
		text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY |
						      JSON_C_TO_STRING_NOSLASHESCAPE);
		if (text)
			puts(text);
		else
			rc = -ENOMEM;
	}
	json_object_put(root);
	return rc;
}
