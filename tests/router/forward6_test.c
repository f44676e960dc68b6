/*
 * IPv6 through a router and to it (RFC 4291, 4443, 4861, 8200).
 */
#include "tests/router/rig6.h"

#include "router/icmp_error.h"

#define S NS_PER_S

static struct rig *
start(void **state)
{
	struct rig *rig = rig6_new(0);

	*state = rig;
	return rig;
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

/* An error to src at a peer, about a packet sent from there. */
static struct got6
assert_error(const struct rig *rig, int at, struct ip6_addr src, uint8_t type,
    uint8_t code, uint32_t word)
{
	struct got6 g = rig6_last(rig, at);

	assert_int_equal(g.chain.protocol, IP_ICMP6);
	assert_int_equal(g.icmp.type, type);
	assert_int_equal(g.icmp.code, code);
	assert_int_equal(g.icmp.word, word);
	assert_ip6(g.ip.dst, src);
	assert_true(g.len <= IP6_MTU_MIN);
	return g;
}

/* ---- on the way ---- */

static void
a_packet_is_sent_on_with_one_hop_less(void **state)
{
	struct rig *rig = start(state);
	struct form6 f = form6(ALICE6, SERVER6, IP_UDP);
	struct got6 g;

	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_ND_QUEUED);
	g = rig6_last(rig, OUTSIDE);
	assert_int_equal(rig->peer[OUTSIDE].solicits, 1);
	assert_int_equal(g.ip.hop_limit, 63);
	assert_ip6(g.ip.src, ALICE6);
	assert_ip6(g.ip.dst, SERVER6);
	assert_int_equal(g.udp.dport, 53);
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_ROUTED);
	assert_int_equal(rig->peer[OUTSIDE].n, 2);
	assert_int_equal(rig->peer[OUTSIDE].solicits, 1);
	assert_ptr_equal(rig->verdict.out, rig->peer[OUTSIDE].gw);
}

static void
extension_headers_are_passed_as_they_are(void **state)
{
	static const uint8_t chain[] = { IP_ROUTING, 0, 0x7e, 4, 1, 2, 3, 4,
		IP_DESTINATION, 0, 4, 1, 0, 0, 0, 0, IP_UDP, 0, 0xc3, 4, 0, 0,
		0, 0 };
	struct rig *rig = start(state);
	struct form6 f = form6(ALICE6, SERVER6, IP_UDP);
	struct got6 g;

	f.chain = chain;
	f.chain_bytes = sizeof(chain);
	f.first = IP_HOP_BY_HOP;
	rig6_send(rig, INSIDE, &f);
	g = rig6_last(rig, OUTSIDE);
	assert_int_equal(g.ip.next, IP_HOP_BY_HOP);
	assert_memory_equal(g.bytes + 40, chain, sizeof(chain));
	assert_int_equal(g.udp.dport, 53);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

static void
static_routes_lead_to_other_routers(void **state)
{
	struct rig *rig = start(state);
	struct err err = { "" };
	struct ip6_net wide, narrow;
	struct ip6_addr via = rig_ip6(2, 0xfe), via2 = addr6("fe80::fe");
	struct form6 f = form6(ALICE6, addr6("2a00::1"), IP_UDP);
	const struct mac hop = rig_mac6(&via2);

	assert_true(ip6_net_read(&wide, "::/0"));
	assert_true(ip6_net_read(&narrow, "2a00:1::/32"));
	assert_int_equal(
	    router_add_route6(rig->router, &wide, &via, NULL, &err), 0);
	assert_int_equal(router_add_route6(rig->router, &narrow, &via2,
			     rig->peer[OTHER].gw, &err),
	    0);
	rig6_send(rig, INSIDE, &f);
	assert_ip6(rig6_last(rig, OUTSIDE).ip.dst, f.dst);
	f.dst = addr6("2a00:1::1");
	rig6_send(rig, INSIDE, &f);
	assert_ip6(rig6_last(rig, OTHER).ip.dst, f.dst);
	assert_memory_equal(rig->peer[OTHER].seen[0].data, hop.b, 6);
}

static void
the_last_hop_is_told(void **state)
{
	struct rig *rig = start(state);
	struct form6 f = form6(ALICE6, SERVER6, IP_UDP);
	struct got6 g;

	f.hop_limit = 1;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_TTL);
	g = assert_error(rig, INSIDE, ALICE6, ICMP6_TIME_EXCEEDED, 0, 0);
	assert_ip6(g.ip.src, GW6);
	assert_int_equal(g.icmp.data_bytes, 40 + 8 + 18);
	assert_int_equal(g.icmp.data[7], 1); /* the hop limit as it came */
	f.hop_limit = 0;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_TTL);
}

