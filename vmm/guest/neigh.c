/*
 * neigh.c - the table of neighbours, of both kinds of IP.
 *
 *    FREE --packet--> ASKING --reply--> KNOWN --used after 60 s--> CHECKING
 *     ^                 | 3 tries         ^-------- reply --------'  | 3 tries
 *     '-----------------'--------------------------------------------'
 *
 * While CHECKING, packets go to the address that was known.  Entries that
 * nobody uses stay KNOWN and cost nothing; ages are looked at on use.  In the
 * words of RFC 4861 (7.3.2) KNOWN is REACHABLE while it is fresh and STALE
 * after that, and CHECKING is DELAY, then PROBE.  That it is heard of from TCP
 * is not made use of: one message in half a minute does as well.
 */
#include "vmm/guest/neigh.h"

#include <assert.h>

#include "vmm/guest/stack.h"

#define DELAY_US (5 * US_PER_S) /* RFC 4861, DELAY_FIRST_PROBE_TIME */

static void ask_again(struct neigh *n);
static void check(struct neigh *n);
static void send_queue(struct neigh *n);
static void give_up(struct neigh *n);

#define TO(state) (1u << NEIGH_##state)
static const struct {
	const char *name;
	unsigned int next;
	void (*enter)(struct neigh *n);
} neigh_fsm[] = {
	[NEIGH_FREE] = { "free", TO(ASKING) | TO(KNOWN), give_up },
	[NEIGH_ASKING] = { "asking", TO(FREE) | TO(KNOWN), ask_again },
	[NEIGH_KNOWN] = { "known", TO(CHECKING) | TO(FREE) | TO(KNOWN),
	    send_queue },
	[NEIGH_CHECKING] = { "checking", TO(FREE) | TO(KNOWN), check },
};
static_assert(sizeof(neigh_fsm) / sizeof(neigh_fsm[0]) == NEIGH_NSTATES,
    "a state has no row");

static void
neigh_set(struct neigh *n, enum neigh_state to)
{
	assert(neigh_fsm[n->state].next & 1u << to);
	n->state = to;
	n->tries = 0;
	neigh_fsm[to].enter(n);
}

const char *
neigh_state_name(enum neigh_state state)
{
	return neigh_fsm[state].name;
}

static void
ask_again(struct neigh *n)
{
	struct stack *stack = n->nif->stack;
	const bool ip4 = ip_is4(&n->ip);

	if (n->tries++ == NEIGH_TRIES) {
		if (!ip_is4(&n->ip))
			autoconf_router_failed(n->nif, &n->ip);
		neigh_set(n, NEIGH_FREE);
		return;
	}
	if (ip4)
		arp_ask(n->nif, n->nif->net.addr, ip_get4(&n->ip));
	else
		nd6_ask(n);
	timer_set(&stack->timers, &n->timer,
	    stack->now_us +
		(ip4 ? NEIGH_RETRY_US : autoconf_retransmit_us(n->nif)));
}

/* The other side may speak first, and what it says may tell. */
static void
check(struct neigh *n)
{
	struct stack *stack = n->nif->stack;

	if (ip_is4(&n->ip))
		ask_again(n);
	else
		timer_set(&stack->timers, &n->timer, stack->now_us + DELAY_US);
}

static void
timer_fired(void *arg)
{
	ask_again(arg);
}

static void
send_queue(struct neigh *n)
{
	struct stack *stack = n->nif->stack;
	struct packet *packet;

	timer_unset(&stack->timers, &n->timer);
	n->fresh_until_us = stack->now_us +
	    (ip_is4(&n->ip) ? NEIGH_FRESH_US : autoconf_reachable_us(n->nif));
	while ((packet = n->queue) != NULL) {
		n->queue = packet->next;
		ip_send_packet(n, packet);
		packet_free(&stack->packets, packet);
	}
	n->queued = 0;
}

