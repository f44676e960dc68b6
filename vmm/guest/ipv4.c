/*
 * ipv4.c - a host's IPv4.
 *
 * A packet is built where it will leave: in the device's memory when its
 * neighbour is known, in a packet of the neighbour's queue when not, in the
 * stack's one big buffer when it must be cut to fragments.  Packets to our own
 * addresses wait in a list until the end of the round, so that a sender never
 * finds itself in its own receiver.
 */
#include "vmm/guest/ipv4.h"

#include <string.h>

#include "vmm/guest/stack.h"

static void reass_expire(void *arg);

void
ipv4_init(struct stack *stack)
{
	struct ipv4 *ip = &stack->ipv4;

	ip->next_id = (uint16_t)random_u32(&stack->random);
	ip->loop = NULL;
	ip->loop_end = &ip->loop;
	for (unsigned int i = 0; i < REASS_SLOTS; i++)
		timer_init(&ip->reass[i].timer, reass_expire, &ip->reass[i]);
}

/* ---- routes ---- */

struct netif *
ipv4_route(struct stack *stack, uint32_t dst, uint32_t *hop)
{
	struct netif *gateway = NULL, *best = NULL;

	if (ip4_is_loopback(dst)) {
		*hop = dst;
		return stack->nnifs > 0 ? &stack->nif[0] : NULL;
	}
	for (unsigned int i = 0; i < stack->nnifs; i++) {
		struct netif *nif = &stack->nif[i];

		if (nif->net.addr == 0)
			continue;
		if (dst == nif->net.addr) {
			*hop = dst;
			return nif;
		}
		if (ip4_net_has(nif->net, dst) &&
		    (best == NULL || nif->net.prefix > best->net.prefix))
			best = nif;
		if (gateway == NULL && nif->gateway != 0)
			gateway = nif;
		if (gateway == NULL && dst == IP4_BROADCAST)
			gateway = nif;
	}
	if (best != NULL || dst == IP4_BROADCAST) {
		*hop = dst;
		return best != NULL ? best : gateway;
	}
	if (gateway != NULL)
		*hop = gateway->gateway;
	return gateway;
}

uint32_t
ipv4_source(struct stack *stack, uint32_t dst)
{
	uint32_t hop;
	const struct netif *nif = ipv4_route(stack, dst, &hop);

	if (nif == NULL)
		return 0;
	return ip4_is_loopback(dst) ? dst : nif->net.addr;
}

/* ---- out ---- */

static bool
is_link_broadcast(const struct netif *nif, uint32_t dst)
{
	return dst == IP4_BROADCAST ||
	    (nif->net.addr != 0 && dst == ip4_net_broadcast(nif->net));
}

static void
multicast_mac(struct mac *mac, uint32_t group)
{
	*mac = (struct mac){ { 0x01, 0x00, 0x5e, group >> 16 & 0x7f,
	    group >> 8 & 0xff, group & 0xff } };
}

static uint8_t *
begin_packet(struct stack *stack, struct ipv4_out *out, size_t bytes,
    enum reason full, enum reason *why)
{
	out->packet = packet_new(&stack->packets, bytes);
	if (out->packet == NULL) {
		*why = netif_drop(out->nif, full);
		return NULL;
	}
	out->at = out->packet->data;
	return out->at + IP4_HEADER_BYTES;
}

/* Where does a packet that fits the link lie while it is being built? */
static uint8_t *
begin_small(struct stack *stack, struct ipv4_out *out, uint32_t hop,
    size_t bytes, enum reason *why)
{
	struct netif *nif = out->nif;

	if (is_link_broadcast(nif, out->dst)) {
		out->mac = mac_broadcast;
	} else if (ip4_is_multicast(out->dst)) {
		multicast_mac(&out->mac, out->dst);
	} else if (ip4_is_loopback(hop) || stack_owns(stack, hop)) {
		return begin_packet(stack, out, bytes, DROP_PORT_FULL, why);
	} else {
		out->neigh = neigh_get(nif, hop);
		if (!neigh_ready(out->neigh))
			return begin_packet(
			    stack, out, bytes, DROP_ARP_QUEUE, why);
		out->mac = out->neigh->mac;
	}
	out->at = netif_room(nif, &out->mac, ETH_IPV4, bytes);
	if (out->at == NULL) {
		*why = DROP_PORT_FULL; /* counted by netif_room() */
		return NULL;
	}
	return out->at + IP4_HEADER_BYTES;
}

uint8_t *
ipv4_begin(struct stack *stack, struct ipv4_out *out, size_t payload_bytes,
    enum reason *why)
{
	const size_t bytes = IP4_HEADER_BYTES + payload_bytes;
	uint32_t hop = out->dst;

