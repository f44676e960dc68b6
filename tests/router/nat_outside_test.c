/*
 * A router whose NAT has several outside addresses, as its links see it.
 */
#include "tests/router/nat_rig.h"

#define POOL_A IP(203, 0, 113, 5)
#define POOL_B IP(203, 0, 113, 9)
#define NEARBY IP(203, 0, 113, 6) /* nobody's */

static struct rig *
start(void **state, const struct nat_rules *rules)
{
	static const uint32_t pool[] = { POOL_B, POOL_A };
	const struct router_nat_options o = {
		.pool = pool, .npool = 2, .rules = *rules
	};

	return start_nat(state, &o);
}

static struct rig *
full_cone(void **state)
{
	return start(state, nat_preset(NAT_PRESET_FULL_CONE));
}

/* The outside address that a host has. */
static uint32_t
address_of(struct rig *rig, uint32_t host)
{
	uint32_t ip;

	rig_clear(rig);
	assert_false(
	    reason_is_drop(rig_udp(rig, INSIDE, host, 5000, SERVER, 1)));
	ip = rig_got(rig, OUTSIDE).ip.src;
	rig_clear(rig);
	return ip;
}

/* ---- ARP ---- */

static struct arp
ask_for(uint32_t ip)
{
	return (struct arp){ .op = ARP_REQUEST,
		.sender_mac = rig_mac(SERVER),
		.sender_ip = SERVER,
		.target_ip = ip };
}

static void
arp_for_an_address_of_the_pool_is_answered_outside(void **state)
{
	static const uint32_t ours[] = { POOL_A, POOL_B, GW_OUTSIDE };
	struct rig *rig = full_cone(state);

	rig->peer[OUTSIDE].keep_arp = true;
	for (int i = 0; i < 3; i++) {
		struct arp reply;

		rig_clear(rig);
		assert_int_equal(rig_arp(rig, OUTSIDE, ask_for(ours[i]), true),
		    REASON_DELIVERED);
		assert_int_equal(rig->peer[OUTSIDE].n, 1);
		reply = got_arp(&rig->peer[OUTSIDE].seen[0]);
		assert_int_equal(reply.op, ARP_REPLY);
		assert_int_equal(reply.sender_ip, ours[i]);
		assert_true(
		    mac_equal(&reply.sender_mac, &rig->peer[OUTSIDE].gw_mac));
	}
	rig_clear(rig);
	assert_int_equal(
	    rig_arp(rig, OUTSIDE, ask_for(NEARBY), true), DROP_NOT_OURS);
	assert_int_equal(rig->peer[OUTSIDE].n, 0);
}

static void
arp_for_an_address_of_the_pool_is_not_answered_inside(void **state)
{
	struct rig *rig = full_cone(state);
	struct arp arp = ask_for(POOL_A);

	arp.sender_mac = rig_mac(ALICE);
	arp.sender_ip = ALICE;
	assert_int_equal(rig_arp(rig, INSIDE, arp, true), DROP_NOT_OURS);
}

static void
an_address_of_the_pool_is_defended(void **state)
{
	struct rig *rig = full_cone(state);
	struct arp arp = ask_for(POOL_A), said;

	rig->peer[OUTSIDE].keep_arp = true;
	arp.sender_ip = POOL_A;
	assert_int_equal(rig_arp(rig, OUTSIDE, arp, true), REASON_DELIVERED);
	assert_int_equal(rig->peer[OUTSIDE].n, 1);
	said = got_arp(&rig->peer[OUTSIDE].seen[0]);
	assert_int_equal(said.sender_ip, POOL_A);
	assert_int_equal(said.target_ip, POOL_A);
	assert_true(mac_equal(&said.sender_mac, &rig->peer[OUTSIDE].gw_mac));
}

/* ---- packets ---- */

static void
what_goes_out_by_an_address_comes_back_by_it(void **state)
{
	struct rig *rig = full_cone(state);
	uint32_t alice = address_of(rig, ALICE), bob = address_of(rig, BOB);
	struct got g;

	assert_true(alice == POOL_A || alice == POOL_B);
	assert_int_equal(alice ^ bob, POOL_A ^ POOL_B);
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, SERVER, 1, bob, 5000), REASON_NAT_IN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, BOB);
	assert_int_equal(g.dport, 5000);
	/* The router's own address is nobody's. */
	assert_int_equal(rig_udp(rig, OUTSIDE, SERVER, 1, GW_OUTSIDE, 5000),
	    DROP_NAT_UNSOLICITED);
	assert_int_equal(rig_tcp(rig, OUTSIDE, SERVER, 1, POOL_A, 80, TCP_SYN),
	    DROP_NAT_UNSOLICITED);
}

