/*
 * snooping.h - a switch that sends multicast to those who want it: groups.h as
 * a protocol of a switch (RFC 4541).
 *
 * Reports go to ports of multicast routers alone, or end here when there are
 * none; queries go to all.  What is wrong with its headers or checksum ends
 * here.  A switch that looks at no tags leaves tagged frames alone.  With a
 * querier, each VLAN of a port whose link comes up is asked; of a trunk only if
 * the port has at most SNOOPING_TRUNK_VLANS of them, the others once a message
 * is heard in them.  Loop thread only.
 */
#ifndef SWITCH_SNOOPING_H
#define SWITCH_SNOOPING_H

#include "switch/groups.h"
#include "switch/protocol.h"

#define SNOOPING_TRUNK_VLANS 64

struct snooping;

/* Joins sw, to be freed before it.  options->mac is the switch's.  NULL: *err
 * says why. */
struct snooping *snooping_new(struct lan_switch *sw,
    const struct groups_options *options, struct err *err);
void snooping_free(struct snooping *snooping); /* NULL is fine */

/* A multicast router is behind a bridge port, whatever is heard. */
void snooping_set_router(struct snooping *snooping, const struct port *port);

/* For groups_each() and the like; ports are bridge ports by their index. */
const struct groups *snooping_groups(const struct snooping *snooping);
/* NULL: it is gone. */
const struct port *snooping_port(
    const struct snooping *snooping, unsigned int index);

#endif
