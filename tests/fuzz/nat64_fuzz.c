/* libs: router switch net base */
/*
 * A router with NAT64 between a link of both families and one of IPv4 alone,
 * fed frames that are nearly right: UDP, TCP, echoes and errors about what was
 * sent, in fragments, with extension headers and offloads, and with a few bytes
 * at random.  Time goes on by random steps; neighbours answer or not.
 *
 * What must hold: each frame gets one verdict, which is counted; what leaves is
 * whole, and its checksums are right if those of all that came were; nothing
 * leaves by the outer port but from its address; and when all has expired, as
 * many hosts have a place as ever.
 */
#include <assert.h>
#include <stdlib.h>

#include "net/arp.h"
#include "net/checksum.h"
#include "net/eth.h"
#include "net/icmp.h"
#include "net/icmp6.h"
#include "net/ip4.h"
#include "net/ip64.h"
#include "net/nd.h"
#include "net/siit.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "router/router.h"
#include "tests/fuzz/router_rig.h"

#define IP(a, b, c, d)                                                    \
	((uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | \
	    (uint32_t)(d))
#define ENTRIES 6

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint32_t gw_ip[NLINKS] = { IP(10, 0, 0, 1), IP(203, 0, 113, 1) };

static struct {
	struct ip64_prefix prefix;
	uint8_t last[NLINKS][1500]; /* the packet that came last, to quote it */
	size_t last_len[NLINKS];
	bool sealed; /* all that went in had right checksums */
	bool answer;
} f;

static struct ip6_addr
host(uint8_t n)
{
	return (struct ip6_addr){ { 0x20, 1, 0xd, 0xb8, 0, 1, [15] = n } };
}

static void
send_bytes(int from, uint8_t *out, const struct writer *w)
{
	size_t len = (size_t)(w->at - out);

	assert(!w->overrun);
	send_frame(from,
	    (struct frame){
		.data = out, .len = (uint32_t)len, .head = (uint32_t)len });
}

/* ---- what comes out ---- */

static void
answer_arp(const struct link *link, struct cursor c)
{
	uint8_t out[42];
	struct writer w = writer(out, sizeof(out));
	struct eth eth = { .dst = gw_mac[link->number], .type = ETH_ARP };
	struct arp arp;
	uint32_t ip;

	assert(arp_parse(&arp, &c) == REASON_NONE);
	if (arp.op != ARP_REQUEST || arp.sender_ip == arp.target_ip)
		return;
	ip = arp.sender_ip;
	arp.op = ARP_REPLY;
	arp.target_mac = arp.sender_mac;
	arp.sender_mac =
	    (struct mac){ { 2, 1, 0, 0, 0, (uint8_t)arp.target_ip } };
	arp.sender_ip = arp.target_ip;
	arp.target_ip = ip;
	eth.src = arp.sender_mac;
	eth_write(&w, &eth);
	arp_write(&w, &arp);
	send_bytes(link->number, out, &w);
}

static void
answer_nd(const struct link *link, const struct ip6 *ip, struct cursor c)
{
	struct nd_message nd;
	struct eth eth = { .dst = gw_mac[link->number], .type = ETH_IPV6 };
	uint8_t out[14 + 40 + ND_BYTES];
	struct writer w = writer(out, sizeof(out));

	if (nd_message_parse(&nd, &c, ip) != REASON_NONE ||
	    nd.type != ND_SOLICIT)
		return;
	nd.type = ND_ADVERTISE;
	nd.flags = ND_SOLICITED | ND_OVERRIDE;
	nd.mac = (struct mac){ { 2, 2, 0, 0, 0, nd.target.b[15] } };
	eth.src = nd.mac;
	eth_write(&w, &eth);
	nd_message_write(&w, &nd, &nd.target, &ip->src);
	send_bytes(link->number, out, &w);
}

static uint32_t
pseudo6(const struct siit6 *p)
{
	return csum_pseudo6(&p->ip.src, &p->ip.dst, p->protocol,
	    (uint32_t)siit6_payload_bytes(p));
}

static void
check_transport(uint8_t protocol, uint32_t pseudo, const uint8_t *l4, size_t n)
{
	if (!f.sealed)
		return;
	if (protocol == IP_UDP && get_be16(l4 + UDP_OFF_CHECKSUM) == 0)
		return;
	if (protocol == IP_TCP || protocol == IP_UDP || protocol == IP_ICMP ||
	    protocol == IP_ICMP6)
		assert(csum_fold(csum_add_bytes(pseudo, l4, n)) == 0xffff);
}

static void
check_ip4(
    const struct link *link, const struct frame *frame, const uint8_t *bytes)
{
	struct cursor c = cursor(bytes + 14, frame->len - 14);
	struct ip4 ip;

	assert(ip4_parse(&ip, &c) == REASON_NONE);
	assert(frame->len == (size_t)14 + ip.total_bytes);
	assert(ip.src >> 24 != 0 && ip.dst >> 24 != 0);
	if (link->number == OUTSIDE)
		assert(ip.src == gw_ip[OUTSIDE]);
	if (frame->flags & FRAME_CSUM)
		assert(frame->csum_start == (size_t)14 + ip.header_bytes);
	else if (!ip4_is_fragment(&ip))
		check_transport(ip.protocol,
		    ip.protocol == IP_ICMP
			? 0
			: csum_pseudo4(ip.src, ip.dst, ip.protocol,
			      (uint16_t)cur_left(&c)),
		    c.at, cur_left(&c));
}

static void
check_ip6(
    const struct link *link, const struct frame *frame, const uint8_t *bytes)
{
	struct siit6 p;
	enum reason reason = siit6_read(&p, bytes + 14, frame->len - 14);
	const uint8_t *l4 = bytes + 14 + p.header_bytes;
	uint32_t ip4;

	assert(reason == REASON_NONE);
	assert(link->number == INSIDE);
	assert(frame->len == (size_t)54 + p.ip.payload_bytes);
	assert(!ip6_to_ip4(&ip4, &p.ip.dst) && !ip6_is_zero(&p.ip.src));
	assert(!ip64_has(&f.prefix, &p.ip.dst));
	if (frame->flags & FRAME_CSUM)
		assert(frame->csum_start == 54);
	else if (!siit6_is_fragment(&p))
		check_transport(
		    p.protocol, pseudo6(&p), l4, siit6_payload_bytes(&p));
	if (p.protocol == IP_ICMP6 && l4[0] == ND_SOLICIT && f.answer)
		answer_nd(link, &p.ip, cursor(l4, siit6_payload_bytes(&p)));
}

static void
check_frame(const struct link *link, const struct frame *frame)
{
	static uint8_t all[FRAME_MAX_BYTES];
	uint8_t *bytes = malloc(frame->len);
	uint16_t type;

	assert(frame->cause != NULL && frame->cause->node != NULL);
	assert(frame->len <= sizeof(all));
	frame_copy(bytes, frame, 0, frame->len);
	type = get_be16(bytes + 12);
	if (type == ETH_ARP && f.answer)
		answer_arp(link, cursor(bytes + 14, frame->len - 14));
	else if (type == ETH_IPV4)
		check_ip4(link, frame, bytes);
	else if (type == ETH_IPV6)
		check_ip6(link, frame, bytes);
	if (type != ETH_ARP && !(frame->flags & FRAME_CSUM)) {
		f.last_len[link->number] = frame->len - 14;
		if (f.last_len[link->number] > sizeof(f.last[link->number]))
			f.last_len[link->number] = sizeof(f.last[link->number]);
		memcpy(
		    f.last[link->number], bytes + 14, f.last_len[link->number]);
	}
	free(bytes);
}

static void
take(struct port *port, struct burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++) {
		node_judge(&rig.peers, &burst->frame[i], REASON_DELIVERED);
		check_frame((const struct link *)port, &burst->frame[i]);
	}
}