static void
a_ping_to_an_address_of_the_pool_is_answered_from_it(void **state)
{
	struct rig *rig = full_cone(state);
	struct got g;

	assert_int_equal(
	    rig_echo(rig, OUTSIDE, SERVER, POOL_A, 7, ICMP_ECHO_REQUEST),
	    REASON_DELIVERED);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, POOL_A);
	assert_int_equal(g.icmp.type, ICMP_ECHO_REPLY);
}

static void
nobody_outside_sends_from_an_address_of_the_pool(void **state)
{
	struct rig *rig = full_cone(state);

	address_of(rig, ALICE);
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, POOL_A, 1, POOL_B, 5000), DROP_MARTIAN);
	assert_int_equal(
	    rig_udp(rig, INSIDE, POOL_A, 1, SERVER, 5000), DROP_MARTIAN);
}

static void
rfc4787_req9_hairpin_between_two_addresses(void **state)
{
	struct rig *rig = full_cone(state);
	uint32_t alice = address_of(rig, ALICE), bob;
	struct got g;

	assert_int_equal(
	    rig_udp(rig, INSIDE, BOB, 6000, alice, 5000), REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	bob = g.ip.src;
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.dport, 5000);
	assert_int_equal(alice ^ bob, POOL_A ^ POOL_B);
	rig_clear(rig);
	assert_int_equal(rig_udp(rig, INSIDE, ALICE, 5000, bob, g.sport),
	    REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, BOB);
	assert_int_equal(g.dport, 6000);
	assert_int_equal(g.ip.src, alice);
}

static void
errors_find_their_host_by_its_address(void **state)
{
	struct rig *rig = full_cone(state);
	uint32_t bob;
	uint8_t quote[548];
	size_t n;
	struct got g, q;

	address_of(rig, ALICE);
	bob = address_of(rig, BOB);
	/* Both have port 5000 towards the same end. */
	rig_udp(rig, INSIDE, BOB, 5000, SERVER, 1);
	n = got_to_quote(rig, OUTSIDE, quote);
	rig_clear(rig);
	assert_int_equal(rig_error(rig, OUTSIDE, PROVIDER, bob,
			     ICMP_UNREACHABLE, ICMP_UNREACH_PORT, quote, n),
	    REASON_NAT_ICMP);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, BOB);
	q = got_quote(&g);
	assert_int_equal(q.ip.src, BOB);
	assert_int_equal(q.sport, 5000);
	/* And those of inside hosts leave by theirs. */
	rig_clear(rig);
	rig_udp(rig, OUTSIDE, SERVER, 1, bob, 5000);
	n = got_to_quote(rig, INSIDE, quote);
	rig_clear(rig);
	assert_int_equal(rig_error(rig, INSIDE, BOB, SERVER, ICMP_UNREACHABLE,
			     ICMP_UNREACH_PORT, quote, n),
	    REASON_NAT_ICMP);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, bob);
	assert_int_equal(got_quote(&g).ip.dst, bob);
}

static void
rfc5382_req4_a_syn_to_one_address_is_not_taken_back_for_another(void **state)
{
	struct nat_rules rules = nat_rules_default;
	struct rig *rig;
	uint32_t alice;

	rules.refuse_syn = true;
	rig = start(state, &rules);
	alice = address_of(rig, ALICE);
	rig_tcp(
	    rig, OUTSIDE, SERVER, 80, alice ^ POOL_A ^ POOL_B, 5000, TCP_SYN);
	rig_tcp(rig, INSIDE, ALICE, 5000, SERVER, 80, TCP_SYN);
	rig_clear(rig);
	rig_wait(rig, 7 * NS_PER_S);
	assert_int_equal(rig_got(rig, OUTSIDE).icmp.code, ICMP_UNREACH_PORT);
}

/* ---- exempt ---- */

static struct rig *
exempting(void **state)
{
	static const struct ip4_net exempt[] = { { SERVER2, 32 },
		{ IP(198, 51, 100, 0), 24 } };
	const struct router_nat_options o = {
		.exempt = exempt, .nexempt = 2, .rules = nat_rules_default
	};

	return start_nat(state, &o);
}

