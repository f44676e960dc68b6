/*
 * The way of a frame through the router.
 *
 *   take --> parse --> ours? --ARP---------------------------> local_arp
 *                        |---to a group---------------------> local_group
 *                        |---from outside, to our address --> nat_path_in
 *                        |---to the outer address ----------> nat_path_hairpin
 *                        |---to another of our addresses ---> local_packet
 *                        |---by the outer port -------------> nat_path_out
 *                        '---else --------------------------> forward_send
 *
 * Parsing and deciding see only a copy of the frame's first ROUTER_HEAD_BYTES,
 * which no guest can change meanwhile; what follows goes out as it came, by
 * reference, because nothing depends on it.  So a frame of 64 KiB costs no more
 * than its headers.  Those that must be read as a whole (ICMP errors, packets
 * to the router, what is cut) are copied as a whole.
 *
 * Each packet's source must be where its route leads (RFC 1812 5.3.8); behind
 * a NAT's inside ports a route back is a must.  So nothing can leave by the
 * outer port with an address that nobody translated.
 *
 * With NAT, look-ups of a burst are announced from the frames as they lie
 * there, before anything is copied: a guess that may be wrong, and only warms
 * the cache.
 */
#include "router/router_state.h"

#include "net/checksum.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "router/mss.h"

#define REDIRECT_HOST 1            /* the code */
#define OUTBOX_SPARE  (256 * 1024) /* what one frame may cause, and then some */

/* ---- where to ---- */

bool
way_find(const struct router *router, uint32_t addr, struct way *way)
{
	const struct route *route = route_find(&router->routes, addr);

	if (route == NULL)
		return false;
	way->out = route->out;
	way->next_hop = route->via != 0 ? route->via : addr;
	return true;
}

struct iface *
router_owner(const struct router *router, uint32_t addr)
{
	for (unsigned int i = 0; i < router->nifaces; i++)
		if (router->ifaces[i]->address.addr == addr)
			return router->ifaces[i];
	return NULL;
}

/* ---- checks ---- */

/* Addresses that never stand in a packet that is to be forwarded (RFC 1812
 * 5.3.7). */
static bool
is_martian(uint32_t addr)
{
	return addr >> 24 == 0 || ip4_is_loopback(addr) || addr >> 28 >= 0xe;
}

/* Is addr the directed broadcast of a link of ours? */
static bool
is_directed_broadcast(const struct route *route, uint32_t addr)
{
	return route != NULL && route->via == 0 &&
	    ip4_net_broadcast(route->out->address) == addr;
}

/* Can a packet from addr come in here? */
static bool
source_is_plausible(
    const struct router *router, const struct iface *in, uint32_t addr)
{
	const struct route *route = route_find(&router->routes, addr);

	if (is_martian(addr) || is_directed_broadcast(route, addr))
		return false;
	if (route == NULL)
		return router->nat == NULL || in == router->outside;
	return route->out == in && addr != in->address.addr;
}

/* An offload request that leaves the network header alone and says what the
 * transport header is (virtio 1.2, 5.1.6.2): anything else could write over
 * what we decide by. */
static bool
offload_is_right(const struct packet *p)
{
	const struct frame *f = p->frame;
	unsigned int l4 = ETH_HEADER_BYTES + (unsigned int)p->ip.header_bytes;
	const uint8_t *payload;

	if (!(f->flags & FRAME_TODO))
		return true;
	if (f->flags & FRAME_TSO6 || ip4_is_fragment(&p->ip) ||
	    f->csum_start != l4 ||
	    f->len != (size_t)ETH_HEADER_BYTES + p->ip.total_bytes)
		return false;
	if (p->ip.protocol == IP_UDP)
		return f->csum_offset == UDP_OFF_CHECKSUM &&
		    !(f->flags & FRAME_TSO4);
	if (p->ip.protocol != IP_TCP || f->csum_offset != TCP_OFF_CHECKSUM)
		return false;
	if (!(f->flags & FRAME_TSO4))
		return true;
	return packet_payload(p, &payload) >= TCP_HEADER_BYTES &&
	    f->gso_bytes != 0 &&
	    f->header_bytes == l4 + (unsigned int)(payload[12] >> 4 << 2);
}

/* ---- memory ---- */

