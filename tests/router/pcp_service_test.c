/*
 * PCP and NAT-PMP at a router's ports: who is heard, what goes back, and what
 * is announced.
 */
#include "tests/router/rig.h"

#include <errno.h>

#include "base/loop.h"
#include "net/natpmp.h"
#include "net/pcp.h"

static struct rig *
rig_pcp(void)
{
	const struct router_pcp_options o = { .min_s = 0 };
	struct rig *rig = rig_new(0);
	struct err err = { "" };

	assert_int_equal(router_set_pcp(rig->router, &o, &err), -EINVAL);
	assert_string_equal(err.text,
	    "router \"gw\" has no NAT whose mappings could be asked for; give "
	    "it one first");
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
a_host_inside_is_answered_from_where_it_asked(void **state)
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
nobody_else_is_heard(void **state)
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
a_mapping_is_reached_from_inside_too(void **state)
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
a_mapping_ends_when_nothing_else_happens(void **state)
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
ten_announcements_are_made(void **state)
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_inside_is_answered_from_where_it_asked),
		cmocka_unit_test(nobody_else_is_heard),
		cmocka_unit_test(refusals_are_counted_by_reason),
		cmocka_unit_test(a_mapping_is_reached_from_inside_too),
		cmocka_unit_test(a_mapping_ends_when_nothing_else_happens),
		cmocka_unit_test(ten_announcements_are_made),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
