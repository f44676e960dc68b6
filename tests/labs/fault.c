/*
 * fault.c - a library to preload: one of a program's calls on the files of one
 * directory fails, or is the last one.
 *
 *   FAULT_DIR    calls on files in it, by path or by descriptor, are numbered
 *   FAULT_AT     the one that fails, counted from 1; 0: none
 *   FAULT_DO     EIO or ENOSPC as its error; kill: the program is killed
 *                before the call
 *   FAULT_LAST   the last one that fails; FAULT_AT if not said
 *   FAULT_WRITE  if set only calls that change something are numbered
 *   FAULT_COUNT  a file that gets the number of calls at the end
 *   FAULT_SAYS   a file that gets the name of the first call that fails
 *
 * Of a write that fails the first sectors may be there.  A sync that fails does
 * so once, as Linux has it: later ones succeed, although what was written before
 * may be lost.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static char directory[PATH_MAX];
static size_t directory_bytes;
static long at, last;
static const char *what, *count_file, *says_file;
static bool writes_only;
static atomic_long calls;

#define REAL(name) ((__typeof__(&(name)))real(#name))

static void *
real(const char *name)
{
	void *f = dlsym(RTLD_NEXT, name);

	if (f == NULL)
		abort();
	return f;
}

static long
number(const char *name, long otherwise)
{
	const char *text = getenv(name);

	return text != NULL ? atol(text) : otherwise;
}

__attribute__((constructor)) static void
set_up(void)
{
	const char *dir = getenv("FAULT_DIR");

	if (dir != NULL && realpath(dir, directory) != NULL)
		directory_bytes = strlen(directory);
	at = number("FAULT_AT", 0);
	last = number("FAULT_LAST", at);
	what = getenv("FAULT_DO");
	writes_only = getenv("FAULT_WRITE") != NULL;
	count_file = getenv("FAULT_COUNT");
	says_file = getenv("FAULT_SAYS");
}

__attribute__((destructor)) static void
tear_down(void)
{
	FILE *out = count_file != NULL ? fopen(count_file, "w") : NULL;

	if (out == NULL)
		return;
	fprintf(out, "%ld\n", atomic_load(&calls));
	fclose(out);
}

static bool
is_inside(const char *path)
{
	return directory_bytes > 0 &&
	    strncmp(path, directory, directory_bytes) == 0 &&
	    (path[directory_bytes] == '/' || path[directory_bytes] == '\0');
}

/* By what the name leads to now, or its directory if it is new. */
static bool
path_is_inside(const char *path)
{
	char whole[PATH_MAX], parent[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash != NULL ? (size_t)(slash - path) : 0;

	if (realpath(path, whole) != NULL)
		return is_inside(whole);
	if (n >= sizeof(parent))
		return false;
	memcpy(parent, path, n);
	strcpy(parent + n, n > 0 ? "" : slash != NULL ? "/" : ".");
	return realpath(parent, whole) != NULL && is_inside(whole);
}

static bool
fd_is_inside(int fd)
{
	char link[64], path[PATH_MAX];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n <= 0)
		return false;
	path[n] = '\0';
	return is_inside(path);
}

static void
say(const char *call)
{
	int fd = (int)syscall(
	    SYS_openat, AT_FDCWD, says_file, O_WRONLY | O_CREAT | O_EXCL, 0644);

	if (fd < 0)
		return;
	(void)!write(fd, call, strlen(call));
	close(fd);
}

/* Whether this call fails; with errno. */
static bool
fails_at(const char *call, bool inside, bool changes)
{
	long n;

	if (!inside || (writes_only && !changes))
		return false;
	n = atomic_fetch_add(&calls, 1) + 1;
	if (at == 0 || n < at || n > last || what == NULL)
		return false;
	if (strcmp(what, "kill") == 0) {
		kill(getpid(), SIGKILL);
		for (;;)
			pause();
	}
	if (says_file != NULL)
		say(call);
	errno = strcmp(what, "ENOSPC") == 0 ? ENOSPC : EIO;
	return true;
}

#define fails(inside, changes) fails_at(__func__, inside, changes)

/* ---- by descriptor ---- */

