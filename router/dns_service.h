/*
 * dns_service.h - a router's answers to its links' questions about names
 * (RFC 1035).
 *
 * Names of the lab are answered by a look-up, all others by an upstream server,
 * whose answers are kept for their time to live.  IPv4 addresses alone are told:
 * the router forwards nothing else, so a question about IPv6 addresses is
 * answered by none.  Questions of other types are refused as not implemented.
 * Up to DNS_ASKING questions wait for the upstream server at a time; those
 * beyond are dropped, DROP_DNS_FULL, and asked again by their client.
 */
#ifndef ROUTER_DNS_SERVICE_H
#define ROUTER_DNS_SERVICE_H

#include "base/err.h"
#include "net/udp.h"
#include "router/dns_cache.h"
#include "router/router.h"

#define DNS_ASKING    128
#define DNS_LOCAL_S   5  /* time to live of the lab's names */
#define DNS_MISSING_S 30 /* a name that does not exist is remembered */

struct dns_service;
struct packet;

/* NULL: *err says why. */
struct dns_service *dns_service_new(struct router *router,
    const struct router_dns_options *options, struct err *err);
void dns_service_free(struct dns_service *service); /* NULL is fine */

/* A datagram to port 53 of one of the router's addresses. */
enum reason dns_service_take(
    struct dns_service *service, struct packet *p, const struct udp *udp);

#endif
