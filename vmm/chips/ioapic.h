/*
 * ioapic.h - the 82093AA I/O APIC: 24 lines become messages to CPUs.
 *
 * The caller holds the machine's lock.
 */
#ifndef VMM_CHIPS_IOAPIC_H
#define VMM_CHIPS_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>

#include "vmm/chips/apic.h"

#define IOAPIC_PINS    24
#define IOAPIC_ADDRESS UINT64_C(0xfec00000)
#define IOAPIC_BYTES   0x1000
#define IOAPIC_INDEX   0x00 /* offsets in it */
#define IOAPIC_DATA    0x10

/* Bits of a pin's entry. */
#define IOAPIC_LOGICAL    (UINT64_C(1) << 11)
#define IOAPIC_ACTIVE_LOW (UINT64_C(1) << 13)
#define IOAPIC_REMOTE_IRR (UINT64_C(1) << 14)
#define IOAPIC_LEVEL      (UINT64_C(1) << 15)
#define IOAPIC_MASKED     (UINT64_C(1) << 16)

struct ioapic {
	/* Hands a message to the CPUs.  False: none of them took it. */
	bool (*send)(void *arg, const struct apic_message *message);
	void *arg;
	uint8_t index, id;
	uint32_t level; /* of the lines, by bit */
	uint64_t pin[IOAPIC_PINS];
};

/* All pins masked. */
void ioapic_init(struct ioapic *io,
    bool (*send)(void *arg, const struct apic_message *message), void *arg);

/* Registers and lines as they were elsewhere; nothing is sent. */
void ioapic_set(struct ioapic *io, uint8_t index, uint8_t id, uint32_t level,
    const uint64_t pin[IOAPIC_PINS]);

/* A 32-bit register of the page, by offset. */
uint32_t ioapic_read(const struct ioapic *io, uint32_t offset);
void ioapic_write(struct ioapic *io, uint32_t offset, uint32_t value);

/* A line is asserted or not; whether that is a high or a low voltage, which
 * the entry's polarity bit speaks of, is the board's affair. */
void ioapic_line(struct ioapic *io, unsigned int pin, bool asserted);

/* A CPU has ended a level-triggered interrupt. */
void ioapic_eoi(struct ioapic *io, uint8_t vector);

/* Level-triggered pins whose message nobody took try again: something may have
 * changed at the CPUs. */
void ioapic_retry(struct ioapic *io);

#endif
