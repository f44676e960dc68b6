/*
 * A larger disk, which may need a longer L1 table.
 */
#include "disk/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "disk/file.h"
#include "disk/map.h"

/* Zeros over the rest of a cluster, whatever the map says of what is past the
 * old end; nothing if the image has no such cluster. */
static int
zero_written(struct disk *disk, uint64_t offset, uint64_t len, struct err *err)
{
	struct l2 *t;
	struct iovec iov = { NULL, (size_t)len };
	uint64_t entry;
	int error = l2_get(disk, offset, false, &t, err);

	if (error != 0)
		return error;
	entry = t != NULL ? t->rows[row_of(disk, offset)] : 0;
	if ((entry & QCOW2_ZERO) != 0 ||
	    (entry == 0 && disk->top->parent == NULL))
		return 0;
	iov.iov_base = calloc(1, (size_t)len);
	if (iov.iov_base == NULL)
		return no_memory(disk, err);
	error = writer_write(disk, &iov, 1, offset, err);
	free(iov.iov_base);
	return error;
}

/* The L1 table as the file has it, with more entries, at offset. */
static int
write_l1(struct disk *disk, uint64_t offset, uint64_t bytes, struct err *err)
{
	const struct writer *w = disk->writer;
	uint8_t *data = calloc(1, bytes);
	int error;

	if (data == NULL)
		return no_memory(disk, err);
	/* Tables that are not in the file yet are named by their flush. */
	for (uint32_t i = 0; i < header(disk)->l1_entries; i++)
		if (w->tables[i] == NULL || !w->tables[i]->fresh)
			put_be64(data + (size_t)i * 8, disk->top->l1[i]);
	error = file_write(disk->top->fd, data, bytes, offset);
	free(data);
	return error == 0
	    ? 0
	    : err_sys(err, error, NULL,
		  "%s: a longer L1 table cannot be written", disk->top->path);
}

/* The header names the L1 table at offset, which is synced first. */
static int
switch_l1(struct disk *disk, uint64_t offset, uint32_t entries, struct err *err)
{
	uint8_t field[12];
	int error = file_sync(disk->top->fd);

	put_be32(field, entries);
	put_be64(field + 4, offset);
	if (error == 0)
		error = file_write(
		    disk->top->fd, field, sizeof(field), QCOW2_AT_L1);
	if (error == 0)
		error = file_sync(disk->top->fd);
	if (error == 0)
		return 0;
	/* Nobody knows what the file has now. */
	disk->failed = true;
	return err_sys(err, error, NULL, "%s: the header cannot be written",
	    disk->top->path);
}

/* A longer L1 table at the end of the file; then the header names it. */
static int
grow_l1(struct disk *disk, uint32_t entries, struct err *err)
{
	struct writer *w = disk->writer;
	struct qcow2 *h = &disk->top->header;
	uint64_t cluster = qcow2_cluster_bytes(h), offset, left;
	uint64_t bytes =
	    ((uint64_t)entries * 8 + cluster - 1) / cluster * cluster;
	uint64_t old = h->l1_offset;
	uint64_t old_bytes = (uint64_t)h->l1_entries * 8;
	int error =
	    refcounts_take_tail(&w->refs, bytes / cluster, &offset, err);

	if (error != 0)
		return error;
	error = refcounts_write(&w->refs, err);
	if (error == 0)
		error = write_l1(disk, offset, bytes, err);
	if (error == 0) {
		error = switch_l1(disk, offset, entries, err);
	} else {
		disk->failed |= w->refs.failed;
		for (uint64_t at = 0; at < bytes; at += cluster)
			refcounts_drop(&w->refs, offset + at, &left, NULL);
	}
	if (error != 0)
		return error;
	h->l1_offset = offset;
	h->l1_entries = entries;
	if (old_bytes > 0)
		refcounts_forget_table(&w->refs, old, old_bytes);
	for (uint64_t at = old; at < old + old_bytes && error == 0;
	     at += cluster)
		error = drop_later(disk, at, err);
	return error;
}

static int
grow_memory(struct disk *disk, uint32_t entries, struct err *err)
{
	struct writer *w = disk->writer;
	uint32_t old = header(disk)->l1_entries;
	uint64_t *l1 = realloc(disk->top->l1, (size_t)entries * 8);
	struct l2 **tables;
	uint32_t *dirty;

	if (l1 == NULL)
		return no_memory(disk, err);
	disk->top->l1 = l1;
	tables = realloc(w->tables, (size_t)entries * sizeof(*tables));
	if (tables == NULL)
		return no_memory(disk, err);
	w->tables = tables;
	dirty = realloc(w->dirty, (size_t)entries * sizeof(*dirty));
	if (dirty == NULL)
		return no_memory(disk, err);
	w->dirty = dirty;
	memset(l1 + old, 0, (entries - old) * sizeof(*l1));
	memset(tables + old, 0, (entries - old) * sizeof(struct l2 *));
	return 0;
}

int
writer_resize(struct disk *disk, uint64_t size, struct err *err)
{
	struct layer *top = disk->top;
	uint64_t cluster = qcow2_cluster_bytes(header(disk));
	uint64_t old = top->size, need = qcow2_l1_needed(header(disk), size);
	uint64_t shown = top->parent != NULL ? top->parent->size : 0;
	uint8_t field[8];
	int error = 0;

	if (need * 8 > QCOW2_MAX_L1_BYTES)
		return err_set(err, -EFBIG,
		    "%s: a disk of %" PRIu64 " bytes needs larger clusters",
		    top->path, size);
	if (need > header(disk)->l1_entries) {
		error = grow_memory(disk, (uint32_t)need, err);
		if (error == 0)
			error = grow_l1(disk, (uint32_t)need, err);
	}
	if (error != 0)
		return error;
	/* What the backing file, or the rest of the last cluster, has there
	 * must not appear. */
	if (shown > size)
		shown = size;
	if (shown < ((old + cluster - 1) & ~(cluster - 1)))
		shown = (old + cluster - 1) & ~(cluster - 1);
	if (shown > size)
		shown = size;
	top->size = size;
	disk->visible[top->number] = size;
	pthread_mutex_lock(&disk->set->lock);
	error = map_prepare(top, err);
	pthread_mutex_unlock(&disk->set->lock);
	for (uint64_t at = old; at < shown && error == 0;) {
		uint64_t n = cluster - (at & (cluster - 1));

		if (n > shown - at)
			n = shown - at;
		/* The map is of no help: it does not show what is to be hidden. */
		error = n == cluster && header(disk)->version >= 3
		    ? zero_cluster(disk, at, false, err)
		    : zero_written(disk, at, n, err);
		at += n;
	}
	put_be64(field, size);
	if (error == 0)
		error = writer_flush(disk, true, err);
	if (error == 0)
		error = file_write(top->fd, field, 8, QCOW2_AT_SIZE);
	node_wrote(disk);
	if (error != 0) {
		top->size = old;
		disk->visible[top->number] = old;
		return err_sys(err, error, NULL, "%s: cannot grow", top->path);
	}
	top->header.size = size;
	return 0;
}
