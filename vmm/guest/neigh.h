/*
 * neigh.h - neighbours on the links, by ARP (RFC 826, RFC 1122 2.3.2).
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
#include "net/cursor.h"
#include "net/reason.h"

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
	uint32_t ip;
	struct mac mac;
	enum neigh_state state;
	uint8_t tries;
	uint8_t queued;
	uint64_t used_us, fresh_until_us;
	struct packet *queue; /* IP packets, oldest first */
	struct timer timer;
};

struct neighs {
	struct neigh set[NEIGH_SETS][NEIGH_WAYS];
};

/* One ARP packet that came in on nif. */
enum reason neigh_input(struct netif *nif, struct cursor *c);

/* The neighbour for ip on nif; it begins to be asked for if need be. */
struct neigh *neigh_get(struct netif *nif, uint32_t ip);
/* Is its address known? */
static inline bool
neigh_ready(const struct neigh *n)
{
	return n->state == NEIGH_KNOWN || n->state == NEIGH_CHECKING;
}

/* Keeps packet, which becomes the neighbour's, until it is resolved. */
void neigh_queue(struct neigh *n, struct packet *packet);

/* Forgets everybody on nif: its link or address has changed. */
void neigh_forget(struct netif *nif);

/* Asks who has ip; from 0 it is a probe (RFC 5227, 2.1.1), and about our own
 * address an announcement. */
void neigh_ask(struct netif *nif, uint32_t from, uint32_t ip);

const char *neigh_state_name(enum neigh_state state);

#endif
