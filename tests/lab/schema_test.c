#include "lab/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
every_row_has_a_parent_and_a_sentence(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < schema_nkeys; i++) {
		const struct schema_key *row = &schema_keys[i];
		char parent[128];
		char *dot;
		bool found = false;

		assert_true(strlen(row->path) < sizeof(parent));
		assert_non_null(row->help);
		strcpy(parent, row->path);
		dot = strrchr(parent, '.');
		if (dot == NULL)
			continue;
		*dot = '\0';
		if (strlen(parent) > 2 &&
		    (strcmp(dot - 2, ".*") == 0 || strcmp(dot - 2, "[]") == 0))
			dot[-2] = '\0';
		for (unsigned int k = 0; k < i; k++)
			found |= strcmp(schema_keys[k].path, parent) == 0;
		if (!found)
			print_error("%s has no row %s\n", row->path, parent);
		assert_true(found);
	}
}

static void
no_path_stands_twice(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < schema_nkeys; i++)
		for (unsigned int k = 0; k < i; k++)
			assert_string_not_equal(
			    schema_keys[i].path, schema_keys[k].path);
}

static void
the_json_schema_knows_what_the_file_may_say(void **state)
{
	json_t *s = schema_json(), *port, *mtu;

	(void)state;
	port = json_object_get(s, "properties");
	port = json_object_get(
	    json_object_get(port, "routers"), "additionalProperties");
	port = json_object_get(json_object_get(port, "properties"), "ports");
	port = json_object_get(port, "additionalProperties");
	assert_true(
	    json_is_false(json_object_get(port, "additionalProperties")));
	mtu = json_object_get(json_object_get(port, "properties"), "mtu");
	assert_int_equal(
	    json_integer_value(json_object_get(mtu, "minimum")), 68);
	assert_int_equal(
	    json_integer_value(json_object_get(mtu, "maximum")), 65521);
	/* the keys of cables, at the port and below in and out */
	assert_non_null(
	    json_object_get(json_object_get(port, "properties"), "delay"));
	assert_null(json_object_get(json_object_get(port, "properties"), "+"));
	port = json_object_get(json_object_get(port, "properties"), "out");
	assert_non_null(
	    json_object_get(json_object_get(port, "properties"), "loss-burst"));
	assert_string_equal(json_string_value(json_array_get(
				json_object_get(s, "required"), 0)),
	    "lab");
	json_decref(s);
}

static void
the_manual_has_every_key(void **state)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	schema_manual(out);
	fclose(out);
	assert_non_null(strstr(text, "routers.NAME.ports.NAME.dhcp "));
	assert_non_null(strstr(text, "expect.within "));
	assert_non_null(strstr(text, "; default 300s"));
	assert_non_null(strstr(text, "hosts.NAME.KEY "));
	assert_non_null(strstr(text, ".It Ic loss-burst "));
	assert_non_null(strstr(text, "bridges.NAME.nic "));
	free(text);
}

static void
names_are_short_and_lower_case(void **state)
{
	(void)state;
	assert_true(schema_is_name("a"));
	assert_true(schema_is_name("web-01"));
	assert_true(schema_is_name("abcdefghijklmnopqrst"));
	assert_false(schema_is_name("abcdefghijklmnopqrstu"));
	assert_false(schema_is_name(""));
	assert_false(schema_is_name("A"));
	assert_false(schema_is_name("a_b"));
	assert_false(schema_is_name("a.b"));
	assert_false(schema_is_name("-a"));
	assert_false(schema_is_name("a-"));
	assert_false(schema_is_name("../a"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_has_a_parent_and_a_sentence),
		cmocka_unit_test(no_path_stands_twice),
		cmocka_unit_test(the_json_schema_knows_what_the_file_may_say),
		cmocka_unit_test(the_manual_has_every_key),
		cmocka_unit_test(names_are_short_and_lower_case),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
