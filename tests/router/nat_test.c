/*
 * The NAT as its neighbours see it: each requirement of RFC 4787 (UDP), RFC
 * 5382 (TCP), RFC 5508 (ICMP), RFC 6888 and RFC 7857 that applies is a test,
 * by frames in and frames out, in virtual time.
 */
#include "tests/router/rig.h"

#define EI  NAT_ENDPOINT_INDEPENDENT
#define AD  NAT_ADDRESS_DEPENDENT
#define APD NAT_ADDRESS_AND_PORT_DEPENDENT
#define S   NS_PER_S

static struct rig *
start(void **state, enum nat_behaviour mapping, enum nat_behaviour filtering,
    uint32_t max)
{
	struct rig *rig = rig_new(0);

	*state = rig;
	rig_nat(rig, mapping, filtering, max);
	rig_warm(rig);
	return rig;
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

/* The outside port that a packet of alice's side is given. */
static uint16_t
udp_port(
    struct rig *rig, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	struct got g;
	enum reason reason;

	rig_clear(rig);
	reason = rig_udp(rig, INSIDE, src, sport, dst, dport);
	assert_true(reason == REASON_NAT_NEW || reason == REASON_NAT_OUT);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.ip.dst, dst);
	assert_int_equal(g.dport, dport);
	rig_clear(rig);
	return g.sport;
}

/* What becomes of a datagram from outside. */
static enum reason
udp_in(struct rig *rig, uint32_t src, uint16_t sport, uint16_t to)
{
	return rig_udp(rig, OUTSIDE, src, sport, GW_OUTSIDE, to);
}

static void
expect_in(struct rig *rig, uint32_t src, uint16_t sport, uint16_t to,
    uint32_t host, uint16_t port)
{
	struct got g;

	rig_clear(rig);
	assert_int_equal(udp_in(rig, src, sport, to), REASON_NAT_IN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.src, src);
	assert_int_equal(g.sport, sport);
	assert_int_equal(g.ip.dst, host);
	assert_int_equal(g.dport, port);
	rig_clear(rig);
}

/* ---- RFC 4787: UDP ---- */

static void
rfc4787_req1_mapping_is_endpoint_independent(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint16_t port = udp_port(rig, ALICE, 5555, SERVER, 1000);

	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER, 1001), port);
	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER2, 1000), port);
}

static void
rfc4787_req1_mapping_is_endpoint_independent_even_under_port_collision(
    void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint16_t port;

	assert_int_equal(udp_port(rig, BOB, 5555, SERVER2, 1000), 5555);
	port = udp_port(rig, ALICE, 5555, SERVER, 1000);
	assert_int_not_equal(port, 5555);
	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER2, 1000), port);
	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER2, 1001), port);
	expect_in(rig, SERVER2, 1000, 5555, BOB, 5555);
	expect_in(rig, SERVER2, 1000, port, ALICE, 5555);
}

static void
mapping_can_depend_on_the_address(void **state)
{
	struct rig *rig = start(state, AD, APD, 0);
	uint16_t port = udp_port(rig, ALICE, 5555, SERVER, 1000);

	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER, 1001), port);
	assert_int_not_equal(udp_port(rig, ALICE, 5555, SERVER2, 1000), port);
}

static void
mapping_can_depend_on_address_and_port(void **state)
{
	struct rig *rig = start(state, APD, APD, 0);
	uint16_t port = udp_port(rig, ALICE, 5555, SERVER, 1000);
	uint16_t port2 = udp_port(rig, ALICE, 5555, SERVER, 1001);

	assert_int_not_equal(port2, port);
	assert_int_not_equal(udp_port(rig, ALICE, 5555, SERVER2, 1000), port);
	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER, 1001), port2);
}

static void
rfc4787_req3_no_port_is_shared(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint16_t a = udp_port(rig, ALICE, 7000, SERVER, 1000);
	uint16_t b = udp_port(rig, BOB, 7000, SERVER, 1000);

	assert_int_equal(a, 7000); /* preserved where it is free */
	assert_int_not_equal(a, b);
	expect_in(rig, SERVER, 1000, a, ALICE, 7000);
	expect_in(rig, SERVER, 1000, b, BOB, 7000);
}

static void
rfc4787_req3a_the_class_of_a_port_is_kept(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	assert_int_equal(udp_port(rig, ALICE, 500, SERVER, 1), 500);
	assert_in_range(udp_port(rig, BOB, 500, SERVER, 1), 1, 1023);
	assert_int_equal(udp_port(rig, ALICE, 5000, SERVER, 1), 5000);
	assert_in_range(udp_port(rig, BOB, 5000, SERVER, 1), 1024, 65535);
}

static void
rfc4787_req4_parity_is_kept(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	for (uint16_t i = 0; i < 100; i++) {
		udp_port(rig, ALICE, (uint16_t)(6000 + i), SERVER, 1);
		assert_int_equal(
		    udp_port(rig, BOB, (uint16_t)(6000 + i), SERVER, 1) & 1,
		    i & 1);
	}
}

