/*
 * A guest that stops on one engine and goes on with another: its CPU, its
 * interrupt controllers and timers as values, its memory copied.
 *
 * The guest has an 8254 and a local APIC's timer tick, until it has had enough
 * of both, mixes what it sees, and checks that its counter never goes back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/boot_parts.h"
#include "vmm/chips/chips_state.h"
#include "vmm/chips/clock_kvm.h"
#include "vmm/chips/engine_chips.h"
#include "vmm/chips/lapic.h"
#include "vmm/engine_io.h"
#include "vmm/engine_kvm.h"
#include "vmm/le.h"
#include "tests/vmm/no_mmio.h"

#define CODE_AT   0x100000
#define IDT_AT    0x3000
#define DATA      0x110000 /* of the guest: counts, and its clock */
#define RAM       (UINT64_C(2) << 20)
#define PORT_MARK 0x12
#define PORT_END  0x14
#define PIT_LINE  0x30
#define TIMER     0x40
#define MARKS     100000
#define MS        1000000
#define TICKS     10

/* Offsets in DATA. */
enum { MIX = 0, PIT_TICKS = 8, TIMER_TICKS = 12, LAST_TSC = 16, BACK = 24 };
#define CLOCK_AT (DATA + 0x40)

#define WRMSR(index, low, high)                          \
	"movl $" #index ", %ecx; movl $" #low ", %eax; " \
	"movl $" #high ", %edx; wrmsr\n"
#define OUT(port, value) "movb $" #value ", %al; outb %al, $" #port "\n"

/* Both handlers, what is between them, and an end after TICKS of each. */
#define GUEST(name, begin, again)                                             \
	extern const uint8_t name[], name##_end[], name##_pit[],              \
	    name##_timer[];                                                   \
	__asm__(".pushsection .rodata\n.code64\n" #name ":\n"                 \
		"movl $0x110000, %ebx; movl $0xfee00000, %ebp\n"              \
		"movl $0x1ff, 0xf0(%rbp)\n" OUT(0x20, 0x11) OUT(0x21, 0x30)   \
		    OUT(0x21, 4) OUT(0x21, 1) OUT(0x21, 0xfe) OUT(0xa1, 0xff) \
			OUT(0x43, 0x34) OUT(0x40, 0xa9) OUT(0x40, 0x04)       \
			    WRMSR(0x4b564d01, 0x110041, 0) begin              \
	    "sti; xorl %esi, %esi\n"                                          \
	    "1: cli; rdtsc; shlq $32, %rdx; orq %rdx, %rax\n"                 \
	    "cmpq 16(%rbx), %rax; jae 2f; incl 24(%rbx)\n"                    \
	    "2: movq %rax, 16(%rbx); sti\n"                                   \
	    "incl %esi; imulq $0x1234567, %rsi, %rdi; addq %rdi, (%rbx)\n"    \
	    "testl $0x1f, %esi; jnz 3f; outb %al, $0x12\n"                    \
	    "3: cmpl $10, 8(%rbx); jb 1b; cmpl $10, 12(%rbx); jb 1b\n"        \
	    "cli; outb %al, $0x14; 4: hlt; jmp 4b\n" #name "_pit:\n"          \
	    "pushq %rax; movl $0x20, %eax; outb %al, $0x20\n"                 \
	    "incl 8(%rbx); rolq $7, (%rbx); popq %rax; iretq\n" #name         \
	    "_timer:\n"                                                       \
	    "pushq %rax; pushq %rcx; pushq %rdx; movl $0, 0xb0(%rbp)\n"       \
	    "incl 12(%rbx); rolq $3, (%rbx)\n" again                          \
	    "popq %rdx; popq %rcx; popq %rax; iretq\n" #name                  \
	    "_end:\n.popsection")

/* 0.7 ms, periodic. */
GUEST(g_periodic,
    "movl $0xb, 0x3e0(%rbp); movl $0x20040, 0x320(%rbp)\n"
    "movl $700000, 0x380(%rbp)\n",
    "");

#define DEADLINE                                     \
	"rdtsc; addl $900000, %eax; adcl $0, %edx\n" \
	"movl $0x6e0, %ecx; wrmsr\n"
GUEST(g_deadline, "movl $0x40040, 0x320(%rbp)\n" DEADLINE, DEADLINE);

