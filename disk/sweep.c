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

/* An image that nobody uses, or a configuration. */
static bool
may_go(const char *path, const char *file)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	static const uint8_t nothing[8]; /* as after a crash */
	uint8_t first[8] = { 0 };
	struct stat st;
	bool good;

	if (fd < 0)
		return false;
	good = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    file_read(fd, first, sizeof(first), 0) == 0 &&
	    (qcow2_is(first, sizeof(first)) ||
		memcmp(first, nothing, sizeof(first)) == 0 ||
		strstr(file, "~config~") != NULL) &&
	    lock_take(fd, RIGHT_READ, RIGHT_WRITE | RIGHT_RESIZE, path, NULL) ==
		0;
	close(fd);
	return good;
}

void
tree_sweep(const struct tree *tree, const char *file)
{
	char path[PATH_MAX];

	if (strchr(file, '~') == NULL ||
	    (!is_unlisted_generation(tree, file) && !is_of_dead_process(file)))
		return;
	if (tree_path(tree, file, path, sizeof(path), NULL) == 0 &&
	    may_go(path, file))
		unlink(path);
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
