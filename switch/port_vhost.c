/*
 * The vhost-user back end: one listening socket, one front end, its memory and
 * its rings.
 *
 *     front end --messages--> handle()     sets memory, rings, features
 *     kick fd   --readable--> kicked()     transmit ring -> port_send()
 *     port_send() of others -> take()      -> receive ring
 *     end of the round      -> flush()     publishes, calls the guest
 *
 * A queue runs when it was started (SET_VRING_KICK; the protocol wants us to
 * wait for the first kick, but front ends have set everything up by then and
 * some never kick a receive ring), its rings lie in memory, and no index in
 * them was impossible.  It also has to be enabled for frames to pass; a
 * transmit ring that is not is emptied all the same.
 *
 * Notifications.  While a transmit ring is being emptied its kicks are off.  A
 * turn takes about FRAMES_PER_TURN frames; what is left waits for the deferred
 * calls, so that one busy guest does not keep the others waiting.  Receive
 * rings never want kicks: a frame for which there is no buffer is refused, not
 * kept.  A guest that wants calls gets one at the first frames of a round, so
 * that it wakes while the rest are copied, and one at its end.  A front end
 * that gives no kick descriptor is polled, which keeps the loop from sleeping;
 * a turn then looks several times at a ring that is empty, since a round of the
 * loop costs as much as twenty frames.  Rejected: to go on looking for a while
 * before each sleep, which would take the processor from the guests.
 *
 * What a front end can still do to us: take O_NONBLOCK off its call descriptor
 * and fill that, so that our write() waits.  Only somebody who runs as us can,
 * by the socket's mode.
 *
 * Not offered: packed rings, dirty logs (live migration), IOMMU, the channel
 * back to the front end, configuration space (the front end's affair).
 */
#include "switch/port_vhost.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/virtio_net.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "net/eth.h"
#include "switch/unix_listen.h"
#include "switch/vhost_net.h"
#include "switch/vring.h"

#define QUEUES_MAX        (2 * VHOST_PAIRS_MAX)
#define FRAMES_PER_TURN   512 /* about 20 us */
#define LOOKS_PER_TURN    32  /* at an empty ring that is polled */
#define MESSAGES_PER_TURN 32
#define COMPLAINTS_EVERY  (1 * NS_PER_S)
#define MTU_MIN           68
#define MTU_MAX           65535
#define TAGS_BYTES        (2 * ETH_VLAN_BYTES) /* on top of an MTU */
#define BIT(n)            (UINT64_C(1) << (n))

#define FEATURES                                                         \
	(BIT(VIRTIO_NET_F_CSUM) | BIT(VIRTIO_NET_F_GUEST_CSUM) |         \
	    BIT(VIRTIO_NET_F_MTU) | BIT(VIRTIO_NET_F_GUEST_TSO4) |       \
	    BIT(VIRTIO_NET_F_GUEST_TSO6) | BIT(VIRTIO_NET_F_HOST_TSO4) | \
	    BIT(VIRTIO_NET_F_HOST_TSO6) | BIT(VIRTIO_NET_F_MRG_RXBUF) |  \
	    BIT(VIRTIO_NET_F_GUEST_ANNOUNCE) | BIT(VIRTIO_NET_F_MQ) |    \
	    BIT(VIRTIO_F_ANY_LAYOUT) | BIT(VRING_F_INDIRECT_DESC) |      \
	    BIT(VRING_F_EVENT_IDX) | BIT(VHOST_F_PROTOCOL_FEATURES) |    \
	    BIT(VIRTIO_F_VERSION_1))

#define PROTOCOL_FEATURES                                         \
	(BIT(VHOST_PROTOCOL_MQ) | BIT(VHOST_PROTOCOL_REPLY_ACK) | \
	    BIT(VHOST_PROTOCOL_MTU) | BIT(VHOST_PROTOCOL_MEM_SLOTS))

struct vhost_port;

