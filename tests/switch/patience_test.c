/* How long an empty ring is looked at. */
#include "switch/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define NOW_NS NS_PER_S

/* What is left of a patience when a kick comes idle_ns after the last frame. */
static struct patience
kicked(uint64_t had_ns, uint64_t idle_ns)
{
	struct patience p = { .ns = had_ns, .last_ns = NOW_NS - idle_ns };

	patience_kicked(&p, NOW_NS);
	assert_int_equal(p.last_ns, NOW_NS);
	return p;
}

static void
a_guest_heard_of_now_and_then_gets_none(void **state)
{
	(void)state;
	assert_int_equal(kicked(0, NOW_NS).ns, 0);
	assert_int_equal(kicked(0, PATIENCE_MAX_NS).ns, 0);
	assert_false(patience_lasts(&(struct patience){ .ns = 0 }, 0));
}

static void
quick_kicks_raise_it_to_the_most_and_no_further(void **state)
{
	struct patience p = { .ns = 0 };

	(void)state;
	for (unsigned int i = 0; i < 10; i++) {
		uint64_t was_ns = p.ns;

		p = kicked(was_ns, PATIENCE_MAX_NS - 1);
		assert_true(p.ns > was_ns || was_ns == PATIENCE_MAX_NS);
	}
	assert_int_equal(p.ns, PATIENCE_MAX_NS);
	assert_true(patience_lasts(&p, NOW_NS + PATIENCE_MAX_NS - 1));
	assert_false(patience_lasts(&p, NOW_NS + PATIENCE_MAX_NS));
}

static void
late_kicks_take_it_away(void **state)
{
	uint64_t patience_ns = PATIENCE_MAX_NS;
	unsigned int kicks = 0;

	(void)state;
	for (; patience_ns > 0; kicks++) {
		uint64_t ns = kicked(patience_ns, NS_PER_MS).ns;

		assert_true(ns < patience_ns);
		patience_ns = ns;
	}
	assert_in_range(kicks, 2, 4);
}

static void
a_look_that_found_frames_is_worth_twice_as_long(void **state)
{
	static const struct {
		uint64_t had_us, idle_us, then_us;
	} rows[] = {
		{ 30, 10, 30 }, /* it was enough */
		{ 30, 15, 30 }, { 30, 29, 58 },
		{ 100, 99, 100 }, /* there is a most */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct patience p = { .ns = rows[i].had_us * NS_PER_US,
			.last_ns = NOW_NS - rows[i].idle_us * NS_PER_US };

		patience_rewarded(&p, NOW_NS);
		assert_int_equal(p.ns, rows[i].then_us * NS_PER_US);
		assert_int_equal(p.last_ns, NOW_NS);
	}
}

/* Whoever waits for the processor that looks, answers when that sleeps. */
static void
who_was_kept_from_answering_is_not_waited_for_again(void **state)
{
	struct patience p =
	    kicked(PATIENCE_MAX_NS, PATIENCE_MAX_NS + PATIENCE_WAKE_NS / 2);
	uint64_t now_ns = NOW_NS;

	(void)state;
	assert_int_equal(p.ns, 0);
	now_ns += 40 * NS_PER_US;
	patience_kicked(&p, now_ns); /* quick, but banned */
	assert_int_equal(p.ns, 0);
	now_ns += PATIENCE_STREAM_NS - 1; /* streams are not */
	patience_kicked(&p, now_ns);
	assert_int_equal(p.ns, PATIENCE_STREAM_NS);
	now_ns = NOW_NS + PATIENCE_BAN_NS;
	p.last_ns = now_ns - 40 * NS_PER_US;
	patience_kicked(&p, now_ns); /* another try */
	assert_int_equal(p.ns, 2 * PATIENCE_STREAM_NS);
}

static void
late_is_not_kept_from_answering(void **state)
{
	struct patience p =
	    kicked(PATIENCE_MAX_NS, PATIENCE_MAX_NS + PATIENCE_WAKE_NS);

	(void)state;
	assert_int_equal(p.banned_ns, 0);
	assert_int_equal(p.ns, PATIENCE_MAX_NS / 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_heard_of_now_and_then_gets_none),
		cmocka_unit_test(
		    quick_kicks_raise_it_to_the_most_and_no_further),
		cmocka_unit_test(late_kicks_take_it_away),
		cmocka_unit_test(
		    a_look_that_found_frames_is_worth_twice_as_long),
		cmocka_unit_test(
		    who_was_kept_from_answering_is_not_waited_for_again),
		cmocka_unit_test(late_is_not_kept_from_answering),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
