/*
 * Control registers, ports, flags, time and faults.
 */
#include "vmm/emulate/handlers.h"

#include "vmm/emulate/segment.h"

/* ---- faults ---- */

_Noreturn void
emu_fault_code(struct emu_cpu *cpu, const struct op *op, unsigned int vector,
    uint32_t code)
{
	if (op != NULL)
		leave_before(cpu, op);
	cpu->fault_vector = (uint8_t)vector;
	cpu->fault_has_code = vector == EXC_DF ||
	    (vector >= EXC_TS && vector <= EXC_PF) || vector == EXC_AC;
	cpu->fault_code = code;
	longjmp(cpu->fault, 1);
}

_Noreturn void
emu_fault(struct emu_cpu *cpu, const struct op *op, unsigned int vector)
{
	emu_fault_code(cpu, op, vector, 0);
}

void
emu_need_ring0(struct emu_cpu *cpu, const struct op *op)
{
	if (cpu->cpl != 0)
		emu_fault_code(cpu, op, EXC_GP, 0);
}

const struct op *
op_undefined(struct emu_cpu *cpu, const struct op *op)
{
	emu_fault(cpu, op, EXC_UD);
}

/* An instruction that is too long, or only the hypervisor's or firmware's. */
const struct op *
op_refused(struct emu_cpu *cpu, const struct op *op)
{
	emu_fault_code(cpu, op, EXC_GP, 0);
}

/* ---- flags and interrupts ---- */

static void
need_iopl(struct emu_cpu *cpu, const struct op *op)
{
	if ((cpu->cr0 & CR0_PE) && cpu->cpl > (cpu->eflags >> 12 & 3))
		emu_fault_code(cpu, op, EXC_GP, 0);
}

const struct op *
op_cli(struct emu_cpu *cpu, const struct op *op)
{
	need_iopl(cpu, op);
	cpu->eflags &= ~FLAG_IF;
	NEXT;
}

/* Interrupts come after the next instruction, not before (SDM 2, STI). */
const struct op *
op_sti(struct emu_cpu *cpu, const struct op *op)
{
	need_iopl(cpu, op);
	if (cpu->eflags & FLAG_IF)
		NEXT;
	cpu->eflags |= FLAG_IF;
	cpu->shadow = true;
	return leave_after(cpu, op);
}

const struct op *
op_pushf(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux;
	uint64_t sp = cpu->gpr[CPU_RSP] - bytes;
	uint64_t at = stack_at(cpu, op, sp, bytes, true);
	uint32_t flags = emu_flags(cpu) & ~(FLAG_RF | FLAG_VM);

	if (bytes == 8)
		store64(cpu, op, at, flags);
	else if (bytes == 4)
		store32(cpu, op, at, flags);
	else
		store16(cpu, op, at, (uint16_t)flags);
	stack_set(cpu, sp);
	NEXT_STORED;
}

const struct op *
op_popf(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux;
	uint32_t v = (uint32_t)stack_read(cpu, op, bytes, 0);
	uint32_t may = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
	uint32_t was;

	if (bytes > 2)
		may |= FLAG_AC | FLAG_ID;
	if (cpu->cpl == 0)
		may |= FLAG_IOPL;
	if (cpu->cpl <= (cpu->eflags >> 12 & 3) || !(cpu->cr0 & CR0_PE))
		may |= FLAG_IF;
	stack_set(cpu, cpu->gpr[CPU_RSP] + bytes);
	cpu->fl_from = FL_RAW;
	was = cpu->eflags;
	cpu->eflags = ((was & ~may) | (v & may) | FLAG_ONE) & ~FLAG_VM;
	if (((was ^ cpu->eflags) & (FLAG_TF | FLAG_IF)) == 0)
		NEXT;
	emu_set_mode(cpu);
	return leave_after(cpu, op);
}

/* INT n, INT3 (imm: the vector).  The return address is behind it, unless its
 * delivery faults. */
const struct op *
op_int(struct emu_cpu *cpu, const struct op *op)
{
	leave_before(cpu, op);
	cpu->trap_vector = (uint8_t)op->imm;
	cpu->trap_length = op->len;
	cpu->trap = true;
	cpu->single = false;
	return NULL;
}

/* INT1 is an exception, which asks for no privilege. */
const struct op *
op_int1(struct emu_cpu *cpu, const struct op *op)
{
	leave_after(cpu, op);
	emu_debug_trap(cpu, 0);
	cpu->single = false;
	return NULL;
}

const struct op *
op_into(struct emu_cpu *cpu, const struct op *op)
{
	if (!flag_of(cpu))
		NEXT;
	return op_int(cpu, op);
}

const struct op *
op_hlt(struct emu_cpu *cpu, const struct op *op)
{
	emu_need_ring0(cpu, op);
	cpu->run = CPU_HALTED;
	return leave_after(cpu, op);
}

/* ---- ports: number in imm or, negative, in DX; aux is the size ---- */

/* Beyond its I/O privilege a program may use the ports that the task's bitmap
 * has clear (SDM 1, 19.5.2). */
