/*
 * The CPU's registers move into an interpreter over the same memory, which
 * executes the instruction, with its exception or software interrupt if it has
 * one, and back.  What only KVM knows stays there: the local APIC, clocks,
 * most model-specific registers, pending interrupts, upper halves of vectors.
 *
 * The interpreter's machine is made at the first such instruction; most hosts
 * never need it.  It keeps no code: KVM's CPUs write to memory without telling.
 *
 * A locked instruction is atomic only among those of the same executor.  So all
 * other CPUs are kicked out of KVM, and held before it, while one is executed
 * here.  Others need not be: their accesses are plain loads and stores.
 *
 * It costs ten calls of the kernel and a decoding, some 100 microseconds: right
 * for what is rare, or for a host where the alternative is not to run at all.
 */
#include "vmm/kvm_fallback.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "vmm/emulate/engine_emulate.h"
#include "vmm/engine_io.h"

#define PREFIXES       14
#define XSAVE_HEADER   512 /* after FXSAVE's image; its first word: XSTATE_BV */
#define XSTATE_FX      0x3 /* x87 and SSE */
#define MSR_TSC        0x10
#define LAST_APIC_PAGE UINT64_C(0xfeefffff) /* IOAPIC and local APIC ... */
#define APIC_PAGES     UINT64_C(0xfec00000) /* ... are in the kernel */

struct kvm_fallback {
	struct kvm_vm *vm;
	const struct engine_io *outer; /* NULL: no devices */
	struct engine_io io;
	struct engine_vm *emulator;
	struct engine_cpu *emulated[ENGINE_CPUS_MAX];
	struct kvm_cpu *now; /* whose instruction it is */
	bool lost;           /* something went to a chip in the kernel */
	struct cpu_state before, after;
	uint64_t count;
};

/* ---- what the interpreter asks of the machine ---- */

static uint32_t
port_in(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes)
{
	struct kvm_fallback *f = arg;

	return f->outer != NULL
	    ? f->outer->port_in(f->outer->arg, cpu, port, bytes)
	    : UINT32_MAX;
}

static void
port_out(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes,
    uint32_t value)
{
	struct kvm_fallback *f = arg;

	if (f->outer != NULL)
		f->outer->port_out(f->outer->arg, cpu, port, bytes, value);
}

static bool
is_in_kernel(struct kvm_fallback *f, uint64_t address)
{
	bool yes =
	    f->vm->chips && address >= APIC_PAGES && address <= LAST_APIC_PAGE;

	f->lost |= yes;
	return yes;
}

static uint64_t
mmio_read(void *arg, unsigned int cpu, uint64_t address, unsigned int bytes)
{
	struct kvm_fallback *f = arg;

	if (is_in_kernel(f, address) || f->outer == NULL)
		return UINT64_MAX;
	return f->outer->mmio_read(f->outer->arg, cpu, address, bytes);
}

static void
mmio_write(void *arg, unsigned int cpu, uint64_t address, unsigned int bytes,
    uint64_t value)
{
	struct kvm_fallback *f = arg;

	if (!is_in_kernel(f, address) && f->outer != NULL)
		f->outer->mmio_write(f->outer->arg, cpu, address, bytes, value);
}

static bool
msr_read(void *arg, unsigned int cpu, uint32_t index, uint64_t *value)
{
	struct kvm_fallback *f = arg;

	(void)cpu;
	return kvm_msr_get(f->now, index, value);
}

static bool
msr_write(void *arg, unsigned int cpu, uint32_t index, uint64_t value)
{
	struct kvm_fallback *f = arg;

	(void)cpu;
	return kvm_msr_set(f->now, index, value);
}

static uint8_t
get_tpr(void *arg, unsigned int cpu)
{
	struct kvm_fallback *f = arg;

	(void)cpu;
	return (uint8_t)f->before.cr8;
}

static void
set_tpr(void *arg, unsigned int cpu, uint8_t priority)
{
	struct kvm_fallback *f = arg;

	(void)cpu;
	f->before.cr8 = priority;
}

static uint64_t
tsc(void *arg, unsigned int cpu, uint64_t retired)
{
	struct kvm_fallback *f = arg;
	uint64_t value = 0;

	(void)cpu;
	(void)retired;
	kvm_msr_get(f->now, MSR_TSC, &value);
	return value;
}

