/*
 * Outside addresses that are one inside host's each: 1:1 NAT, or Basic NAT
 * (RFC 2663 4.1.1).
 */
#include "tests/router/nat_rig.h"

#include "router/nat_pin.h"
#include "router/nat_rules.h"

#define OWN  IP(203, 0, 113, 7)
#define POOL IP(203, 0, 113, 5)

static const struct router_nat_pair pairs[] = { { OWN, ALICE } };

static struct rig *
start(void **state, const struct nat_rules *rules)
{
	static const uint32_t pool[] = { POOL };
	const struct router_nat_options o = { .pool = pool,
		.npool = 1,
		.pairs = pairs,
		.npairs = 1,
		.rules = *rules };

	return start_nat(state, &o);
}

static struct rig *
strict(void **state)
{
	return start(state, &nat_rules_default);
}

static void
a_host_is_its_own_address_outside_with_the_same_ports(void **state)
{
	static const uint16_t ports[] = { 0, 1, 500, 5000, 65535 };

	for (int preset = 0; preset < NAT_PRESETS; preset++) {
		struct rig *rig =
		    start(state, nat_preset((enum nat_preset)preset));

		for (int i = 0; i < 5; i++)
			for (uint32_t to = SERVER; to <= SERVER2; to++) {
				struct got g;

				rig_clear(rig);
				assert_false(reason_is_drop(rig_udp(
				    rig, INSIDE, ALICE, ports[i], to, 9)));
				g = rig_got(rig, OUTSIDE);
				assert_int_equal(g.ip.src, OWN);
				assert_int_equal(g.sport, ports[i]);
			}
		rig_clear(rig);
		rig_udp(rig, INSIDE, BOB, 5000, SERVER, 9);
		assert_int_equal(rig_got(rig, OUTSIDE).ip.src, POOL);
		if (preset < NAT_PRESETS - 1)
			rig_free(rig);
	}
}

static void
whoever_sends_there_is_let_in(void **state)
{
	struct rig *rig = strict(state);
	struct got g;

	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, FAR, 1000, OWN, 22, TCP_SYN), REASON_NAT_IN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.dport, 22);
	assert_int_equal(g.ip.src, FAR);
	rig_clear(rig);
	assert_int_equal(
	    rig_tcp(rig, INSIDE, ALICE, 22, FAR, 1000, TCP_SYN | TCP_ACK),
	    REASON_NAT_OUT);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, OWN);
	assert_int_equal(g.sport, 22);
	/* Others too, to the same port and to others. */
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, SERVER, 1, OWN, 22), REASON_NAT_IN);
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, SERVER2, 2, OWN, 22), REASON_NAT_IN);
	/* But what begins no connection does not. */
	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, SERVER, 1, OWN, 80, TCP_ACK), DROP_NAT_STATE);
}

static void
rfc7857_s12_a_ping_from_outside_reaches_the_host_and_is_answered(void **state)
{
	struct rig *rig = strict(state);
	struct got g;

	assert_int_equal(
	    rig_echo(rig, OUTSIDE, SERVER, OWN, 77, ICMP_ECHO_REQUEST),
	    REASON_NAT_IN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.icmp.type, ICMP_ECHO_REQUEST);
	assert_int_equal(g.icmp.echo.id, 77);
	rig_clear(rig);
	assert_int_equal(
	    rig_echo(rig, INSIDE, ALICE, SERVER, 77, ICMP_ECHO_REPLY),
	    REASON_NAT_OUT);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, OWN);
	assert_int_equal(g.icmp.type, ICMP_ECHO_REPLY);
	assert_int_equal(g.icmp.echo.id, 77);
	/* What nobody asked for is still refused. */
	assert_int_equal(
	    rig_echo(rig, INSIDE, ALICE, SERVER, 78, ICMP_ECHO_REPLY),
	    DROP_NAT_STATE);
	assert_int_equal(
	    rig_echo(rig, INSIDE, BOB, SERVER, 77, ICMP_ECHO_REPLY),
	    DROP_NAT_STATE);
	/* And the router answers for its other addresses. */
	assert_int_equal(
	    rig_echo(rig, OUTSIDE, SERVER, POOL, 77, ICMP_ECHO_REQUEST),
	    REASON_DELIVERED);
}

