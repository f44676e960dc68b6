/*
 * x87, MMX and SSE of the interpreter against the processor it runs on.
 *
 * All encodings of the opcode maps that the interpreter knows are found by
 * trying, and each is executed with random registers, control words and memory
 * by both: the processor runs the same bytes between FXRSTOR and FXSAVE.  Both
 * see the same pages at the same address, some of them read-only or absent.
 * What the processor refuses by a signal, the interpreter must refuse by the
 * same exception, and with the same state left behind.
 *
 * FPU_TEST_ROUNDS (environment) multiplies the cases.
 */
#include "vmm/emulate/fpu.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <cmocka.h>

#include <Zydis/Zydis.h>

#define DATA       UINT64_C(0x20000000) /* in both worlds */
#define DATA_PAGES 5
#define NO_PAGE    2 /* of them this one is absent */
#define RO_PAGE    4 /* and this one read-only */
#define DATA_PHYS  UINT64_C(0x10000)
#define TABLES     UINT64_C(0x100000)
#define GUEST_RAM  (UINT64_C(2) << 20)
#define CODE_RIP   UINT64_C(0x30000000)
#define NO_FAULT   (-1)
#define PAGE       4096u

/* What an instruction may change, but memory. */
struct state {
	_Alignas(16) uint8_t fx[FX_BYTES];
	uint64_t gpr[16];
	uint64_t flags;
	uint32_t mxcsr_usual;
	int32_t fault;
};

struct world {
	struct memory memory;
	struct engine_io io;
	struct emu_vm vm;
	struct emu_cpu *cpu;
	struct block *block;
	uint8_t *native_data, *guest_data;
	ZydisDecoder decoder;
	uint64_t random;
	uintptr_t depth; /* of stop() behind an operation without a frame */
	unsigned long cases, forms, faults;
};

/* ---- the processor ---- */

/* void native(struct state *): all registers but RSP from and to it. */
__asm__(
    ".pushsection .rodata\n"
    "native_begin:\n"
    "	push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "	push %rdi\n"
    "	fxrstor (%rdi)\n"
    "	push 640(%rdi); popfq\n"
    "	mov 512(%rdi), %rax; mov 520(%rdi), %rcx\n"
    "	mov 528(%rdi), %rdx; mov 536(%rdi), %rbx\n"
    "	mov 552(%rdi), %rbp; mov 560(%rdi), %rsi\n"
    "	mov 576(%rdi), %r8; mov 584(%rdi), %r9\n"
    "	mov 592(%rdi), %r10; mov 600(%rdi), %r11\n"
    "	mov 608(%rdi), %r12; mov 616(%rdi), %r13\n"
    "	mov 624(%rdi), %r14; mov 632(%rdi), %r15\n"
    "	mov 568(%rdi), %rdi\n"
    "native_hole:\n"
    "	.fill 16, 1, 0x90\n"
    "native_after:\n"
    "	xchg %rdi, (%rsp)\n"
    "	mov %rax, 512(%rdi); mov %rcx, 520(%rdi)\n"
    "	mov %rdx, 528(%rdi); mov %rbx, 536(%rdi)\n"
    "	mov %rbp, 552(%rdi); mov %rsi, 560(%rdi)\n"
    "	mov %r8, 576(%rdi); mov %r9, 584(%rdi)\n"
    "	mov %r10, 592(%rdi); mov %r11, 600(%rdi)\n"
    "	mov %r12, 608(%rdi); mov %r13, 616(%rdi)\n"
    "	mov %r14, 624(%rdi); mov %r15, 632(%rdi)\n"
    "	pushfq; pop 640(%rdi)\n"
    "	pop 568(%rdi)\n"
    "	fxsave (%rdi)\n"
    "	fninit; ldmxcsr 648(%rdi); cld\n"
    "	pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "	ret\n"
    "native_end:\n"
    "	.popsection\n");
extern const uint8_t native_begin[], native_hole[], native_after[],
    native_end[];
_Static_assert(offsetof(struct state, gpr) == 512, "the code above knows it");
_Static_assert(offsetof(struct state, flags) == 640, "and this");
_Static_assert(offsetof(struct state, mxcsr_usual) == 648, "and this");

static uint8_t *native_code;
static volatile int native_fault;

/* The instruction is left out, what it has done by then stays. */
static void
on_signal(int signal, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	greg_t *rip = &u->uc_mcontext.gregs[REG_RIP];
	uint8_t *at = native_code + (native_hole - native_begin);

	(void)info;
	if (*rip < (greg_t)(uintptr_t)at || *rip > (greg_t)(uintptr_t)at + 15)
		abort();
	native_fault = (int)u->uc_mcontext.gregs[REG_TRAPNO];
	if (signal == SIGILL)
		native_fault = EXC_UD;
	*rip = (greg_t)(uintptr_t)(native_code + (native_after - native_begin));
}

static const int caught[] = { SIGFPE, SIGSEGV, SIGILL, SIGBUS };

static void
catch_signals(struct sigaction was[4])
{
	struct sigaction action = { .sa_sigaction = on_signal,
		.sa_flags = SA_SIGINFO };

	for (int i = 0; i < 4; i++)
		sigaction(caught[i], &action, &was[i]);
}

static void
uncatch_signals(const struct sigaction was[4])
{
	for (int i = 0; i < 4; i++)
		sigaction(caught[i], &was[i], NULL);
}

static void
run_native(struct state *s, const uint8_t *code, size_t bytes)
{
	uint8_t *hole = native_code + (native_hole - native_begin);
	void (*call)(struct state *) =
	    (void (*)(struct state *))(uintptr_t)native_code;

	memset(hole, 0x90, 16);
	memcpy(hole, code, bytes);
	native_fault = NO_FAULT;
	s->mxcsr_usual = MXCSR_RESET;
	call(s);
	s->fault = native_fault;
}

/* ---- the interpreter ---- */

/* Where execute() and the block's last operation have their frames. */
static uintptr_t start_frame, stop_frame;

static const struct op *
stop(struct emu_cpu *cpu, const struct op *op)
{
	(void)cpu;
	(void)op;
	stop_frame = (uintptr_t)__builtin_frame_address(0);
	return NULL;
}

/* Decodes code into a block that ends by stop(). */
static void
decode(struct world *w, const uint8_t *code, size_t bytes)
{
	struct block *block = w->block;
	unsigned int n;

	memset(block, 0, sizeof(*block));
	block->rip = CODE_RIP;
	block->mode = (uint16_t)w->cpu->mode;
	n = emu_decode(block, code, bytes, false);
	assert_true(n >= 2);
	if (n >= 3 && block->op[n - 2].fn == op_jmp)
		block->op[n - 2].fn = stop;
	w->cpu->block = block;
	w->cpu->smc = false;
}

/* Runs the block; the exception, or NO_FAULT. */
static __attribute__((noinline)) int
execute(struct world *w)
{
	const struct op *volatile op = &w->block->op[1];

	start_frame = (uintptr_t)__builtin_frame_address(0);
	if (setjmp(w->cpu->fault) != 0)
		return w->cpu->fault_vector;
	while (op != NULL)
		op = op->fn(w->cpu, op);
	return NO_FAULT;
}

static int
run(struct world *w, const uint8_t *code, size_t bytes)
{
	decode(w, code, bytes);
	return execute(w);
}

