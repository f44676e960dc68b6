/*
 * vhost_frontend.h - a vhost-user front end and driver without a guest, for
 * tests and benches.
 *
 * One memfd holds its rings and buffers.  It does what it is told, sensible or
 * not: the tests write into its rings by hand.
 */
#ifndef TESTS_SWITCH_VHOST_FRONTEND_H
#define TESTS_SWITCH_VHOST_FRONTEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "switch/vhost_msg.h"
#include "switch/vring.h"

#define FRONT_QUEUES 4
#define FRONT_GUEST  UINT64_C(0x40000000)     /* where memory begins: guest */
#define FRONT_USER   UINT64_C(0x7f0000000000) /* and front end */

/* The driver's side of a ring.  Buffer i is at buffer + i * stride. */
struct front_queue {
	uint16_t size;
	struct vring_slot *desc;
	uint16_t *avail, *used; /* flags, idx, ring */
	struct vring_used_slot *used_ring;
	uint16_t next, seen; /* chains offered, and given back */
	uint16_t kicked;     /* next at the last question for a kick */
	uint8_t *buffer;
	uint32_t stride;
	int kick, call; /* eventfds */
	bool event_idx;
};

struct front {
	int fd, memfd;
	uint8_t *mem;
	size_t bytes, used;
	uint64_t features;
	uint8_t header_bytes;
	struct front_queue queue[FRONT_QUEUES];
	/* Lets the back end run, where it is in the same thread. */
	void (*pump)(void *arg);
	void *arg;
};

/* Memory of so many bytes, not connected. */
void front_init(struct front *front, size_t bytes);
void front_free(struct front *front); /* disconnects as well */

/* 0, or -errno. */
int front_connect(struct front *front, const char *path);
void front_disconnect(struct front *front);

/* Sends bytes with descriptors. */
bool front_send(struct front *front, const void *bytes, size_t n,
    const int *fds, unsigned int nfds);

/* A request; its reply's payload in *reply, if it has one.  ack: asks for an
 * acknowledgement, also in *reply.  False: the back end closed. */
bool front_ask(
    struct front *front, struct vhost_msg *msg, bool ack, uint64_t *reply);
bool front_u64(struct front *front, uint32_t request, uint64_t u64);
bool front_state(
    struct front *front, uint32_t request, uint32_t ring, uint32_t num);
bool front_fd(struct front *front, uint32_t request, uint32_t ring, int fd);

/* The other end closed the connection. */
bool front_is_closed(struct front *front);

/* Everything up to a running pair of queues 2 * pair (receive) and + 1. */
bool front_negotiate(struct front *front, uint64_t features, uint64_t protocol);
bool front_share_memory(struct front *front);
void front_layout(
    struct front *front, unsigned int q, uint16_t size, uint32_t stride);
bool front_start_queue(struct front *front, unsigned int q, bool poll);
/* All of the above; buffers of stride bytes, all receive buffers offered. */
bool front_start(struct front *front, const char *path, uint64_t features,
    uint16_t size, uint32_t stride);

uint64_t front_address(const struct front *front, const void *at);

/* Offers the chain at head; seen by the device after front_publish(). */
void front_offer(struct front_queue *queue, uint16_t head);
void front_publish(struct front_queue *queue);
/* Kicks if the device wants it; true if it did. */
bool front_kick(struct front_queue *queue);
/* The next chain given back.  False: none. */
bool front_used(struct front_queue *queue, uint16_t *head, uint32_t *bytes);

/* Offers all buffers of a receive queue. */
void front_fill(struct front *front, unsigned int q);
/* Sends one frame by buffer next % size, behind header (NULL: zeros). */
void front_transmit(struct front *front, unsigned int q, const void *header,
    const void *frame, size_t len);
/* The next frame received, with its header, and offers the buffers again.
 * Returns its bytes without the header, 0: none. */
size_t front_receive(struct front *front, unsigned int q, uint8_t header[12],
    uint8_t *out, size_t max);

#endif
