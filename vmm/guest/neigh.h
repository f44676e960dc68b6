/*
 * neigh.h - neighbours on the links, who are found by ARP (arp.h) or neighbour
 * discovery (nd6.h).
 *
 * A fixed table in sets of four: a full set gives up the entry that was used
 * longest ago, so whoever floods us with addresses pushes out few others.
 * Packets wait while their neighbour is being asked for, four per neighbour,
 * the oldest making room.
 */
#ifndef GUEST_NEIGH_H
#define GUEST_NEIGH_H

#include <stdbool.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/ip6.h"

#include "vmm/guest/timer.h"

#define NEIGH_SETS     64
#define NEIGH_WAYS     4
#define NEIGH_QUEUE    4
#define NEIGH_TRIES    3
#define NEIGH_RETRY_US (1 * US_PER_S)
#define NEIGH_FRESH_US (60 * US_PER_S)

struct stack;
struct netif;
struct packet;

enum neigh_state {
	NEIGH_FREE,
	NEIGH_ASKING,
	NEIGH_KNOWN,
	NEIGH_CHECKING,
	NEIGH_NSTATES
};

struct neigh {
	struct netif *nif;
	struct ip6_addr ip;
	struct mac mac;
	enum neigh_state state;
	bool router; /* it said so of itself; IPv6 only */
	uint8_t tries;
	uint8_t queued;
	uint64_t used_us, fresh_until_us;
	struct packet *queue; /* IP packets, oldest first */
	struct timer timer;
};

struct neighs {
	struct neigh set[NEIGH_SETS][NEIGH_WAYS];
};

/* The neighbour for ip on nif; it begins to be asked for if need be. */
struct neigh *neigh_get(struct netif *nif, const struct ip6_addr *ip);
/* The same if there is one, NULL if not; and a new one, which is free. */
struct neigh *neigh_find(struct netif *nif, const struct ip6_addr *ip);
struct neigh *neigh_add(struct netif *nif, const struct ip6_addr *ip);
/* It has that address on the link.  fresh: it has just been heard to be there;
 * else that is checked when it is next sent to. */
void neigh_learn(struct neigh *n, const struct mac *mac, bool fresh);
/* Is its address known? */
static inline bool
neigh_ready(const struct neigh *n)
{
	return n->state == NEIGH_KNOWN || n->state == NEIGH_CHECKING;
}

/* Keeps packet, which becomes the neighbour's, until it is resolved. */
void neigh_queue(struct neigh *n, struct packet *packet);

/* Forgets everybody on nif: its link has changed. */
void neigh_forget(struct netif *nif);
/* Those of IPv4: its address has. */
void neigh_forget4(struct netif *nif);

const char *neigh_state_name(enum neigh_state state);

#endif