/* The same; but before that its counter is put somewhere else. */
GUEST(g_offset,
    "movl $0x40040, 0x320(%rbp)\n" WRMSR(0x10, 0x12345678, 0x1000) DEADLINE,
    DEADLINE);

struct guest {
	const uint8_t *code, *end, *pit, *timer;
};

#define OF(name)                                           \
	{                                                  \
		name, name##_end, name##_pit, name##_timer \
	}
static const struct guest guests[] = { OF(g_periodic), OF(g_deadline),
	OF(g_offset) };
#define NGUESTS (sizeof(guests) / sizeof(guests[0]))

/* ---- a machine on some engine ---- */

struct rig {
	const struct engine *engine;
	struct memory memory;
	struct engine_io io;
	struct engine_vm *vm;
	struct engine_cpu *cpu;
	unsigned int marks, stop_at; /* this mark */
	bool stop, end;
};

static void
see_port(struct rig *rig, uint16_t port)
{
	if (port == PORT_MARK && ++rig->marks == rig->stop_at)
		rig->stop = true;
	if (port == PORT_END)
		rig->end = true;
}

static uint32_t
port_in(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes)
{
	(void)arg;
	(void)cpu;
	(void)port;
	(void)bytes;
	return 0xff;
}

static void
port_out(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes,
    uint32_t value)
{
	struct rig *rig = arg;

	(void)cpu;
	(void)bytes;
	(void)value;
	see_port(rig, port);
	if (rig->stop || rig->end)
		rig->engine->kick(rig->cpu);
}

static struct rig *
rig_new(const struct engine *engine, bool is_virtual)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct engine_config config = { .memory = &rig->memory,
		.ncpus = 1,
		.chips = true,
		.virtual_clock = is_virtual,
		.io = &rig->io };

	assert_non_null(rig);
	rig->engine = engine;
	rig->io = (struct engine_io){ .arg = rig,
		.port_in = port_in,
		.port_out = port_out,
		.mmio_read = no_mmio_read,
		.mmio_write = no_mmio_write };
	assert_int_equal(memory_init(&rig->memory, RAM, NULL), 0);
	rig->vm = engine->vm_new(&config, NULL);
	assert_non_null(rig->vm);
	rig->cpu = engine->cpu_new(rig->vm, NULL);
	assert_non_null(rig->cpu);
	return rig;
}

static void
rig_free(struct rig *rig)
{
	rig->engine->cpu_free(rig->cpu);
	rig->engine->vm_free(rig->vm);
	memory_free(&rig->memory);
	free(rig);
}

static void
put_gate(struct rig *rig, const struct guest *guest, unsigned int vector,
    const uint8_t *handler)
{
	uint8_t *gate = rig->memory.base + IDT_AT + 16 * vector;
	uint32_t at = CODE_AT + (uint32_t)(handler - guest->code);

	put_le16(gate, (uint16_t)at);
	put_le16(gate + 2, 0x10);
	put_le16(gate + 4, 0x8e00);
	put_le16(gate + 6, (uint16_t)(at >> 16));
}

static void
rig_load(struct rig *rig, const struct guest *guest)
{
	struct boot_config boot = { .initrd_fd = -1, .cmdline = "" };
	struct boot_initrd initrd = { 0 };
	struct cpu_state *state = malloc(sizeof(*state));
	struct err err = { "" };

	assert_int_equal(
	    linux_prepare(&rig->memory, &boot, NULL, 0, &initrd, &err), 0);
	memcpy(rig->memory.base + CODE_AT, guest->code,
	    (size_t)(guest->end - guest->code));
	put_gate(rig, guest, PIT_LINE, guest->pit);
	put_gate(rig, guest, TIMER, guest->timer);
	assert_int_equal(rig->engine->state_get(rig->cpu, state, &err), 0);
	linux_cpu(CODE_AT, state);
	state->msr_valid = 1u << CPU_MSR_EFER;
	state->idt = (struct cpu_table){ IDT_AT, 0xfff };
	state->gpr[CPU_RSP] = 0x180000;
	assert_int_equal(rig->engine->state_set(rig->cpu, state, &err), 0);
	free(state);
}

