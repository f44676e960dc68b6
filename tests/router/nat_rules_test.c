/*
 * What the rules of a NAT make of its table: ports, limits, refreshing, timers,
 * and rules that change while there are sessions.
 */
#include "net/tcp.h"
#include "tests/router/nat_ends.h"

#include <errno.h>

/* ---- all nine ---- */

static void
mapping_and_filtering_are_nine_kinds(void **state)
{
	(void)state;
	for (int i = 0; i < 9; i++) {
		struct nat_rules rules = { .mapping = i % 3,
			.filtering = i / 3 };
		struct nat *nat = table(&rules);
		uint16_t a, same_ip, other_ip;

		/* Somebody else has the port: what is kept would hide it. */
		out(nat, udp(BOB, 5000, OTHER, 9), 0, NULL);
		a = out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
		assert_int_equal(in(nat, a, SERVER, 1, 0), REASON_NAT_IN);
		assert_int_equal(in(nat, a, SERVER, 2, 0),
		    rules.filtering == NAT_ADDRESS_AND_PORT_DEPENDENT
			? DROP_NAT_FILTERED
			: REASON_NAT_IN);
		assert_int_equal(in(nat, a, OTHER, 1, 0),
		    rules.filtering == NAT_ENDPOINT_INDEPENDENT
			? REASON_NAT_IN
			: DROP_NAT_FILTERED);
		same_ip = out(nat, udp(ALICE, 5000, SERVER, 3), 0, NULL);
		other_ip = out(nat, udp(ALICE, 5000, OTHER, 3), 0, NULL);
		assert_int_equal(same_ip == a,
		    rules.mapping != NAT_ADDRESS_AND_PORT_DEPENDENT);
		assert_int_equal(
		    other_ip == a, rules.mapping == NAT_ENDPOINT_INDEPENDENT);
		nat_free(nat);
	}
}

/* ---- ports ---- */

static void
random_ports_are_not_the_inside_ones(void **state)
{
	struct nat_rules rules = { .ports = NAT_PORTS_RANDOM };
	struct nat *nat = table(&rules);
	unsigned int kept = 0, next = 0, odd = 0;
	uint16_t last = 0;

	(void)state;
	for (uint16_t i = 0; i < 1000; i++) {
		uint16_t inside = (uint16_t)(20000 + i);
		uint16_t port =
		    out(nat, udp(ALICE, inside, SERVER, 1), 0, NULL);

		assert_true(port >= 1024);
		kept += port == inside;
		next += port == last + 1;
		odd += (port ^ inside) & 1;
		last = port;
	}
	assert_true(kept < 5);
	assert_true(next < 5);
	assert_int_equal(odd, 0);
	nat_free(nat);
}

static void
rfc7857_s8_parity_may_be_off(void **state)
{
	struct nat_rules rules = { .ports = NAT_PORTS_RANDOM,
		.any_parity = true };
	struct nat *nat = table(&rules);
	unsigned int odd = 0;

	(void)state;
	for (uint16_t i = 0; i < 1000; i++)
		odd += out(nat, udp(ALICE, (uint16_t)(2 * i + 2000), SERVER, 1),
			   0, NULL) &
		    1;
	assert_in_range(odd, 400, 600);
	nat_free(nat);
}

static void
contiguous_ports_stay_pairs(void **state)
{
	struct nat_rules rules = { .ports = NAT_PORTS_CONTIGUOUS };
	struct nat *nat = table(&rules);

	(void)state;
	for (uint16_t i = 0; i < 100; i++) {
		uint16_t rtp = (uint16_t)(6000 + 4 * i), port;

		out(nat, udp(BOB, rtp, OTHER, 1), 0, NULL);
		out(nat, udp(BOB, rtp + 1, OTHER, 1), 0, NULL);
		port = out(nat, udp(ALICE, rtp, SERVER, 1), 0, NULL);
		assert_int_not_equal(port, rtp);
		assert_int_equal(port % 2, 0);
		assert_int_equal(
		    out(nat, udp(ALICE, rtp + 1, SERVER, 1), 0, NULL),
		    port + 1);
	}
	nat_free(nat);
}

