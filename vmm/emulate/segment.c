/*
 * Segments and tables: descriptors, the registers that are loaded from them,
 * and what follows for the mode (SDM 3, chapters 3 and 5).
 *
 * In 64-bit mode a segment is little more than a privilege.
 */
#include "vmm/emulate/segment.h"

#include "vmm/emulate/handlers.h"

/* ---- what follows from segments and control registers ---- */

#define TYPE_CODE        8u
#define TYPE_EXPAND_DOWN 4u /* of data */
#define TYPE_MORE        2u /* data can be written, code be read */

/* Does the segment forbid nothing?  Writes by CS, apart. */
static bool
is_flat(const struct cpu_seg *seg, bool real)
{
	uint32_t a = seg->attributes;

	if (seg->limit != UINT32_MAX)
		return false;
	if (real)
		return true;
	return !(a & CPU_SEG_UNUSABLE) && (a & TYPE_MORE) &&
	    (a & TYPE_CODE || !(a & TYPE_EXPAND_DOWN));
}

bool
emu_segment_has(const struct cpu_seg *seg, uint64_t offset, unsigned int bytes)
{
	uint64_t last = offset + bytes - 1;
	uint32_t a = seg->attributes;

	if ((a & (TYPE_CODE | TYPE_EXPAND_DOWN)) == TYPE_EXPAND_DOWN)
		return offset > seg->limit &&
		    last <= (a & CPU_SEG_32 ? UINT32_MAX : UINT16_MAX);
	return last <= seg->limit;
}

void
emu_check_segment(struct emu_cpu *cpu, const struct op *op, unsigned int s,
    uint64_t offset, unsigned int bytes, bool write)
{
	const struct cpu_seg *seg = &cpu->seg[s];
	uint32_t a = seg->attributes;
	bool good = emu_segment_has(seg, offset, bytes);

	if (cpu->cr0 & CR0_PE) {
		if (a & CPU_SEG_UNUSABLE)
			good = false;
		if (write ? (a & TYPE_CODE) || !(a & TYPE_MORE)
			  : (a & TYPE_CODE) && !(a & TYPE_MORE))
			good = false;
	}
	if (!good)
		emu_fault_code(cpu, op, s == CPU_SS ? EXC_SS : EXC_GP, 0);
}

static uint32_t
checked_segments(const struct emu_cpu *cpu, bool real)
{
	uint32_t mode = 0;

	for (unsigned int s = CPU_ES; s <= CPU_GS; s++)
		if (!is_flat(&cpu->seg[s], real))
			mode |= MODE_CHECK(s);
	return mode;
}

void
emu_set_mode(struct emu_cpu *cpu)
{
	bool real = !(cpu->cr0 & CR0_PE);
	bool lma = cpu->efer & EFER_LMA;
	const struct cpu_seg *cs = &cpu->seg[CPU_CS];
	uint64_t base = cpu->seg_base[CPU_CS];
	uint32_t limit = cpu->code_limit;

	if (lma && (cs->attributes & CPU_SEG_LONG))
		cpu->mode = MODE_64;
	else if (!real && (cs->attributes & CPU_SEG_32))
		cpu->mode = MODE_32;
	else
		cpu->mode = MODE_16;
	if (real)
		cpu->mode |= MODE_REAL;
	if (cpu->cpl == 3)
		cpu->mode |= MODE_USER;
	if ((cpu->eflags & FLAG_TF) || cpu->armed != 0)
		cpu->mode |= MODE_STEP;
	for (unsigned int s = CPU_ES; s <= CPU_GS; s++)
		cpu->seg_base[s] =
		    (cpu->mode & MODE_SIZE) == MODE_64 && s < CPU_FS
		    ? 0
		    : cpu->seg[s].base;
	cpu->seg_base[SEG_NONE] = cpu->seg_base[SEG_STACK] = 0;
	if ((cpu->mode & MODE_SIZE) == MODE_64)
		cpu->stack_mask = ~UINT64_C(0);
	else if (cpu->seg[CPU_SS].attributes & CPU_SEG_32)
		cpu->stack_mask = 0xffffffff;
	else
		cpu->stack_mask = 0xffff;
	cpu->read = tlb_part(&cpu->tlb[cpu->cpl == 3], ACCESS_READ);
	cpu->write = tlb_part(&cpu->tlb[cpu->cpl == 3], ACCESS_WRITE);
	cpu->fetch = tlb_part(&cpu->tlb[cpu->cpl == 3], ACCESS_FETCH);
	cpu->code_limit = UINT32_MAX;
	if ((cpu->mode & MODE_SIZE) != MODE_64) {
		cpu->mode |= checked_segments(cpu, real);
		cpu->code_limit = cs->limit;
	}
	if (cpu->seg_base[CPU_CS] != base || cpu->code_limit != limit)
		/* jumps[] and links know offsets only */
		cpu->generations[0] = cpu->generations[1] =
		    ++cpu->vm->generations;
	cpu->generation = cpu->generations[cpu->cpl == 3];
}

