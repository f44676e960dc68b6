/*
 * ICMP through the NAT: pings, and errors about what passed (RFC 5508, RFC 4787
 * 9).
 */
#include "tests/router/nat_rig.h"

static void
rfc4787_req12_no_icmp_ends_a_mapping(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
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
	struct rig *rig = start_as(state, EI, APD, 0);
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
	struct rig *rig = start_as(state, EI, APD, 0);
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
rfc7857_s7_1_icmp_errors_refresh_nothing(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
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
rfc5508_req1_pings_pass_and_ids_are_told_apart(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
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
	struct rig *rig = start_as(state, EI, APD, 0);

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
	struct rig *rig = start_as(state, EI, APD, 0);
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
	struct rig *rig = start_as(state, EI, APD, 0);
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
	struct rig *rig = start_as(state, EI, APD, 0);
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
	struct rig *rig = start_as(state, EI, APD, 0);
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
	struct rig *rig = start_as(state, EI, APD, 0);
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

/* Whoever saw the packet tells its sender, and nobody else. */
static void
an_error_goes_to_whom_the_packet_came_from(void **state)
{
	static const uint32_t pool[] = { IP(203, 0, 113, 5),
		IP(203, 0, 113, 9) };
	const struct router_nat_options o = {
		.pool = pool, .npool = 2, .rules = nat_rules_default
	};
	struct rig *rig = start_nat(state, &o);
	uint8_t quote[548];
	uint32_t out, other;
	size_t n;

	rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 1);
	out = rig_got(rig, OUTSIDE).ip.src;
	other = out ^ pool[0] ^ pool[1];
	n = got_to_quote(rig, OUTSIDE, quote);
	rig_clear(rig);
	assert_int_equal(rig_error(rig, OUTSIDE, SERVER, other,
			     ICMP_UNREACHABLE, 3, quote, n),
	    DROP_NAT_ICMP);
	rig_udp(rig, OUTSIDE, SERVER, 1, out, 5000);
	n = got_to_quote(rig, INSIDE, quote);
	rig_clear(rig);
	assert_int_equal(rig_error(rig, INSIDE, ALICE, SERVER2,
			     ICMP_UNREACHABLE, 3, quote, n),
	    DROP_NAT_ICMP);
	for (int i = 0; i < NPEERS; i++)
		assert_int_equal(rig->peer[i].n, 0);
}

static void
rfc5508_req4_an_error_about_a_ping_reaches_its_sender(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
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
	struct rig *rig = start_as(state, EI, APD, 0);
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

/* Is the packet quoted by an error as it was sent, but for what changes on the way:
 * TTL, identification, and the header's checksum? */
static void
expect_quote(const struct got *error, const struct pkt *sent)
{
	uint8_t quote[128], packet[128];
	size_t n = sent->len - 14;

	assert_int_equal(error->icmp.data_bytes, n);
	memcpy(quote, error->icmp.data, n);
	memcpy(packet, sent->bytes + 14, n);
	for (int i = 0; i < 2; i++) {
		uint8_t *ip = i == 0 ? quote : packet;

		ip[IP4_OFF_TTL] = 0;
		put_be16(ip + IP4_OFF_ID, 0);
		put_be16(ip + IP4_OFF_CHECKSUM, 0);
	}
	assert_memory_equal(quote, packet, n);
}

static void
rfc5508_req4_the_quote_is_as_it_was_sent_with_its_checksums(void **state)
{
	static const uint8_t protocols[] = { IP_UDP, IP_TCP, IP_ICMP };
	struct rig *rig = start_as(state, EI, APD, 0);

	for (int i = 0; i < 3; i++) {
		struct form f = form(BOB, 5000, SERVER, 1);
		uint8_t quote[548];
		struct pkt pkt;
		struct got g;
		size_t n;

		/* Bob has what alice wants. */
		f.flags = TCP_SYN;
		rig_form(rig, INSIDE, &f, protocols[i], ICMP_ECHO_REQUEST);
		f.src = ALICE;
		rig_clear(rig);
		pkt_make(&pkt, &rig->peer[INSIDE], &f, protocols[i],
		    ICMP_ECHO_REQUEST);
		rig_send(rig, INSIDE, pkt.bytes, pkt.len);
		assert_int_not_equal(rig_got(rig, OUTSIDE).sport, 5000);
		n = got_to_quote(rig, OUTSIDE, quote);
		rig_clear(rig);
		rig_error(rig, OUTSIDE, FAR, GW_OUTSIDE, ICMP_TIME_EXCEEDED, 1,
		    quote, n);
		g = rig_got(rig, INSIDE);
		assert_int_equal(g.icmp.type, ICMP_TIME_EXCEEDED); /* 4b */
		assert_int_equal(g.icmp.code, 1);
		assert_int_equal(g.ip.dst, ALICE); /* 4c */
		expect_quote(&g, &pkt);
	}
}

static void
rfc5508_req5_the_quote_is_as_it_was_sent_with_its_checksums(void **state)
{
	static const uint8_t protocols[] = { IP_UDP, IP_TCP, IP_ICMP };
	struct rig *rig = start_as(state, EI, APD, 0);

	for (int i = 0; i < 3; i++) {
		struct form f = form(BOB, 5000, SERVER, 1);
		uint8_t quote[548];
		struct pkt pkt;
		struct got g;
		size_t n;

		f.flags = TCP_SYN;
		rig_form(rig, INSIDE, &f, protocols[i], ICMP_ECHO_REQUEST);
		f.src = ALICE;
		rig_clear(rig);
		rig_form(rig, INSIDE, &f, protocols[i], ICMP_ECHO_REQUEST);
		g = rig_got(rig, OUTSIDE);
		f = form(SERVER, protocols[i] == IP_ICMP ? g.sport : 1,
		    GW_OUTSIDE, g.sport);
		f.flags = TCP_SYN | TCP_ACK;
		pkt_make(&pkt, &rig->peer[OUTSIDE], &f, protocols[i],
		    ICMP_ECHO_REPLY);
		rig_clear(rig);
		assert_int_equal(
		    rig_send(rig, OUTSIDE, pkt.bytes, pkt.len), REASON_NAT_IN);
		n = got_to_quote(rig, INSIDE, quote);
		rig_clear(rig);
		rig_error(
		    rig, INSIDE, ALICE, SERVER, ICMP_UNREACHABLE, 2, quote, n);
		g = rig_got(rig, OUTSIDE);
		assert_int_equal(g.icmp.type, ICMP_UNREACHABLE); /* 5b */
		assert_int_equal(g.icmp.code, 2);
		assert_int_equal(g.ip.src, GW_OUTSIDE); /* 5c */
		expect_quote(&g, &pkt);
	}
}

static void
rfc5508_req6_an_error_about_a_ping_neither_refreshes_nor_ends_it(void **state)
{
	struct rig *rig = start_as(state, EI, APD, 0);
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
	struct rig *rig = start_as(state, EI, EI, 0);
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

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc4787_req12_no_icmp_ends_a_mapping),
		T(rfc4787_req12a_errors_come_from_any_router),
		T(rfc4787_req12b_destination_unreachable_reaches_its_host),
		T(rfc7857_s7_1_icmp_errors_refresh_nothing),
		T(rfc5508_req1_pings_pass_and_ids_are_told_apart),
		T(rfc5508_req2_a_ping_is_waited_for_a_minute),
		T(rfc5508_req3_errors_with_wrong_checksums_are_dropped),
		T(rfc5508_req3b_options_of_the_quote_are_skipped),
		T(rfc5508_req3c_the_quoted_transport_checksum_is_not_looked_at),
		T(rfc5508_req3d_extensions_pass_unchanged),
		T(rfc5508_req4_errors_about_nothing_that_passed_are_dropped),
		T(an_error_goes_to_whom_the_packet_came_from),
		T(rfc5508_req4_an_error_about_a_ping_reaches_its_sender),
		T(rfc5508_req5_errors_from_inside_speak_of_outer_ends),
		T(rfc5508_req4_the_quote_is_as_it_was_sent_with_its_checksums),
		T(rfc5508_req5_the_quote_is_as_it_was_sent_with_its_checksums),
		T(rfc5508_req6_an_error_about_a_ping_neither_refreshes_nor_ends_it),
		T(rfc5508_req7_errors_hairpin),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