static void
overloaded_ports_are_told_apart_by_the_remote_end(void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_LINUX);
	struct nat *nat = table(&rules);
	struct nat_flow flow;
	struct nat_hit hit;
	uint16_t collided;

	(void)state;
	assert_int_equal(out(nat, udp(ALICE, 5555, OTHER, 1), 0, NULL), 5555);
	assert_int_equal(out(nat, udp(BOB, 5555, SERVER, 1), 0, NULL), 5555);
	/* The same remote end: now it shows. */
	collided = out(nat, udp(BOB, 5555, OTHER, 1), 0, NULL);
	assert_int_not_equal(collided, 0);
	assert_int_not_equal(collided, 5555);
	flow = udp(OUTSIDE, 5555, OTHER, 1);
	assert_int_equal(nat_in(nat, &flow, NULL, 60, 0, &hit), REASON_NAT_IN);
	assert_int_equal(hit.ip, ALICE);
	flow = udp(OUTSIDE, 5555, SERVER, 1);
	assert_int_equal(nat_in(nat, &flow, NULL, 60, 0, &hit), REASON_NAT_IN);
	assert_int_equal(hit.ip, BOB);
	/* The port is free when both are gone. */
	nat_expire(nat, 500 * S);
	rules = nat_rules_default;
	assert_int_equal(nat_set_rules(nat, &rules, 500 * S, NULL), 0);
	assert_int_equal(
	    out(nat, udp(ALICE, 5555, SERVER, 1), 500 * S, NULL), 5555);
	nat_free(nat);
}

static void
overloading_wants_mappings_by_the_remote_end(void **state)
{
	struct nat_rules rules = { .ports = NAT_PORTS_OVERLOAD };
	struct err err = { "" };

	(void)state;
	assert_int_equal(nat_rules_check(&rules, &err), -EINVAL);
	assert_non_null(strstr(err.text, "address-and-port-dependent"));
}

static void
rfc7857_s3_one_address_serves_more_flows_than_it_has_ports(void **state)
{
	struct nat_options o = { .outside_ip = OUTSIDE,
		.max_entries = 80000,
		.seed = 7,
		.rules = *nat_preset(NAT_PRESET_LINUX) };
	struct nat *nat = nat_new(&o, NULL);

	(void)state;
	assert_non_null(nat);
	for (uint32_t i = 0; i < 70000; i++)
		assert_int_not_equal(
		    out(nat, udp(ALICE + i % 3, 5000, 0xc6000000 + i, 53), 0,
			NULL),
		    0);
	assert_int_equal(nat_stats(nat).sessions, 70000);
	nat_free(nat);
}

static void
rfc6888_req14_blocks_are_one_host_each(void **state)
{
	struct nat_rules rules = { .ports = NAT_PORTS_BLOCKS,
		.block_ports = 64 };
	struct nat *nat = table(&rules);
	enum reason why;

	(void)state;
	for (uint32_t host = 0; host < 8; host++) {
		uint32_t first = 0;

		for (uint16_t i = 0; i < 64; i++) {
			uint16_t port = out(nat,
			    udp(ALICE + host, (uint16_t)(9000 + i), SERVER, 1),
			    0, &why);

			assert_int_not_equal(port, 0);
			if (i == 0)
				first = (port - 1024u) / 64;
			assert_int_equal((port - 1024u) / 64, first);
		}
		assert_int_equal(
		    out(nat, udp(ALICE + host, 8000, SERVER, 1), 0, &why), 0);
		assert_int_equal(why, DROP_NAT_NO_PORT);
	}
	nat_free(nat);
}

static void
a_block_is_free_when_its_host_is_silent(void **state)
{
	struct nat_rules rules = { .ports = NAT_PORTS_BLOCKS,
		.block_ports = NAT_BLOCK_PORTS_MAX };
	struct nat *nat = table(&rules);
	enum reason why;

	(void)state;
	assert_int_not_equal(out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL), 0);
	assert_int_equal(out(nat, udp(BOB, 5000, SERVER, 1), 0, &why), 0);
	assert_int_equal(why, DROP_NAT_NO_PORT);
	nat_expire(nat, 301 * S);
	/* Its ports rest. */
	assert_int_equal(out(nat, udp(BOB, 5000, SERVER, 1), 301 * S, NULL), 0);
	nat_expire(nat, 423 * S);
	assert_int_not_equal(
	    out(nat, udp(BOB, 5000, SERVER, 1), 423 * S, NULL), 0);
	nat_free(nat);
}

