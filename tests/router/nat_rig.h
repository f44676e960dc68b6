/*
 * nat_rig.h - a rig with NAT, and what its tests ask of it over and over.
 */
#ifndef TESTS_ROUTER_NAT_RIG_H
#define TESTS_ROUTER_NAT_RIG_H

#include "tests/router/rig.h"

#define EI  NAT_ENDPOINT_INDEPENDENT
#define AD  NAT_ADDRESS_DEPENDENT
#define APD NAT_ADDRESS_AND_PORT_DEPENDENT
#define S   NS_PER_S

/* With options but for the outside port, which is set here. */
static inline struct rig *
start_nat(void **state, const struct router_nat_options *options)
{
	struct rig *rig = rig_new(0);
	struct router_nat_options o = *options;
	struct err err = { "" };

	*state = rig;
	o.outside = rig->peer[OUTSIDE].gw;
	assert_int_equal(router_set_nat(rig->router, &o, &err), 0);
	rig_warm(rig);
	return rig;
}

static inline struct rig *
start_rules(void **state, const struct nat_rules *rules)
{
	const struct router_nat_options o = { .rules = *rules };

	return start_nat(state, &o);
}

static inline struct rig *
start_as(void **state, enum nat_behaviour mapping, enum nat_behaviour filtering,
    uint32_t max)
{
	const struct router_nat_options o = { .rules.mapping = mapping,
		.rules.filtering = filtering,
		.rules.hairpin = true,
		.max_entries = max };

	return start_nat(state, &o);
}

static inline int
teardown(void **state)
{
	rig_free(*state);
	return 0;
}

/* The outside port that a packet of alice's side is given. */
static inline uint16_t
udp_port(
    struct rig *rig, uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	struct got g;
	enum reason reason;

	rig_clear(rig);
	reason = rig_udp(rig, INSIDE, src, sport, dst, dport);
	assert_true(reason == REASON_NAT_NEW || reason == REASON_NAT_OUT);
	g = rig_got(rig, OUTSIDE);
	assert_int_equal(g.ip.src, GW_OUTSIDE);
	assert_int_equal(g.ip.dst, dst);
	assert_int_equal(g.dport, dport);
	rig_clear(rig);
	return g.sport;
}

/* What becomes of a datagram from outside. */
static inline enum reason
udp_in(struct rig *rig, uint32_t src, uint16_t sport, uint16_t to)
{
	return rig_udp(rig, OUTSIDE, src, sport, GW_OUTSIDE, to);
}

static inline void
expect_in(struct rig *rig, uint32_t src, uint16_t sport, uint16_t to,
    uint32_t host, uint16_t port)
{
	struct got g;

	rig_clear(rig);
	assert_int_equal(udp_in(rig, src, sport, to), REASON_NAT_IN);
	g = rig_got(rig, INSIDE);
	assert_int_equal(g.ip.src, src);
	assert_int_equal(g.sport, sport);
	assert_int_equal(g.ip.dst, host);
	assert_int_equal(g.dport, port);
	rig_clear(rig);
}

static inline enum reason
tcp_out(struct rig *rig, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct form f = form(ALICE, 5000, SERVER, 80);

	f.flags = flags;
	f.seq = seq;
	f.ack = ack;
	f.data_bytes = 0;
	rig_clear(rig);
	return rig_form(rig, INSIDE, &f, IP_TCP, 0);
}

static inline enum reason
tcp_in(struct rig *rig, uint8_t flags, uint32_t seq, uint32_t ack)
{
	struct form f = form(SERVER, 80, GW_OUTSIDE, 5000);

	f.flags = flags;
	f.seq = seq;
	f.ack = ack;
	f.data_bytes = 0;
	rig_clear(rig);
	return rig_form(rig, OUTSIDE, &f, IP_TCP, 0);
}

static inline void
connect_tcp(struct rig *rig)
{
	assert_int_equal(tcp_out(rig, TCP_SYN, 100, 0), REASON_NAT_NEW);
	assert_int_equal(
	    tcp_in(rig, TCP_SYN | TCP_ACK, 900, 101), REASON_NAT_IN);
	assert_int_equal(tcp_out(rig, TCP_ACK, 101, 901), REASON_NAT_OUT);
}

static inline void
one_state(void *arg, const struct nat_row *row)
{
	*(const char **)arg = row->state;
}

/* The state of the only session, NULL: there is none. */
static inline const char *
state_of(const struct rig *rig)
{
	const char *state = NULL;

	router_each_nat(rig->router, one_state, &state);
	return state;
}

#endif
