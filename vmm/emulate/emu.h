/*
 * emu.h - the inside of the interpreter: a CPU, decoded operations, blocks.
 *
 * Guest code is decoded once (decode.c) into blocks of operation records
 * (block.c) that call each other to the end of the block; nothing outside this
 * folder includes this header.
 *
 * Thread: one virtual CPU of a machine executes at a time, under the VM's lock
 * (engine_emulate.c), so all of this is single-threaded but for the fields that
 * say otherwise.
 */
#ifndef VMM_EMULATE_EMU_H
#define VMM_EMULATE_EMU_H

#include <pthread.h>
#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vmm/cpu_state.h"
#include "vmm/engine.h"
#include "vmm/engine_io.h"
#include "vmm/memory.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

#define PAGE_BYTES UINT64_C(4096)
#define PAGE_MASK  (~(PAGE_BYTES - 1))

/* EFLAGS */
#define FLAG_CF     0x00000001u
#define FLAG_ONE    0x00000002u
#define FLAG_PF     0x00000004u
#define FLAG_AF     0x00000010u
#define FLAG_ZF     0x00000040u
#define FLAG_SF     0x00000080u
#define FLAG_TF     0x00000100u
#define FLAG_IF     0x00000200u
#define FLAG_DF     0x00000400u
#define FLAG_OF     0x00000800u
#define FLAG_IOPL   0x00003000u
#define FLAG_NT     0x00004000u
#define FLAG_RF     0x00010000u
#define FLAG_VM     0x00020000u
#define FLAG_AC     0x00040000u
#define FLAG_VIF    0x00080000u
#define FLAG_VIP    0x00100000u
#define FLAG_ID     0x00200000u
#define FLAGS_ARITH (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF)

#define CR0_PE 0x00000001u
#define CR0_MP 0x00000002u
#define CR0_EM 0x00000004u
#define CR0_TS 0x00000008u
#define CR0_ET 0x00000010u
#define CR0_NE 0x00000020u
#define CR0_WP 0x00010000u
#define CR0_AM 0x00040000u
#define CR0_NW 0x20000000u
#define CR0_CD 0x40000000u
#define CR0_PG 0x80000000u

#define DR6_ALWAYS 0xffff0ff0u /* these read as ones */
#define DR6_HITS   0x0000000fu
#define DR6_BD     0x00002000u /* a debug register was touched */
#define DR6_BS     0x00004000u /* a traced instruction */
#define DR7_ALWAYS 0x00000400u
#define DR7_GD     0x00002000u

#define CR4_TSD        0x00000004u
#define CR4_DE         0x00000008u
#define CR4_PSE        0x00000010u
#define CR4_PAE        0x00000020u
#define CR4_MCE        0x00000040u
#define CR4_PGE        0x00000080u
#define CR4_OSFXSR     0x00000200u
#define CR4_OSXMMEXCPT 0x00000400u
#define CR4_OSXSAVE    0x00040000u /* of a CPU that comes from elsewhere */

#define CR4_KNOWN                                                          \
	(0x3u | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | \
	    0x100u | CR4_OSFXSR | CR4_OSXMMEXCPT)

#define EFER_SCE 0x001u
#define EFER_LME 0x100u
#define EFER_LMA 0x400u
#define EFER_NXE 0x800u

/* Exceptions */
enum {
	EXC_DE = 0,
	EXC_DB = 1,
	EXC_BP = 3,
	EXC_OF = 4,
	EXC_BR = 5,
	EXC_UD = 6,
	EXC_NM = 7,
	EXC_DF = 8,
	EXC_TS = 10,
	EXC_NP = 11,
	EXC_SS = 12,
	EXC_GP = 13,
	EXC_PF = 14,
	EXC_MF = 16,
	EXC_AC = 17,
	EXC_XM = 19,
};

/* Registers that no instruction names: always zero, and the address that a
 * preceding operation of the same instruction computed. */
