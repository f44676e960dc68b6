/*
 * One block of memory, used round and round.  A record that would not fit
 * before the end of the memory is put at its start, behind a record that says
 * skip.  Mapping the memory twice in a row would save the skipping, at the
 * cost of a memfd and of page tables for twice the size.
 *
 * The producer keeps the head it saw last and looks again only when that makes
 * the ring seem full: the line with the head moves between the two cores once
 * per ring, not once per frame.
 */
#include "pcap-tools/ring.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>

#define SIZE_MIN 4096

int
ring_init(struct ring *ring, size_t size_bytes)
{
	size_t size = SIZE_MIN;

	while (size < size_bytes)
		size *= 2;
	*ring = (struct ring){ .size_bytes = size };
	ring->memory = mmap(NULL, size, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ring->memory == MAP_FAILED) {
		ring->memory = NULL;
		return -ENOMEM;
	}
	return 0;
}

void
ring_fini(struct ring *ring)
{
	if (ring->memory != NULL)
		munmap(ring->memory, ring->size_bytes);
	ring->memory = NULL;
}

static struct ring_record *
at(const struct ring *ring, uint64_t position)
{
	return (struct ring_record *)(ring->memory +
	    (position & (ring->size_bytes - 1)));
}

/* ---- the producer ---- */

static bool
has_room(struct ring *ring, uint64_t bytes)
{
	if (ring->reserved + bytes - ring->head_seen <= ring->size_bytes)
		return true;
	ring->head_seen =
	    atomic_load_explicit(&ring->head, memory_order_acquire);
	return ring->reserved + bytes - ring->head_seen <= ring->size_bytes;
}

void *
ring_reserve(struct ring *ring, size_t bytes)
{
	uint64_t need = (bytes + RING_ALIGN - 1) & ~(uint64_t)(RING_ALIGN - 1);
	uint64_t offset = ring->reserved & (ring->size_bytes - 1);
	uint64_t skip =
	    offset + need > ring->size_bytes ? ring->size_bytes - offset : 0;
	struct ring_record *record;

	if (need > ring->size_bytes / 2 || !has_room(ring, skip + need))
		return NULL;
	if (skip > 0) {
		record = at(ring, ring->reserved);
		record->bytes = (uint32_t)skip;
		record->skip = 1;
		ring->reserved += skip;
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
	size_t offset = (size_t)((const uint8_t *)record - ring->memory);

	return (uint32_t)(offset / RING_ALIGN) + 1;
}

void *
ring_record(const struct ring *ring, uint32_t token)
{
	assert(token != 0);
	return ring->memory + (size_t)(token - 1) * RING_ALIGN;
}

void *
ring_after(const struct ring *ring, const void *record)
{
	const struct ring_record *r = record;
	uint64_t offset =
	    (uint64_t)((const uint8_t *)record - ring->memory) + r->bytes;
	struct ring_record *next = at(ring, offset);

	return next->skip ? at(ring, 0) : next;
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
		ring->head_seen =
		    atomic_load_explicit(&ring->head, memory_order_acquire);
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