static void
run_emulated(
    struct world *w, struct state *s, const uint8_t *code, size_t bytes)
{
	memcpy(w->cpu->fx, s->fx, FX_BYTES);
	memcpy(w->cpu->gpr, s->gpr, sizeof(s->gpr));
	w->cpu->fl_from = FL_RAW;
	w->cpu->eflags = (uint32_t)s->flags;
	stop_frame = 0;
	s->fault = run(w, code, bytes);
	if (stop_frame != 0)
		assert_int_equal(start_frame - stop_frame, w->depth);
	memcpy(s->fx, w->cpu->fx, FX_BYTES);
	memcpy(s->gpr, w->cpu->gpr, sizeof(s->gpr));
	s->flags = emu_flags(w->cpu);
}

/* Long mode with the data's pages where the processor has them. */
static void
long_mode(struct world *w)
{
	struct emu_cpu *cpu = w->cpu;

	cpu->cr0 = CR0_PE | CR0_MP | CR0_ET | CR0_NE | CR0_WP | CR0_PG;
	cpu->cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	cpu->efer = EFER_LME | EFER_LMA;
	cpu->cr3 = TABLES;
	memset(cpu->seg, 0, sizeof(cpu->seg));
	cpu->seg[CPU_CS].attributes = CPU_SEG_LONG;
	emu_flush(cpu);
	emu_set_mode(cpu);
}

/* 16-bit (or 32-bit) code without paging: addresses are physical. */
static void
legacy_mode(struct world *w, bool protected, bool wide)
{
	struct emu_cpu *cpu = w->cpu;

	cpu->cr0 = CR0_ET | CR0_NE | (protected ? CR0_PE : 0);
	cpu->cr4 = CR4_OSFXSR;
	cpu->efer = 0;
	for (unsigned int i = CPU_ES; i <= CPU_GS; i++)
		cpu->seg[i] =
		    (struct cpu_seg){ .limit = UINT32_MAX, .attributes = 0x93 };
	cpu->seg[CPU_CS].attributes = 0x9b | (wide ? CPU_SEG_32 : 0);
	emu_flush(cpu);
	emu_set_mode(cpu);
}

static void
build_tables(struct world *w)
{
	uint64_t *t = memory_at(&w->memory, TABLES, 4 * PAGE);

	memset(t, 0, 4 * PAGE);
	t[0] = (TABLES + PAGE) | 7;
	t[512] = (TABLES + 2 * PAGE) | 7;
	t[1024 + (DATA >> 21)] = (TABLES + 3 * PAGE) | 7;
	for (unsigned int i = 0; i < DATA_PAGES; i++)
		t[1536 + i] = (DATA_PHYS + i * PAGE) |
		    (i == NO_PAGE          ? 0
			    : i == RO_PAGE ? 1
					   : 3);
}

static bool
no_msr(void *arg, unsigned int cpu, uint32_t index, uint64_t *value)
{
	(void)arg;
	(void)cpu;
	(void)index;
	(void)value;
	return false;
}

