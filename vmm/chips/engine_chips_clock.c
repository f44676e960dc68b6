/*
 * The machine's clock, and the counters that go by it.
 *
 * A guest may set its timers to any rate.  The clock thread rests between two
 * looks, so that such a guest slows itself down and nobody else.
 *
 * While no CPU runs and states are read or written, the clock stands still, so
 * that they are of one instant; the next CPU to run lets it go on, to where it
 * would be.
 *
 * With a virtual clock an instruction takes VIRTUAL_INSN_NS, and a halt no
 * real time: the clock jumps to the next event.  Nothing then happens at an
 * instant that real time chose: the CPU runs to the next event and takes it,
 * there is no clock thread, and other threads find the time as the CPU left it.
 * What they bring in, as input of a console or frames, is the one thing that is
 * not the same in each run.  An idle guest's time flies.
 */
#include "vmm/chips/engine_chips_parts.h"

#define REST_NS 20000

uint64_t
ec_clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

uint64_t
ec_now_ns(const struct chips_vm *vm)
{
	if (vm->is_still)
		return vm->still_ns;
	return vm->is_virtual ? vm->virtual_ns
			      : ec_clock_ns(CLOCK_MONOTONIC) - vm->start_ns;
}

/* The lock is held. */
static void
stand_still(struct chips_vm *vm)
{
	if (vm->running > 0 || vm->is_still || vm->is_virtual)
		return;
	vm->still_ns = ec_now_ns(vm);
	vm->is_still = true;
}

void
ec_move_on(struct chips_vm *vm)
{
	vm->is_still = false;
	pthread_cond_signal(&vm->sooner);
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
void
ec_enter_outside(struct chips_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	chips_advance(vm->chips, ec_now_ns(vm));
}

/* Takes the lock in a CPU's thread; the chips' time is the present. */
void
ec_enter(struct chips_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	look_at_clock(vm);
	chips_advance(vm->chips, ec_now_ns(vm));
}

/* Gives the lock back; the clock thread hears of earlier events. */
void
ec_leave(struct chips_vm *vm)
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
void
ec_arm_virtual(struct chips_vm *vm, struct chips_cpu *cpu)
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
bool
ec_skip_to_event(struct chips_vm *vm)
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

void *
ec_clock_thread(void *arg)
{
	struct chips_vm *vm = arg;

	pthread_mutex_lock(&vm->lock);
	while (!vm->quit) {
		uint64_t now = ec_now_ns(vm), at;
		struct timespec ts;

		if (vm->is_still) {
			pthread_cond_wait(&vm->sooner, &vm->lock);
			continue;
		}

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

uint64_t
ec_ns_when(const struct chips_vm *vm, uint64_t retired)
{
	return vm->is_virtual ? vm->skipped_ns + VIRTUAL_INSN_NS * retired
			      : ec_now_ns(vm);
}

/* All that is asked or set between two runs is so at one instant. */
void
ec_enter_still(struct chips_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	stand_still(vm);
	look_at_clock(vm);
	chips_advance(vm->chips, ec_now_ns(vm));
}

/* ---- counters ---- */

/* The counter of a CPU at an instant. */
uint64_t
ec_tsc_at(const struct chips_vm *vm, unsigned int cpu, uint64_t ns)
{
	uint64_t counts = vm->tsc_khz == NS_PER_MS
	    ? ns
	    : (uint64_t)((unsigned __int128)ns * vm->tsc_khz / NS_PER_MS);

	return vm->cpu[cpu]->tsc_offset + counts;
}

/* The lock is held, the clock as it is. */
void
ec_set_tsc(struct chips_vm *vm, unsigned int cpu, uint64_t value)
{
	uint64_t now = ec_now_ns(vm);

	vm->cpu[cpu]->tsc_offset += value - ec_tsc_at(vm, cpu, now);
	chips_set_tsc_offset(vm->chips, cpu, vm->cpu[cpu]->tsc_offset);
	vm->clock.differ = false;
	for (unsigned int i = 0; i < vm->ncpus; i++)
		vm->clock.differ |= vm->cpu[i] != NULL &&
		    vm->cpu[i]->tsc_offset != vm->cpu[cpu]->tsc_offset;
	for (unsigned int i = 0; i < vm->ncpus; i++)
		if (vm->cpu[i] != NULL)
			clock_kvm_update(
			    &vm->clock, i, ec_tsc_at(vm, i, now), now);
}
