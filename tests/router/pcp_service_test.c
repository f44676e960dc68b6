/*
 * PCP and NAT-PMP at a router's ports: who is heard, what goes back, and what
 * is announced.
 */
#include "tests/router/rig6.h"

#include <errno.h>

#include "base/loop.h"
#include "net/natpmp.h"
#include "net/npt6.h"
#include "net/pcp.h"

static struct rig *
rig_pcp(void)
{
	const struct router_pcp_options o = { .min_s = 0 };
	struct rig *rig = rig_new(0);
	struct err err = { "" };

	assert_int_equal(router_set_pcp(rig->router, &o, &err), -EINVAL);
	assert_string_equal(err.text,
	    "router \"gw\" has neither NAT nor a filter of IPv6 that could be "
	    "asked to let something in; give it one first");
	rig_nat(
	    rig, NAT_ENDPOINT_INDEPENDENT, NAT_ADDRESS_AND_PORT_DEPENDENT, 0);
	assert_int_equal(router_set_pcp(rig->router, &o, &err), 0);
	assert_int_equal(router_set_pcp(rig->router, &o, &err), -EEXIST);
	rig_warm(rig);
	rig_clear(rig);
	return rig;
}

static enum reason
ask(struct rig *rig, int from, uint32_t src, uint32_t dst, const void *data,
    size_t bytes)
{
	struct pkt pkt;
	struct writer w = writer(pkt.bytes, sizeof(pkt.bytes));
	struct eth eth = { .dst = rig->peer[from].gw_mac,
		.src = rig_mac(src),
		.type = ETH_IPV4 };
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_UDP,
		.src = src,
		.dst = dst,
		.total_bytes = (uint16_t)(28 + bytes) };
	struct udp udp = {
		.sport = 1234, .dport = 5351, .data = data, .data_bytes = bytes
	};

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	udp_write(&w, &udp, src, dst);
	return rig_send(rig, from, pkt.bytes, (size_t)(w.at - pkt.bytes));
}

static const uint8_t map_tcp[] = { 0, 2, 0, 0, 0, 22, 0x9c, 0x40, 0, 0, 2,
	0x58 };

static void
rfc6886_s5_a_host_inside_is_answered_from_where_it_asked(void **state)
{
	static const struct {
		int from;
		uint32_t src, dst;
	} rows[] = { { INSIDE, ALICE, GW_INSIDE }, { OTHER, CAROL, GW_OTHER } };
	struct rig *rig = rig_pcp();

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct natpmp answer;
		struct got got;

		assert_int_equal(ask(rig, rows[i].from, rows[i].src,
				     rows[i].dst, map_tcp, sizeof(map_tcp)),
		    REASON_DELIVERED);
		got = rig_got(rig, rows[i].from);
		assert_int_equal(got.ip.src, rows[i].dst);
		assert_int_equal(got.ip.dst, rows[i].src);
		assert_int_equal(got.sport, 5351);
		assert_int_equal(got.dport, 1234);
		assert_true(natpmp_parse_response(
		    &answer, got.udp.data, got.udp.data_bytes));
		assert_int_equal(answer.result, NATPMP_SUCCESS);
		assert_int_equal(answer.in_port, 22);
		assert_int_equal(answer.lifetime_s, 600);
		rig_clear(rig);
		/* A stranger's SYN comes in by it. */
		assert_int_equal(rig_tcp(rig, OUTSIDE, SERVER, 9, GW_OUTSIDE,
				     answer.out_port, TCP_SYN),
		    REASON_NAT_IN);
		got = rig_got(rig, rows[i].from);
		assert_int_equal(got.ip.dst, rows[i].src);
		assert_int_equal(got.dport, 22);
		rig_clear(rig);
	}
	rig_free(rig);
}

static void
rfc6886_s5_nobody_else_is_heard(void **state)
{
	static const struct {
		int from;
		uint32_t src, dst;
		enum reason reason;
	} rows[] = {
		{ OUTSIDE, SERVER, GW_OUTSIDE, DROP_NAT_UNSOLICITED },
		{ INSIDE, ALICE, GW_OUTSIDE, DROP_NO_LISTENER },
		{ INSIDE, ALICE, GW_OTHER, DROP_NO_LISTENER },
	};
	struct rig *rig = rig_pcp();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(ask(rig, rows[i].from, rows[i].src,
				     rows[i].dst, map_tcp, sizeof(map_tcp)),
		    rows[i].reason);
	rig_free(rig);
}

