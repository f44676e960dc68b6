/*
 * The FXSAVE image as a whole: saving and restoring it, and who may touch it.
 *
 * Reserved bits are dropped whenever an image comes in, so that whatever the
 * host's FXRSTOR would refuse never reaches it.  An x87 exception is pending
 * when its flag is set and its mask is not: ES and B of the status word follow
 * from that and are computed anew when either changes.
 *
 * Pending exceptions are always delivered as #MF, whatever CR0.NE says: no
 * machine here has FERR# wired to an interrupt controller.
 */
#include "vmm/emulate/fpu.h"

_Noreturn void
fpu_refuse_sse(struct emu_cpu *cpu, const struct op *op)
{
	if ((cpu->cr0 & CR0_EM) || !(cpu->cr4 & CR4_OSFXSR))
		emu_fault(cpu, op, EXC_UD);
	emu_fault(cpu, op, EXC_NM);
}

_Noreturn void
fpu_refuse_mmx(struct emu_cpu *cpu, const struct op *op)
{
	if (cpu->cr0 & CR0_EM)
		emu_fault(cpu, op, EXC_UD);
	if (cpu->cr0 & CR0_TS)
		emu_fault(cpu, op, EXC_NM);
	emu_fault(cpu, op, EXC_MF);
}

void
fpu_turn(struct emu_cpu *cpu, unsigned int top)
{
	unsigned int by = top - fpu_top(cpu);
	uint8_t was[8][16];

	memcpy(was, cpu->fx + FX_ST, sizeof(was));
	for (unsigned int i = 0; i < 8; i++)
		memcpy(cpu->fx + FX_ST + 16 * i, was[(i + by) & 7], 16);
	fx_put16(
	    cpu, FX_FSW, (fx_get16(cpu, FX_FSW) & ~FSW_TOP(7)) | FSW_TOP(top));
}

void
fpu_canonical(struct emu_cpu *cpu)
{
	unsigned int fsw;

	fx_put16(cpu, FX_FCW, (fx_get16(cpu, FX_FCW) & FCW_BITS) | FCW_ONE);
	fsw = fx_get16(cpu, FX_FSW) & ~FSW_PENDING;
	fx_put16(cpu, FX_FSW, fsw);
	if (fpu_pending(cpu))
		fx_put16(cpu, FX_FSW, fsw | FSW_PENDING);
	cpu->fx[FX_FTW + 1] = 0;
	fx_put16(cpu, FX_FOP, fx_get16(cpu, FX_FOP) & 0x7ff);
	mxcsr_put(cpu, mxcsr_get(cpu) & MXCSR_BITS);
	memcpy(cpu->fx + FX_MXCSR_MASK, &(uint32_t){ MXCSR_BITS }, 4);
	for (unsigned int i = 0; i < 8; i++)
		memset(cpu->fx + FX_ST + 16 * i + 10, 0, 6);
	memset(cpu->fx + FX_END, 0, FX_BYTES - FX_END);
}

void
fpu_init(struct emu_cpu *cpu)
{
	fx_put16(cpu, FX_FCW, FCW_RESET);
	fpu_turn(cpu, 0);
	fx_put16(cpu, FX_FSW, 0);
	cpu->fx[FX_FTW] = 0;
	memset(cpu->fx + FX_FOP, 0, FX_MXCSR - FX_FOP);
}

void
emu_fpu_reset(struct emu_cpu *cpu)
{
	memset(cpu->fx, 0, FX_BYTES);
	cpu->fx[FX_FTW] = 0xff;
	mxcsr_put(cpu, MXCSR_RESET);
	fpu_canonical(cpu);
}

void
emu_fpu_put(struct emu_cpu *cpu, const void *image)
{
	memcpy(cpu->fx, image, FX_BYTES);
	fpu_canonical(cpu);
}

/* ---- memory ---- */

