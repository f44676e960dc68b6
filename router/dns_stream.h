/*
 * dns_stream.h - asks a DNS server of the host's network by TCP (RFC 7766): what
 * is too long for a datagram, and what libevent's resolver has no words for.
 *
 * One question a connection, which ends with its answer, or after
 * DNS_STREAM_S.  What does not answer the question is not taken: another id, or
 * another question.
 */
#ifndef ROUTER_DNS_STREAM_H
#define ROUTER_DNS_STREAM_H

#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"

#define DNS_STREAM_S     4
#define DNS_STREAM_BYTES 1232 /* of a question: longer ones are not asked */

struct dns_stream;

/* Asks what the message says, its id included, and calls done once, later, with
 * the answer, good until that returns, or with NULL.  NULL: no memory, or too
 * long; then done is not called. */
struct dns_stream *dns_stream_ask(struct loop *loop, uint32_t addr,
    uint16_t port, const uint8_t *message, size_t bytes,
    void (*done)(void *arg, const uint8_t *answer, size_t bytes), void *arg);

/* done is not called any more. */
void dns_stream_cancel(struct dns_stream *stream);

#endif