/* Who is reached by another port than it asks by is not answered at all. */
static void
rfc6887_s8_2_requests_come_in_where_answers_leave(void **state)
{
	struct rig *rig = rig_pcp();

	(void)state;
	assert_int_equal(
	    ask(rig, OTHER, ALICE, GW_OTHER, map_tcp, sizeof(map_tcp)),
	    DROP_MARTIAN);
	assert_int_equal(rig->peer[OTHER].n, 0);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	rig_free(rig);
}

static void
rfc6886_s3_8_a_router_without_nat_is_none_to_ask(void **state)
{
	struct rig *rig = rig_new(0);
	struct got got;

	(void)state;
	rig_warm(rig);
	rig_clear(rig);
	assert_int_equal(
	    ask(rig, INSIDE, ALICE, GW_INSIDE, map_tcp, sizeof(map_tcp)),
	    DROP_NO_LISTENER);
	got = rig_got(rig, INSIDE);
	assert_int_equal(got.icmp.type, 3);
	assert_int_equal(got.icmp.code, 3);
	rig_free(rig);
}

/* An unreachable from PROVIDER about what the mapped end sent to SERVER:9. */
static enum reason
unreachable(struct rig *rig, uint16_t from_port)
{
	uint8_t quote[IP4_HEADER_BYTES + 8];
	struct writer w = writer(quote, sizeof(quote));
	struct ip4 ip = { .ttl = 9,
		.protocol = IP_TCP,
		.src = GW_OUTSIDE,
		.dst = SERVER,
		.total_bytes = 40 };
	struct icmp icmp = { .type = ICMP_UNREACHABLE,
		.code = 1,
		.data = quote,
		.data_bytes = sizeof(quote) };
	struct eth eth = { .dst = rig->peer[OUTSIDE].gw_mac,
		.src = rig_mac(PROVIDER),
		.type = ETH_IPV4 };
	struct pkt pkt;

	ip4_write(&w, &ip);
	wr_be16(&w, from_port);
	wr_be16(&w, 9);
	wr_be32(&w, 1);
	ip = (struct ip4){ .ttl = 64,
		.protocol = IP_ICMP,
		.src = PROVIDER,
		.dst = GW_OUTSIDE,
		.total_bytes = 28 + sizeof(quote) };
	w = writer(pkt.bytes, sizeof(pkt.bytes));
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	icmp_write(&w, &icmp);
	return rig_send(rig, OUTSIDE, pkt.bytes, (size_t)(w.at - pkt.bytes));
}

/* Whether anything has passed by it or not. */
static void
rfc6887_s11_icmp_errors_pass_with_a_mapping(void **state)
{
	struct rig *rig = rig_pcp();
	struct got got;

	(void)state;
	assert_true(reason_is_drop(unreachable(rig, 40000)));
	ask(rig, INSIDE, ALICE, GW_INSIDE, map_tcp, sizeof(map_tcp));
	for (int i = 0; i < 2; i++) {
		rig_clear(rig);
		assert_false(reason_is_drop(unreachable(rig, 40000)));
		got = rig_got(rig, INSIDE);
		assert_int_equal(got.ip.dst, ALICE);
		rig_tcp(rig, OUTSIDE, SERVER, 9, GW_OUTSIDE, 40000, TCP_SYN);
	}
	rig_free(rig);
}

static void
refusals_are_counted_by_reason(void **state)
{
	static const uint8_t natpmp_op[] = { 0, 9 };
	static const uint8_t shorts[] = { 2, 1, 0 };
	static const uint8_t mismatch[24] = { 2, 0 };
	struct rig *rig = rig_pcp();
	const uint64_t *count = router_node(rig->router)->count;

	(void)state;
	assert_int_equal(ask(rig, INSIDE, ALICE, GW_INSIDE, natpmp_op, 2),
	    DROP_PCP_UNSUPPORTED);
	assert_int_equal(
	    ask(rig, INSIDE, ALICE, GW_INSIDE, shorts, 3), DROP_PCP);
	assert_int_equal(
	    ask(rig, INSIDE, ALICE, GW_INSIDE, mismatch, 24), DROP_PCP_REFUSED);
	assert_int_equal(count[DROP_PCP_UNSUPPORTED], 1);
	assert_int_equal(count[DROP_PCP], 1);
	assert_int_equal(count[DROP_PCP_REFUSED], 1);
	assert_int_equal(rig->peer[INSIDE].n, 2);
	rig_free(rig);
}

