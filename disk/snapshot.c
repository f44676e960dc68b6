/*
 * Snapshots, rollback and clones: new empty images on frozen ones.
 *
 * A snapshot gives the disk's file a second name, bob@before.qcow2, makes an
 * empty overlay on that under a temporary name, and writes the catalogue; then
 * the overlay takes the disk's name.  Whoever opens the disk before that rename
 * sees the same contents.
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
#include "disk/tree.h"

#define COPY_BYTES  (4u << 20)
#define MAX_NAME    128
#define OVERLAY_END ".qcow2"

/* The file's name without its directory. */
static const char *
base_name(const char *path)
{
	return path + file_directory_bytes(path);
}

static bool
is_snapshot_name(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n <= MAX_NAME && name[0] != '.' &&
	    strpbrk(name, "/~@") == NULL;
}

static int
snapshot_file(
    const char *disk, const char *name, char *file, size_t len, struct err *err)
{
	const char *dot = strrchr(disk, '.');
	int stem = dot != NULL && strcmp(dot, OVERLAY_END) == 0
	    ? (int)(dot - disk)
	    : (int)strlen(disk);

	if (!is_snapshot_name(name))
		return err_set(err, -EINVAL,
		    "\"%.60s\" is no name for a snapshot; use up to %d "
		    "characters without / ~ @",
		    name, MAX_NAME);
	if ((size_t)snprintf(
		file, len, "%.*s@%s%s", stem, disk, name, disk + stem) >= len ||
	    strlen(file) > 240)
		return err_set(
		    err, -ENAMETOOLONG, "%.60s...: is too long", disk);
	return 0;
}

/* All disks of one operation are in one directory, and none is frozen. */
static int
check_disks(const struct tree *tree, const char *const *disks, size_t n,
    struct err *err)
{
	size_t len = strlen(tree->directory);

	for (size_t i = 0; i < n; i++) {
		const char *file = base_name(disks[i]);
		const struct catalogue *c = &tree->catalogue;

		if (file_directory_bytes(disks[i]) != len ||
		    strncmp(disks[i], tree->directory, len) != 0)
			return err_set(err, -EXDEV,
			    "%s: is not in the directory of %s; use one "
			    "directory for disks that belong together",
			    disks[i], disks[0]);
		if (!catalogue_is_name(file) || strchr(file, '~') != NULL)
			return err_set(err, -EINVAL,
			    "%s: is no name for a disk; it must have no ~",
			    disks[i]);
		if (catalogue_find(c, CATALOGUE_FROZEN, file) != NULL)
			return err_set(err, -EROFS,
			    "%s: is frozen; make a clone of it", disks[i]);
		if (catalogue_find(c, CATALOGUE_MERGE, file) != NULL)
			return err_set(err, -EBUSY,
			    "%s: a commit of it was interrupted; run that "
			    "again first",
			    disks[i]);
	}
	return 0;
}

/* ---- what is made before the catalogue is written ---- */

static void
temporary_name(
    const struct tree *tree, const char *file, char *temporary, size_t len)
{
	snprintf(temporary, len, "%s~%" PRIu64, file,
	    tree->catalogue.generation + 1);
}

/* An empty image on backing, to be called file. */
static int
make_overlay(struct tree *tree, const char *file, const char *backing,
    uint64_t size, unsigned int cluster_bits, struct err *err)
{
	char temporary[NAME_MAX + 32], path[PATH_MAX];
	struct disk_options options = { .size = size,
		.cluster_bits = cluster_bits < 12 ? 0 : cluster_bits,
		.backing = backing,
		.backing_format = "qcow2",
		.replace = true };
	int error;

	temporary_name(tree, file, temporary, sizeof(temporary));
	error = tree_path(tree, temporary, path, sizeof(path), err);
	if (error == 0)
		error = disk_create(path, &options, err);
	if (error == 0 &&
	    catalogue_add(
		&tree->catalogue, CATALOGUE_RENAME, temporary, file) == NULL)
		error = err_set(err, -ENOMEM, "%s: out of memory", path);
	return error;
}

