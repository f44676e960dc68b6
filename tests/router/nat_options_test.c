/*
 * What RFC 5382 and RFC 5508 leave to who runs the NAT, and what they ask of
 * ICMP around it.
 */
#include "tests/router/nat_rig.h"

#include "base/loop.h"
#include "router/nat_rules.h"

/* ---- RFC 5382 ---- */

enum { SAME_PORT, SAME_ADDRESS, STRANGER, SENDERS };

/* What becomes of a first packet from each kind of sender to a mapping of
 * alice, who spoke to port 80 of the server alone. */
static void
try_senders(struct rig *rig, uint8_t protocol, enum reason got[SENDERS])
{
	static const struct {
		uint32_t ip;
		uint16_t port;
	} from[] = { { SERVER, 80 }, { SERVER, 81 }, { SERVER2, 80 } };

	for (int i = 0; i < SENDERS; i++)
		got[i] = protocol == IP_TCP
		    ? rig_tcp(rig, OUTSIDE, from[i].ip, from[i].port,
			  GW_OUTSIDE, 5000, TCP_SYN)
		    : rig_udp(rig, OUTSIDE, from[i].ip, from[i].port,
			  GW_OUTSIDE, 5000);
}

static enum nat_behaviour
behaviour_of(const enum reason got[SENDERS])
{
	assert_int_equal(got[SAME_PORT], REASON_NAT_IN);
	if (got[STRANGER] == REASON_NAT_IN) {
		assert_int_equal(got[SAME_ADDRESS], REASON_NAT_IN);
		return NAT_ENDPOINT_INDEPENDENT;
	}
	assert_int_equal(got[STRANGER], DROP_NAT_FILTERED);
	if (got[SAME_ADDRESS] == REASON_NAT_IN)
		return NAT_ADDRESS_DEPENDENT;
	assert_int_equal(got[SAME_ADDRESS], DROP_NAT_FILTERED);
	return NAT_ADDRESS_AND_PORT_DEPENDENT;
}

static void
rfc5382_req3a_filters_may_be_chosen(void **state)
{
	enum reason got[SENDERS];

	for (int i = 0; i < 3; i++) {
		struct nat_rules rules = { .filtering = (enum nat_behaviour)i };
		struct rig *rig = start_rules(state, &rules);

		rig_tcp(rig, INSIDE, ALICE, 5000, SERVER, 80, TCP_SYN);
		try_senders(rig, IP_TCP, got);
		assert_int_equal(behaviour_of(got), i);
		rig_free(rig);
	}
	*state = rig_new(0);
}

static void
rfc5382_req3b_filters_of_tcp_are_apart_from_those_of_udp(void **state)
{
	enum reason got[SENDERS];

	for (int i = 0; i < 9; i++) {
		struct nat_rules rules = { .filtering =
					       (enum nat_behaviour)(i % 3),
			.tcp_apart = true,
			.tcp_filtering = (enum nat_behaviour)(i / 3) };
		struct rig *rig = start_rules(state, &rules);

		rig_tcp(rig, INSIDE, ALICE, 5000, SERVER, 80, TCP_SYN);
		rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 80);
		try_senders(rig, IP_TCP, got);
		assert_int_equal(behaviour_of(got), i / 3);
		try_senders(rig, IP_UDP, got);
		assert_int_equal(behaviour_of(got), i % 3);
		rig_free(rig);
	}
	*state = rig_new(0);
}

static void
rfc5382_req5a_timers_are_options(void **state)
{
	struct nat_rules rules = {
		.idle_s = { [NAT_TIMER_TCP] = 50, [NAT_TIMER_TCP_OPENING] = 10 }
	};
	struct rig *rig = start_rules(state, &rules);

	rig_tcp(rig, INSIDE, ALICE, 5000, SERVER, 80, TCP_SYN);
	rig_wait(rig, 9 * S);
	assert_int_equal(rig_tcp(rig, OUTSIDE, SERVER, 80, GW_OUTSIDE, 5000,
			     TCP_SYN | TCP_ACK),
	    REASON_NAT_IN);
	rig_wait(rig, 49 * S);
	assert_int_equal(rig_tcp(rig, INSIDE, ALICE, 5000, SERVER, 80, TCP_ACK),
	    REASON_NAT_OUT);
	rig_wait(rig, 51 * S);
	assert_int_equal(rig_tcp(rig, INSIDE, ALICE, 5000, SERVER, 80, TCP_ACK),
	    DROP_NAT_STATE);
	rig_tcp(rig, INSIDE, ALICE, 5001, SERVER, 80, TCP_SYN);
	rig_wait(rig, 11 * S);
	assert_true(reason_is_drop(rig_tcp(
	    rig, OUTSIDE, SERVER, 80, GW_OUTSIDE, 5001, TCP_SYN | TCP_ACK)));
}

