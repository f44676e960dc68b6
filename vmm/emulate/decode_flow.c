/*
 * Jumps, the stack, and strings.
 */
#include "vmm/emulate/decode_parts.h"

/* ---- jumps ---- */

static uint64_t
target(const struct maker *m)
{
	uint64_t to = m->next + (uint64_t)imm_of(m, 0);
	unsigned int bits = m->in.operand_width;

	return m->code64 ? to : bits == 16 ? (uint16_t)to : (uint32_t)to;
}

/* The comparison that the last record is, melted with a jump; NULL: it is
 * none. */
static op_fn
fused(const struct maker *m, unsigned int cc)
{
	static const enum two_op what[2] = { TWO_CMP, TWO_TEST };
	const struct op *last = &m->block->op[m->nops - 1];

	if (m->nops == 0 || last->nth + 1 != m->nth)
		return NULL;
	for (unsigned int i = 0; i < 2; i++)
		for (enum form form = FORM_RR; form < FORMS; form++)
			for (unsigned int size = 0; size < 4; size++)
				if (last->fn == two_ops[what[i]][form][size][1])
					return fused_op(
					    what[i], form, size, cc);
	return NULL;
}

static void
conditional_jump(struct maker *m)
{
	unsigned int cc = m->in.opcode & 15;
	op_fn fn = fused(m, cc);

	if (fn != NULL) {
		m->block->op[m->nops - 1].fn = fn;
		decode_flags(m, false, true, NULL);
	} else {
		decode_emit(m, jump_ops[cc]);
		decode_flags(m, true, false, NULL);
	}
	decode_link(m, target(m));
	decode_link(m, m->next);
	m->ended = true;
}

static void
counted_jump(struct maker *m, unsigned int how)
{
	struct op *op = decode_emit(m, op_loop);

	op->aux = (uint8_t)how;
	op->more = m->in.address_width;
	decode_flags(m, true, false, NULL);
	decode_link(m, target(m));
	decode_link(m, m->next);
	m->ended = true;
}

static void
far_transfer(struct maker *m, op_fn fn)
{
	struct op *op;

	if (is_mem(m, 0)) {
		op = decode_emit_mem(m, fn, 0);
		op->src = 1;
	} else {
		op = decode_emit(m, fn);
		op->imm = m->o[0].ptr.offset;
		op->more = m->o[0].ptr.segment;
	}
	op->aux = (uint8_t)decode_width(m);
	m->ended = true;
}

static void
jump_or_call(struct maker *m, bool call)
{
	unsigned int size = decode_width(m);
	struct op *op;

	if (m->in.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
		far_transfer(m, call ? op_call_far : op_jmp_far);
		return;
	}
	m->ended = true;
	if (is_imm(m, 0)) {
		op = decode_emit_stack(m,
		    !call           ? op_jmp
			: m->code64 ? op_call64
				    : op_call);
		op->aux = (uint8_t)size;
		decode_link(m, target(m));
		return;
	}
	if (!call && m->code64 && is_mem(m, 0)) {
		decode_emit_mem(m, op_jmp_m64, 0);
		return;
	}
	{
		uint8_t src = decode_source(m, 0);

		op = decode_emit_stack(m, call ? op_call_r : op_jmp_r);
		op->src = src;
		op->aux = m->code64 ? 3 : (uint8_t)size;
	}
}

static void
ret(struct maker *m)
{
	bool far = m->in.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
	struct op *op;

	m->ended = true;
	if (!far && m->code64 && m->in.operand_count_visible == 0) {
		decode_emit_stack(m, op_ret64);
		return;
	}
	op = decode_emit_stack(m, far ? op_ret_far : op_ret);
	op->aux = (uint8_t)decode_width(m);
	if (m->in.operand_count_visible > 0)
		op->imm = (uint16_t)imm_of(m, 0);
}

/* ---- stack ---- */

static void
push(struct maker *m)
{
	unsigned int size = decode_width(m);
	struct op *op;
	uint8_t src;

	if (is_reg(m, 0) && is_segment(m->o[0].reg.value)) {
		op = decode_emit(m, op_mov_from_seg);
		op->src = (uint8_t)ZydisRegisterGetId(m->o[0].reg.value);
		op->dst = REG_VALUE;
		op->aux = 3;
		src = REG_VALUE;
	} else if (is_imm(m, 0)) {
		if (m->code64 && size == 3) {
			op = decode_emit_stack(m, op_push64_i);
			op->imm = imm_of(m, 0);
			return;
		}
		op = decode_emit(m, op_constant);
		op->imm = imm_of(m, 0);
		src = REG_TEMP;
	} else
		src = decode_source(m, 0);
	if (m->code64 && size == 3) {
		op = decode_emit_stack(m, op_push64_r);
		op->src = src;
		return;
	}
	op = decode_emit_stack(m, op_push);
	op->src = src;
	op->aux = (uint8_t)size;
}

