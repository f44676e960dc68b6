/*
 * The table of addresses: open addressing with linear probing, 16 bytes an
 * entry, so that a find costs one cache line as a rule.  Removal shifts the
 * entries behind it back, so there are no tombstones and a table that was full
 * once is as fast as a new one.  It doubles at four fifths: 100,000 addresses
 * are 2 MiB.  Doubling moves all entries at once (about 10 ns each); it happens
 * a dozen times in the life of a busy switch.
 *
 * Nothing scans for old entries.  Find does not believe them, and each new
 * address looks at the next few places for ones to take back.
 *
 * When the table is full, the victim is the next entry behind the hand that is
 * of the busiest port, or old.  The busiest port is the top of a heap by
 * number of addresses; while it holds a share of 1/n of the table, the hand
 * passes n entries for each new address.  Lists of entries by port and age
 * would find the very oldest, but cost 16 more bytes an entry, and with them a
 * second cache line for each frame.
 *
 * The hash is keyed, since a guest chooses its addresses: who does not know the
 * key cannot pile them onto one place.
 */
#include "switch/fdb.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define CAPACITY_MIN 1024 /* places of an empty table */
#define SWEEP        8    /* places looked at for each new address */
#define TICK_SHIFT   16   /* ns to ticks: 48 bits last for 584 years */
#define KEY_USED     (UINT64_C(1) << 63)

struct entry {
	uint64_t key; /* KEY_USED, VLAN, address; 0: free */
	uint64_t seen : 48, port : 16;
};

struct fdb_port {
	uint32_t count; /* addresses */
	uint32_t rank;  /* place in heap */
};

struct fdb {
	struct entry *entry;
	uint32_t mask; /* capacity - 1 */
	uint32_t bits; /* log2 of capacity */
	uint32_t count, max;
	uint32_t hand;
	uint64_t age; /* ticks */
	uint64_t seed;
	struct fdb_port *port;
	uint32_t *heap; /* ports, the one with the most addresses first */
	uint32_t nports;
};

static uint64_t
key_of(const struct mac *mac, uint16_t vlan)
{
	return KEY_USED | (uint64_t)(vlan & 0xfff) << 48 |
	    (uint64_t)get_be16(mac->b) << 32 | get_be32(mac->b + 2);
}

static uint32_t
home_of(const struct fdb *fdb, uint64_t key)
{
	uint64_t h = (key ^ fdb->seed) * UINT64_C(0x9e3779b97f4a7c15);

	h = (h ^ h >> 32 ^ fdb->seed) * UINT64_C(0xd6e8feb86659fd93);
	return (uint32_t)(h >> (64 - fdb->bits));
}

static bool
is_old(const struct fdb *fdb, const struct entry *e, uint64_t now)
{
	return now > e->seen && now - e->seen > fdb->age;
}

/* ---- the heap of ports ---- */

static void
rank_put(struct fdb *fdb, uint32_t rank, uint32_t port)
{
	fdb->heap[rank] = port;
	fdb->port[port].rank = rank;
}

static uint32_t
count_at(const struct fdb *fdb, uint32_t rank)
{
	return fdb->port[fdb->heap[rank]].count;
}

static void
port_gains(struct fdb *fdb, uint32_t port)
{
	uint32_t n = ++fdb->port[port].count;
	uint32_t rank = fdb->port[port].rank;

	for (; rank > 0 && count_at(fdb, (rank - 1) / 2) < n;
	     rank = (rank - 1) / 2)
		rank_put(fdb, rank, fdb->heap[(rank - 1) / 2]);
	rank_put(fdb, rank, port);
}

static void
port_loses(struct fdb *fdb, uint32_t port)
{
	uint32_t n = --fdb->port[port].count;
	uint32_t rank = fdb->port[port].rank;

	for (;;) {
		uint32_t child = rank * 2 + 1;

		if (child >= fdb->nports)
			break;
		if (child + 1 < fdb->nports &&
		    count_at(fdb, child + 1) > count_at(fdb, child))
			child++;
		if (count_at(fdb, child) <= n)
			break;
		rank_put(fdb, rank, fdb->heap[child]);
		rank = child;
	}
	rank_put(fdb, rank, port);
}

