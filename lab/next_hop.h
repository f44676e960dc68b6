/*
 * next_hop.h - whom a station of a running lab sends a packet to.
 *
 * As the station itself would find out: by its address and gateway, from the
 * lab file or by DHCP, and by ARP.
 */
#ifndef LAB_NEXT_HOP_H
#define LAB_NEXT_HOP_H

#include "lab/fabric.h"

/* A port's IPv4 address, from the file or leased; 0: none. */
uint32_t next_hop_address(const struct fabric *f, const struct lab_port *port);

/* The MAC address that from sends a packet to ip to.  0, or -ENOENT with *err
 * saying whose is not known. */
int next_hop(const struct fabric *f, const struct lab_port *from, uint32_t ip,
    struct mac *mac, struct err *err);

#endif