/* ---- its machine ---- */

static int
make_emulator(struct kvm_fallback *f, struct err *err)
{
	struct engine_config config = {
		.memory = f->vm->memory, .ncpus = f->vm->ncpus, .io = &f->io
	};

	f->emulator = engine_emulate.vm_new(&config, err);
	if (f->emulator == NULL)
		return -ENOMEM;
	for (unsigned int i = 0; i < f->vm->ncpus; i++) {
		f->emulated[i] = engine_emulate.cpu_new(f->emulator, err);
		if (f->emulated[i] == NULL)
			return -ENOMEM;
	}
	return 0;
}

static void
free_fallback(struct kvm_fallback *f)
{
	for (unsigned int i = ENGINE_CPUS_MAX; i > 0; i--)
		if (f->emulated[i - 1] != NULL)
			engine_emulate.cpu_free(f->emulated[i - 1]);
	if (f->emulator != NULL)
		engine_emulate.vm_free(f->emulator);
	free(f);
}

static struct kvm_fallback *
new_fallback(struct kvm_vm *vm, struct err *err)
{
	struct kvm_fallback *f = calloc(1, sizeof(*f));

	if (f == NULL) {
		err_sys(err, -ENOMEM, NULL, "kvm: the interpreter");
		return NULL;
	}
	f->vm = vm;
	f->outer = vm->io;
	f->io = (struct engine_io){ .arg = f,
		.port_in = port_in,
		.port_out = port_out,
		.mmio_read = mmio_read,
		.mmio_write = mmio_write,
		.msr_read = msr_read,
		.msr_write = msr_write,
		.get_tpr = get_tpr,
		.set_tpr = set_tpr,
		.tsc = tsc };
	if (make_emulator(f, err) == 0)
		return f;
	free_fallback(f);
	return NULL;
}

void
kvm_fallback_init(struct kvm_vm *vm, const struct engine_config *config)
{
	vm->memory = config->memory;
	vm->io = config->io;
	pthread_mutex_init(&vm->fallback_lock, NULL);
	pthread_mutex_init(&vm->inside_lock, NULL);
	pthread_cond_init(&vm->inside_changed, NULL);
}

void
kvm_fallback_free(struct kvm_vm *vm)
{
	if (vm->fallback != NULL) {
		log_info("kvm: %" PRIu64 " instructions were emulated",
		    vm->fallback->count);
		free_fallback(vm->fallback);
	}
	vm->fallback = NULL;
	pthread_cond_destroy(&vm->inside_changed);
	pthread_mutex_destroy(&vm->inside_lock);
	pthread_mutex_destroy(&vm->fallback_lock);
}

/* ---- the other CPUs ---- */

void
kvm_fallback_enter(struct kvm_vm *vm)
{
	if (vm->ncpus == 1)
		return;
	for (;;) {
		atomic_fetch_add(&vm->inside, 1);
		if (!atomic_load(&vm->alone))
			return;
		kvm_fallback_leave(vm);
		pthread_mutex_lock(&vm->inside_lock);
		while (atomic_load(&vm->alone))
			pthread_cond_wait(
			    &vm->inside_changed, &vm->inside_lock);
		pthread_mutex_unlock(&vm->inside_lock);
	}
}

void
kvm_fallback_leave(struct kvm_vm *vm)
{
	if (vm->ncpus == 1)
		return;
	if (atomic_fetch_sub(&vm->inside, 1) != 1 || !atomic_load(&vm->alone))
		return;
	pthread_mutex_lock(&vm->inside_lock);
	pthread_cond_broadcast(&vm->inside_changed);
	pthread_mutex_unlock(&vm->inside_lock);
}

/* A CPU that begins to wait for this is not inside, and one that is finds its
 * kick before it can enter the guest, or is taken out by it. */
static void
be_alone(struct kvm_vm *vm)
{
	pthread_mutex_lock(&vm->inside_lock);
	atomic_store(&vm->alone, true);
	for (unsigned int i = 0; i < vm->made; i++)
		kvm_cpu_interrupt(vm->cpu[i]);
	while (atomic_load(&vm->inside) > 0)
		pthread_cond_wait(&vm->inside_changed, &vm->inside_lock);
	pthread_mutex_unlock(&vm->inside_lock);
}