	out->payload_bytes = payload_bytes;
	out->packet = NULL;
	out->neigh = NULL;
	out->big = false;
	*why = DROP_NO_ROUTE;
	if (out->nif == NULL) {
		out->nif = ipv4_route(stack, out->dst, &hop);
		if (out->nif == NULL)
			return NULL;
	}
	if (out->src == 0)
		out->src =
		    ip4_is_loopback(out->dst) ? out->dst : out->nif->net.addr;
	if (bytes > IP4_MAX_BYTES) {
		*why = netif_drop(out->nif, DROP_TOO_LONG);
		return NULL;
	}
	if (bytes <= out->nif->mtu_bytes)
		return begin_small(stack, out, hop, bytes, why);
	if (out->dont_fragment) {
		*why = netif_drop(out->nif, DROP_MTU);
		return NULL;
	}
	out->big = true;
	return stack->ipv4.big;
}

static void
write_header(
    struct ipv4_out *out, uint16_t id, uint16_t fragment, uint16_t offset_bytes)
{
	const struct ip4 ip = {
		.tos = out->tos,
		.total_bytes =
		    (uint16_t)(IP4_HEADER_BYTES + out->payload_bytes),
		.id = id,
		.fragment = fragment,
		.offset_bytes = offset_bytes,
		.ttl = out->ttl != 0 ? out->ttl : IPV4_TTL,
		.protocol = out->protocol,
		.src = out->src,
		.dst = out->dst,
	};
	struct writer w = writer(out->at, IP4_HEADER_BYTES);

	ip4_write(&w, &ip);
}

static void
end_small(struct stack *stack, struct ipv4_out *out)
{
	if (out->packet == NULL) {
		netif_send(out->nif, IP4_HEADER_BYTES + out->payload_bytes);
		return;
	}
	if (out->neigh != NULL) {
		neigh_queue(out->neigh, out->packet);
		return;
	}
	*stack->ipv4.loop_end = out->packet;
	stack->ipv4.loop_end = &out->packet->next;
}

static void
end_big(struct stack *stack, const struct ipv4_out *out, uint16_t id)
{
	const size_t step =
	    (size_t)(out->nif->mtu_bytes - IP4_HEADER_BYTES) & ~(size_t)7;
	const size_t n = (out->payload_bytes + step - 1) / step;
	enum reason why;

	for (size_t i = 0; i < n; i++) {
		struct ipv4_out part = *out;
		size_t at = (out->last_first ? n - 1 - i : i) * step;
		size_t left = out->payload_bytes - at;
		size_t bytes = left < step ? left : step;
		uint32_t hop;
		uint8_t *room;

		part.big = false;
		if (ipv4_route(stack, out->dst, &hop) == NULL)
			hop = out->dst;
		part.payload_bytes = bytes;
		room = begin_small(
		    stack, &part, hop, IP4_HEADER_BYTES + bytes, &why);
		if (room == NULL)
			return;
		memcpy(room, stack->ipv4.big + at, bytes);
		write_header(&part, id, left > step ? IP4_MF : 0, (uint16_t)at);
		end_small(stack, &part);
	}
}

void
ipv4_end(struct stack *stack, struct ipv4_out *out)
{
	const uint16_t id = stack->ipv4.next_id++;

	if (out->big) {
		end_big(stack, out, id);
		return;
	}
	write_header(out, id, out->dont_fragment ? IP4_DF : 0, 0);
	end_small(stack, out);
}

void
ipv4_send_packet(struct neigh *n, const struct packet *packet)
{
	uint8_t *room =
	    netif_room(n->nif, &n->mac, ETH_IPV4, packet->len_bytes);

	if (room == NULL)
		return;
	memcpy(room, packet->data, packet->len_bytes);
	netif_send(n->nif, packet->len_bytes);
}

bool
ipv4_run_loop(struct stack *stack)
{
	struct ipv4 *ip = &stack->ipv4;
	struct packet *packet, *all = ip->loop;
	struct netif *nif;
	struct cursor c;
	uint32_t hop;

	if (all == NULL)
		return false;
	ip->loop = NULL;
	ip->loop_end = &ip->loop;
	while ((packet = all) != NULL) {
		all = packet->next;
		nif = ipv4_route(
		    stack, get_be32(packet->data + IP4_OFF_DST), &hop);
		c = cursor(packet->data, packet->len_bytes);
		if (nif != NULL)
			netif_drop(nif, ipv4_input(nif, &c, RX_SELF));
		packet_free(&stack->packets, packet);
	}
	return true;
}

/* ---- in ---- */

static void
reass_free(struct reass *r)
{
	timer_unset(&r->nif->stack->timers, &r->timer);
	r->used = false;
}

static void
reass_expire(void *arg)
{
	struct reass *r = arg;

	netif_drop(r->nif, DROP_FRAGMENT);
	reass_free(r);
}

/* The slot of this datagram; a new one takes a free slot or the oldest. */
static struct reass *
reass_find(struct netif *nif, const struct ip4 *ip)
{
	struct stack *stack = nif->stack;
	struct reass *r, *victim = &stack->ipv4.reass[0];

	for (unsigned int i = 0; i < REASS_SLOTS; i++) {
		r = &stack->ipv4.reass[i];
		if (r->used && r->nif == nif && r->id == ip->id &&
		    r->src == ip->src && r->dst == ip->dst &&
		    r->protocol == ip->protocol)
			return r;
		if (victim->used &&
		    (!r->used || r->timer.at_us < victim->timer.at_us))
			victim = r;
	}
	if (victim->used)
		reass_expire(victim);
	victim->used = true;
	victim->nif = nif;
	victim->src = ip->src;
	victim->dst = ip->dst;
	victim->id = ip->id;
	victim->protocol = ip->protocol;
	victim->total_bytes = victim->have_bytes = victim->reach_bytes = 0;
	victim->first = (struct ip4){ 0 };
	memset(victim->blocks, 0, sizeof(victim->blocks));
	timer_set(
	    &stack->timers, &victim->timer, stack->now_us + REASS_TIMEOUT_US);
	return victim;
}

