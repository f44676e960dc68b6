#include "disk/overlay.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "disk/create.h"

static void
temporary_name(
    const struct tree *tree, const char *file, char *temporary, size_t len)
{
	snprintf(temporary, len, "%s~%" PRIu64, file,
	    tree->catalogue.generation + 1);
}

int
overlay_path(const struct tree *tree, const char *file, char *path, size_t len,
    struct err *err)
{
	char temporary[NAME_MAX + 32];

	temporary_name(tree, file, temporary, sizeof(temporary));
	return tree_path(tree, temporary, path, len, err);
}

int
overlay_make(struct tree *tree, const struct overlay *o, struct err *err)
{
	char temporary[NAME_MAX + 32], path[PATH_MAX];
	struct disk_options options = { .size = o->size,
		.cluster_bits = o->cluster_bits < 12 ? 0 : o->cluster_bits,
		.backing = o->backing,
		.backing_format = o->raw ? "raw" : "qcow2" };
	int fd, error;

	temporary_name(tree, o->file, temporary, sizeof(temporary));
	error = tree_path(tree, temporary, path, sizeof(path), err);
	if (error == 0)
		error = create_unsynced(path, &options, &fd, err);
	if (error == 0)
		error = tree_sync_first(tree, fd, err);
	if (error == 0 &&
	    catalogue_add(
		&tree->catalogue, CATALOGUE_RENAME, temporary, o->file) == NULL)
		error = err_set(err, -ENOMEM, "%s: out of memory", path);
	return error;
}

void
overlay_remove(const struct tree *tree, const char *file)
{
	char path[PATH_MAX];

	/* By its line: tree_commit() may have counted on. */
	for (size_t i = 0; i < tree->catalogue.n; i++) {
		const struct catalogue_line *l = &tree->catalogue.lines[i];

		if (l->kind == CATALOGUE_RENAME && strcmp(l->to, file) == 0 &&
		    tree_path(tree, l->name, path, sizeof(path), NULL) == 0)
			unlink(path);
	}
}
