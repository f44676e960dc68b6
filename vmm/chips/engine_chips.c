/*
 * An engine without chips, and our chips, as one engine.
 *
 *     CPU thread:  chips --inject--> inner engine --ports, MMIO, MSRs--> chips
 *     clock thread: sleeps until the chips' next event, lets it happen
 *     any thread:  lines and messages --> chips --wake--> CPU
 *
 * What the inner engine asks for (engine_io) is answered by the chips if it is
 * theirs, else by the machine.  One lock guards the chips; it is never held
 * while the guest runs or the machine is asked.  A CPU that halts waits for a
 * condition; one that runs is kicked out of the guest.
 *
 * A guest may set its timers to any rate.  The clock thread rests between two
 * looks, so that such a guest slows itself down and nobody else.
 *
 * The time-stamp counter is nanoseconds since the VM was made, on all CPUs: it
 * needs no calibration, and kvmclock's factor is 1.
 *
 * With a virtual clock an instruction takes VIRTUAL_INSN_NS, and a halt no
 * real time: the clock jumps to the next event.  Nothing then happens at an
 * instant that real time chose: the CPU runs to the next event and takes it,
 * there is no clock thread, and other threads find the time as the CPU left it.
 * What they bring in, as input of a console or frames, is the one thing that is
 * not the same in each run.  An idle guest's time flies.
 */
#include "vmm/chips/engine_chips.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/chips/chips.h"
#include "vmm/chips/clock_kvm.h"
#include "vmm/chips/lapic.h"
#include "vmm/emulate/engine_emulate.h"
#include "vmm/engine_io.h"

#define TSC_KHZ  1000000
#define NS_PER_S UINT64_C(1000000000)

#define VIRTUAL_INSN_NS 2
#define REST_NS         20000

