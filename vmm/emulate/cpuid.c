/*
 * Which CPU this is: the plain x86-64 that Linux needs, and what is cheap.
 */
#include "vmm/emulate/handlers.h"

#define MSR_APIC_BASE 0x1b

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
		/* FPU DE PSE TSC MSR PAE MCE CX8 SEP MTRR PGE MCA CMOV PAT
		 * CLFSH MMX FXSR SSE SSE2 */
		.edx = BIT(0) | BIT(2) | BIT(3) | BIT(4) | BIT(5) | BIT(6) |
		    BIT(7) | BIT(8) | BIT(11) | BIT(12) | BIT(13) | BIT(14) |
		    BIT(15) | BIT(16) | BIT(19) | BIT(23) | BIT(24) | BIT(25) |
		    BIT(26),
	};

	if (cpu->vm->io->msr_read(
		cpu->vm->io->arg, cpu->base.id, MSR_APIC_BASE, &apic_base) &&
	    (apic_base & BIT(11))) {
		leaf.edx |= BIT(9);  /* APIC */
		leaf.ecx |= BIT(21); /* x2APIC */
	}
	return leaf;
}

/* The topology: every CPU is a core of its own, with one thread. */
static struct leaf
leaf_b(const struct emu_cpu *cpu, uint32_t level)
{
	struct leaf leaf = { .ecx = level & 0xff, .edx = cpu->base.id };
	uint32_t bits = 0;

	while (1u << bits < cpu->vm->ncpus)
		bits++;
	if (level == 0) { /* threads of a core */
		leaf.ebx = 1;
		leaf.ecx |= 1u << 8;
	} else if (level == 1) { /* cores of all */
		leaf.eax = bits;
		leaf.ebx = cpu->vm->ncpus;
		leaf.ecx |= 2u << 8;
	}
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
find_leaf(const struct emu_cpu *cpu, uint32_t index, uint32_t level)
{
	struct leaf none = { 0 };

	switch (index) {
	case 0: /* "Genu" "ineI" "ntel" */
		return (struct leaf){ .eax = 0xb,
			.ebx = 0x756e6547,
			.edx = 0x49656e69,
			.ecx = 0x6c65746e };
	case 1: return leaf_1(cpu);
	case 0xb: return leaf_b(cpu, level);
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
	struct leaf leaf = find_leaf(
	    cpu, (uint32_t)cpu->gpr[CPU_RAX], (uint32_t)cpu->gpr[CPU_RCX]);

	cpu->gpr[CPU_RAX] = leaf.eax;
	cpu->gpr[CPU_RBX] = leaf.ebx;
	cpu->gpr[CPU_RCX] = leaf.ecx;
	cpu->gpr[CPU_RDX] = leaf.edx;
	NEXT;
}
