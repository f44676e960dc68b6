/*
 * nat_pins.h - the pins of a NAT, by their ends, by their host, and by when
 * they end.  For the files of the NAT alone.
 */
#ifndef ROUTER_NAT_PINS_H
#define ROUTER_NAT_PINS_H

#include "router/nat_pin.h"
#include "router/nat_pool.h"

struct nat_pin_kept {
	struct nat_pin pin;
	uint32_t mapping;
	uint32_t next;   /* free one, or of the lab file */
	uint32_t due_at; /* in due[], unless it is for ever */
};

struct nat_pins {
	struct nat_pin_kept *items; /* NULL: there has never been one */
	struct nat_pool pool;
	struct nat_index index;   /* by ends */
	struct nat_index by_host; /* a host as often as it has asked for one */
	uint32_t *due;            /* a heap: ids, the first to end first */
	uint32_t ndue;
	uint32_t file; /* the latest of the lab file, or NAT_NONE */
};

/* Memory for NAT_PINS_MAX.  0 or -1. */
int nat_pins_init(struct nat_pins *pins);
void nat_pins_clear(struct nat_pins *pins);
size_t nat_pins_bytes(const struct nat_pins *pins);

/* Whose ends are those of ends; hash is theirs.  NAT_NONE. */
uint32_t nat_pins_find(
    const struct nat_pins *pins, uint32_t hash, const struct nat_pin *ends);

/* How many a host has asked for, of which ids has the first room; hash is that
 * of the host. */
unsigned int nat_pins_of_host(const struct nat_pins *pins, uint32_t hash,
    uint32_t ip, uint32_t *ids, unsigned int room);

/* Has the lab file pins of a host and a protocol?  Takes time for each that it
 * has. */
bool nat_pins_file_has(
    const struct nat_pins *pins, uint32_t ip, uint8_t protocol);

/* A copy of pin; there is room.  host_hash is not looked at for pins of the lab
 * file. */
uint32_t nat_pins_add(struct nat_pins *pins, uint32_t hash, uint32_t host_hash,
    const struct nat_pin *pin);
void nat_pins_remove(
    struct nat_pins *pins, uint32_t id, uint32_t hash, uint32_t host_hash);

/* Its until_ns is another. */
void nat_pins_move(struct nat_pins *pins, uint32_t id, uint64_t until_ns);

/* Who ends first, or NAT_NONE. */
static inline uint32_t
nat_pins_first(const struct nat_pins *pins)
{
	return pins->ndue > 0 ? pins->due[0] : NAT_NONE;
}

static inline uint64_t
nat_pins_due_ns(const struct nat_pins *pins)
{
	return pins->ndue > 0 ? pins->items[pins->due[0]].pin.until_ns
			      : UINT64_MAX;
}

#endif
