/*
 * rig.h - a router in virtual time with a recording peer at each port.
 *
 *    peer 0 -- gw.inside   10.0.0.1/24                    2001:db8:1::1/64
 *    peer 1 -- gw.outside  203.0.113.1/24                 2001:db8:2::1/64
 *                          default route via 203.0.113.254
 *    peer 2 -- gw.other    10.1.0.1/24                    2001:db8:3::1/64
 *
 * with IPv6 only from rig6_new() (rig6.h).
 *
 * A peer stands for all hosts of its link: it answers ARP and neighbour
 * solicitations for whomever it is asked about (unless it is told to be silent),
 * with a MAC address that follows from the IP address, and within the same call,
 * as built-in hosts do.
 */
#ifndef TESTS_ROUTER_RIG_H
#define TESTS_ROUTER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/arp.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/icmp.h"
#include "net/ip4.h"
#include "net/membership.h"
#include "net/nd.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "router/router.h"
#include "switch/offload.h"

#define IP(a, b, c, d)                                                    \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | \
	    (uint32_t)(d))

#define GW_INSIDE  IP(10, 0, 0, 1)
#define GW_OUTSIDE IP(203, 0, 113, 1)
#define GW_OTHER   IP(10, 1, 0, 1)
#define ALICE      IP(10, 0, 0, 10)
#define BOB        IP(10, 0, 0, 11)
#define CAROL      IP(10, 1, 0, 10)
#define SERVER     IP(203, 0, 113, 10)
#define SERVER2    IP(203, 0, 113, 11)
#define PROVIDER   IP(203, 0, 113, 254)
#define FAR        IP(198, 51, 100, 7)

#define RIG_FRAMES 4096

enum { INSIDE, OUTSIDE, OTHER, NPEERS };

struct seen {
	uint8_t *data; /* NULL with 0 bytes */
	size_t len;
	uint8_t flags;
	struct verdict cause;
};

struct rig;

struct peer {
	struct port port; /* first */
	struct rig *rig;
	struct port *gw; /* the router's end */
	struct mac gw_mac;
	bool silent;   /* does not answer ARP and solicitations */
	bool keep_arp; /* records those and answers, too */
	bool keep_mld; /* records what is said of groups */
	unsigned int arp_requests, solicits;
	unsigned int n;
	struct seen seen[RIG_FRAMES];
};

struct rig {
	struct loop *loop;
	struct router *router;
	struct node node;
	struct peer peer[NPEERS];
	struct verdict verdict; /* on the frame sent last */
};

static inline struct mac
rig_mac(uint32_t ip)
{
	struct mac mac = { { 2, 0, (uint8_t)(ip >> 24), (uint8_t)(ip >> 16),
	    (uint8_t)(ip >> 8), (uint8_t)ip } };

	return mac;
}

static inline void
rig_answer_arp(struct peer *peer, const struct frame *frame)
{
	struct cursor c = cursor(frame->data + 14, frame->len - 14);
	struct arp arp;
	struct eth eth = { .dst = peer->gw_mac, .type = ETH_ARP };
	uint8_t out[64];
	struct writer w = writer(out, sizeof(out));
	struct burst burst;

	if (arp_parse(&arp, &c) != REASON_NONE || arp.op != ARP_REQUEST ||
	    arp.sender_ip == arp.target_ip)
		return;
	peer->arp_requests++;
	if (peer->silent)
		return;
	arp.op = ARP_REPLY;
	arp.target_mac = arp.sender_mac;
	arp.sender_mac = rig_mac(arp.target_ip);
	uint32_t ip = arp.sender_ip;
	arp.sender_ip = arp.target_ip;
	arp.target_ip = ip;
	eth.src = arp.sender_mac;
	eth_write(&w, &eth);
	arp_write(&w, &arp);
	burst_clear(&burst);
	burst_add(&burst, out, (size_t)(w.at - out));
	port_send(&peer->port, &burst);
}

/* The MAC address of a host is made of its address's last bytes. */
static inline struct mac
rig_mac6(const struct ip6_addr *ip)
{
	return rig_mac(get_be32(ip->b + 12));
}

static inline bool
rig_is_nd(const struct frame *frame)
{
	return frame->len >= 14 + 40 + 4 &&
	    get_be16(frame->data + 12) == ETH_IPV6 &&
	    frame->data[14 + 6] == IP_ICMP6 && frame->data[54] >= ND_SOLICIT &&
	    frame->data[54] <= ND_ADVERTISE;
}

