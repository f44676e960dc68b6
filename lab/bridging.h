/*
 * bridging.h - the bridges of a lab file as ports of bridge/.
 */
#ifndef LAB_BRIDGING_H
#define LAB_BRIDGING_H

#include "lab/model.h"

#define BRIDGING_NAME_BYTES 16 /* of an interface, with its end */

/* The interface of a bridge: the one that is named, or that is made.  ""  if
 * none is named.  Returns out. */
char *bridging_interface(char out[BRIDGING_NAME_BYTES], const struct lab *lab,
    const struct lab_bridge *bridge);

/* Its port, of node.  NULL: *err says why. */
struct port *bridging_open(struct loop *loop, struct node *node,
    const struct lab *lab, const struct lab_bridge *bridge, struct err *err);

#endif
