/*
 * Three kinds of names are made for files that nobody shall see yet:
 *
 *     X~N         by who has the directory, for the catalogue's generation N
 *     X~new.PID   by any process, for a new image
 *     X~copy.HEX  by a full clone, which goes on with it when it is run again
 *
 * The first are left behind if the catalogue does not have them, since nobody
 * else has the directory now; the second if their process is gone and nobody
 * uses them.  A copy stays, until another one takes its place.  Only images, and
 * a checkpoint's configuration, are ever removed.
 *
 * A snapshot that did not happen may have left its name on the disk's own file,
 * which would then seem to be two; a copy may have its name and the one it was
 * made under.
 *
 * Whoever loses the catalogue loses what it says about these names.  So an image
 * on which another one stands stays in any case.
 */
#include "disk/sweep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "disk/file.h"
#include "disk/lock.h"
#include "disk/qcow2.h"

#define COPY "~copy."

/* Nothing but digits, as a number; false: it is none. */
static bool
read_digits(const char *text, size_t n, unsigned long long *value)
{
	char digits[20];

	if (n == 0 || n >= sizeof(digits) || strspn(text, "0123456789") != n)
		return false;
	memcpy(digits, text, n);
	digits[n] = '\0';
	*value = strtoull(digits, NULL, 10);
	return true;
}

static bool
is_listed(const struct catalogue *c, const char *file)
{
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->lines[i].name, file) == 0 ||
		    (c->lines[i].to != NULL &&
			strcmp(c->lines[i].to, file) == 0))
			return true;
	return catalogue_checkpoint_of(c, file) != NULL;
}

static bool
is_unlisted_generation(const struct tree *tree, const char *file)
{
	const char *tail = strrchr(file, '~') + 1;
	size_t n = strlen(tail);
	unsigned long long number;

	if (n > 5 && strcmp(tail + n - 5, ".base") == 0)
		n -= 5;
	return read_digits(tail, n, &number) &&
	    number <= tree->catalogue.generation + 1 &&
	    !is_listed(&tree->catalogue, file);
}

static bool
is_of_dead_process(const char *file)
{
	const char *tail = strrchr(file, '~') + 1;
	unsigned long long pid;

	return strncmp(tail, "new.", 4) == 0 &&
	    read_digits(tail + 4, strlen(tail + 4), &pid) && pid > 0 &&
	    pid <= INT_MAX && kill((pid_t)pid, 0) < 0 && errno == ESRCH;
}

/* Opens it and reads its beginning; -1: it is no file. */
static int
open_first(const char *path, uint8_t first[8])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;

	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    file_read(fd, first, 8, 0) == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return -1;
}

static bool
is_unused(int fd, const char *path)
{
	return lock_take(
		   fd, RIGHT_READ, RIGHT_WRITE | RIGHT_RESIZE, path, NULL) == 0;
}

static bool
is_unused_image(const char *path, const char *file)
{
	uint8_t first[8];
	int fd = open_first(path, first);
	bool good = fd >= 0 && qcow2_is(first, 8) && is_unused(fd, path);

	(void)file;
	if (fd >= 0)
		close(fd);
	return good;
}

/* What a crash left of an image, or a checkpoint's configuration. */
static bool
is_remains(const char *path, const char *file)
{
	static const uint8_t nothing[8];
	uint8_t first[8];
	int fd = open_first(path, first);
	bool good = fd >= 0 &&
	    (memcmp(first, nothing, 8) == 0 ||
		strstr(file, "~config~") != NULL) &&
	    is_unused(fd, path);

	if (fd >= 0)
		close(fd);
	return good;
}

static bool
is_left_over(const struct tree *tree, const char *file)
{
	return strchr(file, '~') != NULL &&
	    (is_unlisted_generation(tree, file) || is_of_dead_process(file));
}

static bool
remove_file(const struct tree *tree, const char *file,
    bool (*may_go)(const char *path, const char *file))
{
	char path[PATH_MAX];

	return tree_path(tree, file, path, sizeof(path), NULL) == 0 &&
	    (may_go == NULL || may_go(path, file)) && unlink(path) == 0;
}

void
sweep_remains(const struct tree *tree, const char *file)
{
	if (is_left_over(tree, file))
		remove_file(tree, file, is_remains);
}

/* Whether the file has another name here. */
static bool
has_another_name(const struct tree *tree, const struct tree_node *node)
{
	for (size_t i = 0; i < tree->n && node->links > 1; i++)
		if (&tree->nodes[i] != node &&
		    tree->nodes[i].device == node->device &&
		    tree->nodes[i].inode == node->inode)
			return true;
	return false;
}

static bool
sweep_image(const struct tree *tree, const struct tree_node *node)
{
	bool twice = has_another_name(tree, node);
	/* What a snapshot has given to a disk, or a full clone to its copy,
	 * and not got any further. */
	bool second = twice &&
	    (strchr(node->file, '@') != NULL ||
		strstr(node->file, COPY) != NULL) &&
	    !is_listed(&tree->catalogue, node->file);

	if ((twice ? node->named : node->children) > 0 ||
	    (!second && !is_left_over(tree, node->file)))
		return false;
	return remove_file(tree, node->file, twice ? NULL : is_unused_image);
}

bool
sweep_images(const struct tree *tree)
{
	/* One at a time: it may be one of two names. */
	for (size_t i = 0; i < tree->n; i++)
		if (sweep_image(tree, &tree->nodes[i]))
			return true;
	return false;
}

void
sweep_copies(const char *path, const char *keep)
{
	size_t n = file_directory_bytes(path), bytes = strlen(path + n);
	int fd = file_open_directory(path);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		const char *name = entry->d_name;

		if (strncmp(name, path + n, bytes) == 0 &&
		    strncmp(name + bytes, COPY, strlen(COPY)) == 0 &&
		    strcmp(name, keep + n) != 0)
			unlinkat(dirfd(dir), name, 0);
	}
	closedir(dir);
}
