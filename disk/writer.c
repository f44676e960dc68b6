/*
 * Writing to the top qcow2 image, so that a crash at any moment leaves an image
 * that is consistent, has all that a flush acknowledged, and has lost no byte
 * beside what was being written.
 *
 * Between flushes only data reaches the file, in clusters that nothing on the
 * disk names: a cluster is written in place if it was the image's own already,
 * and goes to a free one otherwise, with what surrounds it copied up.  Changes
 * of L2 and L1 tables and of counts wait in memory.  A flush then
 *
 *   1. writes new counts and new L2 tables, and syncs: data is there, too
 *   2. writes L2 and L1 entries in place, and syncs: now it is named
 *   3. counts down what nothing names any more, for the next one to write
 *
 * Step 1 before a crash leaves leaked clusters.  A cluster that is given up can
 * be taken again only after step 3, so never while the disk still names it.
 * Nothing to name: one sync.  The lock is not held while syncing; entries that
 * change meanwhile belong to the next flush.
 *
 * Discarded clusters get the zero flag as long as there is a backing file, as
 * its old data would shine through an unallocated one.
 *
 * Rejected: lazy reference counts (an image of a killed process would need a
 * repair), and shadow copies of L2 tables (a free list to get wrong).
 */
#include "disk/writer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "disk/file.h"
#include "disk/map.h"

#define MAX_RUN_BYTES (UINT64_C(4) << 20) /* allocated in one go */

/* ---- opening ---- */

/* Features that say something about data we are about to change. */
static int
clear_autoclear(struct disk *disk, struct err *err)
{
	uint8_t zero[8] = { 0 };
	int error;

	if (header(disk)->version < 3 || header(disk)->autoclear == 0)
		return 0;
	error =
	    file_write(disk->top->fd, zero, sizeof(zero), QCOW2_AT_AUTOCLEAR);
	if (error == 0)
		error = file_sync(disk->top->fd);
	if (error != 0)
		return err_sys(err, error, NULL,
		    "%s: the header cannot be written", disk->top->path);
	disk->top->header.autoclear = 0;
	return 0;
}

int
writer_open(struct disk *disk, struct err *err)
{
	struct writer *w = calloc(1, sizeof(*w));
	size_t cluster = qcow2_cluster_bytes(header(disk));
	int error;

	if (w == NULL)
		return no_memory(disk, err);
	disk->writer = w;
	w->tables =
	    calloc((size_t)header(disk)->l1_entries + 1, sizeof(*w->tables));
	w->dirty =
	    calloc((size_t)header(disk)->l1_entries + 1, sizeof(*w->dirty));
	w->head = malloc(cluster);
	w->tail = malloc(cluster);
	if (w->tables == NULL || w->dirty == NULL || w->head == NULL ||
	    w->tail == NULL)
		return no_memory(disk, err);
	error = refcounts_open(&w->refs, disk->top, err);
	return error == 0 ? clear_autoclear(disk, err) : error;
}

void
writer_close(struct disk *disk)
{
	struct writer *w = disk->writer;

	for (uint32_t i = 0; w->tables != NULL && i < header(disk)->l1_entries;
	     i++)
		free(w->tables[i]);
	free(w->tables);
	free(w->dirty);
	free(w->drops);
	free(w->head);
	free(w->tail);
	refcounts_close(&w->refs);
	free(w);
	disk->writer = NULL;
}

/* ---- L2 tables ---- */

static struct l2 *
l2_new(struct disk *disk, uint32_t index, uint64_t host)
{
	size_t rows = table_rows(disk);
	struct l2 *t = calloc(1, sizeof(*t) + rows * 8);

	if (t == NULL)
		return NULL;
	t->host = host;
	t->index = index;
	t->lo = rows;
	disk->writer->tables[index] = t;
	disk->writer->loaded++;
	return t;
}

void
l2_note(struct disk *disk, struct l2 *t, size_t lo, size_t hi)
{
	struct writer *w = disk->writer;

	if (lo < t->lo)
		t->lo = lo;
	if (hi > t->hi)
		t->hi = hi;
	if (t->listed)
		return;
	t->listed = true;
	w->dirty[w->ndirty++] = t->index;
}

static void
l2_set(struct disk *disk, struct l2 *t, size_t row, uint64_t entry)
{
	t->rows[row] = entry;
	l2_note(disk, t, row, row + 1);
}

