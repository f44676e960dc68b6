/*
 * Reading through the map.
 *
 * A read finds runs of pieces that are adjacent in one file and reads each run
 * with one preadv.  The shared lock is held until the data is there: a cluster
 * that a discard frees is not reused while a reader that found it in the map is
 * under way.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "disk/file.h"
#include "disk/map.h"
#include "disk/node.h"

/* ---- iovecs ---- */

size_t
iov_total(const struct iovec *iov, int n)
{
	size_t sum = 0;

	for (int i = 0; i < n; i++)
		sum += iov[i].iov_len;
	return sum;
}

size_t
iov_part(const struct iovec *iov, int count, size_t skip, size_t len,
    struct iovec *part, int *n)
{
	size_t placed = 0;

	*n = 0;
	for (int i = 0; i < count && placed < len && *n < FILE_MAX_IOV; i++) {
		size_t bytes = iov[i].iov_len;

		if (skip >= bytes) {
			skip -= bytes;
			continue;
		}
		bytes -= skip;
		if (bytes > len - placed)
			bytes = len - placed;
		part[*n].iov_base = (uint8_t *)iov[i].iov_base + skip;
		part[(*n)++].iov_len = bytes;
		placed += bytes;
		skip = 0;
	}
	return placed;
}

static void
iov_zero(const struct iovec *iov, int n)
{
	for (int i = 0; i < n; i++)
		memset(iov[i].iov_base, 0, iov[i].iov_len);
}

/* ---- extents ---- */

static int
find_chunk(struct disk *disk, uint64_t offset, const struct chunk **chunk,
    struct err *err)
{
	*chunk = atomic_load_explicit(
	    &disk->top->chunks[offset >> CHUNK_BITS], memory_order_acquire);
	if (*chunk == NULL)
		*chunk = map_chunk(disk->set, disk->top, offset, err);
	return *chunk != NULL ? 0 : -EIO;
}

/* A run of pieces of one kind in one chunk. */
struct run {
	uint64_t piece; /* the first one, as of offset */
	uint64_t len;
};

static int
find_run(struct disk *disk, uint64_t offset, uint64_t limit, struct run *run,
    struct err *err)
{
	const uint64_t mask = (UINT64_C(1) << CHUNK_BITS) - 1;
	const struct chunk *chunk;
	uint64_t bytes, within, step, next;
	size_t i;
	int error = find_chunk(disk, offset, &chunk, err);

	if (error != 0)
		return error;
	bytes = UINT64_C(1) << chunk->piece_bits;
	i = (size_t)((offset & mask) >> chunk->piece_bits);
	within = offset & (bytes - 1);
	run->piece = chunk->pieces[i];
	run->len = bytes - within;
	step = piece_kind(run->piece) == PIECE_DATA ? bytes >> 9 : 0;
	next = run->piece + step;
	for (i++;
	     run->len < limit && ((uint64_t)i << chunk->piece_bits) <= mask;
	     i++) {
		if (chunk->pieces[i] != next)
			break;
		run->len += bytes;
		next += step;
	}
	if (run->len > limit)
		run->len = limit;
	return 0;
}

int
node_extent(struct disk *disk, uint64_t offset, uint64_t limit,
    struct disk_extent *extent, struct err *err)
{
	const struct chunk *chunk;
	struct run run;
	unsigned int number;
	uint64_t seen;
	int error = find_run(disk, offset, limit, &run, err);

	if (error != 0)
		return error;
	error = find_chunk(disk, offset, &chunk, err);
	if (error != 0)
		return error;
	number = piece_layer(run.piece);
	*extent = (struct disk_extent){ .offset = offset,
		.len = run.len,
		.depth = disk->top->number - number };
	if (piece_kind(run.piece) == PIECE_HOLE) {
		extent->depth = disk->top->number;
		return 0;
	}
	seen = disk->visible[number];
	if (offset >= seen) {
		extent->depth = 0;
		return 0;
	}
	if (run.len > seen - offset)
		extent->len = seen - offset;
	extent->present = true;
	extent->data = piece_kind(run.piece) != PIECE_ZERO;
	extent->compressed = piece_kind(run.piece) == PIECE_COMPRESSED;
	if (extent->data && !extent->compressed)
		extent->host_offset = piece_offset(run.piece) +
		    (offset & ((UINT64_C(1) << chunk->piece_bits) - 1));
	return 0;
}

int
node_check_range(
    const struct disk *disk, uint64_t offset, uint64_t len, struct err *err)
{
	uint64_t size = disk->top->size;

	if (offset <= size && len <= size - offset)
		return 0;
	return err_set(err, -EINVAL,
	    "%s: %" PRIu64 " bytes at %" PRIu64 " are past the end of the "
	    "disk (%" PRIu64 ")",
	    disk->top->path, len, offset, size);
}

int
disk_extent(struct disk *disk, uint64_t offset, uint64_t limit,
    struct disk_extent *extent, struct err *err)
{
	struct disk_extent next;
	int error;

