/*
 * Datagrams are read a burst at a time, and handed on a burst at a time, as
 * long as they are of one network and of one fate.  What is of no network, or
 * no VXLAN at all, is counted where the network is that came first.
 *
 * The sockets of a thread are a list, since ports are opened by their locators
 * alone and know of one another by nothing else.
 *
 * RFC 7348 has the source port vary by flow, for the sake of routers with
 * several ways (5, "Outer UDP Header").  Here it is the socket's own port: a
 * system call sends a burst by one socket, and the machines of a lab have one
 * way to each other.
 */
#include "switch/vxlan_socket.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/vxlan.h"

struct vxlan_socket {
	LIST_ENTRY(vxlan_socket) link;
	LIST_HEAD(, vxlan_member) members;
	struct loop *loop;
	struct inet local;
	int fd;
	struct loop_watch *watch;
	struct dgram_out out;
	struct dgram_in in;
};

static _Thread_local LIST_HEAD(, vxlan_socket) sockets;

/* ---- in ---- */

/* Frames on their way to a member, or to be refused there. */
struct run {
	struct vxlan_member *member;
	enum reason reason; /* DROP_NONE: they are sent */
	struct burst burst;
};

static void
end_run(struct run *run)
{
	if (run->burst.n == 0)
		return;
	if (run->reason == DROP_NONE)
		port_send(run->member->port, &run->burst);
	else
		port_refuse(run->member->port, &run->burst, run->reason);
	burst_clear(&run->burst);
}

static struct vxlan_member *
member_of(const struct vxlan_socket *s, uint32_t vni)
{
	struct vxlan_member *m;

	LIST_FOREACH (m, &s->members, link)
		if (m->vni == vni)
			return m;
	return NULL;
}

/* Whose datagram i is, and *frame in it; *reason: what is wrong. */
static struct vxlan_member *
read_one(const struct vxlan_socket *s, unsigned int i, struct frame *frame,
    enum reason *reason)
{
	struct cursor c = cursor(s->in.pool[i], VXLAN_HEADER_BYTES);
	struct vxlan_member *m;
	struct inet from;
	uint32_t vni;

	*reason = dgram_frame(&s->in, i, VXLAN_HEADER_BYTES, frame);
	if (*reason == DROP_NONE)
		*reason = vxlan_parse(&vni, &c);
	if (*reason != DROP_NONE)
		return LIST_FIRST(&s->members);
	m = member_of(s, vni);
	if (m == NULL) {
		*reason = DROP_VXLAN_VNI;
		return LIST_FIRST(&s->members);
	}
	from = (struct inet){ .len = s->local.len };
	memcpy(&from.in6, &s->in.from[i], s->local.len);
	*reason = m->admit(m, &from, frame);
	return m;
}

static void
readable(void *arg, unsigned int events)
{
	struct vxlan_socket *s = arg;
	struct run run = { .member = NULL };

	(void)events;
	/* An error is of an earlier frame, and told once. */
	if (dgram_read(&s->in, s->fd) <= 0)
		return;
	for (unsigned int i = 0; i < s->in.n; i++) {
		struct frame frame;
		enum reason reason;
		struct vxlan_member *m = read_one(s, i, &frame, &reason);

		if (m != run.member || reason != run.reason)
			end_run(&run);
		run.member = m;
		run.reason = reason;
		run.burst.frame[run.burst.n++] = frame;
	}
	end_run(&run);
}

/* ---- out ---- */

void
vxlan_add(struct vxlan_member *m, const struct inet *to,
    const struct frame *frame, enum reason *result)
{
	uint8_t head[VXLAN_HEADER_BYTES];
	struct writer w = writer(head, sizeof(head));

	vxlan_write(&w, m->vni);
	dgram_add(&m->socket->out, &to->sa, to->len, head, sizeof(head), frame,
	    result);
}

void
vxlan_flush(struct vxlan_member *m)
{
	dgram_flush(&m->socket->out);
}

/* ---- making and unmaking ---- */

static void
free_socket(struct vxlan_socket *s)
{
	loop_watch_free(s->watch);
	dgram_out_free(&s->out);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

static struct vxlan_socket *
new_socket(struct loop *loop, const struct inet *local, const char *name,
    struct err *err)
{
	struct vxlan_socket *s = calloc(1, sizeof(*s));

	if (s == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	LIST_INIT(&s->members);
	s->loop = loop;
	s->local = *local;
	s->fd = inet_socket(local, name, err);
	if (s->fd < 0)
		goto fail;
	s->watch = loop_watch_new(loop, s->fd, LOOP_READ, readable, s, err);
	if (s->watch == NULL || dgram_out_init(&s->out, loop, false) < 0 ||
	    !dgram_set_fd(&s->out, s->fd))
		goto fail;
	LIST_INSERT_HEAD(&sockets, s, link);
	return s;
fail:
	free_socket(s);
	return NULL;
}

static struct vxlan_socket *
find_socket(const struct loop *loop, const struct inet *local)
{
	struct vxlan_socket *s;

	LIST_FOREACH (s, &sockets, link)
		if (s->loop == loop && s->local.len == local->len &&
		    memcmp(&s->local.in6, &local->in6, local->len) == 0)
			return s;
	return NULL;
}

int
vxlan_join(struct vxlan_member *m, struct loop *loop, const struct inet *local,
    struct err *err)
{
	struct vxlan_socket *s = find_socket(loop, local);
	char text[INET_TEXT_BYTES];

	if (s != NULL && member_of(s, m->vni) != NULL)
		return err_set(err, -EEXIST,
		    "%s: VNI %u at %s is that of port %s; use another, or "
		    "another local port",
		    m->port->name, m->vni, inet_text(text, local),
		    member_of(s, m->vni)->port->name);
	if (s == NULL)
		s = new_socket(loop, local, m->port->name, err);
	if (s == NULL)
		return -EIO;
	m->socket = s;
	/* The first stays the first: it counts what is nobody's. */
	if (LIST_EMPTY(&s->members))
		LIST_INSERT_HEAD(&s->members, m, link);
	else
		LIST_INSERT_AFTER(LIST_FIRST(&s->members), m, link);
	return 0;
}

void
vxlan_leave(struct vxlan_member *m)
{
	struct vxlan_socket *s = m->socket;

	if (s == NULL)
		return;
	m->socket = NULL;
	LIST_REMOVE(m, link);
	if (!LIST_EMPTY(&s->members))
		return;
	LIST_REMOVE(s, link);
	free_socket(s);
}