static void
the_hosts_own_pings_are_answered(void **state)
{
	struct rig *rig = strict(state);

	assert_int_equal(
	    rig_echo(rig, INSIDE, ALICE, SERVER, 5, ICMP_ECHO_REQUEST),
	    REASON_NAT_NEW);
	assert_int_equal(rig_got(rig, OUTSIDE).ip.src, OWN);
	rig_clear(rig);
	assert_int_equal(
	    rig_echo(rig, OUTSIDE, SERVER, OWN, 5, ICMP_ECHO_REPLY),
	    REASON_NAT_IN);
	assert_int_equal(rig_got(rig, INSIDE).ip.dst, ALICE);
}

static void
inside_hosts_reach_it_by_hairpin(void **state)
{
	struct rig *rig = strict(state);
	struct got g;

	assert_int_equal(rig_tcp(rig, INSIDE, BOB, 1000, OWN, 80, TCP_SYN),
	    REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.dport, 80);
	assert_int_equal(g.ip.src, POOL);
}

static void
rfc5508_req7a_pings_go_round_to_it_and_back(void **state)
{
	struct rig *rig = strict(state);
	uint16_t id;
	struct got g;

	/* alice has the id towards another already. */
	rig_echo(rig, INSIDE, ALICE, SERVER, 77, ICMP_ECHO_REQUEST);
	rig_clear(rig);
	assert_int_equal(rig_echo(rig, INSIDE, BOB, OWN, 77, ICMP_ECHO_REQUEST),
	    REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.ip.src, POOL);
	assert_int_equal(g.icmp.type, ICMP_ECHO_REQUEST);
	id = g.icmp.echo.id;
	rig_clear(rig);
	assert_int_equal(
	    rig_echo(rig, INSIDE, ALICE, POOL, id, ICMP_ECHO_REPLY),
	    REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, BOB);
	assert_int_equal(g.ip.src, OWN);
	assert_int_equal(g.icmp.type, ICMP_ECHO_REPLY);
	assert_int_equal(g.icmp.echo.id, 77);
	/* What nobody asked for goes nowhere. */
	rig_clear(rig);
	rig_echo(rig, INSIDE, ALICE, POOL, id + 1, ICMP_ECHO_REPLY);
	rig_echo(rig, INSIDE, BOB, OWN, id + 1, ICMP_ECHO_REPLY);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
}

static void
arp_is_answered_for_it_outside(void **state)
{
	struct rig *rig = strict(state);
	const struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = rig_mac(SERVER),
		.sender_ip = SERVER,
		.target_ip = OWN };

	rig->peer[OUTSIDE].keep_arp = true;
	assert_int_equal(rig_arp(rig, OUTSIDE, arp, true), REASON_DELIVERED);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
	assert_int_equal(got_arp(&rig->peer[OUTSIDE].seen[0]).sender_ip, OWN);
}

static void
errors_reach_the_host(void **state)
{
	struct rig *rig = strict(state);
	uint8_t quote[548];
	size_t n;
	struct got g;

	rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 9);
	n = got_to_quote(rig, OUTSIDE, quote);
	rig_clear(rig);
	assert_int_equal(rig_error(rig, OUTSIDE, SERVER, OWN, ICMP_UNREACHABLE,
			     ICMP_UNREACH_PORT, quote, n),
	    REASON_NAT_ICMP);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(got_quote(&g).ip.src, ALICE);
}

/* What the error at a peer is about, if it came from and went to there. */
static struct got
quote_of(struct rig *rig, int at, uint32_t src, uint32_t dst)
{
	struct got g = rig_got(rig, at);

	assert_int_equal(g.ip.src, src);
	assert_int_equal(g.ip.dst, dst);
	return got_quote(&g);
}

static void
rfc5508_req4_an_error_about_its_answer_to_a_ping_reaches_the_host(void **state)
{
	struct rig *rig = strict(state);
	uint8_t quote[548];
	size_t n;
	struct got q;

	rig_echo(rig, OUTSIDE, SERVER, OWN, 77, ICMP_ECHO_REQUEST);
	rig_echo(rig, INSIDE, ALICE, SERVER, 77, ICMP_ECHO_REPLY);
	n = got_to_quote(rig, OUTSIDE, quote);
	rig_clear(rig);
	/* As when a long answer does not fit a link. */
	assert_int_equal(rig_error(rig, OUTSIDE, PROVIDER, OWN,
			     ICMP_UNREACHABLE, ICMP_UNREACH_NEEDFRAG, quote, n),
	    REASON_NAT_ICMP);
	q = quote_of(rig, INSIDE, PROVIDER, ALICE);
	assert_int_equal(q.ip.src, ALICE);
	assert_int_equal(q.sport, 77);
	/* But not one about an answer that nobody asked for. */
	quote[20 + ICMP_OFF_ID + 1] ^= 1;
	assert_int_equal(rig_error(rig, OUTSIDE, PROVIDER, OWN,
			     ICMP_UNREACHABLE, ICMP_UNREACH_NEEDFRAG, quote, n),
	    DROP_NAT_ICMP);
}

