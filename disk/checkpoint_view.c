/*
 * Checkpoints that are there: listed, read, gone back to, forgotten.
 *
 * Forgetting one hides its images: each stays as long as several others stand on
 * it, and is merged into the last one of them.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/checkpoint.h"
#include "disk/file.h"
#include "disk/tree.h"

#define CONFIG "config"
#define DISK   "disk"

static_assert(CATALOGUE_MAX_PARTS <= 64, "a checkpoint's parts have no room");

/* Paths are allocated. */
static int
fill_info(const struct tree *tree, const struct catalogue_line *l,
    struct checkpoint_info *info)
{
	*info = (struct checkpoint_info){ .name = l->name,
		.made_at = l->frozen_at };
	for (; info->n < l->nparts; info->n++) {
		const struct catalogue_part *part = &l->parts[info->n];
		char path[PATH_MAX];

		if (tree_path(tree, part->file, path, sizeof(path), NULL) != 0)
			return -ENAMETOOLONG;
		info->parts[info->n].what = part->what;
		info->parts[info->n].path = strdup(path);
		if (info->parts[info->n].path == NULL)
			return -ENOMEM;
	}
	return 0;
}

static void
free_paths(struct checkpoint_info *info)
{
	for (size_t i = 0; i < info->n; i++)
		free((char *)(uintptr_t)info->parts[i].path);
	info->n = 0;
}

int
checkpoint_list(const char *directory,
    void (*each)(void *arg, const struct checkpoint_info *info), void *arg,
    struct err *err)
{
	struct tree tree;
	int error = tree_open(&tree, directory, err);

	for (size_t i = 0; i < tree.catalogue.n && error == 0; i++) {
		const struct catalogue_line *l = &tree.catalogue.lines[i];
		struct checkpoint_info info;

		if (l->kind != CATALOGUE_CHECKPOINT)
			continue;
		error = fill_info(&tree, l, &info);
		if (error == 0)
			each(arg, &info);
		else
			err_set(err, error, "%s: out of memory", l->name);
		free_paths(&info);
	}
	tree_close(&tree);
	return error;
}

static int
find(struct tree *tree, const char *directory, const char *name,
    struct catalogue_line **line, struct err *err)
{
	int error = tree_open(tree, directory, err);

	*line = error == 0
	    ? catalogue_find(&tree->catalogue, CATALOGUE_CHECKPOINT, name)
	    : NULL;
	if (error != 0 || *line != NULL)
		return error;
	return err_set(err, -ENOENT,
	    "%s%s: is no checkpoint; \"disk tree\" lists what there is",
	    directory, name);
}

/* ---- reading ---- */

static int
check_parts(struct tree *tree, const struct catalogue_line *l, struct err *err)
{
	int error = tree_scan(tree, err);

	for (size_t i = 0; i < l->nparts && error == 0; i++) {
		const struct tree_node *node =
		    tree_find(tree, l->parts[i].file);

		if (strcmp(l->parts[i].what, CONFIG) == 0)
			continue;
		if (node == NULL)
			error = err_set(err, -ENOENT,
			    "%s%s: is gone; the checkpoint %s is not whole",
			    tree->directory, l->parts[i].file, l->name);
		else if (!node->frozen || node->changed)
			error = err_set(err, -EUCLEAN,
			    "%s%s: has been changed since the checkpoint %s, "
			    "by another program",
			    tree->directory, l->parts[i].file, l->name);
	}
	return error;
}

static int
read_config(struct checkpoint_view *view, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	int error = 0;

	if (fd < 0 || fstat(fd, &st) < 0)
		error = -errno;
	else if (!S_ISREG(st.st_mode) || st.st_size > CHECKPOINT_MAX_CONFIG)
		error = -EINVAL;
	if (error == 0) {
		view->config_bytes = (size_t)st.st_size;
		view->config = malloc(view->config_bytes + 1);
		error = view->config == NULL
		    ? -ENOMEM
		    : file_read(fd, view->config, view->config_bytes, 0);
	}
	if (fd >= 0)
		close(fd);
	return error == 0
	    ? 0
	    : err_sys(err, error, NULL, "%s: cannot be read", path);
}

