/*
 * What is answered to hosts that ask for mappings, by request and by state of
 * the NAT.
 */
#include "router/pcp_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/loop.h"
#include "net/ip4.h"
#include "net/natpmp.h"
#include "net/pcp.h"
#include "net/tcp.h"
#include "router/nat.h"
#include "router/nat_pin.h"

#define S       NS_PER_S
#define OUTSIDE UINT32_C(0xcb007101)
#define ALICE   UINT32_C(0x0a000002)
#define BOB     UINT32_C(0x0a000003)
#define SERVER  UINT32_C(0xcb00710a)
#define OTHER   UINT32_C(0xcb00710b)
#define SCTP    132

struct stage {
	struct nat *nat;
	struct pcp_server server;
	uint64_t now_ns;
	enum reason reason; /* of what was asked last */
	uint8_t answer[PCP_MAX_BYTES];
	size_t len;
};

static bool
is_inside(void *arg, const struct ip6_addr *addr)
{
	uint32_t ip;

	(void)arg;
	return ip6_to_ip4(&ip, addr) && ip >> 8 == ALICE >> 8;
}

static bool
is_outside(void *arg, const struct ip6_addr *addr)
{
	uint32_t ip;

	(void)arg;
	return ip6_to_ip4(&ip, addr) && ip >> 24 != 127;
}

static struct stage *
stage(const struct nat_rules *rules, uint32_t max)
{
	struct stage *s = calloc(1, sizeof(*s));
	struct nat_options o = { .outside_ip = OUTSIDE,
		.max_entries = max,
		.seed = 7,
		.rules = *rules };

	s->nat = nat_new(&o, NULL);
	assert_non_null(s->nat);
	s->server = (struct pcp_server){ .nat = s->nat,
		.min_s = 120,
		.max_s = 86400,
		.is_inside = is_inside,
		.is_outside = is_outside };
	return s;
}

static void
strike(struct stage *s)
{
	nat_free(s->nat);
	free(s);
}

static void
ask(struct stage *s, uint32_t src, const void *bytes, size_t len)
{
	struct pcp_asked asked = { .bytes = bytes,
		.len = len,
		.src = ip6_of_ip4(src),
		.now_ns = s->now_ns,
		.epoch_s = (uint32_t)(s->now_ns / S) };
	struct writer w = writer(s->answer, sizeof(s->answer));

	s->reason = pcp_server_take(&s->server, &asked, &w);
	assert_false(w.overrun);
	s->len = (size_t)(w.at - s->answer);
}

/* ---- PCP ---- */

static struct pcp
map(uint32_t client, uint16_t port, uint16_t out_port, uint32_t lifetime_s)
{
	return (struct pcp){ .op = PCP_MAP,
		.lifetime_s = lifetime_s,
		.client = ip6_of_ip4(client),
		.nonce = { 1 },
		.protocol = IP_UDP,
		.in_port = port,
		.out_port = out_port,
		.out_ip = ip6_of_ip4(0) };
}

static struct pcp
peer(uint16_t port, uint16_t out_port, uint32_t remote, uint16_t remote_port)
{
	struct pcp m = map(ALICE, port, out_port, 1000);

	m.op = PCP_PEER;
	m.remote = ip6_of_ip4(remote);
	m.remote_port = remote_port;
	return m;
}

/* The answer to m from src. */
static struct pcp
pcp_from(struct stage *s, uint32_t src, const struct pcp *m)
{
	uint8_t bytes[PCP_MAX_BYTES];
	struct writer w = writer(bytes, sizeof(bytes));
	struct pcp answer;

	pcp_write_request(&w, m);
	assert_false(w.overrun);
	ask(s, src, bytes, (size_t)(w.at - bytes));
	assert_true(pcp_parse_response(&answer, s->answer, s->len));
	assert_int_equal(answer.op, m->op);
	assert_int_equal(answer.epoch_s, s->now_ns / S);
	assert_int_equal(
	    answer.result == PCP_SUCCESS, s->reason == REASON_DELIVERED);
	return answer;
}

static struct pcp
pcp(struct stage *s, struct pcp m)
{
	uint32_t src;

	assert_true(ip6_to_ip4(&src, &m.client));
	return pcp_from(s, src, &m);
}

/* The outside port of an answer of success. */
static uint16_t
mapped(struct stage *s, struct pcp m)
{
	struct pcp answer = pcp(s, m);
	uint32_t ip;

	assert_int_equal(answer.result, PCP_SUCCESS);
	assert_true(ip6_to_ip4(&ip, &answer.out_ip) && ip == OUTSIDE);
	assert_memory_equal(answer.nonce, m.nonce, sizeof(m.nonce));
	assert_int_equal(answer.in_port, m.in_port);
	return answer.out_port;
}

static enum reason
in(struct stage *s, uint16_t port, uint32_t remote_ip, uint16_t remote_port)
{
	struct nat_flow flow = { .ip = OUTSIDE,
		.port = port,
		.remote_ip = remote_ip,
		.remote_port = remote_port,
		.protocol = IP_UDP };
	struct nat_hit hit;

	return nat_in(s->nat, &flow, NULL, 60, s->now_ns, &hit);
}

static uint16_t
out(struct stage *s, uint32_t ip, uint16_t port, uint32_t remote_ip)
{
	struct nat_flow flow = { .ip = ip,
		.port = port,
		.remote_ip = remote_ip,
		.remote_port = 53,
		.protocol = IP_UDP };
	struct nat_hit hit;

	assert_false(
	    reason_is_drop(nat_out(s->nat, &flow, NULL, 60, s->now_ns, &hit)));
	return hit.port;
}

static void
rfc6888_req9_a_host_maps_renews_and_deletes(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = map(ALICE, 5000, 40000, 600), answer;

	(void)state;
	assert_int_equal(in(s, 40000, SERVER, 9), DROP_NAT_UNSOLICITED);
	assert_int_equal(mapped(s, m), 40000);
	assert_int_equal(in(s, 40000, SERVER, 9), REASON_NAT_IN);
	s->now_ns = 599 * S;
	assert_int_equal(mapped(s, m), 40000);
	s->now_ns = 1198 * S;
	assert_int_equal(in(s, 40000, OTHER, 9), REASON_NAT_IN);
	m.lifetime_s = 0;
	answer = pcp(s, m);
	assert_int_equal(answer.result, PCP_SUCCESS);
	assert_int_equal(answer.lifetime_s, 0);
	assert_int_equal(in(s, 40000, OTHER, 10), DROP_NAT_FILTERED);
	/* What is gone is gone, again. */
	assert_int_equal(pcp(s, m).result, PCP_SUCCESS);
	strike(s);
}

