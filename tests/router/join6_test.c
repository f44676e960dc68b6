/*
 * Packets to the router itself that do not fit (RFC 8200 4.5, 5).
 */
#include "tests/router/rig6.h"

#define S NS_PER_S

static struct rig *
start(void **state)
{
	return *state = rig6_new(0);
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

/* What a ping is made of, and where its answer is put together. */
#define PING_BYTES 3000
struct ping {
	uint8_t message[PING_BYTES]; /* ICMPv6 */
	uint8_t answer[PING_BYTES];
	size_t got;
	uint32_t id;
};

static void
make_ping(struct ping *ping, struct ip6_addr dst)
{
	static uint8_t data[PING_BYTES - ICMP6_HEADER_BYTES];
	struct writer w = writer(ping->message, sizeof(ping->message));
	struct icmp6 icmp = { .type = ICMP6_ECHO_REQUEST,
		.word = 0x00070001,
		.data = data,
		.data_bytes = sizeof(data) };
	struct ip6_addr src = ALICE6;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	icmp6_write(&w, &icmp, &src, &dst);
}

/* Bytes from at on, in a fragment. */
static enum reason
send_piece(struct rig *rig, const struct ping *ping, struct ip6_addr dst,
    uint32_t id, size_t at, size_t bytes)
{
	uint8_t out[2000];
	struct writer w = writer(out, sizeof(out));
	struct ip6_addr src = ALICE6;
	struct eth eth = { .dst = rig->peer[INSIDE].gw_mac,
		.src = rig_mac6(&src),
		.type = ETH_IPV6 };
	struct ip6 ip = { .payload_bytes = (uint16_t)(8 + bytes),
		.next = IP_FRAGMENT,
		.hop_limit = 64,
		.src = src,
		.dst = dst };

	if (ip6_is_multicast(&dst))
		eth.dst = nd_group_mac(&dst);
	eth_write(&w, &eth);
	ip6_write(&w, &ip);
	wr_u8(&w, IP_ICMP6);
	wr_u8(&w, 0);
	wr_be16(&w, (uint16_t)(at | (at + bytes < PING_BYTES ? 1 : 0)));
	wr_be32(&w, id);
	wr_bytes(&w, ping->message + at, bytes);
	assert_false(w.overrun);
	return rig_send(rig, INSIDE, out, (size_t)(w.at - out));
}

/* The fragments that came back, none larger than any link takes. */
static void
collect(const struct rig *rig, struct ping *ping)
{
	const struct peer *peer = &rig->peer[INSIDE];

	ping->got = 0;
	for (unsigned int i = 0; i < peer->n; i++) {
		struct cursor c =
		    cursor(peer->seen[i].data + 14, peer->seen[i].len - 14);
		struct ip6 ip;
		struct ip6_chain chain;

		assert_int_equal(ip6_parse(&ip, &c), REASON_NONE);
		assert_int_equal(ip6_chain_parse(&chain, &c, &ip), REASON_NONE);
		assert_true(peer->seen[i].len <= 14 + IP6_MTU_MIN);
		assert_true(ip6_is_fragment(&chain));
		if (i == 0)
			ping->id = chain.id;
		assert_int_equal(chain.id, ping->id);
		c.at = peer->seen[i].data + 14 + chain.fragment_at + 8;
		assert_true(chain.offset_bytes + cur_left(&c) <= PING_BYTES);
		memcpy(ping->answer + chain.offset_bytes, c.at, cur_left(&c));
		ping->got += cur_left(&c);
		assert_int_equal(chain.more, ping->got < PING_BYTES);
	}
}

static void
rfc8200_s5_a_large_ping_is_answered_whatever_order_its_fragments_come_in(
    void **state)
{
	static const int orders[6][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 },
		{ 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 } };
	static struct ping ping;
	struct rig *rig = start(state);
	struct ip6_addr to[] = { GW6, ip6_all_nodes };

	rig_clear(rig);
	for (uint32_t i = 0; i < 12; i++) {
		struct ip6_addr dst = to[i / 6], src = ALICE6;
		struct icmp6 icmp;
		struct cursor c;

		rig_clear(rig);
		make_ping(&ping, dst);
		for (int k = 0; k < 3; k++) {
			size_t at = (size_t)orders[i % 6][k] * 1200;

			assert_int_equal(send_piece(rig, &ping, dst, i, at,
					     at == 2400 ? 600 : 1200),
			    k < 2 ? REASON_FRAGMENT_HELD : REASON_DELIVERED);
		}
		collect(rig, &ping);
		assert_int_equal(ping.got, PING_BYTES);
		c = cursor(ping.answer, PING_BYTES);
		dst = GW6;
		assert_int_equal(
		    icmp6_parse(&icmp, &c, &dst, &src, false), REASON_NONE);
		assert_int_equal(icmp.type, ICMP6_ECHO_REPLY);
		assert_memory_equal(icmp.data, ping.message + 8,
		    PING_BYTES - ICMP6_HEADER_BYTES);
	}
	assert_int_equal(router_held(rig->router).fragments, 0);
}