/* Runs to the given mark, or to the end. */
static void
rig_run(struct rig *rig, unsigned int stop_at)
{
	struct engine_exit exit = { 0 };

	rig->stop_at = stop_at;
	rig->stop = false;
	while (!rig->stop && !rig->end) {
		rig->engine->run(rig->cpu, &exit);
		if (exit.kind == EXIT_FAILED)
			fail_msg("%s", exit.err.text);
		if (exit.kind == EXIT_PORT)
			see_port(rig, exit.port.port);
		else
			assert_int_equal(exit.kind, EXIT_INTERRUPTED);
	}
	if (exit.kind == EXIT_PORT) { /* is to be completed */
		rig->engine->kick(rig->cpu);
		rig->engine->run(rig->cpu, &exit);
		assert_int_equal(exit.kind, EXIT_INTERRUPTED);
	}
}

static uint32_t
count(const struct rig *rig, unsigned int at)
{
	return get_le32(rig->memory.base + DATA + at);
}

/* Takes the guest to a new machine; the old one is gone. */
static struct rig *
move(struct rig *from, const struct engine *engine, bool is_virtual)
{
	struct rig *to = rig_new(engine, is_virtual);
	struct chips_state *chips = malloc(sizeof(*chips));
	struct cpu_state *cpu = malloc(sizeof(*cpu));
	struct err err = { "" };

	assert_int_equal(from->engine->state_get(from->cpu, cpu, &err), 0);
	assert_int_equal(from->engine->chips_get(from->vm, chips, &err), 0);
	memcpy(to->memory.base, from->memory.base, RAM);
	if (engine->chips_set(to->vm, chips, &err) < 0 ||
	    engine->state_set(to->cpu, cpu, &err) < 0)
		fail_msg("%s", err.text);
	to->marks = from->marks;
	rig_free(from);
	free(chips);
	free(cpu);
	return to;
}

/* ---- on the emulator ---- */

static void
moves_leave_a_virtual_run_as_it_was(void **state)
{
	const struct engine *emulate = &engine_emulate_pc;

	(void)state;
	/* The first keeps its counter; its clock page is no part of this. */
	for (unsigned int g = 0; g < NGUESTS; g++) {
		struct rig *whole = rig_new(emulate, true);
		struct rig *rig = rig_new(emulate, true);
		unsigned int moves = 0;

		rig_load(whole, &guests[g]);
		rig_run(whole, 0);
		rig_load(rig, &guests[g]);
		for (unsigned int mark = 1; !rig->end; mark += 511) {
			rig_run(rig, mark);
			if (!rig->end) {
				rig = move(rig, emulate, true);
				moves++;
			}
		}
		assert_true(moves > 10);
		assert_int_equal(rig->marks, whole->marks);
		assert_int_equal(emulate->virtual_ns(rig->vm),
		    emulate->virtual_ns(whole->vm));
		assert_int_equal(count(rig, BACK), 0);
		memset(rig->memory.base + CLOCK_AT, 0, CLOCK_KVM_BYTES);
		memset(whole->memory.base + CLOCK_AT, 0, CLOCK_KVM_BYTES);
		assert_memory_equal(rig->memory.base, whole->memory.base, RAM);
		rig_free(whole);
		rig_free(rig);
	}
}

/* What kvmclock says, for a counter. */
static uint64_t
clock_of(const struct rig *rig, uint64_t tsc)
{
	const uint8_t *p = rig->memory.base + CLOCK_AT;
	uint64_t counts = tsc - get_le64(p + 8);
	int8_t shift = (int8_t)p[28];

	counts = shift < 0 ? counts >> -shift : counts << shift;
	return get_le64(p + 16) +
	    (uint64_t)((unsigned __int128)counts * get_le32(p + 24) >> 32);
}

static uint64_t
time_of(struct rig *rig)
{
	struct cpu_state *cpu = malloc(sizeof(*cpu));
	uint64_t tsc;

	assert_int_equal(rig->engine->state_get(rig->cpu, cpu, NULL), 0);
	assert_true(cpu->msr_valid & 1u << CPU_MSR_TSC);
	tsc = cpu->msr[CPU_MSR_TSC];
	free(cpu);
	return clock_of(rig, tsc);
}