static void
rfc6886_s4_3_4_a_mapping_is_reached_from_inside_too(void **state)
{
	struct rig *rig = rig_pcp();
	struct got got;

	(void)state;
	ask(rig, INSIDE, ALICE, GW_INSIDE, map_tcp, sizeof(map_tcp));
	rig_clear(rig);
	assert_int_equal(
	    rig_tcp(rig, INSIDE, BOB, 7000, GW_OUTSIDE, 40000, TCP_SYN),
	    REASON_NAT_HAIRPIN);
	got = rig_got(rig, INSIDE);
	assert_int_equal(got.ip.dst, ALICE);
	assert_int_equal(got.ip.src, GW_OUTSIDE);
	assert_int_equal(got.dport, 22);
	rig_free(rig);
}

static void
rfc6886_s3_4_a_mapping_ends_when_nothing_else_happens(void **state)
{
	struct rig *rig = rig_pcp();

	(void)state;
	ask(rig, INSIDE, ALICE, GW_INSIDE, map_tcp, sizeof(map_tcp));
	rig_wait(rig, 599 * NS_PER_S);
	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, SERVER, 9, GW_OUTSIDE, 40000, TCP_SYN),
	    REASON_NAT_IN);
	rig_wait(rig, 300 * NS_PER_S);
	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, SERVER, 10, GW_OUTSIDE, 40000, TCP_SYN),
	    DROP_NAT_UNSOLICITED);
	rig_free(rig);
}

/* Ten of each protocol on each port inside, at 0, 250, 750 ms, 1.75 s, ... */
static void
rfc6886_s3_2_1_ten_announcements_are_made(void **state)
{
	struct rig *rig = rig_pcp();
	uint64_t gap = 250 * NS_PER_MS;

	(void)state;
	rig_wait(rig, 1);
	for (unsigned int i = 1; i <= 10; i++) {
		struct peer *peer = &rig->peer[INSIDE];
		struct natpmp natpmp;
		struct pcp pcp;
		struct got got;

		assert_int_equal(rig->peer[OTHER].n, 2);
		assert_int_equal(rig->peer[OUTSIDE].n, 0);
		assert_int_equal(peer->n, 2);
		got = got_of(&peer->seen[0]);
		assert_int_equal(got.ip.src, GW_INSIDE);
		assert_int_equal(got.ip.dst, IP(224, 0, 0, 1));
		assert_int_equal(got.sport, 5351);
		assert_int_equal(got.dport, 5350);
		assert_int_equal(get_be32(got.eth.dst.b + 2), 0x5e000001);
		assert_true(
		    pcp_parse_response(&pcp, got.udp.data, got.udp.data_bytes));
		assert_int_equal(pcp.op, PCP_ANNOUNCE);
		assert_int_equal(
		    pcp.epoch_s, loop_now_ns(rig->loop) / NS_PER_S);
		got = got_of(&peer->seen[1]);
		assert_true(natpmp_parse_response(
		    &natpmp, got.udp.data, got.udp.data_bytes));
		assert_int_equal(natpmp.address, GW_OUTSIDE);
		rig_clear(rig);
		rig_wait(rig, gap - 2);
		assert_int_equal(peer->n, 0);
		rig_wait(rig, 2);
		gap *= 2;
	}
	rig_wait(rig, 3600 * NS_PER_S);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	rig_free(rig);
}

