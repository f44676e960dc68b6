/*
 * One packet:
 *
 *    FREE --any--> WAITING --first: translated--> PASSING -----.
 *     ^               |----first: for us--------> COLLECTING --|
 *     |               '----refused, overlap-----> REFUSED -----|
 *     '----------- complete, 30 s, or pushed out --------------'
 *
 * PASSING and REFUSED keep nothing.  Fragments that overlap are refused
 * together, whatever RFC 791 says about the later one winning: no sender makes
 * them but to deceive (RFC 1858, RFC 5722).
 *
 * Rejected: reassembling all and cutting anew.  It costs a copy of all data and
 * lets a flood of halves starve those who send fragments in order, which here
 * need no memory but a row.
 */
#include "router/fragment.h"

#include <assert.h>
#include <stdlib.h>

#include "base/loop.h"

#define BUCKETS   1024
#define TO(state) (1u << FRAGMENT_##state)

TAILQ_HEAD(fragments_list, fragments);

struct fragment_table {
	struct hold *hold;
	fragment_lost *lost;
	void *arg;
	uint64_t key;
	struct fragments *free;
	uint32_t fresh;
	struct fragments_list waiting, others; /* oldest first */
	struct fragments *buckets[BUCKETS];
	struct fragments pool[FRAGMENT_PACKETS];
};

static const unsigned int fragment_next[] = {
	[FRAGMENT_FREE] = TO(WAITING),
	[FRAGMENT_WAITING] =
	    TO(FREE) | TO(PASSING) | TO(COLLECTING) | TO(REFUSED),
	[FRAGMENT_PASSING] = TO(FREE),
	[FRAGMENT_COLLECTING] = TO(FREE) | TO(REFUSED),
	[FRAGMENT_REFUSED] = TO(FREE),
};
static_assert(
    sizeof(fragment_next) / sizeof(fragment_next[0]) == FRAGMENT_NSTATES,
    "a state has no row");

/* Lists keep the order of age: all states have the same timeout, and a packet
 * that changes lists was made before those that come after it. */
static void
insert_by_age(struct fragments_list *list, struct fragments *f)
{
	struct fragments *at = TAILQ_LAST(list, fragments_list);

	while (at != NULL && at->expires_ns > f->expires_ns)
		at = TAILQ_PREV(at, fragments_list, order);
	if (at != NULL)
		TAILQ_INSERT_AFTER(list, at, f, order);
	else
		TAILQ_INSERT_HEAD(list, f, order);
}

static void
fragment_set(
    struct fragment_table *table, struct fragments *f, enum fragment_state to)
{
	assert(fragment_next[f->state] & 1u << to);
	if (f->state == FRAGMENT_WAITING)
		TAILQ_REMOVE(&table->waiting, f, order);
	else if (f->state != FRAGMENT_FREE)
		TAILQ_REMOVE(&table->others, f, order);
	f->state = (uint8_t)to;
	if (to == FRAGMENT_WAITING)
		TAILQ_INSERT_TAIL(&table->waiting, f, order);
	else if (to != FRAGMENT_FREE)
		insert_by_age(&table->others, f);
}

struct fragment_table *
fragment_table_new(uint64_t seed, fragment_lost *lost, void *arg)
{
	struct fragment_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	table->lost = lost;
	table->arg = arg;
	table->key = seed | 1;
	TAILQ_INIT(&table->waiting);
	TAILQ_INIT(&table->others);
	table->hold = hold_new(FRAGMENT_BLOCKS);
	if (table->hold == NULL) {
		free(table);
		return NULL;
	}
	return table;
}

void
fragment_table_free(struct fragment_table *table)
{
	if (table == NULL)
		return;
	hold_free(table->hold);
	free(table);
}

static struct fragments **
bucket_of(struct fragment_table *table, uint32_t src, uint32_t dst, uint16_t id)
{
	uint64_t h = ((uint64_t)src << 32 | dst) * table->key + id;

	h ^= h >> 29;
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return &table->buckets[(h >> 32) % BUCKETS];
}

static struct fragments *
make(struct fragment_table *table, uint64_t now_ns)
{
	struct fragments *f = table->free;

	if (f == NULL && table->fresh == FRAGMENT_PACKETS) {
		f = TAILQ_FIRST(&table->waiting);
		if (f == NULL)
			f = TAILQ_FIRST(&table->others);
		fragment_end(table, f);
	}
	f = table->free;
	if (f != NULL)
		table->free = f->next;
	else
		f = &table->pool[table->fresh++];
	*f = (struct fragments){ .expires_ns =
				     now_ns + FRAGMENT_TIMEOUT_S * NS_PER_S };
	TAILQ_INIT(&f->queue);
	fragment_set(table, f, FRAGMENT_WAITING);
	return f;
}

struct fragments *
fragment_find(struct fragment_table *table, const struct iface *in,
    const struct ip4 *ip, uint64_t now_ns, bool *complete)
{
	struct fragments **bucket = bucket_of(table, ip->src, ip->dst, ip->id);
	struct fragments *f = *bucket;
	uint32_t bytes = (uint32_t)(ip->total_bytes - ip->header_bytes);

	while (f != NULL &&
	    (f->src != ip->src || f->dst != ip->dst || f->id != ip->id ||
		f->protocol != ip->protocol || f->in != in))
		f = f->next;
	if (f != NULL && f->expires_ns <= now_ns) {
		fragment_end(table, f);
		f = NULL;
	}
	if (f == NULL) {
		f = make(table, now_ns);
		f->in = in;
		f->src = ip->src;
		f->dst = ip->dst;
		f->id = ip->id;
		f->protocol = ip->protocol;
		f->next = *bucket;
		*bucket = f;
	}
	f->seen_bytes += bytes;
	if (!(ip->fragment & IP4_MF))
		f->total_bytes = ip->offset_bytes + bytes;
	*complete = f->total_bytes != 0 && f->seen_bytes >= f->total_bytes;
	return f;
}

