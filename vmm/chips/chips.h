/*
 * chips.h - the interrupt controllers and timers of a machine, wired together,
 * for engines that have none of their own.
 *
 *     8254 --0--.       .--> 8259 pair --INTR--> LINT0 of the local APICs
 *     lines 1-15 +------+
 *     lines 16-23 ------'--> IOAPIC --.
 *     messages (MSI) -----------------+--> local APICs --> CPUs
 *     CPUs' own (IPI) ----------------'
 *
 * Line 0 comes to pin 2 of the IOAPIC, as on every PC.
 *
 * Time stands still but for chips_advance(), which everything that looks at a
 * clock is to be preceded by.  Nothing here waits, locks or, after chips_new(),
 * allocates.  The caller holds the machine's lock.
 */
#ifndef VMM_CHIPS_CHIPS_H
#define VMM_CHIPS_CHIPS_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/chips/chips_state.h"
#include "vmm/cpu_state.h"

#define CHIPS_LINES    24
#define CHIPS_CPUS_MAX 64
#define CHIPS_NEVER    UINT64_MAX

struct chips;

/* What happens to CPUs.  Called from any function below; they may not call
 * back. */
struct chips_ops {
	/* There is an interrupt to take, which was not there when the CPU was
	 * last asked: it is to look with chips_pending(). */
	void (*wake)(void *arg, unsigned int cpu);
	void (*nmi)(void *arg, unsigned int cpu);
	void (*init)(void *arg, unsigned int cpu);
	void (*sipi)(void *arg, unsigned int cpu, uint8_t vector);
};

struct chips_config {
	unsigned int ncpus;
	uint32_t tsc_khz; /* of the counter that deadlines speak of */
	const struct chips_ops *ops;
	void *arg;
};

/* As a firmware leaves them, at instant 0.  NULL: no memory. */
struct chips *chips_new(const struct chips_config *config);
void chips_free(struct chips *chips); /* NULL is fine */

/* ---- time ---- */

/* It is now_ns (an earlier time is the time it was): timers that came due by
 * then fire. */
void chips_advance(struct chips *chips, uint64_t now_ns);
/* When the next one does; CHIPS_NEVER if none.  May change in every function
 * here, to earlier ones too. */
uint64_t chips_next_event_ns(const struct chips *chips);

/* The frequency of all CPUs' counters; what that of cpu was at instant 0. */
void chips_set_tsc_khz(struct chips *chips, uint32_t tsc_khz);
void chips_set_tsc_offset(
    struct chips *chips, unsigned int cpu, uint64_t offset);

/* ---- as a value ---- */

/* All but the local APICs; wall_ns is the caller's.  Setting sets the time,
 * too.  -EINVAL: that state cannot be, and nothing was changed. */
void chips_get(const struct chips *chips, struct chips_state *state);
int chips_set(struct chips *chips, const struct chips_state *state);

/* A local APIC: the page, and the MSRs of base and deadline.  To be set after
 * the others. */
void chips_lapic_get(
    const struct chips *chips, unsigned int cpu, struct cpu_state *state);
void chips_lapic_set(
    struct chips *chips, unsigned int cpu, const struct cpu_state *state);

/* ---- interrupts in ---- */

/* The level of a line below CHIPS_LINES.  Lines 0 (the 8254's) and 2 (the
 * cascade's) are not to be had and ignored. */
void chips_line(struct chips *chips, unsigned int line, bool level);
/* A message to address; one that is for no CPU is lost. */
void chips_msi(struct chips *chips, uint64_t address, uint32_t data);

/* ---- interrupts out ---- */

/* The vector that cpu has to take now, or -1. */
int chips_pending(const struct chips *chips, unsigned int cpu);
/* The same, and it takes it. */
int chips_interrupt(struct chips *chips, unsigned int cpu);

/* ---- registers ---- */

/* The ports of all chips. */
#define CHIPS_PORT_RANGES 5

struct chips_ports {
	uint16_t first, count;
};

extern const struct chips_ports chips_ports[CHIPS_PORT_RANGES];

uint8_t chips_port_read(struct chips *chips, uint16_t port);
void chips_port_write(struct chips *chips, uint16_t port, uint8_t value);

/* An access of cpu, bytes 1 to 8 and within a page.  False: nobody of us is
 * there. */
bool chips_mmio_read(struct chips *chips, unsigned int cpu, uint64_t address,
    unsigned int bytes, uint64_t *value);
bool chips_mmio_write(struct chips *chips, unsigned int cpu, uint64_t address,
    unsigned int bytes, uint64_t value);

/* The base register, the TSC deadline and the x2APIC's.  False: #GP. */
bool chips_msr_read(
    struct chips *chips, unsigned int cpu, uint32_t index, uint64_t *value);
bool chips_msr_write(
    struct chips *chips, unsigned int cpu, uint32_t index, uint64_t value);

uint8_t chips_cr8(const struct chips *chips, unsigned int cpu);
void chips_set_cr8(struct chips *chips, unsigned int cpu, uint8_t value);

#endif
