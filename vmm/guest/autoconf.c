/*
 * autoconf.c - router discovery and stateless addresses.
 *
 * The first solicitation goes out at once and from no address, so that an
 * answer is here before the link-local address has been looked for; hosts of a
 * LAN of ours start apart, and no frames collide there, which is what the delay
 * of RFC 4861 6.3.7 is against.  An address is made of the prefix and the MAC
 * address (RFC 4291 appendix A): a lab's host has the same one in each run.
 */
#include "vmm/guest/autoconf.h"

#include <string.h>

#include "net/nd.h"
#include "net/ra.h"

#include "vmm/guest/stack.h"

#define SOLICITATIONS  3              /* MAX_RTR_SOLICITATIONS */
#define SOLICIT_US     (4 * US_PER_S) /* RTR_SOLICITATION_INTERVAL */
#define REACHABLE_MS   30000u         /* REACHABLE_TIME */
#define RETRANSMIT_MS  1000u          /* RETRANS_TIMER */
#define MS_MAX         3600000u       /* of both, an hour */
#define RETRANSMIT_MIN 10u            /* nobody makes us ask in a loop */
#define TWO_HOURS_US   (7200 * US_PER_S)
#define FOR_EVER_S     UINT32_MAX

static void solicit(void *arg);
static void expire(void *arg);

void
autoconf_init(struct netif *nif)
{
	timer_init(&nif->ip6.solicit_timer, solicit, nif);
	timer_init(&nif->ip6.expire_timer, expire, nif);
}

void
autoconf_start(struct netif *nif)
{
	nif->ip6.solicited = 0;
	for (unsigned int i = 0; i < NETIF_ROUTERS6; i++)
		nif->ip6.gateway[i].failed = false;
	timer_set(
	    &nif->stack->timers, &nif->ip6.solicit_timer, nif->stack->now_us);
}

void
autoconf_stop(struct netif *nif)
{
	timer_unset(&nif->stack->timers, &nif->ip6.solicit_timer);
}

static void
solicit(void *arg)
{
	struct netif *nif = arg;
	struct stack *stack = nif->stack;
	uint8_t packet[IP6_HEADER_BYTES + 16];
	struct writer w = writer(packet, sizeof(packet));
	struct ip6_addr src = { { 0 } };
	struct mac mac = { { 0 } };

	if (nif->ip6.solicited++ == SOLICITATIONS)
		return;
	if (ipv6_source(nif, &ip6_all_routers, &src))
		mac = nif->mac;
	rs_write(&w, &mac, &src, &ip6_all_routers);
	ipv6_send(nif, &ip6_all_routers, packet, (size_t)(w.at - packet));
	timer_set(&stack->timers, &nif->ip6.solicit_timer,
	    stack->now_us + SOLICIT_US);
}

bool
autoconf_is_waiting(const struct netif *nif)
{
	return nif->ip6.on && nif->ip6.solicit_timer.set;
}

uint64_t
autoconf_reachable_us(const struct netif *nif)
{
	const uint32_t ms =
	    nif->ip6.reachable_ms != 0 ? nif->ip6.reachable_ms : REACHABLE_MS;

	/* Half as long to half as long again, so that not all ask at once. */
	return (ms / 2 + random_below(&nif->stack->random, ms + 1)) * US_PER_MS;
}

uint64_t
autoconf_retransmit_us(const struct netif *nif)
{
	const uint32_t ms = nif->ip6.retransmit_ms != 0 ? nif->ip6.retransmit_ms
							: RETRANSMIT_MS;

	return ms * US_PER_MS;
}

/* ---- time ---- */

static uint64_t
until_us(const struct netif *nif, uint32_t lifetime_s)
{
	return lifetime_s == FOR_EVER_S
	    ? TIMER_NEVER
	    : nif->stack->now_us + lifetime_s * US_PER_S;
}

