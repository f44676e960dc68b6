#include "vmm/guest/nd6.h"

#include <string.h>

#include "net/nd.h"

#include "vmm/guest/stack.h"

#define MESSAGE_BYTES (IP6_HEADER_BYTES + ND_BYTES)

/* To a group, or to mac, unless that is zero: then to dst by its own. */
static void
send(struct netif *nif, const struct nd_message *nd, const struct ip6_addr *src,
    const struct ip6_addr *dst, const struct mac *mac)
{
	uint8_t packet[MESSAGE_BYTES], *room;
	struct writer w = writer(packet, sizeof(packet));
	size_t bytes;

	nd_message_write(&w, nd, src, dst);
	bytes = (size_t)(w.at - packet);
	if (mac_is_zero(mac)) {
		ipv6_send(nif, dst, packet, bytes);
		return;
	}
	room = netif_room(nif, mac, ETH_IPV6, bytes);
	if (room == NULL)
		return;
	memcpy(room, packet, bytes);
	netif_send(nif, bytes);
}

static const struct mac no_mac;

void
nd6_ask(struct neigh *n)
{
	const bool checking = n->state == NEIGH_CHECKING;
	const struct nd_message nd = {
		.type = ND_SOLICIT, .target = n->ip, .mac = n->nif->mac
	};
	const struct ip6_addr dst = checking ? n->ip : nd_group(&n->ip);
	struct ip6_addr src;

	/* Of the address that the packet is from any other does as well. */
	if (ipv6_source(n->nif, &n->ip, &src))
		send(n->nif, &nd, &src, &dst, checking ? &n->mac : &no_mac);
}

void
nd6_probe(const struct addr6 *a)
{
	const struct ip6_addr none = { { 0 } }, dst = nd_group(&a->net.addr);
	struct nd_message nd = { .type = ND_SOLICIT, .target = a->net.addr };

	memcpy(nd.nonce, a->nonce, sizeof(nd.nonce));
	send(a->nif, &nd, &none, &dst, &no_mac);
}

/* ---- solicitations ---- */

/* Says that target is ours; mac: of who asked, zero if that is not known. */
static void
advertise(struct netif *nif, const struct ip6_addr *target,
    const struct ip6_addr *to, const struct mac *mac)
{
	const bool nameless = ip6_is_zero(to);
	const struct nd_message nd = { .type = ND_ADVERTISE,
		.flags = ND_OVERRIDE | (nameless ? 0 : ND_SOLICITED),
		.target = *target,
		.mac = nif->mac };

	send(nif, &nd, target, nameless ? &ip6_all_nodes : to, mac);
}

/* Somebody looks whether it may have an address that we are looking for, too;
 * unless it is our own question that comes back (RFC 7527 4.2). */
static enum reason
both_want(struct addr6 *a, const struct nd_message *nd)
{
	if (memcmp(nd->nonce, a->nonce, sizeof(a->nonce)) != 0)
		addr6_taken(a, &nd->mac);
	return REASON_DELIVERED;
}

static enum reason
solicited(struct netif *nif, const struct ip6 *ip, const struct nd_message *nd)
{
	struct addr6 *a = addr6_find(nif, &nd->target);
	struct neigh *n;

	if (a == NULL)
		return DROP_NOT_OURS;
	if (a->state == ADDR6_TENTATIVE)
		return ip6_is_zero(&ip->src) ? both_want(a, nd) : DROP_NOT_OURS;
	if (a->state != ADDR6_VALID)
		return DROP_NOT_OURS;
	if (!mac_is_zero(&nd->mac)) {
		n = neigh_find(nif, &ip->src);
		if (n == NULL)
			n = neigh_add(nif, &ip->src);
		/* That it can be reached is not said by this. */
		if (!neigh_ready(n) || !mac_equal(&n->mac, &nd->mac))
			neigh_learn(n, &nd->mac, false);
	}
	advertise(nif, &nd->target, &ip->src, &nd->mac);
	return REASON_DELIVERED;
}

/* ---- advertisements ---- */

/* RFC 4861 7.2.5, for a neighbour whose address is known. */
static void
update(struct neigh *n, const struct nd_message *nd)
{
	const bool sure = (nd->flags & ND_SOLICITED) != 0;
	const bool other =
	    !mac_is_zero(&nd->mac) && !mac_equal(&n->mac, &nd->mac);

	if (other && (nd->flags & ND_OVERRIDE) == 0) {
		n->fresh_until_us = 0;
		return;
	}
	if (sure || other)
		neigh_learn(n, other ? &nd->mac : &n->mac, sure);
}

static enum reason
advertised(struct netif *nif, const struct nd_message *nd)
{
	struct addr6 *a = addr6_find(nif, &nd->target);
	struct neigh *n;

	if (a != NULL) {
		if (a->state == ADDR6_VALID) {
			nif->ip6.conflicts++;
			nif->ip6.conflict_mac = nd->mac;
		}
		addr6_taken(a, &nd->mac);
		return REASON_DELIVERED;
	}
	n = neigh_find(nif, &nd->target);
	if (n == NULL)
		return DROP_NOT_OURS; /* nobody asked */
	if (neigh_ready(n))
		update(n, nd);
	else if (!mac_is_zero(&nd->mac))
		neigh_learn(n, &nd->mac, (nd->flags & ND_SOLICITED) != 0);
	if (n->router && (nd->flags & ND_ROUTER) == 0)
		autoconf_router_gone(nif, &n->ip);
	n->router = (nd->flags & ND_ROUTER) != 0;
	return REASON_DELIVERED;
}

enum reason
nd6_input(struct netif *nif, const struct ip6 *ip, struct cursor *c)
{
	struct nd_message nd;
	enum reason why = nd_message_parse(&nd, c, ip);

	if (why != DROP_NONE)
		return why;
	if (mac_is_group(&nd.mac) || mac_equal(&nd.mac, &nif->mac))
		return DROP_MARTIAN;
	return nd.type == ND_SOLICIT ? solicited(nif, ip, &nd)
				     : advertised(nif, &nd);
}
