/*
 * SSE conversions with a general or an MMX register on one side.
 *
 * Those with MMX registers are executed by their twins on XMM registers, whose
 * upper lanes are given zeros, which convert without any exception.
 */
#include "vmm/emulate/sse.h"

/* ---- general registers ---- */

/* The lowest lane becomes an integer. */
#define DEFINE_TO_INTEGER(name, source)                          \
	HANDLER(float_##name)                                    \
	{                                                        \
		uint64_t wide = 0;                               \
		uint32_t v = 0, pass = 0;                        \
		__m128i b;                                       \
                                                                 \
		sse_ready(cpu, op);                              \
		b = source(cpu, op);                             \
		do {                                             \
			round_begin(cpu, pass);                  \
			if (op->aux & FPU_GPR64)                 \
				__asm__ volatile(#name " %1, %0" \
						 : "=r"(wide)    \
						 : "x"(b));      \
			else                                     \
				__asm__ volatile(#name " %1, %0" \
						 : "=r"(v)       \
						 : "x"(b));      \
			pass = round_end(cpu, op, pass);         \
		} while (unlikely(pass != 0));                   \
		cpu->gpr[op->dst] = wide | v;                    \
		NEXT;                                            \
	}

/* An integer becomes the lowest lane. */
#define DEFINE_FROM_INTEGER(name)                                  \
	HANDLER(float_##name)                                      \
	{                                                          \
		uint64_t n = cpu->gpr[op->src];                    \
		uint32_t pass = 0;                                 \
		__m128i v;                                         \
                                                                   \
		sse_ready(cpu, op);                                \
		if (op->aux & FPU_SRC_MEM)                         \
			n = op->aux & FPU_GPR64                    \
			    ? load64(cpu, op, effective(cpu, op))  \
			    : load32(cpu, op, effective(cpu, op)); \
		do {                                               \
			round_begin(cpu, pass);                    \
			v = xmm_get(cpu, op->dst);                 \
			if (op->aux & FPU_GPR64)                   \
				__asm__ volatile(#name "q %1, %0"  \
						 : "+x"(v)         \
						 : "r"(n));        \
			else                                       \
				__asm__ volatile(#name "l %k1, %0" \
						 : "+x"(v)         \
						 : "r"(n));        \
			pass = round_end(cpu, op, pass);           \
		} while (unlikely(pass != 0));                     \
		xmm_put(cpu, op->dst, v);                          \
		NEXT;                                              \
	}

DEFINE_TO_INTEGER(cvtss2si, source32)
DEFINE_TO_INTEGER(cvttss2si, source32)
DEFINE_TO_INTEGER(cvtsd2si, source64)
DEFINE_TO_INTEGER(cvttsd2si, source64)
DEFINE_FROM_INTEGER(cvtsi2ss)
DEFINE_FROM_INTEGER(cvtsi2sd)

/* ---- MMX registers: claimed even if the arithmetic raises an exception ---- */

static inline __m128i
lower_half(__m128i v)
{
	return _mm_move_epi64(v);
}

/* Floating point to two integers in an MMX register. */
#define DEFINE_TO_MMX(name, twin, source)                                     \
	HANDLER(float_##name)                                                 \
	{                                                                     \
		__m128i b, v;                                                 \
		uint32_t pass = 0;                                            \
                                                                              \
		sse_ready(cpu, op);                                           \
		mmx_ready(cpu, op);                                           \
		b = source;                                                   \
		mmx_claim(cpu);                                               \
		do {                                                          \
			round_begin(cpu, pass);                               \
			__asm__ volatile(#twin " %1, %0" : "=x"(v) : "x"(b)); \
			pass = round_end(cpu, op, pass);                      \
		} while (unlikely(pass != 0));                                \
		mmx_put(cpu, op->dst, v);                                     \
		NEXT;                                                         \
	}

DEFINE_TO_MMX(cvtps2pi, cvtps2dq, lower_half(source64(cpu, op)))
DEFINE_TO_MMX(cvttps2pi, cvttps2dq, lower_half(source64(cpu, op)))
DEFINE_TO_MMX(cvtpd2pi, cvtpd2dq, source128(cpu, op))
DEFINE_TO_MMX(cvttpd2pi, cvttpd2dq, source128(cpu, op))

/* Two integers from memory: that has nothing to do with the x87. */
HANDLER(cvtpi2ps_memory)
{
	uint32_t pass = 0;
	__m128i b, v;

	sse_ready(cpu, op);
	b = source64(cpu, op);
	do {
		round_begin(cpu, pass);
		__asm__ volatile("cvtdq2ps %1, %0" : "=x"(v) : "x"(b));
		pass = round_end(cpu, op, pass);
	} while (unlikely(pass != 0));
	fx_put64(cpu, FX_XMM + 16 * op->dst, (uint64_t)_mm_cvtsi128_si64(v));
	NEXT;
}

HANDLER(cvtpi2ps_mmx)
{
	uint32_t pass = 0;
	__m128i b, v;

	sse_ready(cpu, op);
	mmx_ready(cpu, op);
	mmx_claim(cpu);
	b = mmx_get(cpu, op->src);
	do {
		round_begin(cpu, pass);
		__asm__ volatile("cvtdq2ps %1, %0" : "=x"(v) : "x"(b));
		pass = round_end(cpu, op, pass);
	} while (unlikely(pass != 0));
	fx_put64(cpu, FX_XMM + 16 * op->dst, (uint64_t)_mm_cvtsi128_si64(v));
	NEXT;
}

/* Exact, so without exceptions. */
HANDLER(cvtpi2pd_memory)
{
	__m128i b;

	sse_ready(cpu, op);
	b = source64(cpu, op);
	xmm_put(cpu, op->dst, _mm_castpd_si128(_mm_cvtepi32_pd(b)));
	NEXT;
}

HANDLER(cvtpi2pd_mmx)
{
	sse_ready(cpu, op);
	mmx_ready(cpu, op);
	mmx_claim(cpu);
	xmm_put(cpu, op->dst,
	    _mm_castpd_si128(_mm_cvtepi32_pd(mmx_get(cpu, op->src))));
	NEXT;
}

#define ROW(mnemonic, ...)                             \
	{                                              \
		ZYDIS_MNEMONIC_##mnemonic, __VA_ARGS__ \
	}

const struct sse_row sse_convert_rows[] = {
	ROW(CVTSS2SI, 0, float_cvtss2si, NULL),
	ROW(CVTTSS2SI, 0, float_cvttss2si, NULL),
	ROW(CVTSD2SI, 0, float_cvtsd2si, NULL),
	ROW(CVTTSD2SI, 0, float_cvttsd2si, NULL),
	ROW(CVTSI2SS, 0, float_cvtsi2ss, NULL),
	ROW(CVTSI2SD, 0, float_cvtsi2sd, NULL),
	ROW(CVTPS2PI, 0, NULL, float_cvtps2pi),
	ROW(CVTTPS2PI, 0, NULL, float_cvttps2pi),
	ROW(CVTPD2PI, 0, NULL, float_cvtpd2pi),
	ROW(CVTTPD2PI, 0, NULL, float_cvttpd2pi),
	ROW(CVTPI2PS, 0, cvtpi2ps_memory, cvtpi2ps_mmx),
	ROW(CVTPI2PD, 0, cvtpi2pd_memory, cvtpi2pd_mmx),
	{ 0 },
};
