/*
 * The way of an IPv6 packet through the router.
 *
 *   take --> parse --> to a group? --------> local6_group
 *                        |--ours? ---------> local6_packet
 *                        '--a route, hops left, small enough --> cross
 *                                                                  |
 *              filter (RFC 6092), prefixes (RFC 6296) -------> forward6_send
 *
 * As with IPv4, a copy of the packet's beginning is decided by, and the rest
 * goes out as it lies.  Extension headers are passed as they are: no router
 * need look at them (RFC 8200 4), and none of ours does but for what is for
 * itself.
 *
 * Each packet's source must be where its route leads (RFC 3704 2.3), so that
 * nobody speaks with the addresses of another link.  A source without a route
 * passes: answers to it would not, and say so.  Inside of a filter it does not
 * (RFC 6092 REC-5).
 */
#include "router/router6.h"

#include "net/nd.h"
#include "net/tcp.h"
#include "net/udp.h"
#include "router/filter6.h"
#include "router/nat64.h"
#include "router/taken.h"

/* ---- where to ---- */

bool
way6_find(
    const struct router *router, const struct ip6_addr *addr, struct way6 *way)
{
	const struct route6 *route = route6_find(&router->routes6, addr);

	if (route == NULL)
		return false;
	way->out = route->out;
	way->next_hop = ip6_is_zero(&route->via) ? *addr : route->via;
	return true;
}

/* Is it one of the interface's addresses, or its subnets' router anycast address
 * (RFC 4291 2.6.1)? */
static bool
has_address(const struct iface *iface, const struct ip6_addr *addr)
{
	for (unsigned int i = 0; i < iface->six.naddresses; i++) {
		if (iface->six.state[i] != DAD_ASSIGNED)
			continue;
		if (ip6_equal(&iface->six.address[i].addr, addr) ||
		    (ip6_equal(&iface->six.anycast[i], addr) &&
			!ip6_is_zero(addr)))
			return true;
	}
	return false;
}

struct iface *
router_owner6(const struct router *router, const struct iface *on,
    const struct ip6_addr *addr)
{
	bool link_local = ip6_is_link_local(addr);

	for (unsigned int i = 0; i < router->nifaces; i++) {
		struct iface *iface = router->ifaces[i];

		if (link_local ? iface == on && iface->six.naddresses > 0 &&
			    iface->six.link_state == DAD_ASSIGNED &&
			    ip6_equal(&iface->six.link_local, addr)
			       : has_address(iface, addr))
			return iface;
	}
	return NULL;
}

bool
iface6_has_on_link(const struct iface *in, const struct ip6_addr *addr)
{
	bool has = ip6_is_link_local(addr);

	for (unsigned int i = 0; i < in->six.naddresses && !has; i++)
		has = ip6_net_has(&in->six.address[i], addr);
	return has;
}

bool
iface6_is_unicast(const struct iface *iface, const struct ip6_addr *addr)
{
	bool is = iface->six.link_state == DAD_ASSIGNED &&
	    ip6_equal(addr, &iface->six.link_local);

	for (unsigned int i = 0; i < iface->six.naddresses && !is; i++)
		is = iface->six.state[i] == DAD_ASSIGNED &&
		    ip6_equal(addr, &iface->six.address[i].addr);
	return is;
}

const struct ip6_addr *
iface6_source(const struct iface *out, const struct ip6_addr *dst)
{
	const struct ip6_addr *best =
	    out->six.link_state == DAD_ASSIGNED ? &out->six.link_local : NULL;
	int most = -1;

	if (ip6_is_link_local(dst) || dst->b[0] == 0xff)
		return best;
	for (unsigned int i = 0; i < out->six.naddresses; i++) {
		const struct ip6_addr *addr = &out->six.address[i].addr;
		int same = (int)ip6_common_bits(addr, dst);

		if (same <= most || out->six.state[i] != DAD_ASSIGNED)
			continue;
		best = addr;
		most = same;
	}
	return best;
}

/* ---- checks ---- */

/* Can a packet from addr come in here? */
static bool
source_is_plausible(const struct router *router, const struct iface *in,
    const struct ip6_addr *addr)
{
	const struct route6 *route;

	if (ip6_is_link_local(addr))
		return !ip6_equal(addr, &in->six.link_local) ||
		    in->six.link_state != DAD_ASSIGNED;
	route = route6_find(&router->routes6, addr);
	if (route == NULL)
		return router->filter6 == NULL ||
		    filter6_is_outside(router->filter6, in);
	return route->out == in && !has_address(in, addr);
}

/* An offload request that leaves the network header alone and says what the
 * transport header is, which follows it at once. */
