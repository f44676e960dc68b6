#include "lab/rules.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "lab/schema.h"

/* {KEY, VALUE, ..., NULL} */
static struct lab_rules
rules_of(const char *const *pairs)
{
	struct lab_rules rules = { .given = 0 };
	struct err err = { "" };

	for (; *pairs != NULL; pairs += 2) {
		keyset_read(&rules_keys, &rules, pairs[0], pairs[1], &err);
		assert_string_equal(err.text, "");
	}
	return rules;
}

#define RULES(...) rules_of((const char *const[]){ __VA_ARGS__, NULL })

static void
every_key_is_read_and_told_again(void **state)
{
	struct lab_rules rules = RULES("vlan", "10", "trunk", "1,20-30",
	    "native", "5", "tags", "802.1ad", "tunnel", "7", "isolated", "true",
	    "max-macs", "3", "over-max", "evict", "sticky", "true", "static",
	    "52:54:00:00:00:01, 52:54:00:00:00:02/10", "storm-broadcast", "1",
	    "storm-unknown", "2", "storm-multicast", "3", "max-packet", "9216");
	unsigned int keys = 0;
	char text[400];

	(void)state;
	while (rules_keys.rows[keys].path != NULL)
		keys++;
	assert_int_equal(__builtin_popcountll(rules.given), keys);
	assert_string_equal(
	    keyset_text(text, sizeof(text), &rules_keys, &rules),
	    "vlan 10, trunk 1,20-30, native 5, tags 802.1ad, tunnel 7, "
	    "isolated true, max-macs 3, over-max evict, sticky true, "
	    "static 52:54:00:00:00:01,52:54:00:00:00:02/10, "
	    "storm-broadcast 1, storm-unknown 2, storm-multicast 3, "
	    "max-packet 9216");
}

