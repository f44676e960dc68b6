/*
 * Commit, in three ways.
 *
 * The plain way writes what the disk has itself into the image below it, and
 * then puts an empty overlay in the disk's place.  Until that moment the disk
 * has everything of its own still, so it reads the same at each moment, and an
 * interrupted commit is begun again.
 *
 * Who else stands on the image below would see it change.  They are found by
 * the backing files' names in all images of the directory, whoever made them;
 * those in other directories are not.  Either they stop the commit, or each of
 * them is first given, as its own, what it reads where the disk differs.  That
 * too can be begun again: one that has it has it.
 *
 * Relabelling writes to no image's data.  The image below gets a hidden name,
 * its children are told that name, the disk's image takes over the old name, and
 * an empty overlay takes the disk's.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/backing.h"
#include "disk/create.h"
#include "disk/file.h"
#include "disk/overlay.h"
#include "disk/pieces.h"

#define PUSH_BYTES (32u << 20) /* written until the device is told */

struct commit {
	struct tree tree;
	struct tree_node *top, *base;
	char top_path[PATH_MAX], base_path[PATH_MAX];
	struct disk_set *set;
	struct disk *alone; /* the top without its parents, held */
	struct disk *below; /* the base, while it is written */
	uint64_t unpushed;  /* bytes of that */
	uint8_t *buffer;
	const struct tree_progress *progress;
};

/* ---- who stands on what ---- */

/* What else has the base as it is. */
static void
list_dependents(const struct commit *c, char *text, size_t len)
{
	FILE *out = fmemopen(text, len, "w");
	const char *comma = "";

	text[0] = '\0';
	if (out == NULL)
		return;
	setvbuf(out, NULL, _IONBF, 0);
	if (c->base->checkpoint != NULL) {
		fprintf(out, "checkpoint %s", c->base->checkpoint);
		comma = ", ";
	}
	for (size_t i = 0; i < c->tree.n; i++) {
		const struct tree_node *node = &c->tree.nodes[i];

		if (node->parent != c->base || node == c->top)
			continue;
		fprintf(out, "%s%s", comma, node->file);
		comma = ", ";
	}
	if (ferror(out))
		strcpy(text + len - 4, "...");
	fclose(out);
}

static int
find_pair(struct commit *c, const char *path, struct err *err)
{
	const char *file = path + file_directory_bytes(path);
	int error = tree_scan(&c->tree, err);

	if (error == 0)
		error = tree_knows_all(&c->tree, err);
	if (error != 0)
		return error;
	c->top = tree_find(&c->tree, file);
	if (c->top == NULL)
		return err_set(err, -ENOENT, "%s: is no disk", path);
	if (c->top->frozen || c->top->children > 0)
		return err_set(err, -EROFS,
		    "%s: is frozen, or others stand on it; commit a disk that "
		    "can be written",
		    path);
	c->base = c->top->parent;
	if (c->base == NULL)
		return err_set(err, -EINVAL, "%s: %s", path,
		    c->top->backing != NULL
			? "its backing file is not in its directory"
			: "stands on no other image, so there is nothing to "
			  "commit to");
	for (size_t i = 0; i < c->tree.n; i++)
		if (c->tree.nodes[i].busy != NULL &&
		    &c->tree.nodes[i] != c->top &&
		    strcmp(c->tree.nodes[i].busy, c->base->file) == 0)
			return err_set(err, -EBUSY,
			    "%s: a commit of %s was interrupted; run that "
			    "again first",
			    c->base->file, c->tree.nodes[i].file);
	if (c->base->changed && c->top->busy == NULL)
		return err_set(err, -EUCLEAN,
		    "%s: has been changed since it was frozen, by another "
		    "program; what stands on it may be damaged",
		    c->base->file);
	error = tree_path(
	    &c->tree, c->top->file, c->top_path, sizeof(c->top_path), err);
	if (error == 0)
		error = tree_path(&c->tree, c->base->file, c->base_path,
		    sizeof(c->base_path), err);
	return error;
}

