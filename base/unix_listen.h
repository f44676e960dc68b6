/*
 * unix_listen.h - a unix socket of ours, under a path of its own.
 */
#ifndef BASE_UNIX_LISTEN_H
#define BASE_UNIX_LISTEN_H

#include <sys/types.h>
#include <sys/un.h>

#include "base/err.h"

struct unix_listener {
	int fd; /* -1: none */
	char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	dev_t dev; /* what we put at path, which somebody may have replaced */
	ino_t ino;
};

/*
 * Listens at path, with mode 0600, non-blocking.  A socket there on which
 * nobody listens any more is replaced; one with somebody behind it, and
 * anything that is no socket, is left alone: -EADDRINUSE.
 */
int unix_listen(
    struct unix_listener *listener, const char *path, struct err *err);

/* The same for a socket of any type, without listening: SOCK_DGRAM is there to
 * be sent to. */
int unix_bind(struct unix_listener *listener, const char *path, int type,
    struct err *err);

/* The address of the socket at path.  0, or -EINVAL: it is too long, or
 * nothing. */
int unix_address(struct sockaddr_un *out, const char *path, struct err *err);

/* Closes it, and removes path if it is still ours. */
void unix_listener_close(struct unix_listener *listener);

#endif
