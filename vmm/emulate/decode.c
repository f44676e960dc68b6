/*
 * Decoding: guest instructions to operation records, by Zydis.
 *
 * One instruction becomes one record, or a few: an address of 16 or 32 bits,
 * or one that does not fit a displacement, is computed by a record of its own
 * into REG_TEMP; an operand in memory of a rare operation goes through
 * REG_VALUE.  A comparison directly before a conditional jump melts into it.
 *
 * After the block is whole, a walk backwards finds the flags that nobody reads
 * before they are set again, and takes the handlers that do not compute them.
 * Limits: the handler of an instruction's fault finds arithmetic flags of an
 * older instruction, if those of the time would be overwritten before anybody
 * read them; and so does code that is changed by a store of its own block, if
 * it reads flags that the old code did not.
 */
#include "vmm/emulate/decode_parts.h"

#include <pthread.h>

static ZydisDecoder decoders[3];
static pthread_once_t decoders_once = PTHREAD_ONCE_INIT;

static void
init_decoders(void)
{
	ZydisDecoderInit(&decoders[MODE_16], ZYDIS_MACHINE_MODE_LEGACY_16,
	    ZYDIS_STACK_WIDTH_16);
	ZydisDecoderInit(&decoders[MODE_32], ZYDIS_MACHINE_MODE_LEGACY_32,
	    ZYDIS_STACK_WIDTH_32);
	ZydisDecoderInit(&decoders[MODE_64], ZYDIS_MACHINE_MODE_LONG_64,
	    ZYDIS_STACK_WIDTH_64);
	/* A CPU without these reads their encodings as older instructions. */
	for (int i = 0; i < 3; i++) {
		ZydisDecoderEnableMode(
		    &decoders[i], ZYDIS_DECODER_MODE_TZCNT, ZYAN_FALSE);
		ZydisDecoderEnableMode(
		    &decoders[i], ZYDIS_DECODER_MODE_LZCNT, ZYAN_FALSE);
		ZydisDecoderEnableMode(
		    &decoders[i], ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
		ZydisDecoderEnableMode(
		    &decoders[i], ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
		ZydisDecoderEnableMode(
		    &decoders[i], ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
		ZydisDecoderEnableMode(
		    &decoders[i], ZYDIS_DECODER_MODE_WBNOINVD, ZYAN_FALSE);
	}
}

static void
make(struct maker *m)
{
	if (m->in.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		decode_undefined(m); /* VEX and its like */
	else if (decode_integer(m) || decode_flow(m) || decode_string(m) ||
	    decode_system(m))
		return;
	else if (x87_known(m->in.mnemonic))
		decode_x87(m);
	else if (sse_known(m->in.mnemonic))
		decode_sse(m);
	else
		decode_undefined(m);
}

/* ---- blocks ---- */

/* Takes the handlers without flags where nobody will look at the flags. */
static void
drop_dead_flags(struct maker *m)
{
	bool live = true;

	for (unsigned int n = m->nops; n-- > 1;) {
		if (!live && m->without[n] != NULL) {
			m->block->op[n].fn = m->without[n];
			live = m->reads_without[n];
			continue;
		}
		if (m->writes[n])
			live = false;
		if (m->reads[n])
			live = true;
	}
}

unsigned int
emu_decode(
    struct block *block, const uint8_t *code, size_t bytes, bool straddles)
{
	unsigned int size = block->mode & MODE_SIZE;
	unsigned int most =
	    straddles || (block->mode & MODE_STEP) ? 1 : BLOCK_INSNS;
	struct maker m = { .block = block, .code64 = size == MODE_64 };
	struct op *head;

	pthread_once(&decoders_once, init_decoders);
	head = decode_emit(&m, block_head);
	head->imm = (int64_t)(uintptr_t)block;
	while (
	    !m.ended && m.nth < most && m.nops + 8 < BLOCK_OPS && m.pc < 240) {
		ZyanStatus status = ZydisDecoderDecodeFull(
		    &decoders[size], code + m.pc, bytes - m.pc, &m.in, m.o);

		if (ZYAN_FAILED(status)) {
			if (status == ZYDIS_STATUS_NO_MORE_DATA) {
				if (m.nth == 0 && !straddles)
					return 0;
				break; /* the next block's affair */
			}
			m.in.length = 1;
			decode_emit(&m,
			    status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG
				? op_refused
				: op_undefined);
			m.ended = true;
		} else {
			m.next = block->rip + m.pc + m.in.length;
			make(&m);
		}
		m.pc = (uint8_t)(m.pc + m.in.length);
		m.nth++;
	}
	block->bytes = m.pc;
	block->ninsns = m.nth;
	if (!m.ended) {
		decode_emit(&m, op_jmp);
		decode_link(&m, block->rip + m.pc);
	}
	drop_dead_flags(&m);
	return m.nops;
}