/* Of answers of success and of refusals. */
static void
rfc6886_s3_6_all_answers_tell_the_epoch(void **state)
{
	static const uint8_t requests[][2] = { { 0, 0 }, { 0, 77 } };
	struct rig *rig = rig_pcp();

	(void)state;
	for (size_t i = 0; i < 10; i++) {
		struct natpmp answer;
		struct got got;

		rig_wait(rig, i * i * NS_PER_S);
		rig_clear(rig);
		ask(rig, INSIDE, ALICE, GW_INSIDE, requests[i % 2], 2);
		got = got_of(&rig->peer[INSIDE].seen[0]);
		assert_true(natpmp_parse_response(
		    &answer, got.udp.data, got.udp.data_bytes));
		assert_int_equal(
		    answer.epoch_s, loop_now_ns(rig->loop) / NS_PER_S);
	}
	rig_free(rig);
}

/* It begins when there is something to ask for, not with the machine. */
static void
rfc6887_s8_5_the_epoch_counts_from_when_there_are_mappings(void **state)
{
	static const uint8_t announce[24] = { 2, 0, [18] = 0xff, 0xff, 10, 0, 0,
		10 };
	static const uint8_t malformed[28] = { 2, 1 };
	const struct router_pcp_options o = { .min_s = 0 };
	struct rig *rig = rig_new(0);
	struct err err;

	(void)state;
	rig_nat(rig, NAT_ENDPOINT_INDEPENDENT, NAT_ENDPOINT_INDEPENDENT, 0);
	rig_warm(rig);
	rig_wait(rig, 1000 * NS_PER_S);
	assert_int_equal(router_set_pcp(rig->router, &o, &err), 0);
	for (uint32_t i = 0; i < 10; i++) {
		struct pcp answer;
		struct got got;

		rig_clear(rig);
		if (i % 2 == 0)
			ask(rig, INSIDE, ALICE, GW_INSIDE, announce,
			    sizeof(announce));
		else
			ask(rig, INSIDE, ALICE, GW_INSIDE, malformed,
			    sizeof(malformed));
		got = got_of(&rig->peer[INSIDE].seen[0]);
		assert_true(pcp_parse_response(
		    &answer, got.udp.data, got.udp.data_bytes));
		assert_int_equal(answer.epoch_s, i * 100);
		rig_wait(rig, 100 * NS_PER_S);
	}
	rig_free(rig);
}

/* ---- IPv6 ---- */

struct six {
	struct rig *rig;
	struct pcp answer;
	enum reason reason;
};

static struct ip6_addr
form_outside(struct ip6_addr addr, bool translates)
{
	struct ip6_net inside, outside;
	struct npt6 npt;

	assert_true(ip6_net_read(&inside, "2001:db8:1::/48"));
	assert_true(ip6_net_read(&outside, "2001:db8:ff::/48"));
	assert_true(npt6_init(&npt, &inside, &outside));
	if (translates)
		assert_int_equal(npt6_out(&npt, &addr), NPT6_DONE);
	return addr;
}

static struct six
six(bool filters, bool translates)
{
	const struct router_pcp_options o = { .third_party = true };
	struct six s = { .rig = rig6_new(0) };
	struct router_filter6_options f = {
		.outside = s.rig->peer[OUTSIDE].gw,
		.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT,
		.only_asked = true,
	};
	struct ip6_net inside, outside;
	struct err err = { "" };

	if (filters)
		assert_int_equal(
		    router_set_filter6(s.rig->router, &f, &err), 0);
	assert_true(ip6_net_read(&inside, "2001:db8:1::/48"));
	assert_true(ip6_net_read(&outside, "2001:db8:ff::/48"));
	if (translates)
		assert_int_equal(router_add_npt6(s.rig->router, f.outside,
				     &inside, &outside, &err),
		    0);
	assert_int_equal(router_set_pcp(s.rig->router, &o, &err), 0);
	return s;
}

static struct pcp
map6(struct ip6_addr client, uint16_t port)
{
	return (struct pcp){ .op = PCP_MAP,
		.lifetime_s = 600,
		.client = client,
		.nonce = { 1 },
		.protocol = IP_UDP,
		.in_port = port };
}

