/*
 * MMX and SSE: which handler an instruction has, and what exceptions it raises.
 *
 * Every instruction is executed by the host's own on the guest's values, so
 * results, rounding and flags are the processor's.  Limit: RCPPS, RSQRTPS and
 * their scalar forms differ between makers of processors, and so between hosts.
 *
 * Arithmetic runs with all exceptions masked, under the guest's rounding.  While
 * that is the usual one, the host's MXCSR is left as it is: flags that stand
 * there afterwards may be old ones, but only if the guest does not have them all
 * is there a second pass that begins with the guest's flags.  Flags being
 * sticky, that happens a few times in a program's life.
 *
 * An exception that the guest has not masked is found by its flag afterwards,
 * with two corrections:
 *  - if one is raised by an operand (invalid, denormal, division by zero), no
 *    result is computed, so no flags of results are reported;
 *  - unmasked underflow is raised by any tiny result, masked underflow sets its
 *    flag for an inexact one only.  A second pass that flushes to zero, which
 *    it does for any tiny result, tells.
 * No signal is ever involved.
 *
 * Limits: with an unmasked overflow or underflow, the flag of inexact results
 * that is reported along with it is that of the masked result, where the
 * processor means the one before the exponent was found out of range; and DPPS
 * and DPPD report the flags of all their steps, also of those behind the one
 * that raised the exception.
 */
#include "vmm/emulate/sse.h"

#include <cpuid.h>
#include <pthread.h>

#define OPERAND_EXCEPTIONS 0x07u
#define UNDERFLOW          0x10u
#define SECOND_PASS        0x80000000u

/* ---- unusual rounding, new flags, exceptions that are not masked ---- */

static void
host_mxcsr_put(uint32_t v)
{
	__asm__ volatile("ldmxcsr %0" : : "m"(v) : "memory");
}

static bool
masks_all(const struct emu_cpu *cpu)
{
	return (~mxcsr_get(cpu) & MXCSR_MASKS) == 0;
}

void
round_begin_slowly(struct emu_cpu *cpu, uint32_t pass)
{
	uint32_t mxcsr = mxcsr_get(cpu);
	uint32_t v = (mxcsr & MXCSR_CONTROL) | MXCSR_MASKS;

	if (masks_all(cpu)) {
		host_mxcsr_put(mxcsr);
		return;
	}
	if (!(mxcsr & UNDERFLOW << MXCSR_MASK_SHIFT))
		v &= ~MXCSR_FTZ; /* has no effect then */
	if (pass & SECOND_PASS)
		v |= MXCSR_FTZ;
	host_mxcsr_put(v);
}

uint32_t
round_end_slowly(struct emu_cpu *cpu, const struct op *op, uint32_t pass)
{
	uint32_t mxcsr = mxcsr_get(cpu);
	uint32_t unmasked = ~(mxcsr >> MXCSR_MASK_SHIFT) & FPU_EXCEPTIONS;
	uint32_t raised = host_mxcsr_get() & FPU_EXCEPTIONS;

	host_mxcsr_put(MXCSR_RESET);
	if (raised & unmasked & OPERAND_EXCEPTIONS)
		raised &= OPERAND_EXCEPTIONS;
	else if (unmasked & UNDERFLOW) {
		if (pass == 0)
			return SECOND_PASS | raised;
		raised =
		    (pass & FPU_EXCEPTIONS & ~UNDERFLOW) | (raised & UNDERFLOW);
	}
	mxcsr_put(cpu, mxcsr | raised);
	if (raised & unmasked)
		emu_fault(
		    cpu, op, (cpu->cr4 & CR4_OSXMMEXCPT) ? EXC_XM : EXC_UD);
	return 0;
}

/* ---- finding the handler ---- */

static const struct sse_row *rows[ZYDIS_MNEMONIC_MAX_VALUE + 1];
static uint32_t host_has;
static pthread_once_t rows_once = PTHREAD_ONCE_INIT;

static void
index_rows(void)
{
	static const struct sse_row *const tables[] = { sse_move_rows,
		sse_int_rows, sse_float_rows, sse_convert_rows,
		sse_string_rows };
	unsigned int eax, ebx, ecx = 0, edx;

	if (__get_cpuid(1, &eax, &ebx, &ecx, &edx))
		host_has = ecx;
	for (size_t t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
		for (const struct sse_row *r = tables[t]; r->mnemonic != 0; r++)
			if ((r->needs & ~host_has) == 0)
				rows[r->mnemonic] = r;
}

bool
sse_known(unsigned int mnemonic)
{
	pthread_once(&rows_once, index_rows);
	return mnemonic <= ZYDIS_MNEMONIC_MAX_VALUE && rows[mnemonic] != NULL;
}

uint32_t
sse_features(void)
{
	pthread_once(&rows_once, index_rows);
	return host_has &
	    (NEEDS_SSE3 | NEEDS_PCLMUL | NEEDS_SSSE3 | NEEDS_SSE41 |
		NEEDS_SSE42 | NEEDS_AES);
}

op_fn
sse_handler(const struct op *op)
{
	op_fn fn = NULL;

	if (sse_known(op->more))
		fn = op->aux & (FPU_SRC_MMX | FPU_DST_MMX)
		    ? rows[op->more]->mmx
		    : rows[op->more]->xmm;
	return fn == NULL ? op_undefined : fn;
}

const struct op *
op_sse(struct emu_cpu *cpu, const struct op *op)
{
	return sse_handler(op)(cpu, op);
}
