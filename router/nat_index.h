/*
 * nat_index.h - from a 32-bit hash to the number of an entry, in buckets of one
 * line of the cache.
 *
 * A slot is 4 bytes: the number and, in the bits that it leaves, as much of the
 * hash, so that entries are looked at only when they are most probably right.  A
 * bucket that is full sends its entry to the next one, and counts how many it
 * has sent and not seen removed: nobody looks behind one that sends none.  So a
 * look-up mostly touches one line, a removal moves nothing and needs no entry
 * but its own, and a table that was full once is as fast as a new one.
 *
 * Rejected: linear probing, which either keeps whole hashes, and so takes twice
 * the memory, or looks at each entry that a removal moves.
 */
#ifndef ROUTER_NAT_INDEX_H
#define ROUTER_NAT_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "router/nat_memory.h"

#define NAT_BUCKET_SLOTS 15
#define NAT_BUCKET_KEYS  11 /* on average, of an index that is full */
#define NAT_BUCKET_MOST  14 /* ... and has its extra ones too */

typedef uint32_t nat_lanes __attribute__((vector_size(16)));
typedef uint64_t nat_pair __attribute__((vector_size(16)));

struct nat_bucket {
	union {
		struct {
			uint32_t slots[NAT_BUCKET_SLOTS]; /* 0: free */
			uint32_t sent;
		};
		nat_lanes lanes[4];
	};
};

struct nat_index {
	struct nat_bucket *buckets;
	uint32_t n;   /* buckets */
	uint32_t ids; /* the bits of a slot that are the entry's number */
};

/* An index for keys and, more tightly, extra of entries up to max.  0 or -1. */
static inline int
nat_index_init(struct nat_index *index, size_t keys, size_t extra, uint32_t max)
{
	size_t n = keys / NAT_BUCKET_KEYS,
	       most = (keys + extra) / NAT_BUCKET_MOST;

	index->n = (uint32_t)(most > n ? most : n) + 1;
	index->ids = UINT32_MAX >> __builtin_clz(max | 1);
	index->buckets = nat_memory_new(index->n * sizeof(index->buckets[0]));
	return index->buckets != NULL ? 0 : -1;
}

static inline size_t
nat_index_bytes(const struct nat_index *index)
{
	return index->n * sizeof(index->buckets[0]);
}

static inline void
nat_index_clear(struct nat_index *index)
{
	nat_memory_free(index->buckets, nat_index_bytes(index));
	index->buckets = NULL;
}

static inline uint32_t
nat_index_home(const struct nat_index *index, uint32_t hash)
{
	return (uint32_t)((uint64_t)hash * index->n >> 32);
}

/* What has the hash will be looked for soon. */
static inline void
nat_index_prefetch(const struct nat_index *index, uint32_t hash)
{
	__builtin_prefetch(&index->buckets[nat_index_home(index, hash)]);
}

static inline uint32_t
nat_index_next(const struct nat_index *index, uint32_t bucket)
{
	return bucket + 1 < index->n ? bucket + 1 : 0;
}

/* What of a hash is in a slot: of its low bits, since the high ones are in the
 * bucket's number.  Never 0, so that no slot with an entry is. */
static inline uint32_t
nat_index_tag(const struct nat_index *index, uint32_t hash)
{
	uint32_t tag = hash * (index->ids + 1);

	return tag != 0 ? tag : index->ids + 1;
}

/* Bit i: slot i is value, in the bits of mask. */
static inline uint32_t
nat_bucket_match(const struct nat_bucket *bucket, uint32_t mask, uint32_t value)
{
	const nat_lanes *lanes = bucket->lanes, bits = { 1, 2, 4, 8 };
	nat_lanes found = ((nat_lanes)((lanes[0] & mask) == value) & bits) |
	    ((nat_lanes)((lanes[1] & mask) == value) & bits << 4) |
	    ((nat_lanes)((lanes[2] & mask) == value) & bits << 8) |
	    ((nat_lanes)((lanes[3] & mask) == value) & bits << 12);
	nat_pair pair;
	uint64_t any;

	pair = (nat_pair)found;
	any = pair[0] | pair[1];
	return (uint32_t)(any | any >> 32) & ((1u << NAT_BUCKET_SLOTS) - 1);
}

/* A walk over those that may have a hash. */
struct nat_probe {
	uint32_t tag, bucket, matches, left;
};

static inline struct nat_probe
nat_probe(const struct nat_index *index, uint32_t hash)
{
	uint32_t tag = nat_index_tag(index, hash);
	uint32_t home = nat_index_home(index, hash);

	return (struct nat_probe){ tag, home,
		nat_bucket_match(&index->buckets[home], ~index->ids, tag),
		index->n };
}

/* The number of the next one; 0: there is none. */
static inline uint32_t
nat_probe_next(const struct nat_index *index, struct nat_probe *probe)
{
	const struct nat_bucket *bucket = &index->buckets[probe->bucket];
	uint32_t slot;

	while (probe->matches == 0) {
		if (bucket->sent == 0 || --probe->left == 0)
			return 0;
		probe->bucket = nat_index_next(index, probe->bucket);
		bucket = &index->buckets[probe->bucket];
		probe->matches =
		    nat_bucket_match(bucket, ~index->ids, probe->tag);
	}
	slot = (uint32_t)__builtin_ctz(probe->matches);
	probe->matches &= probe->matches - 1;
	return bucket->slots[slot] & index->ids;
}

/* The caller keeps to the number of keys it asked for. */
static inline void
nat_index_add(struct nat_index *index, uint32_t hash, uint32_t id)
{
	uint32_t at = nat_index_home(index, hash), free;

	while ((free = nat_bucket_match(&index->buckets[at], ~0u, 0)) == 0) {
		index->buckets[at].sent++;
		at = nat_index_next(index, at);
	}
	index->buckets[at].slots[__builtin_ctz(free)] =
	    nat_index_tag(index, hash) | id;
}

/* Removes the entry, which is there. */
static inline void
nat_index_remove(struct nat_index *index, uint32_t hash, uint32_t id)
{
	uint32_t at = nat_index_home(index, hash), found;
	uint32_t slot = nat_index_tag(index, hash) | id;

	while (
	    (found = nat_bucket_match(&index->buckets[at], ~0u, slot)) == 0) {
		index->buckets[at].sent--;
		at = nat_index_next(index, at);
	}
	index->buckets[at].slots[__builtin_ctz(found)] = 0;
}

#endif
