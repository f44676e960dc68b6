/*
 * CPUs, chips and clock as values.
 *
 * What is on its way to a CPU (INIT, SIPI, NMI) is handed to it first, so that
 * its state says so.
 */
#include "vmm/chips/engine_chips_parts.h"

#include <inttypes.h>

#define CR4_OSXSAVE 0x40000u
#define XCR0_KNOWN  0x3u /* x87 and SSE */

int
ec_state_get(struct engine_cpu *ecpu, struct cpu_state *state, struct err *err)
{
	struct chips_cpu *cpu = cpu_of(ecpu);
	struct chips_vm *vm = vm_of(ecpu->vm);
	unsigned int id = ecpu->id;
	int r;

	ec_enter_still(vm);
	r = ec_take_signals(vm, cpu, err);
	if (r == 0)
		r = vm->engine->state_get(cpu->inner, state, err);
	if (r == 0) {
		chips_lapic_get(vm->chips, id, state);
		state->msr[CPU_MSR_TSC] = ec_tsc_at(vm, id, ec_now_ns(vm));
		state->msr[CPU_MSR_KVM_WALL_CLOCK] =
		    clock_kvm_read(&vm->clock, id, CLOCK_KVM_MSR_WALL);
		state->msr[CPU_MSR_KVM_SYSTEM_TIME] =
		    clock_kvm_read(&vm->clock, id, CLOCK_KVM_MSR_SYSTEM);
		state->msr_valid |= 1u << CPU_MSR_TSC |
		    1u << CPU_MSR_KVM_WALL_CLOCK |
		    1u << CPU_MSR_KVM_SYSTEM_TIME;
		state->sipi_vector = cpu->sipi_vector;
	}
	ec_leave(vm);
	return r;
}

/* Addresses that are no RAM are the guest's affair. */
static void
set_msrs(struct chips_vm *vm, unsigned int id, const struct cpu_state *state)
{
	uint64_t now = ec_now_ns(vm);

	if (state->msr_valid & 1u << CPU_MSR_TSC)
		ec_set_tsc(vm, id, state->msr[CPU_MSR_TSC]);
	if (state->msr_valid & 1u << CPU_MSR_KVM_WALL_CLOCK)
		vm->clock.wall = state->msr[CPU_MSR_KVM_WALL_CLOCK];
	if (state->msr_valid & 1u << CPU_MSR_KVM_SYSTEM_TIME)
		(void)clock_kvm_write(&vm->clock, id, CLOCK_KVM_MSR_SYSTEM,
		    state->msr[CPU_MSR_KVM_SYSTEM_TIME], ec_tsc_at(vm, id, now),
		    now);
}

int
ec_state_set(
    struct engine_cpu *ecpu, const struct cpu_state *state, struct err *err)
{
	struct chips_cpu *cpu = cpu_of(ecpu);
	struct chips_vm *vm = vm_of(ecpu->vm);
	int r;

	if (state->cr4 & CR4_OSXSAVE && state->xcr0 & ~(uint64_t)XCR0_KNOWN)
		return err_set(err, -ENOTSUP,
		    "CPU %u: XCR0 is 0x%" PRIx64
		    ", which this processor has not all of; go on with the "
		    "engine that it comes from",
		    ecpu->id, state->xcr0);
	ec_enter_still(vm);
	r = vm->engine->state_set(cpu->inner, state, err);
	if (r == 0) {
		cpu->init = cpu->sipi = false;
		cpu->nmis = 0;
		cpu->sipi_vector = state->sipi_vector;
		set_msrs(vm, ecpu->id, state);
		chips_lapic_set(vm->chips, ecpu->id, state);
	}
	ec_leave(vm);
	return r;
}

int
ec_chips_get(struct engine_vm *evm, struct chips_state *state, struct err *err)
{
	struct chips_vm *vm = vm_of(evm);

	(void)err;
	ec_enter_still(vm);
	chips_get(vm->chips, state);
	state->wall_ns = vm->clock.wall_ns;
	ec_leave(vm);
	return 0;
}

/* The machine's clock goes on from ns. */
static void
set_clock(struct chips_vm *vm, uint64_t ns, uint64_t wall_ns)
{
	if (vm->is_virtual) {
		vm->virtual_ns = ns;
		vm->skipped_ns = ns;
		if (vm->cpu[0] != NULL)
			vm->skipped_ns -= VIRTUAL_INSN_NS *
			    vm->engine->retired(vm->cpu[0]->inner);
		vm->clock.wall_ns = wall_ns;
	} else {
		vm->start_ns = ec_clock_ns(CLOCK_MONOTONIC) - ns;
		vm->still_ns = ns;
		vm->is_still = true;
		/* It was away for a while. */
		vm->clock.wall_ns = ec_clock_ns(CLOCK_REALTIME) - ns;
	}
}

int
ec_chips_set(
    struct engine_vm *evm, const struct chips_state *state, struct err *err)
{
	struct chips_vm *vm = vm_of(evm);
	int r;

	pthread_mutex_lock(&vm->lock);
	r = chips_set(vm->chips, state);
	if (r == 0) {
		set_clock(vm, state->now_ns, state->wall_ns);
		vm->tsc_khz = vm->io.tsc_khz = vm->clock.tsc_khz =
		    state->tsc_khz;
	}
	ec_leave(vm);
	return r == 0 ? 0
		      : err_set(err, r,
			    "%s: the state of the interrupt controllers and "
			    "timers makes no sense; use another checkpoint",
			    evm->engine->name);
}
