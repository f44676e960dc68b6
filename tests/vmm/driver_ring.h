/*
 * driver_ring.h - the driver's side of a split virtqueue, for tests of devices:
 * it lays rings and chains out in a guest's memory, rightly or as told.
 */
#ifndef TESTS_VMM_DRIVER_RING_H
#define TESTS_VMM_DRIVER_RING_H

#include <assert.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "vmm/le.h"
#include "vmm/virtio.h"

#define RING_NEXT     1
#define RING_WRITE    2
#define RING_INDIRECT 4

struct driver_ring {
	const struct memory *memory;
	struct virtio_device *device;
	unsigned int queue;
	uint64_t at; /* of the table; the rings follow it */
	uint16_t size;
	uint16_t desc; /* the next free descriptor, round and round */
	uint16_t idx;  /* ours */
	uint16_t seen; /* of the device's */
};

static inline uint8_t *
ring_at(const struct driver_ring *r, uint64_t offset)
{
	return (uint8_t *)memory_at(r->memory, r->at, 0) + offset;
}

static inline uint8_t *
ring_driver(const struct driver_ring *r)
{
	return ring_at(r, 16u * r->size);
}

static inline uint8_t *
ring_device(const struct driver_ring *r)
{
	return ring_at(r, (18u * r->size + 6 + 3) & ~3u);
}

/* Sets queue of device up at a place of zeros, 27 bytes for each entry. */
static inline void
ring_init(struct driver_ring *r, struct virtio_device *device,
    unsigned int queue, uint64_t at, uint16_t size)
{
	*r = (struct driver_ring){ .memory = device->memory,
		.device = device,
		.queue = queue,
		.at = at,
		.size = size };
	memset(ring_at(r, 0), 0, 27u * size + 16);
	device->queue[queue].size = size;
	device->queue[queue].desc = at;
	device->queue[queue].driver = memory_address(r->memory, ring_driver(r));
	device->queue[queue].device = memory_address(r->memory, ring_device(r));
	virtio_enable_queue(device, queue);
}

static inline void
ring_put_desc(
    void *to, uint64_t address, uint32_t bytes, uint16_t flags, uint16_t next)
{
	uint8_t *d = to;

	put_le64(d, address);
	put_le32(d + 8, bytes);
	put_le16(d + 12, flags);
	put_le16(d + 14, next);
}

static inline void
ring_desc(const struct driver_ring *r, unsigned int i, uint64_t address,
    uint32_t bytes, uint16_t flags, uint16_t next)
{
	ring_put_desc(ring_at(r, 16u * i), address, bytes, flags, next);
}

static inline void
ring_set_idx(struct driver_ring *r, uint16_t idx)
{
	r->idx = idx;
	__atomic_store_n(
	    (uint16_t *)(void *)(ring_driver(r) + 2), idx, __ATOMIC_RELEASE);
}

static inline void
ring_offer(struct driver_ring *r, uint16_t head)
{
	put_le16(ring_driver(r) + 4 + 2 * (r->idx & (r->size - 1)), head);
	ring_set_idx(r, (uint16_t)(r->idx + 1));
}

/* One piece of a chain, for ring_chain(). */
struct ring_piece {
	uint64_t address;
	uint32_t bytes;
	bool write;
};

/* Offers a chain of the next n descriptors.  Its head. */
static inline uint16_t
ring_chain(
    struct driver_ring *r, const struct ring_piece *piece, unsigned int n)
{
	uint16_t head = r->desc & (r->size - 1);

	for (unsigned int i = 0; i < n; i++) {
		uint16_t here = r->desc++ & (r->size - 1);
		bool last = i + 1 == n;

		ring_desc(r, here, piece[i].address, piece[i].bytes,
		    (uint16_t)((piece[i].write ? RING_WRITE : 0) |
			(last ? 0 : RING_NEXT)),
		    r->desc & (r->size - 1));
	}
	ring_offer(r, head);
	return head;
}

static inline uint16_t
ring_device_idx(const struct driver_ring *r)
{
	return __atomic_load_n(
	    (uint16_t *)(void *)(ring_device(r) + 2), __ATOMIC_ACQUIRE);
}

/* The next chain that the device gave back.  False: there is none. */
static inline bool
ring_used(struct driver_ring *r, uint32_t *head, uint32_t *bytes)
{
	const uint8_t *e = ring_device(r) + 4 + 8 * (r->seen & (r->size - 1));

	if (ring_device_idx(r) == r->seen)
		return false;
	r->seen++;
	*head = get_le32(e);
	*bytes = get_le32(e + 4);
	return true;
}

/* With event indices: the next chain is worth a call.  Look once more before
 * waiting for it. */
static inline void
ring_want_call(const struct driver_ring *r)
{
	__atomic_store_n((uint16_t *)(void *)(ring_driver(r) + 4 + 2 * r->size),
	    r->seen, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* Waits for the device's call, which devices with threads make in their time.
 * False: none came within ms. */
static inline bool
ring_called(const struct driver_ring *r, int ms)
{
	struct pollfd p = { .fd = r->device->queue[r->queue].call_fd,
		.events = POLLIN };
	uint64_t count;

	return poll(&p, 1, ms) == 1 &&
	    read(p.fd, &count, sizeof(count)) == sizeof(count);
}

/* As a driver that takes these features, and is ready. */
static inline void
ring_ready(struct virtio_device *device, uint64_t features)
{
	virtio_set_status(device, 3);
	virtio_set_features(device, features);
	virtio_set_status(device, 0xb);
	virtio_set_status(device, 0xf);
}

#endif
