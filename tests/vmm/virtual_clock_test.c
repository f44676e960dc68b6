/*
 * The virtual clock: time is the number of instructions, and no two runs of a
 * guest differ, whatever real time does meanwhile.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/chips/engine_chips.h"
#include "vmm/engine_io.h"
#include "vmm/memory.h"
#include "tests/vmm/no_mmio.h"

#define CODE      0x1000 /* CS is 0 */
#define RAM       (UINT64_C(4) << 20)
#define NOTES_MAX 256
#define PORT_NOTE 0x10
#define PORT_END  0x11

static const struct engine *const engine = &engine_emulate_pc;

struct rig {
	struct memory memory;
	struct engine_io io;
	struct engine_vm *vm;
	struct engine_cpu *cpu;
	uint32_t note[NOTES_MAX];
	unsigned int nnotes;
	bool end;
};

/* What a run leaves. */
struct run {
	uint32_t note[NOTES_MAX];
	unsigned int nnotes;
	uint64_t retired, ns, hash;
};

#define GUEST(name, code)                                                     \
	extern const uint8_t name[], name##_end[];                            \
	__asm__(".pushsection .rodata\n.code16\n" #name ":\n" code "\n" #name \
		"_end:\n.code64\n.popsection")

#define END          "outb %al, $0x11; 9: hlt; jmp 9b\n"
#define PUT(port, v) "movb $" #v ", %al; outb %al, $" #port "\n"
#define STACK                                                          \
	"xorw %ax, %ax; movw %ax, %ds; movw %ax, %es; movw %ax, %ss\n" \
	"movw $0x7000, %sp\n"
#define VECTOR(n, label, guest)                                    \
	"movw $(" #label " - " #guest " + 0x1000), (" #n " * 4)\n" \
	"movw $0, (" #n " * 4 + 2)\n"
/* The 8259s, and the 8254 at the divisor in two bytes. */
#define TIMER(low, high) \
	PUT(0x20, 0x11)  \
	PUT(0x21, 0x30)  \
	PUT(0x21, 4)     \
	PUT(0x21, 1)     \
	PUT(0x21, 0xfe) PUT(0x43, 0x34) PUT(0x40, low) PUT(0x40, high)

/* Notes the time at each of a hundred ticks (of about 10 kHz), between which it
 * counts, fills, and writes over its own code. */
GUEST(guest_busy,
    STACK VECTOR(0x30, 2f, guest_busy) TIMER(0x77,
	0) "xorl %ebx, %ebx; xorl %ebp, %ebp; sti\n"
	   "1: incl %ebx; imull $0x1234567, %ebx, %ebp; movw $300, %cx\n"
	   "movw $0x8000, %di; movl %ebp, %eax; cld; rep stosb\n"
	   "movb %bl, (3f - guest_busy + 0x1001); 3: movb $0, %al\n"
	   "addb %al, (0x500); sti; nop; cli; sti; cmpb $100, (0x501); jb 1b; "
	   "cli\n"
	   "movl %ebx, %eax; outl %eax, $0x10; movl (0x500), %eax\n"
	   "outl %eax, $0x10\n" END
	   "2: pushl %eax; pushl %edx; rdtsc; outl %eax, $0x10\n"
	   "incb (0x501)\n" PUT(0x20, 0x20) "popl %edx; popl %eax; iretw");

/* Halts through a hundred ticks of the slowest rate, 55 ms. */
GUEST(guest_idle,
    STACK VECTOR(0x30, 2f, guest_idle) TIMER(
	0, 0) "sti; movw $100, %cx; 1: hlt; decw %cx; jnz 1b; cli\n"
	      "rdtsc; outl %eax, $0x10; movl %edx, %eax; outl %eax, $0x10\n" END
	      "2: pushw %ax\n" PUT(0x20, 0x20) "popw %ax; iretw");

/* ---- the machine around them ---- */

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
	if (port == PORT_NOTE && rig->nnotes < NOTES_MAX)
		rig->note[rig->nnotes++] = value;
	if (port != PORT_END)
		return;
	rig->end = true;
	engine->kick(rig->cpu);
}

static void
rig_make(struct rig *rig, const uint8_t *code, const uint8_t *end)
{
	struct engine_config config = { .memory = &rig->memory,
		.ncpus = 1,
		.chips = true,
		.virtual_clock = true,
		.io = &rig->io };
	struct cpu_state *state = malloc(sizeof(*state));

	memset(rig, 0, sizeof(*rig));
	rig->io = (struct engine_io){ .arg = rig,
		.port_in = port_in,
		.port_out = port_out,
		.mmio_read = no_mmio_read,
		.mmio_write = no_mmio_write };
	assert_int_equal(memory_init(&rig->memory, RAM, NULL), 0);
	memcpy(rig->memory.base + CODE, code, (size_t)(end - code));
	rig->vm = engine->vm_new(&config, NULL);
	assert_non_null(rig->vm);
	rig->cpu = engine->cpu_new(rig->vm, NULL);
	assert_non_null(rig->cpu);
	assert_int_equal(engine->state_get(rig->cpu, state, NULL), 0);
	state->seg[CPU_CS].selector = 0;
	state->seg[CPU_CS].base = 0;
	state->rip = CODE;
	assert_int_equal(engine->state_set(rig->cpu, state, NULL), 0);
	free(state);
}