static void
rfc6887_s15_lifetimes_are_within_bounds(void **state)
{
	static const uint32_t rows[][2] = { { 1, 120 }, { 120, 120 },
		{ 7200, 7200 }, { 86400, 86400 }, { 86401, 86400 },
		{ UINT32_MAX, 86400 } };
	struct stage *s = stage(&nat_rules_default, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pcp answer = pcp(s, map(ALICE, 5000, 0, rows[i][0]));

		assert_int_equal(answer.lifetime_s, rows[i][1]);
		nat_expire(s->nat, s->now_ns + rows[i][1] * S - 1);
		assert_true(nat_has_port(s->nat, OUTSIDE, IP_UDP, 5000));
		s->now_ns += rows[i][1] * S;
		nat_expire(s->nat, s->now_ns);
		assert_false(nat_has_port(s->nat, OUTSIDE, IP_UDP, 5000));
	}
	strike(s);
}

/* Requests that are refused, each with its result and its reason. */
static void
rfc6887_s7_4_refusals_say_why(void **state)
{
	enum { MAPS, PEERS };
	static const struct {
		const char *what;
		int kind;
		uint8_t protocol;
		uint16_t in_port, out_port, remote_port;
		uint32_t lifetime_s, remote, third_party, out_ip;
		bool prefer_failure;
		enum pcp_result result;
		enum reason reason;
		uint32_t error_s;
	} rows[] = {
		{ "SCTP", MAPS, SCTP, 1, 1, .lifetime_s = 1,
		    .result = PCP_UNSUPP_PROTOCOL,
		    .reason = DROP_PCP_UNSUPPORTED, .error_s = 1800 },
		{ "all ports", MAPS, IP_UDP, 0, 0, .lifetime_s = 1,
		    .result = PCP_UNSUPP_PROTOCOL,
		    .reason = DROP_PCP_UNSUPPORTED, .error_s = 1800 },
		{ "all protocols", MAPS, 0, 0, 0, .lifetime_s = 1,
		    .result = PCP_UNSUPP_PROTOCOL,
		    .reason = DROP_PCP_UNSUPPORTED, .error_s = 1800 },
		{ "all protocols, one port", MAPS, 0, 7, 0, .lifetime_s = 1,
		    .result = PCP_MALFORMED_REQUEST, .reason = DROP_PCP,
		    .error_s = 1800 },
		{ "for another", MAPS, IP_UDP, 7, 0, .lifetime_s = 1,
		    .third_party = BOB, .result = PCP_UNSUPP_OPTION,
		    .reason = DROP_PCP_UNSUPPORTED, .error_s = 1800 },
		{ "no other port than none", MAPS, IP_UDP, 7, 0,
		    .lifetime_s = 1, .prefer_failure = true,
		    .result = PCP_MALFORMED_OPTION, .reason = DROP_PCP,
		    .error_s = 1800 },
		{ "no other port than a taken one", MAPS, IP_UDP, 7, 6000,
		    .lifetime_s = 1, .prefer_failure = true,
		    .result = PCP_CANNOT_PROVIDE_EXTERNAL,
		    .reason = DROP_PCP_FULL, .error_s = 30 },
		{ "to delete or fail", MAPS, IP_UDP, 7, 1, .lifetime_s = 0,
		    .prefer_failure = true, .result = PCP_MALFORMED_OPTION,
		    .reason = DROP_PCP, .error_s = 1800 },
		{ "another address or none", MAPS, IP_UDP, 7, 7,
		    .lifetime_s = 1, .prefer_failure = true,
		    .out_ip = OUTSIDE + 1,
		    .result = PCP_CANNOT_PROVIDE_EXTERNAL,
		    .reason = DROP_PCP_FULL, .error_s = 30 },
		{ "another address for a peer", PEERS, IP_UDP, 7, 0, 80,
		    .lifetime_s = 1, .remote = SERVER, .out_ip = OUTSIDE + 1,
		    .result = PCP_CANNOT_PROVIDE_EXTERNAL,
		    .reason = DROP_PCP_FULL, .error_s = 30 },
		{ "the server's port or none", MAPS, IP_UDP, 7, 5351,
		    .lifetime_s = 1, .prefer_failure = true,
		    .result = PCP_CANNOT_PROVIDE_EXTERNAL,
		    .reason = DROP_PCP_FULL, .error_s = 30 },
		{ "a taken port for a peer", PEERS, IP_UDP, 7, 6000, 80,
		    .lifetime_s = 1, .remote = SERVER,
		    .result = PCP_CANNOT_PROVIDE_EXTERNAL,
		    .reason = DROP_PCP_FULL, .error_s = 30 },
		{ "a peer without a port", PEERS, IP_UDP, 7, 0, 0,
		    .lifetime_s = 1, .remote = SERVER,
		    .result = PCP_MALFORMED_REQUEST, .reason = DROP_PCP,
		    .error_s = 1800 },
		{ "a peer without an address", PEERS, IP_UDP, 7, 0, 80,
		    .lifetime_s = 1, .result = PCP_MALFORMED_REQUEST,
		    .reason = DROP_PCP, .error_s = 1800 },
		{ "a peer of all ports", PEERS, IP_UDP, 0, 0, 80,
		    .lifetime_s = 1, .remote = SERVER,
		    .result = PCP_MALFORMED_REQUEST, .reason = DROP_PCP,
		    .error_s = 1800 },
		{ "a peer of no protocol", PEERS, 0, 7, 0, 80, .lifetime_s = 1,
		    .remote = SERVER, .result = PCP_MALFORMED_REQUEST,
		    .reason = DROP_PCP, .error_s = 1800 },
		{ "a peer nowhere", PEERS, IP_UDP, 7, 0, 80, .lifetime_s = 1,
		    .remote = UINT32_C(0x7f000001),
		    .result = PCP_MALFORMED_REQUEST, .reason = DROP_PCP,
		    .error_s = 1800 },
		{ "a peer of SCTP", PEERS, SCTP, 7, 0, 80, .lifetime_s = 1,
		    .remote = SERVER, .result = PCP_UNSUPP_PROTOCOL,
		    .reason = DROP_PCP_UNSUPPORTED, .error_s = 1800 },
	};
	struct stage *s = stage(&nat_rules_default, 0);

	(void)state;
	assert_int_equal(out(s, BOB, 6000, SERVER), 6000);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pcp m = peer(rows[i].in_port, rows[i].out_port,
		    rows[i].remote, rows[i].remote_port);
		struct pcp answer;

		m.op = rows[i].kind == MAPS ? PCP_MAP : PCP_PEER;
		m.protocol = rows[i].protocol;
		m.lifetime_s = rows[i].lifetime_s;
		m.out_ip = ip6_of_ip4(rows[i].out_ip);
		m.prefer_failure = rows[i].prefer_failure;
		m.has_third_party = rows[i].third_party != 0;
		m.third_party = ip6_of_ip4(rows[i].third_party);
		answer = pcp(s, m);
		if (answer.result != rows[i].result)
			fail_msg("%s: %s", rows[i].what,
			    pcp_result_name(answer.result));
		assert_int_equal(s->reason, rows[i].reason);
		assert_int_equal(answer.lifetime_s, rows[i].error_s);
	}
	assert_int_equal(nat_stats(s->nat).mappings, 1);
	strike(s);
}

