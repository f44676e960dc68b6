/*
 * Ports that rest before another host may have them (RFC 6888 REQ-8), and
 * shorter timers for a well-known port (RFC 4787 REQ-5a).
 */
#include "net/tcp.h"
#include "router/nat_pin.h"
#include "tests/router/nat_ends.h"

#define DORA (ALICE + 9)

static struct nat *
full_cone(void)
{
	return table(nat_preset(NAT_PRESET_FULL_CONE));
}

/* alice speaks from a port at 0 s, and is silent. */
static void
speak(struct nat *nat, uint16_t port)
{
	assert_int_equal(out(nat, udp(ALICE, port, SERVER, 1), 0, NULL), port);
}

static void
rfc6888_req8_a_free_port_rests_for_two_minutes(void **state)
{
	struct nat *nat = full_cone();

	(void)state;
	speak(nat, 5000);
	nat_expire(nat, 301 * S);
	assert_int_equal(nat_stats(nat).sessions, 0);
	assert_int_equal(nat_stats(nat).mappings, 0);
	assert_int_equal(nat_stats(nat).resting, 1);
	assert_int_not_equal(
	    out(nat, udp(BOB, 5000, SERVER, 1), 301 * S, NULL), 5000);
	nat_expire(nat, 420 * S);
	assert_int_equal(nat_stats(nat).resting, 1);
	assert_int_not_equal(
	    out(nat, udp(DORA + 1, 5000, OTHER, 1), 420 * S, NULL), 5000);
	nat_expire(nat, 423 * S);
	assert_int_equal(nat_stats(nat).resting, 0);
	assert_int_equal(
	    out(nat, udp(DORA, 5000, SERVER, 1), 423 * S, NULL), 5000);
	nat_free(nat);
}

static void
nothing_comes_in_by_a_port_that_rests(void **state)
{
	struct nat *nat = full_cone();
	struct nat_flow flow = udp(OUTSIDE, 5000, SERVER, 1);
	struct nat_hit hit;

	(void)state;
	speak(nat, 5000);
	nat_expire(nat, 301 * S);
	assert_int_equal(
	    in(nat, 5000, SERVER, 1, 302 * S), DROP_NAT_UNSOLICITED);
	assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 5000));
	assert_false(nat_find_in(nat, &flow, 302 * S, &hit));
	nat_free(nat);
}

static void
who_had_a_port_gets_it_back_while_it_rests(void **state)
{
	struct nat *nat = full_cone();

	(void)state;
	speak(nat, 5000);
	nat_expire(nat, 301 * S);
	assert_int_equal(
	    out(nat, udp(ALICE, 5000, OTHER, 7), 310 * S, NULL), 5000);
	assert_int_equal(nat_stats(nat).resting, 0);
	assert_int_equal(in(nat, 5000, SERVER, 1, 311 * S), REASON_NAT_IN);
	/* And it is hers as if it had never rested. */
	nat_expire(nat, 500 * S);
	assert_int_equal(nat_stats(nat).mappings, 1);
	nat_expire(nat, 620 * S);
	assert_int_equal(nat_stats(nat).resting, 1);
	nat_expire(nat, 800 * S);
	assert_int_equal(nat_due_ns(nat), UINT64_MAX);
	nat_free(nat);
}

static void
rfc6888_req8_pings_rest_as_well(void **state)
{
	struct nat *nat = full_cone();
	struct nat_flow flow = udp(ALICE, 77, SERVER, 0);

	(void)state;
	flow.protocol = IP_ICMP;
	assert_int_equal(out(nat, flow, 0, NULL), 77);
	nat_expire(nat, 62 * S);
	flow.ip = BOB;
	assert_int_not_equal(out(nat, flow, 62 * S, NULL), 77);
	nat_free(nat);
}

