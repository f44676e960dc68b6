/*
 * First guests on KVM: do they run, and who runs them?
 *
 * /dev/kvm also exists where the CPU virtualizes nothing and software executes
 * guests behind it, hundreds of times slower than our own.  No flag tells the
 * two apart, time does: hardware takes less than a nanosecond for an
 * instruction, also in a VM within a VM.  A loop between two exits is timed,
 * long enough that the exits, which take tens of microseconds in nested VMs, do
 * not count.
 *
 * Whatever interferes only makes it slower, so that a loop that was fast is
 * believed, and only one that was slow is tried again.
 *
 * A second guest makes a system call from ring 3, as every program does, which
 * such software may get wrong without a word: it goes to where the call leads,
 * and stays in ring 3.  There writing to a port is not allowed, and with no
 * handler for what that causes, it ends the guest.
 */
#include "vmm/engine_kvm.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "vmm/kvm.h"
#include "vmm/le.h"

#define PROBE_AT     0x1000
#define PROBE_PORT   0x10
#define ROUNDS       1500
#define INSTRUCTIONS (2 * ROUNDS)
#define TRIES        3
#define MSR_TSC      0x10

/* The second one's: its tables map the first 2 MiB, for all rings. */
#define PML4_AT       0x2000
#define PDPT_AT       0x3000
#define PD_AT         0x4000
#define CALLER_AT     0x5000
#define CALLED_AT     0x5100
#define TABLE         0x07 /* present, writable, the user's */
#define LARGE_PAGE    0x87
#define SELECTOR_USER 0x1b
#define STAR          (UINT64_C(0x8) << 32) /* the kernel's code */
#define STAR_CODE     0x08
#define CR0_PROTECTED UINT64_C(0x80000011) /* paging, 387, protection */
#define CR4_PAE       UINT64_C(0x20)
#define EFER_LONG     UINT64_C(0x501) /* long mode, system calls */

static const uint8_t probe_code[] = {
	0xb0, 0x05,                       /* mov al, 5 */
	0x04, 0x02,                       /* add al, 2 */
	0xe6, PROBE_PORT,                 /* again: out PROBE_PORT, al */
	0xb9, ROUNDS & 0xff, ROUNDS >> 8, /* mov cx, ROUNDS */
	0x49,                             /* loop: dec cx */
	0x75, 0xfd,                       /* jnz loop */
	0xeb, 0xf6,                       /* jmp again */
};

static const uint8_t caller_code[] = { 0x0f, 0x05 }; /* syscall */
static const uint8_t called_code[] = {
	0x8c, 0xc8,       /* mov eax, cs */
	0xe6, PROBE_PORT, /* out PROBE_PORT, al */
};

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* A CPU of a machine that has the code above. */
struct probed {
	const struct engine *engine;
	struct engine_cpu *cpu;
};

/* To the next exit, at which the guest must say 7. */
static int
run_to_exit(struct probed *p, struct err *err)
{
	struct engine_exit exit = { 0 };

	p->engine->run(p->cpu, &exit);
	if (exit.kind == EXIT_FAILED)
		return err_set(err, -EIO, "kvm: a first guest does not run; %s",
		    exit.err.text);
	if (exit.kind != EXIT_PORT || !exit.port.out ||
	    exit.port.port != PROBE_PORT || exit.port.data[0] != 7)
		return err_set(err, -EIO,
		    "kvm: a first guest runs wrongly (exit %d); use another "
		    "engine",
		    (int)exit.kind);
	return 0;
}

static int
time_loop(struct probed *p, uint64_t *instruction_ps, struct err *err)
{
	*instruction_ps = UINT64_MAX;
	for (int i = 0; i<TRIES && * instruction_ps> KVM_HARDWARE_PS; i++) {
		uint64_t start = now_ns(), ps;
		int r = run_to_exit(p, err);

		if (r < 0)
			return r;
		ps = (now_ns() - start) * 1000 / INSTRUCTIONS;
		if (ps < *instruction_ps)
			*instruction_ps = ps;
	}
	return 0;
}

/* Runs the first code above from real mode. */
static int
run_first(struct probed *p, uint64_t *instruction_ps, struct err *err)
{
	struct cpu_state state;
	int r = p->engine->state_get(p->cpu, &state, err);

	if (r < 0)
		return r;
	state.seg[CPU_CS].base = 0;
	state.seg[CPU_CS].selector = 0;
	state.rip = PROBE_AT;
	state.msr_valid = 0;
	r = p->engine->state_set(p->cpu, &state, err);
	if (r == 0)
		r = run_to_exit(p, err);
	if (r == 0)
		r = time_loop(p, instruction_ps, err);
	return r;
}

/* ---- system calls ---- */

