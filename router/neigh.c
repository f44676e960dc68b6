/*
 * One neighbour:
 *
 *    FREE --packet--> ASKING --reply--> KNOWN --use after age--> CHECKING
 *     ^ |               | 3 tries        ^ |                      | |
 *     | '-----heard-----|----------------' |                      | |
 *     |                 |                ^ '---- pushed out ----. | |
 *     |                 |                '--------- reply ------|-' |
 *     '-----------------'---------------------------------------'---'
 *
 * An entry ages only when it is used: one that nobody needs costs no frames,
 * and leaves no timer behind that would keep a virtual lab from ending.
 *
 * Who says that an address has moved need not be right: anybody on the link can
 * say so, and would get what is meant for another host.  So the present owner is
 * asked directly (CHECKING), and the claim holds only if it does not answer
 * within a second.  The claims of a storm, which come faster than that, are not
 * listened to while an answer is fresh; so it causes no more questions than one
 * a second.  Rejected: to believe the latest, as RFC 826 has it; a host that
 * really moved waits for a second instead.
 *
 * Entries are in a fixed pool, found by buckets of a keyed hash, so that a host
 * that answers for many addresses cannot aim them at one bucket.
 */
#include "router/neigh.h"

#include <assert.h>
#include <stdlib.h>

#include "base/log.h"

#define NITEMS(a) (sizeof(a) / sizeof((a)[0]))
#define TO(state) (1u << NEIGH_##state)

struct neigh {
	struct neigh *next; /* in its bucket, or of the free ones */
	struct neigh_table *table;
	struct iface *iface;
	struct ip6_addr ip;
	struct mac mac;
	struct mac rival; /* CHECKING: who claims to have ip, or zero */
	uint8_t state;    /* enum neigh_state */
	uint8_t tries;
	bool used;         /* was sent to, or to be */
	uint16_t nblocks;  /* of queue */
	uint64_t since_ns; /* it was asked for, or last confirmed */
	uint64_t check_ns; /* KNOWN: when a use has it asked again */
	uint64_t used_ns;
	struct held_list queue;
	TAILQ_ENTRY(neigh)
	order; /* KNOWN, CHECKING: never used, then least recently used, first */
	struct loop_timer timer;
};
TAILQ_HEAD(neigh_list, neigh);

struct neigh_table {
	struct loop *loop;
	const struct neigh_calls *calls;
	void *arg;
	struct hold *hold;
	struct neigh *pool, *free;
	struct neigh *last;  /* that was found, which is mostly the next one */
	uint32_t max, fresh; /* entries below fresh were used once */
	uint32_t asking;
	uint32_t mask;
	uint64_t key;
	struct neigh **buckets;
	struct neigh_list used;
};

static void enter_free(struct neigh *n);
static void enter_asking(struct neigh *n);
static void enter_known(struct neigh *n);
static void enter_checking(struct neigh *n);

static const struct {
	const char *name;
	unsigned int next; /* states we may leave for */
	void (*enter)(struct neigh *n);
} neigh_fsm[] = {
	[NEIGH_FREE] = { "free", TO(ASKING) | TO(KNOWN), enter_free },
	[NEIGH_ASKING] = { "asking", TO(FREE) | TO(KNOWN), enter_asking },
	[NEIGH_KNOWN] = { "known", TO(CHECKING) | TO(FREE), enter_known },
	[NEIGH_CHECKING] = { "checking", TO(KNOWN) | TO(FREE), enter_checking },
};
static_assert(NITEMS(neigh_fsm) == NEIGH_NSTATES, "a state has no row");

unsigned int
neigh_held(const struct neigh_table *table)
{
	return hold_frames(table->hold);
}

const char *
neigh_state_name(enum neigh_state state)
{
	return neigh_fsm[state].name;
}

static bool
is_answered(const struct neigh *n)
{
	return n->state == NEIGH_KNOWN || n->state == NEIGH_CHECKING;
}

