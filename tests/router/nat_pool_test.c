/*
 * Several outside addresses of a NAT, and who gets which (RFC 4787 4.1,
 * RFC 6888 REQ-2 and REQ-3, RFC 7857 4).
 */
#include "net/tcp.h"
#include "router/nat_addresses.h"
#include "tests/router/nat_ends.h"

#include <errno.h>

#define NPOOL 13
#define PORTS 64512 /* of the upper class */

/* Any shape: .5, .9, and .200 to .210. */
static const uint32_t pool[NPOOL] = { 0xcb007105, 0xcb007109, 0xcb0071c8,
	0xcb0071c9, 0xcb0071ca, 0xcb0071cb, 0xcb0071cc, 0xcb0071cd, 0xcb0071ce,
	0xcb0071cf, 0xcb0071d0, 0xcb0071d1, 0xcb0071d2 };

static struct nat *
pooled(const struct nat_rules *rules, uint32_t npool, uint32_t max)
{
	struct nat_options o = { .outside_ip = OUTSIDE,
		.pool = pool,
		.npool = npool,
		.max_entries = max,
		.seed = 7,
		.rules = *rules };
	struct nat *nat = nat_new(&o, NULL);

	assert_non_null(nat);
	return nat;
}

static bool
in_pool(uint32_t ip)
{
	for (int i = 0; i < NPOOL; i++)
		if (pool[i] == ip)
			return true;
	return false;
}

/* Fills all ports of a host's address but those of the lower class. */
static void
use_up(struct nat *nat, uint32_t ip)
{
	uint32_t address = out_at(nat, udp(ip, 1024, SERVER, 1), 0, NULL).ip;

	for (uint32_t port = 1025; port < 65536; port++)
		assert_int_equal(
		    out_at(nat, udp(ip, (uint16_t)port, SERVER, 1), 0, NULL).ip,
		    address);
}

/* ---- the addresses ---- */

static void
addresses_are_found_in_any_order(void **state)
{
	struct nat_addresses a = { .n = 0 };
	uint64_t random = 3;
	uint32_t ip[NAT_ADDRESSES_MAX];

	(void)state;
	for (int i = 0; i < NAT_ADDRESSES_MAX; i++) {
		ip[i] = (uint32_t)nat_random(&random);
		assert_int_equal(nat_addresses_add(&a, ip[i]), 0);
	}
	for (int i = 0; i < NAT_ADDRESSES_MAX; i++) {
		assert_int_equal(nat_addresses_find(&a, ip[i]), i);
		assert_int_equal(nat_addresses_find(&a, ip[i] + 1), -1);
	}
	assert_int_equal(nat_addresses_add(&a, ip[7]), -EEXIST);
	assert_int_equal(nat_addresses_add(&a, 1), -ENOSPC);
	nat_addresses_clear(&a);
}

static void
an_address_twice_is_refused_with_a_sentence(void **state)
{
	const uint32_t twice[] = { pool[0], pool[0] };
	struct nat_options o = {
		.outside_ip = OUTSIDE, .pool = twice, .npool = 2
	};
	struct err err = { "" };

	(void)state;
	assert_null(nat_new(&o, &err));
	assert_string_equal(
	    err.text, "NAT: 203.0.113.5 is in the pool already; name it once");
}

static void
rfc6888_req3_a_pool_has_any_shape_and_all_of_it_is_used(void **state)
{
	struct nat *nat = pooled(&nat_rules_default, NPOOL, 4096);
	uint32_t seen[NPOOL] = { 0 };

	(void)state;
	for (uint32_t host = 0; host < NPOOL; host++)
		seen[host] =
		    out_at(nat, udp(ALICE + host, 5000, SERVER, 1), 0, NULL).ip;
	for (int i = 0; i < NPOOL; i++) {
		assert_true(in_pool(seen[i]));
		assert_true(nat_has_address(nat, pool[i]));
		for (int k = 0; k < i; k++)
			assert_int_not_equal(seen[i], seen[k]);
	}
	/* Its own address is the NAT's, but no host's. */
	assert_true(nat_has_address(nat, OUTSIDE));
	assert_false(nat_has_address(nat, OUTSIDE + 1));
	nat_free(nat);
}

/* ---- paired ---- */

