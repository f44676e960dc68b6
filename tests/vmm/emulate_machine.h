/*
 * emulate_machine.h - a bare CPU of the interpreter, for tests: guests of a few
 * instructions.
 *
 * All handlers of the guests' interrupts are a HLT, so that a test sees by RIP
 * which one was called, and by the stack with what.  Memory is mapped by pages
 * of 4 KiB to itself; tests change single entries.
 */
#ifndef TESTS_VMM_EMULATE_MACHINE_H
#define TESTS_VMM_EMULATE_MACHINE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/emulate/emu.h"
#include "vmm/emulate/engine_emulate.h"
#include "vmm/memory.h"

#define RAM       (UINT64_C(4) << 20)
#define IST_STACK 0x4000
#define RSP0      0x5000
#define TSS       0x6000
#define GDT       0x7000
#define IDT       0x8000 /* of 256 gates */
#define STUBS     0x9000 /* of 16 bytes: HLT */
#define CODE      0x10000
#define STACK     0x28000
#define DATA      UINT64_C(0x30000) /* and the pages behind it */
#define TABLES    UINT64_C(0x200000)
#define MMIO      UINT64_C(0xfd000000)

#define CS64      0x08
#define DS        0x10
#define USER_CS32 0x1b
#define USER_DS   0x23
#define USER_CS64 0x2b
#define TR        0x30
#define CS32      0x40
#define CS16      0x48

#define PRESENT  UINT64_C(1)
#define WRITABLE UINT64_C(2)
#define USER     UINT64_C(4)
#define NX       (UINT64_C(1) << 63)
#define ALL      (PRESENT | WRITABLE | USER)

#define NOTES 32

struct machine {
	struct memory memory;
	struct engine_io io;
	struct engine_vm *vm;
	struct engine_cpu *cpu[2];
	struct cpu_state state; /* to begin with; then as it was at the end */
	struct engine_exit exit;
	uint64_t note[NOTES]; /* what was written to port 0x10 and MMIO */
	unsigned int nnotes;
};

