/*
 * The way of a packet that is translated, and of fragments.
 *
 * First all is decided, then bytes are changed: an error about a packet that
 * goes no further can so quote what its sender sent (RFC 4787, REQ-13).  For
 * the same reason nothing is translated that would not fit or live on.
 *
 * A packet between two inside hosts by their outer ends is translated twice,
 * out and in again, so that it arrives from the sender's outer end (RFC 4787,
 * REQ-9a), and is filtered like one from beyond.
 *
 * A packet in fragments is decided by its first one; what that came to is
 * written down, and the others follow (fragment.h).
 */
#include "router/router_state.h"

#include "net/tcp.h"
#include "router/filter6.h"

/* Where a packet meets the NAT. */
enum path {
	PATH_OUT,     /* from inside, to beyond */
	PATH_IN,      /* from beyond, to an outer address */
	PATH_HAIRPIN, /* from inside, to an outer address */
	PATH_LOCAL,   /* to the router; no NAT at all */
};

/* What is to become of it. */
enum fate {
	FATE_TRANSLATE, /* to ends, by way */
	FATE_ERROR,     /* it is an ICMP error */
	FATE_LOCAL,     /* it is for the router itself */
};

struct decision {
	enum path path;
	enum fate fate;
	struct nat_ends ends;
	struct way way;
	enum reason reason;
	uint32_t entry, other;
};

/* ---- deciding ---- */

static const struct nat_segment *
segment_of(const struct packet *p)
{
	return p->l4.is_tcp ? &p->l4.segment : NULL;
}

/* The table is full or out of ports: RFC 6888 REQ-11 wants host unreachable. */
static enum reason
refuse_out(struct router *router, const struct packet *p, enum reason reason)
{
	if (reason == DROP_NAT_FULL || reason == DROP_NAT_NO_PORT ||
	    reason == DROP_NAT_HOST_LIMIT)
		output_error(router, p, ICMP_UNREACHABLE, ICMP_UNREACH_HOST, 0);
	else if (reason == DROP_NAT_PROTOCOL)
		output_error(
		    router, p, ICMP_UNREACHABLE, ICMP_UNREACH_PROHIBITED, 0);
	return reason;
}

/* A ping's answer goes out by the way it came, if that led to a host with an
 * address of its own: nobody else was asked anything. */
static enum reason
decide_reply_out(
    struct router *router, const struct packet *p, struct decision *d)
{
	const struct nat_flow flow = { .ip = p->ip.src,
		.port = p->l4.dport,
		.remote_ip = p->ip.dst,
		.protocol = IP_ICMP };
	struct nat_hit hit;

	if (!nat_find_out(router->nat, &flow, p->now_ns, &hit) ||
	    !nat_is_owned(router->nat, hit.ip))
		return DROP_NAT_STATE;
	d->reason =
	    nat_out(router->nat, &flow, NULL, p->frame->len, p->now_ns, &hit);
	if (reason_is_drop(d->reason))
		return d->reason;
	d->ends = (struct nat_ends){
		.src = hit.ip, .dst = p->ip.dst, .dport = hit.port
	};
	d->entry = hit.id;
	return REASON_NONE;
}

/* A ping to the address of one inside host goes there; others are for the
 * router. */
static enum reason
decide_ping_in(
    struct router *router, const struct packet *p, struct decision *d)
{
	const struct nat_flow flow = { .ip = p->ip.dst,
		.port = p->l4.sport,
		.remote_ip = p->ip.src,
		.protocol = IP_ICMP };
	struct nat_hit hit;

	if (!nat_is_owned(router->nat, p->ip.dst)) {
		d->fate = FATE_LOCAL;
		return REASON_NONE;
	}
	d->reason =
	    nat_in(router->nat, &flow, NULL, p->frame->len, p->now_ns, &hit);
	if (reason_is_drop(d->reason))
		return d->reason;
	if (!way_find(router, hit.ip, &d->way))
		return DROP_NO_ROUTE;
	d->ends = (struct nat_ends){
		.src = p->ip.src, .sport = hit.port, .dst = hit.ip
	};
	d->entry = hit.id;
	return forward_check(router, p, d->way.out);
}