static void
rfc6887_s8_2_who_asks_is_who_sends(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = map(ALICE, 5000, 0, 600);

	(void)state;
	assert_int_equal(pcp_from(s, BOB, &m).result, PCP_ADDRESS_MISMATCH);
	assert_int_equal(s->reason, DROP_PCP_REFUSED);
	m.client = (struct ip6_addr){ { 0x20, 1 } };
	assert_int_equal(pcp_from(s, ALICE, &m).result, PCP_ADDRESS_MISMATCH);
	strike(s);
}

static void
rfc6887_s11_3_another_nonce_changes_nothing(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = map(ALICE, 5000, 40000, 600), answer;

	(void)state;
	assert_int_equal(mapped(s, m), 40000);
	m.nonce[0] = 2;
	s->now_ns = 100 * S;
	for (m.lifetime_s = 0; m.lifetime_s <= 1000; m.lifetime_s += 1000) {
		answer = pcp(s, m);
		assert_int_equal(answer.result, PCP_NOT_AUTHORIZED);
		assert_int_equal(answer.lifetime_s, 500);
	}
	s->now_ns = 600 * S;
	m.lifetime_s = 600;
	assert_int_equal(mapped(s, m), 40000);
	strike(s);
}

/* Deleting the mapping of all ports, which there is none of, deletes no other
 * (and a host has not asked for that). */
static void
rfc6887_s15_1_what_does_not_exist_is_deleted(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = map(ALICE, 5000, 40000, 600), all;

	(void)state;
	mapped(s, m);
	m.lifetime_s = 0;
	all = map(ALICE, 0, 0, 0);
	assert_int_equal(pcp(s, all).result, PCP_SUCCESS);
	all.protocol = 0;
	assert_int_equal(pcp(s, all).result, PCP_SUCCESS);
	assert_int_equal(in(s, 40000, SERVER, 9), REASON_NAT_IN);
	all.in_port = 5000;
	assert_int_equal(pcp(s, all).result, PCP_MALFORMED_REQUEST);
	for (int i = 0; i < 2; i++) { /* and again, if the answer was lost */
		struct pcp answer = pcp(s, m);

		assert_int_equal(answer.result, PCP_SUCCESS);
		assert_int_equal(answer.lifetime_s, 0);
		assert_int_equal(answer.in_port, 5000);
		/* These are copied. */
		assert_int_equal(answer.out_port, 40000);
	}
	strike(s);
}

static void
rfc6887_s15_1_map_deletes_no_outbound_mapping(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = peer(5001, 0, SERVER, 53);

	(void)state;
	assert_int_equal(out(s, ALICE, 5000, SERVER), 5000);
	assert_int_equal(
	    pcp(s, map(ALICE, 5000, 0, 0)).result, PCP_NOT_AUTHORIZED);
	assert_int_equal(s->reason, DROP_PCP_REFUSED);
	mapped(s, m);
	assert_int_equal(
	    pcp(s, map(ALICE, 5001, 0, 0)).result, PCP_NOT_AUTHORIZED);
	/* What both keep stays when one has ended. */
	mapped(s, map(ALICE, 5000, 0, 600));
	assert_int_equal(pcp(s, map(ALICE, 5000, 0, 0)).result, PCP_SUCCESS);
	assert_int_equal(in(s, 5000, SERVER, 53), REASON_NAT_IN);
	assert_int_equal(in(s, 5000, OTHER, 53), DROP_NAT_FILTERED);
	strike(s);
}

/* Who deletes a mapping does not give its port away while its host's own packets
 * would have kept it. */
static void
rfc6887_s15_no_mapping_ends_sooner_than_without_pcp(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp thief = map(BOB, 6000, 40000, 600);

	(void)state;
	thief.prefer_failure = true;
	mapped(s, map(ALICE, 5000, 40000, 600));
	assert_int_equal(out(s, ALICE, 5000, SERVER), 40000);
	assert_int_equal(pcp(s, map(ALICE, 5000, 0, 0)).result, PCP_SUCCESS);
	s->now_ns = 299 * S;
	assert_int_equal(pcp(s, thief).result, PCP_CANNOT_PROVIDE_EXTERNAL);
	assert_int_equal(out(s, ALICE, 5000, SERVER), 40000);
	s->now_ns = 298 * S + 299 * S;
	assert_int_equal(pcp(s, thief).result, PCP_CANNOT_PROVIDE_EXTERNAL);
	strike(s);
}

static void
rfc6887_s15_a_port_rests_but_for_its_client(void **state)
{
	struct nat_rules rules = nat_rules_default;
	struct stage *s;
	struct pcp other = map(BOB, 6000, 40000, 600);

	(void)state;
	rules.filtering = NAT_ENDPOINT_INDEPENDENT;
	rules.rest_s = 120;
	s = stage(&rules, 0);
	other.prefer_failure = true;
	mapped(s, map(ALICE, 5000, 40000, 600));
	assert_int_equal(pcp(s, map(ALICE, 5000, 0, 0)).result, PCP_SUCCESS);
	s->now_ns = 119 * S;
	assert_int_equal(pcp(s, other).result, PCP_CANNOT_PROVIDE_EXTERNAL);
	assert_int_equal(mapped(s, map(ALICE, 5000, 40000, 600)), 40000);
	assert_int_equal(pcp(s, map(ALICE, 5000, 0, 0)).result, PCP_SUCCESS);
	s->now_ns = 240 * S;
	assert_int_equal(mapped(s, other), 40000);
	strike(s);
}