bool
packet_whole(struct router *router, struct packet *p)
{
	uint8_t *room;

	if (p->head == p->frame->len)
		return true;
	room = outbox_room(router->outbox, p->frame->len);
	if (room == NULL)
		return false;
	memcpy(room, p->bytes, p->head);
	frame_copy(room + p->head, p->frame, p->head, p->frame->len - p->head);
	p->bytes = room;
	p->head = p->frame->len;
	p->ip.options = packet_ip(p) + IP4_HEADER_BYTES;
	return true;
}

/* Describes the packet as it is to leave: our copy of its beginning, and the
 * rest where it lies.  False: no room. */
static bool
borrow_rest(struct router *router, struct packet *p, struct frame *view)
{
	const struct frame *f = p->frame;
	size_t left;
	struct iovec *tail;

	*view = *f;
	view->len = (uint32_t)ETH_HEADER_BYTES + p->ip.total_bytes;
	if (view->len > p->head && f->ntail >= ROUTER_MAX_SEGMENTS &&
	    !packet_whole(router, p))
		return false;
	view->data = p->bytes;
	view->head = view->len < p->head ? view->len : p->head;
	view->tail = NULL;
	view->ntail = 0;
	left = view->len - view->head;
	if (left == 0)
		return true;
	tail = (struct iovec *)(void *)outbox_room(
	    router->outbox, (f->ntail + 1u) * sizeof(*tail));
	if (tail == NULL)
		return false;
	view->tail = tail;
	for (int i = -1; i < f->ntail && left > 0; i++) {
		struct iovec piece = i < 0
		    ? (struct iovec){ (void *)(uintptr_t)(f->data + p->head),
			      f->head - p->head }
		    : f->tail[i];

		if (piece.iov_len > left)
			piece.iov_len = left;
		if (piece.iov_len == 0)
			continue;
		tail[view->ntail++] = piece;
		left -= piece.iov_len;
	}
	return true;
}

/* ---- forwarding ---- */

/* Does the packet, or each segment it is to become, fit the link? */
static bool
fits(const struct packet *p, size_t mtu_bytes)
{
	size_t bytes = p->ip.total_bytes;

	if (p->frame->flags & FRAME_TSO4 &&
	    p->frame->header_bytes + (size_t)p->frame->gso_bytes <
		ETH_HEADER_BYTES + bytes)
		bytes = p->frame->header_bytes + (size_t)p->frame->gso_bytes -
		    ETH_HEADER_BYTES;
	return bytes <= mtu_bytes;
}

enum reason
forward_check(
    struct router *router, const struct packet *p, const struct iface *out)
{
	if (p->ip.ttl <= 1) {
		output_error(router, p, ICMP_TIME_EXCEEDED, 0, 0);
		return DROP_TTL;
	}
	if (p->ip.fragment & IP4_DF && !fits(p, out->mtu_bytes)) {
		output_error(router, p, ICMP_UNREACHABLE, ICMP_UNREACH_NEEDFRAG,
		    out->mtu_bytes);
		return DROP_MTU;
	}
	return REASON_NONE;
}

/* What the rules for packets from in, or to out, say of one. */
static enum reason
filter_packet(struct router *router, const struct packet *p,
    const struct iface *in, const struct iface *out)
{
	enum router_filter_do what = router->filter == NULL
	    ? ROUTER_FILTER_PASS
	    : packet_filter_decide(
		  router->filter, in, out, p->bytes, p->head, p->frame->len);

	switch (what) {
	case ROUTER_FILTER_PASS: return REASON_NONE;
	case ROUTER_FILTER_REJECT:
		/* What was translated is not its sender's packet any more. */
		if (out == NULL || router->nat == NULL)
			output_error(router, p, ICMP_UNREACHABLE,
			    ICMP_UNREACH_PROHIBITED, 0);
		return DROP_FILTERED;
	case ROUTER_FILTER_DROP: return DROP_FILTERED;
	}
	return REASON_NONE;
}

static void
clamp(struct packet *p, const struct iface *out)
{
	bool sum = !(p->frame->flags & FRAME_CSUM);
	size_t bytes = p->head - ETH_HEADER_BYTES;

	if (out->mss_clamp)
		mss_clamp(packet_ip(p), bytes, &p->ip, out->mtu_bytes, sum);
	if (p->in->mss_clamp)
		mss_clamp(packet_ip(p), bytes, &p->ip, p->in->mtu_bytes, sum);
}

