/*
 * icmp.h - what ICMP of both kinds says about what we sent, and ping sockets.
 */
#ifndef GUEST_ICMP_H
#define GUEST_ICMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/cursor.h"
#include "net/ip6.h"
#include "net/reason.h"

#include "vmm/guest/timer.h"

#define PINGSOCKS        4
#define ICMP_NOTES       8
#define ICMP_ERROR_BURST 20               /* errors we send at once ... */
#define ICMP_ERROR_US    (20 * US_PER_MS) /* ... and then one in so long */

struct stack;
struct netif;
struct ip_in;

enum icmp_kind {
	ICMP_NOTE_REPLY,
	ICMP_NOTE_UNREACHABLE, /* code says what, of ICMP or of ICMPv6 */
	ICMP_NOTE_TOO_BIG,
	ICMP_NOTE_EXPIRED, /* code 0: the hop limit, 1: waiting for fragments */
	ICMP_NOTE_PROBLEM,
};

/* What ICMP said about something we sent: a reply, or an error. */
struct icmp_note {
	uint64_t at_us;
	struct ip6_addr from; /* who said it */
	struct ip6_addr dst;  /* where what we sent was going */
	enum icmp_kind kind;
	uint8_t code, ttl;
	bool ip6;            /* it is ICMPv6 that said it */
	bool local;          /* our own stack could not send it */
	uint16_t seq;        /* of the echo; for UDP the port it was sent to */
	uint32_t mtu;        /* of ICMP_NOTE_TOO_BIG */
	uint16_t data_bytes; /* of an echo reply */
	uint64_t stamp;      /* the first eight bytes of an echo reply's data */
};

/* Is there nobody at the port that it was sent to? */
bool icmp_note_is_port(const struct icmp_note *note);

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

struct icmp_state {
	struct pingsock sock[PINGSOCKS];
	uint64_t error_us; /* time up to which the error budget is spent */
};

/* NULL: all are taken. */
struct pingsock *pingsock_new(struct stack *stack, bool *wake);
void pingsock_free(struct pingsock *sock);

/* An echo request to be sent: data_bytes of data, of which the first eight
 * (if there are as many) are stamp. */
struct ping {
	struct ip6_addr dst;
	struct ip6_addr src; /* zero: that which suits dst */
	uint16_t seq;
	uint8_t ttl;
	bool dont_fragment;
	size_t data_bytes;
	uint64_t stamp;
};
/* DROP_NONE, or why it could not be sent. */
enum reason pingsock_send(
    struct stack *stack, struct pingsock *sock, const struct ping *ping);

/* An echo reply has come in. */
struct echo {
	uint16_t id, seq;
	const uint8_t *data;
	size_t data_bytes;
};
enum reason pingsock_reply(
    struct stack *stack, const struct ip_in *in, const struct echo *echo);

/*
 * Finds who sent what an error quotes, from src to note->dst, its transport
 * header being at c, and tells him.  note is filled in but for seq and stamp.
 */
enum reason icmp_tell(struct stack *stack, struct icmp_note *note,
    const struct ip6_addr *src, uint8_t protocol, struct cursor *c);

/* May one more error be sent?  Then it is counted. */
bool icmp_may_send(struct stack *stack);

/* Answers a packet of either kind with the error that says that nobody listens
 * at its port. */
void icmp_refuse_port(
    struct netif *nif, const struct ip_in *in, unsigned int how);

#endif