static int
l2_load(struct disk *disk, uint32_t index, uint64_t entry, struct l2 **table,
    struct err *err)
{
	uint64_t host = entry & QCOW2_OFFSET, span, at;
	struct l2 *t;
	int error;

	if ((entry & QCOW2_COPIED) == 0) {
		uint64_t count;

		error = refcounts_get(&disk->writer->refs, host, &count, err);
		if (error != 0)
			return error;
		if (count != 1)
			return err_set(err, -EIO,
			    "%s: the L2 table at %" PRIu64 " has %" PRIu64
			    " references; repair the image with \"disk "
			    "repair\"",
			    disk->top->path, host, count);
	}
	t = l2_new(disk, index, host);
	if (t == NULL)
		return no_memory(disk, err);
	span = (uint64_t)table_rows(disk) << header(disk)->cluster_bits;
	error = layer_read_l2(
	    disk->top, index * span, t->rows, table_rows(disk), &at, err);
	for (size_t i = 0; error == 0 && i < table_rows(disk); i++) {
		const char *bad = qcow2_bad_l2(header(disk), t->rows[i]);

		if (bad != NULL)
			error = err_set(err, -EIO,
			    "%s: L2 entry 0x%" PRIx64 " %s; the image is "
			    "damaged",
			    disk->top->path, t->rows[i], bad);
	}
	if (error != 0) {
		disk->writer->tables[index] = NULL;
		disk->writer->loaded--;
		free(t);
		return error;
	}
	*table = t;
	return 0;
}

int
l2_get(struct disk *disk, uint64_t offset, bool make, struct l2 **table,
    struct err *err)
{
	struct writer *w = disk->writer;
	uint32_t index = (uint32_t)(offset >>
	    (header(disk)->cluster_bits + qcow2_l2_bits(header(disk))));
	uint64_t host, got;
	bool fresh;
	int error;

	assert(index < header(disk)->l1_entries);
	*table = w->tables[index];
	if (*table != NULL)
		return 0;
	if ((disk->top->l1[index] & QCOW2_OFFSET) != 0)
		return l2_load(disk, index, disk->top->l1[index], table, err);
	if (!make)
		return 0;
	/* The map must not be made of what the file has there. */
	if (offset < disk->top->size &&
	    map_chunk(disk->set, disk->top, offset, err) == NULL)
		return -EIO;
	error = refcounts_take(&w->refs, 1, &host, &got, &fresh, err);
	if (error != 0)
		return error;
	*table = l2_new(disk, index, host);
	if (*table == NULL)
		return no_memory(disk, err);
	(*table)->fresh = true;
	l2_note(disk, *table, 0, table_rows(disk));
	disk->top->l1[index] = host | QCOW2_COPIED;
	return 0;
}

/* ---- clusters ---- */

int
drop_later(struct disk *disk, uint64_t offset, struct err *err)
{
	struct writer *w = disk->writer;

	if (w->ndrops == w->room) {
		size_t room = w->room * 2 + 64;
		uint64_t *more = realloc(w->drops, room * sizeof(*more));

		if (more == NULL)
			return no_memory(disk, err);
		w->drops = more;
		w->room = room;
	}
	w->drops[w->ndrops++] = offset;
	return 0;
}

/* What an L2 entry named will lose a reference. */
static int
drop_entry(struct disk *disk, uint64_t entry, struct err *err)
{
	uint64_t cluster = qcow2_cluster_bytes(header(disk));
	uint64_t offset = entry & QCOW2_OFFSET;
	uint32_t len = 1;
	int error = 0;

	if ((entry & QCOW2_COMPRESSED) != 0)
		qcow2_compressed(header(disk), entry, &offset, &len);
	else if (offset == 0)
		return 0;
	if (refcounts_is_table(&disk->writer->refs, offset))
		return err_set(err, -EIO,
		    "%s: the cluster at %" PRIu64 " is named as data, but "
		    "has a table; the image is damaged, copy what can be read "
		    "with \"disk clone --full\"",
		    disk->top->path, offset);
	for (uint64_t at = offset & ~(cluster - 1);
	     at < offset + len && error == 0; at += cluster)
		error = drop_later(disk, at, err);
	return error;
}

/* Tells the map about count clusters from offset on, all in chunk, which was
 * had beforehand: that can fail, and the map must not be behind the tables. */
static void
map_set(struct disk *disk, struct chunk *chunk, uint64_t offset, uint64_t count,
    enum piece kind, uint64_t host)
{
	uint64_t step = UINT64_C(1) << chunk->piece_bits;
	uint64_t n = count << header(disk)->cluster_bits >> chunk->piece_bits;
	size_t first = (size_t)((offset & ((UINT64_C(1) << CHUNK_BITS) - 1)) >>
	    chunk->piece_bits);

