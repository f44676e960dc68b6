/*
 * machine.h - what devices see of the machine that they are part of: memory,
 * the two buses, interrupts, and somebody to ask for the end.
 *
 * One lock for all devices: the data path (rings, kicks and calls by eventfd)
 * does not pass here.  Everything below is called with it held, but for
 * machine_exit(), which takes it, and machine_ask() and machine_written(),
 * which need none.
 */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include <pthread.h>

#include "vmm/bus.h"
#include "vmm/engine.h"
#include "vmm/engine_io.h"
#include "vmm/memory.h"
#include "vmm/porter.h"

/* What a guest, or the outside, may ask for.  The first one counts. */
enum machine_request {
	MACHINE_GO_ON,
	MACHINE_RESET,
	MACHINE_OFF,
	MACHINE_EXIT, /* by the exit port, with a status */
	MACHINE_STOP, /* by the outside */
	MACHINE_CRASH,
};

struct machine {
	pthread_mutex_t lock;
	struct memory *memory;
	struct bus ports, mmio;
	struct engine_vm *vm; /* NULL before the first start and in between */
	_Atomic(enum machine_request) request;
	/* Tells whoever runs the machine that there is a request.  Any thread;
	 * may not block. */
	void (*ask)(void *arg);
	void *arg;
	uint64_t slots[ENGINE_MSI_SLOTS / 64]; /* in use */
	struct engine_io io; /* the buses, for engines that call back */
	/* What devices' threads enter, and who connects for them from within;
	 * NULL: the process is not confined. */
	const struct sandbox *sandbox;
	struct porter *porter;
};

/* ask may be NULL. */
void machine_init(struct machine *machine, struct memory *memory,
    void (*ask)(void *arg), void *arg);
void machine_fini(struct machine *machine);

void machine_ask(struct machine *machine, enum machine_request request);

/* An interrupt line's level: below ENGINE_LINES. */
void machine_irq(struct machine *machine, unsigned int line, bool level);
void machine_msi(struct machine *machine, const struct msi *msi);

/*
 * Short cuts that an engine may have: a write to fd sends a message, a guest's
 * write to address wakes fd.  Without them the owner of fd reads it and calls
 * machine_msi(), and its register's write function writes fd; so nobody need
 * know whether they are in force.
 */
int machine_slot_new(struct machine *machine); /* -ENOSPC: none left */
void machine_slot_free(struct machine *machine, int slot);
void machine_msi_fd(
    struct machine *machine, int slot, int fd, const struct msi *msi);
void machine_notify_fd(
    struct machine *machine, uint64_t address, int fd, bool on);

/*
 * A device has written these pieces of RAM itself, and will tell the guest when
 * this returns.  May wait for the CPUs: any thread but theirs, without the
 * lock, between the start of the board and the end of its stop.
 */
void machine_written(
    struct machine *machine, const struct iovec *piece, unsigned int n);

/* Does what an EXIT_PORT or EXIT_MMIO asks of the devices.  Takes the lock. */
void machine_exit(struct machine *machine, const struct engine_exit *exit);

#endif