static void
rfc5508_req5_an_error_about_a_ping_from_outside_reaches_its_sender(void **state)
{
	struct rig *rig = strict(state);
	uint8_t quote[548];
	size_t n;
	struct got q;

	rig_echo(rig, OUTSIDE, SERVER, OWN, 77, ICMP_ECHO_REQUEST);
	n = got_to_quote(rig, INSIDE, quote);
	rig_clear(rig);
	assert_int_equal(rig_error(rig, INSIDE, ALICE, SERVER, ICMP_UNREACHABLE,
			     ICMP_UNREACH_HOST, quote, n),
	    REASON_NAT_ICMP);
	q = quote_of(rig, OUTSIDE, OWN, SERVER);
	assert_int_equal(q.ip.src, SERVER);
	assert_int_equal(q.ip.dst, OWN);
	assert_int_equal(q.sport, 77);
}

static void
rfc5508_req7_errors_about_pings_between_inside_hosts_go_round(void **state)
{
	struct rig *rig = strict(state);
	uint8_t ping[548], answer[548];
	size_t nping, nanswer;
	struct got q;

	/* Another has bob's id. */
	rig_echo(rig, OTHER, CAROL, SERVER, 77, ICMP_ECHO_REQUEST);
	rig_clear(rig);
	rig_echo(rig, INSIDE, BOB, OWN, 77, ICMP_ECHO_REQUEST);
	q = rig_got(rig, INSIDE);
	assert_int_not_equal(q.sport, 77);
	nping = got_to_quote(rig, INSIDE, ping);
	rig_echo(rig, INSIDE, ALICE, POOL, q.sport, ICMP_ECHO_REPLY);
	nanswer = got_to_quote(rig, INSIDE, answer);
	rig_clear(rig);
	assert_int_equal(rig_error(rig, INSIDE, ALICE, POOL, ICMP_UNREACHABLE,
			     ICMP_UNREACH_PORT, ping, nping),
	    REASON_NAT_ICMP);
	q = quote_of(rig, INSIDE, OWN, BOB);
	assert_int_equal(q.ip.src, BOB);
	assert_int_equal(q.ip.dst, OWN);
	assert_int_equal(q.sport, 77);
	rig_clear(rig);
	assert_int_equal(rig_error(rig, INSIDE, BOB, OWN, ICMP_UNREACHABLE,
			     ICMP_UNREACH_PORT, answer, nanswer),
	    REASON_NAT_ICMP);
	q = quote_of(rig, INSIDE, POOL, ALICE);
	assert_int_equal(q.ip.src, ALICE);
	assert_int_equal(q.ip.dst, POOL);
}

static void
rfc5508_req5c_errors_come_from_who_sends_them(void **state)
{
	static const struct router_nat_pair two[] = { { OWN, ALICE },
		{ OWN + 1, IP(10, 0, 0, 2) } };
	static const struct {
		uint32_t sender, seen;
	} rows[] = {
		{ ALICE, OWN },
		{ IP(10, 0, 0, 2), OWN + 1 },    /* a router of its own */
		{ IP(10, 0, 0, 3), GW_OUTSIDE }, /* and one without */
	};
	static const uint32_t pool[] = { POOL };
	const struct router_nat_options o = { .pool = pool,
		.npool = 1,
		.pairs = two,
		.npairs = 2,
		.rules = nat_rules_default };
	struct rig *rig = start_nat(state, &o);
	uint8_t quote[548];
	size_t n;

	rig_udp(rig, OUTSIDE, SERVER, 9, OWN, 5000);
	n = got_to_quote(rig, INSIDE, quote);
	for (int i = 0; i < 3; i++) {
		struct got q;

		rig_clear(rig);
		assert_int_equal(rig_error(rig, INSIDE, rows[i].sender, SERVER,
				     ICMP_TIME_EXCEEDED, 0, quote, n),
		    REASON_NAT_ICMP);
		q = quote_of(rig, OUTSIDE, rows[i].seen, SERVER);
		assert_int_equal(q.ip.dst, OWN);
	}
}

