/*
 * The interpreter as an engine.
 *
 * CPUs of one machine execute one at a time, in turns of a slice, under the
 * machine's lock: so that locked instructions are atomic, and blocks of decoded
 * code are shared, without a word about it in any handler.  Turns are taken in
 * the order of asking.
 *
 * A slice ends when its budget of instructions is used up, which every block
 * checks at its head; only then, and when a block leaves early, are kicks and
 * interrupts looked for.  A CPU that may just have become able to take an
 * interrupt (STI, POPF, IRET) leaves its block.
 *
 * Instructions are counted by the budget: slice - budget of them are retired in
 * a slice at any end of a block.  What a repeated instruction takes from the
 * budget for its pieces is taken from the slice, too.
 *
 * A fault in the middle of an instruction jumps out (longjmp) to slice(), which
 * delivers it; handlers change nothing that counts before their last access to
 * memory.
 */
#include "vmm/emulate/engine_emulate.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "vmm/emulate/emu.h"
#include "vmm/emulate/handlers.h"
#include "vmm/emulate/segment.h"

#define SLICE_INSNS 20000

#define ONE_ARENA_BYTES (256u << 10) /* of instructions executed one by one */

static struct emu_vm *
vm_of(struct engine_vm *vm)
{
	return (struct emu_vm *)vm;
}

static struct emu_cpu *
cpu_of(struct engine_cpu *cpu)
{
	return (struct emu_cpu *)cpu;
}

/* ---- turns ---- */

static void
turn_take(struct emu_vm *vm)
{
	uint64_t ticket;

	pthread_mutex_lock(&vm->lock);
	ticket = __atomic_fetch_add(&vm->tickets, 1, __ATOMIC_RELAXED);
	while (vm->serving != ticket)
		pthread_cond_wait(&vm->turn, &vm->lock);
	pthread_mutex_unlock(&vm->lock);
}

static void
turn_give(struct emu_vm *vm)
{
	pthread_mutex_lock(&vm->lock);
	vm->serving++;
	pthread_cond_broadcast(&vm->turn);
	pthread_mutex_unlock(&vm->lock);
}

static void
turn_pass(struct emu_vm *vm)
{
	/* Does somebody wait?  serving is ours to change. */
	if (__atomic_load_n(&vm->tickets, __ATOMIC_RELAXED) == vm->serving + 1)
		return;
	turn_give(vm);
	turn_take(vm);
}

/* Devices take a turn, too, to have code forgotten that they overwrote. */
static void
written(struct engine_vm *evm, const struct iovec *piece, unsigned int n)
{
	struct emu_vm *vm = vm_of(evm);

	turn_take(vm);
	for (unsigned int i = 0; i < n; i++)
		emu_code_written(vm,
		    memory_address(vm->memory, piece[i].iov_base),
		    piece[i].iov_len);
	turn_give(vm);
}

/* ---- exceptions ---- */

static bool
contributory(unsigned int vector)
{
	return vector == EXC_DE || (vector >= EXC_TS && vector <= EXC_GP);
}

/* An exception while another one is being delivered (SDM 3, table 6-5). */
static void
combine(struct emu_cpu *cpu)
{
	unsigned int first = cpu->delivering_vector;
	unsigned int second = cpu->fault_vector;

	if (first == EXC_DF) {
		cpu->shutdown = true;
		return;
	}
	if ((contributory(first) && contributory(second)) ||
	    (first == EXC_PF && (second == EXC_PF || contributory(second)))) {
		cpu->fault_vector = EXC_DF;
		cpu->fault_has_code = true;
		cpu->fault_code = 0;
	}
}

static void
deliver_exception(struct emu_cpu *cpu)
{
	cpu->delivering = true;
	cpu->delivering_vector = cpu->fault_vector;
	emu_deliver(cpu, cpu->fault_vector, EVENT_EXCEPTION,
	    cpu->fault_has_code && (cpu->cr0 & CR0_PE), cpu->fault_code);
	cpu->delivering = false;
	cpu->faulted = false;
	if (cpu->fault_vector == EXC_DB)
		cpu->dr7 &= ~(uint64_t)DR7_GD;
}

/* Interrupts are nothing that an exception could combine with. */
#define BENIGN 0xff