static void
rfc6888_req8_tcp_is_exempt_since_it_is_tracked(void **state)
{
	struct nat *nat = full_cone();
	struct nat_flow flow = udp(ALICE, 5000, SERVER, 80);
	struct nat_segment syn = { .flags = TCP_SYN, .window = 100 };
	struct nat_hit hit;

	(void)state;
	flow.protocol = IP_TCP;
	nat_out(nat, &flow, &syn, 60, 0, &hit);
	nat_expire(nat, 242 * S);
	assert_int_equal(nat_stats(nat).resting, 0);
	flow.ip = BOB;
	nat_out(nat, &flow, &syn, 60, 242 * S, &hit);
	assert_int_equal(hit.port, 5000);
	nat_free(nat);
}

static void
rfc6888_req8_filters_by_the_remote_end_are_exempt(void **state)
{
	static const enum nat_behaviour filters[] = { NAT_ADDRESS_DEPENDENT,
		NAT_ADDRESS_AND_PORT_DEPENDENT };

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct nat_rules rules = { .filtering = filters[i] };
		struct nat *nat = table(&rules);

		speak(nat, 5000);
		nat_expire(nat, 302 * S);
		assert_int_equal(nat_stats(nat).resting, 0);
		assert_int_equal(
		    out(nat, udp(BOB, 5000, SERVER, 1), 302 * S, NULL), 5000);
		nat_free(nat);
	}
}

static void
rfc6888_req8_the_time_is_an_option(void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_FULL_CONE);
	struct nat *nat;

	(void)state;
	rules.rest_s = 10;
	nat = table(&rules);
	speak(nat, 5000);
	speak(nat, 5001);
	nat_expire(nat, 301 * S);
	assert_int_equal(nat_stats(nat).resting, 2);
	assert_true(nat_due_ns(nat) >= 311 * S);
	assert_true(nat_due_ns(nat) <= 313 * S);
	nat_expire(nat, nat_due_ns(nat));
	assert_int_equal(nat_stats(nat).resting, 0);
	nat_free(nat);
	rules.no_rest = true;
	nat = table(&rules);
	speak(nat, 5000);
	nat_expire(nat, 302 * S);
	assert_int_equal(
	    out(nat, udp(BOB, 5000, SERVER, 1), 302 * S, NULL), 5000);
	nat_free(nat);
}

static void
rfc6888_req8_how_many_rest_is_an_option(void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_FULL_CONE);
	struct nat *nat;

	(void)state;
	rules.rest_ports = 10;
	nat = table(&rules);
	for (uint16_t i = 0; i < 25; i++)
		speak(nat, 5000 + i);
	nat_expire(nat, 301 * S);
	assert_int_equal(nat_stats(nat).resting, 10);
	/* The latest ones. */
	assert_int_equal(
	    out(nat, udp(BOB, 5014, SERVER, 1), 301 * S, NULL), 5014);
	assert_int_not_equal(
	    out(nat, udp(BOB, 5015, SERVER, 1), 301 * S, NULL), 5015);
	nat_free(nat);
}

static void
a_shorter_rest_holds_for_who_rests(void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_FULL_CONE);
	struct nat *nat = table(&rules);

	(void)state;
	speak(nat, 5000);
	nat_expire(nat, 301 * S);
	rules.rest_s = 5;
	assert_int_equal(nat_set_rules(nat, &rules, 301 * S, NULL), 0);
	assert_int_equal(nat_stats(nat).resting, 1);
	nat_expire(nat, 308 * S);
	assert_int_equal(nat_stats(nat).resting, 0);
	nat_free(nat);
}

static void
a_table_full_of_who_rests_has_room(void **state)
{
	struct nat *nat = full_cone();

	(void)state;
	for (uint32_t turn = 0; turn < 20; turn++) {
		uint64_t now_ns = turn * 302 * S;

		nat_expire(nat, now_ns);
		for (uint32_t i = 0; i < 4096; i++)
			assert_int_not_equal(
			    out(nat,
				udp(ALICE + turn, (uint16_t)(2000 + i), SERVER,
				    1),
				now_ns, NULL),
			    0);
	}
	nat_free(nat);
}

