#include "lab/port_kinds.h"

const struct port_kind *const port_kinds[] = {
	&port_tap,
	&port_vhost,
	NULL,
};
