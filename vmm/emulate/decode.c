/*
 * Decoding: guest instructions to operation records, by Zydis.
 *
 * One instruction becomes one record, or a few: an address of 16 or 32 bits,
 * or one that does not fit a displacement, is computed by a record of its own
 * into REG_TEMP; an operand in memory of a rare operation goes through
 * REG_VALUE.  A comparison directly before a conditional jump melts into it.
 *
 * After the block is whole, a walk backwards finds the flags that nobody reads
 * before they are set again, and takes the handlers that do not compute them.
 * Limits: the handler of an instruction's fault finds arithmetic flags of an
 * older instruction, if those of the time would be overwritten before anybody
 * read them; and so does code that is changed by a store of its own block, if
 * it reads flags that the old code did not.
 */
#include "vmm/emulate/handlers.h"

#include <Zydis/Zydis.h>

#include <pthread.h>

struct maker {
	struct block *block;
	unsigned int nops;
	ZydisDecodedInstruction in;
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	uint64_t next; /* the address behind the instruction */
	bool code64;
	bool ended; /* nothing follows in this block */
	bool full;
	uint8_t pc, nth;
	/* of each record, for the flags */
	op_fn without[BLOCK_OPS];
	bool reads[BLOCK_OPS], writes[BLOCK_OPS];
	bool reads_without[BLOCK_OPS]; /* the handler without flags, too */
};

static ZydisDecoder decoders[3];
static pthread_once_t decoders_once = PTHREAD_ONCE_INIT;

