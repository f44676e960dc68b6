#include "base/unix_listen.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 64 /* a non-blocking connect() fails when it is full */

/* 0: nothing is at path any more.  -EADDRINUSE: it is in use. */
static int
clear_path(const struct sockaddr_un *addr, int type, struct err *err)
{
	const char *path = addr->sun_path;
	struct stat st;
	int fd, r;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0
				       : err_sys(err, -errno, NULL, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return err_set(err, -EADDRINUSE,
		    "%s: is not a socket; remove it or use another path", path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_sys(err, -errno, NULL, "%s", path);
	r = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0
	    ? errno
	    : 0;
	close(fd);
	if (r != ECONNREFUSED)
		return err_set(err, -EADDRINUSE,
		    "%s: another process listens there; stop it or use "
		    "another path",
		    path);
	if (unlink(path) < 0 && errno != ENOENT)
		return err_sys(err, -errno, NULL, "%s: stale socket", path);
	return 0;
}

int
unix_address(struct sockaddr_un *out, const char *path, struct err *err)
{
	*out = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (path[0] == '\0' || strlen(path) >= sizeof(out->sun_path))
		return err_set(err, -EINVAL,
		    "\"%s\": the path of a socket has 1 to %zu bytes", path,
		    sizeof(out->sun_path) - 1);
	memcpy(out->sun_path, path, strlen(path) + 1);
	return 0;
}

int
unix_bind(
    struct unix_listener *listener, const char *path, int type, struct err *err)
{
	struct sockaddr_un addr;
	struct stat st;
	int r;

	*listener = (struct unix_listener){ .fd = -1 };
	r = unix_address(&addr, path, err);
	if (r < 0)
		return r;
	memcpy(listener->path, path, strlen(path) + 1);
	r = clear_path(&addr, type, err);
	if (r < 0)
		return r;
	listener->fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener->fd < 0)
		return err_sys(err, -errno, NULL, "%s", path);
	/* The mode of the socket to come: there is no moment at which others
	 * may connect, and no umask that other threads would see. */
	if (fchmod(listener->fd, 0600) < 0 ||
	    bind(listener->fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		r = err_sys(err, -errno,
		    errno == EACCES || errno == ENOENT
			? "use a path in a folder of yours"
			: NULL,
		    "%s: cannot listen", path);
		unix_listener_close(listener);
		return r;
	}
	if (lstat(path, &st) == 0) {
		listener->dev = st.st_dev;
		listener->ino = st.st_ino;
	}
	return 0;
}

int
unix_listen(struct unix_listener *listener, const char *path, struct err *err)
{
	int r = unix_bind(listener, path, SOCK_STREAM, err);

	if (r < 0)
		return r;
	if (listen(listener->fd, BACKLOG) < 0) {
		r = err_sys(err, -errno, NULL, "%s: cannot listen", path);
		unix_listener_close(listener);
	}
	return r;
}

void
unix_listener_close(struct unix_listener *listener)
{
	struct stat st;

	if (listener->fd < 0)
		return;
	if (listener->ino != 0 && lstat(listener->path, &st) == 0 &&
	    st.st_dev == listener->dev && st.st_ino == listener->ino)
		unlink(listener->path);
	close(listener->fd);
	listener->fd = -1;
}
