/*
 * host_fpu.h - the host's instructions whose operands are part of their bytes.
 *
 * Each table holds code (host_fpu.S), and is indexed by that part.
 */
#ifndef VMM_EMULATE_HOST_FPU_H
#define VMM_EMULATE_HOST_FPU_H

#include <emmintrin.h>
#include <stdint.h>

/* By opcode & 7 and ModRM & 63; by opcode & 7 and ModRM's register field. */
extern const uint8_t host_x87_register[8][64][4];
extern const uint8_t host_x87_memory[8][8][4];

/* Executes slot, one of the above, on the x87 state of image, an FXSAVE image
 * on a boundary of 16 bytes that must have the host's own MXCSR and no
 * exception pending.  operand: 16 bytes, if it has one in memory.  flags, and
 * what is returned: the low byte of EFLAGS. */
unsigned int host_x87_run(
    void *image, const void *slot, void *operand, unsigned int flags);

/* OP a, b, immediate: the new a.  Call by host_with_immediate(). */
typedef const uint8_t host_immediates[256][8];

extern host_immediates host_pshufd, host_pshufhw, host_pshuflw, host_psrldq,
    host_pslldq, host_shufps, host_shufpd, host_cmpps, host_cmppd, host_cmpss,
    host_cmpsd, host_palignr, host_roundps, host_roundpd, host_roundss,
    host_roundsd, host_blendps, host_blendpd, host_pblendw, host_insertps,
    host_dpps, host_dppd, host_mpsadbw, host_pclmulqdq, host_aeskeygenassist,
    host_pcmpestrm, host_pcmpestri, host_pcmpistrm, host_pcmpistri;

static inline __m128i
host_with_immediate(
    host_immediates table, int64_t immediate, __m128i a, __m128i b)
{
	__m128i (*fn)(__m128i, __m128i) =
	    (__m128i(*)(__m128i, __m128i))(uintptr_t)table[(uint8_t)immediate];

	return fn(a, b);
}

/* The registers of the string comparisons; the slots of host_pcmp* only. */
struct host_strings {
	__m128i a, b; /* a: XMM0 behind it */
	uint64_t a_bytes, b_bytes;
	uint64_t index; /* RCX behind it */
	uint64_t flags;
};
_Static_assert(sizeof(struct host_strings) == 64, "host_fpu.S knows it");

void host_strings_run(struct host_strings *strings, const void *slot);

#endif
