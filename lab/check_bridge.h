/*
 * check_bridge.h - what cannot be bridged, for lab_check().
 */
#ifndef LAB_CHECK_BRIDGE_H
#define LAB_CHECK_BRIDGE_H

#include "lab/model.h"

void lab_check_bridges(const struct lab *lab, struct problems *problems);

#endif
