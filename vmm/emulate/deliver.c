/*
 * Delivery of exceptions and interrupts (SDM 3, chapter 6): in real mode by the
 * vector table, else by interrupt and trap gates.
 *
 * The resume flag is pushed for faults, but reads as clear where there is no
 * instruction breakpoint that it could hold back.
 */
#include "vmm/emulate/segment.h"

/* ---- the stack of an inner privilege ---- */

/* Where it begins, by the TSS. */
static uint64_t
tss_stack(struct emu_cpu *cpu, const struct op *op, unsigned int cpl,
    unsigned int ist, unsigned int ext, uint16_t *ss)
{
	const struct cpu_seg *tss = &cpu->seg[CPU_TR];
	uint32_t code = (tss->selector & ~3u) | ext;

	*ss = (uint16_t)cpl;
	if (cpu->efer & EFER_LMA) {
		uint64_t at = ist > 0 ? 36 + 8 * (ist - 1) : 4 + 8 * cpl;

		if (at + 7 > tss->limit)
			emu_fault_code(cpu, op, EXC_TS, code);
		return emu_read_system(cpu, op, tss->base + at, 8);
	}
	if (!(tss->attributes & 8)) { /* of 16 bits */
		if (2 + 4 * cpl + 3 > tss->limit)
			emu_fault_code(cpu, op, EXC_TS, code);
		*ss = (uint16_t)emu_read_system(
		    cpu, op, tss->base + 4 + 4 * cpl, 2);
		return emu_read_system(cpu, op, tss->base + 2 + 4 * cpl, 2);
	}
	if (4 + 8 * cpl + 5 > tss->limit)
		emu_fault_code(cpu, op, EXC_TS, code);
	*ss = (uint16_t)emu_read_system(cpu, op, tss->base + 8 + 8 * cpl, 2);
	return emu_read_system(cpu, op, tss->base + 4 + 8 * cpl, 4);
}

static void
inner_segment(struct emu_cpu *cpu, const struct op *op, struct stack *stack,
    uint16_t ss, unsigned int cpl)
{
	uint32_t code = (ss & ~3u) | stack->ext;
	struct descriptor d;

	if (code == stack->ext || !emu_find_descriptor(cpu, op, ss, &d) ||
	    (ss & 3u) != cpl || DESC_DPL(d) != cpl || !DESC_IS_USER(d) ||
	    DESC_IS_CODE(d) || !(d.high & 0x200))
		emu_fault_code(cpu, op, EXC_TS, code);
	if (!DESC_PRESENT(d))
		emu_fault_code(cpu, op, EXC_SS, code);
	emu_mark_accessed(cpu, op, &d);
	stack->seg = emu_seg_of(&d, ss);
	stack->base = stack->seg.base;
	stack->mask = stack->seg.attributes & CPU_SEG_32 ? 0xffffffff : 0xffff;
}

struct stack
emu_stack(struct emu_cpu *cpu, const struct op *op, unsigned int cpl,
    unsigned int ist, unsigned int ext)
{
	struct stack stack = { .ext = ext,
		.sp = cpu->gpr[CPU_RSP],
		.mask = cpu->stack_mask,
		.base = cpu->seg_base[CPU_SS],
		.seg = cpu->seg[CPU_SS],
		.changed = cpl < cpu->cpl };
	uint16_t ss;

	if (cpu->efer & EFER_LMA) {
		stack.mask = ~UINT64_C(0);
		stack.base = 0;
	}
	if (stack.changed || ist > 0)
		stack.sp = tss_stack(cpu, op, cpl, ist, ext, &ss);
	if (!stack.changed)
		return stack;
	if (cpu->efer & EFER_LMA)
		stack.seg = (struct cpu_seg){ .selector = (uint16_t)cpl,
			.attributes = CPU_SEG_UNUSABLE | CPU_SEG_DPL(cpl) };
	else
		inner_segment(cpu, op, &stack, ss, cpl);
	return stack;
}

