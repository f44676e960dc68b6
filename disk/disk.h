/*
 * disk.h - a differential disk: reads and writes through a chain of images.
 *
 * A disk is opened by the path of its top image; what that image does not have
 * comes from its backing files.  Reads cost the same at each depth.  What is
 * written goes to the top image only, and what disk_flush() has acknowledged is
 * there after any crash; an image is consistent for qemu-img check at each
 * moment.  Images are qcow2 or raw, locked as QEMU locks them.
 *
 * A struct disk may be used by several threads at once.  Requests that run at
 * the same time and touch the same bytes give either one's.  Lengths and offsets
 * are bytes, of any alignment.  Functions return 0 or -Exxx with a sentence in
 * err, which may be NULL.
 *
 * Also: queue.h has requests in flight, freeze.h a new top image under a disk in
 * use, tree.h snapshots, commits and clones, checkpoint.h whole VMs, nbd.h a
 * disk for other programs.
 */
#ifndef DISK_DISK_H
#define DISK_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"

/* ---- what is open in a process; one for all of its disks ---- */

struct disk_set *disk_set_new(void);      /* NULL: no memory */
void disk_set_free(struct disk_set *set); /* all its disks are closed */

/* ---- opening ---- */

enum {
	DISK_WRITE = 1 << 0,   /* else read only */
	DISK_NO_LOCK = 1 << 1, /* read only, and what is read may be changing */
	DISK_OUTSIDE = 1 << 2, /* backing files may be outside the directory */
	DISK_RAW = 1 << 3,     /* raw whatever the first bytes say */
	DISK_ALONE = 1 << 4,   /* the image without its backing files */
	DISK_FROZEN = 1 << 5,  /* writes what is frozen; keep what it says */
};

/* NULL with *code and err set. */
struct disk *disk_open(struct disk_set *set, const char *path,
    unsigned int flags, int *code, struct err *err);

/* Flushes, and tells whether all of it is on the disk. */
int disk_close(struct disk *disk, struct err *err); /* NULL is fine */

struct disk_options {
	uint64_t size;              /* not 0 */
	unsigned int cluster_bits;  /* 12 to 21, 0: 16 */
	const char *backing;        /* as written into the image; NULL: none */
	const char *backing_format; /* "raw" or "qcow2" */
	bool raw;                   /* no qcow2; no backing file */
	bool replace;               /* an existing file */
};

/* Makes an empty image, complete and on the disk when it returns. */
int disk_create(
    const char *path, const struct disk_options *options, struct err *err);

struct disk_info {
	uint64_t size;
	uint64_t file_bytes;       /* that the top image occupies */
	unsigned int depth;        /* backing files */
	unsigned int cluster_bits; /* 0: raw */
	bool writable;
	const char *path, *backing; /* backing "": none; borrowed */
	const char *backing_format; /* "": not said */
};

void disk_info(const struct disk *disk, struct disk_info *info);
uint64_t disk_size(const struct disk *disk);

/* The path of the image at this depth, borrowed; NULL: the chain has no such. */
const char *disk_layer_path(const struct disk *disk, unsigned int depth);

/* ---- reading and writing ---- */

int disk_read(
    struct disk *disk, void *to, size_t len, uint64_t offset, struct err *err);
int disk_readv(struct disk *disk, const struct iovec *iov, int n,
    uint64_t offset, struct err *err);

/* As disk_readv(), but never waits for a device: -EAGAIN, and no sentence, when
 * it would have to; then iov holds anything. */
int disk_readv_cached(
    struct disk *disk, const struct iovec *iov, int n, uint64_t offset);

int disk_write(struct disk *disk, const void *from, size_t len, uint64_t offset,
    struct err *err);
int disk_writev(struct disk *disk, const struct iovec *iov, int n,
    uint64_t offset, struct err *err);

/* Zeros, without writing them where whole clusters can be marked. */
int disk_zero(
    struct disk *disk, uint64_t offset, uint64_t len, struct err *err);

/* The contents are of no further use.  Whole clusters read as zeros from then
 * on, also after a crash; their space is given back after the next flush. */
int disk_discard(
    struct disk *disk, uint64_t offset, uint64_t len, struct err *err);

/* The top image will have these bytes, and what is beside them in their
 * clusters, itself; the disk's contents do not change.  qcow2 only. */
int disk_own(struct disk *disk, uint64_t offset, uint64_t len, struct err *err);

/* Begins to write to the device what disk_flush() will wait for: of use now and
 * then while much is written. */
void disk_push(struct disk *disk);

/* What was written before is on the disk when it returns. */
int disk_flush(struct disk *disk, struct err *err);

/* Makes the disk larger; what is new reads as zeros. */
int disk_resize(struct disk *disk, uint64_t size, struct err *err);

/* ---- who holds what ---- */

struct disk_extent {
	uint64_t offset, len;
	bool data; /* else zeros, or with present false a hole */
	bool present;
	bool compressed;
	unsigned int depth;   /* of the image that says so; 0 the top */
	uint64_t host_offset; /* of data that is not compressed */
};

/* The piece of the disk from offset on that is all of one kind, at most limit
 * bytes of it. */
int disk_extent(struct disk *disk, uint64_t offset, uint64_t limit,
    struct disk_extent *extent, struct err *err);

#endif
