/*
 * The last steps of a packet: it fits the link or is cut to fit, its next hop
 * is known or it is kept until then, and it goes to the outbox.
 *
 * Fragments are cut in order, with the options that are to be copied (RFC 791
 * 3.1).  What an offload left to do is done before a packet is cut: nobody
 * could do it afterwards.
 *
 * When a next hop does not answer, the packets kept for it were translated
 * already.  The error about one is made as if it came from beyond, and then
 * goes back through the NAT like any other, so that it speaks of what its
 * sender sent.
 */
#include "router/router_state.h"

#include "net/arp.h"
#include "net/checksum.h"
#include "router/nat64.h"
#include "switch/offload.h"

#define OPT_END    0
#define OPT_NOP    1
#define OPT_COPIED 0x80

/* ---- one frame ---- */

void
output_link(
    uint8_t *head, const struct iface *out, const struct mac *to, uint16_t type)
{
	memcpy(head, to->b, sizeof(to->b));
	memcpy(head + 6, out->mac.b, sizeof(out->mac.b));
	put_be16(head + 12, type);
}

/* A tail lies in the memory of take()'s caller, which is gone by the time that
 * a frame added meanwhile is sent. */
bool
output_send(struct router *router, struct iface *out, const struct frame *frame,
    const struct verdict *cause)
{
	bool fits = frame->ntail > 0 && outbox_is_sending(router->outbox)
	    ? outbox_add_copy(router->outbox, &out->port, frame, cause)
	    : outbox_add(router->outbox, &out->port, frame, cause);

	if (fits && cause == &router->own)
		router->node.count[REASON_SENT]++;
	return fits;
}

/* Sends one frame that fits, to its next hop. */
static enum reason
send_one(struct router *router, const struct way *way, struct frame *frame,
    uint8_t *head, const struct verdict *cause)
{
	struct ip6_addr hop = ip6_of_ip4(way->next_hop);
	const struct mac *to = neigh_find(
	    router->neighbours, way->out, &hop, loop_now_ns(router->loop));

	if (to == NULL) {
		struct verdict kept = *cause;

		if (cause != &router->own)
			kept.reason = REASON_ARP_QUEUED;
		return neigh_keep(
		    router->neighbours, way->out, &hop, frame, &kept);
	}
	output_link(head, way->out, to, ETH_IPV4);
	return output_send(router, way->out, frame, cause) ? REASON_NONE
							   : DROP_PORT_FULL;
}

/* ---- fragments ---- */

struct cutting {
	struct router *router;
	const struct way *way;
	const struct verdict *cause;
	enum reason worst; /* of the fragments' reasons */
};

/* Copies to out the options that belong into every fragment.  Returns the
 * length, padded. */
static size_t
copied_options(uint8_t *out, const uint8_t *options, size_t bytes)
{
	struct cursor c = cursor(options, bytes);
	size_t n = 0;

	while (cur_left(&c) > 0) {
		const uint8_t *at = c.at;
		uint8_t type = cur_u8(&c), len;

		if (type == OPT_END)
			break;
		if (type == OPT_NOP)
			continue;
		len = cur_u8(&c);
		if (len < 2 || cur_left(&c) + 2 < len)
			break;
		cur_skip(&c, len - 2u);
		if (!(type & OPT_COPIED))
			continue;
		memcpy(out + n, at, len);
		n += len;
	}
	while (n % 4 != 0)
		out[n++] = OPT_END;
	return n;
}

/* Writes and sends the fragment that holds bytes from at on of the packet with
 * header ip. */
static enum reason
send_fragment(const struct cutting *cut, const struct ip4 *ip,
    const uint8_t *data, size_t at, size_t bytes, bool last)
{
	struct router *router = cut->router;
	uint8_t options[IP4_HEADER_BYTES * 2];
	struct ip4 header = *ip;
	struct writer w;
	struct frame frame;
	uint8_t *room;
	size_t len;

	if (at > 0) {
		header.header_bytes = (uint8_t)(IP4_HEADER_BYTES +
		    copied_options(options, ip->options,
			(size_t)(ip->header_bytes - IP4_HEADER_BYTES)));
		header.options = options;
	}
	header.total_bytes = (uint16_t)(header.header_bytes + bytes);
	header.offset_bytes = (uint16_t)(ip->offset_bytes + at);
	if (!last)
		header.fragment |= IP4_MF;
	len = (size_t)ETH_HEADER_BYTES + header.total_bytes;
	room = outbox_room(router->outbox, len);
	if (room == NULL)
		return DROP_PORT_FULL;
	w = writer(room + ETH_HEADER_BYTES, len - ETH_HEADER_BYTES);
	ip4_write(&w, &header);
	wr_bytes(&w, data + at, bytes);
	frame = (struct frame){
		.data = room, .len = (uint32_t)len, .head = (uint32_t)len
	};
	return send_one(router, cut->way, &frame, room, cut->cause);
}