static void
deliver_other(struct emu_cpu *cpu, unsigned int vector, enum event event)
{
	cpu->delivering = true;
	cpu->delivering_vector = BENIGN;
	emu_deliver(cpu, vector, event, false, 0);
	cpu->delivering = false;
}

/* INT n: is retired, and behind itself, if its delivery does not fault.  What
 * was watched by the MOV to SS before it comes then. */
static void
deliver_trap(struct emu_cpu *cpu)
{
	cpu->trap = false;
	cpu->rip += cpu->trap_length;
	deliver_other(cpu, cpu->trap_vector, EVENT_SOFTWARE);
	cpu->trap_length = 0;
	cpu->budget--;
	if (cpu->hits != 0) {
		emu_debug_trap(cpu, 0);
		deliver_exception(cpu);
	}
}

static bool
interruptible(const struct emu_cpu *cpu)
{
	return (cpu->eflags & FLAG_IF) && !cpu->shadow;
}

/* Delivers what is to be delivered between two blocks. */
static void
deliver(struct emu_cpu *cpu)
{
	if (cpu->faulted)
		deliver_exception(cpu);
	if (cpu->trap)
		deliver_trap(cpu);
	if (cpu->nmi_pending > 0 && !cpu->nmi_masked) {
		cpu->nmi_pending--;
		cpu->nmi_masked = true;
		deliver_other(cpu, 2, EVENT_INTERRUPT);
	}
	if (cpu->pending && interruptible(cpu)) {
		cpu->pending = false;
		deliver_other(cpu, cpu->pending_vector, EVENT_INTERRUPT);
	}
}

/* ---- execution ---- */

static bool
window_open(const struct emu_cpu *cpu)
{
	return cpu->want_window && !cpu->pending && interruptible(cpu);
}

static bool
wants_out(const struct emu_cpu *cpu)
{
	return cpu->shutdown || cpu->run != CPU_RUNNING || window_open(cpu) ||
	    atomic_load_explicit(&cpu->kicked, memory_order_relaxed);
}

static void
execute_block(struct emu_cpu *cpu, const struct block *block)
{
	const struct op *op;

	cpu->shadow = cpu->shadow_ss = false;
	cpu->smc = false;
	for (op = block->op; op != NULL;)
		op = op->fn(cpu, op);
}

/* One instruction, because it is traced, or may be watched, or because
 * something waits for the end of the interrupt shadow that lies on it. */
static void
execute_one(struct emu_cpu *cpu)
{
	int64_t rest = cpu->budget - 1;

	if (unlikely(cpu->armed & ARMED_CODE) && emu_break(cpu))
		return;
	cpu->single = cpu->eflags & FLAG_TF;
	cpu->mode |= MODE_STEP;
	/* A fault loses the rest: the slice is then shorter. */
	cpu->budget -= rest;
	cpu->slice -= rest;
	execute_block(cpu, emu_block(cpu));
	cpu->budget += rest;
	cpu->slice += rest;
	emu_set_mode(cpu);
	if (cpu->shadow_ss || cpu->trap || (!cpu->single && cpu->hits == 0))
		return;
	cpu->run = CPU_RUNNING; /* after HLT, too */
	emu_debug_trap(cpu, cpu->single ? DR6_BS : 0);
}

/* What the last block gave back, because it was left early, is not to be
 * executed behind the stop. */
static void
trim(struct emu_cpu *cpu)
{
	uint64_t done = emu_retired(cpu, NULL);
	int64_t left;

	if (cpu->stop - done >= SLICE_INSNS && cpu->stop >= done)
		return;
	left = cpu->stop > done ? (int64_t)(cpu->stop - done) : 0;
	if (cpu->budget > left) {
		cpu->slice -= cpu->budget - left;
		cpu->budget = left;
	}
}

/* Executes the block at rip and those linked to it, within the budget.  A stop
 * is thus at the first end of a block behind it, wherever the slice began.
 * False: the budget is used up. */
static bool
execute(struct emu_cpu *cpu)
{
	const struct block *block;

	trim(cpu);
	if (cpu->budget < 1)
		return false;
	if (cpu->mode & MODE_STEP ||
	    (cpu->shadow && (cpu->want_window || cpu->nmi_pending > 0))) {
		execute_one(cpu);
		return true;
	}
	block = emu_block(cpu);
	if (cpu->budget < block->ninsns) { /* the last one, as a whole */
		cpu->slice += block->ninsns - cpu->budget;
		cpu->budget = block->ninsns;
	}
	execute_block(cpu, block);
	return true;
}

