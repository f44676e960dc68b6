/*
 * port_host.h - host:NAME?address=192.0.2.1/24[&mtu=1500]: the host itself as
 * a station of the LAN, and no way further (host_only.h).
 *
 * A new TAP interface NAME, with that address, up.  It is gone as soon as the
 * process ends, however it ends.
 */
#ifndef BRIDGE_PORT_HOST_H
#define BRIDGE_PORT_HOST_H

#include "switch/port.h"

#define PORT_HOST_MTU_MIN 1280 /* IPv6 asks for so much (RFC 8200 5) */
#define PORT_HOST_MTU_MAX 65521

extern const struct port_kind port_host;

#endif