#define REG_ZERO  16
#define REG_TEMP  17
#define REG_VALUE 18 /* a value on its way from or to memory */

/* Places in seg_base[] beyond the six segments; both are 0.  An address on the
 * stack that is none is another exception. */
#define SEG_NONE  6
#define SEG_STACK 7

/* What the flags follow from, until somebody asks.  Values are sign-extended
 * from the operation's size, so that one comparison serves all sizes. */
enum flags_from {
	FL_RAW,   /* they stand in eflags */
	FL_ADD,   /* res = a + b */
	FL_SUB,   /* res = a - b */
	FL_LOGIC, /* res; no carry, no overflow */
	FL_GIVEN, /* res; CF, AF and OF stand in a */
};

struct emu_cpu;
struct op;

/*
 * An operation's handler.  It continues with the next one itself: compiled with
 * tail calls, a block runs without a loop.  Under a sanitizer, which keeps
 * frames, it returns the next one instead.  NULL leaves the block, cpu->rip
 * being set.
 */
typedef const struct op *(*op_fn)(struct emu_cpu *cpu, const struct op *op);

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EMU_CALL_LOOP /* clang's name for it */
#endif
#endif
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define KEEPS_FRAMES
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || !defined(__OPTIMIZE__)
#define KEEPS_FRAMES
#endif
#ifdef KEEPS_FRAMES
#define EMU_CALL_LOOP
#endif
#ifdef EMU_CALL_LOOP
#define GO(o) return ((void)cpu, (o))
#else
#define GO(o) return (o)->fn(cpu, (o))
#endif
#define NEXT GO(op + 1)

struct op {
	op_fn fn;
	int64_t imm;
	int32_t disp;
	uint8_t dst, src; /* registers; of bytes: their place in gpr[] */
	uint8_t base, index;
	uint8_t scale; /* a shift */
	uint8_t seg;   /* in seg_base[] */
	uint8_t pc;    /* the instruction's offset in its block */
	uint8_t len;   /* and its length */
	uint8_t nth;   /* the instruction's number in its block */
	uint8_t aux;
	uint16_t more;
};
_Static_assert(sizeof(struct op) == 32, "two records a cache line");

/* Where one of a block's exits goes: the two records behind a jump. */
struct link {
	const struct op *to; /* first record of the target, or NULL */
	uint64_t rip;
	uint64_t generation; /* of the mapping it holds for; 0: any */
	uint64_t unused;
};

#define BLOCK_INSNS   32
#define BLOCK_OPS     (2 * BLOCK_INSNS + 8)
#define BLOCK_NO_PAGE UINT64_MAX

struct block {
	uint64_t rip;
	uint64_t phys; /* of its first byte */
	uint32_t bytes;
	uint16_t ninsns;
	uint16_t mode;
	bool dead;
	struct block *next_hash;
	uint64_t page[2]; /* of RAM, that it touches, or BLOCK_NO_PAGE */
	struct block *next_page[2]; /* in the list of each */
	struct op op[];
};

/* What is known of a page of RAM: which 64-byte lines of it hold decoded
 * code, and the blocks. */
struct code_page {
	uint64_t lines;
	struct block *blocks;
};

#define TLB_ENTRIES 1024
#define TLB_INVALID 1u /* no page has this tag */
#define TLB_GONE    3u /* nor this; the entry still stands in used[] */

struct tlb_entry {
	uint64_t tag;    /* virtual page */
	uint64_t addend; /* host address - virtual address */
};

/* Translations for one privilege. */
struct tlb {
	/* One part per kind of access; that of fetches leads to physical
	 * addresses. */
	struct tlb_entry entry[3 * TLB_ENTRIES];
	uint16_t used[3 * TLB_ENTRIES];
	uint8_t shift[3 * TLB_ENTRIES]; /* of the size of its page */
	bool global[3 * TLB_ENTRIES];
	unsigned int nused;
};

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_FETCH };