/* ---- RFC 5508 ---- */

static void
rfc5508_req1a_an_id_is_the_same_for_all_destinations(void **state)
{
	struct rig *rig = start_rules(state, &nat_rules_default);
	uint16_t id;

	rig_echo(rig, INSIDE, BOB, SERVER, 7, ICMP_ECHO_REQUEST);
	rig_clear(rig);
	rig_echo(rig, INSIDE, ALICE, SERVER, 7, ICMP_ECHO_REQUEST);
	id = rig_got(rig, OUTSIDE).sport;
	assert_int_not_equal(id, 7); /* bob's */
	rig_clear(rig);
	rig_echo(rig, INSIDE, ALICE, SERVER2, 7, ICMP_ECHO_REQUEST);
	assert_int_equal(rig_got(rig, OUTSIDE).sport, id);
}

static void
rfc5508_req2a_the_time_of_a_ping_is_an_option(void **state)
{
	struct nat_rules rules = { .idle_s = { [NAT_TIMER_ICMP] = 200 } };
	struct rig *rig = start_rules(state, &rules);

	rig_echo(rig, INSIDE, ALICE, SERVER, 7, ICMP_ECHO_REQUEST);
	rig_wait(rig, 199 * S);
	assert_int_equal(
	    rig_echo(rig, OUTSIDE, SERVER, GW_OUTSIDE, 7, ICMP_ECHO_REPLY),
	    REASON_NAT_IN);
	rig_wait(rig, 202 * S);
	assert_int_equal(
	    rig_echo(rig, OUTSIDE, SERVER, GW_OUTSIDE, 7, ICMP_ECHO_REPLY),
	    DROP_NAT_UNSOLICITED);
}

/* What passed the NAT, as it left, for an error to quote. */
static size_t
passed(struct rig *rig, uint8_t quote[600])
{
	const struct seen *seen;
	size_t n;

	rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 80);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
	seen = &rig->peer[OUTSIDE].seen[0];
	n = seen->len - ETH_HEADER_BYTES;
	memcpy(quote, seen->data + ETH_HEADER_BYTES, n);
	rig_clear(rig);
	return n;
}

static void
rfc5508_req3a_a_quoted_header_with_a_wrong_checksum_is_dropped(void **state)
{
	struct rig *rig = start_rules(state, &nat_rules_default);
	uint8_t quote[600];
	size_t n = passed(rig, quote);

	quote[IP4_OFF_TTL]--; /* changed on the way, its checksum was not */
	assert_int_equal(rig_error(rig, OUTSIDE, PROVIDER, GW_OUTSIDE,
			     ICMP_UNREACHABLE, 1, quote, n),
	    DROP_IP_CHECKSUM);
	quote[IP4_OFF_TTL]++;
	assert_int_equal(rig_error(rig, OUTSIDE, PROVIDER, GW_OUTSIDE,
			     ICMP_UNREACHABLE, 1, quote, n),
	    REASON_NAT_ICMP);
}

/* A packet that dies here, from alice. */
static enum reason
short_lived(struct rig *rig)
{
	struct form f = form(ALICE, 5000, SERVER, 80);

	f.ttl = 1;
	return rig_form(rig, INSIDE, &f, IP_UDP, 0);
}

