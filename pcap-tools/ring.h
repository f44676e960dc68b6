/*
 * ring.h - records from one thread to another, without locks or system calls.
 *
 * The producer reserves records one after the other, fills them in any order,
 * and publishes all of them at once; the consumer takes what is published and
 * gives the room back.  Neither ever waits for the other: ring_reserve() says
 * NULL when there is no room, ring_next() when there is nothing.
 *
 * A record is contiguous and aligned to RING_ALIGN.  Memory is touched only as
 * far as the consumer was ever behind.
 */
#ifndef PCAP_TOOLS_RING_H
#define PCAP_TOOLS_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define RING_ALIGN       16
#define RING_LINE        64 /* keeps the threads' words in lines of their own */
#define RING_PIECE_BYTES (256u << 10) /* room comes and goes by pieces */

/* What a record begins with; the rest is the user's. */
struct ring_record {
	uint32_t bytes; /* with this head, a multiple of RING_ALIGN */
	uint32_t skip;  /* nothing but the end of a piece */
};

struct ring {
	uint8_t *memory;
	uint64_t size_bytes, piece_bytes; /* powers of two */
	uint32_t npieces;
	/* Positions count bytes since the start and never wrap in practice: a
	 * turn, which is a piece's worth of them, and an offset in it. */
	uint32_t *piece_of; /* by turn, modulo npieces: where it is in memory */
	uint64_t *turn_of;  /* by piece */
	alignas(RING_LINE) uint64_t reserved; /* the producer's */
	uint64_t head_seen, turns_back;       /* turns that it took back */
	uint32_t *idle, nidle;                /* pieces, the last used on top */
	alignas(RING_LINE) _Atomic uint64_t tail; /* published up to here */
	alignas(RING_LINE) _Atomic uint64_t head; /* given back up to here */
	uint64_t next;                            /* the consumer's */
};

/* size_bytes is rounded up to a power of two of at least 16 KiB.  A piece is an
 * eighth of it, but no more than RING_PIECE_BYTES.  0, or -ENOMEM. */
int ring_init(struct ring *ring, size_t size_bytes);
void ring_fini(struct ring *ring);

/* ---- the producer ---- */

/* Room for a record of bytes in all, its head filled in.  NULL: no room now, or
 * never, if it is larger than a piece. */
void *ring_reserve(struct ring *ring, size_t bytes);

/* A reserved record by a number that is not 0, and back.  Good until the
 * record is published. */
uint32_t ring_token(const struct ring *ring, const void *record);
void *ring_record(const struct ring *ring, uint32_t token);
/* The record that was reserved right after this one, which must exist. */
void *ring_after(const struct ring *ring, const void *record);

void ring_publish(struct ring *ring);

/* Bytes reserved and not given back.  Exact at most when it exceeds enough:
 * below that it may be too high, never too low. */
uint64_t ring_used(struct ring *ring, uint64_t enough);

/* ---- the consumer ---- */

/* The next published record, NULL: none.  It stays until ring_release(). */
void *ring_next(struct ring *ring);
/* Gives back all that ring_next() returned. */
void ring_release(struct ring *ring);

#endif
