/*
 * The router by frames: RFC 1812 at the IP layer, RFC 826 and 5227 below it,
 * DHCP as clients speak it, offloads, and what comes back at once.
 */
#include "tests/router/rig.h"

#include <errno.h>

#include "net/dhcp.h"

#define S NS_PER_S

static struct rig *
start(void **state)
{
	struct rig *rig = rig_new(0);

	*state = rig;
	rig_warm(rig);
	return rig;
}

static struct rig *
start_nat(void **state)
{
	struct rig *rig = rig_new(0);

	*state = rig;
	rig_nat(
	    rig, NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT, 0);
	rig_warm(rig);
	return rig;
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static uint64_t
count(struct rig *rig, enum reason reason)
{
	return router_node(rig->router)->count[reason];
}

/* ---- the way of a packet ---- */

static void
a_packet_goes_out_with_the_outer_address_and_its_answer_comes_back(void **state)
{
	struct rig *rig = rig_new(0);
	struct got g;

	*state = rig;
	rig_nat(
	    rig, NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT, 0);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 53), REASON_ARP_QUEUED);
	assert_int_equal(rig->verdict.entry, 1);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.ip.ttl, 63);
	assert_int_equal(g.sport, 5000);
	assert_int_equal(g.seen->cause.reason, REASON_ARP_QUEUED);
	assert_int_equal(g.seen->cause.entry, 1);
	rig_clear(rig);
	assert_int_equal(rig_udp(rig, OUTSIDE, SERVER, 53, GW_OUTSIDE, 5000),
	    REASON_ARP_QUEUED);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.dport, 5000);
	rig_clear(rig);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 53), REASON_NAT_OUT);
	assert_int_equal(rig->verdict.entry, 1);
	assert_int_equal(rig->verdict.nout, 1);
	assert_ptr_equal(rig->verdict.out, rig->peer[OUTSIDE].gw);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.seen->cause.reason, REASON_NAT_OUT);
	assert_int_equal(g.seen->cause.entry, 1);
}

static void
a_router_without_nat_routes(void **state)
{
	struct rig *rig = start(state);
	struct got g;

	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 53), REASON_ROUTED);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, ALICE);
	assert_int_equal(g.ip.ttl, 63);
	assert_true(
	    mac_equal(&g.eth.dst, &(struct mac){ { 2, 0, 203, 0, 113, 10 } }));
	assert_true(mac_equal(&g.eth.src, &rig->peer[OUTSIDE].gw_mac));
	rig_clear(rig);
	rig_udp(rig, OUTSIDE, SERVER, 53, ALICE, 5000);
	assert_int_equal(rig_got(rig, INSIDE).ip.src, SERVER);
	/* By the default route, to the next hop's station. */
	rig_clear(rig);
	rig_udp(rig, INSIDE, ALICE, 5000, FAR, 53);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.eth.dst.b[5], 254);
	assert_int_equal(g.ip.dst, FAR);
}

static void
time_runs_out_with_an_error_to_the_sender(void **state)
{
	struct rig *rig = start_nat(state);
	struct form f = form(ALICE, 5000, SERVER, 33434);
	struct got g, q;

	for (uint8_t ttl = 0; ttl <= 1; ttl++) {
		f.ttl = ttl;
		rig_clear(rig);
		assert_int_equal(
		    rig_form(rig, INSIDE, &f, IP_UDP, 0), DROP_TTL);
		g = rig_got(rig, INSIDE);
		assert_int_equal(g.ip.src, GW_INSIDE);
		assert_int_equal(g.icmp.type, ICMP_TIME_EXCEEDED);
		assert_int_equal(g.icmp.code, 0);
		assert_int_equal(g.seen->cause.reason, REASON_SENT);
		q = got_quote(&g);
		assert_int_equal(q.ip.src, ALICE);
		assert_int_equal(q.dport, 33434);
	}
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	f.ttl = 2;
	rig_form(rig, INSIDE, &f, IP_UDP, 0);
	assert_int_equal(rig_got(rig, OUTSIDE).ip.ttl, 1);
	/* To the router itself it is never too late (RFC 1812 5.3.1). */
	f = form(ALICE, 9, GW_INSIDE, 0);
	f.ttl = 1;
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_ICMP, ICMP_ECHO_REQUEST),
	    REASON_DELIVERED);
}

static void
every_ttl_and_checksum_is_updated_right(void **state)
{
	struct rig *rig = start(state);
	struct form f = form(ALICE, 5000, SERVER, 9);

	for (unsigned int ttl = 2; ttl < 256; ttl++)
		for (unsigned int id = 0; id < 65536; id += 251) {
			f.ttl = (uint8_t)ttl;
			f.id = (uint16_t)id;
			rig_form(rig, INSIDE, &f, IP_UDP, 0);
			/* got_of() verifies it */
			assert_int_equal(rig_got(rig, OUTSIDE).ip.ttl, ttl - 1);
			rig_clear(rig);
		}
}

static void
a_packet_without_a_route_is_told_so(void **state)
{
	struct rig *rig = rig_new_without_default();
	struct got g;

	*state = rig;
	rig_warm(rig);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, FAR, 9), DROP_NO_ROUTE);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_NET);
}

static void
malformed_packets_are_dropped_silently(void **state)
{
	struct rig *rig = start_nat(state);
	struct form f = form(ALICE, 5000, SERVER, 9);
	static const struct {
		size_t at;
		uint8_t value;
		bool fix; /* the checksum afterwards */
		enum reason reason;
	} rows[] = {
		{ 14, 0x65, true, DROP_IP_VERSION },
		{ 14, 0x44, true, DROP_IP_HEADER },
		{ 14, 0x4f, false, DROP_IP_CHECKSUM },
		{ 16, 0x01, true, DROP_IP_LENGTH },
		{ 17, 19, true, DROP_IP_HEADER },
		{ 22, 1, false, DROP_IP_CHECKSUM },
		{ 12, 0x86, false, DROP_ETH_TYPE },
		{ 0, 0x06, false, DROP_NOT_OURS },
		{ 6, 0x01, false, DROP_ETH_SOURCE },
	};

	f.data_bytes = 100;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pkt pkt;

		pkt_make(&pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
		pkt.bytes[rows[i].at] = rows[i].value;
		if (rows[i].fix) {
			put_be16(pkt.bytes + 24, 0);
			put_be16(pkt.bytes + 24,
			    csum_finish(csum_add_bytes(0, pkt.bytes + 14,
				(pkt.bytes[14] & 0xfu) * 4)));
		}
		assert_int_equal(
		    rig_send(rig, INSIDE, pkt.bytes, pkt.len), rows[i].reason);
	}
	for (int i = 0; i < NPEERS; i++)
		assert_int_equal(rig->peer[i].n, 0);
}

static void
frames_cut_short_anywhere_are_dropped(void **state)
{
	struct rig *rig = start_nat(state);
	struct form f = form(ALICE, 5000, SERVER, 9);
	static const uint8_t protocols[] = { IP_UDP, IP_TCP, IP_ICMP };

	for (size_t k = 0; k < 3; k++) {
		struct pkt pkt;

		pkt_make(&pkt, &rig->peer[INSIDE], &f, protocols[k], 8);
		for (size_t n = 1; n < pkt.len; n++)
			assert_true(reason_is_drop(
			    rig_send(rig, INSIDE, pkt.bytes, n)));
		/* Cut in the transport header, with a length that says so. */
		for (size_t n = 34; n < 34 + 8; n++) {
			put_be16(pkt.bytes + 16, (uint16_t)(n - 14));
			put_be16(pkt.bytes + 24, 0);
			put_be16(pkt.bytes + 24,
			    csum_finish(csum_add_bytes(0, pkt.bytes + 14, 20)));
			assert_int_equal(
			    rig_send(rig, INSIDE, pkt.bytes, n), DROP_SHORT);
		}
	}
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
}