/* Cuts a finished, contiguous packet of whole bytes. */
static void
cut_packet(struct cutting *cut, const uint8_t *packet, size_t bytes)
{
	struct cursor c = cursor(packet, bytes);
	size_t mtu = cut->way->out->mtu_bytes, part, payload, n;
	struct ip4 ip;
	enum reason reason = ip4_parse(&ip, &c);

	if (reason != REASON_NONE) {
		cut->worst = reason;
		return;
	}
	payload = cur_left(&c);
	part = (mtu - ip.header_bytes) & ~(size_t)7;
	n = payload / part + 1;
	if (!outbox_has_room(cut->router->outbox, (unsigned int)n,
		payload + n * (ETH_HEADER_BYTES + 60))) {
		cut->worst = DROP_PORT_FULL;
		return;
	}
	for (size_t at = 0; at < payload; at += part) {
		bool last = payload - at <= part;

		if (last)
			part = payload - at;
		reason = send_fragment(cut, &ip, c.at, at, part, last);
		if (reason != REASON_NONE)
			cut->worst = reason;
	}
}

static void
cut_segment(void *arg, const uint8_t *data, size_t len)
{
	cut_packet(arg, data + ETH_HEADER_BYTES, len - ETH_HEADER_BYTES);
}

static enum reason
output_cut(struct router *router, const struct way *way,
    const struct frame *frame, const struct verdict *cause)
{
	struct cutting cut = { .router = router, .way = way, .cause = cause };

	if (frame->flags & FRAME_TSO4) {
		if (offload_segment(frame, cut_segment, &cut) == 0)
			return DROP_VNET_HEADER;
		return cut.worst;
	}
	if (frame->data != router->whole)
		frame_copy(router->whole, frame, 0, frame->len);
	if (frame->flags & FRAME_CSUM)
		offload_checksum(router->whole, frame);
	cut_packet(&cut, router->whole + ETH_HEADER_BYTES,
	    frame->len - ETH_HEADER_BYTES);
	return cut.worst;
}

/* The longest IP packet that frame becomes on a link. */
static size_t
longest(const struct frame *frame)
{
	size_t len = frame->len;

	if (frame->flags & FRAME_TSO4 &&
	    (size_t)frame->header_bytes + frame->gso_bytes < len)
		len = (size_t)frame->header_bytes + frame->gso_bytes;
	return len - ETH_HEADER_BYTES;
}

enum reason
output_ip(struct router *router, const struct way *way, struct frame *frame,
    uint8_t *head, const struct verdict *cause)
{
	if (way->out->real != NULL)
		return nat64_output(router, way, frame, cause);
	if (longest(frame) > way->out->mtu_bytes)
		return output_cut(router, way, frame, cause);
	return send_one(router, way, frame, head, cause);
}

/* Most fit, know their next hop, and are copied as a whole already. */
enum reason
output_packet(struct router *router, const struct way *way, struct packet *p,
    const struct verdict *cause)
{
	struct ip6_addr hop = ip6_of_ip4(way->next_hop);
	const struct mac *to = way->out->real != NULL
	    ? NULL
	    : neigh_find(router->neighbours, way->out, &hop, p->now_ns);
	uint32_t len = (uint32_t)ETH_HEADER_BYTES + p->ip.total_bytes;
	struct frame view;

	if (to != NULL && len <= p->head && packet_fits(p, way->out)) {
		output_link(p->bytes, way->out, to, ETH_IPV4);
		return outbox_add_bytes(router->outbox, &way->out->port,
			   p->frame, p->bytes, len, cause)
		    ? REASON_NONE
		    : DROP_PORT_FULL;
	}
	if (!packet_view(router, p, &view))
		return DROP_PORT_FULL;
	return output_ip(router, way, &view, p->bytes, cause);
}

/* ---- the router's own ---- */

uint8_t *
output_room(struct router *router, size_t ip_bytes)
{
	uint8_t *room =
	    outbox_room(router->outbox, ETH_HEADER_BYTES + ip_bytes);

	return room != NULL ? room + ETH_HEADER_BYTES : NULL;
}

