/*
 * addr6.c - IPv6 addresses and whether they are taken.
 *
 * One solicitation, and a second of waiting (DupAddrDetectTransmits 1).  The
 * random delay of up to a second before it (RFC 4862 5.4.2) is a tenth here:
 * it is meant for links on which frames collide.
 */
#include "vmm/guest/addr6.h"

#include <string.h>

#include "net/nd.h"

#include "vmm/guest/stack.h"

#define PROBES    1
#define JITTER_US (100 * US_PER_MS)

static void probe(void *arg);

void
addr6_init(struct netif *nif)
{
	for (unsigned int i = 0; i < NETIF_ADDRS6; i++) {
		struct addr6 *a = &nif->ip6.addr[i];

		a->nif = nif;
		timer_init(&a->timer, probe, a);
	}
}

const char *
addr6_state_name(const struct addr6 *a)
{
	switch (a->state) {
	case ADDR6_FREE: break;
	case ADDR6_TENTATIVE: return "tentative";
	case ADDR6_DUPLICATE: return "duplicate";
	case ADDR6_VALID:
		return a->nif->stack->now_us > a->preferred_us ? "deprecated"
							       : "preferred";
	}
	return "free";
}

/* ---- looking ---- */

static void
start(struct addr6 *a)
{
	struct stack *stack = a->nif->stack;
	const struct ip6_addr group = nd_group(&a->net.addr);

	a->state = ADDR6_TENTATIVE;
	a->probes = 0;
	put_be32(a->nonce, random_u32(&stack->random));
	put_be16(a->nonce + 4, (uint16_t)random_u32(&stack->random));
	mld6_join(a->nif, &group);
	if (a->nif->up)
		timer_set(&stack->timers, &a->timer,
		    stack->now_us +
			random_below(&stack->random, (uint32_t)JITTER_US));
}

static void
probe(void *arg)
{
	struct addr6 *a = arg;
	struct stack *stack = a->nif->stack;

	if (a->probes++ == PROBES) {
		a->state = ADDR6_VALID;
		return;
	}
	nd6_probe(a);
	timer_set(&stack->timers, &a->timer,
	    stack->now_us + autoconf_retransmit_us(a->nif));
}

static void
leave_group(struct addr6 *a)
{
	const struct ip6_addr group = nd_group(&a->net.addr);

	timer_unset(&a->nif->stack->timers, &a->timer);
	mld6_leave(a->nif, &group);
}

void
addr6_taken(struct addr6 *a, const struct mac *mac)
{
	if (a->state != ADDR6_TENTATIVE)
		return;
	a->nif->ip6.conflicts++;
	a->nif->ip6.conflict_mac = *mac;
	leave_group(a);
	a->state = ADDR6_DUPLICATE;
}

/* ---- the list ---- */

struct addr6 *
addr6_find(struct netif *nif, const struct ip6_addr *addr)
{
	for (unsigned int i = 0; i < NETIF_ADDRS6; i++) {
		struct addr6 *a = &nif->ip6.addr[i];

		if (a->state != ADDR6_FREE && ip6_equal(&a->net.addr, addr))
			return a;
	}
	return NULL;
}

struct addr6 *
addr6_add(
    struct netif *nif, const struct ip6_net *net, enum addr6_origin origin)
{
	if (!ip6_is_host(&net->addr) || addr6_find(nif, &net->addr) != NULL)
		return NULL;
	for (unsigned int i = 0; i < NETIF_ADDRS6; i++) {
		struct addr6 *a = &nif->ip6.addr[i];

		if (a->state != ADDR6_FREE)
			continue;
		a->net = *net;
		a->origin = origin;
		a->valid_us = a->preferred_us = TIMER_NEVER;
		start(a);
		return a;
	}
	return NULL;
}

void
addr6_remove(struct addr6 *a)
{
	if (a->state != ADDR6_DUPLICATE)
		leave_group(a);
	if (a->state == ADDR6_VALID)
		tcpconn_address_lost(a->nif->stack, &a->net.addr);
	a->state = ADDR6_FREE;
}

void
addr6_restart(struct netif *nif)
{
	for (unsigned int i = 0; i < NETIF_ADDRS6; i++) {
		struct addr6 *a = &nif->ip6.addr[i];

		if (a->state == ADDR6_FREE)
			continue;
		if (a->state != ADDR6_DUPLICATE)
			leave_group(a);
		start(a);
	}
}

void
addr6_stop(struct netif *nif)
{
	for (unsigned int i = 0; i < NETIF_ADDRS6; i++)
		timer_unset(&nif->stack->timers, &nif->ip6.addr[i].timer);
}

static bool
is_global(const struct addr6 *a)
{
	return a->state != ADDR6_FREE && a->state != ADDR6_DUPLICATE &&
	    !ip6_is_link_local(&a->net.addr);
}

bool
addr6_is_coming(const struct netif *nif)
{
	for (unsigned int i = 0; i < NETIF_ADDRS6; i++) {
		if (is_global(&nif->ip6.addr[i]) &&
		    nif->ip6.addr[i].state == ADDR6_TENTATIVE)
			return true;
	}
	return false;
}

bool
addr6_has_global(const struct netif *nif)
{
	for (unsigned int i = 0; i < NETIF_ADDRS6; i++) {
		if (is_global(&nif->ip6.addr[i]) &&
		    nif->ip6.addr[i].state == ADDR6_VALID)
			return true;
	}
	return false;
}