static void
padding_of_short_frames_does_not_travel_on(void **state)
{
	struct rig *rig = start_nat(state);
	struct form f = form(ALICE, 5000, SERVER, 9);
	struct pkt pkt;

	f.data_bytes = 1;
	pkt_make(&pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
	memset(pkt.bytes + pkt.len, 0xaa, 60 - pkt.len);
	rig_send(rig, INSIDE, pkt.bytes, 60);
	assert_int_equal(rig_got(rig, OUTSIDE).seen->len, 43);
}

static void
martians_are_not_forwarded(void **state)
{
	struct rig *rig = start(state);
	static const uint32_t src[] = { 0, 1, IP(127, 0, 0, 1),
		IP(224, 0, 0, 1), IP(240, 0, 0, 1), IP(255, 255, 255, 255),
		IP(10, 0, 0, 255), IP(203, 0, 113, 9), GW_INSIDE, CAROL };
	static const uint32_t dst[] = { 1, IP(127, 0, 0, 1), IP(240, 0, 0, 1) };

	for (size_t i = 0; i < sizeof(src) / sizeof(src[0]); i++)
		assert_int_equal(
		    rig_udp(rig, INSIDE, src[i], 1, SERVER, 9), DROP_MARTIAN);
	for (size_t i = 0; i < sizeof(dst) / sizeof(dst[0]); i++)
		assert_int_equal(
		    rig_udp(rig, INSIDE, ALICE, 1, dst[i], 9), DROP_MARTIAN);
	for (int i = 0; i < NPEERS; i++)
		assert_int_equal(rig->peer[i].n, 0);
}

static void
broadcasts_stay_on_their_link(void **state)
{
	struct rig *rig = start(state);
	struct form f = form(ALICE, 5000, SERVER, 9);
	struct pkt pkt;

	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 1, IP4_BROADCAST, 9), DROP_NO_LISTENER);
	assert_int_equal(rig_udp(rig, INSIDE, ALICE, 1, IP(10, 0, 0, 255), 9),
	    DROP_NO_LISTENER);
	/* Another link's, directed: RFC 2644. */
	assert_int_equal(rig_udp(rig, INSIDE, ALICE, 1, IP(10, 1, 0, 255), 9),
	    DROP_BROADCAST_FORWARD);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 1, IP(224, 0, 0, 251), 5353),
	    DROP_MULTICAST);
	assert_int_equal(
	    rig_echo(rig, INSIDE, ALICE, IP4_BROADCAST, 1, ICMP_ECHO_REQUEST),
	    DROP_BROADCAST_FORWARD);
	/* A unicast packet in a broadcast frame (RFC 1812 5.3.4). */
	pkt_make(&pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
	memset(pkt.bytes, 0xff, 6);
	assert_int_equal(
	    rig_send(rig, INSIDE, pkt.bytes, pkt.len), DROP_BROADCAST_FORWARD);
	for (int i = 0; i < NPEERS; i++)
		assert_int_equal(rig->peer[i].n, 0);
}

static void
errors_are_limited(void **state)
{
	struct rig *rig = start(state);
	struct form f = form(ALICE, 5000, SERVER, 9);

	f.ttl = 1;
	for (int i = 0; i < 1000; i++)
		assert_int_equal(
		    rig_form(rig, INSIDE, &f, IP_UDP, 0), DROP_TTL);
	assert_int_equal(rig->peer[INSIDE].n, 32);
	f.src = BOB; /* another host has its own */
	rig_form(rig, INSIDE, &f, IP_UDP, 0);
	assert_int_equal(rig->peer[INSIDE].n, 33);
	rig_wait(rig, S);
	rig_clear(rig);
	rig_form(rig, INSIDE, &f, IP_UDP, 0);
	assert_int_equal(rig->peer[INSIDE].n, 1);
}

/* ---- the router as a host ---- */

static void
the_router_answers_pings_to_each_of_its_addresses(void **state)
{
	struct rig *rig = start_nat(state);
	static const uint32_t own[] = { GW_INSIDE, GW_OUTSIDE, GW_OTHER };
	struct got g;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(
		    rig_echo(rig, INSIDE, ALICE, own[i], 77, ICMP_ECHO_REQUEST),
		    REASON_DELIVERED);
		g = rig_got(rig, INSIDE);
		assert_int_equal(g.icmp.type, ICMP_ECHO_REPLY);
		assert_int_equal(g.ip.src, own[i]);
		assert_int_equal(g.icmp.echo.id, 77);
		assert_int_equal(g.seen->cause.reason, REASON_SENT);
		assert_memory_equal(
		    g.icmp.data, "\x01\x20\x3f", 3); /* rig_byte() */
		rig_clear(rig);
	}
	assert_int_equal(
	    rig_echo(rig, OUTSIDE, SERVER, GW_OUTSIDE, 5, ICMP_ECHO_REQUEST),
	    REASON_DELIVERED);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.icmp.type, ICMP_ECHO_REPLY);
	assert_int_equal(
	    rig_echo(rig, OUTSIDE, SERVER, GW_INSIDE, 5, ICMP_ECHO_REQUEST),
	    DROP_NAT_UNSOLICITED);
}

static void
long_pings_to_the_router_are_reassembled_and_answered_in_fragments(void **state)
{
	struct rig *rig = start_nat(state);
	struct form f = form(ALICE, 77, GW_INSIDE, 0);
	struct pkt *pkt = malloc(sizeof(*pkt));
	static const size_t sizes[] = { 1473, 3000, 9000, 65507 };
	static const uint32_t to[] = { GW_INSIDE, GW_OUTSIDE };

	for (size_t k = 0; k < 8; k++) {
		size_t payload = sizes[k / 2] + 8, at, got = 0;
		const struct peer *in = &rig->peer[INSIDE];

		f.data_bytes = sizes[k / 2];
		f.dst = to[k % 2];
		f.id = (uint16_t)(k + 1);
		pkt_make(pkt, in, &f, IP_ICMP, ICMP_ECHO_REQUEST);
		/* The last piece first. */
		for (at = (payload - 1) / 1480 * 1480;; at -= 1480) {
			uint8_t bytes[1514];
			size_t n = payload - at < 1480 ? payload - at : 1480;
			struct writer w = writer(bytes, sizeof(bytes));
			struct cursor c =
			    cursor(pkt->bytes + 14, pkt->len - 14);
			struct ip4 ip;

			assert_int_equal(ip4_parse(&ip, &c), REASON_NONE);
			ip.offset_bytes = (uint16_t)at;
			ip.fragment = at + n < payload ? IP4_MF : 0;
			ip.total_bytes = (uint16_t)(20 + n);
			wr_bytes(&w, pkt->bytes, 14);
			ip4_write(&w, &ip);
			wr_bytes(&w, c.at + at, n);
			assert_int_equal(rig_send(rig, INSIDE, bytes, 34 + n),
			    at > 0 ? REASON_FRAGMENT_HELD : REASON_DELIVERED);
			if (at == 0)
				break;
		}
		for (unsigned int i = 0; i < in->n; i++) {
			struct got g = got_of(&in->seen[i]);

			assert_int_equal(g.ip.src, to[k % 2]);
			assert_int_equal(g.ip.offset_bytes, got);
			got += g.ip.total_bytes - 20u;
		}
		assert_int_equal(got, payload);
		rig_clear(rig);
	}
	free(pkt);
}

