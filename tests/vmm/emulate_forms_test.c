/*
 * Which instructions the interpreter has: all that the decoder's tables know,
 * but for the sets that the manual page names as missing, and nothing of those.
 */
#include "vmm/emulate/engine_emulate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include <Zydis/Zydis.h>

#include "tests/vmm/emulate_machine.h"
#include "vmm/emulate/handlers.h"

#define PAGE_7   "man/lanyard-emulate.7"
#define MISSING  128
#define CODE_MAX 15

struct list {
	char name[MISSING][24];
	bool met[MISSING]; /* by an instruction of that set */
	unsigned int n;
};

/* The names that stand between the page's two comments. */
static void
read_page(struct list *list)
{
	char line[256];
	bool within = false;
	FILE *f = fopen(PAGE_7, "r");

	assert_non_null(f);
	while (fgets(line, sizeof(line), f) != NULL) {
		if (strncmp(line, ".\\\" begin", 9) == 0)
			within = true;
		else if (strncmp(line, ".\\\" end", 7) == 0)
			within = false;
		else if (within && line[0] != '.') {
			assert_true(list->n < MISSING);
			line[strcspn(line, ",\n")] = '\0';
			assert_true(strlen(line) < sizeof(list->name[0]));
			memcpy(list->name[list->n++], line, strlen(line));
		}
	}
	fclose(f);
	assert_true(list->n > 40);
}

/* Names that stand for several sets, which differ by what follows. */
static bool
is_family(const char *name)
{
	static const char *const families[] = { "AMX", "AVX512", "KEYLOCKER",
		"KNC", "PADLOCK", "SGX", "AVX" };

	for (unsigned int i = 0; i < sizeof(families) / sizeof(families[0]);
	     i++)
		if (strcmp(name, families[i]) == 0)
			return true;
	return false;
}

static bool
is_missing(struct list *list, const ZydisDecodedInstruction *in)
{
	const char *set = ZydisISASetGetString(in->meta.isa_set);
	bool found = false;

	if (in->mnemonic == ZYDIS_MNEMONIC_VMCALL ||
	    in->mnemonic == ZYDIS_MNEMONIC_VMMCALL)
		return false;
	if (strncmp(set, "AMD", 3) == 0)
		set += strncmp(set, "AMD_", 4) == 0 ? 4 : 3;
	if (in->mnemonic == ZYDIS_MNEMONIC_RSM)
		set = "RSM"; /* of the 486 */
	for (unsigned int i = 0; i < list->n; i++) {
		const char *name = list->name[i];

		if (strcmp(set, name) != 0 &&
		    !(is_family(name) && strncmp(set, name, strlen(name)) == 0))
			continue;
		list->met[i] = true;
		found = true;
	}
	return found;
}

/* What this machine's processor decides. */
static bool
is_optional(const ZydisDecodedInstruction *in)
{
	switch (in->meta.isa_set) {
	case ZYDIS_ISA_SET_AES:
	case ZYDIS_ISA_SET_PCLMULQDQ:
	case ZYDIS_ISA_SET_SSE3:
	case ZYDIS_ISA_SET_SSE3X87:
	case ZYDIS_ISA_SET_SSE4:
	case ZYDIS_ISA_SET_SSE42:
	case ZYDIS_ISA_SET_SSSE3:
	case ZYDIS_ISA_SET_SSSE3MMX: return true;
	default: return false;
	}
}

static bool
is_meant_to_be_undefined(const ZydisDecodedInstruction *in)
{
	return in->mnemonic == ZYDIS_MNEMONIC_UD0 ||
	    in->mnemonic == ZYDIS_MNEMONIC_UD1 ||
	    in->mnemonic == ZYDIS_MNEMONIC_UD2;
}

struct forms {
	struct list list;
	ZydisDecoder decoder[3];
	struct block *block;
	unsigned long implemented, missing;
};

