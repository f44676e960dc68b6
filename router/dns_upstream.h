/*
 * dns_upstream.h - asks DNS servers of the host's network, by libevent's
 * resolver: with random ports, ids and letters, and repeated, to the next of
 * them, when no answer comes; the one that answered last is asked first.  What libevent's does not do is asked by TCP
 * (dns_stream.h): answers that were cut, and questions of other types.
 */
#ifndef ROUTER_DNS_UPSTREAM_H
#define ROUTER_DNS_UPSTREAM_H

#include "base/err.h"
#include "base/loop.h"
#include "router/dns_cache.h"

struct dns_upstream;
struct dns_request;

/* NULL: *err says why; a virtual loop has no network. */
struct dns_upstream *dns_upstream_new(struct loop *loop, const uint32_t *addrs,
    unsigned int n, uint16_t port, struct err *err);
/* All requests must have ended or been cancelled.  NULL is fine. */
void dns_upstream_free(struct dns_upstream *upstream);

/* What is asked: the records of type (A, AAAA) of a name, or the name (PTR) of
 * an address. */
struct dns_ask {
	uint16_t type;
	const char *name;
	uint32_t ip4;
};

/* Calls done once, later, with NULL when there was no answer.  NULL: no memory,
 * and done is not called. */
struct dns_request *dns_upstream_ask(struct dns_upstream *upstream,
    const struct dns_ask *ask,
    void (*done)(void *arg, const struct dns_answer *answer), void *arg);
/* Passes on a message of another question, and its answer as it comes, but for
 * the id, which is chosen here; or NULL. */
struct dns_request *dns_upstream_pass(struct dns_upstream *upstream,
    const uint8_t *message, size_t bytes,
    void (*passed)(void *arg, const uint8_t *answer, size_t bytes), void *arg);

/* done is not called any more. */
void dns_upstream_cancel(struct dns_request *request);

#endif