static void
nothing_listens_here_is_said_by_port_unreachable_and_reset(void **state)
{
	struct rig *rig = start_nat(state);
	struct form f = form(ALICE, 5000, GW_INSIDE, 22);
	struct got g;

	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, GW_INSIDE, 9), DROP_NO_LISTENER);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_PORT);
	rig_clear(rig);
	f.flags = TCP_SYN;
	f.seq = 1000;
	f.data_bytes = 3;
	assert_int_equal(
	    rig_form(rig, INSIDE, &f, IP_TCP, 0), DROP_NO_LISTENER);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.tcp.flags, TCP_RST | TCP_ACK);
	assert_int_equal(g.tcp.ack, 1004);
	assert_int_equal(g.sport, 22);
	rig_clear(rig);
	f.flags = TCP_ACK;
	f.ack = 77;
	rig_form(rig, INSIDE, &f, IP_TCP, 0);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.tcp.flags, TCP_RST);
	assert_int_equal(g.tcp.seq, 77);
	rig_clear(rig);
	f.flags = TCP_RST;
	rig_form(rig, INSIDE, &f, IP_TCP, 0);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	assert_int_equal(rig_form(rig, INSIDE, &f, 47, 0), DROP_PROTOCOL);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_PROTOCOL);
}

/* ---- ARP ---- */

static void
a_request_for_the_router_is_answered_directly(void **state)
{
	struct rig *rig = start(state);
	struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = rig_mac(ALICE),
		.sender_ip = ALICE,
		.target_ip = GW_INSIDE };
	struct arp reply;

	rig->peer[INSIDE].keep_arp = true;
	assert_int_equal(rig_arp(rig, INSIDE, arp, true), REASON_DELIVERED);
	assert_int_equal(rig->peer[INSIDE].n, 1);
	reply = got_arp(&rig->peer[INSIDE].seen[0]);
	assert_int_equal(reply.op, ARP_REPLY);
	assert_int_equal(reply.sender_ip, GW_INSIDE);
	assert_int_equal(reply.target_ip, ALICE);
	assert_true(mac_equal(&reply.sender_mac, &rig->peer[INSIDE].gw_mac));
	assert_memory_equal(
	    rig->peer[INSIDE].seen[0].data, arp.sender_mac.b, 6);
}

static void
requests_for_others_are_not_answered(void **state)
{
	struct rig *rig = start(state);
	struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = rig_mac(ALICE),
		.sender_ip = ALICE,
		.target_ip = BOB };

	rig->peer[INSIDE].keep_arp = true;
	assert_int_equal(rig_arp(rig, INSIDE, arp, true), DROP_NOT_OURS);
	arp.target_ip = GW_OUTSIDE; /* ours, but not on this link */
	assert_int_equal(rig_arp(rig, INSIDE, arp, true), DROP_NOT_OURS);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

static void
rfc5227_a_probe_is_answered_and_makes_no_entry(void **state)
{
	struct rig *rig = rig_new(0);
	struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = rig_mac(ALICE),
		.target_ip = GW_INSIDE };

	*state = rig;
	rig->peer[INSIDE].keep_arp = true;
	assert_int_equal(rig_arp(rig, INSIDE, arp, true), REASON_DELIVERED);
	assert_int_equal(got_arp(&rig->peer[INSIDE].seen[0]).op, ARP_REPLY);
	rig_clear(rig);
	rig->peer[INSIDE].keep_arp = false;
	rig->peer[INSIDE].silent = true;
	assert_int_equal(
	    rig_echo(rig, INSIDE, ALICE, GW_INSIDE, 1, ICMP_ECHO_REQUEST),
	    REASON_DELIVERED);
	assert_int_equal(rig->peer[INSIDE].arp_requests, 1);
}

static void
rfc5227_the_routers_address_is_defended_once_in_ten_seconds(void **state)
{
	struct rig *rig = start(state);
	struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = rig_mac(BOB),
		.sender_ip = GW_INSIDE,
		.target_ip = GW_INSIDE };
	struct arp seen;

	rig->peer[INSIDE].keep_arp = true;
	for (int i = 0; i < 10; i++)
		rig_arp(rig, INSIDE, arp, true);
	assert_int_equal(rig->peer[INSIDE].n, 1);
	seen = got_arp(&rig->peer[INSIDE].seen[0]);
	assert_int_equal(seen.sender_ip, GW_INSIDE);
	assert_int_equal(seen.target_ip, GW_INSIDE);
	assert_true(mac_equal(&seen.sender_mac, &rig->peer[INSIDE].gw_mac));
	rig_wait(rig, 10 * S);
	rig_arp(rig, INSIDE, arp, true);
	assert_int_equal(rig->peer[INSIDE].n, 2);
}

static void
a_gratuitous_update_moves_a_known_host_and_makes_no_new_one(void **state)
{
	struct rig *rig = start(state);
	struct arp arp = { .op = ARP_REPLY,
		.sender_mac = rig_mac(BOB),
		.sender_ip = ALICE,
		.target_ip = ALICE };
	struct got g;

	rig_udp(rig, OUTSIDE, SERVER, 1, ALICE, 1);
	assert_int_equal(rig_got(rig, INSIDE).eth.dst.b[5], 10);
	rig_wait(rig, NS_PER_S);
	rig->peer[INSIDE].silent = true; /* who had it is gone */
	rig_arp(rig, INSIDE, arp, true);
	rig_wait(rig, NS_PER_S + 1);
	rig_clear(rig);
	rig_udp(rig, OUTSIDE, SERVER, 1, ALICE, 1);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.eth.dst.b[5], 11);
	arp.sender_ip = arp.target_ip = IP(10, 0, 0, 99);
	rig_arp(rig, INSIDE, arp, true);
	assert_int_equal(rig_udp(rig, OUTSIDE, SERVER, 1, IP(10, 0, 0, 99), 1),
	    REASON_ARP_QUEUED);
}

static void
who_has_an_address_keeps_it_when_another_claims_it(void **state)
{
	struct rig *rig = start(state);
	struct arp arp = { .op = ARP_REPLY,
		.sender_mac = rig_mac(BOB),
		.sender_ip = ALICE,
		.target_ip = GW_INSIDE };

	rig_udp(rig, OUTSIDE, SERVER, 1, ALICE, 1);
	for (int i = 0; i < 10; i++) {
		rig_wait(rig, NS_PER_S);
		rig_arp(rig, INSIDE, arp, false);
		rig_clear(rig);
		rig_udp(rig, OUTSIDE, SERVER, 1, ALICE, 1);
		assert_int_equal(rig_got(rig, INSIDE).eth.dst.b[5], 10);
	}
}

/* A host with addresses of several subnets asks in the name of any. */
static void
rfc826_who_asks_by_an_address_of_another_subnet_is_answered(void **state)
{
	struct rig *rig = rig_new(0);
	struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = rig_mac(ALICE),
		.sender_ip = IP(10, 7, 0, 1),
		.target_ip = GW_INSIDE };
	struct arp reply;

	*state = rig;
	/* Beyond the outside port, for all we know. */
	assert_int_equal(rig_arp(rig, INSIDE, arp, true), DROP_MARTIAN);
	assert_int_equal(
	    router_add_route(rig->router,
		(struct ip4_net){ IP(10, 7, 0, 0), 24 }, ALICE, NULL),
	    0);
	rig->peer[INSIDE].keep_arp = true;
	rig_clear(rig);
	assert_int_equal(rig_arp(rig, INSIDE, arp, true), REASON_DELIVERED);
	assert_int_equal(rig->peer[INSIDE].n, 1);
	reply = got_arp(&rig->peer[INSIDE].seen[0]);
	assert_int_equal(reply.op, ARP_REPLY);
	assert_int_equal(reply.sender_ip, GW_INSIDE);
	assert_int_equal(reply.target_ip, IP(10, 7, 0, 1));
	/* It is no neighbour by that: it is reached by its router. */
	rig_clear(rig);
	rig_udp(rig, OUTSIDE, SERVER, 1, IP(10, 7, 0, 1), 9);
	for (unsigned int i = 0; i < rig->peer[INSIDE].n; i++)
		if (get_be16(rig->peer[INSIDE].seen[i].data + 12) == ETH_ARP)
			assert_int_equal(
			    got_arp(&rig->peer[INSIDE].seen[i]).target_ip,
			    ALICE);
	assert_int_equal(rig->peer[INSIDE].arp_requests, 1);
}

