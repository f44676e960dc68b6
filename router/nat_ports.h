/*
 * nat_ports.h - the outside ports of one protocol: which are taken, and the
 * choice of another (RFC 4787 REQ-3 and REQ-4, RFC 6056 3.3.1).
 */
#ifndef ROUTER_NAT_PORTS_H
#define ROUTER_NAT_PORTS_H

#include <stdbool.h>
#include <stdint.h>

struct nat_ports {
	uint64_t taken[65536 / 64];
	bool has_classes; /* TCP and UDP: below 1024 and the rest; 0 is none */
};

static inline bool
nat_port_is_taken(const struct nat_ports *ports, uint16_t port)
{
	return ports->taken[port / 64] >> port % 64 & 1;
}

/* Takes want if it is free, else another port of its class, of the same parity
 * if there is one.  Returns it, or -1: the class is used up. */
int32_t nat_ports_take(
    struct nat_ports *ports, uint16_t want, uint64_t *random);
void nat_ports_give(struct nat_ports *ports, uint16_t port);

/* The next number of a generator whose state is *random (splitmix64). */
static inline uint64_t
nat_random(uint64_t *random)
{
	uint64_t z = *random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

#endif
