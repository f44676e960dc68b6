/*
 * Consistency.
 *
 * Everything that the header leads to is counted once into an array of 16 bits
 * a cluster (walk.h), and compared to the counts in the file.  A repair never
 * mends the old counts: it writes a complete new table and new blocks behind the
 * end of the file, syncs, and then lets the header name them, so that a crash
 * leaves one or the other.
 */
#include "disk/check.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "disk/disk.h"
#include "disk/file.h"
#include "disk/refcount.h"
#include "disk/walk.h"

/* ---- comparing ---- */

static void
compare_count(struct walk *w, uint64_t cluster, uint64_t stored)
{
	uint64_t found = cluster < w->n ? w->counts[cluster] : 0;

	if (stored > found) {
		if (w->check->leaks++ == 0 && w->check->corruptions == 0)
			snprintf(w->check->first, sizeof(w->check->first),
			    "the cluster at %" PRIu64
			    " is counted but nothing uses it",
			    cluster * w->cluster);
	} else if (stored < found) {
		check_wrong(w->check,
		    "the cluster at %" PRIu64 " has %" PRIu64
		    " references but is counted %" PRIu64,
		    cluster * w->cluster, found, stored);
	}
}

static int
compare_block(struct walk *w, uint64_t first, uint64_t per, uint64_t offset,
    uint8_t *block, struct err *err)
{
	unsigned int order = w->layer->header.refcount_order;
	int error = 0;

	if (offset != 0 && file_is_hole(w->layer->fd, offset, w->cluster))
		offset = 0;
	if (offset != 0)
		error =
		    file_read(w->layer->fd, block, (size_t)w->cluster, offset);
	if (error != 0)
		return err_sys(err, error, NULL,
		    "%s: the refcount block at %" PRIu64 " cannot be read",
		    w->layer->path, offset);
	if (offset == 0)
		per = first >= w->n      ? 0
		    : per < w->n - first ? per
					 : w->n - first;
	for (uint64_t i = 0; i < per; i++)
		compare_count(w, first + i,
		    offset != 0 ? refcount_get(block, i, order) : 0);
	return 0;
}

/* The table and blocks of counts: counts them, or with block compares. */
static int
walk_counts(struct walk *w, uint8_t *block, struct err *err)
{
	const struct qcow2 *h = &w->layer->header;
	size_t n = (size_t)((uint64_t)h->refcount_clusters * w->cluster / 8);
	uint64_t per = w->cluster * 8 >> h->refcount_order, first = 0;
	uint64_t *table = malloc(n * 8);
	int error;

	if (table == NULL)
		return err_set(
		    err, -ENOMEM, "%s: out of memory", w->layer->path);
	error = file_read(w->layer->fd, table, n * 8, h->refcount_offset);
	if (error != 0)
		err_sys(err, error, NULL,
		    "%s: the refcount table cannot be read", w->layer->path);
	if (block == NULL && error == 0)
		walk_use(w, h->refcount_offset, n * 8, 1, OWNER_SOLE,
		    "the refcount table");
	for (size_t i = 0; i < n && error == 0; i++, first += per) {
		uint64_t at = get_be64((uint8_t *)&table[i]);

		if ((at & (w->cluster - 1)) != 0 || at >= w->n * w->cluster) {
			if (block == NULL)
				check_wrong(w->check,
				    "refcount table entry %zu, 0x%" PRIx64
				    ", names no block",
				    i, at);
			at = 0;
		}
		/* One that has another use, too, is looked at no more. */
		if (block != NULL && at != 0 && w->counts[at / w->cluster] > 1)
			at = 0;
		if (block != NULL)
			error = compare_block(w, first, per, at, block, err);
		else if (at != 0)
			walk_use(w, at, w->cluster, 1, OWNER_SOLE,
			    "a refcount block");
	}
	if (block != NULL && error == 0)
		for (; first < w->n; first++)
			compare_count(w, first, 0);
	free(table);
	return error;
}

/* ---- flags ---- */

