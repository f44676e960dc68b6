/*
 * Pins that end are in a binary heap: unlike sessions they last for as long as
 * was asked for, and so are in no order that a list could keep.
 */
#include "router/nat_pins.h"

#include <assert.h>

int
nat_pins_init(struct nat_pins *pins)
{
	pins->items = nat_pool_new(&pins->pool, NAT_PINS_MAX, 0,
	    sizeof(pins->items[0]), &pins->index, 1);
	pins->due = calloc(NAT_PINS_MAX, sizeof(pins->due[0]));
	if (pins->items != NULL && pins->due != NULL &&
	    nat_index_init(&pins->by_host, NAT_PINS_MAX, 0, NAT_PINS_MAX) == 0)
		return 0;
	nat_pins_clear(pins);
	return -1;
}

void
nat_pins_clear(struct nat_pins *pins)
{
	nat_index_clear(&pins->index);
	nat_index_clear(&pins->by_host);
	nat_pool_free(&pins->pool, pins->items, sizeof(pins->items[0]));
	free(pins->due);
	*pins = (struct nat_pins){ .items = NULL };
}

size_t
nat_pins_bytes(const struct nat_pins *pins)
{
	return pins->items == NULL
	    ? 0
	    : nat_index_bytes(&pins->index) + nat_index_bytes(&pins->by_host) +
		(sizeof(pins->items[0]) + sizeof(pins->due[0])) * NAT_PINS_MAX;
}

static bool
same_ends(const struct nat_pin *a, const struct nat_pin *b)
{
	return a->in_ip == b->in_ip && a->in_port == b->in_port &&
	    a->protocol == b->protocol && a->remote_ip == b->remote_ip &&
	    a->remote_port == b->remote_port;
}

uint32_t
nat_pins_find(
    const struct nat_pins *pins, uint32_t hash, const struct nat_pin *ends)
{
	struct nat_probe probe;
	uint32_t id;

	if (pins->pool.used == 0)
		return NAT_NONE;
	probe = nat_probe(&pins->index, hash);
	while ((id = nat_probe_next(&pins->index, &probe)) != NAT_NONE &&
	    !same_ends(&pins->items[id].pin, ends))
		;
	return id;
}

unsigned int
nat_pins_of_host(const struct nat_pins *pins, uint32_t hash, uint32_t ip,
    uint32_t *ids, unsigned int room)
{
	struct nat_probe probe;
	unsigned int n = 0;
	uint32_t id;

	if (pins->pool.used == 0)
		return 0;
	probe = nat_probe(&pins->by_host, hash);
	while ((id = nat_probe_next(&pins->by_host, &probe)) != NAT_NONE) {
		if (pins->items[id].pin.in_ip != ip)
			continue;
		if (n < room)
			ids[n] = id;
		n++;
	}
	return n;
}

bool
nat_pins_file_has(const struct nat_pins *pins, uint32_t ip, uint8_t protocol)
{
	for (uint32_t id = pins->file; id != NAT_NONE;
	     id = pins->items[id].next)
		if (pins->items[id].pin.in_ip == ip &&
		    pins->items[id].pin.protocol == protocol)
			return true;
	return false;
}

/* Who points at it in the list of the lab file's. */
static uint32_t *
file_link(struct nat_pins *pins, uint32_t id)
{
	uint32_t *at = &pins->file;

	while (*at != id)
		at = &pins->items[*at].next;
	return at;
}

/* ---- the heap ---- */

static void
put(struct nat_pins *pins, uint32_t at, uint32_t id)
{
	pins->due[at] = id;
	pins->items[id].due_at = at;
}

static bool
ends_before(const struct nat_pins *pins, uint32_t a, uint32_t b)
{
	return pins->items[a].pin.until_ns < pins->items[b].pin.until_ns;
}

/* Brings the one at at, whose time may be any, to where it belongs. */
static void
settle(struct nat_pins *pins, uint32_t at)
{
	uint32_t id = pins->due[at];

	while (at > 0 && ends_before(pins, id, pins->due[(at - 1) / 2])) {
		put(pins, at, pins->due[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (;;) {
		uint32_t below = 2 * at + 1;

		if (below + 1 < pins->ndue &&
		    ends_before(pins, pins->due[below + 1], pins->due[below]))
			below++;
		if (below >= pins->ndue ||
		    !ends_before(pins, pins->due[below], id))
			break;
		put(pins, at, pins->due[below]);
		at = below;
	}
	put(pins, at, id);
}

static void
heap_add(struct nat_pins *pins, uint32_t id)
{
	if (pins->items[id].pin.until_ns == NAT_PIN_FOREVER)
		return;
	put(pins, pins->ndue++, id);
	settle(pins, pins->ndue - 1);
}

static void
heap_remove(struct nat_pins *pins, uint32_t id)
{
	uint32_t at = pins->items[id].due_at, last;

	if (pins->items[id].pin.until_ns == NAT_PIN_FOREVER)
		return;
	last = pins->due[--pins->ndue];
	if (last == id)
		return;
	put(pins, at, last);
	settle(pins, at);
}

/* ---- changes ---- */

uint32_t
nat_pins_add(struct nat_pins *pins, uint32_t hash, uint32_t host_hash,
    const struct nat_pin *pin)
{
	uint32_t id = NAT_POOL_TAKE(&pins->pool, pins->items);

	assert(id != NAT_NONE);
	pins->items[id] = (struct nat_pin_kept){ .pin = *pin };
	nat_index_add(&pins->index, hash, id);
	if (pin->by != NAT_PIN_BY_FILE) {
		nat_index_add(&pins->by_host, host_hash, id);
	} else {
		pins->items[id].next = pins->file;
		pins->file = id;
	}
	heap_add(pins, id);
	return id;
}

void
nat_pins_remove(
    struct nat_pins *pins, uint32_t id, uint32_t hash, uint32_t host_hash)
{
	struct nat_pin_kept *kept = &pins->items[id];

	heap_remove(pins, id);
	nat_index_remove(&pins->index, hash, id);
	if (kept->pin.by != NAT_PIN_BY_FILE)
		nat_index_remove(&pins->by_host, host_hash, id);
	else
		*file_link(pins, id) = kept->next;
	kept->mapping = NAT_NONE;
	nat_pool_give(&pins->pool, id, &kept->next);
}

void
nat_pins_move(struct nat_pins *pins, uint32_t id, uint64_t until_ns)
{
	heap_remove(pins, id);
	pins->items[id].pin.until_ns = until_ns;
	heap_add(pins, id);
}