static void
what_is_too_big_is_told_the_mtu(void **state)
{
	struct rig *rig = rig6_new(1280);
	struct form6 f = form6(ALICE6, SERVER6, IP_UDP);

	*state = rig;
	f.data_bytes = 1280 - 48 + 1;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_MTU);
	assert_error(rig, INSIDE, ALICE6, ICMP6_TOO_BIG, 0, 1280);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	f.data_bytes--;
	rig6_send(rig, INSIDE, &f);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
}

static void
where_there_is_no_way_is_told(void **state)
{
	struct rig *rig = start(state);
	struct form6 f = form6(ALICE6, addr6("2a00::1"), IP_UDP);

	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_NO_ROUTE);
	assert_error(
	    rig, INSIDE, ALICE6, ICMP6_UNREACHABLE, ICMP6_UNREACH_ROUTE, 0);
	f.src = addr6("fe80::10");
	f.dst = SERVER6;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_SCOPE);
	assert_error(
	    rig, INSIDE, f.src, ICMP6_UNREACHABLE, ICMP6_UNREACH_SCOPE, 0);
	rig_clear(rig);
	f.src = ALICE6;
	f.dst = addr6("fe80::11");
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_SCOPE);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

static void
a_silent_host_is_asked_for_thrice_and_then_told_of(void **state)
{
	struct rig *rig = start(state);
	struct form6 f = form6(ALICE6, SERVER6, IP_UDP);
	struct peer *out = &rig->peer[OUTSIDE];

	out->silent = true;
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_ND_QUEUED);
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_ND_QUEUED);
	assert_int_equal(router_held(rig->router).neighbours6, 2);
	assert_int_equal(out->solicits, 1);
	rig_wait(rig, 5 * S);
	assert_int_equal(out->solicits, 3);
	assert_int_equal(rig->peer[INSIDE].n, 2);
	assert_error(
	    rig, INSIDE, ALICE6, ICMP6_UNREACHABLE, ICMP6_UNREACH_ADDRESS, 0);
	assert_int_equal(router_node(rig->router)->count[DROP_ND_FAILED], 2);
}

static void
addresses_that_cannot_stand_there_are_refused(void **state)
{
	static const struct {
		const char *src, *dst;
		enum reason reason;
	} rows[] = {
		{ "::", "2001:db8:2::10", DROP_MARTIAN },
		{ "::1", "2001:db8:2::10", DROP_MARTIAN },
		{ "::ffff:1.2.3.4", "2001:db8:2::10", DROP_MARTIAN },
		{ "::10.0.0.10", "2001:db8:2::10", DROP_MARTIAN },
		{ "ff02::1", "2001:db8:2::10", DROP_MARTIAN },
		{ "2001:db8:2::10", "2001:db8:3::10", DROP_MARTIAN },
		{ "2001:db8:1::1", "2001:db8:2::10", DROP_MARTIAN },
		{ "2001:db8:1::", "2001:db8:2::10", DROP_MARTIAN },
		{ "2001:db8:1::10", "::", DROP_MARTIAN },
		{ "2001:db8:1::10", "::1", DROP_MARTIAN },
		{ "2001:db8:1::10", "::ffff:10.1.0.10", DROP_MARTIAN },
		{ "2001:db8:1::10", "ff0e::1", DROP_MULTICAST },
		{ "2001:db8:1::10", "ff02::1:ff00:99", DROP_MULTICAST },
	};
	struct rig *rig = start(state);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct form6 f =
		    form6(addr6(rows[i].src), addr6(rows[i].dst), IP_UDP);

		print_message("%s > %s\n", rows[i].src, rows[i].dst);
		assert_int_equal(rig6_send(rig, INSIDE, &f), rows[i].reason);
		assert_int_equal(rig->peer[INSIDE].n, 0);
		assert_int_equal(rig->peer[OUTSIDE].n, 0);
	}
}

