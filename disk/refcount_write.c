/*
 * Writing reference counts.
 *
 * A new block is written, and synced, before the table names it.  When blocks
 * outgrow the table a larger one is written at the end of the file, with all
 * that it names, and synced before the header names it; until then the old one
 * is whole.  Whatever fails before a name is written can be tried again.
 */
#include "disk/refcount.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/file.h"

static uint64_t
cluster_bytes(const struct refcounts *refs)
{
	return qcow2_cluster_bytes(&refs->layer->header);
}

static int
drop_many(
    struct refcounts *refs, uint64_t offset, uint64_t clusters, struct err *err)
{
	int error = 0;

	for (uint64_t i = 0, left; i < clusters && error == 0; i++)
		error = refcounts_drop(refs,
		    offset + (i << refs->layer->header.cluster_bits), &left,
		    err);
	return error;
}

/* ---- blocks ---- */

static int
write_bytes(struct refcounts *refs, const void *p, size_t n, uint64_t at,
    struct err *err)
{
	int error = file_write(refs->layer->fd, p, n, at);

	return error != 0
	    ? err_sys(err, error, NULL, "%s: refcounts cannot be written",
		  refs->layer->path)
	    : 0;
}

static int
write_new_blocks(struct refcounts *refs, struct err *err)
{
	for (size_t i = 0; i < refs->entries; i++) {
		struct refcount_block *b = refs->blocks[i];
		int error;

		if (b == NULL || !b->fresh)
			continue;
		error = write_bytes(
		    refs, b->bytes, cluster_bytes(refs), refs->table[i], err);
		if (error != 0)
			return error;
		b->lo = cluster_bytes(refs);
		b->hi = 0;
		b->fresh = false;
	}
	return 0;
}

static int
list_new_blocks(struct refcounts *refs, struct err *err)
{
	for (size_t i = 0; i < refs->entries; i++) {
		struct refcount_block *b = refs->blocks[i];
		uint8_t entry[8];
		int error;

		if (b == NULL || !b->unlisted)
			continue;
		put_be64(entry, refs->table[i]);
		error = write_bytes(refs, entry, 8,
		    refs->layer->header.refcount_offset + i * 8, err);
		if (error != 0)
			return error;
		b->unlisted = false;
	}
	refs->any_new = false;
	return 0;
}

static int
write_dirty_blocks(struct refcounts *refs, struct err *err)
{
	for (size_t i = 0; refs->any_dirty && i < refs->entries; i++) {
		struct refcount_block *b = refs->blocks[i];
		int error;

		if (b == NULL || b->fresh || b->lo >= b->hi)
			continue;
		error = write_bytes(refs, b->bytes + b->lo, b->hi - b->lo,
		    refs->table[i] + b->lo, err);
		if (error != 0)
			return error;
		b->lo = cluster_bytes(refs);
		b->hi = 0;
	}
	refs->any_dirty = false;
	return 0;
}

/* The file ends with a whole cluster, as readers other than QEMU expect. */
static int
extend_file(struct refcounts *refs, struct err *err)
{
	unsigned int bits = refs->layer->header.cluster_bits;
	struct stat st;

	if (refs->end == refs->whole || !refs->any_dirty)
		return 0;
	/* As a rule the last cluster was written whole; cutting the file where
	 * it ends anyway would make the sync longer. */
	if (fstat(refs->layer->fd, &st) == 0 &&
	    (uint64_t)st.st_size >= refs->end << bits) {
		refs->whole = refs->end;
		return 0;
	}
	if (ftruncate(refs->layer->fd, (off_t)(refs->end << bits)) < 0)
		return err_sys(err, -errno, NULL, "%s: cannot be extended",
		    refs->layer->path);
	refs->whole = refs->end;
	return 0;
}

static int
sync_file(struct refcounts *refs, struct err *err)
{
	int error = file_sync(refs->layer->fd);

	if (error == 0)
		return 0;
	refs->failed = true;
	return err_sys(
	    err, error, NULL, "%s: cannot be synced", refs->layer->path);
}

/* ---- a larger table ---- */

/* The header names the table at offset, which is on the disk. */
static int
switch_table(
    struct refcounts *refs, uint64_t offset, uint32_t clusters, struct err *err)
{
	struct layer *layer = refs->layer;
	uint8_t field[12];
	int error;

	put_be64(field, offset);
	put_be32(field + 8, clusters);
	error = file_write(layer->fd, field, sizeof(field), QCOW2_AT_REFCOUNTS);
	if (error != 0) {
		refs->failed = true;
		return err_sys(err, error, NULL,
		    "%s: the header cannot be written", layer->path);
	}
	error = sync_file(refs, err);
	if (error != 0)
		return error;
	layer->header.refcount_offset = offset;
	layer->header.refcount_clusters = clusters;
	return 0;
}

static int
write_table(struct refcounts *refs, uint64_t offset, struct err *err)
{
	uint8_t *bytes = calloc(refs->entries, 8);
	int error;

	if (bytes == NULL)
		return err_set(
		    err, -ENOMEM, "%s: out of memory", refs->layer->path);
	for (size_t i = 0; i < refs->entries; i++)
		put_be64(bytes + i * 8, refs->table[i]);
	error = write_bytes(refs, bytes, refs->entries * 8, offset, err);
	free(bytes);
	return error;
}

/* Clusters for a table of all entries, which the table itself may make more. */
static int
take_table(struct refcounts *refs, uint64_t *offset, uint64_t *clusters,
    struct err *err)
{
	size_t entries;
	int error;

	do {
		entries = refs->entries;
		*clusters = entries * 8 / cluster_bytes(refs);
		error = refcounts_take_tail(refs, *clusters, offset, err);
		if (error == 0 && entries != refs->entries)
			error = drop_many(refs, *offset, *clusters, err);
	} while (error == 0 && entries != refs->entries);
	return error;
}

/* A larger table at the end of the file, which counts itself; when all that it
 * names is on the disk the header names it.  The old one's clusters become free.
 */
static int
move_table(struct refcounts *refs, struct err *err)
{
	struct qcow2 *h = &refs->layer->header;
	uint64_t old = h->refcount_offset, offset, clusters;
	uint32_t old_clusters = h->refcount_clusters;
	int error = take_table(refs, &offset, &clusters, err);

	if (error != 0)
		return error;
	error = extend_file(refs, err);
	if (error == 0)
		error = write_new_blocks(refs, err);
	if (error == 0)
		error = write_dirty_blocks(refs, err);
	if (error == 0)
		error = write_table(refs, offset, err);
	if (error == 0)
		error = sync_file(refs, err);
	if (error != 0) {
		drop_many(refs, offset, clusters, NULL);
		return error;
	}
	error = switch_table(refs, offset, (uint32_t)clusters, err);
	if (error != 0)
		return error;
	refs->listed = refs->entries;
	for (size_t i = 0; i < refs->entries; i++)
		if (refs->blocks[i] != NULL)
			refs->blocks[i]->unlisted = false;
	refs->any_new = false;
	refcounts_forget_table(
	    refs, old, (uint64_t)old_clusters << h->cluster_bits);
	return drop_many(refs, old, old_clusters, err);
}

int
refcounts_write(struct refcounts *refs, struct err *err)
{
	int error = refs->entries > refs->listed ? move_table(refs, err) : 0;

	if (error == 0)
		error = extend_file(refs, err);
	if (error == 0 && refs->any_new) {
		error = write_new_blocks(refs, err);
		if (error == 0)
			error = sync_file(refs, err);
		if (error == 0)
			error = list_new_blocks(refs, err);
	}
	return error == 0 ? write_dirty_blocks(refs, err) : error;
}
