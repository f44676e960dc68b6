/*
 * engine_chips_parts.h - what the files of "an engine and our chips" share.
 *
 * engine_chips.c makes machines and runs CPUs; engine_chips_clock.c has the
 * time; engine_chips_io.c answers what the inner engine asks for;
 * engine_chips_state.c has the whole as a value.
 */
#ifndef VMM_CHIPS_ENGINE_CHIPS_PARTS_H
#define VMM_CHIPS_ENGINE_CHIPS_PARTS_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "vmm/chips/chips.h"
#include "vmm/chips/clock_kvm.h"
#include "vmm/chips/engine_chips.h"
#include "vmm/chips/lapic.h"
#include "vmm/engine_io.h"

#define NS_PER_S  UINT64_C(1000000000)
#define NS_PER_MS 1000000u

#define VIRTUAL_INSN_NS 2

struct chips_cpu {
	struct engine_cpu base;
	struct engine_cpu *inner;
	struct cpu_state reset; /* as it was made */
	uint64_t tsc_offset;    /* what its counter was at instant 0 */
	atomic_bool kicked;
	/* On their way, under the lock. */
	bool init, sipi;
	uint8_t nmis;
	uint8_t sipi_vector;
};

struct chips_vm {
	struct engine_vm base;
	const struct engine *engine; /* the inner one */
	struct engine_vm *inner;
	const struct engine_io *machine;
	struct engine_io io;
	struct chips *chips;
	struct clock_kvm clock;
	uint64_t start_ns;    /* CLOCK_MONOTONIC at instant 0 */
	unsigned int running; /* CPUs */
	bool is_still;        /* the clock, at still_ns */
	uint64_t still_ns;
	uint32_t tsc_khz;
	bool is_virtual;
	uint64_t skipped_ns; /* virtual: what no instruction took */
	uint64_t virtual_ns; /* the time when the CPU last looked */
	pthread_mutex_t lock;
	pthread_cond_t changed; /* for halted CPUs */
	pthread_cond_t sooner;  /* for the clock thread */
	uint64_t armed_ns;      /* the event that that one, or with a virtual
				 * clock the CPU, waits for */
	pthread_t thread;
	bool has_thread, quit;
	struct chips_cpu *cpu[ENGINE_CPUS_MAX]; /* NULL: gone */
	unsigned int ncpus;                     /* made */
};

static inline struct chips_vm *
vm_of(struct engine_vm *vm)
{
	return (struct chips_vm *)vm;
}

static inline struct chips_cpu *
cpu_of(struct engine_cpu *cpu)
{
	return (struct chips_cpu *)cpu;
}

/* ---- engine_chips_clock.c ---- */

uint64_t ec_clock_ns(clockid_t id);
/* The machine's time.  The lock is held, or the clock stands still. */
uint64_t ec_now_ns(const struct chips_vm *vm);
/* The same for a CPU that has retired so many instructions. */
uint64_t ec_ns_when(const struct chips_vm *vm, uint64_t retired);

/* Takes the lock in a CPU's thread, in any thread, and between runs, when the
 * clock is to stand still; the chips' time is the present. */
void ec_enter(struct chips_vm *vm);
void ec_enter_outside(struct chips_vm *vm);
void ec_enter_still(struct chips_vm *vm);
/* Gives the lock back; the clock thread hears of earlier events. */
void ec_leave(struct chips_vm *vm);

/* With the lock.  The clock goes on; the CPU is to run until the next event;
 * nothing is left to do before it, then let it be now (false: there is none, or
 * no clock to turn). */
void ec_move_on(struct chips_vm *vm);
void ec_arm_virtual(struct chips_vm *vm, struct chips_cpu *cpu);
bool ec_skip_to_event(struct chips_vm *vm);
void *ec_clock_thread(void *vm);

/* A CPU's counter at an instant; and it is another one from now on. */
uint64_t ec_tsc_at(const struct chips_vm *vm, unsigned int cpu, uint64_t ns);
void ec_set_tsc(struct chips_vm *vm, unsigned int cpu, uint64_t value);

/* ---- engine_chips_io.c ---- */

/* What the inner engine is given. */
struct engine_io ec_io(struct chips_vm *vm, uint32_t tsc_khz);

/* ---- engine_chips.c ---- */

/* INIT, SIPI and NMI that have come; the lock is held. */
int ec_take_signals(
    struct chips_vm *vm, struct chips_cpu *cpu, struct err *err);

/* ---- engine_chips_state.c: rows of the engine's table ---- */

int ec_state_get(
    struct engine_cpu *cpu, struct cpu_state *state, struct err *err);
int ec_state_set(
    struct engine_cpu *cpu, const struct cpu_state *state, struct err *err);
int ec_chips_get(
    struct engine_vm *vm, struct chips_state *state, struct err *err);
int ec_chips_set(
    struct engine_vm *vm, const struct chips_state *state, struct err *err);

#endif