static void
frames_that_are_not_for_it_are_not_sent_on(void **state)
{
	struct rig *rig = start(state);
	struct form6 f = form6(ALICE6, SERVER6, IP_UDP);
	uint8_t bytes[60] = { 0 };
	struct pkt *pkt = malloc(sizeof(*pkt));

	f.to = mac_broadcast;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_BROADCAST_FORWARD);
	f.to = (struct mac){ { 2, 9, 9, 9, 9, 9 } };
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_NOT_OURS);
	f.to = (struct mac){ { 0 } };
	rig6_write(pkt, &rig->peer[INSIDE], &f);
	assert_int_equal(
	    rig_send(rig, INSIDE, pkt->bytes, pkt->len - 1), DROP_IP_LENGTH);
	assert_int_equal(rig_send(rig, INSIDE, pkt->bytes, 50), DROP_SHORT);
	pkt->bytes[14] = 0x70;
	assert_int_equal(
	    rig_send(rig, INSIDE, pkt->bytes, pkt->len), DROP_IP6_HEADER);
	memcpy(bytes, rig->peer[INSIDE].gw_mac.b, 6);
	put_be16(bytes + 12, ETH_IPV6);
	assert_int_equal(
	    rig_send(rig, INSIDE, bytes, sizeof(bytes)), DROP_IP6_HEADER);
	free(pkt);
}

static void
a_port_without_ipv6_does_not_read_it(void **state)
{
	struct rig *rig = rig_new(0);
	struct form6 f = form6(ALICE6, SERVER6, IP_UDP);

	*state = rig;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_ETH_TYPE);
}

static void
errors_are_never_about_errors_and_not_too_many(void **state)
{
	struct rig *rig = start(state);
	struct form6 f = form6(ALICE6, SERVER6, IP_ICMP6);

	f.hop_limit = 1;
	f.type = ICMP6_UNREACHABLE;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_TTL);
	f.type = ICMP6_REDIRECT;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_TTL);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	f.type = ICMP6_ECHO_REQUEST;
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_TTL);
	assert_int_equal(rig->peer[INSIDE].n, ICMP_ERROR_BURST / 2);
}

static void
rules_see_ipv6_but_not_neighbour_discovery(void **state)
{
	struct rig *rig = start(state);
	struct err err = { "" };
	struct form6 f = form6(ALICE6, SERVER6, IP_UDP);

	assert_int_equal(router_add_filter(rig->router, NULL, NULL, "icmp6",
			     ROUTER_FILTER_DROP, &err),
	    0);
	assert_int_equal(
	    router_add_filter(rig->router, NULL, rig->peer[OUTSIDE].gw,
		"ip6 and udp dst port 54", ROUTER_FILTER_REJECT, &err),
	    0);
	rig6_send(rig, INSIDE, &f);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
	f.dport = 54;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_FILTERED);
	assert_error(rig, INSIDE, ALICE6, ICMP6_UNREACHABLE,
	    ICMP6_UNREACH_PROHIBITED, 0);
	f = form6(ALICE6, SERVER6, IP_ICMP6);
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_FILTERED);
}

static void
a_large_segment_stays_whole(void **state)
{
	struct rig *rig = start(state);
	struct form6 f = form6(ALICE6, SERVER6, IP_TCP);
	struct pkt *pkt = malloc(sizeof(*pkt));
	struct burst burst;
	const struct seen *seen;

	f.data_bytes = 30000;
	f.flags = TCP_ACK;
	rig6_write(pkt, &rig->peer[INSIDE], &f);
	for (int i = 0; i < 2; i++) {
		burst_clear(&burst);
		burst_add(&burst, pkt->bytes, pkt->len);
		burst.flags = burst.frame[0].flags = FRAME_CSUM | FRAME_TSO6;
		burst.frame[0].csum_start = 54;
		burst.frame[0].csum_offset = TCP_OFF_CHECKSUM;
		burst.frame[0].header_bytes = 74;
		burst.frame[0].gso_bytes = i == 0 ? 1440 : 1441;
		port_send(&rig->peer[INSIDE].port, &burst);
		rig->verdict = burst.frame[0].verdict;
	}
	/* 1440 and 60 bytes of headers fit, one more does not. */
	assert_int_equal(rig->verdict.reason, DROP_MTU);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
	seen = &rig->peer[OUTSIDE].seen[0];
	assert_int_equal(seen->len, pkt->len);
	assert_int_equal(seen->flags, FRAME_CSUM | FRAME_TSO6);
	free(pkt);
}

/* ---- to the router ---- */