static void
be_user(struct cpu_state *state)
{
	const uint32_t flat = CPU_SEG_PRESENT | CPU_SEG_CODE | CPU_SEG_PAGES |
	    CPU_SEG_DPL(3) | 0x3;

	for (unsigned int i = CPU_ES; i <= CPU_GS; i++)
		state->seg[i] = (struct cpu_seg){ .limit = UINT32_MAX,
			.attributes = flat | CPU_SEG_32,
			.selector = SELECTOR_USER };
	state->seg[CPU_CS].attributes = flat | CPU_SEG_LONG | 0x8;
	state->seg[CPU_CS].selector = SELECTOR_USER + 8;
	state->seg[CPU_TR] = (struct cpu_seg){ .limit = 0x67,
		.attributes = CPU_SEG_PRESENT | 0xb };
	state->idt = (struct cpu_table){ 0, 0 };
	state->cr0 = CR0_PROTECTED;
	state->cr3 = PML4_AT;
	state->cr4 = CR4_PAE;
	state->msr[CPU_MSR_EFER] = EFER_LONG;
	state->msr[CPU_MSR_STAR] = STAR;
	state->msr[CPU_MSR_LSTAR] = CALLED_AT;
	state->msr[CPU_MSR_SFMASK] = 0;
	state->msr_valid = 1u << CPU_MSR_EFER | 1u << CPU_MSR_STAR |
	    1u << CPU_MSR_LSTAR | 1u << CPU_MSR_SFMASK;
	state->rip = CALLER_AT;
	state->rflags = 0x2;
}

static int
call_system(struct probed *p, bool *right, struct err *err)
{
	struct engine_exit exit = { 0 };
	struct cpu_state state;
	int r = p->engine->state_get(p->cpu, &state, err);

	if (r < 0)
		return r;
	be_user(&state);
	r = p->engine->state_set(p->cpu, &state, err);
	if (r < 0)
		return r;
	p->engine->run(p->cpu, &exit);
	*right = exit.kind == EXIT_PORT && exit.port.out &&
	    exit.port.port == PROBE_PORT && exit.port.data[0] == STAR_CODE;
	return 0;
}

/* Completes an access to a port, so that the state can be set. */
static void
settle(struct probed *p)
{
	struct engine_exit exit = { 0 };

	p->engine->kick(p->cpu);
	p->engine->run(p->cpu, &exit);
}

static int
run_guests(struct probed *p, void *arg, struct err *err)
{
	struct kvm_probe *probe = arg;
	int r = run_first(p, &probe->instruction_ps, err);

	if (r < 0)
		return r;
	settle(p);
	return call_system(p, &probe->calls_system, err);
}

/* ---- the machine ---- */

static void
fill(const struct memory *memory)
{
	uint8_t *base = memory->base;

	memcpy(base + PROBE_AT, probe_code, sizeof(probe_code));
	put_le64(base + PML4_AT, PDPT_AT | TABLE);
	put_le64(base + PDPT_AT, PD_AT | TABLE);
	put_le64(base + PD_AT, LARGE_PAGE);
	memcpy(base + CALLER_AT, caller_code, sizeof(caller_code));
	memcpy(base + CALLED_AT, called_code, sizeof(called_code));
}

static int
ask_cpu(const struct engine *engine,
    int (*ask)(struct probed *p, void *arg, struct err *err), void *arg,
    struct err *err)
{
	struct probed p = { .engine = engine };
	struct memory memory;
	struct engine_config config = { .memory = &memory, .ncpus = 1 };
	struct engine_vm *vm = NULL;
	int r = memory_init(&memory, MEMORY_MIN_BYTES, err);

	if (r == 0) {
		fill(&memory);
		vm = engine->vm_new(&config, err);
		p.cpu = vm != NULL ? engine->cpu_new(vm, err) : NULL;
		r = p.cpu != NULL ? ask(&p, arg, err) : -ENOTSUP;
	}
	if (p.cpu != NULL)
		engine->cpu_free(p.cpu);
	if (vm != NULL)
		engine->vm_free(vm);
	memory_free(&memory);
	return r;
}

int
kvm_probe_on(
    const struct engine *engine, struct kvm_probe *probe, struct err *err)
{
	*probe = (struct kvm_probe){ 0 };
	return ask_cpu(engine, run_guests, probe, err);
}

int
kvm_probe(struct kvm_probe *probe, struct err *err)
{
	return kvm_probe_on(&engine_kvm, probe, err);
}

bool
kvm_is_hardware(const struct kvm_probe *probe)
{
	return probe->instruction_ps <= KVM_HARDWARE_PS && probe->calls_system;
}

static int
read_counter(struct probed *p, void *arg, struct err *err)
{
	struct kvm_counter *counter = arg;

	counter->khz = kvm_of_vm(p->cpu->vm)->tsc_khz;
	if (counter->khz != 0 &&
	    kvm_msr_get(kvm_of_cpu(p->cpu), MSR_TSC, &counter->value))
		return 0;
	return err_set(err, -ENOTSUP,
	    "kvm: this host's CPU has no time-stamp counter of a fixed "
	    "frequency");
}

int
kvm_counter(struct kvm_counter *counter, struct err *err)
{
	return ask_cpu(&engine_kvm, read_counter, counter, err);
}