static void
give_up(struct neigh *n)
{
	struct stack *stack = n->nif->stack;
	const bool ip4 = ip_is4(&n->ip);
	struct packet *packet;

	timer_unset(&stack->timers, &n->timer);
	while ((packet = n->queue) != NULL) {
		n->queue = packet->next;
		netif_drop(n->nif, ip4 ? DROP_ARP_FAILED : DROP_ND_FAILED);
		if (ip4)
			icmp4_unreachable_neighbour(n->nif, packet);
		else
			icmp6_unreachable_neighbour(n->nif, packet);
		packet_free(&stack->packets, packet);
	}
	n->queued = 0;
}

void
neigh_queue(struct neigh *n, struct packet *packet)
{
	struct packet **at = &n->queue, *oldest;

	if (n->queued == NEIGH_QUEUE) {
		oldest = n->queue;
		n->queue = oldest->next;
		packet_free(&n->nif->stack->packets, oldest);
		netif_drop(
		    n->nif, ip_is4(&n->ip) ? DROP_ARP_QUEUE : DROP_ND_QUEUE);
		n->queued--;
	}
	while (*at != NULL)
		at = &(*at)->next;
	*at = packet;
	packet->next = NULL;
	n->queued++;
}

/* The entry for ip, or NULL and the one to be given up for it. */
static struct neigh *
find(struct netif *nif, const struct ip6_addr *ip, struct neigh **victim)
{
	struct neighs *neighs = &nif->stack->neighs;
	const uint32_t low = get_be32(ip->b + 12) ^ get_be32(ip->b + 8);
	struct neigh *set = neighs->set[(low ^ low >> 8) % NEIGH_SETS];
	struct neigh *oldest = &set[0];

	for (unsigned int i = 0; i < NEIGH_WAYS; i++) {
		struct neigh *n = &set[i];

		if (n->state != NEIGH_FREE && n->nif == nif &&
		    ip6_equal(&n->ip, ip))
			return n;
		if (n->state == NEIGH_FREE)
			n->used_us = 0;
		if (n->used_us < oldest->used_us)
			oldest = n;
	}
	*victim = oldest;
	return NULL;
}

struct neigh *
neigh_find(struct netif *nif, const struct ip6_addr *ip)
{
	struct neigh *victim;

	return find(nif, ip, &victim);
}

struct neigh *
neigh_add(struct netif *nif, const struct ip6_addr *ip)
{
	struct neigh *n, *found = find(nif, ip, &n);

	if (found != NULL)
		n = found;
	if (n->state != NEIGH_FREE)
		neigh_set(n, NEIGH_FREE);
	*n = (struct neigh){ .nif = nif, .ip = *ip };
	n->used_us = nif->stack->now_us;
	timer_init(&n->timer, timer_fired, n);
	return n;
}

void
neigh_learn(struct neigh *n, const struct mac *mac, bool fresh)
{
	n->mac = *mac;
	neigh_set(n, NEIGH_KNOWN);
	if (!fresh)
		n->fresh_until_us = 0;
}

struct neigh *
neigh_get(struct netif *nif, const struct ip6_addr *ip)
{
	struct neigh *n = neigh_find(nif, ip);
	const uint64_t now_us = nif->stack->now_us;

	if (n == NULL) {
		n = neigh_add(nif, ip);
		neigh_set(n, NEIGH_ASKING);
	}
	n->used_us = now_us;
	if (n->state == NEIGH_KNOWN && now_us > n->fresh_until_us)
		neigh_set(n, NEIGH_CHECKING);
	return n;
}

static void
forget(struct netif *nif, bool ip4_only)
{
	struct neigh *n = &nif->stack->neighs.set[0][0];

	for (unsigned int i = 0; i < NEIGH_SETS * NEIGH_WAYS; i++, n++) {
		if (n->state != NEIGH_FREE && n->nif == nif &&
		    (!ip4_only || ip_is4(&n->ip)))
			neigh_set(n, NEIGH_FREE);
	}
}

void
neigh_forget(struct netif *nif)
{
	forget(nif, false);
}

void
neigh_forget4(struct netif *nif)
{
	forget(nif, true);
}
