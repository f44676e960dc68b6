/*
 * qemu:PATH - a guest of QEMU by -netdev stream, over a unix socket on which
 * this port listens.
 *
 *     its bytes       -> readable()  -> frame_stream -> port_send()
 *     port_send() of others -> take() -> the socket, or what waits for it
 *
 * A burst is one write of everything, lengths and frames from where they lie.
 * What the socket does not take waits as a copy (backlog.h), and from then on
 * everything does, so that nothing is overtaken and no frame is cut.  When
 * there is no room either, frames are refused as DROP_PORT_FULL.
 *
 * QEMU has no way to be told that the link went down.  A peer that sends what
 * can be no length is shown out: after it there is no next frame to be found.
 * One that is gone is noticed by reading alone, never while sending, so that
 * nothing changes under a burst that is under way.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "switch/backlog.h"
#include "switch/door.h"
#include "switch/frame_stream.h"
#include "switch/port.h"

#define BACKLOG_BYTES (1024 * 1024)
#define PIECES_MAX    1024 /* of one write: IOV_MAX */
#define DRAIN_PIECES  256  /* of one write of what waits */

struct qemu {
	struct port port; /* first: ports of this kind are these */
	struct loop *loop;
	struct door door;
	struct loop_watch *watch;
	struct backlog backlog;
	uint64_t lost; /* frames that waited for one who went */
	struct frame_stream stream;
	/* one write: what is staged of a burst */
	unsigned int n, npieces;
	struct frame *staged[BURST_MAX];
	uint8_t head[BURST_MAX][STREAM_HEAD_BYTES];
	struct iovec piece[PIECES_MAX];
};

/* ---- from QEMU ---- */

/* Sends all frames that are there.  -EPROTO: what follows is none. */
static int
send_frames(struct qemu *q)
{
	struct burst burst;
	const uint8_t *data;
	size_t len;
	int r;

	burst_clear(&burst);
	while ((r = stream_next(&q->stream, &data, &len)) > 0) {
		burst_add(&burst, data, len);
		if (burst.n < BURST_MAX)
			continue;
		port_send(&q->port, &burst);
		burst_clear(&burst);
	}
	if (burst.n > 0)
		port_send(&q->port, &burst);
	return r;
}

static void
read_some(struct qemu *q)
{
	size_t room;
	uint8_t *at = stream_room(&q->stream, &room);
	ssize_t n = recv(q->door.fd, at, room, MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		log_info("%s: QEMU %d left", q->port.name, (int)q->door.pid);
		door_show_out(&q->door);
		return;
	}
	stream_came(&q->stream, (size_t)n);
	if (send_frames(q) == 0)
		return;
	complain(&q->door.complaint, loop_now_ns(q->loop), q->port.name,
	    "QEMU %d dropped: it announced a frame longer than %d bytes",
	    (int)q->door.pid, FRAME_MAX_BYTES);
	door_show_out(&q->door);
}

/* ---- to QEMU ---- */

static void
watch_for(struct qemu *q)
{
	loop_watch_events(
	    q->watch, LOOP_READ | (q->backlog.n > 0 ? LOOP_WRITE : 0));
}

