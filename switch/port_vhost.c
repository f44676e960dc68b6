/*
 * The vhost-user back end: one listening socket, one front end at a time.
 *
 *     front end's message   -> readable()    vhost_handle(): memory, rings
 *     its kick              -> kicked()      transmit ring -> port_send()
 *     port_send() of others -> vhost_take()  -> receive ring
 *     end of the round      -> vhost_flush() publishes, calls the guest
 *
 * A front end that breaks the protocol is dropped, with all that it set up, by
 * the name of what it did wrong.  Where it asked for an acknowledgement, it is
 * told instead and may stay.
 *
 * What a front end can still do to us: take O_NONBLOCK off its call descriptor
 * and fill that, so that our write() waits.  Only somebody who runs as us can,
 * by the socket's mode.
 */
#include "switch/port_vhost.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "switch/vhost_port.h"

#define MESSAGES_PER_TURN 32

/* The front end goes, with all that it set up. */
static void
leave(void *arg)
{
	struct vhost_port *vp = arg;

	loop_watch_free(vp->watch);
	vp->watch = NULL;
	if (vp->link_fd >= 0)
		close(vp->link_fd);
	vp->link_fd = -1;
	for (unsigned int i = 0; i < VHOST_QUEUES_MAX; i++)
		vhost_queue_reset(&vp->queue[i]);
	loop_defer_cancel(&vp->flush);
	vp->dirty = 0;
	vhost_reader_clear(&vp->reader);
	guest_mem_clear(&vp->mem);
	vp->protocol = 0;
	vhost_set_features(vp, 0);
	vp->port.mtu_bytes = 0;
	vp->stats.connected = false;
}

void
vhost_refuse(
    struct vhost_port *vp, enum vhost_refusal refusal, const char *what)
{
	vp->stats.refused[refusal]++;
	vp->last_refusal = refusal;
	VHOST_COMPLAIN(vp, "front end %d dropped: %s: %s", (int)vp->door.pid,
	    what, vhost_refusal_name(refusal));
	door_show_out(&vp->door);
}

/* ---- messages ---- */

static bool
answer(struct vhost_port *vp, const struct vhost_msg *reply)
{
	uint8_t bytes[VHOST_HEADER_BYTES + VHOST_PAYLOAD_MAX];
	size_t n = vhost_msg_write(reply, bytes);

	return send(vp->door.fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT) ==
	    (ssize_t)n;
}

/* A whole message.  False: the front end is gone. */
static bool
message(struct vhost_port *vp, struct vhost_msg *msg)
{
	struct vhost_msg reply = { .request = msg->request,
		.flags = VHOST_VERSION | VHOST_REPLY };
	bool ack = msg->flags & VHOST_NEED_REPLY &&
	    vp->protocol >> VHOST_PROTOCOL_REPLY_ACK & 1;
	const char *name = vhost_request_name(msg->request);
	enum vhost_refusal refusal = vhost_handle(vp, msg, &reply);

	log_debug(
	    "%s: %s: %s", vp->port.name, name, vhost_refusal_name(refusal));
	if (refusal != VHOST_OK && !(ack && !vhost_msg_answers(msg->request))) {
		vhost_refuse(vp, refusal, name);
		return false;
	}
	if (refusal != VHOST_OK) {
		vp->stats.refused[refusal]++;
		vp->last_refusal = refusal;
		VHOST_COMPLAIN(
		    vp, "%s refused: %s", name, vhost_refusal_name(refusal));
	}
	if (!vhost_msg_answers(msg->request)) {
		if (!ack)
			return true;
		reply.u64 = refusal != VHOST_OK;
	}
	if (!answer(vp, &reply)) {
		vhost_refuse(vp, VHOST_NOT_READING, name);
		return false;
	}
	return true;
}

