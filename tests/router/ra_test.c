/*
 * A port's advertisements in time, and its answers to DHCPv6 (RFC 4861 6.2).
 */
#include "net/dhcp6.h"
#include "net/ra.h"
#include "tests/router/rig6.h"

#define S NS_PER_S

static struct rig *
start(void **state, uint32_t interval_s)
{
	struct rig *rig = rig6_new(0);
	struct router_ra_options o = { .interval_s = interval_s,
		.dns = { rig_ip6(0x53, 1) },
		.ndns = 1,
		.domain = "lab" };
	struct err err = { "" };

	*state = rig;
	assert_int_equal(
	    router_set_ra(rig->router, rig->peer[INSIDE].gw, &o, &err), 0);
	return rig;
}

static int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

static void
rfc4861_s6_2_4_the_first_ones_come_soon_and_the_others_in_the_interval(
    void **state)
{
	struct rig *rig = start(state, 600);
	uint64_t last = 0;
	unsigned int seen = 0;

	while (seen < 20) {
		uint64_t now, gap;

		rig_wait(rig, S / 10);
		if (rig->peer[INSIDE].n == seen)
			continue;
		assert_int_equal(rig->peer[INSIDE].n, seen + 1);
		now = loop_now_ns(rig->loop);
		gap = now - last;
		if (seen == 0)
			assert_true(now <= S * 6 / 10);
		else if (seen < 3)
			assert_true(gap <= 16 * S + S / 10);
		else
			assert_in_range(
			    gap, 200 * S - S / 10, 600 * S + S / 10);
		last = now;
		seen++;
	}
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
}

static void
it_says_what_the_port_has(void **state)
{
	struct rig *rig = start(state, 600);
	struct mac mac = rig->peer[INSIDE].gw_mac;
	struct got6 g;

	rig_wait(rig, S);
	g = rig6_last(rig, INSIDE);
	assert_ip6(g.ip.src, ip6_link_local(&mac));
	assert_ip6(g.ip.dst, ip6_all_nodes);
	assert_int_equal(g.ip.hop_limit, 255);
	assert_int_equal(g.icmp.type, ND_ROUTER_ADVERTISE);
	assert_int_equal(g.icmp.word, 64u << 24 | 1800);
	/* MTU, the prefix that is on the link and autonomous */
	assert_int_equal(g.icmp.data[8 + 8], 5);
	assert_int_equal(get_be32(g.icmp.data + 8 + 12), 1500);
	assert_int_equal(g.icmp.data[24], 3);
	assert_int_equal(g.icmp.data[26], 64);
	assert_int_equal(g.icmp.data[27], 0xc0);
}

static enum reason
ask(struct rig *rig, struct ip6_addr src)
{
	struct form6 f = form6(src, ip6_all_routers, IP_ICMP6);

	f.type = ND_ROUTER_SOLICIT;
	f.hop_limit = 255;
	f.data_bytes = 0;
	return rig6_send(rig, INSIDE, &f);
}

static void
who_asks_is_told_soon_but_not_too_often(void **state)
{
	struct rig *rig = start(state, 1800);

	rig_wait(rig, 100 * S);
	rig_clear(rig);
	assert_int_equal(ask(rig, addr6("fe80::9")), REASON_DELIVERED);
	rig_wait(rig, S / 2 + 1);
	assert_int_equal(rig->peer[INSIDE].n, 1);
	/* A hundred that ask at once, for ten seconds. */
	for (int i = 0; i < 1000; i++) {
		assert_int_equal(
		    ask(rig, (struct ip6_addr){ { 0 } }), REASON_DELIVERED);
		rig_wait(rig, S / 100);
	}
	assert_in_range(rig->peer[INSIDE].n, 4, 5);
	assert_int_equal(ask(rig, rig_ip6(2, 9)), DROP_MARTIAN);
}

static void
a_link_that_comes_up_is_told_anew(void **state)
{
	struct rig *rig = start(state, 1800);

	rig_wait(rig, 100 * S);
	rig_clear(rig);
	port_set_down(rig->peer[INSIDE].gw, true);
	port_set_down(rig->peer[INSIDE].gw, false);
	rig_wait(rig, S);
	assert_int_equal(rig->peer[INSIDE].n, 1);
}

static void
information_is_given_and_addresses_are_not(void **state)
{
	static const uint8_t request[] = { 11, 1, 2, 3, 0, 1, 0, 3, 7, 8, 9, 0,
		6, 0, 2, 0, 23 };
	static const uint8_t solicit[] = { 1, 1, 2, 3 };
	struct rig *rig = start(state, 1800);
	struct form6 f = form6(addr6("fe80::9"), dhcp6_servers, IP_UDP);
	struct got6 g;

	rig_wait(rig, S);
	rig_clear(rig);
	f.sport = DHCP6_CLIENT_PORT;
	f.dport = DHCP6_SERVER_PORT;
	f.data = request;
	f.data_bytes = sizeof(request);
	assert_int_equal(rig6_send(rig, INSIDE, &f), REASON_DELIVERED);
	g = rig6_last(rig, INSIDE);
	assert_int_equal(g.udp.sport, DHCP6_SERVER_PORT);
	assert_int_equal(g.udp.dport, DHCP6_CLIENT_PORT);
	assert_ip6(g.ip.dst, f.src);
	assert_true(ip6_is_link_local(&g.ip.src));
	assert_int_equal(g.udp.data[0], DHCP6_REPLY);
	f.data = solicit;
	f.data_bytes = sizeof(solicit);
	assert_int_equal(rig6_send(rig, INSIDE, &f), DROP_DHCP6_STATEFUL);
	/* A port that does not advertise has not joined the group. */
	f.data = request;
	f.data_bytes = sizeof(request);
	assert_int_equal(rig6_send(rig, OTHER, &f), DROP_MULTICAST);
}

static void
what_cannot_be_is_refused(void **state)
{
	static const struct {
		struct router_ra_options o;
		const char *says;
	} rows[] = {
		{ { .interval_s = 3 }, "use 4 to 1800" },
		{ { .interval_s = 1801 }, "use 4 to 1800" },
		{ { .has_lifetime = true, .lifetime_s = 9001 },
		    "use at most 9000" },
		{ { .valid_s = 5, .preferred_s = 6 }, "than they are valid" },
	};
	struct rig *rig = start(state, 0);
	struct err err = { "" };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		err_clear(&err);
		assert_true(router_set_ra(rig->router, rig->peer[OTHER].gw,
				&rows[i].o, &err) < 0);
		assert_non_null(strstr(err.text, rows[i].says));
	}
	err_clear(&err);
	assert_true(router_set_ra(rig->router, rig->peer[INSIDE].gw,
			&(struct router_ra_options){ 0 }, &err) < 0);
	assert_non_null(strstr(err.text, "advertises already"));
	err_clear(&err);
	assert_true(router_set_ra(rig->router, &rig->peer[INSIDE].port,
			&(struct router_ra_options){ 0 }, &err) < 0);
}

#define T(f) cmocka_unit_test_teardown(f, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(rfc4861_s6_2_4_the_first_ones_come_soon_and_the_others_in_the_interval),
		T(it_says_what_the_port_has),
		T(who_asks_is_told_soon_but_not_too_often),
		T(a_link_that_comes_up_is_told_anew),
		T(information_is_given_and_addresses_are_not),
		T(what_cannot_be_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