static void
neigh_set(struct neigh *n, enum neigh_state to)
{
	struct neigh_table *table = n->table;
	bool was = is_answered(n);
	char text[IP6_TEXT_BYTES];

	assert(neigh_fsm[n->state].next & 1u << to);
	log_debug("neighbour %s: %s -> %s", ip6_text(text, &n->ip),
	    neigh_fsm[n->state].name, neigh_fsm[to].name);
	if (n->state == NEIGH_ASKING)
		table->asking--;
	n->state = (uint8_t)to;
	if (to == NEIGH_ASKING)
		table->asking++;
	if (is_answered(n) && !was && !n->used)
		TAILQ_INSERT_HEAD(&table->used, n, order);
	else if (is_answered(n) && !was)
		TAILQ_INSERT_TAIL(&table->used, n, order);
	if (!is_answered(n) && was)
		TAILQ_REMOVE(&table->used, n, order);
	neigh_fsm[to].enter(n);
}

/* ---- the table ---- */

static uint32_t
bucket_of(const struct neigh_table *table, const struct iface *iface,
    const struct ip6_addr *ip)
{
	uint64_t half[2], h;

	memcpy(half, ip->b, sizeof(half));
	h = (half[1] ^ (uint64_t)(uintptr_t)iface) + table->key;
	h ^= h >> 32;
	h *= UINT64_C(0x9e3779b97f4a7c15);
	h ^= h >> 29 ^ half[0];
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return (uint32_t)(h >> 32) & table->mask;
}

static struct neigh *
lookup(const struct neigh_table *table, const struct iface *iface,
    const struct ip6_addr *ip)
{
	struct neigh *n = table->buckets[bucket_of(table, iface, ip)];

	while (n != NULL && (!ip6_equal(&n->ip, ip) || n->iface != iface))
		n = n->next;
	return n;
}

static void expire(void *arg);

/* An entry in state FREE, in its bucket already, which the caller sets to
 * another state at once.  NULL: all are being asked for. */
static struct neigh *
make(struct neigh_table *table, struct iface *iface, const struct ip6_addr *ip)
{
	struct neigh **bucket;
	struct neigh *n = table->free;

	if (n == NULL && table->fresh == table->max) {
		n = TAILQ_FIRST(&table->used);
		if (n == NULL)
			return NULL;
		neigh_set(n, NEIGH_FREE);
		assert(table->free == n);
	}
	if (n != NULL)
		table->free = n->next;
	else
		n = &table->pool[table->fresh++];
	memset(n, 0, sizeof(*n));
	n->table = table;
	n->iface = iface;
	n->ip = *ip;
	n->state = NEIGH_FREE;
	TAILQ_INIT(&n->queue);
	loop_timer_init(&n->timer, table->loop, expire, n);
	bucket = &table->buckets[bucket_of(table, iface, ip)];
	n->next = *bucket;
	*bucket = n;
	return n;
}

struct neigh_table *
neigh_new(struct loop *loop, uint32_t max, uint64_t seed,
    const struct neigh_calls *calls, void *arg)
{
	struct neigh_table *table = calloc(1, sizeof(*table));
	uint32_t buckets = 16;

	if (table == NULL)
		return NULL;
	table->loop = loop;
	table->calls = calls;
	table->arg = arg;
	table->max = max != 0 ? max : NEIGH_MAX;
	table->key = seed * UINT64_C(0x94d049bb133111eb);
	while (buckets < table->max)
		buckets *= 2;
	table->mask = buckets - 1;
	table->buckets = calloc(buckets, sizeof(table->buckets[0]));
	table->pool = calloc(table->max, sizeof(table->pool[0]));
	table->hold = hold_new(NEIGH_HELD_BLOCKS);
	TAILQ_INIT(&table->used);
	if (table->buckets == NULL || table->pool == NULL ||
	    table->hold == NULL) {
		neigh_free(table);
		return NULL;
	}
	return table;
}

