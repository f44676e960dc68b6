/*
 * writer.h - what the files of the writer share; node.h has its face.
 */
#ifndef DISK_WRITER_H
#define DISK_WRITER_H

#include <errno.h>

#include "disk/node.h"
#include "disk/refcount.h"

/* An L2 table in memory, in host order. */
struct l2 {
	uint64_t host;
	uint32_t index; /* in L1 */
	bool fresh;     /* not in the file, nor in the L1 table there */
	bool listed;    /* in the list of dirty ones */
	size_t lo, hi;  /* rows that changed */
	uint64_t rows[];
};

struct writer {
	struct refcounts refs;
	struct l2 **tables; /* by L1 index; NULL: not read */
	size_t loaded;
	uint32_t *dirty; /* L1 indices */
	size_t ndirty;
	uint64_t *drops; /* offsets of clusters that lose a reference */
	size_t ndrops, room;
	uint8_t *head, *tail; /* a cluster each, for what surrounds a write */
};

static inline int
no_memory(const struct disk *disk, struct err *err)
{
	return err_set(err, -ENOMEM, "%s: out of memory", disk->top->path);
}

static inline const struct qcow2 *
header(const struct disk *disk)
{
	return &disk->top->header;
}

/* Of one L2 table. */
static inline size_t
table_rows(const struct disk *disk)
{
	return (size_t)1 << qcow2_l2_bits(header(disk));
}

/* The row of offset in its table. */
static inline size_t
row_of(const struct disk *disk, uint64_t offset)
{
	return (size_t)(offset >> header(disk)->cluster_bits) &
	    (table_rows(disk) - 1);
}

/* The table for offset, made if need be.  NULL without make: there is none. */
int l2_get(struct disk *disk, uint64_t offset, bool make, struct l2 **table,
    struct err *err);

/* Rows from lo on, before hi, have changed. */
void l2_note(struct disk *disk, struct l2 *t, size_t lo, size_t hi);

/* The cluster at offset in the file will lose a reference when the next flush
 * is over. */
int drop_later(struct disk *disk, uint64_t offset, struct err *err);

/* One whole cluster becomes zeros. */
int zero_cluster(
    struct disk *disk, uint64_t offset, bool discard, struct err *err);

#endif