static void
rfc6887_s15_1_segments_end_no_mapping(void **state)
{
	static const uint8_t flags[] = { TCP_SYN, TCP_RST, TCP_FIN | TCP_ACK };
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = map(ALICE, 5000, 40000, 86400);
	struct nat_flow flow = { .ip = OUTSIDE,
		.port = 40000,
		.remote_ip = SERVER,
		.remote_port = 9,
		.protocol = IP_TCP };
	struct nat_hit hit;

	(void)state;
	m.protocol = IP_TCP;
	mapped(s, m);
	for (size_t i = 0; i < sizeof(flags); i++) {
		struct nat_segment segment = { .flags = flags[i] };

		assert_int_equal(
		    nat_in(s->nat, &flow, &segment, 40, s->now_ns, &hit),
		    REASON_NAT_IN);
	}
	s->now_ns = 20000 * S;
	nat_expire(s->nat, s->now_ns);
	assert_int_equal(nat_stats(s->nat).sessions, 0);
	assert_true(nat_has_port(s->nat, OUTSIDE, IP_TCP, 40000));
	strike(s);
}

static void
rfc6887_s11_3_ports_of_pcp_itself_are_nobodys(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = map(ALICE, 5351, 5351, 600);

	(void)state;
	for (m.in_port = 5350; m.in_port <= 5351; m.in_port++) {
		uint16_t port = mapped(s, m);

		assert_true(port != 5350 && port != 5351);
		assert_true(port != 0);
	}
	/* Nor if a host speaks by it already. */
	assert_int_equal(out(s, BOB, 5351, SERVER), 5351);
	m = map(BOB, 5351, 0, 600);
	assert_int_equal(pcp(s, m).result, PCP_NO_RESOURCES);
	m.protocol = IP_TCP;
	assert_int_equal(mapped(s, m), 5351);
	strike(s);
}

static void
rfc6887_s11_3_a_hint_does_no_harm(void **state)
{
	static const struct {
		uint32_t ip;
		uint16_t port;
	} rows[] = { { OUTSIDE, 40000 }, { OUTSIDE + 1, 40000 }, { 0, 40000 },
		{ UINT32_C(0x7f000001), 1 }, { UINT32_C(0xe0000001), 1 },
		{ UINT32_C(0xffffffff), 65535 } };
	struct stage *s = stage(&nat_rules_default, 0);

	(void)state;
	mapped(s, map(BOB, 5000, 40000, 600));
	for (uint16_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pcp m = map(ALICE, 5000 + i, rows[i].port, 600);

		m.out_ip = ip6_of_ip4(rows[i].ip);
		assert_int_not_equal(mapped(s, m), 0);
	}
	strike(s);
}

static void
rfc6887_s11_3_what_packets_made_is_kept_as_it_is(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = map(ALICE, 5000, 40000, 600);

	(void)state;
	assert_int_equal(out(s, ALICE, 5000, SERVER), 5000);
	m.prefer_failure = true;
	assert_int_equal(pcp(s, m).result, PCP_CANNOT_PROVIDE_EXTERNAL);
	m.prefer_failure = false;
	assert_int_equal(mapped(s, m), 5000);
	/* A request for UDP maps no TCP. */
	assert_false(nat_has_port(s->nat, OUTSIDE, IP_TCP, 5000));
	strike(s);
}

static void
rfc6887_s11_mappings_are_for_anybody_whatever_the_rules(void **state)
{
	(void)state;
	for (int i = 0; i < 9; i++) {
		struct nat_rules rules = nat_rules_default;
		struct stage *s;

		rules.mapping = (enum nat_behaviour)(i / 3);
		rules.filtering = (enum nat_behaviour)(i % 3);
		s = stage(&rules, 0);
		assert_int_equal(
		    mapped(s, map(ALICE, 5000, 40000, 600)), 40000);
		assert_int_equal(in(s, 40000, SERVER, 9), REASON_NAT_IN);
		assert_int_equal(in(s, 40000, OTHER, 8), REASON_NAT_IN);
		assert_int_equal(out(s, ALICE, 5000, SERVER), 40000);
		assert_int_equal(out(s, ALICE, 5000, OTHER), 40000);
		strike(s);
	}
}

static void
rfc6887_s11_either_opcode_can_be_switched_off(void **state)
{
	static const struct {
		enum router_pcp_opcodes opcodes;
		enum pcp_result map, peer;
	} rows[] = {
		{ ROUTER_PCP_MAP_AND_PEER, PCP_SUCCESS, PCP_SUCCESS },
		{ ROUTER_PCP_MAP, PCP_SUCCESS, PCP_NOT_AUTHORIZED },
		{ ROUTER_PCP_PEER, PCP_NOT_AUTHORIZED, PCP_SUCCESS },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct stage *s = stage(&nat_rules_default, 0);
		struct pcp m = { .op = PCP_ANNOUNCE,
			.client = ip6_of_ip4(ALICE) };

		s->server.opcodes = rows[i].opcodes;
		assert_int_equal(
		    pcp(s, map(ALICE, 5000, 0, 600)).result, rows[i].map);
		assert_int_equal(
		    pcp(s, peer(5001, 0, SERVER, 53)).result, rows[i].peer);
		assert_int_equal(pcp(s, m).result, PCP_SUCCESS);
		strike(s);
	}
}

static void
rfc6887_s13_3_filters_add_up_and_are_forgotten(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = map(ALICE, 5000, 40000, 600);

	(void)state;
	m.nfilters = 1;
	m.filters[0] = (struct pcp_filter){ ip6_of_ip4(SERVER), 7, 128 };
	mapped(s, m);
	assert_int_equal(in(s, 40000, SERVER, 7), REASON_NAT_IN);
	assert_int_equal(in(s, 40000, SERVER, 8), DROP_NAT_FILTERED);
	m.filters[0] = (struct pcp_filter){ ip6_of_ip4(OTHER), 0, 128 };
	mapped(s, m);
	assert_int_equal(in(s, 40000, OTHER, 8), REASON_NAT_IN);
	s->now_ns = 301 * S; /* their sessions are gone */
	assert_int_equal(in(s, 40000, SERVER, 7), REASON_NAT_IN);
	/* A renewal that says the same does not fill it. */
	for (int i = 0; i < 20; i++)
		mapped(s, m);
	m.nfilters = 2;
	m.filters[0].prefix = 0;
	m.filters[1] = (struct pcp_filter){ ip6_of_ip4(0), 9, 96 };
	mapped(s, m);
	s->now_ns = 602 * S;
	assert_int_equal(in(s, 40000, SERVER, 7), DROP_NAT_FILTERED);
	assert_int_equal(in(s, 40000, SERVER, 9), REASON_NAT_IN);
	strike(s);
}

