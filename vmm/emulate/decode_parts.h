/*
 * decode_parts.h - what the files of the decoder share: the block that is being
 * made, its records, and the instruction's operands.
 *
 * decode.c walks through the code; decode_operands.c makes records and looks at
 * operands; the others know the kinds of instructions.
 */
#ifndef VMM_EMULATE_DECODE_PARTS_H
#define VMM_EMULATE_DECODE_PARTS_H

#include <Zydis/Zydis.h>

#include "vmm/emulate/handlers.h"

struct maker {
	struct block *block;
	unsigned int nops;
	ZydisDecodedInstruction in;
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	uint64_t next; /* the address behind the instruction */
	bool code64;
	bool ended; /* nothing follows in this block */
	uint8_t pc, nth;
	/* of each record, for the flags */
	op_fn without[BLOCK_OPS];
	bool reads[BLOCK_OPS], writes[BLOCK_OPS];
	bool reads_without[BLOCK_OPS]; /* the handler without flags, too */
};

/* Where a memory operand lies. */
struct place {
	uint8_t base, index, scale, seg;
	int32_t disp;
};

/* ---- records ---- */

struct op *decode_emit(struct maker *m, op_fn fn);
/* One that uses the stack; one with memory operand n. */
struct op *decode_emit_stack(struct maker *m, op_fn fn);
struct op *decode_emit_mem(struct maker *m, op_fn fn, unsigned int n);
/* The link to rip, behind a jump. */
void decode_link(struct maker *m, uint64_t rip);
/* #UD; nothing follows. */
void decode_undefined(struct maker *m);
/* What the last record does to the flags; without: the handler that does not
 * compute them, or NULL. */
void decode_flags(struct maker *m, bool reads, bool writes, op_fn without);

/* Whole instructions: without operands, but perhaps with the stack; on memory
 * alone; on a value that is read. */
void decode_plain(struct maker *m, op_fn fn, unsigned int aux, bool ends);
void decode_by_memory(struct maker *m, op_fn fn, bool ends);
void decode_by_source(struct maker *m, op_fn fn, unsigned int aux, bool ends);

/* ---- operands ---- */

static inline bool
is_reg(const struct maker *m, unsigned int n)
{
	return m->o[n].type == ZYDIS_OPERAND_TYPE_REGISTER;
}

static inline bool
is_mem(const struct maker *m, unsigned int n)
{
	return m->o[n].type == ZYDIS_OPERAND_TYPE_MEMORY;
}

static inline bool
is_imm(const struct maker *m, unsigned int n)
{
	return m->o[n].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

static inline int64_t
imm_of(const struct maker *m, unsigned int n)
{
	return m->o[n].imm.value.s;
}

static inline bool
is_segment(ZydisRegister reg)
{
	return reg >= ZYDIS_REGISTER_ES && reg <= ZYDIS_REGISTER_GS;
}

/* Sizes are 0 to 3: that of operand n, and that of an instruction without
 * explicit operands of its size. */
unsigned int decode_size(const struct maker *m, unsigned int n);
unsigned int decode_width(const struct maker *m);
/* Operand n's register; of bytes its place in gpr[]. */
uint8_t decode_reg(const struct maker *m, unsigned int n);
/* Its place in seg_base[]. */
uint8_t decode_segment(const struct maker *m, ZydisRegister segment);
/* Where memory operand n lies; emits what has to be computed first. */
struct place decode_place(struct maker *m, unsigned int n);
void decode_put_place(struct op *op, struct place p);
/* The register that holds operand n, which is loaded first if it is memory. */
uint8_t decode_source(struct maker *m, unsigned int n);

/* ---- kinds of instructions; false: it is none of these ---- */

bool decode_integer(struct maker *m);
bool decode_flow(struct maker *m);
bool decode_string(struct maker *m);
bool decode_system(struct maker *m);
/* Known by their names already. */
void decode_x87(struct maker *m);
void decode_sse(struct maker *m);

#endif
