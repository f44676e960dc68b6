/*
 * Addresses: paging, the software TLB's slow side, and what is not plain RAM.
 *
 * An access that its TLB misses, that crosses a page, meets a device or writes
 * to a page with decoded code comes here.  Page tables are walked with the
 * accessed and dirty bits kept (SDM 3, 4.8).  Pages with code have no write
 * entries, so that each store to them is seen (block.c).
 *
 * A large page is kept in the TLB by pieces of 4 KiB, which go together when
 * INVLPG names one of them.  Pages of 1 GiB are not there, as CPUID says.
 *
 * Global pages outlive a change of CR3, and so do the ways between blocks of a
 * system that executes global pages alone: programs and the system have a
 * generation each.
 *
 * Device registers are read and written by callback in the middle of an
 * instruction (engine_io).  A read-modify-write instruction reads and writes
 * once each, as a bus would see it.
 */
#include "vmm/emulate/emu.h"

#include <assert.h>

#define PTE_P    UINT64_C(0x001)
#define PTE_W    UINT64_C(0x002)
#define PTE_U    UINT64_C(0x004)
#define PTE_A    UINT64_C(0x020)
#define PTE_D    UINT64_C(0x040)
#define PTE_PS   UINT64_C(0x080)
#define PTE_G    UINT64_C(0x100)
#define PTE_NX   (UINT64_C(1) << 63)
#define PTE_ADDR UINT64_C(0x000ffffffffff000)
/* Above the 40 bits of a physical address that CPUID tells. */
#define PTE_HIGH UINT64_C(0x000fff0000000000)

#define PF_P    0x01u
#define PF_W    0x02u
#define PF_U    0x04u
#define PF_RSVD 0x08u
#define PF_I    0x10u

/* ---- physical memory ---- */

static uint64_t
phys_read(
    struct emu_cpu *cpu, const struct op *op, uint64_t phys, unsigned int bytes)
{
	const struct engine_io *io = cpu->vm->io;
	const void *p = memory_at(cpu->vm->memory, phys, bytes);
	uint64_t value = 0;

	if (p != NULL) {
		memcpy(&value, p, bytes);
		emu_ring_read(cpu->vm, phys, bytes);
		return value;
	}
	emu_out(cpu, op);
	value = io->mmio_read(io->arg, cpu->base.id, phys, bytes);
	emu_back(cpu);
	return value;
}

static void
phys_write(struct emu_cpu *cpu, const struct op *op, uint64_t phys,
    unsigned int bytes, uint64_t value)
{
	const struct engine_io *io = cpu->vm->io;
	void *p = memory_at(cpu->vm->memory, phys, bytes);

	if (p == NULL) {
		emu_out(cpu, op);
		io->mmio_write(io->arg, cpu->base.id, phys, bytes, value);
		emu_back(cpu);
		return;
	}
	memcpy(p, &value, bytes);
	emu_code_written(cpu->vm, phys, bytes);
}

/* ---- page tables ---- */

struct walk {
	uint64_t phys;
	uint64_t flags;     /* P, W, U, NX of all levels; D and G of the last */
	unsigned int shift; /* of the page's size */
};

/* Who accesses: a program, the system's code, or the CPU itself on the way to
 * a table or stack of the system, for which 32-bit code does not cut addresses
 * in long mode. */
enum who { WHO_USER, WHO_KERNEL, WHO_SYSTEM };

static _Noreturn void
page_fault(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    enum access access, bool user, uint32_t code)
{
	cpu->cr2 = addr;
	if (access == ACCESS_WRITE)
		code |= PF_W;
	if (access == ACCESS_FETCH && (cpu->efer & EFER_NXE))
		code |= PF_I;
	if (user)
		code |= PF_U;
	emu_fault_code(cpu, op, EXC_PF, code);
}

/* One table's entry, or a fault. */
static uint64_t
read_entry(struct emu_cpu *cpu, const struct op *op, uint64_t at,
    unsigned int bytes, uint64_t addr, enum access access, bool user)
{
	const void *p = memory_at(cpu->vm->memory, at, bytes);
	uint64_t entry = 0;

	if (p == NULL) /* a table outside RAM reads as not present */
		page_fault(cpu, op, addr, access, user, 0);
	memcpy(&entry, p, bytes);
	if (!(entry & PTE_P))
		page_fault(cpu, op, addr, access, user, 0);
	return entry;
}

/* Sets accessed and dirty bits in the entry at at. */
static void
mark_entry(struct emu_cpu *cpu, uint64_t at, unsigned int bytes, uint64_t entry,
    uint64_t set)
{
	if ((entry & set) == set)
		return;
	entry |= set;
	memcpy(memory_at(cpu->vm->memory, at, bytes), &entry, bytes);
	emu_code_written(cpu->vm, at, bytes);
}

