/*
 * Whether an address is free, seen from the link (RFC 4862 5.4).
 */
#include "router/groups6.h"
#include "tests/router/rig6.h"

#define S NS_PER_S

static const struct mac thief = { { 2, 6, 6, 6, 6, 6 } };

static struct rig *
start(void **state, uint8_t transmits)
{
	struct rig *rig = rig_make_with(0, true, true, transmits);

	for (int i = 0; i < NPEERS; i++) {
		rig->peer[i].silent = true;
		rig->peer[i].keep_arp = true;
	}
	*state = rig;
	return rig;
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

/* Message i of neighbour discovery that the router sent inside. */
static struct nd_message
seen_nd(const struct rig *rig, unsigned int i, struct ip6 *ip)
{
	const struct seen *seen = &rig->peer[INSIDE].seen[i];
	struct cursor c = cursor(seen->data + 14, seen->len - 14);
	struct nd_message nd;

	assert_true(i < rig->peer[INSIDE].n);
	assert_int_equal(ip6_parse(ip, &c), REASON_NONE);
	assert_int_equal(nd_message_parse(&nd, &c, ip), REASON_NONE);
	return nd;
}

static enum reason
say(struct rig *rig, const struct nd_message *nd, struct ip6_addr src,
    struct ip6_addr dst)
{
	uint8_t out[14 + 40 + ND_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct eth eth = { .dst = ip6_is_multicast(&dst)
		    ? nd_group_mac(&dst)
		    : rig->peer[INSIDE].gw_mac,
		.src = thief,
		.type = ETH_IPV6 };

	eth_write(&w, &eth);
	nd_message_write(&w, nd, &src, &dst);
	return rig_send(rig, INSIDE, out, (size_t)(w.at - out));
}

static bool
described(struct rig *rig, const char *what)
{
	const struct port *gw = rig->peer[INSIDE].gw;
	char text[300];

	gw->ops->describe(gw, text, sizeof(text));
	return strstr(text, what) != NULL;
}

/* An echo request from alice to dst. */
static enum reason
ping(struct rig *rig, struct ip6_addr dst)
{
	struct form6 f = form6(ALICE6, dst, IP_ICMP6);

	return rig6_send(rig, INSIDE, &f);
}

static void
rfc4862_s5_4_each_address_is_asked_for_and_then_used(void **state)
{
	struct rig *rig = start(state, 1);
	struct ip6_addr gw = GW6;
	struct ip6_addr link = ip6_link_local(&rig->peer[INSIDE].gw_mac);
	const struct ip6_addr *want[] = { &gw, &link };
	struct ip6 ip;

	assert_true(described(rig, "2001:db8:1::1/64 (tentative)"));
	assert_int_equal(ping(rig, gw), DROP_TENTATIVE);
	rig_wait(rig, S); /* the delay is up to that */
	assert_int_equal(rig->peer[INSIDE].n, 2);
	for (unsigned int i = 0; i < 2; i++) {
		struct nd_message nd = seen_nd(rig, i, &ip);
		struct ip6_addr group = nd_group(want[i]);

		assert_int_equal(nd.type, ND_SOLICIT);
		assert_ip6(nd.target, *want[i]);
		assert_true(ip6_is_zero(&ip.src));
		assert_ip6(ip.dst, group);
		assert_true(mac_is_zero(&nd.mac));
	}
	assert_int_equal(ping(rig, gw), DROP_TENTATIVE);
	rig_clear(rig);
	rig_wait(rig, S);
	assert_false(described(rig, "("));
	/* Who knew them of another router learns of this one. */
	assert_int_equal(rig->peer[INSIDE].n, 2);
	for (unsigned int i = 0; i < 2; i++) {
		struct nd_message nd = seen_nd(rig, i, &ip);

		assert_int_equal(nd.type, ND_ADVERTISE);
		assert_int_equal(nd.flags, ND_ROUTER | ND_OVERRIDE);
		assert_ip6(nd.target, *want[i]);
		assert_ip6(ip.dst, ip6_all_nodes);
	}
	assert_int_equal(ping(rig, gw), REASON_DELIVERED);
}

static void
rfc4862_s5_1_it_is_asked_for_as_often_as_is_said(void **state)
{
	struct rig *rig = start(state, 3);
	struct ip6_addr gw = GW6;

	rig_wait(rig, S);
	assert_int_equal(rig->peer[INSIDE].n, 2);
	rig_wait(rig, 2 * S);
	assert_int_equal(rig->peer[INSIDE].n, 6);
	assert_int_equal(ping(rig, gw), DROP_TENTATIVE);
	rig_wait(rig, S);
	assert_int_equal(ping(rig, gw), REASON_DELIVERED);
}

/* What others say, and whether the address is theirs then. */
static void
rfc4862_s5_4_3_who_has_it_or_wants_it_keeps_it(void **state)
{
	struct ip6_addr gw = GW6, none = { { 0 } };
	const struct {
		struct nd_message nd;
		struct ip6_addr src, dst;
		bool theirs;
	} rows[] = {
		{ { .type = ND_ADVERTISE, .target = gw, .mac = thief }, gw,
		    ip6_all_nodes, true },
		{ { .type = ND_ADVERTISE,
		      .target = gw,
		      .mac = thief,
		      .flags = ND_OVERRIDE },
		    gw, ip6_all_nodes, true },
		/* looks for it as well */
		{ { .type = ND_SOLICIT, .target = gw, .nonce = { 1 } }, none,
		    nd_group(&gw), true },
		/* wants to speak to it; or says it to the address itself */
		{ { .type = ND_SOLICIT, .target = gw, .mac = thief }, ALICE6,
		    nd_group(&gw), false },
		{ { .type = ND_ADVERTISE,
		      .target = gw,
		      .mac = thief,
		      .flags = ND_SOLICITED },
		    gw, gw, false },
		/* another address */
		{ { .type = ND_ADVERTISE, .target = BOB6, .mac = thief }, BOB6,
		    ip6_all_nodes, false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		for (int early = 0; early < 2; early++) {
			struct rig *rig = start(state, 1);

			print_message("row %zu, %d\n", i, early);
			if (!early)
				rig_wait(rig, S);
			rig_clear(rig);
			say(rig, &rows[i].nd, rows[i].src, rows[i].dst);
			/* Nobody is answered meanwhile. */
			assert_int_equal(rig->peer[INSIDE].n, 0);
			rig_wait(rig, 2 * S + 1);
			assert_int_equal(described(rig, "::1/64 (duplicate)"),
			    rows[i].theirs);
			if (!rows[i].theirs)
				assert_int_equal(
				    ping(rig, gw), REASON_DELIVERED);
			if (i + 1 < sizeof(rows) / sizeof(rows[0]) || !early)
				rig_free(rig);
		}
}

static void
rfc7527_s4_2_its_own_question_that_comes_back_says_nothing(void **state)
{
	struct rig *rig = start(state, 1);
	struct ip6_addr gw = GW6;
	const struct peer *peer = &rig->peer[INSIDE];

	rig_wait(rig, S);
	for (unsigned int i = 0, n = peer->n; i < n; i++)
		rig_send(rig, INSIDE, peer->seen[i].data, peer->seen[i].len);
	rig_wait(rig, S);
	assert_int_equal(ping(rig, gw), REASON_DELIVERED);
}

/* It belongs to another: packets to it go there, and its own pass. */
static void
a_duplicate_is_routed_to_like_any_other(void **state)
{
	struct rig *rig = start(state, 1);
	struct ip6_addr gw = GW6;
	struct nd_message nd = { .type = ND_ADVERTISE,
		.target = gw,
		.mac = thief,
		.flags = ND_OVERRIDE };
	struct form6 to = form6(SERVER6, gw, IP_UDP);
	struct form6 from = form6(gw, SERVER6, IP_UDP);

	say(rig, &nd, gw, ip6_all_nodes);
	rig_wait(rig, 2 * S + 1);
	for (int i = 0; i < NPEERS; i++)
		rig->peer[i].silent = false;
	rig_clear(rig);
	assert_int_equal(rig6_send(rig, INSIDE, &from), REASON_ND_QUEUED);
	assert_int_equal(rig6_send(rig, OUTSIDE, &to), REASON_ND_QUEUED);
	assert_int_equal(rig->peer[INSIDE].solicits, 1);
	/* What is said to hosts of the link is said from another address. */
	to = form6(ALICE6, rig_ip6(9, 9), IP_UDP);
	rig6_send(rig, INSIDE, &to);
	assert_ip6(rig6_last(rig, INSIDE).ip.src,
	    ip6_link_local(&rig->peer[INSIDE].gw_mac));
}

static void
rfc4862_s5_4_5_without_a_link_local_address_there_is_no_ip6(void **state)
{
	struct rig *rig = start(state, 1);
	struct ip6_addr link = ip6_link_local(&rig->peer[INSIDE].gw_mac);
	struct nd_message nd = { .type = ND_ADVERTISE,
		.target = link,
		.mac = thief,
		.flags = ND_OVERRIDE };
	struct form6 in = form6(SERVER6, ALICE6, IP_UDP);

	rig->peer[INSIDE].keep_mld = true;
	say(rig, &nd, link, ip6_all_nodes);
	rig_clear(rig);
	rig_wait(rig, 5 * S);
	assert_int_equal(rig->peer[INSIDE].n, 0);
	assert_true(described(rig, ":1 (duplicate)"));
	assert_int_equal(ping(rig, GW6), DROP_IP6_OFF);
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), DROP_IP6_OFF);
	/* IPv4 is not concerned, and other ports neither. */
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, GW_INSIDE, 53), DROP_NO_LISTENER);
	in = form6(SERVER6, rig_ip6(2, 1), IP_ICMP6);
	assert_int_equal(rig6_send(rig, OUTSIDE, &in), REASON_DELIVERED);
	/* When the link is back, it is looked for anew. */
	port_set_down(rig->peer[INSIDE].gw, true);
	port_set_down(rig->peer[INSIDE].gw, false);
	assert_int_equal(ping(rig, GW6), DROP_TENTATIVE);
	rig_wait(rig, 2 * S + 1);
	assert_int_equal(ping(rig, GW6), REASON_DELIVERED);
}

/* Packets that are routed meanwhile wait for the address to ask from. */
static void
what_passes_meanwhile_waits(void **state)
{
	struct rig *rig = start(state, 1);
	struct form6 f = form6(ALICE6, SERVER6, IP_UDP);

	rig->peer[OUTSIDE].silent = false;
	rig->peer[OUTSIDE].keep_arp = false;
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_ND_QUEUED);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	rig_wait(rig, 3 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
	assert_ip6(rig6_last(rig, OUTSIDE).ip.dst, SERVER6);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc4862_s5_4_each_address_is_asked_for_and_then_used),
		T(rfc4862_s5_1_it_is_asked_for_as_often_as_is_said),
		T(rfc4862_s5_4_3_who_has_it_or_wants_it_keeps_it),
		T(rfc7527_s4_2_its_own_question_that_comes_back_says_nothing),
		T(a_duplicate_is_routed_to_like_any_other),
		T(rfc4862_s5_4_5_without_a_link_local_address_there_is_no_ip6),
		T(what_passes_meanwhile_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
