/*
 * One mapping, cut into pieces.  The producer fills a piece from its start; when
 * a record does not fit any more, what is left is marked to be skipped and the
 * next piece is taken.  A turn is the filling of one piece:
 *
 *     position = turn * piece_bytes + offset
 *
 *     turn      0    1    2    3    4 ...
 *     piece    [0]  [1]  [0]  [1]  [0]      while the consumer keeps up
 *
 * Of the pieces that came back the last one is taken first.  So a consumer that
 * keeps up has the same few pieces go back and forth, in the processors' caches,
 * however large the ring is; one block of memory used round and round goes
 * through all of it instead, and out to memory, which for full frames cost both
 * threads more than the rest of their work.  It also leaves the memory that
 * only a stuck consumer needs untouched.
 *
 * The producer keeps the head it saw last and looks again only for a new piece,
 * or when asked: the line with the head moves between the two cores a few times
 * per piece, not per record.
 */
#include "pcap-tools/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#define SIZE_MIN   16384
#define PIECES_MIN 8

int
ring_init(struct ring *ring, size_t size_bytes)
{
	size_t size = SIZE_MIN;
	uint32_t n;

	while (size < size_bytes)
		size *= 2;
	*ring = (struct ring){ .size_bytes = size };
	ring->piece_bytes = size / PIECES_MIN < RING_PIECE_BYTES
	    ? size / PIECES_MIN
	    : RING_PIECE_BYTES;
	ring->npieces = n = (uint32_t)(size / ring->piece_bytes);
	ring->memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ring->memory == MAP_FAILED)
		ring->memory = NULL;
	ring->piece_of = calloc(n, sizeof(*ring->piece_of));
	ring->turn_of = calloc(n, sizeof(*ring->turn_of));
	ring->idle = calloc(n, sizeof(*ring->idle));
	if (ring->memory == NULL || ring->piece_of == NULL ||
	    ring->turn_of == NULL || ring->idle == NULL) {
		ring_fini(ring);
		return -ENOMEM;
	}
	while (ring->nidle < n) {
		ring->idle[ring->nidle] = n - 1 - ring->nidle;
		ring->nidle++;
	}
	return 0;
}

void
ring_fini(struct ring *ring)
{
	if (ring->memory != NULL)
		munmap(ring->memory, ring->size_bytes);
	ring->memory = NULL;
	free(ring->piece_of);
	free(ring->turn_of);
	free(ring->idle);
	ring->piece_of = ring->idle = NULL;
	ring->turn_of = NULL;
}

static uint64_t
turn(const struct ring *ring, uint64_t position)
{
	return position / ring->piece_bytes;
}

static uint64_t
offset(const struct ring *ring, uint64_t position)
{
	return position & (ring->piece_bytes - 1);
}

static struct ring_record *
at(const struct ring *ring, uint64_t position)
{
	uint32_t piece =
	    ring->piece_of[turn(ring, position) & (ring->npieces - 1)];

	return (struct ring_record *)(ring->memory + piece * ring->piece_bytes +
	    offset(ring, position));
}

/* ---- the producer ---- */

static void
look_at_head(struct ring *ring)
{
	ring->head_seen =
	    atomic_load_explicit(&ring->head, memory_order_acquire);
}

/* Pieces that the consumer is through with. */
static void
take_back(struct ring *ring)
{
	uint64_t end;

	look_at_head(ring);
	end = turn(ring, ring->head_seen);
	for (; ring->turns_back < end; ring->turns_back++) {
		uint64_t slot = ring->turns_back & (ring->npieces - 1);

		ring->idle[ring->nidle++] = ring->piece_of[slot];
	}
}

/* A piece for a turn; false: there is none. */
static bool
begin_turn(struct ring *ring, uint64_t turn)
{
	uint32_t piece;

	take_back(ring);
	if (ring->nidle == 0)
		return false;
	piece = ring->idle[--ring->nidle];
	ring->piece_of[turn & (ring->npieces - 1)] = piece;
	ring->turn_of[piece] = turn;
	return true;
}

void *
ring_reserve(struct ring *ring, size_t bytes)
{
	uint64_t need = (bytes + RING_ALIGN - 1) & ~(uint64_t)(RING_ALIGN - 1);
	uint64_t used = offset(ring, ring->reserved);
	uint64_t left = used > 0 ? ring->piece_bytes - used : 0;
	struct ring_record *record;

	if (need > left) {
		uint64_t next = turn(ring, ring->reserved + left);

		if (need > ring->piece_bytes || !begin_turn(ring, next))
			return NULL;
		if (left > 0) {
			record = at(ring, ring->reserved);
			record->bytes = (uint32_t)left;
			record->skip = 1;
			ring->reserved += left;
		}
	}
	record = at(ring, ring->reserved);
	record->bytes = (uint32_t)need;
	record->skip = 0;
	ring->reserved += need;
	return record;
}

uint32_t
ring_token(const struct ring *ring, const void *record)
{
	size_t from_start = (size_t)((const uint8_t *)record - ring->memory);

	return (uint32_t)(from_start / RING_ALIGN) + 1;
}

void *
ring_record(const struct ring *ring, uint32_t token)
{
	assert(token != 0);
	return ring->memory + (size_t)(token - 1) * RING_ALIGN;
}

/* Where a record is that is not given back. */
static uint64_t
position_of(const struct ring *ring, const void *record)
{
	uint64_t from_start =
	    (uint64_t)((const uint8_t *)record - ring->memory);

	return ring->turn_of[turn(ring, from_start)] * ring->piece_bytes +
	    offset(ring, from_start);
}

void *
ring_after(const struct ring *ring, const void *record)
{
	const struct ring_record *r = record;
	uint64_t next = position_of(ring, record) + r->bytes;

	r = at(ring, next);
	if (offset(ring, next) > 0 && r->skip)
		next += r->bytes;
	return at(ring, next);
}

void
ring_publish(struct ring *ring)
{
	atomic_store_explicit(
	    &ring->tail, ring->reserved, memory_order_release);
}

uint64_t
ring_used(struct ring *ring, uint64_t enough)
{
	if (ring->reserved - ring->head_seen > enough)
		look_at_head(ring);
	return ring->reserved - ring->head_seen;
}

/* ---- the consumer ---- */

void *
ring_next(struct ring *ring)
{
	uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
	struct ring_record *record;

	if (ring->next == tail)
		return NULL;
	record = at(ring, ring->next);
	if (record->skip) {
		/* What is skipped for follows in the same publication. */
		ring->next += record->bytes;
		record = at(ring, ring->next);
	}
	ring->next += record->bytes;
	return record;
}

void
ring_release(struct ring *ring)
{
	atomic_store_explicit(&ring->head, ring->next, memory_order_release);
}