static void
rfc4787_req2_a_host_has_one_address(void **state)
{
	struct nat *nat = pooled(&nat_rules_default, 2, 4096);
	uint32_t alice = 0, bob = 0;

	(void)state;
	for (uint16_t i = 0; i < 1000; i++) {
		struct nat_hit hit = out_at(nat,
		    udp(ALICE, (uint16_t)(2000 + i), SERVER + i, 1), 0, NULL);

		if (i == 0)
			alice = hit.ip;
		assert_int_equal(hit.ip, alice);
		hit = out_at(
		    nat, udp(BOB, (uint16_t)(2000 + i), SERVER, 1), 0, NULL);
		if (i == 0)
			bob = hit.ip;
		assert_int_equal(hit.ip, bob);
	}
	assert_true(in_pool(alice));
	assert_true(in_pool(bob));
	assert_int_not_equal(alice, bob);
	nat_free(nat);
}

static void
rfc6888_req2_paired_for_all_protocols_together_by_default(void **state)
{
	struct nat *nat = pooled(nat_preset(NAT_PRESET_CGN), NPOOL, 4096);

	(void)state;
	for (uint32_t host = 0; host < 100; host++) {
		struct nat_segment syn = { .flags = TCP_SYN, .window = 100 };
		struct nat_flow flow = udp(ALICE + host, 5000, SERVER, 80);
		struct nat_hit a, b, c;

		nat_out(nat, &flow, NULL, 60, 0, &a);
		flow.protocol = IP_TCP;
		nat_out(nat, &flow, &syn, 60, 0, &b);
		flow.protocol = IP_ICMP;
		flow.remote_port = 0;
		nat_out(nat, &flow, NULL, 60, 0, &c);
		assert_true(in_pool(a.ip));
		assert_int_equal(a.ip, b.ip);
		assert_int_equal(a.ip, c.ip);
	}
	nat_free(nat);
}

static void
rfc7857_s4_who_is_paired_with_an_address_without_ports_is_refused(void **state)
{
	struct nat *nat = pooled(&nat_rules_default, 2, 200000);
	enum reason why;

	(void)state;
	use_up(nat, ALICE);
	assert_int_equal(nat_stats(nat).sessions, PORTS);
	assert_int_equal(out(nat, udp(ALICE, 2000, OTHER, 1), 0, &why), 2000);
	/* bob has the other one, and dora is paired with the first again. */
	use_up(nat, BOB);
	assert_int_equal(out(nat, udp(ALICE + 9, 2000, OTHER, 1), 0, &why), 0);
	assert_int_equal(why, DROP_NAT_NO_PORT);
	nat_free(nat);
}

static void
rfc7857_s4_soft_pairing_takes_another_address_then(void **state)
{
	const struct nat_rules rules = { .pooling = NAT_POOLING_SOFT };
	struct nat *nat = pooled(&rules, 2, 200000);
	struct nat_hit hit;
	uint32_t first;
	enum reason why;

	(void)state;
	first = out_at(nat, udp(ALICE, 1024, SERVER, 1), 0, NULL).ip;
	use_up(nat, ALICE);
	out(nat, udp(BOB, 2000, SERVER, 1), 0, NULL); /* the other's */
	/* carol is paired with alice's, which has no port left. */
	hit = out_at(nat, udp(ALICE + 5, 2000, SERVER, 1), 0, NULL);
	assert_int_not_equal(hit.port, 0);
	assert_int_not_equal(hit.ip, first);
	/* What she has, she keeps; below 1024 her own address has ports. */
	assert_int_equal(
	    out_at(nat, udp(ALICE + 5, 500, SERVER, 1), 0, NULL).ip, first);
	for (uint32_t port = 1024; port < 65535; port++)
		out(nat, udp(BOB, (uint16_t)port, SERVER, 1), 0, NULL);
	assert_int_equal(out(nat, udp(ALICE + 5, 3000, SERVER, 1), 0, &why), 0);
	assert_int_equal(why, DROP_NAT_NO_PORT);
	nat_free(nat);
}

