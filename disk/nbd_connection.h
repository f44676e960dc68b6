/*
 * nbd_connection.h - one client of an NBD server.
 */
#ifndef DISK_NBD_CONNECTION_H
#define DISK_NBD_CONNECTION_H

#include <stdatomic.h>

#include "disk/disk.h"
#include "disk/nbd_shake.h"

/* What all connections of a server have in common. */
struct nbd_shared {
	struct disk *disk;
	struct disk_queue *queue;
	struct nbd_export export;
	/* To end it, set stopping, make ending readable, and shut the socket
	 * down for reading: what has arrived is still done, as far as the
	 * client takes the replies. */
	atomic_bool stopping;
	int ending;
	unsigned int handshake_ms; /* how long it may take */
	unsigned int drain_ms;     /* for the last replies to be taken */
};

/* At most so much memory is a client's at a time: one request may have all of
 * it. */
#define NBD_CONNECTION_BYTES (40u << 20)
#define NBD_CONNECTION_JOBS  128

/* Talks to the client until it leaves or breaks the protocol, and what it asked
 * for is done.  In a thread of its own; fd stays open. */
void nbd_connection(const struct nbd_shared *shared, int fd);

#endif