enum reason
forward_send(struct router *router, struct packet *p, const struct way *way)
{
	struct verdict *verdict = &p->frame->verdict;
	struct frame view;
	uint8_t *ip;
	uint16_t old;
	enum reason reason;

	verdict->out = &way->out->port;
	verdict->nout = 1;
	reason = filter_packet(router, p, NULL, way->out);
	if (reason != REASON_NONE) {
		verdict->out = NULL;
		verdict->nout = 0;
		return reason;
	}
	ip = packet_ip(p);
	clamp(p, way->out);
	if (!borrow_rest(router, p, &view))
		return DROP_PORT_FULL;
	ip = packet_ip(p);
	old = get_be16(ip + IP4_OFF_TTL);
	ip[IP4_OFF_TTL]--;
	put_be16(ip + IP4_OFF_CHECKSUM,
	    csum_update16(get_be16(ip + IP4_OFF_CHECKSUM), old,
		get_be16(ip + IP4_OFF_TTL)));
	reason = output_ip(router, way, &view, p->bytes, verdict);
	if (reason == REASON_NONE)
		return (enum reason)verdict->reason;
	if (reason_is_drop(reason)) {
		verdict->out = NULL;
		verdict->nout = 0;
	}
	return reason;
}

static enum reason
plain_path(struct router *router, struct packet *p, const struct way *way)
{
	enum reason reason = forward_check(router, p, way->out);

	if (reason != REASON_NONE)
		return reason;
	/* There is a better way, on the sender's own link (RFC 1812 5.2.7.2). */
	if (way->out == p->in && p->in->redirects &&
	    p->ip.header_bytes == IP4_HEADER_BYTES &&
	    ip4_net_has(p->in->address, p->ip.src) &&
	    way->next_hop != p->ip.src)
		output_error(
		    router, p, ICMP_REDIRECT, REDIRECT_HOST, way->next_hop);
	p->frame->verdict.reason = REASON_ROUTED;
	return forward_send(router, p, way);
}

/* A packet to another host. */
static enum reason
route_packet(struct router *router, struct packet *p, const struct route *route)
{
	struct way way;

	if (route == NULL) {
		output_error(router, p, ICMP_UNREACHABLE, ICMP_UNREACH_NET, 0);
		return DROP_NO_ROUTE;
	}
	way.out = route->out;
	way.next_hop = route->via != 0 ? route->via : p->ip.dst;
	if (router->nat == NULL)
		return plain_path(router, p, &way);
	if (p->in != router->outside)
		return way.out == router->outside
		    ? nat_path_out(router, p, &way)
		    : plain_path(router, p, &way);
	if (way.out == router->outside)
		return plain_path(router, p, &way);
	router_note_refusal(router, p, DROP_NAT_UNSOLICITED);
	return DROP_NAT_UNSOLICITED;
}

/* A packet to the router, or to what hides behind its outer address. */
static enum reason
own_packet(struct router *router, struct packet *p, const struct iface *owner)
{
	if (router->nat != NULL && p->in == router->outside) {
		if (owner == router->outside)
			return nat_path_in(router, p);
		router_note_refusal(router, p, DROP_NAT_UNSOLICITED);
		return DROP_NAT_UNSOLICITED;
	}
	if (router->nat != NULL && owner == router->outside &&
	    nat_rules(router->nat)->hairpin)
		return nat_path_hairpin(router, p);
	if (ip4_is_fragment(&p->ip))
		return fragment_path_local(router, p);
	return local_packet(router, p);
}

/* ---- parsing ---- */

static enum reason
take_ip(struct router *router, struct packet *p)
{
	struct cursor c = cursor(packet_ip(p), p->head - ETH_HEADER_BYTES);
	enum reason reason = ip4_parse_quoted(&p->ip, &c);
	const struct route *route;
	const struct iface *owner;

	if (reason != REASON_NONE)
		return reason;
	if (p->ip.total_bytes > p->frame->len - ETH_HEADER_BYTES)
		return DROP_IP_LENGTH;
	if (!offload_is_right(p))
		return DROP_VNET_HEADER;
	route = route_find(&router->routes, p->ip.dst);
	if (ip4_is_multicast(p->ip.dst) || p->ip.dst == IP4_BROADCAST ||
	    is_directed_broadcast(route, p->ip.dst))
		return local_group(router, p);
	if (p->group)
		return DROP_BROADCAST_FORWARD;
	if (is_martian(p->ip.dst) ||
	    !source_is_plausible(router, p->in, p->ip.src))
		return DROP_MARTIAN;
	/* No fragment but the last ends within 8 bytes (RFC 791 3.2). */
	if (p->ip.fragment & IP4_MF &&
	    (p->ip.total_bytes - p->ip.header_bytes) % 8 != 0)
		return DROP_FRAGMENT;
	reason = filter_packet(router, p, p->in, NULL);
	if (reason != REASON_NONE)
		return reason;
	owner = router_owner(router, p->ip.dst);
	if (owner != NULL)
		return own_packet(router, p, owner);
	return route_packet(router, p, route);
}

