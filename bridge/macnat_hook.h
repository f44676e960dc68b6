/*
 * macnat_hook.h - MAC-NAT (macnat.h) between an interface of the host and the
 * LAN that it is plugged into.
 *
 * The addresses of the interface are the host's, and so no guest's.
 */
#ifndef BRIDGE_MACNAT_HOOK_H
#define BRIDGE_MACNAT_HOOK_H

#include "base/err.h"
#include "base/loop.h"
#include "bridge/macnat.h"
#include "switch/port.h"

/* port is of kind nic: (port_nic.h) and has no hook.  0 or -ENOMEM. */
int macnat_hook_add(
    struct port *port, struct loop *loop, uint64_t seed, struct err *err);

/* Its table; NULL if port, of whatever kind, has no MAC-NAT. */
struct macnat *macnat_hook_table(const struct port *port);

#endif
