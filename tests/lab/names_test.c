#include "lab/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lab/nearest.h"

static void
ranges_of_names_are_strict(void **state)
{
	static const struct {
		const char *text;
		bool good;
		unsigned long count;
	} cases[] = {
		{ "vm", true, 1 },
		{ "vm[1-9]", true, 9 },
		{ "vm[001-100]", true, 100 },
		{ "vm[8-12]", true, 5 },
		{ "vm[0-0]", true, 1 },
		{ "[1-2]", true, 2 },
		{ "a[1-2]b", true, 2 },
		{ "vm[9-1]", false, 0 },
		{ "vm[01-9]", false, 0 },
		{ "vm[1-09]", false, 0 },
		{ "vm[01-100]", false, 0 },
		{ "vm[1]", false, 0 },
		{ "vm[-1]", false, 0 },
		{ "vm[1-]", false, 0 },
		{ "vm[1-2", false, 0 },
		{ "vm[ 1-2]", false, 0 },
		{ "vm[1-2][3-4]", false, 0 },
		{ "vm[1-9999999]", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct names names;
		bool good = names_read(&names, cases[i].text);

		if (good != cases[i].good)
			print_error("%s\n", cases[i].text);
		assert_true(good == cases[i].good);
		if (good)
			assert_int_equal(names_count(&names), cases[i].count);
	}
}

static void
names_of_a_range_keep_their_zeros(void **state)
{
	struct arena *arena = arena_new();
	struct names names;

	(void)state;
	assert_true(names_read(&names, "vm[008-100]x"));
	assert_string_equal(
	    names_get(arena, &names, "vm[008-100]x", 0), "vm008x");
	assert_string_equal(
	    names_get(arena, &names, "vm[008-100]x", 92), "vm100x");
	assert_true(names_are_good(&names));
	assert_true(names_read(&names, "vm[8-100]"));
	assert_string_equal(names_get(arena, &names, "vm[8-100]", 0), "vm8");
	assert_true(names_read(&names, "a-name-of-some-length[1-100]"));
	assert_false(names_are_good(&names));
	arena_free(arena);
}

static void
distance_counts_letters(void **state)
{
	(void)state;
	assert_int_equal(edit_distance("lan", "lan"), 0);
	assert_int_equal(edit_distance("lan", "lna"), 1);
	assert_int_equal(edit_distance("switch", "swich"), 1);
	assert_int_equal(edit_distance("", "abc"), 3);
	assert_int_equal(edit_distance("kitten", "sitting"), 3);
	assert_int_equal(edit_distance("ca", "abc"), 3);
}

static void
only_a_near_name_is_suggested(void **state)
{
	struct nearest near;

	(void)state;
	nearest_init(&near, "adress");
	nearest_try(&near, "gateway");
	assert_null(near.best);
	nearest_try(&near, "address");
	nearest_try(&near, "dress-up");
	assert_string_equal(near.best, "address");
	nearest_init(&near, "a");
	nearest_try(&near, "b");
	assert_null(near.best);
	nearest_init(&near,
	    "0123456789012345678901234567890123456789012345678901234567890123");
	nearest_try(&near,
	    "0123456789012345678901234567890123456789012345678901234567890123");
	assert_null(near.best);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_of_names_are_strict),
		cmocka_unit_test(names_of_a_range_keep_their_zeros),
		cmocka_unit_test(distance_counts_letters),
		cmocka_unit_test(only_a_near_name_is_suggested),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
