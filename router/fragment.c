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
 * them but to deceive (RFC 1858, RFC 5722).  Copies are another thing: links
 * make them.  So that these do not make a packet complete before it is, what was
 * seen of it is remembered, as long as that is few pieces.
 *
 * What is pushed out is chosen in a time that does not depend on how much there
 * is: each kind of row has a list for each group of senders, by age.
 *
 * Rejected: reassembling all and cutting anew.  It costs a copy of all data and
 * lets a flood of halves starve those who send fragments in order, which here
 * need no memory but a row.
 */
#include "router/fragment.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/loop.h"

#define BUCKETS   1024
#define TO(state) (1u << FRAGMENT_##state)

TAILQ_HEAD(fragments_list, fragments);

/* What may be pushed out before what. */
enum kind {
	KIND_REFUSED,
	KIND_HOLDING, /* WAITING, COLLECTING */
	KIND_PASSING,
	KINDS,
};

/* Rows of one kind and one group of senders. */
struct kin {
	struct fragments_list list; /* oldest first */
	uint32_t nblocks;
};

struct fragment_table {
	struct hold *hold;
	fragment_lost *lost;
	void *arg;
	uint64_t key;
	struct fragments *free;
	uint32_t fresh;
	struct fragments_list by_age[KINDS]; /* oldest first */
	struct kin kin[KINDS][FRAGMENT_GROUPS];
	uint32_t rows[FRAGMENT_GROUPS]; /* of all kinds */
	struct fragments *buckets[BUCKETS];
	struct fragments pool[FRAGMENT_PACKETS];
};

static const struct {
	unsigned int next;
	enum kind kind;
} fragment_fsm[] = {
	[FRAGMENT_FREE] = { TO(WAITING), KINDS },
	[FRAGMENT_WAITING] = { TO(FREE) | TO(PASSING) | TO(COLLECTING) |
		TO(REFUSED),
	    KIND_HOLDING },
	[FRAGMENT_PASSING] = { TO(FREE), KIND_PASSING },
	[FRAGMENT_COLLECTING] = { TO(FREE) | TO(REFUSED), KIND_HOLDING },
	[FRAGMENT_REFUSED] = { TO(FREE), KIND_REFUSED },
};
static_assert(
    sizeof(fragment_fsm) / sizeof(fragment_fsm[0]) == FRAGMENT_NSTATES,
    "a state has no row");

/* ---- lists ---- */

static struct kin *
kin_of(struct fragment_table *table, const struct fragments *f)
{
	return &table->kin[fragment_fsm[f->state].kind][f->group];
}

/* Lists keep the order of age: all states have the same timeout, and a packet
 * that changes lists was made before those that come after it. */
static void
join(struct fragment_table *table, struct fragments *f)
{
	struct fragments_list *list =
	    &table->by_age[fragment_fsm[f->state].kind];
	struct fragments *at = TAILQ_LAST(list, fragments_list);
	struct kin *kin = kin_of(table, f);

	while (at != NULL && at->expires_ns > f->expires_ns)
		at = TAILQ_PREV(at, fragments_list, order);
	if (at != NULL)
		TAILQ_INSERT_AFTER(list, at, f, order);
	else
		TAILQ_INSERT_HEAD(list, f, order);
	TAILQ_INSERT_TAIL(&kin->list, f, kin);
	table->rows[f->group]++;
	kin->nblocks += f->nblocks;
}

static void
leave(struct fragment_table *table, struct fragments *f)
{
	struct kin *kin = kin_of(table, f);

	TAILQ_REMOVE(&table->by_age[fragment_fsm[f->state].kind], f, order);
	TAILQ_REMOVE(&kin->list, f, kin);
	table->rows[f->group]--;
	kin->nblocks -= f->nblocks;
}

static void
fragment_set(
    struct fragment_table *table, struct fragments *f, enum fragment_state to)
{
	enum kind kind = fragment_fsm[f->state].kind;

	assert(fragment_fsm[f->state].next & 1u << to);
	if (kind != KINDS && kind != fragment_fsm[to].kind)
		leave(table, f);
	f->state = (uint8_t)to;
	if (to != FRAGMENT_FREE && kind != fragment_fsm[to].kind)
		join(table, f);
}

/* Of the group that has the most rows, the oldest of the kind that is missed
 * least. */
static struct fragments *
most_rows(struct fragment_table *table)
{
	struct fragments *f = NULL;
	int most = 0;

	for (int i = 1; i < FRAGMENT_GROUPS; i++)
		if (table->rows[i] > table->rows[most])
			most = i;
	for (int kind = 0; f == NULL && kind < KINDS; kind++)
		f = TAILQ_FIRST(&table->kin[kind][most].list);
	return f;
}

/* Of the group that has most of the memory, the oldest that may have some; NULL:
 * none is in use. */
