/*
 * What FTP's control connections, and SIP, need beyond translation of their
 * headers.
 *
 *    out:  SYN   a new connection is noted
 *          data  lines are read in order; text that names an inside end is
 *                replaced, in this segment and whenever it comes again; the
 *                begin of one may be held back, and acknowledged by us
 *          seq   moved by what was replaced before it
 *    in:   ack, and the edges of SACK, moved back
 *
 * Between two inside hosts, by the outer address, a segment is one of each: it
 * goes out for its sender, and in for its receiver.
 *
 * A datagram of SIP stands for itself: its text is changed, and that is all.
 * The ends that it names are pinned: that of the signalling for whom it was sent
 * to, as long as registrations use to last, and that of media, with the port
 * above it for RTCP, for anybody, until there should be some.
 *
 * A checksum that covers more than the header is only computed anew if it was
 * right before, so that damage on the way is not covered up.  A segment may grow
 * beyond the link's MTU by the few bytes of an address, if its sender filled it
 * up; then it is cut, whatever it asked for, since no error that its sender
 * could be sent would make sense to it.
 */
#include "router/router_state.h"

#include <errno.h>
#include <string.h>

#include "net/checksum.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "router/nat_pin.h"
#include "router/nat_ports.h"

#define OFF_SEQ     4
#define OFF_ACK     8
#define OFF_FLAGS   13
#define OFF_WINDOW  14
#define OPT_END     0
#define OPT_NOP     1
#define OPT_SACK    5
#define OPT_STAMP   8 /* RFC 7323 3.2 */
#define STAMP_BYTES 10
#define DATA_OFFSET 12

#define SIP_PIN_S       3600
#define SIP_MEDIA_PIN_S 120
#define SIP_PORT_MIN    1024

/* A segment of TCP, as it came. */
struct segment {
	struct ftp_control *out, *in; /* whose it is; NULL: nobody's */
	struct nat_ends to;           /* in its headers already */
	bool fin;
};

static uint8_t *
l4_of(const struct packet *p)
{
	return packet_ip(p) + p->ip.header_bytes;
}

static size_t
header_of(const struct packet *p)
{
	return (size_t)(l4_of(p)[DATA_OFFSET] >> 4) * 4;
}

/* The sum is the pseudo header's alone; the rest is added when it leaves. */
static bool
is_partial(const struct packet *p)
{
	return (p->frame->flags & FRAME_CSUM) != 0;
}

/* ---- numbers ---- */

/* The next option from *at on, of *len bytes.  False: there is none. */
static bool
next_option(const uint8_t *tcp, size_t header_bytes, size_t *at, size_t *len)
{
	while (*at < header_bytes && tcp[*at] == OPT_NOP)
		++*at;
	if (*at + 1 >= header_bytes || tcp[*at] == OPT_END)
		return false;
	*len = tcp[*at + 1];
	return *len >= 2 && *len <= header_bytes - *at;
}

/* The time stamp option, or NULL. */
static const uint8_t *
find_stamp(const uint8_t *tcp, size_t header_bytes)
{
	size_t at = TCP_HEADER_BYTES, len;

	for (; next_option(tcp, header_bytes, &at, &len); at += len)
		if (tcp[at] == OPT_STAMP && len == STAMP_BYTES)
			return tcp + at;
	return NULL;
}

/* The edges of blocks that the receiver has (RFC 2018 3). */
static void
move_sack(uint8_t *tcp, size_t header_bytes, const struct tcp_edits *edits)
{
	size_t at = TCP_HEADER_BYTES, len;

	for (; next_option(tcp, header_bytes, &at, &len); at += len)
		for (size_t edge = at + 2;
		     tcp[at] == OPT_SACK && edge + 4 <= at + len; edge += 4)
			put_be32(tcp + edge,
			    tcp_edits_back(edits, get_be32(tcp + edge)));
}

/* What the receiver says, to whom it says it. */
static void
move_answer(struct ftp_control *control, uint8_t *tcp, size_t header_bytes)
{
	const uint8_t *stamp = find_stamp(tcp, header_bytes);

	control->window = get_be16(tcp + OFF_WINDOW);
	if (stamp != NULL)
		control->stamp = get_be32(stamp + 2);
	if (tcp[OFF_FLAGS] & TCP_ACK)
		put_be32(tcp + OFF_ACK,
		    ftp_control_acked(control, get_be32(tcp + OFF_ACK)));
	move_sack(tcp, header_bytes, &control->edits);
}

/* Changes the numbers in the header, and the checksum by what that is; n bytes
 * of data came with it. */
