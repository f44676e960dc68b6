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
 * Static and sticky entries are marked by times that no clock reaches, so that
 * learning and ageing need not ask.  They are not in the heap's numbers.
 *
 * A port with a limit has a list of its addresses in the order in which they
 * were learned.  Only addresses that come and go touch it, so a list that is
 * searched from its front will do, and limits are small.  When it is full, it
 * is looked through for one that has aged out, and then not again before the
 * time at which the next one can have.
 *
 * The hash is keyed, since a guest chooses its addresses: who does not know the
 * key cannot pile them onto one place.
 */
#include "switch/fdb.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CAPACITY_MIN 1024 /* places of an empty table */
#define SWEEP        8    /* places looked at for each new address */
#define TICK_SHIFT   16   /* ns to ticks: 48 bits last for 584 years */
#define KEY_USED     (UINT64_C(1) << 63)

/* Times seen of entries that do not age, the greatest of all. */
#define SEEN_STATIC ((UINT64_C(1) << 48) - 1)
#define SEEN_STICKY ((UINT64_C(1) << 48) - 2)

struct entry {
	uint64_t key; /* KEY_USED, VLAN, address; 0: free */
	uint64_t seen : 48, port : 16;
};

/* The addresses of a port that has a limit, the first learned first. */
struct limit {
	uint32_t max, n;
	bool evict;
	uint64_t due; /* ticks: none is old before */
	uint64_t key[FDB_LIMIT_MAX];
};

struct fdb_port {
	uint32_t count; /* addresses that were learned */
	uint32_t rank;  /* place in heap */
	uint32_t pinned;
	bool sticky;
	struct limit *limit; /* NULL: none */
};

