/*
 * What the router says of the groups that it has joined (RFC 3810, RFC 2710).
 */
#include "router/groups6.h"
#include "tests/router/rig6.h"

#define S NS_PER_S

static const struct ip6_addr servers = { { 0xff, 2, [13] = 1, [15] = 2 } };

static struct rig *
start(void **state, uint8_t dad)
{
	struct rig *rig = rig_make_with(0, true, true, dad);

	rig->peer[OUTSIDE].keep_mld = true;
	rig->peer[OUTSIDE].silent = true;
	*state = rig;
	return rig;
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

/* All that was said of group: how often as change, and with what source. */
static unsigned int
said(const struct rig *rig, const struct ip6_addr *group,
    enum member_change change, uint8_t version, struct ip6_addr *src)
{
	const struct peer *peer = &rig->peer[OUTSIDE];
	unsigned int n = 0;

	for (unsigned int i = 0; i < peer->n; i++) {
		struct cursor c =
		    cursor(peer->seen[i].data + 14, peer->seen[i].len - 14);
		struct ip6_addr v2 = { { 0xff, 2, [15] = 0x16 } }, dst;
		struct member_msg msg;
		struct member_record record;
		struct mac mac;
		struct ip6 ip;

		assert_int_equal(ip6_parse(&ip, &c), REASON_NONE);
		assert_int_equal(mld_parse(&msg, &ip, &c), REASON_NONE);
		if (msg.kind != MEMBER_REPORT || msg.version != version)
			continue;
		dst = version == 2 ? v2 : ip.dst;
		mac = nd_group_mac(&ip.dst);
		assert_ip6(ip.dst, dst);
		assert_memory_equal(peer->seen[i].data, mac.b, 6);
		*src = ip.src;
		while (member_next(&msg, &record)) {
			assert_int_equal(record.nsources, 0);
			n += record.change == change &&
			    ip6_equal(&record.group, group);
			if (version == 1 && change != MEMBER_TO_INCLUDE)
				assert_ip6(ip.dst, record.group);
		}
	}
	return n;
}

/* The groups of the port outside: all routers, of its address and that of any
 * router, of its link-local address. */
static unsigned int
groups(struct ip6_addr out[4])
{
	struct mac mac = rig_mac(GW_OUTSIDE);
	struct ip6_addr link = ip6_link_local(&mac), gw = rig_ip6(2, 1),
			any = rig_ip6(2, 0);

	out[0] = ip6_all_routers;
	out[1] = nd_group(&gw);
	out[2] = nd_group(&link);
	out[3] = nd_group(&any);
	return 4;
}

static void
query(struct rig *rig, uint8_t version, const struct ip6_addr *group,
    uint32_t max_ms)
{
	uint8_t out[MEMBER_QUERY_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct mac mac = { { 2, 9, 9, 9, 9, 9 } };
	struct member_query q = { .ip6 = true,
		.version = version,
		.src = ip6_link_local(&mac),
		.max_response_ms = max_ms,
		.robustness = 2,
		.interval_s = 125 };

	if (group != NULL)
		q.group = *group;
	member_write_query(&w, &mac, &q);
	assert_int_equal(rig_send(rig, OUTSIDE, out, (size_t)(w.at - out)),
	    REASON_DELIVERED);
}

static void
rfc3810_s6_1_it_tells_of_its_groups_when_the_link_comes_up(void **state)
{
	struct rig *rig = start(state, 0);
	struct ip6_addr g[4], src;

	rig_wait(rig, 1);
	for (unsigned int i = 0; i < groups(g); i++)
		assert_int_equal(
		    said(rig, &g[i], MEMBER_TO_EXCLUDE, 2, &src), 1);
	assert_ip6(src, ip6_link_local(&rig->peer[OUTSIDE].gw_mac));
	/* One may be lost. */
	rig_wait(rig, S + 1);
	for (unsigned int i = 0; i < groups(g); i++)
		assert_int_equal(
		    said(rig, &g[i], MEMBER_TO_EXCLUDE, 2, &src), 2);
	rig_wait(rig, 100 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, 2);
	/* Nobody is ever told of all nodes. */
	assert_int_equal(
	    said(rig, &ip6_all_nodes, MEMBER_TO_EXCLUDE, 2, &src), 0);
}

/* RFC 3590: from no address, so that snooping switches forward what is said of
 * it, and again from the port's when it has one. */
static void
rfc3590_s4_it_tells_of_them_before_it_has_an_address(void **state)
{
	struct rig *rig = start(state, 1);
	struct ip6_addr g[4], src;

	rig_wait(rig, S);
	for (unsigned int i = 0; i < groups(g); i++)
		assert_int_not_equal(
		    said(rig, &g[i], MEMBER_TO_EXCLUDE, 2, &src), 0);
	assert_true(ip6_is_zero(&src));
	rig_clear(rig);
	rig_wait(rig, S + 1);
	for (unsigned int i = 0; i < groups(g); i++)
		assert_int_not_equal(
		    said(rig, &g[i], MEMBER_TO_EXCLUDE, 2, &src), 0);
	assert_ip6(src, ip6_link_local(&rig->peer[OUTSIDE].gw_mac));
}

static void
rfc3810_s6_2_it_answers_queries_within_their_time(void **state)
{
	struct rig *rig = start(state, 0);
	struct ip6_addr g[4], src, other = addr6("ff02::1:ff00:1234");

	groups(g);
	rig_wait(rig, 2 * S);
	rig_clear(rig);
	query(rig, 2, NULL, 10000);
	/* Never at once. */
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
	rig_wait(rig, 10 * S + 1);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(
		    said(rig, &g[i], MEMBER_IS_EXCLUDE, 2, &src), 1);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
	rig_clear(rig);
	query(rig, 2, &g[1], 1000);
	query(rig, 2, &g[1], 1000);
	rig_wait(rig, S + 1);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
	assert_int_equal(said(rig, &g[1], MEMBER_IS_EXCLUDE, 2, &src), 1);
	assert_int_equal(said(rig, &g[0], MEMBER_IS_EXCLUDE, 2, &src), 0);
	/* A group that it has not joined, or one that is asked for with all. */
	rig_clear(rig);
	assert_false(
	    groups6_has((const struct iface *)rig->peer[OUTSIDE].gw, &other));
	query(rig, 2, NULL, 1);
	query(rig, 2, &g[1], 100000);
	rig_wait(rig, 200 * S);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
}

static void
rfc3810_s8_2_1_it_speaks_version_1_to_who_does(void **state)
{
	struct rig *rig = start(state, 0);
	struct ip6_addr g[4], src;
	struct mld_record heard = { MEMBER_IS_EXCLUDE, { { 0 } } };
	uint8_t out[14 + MLD1_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct eth eth = { .src = { { 2, 9, 9, 9, 9, 8 } }, .type = ETH_IPV6 };

	groups(g);
	rig_wait(rig, 1);
	rig_clear(rig);
	query(rig, 1, NULL, 10000);
	/* What it would have said again in version 2 is not said any more. */
	rig_wait(rig, 10 * S + 1);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(
		    said(rig, &g[i], MEMBER_IS_EXCLUDE, 1, &src), 1);
		assert_int_equal(
		    said(rig, &g[i], MEMBER_TO_EXCLUDE, 2, &src), 0);
	}
	assert_int_equal(rig->peer[OUTSIDE].n, 4);
	/* If another one tells of a group, that is enough. */
	rig_clear(rig);
	query(rig, 1, NULL, 10000);
	heard.group = g[0];
	eth.dst = nd_group_mac(&g[0]);
	eth_write(&w, &eth);
	mld1_write(&w, &(struct ip6_addr){ { 0xfe, 0x80, [15] = 9 } }, &heard);
	assert_int_equal(rig_send(rig, OUTSIDE, out, (size_t)(w.at - out)),
	    REASON_DELIVERED);
	rig_wait(rig, 10 * S + 1);
	assert_int_equal(said(rig, &g[0], MEMBER_IS_EXCLUDE, 1, &src), 0);
	assert_int_equal(said(rig, &g[1], MEMBER_IS_EXCLUDE, 1, &src), 1);
	/* It is gone for 260 s, and version 2 is back. */
	rig_clear(rig);
	rig_wait(rig, 250 * S);
	query(rig, 2, NULL, 100);
	rig_wait(rig, S);
	assert_int_equal(said(rig, &g[1], MEMBER_IS_EXCLUDE, 2, &src), 1);
}

static void
rfc4861_s6_2_5_it_joins_that_of_dhcp_where_it_advertises(void **state)
{
	struct rig *rig = start(state, 0);
	struct router_ra_options o = { .interval_s = 600 };
	struct ip6_addr src;
	struct form6 f = form6(addr6("fe80::10"), servers, IP_ICMP6);

	rig_wait(rig, 2 * S);
	rig_clear(rig);
	assert_int_equal(rig6_send(rig, OUTSIDE, &f), DROP_MULTICAST);
	router_set_ra(rig->router, rig->peer[OUTSIDE].gw, &o, NULL);
	rig->peer[OUTSIDE].n = 0;
	rig_wait(rig, 1);
	assert_int_equal(said(rig, &servers, MEMBER_TO_EXCLUDE, 2, &src), 1);
	assert_int_equal(rig6_send(rig, OUTSIDE, &f), REASON_DELIVERED);
	/* At the end all are left, and who heard of it is told. */
	rig_wait(rig, 5 * S);
	rig_clear(rig);
	rig->peer[OUTSIDE].keep_mld = false;
	router_stop(rig->router);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
	assert_int_equal(
	    rig6_last(rig, OUTSIDE).icmp.type, ND_ROUTER_ADVERTISE);
	assert_int_equal(rig6_last(rig, OUTSIDE).icmp.word & 0xffff, 0);
}

static void
it_leaves_them_at_the_end(void **state)
{
	struct rig *rig = start(state, 0);
	struct ip6_addr g[4], src;

	rig_wait(rig, 2 * S);
	rig_clear(rig);
	router_stop(rig->router);
	for (unsigned int i = 0; i < groups(g); i++)
		assert_int_equal(
		    said(rig, &g[i], MEMBER_TO_INCLUDE, 2, &src), 1);
}

/* Nothing is said from an address that is being looked for. */
static void
it_says_nothing_at_the_end_while_it_has_no_address(void **state)
{
	struct rig *rig = start(state, 1);
	struct router_ra_options o = { .interval_s = 4 };

	router_set_ra(rig->router, rig->peer[OUTSIDE].gw, &o, NULL);
	rig_wait(rig, 10 * S);
	port_set_down(rig->peer[OUTSIDE].gw, true);
	port_set_down(rig->peer[OUTSIDE].gw, false);
	rig_clear(rig);
	router_stop(rig->router);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
}

static void
who_loses_an_address_leaves_its_group(void **state)
{
	struct rig *rig = start(state, 1);
	struct ip6_addr gw = rig_ip6(2, 1), g[4], src;
	struct nd_message nd = {
		.type = ND_ADVERTISE, .target = gw, .mac = { { 2, 6 } }
	};
	uint8_t out[14 + 40 + ND_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct eth eth = { .dst = nd_group_mac(&ip6_all_nodes),
		.src = nd.mac,
		.type = ETH_IPV6 };

	groups(g);
	rig_wait(rig, S);
	rig_clear(rig);
	eth_write(&w, &eth);
	nd_message_write(&w, &nd, &gw, &ip6_all_nodes);
	rig_send(rig, OUTSIDE, out, sizeof(out));
	rig_wait(rig, 1);
	assert_int_equal(said(rig, &g[1], MEMBER_TO_INCLUDE, 2, &src), 1);
	assert_int_equal(said(rig, &g[0], MEMBER_TO_INCLUDE, 2, &src), 0);
	rig_clear(rig);
	rig_wait(rig, 5 * S);
	assert_int_equal(said(rig, &g[1], MEMBER_TO_EXCLUDE, 2, &src), 0);
	assert_int_equal(said(rig, &g[2], MEMBER_TO_EXCLUDE, 2, &src), 2);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc3810_s6_1_it_tells_of_its_groups_when_the_link_comes_up),
		T(rfc3590_s4_it_tells_of_them_before_it_has_an_address),
		T(rfc3810_s6_2_it_answers_queries_within_their_time),
		T(rfc3810_s8_2_1_it_speaks_version_1_to_who_does),
		T(rfc4861_s6_2_5_it_joins_that_of_dhcp_where_it_advertises),
		T(it_leaves_them_at_the_end),
		T(it_says_nothing_at_the_end_while_it_has_no_address),
		T(who_loses_an_address_leaves_its_group),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