static void
clock_follows_the_counter(void **state)
{
	struct rig *rig = rig_new(&engine_emulate_pc, true);
	uint64_t before, after;

	(void)state;
	rig_load(rig, &guests[2]); /* sets its counter after it has a clock */
	rig_run(rig, 2);
	before = time_of(rig);
	assert_in_range(before, rig->engine->virtual_ns(rig->vm) - 2,
	    rig->engine->virtual_ns(rig->vm) + 2);
	rig = move(rig, &engine_emulate_pc, true);
	after = time_of(rig);
	assert_in_range(after, before, before + 2);
	rig_free(rig);
}

static void
deadlines_go_by_the_counter_of_the_guest(void **state)
{
	struct rig *rig = rig_new(&engine_emulate_pc, true);
	uint64_t ns;

	(void)state;
	rig_load(rig, &guests[2]);
	rig_run(rig, 0);
	ns = rig->engine->virtual_ns(rig->vm);
	/* TICKS of the 8254's 1 ms, of which the timer's take 0.9. */
	assert_in_range(
	    ns, (TICKS - 1) * (uint64_t)MS, (TICKS + 1) * (uint64_t)MS);
	assert_in_range(count(rig, TIMER_TICKS), TICKS, TICKS + 2);
	rig_free(rig);
}

/* Several CPUs, in real time: what is read or set one after the other is of one
 * instant all the same. */
static void
counters_of_all_cpus_stay_together(void **state)
{
	const struct engine *emulate = &engine_emulate_pc;
	struct memory memory;
	struct engine_io io = { 0 };
	struct engine_config config = {
		.memory = &memory, .ncpus = 3, .chips = true, .io = &io
	};
	struct cpu_state *cpu = calloc(3, sizeof(*cpu));
	struct chips_state chips;
	struct engine_cpu *in[2][3];
	struct engine_vm *vm[2];

	(void)state;
	assert_int_equal(memory_init(&memory, RAM, NULL), 0);
	for (unsigned int v = 0; v < 2; v++) {
		vm[v] = emulate->vm_new(&config, NULL);
		for (unsigned int i = 0; i < 3; i++)
			in[v][i] = emulate->cpu_new(vm[v], NULL);
	}
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(
		    emulate->state_get(in[0][i], &cpu[i], NULL), 0);
	assert_int_equal(emulate->chips_get(vm[0], &chips, NULL), 0);
	assert_int_equal(cpu[0].msr[CPU_MSR_TSC], chips.now_ns);
	assert_int_equal(cpu[1].msr[CPU_MSR_TSC], chips.now_ns);
	assert_int_equal(cpu[2].msr[CPU_MSR_TSC], chips.now_ns);
	assert_int_equal(emulate->chips_set(vm[1], &chips, NULL), 0);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(
		    emulate->state_set(in[1][i], &cpu[i], NULL), 0);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(
		    emulate->state_get(in[1][i], &cpu[i], NULL), 0);
		assert_int_equal(cpu[i].msr[CPU_MSR_TSC], chips.now_ns);
	}
	for (unsigned int v = 0; v < 2; v++) {
		for (unsigned int i = 3; i-- > 0;)
			emulate->cpu_free(in[v][i]);
		emulate->vm_free(vm[v]);
	}
	memory_free(&memory);
	free(cpu);
}

/* ---- between engines ---- */

static void
need_kvm(void)
{
	int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		skip();
	close(fd);
}

static void
guest_goes_from_kvm_to_emulate_and_back(void **state)
{
	(void)state;
	need_kvm();
	for (unsigned int g = 0; g < NGUESTS; g++) {
		struct rig *rig = rig_new(&engine_kvm, false);
		uint32_t pit, timer;
		uint64_t before, after;

		rig_load(rig, &guests[g]);
		rig_run(rig, 5);
		assert_false(rig->end);
		pit = count(rig, PIT_TICKS);
		timer = count(rig, TIMER_TICKS);
		before = time_of(rig);
		rig = move(rig, &engine_emulate_pc, false);
		after = time_of(rig);
		assert_in_range(after, before, before + 2000 * (uint64_t)MS);
		rig_run(rig, 10);
		if (!rig->end) {
			before = time_of(rig);
			rig = move(rig, &engine_kvm, false);
			assert_true(time_of(rig) >= before);
		}
		rig_run(rig, MARKS);
		assert_true(rig->end);
		assert_true(count(rig, PIT_TICKS) >= pit);
		assert_true(count(rig, TIMER_TICKS) >= timer);
		assert_true(count(rig, PIT_TICKS) >= TICKS);
		assert_true(count(rig, TIMER_TICKS) >= TICKS);
		assert_int_equal(count(rig, BACK), 0);
		rig_free(rig);
	}
}

