/*
 * i8042.h - of the PC's keyboard controller, the wire that resets the CPU.
 *
 * The caller holds the machine's lock.
 */
#ifndef VMM_I8042_H
#define VMM_I8042_H

#include "vmm/bus.h"

struct i8042 {
	struct bus_range data, command;
	void (*reset)(void *arg);
	void *arg;
};

/* To be added to the ports by its two ranges. */
void i8042_init(struct i8042 *kbd, void (*reset)(void *arg), void *arg);

#endif