/* What is answered to m, which asks at to. */
static enum pcp_result
ask6_at(struct six *s, struct ip6_addr to, const struct pcp *m)
{
	uint8_t bytes[PCP_MAX_BYTES];
	struct writer w = writer(bytes, sizeof(bytes));
	struct form6 f = form6(m->client, to, IP_UDP);
	struct got6 got;

	pcp_write_request(&w, m);
	f.sport = 1234;
	f.dport = 5351;
	f.data = bytes;
	f.data_bytes = (size_t)(w.at - bytes);
	rig_clear(s->rig);
	s->reason = rig6_send(s->rig, INSIDE, &f);
	got = rig6_last(s->rig, INSIDE);
	assert_ip6(got.ip.src, to);
	assert_ip6(got.ip.dst, m->client);
	assert_int_equal(got.udp.sport, 5351);
	assert_int_equal(got.udp.dport, 1234);
	assert_true(
	    pcp_parse_response(&s->answer, got.udp.data, got.udp.data_bytes));
	rig_clear(s->rig);
	return (enum pcp_result)s->answer.result;
}

static enum pcp_result
ask6(struct six *s, const struct pcp *m)
{
	return ask6_at(s, GW6, m);
}

/* What becomes of a packet from outside. */
static enum reason
in6(struct six *s, struct ip6_addr dst, uint16_t sport, uint16_t port,
    uint8_t protocol, uint8_t flags)
{
	struct form6 f = form6(SERVER6, dst, protocol);
	enum reason reason;

	f.sport = sport;
	f.dport = port;
	f.flags = flags;
	reason = rig6_send(s->rig, OUTSIDE, &f);
	return reason == REASON_ND_QUEUED ? rig6_send(s->rig, OUTSIDE, &f)
					  : reason;
}

static void
rfc6887_s11_3_a_host_of_ip6_opens_and_closes_the_filter(void **state)
{
	(void)state;
	for (int translates = 0; translates < 2; translates++) {
		struct six s = six(true, translates);
		struct ip6_addr out = form_outside(ALICE6, translates);
		struct pcp m = map6(ALICE6, 5000);

		assert_int_equal(
		    in6(&s, out, 9, 5000, IP_UDP, 0), DROP_FLOW_UNASKED);
		m.out_port = 4000; /* a hint does no harm */
		assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
		assert_int_equal(s.reason, REASON_DELIVERED);
		assert_int_equal(s.answer.lifetime_s, 600);
		assert_int_equal(s.answer.out_port, 5000);
		assert_ip6(s.answer.out_ip, out);
		assert_false(reason_is_drop(in6(&s, out, 9, 5000, IP_UDP, 0)));
		assert_ip6(rig6_last(s.rig, INSIDE).ip.dst, ALICE6);
		assert_int_equal(
		    in6(&s, out, 9, 5001, IP_UDP, 0), DROP_FLOW_UNASKED);
		assert_int_equal(
		    in6(&s, out, 9, 5000, IP_TCP, TCP_SYN), DROP_FLOW_UNASKED);
		assert_int_equal(
		    in6(&s, form_outside(BOB6, translates), 9, 5000, IP_UDP, 0),
		    DROP_FLOW_UNASKED);
		m.nonce[0] = 2;
		m.lifetime_s = 0;
		assert_int_equal(ask6(&s, &m), PCP_NOT_AUTHORIZED);
		assert_int_equal(s.answer.lifetime_s, 600);
		m.nonce[0] = 1;
		assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
		assert_int_equal(s.answer.lifetime_s, 0);
		/* Its flow goes on, another does not begin. */
		assert_false(reason_is_drop(in6(&s, out, 9, 5000, IP_UDP, 0)));
		assert_int_equal(
		    in6(&s, out, 8, 5000, IP_UDP, 0), DROP_FLOW_UNASKED);
		rig_free(s.rig);
	}
}

static void
a_hole_ends_when_it_is_due(void **state)
{
	struct six s = six(true, false);
	struct pcp m = map6(ALICE6, 5000);

	(void)state;
	m.protocol = IP_TCP;
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	rig_wait(s.rig, 599 * NS_PER_S);
	assert_false(reason_is_drop(in6(&s, ALICE6, 9, 5000, IP_TCP, TCP_SYN)));
	/* Only a SYN begins anything. */
	assert_int_equal(
	    in6(&s, ALICE6, 10, 5000, IP_TCP, TCP_ACK), DROP_FLOW_STATE);
	rig_wait(s.rig, NS_PER_S);
	assert_int_equal(
	    in6(&s, ALICE6, 11, 5000, IP_TCP, TCP_SYN), DROP_FLOW_UNASKED);
	rig_free(s.rig);
}

