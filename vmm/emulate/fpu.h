/*
 * fpu.h - x87, MMX and SSE registers, which are an FXSAVE image.
 *
 * The image has the form of FXSAVE64, with the selectors of the x87's pointers
 * left out (as on CPUs that no longer have them) and reserved bits zero.  ST(i)
 * stands at its place counted from the top of the stack, MMi where the physical
 * register i happens to be.
 */
#ifndef VMM_EMULATE_FPU_H
#define VMM_EMULATE_FPU_H

#include <emmintrin.h>

#include "vmm/emulate/handlers.h"

#define FX_FCW        0
#define FX_FSW        2
#define FX_FTW        4 /* a bit per physical register: not empty */
#define FX_FOP        6
#define FX_FIP        8
#define FX_FDP        16
#define FX_MXCSR      24
#define FX_MXCSR_MASK 28
#define FX_ST         32
#define FX_XMM        160
#define FX_END        416
#define FX_BYTES      512

#define FCW_RESET        0x037f
#define FCW_BITS         0x1f3f /* the others read as zero ... */
#define FCW_ONE          0x0040 /* ... but this one */
#define FSW_TOP(top)     ((unsigned int)(top) << 11)
#define FSW_PENDING      0x8080u /* ES, and B, which follows it */
#define FPU_EXCEPTIONS   0x3fu   /* in FCW (masks), FSW and MXCSR */
#define MXCSR_RESET      0x1f80u
#define MXCSR_BITS       0xffffu
#define MXCSR_MASKS      0x1f80u
#define MXCSR_FTZ        0x8000u
#define MXCSR_CONTROL    0xe040u /* rounding, flush to zero, denormals */
#define MXCSR_MASK_SHIFT 7

static inline uint16_t
fx_get16(const struct emu_cpu *cpu, unsigned int at)
{
	uint16_t v;

	memcpy(&v, cpu->fx + at, sizeof(v));
	return v;
}

static inline void
fx_put16(struct emu_cpu *cpu, unsigned int at, unsigned int v)
{
	uint16_t v16 = (uint16_t)v;

	memcpy(cpu->fx + at, &v16, sizeof(v16));
}

static inline uint64_t
fx_get64(const struct emu_cpu *cpu, unsigned int at)
{
	uint64_t v;

	memcpy(&v, cpu->fx + at, sizeof(v));
	return v;
}

static inline void
fx_put64(struct emu_cpu *cpu, unsigned int at, uint64_t v)
{
	memcpy(cpu->fx + at, &v, sizeof(v));
}

static inline uint32_t
mxcsr_get(const struct emu_cpu *cpu)
{
	uint32_t v;

	memcpy(&v, cpu->fx + FX_MXCSR, sizeof(v));
	return v;
}

static inline void
mxcsr_put(struct emu_cpu *cpu, uint32_t v)
{
	memcpy(cpu->fx + FX_MXCSR, &v, sizeof(v));
}

static inline unsigned int
fpu_top(const struct emu_cpu *cpu)
{
	return fx_get16(cpu, FX_FSW) >> 11 & 7;
}

/* Has an x87 exception that is not masked been left to the next instruction? */
static inline bool
fpu_pending(const struct emu_cpu *cpu)
{
	return fx_get16(cpu, FX_FSW) & ~fx_get16(cpu, FX_FCW) & FPU_EXCEPTIONS;
}

/* ---- may the instruction run?  If not, these do not return. ---- */

_Noreturn void fpu_refuse_sse(struct emu_cpu *cpu, const struct op *op);
_Noreturn void fpu_refuse_mmx(struct emu_cpu *cpu, const struct op *op);

static inline void
sse_ready(struct emu_cpu *cpu, const struct op *op)
{
	if (unlikely(
		(cpu->cr0 & (CR0_EM | CR0_TS)) || !(cpu->cr4 & CR4_OSFXSR)))
		fpu_refuse_sse(cpu, op);
}

static inline void
mmx_ready(struct emu_cpu *cpu, const struct op *op)
{
	if (unlikely((cpu->cr0 & (CR0_EM | CR0_TS)) || fpu_pending(cpu)))
		fpu_refuse_mmx(cpu, op);
}

/* ---- registers ---- */

static inline __m128i
xmm_get(const struct emu_cpu *cpu, unsigned int n)
{
	return _mm_load_si128(
	    (const __m128i *)(const void *)(cpu->fx + FX_XMM + 16 * n));
}

