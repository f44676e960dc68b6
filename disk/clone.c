/*
 * Clones: empty images on others, which are frozen, and copies.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/file.h"
#include "disk/snapshot.h"

#define COPY_BYTES (4u << 20)

int
tree_clone_linked(const char *source, const char *path, struct err *err)
{
	const char *from = tree_base_name(source), *file = tree_base_name(path);
	const char *both[] = { source, path };
	struct disk_set *set = disk_set_new();
	struct disk_options options = { 0 };
	struct disk *disk = NULL;
	struct disk_info info;
	struct tree tree;
	int error = tree_open(&tree, source, err);

	if (error == 0 && set == NULL)
		error = err_set(err, -ENOMEM, "%s: out of memory", source);
	if (error == 0)
		error = tree_check_disks(&tree, both + 1, 1, err);
	if (error == 0 && file_directory_bytes(path) != strlen(tree.directory))
		error = err_set(err, -EXDEV,
		    "%s: a linked clone must be in the directory of %s; use "
		    "--full",
		    path, source);
	if (error == 0)
		error = tree_is_busy(&tree, from, err);
	if (error == 0 && strcmp(from, file) == 0)
		error = err_set(err, -EEXIST, "%s: exists already", path);
	if (error == 0)
		disk = disk_open(set, source, DISK_OUTSIDE, &error, err);
	if (error == 0) {
		disk_info(disk, &info);
		options.size = info.size;
		options.cluster_bits =
		    info.cluster_bits < 12 ? 0 : info.cluster_bits;
		options.backing = from;
		options.backing_format =
		    info.cluster_bits == 0 ? "raw" : "qcow2";
		if (catalogue_find(&tree.catalogue, CATALOGUE_FROZEN, from) ==
		    NULL)
			error = tree_freeze(
			    &tree, from, from, CATALOGUE_FROZEN, err);
	}
	/* Frozen first: a clone on a disk that is written is never seen. */
	if (error == 0)
		error = tree_commit(&tree, err);
	if (error == 0)
		error = disk_create(path, &options, err);
	disk_close(disk, NULL);
	disk_set_free(set);
	tree_close(&tree);
	return error;
}

/* A copy that shares its space with source, where the file system can and the
 * source stands alone.  1: done, 0: cannot. */
static int
reflink(const char *source, const char *temporary)
{
	int from = open(source, O_RDONLY | O_CLOEXEC), to, done;

	if (from < 0)
		return 0;
	to = open(temporary,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	done = to >= 0 && ioctl(to, FICLONE, from) == 0 && fsync(to) == 0;
	if (to >= 0)
		close(to);
	close(from);
	return done;
}

static int
copy_extent(struct disk *from, struct disk *to, const struct disk_extent *x,
    uint8_t *buffer, const struct tree_progress *progress, struct err *err)
{
	uint64_t all = disk_size(from), end = x->offset + x->len;

	for (uint64_t at = x->offset; at < end;) {
		size_t n =
		    end - at < COPY_BYTES ? (size_t)(end - at) : COPY_BYTES;
		int error = 0;

		if (x->data) {
			error = disk_read(from, buffer, n, at, err);
			if (error == 0)
				error = disk_write(to, buffer, n, at, err);
		} else {
			n = (size_t)(end - at);
		}
		at += n;
		if (error == 0 && progress != NULL &&
		    !progress->step(progress->arg, "copied", at, all))
			error = err_set(err, -EINTR, "interrupted");
		if (error != 0)
			return error;
	}
	return 0;
}

static int
copy_all(struct disk *from, struct disk *to,
    const struct tree_progress *progress, struct err *err)
{
	uint8_t *buffer = malloc(COPY_BYTES);
	uint64_t size = disk_size(from);
	struct disk_extent x;
	int error = buffer == NULL ? -ENOMEM : 0;

	for (uint64_t at = 0; at < size && error == 0; at += x.len) {
		error = disk_extent(from, at, size - at, &x, err);
		if (error == 0)
			error =
			    copy_extent(from, to, &x, buffer, progress, err);
	}
	free(buffer);
	return error;
}

static int
copy_disk(struct disk_set *set, struct disk *from, const char *temporary,
    const struct tree_progress *progress, struct err *err)
{
	struct disk_info info;
	struct disk_options options = { .replace = true };
	struct disk *to;
	int error, closed;

	disk_info(from, &info);
	options.size = info.size;
	options.cluster_bits = info.cluster_bits < 12 ? 0 : info.cluster_bits;
	error = disk_create(temporary, &options, err);
	if (error != 0)
		return error;
	to = disk_open(set, temporary, DISK_WRITE, &error, err);
	if (to == NULL)
		return error;
	error = copy_all(from, to, progress, err);
	closed = disk_close(to, err);
	return error != 0 ? error : closed;
}

int
tree_clone_full(const char *source, const char *path,
    const struct tree_progress *progress, struct err *err)
{
	struct disk_set *set = disk_set_new();
	char temporary[PATH_MAX];
	struct disk *from;
	struct disk_info info;
	struct stat st;
	int error = 0;

	if (set == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", source);
	if (lstat(path, &st) == 0 ||
	    (size_t)snprintf(temporary, sizeof(temporary), "%s~%ld", path,
		(long)getpid()) >= sizeof(temporary)) {
		disk_set_free(set);
		return err_set(
		    err, -EEXIST, "%s: exists already, or is too long", path);
	}
	from = disk_open(set, source, DISK_OUTSIDE, &error, err);
	if (from != NULL) {
		disk_info(from, &info);
		if (info.depth > 0 || info.cluster_bits == 0 ||
		    !reflink(source, temporary))
			error = copy_disk(set, from, temporary, progress, err);
		if (error == 0 && link(temporary, path) < 0)
			error = err_sys(
			    err, -errno, NULL, "%s: cannot be made", path);
		unlink(temporary);
		if (error == 0 && (error = file_sync_directory(path)) != 0)
			err_sys(err, error, NULL,
			    "%s: its directory cannot be synced", path);
		disk_close(from, NULL);
	}
	disk_set_free(set);
	return error;
}
