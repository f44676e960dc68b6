/*
 * The interpreter with our chips as a whole PC: guests of a few instructions,
 * in real mode, which tell what happened to them by ports.
 *
 * They reach the local APICs by their x2APIC registers.  Port 0x10 notes a
 * byte, port 0x11 ends the run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/chips/chips.h"
#include "vmm/chips/engine_chips.h"
#include "vmm/engine_io.h"
#include "vmm/le.h"
#include "vmm/memory.h"
#include "tests/vmm/no_mmio.h"

#define NCPUS     2
#define CODE      0x1000 /* of the boot CPU; CS is 0 */
#define AP_CODE   0x8000 /* SIPI vector 8 */
#define NOTES_MAX 64
#define PORT_NOTE 0x10
#define PORT_END  0x11

static const struct engine *const engine = &engine_emulate_pc;

struct rig {
	struct memory memory;
	struct engine_io io;
	struct engine_vm *vm;
	struct engine_cpu *cpu[NCPUS];
	pthread_t thread[NCPUS];
	uint64_t cpu_ns[NCPUS]; /* that a thread used */
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint8_t note[NOTES_MAX];
	unsigned int nnotes;
	bool end;
};

/* ---- guests ---- */

#define GUEST(name, code)                                                     \
	extern const uint8_t name[], name##_end[];                            \
	__asm__(".pushsection .rodata\n.code16\n" #name ":\n" code "\n" #name \
		"_end:\n.code64\n.popsection")

#define NOTE(byte)   "movb $" #byte ", %al; outb %al, $0x10\n"
#define END          "outb %al, $0x11; 9: hlt; jmp 9b\n"
#define WRMSR(n, v)  "movl $" #n ", %ecx; movl $" #v ", %eax; wrmsr\n"
#define PUT(port, v) "movb $" #v ", %al; outb %al, $" #port "\n"
/* A real-mode vector: its handler is the offset from the guest's start. */
#define VECTOR(n, label, guest)                                    \
	"movw $(" #label " - " #guest " + 0x1000), (" #n " * 4)\n" \
	"movw $0, (" #n " * 4 + 2)\n"
#define STACK "xorw %ax, %ax; movw %ax, %ds; movw %ax, %ss; movw $0x7000, %sp\n"
#define PIC             \
	PUT(0x20, 0x11) \
	PUT(0x21, 0x30) \
	PUT(0x21, 4)    \
	PUT(0x21, 1) PUT(0xa0, 0x11) PUT(0xa1, 0x38) PUT(0xa1, 2) PUT(0xa1, 1)
#define X2APIC                                                          \
	"movl $0x1b, %ecx; rdmsr; orl $0xc00, %eax; wrmsr; xorl %edx, " \
	"%edx\n" WRMSR(0x80f, 0x1ff)

/* Three ticks of the 8254 at 1 kHz, each of which ends a HLT. */
GUEST(guest_pit,
    STACK VECTOR(0x30, 1f, guest_pit) PIC PUT(0x21, 0xfe) PUT(0xa1, 0xff)
	PUT(0x43, 0x34) PUT(0x40, 0xa9) PUT(0x40,
	    0x04) "sti; hlt; hlt; hlt; cli\n" END "1: pushw %ax\n" NOTE(0x30)
	    PUT(0x20, 0x20) "popw %ax; iretw");

/* A deadline of a millisecond from now, then a periodic timer twice. */
GUEST(guest_timer,
    STACK X2APIC VECTOR(0x40, 1f, guest_timer) VECTOR(
	0x41, 2f, guest_timer) WRMSR(0x832,
	0x40040) "rdtsc; addl $1000000, %eax; adcl $0, %edx; movl $0x6e0, "
		 "%ecx; wrmsr\n"
		 "sti; hlt; cli; xorl %edx, %edx\n" WRMSR(0x832, 0x20041)
		     WRMSR(0x83e, 0xb) WRMSR(0x838,
			 1000000) "sti; hlt; hlt; cli\n" END
				  "1: pushal\n" NOTE(
				      0x40) "jmp 3f\n"
					    "2: pushal\n" NOTE(
						0x41) "3: xorl %edx, "
						      "%edx\n" WRMSR(0x80b,
							  0) "popal; iretw");

