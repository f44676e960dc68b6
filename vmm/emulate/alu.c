/*
 * Integer operations in registers and memory.
 */
#include "vmm/emulate/handlers.h"

#define BITS 8
#include "vmm/emulate/alu_size.inc"
#define BITS 16
#include "vmm/emulate/alu_size.inc"
#define BITS 32
#include "vmm/emulate/alu_size.inc"
#define BITS 64
#include "vmm/emulate/alu_size.inc"

void
emu_flags_settle(struct emu_cpu *cpu)
{
	uint32_t f = 0;

	if (cpu->fl_from == FL_RAW)
		return;
	if (flag_cf(cpu))
		f |= FLAG_CF;
	if (flag_pf(cpu))
		f |= FLAG_PF;
	if (cpu->fl_from == FL_GIVEN)
		f |= (uint32_t)cpu->fl_a & FLAG_AF;
	else if (cpu->fl_from != FL_LOGIC)
		f |= (uint32_t)(cpu->fl_a ^ cpu->fl_b ^ cpu->fl_res) & FLAG_AF;
	if (flag_zf(cpu))
		f |= FLAG_ZF;
	if (flag_sf(cpu))
		f |= FLAG_SF;
	if (flag_of(cpu))
		f |= FLAG_OF;
	cpu->eflags = (cpu->eflags & ~FLAGS_ARITH) | f;
	cpu->fl_from = FL_RAW;
}

uint32_t
emu_flags(struct emu_cpu *cpu)
{
	emu_flags_settle(cpu);
	return cpu->eflags | FLAG_ONE;
}

/* ---- widening ---- */

#define EXTEND(from, to, write)                                            \
	static const struct op *movzx_r##from##_##to(                      \
	    struct emu_cpu *cpu, const struct op *op)                      \
	{                                                                  \
		uint64_t v = REG##from(op->src);                           \
		write(op->dst, v);                                         \
		NEXT;                                                      \
	}                                                                  \
	static const struct op *movzx_m##from##_##to(                      \
	    struct emu_cpu *cpu, const struct op *op)                      \
	{                                                                  \
		uint64_t v = load##from(cpu, op, effective(cpu, op));      \
		write(op->dst, v);                                         \
		NEXT;                                                      \
	}                                                                  \
	static const struct op *movsx_r##from##_##to(                      \
	    struct emu_cpu *cpu, const struct op *op)                      \
	{                                                                  \
		uint64_t v =                                               \
		    (uint64_t)(int64_t)(int##from##_t)REG##from(op->src);  \
		write(op->dst, v);                                         \
		NEXT;                                                      \
	}                                                                  \
	static const struct op *movsx_m##from##_##to(                      \
	    struct emu_cpu *cpu, const struct op *op)                      \
	{                                                                  \
		uint64_t v = (uint64_t)(int64_t)(int##from##_t)load##from( \
		    cpu, op, effective(cpu, op));                          \
		write(op->dst, v);                                         \
		NEXT;                                                      \
	}
#define REG8(r)  (((const uint8_t *)cpu->gpr)[r])
#define REG16(r) ((uint16_t)cpu->gpr[r])
#define REG32(r) ((uint32_t)cpu->gpr[r])
#define PUT16(r, v) \
	(cpu->gpr[r] = (cpu->gpr[r] & ~UINT64_C(0xffff)) | (uint16_t)(v))
#define PUT32(r, v) (cpu->gpr[r] = (uint32_t)(v))
#define PUT64(r, v) (cpu->gpr[r] = (v))
EXTEND(8, 16, PUT16)
EXTEND(8, 32, PUT32)
EXTEND(8, 64, PUT64)
EXTEND(16, 16, PUT16)
EXTEND(16, 32, PUT32)
EXTEND(16, 64, PUT64)
EXTEND(32, 32, PUT32)
EXTEND(32, 64, PUT64)

#define PAIR(from, m, to)                                      \
	{                                                      \
		movzx_##m##from##_##to, movsx_##m##from##_##to \
	}
const op_fn extend_ops[3][2][4][2] = {
	{ { { NULL, NULL }, PAIR(8, r, 16), PAIR(8, r, 32), PAIR(8, r, 64) },
	    { { NULL, NULL }, PAIR(8, m, 16), PAIR(8, m, 32),
		PAIR(8, m, 64) } },
	{ { { NULL, NULL }, PAIR(16, r, 16), PAIR(16, r, 32), PAIR(16, r, 64) },
	    { { NULL, NULL }, PAIR(16, m, 16), PAIR(16, m, 32),
		PAIR(16, m, 64) } },
	{ { { NULL, NULL }, { NULL, NULL }, PAIR(32, r, 32), PAIR(32, r, 64) },
	    { { NULL, NULL }, { NULL, NULL }, PAIR(32, m, 32),
		PAIR(32, m, 64) } },
};