/* Even ones are the guest's receive queues, odd ones its transmit queues. */
struct queue {
	struct vhost_port *vp;
	struct vring vring;
	unsigned int index;
	uint16_t base;    /* where to begin */
	bool started;     /* from SET_VRING_KICK to GET_VRING_BASE */
	bool enable_said; /* by SET_VRING_ENABLE */
	bool polled;
	bool called;                  /* in this round */
	int kick_fd, call_fd, err_fd; /* -1: none */
	struct loop_watch *kick;
	struct loop_defer turn;
};

struct vhost_port {
	struct port port;
	struct loop *loop;
	struct unix_listener listener;
	struct loop_watch *listen_watch;
	int fd; /* the front end's socket, -1: none */
	pid_t pid;
	struct loop_watch *watch;
	struct vhost_reader reader;
	uint64_t features, protocol;
	struct guest_mem mem;
	struct vhost_rules rules;
	struct queue queue[QUEUES_MAX];
	struct queue *receiver[VHOST_PAIRS_MAX]; /* that run and are enabled */
	unsigned int nreceivers;
	uint32_t dirty; /* queues to publish or call for, by index */
	struct loop_defer flush;
	uint64_t complained_ns; /* time of the last complaint, 0: never */
	uint64_t unsaid;        /* complaints since */
	struct vhost_stats stats;
	enum vhost_refusal last_refusal;
	struct vhost_scatter scatter;
	struct vhost_gather gather;
};

static_assert(QUEUES_MAX <= 32, "dirty has a bit for each queue");

static struct vhost_port *
vhost_port(struct port *port)
{
	return (struct vhost_port *)port; /* its first member */
}

static bool
transmits(const struct queue *q)
{
	return q->index & 1;
}

static bool
runs(const struct queue *q)
{
	return q->started && q->vring.desc != NULL && !q->vring.broken;
}

static bool
enabled(const struct queue *q)
{
	return q->enable_said ||
	    !(q->vp->features & BIT(VHOST_F_PROTOCOL_FEATURES));
}

