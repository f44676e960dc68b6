/*
 * The interpreter's system side: guests of a few instructions on a bare CPU.
 */
#include "vmm/emulate/engine_emulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/vmm/emulate_machine.h"

/* ---- page faults ---- */

GUEST(g_read, "movl (%rbx), %eax; hlt");
GUEST(g_write, "movl %eax, (%rbx); hlt");
GUEST(g_jump, "jmp *%rbx");

static void
page_faults_tell_their_cause(void **state)
{
	static const struct {
		const uint8_t *code, *end;
		unsigned int cpl;
		uint64_t entry, error;
	} cases[] = {
		{ g_read, g_read_end, 0, 0, 0 },
		{ g_write, g_write_end, 0, 0, 2 },
		{ g_jump, g_jump_end, 0, 0, 0x10 },
		{ g_read, g_read_end, 3, 0, 4 },
		{ g_write, g_write_end, 3, 0, 6 },
		{ g_jump, g_jump_end, 3, 0, 0x14 },
		{ g_write, g_write_end, 0, DATA | PRESENT, 3 },
		{ g_write, g_write_end, 3, DATA | PRESENT | USER, 7 },
		{ g_read, g_read_end, 3, DATA | PRESENT | WRITABLE, 5 },
		{ g_jump, g_jump_end, 0, DATA | ALL | NX, 0x11 },
		{ g_jump, g_jump_end, 3, DATA | ALL | NX, 0x15 },
		{ g_read, g_read_end, 0, DATA | ALL | UINT64_C(1) << 45, 9 },
		{ g_write, g_write_end, 3, DATA | ALL | UINT64_C(1) << 40,
		    0xf },
	};
	struct machine *m = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(m, cases[i].cpl);
		map(m, DATA, cases[i].entry);
		m->state.gpr[CPU_RBX] = DATA + 8;
		load_at(m, CODE, cases[i].code, cases[i].end);
		go_on(m);
		assert_int_equal(stopped_at(m), EXC_PF);
		assert_int_equal(m->state.cr2, DATA + 8);
		assert_int_equal(frame(m, 0), cases[i].error);
		assert_int_equal(
		    frame(m, 1), cases[i].code == g_jump ? DATA + 8 : CODE);
		assert_int_equal(frame(m, 4), STACK);
		assert_int_equal(
		    frame(m, 2), cases[i].cpl == 3 ? USER_CS64 : CS64);
	}
}

static void
supervisor_writes_read_only_pages_without_wp(void **state)
{
	struct machine *m = *state;

	map(m, DATA, DATA | PRESENT);
	m->state.cr0 &= ~(uint64_t)CR0_WP;
	m->state.gpr[CPU_RBX] = DATA;
	m->state.gpr[CPU_RAX] = 0x12345678;
	RUN(m, g_write);
	assert_halted_by_itself(m);
	assert_int_equal(get64(m, DATA), 0x12345678);
}

static void
accessed_and_dirty_bits_are_set(void **state)
{
	struct machine *m = *state;

	m->state.gpr[CPU_RBX] = DATA;
	RUN(m, g_read);
	assert_int_equal(get64(m, entry_of(DATA)), DATA | ALL | 0x20);
	begin(m, 0);
	m->state.gpr[CPU_RBX] = DATA;
	RUN(m, g_write);
	assert_int_equal(get64(m, entry_of(DATA)), DATA | ALL | 0x60);
	assert_int_equal(get64(m, TABLES) & 0x20, 0x20);
}

static void
refused_access_leaves_no_mark_on_the_page(void **state)
{
	struct machine *m = *state;

	map(m, DATA, DATA | PRESENT | USER);
	m->state.gpr[CPU_RBX] = DATA;
	RUN(m, g_write);
	assert_int_equal(stopped_at(m), EXC_PF);
	assert_int_equal(get64(m, entry_of(DATA)), DATA | PRESENT | USER);
	assert_int_equal(get64(m, TABLES) & 0x20, 0x20);
}

GUEST(g_write_read_write,
    "movl (%rbx), %eax; movq %rdi, (%rsi); movl %eax, (%rbx); hlt");

static void
page_made_read_only_is_written_until_invlpg_only(void **state)
{
	struct machine *m = *state;

	/* Read first: a translation for reads is none for writes. */
	m->state.gpr[CPU_RBX] = DATA;
	m->state.gpr[CPU_RSI] = entry_of(DATA);
	m->state.gpr[CPU_RDI] = DATA | PRESENT;
	RUN(m, g_write_read_write);
	assert_int_equal(stopped_at(m), EXC_PF);
	assert_int_equal(frame(m, 0), 3);
}

GUEST(g_invlpg_large,
    "movl 0x1000(%rbx), %eax; movl 0x5000(%rbx), %ecx\n"
    "movq %rdi, (%rsi); invlpg 0x9000(%rbx)\n"
    "movl 0x1000(%rbx), %eax; movl 0x5000(%rbx), %ecx; hlt");

static void
invlpg_forgets_the_whole_large_page(void **state)
{
	struct machine *m = *state;

	/* Linear 4 MiB to 6 MiB is a large page: first of 0, then of 2 MiB. */
	put64(m, TABLES + 0x2010, ALL | 0x80);
	m->state.gpr[CPU_RBX] = UINT64_C(5) << 20;
	m->state.gpr[CPU_RSI] = TABLES + 0x2010;
	m->state.gpr[CPU_RDI] = UINT64_C(2) << 20 | ALL | 0x80;
	put64(m, 0x301000, 0x1234);
	put64(m, 0x305000, 0x5678);
	RUN(m, g_invlpg_large);
	assert_halted_by_itself(m);
	assert_int_equal(m->state.gpr[CPU_RAX], 0x1234);
	assert_int_equal(m->state.gpr[CPU_RCX], 0x5678);
}

GUEST(g_cr3,
    "call *%rbx; movl %eax, %ecx; movl (%rsi), %r8d; movq %rdi, %cr3\n"
    "call *%rbx; movl (%rsi), %r9d; invlpg (%rbx); invlpg (%rsi)\n"
    "call *%rbx; movl %eax, %edx; movl (%rsi), %r10d; hlt");
GUEST(g_five, "movl $5, %eax; ret");
GUEST(g_six, "movl $6, %eax; ret");

/* Other tables, where DATA and the page behind it lie two pages higher. */
static uint64_t
other_tables(struct machine *m, uint64_t flags)
{
	uint64_t other = TABLES + 0x80000;

	memcpy(memory_at(&m->memory, other, 0x5000),
	    memory_at(&m->memory, TABLES, 0x5000), 0x5000);
	put64(m, other, (other + 0x1000) | ALL);
	put64(m, other + 0x1000, (other + 0x2000) | ALL);
	put64(m, other + 0x2000, (other + 0x3000) | ALL);
	for (uint64_t i = 0; i < 2; i++)
		put64(m, other + 0x3000 + ((DATA >> 12) + i) * 8,
		    (DATA + 0x2000 + i * 0x1000) | ALL | flags);
	return other;
}