static enum reason
decide_out(struct router *router, const struct packet *p, struct decision *d)
{
	enum reason reason = forward_check(router, p, d->way.out);
	const struct nat_flow *flow = &p->flow;
	struct nat_hit hit;

	if (reason == REASON_NONE)
		reason = p->l4_reason;
	if (reason != REASON_NONE)
		return refuse_out(router, p, reason);
	if (p->l4.kind == NAT_ICMPERROR) {
		d->fate = FATE_ERROR;
		return REASON_NONE;
	}
	if (p->l4.is_reply)
		return decide_reply_out(router, p, d);
	d->reason = nat_out(
	    router->nat, flow, segment_of(p), p->frame->len, p->now_ns, &hit);
	if (reason_is_drop(d->reason))
		return refuse_out(router, p, d->reason);
	if (router->syns.n > 0 && d->reason == REASON_NAT_NEW && p->l4.is_tcp)
		router_forget_syn(router, hit.ip, hit.port, flow);
	d->ends.src = hit.ip;
	d->ends.sport = hit.port;
	d->ends.dst = p->ip.dst;
	d->ends.dport = p->l4.dport;
	d->entry = hit.id;
	return REASON_NONE;
}

static enum reason
decide_in(struct router *router, const struct packet *p, struct decision *d)
{
	enum reason reason = p->l4_reason;
	struct nat_hit hit;

	if (reason != REASON_NONE)
		return reason;
	if (p->l4.kind == NAT_ICMPERROR) {
		d->fate = FATE_ERROR;
		return REASON_NONE;
	}
	if (p->ip.protocol == IP_ICMP && !p->l4.is_reply)
		return decide_ping_in(router, p, d);
	d->reason = nat_in(router->nat, &p->flow, segment_of(p), p->frame->len,
	    p->now_ns, &hit);
	if (reason_is_drop(d->reason))
		return d->reason;
	if (router->syns.n > 0 && p->l4.is_tcp)
		router_forget_syn(router, p->flow.ip, p->flow.port, &p->flow);
	if (!way_find(router, hit.ip, &d->way))
		return DROP_NO_ROUTE;
	d->ends.src = p->ip.src;
	d->ends.sport = p->l4.sport;
	d->ends.dst = hit.ip;
	d->ends.dport = hit.port;
	d->entry = hit.id;
	return forward_check(router, p, d->way.out);
}

/* Is a ping, or its answer, for an inside host, not for the router? */
static bool
goes_round(const struct router *router, const struct packet *p)
{
	const struct nat_flow flow = { .ip = p->ip.src,
		.port = p->l4.dport,
		.remote_ip = p->ip.dst,
		.protocol = IP_ICMP };
	struct nat_hit hit;

	if (!p->l4.is_reply)
		return nat_is_owned(router->nat, p->ip.dst);
	return nat_find_out(router->nat, &flow, p->now_ns, &hit) &&
	    nat_is_owned(router->nat, hit.ip);
}

/* A ping between inside hosts, to the address that is one's alone, or its answer
 * (RFC 5508 REQ-7). */
static enum reason
decide_ping_round(
    struct router *router, const struct packet *p, struct decision *d)
{
	bool is_reply = p->l4.is_reply;
	struct nat_flow flow = { .ip = p->ip.src,
		.port = is_reply ? p->l4.dport : p->l4.sport,
		.remote_ip = p->ip.dst,
		.protocol = IP_ICMP };
	struct nat_hit out, in;

	d->reason =
	    nat_out(router->nat, &flow, NULL, p->frame->len, p->now_ns, &out);
	if (reason_is_drop(d->reason))
		return refuse_out(router, p, d->reason);
	flow = (struct nat_flow){ .ip = p->ip.dst,
		.port = out.port,
		.remote_ip = out.ip,
		.protocol = IP_ICMP };
	d->reason =
	    nat_in(router->nat, &flow, NULL, p->frame->len, p->now_ns, &in);
	if (reason_is_drop(d->reason))
		return d->reason;
	if (!way_find(router, in.ip, &d->way))
		return DROP_NO_ROUTE;
	d->ends = (struct nat_ends){
		.src = out.ip, .sport = in.port, .dst = in.ip, .dport = in.port
	};
	d->fate = FATE_TRANSLATE;
	d->reason = REASON_NAT_HAIRPIN;
	d->entry = out.id;
	d->other = in.id;
	return forward_check(router, p, d->way.out);
}