static void
close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Says something about the front end, at a rate for people. */
static void complain(struct vhost_port *vp, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
complain(struct vhost_port *vp, const char *format, ...)
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

/* ---- notifications ---- */

/* An eventfd's counter that is full has been signalled already. */
static void
signal_fd(int fd)
{
	const uint64_t one = 1;

	if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
		return;
}

static void disconnect(struct vhost_port *vp);

static void
refuse(struct vhost_port *vp, enum vhost_refusal refusal, const char *what)
{
	vp->stats.refused[refusal]++;
	vp->last_refusal = refusal;
	complain(vp, "front end %d dropped: %s: %s", (int)vp->pid, what,
	    vhost_refusal_name(refusal));
	disconnect(vp);
}

/* Publishes what a ring has used, and tells the guest if it wants to know. */
static void
publish_queue(struct queue *q)
{
	vring_publish(&q->vring);
	if (vring_wants_call(&q->vring) && q->call_fd >= 0) {
		q->vp->stats.calls++;
		signal_fd(q->call_fd);
	}
}

static void
publish(struct vhost_port *vp)
{
	while (vp->dirty != 0) {
		struct queue *q = &vp->queue[__builtin_ctz(vp->dirty)];

		vp->dirty &= vp->dirty - 1;
		q->called = false;
		if (runs(q))
			publish_queue(q);
	}
}

/* The end of a round. */
static void
flush(void *arg)
{
	struct vhost_port *vp = arg;

	publish(vp);
	if (guest_mem_torn(&vp->mem))
		refuse(vp, VHOST_BAD_MEMORY, "its memory was cut short");
}

static void
touched(struct queue *q)
{
	q->vp->dirty |= 1u << q->index;
	loop_defer_ask(&q->vp->flush);
}

/* ---- queues ---- */

/* Which receive queues take frames. */
static void
find_receivers(struct vhost_port *vp)
{
	bool sends = false;

	vp->nreceivers = 0;
	for (unsigned int i = 0; i < QUEUES_MAX; i++) {
		struct queue *q = &vp->queue[i];

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
queue_broke(struct queue *q)
{
	q->vp->stats.broken_rings++;
	complain(
	    q->vp, "queue %u stopped: its available index ran ahead", q->index);
	loop_watch_free(q->kick);
	q->kick = NULL;
	signal_fd(q->err_fd);
	find_receivers(q->vp);
}

/* Puts the rings where the front end says.  False: they are not in memory. */
static bool
queue_map(struct queue *q)
{
	const uint64_t features = q->vp->features;

	q->vring.event_idx = features & BIT(VRING_F_EVENT_IDX);
	q->vring.indirect = features & BIT(VRING_F_INDIRECT_DESC);
	return vring_map(&q->vring);
}

/* Remembers where it stands, and lets go of the rest. */
static void
queue_stop(struct queue *q)
{
	if (q->started)
		q->base = q->vring.next;
	loop_defer_cancel(&q->turn);
	loop_watch_free(q->kick);
	q->kick = NULL;
	q->started = q->polled = false;
	close_fd(&q->kick_fd);
	vring_unmap(&q->vring);
	find_receivers(q->vp);
}

/* As if it were new; the rings' addresses too. */
static void
queue_reset(struct queue *q)
{
	queue_stop(q);
	close_fd(&q->call_fd);
	close_fd(&q->err_fd);
	vring_init(&q->vring, &q->vp->mem);
	q->base = 0;
	q->enable_said = false;
}

/* One burst of a transmit queue.  Chains taken; -1: the ring is broken. */
static int
send_burst(struct queue *q)
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

/* A transmit queue's turn. */
static void
turn(void *arg)
{
	struct queue *q = arg;
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
	    looks < (q->polled ? LOOKS_PER_TURN : 1));
	if (n < 0) {
		q->vp->port.node->count[DROP_RING_INDEX]++;
		queue_broke(q);
	} else if (n > 0 || q->polled || vring_kicks_on(&q->vring)) {
		loop_defer_ask(&q->turn);
	}
	if (guest_mem_torn(&q->vp->mem))
		loop_defer_ask(&q->vp->flush);
}

static void
kicked(void *arg, unsigned int events)
{
	struct queue *q = arg;
	uint64_t count;
	ssize_t n = read(q->kick_fd, &count, sizeof(count));

	(void)events;
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		refuse(q->vp, VHOST_BAD_KICK, "its kick descriptor ended");
		return;
	}
	q->vp->stats.kicks++;
	turn(q);
}

static enum vhost_refusal
queue_watch(struct queue *q)
{
	if (q->kick_fd < 0) {
		q->polled = true;
		return VHOST_OK;
	}
	q->kick =
	    loop_watch_new(q->vp->loop, q->kick_fd, LOOP_READ, kicked, q, NULL);
	return q->kick != NULL ? VHOST_OK : VHOST_BAD_KICK;
}

/* Begins to use a queue.  Takes fd; -1: it is to be polled. */
static enum vhost_refusal
queue_start(struct queue *q, int fd)
{
	enum vhost_refusal refusal = VHOST_BAD_RING_MEMORY;

	queue_stop(q);
	q->kick_fd = fd;
	if (!queue_map(q))
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
	find_receivers(q->vp);
	return VHOST_OK;
fail:
	queue_stop(q);
	return refusal;
}

/* Memory or features changed under the queues that run. */
static void
map_again(struct vhost_port *vp)
{
	for (unsigned int i = 0; i < QUEUES_MAX; i++) {
		struct queue *q = &vp->queue[i];

		if (q->started && !queue_map(q))
			complain(
			    vp, "queue %u is not in its memory any more", i);
	}
	find_receivers(vp);
}

/* ---- frames to the guest ---- */

/* Which of several receive queues: all frames of a flow by the same. */
static struct queue *
pick_receiver(const struct vhost_port *vp, const struct frame *frame)
{
	uint64_t hash = 0;
	unsigned int n = frame->head < 38 ? frame->head : 38;

	/* Ethernet addresses, IP addresses and ports of untagged IPv4 */
	for (unsigned int i = 0; i < n; i++)
		if (i < 14 || i >= 26)
			hash =
			    (hash ^ frame->data[i]) * UINT64_C(0x100000001b3);
	return vp->receiver[(hash >> 32) % vp->nreceivers];
}

/* Frames were put into a receive queue.  The first of a round are announced at
 * once, so that the guest wakes while the rest are on their way. */
static void
received(struct queue *q)
{
	if (q->vring.broken) {
		queue_broke(q);
		return;
	}
	if (!q->called) {
		q->called = true;
		publish_queue(q);
	}
	touched(q);
}

/* One frame at a time, by several queues. */
static void
take_apart(struct vhost_port *vp, struct burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++) {
		struct frame *frame = &burst->frame[i];
		struct queue *q;

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
		vring_publish(&vp->receiver[i]->vring);
}

static void
take(struct port *port, struct burst *burst)
{
	struct vhost_port *vp = vhost_port(port);

	if (vp->nreceivers == 0) {
		node_judge_all(port->node, burst, DROP_NOT_READY);
	} else if (vp->nreceivers == 1) {
		vhost_net_deliver(&vp->receiver[0]->vring, &vp->rules,
		    &vp->scatter, burst, port->node);
		received(vp->receiver[0]);
	} else {
		take_apart(vp, burst);
	}
}

/* ---- messages ---- */

static void
set_features(struct vhost_port *vp, uint64_t features)
{
	vp->features = features;
	vp->rules = vhost_rules_of(features);
	map_again(vp);
}

static enum vhost_refusal
add_region(struct vhost_port *vp, struct vhost_msg *msg, unsigned int i)
{
	const struct vhost_region *r = &msg->memory.region[i];
	struct err err = { "" };
	int code = guest_mem_add(
	    &vp->mem, msg->fd[i], r->guest, r->user, r->bytes, r->offset, &err);

	if (code == 0)
		return VHOST_OK;
	complain(vp, "%s", err.text);
	return code == -EINVAL || code == -EEXIST || code == -ENOSPC
	    ? VHOST_BAD_REGION
	    : VHOST_BAD_MEMORY;
}

static enum vhost_refusal
set_mem_table(struct vhost_port *vp, struct vhost_msg *msg)
{
	enum vhost_refusal refusal = VHOST_OK;

	guest_mem_clear(&vp->mem);
	for (unsigned int i = 0; i < msg->memory.n && refusal == VHOST_OK; i++)
		refusal = add_region(vp, msg, i);
	if (refusal != VHOST_OK)
		guest_mem_clear(&vp->mem);
	map_again(vp);
	return refusal;
}

static enum vhost_refusal
change_mem_slot(struct vhost_port *vp, struct vhost_msg *msg)
{
	const struct vhost_region *r = &msg->memory.region[0];
	enum vhost_refusal refusal;

	if (!(vp->protocol & BIT(VHOST_PROTOCOL_MEM_SLOTS)))
		return VHOST_BAD_REQUEST;
	if (msg->request == VHOST_ADD_MEM_REG)
		refusal = add_region(vp, msg, 0);
	else
		refusal =
		    guest_mem_remove(&vp->mem, r->guest, r->user, r->bytes) < 0
		    ? VHOST_BAD_REGION
		    : VHOST_OK;
	map_again(vp);
	return refusal;
}

/* A file is nothing to notify by. */
static bool
has_file(const struct vhost_msg *msg)
{
	struct stat st;

	return msg->nfds > 0 &&
	    (fstat(msg->fd[0], &st) < 0 || S_ISREG(st.st_mode));
}

/* Takes the descriptor of a message about a ring; -1 if there is none. */
static int
take_fd(struct vhost_msg *msg)
{
	int fd = msg->nfds > 0 ? msg->fd[0] : -1, flags;

	if (fd < 0)
		return -1;
	msg->fd[0] = -1;
	flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		(void)fcntl(fd, F_SETFL, flags | O_NONBLOCK);
	return fd;
}

/* SET_VRING_KICK, _CALL and _ERR. */
static enum vhost_refusal
set_ring_fd(struct vhost_port *vp, struct vhost_msg *msg)
{
	uint64_t index = msg->u64 & VHOST_RING_MASK;
	struct queue *q;

	if (msg->u64 & ~(uint64_t)(VHOST_RING_MASK | VHOST_NO_FD))
		return VHOST_BAD_VALUE;
	if (index >= QUEUES_MAX)
		return VHOST_BAD_RING;
	if (has_file(msg))
		return VHOST_BAD_FDS;
	q = &vp->queue[index];
	if (msg->request == VHOST_SET_VRING_KICK)
		return queue_start(q, take_fd(msg));
	if (msg->request == VHOST_SET_VRING_ERR) {
		close_fd(&q->err_fd);
		q->err_fd = take_fd(msg);
		return VHOST_OK;
	}
	close_fd(&q->call_fd);
	q->call_fd = take_fd(msg);
	/* Calls may have been lost between the old and the new one. */
	if (q->started)
		signal_fd(q->call_fd);
	return VHOST_OK;
}

/* SET_VRING_NUM, _BASE, _ENABLE and GET_VRING_BASE. */
static enum vhost_refusal
ring_state(
    struct vhost_port *vp, const struct vhost_msg *msg, struct vhost_msg *reply)
{
	uint32_t num = msg->state.num;
	struct queue *q;

	if (msg->state.ring >= QUEUES_MAX)
		return VHOST_BAD_RING;
	q = &vp->queue[msg->state.ring];
	if (msg->request == VHOST_SET_VRING_NUM) {
		if (num == 0 || num > VRING_SIZE_MAX || (num & (num - 1)) != 0)
			return VHOST_BAD_RING;
		queue_stop(q);
		q->vring.size = num;
	} else if (msg->request == VHOST_SET_VRING_BASE) {
		if (num > UINT16_MAX)
			return VHOST_BAD_VALUE;
		queue_stop(q);
		q->base = (uint16_t)num;
	} else if (msg->request == VHOST_SET_VRING_ENABLE) {
		if (num > 1)
			return VHOST_BAD_VALUE;
		q->enable_said = num;
		find_receivers(vp);
	} else {
		publish(vp);
		queue_stop(q);
		reply->state.ring = q->index;
		reply->state.num = q->base;
	}
	return VHOST_OK;
}

static enum vhost_refusal
set_ring_addr(struct vhost_port *vp, const struct vhost_ring_addr *addr)
{
	struct queue *q;

	if (addr->ring >= QUEUES_MAX)
		return VHOST_BAD_RING;
	if (addr->flags != 0) /* a dirty log, which was not offered */
		return VHOST_BAD_VALUE;
	q = &vp->queue[addr->ring];
	q->vring.desc_user = addr->desc;
	q->vring.avail_user = addr->avail;
	q->vring.used_user = addr->used;
	if (q->started && !queue_map(q))
		return VHOST_BAD_RING_MEMORY;
	return VHOST_OK;
}

static enum vhost_refusal
set_mtu(struct vhost_port *vp, uint64_t mtu)
{
	if (!(vp->protocol & BIT(VHOST_PROTOCOL_MTU)))
		return VHOST_BAD_REQUEST;
	if (mtu < MTU_MIN || mtu > MTU_MAX)
		return VHOST_BAD_VALUE;
	vp->port.mtu_bytes = (uint32_t)mtu + ETH_HEADER_BYTES + TAGS_BYTES;
	return VHOST_OK;
}

static enum vhost_refusal
handle(struct vhost_port *vp, struct vhost_msg *msg, struct vhost_msg *reply)
{
	switch ((enum vhost_request)msg->request) {
	case VHOST_GET_FEATURES: reply->u64 = FEATURES; return VHOST_OK;
	case VHOST_SET_FEATURES:
		if (msg->u64 & ~FEATURES)
			return VHOST_BAD_FEATURES;
		set_features(vp, msg->u64);
		return VHOST_OK;
	case VHOST_GET_PROTOCOL_FEATURES:
		reply->u64 = PROTOCOL_FEATURES;
		return VHOST_OK;
	case VHOST_SET_PROTOCOL_FEATURES:
		if (msg->u64 & ~PROTOCOL_FEATURES)
			return VHOST_BAD_FEATURES;
		vp->protocol = msg->u64;
		return VHOST_OK;
	case VHOST_SET_OWNER: return VHOST_OK;
	case VHOST_RESET_OWNER: return VHOST_OK; /* deprecated, ignored */
	case VHOST_SET_MEM_TABLE: return set_mem_table(vp, msg);
	case VHOST_ADD_MEM_REG:
	case VHOST_REM_MEM_REG: return change_mem_slot(vp, msg);
	case VHOST_GET_MAX_MEM_SLOTS:
		reply->u64 = GUEST_REGIONS_MAX;
		return VHOST_OK;
	case VHOST_GET_QUEUE_NUM: reply->u64 = VHOST_PAIRS_MAX; return VHOST_OK;
	case VHOST_SET_VRING_NUM:
	case VHOST_SET_VRING_BASE:
	case VHOST_GET_VRING_BASE:
	case VHOST_SET_VRING_ENABLE: return ring_state(vp, msg, reply);
	case VHOST_SET_VRING_ADDR: return set_ring_addr(vp, &msg->addr);
	case VHOST_SET_VRING_KICK:
	case VHOST_SET_VRING_CALL:
	case VHOST_SET_VRING_ERR: return set_ring_fd(vp, msg);
	case VHOST_NET_SET_MTU: return set_mtu(vp, msg->u64);
	case VHOST_REQUESTS: break;
	}
	return VHOST_BAD_REQUEST;
}

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
	    vp->protocol & BIT(VHOST_PROTOCOL_REPLY_ACK);
	const char *name = vhost_request_name(msg->request);
	enum vhost_refusal refusal = handle(vp, msg, &reply);

	log_debug(
	    "%s: %s: %s", vp->port.name, name, vhost_refusal_name(refusal));
	if (refusal != VHOST_OK && !(ack && !vhost_msg_answers(msg->request))) {
		refuse(vp, refusal, name);
		return false;
	}
	if (refusal != VHOST_OK) {
		vp->stats.refused[refusal]++;
		vp->last_refusal = refusal;
		complain(
		    vp, "%s refused: %s", name, vhost_refusal_name(refusal));
	}
	if (!vhost_msg_answers(msg->request)) {
		if (!ack)
			return true;
		reply.u64 = refusal != VHOST_OK;
	}
	if (!answer(vp, &reply)) {
		refuse(vp, VHOST_NOT_READING, name);
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
			refuse(vp, refusal,
			    vhost_request_name(vp->reader.msg.request));
			return;
		}
		if (!message(vp, &vp->reader.msg))
			return;
	}
}