static void
all_ports_and_all_protocols_can_be_asked_for(void **state)
{
	struct six s = six(true, false);
	struct pcp m = map6(ALICE6, 0);

	(void)state;
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	assert_false(reason_is_drop(in6(&s, ALICE6, 9, 77, IP_UDP, 0)));
	assert_int_equal(
	    in6(&s, ALICE6, 9, 77, IP_TCP, TCP_SYN), DROP_FLOW_UNASKED);
	m.protocol = 0;
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	assert_false(reason_is_drop(in6(&s, ALICE6, 9, 77, IP_TCP, TCP_SYN)));
	assert_false(reason_is_drop(in6(&s, ALICE6, 0, 0, IP_ICMP6, 0)));
	m.lifetime_s = 0;
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	assert_int_equal(
	    in6(&s, ALICE6, 10, 77, IP_TCP, TCP_SYN), DROP_FLOW_UNASKED);
	assert_false(reason_is_drop(in6(&s, ALICE6, 10, 77, IP_UDP, 0)));
	m.in_port = 7;
	assert_int_equal(ask6(&s, &m), PCP_MALFORMED_REQUEST);
	m = map6(ALICE6, 7);
	m.protocol = 46; /* RSVP has no ports */
	assert_int_equal(ask6(&s, &m), PCP_UNSUPP_PROTOCOL);
	rig_free(s.rig);
}

static void
rfc6887_s13_3_a_filter_of_ip6_refuses_others(void **state)
{
	struct six s = six(true, false);
	struct pcp m = map6(ALICE6, 5000);

	(void)state;
	m.nfilters = 1;
	m.filters[0] = (struct pcp_filter){ ip6_of_ip4(SERVER), 7, 128 };
	assert_int_equal(ask6(&s, &m), PCP_MALFORMED_OPTION);
	m.filters[0] = (struct pcp_filter){ SERVER6, 7, 64 };
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	assert_int_equal(s.answer.nfilters, 1);
	assert_int_equal(
	    in6(&s, ALICE6, 9, 5000, IP_UDP, 0), DROP_FLOW_UNASKED);
	assert_false(reason_is_drop(in6(&s, ALICE6, 7, 5000, IP_UDP, 0)));
	m.filters[0].prefix = 0;
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	assert_false(reason_is_drop(in6(&s, ALICE6, 9, 5000, IP_UDP, 0)));
	m.nfilters = 9;
	for (uint8_t i = 0; i < 9; i++)
		m.filters[i] = (struct pcp_filter){ SERVER6, i + 1, 128 };
	assert_int_equal(ask6(&s, &m), PCP_EXCESSIVE_REMOTE_PEERS);
	assert_false(reason_is_drop(in6(&s, ALICE6, 99, 5000, IP_UDP, 0)));
	rig_free(s.rig);
}

static void
rfc6887_s12_3_peer_keeps_a_silent_connection_of_ip6(void **state)
{
	struct six s = six(true, false);
	struct pcp m = map6(ALICE6, 5000);

	(void)state;
	m.op = PCP_PEER;
	m.protocol = IP_TCP;
	m.remote = SERVER6;
	m.remote_port = 80;
	m.lifetime_s = 40000;
	m.out_port = 5001;
	assert_int_equal(ask6(&s, &m), PCP_CANNOT_PROVIDE_EXTERNAL);
	m.out_port = 5000;
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	assert_int_equal(s.answer.lifetime_s, 40000);
	rig_wait(s.rig, 30000 * NS_PER_S);
	assert_false(
	    reason_is_drop(in6(&s, ALICE6, 80, 5000, IP_TCP, TCP_ACK)));
	assert_int_equal(
	    in6(&s, ALICE6, 81, 5000, IP_TCP, TCP_ACK), DROP_FLOW_UNASKED);
	/* MAP deletes nothing of it, and PEER makes it no shorter. */
	m.lifetime_s = 0;
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	assert_int_equal(s.answer.lifetime_s, 10000);
	m.op = PCP_MAP;
	assert_int_equal(ask6(&s, &m), PCP_NOT_AUTHORIZED);
	rig_wait(s.rig, 9999 * NS_PER_S);
	assert_false(
	    reason_is_drop(in6(&s, ALICE6, 80, 5000, IP_TCP, TCP_ACK)));
	rig_free(s.rig);
}

