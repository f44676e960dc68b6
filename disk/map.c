/*
 * The flat map.
 *
 * A chunk of a node is made of its parents' L2 tables from the base up: each
 * layer's entries are laid over what is below.  Where the chain branches the
 * chunk is kept for the other branches and serves as the floor from then on; on
 * a stretch without branches only the top's is kept, as nobody else will ask.
 *
 * Pieces are as fine as the finest table that has a say within the chunk, so
 * that clusters of any mix of sizes, and subclusters, need no second table.
 * Memory is 128 KiB for each GiB of disk with clusters of 64 KiB.
 */
#include "disk/map.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES (UINT64_C(1) << CHUNK_BITS)

static size_t
pieces_of(unsigned int piece_bits)
{
	return (size_t)1 << (CHUNK_BITS - piece_bits);
}

static struct chunk *
chunk_new(unsigned int piece_bits)
{
	struct chunk *chunk =
	    malloc(sizeof(*chunk) + pieces_of(piece_bits) * sizeof(uint64_t));

	if (chunk == NULL)
		return NULL;
	atomic_init(&chunk->users, 1);
	chunk->piece_bits = piece_bits;
	return chunk;
}

void
chunk_release(struct chunk *chunk)
{
	if (chunk != NULL && atomic_fetch_sub(&chunk->users, 1) == 1)
		free(chunk);
}

/* A copy of from (NULL: holes) in finer or equal pieces. */
static struct chunk *
chunk_refine(const struct chunk *from, unsigned int piece_bits)
{
	struct chunk *chunk = chunk_new(piece_bits);
	size_t each;

	if (chunk == NULL)
		return NULL;
	if (from == NULL) {
		memset(
		    chunk->pieces, 0, pieces_of(piece_bits) * sizeof(uint64_t));
		return chunk;
	}
	assert(piece_bits <= from->piece_bits);
	each = (size_t)1 << (from->piece_bits - piece_bits);
	for (size_t i = 0; i < pieces_of(from->piece_bits); i++) {
		uint64_t piece = from->pieces[i];
		uint64_t step = piece_kind(piece) == PIECE_DATA
		    ? UINT64_C(1) << piece_bits >> 9
		    : 0;

		for (size_t k = 0; k < each; k++, piece += step)
			chunk->pieces[i * each + k] = piece;
	}
	return chunk;
}

/* Whether layer says anything about the chunk at offset. */
static bool
has_say(const struct layer *layer, uint64_t offset)
{
	const struct qcow2 *h = &layer->header;
	unsigned int bits;
	uint64_t from, to;

	if (!layer->qcow2)
		return true;
	bits = h->cluster_bits + qcow2_l2_bits(h);
	from = offset >> bits;
	to = (offset + CHUNK_BYTES - 1) >> bits;
	for (uint64_t i = from; i <= to && i < h->l1_entries; i++)
		if ((layer->l1[i] & QCOW2_OFFSET) != 0)
			return true;
	return false;
}

/* ---- one layer over what is below it ---- */

static void
lay_raw(struct chunk *chunk, const struct layer *layer, uint64_t offset)
{
	uint64_t bytes = UINT64_C(1) << chunk->piece_bits;

	for (size_t i = 0; i < pieces_of(chunk->piece_bits); i++) {
		uint64_t at = offset + i * bytes;

		chunk->pieces[i] = at < layer->size
		    ? piece_make(PIECE_DATA, layer->number, at)
		    : 0;
	}
}

/* What one cluster's entry says of the piece that begins part bytes into it;
 * 0: nothing. */
static uint64_t
piece_of(const struct layer *layer, const uint64_t *row, uint64_t part)
{
	uint64_t host = row[0] & QCOW2_OFFSET;
	unsigned int n;

	if ((row[0] & QCOW2_COMPRESSED) != 0)
		return piece_make(PIECE_COMPRESSED, layer->number, 0);
	if (!layer->header.extended_l2) {
		if ((row[0] & QCOW2_ZERO) != 0)
			return piece_make(PIECE_ZERO, layer->number, 0);
		return host == 0
		    ? 0
		    : piece_make(PIECE_DATA, layer->number, host + part);
	}
	n = (unsigned int)(part >> layer->granule_bits);
	if ((row[1] >> (32 + n) & 1) != 0)
		return piece_make(PIECE_ZERO, layer->number, 0);
	if ((row[1] >> n & 1) != 0 && host != 0)
		return piece_make(PIECE_DATA, layer->number, host + part);
	return 0;
}

