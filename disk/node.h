/*
 * node.h - what the files behind disk.h share: an open disk, from inside.
 *
 * Locks, in this order: flushing (one flush at a time), lock (shared while data
 * is read or written in place, alone while tables change), the set's.
 */
#ifndef DISK_NODE_H
#define DISK_NODE_H

#include <pthread.h>

#include "disk/disk.h"
#include "disk/layer.h"

struct writer;

struct disk {
	struct disk_set *set;
	struct layer *top;
	struct layer **layers; /* by their numbers */
	uint64_t *visible;     /* what is seen of each: bytes from the start */
	struct writer *writer; /* NULL: read only, or raw */
	unsigned int flags;
	bool failed;          /* a sync did: nobody knows what is on the disk */
	atomic_bool unsynced; /* something was written since the last one */
	atomic_bool written;  /* by us */
	pthread_rwlock_t lock;
	pthread_mutex_t flushing;
	pthread_mutex_t beginning; /* of a raw file: one writes there */
	pthread_mutex_t inflating; /* guards the next three */
	uint8_t *inflated;         /* one compressed cluster, as read last */
	size_t inflated_bytes;
	uint64_t inflated_piece, inflated_at; /* which; piece 0: none */
};

/* Without a top; NULL: no memory.  And it goes with its top and its writer,
 * unflushed. */
struct disk *node_new(struct disk_set *set);
void node_free(struct disk *disk);

static inline void
node_wrote(struct disk *disk)
{
	atomic_store(&disk->unsynced, true);
	atomic_store(&disk->written, true);
}

/* Fills layers and visible, which have room, from the top down. */
void node_list_layers(struct disk *disk);

/* As disk_flush(), with flushing locked. */
int node_flush(struct disk *disk, struct err *err);

/* As disk_readv() and disk_extent(), with the lock held.  cached: only what
 * needs no waiting, else -EAGAIN. */
int node_read(struct disk *disk, const struct iovec *iov, int n,
    uint64_t offset, bool cached, struct err *err);
int node_extent(struct disk *disk, uint64_t offset, uint64_t limit,
    struct disk_extent *extent, struct err *err);

/* -EINVAL if it is not all within the disk. */
int node_check_range(
    const struct disk *disk, uint64_t offset, uint64_t len, struct err *err);

/* Part of an iovec: len bytes from skip on, in at most FILE_MAX_IOV pieces.
 * How many bytes were placed; *n pieces. */
size_t iov_part(const struct iovec *iov, int count, size_t skip, size_t len,
    struct iovec *part, int *n);
size_t iov_total(const struct iovec *iov, int n);

/* writer.c: the writable qcow2 top.  All with the lock as said. */
int writer_open(struct disk *disk, struct err *err);
void writer_close(struct disk *disk); /* without a flush */
/* Shared lock: writes what needs no table to change.  *done bytes. */
int writer_in_place(struct disk *disk, const struct iovec *iov, int n,
    uint64_t offset, size_t *done, struct err *err);
/* Alone. */
int writer_write(struct disk *disk, const struct iovec *iov, int n,
    uint64_t offset, struct err *err);
/* Alone; len may end past the disk's end, where its last cluster does. */
int writer_zero(struct disk *disk, uint64_t offset, uint64_t len, bool discard,
    struct err *err);
/* Alone: the cluster at offset will be the top's own, with what it has now. */
int writer_own(struct disk *disk, uint64_t offset, struct err *err);
int writer_resize(struct disk *disk, uint64_t size, struct err *err);
/* With flushing locked; halted: alone, too, else without the lock. */
int writer_flush(struct disk *disk, bool halted, struct err *err);
/* Whether another flush would find nothing but data to sync. */
bool writer_is_clean(const struct disk *disk);
/* Whether so much waits in memory that it should be flushed. */
bool writer_is_full(const struct disk *disk);

#endif