/* Starts the other CPU, sends it an interrupt and an NMI when it asks. */
GUEST(guest_smp,
    STACK X2APIC "movl $1, %edx\n" WRMSR(0x830, 0xc500)
	WRMSR(0x830, 0x0608) "1: pause; cmpb $1, (0x500); jne 1b\n"
			     "movl $1, %edx\n" WRMSR(0x830,
				 0x0055) "2: pause; cmpb $2, (0x500); jne 2b\n"
					 "movl $1, %edx\n" WRMSR(0x830,
					     0x0400) "3: pause; cmpb $3, "
						     "(0x500); jne 3b\n" END);
GUEST(guest_ap,
    STACK "movw $(1f - guest_ap), (0x55 * 4); movw %cs, (0x55 * 4 + 2)\n"
	  "movw $(2f - guest_ap), (2 * 4); movw %cs, (2 * 4 + 2)\n" X2APIC NOTE(
	      0x01) "movb $1, (0x500)\n"
		    "sti; hlt; cli; movb $2, (0x500)\n"
		    "hlt; movb $3, (0x500); 9: hlt; jmp 9b\n"
		    "1: pushal\n" NOTE(0x55) "xorl %edx, %edx\n" WRMSR(
			0x80b, 0) "popal; iretw\n"
				  "2: pushal\n" NOTE(0x02) "popal; iretw");

/* Halts for good while an interrupt waits. */
GUEST(guest_dead,
    STACK X2APIC
    "xorl %edx, %edx\n" WRMSR(0x83f, 0x50) "cli\n" NOTE(1) "1: hlt; jmp 1b");

/* Waits for line 10 by the 8259, level-triggered, until it falls. */
GUEST(guest_line,
    STACK VECTOR(0x3a, 1f, guest_line) PIC PUT(0x21, 0xfb) PUT(0xa1, 0xfb)
	NOTE(1) "sti; 2: hlt; cmpb $1, (0x500); jb 2b; cli\n" END
		"1: pushal\n" NOTE(0x3a) "incb (0x500)\n" PUT(0xa0, 0x20)
		    PUT(0x20, 0x20) "popal; iretw");

/* The kvmclock's structure, and the counter that goes with it. */
GUEST(guest_clock,
    STACK "xorl %edx, %edx\n" WRMSR(0x4b564d00, 0x600) WRMSR(0x4b564d01,
	0x641) "rdtsc; movl %eax, (0x680); movl %edx, (0x684)\n"
	       "movl $0x4b564d01, %ecx; rdmsr; movl %eax, (0x688)\n" END);

/* Refused registers fault: 0x802 with the page on, an address beyond RAM. */
GUEST(guest_refused,
    STACK VECTOR(13, 1f, guest_refused) "xorl %edx, %edx\n" WRMSR(0x83f, 0x50)
	WRMSR(0x4b564d01, 0xf0000001) WRMSR(0x1b, 0xfee00801) "1: " NOTE(
	    13) "addw $6, %sp; cmpl $0x1b, %ecx; je 2f\n"
		"cmpl $0x83f, %ecx; jne 3f\n" WRMSR(0x4b564d01,
		    0xf0000001) "3: " WRMSR(0x1b, 0xfee00801) "2: " END);

/* ---- the machine around them ---- */

static uint32_t
port_in(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes)
{
	(void)arg;
	(void)cpu;
	(void)port;
	return bytes == 4 ? 0xffffffff : (1u << 8 * bytes) - 1;
}

static void
port_out(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes,
    uint32_t value)
{
	struct rig *rig = arg;

	(void)cpu;
	(void)bytes;
	pthread_mutex_lock(&rig->lock);
	if (port == PORT_NOTE) {
		/* A line that is up interrupts until the host lets it fall. */
		if (rig->nnotes < NOTES_MAX)
			rig->note[rig->nnotes] = (uint8_t)value;
		rig->nnotes++;
	} else if (port == PORT_END)
		rig->end = true;
	pthread_cond_broadcast(&rig->changed);
	pthread_mutex_unlock(&rig->lock);
}