static inline bool
rig_is_mld(const struct frame *frame)
{
	return frame->len >= 14 + 48 + 8 &&
	    get_be16(frame->data + 12) == ETH_IPV6 &&
	    frame->data[14 + 6] == 0 && membership_is_mld(frame->data[14 + 48]);
}

static inline void
rig_answer_nd(struct peer *peer, const struct frame *frame)
{
	struct cursor c = cursor(frame->data + 14, frame->len - 14);
	struct ip6 ip;
	struct nd_message nd;
	struct eth eth = { .dst = peer->gw_mac, .type = ETH_IPV6 };
	uint8_t out[14 + 40 + ND_BYTES];
	struct writer w = writer(out, sizeof(out));
	struct burst burst;

	assert_int_equal(ip6_parse(&ip, &c), REASON_NONE);
	assert_int_equal(nd_message_parse(&nd, &c, &ip), REASON_NONE);
	if (nd.type != ND_SOLICIT)
		return;
	peer->solicits++;
	if (peer->silent)
		return;
	nd.type = ND_ADVERTISE;
	nd.flags = ND_SOLICITED | ND_OVERRIDE;
	nd.mac = rig_mac6(&nd.target);
	eth.src = nd.mac;
	eth_write(&w, &eth);
	nd_message_write(&w, &nd, &nd.target, &ip.src);
	burst_clear(&burst);
	burst_add(&burst, out, (size_t)(w.at - out));
	port_send(&peer->port, &burst);
}

static inline void
rig_take(struct port *port, struct burst *burst)
{
	struct peer *peer = (struct peer *)port;

	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];
		struct seen *seen = &peer->seen[peer->n];
		bool is_nd = rig_is_nd(frame);
		bool is_arp = is_nd ||
		    (frame->len >= 14 && get_be16(frame->data + 12) == ETH_ARP);

		node_judge(&peer->rig->node, frame, REASON_DELIVERED);
		assert_non_null(frame->cause);
		assert_non_null(frame->cause->node);
		if (is_nd)
			rig_answer_nd(peer, frame);
		else if (is_arp)
			rig_answer_arp(peer, frame);
		if (is_arp && !peer->keep_arp)
			continue;
		if (rig_is_mld(frame) && !peer->keep_mld)
			continue;
		if (peer->n == RIG_FRAMES)
			continue;
		seen->data = malloc(frame->len);
		frame_copy(seen->data, frame, 0, frame->len);
		seen->len = frame->len;
		seen->flags = frame->flags;
		seen->cause = *frame->cause;
		if (frame->flags & FRAME_CSUM &&
		    !(frame->flags & (FRAME_TSO4 | FRAME_TSO6)))
			offload_checksum(seen->data, frame);
		peer->n++;
	}
}

static const struct port_ops rig_ops = { .take = rig_take };

static inline void
rig_clear(struct rig *rig)
{
	for (int i = 0; i < NPEERS; i++) {
		struct peer *peer = &rig->peer[i];

		while (peer->n > 0)
			free(peer->seen[--peer->n].data);
		peer->arp_requests = peer->solicits = 0;
	}
}

static inline struct rig *
rig_make_with(uint32_t outside_mtu, bool has_default, bool six, uint8_t dad)
{
	static const struct {
		const char *name, *peer;
		uint32_t addr;
		struct ip6_net six;
	} ports[NPEERS] = {
		{ "gw.inside", "lan.inside", GW_INSIDE,
		    { { { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = 1 } }, 64 } },
		{ "gw.outside", "net.outside", GW_OUTSIDE,
		    { { { 0x20, 1, 0xd, 0xb8, 0, 2, [15] = 1 } }, 64 } },
		{ "gw.other", "lan.other", GW_OTHER,
		    { { { 0x20, 1, 0xd, 0xb8, 0, 3, [15] = 1 } }, 64 } },
	};
	struct rig *rig = calloc(1, sizeof(*rig));
	struct err err = { "" };

	rig->loop = loop_new(LOOP_VIRTUAL, &err);
	rig->router = router_new(rig->loop, "gw", 7, &err);
	node_init(&rig->node, "peers");
	for (int i = 0; i < NPEERS; i++) {
		struct router_port_options o = { .mac = rig_mac(ports[i].addr),
			.address = { ports[i].addr, 24 },
			.address6 = { ports[i].six },
			.naddresses6 = six ? 1 : 0,
			.no_dad = dad == 0,
			.dad_transmits = dad,
			.mtu_bytes = i == OUTSIDE ? outside_mtu : 0 };
		struct peer *peer = &rig->peer[i];

		port_init(&peer->port, &rig_ops, &rig->node, ports[i].peer);
		peer->rig = rig;
		peer->gw =
		    router_add_port(rig->router, ports[i].name, &o, &err);
		assert_non_null(peer->gw);
		peer->gw_mac = o.mac;
		cable_join(&peer->port, peer->gw);
	}
	if (has_default)
		assert_int_equal(router_add_route(rig->router,
				     (struct ip4_net){ 0, 0 }, PROVIDER, &err),
		    0);
	return rig;
}

