/*
 * The directory.
 *
 * The moment at which an operation has happened is the rename of the
 * catalogue.  Before it, everything new has been made under names that nobody
 * uses; after it, files are renamed as the catalogue lists, by this process or
 * by whoever opens the directory next.  These names are made from the
 * catalogue's generation, so a rename that is done already finds no file and
 * does no harm.
 */
#include "disk/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "disk/backing.h"
#include "disk/file.h"
#include "disk/scan.h"
#include "disk/stamp.h"

int
tree_path(const struct tree *tree, const char *file, char *path, size_t len,
    struct err *err)
{
	if ((size_t)snprintf(path, len, "%s%s", tree->directory, file) < len)
		return 0;
	return err_set(err, -ENAMETOOLONG, "%.60s...: is too long", file);
}

/* ---- the catalogue ---- */

static int
read_catalogue(struct tree *tree, struct err *err)
{
	char path[PATH_MAX], *text;
	struct stat st;
	int fd,
	    error = tree_path(tree, CATALOGUE_NAME, path, sizeof(path), err);

	if (error != 0)
		return error;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0 || fstat(fd, &st) < 0) {
		error = err_sys(err, -errno, NULL, "%s: cannot be read", path);
		if (fd >= 0)
			close(fd);
		return error;
	}
	if (!S_ISREG(st.st_mode) || st.st_size > CATALOGUE_MAX_BYTES) {
		close(fd);
		return err_set(err, -EINVAL,
		    "%s: is no catalogue; move it elsewhere", path);
	}
	text = malloc((size_t)st.st_size + 1);
	error =
	    text == NULL ? -ENOMEM : file_read(fd, text, (size_t)st.st_size, 0);
	close(fd);
	if (error == 0)
		error = catalogue_parse(
		    &tree->catalogue, text, (size_t)st.st_size, path, err);
	else
		err_sys(err, error, NULL, "%s: cannot be read", path);
	free(text);
	return error;
}

static void
forget_syncs(struct tree *tree)
{
	while (tree->nsyncs > 0)
		close(tree->syncs[--tree->nsyncs]);
}

int
tree_sync_first(struct tree *tree, int fd, struct err *err)
{
	int error;

	if (tree->nsyncs < TREE_MAX_SYNCS) {
		tree->syncs[tree->nsyncs++] = fd;
		return 0;
	}
	error = file_sync_all(&fd, 1);
	close(fd);
	return error == 0
	    ? 0
	    : err_sys(err, error, NULL, "%s: an image cannot be synced",
		  tree->directory);
}

