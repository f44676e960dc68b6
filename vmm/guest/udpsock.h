/*
 * udpsock.h - UDP sockets (RFC 768, RFC 1122 4.1), for both kinds of IP.
 *
 * A socket either calls for each datagram or keeps the last few thousand bytes
 * of them until they are asked for; what does not fit is dropped and counted.
 */
#ifndef GUEST_UDPSOCK_H
#define GUEST_UDPSOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/reason.h"
#include "net/udp.h"

#include "vmm/guest/icmp.h"
#include "vmm/guest/ring.h"

#define UDPSOCKS         16
#define UDPSOCK_QUEUE    16384
#define UDPSOCK_PORT_ANY 0
#define EPHEMERAL_FIRST  49152 /* RFC 6335, 6 */
#define EPHEMERAL_COUNT  16384

struct stack;
struct netif;

struct udp_from {
	struct ip6_addr src, dst;
	uint16_t sport;
	size_t data_bytes;
};

struct udpsock {
	bool used;
	uint16_t port;
	bool *wake; /* set to true when something came; may be NULL */
	/* NULL: datagrams are queued.  data is borrowed during the call. */
	void (*call)(void *arg, struct stack *stack,
	    const struct udp_from *from, const uint8_t *data);
	void *arg;
	struct icmp_notes notes;
	uint32_t dropped;
	struct ring queue; /* records of udp_from and data */
	uint8_t bytes[UDPSOCK_QUEUE];
};

struct udpsocks {
	struct udpsock sock[UDPSOCKS];
};

/* UDPSOCK_PORT_ANY takes a free one that is hard to guess.  NULL: the port or
 * all sockets are taken. */
struct udpsock *udpsock_new(struct stack *stack, uint16_t port, bool *wake);
void udpsock_free(struct udpsock *sock);

struct udp_to {
	struct ip6_addr dst;
	uint16_t dport;
	struct ip6_addr src; /* zero: that which suits dst */
	uint8_t ttl;         /* 0: the usual one */
	bool last_first;     /* fragments, if there are any: in reverse */
};

/* DROP_NONE, or why it could not be sent. */
enum reason udpsock_send(struct stack *stack, struct udpsock *sock,
    const struct udp_to *to, const void *data, size_t data_bytes);

/* The next queued datagram, its data cut to size.  False: none. */
bool udpsock_take(
    struct udpsock *sock, struct udp_from *from, void *data, size_t size);

enum reason udpsock_input(struct netif *nif, const struct ip_in *in,
    struct cursor *c, unsigned int how);

/* ICMP said something about a datagram sent from port. */
enum reason udpsock_note(
    struct stack *stack, uint16_t port, const struct icmp_note *note);

#endif