static void
remove_overlay(const struct tree *tree, const char *file)
{
	char temporary[NAME_MAX + 32], path[PATH_MAX];

	temporary_name(tree, file, temporary, sizeof(temporary));
	if (tree_path(tree, temporary, path, sizeof(path), NULL) == 0)
		unlink(path);
}

/* ---- snapshots ---- */

struct snapshot {
	struct tree *tree;
	const char *file; /* the disk's */
	char frozen[NAME_MAX + 1];
	char path[PATH_MAX]; /* of frozen */
	struct disk_set *set;
	struct disk *disk; /* held open, so that nobody else writes */
	bool live;         /* not ours to close */
	bool linked;
};

/* Whether the snapshot's name is there because an attempt did not end: it is the
 * disk itself, and the catalogue does not know it.  Keeps errno. */
static bool
is_left_over(const struct snapshot *s, const char *path)
{
	const struct catalogue *c = &s->tree->catalogue;
	int code = errno;
	struct stat disk, other;
	bool same = code == EEXIST &&
	    catalogue_find(c, CATALOGUE_FROZEN, s->frozen) == NULL &&
	    stat(path, &disk) == 0 && lstat(s->path, &other) == 0 &&
	    disk.st_dev == other.st_dev && disk.st_ino == other.st_ino;

	errno = code;
	return same;
}

static int
prepare_snapshot(
    struct snapshot *s, const char *path, const char *name, struct err *err)
{
	struct disk_info info;
	int error =
	    snapshot_file(s->file, name, s->frozen, sizeof(s->frozen), err);

	if (error == 0)
		error = tree_path(
		    s->tree, s->frozen, s->path, sizeof(s->path), err);
	if (error != 0)
		return error;
	if (s->disk == NULL)
		s->disk = disk_open(
		    s->set, path, DISK_WRITE | DISK_OUTSIDE, &error, err);
	if (s->disk == NULL)
		return error;
	disk_info(s->disk, &info);
	if (info.cluster_bits == 0)
		return err_set(err, -ENOTSUP,
		    "%s: is raw; make a qcow2 disk on top of it, with "
		    "\"disk create --backing\"",
		    path);
	if (link(path, s->path) < 0 && !is_left_over(s, path))
		return err_sys(err, -errno,
		    errno == EEXIST ? "choose another name for the snapshot"
				    : NULL,
		    "%s: cannot be made", s->path);
	s->linked = true;
	return make_overlay(
	    s->tree, s->file, s->frozen, info.size, info.cluster_bits, err);
}

static int
freeze_all(struct snapshot *s, size_t n, struct err *err)
{
	int error = 0;

	for (size_t i = 0; i < n && error == 0; i++)
		error = tree_freeze(
		    s->tree, s[i].frozen, s[i].frozen, CATALOGUE_FROZEN, err);
	return error == 0 ? tree_commit(s->tree, err) : error;
}

/* What a live disk's halt waits for. */
struct halt {
	struct snapshot *all;
	size_t n;
};

static int
commit_halted(void *arg, struct err *err)
{
	struct halt *halt = arg;

	return freeze_all(halt->all, halt->n, err);
}

static int
take_snapshots(struct snapshot *s, size_t n, struct err *err)
{
	struct halt halt = { s, n };
	int error = 0;

	for (size_t i = 0; i < n && error == 0; i++)
		if (!s[i].live)
			error = disk_flush(s[i].disk, err);
	if (error == 0)
		error = s[0].live ? disk_freeze(s[0].disk, s[0].path,
					commit_halted, &halt, err)
				  : freeze_all(s, n, err);
	return error;
}

int
tree_snapshot(const char *const *disks, size_t n, const char *name,
    struct disk *live, struct err *err)
{
	struct snapshot *s = calloc(n, sizeof(*s));
	struct disk_set *set = disk_set_new();
	struct tree tree;
	int error = tree_open(&tree, disks[0], err);

