/*
 * outside.h - the outside ends of a router's NAT, as the lab file and lanyard
 * set write them: addresses, forwarded ports, and who is exempt.
 */
#ifndef LAB_OUTSIDE_H
#define LAB_OUTSIDE_H

#include "lab/model.h"
#include "router/router.h"

/* "tcp:8080=10.0.0.5:80", "udp:203.0.113.9:5060=10.0.0.5:5060".  0, or -EINVAL
 * with *err. */
int outside_read_forward(
    struct router_forward *forward, const char *text, struct err *err);

/* "tcp:8080", "udp:203.0.113.9:5060": the outside end alone. */
int outside_read_end(
    struct router_forward *forward, const char *text, struct err *err);

/* What is wrong with those of a router's NAT. */
void outside_check(const struct lab *lab, const struct lab_nat *nat,
    struct problems *problems);

/* Makes the router's NAT, whose outside port and rules options have, with its
 * addresses and forwards.  0 or -Exxx. */
int outside_make(struct router *router, const struct lab_nat *nat,
    struct router_nat_options *options, struct err *err);

#endif
