/*
 * Queues of a vhost-user port: from kick to call.
 *
 * A queue runs when it was started (SET_VRING_KICK; the protocol wants us to
 * wait for the first kick, but front ends have set everything up by then and
 * some never kick a receive ring), its rings lie in memory, and no index in
 * them was impossible.  It also has to be enabled for frames to pass; a
 * transmit ring that is not is emptied all the same.
 *
 * While a transmit ring is being emptied its kicks are off.  A turn takes about
 * FRAMES_PER_TURN frames; what is left waits for the deferred calls, so that
 * one busy guest does not keep the others waiting.  Receive rings never want
 * kicks: a frame for which there is no buffer is refused, not kept.
 *
 * A guest that wants calls gets one for each burst, so that it wakes while the
 * rest is copied; one that is awake wants none.  Rejected: one call a round, for
 * which a guest and the fabric waited in turns, however few calls it made.
 *
 * An empty ring is looked at for a while before its kicks are on again
 * (patience.h).
 *
 * A front end that gives no kick descriptor is polled, which keeps the loop
 * from sleeping; a turn then looks several times at a ring that is empty, since
 * a round of the loop costs more than a look.
 */
#include "switch/vhost_port.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <unistd.h>

#define FRAMES_PER_TURN 512 /* about 20 us */
#define LOOKS_PER_TURN  32  /* at an empty ring that is polled */

static_assert(VHOST_QUEUES_MAX <= 32, "dirty has a bit for each queue");

static bool
has(const struct vhost_port *vp, unsigned int feature)
{
	return vp->features >> feature & 1;
}

static bool
transmits(const struct vhost_queue *q)
{
	return q->index & 1;
}

static bool
runs(const struct vhost_queue *q)
{
	return q->started && q->vring.desc != NULL && !q->vring.broken;
}

