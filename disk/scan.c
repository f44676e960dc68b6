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

#include "disk/file.h"
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

static int
add_node(struct tree *tree, const struct tree_node *node, struct err *err)
{
	struct tree_node *nodes =
	    realloc(tree->nodes, (tree->n + 1) * sizeof(*nodes));

	if (nodes != NULL)
		tree->nodes = nodes;
	if (nodes == NULL || node->file == NULL) {
		free(node->file);
		free(node->backing);
		return err_set(
		    err, -ENOMEM, "%s: out of memory", tree->directory);
	}
	tree->nodes[tree->n++] = *node;
	return 0;
}

/* The name of the backing file is wanted also of images that are not read here:
 * they stand on it all the same. */
static int
read_header(struct tree_node *node, int fd, const uint8_t *bytes, size_t n,
    uint64_t file_bytes, const char *path)
{
	char backing[QCOW2_MAX_NAME_BYTES + 1] = "";
	struct qcow2 *h = malloc(sizeof(*h));
	uint64_t at;
	size_t len = qcow2_find_backing(bytes, n, &at);
	int error = h == NULL ? -ENOMEM : 0;

	if (error == 0 &&
	    qcow2_read_header(h, bytes, n, file_bytes, path, NULL) == 0)
		node->size = h->size;
	free(h);
	if (error == 0 && len > 0)
		error = file_read(fd, backing, len, at);
	if (error == 0 && backing[0] != '\0' &&
	    (node->backing = strdup(backing)) == NULL)
		error = -ENOMEM;
	return error;
}

static int
fill_node(struct tree *tree, struct tree_node *node, int fd, const char *path,
    bool raw_too, uint8_t *bytes)
{
	struct stat st;
	ssize_t n;
	int error = 0;

	if (fstat(fd, &st) < 0 || (n = pread(fd, bytes, FIRST_BYTES, 0)) < 0)
		return -errno;
	node->qcow2 = qcow2_is(bytes, (size_t)n);
	if (!node->qcow2 && !raw_too)
		return 0;
	node->file = strdup(tree_base_name(path));
	node->size = (uint64_t)st.st_size;
	node->file_bytes = (uint64_t)st.st_blocks * 512;
	node->device = st.st_dev;
	node->inode = st.st_ino;
	node->links = st.st_nlink;
	if (node->file == NULL)
		return -ENOMEM;
	if (node->qcow2)
		error = read_header(
		    node, fd, bytes, (size_t)n, (uint64_t)st.st_size, path);
	judge(tree, node, &st);
	return error;
}

/* Adds what is in fd if it is an image: any qcow2, and raw ones that others
 * name. */
static int
look_into(
    struct tree *tree, int fd, const char *path, bool raw_too, struct err *err)
{
	struct tree_node node = { 0 };
	uint8_t *bytes = malloc(FIRST_BYTES);
	int error = bytes == NULL
	    ? -ENOMEM
	    : fill_node(tree, &node, fd, path, raw_too, bytes);

	free(bytes);
	if (error == 0)
		return node.file != NULL ? add_node(tree, &node, err) : 0;
	free(node.file);
	free(node.backing);
	return err_sys(err, error, NULL, "%s: cannot be read", path);
}

/* A second name of what is in the directory under its own. */
static bool
is_inner_link(const struct tree *tree, const char *path)
{
	const char *here = tree->directory[0] != '\0' ? tree->directory : ".";
	char whole[PATH_MAX], directory[PATH_MAX];
	struct stat st;
	size_t n;

	if (lstat(path, &st) < 0 || !S_ISLNK(st.st_mode) ||
	    realpath(path, whole) == NULL || realpath(here, directory) == NULL)
		return false;
	n = strlen(directory);
	return strncmp(whole, directory, n) == 0 && whole[n] == '/' &&
	    strchr(whole + n + 1, '/') == NULL;
}

static int
look_at(struct tree *tree, const char *file, bool raw_too, struct err *err)
{
	char path[PATH_MAX];
	struct stat st;
	int fd, error = tree_path(tree, file, path, sizeof(path), err);

	if (error != 0)
		return error;
	if (stat(path, &st) < 0)
		return errno == ENOENT || errno == ELOOP
		    ? 0
		    : err_sys(
			  err, -errno, NULL, "%s: cannot be examined", path);
	if (!S_ISREG(st.st_mode) || is_inner_link(tree, path))
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 && errno == EACCES) {
		snprintf(tree->unread, sizeof(tree->unread), "%s", file);
		return 0;
	}
	if (fd < 0)
		return err_sys(err, -errno, NULL, "%s: cannot be read", path);
	error = look_into(tree, fd, path, raw_too, err);
	close(fd);
	return error;
}

static int
compare_nodes(const void *a, const void *b)
{
	const struct tree_node *x = a, *y = b;

	return strcmp(x->file, y->file);
}

/* The file that backing names, as QEMU has it: "file:" may be before it, or it
 * may be a description in JSON. */
static void
file_name(const char *backing, char *name, size_t len)
{
	const char *p = backing;
	size_t n;

	if (strncmp(p, "file:", 5) == 0)
		p += 5;
	n = strlen(p);
	if (strncmp(p, "json:", 5) == 0) {
		p = strstr(p, "\"filename\"");
		p = p != NULL ? strchr(p + strlen("\"filename\""), '"') : NULL;
		p = p != NULL ? p + 1 : "";
		n = strcspn(p, "\"");
	}
	snprintf(name, len, "%.*s", (int)n, p);
}

