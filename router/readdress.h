/*
 * readdress.h - a port of a router has another address than before.
 */
#ifndef ROUTER_READDRESS_H
#define ROUTER_READDRESS_H

#include "net/addr.h"

struct iface;

/*
 * The address of a port is another; addr 0: it has none.  Routes by the port are
 * removed but for the new subnet's own, neighbours are forgotten.  If NAT's
 * outside is there, all that used the old address ends, and inside hosts are
 * told.  Returns how many entries of NAT that were.
 */
unsigned int readdress(struct iface *iface, struct ip4_net to);

/*
 * The net that a port would move to if net were that of the port wan: its present
 * one if they do not overlap, else its other one, if it has one and that overlaps
 * with neither net nor those of other ports.  addr 0: there is none.
 */
struct ip4_net readdress_choose(
    const struct iface *iface, const struct iface *wan, struct ip4_net net);

/*
 * Moves an inside port to its other net, which has the same prefix length; what
 * it had is its other net from now on.  The range of its DHCP server, its
 * reservations, forwards of ports and routes to next hops are where they were
 * within the net.  Hosts with old leases are told so when they come to renew
 * them.  Returns how many entries of NAT ended.
 */
unsigned int readdress_move(struct iface *iface);

#endif
