/*
 * vhost_port.h - the parts of a vhost-user port, for its own files only.
 *
 *     port_vhost.c     the socket, the front end that comes and goes
 *     vhost_handle.c   what each of its messages does
 *     vhost_queue.c    queues: their life, notifications, frames
 */
#ifndef SWITCH_VHOST_PORT_H
#define SWITCH_VHOST_PORT_H

#include "base/complaint.h"
#include "switch/door.h"
#include "switch/guest_mem.h"
#include "switch/patience.h"
#include "switch/port_vhost.h"
#include "switch/vhost_msg.h"
#include "switch/vhost_net.h"
#include "switch/vring.h"

#define VHOST_QUEUES_MAX (2 * VHOST_PAIRS_MAX)

struct vhost_port;

/* Even ones are the guest's receive queues, odd ones its transmit queues. */
struct vhost_queue {
	struct vhost_port *vp;
	struct vring vring;
	unsigned int index;
	uint16_t base;    /* where to begin */
	bool started;     /* from SET_VRING_KICK to GET_VRING_BASE */
	bool enable_said; /* by SET_VRING_ENABLE */
	bool polled;
	struct patience patience;     /* with a transmit ring */
	int kick_fd, call_fd, err_fd; /* -1: none */
	struct loop_watch *kick;
	struct loop_defer turn;
};

struct vhost_port {
	struct port port;
	struct loop *loop;
	struct door door;
	int link_fd; /* written to when the link changes, -1: none */
	struct loop_watch *watch;
	struct vhost_reader reader;
	uint64_t features, protocol;
	struct guest_mem mem;
	struct vhost_rules rules;
	struct vhost_queue queue[VHOST_QUEUES_MAX];
	/* Receive queues that run and are enabled. */
	struct vhost_queue *receiver[VHOST_PAIRS_MAX];
	unsigned int nreceivers;
	uint32_t dirty; /* queues to publish or call for, by index */
	struct loop_defer flush;
	struct complaint complaint;
	struct vhost_stats stats;
	enum vhost_refusal last_refusal;
	struct vhost_scatter scatter;
	struct vhost_gather gather;
};

/* The port that a struct port is part of: its first member. */
static inline struct vhost_port *
vhost_port(struct port *port)
{
	return (struct vhost_port *)port;
}

/* ---- port_vhost.c ---- */

/* Says something about the front end, at a rate for people. */
#define VHOST_COMPLAIN(vp, ...)                                              \
	complain(&(vp)->complaint, loop_now_ns((vp)->loop), (vp)->port.name, \
	    __VA_ARGS__)

/* Drops the front end, counted and said. */
void vhost_refuse(
    struct vhost_port *vp, enum vhost_refusal refusal, const char *what);

/* ---- vhost_handle.c ---- */

/* Does what a message says.  reply gets what its request asks for. */
enum vhost_refusal vhost_handle(
    struct vhost_port *vp, struct vhost_msg *msg, struct vhost_msg *reply);

void vhost_set_features(struct vhost_port *vp, uint64_t features);

/* ---- vhost_queue.c ---- */

void vhost_queue_init(
    struct vhost_queue *q, struct vhost_port *vp, unsigned int index);

/* Begins to use a queue.  Takes fd; -1: it is to be polled. */
enum vhost_refusal vhost_queue_start(struct vhost_queue *q, int fd);
/* Remembers where it stands, and lets go of the rest. */
void vhost_queue_stop(struct vhost_queue *q);
/* As if it were new; the rings' addresses too. */
void vhost_queue_reset(struct vhost_queue *q);

/* Where to call the guest, and where to say that a ring is broken.  Takes fd;
 * -1: nowhere. */
void vhost_queue_set_call(struct vhost_queue *q, int fd);
void vhost_queue_set_err(struct vhost_queue *q, int fd);

/* Puts the rings where the front end says.  False: they are not in memory. */
bool vhost_queue_map(struct vhost_queue *q);
/* The same for all that run: memory or features changed under them. */
void vhost_map_queues(struct vhost_port *vp);

/* Finds out which receive queues take frames: after whatever changes that. */
void vhost_find_receivers(struct vhost_port *vp);

/* What the rings have used becomes the guest's to see. */
void vhost_publish(struct vhost_port *vp);

/* port_ops.take, and the deferred call of the port. */
void vhost_take(struct port *port, struct burst *burst);
void vhost_flush(void *arg);

#endif
