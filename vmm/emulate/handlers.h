/*
 * handlers.h - the interpreter's operations, as the decoder chooses them.
 *
 * Tables are indexed by operation, form, size (0 to 3: 8, 16, 32, 64 bits) and
 * whether the flags are wanted (1) or not (0).  NULL: there is no such form.
 */
#ifndef VMM_EMULATE_HANDLERS_H
#define VMM_EMULATE_HANDLERS_H

#include "vmm/emulate/emu.h"

enum form { FORM_RR, FORM_RI, FORM_RM, FORM_MR, FORM_MI, FORMS };

enum two_op {
	TWO_ADD,
	TWO_OR,
	TWO_ADC,
	TWO_SBB,
	TWO_AND,
	TWO_SUB,
	TWO_XOR,
	TWO_CMP,
	TWO_TEST,
	TWO_OPS
};
extern const op_fn two_ops[TWO_OPS][FORMS][4][2];

enum one_op { ONE_INC, ONE_DEC, ONE_NOT, ONE_NEG, ONE_OPS };
extern const op_fn one_ops[ONE_OPS][2][4][2]; /* register, memory */

enum shift_op {
	SHIFT_ROL,
	SHIFT_ROR,
	SHIFT_RCL,
	SHIFT_RCR,
	SHIFT_SHL,
	SHIFT_SHR,
	SHIFT_SAR,
	SHIFT_OPS
};
/* register by immediate, register by CL, memory by either */
extern const op_fn shift_ops[SHIFT_OPS][4][4];
extern const op_fn shift_n_ops[SHIFT_OPS][4]; /* register, no flags */

extern const op_fn mov_ops[FORMS][4];
extern const op_fn xchg_ops[2][4];    /* register, memory */
extern const op_fn cmpxchg_ops[2][4]; /* of the destination */
extern const op_fn xadd_ops[2][4];
extern const op_fn muldiv_ops[4][4];    /* mul, imul, div, idiv by src */
extern const op_fn imul_ops[4][4];      /* rr, rm, rri, rmi */
extern const op_fn double_ops[2][2][4]; /* shld, shrd; register, memory */
extern const op_fn bit_ops[2][4];
extern const op_fn scan_ops[4];
extern const op_fn cmov_ops[2][4];
/* from 8, 16, 32 bits: register or memory; to size; zero, sign */
extern const op_fn extend_ops[3][2][4][2];

/* For operations that have only a register form: memory to and from
 * REG_VALUE. */
extern const op_fn load_temp_ops[4];
extern const op_fn store_temp_ops[4];

const struct op *op_lea64(struct emu_cpu *cpu, const struct op *op);
const struct op *op_lea32(struct emu_cpu *cpu, const struct op *op);
const struct op *op_lea16(struct emu_cpu *cpu, const struct op *op);
/* REG_TEMP = the address, cut to aux bits; is it in its segment?;
 * REG_TEMP = imm. */
const struct op *op_address(struct emu_cpu *cpu, const struct op *op);
const struct op *op_check(struct emu_cpu *cpu, const struct op *op);
const struct op *op_constant(struct emu_cpu *cpu, const struct op *op);
const struct op *op_setcc_r(struct emu_cpu *cpu, const struct op *op);
const struct op *op_setcc_m(struct emu_cpu *cpu, const struct op *op);
const struct op *op_bswap(struct emu_cpu *cpu, const struct op *op);
const struct op *op_widen_a(struct emu_cpu *cpu, const struct op *op);
const struct op *op_widen_d(struct emu_cpu *cpu, const struct op *op);
const struct op *op_lahf(struct emu_cpu *cpu, const struct op *op);
const struct op *op_sahf(struct emu_cpu *cpu, const struct op *op);
const struct op *op_carry(struct emu_cpu *cpu, const struct op *op);
const struct op *op_direction(struct emu_cpu *cpu, const struct op *op);
const struct op *op_xlat(struct emu_cpu *cpu, const struct op *op);
const struct op *op_cmpxchg8b(struct emu_cpu *cpu, const struct op *op);
const struct op *op_cmpxchg16b(struct emu_cpu *cpu, const struct op *op);
const struct op *op_popcnt(struct emu_cpu *cpu, const struct op *op);
const struct op *op_nop(struct emu_cpu *cpu, const struct op *op);

/* flow.c: stack and jumps.  Jumps end a block and are followed by a struct
 * link (two for conditional ones: taken, not taken). */