static void
lies_in_arp_are_not_believed(void **state)
{
	struct rig *rig = start(state);
	static const struct {
		struct arp arp;
		enum reason reason;
	} rows[] = {
		{ { .op = ARP_REPLY,
		      .sender_mac = { { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff } },
		      .sender_ip = ALICE,
		      .target_ip = GW_INSIDE },
		    DROP_ETH_SOURCE },
		{ { .op = ARP_REPLY,
		      .sender_mac = { { 1, 0, 0x5e, 0, 0, 1 } },
		      .sender_ip = ALICE,
		      .target_ip = GW_INSIDE },
		    DROP_ETH_SOURCE },
		{ { .op = ARP_REPLY,
		      .sender_mac = { { 0 } },
		      .sender_ip = ALICE,
		      .target_ip = GW_INSIDE },
		    DROP_ETH_SOURCE },
		{ { .op = ARP_REQUEST,
		      .sender_mac = { { 2, 1 } },
		      .sender_ip = SERVER,
		      .target_ip = GW_INSIDE },
		    DROP_MARTIAN },
		{ { .op = ARP_REQUEST,
		      .sender_mac = { { 2, 1 } },
		      .sender_ip = IP(10, 0, 0, 255),
		      .target_ip = GW_INSIDE },
		    DROP_MARTIAN },
		{ { .op = 3,
		      .sender_mac = { { 2, 1 } },
		      .sender_ip = ALICE,
		      .target_ip = GW_INSIDE },
		    DROP_ARP_OP },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(
		    rig_arp(rig, INSIDE, rows[i].arp, false), rows[i].reason);
	rig_udp(rig, OUTSIDE, SERVER, 1, ALICE, 1);
	assert_int_equal(rig_got(rig, INSIDE).eth.dst.b[5], 10);
}

static void
a_next_hop_that_does_not_answer_is_unreachable(void **state)
{
	struct rig *rig = start_nat(state);
	struct got g, q;

	/* Out through the NAT: the error speaks of what alice sent. */
	rig->peer[OUTSIDE].silent = true;
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, IP(203, 0, 113, 99), 9),
	    REASON_ARP_QUEUED);
	rig_wait(rig, 4 * S);
	assert_int_equal(rig->peer[OUTSIDE].arp_requests, 3);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.src, GW_INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_HOST);
	q = got_quote(&g);
	assert_int_equal(q.ip.src, ALICE);
	assert_int_equal(q.sport, 5000);
	assert_int_equal(q.ip.dst, IP(203, 0, 113, 99));
	assert_int_equal(count(rig, DROP_ARP_FAILED), 1);
}

static void
an_inside_host_that_is_gone_is_unreachable_from_outside(void **state)
{
	struct rig *rig = start_nat(state);
	struct got g, q;

	rig_udp(rig, INSIDE, BOB, 5000, SERVER, 9);
	rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 9);
	g = got_of(&rig->peer[OUTSIDE].seen[1]);
	port_set_down(&rig->peer[INSIDE].port, true);
	port_set_down(&rig->peer[INSIDE].port, false);
	rig_clear(rig);
	rig->peer[INSIDE].silent = true;
	assert_int_equal(rig_udp(rig, OUTSIDE, SERVER, 9, GW_OUTSIDE, g.sport),
	    REASON_ARP_QUEUED);
	rig_wait(rig, 4 * S);
	q.sport = g.sport;
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_HOST);
	assert_int_equal(get_be16(g.icmp.data + 22), q.sport);
	q = got_quote(&g);
	assert_int_equal(q.ip.src, SERVER);
	assert_int_equal(q.ip.dst, GW_OUTSIDE); /* not alice */
}

static void
a_hairpinned_packet_to_a_host_that_is_gone_comes_back_as_sent(void **state)
{
	struct rig *rig = rig_new(0);
	struct got g, q;

	*state = rig;
	rig_nat(rig, NAT_ENDPOINT_INDEPENDENT, NAT_ENDPOINT_INDEPENDENT, 0);
	rig_warm(rig);
	rig_udp(rig, OTHER, CAROL, 5000, SERVER, 9);
	port_set_down(&rig->peer[OTHER].port, true);
	port_set_down(&rig->peer[OTHER].port, false);
	rig_clear(rig);
	rig->peer[OTHER].silent = true;
	assert_int_equal(rig_udp(rig, INSIDE, ALICE, 6000, GW_OUTSIDE, 5000),
	    REASON_ARP_QUEUED);
	rig_wait(rig, 4 * S);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	q = got_quote(&g);
	assert_int_equal(q.ip.src, ALICE);
	assert_int_equal(q.sport, 6000);
	assert_int_equal(q.ip.dst, GW_OUTSIDE);
	assert_int_equal(q.dport, 5000);
}

static void
a_spoofed_packet_to_nobody_from_nobody_ends(void **state)
{
	struct rig *rig = start_nat(state);

	/* Its source and its destination are the same, and silent: the error
	 * about it needs the neighbour that has just failed. */
	rig->peer[INSIDE].silent = true;
	assert_int_equal(rig_udp(rig, OTHER, CAROL, 1, IP(10, 0, 0, 77), 1),
	    REASON_ARP_QUEUED);
	assert_int_equal(
	    rig_udp(rig, INSIDE, IP(10, 0, 0, 77), 1, IP(10, 0, 0, 77), 1),
	    REASON_ARP_QUEUED);
	loop_run(rig->loop);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

/* ---- DHCP, over frames ---- */

static struct dhcp
dhcp_of(const struct seen *seen, struct got *g)
{
	struct dhcp m;
	struct cursor c;

	*g = got_of(seen);
	assert_int_equal(g->sport, DHCP_SERVER_PORT);
	assert_int_equal(g->dport, DHCP_CLIENT_PORT);
	assert_true(g->udp.data_bytes >= DHCP_MIN_BYTES);
	c = cursor(g->udp.data, g->udp.data_bytes);
	assert_int_equal(dhcp_parse(&m, &c), REASON_NONE);
	return m;
}

static enum reason
send_dhcp(struct rig *rig, const struct dhcp *m, uint32_t src, uint32_t dst)
{
	uint8_t message[600], out[700];
	struct writer w = writer(message, sizeof(message));
	struct udp udp = { .sport = DHCP_CLIENT_PORT,
		.dport = DHCP_SERVER_PORT,
		.data = message };
	struct eth eth = { .src = m->chaddr, .type = ETH_IPV4 };
	struct ip4 ip = {
		.ttl = 64, .protocol = IP_UDP, .src = src, .dst = dst
	};

	eth.dst =
	    dst == IP4_BROADCAST ? mac_broadcast : rig->peer[INSIDE].gw_mac;
	dhcp_write(&w, m);
	udp.data_bytes = (size_t)(w.at - message);
	ip.total_bytes = (uint16_t)(28 + udp.data_bytes);
	w = writer(out, sizeof(out));
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, src, dst);
	return rig_send(rig, INSIDE, out, (size_t)(w.at - out));
}