static const struct port_ops ops = { .take = take };

/* ---- what goes in ---- */

static uint16_t
port_number(void)
{
	static const uint16_t known[] = { 5000, 5001, 53, 80 };

	return known[byte() % 4];
}

static uint32_t
remote(void)
{
	static const uint32_t known[] = { IP(203, 0, 113, 10),
		IP(203, 0, 113, 11), IP(203, 0, 113, 1), IP(198, 51, 100, 7),
		IP(10, 0, 0, 10), IP(172, 16, 0, 1), 0, IP(10, 0, 0, 1) };
	uint8_t b = byte();

	return known[b % (b < 160 ? 4 : 8)];
}

/* A transport header and its data, without a checksum that is right.  Returns
 * the bytes. */
static size_t
write_transport(struct writer *w, uint8_t protocol, const struct link *to_quote)
{
	const uint8_t *from = w->at;
	size_t bytes = (size_t)byte() * (byte() & 1 ? 1 : 9);
	uint8_t type;

	if (protocol == IP_UDP || protocol == IP_TCP) {
		wr_be16(w, port_number());
		wr_be16(w, port_number());
	}
	if (protocol == IP_UDP) {
		wr_be16(w, (uint16_t)(8 + bytes));
		wr_be16(w, 0);
	} else if (protocol == IP_TCP) {
		wr_be32(w, byte());
		wr_be32(w, byte());
		wr_u8(w, 0x50);
		wr_u8(w, byte());
		wr_be16(w, 1000);
		wr_be32(w, 0);
	} else {
		static const uint8_t types[2][8] = {
			{ 8, 0, 3, 11, 12, 3, 4, 13 },
			{ 128, 129, 1, 3, 4, 2, 135, 200 },
		};
		unsigned int i = byte() % 8u;

		type = types[protocol == IP_ICMP6][i];
		wr_u8(w, type);
		wr_u8(w, byte() % 8);
		wr_be16(w, 0);
		wr_be16(w, byte() % 4);
		wr_be16(w, (uint16_t)(byte() * 8));
		if (i >= 2 && i < 6) {
			bytes = f.last_len[to_quote->number];
			if (byte() & 1 && bytes > 60)
				bytes = 60;
			wr_bytes(w, f.last[to_quote->number], bytes);
			return (size_t)(w->at - from);
		}
	}
	wr_zeros(w, bytes);
	return (size_t)(w->at - from);
}

