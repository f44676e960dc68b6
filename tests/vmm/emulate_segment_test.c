/*
 * The interpreter's segments outside 64-bit code: limits and rights; and the
 * ways between privileges that are not interrupts: call gates, SYSENTER.
 */
#include "vmm/emulate/engine_emulate.h"

#include "tests/vmm/emulate_machine.h"

#define GDT32   0x7800
#define IDT32   0xb000
#define SMALL   0x28 /* data at DATA, 256 bytes */
#define DOWN    0x30 /* the same, expand-down */
#define DOWN16  0x38 /* the same of 64 KiB */
#define READ    0x40 /* read-only */
#define EXECUTE 0x48 /* code, not to be read */
#define TSS_32  0x50
#define GATE    0x5b /* to INNER, two parameters, for programs */
#define SHORT   0x60 /* code at CODE, 32 bytes */
#define TASK    0x6b /* a task gate; behind it a task that is not busy */
#define INNER   (DATA + 0x2000)

static uint32_t
get32(const struct machine *m, uint64_t at)
{
	uint32_t value;

	memcpy(&value, memory_at(&m->memory, at, 4), 4);
	return value;
}

/* Of a handler of 32 bits. */
static uint32_t
frame32(const struct machine *m, unsigned int n)
{
	return get32(m, m->state.gpr[CPU_RSP] + 4 * n);
}

static struct cpu_seg
limited(uint16_t selector, uint32_t attributes, uint32_t limit)
{
	struct cpu_seg seg = segment(selector, attributes);

	seg.limit = limit;
	return seg;
}

/* Protected mode without paging, flat, at privilege cpl. */
static void
begin32(struct machine *m, unsigned int cpl)
{
	static const uint64_t gdt[] = { 0, 0x00cf9b000000ffff,
		0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff,
		0x00409303000000ff, 0x00409703000000ff, 0x00009703000000ff,
		0x004091030000ffff, 0x004099030000ffff, 0x00008b0060000067,
		0x0003ec0200082000, 0x00409b010000001f, 0x0000e50000480000,
		0x0000890060000067 };
	struct cpu_state *s = &m->state;

	begin(m, cpl);
	s->cr0 = CR0_PE | CR0_ET | CR0_NE;
	s->cr4 = 0;
	s->msr[CPU_MSR_EFER] = 0;
	for (unsigned int i = 0; i < sizeof(gdt) / 8; i++)
		put64(m, GDT32 + 8 * i, gdt[i]);
	for (uint64_t v = 0; v < 32; v++)
		put64(m, IDT32 + 8 * v,
		    (STUBS + 16 * v) | 0x08 << 16 | UINT64_C(0x8e00) << 32);
	put64(m, TSS + 4, UINT64_C(0x10) << 32 | RSP0);
	for (unsigned int i = CPU_ES; i <= CPU_GS; i++)
		s->seg[i] =
		    segment(cpl == 3 ? 0x23 : 0x10, 0xc093 | CPU_SEG_DPL(cpl));
	s->seg[CPU_CS] =
	    segment(cpl == 3 ? 0x1b : 0x08, 0xc09b | CPU_SEG_DPL(cpl));
	s->seg[CPU_TR] = limited(TSS_32, 0x8b, 0x67);
	s->seg[CPU_TR].base = TSS;
	s->gdt = (struct cpu_table){ GDT32, sizeof(gdt) - 1 };
	s->idt = (struct cpu_table){ IDT32, 0xff };
	s->gpr[CPU_RBX] = 0xfc;
}

#define C32(name, code) GUEST_BITS(name, 32, code)

