/*
 * boot.h - a guest kernel into a guest's memory, and a CPU ready to enter it.
 *
 * Takes ELF kernels (Linux's 64-bit boot protocol, PVH, or Multiboot), any file
 * with a Multiboot 1 header that says where to load it, and Linux bzImages,
 * whose payload is unpacked here, on the host, so that the guest need not: on a
 * slow engine that saves seconds.  A bzImage packed in a way that we do not
 * know unpacks itself.
 *
 * The files are hostile: each offset and size in them is checked, and what is
 * refused is said with the file's name.  Memory must be fresh (memory.h), since
 * what a kernel wants zeroed is left alone.
 */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "vmm/cpu_state.h"
#include "vmm/memory.h"

/* What lies where below 1 MiB; kernels are loaded above, or, by Multiboot,
 * between BOOT_LOW_START and BOOT_MULTIBOOT_INFO. */
#define BOOT_GDT            0x500
#define BOOT_LOW_START      0x1000
#define BOOT_PVH_INFO       0x6000
#define BOOT_PARAMS         0x7000
#define BOOT_STACK_TOP      0x8ff0
#define BOOT_PML4           0x9000 /* then a PDPT and four PDs: 4 GiB, identity */
#define BOOT_CMDLINE        0x20000
#define BOOT_MULTIBOOT_INFO 0x9c000
#define BOOT_LOW_END        0x9fc00 /* RAM ends here and goes on at 1 MiB */
#define BOOT_TABLES         0xe0000 /* ACPI, where systems look for it */
#define BOOT_KERNEL_MIN     0x100000
#define BOOT_CMDLINE_BYTES  2048 /* with its end */
#define BOOT_FILE_MAX_BYTES (UINT64_C(1) << 30)

enum boot_protocol {
	BOOT_AUTO,      /* what the file offers, see boot.c */
	BOOT_LINUX,     /* 64-bit entry, boot_params in RSI */
	BOOT_PVH,       /* 32-bit entry, hvm_start_info in EBX */
	BOOT_MULTIBOOT, /* 32-bit entry, Multiboot information in EBX */
};

#define BOOT_MAP_MAX 4

enum boot_map_type { BOOT_MAP_RAM = 1, BOOT_MAP_RESERVED = 2 };

/* What is where, as PC firmware would tell it. */
struct boot_map {
	uint64_t start, bytes;
	enum boot_map_type type;
};

/* Fills in map, lowest first, and returns how many entries it has. */
unsigned int boot_map(
    const struct memory *memory, struct boot_map map[BOOT_MAP_MAX]);

struct boot_config {
	const char *kernel_name; /* for messages, and Multiboot kernels */
	const uint8_t *kernel;
	size_t kernel_bytes;
	const char *initrd_name;
	int initrd_fd; /* -1: none.  Read from its start */
	const char *cmdline;
	enum boot_protocol protocol;
	uint64_t rsdp; /* where the ACPI tables are, 0: nowhere */
};

struct boot_entry {
	enum boot_protocol protocol; /* not BOOT_AUTO */
	uint64_t rip;
};

/* Loads the kernel and all it is told.  0, or -Exxx with *err. */
int boot_load(const struct memory *memory, const struct boot_config *config,
    struct boot_entry *entry, struct err *err);

/* Changes the reset state of the boot CPU into what the protocol promises. */
void boot_cpu(const struct boot_entry *entry, struct cpu_state *state);

#endif
