/*
 * vhost_front.h - the front end of vhost-user: a device's rings, served by
 * another process over a Unix socket (QEMU's docs/interop/vhost-user.rst).
 *
 * All calls are synchronous; a peer that keeps us waiting for more than
 * VHOST_WAIT_MS, or that answers anything but what was asked, counts as dead:
 * the call returns -Exxx and the caller closes.  One thread at a time.
 */
#ifndef VMM_VHOST_FRONT_H
#define VMM_VHOST_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "vmm/memory.h"

#define VHOST_WAIT_MS 2000

struct vhost_front {
	int fd;            /* -1: closed */
	uint64_t features; /* that the back end offers, without the next ones */
	bool has_protocol; /* speaks protocol features */
	uint64_t protocol; /* those of them that both sides know */
	unsigned int pairs; /* of rings that it serves; at least 1 */
	/* Whether the back end has said that the link is up; true if it does
	 * not speak of that. */
	bool link;
};

/* A ring for the back end.  The addresses are ours, within the memory that
 * goes with it. */
struct vhost_ring {
	unsigned int index;
	uint16_t size;
	uint16_t base; /* the next entry of the driver's that it is to take */
	bool enabled; /* frames pass; else they may from vhost_front_enable() */
	const void *desc, *driver, *device;
	int kick_fd, call_fd;
};

/* Connects, without waiting for anybody to listen.  A descriptor or -Exxx. */
int vhost_front_connect(const char *path);

/* Takes fd, and asks the back end what it can.  0, or -Exxx with *err. */
int vhost_front_open(struct vhost_front *front, int fd, struct err *err);
void vhost_front_close(struct vhost_front *front); /* fine when closed */

/* The back end is told how long a frame may be, if it wants to know. */
int vhost_front_set_mtu(
    struct vhost_front *front, uint16_t mtu_bytes, struct err *err);

/* Has the back end write to call_fd (an eventfd) when its link goes up or down,
 * and asks it for front->link.  Fine with one that does not speak of links.
 * The second is to be called whenever it wrote. */
int vhost_front_watch_link(
    struct vhost_front *front, int call_fd, struct err *err);
int vhost_front_ask_link(struct vhost_front *front, struct err *err);

/* Hands over memory and rings; features are those that the driver took, of the
 * ones offered.  The back end looks at each ring at once. */
int vhost_front_start(struct vhost_front *front, uint64_t features,
    const struct memory *memory, const struct vhost_ring *rings,
    unsigned int nrings, struct err *err);

/* Lets frames pass by a ring that was handed over, or no more. */
int vhost_front_enable(
    struct vhost_front *front, unsigned int index, bool on, struct err *err);

/* Takes the rings back: when it returns 0, the back end touches none of them.
 * Their bases are filled in. */
int vhost_front_stop(struct vhost_front *front, struct vhost_ring *rings,
    unsigned int nrings, struct err *err);

/* Is the peer still there?  False as well when it spoke unasked. */
bool vhost_front_alive(const struct vhost_front *front);

#endif
