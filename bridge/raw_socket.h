/*
 * raw_socket.h - raw Ethernet frames of one interface: a packet socket with
 * a ring that the kernel fills (packet(7)), and offloads described both ways.
 *
 * Opening takes CAP_NET_RAW.  Nothing afterwards does: an interface that went
 * away and came back is bound again without it.  Promiscuity ends with the
 * process, however it ends.
 */
#ifndef BRIDGE_RAW_SOCKET_H
#define BRIDGE_RAW_SOCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "switch/port.h"

struct raw_socket;

struct raw_options {
	const char *name;      /* for messages: "nic:eth0" */
	bool with_outgoing;    /* read also what the host itself sends there */
	uint32_t without_mark; /* do not read frames of this mark; 0: all */
	uint32_t mark;         /* of what is sent; 0: none */
	bool send_only;        /* nothing is read */
};

/* Bound to no interface yet.  NULL: *err says why. */
struct raw_socket *raw_new(const struct raw_options *options, struct err *err);
void raw_free(struct raw_socket *ps); /* NULL is fine */

/* Reads and sends on that interface from now on, in promiscuous mode if so
 * asked.  0 or -Exxx. */
int raw_bind(
    struct raw_socket *ps, int ifindex, bool promiscuous, struct err *err);

int raw_fd(const struct raw_socket *ps); /* readable: raw_read() */

/*
 * Fills burst with the next frames, whole as the kernel has them, VLAN tags put
 * back: they may have work left to do (FRAME_TODO).  Their bytes stay, and may
 * be written to, until raw_done(), which must come before the next
 * raw_read().  Returns how many frames there were that could not be given:
 * cut off, or described wrongly.
 */
unsigned int raw_read(struct raw_socket *ps, struct burst *burst);
void raw_done(struct raw_socket *ps);

/* Is there nothing wrong with the socket itself?  0, or -Exxx: an interface
 * that is down (-ENETDOWN) or has gone.  Asking makes it forget. */
int raw_error(struct raw_socket *ps);

/* Sends frames, each as a whole with what is left to do.  Writes each one's
 * fate into reason: REASON_DELIVERED, or why not. */
void raw_send(struct raw_socket *ps, const struct frame *const *frames,
    unsigned int n, enum reason *reason);

/* Frames that came in while the ring was full. */
uint64_t raw_lost(struct raw_socket *ps);

#endif