/* How many instructions to execute before looking around. */
static int64_t
slice_insns(const struct emu_cpu *cpu)
{
	uint64_t left = cpu->stop > cpu->retired ? cpu->stop - cpu->retired : 1;

	return left > SLICE_INSNS ? SLICE_INSNS : (int64_t)left;
}

/* A handler or a delivery has jumped out. */
static void
note_fault(struct emu_cpu *cpu)
{
	cpu->faulted = true;
	cpu->shadow = cpu->shadow_ss = false;
	cpu->hits = 0;
	cpu->rip -= cpu->trap_length;
	cpu->trap_length = 0;
	if (cpu->delivering)
		combine(cpu);
}

static void
slice(struct emu_cpu *cpu)
{
	cpu->slice = cpu->budget = slice_insns(cpu);
	if (setjmp(cpu->fault) != 0)
		note_fault(cpu);
	while (!cpu->shutdown) {
		deliver(cpu);
		if (wants_out(cpu) || !execute(cpu))
			break;
	}
	cpu->retired += (uint64_t)(cpu->slice - cpu->budget);
	cpu->slice = cpu->budget = 0;
}

static void
run(struct engine_cpu *ecpu, struct engine_exit *exit)
{
	struct emu_cpu *cpu = cpu_of(ecpu);

	err_clear(&exit->err);
	if (cpu->run == CPU_HALTED &&
	    ((cpu->pending && interruptible(cpu)) ||
		(cpu->nmi_pending > 0 && !cpu->nmi_masked)))
		cpu->run = CPU_RUNNING;
	turn_take(cpu->vm);
	for (;;) {
		if (atomic_exchange(&cpu->kicked, false)) {
			exit->kind = EXIT_INTERRUPTED;
			break;
		}
		if (cpu->run != CPU_RUNNING) {
			exit->kind = EXIT_HALT;
			break;
		}
		slice(cpu);
		if (cpu->shutdown) {
			exit->kind = EXIT_SHUTDOWN;
			break;
		}
		if (cpu->run == CPU_RUNNING && window_open(cpu)) {
			exit->kind = EXIT_WINDOW;
			break;
		}
		if (cpu->retired >= cpu->stop) {
			exit->kind = EXIT_INTERRUPTED;
			break;
		}
		turn_pass(cpu->vm);
	}
	turn_give(cpu->vm);
}

/* What was decoded is void at once, and thrown away now and then. */
static void
forget_code(struct emu_cpu *cpu)
{
	struct emu_vm *vm = cpu->vm;

	if (cpu->block != NULL)
		emu_code_written(vm, cpu->block->phys, cpu->block->bytes);
	cpu->block = NULL;
	if (vm->arena_used > ONE_ARENA_BYTES)
		emu_code_flush(vm);
}

enum emulate_one
emulate_one(struct engine_cpu *ecpu)
{
	struct emu_cpu *cpu = cpu_of(ecpu);
	volatile bool unknown = false;

	turn_take(cpu->vm);
	cpu->slice = cpu->budget = SLICE_INSNS;
	cpu->block = NULL;
	if (setjmp(cpu->fault) != 0) {
		unknown = !cpu->delivering && !cpu->trap &&
		    cpu->fault_vector == EXC_UD;
		note_fault(cpu);
	} else {
		execute_one(cpu);
	}
	while (!unknown && !cpu->shutdown && (cpu->faulted || cpu->trap))
		deliver(cpu);
	forget_code(cpu);
	cpu->slice = cpu->budget = 0;
	turn_give(cpu->vm);
	if (unknown)
		return EMULATE_UNKNOWN;
	return cpu->shutdown ? EMULATE_SHUTDOWN : EMULATE_DONE;
}

static uint64_t
retired(const struct engine_cpu *ecpu)
{
	const struct emu_cpu *cpu = (const struct emu_cpu *)ecpu;

	return emu_retired(cpu, cpu->at);
}

static void
stop_at(struct engine_cpu *ecpu, uint64_t instructions)
{
	cpu_of(ecpu)->stop = instructions;
}

static void
kick(struct engine_cpu *ecpu)
{
	atomic_store(&cpu_of(ecpu)->kicked, true);
}