static void
a_host_is_seen_at_the_address_that_its_packets_have(void **state)
{
	const struct router_nat_pair pair = { OUTSIDE + 50, BOB };
	struct nat_options o = { .outside_ip = OUTSIDE,
		.pool = pool,
		.npool = NPOOL,
		.pairs = &pair,
		.npairs = 1,
		.seed = 7 };
	struct nat *nat = nat_new(&o, NULL);

	(void)state;
	assert_non_null(nat);
	for (uint32_t host = ALICE; host < ALICE + 30; host++) {
		/* Before it has any, and when it has. */
		uint32_t seen = nat_address_of(nat, host);

		assert_int_equal(
		    out_at(nat, udp(host, 5000, SERVER, 1), 0, NULL).ip, seen);
		assert_int_equal(nat_address_of(nat, host), seen);
	}
	assert_int_equal(nat_address_of(nat, BOB), OUTSIDE + 50);
	nat_free(nat);
}

static void
a_pair_ends_with_the_last_session_of_its_host(void **state)
{
	struct nat *nat = pooled(&nat_rules_default, 2, 4096);
	uint32_t first;

	(void)state;
	first = out_at(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL).ip;
	nat_expire(nat, 302 * S);
	assert_int_equal(nat_stats(nat).mappings, 0);
	/* Nobody has any: it is as at the beginning. */
	assert_int_equal(
	    out_at(nat, udp(BOB, 5000, SERVER, 1), 302 * S, NULL).ip, first);
	assert_int_not_equal(
	    out_at(nat, udp(ALICE, 5000, SERVER, 1), 302 * S, NULL).ip, first);
	nat_free(nat);
}

static void
a_host_that_is_refused_is_forgotten(void **state)
{
	struct nat *nat = pooled(nat_preset(NAT_PRESET_CGN), 1, 4096);
	uint32_t blocks = nat_blocks(NAT_BLOCK_PORTS);
	enum reason why;

	(void)state;
	for (uint32_t i = 0; i < blocks; i++)
		assert_int_not_equal(
		    out(nat, udp(ALICE + i, 5000, SERVER, 1), 0, NULL), 0);
	for (uint32_t i = 0; i < 10000; i++)
		assert_int_equal(
		    out(nat, udp(ALICE + blocks + i, 5000, SERVER, 1), 0, &why),
		    0);
	assert_int_equal(why, DROP_NAT_NO_PORT);
	assert_int_equal(nat_stats(nat).mappings, blocks);
	nat_free(nat);
}

static void
rfc6888_req13_blocks_of_all_addresses_are_used(void **state)
{
	struct nat *nat = pooled(nat_preset(NAT_PRESET_CGN), NPOOL, 65536);
	uint32_t n = NPOOL * nat_blocks(NAT_BLOCK_PORTS);
	enum reason why;

	(void)state;
	for (uint32_t i = 0; i < n; i++)
		assert_int_not_equal(
		    out(nat, udp(ALICE + i, 5000, SERVER, 1), 0, NULL), 0);
	assert_int_equal(out(nat, udp(ALICE + n, 5000, SERVER, 1), 0, &why), 0);
	assert_int_equal(why, DROP_NAT_NO_PORT);
	nat_free(nat);
}

static void
rfc6888_req13_all_ports_of_all_addresses_are_used(void **state)
{
	const struct nat_rules rules = { .pooling = NAT_POOLING_ARBITRARY };
	struct nat *nat = pooled(&rules, 2, 200000);
	enum reason why;

	(void)state;
	for (uint32_t i = 0; i < 2 * PORTS; i++)
		assert_int_not_equal(
		    out(nat,
			udp(ALICE + i % 7, (uint16_t)(1024 + i / 7), SERVER, 1),
			0, NULL),
		    0);
	assert_int_equal(out(nat, udp(ALICE + 9, 5000, SERVER, 1), 0, &why), 0);
	assert_int_equal(why, DROP_NAT_NO_PORT);
	nat_free(nat);
}

/* Ports that follow on the last one, or keep the inside one, of 200 that a host
 * asks for one by one. */
static unsigned int
guessed(struct nat *nat)
{
	unsigned int n = 0;
	uint16_t last = 0;

	for (uint16_t i = 0; i < 200; i++) {
		uint16_t inside = (uint16_t)(40000 + i);
		uint16_t port =
		    out(nat, udp(ALICE, inside, SERVER, 1), 0, NULL);

		n += port == last + 1 || port == last + 2 || port == inside;
		last = port;
	}
	return n;
}

