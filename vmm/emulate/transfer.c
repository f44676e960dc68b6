/*
 * Far jumps, calls and returns, and IRET (SDM 3, chapters 5 and 6).
 */
#include "vmm/emulate/segment.h"

#include "vmm/emulate/handlers.h"

/* ---- IRET ---- */

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
	if (!emu_find_descriptor(cpu, op, ss, &d) || (ss & 3u) != cpl ||
	    !DESC_IS_USER(d) || DESC_IS_CODE(d) || !(d.high & 0x200) ||
	    DESC_DPL(d) != cpl)
		emu_fault_code(cpu, op, EXC_GP, ss & ~3u);
	if (!DESC_PRESENT(d))
		emu_fault_code(cpu, op, EXC_SS, ss & ~3u);
	emu_mark_accessed(cpu, op, &d);
	cpu->seg[CPU_SS] = emu_seg_of(&d, ss);
}

static const struct op *
iret_real(struct emu_cpu *cpu, const struct op *op, unsigned int bytes)
{
	uint64_t ip = stack_read(cpu, op, bytes, 0);
	uint16_t cs = (uint16_t)stack_read(cpu, op, bytes, 1);
	uint32_t flags = (uint32_t)stack_read(cpu, op, bytes, 2);

	stack_set(cpu, cpu->gpr[CPU_RSP] + 3 * bytes);
	leave_after(cpu, op);
	emu_load_real(cpu, CPU_CS, cs);
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
	if (cpu->eflags & FLAG_NT) {
		/* There are no hardware tasks to return to. */
		if (!(cpu->efer & EFER_LMA))
			emu_fault(cpu, op, EXC_UD);
		emu_fault_code(cpu, op, EXC_GP, 0);
	}
	rip = stack_read(cpu, op, bytes, 0);
	cs = (uint16_t)stack_read(cpu, op, bytes, 1);
	flags = (uint32_t)stack_read(cpu, op, bytes, 2);
	if ((flags & FLAG_VM) && bytes == 4 && cpu->cpl == 0 &&
	    !(cpu->efer & EFER_LMA))
		emu_fault(cpu, op, EXC_UD); /* nor a virtual 8086 */
	cpl = cs & 3u;
	outer = cpl > cpu->cpl;
	if (from_long || outer) {
		sp = stack_read(cpu, op, bytes, 3);
		ss = (uint16_t)stack_read(cpu, op, bytes, 4);
	}
	if (cpl < cpu->cpl || (cs & ~3u) == 0)
		emu_fault_code(cpu, op, EXC_GP, cs & ~3u);
	same = cs == cpu->seg[CPU_CS].selector;
	if (!same) {
		if (!emu_find_descriptor(cpu, op, cs, &d))
			emu_fault_code(cpu, op, EXC_GP, cs & ~3u);
		emu_check_code(cpu, op, cs, &d, cpl, 0);
	}
	/* The same code as from_long is long, too. */
	to_long = same ? from_long : (d.high & DESC_LONG) != 0;
	if (to_long && (cpu->efer & EFER_LMA) && !canonical(rip))
		emu_fault_code(cpu, op, EXC_GP, 0);
	if (!same)
		emu_mark_accessed(cpu, op, &d);
	if (from_long || outer)
		iret_stack(cpu, op, ss, cpl, to_long);
	leave_after(cpu, op);
	emu_flags_settle(cpu);
	flags = returned_flags(cpu, flags, bytes);
	if (!same)
		emu_set_code(cpu, &d, cs, cpl);
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
		stack_set(cpu, cpu->gpr[CPU_RSP] + 3 * bytes);
	cpu->nmi_masked = false;
	return NULL;
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
go_to(struct emu_cpu *cpu, const struct op *op, const struct descriptor *d,
    uint16_t selector, unsigned int cpl, uint64_t rip)
{
	leave_after(cpu, op);
	if (!(cpu->cr0 & CR0_PE))
		emu_load_real(cpu, CPU_CS, selector);
	else
		emu_set_code(cpu, d, selector, cpl);
	cpu->rip = rip;
	emu_set_mode(cpu);
}

static void
check_far_code(struct emu_cpu *cpu, const struct op *op, const struct far *far,
    const struct descriptor *d)
{
	if (!DESC_CONFORMS(*d) && (far->selector & 3u) > cpu->cpl)
		emu_fault_code(cpu, op, EXC_GP, far->selector & ~3u);
	emu_check_code(cpu, op, far->selector, d, cpu->cpl, 0);
	if ((d->high & DESC_LONG) && (cpu->efer & EFER_LMA) &&
	    !canonical(far->offset))
		emu_fault_code(cpu, op, EXC_GP, 0);
}

/* ---- call gates (SDM 3, 5.8.3) ---- */

#define GATE_CALL16 0x4
#define GATE_CALL32 0xc /* in long mode of 64 bits */
#define TSS16       0x1
#define TSS32       0x9

struct call_gate {
	struct far to;
	unsigned int parameters, bytes; /* how many, and of each */
};

static struct call_gate
read_call_gate(struct emu_cpu *cpu, const struct op *op,
    const struct descriptor *d, uint16_t selector)
{
	unsigned int type = DESC_TYPE(*d), code = selector & ~3u;
	bool lma = cpu->efer & EFER_LMA;
	struct call_gate gate = { .to = { .offset = d->low & 0xffff,
				      .selector = (uint16_t)(d->low >> 16) },
		.parameters = d->high & 31,
		.bytes = type == GATE_CALL16 ? 2 : 4 };
	unsigned int limit =
	    selector & 4 ? cpu->seg[CPU_LDTR].limit : cpu->gdt.limit;

	if (type != GATE_CALL32 && (lma || type != GATE_CALL16)) {
		/* Hardware tasks are not there. */
		if (!lma &&
		    (type == GATE_TASK || type == TSS16 || type == TSS32))
			emu_fault(cpu, op, EXC_UD);
		emu_fault_code(cpu, op, EXC_GP, code);
	}
	if (DESC_DPL(*d) < cpu->cpl || DESC_DPL(*d) < (selector & 3u))
		emu_fault_code(cpu, op, EXC_GP, code);
	if (!DESC_PRESENT(*d))
		emu_fault_code(cpu, op, EXC_NP, code);
	if (type == GATE_CALL32)
		gate.to.offset |= d->high & 0xffff0000;
	if (!lma)
		return gate;
	if ((selector | 7u) + 8 > limit ||
	    (emu_read_system(cpu, op, d->at + 12, 4) & 0x1f00))
		emu_fault_code(cpu, op, EXC_GP, code);
	gate.to.offset |= emu_read_system(cpu, op, d->at + 8, 4) << 32;
	gate.parameters = 0;
	gate.bytes = 8;
	return gate;
}

/* Its code: to which privilege, and may we go there? */
static unsigned int
gate_code(struct emu_cpu *cpu, const struct op *op,
    const struct call_gate *gate, bool call, struct descriptor *d)
{
	unsigned int code = gate->to.selector & ~3u, cpl = cpu->cpl;
	bool lma = cpu->efer & EFER_LMA;

	if (code == 0 || !emu_find_descriptor(cpu, op, gate->to.selector, d) ||
	    !DESC_IS_USER(*d))
		emu_fault_code(cpu, op, EXC_GP, code);
	if (call && !DESC_CONFORMS(*d) && DESC_DPL(*d) < cpl)
		cpl = DESC_DPL(*d);
	emu_check_code(cpu, op, gate->to.selector, d, cpl, 0);
	if (lma && !(d->high & DESC_LONG))
		emu_fault_code(cpu, op, EXC_GP, code);
	if (lma && !canonical(gate->to.offset))
		emu_fault_code(cpu, op, EXC_GP, 0);
	emu_mark_accessed(cpu, op, d);
	return cpl;
}

static void
push_parameters(struct emu_cpu *cpu, const struct op *op,
    const struct call_gate *gate, struct stack *stack)
{
	for (unsigned int i = gate->parameters; i-- > 0;)
		emu_stack_push(cpu, op, stack, gate->bytes,
		    stack_read(cpu, op, gate->bytes, i));
}

static void
through_gate(struct emu_cpu *cpu, const struct op *op,
    const struct descriptor *d, uint16_t selector, bool call)
{
	struct call_gate gate = read_call_gate(cpu, op, d, selector);
	struct descriptor code;
	unsigned int cpl = gate_code(cpu, op, &gate, call, &code);
	struct stack stack;

	if (call) {
		stack = emu_stack(cpu, op, cpl, 0, 0);
		if (stack.changed) {
			emu_stack_push(cpu, op, &stack, gate.bytes,
			    cpu->seg[CPU_SS].selector);
			emu_stack_push(
			    cpu, op, &stack, gate.bytes, cpu->gpr[CPU_RSP]);
			push_parameters(cpu, op, &gate, &stack);
		}
		emu_stack_push(
		    cpu, op, &stack, gate.bytes, cpu->seg[CPU_CS].selector);
		emu_stack_push(cpu, op, &stack, gate.bytes, next_rip(cpu, op));
		emu_stack_take(cpu, &stack);
	}
	go_to(cpu, op, &code, gate.to.selector, cpl, gate.to.offset);
}

/* ---- JMP, CALL, RET ---- */

/* The descriptor of a far transfer; true: it was a gate, and we are through. */
static bool
far_descriptor(struct emu_cpu *cpu, const struct op *op, const struct far *far,
    struct descriptor *d, bool call)
{
	unsigned int code = far->selector & ~3u;

	*d = (struct descriptor){ 0 };
	if (!(cpu->cr0 & CR0_PE))
		return false;
	if (code == 0 || !emu_find_descriptor(cpu, op, far->selector, d))
		emu_fault_code(cpu, op, EXC_GP, code);
	if (!DESC_IS_USER(*d)) {
		through_gate(cpu, op, d, far->selector, call);
		return true;
	}
	check_far_code(cpu, op, far, d);
	emu_mark_accessed(cpu, op, d);
	return false;
}

static uint64_t
far_offset(const struct op *op, const struct far *far)
{
	return op->aux == 1 ? (uint16_t)far->offset : far->offset;
}

const struct op *
op_jmp_far(struct emu_cpu *cpu, const struct op *op)
{
	struct far far = far_target(cpu, op);
	struct descriptor d;

	if (!far_descriptor(cpu, op, &far, &d, false))
		go_to(
		    cpu, op, &d, far.selector, cpu->cpl, far_offset(op, &far));
	return NULL;
}

const struct op *
op_call_far(struct emu_cpu *cpu, const struct op *op)
{
	struct far far = far_target(cpu, op);
	unsigned int bytes = 1u << op->aux;
	struct descriptor d;

	if (far_descriptor(cpu, op, &far, &d, true))
		return NULL;
	stack_write(cpu, op, bytes, 1, cpu->seg[CPU_CS].selector);
	stack_write(cpu, op, bytes, 2, next_rip(cpu, op));
	stack_set(cpu, cpu->gpr[CPU_RSP] - 2 * bytes);
	go_to(cpu, op, &d, far.selector, cpu->cpl, far_offset(op, &far));
	return NULL;
}

/* imm: bytes of arguments */
const struct op *
op_ret_far(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux;
	struct far far = { .offset = stack_read(cpu, op, bytes, 0),
		.selector = (uint16_t)stack_read(cpu, op, bytes, 1) };
	unsigned int cpl = far.selector & 3u;
	uint64_t sp = 0;
	uint16_t ss = 0;
	struct descriptor d = { 0 };
	bool outer;

	if (!(cpu->cr0 & CR0_PE)) {
		stack_set(
		    cpu, cpu->gpr[CPU_RSP] + 2 * bytes + (uint64_t)op->imm);
		go_to(
		    cpu, op, &d, far.selector, cpu->cpl, far_offset(op, &far));
		return NULL;
	}
	if (cpl < cpu->cpl || (far.selector & ~3u) == 0 ||
	    !emu_find_descriptor(cpu, op, far.selector, &d))
		emu_fault_code(cpu, op, EXC_GP, far.selector & ~3u);
	emu_check_code(cpu, op, far.selector, &d, cpl, 0);
	if ((d.high & DESC_LONG) && (cpu->efer & EFER_LMA) &&
	    !canonical(far.offset))
		emu_fault_code(cpu, op, EXC_GP, 0);
	emu_mark_accessed(cpu, op, &d);
	outer = cpl > cpu->cpl;
	if (outer) {
		uint64_t at = cpu->gpr[CPU_RSP] + 2 * bytes + (uint64_t)op->imm;

		at = stack_at(cpu, op, at, 2 * bytes, false);
		sp = emu_read(cpu, op, at, bytes);
		ss = (uint16_t)emu_read(cpu, op, at + bytes, 2);
		iret_stack(cpu, op, ss, cpl, (d.high & DESC_LONG) != 0);
	}
	leave_after(cpu, op);
	emu_set_code(cpu, &d, far.selector, cpl);
	if (outer)
		drop_inner_segments(cpu);
	cpu->rip = bytes == 2 ? (uint16_t)far.offset : far.offset;
	if (outer)
		cpu->gpr[CPU_RSP] = sp + (uint64_t)op->imm;
	else
		stack_set(
		    cpu, cpu->gpr[CPU_RSP] + 2 * bytes + (uint64_t)op->imm);
	emu_set_mode(cpu);
	return NULL;
}