static void
rfc5508_req9_errors_may_be_switched_off_by_port(void **state)
{
	struct rig *rig = rig_new(0);
	struct router_port_options o = { .mac = rig_mac(IP(10, 7, 0, 1)),
		.address = { IP(10, 7, 0, 1), 24 },
		.no_errors = true };
	struct peer *peer = calloc(1, sizeof(*peer));
	struct form f = form(IP(10, 7, 0, 9), 5000, CAROL, 80);
	struct pkt *pkt = malloc(sizeof(*pkt));
	struct burst burst;

	*state = rig;
	port_init(&peer->port, &rig_ops, &rig->node, "lan.quiet");
	peer->rig = rig;
	peer->gw_mac = o.mac;
	peer->gw = router_add_port(rig->router, "gw.quiet", &o, NULL);
	assert_non_null(peer->gw);
	cable_join(&peer->port, peer->gw);
	rig_warm(rig);
	f.ttl = 1;
	pkt_make(pkt, peer, &f, IP_UDP, 0);
	burst_clear(&burst);
	burst_add(&burst, pkt->bytes, pkt->len);
	port_send(&peer->port, &burst);
	assert_int_equal(burst.frame[0].verdict.reason, DROP_TTL);
	assert_int_equal(peer->n, 0);
	/* Others are told as before. */
	assert_int_equal(short_lived(rig), DROP_TTL);
	assert_int_equal(rig_got(rig, INSIDE).icmp.type, ICMP_TIME_EXCEEDED);
	cable_cut(&peer->port);
	free(pkt);
	free(peer);
}

static void
rfc5508_req10a_unreachable_time_exceeded_and_echo(void **state)
{
	struct rig *rig = start_rules(state, &nat_rules_default);
	uint8_t quote[600];
	struct got got;
	size_t n;

	/* made */
	assert_int_equal(short_lived(rig), DROP_TTL);
	assert_int_equal(rig_got(rig, INSIDE).icmp.type, ICMP_TIME_EXCEEDED);
	rig_clear(rig);
	rig_udp(rig, INSIDE, ALICE, 5000, GW_INSIDE, 99);
	got = rig_got(rig, INSIDE);
	assert_int_equal(got.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(got.icmp.code, ICMP_UNREACH_PORT);
	rig_clear(rig);
	rig_echo(rig, INSIDE, ALICE, GW_INSIDE, 7, ICMP_ECHO_REQUEST);
	assert_int_equal(rig_got(rig, INSIDE).icmp.type, ICMP_ECHO_REPLY);
	rig_clear(rig);
	/* passed on */
	n = passed(rig, quote);
	for (int type = 0; type < 2; type++) {
		rig_error(rig, OUTSIDE, PROVIDER, GW_OUTSIDE,
		    type == 0 ? ICMP_UNREACHABLE : ICMP_TIME_EXCEEDED, 0, quote,
		    n);
		got = rig_got(rig, INSIDE);
		assert_int_equal(got.ip.dst, ALICE);
		assert_int_equal(got.ip.src, PROVIDER);
		rig_clear(rig);
	}
}

static void
rfc5508_req10c_a_flood_quenches_no_source(void **state)
{
	struct nat_rules rules = { .host_sessions = 10 };
	struct rig *rig = start_rules(state, &rules);

	for (uint16_t i = 0; i < 200; i++)
		rig_udp(rig, INSIDE, ALICE, 5000 + i, SERVER, 80);
	assert_true(rig->peer[INSIDE].n > 0);
	for (unsigned int i = 0; i < rig->peer[INSIDE].n; i++)
		assert_int_equal(got_of(&rig->peer[INSIDE].seen[i]).icmp.type,
		    ICMP_UNREACHABLE);
}

static void
rfc5508_req10d_errors_have_the_class_of_their_packet(void **state)
{
	static const uint8_t tos[] = { 0, 0xb8, 0x2b, 0xff };
	struct rig *rig = start_rules(state, &nat_rules_default);

	for (size_t i = 0; i < sizeof(tos); i++) {
		struct form f = form(ALICE, 5000, SERVER, 80);

		f.ttl = 1;
		f.tos = tos[i];
		rig_clear(rig);
		assert_int_equal(
		    rig_form(rig, INSIDE, &f, IP_UDP, 0), DROP_TTL);
		assert_int_equal(rig_got(rig, INSIDE).ip.tos, tos[i] >> 2 << 2);
	}
}

static void
rfc5508_s7_3_no_source_route_leaves(void **state)
{
	static const uint8_t routes[][8] = {
		{ 131, 7, 4, 10, 0, 0, 1, 0 }, /* loose */
		{ 137, 7, 4, 10, 0, 0, 1, 0 }, /* strict */
		{ 131, 7, 8, 10, 0, 0, 1, 0 }, /* and at its end */
		{ 1, 68, 2, 1, 131, 3, 4, 0 }, /* behind others */
	};
	struct rig *rig = start_rules(state, &nat_rules_default);
	struct form f = form(ALICE, 77, SERVER, 0);

	f.option_bytes = 8;
	for (int i = 0; i < 4; i++) {
		uint8_t packet[64];
		struct writer w = writer(packet, sizeof(packet));
		struct ip4 quoted = { .ttl = 9,
			.protocol = IP_UDP,
			.src = SERVER,
			.dst = ALICE,
			.header_bytes = 28,
			.options = routes[i],
			.total_bytes = 36 };

		f.options = routes[i];
		rig_clear(rig);
		assert_int_equal(
		    rig_form(rig, INSIDE, &f, IP_ICMP, ICMP_ECHO_REQUEST),
		    DROP_SOURCE_ROUTE);
		f.fragment = 3; /* the other fragments have it, too */
		assert_int_equal(
		    rig_form(rig, INSIDE, &f, IP_UDP, 0), DROP_SOURCE_ROUTE);
		f.fragment = 0;
		/* One in what an error is about. */
		rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 80);
		rig_clear(rig);
		ip4_write(&w, &quoted);
		wr_be32(&w, 80 << 16 | 5000);
		wr_be32(&w, 0);
		assert_int_equal(rig_error(rig, INSIDE, ALICE, SERVER,
				     ICMP_UNREACHABLE, 3, packet, 36),
		    DROP_SOURCE_ROUTE);
		assert_int_equal(rig->peer[OUTSIDE].n, 0);
	}
	/* What records the route passes. */
	f.options = (const uint8_t[]){ 7, 7, 4, 0, 0, 0, 0, 0 };
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_ICMP, ICMP_ECHO_REQUEST),
	    REASON_NAT_NEW);
}