const struct op *op_push64_r(struct emu_cpu *cpu, const struct op *op);
const struct op *op_push64_i(struct emu_cpu *cpu, const struct op *op);
const struct op *op_pop64_r(struct emu_cpu *cpu, const struct op *op);
const struct op *op_push(struct emu_cpu *cpu, const struct op *op);
const struct op *op_pop_r(struct emu_cpu *cpu, const struct op *op);
const struct op *op_pop_m(struct emu_cpu *cpu, const struct op *op);
const struct op *op_leave(struct emu_cpu *cpu, const struct op *op);
const struct op *op_enter(struct emu_cpu *cpu, const struct op *op);
const struct op *op_pusha(struct emu_cpu *cpu, const struct op *op);
const struct op *op_popa(struct emu_cpu *cpu, const struct op *op);
const struct op *op_jmp(struct emu_cpu *cpu, const struct op *op);
const struct op *op_jmp_r(struct emu_cpu *cpu, const struct op *op);
const struct op *op_call64(struct emu_cpu *cpu, const struct op *op);
const struct op *op_call(struct emu_cpu *cpu, const struct op *op);
const struct op *op_call_r(struct emu_cpu *cpu, const struct op *op);
const struct op *op_ret64(struct emu_cpu *cpu, const struct op *op);
const struct op *op_ret(struct emu_cpu *cpu, const struct op *op);
const struct op *op_loop(struct emu_cpu *cpu, const struct op *op);
const struct op *op_jmp_m64(struct emu_cpu *cpu, const struct op *op);
extern const op_fn jump_ops[16]; /* by condition */
/* TWO_CMP or TWO_TEST, and the conditional jump behind it, as one operation;
 * NULL: there is none. */
op_fn fused_op(
    enum two_op what, enum form form, unsigned int size, unsigned int cc);

/* string.c: aux is the size as a power of two; imm the REP prefix (0, 0xf2,
 * 0xf3), more the address width in bits. */
const struct op *op_movs(struct emu_cpu *cpu, const struct op *op);
const struct op *op_stos(struct emu_cpu *cpu, const struct op *op);
const struct op *op_lods(struct emu_cpu *cpu, const struct op *op);
const struct op *op_cmps(struct emu_cpu *cpu, const struct op *op);
const struct op *op_scas(struct emu_cpu *cpu, const struct op *op);
const struct op *op_ins(struct emu_cpu *cpu, const struct op *op);
const struct op *op_outs(struct emu_cpu *cpu, const struct op *op);

/* legacy.c */
const struct op *op_ascii_adjust(struct emu_cpu *cpu, const struct op *op);
const struct op *op_decimal_adjust(struct emu_cpu *cpu, const struct op *op);
const struct op *op_ascii_base(struct emu_cpu *cpu, const struct op *op);
const struct op *op_salc(struct emu_cpu *cpu, const struct op *op);
const struct op *op_bound(struct emu_cpu *cpu, const struct op *op);
const struct op *op_arpl(struct emu_cpu *cpu, const struct op *op);

