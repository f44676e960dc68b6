/*
 * x87: executed by the host's own, instruction by instruction.
 *
 * The guest's x87 state is loaded into the host, the same instruction, opcode
 * byte for opcode byte, is executed there (host_fpu.S), and the state is taken
 * back.  So results, precision, tags, condition codes, stack faults and what an
 * unmasked exception leaves behind are the processor's.  Only what handles the
 * state as such is done here.
 *
 * An operand in memory is copied in and, if it is a destination, out.  A
 * destination is read first, as a read-modify-write: that finds page faults
 * before anything has changed, and when an exception keeps the host from
 * storing, the same bytes go back.
 *
 * Cost: about a quarter of a thousand cycles each.  Rejected: to leave the
 * state in the host between instructions, because all of the program's own code
 * would have to know.
 *
 * Limits: no selectors are kept for the instruction and operand pointers (as on
 * CPUs with CPUID leaf 7 EBX bit 13).  Transcendental functions may differ in
 * the last bit between makers of processors.
 */
#include "vmm/emulate/fpu.h"
#include "vmm/emulate/host_fpu.h"

#include <Zydis/Zydis.h>

/* ---- the record ---- */

/* imm: the operand's bits in memory, and above them the opcode and ModRM. */
static unsigned int
opcode_of(const struct op *op)
{
	return (unsigned int)op->imm >> 24 & 7;
}

static unsigned int
modrm_of(const struct op *op)
{
	return (unsigned int)op->imm >> 16 & 0xff;
}

static unsigned int
operand_bytes(const struct op *op)
{
	return ((unsigned int)op->imm & 0xffff) / 8;
}

static bool
in_memory(const struct op *op)
{
	return op->aux & FPU_SRC_MEM;
}

/* ---- may it run? ---- */

static void
x87_available(struct emu_cpu *cpu, const struct op *op)
{
	if (unlikely(cpu->cr0 & (CR0_EM | CR0_TS)))
		emu_fault(cpu, op, EXC_NM);
}

/* The same for instructions that wait for what is pending. */
static void
x87_ready(struct emu_cpu *cpu, const struct op *op)
{
	x87_available(cpu, op);
	if (unlikely(fpu_pending(cpu)))
		emu_fault(cpu, op, EXC_MF);
}

/* ---- computing ---- */

/* Where in memory is the destination?  By opcode & 7, a bit per ModRM reg. */
static bool
stores(const struct op *op)
{
	static const uint8_t rows[8] = { [1] = 0x0c, /* FST FSTP m32 */
		[3] = 0x8e, /* FISTTP FIST FISTP m32, FSTP m80 */
		[5] = 0x0e, /* FISTTP m64, FST FSTP m64 */
		[7] = 0xce /* FISTTP FIST FISTP m16, FBSTP, FISTP m64 */ };

	return rows[opcode_of(op)] >> (modrm_of(op) >> 3 & 7) & 1;
}

struct operand {
	_Alignas(16) uint8_t bytes[16];
};

static void
operand_read(struct emu_cpu *cpu, const struct op *op, struct operand *o)
{
	uint64_t addr = effective(cpu, op), v;
	unsigned int bytes = operand_bytes(op), part;

	for (unsigned int at = 0; at < bytes; at += part) {
		part = bytes - at > 8 ? 8 : bytes - at;
		v = stores(op) ? emu_read_rmw(cpu, op, addr + at, part)
			       : emu_read(cpu, op, addr + at, part);
		memcpy(o->bytes + at, &v, part);
	}
}

static void
operand_write(struct emu_cpu *cpu, const struct op *op, const struct operand *o)
{
	uint64_t addr = effective(cpu, op);
	unsigned int bytes = operand_bytes(op), part;

	for (unsigned int at = 0; at < bytes; at += part) {
		uint64_t v = 0;

		part = bytes - at > 8 ? 8 : bytes - at;
		memcpy(&v, o->bytes + at, part);
		emu_write(cpu, op, addr + at, part, v);
	}
}

/* The pointers to the last instruction that is not a control one: offsets, or
 * linear addresses in real mode. */
static void
remember_place(struct emu_cpu *cpu, const struct op *op)
{
	bool real = cpu->mode & MODE_REAL;
	uint64_t ip = cpu->block->rip + op->pc;

	fx_put16(cpu, FX_FOP, opcode_of(op) << 8 | modrm_of(op));
	fx_put64(cpu, FX_FIP, real ? ip + cpu->seg_base[CPU_CS] : ip);
	if (in_memory(op))
		fx_put64(cpu, FX_FDP,
		    effective(cpu, op) - (real ? 0 : cpu->seg_base[op->seg]));
}

/* Executes it; returns the low byte of EFLAGS, which began as flags.  Apart
 * from the operations, which must not have locals in memory: they end by a tail
 * call. */