/* ---- limits ---- */

static void
rfc6888_req4_a_host_at_its_limit_is_refused_and_others_are_not(void **state)
{
	struct nat_rules rules = { .filtering = NAT_ENDPOINT_INDEPENDENT,
		.host_sessions = 1000 };
	struct nat *nat = table(&rules);
	unsigned int worked = 0;
	enum reason why;

	(void)state;
	for (uint16_t i = 0; i < 2000; i++)
		worked += out(nat, udp(ALICE, (uint16_t)(3000 + i), SERVER, 1),
			      0, &why) != 0;
	assert_int_equal(worked, 1000);
	assert_int_equal(why, DROP_NAT_HOST_LIMIT);
	assert_int_not_equal(out(nat, udp(BOB, 3000, SERVER, 1), 0, NULL), 0);
	/* Those outside cannot make it more either (REQ-5). */
	assert_int_equal(in(nat, 3001, OTHER, 77, 0), DROP_NAT_HOST_LIMIT);
	/* What has expired counts no more. */
	assert_int_not_equal(
	    out(nat, udp(ALICE, 9000, SERVER, 1), 301 * S, NULL), 0);
	nat_free(nat);
}

/* ---- timers ---- */

static void
rules_say_which_direction_refreshes(void **state)
{
	static const struct {
		enum nat_refresh refresh;
		bool by_out, by_in;
	} rows[] = {
		{ NAT_REFRESH_BOTH, true, true },
		{ NAT_REFRESH_OUTBOUND, true, false },
		{ NAT_REFRESH_INBOUND, false, true },
	};

	(void)state;
	for (unsigned int i = 0; i < 6; i++) {
		struct nat_rules rules = { .refresh = rows[i / 2].refresh };
		bool by_out = i % 2 == 0;
		struct nat *nat = table(&rules);

		out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
		if (by_out)
			out(nat, udp(ALICE, 5000, SERVER, 1), 200 * S, NULL);
		else
			in(nat, 5000, SERVER, 1, 200 * S);
		nat_expire(nat, 400 * S);
		assert_int_equal(nat_has_port(nat, OUTSIDE, IP_UDP, 5000),
		    by_out ? rows[i / 2].by_out : rows[i / 2].by_in);
		nat_free(nat);
	}
}

static void
a_session_without_an_answer_may_have_its_own_timer(void **state)
{
	struct nat_rules rules = { .idle_s = { [NAT_TIMER_UDP_ONE_WAY] = 30 } };
	struct nat *nat = table(&rules);

	(void)state;
	out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
	out(nat, udp(ALICE, 6000, SERVER, 1), 0, NULL);
	assert_int_equal(in(nat, 5000, SERVER, 1, 1 * S), REASON_NAT_IN);
	nat_expire(nat, 32 * S);
	assert_true(nat_has_port(nat, OUTSIDE, IP_UDP, 5000));
	assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 6000));
	nat_expire(nat, 303 * S);
	assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 5000));
	nat_free(nat);
}

static void
an_answer_that_does_not_refresh_is_an_answer(void **state)
{
	struct nat_rules rules = { .refresh = NAT_REFRESH_OUTBOUND,
		.idle_s = { [NAT_TIMER_UDP_ONE_WAY] = 30 } };
	struct nat *nat = table(&rules);

	(void)state;
	out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
	out(nat, udp(ALICE, 6000, SERVER, 1), 0, NULL);
	in(nat, 5000, SERVER, 1, 10 * S);
	in(nat, 6000, SERVER, 1, 10 * S);
	/* the first to be asked again, the second not */
	out(nat, udp(ALICE, 5000, SERVER, 1), 20 * S, NULL);
	nat_expire(nat, 31 * S);
	assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 6000));
	nat_expire(nat, 319 * S);
	assert_true(nat_has_port(nat, OUTSIDE, IP_UDP, 5000));
	nat_expire(nat, 321 * S);
	assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 5000));
	nat_free(nat);
}

