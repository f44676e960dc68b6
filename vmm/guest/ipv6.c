/*
 * ipv6.c - a host's IPv6.
 *
 * A link-local address means nothing without its interface.  Here it is the
 * source that tells: each interface has an address of its own there, and who
 * gives none means the first.  So no address carries a zone with it.
 */
#include "vmm/guest/ipv6.h"

#include <string.h>

#include "net/ip6_chain.h"
#include "net/nd.h"

#include "vmm/guest/stack.h"

static const struct ip6_addr loopback = { { [15] = 1 } };

void
ipv6_init(struct netif *nif)
{
	addr6_init(nif);
	autoconf_init(nif);
	mld6_init(nif);
}

/* ---- on and off ---- */

static void
turn_off(struct netif *nif)
{
	struct netif6 *six = &nif->ip6;

	for (unsigned int i = 0; i < NETIF_ADDRS6; i++)
		if (six->addr[i].state != ADDR6_FREE)
			addr6_remove(&six->addr[i]);
	autoconf_stop(nif);
	mld6_stop(nif);
	memset(six->prefix, 0, sizeof(six->prefix));
	memset(six->gateway, 0, sizeof(six->gateway));
	memset(six->dns, 0, sizeof(six->dns));
	memset(six->group, 0, sizeof(six->group));
	six->on = false;
}

static const char *
turn_on(struct netif *nif)
{
	const struct ip6_net link = { ip6_link_local(&nif->mac), 64 };

	if (nif->ip6.on)
		return NULL;
	if (nif->device_mtu_bytes < IP6_MTU_MIN)
		return "IPv6 needs an MTU of 1280 at least";
	nif->ip6.on = true;
	(void)addr6_add(nif, &link, ADDR6_LINK_LOCAL);
	if (nif->up)
		autoconf_start(nif);
	return NULL;
}

void
ipv6_link(struct netif *nif)
{
	if (!nif->ip6.on)
		return;
	if (nif->up) {
		addr6_restart(nif);
		autoconf_start(nif);
	} else {
		addr6_stop(nif);
		autoconf_stop(nif);
		mld6_stop(nif);
	}
}

/* One of the words between commas. */
static const char *
configure_word(struct netif *nif, const char *word)
{
	struct ip6_addr addr;
	struct ip6_net net;

	if (strcmp(word, "auto") == 0)
		return NULL;
	if (strncmp(word, "gw=", 3) == 0)
		return ip6_read(&addr, word + 3) && autoconf_gateway(nif, &addr)
		    ? NULL
		    : "gw= is not an IPv6 address, or one too many";
	if (strncmp(word, "dns=", 4) == 0)
		return ip6_read(&addr, word + 4) && autoconf_dns(nif, &addr)
		    ? NULL
		    : "dns= is not an IPv6 address, or one too many";
	if (!ip6_net_read(&net, word) || !ip6_is_host(&net.addr) ||
	    net.prefix == 0)
		return "not an address like 2001:db8::1/64";
	if (addr6_find(nif, &net.addr) != NULL)
		return NULL;
	return addr6_add(nif, &net, ADDR6_FIXED) != NULL &&
		autoconf_on_link(nif, &net)
	    ? NULL
	    : "there is no room for more addresses";
}

const char *
ipv6_configure(struct netif *nif, char *text)
{
	const char *wrong;

	if (strcmp(text, "none") == 0) {
		turn_off(nif);
		return NULL;
	}
	wrong = turn_on(nif);
	while (wrong == NULL && text != NULL) {
		char *comma = strchr(text, ',');

		if (comma != NULL)
			*comma++ = '\0';
		wrong = configure_word(nif, text);
		text = comma;
	}
	return wrong;
}

/* ---- routes ---- */

struct netif *
ipv6_owner(struct stack *stack, const struct ip6_addr *addr)
{
	if (ip6_equal(addr, &loopback))
		return stack->nnifs > 0 ? &stack->nif[0] : NULL;
	for (unsigned int i = 0; i < stack->nnifs; i++) {
		const struct addr6 *a;

		if (!stack->nif[i].ip6.on)
			continue;
		a = addr6_find(&stack->nif[i], addr);
		if (a != NULL && a->state == ADDR6_VALID)
			return &stack->nif[i];
	}
	return NULL;
}

