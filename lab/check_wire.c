#include "lab/check_wire.h"

#include <stdio.h>
#include <string.h>

/* What is said about a cable can be, in each of its directions as it would
 * be: that which is said here alone, or on what there is. */
static void
check_way(struct problems *problems, const struct lab_item *item,
    const struct lab_wire *wire, const char *what)
{
	struct err err = { "" };

	if (wire_is_given(wire, "distribution") &&
	    wire_is_given(wire, "jitter-table"))
		problem_add(problems, item->node->at,
		    "%s: distribution stands beside jitter-table; keep one",
		    what);
	if (cable_check(&wire->set, &err) < 0)
		problem_add(problems, item->node->at, "%s: %s", what, err.text);
}

bool
lab_says_something(const struct lab_wire wire[WIRE_DIRECTIONS])
{
	return (wire[WIRE_BOTH].given | wire[WIRE_OUT].given |
		   wire[WIRE_IN].given) != 0;
}

static void
check_wire(struct problems *problems, const struct lab_port *port)
{
	const struct lab_port *peer = port->peer;

	if (lab_says_something(port->wire) && peer != NULL &&
	    lab_says_something(peer->wire) &&
	    strcmp(port->full, peer->full) > 0) {
		problem_add(problems, lab_place(&port->item, NULL),
		    "both \"%s\" and \"%s\" say what happens on their cable; "
		    "let one of them, by in and out",
		    peer->full, port->full);
		return;
	}
	for (int way = WIRE_OUT; way <= WIRE_IN; way++) {
		char what[NODE_NAME_BYTES + 16];

		snprintf(what, sizeof(what), "port \"%s\" %s", port->full,
		    wire_directions[way]);
		check_way(problems, &port->item, &port->ways[way], what);
		/* Told once is enough. */
		if (memcmp(&port->ways[WIRE_OUT], &port->ways[WIRE_IN],
			sizeof(port->ways[0])) == 0)
			return;
	}
}

void
lab_check_wires(const struct lab *lab, struct problems *problems)
{
	const struct yaml *before = NULL;

	for (unsigned int i = 0; i < lab->nports; i++) {
		const struct lab_port *port = lab->ports[i];

		/* Entries that are alike are told once. */
		if (port->item.node != before)
			check_wire(problems, port);
		before = port->item.node;
	}
}
