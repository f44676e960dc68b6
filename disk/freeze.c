/*
 * A new top image on disks that are in use.
 *
 *     before          the moment          committed
 *
 *                     overlay, written    overlay, written
 *     top, written    top, flushed        top, frozen
 *     base            base                base
 *
 * All that may take long is done before the moment, as opening the overlay, or
 * after it.  The moment itself exchanges pointers, under the lock, so that it cuts no request in two.
 * Then the old top is flushed by its own writer, while others write to the
 * overlay; since nothing on the disk names the overlay yet, a flush of the disk
 * has to wait until that is done and committed.
 *
 * If it cannot be, what the overlay has got meanwhile is written to the old top,
 * which goes on.
 */
#include "disk/freeze.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "disk/lock.h"
#include "disk/map.h"
#include "disk/node.h"

#define COPY_BYTES (1u << 20)

/* One disk's; other has the image that the disk itself has not: the overlay
 * before the moment, the old top after it. */
struct side {
	struct disk *disk, *other;
	char *path, *frozen; /* the overlay's and the old top's, in the end */
	bool switched;
};

/* ---- before ---- */

static int
open_overlay(struct side *s, const char *path, struct err *err)
{
	struct disk *disk = s->disk, *other = s->other;
	size_t layers = disk->top->number + 2;
	int error = 0;

	other->top = layer_open(
	    disk->set, path, "qcow2", LAYER_WRITE | LAYER_ALONE, &error, err);
	if (other->top == NULL)
		return error;
	if (other->top->size != disk->top->size ||
	    other->top->header.backing[0] == '\0')
		return err_set(err, -EINVAL,
		    "%s: is no image for the top of %s, or is of another size",
		    path, disk->top->path);
	if (layers > LAYER_MAX_DEPTH)
		return err_set(err, -ELOOP,
		    "%s: more than %u images in a chain", disk->top->path,
		    LAYER_MAX_DEPTH);
	other->layers = calloc(layers, sizeof(*other->layers));
	other->visible = calloc(layers, sizeof(*other->visible));
	if (other->layers == NULL || other->visible == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	pthread_mutex_lock(&disk->set->lock);
	error = map_prepare(other->top, err);
	pthread_mutex_unlock(&disk->set->lock);
	return error == 0 ? writer_open(other, err) : error;
}

static int
prepare(struct side *s, const struct disk_freezing *f, struct err *err)
{
	struct disk *disk = f->disk;

	s->disk = disk;
	s->path = strdup(disk->top->path);
	s->frozen = strdup(f->frozen);
	s->other = node_new(disk->set);
	if (s->path == NULL || s->frozen == NULL || s->other == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", f->overlay);
	assert(disk->writer != NULL);
	return open_overlay(s, f->overlay, err);
}

/* ---- the moment ---- */

#define EXCHANGE(a, b)             \
	do {                       \
		void *held_ = (a); \
		(a) = (b);         \
		(b) = held_;       \
	} while (0)

static void
exchange(struct disk *a, struct disk *b)
{
	EXCHANGE(a->top, b->top);
	EXCHANGE(a->writer, b->writer);
	EXCHANGE(a->layers, b->layers);
	EXCHANGE(a->visible, b->visible);
}

/* Alone.  The old top's user is the overlay from now on. */
static void
put_on_top(struct side *s)
{
	struct layer *old = s->disk->top, *top = s->other->top;
	bool unsynced = atomic_load(&s->disk->unsynced);

	pthread_mutex_lock(&s->disk->set->lock);
	top->parent = old;
	top->number = old->number + 1;
	pthread_mutex_unlock(&s->disk->set->lock);
	exchange(s->disk, s->other);
	node_list_layers(s->disk);
	node_wrote(s->disk);
	atomic_store(&s->other->unsynced, unsynced);
	s->switched = true;
}

static int
switch_all(struct side *sides, size_t n)
{
	int error = 0;

	for (size_t i = 0; i < n; i++)
		pthread_rwlock_wrlock(&sides[i].disk->lock);
	for (size_t i = 0; i < n; i++)
		if (sides[i].disk->failed)
			error = -EIO;
	for (size_t i = 0; i < n && error == 0; i++)
		put_on_top(&sides[i]);
	for (size_t i = n; i > 0; i--)
		pthread_rwlock_unlock(&sides[i - 1].disk->lock);
	return error;
}

/* ---- after it ---- */

/* The old top's writer; nobody else uses it any more. */
static int
flush_old(struct disk *old, struct err *err)
{
	int error;

	do {
		error = writer_flush(old, true, err);
	} while (error == 0 && !writer_is_clean(old));
	return error;
}

static void
keep(struct side *s)
{
	struct layer *old = s->other->top;

	writer_close(s->other);
	s->other->top = NULL; /* the overlay's */
	lock_keep(old->fd, RIGHT_READ, RIGHT_WRITE | RIGHT_RESIZE);
	pthread_rwlock_wrlock(&s->disk->lock); /* of who writes a sentence */
	pthread_mutex_lock(&s->disk->set->lock);
	EXCHANGE(old->path, s->frozen);
	EXCHANGE(s->disk->top->path, s->path);
	old->writable = false; /* others may stand on it, too */
	pthread_mutex_unlock(&s->disk->set->lock);
	pthread_rwlock_unlock(&s->disk->lock);
}

static int
take_piece(struct side *s, const struct disk_extent *x, uint8_t *buffer)
{
	struct iovec iov = { buffer, (size_t)x->len };
	int error;

	if (!x->data)
		return writer_zero(s->other, x->offset, x->len, false, NULL);
	error = node_read(s->disk, &iov, 1, x->offset, false, NULL);
	return error == 0 ? writer_write(s->other, &iov, 1, x->offset, NULL)
			  : error;
}

/* Alone.  What the overlay has goes to the old top. */
static int
take_back(struct side *s)
{
	uint8_t *buffer = malloc(COPY_BYTES);
	uint64_t size = s->disk->top->size;
	struct disk_extent x;
	int error = buffer == NULL ? -ENOMEM : 0;

	for (uint64_t at = 0; at < size && error == 0; at += x.len) {
		uint64_t left = size - at;

		error = node_extent(s->disk, at, left, &x, NULL);
		if (error == 0 && x.present && x.depth == 0) {
			if (x.data && x.len > COPY_BYTES)
				x.len = COPY_BYTES;
			error = take_piece(s, &x, buffer);
		}
	}
	free(buffer);
	return error;
}

static void
undo(struct side *s)
{
	struct disk *disk = s->disk;

	pthread_rwlock_wrlock(&disk->lock);
	if (take_back(s) != 0)
		disk->failed = true;
	exchange(disk, s->other);
	node_wrote(disk);
	disk->failed |= s->other->failed;
	disk->inflated_piece = 0;
	pthread_mutex_lock(&disk->set->lock);
	s->other->top->parent = NULL;
	pthread_mutex_unlock(&disk->set->lock);
	pthread_rwlock_unlock(&disk->lock);
}

static int
freeze(struct side *sides, const struct disk_freezing *disks, size_t n,
    const struct disk_freeze_calls *calls, struct err *err)
{
	int error = 0;

	for (size_t i = 0; i < n && error == 0; i++)
		error = prepare(&sides[i], &disks[i], err);
	if (error == 0 && switch_all(sides, n) != 0)
		error = err_set(err, -EIO,
		    "%s: an earlier write did not reach the disk; open the "
		    "image again",
		    disks[0].disk->top->path);
	if (error == 0 && calls->frozen != NULL)
		calls->frozen(calls->arg);
	for (size_t i = 0; i < n && error == 0; i++)
		error = flush_old(sides[i].other, err);
	if (error == 0)
		error = calls->commit(calls->arg, err);
	for (size_t i = 0; i < n; i++) {
		if (sides[i].switched && error == 0)
			keep(&sides[i]);
		else if (sides[i].switched)
			undo(&sides[i]);
	}
	return error;
}

int
disk_freeze(const struct disk_freezing *disks, size_t n,
    const struct disk_freeze_calls *calls, struct err *err)
{
	struct side *sides = calloc(n + 1, sizeof(*sides));
	int error;

	if (sides == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	for (size_t i = 0; i < n; i++)
		pthread_mutex_lock(&disks[i].disk->flushing);
	error = freeze(sides, disks, n, calls, err);
	for (size_t i = n; i > 0; i--)
		pthread_mutex_unlock(&disks[i - 1].disk->flushing);
	for (size_t i = 0; i < n; i++) {
		if (sides[i].other != NULL)
			node_free(sides[i].other);
		free(sides[i].path);
		free(sides[i].frozen);
	}
	free(sides);
	return error;
}