static inline void
xmm_put(struct emu_cpu *cpu, unsigned int n, __m128i v)
{
	_mm_store_si128((__m128i *)(void *)(cpu->fx + FX_XMM + 16 * n), v);
}

/* Makes top the top of the stack, the physical registers as they are. */
void fpu_turn(struct emu_cpu *cpu, unsigned int top);

/* What each MMX instruction but EMMS does to the x87, once it cannot fault any
 * more (SDM 1, 9.5.1). */
static inline void
mmx_claim(struct emu_cpu *cpu)
{
	if (unlikely(fpu_top(cpu) != 0))
		fpu_turn(cpu, 0);
	cpu->fx[FX_FTW] = 0xff;
}

static inline __m128i
mmx_get(const struct emu_cpu *cpu, unsigned int n)
{
	unsigned int i = (n - fpu_top(cpu)) & 7;

	return _mm_loadl_epi64(
	    (const __m128i *)(const void *)(cpu->fx + FX_ST + 16 * i));
}

/* After mmx_claim(). */
static inline void
mmx_put(struct emu_cpu *cpu, unsigned int n, __m128i v)
{
	fx_put64(cpu, FX_ST + 16 * n, (uint64_t)_mm_cvtsi128_si64(v));
	fx_put16(cpu, FX_ST + 16 * n + 8, 0xffff);
}

/* ---- memory ---- */

/* Any number of bytes over at most two pages: all of them or a fault. */
void fpu_load(struct emu_cpu *cpu, const struct op *op, uint64_t addr, void *to,
    unsigned int bytes);
void fpu_store(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    const void *from, unsigned int bytes);

static inline void
need_aligned(struct emu_cpu *cpu, const struct op *op, uint64_t addr)
{
	if (unlikely(addr & 15))
		emu_fault_code(cpu, op, EXC_GP, 0);
}

__m128i load128_slow(struct emu_cpu *cpu, const struct op *op, uint64_t addr);
void store128_slow(
    struct emu_cpu *cpu, const struct op *op, uint64_t addr, __m128i v);

static inline __m128i
load128(struct emu_cpu *cpu, const struct op *op, uint64_t addr)
{
	const void *p = tlb_host(cpu->read, addr, 16);

	if (unlikely(p == NULL))
		return load128_slow(cpu, op, addr);
	return _mm_loadu_si128(p);
}

/* All 128 bits or a fault. */
static inline void
store128(struct emu_cpu *cpu, const struct op *op, uint64_t addr, __m128i v)
{
	void *p = tlb_host(cpu->write, addr, 16);

	if (unlikely(p == NULL))
		store128_slow(cpu, op, addr, v);
	else
		_mm_storeu_si128(p, v);
}

/* The second operand: all of an XMM register or 128 aligned bits of memory. */
static inline __m128i
source128(struct emu_cpu *cpu, const struct op *op)
{
	uint64_t addr;

	if (!(op->aux & FPU_SRC_MEM))
		return xmm_get(cpu, op->src);
	addr = effective(cpu, op);
	need_aligned(cpu, op, addr);
	return load128(cpu, op, addr);
}

/* The same where only the lowest bits count: of memory no more is read, and it
 * need not be aligned. */
static inline __m128i
source64(struct emu_cpu *cpu, const struct op *op)
{
	if (!(op->aux & FPU_SRC_MEM))
		return xmm_get(cpu, op->src);
	return _mm_cvtsi64_si128((int64_t)load64(cpu, op, effective(cpu, op)));
}

static inline __m128i
source32(struct emu_cpu *cpu, const struct op *op)
{
	if (!(op->aux & FPU_SRC_MEM))
		return xmm_get(cpu, op->src);
	return _mm_cvtsi32_si128((int)load32(cpu, op, effective(cpu, op)));
}

static inline __m128i
source16(struct emu_cpu *cpu, const struct op *op)
{
	if (!(op->aux & FPU_SRC_MEM))
		return xmm_get(cpu, op->src);
	return _mm_cvtsi32_si128(load16(cpu, op, effective(cpu, op)));
}

/* ---- images ---- */

/* What stands in an image is what FXRSTOR64 makes of it. */
void fpu_canonical(struct emu_cpu *cpu);
/* How much of it there is in memory: outside 64-bit code, 8 XMM registers. */
unsigned int fpu_image_bytes(const struct emu_cpu *cpu);
/* As the operation, of a handler for such images, has it in memory. */
void fpu_image_narrow(const struct op *op, uint8_t *image);
/* FNINIT */
void fpu_init(struct emu_cpu *cpu);

#endif
