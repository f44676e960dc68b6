/*
 * MMX and SSE on integers and bits: a op= b, lane by lane.
 *
 * An instruction on MMX registers is executed by its twin on XMM registers, so
 * that the host's x87 is left alone; most do the same to the lower half as the
 * MMX one does.  The exceptions have macros of their own.
 */
#include "vmm/emulate/sse.h"

/* ---- shapes ---- */

/* xmm op= xmm/m128 */
#define DEFINE_XMM(name)                                     \
	HANDLER(xmm_##name)                                  \
	{                                                    \
		__m128i a, b;                                \
                                                             \
		sse_ready(cpu, op);                          \
		b = source128(cpu, op);                      \
		a = xmm_get(cpu, op->dst);                   \
		__asm__(#name " %1, %0" : "+x"(a) : "x"(b)); \
		xmm_put(cpu, op->dst, a);                    \
		NEXT;                                        \
	}

/* mm/m64, or its lower half: what an MMX instruction reads second */
static inline __m128i
mmx_source(struct emu_cpu *cpu, const struct op *op)
{
	if (!(op->aux & FPU_SRC_MEM))
		return mmx_get(cpu, op->src);
	return _mm_cvtsi64_si128((int64_t)load64(cpu, op, effective(cpu, op)));
}

static inline __m128i
mmx_source32(struct emu_cpu *cpu, const struct op *op)
{
	if (!(op->aux & FPU_SRC_MEM))
		return mmx_get(cpu, op->src);
	return _mm_cvtsi32_si128((int)load32(cpu, op, effective(cpu, op)));
}

#define DEFINE_MMX_AS(name, source, operate, take) \
	HANDLER(mmx_##name)                        \
	{                                          \
		__m128i a, b;                      \
                                                   \
		mmx_ready(cpu, op);                \
		b = source(cpu, op);               \
		mmx_claim(cpu);                    \
		a = mmx_get(cpu, op->dst);         \
		operate;                           \
		mmx_put(cpu, op->dst, take);       \
		NEXT;                              \
	}

/* mm op= mm/m64 */
#define DEFINE_MMX(name)                \
	DEFINE_MMX_AS(name, mmx_source, \
	    __asm__(#name " %1, %0"     \
		    : "+x"(a)           \
		    : "x"(b)),          \
	    a)

/* The result has a's part in its lower half and b's in its upper one. */
#define DEFINE_MMX_JOINED(name)                                       \
	DEFINE_MMX_AS(name, mmx_source, a = _mm_unpacklo_epi64(a, b); \
		      __asm__(#name " %0, %0"                         \
			      : "+x"(a)),                             \
		      a)

/* Interleaves lower halves (of memory, only that is read), or upper ones. */
#define DEFINE_MMX_LOW(name)              \
	DEFINE_MMX_AS(name, mmx_source32, \
	    __asm__(#name " %1, %0"       \
		    : "+x"(a)             \
		    : "x"(b)),            \
	    a)
#define DEFINE_MMX_HIGH(name, low)      \
	DEFINE_MMX_AS(name, mmx_source, \
	    __asm__(#low " %1, %0"      \
		    : "+x"(a)           \
		    : "x"(b)),          \
	    _mm_unpackhi_epi64(a, a))

/* xmm op= low bits of xmm, or as many of memory */
#define DEFINE_XMM_PART(name, source)                        \
	HANDLER(xmm_##name)                                  \
	{                                                    \
		__m128i a, b;                                \
                                                             \
		sse_ready(cpu, op);                          \
		b = source(cpu, op);                         \
		a = xmm_get(cpu, op->dst);                   \
		__asm__(#name " %1, %0" : "+x"(a) : "x"(b)); \
		xmm_put(cpu, op->dst, a);                    \
		NEXT;                                        \
	}

/* Shifts: by an XMM register, memory or an immediate. */
#define DEFINE_SHIFT(name)                                                  \
	HANDLER(xmm_##name)                                                 \
	{                                                                   \
		__m128i a, b;                                               \
                                                                            \
		sse_ready(cpu, op);                                         \
		b = op->aux & FPU_IMM ? _mm_cvtsi32_si128((uint8_t)op->imm) \
				      : source128(cpu, op);                 \
		a = xmm_get(cpu, op->dst);                                  \
		__asm__(#name " %1, %0" : "+x"(a) : "x"(b));                \
		xmm_put(cpu, op->dst, a);                                   \
		NEXT;                                                       \
	}                                                                   \
	DEFINE_MMX_AS(                                                      \
	    name, mmx_source,                                               \
	    if (op->aux & FPU_IMM) b = _mm_cvtsi32_si128((uint8_t)op->imm); \
	    __asm__(#name " %1, %0"                                         \
		    : "+x"(a)                                               \
		    : "x"(b)),                                              \
	    a)

/* xmm = OP(xmm, xmm/m128, immediate) */
#define DEFINE_IMMEDIATE(name)                                            \
	HANDLER(xmm_##name)                                               \
	{                                                                 \
		__m128i b;                                                \
                                                                          \
		sse_ready(cpu, op);                                       \
		b = source128(cpu, op);                                   \
		xmm_put(cpu, op->dst,                                     \
		    host_with_immediate(                                  \
			host_##name, op->imm, xmm_get(cpu, op->dst), b)); \
		NEXT;                                                     \
	}

/* ---- the instructions ---- */

/* on MMX and XMM registers alike */
#define FOR_BOTH(X)                          \
	X(PADDB, paddb, 0)                   \
	X(PADDW, paddw, 0)                   \
	X(PADDD, paddd, 0)                   \
	X(PADDQ, paddq, 0)                   \
	X(PADDSB, paddsb, 0)                 \
	X(PADDSW, paddsw, 0)                 \
	X(PADDUSB, paddusb, 0)               \
	X(PADDUSW, paddusw, 0)               \
	X(PSUBB, psubb, 0)                   \
	X(PSUBW, psubw, 0)                   \
	X(PSUBD, psubd, 0)                   \
	X(PSUBQ, psubq, 0)                   \
	X(PSUBSB, psubsb, 0)                 \
	X(PSUBSW, psubsw, 0)                 \
	X(PSUBUSB, psubusb, 0)               \
	X(PSUBUSW, psubusw, 0)               \
	X(PMULLW, pmullw, 0)                 \
	X(PMULHW, pmulhw, 0)                 \
	X(PMULHUW, pmulhuw, 0)               \
	X(PMULUDQ, pmuludq, 0)               \
	X(PMADDWD, pmaddwd, 0)               \
	X(PAND, pand, 0)                     \
	X(PANDN, pandn, 0)                   \
	X(POR, por, 0)                       \
	X(PXOR, pxor, 0)                     \
	X(PCMPEQB, pcmpeqb, 0)               \
	X(PCMPEQW, pcmpeqw, 0)               \
	X(PCMPEQD, pcmpeqd, 0)               \
	X(PCMPGTB, pcmpgtb, 0)               \
	X(PCMPGTW, pcmpgtw, 0)               \
	X(PCMPGTD, pcmpgtd, 0)               \
	X(PAVGB, pavgb, 0)                   \
	X(PAVGW, pavgw, 0)                   \
	X(PMINUB, pminub, 0)                 \
	X(PMINSW, pminsw, 0)                 \
	X(PMAXUB, pmaxub, 0)                 \
	X(PMAXSW, pmaxsw, 0)                 \
	X(PSADBW, psadbw, 0)                 \
	X(PABSB, pabsb, NEEDS_SSSE3)         \
	X(PABSW, pabsw, NEEDS_SSSE3)         \
	X(PABSD, pabsd, NEEDS_SSSE3)         \
	X(PSIGNB, psignb, NEEDS_SSSE3)       \
	X(PSIGNW, psignw, NEEDS_SSSE3)       \
	X(PSIGND, psignd, NEEDS_SSSE3)       \
	X(PMADDUBSW, pmaddubsw, NEEDS_SSSE3) \
	X(PMULHRSW, pmulhrsw, NEEDS_SSSE3)

#define FOR_JOINED(X)                    \
	X(PACKSSWB, packsswb, 0)         \
	X(PACKSSDW, packssdw, 0)         \
	X(PACKUSWB, packuswb, 0)         \
	X(PHADDW, phaddw, NEEDS_SSSE3)   \
	X(PHADDD, phaddd, NEEDS_SSSE3)   \
	X(PHADDSW, phaddsw, NEEDS_SSSE3) \
	X(PHSUBW, phsubw, NEEDS_SSSE3)   \
	X(PHSUBD, phsubd, NEEDS_SSSE3)   \
	X(PHSUBSW, phsubsw, NEEDS_SSSE3)

#define FOR_LOW(X)                 \
	X(PUNPCKLBW, punpcklbw, 0) \
	X(PUNPCKLWD, punpcklwd, 0) \
	X(PUNPCKLDQ, punpckldq, 0)

#define FOR_SHIFTS(X)      \
	X(PSLLW, psllw, 0) \
	X(PSLLD, pslld, 0) \
	X(PSLLQ, psllq, 0) \
	X(PSRLW, psrlw, 0) \
	X(PSRLD, psrld, 0) \
	X(PSRLQ, psrlq, 0) \
	X(PSRAW, psraw, 0) \
	X(PSRAD, psrad, 0)

/* on XMM registers only; the logic and shuffles of floating point raise no
 * exceptions and know nothing of MXCSR */
#define FOR_XMM(X)                             \
	X(PUNPCKLQDQ, punpcklqdq, 0)           \
	X(PUNPCKHQDQ, punpckhqdq, 0)           \
	X(ANDPS, andps, 0)                     \
	X(ANDPD, andpd, 0)                     \
	X(ANDNPS, andnps, 0)                   \
	X(ANDNPD, andnpd, 0)                   \
	X(ORPS, orps, 0)                       \
	X(ORPD, orpd, 0)                       \
	X(XORPS, xorps, 0)                     \
	X(XORPD, xorpd, 0)                     \
	X(UNPCKLPS, unpcklps, 0)               \
	X(UNPCKLPD, unpcklpd, 0)               \
	X(UNPCKHPS, unpckhps, 0)               \
	X(UNPCKHPD, unpckhpd, 0)               \
	X(MOVSHDUP, movshdup, NEEDS_SSE3)      \
	X(MOVSLDUP, movsldup, NEEDS_SSE3)      \
	X(PACKUSDW, packusdw, NEEDS_SSE41)     \
	X(PCMPEQQ, pcmpeqq, NEEDS_SSE41)       \
	X(PMULLD, pmulld, NEEDS_SSE41)         \
	X(PMULDQ, pmuldq, NEEDS_SSE41)         \
	X(PMINSB, pminsb, NEEDS_SSE41)         \
	X(PMINSD, pminsd, NEEDS_SSE41)         \
	X(PMINUW, pminuw, NEEDS_SSE41)         \
	X(PMINUD, pminud, NEEDS_SSE41)         \
	X(PMAXSB, pmaxsb, NEEDS_SSE41)         \
	X(PMAXSD, pmaxsd, NEEDS_SSE41)         \
	X(PMAXUW, pmaxuw, NEEDS_SSE41)         \
	X(PMAXUD, pmaxud, NEEDS_SSE41)         \
	X(PHMINPOSUW, phminposuw, NEEDS_SSE41) \
	X(PCMPGTQ, pcmpgtq, NEEDS_SSE42)       \
	X(AESENC, aesenc, NEEDS_AES)           \
	X(AESENCLAST, aesenclast, NEEDS_AES)   \
	X(AESDEC, aesdec, NEEDS_AES)           \
	X(AESDECLAST, aesdeclast, NEEDS_AES)   \
	X(AESIMC, aesimc, NEEDS_AES)

#define FOR_PARTS(X)                                 \
	X(MOVDDUP, movddup, NEEDS_SSE3, source64)    \
	X(PMOVSXBW, pmovsxbw, NEEDS_SSE41, source64) \
	X(PMOVSXBD, pmovsxbd, NEEDS_SSE41, source32) \
	X(PMOVSXBQ, pmovsxbq, NEEDS_SSE41, source16) \
	X(PMOVSXWD, pmovsxwd, NEEDS_SSE41, source64) \
	X(PMOVSXWQ, pmovsxwq, NEEDS_SSE41, source32) \
	X(PMOVSXDQ, pmovsxdq, NEEDS_SSE41, source64) \
	X(PMOVZXBW, pmovzxbw, NEEDS_SSE41, source64) \
	X(PMOVZXBD, pmovzxbd, NEEDS_SSE41, source32) \
	X(PMOVZXBQ, pmovzxbq, NEEDS_SSE41, source16) \
	X(PMOVZXWD, pmovzxwd, NEEDS_SSE41, source64) \
	X(PMOVZXWQ, pmovzxwq, NEEDS_SSE41, source32) \
	X(PMOVZXDQ, pmovzxdq, NEEDS_SSE41, source64)

#define FOR_IMMEDIATES(X)                     \
	X(PSHUFD, pshufd, 0)                  \
	X(PSHUFHW, pshufhw, 0)                \
	X(PSHUFLW, pshuflw, 0)                \
	X(SHUFPS, shufps, 0)                  \
	X(SHUFPD, shufpd, 0)                  \
	X(BLENDPS, blendps, NEEDS_SSE41)      \
	X(BLENDPD, blendpd, NEEDS_SSE41)      \
	X(PBLENDW, pblendw, NEEDS_SSE41)      \
	X(MPSADBW, mpsadbw, NEEDS_SSE41)      \
	X(PCLMULQDQ, pclmulqdq, NEEDS_PCLMUL) \
	X(AESKEYGENASSIST, aeskeygenassist, NEEDS_AES)

#define FOR_BLENDS(X)                      \
	X(PBLENDVB, pblendvb, NEEDS_SSE41) \
	X(BLENDVPS, blendvps, NEEDS_SSE41) \
	X(BLENDVPD, blendvpd, NEEDS_SSE41)

#define XMM(mnemonic, name, needs)       DEFINE_XMM(name)
#define MMX(mnemonic, name, needs)       DEFINE_MMX(name)
#define JOINED(mnemonic, name, needs)    DEFINE_MMX_JOINED(name)
#define LOW(mnemonic, name, needs)       DEFINE_MMX_LOW(name)
#define SHIFT(mnemonic, name, needs)     DEFINE_SHIFT(name)
#define PART(mnemonic, name, needs, of)  DEFINE_XMM_PART(name, of)
#define IMMEDIATE(mnemonic, name, needs) DEFINE_IMMEDIATE(name)

/* clang-format off */
FOR_BOTH(XMM)
FOR_BOTH(MMX)
FOR_JOINED(XMM)
FOR_JOINED(JOINED)
FOR_LOW(XMM)
FOR_LOW(LOW)
FOR_SHIFTS(SHIFT)
FOR_XMM(XMM)
FOR_PARTS(PART)
FOR_IMMEDIATES(IMMEDIATE)

DEFINE_XMM(punpckhbw)
DEFINE_XMM(punpckhwd)
DEFINE_XMM(punpckhdq)
DEFINE_MMX_HIGH(punpckhbw, punpcklbw)
DEFINE_MMX_HIGH(punpckhwd, punpcklwd)
DEFINE_MMX_HIGH(punpckhdq, punpckldq)
/* clang-format on */

/* The mask is XMM0. */
#define BLEND(mnemonic, name, needs)                      \
	HANDLER(xmm_##name)                               \
	{                                                 \
		__m128i a, b;                             \
                                                          \
		sse_ready(cpu, op);                       \
		b = source128(cpu, op);                   \
		a = xmm_get(cpu, op->dst);                \
		__asm__(#name " %%xmm0, %1, %0"           \
			: "+x"(a)                         \
			: "x"(b), "Yz"(xmm_get(cpu, 0))); \
		xmm_put(cpu, op->dst, a);                 \
		NEXT;                                     \
	}
FOR_BLENDS(BLEND)

/* ---- those of no common shape ---- */

DEFINE_XMM(pshufb)
/* An MMX index has three bits. */
DEFINE_MMX_AS(
    pshufb, mmx_source, b = _mm_and_si128(b, _mm_set1_epi8((char)0x87));
    __asm__("pshufb %1, %0"
	    : "+x"(a)
	    : "x"(b)),
    a)

DEFINE_MMX_AS(
    pshufw, mmx_source, a = host_with_immediate(host_pshuflw, op->imm, a, b), a)

DEFINE_IMMEDIATE(palignr)
/* Shifted right as one of 16 bytes. */
DEFINE_MMX_AS(palignr, mmx_source,
    a = host_with_immediate(host_psrldq, op->imm, _mm_unpacklo_epi64(b, a), a),
    a)

#define DEFINE_BYTE_SHIFT(name)                                       \
	HANDLER(xmm_##name)                                           \
	{                                                             \
		__m128i a;                                            \
                                                                      \
		sse_ready(cpu, op);                                   \
		a = xmm_get(cpu, op->dst);                            \
		xmm_put(cpu, op->dst,                                 \
		    host_with_immediate(host_##name, op->imm, a, a)); \
		NEXT;                                                 \
	}
DEFINE_BYTE_SHIFT(pslldq)
DEFINE_BYTE_SHIFT(psrldq)

/* Of memory only the lane is there, and it counts as lane 0. */
HANDLER(xmm_insertps)
{
	int64_t imm = op->imm;
	__m128i b;

	sse_ready(cpu, op);
	b = source32(cpu, op);
	if (op->aux & FPU_SRC_MEM)
		imm &= 0x3f;
	xmm_put(cpu, op->dst,
	    host_with_immediate(host_insertps, imm, xmm_get(cpu, op->dst), b));
	NEXT;
}

HANDLER(xmm_ptest)
{
	__m128i a, b;
	bool zero, carry;

	sse_ready(cpu, op);
	b = source128(cpu, op);
	a = xmm_get(cpu, op->dst);
	__asm__("ptest %3, %2"
		: "=@ccz"(zero), "=@ccc"(carry)
		: "x"(a), "x"(b));
	flags_put(
	    cpu, FLAGS_ARITH, (zero ? FLAG_ZF : 0) | (carry ? FLAG_CF : 0));
	NEXT;
}

#define ROW_BOTH(mnemonic, name, needs) \
	{ ZYDIS_MNEMONIC_##mnemonic, needs, xmm_##name, mmx_##name },
#define ROW_XMM(mnemonic, name, needs) \
	{ ZYDIS_MNEMONIC_##mnemonic, needs, xmm_##name, NULL },
#define ROW_PART(mnemonic, name, needs, of) ROW_XMM(mnemonic, name, needs)

/* clang-format off */
const struct sse_row sse_int_rows[] = {
	FOR_BOTH(ROW_BOTH)
	FOR_JOINED(ROW_BOTH)
	FOR_LOW(ROW_BOTH)
	FOR_SHIFTS(ROW_BOTH)
	FOR_XMM(ROW_XMM)
	FOR_PARTS(ROW_PART)
	FOR_IMMEDIATES(ROW_XMM)
	FOR_BLENDS(ROW_XMM)
	ROW_BOTH(PUNPCKHBW, punpckhbw, 0)
	ROW_BOTH(PUNPCKHWD, punpckhwd, 0)
	ROW_BOTH(PUNPCKHDQ, punpckhdq, 0)
	ROW_BOTH(PSHUFB, pshufb, NEEDS_SSSE3)
	ROW_BOTH(PALIGNR, palignr, NEEDS_SSSE3)
	{ ZYDIS_MNEMONIC_PSHUFW, 0, NULL, mmx_pshufw },
	ROW_XMM(PSLLDQ, pslldq, 0)
	ROW_XMM(PSRLDQ, psrldq, 0)
	ROW_XMM(INSERTPS, insertps, NEEDS_SSE41)
	ROW_XMM(PTEST, ptest, NEEDS_SSE41)
	{ 0 },
};
/* clang-format on */
