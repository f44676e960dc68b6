/*
 * What is sent to a virtual address becomes a packet of IPv6, the last step of
 * its way (nat64.c).
 */
#include "router/nat64_state.h"

#include "net/icmp.h"
#include "switch/offload.h"

/* One packet on its way to a host. */
struct crossing {
	struct router *router;
	struct way6 way;
	const struct verdict *cause;
	struct frame frame; /* of IPv4, and then of IPv6 */
	struct ip4 ip;
	struct siit_new6 to;
};

static const uint8_t *
crossing_ip(const struct crossing *x)
{
	return x->frame.data + ETH_HEADER_BYTES;
}

/* From whom: the sender, or, if that is the router or an error of one whose
 * address cannot be told, the router itself (RFC 6791 3). */
static bool
choose_source(struct crossing *x)
{
	const struct nat64 *nat64 = x->router->nat64;
	const uint8_t *l4 = crossing_ip(x) + x->ip.header_bytes;
	bool is_error = x->ip.protocol == IP_ICMP && !ip4_is_fragment(&x->ip) &&
	    x->frame.head > ETH_HEADER_BYTES + (size_t)x->ip.header_bytes &&
	    icmp_is_error(l4[0]);

	if (nat64_is_virtual(x->ip.src) ||
	    ip64_may_embed(&nat64->prefix, x->ip.src))
		return nat64_to6(nat64, x->ip.src, &x->to.src);
	if (x->ip.src != 0 && !is_error)
		return false;
	x->to.src = *iface6_source(x->way.out, &x->to.dst);
	return true;
}

/* Makes all of the packet contiguous.  False: no room. */
static bool
gather(struct crossing *x)
{
	struct frame *f = &x->frame;
	uint8_t *room;

	if (f->head == f->len)
		return true;
	room = outbox_room(x->router->outbox, f->len);
	if (room == NULL)
		return false;
	frame_copy(room, f, 0, f->len);
	f->data = room;
	f->head = f->len;
	f->tail = NULL;
	f->ntail = 0;
	x->ip.options = crossing_ip(x) + IP4_HEADER_BYTES;
	return true;
}

/* The packet becomes the one that it is a fragment of. */
static enum reason
join(struct crossing *x, const struct iface *link)
{
	uint8_t *ip = x->router->whole + ETH_HEADER_BYTES;
	size_t bytes;
	struct writer w = writer(ip, IP4_HEADER_BYTES);
	enum reason reason = nat64_collect(
	    x->router, link, &x->ip, &x->frame, ip + IP4_HEADER_BYTES, &bytes);

	if (reason != REASON_NONE)
		return reason;
	if (icmp_is_error(ip[IP4_HEADER_BYTES]))
		return DROP_FRAGMENT;
	x->ip.header_bytes = IP4_HEADER_BYTES;
	x->ip.total_bytes = (uint16_t)(IP4_HEADER_BYTES + bytes);
	x->ip.fragment = x->ip.offset_bytes = 0;
	x->ip.options = NULL;
	ip4_write(&w, &x->ip);
	x->frame = (struct frame){ .data = x->router->whole };
	x->frame.len = x->frame.head =
	    ETH_HEADER_BYTES + (uint32_t)x->ip.total_bytes;
	return REASON_NONE;
}

/* What an offload left to do is done: nobody could do it later. */
static bool
finish_checksum(struct crossing *x)
{
	struct frame *f = &x->frame;
	uint8_t *room;

	if (!(f->flags & FRAME_CSUM))
		return true;
	room = outbox_room(x->router->outbox, f->len);
	if (room == NULL)
		return false;
	frame_copy(room, f, 0, f->len);
	offload_checksum(room, f);
	f->data = room;
	f->head = f->len;
	f->tail = NULL;
	f->ntail = 0;
	f->flags &= (uint8_t)~FRAME_TODO;
	x->ip.options = crossing_ip(x) + IP4_HEADER_BYTES;
	return true;
}

/* Is it to be cut?  What must not be, was refused if it is too big. */
static bool
must_cut(const struct crossing *x)
{
	size_t bytes = (size_t)x->ip.total_bytes - x->ip.header_bytes +
	    IP6_HEADER_BYTES +
	    (ip4_is_fragment(&x->ip) ? IP6_FRAGMENT_BYTES : 0);

	return !(x->ip.fragment & IP4_DF) && !(x->frame.flags & FRAME_TSO4) &&
	    bytes > IP6_MTU_MIN;
}

