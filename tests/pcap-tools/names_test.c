#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "pcap-tools/names.h"

static int
set_up(void **state)
{
	*state = names_new();
	return *state != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	names_free(*state);
	return 0;
}

static void
name_keeps_its_number(void **state)
{
	struct names *names = *state;
	char gw[] = "gw", lan[] = "lan", gw_again[] = "gw";
	uint16_t a = names_number(names, gw, gw);
	uint16_t b = names_number(names, lan, lan);

	assert_int_not_equal(a, 0);
	assert_int_not_equal(b, 0);
	assert_int_not_equal(a, b);
	assert_int_equal(names_number(names, gw, gw), a);
	assert_int_equal(names_number(names, gw_again, gw_again), a);
	assert_string_equal(names_text(names, a), "gw");
	assert_string_equal(names_text(names, b), "lan");
}

static void
no_name_is_zero(void **state)
{
	struct names *names = *state;

	assert_int_equal(names_number(names, names, NULL), 0);
	assert_null(names_text(names, 0));
}

static void
bearer_with_another_name_is_another(void **state)
{
	struct names *names = *state;
	char name[NODE_NAME_BYTES] = "gw";
	uint16_t a = names_number(names, name, name);
	uint16_t b;

	strcpy(name, "bob");
	b = names_number(names, name, name);
	assert_int_not_equal(a, b);
	assert_string_equal(names_text(names, a), "gw");
	assert_string_equal(names_text(names, b), "bob");
}

static void
full_table_calls_new_names_unknown(void **state)
{
	struct names *names = *state;
	char name[NODE_NAME_BYTES];
	unsigned int known = 0;

	for (unsigned int round = 0; round < 2; round++) {
		known = 0;
		for (unsigned int i = 0; i < NAMES_MAX + 1000; i++) {
			const char *text;

			snprintf(name, sizeof(name), "node%u", i);
			text =
			    names_text(names, names_number(names, name, name));
			if (strcmp(text, name) == 0)
				known++;
			else
				assert_string_equal(text, "?");
		}
	}
	assert_int_equal(known, NAMES_MAX - 2);
}

static void
longest_name_is_whole(void **state)
{
	struct names *names = *state;
	char name[NODE_NAME_BYTES];

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_string_equal(
	    names_text(names, names_number(names, name, name)), name);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(name_keeps_its_number),
		TEST(no_name_is_zero),
		TEST(bearer_with_another_name_is_another),
		TEST(full_table_calls_new_names_unknown),
		TEST(longest_name_is_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
