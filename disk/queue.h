/*
 * queue.h - requests of disks in flight.
 *
 * A queue runs requests on threads, and those at once that need no waiting.  done
 * runs on any thread, or before disk_submit() returns.
 */
#ifndef DISK_QUEUE_H
#define DISK_QUEUE_H

#include "disk/disk.h"

enum disk_op {
	DISK_OP_READ,
	DISK_OP_WRITE,
	DISK_OP_ZERO,
	DISK_OP_DISCARD,
	DISK_OP_FLUSH,
	DISK_OP_CALL /* only done, which may use the disk and wait */
};

struct disk_request {
	struct disk *disk;
	enum disk_op op;
	struct iovec *iov; /* borrowed until done */
	int iovs;
	uint64_t offset, len; /* len for zero and discard */
	void (*done)(struct disk_request *request, int result);
	void *arg;
	struct disk_request *next; /* the queue's */
};

struct disk_queue *disk_queue_new(unsigned int threads); /* NULL: cannot */
void disk_submit(struct disk_queue *queue, struct disk_request *request);
void disk_queue_free(struct disk_queue *queue); /* does what is left first */

#endif