/* Are bits set in an 8-byte entry that have to be clear? */
static bool
reserved(const struct emu_cpu *cpu, uint64_t entry, int level, bool leaf)
{
	uint64_t must_not = PTE_HIGH;

	if (!(cpu->efer & EFER_NXE))
		must_not |= PTE_NX;
	if (level >= 3 && (cpu->efer & EFER_LMA))
		must_not |= PTE_PS;
	if (level == 2 && leaf)
		must_not |= UINT64_C(0x1fe000);
	return entry & must_not;
}

/* Is access allowed by what the walk found? */
static bool
allowed(
    const struct emu_cpu *cpu, uint64_t flags, enum access access, bool user)
{
	if (user && !(flags & PTE_U))
		return false;
	if (access == ACCESS_WRITE && !(flags & PTE_W) &&
	    (user || (cpu->cr0 & CR0_WP)))
		return false;
	return access != ACCESS_FETCH || !(flags & PTE_NX) ||
	    !(cpu->efer & EFER_NXE);
}

static struct walk
walk(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    enum access access, bool user)
{
	bool wide = cpu->cr4 & CR4_PAE;
	int level = (cpu->efer & EFER_LMA) ? 4 : wide ? 3 : 2;
	unsigned int bytes = wide ? 8 : 4, step = wide ? 9 : 10;
	uint64_t table = cpu->cr3 & (wide ? PTE_ADDR : 0xfffff000);
	uint64_t rights = PTE_W | PTE_U, nx = 0, entry = 0, mask;
	uint64_t at = 0;
	bool leaf;

	if (level == 3)
		table = cpu->cr3 & 0xffffffe0;
	for (;; level--) {
		unsigned int shift = 12 + step * (unsigned int)(level - 1);
		uint64_t index = addr >> shift & ((1u << step) - 1);
		bool pdpt = level == 3 && !(cpu->efer & EFER_LMA);

		if (pdpt)
			index &= 3;
		at = table + index * bytes;
		entry = read_entry(cpu, op, at, bytes, addr, access, user);
		/* A PAE directory pointer has neither rights nor A. */
		if (!pdpt) {
			rights &= entry;
			nx |= entry & PTE_NX;
		}
		leaf = level == 1 ||
		    (level == 2 && (entry & PTE_PS) &&
			(wide || (cpu->cr4 & CR4_PSE)));
		if (wide && !pdpt && reserved(cpu, entry, level, leaf))
			page_fault(cpu, op, addr, access, user, PF_P | PF_RSVD);
		mask = (UINT64_C(1) << shift) - 1;
		if (leaf)
			break;
		if (!pdpt)
			mark_entry(cpu, at, bytes, entry, PTE_A);
		table = entry & (wide ? PTE_ADDR : 0xfffff000);
	}
	/* What is refused leaves no mark on the page. */
	if (!allowed(cpu, rights | nx, access, user))
		page_fault(cpu, op, addr, access, user, PF_P);
	if (access == ACCESS_WRITE) {
		mark_entry(cpu, at, bytes, entry, PTE_A | PTE_D);
		entry |= PTE_D;
	} else
		mark_entry(cpu, at, bytes, entry, PTE_A);
	return (struct walk){
		.phys = (entry & (wide ? PTE_ADDR : 0xfffff000) & ~mask) |
		    (addr & mask),
		.flags = rights | nx |
		    (entry & (cpu->cr4 & CR4_PGE ? PTE_D | PTE_G : PTE_D)),
		.shift = (unsigned int)__builtin_popcountll(mask),
	};
}

static struct walk
resolve(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    enum access access, enum who who)
{
	if (!(cpu->cr0 & CR0_PG))
		return (struct walk){ .phys = addr & 0xffffffff,
			.flags = PTE_W | PTE_U | PTE_D,
			.shift = 12 };
	if ((cpu->efer & EFER_LMA) && !canonical(addr))
		emu_fault_code(cpu, op,
		    who != WHO_SYSTEM && op != NULL && op->seg == SEG_STACK
			? EXC_SS
			: EXC_GP,
		    0);
	return walk(cpu, op, addr, access, who == WHO_USER);
}

/* ---- TLB ---- */

static void
tlb_fill(struct tlb *tlb, enum access access, uint64_t addr, uint64_t addend,
    const struct walk *w)
{
	struct tlb_entry *e =
	    &tlb_part(tlb, access)[addr >> 12 & (TLB_ENTRIES - 1)];

	if (e->tag == TLB_INVALID)
		tlb->used[tlb->nused++] = (uint16_t)(e - tlb->entry);
	e->tag = addr & PAGE_MASK;
	e->addend = addend;
	tlb->shift[e - tlb->entry] = (uint8_t)w->shift;
	tlb->global[e - tlb->entry] = (w->flags & PTE_G) != 0;
}

