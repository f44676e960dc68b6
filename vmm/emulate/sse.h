/*
 * sse.h - MMX and SSE instructions: tables of handlers, and rounding.
 */
#ifndef VMM_EMULATE_SSE_H
#define VMM_EMULATE_SSE_H

#include <Zydis/Zydis.h>

#include "vmm/emulate/fpu.h"
#include "vmm/emulate/host_fpu.h"

/* What the host must have for an instruction to be executed on it: bits of
 * CPUID's leaf 1, ECX.  0: any x86-64. */
#define NEEDS_SSE3   0x00000001u
#define NEEDS_PCLMUL 0x00000002u
#define NEEDS_SSSE3  0x00000200u
#define NEEDS_SSE41  0x00080000u
#define NEEDS_SSE42  0x00100000u
#define NEEDS_AES    0x02000000u

struct sse_row {
	uint16_t mnemonic;
	uint32_t needs;
	op_fn xmm; /* no operand is an MMX register; NULL: no such form */
	op_fn mmx; /* one is */
};

/* Each ends with a row of mnemonic 0. */
extern const struct sse_row sse_move_rows[];    /* sse_move.c */
extern const struct sse_row sse_int_rows[];     /* sse_int.c */
extern const struct sse_row sse_float_rows[];   /* sse_float.c */
extern const struct sse_row sse_convert_rows[]; /* sse_convert.c */
extern const struct sse_row sse_string_rows[];  /* sse_string.c */

#define HANDLER(name) \
	static const struct op *name(struct emu_cpu *cpu, const struct op *op)

/*
 * Arithmetic under the guest's MXCSR:
 *
 *	uint32_t pass = 0;
 *	do {
 *		round_begin(cpu, pass);
 *		v = a; the instruction, volatile
 *		pass = round_end(cpu, op, pass);
 *	} while (unlikely(pass != 0));
 *
 * round_end() collects the exceptions' flags, and does not return if one is not
 * masked.  Why there may be two passes: sse.c.
 */
void round_begin_slowly(struct emu_cpu *cpu, uint32_t pass);
uint32_t round_end_slowly(
    struct emu_cpu *cpu, const struct op *op, uint32_t pass);

#define ROUND_AGAIN 0x40000000u

/* By way of the stack below what the compiler may use: a local in memory would
 * keep some compilers from ending the handler by a tail call. */
static inline uint32_t
host_mxcsr_get(void)
{
	uint32_t v;

	__asm__ volatile("leaq -136(%%rsp), %%rsp\n\t"
			 "stmxcsr (%%rsp)\n\t"
			 "movl (%%rsp), %0\n\t"
			 "leaq 136(%%rsp), %%rsp"
			 : "=r"(v)
			 :
			 : "memory");
	return v;
}

/* Round to nearest, all exceptions masked: as the host is, between. */
static inline bool
rounds_as_usual(const struct emu_cpu *cpu)
{
	return (mxcsr_get(cpu) & ~FPU_EXCEPTIONS) == MXCSR_RESET;
}

static inline void
round_begin(struct emu_cpu *cpu, uint32_t pass)
{
	if (unlikely(!rounds_as_usual(cpu) || pass != 0))
		round_begin_slowly(cpu, pass);
}

static inline uint32_t
round_end(struct emu_cpu *cpu, const struct op *op, uint32_t pass)
{
	if (unlikely(!rounds_as_usual(cpu) || pass != 0))
		return round_end_slowly(cpu, op, pass);
	/* The flags there are old or new, but if the guest has them all
	 * already, that does not matter. */
	return host_mxcsr_get() & ~mxcsr_get(cpu) & FPU_EXCEPTIONS ? ROUND_AGAIN
								   : 0;
}

#endif
