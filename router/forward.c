/*
 * The way of a frame through the router.
 *
 *   take --> parse --> ours? --ARP---------------------------> local_arp
 *                        |---IPv6---------------------------> forward6_take
 *                        |---to a group---------------------> local_group
 *                        |---from outside, to an outer one -> nat_path_in
 *                        |---to an outer address -----------> nat_path_hairpin
 *                        |---to another of our addresses ---> local_packet
 *                        |---by the outer port, not exempt -> nat_path_out
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
 * Frames are taken some at a time, in stages: all are copied and parsed, with
 * NAT all their flows are announced, and then one after the other is decided.
 * So memory is waited for once, and no step reads what the step before has just
 * begun to write.
 */
#include "router/router_state.h"

#include "net/checksum.h"
#include "net/ip4_options.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "router/filter6.h"
#include "router/mss.h"
#include "router/nat64.h"
#include "router/nat64_hosts.h"
#include "router/router6.h"
#include "router/taken.h"

#define REDIRECT_HOST 1  /* the code */
#define STAGED        32 /* frames that are read before any is decided */
#define OUTBOX_SPARE  (256 * 1024) /* what one frame may cause, and then some */

/* ---- where to ---- */

bool
way_find(struct router *router, uint32_t addr, struct way *way)
{
	const struct route *route;

	if (nat64_is_virtual(addr))
		return nat64_way(router, addr, way);
	route = place_find(router, addr)->route;
	if (route == NULL)
		return false;
	way->out = route->out;
	way->next_hop = route->via != 0 ? route->via : addr;
	return true;
}

/* ---- checks ---- */

/* Can a packet from addr come in here? */
static bool
source_is_plausible(
    struct router *router, const struct iface *in, uint32_t addr)
{
	const struct place *from = place_find(router, addr);

	if (from->martian || from->broadcast)
		return false;
	if (from->route == NULL)
		return router->nat == NULL || in == router->outside;
	return from->route->out == in && from->owner == NULL;
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
	if (!taken_whole(router->outbox, p->frame, &p->bytes, &p->head))
		return false;
	p->ip.options = packet_ip(p) + IP4_HEADER_BYTES;
	return true;
}

bool
packet_view(struct router *router, struct packet *p, struct frame *view)
{
	return taken_view(router->outbox, p->frame, &p->bytes, &p->head,
	    (uint32_t)ETH_HEADER_BYTES + p->ip.total_bytes, view);
}

/* ---- forwarding ---- */

enum reason
forward_check(
    struct router *router, const struct packet *p, const struct iface *out)
{
	if (p->ip.ttl <= 1) {
		output_error(router, p, ICMP_TIME_EXCEEDED, 0, 0);
		return DROP_TTL;
	}
	if (p->ip.fragment & IP4_DF && !packet_fits(p, out)) {
		output_error(router, p, ICMP_UNREACHABLE, ICMP_UNREACH_NEEDFRAG,
		    out->mtu_bytes);
		return DROP_MTU;
	}
	return REASON_NONE;
}