static int
setup(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	size_t bytes = (sizeof(struct emu_cpu) + 63) & ~(size_t)63;

	assert_non_null(w);
	assert_int_equal(memory_init(&w->memory, GUEST_RAM, NULL), 0);
	w->io.msr_read = no_msr;
	w->vm.memory = &w->memory;
	w->vm.io = &w->io;
	w->vm.npages = GUEST_RAM / PAGE;
	w->vm.pages = calloc(w->vm.npages, sizeof(w->vm.pages[0]));
	w->cpu = aligned_alloc(64, bytes);
	w->block =
	    calloc(1, sizeof(*w->block) + BLOCK_OPS * sizeof(w->block->op[0]));
	assert_non_null(w->block);
	assert_non_null(w->vm.pages);
	assert_non_null(w->cpu);
	memset(w->cpu, 0, bytes);
	w->cpu->vm = &w->vm;
	w->vm.cpu[0] = w->cpu;
	w->vm.ncpus = 1;
	emu_tlb_init(w->cpu);
	build_tables(w);
	long_mode(w);
	emu_fpu_reset(w->cpu);
	w->guest_data = memory_at(&w->memory, DATA_PHYS, DATA_PAGES * PAGE);
	w->native_data = mmap((void *)(uintptr_t)DATA, DATA_PAGES * PAGE,
	    PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ptr_equal(w->native_data, (void *)(uintptr_t)DATA);
	native_code = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(native_code, MAP_FAILED);
	memcpy(native_code, native_begin, (size_t)(native_end - native_begin));
	ZydisDecoderInit(
	    &w->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	w->random = UINT64_C(0x243f6a8885a308d3);
	assert_int_equal(run(w, (const uint8_t *)"\x90", 1), NO_FAULT);
	w->depth = start_frame - stop_frame;
	*state = w;
	return 0;
}

static int
teardown(void **state)
{
	struct world *w = *state;

	munmap(w->native_data, DATA_PAGES * PAGE);
	munmap(native_code, PAGE);
	free(w->cpu);
	free(w->vm.pages);
	free(w->block);
	memory_free(&w->memory);
	free(w);
	return 0;
}

/* ---- random states ---- */

static uint64_t
rnd(struct world *w)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random * UINT64_C(0x2545f4914f6cdd1d);
}

static unsigned int
below(struct world *w, unsigned int n)
{
	return (unsigned int)((rnd(w) >> 32) % n);
}

static uint32_t
rnd_float(struct world *w)
{
	static const uint32_t special[] = { 0, 1, 0x007fffff, 0x00800000,
		0x3f800000, 0x3f800001, 0x40490fdb, 0x4b800000, 0x4effffff,
		0x4f000000, 0x5f000000, 0x7f7fffff, 0x7f800000, 0x7f800001,
		0x7fc00000, 0x7fffffff, 0x00400000, 0x3f000000, 0x34000000 };
	uint32_t r = (uint32_t)rnd(w);

	switch (below(w, 4)) {
	case 0: return special[below(w, sizeof(special) / 4)] | (r & 1u << 31);
	case 1: /* of a size that adds up with others */
		return (r & 0x807fffff) | (120 + below(w, 16)) << 23;
	case 2: return r & 0x807fffff; /* denormal */
	default: return r;
	}
}

static uint64_t
rnd_double(struct world *w)
{
	static const uint64_t special[] = { 0, 1, UINT64_C(0xfffffffffffff),
		UINT64_C(0x10000000000000), UINT64_C(0x3ff0000000000000),
		UINT64_C(0x3ff0000000000001), UINT64_C(0x400921fb54442d18),
		UINT64_C(0x41dfffffffc00000), UINT64_C(0x41e0000000000000),
		UINT64_C(0x43e0000000000000), UINT64_C(0x7fefffffffffffff),
		UINT64_C(0x7ff0000000000000), UINT64_C(0x7ff0000000000001),
		UINT64_C(0x7ff8000000000000), UINT64_C(0x47efffffe0000000),
		UINT64_C(0x3800000000000000), UINT64_C(0x36a0000000000000) };
	uint64_t r = rnd(w), sign = UINT64_C(1) << 63;

	switch (below(w, 5)) {
	case 0: return special[below(w, sizeof(special) / 8)] | (r & sign);
	case 1:
		return (r & UINT64_C(0x800fffffffffffff)) |
		    (uint64_t)(1016 + below(w, 16)) << 52;
	case 2: return r & UINT64_C(0x800fffffffffffff);
	case 3: /* about the limits of single precision */
		return (r & UINT64_C(0x800fffffffffffff)) |
		    (uint64_t)(below(w, 2) ? 1149 + below(w, 4)
					   : 870 + below(w, 30))
		    << 52;
	default: return r;
	}
}

static uint64_t
rnd64(struct world *w)
{
	switch (below(w, 4)) {
	case 0: return (uint64_t)rnd_float(w) << 32 | rnd_float(w);
	case 1: return rnd_double(w);
	case 2: { /* integers near their limits, in lanes */
		static const uint16_t lane[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff,
			0x8000, 0xffff, 0xff80, 0x00ff, 0x0100 };
		uint64_t v = 0;

		for (int i = 0; i < 4; i++)
			v = v << 16 | lane[below(w, 11)];
		return v;
	}
	default: return rnd(w);
	}
}

/* Ten bytes: an extended number, or what only looks like one. */
static void
rnd_extended(struct world *w, uint8_t *to)
{
	static const uint16_t exponents[] = { 0, 1, 0x3ffe, 0x3fff, 0x4000,
		0x401e, 0x403e, 0x403f, 0x7ffe, 0x7fff, 0x3f81, 0x3c01, 0x3f6a,
		0x407f };
	static const uint64_t mantissas[] = { 0, UINT64_C(1) << 63,
		UINT64_C(3) << 62, UINT64_C(0x8000000000000001), ~UINT64_C(0),
		UINT64_C(0x7fffffffffffffff), 1, UINT64_C(0xffffff8000000000),
		UINT64_C(0xc90fdaa22168c235) };
	uint64_t m = below(w, 3) == 0 ? mantissas[below(w, 9)] : rnd(w);
	uint16_t e;

	if (below(w, 8) != 0)
		m |= UINT64_C(1) << 63;
	switch (below(w, 3)) {
	case 0: e = exponents[below(w, 14)]; break;
	case 1: e = (uint16_t)(0x3ff8 + below(w, 16)); break;
	default: e = (uint16_t)rnd(w) & 0x7fff; break;
	}
	e |= (uint16_t)(below(w, 2) << 15);
	memcpy(to, &m, 8);
	memcpy(to + 8, &e, 2);
}

static void
rnd_bytes(struct world *w, uint8_t *to, size_t bytes)
{
	for (size_t i = 0; i + 8 <= bytes; i += 8) {
		uint64_t v = rnd64(w);

		memcpy(to + i, &v, 8);
	}
}

static void
rnd_state(struct world *w, struct state *s)
{
	struct emu_cpu *cpu = w->cpu; /* for its accessors */
	uint32_t mxcsr = (uint32_t)rnd(w) & 0xffff;

	memset(s, 0, sizeof(*s));
	memset(cpu->fx, 0, FX_BYTES);
	fx_put16(cpu, FX_FCW,
	    ((unsigned int)rnd(w) & 0x0f3f) | (below(w, 4) ? 0x3f : 0));
	fx_put16(cpu, FX_FSW, (unsigned int)rnd(w) & 0x7f40);
	if (below(w, 4) == 0)
		fx_put16(cpu, FX_FSW, (unsigned int)rnd(w) & 0x7f7f);
	cpu->fx[FX_FTW] = (uint8_t)rnd(w);
	if (below(w, 2) != 0) /* room for one, and for two operands */
		cpu->fx[FX_FTW] =
		    (uint8_t) ~(1u << ((fpu_top(cpu) + 5 + below(w, 3)) & 7));
	mxcsr_put(cpu, below(w, 4) ? mxcsr | 0x1f80 : mxcsr);
	if (below(w, 3) == 0)
		mxcsr_put(cpu, MXCSR_RESET | (mxcsr & 0x3f));
	for (unsigned int i = 0; i < 8; i++)
		rnd_extended(w, cpu->fx + FX_ST + 16 * i);
	rnd_bytes(w, cpu->fx + FX_XMM, 256);
	if (below(w, 4) == 0) /* equal operands */
		for (unsigned int i = 0; i < 8; i++)
			memcpy(cpu->fx + FX_XMM + 16 * i + 128,
			    cpu->fx + FX_XMM + 16 * i, 16);
	fpu_canonical(cpu);
	memcpy(s->fx, cpu->fx, FX_BYTES);
	for (unsigned int i = 0; i < 16; i++)
		s->gpr[i] = below(w, 8) == 0 ? below(w, 20) : rnd64(w);
	s->flags = (rnd(w) & FLAGS_ARITH) | FLAG_ONE | FLAG_IF;
}

/* Mostly aligned, in the first page; else anywhere, over page boundaries too. */
static uint64_t
rnd_address(struct world *w)
{
	unsigned int r = below(w, 16);

	if (r < 8)
		return DATA + 1024 + 16 * below(w, 64);
	if (r < 12)
		return DATA + 1024 + below(w, 1024);
	if (r < 14) /* to a page that is there */
		return DATA + PAGE - 1 - below(w, 120);
	if (r < 15)
		return DATA + NO_PAGE * PAGE - 1 - below(w, 120);
	return DATA + RO_PAGE * PAGE - 1 - below(w, 120);
}

/* ---- one case ---- */

static bool
present(unsigned int page)
{
	return page < DATA_PAGES && page != NO_PAGE;
}

/* Random bytes about address, the same in both worlds. */
static void
fill_data(struct world *w, uint64_t address)
{
	unsigned int at = (unsigned int)(address - DATA) - 16;
	uint8_t bytes[16 + FX_BYTES + 16];

	rnd_bytes(w, bytes, sizeof(bytes));
	for (unsigned int i = 0; i < sizeof(bytes); i++)
		if ((at + i) / PAGE < NO_PAGE || (at + i) / PAGE == 3) {
			w->native_data[at + i] = bytes[i];
			w->guest_data[at + i] = bytes[i];
		}
}

static bool
same_data(const struct world *w, uint64_t address)
{
	unsigned int at = (unsigned int)(address - DATA) - 16;

	for (unsigned int i = 0; i < 32 + FX_BYTES; i++)
		if (present((at + i) / PAGE) &&
		    w->native_data[at + i] != w->guest_data[at + i])
			return false;
	return true;
}

/* Where the last x87 instruction was, and what the host alone knows. */
static void
mask_image(uint8_t *fx)
{
	memset(fx + FX_FOP, 0, FX_MXCSR - FX_FOP);
	memset(fx + FX_MXCSR_MASK, 0, 4);
	memset(fx + FX_END, 0, FX_BYTES - FX_END);
}

/* The same in memory, where FXSAVE and FNSTENV have put it. */
static void
mask_stored(struct world *w, const ZydisDecodedInstruction *in,
    const ZydisDecodedOperand *o, uint64_t address)
{
	uint8_t *data[2] = { w->native_data, w->guest_data };
	unsigned int at = (unsigned int)(address - DATA);
	unsigned int from, to;

	switch (in->mnemonic) {
	case ZYDIS_MNEMONIC_FXSAVE:
	case ZYDIS_MNEMONIC_FXSAVE64:
		from = FX_FOP;
		to = FX_MXCSR;
		break;
	case ZYDIS_MNEMONIC_FNSTENV:
	case ZYDIS_MNEMONIC_FNSAVE:
		from = o[0].size == 112 || o[0].size == 752 ? 6 : 12;
		to = from == 6 ? 14 : 28;
		break;
	default: return;
	}
	for (int i = 0; i < 2; i++) {
		for (unsigned int k = from; k < to; k++)
			if (present((at + k) / PAGE) &&
			    (at + k) / PAGE != RO_PAGE)
				data[i][at + k] = 0;
		if (to == FX_MXCSR)
			memset(data[i] + at + FX_MXCSR_MASK, 0, 4);
	}
}

static void
print_bytes(const char *what, const uint8_t *bytes, size_t n)
{
	fprintf(stderr, "%s", what);
	for (size_t i = 0; i < n; i++)
		fprintf(stderr, " %02x", bytes[i]);
	fprintf(stderr, "\n");
}

static void
print_difference(const char *name, const uint8_t *code, size_t bytes,
    const struct state *before, const struct state *native,
    const struct state *emulated)
{
	fprintf(stderr, "%s:", name);
	print_bytes("", code, bytes);
	fprintf(stderr, "fault: native %d, emulated %d\n", native->fault,
	    emulated->fault);
	fprintf(stderr, "flags: before %lx, native %lx, emulated %lx\n",
	    (unsigned long)before->flags, (unsigned long)native->flags,
	    (unsigned long)emulated->flags);
	for (unsigned int i = 0; i < 16; i++)
		if (native->gpr[i] != emulated->gpr[i])
			fprintf(stderr, "gpr %u: %lx %lx %lx\n", i,
			    (unsigned long)before->gpr[i],
			    (unsigned long)native->gpr[i],
			    (unsigned long)emulated->gpr[i]);
	for (unsigned int at = 0; at < FX_END; at += 16)
		if (memcmp(native->fx + at, emulated->fx + at, 16) != 0) {
			fprintf(stderr, "image at %u:\n", at);
			print_bytes("  before  ", before->fx + at, 16);
			print_bytes("  native  ", native->fx + at, 16);
			print_bytes("  emulated", emulated->fx + at, 16);
		}
}

/* May both run it?  RSP is nobody's to change. */
static bool
is_usable(const ZydisDecodedInstruction *in, const ZydisDecodedOperand *o)
{
	if (in->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return false;
	for (unsigned int n = 0; n < in->operand_count_visible; n++)
		if (o[n].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    (o[n].reg.value == ZYDIS_REGISTER_RSP ||
			o[n].reg.value == ZYDIS_REGISTER_ESP ||
			o[n].reg.value == ZYDIS_REGISTER_SP ||
			o[n].reg.value == ZYDIS_REGISTER_SPL))
			return false;
	return true;
}

/* An image that FXRSTOR accepts more often than not; lengths that strings
 * have. */
static void
suit(struct world *w, const ZydisDecodedInstruction *in, struct state *s,
    uint64_t address)
{
	unsigned int at = (unsigned int)(address - DATA) + FX_MXCSR;

	if ((in->mnemonic == ZYDIS_MNEMONIC_FXRSTOR ||
		in->mnemonic == ZYDIS_MNEMONIC_FXRSTOR64) &&
	    below(w, 8) != 0 && at / PAGE == (at + 3) / PAGE &&
	    at / PAGE < NO_PAGE) {
		memset(w->native_data + at + 2, 0, 2);
		memset(w->guest_data + at + 2, 0, 2);
	}
	if (in->mnemonic == ZYDIS_MNEMONIC_LDMXCSR && below(w, 4) != 0 &&
	    (at - FX_MXCSR + 3) / PAGE < NO_PAGE) {
		memset(w->native_data + at - FX_MXCSR + 2, 0, 2);
		memset(w->guest_data + at - FX_MXCSR + 2, 0, 2);
	}
	if (in->mnemonic == ZYDIS_MNEMONIC_PCMPESTRI ||
	    in->mnemonic == ZYDIS_MNEMONIC_PCMPESTRM) {
		s->gpr[CPU_RAX] = rnd(w) >> 60 | (rnd(w) & 1) << 40;
		s->gpr[CPU_RDX] = (uint64_t) - (int64_t)below(w, 20);
	}
}

/* With an exception that was not masked, some flags do not count (sse.c says
 * which, and why). */
static void
loosen_flags(
    ZydisMnemonic mnemonic, struct state *native, struct state *emulated)
{
	uint8_t *a = native->fx + FX_MXCSR, *b = emulated->fx + FX_MXCSR;
	unsigned int masks = (a[0] >> 7 | a[1] << 1) & FPU_EXCEPTIONS;
	uint8_t loose = 0;

	if (mnemonic == ZYDIS_MNEMONIC_DPPS || mnemonic == ZYDIS_MNEMONIC_DPPD)
		loose = FPU_EXCEPTIONS;
	else if (a[0] & ~masks & 0x18)
		loose = 0x20;
	a[0] |= loose;
	b[0] |= loose;
}

/* Executes code in both worlds; they must agree. */
static void
compare(struct world *w, const uint8_t *code, size_t bytes,
    const ZydisDecodedInstruction *in, const ZydisDecodedOperand *o)
{
	uint64_t address = rnd_address(w);
	struct state before, native, emulated;
	bool same;

	rnd_state(w, &before);
	before.gpr[CPU_RDI] = before.gpr[CPU_R15] = address;
	fill_data(w, address);
	suit(w, in, &before, address);
	native = emulated = before;
	run_native(&native, code, bytes);
	run_emulated(w, &emulated, code, bytes);
	w->cases++;
	w->faults += native.fault != NO_FAULT;
	if (native.fault == NO_FAULT)
		mask_stored(w, in, o, address);
	mask_image(native.fx);
	mask_image(emulated.fx);
	if (in->mnemonic == ZYDIS_MNEMONIC_MASKMOVQ &&
	    native.fault ==
		EXC_PF) /* whether it has claimed the x87, differs */
		memcpy(native.fx, emulated.fx, FX_XMM);
	if (native.fault == EXC_XM)
		loosen_flags(in->mnemonic, &native, &emulated);
	native.flags &= FLAGS_ARITH;
	emulated.flags &= FLAGS_ARITH;
	native.mxcsr_usual = emulated.mxcsr_usual;
	native.gpr[CPU_RSP] = emulated.gpr[CPU_RSP];
	same = memcmp(&native, &emulated, sizeof(native)) == 0;
	if (same && same_data(w, address))
		return;
	print_difference(ZydisMnemonicGetString(in->mnemonic), code, bytes,
	    &before, &native, &emulated);
	fail_msg("%s", same ? "memory differs" : "registers differ");
}

/* ---- all encodings ---- */

static unsigned int
rounds(unsigned int n)
{
	const char *s = getenv("FPU_TEST_ROUNDS");

	return s == NULL ? n : n * (unsigned int)strtoul(s, NULL, 10);
}

static bool
decodes(struct world *w, const uint8_t *code, ZydisDecodedInstruction *in,
    ZydisDecodedOperand *o)
{
	return ZYAN_SUCCESS(
		   ZydisDecoderDecodeFull(&w->decoder, code, 15, in, o)) &&
	    is_usable(in, o);
}

/* A place in the opcode maps. */
struct encoding {
	uint8_t prefix; /* 66, f3, f2 or 0 */
	uint8_t map;    /* 0: 0f; 38, 3a */
	uint8_t opcode;
	uint8_t reg; /* of ModRM */
	bool memory;
	bool wide; /* REX.W */
};

/* Writes it with whatever is not part of it at random. */
static void
assemble(struct world *w, const struct encoding *e, uint8_t *code)
{
	uint8_t *at = code;
	unsigned int rm = below(w, 8);

	memset(code, 0, 16);
	if (e->prefix != 0)
		*at++ = e->prefix;
	*at++ = (uint8_t)(0x40 | e->wide << 3 | below(w, 2) << 2 | below(w, 2));
	*at++ = 0x0f;
	if (e->map != 0)
		*at++ = e->map;
	*at++ = e->opcode;
	*at++ = (uint8_t)(e->reg << 3 | (e->memory ? 7u : 0xc0u | rm));
	*at = (uint8_t)rnd(w);
}

static bool
is_fxsave(ZydisMnemonic mnemonic)
{
	return mnemonic == ZYDIS_MNEMONIC_FXSAVE ||
	    mnemonic == ZYDIS_MNEMONIC_FXSAVE64 ||
	    mnemonic == ZYDIS_MNEMONIC_FXRSTOR ||
	    mnemonic == ZYDIS_MNEMONIC_FXRSTOR64;
}

static void
compare_encoding(struct world *w, const struct encoding *e, unsigned int n)
{
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction in;
	uint8_t code[16];
	bool counted = false;

	for (unsigned int i = 0; i < n; i++) {
		assemble(w, e, code);
		if (!decodes(w, code, &in, o))
			continue;
		if (!sse_known(in.mnemonic) && !is_fxsave(in.mnemonic))
			return;
		w->forms += !counted;
		counted = true;
		compare(w, code, in.length, &in, o);
	}
}

static void
sse_agrees_with_the_processor(void **state)
{
	static const uint8_t prefixes[4] = { 0, 0x66, 0xf3, 0xf2 };
	static const uint8_t maps[3] = { 0, 0x38, 0x3a };
	struct world *w = *state;
	struct sigaction was[4];
	unsigned int n = rounds(20);

	mprotect(w->native_data + NO_PAGE * PAGE, PAGE, PROT_NONE);
	mprotect(w->native_data + RO_PAGE * PAGE, PAGE, PROT_READ);
	catch_signals(was);
	for (unsigned int m = 0; m < 3; m++)
		for (unsigned int i = 0; i < 4 * 256 * 8 * 4; i++) {
			struct encoding e = {
				.prefix = prefixes[i & 3],
				.map = maps[m],
				.opcode = (uint8_t)(i >> 7),
				.reg = i >> 4 & 7,
				.memory = i >> 3 & 1,
				.wide = i >> 2 & 1,
			};

			if (e.map != 0 ||
			    (e.opcode != 0x38 && e.opcode != 0x3a))
				compare_encoding(w, &e, n);
		}
	uncatch_signals(was);
	print_message(
	    "# figure: %lu cases of %lu encodings agree, %lu of them refused\n",
	    w->cases, w->forms, w->faults);
	assert_true(w->forms > 2000);
}

static void
x87_agrees_with_the_processor(void **state)
{
	struct world *w = *state;
	struct sigaction was[4];
	unsigned int n = rounds(200);

	mprotect(w->native_data + NO_PAGE * PAGE, PAGE, PROT_NONE);
	mprotect(w->native_data + RO_PAGE * PAGE, PAGE, PROT_READ);
	catch_signals(was);
	for (unsigned int i = 0; i < 8 * 256 * 2; i++) {
		uint8_t code[16] = { 0 };
		ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
		ZydisDecodedInstruction in;
		unsigned int at = 0, modrm = i >> 3 & 0xff;

		if (i >> 11 != 0)
			code[at++] = 0x66;
		code[at++] = (uint8_t)(0xd8 | (i & 7));
		code[at] = (uint8_t)modrm;
		if (modrm < 0xc0 && (modrm & 0xc7) != 7)
			continue;
		if (!decodes(w, code, &in, o))
			continue;
		assert_true(x87_known(in.mnemonic));
		w->forms++;
		for (unsigned int k = 0; k < n; k++)
			compare(w, code, in.length, &in, o);
	}
	for (unsigned int k = 0; k < 10 * n; k++) {
		static const ZydisDecodedInstruction fwait = {
			.mnemonic = ZYDIS_MNEMONIC_FWAIT
		};

		compare(w, (const uint8_t *)"\x9b", 1, &fwait, NULL);
	}
	uncatch_signals(was);
	print_message(
	    "# figure: %lu cases of %lu encodings agree, %lu of them refused\n",
	    w->cases, w->forms + 1, w->faults);
	assert_true(w->forms > 900);
}

/* ---- who may run what ---- */

static const struct {
	const char *name;
	const char *code;
	size_t bytes;
	/* the exception with CR0.EM, CR0.TS, without CR4.OSFXSR, and with an
	 * x87 exception pending */
	int em, ts, no_osfxsr, pending;
} users[] = {
	{ "fadd", "\xd8\xc1", 2, EXC_NM, EXC_NM, NO_FAULT, EXC_MF },
	{ "fld m64", "\xdd\x07", 2, EXC_NM, EXC_NM, NO_FAULT, EXC_MF },
	{ "fldcw", "\xd9\x2f", 2, EXC_NM, EXC_NM, NO_FAULT, EXC_MF },
	{ "fldenv", "\xd9\x27", 2, EXC_NM, EXC_NM, NO_FAULT, EXC_MF },
	{ "frstor", "\xdd\x27", 2, EXC_NM, EXC_NM, NO_FAULT, EXC_MF },
	{ "fcomi", "\xdb\xf1", 2, EXC_NM, EXC_NM, NO_FAULT, EXC_MF },
	{ "fcmovb", "\xda\xc1", 2, EXC_NM, EXC_NM, NO_FAULT, EXC_MF },
	{ "fninit", "\xdb\xe3", 2, EXC_NM, EXC_NM, NO_FAULT, NO_FAULT },
	{ "fnclex", "\xdb\xe2", 2, EXC_NM, EXC_NM, NO_FAULT, NO_FAULT },
	{ "fnstsw ax", "\xdf\xe0", 2, EXC_NM, EXC_NM, NO_FAULT, NO_FAULT },
	{ "fnstcw", "\xd9\x3f", 2, EXC_NM, EXC_NM, NO_FAULT, NO_FAULT },
	{ "fnstenv", "\xd9\x37", 2, EXC_NM, EXC_NM, NO_FAULT, NO_FAULT },
	{ "fnsave", "\xdd\x37", 2, EXC_NM, EXC_NM, NO_FAULT, NO_FAULT },
	{ "fwait", "\x9b", 1, NO_FAULT, EXC_NM, NO_FAULT, EXC_MF },
	{ "fxsave", "\x0f\xae\x07", 3, EXC_NM, EXC_NM, NO_FAULT, NO_FAULT },
	{ "fxrstor", "\x0f\xae\x0f", 3, EXC_NM, EXC_NM, NO_FAULT, NO_FAULT },
	{ "emms", "\x0f\x77", 2, EXC_UD, EXC_NM, NO_FAULT, EXC_MF },
	{ "paddb mm", "\x0f\xfc\xc1", 3, EXC_UD, EXC_NM, NO_FAULT, EXC_MF },
	{ "movq m,mm", "\x0f\x7f\x07", 3, EXC_UD, EXC_NM, NO_FAULT, EXC_MF },
	{ "pshufw", "\x0f\x70\xc1\x1b", 4, EXC_UD, EXC_NM, NO_FAULT, EXC_MF },
	{ "maskmovq", "\x0f\xf7\xc1", 3, EXC_UD, EXC_NM, NO_FAULT, EXC_MF },
	{ "paddb xmm", "\x66\x0f\xfc\xc1", 4, EXC_UD, EXC_NM, EXC_UD,
	    NO_FAULT },
	{ "addps", "\x0f\x58\xc1", 3, EXC_UD, EXC_NM, EXC_UD, NO_FAULT },
	{ "shufps", "\x0f\xc6\xc1\x1b", 4, EXC_UD, EXC_NM, EXC_UD, NO_FAULT },
	{ "comiss", "\x0f\x2f\xc1", 3, EXC_UD, EXC_NM, EXC_UD, NO_FAULT },
	{ "movups load", "\x0f\x10\x07", 3, EXC_UD, EXC_NM, EXC_UD, NO_FAULT },
	{ "movaps store", "\x0f\x29\x07", 3, EXC_UD, EXC_NM, EXC_UD, NO_FAULT },
	{ "movd", "\x66\x0f\x7e\xc0", 4, EXC_UD, EXC_NM, EXC_UD, NO_FAULT },
	{ "cvtsi2sd", "\xf2\x0f\x2a\xc0", 4, EXC_UD, EXC_NM, EXC_UD, NO_FAULT },
	{ "ldmxcsr", "\x0f\xae\x17", 3, EXC_UD, EXC_NM, EXC_UD, NO_FAULT },
	{ "stmxcsr", "\x0f\xae\x1f", 3, EXC_UD, EXC_NM, EXC_UD, NO_FAULT },
	{ "maskmovdqu", "\x66\x0f\xf7\xc1", 4, EXC_UD, EXC_NM, EXC_UD,
	    NO_FAULT },
	{ "movq2dq", "\xf3\x0f\xd6\xc1", 4, EXC_UD, EXC_NM, EXC_UD, EXC_MF },
	{ "cvtps2pi", "\x0f\x2d\xc1", 3, EXC_UD, EXC_NM, EXC_UD, EXC_MF },
	{ "cvtpi2pd mm", "\x66\x0f\x2a\xc1", 4, EXC_UD, EXC_NM, EXC_UD,
	    EXC_MF },
};

static void
refused(struct world *w, size_t i, const char *when, int expected)
{
	int got;

	w->cpu->gpr[CPU_RDI] = DATA;
	memset(w->guest_data, 0, FX_BYTES);
	got = run(w, (const uint8_t *)users[i].code, users[i].bytes);
	if (got != expected)
		fail_msg("%s with %s: exception %d, not %d", users[i].name,
		    when, got, expected);
}

static void
control_registers_and_pending_exceptions_refuse_as_they_must(void **state)
{
	struct world *w = *state;
	struct emu_cpu *cpu = w->cpu;

	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		long_mode(w);
		emu_fpu_reset(cpu);
		fpu_init(cpu);
		refused(w, i, "nothing", NO_FAULT);
		cpu->cr0 |= CR0_EM;
		refused(w, i, "CR0.EM", users[i].em);
		cpu->cr0 = (cpu->cr0 & ~(uint64_t)CR0_EM) | CR0_TS;
		refused(w, i, "CR0.TS", users[i].ts);
		cpu->cr0 &= ~(uint64_t)CR0_TS;
		cpu->cr4 &= ~(uint64_t)CR4_OSFXSR;
		refused(w, i, "CR4.OSFXSR clear", users[i].no_osfxsr);
		cpu->cr4 |= CR4_OSFXSR;
		emu_fpu_reset(cpu);
		fx_put16(cpu, FX_FCW, FCW_RESET & ~4u);
		fx_put16(cpu, FX_FSW, 4);
		fpu_canonical(cpu);
		refused(w, i, "an exception pending", users[i].pending);
	}
	long_mode(w);
	cpu->cr0 = (cpu->cr0 & ~(uint64_t)CR0_MP) | CR0_TS;
	emu_fpu_reset(cpu);
	assert_int_equal(run(w, (const uint8_t *)"\x9b", 1), NO_FAULT);
}

static void
simd_exceptions_are_invalid_opcodes_to_a_system_that_knows_none(void **state)
{
	struct world *w = *state;
	static const uint8_t divps[] = { 0x0f, 0x5e, 0xc1 };

	emu_fpu_reset(w->cpu);
	mxcsr_put(w->cpu, 0); /* 0 / 0 */
	assert_int_equal(run(w, divps, sizeof(divps)), EXC_XM);
	mxcsr_put(w->cpu, 0);
	w->cpu->cr4 &= ~(uint64_t)CR4_OSXMMEXCPT;
	assert_int_equal(run(w, divps, sizeof(divps)), EXC_UD);
}

/* ---- what there is, and what is not ---- */

static void
all_of_sse2_and_x87_is_known(void **state)
{
	static const ZydisMnemonic none[] = { ZYDIS_MNEMONIC_FEMMS,
		ZYDIS_MNEMONIC_EXTRQ, ZYDIS_MNEMONIC_INSERTQ,
		ZYDIS_MNEMONIC_MOVNTSS, ZYDIS_MNEMONIC_MOVNTSD,
		ZYDIS_MNEMONIC_SHA1RNDS4, ZYDIS_MNEMONIC_GF2P8MULB,
		ZYDIS_MNEMONIC_XSAVE, ZYDIS_MNEMONIC_ADD, ZYDIS_MNEMONIC_VADDPS,
		ZYDIS_MNEMONIC_INVALID, ZYDIS_MNEMONIC_MAX_VALUE };
	struct world *w = *state;
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction in;
	unsigned int n = 0;

	for (unsigned int i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
		assert_false(sse_known(none[i]));
		assert_false(x87_known(none[i]));
	}
	assert_false(sse_known(65535));
	assert_false(x87_known(65535));
	/* What the decoder says belongs to these sets must be known, but for
	 * what the decoder's front end does by itself. */
	for (unsigned int i = 0; i < 4u << 16; i++) {
		static const uint8_t prefixes[4] = { 0, 0x66, 0xf3, 0xf2 };
		uint8_t code[16] = { 0 };
		unsigned int at = 0;

		if (i >> 16 != 0)
			code[at++] = prefixes[i >> 16];
		code[at++] = 0x0f;
		code[at++] = i >> 8 & 0xff;
		code[at] = i & 0xff;
		if (!decodes(w, code, &in, o))
			continue;
		if (in.meta.isa_set != ZYDIS_ISA_SET_SSE &&
		    in.meta.isa_set != ZYDIS_ISA_SET_SSE2 &&
		    in.meta.isa_set != ZYDIS_ISA_SET_SSE2MMX &&
		    in.meta.isa_set != ZYDIS_ISA_SET_SSEMXCSR &&
		    in.meta.isa_set != ZYDIS_ISA_SET_PENTIUMMMX)
			continue;
		if (in.mnemonic == ZYDIS_MNEMONIC_MOVNTI ||
		    in.mnemonic == ZYDIS_MNEMONIC_SFENCE ||
		    in.mnemonic == ZYDIS_MNEMONIC_LFENCE ||
		    in.mnemonic == ZYDIS_MNEMONIC_MFENCE ||
		    in.mnemonic == ZYDIS_MNEMONIC_PAUSE ||
		    in.meta.category == ZYDIS_CATEGORY_PREFETCH)
			continue;
		if (!sse_known(in.mnemonic))
			fail_msg("%s is not known",
			    ZydisMnemonicGetString(in.mnemonic));
		n++;
	}
	assert_true(n > 1000);
}

static void
other_vector_instructions_are_undefined(void **state)
{
	static const struct {
		const char *code;
		size_t bytes;
	} others[] = {
		{ "\x0f\x0e", 2 },                 /* FEMMS */
		{ "\x0f\x0f\xc1\x9e", 4 },         /* PFADD */
		{ "\x66\x0f\x79\xc1", 4 },         /* EXTRQ */
		{ "\xc5\xf0\x58\xc2", 4 },         /* VADDPS */
		{ "\xc5\xf8\x77", 3 },             /* VZEROUPPER */
		{ "\x62\xf1\x74\x48\x58\xc2", 6 }, /* VADDPS zmm */
		{ "\x0f\x3a\xcc\xc1\x00", 5 },     /* SHA1RNDS4 */
		{ "\x66\x0f\x38\xcf\xc1", 5 },     /* GF2P8MULB */
		{ "\x0f\xae\x27", 3 },             /* XSAVE */
		{ "\x0f\xae\x2f", 3 },             /* XRSTOR */
		{ "\x66\x0f\x38\x82\x07", 5 },     /* INVPCID */
		{ "\x0f\x38\xf0\x07", 4 },         /* MOVBE */
	};
	struct world *w = *state;

	w->cpu->gpr[CPU_RDI] = DATA;
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (run(w, (const uint8_t *)others[i].code, others[i].bytes) !=
		    EXC_UD)
			fail_msg("number %zu ran", i);
}

/* ---- images and environments ---- */

/* A state in which every part of an environment tells itself apart. */
static void
distinct_state(struct emu_cpu *cpu)
{
	memset(cpu->fx, 0, FX_BYTES);
	fx_put16(cpu, FX_FCW, FCW_RESET);
	fx_put16(cpu, FX_FSW, FSW_TOP(7) | 0x100);
	cpu->fx[FX_FTW] = 0x83;
	fx_put16(cpu, FX_FOP, 0x5ab);
	fx_put64(cpu, FX_FIP, 0x12345678);
	fx_put64(cpu, FX_FDP, 0x9abcdef0);
	/* ST0, register 7: one; ST1, register 0: zero; ST2: infinity */
	fx_put64(cpu, FX_ST, UINT64_C(1) << 63);
	fx_put16(cpu, FX_ST + 8, 0x3fff);
	fx_put64(cpu, FX_ST + 32, UINT64_C(1) << 63);
	fx_put16(cpu, FX_ST + 32 + 8, 0x7fff);
	mxcsr_put(cpu, MXCSR_RESET);
	fpu_canonical(cpu);
}

static const struct {
	bool protected, wide;    /* the code's mode */
	const char *save, *load; /* FNSTENV, FLDENV at BX or EDI */
	size_t bytes;
	const char *image;
	uint64_t ip, dp;
	uint16_t fop;
} layouts[] = {
	{ false, false, "\xd9\x37", "\xd9\x27", 14,
	    "\x7f\x03\x00\x39\xf9\x3f\x78\x56\xab\x45\xf0\xde\x00\xc0", 0x45678,
	    0xcdef0, 0x5ab },
	{ true, false, "\xd9\x37", "\xd9\x27", 14,
	    "\x7f\x03\x00\x39\xf9\x3f\x78\x56\x00\x00\xf0\xde\x00\x00", 0x5678,
	    0xdef0, 0x5ab },
	{ false, false, "\x66\xd9\x37", "\x66\xd9\x27", 28,
	    "\x7f\x03\xff\xff\x00\x39\xff\xff\xf9\x3f\xff\xff"
	    "\x78\x56\xff\xff\xab\x45\x23\x01\xf0\xde\xff\xff\x00\xc0\xab\x09",
	    0x12345678, 0x9abcdef0, 0x5ab },
	{ true, true, "\xd9\x37", "\xd9\x27", 28,
	    "\x7f\x03\xff\xff\x00\x39\xff\xff\xf9\x3f\xff\xff"
	    "\x78\x56\x34\x12\x00\x00\xab\x05\xf0\xde\xbc\x9a\x00\x00\xff\xff",
	    0x12345678, 0x9abcdef0, 0x5ab },
};

static void
environments_have_the_layout_of_their_mode(void **state)
{
	struct world *w = *state;
	struct emu_cpu *cpu = w->cpu;
	uint8_t *at = memory_at(&w->memory, 0x8000, PAGE);
	uint8_t kept[FX_BYTES];

	for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
		size_t code = layouts[i].save[0] == 0x66 ? 3 : 2;

		legacy_mode(w, layouts[i].protected, layouts[i].wide);
		distinct_state(cpu);
		memcpy(kept, cpu->fx, FX_BYTES);
		cpu->gpr[CPU_RBX] = cpu->gpr[CPU_RDI] = 0x8000;
		memset(at, 0xcc, 64);
		assert_int_equal(
		    run(w, (const uint8_t *)layouts[i].save, code), NO_FAULT);
		assert_memory_equal(at, layouts[i].image, layouts[i].bytes);
		assert_int_equal(at[layouts[i].bytes], 0xcc);
		fpu_init(cpu);
		fx_put16(cpu, FX_FOP, 0x5ab);
		assert_int_equal(
		    run(w, (const uint8_t *)layouts[i].load, code), NO_FAULT);
		fx_put64(cpu, FX_FIP, fx_get64(cpu, FX_FIP) ^ layouts[i].ip);
		fx_put64(cpu, FX_FDP, fx_get64(cpu, FX_FDP) ^ layouts[i].dp);
		fx_put64(cpu, FX_FIP, fx_get64(cpu, FX_FIP) ^ 0x12345678);
		fx_put64(cpu, FX_FDP, fx_get64(cpu, FX_FDP) ^ 0x9abcdef0);
		assert_memory_equal(cpu->fx, kept, FX_BYTES);
	}
}

