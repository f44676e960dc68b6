/*
 * filter6.h - a router's filter for IPv6 between inside and outside (RFC 6092).
 *
 * What begins inside passes, and what answers it; the rest from outside is
 * refused, but for what that RFC has let in unasked: IPsec, its key exchange,
 * HIP and Mobile IPv6 (REC-21 to 27), unless that is switched off, and what
 * hosts inside have asked for (pin6.h).  ICMPv6
 * errors pass with the flow that they are about.  Who was refused a TCP
 * connection is told so six seconds later, unless both ends have begun one
 * meanwhile (REC-34).
 */
#ifndef ROUTER_FILTER6_H
#define ROUTER_FILTER6_H

#include "router/flow6.h"
#include "router/router.h"

struct filter6;
struct iface;
struct packet6;
struct pin6_table;

/* NULL: *err says why. */
struct filter6 *filter6_new(struct router *router, struct iface *outside,
    const struct router_filter6_options *options, struct err *err);
void filter6_free(struct filter6 *filter); /* NULL is fine */

/* Does the outside begin there? */
bool filter6_is_outside(
    const struct filter6 *filter, const struct iface *iface);

/* A packet that is to leave by the outside port, or has come in there and is to
 * leave by another one, with its inside address as it is inside.  A PASS reason,
 * and *entry is the flow's number or 0, or a DROP. */
enum reason filter6_out(
    struct filter6 *filter, const struct packet6 *p, uint32_t *entry);
enum reason filter6_in(
    struct filter6 *filter, const struct packet6 *p, uint32_t *entry);

/* Are flows of that protocol told apart by ports? */
bool filter6_has_ports(uint8_t protocol);

/* Sees to it that the timer is set for what the last packets did. */
void filter6_arm(struct filter6 *filter);

/* Its flows, and the holes in it. */
void filter6_each(const struct filter6 *filter,
    void (*each)(void *arg, const struct flow6_row *row), void *arg);

/* The holes that were asked for, of which filter6_arm() is to be told when they
 * have changed; and its flows. */
struct pin6_table *filter6_pins(struct filter6 *filter);
const struct flow6_table *filter6_flows(const struct filter6 *filter);

/* The packet at ip, come in by in, is decided soon: for flow6_expect(), or
 * NULL. */
const void *filter6_guess(const struct filter6 *filter, const struct iface *in,
    const uint8_t *ip, size_t bytes);

#endif
