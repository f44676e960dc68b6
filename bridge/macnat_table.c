/*
 * Rows and guests come from two arrays made at the start; both are in hash
 * tables with chains, whose order depends on a seed, so that nobody can choose
 * addresses that fall into one chain.  Each row is in two lists ordered by use:
 * of all rows, which ages from its front, and of its guest's, where the guest's
 * own oldest one is found when it has too many.
 *
 * An eviction from the busiest guest, as the MAC table has it, was rejected:
 * with a limit for each guest, who fills the table has to do so by many MAC
 * addresses, and the busiest would be whoever is honest.
 */
#include "bridge/macnat_table.h"

#include <assert.h>
#include <stdlib.h>

struct macnat_guest {
	struct mac mac;
	uint32_t nrows;
	LIST_ENTRY(macnat_guest) hash;
	TAILQ_HEAD(own_rows, macnat_row) rows;
};

LIST_HEAD(row_chain, macnat_row);
LIST_HEAD(guest_chain, macnat_guest);
TAILQ_HEAD(row_list, macnat_row);

struct macnat_table {
	uint32_t max, n, mask;
	uint64_t age_ns, seed;
	struct macnat_row *rows;
	struct macnat_guest *guests;
	struct row_chain *row_hash, free_rows;
	struct guest_chain *guest_hash, free_guests;
	struct row_list age;
};

/* ---- hashes ---- */

static uint64_t
mix(uint64_t h, uint64_t v)
{
	h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return h ^ h >> 29;
}

static struct row_chain *
row_chain(struct macnat_table *t, const struct ip6_addr *a, uint16_t vlan)
{
	uint64_t h = mix(t->seed, vlan);

	for (int i = 0; i < 16; i += 4)
		h = mix(h, get_be32(a->b + i));
	return &t->row_hash[(h >> 32) & t->mask];
}

static struct guest_chain *
guest_chain(struct macnat_table *t, const struct mac *mac)
{
	uint64_t h = mix(t->seed, get_be32(mac->b));

	return &t->guest_hash[(mix(h, get_be16(mac->b + 4)) >> 32) & t->mask];
}

/* ---- made and freed ---- */

struct macnat_table *
macnat_table_new(uint32_t max, uint64_t age_ns, uint64_t seed)
{
	struct macnat_table *t = calloc(1, sizeof(*t));
	uint32_t chains = 1;

	if (t == NULL)
		return NULL;
	assert(max > 0 && max <= 1u << 24);
	while (chains < max)
		chains *= 2;
	t->max = max;
	t->mask = chains - 1;
	t->age_ns = age_ns;
	t->seed = seed;
	TAILQ_INIT(&t->age);
	t->rows = calloc(max, sizeof(t->rows[0]));
	t->guests = calloc(max, sizeof(t->guests[0]));
	t->row_hash = calloc(chains, sizeof(t->row_hash[0]));
	t->guest_hash = calloc(chains, sizeof(t->guest_hash[0]));
	if (t->rows == NULL || t->guests == NULL || t->row_hash == NULL ||
	    t->guest_hash == NULL) {
		macnat_table_free(t);
		return NULL;
	}
	for (uint32_t i = max; i-- > 0;) {
		LIST_INSERT_HEAD(&t->free_rows, &t->rows[i], hash);
		LIST_INSERT_HEAD(&t->free_guests, &t->guests[i], hash);
	}
	return t;
}

void
macnat_table_free(struct macnat_table *t)
{
	if (t == NULL)
		return;
	free(t->rows);
	free(t->guests);
	free(t->row_hash);
	free(t->guest_hash);
	free(t);
}

/* ---- rows of guests ---- */

static struct macnat_guest *
find_guest(struct macnat_table *t, const struct mac *mac)
{
	struct macnat_guest *g;

	LIST_FOREACH (g, guest_chain(t, mac), hash)
		if (mac_equal(&g->mac, mac))
			return g;
	return NULL;
}

/* There are as many guests to be had as rows, so one is free with each row. */
static struct macnat_guest *
new_guest(struct macnat_table *t, const struct mac *mac)
{
	struct macnat_guest *g = LIST_FIRST(&t->free_guests);

	assert(g != NULL);
	LIST_REMOVE(g, hash);
	g->mac = *mac;
	g->nrows = 0;
	TAILQ_INIT(&g->rows);
	LIST_INSERT_HEAD(guest_chain(t, mac), g, hash);
	return g;
}

static void
give(struct macnat_row *row, struct macnat_guest *g)
{
	row->guest = g;
	g->nrows++;
	TAILQ_INSERT_TAIL(&g->rows, row, own);
}

