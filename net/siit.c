/*
 * Addresses change in the pseudo header of TCP and UDP, and nothing else does:
 * one difference of sums is added to their checksums.  ICMP has no pseudo header
 * and ICMPv6 has one, with the length of the whole message: so ICMP in
 * fragments, of which no one knows that, is refused (RFC 7915 1.2).
 *
 * What an ICMP error quotes is translated like a packet, but once only: errors
 * about errors do not exist.  A quote of what is about to be cut off anyway has
 * no checksum that could be wrong; one that is there is updated.
 *
 * An IPv6 packet without a fragment header that fits 1260 bytes becomes one that
 * routers may cut; a longer one must not be cut, so that its sender learns of
 * smaller links (5.1).  The other way, a fragment header is written for fragments
 * alone (4.1).
 */
#include "net/siit.h"

#include "net/checksum.h"
#include "net/icmp.h"
#include "net/ip4_options.h"
#include "net/siit_icmp.h"
#include "net/tcp.h"
#include "net/udp.h"

#define MAY_CUT_BYTES 1260 /* 5.1 */

#define QUOTE_MIN 8   /* bytes of a transport header (RFC 792) */
#define EXT_QUOTE 128 /* at least, before more is said (RFC 4884 3) */

static size_t
least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* ---- sums ---- */

static uint32_t
sum_ip4(uint32_t src, uint32_t dst)
{
	return csum_add_be32(csum_add_be32(0, src), dst);
}

static uint32_t
sum_ip6(const struct ip6_addr *src, const struct ip6_addr *dst)
{
	return csum_add_bytes(
	    csum_add_bytes(0, src->b, sizeof(src->b)), dst->b, sizeof(dst->b));
}

/* What it adds to a sum that one part of it is replaced by another. */
static uint32_t
difference(uint32_t from, uint32_t to)
{
	return (uint32_t)(uint16_t)~csum_fold(from) + csum_fold(to);
}

static void
update(uint8_t *at, uint32_t difference)
{
	put_be16(at, csum_finish((uint16_t)~get_be16(at) + difference));
}

static bool
is_error6(uint8_t type)
{
	return type < ICMP6_ECHO_REQUEST;
}

bool
siit6_wants_whole(const struct siit6 *p, const uint8_t *packet, size_t have)
{
	return p->protocol == IP_ICMP6 && have > p->header_bytes &&
	    is_error6(packet[p->header_bytes]);
}

bool
siit4_wants_whole(const struct ip4 *ip, const uint8_t *packet, size_t have)
{
	const uint8_t *l4 = packet + ip->header_bytes;

	if (ip4_is_fragment(ip) ||
	    have < ip->header_bytes + (size_t)UDP_HEADER_BYTES)
		return false;
	if (ip->protocol == IP_ICMP)
		return icmp_is_error(l4[0]);
	return ip->protocol == IP_UDP && get_be16(l4 + UDP_OFF_CHECKSUM) == 0;
}

/* ---- transport ---- */

/* The part of a transport header that names ends, or some of the data. */
struct transport {
	uint8_t *at;
	size_t have;  /* bytes that are there */
	size_t bytes; /* of all of it */
	bool first;   /* has the header */
	bool whole;   /* is no fragment */
	bool partial; /* see siit_to4() */
	bool quoted;
};

static enum reason
update_tcp(const struct transport *t, uint32_t addresses)
{
	uint8_t *check = t->at + TCP_OFF_CHECKSUM;

	if (t->have < TCP_OFF_CHECKSUM + 2)
		return t->quoted ? DROP_NONE : DROP_SHORT;
	if (t->partial)
		put_be16(check, csum_fold(get_be16(check) + addresses));
	else
		update(check, addresses);
	return DROP_NONE;
}

/* pseudo: the new pseudo header's sum. */
static enum reason
update_udp(const struct transport *t, uint32_t addresses, uint32_t pseudo,
    bool may_lack)
{
	uint8_t *check = t->at + UDP_OFF_CHECKSUM;

	if (t->have < UDP_HEADER_BYTES)
		return DROP_SHORT;
	if (t->partial) {
		put_be16(check, csum_fold(get_be16(check) + addresses));
		return DROP_NONE;
	}
	if (get_be16(check) != 0)
		update(check, addresses);
	else if (t->quoted)
		return DROP_NONE;
	else if (!may_lack)
		return DROP_L4_CHECKSUM;
	else if (!t->whole || t->have < t->bytes)
		return DROP_NO_CHECKSUM;
	else
		put_be16(check,
		    csum_finish(csum_add_bytes(pseudo, t->at, t->bytes)));
	if (get_be16(check) == 0)
		put_be16(check, 0xffff);
	return DROP_NONE;
}