static void
rfc4787_req5_a_mapping_lives_five_minutes_idle_and_no_longer(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	rig_wait(rig, 299 * S);
	expect_in(rig, SERVER, 1, 5000, ALICE, 5000);
	rig_wait(rig, 300 * S);
	assert_int_equal(udp_in(rig, SERVER, 1, 5000), DROP_NAT_UNSOLICITED);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

static void
rfc4787_req5b_the_timer_is_an_option(void **state)
{
	struct rig *rig = rig_new(0);
	struct router_nat_options o = { .outside = rig->peer[OUTSIDE].gw,
		.rules.idle_s[NAT_TIMER_UDP] = 150 };
	struct err err = { "" };

	*state = rig;
	assert_int_equal(router_set_nat(rig->router, &o, &err), 0);
	rig_warm(rig);
	udp_port(rig, ALICE, 5000, SERVER, 1);
	rig_wait(rig, 149 * S);
	expect_in(rig, SERVER, 1, 5000, ALICE, 5000);
	rig_wait(rig, 150 * S);
	assert_int_equal(udp_in(rig, SERVER, 1, 5000), DROP_NAT_UNSOLICITED);
}

static void
rfc4787_req6_outbound_packets_refresh(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	for (int i = 0; i < 6; i++) {
		assert_int_equal(udp_port(rig, ALICE, 5000, SERVER, 1), 5000);
		rig_wait(rig, 250 * S);
	}
	expect_in(rig, SERVER, 1, 5000, ALICE, 5000);
}

static void
rfc4787_req6a_inbound_packets_refresh(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	for (int i = 0; i < 6; i++) {
		rig_wait(rig, 250 * S);
		expect_in(rig, SERVER, 1, 5000, ALICE, 5000);
	}
}

static void
rfc4787_req8_endpoint_independent_filtering_admits_all(void **state)
{
	struct rig *rig = start(state, EI, EI, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	expect_in(rig, SERVER, 2, 5000, ALICE, 5000);
	expect_in(rig, SERVER2, 3, 5000, ALICE, 5000);
	assert_int_equal(udp_in(rig, SERVER, 1, 5001), DROP_NAT_UNSOLICITED);
}

static void
rfc4787_req8_address_dependent_filtering_admits_the_address(void **state)
{
	struct rig *rig = start(state, EI, AD, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	expect_in(rig, SERVER, 2, 5000, ALICE, 5000);
	assert_int_equal(udp_in(rig, SERVER2, 1, 5000), DROP_NAT_FILTERED);
	udp_port(rig, ALICE, 5000, SERVER2, 9);
	expect_in(rig, SERVER2, 1, 5000, ALICE, 5000);
}

static void
address_dependent_filters_end_with_their_sessions(void **state)
{
	struct rig *rig = start(state, EI, AD, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	udp_port(rig, ALICE, 5000, SERVER, 2);
	rig_wait(rig, 200 * S);
	udp_port(rig, ALICE, 5000, SERVER2, 9);
	rig_wait(rig, 101 * S);
	assert_int_equal(udp_in(rig, SERVER, 3, 5000), DROP_NAT_FILTERED);
	expect_in(rig, SERVER2, 3, 5000, ALICE, 5000);
}

static void
rfc4787_req8_address_and_port_dependent_filtering_admits_the_end(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	assert_int_equal(udp_in(rig, SERVER, 2, 5000), DROP_NAT_FILTERED);
	assert_int_equal(udp_in(rig, SERVER2, 1, 5000), DROP_NAT_FILTERED);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	assert_int_equal(rig->peer[OUTSIDE].n, 0); /* and says nothing */
	expect_in(rig, SERVER, 1, 5000, ALICE, 5000);
}

static void
mappings_by_address_can_be_open_to_all(void **state)
{
	struct rig *rig = start(state, AD, EI, 0);
	uint16_t one = udp_port(rig, ALICE, 5000, SERVER, 1);
	uint16_t two = udp_port(rig, ALICE, 5000, SERVER2, 1);

	assert_int_not_equal(one, two);
	expect_in(rig, FAR, 9, one, ALICE, 5000);
	/* The pair of ends is the other mapping's already. */
	assert_int_equal(udp_in(rig, SERVER2, 1, one), DROP_NAT_FILTERED);
	/* A session of that mapping ends: the pair is free. */
	rig_wait(rig, 301 * S);
	one = udp_port(rig, ALICE, 5000, SERVER, 1);
	expect_in(rig, SERVER2, 1, one, ALICE, 5000);
}

static void
rfc4787_req9_hairpin_arrives_from_the_outer_end(void **state)
{
	struct rig *rig = start(state, EI, EI, 0);
	uint16_t alice, bob;
	struct got g;

	alice = udp_port(rig, ALICE, 5000, SERVER, 1);
	assert_int_equal(rig_udp(rig, INSIDE, BOB, 6000, GW_OUTSIDE, alice),
	    REASON_NAT_HAIRPIN);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.dport, 5000);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	bob = g.sport;
	rig_clear(rig);
	assert_int_equal(rig_udp(rig, INSIDE, ALICE, 5000, GW_OUTSIDE, bob),
	    REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, BOB);
	assert_int_equal(g.dport, 6000);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.sport, alice);
	/* Nobody is told of a shorter way (RFC 1812 5.2.7.2). */
	assert_int_equal(router_node(rig->router)->count[REASON_SENT], 6);
}

static void
hairpin_is_filtered_like_everything_from_outside(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	assert_int_equal(rig_udp(rig, INSIDE, BOB, 6000, GW_OUTSIDE, 5000),
	    DROP_NAT_FILTERED);
	/* Both have sent to the other: both are admitted. */
	assert_int_equal(udp_port(rig, BOB, 6000, SERVER, 1), 6000);
	assert_int_equal(rig_udp(rig, INSIDE, ALICE, 5000, GW_OUTSIDE, 6000),
	    REASON_NAT_HAIRPIN);
	assert_int_equal(rig_udp(rig, INSIDE, BOB, 6000, GW_OUTSIDE, 5000),
	    REASON_NAT_HAIRPIN);
}

static void
hairpin_to_a_port_without_a_mapping_is_the_routers_own_business(void **state)
{
	struct rig *rig = start(state, EI, EI, 0);
	struct got g;

	assert_int_equal(rig_udp(rig, INSIDE, BOB, 6000, GW_OUTSIDE, 5000),
	    DROP_NO_LISTENER);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_PORT);
}

static void
rfc4787_req10_no_payload_is_touched(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct form f = form(ALICE, 5060, SERVER, 5060);
	struct got g;

	f.data_bytes = 600;
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_UDP, 0), REASON_NAT_NEW);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.udp.data_bytes, 600);
	for (size_t i = 0; i < 600; i++)
		assert_int_equal(g.udp.data[i], rig_byte(i));
}

static void
udp_without_a_checksum_stays_without(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct pkt pkt;
	struct got g;

	pkt_make(&pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
	put_be16(pkt.bytes + 34 + UDP_OFF_CHECKSUM, 0);
	assert_int_equal(
	    rig_send(rig, INSIDE, pkt.bytes, pkt.len), REASON_NAT_NEW);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.udp.checksum, 0);
}

static void
a_udp_checksum_that_comes_to_zero_is_sent_as_ones(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct pkt pkt;
	uint16_t checksum;
	uint8_t *udp = pkt.bytes + 34;

	/* With this word instead of 0 the sum comes to 0xffff. */
	f.data_bytes = 2;
	for (int i = 0; i < 2; i++) {
		pkt_make(&pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
		put_be16(udp + 8, i == 0 ? 0 : checksum);
		put_be16(udp + UDP_OFF_CHECKSUM, 0);
		put_be16(udp + UDP_OFF_CHECKSUM,
		    csum_finish(csum_add_bytes(
			csum_pseudo4(ALICE, SERVER, IP_UDP, 10), udp, 10)));
		rig_clear(rig);
		rig_send(rig, INSIDE, pkt.bytes, pkt.len);
		checksum = rig_got(rig, OUTSIDE).udp.checksum;
	}
	assert_int_equal(checksum, 0xffff);
}

static void
a_wrong_checksum_stays_wrong(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct pkt pkt;
	struct ip4 ip;
	struct udp udp;
	struct cursor c;

	pkt_make(&pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
	pkt.bytes[pkt.len - 1] ^= 0x40;
	assert_int_equal(
	    rig_send(rig, INSIDE, pkt.bytes, pkt.len), REASON_NAT_NEW);
	c = cursor(rig->peer[OUTSIDE].seen[0].data + 14, pkt.len - 14);
	assert_int_equal(ip4_parse(&ip, &c), REASON_NONE);
	assert_int_equal(udp_parse(&udp, &c, &ip, false), DROP_L4_CHECKSUM);
}

static void
rfc4787_req11_mapping_stays_the_same_when_the_table_is_full(void **state)
{
	struct rig *rig = start(state, EI, APD, 12);
	uint16_t port;

	udp_port(rig, BOB, 5555, SERVER, 1);
	port = udp_port(rig, ALICE, 5555, SERVER, 1);
	for (uint16_t i = 0; i < 9; i++)
		udp_port(rig, BOB, (uint16_t)(100 + i), SERVER, 1);
	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER2, 1), port);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5555, SERVER2, 2), DROP_NAT_FULL);
	assert_int_equal(udp_port(rig, ALICE, 5555, SERVER, 1), port);
	assert_int_equal(udp_in(rig, SERVER, 2, port), DROP_NAT_FILTERED);
}

static void
rfc4787_req12_no_icmp_ends_a_mapping(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint8_t quote[548];
	size_t n;

	rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 1);
	n = got_to_quote(rig, OUTSIDE, quote);
	for (int type = 0; type < 256; type++)
		for (int code = 0; code < 16; code++)
			rig_error(rig, OUTSIDE, SERVER, GW_OUTSIDE,
			    (uint8_t)type, (uint8_t)code, quote, n);
	expect_in(rig, SERVER, 1, 5000, ALICE, 5000);
}

static void
rfc4787_req12a_errors_come_from_any_router(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint8_t quote[548];
	size_t n;
	struct got g;

	rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 1);
	n = got_to_quote(rig, OUTSIDE, quote);
	assert_int_equal(rig_error(rig, OUTSIDE, FAR, GW_OUTSIDE,
			     ICMP_TIME_EXCEEDED, 0, quote, n),
	    REASON_NAT_ICMP);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.src, FAR);
	assert_int_equal(g.ip.dst, ALICE);
}

static void
rfc4787_req12b_destination_unreachable_reaches_its_host(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint8_t quote[548];
	size_t n;
	struct got g, q;

	udp_port(rig, BOB, 5000, SERVER, 1); /* takes the port from alice */
	rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 1);
	n = got_to_quote(rig, OUTSIDE, quote);
	assert_int_equal(rig_error(rig, OUTSIDE, SERVER, GW_OUTSIDE,
			     ICMP_UNREACHABLE, ICMP_UNREACH_PORT, quote, n),
	    REASON_NAT_ICMP);
	assert_int_equal(rig->verdict.entry, 2);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_PORT);
	q = got_quote(&g);
	assert_int_equal(q.ip.src, ALICE);
	assert_int_equal(q.sport, 5000);
	assert_int_equal(q.ip.dst, SERVER);
	assert_int_equal(q.dport, 1);
	assert_int_equal(g.seen->cause.reason, REASON_NAT_ICMP);
}

