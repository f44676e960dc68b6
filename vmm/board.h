/*
 * board.h - which devices a machine has, and where.
 *
 *     0x3f8, line 4    COM1, the console
 *     0x2f8, line 3    COM2, the agent
 *     0x60, 0x64       i8042, for its reset
 *     0x70             CMOS
 *     0x80             POST codes, for nobody
 *     0xf4             exit port, if asked for; or elsewhere
 *     0x510            firmware configuration
 *     0x600            power management
 *     0xcf8            PCI: host bridge, then the virtio devices: network
 *                      cards, disks, entropy source, balloon, console
 *
 * The interrupt controllers and the 8254 are the engine's (engine.h).
 */
#ifndef VMM_BOARD_H
#define VMM_BOARD_H

#include "base/loop.h"
#include "vmm/archive.h"
#include "vmm/blk_store.h"
#include "vmm/cmos.h"
#include "vmm/console.h"
#include "vmm/exit_port.h"
#include "vmm/fw_cfg.h"
#include "vmm/i8042.h"
#include "vmm/machine.h"
#include "vmm/pci.h"
#include "vmm/power.h"
#include "vmm/uart.h"
#include "vmm/virtio_pci.h"
#include "vmm/vm.h"

#define BOARD_COMS 2

struct board_com {
	struct uart uart;
	struct console *console; /* NULL: what is sent goes nowhere */
	struct machine *machine;
	unsigned int line;
	/* Ends the machine when the guest has sent this; NULL: goes on. */
	const char *last_words;
	unsigned int said; /* how much of it came */
	bool always_room;
};

struct board_kind;

/* A virtio device; what device points to is of its kind. */
struct board_device {
	const struct board_kind *kind;
	struct virtio_device *device;
	struct virtio_pci pci;
};

struct board {
	struct machine machine;
	struct pci pci;
	struct board_com com[BOARD_COMS];
	struct i8042 i8042;
	struct cmos cmos;
	struct power power;
	struct bus_range post;
	struct fw_cfg fw_cfg;
	struct exit_port exit_port;  /* if the configuration has one */
	struct board_device *device; /* an array */
	unsigned int ndevices;
	bool virtual_clock;
};

/*
 * Makes all devices; config, memory and loop outlive the board.  ask tells
 * whoever runs the machine that it is to end or start anew (machine.h), wake
 * that board_work() is wanted on the loop's thread.  0, or -Exxx with *err;
 * board_fini() is fine in both cases.
 */
int board_init(struct board *board, const struct vm_config *config,
    struct memory *memory, struct loop *loop, void (*ask)(void *arg),
    void (*wake)(void *arg), void *arg, struct err *err);
void board_fini(struct board *board);

/* What disk number i keeps its bytes in, or NULL.  Whoever uses it sees to it
 * that no CPU runs. */
struct blk_store *board_disk(const struct board *board, unsigned int i);

/* Before the CPUs run, with machine.vm set; after they have stopped, with it
 * still there.  A stop is a reset: the next start finds everything as new, and
 * no device needs the VM in between. */
void board_start(struct board *board);
void board_stop(struct board *board);

/* While no CPU runs, after a start; loop thread, without the lock.  In between,
 * no device touches the guest's memory or is changed. */
void board_pause(struct board *board);
void board_resume(struct board *board);

/* All devices: of a board that is paused; or into one that was just started,
 * and then resumes. */
void board_archive(struct board *board, struct archive *a);
void board_archive_device(struct board_device *device, struct archive *a);

/* Before the last stop: back ends need not give anything back. */
void board_leave(struct board *board);

/* What the devices left to the loop's thread.  Without the lock. */
void board_work(struct board *board);

#endif
