/*
 * An open disk: everything of disk.h that is not reading (read.c), writing
 * qcow2's tables (writer.c) or making files (create.c).
 */
#include "disk/disk.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/check.h"
#include "disk/file.h"
#include "disk/map.h"
#include "disk/node.h"
#include "disk/tree.h"

struct disk_set *
disk_set_new(void)
{
	struct disk_set *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	set->slots = slots_new();
	if (set->slots == NULL) {
		free(set);
		return NULL;
	}
	pthread_mutex_init(&set->lock, NULL);
	LIST_INIT(&set->layers);
	return set;
}

void
disk_set_free(struct disk_set *set)
{
	if (set == NULL)
		return;
	assert(LIST_EMPTY(&set->layers));
	pthread_mutex_destroy(&set->lock);
	slots_free(set->slots);
	free(set);
}

/* ---- opening ---- */

void
node_list_layers(struct disk *disk)
{
	uint64_t least = disk->top->size;

	/* A child hides what its parent has past the child's end, and the
	 * parent's end hides what is below it. */
	for (struct layer *l = disk->top; l != NULL; l = l->parent) {
		if (l->size < least)
			least = l->size;
		disk->layers[l->number] = l;
		disk->visible[l->number] = least;
	}
}

static int
list_layers(struct disk *disk, struct err *err)
{
	size_t n = disk->top->number + 1;

	disk->layers = calloc(n, sizeof(*disk->layers));
	disk->visible = calloc(n, sizeof(*disk->visible));
	if (disk->layers == NULL || disk->visible == NULL)
		return err_set(
		    err, -ENOMEM, "%s: out of memory", disk->top->path);
	node_list_layers(disk);
	return 0;
}

struct disk *
node_new(struct disk_set *set)
{
	struct disk *disk = calloc(1, sizeof(*disk));

	if (disk == NULL)
		return NULL;
	disk->set = set;
	/* Whoever wrote before may not have waited for the device. */
	atomic_init(&disk->unsynced, true);
	pthread_rwlock_init(&disk->lock, NULL);
	pthread_mutex_init(&disk->flushing, NULL);
	pthread_mutex_init(&disk->inflating, NULL);
	pthread_mutex_init(&disk->beginning, NULL);
	return disk;
}

void
node_free(struct disk *disk)
{
	if (disk->writer != NULL)
		writer_close(disk);
	if (disk->top != NULL)
		layer_release(disk->set, disk->top);
	pthread_rwlock_destroy(&disk->lock);
	pthread_mutex_destroy(&disk->flushing);
	pthread_mutex_destroy(&disk->inflating);
	pthread_mutex_destroy(&disk->beginning);
	free(disk->inflated);
	free(disk->layers);
	free(disk->visible);
	free(disk);
}

/* An image with lazy counts whose writer did not end: the counts are anyone's
 * guess. */
static int
recount(struct layer *layer, struct err *err)
{
	struct check check;

	return check_repair(layer, &check, err);
}

static int
set_up(struct disk *disk, struct err *err)
{
	int error = list_layers(disk, err);

	if (error == 0) {
		pthread_mutex_lock(&disk->set->lock);
		error = map_prepare(disk->top, err);
		pthread_mutex_unlock(&disk->set->lock);
	}
	if (error == 0 && disk->top->writable && disk->top->qcow2) {
		if ((disk->top->header.incompatible & QCOW2_DIRTY) != 0)
			error = recount(disk->top, err);
		if (error == 0)
			error = writer_open(disk, err);
	}
	return error;
}

/* A file whose mode lets nobody write is frozen, for the superuser, too. */
static int
check_mode(const struct layer *layer, struct err *err)
{
	struct stat st;

	if (!layer->writable || fstat(layer->fd, &st) < 0 ||
	    (st.st_mode & 0222) != 0)
		return 0;
	return err_set(err, -EROFS,
	    "%s: is frozen, as others may stand on it; make a clone of it",
	    layer->path);
}

static unsigned int
layer_flags(unsigned int flags)
{
	return ((flags & DISK_WRITE) != 0 ? LAYER_WRITE : 0) |
	    ((flags & DISK_NO_LOCK) != 0 ? LAYER_NO_LOCK : 0) |
	    ((flags & DISK_OUTSIDE) != 0 ? LAYER_OUTSIDE : 0) |
	    ((flags & DISK_ALONE) != 0 ? LAYER_ALONE : 0) |
	    ((flags & DISK_FROZEN) != 0 ? LAYER_FROZEN : 0);
}

