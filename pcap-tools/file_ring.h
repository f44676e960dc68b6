/*
 * file_ring.h - a capture that is cut into files.
 *
 * "nat.pcapng" becomes "nat-00001.pcapng", "nat-00002.pcapng", and so on; each
 * is whole in itself.  Of a ring the oldest files are removed.
 */
#ifndef PCAP_TOOLS_FILE_RING_H
#define PCAP_TOOLS_FILE_RING_H

#include <stddef.h>

/* The name of file number n of path, the caller's to free; NULL: no memory. */
char *file_ring_name(const char *path, unsigned long n);

#endif
