/*
 * nat_tcp.h - how far a TCP connection through the NAT has come (RFC 6146
 * 3.5.2, RFC 7857 2).
 */
#ifndef ROUTER_NAT_TCP_H
#define ROUTER_NAT_TCP_H

#include <stdbool.h>
#include <stdint.h>

#include "router/nat_rules.h"

enum nat_tcp_state {
	NAT_TCP_CLOSED,      /* before its first segment */
	NAT_TCP_OUT_INIT,    /* SYN from inside */
	NAT_TCP_IN_INIT,     /* SYN from outside */
	NAT_TCP_ESTABLISHED, /* SYN from both */
	NAT_TCP_OUT_FIN,     /* FIN from inside */
	NAT_TCP_IN_FIN,      /* FIN from outside */
	NAT_TCP_BOTH_FIN,    /* FIN from both */
	NAT_TCP_TRANS,       /* RST from one */
	NAT_TCP_NSTATES,
};

enum nat_direction { NAT_OUTWARDS, NAT_INWARDS };

/* What the last segment of each direction said, for the check of an RST. */
struct nat_window {
	uint32_t ack[2];
	uint16_t window[2]; /* as in the header */
	uint8_t scale[2];
	uint8_t known; /* bit 1 << direction: ack and window are set */
};

struct nat_segment;

/* The state after a segment of a connection that is in state. */
enum nat_tcp_state nat_tcp_next(enum nat_tcp_state state,
    const struct nat_segment *segment, enum nat_direction direction,
    const struct nat_window *window);

void nat_window_note(struct nat_window *window,
    const struct nat_segment *segment, enum nat_direction direction);

/* Does the segment keep a connection alive that has come to state by it? */
bool nat_tcp_refreshes(
    enum nat_tcp_state state, const struct nat_segment *segment);

/* The timer that runs in state. */
enum nat_timer nat_tcp_timer(enum nat_tcp_state state);

/* May this segment be a connection's first? */
bool nat_tcp_opens(const struct nat_segment *segment);

const char *nat_tcp_name(enum nat_tcp_state state);

#endif
