/*
 * Code that a device writes while the interpreter executes it: what runs after
 * written() has returned is what is in memory, and so is what runs after the
 * guest has read of it in the ring of a device that is another process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmm/chips/engine_chips.h"
#include "vmm/engine_io.h"
#include "vmm/le.h"
#include "vmm/virtq_watch.h"
#include "tests/vmm/no_mmio.h"

#define CODE       0x1000
#define FUNCTION   0x2ffe /* its immediate value is in two pages */
#define RESULT     0x500  /* and behind it the count */
#define ROUNDS     500
#define LIMIT_S    30
#define FUNCTION_N 4
#define DESC       0x600 /* a queue of four */
#define DRIVER     0x640
#define USED       0x700
#define QUEUE_SIZE 4

static const struct engine *const engine = &engine_emulate_pc;

/* Calls the function, stores what it returned, counts. */
extern const uint8_t guest_caller[], guest_caller_end[];
__asm__(".pushsection .rodata\n.code16\nguest_caller:\n"
	"xorw %ax, %ax; movw %ax, %ds; movw %ax, %ss; movw $0x7000, %sp\n"
	"movw $0x2ffe, %bx\n"
	"1: call *%bx; movw %ax, (0x500); incw (0x502); jmp 1b\n"
	"guest_caller_end:\n.code64\n.popsection");

extern const uint8_t guest_sleeper[], guest_sleeper_end[];
__asm__(".pushsection .rodata\n.code16\nguest_sleeper:\n"
	"movw $1, %ss:(0x502); cli; 1: hlt; jmp 1b\n"
	"guest_sleeper_end:\n.code64\n.popsection");

/* As a driver without interrupts: waits for the next used entry, calls what
 * was received, stores what it returned, counts. */
extern const uint8_t guest_driver[], guest_driver_end[];
__asm__(".pushsection .rodata\n.code16\nguest_driver:\n"
	"xorw %ax, %ax; movw %ax, %ds; movw %ax, %ss; movw $0x7000, %sp\n"
	"movw $0x2ffe, %bx; xorw %cx, %cx\n"
	"1: call *%bx; cmpw (0x702), %cx; je 1b\n"
	"incw %cx; call *%bx; movw %ax, (0x500); incw (0x502); jmp 1b\n"
	"guest_driver_end:\n.code64\n.popsection");

/* The same, but it copies the ring before it looks. */
extern const uint8_t guest_copier[], guest_copier_end[];
__asm__(".pushsection .rodata\n.code16\nguest_copier:\n"
	"xorw %ax, %ax; movw %ax, %ds; movw %ax, %ss; movw $0x7000, %sp\n"
	"movw %ax, %es; movw $0x2ffe, %bx; xorw %dx, %dx\n"
	"1: call *%bx; movw $0x700, %si; movw $0x900, %di; movw $36, %cx\n"
	"rep movsb; cmpw (0x902), %dx; je 1b\n"
	"incw %dx; call *%bx; movw %ax, (0x500); incw (0x502); jmp 1b\n"
	"guest_copier_end:\n.code64\n.popsection");

struct rig {
	struct memory memory;
	struct engine_io io;
	struct engine_vm *vm;
	struct engine_cpu *cpu;
	pthread_t thread;
};

static void *
cpu_thread(void *arg)
{
	struct rig *rig = arg;
	struct engine_exit exit = { 0 };

	engine->run(rig->cpu, &exit);
	assert_int_equal(exit.kind, EXIT_INTERRUPTED);
	return NULL;
}

static void
put_function(struct rig *rig, uint16_t value)
{
	uint8_t *at = memory_at(&rig->memory, FUNCTION, FUNCTION_N);
	const struct iovec piece = { at, FUNCTION_N };
	uint8_t code[FUNCTION_N] = { 0xb8, 0, 0, 0xc3 }; /* MOV AX, n; RET */

	put_le16(code + 1, value);
	memcpy(at, code, sizeof(code));
	engine->written(rig->vm, &piece, 1);
}