static void
rfc4787_req13_too_big_with_df_is_told_of_the_mtu(void **state)
{
	struct rig *rig = rig_new(1400);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct got g, q;

	*state = rig;
	rig_nat(rig, EI, APD, 0);
	rig_warm(rig);
	f.fragment = IP4_DF;
	f.data_bytes = 1472;
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_UDP, 0), DROP_MTU);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.src, GW_INSIDE);
	assert_int_equal(g.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_NEEDFRAG);
	assert_int_equal(g.icmp.frag.mtu, 1400);
	q = got_quote(&g);
	assert_int_equal(q.ip.src, ALICE); /* as it was sent */
	assert_int_equal(q.sport, 5000);
	f.data_bytes = 1372;
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_UDP, 0), REASON_NAT_NEW);
}

/* Joins the fragments that a peer saw, which must be in order, into a packet
 * of its own. */
static struct seen
joined(const struct peer *peer, uint8_t *out)
{
	size_t at = 0;
	struct got g = { .seen = NULL };
	struct ip4 first = { .ttl = 0 };
	struct writer w = writer(out, FRAME_MAX_BYTES);

	for (unsigned int i = 0; i < peer->n; i++) {
		g = got_of(&peer->seen[i]);
		assert_int_equal(g.ip.offset_bytes, at);
		assert_int_equal(
		    (g.ip.fragment & IP4_MF) != 0, i + 1 < peer->n);
		if (i == 0)
			first = g.ip;
		assert_int_equal(g.ip.id, first.id);
		assert_int_equal(g.ip.src, first.src);
		assert_int_equal(g.ip.dst, first.dst);
		memcpy(out + 14 + first.header_bytes + at,
		    g.seen->data + 14 + g.ip.header_bytes,
		    g.ip.total_bytes - g.ip.header_bytes);
		at += g.ip.total_bytes - g.ip.header_bytes;
	}
	eth_write(&w, &g.eth);
	first.total_bytes = (uint16_t)(first.header_bytes + at);
	first.fragment = 0;
	ip4_write(&w, &first);
	return (struct seen){ .data = out, .len = 14u + first.total_bytes };
}

static void
rfc4787_req13a_without_df_fragments_leave_in_order(void **state)
{
	struct rig *rig = rig_new(576);
	struct form f = form(ALICE, 5000, SERVER, 1);
	uint8_t *bytes = malloc(FRAME_MAX_BYTES);
	struct seen seen;
	struct got g;

	*state = rig;
	rig_nat(rig, EI, APD, 0);
	rig_warm(rig);
	f.data_bytes = 1472;
	f.id = 99;
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_UDP, 0), REASON_NAT_NEW);
	assert_int_equal(rig->peer[OUTSIDE].n, 3);
	for (int i = 0; i < 3; i++) {
		assert_true(rig->peer[OUTSIDE].seen[i].len <= 576 + 14);
		assert_int_equal(
		    rig->peer[OUTSIDE].seen[i].cause.reason, REASON_NAT_NEW);
	}
	seen = joined(&rig->peer[OUTSIDE], bytes);
	g = got_of(&seen);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.udp.data_bytes, 1472);
	assert_int_equal(g.udp.data[1471], rig_byte(1471));
	free(bytes);
}

/* Cuts the packet in pkt into n fragments of the same length but the last. */
static void
cut(const struct pkt *pkt, int n, struct pkt *out)
{
	struct cursor c = cursor(pkt->bytes + 14, pkt->len - 14);
	struct ip4 ip;
	size_t payload, part;

	assert_int_equal(ip4_parse(&ip, &c), REASON_NONE);
	payload = cur_left(&c);
	part = (payload / (size_t)n + 7) & ~(size_t)7;
	for (int i = 0; i < n; i++) {
		struct writer w = writer(out[i].bytes, sizeof(out[i].bytes));
		size_t at = part * (size_t)i;
		size_t bytes = payload - at < part ? payload - at : part;
		struct ip4 h = ip;

		h.offset_bytes = (uint16_t)at;
		h.fragment = i + 1 < n ? IP4_MF : 0;
		h.total_bytes = (uint16_t)(h.header_bytes + bytes);
		wr_bytes(&w, pkt->bytes, 14);
		ip4_write(&w, &h);
		wr_bytes(&w, c.at + at, bytes);
		assert_false(w.overrun);
		out[i].len = (size_t)(w.at - out[i].bytes);
	}
}

static const int orders[6][3] = {
	{ 0, 1, 2 },
	{ 0, 2, 1 },
	{ 1, 0, 2 },
	{ 1, 2, 0 },
	{ 2, 0, 1 },
	{ 2, 1, 0 },
};

/* The fragments that a peer saw, in the order of their offsets. */
static int
by_offset(const void *a, const void *b)
{
	const struct seen *x = a, *y = b;

	return (get_be16(x->data + 20) & 0x1fff) -
	    (get_be16(y->data + 20) & 0x1fff);
}

static struct got
reassembled(struct rig *rig, int at, uint8_t *bytes, struct seen *seen)
{
	struct peer *peer = &rig->peer[at];

	qsort(peer->seen, peer->n, sizeof(peer->seen[0]), by_offset);
	*seen = joined(peer, bytes);
	return got_of(seen);
}