/* ---- the front end comes and goes ---- */

static void
disconnect(struct vhost_port *vp)
{
	loop_watch_free(vp->watch);
	vp->watch = NULL;
	close_fd(&vp->fd);
	for (unsigned int i = 0; i < QUEUES_MAX; i++)
		queue_reset(&vp->queue[i]);
	loop_defer_cancel(&vp->flush);
	vp->dirty = 0;
	vhost_reader_clear(&vp->reader);
	guest_mem_clear(&vp->mem);
	vp->protocol = 0;
	set_features(vp, 0);
	vp->port.mtu_bytes = 0;
	vp->stats.connected = false;
}

/* A front end whose socket is closed, though we were not yet told. */
static bool
has_left(const struct vhost_port *vp)
{
	char byte;

	return recv(vp->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
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
	if (fd < 0)
		return;
	if (vp->fd >= 0 && !has_left(vp)) {
		vp->stats.turned_away++;
		complain(vp, "another front end turned away: %d is connected",
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

static void
vhost_close(struct port *port)
{
	struct vhost_port *vp = vhost_port(port);

	disconnect(vp);
	loop_watch_free(vp->listen_watch);
	unix_listener_close(&vp->listener);
	free(vp);
}

static const struct port_ops vhost_ops = {
	.take = take,
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
	guest_mem_init(&vp->mem);
	loop_defer_init(&vp->flush, loop, flush, vp);
	for (unsigned int i = 0; i < QUEUES_MAX; i++) {
		struct queue *q = &vp->queue[i];

		q->vp = vp;
		q->index = i;
		q->kick_fd = q->call_fd = q->err_fd = -1;
		vring_init(&q->vring, &vp->mem);
		loop_defer_init(&q->turn, loop, turn, q);
	}
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
