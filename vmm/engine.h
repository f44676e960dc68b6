/*
 * engine.h - what executes a guest's instructions, as an interface.
 *
 * An engine is one const table; engines[] lists them.  It makes a machine's
 * bare core: physical memory, CPUs, and with chips its interrupt controllers
 * (8259, IOAPIC, local APICs) and its 8254.  All other devices are the
 * machine's (machine.h), reached by the exits of engine_run().
 *
 * Threads: a CPU's operations belong to the thread that runs it, but for kick.
 * A VM's operations may be called by any thread, one at a time.
 */
#ifndef VMM_ENGINE_H
#define VMM_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "vmm/cpu_state.h"
#include "vmm/memory.h"

#define ENGINE_LINES     24 /* interrupt lines: the pins of the IOAPIC */
#define ENGINE_CPUS_MAX  64
#define ENGINE_MSI_SLOTS 128 /* message interrupts bound to a descriptor */

/* When virtual clocks start, in seconds of UTC: 1 January 2025. */
#define ENGINE_VIRTUAL_START_S UINT64_C(1735689600)

/* Each engine's own structs begin with these. */
struct engine_vm {
	const struct engine *engine;
};

struct engine_cpu {
	struct engine_vm *vm;
	unsigned int id; /* also the local APIC's; 0 is the boot CPU */
};

struct engine_io;   /* engine_io.h */
struct chips_state; /* chips/chips_state.h */

struct engine_config {
	const struct memory *memory; /* outlives the VM */
	unsigned int ncpus;          /* that will be made, 1 to the maximum */
	/* The engine brings the interrupt controllers and the 8254.  Without,
	 * interrupts are taken by engine->inject(). */
	bool chips;
	/* Time is the number of instructions that are retired, and a CPU that
	 * halts is at once where the next timer fires: the same input at the
	 * same instructions gives the same run.  With chips and one CPU. */
	bool virtual_clock;
	/* The frequency of the CPUs' time-stamp counters, for engines whose own
	 * they are; 0: the engine's choice. */
	uint32_t tsc_khz;
	/* The machine's registers, for engines that call back; outlives. */
	const struct engine_io *io;
	/* What prepare() returned, which stays the caller's; 0: nothing was
	 * prepared. */
	int prepared_fd;
};

/* Why engine_run() returned. */
enum engine_exit_kind {
	EXIT_PORT,        /* IN or OUT, see port */
	EXIT_MMIO,        /* memory that is not RAM, see mmio */
	EXIT_HALT,        /* HLT, without chips only */
	EXIT_SHUTDOWN,    /* triple fault */
	EXIT_INTERRUPTED, /* kicked */
	EXIT_WINDOW,      /* wanted by want_window: can take an interrupt now */
	EXIT_FAILED,      /* the engine cannot go on: see err */
};

struct engine_exit {
	enum engine_exit_kind kind;
	union {
		/* count values of bytes each, one after another at data, in
		 * the machine's order.  An IN fills them before the next run. */
		struct {
			uint16_t port;
			uint8_t bytes; /* 1, 2 or 4 */
			bool out;
			uint32_t count;
			uint8_t *data;
		} port;
		struct {
			uint64_t address;
			uint8_t bytes; /* 1 to 8 */
			bool write;
			uint8_t *data;
		} mmio;
	};
	struct err err; /* EXIT_FAILED: a sentence with the state */
};

/* A message-signalled interrupt, as a PCI function would write it. */
struct msi {
	uint64_t address;
	uint32_t data;
};

/* What another process, the device of a ring, writes into it; see ring(). */
struct engine_ring {
	uint64_t address, bytes;
	/* A CPU has read from there, whose thread this is: tells written() what
	 * the device has written by now, of which the ring speaks. */
	void (*read)(void *arg,
	    void (*written)(void *to, uint64_t address, uint64_t bytes),
	    void *to);
	void *arg;
	struct engine_ring *next; /* the engine's */
};

struct engine {
	const char *name; /* "kvm" */

	/* Does it run guests here?  Decided by running one.  0, or -Exxx with
	 * *err saying what to do. */
	int (*probe)(struct err *err);

	/* Whether it can do with these. */
	bool has_chips;

	/* Opens what vm_new() would have to open by a name, for a process that
	 * will lose the right to: a descriptor, or -Exxx with *err.  NULL:
	 * nothing. */
	int (*prepare)(struct err *err);