void
emu_stack_push(struct emu_cpu *cpu, const struct op *op, struct stack *stack,
    unsigned int bytes, uint64_t value)
{
	uint32_t code =
	    stack->ext | (stack->changed ? stack->seg.selector & ~3u : 0);

	stack->sp -= bytes;
	if (cpu->efer & EFER_LMA
		? !canonical(stack->sp)
		: !emu_segment_has(&stack->seg, stack->sp & stack->mask, bytes))
		emu_fault_code(cpu, op, EXC_SS, code);
	if (cpu->cpl == 3 && !stack->changed)
		emu_write(cpu, op, (stack->sp & stack->mask) + stack->base,
		    bytes, value);
	else
		emu_write_system(cpu, op,
		    (stack->sp & stack->mask) + stack->base, bytes, value);
}

void
emu_stack_take(struct emu_cpu *cpu, const struct stack *stack)
{
	if (stack->changed)
		cpu->seg[CPU_SS] = stack->seg;
	cpu->gpr[CPU_RSP] =
	    (cpu->gpr[CPU_RSP] & ~stack->mask) | (stack->sp & stack->mask);
}

/* ---- delivery ---- */

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
		if (!emu_segment_has(&cpu->seg[CPU_SS], sp, 2))
			emu_fault_code(cpu, op, EXC_SS, 0);
		emu_write_system(
		    cpu, op, cpu->seg[CPU_SS].base + sp, 2, words[i]);
	}
	cpu->gpr[CPU_RSP] = (cpu->gpr[CPU_RSP] & ~UINT64_C(0xffff)) | sp;
	cpu->eflags &= ~(FLAG_IF | FLAG_TF | FLAG_AC | FLAG_RF);
	emu_load_real(cpu, CPU_CS, cs);
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
	if (gate.type == GATE_TASK && !lma)
		emu_fault(cpu, NULL, EXC_UD);
	/* interrupt and trap gates; 16 bits wide only outside long mode */
	if ((gate.type & 0x16) != 0x06 || (lma && !gate.wide))
		emu_fault_code(cpu, NULL, EXC_GP, code);
	if (software && gate.dpl < cpu->cpl)
		emu_fault_code(cpu, NULL, EXC_GP, code);
	if (!gate.present)
		emu_fault_code(cpu, NULL, EXC_NP, code);
	return gate;
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
	    !emu_find_descriptor(cpu, op, gate.selector, &d))
		emu_fault_code(cpu, op, EXC_GP, (gate.selector & ~3u) | ext);
	cpl = DESC_CONFORMS(d) ? cpu->cpl : DESC_DPL(d);
	if (cpl > cpu->cpl)
		emu_fault_code(cpu, op, EXC_GP, (gate.selector & ~3u) | ext);
	emu_check_code(cpu, op, gate.selector, &d, cpl, ext);
	if (lma && !(d.high & 0x200000)) /* only 64-bit code */
		emu_fault_code(cpu, op, EXC_GP, (gate.selector & ~3u) | ext);
	if (lma && !canonical(gate.offset))
		emu_fault_code(cpu, op, EXC_GP, ext);
	emu_mark_accessed(cpu, op, &d);
	stack = emu_stack(cpu, op, cpl, gate.ist, ext);
	if (lma)
		stack.sp &= ~UINT64_C(15);
	bytes = lma ? 8 : gate.wide ? 4 : 2;
	flags = emu_flags(cpu);
	if (event == EVENT_EXCEPTION && is_fault(vector))
		flags |= FLAG_RF;
	if (lma || stack.changed) {
		emu_stack_push(
		    cpu, op, &stack, bytes, cpu->seg[CPU_SS].selector);
		emu_stack_push(cpu, op, &stack, bytes, cpu->gpr[CPU_RSP]);
	}
	emu_stack_push(cpu, op, &stack, bytes, flags);
	emu_stack_push(cpu, op, &stack, bytes, cpu->seg[CPU_CS].selector);
	emu_stack_push(cpu, op, &stack, bytes, cpu->rip);
	if (has_code)
		emu_stack_push(cpu, op, &stack, bytes, code);

	cpu->eflags &= ~(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
	if ((gate.type & 1) == 0)
		cpu->eflags &= ~FLAG_IF;
	emu_stack_take(cpu, &stack);
	emu_set_code(cpu, &d, gate.selector, cpl);
	cpu->rip = gate.offset;
	emu_set_mode(cpu);
}