static void
a_client_without_an_address_gets_one_and_renews_it(void **state)
{
	struct rig *rig = start_nat(state);
	struct router_dhcp_options o = { .first = IP(10, 0, 0, 100),
		.last = IP(10, 0, 0, 199),
		.lease_s = 120,
		.dns = GW_INSIDE };
	struct dhcp m = { .op = DHCP_BOOTREQUEST,
		.xid = 7,
		.chaddr = { { 2, 9, 9, 9, 9, 9 } },
		.type = DHCP_DISCOVER };
	struct dhcp r;
	struct got g;

	assert_int_equal(
	    router_set_dhcp(rig->router, rig->peer[INSIDE].gw, &o, NULL), 0);
	assert_int_equal(
	    send_dhcp(rig, &m, 0, IP4_BROADCAST), REASON_DELIVERED);
	assert_int_equal(rig->peer[INSIDE].n, 1);
	r = dhcp_of(&rig->peer[INSIDE].seen[0], &g);
	assert_int_equal(r.type, DHCP_OFFER);
	assert_int_equal(r.yiaddr, IP(10, 0, 0, 100));
	/* To its MAC and its address to be, without ARP. */
	assert_true(mac_equal(&g.eth.dst, &m.chaddr));
	assert_int_equal(g.ip.dst, IP(10, 0, 0, 100));
	assert_int_equal(rig->peer[INSIDE].arp_requests, 0);
	rig_clear(rig);
	m.type = DHCP_REQUEST;
	m.server = r.server;
	m.requested = r.yiaddr;
	m.flags = DHCP_BROADCAST;
	send_dhcp(rig, &m, 0, IP4_BROADCAST);
	r = dhcp_of(&rig->peer[INSIDE].seen[0], &g);
	assert_int_equal(r.type, DHCP_ACK);
	assert_int_equal(r.lease_s, 120);
	assert_true(mac_is_broadcast(&g.eth.dst));
	assert_int_equal(g.ip.dst, IP4_BROADCAST);
	rig_clear(rig);
	/* Renewing, unicast. */
	m.flags = 0;
	m.server = m.requested = 0;
	m.ciaddr = IP(10, 0, 0, 100);
	assert_int_equal(
	    send_dhcp(rig, &m, m.ciaddr, GW_INSIDE), REASON_DELIVERED);
	r = dhcp_of(&rig->peer[INSIDE].seen[0], &g);
	assert_int_equal(r.type, DHCP_ACK);
	assert_int_equal(g.ip.dst, m.ciaddr);
	/* On a link without a server nobody answers. */
	rig_clear(rig);
	assert_int_equal(
	    rig_udp(rig, OTHER, 0, 68, IP4_BROADCAST, 67), DROP_NO_LISTENER);
}

/* ---- offloads ---- */

/* A frame as a guest hands it over: its checksum not finished, its bytes in
 * several pieces of memory. */
static struct frame
guest_frame(uint8_t *bytes, size_t len, struct iovec *tail, uint8_t flags)
{
	uint8_t protocol = bytes[14 + IP4_OFF_PROTOCOL];
	size_t l4 = 34, check = protocol == IP_TCP ? 16 : 6;
	struct frame f = { .data = bytes,
		.len = (uint32_t)len,
		.head = (uint32_t)len,
		.flags = flags,
		.csum_start = 34,
		.csum_offset = (uint16_t)check };

	put_be16(bytes + l4 + check,
	    csum_fold(csum_pseudo4(get_be32(bytes + 26), get_be32(bytes + 30),
		protocol, (uint16_t)(len - 34))));
	if (flags & FRAME_TSO4) {
		f.gso_bytes = 1448;
		f.header_bytes = 54;
	}
	if (tail != NULL && len > 900) {
		f.head = 300;
		f.tail = tail;
		f.ntail = 2;
		tail[0] = (struct iovec){ bytes + 300, 401 };
		tail[1] = (struct iovec){ bytes + 701, len - 701 };
	}
	return f;
}

static enum reason
send_frame(struct rig *rig, int from, struct frame f)
{
	struct burst burst;

	burst_clear(&burst);
	burst.n = 1;
	burst.flags = f.flags;
	burst.frame[0] = f;
	port_send(&rig->peer[from].port, &burst);
	rig->verdict = burst.frame[0].verdict;
	return (enum reason)rig->verdict.reason;
}

static void
unfinished_checksums_pass_and_are_right_when_finished(void **state)
{
	struct rig *rig = start_nat(state);
	static const uint8_t protocols[] = { IP_UDP, IP_TCP };
	static const size_t sizes[] = { 0, 1, 18, 200, 228, 1400, 20000 };
	struct pkt *pkt = malloc(sizeof(*pkt));
	struct iovec tail[2];

	/* The port must change, too. */
	rig_udp(rig, INSIDE, BOB, 5000, SERVER, 9);
	rig_tcp(rig, INSIDE, BOB, 5000, SERVER, 9, TCP_SYN);
	for (size_t i = 0; i < 14; i++) {
		struct form f = form(ALICE, 5000, SERVER, 9);
		struct got g;

		f.flags = i < 2 ? TCP_SYN : TCP_ACK;
		f.data_bytes = sizes[i / 2] > 1400 ? 1400 : sizes[i / 2];
		pkt_make(pkt, &rig->peer[INSIDE], &f, protocols[i % 2], 0);
		rig_clear(rig);
		assert_false(reason_is_drop(send_frame(rig, INSIDE,
		    guest_frame(pkt->bytes, pkt->len, tail, FRAME_CSUM))));
		g = rig_got(rig, OUTSIDE); /* finished by the peer */
		assert_int_equal(g.seen->flags, FRAME_CSUM);
		assert_int_equal(g.ip.src, GW_OUTSIDE);
		assert_int_not_equal(g.sport, 5000);
		for (size_t k = 0; k < f.data_bytes; k++)
			assert_int_equal(
			    g.seen->data[g.seen->len - f.data_bytes + k],
			    rig_byte(k));
	}
	free(pkt);
}

static unsigned int nsegments;
static size_t segment_data;

static void
check_segment(void *arg, const uint8_t *data, size_t len)
{
	struct seen seen = { .data = (uint8_t *)(uintptr_t)data, .len = len };
	struct got g = got_of(&seen);

	(void)arg;
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	nsegments++;
	segment_data += g.tcp.data_bytes;
}

static void
large_segments_pass_whole_and_are_right_when_cut(void **state)
{
	struct rig *rig = start_nat(state);
	struct form f = form(ALICE, 5000, SERVER, 9);
	struct pkt *pkt = malloc(sizeof(*pkt));
	struct iovec tail[2];
	const struct seen *seen;
	struct frame again;

	rig_tcp(rig, INSIDE, BOB, 5000, SERVER, 9, TCP_SYN);
	rig_tcp(rig, INSIDE, ALICE, 5000, SERVER, 9, TCP_SYN);
	f.flags = TCP_ACK;
	f.data_bytes = 60000;
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_TCP, 0);
	rig_clear(rig);
	assert_int_equal(send_frame(rig, INSIDE,
			     guest_frame(pkt->bytes, pkt->len, tail,
				 FRAME_CSUM | FRAME_TSO4)),
	    REASON_NAT_OUT);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
	seen = &rig->peer[OUTSIDE].seen[0];
	assert_int_equal(seen->len, pkt->len);
	again = (struct frame){ .data = seen->data,
		.len = (uint32_t)seen->len,
		.head = (uint32_t)seen->len,
		.flags = FRAME_CSUM | FRAME_TSO4,
		.csum_start = 34,
		.csum_offset = 16,
		.gso_bytes = 1448,
		.header_bytes = 54 };
	nsegments = 0;
	segment_data = 0;
	assert_int_equal(offload_segment(&again, check_segment, NULL), 42);
	assert_int_equal(nsegments, 42);
	assert_int_equal(segment_data, 60000);
	free(pkt);
}

