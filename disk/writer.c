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
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "disk/file.h"
#include "disk/map.h"
#include "disk/node.h"
#include "disk/refcount.h"

#define MAX_TABLES_BYTES (UINT64_C(64) << 20) /* of L2 tables kept */
#define MAX_DIRTY_BYTES  (UINT64_C(16) << 20) /* of L2 tables unwritten */
#define MAX_DROPS        (1u << 18)
#define MAX_RUN_BYTES    (UINT64_C(4) << 20) /* allocated in one go */

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

/* What one flush has to write in step 2. */
struct patch {
	uint64_t at;
	size_t bytes; /* in data from start on */
	size_t start;
	uint32_t index;
	bool was_fresh;
	size_t lo, hi;
};

struct batch {
	struct patch *patches;
	size_t n;
	uint8_t *data;
	uint64_t *drops;
	size_t ndrops;
	bool counts; /* were written */
};

static int
no_memory(const struct disk *disk, struct err *err)
{
	return err_set(err, -ENOMEM, "%s: out of memory", disk->top->path);
}

static const struct qcow2 *
header(const struct disk *disk)
{
	return &disk->top->header;
}

static size_t
table_rows(const struct disk *disk)
{
	return (size_t)1 << qcow2_l2_bits(header(disk));
}

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

static void
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

/* The table for offset, made if need be.  NULL without make: there is none. */
static int
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

static size_t
row_of(const struct disk *disk, uint64_t offset)
{
	return (size_t)(offset >> header(disk)->cluster_bits) &
	    (table_rows(disk) - 1);
}

/* ---- clusters ---- */

static int
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