C32(l_read, "movl $0x28, %eax; movl %eax, %ds; movl (%ebx), %eax; hlt");
C32(l_read_end1, "movl $0x28, %eax; movl %eax, %ds; movl 1(%ebx), %eax");
C32(l_byte, "movl $0x28, %eax; movl %eax, %ds; movb %al, 3(%ebx); hlt");
C32(l_byte_end1, "movl $0x28, %eax; movl %eax, %ds; movb %al, 4(%ebx)");
C32(l_rmw, "movl $0x28, %eax; movl %eax, %es; addw $1, %es:3(%ebx)");
C32(l_below, "movl $0x28, %eax; movl %eax, %ds; movl -0x200(%ebx), %eax");
C32(l_bound, "movl $0x28, %eax; movl %eax, %ds; bound %eax, -3(%ebx)");
C32(l_bit,
    "movl $0x28, %eax; movl %eax, %ds; movl $0x320, %ecx\n"
    "btl %ecx, 0x60(%ebx)");
C32(l_bit_in,
    "movl $0x28, %eax; movl %eax, %ds; movl $-0x320, %ecx\n"
    "btl %ecx, 0x60(%ebx); hlt");
C32(l_fs, "movl $0x28, %eax; movl %eax, %fs; movl %fs:1(%ebx), %eax");
C32(l_null, "xorl %eax, %eax; movl %eax, %ds; movl (%ebx), %eax");
C32(l_down, "movl $0x30, %eax; movl %eax, %ds; movl (%ebx), %eax");
C32(l_down_in,
    "movl $0x30, %eax; movl %eax, %ds; movl 4(%ebx), %eax\n"
    "movb 0x10000, %al; hlt");
C32(l_down16,
    "movl $0x38, %eax; movl %eax, %ds; movb 0xffff, %al\n"
    "movb 0x10000, %al");
C32(l_read_only,
    "movl $0x40, %eax; movl %eax, %ds; movl (%ebx), %eax\n"
    "movl %eax, (%ebx)");
C32(l_code_write, "movl %cs:(%ebx), %eax; movl %eax, %cs:(%ebx)");
C32(l_execute, "movl $0x48, %eax; movl %eax, %ds");
C32(l_string,
    "movl $0x28, %eax; movl %eax, %es; movl $0xf0, %edi\n"
    "movl $32, %ecx; rep stosb");
C32(l_string_in,
    "movl $0x28, %eax; movl %eax, %es; movl $0xf0, %edi\n"
    "movl $16, %ecx; rep stosb; hlt");
C32(l_push,
    "movl $0x28, %eax; movl %eax, %ss; movl $0x104, %esp\n"
    "popl %eax; hlt");
C32(l_push_in,
    "movl $0x28, %eax; movl %eax, %ss; movl $0x100, %esp\n"
    "pushl %eax; popl %eax; hlt");
C32(l_push_out,
    "movl $0x28, %eax; movl %eax, %ss; movl $0x103, %esp\n"
    "pushl %eax");
C32(l_base_bp,
    "movl $0x28, %eax; movl %eax, %ss; movl $0x200, %ebp\n"
    "movl (%ebp), %eax");
C32(l_hints,
    "movl $0x28, %eax; movl %eax, %ds; leal 0x200(%ebx), %eax\n"
    "prefetchnta 0x200(%ebx); nopl 0x200(%ebx); hlt");
C32(l_task_gate, "ljmp $0x6b, $0");
C32(l_task, "ljmp $0x70, $0");
C32(l_nt, "pushfl; orl $0x4000, (%esp); popfl; iretl");
C32(l_v86, "pushl $0x20002; pushl $0; pushl $0; iretl");