static void
tcp(struct nat *nat, bool outwards, uint8_t flags, uint64_t now_ns)
{
	struct nat_segment segment = { .flags = flags, .window = 1000 };
	struct nat_flow flow = udp(ALICE, 5000, SERVER, 80);
	struct nat_hit hit;

	flow.protocol = IP_TCP;
	if (!outwards)
		flow.ip = OUTSIDE;
	if (outwards)
		nat_out(nat, &flow, &segment, 60, now_ns, &hit);
	else
		nat_in(nat, &flow, &segment, 60, now_ns, &hit);
}

static void
rfc7857_s2_1_opening_and_closing_have_their_own_timers(void **state)
{
	struct nat_rules rules = { .idle_s = { [NAT_TIMER_TCP_OPENING] = 10,
				       [NAT_TIMER_TCP_CLOSING] = 20 } };
	struct nat *nat = table(&rules);

	(void)state;
	tcp(nat, true, TCP_SYN, 0);
	nat_expire(nat, 9 * S);
	assert_true(nat_has_port(nat, OUTSIDE, IP_TCP, 5000));
	nat_expire(nat, 12 * S);
	assert_false(nat_has_port(nat, OUTSIDE, IP_TCP, 5000));
	tcp(nat, true, TCP_SYN, 100 * S);
	tcp(nat, false, TCP_SYN | TCP_ACK, 100 * S);
	nat_expire(nat, 7000 * S);
	assert_true(nat_has_port(nat, OUTSIDE, IP_TCP, 5000));
	tcp(nat, true, TCP_FIN | TCP_ACK, 7000 * S);
	tcp(nat, false, TCP_FIN | TCP_ACK, 7000 * S);
	nat_expire(nat, 7019 * S);
	assert_true(nat_has_port(nat, OUTSIDE, IP_TCP, 5000));
	nat_expire(nat, 7022 * S);
	assert_false(nat_has_port(nat, OUTSIDE, IP_TCP, 5000));
	nat_free(nat);
}

/* ---- changes ---- */

/* A stranger's session, which keeps no mapping, is there when its host is not
 * known by any other any more. */
static void
rules_change_after_a_mapping_has_left_a_stranger(void **state)
{
	struct nat_rules rules = { .refresh = NAT_REFRESH_OUTBOUND,
		.filtering = NAT_ENDPOINT_INDEPENDENT,
		.no_rest = true };
	struct nat *nat = table(&rules);

	(void)state;
	out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
	assert_int_equal(in(nat, 5000, OTHER, 9, 200 * S), REASON_NAT_IN);
	nat_expire(nat, 310 * S);
	assert_int_equal(nat_stats(nat).mappings, 0);
	rules.host_sessions = 3;
	assert_int_equal(nat_set_rules(nat, &rules, 310 * S, NULL), 0);
	out(nat, udp(ALICE, 5000, SERVER, 1), 310 * S, NULL);
	nat_expire(nat, 700 * S);
	assert_int_equal(nat_stats(nat).sessions, 0);
	nat_free(nat);
}

static void
live_sessions_outlive_their_rules(void **state)
{
	(void)state;
	for (int i = 0; i < NAT_PRESETS * NAT_PRESETS; i++) {
		struct nat_rules rules =
		    *nat_preset((enum nat_preset)(i % NAT_PRESETS));
		struct nat *nat = table(&rules);
		uint16_t port[200], more;

		for (uint16_t k = 0; k < 200; k++) {
			port[k] = out(nat,
			    udp(ALICE + k % 7, (uint16_t)(5000 + k / 14),
				SERVER + k % 2, 1),
			    0, NULL);
			assert_int_not_equal(port[k], 0);
		}
		rules = *nat_preset((enum nat_preset)(i / NAT_PRESETS));
		assert_int_equal(nat_set_rules(nat, &rules, S, NULL), 0);
		for (uint16_t k = 0; k < 200; k++) {
			struct nat_flow f = udp(ALICE + k % 7,
			    (uint16_t)(5000 + k / 14), SERVER + k % 2, 1);

			assert_int_equal(out(nat, f, 2 * S, NULL), port[k]);
			assert_int_equal(
			    in(nat, port[k], SERVER + k % 2, 1, 2 * S),
			    REASON_NAT_IN);
		}
		more = out(nat, udp(ALICE, 7000, OTHER + 5, 1), 2 * S, NULL);
		assert_int_not_equal(more, 0);
		nat_expire(nat, 2 * S + 400 * S);
		assert_int_equal(nat_stats(nat).sessions, 0);
		assert_int_equal(nat_stats(nat).mappings, 0);
		nat_free(nat);
	}
}