static int
fill_view(struct checkpoint_view *view, struct tree *tree,
    const struct catalogue_line *l, struct err *err)
{
	struct checkpoint_info *info = &view->info;
	int error = fill_info(tree, l, info);

	if (error != 0)
		err_set(err, error, "%s: out of memory", l->name);
	info->name = strdup(l->name);
	for (size_t i = 0; i < info->n; i++)
		info->parts[i].what = strdup(info->parts[i].what);
	if (error == 0)
		error = check_parts(tree, l, err);
	for (size_t i = 0; i < info->n && error == 0; i++)
		if (strcmp(info->parts[i].what, CONFIG) == 0)
			error = read_config(view, info->parts[i].path, err);
	return error;
}

struct checkpoint_view *
checkpoint_open(
    const char *directory, const char *name, int *code, struct err *err)
{
	struct checkpoint_view *view = calloc(1, sizeof(*view));
	struct catalogue_line *line;
	struct tree tree;

	if (view == NULL) {
		*code = err_set(err, -ENOMEM, "%s: out of memory", name);
		return NULL;
	}
	*code = find(&tree, directory, name, &line, err);
	if (*code == 0)
		*code = fill_view(view, &tree, line, err);
	tree_close(&tree);
	if (*code == 0)
		return view;
	checkpoint_close(view);
	return NULL;
}

void
checkpoint_close(struct checkpoint_view *view)
{
	if (view == NULL)
		return;
	for (size_t i = 0; i < view->info.n; i++)
		free((char *)(uintptr_t)view->info.parts[i].what);
	free_paths(&view->info);
	free((char *)(uintptr_t)view->info.name);
	free(view->config);
	free(view);
}

/* ---- going back ---- */

/* bob.qcow2 of bob@name.qcow2; the caller's to free. */
static char *
disk_of(const char *path, const char *name)
{
	size_t n = strlen(name);
	char *disk = strdup(path), *at = disk;

	while (at != NULL && (at = strchr(at, '@')) != NULL) {
		if (strncmp(at + 1, name, n) == 0 &&
		    (at[1 + n] == '.' || at[1 + n] == '\0')) {
			memmove(at, at + 1 + n, strlen(at + 1 + n) + 1);
			return disk;
		}
		at++;
	}
	free(disk);
	return NULL;
}

int
checkpoint_rollback(const char *directory, const char *name, struct err *err)
{
	const char *at = strchr(name, '@');
	struct checkpoint_view *view;
	char *disks[CATALOGUE_MAX_PARTS];
	size_t n = 0;
	int error;

	view = checkpoint_open(directory, name, &error, err);
	if (view == NULL)
		return error;
	for (size_t i = 0; i < view->info.n && error == 0; i++) {
		if (strcmp(view->info.parts[i].what, DISK) != 0)
			continue;
		disks[n] = at != NULL
		    ? disk_of(view->info.parts[i].path, at + 1)
		    : NULL;
		if (disks[n] == NULL)
			error = err_set(err, -EINVAL,
			    "%s: its name has gone to another image; make a "
			    "clone of it",
			    view->info.parts[i].path);
		else
			n++;
	}
	if (error == 0 && n > 0)
		error =
		    tree_rollback((const char *const *)disks, n, at + 1, err);
	while (n > 0)
		free(disks[--n]);
	checkpoint_close(view);
	return error;
}

/* ---- forgetting ---- */

static int
hide_part(struct tree *tree, const struct catalogue_part *part, struct err *err)
{
	struct catalogue_line *frozen =
	    catalogue_find(&tree->catalogue, CATALOGUE_FROZEN, part->file);

	if (frozen != NULL)
		frozen->kind = CATALOGUE_HIDDEN;
	if (strcmp(part->what, CONFIG) != 0 ||
	    catalogue_add(
		&tree->catalogue, CATALOGUE_REMOVE, part->file, NULL) != NULL)
		return 0;
	return err_set(err, -ENOMEM, "out of memory");
}

int
checkpoint_delete(const char *directory, const char *name, struct err *err)
{
	struct catalogue_line *line;
	struct tree tree;
	unsigned int merged;
	int error = find(&tree, directory, name, &line, err);

	/* Lines move as others are added. */
	for (size_t i = 0; error == 0 && i < line->nparts; i++) {
		struct catalogue_part part = line->parts[i];

		error = hide_part(&tree, &part, err);
		line =
		    catalogue_find(&tree.catalogue, CATALOGUE_CHECKPOINT, name);
	}
	if (error == 0) {
		catalogue_remove(&tree.catalogue, line);
		error = tree_commit(&tree, err);
	}
	tree_close(&tree);
	return error == 0 ? tree_compact(directory, false, NULL, &merged, err)
			  : error;
}