static void
pop(struct maker *m)
{
	unsigned int size = decode_width(m);
	struct op *op;

	if (is_reg(m, 0) && is_segment(m->o[0].reg.value)) {
		op = decode_emit_stack(m, op_pop_seg);
		op->dst = (uint8_t)ZydisRegisterGetId(m->o[0].reg.value);
		m->ended = true;
	} else if (is_mem(m, 0)) {
		ZydisDecodedOperandMem *mem = &m->o[0].mem;

		/* RSP in its address counts after the pop, but an address of
		 * 32 bits is computed by a record before. */
		if (m->in.address_width == 32 &&
		    mem->base == ZYDIS_REGISTER_ESP) {
			mem->disp.value =
			    (mem->disp.has_displacement ? mem->disp.value : 0) +
			    (1 << size);
			mem->disp.has_displacement = true;
		}
		op = decode_emit_mem(m, op_pop_m, 0);
	} else if (m->code64 && size == 3) {
		op = decode_emit_stack(m, op_pop64_r);
		op->dst = decode_reg(m, 0);
	} else {
		op = decode_emit_stack(m, op_pop_r);
		op->dst = decode_reg(m, 0);
	}
	op->aux = (uint8_t)size;
}

static void
enter_frame(struct maker *m)
{
	struct op *op = decode_emit_stack(m, op_enter);

	op->imm = (uint16_t)imm_of(m, 0);
	op->src = (uint8_t)imm_of(m, 1);
	op->aux = (uint8_t)decode_width(m);
}

/* ---- strings ---- */

static void
string(struct maker *m, op_fn fn, unsigned int mem, unsigned int size,
    bool compares)
{
	struct op *op = decode_emit(m, fn);
	ZydisInstructionAttributes rep = m->in.attributes;

	op->aux = (uint8_t)size;
	op->more = m->in.address_width;
	if (rep & ZYDIS_ATTRIB_HAS_REPNE)
		op->imm = 0xf2;
	else if (rep & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE))
		op->imm = 0xf3;
	if (is_mem(m, mem))
		op->seg = decode_segment(m, m->o[mem].mem.segment);
	if (compares)
		decode_flags(m, op->imm != 0, op->imm == 0, NULL);
}

/* Which of the hidden operands is read by SI. */
static unsigned int
si_operand(const struct maker *m)
{
	for (unsigned int n = 0; n < m->in.operand_count; n++)
		if (is_mem(m, n) &&
		    ZydisRegisterGetId(m->o[n].mem.base) == CPU_RSI)
			return n;
	return 0;
}

/* ---- conditions ---- */

static void
conditional_move(struct maker *m)
{
	unsigned int size = decode_size(m, 0);
	struct op *op = is_mem(m, 1) ? decode_emit_mem(m, cmov_ops[1][size], 1)
				     : decode_emit(m, cmov_ops[0][size]);

	op->dst = decode_reg(m, 0);
	if (is_reg(m, 1))
		op->src = decode_reg(m, 1);
	op->aux = m->in.opcode & 15;
	decode_flags(m, true, false, NULL);
}

static void
set_condition(struct maker *m)
{
	struct op *op = is_mem(m, 0) ? decode_emit_mem(m, op_setcc_m, 0)
				     : decode_emit(m, op_setcc_r);

	if (is_reg(m, 0))
		op->dst = decode_reg(m, 0);
	op->aux = m->in.opcode & 15;
	decode_flags(m, true, false, NULL);
}

/* ---- all of them ---- */

