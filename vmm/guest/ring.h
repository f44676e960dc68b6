/*
 * ring.h - bytes in the order in which they came, in memory of the owner's.
 *
 * Bytes can also be put down ahead of the end, to be joined to it later: TCP
 * keeps there what came too early.
 */
#ifndef GUEST_RING_H
#define GUEST_RING_H

#include <stddef.h>
#include <stdint.h>

struct ring {
	uint8_t *data;
	size_t size; /* a power of two */
	size_t start, len;
};

void ring_init(struct ring *ring, void *data, size_t size);

static inline size_t
ring_room(const struct ring *ring)
{
	return ring->size - ring->len;
}

/* Puts n bytes down, ahead bytes behind the end; ahead + n is within the room.
 * The end stays where it is. */
void ring_put(struct ring *ring, size_t ahead, const void *data, size_t n);
/* Moves the end over n bytes that were put down. */
void ring_join(struct ring *ring, size_t n);
/* Both: appends n bytes, within the room. */
void ring_append(struct ring *ring, const void *data, size_t n);

/* Copies n bytes from offset at on; at + n is within the length. */
void ring_peek(const struct ring *ring, size_t at, void *data, size_t n);
/* Forgets the first n bytes, within the length. */
void ring_drop(struct ring *ring, size_t n);

#endif