static void
make_cpus(struct rig *rig)
{
	struct cpu_state *state = malloc(sizeof(*state));

	for (unsigned int i = 0; i < NCPUS; i++) {
		rig->cpu[i] = engine->cpu_new(rig->vm, NULL);
		assert_non_null(rig->cpu[i]);
	}
	assert_int_equal(engine->state_get(rig->cpu[0], state, NULL), 0);
	state->seg[CPU_CS].selector = 0;
	state->seg[CPU_CS].base = 0;
	state->rip = CODE;
	assert_int_equal(engine->state_set(rig->cpu[0], state, NULL), 0);
	free(state);
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct engine_config config = { .memory = &rig->memory,
		.ncpus = NCPUS,
		.chips = true,
		.io = &rig->io };

	rig->io = (struct engine_io){ .arg = rig,
		.port_in = port_in,
		.port_out = port_out,
		.mmio_read = no_mmio_read,
		.mmio_write = no_mmio_write };
	pthread_mutex_init(&rig->lock, NULL);
	pthread_cond_init(&rig->changed, NULL);
	assert_int_equal(memory_init(&rig->memory, 4 << 20, NULL), 0);
	rig->vm = engine->vm_new(&config, NULL);
	assert_non_null(rig->vm);
	make_cpus(rig);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	for (unsigned int i = 0; i < NCPUS; i++)
		if (rig->cpu[i] != NULL)
			engine->cpu_free(rig->cpu[i]);
	engine->vm_free(rig->vm);
	memory_free(&rig->memory);
	pthread_cond_destroy(&rig->changed);
	pthread_mutex_destroy(&rig->lock);
	free(rig);
	return 0;
}

struct vcpu {
	struct rig *rig;
	unsigned int id;
};

static void *
cpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	struct rig *rig = vcpu->rig;
	struct engine_exit exit = { 0 };
	struct timespec used;

	engine->run(rig->cpu[vcpu->id], &exit);
	assert_int_equal(exit.kind, EXIT_INTERRUPTED);
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
	rig->cpu_ns[vcpu->id] =
	    (uint64_t)used.tv_sec * 1000000000 + (uint64_t)used.tv_nsec;
	return NULL;
}

static struct vcpu vcpus[NCPUS];

static void
load(struct rig *rig, uint64_t address, const uint8_t *code, const uint8_t *end)
{
	memcpy(rig->memory.base + address, code, (size_t)(end - code));
}

static void
start(struct rig *rig)
{
	for (unsigned int i = 0; i < NCPUS; i++) {
		vcpus[i] = (struct vcpu){ rig, i };
		assert_int_equal(pthread_create(&rig->thread[i], NULL,
				     cpu_thread, &vcpus[i]),
		    0);
	}
}

static void
stop(struct rig *rig)
{
	for (unsigned int i = 0; i < NCPUS; i++)
		engine->kick(rig->cpu[i]);
	for (unsigned int i = 0; i < NCPUS; i++)
		pthread_join(rig->thread[i], NULL);
}

/* Until there are so many notes, or for 0, until the guest ends.  A guest that
 * does not get there fails the test. */
static void
await(struct rig *rig, unsigned int notes)
{
	struct timespec limit;
	int r = 0;

	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += 20;
	pthread_mutex_lock(&rig->lock);
	while (r == 0 && (notes != 0 ? rig->nnotes < notes : !rig->end))
		r = pthread_cond_timedwait(&rig->changed, &rig->lock, &limit);
	pthread_mutex_unlock(&rig->lock);
	if (r != 0)
		stop(rig);
	assert_int_equal(r, 0);
}

/* A timer may tick once more before the guest has its interrupts off. */
static void
expect_first_notes(struct rig *rig, const uint8_t *notes, unsigned int n)
{
	assert_true(rig->nnotes >= n);
	assert_memory_equal(rig->note, notes, n);
}

static void
expect_notes(struct rig *rig, const uint8_t *notes, unsigned int n)
{
	assert_int_equal(rig->nnotes, n);
	assert_memory_equal(rig->note, notes, n);
}

static void
run(struct rig *rig, const uint8_t *code, const uint8_t *end)
{
	load(rig, CODE, code, end);
	start(rig);
	await(rig, 0);
	stop(rig);
}

/* ---- tests ---- */

static void
ticks_of_the_8254_end_halts(void **state)
{
	run(*state, guest_pit, guest_pit_end);
	expect_first_notes(*state, (const uint8_t[]){ 0x30, 0x30, 0x30 }, 3);
}

