/*
 * The interpreter against the processor it runs on: random instructions with
 * random registers, flags and memory, executed by both, and compared.  In
 * 64-bit code, and in 32-bit code, which a process reaches by a far call.
 *
 * The instruction stands alone, between a prologue that loads all registers and
 * an epilogue that stores them; in the guest it is followed by HLT.  Both see
 * the same page of data at the same address.  Flags that the architecture
 * leaves undefined are not compared.  What the processor refuses by a signal,
 * the interpreter must refuse by an exception.
 */
#include "vmm/emulate/engine_emulate.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <Zydis/Zydis.h>

#include "vmm/emulate/emu.h"
#include "vmm/memory.h"

#define DATA       UINT64_C(0x10000000) /* in both worlds */
#define DATA_BYTES 8192
#define CODE       UINT64_C(0x10010000)
#define NATIVE     UINT64_C(0x30000000) /* the processor's code, and more */
#define GUEST_RAM  (UINT64_C(4) << 20)
#define DATA_PHYS  UINT64_C(0)
#define CODE_PHYS  UINT64_C(0x10000)
#define TABLES     UINT64_C(0x200000)
#define FLAGS      (FLAGS_ARITH | FLAG_DF)

struct regs {
	uint64_t gpr[16];
	uint64_t flags;
};

struct machine {
	struct memory memory;
	struct engine_vm *vm;
	struct engine_cpu *cpu;
	struct engine_io io;
	struct cpu_state reset;
	ZydisDecoder decoder;
	bool code64;
	uint64_t random;
};

/* ---- the processor ---- */

/* In a page that 32-bit code reaches: the trampoline, what it loads and stores,
 * and a stack. */
static struct page {
	uint8_t trampoline[1024];
	struct regs native;
	uint64_t stack_was;
	uint8_t far_pointer[6];
	uint8_t stack[1024];
} *const page = (struct page *)(uintptr_t)NATIVE;

static sigjmp_buf refused;

static void
on_signal(int signal)
{
	siglongjmp(refused, signal);
}

static uint32_t
low_address(const void *p)
{
	return (uint32_t)(uintptr_t)p;
}

static uint8_t *
put(uint8_t *at, const char *bytes, size_t n)
{
	memcpy(at, bytes, n);
	return at + n;
}