static void
move_numbers(const struct packet *p, const struct segment *s, size_t n)
{
	uint8_t *tcp = l4_of(p);
	size_t bytes = header_of(p);
	uint32_t before = csum_add_bytes(0, tcp, bytes), after;
	uint16_t check = get_be16(tcp + TCP_OFF_CHECKSUM);

	if (s->out != NULL)
		put_be32(tcp + OFF_SEQ,
		    ftp_control_out(s->out, get_be32(tcp + OFF_SEQ), n));
	if (s->in != NULL)
		move_answer(s->in, tcp, bytes);
	if (is_partial(p))
		return;
	after = csum_add_bytes(0, tcp, bytes);
	before = (uint16_t)~csum_fold(before);
	put_be16(tcp + TCP_OFF_CHECKSUM,
	    csum_finish(csum_add(
		csum_add((uint16_t)~check, before), csum_fold(after))));
}

/* ---- data ---- */

static uint8_t *
sum_at(const struct packet *p)
{
	return l4_of(p) +
	    (p->ip.protocol == IP_TCP ? TCP_OFF_CHECKSUM : UDP_OFF_CHECKSUM);
}

static uint16_t
sum_of(const struct packet *p, const struct nat_ends *to)
{
	size_t n = (size_t)p->ip.total_bytes - p->ip.header_bytes;
	uint32_t pseudo =
	    csum_pseudo4(to->src, to->dst, p->ip.protocol, (uint16_t)n);

	return csum_finish(csum_add_bytes(pseudo, l4_of(p), n));
}

static bool
has_no_sum(const struct packet *p)
{
	return p->ip.protocol == IP_UDP && !is_partial(p) &&
	    get_be16(sum_at(p)) == 0;
}

static bool
sum_is_right(const struct packet *p, const struct nat_ends *to)
{
	return p->frame->flags & (FRAME_CSUM | FRAME_VALID) || has_no_sum(p) ||
	    sum_of(p, to) == 0;
}

static void
write_lengths(struct packet *p, size_t total, const struct nat_ends *to)
{
	bool without = has_no_sum(p);
	uint8_t *check = sum_at(p);
	uint16_t old = p->ip.total_bytes, sum;

	put_be16(packet_ip(p) + 2, (uint16_t)total);
	put_be16(packet_ip(p) + IP4_OFF_CHECKSUM,
	    csum_update16(get_be16(packet_ip(p) + IP4_OFF_CHECKSUM), old,
		(uint16_t)total));
	p->ip.total_bytes = (uint16_t)total;
	if (p->ip.protocol == IP_UDP)
		put_be16(l4_of(p) + 4, (uint16_t)(total - p->ip.header_bytes));
	if (is_partial(p)) {
		put_be16(check,
		    csum_fold(
			csum_add((uint32_t)get_be16(check) + (uint16_t)~old,
			    (uint32_t)total)));
		return;
	}
	put_be16(check, 0);
	if (without)
		return;
	sum = sum_of(p, to);
	put_be16(check, sum == 0 && p->ip.protocol == IP_UDP ? 0xffff : sum);
}

/* The packet has become what is in room, of bytes with all its headers, but for
 * lengths and sums in them. */
static void
become(struct packet *p, struct frame *changed, uint8_t *room, size_t bytes,
    const struct nat_ends *to)
{
	p->bytes = room;
	p->head = (uint32_t)bytes;
	p->ip.options = packet_ip(p) + IP4_HEADER_BYTES;
	write_lengths(p, bytes - ETH_HEADER_BYTES, to);
	*changed = *p->frame;
	changed->data = room;
	changed->len = changed->head = p->head;
	changed->tail = NULL;
	changed->ntail = 0;
	if (changed->flags & FRAME_TSO4 &&
	    bytes <= (size_t)changed->header_bytes + changed->gso_bytes) {
		changed->flags &= (uint8_t)~FRAME_TSO4; /* it is one segment */
		changed->gso_bytes = 0;
	}
	p->frame = changed;
}

/* Does the segment end the stream, and with it what is held back? */
static bool
ends_held(const struct segment *s, uint32_t end)
{
	return s->fin && s->out->held && end == s->out->expect;
}

/* Makes of a whole packet, in a copy, one with pass bytes of its data, in which
 * what is to be is replaced. */
