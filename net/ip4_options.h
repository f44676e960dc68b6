/*
 * ip4_options.h - the options of an IPv4 header that routers read, or write into
 * (RFC 791 3.1).
 *
 * Pure functions.
 */
#ifndef NET_IP4_OPTIONS_H
#define NET_IP4_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/ip4.h"

#define IP4_OPTIONS_MAX 40

/* Does its source say which routers to visit, and has it been to all of them?
 * Options behind one that makes no sense are not read. */
enum ip4_source_route {
	IP4_SOURCE_ROUTE_NONE,
	IP4_SOURCE_ROUTE_ENDED,
	IP4_SOURCE_ROUTE_GOES_ON,
};
enum ip4_source_route ip4_source_route(const struct ip4 *ip);

/* The address that internet timestamp asks next for its time; 0: none. */
uint32_t ip4_options_asked(const uint8_t *options, size_t bytes);

/* Writes the router's address into record route, and that or the time into
 * internet timestamp, as they ask for it (RFC 1812 5.3.13.5, 5.3.13.6); asked:
 * who is asked by address is this router.  What is full or makes no sense stays
 * as it is. */
void ip4_options_sign(
    uint8_t *options, size_t bytes, uint32_t addr, bool asked, uint32_t time);

/* Leaves only what is signed, which an echo reply brings back (RFC 1812
 * 4.3.3.6): others become padding.  How many bytes remain, 0 if it is nothing
 * else. */
size_t ip4_options_keep_signed(uint8_t *options, size_t bytes);

/* A time in milliseconds that does not count from midnight UT. */
static inline uint32_t
ip4_options_time(uint64_t now_ns)
{
	return (uint32_t)(now_ns / 1000000) | UINT32_C(0x80000000);
}

#endif