/* Tells the map about count clusters from offset on. */
static int
map_set(struct disk *disk, uint64_t offset, uint64_t count, enum piece kind,
    uint64_t host, struct err *err)
{
	uint64_t end = offset + (count << header(disk)->cluster_bits);

	while (offset < end && offset < disk->top->size) {
		struct chunk *chunk =
		    map_own_chunk(disk->set, disk->top, offset, err);
		uint64_t stop = (offset >> CHUNK_BITS) + 1;
		uint64_t step;

		if (chunk == NULL) {
			disk->failed = true; /* the map is behind the tables */
			return -ENOMEM;
		}
		stop <<= CHUNK_BITS;
		step = UINT64_C(1) << chunk->piece_bits;
		for (; offset < end && offset < stop; offset += step) {
			size_t i =
			    (size_t)((offset &
					 ((UINT64_C(1) << CHUNK_BITS) - 1)) >>
				chunk->piece_bits);

			chunk->pieces[i] = kind == PIECE_HOLE
			    ? 0
			    : piece_make(kind, disk->top->number, host);
			host += kind == PIECE_DATA ? step : 0;
		}
	}
	return 0;
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
name_clusters(struct disk *disk, struct l2 *t, uint64_t offset, uint64_t count,
    uint64_t host, struct err *err)
{
	size_t row = row_of(disk, offset);
	unsigned int bits = header(disk)->cluster_bits;
	uint64_t named;
	int error = 0, mapped = 0;

	for (named = 0; named < count; named++) {
		error = drop_entry(disk, t->rows[row + named], err);
		if (error != 0)
			break;
		l2_set(disk, t, row + named,
		    (host + (named << bits)) | QCOW2_COPIED);
	}
	untake(disk, host + (named << bits), count - named);
	if (named > 0)
		mapped = map_set(disk, offset & ~((UINT64_C(1) << bits) - 1),
		    named, PIECE_DATA, host, err);
	return error != 0 ? error : mapped;
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
	struct iovec part[FILE_MAX_IOV];
	bool fresh;
	int parts, error;

	for (want = 1; (want << bits) < within + *len &&
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
	return name_clusters(disk, t, offset, want, host, err);
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

/* One whole cluster. */
static int
zero_cluster(struct disk *disk, uint64_t offset, bool discard, struct err *err)
{
	bool backed = disk->top->parent != NULL;
	bool flags = header(disk)->version >= 3;
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
	error = l2_get(disk, offset, true, &t, err);
	if (error == 0)
		error = drop_entry(disk, old, err);
	if (error != 0)
		return error;
	l2_set(disk, t, row, backed ? QCOW2_ZERO : 0);
	return map_set(
	    disk, offset, 1, backed ? PIECE_ZERO : PIECE_HOLE, 0, err);
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

/* ---- flushing ---- */

bool
writer_is_full(const struct disk *disk)
{
	const struct writer *w = disk->writer;

	return w->ndirty * table_rows(disk) * 8 > MAX_DIRTY_BYTES ||
	    w->ndrops > MAX_DROPS;
}

static void
put_rows(uint8_t *to, const uint64_t *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_be64(to + i * 8, rows[i]);
}

/* Step 1 for a new table; its place in L1 is for step 2. */
static int
write_fresh(struct disk *disk, struct l2 *t, struct err *err)
{
	size_t bytes = table_rows(disk) * 8;
	uint8_t *data = malloc(bytes);
	int error;

	if (data == NULL)
		return no_memory(disk, err);
	put_rows(data, t->rows, table_rows(disk));
	error = file_write(disk->top->fd, data, bytes, t->host);
	free(data);
	return error == 0
	    ? 0
	    : err_sys(err, error, NULL, "%s: an L2 table cannot be written",
		  disk->top->path);
}

static void
patch_l1(struct disk *disk, const struct l2 *t, struct batch *b, size_t *used)
{
	struct patch *p = &b->patches[b->n++];

	*p = (struct patch){ .at = header(disk)->l1_offset +
		    (uint64_t)t->index * 8,
		.bytes = 8,
		.start = *used,
		.index = t->index,
		.was_fresh = true,
		.hi = table_rows(disk) };
	put_be64(b->data + *used, disk->top->l1[t->index]);
	*used += 8;
}

static void
patch_l2(const struct l2 *t, struct batch *b, size_t *used)
{
	struct patch *p = &b->patches[b->n++];

	*p = (struct patch){ .at = t->host + t->lo * 8,
		.bytes = (t->hi - t->lo) * 8,
		.start = *used,
		.index = t->index,
		.lo = t->lo,
		.hi = t->hi };
	put_rows(b->data + *used, t->rows + t->lo, t->hi - t->lo);
	*used += p->bytes;
}

static void
free_batch(struct batch *b)
{
	free(b->patches);
	free(b->data);
	free(b->drops);
}

/* Step 1 without its sync; the batch gets what step 2 and 3 need.  Fails
 * without having forgotten anything. */
static int
collect(struct disk *disk, struct batch *b, struct err *err)
{
	struct writer *w = disk->writer;
	size_t bytes = 0, used = 0;
	int error;

	b->counts = w->refs.any_dirty || w->refs.any_new;
	error = refcounts_write(&w->refs, err);

	for (size_t i = 0; i < w->ndirty; i++) {
		const struct l2 *t = w->tables[w->dirty[i]];

		bytes += t->fresh ? 8 : (t->hi - t->lo) * 8;
	}
	b->patches = calloc(w->ndirty + 1, sizeof(*b->patches));
	b->data = malloc(bytes + 8);
	if (error == 0 && (b->patches == NULL || b->data == NULL))
		error = no_memory(disk, err);
	for (size_t i = 0; i < w->ndirty && error == 0; i++)
		if (w->tables[w->dirty[i]]->fresh)
			error = write_fresh(disk, w->tables[w->dirty[i]], err);
	if (error != 0)
		return error;
	for (size_t i = 0; i < w->ndirty; i++) {
		struct l2 *t = w->tables[w->dirty[i]];

		if (t->fresh)
			patch_l1(disk, t, b, &used);
		else
			patch_l2(t, b, &used);
		t->fresh = t->listed = false;
		t->lo = table_rows(disk);
		t->hi = 0;
	}
	w->ndirty = 0;
	b->drops = w->drops;
	b->ndrops = w->ndrops;
	w->drops = NULL;
	w->ndrops = w->room = 0;
	return 0;
}

/* Step 2 with both syncs; without the lock. */
static int
name_all(struct disk *disk, const struct batch *b, bool *sync_failed,
    struct err *err)
{
	int error = 0;

	if (atomic_exchange(&disk->unsynced, false) || b->counts || b->n > 0)
		error = file_sync(disk->top->fd);
	*sync_failed = error != 0;
	for (size_t i = 0; i < b->n && error == 0; i++)
		error = file_write(disk->top->fd, b->data + b->patches[i].start,
		    b->patches[i].bytes, b->patches[i].at);
	if (error == 0 && b->n > 0) {
		error = file_sync(disk->top->fd);
		*sync_failed = error != 0;
	}
	return error == 0 ? 0
			  : err_sys(err, error, NULL, "%s: cannot be flushed",
				disk->top->path);
}

/* What a flush that failed did not do is for the next one. */
static void
put_back(struct disk *disk, const struct batch *b)
{
	for (size_t i = 0; i < b->n; i++) {
		struct l2 *t = disk->writer->tables[b->patches[i].index];

		t->fresh |= b->patches[i].was_fresh;
		l2_note(disk, t, b->patches[i].lo, b->patches[i].hi);
	}
	for (size_t i = 0; i < b->ndrops; i++)
		if (drop_later(disk, b->drops[i], NULL) != 0)
			return; /* they leak */
}

static int
compare_numbers(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* Step 3: nothing on the disk names these any more. */
static int
drop_all(struct disk *disk, const struct batch *b, struct err *err)
{
	uint64_t cluster = qcow2_cluster_bytes(header(disk));
	uint64_t from = 0, to = 0, left;
	int error = 0;

	if (b->ndrops > 1)
		qsort(b->drops, b->ndrops, sizeof(*b->drops), compare_numbers);
	for (size_t i = 0; i <= b->ndrops; i++) {
		left = 1;
		if (i < b->ndrops && error == 0)
			error = refcounts_drop(
			    &disk->writer->refs, b->drops[i], &left, err);
		if (i < b->ndrops && (left != 0 || error != 0))
			continue;
		if (i < b->ndrops && b->drops[i] == to && to != 0) {
			to += cluster;
			continue;
		}
		/* Not every file system can; the space stays, then. */
		if (to > from)
			(void)!fallocate(disk->top->fd,
			    FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			    (off_t)from, (off_t)(to - from));
		if (i < b->ndrops) {
			from = b->drops[i];
			to = from + cluster;
		}
	}
	return error;
}

/* Tables that wait for nothing are read again when they are needed. */
static void
forget_tables(struct disk *disk)
{
	struct writer *w = disk->writer;

	if (w->loaded * table_rows(disk) * 8 <= MAX_TABLES_BYTES)
		return;
	for (uint32_t i = 0; i < header(disk)->l1_entries; i++)
		if (w->tables[i] != NULL && !w->tables[i]->listed) {
			free(w->tables[i]);
			w->tables[i] = NULL;
			w->loaded--;
		}
}

int
writer_flush(struct disk *disk, bool halted, struct err *err)
{
	struct batch batch = { 0 };
	bool sync_failed = false;
	int error;

	if (!halted)
		pthread_rwlock_wrlock(&disk->lock);
	error = collect(disk, &batch, err);
	if (!halted)
		pthread_rwlock_unlock(&disk->lock);
	if (error != 0) {
		disk->failed |= disk->writer->refs.failed;
		node_wrote(disk);
		free_batch(&batch);
		return error;
	}
	error = name_all(disk, &batch, &sync_failed, err);
	if (!halted)
		pthread_rwlock_wrlock(&disk->lock);
	if (error != 0) {
		disk->failed |= sync_failed;
		node_wrote(disk);
		put_back(disk, &batch);
	} else {
		error = drop_all(disk, &batch, err);
		forget_tables(disk);
	}
	if (!halted)
		pthread_rwlock_unlock(&disk->lock);
	free_batch(&batch);
	return error;
}

bool
writer_is_clean(const struct disk *disk)
{
	const struct writer *w = disk->writer;

	return w->ndirty == 0 && w->ndrops == 0 && !w->refs.any_dirty &&
	    !w->refs.any_new;
}

/* ---- growing ---- */

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