bool
fragment_join(struct fragment_table *table, struct fragments *f, uint8_t *at)
{
	uint32_t n = 0;
	struct held *held;

	while ((held = fragment_pop(f)) != NULL) {
		struct held_view view;

		hold_view(&view, held);
		if (held->offset == n) { /* else there is a hole */
			frame_copy(at + n, &view.frame, held->len - held->bytes,
			    held->bytes);
			n += held->bytes;
		}
		fragment_drop(table, held);
	}
	return n == f->total_bytes;
}

void
fragment_end(struct fragment_table *table, struct fragments *f)
{
	struct fragments **at = bucket_of(table, f->src, f->dst, f->id);
	struct held *held;

	while ((held = fragment_pop(f)) != NULL) {
		table->lost(table->arg, f->in, held);
		hold_drop(table->hold, held);
	}
	while (*at != f)
		at = &(*at)->next;
	*at = f->next;
	fragment_set(table, f, FRAGMENT_FREE);
	f->next = table->free;
	table->free = f;
}

/* The kept fragment behind which one belongs, NULL: it comes first.  False: it
 * overlaps with another. */
static bool
find_place(
    struct fragments *f, uint32_t offset, uint32_t bytes, struct held **before)
{
	struct held *held;

	*before = NULL;
	TAILQ_FOREACH (held, &f->queue, link) {
		if (held->offset >= offset + bytes)
			break;
		if ((uint32_t)held->offset + held->bytes > offset)
			return false;
		*before = held;
	}
	return true;
}

enum reason
fragment_keep(struct fragment_table *table, struct fragments *f,
    const struct ip4 *ip, const struct frame *frame,
    const struct verdict *verdict)
{
	uint32_t bytes = (uint32_t)(ip->total_bytes - ip->header_bytes);
	struct held *held = NULL, *before;

	if (bytes == 0 || !find_place(f, ip->offset_bytes, bytes, &before)) {
		fragment_refuse(table, f, DROP_FRAGMENT);
		return DROP_FRAGMENT;
	}
	while (f->nblocks + hold_blocks(frame->len) <= FRAGMENT_PACKET_BLOCKS) {
		struct fragments *oldest = TAILQ_FIRST(&table->waiting);

		held = hold_keep(table->hold, frame, verdict);
		if (held != NULL || oldest == NULL || oldest == f)
			break;
		fragment_end(table, oldest);
	}
	if (held == NULL) {
		fragment_refuse(table, f, DROP_FRAGMENT);
		return DROP_FRAGMENT;
	}
	held->offset = ip->offset_bytes;
	held->bytes = (uint16_t)bytes;
	f->nblocks = (uint16_t)(f->nblocks + held->nblocks);
	if (before != NULL)
		TAILQ_INSERT_AFTER(&f->queue, before, held, link);
	else
		TAILQ_INSERT_HEAD(&f->queue, held, link);
	return REASON_FRAGMENT_HELD;
}

void
fragment_decide(struct fragment_table *table, struct fragments *f,
    enum fragment_state state, const struct fragment_fate *fate)
{
	if (fate != NULL)
		f->fate = *fate;
	fragment_set(table, f, state);
}

void
fragment_refuse(
    struct fragment_table *table, struct fragments *f, enum reason reason)
{
	struct held *held;

	while ((held = fragment_pop(f)) != NULL) {
		table->lost(table->arg, f->in, held);
		hold_drop(table->hold, held);
	}
	f->fate.reason = reason;
	fragment_set(table, f, FRAGMENT_REFUSED);
}

struct held *
fragment_pop(struct fragments *f)
{
	struct held *held = TAILQ_FIRST(&f->queue);

	if (held == NULL)
		return NULL;
	TAILQ_REMOVE(&f->queue, held, link);
	f->nblocks = (uint16_t)(f->nblocks - held->nblocks);
	return held;
}

unsigned int
fragment_held(const struct fragment_table *table)
{
	return hold_frames(table->hold);
}

void
fragment_drop(struct fragment_table *table, struct held *held)
{
	hold_drop(table->hold, held);
}

static void
expire_list(
    struct fragment_table *table, struct fragments_list *list, uint64_t now_ns)
{
	struct fragments *f;

	while ((f = TAILQ_FIRST(list)) != NULL && f->expires_ns <= now_ns)
		fragment_end(table, f);
}

void
fragment_expire(struct fragment_table *table, uint64_t now_ns)
{
	expire_list(table, &table->waiting, now_ns);
	expire_list(table, &table->others, now_ns);
}

uint64_t
fragment_due_ns(const struct fragment_table *table)
{
	const struct fragments *a = TAILQ_FIRST(&table->waiting);
	const struct fragments *b = TAILQ_FIRST(&table->others);
	uint64_t due = UINT64_MAX;

	if (a != NULL)
		due = a->expires_ns;
	if (b != NULL && b->expires_ns < due)
		due = b->expires_ns;
	return due;
}