	for (uint64_t i = 0; i < n; i++) {
		chunk->pieces[first + i] = kind == PIECE_HOLE
		    ? 0
		    : piece_make(kind, disk->top->number, host);
		host += kind == PIECE_DATA ? step : 0;
	}
}

/* Whether the cluster of this entry may be overwritten where it is. */
static bool
is_own(const struct disk *disk, uint64_t entry)
{
	return (entry & (QCOW2_COPIED | QCOW2_COMPRESSED | QCOW2_ZERO)) ==
	    QCOW2_COPIED &&
	    !refcounts_is_table(&disk->writer->refs, entry & QCOW2_OFFSET);
}

/* Writes len bytes at offset that are in place, up to the end of the run.
 * *done 0: the first cluster is not. */
static int
write_own_run(struct disk *disk, const struct l2 *t, const struct iovec *iov,
    int n, uint64_t offset, size_t len, size_t *done, struct err *err)
{
	uint64_t cluster = qcow2_cluster_bytes(header(disk)), host, run;
	uint64_t within = offset & (cluster - 1);
	size_t row = row_of(disk, offset);
	struct iovec part[FILE_MAX_IOV];
	int parts, error;

	*done = 0;
	if (t == NULL || !is_own(disk, t->rows[row]))
		return 0;
	host = (t->rows[row] & QCOW2_OFFSET) + within;
	run = cluster - within;
	while (run < len && ++row < table_rows(disk) &&
	    is_own(disk, t->rows[row]) &&
	    (t->rows[row] & QCOW2_OFFSET) == host + run)
		run += cluster;
	len = iov_part(iov, n, 0, run < len ? (size_t)run : len, part, &parts);
	error = file_writev(disk->top->fd, part, parts, host);
	if (error != 0)
		return err_sys(
		    err, error, NULL, "%s: cannot be written", disk->top->path);
	node_wrote(disk);
	*done = len;
	return 0;
}

int
writer_in_place(struct disk *disk, const struct iovec *iov, int n,
    uint64_t offset, size_t *done, struct err *err)
{
	size_t total = iov_total(iov, n);
	unsigned int bits =
	    header(disk)->cluster_bits + qcow2_l2_bits(header(disk));

	for (*done = 0; *done < total;) {
		const struct l2 *t =
		    disk->writer->tables[(offset + *done) >> bits];
		struct iovec part[FILE_MAX_IOV];
		size_t now, len;
		int parts, error;

		len = iov_part(iov, n, *done, total - *done, part, &parts);
		error = write_own_run(
		    disk, t, part, parts, offset + *done, len, &now, err);
		if (error != 0 || now == 0)
			return error;
		*done += now;
	}
	return 0;
}

/* ---- allocating writes ---- */

/* Reads len bytes at offset as they are now, zeros past the end of the disk;
 * or, if fresh and they are no data anyway, sets *len 0. */
static int
read_around(struct disk *disk, uint8_t *to, uint64_t offset, size_t *len,
    bool fresh, struct err *err)
{
	uint64_t size = disk->top->size;
	size_t inside = offset >= size ? 0 : *len;
	struct iovec iov = { to, 0 };
	struct disk_extent x = { 0 };
	int error;

	if (inside > size - offset && inside > 0)
		inside = (size_t)(size - offset);
	if (fresh && inside > 0) {
		error = node_extent(disk, offset, inside, &x, err);
		if (error != 0)
			return error;
	}
	if (fresh && (inside == 0 || (!x.data && x.len == inside))) {
		*len = 0;
		return 0;
	}
	memset(to + inside, 0, *len - inside);
	iov.iov_len = inside;
	return inside > 0 ? node_read(disk, &iov, 1, offset, false, err) : 0;
}

/* Writes data (all of its len bytes, within the clusters at host) with what
 * surrounds it. */