static bool
flag_is_right(const struct walk *w, uint64_t entry)
{
	uint64_t cluster = (entry & QCOW2_OFFSET) / w->cluster;

	if ((entry & QCOW2_OFFSET) == 0 || cluster >= w->n)
		return (entry & QCOW2_COPIED) == 0;
	return ((entry & QCOW2_COPIED) != 0) == (w->counts[cluster] == 1);
}

static int
check_flag(struct walk *w, uint64_t *row, uint64_t at, struct err *err)
{
	uint64_t entry = *row;
	uint8_t bytes[8];
	int error;

	if (flag_is_right(w, entry))
		return 0;
	if (!w->fix) {
		check_wrong(w->check,
		    "entry 0x%" PRIx64 " has a wrong flag for its count",
		    entry);
		return 0;
	}
	*row ^= QCOW2_COPIED;
	put_be64(bytes, *row);
	error = file_write(w->layer->fd, bytes, sizeof(bytes), at);
	return error == 0 ? 0
			  : err_sys(err, error, NULL, "%s: cannot be written",
				w->layer->path);
}

/* The flags of the active tables; those of snapshots mean nothing. */
static int
walk_flags(struct walk *w, struct err *err)
{
	const struct qcow2 *h = &w->layer->header;
	size_t width = h->extended_l2 ? 2 : 1;
	size_t rows = (size_t)1 << qcow2_l2_bits(h);
	int error = 0;

	for (uint32_t i = 0; i < h->l1_entries && error == 0; i++) {
		uint64_t table = w->layer->l1[i] & QCOW2_OFFSET;

		error = check_flag(
		    w, &w->layer->l1[i], h->l1_offset + (uint64_t)i * 8, err);
		if (error != 0 || table == 0)
			continue;
		error = walk_rows(w, table, err);
		for (size_t k = 0; k < rows && error == 0; k++) {
			uint64_t *row = &w->rows[k * width];

			if ((*row & QCOW2_COMPRESSED) == 0)
				error = check_flag(
				    w, row, table + k * width * 8, err);
		}
		if (error == 1)
			error = 0;
	}
	return error;
}

int
check_layer(struct layer *layer, struct check *check, struct err *err)
{
	struct walk w;
	uint8_t *block = NULL;
	int error = walk_open(&w, layer, check, err);

	if (error == 0)
		error = walk_contents(&w, err);
	if (error == 0)
		error = walk_counts(&w, NULL, err);
	if (error == 0) {
		block = malloc((size_t)w.cluster);
		error = block == NULL
		    ? err_set(err, -ENOMEM, "%s: out of memory", layer->path)
		    : walk_counts(&w, block, err);
	}
	if (error == 0)
		error = walk_flags(&w, err);
	for (uint64_t i = 0; error == 0 && i < w.n; i++)
		check->used += w.counts[i] > 0;
	if (error == 0 && (layer->header.incompatible & QCOW2_CORRUPT) != 0)
		check_wrong(check, "the image is marked as corrupt");
	free(block);
	walk_close(&w);
	return error;
}

/* ---- repairing ---- */

/* Blocks and table from cluster n on; their number is *blocks and *table. */
static void
plan_counts(const struct walk *w, uint64_t *blocks, uint64_t *table)
{
	uint64_t per = w->cluster * 8 >> w->layer->header.refcount_order;
	uint64_t all;

	*blocks = *table = 1;
	do {
		all = w->n + *blocks + *table;
		*blocks = (all + per - 1) / per;
		*table = (*blocks * 8 + w->cluster - 1) / w->cluster;
	} while (all != w->n + *blocks + *table);
}