static void
large_segments_are_measured_by_what_they_become(void **state)
{
	struct rig *rig = rig_new(1400);
	struct form f = form(ALICE, 5000, SERVER, 9);
	struct pkt *pkt = malloc(sizeof(*pkt));
	struct iovec tail[2];
	struct frame frame;
	struct got g;

	*state = rig;
	rig_nat(
	    rig, NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT, 0);
	rig_warm(rig);
	rig_tcp(rig, INSIDE, ALICE, 5000, SERVER, 9, TCP_SYN);
	rig_clear(rig);
	f.flags = TCP_ACK;
	f.data_bytes = 30000;
	f.fragment = IP4_DF;
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_TCP, 0);
	frame =
	    guest_frame(pkt->bytes, pkt->len, tail, FRAME_CSUM | FRAME_TSO4);
	assert_int_equal(send_frame(rig, INSIDE, frame), DROP_MTU);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.icmp.frag.mtu, 1400);
	frame.gso_bytes = 1360;
	assert_int_equal(send_frame(rig, INSIDE, frame), REASON_NAT_OUT);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
	/* Without DF: cut into segments, and those into fragments. */
	rig_clear(rig);
	f.fragment = 0;
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_TCP, 0);
	frame =
	    guest_frame(pkt->bytes, pkt->len, tail, FRAME_CSUM | FRAME_TSO4);
	assert_int_equal(send_frame(rig, INSIDE, frame), REASON_NAT_OUT);
	/* 21 segments, of which the last is short enough. */
	assert_int_equal(rig->peer[OUTSIDE].n, 20 * 2 + 1);
	for (unsigned int i = 0; i < rig->peer[OUTSIDE].n; i++) {
		g = got_of(&rig->peer[OUTSIDE].seen[i]);
		assert_true(g.ip.total_bytes <= 1400);
		assert_int_equal(g.ip.src, GW_OUTSIDE);
	}
	free(pkt);
}

static void
unfinished_checksums_are_finished_before_a_packet_is_cut(void **state)
{
	struct rig *rig = rig_new(576);
	struct form f = form(ALICE, 5000, SERVER, 9);
	struct pkt *pkt = malloc(sizeof(*pkt));
	uint8_t *whole = malloc(2048);
	struct iovec tail[2];
	struct seen seen = { .data = whole };
	struct got g;
	size_t at = 0;

	*state = rig;
	rig_nat(
	    rig, NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT, 0);
	rig_warm(rig);
	f.data_bytes = 1400;
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
	assert_int_equal(
	    send_frame(rig, INSIDE,
		guest_frame(pkt->bytes, pkt->len, tail, FRAME_CSUM)),
	    REASON_NAT_NEW);
	assert_int_equal(rig->peer[OUTSIDE].n, 3);
	for (unsigned int i = 0; i < 3; i++) {
		g = got_of(&rig->peer[OUTSIDE].seen[i]);
		assert_int_equal(g.seen->flags, 0);
		memcpy(whole + 34 + at, g.seen->data + 34, g.seen->len - 34);
		at += g.seen->len - 34;
	}
	g.ip.offset_bytes = 0;
	g.ip.fragment = 0;
	g.ip.total_bytes = (uint16_t)(20 + at);
	struct writer w = writer(whole, 34);
	eth_write(&w, &g.eth);
	ip4_write(&w, &g.ip);
	seen.len = 34 + at;
	g = got_of(&seen);
	assert_int_equal(g.udp.data_bytes, 1400);
	free(pkt);
	free(whole);
}

static void
fragments_carry_the_options_that_are_to_be_copied(void **state)
{
	/* Record route is not to be copied, option 130 is. */
	static const uint8_t options[12] = { 7, 7, 8, 1, 2, 3, 4, 1, 130, 4, 9,
		9 }; /* the first is full */
	struct rig *rig = rig_new(576);
	struct form f = form(ALICE, 5000, SERVER, 9);
	struct got g;

	*state = rig;
	rig_warm(rig);
	f.options = options;
	f.option_bytes = sizeof(options);
	f.data_bytes = 1200;
	rig_form(rig, INSIDE, &f, IP_UDP, 0);
	assert_int_equal(rig->peer[OUTSIDE].n, 3);
	g = got_of(&rig->peer[OUTSIDE].seen[0]);
	assert_int_equal(g.ip.header_bytes, 32);
	assert_memory_equal(g.ip.options, options, sizeof(options));
	for (int i = 1; i < 3; i++) {
		g = got_of(&rig->peer[OUTSIDE].seen[i]);
		assert_int_equal(g.ip.header_bytes, 24);
		assert_memory_equal(g.ip.options, options + 8, 4);
	}
}

static void
rfc1812_s5_3_13_5_a_router_signs_what_it_forwards(void **state)
{
	static const uint8_t options[12] = { 7, 11, 4 };
	struct rig *rig = rig_new(0);
	struct form f = form(ALICE, 5000, SERVER, 9);
	struct got g;

	*state = rig;
	rig_warm(rig);
	f.options = options;
	f.option_bytes = sizeof(options);
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_UDP, 0), REASON_ROUTED);
	g = rig_got(rig, OUTSIDE); /* its checksums are right */
	assert_int_equal(g.ip.options[2], 8);
	assert_int_equal(get_be32(g.ip.options + 3), GW_OUTSIDE);
	/* To the router itself: it answers with the option, signed. */
	rig_clear(rig);
	f.dst = GW_INSIDE;
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_ICMP, ICMP_ECHO_REQUEST),
	    REASON_DELIVERED);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.icmp.type, ICMP_ECHO_REPLY);
	assert_int_equal(g.ip.header_bytes, 32);
	assert_int_equal(get_be32(g.ip.options + 3), GW_INSIDE);
}

/* A route through the router is not followed, and its sender told so; one that
 * ends here, or leads elsewhere, is no matter. */
static void
rfc1812_s5_2_7_1_a_source_route_fails_here(void **state)
{
	static const uint8_t goes_on[8] = { 131, 7, 4, 203, 0, 113, 10 };
	static const uint8_t ended[8] = { 131, 7, 8, 203, 0, 113, 10 };
	struct rig *rig = rig_new(0);
	struct form f = form(ALICE, 5000, GW_INSIDE, 9);
	struct got g;

	*state = rig;
	rig_warm(rig);
	f.options = goes_on;
	f.option_bytes = 8;
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_ICMP, ICMP_ECHO_REQUEST),
	    DROP_SOURCE_ROUTE);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.icmp.type, ICMP_UNREACHABLE);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_ROUTE);
	rig_clear(rig);
	f.options = ended;
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_ICMP, ICMP_ECHO_REQUEST),
	    REASON_DELIVERED);
	assert_int_equal(rig_got(rig, INSIDE).icmp.type, ICMP_ECHO_REPLY);
	rig_clear(rig);
	f.dst = SERVER;
	f.options = goes_on;
	assert_int_equal(rig_form(rig, INSIDE, &f, IP_UDP, 0), REASON_ROUTED);
}