static int
inject(struct engine_cpu *ecpu, uint8_t vector)
{
	struct emu_cpu *cpu = cpu_of(ecpu);

	if (cpu->pending || cpu->faulted || cpu->trap || !interruptible(cpu))
		return -EAGAIN;
	cpu->pending = true;
	cpu->pending_vector = vector;
	if (cpu->run == CPU_HALTED)
		cpu->run = CPU_RUNNING;
	return 0;
}

static void
want_window(struct engine_cpu *ecpu, bool want)
{
	cpu_of(ecpu)->want_window = want;
}

/* ---- state ---- */

static void
reset_cpu(struct emu_cpu *cpu)
{
	memset(cpu->gpr, 0, sizeof(cpu->gpr));
	cpu->gpr[CPU_RDX] = 0x6f1; /* as CPUID's leaf 1 */
	cpu->fl_from = FL_RAW;
	cpu->eflags = FLAG_ONE;
	cpu->rip = 0xfff0;
	for (unsigned int s = CPU_ES; s <= CPU_GS; s++)
		cpu->seg[s] = (struct cpu_seg){ .limit = 0xffff,
			.attributes = CPU_SEG_PRESENT | CPU_SEG_CODE |
			    (s == CPU_CS ? 0xb : 0x3) };
	cpu->seg[CPU_CS].selector = 0xf000;
	cpu->seg[CPU_CS].base = 0xffff0000;
	cpu->seg[CPU_LDTR] = (struct cpu_seg){ .limit = 0xffff,
		.attributes = CPU_SEG_PRESENT | 2 };
	cpu->seg[CPU_TR] = (struct cpu_seg){ .limit = 0xffff,
		.attributes = CPU_SEG_PRESENT | 0xb };
	cpu->gdt = cpu->idt = (struct cpu_table){ .limit = 0xffff };
	cpu->cr0 = CR0_ET | CR0_NW | CR0_CD;
	cpu->xcr0 = XSAVE_X87;
	cpu->cr2 = cpu->cr3 = cpu->cr4 = cpu->cr8 = cpu->efer = 0;
	cpu->dr6 = DR6_ALWAYS;
	cpu->dr7 = DR7_ALWAYS;
	cpu->armed = cpu->hits = 0;
	cpu->msr[CPU_MSR_PAT] = UINT64_C(0x0007040600070406);
	emu_fpu_reset(cpu);
	cpu->cpl = 0;
	cpu->faulted = cpu->trap = cpu->pending = cpu->delivering = false;
	cpu->shadow = cpu->nmi_masked = false;
	cpu->nmi_pending = 0;
	cpu->shutdown = false;
	cpu->run = cpu->base.id == 0 ? CPU_RUNNING : CPU_WAIT_INIT;
	emu_flush(cpu);
	emu_set_mode(cpu);
}

/* The model-specific registers that stand elsewhere, and those kept as they
 * are. */
static void
msrs_get(const struct emu_cpu *cpu, struct cpu_state *state)
{
	memcpy(state->msr, cpu->msr, sizeof(state->msr));
	state->msr[CPU_MSR_EFER] = cpu->efer;
	state->msr[CPU_MSR_STAR] = cpu->star;
	state->msr[CPU_MSR_LSTAR] = cpu->lstar;
	state->msr[CPU_MSR_CSTAR] = cpu->cstar;
	state->msr[CPU_MSR_SFMASK] = cpu->sfmask;
	state->msr[CPU_MSR_KERNEL_GS_BASE] = cpu->kernel_gs;
	state->msr_valid = (1u << CPU_MSR_MISC_ENABLE) | (1u << CPU_MSR_PAT) |
	    (1u << CPU_MSR_EFER) | (1u << CPU_MSR_STAR) |
	    (1u << CPU_MSR_LSTAR) | (1u << CPU_MSR_CSTAR) |
	    (1u << CPU_MSR_SFMASK) | (1u << CPU_MSR_KERNEL_GS_BASE) |
	    (1u << CPU_MSR_SYSENTER_CS) | (1u << CPU_MSR_SYSENTER_ESP) |
	    (1u << CPU_MSR_SYSENTER_EIP) | (1u << CPU_MSR_TSC_AUX) |
	    (1u << CPU_MSR_MTRR_DEFAULT);
}