static inline struct tlb_entry *
tlb_part(struct tlb *tlb, enum access access)
{
	return &tlb->entry[access * TLB_ENTRIES];
}

#define JUMPS 4096

struct jump {
	uint64_t rip;
	uint64_t generation;
	struct block *block;
};

struct emu_vm;

struct emu_cpu {
	struct engine_cpu base;

	/* hot */
	uint64_t gpr[19];
	int64_t budget; /* instructions until the next look around */
	int64_t fl_res, fl_a, fl_b;
	uint32_t fl_from;
	uint32_t eflags; /* arithmetic flags only with FL_RAW */
	uint64_t rip;    /* good between blocks only */
	const struct block *block;
	struct tlb_entry *read, *write, *fetch; /* of the present privilege */
	uint64_t seg_base[8];                   /* ES CS SS DS FS GS 0 0 */
	uint64_t generation;                    /* of the mapping; of no other
						 * CPU's, never 0 */
	uint64_t stack_mask;                    /* how much of RSP counts */
	uint32_t code_limit;                    /* of offsets in CS */
	uint32_t mode;                          /* key of blocks */
	uint8_t cpl;
	bool smc;       /* the code was written to: leave the block */
	bool shadow;    /* no interrupt before the next instruction ... */
	bool shadow_ss; /* ... and no debug exception either */
	struct emu_vm *vm;

	/* system state */
	struct cpu_seg seg[CPU_SEGMENTS];
	struct cpu_table gdt, idt;
	uint64_t cr0, cr2, cr3, cr4, cr8;
	uint64_t xcr0; /* xsave.c */
	uint64_t efer;
	uint64_t dr[4], dr6, dr7;
	uint8_t armed; /* ARMED_*, by DR7 */
	uint8_t hits;  /* of the four, in this instruction */
	uint64_t msr[CPU_MSRS];
	uint64_t mtrr_fixed[CPU_MTRR_FIXED];
	uint64_t mtrr_base[CPU_MTRR_VARIABLE], mtrr_mask[CPU_MTRR_VARIABLE];
	uint64_t star, lstar, cstar, sfmask, kernel_gs;
	uint64_t generations[2]; /* of the system's mapping, of programs' */
	bool private_code; /* the system executes pages that are not global */
	enum cpu_run run;

	/* FXSAVE's image is the state. */
	_Alignas(16) uint8_t fx[512];

	int64_t slice;       /* budget at the start of the slice */
	uint64_t retired;    /* instructions in finished slices */
	uint64_t stop;       /* run() returns when they are so many */
	const struct op *at; /* what asks the machine for something */
	jmp_buf fault;
	uint8_t fault_vector;
	bool fault_has_code;
	uint32_t fault_code;
	bool faulted; /* deliver fault_vector */
	bool trap;    /* INT n: deliver trap_vector */
	uint8_t trap_vector;
	uint8_t trap_length; /* of the instruction, while it is delivered */
	bool single;         /* #DB after this instruction */
	bool delivering;     /* an exception, while delivering_vector */
	uint8_t delivering_vector;
	uint8_t nmi_pending; /* 0 to 2 */
	bool nmi_masked;
	uint8_t pending_vector; /* accepted by inject() */
	bool pending;
	bool want_window;
	bool shutdown;

	struct jump jumps[JUMPS];
	struct tlb tlb[2]; /* supervisor, user */

	atomic_bool kicked;
};

struct emu_vm {
	struct engine_vm base;
	const struct memory *memory;
	const struct engine_io *io;
	uint64_t npages;
	struct code_page *pages;
	struct block **hash;
	uint8_t *arena;
	size_t arena_used;
	uint64_t epoch;       /* counts emu_code_flush() */
	uint64_t generations; /* the last one given to a CPU */
	struct emu_cpu *cpu[ENGINE_CPUS_MAX];
	unsigned int ncpus;
	/* of other processes' devices (ring.c) */
	pthread_mutex_t rings_lock;
	struct engine_ring *rings;
	_Atomic uint64_t ring_pages;
	/* whose turn it is: one CPU executes at a time */
	pthread_mutex_t lock;
	pthread_cond_t turn;
	uint64_t tickets, serving;
};

