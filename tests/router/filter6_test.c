/*
 * The filter of IPv6 (RFC 6092) and prefix translation (RFC 6296) in a router:
 * inside is the inside, and there is another link behind it.
 */
#include "net/npt6.h"
#include "router/icmp_error.h"
#include "router/nat_rules.h"
#include "router/router.h"
#include "tests/router/rig6.h"

#define S NS_PER_S

static struct rig *
start_with(void **state, const struct router_filter6_options *options)
{
	struct rig *rig = rig6_new(0);
	struct router_filter6_options o = *options;
	struct err err = { "" };

	*state = rig;
	o.outside = rig->peer[OUTSIDE].gw;
	assert_int_equal(router_set_filter6(rig->router, &o, &err), 0);
	return rig;
}

static struct rig *
start(void **state, enum nat_behaviour filtering)
{
	return start_with(
	    state, &(struct router_filter6_options){ .filtering = filtering });
}

static struct rig *
strict(void **state)
{
	return start(state, NAT_ADDRESS_AND_PORT_DEPENDENT);
}

static struct rig *translating(void **state, bool filter);
static struct ip6_addr outside_form(struct ip6_addr addr);

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static struct form6
inbound(struct ip6_addr src, uint16_t sport, uint16_t dport, uint8_t protocol)
{
	struct form6 f = form6(src, ALICE6, protocol);

	f.sport = sport;
	f.dport = dport;
	return f;
}

/* What becomes of a packet from outside, when its next hop is known. */
static enum reason
comes(struct rig *rig, const struct form6 *f)
{
	enum reason reason = rig6_send(rig, OUTSIDE, f);

	return reason == REASON_ND_QUEUED ? rig6_send(rig, OUTSIDE, f) : reason;
}

static void
begin(struct rig *rig, uint8_t protocol)
{
	struct form6 f = form6(ALICE6, SERVER6, protocol);

	f.flags = TCP_SYN;
	f.data_bytes = protocol == IP_TCP ? 0 : 18;
	rig6_send(rig, INSIDE, &f);
}

static void
rfc6092_rec13_only_what_was_asked_for_comes_in(void **state)
{
	struct rig *rig = strict(state);
	struct form6 in = inbound(SERVER6, 53, 5000, IP_UDP);

	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	begin(rig, IP_UDP);
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
	assert_int_not_equal(rig->verdict.entry, 0);
	in.sport = 54;
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
	in = inbound(rig_ip6(2, 11), 53, 5000, IP_UDP);
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
	in = inbound(SERVER6, 53, 5000, IP_TCP);
	in.flags = TCP_SYN;
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
	assert_int_equal(router_node(rig->router)->count[DROP_FLOW_UNASKED], 4);
}

static void
between_inside_links_nothing_is_asked(void **state)
{
	struct rig *rig = strict(state);
	struct form6 f = form6(CAROL6, ALICE6, IP_UDP);

	rig6_send(rig, OTHER, &f);
	assert_int_equal(rig6_send(rig, OTHER, &f), REASON_ROUTED);
}

static void
rfc6092_rec17_who_may_answer_is_chosen(void **state)
{
	static const struct {
		enum nat_behaviour filtering;
		bool port, host;
	} rows[] = {
		{ NAT_ENDPOINT_INDEPENDENT, true, true },
		{ NAT_ADDRESS_DEPENDENT, true, false },
		{ NAT_ADDRESS_AND_PORT_DEPENDENT, false, false },
	};

	for (size_t i = 0; i < 3; i++) {
		struct rig *rig = start(state, rows[i].filtering);
		struct form6 port = inbound(SERVER6, 54, 5000, IP_UDP);
		struct form6 host = inbound(rig_ip6(2, 11), 53, 5000, IP_UDP);
		struct form6 other = inbound(SERVER6, 53, 5001, IP_UDP);

		begin(rig, IP_UDP);
		assert_int_equal(comes(rig, &port),
		    rows[i].port ? REASON_FLOW_KNOWN : DROP_FLOW_UNASKED);
		assert_int_equal(comes(rig, &host),
		    rows[i].host ? REASON_FLOW_NEW : DROP_FLOW_UNASKED);
		assert_int_equal(comes(rig, &other), DROP_FLOW_UNASKED);
		if (i < 2)
			teardown(state);
	}
}