static void
rfc4787_req14_fragments_pass_in_each_order_and_direction(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct form back = form(SERVER, 1, GW_OUTSIDE, 0);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(3 * sizeof(*part));
	uint8_t *bytes = malloc(FRAME_MAX_BYTES);
	struct seen seen;
	struct got g;

	/* Somebody else has the port, so that it must change. */
	udp_port(rig, BOB, 5000, SERVER, 1);
	f.data_bytes = back.data_bytes = 3000;
	for (uint16_t o = 0; o < 6; o++) {
		f.id = back.id = (uint16_t)(100 + o);
		pkt_make(pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
		cut(pkt, 3, part);
		for (int i = 0; i < 3; i++) {
			const struct pkt *p = &part[orders[o][i]];

			assert_false(reason_is_drop(
			    rig_send(rig, INSIDE, p->bytes, p->len)));
		}
		assert_int_equal(rig->peer[OUTSIDE].n, 3);
		g = reassembled(rig, OUTSIDE, bytes, &seen);
		assert_int_equal(g.ip.src, GW_OUTSIDE);
		assert_int_not_equal(g.sport, 5000);
		assert_int_equal(g.udp.data_bytes, 3000);
		back.dport = g.sport;
		rig_clear(rig);

		pkt_make(pkt, &rig->peer[OUTSIDE], &back, IP_UDP, 0);
		cut(pkt, 3, part);
		for (int i = 0; i < 3; i++) {
			const struct pkt *p = &part[orders[o][i]];

			assert_false(reason_is_drop(
			    rig_send(rig, OUTSIDE, p->bytes, p->len)));
		}
		g = reassembled(rig, INSIDE, bytes, &seen);
		assert_int_equal(g.ip.dst, ALICE);
		assert_int_equal(g.dport, 5000);
		assert_int_equal(g.udp.data_bytes, 3000);
		rig_clear(rig);
	}
	free(pkt);
	free(part);
	free(bytes);
}

static void
rfc4787_req14_long_pings_pass_in_each_order(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct form f = form(ALICE, 77, SERVER, 0);
	struct form back = form(SERVER, 77, GW_OUTSIDE, 0);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(3 * sizeof(*part));
	uint8_t *bytes = malloc(FRAME_MAX_BYTES);
	struct seen seen;
	struct got g;

	f.data_bytes = back.data_bytes = 3000;
	for (uint16_t o = 0; o < 6; o++) {
		f.id = back.id = (uint16_t)(200 + o);
		pkt_make(
		    pkt, &rig->peer[INSIDE], &f, IP_ICMP, ICMP_ECHO_REQUEST);
		cut(pkt, 3, part);
		for (int i = 0; i < 3; i++)
			rig_send(rig, INSIDE, part[orders[o][i]].bytes,
			    part[orders[o][i]].len);
		g = reassembled(rig, OUTSIDE, bytes, &seen);
		assert_int_equal(g.ip.src, GW_OUTSIDE);
		assert_int_equal(g.icmp.data_bytes, 3000);
		rig_clear(rig);
		pkt_make(
		    pkt, &rig->peer[OUTSIDE], &back, IP_ICMP, ICMP_ECHO_REPLY);
		cut(pkt, 3, part);
		for (int i = 0; i < 3; i++)
			rig_send(rig, OUTSIDE, part[orders[o][i]].bytes,
			    part[orders[o][i]].len);
		g = reassembled(rig, INSIDE, bytes, &seen);
		assert_int_equal(g.ip.dst, ALICE);
		assert_int_equal(g.icmp.type, ICMP_ECHO_REPLY);
		rig_clear(rig);
	}
	free(pkt);
	free(part);
	free(bytes);
}

static void
rfc4787_req14a_a_flood_of_fragments_hurts_only_itself(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct form flood = form(BOB, 1, SERVER, 1);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(3 * sizeof(*part));
	struct pkt *bad = malloc(3 * sizeof(*bad));

	flood.data_bytes = 3000;
	for (uint16_t i = 0; i < 20000; i++) {
		flood.id = i;
		pkt_make(pkt, &rig->peer[INSIDE], &flood, IP_UDP, 0);
		cut(pkt, 3, bad);
		rig_send(rig, INSIDE, bad[1].bytes, bad[1].len);
		if (i % 1000 != 500)
			continue;
		/* Whole packets, and fragments in order with the flood between
		 * them, pass. */
		rig_clear(rig);
		udp_port(rig, ALICE, 4000, SERVER, 1);
		f.id = i;
		f.data_bytes = 3000;
		pkt_make(pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
		cut(pkt, 3, part);
		for (int k = 0; k < 3; k++) {
			assert_false(reason_is_drop(
			    rig_send(rig, INSIDE, part[k].bytes, part[k].len)));
			rig_send(rig, INSIDE, bad[2].bytes, bad[2].len);
		}
		assert_int_equal(rig->peer[OUTSIDE].n, 3);
	}
	/* Nothing is left of it after its time: each of them is lost, once. */
	rig_wait(rig, 31 * S);
	assert_int_equal(
	    router_node(rig->router)->count[DROP_FRAGMENT], 20000 + 20 * 3);
	free(pkt);
	free(part);
	free(bad);
}

static void
overlapping_fragments_are_refused(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(3 * sizeof(*part));

	f.data_bytes = 3000;
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
	cut(pkt, 3, part);
	assert_int_equal(rig_send(rig, INSIDE, part[1].bytes, part[1].len),
	    REASON_FRAGMENT_HELD);
	assert_int_equal(
	    rig_send(rig, INSIDE, part[1].bytes, part[1].len), DROP_FRAGMENT);
	assert_int_equal(
	    rig_send(rig, INSIDE, part[0].bytes, part[0].len), DROP_FRAGMENT);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	free(pkt);
	free(part);
}

static void
rfc3128_a_tiny_fragment_does_not_reach_the_tcp_flags(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(4 * sizeof(*part));

	f.flags = TCP_SYN;
	f.data_bytes = 4;
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_TCP, 0);
	cut(pkt, 3, part); /* 8 bytes each: the flags are in the second */
	assert_int_equal(
	    rig_send(rig, INSIDE, part[0].bytes, part[0].len), DROP_FRAGMENT);
	assert_int_equal(
	    rig_send(rig, INSIDE, part[1].bytes, part[1].len), DROP_FRAGMENT);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	free(pkt);
	free(part);
}

static void
rfc3128_nor_does_one_that_comes_first(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(4 * sizeof(*part));

	f.flags = TCP_SYN;
	f.data_bytes = 4;
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_TCP, 0);
	cut(pkt, 3, part);
	assert_int_equal(
	    rig_send(rig, INSIDE, part[1].bytes, part[1].len), DROP_FRAGMENT);
	free(pkt);
	free(part);
}

static void
rfc4787_req14a_a_packet_that_passes_outlives_a_flood_of_others(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct form flood = form(BOB, 1, SERVER, 1);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(3 * sizeof(*part));
	struct pkt *bad = malloc(3 * sizeof(*bad));

	f.data_bytes = flood.data_bytes = 3000;
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
	cut(pkt, 3, part);
	assert_int_equal(
	    rig_send(rig, INSIDE, part[0].bytes, part[0].len), REASON_NAT_NEW);
	for (uint16_t i = 0; i < 5000; i++) {
		flood.id = i;
		pkt_make(pkt, &rig->peer[INSIDE], &flood, IP_UDP, 0);
		cut(pkt, 3, bad);
		rig_send(rig, INSIDE, bad[1].bytes, bad[1].len);
	}
	assert_int_equal(
	    rig_send(rig, INSIDE, part[1].bytes, part[1].len), REASON_NAT_OUT);
	assert_int_equal(
	    rig_send(rig, INSIDE, part[2].bytes, part[2].len), REASON_NAT_OUT);
	free(pkt);
	free(part);
	free(bad);
}