/* Where the fault is told to be, from CODE. */
static void
segments_end_where_their_descriptors_say(void **state)
{
#define CASE(name) name, name##_end
	static const struct {
		const uint8_t *code, *end;
		int vector; /* -1: it comes to its end */
		unsigned int at;
		uint32_t error;
	} cases[] = {
		{ CASE(l_read), -1, 0, 0 },
		{ CASE(l_read_end1), EXC_GP, 7, 0 },
		{ CASE(l_byte), -1, 0, 0 },
		{ CASE(l_byte_end1), EXC_GP, 7, 0 },
		{ CASE(l_rmw), EXC_GP, 7, 0 },
		{ CASE(l_below), EXC_GP, 7, 0 },
		{ CASE(l_bound), EXC_GP, 7, 0 },
		{ CASE(l_bit), EXC_GP, 12, 0 },
		{ CASE(l_bit_in), -1, 0, 0 },
		{ CASE(l_fs), EXC_GP, 7, 0 },
		{ CASE(l_null), EXC_GP, 4, 0 },
		{ CASE(l_down), EXC_GP, 7, 0 },
		{ CASE(l_down_in), -1, 0, 0 },
		{ CASE(l_down16), EXC_GP, 12, 0 },
		{ CASE(l_read_only), EXC_GP, 9, 0 },
		{ CASE(l_code_write), EXC_GP, 3, 0 },
		{ CASE(l_execute), EXC_GP, 5, 0x48 },
		{ CASE(l_string), EXC_GP, 17, 0 },
		{ CASE(l_string_in), -1, 0, 0 },
		{ CASE(l_push_in), -1, 0, 0 },
		{ CASE(l_hints), -1, 0, 0 },
		{ CASE(l_task_gate), EXC_UD, 0, 0 },
		{ CASE(l_task), EXC_UD, 0, 0 },
		{ CASE(l_nt), EXC_UD, 9, 0 },
		{ CASE(l_v86), EXC_UD, 9, 0 },
	};
	struct machine *m = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin32(m, 0);
		load_at(m, CODE, cases[i].code, cases[i].end);
		go_on(m);
		if (stopped_at(m) != cases[i].vector)
			fail_msg("case %u: %d at %lx", i, stopped_at(m),
			    (unsigned long)m->state.rip);
		if (cases[i].vector < 0) {
			assert_halted_by_itself(m);
			continue;
		}
		if (cases[i].vector == EXC_GP)
			assert_int_equal(frame32(m, 0), cases[i].error);
		assert_int_equal(
		    frame32(m, cases[i].vector == EXC_GP), CODE + cases[i].at);
	}
}

/* There the stack itself is what is wrong: no handler can be called. */
static void
stack_beyond_its_limit_is_no_stack(void **state)
{
	static const struct {
		const uint8_t *code, *end;
		uint64_t rip;
	} cases[] = {
		{ CASE(l_push), 12 },
		{ CASE(l_push_out), 12 },
		{ CASE(l_base_bp), 12 },
	};
	struct machine *m = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin32(m, 0);
		m->state.gpr[CPU_RSP] = 0x1000; /* of SMALL: not there */
		load_at(m, CODE, cases[i].code, cases[i].end);
		go_on(m);
		assert_int_equal(m->exit.kind, EXIT_SHUTDOWN);
		assert_int_equal(m->state.rip, CODE + cases[i].rip);
	}
}

C32(c_short,
    "ljmp $0x60, $12; hlt; .byte 0xcc, 0xcc, 0xcc, 0xcc\n"
    "1: nop; jmp 2f; .fill 16, 1, 0x90; 2: nop; nop; nop; nop; nop");
C32(c_cut,
    "ljmp $0x60, $0x1e; .fill 23, 1, 0x90\n"
    ".byte 0xb8, 0x01, 0x02, 0x03, 0x04");

static void
code_ends_at_its_limit(void **state)
{
	struct machine *m = *state;

	for (unsigned int i = 0; i < 2; i++) {
		begin32(m, 0);
		if (i == 0) {
			put64(m, GDT32 + SHORT, 0x00409b0100000017);
			RUN(m, c_short);
		} else
			RUN(m, c_cut);
		assert_int_equal(stopped_at(m), EXC_GP);
		assert_int_equal(frame32(m, 0), 0);
		/* The first byte that is not there; or the instruction that
		 * is not there as a whole. */
		assert_int_equal(frame32(m, 1), i == 0 ? 0x1f : 0x1e);
		assert_int_equal(frame32(m, 2), SHORT);
	}
}

static void
same_code_under_another_limit_is_looked_at_again(void **state)
{
	struct machine *m = *state;

	begin32(m, 0);
	put64(m, GDT32 + SHORT, 0x00409b01000000ff);
	memset(memory_at(&m->memory, CODE, 256), 0x90, 256);
	put64(m, CODE + 0x40, 0xf4);
	RUN(m, c_short);
	assert_halted_by_itself(m);
	begin32(m, 0);
	put64(m, GDT32 + SHORT, 0x00409b010000001f);
	go_on(m);
	assert_int_equal(stopped_at(m), EXC_GP);
	assert_int_equal(frame32(m, 1), 0x20);
}