static void
values_that_cannot_be_are_refused_with_a_remedy(void **state)
{
	static const struct {
		const char *key, *text, *err;
	} rows[] = {
		{ "vlan", "4095", "vlan 4095 is too large; use 1 to 4094" },
		{ "trunk", "0",
		    "\"0\" is no VLAN; write 1 to 4094, as 10,20-30, or all" },
		{ "trunk", "9-3",
		    "\"9-3\" is no VLAN; write 1 to 4094, as 10,20-30, or "
		    "all" },
		{ "trunk", "1,,2",
		    "\"1,,2\" is no VLAN; write 1 to 4094, as 10,20-30, or "
		    "all" },
		{ "trunk", "1-2-3",
		    "\"1-2-3\" is no VLAN; write 1 to 4094, as 10,20-30, or "
		    "all" },
		{ "trunks", "1",
		    "\"trunks\" cannot be set; did you mean \"trunk\"?" },
		{ "over-max", "block",
		    "over-max \"block\" is not known; use drop, shut or "
		    "evict" },
		{ "static", "52:54:00:00:00:01/0",
		    "static \"52:54:00:00:00:01/0\" is no station's address, "
		    "or one more than 16; write it as 52:54:00:12:34:56, or "
		    "with a VLAN as 52:54:00:12:34:56/10" },
		{ "storm-broadcast", "0",
		    "storm-broadcast 0 is too small; use 1 to 1000000000" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct lab_rules rules = { .given = 0 };
		struct err err = { "" };

		assert_int_equal(keyset_read(&rules_keys, &rules, rows[i].key,
				     rows[i].text, &err),
		    -EINVAL);
		assert_string_equal(err.text, rows[i].err);
		assert_int_equal(rules.given, 0);
	}
}

static void
a_new_kind_of_port_takes_the_place_of_the_old(void **state)
{
	struct lab_rules port = RULES("trunk", "all", "native", "9", "tags",
			     "802.1ad", "isolated", "true"),
			 vlan = RULES("vlan", "3"),
			 tunnel = RULES("tunnel", "4"),
			 trunk = RULES("trunk", "5"),
			 none = RULES("trunk", "none");
	char text[400];

	(void)state;
	rules_merge(&port, &vlan);
	assert_string_equal(keyset_text(text, sizeof(text), &rules_keys, &port),
	    "vlan 3, isolated true");
	rules_merge(&port, &tunnel);
	assert_string_equal(keyset_text(text, sizeof(text), &rules_keys, &port),
	    "tunnel 4, isolated true");
	rules_merge(&port, &trunk);
	assert_string_equal(keyset_text(text, sizeof(text), &rules_keys, &port),
	    "trunk 5, isolated true");
	rules_merge(&port, &none);
	assert_string_equal(keyset_text(text, sizeof(text), &rules_keys, &port),
	    "isolated true");
}

static struct port *
port_new(struct loop *loop, struct lan_switch **sw)
{
	const struct switch_options options = { 0 };

	*sw = switch_new(loop, "lan", &options, NULL);
	return switch_add_port(*sw, "lan.alice.eth0", NULL);
}

static void
running_port_is_changed_as_a_whole_or_not_at_all(void **state)
{
	struct loop *loop = loop_new(LOOP_VIRTUAL, NULL);
	struct lan_switch *sw;
	struct port *port = port_new(loop, &sw);
	struct lab_rules rules;
	struct err err = { "" };
	char text[400];

	(void)state;
	rules = RULES("trunk", "10,20", "native", "1", "max-macs", "2",
	    "over-max", "shut", "sticky", "true", "storm-unknown", "100",
	    "max-packet", "1500");
	assert_int_equal(rules_change(port, &rules, &err), 0);
	assert_string_equal(switch_describe(port, text, sizeof(text)),
	    "trunk 10,20, native 1, mtu 1500, unknown 100/s, "
	    "2 sticky addresses");
	/* what does not fit what there is */
	rules = RULES("isolated", "true", "max-macs", "none");
	assert_int_equal(rules_change(port, &rules, &err), 0);
	rules = RULES("isolated", "false", "sticky", "true");
	assert_int_equal(rules_change(port, &rules, &err), -EINVAL);
	assert_string_equal(err.text,
	    "lan.alice.eth0: sticky without max-macs would fill the table; "
	    "add \"max-macs:\"");
	assert_string_equal(switch_describe(port, text, sizeof(text)),
	    "trunk 10,20, native 1, isolated, mtu 1500, unknown 100/s");
	rules = RULES("vlan", "5", "isolated", "none", "max-packet", "none",
	    "storm-unknown", "none");
	assert_int_equal(rules_change(port, &rules, NULL), 0);
	assert_string_equal(
	    switch_describe(port, text, sizeof(text)), "vlan 5");
	rules = RULES("vlan", "none");
	assert_int_equal(rules_change(port, &rules, NULL), 0);
	assert_string_equal(switch_describe(port, text, sizeof(text)), "");
	switch_free(sw);
	loop_free(loop);
}

static void
what_a_port_is_not_told_keeps_its_addresses(void **state)
{
	struct loop *loop = loop_new(LOOP_VIRTUAL, NULL);
	struct lan_switch *sw;
	struct port *port = port_new(loop, &sw);
	struct lab_rules rules = RULES("max-macs", "2", "sticky", "true");
	const struct mac mac = { { 2, 0, 0, 0, 0, 1 } };

	(void)state;
	rules_change(port, &rules, NULL);
	assert_int_equal(switch_pin(port, &mac, 0), 0);
	rules = RULES("isolated", "true");
	rules_change(port, &rules, NULL);
	assert_int_equal(switch_pin(port, &mac, 0), -EEXIST);
	switch_free(sw);
	loop_free(loop);
}

static void
static_addresses_are_pinned_and_given_back(void **state)
{
	struct loop *loop = loop_new(LOOP_VIRTUAL, NULL);
	struct lan_switch *sw;
	struct port *port = port_new(loop, &sw);
	struct port *other = switch_add_port(sw, "lan.bob.eth0", NULL);
	const struct mac one = { { 0x52, 0x54, 0, 0, 0, 1 } };
	const struct mac two = { { 0x52, 0x54, 0, 0, 0, 2 } };
	struct lab_rules rules;
	struct err err = { "" };

	(void)state;
	rules = RULES(
	    "vlan", "10", "static", "52:54:00:00:00:01,52:54:00:00:00:02/20");
	assert_int_equal(rules_change(port, &rules, &err), 0);
	assert_int_equal(switch_pin(other, &one, 10), -EEXIST);
	assert_int_equal(switch_pin(other, &two, 20), -EEXIST);
	/* all of a new list, or none */
	rules = RULES("static", "52:54:00:00:00:03,52:54:00:00:00:01/10");
	assert_int_equal(rules_change(other, &rules, &err), -EEXIST);
	assert_string_equal(err.text,
	    "lan.bob.eth0: static address 52:54:00:00:00:01 is another "
	    "port's already, or the switch's table is full of such");
	rules = RULES("static", "52:54:00:00:00:03");
	assert_int_equal(rules_change(port, &rules, NULL), 0);
	assert_int_equal(switch_pin(other, &one, 10), 0);
	assert_int_equal(switch_pin(other, &two, 20), 0);
	rules = RULES("static", "none");
	assert_int_equal(rules_change(port, &rules, NULL), 0);
	assert_int_equal(
	    switch_pin(other, &(struct mac){ { 0x52, 0x54, 0, 0, 0, 3 } }, 10),
	    0);
	switch_free(sw);
	loop_free(loop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_key_is_read_and_told_again),
		cmocka_unit_test(
		    values_that_cannot_be_are_refused_with_a_remedy),
		cmocka_unit_test(a_new_kind_of_port_takes_the_place_of_the_old),
		cmocka_unit_test(
		    running_port_is_changed_as_a_whole_or_not_at_all),
		cmocka_unit_test(what_a_port_is_not_told_keeps_its_addresses),
		cmocka_unit_test(static_addresses_are_pinned_and_given_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