void
emu_set_flags(struct emu_cpu *cpu, uint32_t flags)
{
	uint32_t rf = cpu->armed & ARMED_CODE ? 0 : FLAG_RF;

	cpu->fl_from = FL_RAW;
	cpu->eflags = (flags | FLAG_ONE) & ~(FLAG_VM | rf | 0xffc08028u);
	if (!(cpu->mode & MODE_STEP) != !(cpu->eflags & FLAG_TF))
		emu_set_mode(cpu);
}

/* ---- descriptors ---- */

bool
emu_find_descriptor(struct emu_cpu *cpu, const struct op *op, uint16_t selector,
    struct descriptor *d)
{
	uint64_t base = cpu->gdt.base, limit = cpu->gdt.limit;

	if (selector & 4) {
		base = cpu->seg[CPU_LDTR].base;
		limit = cpu->seg[CPU_LDTR].limit;
		if (cpu->seg[CPU_LDTR].attributes & CPU_SEG_UNUSABLE)
			return false;
	}
	if ((selector | 7u) > limit)
		return false;
	d->at = base + (selector & ~7u);
	d->low = (uint32_t)emu_read_system(cpu, op, d->at, 4);
	d->high = (uint32_t)emu_read_system(cpu, op, d->at + 4, 4);
	return true;
}

struct cpu_seg
emu_seg_of(const struct descriptor *d, uint16_t selector)
{
	struct cpu_seg seg = {
		.base = (d->low >> 16) | (d->high & 0xff) << 16 |
		    (d->high & 0xff000000),
		.limit = (d->low & 0xffff) | (d->high & 0xf0000),
		.attributes = (d->high >> 8 & 0xff) | (d->high >> 8 & 0xf000),
		.selector = selector,
	};

	if (seg.attributes & CPU_SEG_PAGES)
		seg.limit = seg.limit << 12 | 0xfff;
	return seg;
}

void
emu_mark_accessed(
    struct emu_cpu *cpu, const struct op *op, struct descriptor *d)
{
	if (d->high & 0x100)
		return;
	d->high |= 0x100;
	emu_write_system(cpu, op, d->at + 4, 4, d->high);
}

void
emu_load_real(struct emu_cpu *cpu, unsigned int s, uint16_t selector)
{
	cpu->seg[s].selector = selector;
	cpu->seg[s].base = (uint32_t)selector << 4;
}

/* ES, SS, DS, FS, GS from a selector. */
void
emu_load_segment(
    struct emu_cpu *cpu, const struct op *op, unsigned int s, uint16_t selector)
{
	struct descriptor d;
	unsigned int rpl = selector & 3, code = selector & ~3u;
	bool writable, data;

