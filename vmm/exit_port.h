/*
 * exit_port.h - how a test kernel ends the machine with a status: a port, as
 * QEMU's isa-debug-exit.
 *
 * A write of any width to one of its four ports ends the machine; the first
 * one counts.  The caller holds the machine's lock.
 */
#ifndef VMM_EXIT_PORT_H
#define VMM_EXIT_PORT_H

#include <stdbool.h>

#include "vmm/bus.h"

#define EXIT_PORT_DEFAULT 0xf4
#define EXIT_PORT_BYTES   4

struct exit_port {
	struct bus_range range;
	bool written;
	uint32_t value;
	void (*ended)(void *arg);
	void *arg;
};

/* To be added to the ports by its range; ended is called at the first write. */
void exit_port_init(
    struct exit_port *port, uint16_t at, void (*ended)(void *arg), void *arg);

/* What QEMU's process would end with: 1 to 255, always odd. */
int exit_port_status(const struct exit_port *port);

#endif