static enum reason
decide_hairpin(
    struct router *router, const struct packet *p, struct decision *d)
{
	enum reason reason = p->l4_reason;
	struct nat_flow flow;
	struct nat_hit out, in;

	if (reason != REASON_NONE && reason != DROP_NAT_PROTOCOL)
		return reason;
	d->fate = FATE_LOCAL;
	if (reason == DROP_NAT_PROTOCOL)
		return REASON_NONE;
	if (p->l4.kind == NAT_ICMPERROR) {
		d->fate = FATE_ERROR;
		return REASON_NONE;
	}
	if (p->ip.protocol == IP_ICMP)
		return goes_round(router, p) ? decide_ping_round(router, p, d)
					     : REASON_NONE;
	if (!nat_has_port(router->nat, p->ip.dst, p->ip.protocol, p->l4.dport))
		return REASON_NONE;
	d->fate = FATE_TRANSLATE;
	reason = nat_out(router->nat, &p->flow, segment_of(p), p->frame->len,
	    p->now_ns, &out);
	if (reason_is_drop(reason))
		return refuse_out(router, p, reason);
	nat_flow_in(&p->l4, &flow);
	flow.remote_ip = out.ip;
	flow.remote_port = out.port;
	reason = nat_in(
	    router->nat, &flow, segment_of(p), p->frame->len, p->now_ns, &in);
	if (reason_is_drop(reason))
		return reason;
	if (!way_find(router, in.ip, &d->way))
		return DROP_NO_ROUTE;
	d->ends = (struct nat_ends){
		.src = out.ip, .sport = out.port, .dst = in.ip, .dport = in.port
	};
	if (nat_rules(router->nat)->hairpin_internal) {
		d->ends.src = p->ip.src;
		d->ends.sport = p->l4.sport;
	}
	d->reason = REASON_NAT_HAIRPIN;
	d->entry = out.id;
	d->other = in.id;
	return forward_check(router, p, d->way.out);
}

static bool
is_refusal_of_nat(enum reason reason)
{
	switch (reason) {
	case DROP_NAT_UNSOLICITED:
	case DROP_NAT_FILTERED:
	case DROP_NAT_STATE:
	case DROP_NAT_PROTOCOL:
	case DROP_NAT_FULL:
	case DROP_NAT_HOST_LIMIT:
	case DROP_NAT_NO_PORT: return true;
	default: return false; /* open: refused by others than NAT */
	}
}

static enum reason
decide(struct router *router, const struct packet *p, enum path path,
    const struct way *way, struct decision *d)
{
	enum reason reason = DROP_NAT_PROTOCOL;

	d->path = path;
	d->fate = FATE_TRANSLATE;
	d->reason = REASON_NONE;
	d->other = 0;
	if (way != NULL) {
		d->way.out = way->out;
		d->way.next_hop = way->next_hop;
	}
	switch (path) {
	case PATH_OUT: reason = decide_out(router, p, d); break;
	case PATH_IN: reason = decide_in(router, p, d); break;
	case PATH_HAIRPIN: reason = decide_hairpin(router, p, d); break;
	case PATH_LOCAL:
		d->fate = FATE_LOCAL;
		reason = REASON_NONE;
		break;
	}
	if (reason_is_drop(reason) && is_refusal_of_nat(reason)) {
		router_note_refusal(router, p, reason);
		if (path == PATH_IN &&
		    (reason == DROP_NAT_UNSOLICITED ||
			reason == DROP_NAT_FILTERED))
			router_hold_syn(router, p);
	}
	return reason;
}

/* ---- acting ---- */

/* What may yet be cut must not mix with what others send by the same addresses
 * (RFC 6864 5.3.1).  What becomes IPv6 keeps its number (RFC 7915 4.1). */