static void
init_decoders(void)
{
	ZydisDecoderInit(&decoders[MODE_16], ZYDIS_MACHINE_MODE_LEGACY_16,
	    ZYDIS_STACK_WIDTH_16);
	ZydisDecoderInit(&decoders[MODE_32], ZYDIS_MACHINE_MODE_LEGACY_32,
	    ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&decoders[MODE_64], ZYDIS_MACHINE_MODE_LONG_64,
	    ZYDIS_STACK_WIDTH_64);
	/* A CPU without these reads their encodings as older instructions. */
	for (int i = 0; i < 3; i++) {
		ZydisDecoderEnableMode(
		    &decoders[i], ZYDIS_DECODER_MODE_TZCNT, ZYAN_FALSE);
		ZydisDecoderEnableMode(
		    &decoders[i], ZYDIS_DECODER_MODE_LZCNT, ZYAN_FALSE);
		ZydisDecoderEnableMode(
		    &decoders[i], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
		ZydisDecoderEnableMode(
		    &decoders[i], ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
		ZydisDecoderEnableMode(
		    &decoders[i], ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
		ZydisDecoderEnableMode(
		    &decoders[i], ZYDIS_DECODER_MODE_WBNOINVD, ZYAN_FALSE);
	}
}

/* ---- records ---- */

static struct op *
emit(struct maker *m, op_fn fn)
{
	unsigned int n = m->nops++;
	struct op *op = &m->block->op[n];

	*op = (struct op){ .fn = fn,
		.base = REG_ZERO,
		.index = REG_ZERO,
		.seg = SEG_NONE,
		.pc = m->pc,
		.len = m->in.length,
		.nth = m->nth };
	m->without[n] = NULL;
	m->reads[n] = false;
	m->reads_without[n] = false;
	m->writes[n] = false;
	return op;
}

/* One that uses the stack. */
static struct op *
emit_stack(struct maker *m, op_fn fn)
{
	struct op *op = emit(m, fn);

	op->seg = SEG_STACK;
	return op;
}

/* What the last record does to the flags. */
static void
flags_of(struct maker *m, bool reads, bool writes, op_fn without)
{
	m->reads[m->nops - 1] = reads;
	m->writes[m->nops - 1] = writes;
	m->without[m->nops - 1] = without;
}

static void
emit_link(struct maker *m, uint64_t rip)
{
	struct link *link = (struct link *)(void *)&m->block->op[m->nops];

	emit(m, NULL);
	*link = (struct link){ .rip = rip };
}

static void
undefined(struct maker *m)
{
	emit(m, op_undefined);
	m->ended = true;
}

/* ---- operands ---- */

static unsigned int
size_of_bits(unsigned int bits)
{
	return bits == 8 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : 3;
}

static unsigned int
operand_size(const struct maker *m, unsigned int n)
{
	return size_of_bits(m->o[n].size);
}

/* The size of an instruction without explicit operands of its size. */
static unsigned int
width(const struct maker *m)
{
	return size_of_bits(m->in.operand_width);
}

/* A register's number; for bytes its place in gpr[]. */
static uint8_t
reg_number(ZydisRegister reg)
{
	if (reg >= ZYDIS_REGISTER_AL && reg <= ZYDIS_REGISTER_BL)
		return (uint8_t)(8 * (reg - ZYDIS_REGISTER_AL));
	if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
		return (uint8_t)(8 * (reg - ZYDIS_REGISTER_AH) + 1);
	if (reg >= ZYDIS_REGISTER_SPL && reg <= ZYDIS_REGISTER_DIL)
		return (uint8_t)(8 * (reg - ZYDIS_REGISTER_SPL) + 32);
	if (reg >= ZYDIS_REGISTER_R8B && reg <= ZYDIS_REGISTER_R15B)
		return (uint8_t)(8 * (reg - ZYDIS_REGISTER_R8B) + 64);
	return (uint8_t)ZydisRegisterGetId(reg);
}

static uint8_t
reg_of(const struct maker *m, unsigned int n)
{
	return reg_number(m->o[n].reg.value);
}

static bool
is_reg(const struct maker *m, unsigned int n)
{
	return m->o[n].type == ZYDIS_OPERAND_TYPE_REGISTER;
}

static bool
is_mem(const struct maker *m, unsigned int n)
{
	return m->o[n].type == ZYDIS_OPERAND_TYPE_MEMORY;
}

static bool
is_imm(const struct maker *m, unsigned int n)
{
	return m->o[n].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

static int64_t
imm_of(const struct maker *m, unsigned int n)
{
	return m->o[n].imm.value.s;
}

static uint8_t
segment_of(const struct maker *m, ZydisRegister segment)
{
	static const uint8_t by_name[6] = { CPU_ES, CPU_CS, CPU_SS, CPU_DS,
		CPU_FS, CPU_GS };

	if (segment < ZYDIS_REGISTER_ES || segment > ZYDIS_REGISTER_GS)
		return SEG_NONE;
	if (m->code64 && segment != ZYDIS_REGISTER_FS &&
	    segment != ZYDIS_REGISTER_GS)
		return segment == ZYDIS_REGISTER_SS ? SEG_STACK : SEG_NONE;
	return by_name[segment - ZYDIS_REGISTER_ES];
}

static uint8_t
address_reg(ZydisRegister reg)
{
	return reg == ZYDIS_REGISTER_NONE || reg == ZYDIS_REGISTER_RIP ||
		reg == ZYDIS_REGISTER_EIP
	    ? REG_ZERO
	    : (uint8_t)ZydisRegisterGetId(reg);
}

struct place {
	uint8_t base, index, scale, seg;
	int32_t disp;
};

static uint8_t
shift_of_scale(unsigned int scale)
{
	return scale == 8 ? 3 : scale == 4 ? 2 : scale == 2 ? 1 : 0;
}

/* Emits a look at whether the address in REG_TEMP is in its segment, unless all
 * addresses are. */
static void
check_place(struct maker *m, unsigned int n, uint8_t segment)
{
	bool write = m->o[n].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE;
	bool read_only =
	    segment == CPU_CS && write && !(m->block->mode & MODE_REAL);
	struct op *op;

	if (m->o[n].mem.type != ZYDIS_MEMOP_TYPE_MEM ||
	    m->in.meta.category == ZYDIS_CATEGORY_BITBYTE)
		return; /* LEA and hints; a bit may be far from its address */
	if (!(m->block->mode & MODE_CHECK(segment)) && !read_only)
		return;
	op = emit(m, op_check);
	op->seg = segment;
	op->imm = m->o[n].size / 8;
	op->aux = write;
}

/* Where memory operand n lies; emits what has to be computed first. */
static struct place
place_of(struct maker *m, unsigned int n)
{
	const ZydisDecodedOperandMem *mem = &m->o[n].mem;
	struct place p = { .base = address_reg(mem->base),
		.index = address_reg(mem->index),
		.scale = shift_of_scale(mem->scale),
		.seg = segment_of(m, mem->segment) };
	int64_t disp = mem->disp.has_displacement ? mem->disp.value : 0;
	bool relative =
	    mem->base == ZYDIS_REGISTER_RIP || mem->base == ZYDIS_REGISTER_EIP;
	struct op *op;

	if (relative)
		disp += (int64_t)m->next;
	if (m->in.address_width == 64 && disp == (int32_t)disp) {
		p.disp = (int32_t)disp;
		return p;
	}
	if (m->in.address_width == 64) { /* no base, no index: see above */
		op = emit(m, op_constant);
		op->imm = disp;
	} else {
		op = emit(m, op_address);
		op->base = p.base;
		op->index = p.index;
		op->scale = p.scale;
		op->disp = (int32_t)disp;
		op->aux = (uint8_t)m->in.address_width;
		check_place(m, n, p.seg);
	}
	return (
	    struct place){ .base = REG_TEMP, .index = REG_ZERO, .seg = p.seg };
}

static void
put_place(struct op *op, struct place p)
{
	op->base = p.base;
	op->index = p.index;
	op->scale = p.scale;
	op->seg = p.seg;
	op->disp = p.disp;
}

static struct op *
emit_mem(struct maker *m, op_fn fn, unsigned int n)
{
	struct place p = place_of(m, n);
	struct op *op = emit(m, fn);

	put_place(op, p);
	return op;
}

/* The register that holds operand n, which is loaded first if it is memory. */
static uint8_t
source(struct maker *m, unsigned int n)
{
	if (is_reg(m, n))
		return reg_of(m, n);
	emit_mem(m, load_temp_ops[operand_size(m, n)], n);
	return operand_size(m, n) == 0 ? REG_VALUE * 8 : REG_VALUE;
}

/* ---- kinds of instructions ---- */

static void
two_operands(
    struct maker *m, const op_fn table[FORMS][4][2], bool reads, bool writes)
{
	unsigned int size = operand_size(m, 0);
	enum form form;
	struct op *op;

	if (is_reg(m, 0))
		form = is_reg(m, 1) ? FORM_RR
		    : is_imm(m, 1)  ? FORM_RI
				    : FORM_RM;
	else
		form = is_imm(m, 1) ? FORM_MI : FORM_MR;
	if (form == FORM_RM)
		op = emit_mem(m, table[form][size][1], 1);
	else if (form == FORM_MI || form == FORM_MR)
		op = emit_mem(m, table[form][size][1], 0);
	else
		op = emit(m, table[form][size][1]);
	if (is_reg(m, 0))
		op->dst = reg_of(m, 0);
	if (is_reg(m, 1))
		op->src = reg_of(m, 1);
	if (is_imm(m, 1))
		op->imm = imm_of(m, 1);
	flags_of(m, reads, writes, table[form][size][0]);
	m->reads_without[m->nops - 1] = reads; /* ADC and SBB */
}

static void
move(struct maker *m)
{
	unsigned int size = operand_size(m, 0);
	struct op *op;

	if (is_mem(m, 0)) {
		op = emit_mem(
		    m, mov_ops[is_imm(m, 1) ? FORM_MI : FORM_MR][size], 0);
	} else if (is_mem(m, 1))
		op = emit_mem(m, mov_ops[FORM_RM][size], 1);
	else
		op = emit(m, mov_ops[is_imm(m, 1) ? FORM_RI : FORM_RR][size]);
	if (is_reg(m, 0))
		op->dst = reg_of(m, 0);
	if (is_reg(m, 1))
		op->src = reg_of(m, 1);
	if (is_imm(m, 1))
		op->imm = imm_of(m, 1);
}

static bool
is_segment(ZydisRegister reg)
{
	return reg >= ZYDIS_REGISTER_ES && reg <= ZYDIS_REGISTER_GS;
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
		uint8_t src = source(m, 1);

		op = emit(m, op_mov_to_seg);
		op->dst = (uint8_t)ZydisRegisterGetId(to);
		op->src = src;
		m->ended = true;
	} else if (is_segment(from)) {
		op = emit(m, op_mov_from_seg);
		op->src = (uint8_t)ZydisRegisterGetId(from);
		op->dst = is_mem(m, 0) ? REG_VALUE : reg_of(m, 0);
		op->aux = is_mem(m, 0) ? 1 : (uint8_t)operand_size(m, 0);
		if (is_mem(m, 0))
			emit_mem(m, store_temp_ops[1], 0);
	} else {
		bool out = to_class == ZYDIS_REGCLASS_CONTROL ||
		    to_class == ZYDIS_REGCLASS_DEBUG;
		bool control = to_class == ZYDIS_REGCLASS_CONTROL ||
		    from_class == ZYDIS_REGCLASS_CONTROL;

		op = emit(m,
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
	unsigned int size = operand_size(m, 0);
	const op_fn *fn = one_ops[which][is_mem(m, 0)][size];
	struct op *op = is_mem(m, 0) ? emit_mem(m, fn[1], 0) : emit(m, fn[1]);

	if (is_reg(m, 0))
		op->dst = reg_of(m, 0);
	if (which != ONE_NOT)
		flags_of(m, reads, true, fn[0]);
}

static void
shift(struct maker *m, enum shift_op which)
{
	unsigned int size = operand_size(m, 0);
	bool by_cl = is_reg(m, 1);
	unsigned int count =
	    by_cl ? 0 : (unsigned int)imm_of(m, 1) & (size == 3 ? 63 : 31);
	op_fn fn = shift_ops[which][2 * is_mem(m, 0) + by_cl][size];
	struct op *op = is_mem(m, 0) ? emit_mem(m, fn, 0) : emit(m, fn);
	bool all = !by_cl && count != 0 && which >= SHIFT_SHL;

	op->imm = count;
	if (is_reg(m, 0))
		op->dst = reg_of(m, 0);
	/* Some leave the flags, or some of them: they count as readers. */
	flags_of(m, !all, all,
	    count != 0 && is_reg(m, 0) && count < (8u << size)
		? shift_n_ops[which][size]
		: NULL);
}

static void
extend(struct maker *m, bool sign)
{
	unsigned int from = operand_size(m, 1), to = operand_size(m, 0);
	op_fn fn = extend_ops[from][is_mem(m, 1)][to][sign];
	struct op *op;

	if (fn == NULL) { /* MOVSXD between 16 bits: a move */
		move(m);
		return;
	}
	op = is_mem(m, 1) ? emit_mem(m, fn, 1) : emit(m, fn);
	op->dst = reg_of(m, 0);
	if (is_reg(m, 1))
		op->src = reg_of(m, 1);
}

static void
lea(struct maker *m)
{
	unsigned int size = operand_size(m, 0);
	struct place p;
	struct op *op;

	if (m->in.address_width == 64 || size == 1) {
		p = place_of(m, 1);
		op = emit(m,
		    size == 1       ? op_lea16
			: size == 2 ? op_lea32
				    : op_lea64);
	} else {
		p = place_of(m, 1); /* REG_TEMP holds it, cut */
		op = emit(m, op_lea64);
	}
	put_place(op, p);
	op->seg = SEG_NONE;
	op->dst = reg_of(m, 0);
}

static void
exchange(struct maker *m, const op_fn table[2][4])
{
	unsigned int mem = is_mem(m, 1), size = operand_size(m, 0);
	struct op *op;

	if (is_mem(m, 0) || mem) {
		op = emit_mem(m, table[1][size], mem);
		op->src = reg_of(m, !mem);
	} else {
		op = emit(m, table[0][size]);
		op->dst = reg_of(m, 0);
		op->src = reg_of(m, 1);
	}
}

static void
multiply(struct maker *m)
{
	unsigned int size = operand_size(m, 0);
	struct op *op;
	uint8_t src;

	if (m->in.operand_count_visible == 1) {
		src = source(m, 0);
		op = emit(m, muldiv_ops[1][size]);
		op->src = src;
	} else if (m->in.operand_count_visible == 2) {
		op = is_mem(m, 1) ? emit_mem(m, imul_ops[1][size], 1)
				  : emit(m, imul_ops[0][size]);
		op->dst = reg_of(m, 0);
		if (is_reg(m, 1))
			op->src = reg_of(m, 1);
	} else {
		op = is_mem(m, 1) ? emit_mem(m, imul_ops[3][size], 1)
				  : emit(m, imul_ops[2][size]);
		op->dst = reg_of(m, 0);
		if (is_reg(m, 1))
			op->src = reg_of(m, 1);
		op->imm = imm_of(m, 2);
	}
	flags_of(m, false, true, NULL);
}

static void
multiply_divide(struct maker *m, unsigned int which)
{
	uint8_t src = source(m, 0);
	struct op *op = emit(m, muldiv_ops[which][operand_size(m, 0)]);

	op->src = src;
	flags_of(m, false, which == 0, NULL);
}

static void
double_shift(struct maker *m, unsigned int which)
{
	unsigned int size = operand_size(m, 0);
	op_fn fn = double_ops[which][is_mem(m, 0)][size];
	struct op *op = is_mem(m, 0) ? emit_mem(m, fn, 0) : emit(m, fn);

	if (is_reg(m, 0))
		op->dst = reg_of(m, 0);
	op->src = reg_of(m, 1);
	op->imm = is_imm(m, 2) ? imm_of(m, 2) & 0xff : -1;
	flags_of(m, true, false, NULL);
}

static void
bit_test(struct maker *m, unsigned int how)
{
	unsigned int size = operand_size(m, 0);
	struct op *op = is_mem(m, 0) ? emit_mem(m, bit_ops[1][size], 0)
				     : emit(m, bit_ops[0][size]);

	if (is_reg(m, 0))
		op->dst = reg_of(m, 0);
	if (is_reg(m, 1))
		op->src = reg_of(m, 1);
	else {
		op->src = REG_ZERO;
		op->imm = imm_of(m, 1);
	}
	op->aux = (uint8_t)how;
	flags_of(m, true, false, NULL);
}

static void
bit_scan(struct maker *m, unsigned int reverse)
{
	uint8_t src = source(m, 1);
	struct op *op = emit(m, scan_ops[operand_size(m, 0)]);

	op->dst = reg_of(m, 0);
	op->src = src;
	op->aux = (uint8_t)reverse;
	flags_of(m, true, false, NULL);
}

static void
conditional_move(struct maker *m)
{
	unsigned int size = operand_size(m, 0);
	struct op *op = is_mem(m, 1) ? emit_mem(m, cmov_ops[1][size], 1)
				     : emit(m, cmov_ops[0][size]);

	op->dst = reg_of(m, 0);
	if (is_reg(m, 1))
		op->src = reg_of(m, 1);
	op->aux = m->in.opcode & 15;
	flags_of(m, true, false, NULL);
}

static void
set_condition(struct maker *m)
{
	struct op *op =
	    is_mem(m, 0) ? emit_mem(m, op_setcc_m, 0) : emit(m, op_setcc_r);

	if (is_reg(m, 0))
		op->dst = reg_of(m, 0);
	op->aux = m->in.opcode & 15;
	flags_of(m, true, false, NULL);
}

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
		flags_of(m, false, true, NULL);
	} else {
		emit(m, jump_ops[cc]);
		flags_of(m, true, false, NULL);
	}
	emit_link(m, target(m));
	emit_link(m, m->next);
	m->ended = true;
}

static void
counted_jump(struct maker *m, unsigned int how)
{
	struct op *op = emit(m, op_loop);

	op->aux = (uint8_t)how;
	op->more = m->in.address_width;
	flags_of(m, true, false, NULL);
	emit_link(m, target(m));
	emit_link(m, m->next);
	m->ended = true;
}

static void far_transfer(struct maker *m, op_fn fn);

static void
jump_or_call(struct maker *m, bool call)
{
	unsigned int size = width(m);
	struct op *op;

	if (m->in.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
		far_transfer(m, call ? op_call_far : op_jmp_far);
		return;
	}
	m->ended = true;
	if (is_imm(m, 0)) {
		op = emit_stack(m,
		    !call           ? op_jmp
			: m->code64 ? op_call64
				    : op_call);
		op->aux = (uint8_t)size;
		emit_link(m, target(m));
		return;
	}
	if (!call && m->code64 && is_mem(m, 0)) {
		emit_mem(m, op_jmp_m64, 0);
		return;
	}
	{
		uint8_t src = source(m, 0);

		op = emit_stack(m, call ? op_call_r : op_jmp_r);
		op->src = src;
		op->aux = m->code64 ? 3 : (uint8_t)size;
	}
}

static void
far_transfer(struct maker *m, op_fn fn)
{
	struct op *op;

	if (is_mem(m, 0)) {
		op = emit_mem(m, fn, 0);
		op->src = 1;
	} else {
		op = emit(m, fn);
		op->imm = m->o[0].ptr.offset;
		op->more = m->o[0].ptr.segment;
	}
	op->aux = (uint8_t)width(m);
	m->ended = true;
}

static void
ret(struct maker *m)
{
	bool far = m->in.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
	struct op *op;

	m->ended = true;
	if (!far && m->code64 && m->in.operand_count_visible == 0) {
		emit_stack(m, op_ret64);
		return;
	}
	op = emit_stack(m, far ? op_ret_far : op_ret);
	op->aux = (uint8_t)width(m);
	if (m->in.operand_count_visible > 0)
		op->imm = (uint16_t)imm_of(m, 0);
}

/* ---- stack ---- */

static void
push(struct maker *m)
{
	unsigned int size = width(m);
	struct op *op;
	uint8_t src;

	if (is_reg(m, 0) && is_segment(m->o[0].reg.value)) {
		op = emit(m, op_mov_from_seg);
		op->src = (uint8_t)ZydisRegisterGetId(m->o[0].reg.value);
		op->dst = REG_VALUE;
		op->aux = 3;
		src = REG_VALUE;
	} else if (is_imm(m, 0)) {
		if (m->code64 && size == 3) {
			op = emit_stack(m, op_push64_i);
			op->imm = imm_of(m, 0);
			return;
		}
		op = emit(m, op_constant);
		op->imm = imm_of(m, 0);
		src = REG_TEMP;
	} else
		src = source(m, 0);
	if (m->code64 && size == 3) {
		op = emit_stack(m, op_push64_r);
		op->src = src;
		return;
	}
	op = emit_stack(m, op_push);
	op->src = src;
	op->aux = (uint8_t)size;
}

static void
pop(struct maker *m)
{
	unsigned int size = width(m);
	struct op *op;

	if (is_reg(m, 0) && is_segment(m->o[0].reg.value)) {
		op = emit_stack(m, op_pop_seg);
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
		op = emit_mem(m, op_pop_m, 0);
	} else if (m->code64 && size == 3) {
		op = emit_stack(m, op_pop64_r);
		op->dst = reg_of(m, 0);
	} else {
		op = emit_stack(m, op_pop_r);
		op->dst = reg_of(m, 0);
	}
	op->aux = (uint8_t)size;
}

/* ---- strings ---- */

static void
string(struct maker *m, op_fn fn, unsigned int mem, unsigned int size,
    bool compares)
{
	struct op *op = emit(m, fn);
	ZydisInstructionAttributes rep = m->in.attributes;

	op->aux = (uint8_t)size;
	op->more = m->in.address_width;
	if (rep & ZYDIS_ATTRIB_HAS_REPNE)
		op->imm = 0xf2;
	else if (rep & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE))
		op->imm = 0xf3;
	if (is_mem(m, mem))
		op->seg = segment_of(m, m->o[mem].mem.segment);
	if (compares)
		flags_of(m, op->imm != 0, op->imm == 0, NULL);
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

/* ---- ports, tables, the rest ---- */

static void
port(struct maker *m, op_fn fn, unsigned int number, unsigned int a)
{
	struct op *op = emit(m, fn);

	op->imm = is_imm(m, number) ? (uint8_t)imm_of(m, number) : -1;
	op->aux = (uint8_t)operand_size(m, a);
	m->ended = true;
}

/* No operands, but perhaps the stack. */
static void
plain(struct maker *m, op_fn fn, unsigned int aux, bool ends)
{
	struct op *op = emit_stack(m, fn);

	op->aux = (uint8_t)aux;
	m->ended = ends;
	flags_of(m, true, false, NULL);
}

static void
by_memory(struct maker *m, op_fn fn, bool ends)
{
	struct op *op;

	if (!is_mem(m, 0)) {
		undefined(m);
		return;
	}
	op = emit_mem(m, fn, 0);
	op->aux = (uint8_t)width(m);
	m->ended = ends;
	flags_of(m, true, false, NULL);
}

static void
by_source(struct maker *m, op_fn fn, unsigned int aux, bool ends)
{
	uint8_t src = source(m, 0);
	struct op *op = emit(m, fn);

	op->src = src;
	op->aux = (uint8_t)aux;
	m->ended = ends;
	flags_of(m, true, false, NULL);
}

/* SLDT, STR, SMSW: a value into a register or 16 bits of memory. */
static void
to_destination(struct maker *m, op_fn fn)
{
	struct op *op = emit(m, fn);

	op->dst = is_mem(m, 0) ? REG_VALUE : reg_of(m, 0);
	op->aux = is_mem(m, 0) ? 1 : (uint8_t)operand_size(m, 0);
	if (is_mem(m, 0))
		emit_mem(m, store_temp_ops[1], 0);
}

static void
access_rights(struct maker *m, unsigned int limit)
{
	uint8_t src = source(m, 1);
	struct op *op = emit(m, op_lar_lsl);

	op->dst = reg_of(m, 0);
	op->src = src;
	op->aux = (uint8_t)operand_size(m, 0);
	op->more = (uint16_t)limit;
	flags_of(m, true, false, NULL);
}

static void
load_far_pointer(struct maker *m, unsigned int segment)
{
	struct op *op = emit_mem(m, op_load_far, 1);

	op->dst = reg_of(m, 0);
	op->src = (uint8_t)segment;
	op->aux = (uint8_t)operand_size(m, 0);
	m->ended = true;
}

static void
byte_swap(struct maker *m)
{
	struct op *op = emit(m, op_bswap);

	op->dst = reg_of(m, 0);
	op->aux = (uint8_t)operand_size(m, 0);
}

static void
count_bits(struct maker *m)
{
	uint8_t src = source(m, 1);
	struct op *op = emit(m, op_popcnt);

	op->dst = reg_of(m, 0);
	op->src = src;
	op->aux = (uint8_t)operand_size(m, 0);
	flags_of(m, false, true, NULL);
}

static void
enter_frame(struct maker *m)
{
	struct op *op = emit_stack(m, op_enter);

	op->imm = (uint16_t)imm_of(m, 0);
	op->src = (uint8_t)imm_of(m, 1);
	op->aux = (uint8_t)width(m);
}

/* AAM, AAD: in Zydis's eyes their base is an operand, even if it is 10. */
static void
ascii_base(struct maker *m, unsigned int how)
{
	struct op *op = emit(m, op_ascii_base);

	op->imm = (uint8_t)m->in.raw.imm[0].value.u;
	op->aux = (uint8_t)how;
	flags_of(m, true, false, NULL);
}

static void
bound(struct maker *m)
{
	struct op *op = emit_mem(m, op_bound, 1);

	op->dst = reg_of(m, 0);
	op->aux = (uint8_t)operand_size(m, 0);
}

static void
adjust_privilege(struct maker *m)
{
	struct op *op =
	    is_mem(m, 0) ? emit_mem(m, op_arpl, 0) : emit(m, op_arpl);

	if (is_reg(m, 0))
		op->dst = reg_of(m, 0);
	op->src = reg_of(m, 1);
	op->aux = is_mem(m, 0);
	flags_of(m, true, false, NULL);
}

static void
interrupt(struct maker *m, unsigned int vector)
{
	struct op *op = emit(m, vector == EXC_OF ? op_into : op_int);

	op->imm = vector;
	m->ended = vector != EXC_OF;
	flags_of(m, true, false, NULL);
}

/* ---- x87, MMX and SSE ---- */

static bool
is_class(const struct maker *m, unsigned int n, ZydisRegisterClass class)
{
	return is_reg(m, n) &&
	    ZydisRegisterGetClass(m->o[n].reg.value) == class;
}

static bool
is_gpr(const struct maker *m, unsigned int n)
{
	return is_class(m, n, ZYDIS_REGCLASS_GPR64) ||
	    is_class(m, n, ZYDIS_REGCLASS_GPR32);
}

static void
vector(struct maker *m)
{
	unsigned int visible = m->in.operand_count_visible;
	int mem = -1;
	struct op *op;

	for (unsigned int n = 0; n < visible; n++)
		if (is_mem(m, n))
			mem = (int)n;
	if (m->in.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ ||
	    m->in.mnemonic == ZYDIS_MNEMONIC_MASKMOVDQU)
		mem = 2; /* hidden */
	op =
	    mem >= 0 ? emit_mem(m, op_sse, (unsigned int)mem) : emit(m, op_sse);
	op->more = (uint16_t)m->in.mnemonic;
	if (visible > 0 && is_reg(m, 0))
		op->dst = reg_of(m, 0);
	if (visible > 1 && is_reg(m, 1))
		op->src = reg_of(m, 1);
	if (visible > 0 && is_imm(m, visible - 1))
		op->imm = imm_of(m, visible - 1);
	if (mem == 0)
		op->aux |= FPU_DST_MEM;
	if (mem == 1)
		op->aux |= FPU_SRC_MEM;
	if (visible > 0 && is_gpr(m, 0))
		op->aux |= FPU_DST_GPR;
	if (visible > 1 && is_gpr(m, 1))
		op->aux |= FPU_SRC_GPR;
	if (visible > 0 && is_class(m, 0, ZYDIS_REGCLASS_MMX))
		op->aux |= FPU_DST_MMX;
	if (visible > 1 && is_class(m, 1, ZYDIS_REGCLASS_MMX))
		op->aux |= FPU_SRC_MMX;
	for (unsigned int n = 0; n < visible; n++)
		if (is_class(m, n, ZYDIS_REGCLASS_GPR64) ||
		    (is_mem(m, n) && m->o[n].size == 64 &&
			(m->in.mnemonic == ZYDIS_MNEMONIC_CVTSI2SD ||
			    m->in.mnemonic == ZYDIS_MNEMONIC_CVTSI2SS ||
			    m->in.mnemonic == ZYDIS_MNEMONIC_MOVNTI)))
			op->aux |= FPU_GPR64;
	if (m->in.raw.rex.W)
		op->aux |= FPU_GPR64;
	if (visible == 2 && is_imm(m, 1))
		op->aux |= FPU_IMM;
	if (m->in.mnemonic == ZYDIS_MNEMONIC_CRC32)
		op->imm = m->o[1].size;
	op->fn = sse_handler(op);
	flags_of(m, true, false, NULL);
}

static void
x87(struct maker *m)
{
	unsigned int visible = m->in.operand_count_visible;
	bool mem = visible > 0 && is_mem(m, 0);
	struct op *op = mem ? emit_mem(m, op_x87, 0) : emit(m, op_x87);

	op->more = (uint16_t)m->in.mnemonic;
	if (mem) {
		op->aux = FPU_SRC_MEM;
		op->imm = m->o[0].size;
	}
	if (visible > 0 && is_class(m, 0, ZYDIS_REGCLASS_X87))
		op->dst = reg_of(m, 0);
	if (visible > 1 && is_class(m, 1, ZYDIS_REGCLASS_X87))
		op->src = reg_of(m, 1);
	if (visible > 0 && is_class(m, 0, ZYDIS_REGCLASS_GPR16))
		op->aux = FPU_DST_GPR;
	op->disp = mem ? op->disp : (int32_t)visible;
	op->imm |= (int64_t)m->in.opcode << 24 | m->in.raw.modrm.mod << 22 |
	    m->in.raw.modrm.reg << 19 | m->in.raw.modrm.rm << 16;
	flags_of(m, true, false, NULL);
}

/* ---- all instructions ---- */

static bool make_system(struct maker *m);

static bool
make_integer(struct maker *m)
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
		flags_of(m, false, true, NULL);
		return true;
	case ZYDIS_MNEMONIC_XADD:
		exchange(m, xadd_ops);
		flags_of(m, false, true, NULL);
		return true;
	case ZYDIS_MNEMONIC_CMPXCHG8B:
		by_memory(m, op_cmpxchg8b, false);
		return true;
	case ZYDIS_MNEMONIC_CMPXCHG16B:
		by_memory(m, op_cmpxchg16b, false);
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
	case ZYDIS_MNEMONIC_CBW: plain(m, op_widen_a, 1, false); return true;
	case ZYDIS_MNEMONIC_CWDE: plain(m, op_widen_a, 2, false); return true;
	case ZYDIS_MNEMONIC_CDQE: plain(m, op_widen_a, 3, false); return true;
	case ZYDIS_MNEMONIC_CWD: plain(m, op_widen_d, 1, false); return true;
	case ZYDIS_MNEMONIC_CDQ: plain(m, op_widen_d, 2, false); return true;
	case ZYDIS_MNEMONIC_CQO: plain(m, op_widen_d, 3, false); return true;
	case ZYDIS_MNEMONIC_LAHF: plain(m, op_lahf, 0, false); return true;
	case ZYDIS_MNEMONIC_SAHF: plain(m, op_sahf, 0, false); return true;
	case ZYDIS_MNEMONIC_CLC: plain(m, op_carry, 0, false); return true;
	case ZYDIS_MNEMONIC_STC: plain(m, op_carry, 1, false); return true;
	case ZYDIS_MNEMONIC_CMC: plain(m, op_carry, 2, false); return true;
	case ZYDIS_MNEMONIC_CLD: plain(m, op_direction, 0, false); return true;
	case ZYDIS_MNEMONIC_STD: plain(m, op_direction, 1, false); return true;
	case ZYDIS_MNEMONIC_XLAT: {
		unsigned int n = 0;
		struct place p;

		while (n < m->in.operand_count && !is_mem(m, n))
			n++;
		if (n == m->in.operand_count)
			return false;
		p = (struct place){ .base = CPU_RBX,
			.index = REG_ZERO,
			.seg = segment_of(m, m->o[n].mem.segment) };
		put_place(emit(m, op_xlat), p);
		m->block->op[m->nops - 1].aux = (uint8_t)m->in.address_width;
		return true;
	}
	case ZYDIS_MNEMONIC_AAA:
		plain(m, op_ascii_adjust, 0, false);
		return true;
	case ZYDIS_MNEMONIC_AAS:
		plain(m, op_ascii_adjust, 1, false);
		return true;
	case ZYDIS_MNEMONIC_DAA:
		plain(m, op_decimal_adjust, 0, false);
		return true;
	case ZYDIS_MNEMONIC_DAS:
		plain(m, op_decimal_adjust, 1, false);
		return true;
	case ZYDIS_MNEMONIC_AAM: ascii_base(m, 0); return true;
	case ZYDIS_MNEMONIC_AAD: ascii_base(m, 1); return true;
	case ZYDIS_MNEMONIC_SALC: plain(m, op_salc, 0, false); return true;
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
	case ZYDIS_MNEMONIC_PREFETCHW: emit(m, op_nop); return true;
	default: break;
	}
	return false;
}

static bool
make_flow(struct maker *m)
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
		plain(m, op_leave, width(m), false);
		return true;
	case ZYDIS_MNEMONIC_ENTER: enter_frame(m); return true;
	case ZYDIS_MNEMONIC_PUSHA:
	case ZYDIS_MNEMONIC_PUSHAD:
		plain(m, op_pusha, width(m), false);
		return true;
	case ZYDIS_MNEMONIC_POPA:
	case ZYDIS_MNEMONIC_POPAD:
		plain(m, op_popa, width(m), false);
		return true;
	case ZYDIS_MNEMONIC_PUSHF:
	case ZYDIS_MNEMONIC_PUSHFD:
	case ZYDIS_MNEMONIC_PUSHFQ:
		plain(m, op_pushf, width(m), false);
		return true;
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFD:
	case ZYDIS_MNEMONIC_POPFQ:
		plain(m, op_popf, width(m), false);
		return true;
	default: break;
	}
	return false;
}

