/*
 * sockets_tcp.h - a TCP connection of a guest, and the socket that goes on.
 *
 *   CONNECTING --connected--> OPEN --both sides ended--> LINGERING --time--> ENDED
 *       |                      |                             |
 *       '------ refused -------'----- reset by either -------'-------------> ENDED
 *
 *     sockets_tcp.c       flows: how they begin and end, and who gets a segment
 *     sockets_receive.c   what the guest sends, to the socket
 *     sockets_send.c      what the peer sends, to the guest
 *     sockets_segment.c   segments to the guest, and the window that they say
 *
 * LINGERING answers a guest's last segment again (RFC 9293 3.6.1).  ENDED is
 * found by no segment any more, and gone when the round ends.
 *
 * What a guest sends, and what a socket tells, only changes a flow and has it
 * looked at when the round ends, by one deferred call: there alone, and in
 * timers, segments leave.  So nothing is sent from within a node that is sending
 * to us, and what is sent may come back to us at once.
 */
#ifndef BRIDGE_SOCKETS_TCP_H
#define BRIDGE_SOCKETS_TCP_H

#include "bridge/sockets.h"
#include "net/eth.h"
#include "net/tcp.h"

#define TTL          64
#define MSS          (ETH_MTU - IP4_HEADER_BYTES - TCP_HEADER_BYTES)
#define SCALE        8 /* of windows that we say */
#define WINDOW_MAX   (UINT32_C(0xffff) << SCALE)
#define FLIGHT_MAX   (2u * 1024 * 1024) /* not acknowledged by the guest */
#define TRIES_MAX    12
#define IDLE_NS      (7440 * NS_PER_S) /* RFC 5382 REQ-5 */
#define HALF_IDLE_NS (240 * NS_PER_S)  /* one side has ended */
#define BURST_PIECES 512

/* A segment behind a hole. */
struct held {
	TAILQ_ENTRY(held) next;
	uint32_t seq, bytes;
	uint8_t data[];
};

enum tcp_state { CONNECTING, OPEN, LINGERING, ENDED };

/* What an ENDED flow's guest is told. */
enum farewell { SAY_NOTHING, SAY_RESET, SAY_NO_NET, SAY_NO_HOST };

struct tcp_flow {
	LIST_ENTRY(tcp_flow) others;
	TAILQ_ENTRY(tcp_flow) dirty_link, linger_link;
	struct sockets *s;
	struct loop_watch *watch;
	struct loop_timer timer;  /* retransmission, or idleness */
	uint64_t linger_until_ns; /* LINGERING */
	int fd;
	enum tcp_state state;
	enum farewell farewell;
	uint32_t in_ip, out_ip;
	uint16_t in_port, out_port;
	struct mac mac;

	/* to the guest, RFC 9293 3.3.1: una <= nxt <= max */
	uint32_t una, nxt, max;
	uint32_t window;  /* the guest's, in bytes */
	uint8_t wscale;   /* of the guest's windows */
	bool scaled;      /* both sides scale */
	bool peek_off;    /* SO_PEEK_OFF works */
	uint32_t peek_at; /* and is this now: the kernel moves it, too */
	bool eof;         /* the peer has ended; FIN is at max - 1 */
	bool fin_acked;   /* which the guest knows */
	bool synced;      /* the guest has acknowledged our SYN */
	bool to_pump;     /* more may be sent */
	bool to_resend;   /* what is at una was lost */
	uint32_t unread;  /* acknowledged, and in the socket still */
	uint16_t mss;     /* the guest's */
	uint8_t dupacks, tries;
	bool probed;     /* the end of what is in flight was sent again */
	bool recovering; /* until recover is acknowledged */
	uint32_t recover, cwnd, ssthresh;
	bool timing; /* the segment that ends at timed */
	uint32_t timed;
	uint64_t timed_ns, srtt_ns, rttvar_ns, rto_ns;