static void
a_full_table_of_fragments_forgets_first_who_waits(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	struct pkt *pkt = malloc(sizeof(*pkt)),
		   *part = malloc(2 * sizeof(*part));
	struct pkt *other = malloc(2 * sizeof(*other));

	f.data_bytes = 2000;
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
	cut(pkt, 2, part);
	rig_send(rig, INSIDE, part[0].bytes, part[0].len);
	for (uint16_t id = 1; id < 1025; id++) {
		f.id = id;
		pkt_make(pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
		cut(pkt, 2, other);
		rig_send(rig, INSIDE, other[id == 1].bytes, other[id == 1].len);
	}
	/* 1024 packets pass; the one that waited was the 1025th. */
	assert_int_equal(router_node(rig->router)->count[DROP_FRAGMENT], 1);
	assert_int_equal(
	    rig_send(rig, INSIDE, part[1].bytes, part[1].len), REASON_NAT_OUT);
	free(pkt);
	free(part);
	free(other);
}

static void
rfc7857_s10_fragments_of_two_hosts_do_not_mix_outside(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct form a = form(ALICE, 5000, SERVER, 1);
	struct form b = form(BOB, 5000, SERVER, 1);
	struct pkt *pkt = malloc(sizeof(*pkt)), *pa = malloc(2 * sizeof(*pa));
	struct pkt *pb = malloc(2 * sizeof(*pb));
	uint16_t id[4];

	a.id = b.id = 4711;
	a.data_bytes = b.data_bytes = 2000;
	pkt_make(pkt, &rig->peer[INSIDE], &a, IP_UDP, 0);
	cut(pkt, 2, pa);
	pkt_make(pkt, &rig->peer[INSIDE], &b, IP_UDP, 0);
	cut(pkt, 2, pb);
	rig_send(rig, INSIDE, pa[0].bytes, pa[0].len);
	rig_send(rig, INSIDE, pb[0].bytes, pb[0].len);
	rig_send(rig, INSIDE, pa[1].bytes, pa[1].len);
	rig_send(rig, INSIDE, pb[1].bytes, pb[1].len);
	assert_int_equal(rig->peer[OUTSIDE].n, 4);
	for (int i = 0; i < 4; i++)
		id[i] = got_of(&rig->peer[OUTSIDE].seen[i]).ip.id;
	assert_int_equal(id[0], id[2]);
	assert_int_equal(id[1], id[3]);
	assert_int_not_equal(id[0], id[1]);
	free(pkt);
	free(pa);
	free(pb);
}

/* ---- RFC 5382: TCP ---- */

static enum reason
tcp_out(struct rig *rig, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct form f = form(ALICE, 5000, SERVER, 80);

	f.flags = flags;
	f.seq = seq;
	f.ack = ack;
	f.data_bytes = 0;
	rig_clear(rig);
	return rig_form(rig, INSIDE, &f, IP_TCP, 0);
}

static enum reason
tcp_in(struct rig *rig, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct form f = form(SERVER, 80, GW_OUTSIDE, 5000);

	f.flags = flags;
	f.seq = seq;
	f.ack = ack;
	f.data_bytes = 0;
	rig_clear(rig);
	return rig_form(rig, OUTSIDE, &f, IP_TCP, 0);
}

static void
connect_tcp(struct rig *rig)
{
	assert_int_equal(tcp_out(rig, TCP_SYN, 100, 0), REASON_NAT_NEW);
	assert_int_equal(
	    tcp_in(rig, TCP_SYN | TCP_ACK, 900, 101), REASON_NAT_IN);
	assert_int_equal(tcp_out(rig, TCP_ACK, 101, 901), REASON_NAT_OUT);
}

static void
one_state(void *arg, const struct nat_row *row)
{
	*(const char **)arg = row->state;
}

/* The state of the only session, NULL: there is none. */
static const char *
state_of(const struct rig *rig)
{
	const char *state = NULL;

	router_each_nat(rig->router, one_state, &state);
	return state;
}

static void
rfc5382_req1_mapping_is_endpoint_independent(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct got g;

	rig_tcp(rig, INSIDE, BOB, 5000, SERVER2, 80, TCP_SYN);
	rig_clear(rig);
	rig_tcp(rig, INSIDE, ALICE, 5000, SERVER, 80, TCP_SYN);
	g = rig_got(rig, OUTSIDE);
	rig_clear(rig);
	rig_tcp(rig, INSIDE, ALICE, 5000, SERVER2, 80, TCP_SYN);
	assert_int_equal(rig_got(rig, OUTSIDE).sport, g.sport);
	rig_clear(rig);
	rig_tcp(rig, INSIDE, ALICE, 5000, SERVER2, 443, TCP_SYN);
	assert_int_equal(rig_got(rig, OUTSIDE).sport, g.sport);
}

static void
rfc5382_req2_a_connection_opens_and_closes_from_both_sides(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	connect_tcp(rig);
	assert_string_equal(state_of(rig), "established");
	/* The server closes; alice still sends; then she closes. */
	assert_int_equal(
	    tcp_in(rig, TCP_FIN | TCP_ACK, 901, 101), REASON_NAT_IN);
	assert_string_equal(state_of(rig), "closing-in");
	assert_int_equal(
	    tcp_out(rig, TCP_ACK | TCP_PSH, 101, 902), REASON_NAT_OUT);
	assert_int_equal(
	    tcp_out(rig, TCP_FIN | TCP_ACK, 101, 902), REASON_NAT_OUT);
	assert_string_equal(state_of(rig), "finished");
	assert_int_equal(tcp_in(rig, TCP_ACK, 902, 102), REASON_NAT_IN);
	rig_wait(rig, 239 * S);
	assert_string_equal(state_of(rig), "finished");
	rig_wait(rig, 2 * S);
	assert_null(state_of(rig));
}

static void
rfc5382_req2a_a_simultaneous_open_is_one_connection(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	assert_int_equal(tcp_out(rig, TCP_SYN, 100, 0), REASON_NAT_NEW);
	assert_int_equal(tcp_in(rig, TCP_SYN, 900, 0), REASON_NAT_IN);
	assert_string_equal(state_of(rig), "established");
	assert_int_equal(
	    tcp_out(rig, TCP_SYN | TCP_ACK, 100, 901), REASON_NAT_OUT);
	assert_int_equal(
	    tcp_in(rig, TCP_SYN | TCP_ACK, 900, 101), REASON_NAT_IN);
}

static void
rfc5382_req3_filters_are_those_of_udp(void **state)
{
	static const struct {
		enum nat_behaviour filtering;
		enum reason other_port, other_host;
	} rows[] = {
		{ EI, REASON_NAT_IN, REASON_NAT_IN },
		{ AD, REASON_NAT_IN, DROP_NAT_FILTERED },
		{ APD, DROP_NAT_FILTERED, DROP_NAT_FILTERED },
	};

	for (int i = 0; i < 3; i++) {
		struct rig *rig = start(state, EI, rows[i].filtering, 0);

		tcp_out(rig, TCP_SYN, 1, 0);
		assert_int_equal(rig_tcp(rig, OUTSIDE, SERVER, 81, GW_OUTSIDE,
				     5000, TCP_SYN),
		    rows[i].other_port);
		assert_int_equal(rig_tcp(rig, OUTSIDE, SERVER2, 80, GW_OUTSIDE,
				     5000, TCP_SYN),
		    rows[i].other_host);
		if (i < 2)
			rig_free(rig);
	}
}

static void
rfc5382_req4a_unsolicited_syns_hear_nothing(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	assert_int_equal(tcp_in(rig, TCP_SYN, 1, 0), DROP_NAT_UNSOLICITED);
	rig_wait(rig, 10 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

static void
rfc5382_req5_an_idle_connection_lives_two_hours_and_four_minutes(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	connect_tcp(rig);
	rig_wait(rig, 7439 * S);
	assert_int_equal(tcp_in(rig, TCP_ACK, 901, 101), REASON_NAT_IN);
	rig_wait(rig, 7440 * S);
	assert_int_equal(tcp_in(rig, TCP_ACK, 901, 101), DROP_NAT_UNSOLICITED);
	assert_int_equal(tcp_out(rig, TCP_ACK, 101, 901), DROP_NAT_STATE);
}

static void
rfc5382_req5_a_half_open_connection_lives_four_minutes(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	tcp_out(rig, TCP_SYN, 100, 0);
	rig_wait(rig, 239 * S);
	assert_int_equal(
	    tcp_in(rig, TCP_SYN | TCP_ACK, 900, 101), REASON_NAT_IN);
	assert_string_equal(state_of(rig), "established");
}

static void
only_a_syn_begins_a_connection(void **state)
{
	static const uint8_t flags[] = { 0, TCP_ACK, TCP_RST, TCP_FIN,
		TCP_SYN | TCP_ACK, TCP_SYN | TCP_RST, TCP_SYN | TCP_FIN,
		TCP_FIN | TCP_ACK, 0xff };
	struct rig *rig = start(state, EI, EI, 0);

	for (size_t i = 0; i < sizeof(flags); i++)
		assert_int_equal(tcp_out(rig, flags[i], 1, 1), DROP_NAT_STATE);
	assert_null(state_of(rig));
	tcp_out(rig, TCP_SYN, 1, 0);
	for (size_t i = 0; i < sizeof(flags); i++)
		assert_int_equal(rig_tcp(rig, OUTSIDE, SERVER2, 9, GW_OUTSIDE,
				     5000, flags[i]),
		    DROP_NAT_STATE);
}

static void
rfc5382_req8_tcp_hairpins_from_the_outer_end(void **state)
{
	struct rig *rig = start(state, EI, EI, 0);
	struct got g;

	tcp_out(rig, TCP_SYN, 1, 0); /* alice's mapping */
	rig_clear(rig);
	assert_int_equal(
	    rig_tcp(rig, INSIDE, BOB, 6000, GW_OUTSIDE, 5000, TCP_SYN),
	    REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.sport, 6000);
	assert_int_equal(g.ip.dst, ALICE);
	rig_clear(rig);
	assert_int_equal(rig_tcp(rig, INSIDE, ALICE, 5000, GW_OUTSIDE, 6000,
			     TCP_SYN | TCP_ACK),
	    REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, BOB);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
}

static void
rfc5382_req9_unreachable_is_translated_for_tcp(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint8_t quote[548];
	struct got g, q;

	tcp_out(rig, TCP_SYN, 100, 0);
	got_to_quote(rig, OUTSIDE, quote);
	rig_clear(rig);
	/* As RFC 792 quotes: 8 bytes, without the checksum. */
	assert_int_equal(rig_error(rig, OUTSIDE, FAR, GW_OUTSIDE,
			     ICMP_UNREACHABLE, ICMP_UNREACH_NET, quote, 28),
	    REASON_NAT_ICMP);
	g = rig_got(rig, INSIDE);
	q = got_quote(&g);
	assert_int_equal(q.ip.src, ALICE);
	assert_int_equal(q.sport, 5000);
}

static void
rfc5382_req10_no_icmp_ends_a_connection(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint8_t quote[548];
	size_t n;

	connect_tcp(rig);
	n = got_to_quote(rig, OUTSIDE, quote);
	for (uint8_t code = 0; code < 16; code++)
		rig_error(rig, OUTSIDE, SERVER, GW_OUTSIDE, ICMP_UNREACHABLE,
		    code, quote, n);
	assert_string_equal(state_of(rig), "established");
	rig_wait(rig, 7000 * S);
	assert_int_equal(tcp_in(rig, TCP_ACK, 901, 101), REASON_NAT_IN);
}

/* ---- RFC 7857 ---- */

static void
rfc7857_s2_2_a_reset_ends_a_connection_after_four_minutes(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	connect_tcp(rig);
	assert_int_equal(tcp_in(rig, TCP_RST, 901, 0), REASON_NAT_IN);
	assert_int_equal(rig_got(rig, INSIDE).tcp.flags, TCP_RST);
	assert_string_equal(state_of(rig), "reset");
	rig_wait(rig, 239 * S);
	assert_string_equal(state_of(rig), "reset");
	rig_wait(rig, 2 * S);
	assert_null(state_of(rig));
}

static void
rfc7857_s2_2_a_reset_outside_the_window_shortens_nothing(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	connect_tcp(rig);
	assert_int_equal(tcp_in(rig, TCP_RST, 901 + 0x2001, 0), REASON_NAT_IN);
	assert_string_equal(state_of(rig), "established");
	assert_int_equal(tcp_in(rig, TCP_RST, 900, 0), REASON_NAT_IN);
	assert_string_equal(state_of(rig), "established");
	assert_int_equal(
	    tcp_out(rig, TCP_RST, 101 + 0x2001, 0), REASON_NAT_OUT);
	assert_string_equal(state_of(rig), "established");
}

static void
rfc7857_s2_2_data_after_a_reset_establishes_again(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	connect_tcp(rig);
	tcp_in(rig, TCP_RST, 901, 0);
	rig_wait(rig, 100 * S);
	assert_int_equal(tcp_out(rig, TCP_ACK, 101, 901), REASON_NAT_OUT);
	assert_string_equal(state_of(rig), "established");
	rig_wait(rig, 7000 * S);
	assert_string_equal(state_of(rig), "established");
}

static void
rfc7857_s2_what_follows_a_close_or_a_reset_does_not_keep_it(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	connect_tcp(rig);
	tcp_in(rig, TCP_FIN | TCP_ACK, 901, 101);
	tcp_out(rig, TCP_FIN | TCP_ACK, 101, 902);
	rig_wait(rig, 200 * S);
	assert_int_equal(tcp_in(rig, TCP_ACK, 902, 102), REASON_NAT_IN);
	rig_wait(rig, 41 * S);
	assert_null(state_of(rig));
	connect_tcp(rig);
	tcp_in(rig, TCP_RST, 901, 0);
	rig_wait(rig, 200 * S);
	assert_int_equal(tcp_in(rig, TCP_RST, 901, 0), REASON_NAT_IN);
	rig_wait(rig, 41 * S);
	assert_null(state_of(rig));
}

static void
the_same_ports_connect_again_after_a_close(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	connect_tcp(rig);
	tcp_in(rig, TCP_FIN | TCP_ACK, 901, 101);
	tcp_out(rig, TCP_FIN | TCP_ACK, 101, 902);
	rig_wait(rig, 60 * S);
	assert_int_equal(tcp_out(rig, TCP_SYN, 5000, 0), REASON_NAT_OUT);
	assert_string_equal(state_of(rig), "opening");
	assert_int_equal(
	    tcp_in(rig, TCP_SYN | TCP_ACK, 7000, 5001), REASON_NAT_IN);
	rig_wait(rig, 1000 * S);
	assert_string_equal(state_of(rig), "established");
}

static void
rfc7857_s5_udp_and_tcp_mappings_are_apart(void **state)
{
	struct rig *rig = start(state, EI, EI, 0);

	udp_port(rig, BOB, 5000, SERVER, 1);
	tcp_out(rig, TCP_SYN, 1, 0);
	assert_int_equal(rig_got(rig, OUTSIDE).sport, 5000);
	expect_in(rig, SERVER, 9, 5000, BOB, 5000);
	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, SERVER, 9, GW_OUTSIDE, 5000, TCP_SYN),
	    REASON_NAT_IN);
	assert_int_equal(rig_got(rig, INSIDE).ip.dst, ALICE);
}

static void
rfc7857_s7_what_is_refused_refreshes_nothing(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	udp_port(rig, ALICE, 5000, SERVER, 1);
	for (int i = 0; i < 4; i++) {
		rig_wait(rig, 60 * S);
		assert_int_equal(
		    udp_in(rig, SERVER2, 1, 5000), DROP_NAT_FILTERED);
	}
	rig_wait(rig, 61 * S);
	assert_int_equal(udp_in(rig, SERVER2, 1, 5000), DROP_NAT_UNSOLICITED);
}

static void
rfc7857_s7_1_icmp_errors_refresh_nothing(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint8_t quote[548];
	size_t n;

	udp_port(rig, ALICE, 5000, SERVER, 1);
	udp_in(rig, SERVER, 1, 5000);
	n = got_to_quote(rig, INSIDE, quote);
	for (int i = 0; i < 4; i++) {
		rig_wait(rig, 60 * S);
		assert_int_equal(
		    rig_error(rig, INSIDE, ALICE, SERVER, ICMP_UNREACHABLE,
			ICMP_UNREACH_PORT, quote, n),
		    REASON_NAT_ICMP);
	}
	rig_wait(rig, 61 * S);
	assert_int_equal(udp_in(rig, SERVER, 1, 5000), DROP_NAT_UNSOLICITED);
}

static void
rfc7857_s9_other_ports_are_random(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	unsigned int sixteenth[16] = { 0 }, steps = 0;
	uint16_t last = 0;
	double chi = 0;

	for (uint16_t i = 0; i < 1000; i++) {
		uint16_t port;

		udp_port(rig, ALICE, (uint16_t)(20000 + i), SERVER, 1);
		port = udp_port(rig, BOB, (uint16_t)(20000 + i), SERVER, 1);
		sixteenth[(port - 1024) / 4032]++;
		steps += (uint16_t)(port - last) <= 16;
		last = port;
	}
	for (int i = 0; i < 16; i++)
		chi += (sixteenth[i] - 62.5) * (sixteenth[i] - 62.5) / 62.5;
	assert_true(chi < 37.7); /* 15 degrees of freedom, 0.1 % */
	assert_true(steps < 10);
}

/* ---- RFC 5508: ICMP ---- */

static void
rfc5508_req1_pings_pass_and_ids_are_told_apart(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	struct got g;
	uint16_t id;

	assert_int_equal(
	    rig_echo(rig, INSIDE, ALICE, SERVER, 7, ICMP_ECHO_REQUEST),
	    REASON_NAT_NEW);
	assert_int_equal(rig_got(rig, OUTSIDE).icmp.echo.id, 7);
	rig_clear(rig);
	rig_echo(rig, INSIDE, BOB, SERVER, 7, ICMP_ECHO_REQUEST);
	g = rig_got(rig, OUTSIDE);
	id = g.icmp.echo.id;
	assert_int_not_equal(id, 7);
	rig_clear(rig);
	/* The id is the same for all destinations (REQ-1a). */
	rig_echo(rig, INSIDE, BOB, SERVER2, 7, ICMP_ECHO_REQUEST);
	assert_int_equal(rig_got(rig, OUTSIDE).icmp.echo.id, id);
	rig_clear(rig);
	assert_int_equal(
	    rig_echo(rig, OUTSIDE, SERVER, GW_OUTSIDE, id, ICMP_ECHO_REPLY),
	    REASON_NAT_IN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, BOB);
	assert_int_equal(g.icmp.echo.id, 7);
	rig_clear(rig);
	rig_echo(rig, OUTSIDE, SERVER, GW_OUTSIDE, 7, ICMP_ECHO_REPLY);
	assert_int_equal(rig_got(rig, INSIDE).ip.dst, ALICE);
}

static void
rfc5508_req2_a_ping_is_waited_for_a_minute(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);

	rig_echo(rig, INSIDE, ALICE, SERVER, 7, ICMP_ECHO_REQUEST);
	rig_wait(rig, 59 * S);
	assert_int_equal(
	    rig_echo(rig, OUTSIDE, SERVER, GW_OUTSIDE, 7, ICMP_ECHO_REPLY),
	    REASON_NAT_IN);
	rig_wait(rig, 60 * S);
	assert_int_equal(
	    rig_echo(rig, OUTSIDE, SERVER, GW_OUTSIDE, 7, ICMP_ECHO_REPLY),
	    DROP_NAT_UNSOLICITED);
}

