/*
 * One lease per address, in one array: those of the range first, then the
 * reserved ones outside it.
 *
 *    FREE --discover--> OFFERED --request--> LEASED --decline--> DECLINED
 *     ^                   | time, other        | release, time     | a day
 *     '-------------------'--------------------'-------------------'
 *
 * When nothing else is left, the address that was declined first is tried again
 * after LEASE_DECLINED_MIN_S: else one client that declines all it is offered
 * would empty the pool for a day.
 *
 * A lease that is FREE again keeps its client: who comes back gets the same
 * address while nobody else needed it (RFC 2131 4.3.1).
 *
 * Leases of each state are in a list by the instant when that state ends, FREE
 * ones by the instant when they became that.  A state lasts equally long for
 * all, so that the end of one that begins is the latest, and its place in the
 * list the last; leases of an earlier run are the exception.  Reserved ones are
 * in no list: nobody else can be given them.  A search through all leases was
 * rejected: a flood of invented clients makes it the rule.
 */
#include "router/dhcp_leases.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/loop.h"
#include "router/dhcp_server.h"

#define TO(state) (1u << LEASE_##state)

static const struct {
	const char *name;
	unsigned int next;
} lease_fsm[] = {
	[LEASE_FREE] = { "free", TO(OFFERED) | TO(LEASED) | TO(DECLINED) },
	[LEASE_OFFERED] = { "offered",
	    TO(FREE) | TO(OFFERED) | TO(LEASED) | TO(DECLINED) },
	[LEASE_LEASED] = { "leased", TO(FREE) | TO(LEASED) | TO(DECLINED) },
	[LEASE_DECLINED] = { "declined", TO(FREE) },
};
static_assert(sizeof(lease_fsm) / sizeof(lease_fsm[0]) == LEASE_NSTATES,
    "a state has no row");

/* How many leases count for a station. */
struct holder {
	UT_hash_handle hh;
	struct mac mac;
	uint32_t n;
};

TAILQ_HEAD(lease_list, lease);

struct lease_pool {
	uint32_t first, nrange;
	struct lease *leases; /* of the range; touched as they are used */
	uint32_t unused;      /* those from here on were never used */
	uint32_t skip;        /* the server's own address */
	struct lease *fixed[DHCP_RESERVATIONS_MAX]; /* all reserved ones */
	uint32_t nfixed;
	struct lease *clients; /* by key */
	struct holder *holders;
	struct lease_list list[LEASE_NSTATES];
};

static bool
is_in_range(const struct lease_pool *pool, uint32_t addr)
{
	return addr - pool->first < pool->nrange;
}

/* ---- making it ---- */

struct lease_pool *
lease_pool_new(uint32_t own, uint32_t first, uint32_t n)
{
	struct lease_pool *pool = calloc(1, sizeof(*pool));

	if (pool == NULL)
		return NULL;
	pool->first = first;
	pool->nrange = n;
	pool->skip = own;
	pool->leases = calloc(n, sizeof(pool->leases[0]));
	if (pool->leases == NULL) {
		free(pool);
		return NULL;
	}
	for (int i = 0; i < LEASE_NSTATES; i++)
		TAILQ_INIT(&pool->list[i]);
	return pool;
}

void
lease_pool_free(struct lease_pool *pool)
{
	struct holder *holder, *next;

	if (pool == NULL)
		return;
	HASH_CLEAR(hh, pool->clients);
	HASH_ITER(hh, pool->holders, holder, next)
	{
		HASH_DEL(pool->holders, holder);
		free(holder);
	}
	for (uint32_t i = 0; i < pool->nfixed; i++)
		if (!is_in_range(pool, pool->fixed[i]->addr))
			free(pool->fixed[i]);
	free(pool->leases);
	free(pool);
}

struct lease *
lease_of_addr(struct lease_pool *pool, uint32_t addr)
{
	if (addr == pool->skip)
		return NULL;
	if (is_in_range(pool, addr)) {
		struct lease *lease = &pool->leases[addr - pool->first];

		lease->addr = addr;
		return lease;
	}
	for (uint32_t i = 0; i < pool->nfixed; i++)
		if (pool->fixed[i]->addr == addr)
			return pool->fixed[i];
	return NULL;
}

/* ---- lists ---- */

static void
unlist(struct lease_pool *pool, struct lease *lease)
{
	if (lease->ordered)
		TAILQ_REMOVE(&pool->list[lease->state], lease, order);
	lease->ordered = false;
}