static void
rfc6887_s13_2_another_end_of_ip6_or_none_is_none(void **state)
{
	struct six s = six(true, false);
	struct pcp m = map6(ALICE6, 5000);

	(void)state;
	m.prefer_failure = true;
	assert_int_equal(ask6(&s, &m), PCP_MALFORMED_OPTION);
	m.out_port = 5001;
	assert_int_equal(ask6(&s, &m), PCP_CANNOT_PROVIDE_EXTERNAL);
	m.out_port = 5000;
	m.out_ip = BOB6;
	assert_int_equal(ask6(&s, &m), PCP_CANNOT_PROVIDE_EXTERNAL);
	assert_int_equal(
	    in6(&s, ALICE6, 9, 5000, IP_UDP, 0), DROP_FLOW_UNASKED);
	m.out_ip = ALICE6;
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	rig_free(s.rig);
}

static void
rfc6887_s17_2_a_station_of_ip6_has_a_limit(void **state)
{
	struct six s = six(true, false);
	struct pcp m = map6(ALICE6, 1);

	(void)state;
	for (; m.in_port <= 256; m.in_port++)
		assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	assert_int_equal(ask6(&s, &m), PCP_USER_EX_QUOTA);
	assert_int_equal(s.reason, DROP_PCP_FULL);
	m.in_port = 1;
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	m = map6(BOB6, 257);
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	rig_wait(s.rig, 600 * NS_PER_S);
	m = map6(ALICE6, 257);
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	rig_free(s.rig);
}

/* Without a filter, what is so anyway is told (11.3, of stateless devices). */
static void
rfc6887_s11_3_who_only_translates_prefixes_tells_how(void **state)
{
	struct six s = six(false, true);
	struct pcp m = map6(ALICE6, 5000);

	(void)state;
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	assert_ip6(s.answer.out_ip, form_outside(ALICE6, true));
	assert_int_equal(s.answer.out_port, 5000);
	m.lifetime_s = 0;
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	m.lifetime_s = 600;
	m.nfilters = 1;
	m.filters[0] = (struct pcp_filter){ SERVER6, 7, 128 };
	assert_int_equal(ask6(&s, &m), PCP_EXCESSIVE_REMOTE_PEERS);
	rig_free(s.rig);
}

static void
rfc6887_s8_2_who_asks_by_ip6_has_an_address_inside(void **state)
{
	struct six s = six(true, false);
	struct pcp m = map6(addr6("fe80::77"), 5000);

	(void)state;
	/* The epoch is told on the link, mappings are for the world. */
	assert_int_equal(ask6_at(&s, GW6, &m), PCP_NOT_AUTHORIZED);
	m.op = PCP_ANNOUNCE;
	assert_int_equal(ask6_at(&s, GW6, &m), PCP_SUCCESS);
	m = map6(ALICE6, 5000);
	m.has_third_party = true;
	m.third_party = BOB6;
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	assert_ip6(s.answer.out_ip, BOB6);
	m.third_party = SERVER6;
	assert_int_equal(ask6(&s, &m), PCP_NOT_AUTHORIZED);
	m.third_party = GW6;
	assert_int_equal(ask6(&s, &m), PCP_NOT_AUTHORIZED);
	m.third_party = ip6_of_ip4(ALICE); /* there is no NAT */
	assert_int_equal(ask6(&s, &m), PCP_NOT_AUTHORIZED);
	rig_free(s.rig);
}

static void
nobody_outside_is_heard_by_ip6(void **state)
{
	struct six s = six(true, false);
	struct form6 f = form6(SERVER6, rig_ip6(2, 1), IP_UDP);

	(void)state;
	f.dport = 5351;
	assert_int_equal(rig6_send(s.rig, OUTSIDE, &f), DROP_NO_LISTENER);
	rig_free(s.rig);
}