static __attribute__((noinline)) unsigned int
execute(struct emu_cpu *cpu, const struct op *op, unsigned int flags)
{
	_Alignas(16) uint8_t image[FX_BYTES];
	unsigned int reg = modrm_of(op) >> 3 & 7;
	struct operand operand = { 0 };
	const uint8_t *slot;

	if (in_memory(op)) {
		operand_read(cpu, op, &operand);
		slot = host_x87_memory[opcode_of(op)][reg];
	} else
		slot = host_x87_register[opcode_of(op)][modrm_of(op) & 63];
	memcpy(image, cpu->fx, FX_XMM);
	memcpy(image + FX_MXCSR, &(uint32_t){ MXCSR_RESET }, 4);
	flags = host_x87_run(image, slot, operand.bytes, flags);
	if (in_memory(op) && stores(op))
		operand_write(cpu, op, &operand);
	memcpy(cpu->fx, image, FX_FOP);
	memcpy(cpu->fx + FX_ST, image + FX_ST, FX_XMM - FX_ST);
	remember_place(cpu, op);
	return flags;
}

static const struct op *
compute(struct emu_cpu *cpu, const struct op *op)
{
	x87_ready(cpu, op);
	execute(cpu, op, 0);
	if (in_memory(op))
		NEXT_STORED;
	NEXT;
}

static const struct op *
move_if(struct emu_cpu *cpu, const struct op *op)
{
	x87_ready(cpu, op);
	execute(cpu, op, emu_flags(cpu) & 0xff);
	NEXT;
}

/* FCOMI and its kind */
static const struct op *
compare(struct emu_cpu *cpu, const struct op *op)
{
	x87_ready(cpu, op);
	flags_put(cpu, FLAGS_ARITH, execute(cpu, op, emu_flags(cpu) & 0xff));
	NEXT;
}

static const struct op *
wait(struct emu_cpu *cpu, const struct op *op)
{
	if ((cpu->cr0 & CR0_MP) && (cpu->cr0 & CR0_TS))
		emu_fault(cpu, op, EXC_NM);
	if (fpu_pending(cpu))
		emu_fault(cpu, op, EXC_MF);
	NEXT;
}

/* ---- control ---- */

static const struct op *
init(struct emu_cpu *cpu, const struct op *op)
{
	x87_available(cpu, op);
	fpu_init(cpu);
	NEXT;
}

/* What meant something to the 8087 and 80287. */
static const struct op *
nothing(struct emu_cpu *cpu, const struct op *op)
{
	x87_available(cpu, op);
	NEXT;
}

static const struct op *
clear_exceptions(struct emu_cpu *cpu, const struct op *op)
{
	x87_available(cpu, op);
	fx_put16(cpu, FX_FSW, fx_get16(cpu, FX_FSW) & 0x7f00u);
	NEXT;
}

static const struct op *
store_status(struct emu_cpu *cpu, const struct op *op)
{
	uint16_t fsw = fx_get16(cpu, FX_FSW);

	x87_available(cpu, op);
	if (in_memory(op)) {
		store16(cpu, op, effective(cpu, op), fsw);
		NEXT_STORED;
	}
	memcpy(&cpu->gpr[CPU_RAX], &fsw, sizeof(fsw));
	NEXT;
}

static const struct op *
store_control(struct emu_cpu *cpu, const struct op *op)
{
	x87_available(cpu, op);
	store16(cpu, op, effective(cpu, op), fx_get16(cpu, FX_FCW));
	NEXT_STORED;
}

static const struct op *
load_control(struct emu_cpu *cpu, const struct op *op)
{
	uint16_t fcw;

	x87_ready(cpu, op);
	fcw = load16(cpu, op, effective(cpu, op));
	fx_put16(cpu, FX_FCW, fcw);
	fpu_canonical(cpu);
	NEXT;
}

/* ---- environments: FNSTENV, FLDENV, FNSAVE, FRSTOR ---- */

/* The environment in front, of 14 or 28 bytes, and then 8 registers. */
#define ENVIRONMENT_WORDS 7
#define REGISTERS_BYTES   80
#define IMAGE_BYTES       (4 * ENVIRONMENT_WORDS + REGISTERS_BYTES)

static bool
has_registers(const struct op *op)
{
	return operand_bytes(op) >= REGISTERS_BYTES;
}

/* 2 or 4: the bytes of a word of the environment. */
static unsigned int
word_bytes(const struct op *op)
{
	unsigned int bytes = operand_bytes(op);

	if (has_registers(op))
		bytes -= REGISTERS_BYTES;
	return bytes / ENVIRONMENT_WORDS;
}

