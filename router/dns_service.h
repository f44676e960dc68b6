/*
 * dns_service.h - a router's answers to its links' questions about names
 * (RFC 1035).
 *
 * Names and addresses of the lab are answered by a look-up, all others by
 * upstream servers, whose answers are kept for their time to live: that a name,
 * or a record, does not exist as long as its zone says (RFC 2308).  Questions of
 * other types than A, AAAA and PTR are passed on as they are, and so are their
 * answers (RFC 5625), which are not kept; the lab's names have nothing of those.
 * Who cannot take as much in a datagram is told so; by TCP nobody is answered.
 *
 * Without upstream servers, the one of a port's lease is asked while there is one
 * (wan.h, dns_own.h), but not for other types, which are not implemented then.
 *
 * Where the links have IPv6 hosts, AAAA records are asked for, too; else a
 * question for them is answered by none.  With DNS64 (RFC 6147) they are made of
 * A records where there are none, behind one prefix, and the names of such
 * addresses are those of the IPv4 addresses within.  Not for validators, which
 * would not believe them: who sets CD and DO sees what there is (5.5).
 *
 * Up to DNS_ASKING questions wait for the upstream server at a time; those
 * beyond are dropped, DROP_DNS_FULL, and asked again by their client.
 */
#ifndef ROUTER_DNS_SERVICE_H
#define ROUTER_DNS_SERVICE_H

#include "base/err.h"
#include "net/udp.h"
#include "router/dns_cache.h"
#include "router/router.h"

#define DNS_ASKING  128
#define DNS_LOCAL_S 5 /* time to live of the lab's names */

struct dns_service;
struct iface;
struct packet;

/* Who asks, at which of the router's addresses; ::ffff:a.b.c.d by IPv4. */
struct dns_client {
	struct ip6_addr addr, own;
	uint16_t port;
	struct iface *in;
};

/* NULL: *err says why. */
struct dns_service *dns_service_new(struct router *router,
    const struct router_dns_options *options, struct err *err);
void dns_service_free(struct dns_service *service); /* NULL is fine */

/* A packet that came in by a port with a lease, if it is an answer; else
 * REASON_NONE. */
enum reason dns_service_answer(struct dns_service *service, struct packet *p);

/* A datagram to port 53 of one of the router's addresses. */
enum reason dns_service_take(struct dns_service *service,
    const struct dns_client *client, const struct udp *udp);

#endif