static inline void
new_id(struct router *router, struct packet *p, const struct way *way,
    uint32_t src, uint32_t dst)
{
	uint16_t n = 1;

	if (p->ip.fragment & IP4_DF || way->out->real != NULL)
		return;
	if (p->frame->flags & FRAME_TSO4)
		n = (uint16_t)(p->frame->len / p->frame->gso_bytes + 1);
	ip_ids_write(packet_ip(p),
	    ip_ids_take(&router->ids, src, dst, p->ip.protocol, n));
}

static enum reason
translate(struct router *router, struct packet *p, const struct decision *d)
{
	nat_rewrite(&p->l4, &d->ends);
	p->frame->verdict.reason = (uint16_t)d->reason;
	p->frame->verdict.entry = d->entry;
	p->frame->verdict.other = d->other;
	/* Answers to an inside source need not come by here. */
	if (alg_wants(router, p) &&
	    (d->path != PATH_HAIRPIN ||
		!nat_rules(router->nat)->hairpin_internal))
		return alg_send(router, p, &d->way, &d->ends,
		    d->path == PATH_OUT      ? ALG_OUT
			: d->path == PATH_IN ? ALG_IN
					     : ALG_ROUND);
	return forward_send(router, p, &d->way);
}

/* An ICMP error that comes by path. */
static enum reason
translate_error(struct router *router, struct packet *p, enum path path,
    const struct way *to)
{
	size_t bytes = p->ip.total_bytes;
	struct nat_hit hit = { .id = 0 };
	struct way way = { .out = NULL };
	enum reason reason;

	if (!packet_whole(router, p))
		return DROP_PORT_FULL;
	if (path == PATH_OUT)
		way = *to;
	if (path != PATH_IN) {
		reason = nat_icmp_out(
		    router->nat, packet_ip(p), bytes, p->now_ns, &hit);
		if (reason == DROP_NAT_ICMP && path == PATH_HAIRPIN)
			return local_packet(router, p);
		if (reason != REASON_NAT_ICMP)
			return reason;
	}
	if (path != PATH_OUT) {
		reason = nat_icmp_in(
		    router->nat, packet_ip(p), bytes, p->now_ns, &hit);
		if (reason == DROP_NAT_ICMP && path == PATH_IN)
			router_note_refusal(router, p, reason);
		if (reason != REASON_NAT_ICMP)
			return reason;
		if (!way_find(router, hit.ip, &way))
			return DROP_NO_ROUTE;
	}
	reason = forward_check(router, p, way.out);
	if (reason != REASON_NONE)
		return reason;
	new_id(router, p, &way, get_be32(packet_ip(p) + IP4_OFF_SRC),
	    get_be32(packet_ip(p) + IP4_OFF_DST));
	p->frame->verdict.reason = REASON_NAT_ICMP;
	p->frame->verdict.entry = hit.id;
	return forward_send(router, p, &way);
}

/* ---- fragments ---- */

/* A fragment of a packet whose fate is known. */
static enum reason
follow(
    struct router *router, struct packet *p, const struct fragment_fate *fate)
{
	struct way way = { .out = fate->out, .next_hop = fate->next_hop };
	enum reason reason = forward_check(router, p, way.out);

	if (reason != REASON_NONE)
		return reason;
	nat_rewrite_addresses(packet_ip(p), fate->src, fate->dst);
	ip_ids_write(packet_ip(p), fate->id);
	p->frame->verdict.reason = (uint16_t)fate->reason;
	p->frame->verdict.entry = fate->entry;
	p->frame->verdict.other = fate->other;
	return forward_send(router, p, &way);
}

