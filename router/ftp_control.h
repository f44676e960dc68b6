/*
 * ftp_control.h - what one end of a control connection of FTP says, read on its
 * way outwards.
 *
 * A client inside that asks to be connected to (PORT, EPRT), and a server inside
 * that tells where it waits (the replies 227 and 229), name their inside end.
 * That end is pinned (nat_pin.h) for FTP_PIN_S, for the host at the other end of
 * the control connection alone, and the text is replaced by the outside end, so
 * that numbers of TCP move (tcp_edits.h).  Each control connection has one such
 * pin, the last.
 *
 * Helped are connections to port 21 whose first line is one of FTP's, seen from
 * their SYN on.  The address must be the speaker's own, and the port not below
 * 1024 (RFC 2577 3): nobody is sent elsewhere, and what merely looks like FTP
 * opens nothing.
 *
 * Segments have any bounds.  The begin of a line that may yet name an end is
 * held back until the line is whole, up to FTP_HELD_BYTES; a longer line passes
 * as it is.  What is held back is acknowledged to the speaker in the receiver's
 * name, since some speak on only then; the line's last byte never is, so that
 * the speaker sends it again until the receiver has all.
 */
#ifndef ROUTER_FTP_CONTROL_H
#define ROUTER_FTP_CONTROL_H

#include <sys/queue.h>

#include "net/reason.h"
#include "router/ftp_command.h"
#include "router/nat.h"
#include "router/tcp_edits.h"

#define FTP_PIN_S      120
#define FTP_HELD_BYTES 192

/* The ends of a control connection, as they are inside. */
struct ftp_ends {
	uint32_t in_ip, remote_ip;
	uint16_t in_port, remote_port;
};

static inline bool
ftp_ends_are_control(const struct ftp_ends *ends)
{
	return ends->remote_port == FTP_PORT || ends->in_port == FTP_PORT;
}

struct ftp_control {
	struct ftp_control *next;       /* in its bucket, or free */
	TAILQ_ENTRY(ftp_control) order; /* ftp_alg.c's */
	struct ftp_ends ends;
	enum ftp_speaker speaker; /* the one inside */
	uint32_t first;           /* the number of its SYN */
	uint32_t expect;          /* ... of what comes next */
	bool opened;              /* it has said something of FTP */
	bool deaf;                /* it is something else */
	bool lost;                /* where lines begin is not known now */
	bool held;                /* all there is of the line is held back */
	uint8_t early;            /* segments that came out of order in a row */
	uint16_t pinned;          /* inside port; 0: none */
	uint16_t line_bytes;      /* of a line that is not whole yet */
	uint32_t line_at;         /* the number of its first */
	uint8_t line[FTP_HELD_BYTES]; /* what it begins with */
	struct tcp_edits edits;
	/* What the receiver said last. */
	uint16_t window;
	uint32_t stamp; /* RFC 7323 3 */
};

/* The inside end has sent a SYN with that number. */
void ftp_control_begin(
    struct ftp_control *c, const struct ftp_ends *ends, uint32_t seq);

/* Are n bytes from seq outwards of any interest? */
bool ftp_control_wants(const struct ftp_control *c, uint32_t seq, size_t n);

/* A segment outwards, and how it may be read. */
struct ftp_segment {
	uint32_t seq;
	const uint8_t *data;
	size_t n;
	bool off;     /* FTP is not wanted any more */
	bool whole;   /* nothing of it may be held back */
	uint32_t out; /* the address by which the inside host is reached */
};

/*
 * Reads a segment: pins what it names, and adds to the edits.  *pass of its
 * bytes may be sent on.  REASON_NONE; NAT_ALG_HELD: the others later;
 * NAT_ALG_LEFT: with a line that could not be looked at; DROP_NAT_ALG_ORDER: it
 * cannot be read before what is missing has come.
 */
enum reason ftp_control_read(struct ftp_control *c, struct nat *nat,
    const struct ftp_segment *segment, uint64_t now_ns, size_t *pass);

/* n bytes from seq have gone by unread. */
void ftp_control_skip(struct ftp_control *c, uint32_t seq, size_t n);

/* The receiver's number for a segment of n bytes from seq. */
uint32_t ftp_control_out(const struct ftp_control *c, uint32_t seq, size_t n);

/* The speaker's number for what the receiver acknowledges. */
uint32_t ftp_control_acked(struct ftp_control *c, uint32_t ack);

/* Has the receiver all but what is held back?  Then the speaker is to be told
 * that this has come, too. */
bool ftp_control_owes_ack(const struct ftp_control *c);

#endif
