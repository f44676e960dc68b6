/*
 * What a NAT lets out, what it does not let in, and what it tells of both.
 */
#include "tests/router/nat_rig.h"

static void
rfc6888_req11_a_full_table_refuses_and_the_others_live_on(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 10);
	struct got g, q;

	for (uint16_t i = 0; i < 10; i++)
		udp_port(rig, ALICE, (uint16_t)(5000 + i), SERVER, 1);
	assert_int_equal(
	    rig_udp(rig, INSIDE, BOB, 6000, SERVER, 1), DROP_NAT_FULL);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_HOST);
	q = got_quote(&g);
	assert_int_equal(q.ip.src, BOB);
	for (uint16_t i = 0; i < 10; i++)
		expect_in(rig, SERVER, 1, (uint16_t)(5000 + i), ALICE,
		    (uint16_t)(5000 + i));
	/* Room is there again when the first expire. */
	rig_wait(rig, 301 * S);
	udp_port(rig, BOB, 6000, SERVER, 1);
}

static void
without_a_free_port_a_session_is_refused(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);

	for (uint16_t i = 1; i < 1024; i++)
		udp_port(rig, ALICE, i, SERVER, 1);
	assert_int_equal(
	    rig_udp(rig, INSIDE, BOB, 1000, SERVER, 1), DROP_NAT_NO_PORT);
	udp_port(rig, BOB, 1024, SERVER, 1);
}

static void
other_protocols_are_refused_with_a_reason(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct form f = form(ALICE, 0, SERVER, 0);
	struct got g;

	assert_int_equal(rig_form(rig, INSIDE, &f, 47, 0), DROP_NAT_PROTOCOL);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_PROHIBITED);
	f = form(SERVER, 0, GW_OUTSIDE, 0);
	rig_clear(rig);
	assert_int_equal(rig_form(rig, OUTSIDE, &f, 47, 0), DROP_NAT_PROTOCOL);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	/* An answer to a ping that nobody outside sent. */
	assert_int_equal(
	    rig_echo(rig, INSIDE, ALICE, SERVER, 7, ICMP_ECHO_REPLY),
	    DROP_NAT_STATE);
}

/* UDP-Lite, DCCP, SCTP, ESP and GRE, from and to any host, with an address of its
 * own or not. */
static void
rfc6888_req1_what_is_not_translated_is_not_forwarded(void **state)
{
	static const uint8_t protocols[] = { 136, 33, 132, 50, 47, 0, 255 };
	static const struct router_nat_pair pairs[] = { { IP(203, 0, 113, 7),
	    ALICE } };
	const struct router_nat_options o = {
		.pairs = pairs, .npairs = 1, .rules = nat_rules_default
	};
	struct rig *rig = start_nat(state, &o);

	for (size_t i = 0; i < sizeof(protocols); i++)
		for (int k = 0; k < 4; k++) {
			static const uint32_t ends[4][2] = { { ALICE, SERVER },
				{ BOB, SERVER }, { SERVER, IP(203, 0, 113, 7) },
				{ SERVER, GW_OUTSIDE } };
			struct form f = form(ends[k][0], 1, ends[k][1], 1);

			rig_clear(rig);
			assert_int_equal(rig_form(rig, k < 2 ? INSIDE : OUTSIDE,
					     &f, protocols[i], 0),
			    DROP_NAT_PROTOCOL);
			assert_int_equal(rig->peer[OUTSIDE].n, 0);
			assert_int_equal(rig->peer[INSIDE].n, k < 2);
		}
	assert_string_equal(state_of(rig), "one-to-one"); /* no session */
}

/* With code 13 what is restricted; RFC 6888 REQ-11 prefers code 1 where room is
 * what is missing, and so do we. */