static void
rfc6092_rec14_udp_lives_for_five_minutes(void **state)
{
	struct rig *rig = strict(state);
	struct form6 in = inbound(SERVER6, 53, 5000, IP_UDP);

	begin(rig, IP_UDP);
	rig_wait(rig, 299 * S);
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
	rig_wait(rig, 299 * S);
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
	rig_wait(rig, 301 * S);
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
}

static void
rfc6092_rec31_tcp_begins_by_a_syn_from_either_end(void **state)
{
	struct rig *rig = strict(state);
	struct form6 out = form6(ALICE6, SERVER6, IP_TCP);
	struct form6 in = inbound(SERVER6, 53, 5000, IP_TCP);

	out.flags = TCP_ACK;
	assert_int_equal(rig6_send(rig, INSIDE, &out), DROP_FLOW_STATE);
	out.flags = TCP_SYN;
	rig6_send(rig, INSIDE, &out);
	/* At the same time: a SYN meets a SYN. */
	in.flags = TCP_SYN;
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
	out.flags = in.flags = TCP_ACK;
	assert_int_equal(rig6_send(rig, INSIDE, &out), REASON_FLOW_KNOWN);
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
}

static void
rfc6092_rec34_who_was_refused_is_told_after_six_seconds(void **state)
{
	struct rig *rig = translating(state, true);
	struct form6 in = form6(SERVER6, outside_form(ALICE6), IP_TCP);
	struct got6 g;
	struct ip6_addr quoted;

	in.sport = 53;
	in.dport = 5000;
	in.flags = TCP_SYN;
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
	rig_wait(rig, 6 * S - 1);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	rig_wait(rig, 2);
	g = rig6_last(rig, OUTSIDE);
	assert_int_equal(g.icmp.type, ICMP6_UNREACHABLE);
	assert_int_equal(g.icmp.code, ICMP6_UNREACH_PROHIBITED);
	assert_ip6(g.ip.dst, SERVER6);
	memcpy(quoted.b, g.icmp.data + IP6_OFF_DST, 16);
	assert_ip6(quoted, in.dst);
	/* If both begin at once, nobody is told. */
	rig_clear(rig);
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
	rig_wait(rig, 3 * S);
	begin(rig, IP_TCP);
	rig_wait(rig, 10 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
	assert_int_equal(rig6_last(rig, OUTSIDE).chain.protocol, IP_TCP);
	/* Neither is who sent what begins nothing; and not too many are. */
	rig_clear(rig);
	in.dport = 5001;
	in.flags = TCP_ACK;
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
	in.flags = TCP_SYN;
	for (int i = 0; i < 1000; i++) {
		in.sport++;
		rig6_send(rig, OUTSIDE, &in);
	}
	rig_wait(rig, 10 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, ICMP_ERROR_BURST / 2);
}

static void
rfc6092_rec8_dns_and_dhcp_are_not_for_outside(void **state)
{
	struct rig *rig = strict(state);
	struct form6 f = form6(SERVER6, rig_ip6(2, 1), IP_UDP);
	struct router_ra_options ra = { .interval_s = 600 };

	assert_int_equal(
	    router_set_ra(rig->router, rig->peer[OUTSIDE].gw, &ra, NULL), 0);
	assert_int_equal(
	    router_set_dns(rig->router,
		&(struct router_dns_options){ .nupstreams = 0 }, NULL),
	    0);
	f.dport = 547;
	assert_int_equal(rig6_send(rig, OUTSIDE, &f), DROP_NO_LISTENER);
	f.dport = 53;
	assert_int_equal(rig6_send(rig, OUTSIDE, &f), DROP_NO_LISTENER);
	/* Inside, it reads it, and finds no question. */
	f.src = ALICE6;
	f.dst = GW6;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_DNS);
}

