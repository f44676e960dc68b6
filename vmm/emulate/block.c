/*
 * Blocks: decoded code, found by address, linked to each other, and dropped
 * when somebody writes to the bytes they came from.
 *
 * A block is keyed by the physical and the virtual address of its first byte
 * and by the mode, so that it outlives changes of the page tables, and code
 * that is mapped twice is decoded twice.  It ends in its page; an instruction
 * that straddles two is a block of its own that belongs to both.
 *
 * A direct jump remembers the block it leads to.  Inside a page that holds for
 * ever: who executes a page has looked its mapping up.  Across pages it holds
 * under the same generation of the mapping.  A block that dies stays in the
 * arena with another handler at its head, so that links to it come out; when
 * the arena is full, all blocks go at once.
 *
 * Stores are judged by lines of 64 bytes: the Linux kernel patches itself a
 * hundred thousand times while it boots, and next to each patch lies code that
 * did not change.
 */
#include "vmm/emulate/emu.h"

#include <assert.h>
#include <sys/mman.h>

#define ARENA_BYTES (UINT64_C(96) << 20)
#define HASH_SLOTS  (1u << 17)

static unsigned int
hash_of(uint64_t phys, uint64_t rip, uint32_t mode)
{
	uint64_t h = (phys ^ rip << 7 ^ mode) * UINT64_C(0x9e3779b97f4a7c15);

	return (unsigned int)(h >> 47);
}

static_assert(HASH_SLOTS == 1u << (64 - 47), "hash_of() fits the table");

/* ---- the head of every block ---- */

const struct op *
block_head(struct emu_cpu *cpu, const struct op *op)
{
	const struct block *block = (const struct block *)(uintptr_t)op->imm;

	cpu->budget -= block->ninsns;
	if (unlikely(cpu->budget < 0)) {
		cpu->budget += block->ninsns;
		cpu->rip = block->rip;
		return NULL;
	}
	cpu->block = block;
	NEXT;
}

/* The head of a block whose code has changed. */
static const struct op *
block_dead(struct emu_cpu *cpu, const struct op *op)
{
	cpu->rip = ((const struct block *)(uintptr_t)op->imm)->rip;
	return NULL;
}

/* The same after the code was decoded anew: op[1] knows where. */
static const struct op *
block_moved(struct emu_cpu *cpu, const struct op *op)
{
	GO((const struct op *)(uintptr_t)op[1].imm);
}

/* ---- writes to code ---- */

static uint64_t
lines_of(uint64_t first, uint64_t bytes)
{
	uint64_t a = first / 64, b = (first + bytes - 1) / 64;

	return (b >= 63 ? ~UINT64_C(0) : (UINT64_C(1) << (b + 1)) - 1) &
	    ~((UINT64_C(1) << a) - 1);
}

/* The lines of page n of RAM that block covers.  Both its pages may be that
 * one. */
static uint64_t
block_lines(const struct block *block, uint64_t n)
{
	uint64_t at = block->phys & ~PAGE_MASK, end = at + block->bytes;
	uint64_t lines = 0;

	if (block->page[0] == n)
		lines =
		    lines_of(at, (end > PAGE_BYTES ? PAGE_BYTES : end) - at);
	if (block->page[1] == n)
		lines |= lines_of(0, end - PAGE_BYTES);
	return lines;
}

static void
kill_block(struct emu_vm *vm, struct block *block)
{
	block->dead = true; /* and found in the hash by its successor */
	block->op[0].fn = block_dead;
	for (unsigned int i = 0; i < vm->ncpus; i++) {
		struct emu_cpu *cpu = vm->cpu[i];

		if (cpu->block == block)
			cpu->smc = true;
		/* jumps[] is tested for dead blocks when it is used */
	}
}

/* Which of its page links belongs to page n: 0 for the first page. */
static unsigned int
page_side(const struct block *block, uint64_t n)
{
	return block->page[0] != n;
}

static void
page_written(struct emu_vm *vm, uint64_t n, uint64_t lines)
{
	struct code_page *page = &vm->pages[n];
	struct block **at = &page->blocks;
	uint64_t left = 0;

	if (!(page->lines & lines))
		return;
	while (*at != NULL) {
		struct block *block = *at;
		struct block **next = &block->next_page[page_side(block, n)];
		uint64_t covers = block_lines(block, n);

		if (!block->dead && (covers & lines))
			kill_block(vm, block);
		if (block->dead)
			*at = *next;
		else {
			left |= covers;
			at = next;
		}
	}
	page->lines = left;
}

void
emu_code_written(struct emu_vm *vm, uint64_t phys, uint64_t bytes)
{
	while (bytes > 0) {
		uint64_t in = phys & ~PAGE_MASK;
		uint64_t part =
		    PAGE_BYTES - in < bytes ? PAGE_BYTES - in : bytes;
		const uint8_t *host = memory_at(vm->memory, phys, part);

		if (host != NULL) {
			uint64_t n = (uint64_t)(host - vm->memory->base) >> 12;

			if (vm->pages[n].lines != 0)
				page_written(vm, n, lines_of(in, part));
		}
		phys += part;
		bytes -= part;
	}
}

