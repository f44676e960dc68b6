/*
 * Debug registers (SDM 3, chapter 18): breakpoints, watchpoints on memory and
 * ports, and who may touch the registers themselves.
 *
 * While anything is armed, blocks have one instruction each: before it, its
 * address is compared; behind it, what it touched is looked at.  Pages with a
 * watched address have no TLB entries for data, so that each access to them
 * comes by (mmu.c).  A guest that arms none pays nothing, one that does runs
 * ten times slower.
 *
 * The system's own accesses, as to tables and to the stack of a handler, are
 * not watched.
 */
#include "vmm/emulate/handlers.h"

enum kind { KIND_CODE, KIND_WRITE, KIND_PORT, KIND_ACCESS };

/* DR7's fields for register n. */
static bool
is_on(const struct emu_cpu *cpu, unsigned int n)
{
	return cpu->dr7 >> 2 * n & 3;
}

static enum kind
kind(const struct emu_cpu *cpu, unsigned int n)
{
	return (enum kind)(cpu->dr7 >> (16 + 4 * n) & 3);
}

static unsigned int
length(const struct emu_cpu *cpu, unsigned int n)
{
	static const uint8_t bytes[4] = { 1, 2, 8, 4 };

	return bytes[cpu->dr7 >> (18 + 4 * n) & 3];
}

/* The first byte: addresses are cut to the length. */
static uint64_t
first(const struct emu_cpu *cpu, unsigned int n)
{
	return cpu->dr[n] & ~(uint64_t)(length(cpu, n) - 1);
}

void
emu_arm(struct emu_cpu *cpu)
{
	uint8_t was = cpu->armed;

	cpu->armed = 0;
	for (unsigned int n = 0; n < 4; n++) {
		if (!is_on(cpu, n))
			continue;
		switch (kind(cpu, n)) {
		case KIND_CODE: cpu->armed |= ARMED_CODE; break;
		case KIND_WRITE:
		case KIND_ACCESS: cpu->armed |= ARMED_DATA; break;
		case KIND_PORT:
			if (cpu->cr4 & CR4_DE)
				cpu->armed |= ARMED_PORT;
			break;
		}
	}
	if ((was | cpu->armed) & ARMED_DATA)
		emu_flush(cpu);
}

void
emu_debug_trap(struct emu_cpu *cpu, uint32_t dr6)
{
	cpu->dr6 = (cpu->dr6 & ~(uint64_t)DR6_HITS) | cpu->hits | dr6;
	cpu->hits = 0;
	cpu->fault_vector = EXC_DB;
	cpu->fault_has_code = false;
	cpu->faulted = true;
}

bool
emu_break(struct emu_cpu *cpu)
{
	uint64_t at = cpu->rip + cpu->seg_base[CPU_CS];
	bool resumed = cpu->eflags & FLAG_RF;
	uint8_t hits = 0;

	cpu->eflags &= ~FLAG_RF; /* it lasts for one instruction */
	if ((cpu->mode & MODE_SIZE) != MODE_64)
		at = (uint32_t)at;
	if (resumed || cpu->shadow_ss)
		return false;
	for (unsigned int n = 0; n < 4; n++)
		if (is_on(cpu, n) && kind(cpu, n) == KIND_CODE &&
		    cpu->dr[n] == at)
			hits |= (uint8_t)(1u << n);
	if (hits == 0)
		return false;
	cpu->hits = hits;
	emu_debug_trap(cpu, 0);
	return true;
}

bool
emu_watches(const struct emu_cpu *cpu, uint64_t addr)
{
	if (likely(!(cpu->armed & ARMED_DATA)))
		return false;
	for (unsigned int n = 0; n < 4; n++)
		if (is_on(cpu, n) && ((cpu->dr[n] ^ addr) & PAGE_MASK) == 0)
			return true;
	return false;
}

static void
note(struct emu_cpu *cpu, unsigned int n, uint64_t at, unsigned int bytes)
{
	if (at < first(cpu, n) + length(cpu, n) && first(cpu, n) < at + bytes)
		cpu->hits |= (uint8_t)(1u << n);
}

void
emu_watch(struct emu_cpu *cpu, uint64_t addr, unsigned int bytes, bool write)
{
	if ((cpu->mode & MODE_SIZE) != MODE_64)
		addr = (uint32_t)addr;
	for (unsigned int n = 0; n < 4; n++)
		if (is_on(cpu, n) &&
		    (kind(cpu, n) == KIND_ACCESS ||
			(write && kind(cpu, n) == KIND_WRITE)))
			note(cpu, n, addr, bytes);
}

void
emu_watch_port(struct emu_cpu *cpu, uint16_t port, unsigned int bytes)
{
	for (unsigned int n = 0; n < 4; n++)
		if (is_on(cpu, n) && kind(cpu, n) == KIND_PORT)
			note(cpu, n, port, bytes);
}

/* ---- the registers ---- */

/* Which register a number means, and whether this is the time for it. */
static unsigned int
check(struct emu_cpu *cpu, const struct op *op, unsigned int n)
{
	if ((n == 4 || n == 5) && (cpu->cr4 & CR4_DE))
		emu_fault(cpu, op, EXC_UD);
	if (n > 7)
		emu_fault(cpu, op, EXC_UD);
	if (cpu->cpl != 0)
		emu_fault_code(cpu, op, EXC_GP, 0);
	if (cpu->dr7 & DR7_GD) {
		cpu->dr6 |= DR6_BD;
		emu_fault(cpu, op, EXC_DB);
	}
	return n == 4 || n == 5 ? n + 2 : n;
}

/* dst: debug register, src: general register, and the other way round. */
const struct op *
op_mov_to_dr(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t v = cpu->gpr[op->src];
	unsigned int n = check(cpu, op, op->dst);

	if ((cpu->mode & MODE_SIZE) != MODE_64)
		v = (uint32_t)v;
	if (n >= 6 && v >> 32)
		emu_fault_code(cpu, op, EXC_GP, 0);
	switch (n) {
	case 6: cpu->dr6 = (v & 0xe00f) | DR6_ALWAYS; break;
	case 7: cpu->dr7 = (v & 0xffff2fff) | DR7_ALWAYS; break;
	default: cpu->dr[n] = v; break;
	}
	leave_after(cpu, op);
	emu_arm(cpu);
	emu_set_mode(cpu);
	return NULL;
}

const struct op *
op_mov_from_dr(struct emu_cpu *cpu, const struct op *op)
{
	unsigned int n = check(cpu, op, op->src);

	switch (n) {
	case 6: cpu->gpr[op->dst] = cpu->dr6; break;
	case 7: cpu->gpr[op->dst] = cpu->dr7; break;
	default: cpu->gpr[op->dst] = cpu->dr[n]; break;
	}
	NEXT;
}
