/*
 * memory.h - the guest's RAM: one memfd that whoever serves the guest can map.
 *
 * Physical addresses from 0 up to 3 GiB, and what is more than that from 4 GiB
 * on: between them lie the devices.  The mapping never moves while the machine
 * lives.  Reading and writing it needs no lock; the guest changes it at any
 * moment, so nothing read from it is to be believed twice.
 */
#ifndef VMM_MEMORY_H
#define VMM_MEMORY_H

#include <stdint.h>

#include "base/err.h"

#define MEMORY_HOLE_START UINT64_C(0xc0000000)  /* devices from here ... */
#define MEMORY_HOLE_END   UINT64_C(0x100000000) /* ... to here */
#define MEMORY_PAGE_BYTES 4096
#define MEMORY_MIN_BYTES  (UINT64_C(2) << 20)
#define MEMORY_MAX_BYTES  (UINT64_C(1) << 40)
#define MEMORY_REGIONS    2

struct memory {
	int fd;
	uint8_t *base;
	uint64_t size_bytes;
	uint64_t low_bytes; /* of them below the hole */
};

/* A piece of RAM that is contiguous for the guest, and in the memfd. */
struct memory_region {
	uint64_t start; /* guest physical */
	uint64_t bytes;
	uint64_t offset; /* in the memfd, and from memory->base */
};

/* size_bytes is a multiple of the page size within the limits above; fresh RAM
 * reads as zeros and takes no room until it is touched.  0, or -Exxx with *err;
 * memory_free() is fine in both cases. */
int memory_init(struct memory *memory, uint64_t size_bytes, struct err *err);
void memory_free(struct memory *memory);

/* All zeros again, the room given back.  0 or -Exxx. */
int memory_clear(struct memory *memory);

/* Where the guest's [address, address + bytes) lies, or NULL if any of it is
 * not RAM.  bytes may be 0. */
void *memory_at(const struct memory *memory, uint64_t address, uint64_t bytes);

/* The guest's address of a byte within memory->base and its size. */
uint64_t memory_address(const struct memory *memory, const void *at);

/* Gives back the room of pages from the address that memory_at() told, and of
 * whole pages only: they read as zeros.  0 or -Exxx. */
int memory_discard(const struct memory *memory, void *at, uint64_t bytes);

/* Fills in the regions, lowest first, and returns how many: 1 or 2. */
unsigned int memory_regions(
    const struct memory *memory, struct memory_region region[MEMORY_REGIONS]);

/* The first address above all RAM. */
uint64_t memory_end(const struct memory *memory);

#endif