/* An echo, whose pseudo header's sum comes or goes: pseudo is what it adds. */
static enum reason
update_echo(
    const struct transport *t, const struct siit_icmp *m, uint32_t pseudo)
{
	uint32_t change;

	change = difference(get_be16(t->at), (uint32_t)m->type << 8 | m->code);
	t->at[0] = m->type;
	t->at[1] = m->code;
	update(t->at + ICMP_OFF_CHECKSUM, change + csum_fold(pseudo));
	/* Zero is wrong if all else is zero, and its twin never is. */
	if (get_be16(t->at + ICMP_OFF_CHECKSUM) == 0)
		put_be16(t->at + ICMP_OFF_CHECKSUM, 0xffff);
	return DROP_NONE;
}

static struct siit_icmp
read_icmp(const uint8_t *at)
{
	return (struct siit_icmp){
		.type = at[0], .code = at[1], .word = get_be32(at + 4)
	};
}

/* Why ICMP cannot be translated here; DROP_NONE: it can. */
static enum reason
check_icmp(const struct transport *t, bool is_error)
{
	if (!t->whole)
		return t->quoted ? DROP_NAT_ICMP : DROP_FRAGMENT;
	if (t->have < ICMP_HEADER_BYTES)
		return DROP_SHORT;
	if (is_error && t->quoted)
		return DROP_NAT_ICMP;
	return is_error && t->have < t->bytes ? DROP_SHORT : DROP_NONE;
}

static enum reason
transport_to4(const struct siit *siit, const struct siit6 *p,
    const struct siit_new4 *to, const struct transport *t)
{
	uint32_t addresses = difference(
	    sum_ip6(&p->ip.src, &p->ip.dst), sum_ip4(to->src, to->dst));
	struct siit_icmp m, out;
	enum reason reason;
	uint32_t pseudo;

	if (p->protocol == IP_ICMP)
		return DROP_PROTOCOL; /* would be what it never was */
	if (p->protocol == IP_ICMP6) {
		reason = check_icmp(t, t->have > 0 && is_error6(t->at[0]));
		if (reason != DROP_NONE)
			return reason;
		m = read_icmp(t->at);
		if (!siit_icmp_to4(siit, &m, &out))
			return DROP_ICMP_TYPE;
		pseudo = csum_pseudo6(
		    &p->ip.src, &p->ip.dst, IP_ICMP6, (uint32_t)t->bytes);
		return update_echo(t, &out, (uint16_t)~csum_fold(pseudo));
	}
	if (!t->first)
		return DROP_NONE;
	if (p->protocol == IP_TCP)
		return update_tcp(t, addresses);
	if (p->protocol == IP_UDP)
		return update_udp(t, addresses, 0, false);
	return DROP_NONE;
}

static enum reason
transport_to6(const struct siit *siit, const struct ip4 *ip,
    const struct siit_new6 *to, const struct transport *t)
{
	uint32_t addresses =
	    difference(sum_ip4(ip->src, ip->dst), sum_ip6(&to->src, &to->dst));
	struct siit_icmp m, out;
	enum reason reason;

	if (ip->protocol == IP_ICMP6 || siit6_is_extension(ip->protocol))
		return DROP_PROTOCOL;
	if (ip->protocol == IP_ICMP) {
		reason = check_icmp(t, t->have > 0 && icmp_is_error(t->at[0]));
		if (reason != DROP_NONE)
			return reason;
		m = read_icmp(t->at);
		if (!siit_icmp_to6(siit, &m, 0, &out))
			return DROP_ICMP_TYPE;
		return update_echo(t, &out,
		    csum_pseudo6(
			&to->src, &to->dst, IP_ICMP6, (uint32_t)t->bytes));
	}
	if (!t->first)
		return DROP_NONE;
	if (ip->protocol == IP_TCP)
		return update_tcp(t, addresses);
	if (ip->protocol == IP_UDP)
		return update_udp(t, addresses,
		    csum_pseudo6(
			&to->src, &to->dst, IP_UDP, (uint32_t)t->bytes),
		    true);
	return DROP_NONE;
}

/* ---- headers ---- */