/* The two bits of ST(i) in the full tag word: valid, zero, special, empty. */
static unsigned int
tag_of(const struct emu_cpu *cpu, unsigned int i)
{
	unsigned int exponent = fx_get16(cpu, FX_ST + 16 * i + 8) & 0x7fff;
	uint64_t mantissa = fx_get64(cpu, FX_ST + 16 * i);

	if (!(cpu->fx[FX_FTW] >> ((i + fpu_top(cpu)) & 7) & 1))
		return 3;
	if (exponent == 0 && mantissa == 0)
		return 1;
	return exponent == 0 || exponent == 0x7fff || mantissa >> 63 == 0 ? 2
									  : 0;
}

static unsigned int
full_tags(const struct emu_cpu *cpu)
{
	unsigned int tags = 0;

	for (unsigned int i = 0; i < 8; i++)
		tags |= tag_of(cpu, i) << 2 * ((i + fpu_top(cpu)) & 7);
	return tags;
}

/* The environment as its seven words (SDM 1, 8.1.10).  In real mode the
 * pointers are linear, and their upper bits share words with the opcode. */
static void
environment_get(const struct emu_cpu *cpu, unsigned int bytes,
    uint32_t words[ENVIRONMENT_WORDS])
{
	uint32_t ip = (uint32_t)fx_get64(cpu, FX_FIP);
	uint32_t dp = (uint32_t)fx_get64(cpu, FX_FDP);
	uint32_t fop = fx_get16(cpu, FX_FOP);
	uint32_t unused = bytes == 4 ? 0xffff0000 : 0;

	words[0] = fx_get16(cpu, FX_FCW) | unused;
	words[1] = fx_get16(cpu, FX_FSW) | unused;
	words[2] = full_tags(cpu) | unused;
	words[3] = ip;
	words[4] = bytes == 4 ? fop << 16 : 0;
	words[5] = dp;
	words[6] = unused;
	if (cpu->mode & MODE_REAL) {
		words[3] = (ip & 0xffff) | unused;
		words[4] = (ip >> 16) << 12 | fop;
		words[5] = (dp & 0xffff) | unused;
		words[6] = (dp >> 16) << 12;
	}
}

static void
environment_put(struct emu_cpu *cpu, unsigned int bytes,
    const uint32_t words[ENVIRONMENT_WORDS])
{
	uint64_t ip = words[3], dp = words[5];
	uint32_t fop = bytes == 4 ? words[4] >> 16 : fx_get16(cpu, FX_FOP);
	unsigned int kept = 0;

	if (cpu->mode & MODE_REAL) {
		ip = (words[3] & 0xffff) | (words[4] >> 12) << 16;
		dp = (words[5] & 0xffff) | (words[6] >> 12) << 16;
		fop = words[4];
	}
	for (unsigned int r = 0; r < 8; r++)
		if ((words[2] >> 2 * r & 3) != 3)
			kept |= 1u << r;
	fpu_turn(cpu, words[1] >> 11 & 7);
	fx_put16(cpu, FX_FCW, words[0]);
	fx_put16(cpu, FX_FSW, words[1]);
	cpu->fx[FX_FTW] = (uint8_t)kept;
	fx_put16(cpu, FX_FOP, fop);
	fx_put64(cpu, FX_FIP, (uint32_t)ip);
	fx_put64(cpu, FX_FDP, (uint32_t)dp);
	fpu_canonical(cpu);
}

static __attribute__((noinline)) void
environment_store(struct emu_cpu *cpu, const struct op *op)
{
	uint32_t words[ENVIRONMENT_WORDS];
	uint8_t image[IMAGE_BYTES];
	unsigned int bytes = word_bytes(op), at = ENVIRONMENT_WORDS * bytes;

	environment_get(cpu, bytes, words);
	for (unsigned int i = 0; i < ENVIRONMENT_WORDS; i++)
		memcpy(image + bytes * i, &words[i], bytes);
	for (unsigned int i = 0; i < 8; i++)
		memcpy(image + at + 10 * i, cpu->fx + FX_ST + 16 * i, 10);
	fpu_store(cpu, op, effective(cpu, op), image, operand_bytes(op));
}

static __attribute__((noinline)) void
environment_load(struct emu_cpu *cpu, const struct op *op)
{
	uint32_t words[ENVIRONMENT_WORDS] = { 0 };
	uint8_t image[IMAGE_BYTES];
	unsigned int bytes = word_bytes(op), at = ENVIRONMENT_WORDS * bytes;

	fpu_load(cpu, op, effective(cpu, op), image, operand_bytes(op));
	for (unsigned int i = 0; i < ENVIRONMENT_WORDS; i++)
		memcpy(&words[i], image + bytes * i, bytes);
	environment_put(cpu, bytes, words);
	if (has_registers(op))
		for (unsigned int i = 0; i < 8; i++)
			memcpy(
			    cpu->fx + FX_ST + 16 * i, image + at + 10 * i, 10);
}

