/*
 * check_wire.h - what cannot happen on cables of a lab; a part of lab_check().
 */
#ifndef LAB_CHECK_WIRE_H
#define LAB_CHECK_WIRE_H

#include "lab/model.h"

void lab_check_wires(const struct lab *lab, struct problems *problems);

/* Is anything said about a cable? */
bool lab_says_something(const struct lab_wire wire[WIRE_DIRECTIONS]);

#endif
