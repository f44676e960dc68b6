/*
 * ipv4.c - a host's IPv4.
 */
#include "vmm/guest/ipv4.h"

#include <string.h>

#include "vmm/guest/stack.h"

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

bool
ipv4_owns(const struct stack *stack, uint32_t addr)
{
	if (addr == 0)
		return false;
	for (unsigned int i = 0; i < stack->nnifs; i++) {
		if (stack->nif[i].net.addr == addr)
			return true;
	}
	return ip4_is_loopback(addr);
}

static bool
is_link_broadcast(const struct netif *nif, uint32_t dst)
{
	return dst == IP4_BROADCAST ||
	    (nif->net.addr != 0 && dst == ip4_net_broadcast(nif->net));
}

bool
ipv4_group_mac(const struct netif *nif, uint32_t dst, struct mac *mac)
{
	if (is_link_broadcast(nif, dst))
		*mac = mac_broadcast;
	else if (ip4_is_multicast(dst))
		*mac = (struct mac){ { 0x01, 0x00, 0x5e, dst >> 16 & 0x7f,
		    dst >> 8 & 0xff, dst & 0xff } };
	else
		return false;
	return true;
}

/* ---- in ---- */

static enum reason
deliver(
    struct netif *nif, const struct ip4 *ip, struct cursor *c, unsigned int how)
{
	const struct ip_in in = {
		.src = ip6_of_ip4(ip->src),
		.dst = ip6_of_ip4(ip->dst),
		.protocol = ip->protocol,
		.ttl = ip->ttl,
		.tos = ip->tos,
		.ip4 = ip,
		.payload = *c,
	};

	switch (ip->protocol) {
	case IP_ICMP: return icmp4_input(nif, &in, c, how);
	case IP_UDP: return udpsock_input(nif, &in, c, how);
	case IP_TCP: return tcpconn_input(nif, &in, c, how);
	default: break;
	}
	icmp4_error(nif, &in, how, ICMP_UNREACHABLE, ICMP_UNREACH_PROTOCOL);
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
	    (ip->src != 0 && ipv4_owns(nif->stack, ip->src));
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
	struct fragment f;
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
	f = (struct fragment){ ip6_of_ip4(ip.src), ip6_of_ip4(ip.dst), ip.id,
		ip.protocol, ip.offset_bytes, (ip.fragment & IP4_MF) == 0 };
	r = reass_add(nif, &f, &ip, NULL, c);
	if (r == NULL)
		return REASON_DELIVERED; /* or counted by reass_add() */
	ip = r->first4;
	ip.fragment = 0;
	ip.options = NULL;
	ip.header_bytes = IP4_HEADER_BYTES;
	ip.total_bytes = (uint16_t)(IP4_HEADER_BYTES + r->total_bytes);
	*c = cursor(r->data, r->total_bytes);
	why = deliver(nif, &ip, c, how & ~RX_TRUSTED);
	reass_free(r);
	return why;
}
