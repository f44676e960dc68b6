/*
 * Instructions of the system, x87, MMX and SSE.
 */
#include "vmm/emulate/decode_parts.h"

static void
port(struct maker *m, op_fn fn, unsigned int number, unsigned int a)
{
	struct op *op = decode_emit(m, fn);

	op->imm = is_imm(m, number) ? (uint8_t)imm_of(m, number) : -1;
	op->aux = (uint8_t)decode_size(m, a);
	m->ended = true;
}

/* SLDT, STR, SMSW: a value into a register or 16 bits of memory. */
static void
to_destination(struct maker *m, op_fn fn)
{
	struct op *op = decode_emit(m, fn);

	op->dst = is_mem(m, 0) ? REG_VALUE : decode_reg(m, 0);
	op->aux = is_mem(m, 0) ? 1 : (uint8_t)decode_size(m, 0);
	if (is_mem(m, 0))
		decode_emit_mem(m, store_temp_ops[1], 0);
}

static void
access_rights(struct maker *m, unsigned int limit)
{
	uint8_t src = decode_source(m, 1);
	struct op *op = decode_emit(m, op_lar_lsl);

	op->dst = decode_reg(m, 0);
	op->src = src;
	op->aux = (uint8_t)decode_size(m, 0);
	op->more = (uint16_t)limit;
	decode_flags(m, true, false, NULL);
}

static void
load_far_pointer(struct maker *m, unsigned int segment)
{
	struct op *op = decode_emit_mem(m, op_load_far, 1);

	op->dst = decode_reg(m, 0);
	op->src = (uint8_t)segment;
	op->aux = (uint8_t)decode_size(m, 0);
	m->ended = true;
}

static void
interrupt(struct maker *m, unsigned int vector)
{
	struct op *op = decode_emit(m, vector == EXC_OF ? op_into : op_int);

	op->imm = vector;
	m->ended = vector != EXC_OF;
	decode_flags(m, true, false, NULL);
}

/* ---- x87, MMX and SSE ---- */

static bool
is_class(const struct maker *m, unsigned int n, ZydisRegisterClass class)
{
	return is_reg(m, n) &&
	    ZydisRegisterGetClass(m->o[n].reg.value) == class;
}

static bool
is_gpr(const struct maker *m, unsigned int n)
{
	return is_class(m, n, ZYDIS_REGCLASS_GPR64) ||
	    is_class(m, n, ZYDIS_REGCLASS_GPR32);
}

void
decode_sse(struct maker *m)
{
	unsigned int visible = m->in.operand_count_visible;
	int mem = -1;
	struct op *op;

	for (unsigned int n = 0; n < visible; n++)
		if (is_mem(m, n))
			mem = (int)n;
	if (m->in.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ ||
	    m->in.mnemonic == ZYDIS_MNEMONIC_MASKMOVDQU)
		mem = 2; /* hidden */
	op = mem >= 0 ? decode_emit_mem(m, op_sse, (unsigned int)mem)
		      : decode_emit(m, op_sse);
	op->more = (uint16_t)m->in.mnemonic;
	if (visible > 0 && is_reg(m, 0))
		op->dst = decode_reg(m, 0);
	if (visible > 1 && is_reg(m, 1))
		op->src = decode_reg(m, 1);
	if (visible > 0 && is_imm(m, visible - 1))
		op->imm = imm_of(m, visible - 1);
	if (mem == 0)
		op->aux |= FPU_DST_MEM;
	if (mem == 1)
		op->aux |= FPU_SRC_MEM;
	if (visible > 0 && is_gpr(m, 0))
		op->aux |= FPU_DST_GPR;
	if (visible > 1 && is_gpr(m, 1))
		op->aux |= FPU_SRC_GPR;
	if (visible > 0 && is_class(m, 0, ZYDIS_REGCLASS_MMX))
		op->aux |= FPU_DST_MMX;
	if (visible > 1 && is_class(m, 1, ZYDIS_REGCLASS_MMX))
		op->aux |= FPU_SRC_MMX;
	for (unsigned int n = 0; n < visible; n++)
		if (is_class(m, n, ZYDIS_REGCLASS_GPR64) ||
		    (is_mem(m, n) && m->o[n].size == 64 &&
			(m->in.mnemonic == ZYDIS_MNEMONIC_CVTSI2SD ||
			    m->in.mnemonic == ZYDIS_MNEMONIC_CVTSI2SS ||
			    m->in.mnemonic == ZYDIS_MNEMONIC_MOVNTI)))
			op->aux |= FPU_GPR64;
	if (m->in.raw.rex.W)
		op->aux |= FPU_GPR64;
	if (visible == 2 && is_imm(m, 1))
		op->aux |= FPU_IMM;
	if (m->in.mnemonic == ZYDIS_MNEMONIC_CRC32)
		op->imm = m->o[1].size;
	op->fn = sse_handler(op);
	decode_flags(m, true, false, NULL);
}