static void
msrs_set(struct emu_cpu *cpu, const struct cpu_state *state)
{
	struct cpu_state all;

	msrs_get(cpu, &all);
	for (unsigned int i = 0; i < CPU_MSRS; i++)
		if (state->msr_valid & 1u << i)
			all.msr[i] = state->msr[i];
	memcpy(cpu->msr, all.msr, sizeof(cpu->msr));
	cpu->efer = all.msr[CPU_MSR_EFER];
	cpu->star = all.msr[CPU_MSR_STAR];
	cpu->lstar = all.msr[CPU_MSR_LSTAR];
	cpu->cstar = all.msr[CPU_MSR_CSTAR];
	cpu->sfmask = all.msr[CPU_MSR_SFMASK];
	cpu->kernel_gs = all.msr[CPU_MSR_KERNEL_GS_BASE];
}

static int
state_get(struct engine_cpu *ecpu, struct cpu_state *state, struct err *err)
{
	struct emu_cpu *cpu = cpu_of(ecpu);

	(void)err;
	memset(state, 0, sizeof(*state));
	memcpy(state->gpr, cpu->gpr, sizeof(state->gpr));
	state->rip = cpu->rip;
	state->rflags = emu_flags(cpu);
	memcpy(state->seg, cpu->seg, sizeof(state->seg));
	state->gdt = cpu->gdt;
	state->idt = cpu->idt;
	state->cr0 = cpu->cr0;
	state->cr2 = cpu->cr2;
	state->cr3 = cpu->cr3;
	state->cr4 = cpu->cr4;
	state->cr8 = cpu->cr8;
	memcpy(state->dr, cpu->dr, sizeof(state->dr));
	state->dr6 = cpu->dr6;
	state->dr7 = cpu->dr7;
	state->xcr0 = cpu->xcr0;
	msrs_get(cpu, state);
	memcpy(state->mtrr_fixed, cpu->mtrr_fixed, sizeof(state->mtrr_fixed));
	memcpy(state->mtrr_base, cpu->mtrr_base, sizeof(state->mtrr_base));
	memcpy(state->mtrr_mask, cpu->mtrr_mask, sizeof(state->mtrr_mask));
	memcpy(state->xsave, cpu->fx, sizeof(cpu->fx));
	state->xsave[512] = 3; /* both parts are there */
	state->run = cpu->run;
	if (cpu->faulted) {
		state->exception_pending = true;
		state->exception = cpu->fault_vector;
		state->exception_has_code = cpu->fault_has_code;
		state->exception_code = cpu->fault_code;
	}
	state->interrupt_pending = cpu->pending;
	state->interrupt = cpu->pending ? cpu->pending_vector : 0;
	state->interrupt_shadow = cpu->shadow;
	state->nmi_pending = cpu->nmi_pending;
	state->nmi_masked = cpu->nmi_masked;
	return 0;
}

static int
state_set(
    struct engine_cpu *ecpu, const struct cpu_state *state, struct err *err)
{
	struct emu_cpu *cpu = cpu_of(ecpu);

	if ((unsigned int)state->run > CPU_WAIT_SIPI)
		return err_set(err, -EINVAL,
		    "CPU %u: run state %u is not known; use another "
		    "checkpoint",
		    ecpu->id, (unsigned int)state->run);
	if (state->cr4 & ~(uint64_t)(CR4_KNOWN | CR4_OSXSAVE))
		return err_set(err, -ENOTSUP,
		    "CPU %u: CR4 is 0x%" PRIx64
		    ", which this processor has not all of; go on with the "
		    "engine that it comes from",
		    ecpu->id, state->cr4);
	memcpy(cpu->gpr, state->gpr, sizeof(state->gpr));
	cpu->rip = state->rip;
	memcpy(cpu->seg, state->seg, sizeof(cpu->seg));
	cpu->gdt = state->gdt;
	cpu->idt = state->idt;
	cpu->cr0 = state->cr0 | CR0_ET;
	cpu->cr2 = state->cr2;
	cpu->cr3 = state->cr3;
	cpu->cr4 = state->cr4;
	cpu->cr8 = state->cr8;
	cpu->xcr0 = state->xcr0 | XSAVE_X87;
	memcpy(cpu->dr, state->dr, sizeof(cpu->dr));
	cpu->dr6 = state->dr6;
	cpu->dr7 = state->dr7;
	cpu->hits = 0;
	msrs_set(cpu, state);
	memcpy(cpu->mtrr_fixed, state->mtrr_fixed, sizeof(cpu->mtrr_fixed));
	memcpy(cpu->mtrr_base, state->mtrr_base, sizeof(cpu->mtrr_base));
	memcpy(cpu->mtrr_mask, state->mtrr_mask, sizeof(cpu->mtrr_mask));
	emu_fpu_put(cpu, state->xsave);
	cpu->run = state->run;
	cpu->faulted = state->exception_pending;
	cpu->fault_vector = state->exception;
	cpu->fault_has_code = state->exception_has_code;
	cpu->fault_code = state->exception_code;
	cpu->pending = state->interrupt_pending;
	cpu->pending_vector = state->interrupt;
	cpu->shadow = state->interrupt_shadow;
	cpu->nmi_pending = state->nmi_pending < 2 ? state->nmi_pending : 2;
	cpu->nmi_masked = state->nmi_masked;
	cpu->trap = cpu->delivering = cpu->shutdown = false;
	cpu->cpl = cpu->cr0 & CR0_PE ? cpu->seg[CPU_SS].attributes >> 5 & 3 : 0;
	cpu->mode = 0;
	emu_arm(cpu);
	emu_set_flags(cpu, (uint32_t)state->rflags);
	emu_flush(cpu);
	emu_set_mode(cpu);
	return 0;
}

