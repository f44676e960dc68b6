/*
 * Guest RAM in a memfd, mapped once and shared.
 *
 * Low and high RAM are neighbours in the file, so that there is one mapping
 * and one descriptor to pass on, and translation is a comparison or two.
 * MAP_NORESERVE, since a lab of a hundred guests promises more than it uses.
 *
 * Huge pages were left alone: a guest of 16 MiB that touches 2 MiB of scattered
 * pages would take all 16.
 */
#include "vmm/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <unistd.h>

int
memory_init(struct memory *memory, uint64_t size_bytes, struct err *err)
{
	void *base;

	*memory = (struct memory){ .fd = -1 };
	if (size_bytes < MEMORY_MIN_BYTES || size_bytes > MEMORY_MAX_BYTES)
		return err_set(err, -EINVAL,
		    "memory of %" PRIu64 " bytes is out of range; use 2M to "
		    "1024G",
		    size_bytes);
	if (size_bytes % MEMORY_PAGE_BYTES != 0)
		return err_set(err, -EINVAL,
		    "memory of %" PRIu64 " bytes is not a whole number of "
		    "pages; use a multiple of 4K",
		    size_bytes);
	memory->fd = memfd_create("guest-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memory->fd < 0)
		return err_sys(err, -errno, NULL, "guest memory");
	/* Sealed against shrinking: a peer that maps it too cannot make our
	 * reads fault. */
	if (ftruncate(memory->fd, (off_t)size_bytes) < 0 ||
	    fcntl(memory->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) < 0)
		return err_sys(err, -errno, NULL,
		    "guest memory of %" PRIu64 " bytes", size_bytes);
	base = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_NORESERVE, memory->fd, 0);
	if (base == MAP_FAILED)
		return err_sys(err, -errno, "use less memory for the guest",
		    "guest memory of %" PRIu64 " bytes", size_bytes);
	memory->base = base;
	memory->size_bytes = size_bytes;
	memory->low_bytes =
	    size_bytes < MEMORY_HOLE_START ? size_bytes : MEMORY_HOLE_START;
	/* A crash of ours is not to write the guest's secrets to a core. */
	madvise(base, size_bytes, MADV_DONTDUMP);
	/* Nor has a process that it starts any use for them. */
	madvise(base, size_bytes, MADV_DONTFORK);
	return 0;
}

void
memory_free(struct memory *memory)
{
	if (memory->base != NULL)
		munmap(memory->base, memory->size_bytes);
	if (memory->fd >= 0)
		close(memory->fd);
	*memory = (struct memory){ .fd = -1 };
}

static int
punch(const struct memory *memory, uint64_t offset, uint64_t bytes)
{
	if (fallocate(memory->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		(off_t)offset, (off_t)bytes) < 0)
		return -errno;
	return 0;
}

int
memory_clear(struct memory *memory)
{
	return punch(memory, 0, memory->size_bytes);
}

int
memory_discard(const struct memory *memory, void *at, uint64_t bytes)
{
	uint64_t page = MEMORY_PAGE_BYTES;
	uint64_t from = (uint64_t)((uint8_t *)at - memory->base);
	uint64_t to = (from + bytes) / page * page;

	from = (from + page - 1) / page * page;
	return from < to ? punch(memory, from, to - from) : 0;
}

uint64_t
memory_address(const struct memory *memory, const void *at)
{
	uint64_t offset = (uint64_t)((const uint8_t *)at - memory->base);

	return offset < memory->low_bytes
	    ? offset
	    : MEMORY_HOLE_END + (offset - memory->low_bytes);
}

void *
memory_at(const struct memory *memory, uint64_t address, uint64_t bytes)
{
	uint64_t high_bytes = memory->size_bytes - memory->low_bytes;

	if (address <= memory->low_bytes &&
	    bytes <= memory->low_bytes - address)
		return memory->base + address;
	if (address < MEMORY_HOLE_END)
		return NULL;
	address -= MEMORY_HOLE_END;
	if (address > high_bytes || bytes > high_bytes - address)
		return NULL;
	return memory->base + memory->low_bytes + address;
}

unsigned int
memory_regions(
    const struct memory *memory, struct memory_region region[MEMORY_REGIONS])
{
	region[0] = (struct memory_region){ .bytes = memory->low_bytes };
	if (memory->low_bytes == memory->size_bytes)
		return 1;
	region[1] = (struct memory_region){
		.start = MEMORY_HOLE_END,
		.bytes = memory->size_bytes - memory->low_bytes,
		.offset = memory->low_bytes,
	};
	return 2;
}

uint64_t
memory_end(const struct memory *memory)
{
	if (memory->low_bytes == memory->size_bytes)
		return memory->size_bytes;
	return MEMORY_HOLE_END + memory->size_bytes - memory->low_bytes;
}