/* ---- mmu.c: addresses ---- */

/* Slow ways: page crossings, faults, registers of devices, pages with code.
 * They do not return when the access faults.  op NULL: between blocks. */
uint64_t emu_read(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    unsigned int bytes);
void emu_write(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    unsigned int bytes, uint64_t value);
/* Reads what will be written: faults as a write does. */
uint64_t emu_read_rmw(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    unsigned int bytes);

/* The same with supervisor's rights, for tables and stacks of the system. */
uint64_t emu_read_system(struct emu_cpu *cpu, const struct op *op,
    uint64_t addr, unsigned int bytes);
void emu_write_system(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    unsigned int bytes, uint64_t value);

/* Physical address of virtual addr for an access with the present rights;
 * faults. */
uint64_t emu_translate(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    enum access access);

/* Makes [addr, addr + bytes), all in one page, accessible and returns its host
 * address; NULL if that is not plain RAM. */
void *emu_host(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    enum access access);

void emu_tlb_init(struct emu_cpu *cpu);
void emu_flush(struct emu_cpu *cpu);
void emu_flush_private(struct emu_cpu *cpu); /* all but global pages */
void emu_flush_page(struct emu_cpu *cpu, uint64_t addr);
/* In XCR0 and in masks of XSAVE: what an FXSAVE image has. */
#define XSAVE_X87   0x1u
#define XSAVE_SSE   0x2u
#define XSAVE_KNOWN (XSAVE_X87 | XSAVE_SSE)

/* After a change of CPL, CR0, CR4, EFER or CS. */
void emu_set_mode(struct emu_cpu *cpu);

/* ---- debug.c: breakpoints and watchpoints ---- */

/* What DR0 to DR3 wait for. */
#define ARMED_CODE 1u
#define ARMED_DATA 2u
#define ARMED_PORT 4u

/* After a change of the debug registers or CR4. */
void emu_arm(struct emu_cpu *cpu);
/* Is there a breakpoint at the next instruction, which is then not to be
 * executed?  #DB is under way. */
bool emu_break(struct emu_cpu *cpu);
/* Does somebody watch addresses in the page of linear address addr? */
bool emu_watches(const struct emu_cpu *cpu, uint64_t addr);
/* Notes a watched access to memory, or to a port. */
void emu_watch(
    struct emu_cpu *cpu, uint64_t addr, unsigned int bytes, bool write);
void emu_watch_port(struct emu_cpu *cpu, uint16_t port, unsigned int bytes);
/* #DB behind the instruction that was executed, with these bits in DR6 and
 * those of watchpoints. */
void emu_debug_trap(struct emu_cpu *cpu, uint32_t dr6);

/* ---- block.c: code ---- */

/* The block at cpu->rip under the present mapping; faults. */
struct block *emu_block(struct emu_cpu *cpu);
/* RAM at physical addr was or will be written: blocks there die. */
void emu_code_written(struct emu_vm *vm, uint64_t phys, uint64_t bytes);
/* All blocks of all CPUs. */
void emu_code_flush(struct emu_vm *vm);
const struct op *block_head(struct emu_cpu *cpu, const struct op *op);
/* Goes on at cpu->rip. */
const struct op *emu_go(struct emu_cpu *cpu);
/* The same, where op branches to, which faults if there can be no code; sp was
 * the stack pointer before. */
const struct op *emu_branch(
    struct emu_cpu *cpu, const struct op *op, uint64_t sp);
