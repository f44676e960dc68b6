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
 * The time-stamp counter is nanoseconds since the VM was made, on all CPUs: it
 * needs no calibration, and kvmclock's factor is 1.  A state that comes from
 * another engine has another frequency, and a guest may set a CPU's counter:
 * deadlines and kvmclock go by the counter as its CPU sees it.
 */
#include "vmm/chips/engine_chips.h"

#include <assert.h>
#include <stdlib.h>

#include "vmm/chips/engine_chips_parts.h"
#include "vmm/emulate/engine_emulate.h"

#define TSC_KHZ 1000000 /* unless a state says otherwise */

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

/* ---- CPUs ---- */

/* One waits while another is served, and two at most wait together. */
static void
add_nmis(struct cpu_state *state, unsigned int n)
{
	unsigned int most = state->nmi_masked ? 1 : 2;

	n += state->nmi_pending;
	state->nmi_pending = (uint8_t)(n < most ? n : most);
}

/* As after a reset, but for vector registers and MSRs (SDM 3, table 10-1).  The
 * boot CPU would begin at its reset vector. */
static void
initialize(struct cpu_state *state, const struct chips_cpu *cpu)
{
	struct cpu_state kept = *state;

	*state = cpu->reset;
	state->run = cpu->base.id == 0 ? CPU_RUNNING : CPU_WAIT_SIPI;
	state->msr_valid = 1u << CPU_MSR_EFER; /* the others stay */
	memcpy(state->xsave, kept.xsave, sizeof(kept.xsave));
	memcpy(state->mtrr_fixed, kept.mtrr_fixed, sizeof(kept.mtrr_fixed));
	memcpy(state->mtrr_base, kept.mtrr_base, sizeof(kept.mtrr_base));
	memcpy(state->mtrr_mask, kept.mtrr_mask, sizeof(kept.mtrr_mask));
}

/* INIT, SIPI and NMI that have come; the lock is held. */
int
ec_take_signals(struct chips_vm *vm, struct chips_cpu *cpu, struct err *err)
{
	struct cpu_state *state;
	int r = 0;

	if (!cpu->init && !cpu->sipi && cpu->nmis == 0)
		return 0;
	state = malloc(sizeof(*state));
	if (state == NULL)
		return err_sys(err, -ENOMEM, NULL, "CPU state");
	r = vm->engine->state_get(cpu->inner, state, err);
	if (r == 0 && cpu->init)
		initialize(state, cpu);
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
		if (!ec_skip_to_event(vm))
			pthread_cond_wait(&vm->changed, &vm->lock);
}

static void
run(struct engine_cpu *ecpu, struct engine_exit *exit)
{
	struct chips_cpu *cpu = cpu_of(ecpu);
	struct chips_vm *vm = vm_of(ecpu->vm);

	pthread_mutex_lock(&vm->lock);
	vm->running++;
	ec_move_on(vm);
	pthread_mutex_unlock(&vm->lock);
	ec_enter(vm);
	for (;;) {
		if (atomic_exchange(&cpu->kicked, false)) {
			exit->kind = EXIT_INTERRUPTED;
			break;
		}
		err_clear(&exit->err);
		if (ec_take_signals(vm, cpu, &exit->err) < 0) {
			exit->kind = EXIT_FAILED;
			break;
		}
		give_interrupt(vm, cpu);
		ec_arm_virtual(vm, cpu);
		ec_leave(vm);
		vm->engine->run(cpu->inner, exit);
		ec_enter(vm);
		if (exit->kind == EXIT_HALT)
			wait_for_interrupt(vm, cpu);
		else if (exit->kind != EXIT_INTERRUPTED &&
		    exit->kind != EXIT_WINDOW)
			break;
	}
	vm->running--;
	ec_leave(vm);
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

/* ---- interrupts from devices ---- */

static void
line(struct engine_vm *evm, unsigned int number, bool level)
{
	struct chips_vm *vm = vm_of(evm);

	ec_enter_outside(vm);
	chips_line(vm->chips, number, level);
	ec_leave(vm);
}

static void
message(struct engine_vm *evm, const struct msi *msi)
{
	struct chips_vm *vm = vm_of(evm);

	ec_enter_outside(vm);
	chips_msi(vm->chips, msi->address, msi->data);
	ec_leave(vm);
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
	r = pthread_create(&vm->thread, NULL, ec_clock_thread, vm);
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
	uint32_t tsc_khz = config->tsc_khz != 0 ? config->tsc_khz : TSC_KHZ;
	struct chips_config chips = { .ncpus = config->ncpus,
		.tsc_khz = tsc_khz,
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
	vm->start_ns = ec_clock_ns(CLOCK_MONOTONIC);
	vm->tsc_khz = tsc_khz;
	vm->is_virtual = config->virtual_clock;
	vm->armed_ns = CHIPS_NEVER;
	init_sync(vm);
	vm->io = ec_io(vm, tsc_khz);
	clock_kvm_init(&vm->clock, config->memory, tsc_khz,
	    vm->is_virtual ? ENGINE_VIRTUAL_START_S * NS_PER_S
			   : ec_clock_ns(CLOCK_REALTIME));
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

	return ec_ns_when(vm, vm->engine->retired(vm->cpu[0]->inner));
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
	.state_get = ec_state_get,
	.state_set = ec_state_set,
	.chips_get = ec_chips_get,
	.chips_set = ec_chips_set,
	.line = line,
	.msi = message,
	.retired = retired,
	.virtual_ns = virtual_ns,
	.written = written,
	.ring = ring,
};
