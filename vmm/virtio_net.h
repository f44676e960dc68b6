/*
 * virtio_net.h - a network card (Virtual I/O Device 1.2, 5.1), served by a
 * vhost-user back end: the fabric.
 *
 * With several pairs of queues, of which the guest uses as many as it has CPUs,
 * there is a control queue behind them, which is served here.
 *
 * The guest sees its link down when the fabric says that the cable's is.  The
 * card outlives its back end: while that is away, the link is down, too; we
 * connect again and hand the rings over anew.  Frames in flight at
 * that moment are lost, as on a cable that was pulled.
 */
#ifndef VMM_VIRTIO_NET_H
#define VMM_VIRTIO_NET_H

#include <pthread.h>

#include "base/loop.h"
#include "net/addr.h"
#include "vmm/machine.h"
#include "vmm/vhost_front.h"
#include "vmm/virtio.h"
#include "vmm/virtq.h"
#include "vmm/virtq_watch.h"

#define VIRTIO_NET_PAIRS_MAX  8 /* of a receive and a transmit queue */
#define VIRTIO_NET_QUEUE_SIZE 256
#define VIRTIO_NET_WAIT_MS    2000 /* for the back end, at the start */
#define VIRTIO_NET_CLASS      0x020000

struct virtio_net {
	struct virtio_device device; /* first: ops get this */
	char name[32];
	const char *socket;
	struct mac mac;
	uint16_t mtu_bytes;
	struct machine *machine;
	const struct memory *memory; /* its, as is the lock */
	struct loop *loop;
	pthread_mutex_t *lock;

	unsigned int pairs, pairs_on; /* that there are, that the guest uses */
	struct virtq control;         /* if there are several */
	struct loop_watch *control_watch;
	uint64_t life; /* counts starts and stops */
	uint64_t bad;  /* commands that made no sense */

	struct vhost_front front; /* fd -1: link down */
	int link_fd;              /* the back end's news of the link */
	struct loop_watch *link_watch;
	uint64_t backend; /* features of the last back end */
	bool serving;     /* it has the rings */
	/* The driver's entries that the next back end begins with. */
	uint16_t base[2 * VIRTIO_NET_PAIRS_MAX];
	bool link_told; /* what the guest last heard of the link, if loaded */
	struct virtq_watch received[VIRTIO_NET_PAIRS_MAX];
	struct loop_watch *watch;
	struct loop_timer retry;
	uint64_t retry_ns;
};

struct virtio_net_setup {
	const char *name;   /* "eth0", for messages */
	const char *socket; /* borrowed; NULL with fd */
	int fd;             /* connected already (taken), or -1 */
	struct mac mac;
	uint16_t mtu_bytes; /* 0: not told */
	unsigned int pairs; /* at most; fewer if the back end has fewer */
	struct machine *machine;
	struct loop *loop;
};

/* Makes the card and waits for its back end.  0, or -Exxx with *err;
 * virtio_net_fini() is fine in both cases.  Loop thread, without the lock. */
int virtio_net_init(struct virtio_net *net,
    const struct virtio_net_setup *setup, struct err *err);
void virtio_net_fini(struct virtio_net *net);

/* The machine ends: the back end is left as it is, rings and all, without
 * waiting for it.  With the lock. */
void virtio_net_leave(struct virtio_net *net);

bool virtio_net_link(const struct virtio_net *net);

#endif
