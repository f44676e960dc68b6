/*
 * Integer instructions.
 */
#include "vmm/emulate/decode_parts.h"

static void
two_operands(
    struct maker *m, const op_fn table[FORMS][4][2], bool reads, bool writes)
{
	unsigned int size = decode_size(m, 0);
	enum form form;
	struct op *op;

	if (is_reg(m, 0))
		form = is_reg(m, 1) ? FORM_RR
		    : is_imm(m, 1)  ? FORM_RI
				    : FORM_RM;
	else
		form = is_imm(m, 1) ? FORM_MI : FORM_MR;
	if (form == FORM_RM)
		op = decode_emit_mem(m, table[form][size][1], 1);
	else if (form == FORM_MI || form == FORM_MR)
		op = decode_emit_mem(m, table[form][size][1], 0);
	else
		op = decode_emit(m, table[form][size][1]);
	if (is_reg(m, 0))
		op->dst = decode_reg(m, 0);
	if (is_reg(m, 1))
		op->src = decode_reg(m, 1);
	if (is_imm(m, 1))
		op->imm = imm_of(m, 1);
	decode_flags(m, reads, writes, table[form][size][0]);
	m->reads_without[m->nops - 1] = reads; /* ADC and SBB */
}

static void
move(struct maker *m)
{
	unsigned int size = decode_size(m, 0);
	struct op *op;

	if (is_mem(m, 0)) {
		op = decode_emit_mem(
		    m, mov_ops[is_imm(m, 1) ? FORM_MI : FORM_MR][size], 0);
	} else if (is_mem(m, 1))
		op = decode_emit_mem(m, mov_ops[FORM_RM][size], 1);
	else
		op = decode_emit(
		    m, mov_ops[is_imm(m, 1) ? FORM_RI : FORM_RR][size]);
	if (is_reg(m, 0))
		op->dst = decode_reg(m, 0);
	if (is_reg(m, 1))
		op->src = decode_reg(m, 1);
	if (is_imm(m, 1))
		op->imm = imm_of(m, 1);
}

static void
move_special(struct maker *m)
{
	ZydisRegister to =
	    is_reg(m, 0) ? m->o[0].reg.value : ZYDIS_REGISTER_NONE;
	ZydisRegister from =
	    is_reg(m, 1) ? m->o[1].reg.value : ZYDIS_REGISTER_NONE;
	ZydisRegisterClass to_class = ZydisRegisterGetClass(to);
	ZydisRegisterClass from_class = ZydisRegisterGetClass(from);
	struct op *op;

	if (is_segment(to)) {
		uint8_t src = decode_source(m, 1);

		op = decode_emit(m, op_mov_to_seg);
		op->dst = (uint8_t)ZydisRegisterGetId(to);
		op->src = src;
		m->ended = true;
	} else if (is_segment(from)) {
		op = decode_emit(m, op_mov_from_seg);
		op->src = (uint8_t)ZydisRegisterGetId(from);
		op->dst = is_mem(m, 0) ? REG_VALUE : decode_reg(m, 0);
		op->aux = is_mem(m, 0) ? 1 : (uint8_t)decode_size(m, 0);
		if (is_mem(m, 0))
			decode_emit_mem(m, store_temp_ops[1], 0);
	} else {
		bool out = to_class == ZYDIS_REGCLASS_CONTROL ||
		    to_class == ZYDIS_REGCLASS_DEBUG;
		bool control = to_class == ZYDIS_REGCLASS_CONTROL ||
		    from_class == ZYDIS_REGCLASS_CONTROL;

		op = decode_emit(m,
		    control ? (out ? op_mov_to_cr : op_mov_from_cr)
			    : (out ? op_mov_to_dr : op_mov_from_dr));
		op->dst = (uint8_t)ZydisRegisterGetId(to);
		op->src = (uint8_t)ZydisRegisterGetId(from);
		m->ended = out;
	}
}

static bool
move_is_special(const struct maker *m)
{
	for (unsigned int n = 0; n < 2; n++)
		if (is_reg(m, n)) {
			ZydisRegisterClass c =
			    ZydisRegisterGetClass(m->o[n].reg.value);

			if (c == ZYDIS_REGCLASS_SEGMENT ||
			    c == ZYDIS_REGCLASS_CONTROL ||
			    c == ZYDIS_REGCLASS_DEBUG)
				return true;
		}
	return false;
}

