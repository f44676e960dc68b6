/*
 * cmos.h - the battery-backed clock and memory of a PC (MC146818), read-mostly.
 *
 * The caller holds the machine's lock.
 */
#ifndef VMM_CMOS_H
#define VMM_CMOS_H

#include "vmm/archive.h"
#include "vmm/bus.h"

#define CMOS_BYTES 128

struct cmos {
	struct bus_range range;
	uint64_t (*seconds)(void *arg); /* since 1970, UTC */
	void *arg;
	uint8_t index;
	uint8_t ram[CMOS_BYTES];
};

/* memory_low_bytes and memory_high_bytes: RAM below and above 4 GiB. */
void cmos_init(struct cmos *cmos, uint64_t memory_low_bytes,
    uint64_t memory_high_bytes, uint64_t (*seconds)(void *arg), void *arg);

void cmos_archive(struct cmos *cmos, struct archive *a);

#endif