/* A packet of alice's has left; its quote, for errors about it. */
static size_t
sent_quote(struct rig *rig, uint8_t *quote)
{
	size_t n;

	rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 1);
	n = got_to_quote(rig, OUTSIDE, quote);
	rig_clear(rig);
	return n;
}

static void
rfc5508_req3_errors_with_wrong_checksums_are_dropped(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint8_t quote[548], bytes[1024];
	size_t n = sent_quote(rig, quote);
	struct writer w = writer(bytes, sizeof(bytes));
	struct eth eth = { .dst = rig->peer[OUTSIDE].gw_mac,
		.src = rig_mac(SERVER),
		.type = ETH_IPV4 };
	struct ip4 ip = { .ttl = 9,
		.protocol = IP_ICMP,
		.src = SERVER,
		.dst = GW_OUTSIDE,
		.total_bytes = (uint16_t)(28 + n) };
	struct icmp icmp = { .type = ICMP_UNREACHABLE,
		.code = 3,
		.data = quote,
		.data_bytes = n };

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	icmp_write(&w, &icmp);
	bytes[14 + 20 + 2] ^= 1;
	assert_int_equal(rig_send(rig, OUTSIDE, bytes, (size_t)(w.at - bytes)),
	    DROP_L4_CHECKSUM);
	quote[IP4_OFF_CHECKSUM] ^= 1; /* REQ-3a */
	assert_int_equal(rig_error(rig, OUTSIDE, SERVER, GW_OUTSIDE,
			     ICMP_UNREACHABLE, 3, quote, n),
	    DROP_IP_CHECKSUM);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

static void
rfc5508_req3b_options_of_the_quote_are_skipped(void **state)
{
	static const uint8_t record_route[8] = { 7, 7, 4, 0, 0, 0, 0, 0 };
	struct rig *rig = start(state, EI, APD, 0);
	struct form f = form(ALICE, 5000, SERVER, 1);
	uint8_t quote[548];
	size_t n;
	struct got g, q;

	f.options = record_route;
	f.option_bytes = sizeof(record_route);
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_UDP, 0), REASON_NAT_NEW);
	n = got_to_quote(rig, OUTSIDE, quote);
	assert_int_equal(rig_error(rig, OUTSIDE, SERVER, GW_OUTSIDE,
			     ICMP_UNREACHABLE, 3, quote, n),
	    REASON_NAT_ICMP);
	g = rig_got(rig, INSIDE);
	q = got_quote(&g);
	assert_int_equal(q.ip.header_bytes, 28);
	assert_int_equal(q.ip.src, ALICE);
	assert_int_equal(q.sport, 5000);
}

