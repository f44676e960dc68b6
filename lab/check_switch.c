#include "lab/check_switch.h"

#include <stdio.h>
#include <string.h>

#include "lab/nearest.h"

/* ---- rules ---- */

static void
check_rules(struct problems *problems, const struct lab_item *item,
    const struct lab_rules *rules, const char *what)
{
	struct err err = { "" };

	if (rules_check(rules, &err) < 0)
		problem_add(problems, item->node->at, "%s: %s", what, err.text);
}

static void
check_port(struct problems *problems, const struct lab_port *port)
{
	char what[NODE_NAME_BYTES + 16];

	snprintf(what, sizeof(what), "port \"%s\"", port->full);
	if (port->sw_name == NULL && port->rules.given != 0)
		problem_add(problems, lab_place(&port->item, NULL),
		    "%s: VLANs, limits and the like are a switch's, and it is "
		    "not plugged into one; remove them, or add \"switch:\"",
		    what);
	check_rules(problems, &port->item, &port->rules, what);
}

/* Among ports with VLANs, one without is easily forgotten. */
static void
warn_of_transparent(struct problems *problems, const struct lab *lab,
    const struct lab_switch *sw)
{
	const struct lab_port *clear = NULL;
	bool has_vlans = false;

	for (unsigned int i = 0; i < lab->nports; i++) {
		const struct lab_rules *rules = &lab->ports[i]->rules;
		bool vlans = rules->vlan != 0 || rules->tunnel != 0 ||
		    keyset_is_given(&rules_keys, rules, "trunk");

		if (lab->ports[i]->sw != sw)
			continue;
		has_vlans |= vlans;
		if (!vlans && clear == NULL)
			clear = lab->ports[i];
	}
	for (unsigned int m = 0; clear != NULL && m < sw->nmirrors; m++)
		if (sw->mirrors[m].to != NULL &&
		    strcmp(sw->mirrors[m].to, clear->full) == 0)
			return;
	if (has_vlans && clear != NULL)
		problem_warn(problems, lab_place(&clear->item, "switch"),
		    "port \"%s\" has no VLAN on a switch with VLANs: its "
		    "untagged frames reach only ports of the same kind; add "
		    "\"vlan:\" or \"trunk:\"",
		    clear->full);
}

/* ---- mirrors ---- */

static void
not_there(struct problems *problems, const struct lab *lab,
    const struct lab_switch *sw, struct place at, const char *name)
{
	struct nearest near;

	nearest_init(&near, name);
	for (unsigned int i = 0; i < lab->nports; i++)
		if (lab->ports[i]->sw == sw)
			nearest_try(&near, lab->ports[i]->full);
	for (unsigned int i = 0; i < lab->nswitches; i++)
		if (lab_is_plugged(lab, sw, lab->switches[i].item.name))
			nearest_try(&near, lab->switches[i].item.name);
	problem_add(problems, at,
	    "\"%.60s\" is not plugged into switch \"%s\"; %s%s%s", name,
	    sw->item.name,
	    near.best != NULL ? "did you mean \"" : "name what is",
	    near.best != NULL ? near.best : "", near.best != NULL ? "\"?" : "");
}

static bool
names(const struct lab_texts *texts, const char *name)
{
	for (unsigned int i = 0; i < texts->n; i++)
		if (strcmp(texts->list[i].text, name) == 0)
			return true;
	return false;
}

static void
check_mirror(struct problems *problems, const struct lab *lab,
    const struct lab_switch *sw, const struct lab_mirror *mirror)
{
	const struct lab_texts *const lists[] = { &mirror->of, &mirror->in,
		&mirror->out };
	struct place at = lab_place(&mirror->item, "to");
	unsigned int n = 0;

	for (unsigned int k = 0; k < 3; k++) {
		n += lists[k]->n;
		for (unsigned int i = 0; i < lists[k]->n; i++)
			if (!lab_is_plugged(lab, sw, lists[k]->list[i].text))
				not_there(problems, lab, sw,
				    lists[k]->list[i].node->at,
				    lists[k]->list[i].text);
	}
	if (n == 0 && mirror->vlan == 0)
		problem_add(problems, lab_place(&mirror->item, NULL),
		    "mirror \"%s\" looks at nothing; add \"of:\" with ports, "
		    "or \"vlan:\"",
		    mirror->item.name);
	if (mirror->to == NULL)
		return;
	if (lab_port(lab, mirror->to) == NULL ||
	    !lab_is_plugged(lab, sw, mirror->to)) {
		not_there(problems, lab, sw, at, mirror->to);
		return;
	}
	for (unsigned int i = 0; i < sw->nmirrors; i++) {
		const struct lab_mirror *other = &sw->mirrors[i];

		if (!names(&other->of, mirror->to) &&
		    !names(&other->in, mirror->to) &&
		    !names(&other->out, mirror->to))
			continue;
		problem_add(problems, at,
		    "port \"%s\" shows mirror \"%s\", and mirror \"%s\" looks "
		    "at it; name another port",
		    mirror->to, mirror->item.name, other->item.name);
	}
}

/* ---- all of it ---- */

static void
check_switch(struct problems *problems, const struct lab *lab,
    const struct lab_switch *sw)
{
	for (unsigned int i = 0; i < sw->nuplinks; i++) {
		const struct lab_uplink *link = &sw->uplinks[i];
		char what[NODE_NAME_BYTES + 16];

		snprintf(
		    what, sizeof(what), "uplink \"%.40s\"", link->item.name);
		check_rules(problems, &link->item, &link->rules, what);
	}
	for (unsigned int i = 0; i < sw->nmirrors; i++)
		check_mirror(problems, lab, sw, &sw->mirrors[i]);
	warn_of_transparent(problems, lab, sw);
}

void
lab_check_switches(const struct lab *lab, struct problems *problems)
{
	const struct yaml *before = NULL;

	for (unsigned int i = 0; i < lab->nports; i++) {
		const struct lab_port *port = lab->ports[i];

		/* Entries that are alike are told once. */
		if (port->item.node != before)
			check_port(problems, port);
		before = port->item.node;
	}
	before = NULL;
	for (unsigned int i = 0; i < lab->nswitches; i++) {
		if (lab->switches[i].item.node != before)
			check_switch(problems, lab, &lab->switches[i]);
		before = lab->switches[i].item.node;
	}
}
