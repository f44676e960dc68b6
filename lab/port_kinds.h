/*
 * port_kinds.h - what a plug of a lab can be.
 */
#ifndef LAB_PORT_KINDS_H
#define LAB_PORT_KINDS_H

#include "switch/port.h"

extern const struct port_kind *const port_kinds[]; /* NULL at the end */

#endif