struct chips_cpu {
	struct engine_cpu base;
	struct engine_cpu *inner;
	struct cpu_state reset; /* as it was made */
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
	uint64_t start_ns; /* CLOCK_MONOTONIC at instant 0 */
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

static struct chips_vm *
vm_of(struct engine_vm *vm)
{
	return (struct chips_vm *)vm;
}

static struct chips_cpu *
cpu_of(struct engine_cpu *cpu)
{
	return (struct chips_cpu *)cpu;
}

/* ---- time ---- */

static uint64_t
clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static uint64_t
now_ns(const struct chips_vm *vm)
{
	return vm->is_virtual ? vm->virtual_ns
			      : clock_ns(CLOCK_MONOTONIC) - vm->start_ns;
}

/* The virtual clock goes to where the CPU is, whose thread this is. */
static void
look_at_clock(struct chips_vm *vm)
{
	if (vm->is_virtual && vm->cpu[0] != NULL)
		vm->virtual_ns = vm->skipped_ns +
		    VIRTUAL_INSN_NS * vm->engine->retired(vm->cpu[0]->inner);
}

/* Takes the lock, in any thread. */
static void
enter_outside(struct chips_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	chips_advance(vm->chips, now_ns(vm));
}

/* Takes the lock in a CPU's thread; the chips' time is the present. */
static void
enter(struct chips_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	look_at_clock(vm);
	chips_advance(vm->chips, now_ns(vm));
}

/* Gives the lock back; the clock thread hears of earlier events. */
static void
leave(struct chips_vm *vm)
{
	uint64_t next_ns = chips_next_event_ns(vm->chips);

	if (next_ns < vm->armed_ns) {
		vm->armed_ns = next_ns;
		if (!vm->is_virtual)
			pthread_cond_signal(&vm->sooner);
		else if (vm->cpu[0] != NULL)
			vm->engine->kick(vm->cpu[0]->inner);
	}
	pthread_mutex_unlock(&vm->lock);
}

/* The CPU is to run until the next event. */
static void
arm_virtual(struct chips_vm *vm, struct chips_cpu *cpu)
{
	uint64_t ns;

	if (!vm->is_virtual)
		return;
	vm->armed_ns = chips_next_event_ns(vm->chips);
	ns = vm->armed_ns > vm->virtual_ns ? vm->armed_ns - vm->virtual_ns : 0;
	vm->engine->stop_at(cpu->inner,
	    vm->armed_ns == CHIPS_NEVER ? UINT64_MAX
					: vm->engine->retired(cpu->inner) +
		    (ns + VIRTUAL_INSN_NS - 1) / VIRTUAL_INSN_NS);
}

/* Nothing is left to do before the next event: then let it be now.  False:
 * there is none, and no clock to turn. */
static bool
skip_to_event(struct chips_vm *vm)
{
	uint64_t at = chips_next_event_ns(vm->chips);

	if (!vm->is_virtual || at == CHIPS_NEVER)
		return false;
	if (at > vm->virtual_ns) {
		vm->skipped_ns += at - vm->virtual_ns;
		vm->virtual_ns = at;
	}
	chips_advance(vm->chips, vm->virtual_ns);
	return true;
}

static void *
clock_thread(void *arg)
{
	struct chips_vm *vm = arg;

	pthread_mutex_lock(&vm->lock);
	while (!vm->quit) {
		uint64_t now = now_ns(vm), at;
		struct timespec ts;

		chips_advance(vm->chips, now);
		vm->armed_ns = chips_next_event_ns(vm->chips);
		if (vm->armed_ns == CHIPS_NEVER) {
			pthread_cond_wait(&vm->sooner, &vm->lock);
			continue;
		}
		at =
		    vm->armed_ns > now + REST_NS ? vm->armed_ns : now + REST_NS;
		at += vm->start_ns;
		ts.tv_sec = (time_t)(at / NS_PER_S);
		ts.tv_nsec = (long)(at % NS_PER_S);
		pthread_cond_timedwait(&vm->sooner, &vm->lock, &ts);
	}
	pthread_mutex_unlock(&vm->lock);
	return NULL;
}

/* ---- what the chips do to CPUs; the lock is held ---- */

static void
rouse(struct chips_vm *vm, struct chips_cpu *cpu)
{
	vm->engine->kick(cpu->inner);
	pthread_cond_broadcast(&vm->changed);
}

static void
on_wake(void *arg, unsigned int id)
{
	struct chips_vm *vm = arg;

	if (vm->cpu[id] != NULL)
		rouse(vm, vm->cpu[id]);
}

static void
on_nmi(void *arg, unsigned int id)
{
	struct chips_vm *vm = arg;
	struct chips_cpu *cpu = vm->cpu[id];

	if (cpu == NULL)
		return;
	if (cpu->nmis < 2)
		cpu->nmis++;
	rouse(vm, cpu);
}

static void
on_init(void *arg, unsigned int id)
{
	struct chips_vm *vm = arg;
	struct chips_cpu *cpu = vm->cpu[id];

	if (cpu == NULL)
		return;
	cpu->init = true;
	cpu->sipi = false;
	rouse(vm, cpu);
}

static void
on_sipi(void *arg, unsigned int id, uint8_t vector)
{
	struct chips_vm *vm = arg;
	struct chips_cpu *cpu = vm->cpu[id];

	if (cpu == NULL)
		return;
	cpu->sipi = true;
	cpu->sipi_vector = vector;
	rouse(vm, cpu);
}

static const struct chips_ops ops = {
	.wake = on_wake, .nmi = on_nmi, .init = on_init, .sipi = on_sipi
};

/* ---- what the inner engine asks for ---- */

static bool
is_chips_port(uint16_t port)
{
	for (unsigned int i = 0; i < CHIPS_PORT_RANGES; i++)
		if (port >= chips_ports[i].first &&
		    port - chips_ports[i].first < chips_ports[i].count)
			return true;
	return false;
}

static uint32_t
port_in(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes)
{
	struct chips_vm *vm = arg;
	uint32_t v = 0;

	if (!is_chips_port(port))
		return vm->machine->port_in(vm->machine->arg, cpu, port, bytes);
	enter(vm);
	for (unsigned int i = 0; i < bytes; i++) {
		uint16_t at = (uint16_t)(port + i);

		v |= (uint32_t)(is_chips_port(at)
			     ? chips_port_read(vm->chips, at)
			     : 0xff)
		    << 8 * i;
	}
	leave(vm);
	return v;
}

static void
port_out(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes,
    uint32_t value)
{
	struct chips_vm *vm = arg;

	if (!is_chips_port(port)) {
		vm->machine->port_out(
		    vm->machine->arg, cpu, port, bytes, value);
		return;
	}
	enter(vm);
	for (unsigned int i = 0; i < bytes; i++) {
		uint16_t at = (uint16_t)(port + i);

		if (is_chips_port(at))
			chips_port_write(
			    vm->chips, at, (uint8_t)(value >> 8 * i));
	}
	leave(vm);
}

static uint64_t
mmio_read(void *arg, unsigned int cpu, uint64_t address, unsigned int bytes)
{
	struct chips_vm *vm = arg;
	uint64_t v = 0;
	bool ours;

	enter(vm);
	ours = chips_mmio_read(vm->chips, cpu, address, bytes, &v);
	leave(vm);
	return ours
	    ? v
	    : vm->machine->mmio_read(vm->machine->arg, cpu, address, bytes);
}

static void
mmio_write(void *arg, unsigned int cpu, uint64_t address, unsigned int bytes,
    uint64_t value)
{
	struct chips_vm *vm = arg;
	bool ours;

	enter(vm);
	ours = chips_mmio_write(vm->chips, cpu, address, bytes, value);
	leave(vm);
	if (!ours)
		vm->machine->mmio_write(
		    vm->machine->arg, cpu, address, bytes, value);
}

static bool
msr_read(void *arg, unsigned int cpu, uint32_t index, uint64_t *value)
{
	struct chips_vm *vm = arg;
	bool good = true;

	enter(vm);
	if (clock_kvm_has(index))
		*value = clock_kvm_read(&vm->clock, cpu, index);
	else
		good = chips_msr_read(vm->chips, cpu, index, value);
	leave(vm);
	return good;
}

static bool
msr_write(void *arg, unsigned int cpu, uint32_t index, uint64_t value)
{
	struct chips_vm *vm = arg;
	uint64_t now;
	bool good;

	enter(vm);
	now = now_ns(vm);
	good = clock_kvm_has(index)
	    ? clock_kvm_write(&vm->clock, cpu, index, value, now, now)
	    : chips_msr_write(vm->chips, cpu, index, value);
	leave(vm);
	return good;
}

static uint8_t
get_tpr(void *arg, unsigned int cpu)
{
	struct chips_vm *vm = arg;
	uint8_t v;

	enter(vm);
	v = chips_cr8(vm->chips, cpu);
	leave(vm);
	return v;
}

static void
set_tpr(void *arg, unsigned int cpu, uint8_t priority)
{
	struct chips_vm *vm = arg;

	enter(vm);
	chips_set_cr8(vm->chips, cpu, priority);
	leave(vm);
}

static uint64_t
tsc(void *arg, uint64_t retired)
{
	const struct chips_vm *vm = arg;

	/* TSC_KHZ counts nanoseconds. */
	return vm->is_virtual ? vm->skipped_ns + VIRTUAL_INSN_NS * retired
			      : now_ns(vm);
}

/* ---- CPUs ---- */

/* One waits while another is served, and two at most wait together. */
static void
add_nmis(struct cpu_state *state, unsigned int n)
{
	unsigned int most = state->nmi_masked ? 1 : 2;

	n += state->nmi_pending;
	state->nmi_pending = (uint8_t)(n < most ? n : most);
}

/* INIT, SIPI and NMI that have come; the lock is held. */
static int
take_signals(struct chips_vm *vm, struct chips_cpu *cpu, struct err *err)
{
	struct cpu_state *state;
	int r = 0;

	if (!cpu->init && !cpu->sipi && cpu->nmis == 0)
		return 0;
	state = malloc(sizeof(*state));
	if (state == NULL)
		return err_sys(err, -ENOMEM, NULL, "CPU state");
	r = vm->engine->state_get(cpu->inner, state, err);
	if (r == 0 && cpu->init) {
		*state = cpu->reset;
		/* The boot CPU would begin at its reset vector. */
		state->run = cpu->base.id == 0 ? CPU_RUNNING : CPU_WAIT_SIPI;
	}
	if (r == 0 && cpu->sipi && state->run == CPU_WAIT_SIPI) {
		state->seg[CPU_CS].selector = (uint16_t)(cpu->sipi_vector << 8);
		state->seg[CPU_CS].base = (uint64_t)cpu->sipi_vector << 12;
		state->rip = 0;
		state->run = CPU_RUNNING;
	}
	if (r == 0)
		add_nmis(state, cpu->nmis);
	if (r == 0)
		r = vm->engine->state_set(cpu->inner, state, err);
	cpu->init = cpu->sipi = false;
	cpu->nmis = 0;
	free(state);
	return r;
}

/* Gives the CPU the interrupt that is due, or has it say when it can take it
 * (or the next one).  True: it has got one.  The lock is held. */
static bool
give_interrupt(struct chips_vm *vm, struct chips_cpu *cpu)
{
	int vector = chips_pending(vm->chips, cpu->base.id);
	bool given =
	    vector >= 0 && vm->engine->inject(cpu->inner, (uint8_t)vector) == 0;

	if (given) {
		int taken = chips_interrupt(vm->chips, cpu->base.id);

		assert(taken == vector);
		(void)taken;
	}
	vm->engine->want_window(
	    cpu->inner, chips_pending(vm->chips, cpu->base.id) >= 0);
	return given;
}

/* An interrupt that waits is not enough: a CPU that halts with interrupts off
 * does not take it. */
static void
wait_for_interrupt(struct chips_vm *vm, struct chips_cpu *cpu)
{
	while (!atomic_load(&cpu->kicked) && !cpu->init && !cpu->sipi &&
	    cpu->nmis == 0 && !give_interrupt(vm, cpu))
		if (!skip_to_event(vm))
			pthread_cond_wait(&vm->changed, &vm->lock);
}

static void
run(struct engine_cpu *ecpu, struct engine_exit *exit)
{
	struct chips_cpu *cpu = cpu_of(ecpu);
	struct chips_vm *vm = vm_of(ecpu->vm);

	enter(vm);
	for (;;) {
		if (atomic_exchange(&cpu->kicked, false)) {
			exit->kind = EXIT_INTERRUPTED;
			break;
		}
		err_clear(&exit->err);
		if (take_signals(vm, cpu, &exit->err) < 0) {
			exit->kind = EXIT_FAILED;
			break;
		}
		give_interrupt(vm, cpu);
		arm_virtual(vm, cpu);
		leave(vm);
		vm->engine->run(cpu->inner, exit);
		enter(vm);
		if (exit->kind == EXIT_HALT)
			wait_for_interrupt(vm, cpu);
		else if (exit->kind != EXIT_INTERRUPTED &&
		    exit->kind != EXIT_WINDOW)
			break;
	}
	leave(vm);
}

static void
kick(struct engine_cpu *ecpu)
{
	struct chips_cpu *cpu = cpu_of(ecpu);
	struct chips_vm *vm = vm_of(ecpu->vm);

	pthread_mutex_lock(&vm->lock);
	atomic_store(&cpu->kicked, true);
	rouse(vm, cpu);
	pthread_mutex_unlock(&vm->lock);
}

static int
state_get(struct engine_cpu *ecpu, struct cpu_state *state, struct err *err)
{
	return vm_of(ecpu->vm)->engine->state_get(
	    cpu_of(ecpu)->inner, state, err);
}

static int
state_set(
    struct engine_cpu *ecpu, const struct cpu_state *state, struct err *err)
{
	return vm_of(ecpu->vm)->engine->state_set(
	    cpu_of(ecpu)->inner, state, err);
}

static void
line(struct engine_vm *evm, unsigned int number, bool level)
{
	struct chips_vm *vm = vm_of(evm);

	enter_outside(vm);
	chips_line(vm->chips, number, level);
	leave(vm);
}

static void
message(struct engine_vm *evm, const struct msi *msi)
{
	struct chips_vm *vm = vm_of(evm);

	enter_outside(vm);
	chips_msi(vm->chips, msi->address, msi->data);
	leave(vm);
}

/* ---- making and freeing ---- */

static void
vm_free(struct engine_vm *evm)
{
	struct chips_vm *vm = vm_of(evm);

	if (vm->has_thread) {
		pthread_mutex_lock(&vm->lock);
		vm->quit = true;
		pthread_cond_signal(&vm->sooner);
		pthread_mutex_unlock(&vm->lock);
		pthread_join(vm->thread, NULL);
	}
	if (vm->inner != NULL)
		vm->engine->vm_free(vm->inner);
	chips_free(vm->chips);
	pthread_cond_destroy(&vm->changed);
	pthread_cond_destroy(&vm->sooner);
	pthread_mutex_destroy(&vm->lock);
	free(vm);
}

static void
init_sync(struct chips_vm *vm)
{
	pthread_condattr_t attr;

	pthread_mutex_init(&vm->lock, NULL);
	pthread_cond_init(&vm->changed, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&vm->sooner, &attr);
	pthread_condattr_destroy(&attr);
}

/* A virtual clock needs no thread. */
static int
start_clock(struct chips_vm *vm, struct err *err)
{
	int r;

	if (vm->is_virtual)
		return 0;
	r = pthread_create(&vm->thread, NULL, clock_thread, vm);
	vm->has_thread = r == 0;
	return r == 0
	    ? 0
	    : err_sys(err, -r, NULL, "%s: clock thread", vm->base.engine->name);
}

static struct engine_vm *
vm_new(const struct engine *engine, const struct engine *inner,
    const struct engine_config *config, struct err *err)
{
	struct chips_vm *vm = calloc(1, sizeof(*vm));
	struct chips_config chips = { .ncpus = config->ncpus,
		.tsc_khz = TSC_KHZ,
		.ops = &ops,
		.arg = vm };
	struct engine_config mine = *config;

	if (vm == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", engine->name);
		return NULL;
	}
	if (config->virtual_clock && config->ncpus != 1) {
		err_set(err, -EINVAL,
		    "%s: %u CPUs cannot share a virtual clock; use one",
		    engine->name, config->ncpus);
		free(vm);
		return NULL;
	}
	vm->base.engine = engine;
	vm->engine = inner;
	vm->machine = config->io;
	vm->start_ns = clock_ns(CLOCK_MONOTONIC);
	vm->is_virtual = config->virtual_clock;
	vm->armed_ns = CHIPS_NEVER;
	init_sync(vm);
	vm->io = (struct engine_io){ .arg = vm,
		.port_in = port_in,
		.port_out = port_out,
		.mmio_read = mmio_read,
		.mmio_write = mmio_write,
		.msr_read = msr_read,
		.msr_write = msr_write,
		.get_tpr = get_tpr,
		.set_tpr = set_tpr,
		.tsc = tsc,
		.tsc_khz = TSC_KHZ,
		.apic_khz = LAPIC_BUS_KHZ };
	clock_kvm_init(&vm->clock, config->memory, TSC_KHZ,
	    vm->is_virtual ? ENGINE_VIRTUAL_START_S * NS_PER_S
			   : clock_ns(CLOCK_REALTIME));
	vm->chips = chips_new(&chips);
	mine.chips = false;
	mine.io = &vm->io;
	if (vm->chips == NULL)
		err_sys(err, -ENOMEM, NULL, "%s", engine->name);
	else
		vm->inner = inner->vm_new(&mine, err);
	if (vm->inner == NULL || start_clock(vm, err) < 0) {
		vm_free(&vm->base);
		return NULL;
	}
	return &vm->base;
}

static struct engine_cpu *
cpu_new(struct engine_vm *evm, struct err *err)
{
	struct chips_vm *vm = vm_of(evm);
	struct chips_cpu *cpu = calloc(1, sizeof(*cpu));

	if (cpu == NULL) {
		err_sys(err, -ENOMEM, NULL, "%s", evm->engine->name);
		return NULL;
	}
	cpu->base.vm = evm;
	cpu->base.id = vm->ncpus;
	cpu->inner = vm->engine->cpu_new(vm->inner, err);
	if (cpu->inner == NULL ||
	    vm->engine->state_get(cpu->inner, &cpu->reset, err) < 0) {
		if (cpu->inner != NULL)
			vm->engine->cpu_free(cpu->inner);
		free(cpu);
		return NULL;
	}
	pthread_mutex_lock(&vm->lock);
	vm->cpu[vm->ncpus++] = cpu;
	pthread_mutex_unlock(&vm->lock);
	return &cpu->base;
}

static void
cpu_free(struct engine_cpu *ecpu)
{
	struct chips_cpu *cpu = cpu_of(ecpu);
	struct chips_vm *vm = vm_of(ecpu->vm);

	/* The clock goes on, and so do lines and messages. */
	pthread_mutex_lock(&vm->lock);
	vm->cpu[ecpu->id] = NULL;
	pthread_mutex_unlock(&vm->lock);
	vm->engine->cpu_free(cpu->inner);
	free(cpu);
}

static void
written(struct engine_vm *evm, const struct iovec *piece, unsigned int n)
{
	struct chips_vm *vm = vm_of(evm);

	if (vm->engine->written != NULL)
		vm->engine->written(vm->inner, piece, n);
}

static void
ring(struct engine_vm *evm, struct engine_ring *of, bool on)
{
	struct chips_vm *vm = vm_of(evm);

	if (vm->engine->ring != NULL)
		vm->engine->ring(vm->inner, of, on);
}

static uint64_t
virtual_ns(const struct engine_vm *evm)
{
	const struct chips_vm *vm = (const struct chips_vm *)evm;

	return tsc(
	    (void *)(uintptr_t)vm, vm->engine->retired(vm->cpu[0]->inner));
}

static uint64_t
retired(const struct engine_cpu *ecpu)
{
	const struct chips_cpu *cpu = (const struct chips_cpu *)ecpu;
	const struct chips_vm *vm = (const struct chips_vm *)ecpu->vm;

	return vm->engine->retired(cpu->inner);
}

static struct engine_vm *
emulate_vm_new(const struct engine_config *config, struct err *err)
{
	return vm_new(&engine_emulate_pc, &engine_emulate, config, err);
}

static int
emulate_probe(struct err *err)
{
	return engine_emulate.probe(err);
}

const struct engine engine_emulate_pc = {
	.name = "emulate",
	.probe = emulate_probe,
	.has_chips = true,
	.vm_new = emulate_vm_new,
	.vm_free = vm_free,
	.cpu_new = cpu_new,
	.cpu_free = cpu_free,
	.run = run,
	.kick = kick,
	.state_get = state_get,
	.state_set = state_set,
	.line = line,
	.msi = message,
	.retired = retired,
	.virtual_ns = virtual_ns,
	.written = written,
	.ring = ring,
};
