/*
 * MMX and SSE: moves between registers, memory and general registers; MXCSR.
 *
 * What is stored is computed, and what is loaded has arrived, before a register
 * or the x87's state changes: a page fault leaves all as it was.
 */
#include "vmm/emulate/sse.h"

static inline uint64_t
low64(__m128i v)
{
	return (uint64_t)_mm_cvtsi128_si64(v);
}

static inline __m128i
from64(uint64_t v)
{
	return _mm_cvtsi64_si128((int64_t)v);
}

static inline __m128i
from32(uint32_t v)
{
	return _mm_cvtsi32_si128((int)v);
}

static inline uint64_t
high64(__m128i v)
{
	return low64(_mm_unpackhi_epi64(v, v));
}

/* ---- all 128 bits ---- */

HANDLER(move_aligned)
{
	uint64_t addr;

	sse_ready(cpu, op);
	if (!(op->aux & FPU_DST_MEM)) {
		xmm_put(cpu, op->dst, source128(cpu, op));
		NEXT;
	}
	addr = effective(cpu, op);
	need_aligned(cpu, op, addr);
	store128(cpu, op, addr, xmm_get(cpu, op->src));
	NEXT_STORED;
}

HANDLER(move_unaligned)
{
	sse_ready(cpu, op);
	if (op->aux & FPU_DST_MEM) {
		store128(cpu, op, effective(cpu, op), xmm_get(cpu, op->src));
		NEXT_STORED;
	}
	xmm_put(cpu, op->dst,
	    op->aux & FPU_SRC_MEM ? load128(cpu, op, effective(cpu, op))
				  : xmm_get(cpu, op->src));
	NEXT;
}

/* ---- parts ---- */

/* From a register, the rest of the destination stays; from memory, it becomes
 * zero. */
HANDLER(move_ss)
{
	__m128i v;

	sse_ready(cpu, op);
	if (op->aux & FPU_DST_MEM) {
		store32(cpu, op, effective(cpu, op),
		    (uint32_t)low64(xmm_get(cpu, op->src)));
		NEXT_STORED;
	}
	v = source32(cpu, op);
	if (!(op->aux & FPU_SRC_MEM))
		v = _mm_castps_si128(
		    _mm_move_ss(_mm_castsi128_ps(xmm_get(cpu, op->dst)),
			_mm_castsi128_ps(v)));
	xmm_put(cpu, op->dst, v);
	NEXT;
}

HANDLER(move_sd)
{
	__m128i v;

	sse_ready(cpu, op);
	if (op->aux & FPU_DST_MEM) {
		store64(
		    cpu, op, effective(cpu, op), low64(xmm_get(cpu, op->src)));
		NEXT_STORED;
	}
	v = source64(cpu, op);
	if (!(op->aux & FPU_SRC_MEM))
		v = _mm_castpd_si128(
		    _mm_move_sd(_mm_castsi128_pd(xmm_get(cpu, op->dst)),
			_mm_castsi128_pd(v)));
	xmm_put(cpu, op->dst, v);
	NEXT;
}

HANDLER(move_low)
{
	uint64_t v;

	sse_ready(cpu, op);
	if (op->aux & FPU_DST_MEM) {
		store64(
		    cpu, op, effective(cpu, op), low64(xmm_get(cpu, op->src)));
		NEXT_STORED;
	}
	v = load64(cpu, op, effective(cpu, op));
	fx_put64(cpu, FX_XMM + 16 * op->dst, v);
	NEXT;
}

HANDLER(move_high)
{
	uint64_t v;

	sse_ready(cpu, op);
	if (op->aux & FPU_DST_MEM) {
		store64(
		    cpu, op, effective(cpu, op), high64(xmm_get(cpu, op->src)));
		NEXT_STORED;
	}
	v = load64(cpu, op, effective(cpu, op));
	fx_put64(cpu, FX_XMM + 16 * op->dst + 8, v);
	NEXT;
}

HANDLER(move_high_to_low)
{
	sse_ready(cpu, op);
	fx_put64(cpu, FX_XMM + 16 * op->dst, high64(xmm_get(cpu, op->src)));
	NEXT;
}