	if (!(cpu->cr0 & CR0_PE)) {
		emu_load_real(cpu, s, selector);
		emu_set_mode(cpu);
		return;
	}
	if (code == 0) {
		if (s == CPU_SS &&
		    ((cpu->mode & MODE_SIZE) != MODE_64 || cpu->cpl == 3 ||
			rpl != cpu->cpl))
			emu_fault_code(cpu, op, EXC_GP, 0);
		cpu->seg[s] = (struct cpu_seg){ .selector = selector,
			.attributes = CPU_SEG_UNUSABLE |
			    (s == CPU_SS ? CPU_SEG_DPL(cpu->cpl) : 0) };
		emu_set_mode(cpu);
		return;
	}
	if (!emu_find_descriptor(cpu, op, selector, &d))
		emu_fault_code(cpu, op, EXC_GP, code);
	data = DESC_IS_USER(d) && !DESC_IS_CODE(d);
	writable = data && (d.high & 0x200);
	if (s == CPU_SS) {
		if (!writable || rpl != cpu->cpl || DESC_DPL(d) != cpu->cpl)
			emu_fault_code(cpu, op, EXC_GP, code);
		if (!DESC_PRESENT(d))
			emu_fault_code(cpu, op, EXC_SS, code);
	} else {
		/* data, or code that may be read */
		if (!DESC_IS_USER(d) || (DESC_IS_CODE(d) && !(d.high & 0x200)))
			emu_fault_code(cpu, op, EXC_GP, code);
		if ((data || !DESC_CONFORMS(d)) &&
		    (rpl > DESC_DPL(d) || cpu->cpl > DESC_DPL(d)))
			emu_fault_code(cpu, op, EXC_GP, code);
		if (!DESC_PRESENT(d))
			emu_fault_code(cpu, op, EXC_NP, code);
	}
	emu_mark_accessed(cpu, op, &d);
	cpu->seg[s] = emu_seg_of(&d, selector);
	emu_set_mode(cpu);
}

/* Checks a code descriptor for a transfer to privilege cpl; ext is of the error
 * code. */
void
emu_check_code(struct emu_cpu *cpu, const struct op *op, uint16_t selector,
    const struct descriptor *d, unsigned int cpl, unsigned int ext)
{
	unsigned int code = (selector & ~3u) | ext;

	if (!DESC_IS_USER(*d) || !DESC_IS_CODE(*d))
		emu_fault_code(cpu, op, EXC_GP, code);
	if (DESC_CONFORMS(*d) ? DESC_DPL(*d) > cpl : DESC_DPL(*d) != cpl)
		emu_fault_code(cpu, op, EXC_GP, code);
	if (!DESC_PRESENT(*d))
		emu_fault_code(cpu, op, EXC_NP, code);
	if ((cpu->efer & EFER_LMA) && (d->high & 0x600000) == 0x600000)
		emu_fault_code(cpu, op, EXC_GP, code); /* L and D at once */
}

/* emu_mark_accessed() was called. */
void
emu_set_code(struct emu_cpu *cpu, const struct descriptor *d, uint16_t selector,
    unsigned int cpl)
{
	cpu->seg[CPU_CS] = emu_seg_of(d, (uint16_t)((selector & ~3u) | cpl));
	cpu->cpl = (uint8_t)cpl;
}

/* ---- loading and storing segment and table registers ---- */

/* dst: the segment; src: a register with the selector (REG_VALUE: it was
 * loaded). */
const struct op *
op_mov_to_seg(struct emu_cpu *cpu, const struct op *op)
{
	if (op->dst == CPU_CS)
		emu_fault(cpu, op, EXC_UD);
	emu_load_segment(cpu, op, op->dst, (uint16_t)cpu->gpr[op->src]);
	if (op->dst == CPU_SS) {
		cpu->shadow = cpu->shadow_ss = true;
		cpu->single = false;
	}
	return leave_after(cpu, op);
}

/* Into a register, aux its size; a store goes by REG_VALUE. */
const struct op *
op_mov_from_seg(struct emu_cpu *cpu, const struct op *op)
{
	uint16_t v = cpu->seg[op->src].selector;

	cpu->gpr[op->dst] = op->aux == 1 && op->dst != REG_VALUE
	    ? (cpu->gpr[op->dst] & ~UINT64_C(0xffff)) | v
	    : v;
	NEXT;
}