static void
echo_is_answered_from_each_address(void **state)
{
	struct rig *rig = start(state);
	struct mac mac = rig->peer[INSIDE].gw_mac;
	const struct {
		struct ip6_addr src, dst, from;
	} rows[] = {
		{ ALICE6, GW6, GW6 },
		{ ALICE6, rig_ip6(2, 1), rig_ip6(2, 1) },
		/* The address of any router tells of none (RFC 4443 2.2 b). */
		{ ALICE6, rig_ip6(1, 0), GW6 },
		{ addr6("fe80::10"), ip6_link_local(&mac),
		    ip6_link_local(&mac) },
		{ addr6("fe80::10"), ip6_all_nodes, ip6_link_local(&mac) },
		{ ALICE6, ip6_all_routers, GW6 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct form6 f = form6(rows[i].src, rows[i].dst, IP_ICMP6);
		struct got6 g;

		f.word = 0x00070001;
		f.hop_limit = 1;
		assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_DELIVERED);
		g = rig6_last(rig, INSIDE);
		assert_int_equal(g.icmp.type, ICMP6_ECHO_REPLY);
		assert_int_equal(g.icmp.word, 0x00070001);
		assert_int_equal(g.icmp.data_bytes, 18);
		assert_ip6(g.ip.src, rows[i].from);
		assert_ip6(g.ip.dst, rows[i].src);
	}
	/* The link-local address of another link is not ours here. */
	mac = rig->peer[OUTSIDE].gw_mac;
	{
		struct form6 f = form6(ALICE6, ip6_link_local(&mac), IP_ICMP6);

		assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_SCOPE);
	}
}

static void
nothing_listens_at_its_ports(void **state)
{
	struct rig *rig = start(state);
	struct form6 f = form6(ALICE6, GW6, IP_UDP);
	struct got6 g;

	f.dport = 9;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_NO_LISTENER);
	g = assert_error(
	    rig, INSIDE, ALICE6, ICMP6_UNREACHABLE, ICMP6_UNREACH_PORT, 0);
	assert_ip6(g.ip.src, GW6);
	f.protocol = IP_TCP;
	f.flags = TCP_SYN;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_NO_LISTENER);
	g = rig6_last(rig, INSIDE);
	assert_int_equal(g.tcp.flags, TCP_RST | TCP_ACK);
	assert_int_equal(g.tcp.ack, 100 + 18 + 1);
	rig_clear(rig);
	f.flags = TCP_RST;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_NO_LISTENER);
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

static void
headers_that_it_must_know_and_does_not_are_told(void **state)
{
	static const struct {
		uint8_t first, chain[8], protocol;
		bool group;
		enum reason reason;
		int code; /* -1: none is sent */
		uint32_t at;
	} rows[] = {
		{ IP_DESTINATION, { IP_UDP, 0, 0x80, 4 }, IP_UDP, false,
		    DROP_IP6_OPTION, ICMP6_PARAMETER_OPTION, 42 },
		{ IP_HOP_BY_HOP, { IP_UDP, 0, 0, 0xc1, 3 }, IP_UDP, false,
		    DROP_IP6_OPTION, ICMP6_PARAMETER_OPTION, 43 },
		{ IP_DESTINATION, { IP_UDP, 0, 0x40, 4 }, IP_UDP, false,
		    DROP_IP6_OPTION, -1, 0 },
		{ IP_DESTINATION, { IP_UDP, 0, 0xc0, 4 }, IP_UDP, true,
		    DROP_IP6_OPTION, -1, 0 },
		{ IP_DESTINATION, { IP_UDP, 0, 0x80, 4 }, IP_UDP, true,
		    DROP_IP6_OPTION, ICMP6_PARAMETER_OPTION, 42 },
		{ IP_ROUTING, { IP_UDP, 0, 0, 1 }, IP_UDP, false,
		    DROP_IP6_OPTION, ICMP6_PARAMETER_HEADER, 42 },
		{ IP_ROUTING, { IP_UDP, 0, 0, 0 }, IP_UDP, false,
		    DROP_NO_LISTENER, -2, 0 },
		{ IP_DESTINATION, { 132, 0, 1, 4 }, IP_UDP, false,
		    DROP_PROTOCOL, ICMP6_PARAMETER_NEXT, 40 },
		/* not of eights of bytes; beyond 65535; without its header's
		 * end */
		{ IP_FRAGMENT, { IP_UDP, 0, 0, 1 }, IP_UDP, false,
		    DROP_FRAGMENT, ICMP6_PARAMETER_HEADER, 4 },
		{ IP_FRAGMENT, { IP_UDP, 0, 0xff, 0xf8 }, IP_UDP, false,
		    DROP_FRAGMENT, ICMP6_PARAMETER_HEADER, 42 },
		{ IP_FRAGMENT, { IP_DESTINATION, 0, 0, 1 }, IP_UDP, false,
		    DROP_SHORT, ICMP6_PARAMETER_FIRST, 0 },
		/* a hop-by-hop header that is not the first */
		{ IP_DESTINATION, { IP_HOP_BY_HOP, 0, 1, 4 }, IP_UDP, false,
		    DROP_IP6_CHAIN, ICMP6_PARAMETER_NEXT, 40 },
		{ IP_FRAGMENT, { IP_UDP, 0, 0, 0 }, IP_UDP, false,
		    DROP_NO_LISTENER, -2, 0 },
		{ IP_DESTINATION, { IP_NONE, 0, 1, 4 }, IP_UDP, false,
		    REASON_DELIVERED, -1, 0 },
	};
	struct rig *rig = start(state);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct form6 f =
		    form6(ALICE6, rows[i].group ? ip6_all_nodes : GW6, IP_UDP);

		print_message("row %zu\n", i);
		f.chain = rows[i].chain;
		f.chain_bytes = sizeof(rows[i].chain);
		f.first = rows[i].first;
		rig_clear(rig);
		assert_int_equal(rig6_send(rig, INSIDE, &f), rows[i].reason);
		if (rows[i].code == -1)
			assert_int_equal(rig->peer[INSIDE].n, 0);
		else if (rows[i].code >= 0)
			assert_error(rig, INSIDE, ALICE6, ICMP6_PARAMETER,
			    (uint8_t)rows[i].code, rows[i].at);
		else
			assert_error(rig, INSIDE, ALICE6, ICMP6_UNREACHABLE,
			    ICMP6_UNREACH_PORT, 0);
	}
}