/* Goes on where link leads to, and remembers the way. */
const struct op *emu_follow(struct emu_cpu *cpu, struct link *link);
int emu_code_init(struct emu_vm *vm); /* 0 or -1: no memory */
void emu_code_free(struct emu_vm *vm);

/* ---- ring.c: what other processes write ---- */

/* engine->ring(). */
void emu_ring(struct engine_vm *vm, struct engine_ring *ring, bool on);
/* Are reads of the page at phys to be seen? */
bool emu_is_ring_page(struct emu_vm *vm, uint64_t phys);
/* There was one. */
void emu_ring_read(struct emu_vm *vm, uint64_t phys, unsigned int bytes);

/* ---- decode.c ---- */

/* Bits of a block's mode. */
#define MODE_16   0u
#define MODE_32   1u
#define MODE_64   2u
#define MODE_SIZE 3u
#define MODE_USER 4u /* CPL 3 */
#define MODE_STEP 8u /* traced or with breakpoints: one instruction a block */
#define MODE_REAL 16u
/* Accesses by this segment are to be checked: it has a limit, or not all
 * rights.  Never in 64-bit code. */
#define MODE_CHECK(s) (0x100u << (s))

/* Decodes from code (bytes of it) into block->op.  Returns how many records.
 * At least one instruction, or one that raises #UD. */
unsigned int emu_decode(
    struct block *block, const uint8_t *code, size_t bytes, bool straddles);

/* ---- system.c, deliver.c ---- */

__attribute__((noreturn)) void emu_fault(
    struct emu_cpu *cpu, const struct op *op, unsigned int vector);
__attribute__((noreturn)) void emu_fault_code(struct emu_cpu *cpu,
    const struct op *op, unsigned int vector, uint32_t code);
/* #GP for a program. */
void emu_need_ring0(struct emu_cpu *cpu, const struct op *op);
/* May the program use these ports?  Faults. */
void emu_check_port(struct emu_cpu *cpu, const struct op *op, uint16_t port,
    unsigned int bytes);
/* aux of op is the size. */
uint32_t emu_port_in(struct emu_cpu *cpu, const struct op *op, uint16_t port);
void emu_port_out(
    struct emu_cpu *cpu, const struct op *op, uint16_t port, uint32_t v);
/* What is delivered by the IDT: INT n, an interrupt, or an exception, which
 * may have an error code.  After a fault, the same instruction is not to break
 * again (RF). */
enum event { EVENT_SOFTWARE, EVENT_INTERRUPT, EVENT_EXCEPTION };
void emu_deliver(struct emu_cpu *cpu, unsigned int vector, enum event event,
    bool has_code, uint32_t code);

/* Instructions retired before op; NULL: so far, between blocks. */
uint64_t emu_retired(const struct emu_cpu *cpu, const struct op *op);
/* The time-stamp counter, as the guest sees it in op. */
uint64_t emu_tsc(struct emu_cpu *cpu, const struct op *op);
/* Around what is asked of the machine in the middle of op: it may ask how many
 * instructions are retired, and kick. */
void emu_out(struct emu_cpu *cpu, const struct op *op);
void emu_back(struct emu_cpu *cpu);

static inline bool
canonical(uint64_t addr)
{
	return (uint64_t)((int64_t)(addr << 16) >> 16) == addr;
}

/* ---- flags ---- */

uint32_t emu_flags(struct emu_cpu *cpu); /* all, with bit 1 */

static inline bool
parity_even(int64_t value)
{
	return !__builtin_parity((unsigned int)value & 0xff);
}

static inline bool
flag_cf(const struct emu_cpu *cpu)
{
	switch (cpu->fl_from) {
	case FL_ADD: return (uint64_t)cpu->fl_res < (uint64_t)cpu->fl_a;
	case FL_SUB: return (uint64_t)cpu->fl_a < (uint64_t)cpu->fl_b;
	case FL_LOGIC: return false;
	case FL_GIVEN: return cpu->fl_a & FLAG_CF;
	}
	return cpu->eflags & FLAG_CF;
}

