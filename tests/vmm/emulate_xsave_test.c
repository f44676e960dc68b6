/*
 * XSAVE and its kin, which only a CPU has that comes from elsewhere with them on.
 */
#include "vmm/emulate/engine_emulate.h"

#include "tests/vmm/emulate_machine.h"
#include "vmm/emulate/fpu.h"

#define AREA      DATA
#define XSTATE_BV (AREA + 512)
#define XCOMP_BV  (AREA + 520)

static int
setup_on(void **state)
{
	int r = setup(state);
	struct machine *m = *state;

	m->state.cr4 |= CR4_OSXSAVE;
	m->state.xcr0 = XSAVE_KNOWN;
	m->state.gpr[CPU_RBX] = AREA;
	return r;
}

/* From a halt. */
static void
again(struct machine *m)
{
	m->state.rip = CODE;
	m->state.run = CPU_RUNNING;
}

GUEST(x_round,
    "movl $42, %eax; movd %eax, %xmm9; fninit; fld1; fldz\n"
    "orl $-1, %eax; orl $-1, %edx; xsave64 (%rbx)\n"
    "pxor %xmm9, %xmm9; fninit\n"
    "movl $3, %eax; xorl %edx, %edx; xrstor64 (%rbx)\n"
    "movd %xmm9, %ecx; fnstsw 576(%rbx); hlt");

static void
what_is_saved_comes_back(void **state)
{
	struct machine *m = *state;

	put64(m, XSTATE_BV, 0);
	RUN(m, x_round);
	assert_halted_by_itself(m);
	assert_int_equal(get64(m, XSTATE_BV), 3);
	assert_int_equal(m->state.gpr[CPU_RCX], 42);
	assert_int_equal(get64(m, AREA + 576) & 0xffff, 0x3000);
	assert_int_equal(get64(m, AREA + FX_XMM + 16 * 9), 42);
}

GUEST(x_save_x87,
    "movl $42, %eax; movd %eax, %xmm0; fninit; fld1\n"
    "movl $1, %eax; xsave (%rbx); hlt");

/* What is not asked for, and the rest of the header, stays as it was. */
static void
only_what_is_asked_for_is_written(void **state)
{
	struct machine *m = *state;

	for (unsigned int i = 0; i < 576; i += 8)
		put64(m, AREA + i, UINT64_C(0x5a5a5a5a5a5a5a5a));
	RUN(m, x_save_x87);
	assert_halted_by_itself(m);
	assert_int_equal(get64(m, AREA) & 0xffff, FCW_RESET);
	assert_int_equal(get64(m, AREA + FX_MXCSR), 0x5a5a5a5a5a5a5a5a);
	assert_int_equal(get64(m, AREA + FX_ST), UINT64_C(1) << 63);
	assert_int_equal(get64(m, AREA + FX_XMM), 0x5a5a5a5a5a5a5a5a);
	assert_int_equal(get64(m, AREA + FX_END), 0x5a5a5a5a5a5a5a5a);
	assert_int_equal(get64(m, XSTATE_BV), 0x5a5a5a5a5a5a5a5b);
	assert_int_equal(get64(m, XCOMP_BV), 0x5a5a5a5a5a5a5a5a);
}

GUEST(x_init,
    "movl $42, %eax; movd %eax, %xmm0; movd %eax, %xmm1; fninit; fld1\n"
    "movl $3, %eax; xrstor (%rbx); movd %xmm1, %ecx\n"
    "fnstsw 576(%rbx); stmxcsr 580(%rbx); hlt");

static void
what_is_not_there_becomes_initial(void **state)
{
	struct machine *m = *state;

	put64(m, XSTATE_BV, 0);
	put64(m, AREA + FX_MXCSR, 0x1f00);
	RUN(m, x_init);
	assert_halted_by_itself(m);
	assert_int_equal(m->state.gpr[CPU_RCX], 0);
	/* The top of the stack, and MXCSR, which is taken all the same. */
	assert_int_equal(get64(m, AREA + 576), UINT64_C(0x1f0000000000));
}

GUEST(x_save, "movl $3, %eax; xorl %edx, %edx; xsave (%rbx); hlt");
GUEST(x_restore, "movl $3, %eax; xorl %edx, %edx; xrstor (%rbx); hlt");
GUEST(x_save_all, "orl $-1, %eax; orl $-1, %edx; xsave (%rbx); hlt");
GUEST(x_get, "xgetbv; hlt");
GUEST(x_set, "xsetbv; hlt");