struct netif *
ipv6_owner_of(struct stack *stack, const uint8_t *addr)
{
	struct ip6_addr copy;

	memcpy(copy.b, addr, sizeof(copy.b));
	return ipv6_owner(stack, &copy);
}

/* Is dst on nif's link?  *bits: of the prefix that says so. */
static bool
is_on_link(
    const struct netif *nif, const struct ip6_addr *dst, unsigned int *bits)
{
	bool any = false;

	*bits = 0;
	if (ip6_is_link_local(dst) || ip6_is_multicast(dst))
		return true;
	for (unsigned int i = 0; i < NETIF_PREFIXES6; i++) {
		const struct prefix6 *p = &nif->ip6.prefix[i];

		if (p->used && ip6_net_has(&p->net, dst)) {
			any = true;
			*bits = p->net.prefix > *bits ? p->net.prefix : *bits;
		}
	}
	return any;
}

struct netif *
ipv6_route(struct stack *stack, const struct ip6_addr *dst,
    const struct ip6_addr *src, struct ip6_addr *hop)
{
	struct netif *best = ipv6_owner(stack, dst), *gateway = NULL;
	const struct netif *only =
	    ip6_is_zero(src) ? NULL : ipv6_owner(stack, src);
	unsigned int bits, most = 0;

	*hop = *dst;
	if (best != NULL)
		return best;
	for (unsigned int i = 0; i < stack->nnifs; i++) {
		struct netif *nif = &stack->nif[i];
		const struct ip6_addr *router;

		if (!nif->ip6.on || (only != NULL && nif != only))
			continue;
		if (is_on_link(nif, dst, &bits) &&
		    (best == NULL || bits > most)) {
			best = nif;
			most = bits;
		}
		router = autoconf_router(nif);
		if (gateway == NULL && router != NULL) {
			gateway = nif;
			*hop = *router;
		}
	}
	if (best == NULL)
		return gateway;
	*hop = *dst;
	return best;
}

/* Of which scope is it (RFC 6724 3.1)? */
static unsigned int
scope_of(const struct ip6_addr *addr)
{
	if (ip6_is_multicast(addr))
		return addr->b[1] & 0xf;
	return ip6_is_link_local(addr) ? 0x2 : 0xe;
}

/* Is a a better source than b for dst? */
static bool
is_better(
    const struct addr6 *a, const struct addr6 *b, const struct ip6_addr *dst)
{
	const uint64_t now_us = a->nif->stack->now_us;
	const bool old_a = now_us > a->preferred_us,
		   old_b = now_us > b->preferred_us;

	if (old_a != old_b) /* rule 3 */
		return old_b;
	return ip6_common_bits(&a->net.addr, dst) > /* rule 8 */
	    ip6_common_bits(&b->net.addr, dst);
}

bool
ipv6_source(struct netif *nif, const struct ip6_addr *dst, struct ip6_addr *src)
{
	const unsigned int scope = scope_of(dst) <= 0x2 ? 0x2 : 0xe;
	const struct addr6 *best = NULL;

	if (ip6_equal(dst, &loopback)) {
		*src = loopback;
		return true;
	}
	for (unsigned int i = 0; i < NETIF_ADDRS6; i++) {
		const struct addr6 *a = &nif->ip6.addr[i];

		if (a->state != ADDR6_VALID || scope_of(&a->net.addr) != scope)
			continue;
		if (ip6_equal(&a->net.addr, dst)) { /* rule 1 */
			best = a;
			break;
		}
		if (best == NULL || is_better(a, best, dst))
			best = a;
	}
	if (best == NULL)
		return false;
	*src = best->net.addr;
	return true;
}

/* ---- paths ---- */

