/*
 * map.h - which layer of a chain holds each piece of the disk, and where.
 *
 * One flat table per node, in chunks of 64 MiB of disk, 8 bytes a piece: a
 * look-up costs the same at each depth.  A chunk is built from the L2 tables
 * when it is first needed.  A node that has nothing of its own in a chunk has
 * its parent's, the same memory; layers with several children keep theirs, so
 * that branches and clones share it.
 */
#ifndef DISK_MAP_H
#define DISK_MAP_H

#include "disk/layer.h"

#define CHUNK_BITS 26

enum piece {
	PIECE_HOLE,      /* in no layer: zeros */
	PIECE_ZERO,      /* zeros, says layer */
	PIECE_DATA,      /* in layer's file at offset */
	PIECE_COMPRESSED /* in layer's compressed cluster */
};

struct chunk {
	atomic_uint users;
	unsigned int piece_bits; /* bytes of a piece, as a power of two */
	uint64_t pieces[];
};

/* kind 2 bits, layer 15, host offset / 512 47 */
static inline uint64_t
piece_make(enum piece kind, unsigned int layer, uint64_t offset)
{
	return (uint64_t)kind << 62 | (uint64_t)layer << 47 | offset >> 9;
}

static inline enum piece
piece_kind(uint64_t piece)
{
	return (enum piece)(piece >> 62);
}

static inline unsigned int
piece_layer(uint64_t piece)
{
	return (unsigned int)(piece >> 47) & 0x7fff;
}

static inline uint64_t
piece_offset(uint64_t piece)
{
	return (piece & ((UINT64_C(1) << 47) - 1)) << 9;
}

/* Room for the chunks of a layer of its present size.  Not while others use the
 * layer.  0 or -ENOMEM. */
int map_prepare(struct layer *layer, struct err *err);

/* The chunk of disk byte offset as layer sees it, built if need be; it stays
 * as long as the layer.  NULL with err set. */
const struct chunk *map_chunk(struct disk_set *set, struct layer *layer,
    uint64_t offset, struct err *err);

/* The same for the one who writes to layer: nobody else's, in pieces of at
 * most the layer's clusters. */
struct chunk *map_own_chunk(struct disk_set *set, struct layer *layer,
    uint64_t offset, struct err *err);

/* NULL is fine. */
void chunk_release(struct chunk *chunk);

/* Bytes of the chunks that the layers of set hold; shared ones once per
 * holder. */
uint64_t map_memory(struct disk_set *set);

#endif