static void
start(struct rig *rig, const uint8_t *code, const uint8_t *end)
{
	struct cpu_state *state = malloc(sizeof(*state));

	memcpy(memory_at(&rig->memory, CODE, 1), code, (size_t)(end - code));
	assert_int_equal(engine->state_get(rig->cpu, state, NULL), 0);
	state->seg[CPU_CS].selector = 0;
	state->seg[CPU_CS].base = 0;
	state->rip = CODE;
	assert_int_equal(engine->state_set(rig->cpu, state, NULL), 0);
	free(state);
	put_function(rig, 0);
	assert_int_equal(
	    pthread_create(&rig->thread, NULL, cpu_thread, rig), 0);
}

static int
setup(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	struct engine_config config = { .memory = &rig->memory,
		.ncpus = 1,
		.chips = true,
		.io = &rig->io };

	rig->io = (struct engine_io){ .arg = rig,
		.mmio_read = no_mmio_read,
		.mmio_write = no_mmio_write };
	assert_int_equal(memory_init(&rig->memory, 4 << 20, NULL), 0);
	rig->vm = engine->vm_new(&config, NULL);
	assert_non_null(rig->vm);
	rig->cpu = engine->cpu_new(rig->vm, NULL);
	assert_non_null(rig->cpu);
	*state = rig;
	return 0;
}

static int
teardown(void **state)
{
	struct rig *rig = *state;

	engine->kick(rig->cpu);
	pthread_join(rig->thread, NULL);
	engine->cpu_free(rig->cpu);
	engine->vm_free(rig->vm);
	memory_free(&rig->memory);
	free(rig);
	return 0;
}

static uint16_t
word(struct rig *rig, uint64_t address)
{
	return __atomic_load_n(
	    (uint16_t *)memory_at(&rig->memory, address, 2), __ATOMIC_ACQUIRE);
}

/* Until the guest has counted that much further. */
static void
await(struct rig *rig, uint16_t more)
{
	uint16_t from = word(rig, RESULT + 2);
	time_t limit = time(NULL) + LIMIT_S;

	while ((uint16_t)(word(rig, RESULT + 2) - from) < more) {
		if (time(NULL) > limit)
			fail_msg("the guest stands still");
		sched_yield();
	}
}

static void
code_that_a_device_wrote_is_what_runs_next(void **state)
{
	struct rig *rig = *state;

	start(rig, guest_caller, guest_caller_end);
	await(rig, 1000); /* decoded and linked by now */
	for (uint16_t round = 1; round < ROUNDS; round++) {
		/* Both bytes of the value, in either page, change. */
		uint16_t value = (uint16_t)(round << 8 | round >> 8 | round);

		put_function(rig, value);
		await(rig, 2); /* the call under way, and one from then on */
		if (word(rig, RESULT) != value)
			fail_msg("round %u: %#x instead of %#x", round,
			    word(rig, RESULT), value);
	}
}

static void
a_device_does_not_wait_for_a_cpu_that_sleeps(void **state)
{
	struct rig *rig = *state;

	start(rig, guest_sleeper, guest_sleeper_end);
	while (word(rig, RESULT + 2) != 1)
		sched_yield();
	for (uint16_t round = 0; round < 10000; round++)
		put_function(rig, round);
}

/* ---- a device in another process ---- */

struct other_process {
	struct rig *rig;
	struct machine machine;
	struct virtio_device device;
	struct virtq_watch watch;
	uint16_t idx;
};