/* keep: siblings will have what they need. */
static int
check_alone(const struct commit *c, bool keep, struct err *err)
{
	unsigned int others =
	    keep || c->base->children == 0 ? 0 : c->base->children - 1;
	char names[300];

	if (c->base->checkpoint != NULL)
		others++;
	if (others == 0)
		return 0;
	list_dependents(c, names, sizeof(names));
	return err_set(err, -EBUSY,
	    "%s: %u others stand on %s and would change: %s; use %s--relabel",
	    c->top_path, others, c->base->file, names,
	    c->base->checkpoint != NULL ? "" : "--keep-siblings or ");
}

/* Whether node can be written to: it is of a kind that we write, and nobody
 * uses it.  So what cannot end is not begun. */
static int
probe(struct commit *c, const struct tree_node *node, struct err *err)
{
	char path[PATH_MAX];
	int error = tree_path(&c->tree, node->file, path, sizeof(path), err);
	struct disk *disk;

	if (error != 0)
		return error;
	disk = disk_open(c->set, path,
	    DISK_WRITE | DISK_FROZEN | DISK_ALONE |
		(node->qcow2 ? 0 : DISK_RAW),
	    &error, err);
	disk_close(disk, NULL);
	return error;
}

static int
probe_siblings(struct commit *c, struct err *err)
{
	int error = 0;

	for (size_t i = 0; i < c->tree.n && error == 0; i++) {
		const struct tree_node *node = &c->tree.nodes[i];

		if (node->parent == c->base && node != c->top)
			error = probe(c, node, err);
	}
	return error;
}

/* ---- copying ---- */

static int
write_down(const struct disk_extent *x, void *arg, struct err *err)
{
	struct commit *c = arg;
	struct disk *base = c->below;
	int error;

	if (!x->data)
		return disk_zero(base, x->offset, x->len, err);
	error = disk_read(c->alone, c->buffer, (size_t)x->len, x->offset, err);
	if (error == 0)
		error =
		    disk_write(base, c->buffer, (size_t)x->len, x->offset, err);
	c->unpushed += x->len;
	if (c->unpushed >= PUSH_BYTES) {
		c->unpushed = 0;
		disk_push(base);
	}
	return error;
}

/* Frozen siblings are written to, which is no change by others. */
static int
unstamp_siblings(struct commit *c, struct err *err)
{
	bool any = false;

	for (size_t i = 0; i < c->tree.n; i++) {
		const struct tree_node *node = &c->tree.nodes[i];

		if (node->parent != c->base || node == c->top || !node->frozen)
			continue;
		tree_unstamp(&c->tree, node->file);
		any = true;
	}
	return any ? tree_commit(&c->tree, err) : 0;
}

static int
keep_siblings(struct commit *c, struct err *err)
{
	char path[PATH_MAX];
	int error = unstamp_siblings(c, err);

	for (size_t i = 0; i < c->tree.n && error == 0; i++) {
		struct tree_node *node = &c->tree.nodes[i];
		struct disk *sibling;

		if (node->parent != c->base || node == c->top)
			continue;
		error =
		    tree_path(&c->tree, node->file, path, sizeof(path), err);
		if (error != 0)
			break;
		sibling = disk_open(c->set, path,
		    DISK_WRITE | DISK_FROZEN | DISK_OUTSIDE, &error, err);
		if (sibling == NULL)
			break;
		error = pieces_each(c->alone, "siblings kept", piece_keep,
		    sibling, c->progress, err);
		if (error == 0)
			error = disk_close(sibling, err);
		else
			disk_close(sibling, NULL);
		if (error == 0 && node->frozen)
			error = tree_freeze(&c->tree, node->file, node->file,
			    node->hidden ? CATALOGUE_HIDDEN : CATALOGUE_FROZEN,
			    err);
	}
	return error;
}

/* ---- the plain way ---- */