/* The frame's packet becomes one of IPv6. */
static enum reason
convert(struct crossing *x)
{
	struct frame *f = &x->frame;
	struct siit siit = nat64_translation(x->router, x->way.out);
	size_t room_bytes = f->head + SIIT_MAX_GROWTH;
	uint8_t *room;
	struct writer w;
	enum reason reason;
	uint32_t n;

	if (room_bytes < ETH_HEADER_BYTES + SIIT_MAX_ERROR6)
		room_bytes = ETH_HEADER_BYTES + SIIT_MAX_ERROR6;
	room = outbox_room(x->router->outbox, room_bytes);
	if (room == NULL)
		return DROP_PORT_FULL;
	w = writer(room + ETH_HEADER_BYTES, room_bytes - ETH_HEADER_BYTES);
	x->to.partial = (f->flags & FRAME_CSUM) != 0;
	reason = siit_to6(&siit, &x->ip, crossing_ip(x),
	    f->head - ETH_HEADER_BYTES, &x->to, &w);
	if (reason != REASON_NONE)
		return reason;
	n = (uint32_t)(w.at - room);
	nat64_move_offload(f, IP6_HEADER_BYTES - x->ip.header_bytes);
	f->len = n + (f->len - f->head);
	f->head = n;
	f->data = room;
	/* Segments are as long as who cuts them likes. */
	if (f->flags & FRAME_TSO6 &&
	    f->header_bytes + (size_t)f->gso_bytes >
		ETH_HEADER_BYTES + (size_t)x->way.out->mtu_bytes)
		f->gso_bytes = (uint16_t)(ETH_HEADER_BYTES +
		    x->way.out->mtu_bytes - f->header_bytes);
	return REASON_NONE;
}

static enum reason
send_cut(struct crossing *x)
{
	const uint8_t *header = crossing_ip(x);
	size_t skip = IP6_HEADER_BYTES +
	    (ip4_is_fragment(&x->ip) ? IP6_FRAGMENT_BYTES : 0);
	size_t bytes = x->frame.len - ETH_HEADER_BYTES - skip;
	const struct output6_cut cut = {
		.header = header,
		.next = x->ip.protocol == IP_ICMP ? IP_ICMP6 : x->ip.protocol,
		.id = x->ip.id,
		.offset = x->ip.offset_bytes,
		.more = (x->ip.fragment & IP4_MF) != 0,
	};

	/* IPv4's may be cut, so that they fit any link (RFC 7915 4). */
	return output6_cut(
	    x->router, &x->way, &cut, header + skip, bytes, x->cause);
}

/* May it leave by the router's filter? */
static bool
passes(const struct crossing *x)
{
	struct router *router = x->router;

	return router->filter == NULL ||
	    packet_filter_decide(router->filter, NULL, x->way.out,
		x->frame.data, x->frame.head,
		x->frame.len) == ROUTER_FILTER_PASS;
}

enum reason
nat64_output(struct router *router, const struct way *way,
    const struct frame *frame, const struct verdict *cause)
{
	struct crossing x = {
		.router = router, .cause = cause, .frame = *frame
	};
	const struct ip6_addr *host = nat64_host(router, way->next_hop);
	struct cursor c = cursor(
	    frame->data + ETH_HEADER_BYTES, frame->head - ETH_HEADER_BYTES);
	enum reason reason = ip4_parse_quoted(&x.ip, &c);
	bool cut;

	if (reason != REASON_NONE)
		return reason;
	if (host == NULL || !way6_find(router, host, &x.way))
		return DROP_NO_ROUTE;
	x.to.dst = *host;
	if (!choose_source(&x))
		return DROP_NAT64_ADDRESS;
	if (x.ip.protocol == IP_ICMP && ip4_is_fragment(&x.ip)) {
		x.frame.verdict = *cause;
		reason = join(&x, way->out);
		if (reason != REASON_NONE)
			return reason;
	}
	cut = must_cut(&x);
	if (cut && !finish_checksum(&x))
		return DROP_PORT_FULL;
	if ((cut ||
		siit4_wants_whole(
		    &x.ip, crossing_ip(&x), x.frame.head - ETH_HEADER_BYTES)) &&
	    !gather(&x))
		return DROP_PORT_FULL;
	reason = convert(&x);
	if (reason != REASON_NONE)
		return reason;
	memset((uint8_t *)(uintptr_t)x.frame.data, 0, ETH_HEADER_BYTES);
	if (!passes(&x))
		return DROP_FILTERED;
	return cut ? send_cut(&x)
		   : output6_ip(router, &x.way, &x.frame,
			 (uint8_t *)(uintptr_t)x.frame.data, cause);
}