static enum reason
replace(struct router *router, struct packet *p, struct frame *changed,
    const struct segment *s, size_t pass)
{
	const struct ftp_control *c = s->out;
	size_t head = ETH_HEADER_BYTES + p->ip.header_bytes + header_of(p);
	size_t n = ETH_HEADER_BYTES + (size_t)p->ip.total_bytes - head;
	size_t room_bytes =
	    head + pass + (size_t)TCP_EDITS * TCP_EDIT_BYTES + sizeof(c->line);
	uint32_t seq = p->l4.segment.seq;
	uint8_t *room = outbox_room(router->outbox, room_bytes);
	long len;

	if (room == NULL)
		return DROP_PORT_FULL;
	memcpy(room, p->bytes, head);
	len = tcp_edits_apply(&c->edits, seq, p->bytes + head, pass,
	    room + head, room_bytes - head - sizeof(c->line));
	if (len >= 0 && ends_held(s, seq + (uint32_t)n)) {
		memcpy(room + head + len, c->line, c->line_bytes);
		len += c->line_bytes;
	}
	if (len < 0 || head + (size_t)len - ETH_HEADER_BYTES > IP4_MAX_BYTES)
		return DROP_NAT_ALG;
	become(p, changed, room, head + (size_t)len, &s->to);
	return REASON_NONE;
}

/* Tells the speaker that what is held back has come. */
static void
acknowledge(
    struct router *router, const struct packet *p, const struct ftp_control *c)
{
	const uint8_t *tcp = l4_of(p);
	const uint8_t *stamp = find_stamp(tcp, header_of(p));
	size_t l4 = TCP_HEADER_BYTES + (stamp != NULL ? 12 : 0);
	struct ip4 ip = { .ttl = 64,
		.protocol = IP_TCP,
		.id = ip_ids_take(
		    &router->ids, c->ends.remote_ip, c->ends.in_ip, IP_TCP, 1),
		.total_bytes = (uint16_t)(IP4_HEADER_BYTES + l4),
		.src = c->ends.remote_ip,
		.dst = c->ends.in_ip };
	uint8_t *room = output_room(router, ip.total_bytes);
	struct writer w;

	if (room == NULL || !(tcp[OFF_FLAGS] & TCP_ACK))
		return;
	w = writer(room, ip.total_bytes);
	ip4_write(&w, &ip);
	wr_be16(&w, c->ends.remote_port);
	wr_be16(&w, c->ends.in_port);
	wr_be32(&w, get_be32(tcp + OFF_ACK));
	wr_be32(&w, c->expect);
	wr_u8(&w, (uint8_t)(l4 / 4 << 4));
	wr_u8(&w, TCP_ACK);
	wr_be16(&w, c->window);
	wr_zeros(&w, 4);
	if (stamp != NULL) {
		wr_u8(&w, OPT_NOP);
		wr_u8(&w, OPT_NOP);
		wr_u8(&w, OPT_STAMP);
		wr_u8(&w, STAMP_BYTES);
		wr_be32(&w, c->stamp);
		wr_be32(&w, get_be32(stamp + 2));
	}
	put_be16(room + IP4_HEADER_BYTES + TCP_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(
		csum_pseudo4(ip.src, ip.dst, IP_TCP, (uint16_t)l4),
		room + IP4_HEADER_BYTES, l4)));
	output_own(router, room, ip.total_bytes);
}

/* Some of it cannot be read, and all of it must be. */
static enum reason
take_fragment(struct packet *p, struct ftp_control *control, size_t n)
{
	if (control->held ||
	    tcp_edits_touch(&control->edits, p->l4.segment.seq, IP4_MAX_BYTES))
		return DROP_NAT_ALG;
	ftp_control_skip(control, p->l4.segment.seq, n);
	return REASON_NONE;
}

/* Reads the data outwards, and replaces what is to be. */
static enum reason
take_data(struct router *router, struct packet *p, struct frame *changed,
    const struct segment *s)
{
	size_t head = p->ip.header_bytes + header_of(p);
	size_t n = p->ip.total_bytes - head, pass;
	struct ftp_control *control = s->out;
	struct ftp_segment segment = { .seq = p->l4.segment.seq,
		.n = n,
		.off = !nat_rules(router->nat)->ftp,
		.whole = (p->l4.segment.flags & TCP_URG) != 0,
		.out = s->to.src };
	uint32_t end = segment.seq + (uint32_t)n;
	enum reason reason;

	if (ip4_is_fragment(&p->ip))
		return take_fragment(p, control, n);
	if (n == 0 && s->fin && control->held && end != control->expect)
		return DROP_NAT_ALG_ORDER;
	if (n == 0 ? !ends_held(s, end)
		   : !ftp_control_wants(control, segment.seq, n))
		return REASON_NONE;
	if (!packet_whole(router, p))
		return DROP_PORT_FULL;
	if (!sum_is_right(p, &s->to))
		return REASON_NONE; /* its receiver does not read it either */
	segment.data = packet_ip(p) + head;
	reason =
	    ftp_control_read(control, router->nat, &segment, p->now_ns, &pass);
	if (reason_is_drop(reason))
		return reason;
	if (reason != REASON_NONE)
		p->frame->verdict.reason = (uint16_t)reason;
	if (ftp_control_owes_ack(control))
		acknowledge(router, p, control);
	return pass < n || ends_held(s, end) ||
		tcp_edits_touch(&control->edits, segment.seq, n)
	    ? replace(router, p, changed, s, pass)
	    : REASON_NONE;
}