ssize_t
pread(int fd, void *to, size_t n, off_t offset)
{
	if (fails(fd_is_inside(fd), false))
		return -1;
	return REAL(pread)(fd, to, n, offset);
}

ssize_t
preadv(int fd, const struct iovec *iov, int n, off_t offset)
{
	if (fails(fd_is_inside(fd), false))
		return -1;
	return REAL(preadv)(fd, iov, n, offset);
}

ssize_t
preadv2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	if (fails(fd_is_inside(fd), false))
		return -1;
	return REAL(preadv2)(fd, iov, n, offset, flags);
}

/* A write is cut at a sector. */
static void
write_half(int fd, const uint8_t *from, size_t n, off_t offset)
{
	size_t half = (size_t)((offset + (off_t)n / 2) / 512 * 512 - offset);
	int error = errno;

	if (half > 0 && half < n)
		(void)!REAL(pwrite)(fd, from, half, offset);
	errno = error;
}

ssize_t
pwrite(int fd, const void *from, size_t n, off_t offset)
{
	if (!fails(fd_is_inside(fd), true))
		return REAL(pwrite)(fd, from, n, offset);
	write_half(fd, from, n, offset);
	return -1;
}

ssize_t
pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
	if (!fails(fd_is_inside(fd), true))
		return REAL(pwritev)(fd, iov, n, offset);
	write_half(fd, iov[0].iov_base, iov[0].iov_len, offset);
	return -1;
}

ssize_t
pwritev2(int fd, const struct iovec *iov, int n, off_t offset, int flags)
{
	if (fails(fd_is_inside(fd), true))
		return -1;
	return REAL(pwritev2)(fd, iov, n, offset, flags);
}

int
ftruncate(int fd, off_t len)
{
	return fails(fd_is_inside(fd), true) ? -1 : REAL(ftruncate)(fd, len);
}

int
fallocate(int fd, int mode, off_t offset, off_t len)
{
	return fails(fd_is_inside(fd), true)
	    ? -1
	    : REAL(fallocate)(fd, mode, offset, len);
}

int
fsync(int fd)
{
	return fails(fd_is_inside(fd), true) ? -1 : REAL(fsync)(fd);
}

int
fdatasync(int fd)
{
	return fails(fd_is_inside(fd), true) ? -1 : REAL(fdatasync)(fd);
}

int
sync_file_range(int fd, off64_t offset, off64_t n, unsigned int flags)
{
	return fails(fd_is_inside(fd), true)
	    ? -1
	    : REAL(sync_file_range)(fd, offset, n, flags);
}

int
fstat(int fd, struct stat *st)
{
	return fails(fd_is_inside(fd), false) ? -1 : REAL(fstat)(fd, st);
}

int
fchmod(int fd, mode_t mode)
{
	return fails(fd_is_inside(fd), true) ? -1 : REAL(fchmod)(fd, mode);
}

/* ---- by name ---- */

int
open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	if ((flags & (O_CREAT | O_TMPFILE)) != 0) {
		va_start(args, flags);
		mode = (mode_t)va_arg(args, int);
		va_end(args);
	}
	if (fails(path_is_inside(path), (flags & (O_CREAT | O_TRUNC)) != 0))
		return -1;
	return REAL(open)(path, flags, mode);
}

int
rename(const char *from, const char *to)
{
	return fails(path_is_inside(from), true) ? -1 : REAL(rename)(from, to);
}

int
link(const char *from, const char *to)
{
	return fails(path_is_inside(from), true) ? -1 : REAL(link)(from, to);
}

int
unlink(const char *path)
{
	return fails(path_is_inside(path), true) ? -1 : REAL(unlink)(path);
}

int
chmod(const char *path, mode_t mode)
{
	return fails(path_is_inside(path), true) ? -1 : REAL(chmod)(path, mode);
}

int
stat(const char *path, struct stat *st)
{
	return fails(path_is_inside(path), false) ? -1 : REAL(stat)(path, st);
}

int
lstat(const char *path, struct stat *st)
{
	return fails(path_is_inside(path), false) ? -1 : REAL(lstat)(path, st);
}

DIR *
opendir(const char *path)
{
	return fails(path_is_inside(path), false) ? NULL : REAL(opendir)(path);
}
