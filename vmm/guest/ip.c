/*
 * ip.c - packets out.
 *
 * A packet is built where it will leave: in the device's memory when its
 * neighbour is known, in a packet of the neighbour's queue when not, in the
 * stack's one big buffer when it must be cut to fragments.  Packets to our own
 * addresses wait in a list until the end of the round, so that a sender never
 * finds itself in its own receiver.
 */
#include "vmm/guest/ip.h"

#include <string.h>

#include "net/nd.h"

#include "vmm/guest/stack.h"
#include "vmm/guest/text.h"

void
ip_init(struct stack *stack)
{
	struct ip *ip = &stack->ip;

	ip->next_id4 = (uint16_t)random_u32(&stack->random);
	ip->next_id6 = random_u32(&stack->random);
	ip->loop = NULL;
	ip->loop_end = &ip->loop;
	reass_init(ip->reass);
}

char *
ip_end_text(char out[IP_END_BYTES], const struct ip6_addr *addr, uint16_t port)
{
	char text[IP6_TEXT_BYTES];

	text_format(out, IP_END_BYTES, ip_is4(addr) ? "%s:%u" : "[%s]:%u",
	    ip6_text(text, addr), port);
	return out;
}

/* ---- ways ---- */

static bool
source4(const struct netif *nif, uint32_t dst, struct ip6_addr *src)
{
	*src = ip6_of_ip4(ip4_is_loopback(dst) ? dst : nif->net.addr);
	return true;
}

/* Fills in nif, hop and src.  False: there is no way. */
static bool
find_way(struct stack *stack, struct ip_out *out)
{
	uint32_t dst, hop;

	out->hop = out->dst;
	out->ip4 = ip6_to_ip4(&dst, &out->dst);
	if (!out->ip4) {
		if (out->nif == NULL)
			out->nif =
			    ipv6_route(stack, &out->dst, &out->src, &out->hop);
		return out->nif != NULL &&
		    (!ip6_is_zero(&out->src) ||
			ipv6_source(out->nif, &out->dst, &out->src));
	}
	if (out->nif == NULL) {
		out->nif = ipv4_route(stack, dst, &hop);
		if (out->nif == NULL)
			return false;
		out->hop = ip6_of_ip4(hop);
	}
	return ip_get4(&out->src) != 0 || source4(out->nif, dst, &out->src);
}

bool
ip_source(struct stack *stack, const struct ip6_addr *dst,
    const struct ip6_addr *from, struct ip6_addr *src)
{
	struct ip_out out = { .dst = *dst, .src = *from };

	if (!find_way(stack, &out) || (out.ip4 && ip_get4(&out.src) == 0))
		return false;
	*src = out.src;
	return true;
}

static size_t
mtu_of(struct stack *stack, const struct ip_out *out)
{
	return out->ip4 ? out->nif->mtu_bytes
			: ipv6_path_mtu(stack, out->nif, &out->dst);
}

size_t
ip_mtu(
    struct stack *stack, const struct ip6_addr *dst, const struct ip6_addr *src)
{
	struct ip_out out = { .dst = *dst, .src = *src };

	return find_way(stack, &out) ? mtu_of(stack, &out) : 0;
}

/* ---- out ---- */

static uint8_t *
begin_packet(struct stack *stack, struct ip_out *out, size_t bytes,
    enum reason full, enum reason *why)
{
	out->packet = packet_new(&stack->packets, bytes);
	if (out->packet == NULL) {
		*why = netif_drop(out->nif, full);
		return NULL;
	}
	out->at = out->packet->data;
	return out->at + out->head_bytes;
}

/* Where does a packet that fits the link lie while it is being built? */
static uint8_t *
begin_small(
    struct stack *stack, struct ip_out *out, size_t bytes, enum reason *why)
{
	struct netif *nif = out->nif;

	if (out->ip4 ? ipv4_group_mac(nif, ip_get4(&out->dst), &out->mac)
		     : ip6_is_multicast(&out->dst)) {
		if (!out->ip4)
			out->mac = nd_group_mac(&out->dst);
	} else if (stack_owns(stack, &out->hop)) {
		return begin_packet(stack, out, bytes, DROP_PORT_FULL, why);
	} else {
		out->neigh = neigh_get(nif, &out->hop);
		if (!neigh_ready(out->neigh))
			return begin_packet(stack, out, bytes,
			    out->ip4 ? DROP_ARP_QUEUE : DROP_ND_QUEUE, why);
		out->mac = out->neigh->mac;
	}
	out->at =
	    netif_room(nif, &out->mac, out->ip4 ? ETH_IPV4 : ETH_IPV6, bytes);
	if (out->at == NULL) {
		*why = DROP_PORT_FULL; /* counted by netif_room() */
		return NULL;
	}
	return out->at + out->head_bytes;
}

uint8_t *
ip_begin(struct stack *stack, struct ip_out *out, size_t payload_bytes,
    enum reason *why)
{
	size_t bytes;

	out->payload_bytes = payload_bytes;
	out->packet = NULL;
	out->neigh = NULL;
	out->big = false;
	*why = DROP_NO_ROUTE;
	if (!find_way(stack, out))
		return NULL;
	out->head_bytes = out->ip4 ? IP4_HEADER_BYTES : IP6_HEADER_BYTES;
	bytes = out->head_bytes + payload_bytes;
	if (bytes > IP4_MAX_BYTES) {
		*why = netif_drop(out->nif, DROP_TOO_LONG);
		return NULL;
	}
	if (bytes <= mtu_of(stack, out))
		return begin_small(stack, out, bytes, why);
	if (out->dont_fragment) {
		*why = netif_drop(out->nif, DROP_MTU);
		return NULL;
	}
	out->big = true;
	return stack->ip.big;
}