bool
alg_make(struct router *router, struct err *err)
{
	if (router->ftp == NULL)
		router->ftp = ftp_alg_new(nat_random(&router->seed));
	if (router->ftp == NULL)
		err_set(err, -ENOMEM, "out of memory");
	return router->ftp != NULL;
}

/* Whose the segment is outwards, which has those ends inside. */
static struct ftp_control *
speaker_of(
    struct router *router, const struct packet *p, const struct ftp_ends *ends)
{
	size_t head = p->ip.header_bytes + header_of(p);

	if (!ftp_ends_are_control(ends))
		return NULL;
	if (!(p->l4.segment.flags & TCP_SYN))
		return ftp_alg_find(router->ftp, ends);
	/* What a SYN may bring with it (RFC 7413) is not read. */
	if (nat_rules(router->nat)->ftp && p->ip.total_bytes == head)
		return ftp_alg_open(router->ftp, router->nat, ends,
		    p->l4.segment.seq, p->now_ns);
	return NULL;
}

static enum reason
send_ftp(struct router *router, struct packet *p, const struct way *way,
    const struct segment *s)
{
	struct frame *came = p->frame, changed;
	size_t n =
	    (size_t)p->ip.total_bytes - p->ip.header_bytes - header_of(p);
	enum reason reason = REASON_NONE;

	if (s->out == NULL && s->in == NULL)
		return forward_send(router, p, way);
	if (s->out != NULL && !(p->l4.segment.flags & TCP_SYN))
		reason = take_data(router, p, &changed, s);
	if (reason != REASON_NONE)
		return reason;
	move_numbers(p, s, n);
	reason = forward_send(router, p, way);
	if (p->frame != came) {
		came->verdict = changed.verdict;
		p->frame = came;
	}
	return reason;
}

/* ---- SIP ---- */

struct sip_mapping {
	struct router *router;
	const struct sip_ends *ends;
	uint32_t remote_ip;
	uint64_t now_ns;
};

/* Pins a port of the inside host, to port out if that is not 0.  Its outside
 * port, or 0. */
static uint16_t
pin_sip(
    const struct sip_mapping *m, enum sip_use use, uint16_t port, uint16_t out)
{
	static const uint8_t nonce[12] = "sip alg";
	struct nat_pin pin = { .protocol = IP_UDP,
		.in_ip = m->ends->in_ip,
		.in_port = port,
		.out_ip = m->ends->out_ip,
		.out_port = out != 0 ? out : port,
		.exact = out != 0,
		.by = NAT_PIN_BY_SIP,
		.until_ns = m->now_ns + SIP_MEDIA_PIN_S * NS_PER_S };

	memcpy(pin.nonce, nonce, sizeof(pin.nonce));
	if (use == SIP_SIGNALLING) {
		pin.until_ns = m->now_ns + SIP_PIN_S * NS_PER_S;
		pin.nfilters = 1;
		pin.filters[0] =
		    (struct nat_pin_filter){ .ip = m->remote_ip, .prefix = 32 };
	}
	switch (nat_pin_set(m->router->nat, &pin, m->now_ns)) {
	case NAT_PIN_MADE:
	case NAT_PIN_RENEWED:
	case NAT_PIN_OTHERS:
		return pin.out_ip == m->ends->out_ip ? pin.out_port : 0;
	case NAT_PIN_TAKEN:
	case NAT_PIN_FOREIGN:
	case NAT_PIN_FULL:
	case NAT_PIN_HOST_FULL: return 0;
	}
	return 0;
}

static uint16_t
map_sip(void *arg, enum sip_use use, uint16_t port)
{
	const struct sip_mapping *m = arg;
	uint16_t out = port < SIP_PORT_MIN ? 0 : pin_sip(m, use, port, 0);

	/* RTCP has the port above; without it, a call does. */
	if (out != 0 && use == SIP_MEDIA && port < 65535 && out < 65535)
		pin_sip(m, use, (uint16_t)(port + 1), (uint16_t)(out + 1));
	return out;
}

