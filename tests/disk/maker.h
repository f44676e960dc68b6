/*
 * maker.h - qcow2 images byte by byte, of kinds that lanyard does not make.
 */
#ifndef TESTS_DISK_MAKER_H
#define TESTS_DISK_MAKER_H

#include <stdint.h>

struct maker {
	unsigned int version, cluster_bits, count_bits;
	uint64_t size;
	uint32_t l1_entries;
	const char *backing; /* its name stands at name_at; NULL: none */
	uint64_t name_at;
	int fd;
};

/* An empty, consistent image at path: the header, the refcount table, one
 * refcount block, a cluster each, then the L1 table.  Fields left 0 are version
 * 3, clusters of 4 KiB, counts of 16 bits, 1 MiB, all the L1 entries that this
 * needs, and a name right behind the header.  fd is left open. */
void maker_open(struct maker *m, const char *path);
void maker_close(struct maker *m);

uint64_t maker_cluster(const struct maker *m, uint64_t n);
void maker_put32(const struct maker *m, uint64_t at, uint32_t value);
void maker_put64(const struct maker *m, uint64_t at, uint64_t value);

#endif