static void
rfc6888_req15_ports_are_hard_to_guess(void **state)
{
	struct nat_rules rules = { .ports = NAT_PORTS_RANDOM };
	struct nat *nat = pooled(&rules, 2, 4096);

	(void)state;
	assert_true(guessed(nat) < 5);
	nat_free(nat);
	/* And within a block. */
	nat = pooled(nat_preset(NAT_PRESET_CGN), 2, 4096);
	assert_true(guessed(nat) < 10);
	nat_free(nat);
}

/* ---- arbitrary ---- */

static void
arbitrary_pooling_uses_all_addresses_for_one_host(void **state)
{
	const struct nat_rules rules = { .pooling = NAT_POOLING_ARBITRARY };
	struct nat *nat = pooled(&rules, NPOOL, 4096);
	unsigned int n[256] = { 0 };

	(void)state;
	for (uint16_t i = 0; i < 1300; i++) {
		struct nat_hit hit = out_at(
		    nat, udp(ALICE, (uint16_t)(2000 + i), SERVER, 1), 0, NULL);

		assert_true(in_pool(hit.ip));
		assert_int_equal(hit.port, 2000 + i);
		n[hit.ip & 255]++;
	}
	for (int i = 0; i < NPOOL; i++)
		assert_in_range(n[pool[i] & 255], 50, 150);
	nat_free(nat);
}

static void
a_mapping_has_one_address_whatever_the_pooling(void **state)
{
	const struct nat_rules rules = { .pooling = NAT_POOLING_ARBITRARY };
	struct nat *nat = pooled(&rules, NPOOL, 4096);
	struct nat_hit first =
	    out_at(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);

	(void)state;
	for (uint16_t i = 0; i < 100; i++) {
		struct nat_hit hit =
		    out_at(nat, udp(ALICE, 5000, OTHER + i, 1), 0, NULL);

		assert_int_equal(hit.ip, first.ip);
		assert_int_equal(hit.port, first.port);
	}
	nat_free(nat);
}

static void
contiguous_ports_are_at_one_address(void **state)
{
	const struct nat_rules rules = { .pooling = NAT_POOLING_ARBITRARY,
		.ports = NAT_PORTS_CONTIGUOUS };
	struct nat *nat = pooled(&rules, NPOOL, 4096);

	(void)state;
	for (uint16_t i = 0; i < 100; i++) {
		uint16_t rtp = (uint16_t)(6000 + 4 * i);
		struct nat_hit a =
		    out_at(nat, udp(ALICE, rtp, SERVER, 1), 0, NULL);
		struct nat_hit b =
		    out_at(nat, udp(ALICE, rtp + 1, SERVER, 1), 0, NULL);

		assert_int_equal(a.ip, b.ip);
		assert_int_equal(a.port + 1, b.port);
	}
	nat_free(nat);
}

/* ---- from outside ---- */

static void
a_port_of_one_address_is_not_that_of_another(void **state)
{
	const struct nat_rules rules = { .filtering =
					     NAT_ENDPOINT_INDEPENDENT };
	struct nat *nat = pooled(&rules, 2, 4096);
	struct nat_hit alice =
	    out_at(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL);
	struct nat_hit bob = out_at(nat, udp(BOB, 5000, SERVER, 1), 0, NULL);
	struct nat_flow flow = udp(alice.ip, 5000, OTHER, 1);
	struct nat_hit hit;

	(void)state;
	/* Both keep their port, and towards the same end. */
	assert_int_equal(alice.port, 5000);
	assert_int_equal(bob.port, 5000);
	assert_int_equal(nat_in(nat, &flow, NULL, 60, 0, &hit), REASON_NAT_IN);
	assert_int_equal(hit.ip, ALICE);
	flow.ip = bob.ip;
	assert_int_equal(nat_in(nat, &flow, NULL, 60, 0, &hit), REASON_NAT_IN);
	assert_int_equal(hit.ip, BOB);
	assert_int_equal(
	    in_at(nat, OUTSIDE, 5000, OTHER, 1, 0), DROP_NAT_UNSOLICITED);
	assert_int_equal(
	    in_at(nat, OUTSIDE + 1, 5000, OTHER, 1, 0), DROP_NAT_UNSOLICITED);
	assert_true(nat_has_port(nat, bob.ip, IP_UDP, 5000));
	assert_false(nat_has_port(nat, OUTSIDE, IP_UDP, 5000));
	nat_free(nat);
}