static void
one_operand(struct maker *m, enum one_op which, bool reads)
{
	unsigned int size = decode_size(m, 0);
	const op_fn *fn = one_ops[which][is_mem(m, 0)][size];
	struct op *op =
	    is_mem(m, 0) ? decode_emit_mem(m, fn[1], 0) : decode_emit(m, fn[1]);

	if (is_reg(m, 0))
		op->dst = decode_reg(m, 0);
	if (which != ONE_NOT)
		decode_flags(m, reads, true, fn[0]);
}

static void
shift(struct maker *m, enum shift_op which)
{
	unsigned int size = decode_size(m, 0);
	bool by_cl = is_reg(m, 1);
	unsigned int count =
	    by_cl ? 0 : (unsigned int)imm_of(m, 1) & (size == 3 ? 63 : 31);
	op_fn fn = shift_ops[which][2 * is_mem(m, 0) + by_cl][size];
	struct op *op =
	    is_mem(m, 0) ? decode_emit_mem(m, fn, 0) : decode_emit(m, fn);
	bool all = !by_cl && count != 0 && which >= SHIFT_SHL;

	op->imm = count;
	if (is_reg(m, 0))
		op->dst = decode_reg(m, 0);
	/* Some leave the flags, or some of them: they count as readers. */
	decode_flags(m, !all, all,
	    count != 0 && is_reg(m, 0) && count < (8u << size)
		? shift_n_ops[which][size]
		: NULL);
}

static void
extend(struct maker *m, bool sign)
{
	unsigned int from = decode_size(m, 1), to = decode_size(m, 0);
	op_fn fn = extend_ops[from][is_mem(m, 1)][to][sign];
	struct op *op;

	if (fn == NULL) { /* MOVSXD between 16 bits: a move */
		move(m);
		return;
	}
	op = is_mem(m, 1) ? decode_emit_mem(m, fn, 1) : decode_emit(m, fn);
	op->dst = decode_reg(m, 0);
	if (is_reg(m, 1))
		op->src = decode_reg(m, 1);
}

static void
lea(struct maker *m)
{
	unsigned int size = decode_size(m, 0);
	struct place p;
	struct op *op;

	if (m->in.address_width == 64 || size == 1) {
		p = decode_place(m, 1);
		op = decode_emit(m,
		    size == 1       ? op_lea16
			: size == 2 ? op_lea32
				    : op_lea64);
	} else {
		p = decode_place(m, 1); /* REG_TEMP holds it, cut */
		op = decode_emit(m, op_lea64);
	}
	decode_put_place(op, p);
	op->seg = SEG_NONE;
	op->dst = decode_reg(m, 0);
}

static void
exchange(struct maker *m, const op_fn table[2][4])
{
	unsigned int mem = is_mem(m, 1), size = decode_size(m, 0);
	struct op *op;

	if (is_mem(m, 0) || mem) {
		op = decode_emit_mem(m, table[1][size], mem);
		op->src = decode_reg(m, !mem);
	} else {
		op = decode_emit(m, table[0][size]);
		op->dst = decode_reg(m, 0);
		op->src = decode_reg(m, 1);
	}
}

static void
multiply(struct maker *m)
{
	unsigned int size = decode_size(m, 0);
	struct op *op;
	uint8_t src;

	if (m->in.operand_count_visible == 1) {
		src = decode_source(m, 0);
		op = decode_emit(m, muldiv_ops[1][size]);
		op->src = src;
	} else if (m->in.operand_count_visible == 2) {
		op = is_mem(m, 1) ? decode_emit_mem(m, imul_ops[1][size], 1)
				  : decode_emit(m, imul_ops[0][size]);
		op->dst = decode_reg(m, 0);
		if (is_reg(m, 1))
			op->src = decode_reg(m, 1);
	} else {
		op = is_mem(m, 1) ? decode_emit_mem(m, imul_ops[3][size], 1)
				  : decode_emit(m, imul_ops[2][size]);
		op->dst = decode_reg(m, 0);
		if (is_reg(m, 1))
			op->src = decode_reg(m, 1);
		op->imm = imm_of(m, 2);
	}
	decode_flags(m, false, true, NULL);
}

