/*
 * neigh.h - which MAC address has a neighbour on a link (RFC 826, RFC 1122
 * 2.3.2; RFC 4861 7.2 and 7.3).
 *
 * How a neighbour is asked is the user's: ARP or neighbour solicitations.  A
 * table is for one of them, so that a scan of one family's addresses takes
 * nothing from the other; an IPv4 address is ::ffff:a.b.c.d in it.
 *
 * Packets to a neighbour that is not known yet are kept, up to
 * NEIGH_QUEUE_BLOCKS of memory for each, where a new one pushes out the oldest.
 * Requests for one neighbour go out at least a second apart; after three
 * without an answer the packets are lost.  An entry that is used and has not
 * been confirmed for NEIGH_AGE_S is asked again, directly, and stays in use
 * meanwhile; so is one that somebody else claims to be, and the other is
 * believed only if it does not answer for a second.
 *
 * A table that is full forgets a known neighbour that nothing was ever sent to,
 * else the one that was not used for longest.  No more than half of it can be in
 * the state of being asked for, so that a scan of empty addresses does not push
 * out those that answer (RFC 6583 6).
 */
#ifndef ROUTER_NEIGH_H
#define ROUTER_NEIGH_H

#include "base/loop.h"
#include "net/ip6.h"
#include "router/hold.h"

#define NEIGH_MAX          4096 /* default limit of a table */
#define NEIGH_AGE_S        60
#define NEIGH_DELAY_S      5 /* what was only heard of is in use unasked */
#define NEIGH_TRIES        3
#define NEIGH_HELD_BLOCKS  1024 /* of all that is kept, 2 MiB */
#define NEIGH_QUEUE_BLOCKS 128  /* of what is kept for one neighbour */

enum neigh_state {
	NEIGH_FREE, /* not in the table */
	NEIGH_ASKING,
	NEIGH_KNOWN,
	NEIGH_CHECKING,
	NEIGH_NSTATES,
};

struct iface; /* only its identity matters here */
struct neigh_table;

/* What the table has done for it.  lost() may call neigh_find() and
 * neigh_keep(); the others may not call the table. */
struct neigh_calls {
	enum reason queued; /* what is kept */
	enum reason failed; /* lost, since nobody answered */
	enum reason full;   /* lost, since there is no room */
	/* Ask for ip: to is NULL for everybody. */
	void (*ask)(void *arg, struct iface *iface, const struct ip6_addr *ip,
	    const struct mac *to);
	/* A packet that was kept can go.  It is the table's. */
	void (*send)(void *arg, struct iface *iface, const struct mac *to,
	    struct held *held);
	/* A packet that was kept is lost, as failed or full. */
	void (*lost)(void *arg, struct iface *iface, struct held *held,
	    enum reason reason);
	/* A timer's calls are over: what was added may be sent. */
	void (*done)(void *arg);
};

/* max 0: NEIGH_MAX.  NULL: no memory. */
struct neigh_table *neigh_new(struct loop *loop, uint32_t max, uint64_t seed,
    const struct neigh_calls *calls, void *arg);
/* What is kept is dropped without a call.  NULL is fine. */
void neigh_free(struct neigh_table *table);

/* The address of a neighbour that may be sent to, or NULL: then keep. */
const struct mac *neigh_find(struct neigh_table *table, struct iface *iface,
    const struct ip6_addr *ip, uint64_t now_ns);

/* Keeps a copy of a packet to an unknown neighbour and asks for it.  queued, or
 * full if there is no room. */
enum reason neigh_keep(struct neigh_table *table, struct iface *iface,
    const struct ip6_addr *ip, const struct frame *frame,
    const struct verdict *verdict);

/* Somebody said that ip has mac.  Confirms an entry, or begins to doubt it. */
#define NEIGH_MAKE      1u /* or makes one */
#define NEIGH_CONFIRMED 2u /* it is there; else it is asked soon, if used */
void neigh_heard(struct neigh_table *table, struct iface *iface,
    const struct ip6_addr *ip, const struct mac *mac, unsigned int how);

/* This router has given ip to mac: an entry of another is changed at once. */
void neigh_told(struct neigh_table *table, struct iface *iface,
    const struct ip6_addr *ip, const struct mac *mac);

/* Forgets all on iface, whose link went down; what is kept is lost. */
void neigh_forget(struct neigh_table *table, const struct iface *iface);

/* How many frames wait for an answer now. */
unsigned int neigh_held(const struct neigh_table *table);

const char *neigh_state_name(enum neigh_state state);

void neigh_each(const struct neigh_table *table,
    void (*each)(void *arg, const struct iface *iface,
	const struct ip6_addr *ip, const struct mac *mac,
	enum neigh_state state, uint64_t age_ns),
    void *arg);

#endif
