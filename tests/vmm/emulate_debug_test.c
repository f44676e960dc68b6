/*
 * The interpreter's debug registers: breakpoints, watchpoints, the resume flag.
 */
#include "vmm/emulate/engine_emulate.h"

#include "tests/vmm/emulate_machine.h"

#define HANDLER (DATA + 0x3000)

#define DR7_BREAK(n) (UINT64_C(2) << 2 * (n))
/* kind: 1 writes, 2 ports, 3 reads and writes; bytes: 1, 2, 4, 8 */
#define DR7_WATCH(n, kind, bytes)                            \
	(DR7_BREAK(n) | (uint64_t)(kind) << (16 + 4 * (n)) | \
	    (uint64_t)((bytes) == 8 ? 2 : (bytes)-1) << (18 + 4 * (n)))

/* Notes where it was called and why; a fault is resumed. */
GUEST(h_debug,
    "pushq %rax; movq 8(%rsp), %rax; outl %eax, $0x10\n"
    "movq %dr6, %rax; andl $0xe00f, %eax; outl %eax, $0x10\n"
    "movq 24(%rsp), %rax; andl $0x10000, %eax; outl %eax, $0x10\n"
    "orl $0x10000, 24(%rsp); popq %rax; iretq");

static void
with_handler(struct machine *m)
{
	load_at(m, HANDLER, h_debug, h_debug_end);
	gate(m, EXC_DB, HANDLER, INTERRUPT_GATE);
}

GUEST(d_loop, "movl $3, %ecx; 1: incl %eax; nop; decl %ecx; jnz 1b; hlt");

static void
breakpoint_comes_before_its_instruction_each_time(void **state)
{
	struct machine *m = *state;

	with_handler(m);
	m->state.dr[2] = CODE + 7; /* the NOP */
	m->state.dr7 = DR7_ALWAYS | DR7_BREAK(2);
	RUN(m, d_loop);
	assert_halted_by_itself(m);
	assert_int_equal(m->state.gpr[CPU_RAX], 3);
	assert_int_equal(m->nnotes, 9);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(m->note[3 * i], CODE + 7);
		assert_int_equal(m->note[3 * i + 1], 4);
		assert_int_equal(m->note[3 * i + 2], 0); /* no RF */
	}
}

static void
breakpoint_that_is_off_is_none(void **state)
{
	struct machine *m = *state;

	m->state.dr[2] = CODE + 7;
	m->state.dr7 = DR7_ALWAYS;
	RUN(m, d_loop);
	assert_halted_by_itself(m);
	/* ... and blocks that ran without it do not run past it. */
	begin(m, 0);
	m->state.dr[2] = CODE + 7;
	m->state.dr7 = DR7_ALWAYS | DR7_BREAK(2);
	go_on(m);
	assert_int_equal(stopped_at(m), EXC_DB);
	assert_int_equal(frame(m, 0), CODE + 7);
	assert_int_equal(m->state.gpr[CPU_RAX], 1);
}

GUEST(d_touch,
    "movl (%rbx), %eax; movb %al, 7(%rbx); movw %ax, 3(%rbx)\n"
    "movq %rax, -4(%rbx); movb 4(%rbx), %al; hlt");

static void
watchpoints_see_what_they_are_for(void **state)
{
	/* lengths of the instructions: 2, 3, 4, 4, 3 */
	static const struct {
		uint64_t dr7;
		unsigned int offset;
		uint64_t after[5]; /* offsets of the code where #DB comes */
	} cases[] = {
		{ DR7_WATCH(1, 3, 4), 0, { 2, 9, 13 } },
		{ DR7_WATCH(1, 1, 4), 0, { 9, 13 } },
		{ DR7_WATCH(1, 1, 1), 7, { 5 } },
		{ DR7_WATCH(1, 1, 2), 6, { 5 } },
		{ DR7_WATCH(1, 3, 8), 0, { 2, 5, 9, 13, 16 } },
		{ DR7_WATCH(1, 3, 1), 8, { 0 } },
		{ DR7_WATCH(1, 3, 4), 2, { 2, 9, 13 } }, /* cut to 0 */
	};
	struct machine *m = *state;

	with_handler(m);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned int n = 0;

		begin(m, 0);
		m->state.gpr[CPU_RBX] = DATA + 0x100;
		m->state.dr[1] = DATA + 0x100 + cases[i].offset;
		m->state.dr7 = DR7_ALWAYS | cases[i].dr7;
		RUN(m, d_touch);
		assert_halted_by_itself(m);
		for (; n < 5 && cases[i].after[n] != 0; n++) {
			assert_int_equal(
			    m->note[3 * n], CODE + cases[i].after[n]);
			assert_int_equal(m->note[3 * n + 1], 2);
		}
		assert_int_equal(m->nnotes, 3 * n);
	}
}

GUEST(
    d_fill, "movl $0x30100, %edi; movl $8, %ecx; movb $7, %al; rep stosb; hlt");

static void
watchpoint_stops_a_repeated_instruction_behind_the_element(void **state)
{
	struct machine *m = *state;

	m->state.dr[0] = DATA + 0x102;
	m->state.dr7 = DR7_ALWAYS | DR7_WATCH(0, 1, 1);
	RUN(m, d_fill);
	assert_int_equal(stopped_at(m), EXC_DB);
	assert_int_equal(m->state.gpr[CPU_RCX], 5);
	assert_int_equal(frame(m, 0), CODE + 12); /* it is not finished */
	assert_int_equal(m->state.dr6 & 0xe00f, 1);
}

