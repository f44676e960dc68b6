/*
 * SSE arithmetic and comparisons of floating-point numbers, under MXCSR.
 */
#include "vmm/emulate/sse.h"

/* a op= b; of b, as much memory as source reads */
#define DEFINE_FLOAT(name, source)                                            \
	HANDLER(float_##name)                                                 \
	{                                                                     \
		__m128i a, b, v;                                              \
		uint32_t pass = 0;                                            \
                                                                              \
		sse_ready(cpu, op);                                           \
		b = source(cpu, op);                                          \
		a = xmm_get(cpu, op->dst);                                    \
		do {                                                          \
			round_begin(cpu, pass);                               \
			v = a;                                                \
			__asm__ volatile(#name " %1, %0" : "+x"(v) : "x"(b)); \
			pass = round_end(cpu, op, pass);                      \
		} while (unlikely(pass != 0));                                \
		xmm_put(cpu, op->dst, v);                                     \
		NEXT;                                                         \
	}

#define DEFINE_FLOAT_IMMEDIATE(name, source)                                 \
	HANDLER(float_##name)                                                \
	{                                                                    \
		__m128i a, b, v;                                             \
		uint32_t pass = 0;                                           \
                                                                             \
		sse_ready(cpu, op);                                          \
		b = source(cpu, op);                                         \
		a = xmm_get(cpu, op->dst);                                   \
		do {                                                         \
			round_begin(cpu, pass);                              \
			v = host_with_immediate(host_##name, op->imm, a, b); \
			pass = round_end(cpu, op, pass);                     \
		} while (unlikely(pass != 0));                               \
		xmm_put(cpu, op->dst, v);                                    \
		NEXT;                                                        \
	}

/* Into the flags; not a number is less, equal and unordered. */
#define DEFINE_COMPARE(name, source)                                         \
	HANDLER(float_##name)                                                \
	{                                                                    \
		bool zero, parity, carry;                                    \
		__m128i a, b;                                                \
		uint32_t pass = 0;                                           \
                                                                             \
		sse_ready(cpu, op);                                          \
		b = source(cpu, op);                                         \
		a = xmm_get(cpu, op->dst);                                   \
		do {                                                         \
			round_begin(cpu, pass);                              \
			__asm__ volatile(                                    \
			    #name " %4, %3"                                  \
			    : "=@ccz"(zero), "=@ccp"(parity), "=@ccc"(carry) \
			    : "x"(a), "x"(b));                               \
			pass = round_end(cpu, op, pass);                     \
		} while (unlikely(pass != 0));                               \
		flags_put(cpu, FLAGS_ARITH,                                  \
		    (zero ? FLAG_ZF : 0) | (parity ? FLAG_PF : 0) |          \
			(carry ? FLAG_CF : 0));                              \
		NEXT;                                                        \
	}

#define FOR_FLOAT(X)                                 \
	X(ADDPS, addps, 0, source128)                \
	X(ADDPD, addpd, 0, source128)                \
	X(ADDSS, addss, 0, source32)                 \
	X(ADDSD, addsd, 0, source64)                 \
	X(SUBPS, subps, 0, source128)                \
	X(SUBPD, subpd, 0, source128)                \
	X(SUBSS, subss, 0, source32)                 \
	X(SUBSD, subsd, 0, source64)                 \
	X(MULPS, mulps, 0, source128)                \
	X(MULPD, mulpd, 0, source128)                \
	X(MULSS, mulss, 0, source32)                 \
	X(MULSD, mulsd, 0, source64)                 \
	X(DIVPS, divps, 0, source128)                \
	X(DIVPD, divpd, 0, source128)                \
	X(DIVSS, divss, 0, source32)                 \
	X(DIVSD, divsd, 0, source64)                 \
	X(MINPS, minps, 0, source128)                \
	X(MINPD, minpd, 0, source128)                \
	X(MINSS, minss, 0, source32)                 \
	X(MINSD, minsd, 0, source64)                 \
	X(MAXPS, maxps, 0, source128)                \
	X(MAXPD, maxpd, 0, source128)                \
	X(MAXSS, maxss, 0, source32)                 \
	X(MAXSD, maxsd, 0, source64)                 \
	X(SQRTPS, sqrtps, 0, source128)              \
	X(SQRTPD, sqrtpd, 0, source128)              \
	X(SQRTSS, sqrtss, 0, source32)               \
	X(SQRTSD, sqrtsd, 0, source64)               \
	X(RCPPS, rcpps, 0, source128)                \
	X(RCPSS, rcpss, 0, source32)                 \
	X(RSQRTPS, rsqrtps, 0, source128)            \
	X(RSQRTSS, rsqrtss, 0, source32)             \
	X(ADDSUBPS, addsubps, NEEDS_SSE3, source128) \
	X(ADDSUBPD, addsubpd, NEEDS_SSE3, source128) \
	X(HADDPS, haddps, NEEDS_SSE3, source128)     \
	X(HADDPD, haddpd, NEEDS_SSE3, source128)     \
	X(HSUBPS, hsubps, NEEDS_SSE3, source128)     \
	X(HSUBPD, hsubpd, NEEDS_SSE3, source128)     \
	X(CVTPS2PD, cvtps2pd, 0, source64)           \
	X(CVTPD2PS, cvtpd2ps, 0, source128)          \
	X(CVTSS2SD, cvtss2sd, 0, source32)           \
	X(CVTSD2SS, cvtsd2ss, 0, source64)           \
	X(CVTDQ2PS, cvtdq2ps, 0, source128)          \
	X(CVTDQ2PD, cvtdq2pd, 0, source64)           \
	X(CVTPS2DQ, cvtps2dq, 0, source128)          \
	X(CVTTPS2DQ, cvttps2dq, 0, source128)        \
	X(CVTPD2DQ, cvtpd2dq, 0, source128)          \
	X(CVTTPD2DQ, cvttpd2dq, 0, source128)

#define FOR_IMMEDIATES(X)                           \
	X(CMPPS, cmpps, 0, source128)               \
	X(CMPPD, cmppd, 0, source128)               \
	X(CMPSS, cmpss, 0, source32)                \
	X(CMPSD, cmpsd, 0, source64)                \
	X(ROUNDPS, roundps, NEEDS_SSE41, source128) \
	X(ROUNDPD, roundpd, NEEDS_SSE41, source128) \
	X(ROUNDSS, roundss, NEEDS_SSE41, source32)  \
	X(ROUNDSD, roundsd, NEEDS_SSE41, source64)  \
	X(DPPS, dpps, NEEDS_SSE41, source128)       \
	X(DPPD, dppd, NEEDS_SSE41, source128)

#define FOR_COMPARES(X)                  \
	X(COMISS, comiss, 0, source32)   \
	X(COMISD, comisd, 0, source64)   \
	X(UCOMISS, ucomiss, 0, source32) \
	X(UCOMISD, ucomisd, 0, source64)

#define FLOAT(mnemonic, name, needs, source) DEFINE_FLOAT(name, source)
#define IMMEDIATE(mnemonic, name, needs, source) \
	DEFINE_FLOAT_IMMEDIATE(name, source)
#define COMPARE(mnemonic, name, needs, source) DEFINE_COMPARE(name, source)
#define ROW(mnemonic, name, needs, source) \
	{ ZYDIS_MNEMONIC_##mnemonic, needs, float_##name, NULL },

/* clang-format off */
FOR_FLOAT(FLOAT)
FOR_IMMEDIATES(IMMEDIATE)
FOR_COMPARES(COMPARE)

const struct sse_row sse_float_rows[] = {
	FOR_FLOAT(ROW)
	FOR_IMMEDIATES(ROW)
	FOR_COMPARES(ROW)
	{ 0 },
};
/* clang-format on */