static inline bool
flag_of(const struct emu_cpu *cpu)
{
	switch (cpu->fl_from) {
	case FL_ADD:
		return ((cpu->fl_a ^ cpu->fl_res) & (cpu->fl_b ^ cpu->fl_res)) <
		    0;
	case FL_SUB:
		return ((cpu->fl_a ^ cpu->fl_b) & (cpu->fl_a ^ cpu->fl_res)) <
		    0;
	case FL_LOGIC: return false;
	case FL_GIVEN: return cpu->fl_a & FLAG_OF;
	}
	return cpu->eflags & FLAG_OF;
}

static inline bool
flag_zf(const struct emu_cpu *cpu)
{
	return cpu->fl_from == FL_RAW ? (cpu->eflags & FLAG_ZF) != 0
				      : cpu->fl_res == 0;
}

static inline bool
flag_sf(const struct emu_cpu *cpu)
{
	return cpu->fl_from == FL_RAW ? (cpu->eflags & FLAG_SF) != 0
				      : cpu->fl_res < 0;
}

static inline bool
flag_pf(const struct emu_cpu *cpu)
{
	return cpu->fl_from == FL_RAW ? (cpu->eflags & FLAG_PF) != 0
				      : parity_even(cpu->fl_res);
}

/* A condition by its number in an instruction (SDM 1, appendix B). */
static inline bool
condition(const struct emu_cpu *cpu, unsigned int cc)
{
	bool is;

	switch (cc >> 1) {
	case 0: is = flag_of(cpu); break;
	case 1: is = flag_cf(cpu); break;
	case 2: is = flag_zf(cpu); break;
	case 3:
		is = cpu->fl_from == FL_SUB
		    ? (uint64_t)cpu->fl_a <= (uint64_t)cpu->fl_b
		    : flag_cf(cpu) || flag_zf(cpu);
		break;
	case 4: is = flag_sf(cpu); break;
	case 5: is = flag_pf(cpu); break;
	case 6:
		is = cpu->fl_from == FL_SUB ? cpu->fl_a < cpu->fl_b
					    : flag_sf(cpu) != flag_of(cpu);
		break;
	default:
		is = cpu->fl_from == FL_SUB
		    ? cpu->fl_a <= cpu->fl_b
		    : flag_zf(cpu) || flag_sf(cpu) != flag_of(cpu);
		break;
	}
	return is != (cc & 1);
}

static inline void
flags_set(struct emu_cpu *cpu, enum flags_from from, int64_t a, int64_t b,
    int64_t res)
{
	cpu->fl_from = from;
	cpu->fl_a = a;
	cpu->fl_b = b;
	cpu->fl_res = res;
}

/* The arithmetic flags, into eflags. */
void emu_flags_settle(struct emu_cpu *cpu);

static inline void
flags_put(struct emu_cpu *cpu, uint32_t mask, uint32_t value)
{
	emu_flags_settle(cpu);
	cpu->eflags = (cpu->eflags & ~mask) | (value & mask);
}

/* ---- memory, the fast way ---- */

static inline uint64_t
effective(const struct emu_cpu *cpu, const struct op *op)
{
	return cpu->gpr[op->base] + (cpu->gpr[op->index] << op->scale) +
	    (uint64_t)(int64_t)op->disp + cpu->seg_base[op->seg];
}

static inline void *
tlb_host(const struct tlb_entry *tlb, uint64_t addr, unsigned int bytes)
{
	const struct tlb_entry *e = &tlb[(addr >> 12) % TLB_ENTRIES];

	if (unlikely(e->tag != ((addr + bytes - 1) & PAGE_MASK)))
		return NULL;
	return (void *)(uintptr_t)(addr + e->addend);
}

