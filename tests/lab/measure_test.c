#include "lab/measure.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Reads KEY=VALUE words into options. */
static int
read_all(const char *const *words, struct meter_options *o, struct err *err)
{
	struct lab_measure m = { .given = 0 };
	static char values[8][64];
	int e = 0;

	for (int i = 0; words[i] != NULL && e == 0; i++) {
		const char *equals = strchr(words[i], '=');
		char key[32];

		memcpy(key, words[i], (size_t)(equals - words[i]));
		key[equals - words[i]] = '\0';
		strcpy(values[i], equals + 1);
		e = keyset_read(&measure_keys, &m, key, values[i], err);
	}
	return e < 0 ? e : measure_options(&m, o, err);
}

static void
sizes_are_with_fcs_outside_and_without_inside(void **state)
{
	static const struct {
		const char *text;
		struct meter_sizes want;
	} table[] = {
		{ "64", { METER_IN_TURN, 1, { 60 } } },
		{ "64,512,1518", { METER_IN_TURN, 3, { 60, 508, 1514 } } },
		{ "9220", { METER_IN_TURN, 1, { 9216 } } },
		{ "sweep:64-128", { METER_SWEEP, 0, { 60, 124 } } },
		{ "random:64-1518", { METER_RANDOM, 0, { 60, 1514 } } },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct meter_sizes s;
		struct err err = { "" };

		assert_int_equal(
		    measure_sizes_read(&s, table[i].text, &err), 0);
		assert_int_equal(s.order, table[i].want.order);
		assert_int_equal(s.n, table[i].want.n);
		for (unsigned int k = 0; k < 3; k++)
			if (table[i].want.bytes[k] != 0)
				assert_int_equal(
				    s.bytes[k], table[i].want.bytes[k]);
	}
}

static void
imix_is_seven_four_and_one(void **state)
{
	struct meter_sizes s;
	struct err err = { "" };
	unsigned int n[3] = { 0, 0, 0 };

	(void)state;
	assert_int_equal(measure_sizes_read(&s, "imix", &err), 0);
	assert_int_equal(s.n, 12);
	for (unsigned int i = 0; i < s.n; i++)
		n[s.bytes[i] == 60 ? 0 : s.bytes[i] == 590 ? 1 : 2]++;
	assert_int_equal(n[0], 7);
	assert_int_equal(n[1], 4);
	assert_int_equal(n[2], 1);
}

static void
presets_are_a_second_of_a_thousand_small_frames(void **state)
{
	const char *const none[] = { NULL };
	struct meter_options o;
	struct err err = { "" };

	(void)state;
	assert_int_equal(read_all(none, &o, &err), 0);
	assert_int_equal(o.fps, 1000);
	assert_int_equal(o.for_ns, NS_PER_S);
	assert_int_equal(o.count, 0);
	assert_int_equal(o.sizes.bytes[0], 60);
	assert_int_equal(o.wait_ns, 2 * NS_PER_S);
	assert_true(o.any_pattern);
}

static void
words_become_options(void **state)
{
	const char *const words[] = { "rate=10Mbit/s", "count=7",
		"pattern=udp6", "vlan=5", "burst=3", "wait=0s", "flows=9",
		NULL };
	struct meter_options o;
	struct err err = { "" };

	(void)state;
	assert_int_equal(read_all(words, &o, &err), 0);
	assert_int_equal(o.bps, 10000000);
	assert_int_equal(o.fps, 0);
	assert_int_equal(o.count, 7);
	assert_int_equal(o.for_ns, 0);
	assert_int_equal(o.wait_ns, 0);
	assert_false(o.any_pattern);
	assert_int_equal(o.pattern, TEST_UDP6);
	/* The shortest that has room. */
	assert_int_equal(o.sizes.bytes[0], 84);
}

static void
nonsense_is_refused_with_a_remedy(void **state)
{
	static const char *const words[] = { "rate=0", "rate=x", "rate=10Mbit",
		"rate=-5", "rate=1000000001", "frame=63", "frame=9221",
		"frame=64,", "frame=,64", "frame=", "frame=sweep:64",
		"frame=sweep:128-64", "frame=random:-64-80",
		"frame=64,64,64,64,64,64,64,64,64,64,64,64,64,64,64,64,64",
		"frame=99999999999999999999", "burst=0", "burst=10001",
		"count=0", "for=0s", "for=2h", "flows=16385", "vlan=4095",
		"pattern=tcp", "port=0", "speed=1" };

	(void)state;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		const char *const one[] = { words[i], NULL };
		struct meter_options o;
		struct err err = { "" };

		if (read_all(one, &o, &err) != -EINVAL)
			fail_msg("%s is taken", words[i]);
		assert_true(strlen(err.text) > 10);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_with_fcs_outside_and_without_inside),
		cmocka_unit_test(imix_is_seven_four_and_one),
		cmocka_unit_test(
		    presets_are_a_second_of_a_thousand_small_frames),
		cmocka_unit_test(words_become_options),
		cmocka_unit_test(nonsense_is_refused_with_a_remedy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