/* Writes the trampoline around code.  R15 and RSP are not the test's. */
static void
build64(const uint8_t *code, size_t bytes)
{
	uint8_t *at = page->trampoline;
	uint64_t place = (uint64_t)(uintptr_t)&page->native;

	/* push rbx rbp r12 r13 r14 r15; mov r15, &native */
	at = put(at, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57\x49\xbf", 12);
	at = put(at, (const char *)&place, 8);
	/* push [r15+128]; popfq */
	at = put(at, "\x41\xff\xb7\x80\x00\x00\x00\x9d", 8);
	for (unsigned int r = 0; r < 15; r++) {
		/* mov r, [r15+8r] */
		if (r == CPU_RSP)
			continue;
		*at++ = (uint8_t)(0x49 | (r >= 8) << 2);
		*at++ = 0x8b;
		*at++ = (uint8_t)(0x47 | (r & 7) << 3);
		*at++ = (uint8_t)(8 * r);
	}
	at = put(at, (const char *)code, bytes);
	for (unsigned int r = 0; r < 15; r++) {
		if (r == CPU_RSP)
			continue;
		*at++ = (uint8_t)(0x49 | (r >= 8) << 2);
		*at++ = 0x89;
		*at++ = (uint8_t)(0x47 | (r & 7) << 3);
		*at++ = (uint8_t)(8 * r);
	}
	/* pushfq; pop [r15+128]; cld; pop r15 ... rbx; ret */
	put(at,
	    "\x9c\x41\x8f\x87\x80\x00\x00\x00\xfc"
	    "\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3",
	    20);
}

static uint8_t *
put32(uint8_t *at, const char *opcode, size_t n, const void *operand)
{
	uint32_t address = low_address(operand);

	return put(put(at, opcode, n), (const char *)&address, 4);
}

/* The same for 32-bit code, which needs all segments and a stack below 4 GiB.
 * ESP is not the test's. */
static void
build32(const uint8_t *code, size_t bytes)
{
	uint8_t *at = page->trampoline, *entry = page->trampoline + 256;

	/* push rbx rbp r12 r13 r14 r15; mov eax, 0x2b; mov ds, eax; mov es,
	 * eax; mov [stack_was], rsp; mov esp, stack; lcall [far_pointer]; mov
	 * rsp, [stack_was]; pop r15 ... rbx; ret */
	at = put(at, "\x53\x55\x41\x54\x41\x55\x41\x56\x41\x57", 10);
	at = put(at, "\xb8\x2b\0\0\0\x8e\xd8\x8e\xc0", 9);
	at = put32(at, "\x48\x89\x24\x25", 4, &page->stack_was);
	at = put32(at, "\xbc", 1, page->stack + sizeof(page->stack));
	at = put32(at, "\xff\x1c\x25", 3, page->far_pointer);
	at = put32(at, "\x48\x8b\x24\x25", 4, &page->stack_was);
	put(at, "\x41\x5f\x41\x5e\x41\x5d\x41\x5c\x5d\x5b\xc3", 11);
	put32(page->far_pointer, "", 0, entry);
	put(page->far_pointer + 4, "\x23\0", 2);
	/* push [flags]; popfd */
	at = put32(entry, "\xff\x35", 2, &page->native.flags);
	*at++ = 0x9d;
	for (unsigned int r = 0; r < 8; r++) {
		const char load[2] = { (char)0x8b, (char)(5 | r << 3) };

		if (r != CPU_RSP)
			at = put32(at, load, 2, &page->native.gpr[r]);
	}
	at = put(at, (const char *)code, bytes);
	for (unsigned int r = 0; r < 8; r++) {
		const char store[2] = { (char)0x89, (char)(5 | r << 3) };

		if (r != CPU_RSP)
			at = put32(at, store, 2, &page->native.gpr[r]);
	}
	/* pushfd; pop [flags]; cld; retf */
	at = put32(at, "\x9c\x8f\x05", 3, &page->native.flags);
	put(at, "\xfc\xcb", 2);
}

/* The test library has handlers of its own, which it sets around each test. */
static void
catch_signals(struct sigaction was[4])
{
	static const int caught[4] = { SIGFPE, SIGSEGV, SIGILL, SIGBUS };
	static uint8_t stack[65536];
	struct sigaction action = { .sa_handler = on_signal,
		.sa_flags = SA_ONSTACK };
	stack_t signals = { .ss_sp = stack, .ss_size = sizeof(stack) }, had;

	/* A sanitizer may have given one. */
	if (sigaltstack(NULL, &had) == 0 && (had.ss_flags & SS_DISABLE))
		sigaltstack(&signals, NULL);
	for (int i = 0; i < 4; i++)
		sigaction(caught[i], &action, &was[i]);
}

static void
uncatch_signals(const struct sigaction was[4])
{
	static const int caught[4] = { SIGFPE, SIGSEGV, SIGILL, SIGBUS };

	for (int i = 0; i < 4; i++)
		sigaction(caught[i], &was[i], NULL);
}

/* Runs it on the processor; false: it was refused. */
static bool
run_native(struct regs *regs)
{
	void (*call)(void);

	uint8_t *code = page->trampoline;

	page->native = *regs;
	memcpy(&call, &code, sizeof(call));
	if (sigsetjmp(refused, 1) != 0) {
		__asm__ volatile("cld");
		return false;
	}
	call();
	*regs = page->native;
	return true;
}

/* ---- the interpreter ---- */

static bool
run_emulated(
    struct machine *m, const uint8_t *code, size_t bytes, struct regs *regs)
{
	uint8_t *at = memory_at(&m->memory, CODE_PHYS, 32);
	struct cpu_state state = m->reset;
	struct engine_exit exit;

	memcpy(at, code, bytes);
	at[bytes] = 0xf4;
	emu_code_written((struct emu_vm *)m->vm, CODE_PHYS, 32);
	memcpy(state.gpr, regs->gpr, sizeof(regs->gpr));
	state.rflags = regs->flags;
	state.rip = CODE;
	assert_int_equal(engine_emulate.state_set(m->cpu, &state, NULL), 0);
	engine_emulate.run(m->cpu, &exit);
	assert_int_equal(engine_emulate.state_get(m->cpu, &state, NULL), 0);
	memcpy(regs->gpr, state.gpr, sizeof(regs->gpr));
	regs->flags = state.rflags;
	if (exit.kind == EXIT_HALT)
		return state.rip == CODE + bytes + 1;
	assert_int_equal(exit.kind, EXIT_SHUTDOWN);
	return false;
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

static uint64_t
tsc_is_retired(void *arg, unsigned int cpu, uint64_t n)
{
	(void)arg;
	(void)cpu;
	return n;
}

static int
setup_code(void **state, bool code64)
{
	struct machine *m = calloc(1, sizeof(*m));
	struct engine_config config = { .ncpus = 1 };
	uint64_t *tables;

	assert_non_null(m);
	assert_int_equal(memory_init(&m->memory, GUEST_RAM, NULL), 0);
	m->io.msr_read = no_msr;
	m->io.tsc = tsc_is_retired;
	config.memory = &m->memory;
	config.io = &m->io;
	m->vm = engine_emulate.vm_new(&config, NULL);
	assert_non_null(m->vm);
	m->cpu = engine_emulate.cpu_new(m->vm, NULL);
	assert_non_null(m->cpu);
	m->code64 = code64;
	ZydisDecoderInit(&m->decoder,
	    code64 ? ZYDIS_MACHINE_MODE_LONG_64 : ZYDIS_MACHINE_MODE_LEGACY_32,
	    code64 ? ZYDIS_STACK_WIDTH_64 : ZYDIS_STACK_WIDTH_32);

	/* 0x10000000 to 0x101fffff is mapped to the first 2 MiB. */
	tables = memory_at(&m->memory, TABLES, 3 * 4096);
	tables[0] = TABLES + 0x1000 + 7;
	tables[512] = TABLES + 0x2000 + 7;
	tables[1024 + (DATA >> 21)] = 0x87;
	assert_int_equal(engine_emulate.state_get(m->cpu, &m->reset, NULL), 0);
	m->reset.cr0 = 0x80010011;
	m->reset.cr3 = TABLES;
	m->reset.cr4 = CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT;
	m->reset.msr[CPU_MSR_EFER] = EFER_LME | EFER_LMA;
	for (unsigned int i = CPU_ES; i <= CPU_GS; i++)
		m->reset.seg[i] = (struct cpu_seg){ .limit = 0xffffffff,
			.attributes = i != CPU_CS ? 0xc093
			    : code64              ? 0xa09b
						  : 0xc09b,
			.selector = i == CPU_CS ? 0x10 : 0x18 };
	m->reset.idt.limit = 0; /* any exception ends in a shutdown */
	m->reset.run = CPU_RUNNING;
	m->random = 88172645463325252u;

	assert_ptr_equal(
	    mmap((void *)(uintptr_t)DATA, DATA_BYTES, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
	    (void *)(uintptr_t)DATA);
	assert_ptr_equal(
	    mmap(page, sizeof(*page), PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
	    page);
	*state = m;
	return 0;
}

static int
setup64(void **state)
{
	return setup_code(state, true);
}

static int
setup32(void **state)
{
	return setup_code(state, false);
}

static int
teardown(void **state)
{
	struct machine *m = *state;

	munmap((void *)(uintptr_t)DATA, DATA_BYTES);
	munmap(page, sizeof(*page));
	engine_emulate.cpu_free(m->cpu);
	engine_emulate.vm_free(m->vm);
	memory_free(&m->memory);
	free(m);
	return 0;
}

/* ---- random instructions ---- */

static uint64_t
next(struct machine *m)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random * UINT64_C(0x2545f4914f6cdd1d);
}

/* Values at the edges come often. */
static uint64_t
value(struct machine *m)
{
	static const uint64_t edge[] = { 0, 1, 2, 0x7f, 0x80, 0xff, 0x7fff,
		0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, INT64_MAX,
		(uint64_t)INT64_MIN, UINT64_MAX, 31, 32, 63, 64 };
	uint64_t r = next(m);

	switch (r & 3) {
	case 0: return edge[(r >> 8) % (sizeof(edge) / sizeof(edge[0]))];
	case 1: return next(m) >> (r >> 8 & 63);
	}
	return next(m);
}

static bool
allowed_mnemonic(const ZydisDecodedInstruction *in)
{
	if (in->mnemonic == ZYDIS_MNEMONIC_BOUND)
		return true; /* the only one that asks for an interrupt */
	switch (in->meta.category) {
	case ZYDIS_CATEGORY_BINARY:
	case ZYDIS_CATEGORY_BITBYTE:
	case ZYDIS_CATEGORY_CMOV:
	case ZYDIS_CATEGORY_CONVERT:
	case ZYDIS_CATEGORY_DATAXFER:
	case ZYDIS_CATEGORY_DECIMAL:
	case ZYDIS_CATEGORY_FLAGOP:
	case ZYDIS_CATEGORY_LOGICAL:
	case ZYDIS_CATEGORY_MISC:
	case ZYDIS_CATEGORY_NOP:
	case ZYDIS_CATEGORY_WIDENOP:
	case ZYDIS_CATEGORY_ROTATE:
	case ZYDIS_CATEGORY_SEMAPHORE:
	case ZYDIS_CATEGORY_SETCC:
	case ZYDIS_CATEGORY_SHIFT:
	case ZYDIS_CATEGORY_STRINGOP: break;
	default: return false;
	}
	switch (in->meta.isa_set) {
	case ZYDIS_ISA_SET_I86:
	case ZYDIS_ISA_SET_I186:
	case ZYDIS_ISA_SET_I386:
	case ZYDIS_ISA_SET_I486:
	case ZYDIS_ISA_SET_I486REAL:
	case ZYDIS_ISA_SET_PENTIUMREAL:
	case ZYDIS_ISA_SET_CMOV:
	case ZYDIS_ISA_SET_CMPXCHG16B:
	case ZYDIS_ISA_SET_FAT_NOP:
	case ZYDIS_ISA_SET_LAHF:
	case ZYDIS_ISA_SET_LONGMODE:
	case ZYDIS_ISA_SET_PPRO:
	case ZYDIS_ISA_SET_POPCNT: break;
	default: return false;
	}
	switch (in->mnemonic) {
	case ZYDIS_MNEMONIC_CPUID:
	case ZYDIS_MNEMONIC_RDTSC:
	case ZYDIS_MNEMONIC_UD0:
	case ZYDIS_MNEMONIC_UD1:
	case ZYDIS_MNEMONIC_UD2:
	case ZYDIS_MNEMONIC_ENTER:
	case ZYDIS_MNEMONIC_LEAVE:
	case ZYDIS_MNEMONIC_STI:
	case ZYDIS_MNEMONIC_CLI:
	case ZYDIS_MNEMONIC_XLAT: /* its address is RBX + AL */ return false;
	default: return true;
	}
}

static bool
is_base(ZydisRegister reg)
{
	switch (reg) {
	case ZYDIS_REGISTER_EBX:
	case ZYDIS_REGISTER_RBX:
	case ZYDIS_REGISTER_ESI:
	case ZYDIS_REGISTER_RSI:
	case ZYDIS_REGISTER_EDI:
	case ZYDIS_REGISTER_RDI:
	case ZYDIS_REGISTER_R11: return true;
	default: return false;
	}
}

/* Can the test bear what its operands touch? */
static bool
allowed_operands(
    const ZydisDecodedInstruction *in, const ZydisDecodedOperand *o)
{
	for (unsigned int n = 0; n < in->operand_count; n++) {
		if (o[n].type == ZYDIS_OPERAND_TYPE_REGISTER) {
			ZydisRegister r = o[n].reg.value;
			ZydisRegisterClass c = ZydisRegisterGetClass(r);
			ZydisRegister whole = ZydisRegisterGetLargestEnclosing(
			    ZYDIS_MACHINE_MODE_LONG_64, r);

			if (c == ZYDIS_REGCLASS_SEGMENT ||
			    c == ZYDIS_REGCLASS_CONTROL ||
			    c == ZYDIS_REGCLASS_DEBUG ||
			    whole == ZYDIS_REGISTER_RSP ||
			    whole == ZYDIS_REGISTER_R15)
				return false;
		}
		if (o[n].type == ZYDIS_OPERAND_TYPE_MEMORY) {
			const ZydisDecodedOperandMem *mem = &o[n].mem;

			if (mem->segment == ZYDIS_REGISTER_FS ||
			    mem->segment == ZYDIS_REGISTER_GS ||
			    !is_base(mem->base) ||
			    mem->index == ZYDIS_REGISTER_R15 ||
			    mem->index == mem->base ||
			    in->address_width !=
				ZydisRegisterGetWidth(
				    in->machine_mode, mem->base) ||
			    in->address_width == 16 ||
			    (in->address_width == 32 &&
				in->machine_mode ==
				    ZYDIS_MACHINE_MODE_LONG_64) ||
			    mem->disp.value > 1024 || mem->disp.value < -1024)
				return false;
		}
	}
	return true;
}

/* Puts a random instruction into code, and registers that suit it into regs.
 * False: try again. */
static bool
draw(struct machine *m, uint8_t code[16], ZydisDecodedInstruction *in,
    struct regs *regs)
{
	static const uint8_t prefixes[] = { 0x66, 0xf0, 0xf2, 0xf3 };
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	uint64_t r = next(m), bits;
	unsigned int n = 0;

	if ((r & 7) == 0)
		code[n++] = prefixes[r >> 3 & 3];
	if ((r >> 5 & 1) == 0 && m->code64)
		code[n++] = (uint8_t)(0x40 | (r >> 6 & 15));
	if ((r >> 10 & 1) == 0)
		code[n++] = 0x0f;
	bits = next(m);
	memcpy(code + n, &bits, 8);
	bits = next(m);
	memcpy(code + n + 8, &bits, 16 - n - 8);
	if ((r >> 11 & 1) == 0) /* a small displacement or a register */
		code[n + 1] = (uint8_t)((code[n + 1] & 0x3f) |
		    (r >> 12 & 1 ? 0xc0 : 0x40));
	if (ZYAN_FAILED(ZydisDecoderDecodeFull(&m->decoder, code, 15, in, o)) ||
	    !allowed_mnemonic(in) || !allowed_operands(in, o))
		return false;

	for (unsigned int g = 0; g < 16; g++)
		regs->gpr[g] = m->code64 ? value(m)
		    : g < 8              ? (uint32_t)value(m)
					 : 0;
	regs->gpr[CPU_RBX] = DATA + 4096 + (r >> 20 & 7);
	regs->gpr[CPU_RSI] = DATA + 4096 - (r >> 24 & 15);
	regs->gpr[CPU_RDI] = DATA + 2048 + (r >> 28 & 63);
	regs->gpr[CPU_R11] = DATA + 4096;
	regs->gpr[CPU_RSP] = DATA + 4096;
	regs->flags = (next(m) & (FLAGS_ARITH)) | FLAG_ONE |
	    ((r >> 40 & 7) == 0 ? FLAG_DF : 0);
	for (unsigned int k = 0; k < in->operand_count; k++)
		if (o[k].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		    o[k].mem.index != ZYDIS_REGISTER_NONE)
			regs->gpr[ZydisRegisterGetId(o[k].mem.index)] =
			    next(m) & 31;
	if (in->meta.category == ZYDIS_CATEGORY_STRINGOP)
		regs->gpr[CPU_RCX] &= 31;
	/* More than the operand's 16 bits: the result is undefined. */
	if ((in->mnemonic == ZYDIS_MNEMONIC_SHLD ||
		in->mnemonic == ZYDIS_MNEMONIC_SHRD) &&
	    in->operand_width == 16) {
		if (o[2].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
		    (o[2].imm.value.u & 31) > 16)
			return false;
		regs->gpr[CPU_RCX] &= 15;
	}
	/* A bit string reaches as far as its register says. */
	if (in->meta.category == ZYDIS_CATEGORY_BITBYTE &&
	    in->raw.modrm.mod != 3)
		for (unsigned int k = 1; k < in->operand_count_visible; k++)
			if (o[k].type == ZYDIS_OPERAND_TYPE_REGISTER) {
				unsigned int id =
				    (unsigned int)ZydisRegisterGetId(
					o[k].reg.value);

				regs->gpr[id] =
				    (uint64_t)((int64_t)(next(m) & 4095) -
					2048);
				if (!m->code64)
					regs->gpr[id] = (uint32_t)regs->gpr[id];
				if (id == CPU_RBX || id == CPU_RSI ||
				    id == CPU_RDI || id == CPU_R11 ||
				    o[0].mem.index != ZYDIS_REGISTER_NONE)
					return false;
			}
	return true;
}

/* ---- comparison ---- */

static _Noreturn void
disagree(const ZydisDecodedInstruction *in, const uint8_t *code,
    const struct regs *before, const struct regs *want, const struct regs *have,
    const char *what)
{
	char line[64] = "";

	for (unsigned int i = 0; i < in->length; i++)
		snprintf(line + 3 * i, 4, "%02x ", code[i]);
	print_message(
	    "%s: %s(%s)\n", what, ZydisMnemonicGetString(in->mnemonic), line);
	for (unsigned int g = 0; g < 15; g++)
		print_message("  gpr %2u  before %016lx  host %016lx  "
			      "emulated %016lx%s\n",
		    g, (unsigned long)before->gpr[g],
		    (unsigned long)want->gpr[g], (unsigned long)have->gpr[g],
		    g != CPU_RSP && want->gpr[g] != have->gpr[g] ? "  <--"
								 : "");
	print_message("  flags   before %08lx host %08lx emulated %08lx\n",
	    (unsigned long)before->flags, (unsigned long)want->flags,
	    (unsigned long)have->flags);
	fail();
	abort();
}

/* Those that 64-bit code has no more. */
static const ZydisMnemonic legacy[] = { ZYDIS_MNEMONIC_AAA, ZYDIS_MNEMONIC_AAS,
	ZYDIS_MNEMONIC_DAA, ZYDIS_MNEMONIC_DAS, ZYDIS_MNEMONIC_AAM,
	ZYDIS_MNEMONIC_AAD, ZYDIS_MNEMONIC_SALC, ZYDIS_MNEMONIC_BOUND };

static void
one_case(struct machine *m, bool *refusal, ZydisMnemonic *mnemonic)
{
	uint8_t *host = (uint8_t *)(uintptr_t)DATA;
	uint8_t *guest = memory_at(&m->memory, DATA_PHYS, DATA_BYTES);
	struct regs before, want, have;
	ZydisDecodedInstruction in;
	uint64_t undefined;
	struct sigaction was[4];
	uint8_t code[24];
	bool did, does;

	while (!draw(m, code, &in, &before))
		;
	for (unsigned int i = 0; i < 64; i++) {
		uint64_t v = value(m);

		/* around where the operands lie */
		memcpy(host + 4096 - 256 + 8 * i, &v, 8);
	}
	memcpy(guest, host, DATA_BYTES);
	emu_code_written((struct emu_vm *)m->vm, DATA_PHYS, DATA_BYTES);
	want = have = before;
	if (m->code64)
		build64(code, in.length);
	else
		build32(code, in.length);
	catch_signals(was);
	did = run_native(&want);
	uncatch_signals(was);
	does = run_emulated(m, code, in.length, &have);
	*refusal = !did;
	*mnemonic = in.mnemonic;
	if (did != does)
		disagree(&in, code, &before, &want, &have,
		    did ? "the interpreter refuses" : "the processor refuses");
	if (!did) {
		/* What a refused instruction leaves of its flags is not
		 * asked; its memory must be as it was. */
		if (memcmp(host, guest, DATA_BYTES) != 0)
			disagree(&in, code, &before, &want, &have,
			    "memory after a refusal");
		return;
	}
	undefined = in.cpu_flags != NULL ? in.cpu_flags->undefined : 0;
	for (unsigned int g = 0; g < 15; g++)
		if (g != CPU_RSP && want.gpr[g] != have.gpr[g])
			disagree(&in, code, &before, &want, &have, "registers");
	if ((want.flags ^ have.flags) & FLAGS & ~undefined)
		disagree(&in, code, &before, &want, &have, "flags");
	if (memcmp(host, guest, DATA_BYTES) != 0)
		disagree(&in, code, &before, &want, &have, "memory");
}

static void
random_instructions(struct machine *m)
{
	const char *cases = getenv("EMULATE_CASES");
	unsigned long n = cases != NULL ? strtoul(cases, NULL, 10) : 200000;
	static unsigned long seen[ZYDIS_MNEMONIC_MAX_VALUE + 1];
	unsigned int distinct = 0;
	unsigned long refusals = 0;

	memset(seen, 0, sizeof(seen));
	for (unsigned long i = 0; i < n; i++) {
		ZydisMnemonic mnemonic;
		bool refusal;

		one_case(m, &refusal, &mnemonic);
		distinct += seen[mnemonic]++ == 0;
		refusals += refusal;
	}
	print_message("# figure: %lu %s-bit instructions of %u mnemonics "
		      "agree, %lu of them refused by both\n",
	    n, m->code64 ? "64" : "32", distinct, refusals);
	assert_true(distinct > 80);
	if (!m->code64)
		for (unsigned int i = 0; i < sizeof(legacy) / sizeof(legacy[0]);
		     i++)
			assert_true(seen[legacy[i]] > 0);
}

static void
random_instructions_do_what_the_processor_does(void **state)
{
	random_instructions(*state);
}

/* A kernel may have been built without 32-bit programs. */
static bool
has_code32(void)
{
	uint32_t rights = 0;

	__asm__("lar %1, %0" : "+r"(rights) : "r"(0x23));
	return (rights & 0xc0ff00) == 0xc0fb00;
}

static void
random_32_bit_instructions_do_what_the_processor_does(void **state)
{
	if (!has_code32())
		skip();
	random_instructions(*state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    random_instructions_do_what_the_processor_does, setup64,
		    teardown),
		cmocka_unit_test_setup_teardown(
		    random_32_bit_instructions_do_what_the_processor_does,
		    setup32, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
