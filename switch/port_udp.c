/*
 * udp:ADDRESS:PORT[?local=ADDRESS:PORT] - one frame per UDP datagram, to and
 * from one peer: what QEMU's -netdev dgram and VDE's udp plugs speak.
 *
 * The socket is connected, so the kernel lets nothing in but what that address
 * and port sent.  That keeps strangers out, not forgers: whoever can put a
 * source address on the path can put frames into the lab.  Nothing says that
 * the peer is there: an ICMP error that comes back makes the kernel refuse one
 * later frame (DROP_NOT_READY), and the rest count as delivered.
 *
 * What the kernel has no room for in its send buffer is refused as
 * DROP_PORT_FULL; a frame beyond the path's MTU goes in fragments, as any
 * datagram.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/inet.h"
#include "switch/dgram.h"
#include "switch/locator.h"
#include "switch/port.h"

struct udp_port {
	struct port port; /* first: ports of this kind are these */
	struct loop_watch *watch;
	int fd;
	struct inet local, remote;
	struct dgram_out out;
	struct dgram_in in;
};

static void
readable(void *arg, unsigned int events)
{
	struct udp_port *u = arg;

	(void)events;
	/* An error is of an earlier frame, and told once. */
	if (dgram_read(&u->in, u->fd) > 0)
		dgram_deliver(&u->in, &u->port);
}

static void
take(struct port *port, struct burst *burst)
{
	struct udp_port *u = (struct udp_port *)port;

	dgram_send(&u->out, port->node, burst);
}

static void
close_udp(struct port *port)
{
	struct udp_port *u = (struct udp_port *)port;

	loop_watch_free(u->watch);
	dgram_out_free(&u->out);
	if (u->fd >= 0)
		close(u->fd);
	free(u);
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct udp_port *u = (const struct udp_port *)port;
	char local[INET_TEXT_BYTES], remote[INET_TEXT_BYTES];

	snprintf(out, len, "%s to %s", inet_text(local, &u->local),
	    inet_text(remote, &u->remote));
	return out;
}

static const struct port_ops udp_ops = {
	.take = take,
	.close = close_udp,
	.describe = describe,
};

/* ---- opening ---- */

static int
read_locator(struct inet *local, struct inet *remote, const char *name,
    const char *rest, struct err *err)
{
	static const char *const keys[] = { "local", NULL };
	const char *own;
	struct locator l;
	int e = locator_read(&l, name, rest, keys, err);

	if (e < 0)
		return e;
	if (!inet_read(remote, l.place, 0))
		return err_set(err, -EINVAL,
		    "%s: \"udp:%s\" names no peer; use an address and a port, "
		    "as udp:192.0.2.1:5000 or udp:[2001:db8::1]:5000",
		    name, l.place);
	own = locator_get(&l, "local", 0);
	if (own == NULL) { /* all of this machine's, and the same port */
		*local = (struct inet){ .len = remote->len };
		local->sa.sa_family = remote->sa.sa_family;
		inet_set_port(local, inet_port(remote));
		return 0;
	}
	if (!inet_read(local, own, inet_port(remote)) ||
	    local->sa.sa_family != remote->sa.sa_family)
		return err_set(err, -EINVAL,
		    "%s: \"local=%s\" is no address of the peer's family; "
		    "use one of this machine, as 192.0.2.2:5000",
		    name, own);
	return 0;
}

static int
check_udp(const char *name, const char *rest, struct err *err)
{
	struct inet local, remote;

	return read_locator(&local, &remote, name, rest, err);
}

static int
open_socket(struct udp_port *u, struct err *err)
{
	const struct port *port = &u->port;
	char text[INET_TEXT_BYTES];

	u->fd = inet_socket(&u->local, port->name, err);
	if (u->fd < 0)
		return u->fd;
	if (connect(u->fd, &u->remote.sa, u->remote.len) < 0)
		return err_sys(err, -errno,
		    "give this machine a route to it first",
		    "%s: cannot send to %s", port->name,
		    inet_text(text, &u->remote));
	return 0;
}

static struct port *
open_udp(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct udp_port *u = calloc(1, sizeof(*u));

	if (u == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	port_init(&u->port, &udp_ops, node, name);
	u->port.accepts = 0;
	u->port.mtu_bytes = DGRAM_FRAME_BYTES;
	u->fd = -1;
	if (read_locator(&u->local, &u->remote, name, rest, err) < 0 ||
	    open_socket(u, err) < 0)
		goto fail;
	u->watch = loop_watch_new(loop, u->fd, LOOP_READ, readable, u, err);
	if (u->watch == NULL || dgram_out_init(&u->out, loop, false) < 0 ||
	    !dgram_set_fd(&u->out, u->fd))
		goto fail;
	return &u->port;
fail:
	close_udp(&u->port);
	return NULL;
}

const struct port_kind port_udp = {
	.scheme = "udp",
	.syntax = "udp:ADDRESS:PORT",
	.check = check_udp,
	.open = open_udp,
};