static void
the_last_instruction_is_remembered(void **state)
{
	/* nop; fmul qword [rdi+16]; fnop; fnstcw [rdi] */
	static const uint8_t code[] = { 0x90, 0xdc, 0x4f, 0x10, 0xd9, 0xd0,
		0xd9, 0x3f };
	struct world *w = *state;
	struct emu_cpu *cpu = w->cpu;

	cpu->gpr[CPU_RDI] = DATA;
	assert_int_equal(run(w, code, 4), NO_FAULT);
	assert_int_equal(fx_get64(cpu, FX_FIP), CODE_RIP + 1);
	assert_int_equal(fx_get64(cpu, FX_FDP), DATA + 16);
	assert_int_equal(fx_get16(cpu, FX_FOP), 0x44f);
	assert_int_equal(run(w, code, sizeof(code)), NO_FAULT);
	assert_int_equal(fx_get64(cpu, FX_FIP), CODE_RIP + 4);
	assert_int_equal(fx_get64(cpu, FX_FDP), DATA + 16);
	assert_int_equal(fx_get16(cpu, FX_FOP), 0x1d0);
}

/* FXSAVE at EDI or BX, and FXRSTOR. */
static void
only_64_bit_code_saves_all_registers(void **state)
{
	static const uint8_t save[] = { 0x0f, 0xae, 0x07 };
	static const uint8_t load[] = { 0x0f, 0xae, 0x0f };
	struct world *w = *state;
	struct emu_cpu *cpu = w->cpu;
	uint8_t *at = memory_at(&w->memory, 0x8000, PAGE);
	uint8_t kept[FX_BYTES];

	legacy_mode(w, true, true);
	distinct_state(cpu);
	for (unsigned int i = 0; i < 256; i++)
		cpu->fx[FX_XMM + i] = (uint8_t)(i | 1);
	memcpy(kept, cpu->fx, FX_BYTES);
	cpu->gpr[CPU_RDI] = 0x8000;
	memset(at, 0xcc, FX_BYTES);
	assert_int_equal(run(w, save, sizeof(save)), NO_FAULT);
	assert_memory_equal(at, cpu->fx, FX_XMM + 128);
	for (unsigned int i = FX_XMM + 128; i < FX_BYTES; i++)
		assert_int_equal(at[i], 0xcc);
	memset(cpu->fx, 0, FX_XMM + 128);
	assert_int_equal(run(w, load, sizeof(load)), NO_FAULT);
	assert_memory_equal(cpu->fx, kept, FX_BYTES);
}