const struct op *
op_pop_seg(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux;

	emu_load_segment(
	    cpu, op, op->dst, (uint16_t)stack_read(cpu, op, bytes, 0));
	stack_set(cpu, cpu->gpr[CPU_RSP] + bytes);
	if (op->dst == CPU_SS) {
		cpu->shadow = cpu->shadow_ss = true;
		cpu->single = false;
	}
	return leave_after(cpu, op);
}

/* LES and kin: src is the segment, dst the register. */
const struct op *
op_load_far(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux;
	uint64_t at = effective(cpu, op), v;

	v = emu_read(cpu, op, at, bytes);
	emu_load_segment(
	    cpu, op, op->src, (uint16_t)emu_read(cpu, op, at + bytes, 2));
	cpu->gpr[op->dst] =
	    bytes == 2 ? (cpu->gpr[op->dst] & ~UINT64_C(0xffff)) | v : v;
	return leave_after(cpu, op);
}

static struct cpu_table
read_table(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t at = effective(cpu, op);
	bool wide = (cpu->mode & MODE_SIZE) == MODE_64;
	struct cpu_table table;

	emu_need_ring0(cpu, op);
	table.limit = (uint16_t)emu_read(cpu, op, at, 2);
	table.base = emu_read(cpu, op, at + 2, wide ? 8 : 4);
	if (op->aux == 1 && !wide) /* a 16-bit operand has 24 bits */
		table.base &= 0xffffff;
	if (wide && !canonical(table.base))
		emu_fault_code(cpu, op, EXC_GP, 0);
	return table;
}

const struct op *
op_lgdt(struct emu_cpu *cpu, const struct op *op)
{
	cpu->gdt = read_table(cpu, op);
	return leave_after(cpu, op);
}

const struct op *
op_lidt(struct emu_cpu *cpu, const struct op *op)
{
	cpu->idt = read_table(cpu, op);
	return leave_after(cpu, op);
}

static const struct op *
store_table(
    struct emu_cpu *cpu, const struct op *op, const struct cpu_table *table)
{
	uint64_t at = effective(cpu, op);
	bool wide = (cpu->mode & MODE_SIZE) == MODE_64;

	emu_write(cpu, op, at, 2, table->limit);
	emu_write(cpu, op, at + 2, wide ? 8 : 4, table->base);
	NEXT_STORED;
}

const struct op *
op_sgdt(struct emu_cpu *cpu, const struct op *op)
{
	return store_table(cpu, op, &cpu->gdt);
}

const struct op *
op_sidt(struct emu_cpu *cpu, const struct op *op)
{
	return store_table(cpu, op, &cpu->idt);
}

/* A system segment: LDT (type 2) or an available TSS (9, in legacy mode also
 * 1), whose descriptor has 16 bytes in long mode. */
static struct cpu_seg
system_segment(
    struct emu_cpu *cpu, const struct op *op, uint16_t selector, bool tss)
{
	unsigned int code = selector & ~3u, type;
	struct cpu_seg seg;
	struct descriptor d;

	if (!(cpu->cr0 & CR0_PE))
		emu_fault(cpu, op, EXC_UD);
	emu_need_ring0(cpu, op);
	if (code == 0 && !tss)
		return (struct cpu_seg){ .selector = selector,
			.attributes = CPU_SEG_UNUSABLE };
	if (code == 0 || selector & 4 ||
	    !emu_find_descriptor(cpu, op, selector, &d))
		emu_fault_code(cpu, op, EXC_GP, code);
	type = d.high >> 8 & 0x1f;
	if (tss ? type != 9 && (type != 1 || cpu->efer & EFER_LMA) : type != 2)
		emu_fault_code(cpu, op, EXC_GP, code);
	if (!DESC_PRESENT(d))
		emu_fault_code(cpu, op, EXC_NP, code);
	seg = emu_seg_of(&d, selector);
	if (cpu->efer & EFER_LMA)
		seg.base |= emu_read_system(cpu, op, d.at + 8, 4) << 32;
	if (!canonical(seg.base))
		emu_fault_code(cpu, op, EXC_GP, code);
	if (tss) {
		d.high |= 0x200; /* busy */
		emu_write_system(cpu, op, d.at + 4, 4, d.high);
		seg.attributes |= 2;
	}
	return seg;
}