void
neigh_free(struct neigh_table *table)
{
	if (table == NULL)
		return;
	for (uint32_t i = 0; i < table->fresh; i++)
		loop_timer_unset(&table->pool[i].timer);
	hold_free(table->hold);
	free(table->pool);
	free(table->buckets);
	free(table);
}

/* ---- what the states do ---- */

static struct held *
pop(struct neigh *n)
{
	struct held *held = TAILQ_FIRST(&n->queue);

	if (held == NULL)
		return NULL;
	TAILQ_REMOVE(&n->queue, held, link);
	n->nblocks = (uint16_t)(n->nblocks - held->nblocks);
	return held;
}

static void
lose(struct neigh *n, struct held *held, enum reason reason)
{
	n->table->calls->lost(n->table->arg, n->iface, held, reason);
	hold_drop(n->table->hold, held);
}

static void
enter_free(struct neigh *n)
{
	struct neigh_table *table = n->table;
	struct neigh **at = &table->buckets[bucket_of(table, n->iface, &n->ip)];
	struct held *held;

	loop_timer_unset(&n->timer);
	if (table->last == n)
		table->last = NULL;
	while (*at != n)
		at = &(*at)->next;
	*at = n->next;
	/* Telling the sender may need a new entry for the same address. */
	while ((held = pop(n)) != NULL)
		lose(n, held, table->calls->failed);
	n->next = table->free;
	table->free = n;
}

static void
ask(struct neigh *n)
{
	struct neigh_table *table = n->table;

	n->tries++;
	table->calls->ask(table->arg, n->iface, &n->ip,
	    n->state == NEIGH_CHECKING ? &n->mac : NULL);
	loop_timer_set(&n->timer, loop_now_ns(table->loop) + NS_PER_S);
}

static void
enter_asking(struct neigh *n)
{
	n->tries = 0;
	n->since_ns = loop_now_ns(n->table->loop);
	ask(n);
}

static void
enter_checking(struct neigh *n)
{
	n->tries = 0;
	ask(n);
}

static void
enter_known(struct neigh *n)
{
	struct neigh_table *table = n->table;
	struct held *held;

	loop_timer_unset(&n->timer);
	n->since_ns = loop_now_ns(table->loop);
	n->check_ns = n->since_ns + NEIGH_AGE_S * NS_PER_S;
	n->rival = (struct mac){ 0 };
	while ((held = pop(n)) != NULL) {
		table->calls->send(table->arg, n->iface, &n->mac, held);
		hold_drop(table->hold, held);
	}
}

/* A second without an answer. */
static void
expire(void *arg)
{
	struct neigh *n = arg;
	const struct neigh_table *table = n->table;

	if (!mac_is_zero(&n->rival)) {
		n->mac = n->rival;
		neigh_set(n, NEIGH_KNOWN);
	} else if (n->tries < NEIGH_TRIES)
		ask(n);
	else
		neigh_set(n, NEIGH_FREE);
	table->calls->done(table->arg);
}

/* ---- what happens to it ---- */

const struct mac *
neigh_find(struct neigh_table *table, struct iface *iface,
    const struct ip6_addr *ip, uint64_t now_ns)
{
	struct neigh *n = table->last;

	if (n == NULL || n->iface != iface || !ip6_equal(&n->ip, ip))
		n = table->last = lookup(table, iface, ip);
	if (n == NULL || !is_answered(n))
		return NULL;
	if (!n->used || now_ns - n->used_ns >= NS_PER_S) {
		n->used = true;
		n->used_ns = now_ns;
		TAILQ_REMOVE(&table->used, n, order);
		TAILQ_INSERT_TAIL(&table->used, n, order);
		if (n->state == NEIGH_KNOWN && now_ns >= n->check_ns)
			neigh_set(n, NEIGH_CHECKING);
	}
	return &n->mac;
}