static void
rfc6092_rec35_tcp_lives_for_two_hours(void **state)
{
	struct rig *rig = strict(state);
	struct form6 in = inbound(SERVER6, 53, 5000, IP_TCP);

	begin(rig, IP_TCP);
	in.flags = TCP_SYN | TCP_ACK;
	rig_wait(rig, 239 * S);
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
	in.flags = TCP_ACK;
	rig_wait(rig, 7439 * S);
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
	rig_wait(rig, 7441 * S);
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
	begin(rig, IP_TCP);
	rig_wait(rig, 241 * S);
	in.flags = TCP_SYN | TCP_ACK;
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
}

/* An error of a router on the way, about what alice sent to a port of the
 * server's. */
static enum reason
error_about(struct rig *rig, uint8_t type, uint16_t dport, uint32_t word)
{
	struct form6 f = form6(rig_ip6(2, 0xfe), ALICE6, IP_ICMP6);
	struct form6 q = form6(ALICE6, SERVER6, IP_UDP);
	struct pkt *pkt = malloc(sizeof(*pkt));
	enum reason reason;

	q.dport = dport;
	rig6_write(pkt, &rig->peer[INSIDE], &q);
	f.type = type;
	f.word = word;
	f.data = pkt->bytes + 14;
	f.data_bytes = pkt->len - 14;
	reason = comes(rig, &f);
	free(pkt);
	return reason;
}

static void
rfc6092_rec10_errors_come_in_with_their_flow(void **state)
{
	struct rig *rig = strict(state);
	struct form6 in = inbound(SERVER6, 53, 5000, IP_UDP);

	assert_int_equal(
	    error_about(rig, ICMP6_TOO_BIG, 53, 1280), DROP_FLOW_ICMP);
	begin(rig, IP_UDP);
	assert_int_equal(
	    error_about(rig, ICMP6_TOO_BIG, 53, 1280), REASON_FLOW_ICMP);
	assert_int_not_equal(rig->verdict.entry, 0);
	assert_int_equal(
	    error_about(rig, ICMP6_UNREACHABLE, 53, 0), REASON_FLOW_ICMP);
	assert_int_equal(
	    error_about(rig, ICMP6_TIME_EXCEEDED, 54, 0), DROP_FLOW_ICMP);
	/* REC-19: it neither ends a flow nor keeps it. */
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
	for (int i = 0; i < 4; i++) {
		rig_wait(rig, 99 * S);
		error_about(rig, ICMP6_UNREACHABLE, 53, 0);
	}
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
}

static void
pings_are_flows_by_their_id(void **state)
{
	struct rig *rig = strict(state);
	struct form6 out = form6(ALICE6, SERVER6, IP_ICMP6);
	struct form6 in = form6(SERVER6, ALICE6, IP_ICMP6);

	out.word = 0x00070001;
	in.type = ICMP6_ECHO_REPLY;
	in.word = 0x00070001;
	rig6_send(rig, INSIDE, &out);
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
	in.word = 0x00080001;
	assert_int_equal(comes(rig, &in), DROP_FLOW_UNASKED);
	in.type = ICMP6_ECHO_REQUEST;
	assert_int_equal(comes(rig, &in), DROP_FLOW_UNASKED);
}

static void
rfc6092_rec21_ipsec_comes_in_unasked_unless_that_is_off(void **state)
{
	static const uint8_t auth[] = { IP_UDP, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0,
		1 };

	for (int only = 0; only < 2; only++) {
		struct rig *rig = start_with(state,
		    &(struct router_filter6_options){
			.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT,
			.only_asked = only != 0 });
		struct form6 ike = inbound(SERVER6, 500, 500, IP_UDP);
		struct form6 ah = inbound(SERVER6, 9, 9, IP_UDP);
		struct form6 esp = inbound(SERVER6, 0, 0, 50);
		enum reason want = only ? DROP_FLOW_UNASKED : REASON_ROUTED;

		ah.chain = auth;
		ah.chain_bytes = sizeof(auth);
		ah.first = IP_AUTH;
		assert_int_equal(comes(rig, &ike), want);
		assert_int_equal(comes(rig, &ah), want);
		assert_int_equal(comes(rig, &esp), want);
		/* Mobile IPv6, HIP */
		esp.protocol = 135;
		assert_int_equal(comes(rig, &esp), want);
		esp.protocol = 139;
		assert_int_equal(comes(rig, &esp), want);
		if (only == 0)
			teardown(state);
	}
}