const struct op *
op_lldt(struct emu_cpu *cpu, const struct op *op)
{
	cpu->seg[CPU_LDTR] =
	    system_segment(cpu, op, (uint16_t)cpu->gpr[op->src], false);
	return leave_after(cpu, op);
}

const struct op *
op_ltr(struct emu_cpu *cpu, const struct op *op)
{
	cpu->seg[CPU_TR] =
	    system_segment(cpu, op, (uint16_t)cpu->gpr[op->src], true);
	return leave_after(cpu, op);
}

static const struct op *
store_selector(struct emu_cpu *cpu, const struct op *op, uint16_t selector)
{
	cpu->gpr[op->dst] = op->aux == 1 && op->dst != REG_VALUE
	    ? (cpu->gpr[op->dst] & ~UINT64_C(0xffff)) | selector
	    : selector;
	NEXT;
}

const struct op *
op_sldt(struct emu_cpu *cpu, const struct op *op)
{
	return store_selector(cpu, op, cpu->seg[CPU_LDTR].selector);
}

const struct op *
op_str(struct emu_cpu *cpu, const struct op *op)
{
	return store_selector(cpu, op, cpu->seg[CPU_TR].selector);
}

/* VERR (aux 0), VERW (aux 1). */
const struct op *
op_verify(struct emu_cpu *cpu, const struct op *op)
{
	uint16_t selector = (uint16_t)cpu->gpr[op->src];
	unsigned int rpl = selector & 3u;
	struct descriptor d;
	bool good = false;

	if ((selector & ~3u) != 0 &&
	    emu_find_descriptor(cpu, op, selector, &d) && DESC_IS_USER(d)) {
		bool code = DESC_IS_CODE(d);

		good = op->aux == 0 ? !code || (d.high & 0x200)
				    : !code && (d.high & 0x200);
		if (!code || !DESC_CONFORMS(d))
			good = good && rpl <= DESC_DPL(d) &&
			    cpu->cpl <= DESC_DPL(d);
	}
	flags_put(cpu, FLAG_ZF, good ? FLAG_ZF : 0);
	NEXT;
}

/* LAR (more 0), LSL (more 1). */
const struct op *
op_lar_lsl(struct emu_cpu *cpu, const struct op *op)
{
	uint16_t selector = (uint16_t)cpu->gpr[op->src];
	unsigned int rpl = selector & 3u;
	struct descriptor d;
	bool good = false;

	if ((selector & ~3u) != 0 &&
	    emu_find_descriptor(cpu, op, selector, &d)) {
		unsigned int type = DESC_TYPE(d);

		good = DESC_IS_USER(d) || type == 2 || type == 9 ||
		    type == 11 || (op->more == 0 && type == 12);
		if (!DESC_IS_USER(d) || !DESC_IS_CODE(d) || !DESC_CONFORMS(d))
			good = good && rpl <= DESC_DPL(d) &&
			    cpu->cpl <= DESC_DPL(d);
	}
	if (good) {
		uint32_t v = op->more == 0 ? d.high & 0x00f0ff00
					   : emu_seg_of(&d, selector).limit;

		if (op->aux == 1)
			cpu->gpr[op->dst] =
			    (cpu->gpr[op->dst] & ~UINT64_C(0xffff)) |
			    (uint16_t)v;
		else
			cpu->gpr[op->dst] = v;
	}
	flags_put(cpu, FLAG_ZF, good ? FLAG_ZF : 0);
	NEXT;
}
