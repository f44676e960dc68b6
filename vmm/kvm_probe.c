/*
 * A first guest on KVM: does it run, and who runs it?
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
 */
#include "vmm/engine_kvm.h"

#include <errno.h>
#include <string.h>
#include <time.h>

#include "vmm/kvm.h"

#define PROBE_AT     0x1000
#define PROBE_PORT   0x10
#define ROUNDS       1500
#define INSTRUCTIONS (2 * ROUNDS)
#define TRIES        3

static const uint8_t probe_code[] = {
	0xb0, 0x05,                       /* mov al, 5 */
	0x04, 0x02,                       /* add al, 2 */
	0xe6, PROBE_PORT,                 /* again: out PROBE_PORT, al */
	0xb9, ROUNDS & 0xff, ROUNDS >> 8, /* mov cx, ROUNDS */
	0x49,                             /* loop: dec cx */
	0x75, 0xfd,                       /* jnz loop */
	0xeb, 0xf6,                       /* jmp again */
};

static uint64_t
now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* To the next exit, at which the guest must say 7. */
static int
run_to_exit(struct engine_cpu *cpu, struct err *err)
{
	struct engine_exit exit = { 0 };

	engine_kvm.run(cpu, &exit);
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
time_loop(struct engine_cpu *cpu, uint64_t *instruction_ps, struct err *err)
{
	*instruction_ps = UINT64_MAX;
	for (int i = 0; i<TRIES && * instruction_ps> KVM_HARDWARE_PS; i++) {
		uint64_t start = now_ns(), ps;
		int r = run_to_exit(cpu, err);

		if (r < 0)
			return r;
		ps = (now_ns() - start) * 1000 / INSTRUCTIONS;
		if (ps < *instruction_ps)
			*instruction_ps = ps;
	}
	return 0;
}

/* Runs the code above from real mode. */
static int
run_guest(struct engine_cpu *cpu, uint64_t *instruction_ps, struct err *err)
{
	struct cpu_state state;
	int r = engine_kvm.state_get(cpu, &state, err);

	if (r < 0)
		return r;
	state.seg[CPU_CS].base = 0;
	state.seg[CPU_CS].selector = 0;
	state.rip = PROBE_AT;
	state.msr_valid = 0;
	r = engine_kvm.state_set(cpu, &state, err);
	if (r == 0)
		r = run_to_exit(cpu, err);
	if (r == 0)
		r = time_loop(cpu, instruction_ps, err);
	return r;
}

/* What is to be known of a CPU of a machine that has the code above. */
static int
ask_cpu(int (*ask)(struct engine_cpu *cpu, uint64_t *value, struct err *err),
    uint64_t *value, struct err *err)
{
	struct memory memory;
	struct engine_config config = { .memory = &memory, .ncpus = 1 };
	struct engine_vm *vm = NULL;
	struct engine_cpu *cpu = NULL;
	int r = memory_init(&memory, MEMORY_MIN_BYTES, err);

	if (r == 0) {
		memcpy(memory.base + PROBE_AT, probe_code, sizeof(probe_code));
		vm = engine_kvm.vm_new(&config, err);
		cpu = vm != NULL ? engine_kvm.cpu_new(vm, err) : NULL;
		r = cpu != NULL ? ask(cpu, value, err) : -ENOTSUP;
	}
	if (cpu != NULL)
		engine_kvm.cpu_free(cpu);
	if (vm != NULL)
		engine_kvm.vm_free(vm);
	memory_free(&memory);
	return r;
}

int
kvm_probe(uint64_t *instruction_ps, struct err *err)
{
	return ask_cpu(run_guest, instruction_ps, err);
}

static int
read_tsc_khz(struct engine_cpu *cpu, uint64_t *khz, struct err *err)
{
	*khz = kvm_of_vm(cpu->vm)->tsc_khz;
	return *khz != 0
	    ? 0
	    : err_set(err, -ENOTSUP,
		  "kvm: this host's CPU has no time-stamp counter of a fixed "
		  "frequency");
}

int
kvm_tsc_khz(uint64_t *khz, struct err *err)
{
	return ask_cpu(read_tsc_khz, khz, err);
}