GUEST_BITS(r_word, 16, "movw $0xffff, %bx; movb (%bx), %al; movw (%bx), %ax");
GUEST_BITS(r_big, 16, "movl $0x10000, %ebx; movb (%ebx), %al");

static void
real_mode_ends_at_64_kib(void **state)
{
	static const struct {
		const uint8_t *code, *end;
		unsigned int vector, at;
		uint32_t limit;
	} cases[] = {
		{ CASE(r_word), EXC_GP, 5, 0xffff },
		{ CASE(r_big), EXC_GP, 6, 0xffff },
		{ CASE(r_big), 0, 0, UINT32_MAX }, /* "unreal" */
	};
	struct machine *m = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(m, 0);
		m->state.cr0 = CR0_ET;
		m->state.cr4 = 0;
		m->state.msr[CPU_MSR_EFER] = 0;
		for (unsigned int s = CPU_ES; s <= CPU_GS; s++)
			m->state.seg[s] = limited(0, 0x93, cases[i].limit);
		m->state.seg[CPU_CS] = limited(0x1000, 0x9b, 0xffff);
		m->state.seg[CPU_CS].base = CODE;
		m->state.rip = 0;
		m->state.gpr[CPU_RSP] = 0x7000;
		m->state.idt = (struct cpu_table){ 0, 0x3ff };
		for (uint64_t v = 0; v < 32; v++) {
			uint32_t to = (uint32_t)(STUBS + 16 * v);

			memcpy(memory_at(&m->memory, 4 * v, 4), &to, 4);
		}
		load_at(m, CODE, cases[i].code, cases[i].end);
		put64(m, CODE + (uint64_t)(cases[i].end - cases[i].code), 0xf4);
		go_on(m);
		assert_int_equal(m->exit.kind, EXIT_HALT);
		if (cases[i].vector == 0)
			continue;
		assert_int_equal(
		    m->state.rip - 1, STUBS + 16 * (uint64_t)cases[i].vector);
		assert_int_equal(
		    get32(m, m->state.gpr[CPU_RSP]) & 0xffff, cases[i].at);
	}
}

/* ---- call gates ---- */

C32(g_call, "pushl $0x1111; pushl $0x2222; lcall $0x5b, $0; hlt");
C32(g_inner,
    "movl 8(%esp), %eax; outl %eax, $0x10\n"
    "movl 12(%esp), %eax; outl %eax, $0x10\n"
    "movl 20(%esp), %eax; outl %eax, $0x10; movl %cs, %eax\n"
    "outl %eax, $0x10; lretl $8");

static void
call_gate_leads_to_the_system_with_its_parameters(void **state)
{
	struct machine *m = *state;

	begin32(m, 3);
	load_at(m, INNER, g_inner, g_inner_end);
	RUN(m, g_call);
	/* HLT is not for programs; by then it was there and back. */
	assert_int_equal(stopped_at(m), EXC_GP);
	assert_int_equal(frame32(m, 1), CODE + (g_call_end - g_call) - 1);
	assert_int_equal(frame32(m, 2), 0x1b);
	assert_int_equal(frame32(m, 4), STACK); /* without its parameters */
	assert_int_equal(m->nnotes, 4);
	assert_int_equal(m->note[0], 0x2222);
	assert_int_equal(m->note[1], 0x1111);
	assert_int_equal(m->note[2], 0x23); /* its stack segment */
	assert_int_equal(m->note[3], 0x08);
}

