/*
 * slirp_sockets.h - libslirp's sockets and times, in our loop.
 *
 * libslirp asks to be called around a poll() of its own: before, to say which
 * sockets and how long, and after.  Here its sockets lie in a set of the
 * kernel's (epoll), of which the loop watches the one descriptor.
 */
#ifndef BRIDGE_SLIRP_SOCKETS_H
#define BRIDGE_SLIRP_SOCKETS_H

#include <slirp/libslirp.h>

#include "base/loop.h"

struct slirp_wanted {
	int fd;
	uint32_t events; /* of epoll; those that are there, after a wait */
	uint32_t there;
};

struct slirp_sockets {
	Slirp *slirp;
	struct loop *loop;
	int epoll; /* -1: not open */
	struct loop_watch *watch;
	struct loop_timer timer;
	struct loop_defer look; /* what it wants now, before the loop sleeps */
	void (*looked)(void *arg); /* that is known */
	void *arg;
	/* What it wanted when it was asked last, and before that. */
	struct slirp_wanted *want, *had;
	unsigned int nwant, nhad, want_max, had_max;
	/* By descriptor: 1 + its place in want, 0: not in the set. */
	unsigned int *place;
	unsigned int nplaces;
};

/* looked is called after libslirp was asked.  0 or -Exxx. */
int slirp_sockets_init(struct slirp_sockets *s, Slirp *slirp, struct loop *loop,
    void (*looked)(void *arg), void *arg, struct err *err);
void slirp_sockets_free(struct slirp_sockets *s);

/* libslirp was given something: it is asked what it wants before the loop
 * sleeps, or (now) at once. */
void slirp_sockets_changed(struct slirp_sockets *s);
void slirp_sockets_look(struct slirp_sockets *s);

/* libslirp is about to close fd. */
void slirp_sockets_closing(struct slirp_sockets *s, int fd);

#endif
