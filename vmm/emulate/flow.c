/*
 * The stack, and where execution goes on.
 *
 * A jump is followed by one record that links to its target (two if it is
 * conditional), so that loops run from block to block without a look-up.
 * Returns and indirect jumps look in a small table of recent targets first;
 * they fault themselves if the target cannot be one, as Intel's processors do.
 * Relative ones fault there.
 */
#include "vmm/emulate/handlers.h"

/* ---- stack ---- */

/* Stores at sp, which the stack pointer is not yet. */
static void
put(struct emu_cpu *cpu, const struct op *op, unsigned int bytes, uint64_t sp,
    uint64_t value)
{
	uint64_t at = stack_at(cpu, op, sp, bytes, true);

	switch (bytes) {
	case 2: store16(cpu, op, at, (uint16_t)value); break;
	case 4: store32(cpu, op, at, (uint32_t)value); break;
	default: store64(cpu, op, at, value); break;
	}
}

static void
push(struct emu_cpu *cpu, const struct op *op, unsigned int bytes,
    uint64_t value)
{
	uint64_t sp = cpu->gpr[CPU_RSP] - bytes;

	put(cpu, op, bytes, sp, value);
	stack_set(cpu, sp);
}

static uint64_t
peek(struct emu_cpu *cpu, const struct op *op, unsigned int bytes,
    uint64_t offset)
{
	uint64_t at =
	    stack_at(cpu, op, cpu->gpr[CPU_RSP] + offset, bytes, false);

	switch (bytes) {
	case 2: return load16(cpu, op, at);
	case 4: return load32(cpu, op, at);
	}
	return load64(cpu, op, at);
}

const struct op *
op_push64_r(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t sp = cpu->gpr[CPU_RSP] - 8;

	store64(cpu, op, sp, cpu->gpr[op->src]);
	cpu->gpr[CPU_RSP] = sp;
	NEXT_STORED;
}

const struct op *
op_push64_i(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t sp = cpu->gpr[CPU_RSP] - 8;

	store64(cpu, op, sp, (uint64_t)op->imm);
	cpu->gpr[CPU_RSP] = sp;
	NEXT_STORED;
}

const struct op *
op_pop64_r(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t v = load64(cpu, op, cpu->gpr[CPU_RSP]);

	cpu->gpr[CPU_RSP] += 8;
	cpu->gpr[op->dst] = v;
	NEXT;
}

/* gpr[src]; aux is the size as a power of two. */
const struct op *
op_push(struct emu_cpu *cpu, const struct op *op)
{
	push(cpu, op, 1u << op->aux, cpu->gpr[op->src]);
	NEXT_STORED;
}

const struct op *
op_pop_r(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux;
	uint64_t v = peek(cpu, op, bytes, 0);

	stack_set(cpu, cpu->gpr[CPU_RSP] + bytes);
	if (bytes == 2)
		cpu->gpr[op->dst] = (cpu->gpr[op->dst] & ~UINT64_C(0xffff)) | v;
	else
		cpu->gpr[op->dst] = v;
	NEXT;
}

/* The address is computed with the new stack pointer (SDM 2, POP). */
const struct op *
op_pop_m(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux;
	uint64_t v = peek(cpu, op, bytes, 0), was = cpu->gpr[CPU_RSP], at;

	stack_set(cpu, was + bytes);
	at = effective(cpu, op);
	cpu->gpr[CPU_RSP] = was; /* in case the store faults */
	switch (bytes) {
	case 2: store16(cpu, op, at, (uint16_t)v); break;
	case 4: store32(cpu, op, at, (uint32_t)v); break;
	default: store64(cpu, op, at, v); break;
	}
	stack_set(cpu, was + bytes);
	NEXT_STORED;
}

const struct op *
op_leave(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux;
	uint64_t sp = cpu->gpr[CPU_RBP], v;

	v = bytes == 2   ? load16(cpu, op, stack_at(cpu, op, sp, bytes, false))
	    : bytes == 4 ? load32(cpu, op, stack_at(cpu, op, sp, bytes, false))
			 : load64(cpu, op, stack_at(cpu, op, sp, bytes, false));
	stack_set(cpu, sp + bytes);
	if (bytes == 2)
		cpu->gpr[CPU_RBP] = (cpu->gpr[CPU_RBP] & ~UINT64_C(0xffff)) | v;
	else
		cpu->gpr[CPU_RBP] = v;
	NEXT;
}

