/*
 * Each time libslirp was given a frame, or something is there or due, it is
 * called and asked again, once in a round of the loop; that walks over all its
 * flows, as it does at each packet anyway.  (A frame that waits for the answer
 * to ARP leaves no sooner than that.)  The kernel is told of what is different
 * from before alone.
 *
 * A socket that is closed leaves the set by itself, and its number may be
 * another socket's at once: libslirp says before it closes one.
 *
 * When nothing is due, libslirp wants to be called after a second all the same.
 * It is not: a LAN that is silent costs nothing.
 */
#include "bridge/slirp_sockets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define READY_MAX 64
#define IDLE_MS   1000 /* what libslirp says when nothing is due */

static const struct {
	int slirp;
	uint32_t epoll;
} bits[] = {
	{ SLIRP_POLL_IN, EPOLLIN },
	{ SLIRP_POLL_OUT, EPOLLOUT },
	{ SLIRP_POLL_PRI, EPOLLPRI },
	{ SLIRP_POLL_ERR, EPOLLERR },
	{ SLIRP_POLL_HUP, EPOLLHUP },
};

#define NBITS (sizeof(bits) / sizeof(bits[0]))

/* ---- what it wants ---- */

/* Room for n more of size bytes, zeroed; false: no memory. */
static bool
grow(void **list, unsigned int *max, unsigned int n, size_t size)
{
	unsigned int more = *max > 0 ? *max : 16;
	char *bigger;

	while (more < n)
		more *= 2;
	if (more == *max)
		return true;
	bigger = realloc(*list, more * size);
	if (bigger == NULL)
		return false;
	memset(bigger + *max * size, 0, (more - *max) * size);
	*list = bigger;
	*max = more;
	return true;
}

/* -1: libslirp takes it for a socket of which nothing came. */
static int
add_wanted(int fd, int events, void *opaque)
{
	struct slirp_sockets *s = opaque;
	struct slirp_wanted *w;

	if (fd < 0 ||
	    !grow((void **)&s->want, &s->want_max, s->nwant + 1, sizeof(*w)) ||
	    !grow((void **)&s->place, &s->nplaces, (unsigned int)fd + 1,
		sizeof(s->place[0])))
		return -1;
	w = &s->want[s->nwant];
	*w = (struct slirp_wanted){ .fd = fd };
	for (size_t i = 0; i < NBITS; i++)
		if (events & bits[i].slirp)
			w->events |= bits[i].epoll;
	return (int)s->nwant++;
}

static bool
tell_kernel(const struct slirp_sockets *s, int how, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(s->epoll, how, fd, &event) == 0;
}

static void
tell_wanted(struct slirp_sockets *s)
{
	for (unsigned int i = 0; i < s->nwant; i++) {
		const struct slirp_wanted *w = &s->want[i];
		unsigned int before = s->place[w->fd];
		bool told = true; /* if not, it is tried the next time */

		if (before == 0)
			told = tell_kernel(s, EPOLL_CTL_ADD, w->fd, w->events);
		else if (s->had[before - 1].events != w->events)
			told = tell_kernel(s, EPOLL_CTL_MOD, w->fd, w->events);
		s->place[w->fd] = told ? i + 1 : 0;
	}
}

/* Takes out what is wanted no more: its place is not of want. */
static void
tell_unwanted(struct slirp_sockets *s)
{
	for (unsigned int i = 0; i < s->nhad; i++) {
		int fd = s->had[i].fd;
		unsigned int at = s->place[fd];

		if (at == 0 || (at <= s->nwant && s->want[at - 1].fd == fd))
			continue;
		(void)tell_kernel(s, EPOLL_CTL_DEL, fd, 0);
		s->place[fd] = 0;
	}
}

static void
swap_lists(struct slirp_sockets *s)
{
	struct slirp_wanted *list = s->had;
	unsigned int max = s->had_max;

	s->had = s->want;
	s->had_max = s->want_max;
	s->nhad = s->nwant;
	s->want = list;
	s->want_max = max;
	s->nwant = 0;
}

/* ---- what came ---- */

static int
events_of(int index, void *opaque)
{
	const struct slirp_sockets *s = opaque;
	int events = 0;

	if (index < 0 || (unsigned int)index >= s->nwant)
		return 0;
	for (size_t i = 0; i < NBITS; i++)
		if (s->want[index].there & bits[i].epoll)
			events |= bits[i].slirp;
	return events;
}

static void
call(struct slirp_sockets *s)
{
	slirp_pollfds_poll(s->slirp, 0, events_of, s);
	for (unsigned int i = 0; i < s->nwant; i++)
		s->want[i].there = 0;
}

/* ---- in the loop ---- */

void
slirp_sockets_look(struct slirp_sockets *s)
{
	uint32_t wait_ms = IDLE_MS;

	loop_defer_cancel(&s->look);
	call(s);
	swap_lists(s);
	slirp_pollfds_fill(s->slirp, &wait_ms, add_wanted, s);
	tell_wanted(s);
	tell_unwanted(s);
	if (wait_ms < IDLE_MS)
		loop_timer_set(
		    &s->timer, loop_now_ns(s->loop) + wait_ms * NS_PER_MS);
	else
		loop_timer_unset(&s->timer);
	s->looked(s->arg);
}

static void
look(void *arg)
{
	slirp_sockets_look(arg);
}

void
slirp_sockets_changed(struct slirp_sockets *s)
{
	loop_defer_ask(&s->look);
}

void
slirp_sockets_closing(struct slirp_sockets *s, int fd)
{
	if (fd < 0 || (unsigned int)fd >= s->nplaces || s->place[fd] == 0)
		return;
	(void)tell_kernel(s, EPOLL_CTL_DEL, fd, 0);
	s->place[fd] = 0;
}

static void
ready(void *arg, unsigned int events)
{
	struct slirp_sockets *s = arg;
	struct epoll_event got[READY_MAX];
	int n = epoll_wait(s->epoll, got, READY_MAX, 0);

	(void)events;
	for (int i = 0; i < n; i++) {
		unsigned int at = s->place[got[i].data.fd];

		if (at > 0)
			s->want[at - 1].there = got[i].events;
	}
	slirp_sockets_changed(s);
}

static void
due(void *arg)
{
	slirp_sockets_changed(arg);
}

/* ---- making and unmaking ---- */

int
slirp_sockets_init(struct slirp_sockets *s, Slirp *slirp, struct loop *loop,
    void (*looked)(void *arg), void *arg, struct err *err)
{
	s->slirp = slirp;
	s->loop = loop;
	s->looked = looked;
	s->arg = arg;
	loop_timer_init(&s->timer, loop, due, s);
	loop_defer_init(&s->look, loop, look, s);
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (s->epoll < 0)
		return err_sys(err, -errno, NULL, "no epoll");
	s->watch = loop_watch_new(loop, s->epoll, LOOP_READ, ready, s, err);
	if (s->watch == NULL)
		return -ENOMEM;
	slirp_sockets_changed(s);
	return 0;
}

void
slirp_sockets_free(struct slirp_sockets *s)
{
	if (s->loop == NULL)
		return;
	loop_watch_free(s->watch);
	loop_timer_unset(&s->timer);
	loop_defer_cancel(&s->look);
	if (s->epoll >= 0)
		close(s->epoll);
	free(s->want);
	free(s->had);
	free(s->place);
}
