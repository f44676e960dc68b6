#include "lab/nat_examine.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lab/nat_words.h"

static void
add_rule(void *arg, const char *key, const char *value)
{
	json_object_set_new(arg, key, json_string(value));
}

static json_t *
rules_of(const struct nat_rules *rules)
{
	json_t *json = json_object();

	nat_words(rules, add_rule, json);
	return json;
}

static void
rules_are_told_in_the_words_of_a_lab_file(void **state)
{
	json_t *rules = rules_of(nat_preset(NAT_PRESET_LINUX));
	static const char *const pairs[][2] = {
		{ "mapping", "address-and-port-dependent" },
		{ "filtering", "address-and-port-dependent" },
		{ "ports", "overloading" },
		{ "parity", "false" },
		{ "hairpin", "false" },
		{ "hairpin-source", "external" },
		{ "refresh", "both" },
		{ "udp-idle", "120s" },
		{ "udp-one-way", "30s" },
		{ "icmp-idle", "30s" },
		{ "tcp-idle", "432000s" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_string_equal(
		    json_string_value(json_object_get(rules, pairs[i][0])),
		    pairs[i][1]);
	assert_null(json_object_get(rules, "block"));
	assert_null(json_object_get(rules, "host-limit"));
	json_decref(rules);
	rules = rules_of(nat_preset(NAT_PRESET_CGN));
	assert_string_equal(
	    json_string_value(json_object_get(rules, "block")), "512");
	assert_string_equal(
	    json_string_value(json_object_get(rules, "host-limit")), "1024");
	json_decref(rules);
}

enum agreed { NO, YES, OPEN };

static void
check(const struct nat_rules *rules, bool neighbour, const char *text,
    enum agreed agreed)
{
	json_t *json = rules_of(rules), *rows;
	const json_t *cell;
	struct table table;
	const char *bad;
	int differing;

	assert_int_equal(table_init(&table, &nat_examine_head), 0);
	differing = nat_examine(&table, json, neighbour, text, &bad);
	rows = table_json(&table);
	cell = json_object_get(json_array_get(rows, 0), "agrees");
	if (differing != (agreed == NO) ||
	    !(agreed == OPEN        ? json_is_null(cell)
		    : agreed == YES ? json_is_true(cell)
				    : json_is_false(cell)))
		fail_msg("%s: %d", text, differing);
	json_decref(rows);
	json_decref(json);
	table_free(&table);
}

static void
what_is_found_is_judged(void **state)
{
	static const struct nat_rules both_dependent = {
		.mapping = NAT_ADDRESS_DEPENDENT,
		.filtering = NAT_ADDRESS_DEPENDENT,
		.hairpin = true,
		.idle_s = { [NAT_TIMER_UDP] = 2 },
	};
	static const struct nat_rules soft = { .pooling = NAT_POOLING_SOFT };
	static const struct nat_rules any_of_one = {
		.pooling = NAT_POOLING_ARBITRARY
	};
	const struct nat_rules *linux_like = nat_preset(NAT_PRESET_LINUX);
	const struct nat_rules *cgn = nat_preset(NAT_PRESET_CGN);
	const struct nat_rules *plain = nat_preset(NAT_PRESET_NONE);
	const struct {
		const struct nat_rules *rules;
		bool neighbour;
		const char *text;
		enum agreed agreed;
	} rows[] = {
		{ plain, true, "mapping endpoint-independent x", YES },
		{ plain, true, "mapping address-dependent x", NO },
		{ plain, true, "mapping unknown no answer", OPEN },
		{ plain, true, "translation none seen", NO },
		{ plain, true, "icmp-errors lost", NO },
		{ plain, true, "surprise surprise", NO },
		{ plain, true, "hairpin false", NO },
		{ linux_like, true, "hairpin false", YES },
		{ &both_dependent, true, "hairpin false", OPEN },
		{ &both_dependent, true, "hairpin true", YES },
		{ linux_like, true, "ports preserving", NO },
		{ linux_like, false, "ports preserving", OPEN },
		{ linux_like, false, "ports random", NO },
		{ linux_like, false, "mapping endpoint-independent", OPEN },
		{ linux_like, true, "mapping endpoint-independent", NO },
		{ cgn, true, "block >511", YES },
		{ cgn, true, "block >512", NO },
		{ plain, true, "block >100", NO },
		{ cgn, true, "host-limit reached", YES },
		{ plain, true, "host-limit reached", NO },
		{ &both_dependent, true, "udp-idle 1.90s-2.10s", YES },
		{ &both_dependent, true, "udp-idle 2.00s-2.10s", YES },
		{ &both_dependent, true, "udp-idle 2.50s-2.60s", NO },
		{ &both_dependent, true, "udp-idle 0.10s-0.20s", NO },
		{ &both_dependent, true, "udp-idle >10.00s", NO },
		{ &both_dependent, true, "udp-idle 2", NO },
		{ &both_dependent, true, "udp-idle x", NO },
		{ plain, true, "udp-idle >10.00s", YES },
		{ plain, true, "pooling paired", YES },
		{ plain, true, "pooling arbitrary", NO },
		{ &soft, true, "pooling paired", YES },
		{ &any_of_one, true, "pooling paired", OPEN },
		{ &any_of_one, true, "pooling arbitrary", YES },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		check(rows[i].rules, rows[i].neighbour, rows[i].text,
		    rows[i].agreed);
}

static void
what_is_no_finding_is_pointed_at(void **state)
{
	json_t *json = rules_of(nat_preset(NAT_PRESET_NONE));
	static const char *const bads[] = { "mapping\n", "\n", "one\x01 two",
		"an-endless-name-that-goes-on-and-on value", "a \xff" };

	(void)state;
	for (size_t i = 0; i < sizeof(bads) / sizeof(bads[0]); i++) {
		char text[200] = "mapping unknown\n";
		struct table table;
		const char *bad = NULL;

		strcat(text, bads[i]);
		assert_int_equal(table_init(&table, &nat_examine_head), 0);
		assert_int_equal(
		    nat_examine(&table, json, true, text, &bad), -EPROTO);
		assert_ptr_equal(bad, text + strlen("mapping unknown\n"));
		table_free(&table);
	}
	json_decref(json);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_told_in_the_words_of_a_lab_file),
		cmocka_unit_test(what_is_found_is_judged),
		cmocka_unit_test(what_is_no_finding_is_pointed_at),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