/* imm: bytes for the frame, src: nesting level. */
const struct op *
op_enter(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux, level = op->src % 32;
	uint64_t sp = cpu->gpr[CPU_RSP] - bytes, frame = sp;
	uint64_t bp = cpu->gpr[CPU_RBP];

	/* The registers change when nothing can fault any more. */
	put(cpu, op, bytes, sp, bp);
	for (unsigned int i = 1; i < level; i++) {
		uint64_t v;

		bp -= bytes;
		v = bytes == 8
		    ? load64(cpu, op, stack_at(cpu, op, bp, bytes, false))
		    : bytes == 4
		    ? load32(cpu, op, stack_at(cpu, op, bp, bytes, false))
		    : load16(cpu, op, stack_at(cpu, op, bp, bytes, false));
		sp -= bytes;
		put(cpu, op, bytes, sp, v);
	}
	if (level > 0) {
		sp -= bytes;
		put(cpu, op, bytes, sp, frame);
	}
	cpu->gpr[CPU_RBP] = bytes == 2
	    ? (cpu->gpr[CPU_RBP] & ~UINT64_C(0xffff)) | (uint16_t)frame
	    : bytes == 4 ? (uint32_t)frame
			 : frame;
	stack_set(cpu, sp - (uint64_t)op->imm);
	NEXT_STORED;
}

const struct op *
op_pusha(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux;
	uint64_t sp = cpu->gpr[CPU_RSP];

	for (unsigned int r = 0; r < 8; r++) {
		sp -= bytes;
		put(cpu, op, bytes, sp, cpu->gpr[r]);
	}
	stack_set(cpu, sp);
	NEXT_STORED;
}

const struct op *
op_popa(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux;
	uint64_t v[8];

	for (unsigned int r = 0; r < 8; r++)
		v[7 - r] = peek(cpu, op, bytes, r * bytes);
	for (unsigned int r = 0; r < 8; r++)
		if (r != CPU_RSP)
			cpu->gpr[r] = bytes == 2
			    ? (cpu->gpr[r] & ~UINT64_C(0xffff)) | v[r]
			    : v[r];
	stack_set(cpu, cpu->gpr[CPU_RSP] + 8 * bytes);
	NEXT;
}

/* ---- jumps ---- */

#define FOLLOW(n)                                                           \
	do {                                                                \
		struct link *l_ = (struct link *)(uintptr_t)(op + 1 + (n)); \
                                                                            \
		if (likely(l_->to != NULL &&                                \
			(l_->generation == 0 ||                             \
			    l_->generation == cpu->generation)))            \
			GO(l_->to);                                         \
		return emu_follow(cpu, l_);                                 \
	} while (0)

/* To a place that is known only now; sp was the stack pointer before. */
#define GO_TO(target, sp)                                               \
	do {                                                            \
		uint64_t t_ = (target);                                 \
		struct jump *j_ = &cpu->jumps[(t_ ^ t_ >> 12) % JUMPS]; \
		struct block *b_ = j_->block;                           \
                                                                        \
		cpu->rip = t_;                                          \
		if (likely(b_ != NULL && j_->rip == t_ &&               \
			j_->generation == cpu->generation &&            \
			b_->mode == cpu->mode && !b_->dead))            \
			GO(b_->op);                                     \
		return emu_branch(cpu, op, sp);                         \
	} while (0)

const struct op *
op_jmp(struct emu_cpu *cpu, const struct op *op)
{
	FOLLOW(0);
}

static inline uint64_t
rip_cut(const struct emu_cpu *cpu, uint64_t rip, unsigned int bytes)
{
	(void)cpu;
	return bytes == 2 ? (uint16_t)rip : bytes == 4 ? (uint32_t)rip : rip;
}

const struct op *
op_jmp_r(struct emu_cpu *cpu, const struct op *op)
{
	GO_TO(
	    rip_cut(cpu, cpu->gpr[op->src], 1u << op->aux), cpu->gpr[CPU_RSP]);
}