static enum reason
take_frame(struct router *router, struct packet *p)
{
	struct cursor c = cursor(p->bytes, p->head);
	struct eth eth;
	enum reason reason = eth_parse(&eth, &c);

	if (reason != REASON_NONE)
		return reason;
	if (eth.nvlans != 0)
		return DROP_ETH_TYPE;
	p->group = mac_is_group(&eth.dst);
	if (!p->group && !mac_equal(&eth.dst, &p->in->mac))
		return DROP_NOT_OURS;
	if (eth.type == ETH_ARP)
		return local_arp(router, p->in, c, p->now_ns);
	if (eth.type != ETH_IPV4)
		return DROP_ETH_TYPE;
	return take_ip(router, p);
}

/* ---- bursts ---- */

/* Guesses the flow of a frame from its bytes as they lie there. */
static struct nat_flow
guess_flow(const struct router *router, const struct iface *in,
    const struct frame *frame)
{
	const uint8_t *ip = frame->data + ETH_HEADER_BYTES;
	struct nat_flow flow = { .protocol = 0 };
	uint16_t sport, dport;

	if (frame->head < ETH_HEADER_BYTES + IP4_HEADER_BYTES + 8)
		return flow;
	flow.protocol = ip[IP4_OFF_PROTOCOL];
	sport = get_be16(ip + IP4_HEADER_BYTES);
	dport = get_be16(ip + IP4_HEADER_BYTES + 2);
	if (flow.protocol == IP_ICMP) {
		sport = get_be16(ip + IP4_HEADER_BYTES + ICMP_OFF_ID);
		dport = sport;
	}
	if (in == router->outside) {
		flow.remote_ip = get_be32(ip + IP4_OFF_SRC);
		flow.port = dport;
		flow.remote_port = flow.protocol == IP_ICMP ? 0 : sport;
		return flow;
	}
	flow.ip = get_be32(ip + IP4_OFF_SRC);
	flow.remote_ip = get_be32(ip + IP4_OFF_DST);
	flow.port = sport;
	flow.remote_port = flow.protocol == IP_ICMP ? 0 : dport;
	return flow;
}

static void
announce(const struct router *router, const struct iface *in,
    const struct burst *burst)
{
	struct nat_flow flows[BURST_MAX];

	for (unsigned int i = 0; i < burst->n; i++)
		flows[i] = guess_flow(router, in, &burst->frame[i]);
	nat_announce(router->nat, flows, burst->n, in != router->outside);
}

/* Copies what is decided by, and decides. */
static enum reason
take_one(struct router *router, struct iface *in, struct frame *frame,
    uint64_t now_ns)
{
	uint32_t head =
	    frame->len < ROUTER_HEAD_BYTES ? frame->len : ROUTER_HEAD_BYTES;
	struct packet p = {
		.in = in, .frame = frame, .head = head, .now_ns = now_ns
	};

	p.bytes = outbox_room(router->outbox, head);
	if (p.bytes == NULL)
		return DROP_PORT_FULL;
	memcpy(p.bytes, frame->data, head);
	return take_frame(router, &p);
}

void
router_take(struct port *port, struct burst *burst)
{
	struct iface *in = (struct iface *)port;
	struct router *router = in->router;
	uint64_t now_ns = loop_now_ns(router->loop);

	if (router->nat != NULL && burst->n > 1)
		announce(router, in, burst);
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];
		struct outbox_mark mark;
		enum reason reason;

		if (!outbox_has_room(
			router->outbox, 4 * BURST_MAX, OUTBOX_SPARE))
			outbox_flush(router->outbox);
		frame->verdict = (struct verdict){ .node = &router->node,
			.journey = frame->verdict.journey };
		mark = outbox_mark(router->outbox);
		reason = take_one(router, in, frame, now_ns);
		outbox_rewind(router->outbox, mark);
		frame->verdict.reason = (uint16_t)reason;
		router->node.count[reason]++;
	}
	router_arm_timers(router);
	outbox_flush(router->outbox);
}