static int
write_counts(struct walk *w, struct err *err)
{
	struct qcow2 *h = &w->layer->header;
	uint64_t most = h->refcount_order == 6
	    ? UINT64_MAX
	    : (UINT64_C(1) << (1u << h->refcount_order)) - 1;
	uint64_t blocks, clusters, per = w->cluster * 8 >> h->refcount_order;
	uint64_t at = w->n * w->cluster;
	uint8_t *block = malloc((size_t)w->cluster), field[12];
	int error = block == NULL ? -ENOMEM : 0;

	plan_counts(w, &blocks, &clusters);
	for (uint64_t b = 0; b < blocks && error == 0; b++) {
		memset(block, 0, (size_t)w->cluster);
		for (uint64_t i = 0; i < per; i++) {
			uint64_t c = b * per + i, count = 0;

			if (c < w->n)
				count = w->counts[c];
			else if (c < w->n + blocks + clusters)
				count = 1;
			if (count > most)
				error = -EOVERFLOW;
			refcount_put(block, i, h->refcount_order, count);
		}
		if (error == 0)
			error = file_write(w->layer->fd, block,
			    (size_t)w->cluster, at + b * w->cluster);
	}
	for (uint64_t t = 0; t < clusters && error == 0; t++) {
		memset(block, 0, (size_t)w->cluster);
		for (uint64_t i = 0; i < w->cluster / 8; i++)
			if (t * w->cluster / 8 + i < blocks)
				put_be64(block + i * 8,
				    at + (t * w->cluster / 8 + i) * w->cluster);
		error = file_write(w->layer->fd, block, (size_t)w->cluster,
		    at + (blocks + t) * w->cluster);
	}
	free(block);
	if (error == 0)
		error = file_sync(w->layer->fd);
	h->refcount_offset = at + blocks * w->cluster;
	h->refcount_clusters = (uint32_t)clusters;
	put_be64(field, h->refcount_offset);
	put_be32(field + 8, h->refcount_clusters);
	if (error == 0)
		error = file_write(
		    w->layer->fd, field, sizeof(field), QCOW2_AT_REFCOUNTS);
	if (error == 0)
		error = file_sync(w->layer->fd);
	return error == 0
	    ? 0
	    : err_sys(err, error, NULL, "%s: new refcounts cannot be written",
		  w->layer->path);
}

static int
clear_marks(struct layer *layer, struct err *err)
{
	struct qcow2 *h = &layer->header;
	uint8_t field[8];
	int error = 0;

	if ((h->incompatible & (QCOW2_DIRTY | QCOW2_CORRUPT)) != 0) {
		h->incompatible &= ~(QCOW2_DIRTY | QCOW2_CORRUPT);
		put_be64(field, h->incompatible);
		error = file_write(
		    layer->fd, field, sizeof(field), QCOW2_AT_INCOMPATIBLE);
	}
	if (error == 0)
		error = file_sync(layer->fd);
	return error == 0
	    ? 0
	    : err_sys(err, error, NULL, "%s: the header cannot be written",
		  layer->path);
}

int
check_repair(struct layer *layer, struct check *check, struct err *err)
{
	struct walk w;
	int error = walk_open(&w, layer, check, err);

	if (error == 0)
		error = walk_contents(&w, err);
	if (error == 0 && check->corruptions > 0)
		error = err_set(err, -EUCLEAN,
		    "%s: %s; no count can mend that: copy what can be read "
		    "with \"disk clone --full\"",
		    layer->path, check->first);
	if (error == 0)
		error = write_counts(&w, err);
	w.fix = true;
	if (error == 0)
		error = walk_flags(&w, err);
	if (error == 0)
		error = clear_marks(layer, err);
	walk_close(&w);
	return error;
}

int
disk_check(const char *path, bool repair, struct check *check, struct err *err)
{
	struct disk_set *set = disk_set_new();
	struct layer *layer;
	int code;

	if (set == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	layer = layer_open(set, path, "qcow2",
	    LAYER_ALONE |
		(repair ? LAYER_WRITE | LAYER_REPAIR | LAYER_FROZEN : 0),
	    &code, err);
	if (layer != NULL) {
		code = check_layer(layer, check, err);
		if (code == 0 && repair &&
		    (check->leaks > 0 || check->corruptions > 0 ||
			(layer->header.incompatible &
			    (QCOW2_DIRTY | QCOW2_CORRUPT)) != 0)) {
			uint64_t found = check->leaks + check->corruptions;

			code = check_repair(layer, check, err);
			if (code == 0)
				code = check_layer(layer, check, err);
			check->repaired = found;
		}
		if (layer != NULL)
			layer_release(set, layer);
	}
	disk_set_free(set);
	return code;
}
