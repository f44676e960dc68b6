/*
 * What FTP's control connections, and SIP, need beyond translation of their
 * headers.
 *
 *    out:  SYN   a new connection is noted
 *          data  whole lines in order are read; text that names an inside end
 *                is replaced, in this segment and whenever it comes again
 *          seq   moved by what was replaced before it
 *    in:   ack, and the edges of SACK, moved back
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
#define OPT_SACK    5
#define OPT_END     0
#define OPT_NOP     1
#define DATA_OFFSET 12

#define SIP_PIN_S       3600
#define SIP_MEDIA_PIN_S 120
#define SIP_PORT_MIN    1024

/* A segment of TCP, as it came. */
struct segment {
	struct ftp_ends ends;
	struct nat_ends to; /* in its headers already */
	bool outwards;
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

static void
move_back(uint8_t *at, const struct tcp_edits *edits)
{
	put_be32(at, tcp_edits_back(edits, get_be32(at)));
}

/* The edges of blocks that the receiver has (RFC 2018 3). */
static void
move_sack(uint8_t *tcp, size_t header_bytes, const struct tcp_edits *edits)
{
	size_t at = TCP_HEADER_BYTES;

	while (at + 1 < header_bytes && tcp[at] != OPT_END) {
		size_t len = tcp[at] == OPT_NOP ? 1 : tcp[at + 1];

		if (len == 0 || (len == 1 && tcp[at] != OPT_NOP) ||
		    len > header_bytes - at)
			return;
		for (size_t edge = at + 2;
		     tcp[at] == OPT_SACK && edge + 4 <= at + len; edge += 4)
			move_back(tcp + edge, edits);
		at += len;
	}
}

/* Changes the numbers in the header, and the checksum by what that is. */
static void
move_numbers(const struct packet *p, struct tcp_edits *edits, bool outwards)
{
	uint8_t *tcp = l4_of(p);
	size_t bytes = header_of(p);
	uint32_t before = csum_add_bytes(0, tcp, bytes), after;
	uint16_t check = get_be16(tcp + TCP_OFF_CHECKSUM);

	if (outwards)
		put_be32(tcp + OFF_SEQ,
		    tcp_edits_out(edits, get_be32(tcp + OFF_SEQ)));
	else {
		if (tcp[13] & TCP_ACK) {
			move_back(tcp + OFF_ACK, edits);
			tcp_edits_settle(edits, get_be32(tcp + OFF_ACK));
		}
		move_sack(tcp, bytes, edits);
	}
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
	p->frame = changed;
}

/* Replaces in a whole packet what is to be, in a copy. */
static enum reason
replace(struct router *router, struct packet *p, struct frame *changed,
    const struct tcp_edits *edits, const struct segment *s)
{
	size_t head = ETH_HEADER_BYTES + p->ip.header_bytes + header_of(p);
	size_t n = ETH_HEADER_BYTES + (size_t)p->ip.total_bytes - head;
	size_t room_bytes = head + n + (size_t)TCP_EDITS * TCP_EDIT_BYTES;
	uint8_t *room = outbox_room(router->outbox, room_bytes);
	long len;

	if (room == NULL)
		return DROP_PORT_FULL;
	memcpy(room, p->bytes, head);
	len = tcp_edits_apply(edits, p->l4.segment.seq, p->bytes + head, n,
	    room + head, room_bytes - head);
	if (len < 0 || head + (size_t)len - ETH_HEADER_BYTES > IP4_MAX_BYTES)
		return DROP_NAT_ALG;
	become(p, changed, room, head + (size_t)len, &s->to);
	return REASON_NONE;
}

/* Reads the data outwards, and replaces what is to be. */
static enum reason
take_data(struct router *router, struct packet *p, struct frame *changed,
    struct ftp_control *control, const struct segment *s)
{
	size_t head = p->ip.header_bytes + header_of(p);
	size_t n = p->ip.total_bytes - head;
	struct tcp_edits *edits = ftp_control_edits(control);

	if (ip4_is_fragment(&p->ip))
		return tcp_edits_touch(edits, p->l4.segment.seq, IP4_MAX_BYTES)
		    ? DROP_NAT_ALG
		    : REASON_NONE;
	if (n == 0 || !ftp_control_wants(control, p->l4.segment.seq, n))
		return REASON_NONE;
	if (!packet_whole(router, p))
		return DROP_PORT_FULL;
	if (!sum_is_right(p, &s->to))
		return REASON_NONE; /* its receiver does not read it either */
	if (nat_rules(router->nat)->ftp)
		ftp_control_read(control, router->nat, s->to.src,
		    p->l4.segment.seq, packet_ip(p) + head, n, p->now_ns);
	return tcp_edits_touch(edits, p->l4.segment.seq, n)
	    ? replace(router, p, changed, edits, s)
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

static enum reason
send_ftp(struct router *router, struct packet *p, const struct way *way,
    const struct segment *s)
{
	struct frame *came = p->frame, changed;
	struct ftp_control *control = NULL;
	enum reason reason = REASON_NONE;

	if (!s->outwards || !(p->l4.segment.flags & TCP_SYN))
		control = ftp_alg_find(router->ftp, &s->ends);
	else if (nat_rules(router->nat)->ftp)
		ftp_alg_open(router->ftp, router->nat, &s->ends,
		    p->l4.segment.seq, p->now_ns);
	if (control == NULL)
		return forward_send(router, p, way);
	if (s->outwards)
		reason = take_data(router, p, &changed, control, s);
	if (reason != REASON_NONE)
		return reason;
	move_numbers(p, ftp_control_edits(control), s->outwards);
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
    const struct nat_ends *to, bool outwards)
{
	struct segment s = { .ends = { .in_ip = to->dst,
				 .in_port = to->dport,
				 .remote_ip = p->ip.src,
				 .remote_port = p->l4.sport },
		.to = *to,
		.outwards = outwards };

	if (outwards)
		s.ends = (struct ftp_ends){ .in_ip = p->ip.src,
			.in_port = p->l4.sport,
			.remote_ip = p->ip.dst,
			.remote_port = p->l4.dport };
	return ftp_ends_are_control(&s.ends) ? send_ftp(router, p, way, &s)
					     : forward_send(router, p, way);
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
    const struct nat_ends *to, bool outwards)
{
	return p->l4.is_tcp ? take_segment(router, p, way, to, outwards)
			    : take_datagram(router, p, way, to, outwards);
}
