/*
 * look.h - what a switch knows that decides upon a frame, in words.
 */
#ifndef SWITCH_LOOK_H
#define SWITCH_LOOK_H

#include "switch/port.h"

/*
 * What the switch would look at if frame came in by port, before it does
 *
 *     VLAN 10; 52:54:00:00:00:01 was learned on lan.alice.eth0 3.2 s ago
 *
 * and nothing for a port of no switch.  Changes nothing.  Returns out.
 */
const char *switch_look(
    const struct port *port, const struct frame *frame, char *out, size_t len);

#endif