static bool
make_string(struct maker *m)
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

static bool
make_system(struct maker *m)
{
	switch (m->in.mnemonic) {
	case ZYDIS_MNEMONIC_IN: port(m, op_in, 1, 0); return true;
	case ZYDIS_MNEMONIC_OUT: port(m, op_out, 0, 1); return true;
	case ZYDIS_MNEMONIC_HLT: plain(m, op_hlt, 0, true); return true;
	case ZYDIS_MNEMONIC_CLI: plain(m, op_cli, 0, false); return true;
	case ZYDIS_MNEMONIC_STI: plain(m, op_sti, 0, false); return true;
	case ZYDIS_MNEMONIC_INT:
		interrupt(m, (uint8_t)imm_of(m, 0));
		return true;
	case ZYDIS_MNEMONIC_INT3: interrupt(m, EXC_BP); return true;
	case ZYDIS_MNEMONIC_INT1: plain(m, op_int1, 0, true); return true;
	case ZYDIS_MNEMONIC_INTO: interrupt(m, EXC_OF); return true;
	case ZYDIS_MNEMONIC_IRET: plain(m, op_iret, 1, true); return true;
	case ZYDIS_MNEMONIC_IRETD: plain(m, op_iret, 2, true); return true;
	case ZYDIS_MNEMONIC_IRETQ: plain(m, op_iret, 3, true); return true;
	case ZYDIS_MNEMONIC_SYSCALL: plain(m, op_syscall, 0, true); return true;
	case ZYDIS_MNEMONIC_SYSRET:
		plain(m, op_sysret, m->in.raw.rex.W ? 3 : 2, true);
		return true;
	case ZYDIS_MNEMONIC_SYSENTER:
		plain(m, op_sysenter, 0, true);
		return true;
	case ZYDIS_MNEMONIC_SYSEXIT:
		plain(m, op_sysexit, m->in.raw.rex.W ? 3 : 2, true);
		return true;
	case ZYDIS_MNEMONIC_VMCALL:
	case ZYDIS_MNEMONIC_VMMCALL:
		plain(m, op_hypercall, 0, false);
		return true;
	case ZYDIS_MNEMONIC_RDPMC: /* there is no counter */
		plain(m, op_refused, 0, true);
		return true;
	case ZYDIS_MNEMONIC_SWAPGS: plain(m, op_swapgs, 0, false); return true;
	case ZYDIS_MNEMONIC_CPUID: plain(m, op_cpuid, 0, false); return true;
	case ZYDIS_MNEMONIC_RDTSC: plain(m, op_rdtsc, 0, false); return true;
	case ZYDIS_MNEMONIC_RDTSCP: plain(m, op_rdtsc, 1, false); return true;
	case ZYDIS_MNEMONIC_RDMSR: plain(m, op_rdmsr, 0, false); return true;
	case ZYDIS_MNEMONIC_WRMSR: plain(m, op_wrmsr, 0, true); return true;
	case ZYDIS_MNEMONIC_CLTS: plain(m, op_clts, 0, false); return true;
	case ZYDIS_MNEMONIC_WBINVD:
	case ZYDIS_MNEMONIC_INVD:
		plain(m, op_privileged_nop, 0, false);
		return true;
	case ZYDIS_MNEMONIC_INVLPG: by_memory(m, op_invlpg, true); return true;
	case ZYDIS_MNEMONIC_LGDT: by_memory(m, op_lgdt, true); return true;
	case ZYDIS_MNEMONIC_LIDT: by_memory(m, op_lidt, true); return true;
	case ZYDIS_MNEMONIC_SGDT: by_memory(m, op_sgdt, false); return true;
	case ZYDIS_MNEMONIC_SIDT: by_memory(m, op_sidt, false); return true;
	case ZYDIS_MNEMONIC_LLDT: by_source(m, op_lldt, 0, true); return true;
	case ZYDIS_MNEMONIC_LTR: by_source(m, op_ltr, 0, true); return true;
	case ZYDIS_MNEMONIC_SLDT: to_destination(m, op_sldt); return true;
	case ZYDIS_MNEMONIC_STR: to_destination(m, op_str); return true;
	case ZYDIS_MNEMONIC_SMSW: to_destination(m, op_smsw); return true;
	case ZYDIS_MNEMONIC_LMSW: by_source(m, op_lmsw, 0, true); return true;
	case ZYDIS_MNEMONIC_VERR:
		by_source(m, op_verify, 0, false);
		return true;
	case ZYDIS_MNEMONIC_VERW:
		by_source(m, op_verify, 1, false);
		return true;
	case ZYDIS_MNEMONIC_LAR: access_rights(m, 0); return true;
	case ZYDIS_MNEMONIC_LSL: access_rights(m, 1); return true;
	case ZYDIS_MNEMONIC_LES: load_far_pointer(m, CPU_ES); return true;
	case ZYDIS_MNEMONIC_LDS: load_far_pointer(m, CPU_DS); return true;
	case ZYDIS_MNEMONIC_LSS: load_far_pointer(m, CPU_SS); return true;
	case ZYDIS_MNEMONIC_LFS: load_far_pointer(m, CPU_FS); return true;
	case ZYDIS_MNEMONIC_LGS: load_far_pointer(m, CPU_GS); return true;
	case ZYDIS_MNEMONIC_FXSAVE:
	case ZYDIS_MNEMONIC_FXSAVE64:
		by_memory(m, op_fxsave, false);
		return true;
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR64:
		by_memory(m, op_fxrstor, false);
		return true;
	default: break;
	}
	return false;
}