static struct fragments *
most_memory(struct fragment_table *table)
{
	const struct kin *most = &table->kin[KIND_HOLDING][0];

	for (int i = 1; i < FRAGMENT_GROUPS; i++)
		if (table->kin[KIND_HOLDING][i].nblocks > most->nblocks)
			most = &table->kin[KIND_HOLDING][i];
	return most->nblocks > 0 ? TAILQ_FIRST(&most->list) : NULL;
}

/* ---- the table ---- */

struct fragment_table *
fragment_table_new(uint64_t seed, fragment_lost *lost, void *arg)
{
	struct fragment_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	table->lost = lost;
	table->arg = arg;
	table->key = seed | 1;
	for (int kind = 0; kind < KINDS; kind++) {
		TAILQ_INIT(&table->by_age[kind]);
		for (int i = 0; i < FRAGMENT_GROUPS; i++)
			TAILQ_INIT(&table->kin[kind][i].list);
	}
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

static uint64_t
mix(uint64_t h)
{
	h ^= h >> 29;
	h *= UINT64_C(0xbf58476d1ce4e5b9);
	return h >> 32;
}

static struct fragments **
bucket_of(struct fragment_table *table, uint32_t src, uint32_t dst, uint16_t id)
{
	uint64_t h = ((uint64_t)src << 32 | dst) * table->key + id;

	return &table->buckets[mix(h) % BUCKETS];
}

static uint8_t
group_of(const struct fragment_table *table, uint32_t src)
{
	return (uint8_t)(mix(src * table->key) % FRAGMENT_GROUPS);
}

static struct fragments *
take_row(struct fragment_table *table)
{
	struct fragments *f;

	if (table->free == NULL && table->fresh < FRAGMENT_PACKETS)
		return &table->pool[table->fresh++];
	if (table->free == NULL)
		fragment_end(table, most_rows(table));
	f = table->free;
	table->free = f->next;
	return f;
}

static struct fragments *
make(struct fragment_table *table, const struct iface *in, const struct ip4 *ip,
    uint64_t now_ns)
{
	struct fragments *f = take_row(table);
	struct fragments **bucket = bucket_of(table, ip->src, ip->dst, ip->id);

	*f = (struct fragments){ .in = in,
		.src = ip->src,
		.dst = ip->dst,
		.id = ip->id,
		.protocol = ip->protocol,
		.group = group_of(table, ip->src),
		.next = *bucket,
		.expires_ns = now_ns + FRAGMENT_TIMEOUT_S * NS_PER_S };
	*bucket = f;
	TAILQ_INIT(&f->queue);
	fragment_set(table, f, FRAGMENT_WAITING);
	return f;
}

static uint32_t
common(uint32_t from, uint32_t to, const uint16_t *span)
{
	uint32_t first = from > span[0] ? from : span[0];
	uint32_t end = to < span[1] ? to : span[1];

	return first < end ? end - first : 0;
}

/* Remembers that bytes of the data were seen, from from on.  Returns how many of
 * them were new. */
static uint32_t
see(struct fragments *f, uint32_t from, uint32_t bytes)
{
	uint32_t to = from + bytes, fresh = bytes, first = from, end = to;

	for (int i = f->nspans - 1; i >= 0; i--) {
		uint16_t *span = f->spans[i];

		if (span[0] > to || span[1] < from)
			continue;
		fresh -= common(from, to, span);
		first = first < span[0] ? first : span[0];
		end = end > span[1] ? end : span[1];
		f->nspans--;
		memmove(span, f->spans[f->nspans], sizeof(f->spans[0]));
	}
	if (f->nspans < FRAGMENT_SPANS) {
		f->spans[f->nspans][0] = (uint16_t)first;
		f->spans[f->nspans++][1] = (uint16_t)end;
	}
	return fresh;
}

struct fragments *
fragment_find(struct fragment_table *table, const struct iface *in,
    const struct ip4 *ip, uint64_t now_ns)
{
	struct fragments *f = *bucket_of(table, ip->src, ip->dst, ip->id);
	uint32_t bytes = (uint32_t)(ip->total_bytes - ip->header_bytes);

	while (f != NULL &&
	    (f->src != ip->src || f->dst != ip->dst || f->id != ip->id ||
		f->protocol != ip->protocol || f->in != in))
		f = f->next;
	if (f != NULL && f->expires_ns <= now_ns) {
		fragment_end(table, f);
		f = NULL;
	}
	if (f == NULL)
		f = make(table, in, ip, now_ns);
	f->seen_bytes += see(f, ip->offset_bytes, bytes);
	if (!(ip->fragment & IP4_MF))
		f->total_bytes = ip->offset_bytes + bytes;
	return f;
}

bool
fragment_join(struct fragment_table *table, struct fragments *f, uint8_t *at)
{
	uint32_t n = 0;
	struct held *held;

	while ((held = fragment_pop(table, f)) != NULL) {
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

	while ((held = fragment_pop(table, f)) != NULL) {
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

enum fit { FITS, IS_THERE, OVERLAPS };

/* The kept fragment behind which one belongs, NULL: it comes first. */
static enum fit
find_place(
    struct fragments *f, uint32_t offset, uint32_t bytes, struct held **before)
{
	struct held *held;

	*before = NULL;
	TAILQ_FOREACH (held, &f->queue, link) {
		if (held->offset >= offset + bytes)
			break;
		if (held->offset == offset && held->bytes == bytes)
			return IS_THERE;
		if ((uint32_t)held->offset + held->bytes > offset)
			return OVERLAPS;
		*before = held;
	}
	return FITS;
}

/* A copy of a frame in f's memory; NULL: it has all that it may have, or there is
 * none but that of those who have less. */
static struct held *
hold_one(struct fragment_table *table, struct fragments *f,
    const struct frame *frame, const struct verdict *verdict)
{
	while (f->nblocks + hold_blocks(frame->len) <= FRAGMENT_PACKET_BLOCKS) {
		struct held *held = hold_keep(table->hold, frame, verdict);
		struct fragments *other;

		if (held != NULL)
			return held;
		other = most_memory(table);
		if (other == NULL || other == f)
			break;
		fragment_end(table, other);
	}
	return NULL;
}

enum reason
fragment_keep(struct fragment_table *table, struct fragments *f,
    const struct ip4 *ip, const struct frame *frame,
    const struct verdict *verdict)
{
	uint32_t bytes = (uint32_t)(ip->total_bytes - ip->header_bytes);
	struct held *held = NULL, *before;
	enum fit fit = find_place(f, ip->offset_bytes, bytes, &before);

	if (fit == IS_THERE)
		return DROP_FRAGMENT;
	if (fit == FITS && bytes > 0)
		held = hold_one(table, f, frame, verdict);
	if (held == NULL) {
		fragment_refuse(table, f, DROP_FRAGMENT);
		return DROP_FRAGMENT;
	}
	held->offset = ip->offset_bytes;
	held->bytes = (uint16_t)bytes;
	f->nblocks = (uint16_t)(f->nblocks + held->nblocks);
	kin_of(table, f)->nblocks += held->nblocks;
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

	while ((held = fragment_pop(table, f)) != NULL) {
		table->lost(table->arg, f->in, held);
		hold_drop(table->hold, held);
	}
	f->fate.reason = reason;
	fragment_set(table, f, FRAGMENT_REFUSED);
}

struct held *
fragment_pop(struct fragment_table *table, struct fragments *f)
{
	struct held *held = TAILQ_FIRST(&f->queue);

	if (held == NULL)
		return NULL;
	TAILQ_REMOVE(&f->queue, held, link);
	f->nblocks = (uint16_t)(f->nblocks - held->nblocks);
	kin_of(table, f)->nblocks -= held->nblocks;
	return held;
}

enum reason
fragment_collect(struct fragment_table *table, const struct iface *in,
    const struct ip4 *ip, const struct frame *frame, const struct node *node,
    uint64_t now_ns, uint8_t *at, size_t *bytes)
{
	struct fragments *f = fragment_find(table, in, ip, now_ns);
	struct verdict verdict = frame->verdict;
	enum reason reason = DROP_FRAGMENT;

	verdict.node = node;
	verdict.reason = REASON_FRAGMENT_HELD;
	if (f->state == FRAGMENT_WAITING)
		fragment_decide(table, f, FRAGMENT_COLLECTING, NULL);
	if (f->state == FRAGMENT_COLLECTING)
		reason = fragment_keep(table, f, ip, frame, &verdict);
	if (!fragment_is_complete(f))
		return reason;
	*bytes = f->total_bytes;
	if (reason == REASON_FRAGMENT_HELD)
		reason = *bytes <= IP4_MAX_BYTES - IP4_HEADER_BYTES &&
			fragment_join(table, f, at)
		    ? REASON_NONE
		    : DROP_FRAGMENT;
	fragment_end(table, f);
	return reason;
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

void
fragment_expire(struct fragment_table *table, uint64_t now_ns)
{
	for (int kind = 0; kind < KINDS; kind++) {
		struct fragments *f;

		while ((f = TAILQ_FIRST(&table->by_age[kind])) != NULL &&
		    f->expires_ns <= now_ns)
			fragment_end(table, f);
	}
}

uint64_t
fragment_due_ns(const struct fragment_table *table)
{
	uint64_t due = UINT64_MAX;

	for (int kind = 0; kind < KINDS; kind++) {
		const struct fragments *f = TAILQ_FIRST(&table->by_age[kind]);

		if (f != NULL && f->expires_ns < due)
			due = f->expires_ns;
	}
	return due;
}