/* Stores to page n must be seen from now on: no CPU writes to it directly. */
static void
withhold_writes(struct emu_vm *vm, uint64_t n)
{
	uint64_t host = (uint64_t)(uintptr_t)vm->memory->base + (n << 12);

	for (unsigned int i = 0; i < vm->ncpus; i++)
		for (int user = 0; user < 2; user++) {
			struct tlb *tlb = &vm->cpu[i]->tlb[user];

			for (unsigned int k = 0; k < tlb->nused; k++) {
				struct tlb_entry *e = &tlb->entry[tlb->used[k]];

				if (tlb->used[k] / TLB_ENTRIES == 1 &&
				    e->tag + e->addend == host)
					e->tag = TLB_GONE;
			}
		}
}

static void
page_add(struct emu_vm *vm, struct block *block, unsigned int side)
{
	struct code_page *page = &vm->pages[block->page[side]];

	if (page->lines == 0)
		withhold_writes(vm, block->page[side]);
	page->lines |= block_lines(block, block->page[side]);
	if (side == 1 && block->page[0] == block->page[1])
		return; /* it is there */
	block->next_page[side] = page->blocks;
	page->blocks = block;
}

void
emu_code_flush(struct emu_vm *vm)
{
	memset(vm->hash, 0, HASH_SLOTS * sizeof(vm->hash[0]));
	memset(vm->pages, 0, vm->npages * sizeof(vm->pages[0]));
	vm->arena_used = 0;
	vm->epoch++;
	for (unsigned int i = 0; i < vm->ncpus; i++) {
		memset(vm->cpu[i]->jumps, 0, sizeof(vm->cpu[i]->jumps));
		vm->cpu[i]->block = NULL;
	}
}