/* A guest without rows is forgotten. */
static void
take_away(struct macnat_table *t, struct macnat_row *row)
{
	struct macnat_guest *g = row->guest;

	TAILQ_REMOVE(&g->rows, row, own);
	row->guest = NULL;
	if (--g->nrows > 0)
		return;
	LIST_REMOVE(g, hash);
	LIST_INSERT_HEAD(&t->free_guests, g, hash);
}

/* ---- rows ---- */

static void
forget(struct macnat_table *t, struct macnat_row *row)
{
	take_away(t, row);
	LIST_REMOVE(row, hash);
	TAILQ_REMOVE(&t->age, row, age);
	LIST_INSERT_HEAD(&t->free_rows, row, hash);
	t->n--;
}

static void
expire(struct macnat_table *t, uint64_t now_ns)
{
	struct macnat_row *row;

	while ((row = TAILQ_FIRST(&t->age)) != NULL && now_ns >= row->used_ns &&
	    now_ns - row->used_ns >= t->age_ns)
		forget(t, row);
}

static void
use(struct macnat_table *t, struct macnat_row *row, uint64_t now_ns)
{
	row->used_ns = now_ns;
	TAILQ_REMOVE(&t->age, row, age);
	TAILQ_INSERT_TAIL(&t->age, row, age);
	TAILQ_REMOVE(&row->guest->rows, row, own);
	TAILQ_INSERT_TAIL(&row->guest->rows, row, own);
}

static struct macnat_row *
look_up(struct macnat_table *t, const struct ip6_addr *address, uint16_t vlan)
{
	struct macnat_row *row;

	LIST_FOREACH (row, row_chain(t, address, vlan), hash)
		if (row->vlan == vlan && ip6_equal(&row->address, address))
			return row;
	return NULL;
}

struct macnat_row *
macnat_table_find(struct macnat_table *t, const struct ip6_addr *address,
    uint16_t vlan, uint64_t now_ns)
{
	struct macnat_row *row;

	expire(t, now_ns);
	row = look_up(t, address, vlan);
	if (row != NULL)
		use(t, row, now_ns);
	return row;
}

static struct macnat_row *
add(struct macnat_table *t, const struct ip6_addr *address, uint16_t vlan,
    const struct mac *mac)
{
	struct macnat_guest *g = find_guest(t, mac);
	struct macnat_row *row;

	if (g != NULL && g->nrows >= MACNAT_PER_GUEST)
		/* Its last row it is not, so the guest stays. */
		forget(t, TAILQ_FIRST(&g->rows));
	row = LIST_FIRST(&t->free_rows);
	if (row == NULL)
		return NULL;
	LIST_REMOVE(row, hash);
	*row = (struct macnat_row){ .address = *address, .vlan = vlan };
	LIST_INSERT_HEAD(row_chain(t, address, vlan), row, hash);
	TAILQ_INSERT_TAIL(&t->age, row, age);
	give(row, g != NULL ? g : new_guest(t, mac));
	t->n++;
	return row;
}

/* The guest that had it may be the last one free for mac: so that goes first. */
static void
move(struct macnat_table *t, struct macnat_row *row, const struct mac *mac)
{
	struct macnat_guest *g;

	take_away(t, row);
	g = find_guest(t, mac);
	if (g != NULL && g->nrows >= MACNAT_PER_GUEST)
		forget(t, TAILQ_FIRST(&g->rows));
	give(row, g != NULL ? g : new_guest(t, mac));
	row->out_frames = row->in_frames = 0;
}

struct macnat_row *
macnat_table_learn(struct macnat_table *t, const struct ip6_addr *address,
    uint16_t vlan, const struct mac *guest, bool announced, uint64_t now_ns,
    enum reason *why)
{
	struct macnat_row *row;

	expire(t, now_ns);
	row = look_up(t, address, vlan);
	if (row == NULL) {
		row = add(t, address, vlan, guest);
		if (row == NULL) {
			*why = DROP_MACNAT_FULL;
			return NULL;
		}
	} else if (!mac_equal(&row->guest->mac, guest)) {
		if (!announced) {
			*why = DROP_MACNAT_TAKEN;
			return NULL;
		}
		move(t, row, guest);
	}
	use(t, row, now_ns);
	return row;
}

const struct mac *
macnat_row_guest(const struct macnat_row *row)
{
	return &row->guest->mac;
}

uint32_t
macnat_row_number(const struct macnat_table *t, const struct macnat_row *row)
{
	return (uint32_t)(row - t->rows) + 1;
}

uint32_t
macnat_table_size(const struct macnat_table *t)
{
	return t->n;
}

struct macnat_row *
macnat_table_oldest(struct macnat_table *t, uint64_t now_ns)
{
	expire(t, now_ns);
	return TAILQ_FIRST(&t->age);
}
