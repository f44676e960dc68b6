/*
 * vde-listen:DIR - a socket for one VDE plug (vde_plug, wirefilter, QEMU's
 * -netdev vde, VirtualBox, User-Mode Linux): what is a vde_switch to them is
 * the other end of this port's cable.
 *
 * Listens at DIR/ctl, with DIR made if it is not there, for its owner alone.
 *
 *     door      its stream: the request, then nothing until it goes
 *     data      our end, at DIR/data, connected to the one it named
 *
 * Ours is connected before the answer leaves, since a plug removes its path as
 * soon as it has that; and both being connected to each other is what lets the
 * kernel queue more than ten datagrams.
 *
 * A request has no length: what comes after the part that has one is a
 * description, as far as it came along.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "switch/dgram.h"
#include "switch/door.h"
#include "switch/port.h"
#include "switch/vde.h"

struct vde_listen {
	struct port port; /* first: ports of this kind are these */
	struct loop *loop;
	bool made_dir;
	char dir[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
	struct door door;
	struct loop_watch *watch; /* of the stream */
	struct unix_listener data;
	struct loop_watch *data_watch; /* NULL: not plugged in */
	size_t have;
	uint8_t bytes[VDE_REQUEST_MAX]; /* of the request, so far */
	struct vde_request request;
	struct dgram_out out;
	struct dgram_in in;
};

static void
leave(void *arg)
{
	struct vde_listen *v = arg;

	if (v->data_watch != NULL)
		log_info(
		    "%s: VDE plug %d left", v->port.name, (int)v->door.pid);
	loop_watch_free(v->watch);
	v->watch = NULL;
	loop_watch_free(v->data_watch);
	v->data_watch = NULL;
	dgram_set_fd(&v->out, -1);
	unix_listener_close(&v->data);
	v->have = 0;
}

static void
refuse(struct vde_listen *v, const char *what)
{
	complain(&v->door.complaint, loop_now_ns(v->loop), v->port.name,
	    "VDE plug %d dropped: it %s", (int)v->door.pid, what);
	door_show_out(&v->door);
}

/* ---- frames ---- */

static void
data_ready(void *arg, unsigned int events)
{
	struct vde_listen *v = arg;

	(void)events;
	if (dgram_read(&v->in, v->data.fd) > 0)
		dgram_deliver(&v->in, &v->port);
}

static void
take(struct port *port, struct burst *burst)
{
	struct vde_listen *v = (struct vde_listen *)port;

	dgram_send(&v->out, port->node, burst);
}

/* ---- the stream ---- */

/* Joins the two data sockets, and answers. */
static int
plug_in(struct vde_listen *v, struct err *err)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX };
	char path[sizeof(own.sun_path) + 8];

	snprintf(path, sizeof(path), "%s/data", v->dir);
	if (unix_bind(&v->data, path, SOCK_DGRAM, err) < 0)
		return -EIO;
	if (connect(v->data.fd, (struct sockaddr *)&v->request.plug,
		sizeof(v->request.plug)) < 0)
		return err_sys(err, -errno, NULL, "cannot reach its socket");
	v->data_watch =
	    loop_watch_new(v->loop, v->data.fd, LOOP_READ, data_ready, v, err);
	if (v->data_watch == NULL || !dgram_set_fd(&v->out, v->data.fd))
		return -ENOMEM;
	memcpy(own.sun_path, v->data.path, sizeof(own.sun_path));
	if (send(v->door.fd, &own, sizeof(own), MSG_DONTWAIT | MSG_NOSIGNAL) !=
	    (ssize_t)sizeof(own))
		return err_sys(err, -errno, NULL, "cannot answer");
	return 0;
}

static void
request_came(struct vde_listen *v)
{
	const char *wrong = vde_request_read(&v->request, v->bytes, v->have);
	struct err err = { "" };

	if (wrong != NULL) {
		refuse(v, wrong);
		return;
	}
	if (plug_in(v, &err) < 0) {
		complain(&v->door.complaint, loop_now_ns(v->loop), v->port.name,
		    "VDE plug %d dropped: %s", (int)v->door.pid, err.text);
		door_show_out(&v->door);
	}
}

