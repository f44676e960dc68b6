/*
 * host_only.h - which frames pass between a LAN and the host itself, so that
 * nothing is forwarded further, whatever the host is set to.
 */
#ifndef BRIDGE_HOST_ONLY_H
#define BRIDGE_HOST_ONLY_H

#include <stddef.h>
#include <stdint.h>

#include "net/addr.h"
#include "net/reason.h"

/*
 * head is the beginning of a frame, n bytes of it.  To the host pass ARP, IPv4
 * to the address of its interface, to broadcasts of the subnet and to groups of
 * the link, IPv6 to addresses and groups of the link, LLDP and LLC; from the
 * host the same by its own source addresses.  Behind up to two VLAN tags, too.
 * DROP_NONE, DROP_SHORT, or DROP_HOST_ONLY.
 */
enum reason host_only_in(struct ip4_net host, const uint8_t *head, size_t n);
enum reason host_only_out(struct ip4_net host, const uint8_t *head, size_t n);

#endif