static void
rfc5722_s4_fragments_that_overlap_are_refused_together(void **state)
{
	static struct ping ping;
	struct rig *rig = start(state);

	make_ping(&ping, GW6);
	assert_int_equal(
	    send_piece(rig, &ping, GW6, 1, 0, 1200), REASON_FRAGMENT_HELD);
	assert_int_equal(
	    send_piece(rig, &ping, GW6, 1, 1192, 1208), DROP_FRAGMENT);
	assert_int_equal(
	    send_piece(rig, &ping, GW6, 1, 1200, 1200), DROP_FRAGMENT);
	assert_int_equal(
	    send_piece(rig, &ping, GW6, 1, 2400, 600), DROP_FRAGMENT);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	assert_int_equal(router_held(rig->router).fragments, 0);
}

static void
what_is_of_two_packets_is_not_joined(void **state)
{
	static struct ping ping;
	struct rig *rig = start(state);

	make_ping(&ping, GW6);
	send_piece(rig, &ping, GW6, 1, 0, 1200);
	send_piece(rig, &ping, GW6, 2, 1200, 1200);
	send_piece(rig, &ping, GW6, 0x10001, 1200, 1200);
	assert_int_equal(
	    send_piece(rig, &ping, GW6, 1, 2400, 600), REASON_FRAGMENT_HELD);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	/* What never comes is forgotten. */
	rig_wait(rig, 61 * S);
	assert_int_equal(router_held(rig->router).fragments, 0);
}

/* RFC 6980: not even one with a fragment header and nothing cut. */
static void
rfc6980_s5_neighbour_discovery_does_not_come_in_fragments(void **state)
{
	static const uint8_t atomic[] = { IP_ICMP6, 0, 0, 0, 0, 0, 0, 7 };
	struct rig *rig = start(state);
	struct ip6_addr gw = GW6;
	struct form6 f = form6(ALICE6, nd_group(&gw), IP_ICMP6);

	f.type = ND_SOLICIT;
	f.hop_limit = 255;
	f.data = gw.b;
	f.data_bytes = 16;
	rig->peer[INSIDE].keep_arp = true;
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_DELIVERED);
	assert_int_not_equal(rig->peer[INSIDE].n, 0);
	f.chain = atomic;
	f.chain_bytes = sizeof(atomic);
	f.first = IP_FRAGMENT;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_ND);
	f.type = ND_ROUTER_SOLICIT;
	f.dst = ip6_all_routers;
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_ND);
}

/* RFC 8200 5: no path's MTU is remembered. */
static void
what_goes_beyond_the_link_fits_any(void **state)
{
	struct rig *rig = start(state);
	struct ip6_net far = { rig_ip6(9, 0), 64 };
	struct ip6_addr via = BOB6;
	struct form6 f = form6(ALICE6, GW6, IP_ICMP6);
	struct got6 g;

	assert_int_equal(
	    router_add_route6(rig->router, &far, &via, NULL, NULL), 0);
	f.data_bytes = 1400;
	rig6_send(rig, INSIDE, &f);
	assert_int_equal(rig->peer[INSIDE].n, 1);
	g = rig6_last(rig, INSIDE);
	assert_false(ip6_is_fragment(&g.chain));
	rig_clear(rig);
	f.src = rig_ip6(9, 9);
	rig6_send(rig, INSIDE, &f);
	assert_int_equal(rig->peer[INSIDE].n, 2);
	g = rig6_last(rig, INSIDE);
	assert_true(ip6_is_fragment(&g.chain));
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc8200_s5_a_large_ping_is_answered_whatever_order_its_fragments_come_in),
		T(rfc5722_s4_fragments_that_overlap_are_refused_together),
		T(what_is_of_two_packets_is_not_joined),
		T(rfc6980_s5_neighbour_discovery_does_not_come_in_fragments),
		T(what_goes_beyond_the_link_fits_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
