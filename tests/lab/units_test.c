#include "lab/units.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
durations_have_a_unit(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t ns;
	} cases[] = {
		{ "20ms", true, 20000000 },
		{ "0s", true, 0 },
		{ "1.5s", true, 1500000000 },
		{ "0.000000001s", true, 1 },
		{ "300us", true, 300000 },
		{ "7ns", true, 7 },
		{ "2m", true, UINT64_C(120000000000) },
		{ "1h", true, UINT64_C(3600000000000) },
		{ "1d", true, UINT64_C(86400000000000) },
		{ "", false, 0 },
		{ "5", false, 0 },
		{ "s", false, 0 },
		{ "05s", false, 0 },
		{ "-5s", false, 0 },
		{ "+5s", false, 0 },
		{ " 5s", false, 0 },
		{ "5 s", false, 0 },
		{ "5sec", false, 0 },
		{ "5S", false, 0 },
		{ "1.s", false, 0 },
		{ ".5s", false, 0 },
		{ "1e3s", false, 0 },
		{ "0x5s", false, 0 },
		{ "0.5ns", false, 0 },
		{ "1.0000000001s", false, 0 },
		{ "999999999999999999d", false, 0 },
		{ "9999999999999999999s", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct err err = { "" };
		uint64_t ns = 42;
		bool good = duration_read(&ns, cases[i].text, &err);

		if (good != cases[i].good)
			print_error("%s\n", cases[i].text);
		assert_true(good == cases[i].good);
		assert_true(ns == (good ? cases[i].ns : 42));
		assert_true((err.text[0] == '\0') == good);
	}
}

static void
sizes_count_in_1024(void **state)
{
	uint64_t n = 0;

	(void)state;
	assert_true(size_read(&n, "256M", NULL));
	assert_true(n == UINT64_C(256) << 20);
	assert_true(size_read(&n, "1.5K", NULL));
	assert_true(n == 1536);
	assert_true(size_read(&n, "98B", NULL));
	assert_true(n == 98);
	assert_false(size_read(&n, "256", NULL));
	assert_false(size_read(&n, "256MB", NULL));
	assert_false(size_read(&n, "0.3B", NULL));
	assert_false(size_read(&n, "99999999999G", NULL));
}

static void
counts_are_plain_digits(void **state)
{
	uint64_t n = 0;

	(void)state;
	assert_true(count_read(&n, "0", NULL));
	assert_true(count_read(&n, "999999999999999999", NULL));
	assert_false(count_read(&n, "1000000000000000000", NULL));
	assert_false(count_read(&n, "010", NULL));
	assert_false(count_read(&n, "1_000", NULL));
	assert_false(count_read(&n, "", NULL));
}

static void
comparisons_hold_end_and_are_lost(void **state)
{
	static const struct {
		const char *text;
		uint64_t count;
		bool holds, final, lost;
	} cases[] = {
		{ ">=3", 2, false, true, false },
		{ ">=3", 3, true, true, false },
		{ "> 3", 4, true, true, false },
		{ "0", 0, true, false, false },
		{ "0", 1, false, false, true },
		{ "==2", 1, false, false, false },
		{ "==2", 3, false, false, true },
		{ "<2", 1, true, false, false },
		{ "<2", 2, false, false, true },
		{ "<=2", 2, true, false, false },
		{ "<=2", 3, false, false, true },
	};
	struct compare c;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_true(compare_read(&c, cases[i].text, NULL));
		assert_true(compare_holds(c, cases[i].count) == cases[i].holds);
		assert_true(compare_is_final(c) == cases[i].final);
		assert_true(
		    compare_is_lost(c, cases[i].count) == cases[i].lost);
	}
	assert_false(compare_read(&c, "=>3", NULL));
	assert_false(compare_read(&c, "!=3", NULL));
	assert_false(compare_read(&c, ">=", NULL));
	assert_false(compare_read(&c, "3 ", NULL));
}

static void
text_of_a_quantity_reads_back(void **state)
{
	static const uint64_t values[] = { 0, 1, 999, 1000, 60000000000,
		90000000000, 86400000000000, 1234567 };
	char text[UNITS_TEXT_BYTES];
	uint64_t back;

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		assert_true(
		    duration_read(&back, duration_text(text, values[i]), NULL));
		assert_true(back == values[i]);
		assert_true(size_read(&back, size_text(text, values[i]), NULL));
		assert_true(back == values[i]);
	}
	assert_string_equal(duration_text(text, 60000000000), "1m");
	assert_string_equal(size_text(text, 16 << 20), "16M");
	assert_string_equal(duration_about(text, 1234567), "1.23 ms");
	assert_string_equal(duration_about(text, 71000000000), "71.0 s");
	assert_string_equal(duration_about(text, 12), "12 ns");
}

static void
shares_are_in_percent(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t ppb;
		const char *back;
	} cases[] = {
		{ "0%", true, 0, "0%" },
		{ "1%", true, 10000000, "1%" },
		{ "0.5%", true, 5000000, "0.5%" },
		{ "0.0000001%", true, 1, "0.0000001%" },
		{ "100%", true, 1000000000, "100%" },
		{ "100.1%", false, 0, NULL },
		{ "0.00000001%", false, 0, NULL },
		{ "1", false, 0, NULL },
		{ "0.5", false, 0, NULL },
		{ "-1%", false, 0, NULL },
		{ "1 %", false, 0, NULL },
		{ "1percent", false, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[UNITS_TEXT_BYTES];
		uint64_t ppb = 7;

		assert_int_equal(
		    percent_read(&ppb, cases[i].text, NULL), cases[i].good);
		assert_int_equal(ppb, cases[i].good ? cases[i].ppb : 7);
		if (cases[i].good)
			assert_string_equal(
			    percent_text(text, ppb), cases[i].back);
	}
}

static void
rates_have_a_unit(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t bps;
		const char *back;
	} cases[] = {
		{ "10Mbit/s", true, 10000000, "10Mbit/s" },
		{ "1.5Gbit/s", true, 1500000000, "1500Mbit/s" },
		{ "64kbit/s", true, 64000, "64kbit/s" },
		{ "300bit/s", true, 300, "300bit/s" },
		{ "10", false, 0, NULL },
		{ "10Mbit", false, 0, NULL },
		{ "10Mbps", false, 0, NULL },
		{ "10MB/s", false, 0, NULL },
		{ "10mbit/s", false, 0, NULL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[UNITS_TEXT_BYTES];
		uint64_t bps = 7;

		assert_int_equal(
		    rate_read(&bps, cases[i].text, NULL), cases[i].good);
		assert_int_equal(bps, cases[i].good ? cases[i].bps : 7);
		if (cases[i].good)
			assert_string_equal(
			    rate_text(text, bps), cases[i].back);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_have_a_unit),
		cmocka_unit_test(shares_are_in_percent),
		cmocka_unit_test(rates_have_a_unit),
		cmocka_unit_test(sizes_count_in_1024),
		cmocka_unit_test(counts_are_plain_digits),
		cmocka_unit_test(comparisons_hold_end_and_are_lost),
		cmocka_unit_test(text_of_a_quantity_reads_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
