/* How long an empty ring is looked at. */
#include "switch/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void
a_guest_heard_of_now_and_then_gets_none(void **state)
{
	(void)state;
	assert_int_equal(patience_after_kick(0, NS_PER_S), 0);
	assert_int_equal(patience_after_kick(0, PATIENCE_MAX_NS), 0);
}

static void
quick_kicks_raise_it_to_the_most_and_no_further(void **state)
{
	uint64_t patience_ns = 0, was;

	(void)state;
	for (unsigned int i = 0; i < 10; i++) {
		was = patience_ns;
		patience_ns = patience_after_kick(was, PATIENCE_MAX_NS - 1);
		assert_true(patience_ns > was || was == PATIENCE_MAX_NS);
	}
	assert_int_equal(patience_ns, PATIENCE_MAX_NS);
}

static void
late_kicks_take_it_away(void **state)
{
	uint64_t patience_ns = PATIENCE_MAX_NS;
	unsigned int kicks = 0;

	(void)state;
	for (; patience_ns > 0; kicks++) {
		uint64_t now = patience_after_kick(patience_ns, NS_PER_MS);

		assert_true(now < patience_ns);
		patience_ns = now;
	}
	assert_in_range(kicks, 2, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_heard_of_now_and_then_gets_none),
		cmocka_unit_test(
		    quick_kicks_raise_it_to_the_most_and_no_further),
		cmocka_unit_test(late_kicks_take_it_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