static void
enlist(struct lease_pool *pool, struct lease *lease)
{
	struct lease_list *list = &pool->list[lease->state];
	struct lease *before = TAILQ_LAST(list, lease_list);

	if (lease->reserved)
		return;
	while (before != NULL && before->until_ns > lease->until_ns)
		before = TAILQ_PREV(before, lease_list, order);
	if (before != NULL)
		TAILQ_INSERT_AFTER(list, before, lease, order);
	else
		TAILQ_INSERT_HEAD(list, lease, order);
	lease->ordered = true;
}

int
lease_pool_reserve(struct lease_pool *pool, const struct mac *mac,
    uint32_t addr, struct mac *twin)
{
	struct lease *lease = lease_of_addr(pool, addr);

	if (lease != NULL && lease->reserved) {
		*twin = lease->mac;
		return -EEXIST;
	}
	if (pool->nfixed == DHCP_RESERVATIONS_MAX)
		return -ENOSPC;
	if (lease == NULL) {
		lease = calloc(1, sizeof(*lease));
		if (lease == NULL)
			return -ENOMEM;
		lease->addr = addr;
	}
	pool->fixed[pool->nfixed++] = lease;
	unlist(pool, lease);
	lease->reserved = true;
	lease->mac = *mac;
	return 0;
}

/* ---- holders ---- */

static struct holder *
find_holder(const struct lease_pool *pool, const struct mac *mac)
{
	struct holder *holder;

	HASH_FIND(hh, pool->holders, mac, sizeof(*mac), holder);
	return holder;
}

uint32_t
lease_pool_held(const struct lease_pool *pool, const struct mac *mac)
{
	const struct holder *holder = find_holder(pool, mac);

	return holder != NULL ? holder->n : 0;
}

static void
let_go(struct lease_pool *pool, struct lease *lease)
{
	struct holder *holder;

	if (!lease->held)
		return;
	lease->held = false;
	holder = find_holder(pool, &lease->holder);
	if (holder == NULL || --holder->n > 0)
		return;
	HASH_DEL(pool->holders, holder);
	free(holder);
}

static void
hold(struct lease_pool *pool, struct lease *lease, const struct mac *mac)
{
	struct holder *holder = find_holder(pool, mac);

	if (holder == NULL) {
		holder = calloc(1, sizeof(*holder));
		if (holder == NULL)
			return; /* not counted */
		holder->mac = *mac;
		HASH_ADD(hh, pool->holders, mac, sizeof(*mac), holder);
		if (holder->hh.tbl == NULL) {
			free(holder);
			return;
		}
	}
	holder->n++;
	lease->holder = *mac;
	lease->held = true;
}

/* ---- one lease ---- */

void
lease_set(struct lease_pool *pool, struct lease *lease, enum lease_state to,
    uint64_t until_ns, const struct mac *holder)
{
	assert(lease_fsm[lease->state].next & 1u << to);
	unlist(pool, lease);
	lease->state = (uint8_t)to;
	lease->until_ns = until_ns;
	enlist(pool, lease);
	if (to == LEASE_FREE || (to == LEASE_DECLINED && holder == NULL))
		let_go(pool, lease);
	else if (holder != NULL) {
		let_go(pool, lease);
		hold(pool, lease, holder);
	}
}

/* Lets time pass for a lease, and tells whether it is free. */
static bool
is_free(struct lease_pool *pool, struct lease *lease, uint64_t now_ns)
{
	if (lease->state != LEASE_FREE && lease->until_ns <= now_ns)
		lease_set(pool, lease, LEASE_FREE, now_ns, NULL);
	return lease->state == LEASE_FREE;
}

void
lease_pool_expire(struct lease_pool *pool, uint64_t now_ns)
{
	for (int state = LEASE_OFFERED; state < LEASE_NSTATES; state++) {
		struct lease *lease;

		while ((lease = TAILQ_FIRST(&pool->list[state])) != NULL &&
		    lease->until_ns <= now_ns)
			lease_set(pool, lease, LEASE_FREE, now_ns, NULL);
	}
}

struct lease *
lease_of_client(struct lease_pool *pool, const struct lease_key *key)
{
	struct lease *lease;

	HASH_FIND(hh, pool->clients, key->bytes, key->len, lease);
	return lease;
}

static bool
is_of(const struct lease *lease, const struct lease_key *key)
{
	return lease->key.len == key->len &&
	    memcmp(lease->key.bytes, key->bytes, key->len) == 0;
}

static void
forget_client(struct lease_pool *pool, struct lease *lease)
{
	if (lease->listed)
		HASH_DEL(pool->clients, lease);
	lease->listed = false;
	lease->key.len = 0;
}