void
fpu_load(struct emu_cpu *cpu, const struct op *op, uint64_t addr, void *to,
    unsigned int bytes)
{
	uint8_t *at = to;

	while (bytes > 0) {
		unsigned int part = bytes >= 8 ? 8 : bytes >= 4 ? 4 : 2;
		uint64_t v = emu_read(cpu, op, addr, part);

		memcpy(at, &v, part);
		at += part;
		addr += part;
		bytes -= part;
	}
}

void
fpu_store(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    const void *from, unsigned int bytes)
{
	const uint8_t *at = from;

	(void)emu_translate(cpu, op, addr, ACCESS_WRITE);
	(void)emu_translate(cpu, op, addr + bytes - 1, ACCESS_WRITE);
	while (bytes > 0) {
		unsigned int part = bytes >= 8 ? 8 : bytes >= 4 ? 4 : 2;
		uint64_t v = 0;

		memcpy(&v, at, part);
		emu_write(cpu, op, addr, part, v);
		at += part;
		addr += part;
		bytes -= part;
	}
}

__m128i
load128_slow(struct emu_cpu *cpu, const struct op *op, uint64_t addr)
{
	uint64_t low = emu_read(cpu, op, addr, 8);
	uint64_t high = emu_read(cpu, op, addr + 8, 8);

	return _mm_set_epi64x((int64_t)high, (int64_t)low);
}

void
store128_slow(
    struct emu_cpu *cpu, const struct op *op, uint64_t addr, __m128i v)
{
	(void)emu_translate(cpu, op, addr, ACCESS_WRITE);
	(void)emu_translate(cpu, op, addr + 15, ACCESS_WRITE);
	emu_write(cpu, op, addr, 8, (uint64_t)_mm_cvtsi128_si64(v));
	emu_write(cpu, op, addr + 8, 8,
	    (uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(v, v)));
}

/* ---- FXSAVE, FXRSTOR ---- */

unsigned int
fpu_image_bytes(const struct emu_cpu *cpu)
{
	return (cpu->mode & MODE_SIZE) == MODE_64 ? FX_END : FX_XMM + 8 * 16;
}

static void
fxsave_ready(struct emu_cpu *cpu, const struct op *op)
{
	if (cpu->cr0 & (CR0_EM | CR0_TS))
		emu_fault(cpu, op, EXC_NM);
	need_aligned(cpu, op, effective(cpu, op));
}

/* 32-bit pointers: the upper halves are the selectors' places.  aux 3: with
 * REX.W, they have 64 bits. */
void
fpu_image_narrow(const struct op *op, uint8_t *image)
{
	if (op->aux == 3)
		return;
	memset(image + FX_FIP + 4, 0, 4);
	memset(image + FX_FDP + 4, 0, 4);
}

/* Apart from their operations, which must not have locals in memory: they end
 * by a tail call. */
static __attribute__((noinline)) void
save(struct emu_cpu *cpu, const struct op *op)
{
	uint8_t image[FX_BYTES];

	memcpy(image, cpu->fx, FX_BYTES);
	fpu_image_narrow(op, image);
	fpu_store(cpu, op, effective(cpu, op), image, fpu_image_bytes(cpu));
}

static __attribute__((noinline)) void
restore(struct emu_cpu *cpu, const struct op *op)
{
	uint8_t image[FX_BYTES];
	uint32_t mxcsr;

	fpu_load(cpu, op, effective(cpu, op), image, FX_BYTES);
	memcpy(&mxcsr, image + FX_MXCSR, sizeof(mxcsr));
	if (mxcsr & ~MXCSR_BITS)
		emu_fault_code(cpu, op, EXC_GP, 0);
	fpu_image_narrow(op, image);
	memcpy(cpu->fx, image, fpu_image_bytes(cpu));
	fpu_canonical(cpu);
}

const struct op *
op_fxsave(struct emu_cpu *cpu, const struct op *op)
{
	fxsave_ready(cpu, op);
	save(cpu, op);
	NEXT_STORED;
}

const struct op *
op_fxrstor(struct emu_cpu *cpu, const struct op *op)
{
	fxsave_ready(cpu, op);
	restore(cpu, op);
	NEXT;
}
