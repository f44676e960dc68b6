/*
 * bus.h - who answers at a port or at a physical address.
 *
 * A machine has two: ports (65,536 bytes wide) and memory-mapped registers.
 * What nobody answers reads as all ones, as on a real board, and is counted.
 * The caller holds the machine's lock.
 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <stddef.h>
#include <stdint.h>

/* A device's registers, as functions of the offset in its range.  bytes is 1,
 * 2, 4 or 8, never more than widest_bytes, aligned and within the range: other
 * accesses are cut up, lowest address first. */
struct bus_ops {
	uint64_t (*read)(void *arg, uint64_t offset, unsigned int bytes);
	void (*write)(
	    void *arg, uint64_t offset, unsigned int bytes, uint64_t value);
	unsigned int widest_bytes;
};

/* Part of its owner's struct. */
struct bus_range {
	const struct bus_ops *ops;
	void *arg;
	uint64_t start, bytes;
	struct bus_range *next;
};

struct bus {
	struct bus_range *ranges; /* by rising address, none overlaps */
	uint64_t unclaimed_reads, unclaimed_writes;
};

/* Fills in what is not the bus's own. */
void bus_range_init(struct bus_range *range, const struct bus_ops *ops,
    void *arg, uint64_t start, uint64_t bytes);

/* 0; -EBUSY if it overlaps another range; -EINVAL if it is empty or wraps. */
int bus_add(struct bus *bus, struct bus_range *range);
void bus_remove(struct bus *bus, struct bus_range *range); /* if there */

/* bytes is 1 to 8. */
uint64_t bus_read(struct bus *bus, uint64_t address, unsigned int bytes);
void bus_write(
    struct bus *bus, uint64_t address, unsigned int bytes, uint64_t value);

#endif
