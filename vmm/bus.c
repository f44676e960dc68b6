/*
 * The bus: a sorted list.  A machine has about ten ranges, and an exit to us
 * costs thousands of times a walk over them; a tree would be for show.
 */
#include "vmm/bus.h"

#include <errno.h>

void
bus_range_init(struct bus_range *range, const struct bus_ops *ops, void *arg,
    uint64_t start, uint64_t bytes)
{
	*range = (struct bus_range){
		.ops = ops, .arg = arg, .start = start, .bytes = bytes
	};
}

int
bus_add(struct bus *bus, struct bus_range *range)
{
	struct bus_range **at = &bus->ranges;

	if (range->bytes == 0 ||
	    range->start + (range->bytes - 1) < range->start)
		return -EINVAL;
	while (*at != NULL && (*at)->start < range->start)
		at = &(*at)->next;
	if (*at != NULL && (*at)->start - range->start < range->bytes)
		return -EBUSY;
	for (struct bus_range *r = bus->ranges; r != *at; r = r->next)
		if (range->start - r->start < r->bytes)
			return -EBUSY;
	range->next = *at;
	*at = range;
	return 0;
}

void
bus_remove(struct bus *bus, struct bus_range *range)
{
	for (struct bus_range **at = &bus->ranges; *at != NULL;
	     at = &(*at)->next)
		if (*at == range) {
			*at = range->next;
			range->next = NULL;
			return;
		}
}

static struct bus_range *
find(struct bus *bus, uint64_t address)
{
	for (struct bus_range *r = bus->ranges; r != NULL; r = r->next)
		if (address >= r->start && address - r->start < r->bytes)
			return r;
	return NULL;
}

/* How much of an access at address goes to its range in one piece: a power of
 * two that the device takes, aligned to itself and within the range. */
static unsigned int
piece(const struct bus_range *range, uint64_t address, unsigned int bytes)
{
	uint64_t offset = address - range->start;
	uint64_t left = range->bytes - offset;
	unsigned int n = 1;

	while (n * 2 <= bytes && n * 2 <= range->ops->widest_bytes &&
	    n * 2 <= left && offset % (n * 2) == 0)
		n *= 2;
	return n;
}

uint64_t
bus_read(struct bus *bus, uint64_t address, unsigned int bytes)
{
	uint64_t value = 0;

	for (unsigned int done = 0; done < bytes;) {
		struct bus_range *range = find(bus, address + done);
		unsigned int n = 1;
		uint64_t part = 0xff;

		if (range != NULL) {
			n = piece(range, address + done, bytes - done);
			part = range->ops->read(
			    range->arg, address + done - range->start, n);
			if (n < 8)
				part &= (UINT64_C(1) << 8 * n) - 1;
		} else if (done == 0)
			bus->unclaimed_reads++;
		value |= part << 8 * done;
		done += n;
	}
	return value;
}

void
bus_write(struct bus *bus, uint64_t address, unsigned int bytes, uint64_t value)
{
	for (unsigned int done = 0; done < bytes;) {
		struct bus_range *range = find(bus, address + done);
		unsigned int n = 1;
		uint64_t part = value >> 8 * done;

		if (range != NULL) {
			n = piece(range, address + done, bytes - done);
			if (n < 8)
				part &= (UINT64_C(1) << 8 * n) - 1;
			range->ops->write(
			    range->arg, address + done - range->start, n, part);
		} else if (done == 0)
			bus->unclaimed_writes++;
		done += n;
	}
}
