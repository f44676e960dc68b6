/*
 * nbd_connection.h - one client of an NBD server.
 */
#ifndef DISK_NBD_CONNECTION_H
#define DISK_NBD_CONNECTION_H

#include "disk/nbd.h"

struct nbd_shared {
	struct disk *disk;
	struct disk_queue *queue;
	const char *export;
	bool read_only;
};

/* Talks to the client until it leaves or breaks the protocol; does not close
 * fd.  A thread of its own. */
void nbd_connection(const struct nbd_shared *shared, int fd);

#endif