bool
decode_flow(struct maker *m)
{
	switch (m->in.meta.category) {
	case ZYDIS_CATEGORY_COND_BR:
		switch (m->in.mnemonic) {
		case ZYDIS_MNEMONIC_LOOPNE: counted_jump(m, 0); return true;
		case ZYDIS_MNEMONIC_LOOPE: counted_jump(m, 1); return true;
		case ZYDIS_MNEMONIC_LOOP: counted_jump(m, 2); return true;
		case ZYDIS_MNEMONIC_JCXZ:
		case ZYDIS_MNEMONIC_JECXZ:
		case ZYDIS_MNEMONIC_JRCXZ: counted_jump(m, 3); return true;
		default: break;
		}
		if ((m->in.opcode & 0xf0) != 0x70 &&
		    (m->in.opcode & 0xf0) != 0x80)
			return false; /* XBEGIN and the like */
		conditional_jump(m);
		return true;
	case ZYDIS_CATEGORY_CMOV: conditional_move(m); return true;
	case ZYDIS_CATEGORY_SETCC: set_condition(m); return true;
	default: break;
	}
	switch (m->in.mnemonic) {
	case ZYDIS_MNEMONIC_JMP: jump_or_call(m, false); return true;
	case ZYDIS_MNEMONIC_CALL: jump_or_call(m, true); return true;
	case ZYDIS_MNEMONIC_RET: ret(m); return true;
	case ZYDIS_MNEMONIC_PUSH: push(m); return true;
	case ZYDIS_MNEMONIC_POP: pop(m); return true;
	case ZYDIS_MNEMONIC_LEAVE:
		decode_plain(m, op_leave, decode_width(m), false);
		return true;
	case ZYDIS_MNEMONIC_ENTER: enter_frame(m); return true;
	case ZYDIS_MNEMONIC_PUSHA:
	case ZYDIS_MNEMONIC_PUSHAD:
		decode_plain(m, op_pusha, decode_width(m), false);
		return true;
	case ZYDIS_MNEMONIC_POPA:
	case ZYDIS_MNEMONIC_POPAD:
		decode_plain(m, op_popa, decode_width(m), false);
		return true;
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_PUSHFD:
	case ZYDIS_MNEMONIC_PUSHFQ:
		decode_plain(m, op_pushf, decode_width(m), false);
		return true;
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFD:
	case ZYDIS_MNEMONIC_POPFQ:
		decode_plain(m, op_popf, decode_width(m), false);
		return true;
	default: break;
	}
	return false;
}

bool
decode_string(struct maker *m)
{
	unsigned int si = si_operand(m);

	/* MOVSD and CMPSD are also names of SSE instructions. */
	if (m->in.meta.category != ZYDIS_CATEGORY_STRINGOP &&
	    m->in.meta.category != ZYDIS_CATEGORY_IOSTRINGOP)
		return false;
	switch (m->in.mnemonic) {
	case ZYDIS_MNEMONIC_MOVSB: string(m, op_movs, si, 0, false); break;
	case ZYDIS_MNEMONIC_MOVSW: string(m, op_movs, si, 1, false); break;
	case ZYDIS_MNEMONIC_MOVSD: string(m, op_movs, si, 2, false); break;
	case ZYDIS_MNEMONIC_MOVSQ: string(m, op_movs, si, 3, false); break;
	case ZYDIS_MNEMONIC_STOSB: string(m, op_stos, si, 0, false); break;
	case ZYDIS_MNEMONIC_STOSW: string(m, op_stos, si, 1, false); break;
	case ZYDIS_MNEMONIC_STOSD: string(m, op_stos, si, 2, false); break;
	case ZYDIS_MNEMONIC_STOSQ: string(m, op_stos, si, 3, false); break;
	case ZYDIS_MNEMONIC_LODSB: string(m, op_lods, si, 0, false); break;
	case ZYDIS_MNEMONIC_LODSW: string(m, op_lods, si, 1, false); break;
	case ZYDIS_MNEMONIC_LODSD: string(m, op_lods, si, 2, false); break;
	case ZYDIS_MNEMONIC_LODSQ: string(m, op_lods, si, 3, false); break;
	case ZYDIS_MNEMONIC_CMPSB: string(m, op_cmps, si, 0, true); break;
	case ZYDIS_MNEMONIC_CMPSW: string(m, op_cmps, si, 1, true); break;
	case ZYDIS_MNEMONIC_CMPSD: string(m, op_cmps, si, 2, true); break;
	case ZYDIS_MNEMONIC_CMPSQ: string(m, op_cmps, si, 3, true); break;
	case ZYDIS_MNEMONIC_SCASB: string(m, op_scas, si, 0, true); break;
	case ZYDIS_MNEMONIC_SCASW: string(m, op_scas, si, 1, true); break;
	case ZYDIS_MNEMONIC_SCASD: string(m, op_scas, si, 2, true); break;
	case ZYDIS_MNEMONIC_SCASQ: string(m, op_scas, si, 3, true); break;
	case ZYDIS_MNEMONIC_INSB: string(m, op_ins, si, 0, false); break;
	case ZYDIS_MNEMONIC_INSW: string(m, op_ins, si, 1, false); break;
	case ZYDIS_MNEMONIC_INSD: string(m, op_ins, si, 2, false); break;
	case ZYDIS_MNEMONIC_OUTSB: string(m, op_outs, si, 0, false); break;
	case ZYDIS_MNEMONIC_OUTSW: string(m, op_outs, si, 1, false); break;
	case ZYDIS_MNEMONIC_OUTSD: string(m, op_outs, si, 2, false); break;
	default: return false;
	}
	if (m->in.meta.category == ZYDIS_CATEGORY_IOSTRINGOP)
		m->ended = true;
	return true;
}
