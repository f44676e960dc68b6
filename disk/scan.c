/*
 * Reading a directory of images.
 *
 * What stands on what is read from the images' headers, whoever made them; the
 * catalogue adds what is frozen, hidden, or being merged.  Raw images are known
 * by those that stand on them.
 */
#include "disk/scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/qcow2.h"
#include "disk/stamp.h"
#include "disk/sweep.h"

#define FIRST_BYTES 65536
#define MAX_NODES   65536

void
scan_free(struct tree *tree)
{
	for (size_t i = 0; i < tree->n; i++) {
		free(tree->nodes[i].file);
		free(tree->nodes[i].backing);
	}
	free(tree->nodes);
	tree->nodes = NULL;
	tree->n = 0;
}

struct tree_node *
tree_find(const struct tree *tree, const char *file)
{
	for (size_t i = 0; i < tree->n; i++)
		if (strcmp(tree->nodes[i].file, file) == 0)
			return &tree->nodes[i];
	return NULL;
}

static void
judge(const struct tree *tree, struct tree_node *node, const struct stat *st)
{
	const struct catalogue *c = &tree->catalogue;
	const struct catalogue_line *l =
	    catalogue_find(c, CATALOGUE_FROZEN, node->file);
	const struct catalogue_line *merge =
	    catalogue_find(c, CATALOGUE_MERGE, node->file);
	const struct catalogue_line *checkpoint =
	    catalogue_checkpoint_of(c, node->file);

	if (l == NULL) {
		l = catalogue_find(c, CATALOGUE_HIDDEN, node->file);
		node->hidden = l != NULL;
	}
	node->busy = merge != NULL ? merge->to : NULL;
	node->checkpoint = checkpoint != NULL ? checkpoint->name : NULL;
	if (l == NULL)
		return;
	node->frozen = true;
	node->frozen_at = l->frozen_at;
	node->changed = stamp_is_changed(l, st);
	node->another = stamp_is_another(l, st);
}

/* Adds the file if it is an image: any qcow2, and raw ones that others name. */
static int
look_at(struct tree *tree, const char *file, bool raw_too, struct err *err)
{
	struct tree_node *nodes, node = { 0 };
	char path[PATH_MAX];
	struct stat st;
	uint8_t *bytes;
	struct qcow2 *h;
	ssize_t n = -1;
	int fd, error = tree_path(tree, file, path, sizeof(path), err);

	if (error != 0)
		return error;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return 0;
	bytes = malloc(FIRST_BYTES);
	h = malloc(sizeof(*h));
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && bytes != NULL &&
	    h != NULL)
		n = pread(fd, bytes, FIRST_BYTES, 0);
	close(fd);
	node.qcow2 = n > 0 && qcow2_is(bytes, (size_t)n);
	if (n < 0 || (!node.qcow2 && !raw_too)) {
		free(bytes);
		free(h);
		return 0;
	}
	node.file = strdup(file);
	node.size = (uint64_t)st.st_size;
	node.file_bytes = (uint64_t)st.st_blocks * 512;
	node.device = st.st_dev;
	node.inode = st.st_ino;
	if (node.qcow2 &&
	    qcow2_read_header(
		h, bytes, (size_t)n, (uint64_t)st.st_size, path, NULL) == 0) {
		node.size = h->size;
		if (h->backing[0] != '\0')
			node.backing = strdup(h->backing);
	}
	free(bytes);
	free(h);
	judge(tree, &node, &st);
	nodes = realloc(tree->nodes, (tree->n + 1) * sizeof(*nodes));
	if (nodes == NULL || node.file == NULL) {
		free(node.file);
		free(node.backing);
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	}
	tree->nodes = nodes;
	tree->nodes[tree->n++] = node;
	return 0;
}

static int
compare_nodes(const void *a, const void *b)
{
	const struct tree_node *x = a, *y = b;

	return strcmp(x->file, y->file);
}

/* The file of this directory that backing names, or NULL. */
static const char *
local_name(const char *backing)
{
	while (strncmp(backing, "./", 2) == 0)
		backing += 2;
	return strchr(backing, '/') == NULL ? backing : NULL;
}

static int
join(struct tree *tree, struct err *err)
{
	size_t n = tree->n;

	/* Raw images that others name. */
	for (size_t i = 0; i < n; i++) {
		const char *backing = tree->nodes[i].backing;
		const char *file = backing != NULL ? local_name(backing) : NULL;
		int error = 0;

		if (file != NULL && tree_find(tree, file) == NULL)
			error = look_at(tree, file, true, err);
		if (error != 0)
			return error;
	}
	if (tree->n > 1)
		qsort(
		    tree->nodes, tree->n, sizeof(*tree->nodes), compare_nodes);
	for (size_t i = 0; i < tree->n; i++) {
		const char *backing = tree->nodes[i].backing;
		const char *file = backing != NULL ? local_name(backing) : NULL;
		struct tree_node *parent =
		    file != NULL ? tree_find(tree, file) : NULL;

		tree->nodes[i].parent = parent;
		if (parent != NULL)
			parent->children++;
	}
	return 0;
}

static int
read_directory(struct tree *tree, struct err *err)
{
	const char *directory =
	    tree->directory[0] != '\0' ? tree->directory : ".";
	DIR *dir = opendir(directory);
	struct dirent *entry;
	int error = 0;

	scan_free(tree);
	if (dir == NULL)
		return err_sys(
		    err, -errno, NULL, "%s: cannot be read", directory);
	while (error == 0 && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		sweep_remains(tree, entry->d_name);
		error = look_at(tree, entry->d_name, false, err);
		if (error == 0 && tree->n > MAX_NODES)
			error =
			    err_set(err, -EFBIG, "%s: has more than %d images",
				directory, MAX_NODES);
	}
	closedir(dir);
	return error == 0 ? join(tree, err) : error;
}

/* Files made anew are frozen no more, unless others stand on them. */
static void
thaw(struct tree *tree)
{
	for (size_t i = 0; i < tree->n; i++) {
		struct tree_node *node = &tree->nodes[i];
		enum catalogue_kind kind =
		    node->hidden ? CATALOGUE_HIDDEN : CATALOGUE_FROZEN;

		if (!node->another || node->children > 0)
			continue;
		catalogue_remove(&tree->catalogue,
		    catalogue_find(&tree->catalogue, kind, node->file));
		node->frozen = node->hidden = node->changed = false;
	}
}

int
tree_scan(struct tree *tree, struct err *err)
{
	int error;

	/* What goes may be what others were kept for. */
	do {
		error = read_directory(tree, err);
	} while (error == 0 && sweep_images(tree) > 0);
	if (error == 0)
		thaw(tree);
	return error;
}