static const struct op *
store_environment(struct emu_cpu *cpu, const struct op *op)
{
	x87_available(cpu, op);
	environment_store(cpu, op);
	if (has_registers(op))
		fpu_init(cpu);
	else {
		cpu->fx[FX_FCW] |= FPU_EXCEPTIONS;
		fpu_canonical(cpu);
	}
	NEXT_STORED;
}

static const struct op *
load_environment(struct emu_cpu *cpu, const struct op *op)
{
	x87_ready(cpu, op);
	environment_load(cpu, op);
	NEXT;
}

/* ---- the table ---- */

#define ROW(mnemonic, fn) [ZYDIS_MNEMONIC_##mnemonic] = fn

static const op_fn handlers[ZYDIS_MNEMONIC_MAX_VALUE + 1] = {
	ROW(F2XM1, compute),
	ROW(FABS, compute),
	ROW(FADD, compute),
	ROW(FADDP, compute),
	ROW(FBLD, compute),
	ROW(FBSTP, compute),
	ROW(FCHS, compute),
	ROW(FCMOVB, move_if),
	ROW(FCMOVBE, move_if),
	ROW(FCMOVE, move_if),
	ROW(FCMOVNB, move_if),
	ROW(FCMOVNBE, move_if),
	ROW(FCMOVNE, move_if),
	ROW(FCMOVNU, move_if),
	ROW(FCMOVU, move_if),
	ROW(FCOM, compute),
	ROW(FCOMI, compare),
	ROW(FCOMIP, compare),
	ROW(FCOMP, compute),
	ROW(FCOMPP, compute),
	ROW(FCOS, compute),
	ROW(FDECSTP, compute),
	ROW(FDISI8087_NOP, nothing),
	ROW(FDIV, compute),
	ROW(FDIVP, compute),
	ROW(FDIVR, compute),
	ROW(FDIVRP, compute),
	ROW(FENI8087_NOP, nothing),
	ROW(FFREE, compute),
	ROW(FFREEP, compute),
	ROW(FIADD, compute),
	ROW(FICOM, compute),
	ROW(FICOMP, compute),
	ROW(FIDIV, compute),
	ROW(FIDIVR, compute),
	ROW(FILD, compute),
	ROW(FIMUL, compute),
	ROW(FINCSTP, compute),
	ROW(FIST, compute),
	ROW(FISTP, compute),
	ROW(FISTTP, compute),
	ROW(FISUB, compute),
	ROW(FISUBR, compute),
	ROW(FLD, compute),
	ROW(FLD1, compute),
	ROW(FLDCW, load_control),
	ROW(FLDENV, load_environment),
	ROW(FLDL2E, compute),
	ROW(FLDL2T, compute),
	ROW(FLDLG2, compute),
	ROW(FLDLN2, compute),
	ROW(FLDPI, compute),
	ROW(FLDZ, compute),
	ROW(FMUL, compute),
	ROW(FMULP, compute),
	ROW(FNCLEX, clear_exceptions),
	ROW(FNINIT, init),
	ROW(FNOP, compute),
	ROW(FNSAVE, store_environment),
	ROW(FNSTCW, store_control),
	ROW(FNSTENV, store_environment),
	ROW(FNSTSW, store_status),
	ROW(FPATAN, compute),
	ROW(FPREM, compute),
	ROW(FPREM1, compute),
	ROW(FPTAN, compute),
	ROW(FRNDINT, compute),
	ROW(FRSTOR, load_environment),
	ROW(FSCALE, compute),
	ROW(FSETPM287_NOP, nothing),
	ROW(FSIN, compute),
	ROW(FSINCOS, compute),
	ROW(FSQRT, compute),
	ROW(FST, compute),
	ROW(FSTP, compute),
	ROW(FSTPNCE, compute),
	ROW(FSUB, compute),
	ROW(FSUBP, compute),
	ROW(FSUBR, compute),
	ROW(FSUBRP, compute),
	ROW(FTST, compute),
	ROW(FUCOM, compute),
	ROW(FUCOMI, compare),
	ROW(FUCOMIP, compare),
	ROW(FUCOMP, compute),
	ROW(FUCOMPP, compute),
	ROW(FWAIT, wait),
	ROW(FXAM, compute),
	ROW(FXCH, compute),
	ROW(FXTRACT, compute),
	ROW(FYL2X, compute),
	ROW(FYL2XP1, compute),
};

bool
x87_known(unsigned int mnemonic)
{
	return mnemonic <= ZYDIS_MNEMONIC_MAX_VALUE &&
	    handlers[mnemonic] != NULL;
}

const struct op *
op_x87(struct emu_cpu *cpu, const struct op *op)
{
	return handlers[op->more](cpu, op);
}