static void
change_of_tables_keeps_global_pages_only(void **state)
{
	struct machine *m = *state;

	for (uint64_t global = 0; global < 2; global++)
		for (int round = 0; round < 3; round++) {
			begin(m, 0);
			for (uint64_t i = 0; i < 4; i++)
				map(m, DATA + i * 0x1000,
				    (DATA + i * 0x1000) | ALL | global << 8);
			/* The code itself is global, so that only what it
			 * calls may matter. */
			map(m, CODE, CODE | ALL | 0x100);
			load_at(m, DATA, g_five, g_five_end);
			load_at(m, DATA + 0x2000, g_six, g_six_end);
			put64(m, DATA + 0x1000, 0x55);
			put64(m, DATA + 0x3000, 0x66);
			m->state.cr4 |= CR4_PGE;
			m->state.gpr[CPU_RBX] = DATA;
			m->state.gpr[CPU_RSI] = DATA + 0x1000;
			m->state.gpr[CPU_RDI] = other_tables(m, global << 8);
			RUN(m, g_cr3);
			assert_halted_by_itself(m);
			assert_int_equal(m->state.gpr[CPU_RCX], 5);
			assert_int_equal(m->state.gpr[8], 0x55);
			assert_int_equal(m->state.gpr[9], global ? 0x55 : 0x66);
			assert_int_equal(m->state.gpr[CPU_RDX], 6);
			assert_int_equal(m->state.gpr[10], 0x66);
		}
}

GUEST(g_cr3_call,
    "call . + 0x20000; movl %eax, %ecx; movq %rdi, %cr3\n"
    "call . + 0x20000 - 10; movl %eax, %edx; hlt");

static void
links_to_pages_that_are_not_global_end_with_their_tables(void **state)
{
	struct machine *m = *state;

	map(m, CODE, CODE | ALL | 0x100);
	m->state.cr4 |= CR4_PGE;
	for (int round = 0; round < 3; round++) {
		struct cpu_state s = m->state;

		load_at(m, DATA, g_five, g_five_end);
		load_at(m, DATA + 0x2000, g_six, g_six_end);
		m->state.gpr[CPU_RDI] = other_tables(m, 0);
		RUN(m, g_cr3_call);
		assert_halted_by_itself(m);
		assert_int_equal(m->state.gpr[CPU_RCX], 5);
		assert_int_equal(m->state.gpr[CPU_RDX], 6);
		m->state = s;
	}
}

static void
descriptor_table_on_a_missing_page_faults_at_the_instruction(void **state)
{
	GUEST(g_load_ds, "nop; nop; movl $0x23, %eax; movl %eax, %ds; hlt");
	struct machine *m = *state;

	m->state.gdt.base = DATA + 0xf00;
	map(m, DATA, 0);
	RUN(m, g_load_ds);
	/* Delivering it needs the table, too. */
	assert_int_equal(m->exit.kind, EXIT_SHUTDOWN);
	assert_int_equal(m->state.rip, CODE + 7);
	assert_int_equal(m->state.cr2, DATA + 0xf08);
}

/* ---- instructions that fault half-way begin again ---- */

GUEST(h_load, "movq -4(%rbx), %rcx; hlt");
GUEST(h_store, "movq %rax, -4(%rbx); hlt");
GUEST(h_add, "addq %rax, -4(%rbx); hlt");
GUEST(h_xchg, "xchgq %rax, -4(%rbx); hlt");
GUEST(h_cmpxchg, "cmpxchgq %rcx, -4(%rbx); hlt");
GUEST(h_xadd, "xaddq %rcx, -4(%rbx); hlt");
GUEST(h_cmpxchg8b, "cmpxchg8b -4(%rbx); hlt");
GUEST(h_bts, "btsq $62, -4(%rbx); hlt");
GUEST(h_movs, "movsq; hlt");
GUEST(h_push, "leaq 4(%rbx), %rsp; pushq %rax; hlt");
GUEST(h_pop, "leaq -4(%rbx), %rsp; popq %rax; hlt");
GUEST(h_pop_m, "popq -4(%rbx); hlt");
GUEST(h_call, "leaq 4(%rbx), %rsp; call 1f; 1: hlt");
GUEST(h_enter, "leaq 20(%rbx), %rsp; enter $64, $2; hlt");
GUEST(h_ret,
    "leaq -4(%rbx), %rsp; movl $(0x10000), %eax\n"
    "movl $(1f - h_ret), %ecx; addl %ecx, %eax; movl %eax, (%rsp)\n"
    "retq; 1: hlt");

static void
instructions_across_pages_begin_again_after_a_fault(void **state)
{
	static const struct {
		const uint8_t *code, *end;
		bool below; /* the lower page is the missing one */
	} cases[] = {
		{ h_load, h_load_end, false },
		{ h_load, h_load_end, true },
		{ h_store, h_store_end, false },
		{ h_store, h_store_end, true },
		{ h_add, h_add_end, false },
		{ h_add, h_add_end, true },
		{ h_xchg, h_xchg_end, false },
		{ h_cmpxchg, h_cmpxchg_end, false },
		{ h_xadd, h_xadd_end, false },
		{ h_cmpxchg8b, h_cmpxchg8b_end, false },
		{ h_bts, h_bts_end, false },
		{ h_movs, h_movs_end, false },
		{ h_push, h_push_end, false },
		{ h_push, h_push_end, true },
		{ h_pop, h_pop_end, false },
		{ h_pop_m, h_pop_m_end, false },
		{ h_call, h_call_end, true },
		{ h_enter, h_enter_end, true },
		{ h_ret, h_ret_end, false },
	};
	struct machine *m = *state;
	uint64_t middle = DATA + 0x1000;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cpu_state want;
		uint8_t page[8192];

		for (int faults = 0; faults < 2; faults++) {
			begin(m, 0);
			memset(memory_at(&m->memory, DATA, 8192), 0x5a, 8192);
			/* the upper half of RET's address */
			memset(memory_at(&m->memory, middle, 4), 0, 4);
			map(m, DATA, DATA | ALL);
			map(m, middle, middle | ALL);
			m->state.gpr[CPU_RAX] = 0x0123456789abcdef;
			m->state.gpr[CPU_RCX] = 0x1111222233334444;
			m->state.gpr[CPU_RBX] = middle;
			m->state.gpr[CPU_RBP] = middle + 0x800;
			m->state.gpr[CPU_RSI] = middle - 4;
			m->state.gpr[CPU_RDI] = DATA + 0x100;
			/* The fault is taken on a stack that is there. */
			gate(
			    m, EXC_PF, STUBS + 16 * EXC_PF, INTERRUPT_GATE | 1);
			if (faults)
				map(m, cases[i].below ? DATA : middle, 0);
			load_at(m, CODE, cases[i].code, cases[i].end);
			go_on(m);
			if (!faults) {
				assert_halted_by_itself(m);
				want = m->state;
				memcpy(page, memory_at(&m->memory, DATA, 8192),
				    8192);
				continue;
			}
			assert_int_equal(stopped_at(m), EXC_PF);
			if (!cases[i].below)
				assert_int_equal(m->state.cr2, middle);
			map(m, DATA, DATA | ALL);
			map(m, middle, middle | ALL);
			m->state.rip = frame(m, 1);
			m->state.rflags = frame(m, 3);
			m->state.gpr[CPU_RSP] = frame(m, 4);
			m->state.run = CPU_RUNNING;
			go_on(m);
			assert_halted_by_itself(m);
			assert_memory_equal(
			    m->state.gpr, want.gpr, sizeof(want.gpr));
			assert_int_equal(m->state.rip, want.rip);
			assert_int_equal(m->state.rflags, want.rflags);
			assert_memory_equal(
			    memory_at(&m->memory, DATA, 8192), page, 8192);
		}
	}
}

GUEST(g_straddling, "movl $0x12345678, %eax; hlt");

