/*
 * Rings whose device is another process: its writes to memory go by nobody here,
 * and decoded code may lie there.
 *
 * A driver learns what was written by reading the ring.  So pages with such a
 * ring have no read entries in the TLBs; a read that overlaps it comes by here,
 * after it has got its value, and what the ring says by then is forgotten as
 * code before the next instruction.  That is as soon as the driver can know,
 * by interrupt or by looking, and costs neither the device nor the fabric
 * anything; the guest pays some tens of nanoseconds for each read of the ring.
 *
 * A guest that executes what it was not told of is on its own.
 */
#include "vmm/emulate/emu.h"

static uint64_t
bit_of(uint64_t phys)
{
	return UINT64_C(1) << (phys >> 12 & 63);
}

static bool
overlaps(const struct engine_ring *ring, uint64_t phys, uint64_t bytes)
{
	return phys < ring->address + ring->bytes &&
	    ring->address < phys + bytes;
}

/* Which pages may have one: a bit each, of 64. */
static void
set_mask(struct emu_vm *vm)
{
	uint64_t mask = 0;

	for (const struct engine_ring *r = vm->rings; r != NULL; r = r->next)
		for (uint64_t at = r->address & PAGE_MASK;
		     at < r->address + r->bytes; at += PAGE_BYTES)
			mask |= bit_of(at);
	atomic_store_explicit(&vm->ring_pages, mask, memory_order_relaxed);
}

void
emu_ring(struct engine_vm *evm, struct engine_ring *ring, bool on)
{
	struct emu_vm *vm = (struct emu_vm *)evm;
	struct engine_ring **at = &vm->rings;

	pthread_mutex_lock(&vm->rings_lock);
	while (*at != NULL && *at != ring)
		at = &(*at)->next;
	if (on && *at == NULL) {
		ring->next = vm->rings;
		vm->rings = ring;
		for (unsigned int i = 0; i < vm->ncpus; i++)
			emu_flush(vm->cpu[i]);
	} else if (!on && *at != NULL)
		*at = ring->next;
	set_mask(vm);
	pthread_mutex_unlock(&vm->rings_lock);
}

bool
emu_is_ring_page(struct emu_vm *vm, uint64_t phys)
{
	bool found = false;

	if (likely(
		!(atomic_load_explicit(&vm->ring_pages, memory_order_relaxed) &
		    bit_of(phys))))
		return false;
	pthread_mutex_lock(&vm->rings_lock);
	for (const struct engine_ring *r = vm->rings; r != NULL; r = r->next)
		found |= overlaps(r, phys & PAGE_MASK, PAGE_BYTES);
	pthread_mutex_unlock(&vm->rings_lock);
	return found;
}

static void
forget(void *to, uint64_t address, uint64_t bytes)
{
	emu_code_written(to, address, bytes);
}

void
emu_ring_read(struct emu_vm *vm, uint64_t phys, unsigned int bytes)
{
	if (likely(
		!(atomic_load_explicit(&vm->ring_pages, memory_order_relaxed) &
		    bit_of(phys))))
		return;
	pthread_mutex_lock(&vm->rings_lock);
	for (struct engine_ring *r = vm->rings; r != NULL; r = r->next)
		if (overlaps(r, phys, bytes))
			r->read(r->arg, forget, vm);
	pthread_mutex_unlock(&vm->rings_lock);
}