static void
no_image_from_outside_upsets_the_host(void **state)
{
	struct world *w = *state;
	struct emu_cpu *cpu = w->cpu;
	static const uint8_t fld1[] = { 0xd9, 0xe8 };
	static const uint8_t addps[] = { 0x0f, 0x58, 0xc1 };
	uint8_t image[FX_BYTES];

	memset(image, 0xff, sizeof(image));
	emu_fpu_put(cpu, image);
	assert_int_equal(mxcsr_get(cpu), MXCSR_BITS);
	assert_int_equal(fx_get16(cpu, FX_FCW), 0x1f7f);
	assert_int_equal(run(w, fld1, sizeof(fld1)), NO_FAULT);
	assert_int_equal(run(w, addps, sizeof(addps)), NO_FAULT);
	for (unsigned int i = 0; i < 5000; i++) {
		rnd_bytes(w, image, sizeof(image));
		emu_fpu_put(cpu, image);
		(void)run(w, fld1, sizeof(fld1));
		(void)run(w, addps, sizeof(addps));
	}
}

/* ---- beside the instructions themselves ---- */

static void
the_guests_rounding_does_not_leak_into_the_host(void **state)
{
	static const uint8_t code[] = { 0x0f, 0x5e, 0xc1, /* divps */
		0xd8, 0xf1 /* fdiv */ };
	struct world *w = *state;
	uint16_t fcw;
	uint32_t mxcsr;

	for (unsigned int i = 0; i < 2000; i++) {
		struct state s;

		rnd_state(w, &s);
		memcpy(w->cpu->fx, s.fx, FX_BYTES);
		(void)run(w, code, sizeof(code));
		__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
		__asm__ volatile("fnstcw %0" : "=m"(fcw));
		assert_int_equal(mxcsr & ~FPU_EXCEPTIONS, MXCSR_RESET);
		assert_int_equal(fcw, FCW_RESET);
	}
}

