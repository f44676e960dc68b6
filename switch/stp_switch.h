/*
 * stp_switch.h - a switch in a spanning tree: stp.h joined to protocol.h.
 *
 * From when it joins, the switch's ports discard until the tree lets them
 * learn and forward; when it leaves, all forward again.  A port's number in
 * the tree is its index in the switch; one beyond STP_PORTS_MAX takes no part
 * and discards.  Tagged BPDUs are not for it, nor is what else comes to the
 * bridges' group address.  Loop thread only.
 */
#ifndef SWITCH_STP_SWITCH_H
#define SWITCH_STP_SWITCH_H

#include "switch/protocol.h"
#include "switch/stp.h"

struct stp_switch;

/* Joins sw, which must outlive it.  The options have been checked.  NULL: *err
 * says why. */
struct stp_switch *stp_switch_new(
    struct lan_switch *sw, const struct stp_options *options, struct err *err);
void stp_switch_free(struct stp_switch *stp); /* NULL is fine */

/* Options that have been checked.  0, or -ENOMEM and nothing changed. */
int stp_switch_set(struct stp_switch *stp, const struct stp_options *options);
/* Of one of the switch's bridge ports. */
void stp_switch_set_port(struct stp_switch *stp, struct port *port,
    const struct stp_port_options *options);
/* Asks again what the neighbour speaks. */
void stp_switch_check_protocol(struct stp_switch *stp, struct port *port);

/* For `show`, and to ask what is set. */
const struct stp *stp_switch_tree(const struct stp_switch *stp);

#endif