static int
check_at(uint8_t protocol)
{
	switch (protocol) {
	case IP_TCP: return TCP_OFF_CHECKSUM;
	case IP_UDP: return UDP_OFF_CHECKSUM;
	case IP_ICMP:
	case IP_ICMP6: return ICMP_OFF_CHECKSUM;
	default: return -1;
	}
}

static void
seal(uint8_t protocol, uint32_t pseudo, uint8_t *l4, size_t bytes)
{
	int at = check_at(protocol);
	uint16_t sum;

	if (at < 0)
		return;
	sum = csum_finish(csum_add_bytes(pseudo, l4, bytes));
	put_be16(l4 + at, sum == 0 ? 0xffff : sum);
}

/* A piece of what is at l4: where it begins, and how long it is. */
static size_t
cut(uint8_t *l4, size_t bytes, uint16_t *offset, bool *more)
{
	size_t at = (size_t)(byte() & 15) * 8;

	*more = byte() & 1;
	if (at >= bytes)
		at = 0;
	bytes -= at;
	memmove(l4, l4 + at, bytes);
	*offset = (uint16_t)at;
	if (*more && bytes >= 16)
		bytes = (bytes / 2) & ~(size_t)7;
	else
		*more = false;
	return bytes;
}

static size_t
make6(uint8_t *out, size_t room)
{
	static const uint8_t protocols[] = { IP_UDP, IP_TCP, IP_ICMP6, IP_ICMP6,
		IP_UDP, 1, 47, IP_ICMP6 };
	uint8_t shape = byte(), protocol = protocols[byte() % 8];
	struct writer w = writer(out, room), t;
	uint8_t l4[4000], chain[16];
	size_t bytes, nchain = 0;
	struct eth eth = { .dst = gw_mac[INSIDE], .type = ETH_IPV6 };
	struct ip6 ip = { .next = protocol,
		.hop_limit = shape & 1 ? 64 : byte() % 4,
		.src = host((uint8_t)(10 + byte() % 12)) };

	ip.dst = shape & 2 ? ip64_embed(&f.prefix, remote())
			   : ip64_embed(&f.prefix, IP(203, 0, 113, 10));
	eth.src = (struct mac){ { 2, 2, 0, 0, 0, ip.src.b[15] } };
	t = writer(l4, sizeof(l4));
	bytes = write_transport(&t, protocol, &rig.link[INSIDE]);
	seal(protocol,
	    csum_pseudo6(&ip.src, &ip.dst, protocol, (uint32_t)bytes), l4,
	    bytes);
	if ((shape & 0xc) == 0xc) {
		uint16_t offset;
		bool more;

		bytes = cut(l4, bytes, &offset, &more);
		memset(chain, 0, 8);
		chain[0] = protocol;
		put_be16(chain + 2, (uint16_t)(offset | more));
		chain[7] = byte() % 4;
		nchain = 8;
		ip.next = IP_FRAGMENT;
	} else if ((shape & 0x30) == 0x30) {
		memset(chain, 0, 8);
		chain[0] = protocol;
		chain[3] = shape & 0x40 ? 1 : 0;
		nchain = 8;
		ip.next = shape & 0x80 ? 43 : 60;
	}
	ip.payload_bytes = (uint16_t)(nchain + bytes);
	eth_write(&w, &eth);
	ip6_write(&w, &ip);
	wr_bytes(&w, chain, nchain);
	wr_bytes(&w, l4, bytes);
	return w.overrun ? 0 : (size_t)(w.at - out);
}

