/*
 * power.h - how a guest switches itself off: the power management registers that
 * the FADT describes.
 *
 * The caller holds the machine's lock.
 */
#ifndef VMM_POWER_H
#define VMM_POWER_H

#include "vmm/archive.h"
#include "vmm/bus.h"

#define POWER_PM1_EVENT   0x600 /* status, enable: two words */
#define POWER_PM1_CONTROL 0x604 /* a word */
#define POWER_S5_TYPE     0     /* SLP_TYP of power-off, in \_S5 too */

struct power {
	struct bus_range range;
	uint16_t status, enable, control;
	void (*off)(void *arg);
	void *arg;
};

/* To be added to the ports by its range. */
void power_init(struct power *power, void (*off)(void *arg), void *arg);
void power_reset(struct power *power);
void power_archive(struct power *power, struct archive *a);

#endif