static void
fetch_across_pages_faults_at_the_second(void **state)
{
	struct machine *m = *state;
	uint64_t at = DATA + 0x1000 - 3;

	load_at(m, at, g_straddling, g_straddling_end);
	map(m, DATA + 0x1000, 0);
	m->state.rip = at;
	go_on(m);
	assert_int_equal(stopped_at(m), EXC_PF);
	assert_int_equal(m->state.cr2, DATA + 0x1000);
	assert_int_equal(frame(m, 0), 0x10);
	assert_int_equal(frame(m, 1), at);

	map(m, DATA + 0x1000, (DATA + 0x1000) | ALL);
	begin(m, 0);
	m->state.rip = at;
	go_on(m);
	assert_halted_by_itself(m);
	assert_int_equal(m->state.gpr[CPU_RAX], 0x12345678);

	/* Another second page is another instruction. */
	map(m, DATA + 0x1000, (DATA + 0x5000) | ALL);
	memcpy(memory_at(&m->memory, DATA + 0x5000, 3), "\x99\x99\xf4", 3);
	begin(m, 0);
	m->state.rip = at;
	go_on(m);
	assert_int_equal(m->state.gpr[CPU_RAX], 0x99995678);
}

/* ---- code that changes ---- */

static uint64_t
find(const uint8_t *code, const uint8_t *end, const char *bytes, size_t n)
{
	const uint8_t *at = memmem(code, (size_t)(end - code), bytes, n);

	assert_non_null(at);
	return (uint64_t)(at - code);
}

static void
changed_next_instruction_is_executed(void **state)
{
	GUEST(s_same,
	    "movl $5, %ecx; 1: movl %ecx, (%rbx); addq $0x11111111, %rax\n"
	    "decl %ecx; jnz 1b; hlt");
	struct machine *m = *state;

	m->state.gpr[CPU_RBX] =
	    CODE + find(s_same, s_same_end, "\x11\x11\x11\x11", 4);
	RUN(m, s_same);
	assert_halted_by_itself(m);
	assert_int_equal(m->state.gpr[CPU_RAX], 5 + 4 + 3 + 2 + 1);
}

GUEST(s_far,
    "movl $5, %ecx; 1: movl %ecx, (%rbx); call *%rsi\n"
    "decl %ecx; jnz 1b; hlt");
GUEST(s_function, "addq $0x11111111, %rax; ret");

static void
changed_code_elsewhere_is_executed(void **state)
{
	/* Where the function begins, and by which address it is changed: the
	 * same, its bytes in the next page, and another linear address. */
	static const struct {
		uint64_t function, alias;
	} cases[] = {
		{ DATA, 0 },
		{ DATA + 0xfff, 0 },
		{ DATA + 0xffe, 0 },
		{ DATA + 0xffa, 0 },
		{ DATA, 0x8000 },
		{ DATA + 0xffd, 0x8000 },
	};
	struct machine *m = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t immediate = cases[i].function +
		    find(s_function, s_function_end, "\x11\x11\x11\x11", 4);

		begin(m, 0);
		for (uint64_t page = 0; page < 0x2000; page += 0x1000)
			map(m, DATA + 0x8000 + page, (DATA + page) | ALL);
		load_at(m, cases[i].function, s_function, s_function_end);
		m->state.gpr[CPU_RSI] = cases[i].function;
		m->state.gpr[CPU_RBX] = immediate + cases[i].alias;
		RUN(m, s_far);
		assert_halted_by_itself(m);
		assert_int_equal(m->state.gpr[CPU_RAX], 5 + 4 + 3 + 2 + 1);
	}
}

static void
code_written_by_a_device_is_executed(void **state)
{
	struct machine *m = *state;
	struct iovec piece;

	RUN(m, g_straddling);
	assert_int_equal(m->state.gpr[CPU_RAX], 0x12345678);
	piece = (struct iovec){ memory_at(&m->memory, CODE + 1, 4), 4 };
	memset(piece.iov_base, 0x77, 4);
	engine_emulate.written(m->vm, &piece, 1);
	begin(m, 0);
	go_on(m);
	assert_int_equal(m->state.gpr[CPU_RAX], 0x77777777);
}

static void
instruction_whose_pages_are_one_is_seen_to_change(void **state)
{
	struct machine *m = *state;
	uint64_t at = DATA + 0xffd;

	/* The page behind is the same one again. */
	map(m, DATA + 0x1000, DATA | ALL);
	memcpy(memory_at(&m->memory, at, 3), "\xb8\x78\x56", 3);
	memcpy(memory_at(&m->memory, DATA, 3), "\x34\x12\xf4", 3);
	m->state.rip = at;
	go_on(m);
	assert_int_equal(m->state.gpr[CPU_RAX], 0x12345678);
	memory_at(&m->memory, DATA, 1);
	begin(m, 0);
	m->state.gpr[CPU_RBX] = DATA;
	m->state.gpr[CPU_RAX] = 0xf40000;
	RUN(m, g_write); /* 00 00 f4 at its beginning */
	begin(m, 0);
	m->state.rip = at;
	go_on(m);
	assert_int_equal(m->state.gpr[CPU_RAX], 0x5678);
}

GUEST(s_call, "call 1f; 1: hlt; .fill 7, 1, 0x90; .byte 0; hlt");

static void
call_that_overwrites_its_target_goes_to_the_new_code(void **state)
{
	struct machine *m = *state;

	/* The first time elsewhere, so that the call is linked to it. */
	RUN(m, s_call);
	assert_int_equal(m->state.rip, CODE + 6);
	begin(m, 0);
	/* What is pushed on the target, 0x10005, reads ADD EAX, 0x100, and two
	 * times ADD [RAX], AL with the zero that follows. */
	m->state.gpr[CPU_RSP] = CODE + 5 + 8;
	go_on(m);
	assert_halted_by_itself(m);
	assert_int_equal(m->state.rip, CODE + 15);
	assert_int_equal(m->state.gpr[CPU_RAX], 0x100);
}

static void
page_table_bits_written_over_code_are_seen(void **state)
{
	GUEST(s_walk, "movl (%rbx), %ecx; hlt");
	struct machine *m = *state;
	uint64_t entry = entry_of(DATA + 0x3000);

	/* An entry of the table is executed: 03 30 .. is ADD ESI, [RAX]. */
	put64(m, entry, (DATA + 0x3000) | PRESENT | WRITABLE);
	put64(m, entry + 8, 0xf4f4f4f4f4f4f4f4);
	m->state.rip = entry;
	m->state.gpr[CPU_RAX] = DATA;
	put64(m, DATA, 0x100);
	go_on(m);
	assert_int_equal(m->state.gpr[CPU_RSI], 0x100);
	/* With the accessed bit it is 23 30: AND ESI, [RAX]. */
	begin(m, 0);
	m->state.gpr[CPU_RBX] = DATA + 0x3000;
	RUN(m, s_walk);
	assert_halted_by_itself(m);
	begin(m, 0);
	m->state.rip = entry;
	m->state.gpr[CPU_RAX] = DATA;
	m->state.gpr[CPU_RSI] = 0xff;
	go_on(m);
	assert_int_equal(m->state.gpr[CPU_RSI], 0);
}

/* ---- exceptions ---- */