static void
what_cannot_be_is_refused(void **state)
{
	static const struct {
		const uint8_t *code, *end;
		uint64_t base, bv, comp, mxcsr, rax, rcx, xcr0;
		int vector;
	} cases[] = {
#define C(name) name, name##_end
		{ C(x_save), AREA, 0, 0, 0, 0, 0, 3, -1 },
		{ C(x_save), AREA + 16, 0, 0, 0, 0, 0, 3, EXC_GP },
		{ C(x_restore), AREA, 3, 0, 0x1f80, 0, 0, 3, -1 },
		{ C(x_restore), AREA + 32, 3, 0, 0x1f80, 0, 0, 3, EXC_GP },
		{ C(x_restore), AREA, 4, 0, 0x1f80, 0, 0, 3, EXC_GP },
		{ C(x_restore), AREA, 3, 1, 0x1f80, 0, 0, 3, EXC_GP },
		{ C(x_restore), AREA, 3, UINT64_C(1) << 63, 0x1f80, 0, 0, 3,
		    EXC_GP },
		{ C(x_restore), AREA, 3, 0, 0x11f80, 0, 0, 3, EXC_GP },
		/* AVX is on, and is asked for, or not. */
		{ C(x_save_all), AREA, 0, 0, 0, 0, 0, 7, EXC_UD },
		{ C(x_save), AREA, 0, 0, 0, 0, 0, 7, -1 },
		{ C(x_get), AREA, 0, 0, 0, 0, 0, 3, -1 },
		{ C(x_get), AREA, 0, 0, 0, 0, 1, 3, EXC_GP },
		{ C(x_set), AREA, 0, 0, 0, 1, 0, 3, -1 },
		{ C(x_set), AREA, 0, 0, 0, 2, 0, 3, EXC_GP },
		{ C(x_set), AREA, 0, 0, 0, 7, 0, 3, EXC_UD },
		{ C(x_set), AREA, 0, 0, 0, 1, 1, 3, EXC_GP },
	};
	struct machine *m = *state;
	const struct cpu_state before = m->state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		m->state = before;
		m->state.gpr[CPU_RBX] = cases[i].base;
		m->state.gpr[CPU_RAX] = cases[i].rax;
		m->state.gpr[CPU_RCX] = cases[i].rcx;
		m->state.xcr0 = cases[i].xcr0;
		for (unsigned int at = 0; at < 640; at += 8)
			put64(m, AREA + at, 0);
		put64(m, AREA + FX_MXCSR, cases[i].mxcsr);
		put64(m, XSTATE_BV, cases[i].bv);
		put64(m, XCOMP_BV, cases[i].comp);
		load_at(m, CODE, cases[i].code, cases[i].end);
		go_on(m);
		if (m->exit.kind != EXIT_HALT ||
		    stopped_at(m) != cases[i].vector)
			fail_msg("case %u: exit %d, vector %d", (unsigned int)i,
			    (int)m->exit.kind, stopped_at(m));
	}
}

static void
xcr0_is_read_and_set(void **state)
{
	struct machine *m = *state;

	m->state.gpr[CPU_RDX] = 5;
	RUN(m, x_get);
	assert_int_equal(m->state.gpr[CPU_RAX], 3);
	assert_int_equal(m->state.gpr[CPU_RDX], 0);
	again(m);
	m->state.gpr[CPU_RAX] = 1;
	RUN(m, x_set);
	assert_halted_by_itself(m);
	assert_int_equal(m->state.xcr0, 1);
}

GUEST(x_turn_on, "movq %cr4, %rax; orl $0x40000, %eax; movq %rax, %cr4; hlt");

static void
who_has_them_off_cannot_turn_them_on(void **state)
{
	struct machine *m = *state;

	RUN(m, x_turn_on);
	assert_halted_by_itself(m);
	again(m);
	m->state.cr4 &= ~(uint64_t)CR4_OSXSAVE;
	go_on(m);
	assert_int_equal(stopped_at(m), EXC_GP);
	again(m);
	m->state.gpr[CPU_RBX] = AREA;
	RUN(m, x_save);
	assert_int_equal(stopped_at(m), EXC_UD);
}

GUEST(x_task, "xsave (%rbx); hlt");

static void
a_switched_task_is_asked_for_first(void **state)
{
	struct machine *m = *state;

	m->state.cr0 |= CR0_TS;
	RUN(m, x_task);
	assert_int_equal(stopped_at(m), EXC_NM);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup_on, teardown)
		T(what_is_saved_comes_back),
		T(only_what_is_asked_for_is_written),
		T(what_is_not_there_becomes_initial),
		T(what_cannot_be_is_refused),
		T(xcr0_is_read_and_set),
		T(who_has_them_off_cannot_turn_them_on),
		T(a_switched_task_is_asked_for_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
