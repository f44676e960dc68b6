/*
 * nat_ports.h - the outside ports of one protocol: which are taken, and the
 * choice of another (RFC 4787 REQ-3 and REQ-4, RFC 6056 3.3.1).
 */
#ifndef ROUTER_NAT_PORTS_H
#define ROUTER_NAT_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#define NAT_PORT_CLASS_END 1024

struct nat_ports {
	uint64_t taken[65536 / 64];
	uint16_t *sharers;  /* of each port but its first user; NULL: none */
	uint32_t ntaken[2]; /* below NAT_PORT_CLASS_END, and the rest */
	bool has_classes; /* TCP and UDP: below 1024 and the rest; 0 is none */
};

static inline bool
nat_port_is_taken(const struct nat_ports *ports, uint16_t port)
{
	return ports->taken[port / 64] >> port % 64 & 1;
}

/* Are all from first to last taken, which are one class, or all ports? */
static inline bool
nat_ports_are_taken(
    const struct nat_ports *ports, uint16_t first, uint16_t last)
{
	uint32_t low = ports->ntaken[0], high = ports->ntaken[1];

	if (last < NAT_PORT_CLASS_END)
		return low == NAT_PORT_CLASS_END - 1u;
	if (first >= NAT_PORT_CLASS_END)
		return high == 65536 - NAT_PORT_CLASS_END;
	return low + high == 65536;
}

/* Which port is wanted, and which else will do. */
struct nat_port_wish {
	uint16_t want;
	bool exact;           /* want itself, if it is free */
	bool parity;          /* else one as even or odd, if there is one */
	uint16_t first, last; /* of those that will do */
};

/* The wish for want, or another port of its class and parity. */
static inline struct nat_port_wish
nat_port_wish(const struct nat_ports *ports, uint16_t want)
{
	struct nat_port_wish wish = { want, true, true, 0, 65535 };

	if (ports->has_classes && want < NAT_PORT_CLASS_END) {
		wish.first = 1;
		wish.last = NAT_PORT_CLASS_END - 1;
	} else if (ports->has_classes) {
		wish.first = NAT_PORT_CLASS_END;
	}
	return wish;
}

/* Takes a port as wished.  Returns it, or -1: all that will do are taken. */
int32_t nat_ports_take(struct nat_ports *ports,
    const struct nat_port_wish *wish, uint64_t *random);
/* One more user of a port that is taken.  False: it has too many, or ports has
 * no memory of them. */
bool nat_ports_share(struct nat_ports *ports, uint16_t port);
/* The port is free when its last user has given it back. */
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
