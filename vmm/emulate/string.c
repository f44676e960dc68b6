/*
 * String instructions, with REP by pieces of pages.
 *
 * A repeated instruction can be interrupted between elements; here it looks up
 * after PIECES_MAX pieces of pages, and goes on later where its registers say.
 * That number follows from the instruction alone: under a virtual clock nothing
 * that the guest does may depend on where a slice ends.
 */
#include "vmm/emulate/handlers.h"

#define REP   0xf3 /* and REPE */
#define REPNE 0xf2

#define PIECES_MAX 1024

static inline uint64_t
address_mask(const struct op *op)
{
	return op->more == 64 ? ~UINT64_C(0)
	    : op->more == 32  ? 0xffffffff
			      : 0xffff;
}

/* Adds to an index register or counter of the instruction's address size. */
static inline void
advance(struct emu_cpu *cpu, const struct op *op, unsigned int reg, uint64_t by)
{
	uint64_t mask = address_mask(op), v = cpu->gpr[reg] + by;

	cpu->gpr[reg] =
	    op->more == 16 ? (cpu->gpr[reg] & ~mask) | (v & mask) : v & mask;
}

static inline uint64_t
at(struct emu_cpu *cpu, const struct op *op, unsigned int reg,
    unsigned int segment, bool write)
{
	uint64_t offset = cpu->gpr[reg] & address_mask(op);

	if (unlikely(cpu->mode & MODE_CHECK(segment)))
		emu_check_segment(
		    cpu, op, segment, offset, 1u << op->aux, write);
	return offset + cpu->seg_base[segment];
}

static inline uint64_t
source_at(struct emu_cpu *cpu, const struct op *op)
{
	return at(cpu, op, CPU_RSI, op->seg, false);
}

static inline uint64_t
destination_at(struct emu_cpu *cpu, const struct op *op, bool write)
{
	return at(cpu, op, CPU_RDI, CPU_ES, write);
}

static inline uint64_t
count(const struct emu_cpu *cpu, const struct op *op)
{
	return cpu->gpr[CPU_RCX] & address_mask(op);
}

static uint64_t
load(struct emu_cpu *cpu, const struct op *op, uint64_t addr)
{
	switch (op->aux) {
	case 0: return load8(cpu, op, addr);
	case 1: return load16(cpu, op, addr);
	case 2: return load32(cpu, op, addr);
	}
	return load64(cpu, op, addr);
}

static void
store(struct emu_cpu *cpu, const struct op *op, uint64_t addr, uint64_t v)
{
	switch (op->aux) {
	case 0: store8(cpu, op, addr, (uint8_t)v); break;
	case 1: store16(cpu, op, addr, (uint16_t)v); break;
	case 2: store32(cpu, op, addr, (uint32_t)v); break;
	default: store64(cpu, op, addr, v); break;
	}
}

static inline int64_t
step(const struct emu_cpu *cpu, const struct op *op)
{
	int64_t bytes = 1 << op->aux;

	return cpu->eflags & FLAG_DF ? -bytes : bytes;
}

/* Whole elements from addr to the end of its page, forwards. */
static inline uint64_t
to_page_end(const struct op *op, uint64_t addr)
{
	return (PAGE_BYTES - (addr & ~PAGE_MASK)) >> op->aux;
}

/* Is it time to look around, after so many pieces?  A piece takes its time, but
 * is not an instruction that is retired. */
static inline bool
look_around(struct emu_cpu *cpu, unsigned int *pieces)
{
	cpu->budget -= 16;
	cpu->slice -= 16;
	return ++*pieces == PIECES_MAX || cpu->smc || cpu->mode & MODE_STEP;
}

/* A traced instruction stops after each element; and a segment may end. */
static inline bool
by_elements(const struct emu_cpu *cpu, const struct op *op)
{
	return cpu->eflags & FLAG_DF ||
	    cpu->mode & (MODE_STEP | MODE_CHECK(op->seg) | MODE_CHECK(CPU_ES));
}