static void
make(struct maker *m)
{
	if (m->in.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		undefined(m); /* VEX and its like */
	else if (make_integer(m) || make_flow(m) || make_string(m) ||
	    make_system(m))
		return;
	else if (x87_known(m->in.mnemonic))
		x87(m);
	else if (sse_known(m->in.mnemonic))
		vector(m);
	else
		undefined(m);
}

/* ---- blocks ---- */

/* Takes the handlers without flags where nobody will look at the flags. */
static void
drop_dead_flags(struct maker *m)
{
	bool live = true;

	for (unsigned int n = m->nops; n-- > 1;) {
		if (!live && m->without[n] != NULL) {
			m->block->op[n].fn = m->without[n];
			live = m->reads_without[n];
			continue;
		}
		if (m->writes[n])
			live = false;
		if (m->reads[n])
			live = true;
	}
}

unsigned int
emu_decode(
    struct block *block, const uint8_t *code, size_t bytes, bool straddles)
{
	unsigned int size = block->mode & MODE_SIZE;
	unsigned int most =
	    straddles || (block->mode & MODE_STEP) ? 1 : BLOCK_INSNS;
	struct maker m = { .block = block, .code64 = size == MODE_64 };
	struct op *head;

	pthread_once(&decoders_once, init_decoders);
	head = emit(&m, block_head);
	head->imm = (int64_t)(uintptr_t)block;
	while (
	    !m.ended && m.nth < most && m.nops + 8 < BLOCK_OPS && m.pc < 240) {
		ZyanStatus status = ZydisDecoderDecodeFull(
		    &decoders[size], code + m.pc, bytes - m.pc, &m.in, m.o);

		if (ZYAN_FAILED(status)) {
			if (status == ZYDIS_STATUS_NO_MORE_DATA) {
				if (m.nth == 0 && !straddles)
					return 0;
				break; /* the next block's affair */
			}
			m.in.length = 1;
			emit(&m,
			    status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG
				? op_refused
				: op_undefined);
			m.ended = true;
		} else {
			m.next = block->rip + m.pc + m.in.length;
			make(&m);
		}
		m.pc = (uint8_t)(m.pc + m.in.length);
		m.nth++;
	}
	block->bytes = m.pc;
	block->ninsns = m.nth;
	if (!m.ended) {
		emit(&m, op_jmp);
		emit_link(&m, block->rip + m.pc);
	}
	drop_dead_flags(&m);
	return m.nops;
}
