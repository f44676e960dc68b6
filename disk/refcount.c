/*
 * Reference counts.
 *
 * Blocks are read when they are first needed and kept; one of 64 KiB serves
 * 2 GiB of file.  A new block is put into the very clusters it counts: the
 * first free one.  See refcount_write.c for how they reach the file.
 *
 * An image may lie: a cluster that holds a table may have a count of 0.  The
 * clusters of all tables are known from the start and never given out.
 */
#include "disk/refcount.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "disk/file.h"

uint64_t
refcount_get(const uint8_t *block, size_t i, unsigned int order)
{
	switch (order) {
	case 0: return block[i / 8] >> (i % 8) & 1;
	case 1: return block[i / 4] >> (i % 4 * 2) & 3;
	case 2: return block[i / 2] >> (i % 2 * 4) & 15;
	case 3: return block[i];
	case 4: return get_be16(block + i * 2);
	case 5: return get_be32(block + i * 4);
	default: return get_be64(block + i * 8);
	}
}

void
refcount_put(uint8_t *block, size_t i, unsigned int order, uint64_t count)
{
	unsigned int bits = 1u << order, per = 8 / bits, shift;

	switch (order) {
	case 0:
	case 1:
	case 2:
		shift = (unsigned int)(i % per) * bits;
		block[i / per] = (uint8_t)((block[i / per] &
					       ~(((1u << bits) - 1) << shift)) |
		    count << shift);
		return;
	case 3: block[i] = (uint8_t)count; return;
	case 4: put_be16(block + i * 2, (uint16_t)count); return;
	case 5: put_be32(block + i * 4, (uint32_t)count); return;
	default: put_be64(block + i * 8, count); return;
	}
}

static uint64_t
cluster_bytes(const struct refcounts *refs)
{
	return qcow2_cluster_bytes(&refs->layer->header);
}

/* How many clusters one block counts, as a power of two. */
static unsigned int
block_bits(const struct refcounts *refs)
{
	const struct qcow2 *h = &refs->layer->header;

	return h->cluster_bits + 3 - h->refcount_order;
}

static int
no_memory(const struct refcounts *refs, struct err *err)
{
	return err_set(err, -ENOMEM, "%s: out of memory", refs->layer->path);
}

static struct refcount_block *
block_new(const struct refcounts *refs)
{
	struct refcount_block *b = calloc(1, sizeof(*b) + cluster_bytes(refs));

	if (b != NULL)
		b->lo = cluster_bytes(refs);
	return b;
}

/* The block that counts cluster; *block NULL: there is none, all are free. */
static int
find_block(struct refcounts *refs, uint64_t cluster,
    struct refcount_block **block, struct err *err)
{
	uint64_t i = cluster >> block_bits(refs);
	struct refcount_block *b;
	int error;

	*block = NULL;
	if (i >= refs->entries)
		return 0;
	*block = refs->blocks[i];
	if (*block != NULL || refs->table[i] == 0)
		return 0;
	b = block_new(refs);
	if (b == NULL)
		return no_memory(refs, err);
	error = file_read(
	    refs->layer->fd, b->bytes, cluster_bytes(refs), refs->table[i]);
	if (error != 0) {
		free(b);
		return err_sys(err, error, NULL,
		    "%s: the refcount block at %" PRIu64 " cannot be read",
		    refs->layer->path, refs->table[i]);
	}
	*block = refs->blocks[i] = b;
	return 0;
}

static size_t
within(const struct refcounts *refs, uint64_t cluster)
{
	return (size_t)(cluster & ((UINT64_C(1) << block_bits(refs)) - 1));
}

static int
get(struct refcounts *refs, uint64_t cluster, uint64_t *count, struct err *err)
{
	struct refcount_block *b;
	int error = find_block(refs, cluster, &b, err);

	*count = error == 0 && b != NULL
	    ? refcount_get(b->bytes, within(refs, cluster),
		  refs->layer->header.refcount_order)
	    : 0;
	return error;
}

static void
put(struct refcounts *refs, struct refcount_block *b, uint64_t cluster,
    uint64_t count)
{
	unsigned int order = refs->layer->header.refcount_order;
	size_t i = within(refs, cluster);
	size_t lo = (i << order) / 8, hi = (((i + 1) << order) + 7) / 8;

	refcount_put(b->bytes, i, order, count);
	if (lo < b->lo)
		b->lo = lo;
	if (hi > b->hi)
		b->hi = hi;
	refs->any_dirty = true;
}

int
refcounts_get(
    struct refcounts *refs, uint64_t offset, uint64_t *count, struct err *err)
{
	return get(
	    refs, offset >> refs->layer->header.cluster_bits, count, err);
}

