/*
 * Control registers, model-specific registers, ports, flags and faults.
 *
 * Which CPU this is: the plain x86-64 that Linux needs, and what is cheap
 * (cpuid.c).  Registers of the local APIC, and time, belong to the machine and
 * are asked of it (engine_io).
 */
#include "vmm/emulate/handlers.h"

#include "vmm/emulate/segment.h"

#define MSR_TSC            0x10
#define MSR_APIC_BASE      0x1b
#define MSR_MTRR_CAP       0xfe
#define MSR_SYSENTER_CS    0x174
#define MSR_SYSENTER_ESP   0x175
#define MSR_SYSENTER_EIP   0x176
#define MSR_MCG_CAP        0x179
#define MSR_MCG_STATUS     0x17a
#define MSR_MISC_ENABLE    0x1a0
#define MSR_MTRR_VARIABLE  0x200
#define MSR_PAT            0x277
#define MSR_MTRR_DEFAULT   0x2ff
#define MSR_TSC_DEADLINE   0x6e0
#define MSR_X2APIC         0x800
#define MSR_X2APIC_END     0x8ff
#define MSR_EFER           0xc0000080
#define MSR_STAR           0xc0000081
#define MSR_LSTAR          0xc0000082
#define MSR_CSTAR          0xc0000083
#define MSR_SFMASK         0xc0000084
#define MSR_FS_BASE        0xc0000100
#define MSR_GS_BASE        0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define MSR_TSC_AUX        0xc0000103

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

static void
need_ring0(struct emu_cpu *cpu, const struct op *op)
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
	uint64_t at = (sp & cpu->stack_mask) + cpu->seg_base[CPU_SS];
	uint32_t flags = emu_flags(cpu) & ~(FLAG_RF | FLAG_VM);

	if (bytes == 8)
		store64(cpu, op, at, flags);
	else if (bytes == 4)
		store32(cpu, op, at, flags);
	else
		store16(cpu, op, at, (uint16_t)flags);
	cpu->gpr[CPU_RSP] =
	    (cpu->gpr[CPU_RSP] & ~cpu->stack_mask) | (sp & cpu->stack_mask);
	NEXT_STORED;
}