static inline struct rig *
rig_make(uint32_t outside_mtu, bool has_default)
{
	return rig_make_with(outside_mtu, has_default, false, 0);
}

static inline struct rig *
rig_new(uint32_t outside_mtu)
{
	return rig_make(outside_mtu, true);
}

static inline struct rig *
rig_new_without_default(void)
{
	return rig_make(0, false);
}

static inline void
rig_free(struct rig *rig)
{
	rig_clear(rig);
	router_free(rig->router);
	loop_free(rig->loop);
	free(rig);
}

static inline void
rig_nat(struct rig *rig, enum nat_behaviour mapping,
    enum nat_behaviour filtering, uint32_t max)
{
	struct router_nat_options o = { .outside = rig->peer[OUTSIDE].gw,
		.rules.mapping = mapping,
		.rules.filtering = filtering,
		.max_entries = max,
		.rules.hairpin = true };
	struct err err = { "" };

	assert_int_equal(router_set_nat(rig->router, &o, &err), 0);
}

/* Lets time pass; what is due by then has run. */
static inline void
rig_stop(void *arg)
{
	loop_stop(arg);
}

static inline void
rig_wait(struct rig *rig, uint64_t ns)
{
	struct loop_timer timer;

	loop_timer_init(&timer, rig->loop, rig_stop, rig->loop);
	loop_timer_set(&timer, loop_now_ns(rig->loop) + ns);
	loop_run(rig->loop);
}

/* Every host there is says where it is, as if it had asked for the router. */
static inline void
rig_warm(struct rig *rig)
{
	static const struct {
		int at;
		uint32_t ip;
	} hosts[] = {
		{ INSIDE, ALICE },
		{ INSIDE, BOB },
		{ OUTSIDE, SERVER },
		{ OUTSIDE, SERVER2 },
		{ OUTSIDE, PROVIDER },
		{ OTHER, CAROL },
	};

	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		struct peer *peer = &rig->peer[hosts[i].at];
		struct eth eth = { .dst = mac_broadcast,
			.src = rig_mac(hosts[i].ip),
			.type = ETH_ARP };
		static const uint32_t gw[] = { GW_INSIDE, GW_OUTSIDE,
			GW_OTHER };
		struct arp arp = { .op = ARP_REQUEST,
			.sender_mac = eth.src,
			.sender_ip = hosts[i].ip,
			.target_ip = gw[hosts[i].at] };
		uint8_t out[64];
		struct writer w = writer(out, sizeof(out));
		struct burst burst;

		eth_write(&w, &eth);
		arp_write(&w, &arp);
		burst_clear(&burst);
		burst_add(&burst, out, (size_t)(w.at - out));
		port_send(&peer->port, &burst);
		assert_int_equal(
		    burst.frame[0].verdict.reason, REASON_DELIVERED);
	}
	rig_clear(rig);
}

/* ---- frames ---- */

struct pkt {
	uint8_t bytes[FRAME_MAX_BYTES];
	size_t len;
};

/* What is the same in most packets; fields may be changed before use. */
struct form {
	uint32_t src, dst;
	uint16_t sport, dport; /* ICMP: id in sport */
	uint8_t ttl, tos;
	uint16_t id, fragment;
	uint8_t flags; /* TCP */
	uint32_t seq, ack;
	size_t data_bytes;
	const uint8_t *options; /* IP */
	uint8_t option_bytes;
};

static inline struct form
form(uint32_t src, uint16_t sport, uint32_t dst, uint16_t dport)
{
	return (struct form){ .src = src,
		.dst = dst,
		.sport = sport,
		.dport = dport,
		.ttl = 64,
		.data_bytes = 18 };
}

static inline uint8_t
rig_byte(size_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) + 1);
}