HANDLER(move_low_to_high)
{
	sse_ready(cpu, op);
	fx_put64(cpu, FX_XMM + 16 * op->dst + 8, low64(xmm_get(cpu, op->src)));
	NEXT;
}

/* ---- MOVD, MOVQ ---- */

HANDLER(xmm_movd)
{
	uint32_t v = (uint32_t)low64(xmm_get(cpu, op->src));

	sse_ready(cpu, op);
	if (op->aux & FPU_DST_MEM) {
		store32(cpu, op, effective(cpu, op), v);
		NEXT_STORED;
	}
	if (op->aux & FPU_DST_GPR)
		cpu->gpr[op->dst] = v;
	else
		xmm_put(cpu, op->dst,
		    op->aux & FPU_SRC_GPR ? from32((uint32_t)cpu->gpr[op->src])
					  : source32(cpu, op));
	NEXT;
}

HANDLER(xmm_movq)
{
	uint64_t v = low64(xmm_get(cpu, op->src));

	sse_ready(cpu, op);
	if (op->aux & FPU_DST_MEM) {
		store64(cpu, op, effective(cpu, op), v);
		NEXT_STORED;
	}
	if (op->aux & FPU_DST_GPR) {
		cpu->gpr[op->dst] = v;
		NEXT;
	}
	if (op->aux & FPU_SRC_GPR)
		v = cpu->gpr[op->src];
	else if (op->aux & FPU_SRC_MEM)
		v = load64(cpu, op, effective(cpu, op));
	xmm_put(cpu, op->dst, from64(v));
	NEXT;
}

HANDLER(mmx_movd)
{
	uint32_t v = (uint32_t)low64(mmx_get(cpu, op->src));

	mmx_ready(cpu, op);
	if (op->aux & FPU_DST_MEM) {
		store32(cpu, op, effective(cpu, op), v);
		mmx_claim(cpu);
		NEXT_STORED;
	}
	if (op->aux & FPU_SRC_MEM)
		v = load32(cpu, op, effective(cpu, op));
	else if (op->aux & FPU_SRC_GPR)
		v = (uint32_t)cpu->gpr[op->src];
	mmx_claim(cpu);
	if (op->aux & FPU_DST_GPR)
		cpu->gpr[op->dst] = v;
	else
		mmx_put(cpu, op->dst, from32(v));
	NEXT;
}

/* MOVNTQ too */
HANDLER(mmx_movq)
{
	uint64_t v = low64(mmx_get(cpu, op->src));

	mmx_ready(cpu, op);
	if (op->aux & FPU_DST_MEM) {
		store64(cpu, op, effective(cpu, op), v);
		mmx_claim(cpu);
		NEXT_STORED;
	}
	if (op->aux & FPU_SRC_MEM)
		v = load64(cpu, op, effective(cpu, op));
	else if (op->aux & FPU_SRC_GPR)
		v = cpu->gpr[op->src];
	mmx_claim(cpu);
	if (op->aux & FPU_DST_GPR)
		cpu->gpr[op->dst] = v;
	else
		mmx_put(cpu, op->dst, from64(v));
	NEXT;
}

HANDLER(move_mmx_to_xmm)
{
	sse_ready(cpu, op);
	mmx_ready(cpu, op);
	mmx_claim(cpu);
	xmm_put(cpu, op->dst, mmx_get(cpu, op->src));
	NEXT;
}

HANDLER(move_xmm_to_mmx)
{
	sse_ready(cpu, op);
	mmx_ready(cpu, op);
	mmx_claim(cpu);
	mmx_put(cpu, op->dst, xmm_get(cpu, op->src));
	NEXT;
}

/* ---- signs ---- */

HANDLER(signs_ps)
{
	sse_ready(cpu, op);
	cpu->gpr[op->dst] =
	    (uint32_t)_mm_movemask_ps(_mm_castsi128_ps(xmm_get(cpu, op->src)));
	NEXT;
}

HANDLER(signs_pd)
{
	sse_ready(cpu, op);
	cpu->gpr[op->dst] =
	    (uint32_t)_mm_movemask_pd(_mm_castsi128_pd(xmm_get(cpu, op->src)));
	NEXT;
}

