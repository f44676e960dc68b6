/*
 * Hidden images that are needed by one other at most are merged into that one,
 * or removed.
 *
 * The child is given, as its own, what the hidden image has, and what that
 * hides of its parent; then it is told to stand on the hidden one's parent.  At
 * each moment it reads the same.  An attempt that ends early leaves the child
 * with more of its own, which the next one need not give it again.
 *
 * A child that somebody uses is left for another time.  So is everything as
 * soon as somebody waits for the directory, if that is asked for.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "disk/backing.h"
#include "disk/pieces.h"

struct compact {
	struct tree tree;
	struct tree_node *hidden, *child; /* child may be NULL */
	char after[NAME_MAX + 1];         /* those up to this name are in use */
	char format[16]; /* of what hidden stands on, it says */
	struct disk_set *set;
	const struct tree_progress *progress;
	bool yields;
};

static bool
step(void *arg, const char *what, uint64_t done, uint64_t all)
{
	const struct compact *c = arg;

	if (c->yields && tree_is_wanted(&c->tree))
		return false;
	return c->progress == NULL ||
	    c->progress->step(c->progress->arg, what, done, all);
}

static struct disk *
open_node(struct compact *c, const struct tree_node *node, unsigned int flags,
    int *code, struct err *err)
{
	char path[PATH_MAX];

	*code = tree_path(&c->tree, node->file, path, sizeof(path), err);
	return *code == 0 ? disk_open(c->set, path, flags, code, err) : NULL;
}

static int
fill_child(struct compact *c, struct err *err)
{
	struct tree_progress progress = { step, c };
	struct disk *child, *hidden;
	struct disk_info info;
	uint64_t end;
	int error, closed;

	hidden =
	    open_node(c, c->hidden, DISK_ALONE | DISK_NO_LOCK, &error, err);
	if (hidden == NULL)
		return error;
	disk_info(hidden, &info);
	snprintf(c->format, sizeof(c->format), "%s", info.backing_format);
	child = open_node(
	    c, c->child, DISK_WRITE | DISK_FROZEN | DISK_OUTSIDE, &error, err);
	if (child == NULL) {
		disk_close(hidden, NULL);
		return error;
	}
	error =
	    pieces_each(hidden, "merged", piece_keep, child, &progress, err);
	end = disk_size(hidden);
	if (error == 0 && disk_size(child) > end)
		error = disk_own(child, end, disk_size(child) - end, err);
	disk_close(hidden, NULL);
	closed = disk_close(child, error == 0 ? err : NULL);
	return error != 0 ? error : closed;
}

static int
merge(struct compact *c, struct err *err)
{
	const struct tree_node *below = c->hidden->parent;
	const char *name = c->hidden->backing != NULL ? c->hidden->backing : "";
	char path[PATH_MAX];
	int error = 0;

	if (c->child->frozen) {
		tree_unstamp(&c->tree, c->child->file);
		error = tree_commit(&c->tree, err);
	}
	if (error == 0)
		error = fill_child(c, err);
	if (error == 0)
		error = tree_path(
		    &c->tree, c->child->file, path, sizeof(path), err);
	if (error == 0)
		error = backing_set(path, name,
		    below == NULL      ? c->format
			: below->qcow2 ? "qcow2"
				       : "raw",
		    err);
	if (error == 0 && c->child->frozen)
		error = tree_freeze(&c->tree, c->child->file, c->child->file,
		    c->child->hidden ? CATALOGUE_HIDDEN : CATALOGUE_FROZEN,
		    err);
	return error;
}

static int
remove_hidden(struct compact *c, struct err *err)
{
	struct catalogue *catalogue = &c->tree.catalogue;

	catalogue_remove(catalogue,
	    catalogue_find(catalogue, CATALOGUE_HIDDEN, c->hidden->file));
	if (catalogue_add(catalogue, CATALOGUE_REMOVE, c->hidden->file, NULL) ==
	    NULL)
		return err_set(err, -ENOMEM, "out of memory");
	return tree_commit(&c->tree, err);
}

static struct tree_node *
only_child(const struct compact *c, const struct tree_node *node)
{
	for (size_t k = 0; k < c->tree.n; k++)
		if (c->tree.nodes[k].parent == node)
			return &c->tree.nodes[k];
	return NULL;
}

/* The next hidden image that has one child at most. */
static bool
find_hidden(struct compact *c)
{
	for (size_t i = 0; i < c->tree.n; i++) {
		struct tree_node *node = &c->tree.nodes[i];

		if (!node->hidden || node->children > 1 ||
		    node->checkpoint != NULL ||
		    strcmp(node->file, c->after) <= 0)
			continue;
		c->hidden = node;
		c->child = only_child(c, node);
		return true;
	}
	return false;
}

static int
do_next(struct compact *c, unsigned int *merged, struct err *err)
{
	struct err reason = { "" };
	int error = c->child != NULL ? merge(c, &reason) : 0;

	if (error == 0)
		error = remove_hidden(c, &reason);
	if (error == -EBUSY) {
		strcpy(c->after, c->hidden->file);
		return 0;
	}
	if (error != 0)
		return err_set(err, error, "%s", reason.text);
	c->after[0] = '\0';
	++*merged;
	return 0;
}

int
tree_compact(const char *directory, bool yields,
    const struct tree_progress *progress, unsigned int *merged, struct err *err)
{
	struct compact c = { .progress = progress, .yields = yields };
	int error = tree_open(&c.tree, directory, err);

	*merged = 0;
	if (error == 0 && yields)
		tree_show_yielding(&c.tree);
	c.set = disk_set_new();
	if (error == 0 && c.set == NULL)
		error = err_set(err, -ENOMEM, "out of memory");
	while (error == 0 && (error = tree_scan(&c.tree, err)) == 0 &&
	    (error = tree_knows_all(&c.tree, err)) == 0 && find_hidden(&c) &&
	    !(yields && tree_is_wanted(&c.tree)))
		error = do_next(&c, merged, err);
	disk_set_free(c.set);
	tree_close(&c.tree);
	return error;
}