void
emu_check_port(
    struct emu_cpu *cpu, const struct op *op, uint16_t port, unsigned int bytes)
{
	const struct cpu_seg *tss = &cpu->seg[CPU_TR];
	uint64_t map, at;
	uint32_t bits;

	if (!(cpu->cr0 & CR0_PE) || cpu->cpl <= (cpu->eflags >> 12 & 3))
		return;
	if (tss->attributes & CPU_SEG_UNUSABLE || tss->limit < 103)
		emu_fault_code(cpu, op, EXC_GP, 0);
	map = emu_read_system(cpu, op, tss->base + 102, 2);
	at = map + port / 8;
	if (at + 1 > tss->limit) /* two bytes are read, whatever the port */
		emu_fault_code(cpu, op, EXC_GP, 0);
	bits = (uint32_t)emu_read_system(cpu, op, tss->base + at, 2);
	if (bits >> port % 8 & ((1u << bytes) - 1))
		emu_fault_code(cpu, op, EXC_GP, 0);
}

/* aux is the size. */
uint32_t
emu_port_in(struct emu_cpu *cpu, const struct op *op, uint16_t port)
{
	const struct engine_io *io = cpu->vm->io;
	uint32_t v;

	emu_out(cpu, op);
	v = io->port_in(io->arg, cpu->base.id, port, 1u << op->aux);
	emu_back(cpu);
	if (unlikely(cpu->armed & ARMED_PORT))
		emu_watch_port(cpu, port, 1u << op->aux);
	return v;
}

void
emu_port_out(
    struct emu_cpu *cpu, const struct op *op, uint16_t port, uint32_t v)
{
	const struct engine_io *io = cpu->vm->io;

	emu_out(cpu, op);
	io->port_out(io->arg, cpu->base.id, port, 1u << op->aux, v);
	emu_back(cpu);
	if (unlikely(cpu->armed & ARMED_PORT))
		emu_watch_port(cpu, port, 1u << op->aux);
}

static uint16_t
port_of(struct emu_cpu *cpu, const struct op *op)
{
	uint16_t port =
	    (uint16_t)(op->imm < 0 ? (int64_t)cpu->gpr[CPU_RDX] : op->imm);

	emu_check_port(cpu, op, port, 1u << op->aux);
	return port;
}

const struct op *
op_in(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t *a = &cpu->gpr[CPU_RAX];
	uint16_t port = port_of(cpu, op);
	uint32_t v = emu_port_in(cpu, op, port);

	switch (op->aux) {
	case 0: *a = (*a & ~UINT64_C(0xff)) | (uint8_t)v; break;
	case 1: *a = (*a & ~UINT64_C(0xffff)) | (uint16_t)v; break;
	default: *a = v; break;
	}
	return leave_after(cpu, op);
}

const struct op *
op_out(struct emu_cpu *cpu, const struct op *op)
{
	uint16_t port = port_of(cpu, op);
	uint32_t v = (uint32_t)cpu->gpr[CPU_RAX];

	if (op->aux < 2)
		v &= op->aux == 0 ? 0xff : 0xffff;
	emu_port_out(cpu, op, port, v);
	return leave_after(cpu, op);
}

/* ---- control registers ---- */

/* The other bits read as zeros. */
#define CR0_KNOWN                                                       \
	(CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_NE | CR0_WP | CR0_AM | \
	    CR0_NW | CR0_CD | CR0_PG)

static void
write_cr0(struct emu_cpu *cpu, const struct op *op, uint64_t v)
{
	uint64_t was = cpu->cr0;

	if (v >> 32 || ((v & CR0_PG) && !(v & CR0_PE)) ||
	    ((v & CR0_NW) && !(v & CR0_CD)))
		emu_fault_code(cpu, op, EXC_GP, 0);
	if ((v & CR0_PG) && !(was & CR0_PG) && (cpu->efer & EFER_LME)) {
		if (!(cpu->cr4 & CR4_PAE) ||
		    (cpu->seg[CPU_CS].attributes & CPU_SEG_LONG))
			emu_fault_code(cpu, op, EXC_GP, 0);
		cpu->efer |= EFER_LMA;
	}
	if (!(v & CR0_PG) && (was & CR0_PG)) {
		if ((cpu->mode & MODE_SIZE) == MODE_64)
			emu_fault_code(cpu, op, EXC_GP, 0);
		cpu->efer &= ~(uint64_t)EFER_LMA;
	}
	cpu->cr0 = (v & CR0_KNOWN) | CR0_ET;
	if ((v ^ was) & (CR0_PG | CR0_PE | CR0_WP))
		emu_flush(cpu);
}

static void
write_cr4(struct emu_cpu *cpu, const struct op *op, uint64_t v)
{
	if ((v & ~(CR4_KNOWN | (cpu->cr4 & CR4_OSXSAVE))) ||
	    ((cpu->efer & EFER_LMA) && !(v & CR4_PAE)))
		emu_fault_code(cpu, op, EXC_GP, 0);
	if ((v ^ cpu->cr4) & (CR4_PAE | CR4_PGE | CR4_PSE))
		emu_flush(cpu);
	cpu->cr4 = v;
	emu_arm(cpu);
}

