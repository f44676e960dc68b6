/*
 * switch_control.h - what the switch of a lab speaks on its ports: bonds, LLDP,
 * and who wants which multicast groups.
 */
#ifndef LAB_SWITCH_CONTROL_H
#define LAB_SWITCH_CONTROL_H

#include "lab/model.h"
#include "switch/aggregation.h"
#include "switch/lldp_protocol.h"
#include "switch/snooping.h"

struct switch_control {
	const struct lab_switch *lab;
	struct aggregation *aggregation; /* NULL: no bonds */
	struct port **bonds;             /* in the lab's order */
	struct lldp_protocol *lldp;      /* NULL: it is silent */
	struct snooping *snooping;       /* NULL: groups are flooded */
};

/* 0, or -Exxx with *err; either way to be freed, before the switch. */
int switch_control_init(struct switch_control *control, struct lan_switch *sw,
    const struct lab_switch *lab, struct err *err);
void switch_control_free(struct switch_control *control);
/* Says goodbye to neighbours. */
void switch_control_stop(struct switch_control *control);

/* A port of the switch will be one of a bond; NULL: of none. */
int switch_control_bond(struct switch_control *control, struct port *port,
    const struct lab_bond *bond, uint64_t priority, struct err *err);
/* A port of the switch, to which the lab's port will be joined. */
int switch_control_plug(struct switch_control *control, struct port *port,
    const struct lab_port *lab, struct err *err);

/* switch_control's part of lab_check(). */
void lab_check_control(const struct lab *lab, struct problems *problems);

#endif
