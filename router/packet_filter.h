/*
 * packet_filter.h - rules by which a router lets packets pass, in the language
 * of pcap-filter(7).
 *
 * Rules are tried in their order, and the first that matches decides; what none
 * matches passes.  Expressions are compiled once.  They see the packet as it
 * is at that port: what comes in is yet to be translated, what goes out has
 * been.
 */
#ifndef ROUTER_PACKET_FILTER_H
#define ROUTER_PACKET_FILTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "router/router.h"

#define PACKET_FILTER_RULES 256

struct iface;
struct packet_filter;

struct packet_filter *packet_filter_new(void);         /* NULL: no memory */
void packet_filter_free(struct packet_filter *filter); /* NULL is fine */

/* Adds a rule at the end: for what comes in by in, or goes out by out, NULL
 * being any.  0 or -Exxx. */
int packet_filter_add(struct packet_filter *filter, const struct iface *in,
    const struct iface *out, const char *expression, enum router_filter_do what,
    struct err *err);

/* What becomes of a frame of len bytes, of which the first head are there.  One
 * of in and out is NULL. */
enum router_filter_do packet_filter_decide(const struct packet_filter *filter,
    const struct iface *in, const struct iface *out, const uint8_t *frame,
    size_t head, size_t len);

#endif