struct frame
output_frame(uint8_t *ip, size_t ip_bytes)
{
	uint32_t len = (uint32_t)(ETH_HEADER_BYTES + ip_bytes);

	return (struct frame){
		.data = ip - ETH_HEADER_BYTES, .len = len, .head = len
	};
}

enum reason
output_own(struct router *router, uint8_t *ip, size_t ip_bytes)
{
	struct frame frame = output_frame(ip, ip_bytes);
	struct way way;

	if (!way_find(router, get_be32(ip + IP4_OFF_DST), &way))
		return DROP_NO_ROUTE;
	return output_ip(
	    router, &way, &frame, ip - ETH_HEADER_BYTES, &router->own);
}

enum reason
output_direct(struct router *router, struct iface *out, const struct mac *mac,
    uint8_t *ip, size_t ip_bytes)
{
	struct frame frame = output_frame(ip, ip_bytes);

	output_link(ip - ETH_HEADER_BYTES, out, mac, ETH_IPV4);
	return output_send(router, out, &frame, &router->own) ? REASON_NONE
							      : DROP_PORT_FULL;
}

void
output_arp(struct router *router, struct iface *out, const struct mac *to,
    const struct arp *arp)
{
	uint8_t *room =
	    outbox_room(router->outbox, ETH_HEADER_BYTES + ARP_BYTES);
	struct frame frame = { .data = room,
		.len = ETH_HEADER_BYTES + ARP_BYTES,
		.head = ETH_HEADER_BYTES + ARP_BYTES };
	struct writer w;

	if (room == NULL)
		return; /* who asks will ask again */
	output_link(room, out, to, ETH_ARP);
	w = writer(room + ETH_HEADER_BYTES, ARP_BYTES);
	arp_write(&w, arp);
	output_send(router, out, &frame, &router->own);
}

/* ---- errors ---- */

void
output_error(struct router *router, const struct packet *p, uint8_t type,
    uint8_t code, uint32_t word)
{
	struct icmp_error error = { .type = type,
		.code = code,
		.word = word,
		.tos = icmp_error_tos(p->ip.tos, router->nat != NULL) };
	uint8_t quote[ICMP_ERROR_QUOTE];
	size_t n = p->ip.total_bytes, have = p->head - ETH_HEADER_BYTES;
	const uint8_t *payload;
	size_t payload_bytes = packet_payload(p, &payload);
	struct way way;
	struct writer w;
	uint8_t *ip;

	if (!icmp_error_allowed(&p->ip, payload, payload_bytes, p->group))
		return;
	if (!way_find(router, p->ip.src, &way) || way.out->no_errors ||
	    !icmp_limit_take(&router->errors, p->ip.src, p->now_ns))
		return;
	if (n > sizeof(quote))
		n = sizeof(quote);
	if (have > n)
		have = n;
	/* What was decided by is quoted from our copy. */
	memcpy(quote, packet_ip(p), have);
	if (n > have)
		frame_copy(
		    quote + have, p->frame, ETH_HEADER_BYTES + have, n - have);
	ip = output_room(router, ICMP_ERROR_BYTES);
	if (ip == NULL)
		return;
	error.id = ip_ids_take(
	    &router->ids, way.out->address.addr, p->ip.src, IP_ICMP, 1);
	w = writer(ip, ICMP_ERROR_BYTES);
	icmp_error_write(
	    &w, &error, way.out->address.addr, p->ip.src, quote, n);
	output_own(router, ip, (size_t)(w.at - ip));
}

/* Brings an error about a translated packet back to whoever sent that.  False:
 * nobody is known, or it never came through the NAT. */
static bool
untranslate(struct router *router, uint8_t *ip, size_t bytes,
    const struct ip4 *quoted, const struct iface *out)
{
	uint64_t now_ns = loop_now_ns(router->loop);
	bool is_ours = nat_has_address(router->nat, quoted->src);
	struct nat_hit hit;
	struct way way;

	/* It was coming in, from beyond or from inside by the outer address. */
	if (out != router->outside && way_find(router, quoted->src, &way) &&
	    (is_ours || way.out == router->outside) &&
	    !place_find(router, quoted->src)->exempt &&
	    nat_icmp_out(router->nat, ip, bytes, now_ns, &hit) !=
		REASON_NAT_ICMP)
		return false;
	/* It was going out. */
	if (is_ours &&
	    nat_icmp_in(router->nat, ip, bytes, now_ns, &hit) !=
		REASON_NAT_ICMP)
		return false;
	return true;
}

