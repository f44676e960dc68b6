/*
 * boot_parts.h - what the boot_*.c files share.
 */
#ifndef VMM_BOOT_PARTS_H
#define VMM_BOOT_PARTS_H

#include <stdbool.h>

#include "vmm/boot.h"

/* ---- boot_elf.c ---- */

#define ELF_SEGMENTS_MAX 32

struct elf_image {
	const char *name;
	const uint8_t *data;
	size_t bytes;
	bool is64;
	uint64_t entry;     /* physical; 0: none */
	uint32_t pvh_entry; /* 0: none */
	unsigned int nsegments;
	struct elf_segment {
		uint64_t offset, file_bytes;
		uint64_t address, memory_bytes;
		uint64_t virtual_address;
	} segment[ELF_SEGMENTS_MAX];
};

bool elf_is(const uint8_t *data, size_t bytes);
/* May a kernel have these bytes: above 1 MiB, or between BOOT_LOW_START and
 * low_end (0: not there)? */
bool elf_may_lie(uint64_t address, uint64_t bytes, uint64_t low_end);
/* Fills *elf, which borrows data and name.  All segments may lie where they are
 * to.  0, or -ENOEXEC with *err. */
int elf_parse(struct elf_image *elf, const char *name, const uint8_t *data,
    size_t bytes, uint64_t low_end, struct err *err);
/* Copies it in.  *end: the first address above it. */
int elf_load(const struct elf_image *elf, const struct memory *memory,
    uint64_t *end, struct err *err);

/* ---- boot_bzimage.c ---- */

#define SETUP_HEADER_AT    0x1f1 /* in a bzImage as in boot_params */
#define SETUP_HEADER_BYTES 0x9f  /* up to the field that follows it there */

struct bzimage {
	const char *name;
	uint8_t header[SETUP_HEADER_BYTES];
	size_t header_bytes; /* that the image has of it */
	const uint8_t *code; /* the protected-mode part */
	size_t code_bytes;
	const uint8_t *payload; /* NULL: it does not say where */
	size_t payload_bytes;
	uint64_t initrd_max; /* highest address of an initial RAM disk */
	/* Its own 64-bit entry; has_entry false: it has none. */
	bool has_entry;
	uint64_t load, init_bytes;
};

bool bzimage_is(const uint8_t *data, size_t bytes);
int bzimage_parse(struct bzimage *image, const char *name, const uint8_t *data,
    size_t bytes, struct err *err);
/* Loads the packed kernel, which unpacks itself. */
int bzimage_load(const struct bzimage *image, const struct memory *memory,
    uint64_t *end, struct err *err);

/* ---- boot_unpack.c ---- */

struct unpacked {
	uint8_t *data;
	size_t bytes;
};

/* The name of the packing, or NULL if it is not known to us. */
const char *unpack_kind(const uint8_t *data, size_t bytes);
/* 0 with *out, to be given to unpack_free(); or -Exxx with *err. */
int unpack(struct unpacked *out, const char *name, const uint8_t *data,
    size_t bytes, struct err *err);
void unpack_free(struct unpacked *out); /* {0} is fine */

/* ---- boot.c ---- */

/* Where the initial RAM disk went; bytes 0: there is none. */
struct boot_initrd {
	uint64_t address, bytes;
};

/* As high as possible between the kernel's end and max. */
int boot_initrd_load(struct boot_initrd *initrd, const struct memory *memory,
    const struct boot_config *config, uint64_t kernel_end, uint64_t max,
    struct err *err);
/* In the first page above the kernel's end and 1 MiB, and those that follow. */
int boot_initrd_load_low(struct boot_initrd *initrd,
    const struct memory *memory, const struct boot_config *config,
    uint64_t kernel_end, struct err *err);

/* ---- boot_flat32.c ---- */

void flat32_prepare(uint8_t *low); /* guest memory from address 0 */
void flat32_cpu(uint64_t rip, struct cpu_state *state);

/* ---- boot_multiboot.c ---- */

#define MULTIBOOT_SEARCH_BYTES 8192

struct multiboot {
	size_t at; /* where the header is in the file */
	uint32_t flags;
	bool has_addresses; /* which replace those of an executable's header */
};

/* Looks for a header.  0; -ENOENT: there is none; -ENOEXEC: there is almost one,
 * and *err says what is wrong with it. */
int multiboot_find(struct multiboot *mb, const char *name, const uint8_t *data,
    size_t bytes, struct err *err);
/* What is to be loaded, for elf_load().  Borrows as elf_parse() does. */
int multiboot_parse(struct elf_image *image, const struct multiboot *mb,
    const char *name, const uint8_t *data, size_t bytes, struct err *err);
int multiboot_prepare(const struct memory *memory,
    const struct boot_config *config, const struct boot_initrd *initrd,
    struct err *err);
void multiboot_cpu(uint64_t rip, struct cpu_state *state);

/* ---- boot_linux.c, boot_pvh.c ---- */

/* header may be NULL (an ELF kernel has none). */
int linux_prepare(const struct memory *memory, const struct boot_config *config,
    const uint8_t *header, size_t header_bytes,
    const struct boot_initrd *initrd, struct err *err);
void linux_cpu(uint64_t rip, struct cpu_state *state);

int pvh_prepare(const struct memory *memory, const struct boot_config *config,
    const struct boot_initrd *initrd, struct err *err);
void pvh_cpu(uint64_t rip, struct cpu_state *state);

#endif
