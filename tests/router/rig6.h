/*
 * rig6.h - the rig with IPv6, and packets for it.
 */
#ifndef TESTS_ROUTER_RIG6_H
#define TESTS_ROUTER_RIG6_H

#include "net/icmp6.h"
#include "net/ip6_chain.h"
#include "tests/router/rig.h"

/* 2001:db8:LINK::HOST */
static inline struct ip6_addr
rig_ip6(uint8_t link, uint16_t host)
{
	return (struct ip6_addr){ { 0x20, 1, 0xd, 0xb8, 0,
	    link, [14] = (uint8_t)(host >> 8), [15] = (uint8_t)host } };
}

static inline struct ip6_addr
addr6(const char *text)
{
	struct ip6_addr a;

	assert_true(ip6_read(&a, text));
	return a;
}

#define GW6     rig_ip6(1, 1)
#define ALICE6  rig_ip6(1, 10)
#define BOB6    rig_ip6(1, 11)
#define SERVER6 rig_ip6(2, 10)
#define CAROL6  rig_ip6(3, 10)

static inline struct rig *
rig6_new(uint32_t outside_mtu)
{
	return rig_make_with(outside_mtu, true, true, 0);
}

/* A packet; what is 0 is filled in by rig6_write(). */
struct form6 {
	struct ip6_addr src, dst;
	struct mac to; /* of the frame; the router's, or the group's */
	uint8_t protocol, hop_limit, type, code;
	uint16_t sport, dport;
	uint8_t flags;        /* TCP */
	uint32_t word;        /* ICMPv6 */
	const uint8_t *chain; /* extension headers; first is their type */
	uint8_t chain_bytes, first;
	const uint8_t *raw; /* the 8 bytes of another protocol's header */
	const uint8_t *data;
	size_t data_bytes;
};

static inline struct form6
form6(struct ip6_addr src, struct ip6_addr dst, uint8_t protocol)
{
	return (struct form6){ .src = src,
		.dst = dst,
		.protocol = protocol,
		.type = ICMP6_ECHO_REQUEST,
		.sport = 5000,
		.dport = 53,
		.hop_limit = 64,
		.data_bytes = 18 };
}

static inline void
rig6_write(struct pkt *pkt, const struct peer *peer, const struct form6 *f)
{
	static uint8_t zeros[FRAME_MAX_BYTES];
	const uint8_t *data = f->data != NULL ? f->data : zeros;
	struct writer w = writer(pkt->bytes, sizeof(pkt->bytes));
	struct eth eth = {
		.dst = f->to, .src = rig_mac6(&f->src), .type = ETH_IPV6
	};
	size_t l4 = f->protocol == IP_TCP ? TCP_HEADER_BYTES : 8;
	struct ip6 ip = { .payload_bytes =
			      (uint16_t)(f->chain_bytes + l4 + f->data_bytes),
		.next = f->chain_bytes > 0 ? f->first : f->protocol,
		.hop_limit = f->hop_limit,
		.src = f->src,
		.dst = f->dst };

	if (mac_is_zero(&eth.dst))
		eth.dst = ip6_is_multicast(&f->dst) ? nd_group_mac(&f->dst)
						    : peer->gw_mac;
	eth_write(&w, &eth);
	ip6_write(&w, &ip);
	wr_bytes(&w, f->chain, f->chain_bytes);
	if (f->protocol == IP_UDP) {
		struct udp udp = { .sport = f->sport,
			.dport = f->dport,
			.data = data,
			.data_bytes = f->data_bytes };

		udp6_write(&w, &udp, &f->src, &f->dst);
	} else if (f->protocol == IP_TCP) {
		struct tcp tcp = { .sport = f->sport,
			.dport = f->dport,
			.flags = f->flags,
			.seq = 100,
			.data = data,
			.data_bytes = f->data_bytes };

		tcp6_write(&w, &tcp, &f->src, &f->dst);
	} else if (f->raw != NULL) {
		wr_bytes(&w, f->raw, 8);
		wr_bytes(&w, data, f->data_bytes);
	} else {
		struct icmp6 icmp = { .type = f->type,
			.code = f->code,
			.word = f->word,
			.data = data,
			.data_bytes = f->data_bytes };

		icmp6_write(&w, &icmp, &f->src, &f->dst);
	}
	assert_false(w.overrun);
	pkt->len = (size_t)(w.at - pkt->bytes);
}

static inline enum reason
rig6_send(struct rig *rig, int from, const struct form6 *f)
{
	struct pkt *pkt = malloc(sizeof(*pkt));
	enum reason reason;

	rig6_write(pkt, &rig->peer[from], f);
	reason = rig_send(rig, from, pkt->bytes, pkt->len);
	free(pkt);
	return reason;
}

/* What a peer got last, read and with all its sums right. */
struct got6 {
	struct ip6 ip;
	struct ip6_chain chain;
	struct icmp6 icmp;
	struct udp udp;
	struct tcp tcp;
	const uint8_t *bytes; /* of the IPv6 packet */
	size_t len;
};

static inline struct got6
rig6_last(const struct rig *rig, int at)
{
	const struct peer *peer = &rig->peer[at];
	const struct seen *seen;
	struct got6 g = { .bytes = NULL };
	struct cursor c;

	assert_int_not_equal(peer->n, 0);
	seen = &peer->seen[peer->n - 1];
	assert_int_equal(get_be16(seen->data + 12), ETH_IPV6);
	g.bytes = seen->data + 14;
	g.len = seen->len - 14;
	c = cursor(g.bytes, g.len);
	assert_int_equal(ip6_parse(&g.ip, &c), REASON_NONE);
	assert_int_equal(ip6_chain_parse(&g.chain, &c, &g.ip), REASON_NONE);
	if (ip6_is_fragment(&g.chain))
		return g;
	if (g.chain.protocol == IP_ICMP6)
		assert_int_equal(
		    icmp6_parse(&g.icmp, &c, &g.ip.src, &g.ip.dst, false),
		    REASON_NONE);
	else if (g.chain.protocol == IP_UDP)
		assert_int_equal(
		    udp6_parse(&g.udp, &c, &g.ip, false), REASON_NONE);
	else if (g.chain.protocol == IP_TCP)
		assert_int_equal(
		    tcp6_parse(&g.tcp, &c, &g.ip, false), REASON_NONE);
	return g;
}

static inline void
assert_ip6(struct ip6_addr is, struct ip6_addr want)
{
	char a[IP6_TEXT_BYTES], b[IP6_TEXT_BYTES];

	assert_string_equal(ip6_text(a, &is), ip6_text(b, &want));
}

#endif
