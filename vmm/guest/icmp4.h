/*
 * icmp4.h - ICMP for a host (RFC 792, RFC 1122 3.2.2), and ping sockets.
 */
#ifndef GUEST_ICMP4_H
#define GUEST_ICMP4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/icmp.h"
#include "net/ip4.h"
#include "net/reason.h"

#define PINGSOCKS        4
#define ICMP_NOTES       8
#define ICMP_ERROR_BURST 20               /* errors we send at once ... */
#define ICMP_ERROR_US    (20 * US_PER_MS) /* ... and then one in so long */

struct stack;
struct netif;
struct packet;

/* What ICMP said about something we sent: a reply, or an error. */
struct icmp_note {
	uint64_t at_us;
	uint32_t from; /* who said it */
	uint32_t dst;  /* where what we sent was going */
	uint8_t type, code, ttl;
	bool local;          /* our own stack could not send it */
	uint16_t seq;        /* of the echo; for UDP the port it was sent to */
	uint16_t mtu;        /* of ICMP_UNREACH_NEEDFRAG */
	uint16_t data_bytes; /* of an echo reply */
	uint64_t stamp;      /* the first eight bytes of an echo reply's data */
};

/* The last few notes; the oldest are pushed out. */
struct icmp_notes {
	unsigned int first, count;
	struct icmp_note note[ICMP_NOTES];
};

void icmp_notes_add(struct icmp_notes *notes, const struct icmp_note *note);
bool icmp_notes_take(struct icmp_notes *notes, struct icmp_note *note);

/* Hears the answers to the echo requests that carry its id. */
struct pingsock {
	bool used;
	uint16_t id;
	bool *wake; /* set to true when there is a note */
	struct icmp_notes notes;
};

struct icmp4 {
	struct pingsock sock[PINGSOCKS];
	uint64_t error_us; /* time up to which the error budget is spent */
};

/* NULL: all are taken. */
struct pingsock *pingsock_new(struct stack *stack, bool *wake);
void pingsock_free(struct pingsock *sock);

/* An echo request to be sent: data_bytes of data, of which the first eight
 * (if there are as many) are stamp. */
struct ping {
	uint32_t dst;
	uint16_t seq;
	uint8_t ttl;
	bool dont_fragment;
	size_t data_bytes;
	uint64_t stamp;
};
/* DROP_NONE, or why it could not be sent. */
enum reason pingsock_send(
    struct stack *stack, struct pingsock *sock, const struct ping *ping);

enum reason icmp4_input(struct netif *nif, const struct ip4 *ip,
    struct cursor *c, unsigned int how);

/* Answers a packet, whose payload c is at, with an error; unless it must have
 * none (RFC 1122, 3.2.2) or the budget is spent. */
void icmp4_error(struct netif *nif, const struct ip4 *ip,
    const struct cursor *c, unsigned int how, uint8_t type, uint8_t code);

/* A packet of ours that ARP found no neighbour for: tells its sender. */
void icmp4_unreachable_neighbour(
    struct netif *nif, const struct packet *packet);

#endif