/* Sends the fragments that came before the first. */
static void
release(struct router *router, struct packet *first, struct fragments *f)
{
	struct held *held;

	while ((held = fragment_pop(router->fragments, f)) != NULL) {
		uint8_t *room = outbox_room(router->outbox, held->len);
		struct held_view view;
		struct packet p = *first;
		enum reason reason = DROP_PORT_FULL;

		hold_view(&view, held);
		if (room != NULL) {
			struct frame frame = { .data = room,
				.len = held->len,
				.head = held->len,
				.verdict = held->verdict };
			struct cursor c;

			frame_copy(room, &view.frame, 0, held->len);
			c = cursor(room + ETH_HEADER_BYTES,
			    held->len - (size_t)ETH_HEADER_BYTES);
			p.frame = &frame;
			p.bytes = room;
			p.head = held->len;
			reason = ip4_parse(&p.ip, &c);
			if (reason == REASON_NONE)
				reason = follow(router, &p, &f->fate);
		}
		if (reason_is_drop(reason))
			router->node.count[reason]++;
		fragment_drop(router->fragments, held);
	}
}

/* All fragments of a packet for the router are there. */
static enum reason
deliver(struct router *router, struct packet *p, struct fragments *f)
{
	uint8_t *ip = router->whole + ETH_HEADER_BYTES;
	uint32_t header_bytes = p->ip.header_bytes;
	uint32_t bytes = header_bytes + f->total_bytes;
	struct packet whole = *p;
	struct frame frame = { .data = router->whole };
	struct writer w;

	if (bytes > IP4_MAX_BYTES ||
	    !fragment_join(router->fragments, f, ip + header_bytes))
		return DROP_FRAGMENT;
	whole.ip.total_bytes = (uint16_t)bytes;
	whole.ip.fragment = 0;
	whole.ip.offset_bytes = 0;
	w = writer(ip, header_bytes);
	ip4_write(&w, &whole.ip);
	frame.len = frame.head = ETH_HEADER_BYTES + bytes;
	whole.frame = &frame;
	whole.bytes = router->whole;
	whole.head = frame.len;
	return local_packet(router, &whole);
}

/* The first fragment: decides for all. */
static enum reason
first_fragment(struct router *router, struct packet *p, enum path path,
    const struct way *way, struct fragments *f)
{
	struct decision d;
	struct fragment_fate fate;
	enum reason reason;

	packet_read_l4(router, p);
	reason = decide(router, p, path, way, &d);
	if (reason == REASON_NONE && d.fate == FATE_ERROR)
		reason = DROP_FRAGMENT; /* they are short by design */
	if (reason != REASON_NONE) {
		if (f->state == FRAGMENT_WAITING)
			fragment_refuse(router->fragments, f, reason);
		return reason;
	}
	if (d.fate == FATE_LOCAL) {
		if (f->state != FRAGMENT_WAITING)
			return DROP_FRAGMENT;
		fragment_decide(
		    router->fragments, f, FRAGMENT_COLLECTING, NULL);
		return REASON_NONE;
	}
	if (f->state == FRAGMENT_WAITING) {
		fate = (struct fragment_fate){ .out = d.way.out,
			.next_hop = d.way.next_hop,
			.src = d.ends.src,
			.dst = d.ends.dst,
			.id = d.way.out->real != NULL
			    ? p->ip.id
			    : ip_ids_take(&router->ids, d.ends.src, d.ends.dst,
				  p->ip.protocol, 1),
			.reason = d.reason == REASON_NAT_NEW ? REASON_NAT_OUT
							     : d.reason,
			.entry = d.entry,
			.other = d.other };
		fragment_decide(router->fragments, f, FRAGMENT_PASSING, &fate);
	}
	ip_ids_write(packet_ip(p), f->fate.id);
	return translate(router, p, &d);
}

/* Keeps a fragment; if the packet is for the router and whole, delivers it. */
static enum reason
keep(struct router *router, struct packet *p, struct fragments *f)
{
	struct frame trimmed = *p->frame;
	struct verdict verdict = p->frame->verdict;
	enum reason reason;

	if (!packet_whole(router, p))
		return DROP_PORT_FULL;
	/* Without the padding of short frames. */
	trimmed.data = p->bytes;
	trimmed.len = (uint32_t)ETH_HEADER_BYTES + p->ip.total_bytes;
	trimmed.head = trimmed.len;
	trimmed.tail = NULL;
	trimmed.ntail = 0;
	verdict.reason = REASON_FRAGMENT_HELD;
	reason =
	    fragment_keep(router->fragments, f, &p->ip, &trimmed, &verdict);
	if (reason == REASON_FRAGMENT_HELD && fragment_is_complete(f) &&
	    f->state == FRAGMENT_COLLECTING) {
		reason = deliver(router, p, f);
		fragment_end(router->fragments, f);
	}
	return reason;
}

