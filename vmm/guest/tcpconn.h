/*
 * tcpconn.h - TCP connections (RFC 9293), over both kinds of IP.
 *
 * Small but whole: connect and accept, sliding windows without scaling, data
 * that comes early is kept, retransmission by RFC 6298, congestion control by
 * RFC 5681 and RFC 6582, zero-window probes, TIME-WAIT, blind attacks answered
 * as in RFC 5961.  Left out: urgent data (read as plain), Nagle's delay (what
 * is written is sent), selective acknowledgement, timestamps, keep-alive.
 *
 * There is a fixed number of connections.  When all are taken, a new one takes
 * the place of one in TIME-WAIT, then of one that is half open, the oldest
 * first; else it is refused.
 */
#ifndef GUEST_TCPCONN_H
#define GUEST_TCPCONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/tcp.h"

#include "vmm/guest/icmp.h"
#include "vmm/guest/ring.h"
#include "vmm/guest/timer.h"

#define TCPCONNS         32
#define TCPLISTENS       16
#define TCP_BACKLOG      8 /* waiting or half open, per listener */
#define TCP_BUFFER_BYTES 16384
#define TCP_RANGES       4 /* pieces that came early, per connection */

struct stack;
struct netif;
struct tcpconn;

enum tcp_state {
	TCP_CLOSED,
	TCP_SYN_SENT,
	TCP_SYN_RECEIVED,
	TCP_ESTABLISHED,
	TCP_FIN_WAIT_1,
	TCP_FIN_WAIT_2,
	TCP_CLOSE_WAIT,
	TCP_CLOSING,
	TCP_LAST_ACK,
	TCP_TIME_WAIT,
	TCP_NSTATES
};

/* Why a connection ended before its time. */
enum tcp_error {
	TCP_NO_ERROR,
	TCP_REFUSED,     /* a reset instead of an answer */
	TCP_RESET,       /* a reset later */
	TCP_TIMEOUT,     /* nobody answers */
	TCP_UNREACHABLE, /* ICMP or ARP said so: see note */
	TCP_NO_ADDRESS,  /* our own address went away */
};

struct tcplisten {
	bool used;
	uint16_t port;
	bool *wake; /* set to true when a connection can be accepted, or NULL */
	/* For services: called for a connection that was just established, and
	 * which from then on calls event.  NULL: connections wait for
	 * tcplisten_accept(). */
	void (*event)(struct tcpconn *conn);
	unsigned int pending; /* half open, or waiting to be accepted */
};

struct tcp_range {
	uint32_t from, to; /* sequence numbers; to is the one behind */
};

struct tcpconn {
	struct stack *stack;
	enum tcp_state state;
	enum tcp_error error;
	struct icmp_note note;       /* of TCP_UNREACHABLE */
	struct tcplisten *listening; /* it came from there, not accepted yet */
	bool owned;                  /* somebody holds it and will close it */
	bool *wake; /* set to true when anything changes; may be NULL */
	void (*event)(struct tcpconn *conn);
	bool changed;                /* event is still to be called */
	uint64_t since_us, heard_us; /* in this state; of the last segment */

	struct ip6_addr local, remote;
	uint16_t lport, rport;

	/* Sending: out holds what is not acknowledged, from una on. */
	uint32_t iss, una, nxt, max; /* max: the furthest that was sent */
	uint32_t window, wl1, wl2;
	uint32_t max_window;
	bool fin_asked; /* a FIN follows the last byte of out */
	bool fin_acked;
	bool dont_fragment;
	bool stuck; /* the last segment did not get out of the machine */
	uint16_t mss;
	uint32_t cwnd, ssthresh, recover;
	bool recovering;
	unsigned int duplicates; /* acknowledgements in a row */
	uint64_t srtt_us, rttvar_us, rto_us;
	bool timing;
	uint32_t timed; /* the sequence number that is being timed */
	uint64_t timed_us;
	unsigned int backoff, unheard;
	struct timer timer; /* retransmission, probe, TIME-WAIT */
	struct ring out;

	/* Receiving: in holds what is in order and not read. */
	uint32_t irs, rcv_nxt, advertised; /* the edge we have told */
	bool fin_known, fin_taken;
	uint32_t fin; /* its sequence number */
	bool ack_now;
	unsigned int unacked; /* segments */
	struct timer ack_timer;
	uint64_t challenge_us; /* the next one may be sent */
	unsigned int nranges;
	struct tcp_range range[TCP_RANGES]; /* early ones, in order */
	struct ring in;

	uint32_t retransmits;
	uint64_t bytes_in, bytes_out;
};

struct tcpconns {
	bool changed; /* some connection is */
	struct tcplisten listen[TCPLISTENS];
	struct tcpconn conn[TCPCONNS];
	uint8_t buffer[TCPCONNS][2][TCP_BUFFER_BYTES];
};

void tcpconn_init(struct stack *stack);

/* NULL: the port or all listeners are taken. */
struct tcplisten *tcplisten_new(struct stack *stack, uint16_t port, bool *wake);
/* The next connection, the caller's to close; NULL: none yet. */
struct tcpconn *tcplisten_accept(struct stack *stack, struct tcplisten *l);
/* What was not accepted is reset. */
void tcplisten_close(struct stack *stack, struct tcplisten *l);

struct tcp_to {
	struct ip6_addr dst;
	uint16_t dport;
	struct ip6_addr src; /* zero: that which suits dst */
	uint16_t sport;      /* 0: a free one */
};

/* Begins to connect.  NULL: *why says (no route, or DROP_PORT_FULL: sport or all
 * connections are taken). */
struct tcpconn *tcpconn_open(
    struct stack *stack, const struct tcp_to *to, bool *wake, enum reason *why);

/* Takes what there is room for; returns how much.  0 as well when the
 * connection is not, or no longer, one that can send. */
size_t tcpconn_write(struct tcpconn *conn, const void *data, size_t len);
/* What has come, up to size. */
size_t tcpconn_read(struct tcpconn *conn, void *data, size_t size);

/* The other side will send no more, and all that it sent was read; or the
 * connection has failed. */
bool tcpconn_ended(const struct tcpconn *conn);
/* Is it between connecting and its end? */
bool tcpconn_is_connecting(const struct tcpconn *conn);
/* Has all that was written been acknowledged? */
bool tcpconn_flushed(const struct tcpconn *conn);

/* We will send no more; reading goes on. */
void tcpconn_finish(struct tcpconn *conn);
/* Lets it go: it finishes by itself, or is reset if unread data is lost. */
void tcpconn_close(struct tcpconn *conn);
/* Resets it and lets it go. */
void tcpconn_abort(struct tcpconn *conn);

const char *tcpconn_state_name(enum tcp_state state);
const char *tcpconn_error_text(enum tcp_error error);

enum reason tcpconn_input(struct netif *nif, const struct ip_in *in,
    struct cursor *c, unsigned int how);

/* ICMP said something about a segment that we sent from src and port to
 * note->dst; note->stamp is its sequence number. */
enum reason tcpconn_note(struct stack *stack, const struct ip6_addr *src,
    uint16_t port, uint16_t dport, const struct icmp_note *note);

/* Calls the events of the connections that changed.  False: none had. */
bool tcpconn_run_events(struct stack *stack);

/* addr is no longer ours: its connections end. */
void tcpconn_address_lost(struct stack *stack, const struct ip6_addr *addr);

#endif