static void
let_others(struct kvm_vm *vm)
{
	pthread_mutex_lock(&vm->inside_lock);
	atomic_store(&vm->alone, false);
	pthread_cond_broadcast(&vm->inside_changed);
	pthread_mutex_unlock(&vm->inside_lock);
}

static bool
is_prefix(uint8_t byte)
{
	static const uint8_t prefix[] = { 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
		0x66, 0x67, 0xf0, 0xf2, 0xf3 };

	return memchr(prefix, byte, sizeof(prefix)) != NULL;
}

static bool
is_locked(const uint8_t *bytes, unsigned int n)
{
	if (n == 0)
		return true; /* nobody says that it is not */
	for (unsigned int i = 0; i < n && i < PREFIXES; i++) {
		if (bytes[i] == 0xf0)
			return true;
		if (!is_prefix(bytes[i]))
			return bytes[i] == 0x86 || bytes[i] == 0x87; /* XCHG */
	}
	return false;
}

/* ---- the instruction ---- */

/* What it may have changed. */
static void
take_over(struct cpu_state *to, const struct cpu_state *from)
{
	memcpy(to->gpr, from->gpr, sizeof(to->gpr));
	to->rip = from->rip;
	to->rflags = from->rflags;
	memcpy(to->seg, from->seg, sizeof(to->seg));
	to->gdt = from->gdt;
	to->idt = from->idt;
	to->cr0 = from->cr0;
	to->cr2 = from->cr2;
	to->cr3 = from->cr3;
	to->cr4 = from->cr4;
	to->xcr0 = from->xcr0;
	memcpy(to->dr, from->dr, sizeof(to->dr));
	to->dr6 = from->dr6;
	to->dr7 = from->dr7;
	to->msr[CPU_MSR_EFER] = from->msr[CPU_MSR_EFER];
	memcpy(to->xsave, from->xsave, XSAVE_HEADER);
	to->xsave[XSAVE_HEADER] |= XSTATE_FX;
	to->interrupt_shadow = from->interrupt_shadow;
}

static enum kvm_fallback_result
execute(struct kvm_fallback *f, struct kvm_cpu *cpu, struct err *err)
{
	struct engine_cpu *emulated = f->emulated[cpu->cpu.id];
	enum emulate_one one;

	f->now = cpu;
	f->lost = false;
	if (kvm_core_get(cpu, &f->before, err) < 0)
		return FALLBACK_FAILED;
	f->after = f->before;
	/* These wait until KVM goes on. */
	f->after.exception_pending = f->after.interrupt_pending = false;
	f->after.nmi_pending = 0;
	f->after.run = CPU_RUNNING;
	if (engine_emulate.state_set(emulated, &f->after, err) < 0)
		return FALLBACK_FAILED;
	one = emulate_one(emulated);
	if (one == EMULATE_SHUTDOWN)
		return FALLBACK_SHUTDOWN;
	if (one == EMULATE_UNKNOWN || f->lost)
		return FALLBACK_UNKNOWN;
	if (engine_emulate.state_get(emulated, &f->after, err) < 0)
		return FALLBACK_FAILED;
	take_over(&f->before, &f->after);
	if (kvm_core_set(cpu, &f->before, err) < 0)
		return FALLBACK_FAILED;
	f->count++;
	return FALLBACK_DONE;
}

enum kvm_fallback_result
kvm_fallback(
    struct kvm_cpu *cpu, const uint8_t *bytes, unsigned int n, struct err *err)
{
	struct kvm_vm *vm = kvm_of_vm(cpu->cpu.vm);
	enum kvm_fallback_result result = FALLBACK_FAILED;
	bool alone = vm->ncpus > 1 && is_locked(bytes, n);

	pthread_mutex_lock(&vm->fallback_lock);
	if (vm->fallback == NULL)
		vm->fallback = new_fallback(vm, err);
	if (vm->fallback != NULL) {
		if (alone)
			be_alone(vm);
		result = execute(vm->fallback, cpu, err);
		if (alone)
			let_others(vm);
	}
	pthread_mutex_unlock(&vm->fallback_lock);
	return result;
}