static void
rfc6092_rec1_multicast_is_not_passed_on(void **state)
{
	struct rig *rig = strict(state);
	struct form6 f = form6(ALICE6, addr6("ff0e::99"), IP_UDP);

	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_MULTICAST);
	f.src = SERVER6;
	assert_int_equal(rig6_send(rig, OUTSIDE, &f), DROP_MULTICAST);
}

static void
rfc6092_rec5_nobody_speaks_with_addresses_of_elsewhere(void **state)
{
	struct rig *rig = strict(state);
	struct form6 f = form6(rig_ip6(9, 9), SERVER6, IP_UDP);

	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_MARTIAN);
	f = form6(addr6("::1"), SERVER6, IP_UDP); /* REC-3 */
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_MARTIAN);
	f = form6(BOB6, ALICE6, IP_UDP); /* REC-6 */
	assert_int_equal(rig6_send(rig, OUTSIDE, &f), DROP_MARTIAN);
}

static void
rfc6092_rec12_protocols_without_ports_are_flows(void **state)
{
	static const uint8_t gre[8];
	struct rig *rig = strict(state);
	struct form6 out = form6(ALICE6, SERVER6, 47);
	struct form6 in = inbound(SERVER6, 0, 0, 47);

	out.raw = in.raw = gre;
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
	rig6_send(rig, INSIDE, &out);
	rig_wait(rig, 299 * S);
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
	rig_wait(rig, 301 * S);
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
}

static void
rfc6092_rec20_udp_lite_has_ports(void **state)
{
	static const uint8_t there[8] = { 0x13, 0x88, 0, 53 };
	static const uint8_t back[8] = { 0, 53, 0x13, 0x88 };
	static const uint8_t other[8] = { 0, 54, 0x13, 0x88 };
	struct rig *rig = strict(state);
	struct form6 out = form6(ALICE6, SERVER6, 136);
	struct form6 in = inbound(SERVER6, 0, 0, 136);

	out.raw = there;
	in.raw = back;
	rig6_send(rig, INSIDE, &out);
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
	in.raw = other;
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
}

/* An association begins with an INIT, and is there when it is answered. */
static void
rfc6092_rec39_sctp_is_told_after_six_seconds(void **state)
{
	static const uint8_t ports[8] = { 0, 53, 0x13, 0x88 };
	static const uint8_t init[18] = { [4] = 1 }, data[18] = { [4] = 0 };
	struct rig *rig = strict(state);
	struct form6 in = inbound(SERVER6, 0, 0, 132);

	in.raw = ports;
	in.data = init;
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
	rig_wait(rig, 6 * S - 1);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	rig_wait(rig, 2);
	assert_int_equal(
	    rig6_last(rig, OUTSIDE).icmp.code, ICMP6_UNREACH_PROHIBITED);
	rig_clear(rig);
	in.data = data;
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
	rig_wait(rig, 10 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
}

static void
rfc6092_rec40_sctp_and_dccp_live_for_two_hours(void **state)
{
	static const uint8_t there[8] = { 0x13, 0x88, 0, 53 };
	static const uint8_t back[8] = { 0, 53, 0x13, 0x88 };
	static const uint8_t protocols[] = { 132, 33 };

	for (int i = 0; i < 2; i++) {
		struct rig *rig = strict(state);
		struct form6 out = form6(ALICE6, SERVER6, protocols[i]);
		struct form6 in = inbound(SERVER6, 0, 0, protocols[i]);

		out.raw = there;
		in.raw = back;
		rig6_send(rig, INSIDE, &out);
		/* not answered yet */
		rig_wait(rig, 239 * S);
		assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
		rig_wait(rig, (2 * 3600 + 240) * S - 1);
		assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
		rig_wait(rig, (2 * 3600 + 241) * S);
		assert_int_equal(
		    rig6_send(rig, OUTSIDE, &in), DROP_FLOW_UNASKED);
		if (i == 0)
			rig_free(rig);
	}
}

static void
rfc6092_rec4_routing_headers_of_type_0_do_not_pass(void **state)
{
	static const uint8_t type0[] = { IP_UDP, 0, 0, 0, 0, 0, 0, 0 };
	static const uint8_t type2[] = { IP_UDP, 0, 2, 0, 0, 0, 0, 0 };
	struct rig *rig = strict(state);
	struct form6 out = form6(ALICE6, SERVER6, IP_UDP);
	struct form6 in = inbound(SERVER6, 53, 5000, IP_UDP);

	begin(rig, IP_UDP);
	out.first = in.first = IP_ROUTING;
	out.chain_bytes = in.chain_bytes = sizeof(type0);
	out.chain = in.chain = type2;
	assert_int_equal(rig6_send(rig, INSIDE, &out), REASON_FLOW_KNOWN);
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
	out.chain = in.chain = type0;
	assert_int_equal(rig6_send(rig, INSIDE, &out), DROP_SOURCE_ROUTE);
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_SOURCE_ROUTE);
}