/* The packet of f by protocol, from peer's link to the router. */
static inline void
pkt_make(struct pkt *pkt, const struct peer *peer, const struct form *f,
    uint8_t protocol, uint8_t icmp_type)
{
	static uint8_t data[FRAME_MAX_BYTES];
	struct writer w = writer(pkt->bytes, sizeof(pkt->bytes));
	struct eth eth = {
		.dst = peer->gw_mac, .src = rig_mac(f->src), .type = ETH_IPV4
	};
	size_t l4 = protocol == IP_TCP ? TCP_HEADER_BYTES : UDP_HEADER_BYTES;
	struct ip4 ip = { .ttl = f->ttl,
		.tos = f->tos,
		.protocol = protocol,
		.src = f->src,
		.dst = f->dst,
		.id = f->id,
		.fragment = f->fragment,
		.header_bytes = (uint8_t)(20 + f->option_bytes),
		.options = f->options,
		.total_bytes =
		    (uint16_t)(20 + f->option_bytes + l4 + f->data_bytes) };

	for (size_t i = 0; i < f->data_bytes; i++)
		data[i] = rig_byte(i);
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	if (protocol == IP_UDP) {
		struct udp udp = { .sport = f->sport,
			.dport = f->dport,
			.data = data,
			.data_bytes = f->data_bytes };

		udp_write(&w, &udp, f->src, f->dst);
	} else if (protocol == IP_TCP) {
		struct tcp tcp = { .sport = f->sport,
			.dport = f->dport,
			.seq = f->seq,
			.ack = f->ack,
			.flags = f->flags,
			.window = 0x2000,
			.data = data,
			.data_bytes = f->data_bytes };

		tcp_write(&w, &tcp, f->src, f->dst);
	} else {
		struct icmp icmp = { .type = icmp_type,
			.data = data,
			.data_bytes = f->data_bytes };

		icmp.echo.id = f->sport;
		icmp.echo.seq = 1;
		icmp_write(&w, &icmp);
	}
	assert_false(w.overrun);
	pkt->len = (size_t)(w.at - pkt->bytes);
}

static inline enum reason
rig_send(struct rig *rig, int from, const void *data, size_t len)
{
	struct burst burst;
	/* Its own piece of memory, so that reads beyond it are found. */
	uint8_t *copy = malloc(len);

	memcpy(copy, data, len);
	burst_clear(&burst);
	burst_add(&burst, copy, len);
	port_send(&rig->peer[from].port, &burst);
	rig->verdict = burst.frame[0].verdict;
	free(copy);
	assert_int_not_equal(rig->verdict.reason, REASON_NONE);
	assert_ptr_equal(rig->verdict.node, router_node(rig->router));
	return (enum reason)rig->verdict.reason;
}

static inline enum reason
rig_form(struct rig *rig, int from, const struct form *f, uint8_t protocol,
    uint8_t icmp_type)
{
	struct pkt *pkt = malloc(sizeof(*pkt));
	enum reason reason;

	pkt_make(pkt, &rig->peer[from], f, protocol, icmp_type);
	reason = rig_send(rig, from, pkt->bytes, pkt->len);
	free(pkt);
	return reason;
}

static inline enum reason
rig_udp(struct rig *rig, int from, uint32_t src, uint16_t sport, uint32_t dst,
    uint16_t dport)
{
	struct form f = form(src, sport, dst, dport);

	return rig_form(rig, from, &f, IP_UDP, 0);
}

static inline enum reason
rig_tcp(struct rig *rig, int from, uint32_t src, uint16_t sport, uint32_t dst,
    uint16_t dport, uint8_t flags)
{
	struct form f = form(src, sport, dst, dport);

	f.flags = flags;
	f.data_bytes = 0;
	return rig_form(rig, from, &f, IP_TCP, 0);
}

static inline enum reason
rig_echo(struct rig *rig, int from, uint32_t src, uint32_t dst, uint16_t id,
    uint8_t type)
{
	struct form f = form(src, id, dst, 0);

	return rig_form(rig, from, &f, IP_ICMP, type);
}

/* ---- what came ---- */

/* A packet that a peer saw, taken apart.  All of its checksums are right. */
struct got {
	struct eth eth;
	struct ip4 ip;
	struct udp udp;
	struct tcp tcp;
	struct icmp icmp;
	uint16_t sport, dport; /* ICMP echo: the id, twice */
	const struct seen *seen;
};

