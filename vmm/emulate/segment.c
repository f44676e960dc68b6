/*
 * Segments, tables, and the transfers of control that change them: far jumps,
 * IRET, system calls, exceptions and interrupts (SDM 3, chapters 3, 5 and 6).
 *
 * In 64-bit mode a segment is little more than a privilege; protected mode is
 * kept as far as boot loaders and test kernels use it: flat or not, with
 * interrupt and trap gates, without call gates, hardware tasks, virtual-8086
 * mode and limit checks.  The resume flag reads as clear where there is no
 * instruction breakpoint that it could hold back.
 */
#include "vmm/emulate/segment.h"

#include "vmm/emulate/handlers.h"

#define GATE_INTERRUPT 0xe
#define GATE_TRAP      0xf

/* ---- what follows from segments and control registers ---- */

void
emu_set_mode(struct emu_cpu *cpu)
{
	bool real = !(cpu->cr0 & CR0_PE);
	bool lma = cpu->efer & EFER_LMA;
	const struct cpu_seg *cs = &cpu->seg[CPU_CS];
	uint64_t base = cpu->seg_base[CPU_CS];

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
	if (cpu->seg_base[CPU_CS] != base)
		/* jumps[] knows offsets only */
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

struct descriptor {
	uint64_t at; /* where it stands */
	uint32_t low, high;
};

#define DESC_TYPE(d)     ((d).high >> 8 & 15)
#define DESC_IS_USER(d)  ((d).high & 0x1000) /* code or data */
#define DESC_DPL(d)      ((d).high >> 13 & 3)
#define DESC_PRESENT(d)  ((d).high & 0x8000)
#define DESC_IS_CODE(d)  ((d).high & 0x800)
#define DESC_CONFORMS(d) ((d).high & 0x400)

static bool
find_descriptor(struct emu_cpu *cpu, const struct op *op, uint16_t selector,
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

static struct cpu_seg
seg_of(const struct descriptor *d, uint16_t selector)
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

static void
mark_accessed(struct emu_cpu *cpu, const struct op *op, struct descriptor *d)
{
	if (d->high & 0x100)
		return;
	d->high |= 0x100;
	emu_write_system(cpu, op, d->at + 4, 4, d->high);
}

static void
load_real(struct emu_cpu *cpu, unsigned int s, uint16_t selector)
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
		load_real(cpu, s, selector);
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
	if (!find_descriptor(cpu, op, selector, &d))
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
	mark_accessed(cpu, op, &d);
	cpu->seg[s] = seg_of(&d, selector);
	emu_set_mode(cpu);
}

/* Checks a code descriptor for a transfer to privilege cpl; ext is of the error
 * code. */
static void
check_code(struct emu_cpu *cpu, const struct op *op, uint16_t selector,
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

/* mark_accessed() was called. */
static void
set_code(struct emu_cpu *cpu, const struct descriptor *d, uint16_t selector,
    unsigned int cpl)
{
	cpu->seg[CPU_CS] = seg_of(d, (uint16_t)((selector & ~3u) | cpl));
	cpu->cpl = (uint8_t)cpl;
}

/* A segment as the system-call instructions load it (SDM 2, SYSCALL). */
static void
set_flat(struct emu_cpu *cpu, unsigned int s, uint16_t selector,
    unsigned int dpl, uint32_t more)
{
	cpu->seg[s] = (struct cpu_seg){ .selector = selector,
		.limit = 0xffffffff,
		.attributes = CPU_SEG_CODE | CPU_SEG_PRESENT | CPU_SEG_PAGES |
		    CPU_SEG_DPL(dpl) | more };
}

/* ---- delivery of exceptions and interrupts ---- */

/* Where an inner privilege's stack begins, by the TSS. */
static uint64_t
tss_stack(struct emu_cpu *cpu, unsigned int cpl, unsigned int ist,
    unsigned int ext, uint16_t *ss)
{
	const struct op *op = NULL;
	uint64_t base = cpu->seg[CPU_TR].base;
	uint32_t code = (cpu->seg[CPU_TR].selector & ~3u) | ext;

	*ss = (uint16_t)cpl;
	if (cpu->efer & EFER_LMA) {
		uint64_t at = ist > 0 ? 36 + 8 * (ist - 1) : 4 + 8 * cpl;

		if (at + 7 > cpu->seg[CPU_TR].limit)
			emu_fault_code(cpu, op, EXC_TS, code);
		return emu_read_system(cpu, op, base + at, 8);
	}
	if (4 + 8 * cpl + 5 > cpu->seg[CPU_TR].limit)
		emu_fault_code(cpu, op, EXC_TS, code);
	*ss = (uint16_t)emu_read_system(cpu, op, base + 8 + 8 * cpl, 2);
	return emu_read_system(cpu, op, base + 4 + 8 * cpl, 4);
}

static void
deliver_real(struct emu_cpu *cpu, unsigned int vector)
{
	const struct op *op = NULL;
	uint64_t at = cpu->idt.base + 4 * vector;
	uint16_t ip, cs;
	const uint16_t words[3] = { (uint16_t)emu_flags(cpu),
		cpu->seg[CPU_CS].selector, (uint16_t)cpu->rip };
	uint16_t sp = (uint16_t)cpu->gpr[CPU_RSP];

	if (4 * vector + 3 > cpu->idt.limit)
		emu_fault_code(cpu, op, EXC_GP, 0);
	ip = (uint16_t)emu_read_system(cpu, op, at, 2);
	cs = (uint16_t)emu_read_system(cpu, op, at + 2, 2);
	for (int i = 0; i < 3; i++) {
		sp = (uint16_t)(sp - 2);
		emu_write_system(
		    cpu, op, cpu->seg[CPU_SS].base + sp, 2, words[i]);
	}
	cpu->gpr[CPU_RSP] = (cpu->gpr[CPU_RSP] & ~UINT64_C(0xffff)) | sp;
	cpu->eflags &= ~(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF);
	load_real(cpu, CPU_CS, cs);
	cpu->rip = ip;
	emu_set_mode(cpu);
}

/* Faults leave the instruction to be executed again. */
static bool
is_fault(unsigned int vector)
{
	return vector == EXC_DE || (vector >= EXC_BR && vector <= EXC_NM) ||
	    (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_MF ||
	    vector == EXC_AC || vector == EXC_XM;
}

struct gate {
	uint64_t offset;
	uint16_t selector;
	unsigned int ist, type, dpl;
	bool present, wide; /* 32 or 64 bits, not 16 */
};

static struct gate
read_gate(struct emu_cpu *cpu, unsigned int vector, bool software)
{
	const struct op *op = NULL;
	bool lma = cpu->efer & EFER_LMA;
	unsigned int bytes = lma ? 16 : 8;
	uint64_t at = cpu->idt.base + bytes * vector;
	uint32_t code = vector << 3 | 2 | !software;
	uint32_t low, high;
	struct gate gate;

	if (vector * bytes + bytes - 1 > cpu->idt.limit)
		emu_fault_code(cpu, NULL, EXC_GP, code);
	low = (uint32_t)emu_read_system(cpu, op, at, 4);
	high = (uint32_t)emu_read_system(cpu, op, at + 4, 4);
	gate = (struct gate){ .offset = (low & 0xffff) | (high & 0xffff0000),
		.selector = (uint16_t)(low >> 16),
		.ist = lma ? high & 7 : 0,
		.type = high >> 8 & 0x1f,
		.dpl = high >> 13 & 3,
		.present = high & 0x8000,
		.wide = high & 0x800 };
	if (lma)
		gate.offset |= emu_read_system(cpu, op, at + 8, 4) << 32;
	else if (!gate.wide)
		gate.offset &= 0xffff;
	/* interrupt and trap gates; 16 bits wide only outside long mode */
	if ((gate.type & 0x16) != 0x06 || (lma && !gate.wide))
		emu_fault_code(cpu, NULL, EXC_GP, code);
	if (software && gate.dpl < cpu->cpl)
		emu_fault_code(cpu, NULL, EXC_GP, code);
	if (!gate.present)
		emu_fault_code(cpu, NULL, EXC_NP, code);
	return gate;
}

/* The stack for a handler at cpl: pointer, selector and segment. */
struct stack {
	uint64_t sp, mask, base;
	uint16_t ss;
	struct cpu_seg seg;
	bool changed;
	unsigned int ext; /* of error codes */
};

static void
push_to(struct emu_cpu *cpu, struct stack *stack, unsigned int bytes,
    uint64_t value)
{
	const struct op *op = NULL;

	stack->sp -= bytes;
	if ((cpu->efer & EFER_LMA) && !canonical(stack->sp))
		emu_fault_code(cpu, op, EXC_SS, stack->ext);
	emu_write_system(
	    cpu, op, (stack->sp & stack->mask) + stack->base, bytes, value);
}

static struct stack
handler_stack(
    struct emu_cpu *cpu, unsigned int cpl, unsigned int ist, unsigned int ext)
{
	const struct op *op = NULL;
	struct stack stack = { .ext = ext,
		.sp = cpu->gpr[CPU_RSP],
		.mask = cpu->stack_mask,
		.base = cpu->seg_base[CPU_SS],
		.ss = cpu->seg[CPU_SS].selector,
		.seg = cpu->seg[CPU_SS] };
	struct descriptor d;

	if (cpu->efer & EFER_LMA) {
		stack.mask = ~UINT64_C(0);
		stack.base = 0;
		if (cpl < cpu->cpl || ist > 0) {
			stack.sp = tss_stack(cpu, cpl, ist, ext, &stack.ss);
			stack.changed = cpl < cpu->cpl;
			if (!stack.changed)
				stack.ss = cpu->seg[CPU_SS].selector;
		}
		stack.sp &= ~UINT64_C(15);
		if (stack.changed)
			stack.seg = (struct cpu_seg){ .selector = (uint16_t)cpl,
				.attributes =
				    CPU_SEG_UNUSABLE | CPU_SEG_DPL(cpl) };
		return stack;
	}
	if (cpl >= cpu->cpl)
		return stack;
	stack.sp = tss_stack(cpu, cpl, 0, ext, &stack.ss);
	if (!find_descriptor(cpu, op, stack.ss, &d) || !DESC_IS_USER(d) ||
	    DESC_IS_CODE(d) || DESC_DPL(d) != cpl)
		emu_fault_code(cpu, op, EXC_TS, (stack.ss & ~3u) | ext);
	stack.seg = seg_of(&d, stack.ss);
	stack.base = stack.seg.base;
	stack.mask = stack.seg.attributes & CPU_SEG_32 ? 0xffffffff : 0xffff;
	stack.changed = true;
	return stack;
}

void
emu_deliver(struct emu_cpu *cpu, unsigned int vector, enum event event,
    bool has_code, uint32_t code)
{
	const struct op *op = NULL;
	bool lma = cpu->efer & EFER_LMA, software = event == EVENT_SOFTWARE;
	unsigned int ext = !software;
	struct descriptor d;
	struct stack stack;
	struct gate gate;
	unsigned int cpl, bytes;
	uint32_t flags;

	if (!(cpu->cr0 & CR0_PE)) {
		deliver_real(cpu, vector);
		return;
	}
	gate = read_gate(cpu, vector, software);
	if ((gate.selector & ~3u) == 0 ||
	    !find_descriptor(cpu, op, gate.selector, &d))
		emu_fault_code(cpu, op, EXC_GP, (gate.selector & ~3u) | ext);
	cpl = DESC_CONFORMS(d) ? cpu->cpl : DESC_DPL(d);
	if (cpl > cpu->cpl)
		emu_fault_code(cpu, op, EXC_GP, (gate.selector & ~3u) | ext);
	check_code(cpu, op, gate.selector, &d, cpl, ext);
	if (lma && !(d.high & 0x200000)) /* only 64-bit code */
		emu_fault_code(cpu, op, EXC_GP, (gate.selector & ~3u) | ext);
	if (lma && !canonical(gate.offset))
		emu_fault_code(cpu, op, EXC_GP, ext);
	mark_accessed(cpu, op, &d);
	stack = handler_stack(cpu, cpl, gate.ist, ext);
	bytes = lma ? 8 : gate.wide ? 4 : 2;
	flags = emu_flags(cpu);
	if (event == EVENT_EXCEPTION && is_fault(vector))
		flags |= FLAG_RF;
	if (lma || stack.changed) {
		push_to(cpu, &stack, bytes, cpu->seg[CPU_SS].selector);
		push_to(cpu, &stack, bytes, cpu->gpr[CPU_RSP]);
	}
	push_to(cpu, &stack, bytes, flags);
	push_to(cpu, &stack, bytes, cpu->seg[CPU_CS].selector);
	push_to(cpu, &stack, bytes, cpu->rip);
	if (has_code)
		push_to(cpu, &stack, bytes, code);

	cpu->eflags &= ~(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
	if ((gate.type & 1) == 0)
		cpu->eflags &= ~FLAG_IF;
	if (stack.changed)
		cpu->seg[CPU_SS] = stack.seg;
	cpu->gpr[CPU_RSP] = lma
	    ? stack.sp
	    : (cpu->gpr[CPU_RSP] & ~stack.mask) | (stack.sp & stack.mask);
	set_code(cpu, &d, gate.selector, cpl);
	cpu->rip = gate.offset;
	emu_set_mode(cpu);
}

/* ---- IRET ---- */

static uint64_t
pop_at(struct emu_cpu *cpu, const struct op *op, unsigned int bytes,
    unsigned int nth)
{
	uint64_t sp = cpu->gpr[CPU_RSP] + (uint64_t)bytes * nth;

	return emu_read(
	    cpu, op, (sp & cpu->stack_mask) + cpu->seg_base[CPU_SS], bytes);
}

static void
set_sp(struct emu_cpu *cpu, uint64_t sp)
{
	cpu->gpr[CPU_RSP] =
	    (cpu->gpr[CPU_RSP] & ~cpu->stack_mask) | (sp & cpu->stack_mask);
}

/* Which flags a return to new_flags from privilege cpl may change. */
static uint32_t
returned_flags(const struct emu_cpu *cpu, uint32_t value, unsigned int bytes)
{
	uint32_t may = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;

	if (bytes > 2)
		may |= FLAG_RF | FLAG_AC | FLAG_ID;
	if (cpu->cpl == 0)
		may |= FLAG_IOPL | FLAG_VIF | FLAG_VIP;
	if (cpu->cpl <= (cpu->eflags >> 12 & 3))
		may |= FLAG_IF;
	if (bytes == 2)
		may &= 0xffff;
	return (cpu->eflags & ~may) | (value & may);
}

/* The null selectors and those of inner privileges do not outlive a return to
 * an outer one (SDM 2, IRET). */
static void
drop_inner_segments(struct emu_cpu *cpu)
{
	static const unsigned int data[] = { CPU_ES, CPU_DS, CPU_FS, CPU_GS };

	for (unsigned int i = 0; i < 4; i++) {
		struct cpu_seg *seg = &cpu->seg[data[i]];
		unsigned int dpl = seg->attributes >> 5 & 3;

		if (!(seg->attributes & CPU_SEG_UNUSABLE) && dpl < cpu->cpl &&
		    (seg->attributes & 0xc) != 0xc) {
			/* Its base stays: FS and GS have MSRs. */
			seg->selector = 0;
			seg->attributes = CPU_SEG_UNUSABLE;
			seg->limit = 0;
		}
	}
}

static void
iret_stack(struct emu_cpu *cpu, const struct op *op, uint16_t ss,
    unsigned int cpl, bool to_long)
{
	struct descriptor d;

	if ((ss & ~3u) == 0) {
		if (!to_long || cpl == 3 || (ss & 3u) != cpl)
			emu_fault_code(cpu, op, EXC_GP, 0);
		cpu->seg[CPU_SS] = (struct cpu_seg){ .selector = ss,
			.attributes = CPU_SEG_UNUSABLE | CPU_SEG_DPL(cpl) };
		return;
	}
	if (ss == cpu->seg[CPU_SS].selector && cpl == cpu->cpl)
		return;
	if (!find_descriptor(cpu, op, ss, &d) || (ss & 3u) != cpl ||
	    !DESC_IS_USER(d) || DESC_IS_CODE(d) || !(d.high & 0x200) ||
	    DESC_DPL(d) != cpl)
		emu_fault_code(cpu, op, EXC_GP, ss & ~3u);
	if (!DESC_PRESENT(d))
		emu_fault_code(cpu, op, EXC_SS, ss & ~3u);
	mark_accessed(cpu, op, &d);
	cpu->seg[CPU_SS] = seg_of(&d, ss);
}

static const struct op *
iret_real(struct emu_cpu *cpu, const struct op *op, unsigned int bytes)
{
	uint64_t ip = pop_at(cpu, op, bytes, 0);
	uint16_t cs = (uint16_t)pop_at(cpu, op, bytes, 1);
	uint32_t flags = (uint32_t)pop_at(cpu, op, bytes, 2);

	set_sp(cpu, cpu->gpr[CPU_RSP] + 3 * bytes);
	leave_after(cpu, op);
	load_real(cpu, CPU_CS, cs);
	cpu->rip = ip & 0xffff;
	emu_flags_settle(cpu);
	emu_set_flags(cpu, returned_flags(cpu, flags, bytes));
	emu_set_mode(cpu);
	return NULL;
}

const struct op *
op_iret(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux, cpl;
	bool from_long = (cpu->mode & MODE_SIZE) == MODE_64;
	uint64_t rip, sp = 0;
	uint16_t cs, ss = 0;
	uint32_t flags;
	bool same, outer, to_long;
	struct descriptor d;

	if (!(cpu->cr0 & CR0_PE))
		return iret_real(cpu, op, bytes);
	if (cpu->eflags & FLAG_NT)
		emu_fault_code(cpu, op, EXC_GP, 0);
	rip = pop_at(cpu, op, bytes, 0);
	cs = (uint16_t)pop_at(cpu, op, bytes, 1);
	flags = (uint32_t)pop_at(cpu, op, bytes, 2);
	cpl = cs & 3u;
	outer = cpl > cpu->cpl;
	if (from_long || outer) {
		sp = pop_at(cpu, op, bytes, 3);
		ss = (uint16_t)pop_at(cpu, op, bytes, 4);
	}
	if (cpl < cpu->cpl || (cs & ~3u) == 0)
		emu_fault_code(cpu, op, EXC_GP, cs & ~3u);
	same = cs == cpu->seg[CPU_CS].selector;
	if (!same) {
		if (!find_descriptor(cpu, op, cs, &d))
			emu_fault_code(cpu, op, EXC_GP, cs & ~3u);
		check_code(cpu, op, cs, &d, cpl, 0);
	}
	/* The same code as from_long is long, too. */
	to_long = same ? from_long : (d.high & 0x200000) != 0;
	if (to_long && (cpu->efer & EFER_LMA) && !canonical(rip))
		emu_fault_code(cpu, op, EXC_GP, 0);
	if (!same)
		mark_accessed(cpu, op, &d);
	if (from_long || outer)
		iret_stack(cpu, op, ss, cpl, to_long);
	leave_after(cpu, op);
	emu_flags_settle(cpu);
	flags = returned_flags(cpu, flags, bytes);
	if (!same)
		set_code(cpu, &d, cs, cpl);
	if (outer)
		drop_inner_segments(cpu);
	cpu->rip = bytes == 2 ? (uint16_t)rip : rip;
	emu_set_flags(cpu, flags);
	emu_set_mode(cpu);
	if (from_long || outer)
		cpu->gpr[CPU_RSP] = bytes == 8 ? sp
		    : bytes == 4
		    ? (uint32_t)sp
		    : (cpu->gpr[CPU_RSP] & ~UINT64_C(0xffff)) | (uint16_t)sp;
	else
		set_sp(cpu, cpu->gpr[CPU_RSP] + 3 * bytes);
	cpu->nmi_masked = false;
	return NULL;
}

/* ---- SYSCALL, SYSRET ---- */

const struct op *
op_syscall(struct emu_cpu *cpu, const struct op *op)
{
	uint16_t cs = (uint16_t)(cpu->star >> 32 & 0xfffc);

	/* Outside 64-bit mode only AMD's processors have it. */
	if (!(cpu->efer & EFER_SCE) || (cpu->mode & MODE_SIZE) != MODE_64)
		emu_fault(cpu, op, EXC_UD);
	leave_after(cpu, op);
	cpu->gpr[CPU_RCX] = cpu->rip;
	cpu->gpr[CPU_R11] = emu_flags(cpu) & ~FLAG_RF;
	cpu->rip = cpu->lstar;
	cpu->eflags &= ~((uint32_t)cpu->sfmask | FLAG_RF);
	set_flat(cpu, CPU_CS, cs, 0, CPU_SEG_LONG | 0xb);
	set_flat(cpu, CPU_SS, (uint16_t)(cs + 8), 0, CPU_SEG_32 | 0x3);
	cpu->cpl = 0;
	cpu->single = cpu->eflags & FLAG_TF; /* not what it was before */
	emu_set_mode(cpu);
	return NULL;
}

/* aux: 3 with REX.W, back to 64-bit code. */
const struct op *
op_sysret(struct emu_cpu *cpu, const struct op *op)
{
	uint16_t cs = (uint16_t)(cpu->star >> 48 | 3);

	if (!(cpu->efer & EFER_SCE) || (cpu->mode & MODE_SIZE) != MODE_64)
		emu_fault(cpu, op, EXC_UD);
	if (cpu->cpl != 0)
		emu_fault_code(cpu, op, EXC_GP, 0);
	if (op->aux == 3 &&
	    (uint64_t)((int64_t)(cpu->gpr[CPU_RCX] << 16) >> 16) !=
		cpu->gpr[CPU_RCX])
		emu_fault_code(cpu, op, EXC_GP, 0);
	leave_after(cpu, op);
	if (op->aux == 3) {
		set_flat(
		    cpu, CPU_CS, (uint16_t)(cs + 16), 3, CPU_SEG_LONG | 0xb);
		cpu->rip = cpu->gpr[CPU_RCX];
	} else {
		set_flat(cpu, CPU_CS, cs, 3, CPU_SEG_32 | 0xb);
		cpu->rip = (uint32_t)cpu->gpr[CPU_RCX];
	}
	set_flat(cpu, CPU_SS, (uint16_t)(cs + 8), 3, CPU_SEG_32 | 0x3);
	cpu->cpl = 3;
	emu_set_flags(cpu,
	    (uint32_t)cpu->gpr[CPU_R11] &
		(FLAGS_ARITH | FLAG_TF | FLAG_IF | FLAG_DF | FLAG_IOPL |
		    FLAG_NT | FLAG_AC | FLAG_VIF | FLAG_VIP | FLAG_ID));
	cpu->single = cpu->eflags & FLAG_TF;
	emu_set_mode(cpu);
	return NULL;
}

const struct op *
op_swapgs(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t base = cpu->seg[CPU_GS].base;

	if ((cpu->mode & MODE_SIZE) != MODE_64)
		emu_fault(cpu, op, EXC_UD);
	if (cpu->cpl != 0)
		emu_fault_code(cpu, op, EXC_GP, 0);
	cpu->seg[CPU_GS].base = cpu->kernel_gs;
	cpu->seg_base[CPU_GS] = cpu->kernel_gs;
	cpu->kernel_gs = base;
	NEXT;
}

/* ---- far transfers; the selector in src, the offset in imm (immediate) or
 * both in memory, aux is the size ---- */

struct far {
	uint64_t offset;
	uint16_t selector;
};

static struct far
far_target(struct emu_cpu *cpu, const struct op *op)
{
	struct far far = { .offset = (uint64_t)op->imm, .selector = op->more };
	unsigned int bytes = 1u << op->aux;
	uint64_t at;

	if (op->src != 1) /* immediate */
		return far;
	at = effective(cpu, op);
	far.offset = emu_read(cpu, op, at, bytes);
	far.selector = (uint16_t)emu_read(cpu, op, at + bytes, 2);
	return far;
}

static void
far_code(struct emu_cpu *cpu, const struct op *op, struct far *far,
    struct descriptor *d)
{
	unsigned int code = far->selector & ~3u;

	if (code == 0 || !find_descriptor(cpu, op, far->selector, d))
		emu_fault_code(cpu, op, EXC_GP, code);
	if (!DESC_IS_USER(*d) || !DESC_IS_CODE(*d))
		emu_fault_code(cpu, op, EXC_GP, code);
	if (!DESC_CONFORMS(*d) && (far->selector & 3u) > cpu->cpl)
		emu_fault_code(cpu, op, EXC_GP, code);
	check_code(cpu, op, far->selector, d, cpu->cpl, 0);
	mark_accessed(cpu, op, d);
}

static void
far_go(struct emu_cpu *cpu, const struct op *op, const struct far *far,
    struct descriptor *d)
{
	leave_after(cpu, op);
	if (!(cpu->cr0 & CR0_PE))
		load_real(cpu, CPU_CS, far->selector);
	else
		set_code(cpu, d, far->selector, cpu->cpl);
	cpu->rip = op->aux == 1 ? (uint16_t)far->offset : far->offset;
	emu_set_mode(cpu);
}

const struct op *
op_jmp_far(struct emu_cpu *cpu, const struct op *op)
{
	struct far far = far_target(cpu, op);
	struct descriptor d = { 0 };

	if (cpu->cr0 & CR0_PE)
		far_code(cpu, op, &far, &d);
	far_go(cpu, op, &far, &d);
	return NULL;
}

static void
push_at(struct emu_cpu *cpu, const struct op *op, unsigned int bytes,
    unsigned int nth, uint64_t value)
{
	uint64_t sp = cpu->gpr[CPU_RSP] - (uint64_t)bytes * nth;

	emu_write(cpu, op, (sp & cpu->stack_mask) + cpu->seg_base[CPU_SS],
	    bytes, value);
}

const struct op *
op_call_far(struct emu_cpu *cpu, const struct op *op)
{
	struct far far = far_target(cpu, op);
	unsigned int bytes = 1u << op->aux;
	struct descriptor d = { 0 };

	if (cpu->cr0 & CR0_PE)
		far_code(cpu, op, &far, &d);
	push_at(cpu, op, bytes, 1, cpu->seg[CPU_CS].selector);
	push_at(cpu, op, bytes, 2, next_rip(cpu, op));
	set_sp(cpu, cpu->gpr[CPU_RSP] - 2 * bytes);
	far_go(cpu, op, &far, &d);
	return NULL;
}

/* imm: bytes of arguments */
const struct op *
op_ret_far(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux;
	struct far far = { .offset = pop_at(cpu, op, bytes, 0),
		.selector = (uint16_t)pop_at(cpu, op, bytes, 1) };
	unsigned int cpl = far.selector & 3u;
	uint64_t sp = 0;
	uint16_t ss = 0;
	struct descriptor d = { 0 };
	bool outer;

	if (!(cpu->cr0 & CR0_PE)) {
		set_sp(cpu, cpu->gpr[CPU_RSP] + 2 * bytes + (uint64_t)op->imm);
		far_go(cpu, op, &far, &d);
		return NULL;
	}
	if (cpl < cpu->cpl || (far.selector & ~3u) == 0 ||
	    !find_descriptor(cpu, op, far.selector, &d))
		emu_fault_code(cpu, op, EXC_GP, far.selector & ~3u);
	check_code(cpu, op, far.selector, &d, cpl, 0);
	mark_accessed(cpu, op, &d);
	outer = cpl > cpu->cpl;
	if (outer) {
		uint64_t at = cpu->gpr[CPU_RSP] + 2 * bytes + (uint64_t)op->imm;

		at = (at & cpu->stack_mask) + cpu->seg_base[CPU_SS];
		sp = emu_read(cpu, op, at, bytes);
		ss = (uint16_t)emu_read(cpu, op, at + bytes, 2);
		iret_stack(cpu, op, ss, cpl, (d.high & 0x200000) != 0);
	}
	leave_after(cpu, op);
	set_code(cpu, &d, far.selector, cpl);
	if (outer)
		drop_inner_segments(cpu);
	cpu->rip = bytes == 2 ? (uint16_t)far.offset : far.offset;
	if (outer)
		cpu->gpr[CPU_RSP] = sp + (uint64_t)op->imm;
	else
		set_sp(cpu, cpu->gpr[CPU_RSP] + 2 * bytes + (uint64_t)op->imm);
	emu_set_mode(cpu);
	return NULL;
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

	emu_load_segment(cpu, op, op->dst, (uint16_t)pop_at(cpu, op, bytes, 0));
	set_sp(cpu, cpu->gpr[CPU_RSP] + bytes);
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

static void
need_ring0(struct emu_cpu *cpu, const struct op *op)
{
	if (cpu->cpl != 0)
		emu_fault_code(cpu, op, EXC_GP, 0);
}

static struct cpu_table
read_table(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t at = effective(cpu, op);
	bool wide = (cpu->mode & MODE_SIZE) == MODE_64;
	struct cpu_table table;

	need_ring0(cpu, op);
	table.limit = (uint16_t)emu_read(cpu, op, at, 2);
	table.base = emu_read(cpu, op, at + 2, wide ? 8 : 4);
	if (op->aux == 1 && !wide) /* a 16-bit operand has 24 bits */
		table.base &= 0xffffff;
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
	need_ring0(cpu, op);
	if (code == 0 && !tss)
		return (struct cpu_seg){ .selector = selector,
			.attributes = CPU_SEG_UNUSABLE };
	if (code == 0 || selector & 4 ||
	    !find_descriptor(cpu, op, selector, &d))
		emu_fault_code(cpu, op, EXC_GP, code);
	type = d.high >> 8 & 0x1f;
	if (tss ? type != 9 && (type != 1 || cpu->efer & EFER_LMA) : type != 2)
		emu_fault_code(cpu, op, EXC_GP, code);
	if (!DESC_PRESENT(d))
		emu_fault_code(cpu, op, EXC_NP, code);
	seg = seg_of(&d, selector);
	if (cpu->efer & EFER_LMA)
		seg.base |= emu_read_system(cpu, op, d.at + 8, 4) << 32;
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

	if ((selector & ~3u) != 0 && find_descriptor(cpu, op, selector, &d) &&
	    DESC_IS_USER(d)) {
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

	if ((selector & ~3u) != 0 && find_descriptor(cpu, op, selector, &d)) {
		unsigned int type = DESC_TYPE(d);

		good = DESC_IS_USER(d) || type == 2 || type == 9 ||
		    type == 11 || (op->more == 0 && type == 12);
		if (!DESC_IS_USER(d) || !DESC_IS_CODE(d) || !DESC_CONFORMS(d))
			good = good && rpl <= DESC_DPL(d) &&
			    cpu->cpl <= DESC_DPL(d);
	}
	if (good) {
		uint32_t v = op->more == 0 ? d.high & 0x00f0ff00
					   : seg_of(&d, selector).limit;

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
