/*
 * ftp_alg.h - FTP's control connections through a NAT, whose data connections
 * would not come through else (RFC 959, RFC 2428; an application level gateway
 * of RFC 2663 4.4).
 *
 * At most FTP_CONTROLS connections, and FTP_CONTROLS_OF_HOST of a few hosts that
 * share a place; more go by without help.
 */
#ifndef ROUTER_FTP_ALG_H
#define ROUTER_FTP_ALG_H

#include "router/ftp_control.h"

#define FTP_CONTROLS         1024
#define FTP_CONTROLS_OF_HOST 128

struct ftp_alg;

struct ftp_alg *ftp_alg_new(uint64_t seed); /* NULL: no memory */
void ftp_alg_free(struct ftp_alg *alg);     /* NULL is fine */

/* A SYN with number seq goes out: the connection is new, unless it is said
 * again.  NULL: no room. */
struct ftp_control *ftp_alg_open(struct ftp_alg *alg, const struct nat *nat,
    const struct ftp_ends *ends, uint32_t seq, uint64_t now_ns);

/* The connection that has these ends, or NULL. */
struct ftp_control *ftp_alg_find(
    struct ftp_alg *alg, const struct ftp_ends *ends);

#endif