static int
write_around(struct disk *disk, const struct iovec *iov, int n, uint64_t offset,
    size_t len, uint64_t host, bool fresh, struct err *err)
{
	struct writer *w = disk->writer;
	uint64_t mask = qcow2_cluster_bytes(header(disk)) - 1;
	size_t head = (size_t)(offset & mask);
	size_t tail = (size_t)(-(offset + len) & mask), before, after;
	struct iovec all[FILE_MAX_IOV + 2];
	int count = 0, error;

	before = head;
	after = tail;
	error = before > 0
	    ? read_around(disk, w->head, offset - head, &before, fresh, err)
	    : 0;
	if (error == 0 && after > 0)
		error = read_around(
		    disk, w->tail, offset + len, &after, fresh, err);
	if (error != 0)
		return error;
	if (before > 0)
		all[count++] = (struct iovec){ w->head, before };
	else
		host += head;
	memcpy(all + count, iov, (size_t)n * sizeof(*iov));
	count += n;
	if (after > 0)
		all[count++] = (struct iovec){ w->tail, after };
	/* One call of at most FILE_MAX_IOV. */
	for (int i = 0; i < count && error == 0; i += FILE_MAX_IOV) {
		int now = count - i < FILE_MAX_IOV ? count - i : FILE_MAX_IOV;

		error = file_writev(disk->top->fd, all + i, now, host);
		host += iov_total(all + i, now);
	}
	node_wrote(disk);
	return error == 0 ? 0
			  : err_sys(err, error, NULL, "%s: cannot be written",
				disk->top->path);
}

/* Gives clusters back that nothing has named yet. */
static void
untake(struct disk *disk, uint64_t host, uint64_t count)
{
	uint64_t left;

	for (uint64_t i = 0; i < count; i++)
		refcounts_drop(&disk->writer->refs,
		    host + (i << header(disk)->cluster_bits), &left, NULL);
}

/* Names count clusters at host in the table and the map. */
static int
name_clusters(struct disk *disk, struct l2 *t, struct chunk *chunk,
    uint64_t offset, uint64_t count, uint64_t host, struct err *err)
{
	size_t row = row_of(disk, offset);
	unsigned int bits = header(disk)->cluster_bits;
	uint64_t named;
	int error = 0;

	for (named = 0; named < count; named++) {
		error = drop_entry(disk, t->rows[row + named], err);
		if (error != 0)
			break;
		l2_set(disk, t, row + named,
		    (host + (named << bits)) | QCOW2_COPIED);
	}
	untake(disk, host + (named << bits), count - named);
	map_set(disk, chunk, offset & ~((UINT64_C(1) << bits) - 1), named,
	    PIECE_DATA, host);
	return error;
}

/* Writes the first bytes of a write to new clusters. */
static int
write_new_run(struct disk *disk, struct l2 *t, const struct iovec *iov, int n,
    uint64_t offset, size_t *len, struct err *err)
{
	unsigned int bits = header(disk)->cluster_bits;
	uint64_t cluster = UINT64_C(1) << bits, host, got, want;
	uint64_t within = offset & (cluster - 1);
	size_t row = row_of(disk, offset), rows = table_rows(disk);
	uint64_t left = (UINT64_C(1) << CHUNK_BITS) -
	    ((offset - within) & ((UINT64_C(1) << CHUNK_BITS) - 1));
	struct iovec part[FILE_MAX_IOV];
	struct chunk *chunk;
	bool fresh;
	int parts, error;

	chunk = map_own_chunk(disk->set, disk->top, offset, err);
	if (chunk == NULL)
		return -EIO;
	for (want = 1; (want << bits) < within + *len && want << bits < left &&
	     want << bits < MAX_RUN_BYTES && row + want < rows;
	     want++)
		if (is_own(disk, t->rows[row + want]))
			break;
	error =
	    refcounts_take(&disk->writer->refs, want, &host, &got, &fresh, err);
	if (error != 0)
		return error;
	if (*len > (got << bits) - within)
		*len = (size_t)((got << bits) - within);
	*len = iov_part(iov, n, 0, *len, part, &parts);
	error = write_around(disk, part, parts, offset, *len, host, fresh, err);
	if (error != 0) {
		untake(disk, host, got);
		return error;
	}
	/* More iovecs than fit may have left clusters over. */
	want = (within + *len + cluster - 1) >> bits;
	untake(disk, host + (want << bits), got - want);
	return name_clusters(disk, t, chunk, offset, want, host, err);
}

int
writer_write(struct disk *disk, const struct iovec *iov, int n, uint64_t offset,
    struct err *err)
{
	size_t total = iov_total(iov, n), done = 0;

