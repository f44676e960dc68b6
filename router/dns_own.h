/*
 * dns_own.h - asks the DNS server of a lease by the router's own port, as a home
 * router asks its provider's: in packets of the lab, also in virtual time.
 *
 * Questions are known by their slots, 0 to DNS_ASKING - 1, one each.  An answer
 * counts if it comes from the server that was asked, to the port that asked,
 * with the same id and question, all of which are chosen anew for each.
 */
#ifndef ROUTER_DNS_OWN_H
#define ROUTER_DNS_OWN_H

#include "router/dns_upstream.h"

struct dns_own;
struct packet;
struct router;

/* Calls done once for each question, not from within dns_own_ask(), with NULL
 * when there was no answer.  NULL: no memory. */
struct dns_own *dns_own_new(struct router *router,
    void (*done)(void *arg, unsigned int slot, const struct dns_answer *answer),
    void *arg);
void dns_own_free(struct dns_own *own); /* forgets all; NULL is fine */

/* False: there is no server that could be asked now, and done is not called. */
bool dns_own_ask(
    struct dns_own *own, unsigned int slot, const struct dns_ask *ask);

/* A packet that came in by a port with a lease.  REASON_NONE: it is no answer to
 * what was asked. */
enum reason dns_own_take(struct dns_own *own, struct packet *p);

#endif
