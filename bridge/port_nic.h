/*
 * port_nic.h - nic:IFACE[?host=yes], an Ethernet interface of the host as a
 * port (switch/port.h): what arrives there enters the LAN, and what the LAN
 * sends there leaves by it.
 *
 * The interface is promiscuous while the port is open, and as it was as soon as
 * the process ends, however it ends.  Frames that the port sent never come back
 * by it.  The link follows the interface; one that goes away and returns is
 * taken up again.
 *
 * Frames of receive offloads, and with unfinished checksums, enter as such:
 * whoever cannot take them gets finished frames of a wire (offload.h).
 *
 * What the LAN sends to the host that the interface belongs to does not reach
 * it, nor the other way round, but with host=yes (twin.h): then the host is a
 * station of the LAN, by the interface's own addresses.
 */
#ifndef BRIDGE_PORT_NIC_H
#define BRIDGE_PORT_NIC_H

#include "bridge/frame_head.h"
#include "bridge/host_link.h"
#include "net/addr.h"
#include "switch/port.h"

extern const struct port_kind port_nic;

/* Is port of this kind?  All that follows is for such ports. */
bool port_nic_is(const struct port *port);
const char *port_nic_interface(const struct port *port); /* "eth0" */
/* The interface that leads to the host, if there is one; else NULL. */
const char *port_nic_twin(const struct port *port);
/* The interface's own address; it changes when the interface does. */
const struct mac *port_nic_mac(const struct port *port);

/*
 * What stands between the interface and the LAN and may change frames, as
 * MAC-NAT does.  One per port.
 *
 * head is a frame's first n bytes, to be written to: all of the frame, or at
 * least FRAME_HEAD_COPY.  The frame's description, which shows these bytes, may
 * be changed too, its length not.  DROP_NONE lets the frame pass, and so does a
 * reason that is no drop: what was done to the frame, which is then the verdict
 * on one that left, and the cause of one that comes in, with the entry that the
 * hook leaves in the frame's verdict.  Any other reason refuses it.
 */
struct nic_hook {
	/* From the interface, before the LAN sees it. */
	enum reason (*in)(struct nic_hook *hook, struct frame *frame,
	    uint8_t *head, size_t n);
	/* From the LAN, before it leaves. */
	enum reason (*out)(struct nic_hook *hook, struct frame *frame,
	    uint8_t *head, size_t n);
	/* The interface's address, or its link, has changed.  May be NULL. */
	void (*changed)(struct nic_hook *hook);
	/* The port is closed, and the hook is not called again. */
	void (*close)(struct nic_hook *hook);
};

/* port is of this kind.  Takes hook. */
void port_nic_set_hook(struct port *port, struct nic_hook *hook);
struct nic_hook *port_nic_hook(const struct port *port); /* or NULL */

/* Sends a frame of the hook's own by the interface, past the hook.  (Into the
 * LAN: port_send().)  Its fate. */
enum reason port_nic_transmit(struct port *port, const void *frame, size_t len);

#endif