GUEST(e_divide, "nop; xorl %ecx, %ecx; divl %ecx; hlt");
GUEST(e_int3, "nop; int3; hlt");
GUEST(e_int, "nop; int $0x80; hlt");
GUEST(e_ud2, "nop; ud2; hlt");
GUEST(e_int1, "nop; .byte 0xf1; hlt");
GUEST(e_far_load, "movabsq $0x8000000000000000, %rbx; movl (%rbx), %eax; hlt");
GUEST(e_far_stack, "movabsq $0x8000000000000000, %rbp; movl (%rbp), %eax; hlt");
GUEST(e_far_push, "movabsq $0x8000000000000000, %rsp; pushq %rax; hlt");
GUEST(e_null, "movl $0x53, %eax; movl %eax, %ds; hlt");
GUEST(e_cr4, "movl $0x80000000, %eax; movq %rax, %cr4; hlt");
GUEST(e_cr0, "movl $0x80000000, %eax; movq %rax, %cr0; hlt");
GUEST(e_cr3, "movabsq $0x100000000000, %rax; movq %rax, %cr3; hlt");
GUEST(e_msr, "movl $0x12345, %ecx; rdmsr; hlt");
GUEST(e_cli, "cli; hlt");
GUEST(e_hlt, "nop; hlt");
GUEST(e_in, "inb $0x20, %al; hlt");
GUEST(e_long, ".rept 15\n.byte 0x66\n.endr\nnop; hlt");
GUEST(e_16b, "cmpxchg16b 8(%rbx); hlt");
GUEST(e_iret_far,
    "pushq $0x10; pushq $0x20000; pushq $2; pushq $8\n"
    "movabsq $0x800000000000, %rax; pushq %rax; iretq");
GUEST(e_iret_nt, "pushq $0x4002; popfq; iretq");
GUEST(e_iret_cs,
    "pushq $0x10; pushq $0x20000; pushq $2; pushq $0x10\n"
    "pushq $0x10000; iretq");
GUEST(e_sysret, "movabsq $0x800000000000, %rcx; sysretq");

static void
exceptions_come_with_their_codes(void **state)
{
	static const struct {
		const uint8_t *code, *end;
		unsigned int cpl;
		int vector;
		int error; /* -1: none */
		unsigned int at;
	} cases[] = {
		{ e_divide, e_divide_end, 0, EXC_DE, -1, 3 },
		{ e_int3, e_int3_end, 0, EXC_BP, -1, 2 },
		{ e_int3, e_int3_end, 3, EXC_GP, 3 * 8 + 2, 1 },
		{ e_int, e_int_end, 0, 0x80, -1, 3 },
		{ e_int, e_int_end, 3, EXC_GP, 0x80 * 8 + 2, 1 },
		{ e_int1, e_int1_end, 3, EXC_DB, -1, 2 },
		{ e_ud2, e_ud2_end, 0, EXC_UD, -1, 1 },
		{ e_far_load, e_far_load_end, 0, EXC_GP, 0, 10 },
		{ e_far_stack, e_far_stack_end, 0, EXC_SS, 0, 10 },
		{ e_far_push, e_far_push_end, 3, EXC_SS, 0, 10 },
		{ e_null, e_null_end, 0, EXC_GP, 0x50, 5 },
		{ e_cr4, e_cr4_end, 0, EXC_GP, 0, 5 },
		{ e_cr0, e_cr0_end, 0, EXC_GP, 0, 5 },
		{ e_cr3, e_cr3_end, 0, EXC_GP, 0, 10 },
		{ e_cr3, e_cr3_end, 3, EXC_GP, 0, 10 },
		{ e_msr, e_msr_end, 0, EXC_GP, 0, 5 },
		{ e_msr, e_msr_end, 3, EXC_GP, 0, 5 },
		{ e_cli, e_cli_end, 3, EXC_GP, 0, 0 },
		{ e_hlt, e_hlt_end, 3, EXC_GP, 0, 1 },
		{ e_in, e_in_end, 3, EXC_GP, 0, 0 },
		{ e_long, e_long_end, 0, EXC_GP, 0, 0 },
		{ e_16b, e_16b_end, 0, EXC_GP, 0, 0 },
		{ e_iret_far, e_iret_far_end, 0, EXC_GP, 0, 22 },
		{ e_iret_nt, e_iret_nt_end, 0, EXC_GP, 0, 6 },
		{ e_iret_cs, e_iret_cs_end, 0, EXC_GP, 0x10, 16 },
		{ e_sysret, e_sysret_end, 0, EXC_GP, 0, 10 },
	};
	struct machine *m = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned int k = cases[i].error >= 0;

		begin(m, cases[i].cpl);
		m->state.gpr[CPU_RBX] = DATA;
		load_at(m, CODE, cases[i].code, cases[i].end);
		go_on(m);
		assert_int_equal(stopped_at(m), cases[i].vector);
		if (k)
			assert_int_equal(frame(m, 0), cases[i].error);
		assert_int_equal(frame(m, k), CODE + cases[i].at);
	}
}

static void
missing_gate_is_a_fault_of_the_int_itself(void **state)
{
	struct machine *m = *state;

	gate(m, 0x80, 0, 0x0e00);
	RUN(m, e_int);
	assert_int_equal(stopped_at(m), EXC_NP);
	assert_int_equal(frame(m, 0), 0x80 * 8 + 2);
	assert_int_equal(frame(m, 1), CODE + 1);
}

static void
fault_of_a_contributory_fault_is_double(void **state)
{
	struct machine *m = *state;

	gate(m, EXC_DE, 0, 0x0e00);
	RUN(m, e_divide);
	assert_int_equal(stopped_at(m), EXC_DF);
	assert_int_equal(frame(m, 0), 0);
	assert_int_equal(frame(m, 1), CODE + 3);
}

static void
fault_of_a_benign_exception_is_its_own(void **state)
{
	struct machine *m = *state;

	gate(m, EXC_UD, 0, 0x0e00);
	RUN(m, e_ud2);
	assert_int_equal(stopped_at(m), EXC_NP);
	assert_int_equal(frame(m, 0), EXC_UD * 8 + 3); /* external */
}

static void
fault_of_a_double_fault_ends_the_machine(void **state)
{
	struct machine *m = *state;

	m->state.idt.limit = 0;
	RUN(m, e_ud2);
	assert_int_equal(m->exit.kind, EXIT_SHUTDOWN);
	assert_int_equal(m->state.rip, CODE + 1);
	go_on(m);
}

static void
gate_names_its_stack(void **state)
{
	struct machine *m = *state;

	gate(m, EXC_UD, STUBS + 16 * EXC_UD, INTERRUPT_GATE | 1);
	RUN(m, e_ud2);
	assert_int_equal(stopped_at(m), EXC_UD);
	assert_int_equal(m->state.gpr[CPU_RSP], IST_STACK - 40);
	assert_int_equal(frame(m, 3), STACK);
	assert_int_equal(frame(m, 4), DS);
}

static void
exception_of_a_program_comes_on_the_systems_stack(void **state)
{
	struct machine *m = *state;

	begin(m, 3);
	m->state.rflags = 0x202;
	RUN(m, e_ud2);
	assert_int_equal(stopped_at(m), EXC_UD);
	assert_int_equal(m->state.gpr[CPU_RSP], RSP0 - 40);
	assert_int_equal(frame(m, 1), USER_CS64);
	assert_int_equal(frame(m, 2), 0x10202);
	assert_int_equal(frame(m, 3), STACK);
	assert_int_equal(frame(m, 4), USER_DS);
	assert_int_equal(m->state.rflags, 2);
	assert_int_equal(m->state.seg[CPU_SS].selector, 0);
	assert_int_equal(m->state.seg[CPU_CS].selector, CS64);
}

