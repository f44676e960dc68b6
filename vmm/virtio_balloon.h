/*
 * virtio_balloon.h - memory that a guest gives back (Virtual I/O Device 1.2,
 * 5.5): as much as it is asked for, and what it reports as free.
 *
 * What comes back is taken out of the memfd at once, and is there again, as
 * zeros, when the guest touches it.  The guest decides: the target is a wish,
 * and it may take pages back when it runs out of others.  Served by the loop's
 * thread.
 */
#ifndef VMM_VIRTIO_BALLOON_H
#define VMM_VIRTIO_BALLOON_H

#include "base/loop.h"
#include "vmm/machine.h"
#include "vmm/virtio.h"
#include "vmm/virtq.h"

#define VIRTIO_BALLOON_CLASS      0x00ff00 /* of no kind that PCI knows */
#define VIRTIO_BALLOON_QUEUES     5
#define VIRTIO_BALLOON_QUEUE_SIZE 128
#define VIRTIO_BALLOON_PAGES      1024 /* of one chain */

struct virtio_balloon;

struct virtio_balloon_queue {
	struct virtio_balloon *owner;
	struct loop_watch *watch; /* of kicks */
	struct virtq q;
};

struct virtio_balloon {
	struct virtio_device device; /* first: ops get this */
	struct machine *machine;
	struct virtio_balloon_queue queue[VIRTIO_BALLOON_QUEUES];
	uint64_t life;     /* counts starts and stops */
	uint32_t target;   /* pages */
	uint8_t actual[4]; /* pages, as the driver wrote it */
	uint64_t returned; /* bytes taken out of the memfd, ever */
	uint64_t bad;      /* chains that made no sense */
	struct iovec piece[VIRTIO_BALLOON_PAGES]; /* of one round */
};

/* target_bytes is what the guest is asked for from the start.  0, or -Exxx with
 * *err; virtio_balloon_fini() is fine in both cases.  Loop thread, without the
 * lock. */
int virtio_balloon_init(struct virtio_balloon *balloon, struct machine *machine,
    uint64_t target_bytes, struct loop *loop, struct err *err);
void virtio_balloon_fini(struct virtio_balloon *balloon);

/* With the lock: the guest is asked for so much from now on; what it says to
 * have given. */
void virtio_balloon_set_target(
    struct virtio_balloon *balloon, uint64_t target_bytes);
uint64_t virtio_balloon_actual_bytes(const struct virtio_balloon *balloon);

#endif
