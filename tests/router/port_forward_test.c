/*
 * Port forwards of a router.
 */
#include <errno.h>

#include "tests/router/nat_rig.h"

#define POOL IP(203, 0, 113, 5)

static struct rig *
start(void **state)
{
	static const uint32_t pool[] = { POOL };
	const struct router_nat_options o = {
		.pool = pool, .npool = 1, .rules = nat_rules_default
	};

	return start_nat(state, &o);
}

static struct router_forward
tcp(uint32_t out_ip, uint16_t out_port, uint32_t in_ip, uint16_t in_port)
{
	return (struct router_forward){ .protocol = IP_TCP,
		.out_ip = out_ip,
		.out_port = out_port,
		.in_ip = in_ip,
		.in_port = in_port };
}

static void
add(struct rig *rig, struct router_forward forward)
{
	struct err err = { "" };

	assert_int_equal(router_add_forward(rig->router, &forward, &err), 0);
}

static void
expect_refusal(struct rig *rig, struct router_forward forward, const char *why)
{
	struct err err = { "" };

	assert_true(router_add_forward(rig->router, &forward, &err) < 0);
	assert_non_null(strstr(err.text, why));
}

static void
anybody_reaches_a_forwarded_port_and_is_answered_by_it(void **state)
{
	static const uint32_t senders[] = { SERVER, SERVER2, FAR };
	struct rig *rig = start(state);
	struct got g;

	add(rig, tcp(0, 80, ALICE, 8080));
	for (int i = 0; i < 3; i++) {
		rig_clear(rig);
		assert_int_equal(rig_tcp(rig, OUTSIDE, senders[i], 1000,
				     GW_OUTSIDE, 80, TCP_SYN),
		    REASON_NAT_IN);
		g = rig_got(rig, INSIDE);
		assert_int_equal(g.ip.dst, ALICE);
		assert_int_equal(g.dport, 8080);
		rig_clear(rig);
		assert_int_equal(rig_tcp(rig, INSIDE, ALICE, 8080, senders[i],
				     1000, TCP_SYN | TCP_ACK),
		    REASON_NAT_OUT);
		g = rig_got(rig, OUTSIDE);
		assert_int_equal(g.ip.src, GW_OUTSIDE);
		assert_int_equal(g.sport, 80);
	}
	/* Not by another address, port or protocol. */
	assert_int_equal(rig_tcp(rig, OUTSIDE, SERVER, 1, POOL, 80, TCP_SYN),
	    DROP_NAT_UNSOLICITED);
	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, SERVER, 1, GW_OUTSIDE, 8080, TCP_SYN),
	    DROP_NAT_UNSOLICITED);
	assert_int_equal(rig_udp(rig, OUTSIDE, SERVER, 1, GW_OUTSIDE, 80),
	    DROP_NAT_UNSOLICITED);
}

static void
a_forward_lasts_however_silent_it_is(void **state)
{
	struct rig *rig = start(state);

	add(rig, tcp(POOL, 2222, BOB, 22));
	rig_wait(rig, 100000 * NS_PER_S);
	assert_int_equal(rig_tcp(rig, OUTSIDE, SERVER, 1, POOL, 2222, TCP_SYN),
	    REASON_NAT_IN);
}

static void
inside_hosts_reach_a_forwarded_port_by_hairpin(void **state)
{
	struct rig *rig = start(state);
	struct got g;

	add(rig, tcp(0, 80, ALICE, 8080));
	assert_int_equal(
	    rig_tcp(rig, INSIDE, BOB, 1000, GW_OUTSIDE, 80, TCP_SYN),
	    REASON_NAT_HAIRPIN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.dst, ALICE);
	assert_int_equal(g.dport, 8080);
	assert_int_equal(g.ip.src, POOL);
}

static void
nobody_else_gets_a_forwarded_port(void **state)
{
	struct rig *rig = start(state);

	add(rig, tcp(POOL, 5000, ALICE, 80));
	assert_int_equal(rig_tcp(rig, INSIDE, BOB, 5000, SERVER, 1, TCP_SYN),
	    REASON_NAT_NEW);
	assert_int_not_equal(rig_got(rig, OUTSIDE).sport, 5000);
}

