/*
 * nat_syn.h - SYNs from outside that were refused, until it is time to say so
 * (RFC 5382 REQ-4).
 *
 * An answer at once would end a connection that both ends open at the same time
 * (RFC 9293 3.5).  So a refusal waits for NAT_SYN_WAIT_S; a SYN from inside to
 * the same end in between takes it back.  At most NAT_SYN_MAX wait; what is
 * more is never answered, and neither are more than the limit of errors.
 */
#ifndef ROUTER_NAT_SYN_H
#define ROUTER_NAT_SYN_H

#include <stdbool.h>
#include <stdint.h>

#define NAT_SYN_MAX    64
#define NAT_SYN_WAIT_S 6
/* IP header, and as much of TCP as an error quotes at least (RFC 792). */
#define NAT_SYN_BYTES 68

struct nat_syn {
	uint64_t due_ns;
	uint32_t ip, remote_ip; /* ip:port: outside */
	uint16_t port, remote_port;
	uint8_t len; /* of bytes; 0: taken back */
	uint8_t bytes[NAT_SYN_BYTES];
};

/* A ring, in the order in which they came. */
struct nat_syns {
	struct nat_syn ring[NAT_SYN_MAX];
	uint32_t first, n;
};

/* Keeps the beginning of a packet, of which bytes are there.  False: there is
 * no room. */
bool nat_syn_keep(struct nat_syns *syns, const struct nat_syn *ends,
    const uint8_t *packet, uint32_t bytes, uint64_t now_ns);

/* A SYN went out between the same ends. */
void nat_syn_forget(struct nat_syns *syns, const struct nat_syn *ends);

/* When the next one is to be answered; UINT64_MAX: there is none. */
uint64_t nat_syn_due_ns(const struct nat_syns *syns);

/* Takes one that is due.  False: there is none. */
bool nat_syn_pop(struct nat_syns *syns, uint64_t now_ns, struct nat_syn *syn);

#endif
