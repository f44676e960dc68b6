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

	if (keyset_is_given(&wire_keys, wire, "distribution") &&
	    keyset_is_given(&wire_keys, wire, "jitter-table"))
		problem_add(problems, item->node->at,
		    "%s: distribution stands beside jitter-table; keep one",
		    what);
	if (cable_check(&wire->set, &err) < 0)
		problem_add(problems, item->node->at, "%s: %s", what, err.text);
}

/* Both directions; told once is enough. */
static void
check_ways(struct problems *problems, const struct lab_item *item,
    const struct lab_wire ways[WIRE_DIRECTIONS], const char *name)
{
	for (int way = WIRE_OUT; way <= WIRE_IN; way++) {
		char what[NODE_NAME_BYTES + 24];

		snprintf(
		    what, sizeof(what), "%s %s", name, wire_directions[way]);
		check_way(problems, item, &ways[way], what);
		if (memcmp(&ways[WIRE_OUT], &ways[WIRE_IN], sizeof(ways[0])) ==
		    0)
			return;
	}
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
	char name[NODE_NAME_BYTES + 16];

	if (lab_says_something(port->wire) && peer != NULL &&
	    lab_says_something(peer->wire) &&
	    strcmp(port->full, peer->full) > 0) {
		problem_add(problems, lab_place(&port->item, NULL),
		    "both \"%s\" and \"%s\" say what happens on their cable; "
		    "let one of them, by in and out",
		    peer->full, port->full);
		return;
	}
	snprintf(name, sizeof(name), "port \"%s\"", port->full);
	check_ways(problems, &port->item, port->ways, name);
}

static void
check_uplinks(struct problems *problems, const struct lab_switch *sw)
{
	for (unsigned int i = 0; i < sw->nuplinks; i++) {
		char name[NODE_NAME_BYTES + 16];

		snprintf(name, sizeof(name), "uplink \"%.40s\"",
		    sw->uplinks[i].item.name);
		check_ways(
		    problems, &sw->uplinks[i].item, sw->uplinks[i].ways, name);
	}
}

void
lab_check_wires(const struct lab *lab, struct problems *problems)
{
	const struct yaml *before = NULL;

	for (unsigned int i = 0; i < lab->nswitches; i++)
		check_uplinks(problems, &lab->switches[i]);

	for (unsigned int i = 0; i < lab->nports; i++) {
		const struct lab_port *port = lab->ports[i];

		/* Entries that are alike are told once. */
		if (port->item.node != before)
			check_wire(problems, port);
		before = port->item.node;
	}
}