static void
what_cannot_be_forwarded_is_refused_with_a_sentence(void **state)
{
	struct rig *rig = start(state);
	struct rig *plain;
	struct router_forward forward = tcp(0, 80, ALICE, 80);

	add(rig, forward);
	add(rig, forward); /* the same again is the same */
	expect_refusal(rig, tcp(0, 80, BOB, 80), "has another mapping");
	expect_refusal(rig, tcp(0, 81, ALICE, 80), "has another mapping");
	expect_refusal(rig, tcp(0, 90, SERVER, 80), "is not inside");
	expect_refusal(rig, tcp(SERVER2, 90, BOB, 80), "no address of the NAT");
	plain = rig_new(0);
	expect_refusal(plain, forward, "has no NAT to forward ports");
	rig_free(plain);
}

static void
a_forward_ends_when_it_is_told_to(void **state)
{
	struct rig *rig = start(state);
	struct router_forward forward = tcp(0, 80, ALICE, 8080);
	struct err err = { "" };

	add(rig, forward);
	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, SERVER, 1, GW_OUTSIDE, 80, TCP_SYN),
	    REASON_NAT_IN);
	forward.in_ip = 0;
	assert_int_equal(router_end_forward(rig->router, &forward, &err), 0);
	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, SERVER2, 1, GW_OUTSIDE, 80, TCP_SYN),
	    DROP_NAT_FILTERED);
	/* Who was there goes on. */
	assert_int_equal(
	    rig_tcp(rig, INSIDE, ALICE, 8080, SERVER, 1, TCP_SYN | TCP_ACK),
	    REASON_NAT_OUT);
	assert_int_equal(
	    router_end_forward(rig->router, &forward, &err), -ENOENT);
	assert_non_null(strstr(err.text, "no tcp port 203.0.113.1:80"));
}

static void
last_row(void *arg, const struct nat_row *row)
{
	*(struct nat_row *)arg = *row;
}

static void
a_forward_is_shown_with_why_it_exists(void **state)
{
	struct rig *rig = start(state);
	struct nat_row row = { .id = 1 };

	add(rig, tcp(0, 80, ALICE, 8080));
	router_each_nat(rig->router, last_row, &row);
	assert_int_equal(row.id, 0);
	assert_string_equal(row.state, "pinned");
	assert_string_equal(row.why, "the lab forwards the port");
	assert_int_equal(row.outside_ip, GW_OUTSIDE);
	assert_int_equal(row.outside_port, 80);
	assert_true(row.left_ns == UINT64_MAX);
}

static void
a_port_is_forwarded_beside_blocks(void **state)
{
	struct rig *rig = rig_new(0);
	struct router_nat_options o = { .outside = rig->peer[OUTSIDE].gw,
		.rules = *nat_preset(NAT_PRESET_CGN) };

	*state = rig;
	assert_int_equal(router_set_nat(rig->router, &o, NULL), 0);
	rig_warm(rig);
	add(rig, tcp(0, 80, ALICE, 80));
	add(rig, tcp(0, 65000, BOB, 80));
	assert_int_equal(
	    rig_tcp(rig, OUTSIDE, SERVER, 1, GW_OUTSIDE, 65000, TCP_SYN),
	    REASON_NAT_IN);
}

#define T(test) cmocka_unit_test_teardown(test, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(anybody_reaches_a_forwarded_port_and_is_answered_by_it),
		T(a_forward_lasts_however_silent_it_is),
		T(inside_hosts_reach_a_forwarded_port_by_hairpin),
		T(nobody_else_gets_a_forwarded_port),
		T(what_cannot_be_forwarded_is_refused_with_a_sentence),
		T(a_forward_ends_when_it_is_told_to),
		T(a_forward_is_shown_with_why_it_exists),
		T(a_port_is_forwarded_beside_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