static struct path6 *
find_path(struct stack *stack, const struct ip6_addr *dst)
{
	for (unsigned int i = 0; i < PATHS6; i++) {
		struct path6 *p = &stack->ipv6.path[i];

		if (p->until_us > stack->now_us && ip6_equal(&p->dst, dst))
			return p;
	}
	return NULL;
}

size_t
ipv6_path_mtu(
    struct stack *stack, const struct netif *nif, const struct ip6_addr *dst)
{
	const struct path6 *path = find_path(stack, dst);
	size_t mtu = nif->mtu_bytes;

	if (nif->ip6.mtu_bytes != 0 && nif->ip6.mtu_bytes < mtu)
		mtu = nif->ip6.mtu_bytes;
	if (path != NULL && path->mtu_bytes < mtu)
		mtu = path->mtu_bytes;
	return mtu < IP6_MTU_MIN ? IP6_MTU_MIN : mtu;
}

void
ipv6_learn_mtu(
    struct stack *stack, const struct ip6_addr *dst, uint32_t mtu_bytes)
{
	struct path6 *path = find_path(stack, dst);

	if (mtu_bytes < IP6_MTU_MIN || mtu_bytes > UINT16_MAX ||
	    (path != NULL && mtu_bytes >= path->mtu_bytes))
		return;
	for (unsigned int i = 0; path == NULL && i < PATHS6; i++)
		if (stack->ipv6.path[i].until_us <= stack->now_us)
			path = &stack->ipv6.path[i];
	for (unsigned int i = 0; path == NULL && i < PATHS6; i++)
		path = &stack->ipv6.path[random_below(&stack->random, PATHS6)];
	*path = (struct path6){ *dst, (uint16_t)mtu_bytes,
		stack->now_us + PATH6_US };
}

/* ---- out ---- */

void
ipv6_send(struct netif *nif, const struct ip6_addr *dst, const uint8_t *packet,
    size_t bytes)
{
	struct mac mac;
	struct neigh *n;
	struct packet *waiting;
	uint8_t *room;

	if (ip6_is_multicast(dst))
		mac = nd_group_mac(dst);
	else {
		n = neigh_get(nif, dst);
		if (!neigh_ready(n)) {
			waiting = packet_new(&nif->stack->packets, bytes);
			if (waiting == NULL) {
				netif_drop(nif, DROP_ND_QUEUE);
				return;
			}
			memcpy(waiting->data, packet, bytes);
			neigh_queue(n, waiting);
			return;
		}
		mac = n->mac;
	}
	room = netif_room(nif, &mac, ETH_IPV6, bytes);
	if (room == NULL)
		return;
	memcpy(room, packet, bytes);
	netif_send(nif, bytes);
}

/* ---- in ---- */

/* May a packet come from there?  Loopback addresses and our own come from
 * ourselves only; who has no address speaks of neighbours and groups only. */
static bool
is_martian(struct netif *nif, const struct ip6 *ip, unsigned int how)
{
	uint32_t ip4;

	if (ip6_is_multicast(&ip->src) || ip6_is_zero(&ip->dst) ||
	    ip6_to_ip4(&ip4, &ip->src) || ip6_to_ip4(&ip4, &ip->dst))
		return true;
	if (how & RX_SELF)
		return false;
	return ip6_equal(&ip->src, &loopback) ||
	    ip6_equal(&ip->dst, &loopback) ||
	    ipv6_owner(nif->stack, &ip->src) != NULL;
}

static bool
is_ours(struct netif *nif, const struct ip6 *ip, unsigned int *how)
{
	const struct addr6 *a;

	if (*how & RX_SELF)
		return true;
	if (ip6_is_multicast(&ip->dst)) {
		*how |= RX_GROUP;
		return ip6_equal(&ip->dst, &ip6_all_nodes) ||
		    mld6_listens(nif, &ip->dst);
	}
	a = addr6_find(nif, &ip->dst);
	return a != NULL && a->state == ADDR6_VALID;
}