/* dst: general register, src: control register, and the other way round. */
const struct op *
op_mov_to_cr(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t v = cpu->gpr[op->src];

	emu_need_ring0(cpu, op);
	if ((cpu->mode & MODE_SIZE) != MODE_64)
		v = (uint32_t)v;
	switch (op->dst) {
	case 0: write_cr0(cpu, op, v); break;
	case 2: cpu->cr2 = v; break;
	case 3:
		if ((cpu->efer & EFER_LMA) && v << 1 >> 41)
			emu_fault_code(cpu, op, EXC_GP, 0);
		cpu->cr3 = v & ~(UINT64_C(1) << 63);
		emu_flush_private(cpu);
		break;
	case 4: write_cr4(cpu, op, v); break;
	case 8:
		if (v > 15)
			emu_fault_code(cpu, op, EXC_GP, 0);
		cpu->cr8 = v;
		emu_out(cpu, op);
		cpu->vm->io->set_tpr(
		    cpu->vm->io->arg, cpu->base.id, (uint8_t)v);
		emu_back(cpu);
		break;
	default: emu_fault(cpu, op, EXC_UD);
	}
	leave_after(cpu, op);
	emu_set_mode(cpu);
	return NULL;
}

const struct op *
op_mov_from_cr(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t v = 0;

	emu_need_ring0(cpu, op);
	switch (op->src) {
	case 0: v = cpu->cr0; break;
	case 2: v = cpu->cr2; break;
	case 3: v = cpu->cr3; break;
	case 4: v = cpu->cr4; break;
	case 8:
		emu_out(cpu, op);
		v = cpu->vm->io->get_tpr(cpu->vm->io->arg, cpu->base.id);
		emu_back(cpu);
		break;
	default: emu_fault(cpu, op, EXC_UD);
	}
	cpu->gpr[op->dst] =
	    (cpu->mode & MODE_SIZE) == MODE_64 ? v : (uint32_t)v;
	NEXT;
}

const struct op *
op_clts(struct emu_cpu *cpu, const struct op *op)
{
	emu_need_ring0(cpu, op);
	cpu->cr0 &= ~(uint64_t)CR0_TS;
	NEXT;
}

const struct op *
op_lmsw(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t v = cpu->gpr[op->src];

	emu_need_ring0(cpu, op);
	/* It can set PE but not clear it. */
	write_cr0(cpu, op,
	    (cpu->cr0 & ~UINT64_C(0xe)) | (v & 0xe) |
		((cpu->cr0 | v) & CR0_PE));
	leave_after(cpu, op);
	emu_set_mode(cpu);
	return NULL;
}

const struct op *
op_smsw(struct emu_cpu *cpu, const struct op *op)
{
	cpu->gpr[op->dst] = op->aux == 1 && op->dst != REG_VALUE
	    ? (cpu->gpr[op->dst] & ~UINT64_C(0xffff)) | (uint16_t)cpu->cr0
	    : op->aux == 3 ? cpu->cr0
			   : (uint32_t)cpu->cr0;
	NEXT;
}

const struct op *
op_invlpg(struct emu_cpu *cpu, const struct op *op)
{
	emu_need_ring0(cpu, op);
	emu_flush_page(cpu, effective(cpu, op));
	return leave_after(cpu, op);
}

/* WBINVD, INVD: there is no cache to write back. */
const struct op *
op_privileged_nop(struct emu_cpu *cpu, const struct op *op)
{
	emu_need_ring0(cpu, op);
	NEXT;
}

/* ---- time ---- */

uint64_t
emu_retired(const struct emu_cpu *cpu, const struct op *op)
{
	uint64_t n = cpu->retired + (uint64_t)(cpu->slice - cpu->budget);

	return op == NULL ? n : n - cpu->block->ninsns + op->nth;
}

void
emu_out(struct emu_cpu *cpu, const struct op *op)
{
	cpu->at = op;
}

void
emu_back(struct emu_cpu *cpu)
{
	cpu->at = NULL;
	if (atomic_load_explicit(&cpu->kicked, memory_order_relaxed) &&
	    cpu->budget > 0) {
		/* The slice ends with this block. */
		cpu->slice -= cpu->budget;
		cpu->budget = 0;
	}
}

uint64_t
emu_tsc(struct emu_cpu *cpu, const struct op *op)
{
	const struct engine_io *io = cpu->vm->io;

	return io->tsc(io->arg, cpu->base.id, emu_retired(cpu, op));
}

/* aux 1: RDTSCP */
const struct op *
op_rdtsc(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t v;

	if ((cpu->cr4 & CR4_TSD) && cpu->cpl != 0)
		emu_fault_code(cpu, op, EXC_GP, 0);
	v = emu_tsc(cpu, op);
	cpu->gpr[CPU_RAX] = (uint32_t)v;
	cpu->gpr[CPU_RDX] = v >> 32;
	if (op->aux == 1)
		cpu->gpr[CPU_RCX] = (uint32_t)cpu->msr[CPU_MSR_TSC_AUX];
	NEXT;
}
