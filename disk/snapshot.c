/*
 * Snapshots and rollback: new empty images on frozen ones.
 *
 * A snapshot gives the disk's file a second name, bob@before.qcow2, makes an
 * empty overlay on that under a temporary name, and writes the catalogue; then
 * the overlay takes the disk's name.  Whoever opens the disk before that rename
 * sees the same contents.
 */
#include "disk/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/file.h"
#include "disk/overlay.h"

#define MAX_NAME    128
#define OVERLAY_END ".qcow2"

const char *
tree_base_name(const char *path)
{
	return path + file_directory_bytes(path);
}

bool
snapshot_is_name(const char *name)
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

	if (!snapshot_is_name(name))
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

int
tree_check_disks(const struct tree *tree, const char *const *disks, size_t n,
    struct err *err)
{
	size_t len = strlen(tree->directory);

	for (size_t i = 0; i < n; i++) {
		const char *file = tree_base_name(disks[i]);
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
		if (tree_is_frozen(tree, file))
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

/* ---- snapshots ---- */

struct snapshot {
	const char *path; /* the disk's */
	const char *file;
	char frozen_file[NAME_MAX + 1], frozen[PATH_MAX], overlay[PATH_MAX];
	struct disk *disk; /* held open, so that nobody else writes */
	bool live;         /* not ours to close */
	bool linked;       /* frozen is there */
};

struct snapshots {
	struct tree *tree;
	struct disk_set *set;
	const struct disk_freeze_calls *calls;
	size_t n;
	struct snapshot all[];
};

/* Whether the snapshot's name is there because an attempt did not end: it is the
 * disk itself, and the catalogue does not know it.  Keeps errno. */
static bool
is_left_over(const struct tree *tree, const struct snapshot *s)
{
	int code = errno;
	struct stat disk, other;
	bool same = code == EEXIST &&
	    catalogue_find(
		&tree->catalogue, CATALOGUE_FROZEN, s->frozen_file) == NULL &&
	    stat(s->path, &disk) == 0 && lstat(s->frozen, &other) == 0 &&
	    disk.st_dev == other.st_dev && disk.st_ino == other.st_ino;

	errno = code;
	return same;
}

static int
prepare_snapshot(struct snapshots *all, struct snapshot *s, const char *name,
    struct err *err)
{
	struct tree *tree = all->tree;
	struct disk_info info;
	int error = snapshot_file(
	    s->file, name, s->frozen_file, sizeof(s->frozen_file), err);

	if (error == 0)
		error = tree_path(
		    tree, s->frozen_file, s->frozen, sizeof(s->frozen), err);
	if (error == 0)
		error = overlay_path(
		    tree, s->file, s->overlay, sizeof(s->overlay), err);
	if (error == 0 && !s->live)
		s->disk = disk_open(
		    all->set, s->path, DISK_WRITE | DISK_OUTSIDE, &error, err);
	if (error != 0)
		return error;
	disk_info(s->disk, &info);
	if (info.cluster_bits == 0)
		return err_set(err, -ENOTSUP,
		    "%s: is raw; make a qcow2 disk on top of it, with "
		    "\"disk create --backing\"",
		    s->path);
	if (!info.writable)
		return err_set(
		    err, -EROFS, "%s: is open for reading only", s->path);
	if (link(s->path, s->frozen) < 0 && !is_left_over(tree, s))
		return err_sys(err, -errno,
		    errno == EEXIST ? "choose another name for the snapshot"
				    : NULL,
		    "%s: cannot be made", s->frozen);
	s->linked = true;
	return overlay_make(tree,
	    &(struct overlay){
		s->file, s->frozen_file, false, info.size, info.cluster_bits },
	    err);
}

int
snapshots_prepare(struct snapshots **prepared, struct tree *tree,
    const char *const *disks, size_t n, const char *name,
    struct disk *const *live, struct err *err)
{
	struct snapshots *all =
	    calloc(1, sizeof(*all) + n * sizeof(all->all[0]));
	int error = tree_check_disks(tree, disks, n, err);

	*prepared = all;
	if (all == NULL || (all->set = disk_set_new()) == NULL)
		return err_set(
		    err, -ENOMEM, "%s: out of memory", tree->directory);
	all->tree = tree;
	for (; all->n < n && error == 0; all->n++) {
		struct snapshot *s = &all->all[all->n];

		s->path = disks[all->n];
		s->file = tree_base_name(s->path);
		s->disk = live != NULL ? live[all->n] : NULL;
		s->live = s->disk != NULL;
		error = prepare_snapshot(all, s, name, err);
	}
	return error;
}

const char *
snapshots_file(const struct snapshots *all, size_t i)
{
	return all->all[i].frozen_file;
}

static int
commit_all(void *arg, struct err *err)
{
	struct snapshots *all = arg;
	int error = 0;

	if (all->calls != NULL && all->calls->commit != NULL)
		error = all->calls->commit(all->calls->arg, err);
	for (size_t i = 0; i < all->n && error == 0; i++)
		error = tree_freeze(all->tree, all->all[i].frozen_file,
		    all->all[i].frozen_file, CATALOGUE_FROZEN, err);
	return error == 0 ? tree_commit(all->tree, err) : error;
}

static void
tell_moment(void *arg)
{
	const struct snapshots *all = arg;

	if (all->calls != NULL && all->calls->frozen != NULL)
		all->calls->frozen(all->calls->arg);
}

int
snapshots_take(struct snapshots *all, const struct disk_freeze_calls *calls,
    struct err *err)
{
	struct disk_freeze_calls own = { tell_moment, commit_all, all };
	struct disk_freezing *freezing = calloc(all->n + 1, sizeof(*freezing));
	size_t n = 0;
	int error;

	if (freezing == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	all->calls = calls;
	for (size_t i = 0; i < all->n; i++)
		if (all->all[i].live)
			freezing[n++] =
			    (struct disk_freezing){ all->all[i].disk,
				    all->all[i].overlay, all->all[i].frozen };
	error = disk_freeze(freezing, n, &own, err);
	/* What is in place stays. */
	for (size_t i = 0; i < all->n && error == 0; i++)
		all->all[i].linked = false;
	free(freezing);
	return error;
}

/* The disk has its name again, and what was made for it goes. */
static void
give_back(const struct snapshot *s)
{
	struct stat disk, frozen;

	if (stat(s->path, &disk) == 0 && lstat(s->frozen, &frozen) == 0 &&
	    (disk.st_dev != frozen.st_dev || disk.st_ino != frozen.st_ino))
		(void)!rename(s->frozen, s->path);
	else
		unlink(s->frozen);
	unlink(s->overlay);
}

void
snapshots_free(struct snapshots *all)
{
	if (all == NULL)
		return;
	for (size_t i = 0; i < all->n; i++) {
		struct snapshot *s = &all->all[i];

		if (s->linked)
			give_back(s);
		if (!s->live)
			disk_close(s->disk, NULL);
	}
	disk_set_free(all->set);
	free(all);
}

int
tree_snapshot(const char *const *disks, size_t n, const char *name,
    struct disk *const *live, struct err *err)
{
	struct snapshots *all = NULL;
	struct tree tree;
	int error = tree_open(&tree, disks[0], err);

	if (error == 0)
		error =
		    snapshots_prepare(&all, &tree, disks, n, name, live, err);
	if (error == 0)
		error = snapshots_take(all, NULL, err);
	snapshots_free(all);
	tree_close(&tree);
	return error;
}

/* ---- rollback ---- */

static int
prepare_rollback(struct tree *tree, struct disk_set *set, const char *path,
    const char *name, struct disk **held, struct err *err)
{
	const char *file = tree_base_name(path);
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
	return overlay_make(tree,
	    &(struct overlay){
		file, frozen, false, info.size, info.cluster_bits },
	    err);
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
		error = tree_check_disks(&tree, disks, n, err);
	if (error == 0)
		error = tree_scan(&tree, err);
	if (error == 0)
		error = tree_knows_all(&tree, err);
	for (; made < n && error == 0; made++)
		error = prepare_rollback(
		    &tree, set, disks[made], name, &held[made], err);
	if (error == 0)
		error = tree_commit(&tree, err);
	for (size_t i = 0; held != NULL && i < made; i++) {
		if (error != 0 && !tree.switched)
			overlay_remove(&tree, tree_base_name(disks[i]));
		disk_close(held[i], NULL);
	}
	free(held);
	disk_set_free(set);
	tree_close(&tree);
	return error;
}
