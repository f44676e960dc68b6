/*
 * Clones: empty images on others, which are frozen, and copies.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/file.h"
#include "disk/overlay.h"
#include "disk/sweep.h"

#define COPY_BYTES  (4u << 20)
#define FLUSH_BYTES (UINT64_C(128) << 20) /* of data between two flushes */

/* The tree is locked, and path a name for a new disk in it. */
static int
check_names(const struct tree *tree, const char *source, const char *path,
    struct err *err)
{
	const char *const disks[] = { path };
	struct stat st;
	int error = tree_check_disks(tree, disks, 1, err);

	if (error == 0 && file_directory_bytes(path) != strlen(tree->directory))
		error = err_set(err, -EXDEV,
		    "%s: a linked clone must be in the directory of %s; use "
		    "--full",
		    path, source);
	if (error == 0 && lstat(path, &st) == 0)
		error = err_set(err, -EEXIST, "%s: exists already", path);
	return error == 0 ? tree_is_busy(tree, tree_base_name(source), err)
			  : error;
}

/* Freezes source and makes the overlay at once. */
static int
put_on(struct tree *tree, const struct disk *source, const char *from,
    const char *file, struct err *err)
{
	struct disk_info info;
	int error;

	disk_info(source, &info);
	error = overlay_make(tree,
	    &(struct overlay){ file, from, info.cluster_bits == 0, info.size,
		info.cluster_bits },
	    err);
	if (error == 0 &&
	    catalogue_find(&tree->catalogue, CATALOGUE_FROZEN, from) == NULL &&
	    catalogue_find(&tree->catalogue, CATALOGUE_HIDDEN, from) == NULL)
		error = tree_freeze(tree, from, from, CATALOGUE_FROZEN, err);
	if (error == 0)
		error = tree_commit(tree, err);
	if (error != 0 && !tree->switched)
		overlay_remove(tree, file);
	return error;
}

int
tree_clone_linked(const char *source, const char *path, struct err *err)
{
	struct disk_set *set = disk_set_new();
	struct disk *disk = NULL;
	struct tree tree;
	int error = tree_open(&tree, source, err);

	if (error == 0 && set == NULL)
		error = err_set(err, -ENOMEM, "%s: out of memory", source);
	if (error == 0)
		error = check_names(&tree, source, path, err);
	if (error == 0)
		disk = disk_open(set, source, DISK_OUTSIDE, &error, err);
	if (error == 0)
		error = put_on(&tree, disk, tree_base_name(source),
		    tree_base_name(path), err);
	disk_close(disk, NULL);
	disk_set_free(set);
	tree_close(&tree);
	return error;
}

/* ---- copies ---- */

/* A copy under way. */
struct copy {
	struct disk_set *set;
	struct disk *from, *to;
	char temporary[PATH_MAX];
	const struct tree_progress *progress;
	uint8_t *buffer;
	uint64_t size, unflushed;
};

/* A number that another source, or the same one changed, does not have. */
static int
stamp_of(const struct disk *from, uint64_t *stamp, struct err *err)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (unsigned int i = 0;; i++) {
		const char *path = disk_layer_path(from, i);
		struct stat st;

		if (path == NULL)
			break;
		if (stat(path, &st) < 0)
			return err_sys(
			    err, -errno, NULL, "%s: cannot be examined", path);
		const uint64_t words[] = { st.st_dev, st.st_ino,
			(uint64_t)st.st_size, (uint64_t)st.st_mtim.tv_sec,
			(uint64_t)st.st_mtim.tv_nsec };

		/* FNV-1a, by words. */
		for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++)
			hash = (hash ^ words[k]) * UINT64_C(0x100000001b3);
	}
	*stamp = hash;
	return 0;
}

static int
name_copy(struct copy *c, const char *path, struct err *err)
{
	struct stat st;
	uint64_t stamp = 0;
	int error = stamp_of(c->from, &stamp, err);

	if (error != 0)
		return error;
	if (lstat(path, &st) == 0)
		return err_set(err, -EEXIST, "%s: exists already", path);
	if ((size_t)snprintf(c->temporary, sizeof(c->temporary),
		"%s~copy.%016" PRIx64, path, stamp) < sizeof(c->temporary))
		return 0;
	return err_set(err, -ENAMETOOLONG, "%.60s...: is too long", path);
}

/* The whole file, sharing its space, where the file system can and the source
 * stands alone.  *done: it did. */
