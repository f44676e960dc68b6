/*
 * Linux's 64-bit boot protocol (Documentation/arch/x86/boot.rst): long mode,
 * the first 4 GiB mapped to themselves, flat segments, and RSI pointing to the
 * boot_params that carry the set-up header, the memory map and pointers to the
 * command line and the initial RAM disk.
 *
 * Pages of 2 MiB, since a CPU need not have those of 1 GiB.
 */
#include "vmm/boot_parts.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <string.h>

#include "vmm/le.h"

#define CR0_PE    0x1u
#define CR0_ET    0x10u
#define CR0_NE    0x20u
#define CR0_PG    0x80000000u
#define CR4_PAE   0x20u
#define EFER_LME  0x100u
#define EFER_LMA  0x400u
#define PTE_TABLE 0x3u  /* present, writable */
#define PTE_LARGE 0x83u /* and a page of 2 MiB */

#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define SELECTOR_TSS  0x20
#define GDT_BYTES     0x30
#define IDENTITY_GIB  4

#define LOADER_UNKNOWN 0xff

static void
put_gdt(uint8_t *gdt)
{
	put_le64(gdt + SELECTOR_CODE, UINT64_C(0x00af9b000000ffff));
	put_le64(gdt + SELECTOR_DATA, UINT64_C(0x00cf93000000ffff));
	put_le64(gdt + SELECTOR_TSS, UINT64_C(0x0000890000000067));
}

static void
put_page_tables(uint8_t *pml4)
{
	uint8_t *pdpt = pml4 + MEMORY_PAGE_BYTES;
	uint64_t at = BOOT_PML4 + MEMORY_PAGE_BYTES;

	put_le64(pml4, at | PTE_TABLE);
	for (unsigned int i = 0; i < IDENTITY_GIB; i++) {
		uint8_t *pd = pdpt + (i + 1) * MEMORY_PAGE_BYTES;

		at += MEMORY_PAGE_BYTES;
		put_le64(pdpt + 8 * i, at | PTE_TABLE);
		for (unsigned int k = 0; k < 512; k++)
			put_le64(pd + 8 * k,
			    ((uint64_t)i << 30 | (uint64_t)k << 21) |
				PTE_LARGE);
	}
}

static void
put_e820(struct boot_params *params, const struct memory *memory)
{
	struct boot_map map[BOOT_MAP_MAX];
	unsigned int n = boot_map(memory, map);

	for (unsigned int i = 0; i < n; i++) {
		params->e820_table[i].addr = map[i].start;
		params->e820_table[i].size = map[i].bytes;
		params->e820_table[i].type = map[i].type;
	}
	params->e820_entries = (uint8_t)n;
}

int
linux_prepare(const struct memory *memory, const struct boot_config *config,
    const uint8_t *header, size_t header_bytes,
    const struct boot_initrd *initrd, struct err *err)
{
	uint8_t *low = memory_at(memory, 0, BOOT_KERNEL_MIN);
	size_t len = strlen(config->cmdline);
	struct boot_params *params = (void *)(low + BOOT_PARAMS);

	if (len >= BOOT_CMDLINE_BYTES)
		return err_set(err, -EINVAL,
		    "the kernel command line has %zu bytes; use at most %d",
		    len, BOOT_CMDLINE_BYTES - 1);
	if (header != NULL)
		memcpy(&params->hdr, header, header_bytes);
	else {
		params->hdr.boot_flag = 0xaa55;
		memcpy(&params->hdr.header, "HdrS", 4);
		params->hdr.version = 0x20c;
		params->hdr.kernel_alignment = 0x1000000;
		params->hdr.cmdline_size = BOOT_CMDLINE_BYTES - 1;
	}
	params->hdr.type_of_loader = LOADER_UNKNOWN;
	params->hdr.loadflags |= LOADED_HIGH;
	params->hdr.loadflags &= (uint8_t)~CAN_USE_HEAP;
	params->hdr.cmd_line_ptr = BOOT_CMDLINE;
	params->hdr.ramdisk_image = (uint32_t)initrd->address;
	params->hdr.ramdisk_size = (uint32_t)initrd->bytes;
	params->hdr.setup_data = 0;
	params->acpi_rsdp_addr = config->rsdp;
	put_e820(params, memory);
	memcpy(low + BOOT_CMDLINE, config->cmdline, len + 1);
	put_gdt(low + BOOT_GDT);
	put_page_tables(low + BOOT_PML4);
	return 0;
}

static void
set_segment(struct cpu_seg *seg, uint16_t selector, uint32_t attributes)
{
	*seg = (struct cpu_seg){ .limit = 0xffffffff,
		.selector = selector,
		.attributes = attributes };
}

void
linux_cpu(uint64_t rip, struct cpu_state *state)
{
	const uint32_t flat =
	    CPU_SEG_PRESENT | CPU_SEG_CODE | CPU_SEG_PAGES | 0x3;

	memset(state->gpr, 0, sizeof(state->gpr));
	state->gpr[CPU_RSI] = BOOT_PARAMS;
	state->gpr[CPU_RSP] = BOOT_STACK_TOP;
	state->rip = rip;
	state->rflags = 0x2;
	for (unsigned int i = CPU_ES; i <= CPU_GS; i++)
		set_segment(&state->seg[i], SELECTOR_DATA, flat | CPU_SEG_32);
	set_segment(
	    &state->seg[CPU_CS], SELECTOR_CODE, flat | CPU_SEG_LONG | 0x8);
	state->seg[CPU_TR] = (struct cpu_seg){ .limit = 0x67,
		.selector = SELECTOR_TSS,
		.attributes = CPU_SEG_PRESENT | 0xb };
	state->gdt = (struct cpu_table){ BOOT_GDT, GDT_BYTES - 1 };
	state->idt = (struct cpu_table){ 0, 0 };
	state->cr0 = CR0_PE | CR0_ET | CR0_NE | CR0_PG;
	state->cr3 = BOOT_PML4;
	state->cr4 = CR4_PAE;
	state->msr[CPU_MSR_EFER] = EFER_LME | EFER_LMA;
	state->run = CPU_RUNNING;
}
