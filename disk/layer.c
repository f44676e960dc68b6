/*
 * Chains are walked with a loop, never by recursion, and each file's place in
 * the chain is looked up by device and inode: an image that backs itself, by
 * whichever name, is refused.
 *
 * A backing file's name counts from the directory of the image that names it.
 * Names that leave that directory are refused unless the caller allows them:
 * an image from elsewhere must not show a guest the host's files.
 */
#include "disk/layer.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "disk/file.h"
#include "disk/lock.h"
#include "disk/map.h"
#include "disk/probe.h"

#define FIRST_BYTES 4096

/* Opens what nobody may write to, as its owner. */
static int
open_frozen(const char *path, int flags)
{
	struct stat st;
	int fd;

	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) ||
	    chmod(path, (st.st_mode & 07777) | S_IWUSR) < 0) {
		errno = EACCES;
		return -1;
	}
	fd = open(path, flags);
	(void)!chmod(path, st.st_mode & 07777);
	return fd;
}

/* A descriptor for path; the limit on descriptors is raised when a long chain
 * needs it. */
static int
open_file(const char *path, bool write, bool frozen_too, struct err *err)
{
	int flags =
	    (write ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	struct rlimit limit;
	int fd = open(path, flags);

	if (fd < 0 && errno == EMFILE &&
	    getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		fd = open(path, flags);
	}
	if (fd < 0 && errno == EACCES && write && frozen_too)
		fd = open_frozen(path, flags);
	if (fd < 0)
		return err_sys(err, -errno,
		    errno == EMFILE ? "raise the limit, ulimit -n" : NULL,
		    "%s: cannot be opened%s", path, write ? " to write" : "");
	return fd;
}

/* The size of what fd is: a file or a block device. */
static int
file_bytes(
    int fd, struct stat *st, uint64_t *bytes, const char *path, struct err *err)
{
	off_t end;

	if (fstat(fd, st) < 0)
		return err_sys(
		    err, -errno, NULL, "%s: cannot be examined", path);
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return err_set(err, -EINVAL,
		    "%s: is neither a file nor a block device", path);
	end = S_ISREG(st->st_mode) ? st->st_size : lseek(fd, 0, SEEK_END);
	if (end < 0)
		return err_sys(
		    err, -errno, NULL, "%s: cannot be examined", path);
	*bytes = (uint64_t)end;
	return 0;
}

/* ---- one file ---- */

static int
read_header(
    struct layer *layer, uint8_t *first, uint64_t bytes, struct err *err)
{
	size_t len = bytes < FIRST_BYTES ? (size_t)bytes : FIRST_BYTES;
	uint64_t cluster;
	uint8_t *whole;
	int error = qcow2_read_header(
	    &layer->header, first, len, bytes, layer->path, err);

	if (error != -ERANGE)
		return error;
	cluster = qcow2_cluster_bytes(&layer->header);
	if (cluster <= len)
		return err_set(err, -EINVAL,
		    "%s: the header reaches past the first cluster; it is "
		    "damaged",
		    layer->path);
	whole = malloc(cluster);
	if (whole == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", layer->path);
	error = file_read(layer->fd, whole, cluster, 0);
	if (error != 0)
		err_sys(err, error, NULL, "%s: cannot be read", layer->path);
	else
		error = qcow2_read_header(
		    &layer->header, whole, cluster, bytes, layer->path, err);
	free(whole);
	if (error == -ERANGE)
		return err_set(err, -EINVAL,
		    "%s: the header reaches past the first cluster; it is "
		    "damaged",
		    layer->path);
	return error;
}

static int
compare_numbers(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* No L2 table may serve two places: writing to one would change the other. */
static int
check_l1(const struct layer *layer, struct err *err)
{
	uint32_t n = 0, count = layer->header.l1_entries;
	uint64_t *sorted = malloc(((size_t)count + 1) * sizeof(*sorted));
	int error = 0;

	if (sorted == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", layer->path);
	for (uint32_t i = 0; i < count && error == 0; i++) {
		const char *bad = qcow2_bad_l1(&layer->header, layer->l1[i]);

		if (bad != NULL)
			error = err_set(err, -EINVAL,
			    "%s: L1 entry %u, 0x%" PRIx64 ", %s; the image is "
			    "damaged",
			    layer->path, i, layer->l1[i], bad);
		if ((layer->l1[i] & QCOW2_OFFSET) != 0)
			sorted[n++] = layer->l1[i] & QCOW2_OFFSET;
	}
	if (n > 1)
		qsort(sorted, n, sizeof(*sorted), compare_numbers);
	for (uint32_t i = 1; i < n && error == 0; i++)
		if (sorted[i] == sorted[i - 1])
			error = err_set(err, -EINVAL,
			    "%s: the L2 table at %" PRIu64 " is used twice; "
			    "the image is damaged",
			    layer->path, sorted[i]);
	free(sorted);
	return error;
}

static int
read_l1(struct layer *layer, struct err *err)
{
	size_t bytes = (size_t)layer->header.l1_entries * 8;
	int error;

	layer->l1 = malloc(bytes + 8);
	if (layer->l1 == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", layer->path);
	error = file_read(layer->fd, layer->l1, bytes, layer->header.l1_offset);
	if (error != 0)
		return err_sys(err, error, NULL,
		    "%s: the L1 table cannot be read", layer->path);
	for (uint32_t i = 0; i < layer->header.l1_entries; i++)
		layer->l1[i] = get_be64((uint8_t *)&layer->l1[i]);
	return check_l1(layer, err);
}

/* What may be read but must not be written. */
static int
check_writable(const struct layer *layer, struct err *err)
{
	const struct qcow2 *h = &layer->header;

	if (h->snapshots > 0)
		return err_set(err, -ENOTSUP,
		    "%s: has %u internal snapshots, which writing would "
		    "damage; write to an image on top of it",
		    layer->path, h->snapshots);
	if (h->extended_l2)
		return err_set(err, -ENOTSUP,
		    "%s: has extended L2 entries, which are only read here; "
		    "write to an image on top of it",
		    layer->path);
	if ((h->incompatible & QCOW2_CORRUPT) != 0)
		return err_set(err, -EROFS,
		    "%s: is marked as corrupt; repair it with \"disk repair\"",
		    layer->path);
	return 0;
}

static int
read_layer(struct layer *layer, const char *format, unsigned int flags,
    struct err *err)
{
	uint8_t first[FIRST_BYTES];
	const char *foreign;
	struct stat st;
	uint64_t bytes = 0;
	int error = file_bytes(layer->fd, &st, &bytes, layer->path, err);

	if (error != 0)
		return error;
	layer->device = st.st_dev;
	layer->inode = st.st_ino;
	error = file_read(layer->fd, first, sizeof(first), 0);
	if (error != 0)
		return err_sys(
		    err, error, NULL, "%s: cannot be read", layer->path);
	layer->qcow2 = format != NULL ? strcmp(format, "qcow2") == 0
				      : qcow2_is(first, sizeof(first));
	foreign = probe_foreign(first, sizeof(first));
	if (format == NULL && !layer->qcow2 && foreign != NULL)
		return err_set(err, -ENOTSUP,
		    "%s: looks like a %s image; convert it with qemu-img, or "
		    "say --raw",
		    layer->path, foreign);
	if (!layer->qcow2) {
		if (bytes > QCOW2_MAX_BYTES)
			return err_set(err, -EFBIG,
			    "%s: a disk of %" PRIu64 " bytes is too large; at "
			    "most 64 TiB",
			    layer->path, bytes);
		layer->size = bytes;
		layer->guessed = format == NULL;
		layer->granule_bits = QCOW2_MAX_CLUSTER_BITS;
		return 0;
	}
	error = read_header(layer, first, bytes, err);
	if (error == 0)
		error = read_l1(layer, err);
	if (error != 0)
		return error;
	layer->size = layer->header.size;
	layer->granule_bits =
	    layer->header.cluster_bits - (layer->header.extended_l2 ? 5 : 0);
	if (layer->writable && (flags & LAYER_REPAIR) == 0)
		return check_writable(layer, err);
	return 0;
}

static void
free_layer(struct layer *layer)
{
	if (layer->chunks != NULL)
		for (size_t i = 0; i < layer->nchunks; i++)
			chunk_release(layer->chunks[i]);
	free(layer->chunks);
	free(layer->l1);
	if (layer->fd >= 0)
		close(layer->fd);
	slot_free(layer->slot);
	free(layer->path);
	free(layer);
}

static struct layer *
open_one(const char *path, const char *format, unsigned int flags, int *code,
    struct err *err)
{
	struct layer *layer = calloc(1, sizeof(*layer));
	bool write = (flags & LAYER_WRITE) != 0;

	if (layer == NULL || (layer->path = strdup(path)) == NULL) {
		free(layer);
		*code = err_set(err, -ENOMEM, "%s: out of memory", path);
		return NULL;
	}
	layer->users = 1;
	layer->writable = write;
	layer->fd = open_file(path, write, (flags & LAYER_FROZEN) != 0, err);
	if (layer->fd < 0) {
		*code = layer->fd;
		free_layer(layer);
		return NULL;
	}
	*code = 0;
	if ((flags & LAYER_NO_LOCK) == 0)
		*code = lock_take(layer->fd,
		    RIGHT_READ | (write ? RIGHT_WRITE | RIGHT_RESIZE : 0),
		    RIGHT_WRITE | RIGHT_RESIZE, path, err);
	if (*code == 0)
		*code = read_layer(layer, format, flags, err);
	if (*code == 0)
		return layer;
	free_layer(layer);
	return NULL;
}

/* ---- chains ---- */

/* The path of the backing file of layer. */
static int
backing_path(const struct layer *layer, unsigned int flags, char *path,
    size_t len, struct err *err)
{
	const char *name = layer->header.backing;
	size_t directory = file_directory_bytes(layer->path);
	bool outside;

	if (strncmp(name, "file:", 5) == 0)
		name += 5;
	else if (strncmp(name, "json:", 5) == 0 ||
	    strstr(name, "://") != NULL || strncmp(name, "nbd:", 4) == 0)
		return err_set(err, -ENOTSUP,
		    "%s: its backing file %s is no file; convert it with "
		    "qemu-img",
		    layer->path, name);
	outside = name[0] == '/' || strncmp(name, "../", 3) == 0 ||
	    strstr(name, "/../") != NULL;
	if (outside && (flags & LAYER_OUTSIDE) == 0)
		return err_set(err, -EPERM,
		    "%s: its backing file %s is outside its directory; allow "
		    "it with --outside if you trust the image",
		    layer->path, name);
	if (name[0] == '/')
		directory = 0;
	if (directory + strlen(name) >= len)
		return err_set(err, -ENAMETOOLONG,
		    "%s: its backing file's path is too long", layer->path);
	memcpy(path, layer->path, directory);
	strcpy(path + directory, name);
	return 0;
}

static bool
is_qcow2(const struct layer *layer, const char *format)
{
	uint8_t first[8];

	if (format != NULL)
		return strcmp(format, "qcow2") == 0;
	return file_read(layer->fd, first, sizeof(first), 0) == 0 &&
	    qcow2_is(first, sizeof(first));
}

/* A layer that is open already and may be shared: with its parents, and read
 * as the same format. */
static struct layer *
find_layer(struct disk_set *set, const char *path, const char *format)
{
	struct stat st;
	struct layer *layer;

	if (LIST_EMPTY(&set->layers) || stat(path, &st) < 0)
		return NULL;
	LIST_FOREACH (layer, &set->layers, entry)
		if (!layer->writable && layer->device == st.st_dev &&
		    layer->inode == st.st_ino &&
		    (layer->parent != NULL ||
			layer->header.backing[0] == '\0') &&
		    layer->qcow2 == is_qcow2(layer, format))
			return layer;
	return NULL;
}

static bool
is_above(const struct layer *const *stack, size_t n, const struct layer *layer)
{
	for (size_t i = 0; i < n; i++)
		if (stack[i]->device == layer->device &&
		    stack[i]->inode == layer->inode)
			return true;
	return false;
}

/* Without memory for a slot the file stays open. */
static void
put_into_slot(struct disk_set *set, struct layer *layer, unsigned int flags)
{
	layer->slot = slot_new(
	    set->slots, layer->fd, layer->path, (flags & LAYER_NO_LOCK) == 0);
	if (layer->slot != NULL)
		layer->fd = -1;
}

/* Opens files from path down until one is known, or is the base.  The stack
 * gets the new ones, *known what they stand on. */
static int
open_down(struct disk_set *set, const char *top, const char *top_format,
    unsigned int flags, struct layer **stack, size_t *n, struct layer **known,
    struct err *err)
{
	char path[PATH_MAX], format[sizeof(stack[0]->header.backing_format)];
	const char *hint = top_format;
	uint64_t l1_bytes = 0;
	int code = 0;

	if (strlen(top) >= sizeof(path))
		return err_set(
		    err, -ENAMETOOLONG, "%.60s...: is too long", top);
	strcpy(path, top);
	for (*n = 0; *n < LAYER_MAX_DEPTH; ++*n) {
		struct layer *layer;

		if (*n > 0 || (flags & LAYER_WRITE) == 0) {
			*known = find_layer(set, path, hint);
			if (*known != NULL &&
			    is_above((void *)stack, *n, *known))
				*known = NULL;
			if (*known != NULL)
				return 0;
		}
		layer = open_one(path, hint,
		    *n == 0 ? flags : flags & ~(unsigned int)LAYER_WRITE, &code,
		    err);
		if (layer == NULL)
			return code;
		if (is_above((void *)stack, *n, layer)) {
			free_layer(layer);
			return err_set(err, -ELOOP,
			    "%s: is its own backing file, %zu images further "
			    "up; the chain has no base",
			    path, *n);
		}
		stack[*n] = layer;
		if (*n > 0 && slots_needed(layer->fd))
			put_into_slot(set, layer, flags);
		l1_bytes += (uint64_t)layer->header.l1_entries * 8;
		if (l1_bytes > LAYER_MAX_L1_BYTES) {
			++*n;
			return err_set(err, -EFBIG,
			    "%s: the L1 tables of its chain are larger than "
			    "256 MiB",
			    top);
		}
		if (layer->header.backing[0] == '\0' ||
		    (flags & LAYER_ALONE) != 0) {
			++*n;
			return 0;
		}
		code = backing_path(layer, flags, path, sizeof(path), err);
		if (code != 0) {
			++*n;
			return code;
		}
		strcpy(format, layer->header.backing_format);
		hint = format[0] != '\0' ? format : NULL;
		if (hint != NULL && strcmp(format, "raw") != 0 &&
		    strcmp(format, "qcow2") != 0) {
			++*n;
			return err_set(err, -ENOTSUP,
			    "%s: its backing file %s is of format %s; convert "
			    "it with qemu-img",
			    layer->path, layer->header.backing, format);
		}
	}
	return err_set(err, -ELOOP, "%s: more than %u images in a chain", top,
	    LAYER_MAX_DEPTH);
}

struct layer *
layer_open(struct disk_set *set, const char *path, const char *format,
    unsigned int flags, int *code, struct err *err)
{
	struct layer **stack = malloc(LAYER_MAX_DEPTH * sizeof(*stack));
	struct layer *known = NULL;
	size_t n = 0;

	if (stack == NULL) {
		*code = err_set(err, -ENOMEM, "%s: out of memory", path);
		return NULL;
	}
	pthread_mutex_lock(&set->lock);
	*code = open_down(set, path, format, flags, stack, &n, &known, err);
	if (*code == 0 && known != NULL && known->number + n >= LAYER_MAX_DEPTH)
		*code = err_set(err, -ELOOP,
		    "%s: more than %u images in a "
		    "chain",
		    path, LAYER_MAX_DEPTH);
	if (*code != 0) {
		while (n > 0)
			free_layer(stack[--n]);
		known = NULL;
	} else if (known != NULL) {
		known->users++;
	}
	while (n > 0) {
		struct layer *layer = stack[--n];

		layer->parent = known;
		layer->number = known != NULL ? known->number + 1 : 0;
		LIST_INSERT_HEAD(&set->layers, layer, entry);
		known = layer;
	}
	pthread_mutex_unlock(&set->lock);
	free(stack);
	return known;
}

void
layer_hold(struct disk_set *set, struct layer *layer)
{
	pthread_mutex_lock(&set->lock);
	layer->users++;
	pthread_mutex_unlock(&set->lock);
}

void
layer_release(struct disk_set *set, struct layer *layer)
{
	pthread_mutex_lock(&set->lock);
	while (layer != NULL && --layer->users == 0) {
		struct layer *parent = layer->parent;

		LIST_REMOVE(layer, entry);
		free_layer(layer);
		layer = parent;
	}
	pthread_mutex_unlock(&set->lock);
}

/* ---- tables and compressed clusters ---- */

int
layer_read_l2(const struct layer *layer, uint64_t offset, uint64_t *rows,
    size_t count, uint64_t *table, struct err *err)
{
	const struct qcow2 *h = &layer->header;
	size_t width = h->extended_l2 ? 2 : 1;
	uint64_t first = offset >> h->cluster_bits;
	uint64_t index = first >> qcow2_l2_bits(h);
	int fd, error;

	first &= (UINT64_C(1) << qcow2_l2_bits(h)) - 1;
	assert(first + count <= UINT64_C(1) << qcow2_l2_bits(h));
	*table = index < h->l1_entries ? layer->l1[index] & QCOW2_OFFSET : 0;
	if (*table == 0)
		return 0;
	fd = layer_pin(layer, err);
	if (fd < 0)
		return fd;
	error =
	    file_read(fd, rows, count * width * 8, *table + first * width * 8);
	layer_unpin(layer);
	if (error != 0)
		return err_sys(err, error, NULL,
		    "%s: the L2 table at %" PRIu64 " cannot be read",
		    layer->path, *table);
	for (size_t i = 0; i < count * width; i++)
		rows[i] = get_be64((uint8_t *)&rows[i]);
	return 0;
}

static bool
inflate_zlib(const uint8_t *from, size_t len, uint8_t *to, size_t bytes)
{
	z_stream stream = { .next_in = (uint8_t *)(uintptr_t)from,
		.avail_in = (uInt)len,
		.next_out = to,
		.avail_out = (uInt)bytes };
	int result;

	if (inflateInit2(&stream, -15) != Z_OK)
		return false;
	result = inflate(&stream, Z_FINISH);
	inflateEnd(&stream);
	return (result == Z_STREAM_END || result == Z_BUF_ERROR) &&
	    stream.avail_out == 0;
}

/* The length of a frame is not told, so it is read as a stream. */
static bool
inflate_zstd(const uint8_t *from, size_t len, uint8_t *to, size_t bytes)
{
	ZSTD_DStream *stream = ZSTD_createDStream();
	ZSTD_inBuffer in = { from, len, 0 };
	ZSTD_outBuffer out = { to, bytes, 0 };

	if (stream == NULL)
		return false;
	while (out.pos < out.size) {
		size_t before = in.pos + out.pos;
		size_t result = ZSTD_decompressStream(stream, &out, &in);

		if (ZSTD_isError(result) || in.pos + out.pos == before)
			break;
	}
	ZSTD_freeDStream(stream);
	return out.pos == out.size;
}

int
layer_read_compressed(
    const struct layer *layer, uint64_t offset, uint8_t *to, struct err *err)
{
	const struct qcow2 *h = &layer->header;
	size_t cluster = qcow2_cluster_bytes(h);
	uint64_t row[2] = { 0 }, table, at;
	uint8_t *bytes;
	uint32_t len;
	bool good;
	int fd, error = layer_read_l2(layer, offset, row, 1, &table, err);

	if (error != 0)
		return error;
	if ((row[0] & QCOW2_COMPRESSED) == 0)
		return err_set(err, -EIO,
		    "%s: the cluster of byte %" PRIu64 " is not compressed "
		    "any more; who else writes to the image?",
		    layer->path, offset);
	qcow2_compressed(h, row[0], &at, &len);
	bytes = malloc(len);
	if (bytes == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", layer->path);
	fd = layer_pin(layer, err);
	if (fd < 0) {
		free(bytes);
		return fd;
	}
	error = file_read(fd, bytes, len, at);
	layer_unpin(layer);
	good = error == 0 &&
	    (h->zstd ? inflate_zstd(bytes, len, to, cluster)
		     : inflate_zlib(bytes, len, to, cluster));
	free(bytes);
	if (error != 0)
		return err_sys(err, error, NULL,
		    "%s: cannot be read at "
		    "%" PRIu64,
		    layer->path, at);
	if (!good)
		return err_set(err, -EIO,
		    "%s: the compressed cluster at %" PRIu64 " is damaged",
		    layer->path, at);
	return 0;
}