/* Ends what is over, and finds when the next will be. */
static void
expire(void *arg)
{
	struct netif *nif = arg;
	struct netif6 *six = &nif->ip6;
	const uint64_t now_us = nif->stack->now_us;
	uint64_t next_us = TIMER_NEVER;

#define END_IF_OVER(x, end)                       \
	do {                                      \
		if ((x)->valid_us <= now_us)      \
			end;                      \
		else if ((x)->valid_us < next_us) \
			next_us = (x)->valid_us;  \
	} while (0)
	for (unsigned int i = 0; i < NETIF_ADDRS6; i++)
		if (six->addr[i].state != ADDR6_FREE)
			END_IF_OVER(&six->addr[i], addr6_remove(&six->addr[i]));
	for (unsigned int i = 0; i < NETIF_PREFIXES6; i++)
		if (six->prefix[i].used)
			END_IF_OVER(
			    &six->prefix[i], six->prefix[i].used = false);
	for (unsigned int i = 0; i < NETIF_ROUTERS6; i++)
		if (six->gateway[i].used)
			END_IF_OVER(
			    &six->gateway[i], six->gateway[i].used = false);
	for (unsigned int i = 0; i < NETIF_DNS6; i++)
		if (six->dns[i].used)
			END_IF_OVER(&six->dns[i], six->dns[i].used = false);
#undef END_IF_OVER
	timer_set(&nif->stack->timers, &six->expire_timer, next_us);
}

/* ---- routers ---- */

static struct gateway6 *
find_router(struct netif *nif, const struct ip6_addr *addr)
{
	for (unsigned int i = 0; i < NETIF_ROUTERS6; i++) {
		struct gateway6 *g = &nif->ip6.gateway[i];

		if (g->used && ip6_equal(&g->addr, addr))
			return g;
	}
	return NULL;
}

static struct gateway6 *
add_router(struct netif *nif, const struct ip6_addr *addr, uint64_t valid_us)
{
	struct gateway6 *g = find_router(nif, addr);

	for (unsigned int i = 0; g == NULL && i < NETIF_ROUTERS6; i++)
		if (!nif->ip6.gateway[i].used)
			g = &nif->ip6.gateway[i];
	if (g == NULL)
		return NULL;
	if (!g->used || !g->fixed)
		*g = (struct gateway6){
			.used = true, .addr = *addr, .valid_us = valid_us
		};
	return g;
}

bool
autoconf_gateway(struct netif *nif, const struct ip6_addr *addr)
{
	struct gateway6 *g =
	    ip6_is_host(addr) ? add_router(nif, addr, TIMER_NEVER) : NULL;

	if (g == NULL)
		return false;
	g->fixed = true;
	return true;
}

const struct ip6_addr *
autoconf_router(const struct netif *nif)
{
	const struct gateway6 *best = NULL;

	for (unsigned int i = 0; i < NETIF_ROUTERS6; i++) {
		const struct gateway6 *g = &nif->ip6.gateway[i];

		if (g->used && (best == NULL || (best->failed && !g->failed)))
			best = g;
	}
	return best != NULL ? &best->addr : NULL;
}

void
autoconf_router_failed(struct netif *nif, const struct ip6_addr *addr)
{
	struct gateway6 *g = find_router(nif, addr);

	if (g != NULL)
		g->failed = true;
}

void
autoconf_router_gone(struct netif *nif, const struct ip6_addr *addr)
{
	struct gateway6 *g = find_router(nif, addr);

	if (g != NULL && !g->fixed)
		g->used = false;
}

static void
take_router(
    struct netif *nif, const struct ip6_addr *addr, const struct ra_message *ra)
{
	struct neigh *n = neigh_find(nif, addr);

	if (ra->lifetime_s == 0)
		autoconf_router_gone(nif, addr);
	else
		(void)add_router(nif, addr, until_us(nif, ra->lifetime_s));
	if (mac_is_zero(&ra->mac) || mac_is_group(&ra->mac) ||
	    mac_equal(&ra->mac, &nif->mac))
		return;
	if (n == NULL)
		n = neigh_add(nif, addr);
	if (!neigh_ready(n) || !mac_equal(&n->mac, &ra->mac))
		neigh_learn(n, &ra->mac, false);
	n->router = true;
}

/* ---- prefixes ---- */

static bool
set_on_link(
    struct netif *nif, const struct ip6_net *net, uint64_t valid_us, bool fixed)
{
	struct prefix6 *room = NULL;
	const struct ip6_addr masked = ip6_masked(&net->addr, net->prefix);

	for (unsigned int i = 0; i < NETIF_PREFIXES6; i++) {
		struct prefix6 *p = &nif->ip6.prefix[i];

		if (!p->used)
			room = room == NULL ? p : room;
		else if (p->net.prefix == net->prefix &&
		    ip6_equal(&p->net.addr, &masked)) {
			p->fixed |= fixed;
			p->valid_us = p->fixed ? TIMER_NEVER : valid_us;
			return true;
		}
	}
	if (room == NULL)
		return false;
	*room =
	    (struct prefix6){ true, fixed, { masked, net->prefix }, valid_us };
	return true;
}