static void
rfc5508_req10e_no_error_is_about_an_error(void **state)
{
	struct rig *rig = start_rules(state, &nat_rules_default);
	uint8_t quote[600];
	size_t n = passed(rig, quote);
	struct form f = form(ALICE, 0, SERVER, 0);

	f.ttl = 1;
	f.data_bytes = n;
	assert_int_equal(
	    rig_form(rig, INSIDE, &f, IP_ICMP, ICMP_UNREACHABLE), DROP_TTL);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	f = form(ALICE, 5000, IP4_BROADCAST, 99);
	rig_form(rig, INSIDE, &f, IP_UDP, 0);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

static void
rfc5508_req10f_errors_are_limited(void **state)
{
	struct rig *rig = start_rules(state, &nat_rules_default);

	for (int i = 0; i < 1000; i++)
		short_lived(rig);
	assert_in_range(rig->peer[INSIDE].n, 1, 100);
}

static void
rfc5508_req11_other_messages_go_no_further(void **state)
{
	static const uint8_t types[] = { 13 /* timestamp */, 15, 17 };
	struct rig *rig = start_rules(state, &nat_rules_default);

	for (int i = 0; i < 3; i++) {
		assert_int_equal(
		    rig_echo(rig, INSIDE, ALICE, SERVER, 7, types[i]),
		    DROP_NAT_PROTOCOL);
		assert_int_equal(
		    rig_echo(rig, OUTSIDE, SERVER, GW_OUTSIDE, 7, types[i]),
		    DROP_NAT_PROTOCOL);
	}
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
}

#define T(name) cmocka_unit_test_teardown(name, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc5382_req3a_filters_may_be_chosen),
		T(rfc5382_req3b_filters_of_tcp_are_apart_from_those_of_udp),
		T(rfc5382_req5a_timers_are_options),
		T(rfc5508_req1a_an_id_is_the_same_for_all_destinations),
		T(rfc5508_req2a_the_time_of_a_ping_is_an_option),
		T(rfc5508_req3a_a_quoted_header_with_a_wrong_checksum_is_dropped),
		T(rfc5508_req9_errors_may_be_switched_off_by_port),
		T(rfc5508_req10a_unreachable_time_exceeded_and_echo),
		T(rfc5508_req10c_a_flood_quenches_no_source),
		T(rfc5508_req10d_errors_have_the_class_of_their_packet),
		T(rfc5508_s7_3_no_source_route_leaves),
		T(rfc5508_req10e_no_error_is_about_an_error),
		T(rfc5508_req10f_errors_are_limited),
		T(rfc5508_req11_other_messages_go_no_further),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