/* ---- states that cannot be ---- */

static void
impossible_states_are_refused(void **state)
{
	struct rig *rig = rig_new(&engine_emulate_pc, true);
	struct chips_state good, bad[9];
	struct cpu_state *cpu = malloc(sizeof(*cpu));
	struct err err = { "" };

	(void)state;
	assert_int_equal(rig->engine->chips_get(rig->vm, &good, &err), 0);
	for (unsigned int i = 0; i < 9; i++)
		bad[i] = good;
	bad[0].pit.counter[1].mode = 6;
	bad[1].pit.counter[0].count = 0;
	bad[2].pit.counter[2].state = (enum pit_state)7;
	bad[3].pic.chip[1].lowest = 8;
	bad[4].pic.chip[0].expects = (enum pic_expects)4;
	bad[5].tsc_khz = 0;
	bad[6].now_ns = UINT64_MAX;
	bad[7].pit.counter[0].count = 65537;
	bad[8].pic.chip[0].vector = 3;
	for (unsigned int i = 0; i < 9; i++)
		assert_int_equal(
		    rig->engine->chips_set(rig->vm, &bad[i], &err), -EINVAL);
	assert_non_null(strstr(err.text, "use another checkpoint"));
	assert_int_equal(rig->engine->chips_set(rig->vm, &good, &err), 0);
	assert_int_equal(rig->engine->state_get(rig->cpu, cpu, &err), 0);
	cpu->cr4 |= 1u << 18; /* a guest that uses XSAVE ... */
	cpu->xcr0 = 7;        /* ... for AVX */
	err_clear(&err);
	assert_int_equal(rig->engine->state_set(rig->cpu, cpu, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "XCR0 is 0x7"));
	cpu->xcr0 = 3;
	assert_int_equal(rig->engine->state_set(rig->cpu, cpu, &err), 0);
	cpu->cr4 = 1u << 20;
	err_clear(&err);
	assert_int_equal(rig->engine->state_set(rig->cpu, cpu, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "CR4 is 0x100000"));
	free(cpu);
	rig_free(rig);
}

static uint64_t
next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* Whatever a page says of a local APIC, what comes of it is one. */
static void
any_page_is_a_local_apic(void **state)
{
	struct rig *rig = rig_new(&engine_emulate_pc, true);
	struct cpu_state *cpu = malloc(sizeof(*cpu));
	struct cpu_state *again = malloc(sizeof(*again));
	uint64_t seed = 88172645463325252;

	(void)state;
	rig_load(rig, &guests[0]);
	assert_int_equal(rig->engine->state_get(rig->cpu, cpu, NULL), 0);
	for (unsigned int round = 0; round < 2000; round++) {
		for (unsigned int i = 0; i < CPU_APIC_BYTES; i++)
			cpu->apic[i] = (uint8_t)(next(&seed) & next(&seed));
		cpu->msr[CPU_MSR_APIC_BASE] = next(&seed);
		cpu->msr[CPU_MSR_TSC_DEADLINE] = next(&seed) >> (round & 63);
		assert_int_equal(
		    rig->engine->state_set(rig->cpu, cpu, NULL), 0);
		assert_int_equal(
		    rig->engine->state_get(rig->cpu, again, NULL), 0);
		assert_int_equal(get_le32(again->apic + LAPIC_IRR) & 0xffff, 0);
		/* Nothing but time changes it any more. */
		assert_int_equal(
		    rig->engine->state_set(rig->cpu, again, NULL), 0);
		assert_int_equal(
		    rig->engine->state_get(rig->cpu, cpu, NULL), 0);
		assert_memory_equal(cpu->apic, again->apic, CPU_APIC_BYTES);
	}
	free(cpu);
	free(again);
	rig_free(rig);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(moves_leave_a_virtual_run_as_it_was),
		cmocka_unit_test(clock_follows_the_counter),
		cmocka_unit_test(deadlines_go_by_the_counter_of_the_guest),
		cmocka_unit_test(counters_of_all_cpus_stay_together),
		cmocka_unit_test(guest_goes_from_kvm_to_emulate_and_back),
		cmocka_unit_test(impossible_states_are_refused),
		cmocka_unit_test(any_page_is_a_local_apic),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