/* Marks the fragment's blocks.  False: one of them was here before. */
static bool
reass_mark(struct reass *r, size_t at, size_t bytes)
{
	for (size_t b = at / 8; b < (at + bytes + 7) / 8; b++) {
		if (r->blocks[b / 8] & 1u << b % 8)
			return false;
		r->blocks[b / 8] |= (uint8_t)(1u << b % 8);
	}
	return true;
}

/* Takes one fragment.  The slot when the datagram is whole, else NULL. */
static struct reass *
reass_add(struct netif *nif, const struct ip4 *ip, const struct cursor *c)
{
	struct reass *r = reass_find(nif, ip);
	const size_t at = ip->offset_bytes, bytes = cur_left(c),
		     end = at + bytes;
	const bool last = (ip->fragment & IP4_MF) == 0;

	if (bytes == 0 || (!last && bytes % 8 != 0) ||
	    end > IP4_MAX_BYTES - IP4_HEADER_BYTES ||
	    (r->total_bytes != 0 && (last || end > r->total_bytes)) ||
	    !reass_mark(r, at, bytes)) {
		reass_expire(r);
		return NULL;
	}
	memcpy(r->data + at, c->at, bytes);
	r->have_bytes += bytes;
	if (end > r->reach_bytes)
		r->reach_bytes = end;
	if (at == 0)
		r->first = *ip;
	if (last)
		r->total_bytes = end;
	/* Bytes behind the end came before it: nothing can be made of it. */
	if (last && r->reach_bytes > end) {
		reass_expire(r);
		return NULL;
	}
	return r->total_bytes != 0 && r->have_bytes == r->total_bytes ? r
								      : NULL;
}

static enum reason
deliver(
    struct netif *nif, const struct ip4 *ip, struct cursor *c, unsigned int how)
{
	switch (ip->protocol) {
	case IP_ICMP: return icmp4_input(nif, ip, c, how);
	case IP_UDP: return udpsock_input(nif, ip, c, how);
	case IP_TCP: return tcpconn_input(nif, ip, c, how);
	default: break;
	}
	icmp4_error(nif, ip, c, how, ICMP_UNREACHABLE, ICMP_UNREACH_PROTOCOL);
	return DROP_PROTOCOL;
}

/* May a packet come from there (RFC 1122, 3.2.1.3)?  Loopback addresses and
 * our own come from ourselves only. */
static bool
is_martian(const struct netif *nif, const struct ip4 *ip, unsigned int how)
{
	if (ip->src == IP4_BROADCAST || ip4_is_multicast(ip->src) ||
	    (nif->net.addr != 0 && ip->src == ip4_net_broadcast(nif->net)))
		return true;
	if (how & RX_SELF)
		return false;
	return ip4_is_loopback(ip->src) || ip4_is_loopback(ip->dst) ||
	    (ip->src != 0 && stack_owns(nif->stack, ip->src));
}

static bool
is_ours(const struct netif *nif, const struct ip4 *ip, unsigned int *how)
{
	if (is_link_broadcast(nif, ip->dst)) {
		*how |= RX_GROUP;
		return true;
	}
	if (*how & RX_SELF || (nif->net.addr != 0 && ip->dst == nif->net.addr))
		return true;
	/* An offer may be sent to the address it offers (RFC 2131, 4.1). */
	return ip->protocol == IP_UDP && !ip4_is_fragment(ip) &&
	    dhcpc_expects(nif, ip->dst);
}

enum reason
ipv4_input(struct netif *nif, struct cursor *c, unsigned int how)
{
	struct ip4 ip;
	struct reass *r;
	enum reason why = ip4_parse(&ip, c);

	if (why != DROP_NONE)
		return why;
	if (is_martian(nif, &ip, how))
		return DROP_MARTIAN;
	if (!is_ours(nif, &ip, &how))
		return DROP_NOT_OURS;
	if (!ip4_is_fragment(&ip))
		return deliver(nif, &ip, c, how);
	r = reass_add(nif, &ip, c);
	if (r == NULL)
		return REASON_DELIVERED; /* or counted by reass_expire() */
	ip = r->first;
	ip.fragment = 0;
	ip.options = NULL;
	ip.header_bytes = IP4_HEADER_BYTES;
	ip.total_bytes = (uint16_t)(IP4_HEADER_BYTES + r->total_bytes);
	*c = cursor(r->data, r->total_bytes);
	why = deliver(nif, &ip, c, how & ~RX_TRUSTED);
	reass_free(r);
	return why;
}
