/*
 * The state in which PVH and Multiboot kernels start: 32-bit protected mode
 * without paging or interrupts, and segments of 4 GiB from address 0.
 *
 * There is no gate at address line 20: all of memory is seen.  Neither protocol
 * promises a stack or a table of descriptors; both are there, for kernels that
 * do not know.
 */
#include "vmm/boot_parts.h"

#include <string.h>

#include "vmm/le.h"

#define CR0_PE 0x1u
#define CR0_ET 0x10u

#define SELECTOR_CODE 0x10
#define SELECTOR_DATA 0x18
#define SELECTOR_TSS  0x20
#define GDT_BYTES     0x28

void
flat32_prepare(uint8_t *low)
{
	uint8_t *gdt = low + BOOT_GDT;

	put_le64(gdt + SELECTOR_CODE, UINT64_C(0x00cf9b000000ffff));
	put_le64(gdt + SELECTOR_DATA, UINT64_C(0x00cf93000000ffff));
	put_le64(gdt + SELECTOR_TSS, UINT64_C(0x0000890000000067));
}

void
flat32_cpu(uint64_t rip, struct cpu_state *state)
{
	const uint32_t flat =
	    CPU_SEG_PRESENT | CPU_SEG_CODE | CPU_SEG_PAGES | CPU_SEG_32 | 0x3;

	memset(state->gpr, 0, sizeof(state->gpr));
	state->gpr[CPU_RSP] = BOOT_STACK_TOP;
	state->rip = rip;
	state->rflags = 0x2;
	for (unsigned int i = CPU_ES; i <= CPU_GS; i++)
		state->seg[i] = (struct cpu_seg){ .limit = 0xffffffff,
			.selector = SELECTOR_DATA,
			.attributes = flat };
	state->seg[CPU_CS].selector = SELECTOR_CODE;
	state->seg[CPU_CS].attributes |= 0x8;
	state->seg[CPU_TR] = (struct cpu_seg){ .limit = 0x67,
		.selector = SELECTOR_TSS,
		.attributes = CPU_SEG_PRESENT | 0xb };
	state->gdt = (struct cpu_table){ BOOT_GDT, GDT_BYTES - 1 };
	state->idt = (struct cpu_table){ 0, 0 };
	state->cr0 = CR0_PE | CR0_ET;
	state->cr3 = state->cr4 = 0;
	state->msr[CPU_MSR_EFER] = 0;
	state->run = CPU_RUNNING;
}