static void
rfc5508_req8_a_refusal_is_told_by_icmp(void **state)
{
	static const struct {
		uint8_t protocol, icmp_type, code;
		enum reason reason;
	} rows[] = {
		{ 132, 0, ICMP_UNREACH_PROHIBITED, DROP_NAT_PROTOCOL },
		{ IP_ICMP, 13, ICMP_UNREACH_PROHIBITED, DROP_NAT_PROTOCOL },
		{ IP_UDP, 0, ICMP_UNREACH_HOST, DROP_NAT_FULL },
		{ IP_ICMP, ICMP_ECHO_REQUEST, ICMP_UNREACH_HOST,
		    DROP_NAT_FULL },
	};
	struct rig *rig = start_as(state, EI, APD, 1);

	rig_tcp(rig, INSIDE, BOB, 5000, SERVER, 80, TCP_SYN);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct form f = form(ALICE, 5000, SERVER, 80);
		struct got g;

		rig_clear(rig);
		assert_int_equal(rig_form(rig, INSIDE, &f, rows[i].protocol,
				     rows[i].icmp_type),
		    rows[i].reason);
		assert_int_equal(rig->peer[OUTSIDE].n, 0);
		g = rig_got(rig, INSIDE);
		assert_int_equal(g.ip.dst, ALICE);
		assert_int_equal(g.icmp.type, ICMP_UNREACHABLE);
		assert_int_equal(g.icmp.code, rows[i].code);
		assert_int_equal(got_quote(&g).ip.src, ALICE);
	}
}

static void
rfc5508_req10b_inside_hosts_are_redirected(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct err err = { "" };
	struct got g;

	assert_int_equal(
	    router_add_route(rig->router,
		(struct ip4_net){ IP(10, 9, 0, 0), 16 }, BOB, &err),
	    0);
	assert_int_equal(rig_udp(rig, INSIDE, ALICE, 5000, IP(10, 9, 0, 1), 1),
	    REASON_ROUTED);
	assert_int_equal(rig->peer[INSIDE].n, 2);
	g = got_of(&rig->peer[INSIDE].seen[0]);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.icmp.type, ICMP_REDIRECT);
	assert_int_equal(g.icmp.word, BOB);
}

static void
packets_to_inside_addresses_from_outside_are_refused(void **state)
{
	struct rig *rig = start_as(state, EI, EI, 0);
	static const uint32_t to[] = { ALICE, CAROL, GW_INSIDE, GW_OTHER };

	rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 1);
	rig_clear(rig);
	for (int i = 0; i < 4; i++)
		assert_int_equal(rig_udp(rig, OUTSIDE, SERVER, 1, to[i], 5000),
		    DROP_NAT_UNSOLICITED);
	for (int i = 0; i < NPEERS; i++)
		assert_int_equal(rig->peer[i].n, 0);
}

static void
inside_links_are_routed_without_translation(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct got g;

	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, CAROL, 1), REASON_ROUTED);
	g = rig_got(rig, OTHER);
	assert_int_equal(g.ip.src, ALICE);
	assert_int_equal(
	    rig_udp(rig, OTHER, CAROL, 1, ALICE, 5000), REASON_ROUTED);
	assert_int_equal(rig_got(rig, INSIDE).ip.src, CAROL);
}

static void
no_source_that_is_not_of_the_link_is_translated(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	static const uint32_t src[] = { FAR, CAROL, GW_INSIDE, GW_OUTSIDE,
		SERVER, IP(10, 0, 0, 255) };

	for (size_t i = 0; i < sizeof(src) / sizeof(src[0]); i++)
		assert_int_equal(rig_udp(rig, INSIDE, src[i], 5000, SERVER, 1),
		    DROP_MARTIAN);
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, ALICE, 5000, GW_OUTSIDE, 1), DROP_MARTIAN);
	assert_null(state_of(rig));
}

static void
behind_a_nat_a_source_needs_a_route_back(void **state)
{
	struct rig *rig = rig_new_without_default();

	*state = rig;
	rig_nat(rig, EI, EI, 0);
	rig_warm(rig);
	udp_port(rig, ALICE, 5000, SERVER, 1);
	assert_int_equal(
	    rig_udp(rig, INSIDE, FAR, 5000, SERVER, 1), DROP_MARTIAN);
	/* From outside anybody may come. */
	expect_in(rig, FAR, 9, 5000, ALICE, 5000);
}

struct refusals {
	unsigned int n;
	struct refusal_row row[64];
};

static void
each_refusal(void *arg, const struct refusal_row *row)
{
	struct refusals *r = arg;

	r->row[r->n++] = *row;
}