/* ---- what cannot be set up ---- */

static void
what_cannot_be_is_refused(void **state)
{
	static const struct {
		const char *first, *second;
		uint32_t mtu;
		const char *says;
	} rows[] = {
		{ "fe80::1/64", NULL, 0, "not the address of a host" },
		{ "ff02::1/64", NULL, 0, "not the address of a host" },
		{ "2001:db8:9::/64", NULL, 0, "not the address of a host" },
		{ "2001:db8:1:0:1::1/80", NULL, 0,
		    "overlaps with that of port \"gw.inside\"" },
		{ "2001:db8:9::1/64", "2001:db8:9::2/64", 0,
		    "two addresses are of the prefix" },
		{ "2001:db8:9::1/64", NULL, 1279, "too small for IPv6" },
	};
	struct rig *rig = start(state);
	struct ip6_net net;
	struct ip6_addr via;
	struct err err = { "" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct router_port_options o = { .mac = { { 2, 7 } },
			.mtu_bytes = rows[i].mtu };

		assert_true(ip6_net_read(&o.address6[0], rows[i].first));
		o.naddresses6 = 1;
		if (rows[i].second != NULL)
			assert_true(ip6_net_read(
			    &o.address6[o.naddresses6++], rows[i].second));
		err_clear(&err);
		assert_null(router_add_port(rig->router, "gw.x", &o, &err));
		assert_non_null(strstr(err.text, rows[i].says));
	}
	assert_true(ip6_net_read(&net, "2a00::/16"));
	via = addr6("2001:db8:7::1");
	err_clear(&err);
	assert_true(router_add_route6(rig->router, &net, &via, NULL, &err) < 0);
	assert_non_null(strstr(err.text, "is on the link of"));
	via = addr6("fe80::1");
	err_clear(&err);
	assert_true(router_add_route6(rig->router, &net, &via, NULL, &err) < 0);
	via = GW6;
	err_clear(&err);
	assert_true(router_add_route6(rig->router, &net, &via, NULL, &err) < 0);
	assert_non_null(strstr(err.text, "is the router itself"));
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_packet_is_sent_on_with_one_hop_less),
		T(extension_headers_are_passed_as_they_are),
		T(static_routes_lead_to_other_routers),
		T(the_last_hop_is_told),
		T(what_is_too_big_is_told_the_mtu),
		T(where_there_is_no_way_is_told),
		T(a_silent_host_is_asked_for_thrice_and_then_told_of),
		T(addresses_that_cannot_stand_there_are_refused),
		T(frames_that_are_not_for_it_are_not_sent_on),
		T(a_port_without_ipv6_does_not_read_it),
		T(errors_are_never_about_errors_and_not_too_many),
		T(rules_see_ipv6_but_not_neighbour_discovery),
		T(a_large_segment_stays_whole),
		T(echo_is_answered_from_each_address),
		T(nothing_listens_at_its_ports),
		T(headers_that_it_must_know_and_does_not_are_told),
		T(what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