	/* from the guest */
	uint32_t rcv;                     /* wanted next */
	uint32_t edge;                    /* of the window that it knows */
	TAILQ_HEAD(held_list, held) held; /* in the order of their seq */
	uint32_t held_bytes, held_last;   /* the latest one's seq */
	bool sack;          /* the guest wants to know of them (RFC 2018) */
	bool guest_fin;     /* it has ended */
	bool to_shut;       /* of which the socket does not know yet */
	bool dirty;         /* to be looked at when the round ends */
	uint8_t owed;       /* acknowledgements */
	bool wait_write;    /* the window was small: say when it is not */
	uint32_t queued_to; /* rcv, when the socket had sent all of it */
};

TAILQ_HEAD(linger_list, tcp_flow);

/* Data of one guest's connection on its way to the socket. */
struct tcp_burst {
	struct tcp_flow *flow;
	unsigned int npieces, nframes;
	size_t bytes;
	uint32_t size; /* of a socket's buffer for sending, 0: not known */
	struct iovec piece[BURST_PIECES];
	struct frame *frame[BURST_MAX];
	uint32_t end[BURST_MAX]; /* of each frame's data among the bytes */
	TAILQ_HEAD(dirty_list, tcp_flow) dirty;
	struct loop_defer work;       /* looks at them */
	struct linger_list lingering; /* the eldest first */
	unsigned int nlingering;
	struct loop_timer linger; /* until its time is over */
};

/* Comparing sequence numbers. */
static inline bool
seq_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

static inline uint32_t
smaller(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* ---- sockets_tcp.c ---- */

/* It is over; the socket is reset if it is open. */
void tcp_flow_end(struct tcp_flow *t, enum farewell farewell);
/* Has it looked at when the round ends; that more may be sent to the guest; that
 * one acknowledgement is due, or another one if always. */
void tcp_flow_touch(struct tcp_flow *t);
void tcp_flow_may_send(struct tcp_flow *t);
void tcp_flow_owe_ack(struct tcp_flow *t, bool always);

/* ---- sockets_receive.c ---- */

/* A segment for an open flow.  Whether its verdict is written later, by
 * tcp_flows_send_gathered(). */
bool tcp_flow_take(struct tcp_flow *t, const struct sockets_packet *p,
    const struct tcp *tcp, struct frame *frame, size_t data_bytes);
/* Gives the socket what is gathered.  It may end the flow. */
void tcp_flows_send_gathered(struct sockets *s);
/* Gives the socket what was held behind a hole that is filled. */
void tcp_flow_send_held(struct tcp_flow *t);
void tcp_flow_drop_held(struct tcp_flow *t, struct held *held);

/* ---- sockets_send.c ---- */

/* Sends what may be sent now, up to a limit: then it is for the next round. */
void tcp_flow_pump(struct tcp_flow *t);
void tcp_flow_acknowledged(struct tcp_flow *t, uint32_t ack);
void tcp_flow_duplicate_ack(struct tcp_flow *t);
/* Nothing was acknowledged for so long. */
void tcp_flow_timeout(struct tcp_flow *t);
void tcp_flow_arm(struct tcp_flow *t);

/* ---- sockets_segment.c ---- */

/* Has the socket tell when it takes more. */
void tcp_flow_wait_write(struct tcp_flow *t);
/* The window field of a segment sent now. */
uint16_t tcp_flow_window(struct tcp_flow *t);
/* Stages n bytes of data, which have room for headers before them at l4. */
void tcp_flow_send(struct tcp_flow *t, uint8_t *l4, uint32_t seq, size_t n,
    uint8_t flags, uint16_t window);
/* An acknowledgement and no data. */
void tcp_flow_ack(struct tcp_flow *t, uint32_t seq, uint8_t flags);
void tcp_flow_syn_ack(struct tcp_flow *t);
/* A reset for a segment that nobody wants (RFC 9293 3.10.7.1). */
void tcp_refuse(struct sockets *s, const struct sockets_packet *p,
    const struct tcp *tcp, size_t data_bytes);

#endif
