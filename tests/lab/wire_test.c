#include "lab/wire.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "lab/schema.h"

/* What KEY=VALUE pairs say. */
static struct lab_wire
wire_of(const char *const *pairs)
{
	struct lab_wire wire = { .given = 0 };
	struct err err = { "" };

	for (; pairs[0] != NULL; pairs += 2)
		assert_int_equal(
		    keyset_read(&wire_keys, &wire, pairs[0], pairs[1], &err),
		    0);
	return wire;
}

static void
every_key_is_read_and_said_again(void **state)
{
	static const char *const pairs[] = { "delay", "20ms", "jitter", "5ms",
		"distribution", "pareto", "correlation", "25%", "overtake",
		"true", "loss", "0.1%", "loss-burst", "1%/10%/50%/0.5%", "lose",
		"5,9", "duplicate", "1%", "corrupt", "2%", "reorder", "3%",
		"reorder-by", "4ms", "rate", "10Mbit/s", "overhead", "24B",
		"queue", "codel", "queue-frames", "50", "queue-bytes", "64K",
		"target", "7ms", "interval", "90ms", "ecn", "true", "mark",
		"3ms", "memory", "16M", NULL };
	struct lab_wire wire = wire_of(pairs);
	char want[600] = "", text[600];
	unsigned int keys = 0;

	(void)state;
	for (unsigned int i = 0; pairs[i] != NULL; i += 2) {
		strcat(want, i == 0 ? "" : ", ");
		strcat(want, pairs[i]);
		strcat(want, " ");
		strcat(want, pairs[i + 1]);
	}
	assert_string_equal(wire_text(text, sizeof(text), &wire.set), want);
	while (wire_keys.rows[keys].path != NULL)
		keys++;
	/* all but jitter-table, which excludes distribution */
	assert_int_equal(__builtin_popcountll(wire.given), keys - 1);
	assert_true(keys <= 64);
}

static void
what_is_given_goes_before(void **state)
{
	static const char *const both[] = { "delay", "20ms", "loss", "1%",
		"rate", "1Mbit/s", NULL };
	static const char *const out[] = { "delay", "5ms", "loss", "none",
		NULL };
	struct lab_wire b = wire_of(both), o = wire_of(out), way = { 0 };

	(void)state;
	wire_merge(&way, &b);
	wire_merge(&way, &o);
	assert_int_equal(way.set.delay_ns, 5000000);
	assert_int_equal(way.set.loss_ppb, 0);
	assert_int_equal(way.set.rate_bps, 1000000);
	assert_true(keyset_is_given(&wire_keys, &way, "loss"));
	assert_false(keyset_is_given(&wire_keys, &way, "mark"));
}

static void
a_table_and_a_distribution_exclude_each_other(void **state)
{
	static const char *const by_table[] = { "jitter-table", "x.dist",
		NULL };
	static const char *const by_name[] = { "distribution", "normal", NULL };
	static const char *const by_none[] = { "jitter-table", "none", NULL };
	struct lab_wire t = wire_of(by_table), n = wire_of(by_name),
			none = wire_of(by_none), way = { 0 };
	char text[100];

	(void)state;
	wire_merge(&way, &t);
	assert_int_equal(way.set.spread, CABLE_TABLE);
	assert_string_equal(way.table, "x.dist");
	assert_string_equal(
	    wire_text(text, sizeof(text), &way.set), "jitter-table given");
	wire_merge(&way, &n);
	assert_int_equal(way.set.spread, CABLE_NORMAL);
	assert_null(way.table);
	wire_merge(&way, &t);
	wire_merge(&way, &none);
	assert_int_equal(way.set.spread, CABLE_UNIFORM);
	assert_null(way.table);
}

static void
bursts_of_loss_have_two_to_four_shares(void **state)
{
	static const struct {
		const char *text;
		bool good;
		uint64_t bad_ppb, good_ppb;
	} rows[] = {
		{ "1%/10%", true, CABLE_ALWAYS, 0 },
		{ "1%/10%/50%", true, 500000000, 0 },
		{ "1%/10%/50%/1%", true, 500000000, 10000000 },
		{ "1%", false, 0, 0 },
		{ "", false, 0, 0 },
		{ "/", false, 0, 0 },
		{ "1%/", false, 0, 0 },
		{ "0%/10%", false, 0, 0 },
		{ "1%/10%/5%/5%/5%", false, 0, 0 },
		{ "1%/10%/5%/5%/", false, 0, 0 },
		{ "1%/10", false, 0, 0 },
		{ "1%/00000000000000000000000000000000%", false, 0, 0 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lab_wire wire = { .given = 0 };
		struct err err = { "" };

		assert_int_equal(keyset_read(&wire_keys, &wire, "loss-burst",
				     rows[i].text, &err),
		    rows[i].good ? 0 : -EINVAL);
		assert_int_equal(wire.set.spells.bad_ppb, rows[i].bad_ppb);
		assert_int_equal(wire.set.spells.good_ppb, rows[i].good_ppb);
		assert_int_equal(wire.given != 0, rows[i].good);
	}
}

static void
frames_are_named_by_their_numbers(void **state)
{
	static const struct {
		const char *text;
		uint64_t n; /* 0: refused */
	} rows[] = {
		{ "5", 1 },
		{ "5,9", 2 },
		{ " 5 , 9 ", 2 },
		{ "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16", 16 },
		{ "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17", 0 },
		{ "0", 0 },
		{ "5,", 0 },
		{ ",5", 0 },
		{ "5;9", 0 },
		{ "-5", 0 },
	};

	(void)state;
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lab_wire wire = { .given = 0 };
		struct err err = { "" };

		assert_int_equal(
		    keyset_read(&wire_keys, &wire, "lose", rows[i].text, &err),
		    rows[i].n != 0 ? 0 : -EINVAL);
		if (rows[i].n != 0)
			assert_int_equal(wire.set.lose.n, rows[i].n);
	}
}

static void
a_key_that_is_none_is_told_the_nearest(void **state)
{
	struct lab_wire wire = { .given = 0 };
	struct err err = { "" };

	(void)state;
	assert_int_equal(
	    keyset_read(&wire_keys, &wire, "dealy", "1ms", &err), -EINVAL);
	assert_non_null(strstr(err.text, "did you mean \"delay\"?"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_is_read_and_said_again),
		cmocka_unit_test(what_is_given_goes_before),
		cmocka_unit_test(a_table_and_a_distribution_exclude_each_other),
		cmocka_unit_test(bursts_of_loss_have_two_to_four_shares),
		cmocka_unit_test(frames_are_named_by_their_numbers),
		cmocka_unit_test(a_key_that_is_none_is_told_the_nearest),
	};

	return cmocka_run_group_tests_name("wire", tests, NULL, NULL);
}
