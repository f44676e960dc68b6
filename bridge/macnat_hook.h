/*
 * macnat_hook.h - MAC-NAT (macnat.h) between an interface of the host and the
 * LAN that it is plugged into.
 *
 * The addresses of the interface are the host's, and so no guest's.
 */
#ifndef BRIDGE_MACNAT_HOOK_H
#define BRIDGE_MACNAT_HOOK_H

#include "bridge/macnat.h"
#include "switch/port.h"

/* mac-nat:INTERFACE is nic:INTERFACE (port_nic.h) with MAC-NAT. */
extern const struct port_kind port_macnat;

/* Its table; NULL if port, of whatever kind, has no MAC-NAT. */
struct macnat *macnat_hook_table(const struct port *port);

#endif