static void
readable(void *arg, unsigned int events)
{
	struct vhost_port *vp = arg;

	(void)events;
	for (unsigned int i = 0; i < MESSAGES_PER_TURN; i++) {
		enum vhost_refusal refusal;
		int r = vhost_reader_next(&vp->reader, vp->door.fd, &refusal);

		if (r == 0)
			return;
		if (r == -ECONNRESET) {
			log_info("%s: front end %d left", vp->port.name,
			    (int)vp->door.pid);
			door_show_out(&vp->door);
			return;
		}
		if (r < 0) {
			vhost_refuse(vp, refusal,
			    vhost_request_name(vp->reader.msg.request));
			return;
		}
		if (!message(vp, &vp->reader.msg))
			return;
	}
}

/* ---- the front end comes and goes ---- */

static bool
enter(void *arg)
{
	struct vhost_port *vp = arg;

	vp->watch = loop_watch_new(
	    vp->loop, vp->door.fd, LOOP_READ, readable, vp, NULL);
	vp->stats.connected = vp->watch != NULL;
	return vp->stats.connected;
}

static const struct door_ops door_ops = {
	.guest = "front end",
	.enter = enter,
	.leave = leave,
};

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct vhost_port *vp = (const struct vhost_port *)port;
	const uint8_t f = vp->rules.receives;
	char refused[64] = "";

	if (vp->last_refusal != VHOST_OK)
		snprintf(refused, sizeof(refused), ", last refused: %s",
		    vhost_refusal_name(vp->last_refusal));
	if (vp->door.fd < 0)
		snprintf(out, len, "waiting at %s%s", vp->door.listener.path,
		    refused);
	else if (!vp->stats.ready)
		snprintf(out, len, "front end %d connected, not ready%s",
		    (int)vp->door.pid, refused);
	else
		snprintf(out, len,
		    "front end %d ready, %u queue pair%s%s%s%s%s%s",
		    (int)vp->door.pid, vp->nreceivers,
		    vp->nreceivers == 1 ? "" : "s",
		    f & FRAME_CSUM ? ", csum" : "",
		    f & FRAME_TSO4 ? ", tso4" : "",
		    f & FRAME_TSO6 ? ", tso6" : "",
		    vp->rules.mergeable ? ", mergeable" : "", refused);
	return out;
}

/* The front end asks (GET_LINK) when it likes. */
static void
link_changed(struct port *port, bool up)
{
	const struct vhost_port *vp = vhost_port(port);
	const uint64_t one = 1;

	(void)up;
	if (vp->link_fd >= 0 && write(vp->link_fd, &one, sizeof(one)) < 0)
		return; /* full: it has been told, and has not asked */
}

static void
vhost_close(struct port *port)
{
	struct vhost_port *vp = vhost_port(port);

	door_close(&vp->door);
	free(vp);
}

static const struct port_ops vhost_ops = {
	.take = vhost_take,
	.link = link_changed,
	.close = vhost_close,
	.describe = describe,
};

static struct port *
vhost_open(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct vhost_port *vp = calloc(1, sizeof(*vp));

	if (vp == NULL) {
		err_sys(err, -ENOMEM, NULL, "vhost-user:%s", rest);
		return NULL;
	}
	port_init(&vp->port, &vhost_ops, node, name);
	vp->loop = loop;
	vp->link_fd = -1;
	guest_mem_init(&vp->mem);
	loop_defer_init(&vp->flush, loop, vhost_flush, vp);
	for (unsigned int i = 0; i < VHOST_QUEUES_MAX; i++)
		vhost_queue_init(&vp->queue[i], vp, i);
	if (door_open(
		&vp->door, &door_ops, vp, loop, vp->port.name, rest, err) < 0) {
		free(vp);
		return NULL;
	}
	return &vp->port;
}

const struct port_kind port_vhost = {
	.scheme = "vhost-user",
	.syntax = "vhost-user:PATH",
	.check = port_check_path,
	.open = vhost_open,
};

struct vhost_stats
port_vhost_stats(const struct port *port)
{
	const struct vhost_port *vp = (const struct vhost_port *)port;
	struct vhost_stats stats = vp->stats;

	stats.connections = vp->door.connections;
	stats.turned_away = vp->door.turned_away;
	return stats;
}