static void
offloads_that_contradict_the_frame_are_refused(void **state)
{
	struct rig *rig = start_nat(state);
	static const struct {
		uint8_t protocol, flags;
		uint16_t start, offset, gso, header;
	} rows[] = {
		/* It would write over the network header. */
		{ IP_UDP, FRAME_CSUM, 14, 12, 0, 0 },
		{ IP_UDP, FRAME_CSUM, 14, 16, 0, 0 },
		{ IP_UDP, FRAME_CSUM, 0, 26, 0, 0 },
		{ IP_UDP, FRAME_CSUM, 33, 6, 0, 0 },
		{ IP_UDP, FRAME_CSUM, 34, 0, 0, 0 },
		{ IP_UDP, FRAME_CSUM, 34, 16, 0, 0 },
		{ IP_TCP, FRAME_CSUM, 34, 6, 0, 0 },
		{ IP_ICMP, FRAME_CSUM, 34, 2, 0, 0 },
		{ IP_UDP, FRAME_CSUM | FRAME_TSO4, 34, 6, 1448, 42 },
		{ IP_TCP, FRAME_CSUM | FRAME_TSO4, 34, 16, 0, 54 },
		{ IP_TCP, FRAME_CSUM | FRAME_TSO4, 34, 16, 1448, 53 },
		{ IP_TCP, FRAME_CSUM | FRAME_TSO4, 34, 16, 1448, 66 },
		{ IP_TCP, FRAME_CSUM | FRAME_TSO6, 34, 16, 1448, 54 },
	};
	struct pkt pkt;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct form f = form(ALICE, 5000, SERVER, 9);
		struct frame frame;

		f.data_bytes = 100;
		f.flags = TCP_SYN;
		pkt_make(&pkt, &rig->peer[INSIDE], &f, rows[i].protocol, 8);
		frame = (struct frame){ .data = pkt.bytes,
			.len = (uint32_t)pkt.len,
			.head = (uint32_t)pkt.len,
			.flags = rows[i].flags,
			.csum_start = rows[i].start,
			.csum_offset = rows[i].offset,
			.gso_bytes = rows[i].gso,
			.header_bytes = rows[i].header };
		assert_int_equal(
		    send_frame(rig, INSIDE, frame), DROP_VNET_HEADER);
	}
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
}

static void
frames_in_many_pieces_pass(void **state)
{
	struct rig *rig = start_nat(state);
	struct form f = form(ALICE, 5000, SERVER, 9);
	struct pkt *pkt = malloc(sizeof(*pkt));
	struct iovec tail[300];
	struct frame frame;
	struct got g;

	f.data_bytes = 1400;
	pkt_make(pkt, &rig->peer[INSIDE], &f, IP_UDP, 0);
	frame = (struct frame){ .data = pkt->bytes,
		.len = (uint32_t)pkt->len,
		.head = 256,
		.tail = tail };
	for (size_t at = 256; at < pkt->len; at += 4)
		tail[frame.ntail++] = (struct iovec){ pkt->bytes + at,
			pkt->len - at < 4 ? pkt->len - at : 4 };
	assert_int_equal(send_frame(rig, INSIDE, frame), REASON_NAT_NEW);
	g = rig_got(rig, OUTSIDE);
	for (size_t k = 0; k < 1400; k++)
		assert_int_equal(g.udp.data[k], rig_byte(k));
	free(pkt);
}

static void
a_burst_of_64_to_several_ports_leaves_in_order(void **state)
{
	struct rig *rig = start_nat(state);
	struct pkt *pkt = malloc(64 * sizeof(*pkt));
	struct burst burst;

	burst_clear(&burst);
	for (uint16_t i = 0; i < 64; i++) {
		struct form f = form(ALICE, (uint16_t)(3000 + i),
		    i % 3 == 0 ? CAROL : SERVER, 9);

		pkt_make(&pkt[i], &rig->peer[INSIDE], &f, IP_UDP, 0);
		burst_add(&burst, pkt[i].bytes, pkt[i].len);
	}
	port_send(&rig->peer[INSIDE].port, &burst);
	assert_int_equal(rig->peer[OTHER].n, 22);
	assert_int_equal(rig->peer[OUTSIDE].n, 42);
	for (unsigned int i = 0; i < 22; i++)
		assert_int_equal(
		    got_of(&rig->peer[OTHER].seen[i]).sport, 3000 + 3 * i);
	for (unsigned int i = 0; i < 42; i++)
		assert_int_equal(got_of(&rig->peer[OUTSIDE].seen[i]).sport,
		    3000 + i / 2 * 3 + 1 + i % 2);
	for (unsigned int i = 0; i < 64; i++)
		assert_int_equal(burst.frame[i].verdict.reason,
		    i % 3 == 0 ? REASON_ROUTED : REASON_NAT_NEW);
	free(pkt);
}

/* ---- what comes back at once ---- */

static void
two_routers_that_point_at_each_other_end_at_the_ttl(void **state)
{
	struct rig *rig = start(state);
	struct router *other = router_new(rig->loop, "other", 1, NULL);
	struct router_port_options a = { .mac = rig_mac(PROVIDER),
		.address = { PROVIDER, 24 } };
	struct err err = { "" };
	struct port *port = router_add_port(other, "other.a", &a, &err);
	struct form f = form(ALICE, 5000, FAR, 9);
	unsigned int before;

	assert_int_equal(
	    router_add_route(other, (struct ip4_net){ 0, 0 }, GW_OUTSIDE, &err),
	    0);
	cable_cut(rig->peer[OUTSIDE].gw);
	assert_int_equal(cable_join(rig->peer[OUTSIDE].gw, port), 0);
	f.ttl = 255;
	before = (unsigned int)count(rig, DROP_TTL);
	for (int i = 0; i < 100; i++)
		rig_form(rig, INSIDE, &f, IP_UDP, 0);
	assert_int_equal(count(rig, DROP_TTL) +
		router_node(other)->count[DROP_TTL] + count(rig, DROP_MARTIAN) +
		router_node(other)->count[DROP_MARTIAN],
	    before + 100);
	router_free(other);
}

/* A host that answers each datagram with one, within the same call. */
static struct rig *echo_rig;

static void
echo_take(struct port *port, struct burst *burst)
{
	struct peer *peer = (struct peer *)port;

	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];
		uint8_t bytes[2048];
		struct burst back;
		struct seen seen;
		struct got g;

		node_judge(&echo_rig->node, frame, REASON_DELIVERED);
		if (get_be16(frame->data + 12) == ETH_ARP) {
			rig_answer_arp(peer, frame);
			continue;
		}
		frame_copy(bytes, frame, 0, frame->len);
		seen = (struct seen){ .data = bytes, .len = frame->len };
		g = got_of(&seen);
		memcpy(bytes, frame->data + 6, 6);
		memcpy(bytes + 6, frame->data, 6);
		put_be32(bytes + 26, g.ip.dst);
		put_be32(bytes + 30, g.ip.src);
		put_be16(bytes + 34, g.dport);
		put_be16(bytes + 36, g.sport);
		burst_clear(&back);
		burst_add(&back, bytes, frame->len);
		port_send(port, &back);
		peer->n++;
	}
}

static void
hosts_that_answer_at_once_play_ping_pong_through_the_nat(void **state)
{
	struct rig *rig = start_nat(state);
	static const struct port_ops echo_ops = { .take = echo_take };

	echo_rig = rig;
	rig->peer[INSIDE].port.ops = &echo_ops;
	rig->peer[OUTSIDE].port.ops = &echo_ops;
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 9), REASON_NAT_NEW);
	/* Until the time to live of the packet they throw back has run out:
	 * no stack and no memory overflows. */
	assert_in_range(rig->peer[OUTSIDE].n, 32, 33);
	rig->peer[INSIDE].n = rig->peer[OUTSIDE].n = 0;
}

