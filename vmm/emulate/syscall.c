/*
 * The fast ways into the system and back.
 */
#include "vmm/emulate/segment.h"

#include "vmm/emulate/handlers.h"

/* What hypercalls return (Linux, include/uapi/linux/kvm_para.h). */
#define HYPERCALL_UNKNOWN 1000 /* KVM_ENOSYS */
#define HYPERCALL_REFUSED 1    /* KVM_EPERM, to programs */

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

/* ---- SYSENTER, SYSEXIT ---- */

const struct op *
op_sysenter(struct emu_cpu *cpu, const struct op *op)
{
	uint16_t cs = (uint16_t)(cpu->msr[CPU_MSR_SYSENTER_CS] & 0xfffc);
	bool lma = cpu->efer & EFER_LMA;

	if (!(cpu->cr0 & CR0_PE) || cs == 0)
		emu_fault_code(cpu, op, EXC_GP, 0);
	leave_after(cpu, op);
	cpu->eflags &= ~(FLAG_IF | FLAG_RF);
	set_flat(cpu, CPU_CS, cs, 0, (lma ? CPU_SEG_LONG : CPU_SEG_32) | 0xb);
	set_flat(cpu, CPU_SS, (uint16_t)(cs + 8), 0, CPU_SEG_32 | 0x3);
	cpu->cpl = 0;
	cpu->rip = cpu->msr[CPU_MSR_SYSENTER_EIP];
	cpu->gpr[CPU_RSP] = cpu->msr[CPU_MSR_SYSENTER_ESP];
	if (!lma) {
		cpu->rip = (uint32_t)cpu->rip;
		cpu->gpr[CPU_RSP] = (uint32_t)cpu->gpr[CPU_RSP];
	}
	emu_set_mode(cpu);
	return NULL;
}

/* aux: 3 with REX.W, to 64-bit code. */
const struct op *
op_sysexit(struct emu_cpu *cpu, const struct op *op)
{
	uint16_t base = (uint16_t)(cpu->msr[CPU_MSR_SYSENTER_CS] & 0xfffc);
	uint16_t cs = (uint16_t)((base + (op->aux == 3 ? 32 : 16)) | 3);
	uint64_t rip = cpu->gpr[CPU_RDX], sp = cpu->gpr[CPU_RCX];

	if (!(cpu->cr0 & CR0_PE) || cpu->cpl != 0 || base == 0)
		emu_fault_code(cpu, op, EXC_GP, 0);
	if (op->aux == 3 && (!canonical(rip) || !canonical(sp)))
		emu_fault_code(cpu, op, EXC_GP, 0);
	leave_after(cpu, op);
	set_flat(cpu, CPU_CS, cs, 3,
	    (op->aux == 3 ? CPU_SEG_LONG : CPU_SEG_32) | 0xb);
	set_flat(cpu, CPU_SS, (uint16_t)(cs + 8), 3, CPU_SEG_32 | 0x3);
	cpu->cpl = 3;
	cpu->rip = op->aux == 3 ? rip : (uint32_t)rip;
	cpu->gpr[CPU_RSP] = op->aux == 3 ? sp : (uint32_t)sp;
	emu_set_mode(cpu);
	return NULL;
}

/* ---- the rest ---- */

/* VMCALL, VMMCALL: no hypercall of KVM's is offered, but a guest may ask. */
const struct op *
op_hypercall(struct emu_cpu *cpu, const struct op *op)
{
	int64_t v = cpu->cpl == 0 ? -HYPERCALL_UNKNOWN : -HYPERCALL_REFUSED;

	cpu->gpr[CPU_RAX] =
	    (cpu->mode & MODE_SIZE) == MODE_64 ? (uint64_t)v : (uint32_t)v;
	NEXT;
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