/* Whose address is its own is reached by all, but for whom it has named none. */
static void
rfc6887_s13_3_an_address_of_ones_own_is_filtered_too(void **state)
{
	static const struct router_nat_pair pair = { OUTSIDE + 1, ALICE };
	struct nat_options o = { .outside_ip = OUTSIDE,
		.pairs = &pair,
		.npairs = 1,
		.rules = nat_rules_default };
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = map(ALICE, 5000, 0, 600);
	struct nat_flow flow = { .ip = OUTSIDE + 1,
		.port = 5000,
		.remote_ip = OTHER,
		.remote_port = 7,
		.protocol = IP_UDP };
	struct nat_hit hit;

	(void)state;
	nat_free(s->nat);
	s->nat = nat_new(&o, NULL);
	assert_non_null(s->nat);
	s->server.nat = s->nat;
	assert_int_equal(
	    nat_in(s->nat, &flow, NULL, 60, 0, &hit), REASON_NAT_IN);
	m.nfilters = 1;
	m.filters[0] = (struct pcp_filter){ ip6_of_ip4(SERVER), 7, 128 };
	assert_int_equal(pcp(s, m).result, PCP_SUCCESS);
	flow.remote_port++;
	assert_int_equal(
	    nat_in(s->nat, &flow, NULL, 60, 0, &hit), DROP_NAT_FILTERED);
	flow.remote_ip = SERVER;
	flow.remote_port = 7;
	assert_int_equal(
	    nat_in(s->nat, &flow, NULL, 60, 0, &hit), REASON_NAT_IN);
	strike(s);
}

static void
rfc6887_s13_3_filters_that_cannot_be_are_refused(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = map(ALICE, 5000, 40000, 600);

	(void)state;
	m.nfilters = 1;
	m.filters[0] = (struct pcp_filter){ ip6_of_ip4(SERVER), 7, 64 };
	assert_int_equal(pcp(s, m).result, PCP_MALFORMED_OPTION);
	m.filters[0] = (struct pcp_filter){ { { 0x20, 1 } }, 7, 128 };
	assert_int_equal(pcp(s, m).result, PCP_MALFORMED_OPTION);
	m.nfilters = NAT_PIN_FILTERS + 1;
	for (uint8_t i = 0; i < m.nfilters; i++)
		m.filters[i] =
		    (struct pcp_filter){ ip6_of_ip4(SERVER), i + 1, 128 };
	assert_int_equal(pcp(s, m).result, PCP_EXCESSIVE_REMOTE_PEERS);
	assert_false(nat_has_port(s->nat, OUTSIDE, IP_UDP, 40000));
	m.nfilters--;
	assert_int_equal(mapped(s, m), 40000);
	m.lifetime_s = 0;
	assert_int_equal(pcp(s, m).result, PCP_MALFORMED_OPTION);
	strike(s);
}

static void
rfc6887_s13_1_a_third_party_is_mapped_where_that_is_allowed(void **state)
{
	static const struct {
		uint32_t who;
		enum pcp_result result;
	} rows[] = {
		{ BOB, PCP_SUCCESS },
		{ ALICE, PCP_MALFORMED_REQUEST },
		{ SERVER, PCP_NOT_AUTHORIZED },
		{ 0, PCP_NOT_AUTHORIZED },
	};
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = map(ALICE, 5000, 40000, 600);
	struct nat_pin found,
	    ends = { .protocol = IP_UDP, .in_ip = BOB, .in_port = 5000 };

	(void)state;
	s->server.third_party = true;
	m.has_third_party = true;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct pcp answer;

		m.third_party = ip6_of_ip4(rows[i].who);
		answer = pcp(s, m);
		assert_int_equal(answer.result, rows[i].result);
		if (answer.result == PCP_SUCCESS)
			assert_true(answer.has_third_party);
	}
	assert_true(nat_pin_find(s->nat, &ends, &found, 0));
	assert_int_equal(found.out_port, 40000);
	strike(s);
}

static void
rfc6887_s12_3_peer_keeps_what_is_and_brings_back_what_was(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = peer(5000, 0, SERVER, 53);

	(void)state;
	assert_int_equal(out(s, ALICE, 5000, SERVER), 5000);
	assert_int_equal(mapped(s, m), 5000);
	s->now_ns = 900 * S;
	nat_expire(s->nat, s->now_ns);
	assert_int_equal(nat_stats(s->nat).sessions, 0);
	assert_int_equal(in(s, 5000, SERVER, 53), REASON_NAT_IN);
	assert_int_equal(in(s, 5000, OTHER, 53), DROP_NAT_FILTERED);
	/* After a restart the host asks for the port that it had. */
	m = peer(5001, 41000, SERVER, 53);
	assert_int_equal(mapped(s, m), 41000);
	assert_int_equal(out(s, ALICE, 5001, SERVER), 41000);
	/* Who speaks already is told where it does. */
	assert_int_equal(out(s, ALICE, 5002, SERVER), 5002);
	assert_int_equal(mapped(s, peer(5002, 42000, SERVER, 53)), 5002);
	strike(s);
}

static void
rfc6887_s12_1_peer_makes_no_mapping_shorter(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = peer(5000, 0, SERVER, 53), answer;

	(void)state;
	/* Where there is nothing, nothing is made for no time. */
	m.lifetime_s = 0;
	answer = pcp(s, m);
	assert_int_equal(answer.result, PCP_SUCCESS);
	assert_int_equal(answer.lifetime_s, 0);
	assert_int_equal(nat_stats(s->nat).mappings, 0);
	/* What there is is told, for the time that it has anyway. */
	assert_int_equal(out(s, ALICE, 5000, SERVER), 5000);
	s->now_ns = 100 * S;
	answer = pcp(s, m);
	assert_int_equal(answer.result, PCP_SUCCESS);
	assert_int_equal(answer.lifetime_s, 200);
	assert_int_equal(answer.out_port, 5000);
	m.lifetime_s = 120;
	assert_int_equal(pcp(s, m).lifetime_s, 200);
	m.lifetime_s = 1000;
	assert_int_equal(pcp(s, m).lifetime_s, 1000);
	s->now_ns = 200 * S;
	for (m.lifetime_s = 0; m.lifetime_s < 900; m.lifetime_s += 450)
		assert_int_equal(pcp(s, m).lifetime_s, 900);
	m.nonce[0]++;
	answer = pcp(s, m);
	assert_int_equal(answer.result, PCP_NOT_AUTHORIZED);
	assert_int_equal(answer.lifetime_s, 900);
	/* What was asked for by PEER is not where it is asked for again. */
	m.nonce[0]--;
	m.out_port = 5002;
	assert_int_equal(pcp(s, m).result, PCP_CANNOT_PROVIDE_EXTERNAL);
	strike(s);
}