/* Sends one long frame in pieces while it is sent to, and then overwrites it. */
static void
pieces_take(struct port *port, struct burst *burst)
{
	static struct pkt pkt;
	struct iovec tail;
	struct burst back;
	struct frame frame;

	node_judge_all(&echo_rig->node, burst, REASON_DELIVERED);
	if (((struct peer *)port)->n++ > 0)
		return;
	struct form f = form(SERVER, 9, ALICE, 5000);

	f.data_bytes = 1000;
	pkt_make(&pkt, (struct peer *)port, &f, IP_UDP, 0);
	tail = (struct iovec){ pkt.bytes + 256, pkt.len - 256 };
	frame = (struct frame){ .data = pkt.bytes,
		.len = (uint32_t)pkt.len,
		.head = 256,
		.tail = &tail,
		.ntail = 1 };
	burst_clear(&back);
	back.n = 1;
	back.frame[0] = frame;
	port_send(port, &back);
	assert_int_equal(back.frame[0].verdict.reason, REASON_ROUTED);
	memset(pkt.bytes, 0xee, pkt.len);
}

static void
what_is_sent_later_was_copied(void **state)
{
	struct rig *rig = start(state);
	static const struct port_ops pieces_ops = { .take = pieces_take };
	struct got g;

	echo_rig = rig;
	rig->peer[OUTSIDE].port.ops = &pieces_ops;
	rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 9);
	g = rig_got(rig, INSIDE); /* verifies the checksum */
	assert_int_equal(g.udp.data_bytes, 1000);
	rig->peer[OUTSIDE].n = 0;
}

/* ---- making and looking ---- */

static void
ports_that_make_no_sense_are_refused_with_a_sentence(void **state)
{
	struct rig *rig = start(state);
	static const struct {
		struct router_port_options o;
		const char *part;
	} rows[] = {
		{ { .mac = { { 2, 1 } }, .address = { IP(10, 9, 0, 0), 24 } },
		    "not the address of a host" },
		{ { .mac = { { 2, 1 } }, .address = { IP(10, 9, 0, 255), 24 } },
		    "not the address of a host" },
		{ { .mac = { { 2, 1 } }, .address = { IP(127, 0, 0, 1), 8 } },
		    "not the address of a host" },
		{ { .mac = { { 2, 1 } }, .address = { IP(224, 0, 0, 1), 24 } },
		    "not the address of a host" },
		{ { .mac = { { 2, 1 } }, .address = { IP(10, 9, 0, 1), 0 } },
		    "not the address of a host" },
		{ { .mac = { { 2, 1 } }, .address = { IP(10, 0, 0, 9), 24 } },
		    "overlaps with that of port \"gw.inside\"" },
		{ { .mac = { { 2, 1 } }, .address = { IP(10, 0, 9, 9), 8 } },
		    "overlaps" },
		{ { .mac = { { 1, 1 } }, .address = { IP(10, 9, 0, 1), 24 } },
		    "not the MAC address of a station" },
		{ { .mac = { { 2, 1 } },
		      .address = { IP(10, 9, 0, 1), 24 },
		      .mtu_bytes = 67 },
		    "mtu 67 is out of range; use 68 to 65521" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct err err = { "" };

		assert_null(
		    router_add_port(rig->router, "gw.x", &rows[i].o, &err));
		if (strstr(err.text, rows[i].part) == NULL)
			fail_msg("%s", err.text);
		assert_non_null(strchr(err.text, ';'));
	}
}

static void
routes_and_nat_that_make_no_sense_are_refused_with_a_sentence(void **state)
{
	struct rig *rig = start(state);
	struct err err = { "" };
	struct router_nat_options o = { .outside = &rig->peer[0].port };

	assert_int_equal(router_add_route(rig->router,
			     (struct ip4_net){ FAR, 24 }, FAR, &err),
	    -EINVAL);
	assert_non_null(strstr(err.text, "no port of \"gw\" is on the link"));
	err_clear(&err);
	assert_int_equal(router_add_route(rig->router,
			     (struct ip4_net){ FAR, 24 }, GW_INSIDE, &err),
	    -EINVAL);
	err_clear(&err);
	assert_int_equal(router_set_nat(rig->router, &o, &err), -EINVAL);
	assert_non_null(strstr(err.text, "does not belong to router \"gw\""));
}

static void
one_arp(void *arg, const struct arp_row *row)
{
	uint32_t ip;

	if (ip6_to_ip4(&ip, &row->ip) && ip == ALICE)
		*(struct arp_row *)arg = *row;
}

static void
count_routes(void *arg, const struct route_row *row)
{
	unsigned int *n = arg;

	assert_non_null(row->port);
	++*n;
}

static void
rows_tell_neighbours_and_routes(void **state)
{
	struct rig *rig = start(state);
	struct arp_row row = { .state = "" };
	unsigned int n = 0;
	char text[128];

	rig_wait(rig, 5 * S);
	router_each_arp(rig->router, one_arp, &row);
	assert_string_equal(row.state, "known");
	assert_int_equal(row.age_ns, 5 * S);
	assert_ptr_equal(row.port, rig->peer[INSIDE].gw);
	router_each_route(rig->router, count_routes, &n);
	assert_int_equal(n, 4);
	assert_string_equal(rig->peer[INSIDE].gw->ops->describe(
				rig->peer[INSIDE].gw, text, sizeof(text)),
	    "10.0.0.1/24, 02:00:0a:00:00:01");
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_packet_goes_out_with_the_outer_address_and_its_answer_comes_back),
		T(a_router_without_nat_routes),
		T(time_runs_out_with_an_error_to_the_sender),
		T(every_ttl_and_checksum_is_updated_right),
		T(a_packet_without_a_route_is_told_so),
		T(malformed_packets_are_dropped_silently),
		T(frames_cut_short_anywhere_are_dropped),
		T(padding_of_short_frames_does_not_travel_on),
		T(martians_are_not_forwarded),
		T(broadcasts_stay_on_their_link),
		T(errors_are_limited),
		T(the_router_answers_pings_to_each_of_its_addresses),
		T(long_pings_to_the_router_are_reassembled_and_answered_in_fragments),
		T(nothing_listens_here_is_said_by_port_unreachable_and_reset),
		T(a_request_for_the_router_is_answered_directly),
		T(requests_for_others_are_not_answered),
		T(rfc5227_a_probe_is_answered_and_makes_no_entry),
		T(rfc5227_the_routers_address_is_defended_once_in_ten_seconds),
		T(a_gratuitous_update_moves_a_known_host_and_makes_no_new_one),
		T(who_has_an_address_keeps_it_when_another_claims_it),
		T(rfc826_who_asks_by_an_address_of_another_subnet_is_answered),
		T(lies_in_arp_are_not_believed),
		T(a_next_hop_that_does_not_answer_is_unreachable),
		T(an_inside_host_that_is_gone_is_unreachable_from_outside),
		T(a_hairpinned_packet_to_a_host_that_is_gone_comes_back_as_sent),
		T(a_spoofed_packet_to_nobody_from_nobody_ends),
		T(a_client_without_an_address_gets_one_and_renews_it),
		T(unfinished_checksums_pass_and_are_right_when_finished),
		T(large_segments_pass_whole_and_are_right_when_cut),
		T(large_segments_are_measured_by_what_they_become),
		T(unfinished_checksums_are_finished_before_a_packet_is_cut),
		T(fragments_carry_the_options_that_are_to_be_copied),
		T(rfc1812_s5_3_13_5_a_router_signs_what_it_forwards),
		T(rfc1812_s5_2_7_1_a_source_route_fails_here),
		T(offloads_that_contradict_the_frame_are_refused),
		T(frames_in_many_pieces_pass),
		T(a_burst_of_64_to_several_ports_leaves_in_order),
		T(two_routers_that_point_at_each_other_end_at_the_ttl),
		T(hosts_that_answer_at_once_play_ping_pong_through_the_nat),
		T(what_is_sent_later_was_copied),
		T(ports_that_make_no_sense_are_refused_with_a_sentence),
		T(routes_and_nat_that_make_no_sense_are_refused_with_a_sentence),
		T(rows_tell_neighbours_and_routes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