int
fdb_ports(struct fdb *fdb, unsigned int n)
{
	struct fdb_port *port;
	uint32_t *heap;

	assert(n <= FDB_PORTS_MAX);
	if (n <= fdb->nports)
		return 0;
	port = reallocarray(fdb->port, n, sizeof(port[0]));
	if (port == NULL)
		return -ENOMEM;
	fdb->port = port;
	heap = reallocarray(fdb->heap, n, sizeof(heap[0]));
	if (heap == NULL)
		return -ENOMEM;
	fdb->heap = heap;
	for (uint32_t i = fdb->nports; i < n; i++) {
		port[i].count = 0;
		rank_put(fdb, i, i);
	}
	fdb->nports = n;
	return 0;
}

/* ---- the table ---- */

/* A table of that many bits, empty.  0 or -ENOMEM. */
static int
set_capacity(struct fdb *fdb, uint32_t bits)
{
	struct entry *entry = calloc((size_t)1 << bits, sizeof(entry[0]));

	if (entry == NULL)
		return -ENOMEM;
	fdb->entry = entry;
	fdb->bits = bits;
	fdb->mask = (UINT32_C(1) << bits) - 1;
	fdb->hand = 0;
	return 0;
}

struct fdb *
fdb_new(uint32_t max, uint64_t age_ns, uint64_t seed)
{
	struct fdb *fdb = calloc(1, sizeof(*fdb));

	assert(max > 0 && max <= UINT32_C(1) << 30);
	if (fdb == NULL)
		return NULL;
	fdb->max = max;
	/* a tick more, so that rounding takes no entry before its time */
	fdb->age = (age_ns >> TICK_SHIFT) + 1;
	fdb->seed = seed;
	if (set_capacity(fdb, (uint32_t)__builtin_ctz(CAPACITY_MIN)) < 0) {
		free(fdb);
		return NULL;
	}
	return fdb;
}

void
fdb_free(struct fdb *fdb)
{
	if (fdb == NULL)
		return;
	free(fdb->entry);
	free(fdb->port);
	free(fdb->heap);
	free(fdb);
}

/* The place of key, or the free one where it would go. */
static uint32_t
place_of(const struct fdb *fdb, uint64_t key)
{
	uint32_t at = home_of(fdb, key);

	while (fdb->entry[at].key != key && fdb->entry[at].key != 0)
		at = (at + 1) & fdb->mask;
	return at;
}

/* Frees a place and pulls in those that probed past it. */
static void
remove_at(struct fdb *fdb, uint32_t hole)
{
	port_loses(fdb, fdb->entry[hole].port);
	fdb->count--;
	for (uint32_t at = hole;;) {
		uint32_t home;

		at = (at + 1) & fdb->mask;
		if (fdb->entry[at].key == 0)
			break;
		home = home_of(fdb, fdb->entry[at].key);
		if (((at - home) & fdb->mask) < ((at - hole) & fdb->mask))
			continue;
		fdb->entry[hole] = fdb->entry[at];
		hole = at;
	}
	fdb->entry[hole] = (struct entry){ 0 };
}

static bool
has_room(const struct fdb *fdb)
{
	return (uint64_t)(fdb->count + 1) * 5 <= ((uint64_t)fdb->mask + 1) * 4;
}

static void
grow(struct fdb *fdb)
{
	struct entry *from = fdb->entry;
	uint32_t last = fdb->mask;

	if (set_capacity(fdb, fdb->bits + 1) < 0)
		return;
	for (uint32_t i = 0; i <= last; i++)
		if (from[i].key != 0)
			fdb->entry[place_of(fdb, from[i].key)] = from[i];
	free(from);
}

/* Takes back the place of an address that is old, or of the busiest port: of
 * port itself, if none has more. */
