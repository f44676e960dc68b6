/*
 * The three steps of a flush (writer.c).
 */
#include "disk/writer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "disk/file.h"
#include "disk/map.h"

#define MAX_TABLES_BYTES (UINT64_C(64) << 20) /* of L2 tables kept */
#define MAX_DIRTY_BYTES  (UINT64_C(16) << 20) /* of L2 tables unwritten */
#define MAX_DROPS        (1u << 18)

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