static void
rfc4787_req8a_filtering_may_be_chosen_while_it_runs(void **state)
{
	struct nat_rules rules = nat_rules_default;
	struct nat *nat = table(&rules);
	uint16_t port;

	(void)state;
	port = out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
	assert_int_equal(in(nat, port, OTHER, 1, 0), DROP_NAT_FILTERED);
	assert_int_equal(in(nat, port, SERVER, 2, 0), DROP_NAT_FILTERED);
	/* By address: the sessions that are there admit. */
	rules.filtering = NAT_ADDRESS_DEPENDENT;
	assert_int_equal(nat_set_rules(nat, &rules, 0, NULL), 0);
	assert_int_equal(in(nat, port, OTHER, 1, 0), DROP_NAT_FILTERED);
	assert_int_equal(in(nat, port, SERVER, 2, 0), REASON_NAT_IN);
	rules.mapping = NAT_ADDRESS_DEPENDENT;
	assert_int_equal(nat_set_rules(nat, &rules, 0, NULL), 0);
	assert_int_not_equal(
	    out(nat, udp(ALICE, 5000, OTHER, 1), 0, NULL), port);
	assert_int_equal(out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL), port);
	nat_free(nat);
}

static void
a_shorter_timer_holds_for_all(void **state)
{
	struct nat_rules rules = nat_rules_default;
	struct nat *nat = table(&rules);

	(void)state;
	out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
	rules.idle_s[NAT_TIMER_UDP] = 10;
	assert_int_equal(nat_set_rules(nat, &rules, S, NULL), 0);
	out(nat, udp(BOB, 6000, SERVER, 1), 5 * S, NULL);
	assert_true(nat_due_ns(nat) <= 12 * S);
	nat_expire(nat, 13 * S);
	assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 5000));
	assert_true(nat_has_port(nat, OUTSIDE, IP_UDP, 6000));
	nat_expire(nat, 17 * S);
	assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 6000));
	nat_free(nat);
}

static void
rules_that_cannot_be_change_nothing(void **state)
{
	struct nat_rules rules = nat_rules_default, bad = nat_rules_default;
	struct nat *nat = table(&rules);
	struct err err = { "" };

	(void)state;
	bad.block_ports = 7;
	assert_int_equal(nat_set_rules(nat, &bad, 0, &err), -EINVAL);
	assert_string_equal(
	    err.text, "a block of 7 ports cannot be; use 64 to 32768");
	assert_memory_equal(nat_rules(nat), &rules, sizeof(rules));
	nat_free(nat);
}

static void
an_entry_of_a_million_takes_128_bytes_at_most(void **state)
{
	struct nat_options o = { .outside_ip = OUTSIDE,
		.max_entries = 1000000,
		.rules = nat_rules_default };
	struct nat *nat = nat_new(&o, NULL);

	(void)state;
	assert_non_null(nat);
	assert_true(nat_stats(nat).bytes <= UINT64_C(128) * 1000000);
	nat_free(nat);
}

/* ---- more that RFCs ask for ---- */

static uint16_t
tcp_port(struct nat *nat, uint32_t ip, uint16_t port, uint32_t remote_ip)
{
	struct nat_segment segment = { .flags = TCP_SYN, .window = 1000 };
	struct nat_flow flow = udp(ip, port, remote_ip, 80);
	struct nat_hit hit;

	flow.protocol = IP_TCP;
	assert_int_equal(
	    nat_out(nat, &flow, &segment, 60, 0, &hit), REASON_NAT_NEW);
	return hit.port;
}

static void
rfc5382_req7_no_port_is_shared(void **state)
{
	static bool seen[65536];
	struct nat *nat = table(&nat_rules_default);

	(void)state;
	for (uint32_t i = 0; i < 4000; i++) {
		uint16_t port = tcp_port(nat, ALICE + i, 5000, SERVER);

		assert_false(seen[port]);
		seen[port] = true;
	}
	nat_free(nat);
}

static void
rfc7857_s6_a_tcp_mapping_does_not_admit_udp(void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_FULL_CONE);
	struct nat *nat = table(&rules);
	uint16_t port = tcp_port(nat, ALICE, 5000, SERVER);

	(void)state;
	assert_int_equal(in(nat, port, SERVER, 80, 0), DROP_NAT_UNSOLICITED);
	nat_free(nat);
}

