/*
 * show_rows.h - what the makers of tables share; for lab/show*.c alone.
 */
#ifndef LAB_SHOW_ROWS_H
#define LAB_SHOW_ROWS_H

#include "lab/show.h"

/* What the callbacks that make rows know. */
struct rows {
	struct table *table;
	const char *node;
	const struct show *show;
};

static inline json_int_t
number(uint64_t n)
{
	return (json_int_t)(n > INT64_MAX ? INT64_MAX : n);
}

static inline double
in_seconds(uint64_t ns)
{
	return (double)(ns / NS_PER_MS) / 1000;
}

/* show_nat_rules.c */
extern const struct table_head nat_rules_head;
void show_nat_rules(struct rows *rows);

/* show_flows.c */
extern const struct table_head flows_head;
void show_flows(struct rows *rows);

/* show_switch.c */
extern const struct table_head macs_head, vlans_head;
void show_macs(struct rows *rows);
void show_vlans(struct rows *rows);

/* show_tree.c */
extern const struct table_head trees_head, stp_head;
void show_trees(struct rows *rows);
void show_stp(struct rows *rows);

/* show_control.c */
extern const struct table_head bonds_head, lldp_head, groups_head,
    mrouters_head;
void show_bonds(struct rows *rows);
void show_lldp(struct rows *rows);
void show_groups(struct rows *rows);
void show_mrouters(struct rows *rows);

/* show_bridge.c */
extern const struct table_head macnat_head;
void show_macnat(struct rows *rows);

/* show_wan.c */
extern const struct table_head wan_head;
void show_wan(struct rows *rows);

/* show_traffic.c */
extern const struct table_head traffic_head;
void show_traffic(struct rows *rows);

#endif