static void
call_gates_are_checked(void **state)
{
	static const struct {
		uint64_t gate;
		int vector;
		uint32_t error;
	} cases[] = {
		{ 0x00038c0200082000, EXC_GP, 0x58 }, /* for the system */
		{ 0x00036c0200082000, EXC_NP, 0x58 }, /* not present */
		{ 0x0003ec0200002000, EXC_GP, 0 },    /* to nothing */
		{ 0x0003ec0200102000, EXC_GP, 0x10 }, /* to data */
		{ 0x0003ec0200782000, EXC_GP, 0x78 }, /* to no descriptor */
		{ 0x0003e20200082000, EXC_GP, 0x58 }, /* an LDT, no gate */
	};
	struct machine *m = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin32(m, 3);
		put64(m, GDT32 + (GATE & ~7), cases[i].gate);
		RUN(m, g_call);
		assert_int_equal(stopped_at(m), cases[i].vector);
		assert_int_equal(frame32(m, 0), cases[i].error);
		assert_int_equal(frame32(m, 1), CODE + 10);
	}
}

C32(g_jump, "ljmp $0x58, $0");
C32(g_target, "movl %cs, %eax; hlt");

static void
jump_through_a_gate_keeps_privilege_and_stack(void **state)
{
	struct machine *m = *state;

	begin32(m, 0);
	load_at(m, INNER, g_target, g_target_end);
	RUN(m, g_jump);
	assert_halted_by_itself(m);
	assert_int_equal(m->state.gpr[CPU_RAX], 0x08);
	assert_int_equal(m->state.gpr[CPU_RSP], STACK);
	begin32(m, 3); /* JMP cannot go to an inner privilege */
	RUN(m, g_jump);
	assert_int_equal(stopped_at(m), EXC_GP);
	assert_int_equal(frame32(m, 0), 0x08);
}

GUEST(g_call64, "lcall *(%rbx); hlt");
GUEST(g_inner64, "movq 24(%rsp), %rax; movl %ss, %ecx; movl %cs, %edx; lretq");

static void
call_gate_of_64_bits_leads_to_the_system(void **state)
{
	struct machine *m = *state;

	begin(m, 3);
	put64(m, GDT + 0x50, UINT64_C(0x0003ec0000082000));
	put64(m, GDT + 0x58, 0);
	m->state.gdt.limit = 0x5f;
	put64(m, DATA + 4, 0x53);
	m->state.gpr[CPU_RBX] = DATA;
	load_at(m, INNER, g_inner64, g_inner64_end);
	RUN(m, g_call64);
	assert_int_equal(stopped_at(m), EXC_GP);
	assert_int_equal(frame(m, 1), CODE + (g_call64_end - g_call64) - 1);
	assert_int_equal(frame(m, 4), STACK);
	assert_int_equal(m->state.gpr[CPU_RAX], USER_DS);
	assert_int_equal(m->state.gpr[CPU_RCX], 0);
	assert_int_equal(m->state.gpr[CPU_RDX], CS64);
	/* Its second half has to be one. */
	begin(m, 3);
	put64(m, GDT + 0x58, UINT64_C(0x00000c0000000000));
	m->state.gdt.limit = 0x5f;
	m->state.gpr[CPU_RBX] = DATA;
	go_on(m);
	assert_int_equal(stopped_at(m), EXC_GP);
	assert_int_equal(frame(m, 0), 0x50);
}

/* ---- SYSENTER, SYSEXIT ---- */

GUEST(s_enter, "sysenter");
GUEST(s_system,
    "movl %cs, %eax; movl %ss, %ebx; movq %rsp, %rdi\n"
    "movq $0x30000, %rdx; movq $0x27000, %rcx; rex.w sysexit");
GUEST(s_exit, "rex.w sysexit");
GUEST(s_back, "movl %cs, %r8d; movl %ss, %r9d; movq %rsp, %r10; hlt");

static void
with_sysenter(struct machine *m, uint64_t cs)
{
	begin(m, 3);
	m->state.rflags = 0x202;
	m->state.msr_valid |= 1u << CPU_MSR_SYSENTER_CS |
	    1u << CPU_MSR_SYSENTER_ESP | 1u << CPU_MSR_SYSENTER_EIP;
	m->state.msr[CPU_MSR_SYSENTER_CS] = cs;
	m->state.msr[CPU_MSR_SYSENTER_ESP] = 0x26000;
	m->state.msr[CPU_MSR_SYSENTER_EIP] = INNER;
}

