/*
 * qemu-dgram:PATH[?remote=PATH] - a guest of QEMU by -netdev dgram over unix
 * sockets: one frame per datagram, and nothing else.
 *
 * QEMU binds a path of its own, and sends to ours; who sent last is whom we
 * send to, unless remote names the path.  Two sockets, since a unix datagram
 * socket that is connected takes datagrams from its peer alone:
 *
 *     in   bound to PATH, takes from everybody who may write there (mode 0600)
 *     out  connected to the peer, so that it can be waited for (dgram.h)
 *
 * A peer that was restarted has a new socket at the old path.  The kernel says
 * so when a frame is sent (DROP_NOT_READY), and from then on the path is tried
 * again at most every RETRY_NS.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/unix_listen.h"
#include "switch/dgram.h"
#include "switch/locator.h"
#include "switch/port.h"

#define RETRY_NS (100 * NS_PER_MS)

struct qemu_dgram {
	struct port port; /* first: ports of this kind are these */
	struct loop *loop;
	struct unix_listener own;
	struct loop_watch *watch;
	int fd;                  /* out; -1: there is no peer */
	bool fixed;              /* the peer was named */
	struct sockaddr_un peer; /* family 0: not known yet */
	uint64_t tried_ns;
	struct dgram_out out;
	struct dgram_in in;
};

static void
disconnect(struct qemu_dgram *q)
{
	dgram_set_fd(&q->out, -1);
	if (q->fd >= 0)
		close(q->fd);
	q->fd = -1;
}

static void
connect_to_peer(struct qemu_dgram *q)
{
	disconnect(q);
	q->tried_ns = loop_now_ns(q->loop);
	q->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (q->fd >= 0 &&
	    connect(q->fd, (struct sockaddr *)&q->peer, sizeof(q->peer)) == 0 &&
	    dgram_set_fd(&q->out, q->fd))
		return;
	disconnect(q);
}

/* Who sent the last datagram that is there is the peer. */
static void
learn_peer(struct qemu_dgram *q)
{
	const struct msghdr *last = &q->in.msg[q->in.n - 1].msg_hdr;
	const struct sockaddr_un *from = last->msg_name;
	size_t n = last->msg_namelen;

	if (n <= offsetof(struct sockaddr_un, sun_path) || n > sizeof(*from) ||
	    from->sun_path[0] == '\0')
		return; /* it has no name, or one that is no path */
	if (q->peer.sun_family == AF_UNIX && q->fd >= 0 &&
	    strncmp(q->peer.sun_path, from->sun_path,
		n - offsetof(struct sockaddr_un, sun_path)) == 0)
		return;
	q->peer = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(q->peer.sun_path, from->sun_path,
	    n - offsetof(struct sockaddr_un, sun_path));
	connect_to_peer(q);
}

static void
readable(void *arg, unsigned int events)
{
	struct qemu_dgram *q = arg;

	(void)events;
	if (dgram_read(&q->in, q->own.fd) <= 0)
		return;
	if (!q->fixed)
		learn_peer(q);
	dgram_deliver(&q->in, &q->port);
}

static void
take(struct port *port, struct burst *burst)
{
	struct qemu_dgram *q = (struct qemu_dgram *)port;

	if ((q->fd < 0 || q->out.refused) && q->peer.sun_family == AF_UNIX &&
	    loop_now_ns(q->loop) - q->tried_ns >= RETRY_NS)
		connect_to_peer(q);
	dgram_send(&q->out, port->node, burst);
}

static void
close_qemu_dgram(struct port *port)
{
	struct qemu_dgram *q = (struct qemu_dgram *)port;

	disconnect(q);
	dgram_out_free(&q->out);
	loop_watch_free(q->watch);
	unix_listener_close(&q->own);
	free(q);
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct qemu_dgram *q = (const struct qemu_dgram *)port;

	if (q->peer.sun_family != AF_UNIX)
		snprintf(out, len, "waiting at %s", q->own.path);
	else
		snprintf(out, len, "%s to %s%s, %u waiting, %" PRIu64 " lost",
		    q->own.path, q->peer.sun_path,
		    q->fd < 0 || q->out.refused ? " (nobody there)" : "",
		    q->out.backlog.n, q->out.lost);
	return out;
}

static const struct port_ops qemu_dgram_ops = {
	.take = take,
	.close = close_qemu_dgram,
	.describe = describe,
};

/* ---- opening ---- */

/* Fills in both paths; that of the peer has no family if none was named. */
static int
read_locator(struct sockaddr_un *own, struct sockaddr_un *peer,
    const char *name, const char *rest, struct err *err)
{
	static const char *const keys[] = { "remote", NULL };
	const char *remote;
	struct locator l;
	int e = locator_read(&l, name, rest, keys, err);

	*peer = (struct sockaddr_un){ 0 };
	if (e == 0)
		e = unix_address(own, l.place, err);
	remote = locator_get(&l, "remote", 0);
	if (e == 0 && remote != NULL)
		e = unix_address(peer, remote, err);
	return e;
}

static int
check_qemu_dgram(const char *name, const char *rest, struct err *err)
{
	struct sockaddr_un own, peer;

	return read_locator(&own, &peer, name, rest, err);
}

static struct port *
open_qemu_dgram(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct qemu_dgram *q = calloc(1, sizeof(*q));
	struct sockaddr_un own;

	if (q == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	port_init(&q->port, &qemu_dgram_ops, node, name);
	q->port.accepts = 0;
	q->port.mtu_bytes = DGRAM_FRAME_BYTES;
	q->loop = loop;
	q->fd = q->own.fd = -1;
	if (dgram_out_init(&q->out, loop, true) < 0) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		goto fail;
	}
	if (read_locator(&own, &q->peer, name, rest, err) < 0 ||
	    unix_bind(&q->own, own.sun_path, SOCK_DGRAM, err) < 0)
		goto fail;
	q->fixed = q->peer.sun_family == AF_UNIX;
	q->watch = loop_watch_new(loop, q->own.fd, LOOP_READ, readable, q, err);
	if (q->watch == NULL)
		goto fail;
	if (q->fixed)
		connect_to_peer(q);
	return &q->port;
fail:
	close_qemu_dgram(&q->port);
	return NULL;
}

const struct port_kind port_qemu_dgram = {
	.scheme = "qemu-dgram",
	.syntax = "qemu-dgram:PATH",
	.check = check_qemu_dgram,
	.open = open_qemu_dgram,
};