static void
fragments_follow_their_first(void **state)
{
	static const uint8_t first[] = { IP_UDP, 0, 0, 1, 0, 0, 0, 7 };
	static const uint8_t later[] = { IP_UDP, 0, 0, 32, 0, 0, 0, 7 };
	static const uint8_t other[] = { IP_UDP, 0, 0, 32, 0, 0, 0, 8 };
	struct rig *rig = strict(state);
	struct form6 in = inbound(SERVER6, 53, 5000, IP_UDP);

	begin(rig, IP_UDP);
	in.first = IP_FRAGMENT;
	in.chain = later;
	in.chain_bytes = sizeof(later);
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FRAGMENT);
	in.chain = first;
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
	in.chain = later;
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
	in.chain = other;
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FRAGMENT);
	rig_wait(rig, 61 * S);
	in.chain = later;
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_FRAGMENT);
}

static void
a_full_table_takes_none_and_keeps_all(void **state)
{
	struct rig *rig = start_with(state,
	    &(struct router_filter6_options){ .max_flows = 100,
		.per_station = 60,
		.filtering = NAT_ADDRESS_AND_PORT_DEPENDENT });
	struct form6 out = form6(ALICE6, SERVER6, IP_UDP);
	struct form6 bob = form6(BOB6, SERVER6, IP_UDP);
	struct form6 in = inbound(SERVER6, 53, 1000, IP_UDP);
	unsigned int full = 0, station = 0;
	enum reason reason;

	for (unsigned int i = 0; i < 70; i++) {
		/* Another address does not make it another station. */
		out.sport = (uint16_t)(1000 + i);
		reason = rig6_send(rig, INSIDE, &out);
		station += reason == DROP_FLOW_STATION;
	}
	assert_int_equal(station, 10);
	for (unsigned int i = 0; i < 70; i++) {
		bob.sport = (uint16_t)(1000 + i);
		reason = rig6_send(rig, INSIDE, &bob);
		full += reason == DROP_FLOW_FULL;
	}
	assert_int_equal(full, 30);
	assert_int_equal(comes(rig, &in), REASON_FLOW_KNOWN);
	rig_wait(rig, 301 * S);
	assert_int_equal(rig6_send(rig, INSIDE, &bob), REASON_FLOW_NEW);
}

struct rows {
	unsigned int n;
	struct flow6_row last;
};

static void
note(void *arg, const struct flow6_row *row)
{
	struct rows *rows = arg;

	rows->n++;
	rows->last = *row;
}

static void
flows_are_told(void **state)
{
	struct rig *rig = strict(state);
	struct form6 in = inbound(SERVER6, 53, 5000, IP_UDP);
	struct rows rows = { .n = 0 };

	begin(rig, IP_UDP);
	rig_wait(rig, S);
	router_each_flow6(rig->router, note, &rows);
	assert_int_equal(rows.n, 1);
	assert_string_equal(rows.last.state, "one-way");
	assert_ip6(rows.last.inside, ALICE6);
	assert_int_equal(rows.last.remote_port, 53);
	assert_int_equal(rows.last.left_ns, 299 * S);
	assert_int_equal(rows.last.out_frames, 1);
	comes(rig, &in);
	router_each_flow6(rig->router, note, &rows);
	assert_string_equal(rows.last.state, "two-way");
	assert_int_equal(rows.last.id, rig->verdict.entry);
}