bool
autoconf_on_link(struct netif *nif, const struct ip6_net *net)
{
	return set_on_link(nif, net, TIMER_NEVER, true);
}

/* RFC 4862 5.5.3 e: nobody shortens a life to less than two hours. */
static uint64_t
new_valid_us(const struct addr6 *a, const struct ra_prefix *p)
{
	const uint64_t now_us = a->nif->stack->now_us,
		       told_us = until_us(a->nif, p->valid_s);

	if (told_us > now_us + TWO_HOURS_US || told_us > a->valid_us)
		return told_us;
	if (a->valid_us <= now_us + TWO_HOURS_US)
		return a->valid_us;
	return now_us + TWO_HOURS_US;
}

static void
take_address(struct netif *nif, const struct ra_prefix *p)
{
	const struct ip6_addr id = ip6_link_local(&nif->mac);
	struct ip6_net net = p->net;
	struct addr6 *a;

	if (net.prefix != 64 || p->preferred_s > p->valid_s)
		return;
	memcpy(net.addr.b + 8, id.b + 8, 8);
	a = addr6_find(nif, &net.addr);
	if (a != NULL && a->origin == ADDR6_ADVERTISED) {
		a->valid_us = new_valid_us(a, p);
		a->preferred_us = until_us(nif, p->preferred_s);
		return;
	}
	if (a != NULL || p->valid_s == 0)
		return;
	a = addr6_add(nif, &net, ADDR6_ADVERTISED);
	if (a == NULL)
		return;
	a->valid_us = until_us(nif, p->valid_s);
	a->preferred_us = until_us(nif, p->preferred_s);
}

static void
take_prefix(struct netif *nif, const struct ra_prefix *p)
{
	if (ip6_is_link_local(&p->net.addr) || p->net.prefix == 0)
		return;
	if (p->on_link)
		(void)set_on_link(
		    nif, &p->net, until_us(nif, p->valid_s), false);
	if (p->autonomous)
		take_address(nif, p);
}

/* ---- name servers ---- */

static bool
set_dns(struct netif *nif, const struct ip6_addr *addr, uint64_t valid_us,
    bool fixed)
{
	struct dns6 *room = NULL;

	if (!ip6_is_host(addr))
		return false;
	for (unsigned int i = 0; i < NETIF_DNS6; i++) {
		struct dns6 *d = &nif->ip6.dns[i];

		if (!d->used)
			room = room == NULL ? d : room;
		else if (ip6_equal(&d->addr, addr)) {
			d->fixed |= fixed;
			d->valid_us = d->fixed ? TIMER_NEVER : valid_us;
			return true;
		}
	}
	if (room == NULL)
		return false;
	*room = (struct dns6){ true, fixed, *addr, valid_us };
	return true;
}

bool
autoconf_dns(struct netif *nif, const struct ip6_addr *addr)
{
	return set_dns(nif, addr, TIMER_NEVER, true);
}

/* ---- advertisements ---- */

static void
take_values(struct netif *nif, const struct ra_message *ra)
{
	struct netif6 *six = &nif->ip6;

	if (ra->hop_limit != 0)
		six->hop_limit = ra->hop_limit;
	if (ra->reachable_ms != 0 && ra->reachable_ms <= MS_MAX)
		six->reachable_ms = ra->reachable_ms;
	if (ra->retransmit_ms >= RETRANSMIT_MIN && ra->retransmit_ms <= MS_MAX)
		six->retransmit_ms = ra->retransmit_ms;
	if (ra->mtu_bytes >= IP6_MTU_MIN &&
	    ra->mtu_bytes <= nif->device_mtu_bytes)
		six->mtu_bytes = (uint16_t)ra->mtu_bytes;
}

enum reason
autoconf_input(struct netif *nif, const struct ip6 *ip, struct cursor *c)
{
	struct ra_message ra;
	enum reason why = ra_parse(&ra, c, ip);

	if (why != DROP_NONE)
		return why;
	timer_unset(&nif->stack->timers, &nif->ip6.solicit_timer);
	take_values(nif, &ra);
	take_router(nif, &ip->src, &ra);
	for (unsigned int i = 0; i < ra.nprefixes; i++)
		take_prefix(nif, &ra.prefix[i]);
	for (unsigned int i = 0; i < ra.ndns; i++)
		(void)set_dns(
		    nif, &ra.dns[i], until_us(nif, ra.each_dns_s[i]), false);
	expire(nif);
	return REASON_DELIVERED;
}
