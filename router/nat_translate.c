/*
 * All changes of a packet are summed up as differences first, one sum for the
 * addresses and one for the ports, and then applied to each checksum that
 * covers them: equation 3 of RFC 1624, once per checksum.
 *
 * A checksum that an offload has yet to finish holds the plain sum of the
 * pseudo header: the addresses' difference is added to it, and the ports need
 * nothing, since they are summed when it is finished.
 *
 * An ICMP error is verified as a whole (RFC 5508, REQ-3), its quote is brought
 * back to what the host behind the NAT would have seen, and its own checksum is
 * then computed anew: it is short.  The quote's transport checksum is updated
 * where the quote holds it, and never verified: the rest of the packet is not
 * there (REQ-3c).
 */
#include "router/nat_translate.h"

#include "net/checksum.h"
#include "net/icmp.h"
#include "net/ip4_options.h"
#include "net/tcp.h"
#include "net/udp.h"

#define PORTS_BYTES 8 /* of a transport header are quoted at least (RFC 792) */

/*
 * Writes a value and returns what that adds to a sum.  Sums are of words in the
 * order in which they lie there, which a sum does not care about; and since 2^16
 * is 1 in one's complement, words of 32 bits are added as they are, and folded
 * once, in the end.
 */
static inline uint64_t
change16(uint8_t *at, uint16_t to)
{
	uint16_t from = csum_half(at);

	put_be16(at, to);
	return (uint64_t)(uint16_t)~from + csum_half(at);
}

static inline uint64_t
change32(uint8_t *at, uint32_t to)
{
	uint32_t from = csum_word(at);

	put_be32(at, to);
	return (uint64_t)(uint32_t)~from + csum_word(at);
}

/* The sum with a difference, as 16 bits. */
static inline uint16_t
plus(uint16_t sum, uint64_t difference)
{
	difference += sum;
	difference = (difference >> 32) + (uint32_t)difference;
	difference = (difference >> 16) + (uint16_t)difference;
	difference = (difference >> 16) + (uint16_t)difference;
	return (uint16_t)((difference >> 16) + (uint16_t)difference);
}

/* Writes a sum as it lies there. */
static inline void
put_sum(uint8_t *at, uint16_t sum)
{
	memcpy(at, &sum, sizeof(sum));
}

static inline void
update(uint8_t *at, uint64_t difference)
{
	put_sum(at, (uint16_t)~plus((uint16_t)~csum_half(at), difference));
}

/* ---- reading ---- */

/* The shift of the window scale option, 0 if there is none (RFC 7323 2.2). */
static uint8_t
read_scale(struct cursor options)
{
	while (cur_left(&options) > 0) {
		uint8_t kind = cur_u8(&options), len;

		if (kind == 0)
			break;
		if (kind == 1)
			continue;
		len = cur_u8(&options);
		if (len < 2 || cur_left(&options) + 2 < len)
			break;
		if (kind == 3 && len == 3)
			return cur_u8(&options);
		cur_skip(&options, len - 2u);
	}
	return 0;
}

enum reason
nat_read_segment(struct nat_segment *segment, struct cursor *c, bool *cut)
{
	struct nat_segment s = { .seq = cur_be32(c) };
	uint8_t header_bytes;
	struct cursor options;

	s.ack = cur_be32(c);
	header_bytes = (uint8_t)(cur_u8(c) >> 4 << 2);
	s.flags = cur_u8(c);
	s.window = cur_be16(c);
	cur_skip(c, 4);
	if (c->overrun)
		return DROP_SHORT;
	if (header_bytes < TCP_HEADER_BYTES)
		return DROP_L4_HEADER;
	options = cur_sub(c, header_bytes - (size_t)TCP_HEADER_BYTES);
	*cut = options.overrun;
	if (s.flags & TCP_SYN && !*cut)
		s.scale = read_scale(options);
	*segment = s;
	return REASON_NONE;
}

static enum reason
read_tcp(struct nat_packet *p, struct cursor *c)
{
	enum reason reason;
	bool cut = false;

	p->sport = cur_be16(c);
	p->dport = cur_be16(c);
	reason = nat_read_segment(&p->segment, c, &cut);
	if (reason != REASON_NONE)
		return reason;
	if (cut)
		return ip4_is_fragment(&p->ip) ? DROP_FRAGMENT : DROP_L4_HEADER;
	p->is_tcp = true;
	return REASON_NONE;
}

static inline enum reason
read_udp(struct nat_packet *p, struct cursor *c)
{
	const uint8_t *header = cur_bytes(c, UDP_HEADER_BYTES);

	if (header == NULL)
		return DROP_SHORT;
	p->sport = get_be16(header);
	p->dport = get_be16(header + 2);
	return REASON_NONE;
}

