/*
 * Neighbour discovery, seen from the link (RFC 4861 7).
 */
#include "router/neigh.h"
#include "tests/router/rig6.h"

#define S NS_PER_S

static struct rig *
start(void **state)
{
	struct rig *rig = rig6_new(0);

	rig->peer[INSIDE].keep_arp = true;
	*state = rig;
	return rig;
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

/* A message from src to dst, in a frame to the router or the group. */
static enum reason
say(struct rig *rig, const struct nd_message *nd, struct ip6_addr src,
    struct ip6_addr dst, uint8_t hop_limit)
{
	uint8_t out[14 + 40 + ND_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct eth eth = { .dst = ip6_is_multicast(&dst)
		    ? nd_group_mac(&dst)
		    : rig->peer[INSIDE].gw_mac,
		.src = rig_mac6(&src),
		.type = ETH_IPV6 };
	size_t len;

	eth_write(&w, &eth);
	nd_message_write(&w, nd, &src, &dst);
	out[14 + IP6_OFF_HOP_LIMIT] = hop_limit;
	len = (size_t)(w.at - out);
	if (mac_is_zero(&nd->mac)) {
		/* Without the option. */
		struct icmp6 icmp = { .type = nd->type,
			.word = nd->flags,
			.data = nd->target.b,
			.data_bytes = 16 };

		len -= 8;
		put_be16(out + 14 + IP6_OFF_PAYLOAD, ND_BYTES - 8);
		w = writer(out + 54, ND_BYTES - 8);
		icmp6_write(&w, &icmp, &src, &dst);
	}
	return rig_send(rig, INSIDE, out, len);
}

static struct nd_message
question(struct ip6_addr target, struct mac mac)
{
	return (struct nd_message){
		.type = ND_SOLICIT, .target = target, .mac = mac
	};
}

static struct nd_message
answer(struct ip6_addr target, struct mac mac, uint32_t flags)
{
	return (struct nd_message){ .type = ND_ADVERTISE,
		.target = target,
		.mac = mac,
		.flags = flags };
}

/* What the router advertised last. */
static struct nd_message
advertised(const struct rig *rig, struct ip6_addr *dst)
{
	struct got6 g = rig6_last(rig, INSIDE);
	struct cursor c = cursor(g.bytes + 40, g.len - 40);
	struct nd_message nd;

	assert_int_equal(nd_message_parse(&nd, &c, &g.ip), REASON_NONE);
	assert_int_equal(nd.type, ND_ADVERTISE);
	assert_int_equal(g.ip.hop_limit, 255);
	*dst = g.ip.dst;
	return nd;
}

static void
it_answers_for_its_addresses_alone(void **state)
{
	struct rig *rig = start(state);
	struct mac mac = rig->peer[INSIDE].gw_mac;
	struct ip6_addr ours[] = { GW6, ip6_link_local(&mac) }, dst;
	struct ip6_addr others[] = { BOB6, rig_ip6(2, 1) };
	struct ip6_addr alice = ALICE6;

	for (size_t i = 0; i < 2; i++) {
		struct nd_message q = question(ours[i], rig_mac6(&alice)), a;

		assert_int_equal(say(rig, &q, ALICE6, nd_group(&ours[i]), 255),
		    REASON_DELIVERED);
		a = advertised(rig, &dst);
		assert_ip6(a.target, ours[i]);
		assert_ip6(dst, ALICE6);
		assert_true(mac_equal(&a.mac, &mac));
		assert_int_equal(
		    a.flags, ND_ROUTER | ND_SOLICITED | ND_OVERRIDE);
	}
	rig_clear(rig);
	for (size_t i = 0; i < 2; i++) {
		struct nd_message q = question(others[i], rig_mac6(&alice));

		assert_int_equal(say(rig, &q, ALICE6, GW6, 255), DROP_NOT_OURS);
	}
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

static void
who_looks_for_its_address_is_told_that_it_is_taken(void **state)
{
	struct rig *rig = start(state);
	struct ip6_addr gw = GW6, dst;
	struct nd_message q = question(gw, (struct mac){ { 0 } }), a;

	assert_int_equal(
	    say(rig, &q, (struct ip6_addr){ { 0 } }, nd_group(&gw), 255),
	    REASON_DELIVERED);
	a = advertised(rig, &dst);
	assert_ip6(dst, ip6_all_nodes);
	assert_int_equal(a.flags, ND_ROUTER | ND_OVERRIDE);
	assert_ip6(a.target, gw);
}

static void
who_asks_for_it_need_not_be_asked(void **state)
{
	struct rig *rig = start(state);
	struct ip6_addr alice = ALICE6;
	struct nd_message q = question(GW6, rig_mac6(&alice));
	struct form6 f = form6(SERVER6, ALICE6, IP_UDP);

	say(rig, &q, ALICE6, GW6, 255);
	assert_int_equal(rig6_send(rig, OUTSIDE, &f), REASON_ROUTED);
	assert_int_equal(rig->peer[INSIDE].solicits, 0);
	/* It was heard of and never answered: it is asked when it is used. */
	rig_wait(rig, 6 * S);
	assert_int_equal(rig6_send(rig, OUTSIDE, &f), REASON_ROUTED);
	assert_int_equal(rig->peer[INSIDE].solicits, 1);
	rig_wait(rig, 50 * S);
	assert_int_equal(rig6_send(rig, OUTSIDE, &f), REASON_ROUTED);
	assert_int_equal(rig->peer[INSIDE].solicits, 1);
	rig_wait(rig, 15 * S);
	assert_int_equal(rig6_send(rig, OUTSIDE, &f), REASON_ROUTED);
	assert_int_equal(rig->peer[INSIDE].solicits, 2);
}

/* Where the router sends what is for alice. */
static struct mac
alice_at(struct rig *rig)
{
	struct form6 f = form6(SERVER6, ALICE6, IP_UDP);
	struct mac mac = { { 0 } };
	const struct peer *peer = &rig->peer[INSIDE];

	rig6_send(rig, OUTSIDE, &f);
	for (unsigned int i = peer->n; i-- > 0;)
		if (peer->seen[i].data[20] == IP_UDP) {
			memcpy(mac.b, peer->seen[i].data, 6);
			return mac;
		}
	fail();
	return mac;
}

static void
a_neighbour_is_not_taken_by_one_that_only_claims(void **state)
{
	struct rig *rig = start(state);
	struct ip6_addr alice = ALICE6;
	struct mac thief = { { 2, 6, 6, 6, 6, 6 } }, at,
		   true_one = rig_mac6(&alice);
	struct nd_message a = answer(alice, true_one, ND_SOLICITED);

	/* Nothing is made of it while nobody asked. */
	assert_int_equal(say(rig, &a, alice, GW6, 255), REASON_DELIVERED);
	at = alice_at(rig);
	assert_int_equal(rig->peer[INSIDE].solicits, 1);
	assert_true(mac_equal(&at, &true_one));
	rig_wait(rig, 2 * S);
	a = answer(alice, thief, ND_OVERRIDE);
	say(rig, &a, alice, ip6_all_nodes, 255);
	assert_int_equal(rig->peer[INSIDE].solicits, 2); /* it answers */
	rig_wait(rig, 2 * S);
	at = alice_at(rig);
	assert_true(mac_equal(&at, &true_one));
	/* If it does not, the host has a new NIC. */
	rig->peer[INSIDE].silent = true;
	say(rig, &a, alice, ip6_all_nodes, 255);
	assert_int_equal(rig->peer[INSIDE].solicits, 3);
	rig_wait(rig, 2 * S);
	at = alice_at(rig);
	assert_true(mac_equal(&at, &thief));
}

static void
rfc4861_s7_1_messages_that_cannot_be_are_dropped(void **state)
{
	struct rig *rig = start(state);
	struct mac mac = { { 2, 1 } }, group = { { 3, 1 } }, none = { { 0 } };
	struct ip6_addr gw = GW6, zero = { { 0 } };
	const struct {
		struct nd_message nd;
		struct ip6_addr src, dst;
		uint8_t hop_limit;
		enum reason reason;
	} rows[] = {
		/* from beyond a router */
		{ question(gw, mac), ALICE6, gw, 254, DROP_ND },
		/* from no address, with a MAC address, or not to the group */
		{ question(gw, mac), zero, nd_group(&gw), 255, DROP_ND },
		{ question(gw, none), zero, ip6_all_nodes, 255, DROP_ND },
		/* an answer to all that was asked for */
		{ answer(BOB6, mac, ND_SOLICITED), ALICE6, ip6_all_nodes, 255,
		    DROP_ND },
		{ question(ip6_all_nodes, mac), ALICE6, gw, 255, DROP_ND },
		{ question(gw, group), ALICE6, gw, 255, DROP_ETH_SOURCE },
		/* from off the link */
		{ question(gw, mac), addr6("2a00::1"), gw, 255, DROP_MARTIAN },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("row %zu\n", i);
		assert_int_equal(say(rig, &rows[i].nd, rows[i].src, rows[i].dst,
				     rows[i].hop_limit),
		    rows[i].reason);
	}
	assert_int_equal(rig->peer[INSIDE].n, 0);
}

/* RFC 6583: a scan of a /64 asks for addresses that nobody has. */
static void
a_scan_takes_nothing_from_who_answers(void **state)
{
	struct rig *rig = start(state);
	struct form6 f = form6(CAROL6, SERVER6, IP_UDP);
	struct form6 back = form6(SERVER6, CAROL6, IP_UDP);
	struct form6 ipv4_is = form6(CAROL6, SERVER6, IP_UDP);

	rig6_send(rig, OTHER, &f);
	rig6_send(rig, OUTSIDE, &back);
	rig->peer[INSIDE].silent = true;
	rig->peer[INSIDE].keep_arp = false;
	for (unsigned int i = 0; i < 20000; i++) {
		f.dst = rig_ip6(1, (uint16_t)(i + 0x100));
		rig6_send(rig, OTHER, &f);
		if (i % 1000 == 0)
			rig_wait(rig, S / 10);
	}
	assert_true(router_held(rig->router).neighbours6 <= NEIGH_HELD_BLOCKS);
	assert_int_not_equal(router_node(rig->router)->count[DROP_ND_QUEUE], 0);
	rig_clear(rig);
	assert_int_equal(rig6_send(rig, OTHER, &ipv4_is), REASON_ROUTED);
	assert_int_equal(rig6_send(rig, OUTSIDE, &back), REASON_ROUTED);
	assert_int_equal(rig->peer[OTHER].solicits, 0);
	assert_int_equal(
	    rig_udp(rig, OTHER, CAROL, 5000, ALICE, 53), REASON_ARP_QUEUED);
}

static void
a_link_that_goes_down_is_forgotten(void **state)
{
	struct rig *rig = start(state);

	alice_at(rig);
	port_set_down(rig->peer[INSIDE].gw, true);
	port_set_down(rig->peer[INSIDE].gw, false);
	alice_at(rig);
	assert_int_equal(rig->peer[INSIDE].solicits, 2);
}

/* ---- better ways (8.2) ---- */

static const struct mac neighbour = { { 2, 8, 8, 8, 8, 8 } };

/* The redirect that alice got last; the rest of what it says. */
static struct ip6_addr
redirected(const struct rig *rig, struct ip6_addr *dst, struct cursor *options)
{
	struct got6 g = rig6_last(rig, INSIDE);
	struct ip6_addr target;
	struct cursor c;

	assert_int_equal(g.icmp.type, ND_REDIRECT);
	assert_int_equal(g.icmp.code, 0);
	assert_int_equal(g.icmp.word, 0);
	assert_int_equal(g.ip.hop_limit, 255);
	assert_true(g.len <= IP6_MTU_MIN);
	assert_ip6(g.ip.src, ip6_link_local(&rig->peer[INSIDE].gw_mac));
	assert_ip6(g.ip.dst, ALICE6);
	c = cursor(g.icmp.data, g.icmp.data_bytes);
	cur_ip6(&c, &target);
	cur_ip6(&c, dst);
	*options = c;
	return target;
}

static struct rig *
start_with_neighbour(void **state)
{
	struct rig *rig = rig6_new(0);
	struct ip6_net far = { rig_ip6(9, 0), 64 },
		       farther = { rig_ip6(8, 0), 64 };
	struct ip6_addr via = ip6_link_local(&neighbour), global = BOB6;

	*state = rig;
	assert_int_equal(router_add_route6(rig->router, &far, &via,
			     rig->peer[INSIDE].gw, NULL),
	    0);
	assert_int_equal(
	    router_add_route6(rig->router, &farther, &global, NULL, NULL), 0);
	return rig;
}

static void
rfc4861_s8_2_who_is_on_the_link_is_told_so(void **state)
{
	struct rig *rig = start_with_neighbour(state);
	struct form6 f = form6(ALICE6, BOB6, IP_UDP);
	struct ip6_addr dst, bob = BOB6;
	struct mac mac = rig_mac6(&bob);
	struct cursor c;

	f.data_bytes = 1400;
	rig6_send(rig, INSIDE, &f);
	rig_clear(rig);
	/* Its MAC address is known by now. */
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_ROUTED);
	assert_int_equal(rig->peer[INSIDE].n, 2);
	rig->peer[INSIDE].n--;
	free(rig->peer[INSIDE].seen[1].data);
	assert_ip6(redirected(rig, &dst, &c), bob);
	assert_ip6(dst, bob);
	assert_int_equal(cur_be16(&c), 0x0201);
	assert_memory_equal(cur_bytes(&c, 6), mac.b, 6);
	/* The packet, as it came, as far as it fits 1280 bytes. */
	assert_int_equal(cur_u8(&c), 4);
	cur_skip(&c, 7);
	assert_int_equal(c.at[-7] * 8, cur_left(&c) + 8);
	assert_int_equal(cur_left(&c), 1280 - 40 - 40 - 8 - 8);
	assert_int_equal(c.at[IP6_OFF_HOP_LIMIT], 64);
	assert_memory_equal(c.at + IP6_OFF_DST, bob.b, 16);
}

static void
rfc4861_s8_2_a_better_router_is_told_by_its_link_local_address(void **state)
{
	struct rig *rig = start_with_neighbour(state);
	struct form6 f = form6(ALICE6, rig_ip6(9, 9), IP_UDP);
	struct ip6_addr dst;
	struct cursor c;

	rig6_send(rig, INSIDE, &f);
	rig_clear(rig);
	rig6_send(rig, INSIDE, &f);
	rig->peer[INSIDE].n--;
	free(rig->peer[INSIDE].seen[1].data);
	assert_ip6(redirected(rig, &dst, &c), ip6_link_local(&neighbour));
	assert_ip6(dst, rig_ip6(9, 9));
}

static void
rfc4861_s8_2_others_are_not_told(void **state)
{
	struct rig *rig = start_with_neighbour(state);
	const struct form6 rows[] = {
		/* the router has no link-local address for that one */
		form6(ALICE6, rig_ip6(8, 9), IP_UDP),
		/* from beyond the other router, which knows by itself */
		form6(rig_ip6(9, 9), ALICE6, IP_UDP),
		/* to the sender itself */
		form6(ALICE6, ALICE6, IP_UDP),
		/* by another port */
		form6(ALICE6, SERVER6, IP_UDP),
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rig6_send(rig, INSIDE, &rows[i]);
		rig6_send(rig, INSIDE, &rows[i]);
	}
	for (unsigned int i = 0; i < rig->peer[INSIDE].n; i++)
		assert_int_not_equal(
		    rig->peer[INSIDE].seen[i].data[54], ND_REDIRECT);
}

static void
rfc4861_s8_2_redirects_are_limited(void **state)
{
	struct rig *rig = start_with_neighbour(state);
	struct form6 f = form6(ALICE6, BOB6, IP_UDP);
	unsigned int n = 0;

	for (unsigned int i = 0; i < 1000; i++)
		rig6_send(rig, INSIDE, &f);
	for (unsigned int i = 0; i < rig->peer[INSIDE].n; i++)
		n += rig->peer[INSIDE].seen[i].data[54] == ND_REDIRECT;
	assert_in_range(n, 1, 100);
}

/* NPTv6 between two inside hosts: the way round the router would not work. */
static void
what_is_translated_is_not_redirected(void **state)
{
	struct rig *rig = rig6_new(0);
	struct ip6_net in = { rig_ip6(1, 0), 64 }, out = { rig_ip6(7, 0), 64 };
	struct form6 f = form6(ALICE6, rig_ip6(7, 11), IP_UDP);

	*state = rig;
	assert_int_equal(router_add_npt6(rig->router, rig->peer[OUTSIDE].gw,
			     &in, &out, NULL),
	    0);
	rig6_send(rig, INSIDE, &f);
	rig6_send(rig, INSIDE, &f);
	assert_int_equal(rig->verdict.reason, REASON_NPT_HAIRPIN);
	for (unsigned int i = 0; i < rig->peer[INSIDE].n; i++)
		assert_int_not_equal(
		    rig->peer[INSIDE].seen[i].data[54], ND_REDIRECT);
}

/* Any router of the subnet may have it: another one's answer is as good (7.2.4,
 * 7.2.7). */
static void
rfc4861_s7_2_4_the_address_of_any_router_is_told_without_override(void **state)
{
	struct rig *rig = start(state);
	struct ip6_addr any = rig_ip6(1, 0), alice = ALICE6, dst;
	struct nd_message q = question(any, rig_mac6(&alice)), a;

	assert_int_equal(
	    say(rig, &q, alice, nd_group(&any), 255), REASON_DELIVERED);
	a = advertised(rig, &dst);
	assert_int_equal(a.flags, ND_ROUTER | ND_SOLICITED);
	assert_ip6(a.target, any);
	assert_ip6(rig6_last(rig, INSIDE).ip.src, GW6);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(it_answers_for_its_addresses_alone),
		T(who_looks_for_its_address_is_told_that_it_is_taken),
		T(who_asks_for_it_need_not_be_asked),
		T(a_neighbour_is_not_taken_by_one_that_only_claims),
		T(rfc4861_s7_1_messages_that_cannot_be_are_dropped),
		T(a_scan_takes_nothing_from_who_answers),
		T(a_link_that_goes_down_is_forgotten),
		T(rfc4861_s8_2_who_is_on_the_link_is_told_so),
		T(rfc4861_s8_2_a_better_router_is_told_by_its_link_local_address),
		T(rfc4861_s8_2_others_are_not_told),
		T(rfc4861_s8_2_redirects_are_limited),
		T(what_is_translated_is_not_redirected),
		T(rfc4861_s7_2_4_the_address_of_any_router_is_told_without_override),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