static int
lay_row(struct chunk *chunk, const struct layer *layer, const uint64_t *row,
    uint64_t offset, uint64_t within, struct err *err)
{
	const char *bad = qcow2_bad_l2(&layer->header, row[0]);
	uint64_t cluster = qcow2_cluster_bytes(&layer->header);
	uint64_t bytes = UINT64_C(1) << chunk->piece_bits;

	if (bad == NULL && layer->header.extended_l2 &&
	    (row[0] & QCOW2_COMPRESSED) == 0 &&
	    (row[1] & row[1] >> 32 & UINT32_MAX) != 0)
		bad = "is both there and zero";
	if (bad != NULL)
		return err_set(err, -EIO,
		    "%s: the L2 entry of byte %" PRIu64 ", 0x%" PRIx64
		    ", %s; the image is damaged",
		    layer->path, offset + within, row[0], bad);
	for (uint64_t part = 0; part < cluster; part += bytes) {
		uint64_t piece = piece_of(layer, row, part);

		if (piece != 0)
			chunk->pieces[(within + part) >> chunk->piece_bits] =
			    piece;
	}
	return 0;
}

static int
lay_qcow2(struct chunk *chunk, const struct layer *layer, uint64_t offset,
    uint64_t *rows, struct err *err)
{
	const struct qcow2 *h = &layer->header;
	uint64_t span = UINT64_C(1) << (h->cluster_bits + qcow2_l2_bits(h));
	size_t width = h->extended_l2 ? 2 : 1;

	if (span > CHUNK_BYTES)
		span = CHUNK_BYTES;
	for (uint64_t within = 0; within < CHUNK_BYTES; within += span) {
		size_t count = (size_t)(span >> h->cluster_bits);
		uint64_t table;
		int error = layer_read_l2(
		    layer, offset + within, rows, count, &table, err);

		if (error != 0)
			return error;
		if (table == 0)
			continue;
		for (size_t i = 0; i < count; i++) {
			const uint64_t *row = rows + i * width;

			if (row[0] == 0 && (width == 1 || row[1] == 0))
				continue;
			error = lay_row(chunk, layer, row, offset,
			    within + ((uint64_t)i << h->cluster_bits), err);
			if (error != 0)
				return error;
		}
	}
	return 0;
}

/* What a child sees of a parent that ends within or before the chunk. */
static void
clip(struct chunk *chunk, uint64_t offset, uint64_t size)
{
	uint64_t bytes = UINT64_C(1) << chunk->piece_bits;

	for (size_t i = 0; i < pieces_of(chunk->piece_bits); i++)
		if (offset + i * bytes >= size)
			chunk->pieces[i] = 0;
}

/* ---- building ---- */