enum reason
neigh_keep(struct neigh_table *table, struct iface *iface,
    const struct ip6_addr *ip, const struct frame *frame,
    const struct verdict *verdict)
{
	struct neigh *n = lookup(table, iface, ip);
	unsigned int blocks = hold_blocks(frame->len);
	struct held *held;

	if (n == NULL && table->asking >= (table->max + 1) / 2)
		return table->calls->full;
	if (n == NULL) {
		n = make(table, iface, ip);
		if (n == NULL)
			return table->calls->full;
		n->used = true;
		neigh_set(n, NEIGH_ASKING);
	}
	assert(n->state == NEIGH_ASKING);
	while (
	    n->nblocks + blocks > NEIGH_QUEUE_BLOCKS && (held = pop(n)) != NULL)
		lose(n, held, table->calls->full);
	held = hold_keep(table->hold, frame, verdict);
	if (held == NULL && (held = pop(n)) != NULL) {
		/* Others have filled the pool: it gives one for one. */
		lose(n, held, table->calls->full);
		held = hold_keep(table->hold, frame, verdict);
	}
	if (held == NULL)
		return table->calls->full;
	TAILQ_INSERT_TAIL(&n->queue, held, link);
	n->nblocks = (uint16_t)(n->nblocks + held->nblocks);
	return table->calls->queued;
}

/* Somebody else says to have the address. */
static void
claim(struct neigh *n, const struct mac *mac)
{
	uint64_t now_ns = loop_now_ns(n->table->loop);

	if (n->state == NEIGH_KNOWN && now_ns - n->since_ns < NS_PER_S)
		return;
	n->rival = *mac;
	if (n->state == NEIGH_KNOWN)
		neigh_set(n, NEIGH_CHECKING);
}

void
neigh_heard(struct neigh_table *table, struct iface *iface,
    const struct ip6_addr *ip, const struct mac *mac, unsigned int how)
{
	struct neigh *n = lookup(table, iface, ip);
	bool confirmed = how & NEIGH_CONFIRMED, was;
	uint64_t age_s = confirmed ? NEIGH_AGE_S : NEIGH_DELAY_S;

	if (n == NULL && how & NEIGH_MAKE)
		n = make(table, iface, ip);
	if (n == NULL)
		return;
	was = is_answered(n);
	if (was && !mac_equal(&n->mac, mac)) {
		claim(n, mac);
		return;
	}
	if (was && !confirmed)
		return;
	n->mac = *mac;
	if (n->state != NEIGH_KNOWN)
		neigh_set(n, NEIGH_KNOWN);
	n->since_ns = loop_now_ns(table->loop);
	n->check_ns = n->since_ns + age_s * NS_PER_S;
}

void
neigh_told(struct neigh_table *table, struct iface *iface,
    const struct ip6_addr *ip, const struct mac *mac)
{
	struct neigh *n = lookup(table, iface, ip);

	if (n == NULL || !is_answered(n))
		return;
	n->mac = *mac;
	if (n->state == NEIGH_CHECKING)
		neigh_set(n, NEIGH_KNOWN);
}

void
neigh_forget(struct neigh_table *table, const struct iface *iface)
{
	for (uint32_t i = 0; i < table->fresh; i++) {
		struct neigh *n = &table->pool[i];

		if (n->iface == iface && n->state != NEIGH_FREE)
			neigh_set(n, NEIGH_FREE);
	}
}

void
neigh_each(const struct neigh_table *table,
    void (*each)(void *arg, const struct iface *iface,
	const struct ip6_addr *ip, const struct mac *mac,
	enum neigh_state state, uint64_t age_ns),
    void *arg)
{
	for (uint32_t i = 0; i < table->fresh; i++) {
		const struct neigh *n = &table->pool[i];

		if (n->state != NEIGH_FREE)
			each(arg, n->iface, &n->ip, &n->mac,
			    (enum neigh_state)n->state,
			    loop_now_ns(table->loop) - n->since_ns);
	}
}
