/*
 * SSE 4.2: comparisons of strings, and CRC-32C, which is on general registers.
 */
#include "vmm/emulate/sse.h"

/* aux with FPU_GPR64: the explicit lengths have 64 bits. */
static __attribute__((noinline)) void
compare(
    struct emu_cpu *cpu, const struct op *op, const void *slot, bool to_index)
{
	struct host_strings s = {
		.a = xmm_get(cpu, op->dst),
		.b = op->aux & FPU_SRC_MEM
		    ? load128(cpu, op, effective(cpu, op))
		    : xmm_get(cpu, op->src),
		.a_bytes = cpu->gpr[CPU_RAX],
		.b_bytes = cpu->gpr[CPU_RDX],
	};

	if (!(op->aux & FPU_GPR64)) {
		s.a_bytes = (uint64_t)(int32_t)s.a_bytes;
		s.b_bytes = (uint64_t)(int32_t)s.b_bytes;
	}
	host_strings_run(&s, slot);
	if (to_index)
		cpu->gpr[CPU_RCX] = s.index;
	else
		xmm_put(cpu, 0, s.a);
	flags_put(cpu, FLAGS_ARITH, (uint32_t)s.flags);
}

#define DEFINE_COMPARE(name, to_index)                                     \
	HANDLER(string_##name)                                             \
	{                                                                  \
		sse_ready(cpu, op);                                        \
		compare(cpu, op, host_##name[(uint8_t)op->imm], to_index); \
		NEXT;                                                      \
	}
DEFINE_COMPARE(pcmpestri, true)
DEFINE_COMPARE(pcmpestrm, false)
DEFINE_COMPARE(pcmpistri, true)
DEFINE_COMPARE(pcmpistrm, false)

/* imm: how many bits the source has; a byte register is at its place in
 * gpr[]. */
HANDLER(crc32)
{
	uint64_t crc = (uint32_t)cpu->gpr[op->dst];
	unsigned int bits = (unsigned int)op->imm;
	uint64_t v;

	if (op->aux & FPU_SRC_MEM)
		v = bits == 8    ? load8(cpu, op, effective(cpu, op))
		    : bits == 16 ? load16(cpu, op, effective(cpu, op))
		    : bits == 32 ? load32(cpu, op, effective(cpu, op))
				 : load64(cpu, op, effective(cpu, op));
	else
		v = bits == 8 ? ((const uint8_t *)cpu->gpr)[op->src]
			      : cpu->gpr[op->src];
	if (bits == 8)
		__asm__("crc32b %b1, %k0" : "+r"(crc) : "r"(v));
	else if (bits == 16)
		__asm__("crc32w %w1, %k0" : "+r"(crc) : "r"(v));
	else if (bits == 32)
		__asm__("crc32l %k1, %k0" : "+r"(crc) : "r"(v));
	else
		__asm__("crc32q %q1, %q0" : "+r"(crc) : "r"(v));
	cpu->gpr[op->dst] = crc;
	NEXT;
}

#define ROW(mnemonic, ...)                             \
	{                                              \
		ZYDIS_MNEMONIC_##mnemonic, __VA_ARGS__ \
	}

const struct sse_row sse_string_rows[] = {
	ROW(PCMPESTRI, NEEDS_SSE42, string_pcmpestri, NULL),
	ROW(PCMPESTRM, NEEDS_SSE42, string_pcmpestrm, NULL),
	ROW(PCMPISTRI, NEEDS_SSE42, string_pcmpistri, NULL),
	ROW(PCMPISTRM, NEEDS_SSE42, string_pcmpistrm, NULL),
	ROW(CRC32, NEEDS_SSE42, crc32, NULL),
	{ 0 },
};
