#include "switch/locator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char *const keys[] = { "vni", "port", "remote", NULL };

static void
places_and_options_are_taken_apart(void **state)
{
	struct locator l;
	struct err err = { "" };
	uint64_t n;

	(void)state;
	assert_int_equal(
	    locator_read(&l, "out", "192.0.2.1?vni=7&remote=a&remote=b&port",
		keys, &err),
	    0);
	assert_string_equal(l.place, "192.0.2.1");
	assert_string_equal(locator_get(&l, "remote", 0), "a");
	assert_string_equal(locator_get(&l, "remote", 1), "b");
	assert_null(locator_get(&l, "remote", 2));
	assert_string_equal(locator_get(&l, "port", 0), "");
	assert_true(locator_number(&l, "vni", 0, 10, 3, &n, &err));
	assert_int_equal(n, 7);
	assert_int_equal(locator_read(&l, "out", "/a/b", keys, &err), 0);
	assert_string_equal(l.place, "/a/b");
	assert_true(locator_number(&l, "vni", 0, 10, 3, &n, &err));
	assert_int_equal(n, 3);
}

static void
what_is_wrong_is_told(void **state)
{
	static const struct {
		const char *rest, *says;
	} cases[] = {
		{ "x?mtu=3",
		    "out: option \"mtu\" is not known; there are: vni, port, "
		    "remote" },
		{ "x?", "out: option \"\" is not known" },
		{ "x?vni=7&", "out: option \"\" is not known" },
		{ "x?vni=", "out: vni=: use a number from 1 to 10" },
		{ "x?vni=-1", "out: vni=-1: use a number from 1 to 10" },
		{ "x?vni=11", "out: vni=11: use a number from 1 to 10" },
		{ "x?vni=7x", "out: vni=7x: use a number from 1 to 10" },
		{ "x?vni=99999999999999999999", "use a number from 1 to 10" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct locator l;
		struct err err = { "" };
		uint64_t n;

		if (locator_read(&l, "out", cases[i].rest, keys, &err) == 0)
			assert_false(
			    locator_number(&l, "vni", 1, 10, 3, &n, &err));
		if (strstr(err.text, cases[i].says) == NULL)
			fail_msg("\"%s\" for %s", err.text, cases[i].rest);
	}
}

static void
no_locator_is_too_long_or_has_too_many_options(void **state)
{
	struct locator l;
	struct err err = { "" };
	char text[LOCATOR_BYTES + 1] = "x?";

	(void)state;
	for (int i = 0; i < LOCATOR_OPTIONS_MAX + 1; i++)
		strcat(text, i > 0 ? "&vni=1" : "vni=1");
	assert_true(locator_read(&l, "out", text, keys, &err) < 0);
	assert_non_null(strstr(err.text, "more than 32 options"));
	memset(text, 'x', LOCATOR_BYTES);
	text[LOCATOR_BYTES] = '\0';
	err_clear(&err);
	assert_true(locator_read(&l, "out", text, keys, &err) < 0);
	text[LOCATOR_BYTES - 1] = '\0';
	assert_int_equal(locator_read(&l, "out", text, keys, &err), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(places_and_options_are_taken_apart),
		cmocka_unit_test(what_is_wrong_is_told),
		cmocka_unit_test(
		    no_locator_is_too_long_or_has_too_many_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
