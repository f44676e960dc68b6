/*
 * check_parts.h - what the files of lab_check() share: check.c has names,
 * segments and the order, check_address.c, check_router.c and check_expect.c
 * one chapter of a lab file each.
 *
 * Each says what is wrong to check->problems, and goes on.
 */
#ifndef LAB_CHECK_PARTS_H
#define LAB_CHECK_PARTS_H

#include "lab/model.h"
#include "lab/nearest.h"
#include "lab/segment.h"

struct check {
	const struct lab *lab;
	struct problems *problems;
	struct segments segments;
};

/* What the file names at a place and is not in the lab; near is what it may have
 * meant. */
void check_missing(struct check *c, struct place at, const char *what,
    const char *name, const struct nearest *near, const char *remedy);
void check_no_such_port(struct check *c, struct place at, const char *name);
void check_no_such_vm(struct check *c, struct place at, const char *name);

/* ---- check_address.c ---- */

/* An address that a host can have, with a prefix of a network. */
bool check_has_address(const struct lab_port *port);
void check_address(struct check *c, const struct lab_port *port);
void check_gateway(struct check *c, const struct lab_port *port);
/* What a guest without an address hopes for. */
void check_dhcp_client(struct check *c, const struct lab_port *port);
/* Addresses, of both kinds, of all ports. */
void check_unique(struct check *c);

/* ---- check_ip6.c ---- */

void check_address6(struct check *c, const struct lab_port *port);
/* IPv6 addresses of all ports. */
void check_unique6(struct check *c);
void check_prefixes6(struct check *c, const struct lab_router *router);
/* The filter of IPv6, and prefixes that are translated. */
void check_outside6(struct check *c, const struct lab_router *router);
/* The next hop of an IPv6 route. */
void check_via6(struct check *c, const struct lab_router *router,
    const struct lab_route *route);

/* ---- check_router.c ---- */

void check_routers(struct check *c);
void check_host(struct check *c, const struct lab_host *host);
void check_plug(struct check *c, const struct lab_plug *plug);

/* ---- check_wan.c ---- */

/* Ports that get their address by DHCP, and those that make way for it. */
void check_wan(struct check *c, const struct lab_router *router);

/* ---- check_expect.c ---- */

void check_capture(struct check *c, const struct lab_capture *capture);
void check_event(struct check *c, const struct lab_event *event);
void check_expect(struct check *c, const struct lab_expect *e);

#endif