static int
setup_forms(void **state)
{
	static const struct {
		ZydisMachineMode mode;
		ZydisStackWidth stack;
	} modes[3] = {
		{ ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16 },
		{ ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32 },
		{ ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64 },
	};
	static const ZydisDecoderMode off[] = { ZYDIS_DECODER_MODE_TZCNT,
		ZYDIS_DECODER_MODE_LZCNT, ZYDIS_DECODER_MODE_MPX,
		ZYDIS_DECODER_MODE_CET, ZYDIS_DECODER_MODE_CLDEMOTE,
		ZYDIS_DECODER_MODE_WBNOINVD };
	struct forms *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	for (unsigned int i = 0; i < 3; i++) {
		ZydisDecoderInit(&f->decoder[i], modes[i].mode, modes[i].stack);
		for (unsigned int k = 0; k < sizeof(off) / sizeof(off[0]); k++)
			ZydisDecoderEnableMode(
			    &f->decoder[i], off[k], ZYAN_FALSE);
	}
	f->block = calloc(1, sizeof(*f->block) + BLOCK_OPS * sizeof(struct op));
	assert_non_null(f->block);
	read_page(&f->list);
	*state = f;
	return 0;
}

static int
teardown_forms(void **state)
{
	struct forms *f = *state;

	free(f->block);
	free(f);
	return 0;
}

static void
one_form(struct forms *f, unsigned int mode, const uint8_t code[CODE_MAX])
{
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	ZydisDecodedInstruction in;
	bool undefined = false, missing;
	unsigned int n;

	if (ZYAN_FAILED(ZydisDecoderDecodeFull(
		&f->decoder[mode], code, CODE_MAX, &in, operands)))
		return;
	f->block->mode = (uint16_t)mode;
	f->block->rip = CODE;
	n = emu_decode(f->block, code, CODE_MAX, true);
	assert_true(n > 1);
	for (unsigned int i = 1; i < n; i++)
		undefined |= f->block->op[i].fn == op_undefined;
	if (is_optional(&in) && undefined)
		return;
	missing = is_missing(&f->list, &in);
	if (undefined != (missing || is_meant_to_be_undefined(&in)))
		fail_msg("%s of %s (%02x %02x %02x %02x, mode %u) is %s",
		    ZydisMnemonicGetString(in.mnemonic),
		    ZydisISASetGetString(in.meta.isa_set), code[0], code[1],
		    code[2], code[3], mode,
		    missing ? "there, the page says it is not"
			    : "not there, and the page does not say so");
	if (undefined)
		f->missing++;
	else
		f->implemented++;
}

/* Without a vector prefix: each opcode of the four maps, ModRM, and prefix. */
static void
plain_forms(struct forms *f, unsigned int mode)
{
	static const uint8_t prefix[] = { 0x00, 0x66, 0xf2, 0xf3, 0x48, 0xf0 };

	for (unsigned int p = 0; p < sizeof(prefix); p++)
		for (unsigned int map = 0; map < 4; map++)
			for (unsigned int i = 0; i < 0x10000; i++) {
				uint8_t code[CODE_MAX] = { 0 };
				unsigned int n = 0;

				if (prefix[p] != 0)
					code[n++] = prefix[p];
				if (map > 0)
					code[n++] = 0x0f;
				if (map > 1)
					code[n++] = map == 2 ? 0x38 : 0x3a;
				code[n++] = (uint8_t)(i >> 8);
				code[n++] = (uint8_t)i;
				one_form(f, mode, code);
			}
}