static struct disk *
open_once(struct disk_set *set, const char *path, unsigned int flags, int *code,
    struct err *err)
{
	struct disk *disk = node_new(set);

	if (disk == NULL) {
		*code = err_set(err, -ENOMEM, "%s: out of memory", path);
		return NULL;
	}
	disk->flags = flags;
	disk->top =
	    layer_open(set, path, (flags & DISK_RAW) != 0 ? "raw" : NULL,
		layer_flags(flags), code, err);
	if (disk->top != NULL && (flags & DISK_FROZEN) == 0)
		*code = check_mode(disk->top, err);
	if (disk->top != NULL && *code == 0)
		*code = set_up(disk, err);
	if (*code == 0)
		return disk;
	node_free(disk);
	return NULL;
}

struct disk *
disk_open(struct disk_set *set, const char *path, unsigned int flags, int *code,
    struct err *err)
{
	struct disk *disk;

	assert((flags & (DISK_WRITE | DISK_NO_LOCK)) !=
	    (DISK_WRITE | DISK_NO_LOCK));
	disk = open_once(set, path, flags, code, err);
	/* A compaction has it, which would rather give way; it opens what is
	 * frozen itself. */
	if (disk == NULL && *code == -EBUSY && (flags & DISK_FROZEN) == 0 &&
	    tree_ask_yield(path)) {
		if (err != NULL)
			err_clear(err);
		disk = open_once(set, path, flags, code, err);
	}
	return disk;
}

static bool
has_changes(const struct disk *disk)
{
	return atomic_load(&disk->written) ||
	    (disk->writer != NULL && !writer_is_clean(disk));
}

int
disk_close(struct disk *disk, struct err *err)
{
	int error = 0;

	if (disk == NULL)
		return 0;
	/* The second one writes what the first has given back. */
	if (disk->top->writable && !disk->failed && has_changes(disk)) {
		error = disk_flush(disk, err);
		if (error == 0)
			error = disk_flush(disk, err);
	}
	node_free(disk);
	return error;
}

void
disk_info(const struct disk *disk, struct disk_info *info)
{
	const struct layer *top = disk->top;
	struct stat st;

	*info = (struct disk_info){ .size = top->size,
		.depth = top->number,
		.cluster_bits = top->qcow2 ? top->header.cluster_bits : 0,
		.writable = top->writable,
		.path = top->path,
		.backing = top->header.backing,
		.backing_format = top->header.backing_format };
	if (fstat(top->fd, &st) == 0)
		info->file_bytes = (uint64_t)st.st_blocks * 512;
}

uint64_t
disk_size(const struct disk *disk)
{
	return disk->top->size;
}

const char *
disk_layer_path(const struct disk *disk, unsigned int depth)
{
	unsigned int top = disk->top->number;

	return depth <= top ? disk->layers[top - depth]->path : NULL;
}

/* ---- writing ---- */

static int
check_write(
    const struct disk *disk, uint64_t offset, uint64_t len, struct err *err)
{
	if (!disk->top->writable)
		return err_set(err, -EROFS, "%s: is open for reading only",
		    disk->top->path);
	if (disk->failed)
		return err_set(err, -EIO,
		    "%s: an earlier write did not reach the disk; open the "
		    "image again",
		    disk->top->path);
	return node_check_range(disk, offset, len, err);
}

/* Whether the file would begin as a qcow2 image does: when it is opened next,
 * without being called raw, its writer could name any backing file. */
static bool
becomes_qcow2(
    const struct disk *disk, const struct iovec *iov, int n, uint64_t offset)
{
	uint8_t first[8];
	size_t at = (size_t)offset;

	if (file_read(disk->top->fd, first, sizeof(first), 0) != 0)
		return true;
	for (int i = 0; i < n && at < sizeof(first); i++) {
		size_t len = iov[i].iov_len;

		if (len > sizeof(first) - at)
			len = sizeof(first) - at;
		memcpy(first + at, iov[i].iov_base, len);
		at += len;
	}
	return qcow2_is(first, sizeof(first));
}