static enum reason
deliver(struct netif *nif, const struct ip_in *in, struct cursor *c,
    unsigned int how)
{
	if (ip6_is_zero(&in->src) && in->protocol != IP_ICMP6)
		return DROP_MARTIAN;
	switch (in->protocol) {
	case IP_ICMP6: return icmp6_input(nif, in, c, how);
	case IP_UDP: return udpsock_input(nif, in, c, how);
	case IP_TCP: return tcpconn_input(nif, in, c, how);
	case IP_NONE: return REASON_DELIVERED;
	default: break;
	}
	icmp6_error(
	    nif, in, how, ICMP6_PARAMETER, ICMP6_PARAMETER_NEXT, in->next_at);
	return DROP_PROTOCOL;
}

/* What must be known and is not (RFC 8200 4.2, 4.4). */
static enum reason
refuse_headers(struct netif *nif, const struct ip_in *in,
    const struct ip6_chain *chain, unsigned int how)
{
	if (chain->option_at != 0) {
		/* 01: be silent; 10: tell; 11: not of a group. */
		const unsigned int what = chain->option >> 6;

		if (what == 2 || (what == 3 && (how & RX_GROUP) == 0))
			icmp6_error(nif, in, how, ICMP6_PARAMETER,
			    ICMP6_PARAMETER_OPTION, chain->option_at);
		return DROP_IP6_OPTION;
	}
	if (chain->routing_at != 0 && chain->segments_left != 0) {
		icmp6_error(nif, in, how, ICMP6_PARAMETER,
		    ICMP6_PARAMETER_HEADER, chain->routing_at + 2u);
		return DROP_IP6_CHAIN;
	}
	return DROP_NONE;
}

/* The packet whose header is ip and whose payload is c, from the first
 * extension header on. */
static enum reason
payload(
    struct netif *nif, const struct ip6 *ip, struct cursor *c, unsigned int how)
{
	struct ip_in in = {
		.src = ip->src,
		.dst = ip->dst,
		.ttl = ip->hop_limit,
		.tos = ip->traffic_class,
		.ip6 = ip,
		.payload = *c,
	};
	struct ip6_chain chain;
	enum reason why = ip6_chain_parse(&chain, c, ip);
	const uint8_t *header;
	struct fragment f;
	struct ip6 whole;
	struct reass *r;

	if (why != DROP_NONE)
		return why;
	in.protocol = chain.protocol;
	in.chain_bytes = chain.bytes;
	in.next_at = chain.next_at;
	why = refuse_headers(nif, &in, &chain, how);
	if (why != DROP_NONE)
		return why;
	if (!ip6_is_fragment(&chain))
		return deliver(nif, &in, c, how);
	if (how & RX_WHOLE) /* fragments within fragments have no end */
		return DROP_IP6_CHAIN;
	/* What is behind the fragment header is put together, and read anew. */
	header = in.payload.at + chain.fragment_at - IP6_HEADER_BYTES;
	*c = (struct cursor){ .at = header + IP6_FRAGMENT_BYTES,
		.end = in.payload.end };
	f = (struct fragment){ ip->src, ip->dst, chain.id, 0,
		chain.offset_bytes, !chain.more };
	whole = *ip;
	whole.next = header[0];
	r = reass_add(nif, &f, NULL, &whole, c);
	if (r == NULL)
		return REASON_DELIVERED; /* or counted by reass_add() */
	whole = r->first6;
	whole.payload_bytes = (uint16_t)r->total_bytes;
	*c = cursor(r->data, r->total_bytes);
	why = payload(nif, &whole, c, (how & ~RX_TRUSTED) | RX_WHOLE);
	reass_free(r);
	return why;
}

enum reason
ipv6_input(struct netif *nif, struct cursor *c, unsigned int how)
{
	struct ip6 ip;
	enum reason why = ip6_parse(&ip, c);

	if (why != DROP_NONE)
		return why;
	if (is_martian(nif, &ip, how))
		return DROP_MARTIAN;
	if (!is_ours(nif, &ip, &how))
		return DROP_NOT_OURS;
	return payload(nif, &ip, c, how);
}
