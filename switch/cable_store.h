/*
 * cable_store.h - bounded memory for the frames that a cable holds back.
 *
 * Pieces of any size up to STORE_PIECE_MAX, given out and taken back without
 * system calls.  Memory counts by what a piece really takes: a power of two,
 * from STORE_PIECE_MIN.  It is the kernel's to give as pieces are first used.
 */
#ifndef SWITCH_CABLE_STORE_H
#define SWITCH_CABLE_STORE_H

#include <stddef.h>
#include <stdint.h>

#define STORE_PIECE_MIN   128u
#define STORE_PIECE_MAX   131072u
#define STORE_CHUNK_BYTES 262144u
#define STORE_CLASSES     11

struct store_chunk;

struct store {
	uint8_t *base; /* NULL: not open */
	size_t limit_bytes;
	struct store_chunk *chunks;
	uint32_t nchunks, touched; /* of these, so many were ever used */
	uint32_t empty;            /* list of used ones that hold nothing */
	/* Chunks of each size with room, lists by number. */
	uint32_t roomy[STORE_CLASSES];
};

/* Room for limit_bytes, in whole chunks of STORE_CHUNK_BYTES.  0 or -ENOMEM. */
int store_open(struct store *store, size_t limit_bytes);
void store_close(struct store *store); /* fine when not open */

/* At least bytes, aligned for anything; NULL: all is in use. */
void *store_get(struct store *store, size_t bytes);
void store_put(struct store *store, void *piece);

#endif
