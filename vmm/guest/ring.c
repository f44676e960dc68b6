#include "vmm/guest/ring.h"

#include <string.h>

void
ring_init(struct ring *ring, void *data, size_t size)
{
	*ring = (struct ring){ .data = data, .size = size };
}

void
ring_put(struct ring *ring, size_t ahead, const void *data, size_t n)
{
	size_t at = (ring->start + ring->len + ahead) & (ring->size - 1);
	size_t run = ring->size - at < n ? ring->size - at : n;

	memcpy(ring->data + at, data, run);
	memcpy(ring->data, (const uint8_t *)data + run, n - run);
}

void
ring_join(struct ring *ring, size_t n)
{
	ring->len += n;
}

void
ring_append(struct ring *ring, const void *data, size_t n)
{
	ring_put(ring, 0, data, n);
	ring->len += n;
}

void
ring_peek(const struct ring *ring, size_t offset, void *data, size_t n)
{
	size_t at = (ring->start + offset) & (ring->size - 1);
	size_t run = ring->size - at < n ? ring->size - at : n;

	memcpy(data, ring->data + at, run);
	memcpy((uint8_t *)data + run, ring->data, n - run);
}

void
ring_drop(struct ring *ring, size_t n)
{
	ring->start = (ring->start + n) & (ring->size - 1);
	ring->len -= n;
}
