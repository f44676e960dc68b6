#include "vmm/guest/bare/memory.h"

extern const uint8_t image_end[];

static uint64_t next, end;

uint64_t
memory_image_end(void)
{
	return (uint64_t)image_end;
}

void
memory_init(uint64_t memory_end)
{
	next = memory_image_end();
	end = memory_end;
}

void *
memory_take(size_t bytes, size_t align)
{
	uint64_t at = (next + align - 1) & ~(uint64_t)(align - 1);

	if (at > end || end - at < bytes)
		return NULL;
	next = at + bytes;
	return (void *)at;
}

uint64_t
memory_left(void)
{
	return end > next ? end - next : 0;
}
