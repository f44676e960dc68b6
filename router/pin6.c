/*
 * Pins are found by the hash of their ends, and by that of their station.  What
 * has expired is looked for among all when the first of them is due: there are
 * few, they last for minutes, and a look at all of them takes microseconds.
 */
#include "router/pin6.h"

#include <stdlib.h>
#include <string.h>

#include "router/hash6.h"

#define BUCKETS      (2 * PIN6_MAX)
#define FILTER_KINDS 3 /* of pins for anybody that an end may have */

struct kept {
	struct pin6 pin;
	struct kept *next; /* in its bucket; or of the free ones */
	struct kept *next_of_station;
	bool used;
};

struct pin6_table {
	struct kept pool[PIN6_MAX];
	struct kept *free;
	uint32_t fresh; /* below: were used once */
	uint32_t used;
	uint64_t seed;
	uint64_t due_ns; /* nobody ends before */
	struct kept *by_ends[BUCKETS];
	struct kept *by_station[BUCKETS];
};

/* ---- hashes ---- */

static uint32_t
ends_bucket(const struct pin6_table *t, const struct flow6_ends *e)
{
	uint64_t h = hash6_addr(hash6_addr(t->seed, &e->inside), &e->remote);

	h = hash6(h,
	    (uint64_t)e->port << 32 | (uint64_t)e->remote_port << 16 |
		e->protocol);
	return h >> 32 & (BUCKETS - 1);
}

static uint32_t
station_bucket(const struct pin6_table *t, const struct mac *mac)
{
	return hash6_mac(t->seed, mac) >> 32 & (BUCKETS - 1);
}

/* ---- finding ---- */

static bool
is_for_anybody(const struct pin6 *pin)
{
	return pin->ends.remote_port == 0;
}

static struct kept *
lookup(const struct pin6_table *t, const struct flow6_ends *ends)
{
	struct kept *k = t->by_ends[ends_bucket(t, ends)];

	while (k != NULL && !flow6_ends_equal(&k->pin.ends, ends))
		k = k->next;
	return k;
}

const struct pin6 *
pin6_find(const struct pin6_table *table, const struct flow6_ends *ends,
    uint64_t now_ns)
{
	const struct kept *k = table->used == 0 ? NULL : lookup(table, ends);

	return k != NULL && k->pin.until_ns > now_ns ? &k->pin : NULL;
}

bool
pin6_has_peers(const struct pin6_table *table, const struct flow6_ends *ends,
    const struct mac *station, uint64_t now_ns)
{
	const struct kept *k =
	    table->by_station[station_bucket(table, station)];

	for (; k != NULL; k = k->next_of_station)
		if (!is_for_anybody(&k->pin) && k->pin.until_ns > now_ns &&
		    k->pin.ends.protocol == ends->protocol &&
		    k->pin.ends.port == ends->port &&
		    ip6_equal(&k->pin.ends.inside, &ends->inside))
			return true;
	return false;
}

/* Does a pin for anybody admit that sender? */
static bool
admits(const struct pin6 *pin, const struct flow6_ends *ends)
{
	for (unsigned int i = 0; i < pin->nfilters; i++) {
		const struct pin6_filter *f = &pin->filters[i];

		if (ip6_net_has(&f->net, &ends->remote) &&
		    (f->port == 0 || f->port == ends->remote_port))
			return true;
	}
	return pin->nfilters == 0;
}

enum pin6_says
pin6_ask(const struct pin6_table *table, const struct flow6_ends *ends,
    uint64_t now_ns, const struct pin6 **by)
{
	const struct flow6_ends kinds[FILTER_KINDS] = {
		{ .inside = ends->inside,
		    .port = ends->port,
		    .protocol = ends->protocol },
		{ .inside = ends->inside, .protocol = ends->protocol },
		{ .inside = ends->inside },
	};
	enum pin6_says says = PIN6_SAYS_NOTHING;

	if (table->used == 0)
		return PIN6_SAYS_NOTHING;
	*by = ends->remote_port != 0 ? pin6_find(table, ends, now_ns) : NULL;
	if (*by != NULL)
		return PIN6_ADMITS;
	for (int i = 0; i < FILTER_KINDS; i++) {
		*by = pin6_find(table, &kinds[i], now_ns);
		if (*by != NULL && admits(*by, ends))
			return PIN6_ADMITS;
		if (*by != NULL)
			says = PIN6_REFUSES;
	}
	return says;
}