/* ---- prefixes ---- */

static struct rig *
translating(void **state, bool filter)
{
	struct rig *rig = filter ? strict(state) : rig6_new(0);
	struct ip6_net inside, outside;
	struct err err = { "" };

	*state = rig;
	assert_true(ip6_net_read(&inside, "2001:db8:1::/48"));
	assert_true(ip6_net_read(&outside, "2001:db8:ff::/48"));
	assert_int_equal(router_add_npt6(rig->router, rig->peer[OUTSIDE].gw,
			     &inside, &outside, &err),
	    0);
	return rig;
}

static struct ip6_addr
outside_form(struct ip6_addr addr)
{
	struct ip6_net inside, outside;
	struct npt6 npt;

	assert_true(ip6_net_read(&inside, "2001:db8:1::/48"));
	assert_true(ip6_net_read(&outside, "2001:db8:ff::/48"));
	assert_true(npt6_init(&npt, &inside, &outside));
	assert_int_equal(npt6_out(&npt, &addr), NPT6_DONE);
	return addr;
}

static void
rfc6296_s3_1_addresses_change_at_the_outside_and_back(void **state)
{
	for (int filter = 0; filter < 2; filter++) {
		struct rig *rig = translating(state, filter != 0);
		struct form6 out = form6(ALICE6, SERVER6, IP_TCP);
		struct form6 in = form6(SERVER6, outside_form(ALICE6), IP_TCP);
		struct form6 bare = form6(SERVER6, ALICE6, IP_TCP);

		out.flags = TCP_SYN;
		rig6_send(rig, INSIDE, &out);
		/* rig6_last() looks at its sums. */
		assert_ip6(
		    rig6_last(rig, OUTSIDE).ip.src, outside_form(ALICE6));
		in.sport = 53;
		in.dport = 5000;
		in.flags = TCP_SYN | TCP_ACK;
		assert_int_equal(comes(rig, &in), REASON_NPT_IN);
		assert_ip6(rig6_last(rig, INSIDE).ip.dst, ALICE6);
		out.flags = TCP_ACK;
		assert_int_equal(rig6_send(rig, INSIDE, &out), REASON_NPT_OUT);
		assert_int_equal(rig6_send(rig, OUTSIDE, &bare), DROP_MARTIAN);
		in.dport = 5001;
		in.flags = TCP_SYN;
		assert_int_equal(rig6_send(rig, OUTSIDE, &in),
		    filter ? DROP_FLOW_UNASKED : REASON_NPT_IN);
		if (filter == 0)
			teardown(state);
	}
}

static void
rfc6296_s2_4_two_inside_hosts_meet_by_their_outside_addresses(void **state)
{
	struct rig *rig = translating(state, true);
	struct form6 f = form6(ALICE6, outside_form(BOB6), IP_UDP);
	struct got6 g;

	rig6_send(rig, INSIDE, &f);
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_NPT_HAIRPIN);
	g = rig6_last(rig, INSIDE);
	assert_ip6(g.ip.src, outside_form(ALICE6));
	assert_ip6(g.ip.dst, BOB6);
}

