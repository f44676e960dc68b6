/*
 * port_sockets.h - the way out of a LAN without any privilege.
 *
 * sockets:ADDRESS/PREFIX is a gateway with that address on the LAN that it is
 * plugged into.  TCP, UDP and ICMP echo go out by ordinary sockets of the
 * process (RFC 1122; the manner is that of passt(1)).
 */
#ifndef BRIDGE_PORT_SOCKETS_H
#define BRIDGE_PORT_SOCKETS_H

#include "switch/port.h"

extern const struct port_kind port_sockets;

#endif
