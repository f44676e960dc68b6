/*
 * The kinds of ports that reach outside the process.
 */
#include "switch/port.h"

extern const struct port_kind port_tap, port_vhost;

const struct port_kind *const port_kinds[] = {
	&port_tap,
	&port_vhost,
	NULL,
};