#define GUEST_BITS(name, bits, code)                                      \
	extern const uint8_t name[], name##_end[];                        \
	__asm__(".pushsection .rodata\n.code" #bits "\n" #name ":\n" code \
		"\n" #name "_end:\n.code64\n.popsection")
#define GUEST(name, code) GUEST_BITS(name, 64, code)

/* ---- the machine ---- */

static inline void
note(struct machine *m, uint64_t value)
{
	assert_true(m->nnotes < NOTES);
	m->note[m->nnotes++] = value;
}

static inline uint32_t
port_in(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes)
{
	(void)arg;
	(void)cpu;
	return (uint32_t)(0x44332200 | port) &
	    (uint32_t)(UINT64_MAX >> (64 - 8 * bytes));
}

static inline void
port_out(void *arg, unsigned int cpu, uint16_t port, unsigned int bytes,
    uint32_t value)
{
	struct machine *m = arg;

	(void)bytes;
	if (port == 0x10)
		note(m, value);
	if (port == 0x12)
		engine_emulate.kick(m->cpu[cpu]);
	if (port == 0x13)
		note(m, engine_emulate.retired(m->cpu[cpu]));
}

static inline uint64_t
mmio_read(void *arg, unsigned int cpu, uint64_t address, unsigned int bytes)
{
	(void)arg;
	(void)cpu;
	(void)bytes;
	return address - MMIO + 0x50;
}

static inline void
mmio_write(void *arg, unsigned int cpu, uint64_t address, unsigned int bytes,
    uint64_t value)
{
	(void)cpu;
	(void)address;
	(void)bytes;
	note(arg, value);
}

static inline bool
no_msr_read(void *arg, unsigned int cpu, uint32_t index, uint64_t *value)
{
	(void)arg;
	(void)cpu;
	(void)index;
	(void)value;
	return false;
}

static inline bool
no_msr_write(void *arg, unsigned int cpu, uint32_t index, uint64_t value)
{
	(void)arg;
	(void)cpu;
	(void)index;
	(void)value;
	return false;
}

static inline uint64_t
tsc(void *arg, unsigned int cpu, uint64_t n)
{
	(void)arg;
	(void)cpu;
	return n;
}

static inline void
put64(struct machine *m, uint64_t at, uint64_t value)
{
	memcpy(memory_at(&m->memory, at, 8), &value, 8);
}

static inline uint64_t
get64(const struct machine *m, uint64_t at)
{
	uint64_t value;

	memcpy(&value, memory_at(&m->memory, at, 8), 8);
	return value;
}

/* Where the page table entry of a linear address stands. */
static inline uint64_t
entry_of(uint64_t addr)
{
	return TABLES + 0x3000 + (addr >> 12) * 8;
}

static inline void
map(struct machine *m, uint64_t addr, uint64_t entry)
{
	put64(m, entry_of(addr), entry);
}

static inline void
gate(struct machine *m, unsigned int vector, uint64_t to, uint64_t type)
{
	put64(m, IDT + 16 * vector,
	    (to & 0xffff) | CS64 << 16 | type << 32 |
		(to >> 16 & 0xffff) << 48);
	put64(m, IDT + 16 * vector + 8, to >> 32);
}

#define INTERRUPT_GATE UINT64_C(0x8e00)
#define USER_GATE      UINT64_C(0xee00)

static inline void
fill_tables(struct machine *m)
{
	static const uint64_t gdt[] = { 0, 0x00af9b000000ffff,
		0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff,
		0x00affb000000ffff, 0x00008b0060000067, 0, 0x00cf9b000000ffff,
		0x00009b000000ffff };

	for (unsigned int i = 0; i < sizeof(gdt) / 8; i++)
		put64(m, GDT + 8 * i, gdt[i]);
	put64(m, TSS + 4, RSP0);
	put64(m, TSS + 36, IST_STACK);
	put64(m, TSS + 96, UINT64_C(0x68) << 48); /* no ports for programs */
	put64(m, TABLES, (TABLES + 0x1000) | ALL);
	put64(m, TABLES + 0x1000, (TABLES + 0x2000) | ALL);
	for (uint64_t i = 0; i < 2; i++)
		put64(m, TABLES + 0x2000 + 8 * i,
		    (TABLES + 0x3000 + i * 0x1000) | ALL);
	for (uint64_t at = 0; at < RAM; at += 4096)
		map(m, at, at | ALL);
	for (unsigned int v = 0; v < 256; v++) {
		put64(m, STUBS + 16 * v, 0xfdebf4); /* hlt; jmp to it */
		gate(m, v, STUBS + 16 * v, INTERRUPT_GATE);
	}
}

static inline struct cpu_seg
segment(uint16_t selector, uint32_t attributes)
{
	return (struct cpu_seg){ .selector = selector,
		.limit = 0xffffffff,
		.attributes = attributes };
}

/* Long mode, at privilege cpl, before the code. */
static inline void
begin(struct machine *m, unsigned int cpl)
{
	struct cpu_state *s = &m->state;
	uint16_t cs = cpl == 3 ? USER_CS64 : CS64;
	uint16_t ds = cpl == 3 ? USER_DS : DS;

	assert_int_equal(engine_emulate.state_get(m->cpu[0], s, NULL), 0);
	memset(s->gpr, 0, sizeof(s->gpr));
	s->gpr[CPU_RSP] = STACK;
	s->rip = CODE;
	s->rflags = 2;
	for (unsigned int i = CPU_ES; i <= CPU_GS; i++)
		s->seg[i] = segment(ds, 0xc093 | CPU_SEG_DPL(cpl));
	s->seg[CPU_CS] = segment(cs, 0xa09b | CPU_SEG_DPL(cpl));
	s->seg[CPU_TR] = segment(TR, 0x8b);
	s->seg[CPU_TR].base = TSS;
	s->seg[CPU_TR].limit = 0x67;
	s->gdt = (struct cpu_table){ GDT, 0x4f };
	s->idt = (struct cpu_table){ IDT, 0xfff };
	s->cr0 = CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_ET;
	s->cr3 = TABLES;
	s->cr4 = CR4_PAE | CR4_OSFXSR;
	s->msr_valid = 1u << CPU_MSR_EFER;
	s->msr[CPU_MSR_EFER] = EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE;
	s->run = CPU_RUNNING;
	s->exception_pending = s->interrupt_pending = false;
	s->interrupt_shadow = s->nmi_masked = false;
	s->nmi_pending = 0;
	m->nnotes = 0;
}

static inline void
load_at(struct machine *m, uint64_t at, const uint8_t *code, const uint8_t *end)
{
	size_t n = (size_t)(end - code);

	memcpy(memory_at(&m->memory, at, n), code, n);
	emu_code_written((struct emu_vm *)m->vm, at, n);
}

/* Runs on, from m->state, to an exit. */
static inline void
go_on(struct machine *m)
{
	struct cpu_state *s = &m->state;

	assert_int_equal(engine_emulate.state_set(m->cpu[0], s, NULL), 0);
	engine_emulate.run(m->cpu[0], &m->exit);
	assert_int_equal(engine_emulate.state_get(m->cpu[0], s, NULL), 0);
}

#define RUN(m, guest)                                   \
	do {                                            \
		load_at((m), CODE, guest, guest##_end); \
		go_on(m);                               \
	} while (0)

/* The vector whose handler has stopped the CPU; -1: none has. */
static inline int
stopped_at(const struct machine *m)
{
	uint64_t at = m->state.rip - 1 - STUBS;

	if (m->exit.kind != EXIT_HALT || at % 16 != 0 || at / 16 > 255)
		return -1;
	return (int)(at / 16);
}

/* The handler's stack, its error code first if it has one. */
static inline uint64_t
frame(const struct machine *m, unsigned int n)
{
	return get64(m, m->state.gpr[CPU_RSP] + 8 * n);
}

static inline void
assert_halted_by_itself(const struct machine *m)
{
	assert_int_equal(m->exit.kind, EXIT_HALT);
	assert_int_equal(stopped_at(m), -1);
}

static inline int
setup_cpus(void **state, unsigned int ncpus)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct engine_config config = { .ncpus = ncpus };

	assert_non_null(m);
	m->memory.fd = -1;
	assert_int_equal(memory_init(&m->memory, RAM, NULL), 0);
	m->io = (struct engine_io){ .arg = m,
		.port_in = port_in,
		.port_out = port_out,
		.mmio_read = mmio_read,
		.mmio_write = mmio_write,
		.msr_read = no_msr_read,
		.msr_write = no_msr_write,
		.tsc = tsc };
	config.memory = &m->memory;
	config.io = &m->io;
	m->vm = engine_emulate.vm_new(&config, NULL);
	assert_non_null(m->vm);
	for (unsigned int i = 0; i < ncpus; i++) {
		m->cpu[i] = engine_emulate.cpu_new(m->vm, NULL);
		assert_non_null(m->cpu[i]);
	}
	fill_tables(m);
	begin(m, 0);
	*state = m;
	return 0;
}

static inline int
setup(void **state)
{
	return setup_cpus(state, 1);
}

static inline int
setup_two(void **state)
{
	return setup_cpus(state, 2);
}

static inline int
teardown(void **state)
{
	struct machine *m = *state;

	for (unsigned int i = 2; i-- > 0;)
		if (m->cpu[i] != NULL)
			engine_emulate.cpu_free(m->cpu[i]);
	engine_emulate.vm_free(m->vm);
	memory_free(&m->memory);
	free(m);
	return 0;
}

#endif
