/*
 * What 64-bit code has no more: decimal arithmetic, BOUND, ARPL (SDM 2).
 *
 * Flags that the manual leaves undefined stay as they were.
 */
#include "vmm/emulate/handlers.h"

#define FLAGS_RESULT (FLAG_PF | FLAG_ZF | FLAG_SF)

static uint8_t *
al(struct emu_cpu *cpu)
{
	return (uint8_t *)&cpu->gpr[CPU_RAX];
}

static uint32_t
flags_of_byte(uint8_t v)
{
	return (parity_even(v) ? FLAG_PF : 0) | (v == 0 ? FLAG_ZF : 0) |
	    (v & 0x80 ? FLAG_SF : 0);
}

/* Does the lower digit of AL have to be put right? */
static bool
low_digit(struct emu_cpu *cpu, uint32_t flags)
{
	return (*al(cpu) & 15) > 9 || (flags & FLAG_AF);
}

/* AAA, AAS: aux 0, 1 */
const struct op *
op_ascii_adjust(struct emu_cpu *cpu, const struct op *op)
{
	uint16_t ax = (uint16_t)cpu->gpr[CPU_RAX];
	bool adjust = low_digit(cpu, emu_flags(cpu));

	if (adjust)
		ax = (uint16_t)(op->aux == 0 ? ax + 0x106 : ax - 0x106);
	cpu->gpr[CPU_RAX] =
	    (cpu->gpr[CPU_RAX] & ~UINT64_C(0xffff)) | (ax & 0xff0f);
	flags_put(cpu, FLAG_AF | FLAG_CF, adjust ? FLAG_AF | FLAG_CF : 0);
	NEXT;
}

/* DAA, DAS: aux 0, 1 */
const struct op *
op_decimal_adjust(struct emu_cpu *cpu, const struct op *op)
{
	uint32_t was = emu_flags(cpu), flags = 0;
	uint8_t a = *al(cpu), sum = 0;
	bool high = a > 0x99 || (was & FLAG_CF);

	if (low_digit(cpu, was)) {
		sum = 6;
		flags |= FLAG_AF;
		if (op->aux == 1 && a < 6)
			flags |= FLAG_CF;
	}
	if (high) {
		sum = (uint8_t)(sum + 0x60);
		flags |= FLAG_CF;
	}
	*al(cpu) = (uint8_t)(op->aux == 0 ? a + sum : a - sum);
	flags_put(cpu, FLAG_AF | FLAG_CF | FLAGS_RESULT,
	    flags | flags_of_byte(*al(cpu)));
	NEXT;
}

/* AAM (aux 0), AAD (aux 1): the base is in imm. */
const struct op *
op_ascii_base(struct emu_cpu *cpu, const struct op *op)
{
	uint8_t base = (uint8_t)op->imm, low = al(cpu)[0], high = al(cpu)[1];

	if (op->aux == 0 && base == 0)
		emu_fault(cpu, op, EXC_DE);
	if (op->aux == 0) {
		al(cpu)[1] = low / base;
		al(cpu)[0] = low % base;
	} else {
		al(cpu)[0] = (uint8_t)(low + high * base);
		al(cpu)[1] = 0;
	}
	flags_put(cpu, FLAGS_RESULT, flags_of_byte(*al(cpu)));
	NEXT;
}

/* AL from the carry; in no manual, but in all processors. */
const struct op *
op_salc(struct emu_cpu *cpu, const struct op *op)
{
	*al(cpu) = flag_cf(cpu) ? 0xff : 0;
	NEXT;
}

/* dst within the two bounds in memory; aux is the size. */
const struct op *
op_bound(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t at = effective(cpu, op);
	int64_t low, high, v;

	if (op->aux == 1) {
		v = (int16_t)cpu->gpr[op->dst];
		low = (int16_t)load16(cpu, op, at);
		high = (int16_t)load16(cpu, op, at + 2);
	} else {
		v = (int32_t)cpu->gpr[op->dst];
		low = (int32_t)load32(cpu, op, at);
		high = (int32_t)load32(cpu, op, at + 4);
	}
	if (v < low || v > high)
		emu_fault(cpu, op, EXC_BR);
	NEXT;
}

/* The requested privilege in src given to a selector: dst or, aux being 1, in
 * memory. */
const struct op *
op_arpl(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int rpl = cpu->gpr[op->src] & 3;
	uint64_t at = op->aux == 1 ? effective(cpu, op) : 0;
	uint16_t selector;
	bool less;

	if (!(cpu->cr0 & CR0_PE))
		emu_fault(cpu, op, EXC_UD);
	selector = op->aux == 1 ? (uint16_t)emu_read_rmw(cpu, op, at, 2)
				: (uint16_t)cpu->gpr[op->dst];
	less = (selector & 3u) < rpl;
	if (less && op->aux == 1)
		store16(cpu, op, at, (uint16_t)((selector & ~3u) | rpl));
	else if (less)
		cpu->gpr[op->dst] = (cpu->gpr[op->dst] & ~UINT64_C(3)) | rpl;
	flags_put(cpu, FLAG_ZF, less ? FLAG_ZF : 0);
	NEXT_STORED;
}