static void
multiply_divide(struct maker *m, unsigned int which)
{
	uint8_t src = decode_source(m, 0);
	struct op *op = decode_emit(m, muldiv_ops[which][decode_size(m, 0)]);

	op->src = src;
	decode_flags(m, false, which == 0, NULL);
}

static void
double_shift(struct maker *m, unsigned int which)
{
	unsigned int size = decode_size(m, 0);
	op_fn fn = double_ops[which][is_mem(m, 0)][size];
	struct op *op =
	    is_mem(m, 0) ? decode_emit_mem(m, fn, 0) : decode_emit(m, fn);

	if (is_reg(m, 0))
		op->dst = decode_reg(m, 0);
	op->src = decode_reg(m, 1);
	op->imm = is_imm(m, 2) ? imm_of(m, 2) & 0xff : -1;
	decode_flags(m, true, false, NULL);
}

static void
bit_test(struct maker *m, unsigned int how)
{
	unsigned int size = decode_size(m, 0);
	struct op *op = is_mem(m, 0) ? decode_emit_mem(m, bit_ops[1][size], 0)
				     : decode_emit(m, bit_ops[0][size]);

	if (is_reg(m, 0))
		op->dst = decode_reg(m, 0);
	if (is_reg(m, 1))
		op->src = decode_reg(m, 1);
	else {
		op->src = REG_ZERO;
		op->imm = imm_of(m, 1);
	}
	op->aux = (uint8_t)how;
	decode_flags(m, true, false, NULL);
}

static void
bit_scan(struct maker *m, unsigned int reverse)
{
	uint8_t src = decode_source(m, 1);
	struct op *op = decode_emit(m, scan_ops[decode_size(m, 0)]);

	op->dst = decode_reg(m, 0);
	op->src = src;
	op->aux = (uint8_t)reverse;
	decode_flags(m, true, false, NULL);
}

static void
byte_swap(struct maker *m)
{
	struct op *op = decode_emit(m, op_bswap);

	op->dst = decode_reg(m, 0);
	op->aux = (uint8_t)decode_size(m, 0);
}

static void
count_bits(struct maker *m)
{
	uint8_t src = decode_source(m, 1);
	struct op *op = decode_emit(m, op_popcnt);

	op->dst = decode_reg(m, 0);
	op->src = src;
	op->aux = (uint8_t)decode_size(m, 0);
	decode_flags(m, false, true, NULL);
}

/* AAM, AAD: in Zydis's eyes their base is an operand, even if it is 10. */
static void
ascii_base(struct maker *m, unsigned int how)
{
	struct op *op = decode_emit(m, op_ascii_base);

	op->imm = (uint8_t)m->in.raw.imm[0].value.u;
	op->aux = (uint8_t)how;
	decode_flags(m, true, false, NULL);
}

static void
bound(struct maker *m)
{
	struct op *op = decode_emit_mem(m, op_bound, 1);

	op->dst = decode_reg(m, 0);
	op->aux = (uint8_t)decode_size(m, 0);
}

static void
adjust_privilege(struct maker *m)
{
	struct op *op = is_mem(m, 0) ? decode_emit_mem(m, op_arpl, 0)
				     : decode_emit(m, op_arpl);

	if (is_reg(m, 0))
		op->dst = decode_reg(m, 0);
	op->src = decode_reg(m, 1);
	op->aux = is_mem(m, 0);
	decode_flags(m, true, false, NULL);
}

/* ---- all of them ---- */