/* The target in memory; 64-bit code. */
const struct op *
op_jmp_m64(struct emu_cpu *cpu, const struct op *op)
{
	GO_TO(load64(cpu, op, effective(cpu, op)), cpu->gpr[CPU_RSP]);
}

const struct op *
op_call64(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t sp = cpu->gpr[CPU_RSP] - 8;

	store64(cpu, op, sp, next_rip(cpu, op));
	cpu->gpr[CPU_RSP] = sp;
	/* If the store hit code, the target's head knows. */
	FOLLOW(0);
}

const struct op *
op_call(struct emu_cpu *cpu, const struct op *op)
{
	push(cpu, op, 1u << op->aux, next_rip(cpu, op));
	FOLLOW(0);
}

const struct op *
op_call_r(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t to = cpu->gpr[op->src], sp = cpu->gpr[CPU_RSP];

	push(cpu, op, 1u << op->aux, next_rip(cpu, op));
	GO_TO(rip_cut(cpu, to, 1u << op->aux), sp);
}

const struct op *
op_ret64(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t to = load64(cpu, op, cpu->gpr[CPU_RSP]);

	cpu->gpr[CPU_RSP] += 8;
	GO_TO(to, cpu->gpr[CPU_RSP] - 8);
}

/* imm: bytes of arguments. */
const struct op *
op_ret(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux;
	uint64_t to = peek(cpu, op, bytes, 0), sp = cpu->gpr[CPU_RSP];

	stack_set(cpu, sp + bytes + (uint64_t)op->imm);
	GO_TO(to, sp);
}

/* LOOPNE, LOOPE, LOOP, JCXZ: aux 0 to 3; more is the counter's width. */
const struct op *
op_loop(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t mask = op->more == 16 ? 0xffff
	    : op->more == 32           ? 0xffffffff
				       : ~UINT64_C(0);
	uint64_t n = cpu->gpr[CPU_RCX] & mask;
	bool go;

	if (op->aux == 3)
		go = n == 0;
	else {
		n = (n - 1) & mask;
		cpu->gpr[CPU_RCX] =
		    op->more == 16 ? (cpu->gpr[CPU_RCX] & ~mask) | n : n;
		go = n != 0 && (op->aux == 2 || flag_zf(cpu) == op->aux);
	}
	if (go)
		FOLLOW(0);
	FOLLOW(1);
}

/* ---- conditional jumps, alone and with the comparison before them ---- */

#define SUB_CONDITION_0  (((a ^ b) & (a ^ r)) < 0)
#define SUB_CONDITION_1  ((uint64_t)a < (uint64_t)b)
#define SUB_CONDITION_2  (r == 0)
#define SUB_CONDITION_3  ((uint64_t)a <= (uint64_t)b)
#define SUB_CONDITION_4  (r < 0)
#define SUB_CONDITION_5  parity_even(r)
#define SUB_CONDITION_6  (a < b)
#define SUB_CONDITION_7  (a <= b)
#define TEST_CONDITION_0 false
#define TEST_CONDITION_1 false
#define TEST_CONDITION_2 (r == 0)
#define TEST_CONDITION_3 (r == 0)
#define TEST_CONDITION_4 (r < 0)
#define TEST_CONDITION_5 parity_even(r)
#define TEST_CONDITION_6 (r < 0)
#define TEST_CONDITION_7 (r <= 0)

#define REG8(r)  (((const uint8_t *)cpu->gpr)[r])
#define REG32(r) (cpu->gpr[r])
#define REG64(r) (cpu->gpr[r])

/* Operands by form, r register, i immediate, m memory. */
#define FIRST_rr(bits)  REG##bits(op->dst)
#define FIRST_ri(bits)  REG##bits(op->dst)
#define FIRST_rm(bits)  REG##bits(op->dst)
#define FIRST_mr(bits)  load##bits(cpu, op, effective(cpu, op))
#define FIRST_mi(bits)  load##bits(cpu, op, effective(cpu, op))
#define SECOND_rr(bits) REG##bits(op->src)
#define SECOND_ri(bits) op->imm
#define SECOND_rm(bits) load##bits(cpu, op, effective(cpu, op))
#define SECOND_mr(bits) REG##bits(op->src)
#define SECOND_mi(bits) op->imm