/* Moves what can be moved at once; the number of elements, 0: none. */
static uint64_t
move_piece(struct emu_cpu *cpu, const struct op *op, uint64_t most)
{
	uint64_t from = source_at(cpu, op), to = destination_at(cpu, op, true),
		 n;
	uint8_t *p, *q;

	n = to_page_end(op, from);
	if (n > to_page_end(op, to))
		n = to_page_end(op, to);
	if (n > most)
		n = most;
	if (n == 0 || by_elements(cpu, op))
		return 0;
	p = emu_host(cpu, op, from, ACCESS_READ);
	q = emu_host(cpu, op, to, ACCESS_WRITE);
	if (p == NULL || q == NULL)
		return 0;
	if (q > p && q < p + (n << op->aux)) {
		/* What is written is read again further on: as one element
		 * after the other would. */
		uint64_t apart = (uint64_t)(q - p);

		if (apart < (UINT64_C(1) << op->aux))
			return 0;
		for (uint64_t done = 0; done < n << op->aux; done += apart) {
			uint64_t left = (n << op->aux) - done;

			memcpy(q + done, p + done, left < apart ? left : apart);
		}
	} else
		memmove(q, p, n << op->aux);
	return n;
}

const struct op *
op_movs(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t left = op->imm != 0 ? count(cpu, op) : 1, n;
	unsigned int pieces = 0;

	while (left > 0) {
		n = op->imm != 0 ? move_piece(cpu, op, left) : 0;
		if (n == 0) {
			uint64_t v = load(cpu, op, source_at(cpu, op));

			store(cpu, op, destination_at(cpu, op, true), v);
			n = 1;
		}
		left -= n;
		advance(cpu, op, CPU_RSI, n * (uint64_t)step(cpu, op));
		advance(cpu, op, CPU_RDI, n * (uint64_t)step(cpu, op));
		if (op->imm != 0)
			advance(cpu, op, CPU_RCX, -n);
		if (left > 0 && look_around(cpu, &pieces))
			return leave_before(cpu, op);
	}
	NEXT_STORED;
}

static uint64_t
fill_piece(struct emu_cpu *cpu, const struct op *op, uint64_t most)
{
	uint64_t to = destination_at(cpu, op, true), n = to_page_end(op, to);
	uint64_t v = cpu->gpr[CPU_RAX];
	uint8_t *q;

	if (n > most)
		n = most;
	if (n == 0 || by_elements(cpu, op))
		return 0;
	q = emu_host(cpu, op, to, ACCESS_WRITE);
	if (q == NULL)
		return 0;
	if (v == 0 || op->aux == 0) {
		memset(q, (int)(v & 0xff), n << op->aux);
		return n;
	}
	for (uint64_t i = 0; i < n; i++)
		memcpy(q + (i << op->aux), &v, (size_t)1 << op->aux);
	return n;
}

const struct op *
op_stos(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t left = op->imm != 0 ? count(cpu, op) : 1, n;
	unsigned int pieces = 0;

	while (left > 0) {
		n = op->imm != 0 ? fill_piece(cpu, op, left) : 0;
		if (n == 0) {
			store(cpu, op, destination_at(cpu, op, true),
			    cpu->gpr[CPU_RAX]);
			n = 1;
		}
		left -= n;
		advance(cpu, op, CPU_RDI, n * (uint64_t)step(cpu, op));
		if (op->imm != 0)
			advance(cpu, op, CPU_RCX, -n);
		if (left > 0 && look_around(cpu, &pieces))
			return leave_before(cpu, op);
	}
	NEXT_STORED;
}

static void
put_accumulator(struct emu_cpu *cpu, const struct op *op, uint64_t v)
{
	uint64_t *a = &cpu->gpr[CPU_RAX];

	switch (op->aux) {
	case 0: *a = (*a & ~UINT64_C(0xff)) | (uint8_t)v; break;
	case 1: *a = (*a & ~UINT64_C(0xffff)) | (uint16_t)v; break;
	case 2: *a = (uint32_t)v; break;
	default: *a = v; break;
	}
}

const struct op *
op_lods(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t left = op->imm != 0 ? count(cpu, op) : 1;
	unsigned int pieces = 0;

	while (left > 0) {
		put_accumulator(cpu, op, load(cpu, op, source_at(cpu, op)));
		left--;
		advance(cpu, op, CPU_RSI, (uint64_t)step(cpu, op));
		if (op->imm != 0)
			advance(cpu, op, CPU_RCX, -UINT64_C(1));
		if (left > 0 && look_around(cpu, &pieces))
			return leave_before(cpu, op);
	}
	NEXT;
}