int
map_prepare(struct layer *layer, struct err *err)
{
	size_t n = (size_t)((layer->size + CHUNK_BYTES - 1) >> CHUNK_BITS);
	_Atomic(struct chunk *) *chunks;

	if (layer->chunks != NULL && n <= layer->nchunks)
		return 0;
	chunks = calloc(n + 1, sizeof(*chunks));
	if (chunks == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", layer->path);
	for (size_t i = 0; i < layer->nchunks; i++)
		atomic_init(&chunks[i], atomic_load(&layer->chunks[i]));
	free(layer->chunks);
	layer->chunks = chunks;
	layer->nchunks = n;
	return 0;
}

/* A chunk that somebody has already; the layer itself only if it has. */
static struct chunk *
known_chunk(const struct layer *layer, size_t i)
{
	if (layer->chunks == NULL || i >= layer->nchunks)
		return NULL;
	return atomic_load(&layer->chunks[i]);
}

/* Builds the chunk of layer over floor, a parent of it or NULL, whose chunk is
 * below (NULL: past its end, or holes). */
static struct chunk *
build(const struct layer *layer, const struct layer *floor, struct chunk *below,
    uint64_t offset, struct err *err)
{
	unsigned int bits =
	    below != NULL ? below->piece_bits : QCOW2_MAX_CLUSTER_BITS;
	const struct layer **stack;
	bool same = true;
	size_t n = 0, count = layer->number + 1;
	struct chunk *chunk = NULL;
	uint64_t *rows;
	int error = 0;

	stack = malloc(count * sizeof(*stack));
	rows = malloc((CHUNK_BYTES >> QCOW2_MIN_CLUSTER_BITS) * 8);
	if (stack == NULL || rows == NULL)
		goto fail;
	for (const struct layer *l = layer; l != floor; l = l->parent) {
		const struct layer *p = l->parent;

		stack[n++] = l;
		if (p != NULL && p->size < offset + CHUNK_BYTES &&
		    p->size < l->size)
			same = false;
		if (!has_say(l, offset))
			continue;
		same = false;
		if (l->granule_bits < bits)
			bits = l->granule_bits;
	}
	if (same && below != NULL) {
		atomic_fetch_add(&below->users, 1);
		chunk = below;
	} else {
		chunk = chunk_refine(below, bits);
	}
	if (chunk == NULL)
		goto fail;
	while (!same && n > 0 && error == 0) {
		const struct layer *l = stack[--n];

		if (l->parent != NULL)
			clip(chunk, offset, l->parent->size);
		if (!l->qcow2)
			lay_raw(chunk, l, offset);
		else if (has_say(l, offset))
			error = lay_qcow2(chunk, l, offset, rows, err);
	}
	free(stack);
	free(rows);
	if (error == 0)
		return chunk;
	chunk_release(chunk);
	return NULL;
fail:
	err_set(err, -ENOMEM, "%s: out of memory", layer->path);
	free(stack);
	free(rows);
	return NULL;
}

/* The lowest layer from layer down to floor (not itself) whose chunk is worth
 * keeping: one where the chain branches, or layer itself. */
static struct layer *
next_station(struct layer *layer, const struct layer *floor, size_t i)
{
	struct layer *station = layer;

	for (struct layer *l = layer->parent; l != floor; l = l->parent)
		if (l->users > 1 &&
		    i < (l->size + CHUNK_BYTES - 1) >> CHUNK_BITS)
			station = l;
	return station;
}

/* As map_chunk(), with the set locked. */
static struct chunk *
find_or_build(struct layer *layer, uint64_t offset, struct err *err)
{
	size_t i = (size_t)(offset >> CHUNK_BITS);
	struct layer *floor = layer;
	struct chunk *below = NULL;

	while (floor != NULL && (below = known_chunk(floor, i)) == NULL)
		floor = floor->parent;
	while (floor != layer) {
		struct layer *station = next_station(layer, floor, i);

		if (map_prepare(station, err) != 0)
			return NULL;
		below = build(station, floor, below, i << CHUNK_BITS, err);
		if (below == NULL)
			return NULL;
		atomic_store(&station->chunks[i], below);
		floor = station;
	}
	return below;
}

const struct chunk *
map_chunk(
    struct disk_set *set, struct layer *layer, uint64_t offset, struct err *err)
{
	struct chunk *chunk;

	assert(offset < layer->size);
	pthread_mutex_lock(&set->lock);
	chunk = find_or_build(layer, offset, err);
	pthread_mutex_unlock(&set->lock);
	return chunk;
}

struct chunk *
map_own_chunk(
    struct disk_set *set, struct layer *layer, uint64_t offset, struct err *err)
{
	size_t i = (size_t)(offset >> CHUNK_BITS);
	struct chunk *chunk, *own;

	pthread_mutex_lock(&set->lock);
	chunk = find_or_build(layer, offset, err);
	if (chunk != NULL &&
	    (atomic_load(&chunk->users) > 1 ||
		chunk->piece_bits > layer->granule_bits)) {
		own = chunk_refine(chunk,
		    chunk->piece_bits < layer->granule_bits
			? chunk->piece_bits
			: layer->granule_bits);
		if (own == NULL) {
			err_set(err, -ENOMEM, "%s: out of memory", layer->path);
		} else {
			atomic_store(&layer->chunks[i], own);
			chunk_release(chunk);
		}
		chunk = own;
	}
	pthread_mutex_unlock(&set->lock);
	return chunk;
}

uint64_t
map_memory(struct disk_set *set)
{
	struct layer *layer;
	uint64_t bytes = 0;

	pthread_mutex_lock(&set->lock);
	LIST_FOREACH (layer, &set->layers, entry)
		for (size_t i = 0; layer->chunks != NULL && i < layer->nchunks;
		     i++) {
			struct chunk *chunk = atomic_load(&layer->chunks[i]);

			if (chunk != NULL)
				bytes += sizeof(*chunk) +
				    pieces_of(chunk->piece_bits) * 8;
		}
	pthread_mutex_unlock(&set->lock);
	return bytes;
}