static bool
offload_is_right(const struct packet6 *p)
{
	const struct frame *f = p->frame;
	const unsigned int l4 = ETH_HEADER_BYTES + IP6_HEADER_BYTES;
	struct cursor c = packet6_payload(p);

	if (!(f->flags & FRAME_TODO))
		return true;
	if (f->flags & FRAME_TSO4 || f->csum_start != l4 ||
	    f->len != ETH_HEADER_BYTES + packet6_bytes(p))
		return false;
	if (p->ip.next == IP_UDP)
		return f->csum_offset == UDP_OFF_CHECKSUM &&
		    !(f->flags & FRAME_TSO6);
	if (p->ip.next != IP_TCP || f->csum_offset != TCP_OFF_CHECKSUM)
		return false;
	if (!(f->flags & FRAME_TSO6))
		return true;
	return cur_left(&c) >= TCP_HEADER_BYTES && f->gso_bytes != 0 &&
	    f->header_bytes == l4 + (unsigned int)(c.at[12] >> 4 << 2);
}

/* ---- forwarding ---- */

bool
packet6_whole(struct router *router, struct packet6 *p)
{
	return taken_whole(router->outbox, p->frame, &p->bytes, &p->head);
}

/* Does the packet, or each segment it is to become, fit the link? */
static bool
fits(const struct packet6 *p, size_t mtu_bytes)
{
	const struct frame *f = p->frame;
	size_t bytes = packet6_bytes(p);
	size_t segment = (size_t)f->header_bytes + f->gso_bytes;

	if (f->flags & FRAME_TSO6 && segment < ETH_HEADER_BYTES + bytes)
		bytes = segment - ETH_HEADER_BYTES;
	return bytes <= mtu_bytes;
}

enum reason
forward6_check(
    struct router *router, const struct packet6 *p, const struct iface *out)
{
	if (p->ip.hop_limit <= 1) {
		output6_error(router, p, ICMP6_TIME_EXCEEDED, 0, 0);
		return DROP_TTL;
	}
	if (!fits(p, out->mtu_bytes)) {
		output6_error(router, p, ICMP6_TOO_BIG, 0, out->mtu_bytes);
		return DROP_MTU;
	}
	return REASON_NONE;
}

/* Neighbour discovery is what ARP is: it makes the link, and is not of what
 * passes it.  So rules do not see it. */
static bool
is_of_the_link(const struct packet6 *p)
{
	struct cursor c = packet6_payload(p);
	uint8_t type = cur_u8(&c);

	return p->ip.next == IP_ICMP6 && p->ip.hop_limit == ND_HOP_LIMIT &&
	    type >= ND_ROUTER_SOLICIT && type <= ND_REDIRECT;
}

/* What the rules for packets from in, or to out, say of one. */
static enum reason
filter_packet(struct router *router, const struct packet6 *p,
    const struct iface *in, const struct iface *out)
{
	enum router_filter_do what = router->filter == NULL
	    ? ROUTER_FILTER_PASS
	    : packet_filter_decide(
		  router->filter, in, out, p->bytes, p->head, p->frame->len);

	switch (what) {
	case ROUTER_FILTER_PASS: return REASON_NONE;
	case ROUTER_FILTER_REJECT:
		output6_error(
		    router, p, ICMP6_UNREACHABLE, ICMP6_UNREACH_PROHIBITED, 0);
		return DROP_FILTERED;
	case ROUTER_FILTER_DROP: return DROP_FILTERED;
	}
	return REASON_NONE;
}

enum reason
forward6_send(struct router *router, struct packet6 *p, const struct way6 *way)
{
	struct verdict *verdict = &p->frame->verdict;
	struct frame view;
	enum reason reason = filter_packet(router, p, NULL, way->out);

	if (reason != REASON_NONE)
		return reason;
	if (!taken_view(router->outbox, p->frame, &p->bytes, &p->head,
		ETH_HEADER_BYTES + packet6_bytes(p), &view))
		return DROP_PORT_FULL;
	packet6_ip(p)[IP6_OFF_HOP_LIMIT]--;
	verdict->out = &way->out->port;
	verdict->nout = 1;
	reason = output6_ip(router, way, &view, p->bytes, verdict);
	if (reason == REASON_NONE)
		return (enum reason)verdict->reason;
	if (reason_is_drop(reason)) {
		verdict->out = NULL;
		verdict->nout = 0;
	}
	return reason;
}

/* Where a packet goes, and whether it may.  The sender is told why not. */
static enum reason
find_way(struct router *router, const struct packet6 *p,
    const struct ip6_addr *dst, struct way6 *way)
{
	/* Addresses of a link are known there alone (RFC 4291 2.5.6). */
	if (ip6_is_link_local(dst))
		return DROP_SCOPE;
	if (!way6_find(router, dst, way)) {
		output6_error(
		    router, p, ICMP6_UNREACHABLE, ICMP6_UNREACH_ROUTE, 0);
		return DROP_NO_ROUTE;
	}
	if (ip6_is_link_local(&p->ip.src) && way->out != p->in) {
		output6_error(
		    router, p, ICMP6_UNREACHABLE, ICMP6_UNREACH_SCOPE, 0);
		return DROP_SCOPE;
	}
	return forward6_check(router, p, way->out);
}