static void
overloaded_ports_are_at_all_addresses(void **state)
{
	struct nat_rules rules = *nat_preset(NAT_PRESET_LINUX);
	struct nat *nat;

	(void)state;
	rules.pooling = NAT_POOLING_ARBITRARY;
	nat = pooled(&rules, 2, 4096);
	/* One remote end, more hosts with one port than addresses. */
	for (uint32_t i = 0; i < 1000; i++) {
		struct nat_hit hit =
		    out_at(nat, udp(ALICE + i, 5000, SERVER, 53), 0, NULL);
		struct nat_flow back = udp(hit.ip, hit.port, SERVER, 53);

		assert_true(in_pool(hit.ip));
		assert_int_equal(
		    nat_in(nat, &back, NULL, 60, 0, &hit), REASON_NAT_IN);
		assert_int_equal(hit.ip, ALICE + i);
	}
	nat_free(nat);
}

/* ---- changes ---- */

static void
who_has_an_address_is_paired_with_it_when_rules_begin_to_ask(void **state)
{
	struct nat_rules rules = { .pooling = NAT_POOLING_ARBITRARY };
	struct nat *nat = pooled(&rules, NPOOL, 4096);
	uint32_t first = out_at(nat, udp(ALICE, 5000, SERVER, 1), 0, NULL).ip;

	(void)state;
	rules.pooling = NAT_POOLING_PAIRED;
	assert_int_equal(nat_set_rules(nat, &rules, 0, NULL), 0);
	for (uint16_t i = 1; i < 50; i++)
		assert_int_equal(
		    out_at(nat, udp(ALICE, (uint16_t)(5000 + i), SERVER, 1), 0,
			NULL)
			.ip,
		    first);
	/* Others are paired with others first. */
	assert_int_not_equal(
	    out_at(nat, udp(BOB, 5000, SERVER, 1), 0, NULL).ip, first);
	rules.pooling = NAT_POOLING_ARBITRARY;
	assert_int_equal(nat_set_rules(nat, &rules, 0, NULL), 0);
	nat_expire(nat, 302 * S);
	assert_int_equal(nat_stats(nat).mappings, 0);
	nat_free(nat);
}

static void
blocks_want_pairs(void **state)
{
	const struct nat_rules rules = { .pooling = NAT_POOLING_ARBITRARY,
		.ports = NAT_PORTS_BLOCKS };
	struct err err = { "" };

	(void)state;
	assert_int_equal(nat_rules_check(&rules, &err), -EINVAL);
	assert_non_null(strstr(err.text, "pooling is not paired"));
}

#define T(f) cmocka_unit_test(f)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(addresses_are_found_in_any_order),
		T(an_address_twice_is_refused_with_a_sentence),
		T(rfc6888_req3_a_pool_has_any_shape_and_all_of_it_is_used),
		T(rfc4787_req2_a_host_has_one_address),
		T(rfc6888_req2_paired_for_all_protocols_together_by_default),
		T(rfc7857_s4_who_is_paired_with_an_address_without_ports_is_refused),
		T(rfc7857_s4_soft_pairing_takes_another_address_then),
		T(a_host_is_seen_at_the_address_that_its_packets_have),
		T(a_pair_ends_with_the_last_session_of_its_host),
		T(a_host_that_is_refused_is_forgotten),
		T(rfc6888_req13_blocks_of_all_addresses_are_used),
		T(rfc6888_req13_all_ports_of_all_addresses_are_used),
		T(rfc6888_req15_ports_are_hard_to_guess),
		T(arbitrary_pooling_uses_all_addresses_for_one_host),
		T(a_mapping_has_one_address_whatever_the_pooling),
		T(contiguous_ports_are_at_one_address),
		T(a_port_of_one_address_is_not_that_of_another),
		T(overloaded_ports_are_at_all_addresses),
		T(who_has_an_address_is_paired_with_it_when_rules_begin_to_ask),
		T(blocks_want_pairs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
