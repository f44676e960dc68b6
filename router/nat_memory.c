/*
 * The first touch of a huge page clears all of it, which takes a fraction of a
 * millisecond in which the loop stands still.  So they are left to tables that
 * somebody asked for by saying how many entries it should hold: the default
 * ones are smaller.
 *
 * Rejected: touching all when the table is made.  A router in a lab mostly has a
 * handful of sessions.
 */
#include "router/nat_memory.h"

#include <sys/mman.h>

#define HUGE_FROM_BYTES (6u << 20)

void *
nat_memory_new(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (bytes >= HUGE_FROM_BYTES) /* else, or if not, small ones do */
		(void)madvise(memory, bytes, MADV_HUGEPAGE);
	return memory;
}

void
nat_memory_free(void *memory, size_t bytes)
{
	if (memory != NULL)
		munmap(memory, bytes);
}
