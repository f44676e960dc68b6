/*
 * blk_store.h - what a virtual disk keeps its bytes in, as an interface.
 *
 * A store is an ops table behind a pointer that whoever opens it fills in.  All
 * operations but close may run at the same time, in any thread, and may wait
 * for a device.  Offsets and lengths are bytes, multiples of BLK_SECTOR_BYTES
 * and within bytes.  They return 0, or -Exxx.
 */
#ifndef VMM_BLK_STORE_H
#define VMM_BLK_STORE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

#define BLK_SECTOR_BYTES 512

struct blk_store;

struct blk_store_ops {
	/* The pieces are only read; there are at most 1024 of them. */
	int (*read)(struct blk_store *store, const struct iovec *piece,
	    unsigned int n, uint64_t offset);
	/* The same without waiting: -EAGAIN when it would have to, and then the
	 * pieces hold anything.  NULL: always. */
	int (*read_cached)(struct blk_store *store, const struct iovec *piece,
	    unsigned int n, uint64_t offset);
	int (*write)(struct blk_store *store, const struct iovec *piece,
	    unsigned int n, uint64_t offset);
	/* Reads as zeros from now on; keep: its room is not given back. */
	int (*zero)(struct blk_store *store, uint64_t offset, uint64_t bytes,
	    bool keep);
	/* Is of no further use. */
	int (*discard)(
	    struct blk_store *store, uint64_t offset, uint64_t bytes);
	/* What was written, zeroed or discarded by calls that have returned
	 * survives a crash when this returns. */
	int (*flush)(struct blk_store *store);
	/* Frees the store.  What was not flushed may be lost by a crash. */
	void (*close)(struct blk_store *store);
};

struct blk_store {
	const struct blk_store_ops *ops;
	uint64_t bytes; /* a multiple of the sector */
	bool read_only; /* write, zero and discard are not called */
};

#endif
