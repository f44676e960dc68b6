/*
 * port_slirp.h - slirp:[?OPTION=VALUE...]: a way out for a LAN that takes no
 * privilege, by ordinary sockets (libslirp).
 *
 * The LAN's hosts see a network with a router at its second address, a name
 * server at its third, and DHCP from its fifteenth on.
 */
#ifndef BRIDGE_PORT_SLIRP_H
#define BRIDGE_PORT_SLIRP_H

#include "switch/port.h"

#define PORT_SLIRP_FLOWS_MAX 512 /* sockets at a time */

extern const struct port_kind port_slirp;

#endif
