/*
 * Model-specific registers.
 *
 * Registers of the local APIC and of the hypervisor belong to the machine and
 * are asked of it (engine_io).
 */
#include "vmm/emulate/handlers.h"

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
	case MSR_TSC: *v = emu_tsc(cpu, op); return true;
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
write_msr(struct emu_cpu *cpu, uint32_t index, uint64_t v)
{
	uint64_t *plain = plain_msr(cpu, index);

	if (plain != NULL) {
		*plain = v;
		return true;
	}
	if (is_machines(index) || index == MSR_TSC)
		return cpu->vm->io->msr_write(
		    cpu->vm->io->arg, cpu->base.id, index, v);
	switch (index) {
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

	emu_need_ring0(cpu, op);
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

	emu_need_ring0(cpu, op);
	emu_out(cpu, op);
	good = write_msr(cpu, (uint32_t)cpu->gpr[CPU_RCX], v);
	emu_back(cpu);
	if (!good)
		emu_fault_code(cpu, op, EXC_GP, 0);
	leave_after(cpu, op);
	emu_set_mode(cpu);
	return NULL;
}