HANDLER(xmm_signs_b)
{
	sse_ready(cpu, op);
	cpu->gpr[op->dst] = (uint32_t)_mm_movemask_epi8(xmm_get(cpu, op->src));
	NEXT;
}

HANDLER(mmx_signs_b)
{
	mmx_ready(cpu, op);
	mmx_claim(cpu);
	cpu->gpr[op->dst] = (uint32_t)_mm_movemask_epi8(mmx_get(cpu, op->src));
	NEXT;
}

/* ---- one lane to and from a general register or memory ---- */

/* The lane's place in the register file. */
static inline uint8_t *
lane(struct emu_cpu *cpu, unsigned int xmm, int64_t n, unsigned int bytes)
{
	unsigned int at = ((unsigned int)n * bytes) & 15;

	return cpu->fx + FX_XMM + 16 * xmm + at;
}

#define DEFINE_LANE(bits)                                                    \
	HANDLER(insert##bits)                                                \
	{                                                                    \
		uint##bits##_t v = (uint##bits##_t)cpu->gpr[op->src];        \
                                                                             \
		sse_ready(cpu, op);                                          \
		if (op->aux & FPU_SRC_MEM)                                   \
			v = load##bits(cpu, op, effective(cpu, op));         \
		memcpy(                                                      \
		    lane(cpu, op->dst, op->imm, (bits) / 8), &v, sizeof(v)); \
		NEXT;                                                        \
	}                                                                    \
	HANDLER(extract##bits)                                               \
	{                                                                    \
		uint##bits##_t v;                                            \
                                                                             \
		sse_ready(cpu, op);                                          \
		memcpy(                                                      \
		    &v, lane(cpu, op->src, op->imm, (bits) / 8), sizeof(v)); \
		if (op->aux & FPU_DST_MEM) {                                 \
			store##bits(cpu, op, effective(cpu, op), v);         \
			NEXT_STORED;                                         \
		}                                                            \
		cpu->gpr[op->dst] = v;                                       \
		NEXT;                                                        \
	}
DEFINE_LANE(8)
DEFINE_LANE(16)
DEFINE_LANE(32)
DEFINE_LANE(64)

HANDLER(mmx_insert16)
{
	unsigned int at = 16 * ((unsigned int)op->imm & 3);
	uint64_t v = (uint16_t)cpu->gpr[op->src], was;

	mmx_ready(cpu, op);
	if (op->aux & FPU_SRC_MEM)
		v = load16(cpu, op, effective(cpu, op));
	mmx_claim(cpu);
	was = low64(mmx_get(cpu, op->dst));
	mmx_put(
	    cpu, op->dst, from64((was & ~(UINT64_C(0xffff) << at)) | v << at));
	NEXT;
}

HANDLER(mmx_extract16)
{
	unsigned int at = 16 * ((unsigned int)op->imm & 3);

	mmx_ready(cpu, op);
	mmx_claim(cpu);
	cpu->gpr[op->dst] = (uint16_t)(low64(mmx_get(cpu, op->src)) >> at);
	NEXT;
}

/* ---- bytes under a mask ---- */

/* Bytes that are not selected are not written, but must be writable, as on most
 * processors (SDM 2 leaves that open). */
static void
store_masked(struct emu_cpu *cpu, const struct op *op, __m128i v,
    unsigned int mask, unsigned int bytes)
{
	uint64_t addr = effective(cpu, op);

	(void)emu_translate(cpu, op, addr, ACCESS_WRITE);
	(void)emu_translate(cpu, op, addr + bytes - 1, ACCESS_WRITE);
	for (unsigned int i = 0; i < bytes; i++)
		if (mask >> i & 1)
			store8(cpu, op, addr + i,
			    (uint8_t)((i < 8 ? low64(v) : high64(v)) >>
				8 * (i & 7)));
}

HANDLER(xmm_masked)
{
	sse_ready(cpu, op);
	store_masked(cpu, op, xmm_get(cpu, op->dst),
	    (unsigned int)_mm_movemask_epi8(xmm_get(cpu, op->src)), 16);
	NEXT_STORED;
}

HANDLER(mmx_masked)
{
	mmx_ready(cpu, op);
	store_masked(cpu, op, mmx_get(cpu, op->dst),
	    (unsigned int)_mm_movemask_epi8(mmx_get(cpu, op->src)), 8);
	mmx_claim(cpu);
	NEXT_STORED;
}

/* ---- control ---- */

HANDLER(load_mxcsr)
{
	uint32_t v;

	sse_ready(cpu, op);
	v = load32(cpu, op, effective(cpu, op));
	if (v & ~MXCSR_BITS)
		emu_fault_code(cpu, op, EXC_GP, 0);
	mxcsr_put(cpu, v);
	NEXT;
}

HANDLER(store_mxcsr)
{
	sse_ready(cpu, op);
	store32(cpu, op, effective(cpu, op), mxcsr_get(cpu));
	NEXT_STORED;
}

HANDLER(empty_mmx)
{
	mmx_ready(cpu, op);
	mmx_claim(cpu);
	cpu->fx[FX_FTW] = 0;
	NEXT;
}

#define ROW(mnemonic, ...)                             \
	{                                              \
		ZYDIS_MNEMONIC_##mnemonic, __VA_ARGS__ \
	}

const struct sse_row sse_move_rows[] = {
	ROW(MOVAPS, 0, move_aligned, NULL),
	ROW(MOVAPD, 0, move_aligned, NULL),
	ROW(MOVDQA, 0, move_aligned, NULL),
	ROW(MOVNTPS, 0, move_aligned, NULL),
	ROW(MOVNTPD, 0, move_aligned, NULL),
	ROW(MOVNTDQ, 0, move_aligned, NULL),
	ROW(MOVNTDQA, NEEDS_SSE41, move_aligned, NULL),
	ROW(MOVUPS, 0, move_unaligned, NULL),
	ROW(MOVUPD, 0, move_unaligned, NULL),
	ROW(MOVDQU, 0, move_unaligned, NULL),
	ROW(LDDQU, NEEDS_SSE3, move_unaligned, NULL),
	ROW(MOVSS, 0, move_ss, NULL),
	ROW(MOVSD, 0, move_sd, NULL),
	ROW(MOVLPS, 0, move_low, NULL),
	ROW(MOVLPD, 0, move_low, NULL),
	ROW(MOVHPS, 0, move_high, NULL),
	ROW(MOVHPD, 0, move_high, NULL),
	ROW(MOVHLPS, 0, move_high_to_low, NULL),
	ROW(MOVLHPS, 0, move_low_to_high, NULL),
	ROW(MOVD, 0, xmm_movd, mmx_movd),
	ROW(MOVQ, 0, xmm_movq, mmx_movq),
	ROW(MOVNTQ, 0, NULL, mmx_movq),
	ROW(MOVQ2DQ, 0, NULL, move_mmx_to_xmm),
	ROW(MOVDQ2Q, 0, NULL, move_xmm_to_mmx),
	ROW(MOVMSKPS, 0, signs_ps, NULL),
	ROW(MOVMSKPD, 0, signs_pd, NULL),
	ROW(PMOVMSKB, 0, xmm_signs_b, mmx_signs_b),
	ROW(PINSRB, NEEDS_SSE41, insert8, NULL),
	ROW(PINSRW, 0, insert16, mmx_insert16),
	ROW(PINSRD, NEEDS_SSE41, insert32, NULL),
	ROW(PINSRQ, NEEDS_SSE41, insert64, NULL),
	ROW(PEXTRB, NEEDS_SSE41, extract8, NULL),
	ROW(PEXTRW, 0, extract16, mmx_extract16),
	ROW(PEXTRD, NEEDS_SSE41, extract32, NULL),
	ROW(PEXTRQ, NEEDS_SSE41, extract64, NULL),
	ROW(EXTRACTPS, NEEDS_SSE41, extract32, NULL),
	ROW(MASKMOVDQU, 0, xmm_masked, NULL),
	ROW(MASKMOVQ, 0, NULL, mmx_masked),
	ROW(LDMXCSR, 0, load_mxcsr, NULL),
	ROW(STMXCSR, 0, store_mxcsr, NULL),
	ROW(EMMS, 0, empty_mmx, NULL),
	{ 0 },
};