static void
rfc6888_req7_a_carriers_filters_are_endpoint_independent(void **state)
{
	struct nat *nat = table(nat_preset(NAT_PRESET_CGN));
	uint16_t port = out(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);

	(void)state;
	assert_int_equal(out(nat, udp(ALICE, 5000, OTHER, 1), 0, NULL), port);
	assert_int_equal(in(nat, port, OTHER + 1, 9, 0), REASON_NAT_IN);
	nat_free(nat);
}

static void
rfc6888_req5_peers_of_one_mapping_are_limited_as_well(void **state)
{
	struct nat_rules rules = { .host_sessions = 10 };
	struct nat *nat = table(&rules);
	enum reason why;

	(void)state;
	for (uint16_t i = 0; i < 10; i++)
		assert_int_not_equal(
		    out(nat, udp(ALICE, 5000, SERVER, (uint16_t)(1 + i)), 0,
			NULL),
		    0);
	assert_int_equal(out(nat, udp(ALICE, 5000, OTHER, 1), 0, &why), 0);
	assert_int_equal(why, DROP_NAT_HOST_LIMIT);
	nat_free(nat);
}

static void
rfc7857_s11_an_icmp_mapping_goes_with_its_last_session(void **state)
{
	struct nat *nat = table(&nat_rules_default);
	struct nat_flow flow = udp(ALICE, 77, SERVER, 0);
	struct nat_hit hit;

	(void)state;
	flow.protocol = IP_ICMP;
	nat_out(nat, &flow, NULL, 98, 0, &hit);
	flow.remote_ip = OTHER;
	nat_out(nat, &flow, NULL, 98, 30 * S, &hit);
	nat_expire(nat, 62 * S);
	assert_true(nat_has_port(nat, OUTSIDE, IP_ICMP, 77));
	nat_expire(nat, 92 * S);
	assert_false(nat_has_port(nat, OUTSIDE, IP_ICMP, 77));
	nat_free(nat);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(mapping_and_filtering_are_nine_kinds),
		cmocka_unit_test(random_ports_are_not_the_inside_ones),
		cmocka_unit_test(rfc7857_s8_parity_may_be_off),
		cmocka_unit_test(contiguous_ports_stay_pairs),
		cmocka_unit_test(
		    overloaded_ports_are_told_apart_by_the_remote_end),
		cmocka_unit_test(overloading_wants_mappings_by_the_remote_end),
		cmocka_unit_test(
		    rfc7857_s3_one_address_serves_more_flows_than_it_has_ports),
		cmocka_unit_test(rfc6888_req14_blocks_are_one_host_each),
		cmocka_unit_test(a_block_is_free_when_its_host_is_silent),
		cmocka_unit_test(
		    rfc6888_req4_a_host_at_its_limit_is_refused_and_others_are_not),
		cmocka_unit_test(rules_say_which_direction_refreshes),
		cmocka_unit_test(
		    a_session_without_an_answer_may_have_its_own_timer),
		cmocka_unit_test(an_answer_that_does_not_refresh_is_an_answer),
		cmocka_unit_test(
		    rfc7857_s2_1_opening_and_closing_have_their_own_timers),
		cmocka_unit_test(rfc5382_req7_no_port_is_shared),
		cmocka_unit_test(rfc7857_s6_a_tcp_mapping_does_not_admit_udp),
		cmocka_unit_test(
		    rfc6888_req7_a_carriers_filters_are_endpoint_independent),
		cmocka_unit_test(
		    rfc6888_req5_peers_of_one_mapping_are_limited_as_well),
		cmocka_unit_test(
		    rfc7857_s11_an_icmp_mapping_goes_with_its_last_session),
		cmocka_unit_test(
		    rules_change_after_a_mapping_has_left_a_stranger),
		cmocka_unit_test(live_sessions_outlive_their_rules),
		cmocka_unit_test(
		    rfc4787_req8a_filtering_may_be_chosen_while_it_runs),
		cmocka_unit_test(a_shorter_timer_holds_for_all),
		cmocka_unit_test(rules_that_cannot_be_change_nothing),
		cmocka_unit_test(an_entry_of_a_million_takes_128_bytes_at_most),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