/* Changes the text of a whole datagram.  False: it is as it was. */
static bool
change_sip(struct router *router, struct packet *p, struct frame *changed,
    const struct sip_ends *ends, const struct nat_ends *to, bool outwards)
{
	struct sip_mapping m = { .router = router,
		.ends = ends,
		.remote_ip = to->dst,
		.now_ns = p->now_ns };
	size_t head =
	    (size_t)ETH_HEADER_BYTES + p->ip.header_bytes + UDP_HEADER_BYTES;
	size_t n = ETH_HEADER_BYTES + (size_t)p->ip.total_bytes - head;
	size_t room_bytes = head + n + (size_t)SIP_EDITS * SIP_TEXT_BYTES;
	struct sip_edits edits;
	uint8_t *room;

	if (!(outwards ? sip_read_out(
			     &edits, p->bytes + head, n, ends, map_sip, &m)
		       : sip_read_in(&edits, p->bytes + head, n, ends)) ||
	    edits.n == 0)
		return false;
	if (outwards)
		pin_sip(&m, SIP_SIGNALLING, ends->in_port, 0);
	room = outbox_room(router->outbox, room_bytes);
	if (room == NULL)
		return false;
	memcpy(room, p->bytes, head);
	n = sip_apply(
	    &edits, p->bytes + head, n, room + head, room_bytes - head);
	if (n == 0 || head + n - ETH_HEADER_BYTES > IP4_MAX_BYTES)
		return false;
	become(p, changed, room, head + n, to);
	return true;
}

static enum reason
send_sip(struct router *router, struct packet *p, const struct way *way,
    const struct sip_ends *ends, const struct nat_ends *to, bool outwards)
{
	size_t at = (size_t)p->ip.header_bytes + UDP_HEADER_BYTES;
	struct frame *came = p->frame, changed;
	enum reason reason;

	if (p->ip.total_bytes > at && !packet_whole(router, p))
		return DROP_PORT_FULL;
	if (p->ip.total_bytes <= at ||
	    get_be16(l4_of(p) + 4) != p->ip.total_bytes - p->ip.header_bytes ||
	    !sum_is_right(p, to) ||
	    !change_sip(router, p, &changed, ends, to, outwards))
		return forward_send(router, p, way);
	reason = forward_send(router, p, way);
	came->verdict = changed.verdict;
	p->frame = came;
	return reason;
}

/* ---- either ---- */

static enum reason
take_segment(struct router *router, struct packet *p, const struct way *way,
    const struct nat_ends *to, enum alg_way alg)
{
	const struct ftp_ends out = { .in_ip = p->ip.src,
		.in_port = p->l4.sport,
		.remote_ip = p->ip.dst,
		.remote_port = p->l4.dport };
	const struct ftp_ends in = { .in_ip = to->dst,
		.in_port = to->dport,
		.remote_ip = to->src,
		.remote_port = to->sport };
	struct segment s = { .to = *to,
		.fin = (p->l4.segment.flags & TCP_FIN) != 0 };

	if (alg != ALG_IN)
		s.out = speaker_of(router, p, &out);
	if (alg != ALG_OUT && ftp_ends_are_control(&in))
		s.in = ftp_alg_find(router->ftp, &in);
	return send_ftp(router, p, way, &s);
}

static enum reason
take_datagram(struct router *router, struct packet *p, const struct way *way,
    const struct nat_ends *to, bool outwards)
{
	struct sip_ends ends = { .in_ip = to->dst,
		.in_port = to->dport,
		.out_ip = p->ip.dst,
		.out_port = p->l4.dport };
	uint16_t remote_port = outwards ? to->dport : to->sport;

	if (outwards)
		ends = (struct sip_ends){ .in_ip = p->ip.src,
			.in_port = p->l4.sport,
			.out_ip = to->src,
			.out_port = to->sport };
	if (ip4_is_fragment(&p->ip) ||
	    (ends.in_port != SIP_PORT && remote_port != SIP_PORT))
		return forward_send(router, p, way);
	return send_sip(router, p, way, &ends, to, outwards);
}

enum reason
alg_send(struct router *router, struct packet *p, const struct way *way,
    const struct nat_ends *to, enum alg_way alg)
{
	if (p->l4.is_tcp)
		return take_segment(router, p, way, to, alg);
	return alg == ALG_ROUND
	    ? forward_send(router, p, way)
	    : take_datagram(router, p, way, to, alg == ALG_OUT);
}