static void
write_header4(uint8_t *at, const struct siit6 *p, const struct siit_new4 *to,
    size_t payload)
{
	struct writer w = writer(at, IP4_HEADER_BYTES);
	struct ip4 ip = { .tos = p->ip.traffic_class,
		.total_bytes = (uint16_t)(IP4_HEADER_BYTES + payload),
		.ttl = p->ip.hop_limit,
		.protocol = p->protocol == IP_ICMP6 ? IP_ICMP : p->protocol,
		.src = to->src,
		.dst = to->dst };

	if (p->has_fragment) {
		ip.id = (uint16_t)p->id;
		ip.offset_bytes = p->offset_bytes;
		ip.fragment = p->more ? IP4_MF : 0;
	} else if (ip.total_bytes > MAY_CUT_BYTES)
		ip.fragment = IP4_DF;
	else
		ip.id = to->id;
	ip4_write(&w, &ip);
}

static size_t
header6_bytes(const struct ip4 *ip)
{
	return ip4_is_fragment(ip) ? IP6_HEADER_BYTES + IP6_FRAGMENT_BYTES
				   : IP6_HEADER_BYTES;
}

static void
write_header6(uint8_t *at, const struct ip4 *ip, const struct siit_new6 *to,
    size_t payload)
{
	size_t header = header6_bytes(ip);
	struct writer w = writer(at, header);
	uint8_t next = ip->protocol == IP_ICMP ? IP_ICMP6 : ip->protocol;
	struct ip6 ip6 = { .traffic_class = ip->tos,
		.payload_bytes =
		    (uint16_t)(header - IP6_HEADER_BYTES + payload),
		.next = ip4_is_fragment(ip) ? IP_FRAGMENT : next,
		.hop_limit = ip->ttl,
		.src = to->src,
		.dst = to->dst };

	ip6_write(&w, &ip6);
	if (!ip4_is_fragment(ip))
		return;
	wr_u8(&w, next);
	wr_u8(&w, 0);
	wr_be16(&w,
	    (uint16_t)(ip->offset_bytes |
		(ip->fragment & IP4_MF ? IP6_MORE : 0)));
	wr_be32(&w, ip->id);
}

/* ---- packets, and quotes of them ---- */

/* Writes a packet; of its payload, no more than limit bytes. */
static enum reason
packet_to4(const struct siit *siit, const struct siit6 *p,
    const struct siit_new4 *to, struct transport t, size_t limit,
    struct writer *w)
{
	const uint8_t *from = t.at;
	uint8_t *at;
	enum reason reason;

	t.have = least(t.have, limit);
	at = wr_room(w, IP4_HEADER_BYTES + t.have);
	if (at == NULL)
		return DROP_IP_LENGTH;
	t.at = at + IP4_HEADER_BYTES;
	memcpy(t.at, from, t.have);
	reason = transport_to4(siit, p, to, &t);
	if (reason == DROP_NONE)
		write_header4(at, p, to, t.bytes);
	return reason;
}

static enum reason
packet_to6(const struct siit *siit, const struct ip4 *ip,
    const struct siit_new6 *to, struct transport t, size_t limit,
    struct writer *w)
{
	const uint8_t *from = t.at;
	uint8_t *at;
	enum reason reason;

	t.have = least(t.have, limit);
	at = wr_room(w, header6_bytes(ip) + t.have);
	if (at == NULL)
		return DROP_IP_LENGTH;
	t.at = at + header6_bytes(ip);
	memcpy(t.at, from, t.have);
	reason = transport_to6(siit, ip, to, &t);
	if (reason == DROP_NONE)
		write_header6(at, ip, to, t.bytes);
	return reason;
}

static struct transport
payload6(const struct siit6 *p, const uint8_t *packet, size_t have)
{
	size_t bytes = siit6_payload_bytes(p);

	return (struct transport){ .at = (uint8_t *)(uintptr_t)packet +
		    p->header_bytes,
		.have = least(have - p->header_bytes, bytes),
		.bytes = bytes,
		.first = p->offset_bytes == 0,
		.whole = !siit6_is_fragment(p) };
}

static struct transport
payload4(const struct ip4 *ip, const uint8_t *packet, size_t have)
{
	size_t bytes = (size_t)ip->total_bytes - ip->header_bytes;

	return (struct transport){ .at = (uint8_t *)(uintptr_t)packet +
		    ip->header_bytes,
		.have = least(have - ip->header_bytes, bytes),
		.bytes = bytes,
		.first = ip->offset_bytes == 0,
		.whole = !ip4_is_fragment(ip) };
}