static enum reason
fragment_path(struct router *router, struct packet *p, enum path path,
    const struct way *way)
{
	bool is_first = p->ip.offset_bytes == 0;
	struct fragments *f;
	enum reason reason = REASON_NONE;

	/* It would overwrite the flags of the first one (RFC 3128). */
	if (p->ip.protocol == IP_TCP && p->ip.offset_bytes == 8)
		return DROP_FRAGMENT;
	f = fragment_find(router->fragments, p->in, &p->ip, p->now_ns);
	if (f->state == FRAGMENT_REFUSED)
		reason = (enum reason)f->fate.reason;
	else if (is_first && f->state != FRAGMENT_COLLECTING)
		reason = first_fragment(router, p, path, way, f);
	else if (f->state == FRAGMENT_PASSING)
		reason = follow(router, p, &f->fate);
	if (reason == REASON_NONE)
		return keep(router, p, f);
	if (f->state == FRAGMENT_PASSING)
		release(router, p, f);
	if (fragment_is_complete(f))
		fragment_end(router->fragments, f);
	return reason;
}

/* ---- the ways in ---- */

static enum reason
nat_path(struct router *router, struct packet *p, enum path path,
    const struct way *way)
{
	struct decision d;
	enum reason reason;

	/* It would tell inside addresses beyond (RFC 5508 7.3). */
	if (path != PATH_IN && p->ip.header_bytes > IP4_HEADER_BYTES &&
	    ip4_source_route(&p->ip) != IP4_SOURCE_ROUTE_NONE)
		return DROP_SOURCE_ROUTE;
	if (ip4_is_fragment(&p->ip))
		return fragment_path(router, p, path, way);
	reason = decide(router, p, path, way, &d);
	if (reason != REASON_NONE)
		return reason;
	switch (d.fate) {
	case FATE_TRANSLATE:
		new_id(router, p, &d.way, d.ends.src, d.ends.dst);
		return translate(router, p, &d);
	case FATE_ERROR: return translate_error(router, p, path, way);
	case FATE_LOCAL: return local_packet(router, p);
	}
	return DROP_NAT_PROTOCOL;
}

enum reason
nat_path_out(struct router *router, struct packet *p, const struct way *way)
{
	return nat_path(router, p, PATH_OUT, way);
}

enum reason
nat_path_in(struct router *router, struct packet *p)
{
	return nat_path(router, p, PATH_IN, NULL);
}

enum reason
nat_path_hairpin(struct router *router, struct packet *p)
{
	return nat_path(router, p, PATH_HAIRPIN, NULL);
}

enum reason
fragment_path_local(struct router *router, struct packet *p)
{
	return fragment_path(router, p, PATH_LOCAL, NULL);
}

/* ---- time ---- */

void
router_nat_expire(void *arg)
{
	struct router *router = arg;

	nat_expire(router->nat, loop_now_ns(router->loop));
	router_arm_timers(router);
}

void
router_fragments_expire(void *arg)
{
	struct router *router = arg;

	fragment_expire(router->fragments, loop_now_ns(router->loop));
	router_arm_timers(router);
}

void
router_arm_timers(struct router *router)
{
	uint64_t due;

	if (router->nat != NULL) {
		due = nat_due_ns(router->nat);
		if (due != UINT64_MAX &&
		    (!loop_timer_is_set(&router->nat_timer) ||
			due < router->nat_timer.at_ns))
			loop_timer_set(&router->nat_timer, due);
	}
	if (router->filter6 != NULL)
		filter6_arm(router->filter6);
	due = fragment_due_ns(router->fragments);
	if (due != UINT64_MAX && !loop_timer_is_set(&router->fragment_timer))
		loop_timer_set(&router->fragment_timer, due);
}
