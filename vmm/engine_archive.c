/*
 * Enums are bytes; what is beyond the last of them fails the archive, since no
 * engine looks at what the compiler excludes.
 */
#include "vmm/engine_archive.h"

static unsigned int
enumerator(struct archive *a, unsigned int value, unsigned int last)
{
	archive_uint(a, &value, last, "a state");
	return value;
}

static void
archive_words(struct archive *a, uint64_t *word, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		archive_u64(a, &word[i]);
}

/* ---- CPUs ---- */

static void
archive_tables(struct archive *a, struct cpu_state *cpu)
{
	for (unsigned int i = 0; i < CPU_SEGMENTS; i++) {
		archive_u64(a, &cpu->seg[i].base);
		archive_u32(a, &cpu->seg[i].limit);
		archive_u32(a, &cpu->seg[i].attributes);
		archive_u16(a, &cpu->seg[i].selector);
	}
	archive_u64(a, &cpu->gdt.base);
	archive_u16(a, &cpu->gdt.limit);
	archive_u64(a, &cpu->idt.base);
	archive_u16(a, &cpu->idt.limit);
}

static void
archive_msrs(struct archive *a, struct cpu_state *cpu)
{
	archive_same(a, CPU_MSRS, "the number of MSRs");
	archive_u32(a, &cpu->msr_valid);
	archive_words(a, cpu->msr, CPU_MSRS);
	archive_words(a, cpu->mtrr_fixed, CPU_MTRR_FIXED);
	archive_words(a, cpu->mtrr_base, CPU_MTRR_VARIABLE);
	archive_words(a, cpu->mtrr_mask, CPU_MTRR_VARIABLE);
}

static void
archive_events(struct archive *a, struct cpu_state *cpu)
{
	cpu->run = (enum cpu_run)enumerator(a, cpu->run, CPU_WAIT_SIPI);
	archive_bool(a, &cpu->exception_pending);
	archive_bool(a, &cpu->exception_has_code);
	archive_u8(a, &cpu->exception);
	archive_u32(a, &cpu->exception_code);
	archive_bool(a, &cpu->interrupt_pending);
	archive_u8(a, &cpu->interrupt);
	archive_bool(a, &cpu->interrupt_shadow);
	archive_u8(a, &cpu->nmi_pending);
	archive_bool(a, &cpu->nmi_masked);
	archive_u8(a, &cpu->sipi_vector);
}

void
cpu_archive(struct cpu_state *cpu, struct archive *a)
{
	archive_words(a, cpu->gpr, CPU_GPRS);
	archive_u64(a, &cpu->rip);
	archive_u64(a, &cpu->rflags);
	archive_tables(a, cpu);
	archive_u64(a, &cpu->cr0);
	archive_u64(a, &cpu->cr2);
	archive_u64(a, &cpu->cr3);
	archive_u64(a, &cpu->cr4);
	archive_u64(a, &cpu->cr8);
	archive_words(a, cpu->dr, 4);
	archive_u64(a, &cpu->dr6);
	archive_u64(a, &cpu->dr7);
	archive_u64(a, &cpu->xcr0);
	archive_msrs(a, cpu);
	archive_bytes(a, cpu->xsave, sizeof(cpu->xsave));
	archive_bytes(a, cpu->apic, sizeof(cpu->apic));
	archive_events(a, cpu);
}

/* ---- chips ---- */

static void
archive_pic(struct archive *a, struct pic_chip *pic)
{
	archive_u8(a, &pic->level);
	archive_u8(a, &pic->irr);
	archive_u8(a, &pic->isr);
	archive_u8(a, &pic->imr);
	archive_u8(a, &pic->elcr);
	archive_u8(a, &pic->vector);
	archive_u8(a, &pic->lowest);
	pic->expects = (enum pic_expects)enumerator(a, pic->expects, PIC_ICW4);
	archive_bool(a, &pic->wants_icw4);
	archive_bool(a, &pic->single);
	archive_bool(a, &pic->auto_eoi);
	archive_bool(a, &pic->rotate_on_auto_eoi);
	archive_bool(a, &pic->special_mask);
	archive_bool(a, &pic->special_nested);
	archive_bool(a, &pic->read_isr);
	archive_bool(a, &pic->poll);
}

static void
archive_counter(struct archive *a, struct pit_counter *c)
{
	archive_u8(a, &c->mode);
	c->access = (enum pit_access)enumerator(a, c->access, PIT_BOTH);
	archive_bool(a, &c->bcd);
	archive_bool(a, &c->gate);
	c->state = (enum pit_state)enumerator(a, c->state, PIT_HELD);
	archive_u32(a, &c->count);
	archive_u64(a, &c->start);
	archive_bool(a, &c->has_next);
	archive_u32(a, &c->next);
	archive_u64(a, &c->take_at);
	archive_u64(a, &c->elapsed);
	archive_u32(a, &c->shown);
	archive_bool(a, &c->out);
	archive_bool(a, &c->second_write);
	archive_bool(a, &c->second_read);
	archive_u8(a, &c->low_written);
	archive_bool(a, &c->latched);
	archive_bool(a, &c->status_latched);
	archive_u16(a, &c->latch);
	archive_u8(a, &c->status);
}

void
chips_archive(struct chips_state *chips, struct archive *a)
{
	archive_u64(a, &chips->now_ns);
	archive_u64(a, &chips->wall_ns);
	archive_u32(a, &chips->tsc_khz);
	for (unsigned int i = 0; i < 2; i++)
		archive_pic(a, &chips->pic.chip[i]);
	for (unsigned int i = 0; i < PIT_COUNTERS; i++)
		archive_counter(a, &chips->pit.counter[i]);
	archive_u8(a, &chips->pit.speaker);
	archive_u8(a, &chips->ioapic_index);
	archive_u8(a, &chips->ioapic_id);
	archive_u32(a, &chips->ioapic_level);
	archive_words(a, chips->ioapic_pin, IOAPIC_PINS);
	archive_u32(a, &chips->last);
}