static int
write_pieces(struct disk *disk, const struct iovec *iov, int n, uint64_t offset,
    struct err *err)
{
	size_t total = iov_total(iov, n), done = 0;

	while (done < total) {
		struct iovec part[FILE_MAX_IOV];
		int parts, error;
		size_t len = iov_part(iov, n, done, total - done, part, &parts);

		error = file_writev(disk->top->fd, part, parts, offset + done);
		if (error != 0)
			return err_sys(err, error, NULL,
			    "%s: cannot be written", disk->top->path);
		done += len;
	}
	node_wrote(disk);
	return 0;
}

static int
write_raw(struct disk *disk, const struct iovec *iov, int n, uint64_t offset,
    struct err *err)
{
	bool guarded = disk->top->guessed && offset < 8;
	int error = 0;

	if (guarded) {
		pthread_mutex_lock(&disk->beginning);
		if (becomes_qcow2(disk, iov, n, offset))
			error = err_set(err, -EPERM,
			    "%s: would look like a qcow2 image; open it with "
			    "--raw to write that",
			    disk->top->path);
	}
	if (error == 0)
		error = write_pieces(disk, iov, n, offset, err);
	if (guarded)
		pthread_mutex_unlock(&disk->beginning);
	return error;
}

int
disk_writev(struct disk *disk, const struct iovec *iov, int n, uint64_t offset,
    struct err *err)
{
	size_t total = iov_total(iov, n), done = 0;
	bool full = false;
	int error;

	pthread_rwlock_rdlock(&disk->lock);
	error = check_write(disk, offset, total, err);
	if (error == 0 && disk->writer == NULL) {
		error = write_raw(disk, iov, n, offset, err);
		done = total;
	} else if (error == 0) {
		error = writer_in_place(disk, iov, n, offset, &done, err);
	}
	pthread_rwlock_unlock(&disk->lock);
	if (error != 0 || done == total)
		return error;
	pthread_rwlock_wrlock(&disk->lock);
	error = check_write(disk, offset, total, err);
	while (error == 0 && done < total) {
		struct iovec part[FILE_MAX_IOV];
		int parts;
		size_t len = iov_part(iov, n, done, total - done, part, &parts);

		error = writer_write(disk, part, parts, offset + done, err);
		done += len;
	}
	full = error == 0 && writer_is_full(disk);
	pthread_rwlock_unlock(&disk->lock);
	return full ? disk_flush(disk, err) : error;
}

int
disk_write(struct disk *disk, const void *from, size_t len, uint64_t offset,
    struct err *err)
{
	struct iovec iov = { (void *)(uintptr_t)from, len };

	return disk_writev(disk, &iov, 1, offset, err);
}

static int
zero_raw(struct disk *disk, uint64_t offset, uint64_t len, struct err *err)
{
	static const uint8_t zeros[1 << 16];

	node_wrote(disk);
	if (len == 0 ||
	    fallocate(disk->top->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		(off_t)offset, (off_t)len) == 0)
		return 0;
	while (len > 0) {
		size_t n = len < sizeof(zeros) ? (size_t)len : sizeof(zeros);
		int error = file_write(disk->top->fd, zeros, n, offset);

		if (error != 0)
			return err_sys(err, error, NULL,
			    "%s: cannot be written", disk->top->path);
		offset += n;
		len -= n;
	}
	return 0;
}

/* Bounded pieces, so that others get a turn. */
#define ZERO_PIECE (UINT64_C(64) << 20)

static int
zero_or_discard(struct disk *disk, uint64_t offset, uint64_t len, bool discard,
    struct err *err)
{
	bool full;
	int error;

	do {
		uint64_t n = ZERO_PIECE - (offset & (ZERO_PIECE - 1));

		if (n > len)
			n = len;
		pthread_rwlock_wrlock(&disk->lock);
		error = check_write(disk, offset, len, err);
		if (error == 0 && disk->writer == NULL)
			error = zero_raw(disk, offset, n, err);
		else if (error == 0)
			error = writer_zero(disk, offset, n, discard, err);
		full =
		    error == 0 && disk->writer != NULL && writer_is_full(disk);
		pthread_rwlock_unlock(&disk->lock);
		if (full)
			error = disk_flush(disk, err);
		offset += n;
		len -= n;
	} while (error == 0 && len > 0);
	return error;
}