static int
merge_down(struct commit *c, struct err *err)
{
	uint64_t size = disk_size(c->alone);
	struct disk *base;
	int error;

	base = disk_open(c->set, c->base_path,
	    DISK_WRITE | DISK_FROZEN | DISK_OUTSIDE |
		(c->base->qcow2 ? 0 : DISK_RAW),
	    &error, err);
	if (base == NULL)
		return error;
	c->below = base;
	if (size > disk_size(base))
		error = disk_resize(base, size, err);
	if (error == 0)
		error = pieces_each(
		    c->alone, "committed", write_down, c, c->progress, err);
	if (error == 0)
		error = disk_close(base, err);
	else
		disk_close(base, NULL);
	return error;
}

static int
commit_plain(struct commit *c, bool keep, struct err *err)
{
	struct catalogue_line *line;
	struct disk_info info;
	int error = check_alone(c, keep, err);

	if (error == 0 && keep)
		error = probe_siblings(c, err);
	if (error == 0)
		error = probe(c, c->base, err);
	if (error == 0 && keep)
		error = keep_siblings(c, err);
	if (error != 0)
		return error;
	/* From here on the base is neither old nor new for others. */
	if (c->top->busy == NULL) {
		if (catalogue_add(&c->tree.catalogue, CATALOGUE_MERGE,
			c->top->file, c->base->file) == NULL)
			return err_set(err, -ENOMEM, "out of memory");
		tree_unstamp(&c->tree, c->base->file);
		error = tree_commit(&c->tree, err);
	}
	if (error == 0)
		error = merge_down(c, err);
	if (error != 0)
		return error;
	disk_info(c->alone, &info);
	error = overlay_make(&c->tree,
	    &(struct overlay){ c->top->file, c->base->file, !c->base->qcow2,
		info.size, info.cluster_bits },
	    err);
	if (error == 0 && c->base->frozen)
		error = tree_freeze(&c->tree, c->base->file, c->base->file,
		    c->base->hidden ? CATALOGUE_HIDDEN : CATALOGUE_FROZEN, err);
	line =
	    catalogue_find(&c->tree.catalogue, CATALOGUE_MERGE, c->top->file);
	if (error == 0 && line != NULL)
		catalogue_remove(&c->tree.catalogue, line);
	return error == 0 ? tree_commit(&c->tree, err) : error;
}

/* ---- relabelling ---- */

/* A second name for a file of the tree, one of our own: what an attempt that
 * failed may have left there goes first. */
static int
add_name(struct commit *c, const char *path, const char *name, struct err *err)
{
	char other[PATH_MAX];
	int error = tree_path(&c->tree, name, other, sizeof(other), err);

	if (error != 0)
		return error;
	unlink(other);
	if (link(path, other) < 0)
		return err_sys(err, -errno, NULL, "%s: cannot be made", other);
	return file_sync_directory(other);
}

static void
remove_name(const struct commit *c, const char *name)
{
	char path[PATH_MAX];

	if (tree_path(&c->tree, name, path, sizeof(path), NULL) == 0)
		unlink(path);
}

/* Lists that the children are to be told the hidden name, all that are there;
 * each can be told. */
static int
rename_parent(
    struct commit *c, const char *hidden, const char *moving, struct err *err)
{
	char path[PATH_MAX];
	int error = 0;

	for (size_t i = 0; i < c->tree.n && error == 0; i++) {
		const struct tree_node *node = &c->tree.nodes[i];

		if (node->parent != c->base)
			continue;
		error =
		    tree_path(&c->tree, node->file, path, sizeof(path), err);
		if (error == 0)
			error = backing_fits(path, hidden, "qcow2", err);
		/* The top by the name that it loses: when this is done again
		 * its old one may be the new overlay's. */
		if (error == 0 &&
		    catalogue_add(&c->tree.catalogue, CATALOGUE_REBASE,
			node == c->top ? moving : node->file, hidden) == NULL)
			error = err_set(err, -ENOMEM, "out of memory");
	}
	return error;
}