static void
refusals_are_remembered_with_their_reason(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct refusals r = { .n = 0 };

	rig_wait(rig, 5 * S);
	udp_port(rig, ALICE, 5000, SERVER, 1);
	udp_in(rig, SERVER, 9, 7000);
	udp_in(rig, SERVER2, 9, 5000);
	rig_tcp(rig, OUTSIDE, SERVER, 1, GW_OUTSIDE, 22, TCP_SYN);
	rig_tcp(rig, INSIDE, ALICE, 6000, SERVER, 80, TCP_ACK);
	router_each_refusal(rig->router, each_refusal, &r);
	assert_int_equal(r.n, 4);
	assert_int_equal(r.row[3].reason, DROP_NAT_STATE);
	assert_int_equal(r.row[3].src_ip, ALICE);
	assert_int_equal(r.row[0].reason, DROP_NAT_UNSOLICITED);
	assert_int_equal(r.row[0].dst_port, 7000);
	assert_int_equal(r.row[0].src_ip, SERVER);
	assert_int_equal(r.row[0].at_ns, 5 * S);
	assert_int_equal(r.row[1].reason, DROP_NAT_FILTERED);
	assert_int_equal(r.row[2].protocol, IP_TCP);
	assert_int_equal(r.row[2].dst_port, 22);
	/* The latest 64, oldest first. */
	for (uint16_t i = 0; i < 100; i++)
		udp_in(rig, SERVER, 9, (uint16_t)(8000 + i));
	r.n = 0;
	router_each_refusal(rig->router, each_refusal, &r);
	assert_int_equal(r.n, 64);
	assert_int_equal(r.row[0].dst_port, 8036);
	assert_int_equal(r.row[63].dst_port, 8099);
}

static void
one_row(void *arg, const struct nat_row *row)
{
	*(struct nat_row *)arg = *row;
}

static void
a_row_tells_all_ends_and_counts(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	struct nat_row row = { .id = 0 };

	udp_port(rig, ALICE, 5000, SERVER, 53);
	router_each_nat(rig->router, one_row, &row);
	assert_string_equal(row.state, "one-way");
	udp_in(rig, SERVER, 53, 5000);
	rig_wait(rig, 100 * S);
	router_each_nat(rig->router, one_row, &row);
	assert_int_equal(row.id, 1);
	assert_int_equal(row.protocol, IP_UDP);
	assert_string_equal(row.state, "two-way");
	assert_int_equal(row.inside_ip, ALICE);
	assert_int_equal(row.inside_port, 5000);
	assert_int_equal(row.outside_ip, GW_OUTSIDE);
	assert_int_equal(row.outside_port, 5000);
	assert_int_equal(row.remote_ip, SERVER);
	assert_int_equal(row.remote_port, 53);
	assert_int_equal(row.left_ns, 200 * S);
	assert_int_equal(row.out_frames, 1);
	assert_int_equal(row.out_bytes, 60);
	assert_int_equal(row.in_frames, 1);
}

static void
two_runs_with_one_seed_give_the_same_ports(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
	uint16_t ports[50];

	for (uint16_t i = 0; i < 50; i++) {
		udp_port(rig, ALICE, (uint16_t)(5000 + i), SERVER, 1);
		ports[i] = udp_port(rig, BOB, (uint16_t)(5000 + i), SERVER, 1);
	}
	rig_free(rig);
	rig = start_as(state, EI, APD, 0);
	for (uint16_t i = 0; i < 50; i++) {
		udp_port(rig, ALICE, (uint16_t)(5000 + i), SERVER, 1);
		assert_int_equal(
		    udp_port(rig, BOB, (uint16_t)(5000 + i), SERVER, 1),
		    ports[i]);
	}
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc6888_req11_a_full_table_refuses_and_the_others_live_on),
		T(without_a_free_port_a_session_is_refused),
		T(other_protocols_are_refused_with_a_reason),
		T(rfc6888_req1_what_is_not_translated_is_not_forwarded),
		T(rfc5508_req8_a_refusal_is_told_by_icmp),
		T(rfc5508_req10b_inside_hosts_are_redirected),
		T(packets_to_inside_addresses_from_outside_are_refused),
		T(inside_links_are_routed_without_translation),
		T(no_source_that_is_not_of_the_link_is_translated),
		T(behind_a_nat_a_source_needs_a_route_back),
		T(refusals_are_remembered_with_their_reason),
		T(a_row_tells_all_ends_and_counts),
		T(two_runs_with_one_seed_give_the_same_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