static void
flags_of_the_hosts_own_arithmetic_stay_out(void **state)
{
	static const uint8_t addps[] = { 0x0f, 0x58, 0xc1 };
	static const uint8_t divps[] = { 0x0f, 0x5e, 0xc1 };
	struct world *w = *state;
	uint32_t all = MXCSR_RESET | FPU_EXCEPTIONS;

	emu_fpu_reset(w->cpu);
	__asm__ volatile("ldmxcsr %0" : : "m"(all));
	assert_int_equal(run(w, addps, sizeof(addps)), NO_FAULT);
	assert_int_equal(mxcsr_get(w->cpu), MXCSR_RESET);
	__asm__ volatile("ldmxcsr %0" : : "m"(all));
	assert_int_equal(run(w, divps, sizeof(divps)), NO_FAULT);
	assert_int_equal(mxcsr_get(w->cpu), MXCSR_RESET | 1); /* 0 / 0 */
}

/* A store to the code's own block ends it behind the instruction. */
static void
a_store_to_its_own_code_leaves_the_block(void **state)
{
	static const struct {
		const char *code;
		size_t bytes;
	} stores[] = {
		{ "\x0f\x11\x07\x0f\x0b", 3 },     /* movups */
		{ "\x66\x0f\xd6\x07\x0f\x0b", 4 }, /* movq */
		{ "\x0f\x7f\x07\x0f\x0b", 3 },     /* movq mm */
		{ "\x66\x0f\xf7\xc1\x0f\x0b", 4 }, /* maskmovdqu */
		{ "\x0f\xae\x1f\x0f\x0b", 3 },     /* stmxcsr */
		{ "\x0f\xae\x07\x0f\x0b", 3 },     /* fxsave */
		{ "\xd9\x3f\x0f\x0b", 2 },         /* fnstcw */
		{ "\xdd\x37\x0f\x0b", 2 },         /* fnsave */
		{ "\xd9\x17\x0f\x0b", 2 },         /* fst m32 */
	};
	struct world *w = *state;
	struct emu_cpu *cpu = w->cpu;

	emu_fpu_reset(cpu);
	fpu_init(cpu);
	cpu->gpr[CPU_RDI] = DATA;
	for (size_t i = 0; i < sizeof(stores) / sizeof(stores[0]); i++) {
		decode(w, (const uint8_t *)stores[i].code, stores[i].bytes + 2);
		assert_int_equal(execute(w), EXC_UD);
		cpu->smc = true; /* as the store would */
		cpu->rip = 0;
		assert_int_equal(execute(w), NO_FAULT);
		assert_int_equal(cpu->rip, CODE_RIP + stores[i].bytes);
	}
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(sse_agrees_with_the_processor),
		TEST(x87_agrees_with_the_processor),
		TEST(
		    control_registers_and_pending_exceptions_refuse_as_they_must),
		TEST(
		    simd_exceptions_are_invalid_opcodes_to_a_system_that_knows_none),
		TEST(all_of_sse2_and_x87_is_known),
		TEST(other_vector_instructions_are_undefined),
		TEST(environments_have_the_layout_of_their_mode),
		TEST(the_last_instruction_is_remembered),
		TEST(only_64_bit_code_saves_all_registers),
		TEST(no_image_from_outside_upsets_the_host),
		TEST(the_guests_rounding_does_not_leak_into_the_host),
		TEST(flags_of_the_hosts_own_arithmetic_stay_out),
		TEST(a_store_to_its_own_code_leaves_the_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
