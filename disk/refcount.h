/*
 * refcount.h - the reference counts of an image that is written: which clusters
 * of the file are free.
 *
 * Counts change in memory; refcounts_write() puts them into the file, in an
 * order that leaves at worst leaked clusters behind (see writer.c).  A count
 * that falls to 0 makes its cluster free at once, so it is for the caller to
 * lower a count only when nothing on the disk names the cluster any more.
 *
 * The caller's lock.
 */
#ifndef DISK_REFCOUNT_H
#define DISK_REFCOUNT_H

#include "disk/layer.h"

/* One cluster of counts, in memory. */
struct refcount_block {
	bool fresh;    /* not in the file yet, nor in its table */
	bool unlisted; /* the table in the file does not name it */
	size_t lo, hi; /* bytes that changed */
	uint8_t bytes[];
};

struct refcounts {
	struct layer *layer;
	uint64_t *table; /* where the blocks stand */
	size_t entries;
	size_t listed; /* entries that the table in the file has room for */
	struct refcount_block **blocks; /* those read so far */
	uint64_t next;                  /* no free cluster is before it */
	uint64_t end;    /* clusters from here on were never written */
	uint64_t whole;  /* so many clusters the file has in full */
	uint64_t *fixed; /* clusters that hold tables, sorted */
	size_t nfixed;
	bool any_new, any_dirty;
	bool failed; /* a sync did: nobody knows what is in the file */
};

int refcounts_open(
    struct refcounts *refs, struct layer *layer, struct err *err);
void refcounts_close(struct refcounts *refs);

/* Takes up to want adjacent free clusters, at least one, and counts them 1.
 * *fresh: nothing was ever written to them. */
int refcounts_take(struct refcounts *refs, uint64_t want, uint64_t *offset,
    uint64_t *got, bool *fresh, struct err *err);

/* Takes exactly so many adjacent ones, at the end of the file. */
int refcounts_take_tail(
    struct refcounts *refs, uint64_t want, uint64_t *offset, struct err *err);

/* One reference less to the cluster at offset; *left how many there are. */
int refcounts_drop(
    struct refcounts *refs, uint64_t offset, uint64_t *left, struct err *err);

int refcounts_get(
    struct refcounts *refs, uint64_t offset, uint64_t *count, struct err *err);

/* Whether the cluster at offset held a table when the image was opened. */
bool refcounts_is_table(const struct refcounts *refs, uint64_t offset);

/* A table that the header no longer names: its clusters may be used again. */
void refcounts_forget_table(
    struct refcounts *refs, uint64_t offset, uint64_t bytes);

/* Writes what changed; syncs the file in between if need be, but not at the
 * end. */
int refcounts_write(struct refcounts *refs, struct err *err);

/* One count in a block of counts of 1 << order bits. */
uint64_t refcount_get(const uint8_t *block, size_t i, unsigned int order);
void refcount_put(uint8_t *block, size_t i, unsigned int order, uint64_t count);

#endif