/* One write of pieces.  How many bytes were taken. */
static size_t
write_pieces(const struct qemu *q, struct iovec *piece, unsigned int n)
{
	const struct msghdr msg = { .msg_iov = piece, .msg_iovlen = n };
	ssize_t r;

	do
		r = sendmsg(q->door.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	return r > 0 ? (size_t)r : 0;
}

static void
drain(struct qemu *q)
{
	struct iovec piece[DRAIN_PIECES];
	unsigned int n = backlog_peek(&q->backlog, piece, DRAIN_PIECES);

	backlog_sent(&q->backlog, write_pieces(q, piece, n));
	if (q->backlog.n == 0)
		watch_for(q);
}

static void
let_wait(struct qemu *q, struct frame *frame, size_t sent)
{
	uint8_t head[STREAM_HEAD_BYTES];
	bool first = q->backlog.n == 0;

	stream_head(head, frame->len);
	node_judge(q->port.node, frame,
	    backlog_add(&q->backlog, head, sizeof(head), frame, sent)
		? REASON_DELIVERED
		: DROP_PORT_FULL);
	if (first && q->backlog.n > 0)
		watch_for(q);
}

/* Writes what is staged, and lets the rest wait. */
static void
flush(struct qemu *q)
{
	size_t taken = 0;

	if (q->n > 0)
		taken = write_pieces(q, q->piece, q->npieces);
	for (unsigned int i = 0; i < q->n; i++) {
		struct frame *frame = q->staged[i];
		size_t len = STREAM_HEAD_BYTES + frame->len;

		if (taken >= len) {
			node_judge(q->port.node, frame, REASON_DELIVERED);
			taken -= len;
		} else {
			let_wait(q, frame, taken);
			taken = 0;
		}
	}
	q->n = q->npieces = 0;
}

static void
stage(struct qemu *q, struct frame *frame)
{
	struct iovec *piece = &q->piece[q->npieces];

	stream_head(q->head[q->n], frame->len);
	piece[0] = (struct iovec){ q->head[q->n], STREAM_HEAD_BYTES };
	piece[1] =
	    (struct iovec){ (void *)(uintptr_t)frame->data, frame->head };
	if (frame->ntail > 0)
		memcpy(&piece[2], frame->tail, frame->ntail * sizeof(piece[0]));
	q->staged[q->n++] = frame;
	q->npieces += 2u + frame->ntail;
}

static void
take(struct port *port, struct burst *burst)
{
	struct qemu *q = (struct qemu *)port;

	if (q->door.fd < 0) {
		node_judge_all(port->node, burst, DROP_NOT_READY);
		return;
	}
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];
		unsigned int pieces = 2u + frame->ntail;

		if (q->npieces + pieces > PIECES_MAX)
			flush(q);
		if (q->backlog.n > 0 || pieces > PIECES_MAX)
			let_wait(q, frame, 0);
		else
			stage(q, frame);
	}
	flush(q);
}

/* ---- it comes and goes ---- */

static void
ready(void *arg, unsigned int events)
{
	struct qemu *q = arg;

	if (events & LOOP_WRITE)
		drain(q);
	if (events & LOOP_READ)
		read_some(q);
}

static bool
enter(void *arg)
{
	struct qemu *q = arg;

	q->watch =
	    loop_watch_new(q->loop, q->door.fd, LOOP_READ, ready, q, NULL);
	return q->watch != NULL;
}

static void
leave(void *arg)
{
	struct qemu *q = arg;

	loop_watch_free(q->watch);
	q->watch = NULL;
	stream_clear(&q->stream);
	q->lost += q->backlog.n;
	backlog_clear(&q->backlog);
}

static const struct door_ops door_ops = {
	.guest = "QEMU",
	.enter = enter,
	.leave = leave,
};

static const char *
describe(const struct port *port, char *out, size_t len)
{
	const struct qemu *q = (const struct qemu *)port;

	if (q->door.fd < 0)
		snprintf(out, len, "waiting at %s", q->door.listener.path);
	else
		snprintf(out, len,
		    "QEMU %d connected, %u waiting, %" PRIu64 " lost",
		    (int)q->door.pid, q->backlog.n, q->lost);
	return out;
}

static void
close_qemu(struct port *port)
{
	struct qemu *q = (struct qemu *)port;

	door_close(&q->door);
	backlog_free(&q->backlog);
	free(q);
}

static const struct port_ops qemu_ops = {
	.take = take,
	.close = close_qemu,
	.describe = describe,
};

static struct port *
open_qemu(struct loop *loop, struct node *node, const char *name,
    const char *rest, struct err *err)
{
	struct qemu *q = calloc(1, sizeof(*q));

	if (q == NULL || backlog_init(&q->backlog, BACKLOG_BYTES) < 0) {
		err_sys(err, -ENOMEM, NULL, "%s", name);
		goto fail;
	}
	port_init(&q->port, &qemu_ops, node, name);
	q->port.accepts = 0;
	q->port.mtu_bytes = FRAME_MAX_BYTES;
	q->loop = loop;
	if (door_open(&q->door, &door_ops, q, loop, q->port.name, rest, err) ==
	    0)
		return &q->port;
	backlog_free(&q->backlog);
fail:
	free(q);
	return NULL;
}

const struct port_kind port_qemu = {
	.scheme = "qemu",
	.syntax = "qemu:PATH",
	.check = port_check_path,
	.open = open_qemu,
};
