/*
 * vxlan_socket.h - a UDP socket at which several networks of VXLAN meet.
 *
 * The ports of one loop that are at the same local address and port share a
 * socket: which of them a datagram is for is told by its VNI.
 */
#ifndef SWITCH_VXLAN_SOCKET_H
#define SWITCH_VXLAN_SOCKET_H

#include <sys/queue.h>

#include "base/inet.h"
#include "switch/dgram.h"
#include "switch/port.h"

struct vxlan_socket;

/* A network at a socket.  Part of its owner's struct; vni, port and admit are
 * the owner's to set before vxlan_join(). */
struct vxlan_member {
	uint32_t vni;
	struct port *port; /* what comes is sent by it */
	/* DROP_NONE if a frame may come in from there, which the owner may now
	 * learn; or why not. */
	enum reason (*admit)(struct vxlan_member *member,
	    const struct inet *from, const struct frame *frame);
	struct vxlan_socket *socket;
	LIST_ENTRY(vxlan_member) link;
};

/* Takes part at local, by a socket that is made if it is the first.  0; -EEXIST
 * if its VNI takes part there already; or another -Exxx. */
int vxlan_join(struct vxlan_member *member, struct loop *loop,
    const struct inet *local, struct err *err);
/* The last one closes the socket.  Fine when it did not join. */
void vxlan_leave(struct vxlan_member *member);

/* Stages a frame for a machine; *result is written by vxlan_flush(). */
void vxlan_add(struct vxlan_member *member, const struct inet *to,
    const struct frame *frame, enum reason *result);
void vxlan_flush(struct vxlan_member *member);

#endif
