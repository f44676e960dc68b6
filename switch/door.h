/*
 * door.h - a unix stream socket of a port at which one guest at a time is let
 * in.
 *
 * Whoever comes while somebody is there is turned away; when the one before
 * has gone, though nobody noticed yet, he is shown out first.  When the process
 * has no descriptor left, the door stays shut for a second.
 */
#ifndef SWITCH_DOOR_H
#define SWITCH_DOOR_H

#include <sys/types.h>

#include "base/complaint.h"
#include "base/loop.h"
#include "base/unix_listen.h"

struct door_ops {
	const char *guest; /* who comes, as "front end", in messages */
	/* Somebody came: door->fd is his, non-blocking.  False: he cannot be
	 * served, and is shown out. */
	bool (*enter)(void *arg);
	/* He has gone: the port forgets what was his.  door->fd is open until
	 * this returns. */
	void (*leave)(void *arg);
};

struct door {
	const struct door_ops *ops;
	void *arg;
	const char *name; /* the port's, borrowed */
	struct loop *loop;
	struct unix_listener listener;
	struct loop_watch *watch;
	struct loop_timer again;
	int fd;    /* the guest's socket, -1: nobody is there */
	pid_t pid; /* his */
	struct complaint complaint;
	uint64_t connections, turned_away;
};

/* Listens at path, as unix_listen() does. */
int door_open(struct door *door, const struct door_ops *ops, void *arg,
    struct loop *loop, const char *name, const char *path, struct err *err);
void door_close(struct door *door); /* shows the guest out */

/* Calls leave(), and closes his socket.  Fine when nobody is there. */
void door_show_out(struct door *door);

#endif