static int
write_catalogue(struct tree *tree, struct err *err)
{
	char path[PATH_MAX], temporary[PATH_MAX + 2], *text;
	size_t len;
	int fd,
	    error = tree_path(tree, CATALOGUE_NAME, path, sizeof(path), err);

	if (error != 0)
		return error;
	snprintf(temporary, sizeof(temporary), "%s~", path);
	text = catalogue_text(&tree->catalogue, &len);
	fd = text == NULL
	    ? -1
	    : open(temporary,
		  O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	error = fd < 0 ? -errno : file_write(fd, text, len, 0);
	tree->syncs[tree->nsyncs] = fd;
	if (error == 0)
		error = file_sync_all(tree->syncs, tree->nsyncs + 1);
	if (fd >= 0)
		close(fd);
	forget_syncs(tree);
	free(text);
	if (error == 0 && rename(temporary, path) < 0)
		error = -errno;
	tree->switched |= error == 0;
	if (error == 0)
		error = file_sync_directory(path);
	return error == 0
	    ? 0
	    : err_sys(err, error, NULL, "%s: cannot be written", path);
}

/* The time of its last change, which is compared later, is on the disk before
 * the catalogue says so; a sync of its data would not see to that. */
static int
sync_times(struct tree *tree, const char *path, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return err_sys(err, -errno, NULL, "%s: cannot be opened", path);
	return tree_sync_first(tree, fd, err);
}

static int
do_rebase(struct tree *tree, const struct catalogue_line *l, const char *path,
    struct err *err)
{
	struct catalogue_line *frozen =
	    catalogue_find(&tree->catalogue, CATALOGUE_FROZEN, l->name);
	struct stat st;
	int error;

	if (stat(path, &st) < 0 && errno == ENOENT)
		return 0;
	error = backing_set(path, l->to, "qcow2", err);
	if (frozen == NULL)
		frozen =
		    catalogue_find(&tree->catalogue, CATALOGUE_HIDDEN, l->name);
	if (error == 0 && frozen != NULL && stat(path, &st) == 0) {
		stamp_set(frozen, &st);
		error = sync_times(tree, path, err);
	}
	return error;
}

/* Only our own names ever go.  rebased: images were told others' names before,
 * now or by a process that did not get any further. */
static int
do_rename(struct tree *tree, const struct catalogue_line *l, const char *from,
    bool rebased, bool *did, struct err *err)
{
	bool moves = l->kind == CATALOGUE_RENAME;
	struct catalogue_line *frozen;
	struct stat st;
	char to[PATH_MAX];
	int error;

	if (strpbrk(l->name, moves ? "~" : "~@") == NULL)
		return err_set(err, -EINVAL,
		    "%s%s: asks to %s %s, which is not the tree's own; remove "
		    "that line",
		    tree->directory, CATALOGUE_NAME,
		    moves ? "rename" : "remove", l->name);
	error = moves ? tree_path(tree, l->to, to, sizeof(to), err) : 0;
	/* Where nothing can be renamed it may have been already. */
	if (error == 0 && (moves ? rename(from, to) : unlink(from)) == 0)
		rebased = *did = true;
	else if (error == 0 && errno != ENOENT &&
	    (errno != EROFS || access(from, F_OK) == 0))
		error = err_sys(err, -errno, NULL, "%s: cannot be %s", from,
		    moves ? "renamed" : "removed");
	frozen = moves && rebased
	    ? catalogue_find(&tree->catalogue, CATALOGUE_FROZEN, l->to)
	    : NULL;
	if (error == 0 && frozen != NULL && stat(to, &st) == 0) {
		stamp_set(frozen, &st);
		error = sync_times(tree, to, err);
	}
	return error;
}

/* Does what is left to do, in its order.  *did: something was. */
static int
finish(struct tree *tree, bool *did, struct err *err)
{
	char path[PATH_MAX];
	bool rebased = false;
	int error = 0;

	*did = false;
	for (size_t i = 0; i < tree->catalogue.n && error == 0;) {
		struct catalogue_line *l = &tree->catalogue.lines[i];
		bool rebase = l->kind == CATALOGUE_REBASE;

		if (!rebase && l->kind != CATALOGUE_RENAME &&
		    l->kind != CATALOGUE_REMOVE) {
			i++;
			continue;
		}
		rebased |= rebase;
		*did |= rebase;
		error = tree_path(tree, l->name, path, sizeof(path), err);
		if (error == 0)
			error = rebase
			    ? do_rebase(tree, l, path, err)
			    : do_rename(tree, l, path, rebased, did, err);
		if (error == 0)
			catalogue_remove(&tree->catalogue, l);
	}
	return error;
}

static bool
says_frozen(const struct catalogue_line *l)
{
	return l->kind == CATALOGUE_FROZEN || l->kind == CATALOGUE_HIDDEN;
}

static void
forget_gone(struct tree *tree)
{
	for (size_t i = tree->catalogue.n; i > 0; i--) {
		struct catalogue_line *l = &tree->catalogue.lines[i - 1];
		char path[PATH_MAX];
		struct stat st;

		if (says_frozen(l) &&
		    tree_path(tree, l->name, path, sizeof(path), NULL) == 0 &&
		    lstat(path, &st) < 0 && errno == ENOENT)
			catalogue_remove(&tree->catalogue, l);
	}
}

/* Takes the right to write from what is frozen; only once the catalogue says
 * so, or a crash would leave a disk that nobody can write to. */
static void
protect(const struct tree *tree)
{
	for (size_t i = 0; i < tree->catalogue.n; i++) {
		const struct catalogue_line *l = &tree->catalogue.lines[i];
		char path[PATH_MAX];
		struct stat st;

		if (says_frozen(l) &&
		    tree_path(tree, l->name, path, sizeof(path), NULL) == 0 &&
		    lstat(path, &st) == 0 && S_ISREG(st.st_mode) &&
		    (st.st_mode & 0222) != 0 && !stamp_is_another(l, &st))
			(void)!chmod(path, st.st_mode & 07555);
	}
}

int
tree_commit(struct tree *tree, struct err *err)
{
	bool did, rebased = false;
	int error;

	for (size_t i = 0; i < tree->catalogue.n; i++)
		rebased |= tree->catalogue.lines[i].kind == CATALOGUE_REBASE;
	tree->catalogue.generation++;
	tree->switched = false;
	error = write_catalogue(tree, err);
	if (error == 0)
		error = finish(tree, &did, err);
	/* To rename twice does no harm; but what an image stands on, others
	 * may change later. */
	if (error == 0 && rebased)
		error = write_catalogue(tree, err);
	/* Else it may have to be given back. */
	if (error == 0)
		protect(tree);
	return error;
}

/* Who waits for the directory holds a lock of another kind meanwhile, which who
 * has it can look for; so does who would give way. */
enum { SHOWS_WAITING, SHOWS_YIELDING }; /* bytes */

static void
show(int fd, off_t byte, bool on)
{
	struct flock lock = { .l_type = on ? F_RDLCK : F_UNLCK,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1 };

	/* Where it cannot be, nobody gives way. */
	(void)!fcntl(fd, F_OFD_SETLK, &lock);
}

static bool
is_shown(int fd, off_t byte)
{
	struct flock lock = { .l_type = F_WRLCK,
		.l_whence = SEEK_SET,
		.l_start = byte,
		.l_len = 1 };

	return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

bool
tree_is_wanted(const struct tree *tree)
{
	return is_shown(tree->fd, SHOWS_WAITING);
}

void
tree_show_yielding(const struct tree *tree)
{
	show(tree->fd, SHOWS_YIELDING, true);
}

bool
tree_ask_yield(const char *path)
{
	const struct timespec pause = { .tv_nsec = 2000000 };
	int fd = file_open_directory(path);
	bool did = fd >= 0 && is_shown(fd, SHOWS_YIELDING);

	if (did)
		show(fd, SHOWS_WAITING, true);
	for (int i = 0; did && i < 2500 && is_shown(fd, SHOWS_YIELDING); i++)
		nanosleep(&pause, NULL);
	if (fd >= 0)
		close(fd);
	return did;
}

static int
wait_for_turn(struct tree *tree, struct err *err)
{
	int error = 0;

	if (flock(tree->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	show(tree->fd, SHOWS_WAITING, true);
	while (error == 0 && flock(tree->fd, LOCK_EX) < 0)
		if (errno != EINTR)
			error = -errno;
	show(tree->fd, SHOWS_WAITING, false);
	return error == 0 ? 0
			  : err_sys(err, error, NULL, "%s: cannot be locked",
				tree->directory);
}

int
tree_open(struct tree *tree, const char *path, struct err *err)
{
	size_t n = file_directory_bytes(path);
	bool did;
	int error;

	memset(tree, 0, sizeof(*tree));
	tree->fd = -1;
	if (n >= sizeof(tree->directory))
		return err_set(
		    err, -ENAMETOOLONG, "%.60s...: is too long", path);
	memcpy(tree->directory, path, n);
	tree->fd = open(
	    n > 0 ? tree->directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree->fd < 0)
		return err_sys(err, -errno, NULL, "%s: cannot be opened",
		    n > 0 ? tree->directory : ".");
	error = wait_for_turn(tree, err);
	if (error == 0)
		error = read_catalogue(tree, err);
	if (error == 0)
		error = finish(tree, &did, err);
	if (error == 0 && did)
		error = write_catalogue(tree, err);
	if (error == 0) {
		forget_gone(tree);
		protect(tree);
	}
	return error;
}

void
tree_close(struct tree *tree)
{
	scan_free(tree);
	catalogue_free(&tree->catalogue);
	forget_syncs(tree);
	if (tree->fd >= 0)
		close(tree->fd);
	tree->fd = -1;
}

int
tree_is_busy(const struct tree *tree, const char *file, struct err *err)
{
	for (size_t i = 0; i < tree->catalogue.n; i++) {
		const struct catalogue_line *l = &tree->catalogue.lines[i];

		if (l->kind == CATALOGUE_MERGE && strcmp(l->to, file) == 0)
			return err_set(err, -EBUSY,
			    "%s: a commit of %s to it was interrupted; run "
			    "that again first",
			    file, l->name);
	}
	return 0;
}

bool
tree_is_frozen(const struct tree *tree, const char *file)
{
	const struct catalogue_line *l =
	    catalogue_find(&tree->catalogue, CATALOGUE_FROZEN, file);
	char path[PATH_MAX];
	struct stat st;

	return l != NULL &&
	    (tree_path(tree, file, path, sizeof(path), NULL) != 0 ||
		stat(path, &st) < 0 || !stamp_is_another(l, &st));
}

void
tree_unstamp(struct tree *tree, const char *file)
{
	struct catalogue_line *line =
	    catalogue_find(&tree->catalogue, CATALOGUE_FROZEN, file);

	if (line == NULL)
		line = catalogue_find(&tree->catalogue, CATALOGUE_HIDDEN, file);
	if (line != NULL)
		stamp_clear(line);
}

int
tree_freeze(struct tree *tree, const char *file, const char *stays_as,
    enum catalogue_kind kind, struct err *err)
{
	struct catalogue_line *line;
	char path[PATH_MAX];
	struct stat st;
	int error = tree_path(tree, file, path, sizeof(path), err);

	if (error != 0)
		return error;
	if (stat(path, &st) < 0)
		return err_sys(err, -errno, NULL, "%s: cannot be frozen", path);
	line = catalogue_find(&tree->catalogue, CATALOGUE_FROZEN, stays_as);
	if (line == NULL)
		line = catalogue_find(
		    &tree->catalogue, CATALOGUE_HIDDEN, stays_as);
	if (line == NULL)
		line = catalogue_add(&tree->catalogue, kind, stays_as, NULL);
	if (line == NULL)
		return err_set(err, -ENOMEM, "%s: out of memory", path);
	line->kind = kind;
	stamp_set(line, &st);
	line->frozen_at = (uint64_t)time(NULL);
	return sync_times(tree, path, err);
}
