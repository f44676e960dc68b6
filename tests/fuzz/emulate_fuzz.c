/* libs: vmm disk net base */
/*
 * Decoder and interpreter: random code in all modes, on a bare CPU with page
 * tables, handlers, devices and a second mapping of the code.
 *
 * The first byte chooses the mode, the next sixteen the registers, one where in
 * its page the code begins, and the rest is code.  It is executed twice: once
 * in one go, once in pieces between which all decoded code is forgotten.  Both
 * must leave the same registers and RAM; a program must leave the system's pages
 * alone; and what the engine keeps of translations and code must fit together.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/no_guest.h"
#include "vmm/emulate/emu.h"
#include "vmm/emulate/engine_emulate.h"
#include "vmm/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RAM       MEMORY_MIN_BYTES
#define TABLES    0x1000
#define GDT       0x5000
#define IDT       0x6000
#define STUBS     0x7000
#define TSS       0x8000
#define RSP0      0xb000 /* downwards */
#define STACK_END 0x9000
#define CODE      0x10000 /* 16 pages */
#define PLAIN     0x20000 /* 16 pages */
#define READ_ONLY 0x30000
#define ALIAS     0x40000 /* of CODE */
#define DEVICE    0x60000
#define MMIO      UINT64_C(0xfd000000)
#define WINDOW    0x10000

#define INSNS_MAX 1000
#define FAULTS    12
#define ASKED_MAX 10000 /* accesses to devices: a string may be long */

/* LIMITED: 32-bit code in small segments; WATCHED: a program under a debugger. */
enum mode { USER64, SYSTEM64, USER32, FLAT32, REAL, LIMITED, WATCHED, MODES };

static bool
is_program(enum mode mode)
{
	return mode == USER64 || mode == USER32 || mode == WATCHED;
}

static bool
is_64(enum mode mode)
{
	return mode == USER64 || mode == SYSTEM64 || mode == WATCHED;
}

static struct memory memory;
static struct engine_io io;
static struct engine_vm *vm;
static struct engine_cpu *cpu;
static struct cpu_state reset;
static uint8_t *pristine;
static unsigned int asked;

/* ---- devices that always say the same ---- */

static void
count_access(void)
{
	if (++asked >= ASKED_MAX)
		engine_emulate.kick(cpu);
}

static uint32_t
port_in(void *arg, unsigned int id, uint16_t port, unsigned int bytes)
{
	count_access();
	(void)arg;
	(void)id;
	assert(bytes == 1 || bytes == 2 || bytes == 4);
	return port * 0x01010101u & (uint32_t)(UINT64_MAX >> (64 - 8 * bytes));
}

static void
port_out(void *arg, unsigned int id, uint16_t port, unsigned int bytes,
    uint32_t value)
{
	count_access();
	(void)arg;
	(void)id;
	(void)port;
	assert(bytes == 4 || value >> 8 * bytes == 0);
}

static uint64_t
mmio_read(void *arg, unsigned int id, uint64_t address, unsigned int bytes)
{
	count_access();
	(void)arg;
	(void)id;
	assert(bytes >= 1 && bytes <= 8);
	assert((address & 4095) + bytes <= 4096);
	return address * UINT64_C(0x9e3779b97f4a7c15) >> (64 - 8 * bytes);
}

static void
mmio_write(void *arg, unsigned int id, uint64_t address, unsigned int bytes,
    uint64_t value)
{
	count_access();
	(void)arg;
	(void)id;
	(void)value;
	assert(bytes >= 1 && bytes <= 8);
	assert((address & 4095) + bytes <= 4096);
}

static bool
msr_read(void *arg, unsigned int id, uint32_t index, uint64_t *value)
{
	(void)arg;
	(void)id;
	*value = index;
	return index % 2 == 0;
}

static bool
msr_write(void *arg, unsigned int id, uint32_t index, uint64_t value)
{
	(void)arg;
	(void)id;
	(void)value;
	return index % 2 == 0;
}

static uint8_t
get_tpr(void *arg, unsigned int id)
{
	(void)arg;
	(void)id;
	return 3;
}

static void
set_tpr(void *arg, unsigned int id, uint8_t priority)
{
	(void)arg;
	(void)id;
	assert(priority < 16);
}

static uint64_t
tsc(void *arg, unsigned int id, uint64_t n)
{
	(void)arg;
	(void)id;
	return n;
}

/* ---- the machine ---- */

static void
put64(uint64_t at, uint64_t value)
{
	memcpy(pristine + at, &value, 8);
}

static void
map(uint64_t at, uint64_t entry)
{
	/* Accessed and dirty already, so that only writes show. */
	put64(TABLES + 0x3000 + (at >> 12) * 8, entry | 0x60);
}