static inline struct got
got_of(const struct seen *seen)
{
	struct got g = { .seen = seen };
	struct cursor c = cursor(seen->data, seen->len);
	bool trusted = (seen->flags & FRAME_TSO4) != 0;

	assert_int_equal(eth_parse(&g.eth, &c), REASON_NONE);
	assert_int_equal(g.eth.type, ETH_IPV4);
	assert_int_equal(ip4_parse(&g.ip, &c), REASON_NONE);
	assert_int_equal(seen->len, 14 + g.ip.total_bytes);
	if (ip4_is_fragment(&g.ip))
		return g;
	switch (g.ip.protocol) {
	case IP_UDP:
		assert_int_equal(
		    udp_parse(&g.udp, &c, &g.ip, trusted), REASON_NONE);
		g.sport = g.udp.sport;
		g.dport = g.udp.dport;
		break;
	case IP_TCP:
		assert_int_equal(
		    tcp_parse(&g.tcp, &c, &g.ip, trusted), REASON_NONE);
		g.sport = g.tcp.sport;
		g.dport = g.tcp.dport;
		break;
	case IP_ICMP:
		assert_int_equal(icmp_parse(&g.icmp, &c), REASON_NONE);
		g.sport = g.dport = g.icmp.echo.id;
		break;
	default: break;
	}
	return g;
}

/* The only packet that a peer saw since rig_clear(). */
static inline struct got
rig_got(struct rig *rig, int at)
{
	assert_int_equal(rig->peer[at].n, 1);
	return got_of(&rig->peer[at].seen[0]);
}

/* The packet quoted in an ICMP error; only 8 bytes of transport are read. */
static inline struct got
got_quote(const struct got *error)
{
	struct got g = { .seen = error->seen };
	struct cursor c = cursor(error->icmp.data, error->icmp.data_bytes);

	assert_int_equal(ip4_parse_quoted(&g.ip, &c), REASON_NONE);
	g.sport = cur_be16(&c);
	g.dport = cur_be16(&c);
	if (g.ip.protocol == IP_ICMP) {
		g.sport = g.dport = cur_be16(&c);
	}
	assert_false(c.overrun);
	return g;
}

/* An ICMP error about the packet that begins at quote, on its way to gw. */
static inline enum reason
rig_error(struct rig *rig, int from, uint32_t src, uint32_t dst, uint8_t type,
    uint8_t code, const uint8_t *quote, size_t quote_bytes)
{
	uint8_t bytes[2048];
	struct writer w = writer(bytes, sizeof(bytes));
	struct eth eth = { .dst = rig->peer[from].gw_mac,
		.src = rig_mac(src),
		.type = ETH_IPV4 };
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_ICMP,
		.src = src,
		.dst = dst,
		.total_bytes = (uint16_t)(28 + quote_bytes) };
	struct icmp icmp = { .type = type,
		.code = code,
		.data = quote,
		.data_bytes = quote_bytes };

	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	icmp_write(&w, &icmp);
	assert_false(w.overrun);
	return rig_send(rig, from, bytes, (size_t)(w.at - bytes));
}

/* An ARP packet on its way to gw. */
static inline enum reason
rig_arp(struct rig *rig, int at, struct arp arp, bool broadcast)
{
	uint8_t out[64];
	struct writer w = writer(out, sizeof(out));
	struct eth eth = { .src = arp.sender_mac, .type = ETH_ARP };

	eth.dst = broadcast ? mac_broadcast : rig->peer[at].gw_mac;
	if (mac_is_group(&eth.src))
		eth.src = rig_mac(ALICE);
	eth_write(&w, &eth);
	arp_write(&w, &arp);
	return rig_send(rig, at, out, (size_t)(w.at - out));
}

static inline struct arp
got_arp(const struct seen *seen)
{
	struct cursor c = cursor(seen->data + 14, seen->len - 14);
	struct arp arp;

	assert_int_equal(get_be16(seen->data + 12), ETH_ARP);
	assert_int_equal(arp_parse(&arp, &c), REASON_NONE);
	return arp;
}

/* The first bytes of the packet that left last, as its receiver quotes it. */
static inline size_t
got_to_quote(const struct rig *rig, int at, uint8_t *quote)
{
	const struct seen *seen = &rig->peer[at].seen[rig->peer[at].n - 1];
	size_t n = seen->len - 14 < 548 ? seen->len - 14 : 548;

	memcpy(quote, seen->data + 14, n);
	return n;
}

#endif