/* Remembers a translation for the next time, as far as that is allowed. */
static void
remember(struct emu_cpu *cpu, uint64_t addr, const struct walk *w,
    enum access access, bool user)
{
	struct tlb *tlb = &cpu->tlb[user];
	uint64_t page = w->phys & PAGE_MASK;
	uint8_t *host;

	if (access == ACCESS_FETCH) {
		if (!user && !(w->flags & PTE_G))
			cpu->private_code = true;
		tlb_fill(tlb, ACCESS_FETCH, addr, page - (addr & PAGE_MASK), w);
		return;
	}
	host = memory_at(cpu->vm->memory, page, PAGE_BYTES);
	if (host == NULL || emu_watches(cpu, addr))
		return;
	if (access == ACCESS_WRITE) {
		uint64_t n = (uint64_t)(host - cpu->vm->memory->base) >> 12;

		if (cpu->vm->pages[n].lines == 0)
			tlb_fill(tlb, ACCESS_WRITE, addr,
			    (uint64_t)(uintptr_t)host - (addr & PAGE_MASK), w);
		if (!allowed(cpu, w->flags, ACCESS_READ, user))
			return;
	}
	if (emu_is_ring_page(cpu->vm, page))
		return;
	tlb_fill(tlb, ACCESS_READ, addr,
	    (uint64_t)(uintptr_t)host - (addr & PAGE_MASK), w);
}

static struct walk
lookup(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    enum access access, enum who who)
{
	struct walk w;

	if (who == WHO_SYSTEM ? !(cpu->efer & EFER_LMA)
			      : (cpu->mode & MODE_SIZE) != MODE_64)
		addr = (uint32_t)addr;
	w = resolve(cpu, op, addr, access, who);
	remember(cpu, addr, &w, access, who == WHO_USER);
	return w;
}

static void
tlb_clear(struct tlb *tlb)
{
	for (unsigned int i = 0; i < tlb->nused; i++)
		tlb->entry[tlb->used[i]].tag = TLB_INVALID;
	tlb->nused = 0;
}

/* The same, but for global pages. */
static void
tlb_clear_private(struct tlb *tlb)
{
	unsigned int left = 0;

	for (unsigned int k = 0; k < tlb->nused; k++) {
		unsigned int i = tlb->used[k];

		if (tlb->global[i] && tlb->entry[i].tag != TLB_GONE)
			tlb->used[left++] = (uint16_t)i;
		else
			tlb->entry[i].tag = TLB_INVALID;
	}
	tlb->nused = left;
}

static void
new_generations(struct emu_cpu *cpu, bool system)
{
	cpu->generations[1] = ++cpu->vm->generations;
	if (system) {
		cpu->generations[0] = ++cpu->vm->generations;
		cpu->private_code = false;
	}
	cpu->generation = cpu->generations[cpu->cpl == 3];
}

void
emu_tlb_init(struct emu_cpu *cpu)
{
	for (int user = 0; user < 2; user++) {
		struct tlb *tlb = &cpu->tlb[user];

		tlb->nused = 0;
		for (unsigned int i = 0; i < 3 * TLB_ENTRIES; i++)
			tlb->entry[i].tag = TLB_INVALID;
	}
}

void
emu_flush(struct emu_cpu *cpu)
{
	tlb_clear(&cpu->tlb[0]);
	tlb_clear(&cpu->tlb[1]);
	new_generations(cpu, true);
}

void
emu_flush_private(struct emu_cpu *cpu)
{
	tlb_clear_private(&cpu->tlb[0]);
	tlb_clear_private(&cpu->tlb[1]);
	new_generations(cpu, cpu->private_code);
}

void
emu_flush_page(struct emu_cpu *cpu, uint64_t addr)
{
	if (!(cpu->efer & EFER_LMA))
		addr = (uint32_t)addr;
	for (int user = 0; user < 2; user++) {
		struct tlb *tlb = &cpu->tlb[user];

		for (unsigned int k = 0; k < tlb->nused; k++) {
			unsigned int i = tlb->used[k];

			if ((tlb->entry[i].tag ^ addr) >> tlb->shift[i] == 0)
				tlb->entry[i].tag = TLB_GONE;
		}
	}
	new_generations(cpu, true);
}

/* ---- accesses ---- */