static void
deadline_and_periodic_timers_end_halts(void **state)
{
	run(*state, guest_timer, guest_timer_end);
	expect_first_notes(*state, (const uint8_t[]){ 0x40, 0x41, 0x41 }, 3);
}

static void
second_cpu_starts_and_takes_interrupt_and_nmi(void **state)
{
	struct rig *rig = *state;

	load(rig, AP_CODE, guest_ap, guest_ap_end);
	run(rig, guest_smp, guest_smp_end);
	expect_notes(rig, (const uint8_t[]){ 0x01, 0x55, 0x02 }, 3);
}

/* By the time that its thread used, not by the time that passed. */
static void
cpu_halted_for_good_costs_nothing_though_an_interrupt_waits(void **state)
{
	struct rig *rig = *state;
	const struct timespec pause = { .tv_nsec = 100000000 };

	load(rig, CODE, guest_dead, guest_dead_end);
	start(rig);
	await(rig, 1);
	nanosleep(&pause, NULL);
	stop(rig);
	assert_in_range(rig->cpu_ns[0], 0, 30000000);
	assert_in_range(rig->cpu_ns[1], 0, 30000000);
}

static void
line_wakes_a_halted_cpu(void **state)
{
	struct rig *rig = *state;

	load(rig, CODE, guest_line, guest_line_end);
	start(rig);
	await(rig, 1);
	engine->line(rig->vm, 10, true);
	engine->line(rig->vm, 10, false);
	engine->line(rig->vm, 10, true);
	await(rig, 2);
	engine->line(rig->vm, 10, false);
	await(rig, 0);
	stop(rig);
	assert_int_equal(rig->note[0], 1);
	assert_int_equal(rig->note[1], 0x3a);
}

static void
kvmclock_and_tsc_agree(void **state)
{
	struct rig *rig = *state;
	const uint8_t *m = rig->memory.base;
	uint64_t at, tsc;

	run(rig, guest_clock, guest_clock_end);
	assert_int_equal(get_le32(m + 0x600), 2);
	assert_true(get_le32(m + 0x604) > 1600000000);
	assert_int_equal(get_le32(m + 0x640), 2);
	at = get_le64(m + 0x648);
	assert_int_equal(get_le64(m + 0x650), at);
	assert_int_equal(m[0x65d], 1);
	tsc = get_le64(m + 0x680);
	assert_true(tsc > at);
	assert_in_range(tsc - at, 1, UINT64_C(10000000000));
	assert_int_equal(get_le32(m + 0x688), 0x641);
}

static void
refused_registers_fault(void **state)
{
	run(*state, guest_refused, guest_refused_end);
	expect_notes(*state, (const uint8_t[]){ 13, 13, 13 }, 3);
}

static void
kick_before_the_run_ends_it(void **state)
{
	struct rig *rig = *state;
	struct engine_exit exit = { 0 };

	load(rig, CODE, guest_dead, guest_dead_end);
	for (unsigned int i = 0; i < NCPUS; i++) {
		engine->kick(rig->cpu[i]);
		engine->run(rig->cpu[i], &exit);
		assert_int_equal(exit.kind, EXIT_INTERRUPTED);
	}
	assert_int_equal(rig->nnotes, 0);
}

/* Lines, messages and timers go on while CPUs are given back. */
static void
interrupts_for_a_cpu_that_is_gone_are_lost(void **state)
{
	struct rig *rig = *state;
	const struct msi nmi = { .address = 0xfee00000, .data = 0x4400 };

	load(rig, CODE, guest_dead, guest_dead_end);
	engine->cpu_free(rig->cpu[0]);
	engine->msi(rig->vm, &nmi);
	engine->line(rig->vm, 10, true);
	engine->cpu_free(rig->cpu[1]);
	engine->msi(rig->vm, &nmi);
	rig->cpu[0] = rig->cpu[1] = NULL;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(ticks_of_the_8254_end_halts),
		CASE(deadline_and_periodic_timers_end_halts),
		CASE(second_cpu_starts_and_takes_interrupt_and_nmi),
		CASE(
		    cpu_halted_for_good_costs_nothing_though_an_interrupt_waits),
		CASE(line_wakes_a_halted_cpu),
		CASE(kvmclock_and_tsc_agree),
		CASE(refused_registers_fault),
		CASE(kick_before_the_run_ends_it),
		CASE(interrupts_for_a_cpu_that_is_gone_are_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