/* ---- changes ---- */

static void
end(struct pin6_table *t, struct kept *k)
{
	struct kept **at = &t->by_ends[ends_bucket(t, &k->pin.ends)];

	while (*at != k)
		at = &(*at)->next;
	*at = k->next;
	at = &t->by_station[station_bucket(t, &k->pin.station)];
	while (*at != k)
		at = &(*at)->next_of_station;
	*at = k->next_of_station;
	k->used = false;
	k->next = t->free;
	t->free = k;
	t->used--;
}

static bool
has_room(const struct pin6_table *t, const struct mac *station)
{
	const struct kept *k = t->by_station[station_bucket(t, station)];
	unsigned int n = 0;

	for (; k != NULL; k = k->next_of_station)
		n += mac_equal(&k->pin.station, station);
	return n < PIN6_OF_STATION;
}

static void
note_due(struct pin6_table *t, const struct pin6 *pin)
{
	if (pin->until_ns < t->due_ns)
		t->due_ns = pin->until_ns;
}

static enum pin6_fate
make(struct pin6_table *t, const struct pin6 *pin)
{
	struct kept *k = t->free, **bucket;

	if (k == NULL && t->fresh == PIN6_MAX)
		return PIN6_FULL;
	if (!has_room(t, &pin->station))
		return PIN6_STATION_FULL;
	if (k != NULL)
		t->free = k->next;
	else
		k = &t->pool[t->fresh++];
	*k = (struct kept){ .pin = *pin, .used = true };
	bucket = &t->by_ends[ends_bucket(t, &pin->ends)];
	k->next = *bucket;
	*bucket = k;
	bucket = &t->by_station[station_bucket(t, &pin->station)];
	k->next_of_station = *bucket;
	*bucket = k;
	t->used++;
	note_due(t, pin);
	return PIN6_DONE;
}

enum pin6_fate
pin6_set(struct pin6_table *table, const struct pin6 *pin, uint64_t now_ns)
{
	struct kept *k;

	pin6_expire(table, now_ns); /* there may be room then */
	k = lookup(table, &pin->ends);
	if (k == NULL)
		return make(table, pin);
	if (memcmp(k->pin.nonce, pin->nonce, sizeof(pin->nonce)) != 0)
		return PIN6_OTHERS;
	k->pin.until_ns = pin->until_ns;
	k->pin.nfilters = pin->nfilters;
	memcpy(k->pin.filters, pin->filters, sizeof(pin->filters));
	note_due(table, pin);
	return PIN6_DONE;
}

enum pin6_fate
pin6_delete(struct pin6_table *table, const struct flow6_ends *ends,
    const uint8_t nonce[12], uint64_t now_ns)
{
	struct kept *k;

	pin6_expire(table, now_ns);
	k = lookup(table, ends);
	if (k != NULL && memcmp(k->pin.nonce, nonce, 12) != 0)
		return PIN6_OTHERS;
	if (k != NULL)
		end(table, k);
	return PIN6_DONE;
}

/* ---- all of them ---- */

void
pin6_expire(struct pin6_table *table, uint64_t now_ns)
{
	if (table->due_ns > now_ns)
		return;
	table->due_ns = UINT64_MAX;
	for (uint32_t i = 0; i < table->fresh; i++) {
		struct kept *k = &table->pool[i];

		if (k->used && k->pin.until_ns <= now_ns)
			end(table, k);
		else if (k->used)
			note_due(table, &k->pin);
	}
}

uint64_t
pin6_due_ns(const struct pin6_table *table)
{
	return table->due_ns;
}

void
pin6_each(const struct pin6_table *table, uint64_t now_ns,
    void (*each)(void *arg, const struct pin6 *pin), void *arg)
{
	for (uint32_t i = 0; i < table->fresh; i++) {
		const struct kept *k = &table->pool[i];

		if (k->used && k->pin.until_ns > now_ns)
			each(arg, &k->pin);
	}
}

struct pin6_table *
pin6_new(uint64_t seed)
{
	struct pin6_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->seed = seed;
	t->due_ns = UINT64_MAX;
	return t;
}

void
pin6_free(struct pin6_table *table)
{
	free(table);
}