/* VEX, XOP and EVEX: maps, prefixes, widths, opcodes, a register and memory. */
static void
vector_forms(struct forms *f, unsigned int mode)
{
	static const uint8_t modrm[] = { 0xc1, 0x01, 0xf9, 0x20, 0xd8 };

	for (unsigned int map = 1; map < 12; map++)
		for (unsigned int i = 0; i < 16 * 256 * sizeof(modrm); i++) {
			uint8_t opcode = (uint8_t)(i >> 4);
			uint8_t m = modrm[i >> 12];
			uint8_t pp = i & 3, l = i >> 2 & 1, w = i >> 3 & 1;
			uint8_t last = (uint8_t)(w << 7 | 0x78 | l << 2 | pp);
			const uint8_t vex[CODE_MAX] = { 0xc4,
				(uint8_t)(0xe0 | map), last, opcode, m };
			const uint8_t xop[CODE_MAX] = { 0x8f,
				(uint8_t)(0xe0 | map), last, opcode, m };
			const uint8_t evex[CODE_MAX] = { 0x62,
				(uint8_t)(0xf0 | map),
				(uint8_t)(w << 7 | 0x7c | pp),
				(uint8_t)(l << 5 | 0x08), opcode, m };
			const uint8_t masked[CODE_MAX] = { 0x62,
				(uint8_t)(0xf0 | map),
				(uint8_t)(w << 7 | 0x7c | pp),
				(uint8_t)(l << 6 | 0x09), opcode, m };

			one_form(f, mode, vex);
			one_form(f, mode, xop);
			one_form(f, mode, evex);
			one_form(f, mode, masked);
		}
}

static void
page_names_what_is_missing_and_nothing_else(void **state)
{
	struct forms *f = *state;

	for (unsigned int mode = MODE_16; mode <= MODE_64; mode++) {
		plain_forms(f, mode);
		vector_forms(f, mode);
	}
	for (unsigned int i = 0; i < f->list.n; i++)
		if (!f->list.met[i])
			fail_msg(
			    "no instruction of %s was met", f->list.name[i]);
	print_message("# figure: %lu encodings are there, %lu of %u sets are "
		      "not\n",
	    f->implemented, f->missing, f->list.n);
}

GUEST(f_vaddps, "vaddps %ymm0, %ymm1, %ymm2");
GUEST(f_andn, "andn %eax, %ebx, %ecx");
GUEST(f_movbe, "movbe (%rbx), %eax");
GUEST(f_rdrand, "rdrand %rax");
GUEST(f_xsave, "xsave (%rbx)");
GUEST(f_xgetbv, "xgetbv");
GUEST(f_monitor, "monitor");
GUEST(f_mwait, "mwait");
GUEST(f_sha, "sha1msg1 %xmm0, %xmm1");
GUEST(f_vmxoff, "vmxoff");
GUEST(f_rdfsbase, "rdfsbase %rax");
GUEST(f_stac, "stac");
GUEST(f_evex, "vaddps %zmm0, %zmm1, %zmm2");
GUEST(f_pfadd, "pfadd %mm0, %mm1");
GUEST(f_rsm, "rsm");

static void
missing_instructions_raise_their_exception(void **state)
{
#define FORM(name)               \
	{                        \
		name, name##_end \
	}
	static const struct {
		const uint8_t *code, *end;
	} forms[] = { FORM(f_vaddps), FORM(f_andn), FORM(f_movbe),
		FORM(f_rdrand), FORM(f_xsave), FORM(f_xgetbv), FORM(f_monitor),
		FORM(f_mwait), FORM(f_sha), FORM(f_vmxoff), FORM(f_rdfsbase),
		FORM(f_stac), FORM(f_evex), FORM(f_pfadd), FORM(f_rsm) };
	struct machine *m = *state;

	for (unsigned int i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		begin(m, 0);
		m->state.gpr[CPU_RBX] = DATA;
		load_at(m, CODE, forms[i].code, forms[i].end);
		go_on(m);
		assert_int_equal(stopped_at(m), EXC_UD);
		assert_int_equal(frame(m, 0), CODE);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    page_names_what_is_missing_and_nothing_else, setup_forms,
		    teardown_forms),
		cmocka_unit_test_setup_teardown(
		    missing_instructions_raise_their_exception, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
