/*
 * virtio_blk.h - a disk (Virtual I/O Device 1.2, 5.2).
 *
 * Requests are served by the disk's own threads, VIRTIO_BLK_THREADS of them at
 * the same time; neither a CPU nor the loop waits for a store, but for a CPU
 * that resets the disk.  They complete in any order.  A flush covers each write
 * that had completed before the guest asked for it.
 *
 * A request that makes no sense, lies beyond the disk or is too long is answered
 * with an error, and one without room for an answer is given back as it is.
 */
#ifndef VMM_VIRTIO_BLK_H
#define VMM_VIRTIO_BLK_H

#include <pthread.h>
#include <stdatomic.h>

#include "vmm/blk_store.h"
#include "vmm/machine.h"
#include "vmm/virtio.h"
#include "vmm/virtq.h"

#define VIRTIO_BLK_CLASS         0x018000 /* mass storage, of no other kind */
#define VIRTIO_BLK_QUEUE_SIZE    128
#define VIRTIO_BLK_THREADS       4
#define VIRTIO_BLK_SEGMENTS      (VIRTIO_BLK_QUEUE_SIZE - 2)
#define VIRTIO_BLK_SEGMENT_BYTES 65536
#define VIRTIO_BLK_DATA_BYTES \
	(VIRTIO_BLK_SEGMENTS * VIRTIO_BLK_SEGMENT_BYTES) /* of one request */
#define VIRTIO_BLK_RANGES        16 /* to discard or zero in one request ... */
#define VIRTIO_BLK_RANGE_SECTORS (256u << 11) /* ... each of 256 MiB at most */
#define VIRTIO_BLK_NAME_BYTES    20           /* that the guest can ask for */

struct virtio_blk_setup {
	const char *name;        /* "disk0", for messages */
	const char *id;          /* what the guest is told; NULL: the name */
	struct blk_store *store; /* taken, also when it fails */
	struct machine *machine;
};

struct virtio_blk;

struct virtio_blk_thread {
	struct virtio_blk *blk;
	pthread_t thread;
	struct virtq_chain chain;
	struct iovec piece[VIRTIO_BLK_QUEUE_SIZE];
};

struct virtio_blk {
	struct virtio_device device; /* first: ops get this */
	char name[32], id[VIRTIO_BLK_NAME_BYTES + 1];
	struct blk_store *store;
	struct machine *machine;

	pthread_mutex_t lock; /* for all below; may be taken with machine's */
	pthread_cond_t wanted, quiet;
	struct virtq q;
	uint64_t features; /* of the driver that q is of */
	uint64_t life;     /* counts starts and stops */
	bool has_leader;   /* a thread waits for kicks, or soon will */
	bool quit;
	bool paused;        /* no thread begins anything */
	unsigned int idle;  /* threads that wait to be wanted */
	unsigned int using; /* threads that may touch the guest's memory */
	unsigned int busy;  /* threads between two looks at the queue */
	struct virtio_blk_thread thread[VIRTIO_BLK_THREADS];
	unsigned int nthreads;
	atomic_bool told; /* of the first error of the store */
	uint64_t refused; /* requests, for whatever reason */
	uint64_t bad;     /* chains without an answer */
};

/* 0, or -Exxx with *err; virtio_blk_fini() is fine in both cases. */
int virtio_blk_init(struct virtio_blk *blk,
    const struct virtio_blk_setup *setup, struct err *err);
/* No CPU runs.  Waits for requests under way, and closes the store. */
void virtio_blk_fini(struct virtio_blk *blk);

/* After a reset, with no CPU running and without the machine's lock: returns
 * when no thread of the disk needs the engine any more. */
void virtio_blk_settle(struct virtio_blk *blk);

#endif