/* system.c, msr.c, cpuid.c, debug.c, segment.c, transfer.c, syscall.c */
const struct op *op_undefined(struct emu_cpu *cpu, const struct op *op);
const struct op *op_refused(struct emu_cpu *cpu, const struct op *op);
const struct op *op_in(struct emu_cpu *cpu, const struct op *op);
const struct op *op_out(struct emu_cpu *cpu, const struct op *op);
const struct op *op_hlt(struct emu_cpu *cpu, const struct op *op);
const struct op *op_cli(struct emu_cpu *cpu, const struct op *op);
const struct op *op_sti(struct emu_cpu *cpu, const struct op *op);
const struct op *op_pushf(struct emu_cpu *cpu, const struct op *op);
const struct op *op_popf(struct emu_cpu *cpu, const struct op *op);
const struct op *op_int(struct emu_cpu *cpu, const struct op *op);
const struct op *op_int1(struct emu_cpu *cpu, const struct op *op);
const struct op *op_into(struct emu_cpu *cpu, const struct op *op);
const struct op *op_iret(struct emu_cpu *cpu, const struct op *op);
const struct op *op_syscall(struct emu_cpu *cpu, const struct op *op);
const struct op *op_sysret(struct emu_cpu *cpu, const struct op *op);
const struct op *op_sysenter(struct emu_cpu *cpu, const struct op *op);
const struct op *op_sysexit(struct emu_cpu *cpu, const struct op *op);
const struct op *op_hypercall(struct emu_cpu *cpu, const struct op *op);
const struct op *op_swapgs(struct emu_cpu *cpu, const struct op *op);
const struct op *op_cpuid(struct emu_cpu *cpu, const struct op *op);
const struct op *op_rdtsc(struct emu_cpu *cpu, const struct op *op);
const struct op *op_rdmsr(struct emu_cpu *cpu, const struct op *op);
const struct op *op_wrmsr(struct emu_cpu *cpu, const struct op *op);
const struct op *op_mov_from_cr(struct emu_cpu *cpu, const struct op *op);
const struct op *op_mov_to_cr(struct emu_cpu *cpu, const struct op *op);
const struct op *op_mov_from_dr(struct emu_cpu *cpu, const struct op *op);
const struct op *op_mov_to_dr(struct emu_cpu *cpu, const struct op *op);
const struct op *op_clts(struct emu_cpu *cpu, const struct op *op);
const struct op *op_lmsw(struct emu_cpu *cpu, const struct op *op);
const struct op *op_smsw(struct emu_cpu *cpu, const struct op *op);
const struct op *op_invlpg(struct emu_cpu *cpu, const struct op *op);
const struct op *op_privileged_nop(struct emu_cpu *cpu, const struct op *op);
const struct op *op_lgdt(struct emu_cpu *cpu, const struct op *op);
const struct op *op_lidt(struct emu_cpu *cpu, const struct op *op);
const struct op *op_sgdt(struct emu_cpu *cpu, const struct op *op);
const struct op *op_sidt(struct emu_cpu *cpu, const struct op *op);
const struct op *op_lldt(struct emu_cpu *cpu, const struct op *op);
const struct op *op_ltr(struct emu_cpu *cpu, const struct op *op);
const struct op *op_sldt(struct emu_cpu *cpu, const struct op *op);
const struct op *op_str(struct emu_cpu *cpu, const struct op *op);
const struct op *op_verify(struct emu_cpu *cpu, const struct op *op);
const struct op *op_lar_lsl(struct emu_cpu *cpu, const struct op *op);
const struct op *op_mov_from_seg(struct emu_cpu *cpu, const struct op *op);
const struct op *op_mov_to_seg(struct emu_cpu *cpu, const struct op *op);
const struct op *op_pop_seg(struct emu_cpu *cpu, const struct op *op);
const struct op *op_load_far(struct emu_cpu *cpu, const struct op *op);
const struct op *op_jmp_far(struct emu_cpu *cpu, const struct op *op);
const struct op *op_call_far(struct emu_cpu *cpu, const struct op *op);
const struct op *op_ret_far(struct emu_cpu *cpu, const struct op *op);

/* sse.c, x87.c: one handler each for MMX and SSE, and for x87.  more is the
 * mnemonic (a ZydisMnemonic), dst and src are register numbers, imm the
 * immediate, aux says what the operands are; the memory operand, of which there
 * is at most one, is where effective() says. */
#define FPU_SRC_MEM 0x01
#define FPU_DST_MEM 0x02
#define FPU_SRC_GPR 0x04
#define FPU_DST_GPR 0x08
#define FPU_SRC_MMX 0x10
#define FPU_DST_MMX 0x20
#define FPU_GPR64   0x40 /* the general register is 64 bits wide, or REX.W */
#define FPU_IMM     0x80 /* the second of two operands is the immediate */
const struct op *op_sse(struct emu_cpu *cpu, const struct op *op);
bool sse_known(unsigned int mnemonic);
/* What op_sse() will call for op, which is otherwise complete; op_undefined if
 * there is no such form. */
op_fn sse_handler(const struct op *op);
/* Which of SSE3, PCLMULQDQ, SSSE3, SSE4.1, SSE4.2 and AES are known, which is
 * what the host has: bits of CPUID's leaf 1, ECX. */
uint32_t sse_features(void);
/* For x87, dst and src are stack positions, len8 of the memory operand stands
 * in imm: its bits; from bit 16 on ModRM, from bit 24 on the opcode. */
const struct op *op_x87(struct emu_cpu *cpu, const struct op *op);
bool x87_known(unsigned int mnemonic);
/* XSAVE, XRSTOR, XGETBV, XSETBV. */
const struct op *op_xsave(struct emu_cpu *cpu, const struct op *op);
const struct op *op_xrstor(struct emu_cpu *cpu, const struct op *op);
const struct op *op_xgetbv(struct emu_cpu *cpu, const struct op *op);
const struct op *op_xsetbv(struct emu_cpu *cpu, const struct op *op);
/* FXSAVE and FXRSTOR; aux: with REX.W. */
const struct op *op_fxsave(struct emu_cpu *cpu, const struct op *op);
const struct op *op_fxrstor(struct emu_cpu *cpu, const struct op *op);
/* cpu->fx as after power-up; as an FXSAVE64 image says, reserved bits apart. */
void emu_fpu_reset(struct emu_cpu *cpu);
void emu_fpu_put(struct emu_cpu *cpu, const void *image);

#endif