	pthread_rwlock_rdlock(&disk->lock);
	error = node_check_range(disk, offset, limit, err);
	if (error == 0)
		error = node_extent(disk, offset, limit, extent, err);
	/* Runs end with their chunk; the same may go on in the next one. */
	while (error == 0 && extent->len < limit) {
		error = node_extent(disk, offset + extent->len,
		    limit - extent->len, &next, err);
		if (error != 0 || next.data != extent->data ||
		    next.present != extent->present ||
		    next.compressed != extent->compressed ||
		    (next.present && next.depth != extent->depth) ||
		    (next.data && !next.compressed &&
			next.host_offset != extent->host_offset + extent->len))
			break;
		extent->len += next.len;
	}
	pthread_rwlock_unlock(&disk->lock);
	return error;
}

/* ---- reading ---- */

/* Copies from a compressed cluster, which is kept for those that come next. */
static int
read_compressed(struct disk *disk, const struct layer *layer,
    const struct iovec *iov, int n, uint64_t offset, struct err *err)
{
	size_t cluster = qcow2_cluster_bytes(&layer->header);
	uint64_t at = offset & ~(uint64_t)(cluster - 1);
	uint64_t which = piece_make(PIECE_COMPRESSED, layer->number, 0);
	int error = 0;

	pthread_mutex_lock(&disk->inflating);
	if (disk->inflated_bytes < cluster) {
		uint8_t *more = realloc(disk->inflated, cluster);

		disk->inflated_piece = 0;
		if (more == NULL) {
			error = err_set(
			    err, -ENOMEM, "%s: out of memory", layer->path);
		} else {
			disk->inflated = more;
			disk->inflated_bytes = cluster;
		}
	}
	if (error == 0 &&
	    (disk->inflated_piece != which || disk->inflated_at != at)) {
		disk->inflated_piece = 0;
		error = layer_read_compressed(layer, at, disk->inflated, err);
		if (error == 0) {
			disk->inflated_piece = which;
			disk->inflated_at = at;
		}
	}
	for (int i = 0; error == 0 && i < n; i++) {
		memcpy(iov[i].iov_base, disk->inflated + (offset - at),
		    iov[i].iov_len);
		offset += iov[i].iov_len;
	}
	pthread_mutex_unlock(&disk->inflating);
	return error;
}

static int
read_run(struct disk *disk, const struct disk_extent *x,
    const struct iovec *iov, int n, bool cached, struct err *err)
{
	const struct layer *layer;
	int fd, error;

	if (!x->data) {
		iov_zero(iov, n);
		return 0;
	}
	layer = disk->layers[disk->top->number - x->depth];
	if (x->compressed)
		return cached
		    ? -EAGAIN
		    : read_compressed(disk, layer, iov, n, x->offset, err);
	fd = layer_pin(layer, err);
	if (fd < 0)
		return fd;
	error = cached ? file_readv_cached(fd, iov, n, x->host_offset)
		       : file_readv(fd, iov, n, x->host_offset);
	layer_unpin(layer);
	return error == 0
	    ? 0
	    : err_sys(err, error, NULL, "%s: cannot be read at %" PRIu64,
		  layer->path, x->host_offset);
}

int
node_read(struct disk *disk, const struct iovec *iov, int n, uint64_t offset,
    bool cached, struct err *err)
{
	size_t total = iov_total(iov, n), done = 0;

	while (done < total) {
		struct iovec part[FILE_MAX_IOV];
		struct disk_extent x;
		uint64_t limit = total - done;
		int parts, error;

		if (cached &&
		    atomic_load_explicit(
			&disk->top->chunks[(offset + done) >> CHUNK_BITS],
			memory_order_acquire) == NULL)
			return -EAGAIN;
		error = node_extent(disk, offset + done, limit, &x, err);
		if (error != 0)
			return error;
		/* A compressed run is one cluster at a time. */
		if (x.compressed) {
			uint64_t cluster = qcow2_cluster_bytes(
			    &disk->layers[disk->top->number - x.depth]->header);
			uint64_t rest = cluster - (x.offset & (cluster - 1));

			if (x.len > rest)
				x.len = rest;
		}
		x.len = iov_part(iov, n, done, (size_t)x.len, part, &parts);
		error = read_run(disk, &x, part, parts, cached, err);
		if (error != 0)
			return error;
		done += (size_t)x.len;
	}
	return 0;
}

int
disk_readv(struct disk *disk, const struct iovec *iov, int n, uint64_t offset,
    struct err *err)
{
	int error;

	pthread_rwlock_rdlock(&disk->lock);
	error = node_check_range(disk, offset, iov_total(iov, n), err);
	if (error == 0)
		error = node_read(disk, iov, n, offset, false, err);
	pthread_rwlock_unlock(&disk->lock);
	return error;
}

int
disk_readv_cached(
    struct disk *disk, const struct iovec *iov, int n, uint64_t offset)
{
	int error;

	if (pthread_rwlock_tryrdlock(&disk->lock) != 0)
		return -EAGAIN;
	error = node_check_range(disk, offset, iov_total(iov, n), NULL);
	if (error == 0)
		error = node_read(disk, iov, n, offset, true, NULL);
	pthread_rwlock_unlock(&disk->lock);
	return error;
}

int
disk_read(
    struct disk *disk, void *to, size_t len, uint64_t offset, struct err *err)
{
	struct iovec iov = { to, len };

	return disk_readv(disk, &iov, 1, offset, err);
}
