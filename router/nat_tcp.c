/*
 * One TCP connection, as RFC 6146 (3.5.2.2) draws it for a NAT:
 *
 *              SYN out              SYN in
 *    CLOSED ------------> OUT_INIT ---------.
 *      |                                    v        RST     .-------.
 *      |       SYN in               .-> ESTABLISHED <------> | TRANS |
 *      '----------------> IN_INIT --'   |         |   data   '-------'
 *                           SYN out     | FIN out | FIN in
 *                                       v         v
 *                                   OUT_FIN     IN_FIN
 *                                       | FIN in  | FIN out
 *                                       '-> BOTH_FIN <-'
 *
 * The long timer runs in ESTABLISHED, OUT_FIN and IN_FIN, the one of opening
 * connections before, the one of closing connections behind (RFC 7857, 2.1).  A SYN alone in BOTH_FIN or TRANS opens the same addresses and
 * ports anew (RFC 9293, 3.6.1 lets a client do so after TIME-WAIT): without
 * that edge the new connection would die with the old one's timer.
 *
 * An RST counts only if the receiver would believe it, that is, if its sequence
 * number is in the window the receiver announced last (RFC 7857, 2.2); else
 * anybody who guesses the ports could end a session.  A FIN counts only near
 * that window (RFC 5382 9): a forged one would make of the end of one half the
 * end of both.  The NAT sees segments in flight, so it may take a number for old
 * that is not; the cost of an error is a session that lives for two hours more.
 */
#include "router/nat_tcp.h"

#include <assert.h>

#include "net/tcp.h"
#include "router/nat.h"

enum event {
	SYN_OUT,
	SYN_IN,
	FIN_OUT,
	FIN_IN,
	RST,
	DATA,
	NEVENTS,
};

#define TO(state) NAT_TCP_##state

static const struct {
	const char *name;
	enum nat_timer timer;
	uint8_t next[NEVENTS]; /* enum nat_tcp_state, by enum event */
} nat_tcp_fsm[] = {
	/* SYN out, SYN in, FIN out, FIN in, RST, anything else */
	[NAT_TCP_CLOSED] = { "closed", NAT_TIMER_TCP_OPENING,
	    { TO(OUT_INIT), TO(IN_INIT), TO(CLOSED), TO(CLOSED), TO(CLOSED),
		TO(CLOSED) } },
	[NAT_TCP_OUT_INIT] = { "opening", NAT_TIMER_TCP_OPENING,
	    { TO(OUT_INIT), TO(ESTABLISHED), TO(OUT_INIT), TO(OUT_INIT),
		TO(OUT_INIT), TO(OUT_INIT) } },
	[NAT_TCP_IN_INIT] = { "opening-in", NAT_TIMER_TCP_OPENING,
	    { TO(ESTABLISHED), TO(IN_INIT), TO(IN_INIT), TO(IN_INIT),
		TO(IN_INIT), TO(IN_INIT) } },
	[NAT_TCP_ESTABLISHED] = { "established", NAT_TIMER_TCP,
	    { TO(ESTABLISHED), TO(ESTABLISHED), TO(OUT_FIN), TO(IN_FIN),
		TO(TRANS), TO(ESTABLISHED) } },
	[NAT_TCP_OUT_FIN] = { "closing", NAT_TIMER_TCP,
	    { TO(OUT_FIN), TO(OUT_FIN), TO(OUT_FIN), TO(BOTH_FIN), TO(TRANS),
		TO(OUT_FIN) } },
	[NAT_TCP_IN_FIN] = { "closing-in", NAT_TIMER_TCP,
	    { TO(IN_FIN), TO(IN_FIN), TO(BOTH_FIN), TO(IN_FIN), TO(TRANS),
		TO(IN_FIN) } },
	[NAT_TCP_BOTH_FIN] = { "finished", NAT_TIMER_TCP_CLOSING,
	    { TO(OUT_INIT), TO(IN_INIT), TO(BOTH_FIN), TO(BOTH_FIN),
		TO(BOTH_FIN), TO(BOTH_FIN) } },
	[NAT_TCP_TRANS] = { "reset", NAT_TIMER_TCP_CLOSING,
	    { TO(OUT_INIT), TO(IN_INIT), TO(ESTABLISHED), TO(ESTABLISHED),
		TO(TRANS), TO(ESTABLISHED) } },
};
static_assert(sizeof(nat_tcp_fsm) / sizeof(nat_tcp_fsm[0]) == NAT_TCP_NSTATES,
    "a state has no row");

const char *
nat_tcp_name(enum nat_tcp_state state)
{
	return nat_tcp_fsm[state].name;
}

enum nat_timer
nat_tcp_timer(enum nat_tcp_state state)
{
	return nat_tcp_fsm[state].timer;
}

bool
nat_tcp_opens(const struct nat_segment *segment)
{
	return (segment->flags & (TCP_SYN | TCP_ACK | TCP_RST | TCP_FIN)) ==
	    TCP_SYN;
}

#define NEAR 65535 /* sent again, or ahead of a window that has just grown */

/* Is the segment where the receiver expects one, or no further than slack from
 * there? */
static bool
in_window(const struct nat_window *window, uint32_t seq,
    enum nat_direction direction, uint32_t slack)
{
	enum nat_direction back =
	    direction == NAT_OUTWARDS ? NAT_INWARDS : NAT_OUTWARDS;
	uint32_t size;

	if (!(window->known & 1u << back))
		return true;
	size = (uint32_t)window->window[back] << window->scale[back];
	return seq - window->ack[back] + slack <= size + 2 * slack;
}

enum nat_tcp_state
nat_tcp_next(enum nat_tcp_state state, const struct nat_segment *segment,
    enum nat_direction direction, const struct nat_window *window)
{
	bool out = direction == NAT_OUTWARDS;
	enum event event = DATA;

	if (segment->flags & TCP_RST) {
		if (!in_window(window, segment->seq, direction, 0))
			return state;
		event = RST;
	} else if (segment->flags & TCP_SYN) {
		/* A SYN with ACK answers one; it does not open anew. */
		if (segment->flags & TCP_ACK &&
		    (state == NAT_TCP_BOTH_FIN || state == NAT_TCP_TRANS))
			return state;
		event = out ? SYN_OUT : SYN_IN;
	} else if (segment->flags & TCP_FIN) {
		if (!in_window(window, segment->seq, direction, NEAR))
			return state;
		event = out ? FIN_OUT : FIN_IN;
	}
	return (enum nat_tcp_state)nat_tcp_fsm[state].next[event];
}

void
nat_window_note(struct nat_window *window, const struct nat_segment *segment,
    enum nat_direction direction)
{
	if (segment->flags & TCP_SYN) {
		/* The window in a SYN is never scaled (RFC 7323 2.2); until
		 * the next segment it is taken for more than it is. */
		window->scale[direction] =
		    segment->scale <= 14 ? segment->scale : 14;
	}
	if (!(segment->flags & TCP_ACK) || segment->flags & TCP_RST)
		return;
	window->ack[direction] = segment->ack;
	window->window[direction] = segment->window;
	window->known |= (uint8_t)(1u << direction);
}

bool
nat_tcp_refreshes(enum nat_tcp_state state, const struct nat_segment *segment)
{
	return !(segment->flags & TCP_RST) && state != NAT_TCP_BOTH_FIN;
}