static void
rfc6887_s11_3_a_forward_of_the_lab_file_stays_as_it_is(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct nat_pin forward = { .protocol = IP_UDP,
		.in_ip = ALICE,
		.in_port = 5000,
		.out_port = 80,
		.by = NAT_PIN_BY_FILE,
		.until_ns = NAT_PIN_FOREVER };
	struct pcp m = map(ALICE, 5000, 40000, 600), answer;

	(void)state;
	assert_int_equal(nat_pin_set(s->nat, &forward, 0), NAT_PIN_MADE);
	answer = pcp(s, m);
	assert_int_equal(answer.result, PCP_SUCCESS);
	assert_int_equal(answer.out_port, 80);
	assert_int_equal(answer.lifetime_s, UINT32_MAX);
	m.prefer_failure = true;
	assert_int_equal(pcp(s, m).result, PCP_CANNOT_PROVIDE_EXTERNAL);
	m.out_port = 80;
	assert_int_equal(pcp(s, m).result, PCP_SUCCESS);
	m.prefer_failure = false;
	m.nfilters = 1;
	m.filters[0] = (struct pcp_filter){ ip6_of_ip4(SERVER), 7, 128 };
	assert_int_equal(pcp(s, m).result, PCP_EXCESSIVE_REMOTE_PEERS);
	m.nfilters = 0;
	m.lifetime_s = 0;
	answer = pcp(s, m);
	assert_int_equal(answer.result, PCP_NOT_AUTHORIZED);
	assert_int_equal(answer.lifetime_s, 1800);
	s->now_ns = 1000 * S;
	assert_int_equal(in(s, 80, SERVER, 9), REASON_NAT_IN);
	strike(s);
}

static void
rfc6887_s17_2_a_host_with_all_that_it_may_have_is_told_so(void **state)
{
	struct nat_rules rules = { .host_sessions = 2 };
	struct stage *s = stage(&rules, 0);
	struct pcp answer;

	(void)state;
	mapped(s, map(ALICE, 1, 0, 600));
	mapped(s, map(ALICE, 2, 0, 600));
	answer = pcp(s, map(ALICE, 3, 0, 600));
	assert_int_equal(answer.result, PCP_USER_EX_QUOTA);
	assert_int_equal(answer.lifetime_s, 30);
	assert_int_equal(s->reason, DROP_PCP_FULL);
	mapped(s, map(BOB, 1, 0, 600));
	strike(s);
}

static void
rfc6887_s14_1_2_announce_tells_the_epoch(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct pcp m = {
		.op = PCP_ANNOUNCE, .lifetime_s = 9, .client = ip6_of_ip4(ALICE)
	};
	struct pcp answer;

	(void)state;
	s->now_ns = 1234 * S;
	answer = pcp(s, m);
	assert_int_equal(answer.result, PCP_SUCCESS);
	assert_int_equal(answer.lifetime_s, 0);
	assert_int_equal(s->len, 24);
	strike(s);
}

/* ---- NAT-PMP ---- */

static struct natpmp
natpmp(struct stage *s, uint32_t src, struct natpmp m)
{
	uint8_t bytes[NATPMP_REQUEST_BYTES];
	struct writer w = writer(bytes, sizeof(bytes));
	struct natpmp answer;

	natpmp_write_request(&w, &m);
	ask(s, src, bytes, (size_t)(w.at - bytes));
	assert_true(natpmp_parse_response(&answer, s->answer, s->len));
	assert_int_equal(answer.op, m.op);
	assert_int_equal(answer.epoch_s, s->now_ns / S);
	return answer;
}

static struct natpmp
natpmp_map(uint8_t op, uint16_t port, uint16_t out_port, uint32_t lifetime_s)
{
	return (struct natpmp){ .op = op,
		.in_port = port,
		.out_port = out_port,
		.lifetime_s = lifetime_s };
}

static void
rfc6886_s3_3_the_address_is_told_ports_are_mapped_and_deleted(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct natpmp m = natpmp_map(NATPMP_MAP_TCP, 5000, 40000, 7200);
	struct natpmp answer;

	(void)state;
	s->now_ns = 55 * S;
	answer = natpmp(s, ALICE, (struct natpmp){ .op = NATPMP_ADDRESS });
	assert_int_equal(answer.address, OUTSIDE);
	answer = natpmp(s, ALICE, m);
	assert_int_equal(answer.result, NATPMP_SUCCESS);
	assert_int_equal(answer.out_port, 40000);
	assert_int_equal(answer.lifetime_s, 7200);
	assert_true(nat_has_port(s->nat, OUTSIDE, IP_TCP, 40000));
	/* The same again is the same again. */
	m.out_port = 40001;
	assert_int_equal(natpmp(s, ALICE, m).out_port, 40000);
	/* For another host it is another. */
	m.out_port = 40000;
	answer = natpmp(s, BOB, m);
	assert_int_equal(answer.result, NATPMP_SUCCESS);
	assert_int_not_equal(answer.out_port, 40000);
	m.op = NATPMP_MAP_UDP; /* the pair is the first one's */
	assert_int_not_equal(natpmp(s, BOB, m).out_port, 40000);
	m = natpmp_map(NATPMP_MAP_TCP, 5000, 0, 0);
	answer = natpmp(s, ALICE, m);
	assert_int_equal(answer.result, NATPMP_SUCCESS);
	assert_int_equal(answer.out_port, 0);
	assert_int_equal(answer.lifetime_s, 0);
	assert_false(nat_has_port(s->nat, OUTSIDE, IP_TCP, 40000));
	strike(s);
}

static void
rfc6886_s3_2_each_host_is_told_where_it_is_seen(void **state)
{
	static const uint32_t pool[] = { OUTSIDE, OUTSIDE + 1 };
	struct stage *s = calloc(1, sizeof(*s));
	struct nat_options o = { .outside_ip = OUTSIDE,
		.pool = pool,
		.npool = 2,
		.rules = nat_rules_default };

	(void)state;
	s->nat = nat_new(&o, NULL);
	assert_non_null(s->nat);
	s->server = (struct pcp_server){ .nat = s->nat,
		.min_s = 120,
		.max_s = 600,
		.is_inside = is_inside };
	for (uint32_t host = ALICE; host < ALICE + 6; host++) {
		struct natpmp address =
		    natpmp(s, host, (struct natpmp){ .op = NATPMP_ADDRESS });
		struct natpmp m =
		    natpmp(s, host, natpmp_map(NATPMP_MAP_UDP, 5000, 0, 600));
		struct nat_pin found,
		    ends = {
			    .protocol = IP_UDP, .in_ip = host, .in_port = 5000
		    };

		assert_int_equal(m.result, NATPMP_SUCCESS);
		assert_true(nat_pin_find(s->nat, &ends, &found, 0));
		assert_int_equal(found.out_ip, address.address);
		assert_int_equal(found.out_ip, OUTSIDE + host % 2);
	}
	strike(s);
}