struct fdb {
	struct entry *entry;
	uint32_t mask; /* capacity - 1 */
	uint32_t bits; /* log2 of capacity */
	uint32_t count, max;
	uint32_t pinned; /* of count */
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

static uint16_t
vlan_of(uint64_t key)
{
	return (uint16_t)(key >> 48 & 0xfff);
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

static bool
is_pinned(const struct entry *e)
{
	return e->seen >= SEEN_STICKY;
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
		port[i] = (struct fdb_port){ .count = 0 };
		rank_put(fdb, i, i);
	}
	fdb->nports = n;
	return 0;
}

/* ---- limits ---- */

static void
limit_add(struct limit *limit, uint64_t key, uint64_t expires)
{
	if (limit == NULL)
		return;
	/* Pinned addresses of the file may be more than the limit. */
	if (limit->n < FDB_LIMIT_MAX)
		limit->key[limit->n++] = key;
	limit->due = expires < limit->due ? expires : limit->due;
}

static void
limit_remove(struct limit *limit, uint64_t key)
{
	uint32_t at = 0;

	if (limit == NULL)
		return;
	while (at < limit->n && limit->key[at] != key)
		at++;
	if (at == limit->n)
		return;
	limit->n--;
	memmove(&limit->key[at], &limit->key[at + 1],
	    (limit->n - at) * sizeof(limit->key[0]));
}

/* ---- whose an entry is ---- */

/* An entry that has just got its port. */
static void
counts_for(struct fdb *fdb, const struct entry *e)
{
	struct fdb_port *port = &fdb->port[e->port];

	if (is_pinned(e)) {
		port->pinned++;
		fdb->pinned++;
		limit_add(port->limit, e->key, UINT64_MAX);
	} else {
		port_gains(fdb, e->port);
		limit_add(port->limit, e->key, e->seen + fdb->age);
	}
}

/* An entry that is about to lose its port. */
static void
counts_no_more(struct fdb *fdb, const struct entry *e)
{
	struct fdb_port *port = &fdb->port[e->port];

	if (is_pinned(e)) {
		port->pinned--;
		fdb->pinned--;
	} else {
		port_loses(fdb, e->port);
	}
	limit_remove(port->limit, e->key);
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
	for (uint32_t i = 0; i < fdb->nports; i++)
		free(fdb->port[i].limit);
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
	counts_no_more(fdb, &fdb->entry[hole]);
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
 * port itself, if none has more.  False if all are pinned. */
static bool
evict(struct fdb *fdb, uint32_t port, uint64_t now)
{
	uint32_t busiest = fdb->heap[0];

	if (fdb->pinned == fdb->count)
		return false;
	if (fdb->port[port].count == fdb->port[busiest].count)
		busiest = port;
	for (;; fdb->hand = (fdb->hand + 1) & fdb->mask) {
		const struct entry *e = &fdb->entry[fdb->hand];

		if (e->key != 0 && !is_pinned(e) &&
		    (e->port == busiest || is_old(fdb, e, now)))
			break;
	}
	remove_at(fdb, fdb->hand);
	return true;
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

/* Makes room for one more.  False if all are pinned. */
static bool
make_room(struct fdb *fdb, uint32_t port, uint64_t now)
{
	sweep(fdb, now);
	if (fdb->count < fdb->max && !has_room(fdb))
		grow(fdb);
	return (fdb->count < fdb->max && has_room(fdb)) ||
	    evict(fdb, port, now);
}

static void
insert(struct fdb *fdb, uint64_t key, uint32_t port, uint64_t seen)
{
	struct entry *e = &fdb->entry[place_of(fdb, key)];

	*e = (struct entry){ .key = key, .seen = seen, .port = (uint16_t)port };
	fdb->count++;
	counts_for(fdb, e);
}

/* Of a list that is full: the first that may go, or limit->n. */
static uint32_t
first_to_go(const struct fdb *fdb, const struct limit *limit, uint64_t now,
    uint64_t *due)
{
	uint32_t first = limit->n;

	*due = UINT64_MAX;
	for (uint32_t i = 0; i < limit->n; i++) {
		const struct entry *e =
		    &fdb->entry[place_of(fdb, limit->key[i])];

		if (is_pinned(e))
			continue;
		if (is_old(fdb, e, now))
			return i;
		*due = e->seen + fdb->age < *due ? e->seen + fdb->age : *due;
		first = limit->evict && first == limit->n ? i : first;
	}
	return first;
}

/* May port have one more?  Takes the one that makes room for it. */
static bool
within_limit(struct fdb *fdb, struct limit *limit, uint64_t now)
{
	uint32_t i;

	if (limit == NULL || limit->n < limit->max)
		return true;
	if (now <= limit->due && !limit->evict)
		return false;
	i = first_to_go(fdb, limit, now, &limit->due);
	if (i == limit->n)
		return false;
	remove_at(fdb, place_of(fdb, limit->key[i]));
	limit->due = 0; /* there may be another */
	return true;
}

/* An address that this port did not have. */
static int
learn_new(struct fdb *fdb, uint64_t key, uint32_t port, uint64_t now)
{
	if (!within_limit(fdb, fdb->port[port].limit, now))
		return -ENOSPC;
	if (make_room(fdb, port, now))
		insert(
		    fdb, key, port, fdb->port[port].sticky ? SEEN_STICKY : now);
	return 0;
}

static int
learn_moved(struct fdb *fdb, uint64_t key, uint32_t port, uint64_t now)
{
	struct entry *e = &fdb->entry[place_of(fdb, key)];
	uint32_t was = e->port;
	bool old = is_old(fdb, e, now);

	if (is_pinned(e))
		return -EPERM;
	if (!within_limit(fdb, fdb->port[port].limit, now))
		return -ENOSPC;
	e = &fdb->entry[place_of(fdb, key)]; /* removal may have moved it */
	counts_no_more(fdb, e);
	e->port = (uint16_t)port;
	e->seen = fdb->port[port].sticky ? SEEN_STICKY : now;
	counts_for(fdb, e);
	return old ? 0 : (int)was + 1;
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
	if (e->key == 0)
		return learn_new(fdb, key, port, now);
	if (e->port != port)
		return learn_moved(fdb, key, port, now);
	if (e->seen < now)
		e->seen = now;
	return 0;
}

int
fdb_would_learn(const struct fdb *fdb, const struct mac *mac, uint16_t vlan,
    unsigned int port, uint64_t now_ns)
{
	uint64_t now = now_ns >> TICK_SHIFT, due;
	const struct entry *e = &fdb->entry[place_of(fdb, key_of(mac, vlan))];
	const struct limit *limit = fdb->port[port].limit;

	if (mac_is_group(mac))
		return -EINVAL;
	if (e->key != 0 && e->port == port)
		return 0;
	if (e->key != 0 && is_pinned(e))
		return -EPERM;
	if (limit != NULL && limit->n >= limit->max &&
	    first_to_go(fdb, limit, now, &due) == limit->n)
		return -ENOSPC;
	return e->key != 0 && !is_old(fdb, e, now) ? (int)e->port + 1 : 0;
}

int
fdb_pin(
    struct fdb *fdb, const struct mac *mac, uint16_t vlan, unsigned int port)
{
	uint64_t key = key_of(mac, vlan);
	uint32_t at = place_of(fdb, key);

	assert(port < fdb->nports);
	if (mac_is_group(mac))
		return -EINVAL;
	if (fdb->entry[at].key != 0) {
		if (is_pinned(&fdb->entry[at]))
			return -EEXIST;
		remove_at(fdb, at);
	}
	if (!make_room(fdb, port, 0))
		return -ENOSPC;
	insert(fdb, key, port, SEEN_STATIC);
	return 0;
}

int
fdb_unpin(struct fdb *fdb, const struct mac *mac, uint16_t vlan)
{
	uint32_t at = place_of(fdb, key_of(mac, vlan));

	if (fdb->entry[at].key == 0 || fdb->entry[at].seen != SEEN_STATIC)
		return -ENOENT;
	remove_at(fdb, at);
	return 0;
}

int
fdb_limit(struct fdb *fdb, unsigned int port, uint32_t max, bool evict_first)
{
	struct fdb_port *p = &fdb->port[port];

	assert(port < fdb->nports && max <= FDB_LIMIT_MAX);
	if (max == 0) {
		free(p->limit);
		p->limit = NULL;
		return 0;
	}
	if (p->limit == NULL) {
		p->limit = calloc(1, sizeof(*p->limit));
		if (p->limit == NULL)
			return -ENOMEM;
		for (uint32_t i = 0; i <= fdb->mask; i++)
			if (fdb->entry[i].key != 0 &&
			    fdb->entry[i].port == port)
				limit_add(p->limit, fdb->entry[i].key, 0);
	}
	p->limit->max = max;
	p->limit->evict = evict_first;
	return 0;
}

void
fdb_set_sticky(struct fdb *fdb, unsigned int port, bool sticky, uint64_t now_ns)
{
	struct fdb_port *p = &fdb->port[port];

	p->sticky = sticky;
	for (uint32_t i = 0; i <= fdb->mask && !sticky; i++) {
		struct entry *e = &fdb->entry[i];

		if (e->key == 0 || e->port != port || e->seen != SEEN_STICKY)
			continue;
		e->seen = now_ns >> TICK_SHIFT;
		p->pinned--;
		fdb->pinned--;
		port_gains(fdb, port);
		if (p->limit != NULL)
			p->limit->due = 0;
	}
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
fdb_forget_port(struct fdb *fdb, unsigned int port,
    bool (*in)(const void *arg, uint16_t vlan), const void *arg)
{
	uint32_t at = 0;

	if (port >= fdb->nports)
		return;
	/* A place that was freed may have been filled from behind: it is
	 * looked at again. */
	while (at <= fdb->mask && fdb->port[port].count > 0) {
		const struct entry *e = &fdb->entry[at];

		if (e->key != 0 && e->port == port && !is_pinned(e) &&
		    (in == NULL || in(arg, vlan_of(e->key))))
			remove_at(fdb, at);
		else
			at++;
	}
}

void
fdb_remove_port(struct fdb *fdb, unsigned int port)
{
	uint32_t at = 0;

	fdb_forget_port(fdb, port, NULL, NULL);
	while (at <= fdb->mask && fdb->port[port].pinned > 0)
		if (fdb->entry[at].key != 0 && fdb->entry[at].port == port)
			remove_at(fdb, at);
		else
			at++;
	fdb_limit(fdb, port, 0, false);
	fdb->port[port].sticky = false;
	assert(fdb->port[port].count + fdb->port[port].pinned == 0);
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

uint32_t
fdb_port_pinned(const struct fdb *fdb, unsigned int port)
{
	return port < fdb->nports ? fdb->port[port].pinned : 0;
}

static void
row_of(struct fdb_row *row, const struct entry *e, uint64_t now)
{
	*row = (struct fdb_row){ .vlan = vlan_of(e->key), .port = e->port };
	put_be16(row->mac.b, (uint16_t)(e->key >> 32));
	put_be32(row->mac.b + 2, (uint32_t)e->key);
	if (is_pinned(e))
		row->kind = e->seen == SEEN_STATIC ? FDB_STATIC : FDB_STICKY;
	else if (now > e->seen)
		row->age_ns = (now - e->seen) << TICK_SHIFT;
}

void
fdb_each(const struct fdb *fdb, uint64_t now_ns,
    void (*each)(void *arg, const struct fdb_row *row), void *arg)
{
	uint64_t now = now_ns >> TICK_SHIFT;

	for (uint32_t i = 0; i <= fdb->mask; i++) {
		const struct entry *e = &fdb->entry[i];
		struct fdb_row row;

		if (e->key == 0 || is_old(fdb, e, now))
			continue;
		row_of(&row, e, now);
		each(arg, &row);
	}
}

bool
fdb_look_up(const struct fdb *fdb, const struct mac *mac, uint16_t vlan,
    uint64_t now_ns, struct fdb_row *row)
{
	uint64_t now = now_ns >> TICK_SHIFT;
	const struct entry *e = &fdb->entry[place_of(fdb, key_of(mac, vlan))];

	if (e->key == 0 || is_old(fdb, e, now))
		return false;
	row_of(row, e, now);
	return true;
}