/* To a program and back, twice: by IRET and INT, by SYSRET and SYSCALL. */
GUEST(e_there_and_back,
    "movl $0xc0000081, %ecx; xorl %eax, %eax; movl $0x00180008, %edx; wrmsr\n"
    "leaq 3f(%rip), %rax; movq %rax, %rdx; shrq $32, %rdx\n"
    "movl $0xc0000082, %ecx; wrmsr\n"
    "movl $0xc0000084, %ecx; movl $0x200, %eax; xorl %edx, %edx; wrmsr\n"
    "pushq $0x23; pushq $0x20000; pushq $0x202; pushq $0x2b\n"
    "leaq 1f(%rip), %rax; pushq %rax; iretq\n"
    "1: movl %cs, %eax; movl %eax, %r12d; movq %rsp, %r13\n"
    "movl $0x1234, %r8d; syscall\n"
    "2: movl %cs, %eax; movl %eax, %r14d; int $0x80\n"
    "3: movl %cs, %eax; movl %eax, %r15d; movq %r11, %r9; movq %rcx, %r10\n"
    "leaq 2b(%rip), %rcx; movl $0x202, %r11d; sysretq\n");

static void
program_is_entered_and_left(void **state)
{
	struct machine *m = *state;

	gate(m, 0x80, STUBS + 16 * 0x80, USER_GATE);
	RUN(m, e_there_and_back);
	assert_int_equal(stopped_at(m), 0x80);
	assert_int_equal(m->state.gpr[12], USER_CS64);
	assert_int_equal(m->state.gpr[13], 0x20000);
	assert_int_equal(m->state.gpr[14], USER_CS64);
	assert_int_equal(m->state.gpr[15], CS64);
	assert_int_equal(m->state.gpr[9], 0x202);
	assert_int_equal(frame(m, 2), 0x202);
	assert_int_equal(frame(m, 3), 0x20000);
	assert_int_equal(frame(m, 4), USER_DS);
}

/* ---- interrupts ---- */

GUEST(i_sti, "nop; sti; nop; nop; nop; hlt");
GUEST(i_ss, "sti; nop; movl %ss, %eax; movl %eax, %ss; nop; hlt");
GUEST(i_halt, "sti; hlt; movl $1, %eax; hlt");
GUEST(i_window, "sti; nop; cli; movl $1, %eax; hlt");

static void
interrupt_waits_for_the_window(void **state)
{
	struct machine *m = *state;

	assert_int_equal(
	    engine_emulate.state_set(m->cpu[0], &m->state, NULL), 0);
	assert_int_equal(engine_emulate.inject(m->cpu[0], 0x40), -EAGAIN);
	engine_emulate.want_window(m->cpu[0], true);
	RUN(m, i_sti);
	assert_int_equal(m->exit.kind, EXIT_WINDOW);
	assert_int_equal(m->state.rip, CODE + 3); /* one behind STI */
	assert_int_equal(engine_emulate.inject(m->cpu[0], 0x40), 0);
	engine_emulate.want_window(m->cpu[0], false);
	engine_emulate.run(m->cpu[0], &m->exit);
	assert_int_equal(
	    engine_emulate.state_get(m->cpu[0], &m->state, NULL), 0);
	assert_int_equal(stopped_at(m), 0x40);
	assert_int_equal(frame(m, 0), CODE + 3);
	assert_int_equal(m->state.rflags & FLAG_IF, 0);
}

static void
window_of_one_instruction_is_found(void **state)
{
	struct machine *m = *state;

	/* Once before, so that all is decoded as it is without a wish. */
	RUN(m, i_window);
	assert_int_equal(m->state.gpr[CPU_RAX], 1);
	begin(m, 0);
	engine_emulate.want_window(m->cpu[0], true);
	go_on(m);
	assert_int_equal(m->exit.kind, EXIT_WINDOW);
	assert_int_equal(m->state.rip, CODE + 2);
}

static void
interrupt_ends_a_halt(void **state)
{
	struct machine *m = *state;

	RUN(m, i_halt);
	assert_int_equal(m->state.rip, CODE + 2);
	assert_int_equal(engine_emulate.inject(m->cpu[0], 0x40), 0);
	engine_emulate.run(m->cpu[0], &m->exit);
	assert_int_equal(
	    engine_emulate.state_get(m->cpu[0], &m->state, NULL), 0);
	assert_int_equal(stopped_at(m), 0x40);
	assert_int_equal(frame(m, 0), CODE + 2);
}

static void
nmi_comes_once_until_iret(void **state)
{
	struct machine *m = *state;

	m->state.nmi_pending = true;
	RUN(m, i_sti);
	assert_int_equal(stopped_at(m), 2);
	assert_true(m->state.nmi_masked);
	m->state.nmi_pending = true;
	go_on(m);
	assert_int_equal(stopped_at(m), 2); /* halted, still */
	assert_true(m->state.nmi_pending);
}

/* ---- repeated instructions ---- */

GUEST(r_movs, "rep movsb; hlt");
GUEST(r_movsq, "rep movsq; hlt");
GUEST(r_movs_down, "std; rep movsb; hlt");
GUEST(r_stos, "rep stosl; hlt");

static void
overlapping_moves_go_element_by_element(void **state)
{
	static const struct {
		const uint8_t *code, *end;
		unsigned int bytes;
		bool down;
		int apart;
	} cases[] = {
		{ r_movs, r_movs_end, 1, false, 1 },
		{ r_movs, r_movs_end, 1, false, 3 },
		{ r_movs, r_movs_end, 1, false, -1 },
		{ r_movs, r_movs_end, 1, false, 5000 },
		{ r_movsq, r_movsq_end, 8, false, 1 },
		{ r_movsq, r_movsq_end, 8, false, 9 },
		{ r_movsq, r_movsq_end, 8, false, -3 },
		{ r_movs_down, r_movs_down_end, 1, true, -1 },
		{ r_movs_down, r_movs_down_end, 1, true, 2 },
	};
	struct machine *m = *state;
	static uint8_t want[40000];

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned int n = cases[i].bytes, count = 20000 / n;
		uint8_t *ram = memory_at(&m->memory, DATA, sizeof(want));
		size_t from = 8000;

		begin(m, 0);
		for (unsigned int k = 0; k < sizeof(want); k++)
			ram[k] = want[k] = (uint8_t)(k * 7 + k / 256);
		for (unsigned int k = 0; k < count; k++) {
			size_t at =
			    from + n * (cases[i].down ? count - 1 - k : k);
			uint8_t element[8];

			memcpy(element, want + at, n);
			memcpy(want + at + cases[i].apart, element, n);
		}
		if (cases[i].down)
			from += count - 1;
		m->state.gpr[CPU_RCX] = count;
		m->state.gpr[CPU_RSI] = DATA + from;
		m->state.gpr[CPU_RDI] =
		    DATA + from + (uint64_t)(int64_t)cases[i].apart;
		load_at(m, CODE, cases[i].code, cases[i].end);
		go_on(m);
		assert_halted_by_itself(m);
		assert_int_equal(m->state.gpr[CPU_RCX], 0);
		assert_memory_equal(ram, want, sizeof(want));
	}
}

static void
fill_goes_on_after_a_missing_page(void **state)
{
	struct machine *m = *state;

	map(m, DATA + 0x2000, 0);
	m->state.gpr[CPU_RCX] = 0x4000 / 4;
	m->state.gpr[CPU_RDI] = DATA;
	m->state.gpr[CPU_RAX] = 0xabcd1234;
	RUN(m, r_stos);
	assert_int_equal(stopped_at(m), EXC_PF);
	assert_int_equal(m->state.cr2, DATA + 0x2000);
	assert_int_equal(m->state.gpr[CPU_RCX], 0x2000 / 4);
	assert_int_equal(m->state.gpr[CPU_RDI], DATA + 0x2000);
	assert_int_equal(frame(m, 1), CODE);
	map(m, DATA + 0x2000, (DATA + 0x2000) | ALL);
	m->state.rip = CODE;
	m->state.run = CPU_RUNNING;
	go_on(m);
	assert_halted_by_itself(m);
	assert_int_equal(get64(m, DATA + 0x3ff8), 0xabcd1234abcd1234);
	assert_int_equal(m->state.gpr[CPU_RCX], 0);
}