static void
fill(void)
{
	static const uint64_t gdt[] = { 0, 0x00af9b000000ffff,
		0x00cf93000000ffff, 0x00cffb000000ffff, 0x00cff3000000ffff,
		0x00affb000000ffff, 0x00008b0080000067, 0, 0x00cf9b000000ffff };

	for (unsigned int i = 0; i < 3; i++)
		put64(TABLES + i * 0x1000, (TABLES + (i + 1) * 0x1000) | 0x67);
	for (uint64_t at = 0x1000; at < CODE; at += 4096)
		map(at, at | 3);
	for (uint64_t i = 0; i < WINDOW; i += 4096) {
		map(CODE + i, (CODE + i) | 7);
		map(PLAIN + i, (PLAIN + i) | 7);
		map(ALIAS + i, (CODE + i) | 7);
	}
	map(READ_ONLY, READ_ONLY | 5);
	map(DEVICE, MMIO | 7);
	for (unsigned int i = 0; i < sizeof(gdt) / 8; i++)
		put64(GDT + 8 * i, gdt[i]);
	put64(TSS + 4, RSP0);
	put64(TSS + 96, UINT64_C(0x68) << 48);
	for (unsigned int v = 0; v < 256; v++) {
		uint64_t to = STUBS + 16 * v;

		put64(to, 0xfdebf4);
		put64(IDT + 16 * v,
		    (to & 0xffff) | 8u << 16 |
			(v < 128 ? UINT64_C(0x8e00) : UINT64_C(0xee00)) << 32);
	}
	for (unsigned int i = 0; i < WINDOW; i++)
		pristine[PLAIN + i] = (uint8_t)(i * 37 + i / 256);
}

static void
make(void)
{
	struct engine_config config = {
		.memory = &memory, .ncpus = 1, .io = &io
	};
	struct err err;

	memory.fd = -1;
	if (memory_init(&memory, RAM, &err) < 0)
		abort();
	pristine = calloc(1, RAM);
	fill();
	io = (struct engine_io){ .port_in = port_in,
		.port_out = port_out,
		.mmio_read = mmio_read,
		.mmio_write = mmio_write,
		.msr_read = msr_read,
		.msr_write = msr_write,
		.get_tpr = get_tpr,
		.set_tpr = set_tpr,
		.tsc = tsc,
		.tsc_khz = 1000000,
		.apic_khz = 1000000 };
	vm = engine_emulate.vm_new(&config, &err);
	cpu = engine_emulate.cpu_new(vm, &err);
	engine_emulate.state_get(cpu, &reset, &err);
}

/* ---- an input ---- */

struct input {
	enum mode mode;
	uint64_t gpr[16];
	uint64_t start;
	const uint8_t *code;
	size_t bytes;
};

/* A register: an address that means something, or a number. */
static uint64_t
register_of(uint8_t byte)
{
	static const uint64_t place[] = { CODE, CODE + 0xffc, PLAIN,
		PLAIN + 0x1000 - 4, PLAIN + 0x8000, ALIAS, READ_ONLY, DEVICE,
		DEVICE + 0xffd, 0x50000, TABLES + 0x3000 + 0x100,
		UINT64_C(0x00007ffffffffff8), UINT64_C(0x8000000000000000),
		UINT64_MAX, 0x80, 0xffffffff };

	return byte < 128 ? byte & 63
			  : place[byte & 15] + (byte >> 4 & 7) * 0x11;
}

static bool
read_input(struct input *in, const uint8_t *data, size_t size)
{
	if (size < 19)
		return false;
	in->mode = data[0] % MODES;
	for (unsigned int i = 0; i < 16; i++)
		in->gpr[i] = register_of(data[1 + i]);
	in->gpr[CPU_RSP] = PLAIN + 0x4000 + (data[1 + CPU_RSP] & 15);
	in->start = CODE + 0xf00 + data[17];
	in->code = data + 18;
	in->bytes = size - 18 < 0x2000 ? size - 18 : 0x2000;
	return true;
}

static struct cpu_seg
segment(uint16_t selector, uint32_t attributes)
{
	return (struct cpu_seg){ .selector = selector,
		.limit = 0xffffffff,
		.attributes = attributes };
}

/* Small segments, one of which grows downwards, and one is read-only. */
static void
limit(struct cpu_state *s)
{
	s->seg[CPU_CS].base = CODE;
	s->seg[CPU_CS].limit = WINDOW - 1;
	s->seg[CPU_DS].limit = PLAIN + 0x8fff;
	s->seg[CPU_ES].base = PLAIN;
	s->seg[CPU_ES].limit = 0x40;
	s->seg[CPU_SS].limit = PLAIN + 0x4003;
	s->seg[CPU_FS].attributes = 0xc097;
	s->seg[CPU_FS].limit = PLAIN;
	s->seg[CPU_GS].attributes = 0xc091;
}