static enum reason
quote_to4(const struct siit *siit, const struct cursor *c, size_t limit,
    struct writer *w)
{
	struct siit6 p;
	struct siit_new4 to = { .id = 0 };
	enum reason reason = siit6_read(&p, c->at, cur_left(c));
	struct transport t;

	if (reason != DROP_NONE)
		return reason;
	t = payload6(&p, c->at, cur_left(c));
	t.quoted = true;
	if (t.have < QUOTE_MIN || !siit->to4(siit->arg, &p.ip.src, &to.src) ||
	    !siit->to4(siit->arg, &p.ip.dst, &to.dst))
		return DROP_NAT_ICMP;
	return packet_to4(siit, &p, &to, t, limit - IP4_HEADER_BYTES, w);
}

static enum reason
quote_to6(const struct siit *siit, const struct ip4 *ip, struct cursor c,
    size_t limit, struct writer *w)
{
	struct siit_new6 to = { .partial = false };
	struct transport t = payload4(ip, c.at, cur_left(&c));

	t.quoted = true;
	if (t.have < QUOTE_MIN || !siit->to6(siit->arg, ip->src, &to.src) ||
	    !siit->to6(siit->arg, ip->dst, &to.dst))
		return DROP_NAT_ICMP;
	return packet_to6(siit, ip, &to, t, limit - header6_bytes(ip), w);
}

/* ---- ICMP errors ---- */

/* What an error quotes, and what it says beyond that (RFC 4884). */
struct quoting {
	struct cursor quote, more;
};

static struct quoting
divide(struct siit_icmp *m, const uint8_t *data, size_t bytes)
{
	struct quoting q = { .quote = cursor(data, bytes) };

	if (m->quote_bytes < EXT_QUOTE || m->quote_bytes >= bytes)
		m->quote_bytes = 0;
	else {
		q.quote = cursor(data, m->quote_bytes);
		q.more = cursor(data + m->quote_bytes, bytes - m->quote_bytes);
	}
	return q;
}

/* Fills up a quote that begins at start to what more may follow, and writes
 * that.  Its new length. */
static uint16_t
write_more(struct writer *w, const uint8_t *start, const struct cursor *more,
    size_t unit)
{
	size_t n = (size_t)(w->at - start),
	       filled = n < EXT_QUOTE ? EXT_QUOTE : n;

	filled = (filled + unit - 1) / unit * unit;
	wr_zeros(w, filled - n);
	wr_bytes(w, more->at, cur_left(more));
	return (uint16_t)filled;
}

/* How much of a quote there is room for in bytes.  What leaves none for it, is
 * left out. */
static size_t
quote_room(struct quoting *q, struct siit_icmp *m, size_t bytes, size_t unit)
{
	size_t more = cur_left(&q->more);

	if (m->quote_bytes != 0 && more + EXT_QUOTE + unit <= bytes)
		return (bytes - more) / unit * unit;
	m->quote_bytes = 0;
	return bytes;
}

static enum reason
error_to4(const struct siit *siit, const struct siit6 *p,
    const struct siit_new4 *to, const struct transport *t, struct writer *w)
{
	struct siit_icmp m = read_icmp(t->at), out;
	uint8_t *start = w->at, *at = wr_room(w, IP4_HEADER_BYTES);
	uint8_t *icmp = wr_room(w, ICMP_HEADER_BYTES);
	struct quoting q;
	size_t room, bytes;
	enum reason reason;
	uint32_t sum =
	    csum_pseudo6(&p->ip.src, &p->ip.dst, IP_ICMP6, (uint32_t)t->bytes);

	if (csum_fold(csum_add_bytes(sum, t->at, t->bytes)) != 0xffff)
		return DROP_L4_CHECKSUM;
	if (m.type == ICMP6_UNREACHABLE || m.type == ICMP6_TIME_EXCEEDED)
		m.quote_bytes = (uint16_t)(t->at[4] * 8);
	q = divide(&m, t->at + ICMP_HEADER_BYTES, t->bytes - ICMP_HEADER_BYTES);
	if (!siit_icmp_to4(siit, &m, &out))
		return DROP_ICMP_TYPE;
	if (at == NULL || icmp == NULL)
		return DROP_IP_LENGTH;
	room = quote_room(&q, &out,
	    SIIT_MAX_ERROR4 - IP4_HEADER_BYTES - ICMP_HEADER_BYTES, 4);
	reason = quote_to4(siit, &q.quote, room, w);
	if (reason != DROP_NONE)
		return reason;
	if (out.quote_bytes != 0)
		out.word |= (uint32_t)write_more(
				w, icmp + ICMP_HEADER_BYTES, &q.more, 4) /
			4
		    << 16;
	if (w->overrun)
		return DROP_IP_LENGTH;
	put_be32(icmp, (uint32_t)out.type << 24 | (uint32_t)out.code << 16);
	put_be32(icmp + 4, out.word);
	bytes = (size_t)(w->at - icmp);
	put_be16(icmp + ICMP_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(0, icmp, bytes)));
	write_header4(start, p, to, bytes);
	return DROP_NONE;
}

