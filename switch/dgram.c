/*
 * One system call for a burst in each direction, wherever the kernel has one
 * (recvmmsg, sendmmsg).  It still does all its work for each datagram: figures
 * are in tests/bench.
 *
 * A datagram is sent from where its frame lies, in up to DGRAM_PIECES_MAX
 * pieces.  A frame in more pieces is joined first, and then what is staged
 * leaves at once, since there is one place to join.
 *
 * Refusals are final but one: a unix socket whose receiver is full takes
 * datagrams again when it has read some, and a burst is larger than what it
 * has place for.  So those wait, in order, and everything behind them too.
 * UDP has its queue in the kernel, where it is as long as SO_SNDBUF says.
 */
#include "switch/dgram.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

/* ---- in ---- */

int
dgram_read(struct dgram_in *in, int fd)
{
	int n;

	for (unsigned int i = 0; i < BURST_MAX; i++) {
		in->iov[i].iov_base = in->pool[i];
		in->iov[i].iov_len = sizeof(in->pool[i]);
		in->msg[i].msg_hdr = (struct msghdr){
			.msg_name = &in->from[i],
			.msg_namelen = sizeof(in->from[i]),
			.msg_iov = &in->iov[i],
			.msg_iovlen = 1,
		};
	}
	in->n = 0;
	do
		n = recvmmsg(fd, in->msg, BURST_MAX, MSG_DONTWAIT, NULL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	in->n = (unsigned int)n;
	return n;
}

enum reason
dgram_frame(const struct dgram_in *in, unsigned int i, size_t head_bytes,
    struct frame *frame)
{
	const struct mmsghdr *msg = &in->msg[i];
	size_t len = msg->msg_len;

	*frame = (struct frame){ .data = in->pool[i] };
	if (len < head_bytes) {
		frame->len = frame->head = (uint32_t)len;
		return DROP_SHORT;
	}
	frame->data += head_bytes;
	frame->len = frame->head = (uint32_t)(len - head_bytes);
	if (msg->msg_hdr.msg_flags & MSG_TRUNC ||
	    frame->len > DGRAM_FRAME_BYTES)
		return DROP_TOO_LONG;
	return DROP_NONE;
}

void
dgram_deliver(struct dgram_in *in, struct port *port)
{
	struct burst good, bad;

	burst_clear(&good);
	burst_clear(&bad);
	for (unsigned int i = 0; i < in->n; i++) {
		struct frame frame;
		struct burst *to =
		    dgram_frame(in, i, 0, &frame) == DROP_NONE ? &good : &bad;

		to->frame[to->n++] = frame;
	}
	if (bad.n > 0)
		port_refuse(port, &bad, DROP_TOO_LONG);
	if (good.n > 0)
		port_send(port, &good);
}

/* ---- out ---- */

static enum reason
reason_of(int error)
{
	switch (error) {
	case EAGAIN:
	case ENOBUFS:
	case ENOMEM: return DROP_PORT_FULL;
	case EMSGSIZE: return DROP_TOO_LONG;
	case ECONNREFUSED:
	case ECONNRESET:
	case ENOTCONN:
	case EDESTADDRREQ:
	case ENOENT: return DROP_NOT_READY;
	default: return DROP_IO;
	}
}

static void
settle(enum reason *result, enum reason reason)
{
	if (*result != REASON_DELIVERED)
		*result = reason;
}

/* From the present one on, all wait, as far as there is room. */
static void
wait_from(struct dgram_out *out, unsigned int i)
{
	for (; i < out->n; i++) {
		bool waits = out->backlog.size > 0 &&
		    backlog_add(&out->backlog, out->head[i],
			out->iov[i][0].iov_len, out->frame[i], 0);

		settle(
		    out->result[i], waits ? REASON_DELIVERED : DROP_PORT_FULL);
	}
	if (out->backlog.n > 0 && out->watch != NULL)
		loop_watch_events(out->watch, LOOP_WRITE);
}

static void
refuse_from(struct dgram_out *out, unsigned int i, enum reason reason)
{
	for (; i < out->n; i++)
		settle(out->result[i], reason);
}

/* Sends what is staged from i on.  Returns how many the kernel took before the
 * one of which errno tells. */
static unsigned int
send_some(const struct dgram_out *out, unsigned int i)
{
	int n;

	do
		n = sendmmsg(out->fd, (struct mmsghdr *)&out->msg[i],
		    out->n - i, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	return n > 0 ? (unsigned int)n : 0;
}

static void
send_staged(struct dgram_out *out)
{
	bool told = false; /* that an earlier one was refused at the far end */
	unsigned int i = 0;

	out->refused = false;
	while (i < out->n) {
		unsigned int n = send_some(out, i);
		enum reason reason;

		for (unsigned int k = 0; k < n; k++)
			settle(out->result[i + k], REASON_DELIVERED);
		i += n;
		if (n > 0)
			continue;
		reason = reason_of(errno);
		if (reason == DROP_NOT_READY && !told) {
			told = true;
			continue;
		}
		if (reason == DROP_PORT_FULL) {
			wait_from(out, i);
			return;
		}
		if (reason == DROP_NOT_READY) {
			out->refused = true;
			refuse_from(out, i, reason);
			return;
		}
		settle(out->result[i++], reason);
	}
}

void
dgram_flush(struct dgram_out *out)
{
	if (out->n == 0)
		return;
	if (out->fd < 0)
		refuse_from(out, 0, DROP_NOT_READY);
	else if (out->backlog.n > 0)
		wait_from(out, 0);
	else
		send_staged(out);
	out->n = 0;
}

void
dgram_add(struct dgram_out *out, const struct sockaddr *to, socklen_t len,
    const void *head, size_t head_bytes, const struct frame *frame,
    enum reason *result)
{
	struct iovec *iov = out->iov[out->n];
	bool join = frame->ntail > DGRAM_PIECES_MAX - 1;
	unsigned int pieces = 1;

	assert(head_bytes <= DGRAM_HEAD_BYTES);
	assert(frame->len <= DGRAM_FRAME_BYTES);
	if (head_bytes > 0)
		memcpy(out->head[out->n], head, head_bytes);
	iov[0] = (struct iovec){ out->head[out->n], head_bytes };
	if (join) {
		frame_copy(out->joined, frame, 0, frame->len);
		iov[pieces++] = (struct iovec){ out->joined, frame->len };
	} else {
		iov[pieces++] = (struct iovec){ (void *)(uintptr_t)frame->data,
			frame->head };
		if (frame->ntail > 0)
			memcpy(&iov[pieces], frame->tail,
			    frame->ntail * sizeof(iov[0]));
		pieces += frame->ntail;
	}
	out->msg[out->n].msg_hdr = (struct msghdr){
		.msg_name = (void *)(uintptr_t)to,
		.msg_namelen = len,
		.msg_iov = iov,
		.msg_iovlen = pieces,
	};
	out->frame[out->n] = frame;
	out->result[out->n] = result;
	out->n++;
	if (join || out->n == BURST_MAX)
		dgram_flush(out);
}

void
dgram_send(struct dgram_out *out, struct node *node, struct burst *burst)
{
	enum reason result[BURST_MAX] = { DROP_NONE };

	for (unsigned int i = 0; i < burst->n; i++)
		dgram_add(out, NULL, 0, NULL, 0, &burst->frame[i], &result[i]);
	dgram_flush(out);
	for (unsigned int i = 0; i < burst->n; i++)
		node_judge(node, &burst->frame[i], result[i]);
}

/* ---- what waits ---- */

/* The first that waits was refused. */
static void
lose_after(struct dgram_out *out, int error)
{
	enum reason reason = reason_of(error);

	if (error == EINTR || reason == DROP_PORT_FULL)
		return;
	if (reason == DROP_NOT_READY) { /* there is nobody any more */
		out->refused = true;
		out->lost += out->backlog.n;
		backlog_clear(&out->backlog);
	} else {
		out->lost++;
		backlog_pop(&out->backlog, 1);
	}
}

static void
writable(void *arg, unsigned int events)
{
	struct dgram_out *out = arg;
	struct mmsghdr msg[BURST_MAX] = { 0 };
	struct iovec iov[BURST_MAX];
	unsigned int n = backlog_peek(&out->backlog, iov, BURST_MAX);
	int sent;

	(void)events;
	for (unsigned int i = 0; i < n; i++) {
		msg[i].msg_hdr.msg_iov = &iov[i];
		msg[i].msg_hdr.msg_iovlen = 1;
	}
	sent =
	    n > 0 ? sendmmsg(out->fd, msg, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
	if (sent > 0)
		backlog_pop(&out->backlog, (unsigned int)sent);
	else if (sent < 0)
		lose_after(out, errno);
	if (out->backlog.n == 0)
		loop_watch_events(out->watch, 0);
}

int
dgram_out_init(struct dgram_out *out, struct loop *loop, bool waits)
{
	out->loop = loop;
	out->fd = -1;
	return waits ? backlog_init(&out->backlog, DGRAM_BACKLOG_BYTES) : 0;
}

bool
dgram_set_fd(struct dgram_out *out, int fd)
{
	loop_watch_free(out->watch);
	out->watch = NULL;
	out->fd = -1;
	out->refused = false;
	out->lost += out->backlog.n;
	backlog_clear(&out->backlog);
	if (fd >= 0 && out->backlog.size > 0) {
		out->watch =
		    loop_watch_new(out->loop, fd, 0, writable, out, NULL);
		if (out->watch == NULL)
			return false;
	}
	out->fd = fd;
	return true;
}

void
dgram_out_free(struct dgram_out *out)
{
	loop_watch_free(out->watch);
	out->watch = NULL;
	backlog_free(&out->backlog);
}
