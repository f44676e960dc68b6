/*
 * The way of fragments: a packet in fragments is decided by its first one; what
 * that came to is written down, and the others follow (fragment.h).
 */
#include "router/nat_path.h"

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
	reason = nat_decide(router, p, path, way, &d);
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
	return nat_translate(router, p, &d);
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

enum reason
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

enum reason
fragment_path_local(struct router *router, struct packet *p)
{
	return fragment_path(router, p, PATH_LOCAL, NULL);
}