GUEST(r_own, "rep stosb; .rept 60\nnop\n.endr\nhlt; .rept 60\nhlt\n.endr");

static void
fill_over_the_code_itself_is_seen(void **state)
{
	struct machine *m = *state;

	/* The code behind it becomes HLT while it runs. */
	m->state.gpr[CPU_RCX] = 40;
	m->state.gpr[CPU_RDI] = CODE + 10;
	m->state.gpr[CPU_RAX] = 0xf4;
	RUN(m, r_own);
	assert_halted_by_itself(m);
	assert_int_equal(m->state.rip, CODE + 11);
	assert_int_equal(m->state.gpr[CPU_RCX], 0);
}

/* ---- comparisons that melt with a jump ---- */

/* CMP or TEST in one of its encodings, then a jump and SETcc by the same
 * condition: both have to say the same, whatever the operands. */
static void
jump_behind_a_comparison_agrees_with_its_flags(void **state)
{
	static const struct {
		const char *code;
		size_t bytes;
	} compare[] = {
		{ "\x48\x39\xd1", 3 }, /* CMP RCX, RDX; ECX; CL */
		{ "\x39\xd1", 2 },
		{ "\x38\xd1", 2 },
		{ "\x66\x39\xd1", 3 },
		{ "\x48\x83\xf9\xff", 4 }, /* CMP RCX, -1 */
		{ "\x83\xf9\x7f", 3 },
		{ "\x80\xf9\x80", 3 },
		{ "\x48\x3b\x0b", 3 }, /* CMP RCX, [RBX] */
		{ "\x3b\x0b", 2 },
		{ "\x3a\x2b", 2 },     /* CH */
		{ "\x48\x39\x0b", 3 }, /* CMP [RBX], RCX */
		{ "\x39\x0b", 2 },
		{ "\x38\x0b", 2 },
		{ "\x48\x83\x3b\x01", 4 }, /* CMP [RBX], 1 */
		{ "\x83\x3b\xff", 3 },
		{ "\x80\x3b\x7f", 3 },
		{ "\x48\x85\xd1", 3 }, /* TEST RCX, RDX */
		{ "\x85\xd1", 2 },
		{ "\x84\xd1", 2 },
		{ "\xf7\xc1\x00\x00\x00\x80", 6 }, /* TEST ECX, imm */
		{ "\xf6\xc1\x80", 3 },
		{ "\x48\x85\x0b", 3 }, /* TEST [RBX], RCX */
		{ "\x85\x0b", 2 },
		{ "\x84\x0b", 2 },
		{ "\xf7\x03\xff\xff\x00\x80", 6 },
		{ "\xf6\x03\x81", 3 },
	};
	static const uint64_t value[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fffffff,
		0x80000000, 0xffffffff, INT64_MAX, UINT64_C(1) << 63,
		UINT64_MAX, UINT64_C(0x0123456789abcdef) };
	struct machine *m = *state;
	const unsigned int n = sizeof(value) / sizeof(value[0]);

	for (unsigned int i = 0; i < sizeof(compare) / sizeof(compare[0]); i++)
		for (unsigned int cc = 0; cc < 16; cc++) {
			uint8_t code[64], *at = code;
			const uint8_t jump[] = { 0x70 | (uint8_t)cc, 2, 0xeb, 2,
				0xb0, 1 }; /* over JMP; MOV AL, 1 */
			const uint8_t set[] = { 0x41, 0x0f, 0x90 | (uint8_t)cc,
				0xc0, 0xf4 }; /* R8B */

			memcpy(at, compare[i].code, compare[i].bytes);
			at += compare[i].bytes;
			memcpy(at, jump, sizeof(jump));
			at += sizeof(jump);
			memcpy(at, set, sizeof(set));
			at += sizeof(set);
			for (unsigned int k = 0; k < n * n; k++) {
				begin(m, 0);
				if (k == 0)
					load_at(m, CODE, code, at);
				m->state.gpr[CPU_RBX] = DATA;
				m->state.gpr[CPU_RCX] = value[k / n];
				m->state.gpr[CPU_RDX] = value[k % n];
				put64(m, DATA, value[k % n]);
				go_on(m);
				assert_halted_by_itself(m);
				assert_int_equal(
				    m->state.gpr[CPU_RAX], m->state.gpr[8]);
			}
		}
}

GUEST(f_fault, "nop; cmpl $3, (%rbx); je 1f; nop; 1: hlt");

static void
comparison_before_a_jump_faults_at_itself(void **state)
{
	struct machine *m = *state;
	uint64_t was = engine_emulate.retired(m->cpu[0]);

	map(m, DATA, 0);
	m->state.gpr[CPU_RBX] = DATA;
	RUN(m, f_fault);
	assert_int_equal(stopped_at(m), EXC_PF);
	assert_int_equal(frame(m, 1), CODE + 1);
	assert_int_equal(engine_emulate.retired(m->cpu[0]) - was, 2);
}

/* ---- tracing and counting ---- */

GUEST(t_trace,
    "pushq $0x102; popfq\n"
    "1: nop; addl $3, %eax; jmp 2f; nop; 2: pushq %rax; popq %rcx\n"
    "pushq $2; popfq; nop; hlt");
GUEST(t_handler, "incq %rdx; movq (%rsp), %rsi; movq %dr6, %r8; iretq");

static void
trace_flag_stops_behind_each_instruction(void **state)
{
	struct machine *m = *state;

	load_at(m, DATA, t_handler, t_handler_end);
	gate(m, EXC_DB, DATA, INTERRUPT_GATE);
	RUN(m, t_trace);
	assert_halted_by_itself(m);
	/* nop, add, jmp, push, pop, push, popf */
	assert_int_equal(m->state.gpr[CPU_RDX], 7);
	assert_int_equal(m->state.gpr[CPU_RAX], 3);
	assert_int_equal(m->state.gpr[8] & 0x4000, 0x4000);
	assert_int_equal(m->state.rip, CODE + (t_trace_end - t_trace));
	assert_int_equal(m->state.gpr[CPU_RSI], m->state.rip - 2);
}

GUEST(t_trace_rep,
    "movl $0x30000, %edi; movl $3, %ecx; pushq $0x102; popfq\n"
    "rep stosb; pushq $2; popfq; hlt");

static void
trace_flag_stops_behind_each_element(void **state)
{
	struct machine *m = *state;

	load_at(m, DATA + 0x1000, t_handler, t_handler_end);
	gate(m, EXC_DB, DATA + 0x1000, INTERRUPT_GATE);
	RUN(m, t_trace_rep);
	assert_halted_by_itself(m);
	assert_int_equal(m->state.gpr[CPU_RDX], 3 + 2);
}

GUEST(t_line, ".rept 100\nnop\n.endr\nhlt");
GUEST(t_loop, "movl $100000, %ecx; 1: addl $3, %eax; decl %ecx; jnz 1b; hlt");
GUEST(t_rep, "movl $5000, %ecx; movl $0x30000, %edi; rep stosb; nop; hlt");
GUEST(t_fault, "nop; nop; ud2");
GUEST(t_int, "nop; int $0x80");
GUEST(t_smc, "movb $0x90, 1f(%rip); 1: hlt; hlt");
GUEST(t_sti, "sti; nop; nop; cli; hlt");
GUEST(t_cmp, "cmpl %eax, %ebx; je 1f; nop; 1: hlt");

