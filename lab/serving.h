/*
 * serving.h - what a router's port serves to its link, as the lab file says.
 */
#ifndef LAB_SERVING_H
#define LAB_SERVING_H

#include "lab/fabric.h"
#include "net/dhcp.h"
#include "router/router.h"

/* Reads the value of an option of DHCP.  False: *why is what is wrong, and what
 * to do. */
bool serving_option(struct dhcp_extra *out,
    const struct lab_dhcp_option *option, const char **why);

/* DHCP, if port has a range, or its relay.  0 or -Exxx. */
int serving_dhcp(struct router *router, struct port *port,
    const struct lab_port *lp, struct err *err);

/* Router advertisements, if port has them.  0 or -Exxx. */
int serving_ra(struct router *router, struct port *port,
    const struct lab_port *lp, struct err *err);

/* The filter of IPv6, and prefixes that are translated.  0 or -Exxx. */
int serving_outside6(const struct fabric *fabric, const struct lab_router *lr,
    struct router *router, struct err *err);

/* The domain that hosts behind a router's port are told, or NULL. */
const char *serving_domain(const struct lab_port *lp);

/* Whose names a router answers. */
struct serving {
	const struct fabric *fabric;
	const char *domain;
};

/* DNS, if the router has it.  serving and fabric must outlive the router.  0 or
 * -Exxx. */
int serving_dns(struct serving *serving, const struct fabric *fabric,
    const struct lab_router *lr, struct router *router, struct err *err);

/* PCP and NAT-PMP, if the router has them; its NAT and its filter of IPv6 are
 * made.  0 or -Exxx. */
int serving_pcp(
    const struct lab_router *lr, struct router *router, struct err *err);

/* The rules for packets.  0 or -Exxx. */
int serving_filter(const struct fabric *fabric, const struct lab_router *lr,
    struct router *router, struct err *err);
void serving_check_filter(
    const struct lab_router *router, struct problems *problems);

/* What cannot be of that; adds to problems. */
void serving_check(const struct lab_port *port, struct problems *problems);

#endif