/* Gives a packet the addresses that it leaves with, and asks the filter, which
 * sees those of inside.  REASON_NONE, or a DROP. */
static enum reason
cross(struct router *router, struct packet6 *p, const struct iface *out,
    struct prefix6_change *change)
{
	struct verdict *verdict = &p->frame->verdict;
	struct filter6 *filter = router->filter6;
	bool ends = filter != NULL && p->in != out;
	enum reason reason = REASON_ROUTED;

	if (ends && filter6_is_outside(filter, out))
		reason = filter6_out(filter, p, &verdict->entry);
	if (reason_is_drop(reason))
		return reason;
	if (router->npairs > 0) {
		enum reason leaves = prefix6_leave(router, p, out, change);

		if (reason_is_drop(leaves))
			return leaves;
		if (change->reason != REASON_NONE)
			prefix6_apply(router, p, change);
	}
	if (ends && filter6_is_outside(filter, p->in))
		reason = filter6_in(filter, p, &verdict->entry);
	verdict->reason = (uint16_t)reason;
	if (change->reason != REASON_NONE &&
	    (reason == REASON_ROUTED || reason == REASON_FLOW_KNOWN))
		verdict->reason = (uint16_t)change->reason;
	return reason_is_drop(reason) ? reason : REASON_NONE;
}

/* A packet to another host. */
static enum reason
route_packet(struct router *router, struct packet6 *p)
{
	struct prefix6_change change = { .src = p->ip.src, .dst = p->ip.dst };
	struct way6 way;
	enum reason reason = REASON_NONE;

	if (nat64_has(router, &p->ip.dst))
		return router->filter6 != NULL &&
			filter6_is_outside(router->filter6, p->in)
		    ? DROP_FLOW_UNASKED
		    : nat64_take(router, p);
	if (router->npairs > 0)
		reason = prefix6_arrive(router, p, &change);
	if (reason == REASON_NONE)
		reason = find_way(router, p, &change.dst, &way);
	if (reason == REASON_NONE)
		reason = cross(router, p, way.out, &change);
	if (reason != REASON_NONE)
		return reason;
	if (way.out == p->in && change.reason == REASON_NONE)
		nd_redirect(router, p, &way);
	return forward6_send(router, p, &way);
}

/* Will it be one of the router's, if nobody else has it? */
static bool
is_tentative(const struct router *router, const struct ip6_addr *addr)
{
	for (unsigned int i = 0; i < router->nifaces; i++) {
		const struct iface6 *six = &router->ifaces[i]->six;

		for (unsigned int k = 0; k < six->naddresses; k++)
			if (six->state[k] == DAD_TENTATIVE &&
			    ip6_equal(&six->address[k].addr, addr))
				return true;
	}
	return false;
}

/* ---- parsing ---- */

enum reason
forward6_take(struct router *router, struct packet6 *p)
{
	/* The whole packet is there, though not all of it was copied. */
	struct cursor c = cursor(packet6_ip(p), p->head - ETH_HEADER_BYTES);
	enum reason reason = ip6_parse_quoted(&p->ip, &c);
	bool nameless;

	if (reason != REASON_NONE)
		return reason;
	if (packet6_bytes(p) > p->frame->len - ETH_HEADER_BYTES)
		return DROP_IP_LENGTH;
	if (!offload_is_right(p))
		return DROP_VNET_HEADER;
	if (iface6_is_off(p->in))
		return DROP_IP6_OFF;
	/* Who looks for an address speaks from none, to its link alone. */
	nameless = ip6_is_zero(&p->ip.src) && ip6_is_multicast(&p->ip.dst);
	if (!nameless &&
	    (!ip6_is_host(&p->ip.src) ||
		!source_is_plausible(router, p->in, &p->ip.src)))
		return DROP_MARTIAN;
	if (!ip6_is_multicast(&p->ip.dst) && !ip6_is_host(&p->ip.dst))
		return DROP_MARTIAN;
	if (p->group && !ip6_is_multicast(&p->ip.dst))
		return DROP_BROADCAST_FORWARD;
	reason = is_of_the_link(p) ? REASON_NONE
				   : filter_packet(router, p, p->in, NULL);
	if (reason != REASON_NONE)
		return reason;
	if (ip6_is_multicast(&p->ip.dst))
		return local6_group(router, p);
	if (router->npairs > 0 && prefix6_hides(router, p->in, &p->ip.dst))
		return DROP_MARTIAN;
	if (router_owner6(router, p->in, &p->ip.dst) != NULL)
		return local6_packet(router, p);
	if (is_tentative(router, &p->ip.dst))
		return DROP_TENTATIVE;
	return route_packet(router, p);
}