/* ---- machines and CPUs ---- */

static int
probe(struct err *err)
{
	(void)err;
	return 0; /* it is a program like any other */
}

static void
vm_free(struct engine_vm *evm)
{
	struct emu_vm *vm = vm_of(evm);

	emu_code_free(vm);
	pthread_cond_destroy(&vm->turn);
	pthread_mutex_destroy(&vm->lock);
	pthread_mutex_destroy(&vm->rings_lock);
	free(vm);
}

static struct engine_vm *
vm_new(const struct engine_config *config, struct err *err)
{
	struct emu_vm *vm = calloc(1, sizeof(*vm));

	if (vm == NULL) {
		err_sys(err, -ENOMEM, NULL, "emulate");
		return NULL;
	}
	vm->base.engine = &engine_emulate;
	vm->memory = config->memory;
	vm->io = config->io;
	pthread_mutex_init(&vm->lock, NULL);
	pthread_mutex_init(&vm->rings_lock, NULL);
	pthread_cond_init(&vm->turn, NULL);
	if (emu_code_init(vm) < 0) {
		err_sys(err, -ENOMEM, "give the VM less memory", "emulate");
		vm_free(&vm->base);
		return NULL;
	}
	return &vm->base;
}

static struct engine_cpu *
cpu_new(struct engine_vm *evm, struct err *err)
{
	struct emu_vm *vm = vm_of(evm);
	struct emu_cpu *cpu;

	if (vm->ncpus == ENGINE_CPUS_MAX) {
		err_set(err, -E2BIG, "emulate: a machine has at most %d CPUs",
		    ENGINE_CPUS_MAX);
		return NULL;
	}
	cpu = aligned_alloc(64, (sizeof(*cpu) + 63) & ~(size_t)63);
	if (cpu == NULL) {
		err_sys(err, -ENOMEM, NULL, "emulate");
		return NULL;
	}
	memset(cpu, 0, sizeof(*cpu));
	cpu->base.vm = evm;
	cpu->base.id = vm->ncpus;
	cpu->vm = vm;
	cpu->stop = UINT64_MAX;
	emu_tlb_init(cpu);
	reset_cpu(cpu);
	vm->cpu[vm->ncpus++] = cpu;
	return &cpu->base;
}

static void
cpu_free(struct engine_cpu *ecpu)
{
	struct emu_cpu *cpu = cpu_of(ecpu);

	cpu->vm->cpu[--cpu->vm->ncpus] = NULL; /* they go last made first */
	free(cpu);
}

const struct engine engine_emulate = {
	.name = "emulate",
	.probe = probe,
	.has_chips = false,
	.vm_new = vm_new,
	.vm_free = vm_free,
	.cpu_new = cpu_new,
	.cpu_free = cpu_free,
	.run = run,
	.kick = kick,
	.state_get = state_get,
	.state_set = state_set,
	.inject = inject,
	.want_window = want_window,
	.retired = retired,
	.stop_at = stop_at,
	.written = written,
	.ring = emu_ring,
};