static bool
enabled(const struct vhost_queue *q)
{
	return q->enable_said || !has(q->vp, VHOST_F_PROTOCOL_FEATURES);
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* ---- notifications ---- */

/* An eventfd's counter that is full has been signalled already. */
static void
signal_fd(int fd)
{
	const uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

/* Publishes what a ring has used, and tells the guest if it wants to know. */
static void
publish_queue(struct vhost_queue *q)
{
	vring_publish(&q->vring);
	if (vring_wants_call(&q->vring) && q->call_fd >= 0) {
		q->vp->stats.calls++;
		signal_fd(q->call_fd);
	}
}

void
vhost_publish(struct vhost_port *vp)
{
	while (vp->dirty != 0) {
		struct vhost_queue *q = &vp->queue[__builtin_ctz(vp->dirty)];

		vp->dirty &= vp->dirty - 1;
		if (runs(q))
			publish_queue(q);
	}
}

/* The end of a round. */
void
vhost_flush(void *arg)
{
	struct vhost_port *vp = arg;

	vhost_publish(vp);
	if (guest_mem_torn(&vp->mem))
		vhost_refuse(vp, VHOST_BAD_MEMORY, "its memory was cut short");
}

static void
touched(struct vhost_queue *q)
{
	q->vp->dirty |= 1u << q->index;
	loop_defer_again(&q->vp->flush);
}

/* ---- queues ---- */

void
vhost_find_receivers(struct vhost_port *vp)
{
	bool sends = false;

	vp->nreceivers = 0;
	for (unsigned int i = 0; i < VHOST_QUEUES_MAX; i++) {
		struct vhost_queue *q = &vp->queue[i];

		if (!runs(q) || !enabled(q))
			continue;
		if (transmits(q))
			sends = true;
		else
			vp->receiver[vp->nreceivers++] = q;
	}
	vp->stats.ready = sends && vp->nreceivers > 0;
	/* What is refused anyway need not be finished first. */
	vp->port.accepts =
	    vp->nreceivers > 0 ? vp->rules.receives & FRAME_TODO : FRAME_TODO;
}

/* The guest's index is impossible: nothing more can be read from the ring. */
static void
queue_broke(struct vhost_queue *q)
{
	q->vp->stats.broken_rings++;
	VHOST_COMPLAIN(
	    q->vp, "queue %u stopped: its available index ran ahead", q->index);
	loop_watch_free(q->kick);
	q->kick = NULL;
	signal_fd(q->err_fd);
	vhost_find_receivers(q->vp);
}

bool
vhost_queue_map(struct vhost_queue *q)
{
	q->vring.event_idx = has(q->vp, VRING_F_EVENT_IDX);
	q->vring.indirect = has(q->vp, VRING_F_INDIRECT_DESC);
	return vring_map(&q->vring);
}

void
vhost_queue_stop(struct vhost_queue *q)
{
	if (q->started)
		q->base = q->vring.next;
	loop_defer_cancel(&q->turn);
	loop_watch_free(q->kick);
	q->kick = NULL;
	q->started = q->polled = false;
	close_fd(&q->kick_fd);
	vring_unmap(&q->vring);
	vhost_find_receivers(q->vp);
}

void
vhost_queue_reset(struct vhost_queue *q)
{
	vhost_queue_stop(q);
	close_fd(&q->call_fd);
	close_fd(&q->err_fd);
	vring_init(&q->vring, &q->vp->mem);
	q->base = 0;
	q->patience.ns = 0;
	q->enable_said = false;
}

void
vhost_queue_set_call(struct vhost_queue *q, int fd)
{
	close_fd(&q->call_fd);
	q->call_fd = fd;
	/* Calls may have been lost between the old and the new one. */
	if (q->started)
		signal_fd(fd);
}

void
vhost_queue_set_err(struct vhost_queue *q, int fd)
{
	close_fd(&q->err_fd);
	q->err_fd = fd;
}

/* One burst of a transmit queue.  Chains taken; -1: the ring is broken. */
static int
send_burst(struct vhost_queue *q)
{
	struct vhost_port *vp = q->vp;
	struct node *node = vp->port.node;
	struct burst burst;
	int n =
	    vhost_net_fetch(&q->vring, &vp->rules, &vp->gather, &burst, node);

	if (n <= 0)
		return n;
	if (enabled(q))
		port_send(&vp->port, &burst);
	else
		node->count[DROP_NOT_READY] += burst.n;
	vhost_net_return(&q->vring, &vp->gather);
	touched(q);
	return n;
}

/* Is an empty ring to be looked at again, rather than slept over? */
static bool
lingers(struct vhost_queue *q)
{
	return q->polled ||
	    patience_lasts(&q->patience, loop_now_ns(q->vp->loop));
}

/* A transmit queue's turn. */
static void
turn(void *arg)
{
	struct vhost_queue *q = arg;
	unsigned int frames = 0, looks = 0;
	int n;

	if (!runs(q))
		return;
	vring_kicks_off(&q->vring);
	do {
		n = send_burst(q);
		if (n > 0)
			frames += (unsigned int)n;
		else if (n == 0)
			looks++;
	} while (n >= 0 && frames < FRAMES_PER_TURN &&
	    looks < (lingers(q) ? LOOKS_PER_TURN : 1));
	if (frames > 0)
		q->patience.last_ns = loop_now_ns(q->vp->loop);
	if (n < 0) {
		q->vp->port.node->count[DROP_RING_INDEX]++;
		queue_broke(q);
	} else if (n > 0 || lingers(q) || vring_kicks_on(&q->vring)) {
		loop_defer_again(&q->turn);
	}
	if (guest_mem_torn(&q->vp->mem))
		loop_defer_ask(&q->vp->flush);
}

static void
kicked(void *arg, unsigned int events)
{
	struct vhost_queue *q = arg;
	uint64_t count;
	ssize_t n = read(q->kick_fd, &count, sizeof(count));

	(void)events;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		vhost_refuse(
		    q->vp, VHOST_BAD_KICK, "its kick descriptor ended");
		return;
	}
	q->vp->stats.kicks++;
	patience_kicked(&q->patience, loop_now_ns(q->vp->loop));
	turn(q);
}

void
vhost_queue_init(
    struct vhost_queue *q, struct vhost_port *vp, unsigned int index)
{
	q->vp = vp;
	q->index = index;
	q->kick_fd = q->call_fd = q->err_fd = -1;
	vring_init(&q->vring, &vp->mem);
	loop_defer_init(&q->turn, vp->loop, turn, q);
}

static enum vhost_refusal
queue_watch(struct vhost_queue *q)
{
	if (q->kick_fd < 0) {
		q->polled = true;
		return VHOST_OK;
	}
	q->kick =
	    loop_watch_new(q->vp->loop, q->kick_fd, LOOP_READ, kicked, q, NULL);
	return q->kick != NULL ? VHOST_OK : VHOST_BAD_KICK;
}

enum vhost_refusal
vhost_queue_start(struct vhost_queue *q, int fd)
{
	enum vhost_refusal refusal = VHOST_BAD_RING_MEMORY;

	vhost_queue_stop(q);
	q->kick_fd = fd;
	if (!vhost_queue_map(q))
		goto fail;
	vring_start(&q->vring, q->base);
	if (transmits(q)) {
		refusal = queue_watch(q);
		if (refusal != VHOST_OK)
			goto fail;
		loop_defer_ask(&q->turn); /* there may be frames already */
	} else {
		vring_kicks_off(&q->vring);
	}
	q->started = true;
	vhost_find_receivers(q->vp);
	return VHOST_OK;
fail:
	vhost_queue_stop(q);
	return refusal;
}

void
vhost_map_queues(struct vhost_port *vp)
{
	for (unsigned int i = 0; i < VHOST_QUEUES_MAX; i++) {
		struct vhost_queue *q = &vp->queue[i];

		if (q->started && !vhost_queue_map(q))
			VHOST_COMPLAIN(
			    vp, "queue %u is not in its memory any more", i);
	}
	vhost_find_receivers(vp);
}

/* ---- frames to the guest ---- */

/* Which of several receive queues: all frames of a flow by the same. */
static struct vhost_queue *
pick_receiver(const struct vhost_port *vp, const struct frame *frame)
{
	uint64_t hash = 0;
	unsigned int n = frame->head < 38 ? frame->head : 38;

	/* Ethernet addresses, IP addresses and ports of untagged IPv4 */
	for (unsigned int i = 0; i < n; i++)
		if (i < 14 || i >= 26)
			hash =
			    (hash ^ frame->data[i]) * UINT64_C(0x100000001b3);
	/* Ports of streams side by side differ in the last byte, which has not
	 * come far yet. */
	hash *= UINT64_C(0x9e3779b97f4a7c15);
	return vp->receiver[(hash >> 32) % vp->nreceivers];
}

/* Frames were put into a receive queue. */
static void
received(struct vhost_queue *q)
{
	if (q->vring.broken)
		queue_broke(q);
	else
		touched(q);
}

/* One frame at a time, by several queues. */
static void
take_apart(struct vhost_port *vp, struct burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];
		struct vhost_queue *q;

		if (vp->nreceivers == 0) {
			node_judge(vp->port.node, frame, DROP_NOT_READY);
			continue;
		}
		q = pick_receiver(vp, frame);
		node_judge(vp->port.node, frame,
		    vhost_net_put(&q->vring, &vp->rules, &vp->scatter, frame));
		received(q);
	}
	for (unsigned int i = 0; i < vp->nreceivers; i++)
		publish_queue(vp->receiver[i]);
}

void
vhost_take(struct port *port, struct burst *burst)
{
	struct vhost_port *vp = vhost_port(port);

	if (vp->nreceivers == 0) {
		node_judge_all(port->node, burst, DROP_NOT_READY);
	} else if (vp->nreceivers == 1) {
		vhost_net_deliver(&vp->receiver[0]->vring, &vp->rules,
		    &vp->scatter, burst, port->node);
		received(vp->receiver[0]);
		if (vp->nreceivers == 1)
			publish_queue(vp->receiver[0]);
	} else {
		take_apart(vp, burst);
	}
}
