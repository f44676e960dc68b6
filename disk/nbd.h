/*
 * nbd.h - a disk for others, by the Network Block Device protocol over a Unix
 * socket (NetworkBlockDevice/nbd, doc/proto.md): fixed newstyle negotiation,
 * simple and structured replies, block status, several connections.
 */
#ifndef DISK_NBD_H
#define DISK_NBD_H

#include "disk/disk.h"

#define NBD_MAX_CONNECTIONS 64

struct nbd_options {
	const char *socket;
	const char *export; /* NULL: whatever name the client uses */
	bool read_only;
	unsigned int threads; /* requests that wait for the device at a time */
};

/* Serves the disk until SIGINT or SIGTERM, whose handling it takes over.  Other
 * processes take snapshots of the disk through a second socket beside the
 * image, which nbd_ask_snapshot() uses. */
int nbd_serve(
    struct disk *disk, const struct nbd_options *options, struct err *err);

/* Asks the process that serves image for a snapshot.  -ECONNREFUSED and no
 * sentence: none does. */
int nbd_ask_snapshot(const char *image, const char *name, struct err *err);

#endif