static void
rfc6888_req6_an_exempt_destination_sees_the_host_itself(void **state)
{
	static const uint32_t exempt[] = { SERVER2, FAR };
	struct rig *rig = exempting(state);
	struct got g;

	for (int i = 0; i < 2; i++) {
		rig_clear(rig);
		assert_int_equal(
		    rig_udp(rig, INSIDE, ALICE, 5000, exempt[i], 1),
		    REASON_NAT_EXEMPT);
		g = rig_got(rig, OUTSIDE);
		assert_int_equal(g.ip.src, ALICE);
		assert_int_equal(g.sport, 5000);
		/* And speaks to it, first or not. */
		rig_clear(rig);
		assert_int_equal(
		    rig_tcp(rig, OUTSIDE, exempt[i], 1, ALICE, 80, TCP_SYN),
		    REASON_NAT_EXEMPT);
		g = rig_got(rig, INSIDE);
		assert_int_equal(g.ip.src, exempt[i]);
		assert_int_equal(g.ip.dst, ALICE);
	}
	/* Others are translated for as ever. */
	rig_clear(rig);
	assert_int_equal(
	    rig_udp(rig, INSIDE, ALICE, 5000, SERVER, 1), REASON_NAT_NEW);
	assert_int_equal(rig_got(rig, OUTSIDE).ip.src, GW_OUTSIDE);
	assert_int_equal(rig_udp(rig, OUTSIDE, SERVER, 1, ALICE, 5000),
	    DROP_NAT_UNSOLICITED);
}

static void
rfc6888_req6_all_protocols_and_errors_pass_unchanged(void **state)
{
	struct rig *rig = exempting(state);
	struct form f = form(ALICE, 5000, SERVER2, 1);
	uint8_t quote[548];
	size_t n;
	struct got g;

	/* GRE, which NAT cannot translate. */
	assert_int_equal(rig_form(rig, INSIDE, &f, 47, 0), REASON_NAT_EXEMPT);
	rig_clear(rig);
	rig_udp(rig, OUTSIDE, SERVER2, 1, ALICE, 5000);
	n = got_to_quote(rig, INSIDE, quote);
	rig_clear(rig);
	assert_int_equal(rig_error(rig, INSIDE, ALICE, SERVER2,
			     ICMP_UNREACHABLE, ICMP_UNREACH_PORT, quote, n),
	    REASON_NAT_EXEMPT);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, ALICE);
	assert_int_equal(got_quote(&g).ip.dst, ALICE);
}

static void
an_exempt_host_hears_that_an_inside_host_is_gone(void **state)
{
	struct rig *rig = exempting(state);
	struct got g;

	rig->peer[INSIDE].silent = true;
	assert_int_equal(
	    rig_udp(rig, OUTSIDE, SERVER2, 1, IP(10, 0, 0, 77), 5000),
	    REASON_ARP_QUEUED);
	rig_wait(rig, 10 * NS_PER_S);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.dst, SERVER2);
	assert_int_equal(g.icmp.code, ICMP_UNREACH_HOST);
	assert_int_equal(got_quote(&g).ip.dst, IP(10, 0, 0, 77));
}

static void
fragments_for_an_exempt_destination_pass_as_they_are(void **state)
{
	struct rig *rig = exempting(state);
	struct form f = form(ALICE, 5000, SERVER2, 1);

	f.fragment = 1; /* the second, which comes first */
	f.data_bytes = 64;
	assert_int_equal(
	    rig_form(rig, INSIDE, &f, IP_UDP, 0), REASON_NAT_EXEMPT);
	assert_int_equal(rig_got(rig, OUTSIDE).ip.src, ALICE);
}

static void
a_net_that_is_exempt_twice_is_refused_with_a_sentence(void **state)
{
	static const struct ip4_net twice[] = { { SERVER2, 32 },
		{ SERVER2, 32 } };
	struct rig *rig = rig_new(0);
	struct router_nat_options o = {
		.outside = rig->peer[OUTSIDE].gw, .exempt = twice, .nexempt = 2
	};
	struct err err = { "" };

	*state = rig;
	assert_true(router_set_nat(rig->router, &o, &err) < 0);
	assert_non_null(strstr(err.text, "203.0.113.11/32 cannot be exempt"));
}

