/*
 * chips_state.h - what a machine's interrupt controllers and timers are, as a
 * value; the local APICs are the CPUs' (cpu_state.h).
 *
 * Every engine with chips can give it and take it.  Instants are those of the
 * machine's own clock, which goes on from now_ns.
 */
#ifndef VMM_CHIPS_CHIPS_STATE_H
#define VMM_CHIPS_CHIPS_STATE_H

#include "vmm/chips/ioapic.h"
#include "vmm/chips/pic.h"
#include "vmm/chips/pit.h"

#define CHIPS_TSC_KHZ_MIN 1000u
#define CHIPS_TSC_KHZ_MAX 100000000u

struct chips_state {
	uint64_t now_ns;
	uint64_t wall_ns; /* UTC since 1970, when the clock was at 0 */
	uint32_t tsc_khz; /* at which the CPUs' counters run */
	struct pic pic;
	struct pit pit;
	uint8_t ioapic_index, ioapic_id;
	uint32_t ioapic_level;
	uint64_t ioapic_pin[IOAPIC_PINS];
	/* The CPU that got the last message of the lowest priority. */
	uint32_t last;
};

#endif
