/*
 * partitions.h - where a disk's partitions are: GPT (UEFI 2.10, 5.3), or the
 * older table of the MBR with its logical partitions.
 *
 * The disk is hostile: what a table says is checked against its checksums and
 * the disk's size, and no more is read than PARTITIONS_MAX entries need.
 */
#ifndef VMM_PARTITIONS_H
#define VMM_PARTITIONS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PARTITIONS_MAX 128

struct partition {
	unsigned int number; /* as in sda1; 0: the whole disk */
	uint64_t start, bytes;
};

struct partitions {
	unsigned int n;
	struct partition list[PARTITIONS_MAX]; /* by their numbers */
};

/* What they are read from. */
struct partitions_disk {
	uint64_t bytes;
	/* All of it, or -Exxx.  Offsets and lengths are multiples of 512. */
	int (*read)(void *arg, uint64_t offset, void *to, size_t bytes);
	void *arg;
};

/* Reads the table.  A disk without one is a single partition.  0, or -Exxx of
 * a read that failed. */
int partitions_read(
    struct partitions *partitions, const struct partitions_disk *disk);

#endif