static void
a_port_that_rests_keeps_its_hosts_address(void **state)
{
	static const uint32_t pool[] = { OUTSIDE + 1, OUTSIDE + 2 };
	struct nat_options o = { .outside_ip = OUTSIDE,
		.pool = pool,
		.npool = 2,
		.rules = *nat_preset(NAT_PRESET_FULL_CONE) };
	struct nat *nat = nat_new(&o, NULL);
	struct nat_hit hit;

	(void)state;
	hit = out_at(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
	nat_expire(nat, 301 * S);
	assert_int_not_equal(
	    out_at(nat, udp(BOB, 5000, SERVER, 1), 301 * S, NULL).ip, hit.ip);
	assert_int_equal(
	    out_at(nat, udp(ALICE, 6000, SERVER, 1), 301 * S, NULL).ip, hit.ip);
	nat_free(nat);
}

/* ---- timers ---- */

static void
rfc4787_req5a_dns_may_have_a_shorter_timer(void **state)
{
	const struct nat_rules rules = { .no_rest = true,
		.idle_s = { [NAT_TIMER_UDP_DNS] = 10 } };
	struct nat *nat = table(&rules);

	(void)state;
	out(nat, udp(ALICE, 5000, SERVER, 53), 0, NULL);
	out(nat, udp(ALICE, 5001, SERVER, 5353), 0, NULL);
	assert_int_equal(in(nat, 5000, SERVER, 53, 1 * S), REASON_NAT_IN);
	nat_expire(nat, 13 * S);
	assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 5000));
	assert_true(nat_has_port(nat, OUTSIDE, IP_UDP, 5001));
	/* Packets refresh it, and TCP is not meant. */
	for (uint64_t t = 20; t < 60; t += 5)
		out(nat, udp(ALICE, 5000, SERVER, 53), t * S, NULL);
	assert_true(nat_has_port(nat, OUTSIDE, IP_UDP, 5000));
	nat_free(nat);
}

static void
rfc4787_req5a_or_the_same_as_others(void **state)
{
	const struct nat_rules rules = { .no_rest = true,
		.idle_s = { [NAT_TIMER_UDP_ONE_WAY] = 30 } };
	struct nat *nat = table(&rules);

	(void)state;
	out(nat, udp(ALICE, 5000, SERVER, 53), 0, NULL);
	out(nat, udp(ALICE, 5001, SERVER, 53), 0, NULL);
	in(nat, 5001, SERVER, 53, 1 * S);
	nat_expire(nat, 33 * S);
	assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 5000));
	assert_true(nat_has_port(nat, OUTSIDE, IP_UDP, 5001));
	nat_free(nat);
}

static void
nothing_rests_while_the_table_is_full_of_sessions_that_live(void **state)
{
	struct nat_options o = { .outside_ip = OUTSIDE,
		.max_entries = 2,
		.rules = *nat_preset(NAT_PRESET_FULL_CONE) };
	struct nat *nat = nat_new(&o, NULL);
	struct nat_pin pin = { .protocol = IP_UDP,
		.in_ip = ALICE,
		.in_port = 6000,
		.out_port = 6000,
		.until_ns = 10 * S };

	(void)state;
	assert_int_equal(nat_pin_set(nat, &pin, 0), NAT_PIN_MADE);
	speak(nat, 5000);
	speak(nat, 5001);
	nat_expire(nat, 11 * S);
	assert_int_equal(nat_stats(nat).resting, 0);
	assert_int_equal(nat_stats(nat).sessions, 2);
	assert_int_equal(nat_stats(nat).mappings, 2);
	assert_int_equal(in(nat, 5000, SERVER, 1, 12 * S), REASON_NAT_IN);
	/* Where there is room, it does. */
	nat_expire(nat, 400 * S);
	pin.until_ns = 410 * S;
	assert_int_equal(nat_pin_set(nat, &pin, 400 * S), NAT_PIN_MADE);
	nat_expire(nat, 500 * S);
	assert_int_equal(nat_stats(nat).sessions, 0);
	assert_int_equal(nat_stats(nat).resting, 2);
	nat_free(nat);
}

