#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "pcap-tools/verdict_text.h"

static void
verdict_is_a_sentence(void **state)
{
	static const struct {
		struct verdict_facts verdict;
		const char *text;
	} rows[] = {
		{ { NULL, NULL, REASON_NONE, 0, 0, 0 }, "" },
		{ { "gw", NULL, REASON_SENT, 0, 0, 0 },
		    "gw: sent by this node itself" },
		{ { "gw", "gw.outside", REASON_NAT_OUT, 1, 3, 0 },
		    "gw: translated outwards by NAT entry 3 -> gw.outside" },
		{ { "gw", "gw.inside", REASON_NAT_IN, 1, 4000000000u, 0 },
		    "gw: translated inwards by NAT entry 4000000000 -> "
		    "gw.inside" },
		{ { "gw", "gw.outside", REASON_NAT_NEW, 1, 1, 0 },
		    "gw: translated by new NAT entry 1 -> gw.outside" },
		{ { "gw", "gw.outside", REASON_NAT_NEW, 1, 0, 0 },
		    "gw: translated by a new NAT entry -> gw.outside" },
		{ { "gw", "gw.inside", REASON_NAT_ICMP, 1, 7, 0 },
		    "gw: ICMP error translated to the host it is about "
		    "(NAT entry 7) -> gw.inside" },
		{ { "gw", NULL, DROP_NAT_FILTERED, 0, 9, 0 },
		    "gw: dropped (nat-filtered): refused: NAT entry 9 does not "
		    "admit this sender" },
		{ { "gw", NULL, DROP_NAT_UNSOLICITED, 0, 0, 0 },
		    "gw: dropped (nat-unsolicited): refused: no NAT entry for "
		    "it, it was not asked for" },
		{ { "lan", NULL, DROP_NO_OTHER_PORT, 0, 0, 0 },
		    "lan: dropped (no-other-port): no other port to flood it "
		    "to" },
		{ { "lan", "lan.bob.eth0", REASON_FORWARDED, 1, 0, 0 },
		    "lan: forwarded to the port where its destination was "
		    "learned (lan.bob.eth0)" },
		{ { "lan", "lan.bob.eth0", REASON_FLOOD_BROADCAST, 1, 0, 0 },
		    "lan: flooded because it is a broadcast -> lan.bob.eth0" },
		{ { "lan", "lan.bob.eth0", REASON_FLOOD_UNKNOWN, 3, 0, 0 },
		    "lan: flooded because its destination is unknown -> "
		    "3 ports" },
		/* a port that a drop went by says nothing */
		{ { "lan", "lan.bob.eth0", DROP_TTL, 1, 0, 0 },
		    "lan: dropped (ttl): its time to live ran out" },
	};
	char text[VERDICT_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(
		    verdict_text(text, sizeof(text), &rows[i].verdict),
		    rows[i].text);
}

static void
frame_going_out_has_its_cause_first(void **state)
{
	static const struct verdict_facts none = { 0 };
	static const struct verdict_facts sent = { "gw", NULL, REASON_SENT, 0,
		0, 0 };
	static const struct verdict_facts got = { "bob", NULL, REASON_DELIVERED,
		0, 0, 0 };
	static const struct verdict_facts held = { "cable bob.eth0 in", NULL,
		REASON_CABLE_HELD, 0, 0, 0 };
	static const struct verdict_facts marked = { "cable bob.eth0 in", NULL,
		REASON_CABLE_MARKED, 0, 0, 0 };
	static const struct {
		enum direction dir;
		const struct verdict_facts *cause, *verdict;
		const char *text;
	} rows[] = {
		{ DIR_OUT, &sent, &got,
		    "gw: sent by this node itself; "
		    "bob: delivered to this node itself" },
		{ DIR_OUT, &sent, &none, "gw: sent by this node itself" },
		{ DIR_OUT, &none, &got, "bob: delivered to this node itself" },
		{ DIR_OUT, &none, &none, "" },
		{ DIR_IN, &sent, &got, "bob: delivered to this node itself" },
		{ DIR_IN, &sent, &none, "" },
		{ DIR_IN, &held, &got, "bob: delivered to this node itself" },
		{ DIR_IN, &marked, &got,
		    "cable bob.eth0 in: marked by the cable's queue as having "
		    "met congestion; bob: delivered to this node itself" },
	};
	char text[VERDICT_TEXT_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(
		    frame_verdict_text(text, sizeof(text), rows[i].dir,
			rows[i].cause, rows[i].verdict),
		    rows[i].text);
}

static void
every_text_fits(void **state)
{
	char name[NODE_NAME_BYTES], text[4 * VERDICT_TEXT_BYTES];
	size_t longest = 0;

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	for (int r = REASON_NONE + 1; r < REASON_COUNT; r++) {
		struct verdict_facts v = { name, name, (enum reason)r, 1,
			UINT32_MAX, 0 };

		frame_verdict_text(text, sizeof(text), DIR_OUT, &v, &v);
		if (strlen(text) > longest)
			longest = strlen(text);
		assert_non_null(strstr(text, "; "));
	}
	assert_true(longest > 200);
	assert_true(longest < VERDICT_TEXT_BYTES);
}

static void
short_memory_gets_the_beginning(void **state)
{
	const struct verdict_facts v = { "lan", "p", REASON_FORWARDED, 1, 0,
		0 };
	char whole[VERDICT_TEXT_BYTES], part[VERDICT_TEXT_BYTES];

	(void)state;
	verdict_text(whole, sizeof(whole), &v);
	for (size_t n = 1; n <= strlen(whole) + 1; n++) {
		memset(part, 'x', sizeof(part));
		verdict_text(part, n, &v);
		assert_int_equal(strlen(part), n - 1);
		assert_memory_equal(part, whole, n - 1);
		assert_int_equal(part[n], 'x');
	}
	part[0] = 'x';
	verdict_text(part, 0, &v);
	assert_int_equal(part[0], 'x');
}

static void
facts_are_the_verdicts(void **state)
{
	struct node node;
	struct port port;
	struct verdict v = { .node = &node,
		.out = &port,
		.reason = REASON_NAT_IN,
		.nout = 1,
		.entry = 8 };
	struct verdict_facts facts;

	(void)state;
	node_init(&node, "gw");
	port_init(&port, NULL, &node, "gw.inside");
	facts = verdict_facts(&v);
	assert_string_equal(facts.node, "gw");
	assert_string_equal(facts.out, "gw.inside");
	assert_int_equal(facts.reason, REASON_NAT_IN);
	assert_int_equal(facts.nout, 1);
	assert_int_equal(facts.entry, 8);
	v.reason = REASON_NONE;
	assert_null(verdict_facts(&v).node);
	v = (struct verdict){ .reason = REASON_SENT };
	assert_null(verdict_facts(&v).node);
	assert_null(verdict_facts(NULL).node);
}

static void
words_for_programs_have_no_blanks_within(void **state)
{
	const struct verdict_facts cause = { "gw", "gw.inside", REASON_NAT_IN,
		1, 8, 9 };
	const struct verdict_facts held = { "cable bob.eth0 in", NULL,
		REASON_CABLE_HELD, 0, 0, 0 };
	char out[VERDICT_TEXT_BYTES];

	(void)state;
	assert_string_equal(
	    frame_verdict_facts(out, sizeof(out), DIR_OUT, &cause, &held),
	    " cause.node=gw cause.verdict=nat-in cause.out=gw.inside "
	    "cause.ports=1 cause.entry=8 cause.other=9 node=cable_bob.eth0_in "
	    "verdict=cable-held");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdict_is_a_sentence),
		cmocka_unit_test(frame_going_out_has_its_cause_first),
		cmocka_unit_test(every_text_fits),
		cmocka_unit_test(short_memory_gets_the_beginning),
		cmocka_unit_test(facts_are_the_verdicts),
		cmocka_unit_test(words_for_programs_have_no_blanks_within),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
