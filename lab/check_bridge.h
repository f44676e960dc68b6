/*
 * check_bridge.h - what cannot be bridged, for lab_check().
 */
#ifndef LAB_CHECK_BRIDGE_H
#define LAB_CHECK_BRIDGE_H

#include "lab/model.h"

/* Says, of two ports, whether frames pass from one to the other by switches
 * alone. */
typedef bool check_together(
    const void *arg, const struct lab_port *a, const struct lab_port *b);

void lab_check_bridges(const struct lab *lab, check_together *together,
    const void *arg, struct problems *problems);

#endif
