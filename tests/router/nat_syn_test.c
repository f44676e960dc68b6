/*
 * SYNs from outside that are refused, and when that is said (RFC 5382 REQ-4);
 * and hairpins as they should not be.
 */
#include "router/icmp_error.h"
#include "tests/router/nat_rig.h"

#include "router/nat_syn.h"

static struct rig *
start_refusing(void **state)
{
	struct nat_rules rules = nat_rules_default;

	rules.refuse_syn = true;
	return start_rules(state, &rules);
}

static enum reason
syn_in(struct rig *rig, uint16_t sport, uint16_t dport)
{
	return rig_tcp(rig, OUTSIDE, SERVER, sport, GW_OUTSIDE, dport, TCP_SYN);
}

static void
rfc5382_req4_an_unsolicited_syn_is_refused_after_six_seconds(void **state)
{
	struct rig *rig = start_refusing(state);
	struct got g, quote;

	assert_int_equal(syn_in(rig, 80, 5000), DROP_NAT_UNSOLICITED);
	rig_wait(rig, 5 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	/* The same once more: it is not told twice. */
	assert_int_equal(syn_in(rig, 80, 5000), DROP_NAT_UNSOLICITED);
	rig_wait(rig, 1 * S);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.ip.dst, SERVER);
	assert_int_equal(g.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_PORT);
	quote = got_quote(&g);
	assert_int_equal(quote.ip.src, SERVER);
	assert_int_equal(quote.sport, 80);
	assert_int_equal(quote.dport, 5000);
	rig_clear(rig);
	rig_wait(rig, 20 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

static void
rfc5382_req4_a_syn_from_inside_takes_the_refusal_back(void **state)
{
	struct rig *rig = start_refusing(state);

	assert_int_equal(syn_in(rig, 80, 5000), DROP_NAT_UNSOLICITED);
	rig_wait(rig, 3 * S);
	assert_int_equal(rig_tcp(rig, INSIDE, ALICE, 5000, SERVER, 80, TCP_SYN),
	    REASON_NAT_NEW);
	rig_clear(rig);
	rig_wait(rig, 20 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	/* And the connection opens from both sides. */
	assert_int_equal(syn_in(rig, 80, 5000), REASON_NAT_IN);
}

static void
rfc5382_req4_a_filtered_syn_is_refused_too(void **state)
{
	struct rig *rig = start_refusing(state);

	rig_tcp(rig, INSIDE, ALICE, 5000, SERVER, 80, TCP_SYN);
	rig_clear(rig);
	assert_int_equal(syn_in(rig, 81, 5000), DROP_NAT_FILTERED);
	rig_wait(rig, 7 * S);
	assert_int_equal(rig_got(rig, OUTSIDE).icmp.code, ICMP_UNREACH_PORT);
}

/* As when another SYN of its host has opened the port for that sender. */
static void
a_syn_that_is_let_in_later_is_not_refused_any_more(void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_FULL_CONE);
	struct rig *rig;

	rules.refuse_syn = true;
	rig = start_rules(state, &rules);
	assert_int_equal(syn_in(rig, 80, 5000), DROP_NAT_UNSOLICITED);
	rig_wait(rig, 1 * S);
	rig_tcp(rig, INSIDE, ALICE, 5000, SERVER2, 80, TCP_SYN);
	assert_int_equal(syn_in(rig, 80, 5000), REASON_NAT_IN);
	rig_clear(rig);
	rig_wait(rig, 20 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
}

static void
rfc5382_req4a_nobody_is_told_once_the_rules_forbid_it(void **state)
{
	struct rig *rig = start_refusing(state);

	assert_int_equal(syn_in(rig, 80, 5000), DROP_NAT_UNSOLICITED);
	rig_wait(rig, 1 * S);
	assert_int_equal(
	    router_change_nat(rig->router, &nat_rules_default, NULL), 0);
	rig_wait(rig, 20 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
}

static void
a_flood_of_syns_is_answered_within_bounds(void **state)
{
	struct rig *rig = start_refusing(state);

	for (uint16_t i = 0; i < 1000; i++)
		syn_in(rig, (uint16_t)(1000 + i), 5000);
	rig_clear(rig);
	rig_wait(rig, 20 * S);
	/* Of the NAT_SYN_MAX that are kept, one host's share of errors. */
	assert_int_equal(rig->peer[OUTSIDE].n, ICMP_ERROR_BURST / 2);
	rig_clear(rig);
	/* There is room again. */
	syn_in(rig, 80, 5000);
	rig_wait(rig, 7 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
}

static void
what_is_no_syn_is_never_answered(void **state)
{
	static const uint8_t flags[] = { TCP_SYN | TCP_ACK, TCP_RST, TCP_ACK,
		TCP_FIN, 0 };
	struct rig *rig = start_refusing(state);

	for (unsigned int i = 0; i < sizeof(flags); i++)
		rig_tcp(rig, OUTSIDE, SERVER, 80, GW_OUTSIDE, 5000, flags[i]);
	rig_udp(rig, OUTSIDE, SERVER, 80, GW_OUTSIDE, 5000);
	rig_wait(rig, 20 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
}

static void
a_hairpin_may_come_from_the_inner_end(void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_FULL_CONE);
	struct rig *rig;
	struct got g;

	rules.hairpin_internal = true;
	rig = start_rules(state, &rules);
	rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 1);
	rig_clear(rig);
	assert_int_equal(rig_udp(rig, INSIDE, BOB, 6000, GW_OUTSIDE, 5000),
	    REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.src, BOB);
	assert_int_equal(g.sport, 6000);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.dport, 5000);
}

#define T(test) cmocka_unit_test_teardown(test, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc5382_req4_an_unsolicited_syn_is_refused_after_six_seconds),
		T(rfc5382_req4_a_syn_from_inside_takes_the_refusal_back),
		T(rfc5382_req4_a_filtered_syn_is_refused_too),
		T(a_syn_that_is_let_in_later_is_not_refused_any_more),
		T(rfc5382_req4a_nobody_is_told_once_the_rules_forbid_it),
		T(a_flood_of_syns_is_answered_within_bounds),
		T(what_is_no_syn_is_never_answered),
		T(a_hairpin_may_come_from_the_inner_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
