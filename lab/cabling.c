#include "lab/cabling.h"

#include <errno.h>
#include <stdlib.h>

/* Both directions of a cable as they are to be. */
struct plan {
	struct lab_wire way[WIRE_DIRECTIONS]; /* WIRE_OUT, WIRE_IN */
	struct jitter_table *table[WIRE_DIRECTIONS];
};

enum cable_side
cabling_side(const struct port *port, enum lab_direction direction)
{
	bool from_a = cable_port(port->cable, CABLE_A) == port;

	return from_a == (direction == WIRE_OUT) ? CABLE_A : CABLE_B;
}

static int
plan_way(struct plan *plan, const struct port *port,
    const struct cabling_change *change, enum lab_direction way,
    struct err *err)
{
	struct lab_wire *wire = &plan->way[way];
	struct err why = { "" };
	int e;

	if (!change->plain)
		wire->set =
		    *cable_settings(port->cable, cabling_side(port, way));
	wire_merge(wire, &change->wire[WIRE_BOTH]);
	wire_merge(wire, &change->wire[way]);
	e = cable_check(&wire->set, &why);
	if (e < 0)
		return err_set(err, e, "%s: %s: %s", port->name,
		    wire_directions[way], why.text);
	if (wire->table == NULL)
		return 0;
	plan->table[way] = malloc(sizeof(*plan->table[way]));
	if (plan->table[way] == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	return jitter_table_load(plan->table[way], wire->table, err);
}

static int
change_cable(
    struct port *port, const struct cabling_change *change, struct err *err)
{
	struct plan plan = { .table = { NULL } };
	int e = 0;

	for (int way = WIRE_OUT; way <= WIRE_IN && e == 0; way++)
		e = plan_way(&plan, port, change, (enum lab_direction)way, err);
	for (int way = WIRE_OUT; way <= WIRE_IN && e == 0; way++)
		e = cable_set(port->cable,
		    cabling_side(port, (enum lab_direction)way),
		    &plan.way[way].set, plan.table[way], err);
	for (int way = WIRE_OUT; way <= WIRE_IN; way++)
		free(plan.table[way]);
	return e;
}

int
cabling_change(
    struct port *port, const struct cabling_change *change, struct err *err)
{
	bool sets_cable = change->plain, sets_rules = change->rules.given != 0;
	struct port *of_switch = rules_port(port);
	int e = 0;

	for (int way = 0; way < WIRE_DIRECTIONS; way++)
		sets_cable |= change->wire[way].given != 0;
	if (sets_cable && port->cable == NULL)
		return err_set(
		    err, -ENODEV, "%s: has no cable to change", port->name);
	if (sets_rules && of_switch == NULL)
		return err_set(err, -ENODEV,
		    "%s: is not plugged into a switch, whose ports have VLANs "
		    "and the like",
		    port->name);
	if (sets_rules)
		e = rules_would_change(of_switch, &change->rules, err);
	if (e == 0 && sets_cable)
		e = change_cable(port, change, err);
	if (e == 0 && sets_rules)
		e = rules_change(of_switch, &change->rules, err);
	if (e == 0 && change->sets_link)
		port_set_down(port, change->down);
	return e;
}