static enum reason
read_icmp(struct nat_packet *p, struct cursor *c)
{
	uint8_t type = cur_u8(c);
	uint16_t id;

	cur_skip(c, 3);
	id = cur_be16(c);
	cur_skip(c, 2);
	if (c->overrun)
		return DROP_SHORT;
	if (icmp_is_error(type)) {
		p->kind = NAT_ICMPERROR;
		return REASON_NONE;
	}
	if (type == ICMP_ECHO_REQUEST) {
		p->sport = id;
		return REASON_NONE;
	}
	if (type == ICMP_ECHO_REPLY) {
		p->is_reply = true;
		p->dport = id;
		return REASON_NONE;
	}
	return DROP_NAT_PROTOCOL;
}

enum reason
nat_read(struct nat_packet *p)
{
	size_t skip = p->ip.header_bytes;
	size_t end = p->ip.total_bytes < p->head_bytes ? p->ip.total_bytes
						       : p->head_bytes;
	struct cursor c = cursor(p->bytes + skip, end - skip);
	enum reason reason = REASON_NONE;

	p->kind = NAT_FLOW;
	p->sport = p->dport = 0;
	p->is_tcp = p->is_reply = false;
	switch (p->ip.protocol) {
	case IP_TCP: reason = read_tcp(p, &c); break;
	case IP_UDP: reason = read_udp(p, &c); break;
	case IP_ICMP: reason = read_icmp(p, &c); break;
	default: return DROP_NAT_PROTOCOL; /* open: other protocols exist */
	}
	/* A first fragment without the ports is an attack (RFC 1858). */
	if (reason == DROP_SHORT && ip4_is_fragment(&p->ip))
		return DROP_FRAGMENT;
	return reason;
}

/* ---- writing ---- */

/* Updates a checksum of TCP or UDP, if the header's bytes that are there hold
 * it. */
static inline void
update_transport(
    const struct nat_packet *p, uint8_t *l4, uint64_t addresses, uint64_t ports)
{
	bool is_udp = p->ip.protocol == IP_UDP;
	uint8_t *at = l4 + (is_udp ? UDP_OFF_CHECKSUM : TCP_OFF_CHECKSUM);

	if (at + 2 > p->bytes + p->head_bytes)
		return;
	if (p->partial) {
		put_sum(at, plus(csum_half(at), addresses));
		return;
	}
	if (is_udp && csum_half(at) == 0)
		return; /* there is none (RFC 768) */
	update(at, addresses + ports);
	if (is_udp && csum_half(at) == 0)
		put_sum(at, 0xffff);
}

void
nat_rewrite(const struct nat_packet *p, const struct nat_ends *to)
{
	uint8_t *ip = p->bytes, *l4 = ip + p->ip.header_bytes;
	uint64_t addresses = change32(ip + IP4_OFF_SRC, to->src) +
	    change32(ip + IP4_OFF_DST, to->dst);

	update(ip + IP4_OFF_CHECKSUM, addresses);
	if (p->ip.protocol == IP_ICMP)
		update(l4 + ICMP_OFF_CHECKSUM,
		    change16(
			l4 + ICMP_OFF_ID, p->is_reply ? to->dport : to->sport));
	else
		update_transport(p, l4, addresses,
		    change32(l4, (uint32_t)to->sport << 16 | to->dport));
}

void
nat_rewrite_addresses(uint8_t *header, uint32_t src, uint32_t dst)
{
	update(header + IP4_OFF_CHECKSUM,
	    change32(header + IP4_OFF_SRC, src) +
		change32(header + IP4_OFF_DST, dst));
}

/* ---- ICMP errors ---- */

/* The ends of a quoted packet, of which only the first 8 bytes of its transport
 * header need to be there. */
static enum reason
read_quote(struct nat_packet *q, uint8_t *bytes, size_t len)
{
	struct cursor c = cursor(bytes, len);
	enum reason reason = ip4_parse_quoted(&q->ip, &c);

	if (reason != REASON_NONE)
		return reason;
	if (q->ip.offset_bytes != 0 || cur_left(&c) < PORTS_BYTES)
		return DROP_NAT_ICMP;
	q->bytes = bytes;
	q->head_bytes = q->ip.header_bytes + cur_left(&c);
	q->partial = false;
	q->kind = NAT_FLOW;
	switch (q->ip.protocol) {
	case IP_TCP:
	case IP_UDP:
		q->sport = cur_be16(&c);
		q->dport = cur_be16(&c);
		return REASON_NONE;
	case IP_ICMP:
		return read_icmp(q, &c) == REASON_NONE && q->kind == NAT_FLOW
		    ? REASON_NONE
		    : DROP_NAT_ICMP;
	default: return DROP_NAT_ICMP; /* open: other protocols exist */
	}
}