static void
refused_access_is_not_seen(void **state)
{
	struct machine *m = *state;

	map(m, DATA, DATA | PRESENT | USER);
	m->state.gpr[CPU_RBX] = DATA + 0x100;
	m->state.dr[1] = DATA + 0x107;
	m->state.dr7 = DR7_ALWAYS | DR7_WATCH(1, 1, 1);
	RUN(m, d_touch);
	assert_int_equal(stopped_at(m), EXC_PF);
	assert_int_equal(m->state.dr6, DR6_ALWAYS);
}

GUEST(d_port, "outb %al, $0x14; inw $0x15, %ax; inb $0x20, %al; hlt");

static void
ports_are_watched_with_debug_extensions_only(void **state)
{
	struct machine *m = *state;

	for (unsigned int on = 0; on < 2; on++) {
		begin(m, 0);
		with_handler(m);
		m->state.cr4 |= on ? CR4_DE : 0;
		m->state.dr[3] = 0x16;
		m->state.dr7 = DR7_ALWAYS | DR7_WATCH(3, 2, 1);
		RUN(m, d_port);
		assert_halted_by_itself(m);
		assert_int_equal(m->nnotes, on ? 3 : 0);
		if (!on)
			continue;
		assert_int_equal(m->note[0], CODE + 5);
		assert_int_equal(m->note[1], 8);
	}
}

GUEST(d_protected, "movq %rax, %dr0; hlt");

static void
general_detection_protects_the_registers_once(void **state)
{
	struct machine *m = *state;

	m->state.dr7 = DR7_ALWAYS | DR7_GD;
	RUN(m, d_protected);
	assert_int_equal(stopped_at(m), EXC_DB);
	assert_int_equal(frame(m, 0), CODE);
	assert_int_equal(m->state.dr6 & 0xe00f, DR6_BD);
	assert_int_equal(m->state.dr7, DR7_ALWAYS); /* for its handler */
}

GUEST(d_dr4, "movq %dr4, %rax; hlt");
GUEST(d_dr7_high, "movq %rax, %dr7; hlt");

static void
registers_that_are_none_are_refused(void **state)
{
	struct machine *m = *state;

	m->state.dr6 = DR6_ALWAYS | 5;
	RUN(m, d_dr4);
	assert_halted_by_itself(m);
	assert_int_equal(m->state.gpr[CPU_RAX], DR6_ALWAYS | 5);
	begin(m, 0);
	m->state.cr4 |= CR4_DE;
	RUN(m, d_dr4);
	assert_int_equal(stopped_at(m), EXC_UD);
	begin(m, 0);
	m->state.gpr[CPU_RAX] = UINT64_C(1) << 32;
	RUN(m, d_dr7_high);
	assert_int_equal(stopped_at(m), EXC_GP);
	begin(m, 3);
	RUN(m, d_dr4);
	assert_int_equal(stopped_at(m), EXC_GP);
}

GUEST(d_ss_int, "movw (%rbx), %ss; int $0x41; nop; hlt");
GUEST(d_ss_nop, "movw (%rbx), %ss; nop; hlt");

static void
load_of_ss_holds_debug_exceptions_back(void **state)
{
	struct machine *m = *state;

	with_handler(m);
	m->state.gpr[CPU_RBX] = DATA;
	put64(m, DATA, DS);
	m->state.dr[0] = DATA;
	m->state.dr7 = DR7_ALWAYS | DR7_WATCH(0, 3, 2);
	RUN(m, d_ss_nop);
	assert_int_equal(m->nnotes, 3);
	assert_int_equal(m->note[0], CODE + 3);
	begin(m, 0);
	m->state.gpr[CPU_RBX] = DATA;
	m->state.dr[0] = DATA;
	m->state.dr7 = DR7_ALWAYS | DR7_WATCH(0, 3, 2);
	RUN(m, d_ss_int);
	/* At the first instruction of the INT's handler. */
	assert_int_equal(stopped_at(m), 0x41);
	assert_int_equal(m->nnotes, 3);
	assert_int_equal(m->note[0], STUBS + 16 * 0x41);
}

GUEST(d_gp, "movq %rax, %cr8; hlt");
GUEST(d_ud, "ud2");
GUEST(d_bp, "int3");
GUEST(d_read, "movl (%rbx), %eax; hlt");

static void
faults_and_nothing_else_ask_to_be_resumed(void **state)
{
	static const struct {
		const uint8_t *code, *end;
		int vector;
		unsigned int flags_at; /* in the frame */
		uint64_t rf;
	} cases[] = {
		{ d_gp, d_gp_end, EXC_GP, 3, FLAG_RF },
		{ d_ud, d_ud_end, EXC_UD, 2, FLAG_RF },
		{ d_read, d_read_end, EXC_PF, 3, FLAG_RF },
		{ d_bp, d_bp_end, EXC_BP, 2, 0 },
	};
	struct machine *m = *state;

	map(m, DATA, 0);
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(m, 0);
		m->state.gpr[CPU_RBX] = DATA;
		m->state.gpr[CPU_RAX] = 16;
		load_at(m, CODE, cases[i].code, cases[i].end);
		go_on(m);
		assert_int_equal(stopped_at(m), cases[i].vector);
		assert_int_equal(
		    frame(m, cases[i].flags_at) & FLAG_RF, cases[i].rf);
		assert_int_equal(m->state.rflags & FLAG_RF, 0);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(breakpoint_comes_before_its_instruction_each_time),
		T(breakpoint_that_is_off_is_none),
		T(watchpoints_see_what_they_are_for),
		T(watchpoint_stops_a_repeated_instruction_behind_the_element),
		T(refused_access_is_not_seen),
		T(ports_are_watched_with_debug_extensions_only),
		T(general_detection_protects_the_registers_once),
		T(registers_that_are_none_are_refused),
		T(load_of_ss_holds_debug_exceptions_back),
		T(faults_and_nothing_else_ask_to_be_resumed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