static void
each_instruction_is_counted_once(void **state)
{
	static const struct {
		const uint8_t *code, *end;
		uint64_t retired;
	} cases[] = {
		{ t_line, t_line_end, 101 },
		{ t_loop, t_loop_end, 1 + 3 * 100000 + 1 },
		{ t_rep, t_rep_end, 5 },
		{ t_fault, t_fault_end, 2 + 1 },
		{ t_int, t_int_end, 2 + 1 },
		{ t_smc, t_smc_end, 3 },
		{ t_sti, t_sti_end, 5 },
		{ t_cmp, t_cmp_end, 3 },
	};
	struct machine *m = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int window = 0; window < 2; window++) {
			uint64_t was = engine_emulate.retired(m->cpu[0]);

			begin(m, 0);
			engine_emulate.want_window(m->cpu[0], window);
			load_at(m, CODE, cases[i].code, cases[i].end);
			go_on(m);
			while (m->exit.kind == EXIT_WINDOW) {
				engine_emulate.want_window(m->cpu[0], false);
				go_on(m);
			}
			assert_int_equal(m->exit.kind, EXIT_HALT);
			assert_int_equal(
			    engine_emulate.retired(m->cpu[0]) - was,
			    cases[i].retired);
		}
}

GUEST(t_ask,
    "nop; outb %al, $0x13; nop; nop; outb %al, $0x13; rdtsc\n"
    "nop; movl %eax, %ecx; rdtsc; subl %ecx, %eax; hlt");

static void
count_is_exact_in_the_middle_of_a_block(void **state)
{
	struct machine *m = *state;
	uint64_t was = engine_emulate.retired(m->cpu[0]);

	RUN(m, t_ask);
	assert_int_equal(m->nnotes, 2);
	assert_int_equal(m->note[0] - was, 1);
	assert_int_equal(m->note[1] - was, 4);
	assert_int_equal(m->state.gpr[CPU_RAX], 3);
}

GUEST(t_forever, "1: incq %rax; jmp 1b");
GUEST(t_kick, "outb %al, $0x12; 1: incq %rax; jmp 1b");

static void
run_stops_after_so_many_instructions(void **state)
{
	struct machine *m = *state;
	uint64_t stop = engine_emulate.retired(m->cpu[0]) + 1000003;

	engine_emulate.stop_at(m->cpu[0], stop);
	RUN(m, t_forever);
	assert_int_equal(m->exit.kind, EXIT_INTERRUPTED);
	assert_in_range(
	    engine_emulate.retired(m->cpu[0]), stop, stop + BLOCK_INSNS);
	assert_int_equal(m->state.gpr[CPU_RAX],
	    (engine_emulate.retired(m->cpu[0]) - stop + 1000003 + 1) / 2);
}

static void
kick_by_a_device_stops_behind_the_instruction(void **state)
{
	struct machine *m = *state;

	RUN(m, t_kick);
	assert_int_equal(m->exit.kind, EXIT_INTERRUPTED);
	assert_int_equal(m->state.rip, CODE + 2);
	assert_int_equal(m->state.gpr[CPU_RAX], 0);
}

/* ---- state ---- */

GUEST(c_mixed,
    "cmpl %ebx, %eax; pushfq; popq %r8; movl $0xc0000102, %ecx\n"
    "movl $5, %eax; xorl %edx, %edx; wrmsr; movl $0xc0000100, %ecx; wrmsr\n"
    "subl $6, %eax; outb %al, $0x12; sbbl %r9d, %r9d; hlt");

static void
state_is_taken_back_as_it_was_given(void **state)
{
	struct machine *m = *state;
	struct cpu_state was, is;

	RUN(m, c_mixed);
	assert_int_equal(m->exit.kind, EXIT_INTERRUPTED);
	was = m->state;
	assert_int_equal(was.msr[CPU_MSR_KERNEL_GS_BASE], 5);
	assert_int_equal(was.seg[CPU_FS].base, 5);
	assert_int_equal(engine_emulate.state_set(m->cpu[0], &was, NULL), 0);
	assert_int_equal(engine_emulate.state_get(m->cpu[0], &is, NULL), 0);
	assert_memory_equal(&was, &is, sizeof(is));
	go_on(m);
	assert_halted_by_itself(m);
	assert_int_equal(m->state.gpr[9], 0xffffffff); /* the carry lived on */
}

static void
registers_that_are_not_given_stay(void **state)
{
	struct machine *m = *state;

	RUN(m, c_mixed);
	begin(m, 0); /* gives EFER alone */
	RUN(m, g_straddling);
	assert_int_equal(m->state.msr[CPU_MSR_KERNEL_GS_BASE], 5);
}

/* ---- older modes ---- */

/* To 32-bit code and back, far calls and returns, PUSHA, ENTER, POP through
 * the stack pointer, wrapped addresses. */
GUEST(o_compat,
    "leaq 1f(%rip), %rax; movl %eax, (%rbx); movl $0x40, 4(%rbx)\n"
    "ljmpl *(%rbx)\n"
    ".code32\n"
    "1: movl $0x30000, %esp; pushl $0x11; pushl $0x22; popl 4(%esp)\n"
    "popl %ecx\n" /* 0x22 twice would be wrong: see below */
    "movl $0xffffffff, %eax; movl 0x30001(%eax), %edx\n"
    "movl $7, %eax; pushal; movl $0, %eax; popal\n"
    "pushl %cs; call 2f; lcall $0x40, $0x10200; hlt\n"
    "2: lret\n"
    ".org o_compat + 0x200\n"
    "movl $0x55, %esi; lret\n"
    ".code64\n");

static void
compatibility_mode_works(void **state)
{
	struct machine *m = *state;

	m->state.gpr[CPU_RBX] = DATA + 0x2000;
	put64(m, DATA, 0x99);
	put64(m, 0x30000 - 8, 0);
	RUN(m, o_compat);
	assert_halted_by_itself(m);
	/* POP [ESP + 4] takes ESP after the pop: the word above the pushes. */
	assert_int_equal(get64(m, 0x30000) & 0xffffffff, 0x22);
	assert_int_equal(m->state.gpr[CPU_RCX], 0x11);
	assert_int_equal(m->state.gpr[CPU_RDX], 0x22);
	assert_int_equal(m->state.gpr[CPU_RAX], 7);
	assert_int_equal(m->state.gpr[CPU_RSI], 0x55);
	assert_int_equal(m->state.gpr[CPU_RSP], 0x30000);
}

/* Real mode to protected mode, without paging and then with both kinds of
 * 32-bit paging; each writes what it finds at its linear 0x400000. */
GUEST_BITS(o_real, 16,
    "movw $0, %ax; movw %ax, %ds; movw %ax, %ss; movw $0x7000, %sp\n"
    "movw $0x1234, %ax; pushw %ax; popw %bx; movw %bx, %ax; outw %ax, $0x10\n"
    "movw $0x2000, %ax; movw %ax, %es; movb $0x77, %es:0x10\n"
    "movw $4, %bx; movb $3, %al; xlatb; outb %al, $0x10\n"
    "lgdtl 0x6f00; movl %cr0, %eax; orb $1, %al; movl %eax, %cr0\n"
    "ljmpl $0x40, $(1f - o_real + 0x10000)\n"
    ".code32\n"
    "1: movl $0x10, %eax; movl %eax, %ds; movl %eax, %ss; movl %eax, %es\n"
    "movl $0x7000, %esp; movzbl 0x20010, %eax; outl %eax, $0x10\n"
    "movl $0x10, %eax; movl %eax, %cr4; movl $0x300000, %eax\n"
    "movl %eax, %cr3; movl %cr0, %eax; orl $0x80000000, %eax\n"
    "movl %eax, %cr0; movzbl 0x420010, %eax; outl %eax, $0x10\n"
    "movl %cr0, %eax; andl $0x7fffffff, %eax; movl %eax, %cr0\n"
    "movl $0x30, %eax; movl %eax, %cr4; movl $0x301000, %eax\n"
    "movl %eax, %cr3; movl %cr0, %eax; orl $0x80000000, %eax\n"
    "movl %eax, %cr0; movzbl 0x420011, %eax; outl %eax, $0x10\n"
    "movl 0x80000000, %eax; hlt");