/* What the rules for packets from in, or to out, say of one. */
static enum reason
ask_filter(struct router *router, const struct packet *p,
    const struct iface *in, const struct iface *out)
{
	enum router_filter_do what = packet_filter_decide(
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

static inline enum reason
filter_packet(struct router *router, const struct packet *p,
    const struct iface *in, const struct iface *out)
{
	return router->filter == NULL ? REASON_NONE
				      : ask_filter(router, p, in, out);
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

static void
age(uint8_t *ip)
{
	uint16_t old = get_be16(ip + IP4_OFF_TTL);

	ip[IP4_OFF_TTL]--;
	put_be16(ip + IP4_OFF_CHECKSUM,
	    csum_update16(get_be16(ip + IP4_OFF_CHECKSUM), old,
		get_be16(ip + IP4_OFF_TTL)));
}

/* Says in the header who sent the packet on, where it asks for that. */
static void
sign(struct router *router, const struct packet *p, const struct iface *out)
{
	uint8_t *ip = packet_ip(p), *options = ip + IP4_HEADER_BYTES;
	size_t n = (size_t)(p->ip.header_bytes - IP4_HEADER_BYTES);
	uint32_t asked = ip4_options_asked(options, n);

	ip4_options_sign(options, n, out->address.addr,
	    asked != 0 && place_find(router, asked)->owner != NULL,
	    ip4_options_time(p->now_ns));
	put_be16(ip + IP4_OFF_CHECKSUM, 0);
	put_be16(ip + IP4_OFF_CHECKSUM,
	    csum_finish(csum_add_bytes(0, ip, p->ip.header_bytes)));
}

enum reason
forward_send(struct router *router, struct packet *p, const struct way *way)
{
	struct verdict *verdict = &p->frame->verdict;
	enum reason reason = filter_packet(router, p, NULL, way->out);

	if (reason != REASON_NONE)
		return reason;
	verdict->out =
	    way->out->real != NULL ? &way->out->real->port : &way->out->port;
	verdict->nout = 1;
	clamp(p, way->out);
	age(packet_ip(p));
	if (p->ip.header_bytes != IP4_HEADER_BYTES)
		sign(router, p, way->out);
	reason = output_packet(router, way, p, verdict);
	if (reason == REASON_NONE)
		return (enum reason)verdict->reason;
	if (reason_is_drop(reason)) {
		verdict->out = NULL;
		verdict->nout = 0;
	}
	return reason;
}

/* Sends a packet on as it is, for why. */
static enum reason
plain_path(struct router *router, struct packet *p, const struct way *way,
    enum reason why)
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
	p->frame->verdict.reason = (uint16_t)why;
	return forward_send(router, p, way);
}

/* A packet to another host. */
static enum reason
route_packet(struct router *router, struct packet *p, const struct place *to)
{
	bool was_outside = p->in == router->outside, will_be;
	struct way way;

	if (to->route == NULL) {
		output_error(router, p, ICMP_UNREACHABLE, ICMP_UNREACH_NET, 0);
		if (router->nat == NULL || router->outside->address.addr != 0)
			return DROP_NO_ROUTE;
		router_note_refusal(router, p, DROP_NAT_NO_ADDRESS);
		return DROP_NAT_NO_ADDRESS;
	}
	way.out = to->route->out;
	way.next_hop = to->route->via != 0 ? to->route->via : p->ip.dst;
	will_be = way.out == router->outside;
	if (router->nat == NULL || was_outside == will_be)
		return plain_path(router, p, &way, REASON_ROUTED);
	if (will_be && !to->exempt)
		return nat_path_out(router, p, &way);
	if (will_be || place_find(router, p->ip.src)->exempt)
		return plain_path(router, p, &way, REASON_NAT_EXEMPT);
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
	/* We are not where it goes, and no route is followed (RFC 7126 4.3). */
	if (p->ip.header_bytes != IP4_HEADER_BYTES &&
	    ip4_source_route(&p->ip) == IP4_SOURCE_ROUTE_GOES_ON) {
		output_error(
		    router, p, ICMP_UNREACHABLE, ICMP_UNREACH_ROUTE, 0);
		return DROP_SOURCE_ROUTE;
	}
	if (ip4_is_fragment(&p->ip))
		return fragment_path_local(router, p);
	return local_packet(router, p);
}

enum reason
forward_to(struct router *router, struct packet *p, const struct place *to)
{
	if (to->owner != NULL)
		return own_packet(router, p, to->owner);
	return route_packet(router, p, to);
}

/* A packet by a port whose address is not for ever.  REASON_NONE: it is like any
 * other. */
static enum reason
take_by_changing(struct router *router, struct packet *p)
{
	if (p->in->wan != NULL)
		return wan_take(p->in->wan, p);
	if (!ip4_net_has(p->in->former, p->ip.src) || p->ip.src == 0)
		return REASON_NONE;
	return local_renumbered(router, p);
}

static enum reason
take_ip(struct router *router, struct packet *p)
{
	enum reason reason;
	struct place to;

	if (p->ip.total_bytes > p->frame->len - ETH_HEADER_BYTES)
		return DROP_IP_LENGTH;
	if (!offload_is_right(p))
		return DROP_VNET_HEADER;
	if (p->in->wan != NULL || p->in->former.addr != 0) {
		reason = take_by_changing(router, p);
		if (reason != REASON_NONE)
			return reason;
	}
	to = *place_find(router, p->ip.dst);
	if (ip4_is_multicast(p->ip.dst) || p->ip.dst == IP4_BROADCAST ||
	    to.broadcast)
		return local_group(router, p);
	if (p->group)
		return DROP_BROADCAST_FORWARD;
	if (to.martian || !source_is_plausible(router, p->in, p->ip.src))
		return DROP_MARTIAN;
	/* No fragment but the last ends within 8 bytes (RFC 791 3.2). */
	if (p->ip.fragment & IP4_MF &&
	    (p->ip.total_bytes - p->ip.header_bytes) % 8 != 0)
		return DROP_FRAGMENT;
	reason = filter_packet(router, p, p->in, NULL);
	if (reason != REASON_NONE)
		return reason;
	return forward_to(router, p, &to);
}

static enum reason
take_ip6(struct router *router, const struct packet *p)
{
	struct packet6 six = { .in = p->in,
		.frame = p->frame,
		.bytes = p->bytes,
		.head = p->head,
		.now_ns = p->now_ns,
		.group = p->group };

	return forward6_take(router, &six);
}

static enum reason
take_one(struct router *router, struct packet *p)
{
	if (p->type == ETH_IPV4)
		return take_ip(router, p);
	if (p->type == ETH_IPV6)
		return take_ip6(router, p);
	return local_arp(router, p->in,
	    cursor(packet_ip(p), p->head - ETH_HEADER_BYTES), p->now_ns);
}

/* ---- parsing ---- */

static bool
reads_ip4(const struct iface *in)
{
	return in->address.addr != 0 || in->wan != NULL;
}

static enum reason
read_frame(struct packet *p)
{
	struct cursor c = cursor(p->bytes, p->head);
	struct eth eth;
	enum reason reason = eth_parse(&eth, &c);

	if (reason != REASON_NONE)
		return reason;
	if (eth.nvlans != 0)
		return DROP_ETH_TYPE;
	p->type = eth.type;
	p->group = mac_is_group(&eth.dst);
	if (!p->group && !mac_equal(&eth.dst, &p->in->mac))
		return DROP_NOT_OURS;
	if (eth.type == ETH_IPV4 && reads_ip4(p->in))
		return ip4_parse_quoted(&p->ip, &c);
	if (eth.type == ETH_IPV6)
		return p->in->six.naddresses > 0 ? REASON_NONE : DROP_ETH_TYPE;
	return eth.type == ETH_ARP && reads_ip4(p->in) ? REASON_NONE
						       : DROP_ETH_TYPE;
}

/* Copies what is decided by, and reads it. */
static enum reason
read_one(struct router *router, struct packet *p)
{
	p->head = p->frame->len < ROUTER_HEAD_BYTES ? p->frame->len
						    : ROUTER_HEAD_BYTES;
	p->bytes = outbox_room(router->outbox, p->head);
	if (p->bytes == NULL)
		return DROP_PORT_FULL;
	memcpy(p->bytes, p->frame->data, p->head);
	return read_frame(p);
}

void
packet_read_l4(const struct router *router, struct packet *p)
{
	const uint8_t *payload;
	size_t bytes = packet_payload(p, &payload);

	p->l4.bytes = packet_ip(p);
	p->l4.head_bytes = p->ip.header_bytes + bytes;
	p->l4.ip = p->ip;
	p->l4.partial = (p->frame->flags & FRAME_CSUM) != 0;
	p->l4_reason = nat_read(&p->l4);
	if (p->in == router->outside)
		nat_flow_in(&p->l4, &p->flow);
	else
		nat_flow_out(&p->l4, &p->flow);
}

/* Reads for NAT those of n packets that were not refused, and announces them. */
static void
read_flows(const struct router *router, const struct iface *in,
    struct packet *packets, const enum reason *reasons, unsigned int n)
{
	struct nat_flow *flows[STAGED];
	unsigned int nflows = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = &packets[i];

		if (reasons[i] != REASON_NONE || p->type != ETH_IPV4 ||
		    ip4_is_fragment(&p->ip))
			continue;
		packet_read_l4(router, p);
		if (p->l4_reason != REASON_NONE || p->l4.kind != NAT_FLOW)
			continue;
		nat_hash(router->nat, &p->flow, in != router->outside);
		flows[nflows++] = &p->flow;
	}
	for (unsigned int i = 0; i < nflows; i++)
		nat_guess(router->nat, flows[i]);
}

/* Announces those of IPv6 to their filter. */
static void
read_flows6(const struct router *router, const struct iface *in,
    const struct packet *packets, const enum reason *reasons, unsigned int n)
{
	const void *guess[STAGED];
	unsigned int nguesses = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct packet *p = &packets[i];

		if (reasons[i] != REASON_NONE || p->type != ETH_IPV6)
			continue;
		guess[nguesses] = filter6_guess(router->filter6, in,
		    packet_ip(p), p->head - ETH_HEADER_BYTES);
		nguesses += guess[nguesses] != NULL;
	}
	for (unsigned int i = 0; i < nguesses; i++)
		flow6_expect(guess[i]);
}

