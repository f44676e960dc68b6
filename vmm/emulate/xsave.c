/*
 * XSAVE and XRSTOR of what an FXSAVE image has, x87 and SSE, in the standard form
 * (Intel's manual, volume 1, 13.4 to 13.8).
 *
 * CPUID does not offer them, and CR4 refuses to have them on: they are for guests
 * that come from KVM, or are there and lack this one instruction.  Such a guest
 * may have more on, as AVX's upper halves: what concerns those is as undefined
 * here as their instructions are.
 */
#include "vmm/emulate/fpu.h"

#include "vmm/le.h"

#define ALIGNMENT    64
#define HEADER       512
#define HEADER_BYTES 64
#define XSTATE_BV    0 /* in the header */
#define XCOMP_BV     8
#define RESERVED     16 /* a word that is zero; what follows is not looked at */

/* The parts that EDX:EAX and XCR0 ask for. */
static unsigned int
parts_asked(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t parts = cpu->gpr[CPU_RDX] << 32 | (uint32_t)cpu->gpr[CPU_RAX];

	parts &= cpu->xcr0;
	if (parts & ~(uint64_t)XSAVE_KNOWN)
		emu_fault(cpu, op, EXC_UD);
	return (unsigned int)parts;
}

static void
need_xsave(struct emu_cpu *cpu, const struct op *op)
{
	if (!(cpu->cr4 & CR4_OSXSAVE))
		emu_fault(cpu, op, EXC_UD);
}

static uint64_t
ready(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t addr = effective(cpu, op);

	need_xsave(cpu, op);
	if (cpu->cr0 & CR0_TS)
		emu_fault(cpu, op, EXC_NM);
	if (addr % ALIGNMENT != 0)
		emu_fault_code(cpu, op, EXC_GP, 0);
	return addr;
}

/* The pieces of an image that the parts are. */
static void
copy_parts(uint8_t *to, const uint8_t *from, unsigned int parts)
{
	if (parts & XSAVE_X87) {
		memcpy(to, from, FX_MXCSR);
		memcpy(to + FX_ST, from + FX_ST, FX_XMM - FX_ST);
	}
	if (parts & XSAVE_SSE) {
		memcpy(to + FX_MXCSR, from + FX_MXCSR, FX_ST - FX_MXCSR);
		memcpy(to + FX_XMM, from + FX_XMM, FX_END - FX_XMM);
	}
}

/* Apart from their operations, which must not have locals in memory: they end
 * by a tail call. */
static __attribute__((noinline)) void
save(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t addr = ready(cpu, op), had;
	unsigned int parts = parts_asked(cpu, op);
	uint8_t image[FX_BYTES], now[FX_BYTES];

	fpu_load(cpu, op, addr, image, FX_BYTES);
	memcpy(now, cpu->fx, FX_BYTES);
	fpu_image_narrow(op, now);
	copy_parts(image, now, parts);
	had = emu_read(cpu, op, addr + HEADER + XSTATE_BV, 8);
	(void)emu_translate(cpu, op, addr + HEADER, ACCESS_WRITE);
	fpu_store(cpu, op, addr, image, fpu_image_bytes(cpu));
	emu_write(cpu, op, addr + HEADER + XSTATE_BV, 8, had | parts);
}

static void
check_header(struct emu_cpu *cpu, const struct op *op, const uint8_t *header)
{
	if ((get_le64(header + XSTATE_BV) & ~cpu->xcr0) != 0 ||
	    get_le64(header + XCOMP_BV) != 0 ||
	    get_le64(header + RESERVED) != 0)
		emu_fault_code(cpu, op, EXC_GP, 0);
}

static __attribute__((noinline)) void
restore(struct emu_cpu *cpu, const struct op *op)
{
	static const uint8_t initial[FX_BYTES] = { [FX_FCW] = FCW_RESET & 0xff,
		[FX_FCW + 1] = FCW_RESET >> 8 };
	uint64_t addr = ready(cpu, op);
	unsigned int parts = parts_asked(cpu, op), there;
	uint8_t image[FX_BYTES], header[HEADER_BYTES];
	uint8_t result[FX_BYTES];
	uint32_t mxcsr;

	fpu_load(cpu, op, addr, image, FX_BYTES);
	fpu_load(cpu, op, addr + HEADER, header, HEADER_BYTES);
	check_header(cpu, op, header);
	there = (unsigned int)get_le64(header + XSTATE_BV) & parts;
	memcpy(&mxcsr, image + FX_MXCSR, sizeof(mxcsr));
	if (parts & XSAVE_SSE && mxcsr & ~MXCSR_BITS)
		emu_fault_code(cpu, op, EXC_GP, 0);
	fpu_image_narrow(op, image);
	memcpy(result, cpu->fx, FX_BYTES);
	copy_parts(result, initial, parts & ~there);
	copy_parts(result, image, there);
	/* MXCSR does not go by whether the registers are there. */
	if (parts & XSAVE_SSE)
		memcpy(result + FX_MXCSR, &mxcsr, sizeof(mxcsr));
	memcpy(cpu->fx, result, fpu_image_bytes(cpu));
	fpu_canonical(cpu);
}

const struct op *
op_xsave(struct emu_cpu *cpu, const struct op *op)
{
	save(cpu, op);
	NEXT_STORED;
}

const struct op *
op_xrstor(struct emu_cpu *cpu, const struct op *op)
{
	restore(cpu, op);
	NEXT;
}

const struct op *
op_xgetbv(struct emu_cpu *cpu, const struct op *op)
{
	need_xsave(cpu, op);
	if ((uint32_t)cpu->gpr[CPU_RCX] != 0)
		emu_fault_code(cpu, op, EXC_GP, 0);
	cpu->gpr[CPU_RAX] = (uint32_t)cpu->xcr0;
	cpu->gpr[CPU_RDX] = cpu->xcr0 >> 32;
	NEXT;
}

const struct op *
op_xsetbv(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t v = cpu->gpr[CPU_RDX] << 32 | (uint32_t)cpu->gpr[CPU_RAX];

	need_xsave(cpu, op);
	if (cpu->cpl != 0 || (uint32_t)cpu->gpr[CPU_RCX] != 0 ||
	    !(v & XSAVE_X87))
		emu_fault_code(cpu, op, EXC_GP, 0);
	if (v & ~(uint64_t)XSAVE_KNOWN)
		emu_fault(cpu, op, EXC_UD);
	cpu->xcr0 = v;
	NEXT;
}
