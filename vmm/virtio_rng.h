/*
 * virtio_rng.h - an entropy source (Virtual I/O Device 1.2, 5.4): the host's
 * getrandom().
 *
 * At most VIRTIO_RNG_BYTES in each VIRTIO_RNG_PERIOD_NS; what a guest asks for
 * beyond that waits.  Served by the loop's thread.
 */
#ifndef VMM_VIRTIO_RNG_H
#define VMM_VIRTIO_RNG_H

#include "base/loop.h"
#include "vmm/machine.h"
#include "vmm/virtio.h"
#include "vmm/virtq.h"

#define VIRTIO_RNG_CLASS      0x00ff00 /* of no kind that PCI knows */
#define VIRTIO_RNG_QUEUE_SIZE 16
#define VIRTIO_RNG_BYTES      65536
#define VIRTIO_RNG_PERIOD_NS  (100 * NS_PER_MS)

struct virtio_rng {
	struct virtio_device device; /* first: ops get this */
	struct machine *machine;
	struct loop *loop;
	struct loop_watch *watch; /* of kicks */
	struct loop_timer next;   /* set: the period's bytes are used up */
	uint64_t period_ns;       /* when the present one began */
	uint64_t left;            /* bytes of it */
	struct virtq q;
	uint64_t life; /* counts starts and stops */
	uint64_t bad;  /* chains that made no sense */
};

/* 0, or -Exxx with *err; virtio_rng_fini() is fine in both cases.  Loop thread,
 * without the lock. */
int virtio_rng_init(struct virtio_rng *rng, struct machine *machine,
    struct loop *loop, struct err *err);
void virtio_rng_fini(struct virtio_rng *rng);

#endif