static void
sysenter_and_sysexit_lead_in_and_out(void **state)
{
	struct machine *m = *state;

	with_sysenter(m, CS64);
	load_at(m, INNER, s_system, s_system_end);
	load_at(m, DATA, s_back, s_back_end);
	RUN(m, s_enter);
	assert_int_equal(stopped_at(m), EXC_GP); /* the program's HLT */
	assert_int_equal(m->state.gpr[CPU_RAX], CS64);
	assert_int_equal(m->state.gpr[CPU_RBX], CS64 + 8);
	assert_int_equal(m->state.gpr[CPU_RDI], 0x26000);
	assert_int_equal(m->state.gpr[8], (CS64 + 32) | 3);
	assert_int_equal(m->state.gpr[9], (CS64 + 40) | 3);
	assert_int_equal(m->state.gpr[10], 0x27000);
	with_sysenter(m, 0);
	RUN(m, s_enter);
	assert_int_equal(stopped_at(m), EXC_GP);
	assert_int_equal(frame(m, 1), CODE);
	begin(m, 3);
	RUN(m, s_exit); /* for the system */
	assert_int_equal(stopped_at(m), EXC_GP);
	assert_int_equal(frame(m, 1), CODE);
}

/* ---- single instructions ---- */

C32(i_arpl, "arpl %cx, %dx; setz %al; arpl %cx, (%ebx); setz %ah; hlt");

static void
arpl_lowers_privileges_only(void **state)
{
	struct machine *m = *state;

	begin32(m, 0);
	m->state.gpr[CPU_RCX] = 0x12342;
	m->state.gpr[CPU_RDX] = 0x56781;
	m->state.gpr[CPU_RBX] = DATA;
	put64(m, DATA, 0xfff3);
	RUN(m, i_arpl);
	assert_halted_by_itself(m);
	assert_int_equal(m->state.gpr[CPU_RDX], 0x56782);
	assert_int_equal(m->state.gpr[CPU_RAX] & 0xffff, 0x0001);
	assert_int_equal(get64(m, DATA), 0xfff3);
}

C32(i_bound, "bound %eax, (%ebx); hlt");
C32(i_aam, "aam $0");
GUEST(i_vmcall, "vmcall; movq %rax, %rcx; vmmcall; hlt");
GUEST(i_rdpmc, "rdpmc");

static void
single_instructions_refuse_by_their_own_exceptions(void **state)
{
	struct machine *m = *state;

	begin32(m, 0);
	m->state.gpr[CPU_RBX] = DATA;
	m->state.gpr[CPU_RAX] = 5;
	put64(m, DATA, UINT64_C(4) << 32 | 1);
	RUN(m, i_bound);
	assert_int_equal(stopped_at(m), EXC_BR);
	assert_int_equal(frame32(m, 0), CODE);
	begin32(m, 0);
	RUN(m, i_aam);
	assert_int_equal(stopped_at(m), EXC_DE);
	begin(m, 0);
	RUN(m, i_rdpmc);
	assert_int_equal(stopped_at(m), EXC_GP);
	begin(m, 0);
	RUN(m, i_vmcall);
	assert_halted_by_itself(m);
	assert_int_equal(m->state.gpr[CPU_RAX], (uint64_t)-1000);
	assert_int_equal(m->state.gpr[CPU_RCX], (uint64_t)-1000);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(segments_end_where_their_descriptors_say),
		T(stack_beyond_its_limit_is_no_stack),
		T(code_ends_at_its_limit),
		T(same_code_under_another_limit_is_looked_at_again),
		T(real_mode_ends_at_64_kib),
		T(call_gate_leads_to_the_system_with_its_parameters),
		T(call_gates_are_checked),
		T(jump_through_a_gate_keeps_privilege_and_stack),
		T(call_gate_of_64_bits_leads_to_the_system),
		T(sysenter_and_sysexit_lead_in_and_out),
		T(arpl_lowers_privileges_only),
		T(single_instructions_refuse_by_their_own_exceptions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