/* Parses the error at packet and its quote.  *icmp_at: where ICMP begins. */
static enum reason
read_error(uint8_t *packet, size_t bytes, struct ip4 *ip, size_t *icmp_bytes,
    struct nat_packet *quote)
{
	struct cursor c = cursor(packet, bytes);
	enum reason reason = ip4_parse(ip, &c);
	struct icmp icmp;
	uint8_t *at;

	if (reason != REASON_NONE)
		return reason;
	*icmp_bytes = cur_left(&c);
	reason = icmp_parse(&icmp, &c);
	if (reason != REASON_NONE)
		return reason;
	at = packet + ip->header_bytes + ICMP_HEADER_BYTES;
	*quote = (struct nat_packet){ .kind = NAT_FLOW };
	return read_quote(quote, at, icmp.data_bytes);
}

/* The outer checksums and addresses, when the quote has been rewritten. */
static void
finish_error(uint8_t *packet, const struct ip4 *ip, size_t icmp_bytes,
    uint32_t src, uint32_t dst)
{
	uint8_t *icmp = packet + ip->header_bytes;

	put_be16(icmp + ICMP_OFF_CHECKSUM, 0);
	put_be16(icmp + ICMP_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(0, icmp, icmp_bytes)));
	nat_rewrite_addresses(packet, src, dst);
}

/* An error goes to whom the packet that it quotes came from. */
static bool
is_to_its_source(const struct ip4 *error, const struct nat_packet *quote)
{
	return error->dst == quote->ip.src;
}

/* Is it a ping?  Those that came from beyond, and their answers, are the
 * business of hosts with an address of their own alone. */
static bool
asks(const struct nat_packet *p)
{
	return p->ip.protocol == IP_ICMP && !p->is_reply;
}

enum reason
nat_icmp_out(const struct nat *nat, uint8_t *packet, size_t bytes,
    uint64_t now_ns, struct nat_hit *hit)
{
	struct ip4 ip;
	struct nat_packet q;
	size_t icmp_bytes;
	enum reason reason = read_error(packet, bytes, &ip, &icmp_bytes, &q);
	struct nat_flow flow;
	struct nat_ends to;

	if (reason != REASON_NONE)
		return reason;
	if (ip4_source_route(&q.ip) != IP4_SOURCE_ROUTE_NONE)
		return DROP_SOURCE_ROUTE; /* it may name inside addresses */
	/* The quoted packet came in: its destination is ours. */
	nat_flow_in(&q, &flow);
	flow.port = asks(&q) ? q.sport : q.dport;
	flow.remote_port = asks(&q) ? 0 : q.sport;
	if (!is_to_its_source(&ip, &q) ||
	    !nat_find_out(nat, &flow, now_ns, hit) ||
	    (asks(&q) && !nat_is_owned(nat, hit->ip)))
		return DROP_NAT_ICMP;
	to = nat_ends(&q);
	to.dst = hit->ip;
	*(asks(&q) ? &to.sport : &to.dport) = hit->port;
	nat_rewrite(&q, &to);
	finish_error(packet, &ip, icmp_bytes,
	    ip.src == q.ip.dst ? hit->ip : nat_teller(nat, ip.src), ip.dst);
	return REASON_NAT_ICMP;
}

enum reason
nat_icmp_in(const struct nat *nat, uint8_t *packet, size_t bytes,
    uint64_t now_ns, struct nat_hit *hit)
{
	struct ip4 ip;
	struct nat_packet q;
	size_t icmp_bytes;
	enum reason reason = read_error(packet, bytes, &ip, &icmp_bytes, &q);
	struct nat_flow flow;
	struct nat_ends to;

	if (reason != REASON_NONE)
		return reason;
	/* The quoted packet went out: its source is our outside. */
	nat_flow_out(&q, &flow);
	if (q.is_reply)
		flow.port = q.dport;
	flow.remote_port = q.is_reply ? 0 : q.dport;
	if (!is_to_its_source(&ip, &q) ||
	    (q.is_reply && !nat_is_owned(nat, q.ip.src)) ||
	    !nat_find_in(nat, &flow, now_ns, hit))
		return DROP_NAT_ICMP;
	to = nat_ends(&q);
	to.src = hit->ip;
	*(q.is_reply ? &to.dport : &to.sport) = hit->port;
	nat_rewrite(&q, &to);
	finish_error(packet, &ip, icmp_bytes, ip.src, hit->ip);
	return REASON_NAT_ICMP;
}
