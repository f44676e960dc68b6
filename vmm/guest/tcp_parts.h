/*
 * tcp_parts.h - between tcpconn.c (life), tcp_in.c (segments in) and tcp_out.c
 * (segments out, timers).  For nobody else.
 */
#ifndef GUEST_TCP_PARTS_H
#define GUEST_TCP_PARTS_H

#include "vmm/guest/tcpconn.h"

#define TCP_DEFAULT_MSS  536 /* RFC 9293, MUST-15 */
#define TCP_FLOOR_MSS    64  /* we send no smaller ones, whatever is asked */
#define TCP_TIME_WAIT_US (60 * US_PER_S)
#define TCP_FIN_WAIT_US  (60 * US_PER_S) /* FIN-WAIT-2 that nobody reads */

/* Sequence numbers (RFC 9293, 3.4): is a before b, on the circle? */
static inline bool
seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline bool
seq_in(uint32_t seq, uint32_t from, uint32_t bytes)
{
	return seq - from < bytes;
}

/* The only writer of conn->state. */
void tcpconn_set(struct tcpconn *conn, enum tcp_state to);
/* Ends it for a reason; its owner still holds it. */
void tcpconn_fail(struct tcpconn *conn, enum tcp_error error);
/* Something changed that the owner may wait for. */
void tcpconn_wake(struct tcpconn *conn);
void tcpconn_choose_iss(struct tcpconn *conn);
/* A connection without an owner, its identity set; NULL: all are taken. */
struct tcpconn *tcpconn_new(struct stack *stack, const struct ip6_addr *local,
    uint16_t lport, const struct ip6_addr *remote, uint16_t rport);
struct tcpconn *tcpconn_find(struct stack *stack, const struct ip6_addr *local,
    uint16_t lport, const struct ip6_addr *remote, uint16_t rport);
struct tcplisten *tcplisten_find(struct stack *stack, uint16_t port);

/* Sends SYN, or SYN and ACK, and arms the timer. */
void tcp_out_syn(struct tcpconn *conn);
/* Sends what may be sent now, at least an acknowledgement if ack_now. */
void tcp_out(struct tcpconn *conn);
/* One segment again, from una on. */
void tcp_out_again(struct tcpconn *conn);
/* An acknowledgement at once, with nothing else. */
void tcp_out_ack(struct tcpconn *conn);
void tcp_out_reset(struct tcpconn *conn);
/* Answers a segment that belongs to no connection (RFC 9293, 3.10.7.1). */
void tcp_out_refuse(
    struct stack *stack, const struct ip_in *in, const struct tcp *tcp);
/* Timers. */
void tcp_out_timer(void *arg);
void tcp_out_ack_timer(void *arg);
void tcp_out_arm(struct tcpconn *conn);
/* Of the headers before a segment's bytes. */
size_t tcp_out_heads(const struct tcpconn *conn);
/* The greatest segment that fits the way to conn->remote. */
uint16_t tcp_out_mss(const struct tcpconn *conn);

#endif