static int
share(struct copy *c, const char *source, bool *done, struct err *err)
{
	int from = open(source, O_RDONLY | O_CLOEXEC), to;

	*done = false;
	if (from < 0)
		return err_sys(
		    err, -errno, NULL, "%s: cannot be opened", source);
	unlink(c->temporary);
	to = open(c->temporary,
	    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	*done = to >= 0 && ioctl(to, FICLONE, from) == 0;
	if (to >= 0)
		close(to);
	if (to >= 0 && !*done)
		unlink(c->temporary);
	close(from);
	return 0;
}

static int
copy_extent(struct copy *c, const struct disk_extent *x, struct err *err)
{
	uint64_t end = x->offset + x->len;
	int error = 0;

	for (uint64_t at = x->offset; at < end && error == 0;) {
		uint64_t left = end - at;
		size_t n = left < COPY_BYTES ? (size_t)left : COPY_BYTES;

		if (x->data) {
			error = disk_read(c->from, c->buffer, n, at, err);
			if (error == 0)
				error =
				    disk_write(c->to, c->buffer, n, at, err);
			c->unflushed += n;
			disk_push(c->to);
		} else {
			n = (size_t)left;
		}
		at += n;
		if (error == 0 && c->unflushed >= FLUSH_BYTES) {
			c->unflushed = 0;
			error = disk_flush(c->to, err);
		}
		if (error == 0 && c->progress != NULL &&
		    !c->progress->step(c->progress->arg, "copied", at, c->size))
			error = err_set(
			    err, -EINTR, "interrupted; run it again to go on");
	}
	return error;
}

static int
copy_from(struct copy *c, uint64_t at, struct err *err)
{
	struct disk_extent x;
	int error = 0;

	for (; at < c->size && error == 0; at += x.len) {
		error = disk_extent(c->from, at, c->size - at, &x, err);
		if (error == 0)
			error = copy_extent(c, &x, err);
	}
	return error;
}

/* Where a copy that was interrupted goes on.  Data is copied in its order, and
 * flushed each FLUSH_BYTES of it; what came after the last flush may have holes,
 * and is less than twice that. */
static int
find_end(struct copy *c, uint64_t *end, struct err *err)
{
	uint64_t all = 0, sure, before = 0;
	struct disk_extent x;
	int error = 0;

	for (uint64_t at = 0; at < c->size && error == 0; at += x.len) {
		error = disk_extent(c->to, at, c->size - at, &x, err);
		all += error == 0 && x.data ? x.len : 0;
	}
	sure = all > 2 * FLUSH_BYTES ? all - 2 * FLUSH_BYTES : 0;
	*end = 0;
	for (uint64_t at = 0; before < sure && error == 0; at += x.len) {
		error = disk_extent(c->to, at, c->size - at, &x, err);
		if (error == 0 && x.data) {
			*end = at +
			    (x.len < sure - before ? x.len : sure - before);
			before += x.len;
		}
	}
	return error;
}

static int
open_copy(struct copy *c, uint64_t *at, struct err *err)
{
	struct disk_info info;
	struct disk_options options = { .replace = true };
	int error;

	*at = 0;
	disk_info(c->from, &info);
	if (access(c->temporary, F_OK) == 0) {
		c->to =
		    disk_open(c->set, c->temporary, DISK_WRITE, &error, err);
		if (c->to == NULL)
			return error;
		if (disk_size(c->to) == info.size)
			return find_end(c, at, err);
		disk_close(c->to, NULL);
	}
	options.size = info.size;
	options.cluster_bits = info.cluster_bits < 12 ? 0 : info.cluster_bits;
	error = disk_create(c->temporary, &options, err);
	if (error == 0)
		c->to =
		    disk_open(c->set, c->temporary, DISK_WRITE, &error, err);
	return error;
}

static int
copy_all(struct copy *c, struct err *err)
{
	uint64_t at;
	int closed, error = open_copy(c, &at, err);

	c->buffer = malloc(COPY_BYTES);
	if (error == 0 && c->buffer == NULL)
		error = err_set(err, -ENOMEM, "out of memory");
	if (error == 0)
		error = copy_from(c, at, err);
	free(c->buffer);
	closed = disk_close(c->to, error == 0 ? err : NULL);
	return error != 0 ? error : closed;
}

/* The copy gets its name. */
static int
name_it(struct copy *c, const char *path, struct err *err)
{
	int fds[2], error = 0;

	if (link(c->temporary, path) < 0)
		return err_sys(err, -errno, NULL, "%s: cannot be made", path);
	unlink(c->temporary);
	fds[0] = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	fds[1] = file_open_directory(path);
	error = fds[0] < 0 || fds[1] < 0 ? -EIO : file_sync_all(fds, 2);
	for (int i = 0; i < 2; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return error == 0
	    ? 0
	    : err_sys(err, error, NULL, "%s: cannot be synced", path);
}

int
tree_clone_full(const char *source, const char *path,
    const struct tree_progress *progress, struct err *err)
{
	struct copy *c = calloc(1, sizeof(*c));
	struct disk_info info;
	bool shared = false;
	int error = 0;

	if (c == NULL || (c->set = disk_set_new()) == NULL) {
		free(c);
		return err_set(err, -ENOMEM, "%s: out of memory", source);
	}
	c->progress = progress;
	c->from = disk_open(c->set, source, DISK_OUTSIDE, &error, err);
	if (c->from != NULL) {
		disk_info(c->from, &info);
		c->size = info.size;
		error = name_copy(c, path, err);
		if (error == 0)
			sweep_copies(path, c->temporary);
		if (error == 0 && info.depth == 0 && info.cluster_bits != 0)
			error = share(c, source, &shared, err);
		if (error == 0 && !shared)
			error = copy_all(c, err);
		if (error == 0)
			error = name_it(c, path, err);
	}
	disk_close(c->from, NULL);
	disk_set_free(c->set);
	free(c);
	return error;
}