static int64_t
extended(const struct op *op, uint64_t v)
{
	switch (op->aux) {
	case 0: return (int8_t)v;
	case 1: return (int16_t)v;
	case 2: return (int32_t)v;
	}
	return (int64_t)v;
}

static void
compare(struct emu_cpu *cpu, const struct op *op, uint64_t a, uint64_t b)
{
	flags_set(
	    cpu, FL_SUB, extended(op, a), extended(op, b), extended(op, a - b));
}

/* Does a repeated comparison go on after this result? */
static bool
goes_on(const struct emu_cpu *cpu, const struct op *op)
{
	return flag_zf(cpu) == (op->imm == REP);
}

const struct op *
op_cmps(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t left = op->imm != 0 ? count(cpu, op) : 1;
	unsigned int pieces = 0;

	while (left > 0) {
		uint64_t a = load(cpu, op, source_at(cpu, op));
		uint64_t b = load(cpu, op, destination_at(cpu, op, false));

		compare(cpu, op, a, b);
		left--;
		advance(cpu, op, CPU_RSI, (uint64_t)step(cpu, op));
		advance(cpu, op, CPU_RDI, (uint64_t)step(cpu, op));
		if (op->imm == 0)
			break;
		advance(cpu, op, CPU_RCX, -UINT64_C(1));
		if (!goes_on(cpu, op))
			break;
		if (left > 0 && look_around(cpu, &pieces))
			return leave_before(cpu, op);
	}
	NEXT;
}

const struct op *
op_scas(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t left = op->imm != 0 ? count(cpu, op) : 1;
	unsigned int pieces = 0;

	while (left > 0) {
		compare(cpu, op, cpu->gpr[CPU_RAX],
		    load(cpu, op, destination_at(cpu, op, false)));
		left--;
		advance(cpu, op, CPU_RDI, (uint64_t)step(cpu, op));
		if (op->imm == 0)
			break;
		advance(cpu, op, CPU_RCX, -UINT64_C(1));
		if (!goes_on(cpu, op))
			break;
		if (left > 0 && look_around(cpu, &pieces))
			return leave_before(cpu, op);
	}
	NEXT;
}

const struct op *
op_ins(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t left = op->imm != 0 ? count(cpu, op) : 1;
	unsigned int pieces = 0;

	emu_check_port(cpu, op, (uint16_t)cpu->gpr[CPU_RDX], 1u << op->aux);
	while (left > 0) {
		uint64_t to = destination_at(cpu, op, true);

		/* The port is not read if the store would fault. */
		emu_translate(cpu, op, to, ACCESS_WRITE);
		emu_translate(cpu, op, to + (1u << op->aux) - 1, ACCESS_WRITE);
		store(cpu, op, to,
		    emu_port_in(cpu, op, (uint16_t)cpu->gpr[CPU_RDX]));
		left--;
		advance(cpu, op, CPU_RDI, (uint64_t)step(cpu, op));
		if (op->imm != 0)
			advance(cpu, op, CPU_RCX, -UINT64_C(1));
		if (left > 0 && look_around(cpu, &pieces))
			return leave_before(cpu, op);
	}
	return leave_after(cpu, op);
}

const struct op *
op_outs(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t left = op->imm != 0 ? count(cpu, op) : 1;
	unsigned int pieces = 0;

	emu_check_port(cpu, op, (uint16_t)cpu->gpr[CPU_RDX], 1u << op->aux);
	while (left > 0) {
		uint64_t v = load(cpu, op, source_at(cpu, op));

		emu_port_out(cpu, op, (uint16_t)cpu->gpr[CPU_RDX], (uint32_t)v);
		left--;
		advance(cpu, op, CPU_RSI, (uint64_t)step(cpu, op));
		if (op->imm != 0)
			advance(cpu, op, CPU_RCX, -UINT64_C(1));
		if (left > 0 && look_around(cpu, &pieces))
			return leave_before(cpu, op);
	}
	return leave_after(cpu, op);
}
