/*
 * guest_mem.h - a guest's memory as its front end shares it.
 *
 * A table of regions, each mapped from a file descriptor.  Two kinds of address
 * lead into it: the guest's physical ones (descriptors) and the front end's own
 * (ring addresses).  Every address from outside comes through here; what these
 * functions return stays good until the table changes.
 *
 * The front end may cut its file short while it is mapped.  A touch beyond its
 * end then finds zeros, and guest_mem_torn() says so: SIGBUS is caught.  Tables
 * belong to one thread, the loop's, which alone touches what they map.
 */
#ifndef SWITCH_GUEST_MEM_H
#define SWITCH_GUEST_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

#define GUEST_REGIONS_MAX 64

struct guest_region {
	uint64_t guest, user, bytes, offset;
	dev_t dev; /* its file */
	ino_t ino;
	unsigned int times; /* it was added */
	uint8_t *at;        /* of guest and user */
	void *map;          /* what was mapped, a page or more around it */
	size_t map_bytes;
};

struct guest_mem {
	unsigned int n, last; /* last: region of the last hit */
	bool guarded;         /* in the list that SIGBUS looks at */
	volatile bool torn;
	struct guest_mem *next;                        /* in that list */
	struct guest_region region[GUEST_REGIONS_MAX]; /* by guest address */
};

/* An empty table.  guest_mem_clear() before it goes. */
void guest_mem_init(struct guest_mem *mem);

/*
 * Maps bytes of fd from offset on as a region; fd stays the caller's.  The very
 * same again is counted, and has to be removed as often (QEMU 7.2 adds a region
 * for each pair of queues).  0;
 * -EEXIST if it overlaps a region, -EINVAL if it is empty, overflows or ends
 * beyond its file, -ENOSPC if the table is full, else why it cannot be mapped.
 */
int guest_mem_add(struct guest_mem *mem, int fd, uint64_t guest, uint64_t user,
    uint64_t bytes, uint64_t offset, struct err *err);

/* Unmaps the region of exactly these.  0, or -ENOENT. */
int guest_mem_remove(
    struct guest_mem *mem, uint64_t guest, uint64_t user, uint64_t bytes);
void guest_mem_clear(struct guest_mem *mem);

/* Memory was cut short under us since guest_mem_clear(). */
static inline bool
guest_mem_torn(const struct guest_mem *mem)
{
	return mem->torn;
}

/* guest_mem_run() for what is not in the region of the last hit. */
size_t guest_mem_search(
    struct guest_mem *mem, uint64_t guest, uint64_t len, uint8_t **at);

/* Where guest is, in *at, and how many of len bytes lie there in one piece; the
 * rest may follow in the next region.  0: it is not in the table. */
static inline size_t
guest_mem_run(struct guest_mem *mem, uint64_t guest, uint64_t len, uint8_t **at)
{
	const struct guest_region *r = &mem->region[mem->last];
	uint64_t offset = guest - r->guest;

	if (offset < r->bytes && len <= r->bytes - offset) {
		*at = r->at + offset;
		return (size_t)len;
	}
	return guest_mem_search(mem, guest, len, at);
}

/* Where the front end's address user is; NULL unless all of len bytes lie there
 * in one piece. */
uint8_t *guest_mem_user(
    const struct guest_mem *mem, uint64_t user, uint64_t len);

#endif
