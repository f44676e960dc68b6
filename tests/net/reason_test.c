#include "net/reason.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
each_reason_has_its_own_name_and_a_sentence(void **state)
{
	(void)state;
	for (int r = 0; r < REASON_COUNT; r++) {
		const char *name = reason_name((enum reason)r);

		assert_true(strlen(name) > 0 && strlen(name) < 24);
		for (const char *at = name; *at != '\0'; at++)
			assert_true(islower(*at) || isdigit(*at) || *at == '-');
		assert_true(strlen(reason_sentence((enum reason)r)) > 0);
		assert_non_null(reason_clause((enum reason)r));
		/* Finds itself: no two share a name. */
		assert_int_equal(reason_of_name(name), r);
	}
}

static void
unknown_reasons_have_a_name_too(void **state)
{
	(void)state;
	assert_string_equal(reason_name(REASON_COUNT), "?");
	assert_string_equal(reason_sentence((enum reason)4711), "?");
	assert_string_equal(reason_clause((enum reason) - 1), "");
	assert_int_equal(reason_of_name("no-such-reason"), REASON_COUNT);
	assert_int_equal(reason_of_name(""), REASON_COUNT);
}

static void
drops_are_told_from_what_goes_on(void **state)
{
	(void)state;
	assert_false(reason_is_drop(REASON_NONE));
	assert_false(reason_is_drop(REASON_FORWARDED));
	assert_false(reason_is_drop(REASON_ARP_QUEUED));
	assert_true(reason_is_drop(DROP_NO_CABLE));
	assert_true(reason_is_drop(DROP_TTL));
	assert_true(reason_is_drop(DROP_NAT_STATE));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_reason_has_its_own_name_and_a_sentence),
		cmocka_unit_test(unknown_reasons_have_a_name_too),
		cmocka_unit_test(drops_are_told_from_what_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
