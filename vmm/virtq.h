/*
 * virtq.h - the device's side of a split virtqueue (Virtual I/O Device 1.2,
 * 2.7), for the devices that are served in this process.
 *
 * What is in a ring was written by the guest and may change at any moment:
 * each descriptor is read once and checked, and a chain comes out as pieces
 * that lie in the guest's memory.  What is wrong with one chain costs that
 * chain; an index that cannot be true leaves nothing to go on from.
 *
 *     while (virtq_take(q, &chain) == VIRTQ_TAKEN) {
 *             ... use the chain, now or later ...
 *             virtq_put(q, chain.head, bytes written);
 *     }
 *     if (virtq_wants_call(q)) virtio_call(...);
 *
 * A queue belongs to one thread at a time: its owner has a lock.  Little-endian
 * machines only.
 */
#ifndef VMM_VIRTQ_H
#define VMM_VIRTQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "vmm/virtio.h"

struct virtq {
	const struct memory *memory;
	const uint8_t *desc; /* NULL: not live, nothing comes from it */
	uint16_t *driver;    /* flags, idx, ring[size], used_event */
	uint16_t *device;    /* flags, idx, ring[size], avail_event */
	uint16_t size;       /* a power of two */
	uint16_t next;       /* the first chain that is not taken */
	uint16_t done;       /* the device's idx */
	uint16_t called;     /* done, when we last asked for a call */
	bool event_idx, indirect, kicks_off;
};

/*
 * One chain: pieces for the device to read, then such for it to write, none of
 * them empty.  piece and max are the taker's; what points there is good until
 * the driver takes its memory back.
 */
struct virtq_chain {
	struct iovec *piece;
	unsigned int max;

	uint16_t head;
	struct iovec *reads, *writes;
	unsigned int nreads, nwrites;
	uint64_t read_bytes, write_bytes;
};

enum virtq_got {
	VIRTQ_NONE,
	VIRTQ_TAKEN,
	VIRTQ_BAD,    /* it loops, leaves its table or RAM, has a read after
		       * a write, or more than max pieces: to be given back */
	VIRTQ_BROKEN, /* once; the device needs a reset */
};

/* Starts with queue i of a device whose driver is ready (virtio.c has checked
 * the place).  A queue that the driver does not use is not live. */
void virtq_start(
    struct virtq *q, const struct virtio_device *device, unsigned int i);
void virtq_stop(struct virtq *q);

/* How far it has got.  When loaded, the queue is started at that place. */
void virtq_archive(struct virtq *q, const struct virtio_device *device,
    unsigned int i, struct archive *a);

/* The next chain; fills in *chain from head on. */
enum virtq_got virtq_take(struct virtq *q, struct virtq_chain *chain);

/* For those who only look: how many chains the device gave back, the head of
 * the nth, and what it is made of.  False: that makes no sense. */
uint16_t virtq_given_back(const struct virtq *q);
uint32_t virtq_given_head(const struct virtq *q, uint16_t n);
bool virtq_look(
    const struct virtq *q, uint16_t head, struct virtq_chain *chain);

/* Gives a chain back, with bytes of it written. */
void virtq_put(struct virtq *q, uint16_t head, uint32_t bytes);

/* Does the guest want to hear of what was given back since the last time? */
bool virtq_wants_call(struct virtq *q);

/* Kicks are not needed now; they are from now on.  True: there are chains
 * already, for which none may come. */
void virtq_kicks_off(struct virtq *q);
bool virtq_kicks_on(struct virtq *q);

/* Moves bytes from the front of what the device reads.  False: there are not so
 * many. */
bool virtq_pull(struct virtq_chain *chain, void *to, size_t bytes);

/* Removes the last byte that the device writes.  NULL: there is none. */
uint8_t *virtq_last(struct virtq_chain *chain);

#endif