/* ---- the tables ---- */

#define SIZES(f)                          \
	{                                 \
		f##8, f##16, f##32, f##64 \
	}
#define SIZES_NOT8(f)                     \
	{                                 \
		NULL, f##16, f##32, f##64 \
	}
#define BOTH(f)                                                           \
	{                                                                 \
		{ f##8_n, f##8 }, { f##16_n, f##16 }, { f##32_n, f##32 }, \
		{                                                         \
			f##64_n, f##64                                    \
		}                                                         \
	}
#define ALWAYS(f)                                                   \
	{                                                           \
		{ f##8, f##8 }, { f##16, f##16 }, { f##32, f##32 }, \
		{                                                   \
			f##64, f##64                                \
		}                                                   \
	}
#define TWO_FORMS(f)                                                    \
	{                                                               \
		BOTH(f##_rr), BOTH(f##_ri), BOTH(f##_rm), BOTH(f##_mr), \
		    BOTH(f##_mi)                                        \
	}
#define COMPARE_FORMS(f)                                        \
	{                                                       \
		ALWAYS(f##_rr), ALWAYS(f##_ri), ALWAYS(f##_rm), \
		    ALWAYS(f##_mr), ALWAYS(f##_mi)              \
	}

const op_fn two_ops[TWO_OPS][FORMS][4][2] = {
	[TWO_ADD] = TWO_FORMS(add),
	[TWO_OR] = TWO_FORMS(or),
	[TWO_ADC] = TWO_FORMS(adc),
	[TWO_SBB] = TWO_FORMS(sbb),
	[TWO_AND] = TWO_FORMS(and),
	[TWO_SUB] = TWO_FORMS(sub),
	[TWO_XOR] = TWO_FORMS(xor),
	[TWO_CMP] = COMPARE_FORMS(cmp),
	[TWO_TEST] = COMPARE_FORMS(test),
};

const op_fn one_ops[ONE_OPS][2][4][2] = {
	[ONE_INC] = { BOTH(inc_r), BOTH(inc_m) },
	[ONE_DEC] = { BOTH(dec_r), BOTH(dec_m) },
	[ONE_NOT] = { BOTH(not_r), BOTH(not_m) },
	[ONE_NEG] = { BOTH(neg_r), BOTH(neg_m) },
};

#define SHIFT_FORMS(f)                                                     \
	{                                                                  \
		SIZES(f##_ri), SIZES(f##_rc), SIZES(f##_mi), SIZES(f##_mc) \
	}
const op_fn shift_ops[SHIFT_OPS][4][4] = {
	[SHIFT_ROL] = SHIFT_FORMS(rol),
	[SHIFT_ROR] = SHIFT_FORMS(ror),
	[SHIFT_RCL] = SHIFT_FORMS(rcl),
	[SHIFT_RCR] = SHIFT_FORMS(rcr),
	[SHIFT_SHL] = SHIFT_FORMS(shl),
	[SHIFT_SHR] = SHIFT_FORMS(shr),
	[SHIFT_SAR] = SHIFT_FORMS(sar),
};
#define SIZES_N(f)                                \
	{                                         \
		f##8_n, f##16_n, f##32_n, f##64_n \
	}
const op_fn shift_n_ops[SHIFT_OPS][4] = {
	[SHIFT_ROL] = SIZES_N(rol_ri),
	[SHIFT_ROR] = SIZES_N(ror_ri),
	[SHIFT_SHL] = SIZES_N(shl_ri),
	[SHIFT_SHR] = SIZES_N(shr_ri),
	[SHIFT_SAR] = SIZES_N(sar_ri),
};

const op_fn mov_ops[FORMS][4] = { SIZES(mov_rr), SIZES(mov_ri), SIZES(mov_rm),
	SIZES(mov_mr), SIZES(mov_mi) };
const op_fn xchg_ops[2][4] = { SIZES(xchg_rr), SIZES(xchg_mr) };
const op_fn cmpxchg_ops[2][4] = { SIZES(cmpxchg_rr), SIZES(cmpxchg_mr) };
const op_fn xadd_ops[2][4] = { SIZES(xadd_rr), SIZES(xadd_mr) };
const op_fn muldiv_ops[4][4] = { SIZES(mul_a), SIZES(imul_a), SIZES(div_a),
	SIZES(idiv_a) };
const op_fn imul_ops[4][4] = { SIZES_NOT8(imul_rr), SIZES_NOT8(imul_rm),
	SIZES_NOT8(imul_rri), SIZES_NOT8(imul_rmi) };
const op_fn double_ops[2][2][4] = {
	{ SIZES_NOT8(shld_rr), SIZES_NOT8(shld_mr) },
	{ SIZES_NOT8(shrd_rr), SIZES_NOT8(shrd_mr) },
};
const op_fn bit_ops[2][4] = { SIZES_NOT8(bt_r), SIZES_NOT8(bt_m) };
const op_fn scan_ops[4] = SIZES_NOT8(bsx_rr);
const op_fn cmov_ops[2][4] = { SIZES_NOT8(cmov_rr), SIZES_NOT8(cmov_rm) };

/* ---- through REG_VALUE ---- */

#define LOAD_TEMP(bits)                                                        \
	static const struct op *load_temp##bits(                               \
	    struct emu_cpu *cpu, const struct op *op)                          \
	{                                                                      \
		cpu->gpr[REG_VALUE] = load##bits(cpu, op, effective(cpu, op)); \
		NEXT;                                                          \
	}                                                                      \
	static const struct op *store_temp##bits(                              \
	    struct emu_cpu *cpu, const struct op *op)                          \
	{                                                                      \
		store##bits(cpu, op, effective(cpu, op),                       \
		    (uint##bits##_t)cpu->gpr[REG_VALUE]);                      \
		NEXT_STORED;                                                   \
	}
LOAD_TEMP(8)
LOAD_TEMP(16)
LOAD_TEMP(32)
LOAD_TEMP(64)
const op_fn load_temp_ops[4] = SIZES(load_temp);
const op_fn store_temp_ops[4] = SIZES(store_temp);

/* ---- the rest ---- */

const struct op *
op_nop(struct emu_cpu *cpu, const struct op *op)
{
	(void)cpu;
	NEXT;
}

const struct op *
op_lea64(struct emu_cpu *cpu, const struct op *op)
{
	cpu->gpr[op->dst] = effective(cpu, op);
	NEXT;
}

const struct op *
op_lea32(struct emu_cpu *cpu, const struct op *op)
{
	cpu->gpr[op->dst] = (uint32_t)effective(cpu, op);
	NEXT;
}

const struct op *
op_lea16(struct emu_cpu *cpu, const struct op *op)
{
	PUT16(op->dst, effective(cpu, op));
	NEXT;
}

const struct op *
op_address(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t addr = effective(cpu, op);

	cpu->gpr[REG_TEMP] = op->aux == 16 ? (uint16_t)addr : (uint32_t)addr;
	NEXT;
}

/* imm bytes at the address that stands in REG_TEMP; aux: for a write. */
const struct op *
op_check(struct emu_cpu *cpu, const struct op *op)
{
	emu_check_segment(cpu, op, op->seg, cpu->gpr[REG_TEMP],
	    (unsigned int)op->imm, op->aux);
	NEXT;
}

const struct op *
op_constant(struct emu_cpu *cpu, const struct op *op)
{
	cpu->gpr[REG_TEMP] = (uint64_t)op->imm;
	NEXT;
}

const struct op *
op_setcc_r(struct emu_cpu *cpu, const struct op *op)
{
	((uint8_t *)cpu->gpr)[op->dst] = condition(cpu, op->aux);
	NEXT;
}

const struct op *
op_setcc_m(struct emu_cpu *cpu, const struct op *op)
{
	store8(cpu, op, effective(cpu, op), condition(cpu, op->aux));
	NEXT_STORED;
}

const struct op *
op_bswap(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t *r = &cpu->gpr[op->dst];

	switch (op->aux) {
	case 1: PUT16(op->dst, 0); break; /* undefined; what processors do */
	case 2: *r = __builtin_bswap32((uint32_t)*r); break;
	default: *r = __builtin_bswap64(*r); break;
	}
	NEXT;
}

/* CBW, CWDE, CDQE; aux is the size of the result. */
const struct op *
op_widen_a(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t *a = &cpu->gpr[CPU_RAX];

	switch (op->aux) {
	case 1: PUT16(CPU_RAX, (int8_t)*a); break;
	case 2: *a = (uint32_t)(int16_t)*a; break;
	default: *a = (uint64_t)(int64_t)(int32_t)*a; break;
	}
	NEXT;
}

/* CWD, CDQ, CQO. */
const struct op *
op_widen_d(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t a = cpu->gpr[CPU_RAX];

	switch (op->aux) {
	case 1: PUT16(CPU_RDX, (int16_t)a < 0 ? 0xffff : 0); break;
	case 2: PUT32(CPU_RDX, (int32_t)a < 0 ? 0xffffffff : 0); break;
	default: cpu->gpr[CPU_RDX] = (int64_t)a < 0 ? ~UINT64_C(0) : 0; break;
	}
	NEXT;
}

const struct op *
op_lahf(struct emu_cpu *cpu, const struct op *op)
{
	((uint8_t *)cpu->gpr)[1] = (uint8_t)emu_flags(cpu);
	NEXT;
}

const struct op *
op_sahf(struct emu_cpu *cpu, const struct op *op)
{
	flags_put(cpu, FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF,
	    ((uint8_t *)cpu->gpr)[1]);
	NEXT;
}

/* aux: 0 CLC, 1 STC, 2 CMC */
const struct op *
op_carry(struct emu_cpu *cpu, const struct op *op)
{
	bool cf = op->aux == 2 ? !flag_cf(cpu) : op->aux;

	flags_put(cpu, FLAG_CF, cf ? FLAG_CF : 0);
	NEXT;
}

const struct op *
op_direction(struct emu_cpu *cpu, const struct op *op)
{
	cpu->eflags = (cpu->eflags & ~FLAG_DF) | (op->aux ? FLAG_DF : 0);
	NEXT;
}

const struct op *
op_xlat(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t at = cpu->gpr[CPU_RBX] + (uint8_t)cpu->gpr[CPU_RAX];

	at = op->aux == 16 ? (uint16_t)at : op->aux == 32 ? (uint32_t)at : at;
	if (unlikely(cpu->mode & MODE_CHECK(op->seg)))
		emu_check_segment(cpu, op, op->seg, at, 1, false);
	((uint8_t *)cpu->gpr)[0] = load8(cpu, op, at + cpu->seg_base[op->seg]);
	NEXT;
}

const struct op *
op_cmpxchg8b(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t addr = effective(cpu, op);
	uint64_t was = emu_read_rmw(cpu, op, addr, 8);
	uint64_t want = cpu->gpr[CPU_RDX] << 32 | (uint32_t)cpu->gpr[CPU_RAX];
	bool same = was == want;

	if (same)
		was = cpu->gpr[CPU_RCX] << 32 | (uint32_t)cpu->gpr[CPU_RBX];
	store64(cpu, op, addr, was);
	if (!same) {
		cpu->gpr[CPU_RAX] = (uint32_t)was;
		cpu->gpr[CPU_RDX] = was >> 32;
	}
	flags_put(cpu, FLAG_ZF, same ? FLAG_ZF : 0);
	NEXT_STORED;
}

const struct op *
op_cmpxchg16b(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t addr = effective(cpu, op), low, high;
	bool same;

	if (addr & 15)
		emu_fault_code(cpu, op, EXC_GP, 0);
	low = emu_read_rmw(cpu, op, addr, 8);
	high = emu_read_rmw(cpu, op, addr + 8, 8);
	same = low == cpu->gpr[CPU_RAX] && high == cpu->gpr[CPU_RDX];
	store64(cpu, op, addr, same ? cpu->gpr[CPU_RBX] : low);
	store64(cpu, op, addr + 8, same ? cpu->gpr[CPU_RCX] : high);
	if (!same) {
		cpu->gpr[CPU_RAX] = low;
		cpu->gpr[CPU_RDX] = high;
	}
	flags_put(cpu, FLAG_ZF, same ? FLAG_ZF : 0);
	NEXT_STORED;
}

/* The source is in src, cut to its size by aux. */
const struct op *
op_popcnt(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t v = cpu->gpr[op->src], r;

	v = op->aux == 1 ? (uint16_t)v : op->aux == 2 ? (uint32_t)v : v;
	r = (uint64_t)__builtin_popcountll(v);
	flags_put(cpu, FLAGS_ARITH, v == 0 ? FLAG_ZF : 0);
	if (op->aux == 1)
		PUT16(op->dst, r);
	else
		cpu->gpr[op->dst] = r;
	NEXT;
}
