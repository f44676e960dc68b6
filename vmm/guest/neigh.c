/*
 * neigh.c - the ARP table.
 *
 *    FREE --packet--> ASKING --reply--> KNOWN --used after 60 s--> CHECKING
 *     ^                 | 3 tries         ^-------- reply --------'  | 3 tries
 *     '-----------------'--------------------------------------------'
 *
 * While CHECKING, packets go to the address that was known.  Entries that
 * nobody uses stay KNOWN and cost nothing; ages are looked at on use.
 */
#include "vmm/guest/neigh.h"

#include <assert.h>

#include "net/arp.h"

#include "vmm/guest/stack.h"

/* How often we insist on our address (RFC 5227, DEFEND_INTERVAL). */
#define DEFEND_US (10 * US_PER_S)

static void ask_again(struct neigh *n);
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
	[NEIGH_CHECKING] = { "checking", TO(FREE) | TO(KNOWN), ask_again },
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
send_arp(struct netif *nif, const struct mac *dst, const struct arp *arp)
{
	uint8_t *room = netif_room(nif, dst, ETH_ARP, ARP_BYTES);
	struct writer w;

	if (room == NULL)
		return;
	w = writer(room, ARP_BYTES);
	arp_write(&w, arp);
	netif_send(nif, ARP_BYTES);
}

void
neigh_ask(struct netif *nif, uint32_t from, uint32_t ip)
{
	const struct arp arp = {
		.op = ARP_REQUEST,
		.sender_mac = nif->mac,
		.sender_ip = from,
		.target_ip = ip,
	};

	send_arp(nif, &mac_broadcast, &arp);
}

static void
ask_again(struct neigh *n)
{
	struct timers *timers = &n->nif->stack->timers;

	if (n->tries++ == NEIGH_TRIES) {
		neigh_set(n, NEIGH_FREE);
		return;
	}
	neigh_ask(n->nif, n->nif->net.addr, n->ip);
	timer_set(timers, &n->timer, n->nif->stack->now_us + NEIGH_RETRY_US);
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
	n->fresh_until_us = stack->now_us + NEIGH_FRESH_US;
	while ((packet = n->queue) != NULL) {
		n->queue = packet->next;
		ipv4_send_packet(n, packet);
		packet_free(&stack->packets, packet);
	}
	n->queued = 0;
}

static void
give_up(struct neigh *n)
{
	struct stack *stack = n->nif->stack;
	struct packet *packet;

	timer_unset(&stack->timers, &n->timer);
	while ((packet = n->queue) != NULL) {
		n->queue = packet->next;
		netif_drop(n->nif, DROP_ARP_FAILED);
		icmp4_unreachable_neighbour(n->nif, packet);
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
		netif_drop(n->nif, DROP_ARP_QUEUE);
		n->queued--;
	}
	while (*at != NULL)
		at = &(*at)->next;
	*at = packet;
	packet->next = NULL;
	n->queued++;
}

static struct neigh *
find(struct netif *nif, uint32_t ip, struct neigh **victim)
{
	struct neighs *neighs = &nif->stack->neighs;
	struct neigh *set = neighs->set[(ip ^ ip >> 8) % NEIGH_SETS];
	struct neigh *oldest = &set[0];

	for (unsigned int i = 0; i < NEIGH_WAYS; i++) {
		struct neigh *n = &set[i];

		if (n->state != NEIGH_FREE && n->ip == ip && n->nif == nif)
			return n;
		if (n->state == NEIGH_FREE)
			n->used_us = 0;
		if (n->used_us < oldest->used_us)
			oldest = n;
	}
	*victim = oldest;
	return NULL;
}

static struct neigh *
add(struct netif *nif, uint32_t ip, struct neigh *n)
{
	if (n->state != NEIGH_FREE)
		neigh_set(n, NEIGH_FREE);
	*n = (struct neigh){ .nif = nif, .ip = ip };
	n->used_us = nif->stack->now_us;
	timer_init(&n->timer, timer_fired, n);
	return n;
}

struct neigh *
neigh_get(struct netif *nif, uint32_t ip)
{
	struct neigh *victim, *n = find(nif, ip, &victim);
	const uint64_t now_us = nif->stack->now_us;

	if (n == NULL) {
		n = add(nif, ip, victim);
		neigh_set(n, NEIGH_ASKING);
	}
	n->used_us = now_us;
	if (n->state == NEIGH_KNOWN && now_us > n->fresh_until_us)
		neigh_set(n, NEIGH_CHECKING);
	return n;
}

void
neigh_forget(struct netif *nif)
{
	struct neigh *n = &nif->stack->neighs.set[0][0];

	for (unsigned int i = 0; i < NEIGH_SETS * NEIGH_WAYS; i++, n++) {
		if (n->state != NEIGH_FREE && n->nif == nif)
			neigh_set(n, NEIGH_FREE);
	}
}

/* Somebody else says that our address is his (RFC 5227, 2.4, case b). */
static void
defend(struct netif *nif, const struct arp *arp)
{
	const uint64_t now_us = nif->stack->now_us;

	nif->conflicts++;
	nif->conflict_mac = arp->sender_mac;
	if (dhcpc_conflict(nif))
		return;
	if (nif->defended_us == 0 || now_us - nif->defended_us > DEFEND_US) {
		nif->defended_us = now_us;
		neigh_ask(nif, nif->net.addr, nif->net.addr);
	}
}

enum reason
neigh_input(struct netif *nif, struct cursor *c)
{
	struct arp arp;
	enum reason why = arp_parse(&arp, c);
	struct neigh *n, *victim;
	bool ours;

	if (why != DROP_NONE)
		return why;
	if (mac_is_group(&arp.sender_mac) ||
	    mac_equal(&arp.sender_mac, &nif->mac))
		return DROP_MARTIAN;
	dhcpc_arp(nif, &arp);
	if (nif->net.addr == 0)
		return DROP_NOT_OURS;
	if (arp.sender_ip == nif->net.addr) {
		defend(nif, &arp);
		return REASON_DELIVERED;
	}
	ours = arp.target_ip == nif->net.addr;
	if (arp.sender_ip != 0) {
		n = find(nif, arp.sender_ip, &victim);
		if (n == NULL && ours && ip4_net_has(nif->net, arp.sender_ip))
			n = add(nif, arp.sender_ip, victim);
		if (n != NULL) {
			n->mac = arp.sender_mac;
			neigh_set(n, NEIGH_KNOWN);
		}
	}
	if (!ours)
		return DROP_NOT_OURS;
	if (arp.op == ARP_REQUEST) {
		const struct arp reply = {
			.op = ARP_REPLY,
			.sender_mac = nif->mac,
			.sender_ip = nif->net.addr,
			.target_mac = arp.sender_mac,
			.target_ip = arp.sender_ip,
		};
		send_arp(nif, &arp.sender_mac, &reply);
	}
	return REASON_DELIVERED;
}