/* 0, or -Exxx; *there: whether there is something at path. */
static int
examine(const char *path, struct stat *st, bool *there, struct err *err)
{
	*there = stat(path, st) == 0;
	if (*there || errno == ENOENT || errno == ENOTDIR || errno == ELOOP ||
	    errno == EACCES)
		return 0;
	return err_sys(err, -errno, NULL, "%s: cannot be examined", path);
}

/* The image of this directory that is the one at path, whichever its name. */
static int
find_same(const struct tree *tree, const char *path, struct tree_node **same,
    struct err *err)
{
	struct stat st;
	bool there;
	int error = examine(path, &st, &there, err);

	*same = NULL;
	for (size_t i = 0; i < tree->n && there && *same == NULL; i++)
		if (tree->nodes[i].device == st.st_dev &&
		    tree->nodes[i].inode == st.st_ino)
			*same = &tree->nodes[i];
	return error;
}

/* What stands on one name of a file stands on all. */
static void
share_children(struct tree *tree)
{
	for (size_t i = 0; i < tree->n; i++)
		for (size_t k = 0; k < i && tree->nodes[i].links > 1; k++) {
			struct tree_node *one = &tree->nodes[k];

			if (one->device != tree->nodes[i].device ||
			    one->inode != tree->nodes[i].inode)
				continue;
			tree->nodes[i].children = one->children;
			break;
		}
}

/* Where the backing file of a node is; false: it has none. */
static bool
backing_place(const struct tree *tree, const struct tree_node *node, char *path,
    size_t len)
{
	char name[QCOW2_MAX_NAME_BYTES + 1];

	if (node->backing == NULL)
		return false;
	file_name(node->backing, name, sizeof(name));
	return name[0] != '\0' &&
	    (size_t)snprintf(path, len, "%s%s",
		name[0] == '/' ? "" : tree->directory, name) < len;
}

static void
count_name(struct tree *tree, const struct tree_node *node, const char *file)
{
	struct tree_node *by_name = tree_find(tree, file);

	if (by_name != NULL && by_name->device == node->device &&
	    by_name->inode == node->inode)
		by_name->named++;
}

/* Adds the raw image that a node names, if it is in the directory. */
static int
add_raw(struct tree *tree, const char *path, struct err *err)
{
	const char *file = tree_base_name(path);
	char here[PATH_MAX];
	struct stat one, other;
	bool there;
	int error;

	if (tree_find(tree, file) != NULL)
		return 0;
	error = examine(path, &one, &there, err);
	if (error == 0 && there)
		error = tree_path(tree, file, here, sizeof(here), err);
	if (error == 0 && there)
		error = examine(here, &other, &there, err);
	if (error != 0 || !there || one.st_dev != other.st_dev ||
	    one.st_ino != other.st_ino)
		return error;
	return look_at(tree, file, true, err);
}

static int
join(struct tree *tree, struct err *err)
{
	char path[PATH_MAX];
	size_t n = tree->n;
	int error = 0;

	for (size_t i = 0; i < n && error == 0; i++)
		if (backing_place(tree, &tree->nodes[i], path, sizeof(path)))
			error = add_raw(tree, path, err);
	if (tree->n > 1)
		qsort(
		    tree->nodes, tree->n, sizeof(*tree->nodes), compare_nodes);
	for (size_t i = 0; i < tree->n && error == 0; i++) {
		struct tree_node *node = &tree->nodes[i];

		if (!backing_place(tree, node, path, sizeof(path)))
			continue;
		error = find_same(tree, path, &node->parent, err);
		if (node->parent == NULL)
			continue;
		node->parent->children++;
		count_name(tree, node->parent, tree_base_name(path));
	}
	share_children(tree);
	return error;
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
	tree->unread[0] = '\0';
	if (dir == NULL)
		return err_sys(
		    err, -errno, NULL, "%s: cannot be read", directory);
	while (error == 0 && (errno = 0, entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		sweep_remains(tree, entry->d_name);
		error = look_at(tree, entry->d_name, false, err);
		if (error == 0 && tree->n > MAX_NODES)
			error =
			    err_set(err, -EFBIG, "%s: has more than %d images",
				directory, MAX_NODES);
	}
	if (error == 0 && errno != 0)
		error =
		    err_sys(err, -errno, NULL, "%s: cannot be read", directory);
	closedir(dir);
	return error == 0 ? join(tree, err) : error;
}

/* Files made anew are frozen no more, unless others stand on them. */
static void
thaw(struct tree *tree)
{
	for (size_t i = 0; i < tree->n; i++) {
		struct tree_node *node = &tree->nodes[i];

		if (!node->another || node->hidden || node->children > 0)
			continue;
		catalogue_remove(&tree->catalogue,
		    catalogue_find(
			&tree->catalogue, CATALOGUE_FROZEN, node->file));
		node->frozen = node->changed = false;
	}
}

int
tree_scan(struct tree *tree, struct err *err)
{
	int error;

	/* What goes may be what others were kept for. */
	do {
		error = read_directory(tree, err);
	} while (error == 0 && sweep_images(tree));
	if (error == 0)
		thaw(tree);
	return error;
}

int
tree_knows_all(const struct tree *tree, struct err *err)
{
	if (tree->unread[0] == '\0')
		return 0;
	return err_set(err, -EACCES,
	    "%s%s: cannot be read, so nobody knows what it stands on; let its "
	    "owner do this",
	    tree->directory, tree->unread);
}