/* Address space that takes room as it is used. */
static void *
reserve(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int
emu_code_init(struct emu_vm *vm)
{
	vm->npages = vm->memory->size_bytes >> 12;
	vm->pages = reserve(vm->npages * sizeof(vm->pages[0]));
	vm->hash = reserve(HASH_SLOTS * sizeof(vm->hash[0]));
	vm->arena = reserve(ARENA_BYTES);
	return vm->pages == NULL || vm->hash == NULL || vm->arena == NULL ? -1
									  : 0;
}

void
emu_code_free(struct emu_vm *vm)
{
	if (vm->pages != NULL)
		munmap(vm->pages, vm->npages * sizeof(vm->pages[0]));
	if (vm->hash != NULL)
		munmap(vm->hash, HASH_SLOTS * sizeof(vm->hash[0]));
	if (vm->arena != NULL)
		munmap(vm->arena, ARENA_BYTES);
}

/* ---- finding and making ---- */

/* Where the next instruction lies. */
static uint64_t
linear(const struct emu_cpu *cpu)
{
	return cpu->rip + cpu->seg_base[CPU_CS];
}

static bool
straddles(const struct block *block)
{
	return (block->phys & ~PAGE_MASK) + block->bytes > PAGE_BYTES;
}

/* Puts a new block where it is found, and behind dead ones of the same key,
 * which links may still lead to. */
static void
enter_block(struct emu_vm *vm, struct block *block)
{
	struct block **slot =
	    &vm->hash[hash_of(block->phys, block->rip, block->mode)];
	struct block **at = slot;

	while (*at != NULL) {
		struct block *old = *at;

		if (old->dead && old->phys == block->phys &&
		    old->rip == block->rip && old->mode == block->mode) {
			old->op[0].fn = block_moved;
			old->op[1].imm = (int64_t)(uintptr_t)block->op;
			*at = old->next_hash;
		} else
			at = &old->next_hash;
	}
	block->next_hash = *slot;
	*slot = block;
}

static uint64_t
page_number(const struct emu_vm *vm, uint64_t phys)
{
	const uint8_t *host = memory_at(vm->memory, phys, 1);

	return (uint64_t)(host - vm->memory->base) >> 12;
}

/* Decodes an instruction that begins in the page at host and ends in the page
 * that is mapped behind it; *second is where that lies. */
static unsigned int
decode_straddling(struct emu_cpu *cpu, struct block *block, const uint8_t *host,
    size_t have, uint64_t *second)
{
	uint8_t code[32];
	const uint8_t *rest;

	*second = emu_translate(
	    cpu, NULL, (linear(cpu) | ~PAGE_MASK) + 1, ACCESS_FETCH);
	rest = memory_at(cpu->vm->memory, *second, 16);
	if (rest == NULL)
		emu_fault_code(cpu, NULL, EXC_GP, 0);
	memcpy(code, host, have);
	memcpy(code + have, rest, 15);
	return emu_decode(block, code, have + 15, true);
}

/* Of most bytes at rip, those that the code segment has.  None: a fault. */
static size_t
within_limit(struct emu_cpu *cpu, size_t most)
{
	if (likely(cpu->code_limit == UINT32_MAX))
		return most;
	if (cpu->rip > cpu->code_limit)
		emu_fault_code(cpu, NULL, EXC_GP, 0);
	return cpu->code_limit - cpu->rip < most
	    ? (size_t)(cpu->code_limit - cpu->rip + 1)
	    : most;
}

static struct block *
make_block(struct emu_cpu *cpu, uint64_t phys)
{
	const size_t most =
	    sizeof(struct block) + BLOCK_OPS * sizeof(struct op);
	struct emu_vm *vm = cpu->vm;
	size_t have = PAGE_BYTES - (phys & ~PAGE_MASK);
	const uint8_t *host = memory_at(vm->memory, phys, have);
	size_t room = within_limit(cpu, have);
	struct block *block;
	uint64_t second = 0;
	unsigned int nops;

	if (host == NULL) /* code in a device: no machine of ours has any */
		emu_fault_code(cpu, NULL, EXC_GP, 0);
	if (vm->arena_used + most > ARENA_BYTES)
		emu_code_flush(vm);
	block = (struct block *)(void *)(vm->arena + vm->arena_used);
	*block = (struct block){
		.rip = cpu->rip, .phys = phys, .mode = (uint16_t)cpu->mode
	};
	nops = emu_decode(block, host, room, false);
	if (nops == 0 && room == have)
		nops = decode_straddling(cpu, block, host, have, &second);
	if (nops == 0 || within_limit(cpu, block->bytes) < block->bytes)
		emu_fault_code(cpu, NULL, EXC_GP, 0);
	vm->arena_used += sizeof(struct block) + nops * sizeof(struct op);
	vm->arena_used = (vm->arena_used + 63) & ~(size_t)63;
	enter_block(vm, block);
	block->page[0] = page_number(vm, phys);
	block->page[1] =
	    straddles(block) ? page_number(vm, second) : BLOCK_NO_PAGE;
	page_add(vm, block, 0);
	if (straddles(block))
		page_add(vm, block, 1);
	return block;
}

/* Is the second page of a straddling block still the one it was decoded
 * from? */
static bool
second_page_holds(struct emu_cpu *cpu, const struct block *block)
{
	uint64_t phys = emu_translate(
	    cpu, NULL, (linear(cpu) | ~PAGE_MASK) + 1, ACCESS_FETCH);

	return memory_at(cpu->vm->memory, phys, 1) != NULL &&
	    page_number(cpu->vm, phys) == block->page[1];
}

static bool
is_block(struct emu_cpu *cpu, const struct block *block, uint64_t phys)
{
	return !block->dead && block->phys == phys && block->rip == cpu->rip &&
	    block->mode == cpu->mode &&
	    within_limit(cpu, block->bytes) == block->bytes &&
	    (!straddles(block) || second_page_holds(cpu, block));
}

struct block *
emu_block(struct emu_cpu *cpu)
{
	struct jump *jump = &cpu->jumps[(cpu->rip ^ cpu->rip >> 12) % JUMPS];
	struct block *block = jump->block;
	const struct tlb_entry *e;
	uint64_t at, phys;

	if (block != NULL && jump->rip == cpu->rip && !block->dead &&
	    jump->generation == cpu->generation && block->mode == cpu->mode)
		return block;
	at = linear(cpu);
	e = &cpu->fetch[(at >> 12) % TLB_ENTRIES];
	if (e->tag == (at & PAGE_MASK))
		phys = at + e->addend;
	else
		phys = emu_translate(cpu, NULL, at, ACCESS_FETCH);
	block = cpu->vm->hash[hash_of(phys, cpu->rip, cpu->mode)];
	while (block != NULL && !is_block(cpu, block, phys))
		block = block->next_hash;
	if (block == NULL)
		block = make_block(cpu, phys);
	*jump = (struct jump){
		.rip = cpu->rip, .generation = cpu->generation, .block = block
	};
	return block;
}

const struct op *
emu_go(struct emu_cpu *cpu)
{
	const struct block *block = emu_block(cpu);

	GO(block->op);
}

const struct op *
emu_branch(struct emu_cpu *cpu, const struct op *op, uint64_t sp)
{
	bool good = (cpu->mode & MODE_SIZE) == MODE_64
	    ? canonical(cpu->rip)
	    : cpu->rip <= cpu->code_limit;

	if (!good) {
		cpu->gpr[CPU_RSP] = sp;
		emu_fault_code(cpu, op, EXC_GP, 0);
	}
	return emu_go(cpu);
}

const struct op *
emu_follow(struct emu_cpu *cpu, struct link *link)
{
	uint64_t from = cpu->block->rip, epoch = cpu->vm->epoch;
	struct block *block;

	cpu->rip = link->rip;
	block = emu_block(cpu);
	if (epoch == cpu->vm->epoch) { /* else the link itself is gone */
		uint64_t base = cpu->seg_base[CPU_CS];
		bool near =
		    (((from + base) ^ (link->rip + base)) & PAGE_MASK) == 0 &&
		    !straddles(block) && !straddles(cpu->block) &&
		    cpu->code_limit == UINT32_MAX;

		link->to = block->op;
		link->generation = near ? 0 : cpu->generation;
	}
	GO(block->op);
}
