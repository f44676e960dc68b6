/*
 * i8042.h - of the PC's keyboard controller, the wire that resets the CPU; and
 * port 0x92 of the chipset, which has it, too, beside the A20 gate.
 *
 * The caller holds the machine's lock.
 */
#ifndef VMM_I8042_H
#define VMM_I8042_H

#include "vmm/bus.h"

struct i8042 {
	struct bus_range data, command, fast;
	void (*reset)(void *arg);
	void *arg;
};

/* To be added to the ports by its three ranges. */
void i8042_init(struct i8042 *kbd, void (*reset)(void *arg), void *arg);

#endif