void
decode_x87(struct maker *m)
{
	unsigned int visible = m->in.operand_count_visible;
	bool mem = visible > 0 && is_mem(m, 0);
	struct op *op =
	    mem ? decode_emit_mem(m, op_x87, 0) : decode_emit(m, op_x87);

	op->more = (uint16_t)m->in.mnemonic;
	if (mem) {
		op->aux = FPU_SRC_MEM;
		op->imm = m->o[0].size;
	}
	if (visible > 0 && is_class(m, 0, ZYDIS_REGCLASS_X87))
		op->dst = decode_reg(m, 0);
	if (visible > 1 && is_class(m, 1, ZYDIS_REGCLASS_X87))
		op->src = decode_reg(m, 1);
	if (visible > 0 && is_class(m, 0, ZYDIS_REGCLASS_GPR16))
		op->aux = FPU_DST_GPR;
	op->disp = mem ? op->disp : (int32_t)visible;
	op->imm |= (int64_t)m->in.opcode << 24 | m->in.raw.modrm.mod << 22 |
	    m->in.raw.modrm.reg << 19 | m->in.raw.modrm.rm << 16;
	decode_flags(m, true, false, NULL);
}

/* ---- all of the system's ---- */

bool
decode_system(struct maker *m)
{
	switch (m->in.mnemonic) {
	case ZYDIS_MNEMONIC_IN: port(m, op_in, 1, 0); return true;
	case ZYDIS_MNEMONIC_OUT: port(m, op_out, 0, 1); return true;
	case ZYDIS_MNEMONIC_HLT: decode_plain(m, op_hlt, 0, true); return true;
	case ZYDIS_MNEMONIC_CLI: decode_plain(m, op_cli, 0, false); return true;
	case ZYDIS_MNEMONIC_STI: decode_plain(m, op_sti, 0, false); return true;
	case ZYDIS_MNEMONIC_INT:
		interrupt(m, (uint8_t)imm_of(m, 0));
		return true;
	case ZYDIS_MNEMONIC_INT3: interrupt(m, EXC_BP); return true;
	case ZYDIS_MNEMONIC_INT1:
		decode_plain(m, op_int1, 0, true);
		return true;
	case ZYDIS_MNEMONIC_INTO: interrupt(m, EXC_OF); return true;
	case ZYDIS_MNEMONIC_IRET:
		decode_plain(m, op_iret, 1, true);
		return true;
	case ZYDIS_MNEMONIC_IRETD:
		decode_plain(m, op_iret, 2, true);
		return true;
	case ZYDIS_MNEMONIC_IRETQ:
		decode_plain(m, op_iret, 3, true);
		return true;
	case ZYDIS_MNEMONIC_SYSCALL:
		decode_plain(m, op_syscall, 0, true);
		return true;
	case ZYDIS_MNEMONIC_SYSRET:
		decode_plain(m, op_sysret, m->in.raw.rex.W ? 3 : 2, true);
		return true;
	case ZYDIS_MNEMONIC_SYSENTER:
		decode_plain(m, op_sysenter, 0, true);
		return true;
	case ZYDIS_MNEMONIC_SYSEXIT:
		decode_plain(m, op_sysexit, m->in.raw.rex.W ? 3 : 2, true);
		return true;
	case ZYDIS_MNEMONIC_VMCALL:
	case ZYDIS_MNEMONIC_VMMCALL:
		decode_plain(m, op_hypercall, 0, false);
		return true;
	case ZYDIS_MNEMONIC_RDPMC: /* there is no counter */
		decode_plain(m, op_refused, 0, true);
		return true;
	case ZYDIS_MNEMONIC_SWAPGS:
		decode_plain(m, op_swapgs, 0, false);
		return true;
	case ZYDIS_MNEMONIC_CPUID:
		decode_plain(m, op_cpuid, 0, false);
		return true;
	case ZYDIS_MNEMONIC_RDTSC:
		decode_plain(m, op_rdtsc, 0, false);
		return true;
	case ZYDIS_MNEMONIC_RDTSCP:
		decode_plain(m, op_rdtsc, 1, false);
		return true;
	case ZYDIS_MNEMONIC_RDMSR:
		decode_plain(m, op_rdmsr, 0, false);
		return true;
	case ZYDIS_MNEMONIC_WRMSR:
		decode_plain(m, op_wrmsr, 0, true);
		return true;
	case ZYDIS_MNEMONIC_CLTS:
		decode_plain(m, op_clts, 0, false);
		return true;
	case ZYDIS_MNEMONIC_WBINVD:
	case ZYDIS_MNEMONIC_INVD:
		decode_plain(m, op_privileged_nop, 0, false);
		return true;
	case ZYDIS_MNEMONIC_INVLPG:
		decode_by_memory(m, op_invlpg, true);
		return true;
	case ZYDIS_MNEMONIC_LGDT:
		decode_by_memory(m, op_lgdt, true);
		return true;
	case ZYDIS_MNEMONIC_LIDT:
		decode_by_memory(m, op_lidt, true);
		return true;
	case ZYDIS_MNEMONIC_SGDT:
		decode_by_memory(m, op_sgdt, false);
		return true;
	case ZYDIS_MNEMONIC_SIDT:
		decode_by_memory(m, op_sidt, false);
		return true;
	case ZYDIS_MNEMONIC_LLDT:
		decode_by_source(m, op_lldt, 0, true);
		return true;
	case ZYDIS_MNEMONIC_LTR:
		decode_by_source(m, op_ltr, 0, true);
		return true;
	case ZYDIS_MNEMONIC_SLDT: to_destination(m, op_sldt); return true;
	case ZYDIS_MNEMONIC_STR: to_destination(m, op_str); return true;
	case ZYDIS_MNEMONIC_SMSW: to_destination(m, op_smsw); return true;
	case ZYDIS_MNEMONIC_LMSW:
		decode_by_source(m, op_lmsw, 0, true);
		return true;
	case ZYDIS_MNEMONIC_VERR:
		decode_by_source(m, op_verify, 0, false);
		return true;
	case ZYDIS_MNEMONIC_VERW:
		decode_by_source(m, op_verify, 1, false);
		return true;
	case ZYDIS_MNEMONIC_LAR: access_rights(m, 0); return true;
	case ZYDIS_MNEMONIC_LSL: access_rights(m, 1); return true;
	case ZYDIS_MNEMONIC_LES: load_far_pointer(m, CPU_ES); return true;
	case ZYDIS_MNEMONIC_LDS: load_far_pointer(m, CPU_DS); return true;
	case ZYDIS_MNEMONIC_LSS: load_far_pointer(m, CPU_SS); return true;
	case ZYDIS_MNEMONIC_LFS: load_far_pointer(m, CPU_FS); return true;
	case ZYDIS_MNEMONIC_LGS: load_far_pointer(m, CPU_GS); return true;
	case ZYDIS_MNEMONIC_FXSAVE:
	case ZYDIS_MNEMONIC_FXSAVE64:
		decode_by_memory(m, op_fxsave, false);
		return true;
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR64:
		decode_by_memory(m, op_fxrstor, false);
		return true;
	case ZYDIS_MNEMONIC_XSAVE:
	case ZYDIS_MNEMONIC_XSAVE64:
		decode_by_memory(m, op_xsave, false);
		return true;
	case ZYDIS_MNEMONIC_XRSTOR:
	case ZYDIS_MNEMONIC_XRSTOR64:
		decode_by_memory(m, op_xrstor, false);
		return true;
	case ZYDIS_MNEMONIC_XGETBV:
		decode_plain(m, op_xgetbv, 0, false);
		return true;
	case ZYDIS_MNEMONIC_XSETBV:
		decode_plain(m, op_xsetbv, 0, false);
		return true;
	default: break;
	}
	return false;
}
