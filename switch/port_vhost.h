/*
 * port_vhost.h - "vhost-user:PATH", the NIC of a guest behind a front end.
 *
 * Listens at PATH.  One front end at a time; when it leaves, all it set up is
 * dropped and the next may come.  Frames for a guest that is not ready are
 * refused (DROP_NOT_READY), those for which it offers no buffers as well
 * (DROP_RING_EMPTY).  vhost-user has no way to tell a network guest that its
 * link went down: frames are refused on both sides, that is all.
 *
 * The port itself is opened by port_open() (switch/port.h).
 */
#ifndef SWITCH_PORT_VHOST_H
#define SWITCH_PORT_VHOST_H

#include "switch/port.h"
#include "switch/vhost_msg.h"

#define VHOST_PAIRS_MAX 8 /* queue pairs of one guest */

extern const struct port_kind port_vhost;

struct vhost_stats {
	uint64_t connections; /* front ends that were let in */
	uint64_t turned_away; /* those that came while one was there */
	uint64_t refused[VHOST_REFUSALS]; /* messages, by reason */
	uint64_t broken_rings;            /* that had to be stopped */
	uint64_t kicks, calls;            /* notifications from and to it */
	bool connected, ready;            /* ready: frames can pass both ways */
};

/* port: one that this kind opened. */
struct vhost_stats port_vhost_stats(const struct port *port);

#endif