	while (done < total) {
		struct iovec part[FILE_MAX_IOV];
		struct l2 *t;
		size_t now = 0, len;
		int parts, error = l2_get(disk, offset + done, true, &t, err);

		if (error != 0)
			return error;
		len = iov_part(iov, n, done, total - done, part, &parts);
		error = write_own_run(
		    disk, t, part, parts, offset + done, len, &now, err);
		if (error == 0 && now == 0) {
			now = len;
			error = write_new_run(
			    disk, t, part, parts, offset + done, &now, err);
		}
		if (error != 0)
			return error;
		done += now;
	}
	return 0;
}

/* ---- zeros ---- */

/* Part of a cluster. */
static int
zero_bytes(struct disk *disk, uint64_t offset, uint64_t len, struct err *err)
{
	struct disk_extent x;
	uint64_t seen = offset < disk->top->size ? disk->top->size - offset : 0;
	struct iovec iov;
	int error = 0;

	if (seen > len)
		seen = len;
	if (seen > 0)
		error = node_extent(disk, offset, seen, &x, err);
	if (error != 0 || seen == 0 || (!x.data && x.len == seen))
		return error;
	iov.iov_base = calloc(1, (size_t)len);
	iov.iov_len = (size_t)len;
	if (iov.iov_base == NULL)
		return no_memory(disk, err);
	error = writer_write(disk, &iov, 1, offset, err);
	free(iov.iov_base);
	return error;
}

int
zero_cluster(struct disk *disk, uint64_t offset, bool discard, struct err *err)
{
	bool backed = disk->top->parent != NULL;
	bool flags = header(disk)->version >= 3;
	struct chunk *chunk;
	struct l2 *t;
	uint64_t old;
	size_t row = row_of(disk, offset);
	int error = l2_get(disk, offset, false, &t, err);

	if (error != 0)
		return error;
	old = t != NULL ? t->rows[row] : 0;
	if (!backed && old == 0)
		return 0;
	if (backed && !flags)
		return discard ? 0
			       : zero_bytes(disk, offset,
				     qcow2_cluster_bytes(header(disk)), err);
	if (backed && (old & ~(QCOW2_COPIED | QCOW2_OFFSET)) == QCOW2_ZERO &&
	    (old & QCOW2_OFFSET) == 0)
		return 0;
	chunk = map_own_chunk(disk->set, disk->top, offset, err);
	if (chunk == NULL)
		return -EIO;
	error = l2_get(disk, offset, true, &t, err);
	if (error == 0)
		error = drop_entry(disk, old, err);
	if (error != 0)
		return error;
	l2_set(disk, t, row, backed ? QCOW2_ZERO : 0);
	map_set(disk, chunk, offset, 1, backed ? PIECE_ZERO : PIECE_HOLE, 0);
	return 0;
}

int
writer_zero(struct disk *disk, uint64_t offset, uint64_t len, bool discard,
    struct err *err)
{
	uint64_t cluster = qcow2_cluster_bytes(header(disk));
	uint64_t end = offset + len, size = disk->top->size;
	int error = 0;

	/* The last cluster is whole up to the end of the disk. */
	if (end == size)
		end = (end + cluster - 1) & ~(cluster - 1);
	while (offset < end && error == 0) {
		uint64_t within = offset & (cluster - 1);
		uint64_t n = cluster - within;

		if (n > end - offset)
			n = end - offset;
		if (n == cluster)
			error = zero_cluster(disk, offset, discard, err);
		else if (!discard)
			error = zero_bytes(disk, offset,
			    offset < size && n > size - offset ? size - offset
							       : n,
			    err);
		offset += n;
	}
	return error;
}

int
writer_own(struct disk *disk, uint64_t offset, struct err *err)
{
	uint64_t cluster = qcow2_cluster_bytes(header(disk));
	uint64_t len = disk->top->size - offset;
	struct disk_extent x;
	struct iovec iov;
	struct l2 *t;
	int error = l2_get(disk, offset, true, &t, err);

	if (error != 0)
		return error;
	if (t->rows[row_of(disk, offset)] != 0)
		return 0;
	if (len > cluster)
		len = cluster;
	error = node_extent(disk, offset, len, &x, err);
	if (error == 0 && !x.data && x.len == len &&
	    header(disk)->version >= 3 && disk->top->parent != NULL)
		return zero_cluster(disk, offset, false, err);
	iov.iov_base = calloc(1, cluster);
	iov.iov_len = len;
	if (iov.iov_base == NULL)
		return no_memory(disk, err);
	if (error == 0)
		error = node_read(disk, &iov, 1, offset, false, err);
	if (error == 0)
		error = writer_write(disk, &iov, 1, offset, err);
	free(iov.iov_base);
	return error;
}
