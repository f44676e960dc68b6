#include "lab/switch_control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int
add_bond(struct switch_control *c, const struct lab_bond *bond,
    struct port **port, struct err *err)
{
	const struct bond_options options = {
		.mode = (enum bond_mode)bond->mode,
		.hash = { .level = (enum flow_level)bond->hash,
		    .symmetric = bond->symmetric },
		.fast = bond->rate == 1,
		.system_priority = (uint16_t)bond->system_priority,
		.key = (uint16_t)bond->key,
		.min_links = (unsigned int)bond->min_links,
		.max_links = (unsigned int)bond->max_links,
		.individual = bond->individual,
	};
	char name[NODE_NAME_BYTES];

	snprintf(name, sizeof(name), "%.20s.%.20s", c->lab->item.name,
	    bond->item.name);
	*port = aggregation_add(c->aggregation, name, &options, err);
	return *port == NULL ? -ENOMEM : 0;
}

static int
add_bonds(struct switch_control *c, struct lan_switch *sw, struct err *err)
{
	int e = 0;

	if (c->lab->nbonds == 0)
		return 0;
	c->bonds = calloc(c->lab->nbonds, sizeof(c->bonds[0]));
	if (c->bonds == NULL)
		return err_set(err, -ENOMEM, "out of memory");
	c->aggregation = aggregation_new(sw, err);
	if (c->aggregation == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < c->lab->nbonds && e == 0; i++)
		e = add_bond(c, &c->lab->bonds[i], &c->bonds[i], err);
	return e;
}

static int
add_lldp(struct switch_control *c, struct lan_switch *sw, struct err *err)
{
	const struct lab_lldp *lldp = &c->lab->lldp;
	const struct lldp_protocol_options options = {
		.agent = { .interval_ns = lldp->interval_ns,
		    .hold = (unsigned int)lldp->hold,
		    .send = lldp->mode != LLDP_RECEIVE,
		    .receive = lldp->mode != LLDP_SEND },
		.description = "lanyard virtual switch",
		.address = lldp->address,
	};

	if (lldp->item.node == NULL)
		return 0;
	c->lldp = lldp_protocol_new(sw, &options, err);
	return c->lldp == NULL ? -ENOMEM : 0;
}

static int
add_snooping(struct switch_control *c, struct lan_switch *sw, struct err *err)
{
	const struct lab_snooping *s = &c->lab->snooping;
	const struct groups_options options = {
		.unregistered = (enum groups_unregistered)s->unregistered,
		.fast_leave = s->fast_leave,
		.querier = s->querier,
		.query_ns = s->query_ns,
		.response_ns = s->response_ns,
		.last_ns = s->last_ns,
		.robustness = (uint8_t)s->robustness,
		.igmp = (uint8_t)s->igmp,
		.mld = (uint8_t)s->mld,
		.max_groups = (unsigned int)s->max_groups,
	};

	if (s->item.node == NULL)
		return 0;
	c->snooping = snooping_new(sw, &options, err);
	return c->snooping == NULL ? -ENOMEM : 0;
}

int
switch_control_init(struct switch_control *control, struct lan_switch *sw,
    const struct lab_switch *lab, struct err *err)
{
	int e;

	*control = (struct switch_control){ .lab = lab };
	e = add_snooping(control, sw, err);
	if (e == 0)
		e = add_lldp(control, sw, err);
	return e < 0 ? e : add_bonds(control, sw, err);
}

void
switch_control_stop(struct switch_control *control)
{
	if (control->lldp != NULL)
		lldp_protocol_stop(control->lldp);
}

void
switch_control_free(struct switch_control *control)
{
	lldp_protocol_free(control->lldp);
	aggregation_free(control->aggregation);
	snooping_free(control->snooping);
	free(control->bonds);
}

int
switch_control_bond(struct switch_control *control, struct port *port,
    const struct lab_bond *bond, uint64_t priority, struct err *err)
{
	if (bond == NULL)
		return 0;
	return aggregation_join(control->aggregation,
	    control->bonds[bond - control->lab->bonds], port,
	    (uint16_t)priority, err);
}

int
switch_control_plug(struct switch_control *control, struct port *port,
    const struct lab_port *lab, struct err *err)
{
	int e = switch_control_bond(
	    control, port, lab->bond, lab->bond_priority, err);

	if (e == 0 && lab->multicast_router)
		snooping_set_router(
		    control->snooping, switch_bridge_port(port));
	return e;
}