/* The rights of an ordinary access. */
static enum who
program(const struct emu_cpu *cpu)
{
	return cpu->cpl == 3 ? WHO_USER : WHO_KERNEL;
}

uint64_t
emu_translate(
    struct emu_cpu *cpu, const struct op *op, uint64_t addr, enum access access)
{
	return lookup(cpu, op, addr, access, program(cpu)).phys;
}

void *
emu_host(
    struct emu_cpu *cpu, const struct op *op, uint64_t addr, enum access access)
{
	struct tlb_entry *tlb = access == ACCESS_WRITE ? cpu->write : cpu->read;
	void *p = tlb_host(tlb, addr, 1);
	struct walk w;

	if (p != NULL)
		return p;
	w = lookup(cpu, op, addr, access, program(cpu));
	p = memory_at(cpu->vm->memory, w.phys, 1);
	if (p != NULL && access == ACCESS_READ &&
	    emu_is_ring_page(cpu->vm, w.phys))
		return NULL;
	if (p != NULL && access == ACCESS_WRITE) {
		uint64_t n =
		    (uint64_t)((uint8_t *)p - cpu->vm->memory->base) >> 12;

		if (cpu->vm->pages[n].lines != 0)
			return NULL;
	}
	return p;
}

static bool
crosses(uint64_t addr, unsigned int bytes)
{
	return (addr & ~PAGE_MASK) + bytes > PAGE_BYTES;
}

/* Reads across two pages, both of which are looked at before a byte is read
 * from a device. */
static uint64_t
read_crossing(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    unsigned int bytes, enum access access, enum who as)
{
	unsigned int first = (unsigned int)(PAGE_BYTES - (addr & ~PAGE_MASK));
	struct walk a = lookup(cpu, op, addr, access, as);
	struct walk b = lookup(cpu, op, addr + first, access, as);
	uint64_t low = phys_read(cpu, op, a.phys, first);

	return low | phys_read(cpu, op, b.phys, bytes - first) << 8 * first;
}

static uint64_t
read_as(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    unsigned int bytes, enum access access, enum who as)
{
	if (crosses(addr, bytes))
		return read_crossing(cpu, op, addr, bytes, access, as);
	return phys_read(
	    cpu, op, lookup(cpu, op, addr, access, as).phys, bytes);
}

static void
write_as(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    unsigned int bytes, uint64_t value, enum who as)
{
	unsigned int first;
	struct walk a, b;

	a = lookup(cpu, op, addr, ACCESS_WRITE, as);
	if (!crosses(addr, bytes)) {
		phys_write(cpu, op, a.phys, bytes, value);
		return;
	}
	first = (unsigned int)(PAGE_BYTES - (addr & ~PAGE_MASK));
	b = lookup(cpu, op, addr + first, ACCESS_WRITE, as);
	phys_write(cpu, op, a.phys, first, value);
	phys_write(cpu, op, b.phys, bytes - first, value >> 8 * first);
}

uint64_t
emu_read(
    struct emu_cpu *cpu, const struct op *op, uint64_t addr, unsigned int bytes)
{
	uint64_t value =
	    read_as(cpu, op, addr, bytes, ACCESS_READ, program(cpu));

	if (unlikely(cpu->armed & ARMED_DATA))
		emu_watch(cpu, addr, bytes, false);
	return value;
}

uint64_t
emu_read_rmw(
    struct emu_cpu *cpu, const struct op *op, uint64_t addr, unsigned int bytes)
{
	return read_as(cpu, op, addr, bytes, ACCESS_WRITE, program(cpu));
}

void
emu_write(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    unsigned int bytes, uint64_t value)
{
	write_as(cpu, op, addr, bytes, value, program(cpu));
	if (unlikely(cpu->armed & ARMED_DATA))
		emu_watch(cpu, addr, bytes, true);
}

uint64_t
emu_read_system(
    struct emu_cpu *cpu, const struct op *op, uint64_t addr, unsigned int bytes)
{
	const void *p =
	    tlb_host(tlb_part(&cpu->tlb[0], ACCESS_READ), addr, bytes);
	uint64_t value = 0;

	if (p == NULL)
		return read_as(cpu, op, addr, bytes, ACCESS_READ, WHO_SYSTEM);
	memcpy(&value, p, bytes);
	return value;
}

void
emu_write_system(struct emu_cpu *cpu, const struct op *op, uint64_t addr,
    unsigned int bytes, uint64_t value)
{
	void *p = tlb_host(tlb_part(&cpu->tlb[0], ACCESS_WRITE), addr, bytes);

	if (p == NULL)
		write_as(cpu, op, addr, bytes, value, WHO_SYSTEM);
	else
		memcpy(p, &value, bytes);
}