static void
errors_quote_what_was_sent(void **state)
{
	struct rig *rig = translating(state, true);
	struct form6 out = form6(ALICE6, SERVER6, IP_UDP);
	struct form6 f =
	    form6(rig_ip6(2, 0xfe), outside_form(ALICE6), IP_ICMP6);
	struct got6 g;
	struct ip6_addr src;
	uint8_t *quote;

	rig6_send(rig, INSIDE, &out);
	g = rig6_last(rig, OUTSIDE);
	quote = malloc(g.len);
	memcpy(quote, g.bytes, g.len);
	f.type = ICMP6_TIME_EXCEEDED;
	f.data = quote;
	f.data_bytes = g.len;
	rig6_send(rig, OUTSIDE, &f);
	assert_int_equal(rig6_send(rig, OUTSIDE, &f), REASON_FLOW_ICMP);
	g = rig6_last(rig, INSIDE);
	memcpy(src.b, g.icmp.data + IP6_OFF_SRC, 16);
	assert_ip6(src, ALICE6);
	assert_ip6(g.ip.dst, ALICE6);
	free(quote);
	/* The router's own, about one that it had translated. */
	rig_clear(rig);
	rig->peer[OUTSIDE].silent = true;
	out.dst = rig_ip6(2, 0x99);
	rig6_send(rig, INSIDE, &out);
	rig_wait(rig, 5 * S);
	g = rig6_last(rig, INSIDE);
	assert_int_equal(g.icmp.code, ICMP6_UNREACH_ADDRESS);
	memcpy(src.b, g.icmp.data + IP6_OFF_SRC, 16);
	assert_ip6(src, ALICE6);
	assert_ip6(g.ip.dst, ALICE6);
	/* ... and one that had come in. */
	rig_clear(rig);
	rig->peer[OUTSIDE].silent = false;
	rig->peer[INSIDE].silent = true;
	f = form6(SERVER6, outside_form(rig_ip6(1, 0x77)), IP_UDP);
	f.hop_limit = 1;
	assert_int_equal(rig6_send(rig, OUTSIDE, &f), DROP_TTL);
	g = rig6_last(rig, OUTSIDE);
	memcpy(src.b, g.icmp.data + IP6_OFF_DST, 16);
	assert_ip6(src, f.dst);
}

static void
what_has_no_other_form_is_told(void **state)
{
	struct rig *rig = translating(state, false);
	struct ip6_addr last = addr6("2001:db8:1:ffff::9");
	struct form6 f = form6(last, SERVER6, IP_UDP);
	struct ip6_net net;
	struct ip6_addr via = BOB6;
	struct err err = { "" };

	assert_true(ip6_net_read(&net, "2001:db8:1:ffff::/64"));
	assert_int_equal(
	    router_add_route6(rig->router, &net, &via, NULL, &err), 0);
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_NPT);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	assert_int_equal(rig6_last(rig, INSIDE).icmp.type, ICMP6_UNREACHABLE);
	/* The router's own addresses stay its own. */
	f = form6(SERVER6, outside_form(GW6), IP_ICMP6);
	assert_int_equal(rig6_send(rig, OUTSIDE, &f), DROP_NPT);
	f = form6(SERVER6, GW6, IP_ICMP6);
	assert_int_equal(rig6_send(rig, OUTSIDE, &f), DROP_MARTIAN);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc6092_rec13_only_what_was_asked_for_comes_in),
		T(between_inside_links_nothing_is_asked),
		T(rfc6092_rec17_who_may_answer_is_chosen),
		T(rfc6092_rec14_udp_lives_for_five_minutes),
		T(rfc6092_rec31_tcp_begins_by_a_syn_from_either_end),
		T(rfc6092_rec34_who_was_refused_is_told_after_six_seconds),
		T(rfc6092_rec8_dns_and_dhcp_are_not_for_outside),
		T(rfc6092_rec35_tcp_lives_for_two_hours),
		T(rfc6092_rec10_errors_come_in_with_their_flow),
		T(pings_are_flows_by_their_id),
		T(rfc6092_rec21_ipsec_comes_in_unasked_unless_that_is_off),
		T(rfc6092_rec1_multicast_is_not_passed_on),
		T(rfc6092_rec5_nobody_speaks_with_addresses_of_elsewhere),
		T(rfc6092_rec12_protocols_without_ports_are_flows),
		T(rfc6092_rec39_sctp_is_told_after_six_seconds),
		T(rfc6092_rec40_sctp_and_dccp_live_for_two_hours),
		T(rfc6092_rec4_routing_headers_of_type_0_do_not_pass),
		T(rfc6092_rec20_udp_lite_has_ports),
		T(fragments_follow_their_first),
		T(a_full_table_takes_none_and_keeps_all),
		T(flows_are_told),
		T(rfc6296_s3_1_addresses_change_at_the_outside_and_back),
		T(rfc6296_s2_4_two_inside_hosts_meet_by_their_outside_addresses),
		T(errors_quote_what_was_sent),
		T(what_has_no_other_form_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