static void
rfc6887_s14_1_3_a_router_of_ip6_announces_itself_there(void **state)
{
	struct six s = six(true, false);
	struct got6 got;
	struct pcp m;

	(void)state;
	rig_clear(s.rig);
	rig_wait(s.rig, 1);
	assert_int_equal(s.rig->peer[OUTSIDE].n, 0);
	assert_int_equal(s.rig->peer[INSIDE].n, 1);
	got = rig6_last(s.rig, INSIDE);
	assert_true(ip6_is_link_local(&got.ip.src));
	assert_ip6(got.ip.dst, addr6("ff02::1"));
	assert_int_equal(got.udp.sport, 5351);
	assert_int_equal(got.udp.dport, 5350);
	assert_true(pcp_parse_response(&m, got.udp.data, got.udp.data_bytes));
	assert_int_equal(m.op, PCP_ANNOUNCE);
	assert_int_equal(m.result, PCP_SUCCESS);
	rig_clear(s.rig);
	rig_wait(s.rig, 200 * NS_PER_S);
	assert_int_equal(s.rig->peer[INSIDE].n, 9);
	rig_free(s.rig);
}

struct rows {
	unsigned int holes, flows;
};

static void
see(void *arg, const struct flow6_row *row)
{
	struct rows *rows = arg;

	if (row->id != 0) {
		rows->flows++;
		assert_string_equal(row->why,
		    "a host outside began, as the inside one asked for");
		return;
	}
	rows->holes++;
	assert_string_equal(row->state, "pinned");
	assert_string_equal(row->why, "its host asked for it by PCP");
	assert_ip6(row->inside, ALICE6);
	assert_int_equal(row->port, 5000);
	assert_int_equal(row->left_ns, 600 * NS_PER_S);
}

static void
holes_are_shown_with_why_they_are_there(void **state)
{
	struct six s = six(true, false);
	struct pcp m = map6(ALICE6, 5000);
	struct rows rows = { 0 };

	(void)state;
	assert_int_equal(ask6(&s, &m), PCP_SUCCESS);
	in6(&s, ALICE6, 9, 5000, IP_UDP, 0);
	router_each_flow6(s.rig->router, see, &rows);
	assert_int_equal(rows.holes, 1);
	assert_int_equal(rows.flows, 1);
	rig_free(s.rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    rfc6886_s5_a_host_inside_is_answered_from_where_it_asked),
		cmocka_unit_test(rfc6886_s5_nobody_else_is_heard),
		cmocka_unit_test(
		    rfc6887_s8_2_requests_come_in_where_answers_leave),
		cmocka_unit_test(
		    rfc6886_s3_8_a_router_without_nat_is_none_to_ask),
		cmocka_unit_test(rfc6887_s11_icmp_errors_pass_with_a_mapping),
		cmocka_unit_test(refusals_are_counted_by_reason),
		cmocka_unit_test(
		    rfc6886_s4_3_4_a_mapping_is_reached_from_inside_too),
		cmocka_unit_test(
		    rfc6886_s3_4_a_mapping_ends_when_nothing_else_happens),
		cmocka_unit_test(rfc6886_s3_2_1_ten_announcements_are_made),
		cmocka_unit_test(rfc6886_s3_6_all_answers_tell_the_epoch),
		cmocka_unit_test(
		    rfc6887_s8_5_the_epoch_counts_from_when_there_are_mappings),
		cmocka_unit_test(
		    rfc6887_s11_3_a_host_of_ip6_opens_and_closes_the_filter),
		cmocka_unit_test(a_hole_ends_when_it_is_due),
		cmocka_unit_test(all_ports_and_all_protocols_can_be_asked_for),
		cmocka_unit_test(rfc6887_s13_3_a_filter_of_ip6_refuses_others),
		cmocka_unit_test(
		    rfc6887_s12_3_peer_keeps_a_silent_connection_of_ip6),
		cmocka_unit_test(
		    rfc6887_s13_2_another_end_of_ip6_or_none_is_none),
		cmocka_unit_test(rfc6887_s17_2_a_station_of_ip6_has_a_limit),
		cmocka_unit_test(
		    rfc6887_s11_3_who_only_translates_prefixes_tells_how),
		cmocka_unit_test(
		    rfc6887_s8_2_who_asks_by_ip6_has_an_address_inside),
		cmocka_unit_test(nobody_outside_is_heard_by_ip6),
		cmocka_unit_test(
		    rfc6887_s14_1_3_a_router_of_ip6_announces_itself_there),
		cmocka_unit_test(holes_are_shown_with_why_they_are_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