#define DEFINE_ACCESS(bits)                                          \
	static inline uint##bits##_t load##bits(                     \
	    struct emu_cpu *cpu, const struct op *op, uint64_t addr) \
	{                                                            \
		void *p = tlb_host(cpu->read, addr, (bits) / 8);     \
		uint##bits##_t v;                                    \
                                                                     \
		if (unlikely(p == NULL))                             \
			return (uint##bits##_t)emu_read(             \
			    cpu, op, addr, (bits) / 8);              \
		memcpy(&v, p, sizeof(v));                            \
		return v;                                            \
	}                                                            \
	static inline void store##bits(struct emu_cpu *cpu,          \
	    const struct op *op, uint64_t addr, uint##bits##_t v)    \
	{                                                            \
		void *p = tlb_host(cpu->write, addr, (bits) / 8);    \
                                                                     \
		if (unlikely(p == NULL))                             \
			emu_write(cpu, op, addr, (bits) / 8, v);     \
		else                                                 \
			memcpy(p, &v, sizeof(v));                    \
	}
DEFINE_ACCESS(8)
DEFINE_ACCESS(16)
DEFINE_ACCESS(32)
DEFINE_ACCESS(64)
#undef DEFINE_ACCESS

/* Faults unless bytes from offset on lie in segment s, which has the right. */
void emu_check_segment(struct emu_cpu *cpu, const struct op *op, unsigned int s,
    uint64_t offset, unsigned int bytes, bool write);

/* Where stack pointer sp points to. */
static inline uint64_t
stack_at(struct emu_cpu *cpu, const struct op *op, uint64_t sp,
    unsigned int bytes, bool write)
{
	uint64_t offset = sp & cpu->stack_mask;

	if (unlikely(cpu->mode & MODE_CHECK(CPU_SS)))
		emu_check_segment(cpu, op, CPU_SS, offset, bytes, write);
	return offset + cpu->seg_base[CPU_SS];
}

static inline void
stack_set(struct emu_cpu *cpu, uint64_t sp)
{
	cpu->gpr[CPU_RSP] =
	    (cpu->gpr[CPU_RSP] & ~cpu->stack_mask) | (sp & cpu->stack_mask);
}

/* The nth element from the top; the one that is nth to be pushed. */
static inline uint64_t
stack_read(struct emu_cpu *cpu, const struct op *op, unsigned int bytes,
    unsigned int nth)
{
	uint64_t sp = cpu->gpr[CPU_RSP] + (uint64_t)bytes * nth;

	return emu_read(cpu, op, stack_at(cpu, op, sp, bytes, false), bytes);
}

static inline void
stack_write(struct emu_cpu *cpu, const struct op *op, unsigned int bytes,
    unsigned int nth, uint64_t value)
{
	uint64_t sp = cpu->gpr[CPU_RSP] - (uint64_t)bytes * nth;

	emu_write(cpu, op, stack_at(cpu, op, sp, bytes, true), bytes, value);
}

/* Leaves the block in front of the next instruction. */
static inline const struct op *
leave_after(struct emu_cpu *cpu, const struct op *op)
{
	cpu->rip = cpu->block->rip + op->pc + op->len;
	/* What of the block was not executed is given back. */
	cpu->budget += cpu->block->ninsns - 1 - op->nth;
	return NULL;
}

/* Stops in front of the instruction, which begins again (or goes on) later. */
static inline const struct op *
leave_before(struct emu_cpu *cpu, const struct op *op)
{
	cpu->rip = cpu->block->rip + op->pc;
	cpu->budget += cpu->block->ninsns - op->nth;
	return NULL;
}

static inline uint64_t
next_rip(const struct emu_cpu *cpu, const struct op *op)
{
	return cpu->block->rip + op->pc + op->len;
}

/* The end of an operation that stored to memory. */
#define NEXT_STORED                                  \
	do {                                         \
		if (unlikely(cpu->smc))              \
			return leave_after(cpu, op); \
		NEXT;                                \
	} while (0)

#endif