/* A breakpoint, writes of 8 bytes, accesses to 4, a port. */
static void
watch(const struct input *in, struct cpu_state *s)
{
	s->dr[0] = in->start + in->code[0] % 16;
	s->dr[1] = PLAIN + 0x4008;
	s->dr[2] = PLAIN + 0x1000;
	s->dr[3] = 0x70;
	s->dr7 = 0x400 | 0xaa | UINT64_C(0x2f90) << 16;
	s->cr4 |= CR4_DE;
}

static void
begin(const struct input *in, struct cpu_state *s)
{
	unsigned int cpl = is_program(in->mode) ? 3 : 0;
	bool lma = is_program(in->mode) || is_64(in->mode);
	uint32_t code = is_64(in->mode) ? 0xa09b : 0xc09b;

	memcpy(memory.base, pristine, RAM);
	memcpy(memory.base + in->start, in->code, in->bytes);
	emu_code_flush((struct emu_vm *)vm);
	*s = reset;
	memcpy(s->gpr, in->gpr, sizeof(s->gpr));
	s->rip = in->start;
	s->rflags = 2;
	for (unsigned int i = CPU_ES; i <= CPU_GS; i++)
		s->seg[i] =
		    segment(cpl == 3 ? 0x23 : 0x10, 0xc093 | CPU_SEG_DPL(cpl));
	s->seg[CPU_CS] = segment(is_64(in->mode) && cpl == 3 ? 0x2b
		: in->mode == USER32                         ? 0x1b
		: in->mode == SYSTEM64                       ? 8
							     : 0x40,
	    code | CPU_SEG_DPL(cpl));
	if (in->mode == LIMITED) {
		limit(s);
		s->rip = in->start - CODE;
	}
	if (in->mode == REAL) {
		for (unsigned int i = CPU_ES; i <= CPU_GS; i++)
			s->seg[i] = (struct cpu_seg){ .selector = PLAIN >> 4,
				.base = PLAIN,
				.limit = 0xffff,
				.attributes = 0x93 };
		s->seg[CPU_CS].selector = CODE >> 4;
		s->seg[CPU_CS].base = CODE;
		s->seg[CPU_CS].attributes = 0x9b;
		s->rip = in->start - CODE;
	}
	s->seg[CPU_TR] = segment(0x30, 0x8b);
	s->seg[CPU_TR].base = TSS;
	s->seg[CPU_TR].limit = 0x67;
	s->gdt = (struct cpu_table){ GDT, 0x47 };
	s->idt = (struct cpu_table){ IDT, lma ? 0xfff : 0 };
	s->cr0 = in->mode == REAL ? CR0_ET
	    : lma                 ? CR0_PE | CR0_PG | CR0_WP | CR0_NE | CR0_ET
				  : CR0_PE | CR0_ET;
	s->cr3 = lma ? TABLES : 0;
	s->cr4 = lma ? CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT : CR4_OSFXSR;
	s->msr_valid = reset.msr_valid;
	s->msr[CPU_MSR_EFER] = lma ? EFER_LME | EFER_LMA | EFER_NXE : 0;
	if (in->mode == WATCHED)
		watch(in, s);
	/* A program has no system to call. */
	if (in->mode == SYSTEM64)
		s->msr[CPU_MSR_EFER] |= EFER_SCE;
}

/* Behind the byte at which the handler was called. */
static bool
resume(const struct input *in, struct cpu_state *s)
{
	uint64_t at = s->rip - 1 - STUBS, rsp = s->gpr[CPU_RSP], frame[5];
	bool code;

	if (at % 16 != 0 || at / 16 > 255 || !is_program(in->mode))
		return false;
	at /= 16;
	code = at == 8 || (at >= 10 && at <= 14) || at == 17;
	assert(rsp >= STACK_END && rsp + 40 + 8 * code <= RSP0);
	memcpy(frame, memory.base + rsp + 8 * code, sizeof(frame));
	s->rip = frame[0] + 1;
	if (is_64(in->mode) &&
	    (uint64_t)((int64_t)(s->rip << 16) >> 16) != s->rip)
		return false;
	s->rflags = frame[2];
	s->gpr[CPU_RSP] = frame[3];
	/* Far transfers go between the two kinds of user code. */
	s->seg[CPU_CS] = segment((uint16_t)frame[1],
	    (frame[1] == 0x2b ? 0xa09b : 0xc09b) | CPU_SEG_DPL(3));
	s->seg[CPU_SS] = segment(0x23, 0xc093 | CPU_SEG_DPL(3));
	s->run = CPU_RUNNING;
	return true;
}

/* ---- what must hold at any end of run() ---- */

