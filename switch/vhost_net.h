/*
 * vhost_net.h - frames out of a guest's transmit ring and into its receive
 * ring.
 *
 * The data path of the vhost-user port, without sockets or loop.  Frames out of
 * a transmit ring are views into the guest's memory, good until
 * vhost_net_return(); frames into a receive ring are copied once, straight into
 * the guest's buffers.  No system call, no allocation.
 */
#ifndef SWITCH_VHOST_NET_H
#define SWITCH_VHOST_NET_H

#include "switch/port.h"
#include "switch/vring.h"

/* Pieces of memory that one frame may lie in.  Linux makes 19 at most. */
#define VHOST_PIECES_MAX 256
/* Receive buffers that one frame may be spread over. */
#define VHOST_MERGE_MAX 128

/* What driver and device agreed on, as it concerns frames. */
struct vhost_rules {
	uint8_t header_bytes; /* VNET_BYTES or VNET_BYTES_MRG */
	uint8_t sends;        /* FRAME_TODO bits that the guest may send */
	uint8_t receives;     /* FRAME_* bits that it may be given */
	bool mergeable;
};

/* The rules that follow from a set of virtio features. */
struct vhost_rules vhost_rules_of(uint64_t features);

/* Memory for one burst on its way out of a transmit ring. */
struct vhost_gather {
	unsigned int n; /* chains to give back */
	uint16_t id[BURST_MAX];
	struct iovec piece[4 * VHOST_PIECES_MAX];
	uint8_t head[BURST_MAX][FRAME_HEAD_BYTES];
};

/*
 * Fills burst from a transmit ring.  Returns how many chains it took, up to
 * BURST_MAX, which may be more than the burst has frames: what is refused is
 * counted by node.  -1: the ring is broken.
 */
int vhost_net_fetch(struct vring *vring, const struct vhost_rules *rules,
    struct vhost_gather *gather, struct burst *burst, struct node *node);

/* Gives back and publishes what vhost_net_fetch() took. */
void vhost_net_return(struct vring *vring, struct vhost_gather *gather);

/* Memory for one frame on its way into a receive ring. */
struct vhost_scatter {
	struct iovec piece[VHOST_PIECES_MAX];
	uint16_t id[VHOST_MERGE_MAX];
	uint64_t bytes[VHOST_MERGE_MAX];
};

/*
 * Copies frame into the next buffers of a receive ring, to be published.
 * REASON_DELIVERED; or why not: DROP_RING_EMPTY, DROP_TOO_LONG (for a buffer
 * that cannot be merged), DROP_RING_INDEX (the ring is broken), or what is
 * wrong with a chain, which is given back empty.
 */
enum reason vhost_net_put(struct vring *vring, const struct vhost_rules *rules,
    struct vhost_scatter *scatter, const struct frame *frame);

/* vhost_net_put() for a burst, whose verdicts it writes; publishes. */
void vhost_net_deliver(struct vring *vring, const struct vhost_rules *rules,
    struct vhost_scatter *scatter, struct burst *burst, struct node *node);

#endif
