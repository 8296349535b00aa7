/* SPDX-License-Identifier: GPL-2.0 */
/*
 * JSON of any subcommand. Errors are sticky: *@rc is 0 or -ENOMEM; after a failure
 * every call does nothing, and json_print() tells in the end.
 *
 *	struct json_object *root = json_object_new_object(), *array;
 *	int rc = root ? 0 : -ENOMEM;
 *
 *	json_add_string(root, "bdf", pci->bdf, &rc);
 *	array = json_add_array(root, "holders", &rc);
 *	json_add_number(json_add_element(array, &rc), "pid", 1, &rc);
 *	return json_print(root, rc);
 */
#ifndef VFIO_CDEV_JSON_H
#define VFIO_CDEV_JSON_H

#include <stdbool.h>
#include <stdint.h>

#include <json-c/json.h>

/* Takes @value over, which may be NULL for null. */
void json_add(struct json_object *object, const char *key, struct json_object *value, int *rc);
/* An empty string is null. */
void json_add_string(struct json_object *object, const char *key, const char *value, int *rc);
void json_add_format(struct json_object *object, const char *key, int *rc, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
void json_add_number(struct json_object *object, const char *key, int64_t value, int *rc);
void json_add_bool(struct json_object *object, const char *key, bool value, int *rc);
/* A new array under @key; a new object at the end of @array. NULL after a failure. */
struct json_object *json_add_array(struct json_object *object, const char *key, int *rc);
struct json_object *json_add_element(struct json_object *array, int *rc);
/* Print @root and free it. Returns @rc, or -ENOMEM. */
int json_print(struct json_object *root, int rc);

#endif