static void
rfc4787_req7_an_inside_net_with_addresses_of_the_outside_is_refused(
    void **state)
{
	static const struct ip4_net nets[] = { { IP(203, 0, 113, 77), 24 },
		{ IP(203, 0, 113, 129), 25 }, { IP(203, 0, 0, 1), 16 } };
	struct rig *rig = full_cone(state);

	for (int i = 0; i < 3; i++) {
		const struct router_port_options o = { .mac = rig_mac(1),
			.address = nets[i] };
		struct err err = { "" };

		assert_null(router_add_port(rig->router, "gw.more", &o, &err));
		assert_non_null(strstr(
		    err.text, "overlaps with that of port \"gw.outside\""));
	}
}

static void
rfc5508_req11_other_icmp_is_refused_and_that_is_told(void **state)
{
	/* Timestamp, information and address mask requests, and answers. */
	static const uint8_t types[] = { 13, 14, 15, 16, 17, 18 };
	struct rig *rig = full_cone(state);
	struct got g;

	for (size_t i = 0; i < sizeof(types); i++) {
		rig_clear(rig);
		assert_int_equal(
		    rig_echo(rig, INSIDE, ALICE, SERVER, 7, types[i]),
		    DROP_NAT_PROTOCOL);
		assert_int_equal(rig->peer[OUTSIDE].n, 0);
		assert_int_equal(
		    rig_echo(rig, OUTSIDE, SERVER, POOL_A, 7, types[i]),
		    DROP_NAT_PROTOCOL);
		assert_int_equal(rig->peer[OUTSIDE].n, 0);
		g = rig_got(rig, INSIDE);
		assert_int_equal(g.icmp.type, ICMP_UNREACHABLE);
		assert_int_equal(g.icmp.code, ICMP_UNREACH_PROHIBITED);
		rig_wait(rig, NS_PER_S);
	}
}

/* ---- pools that cannot be ---- */

static void
a_pool_that_cannot_be_is_refused_with_a_sentence(void **state)
{
	static const struct {
		uint32_t ip;
		const char *why;
	} bad[] = {
		{ IP(203, 0, 113, 255), "203.0.113.255 is not the address" },
		{ IP(203, 0, 113, 0), "203.0.113.0 is not the address" },
		{ IP(224, 0, 0, 1), "224.0.0.1 is not the address" },
		{ IP(127, 0, 0, 1), "127.0.0.1 is not the address" },
		{ IP(10, 0, 0, 9),
		    "10.0.0.9 is reached by port \"gw.inside\"" },
		{ GW_INSIDE, "10.0.0.1 is reached by port \"gw.inside\"" },
	};
	struct rig *rig = rig_new(0);

	*state = rig;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const uint32_t pool[] = { POOL_A, bad[i].ip };
		struct router_nat_options o = { .outside =
						    rig->peer[OUTSIDE].gw,
			.pool = pool,
			.npool = 2 };
		struct err err = { "" };

		assert_true(router_set_nat(rig->router, &o, &err) < 0);
		assert_non_null(strstr(err.text, bad[i].why));
	}
}

#define T(test) cmocka_unit_test_teardown(test, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(arp_for_an_address_of_the_pool_is_answered_outside),
		T(arp_for_an_address_of_the_pool_is_not_answered_inside),
		T(an_address_of_the_pool_is_defended),
		T(what_goes_out_by_an_address_comes_back_by_it),
		T(a_ping_to_an_address_of_the_pool_is_answered_from_it),
		T(nobody_outside_sends_from_an_address_of_the_pool),
		T(rfc4787_req9_hairpin_between_two_addresses),
		T(errors_find_their_host_by_its_address),
		T(rfc5382_req4_a_syn_to_one_address_is_not_taken_back_for_another),
		T(rfc6888_req6_an_exempt_destination_sees_the_host_itself),
		T(rfc6888_req6_all_protocols_and_errors_pass_unchanged),
		T(an_exempt_host_hears_that_an_inside_host_is_gone),
		T(fragments_for_an_exempt_destination_pass_as_they_are),
		T(a_net_that_is_exempt_twice_is_refused_with_a_sentence),
		T(rfc4787_req7_an_inside_net_with_addresses_of_the_outside_is_refused),
		T(rfc5508_req11_other_icmp_is_refused_and_that_is_told),
		T(a_pool_that_cannot_be_is_refused_with_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