static void
rfc5508_req3c_the_quoted_transport_checksum_is_not_looked_at(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint8_t quote[548];
	size_t n = sent_quote(rig, quote);

	quote[20 + UDP_OFF_CHECKSUM] ^= 0x55;
	assert_int_equal(rig_error(rig, OUTSIDE, SERVER, GW_OUTSIDE,
			     ICMP_UNREACHABLE, 3, quote, n),
	    REASON_NAT_ICMP);
	assert_int_equal(rig->peer[INSIDE].n, 1);
}

static void
rfc5508_req3d_extensions_pass_unchanged(void **state)
{
	static const uint8_t mpls[] = { 0x20, 0, 0, 0, 0, 8, 1, 1, 1, 2, 3, 4 };
	struct rig *rig = start(state, EI, APD, 0);
	uint8_t quote[548];
	size_t n = sent_quote(rig, quote);
	struct got g;

	/* RFC 4884: the quote, padded to 128 bytes, and the extension. */
	memset(quote + n, 0, 128 - n);
	memcpy(quote + 128, mpls, sizeof(mpls));
	assert_int_equal(rig_error(rig, OUTSIDE, FAR, GW_OUTSIDE,
			     ICMP_TIME_EXCEEDED, 0, quote, 128 + sizeof(mpls)),
	    REASON_NAT_ICMP);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.icmp.data_bytes, 128 + sizeof(mpls));
	assert_memory_equal(g.icmp.data + 128, mpls, sizeof(mpls));
}

static void
rfc5508_req4_errors_about_nothing_that_passed_are_dropped(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint8_t quote[548];
	size_t n = sent_quote(rig, quote);
	struct form f = form(GW_OUTSIDE, 6000, SERVER, 1);
	struct pkt pkt;

	/* Another port, another source, another protocol. */
	pkt_make(&pkt, &rig->peer[OUTSIDE], &f, IP_UDP, 0);
	assert_int_equal(rig_error(rig, OUTSIDE, SERVER, GW_OUTSIDE,
			     ICMP_UNREACHABLE, 3, pkt.bytes + 14, 28),
	    DROP_NAT_ICMP);
	f = form(ALICE, 5000, SERVER, 1);
	pkt_make(&pkt, &rig->peer[OUTSIDE], &f, IP_UDP, 0);
	assert_int_equal(rig_error(rig, OUTSIDE, SERVER, GW_OUTSIDE,
			     ICMP_UNREACHABLE, 3, pkt.bytes + 14, 28),
	    DROP_NAT_ICMP);
	for (int protocol = 0; protocol < 256; protocol++) {
		if (protocol == IP_UDP)
			continue;
		f = form(GW_OUTSIDE, 5000, SERVER, 1);
		pkt_make(&pkt, &rig->peer[OUTSIDE], &f, (uint8_t)protocol, 8);
		assert_int_equal(rig_error(rig, OUTSIDE, SERVER, GW_OUTSIDE,
				     ICMP_UNREACHABLE, 3, pkt.bytes + 14, 28),
		    DROP_NAT_ICMP);
	}
	/* Cut short at each length. */
	for (size_t i = 0; i < 28; i++)
		assert_true(reason_is_drop(rig_error(rig, OUTSIDE, SERVER,
		    GW_OUTSIDE, ICMP_UNREACHABLE, 3, quote, i)));
	assert_true(n >= 28);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

static void
rfc5508_req4_an_error_about_a_ping_reaches_its_sender(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint8_t quote[548];
	size_t n;
	struct got g, q;

	rig_echo(rig, INSIDE, BOB, SERVER, 7, ICMP_ECHO_REQUEST);
	rig_echo(rig, INSIDE, ALICE, SERVER, 7, ICMP_ECHO_REQUEST);
	n = got_to_quote(rig, OUTSIDE, quote);
	assert_int_equal(rig_error(rig, OUTSIDE, FAR, GW_OUTSIDE,
			     ICMP_TIME_EXCEEDED, 0, quote, n),
	    REASON_NAT_ICMP);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	q = got_quote(&g);
	assert_int_equal(q.ip.src, ALICE);
	assert_int_equal(q.sport, 7);
}

static void
rfc5508_req5_errors_from_inside_speak_of_outer_ends(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint8_t quote[548];
	size_t n;
	struct got g, q;
	uint16_t port;

	udp_port(rig, BOB, 5000, SERVER, 1);
	port = udp_port(rig, ALICE, 5000, SERVER, 1);
	udp_in(rig, SERVER, 1, port);
	n = got_to_quote(rig, INSIDE, quote);
	rig_clear(rig);
	assert_int_equal(rig_error(rig, INSIDE, ALICE, SERVER, ICMP_UNREACHABLE,
			     ICMP_UNREACH_PORT, quote, n),
	    REASON_NAT_ICMP);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.ip.dst, SERVER);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_PORT);
	q = got_quote(&g);
	assert_int_equal(q.ip.src, SERVER);
	assert_int_equal(q.ip.dst, GW_OUTSIDE);
	assert_int_equal(q.dport, port);
	/* One about a packet that never came in does not leave. */
	rig_clear(rig);
	put_be16(quote + 22, 9);
	assert_int_equal(rig_error(rig, INSIDE, ALICE, SERVER, ICMP_UNREACHABLE,
			     ICMP_UNREACH_PORT, quote, n),
	    DROP_NAT_ICMP);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
}