const struct op *
op_popf(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int bytes = 1u << op->aux;
	uint64_t sp = cpu->gpr[CPU_RSP];
	uint32_t v = (uint32_t)emu_read(
	    cpu, op, (sp & cpu->stack_mask) + cpu->seg_base[CPU_SS], bytes);
	uint32_t may = FLAGS_ARITH | FLAG_TF | FLAG_DF | FLAG_NT;
	uint32_t was;

	if (bytes > 2)
		may |= FLAG_AC | FLAG_ID;
	if (cpu->cpl == 0)
		may |= FLAG_IOPL;
	if (cpu->cpl <= (cpu->eflags >> 12 & 3) || !(cpu->cr0 & CR0_PE))
		may |= FLAG_IF;
	sp += bytes;
	cpu->gpr[CPU_RSP] =
	    (cpu->gpr[CPU_RSP] & ~cpu->stack_mask) | (sp & cpu->stack_mask);
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
	need_ring0(cpu, op);
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

#define CR4_KNOWN                                                          \
	(0x3u | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | \
	    0x100u | CR4_OSFXSR | CR4_OSXMMEXCPT)

static void
write_cr4(struct emu_cpu *cpu, const struct op *op, uint64_t v)
{
	if ((v & ~(uint64_t)CR4_KNOWN) ||
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

	need_ring0(cpu, op);
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

	need_ring0(cpu, op);
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
	need_ring0(cpu, op);
	cpu->cr0 &= ~(uint64_t)CR0_TS;
	NEXT;
}

const struct op *
op_lmsw(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t v = cpu->gpr[op->src];

	need_ring0(cpu, op);
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
	need_ring0(cpu, op);
	emu_flush_page(cpu, effective(cpu, op));
	return leave_after(cpu, op);
}

/* WBINVD, INVD: there is no cache to write back. */
const struct op *
op_privileged_nop(struct emu_cpu *cpu, const struct op *op)
{
	need_ring0(cpu, op);
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

static uint64_t
read_tsc(struct emu_cpu *cpu, const struct op *op)
{
	return cpu->vm->io->tsc(cpu->vm->io->arg, emu_retired(cpu, op)) +
	    cpu->tsc_offset;
}

/* aux 1: RDTSCP */
const struct op *
op_rdtsc(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t v;

	if ((cpu->cr4 & CR4_TSD) && cpu->cpl != 0)
		emu_fault_code(cpu, op, EXC_GP, 0);
	v = read_tsc(cpu, op);
	cpu->gpr[CPU_RAX] = (uint32_t)v;
	cpu->gpr[CPU_RDX] = v >> 32;
	if (op->aux == 1)
		cpu->gpr[CPU_RCX] = (uint32_t)cpu->msr[CPU_MSR_TSC_AUX];
	NEXT;
}

/* ---- model-specific registers ---- */

/* Those that are only kept.  NULL: not one of them. */
static uint64_t *
plain_msr(struct emu_cpu *cpu, uint32_t index)
{
	static const uint32_t fixed[CPU_MTRR_FIXED] = { 0x250, 0x258, 0x259,
		0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f };

	switch (index) {
	case MSR_SYSENTER_CS: return &cpu->msr[CPU_MSR_SYSENTER_CS];
	case MSR_SYSENTER_ESP: return &cpu->msr[CPU_MSR_SYSENTER_ESP];
	case MSR_SYSENTER_EIP: return &cpu->msr[CPU_MSR_SYSENTER_EIP];
	case MSR_MISC_ENABLE: return &cpu->msr[CPU_MSR_MISC_ENABLE];
	case MSR_PAT: return &cpu->msr[CPU_MSR_PAT];
	case MSR_MTRR_DEFAULT: return &cpu->msr[CPU_MSR_MTRR_DEFAULT];
	case MSR_STAR: return &cpu->star;
	case MSR_SFMASK: return &cpu->sfmask;
	case MSR_TSC_AUX: return &cpu->msr[CPU_MSR_TSC_AUX];
	}
	if (index >= MSR_MTRR_VARIABLE &&
	    index < MSR_MTRR_VARIABLE + 2 * CPU_MTRR_VARIABLE) {
		unsigned int n = (index - MSR_MTRR_VARIABLE) / 2;

		return index & 1 ? &cpu->mtrr_mask[n] : &cpu->mtrr_base[n];
	}
	for (unsigned int n = 0; n < CPU_MTRR_FIXED; n++)
		if (fixed[n] == index)
			return &cpu->mtrr_fixed[n];
	return NULL;
}

static bool
is_machines(uint32_t index)
{
	return index == MSR_APIC_BASE || index == MSR_TSC_DEADLINE ||
	    (index >= MSR_X2APIC && index <= MSR_X2APIC_END) ||
	    (index >= 0x4b564d00 && index <= 0x4b564dff) || index == 0x11 ||
	    index == 0x12;
}

static bool
read_msr(struct emu_cpu *cpu, const struct op *op, uint32_t index, uint64_t *v)
{
	const uint64_t *plain = plain_msr(cpu, index);

	if (plain != NULL) {
		*v = *plain;
		return true;
	}
	if (is_machines(index))
		return cpu->vm->io->msr_read(
		    cpu->vm->io->arg, cpu->base.id, index, v);
	switch (index) {
	case MSR_TSC: *v = read_tsc(cpu, op); return true;
	case MSR_MTRR_CAP: *v = CPU_MTRR_VARIABLE | 0x500; return true;
	case MSR_MCG_CAP:
	case MSR_MCG_STATUS:
	case 0x8b: /* microcode revision */ *v = 0; return true;
	case MSR_EFER: *v = cpu->efer; return true;
	case MSR_LSTAR: *v = cpu->lstar; return true;
	case MSR_CSTAR: *v = cpu->cstar; return true;
	case MSR_FS_BASE: *v = cpu->seg[CPU_FS].base; return true;
	case MSR_GS_BASE: *v = cpu->seg[CPU_GS].base; return true;
	case MSR_KERNEL_GS_BASE: *v = cpu->kernel_gs; return true;
	}
	return false;
}

static bool
write_efer(struct emu_cpu *cpu, uint64_t v)
{
	if (v & ~(uint64_t)(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE))
		return false;
	if (((v ^ cpu->efer) & EFER_LME) && (cpu->cr0 & CR0_PG))
		return false;
	if ((v ^ cpu->efer) & EFER_NXE)
		emu_flush(cpu);
	cpu->efer = (v & ~(uint64_t)EFER_LMA) | (cpu->efer & EFER_LMA);
	return true;
}

static bool
write_address(uint64_t *to, uint64_t v)
{
	if (!canonical(v))
		return false;
	*to = v;
	return true;
}

static bool
write_msr(struct emu_cpu *cpu, const struct op *op, uint32_t index, uint64_t v)
{
	uint64_t *plain = plain_msr(cpu, index);

	if (plain != NULL) {
		*plain = v;
		return true;
	}
	if (is_machines(index))
		return cpu->vm->io->msr_write(
		    cpu->vm->io->arg, cpu->base.id, index, v);
	switch (index) {
	case MSR_TSC: cpu->tsc_offset += v - read_tsc(cpu, op); return true;
	case MSR_MCG_STATUS:
	case 0x8b: return true;
	case MSR_EFER: return write_efer(cpu, v);
	case MSR_LSTAR: return write_address(&cpu->lstar, v);
	case MSR_CSTAR: return write_address(&cpu->cstar, v);
	case MSR_FS_BASE: return write_address(&cpu->seg[CPU_FS].base, v);
	case MSR_GS_BASE: return write_address(&cpu->seg[CPU_GS].base, v);
	case MSR_KERNEL_GS_BASE: return write_address(&cpu->kernel_gs, v);
	}
	return false;
}

const struct op *
op_rdmsr(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t v;
	bool good;

	need_ring0(cpu, op);
	emu_out(cpu, op);
	good = read_msr(cpu, op, (uint32_t)cpu->gpr[CPU_RCX], &v);
	emu_back(cpu);
	if (!good)
		emu_fault_code(cpu, op, EXC_GP, 0);
	cpu->gpr[CPU_RAX] = (uint32_t)v;
	cpu->gpr[CPU_RDX] = v >> 32;
	NEXT;
}

const struct op *
op_wrmsr(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t v = cpu->gpr[CPU_RDX] << 32 | (uint32_t)cpu->gpr[CPU_RAX];
	bool good;

	need_ring0(cpu, op);
	emu_out(cpu, op);
	good = write_msr(cpu, op, (uint32_t)cpu->gpr[CPU_RCX], v);
	emu_back(cpu);
	if (!good)
		emu_fault_code(cpu, op, EXC_GP, 0);
	leave_after(cpu, op);
	emu_set_mode(cpu);
	return NULL;
}

/* ---- CPUID ---- */

#define BIT(n) (UINT32_C(1) << (n))

struct leaf {
	uint32_t eax, ebx, ecx, edx;
};

static struct leaf
leaf_1(const struct emu_cpu *cpu)
{
	uint64_t apic_base = 0;
	struct leaf leaf = {
		.eax = 0x000006f1, /* family 6, model 15: a plain x86-64 */
		.ebx = cpu->base.id << 24 | 1u << 16 | 8u << 8,
		/* CX16, POPCNT, TSC-deadline, hypervisor, and vectors */
		.ecx = BIT(13) | BIT(23) | BIT(24) | BIT(31) | sse_features(),
		/* FPU VME DE PSE TSC MSR PAE MCE CX8 MTRR PGE MCA CMOV PAT
		 * CLFSH MMX FXSR SSE SSE2 */
		.edx = BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) |
		    BIT(7) | BIT(8) | BIT(12) | BIT(13) | BIT(14) | BIT(15) |
		    BIT(16) | BIT(19) | BIT(23) | BIT(24) | BIT(25) | BIT(26),
	};

	if (cpu->vm->io->msr_read(
		cpu->vm->io->arg, cpu->base.id, MSR_APIC_BASE, &apic_base) &&
	    (apic_base & BIT(11)))
		leaf.edx |= BIT(9); /* APIC */
	return leaf;
}

static struct leaf
text_leaf(uint32_t eax, const char *text12)
{
	struct leaf leaf = { .eax = eax };

	memcpy(&leaf.ebx, text12, 4);
	memcpy(&leaf.ecx, text12 + 4, 4);
	memcpy(&leaf.edx, text12 + 8, 4);
	return leaf;
}

static struct leaf
brand_leaf(uint32_t index)
{
	static const char brand[48] = "lanyard emulated x86-64";
	struct leaf leaf;

	memcpy(&leaf, brand + 16 * (index - 0x80000002), 16);
	return leaf;
}

static struct leaf
find_leaf(const struct emu_cpu *cpu, uint32_t index)
{
	struct leaf none = { 0 };

	switch (index) {
	case 0: /* "Genu" "ineI" "ntel" */
		return (struct leaf){ .eax = 1,
			.ebx = 0x756e6547,
			.edx = 0x49656e69,
			.ecx = 0x6c65746e };
	case 1: return leaf_1(cpu);
	case 0x40000000: return text_leaf(0x40000010, "KVMKVMKVM\0\0\0");
	case 0x40000001:
		/* no delay at ports; the clock, and that it is steady */
		return (struct leaf){ .eax = BIT(1) | BIT(3) | BIT(24) };
	case 0x40000010:
		return (struct leaf){ .eax = cpu->vm->io->tsc_khz,
			.ebx = cpu->vm->io->apic_khz };
	case 0x80000000: return (struct leaf){ .eax = 0x80000008 };
	case 0x80000001:
		/* LAHF; SYSCALL, NX, RDTSCP, long mode */
		return (struct leaf){ .ecx = BIT(0),
			.edx = BIT(11) | BIT(20) | BIT(27) | BIT(29) };
	case 0x80000002:
	case 0x80000003:
	case 0x80000004: return brand_leaf(index);
	case 0x80000007: return (struct leaf){ .edx = BIT(8) };
	case 0x80000008: return (struct leaf){ .eax = 48u << 8 | 40 };
	}
	return none;
}

const struct op *
op_cpuid(struct emu_cpu *cpu, const struct op *op)
{
	struct leaf leaf = find_leaf(cpu, (uint32_t)cpu->gpr[CPU_RAX]);

	cpu->gpr[CPU_RAX] = leaf.eax;
	cpu->gpr[CPU_RBX] = leaf.ebx;
	cpu->gpr[CPU_RCX] = leaf.ecx;
	cpu->gpr[CPU_RDX] = leaf.edx;
	NEXT;
}