#define SUB_RESULT  ((uint64_t)a - (uint64_t)b)
#define TEST_RESULT (a & b)
#define SUB_FLAGS   FL_SUB
#define TEST_FLAGS  FL_LOGIC

#define FUSED(kind, form, bits, n, not )                                \
	static const struct op *fused_##kind##_##form##bits##_##n##not( \
	    struct emu_cpu * cpu, const struct op *op)                  \
	{                                                               \
		int64_t a = (int##bits##_t)FIRST_##form(bits);          \
		int64_t b = (int##bits##_t)SECOND_##form(bits);         \
		int64_t r = (int##bits##_t)kind##_RESULT;               \
                                                                        \
		flags_set(cpu, kind##_FLAGS, a, b, r);                  \
		if (kind##_CONDITION_##n != not )                       \
			FOLLOW(0);                                      \
		FOLLOW(1);                                              \
	}
#define FUSED_BOTH(kind, form, bits, n) \
	FUSED(kind, form, bits, n, 0) FUSED(kind, form, bits, n, 1)
#define FUSED_ALL(kind, form, bits)     \
	FUSED_BOTH(kind, form, bits, 0) \
	FUSED_BOTH(kind, form, bits, 1) \
	FUSED_BOTH(kind, form, bits, 2) \
	FUSED_BOTH(kind, form, bits, 3) \
	FUSED_BOTH(kind, form, bits, 4) \
	FUSED_BOTH(kind, form, bits, 5) \
	FUSED_BOTH(kind, form, bits, 6) \
	FUSED_BOTH(kind, form, bits, 7)
#define FUSED_FORMS(bits)         \
	FUSED_ALL(SUB, rr, bits)  \
	FUSED_ALL(SUB, ri, bits)  \
	FUSED_ALL(SUB, rm, bits)  \
	FUSED_ALL(SUB, mr, bits)  \
	FUSED_ALL(SUB, mi, bits)  \
	FUSED_ALL(TEST, rr, bits) \
	FUSED_ALL(TEST, ri, bits) \
	FUSED_ALL(TEST, mr, bits) \
	FUSED_ALL(TEST, mi, bits)
FUSED_FORMS(8)
FUSED_FORMS(32)
FUSED_FORMS(64)

#define ROW(name)                                                          \
	{                                                                  \
		name##_00, name##_01, name##_10, name##_11, name##_20,     \
		    name##_21, name##_30, name##_31, name##_40, name##_41, \
		    name##_50, name##_51, name##_60, name##_61, name##_70, \
		    name##_71                                              \
	}
#define SIZES(name)                                                    \
	{                                                              \
		ROW(fused_##name##8), { NULL }, ROW(fused_##name##32), \
		    ROW(fused_##name##64)                              \
	}

op_fn
fused_op(enum two_op what, enum form form, unsigned int size, unsigned int cc)
{
	static const op_fn fused[2][FORMS][4][16] = {
		{ SIZES(SUB_rr), SIZES(SUB_ri), SIZES(SUB_rm), SIZES(SUB_mr),
		    SIZES(SUB_mi) },
		{ SIZES(TEST_rr), SIZES(TEST_ri), { { NULL } }, SIZES(TEST_mr),
		    SIZES(TEST_mi) },
	};

	return fused[what == TWO_TEST][form][size][cc];
}

#define JUMP(n, not )                                  \
	static const struct op *jump_##n##not(         \
	    struct emu_cpu * cpu, const struct op *op) \
	{                                              \
		if (condition(cpu, 2 * n + not ))      \
			FOLLOW(0);                     \
		FOLLOW(1);                             \
	}
#define JUMP_BOTH(n) JUMP(n, 0) JUMP(n, 1)
JUMP_BOTH(0)
JUMP_BOTH(1)
JUMP_BOTH(2)
JUMP_BOTH(3)
JUMP_BOTH(4)
JUMP_BOTH(5)
JUMP_BOTH(6)
JUMP_BOTH(7)
const op_fn jump_ops[16] = ROW(jump);
