/*
 * nat_index.h - from a 32-bit hash to the number of an entry: open addressing
 * with linear probing, in slots of 8 bytes.
 *
 * The slot keeps the whole hash, so that entries are looked at only when they
 * are most probably right, and so that a removal can move back what it makes
 * reachable without looking at entries at all: no tombstones, and a table that
 * was full once is as fast as a new one.
 */
#ifndef ROUTER_NAT_INDEX_H
#define ROUTER_NAT_INDEX_H

#include <stdint.h>

#include "router/nat_memory.h"

struct nat_slot {
	uint32_t hash, id; /* id 0: free */
};

struct nat_index {
	struct nat_slot *slots;
	uint32_t mask;
};

/* An index for keys entries, at most three quarters full.  0 or -1. */
static inline int
nat_index_init(struct nat_index *index, size_t keys)
{
	size_t n = 16;

	while (n < keys + keys / 3 + 1)
		n *= 2;
	index->mask = (uint32_t)(n - 1);
	index->slots = nat_memory_new(n * sizeof(index->slots[0]));
	return index->slots != NULL ? 0 : -1;
}

static inline size_t
nat_index_bytes(const struct nat_index *index)
{
	return ((size_t)index->mask + 1) * sizeof(index->slots[0]);
}

static inline void
nat_index_clear(struct nat_index *index)
{
	nat_memory_free(index->slots, nat_index_bytes(index));
	index->slots = NULL;
}

/* The caller keeps to the number of keys it asked for. */
static inline void
nat_index_add(struct nat_index *index, uint32_t hash, uint32_t id)
{
	uint32_t at = hash & index->mask;

	while (index->slots[at].id != 0)
		at = (at + 1) & index->mask;
	index->slots[at].hash = hash;
	index->slots[at].id = id;
}

/* Removes the entry, which is there. */
static inline void
nat_index_remove(struct nat_index *index, uint32_t hash, uint32_t id)
{
	struct nat_slot *slots = index->slots;
	uint32_t mask = index->mask, at = hash & mask, next;

	while (slots[at].id != id || slots[at].hash != hash)
		at = (at + 1) & mask;
	for (next = (at + 1) & mask; slots[next].id != 0;
	     next = (next + 1) & mask) {
		uint32_t home = slots[next].hash & mask;

		/* May it move to the hole without passing its home? */
		if (((next - home) & mask) >= ((next - at) & mask)) {
			slots[at] = slots[next];
			at = next;
		}
	}
	slots[at].id = 0;
}

#endif
