/*
 * nat_rest.h - mappings without users that keep their outside ends for a while,
 * so that what still comes for one does not reach another host (RFC 6888
 * REQ-8).
 *
 * The inside end that had the mapping gets it back at once; nobody else gets
 * its port.  Nothing comes in by it meanwhile.  A new session that finds the
 * table full takes the place of who has rested longest.  Exempt are, as REQ-8 has it,
 * TCP, which is tracked, and rules that filter by the remote end.
 */
#ifndef ROUTER_NAT_REST_H
#define ROUTER_NAT_REST_H

#include <stdbool.h>
#include <stdint.h>

struct nat;

/* In the order in which they began, which is that of their ends. */
struct nat_rest {
	uint32_t first, last; /* what they rest in, by id */
	uint32_t n;
};

/* Do the rules want a mapping to rest? */
bool nat_rests(const struct nat *nat, uint32_t mapping);

/* A mapping without users begins to rest.  False: the table is full of sessions
 * that live. */
bool nat_rest_begin(struct nat *nat, uint32_t mapping, uint64_t now_ns);
/* It has been woken, or will be freed. */
void nat_rest_end(struct nat *nat, uint32_t mapping);

/* Who rests longest; NAT_NONE: nobody. */
uint32_t nat_rest_first(const struct nat *nat);
/* When its rest ends; UINT64_MAX: nobody rests. */
uint64_t nat_rest_due_ns(const struct nat *nat);

/* Nobody rests longer than rules say now.  Takes time for each that does. */
void nat_rest_shorten(struct nat *nat, uint64_t now_ns);

#endif
