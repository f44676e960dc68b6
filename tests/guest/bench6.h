/*
 * bench6.h - one stack with IPv6, and packets made by hand.
 */
#ifndef TESTS_GUEST_BENCH6_H
#define TESTS_GUEST_BENCH6_H

#include "tests/guest/wire.h"

#include "net/checksum.h"
#include "net/membership.h"
#include "net/mld.h"
#include "net/nd.h"
#include "net/ra.h"

#define SENT6_MAX 256

static const struct mac our_mac = { { 2, 0, 0, 0, 0, 1 } };
static const struct mac their_mac = { { 2, 0, 0, 0, 0, 2 } };
static const struct mac router_mac = { { 2, 0, 0, 0, 0, 9 } };

struct sent6 {
	struct eth eth;
	struct ip6 ip;
	size_t bytes; /* behind the IPv6 header */
	uint8_t payload[WIRE_MTU];
	uint64_t at_us;
};

struct bench6 {
	struct wire *wire;
	struct stack *stack;
	struct netif *nif;
	struct sent6 sent[SENT6_MAX];
	unsigned int nsent, taken, others; /* others: no IPv6 */
};

static inline struct ip6_addr
addr6(const char *text)
{
	struct ip6_addr addr;

	assert_true(ip6_read(&addr, text));
	return addr;
}

static inline void
bench6_sent(
    struct wire *wire, unsigned int from, const uint8_t *frame, size_t len)
{
	struct bench6 *b = wire->arg;
	struct cursor c = cursor(frame, len);
	struct sent6 *f = &b->sent[b->nsent];

	(void)from;
	assert_true(b->nsent < SENT6_MAX);
	assert_int_equal(eth_parse(&f->eth, &c), DROP_NONE);
	if (f->eth.type != ETH_IPV6) {
		b->others++;
		return;
	}
	assert_int_equal(ip6_parse(&f->ip, &c), DROP_NONE);
	assert_true(len - ETH_HEADER_BYTES <= WIRE_MTU);
	f->bytes = cur_left(&c);
	memcpy(f->payload, c.at, f->bytes);
	f->at_us = wire->now_us;
	b->nsent++;
}

/* ip6: what ipv6_configure() is told; NULL: nothing. */
static inline struct bench6 *
bench6_new(const char *ip6)
{
	struct bench6 *b = calloc(1, sizeof(*b));
	char text[200];

	assert_non_null(b);
	b->wire = wire_new(21);
	b->wire->delay_us = 0;
	b->wire->sent = bench6_sent;
	b->wire->arg = b;
	b->stack = wire_station(b->wire, 0, NULL);
	b->nif = b->wire->station[0]->nif;
	if (ip6 != NULL) {
		strcpy(text, ip6);
		assert_null(ipv6_configure(b->nif, text));
	}
	wire_round(b->wire);
	return b;
}

static inline int
bench6_free(void **state)
{
	struct bench6 *b = *state;

	wire_free(b->wire);
	free(b);
	return 0;
}

/* Forgets what was sent. */
static inline void
bench6_settle(struct bench6 *b, uint64_t us)
{
	wire_pass(b->wire, us);
	b->nsent = b->taken = 0;
}

static inline const struct sent6 *
heard6(struct bench6 *b)
{
	assert_true(b->taken < b->nsent);
	return &b->sent[b->taken++];
}

/* The next ICMPv6 message of that type, whatever comes before it; NULL: none. */
static inline const struct sent6 *
next6(struct bench6 *b, uint8_t type)
{
	while (b->taken < b->nsent) {
		const struct sent6 *f = heard6(b);
		const uint8_t *message = f->payload;

		if (f->ip.next == IP_HOP_BY_HOP)
			message += 8;
		if (*message == type)
			return f;
	}
	return NULL;
}

static inline unsigned int
count6(const struct bench6 *b, uint8_t type)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < b->nsent; i++)
		n += b->sent[i].payload[0] == type;
	return n;
}

/* A packet from mac; hop limit 0 is 64. */
static inline void
put6(struct bench6 *b, const struct mac *mac, const struct ip6 *given,
    const void *payload, size_t bytes)
{
	uint8_t frame[1600];
	struct writer w = writer(frame, sizeof(frame));
	struct eth eth = { our_mac, *mac, ETH_IPV6, 0, { { 0, 0 } } };
	struct ip6 ip = *given;

	if (ip6_is_multicast(&ip.dst))
		eth.dst = nd_group_mac(&ip.dst);
	ip.payload_bytes = (uint16_t)bytes;
	if (ip.hop_limit == 0)
		ip.hop_limit = 64;
	eth_write(&w, &eth);
	ip6_write(&w, &ip);
	wr_bytes(&w, payload, bytes);
	assert_false(w.overrun);
	netif_input(b->nif, frame, (size_t)(w.at - frame), 0);
	wire_round(b->wire);
}

/* A whole IPv6 packet, as the writers of net/ make them. */
static inline void
put_whole(struct bench6 *b, const struct mac *mac, const uint8_t *packet,
    size_t bytes)
{
	struct cursor c = cursor(packet, bytes);
	struct ip6 ip;

	assert_int_equal(ip6_parse(&ip, &c), DROP_NONE);
	put6(b, mac, &ip, c.at, cur_left(&c));
}

static inline void
put_nd(struct bench6 *b, const struct mac *mac, const struct nd_message *nd,
    const char *src, const char *dst)
{
	uint8_t packet[200];
	struct writer w = writer(packet, sizeof(packet));
	const struct ip6_addr from = addr6(src), to = addr6(dst);

	nd_message_write(&w, nd, &from, &to);
	put_whole(b, mac, packet, (size_t)(w.at - packet));
}

static inline void
put_ra(struct bench6 *b, const struct ra_message *ra)
{
	uint8_t packet[IP6_HEADER_BYTES + RA_MAX_BYTES];
	struct writer w = writer(packet, sizeof(packet));
	const struct ip6_addr from = addr6("fe80::9");

	ra_write(&w, ra, &from, &ip6_all_nodes);
	put_whole(b, &router_mac, packet, (size_t)(w.at - packet));
}

/* What most routers say. */
static inline struct ra_message
usual_ra(void)
{
	return (struct ra_message){ .hop_limit = 32,
		.lifetime_s = 1800,
		.mac = router_mac,
		.mtu_bytes = 1400,
		.prefix = { { { addr6("2001:db8:1::"), 64 }, true, true, 86400,
		    14400 } },
		.nprefixes = 1,
		.dns = { addr6("2001:db8:1::53") },
		.ndns = 1,
		.domain = "",
		.dns_s = 600 };
}

/* An ICMPv6 message with its sum. */
static inline void
put_icmp6(struct bench6 *b, const char *src, const char *dst,
    const struct icmp6 *icmp)
{
	uint8_t message[1500];
	struct writer w = writer(message, sizeof(message));
	const struct ip6 ip = {
		.next = IP_ICMP6, .src = addr6(src), .dst = addr6(dst)
	};

	icmp6_write(&w, icmp, &ip.src, &ip.dst);
	assert_false(w.overrun);
	put6(b, &their_mac, &ip, message, (size_t)(w.at - message));
}

/* They are known from here on. */
static inline void
meet(struct bench6 *b, const char *addr)
{
	const struct ip6_addr ip = addr6(addr);

	neigh_learn(neigh_add(b->nif, &ip), &their_mac, true);
}

#define DROPS6(reason) (b->nif->drops[reason])

#endif
