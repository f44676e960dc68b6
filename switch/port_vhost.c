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
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "switch/vhost_port.h"

#define MESSAGES_PER_TURN  32
#define LISTEN_AGAIN_AFTER (1 * NS_PER_S)
#define COMPLAINTS_EVERY   (1 * NS_PER_S)

void
vhost_complain(struct vhost_port *vp, const char *format, ...)
{
	uint64_t now_ns = loop_now_ns(vp->loop);
	char text[256], more[64] = "";
	va_list args;

	if (vp->complained_ns != 0 &&
	    now_ns - vp->complained_ns < COMPLAINTS_EVERY) {
		vp->unsaid++;
		return;
	}
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (vp->unsaid != 0)
		snprintf(more, sizeof(more), " (and %" PRIu64 " more before)",
		    vp->unsaid);
	log_warn("%s: %s%s", vp->port.name, text, more);
	vp->complained_ns = now_ns != 0 ? now_ns : 1;
	vp->unsaid = 0;
}

static void
disconnect(struct vhost_port *vp)
{
	loop_watch_free(vp->watch);
	vp->watch = NULL;
	if (vp->fd >= 0)
		close(vp->fd);
	vp->fd = -1;
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
	vhost_complain(vp, "front end %d dropped: %s: %s", (int)vp->pid, what,
	    vhost_refusal_name(refusal));
	disconnect(vp);
}

/* ---- messages ---- */

static bool
answer(struct vhost_port *vp, const struct vhost_msg *reply)
{
	uint8_t bytes[VHOST_HEADER_BYTES + VHOST_PAYLOAD_MAX];
	size_t n = vhost_msg_write(reply, bytes);

	return send(vp->fd, bytes, n, MSG_NOSIGNAL | MSG_DONTWAIT) ==
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
		vhost_complain(
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
		int r = vhost_reader_next(&vp->reader, vp->fd, &refusal);

		if (r == 0)
			return;
		if (r == -ECONNRESET) {
			log_info("%s: front end %d left", vp->port.name,
			    (int)vp->pid);
			disconnect(vp);
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

/* A front end whose socket is closed, though we were not yet told. */
static bool
has_left(const struct vhost_port *vp)
{
	char byte;

	return recv(vp->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

static void
listen_again(void *arg)
{
	struct vhost_port *vp = arg;

	loop_watch_events(vp->listen_watch, LOOP_READ);
}

static void
arrived(void *arg, unsigned int events)
{
	struct vhost_port *vp = arg;
	struct ucred cred = { .pid = 0 };
	socklen_t len = sizeof(cred);
	int fd =
	    accept4(vp->listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0 && errno != EAGAIN && errno != ECONNABORTED) {
		vhost_complain(
		    vp, "cannot let a front end in: %s", strerror(errno));
		loop_watch_events(vp->listen_watch, 0);
		loop_timer_set(&vp->listen_again,
		    loop_now_ns(vp->loop) + LISTEN_AGAIN_AFTER);
	}
	if (fd < 0)
		return;
	if (vp->fd >= 0 && !has_left(vp)) {
		vp->stats.turned_away++;
		vhost_complain(vp,
		    "another front end turned away: %d is connected",
		    (int)vp->pid);
		close(fd);
		return;
	}
	if (vp->fd >= 0)
		disconnect(vp);
	vp->watch = loop_watch_new(vp->loop, fd, LOOP_READ, readable, vp, NULL);
	if (vp->watch == NULL) {
		close(fd);
		return;
	}
	vp->fd = fd;
	getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len);
	vp->pid = cred.pid;
	vp->stats.connected = true;
	vp->stats.connections++;
	log_info("%s: front end %d connected", vp->port.name, (int)vp->pid);
}

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct vhost_port *vp = (const struct vhost_port *)port;
	const uint8_t f = vp->rules.receives;
	char refused[64] = "";

	if (vp->last_refusal != VHOST_OK)
		snprintf(refused, sizeof(refused), ", last refused: %s",
		    vhost_refusal_name(vp->last_refusal));
	if (vp->fd < 0)
		snprintf(
		    out, len, "waiting at %s%s", vp->listener.path, refused);
	else if (!vp->stats.ready)
		snprintf(out, len, "front end %d connected, not ready%s",
		    (int)vp->pid, refused);
	else
		snprintf(out, len,
		    "front end %d ready, %u queue pair%s%s%s%s%s%s",
		    (int)vp->pid, vp->nreceivers,
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

	disconnect(vp);
	loop_timer_unset(&vp->listen_again);
	loop_watch_free(vp->listen_watch);
	unix_listener_close(&vp->listener);
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
	vp->fd = -1;
	vp->link_fd = -1;
	guest_mem_init(&vp->mem);
	loop_defer_init(&vp->flush, loop, vhost_flush, vp);
	loop_timer_init(&vp->listen_again, loop, listen_again, vp);
	for (unsigned int i = 0; i < VHOST_QUEUES_MAX; i++)
		vhost_queue_init(&vp->queue[i], vp, i);
	if (unix_listen(&vp->listener, rest, err) < 0)
		goto fail;
	vp->listen_watch =
	    loop_watch_new(loop, vp->listener.fd, LOOP_READ, arrived, vp, err);
	if (vp->listen_watch == NULL)
		goto fail;
	return &vp->port;
fail:
	unix_listener_close(&vp->listener);
	free(vp);
	return NULL;
}

const struct port_kind port_vhost = {
	.scheme = "vhost-user",
	.syntax = "vhost-user:PATH",
	.open = vhost_open,
};

struct vhost_stats
port_vhost_stats(const struct port *port)
{
	return ((const struct vhost_port *)port)->stats;
}