bool
decode_integer(struct maker *m)
{
	switch (m->in.mnemonic) {
	case ZYDIS_MNEMONIC_ADD:
		two_operands(m, two_ops[TWO_ADD], false, true);
		return true;
	case ZYDIS_MNEMONIC_OR:
		two_operands(m, two_ops[TWO_OR], false, true);
		return true;
	case ZYDIS_MNEMONIC_ADC:
		two_operands(m, two_ops[TWO_ADC], true, true);
		return true;
	case ZYDIS_MNEMONIC_SBB:
		two_operands(m, two_ops[TWO_SBB], true, true);
		return true;
	case ZYDIS_MNEMONIC_AND:
		two_operands(m, two_ops[TWO_AND], false, true);
		return true;
	case ZYDIS_MNEMONIC_SUB:
		two_operands(m, two_ops[TWO_SUB], false, true);
		return true;
	case ZYDIS_MNEMONIC_XOR:
		two_operands(m, two_ops[TWO_XOR], false, true);
		return true;
	case ZYDIS_MNEMONIC_CMP:
		two_operands(m, two_ops[TWO_CMP], false, true);
		return true;
	case ZYDIS_MNEMONIC_TEST:
		two_operands(m, two_ops[TWO_TEST], false, true);
		return true;
	case ZYDIS_MNEMONIC_MOV:
		if (move_is_special(m))
			move_special(m);
		else
			move(m);
		return true;
	case ZYDIS_MNEMONIC_MOVNTI: move(m); return true;
	case ZYDIS_MNEMONIC_INC: one_operand(m, ONE_INC, true); return true;
	case ZYDIS_MNEMONIC_DEC: one_operand(m, ONE_DEC, true); return true;
	case ZYDIS_MNEMONIC_NOT: one_operand(m, ONE_NOT, false); return true;
	case ZYDIS_MNEMONIC_NEG: one_operand(m, ONE_NEG, false); return true;
	case ZYDIS_MNEMONIC_ROL: shift(m, SHIFT_ROL); return true;
	case ZYDIS_MNEMONIC_ROR: shift(m, SHIFT_ROR); return true;
	case ZYDIS_MNEMONIC_RCL: shift(m, SHIFT_RCL); return true;
	case ZYDIS_MNEMONIC_RCR: shift(m, SHIFT_RCR); return true;
	case ZYDIS_MNEMONIC_SHL: shift(m, SHIFT_SHL); return true;
	case ZYDIS_MNEMONIC_SHR: shift(m, SHIFT_SHR); return true;
	case ZYDIS_MNEMONIC_SAR: shift(m, SHIFT_SAR); return true;
	case ZYDIS_MNEMONIC_MOVZX: extend(m, false); return true;
	case ZYDIS_MNEMONIC_MOVSX:
	case ZYDIS_MNEMONIC_MOVSXD: extend(m, true); return true;
	case ZYDIS_MNEMONIC_LEA: lea(m); return true;
	case ZYDIS_MNEMONIC_XCHG: exchange(m, xchg_ops); return true;
	case ZYDIS_MNEMONIC_CMPXCHG:
		exchange(m, cmpxchg_ops);
		decode_flags(m, false, true, NULL);
		return true;
	case ZYDIS_MNEMONIC_XADD:
		exchange(m, xadd_ops);
		decode_flags(m, false, true, NULL);
		return true;
	case ZYDIS_MNEMONIC_CMPXCHG8B:
		decode_by_memory(m, op_cmpxchg8b, false);
		return true;
	case ZYDIS_MNEMONIC_CMPXCHG16B:
		decode_by_memory(m, op_cmpxchg16b, false);
		return true;
	case ZYDIS_MNEMONIC_IMUL: multiply(m); return true;
	case ZYDIS_MNEMONIC_MUL: multiply_divide(m, 0); return true;
	case ZYDIS_MNEMONIC_DIV: multiply_divide(m, 2); return true;
	case ZYDIS_MNEMONIC_IDIV: multiply_divide(m, 3); return true;
	case ZYDIS_MNEMONIC_SHLD: double_shift(m, 0); return true;
	case ZYDIS_MNEMONIC_SHRD: double_shift(m, 1); return true;
	case ZYDIS_MNEMONIC_BT: bit_test(m, 0); return true;
	case ZYDIS_MNEMONIC_BTS: bit_test(m, 1); return true;
	case ZYDIS_MNEMONIC_BTR: bit_test(m, 2); return true;
	case ZYDIS_MNEMONIC_BTC: bit_test(m, 3); return true;
	case ZYDIS_MNEMONIC_BSF: bit_scan(m, 0); return true;
	case ZYDIS_MNEMONIC_BSR: bit_scan(m, 1); return true;
	case ZYDIS_MNEMONIC_BSWAP: byte_swap(m); return true;
	case ZYDIS_MNEMONIC_POPCNT: count_bits(m); return true;
	case ZYDIS_MNEMONIC_CBW:
		decode_plain(m, op_widen_a, 1, false);
		return true;
	case ZYDIS_MNEMONIC_CWDE:
		decode_plain(m, op_widen_a, 2, false);
		return true;
	case ZYDIS_MNEMONIC_CDQE:
		decode_plain(m, op_widen_a, 3, false);
		return true;
	case ZYDIS_MNEMONIC_CWD:
		decode_plain(m, op_widen_d, 1, false);
		return true;
	case ZYDIS_MNEMONIC_CDQ:
		decode_plain(m, op_widen_d, 2, false);
		return true;
	case ZYDIS_MNEMONIC_CQO:
		decode_plain(m, op_widen_d, 3, false);
		return true;
	case ZYDIS_MNEMONIC_LAHF:
		decode_plain(m, op_lahf, 0, false);
		return true;
	case ZYDIS_MNEMONIC_SAHF:
		decode_plain(m, op_sahf, 0, false);
		return true;
	case ZYDIS_MNEMONIC_CLC:
		decode_plain(m, op_carry, 0, false);
		return true;
	case ZYDIS_MNEMONIC_STC:
		decode_plain(m, op_carry, 1, false);
		return true;
	case ZYDIS_MNEMONIC_CMC:
		decode_plain(m, op_carry, 2, false);
		return true;
	case ZYDIS_MNEMONIC_CLD:
		decode_plain(m, op_direction, 0, false);
		return true;
	case ZYDIS_MNEMONIC_STD:
		decode_plain(m, op_direction, 1, false);
		return true;
	case ZYDIS_MNEMONIC_XLAT: {
		unsigned int n = 0;
		struct place p;

		while (n < m->in.operand_count && !is_mem(m, n))
			n++;
		if (n == m->in.operand_count)
			return false;
		p = (struct place){ .base = CPU_RBX,
			.index = REG_ZERO,
			.seg = decode_segment(m, m->o[n].mem.segment) };
		decode_put_place(decode_emit(m, op_xlat), p);
		m->block->op[m->nops - 1].aux = (uint8_t)m->in.address_width;
		return true;
	}
	case ZYDIS_MNEMONIC_AAA:
		decode_plain(m, op_ascii_adjust, 0, false);
		return true;
	case ZYDIS_MNEMONIC_AAS:
		decode_plain(m, op_ascii_adjust, 1, false);
		return true;
	case ZYDIS_MNEMONIC_DAA:
		decode_plain(m, op_decimal_adjust, 0, false);
		return true;
	case ZYDIS_MNEMONIC_DAS:
		decode_plain(m, op_decimal_adjust, 1, false);
		return true;
	case ZYDIS_MNEMONIC_AAM: ascii_base(m, 0); return true;
	case ZYDIS_MNEMONIC_AAD: ascii_base(m, 1); return true;
	case ZYDIS_MNEMONIC_SALC:
		decode_plain(m, op_salc, 0, false);
		return true;
	case ZYDIS_MNEMONIC_BOUND: bound(m); return true;
	case ZYDIS_MNEMONIC_ARPL: adjust_privilege(m); return true;
	case ZYDIS_MNEMONIC_NOP:
	case ZYDIS_MNEMONIC_PAUSE:
	case ZYDIS_MNEMONIC_LFENCE:
	case ZYDIS_MNEMONIC_MFENCE:
	case ZYDIS_MNEMONIC_SFENCE:
	case ZYDIS_MNEMONIC_CLFLUSH:
	case ZYDIS_MNEMONIC_ENDBR64:
	case ZYDIS_MNEMONIC_ENDBR32:
	case ZYDIS_MNEMONIC_PREFETCH:
	case ZYDIS_MNEMONIC_PREFETCHNTA:
	case ZYDIS_MNEMONIC_PREFETCHT0:
	case ZYDIS_MNEMONIC_PREFETCHT1:
	case ZYDIS_MNEMONIC_PREFETCHT2:
	case ZYDIS_MNEMONIC_PREFETCHW: decode_emit(m, op_nop); return true;
	default: break;
	}
	return false;
}
