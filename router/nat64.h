/*
 * nat64.h - IPv6 hosts behind a router's NAT (RFC 6146), for the files of this
 * folder alone.
 */
#ifndef ROUTER_NAT64_H
#define ROUTER_NAT64_H

#include "net/ip64.h"
#include "router/router6.h"

struct nat64;

/* NULL: *err says why.  Ports that are made afterwards have none of it. */
struct nat64 *nat64_new(struct router *router, const struct ip64_prefix *prefix,
    uint32_t max_hosts, struct err *err);
void nat64_free(struct nat64 *nat64); /* NULL is fine */

/* The prefix of a router's NAT64, which it has. */
const struct ip64_prefix *nat64_prefix(const struct router *router);

/* Is addr behind the prefix of the router's NAT64, if it has one? */
bool nat64_has(const struct router *router, const struct ip6_addr *addr);

/* A packet from a host, to behind the prefix.  The reason is its verdict's. */
enum reason nat64_take(struct router *router, struct packet6 *p);

/* An ICMPv6 error of the router's own, to behind the prefix. */
enum reason nat64_own(struct router *router, const uint8_t *ip, size_t bytes);

/* The way to a host's virtual address.  False: it has none. */
bool nat64_way(struct router *router, uint32_t ip, struct way *way);

/* As output_ip(), by such a way.  Its packet becomes one of IPv6. */
enum reason nat64_output(struct router *router, const struct way *way,
    const struct frame *frame, const struct verdict *cause);

/* A remote address as hosts see it. */
struct ip6_addr nat64_remote(const struct router *router, uint32_t ip);

/* Who has a virtual address; NULL: nobody. */
const struct ip6_addr *nat64_host(const struct router *router, uint32_t ip);

#endif