static void
check_engine(void)
{
	const struct emu_vm *evm = (const struct emu_vm *)vm;
	const struct emu_cpu *ecpu = (const struct emu_cpu *)cpu;
	uint64_t base = (uint64_t)(uintptr_t)memory.base;

	assert(ecpu->gpr[REG_ZERO] == 0);
	assert(ecpu->seg_base[SEG_NONE] == 0 && ecpu->seg_base[SEG_STACK] == 0);
	assert(ecpu->cpl <= 3);
	for (int user = 0; user < 2; user++) {
		const struct tlb *tlb = &ecpu->tlb[user];

		assert(tlb->nused <= 3 * TLB_ENTRIES);
		for (unsigned int k = 0; k < tlb->nused; k++) {
			unsigned int i = tlb->used[k];
			const struct tlb_entry *e = &tlb->entry[i];
			uint64_t n = (e->tag + e->addend - base) >> 12;

			if (e->tag & 1 || i >= 2 * TLB_ENTRIES)
				continue;
			assert(n < evm->npages);
			/* Stores to code are seen. */
			assert(i < TLB_ENTRIES || evm->pages[n].lines == 0);
		}
	}
}

/* A program changes its own pages, and the system's stack by what it does. */
static void
check_protection(const struct input *in)
{
	if (!is_program(in->mode))
		return;
	assert(memcmp(memory.base, pristine, STACK_END) == 0);
	assert(memcmp(memory.base + RSP0, pristine + RSP0, CODE - RSP0) == 0);
	assert(memcmp(memory.base + PLAIN + WINDOW, pristine + PLAIN + WINDOW,
		   RAM - PLAIN - WINDOW) == 0);
}

/* Padding to zeros, so that states can be compared as bytes. */
static void
tidy(struct cpu_state *s)
{
	for (unsigned int i = 0; i < CPU_SEGMENTS; i++) {
		struct cpu_seg seg = s->seg[i];

		memset(&s->seg[i], 0, sizeof(seg));
		s->seg[i].base = seg.base;
		s->seg[i].limit = seg.limit;
		s->seg[i].attributes = seg.attributes;
		s->seg[i].selector = seg.selector;
	}
	for (unsigned int i = 0; i < 2; i++) {
		struct cpu_table *to = i == 0 ? &s->gdt : &s->idt, table = *to;

		memset(to, 0, sizeof(*to));
		to->base = table.base;
		to->limit = table.limit;
	}
}

static void
check_state(const struct cpu_state *s)
{
	static struct cpu_state again;

	if (s->cr0 & CR0_PG && s->msr[CPU_MSR_EFER] & EFER_LMA &&
	    s->run == CPU_HALTED)
		assert(canonical(s->rip));
	assert(engine_emulate.state_set(cpu, s, NULL) == 0);
	assert(engine_emulate.state_get(cpu, &again, NULL) == 0);
	tidy(&again);
	assert(memcmp(s, &again, sizeof(again)) == 0);
}

/* Executes it, in pieces of so many instructions; the state at the end. */
static void
execute(const struct input *in, uint64_t piece, struct cpu_state *s)
{
	struct engine_exit exit;
	unsigned int faults = 0;
	/* The count begins anew, so that both runs read the same one. */
	uint64_t stop = INSNS_MAX, at = 0;

	asked = 0;
	((struct emu_cpu *)cpu)->retired = 0;
	begin(in, s);
	assert(engine_emulate.state_set(cpu, s, NULL) == 0);
	for (;;) {
		at = at + piece < stop ? at + piece : stop;
		engine_emulate.stop_at(cpu, at);
		engine_emulate.run(cpu, &exit);
		check_engine();
		assert(engine_emulate.retired(cpu) < at + BLOCK_INSNS ||
		    piece < stop);
		if (exit.kind == EXIT_HALT) {
			engine_emulate.state_get(cpu, s, NULL);
			if (faults++ == FAULTS || !resume(in, s))
				break;
			engine_emulate.state_set(cpu, s, NULL);
		} else if (exit.kind == EXIT_SHUTDOWN || asked >= ASKED_MAX ||
		    engine_emulate.retired(cpu) >= stop)
			break;
		if (piece < stop) {
			emu_code_written((struct emu_vm *)vm, 0, RAM);
			/* An end further on, wherever the last one was. */
			at = engine_emulate.retired(cpu);
		}
	}
	engine_emulate.state_get(cpu, s, NULL);
	tidy(s);
	check_protection(in);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct cpu_state whole, pieces;
	static uint8_t left[RAM];
	struct input in;

	if (vm == NULL)
		make();
	if (!read_input(&in, data, size))
		return -1;
	execute(&in, INSNS_MAX, &whole);
	memcpy(left, memory.base, RAM);
	execute(&in, 5 + data[17] % 61, &pieces);
	assert(memcmp(&whole, &pieces, sizeof(whole)) == 0);
	assert(memcmp(left, memory.base, RAM) == 0);
	check_state(&pieces);
	return 0;
}