static size_t
make4(uint8_t *out, size_t room, int from)
{
	static const uint8_t protocols[] = { IP_UDP, IP_TCP, IP_ICMP, IP_ICMP,
		IP_UDP, 58, 43, IP_ICMP };
	uint8_t shape = byte(), options[8] = { 1, 7, 3, 4 };
	struct writer w = writer(out, room), t;
	uint8_t l4[4000];
	size_t bytes;
	struct eth eth = { .dst = gw_mac[from], .type = ETH_IPV4 };
	struct ip4 ip = { .ttl = shape & 1 ? 64 : byte() % 4,
		.protocol = protocols[byte() % 8],
		.src = from == INSIDE ? IP(10, 0, 0, 10) : remote(),
		.dst = from == OUTSIDE || shape & 2 ? gw_ip[OUTSIDE] : remote(),
		.id = byte() % 4,
		.header_bytes = 20,
		.options = options };

	eth.src = (struct mac){ { 2, 1, 0, 0, 0, (uint8_t)ip.src } };
	t = writer(l4, sizeof(l4));
	bytes = write_transport(&t, ip.protocol, &rig.link[from]);
	if (!(shape & 4) || ip.protocol != IP_UDP)
		seal(ip.protocol,
		    ip.protocol == IP_ICMP ? 0
					   : csum_pseudo4(ip.src, ip.dst,
						 ip.protocol, (uint16_t)bytes),
		    l4, bytes);
	if (shape & 8)
		ip.fragment = IP4_DF;
	if ((shape & 0x30) == 0x30) {
		uint16_t offset;
		bool more;

		bytes = cut(l4, bytes, &offset, &more);
		ip.offset_bytes = offset;
		ip.fragment |= more ? IP4_MF : 0;
	}
	if ((shape & 0xc0) == 0xc0)
		ip.header_bytes = 28;
	ip.total_bytes = (uint16_t)(ip.header_bytes + bytes);
	eth_write(&w, &eth);
	ip4_write(&w, &ip);
	wr_bytes(&w, l4, bytes);
	return w.overrun ? 0 : (size_t)(w.at - out);
}

/* Leaves to the router what an offload leaves undone. */
static void
offload(struct frame *frame, uint8_t *bytes)
{
	bool six = get_be16(bytes + 12) == ETH_IPV6;
	uint8_t next = six ? bytes[14 + 6] : bytes[14 + IP4_OFF_PROTOCOL];
	uint16_t l4 = (uint16_t)(six ? 54 : 14 + (bytes[14] & 0xf) * 4);
	uint32_t sum;
	size_t n = frame->len - l4;
	struct ip6_addr src, dst;

	if (byte() < 200 || (next != IP_TCP && next != IP_UDP) ||
	    (!six && get_be16(bytes + 14 + IP4_OFF_FRAGMENT) & 0x3fff))
		return;
	if (six) {
		memcpy(src.b, bytes + 22, 16);
		memcpy(dst.b, bytes + 38, 16);
		sum = csum_pseudo6(&src, &dst, next, (uint32_t)n);
	} else
		sum = csum_pseudo4(get_be32(bytes + 26), get_be32(bytes + 30),
		    next, (uint16_t)n);
	frame->flags = FRAME_CSUM;
	frame->csum_start = l4;
	frame->csum_offset = next == IP_TCP ? 16 : 6;
	put_be16(bytes + l4 + frame->csum_offset, csum_fold(sum));
	if (next == IP_TCP && byte() & 1) {
		frame->flags |= six ? FRAME_TSO6 : FRAME_TSO4;
		frame->header_bytes = (uint16_t)(l4 + 20);
		frame->gso_bytes = (uint16_t)(1 + byte() * 6);
	}
}

static void
packet_in(int from, bool six)
{
	uint8_t bytes[5000];
	size_t len = six ? make6(bytes, sizeof(bytes))
			 : make4(bytes, sizeof(bytes), from);
	uint8_t flips = byte();
	struct frame frame = { .data = NULL };
	struct iovec tail[1];
	uint8_t *copy;

	if (len == 0)
		return;
	for (; flips >= 250 && flips < 255; flips++) {
		bytes[cur_be16(&rig.in) % len] ^= byte();
		f.sealed = false;
	}
	copy = malloc(len);
	frame = (struct frame){
		.data = copy, .len = (uint32_t)len, .head = (uint32_t)len
	};
	if (f.sealed)
		offload(&frame, bytes);
	memcpy(copy, bytes, len);
	if (len > 300 && byte() & 1) {
		frame.head = 256;
		frame.ntail = 1;
		frame.tail = tail;
		tail[0] = (struct iovec){ copy + 256, len - 256 };
	}
	send_frame(from, frame);
	free(copy);
}