static void
rfc6886_s3_4_all_of_a_protocol_are_deleted(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);

	(void)state;
	for (uint16_t i = 1; i <= 3; i++) {
		natpmp(s, ALICE, natpmp_map(NATPMP_MAP_UDP, i, 4000 + i, 600));
		natpmp(s, ALICE, natpmp_map(NATPMP_MAP_TCP, i, 4000 + i, 600));
	}
	natpmp(s, ALICE, natpmp_map(NATPMP_MAP_UDP, 0, 0, 0));
	for (uint16_t i = 1; i <= 3; i++) {
		assert_false(nat_has_port(s->nat, OUTSIDE, IP_UDP, 4000 + i));
		assert_true(nat_has_port(s->nat, OUTSIDE, IP_TCP, 4000 + i));
	}
	strike(s);
}

static void
rfc6886_s3_3_nobody_gets_more_time_than_was_asked_for(void **state)
{
	static const uint32_t rows[][2] = { { 1, 1 }, { 7200, 7200 },
		{ UINT32_MAX, 86400 } };
	struct stage *s = stage(&nat_rules_default, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct natpmp answer = natpmp(
		    s, ALICE, natpmp_map(NATPMP_MAP_UDP, 5000, 0, rows[i][0]));

		assert_int_equal(answer.lifetime_s, rows[i][1]);
		s->now_ns += rows[i][1] * S;
		nat_expire(s->nat, s->now_ns);
		assert_false(nat_has_port(s->nat, OUTSIDE, IP_UDP, 5000));
	}
	strike(s);
}

/* All that can be is deleted, and what cannot be is told of. */
static void
rfc6886_s3_4_what_cannot_be_deleted_is_said(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	struct nat_pin forward = { .protocol = IP_UDP,
		.in_ip = ALICE,
		.in_port = 5000,
		.out_port = 80,
		.by = NAT_PIN_BY_FILE,
		.until_ns = NAT_PIN_FOREVER };
	struct natpmp all = natpmp_map(NATPMP_MAP_UDP, 0, 9, 0), one, answer;

	(void)state;
	assert_int_equal(nat_pin_set(s->nat, &forward, 0), NAT_PIN_MADE);
	natpmp(s, ALICE, natpmp_map(NATPMP_MAP_UDP, 5001, 4001, 600));
	answer = natpmp(s, ALICE, all);
	assert_int_equal(answer.result, NATPMP_NOT_AUTHORIZED);
	assert_int_equal(answer.in_port, 0);
	assert_int_equal(answer.out_port, 0);
	assert_int_equal(answer.lifetime_s, 0);
	assert_false(nat_has_port(s->nat, OUTSIDE, IP_UDP, 4001));
	assert_true(nat_has_port(s->nat, OUTSIDE, IP_UDP, 80));
	one = natpmp_map(NATPMP_MAP_UDP, 5000, 0, 0);
	assert_int_equal(natpmp(s, ALICE, one).result, NATPMP_NOT_AUTHORIZED);
	/* Asked for, it is there. */
	answer = natpmp(s, ALICE, natpmp_map(NATPMP_MAP_UDP, 5000, 4000, 600));
	assert_int_equal(answer.result, NATPMP_SUCCESS);
	assert_int_equal(answer.out_port, 80);
	assert_int_equal(answer.lifetime_s, 600);
	/* Neither another host nor the other protocol has any. */
	assert_int_equal(natpmp(s, BOB, all).result, NATPMP_SUCCESS);
	all.op = NATPMP_MAP_TCP;
	assert_int_equal(natpmp(s, ALICE, all).result, NATPMP_SUCCESS);
	forward.out_port = 80;
	assert_int_equal(
	    nat_pin_delete(s->nat, &forward, s->now_ns), NAT_PIN_RENEWED);
	all.op = NATPMP_MAP_UDP;
	assert_int_equal(natpmp(s, ALICE, all).result, NATPMP_SUCCESS);
	/* One of PCP has a nonce that NAT-PMP does not know. */
	mapped(s, map(ALICE, 5002, 0, 600));
	assert_int_equal(natpmp(s, ALICE, all).result, NATPMP_NOT_AUTHORIZED);
	strike(s);
}

static void
rfc6886_s3_9_mappings_are_for_both_directions(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);

	(void)state;
	natpmp(s, ALICE, natpmp_map(NATPMP_MAP_UDP, 5000, 40000, 600));
	assert_int_equal(in(s, 40000, SERVER, 53), REASON_NAT_IN);
	assert_int_equal(out(s, ALICE, 5000, SERVER), 40000);
	assert_int_equal(out(s, ALICE, 5000, OTHER), 40000);
	strike(s);
}

static void
rfc6886_s3_5_refusals_tell_of_which_request(void **state)
{
	struct nat_rules rules = { .host_sessions = 1 };
	struct stage *s = stage(&rules, 0);
	struct natpmp m = natpmp_map(NATPMP_MAP_UDP, 0, 0, 600), answer;

	(void)state;
	assert_int_equal(natpmp(s, ALICE, m).result, NATPMP_NOT_AUTHORIZED);
	assert_int_equal(s->reason, DROP_PCP_REFUSED);
	mapped(s, map(ALICE, 5000, 0, 600)); /* with a nonce, by PCP */
	/* What is there is told, but not changed. */
	m.in_port = 5000;
	m.lifetime_s = 7200;
	s->now_ns = 100 * S;
	answer = natpmp(s, ALICE, m);
	assert_int_equal(answer.result, NATPMP_SUCCESS);
	assert_int_equal(answer.out_port, 5000);
	assert_int_equal(answer.lifetime_s, 500);
	m.lifetime_s = 0;
	assert_int_equal(natpmp(s, ALICE, m).result, NATPMP_NOT_AUTHORIZED);
	m.in_port = 5001;
	m.out_port = 9;
	m.lifetime_s = 600;
	answer = natpmp(s, ALICE, m);
	assert_int_equal(answer.result, NATPMP_NO_RESOURCES);
	assert_int_equal(s->len, 16);
	assert_int_equal(answer.in_port, 5001);
	assert_int_equal(answer.out_port, 0);
	assert_int_equal(answer.lifetime_s, 0);
	assert_int_equal(s->reason, DROP_PCP_FULL);
	strike(s);
}

/* ---- which of both ---- */

