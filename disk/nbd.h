/*
 * nbd.h - a disk for others, by the Network Block Device protocol over a Unix
 * socket (NetworkBlockDevice/nbd, doc/proto.md): fixed newstyle negotiation,
 * simple and structured replies, block status (base:allocation and
 * qemu:allocation-depth), several connections, many requests in flight.
 *
 * Who may open the socket, which has mode 0600, may read and write the disk, no
 * more.  Memory is bounded per client, and a client that stands still, floods or
 * breaks the protocol holds up nobody else.
 */
#ifndef DISK_NBD_H
#define DISK_NBD_H

#include <stdio.h>

#include "disk/disk.h"

#define NBD_MAX_CONNECTIONS     64
#define NBD_DEFAULT_CONNECTIONS 16
#define NBD_DEFAULT_THREADS     16

struct nbd_options {
	const char *socket;
	const char *export; /* NULL: whatever name the client uses */
	bool read_only;
	unsigned int threads; /* requests that wait for the device at a time */
	/* At a time; whoever comes then waits a while, and is hung up on. */
	unsigned int connections;
	/* 0: defaults, for what the names say and what it takes to leave. */
	unsigned int handshake_ms, drain_ms, queue_ms;
};

/*
 * Serves the disk on threads of its own, with all signals blocked, until it is
 * freed; the disk stays the caller's.  NULL: *err says why.
 *
 * Other processes may take snapshots of a disk that can be written (live.h).
 */
struct nbd_server *nbd_server_new(
    struct disk *disk, const struct nbd_options *options, struct err *err);

/* What has been asked for is done, and told to whom still listens.  NULL is
 * fine. */
void nbd_server_free(struct nbd_server *server);

/* Serves the disk until SIGINT, SIGTERM or SIGHUP, and tells say, if not NULL,
 * when clients may come, and where.  0 or -Exxx. */
int nbd_serve(struct disk *disk, const struct nbd_options *options, FILE *say,
    struct err *err);

#endif