	if (error == 0 && (s == NULL || set == NULL))
		error = err_set(err, -ENOMEM, "%s: out of memory", disks[0]);
	if (error == 0)
		error = check_disks(&tree, disks, n, err);
	for (size_t i = 0; i < n && error == 0; i++) {
		s[i].tree = &tree;
		s[i].file = base_name(disks[i]);
		s[i].set = set;
		s[i].live = i == 0 && live != NULL;
		s[i].disk = s[i].live ? live : NULL;
		error = prepare_snapshot(&s[i], disks[i], name, err);
	}
	if (error == 0)
		error = take_snapshots(s, n, err);
	for (size_t i = 0; s != NULL && i < n; i++) {
		if (error != 0 && s[i].linked) {
			unlink(s[i].path);
			remove_overlay(&tree, s[i].file);
		}
		if (s[i].disk != NULL && !s[i].live)
			disk_close(s[i].disk, NULL);
	}
	free(s);
	disk_set_free(set);
	tree_close(&tree);
	return error;
}

/* ---- rollback ---- */

static int
prepare_rollback(struct tree *tree, struct disk_set *set, const char *path,
    const char *name, struct disk **held, struct err *err)
{
	const char *file = base_name(path);
	char frozen[NAME_MAX + 1], from[PATH_MAX];
	struct tree_node *node = tree_find(tree, file), *snapshot;
	struct disk_info info;
	struct disk *disk;
	int error = snapshot_file(file, name, frozen, sizeof(frozen), err);

	if (error == 0)
		error = tree_path(tree, frozen, from, sizeof(from), err);
	if (error != 0)
		return error;
	error = tree_is_busy(tree, frozen, err);
	if (error != 0)
		return error;
	snapshot = tree_find(tree, frozen);
	if (node == NULL || snapshot == NULL)
		return err_set(err, -ENOENT,
		    "%s: there is no %s; \"disk tree\" lists what there is",
		    path, node == NULL ? "such disk" : frozen);
	for (size_t i = 0; i < tree->n && node->children > 0; i++)
		if (tree->nodes[i].parent == node)
			return err_set(err, -EBUSY,
			    "%s: %s stands on it and would be lost; take a "
			    "snapshot first",
			    path, tree->nodes[i].file);
	/* Nobody else may have the disk open while it changes. */
	*held = disk_open(set, path, DISK_WRITE | DISK_ALONE, &error, err);
	if (*held == NULL)
		return error;
	disk = disk_open(set, from, DISK_OUTSIDE, &error, err);
	if (disk == NULL)
		return error;
	disk_info(disk, &info);
	disk_close(disk, NULL);
	return make_overlay(
	    tree, file, frozen, info.size, info.cluster_bits, err);
}

int
tree_rollback(
    const char *const *disks, size_t n, const char *name, struct err *err)
{
	struct disk **held = calloc(n, sizeof(*held));
	struct disk_set *set = disk_set_new();
	struct tree tree;
	size_t made = 0;
	int error = tree_open(&tree, disks[0], err);

	if (error == 0 && (held == NULL || set == NULL))
		error = err_set(err, -ENOMEM, "%s: out of memory", disks[0]);
	if (error == 0)
		error = check_disks(&tree, disks, n, err);
	if (error == 0)
		error = tree_scan(&tree, err);
	for (; made < n && error == 0; made++)
		error = prepare_rollback(
		    &tree, set, disks[made], name, &held[made], err);
	if (error == 0)
		error = tree_commit(&tree, err);
	for (size_t i = 0; held != NULL && i < made; i++) {
		if (error != 0)
			remove_overlay(&tree, base_name(disks[i]));
		disk_close(held[i], NULL);
	}
	free(held);
	disk_set_free(set);
	tree_close(&tree);
	return error;
}

/* ---- clones ---- */

int
tree_clone_linked(const char *source, const char *path, struct err *err)
{
	const char *from = base_name(source), *file = base_name(path);
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
		error = check_disks(&tree, both + 1, 1, err);
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