	/* NULL: *err. */
	struct engine_vm *(*vm_new)(
	    const struct engine_config *config, struct err *err);
	/* All CPUs are gone. */
	void (*vm_free)(struct engine_vm *vm);

	/* In the order of their ids.  Made in the reset state: id 0 runs, the
	 * others wait for INIT. */
	struct engine_cpu *(*cpu_new)(struct engine_vm *vm, struct err *err);
	void (*cpu_free)(struct engine_cpu *cpu);

	/* Executes the guest until there is an exit. */
	void (*run)(struct engine_cpu *cpu, struct engine_exit *exit);
	/* Makes the present or the next run() return EXIT_INTERRUPTED soon.  Any
	 * thread. */
	void (*kick)(struct engine_cpu *cpu);

	/* Not between an exit and the run() that completes it.  0 or -Exxx with
	 * *err. */
	int (*state_get)(
	    struct engine_cpu *cpu, struct cpu_state *state, struct err *err);
	int (*state_set)(struct engine_cpu *cpu, const struct cpu_state *state,
	    struct err *err);

	/* With chips: all of them but the local APICs, which are the CPUs', and
	 * the machine's clock.  While no CPU runs; to be set before the CPUs'
	 * states.  0 or -Exxx with *err. */
	int (*chips_get)(
	    struct engine_vm *vm, struct chips_state *state, struct err *err);
	int (*chips_set)(struct engine_vm *vm, const struct chips_state *state,
	    struct err *err);

	/* Without chips: the CPU takes vector at its next instruction.  -EAGAIN:
	 * it cannot now; ask by want_window(), which makes run() return
	 * EXIT_WINDOW when it can. */
	int (*inject)(struct engine_cpu *cpu, uint8_t vector);
	void (*want_window)(struct engine_cpu *cpu, bool want);

	/* Instructions that the CPU has retired, to be asked by its thread, from
	 * callbacks of run() too; and run() returns EXIT_INTERRUPTED at the end
	 * of the block in which they become at least that many.  NULL: the
	 * engine does not count. */
	uint64_t (*retired)(const struct engine_cpu *cpu);
	void (*stop_at)(struct engine_cpu *cpu, uint64_t instructions);

	/* With chips: a line's level, a message. */
	void (*line)(struct engine_vm *vm, unsigned int line, bool level);
	void (*msi)(struct engine_vm *vm, const struct msi *msi);

	/* Short cuts, NULL or refusing with -Exxx if the engine has none; the
	 * slow way works with them and without.  A write to an eventfd sends a
	 * message (msi NULL: no more); slot is below ENGINE_MSI_SLOTS. */
	int (*msi_fd)(struct engine_vm *vm, unsigned int slot, int fd,
	    const struct msi *msi);
	/* A guest's write of any width to address writes the eventfd. */
	int (*notify_fd)(
	    struct engine_vm *vm, uint64_t address, int fd, bool on);

	/* Nanoseconds of the virtual clock, for callbacks of run().  NULL: there
	 * is none. */
	uint64_t (*virtual_ns)(const struct engine_vm *vm);

	/* A device has written n pieces of the memory's mapping: what the engine
	 * keeps of the code there is void when this returns.  Waits for a CPU
	 * that runs to get between two blocks, so never called from within
	 * run() or with a lock that its callbacks take.  NULL: no need. */
	void (*written)(
	    struct engine_vm *vm, const struct iovec *piece, unsigned int n);
	/* The device of this ring is another process, which tells nobody: what
	 * the engine keeps of the code that it writes is void before a CPU acts
	 * on what it read from the ring.  Begins (on) in a callback of run() or
	 * before a CPU runs, ends at any time: after that read() is not called.
	 * The struct is the caller's.  NULL: no need. */
	void (*ring)(struct engine_vm *vm, struct engine_ring *ring, bool on);
};

extern const struct engine *const engines[]; /* NULL at the end */

/* The engine of that name.  "auto" (or NULL) is kvm where the CPU executes its
 * guests, which is tried out and takes a few milliseconds, else emulate.  Any
 * other name: NULL and *err. */
const struct engine *engine_find(const char *name, struct err *err);

/* Does the CPU execute guests of KVM?  Tried out, too. */
bool engine_has_hardware(void);

/* One line of registers, for messages.  Returns out. */
const char *cpu_state_text(
    char *out, size_t len, const struct cpu_state *state);

#endif
