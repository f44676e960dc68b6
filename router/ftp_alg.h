/*
 * ftp_alg.h - FTP's control connections through a NAT, whose data connections
 * would not come through else (RFC 959, RFC 2428; an application level gateway
 * of RFC 2663 4.4).
 *
 * A client inside that asks to be connected to (PORT, EPRT), and a server inside
 * that tells where it waits (the replies 227 and 229), name their inside end.
 * That end is pinned (nat_pin.h) for FTP_ALG_PIN_S, for the host at the other
 * end of the control connection alone, and the text is replaced by the outside
 * end, so that numbers of TCP move (tcp_edits.h).  Each control connection has
 * one such pin, the last.
 *
 * Helped are connections to port 21 whose first line is one of FTP's, seen from
 * their SYN on, and whole lines that came in order and in one segment.  The
 * address must be the speaker's own, and the port not below 1024 (RFC 2577 3):
 * nobody is sent elsewhere, and what merely looks like FTP opens nothing.
 *
 * At most FTP_CONTROLS connections, and FTP_CONTROLS_OF_HOST of a few hosts that
 * share a place; more go by without help.
 */
#ifndef ROUTER_FTP_ALG_H
#define ROUTER_FTP_ALG_H

#include "router/ftp_command.h"
#include "router/nat.h"
#include "router/tcp_edits.h"

#define FTP_CONTROLS         1024
#define FTP_CONTROLS_OF_HOST 128
#define FTP_ALG_PIN_S        120

struct ftp_alg;
struct ftp_control;

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

struct ftp_alg *ftp_alg_new(uint64_t seed); /* NULL: no memory */
void ftp_alg_free(struct ftp_alg *alg);     /* NULL is fine */

/* A SYN with number seq goes out: the connection is new.  NULL: no room. */
struct ftp_control *ftp_alg_open(struct ftp_alg *alg, const struct nat *nat,
    const struct ftp_ends *ends, uint32_t seq, uint64_t now_ns);

/* The connection that has these ends, or NULL. */
struct ftp_control *ftp_alg_find(
    struct ftp_alg *alg, const struct ftp_ends *ends);

/* What of its stream outwards is replaced. */
struct tcp_edits *ftp_control_edits(struct ftp_control *control);

/* Are n bytes from seq outwards of any interest? */
bool ftp_control_wants(
    const struct ftp_control *control, uint32_t seq, size_t n);

/* Reads n bytes from seq outwards; out_ip is where the inside host is reached.
 * Pins what they name, and adds to the edits. */
void ftp_control_read(struct ftp_control *control, struct nat *nat,
    uint32_t out_ip, uint32_t seq, const uint8_t *data, size_t n,
    uint64_t now_ns);

#endif