static void
rfc5508_req6_an_error_about_a_ping_neither_refreshes_nor_ends_it(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
	uint8_t quote[548];
	size_t n;

	rig_echo(rig, INSIDE, ALICE, SERVER, 7, ICMP_ECHO_REQUEST);
	n = got_to_quote(rig, OUTSIDE, quote);
	rig_wait(rig, 50 * S);
	rig_error(
	    rig, OUTSIDE, SERVER, GW_OUTSIDE, ICMP_UNREACHABLE, 1, quote, n);
	rig_wait(rig, 9 * S);
	assert_non_null(state_of(rig));
	rig_wait(rig, 1 * S);
	assert_null(state_of(rig));
}

static void
rfc5508_req7_errors_hairpin(void **state)
{
	struct rig *rig = start(state, EI, EI, 0);
	uint8_t quote[548];
	size_t n;
	struct got g, q;

	udp_port(rig, ALICE, 5000, SERVER, 1);
	assert_int_equal(rig_udp(rig, INSIDE, BOB, 6000, GW_OUTSIDE, 5000),
	    REASON_NAT_HAIRPIN);
	n = got_to_quote(rig, INSIDE, quote);
	rig_clear(rig);
	assert_int_equal(rig_error(rig, INSIDE, ALICE, GW_OUTSIDE,
			     ICMP_UNREACHABLE, ICMP_UNREACH_PORT, quote, n),
	    REASON_NAT_ICMP);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, BOB);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	q = got_quote(&g);
	assert_int_equal(q.ip.src, BOB);
	assert_int_equal(q.sport, 6000);
	assert_int_equal(q.ip.dst, GW_OUTSIDE);
	assert_int_equal(q.dport, 5000);
}

static void
rfc6888_req11_a_full_table_refuses_and_the_others_live_on(void **state)
{
	struct rig *rig = start(state, EI, APD, 10);
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
	struct rig *rig = start(state, EI, APD, 0);

	for (uint16_t i = 1; i < 1024; i++)
		udp_port(rig, ALICE, i, SERVER, 1);
	assert_int_equal(
	    rig_udp(rig, INSIDE, BOB, 1000, SERVER, 1), DROP_NAT_NO_PORT);
	udp_port(rig, BOB, 1024, SERVER, 1);
}

/* ---- what goes out, and what does not come in ---- */

static void
other_protocols_are_refused_with_a_reason(void **state)
{
	struct rig *rig = start(state, EI, APD, 0);
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

static void
packets_to_inside_addresses_from_outside_are_refused(void **state)
{
	struct rig *rig = start(state, EI, EI, 0);
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
	struct rig *rig = start(state, EI, APD, 0);
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
	struct rig *rig = start(state, EI, APD, 0);
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
	struct rig *rig = start(state, EI, APD, 0);
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
	struct rig *rig = start(state, EI, APD, 0);
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
	struct rig *rig = start(state, EI, APD, 0);
	uint16_t ports[50];

	for (uint16_t i = 0; i < 50; i++) {
		udp_port(rig, ALICE, (uint16_t)(5000 + i), SERVER, 1);
		ports[i] = udp_port(rig, BOB, (uint16_t)(5000 + i), SERVER, 1);
	}
	rig_free(rig);
	rig = start(state, EI, APD, 0);
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
		T(rfc4787_req1_mapping_is_endpoint_independent),
		T(rfc4787_req1_mapping_is_endpoint_independent_even_under_port_collision),
		T(mapping_can_depend_on_the_address),
		T(mapping_can_depend_on_address_and_port),
		T(rfc4787_req3_no_port_is_shared),
		T(rfc4787_req3a_the_class_of_a_port_is_kept),
		T(rfc4787_req4_parity_is_kept),
		T(rfc4787_req5_a_mapping_lives_five_minutes_idle_and_no_longer),
		T(rfc4787_req5b_the_timer_is_an_option),
		T(rfc4787_req6_outbound_packets_refresh),
		T(rfc4787_req6a_inbound_packets_refresh),
		T(rfc4787_req8_endpoint_independent_filtering_admits_all),
		T(rfc4787_req8_address_dependent_filtering_admits_the_address),
		T(address_dependent_filters_end_with_their_sessions),
		T(rfc4787_req8_address_and_port_dependent_filtering_admits_the_end),
		T(mappings_by_address_can_be_open_to_all),
		T(rfc4787_req9_hairpin_arrives_from_the_outer_end),
		T(hairpin_is_filtered_like_everything_from_outside),
		T(hairpin_to_a_port_without_a_mapping_is_the_routers_own_business),
		T(rfc4787_req10_no_payload_is_touched),
		T(udp_without_a_checksum_stays_without),
		T(a_udp_checksum_that_comes_to_zero_is_sent_as_ones),
		T(a_wrong_checksum_stays_wrong),
		T(rfc4787_req11_mapping_stays_the_same_when_the_table_is_full),
		T(rfc4787_req12_no_icmp_ends_a_mapping),
		T(rfc4787_req12a_errors_come_from_any_router),
		T(rfc4787_req12b_destination_unreachable_reaches_its_host),
		T(rfc4787_req13_too_big_with_df_is_told_of_the_mtu),
		T(rfc4787_req13a_without_df_fragments_leave_in_order),
		T(rfc4787_req14_fragments_pass_in_each_order_and_direction),
		T(rfc4787_req14_long_pings_pass_in_each_order),
		T(rfc4787_req14a_a_flood_of_fragments_hurts_only_itself),
		T(overlapping_fragments_are_refused),
		T(rfc3128_a_tiny_fragment_does_not_reach_the_tcp_flags),
		T(rfc3128_nor_does_one_that_comes_first),
		T(rfc4787_req14a_a_packet_that_passes_outlives_a_flood_of_others),
		T(a_full_table_of_fragments_forgets_first_who_waits),
		T(rfc7857_s10_fragments_of_two_hosts_do_not_mix_outside),
		T(rfc5382_req1_mapping_is_endpoint_independent),
		T(rfc5382_req2_a_connection_opens_and_closes_from_both_sides),
		T(rfc5382_req2a_a_simultaneous_open_is_one_connection),
		T(rfc5382_req3_filters_are_those_of_udp),
		T(rfc5382_req4a_unsolicited_syns_hear_nothing),
		T(rfc5382_req5_an_idle_connection_lives_two_hours_and_four_minutes),
		T(rfc5382_req5_a_half_open_connection_lives_four_minutes),
		T(only_a_syn_begins_a_connection),
		T(rfc5382_req8_tcp_hairpins_from_the_outer_end),
		T(rfc5382_req9_unreachable_is_translated_for_tcp),
		T(rfc5382_req10_no_icmp_ends_a_connection),
		T(rfc7857_s2_2_a_reset_ends_a_connection_after_four_minutes),
		T(rfc7857_s2_2_a_reset_outside_the_window_shortens_nothing),
		T(rfc7857_s2_2_data_after_a_reset_establishes_again),
		T(rfc7857_s2_what_follows_a_close_or_a_reset_does_not_keep_it),
		T(the_same_ports_connect_again_after_a_close),
		T(rfc7857_s5_udp_and_tcp_mappings_are_apart),
		T(rfc7857_s7_what_is_refused_refreshes_nothing),
		T(rfc7857_s7_1_icmp_errors_refresh_nothing),
		T(rfc7857_s9_other_ports_are_random),
		T(rfc5508_req1_pings_pass_and_ids_are_told_apart),
		T(rfc5508_req2_a_ping_is_waited_for_a_minute),
		T(rfc5508_req3_errors_with_wrong_checksums_are_dropped),
		T(rfc5508_req3b_options_of_the_quote_are_skipped),
		T(rfc5508_req3c_the_quoted_transport_checksum_is_not_looked_at),
		T(rfc5508_req3d_extensions_pass_unchanged),
		T(rfc5508_req4_errors_about_nothing_that_passed_are_dropped),
		T(rfc5508_req4_an_error_about_a_ping_reaches_its_sender),
		T(rfc5508_req5_errors_from_inside_speak_of_outer_ends),
		T(rfc5508_req6_an_error_about_a_ping_neither_refreshes_nor_ends_it),
		T(rfc5508_req7_errors_hairpin),
		T(rfc6888_req11_a_full_table_refuses_and_the_others_live_on),
		T(without_a_free_port_a_session_is_refused),
		T(other_protocols_are_refused_with_a_reason),
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