static int
compare_numbers(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

bool
refcounts_is_table(const struct refcounts *refs, uint64_t offset)
{
	uint64_t cluster = offset >> refs->layer->header.cluster_bits;

	return refs->nfixed > 0 &&
	    bsearch(&cluster, refs->fixed, refs->nfixed, sizeof(cluster),
		compare_numbers) != NULL;
}

void
refcounts_forget_table(struct refcounts *refs, uint64_t offset, uint64_t bytes)
{
	unsigned int bits = refs->layer->header.cluster_bits;
	uint64_t first = offset >> bits, last = (offset + bytes - 1) >> bits;
	size_t kept = 0;

	for (size_t i = 0; i < refs->nfixed; i++)
		if (refs->fixed[i] < first || refs->fixed[i] > last)
			refs->fixed[kept++] = refs->fixed[i];
	refs->nfixed = kept;
}

/* ---- opening ---- */

static void
fix(struct refcounts *refs, uint64_t offset, uint64_t bytes)
{
	unsigned int bits = refs->layer->header.cluster_bits;
	uint64_t last = (offset + bytes - 1) >> bits;

	for (uint64_t c = offset >> bits; bytes > 0 && c <= last; c++)
		refs->fixed[refs->nfixed++] = c;
}

static int
note_tables(struct refcounts *refs, struct err *err)
{
	const struct qcow2 *h = &refs->layer->header;
	uint64_t l1_bytes = (uint64_t)h->l1_entries * 8;

	refs->fixed = calloc(1 + (l1_bytes >> h->cluster_bits) + 2 +
		h->refcount_clusters + refs->entries + h->l1_entries,
	    sizeof(*refs->fixed));
	if (refs->fixed == NULL)
		return no_memory(refs, err);
	fix(refs, 0, 1);
	fix(refs, h->l1_offset, l1_bytes);
	fix(refs, h->refcount_offset,
	    (uint64_t)h->refcount_clusters << h->cluster_bits);
	for (size_t i = 0; i < refs->entries; i++)
		if (refs->table[i] != 0)
			fix(refs, refs->table[i], 1);
	for (uint32_t i = 0; i < h->l1_entries; i++)
		if ((refs->layer->l1[i] & QCOW2_OFFSET) != 0)
			fix(refs, refs->layer->l1[i] & QCOW2_OFFSET, 1);
	qsort(refs->fixed, refs->nfixed, sizeof(*refs->fixed), compare_numbers);
	for (size_t i = 1; i < refs->nfixed; i++)
		if (refs->fixed[i] == refs->fixed[i - 1])
			return err_set(err, -EINVAL,
			    "%s: two tables share the cluster at %" PRIu64
			    "; the image is damaged",
			    refs->layer->path,
			    refs->fixed[i] << h->cluster_bits);
	return 0;
}

int
refcounts_open(struct refcounts *refs, struct layer *layer, struct err *err)
{
	const struct qcow2 *h = &layer->header;
	struct stat st;
	int error;

	memset(refs, 0, sizeof(*refs));
	refs->layer = layer;
	if (fstat(layer->fd, &st) < 0)
		return err_sys(
		    err, -errno, NULL, "%s: cannot be examined", layer->path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, -ENOTSUP,
		    "%s: a qcow2 image is written only in a file; use raw on "
		    "a block device",
		    layer->path);
	refs->end =
	    ((uint64_t)st.st_size + cluster_bytes(refs) - 1) >> h->cluster_bits;
	refs->whole = (uint64_t)st.st_size >> h->cluster_bits;
	refs->entries =
	    (size_t)((uint64_t)h->refcount_clusters << h->cluster_bits) / 8;
	refs->listed = refs->entries;
	refs->table = calloc(refs->entries, sizeof(*refs->table));
	refs->blocks = calloc(refs->entries, sizeof(*refs->blocks));
	if (refs->table == NULL || refs->blocks == NULL)
		return no_memory(refs, err);
	error = file_read(
	    layer->fd, refs->table, refs->entries * 8, h->refcount_offset);
	if (error != 0)
		return err_sys(err, error, NULL,
		    "%s: the refcount table cannot be read", layer->path);
	for (size_t i = 0; i < refs->entries; i++) {
		uint64_t at = get_be64((uint8_t *)&refs->table[i]);

		if ((at & (cluster_bytes(refs) - 1)) != 0 ||
		    at >= QCOW2_MAX_HOST)
			return err_set(err, -EINVAL,
			    "%s: refcount table entry %zu, 0x%" PRIx64
			    ", is not aligned; the image is damaged",
			    layer->path, i, at);
		refs->table[i] = at;
	}
	return note_tables(refs, err);
}

void
refcounts_close(struct refcounts *refs)
{
	for (size_t i = 0; refs->blocks != NULL && i < refs->entries; i++)
		free(refs->blocks[i]);
	free(refs->blocks);
	free(refs->table);
	free(refs->fixed);
	memset(refs, 0, sizeof(*refs));
}

/* ---- taking ---- */

/* Room in memory for the block that counts cluster; refcounts_write() makes it
 * in the file. */
static int
grow_memory(struct refcounts *refs, uint64_t cluster, struct err *err)
{
	uint64_t per = cluster_bytes(refs) / 8;
	size_t need = (size_t)(cluster >> block_bits(refs)) + 2;
	size_t entries = (size_t)((need + need / 2 + per) / per * per);
	uint64_t *table;
	struct refcount_block **blocks;

	if (entries * 8 > QCOW2_MAX_TABLE_BYTES)
		return err_set(err, -EFBIG,
		    "%s: the refcount table is full; use larger clusters",
		    refs->layer->path);
	table = realloc(refs->table, entries * sizeof(*table));
	if (table == NULL)
		return no_memory(refs, err);
	refs->table = table;
	blocks = realloc(refs->blocks, entries * sizeof(*blocks));
	if (blocks == NULL)
		return no_memory(refs, err);
	refs->blocks = blocks;
	memset(table + refs->entries, 0,
	    (entries - refs->entries) * sizeof(*table));
	memset(blocks + refs->entries, 0,
	    (entries - refs->entries) * sizeof(*blocks));
	refs->entries = entries;
	return 0;
}

/* Makes the block that counts cluster, in that cluster.  Which must be free. */
static int
make_block(struct refcounts *refs, uint64_t cluster, struct err *err)
{
	uint64_t i = cluster >> block_bits(refs);
	struct refcount_block *b;
	int error = i >= refs->entries ? grow_memory(refs, cluster, err) : 0;

	if (error != 0)
		return error;
	b = block_new(refs);
	if (b == NULL)
		return no_memory(refs, err);
	b->fresh = b->unlisted = true;
	refs->blocks[i] = b;
	refs->table[i] = cluster << refs->layer->header.cluster_bits;
	refs->any_new = true;
	put(refs, b, cluster, 1);
	if (cluster >= refs->end)
		refs->end = cluster + 1;
	return 0;
}

/* Counts cluster 1 if it is free. */
static int
take(struct refcounts *refs, uint64_t cluster, bool *taken, struct err *err)
{
	struct refcount_block *b;
	uint64_t count;
	int error = find_block(refs, cluster, &b, err);

	*taken = false;
	if (error != 0)
		return error;
	if (cluster << refs->layer->header.cluster_bits >= QCOW2_MAX_HOST / 2)
		return err_set(
		    err, -EFBIG, "%s: the image is full", refs->layer->path);
	if (b == NULL)
		return make_block(refs, cluster, err);
	count = refcount_get(b->bytes, within(refs, cluster),
	    refs->layer->header.refcount_order);
	if (count != 0)
		return 0;
	if (refcounts_is_table(
		refs, cluster << refs->layer->header.cluster_bits))
		return err_set(err, -EIO,
		    "%s: a table's cluster is counted as free; repair the "
		    "image with \"disk repair\"",
		    refs->layer->path);
	put(refs, b, cluster, 1);
	*taken = true;
	return 0;
}

int
refcounts_take(struct refcounts *refs, uint64_t want, uint64_t *offset,
    uint64_t *got, bool *fresh, struct err *err)
{
	uint64_t first = refs->next, n = 0, end = refs->end;
	bool taken = false;
	int error;

	assert(want > 0);
	while (!taken) {
		error = take(refs, first, &taken, err);
		if (error != 0)
			return error;
		if (!taken)
			first++;
	}
	*fresh = first >= end;
	for (n = 1; n < want && *fresh == (first + n >= end); n++) {
		error = take(refs, first + n, &taken, err);
		if (error != 0 || !taken)
			break;
	}
	refs->next = first + n;
	if (first + n > refs->end)
		refs->end = first + n;
	*offset = first << refs->layer->header.cluster_bits;
	*got = n;
	return 0;
}

int
refcounts_take_tail(
    struct refcounts *refs, uint64_t want, uint64_t *offset, struct err *err)
{
	unsigned int bits = refs->layer->header.cluster_bits;
	uint64_t first, n = 0;
	bool taken;

	/* A block that has to be made on the way stands in the way. */
	for (first = refs->end; n < want;) {
		int error = take(refs, first + n, &taken, err);

		if (error != 0)
			return error;
		if (taken) {
			n++;
			continue;
		}
		for (; n > 0; n--) {
			uint64_t left;

			error = refcounts_drop(
			    refs, (first + n - 1) << bits, &left, err);
			if (error != 0)
				return error;
		}
		first = refs->end > first + 1 ? refs->end : first + 1;
	}
	refs->end = first + want;
	*offset = first << bits;
	return 0;
}

int
refcounts_drop(
    struct refcounts *refs, uint64_t offset, uint64_t *left, struct err *err)
{
	uint64_t cluster = offset >> refs->layer->header.cluster_bits;
	struct refcount_block *b;
	uint64_t count;
	int error = find_block(refs, cluster, &b, err);

	if (error != 0)
		return error;
	error = get(refs, cluster, &count, err);
	if (error != 0)
		return error;
	if (b == NULL || count == 0)
		return err_set(err, -EIO,
		    "%s: the cluster at %" PRIu64 " is used but counted as "
		    "free; repair the image with \"disk repair\"",
		    refs->layer->path, offset);
	put(refs, b, cluster, count - 1);
	*left = count - 1;
	if (count == 1 && cluster < refs->next)
		refs->next = cluster;
	return 0;
}