/* ---- before and after ---- */

static void
start(uint8_t options)
{
	static const uint8_t bits[] = { 32, 40, 48, 56, 64, 96, 96, 96 };
	struct router_nat_options nat = { .rules.mapping = options % 3,
		.rules.filtering = options / 3 % 3,
		.rules.hairpin = options & 0x40,
		.rules.host_sessions = options & 0x20 ? 2 : 0,
		.max_entries = ENTRIES };

	memset(&rig.link, 0, sizeof(rig.link));
	f.answer = true;
	f.sealed = true;
	f.prefix = ip64_well_known;
	if (options & 0x10)
		f.prefix = (struct ip64_prefix){ { { 0x20, 1, 0xd, 0xb9 } },
			bits[byte() % 8] };
	nat.nat64 = f.prefix;
	rig_start();
	for (int i = 0; i < NLINKS; i++) {
		struct router_port_options o = { .mac = gw_mac[i],
			.address = { gw_ip[i], 24 },
			.address6 = { { host(1), 64 } },
			.naddresses6 = i == INSIDE,
			.no_dad = true,
			.mtu_bytes = i == INSIDE && options & 0x80 ? 1280
			    : i == OUTSIDE && options & 8          ? 600
								   : 0 };
		struct port *port = rig_link(i, &o, &ops);

		if (i == OUTSIDE)
			nat.outside = port;
	}
	router_add_route(
	    rig.router, (struct ip4_net){ 0, 0 }, IP(203, 0, 113, 254), NULL);
	assert(router_set_nat(rig.router, &nat, NULL) == 0);
}

/* What is kept may be lost later, and what the router sends may not leave. */
static bool
is_late(int reason)
{
	return reason == DROP_ARP_FAILED || reason == DROP_ARP_QUEUE ||
	    reason == DROP_ND_FAILED || reason == DROP_ND_QUEUE ||
	    reason == DROP_PORT_FULL || reason == DROP_FRAGMENT ||
	    reason == DROP_TTL || reason == DROP_MTU || reason == REASON_SENT;
}

static void
count_row(void *arg, const struct nat_row *row)
{
	assert(row->inside_ip >> 24 != 0 || !ip6_is_zero(&row->inside6));
	++*(unsigned int *)arg;
}

/* All has expired: each place is free again. */
static void
check_places(void)
{
	unsigned int rows = 0;

	loop_run(rig.loop);
	router_each_nat(rig.router, count_row, &rows);
	assert(rows == 0);
	for (uint8_t i = 0; i < ENTRIES; i++) {
		uint8_t out[100];
		struct writer w = writer(out, sizeof(out));
		struct eth eth = { .dst = gw_mac[INSIDE],
			.src = { { 2, 2, 0, 0, 0, 200 } },
			.type = ETH_IPV6 };
		struct ip6 ip = { .payload_bytes = 8,
			.next = IP_UDP,
			.hop_limit = 64,
			.src = host((uint8_t)(200 + i)),
			.dst = ip64_embed(&f.prefix, IP(203, 0, 113, 10)) };
		struct udp udp = { .sport = 1, .dport = 2 };
		struct frame frame = { .data = out };
		enum reason reason;

		eth_write(&w, &eth);
		ip6_write(&w, &ip);
		udp6_write(&w, &udp, &ip.src, &ip.dst);
		frame.len = frame.head = (uint32_t)(w.at - out);
		reason = send_frame(INSIDE, frame);
		assert(reason == REASON_NAT_NEW || reason == REASON_ARP_QUEUED);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int rows = 0;

	rig.in = cursor(data, size);
	start(byte());
	while (cur_left(&rig.in) > 0) {
		uint8_t op = byte();

		switch (op & 15) {
		case 0: wait_ms((uint64_t)byte() * 10); break;
		case 1: wait_ms((uint64_t)byte() * 2000); break;
		case 2: f.answer = !f.answer; break;
		case 3: packet_in(INSIDE, false); break;
		case 4:
		case 5:
		case 6:
		case 7: packet_in(OUTSIDE, false); break;
		default: packet_in(INSIDE, true); break;
		}
	}
	check_counts(is_late);
	router_each_nat(rig.router, count_row, &rows);
	assert(rows <= ENTRIES);
	check_places();
	rig_end();
	return 0;
}