/* A packet's next hop did not answer. */
static void
host_unreachable(
    struct router *router, const struct iface *out, struct held *held)
{
	struct icmp_error error = { .type = ICMP_UNREACHABLE,
		.code = ICMP_UNREACH_HOST };
	struct held_view view;
	uint8_t quote[ICMP_ERROR_QUOTE], *ip;
	size_t n = held->len - ETH_HEADER_BYTES;
	struct cursor c;
	struct ip4 quoted, header;
	struct writer w;
	struct way way;

	hold_view(&view, held);
	if (n > sizeof(quote))
		n = sizeof(quote);
	frame_copy(quote, &view.frame, ETH_HEADER_BYTES, n);
	c = cursor(quote, n);
	if (ip4_parse_quoted(&quoted, &c) != REASON_NONE ||
	    !icmp_error_allowed(&quoted, c.at, cur_left(&c), false) ||
	    held->verdict.reason == REASON_SENT ||
	    !icmp_limit_take(
		&router->errors, quoted.src, loop_now_ns(router->loop)))
		return;
	ip = output_room(router, ICMP_ERROR_BYTES);
	if (ip == NULL)
		return;
	error.tos = icmp_error_tos(quoted.tos, router->nat != NULL);
	w = writer(ip, ICMP_ERROR_BYTES);
	icmp_error_write(&w, &error, out->address.addr, quoted.src, quote, n);
	n = (size_t)(w.at - ip);
	if (router->nat != NULL && !untranslate(router, ip, n, &quoted, out))
		return;
	/* Its source is the address of where it leaves (RFC 1812 4.3.2.4). */
	c = cursor(ip, n);
	if (ip4_parse(&header, &c) != REASON_NONE ||
	    !way_find(router, header.dst, &way) || way.out->no_errors)
		return;
	nat_rewrite_addresses(ip, way.out->address.addr, header.dst);
	ip_ids_write(ip,
	    ip_ids_take(
		&router->ids, way.out->address.addr, header.dst, IP_ICMP, 1));
	output_own(router, ip, n);
}

/* ---- what the neighbours' table asks for ---- */

static void
ask(void *arg, struct iface *iface, const struct ip6_addr *ip,
    const struct mac *to)
{
	struct arp arp = { .op = ARP_REQUEST,
		.sender_mac = iface->mac,
		.sender_ip = iface->address.addr };

	(void)ip6_to_ip4(&arp.target_ip, ip);
	/* If there is no room, it is asked for again in a second. */
	output_arp(arg, iface, to != NULL ? to : &mac_broadcast, &arp);
}

void
output_kept(struct router *router, struct iface *iface, const struct mac *to,
    uint16_t type, struct held *held)
{
	bool own = held->verdict.reason == REASON_SENT;
	struct held_view view;

	hold_view(&view, held);
	/* The first block is ours to write: the view borrows it. */
	output_link((uint8_t *)(held + 1), iface, to, type);
	if (!outbox_add_copy(router->outbox, &iface->port, &view.frame,
		own ? &router->own : &held->verdict))
		router->node.count[DROP_PORT_FULL]++;
	else if (own)
		router->node.count[REASON_SENT]++;
}

void
output_lost(struct router *router, struct iface *iface, struct held *held,
    enum reason reason)
{
	struct held_view view;

	router->node.count[reason]++;
	if (iface->port.watchers == NULL)
		return;
	hold_view(&view, held);
	view.frame.verdict = (struct verdict){ .node = &router->node,
		.reason = (uint16_t)reason,
		.journey = held->verdict.journey };
	port_tell_lost(&iface->port, DIR_OUT, &view.frame);
}

void
output_done(void *arg)
{
	struct router *router = arg;

	outbox_flush(router->outbox);
}

static void
send_kept(
    void *arg, struct iface *iface, const struct mac *to, struct held *held)
{
	output_kept(arg, iface, to, ETH_IPV4, held);
}

static void
lose_kept(void *arg, struct iface *iface, struct held *held, enum reason reason)
{
	output_lost(arg, iface, held, reason);
	if (reason == DROP_ARP_FAILED)
		host_unreachable(arg, iface, held);
}

const struct neigh_calls output_neigh_calls = {
	.queued = REASON_ARP_QUEUED,
	.failed = DROP_ARP_FAILED,
	.full = DROP_ARP_QUEUE,
	.ask = ask,
	.send = send_kept,
	.lost = lose_kept,
	.done = output_done,
};
