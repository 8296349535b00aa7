// SPDX-License-Identifier: GPL-2.0
/*
 * json_get POINTER: print what a JSON pointer (RFC 6901) names in the JSON text on
 * stdin; "" is all of it. A string is printed without quotes, an array as its
 * length in brackets. Fails if stdin is not exactly one JSON value.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <json-c/json.h>

int main(int argc, char **argv)
{
	static char text[1 << 20];
	struct json_tokener *tokener = json_tokener_new();
	struct json_object *root, *value;
	size_t length, end;

	if (argc != 2 || !tokener)
		return 2;
	length = fread(text, 1, sizeof(text) - 1, stdin);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT);
	root = json_tokener_parse_ex(tokener, text, length + 1);
	end = json_tokener_get_parse_end(tokener);
	if (json_tokener_get_error(tokener) != json_tokener_success || !root) {
		fprintf(stderr, "not JSON: %s\n",
			json_tokener_error_desc(json_tokener_get_error(tokener)));
		return 1;
	}
	if (end + strspn(text + end, " \t\n") != length) {
		fprintf(stderr, "more than one JSON value\n");
		return 1;
	}
	if (json_pointer_get(root, argv[1], &value)) {
		fprintf(stderr, "no %s\n", argv[1]);
		json_object_put(root);
		json_tokener_free(tokener);
		return 1;
	}
	if (json_object_is_type(value, json_type_array))
		printf("[%zu]\n", json_object_array_length(value));
	else if (json_object_is_type(value, json_type_string))
		printf("%s\n", json_object_get_string(value));
	else
		printf("%s\n", json_object_to_json_string(value));
	json_object_put(root);
	json_tokener_free(tokener);
	return 0;
}