/* One buffer of two pieces, and an indirect one. */
static void
lay_out(struct rig *rig, struct other_process *p)
{
	uint8_t *desc = memory_at(&rig->memory, DESC, 64);
	uint8_t *table = memory_at(&rig->memory, DRIVER + 0x20, 16);

	put_le64(desc, FUNCTION);
	put_le32(desc + 8, 1);
	put_le16(desc + 12, 3); /* NEXT, WRITE */
	put_le16(desc + 14, 1);
	put_le64(desc + 16, FUNCTION + 1);
	put_le32(desc + 24, FUNCTION_N - 1);
	put_le16(desc + 28, 2);
	put_le64(table, FUNCTION);
	put_le32(table + 8, FUNCTION_N);
	put_le16(table + 12, 2);
	put_le64(desc + 32, DRIVER + 0x20);
	put_le32(desc + 40, 16);
	put_le16(desc + 44, 4); /* INDIRECT */
	p->rig = rig;
	p->machine.memory = &rig->memory;
	p->machine.vm = rig->vm;
	p->device = (struct virtio_device){ .memory = &rig->memory,
		.nqueues = 1,
		.features = VIRTIO_BIT(28),
		.queue = { { .size = QUEUE_SIZE,
		    .enabled = true,
		    .desc = DESC,
		    .driver = DRIVER,
		    .device = USED } } };
}

/* It writes the buffer, and that it did; nobody here is told. */
static void
receive_function(struct other_process *p, uint16_t value, uint32_t head)
{
	struct rig *rig = p->rig;
	uint8_t *used = memory_at(&rig->memory, USED, 38);
	uint8_t code[FUNCTION_N] = { 0xb8, 0, 0, 0xc3 };

	put_le16(code + 1, value);
	memcpy(
	    memory_at(&rig->memory, FUNCTION, FUNCTION_N), code, sizeof(code));
	put_le32(used + 4 + 8 * (p->idx % QUEUE_SIZE), head);
	p->idx++;
	__atomic_store_n(
	    (uint16_t *)(void *)(used + 2), p->idx, __ATOMIC_RELEASE);
}

static void
serve_guest(struct rig *rig, const uint8_t *code, const uint8_t *end)
{
	struct other_process p = { 0 };

	lay_out(rig, &p);
	virtq_watch_start(&p.watch, &p.machine, &p.device, 0);
	start(rig, code, end);
	for (uint16_t round = 1; round < ROUNDS; round++) {
		uint16_t value = (uint16_t)(round << 8 | round >> 8 | round);
		uint16_t count = word(rig, RESULT + 2);

		receive_function(&p, value, round % 2 == 0 ? 0 : 2);
		while (word(rig, RESULT + 2) == count)
			sched_yield();
		if (word(rig, RESULT) != value)
			fail_msg("round %u: %#x instead of %#x", round,
			    word(rig, RESULT), value);
	}
	virtq_watch_stop(&p.watch, &p.machine);
}

static void
code_from_another_process_runs_once_the_ring_was_read(void **state)
{
	serve_guest(*state, guest_driver, guest_driver_end);
}

static void
copy_of_the_ring_is_a_look_at_it(void **state)
{
	serve_guest(*state, guest_copier, guest_copier_end);
}

static void
ring_that_makes_no_sense_is_survived(void **state)
{
	struct rig *rig = *state;
	struct other_process p = { 0 };
	uint8_t *desc = memory_at(&rig->memory, DESC, 64);

	lay_out(rig, &p);
	put_le16(desc + 14, 0); /* a chain that bites its tail */
	put_le64(desc + 32, UINT64_MAX - 4);
	virtq_watch_start(&p.watch, &p.machine, &p.device, 0);
	start(rig, guest_driver, guest_driver_end);
	for (uint32_t i = 0; i < 50; i++) {
		uint16_t count = word(rig, RESULT + 2);

		if (i == 20)
			p.idx = (uint16_t)(p.idx + 1000);
		receive_function(&p, 1, i * i * i * 77);
		while (word(rig, RESULT + 2) == count)
			sched_yield();
	}
	virtq_watch_stop(&p.watch, &p.machine);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(code_that_a_device_wrote_is_what_runs_next),
		TEST(a_device_does_not_wait_for_a_cpu_that_sleeps),
		TEST(code_from_another_process_runs_once_the_ring_was_read),
		TEST(copy_of_the_ring_is_a_look_at_it),
		TEST(ring_that_makes_no_sense_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