/* What checkpoints have of the base has its hidden name from now on. */
static int
move_parts(struct commit *c, const char *hidden, struct err *err)
{
	for (size_t i = 0; i < c->tree.catalogue.n; i++) {
		struct catalogue_line *l = &c->tree.catalogue.lines[i];

		for (size_t k = 0; k < l->nparts; k++) {
			char *file;

			if (strcmp(l->parts[k].file, c->base->file) != 0)
				continue;
			file = strdup(hidden);
			if (file == NULL)
				return err_set(err, -ENOMEM, "out of memory");
			free(l->parts[k].file);
			l->parts[k].file = file;
		}
	}
	return 0;
}

static int
commit_relabel(struct commit *c, struct err *err)
{
	uint64_t number = c->tree.catalogue.generation + 1;
	char hidden[NAME_MAX + 32], moving[NAME_MAX + 32];
	struct catalogue_line *line;
	struct disk_info info;
	bool frozen = c->base->frozen;
	int error;

	if (c->top->busy != NULL)
		return err_set(err, -EBUSY,
		    "%s: a commit of it was interrupted; run that again first",
		    c->top_path);
	if (!c->base->qcow2)
		return err_set(err, -ENOTSUP,
		    "%s: stands on a raw image, whose name cannot change "
		    "hands; commit without --relabel",
		    c->top_path);
	disk_info(c->alone, &info);
	snprintf(hidden, sizeof(hidden), "%s~%" PRIu64 ".base", c->base->file,
	    number);
	snprintf(moving, sizeof(moving), "%s~%" PRIu64, c->base->file, number);
	/* The top is written to, by its other name. */
	error = disk_close(c->alone, err);
	c->alone = NULL;
	if (error == 0)
		error = rename_parent(c, hidden, moving, err);
	if (error == 0)
		error = add_name(c, c->base_path, hidden, err);
	if (error == 0)
		error = add_name(c, c->top_path, moving, err);
	/* The base's name first: until the disk's own goes to the overlay, it
	 * is the same image's, so that each name shows the same at each moment. */
	if (error == 0 &&
	    catalogue_add(&c->tree.catalogue, CATALOGUE_RENAME, moving,
		c->base->file) == NULL)
		error = err_set(err, -ENOMEM, "out of memory");
	if (error == 0)
		error = overlay_make(&c->tree,
		    &(struct overlay){ c->top->file, c->base->file, false,
			info.size, info.cluster_bits },
		    err);
	if (error == 0)
		error = move_parts(c, hidden, err);
	/* The base's record is the new base's from now on. */
	line =
	    catalogue_find(&c->tree.catalogue, CATALOGUE_FROZEN, c->base->file);
	if (error == 0 && frozen && line != NULL)
		catalogue_remove(&c->tree.catalogue, line);
	if (error == 0)
		error = tree_freeze(
		    &c->tree, c->base->file, hidden, CATALOGUE_HIDDEN, err);
	if (error == 0)
		error = tree_freeze(&c->tree, c->top->file, c->base->file,
		    CATALOGUE_FROZEN, err);
	if (error == 0)
		return tree_commit(&c->tree, err);
	remove_name(c, hidden);
	remove_name(c, moving);
	return error;
}

int
tree_commit_disk(const char *disk, enum tree_commit_way way,
    const struct tree_progress *progress, struct err *err)
{
	struct commit c = { .progress = progress };
	int error = tree_open(&c.tree, disk, err);

	c.set = disk_set_new();
	c.buffer = malloc(PIECE_MAX_BYTES);
	if (error == 0 && (c.set == NULL || c.buffer == NULL))
		error = err_set(err, -ENOMEM, "%s: out of memory", disk);
	if (error == 0)
		error = find_pair(&c, disk, err);
	if (error == 0)
		c.alone = disk_open(
		    c.set, c.top_path, DISK_WRITE | DISK_ALONE, &error, err);
	if (error == 0)
		switch (way) {
		case TREE_COMMIT: error = commit_plain(&c, false, err); break;
		case TREE_KEEP_SIBLINGS:
			error = commit_plain(&c, true, err);
			break;
		case TREE_RELABEL: error = commit_relabel(&c, err); break;
		}
	disk_close(c.alone, NULL);
	free(c.buffer);
	disk_set_free(c.set);
	tree_close(&c.tree);
	return error;
}
