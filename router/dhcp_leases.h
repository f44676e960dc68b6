/*
 * dhcp_leases.h - who has which address of a subnet, and for how long.
 *
 * One lease per address of a range, and one for each reserved address beyond
 * it.  A client is told apart by a key (its identifier or its MAC address); a
 * reservation is for a MAC address.  Time is an argument, and is looked at when
 * a lease is looked at.
 *
 * A new client gets the address it asks for if that is free, else one that
 * nobody ever had, else the one that has been free for longest, else one that
 * was offered and not taken for LEASE_OFFER_MIN_S: a flood of questions pushes
 * out its own kind; else one that was declined LEASE_DECLINED_MIN_S ago.  Each
 * choice costs the same, however many leases there are.
 */
#ifndef ROUTER_DHCP_LEASES_H
#define ROUTER_DHCP_LEASES_H

#include <sys/queue.h>

#include "base/err.h"
#include "net/dhcp.h"

/* No memory for a hash table's buckets is no reason to end: the entry is then
 * not in the table. */
#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define LEASE_KEY_BYTES      256
#define LEASE_OFFER_MIN_S    2
#define LEASE_DECLINED_MIN_S 600 /* then it is tried, if nothing else is left */

enum lease_state {
	LEASE_FREE,
	LEASE_OFFERED,
	LEASE_LEASED,
	LEASE_DECLINED,
	LEASE_NSTATES,
};

struct lease_key {
	uint8_t bytes[LEASE_KEY_BYTES];
	uint16_t len; /* 0: nobody's */
};

struct lease {
	UT_hash_handle hh;
	TAILQ_ENTRY(lease) order; /* of its state */
	uint32_t addr;
	uint8_t state; /* enum lease_state */
	bool reserved; /* for mac */
	bool listed;   /* in the table by key */
	bool ordered;  /* in the list of its state */
	bool held;     /* counted for holder */
	struct mac mac;
	struct mac holder; /* the station that asked for it */
	uint64_t until_ns;
	char hostname[DHCP_MAX_NAME];
	struct lease_key key; /* of the client */
};

struct lease_pool;

/* Addresses first to first + n - 1 without own, which is the server's.  NULL: no
 * memory. */
struct lease_pool *lease_pool_new(uint32_t own, uint32_t first, uint32_t n);
void lease_pool_free(struct lease_pool *pool); /* NULL is fine */

/* Makes addr mac's alone.  0; -EEXIST: it is another's, in *twin; -ENOSPC: too
 * many; -ENOMEM. */
int lease_pool_reserve(struct lease_pool *pool, const struct mac *mac,
    uint32_t addr, struct mac *twin);

/* The lease of an address; NULL: the pool does not have it. */
struct lease *lease_of_addr(struct lease_pool *pool, uint32_t addr);
/* The client's, or NULL. */
struct lease *lease_of_client(
    struct lease_pool *pool, const struct lease_key *key);

/* May a station of that MAC address have it? */
bool lease_is_open(const struct lease *lease, const struct mac *mac);

/* The best lease for a client that wants an address, 0 being any.  NULL: all
 * are taken. */
struct lease *lease_choose(struct lease_pool *pool, const struct mac *mac,
    const struct lease_key *key, uint32_t wanted, uint64_t now_ns);

/* Makes the lease the client's, who thereby loses another. */
void lease_give(struct lease_pool *pool, struct lease *lease,
    const struct lease_key *key, const struct mac *mac, uint64_t now_ns);

/* Takes it from its client, for good. */
void lease_take_away(struct lease_pool *pool, struct lease *lease);

/* Moves it to another state, until then.  holder: the station that it counts
 * for unless it is free; NULL: as before, or nobody if it is declined. */
void lease_set(struct lease_pool *pool, struct lease *lease,
    enum lease_state to, uint64_t until_ns, const struct mac *holder);

/* Lets time pass for all leases. */
void lease_pool_expire(struct lease_pool *pool, uint64_t now_ns);

/* How many leases count for a station. */
uint32_t lease_pool_held(
    const struct lease_pool *pool, const struct mac *holder);

/* Calls each for all that were used or are reserved, by address; reserved ones
 * beyond the range come last. */
void lease_pool_each(const struct lease_pool *pool,
    void (*each)(void *arg, const struct lease *lease), void *arg);

/* "free", "offered", "leased", "declined" */
const char *lease_state_name(enum lease_state state);

#endif