static enum reason
error_to6(const struct siit *siit, const struct ip4 *ip,
    const struct siit_new6 *to, const struct transport *t, struct writer *w)
{
	struct siit_icmp m = read_icmp(t->at), out;
	uint8_t *start = w->at, *at = wr_room(w, IP6_HEADER_BYTES);
	uint8_t *icmp = wr_room(w, ICMP_HEADER_BYTES);
	struct quoting q;
	struct cursor c;
	struct ip4 quoted;
	size_t room, bytes;
	enum reason reason;
	uint32_t sum;

	if (csum_fold(csum_add_bytes(0, t->at, t->bytes)) != 0xffff)
		return DROP_L4_CHECKSUM;
	m.quote_bytes = (uint16_t)(t->at[5] * 4);
	q = divide(&m, t->at + ICMP_HEADER_BYTES, t->bytes - ICMP_HEADER_BYTES);
	c = q.quote;
	reason = ip4_parse_quoted(&quoted, &c);
	if (reason != DROP_NONE)
		return reason;
	if (!siit_icmp_to6(siit, &m, quoted.total_bytes, &out))
		return DROP_ICMP_TYPE;
	if (at == NULL || icmp == NULL)
		return DROP_IP_LENGTH;
	room = quote_room(&q, &out,
	    SIIT_MAX_ERROR6 - IP6_HEADER_BYTES - ICMP_HEADER_BYTES, 8);
	reason = quote_to6(siit, &quoted, q.quote, room, w);
	if (reason != DROP_NONE)
		return reason;
	if (out.quote_bytes != 0)
		out.word |= (uint32_t)write_more(
				w, icmp + ICMP_HEADER_BYTES, &q.more, 8) /
			8
		    << 24;
	if (w->overrun)
		return DROP_IP_LENGTH;
	put_be32(icmp, (uint32_t)out.type << 24 | (uint32_t)out.code << 16);
	put_be32(icmp + 4, out.word);
	bytes = (size_t)(w->at - icmp);
	sum = csum_pseudo6(&to->src, &to->dst, IP_ICMP6, (uint32_t)bytes);
	put_be16(icmp + ICMP_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(sum, icmp, bytes)));
	write_header6(start, ip, to, bytes);
	return DROP_NONE;
}

/* ---- all ---- */

enum reason
siit_to4(const struct siit *siit, const struct siit6 *p, const uint8_t *packet,
    size_t have, const struct siit_new4 *to, struct writer *w)
{
	struct transport t = payload6(p, packet, have);
	enum reason reason;

	t.partial = to->partial;
	if (p->protocol == IP_ICMP6 && t.have > 0 && is_error6(t.at[0])) {
		reason = check_icmp(&t, true);
		return reason != DROP_NONE ? reason
					   : error_to4(siit, p, to, &t, w);
	}
	return packet_to4(siit, p, to, t, t.have, w);
}

enum reason
siit_to6(const struct siit *siit, const struct ip4 *ip, const uint8_t *packet,
    size_t have, const struct siit_new6 *to, struct writer *w)
{
	struct transport t = payload4(ip, packet, have);
	enum reason reason;

	t.partial = to->partial;
	if (ip4_source_route(ip) == IP4_SOURCE_ROUTE_GOES_ON)
		return DROP_SOURCE_ROUTE;
	if ((ip->fragment & IP4_MF && t.bytes % 8 != 0) ||
	    ip->offset_bytes + t.bytes > IP4_MAX_BYTES - IP4_HEADER_BYTES)
		return DROP_FRAGMENT;
	if (ip->protocol == IP_ICMP && t.have > 0 && icmp_is_error(t.at[0])) {
		reason = check_icmp(&t, true);
		return reason != DROP_NONE ? reason
					   : error_to6(siit, ip, to, &t, w);
	}
	return packet_to6(siit, ip, to, t, t.have, w);
}