void
lease_give(struct lease_pool *pool, struct lease *lease,
    const struct lease_key *key, const struct mac *mac, uint64_t now_ns)
{
	struct lease *old;

	if (!is_of(lease, key)) {
		old = lease_of_client(pool, key);
		if (old != NULL) {
			forget_client(pool, old);
			if (old->state == LEASE_OFFERED ||
			    old->state == LEASE_LEASED)
				lease_set(pool, old, LEASE_FREE, now_ns, NULL);
		}
		forget_client(pool, lease);
		memcpy(lease->key.bytes, key->bytes, key->len);
		lease->key.len = key->len;
		HASH_ADD(hh, pool->clients, key.bytes, key->len, lease);
		lease->listed = lease->hh.tbl != NULL;
	}
	if (!lease->reserved)
		lease->mac = *mac;
}

void
lease_take_away(struct lease_pool *pool, struct lease *lease)
{
	forget_client(pool, lease);
}

/* ---- choosing one (RFC 2131, 4.3.1) ---- */

static struct lease *
reserved_for(struct lease_pool *pool, const struct mac *mac)
{
	for (uint32_t i = 0; i < pool->nfixed; i++)
		if (mac_equal(&pool->fixed[i]->mac, mac))
			return pool->fixed[i];
	return NULL;
}

bool
lease_is_open(const struct lease *lease, const struct mac *mac)
{
	return !lease->reserved || mac_equal(&lease->mac, mac);
}

/* The next that was never used, or NULL. */
static struct lease *
never_used(struct lease_pool *pool)
{
	while (pool->unused < pool->nrange) {
		struct lease *lease =
		    lease_of_addr(pool, pool->first + pool->unused++);

		if (lease != NULL && !lease->reserved && lease->key.len == 0 &&
		    lease->until_ns == 0)
			return lease;
	}
	return NULL;
}

static struct lease *
any_free(struct lease_pool *pool, uint64_t now_ns)
{
	struct lease *lease = never_used(pool);

	if (lease != NULL)
		return lease;
	lease_pool_expire(pool, now_ns);
	lease = TAILQ_FIRST(&pool->list[LEASE_FREE]);
	if (lease != NULL)
		return lease;
	/* The oldest offer, unless its client may yet take it. */
	lease = TAILQ_FIRST(&pool->list[LEASE_OFFERED]);
	if (lease != NULL &&
	    lease->until_ns >
		now_ns + (DHCP_OFFER_S - LEASE_OFFER_MIN_S) * NS_PER_S)
		lease = NULL;
	if (lease == NULL)
		lease = TAILQ_FIRST(&pool->list[LEASE_DECLINED]);
	if (lease == NULL ||
	    (lease->state == LEASE_DECLINED &&
		lease->until_ns > now_ns +
			(DHCP_DECLINED_S - LEASE_DECLINED_MIN_S) * NS_PER_S))
		return NULL;
	lease_set(pool, lease, LEASE_FREE, now_ns, NULL);
	return lease;
}

struct lease *
lease_choose(struct lease_pool *pool, const struct mac *mac,
    const struct lease_key *key, uint32_t wanted, uint64_t now_ns)
{
	struct lease *lease = reserved_for(pool, mac);

	if (lease != NULL)
		return is_free(pool, lease, now_ns) || is_of(lease, key) ? lease
									 : NULL;
	lease = lease_of_client(pool, key);
	if (lease != NULL && lease_is_open(lease, mac)) {
		is_free(pool, lease, now_ns);
		if (lease->state != LEASE_DECLINED)
			return lease;
	}
	lease = wanted != 0 ? lease_of_addr(pool, wanted) : NULL;
	if (lease != NULL && lease_is_open(lease, mac) &&
	    is_free(pool, lease, now_ns))
		return lease;
	return any_free(pool, now_ns);
}

/* ---- looking at it ---- */

void
lease_pool_each(const struct lease_pool *pool,
    void (*each)(void *arg, const struct lease *lease), void *arg)
{
	for (uint32_t i = 0; i < pool->nrange; i++) {
		const struct lease *lease = &pool->leases[i];

		if (lease->reserved || lease->key.len != 0 ||
		    lease->state != LEASE_FREE)
			each(arg, lease);
	}
	for (uint32_t i = 0; i < pool->nfixed; i++)
		if (!is_in_range(pool, pool->fixed[i]->addr))
			each(arg, pool->fixed[i]);
}

const char *
lease_state_name(enum lease_state state)
{
	return lease_fsm[state].name;
}