static void
a_stranger_is_admitted_no_more_by_a_port_that_rests(void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_FULL_CONE);
	struct nat *nat;

	(void)state;
	rules.refresh = NAT_REFRESH_OUTBOUND;
	nat = table(&rules);
	speak(nat, 5000);
	assert_int_equal(in(nat, 5000, OTHER, 1, 250 * S), REASON_NAT_IN);
	assert_int_equal(in(nat, 5000, OTHER, 2, 250 * S), REASON_NAT_IN);
	nat_expire(nat, 302 * S);
	assert_int_equal(nat_stats(nat).resting, 1);
	assert_int_equal(
	    in(nat, 5000, OTHER, 1, 303 * S), DROP_NAT_UNSOLICITED);
	/* Rules that count hosts count its, which has nothing else. */
	nat_expire(nat, 430 * S);
	assert_int_equal(nat_stats(nat).resting, 0);
	assert_int_equal(nat_stats(nat).sessions, 1);
	rules.host_sessions = 10;
	assert_int_equal(nat_set_rules(nat, &rules, 440 * S, NULL), 0);
	nat_expire(nat, 600 * S);
	assert_int_equal(nat_stats(nat).sessions, 0);
	nat_free(nat);
}

static void
hosts_beyond_one_to_16_entries_are_refused_but_for_those_that_rest(void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_FULL_CONE);
	struct nat *nat;
	enum reason why;

	(void)state;
	rules.host_sessions = 100;
	nat = table(&rules);
	for (uint32_t i = 0; i < NAT_HOSTS_LEAST; i++)
		assert_int_not_equal(
		    out(nat, udp(ALICE + i, 5000, SERVER, 1), 0, NULL), 0);
	out(nat, udp(ALICE - 1, 5000, SERVER, 1), S, &why);
	assert_int_equal(why, DROP_NAT_FULL);
	assert_int_not_equal(
	    out(nat, udp(ALICE + 1, 5001, SERVER, 1), S, NULL), 0);
	/* All but one rest, and each gives way to one that lives. */
	nat_expire(nat, 300 * S);
	assert_int_equal(nat_stats(nat).sessions, 1);
	for (uint32_t i = 0; i < 10; i++)
		assert_int_not_equal(
		    out(nat, udp(ALICE + 5000 + i, 5000, SERVER, 1), 300 * S,
			NULL),
		    0);
	assert_int_equal(nat_stats(nat).sessions, 11);
	nat_free(nat);
}

#define T(f) cmocka_unit_test(f)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc6888_req8_a_free_port_rests_for_two_minutes),
		T(nothing_comes_in_by_a_port_that_rests),
		T(who_had_a_port_gets_it_back_while_it_rests),
		T(rfc6888_req8_pings_rest_as_well),
		T(rfc6888_req8_tcp_is_exempt_since_it_is_tracked),
		T(rfc6888_req8_filters_by_the_remote_end_are_exempt),
		T(rfc6888_req8_the_time_is_an_option),
		T(rfc6888_req8_how_many_rest_is_an_option),
		T(a_shorter_rest_holds_for_who_rests),
		T(a_table_full_of_who_rests_has_room),
		T(a_port_that_rests_keeps_its_hosts_address),
		T(nothing_rests_while_the_table_is_full_of_sessions_that_live),
		T(hosts_beyond_one_to_16_entries_are_refused_but_for_those_that_rest),
		T(a_stranger_is_admitted_no_more_by_a_port_that_rests),
		T(rfc4787_req5a_dns_may_have_a_shorter_timer),
		T(rfc4787_req5a_or_the_same_as_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