/* ---- bursts ---- */

static bool
has_room(const struct router *router)
{
	return outbox_has_room(router->outbox, 4 * BURST_MAX, OUTBOX_SPARE);
}

static void
judge(struct router *router, struct packet *p, enum reason reason)
{
	struct outbox_mark mark = outbox_mark(router->outbox);

	frame_judge(p->frame, &router->node, REASON_NONE);
	if (reason == REASON_NONE)
		reason = take_one(router, p);
	outbox_rewind(router->outbox, mark);
	p->frame->verdict.reason = (uint16_t)reason;
	router->node.count[reason]++;
}

/* Reads n frames, up to STAGED, and decides about them as long as there is room
 * for what they cause, at least about one.  Returns how many. */
static unsigned int
take_some(struct router *router, struct iface *in, struct frame *frames,
    unsigned int n)
{
	uint64_t now_ns = loop_now_ns(router->loop);
	struct packet packets[STAGED];
	enum reason reasons[STAGED];

	for (unsigned int i = 0; i < n; i++)
		__builtin_prefetch(frames[i].data);
	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = &packets[i];

		p->in = in;
		p->frame = &frames[i];
		p->now_ns = now_ns;
		reasons[i] = read_one(router, p);
	}
	if (router->nat != NULL)
		read_flows(router, in, packets, reasons, n);
	if (router->filter6 != NULL)
		read_flows6(router, in, packets, reasons, n);
	for (unsigned int i = 0; i < n; i++) {
		if (i > 0 && !has_room(router))
			return i;
		judge(router, &packets[i], reasons[i]);
	}
	return n;
}

void
router_take(struct port *port, struct burst *burst)
{
	struct iface *in = (struct iface *)port;
	struct router *router = in->router;
	unsigned int at = 0;

	while (at < burst->n) {
		unsigned int n = burst->n - at;

		if (!has_room(router))
			outbox_flush(router->outbox);
		if (n > STAGED)
			n = STAGED;
		if (!has_room(router)) /* it is being flushed */
			n = 1;
		at += take_some(router, in, burst->frame + at, n);
	}
	router_arm_timers(router);
	outbox_flush(router->outbox);
}