int
disk_zero(struct disk *disk, uint64_t offset, uint64_t len, struct err *err)
{
	return zero_or_discard(disk, offset, len, false, err);
}

int
disk_own(struct disk *disk, uint64_t offset, uint64_t len, struct err *err)
{
	uint64_t end = offset + len, cluster;
	bool full = false;
	int error = 0;

	if (disk->writer == NULL)
		return err_set(err, -ENOTSUP,
		    "%s: is no qcow2 image that is open for writing",
		    disk->top->path);
	cluster = qcow2_cluster_bytes(&disk->top->header);
	offset &= ~(cluster - 1);
	for (; offset < end && error == 0; offset += cluster) {
		pthread_rwlock_wrlock(&disk->lock);
		error = check_write(disk, offset, 0, err);
		if (error == 0 && offset < disk->top->size)
			error = writer_own(disk, offset, err);
		full = error == 0 && writer_is_full(disk);
		pthread_rwlock_unlock(&disk->lock);
		if (full)
			error = disk_flush(disk, err);
	}
	return error;
}

int
disk_discard(struct disk *disk, uint64_t offset, uint64_t len, struct err *err)
{
	return zero_or_discard(disk, offset, len, true, err);
}

int
node_flush(struct disk *disk, struct err *err)
{
	int error;

	if (disk->failed)
		return check_write(disk, 0, 0, err);
	if (disk->writer != NULL)
		return writer_flush(disk, false, err);
	if (!disk->top->writable || !atomic_exchange(&disk->unsynced, false))
		return 0;
	error = file_sync(disk->top->fd);
	if (error == 0)
		return 0;
	disk->failed = true;
	return err_sys(
	    err, error, NULL, "%s: cannot be synced", disk->top->path);
}

void
disk_push(struct disk *disk)
{
	pthread_rwlock_rdlock(&disk->lock);
	/* Where it cannot, the flush takes longer. */
	(void)!sync_file_range(disk->top->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	pthread_rwlock_unlock(&disk->lock);
}

int
disk_flush(struct disk *disk, struct err *err)
{
	int error;

	pthread_mutex_lock(&disk->flushing);
	error = node_flush(disk, err);
	pthread_mutex_unlock(&disk->flushing);
	return error;
}

/* ---- resizing ---- */

static int
resize_raw(struct disk *disk, uint64_t size, struct err *err)
{
	if (ftruncate(disk->top->fd, (off_t)size) < 0)
		return err_sys(
		    err, -errno, NULL, "%s: cannot grow", disk->top->path);
	node_wrote(disk);
	disk->top->size = size;
	return 0;
}

int
disk_resize(struct disk *disk, uint64_t size, struct err *err)
{
	int error;

	pthread_mutex_lock(&disk->flushing);
	pthread_rwlock_wrlock(&disk->lock);
	error = check_write(disk, 0, 0, err);
	if (error == 0 && size < disk->top->size)
		error = err_set(err, -EINVAL,
		    "%s: %" PRIu64 " bytes are less than the disk has (%" PRIu64
		    "); a disk only grows",
		    disk->top->path, size, disk->top->size);
	if (error == 0 && size > QCOW2_MAX_BYTES)
		error = err_set(err, -EFBIG,
		    "%s: a disk of %" PRIu64 " bytes is too large; at most "
		    "64 TiB",
		    disk->top->path, size);
	if (error == 0 && size != disk->top->size)
		error = disk->writer != NULL ? writer_resize(disk, size, err)
					     : resize_raw(disk, size, err);
	if (error == 0) {
		pthread_mutex_lock(&disk->set->lock);
		error = map_prepare(disk->top, err);
		/* The chunk in which the old end was is made anew. */
		for (size_t i = 0;
		     error == 0 && !disk->top->qcow2 && i < disk->top->nchunks;
		     i++)
			chunk_release(
			    atomic_exchange(&disk->top->chunks[i], NULL));
		pthread_mutex_unlock(&disk->set->lock);
		disk->visible[disk->top->number] = size;
	}
	pthread_rwlock_unlock(&disk->lock);
	if (error == 0)
		error = node_flush(disk, err);
	pthread_mutex_unlock(&disk->flushing);
	return error;
}