static void
rig_free(struct rig *rig)
{
	engine->cpu_free(rig->cpu);
	engine->vm_free(rig->vm);
	memory_free(&rig->memory);
}

static atomic_bool pester;

/* Another thread that disturbs the CPU at instants of its own. */
static void *
kicker(void *arg)
{
	struct rig *rig = arg;
	struct timespec nap = { .tv_nsec = 1 };

	while (atomic_load(&pester)) {
		engine->kick(rig->cpu);
		engine->line(rig->vm, 17, false);
		nanosleep(&nap, NULL);
		nap.tv_nsec = (nap.tv_nsec * 7 + 13) % 50000;
	}
	return NULL;
}

static void
run(struct run *out, const uint8_t *code, const uint8_t *end, bool disturbed)
{
	struct engine_exit exit;
	pthread_t thread;
	struct rig *rig = malloc(sizeof(*rig));

	rig_make(rig, code, end);
	atomic_store(&pester, disturbed);
	if (disturbed)
		assert_int_equal(pthread_create(&thread, NULL, kicker, rig), 0);
	while (!rig->end) {
		engine->run(rig->cpu, &exit);
		assert_int_equal(exit.kind, EXIT_INTERRUPTED);
	}
	out->retired = engine->retired(rig->cpu);
	out->ns = engine->virtual_ns(rig->vm);
	atomic_store(&pester, false);
	if (disturbed)
		pthread_join(thread, NULL);
	memcpy(out->note, rig->note, sizeof(out->note));
	out->nnotes = rig->nnotes;
	out->hash = 0;
	for (uint64_t i = 0; i < RAM; i++)
		out->hash =
		    (out->hash ^ rig->memory.base[i]) * UINT64_C(0x100000001b3);
	rig_free(rig);
	free(rig);
}

/* ---- the tests ---- */

static void
runs_are_the_same_whoever_disturbs_them(void **state)
{
	struct run first, next;

	(void)state;
	run(&first, guest_busy, guest_busy_end, false);
	assert_int_equal(first.nnotes, 102);
	for (unsigned int i = 0; i < 8; i++) {
		run(&next, guest_busy, guest_busy_end, i > 0);
		assert_int_equal(next.nnotes, first.nnotes);
		assert_memory_equal(next.note, first.note,
		    first.nnotes * sizeof(first.note[0]));
		assert_int_equal(next.retired, first.retired);
		assert_int_equal(next.ns, first.ns);
		assert_int_equal(next.hash, first.hash);
	}
}

static void
ticks_come_at_their_instants(void **state)
{
	struct run r;

	(void)state;
	run(&r, guest_busy, guest_busy_end, false);
	/* 119 cycles of 1.193182 MHz, and a handler's instruction or few. */
	for (unsigned int i = 1; i < 100; i++)
		assert_in_range(
		    r.note[i] - r.note[i - 1], 99733 - 700, 99733 + 700);
}

static void
instructions_take_their_time(void **state)
{
	struct run r;

	(void)state;
	run(&r, guest_busy, guest_busy_end, false);
	assert_int_equal(r.ns, 2 * r.retired);
}

static void
halts_take_no_real_time(void **state)
{
	struct timespec a, b;
	struct run r;

	(void)state;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &a);
	run(&r, guest_idle, guest_idle_end, false);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &b);
	/* 100 ticks of 54.925 ms. */
	assert_in_range((uint64_t)r.note[1] << 32 | r.note[0],
	    UINT64_C(5492500000) - 60000000, UINT64_C(5492500000) + 60000000);
	assert_true(r.retired < 5000);
	assert_true((uint64_t)(b.tv_sec - a.tv_sec) < 5);
}

static void
several_cpus_are_refused(void **state)
{
	struct memory memory;
	struct engine_io io = { 0 };
	struct engine_config config = { .memory = &memory,
		.ncpus = 2,
		.chips = true,
		.virtual_clock = true,
		.io = &io };
	struct err err;

	(void)state;
	assert_null(engine->vm_new(&config, &err));
	assert_non_null(strstr(err.text, "use one"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_are_the_same_whoever_disturbs_them),
		cmocka_unit_test(ticks_come_at_their_instants),
		cmocka_unit_test(instructions_take_their_time),
		cmocka_unit_test(halts_take_no_real_time),
		cmocka_unit_test(several_cpus_are_refused),
	};

	return cmocka_run_group_tests_name("virtual clock", tests, NULL, NULL);
}