static void
stream_ready(void *arg, unsigned int events)
{
	struct vde_listen *v = arg;
	uint8_t scrap[VDE_REQUEST_MAX];
	bool plugged = v->data_watch != NULL;
	ssize_t n;

	(void)events;
	/* Once it is plugged in, a plug has nothing more to say. */
	n = plugged ? recv(v->door.fd, scrap, sizeof(scrap), MSG_DONTWAIT)
		    : recv(v->door.fd, v->bytes + v->have,
			  sizeof(v->bytes) - v->have, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		door_show_out(&v->door);
		return;
	}
	if (plugged)
		return;
	v->have += (size_t)n;
	if (v->have >= VDE_REQUEST_BYTES)
		request_came(v);
}

static bool
enter(void *arg)
{
	struct vde_listen *v = arg;

	v->watch = loop_watch_new(
	    v->loop, v->door.fd, LOOP_READ, stream_ready, v, NULL);
	return v->watch != NULL;
}

static const struct door_ops door_ops = {
	.guest = "VDE plug",
	.enter = enter,
	.leave = leave,
};

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct vde_listen *v = (const struct vde_listen *)port;

	if (v->data_watch == NULL)
		snprintf(out, len, "waiting at %s", v->dir);
	else
		snprintf(out, len,
		    "VDE plug %d (%.64s) connected, %u waiting, %" PRIu64
		    " lost",
		    (int)v->door.pid, v->request.description, v->out.backlog.n,
		    v->out.lost);
	return out;
}

static void
close_vde_listen(struct port *port)
{
	struct vde_listen *v = (struct vde_listen *)port;

	door_close(&v->door);
	dgram_out_free(&v->out);
	if (v->made_dir)
		(void)rmdir(v->dir); /* if nobody put anything into it */
	free(v);
}

static const struct port_ops vde_listen_ops = {
	.take = take,
	.close = close_vde_listen,
	.describe = describe,
};

/* ---- opening ---- */

static int
check_vde_listen(const char *name, const char *rest, struct err *err)
{
	const size_t max =
	    sizeof(((struct vde_listen *)NULL)->dir) - sizeof("/data");

	if (rest[0] != '\0' && strlen(rest) <= max)
		return 0;
	return err_set(err, -EINVAL,
	    "%s: \"vde-listen:%.120s\": the path of the folder has 1 to %zu "
	    "bytes",
	    name, rest, max);
}

static int
open_door(struct vde_listen *v, const char *rest, struct err *err)
{
	char path[sizeof(v->dir) + 8];

	memcpy(v->dir, rest, strlen(rest) + 1);
	v->made_dir = mkdir(v->dir, 0700) == 0;
	if (!v->made_dir && errno != EEXIST)
		return err_sys(err, -errno, "use a path in a folder of yours",
		    "%s: vde-listen:%s: cannot make the folder", v->port.name,
		    v->dir);
	snprintf(path, sizeof(path), "%s/ctl", v->dir);
	return door_open(
	    &v->door, &door_ops, v, v->loop, v->port.name, path, err);
}

static struct port *
open_vde_listen(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct vde_listen *v = calloc(1, sizeof(*v));

	if (v == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		return NULL;
	}
	port_init(&v->port, &vde_listen_ops, node, name);
	v->port.accepts = 0;
	v->port.mtu_bytes = DGRAM_FRAME_BYTES;
	v->loop = loop;
	v->data.fd = -1;
	if (dgram_out_init(&v->out, loop, true) < 0)
		err_sys(err, -ENOMEM, NULL, "%s", name);
	else if (open_door(v, rest, err) == 0)
		return &v->port;
	close_vde_listen(&v->port);
	return NULL;
}

const struct port_kind port_vde_listen = {
	.scheme = "vde-listen",
	.syntax = "vde-listen:DIR",
	.check = check_vde_listen,
	.open = open_vde_listen,
};