static void
evict(struct fdb *fdb, uint32_t port, uint64_t now)
{
	uint32_t busiest = fdb->heap[0];

	if (fdb->port[port].count == fdb->port[busiest].count)
		busiest = port;
	for (;; fdb->hand = (fdb->hand + 1) & fdb->mask) {
		const struct entry *e = &fdb->entry[fdb->hand];

		if (e->key != 0 && (e->port == busiest || is_old(fdb, e, now)))
			break;
	}
	remove_at(fdb, fdb->hand);
}

static void
sweep(struct fdb *fdb, uint64_t now)
{
	for (unsigned int i = 0; i < SWEEP; i++) {
		const struct entry *e = &fdb->entry[fdb->hand];

		if (e->key != 0 && is_old(fdb, e, now))
			remove_at(fdb, fdb->hand);
		else
			fdb->hand = (fdb->hand + 1) & fdb->mask;
	}
}

static void
insert(struct fdb *fdb, uint64_t key, uint32_t port, uint64_t now)
{
	sweep(fdb, now);
	if (fdb->count < fdb->max && !has_room(fdb))
		grow(fdb);
	if (fdb->count >= fdb->max || !has_room(fdb))
		evict(fdb, port, now);
	fdb->entry[place_of(fdb, key)] =
	    (struct entry){ .key = key, .seen = now, .port = (uint16_t)port };
	fdb->count++;
	port_gains(fdb, port);
}

int
fdb_learn(struct fdb *fdb, const struct mac *mac, uint16_t vlan,
    unsigned int port, uint64_t now_ns)
{
	uint64_t key = key_of(mac, vlan), now = now_ns >> TICK_SHIFT;
	struct entry *e;

	assert(port < fdb->nports);
	if (mac_is_group(mac))
		return -EINVAL;
	e = &fdb->entry[place_of(fdb, key)];
	if (e->key == 0) {
		insert(fdb, key, port, now);
		return 0;
	}
	if (e->port != port) {
		port_loses(fdb, e->port);
		port_gains(fdb, port);
		e->port = (uint16_t)port;
	}
	if (e->seen != now)
		e->seen = now;
	return 0;
}

int
fdb_find(const struct fdb *fdb, const struct mac *mac, uint16_t vlan,
    uint64_t now_ns)
{
	const struct entry *e = &fdb->entry[place_of(fdb, key_of(mac, vlan))];

	if (e->key == 0 || is_old(fdb, e, now_ns >> TICK_SHIFT))
		return FDB_FLOOD;
	return e->port;
}

void
fdb_prefetch(const struct fdb *fdb, const struct mac *mac, uint16_t vlan)
{
	__builtin_prefetch(&fdb->entry[home_of(fdb, key_of(mac, vlan))]);
}

void
fdb_forget_port(struct fdb *fdb, unsigned int port)
{
	uint32_t at = 0;

	if (port >= fdb->nports)
		return;
	/* A place that was freed may have been filled from behind: it is
	 * looked at again. */
	while (at <= fdb->mask && fdb->port[port].count > 0)
		if (fdb->entry[at].key != 0 && fdb->entry[at].port == port)
			remove_at(fdb, at);
		else
			at++;
	assert(fdb->port[port].count == 0);
}

uint32_t
fdb_count(const struct fdb *fdb)
{
	return fdb->count;
}

uint32_t
fdb_port_count(const struct fdb *fdb, unsigned int port)
{
	return port < fdb->nports ? fdb->port[port].count : 0;
}

void
fdb_each(const struct fdb *fdb, uint64_t now_ns,
    void (*each)(void *arg, const struct mac *mac, uint16_t vlan,
	unsigned int port, uint64_t age_ns),
    void *arg)
{
	uint64_t now = now_ns >> TICK_SHIFT;

	for (uint32_t i = 0; i <= fdb->mask; i++) {
		const struct entry *e = &fdb->entry[i];
		struct mac mac;

		if (e->key == 0 || is_old(fdb, e, now))
			continue;
		put_be16(mac.b, (uint16_t)(e->key >> 32));
		put_be32(mac.b + 2, (uint32_t)e->key);
		each(arg, &mac, (uint16_t)(e->key >> 48 & 0xfff), e->port,
		    now > e->seen ? (now - e->seen) << TICK_SHIFT : 0);
	}
}