static void
older_modes_lead_to_each_other(void **state)
{
	static const uint64_t want[] = { 0x1234, 0x42, 0x77, 0x77, 0x78 };
	struct machine *m = *state;

	m->state.cr0 = CR0_ET;
	m->state.idt.limit = 0;
	m->state.cr4 = 0;
	m->state.msr[CPU_MSR_EFER] = 0;
	for (unsigned int s = CPU_ES; s <= CPU_GS; s++)
		m->state.seg[s] = segment(0, 0x93);
	m->state.seg[CPU_CS] = segment(0x1000, 0x9b);
	m->state.seg[CPU_CS].base = CODE;
	m->state.rip = 0;
	put64(m, 0x6f00, UINT64_C(0x7000) << 16 | 0x4f); /* GDT register */
	memset(memory_at(&m->memory, 7, 1), 0x42, 1);    /* for XLAT */
	memset(memory_at(&m->memory, 0x20011, 1), 0x78, 1);
	/* A large page each for 0 and for 4 MiB, of 32 bits and of PAE. */
	put64(m, 0x300000, UINT64_C(0x83) << 32 | 0x83);
	put64(m, 0x301000, 0x302001);
	put64(m, 0x302000, 0x83);
	put64(m, 0x302010, 0x83);
	RUN(m, o_real);
	assert_int_equal(m->nnotes, 5);
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(m->note[i], want[i]);
	/* Nothing is at 2 GiB, and no handler for that. */
	assert_int_equal(m->exit.kind, EXIT_SHUTDOWN);
	assert_int_equal(m->state.cr2, 0x80000000);
}

/* ---- devices in memory ---- */

GUEST(d_mmio,
    "movl 4(%rbx), %eax; movl %eax, 8(%rbx); addl $1, 16(%rbx)\n"
    "movq %rax, -4(%rbx); hlt");

static void
device_registers_are_accessed_once(void **state)
{
	struct machine *m = *state;

	map(m, DATA, MMIO | ALL);
	m->state.gpr[CPU_RBX] = DATA;
	RUN(m, d_mmio);
	assert_halted_by_itself(m);
	assert_int_equal(m->nnotes, 3);
	assert_int_equal(m->note[0], 0x54);
	assert_int_equal(m->note[1], 0x61);
	assert_int_equal(m->note[2], 0); /* the half that is the device's */
}

GUEST(d_ins, "movl $0x20, %edx; movl $3, %ecx; rep insb; hlt");

static void
port_is_not_read_for_a_page_that_is_not_there(void **state)
{
	struct machine *m = *state;

	map(m, DATA + 0x1000, 0);
	m->state.gpr[CPU_RDI] = DATA + 0xffe;
	RUN(m, d_ins);
	assert_int_equal(stopped_at(m), EXC_PF);
	assert_int_equal(m->state.gpr[CPU_RCX], 1);
	assert_int_equal(get64(m, DATA + 0xff8) >> 48, 0x2020);
}

/* ---- two CPUs ---- */

GUEST(p_call, "call *%rbx; call p_call + 0x20000; hlt");

static void
links_of_one_cpu_do_not_mislead_another(void **state)
{
	struct machine *m = *state;
	uint64_t other = other_tables(m, 0);
	uint64_t rax[2];

	load_at(m, DATA, g_five, g_five_end);
	load_at(m, DATA + 0x2000, g_six, g_six_end);
	load_at(m, CODE, p_call, p_call_end);
	m->state.gpr[CPU_RBX] = DATA;
	for (unsigned int round = 0; round < 4; round++)
		for (unsigned int i = 0; i < 2; i++) {
			struct cpu_state s = m->state;

			s.cr3 = i == 0 ? TABLES : other;
			assert_int_equal(
			    engine_emulate.state_set(m->cpu[i], &s, NULL), 0);
			engine_emulate.run(m->cpu[i], &m->exit);
			assert_int_equal(m->exit.kind, EXIT_HALT);
			assert_int_equal(
			    engine_emulate.state_get(m->cpu[i], &s, NULL), 0);
			rax[i] = s.gpr[CPU_RAX];
			assert_int_equal(rax[i], 5 + i);
		}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(page_faults_tell_their_cause),
		TEST(supervisor_writes_read_only_pages_without_wp),
		TEST(accessed_and_dirty_bits_are_set),
		TEST(refused_access_leaves_no_mark_on_the_page),
		TEST(page_made_read_only_is_written_until_invlpg_only),
		TEST(invlpg_forgets_the_whole_large_page),
		TEST(change_of_tables_keeps_global_pages_only),
		TEST(links_to_pages_that_are_not_global_end_with_their_tables),
		TEST(
		    descriptor_table_on_a_missing_page_faults_at_the_instruction),
		TEST(instructions_across_pages_begin_again_after_a_fault),
		TEST(fetch_across_pages_faults_at_the_second),
		TEST(changed_next_instruction_is_executed),
		TEST(changed_code_elsewhere_is_executed),
		TEST(code_written_by_a_device_is_executed),
		TEST(instruction_whose_pages_are_one_is_seen_to_change),
		TEST(call_that_overwrites_its_target_goes_to_the_new_code),
		TEST(page_table_bits_written_over_code_are_seen),
		TEST(exceptions_come_with_their_codes),
		TEST(missing_gate_is_a_fault_of_the_int_itself),
		TEST(fault_of_a_contributory_fault_is_double),
		TEST(fault_of_a_benign_exception_is_its_own),
		TEST(fault_of_a_double_fault_ends_the_machine),
		TEST(gate_names_its_stack),
		TEST(exception_of_a_program_comes_on_the_systems_stack),
		TEST(program_is_entered_and_left),
		TEST(interrupt_waits_for_the_window),
		TEST(window_of_one_instruction_is_found),
		TEST(interrupt_ends_a_halt),
		TEST(nmi_comes_once_until_iret),
		TEST(overlapping_moves_go_element_by_element),
		TEST(fill_goes_on_after_a_missing_page),
		TEST(fill_over_the_code_itself_is_seen),
		TEST(jump_behind_a_comparison_agrees_with_its_flags),
		TEST(comparison_before_a_jump_faults_at_itself),
		TEST(trace_flag_stops_behind_each_instruction),
		TEST(trace_flag_stops_behind_each_element),
		TEST(each_instruction_is_counted_once),
		TEST(count_is_exact_in_the_middle_of_a_block),
		TEST(run_stops_after_so_many_instructions),
		TEST(kick_by_a_device_stops_behind_the_instruction),
		TEST(state_is_taken_back_as_it_was_given),
		TEST(registers_that_are_not_given_stay),
		TEST(compatibility_mode_works),
		TEST(older_modes_lead_to_each_other),
		TEST(device_registers_are_accessed_once),
		TEST(port_is_not_read_for_a_page_that_is_not_there),
		cmocka_unit_test_setup_teardown(
		    links_of_one_cpu_do_not_mislead_another, setup_two,
		    teardown),
	};

	return cmocka_run_group_tests_name("emulate", tests, NULL, NULL);
}