static void
rfc6887_s9_versions_are_negotiated(void **state)
{
	static const uint8_t pcp_header[24] = { 2, 0, [18] = 0xff, 0xff, 10, 0,
		0, 2 };
	static const uint8_t natpmp_address[] = { 0, 0 };
	static const uint8_t version_1[24] = { 1, 1 };
	static const struct {
		enum router_pcp_protocols protocols;
		const uint8_t *bytes;
		size_t len;
		/* of the answer */
		uint8_t version, result;
		enum reason reason;
	} rows[] = {
		{ ROUTER_PCP_BOTH, pcp_header, 24, 2, 0, REASON_DELIVERED },
		{ ROUTER_PCP_BOTH, natpmp_address, 2, 0, 0, REASON_DELIVERED },
		{ ROUTER_PCP_BOTH, version_1, 24, 2, 1, DROP_PCP_UNSUPPORTED },
		{ ROUTER_PCP_ONLY, natpmp_address, 2, 2, 1,
		    DROP_PCP_UNSUPPORTED },
		{ ROUTER_PCP_ONLY, pcp_header, 24, 2, 0, REASON_DELIVERED },
		{ ROUTER_NATPMP_ONLY, pcp_header, 24, 0, 1,
		    DROP_PCP_UNSUPPORTED },
		{ ROUTER_NATPMP_ONLY, natpmp_address, 2, 0, 0,
		    REASON_DELIVERED },
	};
	struct stage *s = stage(&nat_rules_default, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		s->server.protocols = rows[i].protocols;
		ask(s, ALICE, rows[i].bytes, rows[i].len);
		assert_int_equal(s->reason, rows[i].reason);
		assert_true(s->len >= 8);
		assert_int_equal(s->answer[0], rows[i].version);
		assert_int_equal(s->answer[3], rows[i].result);
	}
	strike(s);
}

static void
rfc6887_s8_2_what_is_no_request_is_not_answered(void **state)
{
	static const struct {
		uint8_t bytes[24];
		size_t len;
	} rows[] = { { { 0 }, 0 }, { { 2 }, 1 }, { { 2, 0x81 }, 24 },
		{ { 2, 1 }, 20 }, { { 0, 0x80 }, 2 }, { { 0, 1 }, 11 } };
	struct stage *s = stage(&nat_rules_default, 0);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		ask(s, ALICE, rows[i].bytes, rows[i].len);
		assert_int_equal(s->reason, DROP_PCP);
		assert_int_equal(s->len, 0);
	}
	strike(s);
}

static void
rfc6886_s3_another_version_is_told_which_one_is_spoken(void **state)
{
	struct stage *s = stage(&nat_rules_default, 0);
	uint8_t bytes[24] = { 0, 1 };

	(void)state;
	s->server.protocols = ROUTER_NATPMP_ONLY;
	s->now_ns = 258 * S;
	for (unsigned int version = 1; version < 256; version++) {
		static const uint8_t want[] = { 0, 129, 0, 1, 0, 0, 1, 2 };

		bytes[0] = (uint8_t)version;
		ask(s, ALICE, bytes, sizeof(bytes));
		assert_int_equal(s->len, sizeof(want));
		assert_memory_equal(s->answer, want, sizeof(want));
		assert_int_equal(s->reason, DROP_PCP_UNSUPPORTED);
	}
	strike(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rfc6888_req9_a_host_maps_renews_and_deletes),
		cmocka_unit_test(rfc6887_s15_lifetimes_are_within_bounds),
		cmocka_unit_test(rfc6887_s7_4_refusals_say_why),
		cmocka_unit_test(rfc6887_s8_2_who_asks_is_who_sends),
		cmocka_unit_test(rfc6887_s11_3_another_nonce_changes_nothing),
		cmocka_unit_test(rfc6887_s15_1_what_does_not_exist_is_deleted),
		cmocka_unit_test(rfc6887_s15_1_map_deletes_no_outbound_mapping),
		cmocka_unit_test(
		    rfc6887_s15_no_mapping_ends_sooner_than_without_pcp),
		cmocka_unit_test(rfc6887_s15_a_port_rests_but_for_its_client),
		cmocka_unit_test(rfc6887_s15_1_segments_end_no_mapping),
		cmocka_unit_test(rfc6887_s11_3_ports_of_pcp_itself_are_nobodys),
		cmocka_unit_test(rfc6887_s11_3_a_hint_does_no_harm),
		cmocka_unit_test(
		    rfc6887_s11_3_what_packets_made_is_kept_as_it_is),
		cmocka_unit_test(
		    rfc6887_s11_mappings_are_for_anybody_whatever_the_rules),
		cmocka_unit_test(rfc6887_s11_either_opcode_can_be_switched_off),
		cmocka_unit_test(
		    rfc6887_s13_3_filters_add_up_and_are_forgotten),
		cmocka_unit_test(
		    rfc6887_s13_3_an_address_of_ones_own_is_filtered_too),
		cmocka_unit_test(
		    rfc6887_s13_3_filters_that_cannot_be_are_refused),
		cmocka_unit_test(
		    rfc6887_s13_1_a_third_party_is_mapped_where_that_is_allowed),
		cmocka_unit_test(
		    rfc6887_s12_3_peer_keeps_what_is_and_brings_back_what_was),
		cmocka_unit_test(rfc6887_s12_1_peer_makes_no_mapping_shorter),
		cmocka_unit_test(
		    rfc6887_s11_3_a_forward_of_the_lab_file_stays_as_it_is),
		cmocka_unit_test(
		    rfc6887_s17_2_a_host_with_all_that_it_may_have_is_told_so),
		cmocka_unit_test(rfc6887_s14_1_2_announce_tells_the_epoch),
		cmocka_unit_test(
		    rfc6886_s3_3_the_address_is_told_ports_are_mapped_and_deleted),
		cmocka_unit_test(
		    rfc6886_s3_2_each_host_is_told_where_it_is_seen),
		cmocka_unit_test(rfc6886_s3_4_all_of_a_protocol_are_deleted),
		cmocka_unit_test(
		    rfc6886_s3_3_nobody_gets_more_time_than_was_asked_for),
		cmocka_unit_test(rfc6886_s3_4_what_cannot_be_deleted_is_said),
		cmocka_unit_test(rfc6886_s3_9_mappings_are_for_both_directions),
		cmocka_unit_test(rfc6886_s3_5_refusals_tell_of_which_request),
		cmocka_unit_test(rfc6887_s9_versions_are_negotiated),
		cmocka_unit_test(
		    rfc6887_s8_2_what_is_no_request_is_not_answered),
		cmocka_unit_test(
		    rfc6886_s3_another_version_is_told_which_one_is_spoken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