static void
nobody_else_has_a_port_there(void **state)
{
	struct rig *rig = strict(state);
	struct router_forward forward = { .protocol = IP_TCP,
		.out_ip = OWN,
		.out_port = 80,
		.in_ip = BOB,
		.in_port = 80 };
	struct err err = { "" };

	assert_true(router_add_forward(rig->router, &forward, &err) < 0);
	/* But a forward of its own leads to another port. */
	forward.in_ip = ALICE;
	forward.in_port = 8080;
	assert_int_equal(router_add_forward(rig->router, &forward, &err), 0);
	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, SERVER, 1, OWN, 80, TCP_SYN), REASON_NAT_IN);
	assert_int_equal(rig_got(rig, INSIDE).dport, 8080);
	/* Which has another end outside now. */
	assert_int_equal(rig_tcp(rig, OUTSIDE, SERVER2, 1, OWN, 8080, TCP_SYN),
	    DROP_NAT_UNSOLICITED);
}

static void
rfc6888_req8_it_is_exempt_from_rest_as_what_is_static(void **state)
{
	struct rig *rig = start(state, nat_preset(NAT_PRESET_FULL_CONE));

	rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 9);
	rig_wait(rig, 302 * NS_PER_S);
	rig_clear(rig);
	rig_udp(rig, OUTSIDE, SERVER2, 9, OWN, 5000);
	assert_int_equal(rig_got(rig, INSIDE).dport, 5000);
}

static void
first_row(void *arg, const struct nat_row *row)
{
	struct nat_row *first = arg;

	if (first->state == NULL)
		*first = *row;
}

static void
it_is_shown_with_why_it_exists(void **state)
{
	struct rig *rig = strict(state);
	struct nat_row row = { .state = NULL };

	router_each_nat(rig->router, first_row, &row);
	assert_int_equal(row.id, 0);
	assert_string_equal(row.state, "one-to-one");
	assert_string_equal(row.why, "the lab gives the host the address");
	assert_int_equal(row.inside_ip, ALICE);
	assert_int_equal(row.outside_ip, OWN);
}

static void
pairs_that_cannot_be_are_refused_with_a_sentence(void **state)
{
	static const struct {
		struct router_nat_pair pairs[2];
		const char *why;
	} bad[] = {
		{ { { OWN, ALICE }, { OWN, BOB } }, "it is the NAT's already" },
		{ { { OWN, ALICE }, { NAT_BLOCK_PORTS, ALICE } }, "is not" },
		{ { { OWN, ALICE }, { OWN + 1, ALICE } },
		    "that host has one already" },
		{ { { GW_OUTSIDE, ALICE }, { OWN, BOB } },
		    "it is the NAT's already" },
		{ { { OWN, SERVER }, { OWN + 1, BOB } }, "is not inside" },
		{ { { BOB, ALICE }, { OWN, BOB } }, "is reached by port" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct rig *rig = rig_new(0);
		struct router_nat_options o = { .outside =
						    rig->peer[OUTSIDE].gw,
			.pairs = bad[i].pairs,
			.npairs = 2 };
		struct err err = { "" };

		assert_true(router_set_nat(rig->router, &o, &err) < 0);
		assert_non_null(strstr(err.text, bad[i].why));
		rig_free(rig);
	}
	*state = rig_new(0);
}

#define T(test) cmocka_unit_test_teardown(test, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_host_is_its_own_address_outside_with_the_same_ports),
		T(whoever_sends_there_is_let_in),
		T(rfc7857_s12_a_ping_from_outside_reaches_the_host_and_is_answered),
		T(the_hosts_own_pings_are_answered),
		T(inside_hosts_reach_it_by_hairpin),
		T(rfc5508_req7a_pings_go_round_to_it_and_back),
		T(arp_is_answered_for_it_outside),
		T(errors_reach_the_host),
		T(rfc5508_req4_an_error_about_its_answer_to_a_ping_reaches_the_host),
		T(rfc5508_req5_an_error_about_a_ping_from_outside_reaches_its_sender),
		T(rfc5508_req7_errors_about_pings_between_inside_hosts_go_round),
		T(rfc5508_req5c_errors_come_from_who_sends_them),
		T(nobody_else_has_a_port_there),
		T(rfc6888_req8_it_is_exempt_from_rest_as_what_is_static),
		T(it_is_shown_with_why_it_exists),
		T(pairs_that_cannot_be_are_refused_with_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
