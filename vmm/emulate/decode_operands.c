/*
 * Records, and the operands of the instruction that they are made of.
 */
#include "vmm/emulate/decode_parts.h"

/* ---- records ---- */

struct op *
decode_emit(struct maker *m, op_fn fn)
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
struct op *
decode_emit_stack(struct maker *m, op_fn fn)
{
	struct op *op = decode_emit(m, fn);

	op->seg = SEG_STACK;
	return op;
}

/* What the last record does to the flags. */
void
decode_flags(struct maker *m, bool reads, bool writes, op_fn without)
{
	m->reads[m->nops - 1] = reads;
	m->writes[m->nops - 1] = writes;
	m->without[m->nops - 1] = without;
}

void
decode_link(struct maker *m, uint64_t rip)
{
	struct link *link = (struct link *)(void *)&m->block->op[m->nops];

	decode_emit(m, NULL);
	*link = (struct link){ .rip = rip };
}

void
decode_undefined(struct maker *m)
{
	decode_emit(m, op_undefined);
	m->ended = true;
}

/* ---- operands ---- */

static unsigned int
size_of_bits(unsigned int bits)
{
	return bits == 8 ? 0 : bits == 16 ? 1 : bits == 32 ? 2 : 3;
}

unsigned int
decode_size(const struct maker *m, unsigned int n)
{
	return size_of_bits(m->o[n].size);
}

/* The size of an instruction without explicit operands of its size. */
unsigned int
decode_width(const struct maker *m)
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

uint8_t
decode_reg(const struct maker *m, unsigned int n)
{
	return reg_number(m->o[n].reg.value);
}

uint8_t
decode_segment(const struct maker *m, ZydisRegister segment)
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
	op = decode_emit(m, op_check);
	op->seg = segment;
	op->imm = m->o[n].size / 8;
	op->aux = write;
}

/* Where memory operand n lies; emits what has to be computed first. */
struct place
decode_place(struct maker *m, unsigned int n)
{
	const ZydisDecodedOperandMem *mem = &m->o[n].mem;
	struct place p = { .base = address_reg(mem->base),
		.index = address_reg(mem->index),
		.scale = shift_of_scale(mem->scale),
		.seg = decode_segment(m, mem->segment) };
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
		op = decode_emit(m, op_constant);
		op->imm = disp;
	} else {
		op = decode_emit(m, op_address);
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

void
decode_put_place(struct op *op, struct place p)
{
	op->base = p.base;
	op->index = p.index;
	op->scale = p.scale;
	op->seg = p.seg;
	op->disp = p.disp;
}

struct op *
decode_emit_mem(struct maker *m, op_fn fn, unsigned int n)
{
	struct place p = decode_place(m, n);
	struct op *op = decode_emit(m, fn);

	decode_put_place(op, p);
	return op;
}

/* The register that holds operand n, which is loaded first if it is memory. */
uint8_t
decode_source(struct maker *m, unsigned int n)
{
	if (is_reg(m, n))
		return decode_reg(m, n);
	decode_emit_mem(m, load_temp_ops[decode_size(m, n)], n);
	return decode_size(m, n) == 0 ? REG_VALUE * 8 : REG_VALUE;
}

/* ---- whole instructions ---- */

/* No operands, but perhaps the stack. */
void
decode_plain(struct maker *m, op_fn fn, unsigned int aux, bool ends)
{
	struct op *op = decode_emit_stack(m, fn);

	op->aux = (uint8_t)aux;
	m->ended = ends;
	decode_flags(m, true, false, NULL);
}

void
decode_by_memory(struct maker *m, op_fn fn, bool ends)
{
	struct op *op;

	if (!is_mem(m, 0)) {
		decode_undefined(m);
		return;
	}
	op = decode_emit_mem(m, fn, 0);
	op->aux = (uint8_t)decode_width(m);
	m->ended = ends;
	decode_flags(m, true, false, NULL);
}

void
decode_by_source(struct maker *m, op_fn fn, unsigned int aux, bool ends)
{
	uint8_t src = decode_source(m, 0);
	struct op *op = decode_emit(m, fn);

	op->src = src;
	op->aux = (uint8_t)aux;
	m->ended = ends;
	decode_flags(m, true, false, NULL);
}