static void
write_header4(
    struct ip_out *out, uint16_t id, uint16_t fragment, uint16_t offset_bytes)
{
	const struct ip4 ip = {
		.tos = out->tos,
		.total_bytes =
		    (uint16_t)(IP4_HEADER_BYTES + out->payload_bytes),
		.id = id,
		.fragment = fragment,
		.offset_bytes = offset_bytes,
		.ttl = out->ttl != 0 ? out->ttl : IP_HOPS,
		.protocol = out->protocol,
		.src = ip_get4(&out->src),
		.dst = ip_get4(&out->dst),
	};
	struct writer w = writer(out->at, IP4_HEADER_BYTES);

	ip4_write(&w, &ip);
}

static void
write_header6(struct ip_out *out, uint8_t next)
{
	const uint8_t usual = out->nif->ip6.hop_limit;
	const struct ip6 ip = {
		.traffic_class = out->tos,
		.payload_bytes = (uint16_t)out->payload_bytes,
		.next = next,
		.hop_limit = out->ttl != 0 ? out->ttl
		    : usual != 0           ? usual
					   : IP_HOPS,
		.src = out->src,
		.dst = out->dst,
	};
	struct writer w = writer(out->at, IP6_HEADER_BYTES);

	ip6_write(&w, &ip);
}

static void
end_small(struct stack *stack, struct ip_out *out)
{
	if (out->packet == NULL) {
		netif_send(out->nif, out->head_bytes + out->payload_bytes);
		return;
	}
	if (out->neigh != NULL) {
		neigh_queue(out->neigh, out->packet);
		return;
	}
	*stack->ip.loop_end = out->packet;
	stack->ip.loop_end = &out->packet->next;
}

/* The headers of a fragment of out, whose data lies at data. */
static void
write_fragment(
    struct ip_out *out, uint8_t *data, uint32_t id, size_t at, bool more)
{
	struct writer w;

	if (out->ip4) {
		write_header4(
		    out, (uint16_t)id, more ? IP4_MF : 0, (uint16_t)at);
		return;
	}
	w = writer(data - IP6_FRAGMENT_BYTES, IP6_FRAGMENT_BYTES);
	wr_u8(&w, out->protocol);
	wr_u8(&w, 0);
	wr_be16(&w, (uint16_t)(at | more));
	wr_be32(&w, id);
	write_header6(out, IP_FRAGMENT);
}

static void
end_big(struct stack *stack, const struct ip_out *out, uint32_t id)
{
	const size_t extra = out->ip4 ? 0 : IP6_FRAGMENT_BYTES;
	const size_t step =
	    (mtu_of(stack, out) - out->head_bytes - extra) & ~(size_t)7;
	const size_t n = (out->payload_bytes + step - 1) / step;
	enum reason why;

	for (size_t i = 0; i < n; i++) {
		struct ip_out part = *out;
		size_t at = (out->last_first ? n - 1 - i : i) * step;
		size_t left = out->payload_bytes - at;
		size_t bytes = left < step ? left : step;
		uint8_t *room;

		part.big = false;
		part.payload_bytes = extra + bytes;
		room = begin_small(
		    stack, &part, part.head_bytes + part.payload_bytes, &why);
		if (room == NULL)
			return;
		memcpy(room + extra, stack->ip.big + at, bytes);
		write_fragment(&part, room + extra, id, at, left > step);
		end_small(stack, &part);
	}
}

void
ip_end(struct stack *stack, struct ip_out *out)
{
	struct ip *ip = &stack->ip;
	const uint32_t id = out->ip4 ? ip->next_id4++ : ip->next_id6;

	if (out->big) {
		ip->next_id6 += !out->ip4;
		end_big(stack, out, id);
		return;
	}
	if (out->ip4)
		write_header4(
		    out, (uint16_t)id, out->dont_fragment ? IP4_DF : 0, 0);
	else
		write_header6(out, out->protocol);
	end_small(stack, out);
}

void
ip_send_packet(struct neigh *n, const struct packet *packet)
{
	uint8_t *room = netif_room(n->nif, &n->mac,
	    ip_is4(&n->ip) ? ETH_IPV4 : ETH_IPV6, packet->len_bytes);

	if (room == NULL)
		return;
	memcpy(room, packet->data, packet->len_bytes);
	netif_send(n->nif, packet->len_bytes);
}

/* ---- to ourselves ---- */

static void
receive_own(struct stack *stack, const struct packet *packet)
{
	struct cursor c = cursor(packet->data, packet->len_bytes);
	const bool ip4 = packet->data[0] >> 4 == 4;
	struct netif *nif;
	uint32_t hop;

	if (ip4)
		nif = ipv4_route(
		    stack, get_be32(packet->data + IP4_OFF_DST), &hop);
	else
		nif = ipv6_owner_of(stack, packet->data + IP6_OFF_DST);
	if (nif != NULL)
		netif_drop(nif,
		    ip4 ? ipv4_input(nif, &c, RX_SELF)
			: ipv6_input(nif, &c, RX_SELF));
}

bool
ip_run_loop(struct stack *stack)
{
	struct ip *ip = &stack->ip;
	struct packet *packet, *all = ip->loop;

	if (all == NULL)
		return false;
	ip->loop = NULL;
	ip->loop_end = &ip->loop;
	while ((packet = all) != NULL) {
		all = packet->next;
		receive_own(stack, packet);
		packet_free(&stack->packets, packet);
	}
	return true;
}
