/*
 * guest_ip.h - what a guest is told of its addresses, on the kernel's command
 * line.
 *
 * A guest speaks IPv6 where the file says so, or where a router does; and asks
 * for an IPv4 address where there is any IPv4.  So a LAN of one kind carries
 * nothing of the other.
 */
#ifndef LAB_GUEST_IP_H
#define LAB_GUEST_IP_H

#include "lab/arena.h"
#include "lab/segment.h"

/* Sets asks_dhcp of each VM's ports. */
void guest_ip_resolve(struct lab *lab);

/* line and the words about a port of a VM, " lanyard.eth0=dhcp" and, where there
 * is IPv6, " lanyard.eth0.ip6=auto".  In arena; NULL: no memory. */
char *guest_ip_words(struct arena *arena, const struct segments *segments,
    const struct lab_port *port, const char *line);

/*
 * The IPv6 addresses that port has by the file, and those that a guest makes of
 * what routers of its segment advertise and its MAC address (RFC 4862 5.5.3):
 * whether it has done so is not known.  Returns how many.
 */
unsigned int guest_ip6(const struct lab *lab, const struct lab_port *port,
    struct ip6_addr *addr, unsigned int max);

#endif
